"""What a run pays with, where it does not pay, and what it says instead: real sandboxes, real facilitators, no money."""

import socket
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from offers import entry
from sessions import Ran, nested, profile, sandbox, session

from conformance import facilitator
from conformance.facilitator import Kind, Running
from conformance.profile import Profile, from_document
from conformance.protocols import x402
from conformance.protocols.x402.signing import Payer
from conformance.purse import Means, Order, Purse, Unpayable
from conformance.redaction import Redactor
from conformance.sandbox.price import GOODS

ASSET = "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
BASE_USDC = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"
PRICE = 10000
KEY = "4f" * 32
CLAIMS = '[claims]\nclasses = ["x402/guard", "x402/settlement"]\n'
OWN = '[facilitator]\nmode = "own"\n[payer]\nkey = { env = "SMALL_PAYER" }\n'
STEPS = '[endpoint.failing]\nquery = { boom = "1" }\n[endpoint.slow]\nquery = { sleep = "2" }\n'
GOOD_PAYMENT = "--conformance-only=x402.guard.good-payment"
SIGNATURE = "--conformance-only=x402.guard.signature"
NOT_AFFORDED = f"{PRICE} of {ASSET} on eip155:84532 is more than may be spent: max_total is"


def budget(most: int, *, network: str = "eip155:84532", asset: str = ASSET, more: str = "") -> str:
    """A [[budget]] table."""
    return f'[[budget]]\nnetwork = "{network}"\nasset = "{asset}"\nmax_total = "{most}"\n{more}\n'


@pytest.fixture(scope="module")
def theirs() -> Iterator[Running]:
    """The facilitator of somebody else: it checks signatures, and a run does not see what it is asked."""
    with facilitator.start() as running:
        yield running


@pytest.fixture(scope="module")
def here(theirs: Running) -> Iterator[str]:
    """The address of a sandbox that is paid through that one."""
    with sandbox(facilitator=theirs.url) as url:
        yield url


def moved(theirs: Running) -> list[int]:
    """What that facilitator settled, in atomic units."""
    calls = theirs.control.calls()
    amounts = [
        call.payment["payload"]["authorization"]["value"] for call in calls if call.outcome and call.outcome.moved
    ]
    return [int(amount) for amount in amounts]


def asked(folder: Path, text: str, *args: str, key: str = "0x" + KEY) -> Ran:
    """A run in this process, with the payer's key in the environment."""
    return nested(folder, *args, text=text, env={"SMALL_PAYER": key})


def reasons(ran: Ran) -> set[str]:
    """Why rows of payments were not judged."""
    rows = [row for row in ran.report["results"] if row["outcome"] == "untestable"]
    # What is said of the whole target names the endpoint.
    return {row["finding"]["reason"].removeprefix('endpoint "weather": ') for row in rows}


def nothing_was_paid(ran: Ran) -> bool:
    """No payment is told of, and no request brought one that we made."""
    brought = [exchange for exchange in ran.report["exchanges"].values() if "paid" in exchange]
    return ran.report["payments"] == [] and brought == []


WHYS = {
    "production": (
        'environment = "production"',
        '[facilitator]\nmode = "scripted"\n',
        'target.environment is "production": nothing is paid',
    ),
    "production, own facilitator": (
        'environment = "production"',
        OWN + budget(10**6),
        'target.environment is "production": nothing is paid',
    ),
    "no facilitator": ("", "", "the profile has no [facilitator], so that nobody can pay"),
    "own facilitator, no budget": (
        "",
        OWN,
        'facilitator.mode is "own" and there is no [[budget]]: nothing may be spent',
    ),
}


@pytest.mark.parametrize("means", WHYS)
def test_without_the_means_nothing_is_paid(tmp_path: Path, here: str, theirs: Running, means: str) -> None:
    """Who claims that payments are guarded is told why that cannot be asked; nobody pays, and nothing is passed."""
    target, more, why = WHYS[means]
    theirs.control.reset()
    ran = asked(tmp_path, profile(here, claims=CLAIMS, target=target, more=STEPS + more))
    assert (ran.code, ran.verdict) == (1, "incomplete"), ran.out
    assert set(ran.outcomes.values()) == {"untestable"}
    assert reasons(ran) == {why}
    assert why in " ".join(ran.out.split())
    assert nothing_was_paid(ran)
    assert theirs.control.calls() == ()


@pytest.mark.parametrize("means", WHYS)
def test_without_the_means_and_claims_the_classes_are_left_out(tmp_path: Path, here: str, means: str) -> None:
    """A class of which no row can be asked is not called judged, let alone conformant; the reason stands beside it."""
    target, more, why = WHYS[means]
    ran = asked(tmp_path, profile(here, claims="", target=target, more=more))
    assert (ran.code, ran.verdict) == (0, "conformant"), ran.out
    paid = {"x402/guard", "x402/settlement", "x402/order"}
    assert {cls: ran.report["unjudged"].get(cls) for cls in paid} == dict.fromkeys(paid, why)
    assert not [key for key in ran.outcomes if key.startswith(("x402.guard", "x402.settlement", "x402.order"))]
    judged = {*ran.last.partition("judged ")[2].partition(";")[0].split(", ")}
    assert judged >= {"http", "browser", "x402/offer"}
    assert not judged & paid
    assert nothing_was_paid(ran)


def test_a_payment_above_the_budget_is_not_made(tmp_path: Path, here: str, theirs: Running) -> None:
    """One atomic unit too little is too little; the sentence names the sum, the limit and what is spent."""
    theirs.control.reset()
    ran = asked(tmp_path, profile(here, claims=CLAIMS, more=OWN + budget(PRICE - 1)), GOOD_PAYMENT)
    assert ran.outcomes["x402.guard.good-payment weather"] == "untestable", ran.out
    assert reasons(ran) == {f"version 2: {NOT_AFFORDED} {PRICE - 1}, and 0 may be spent already"}
    assert nothing_was_paid(ran)
    assert theirs.control.calls() == ()


def test_a_budget_is_spent_and_no_more(tmp_path: Path, here: str, theirs: Running) -> None:
    """What is within the budget is paid by the profile's payer, and the last lines say how much at most."""
    theirs.control.reset()
    ran = asked(tmp_path, profile(here, claims=CLAIMS, more=OWN + budget(PRICE)), GOOD_PAYMENT)
    assert ran.outcomes["x402.guard.good-payment weather"] == "passed", ran.out
    assert [line["charged"] for line in ran.report["payments"]] == [None]
    assert moved(theirs) == [PRICE]
    assert f"at most {PRICE} of {ASSET} on eip155:84532" in ran.out


def test_a_row_of_which_a_part_was_paid_for_is_not_passed(tmp_path: Path, here: str, theirs: Running) -> None:
    """Two of nine forged signatures prove nothing about the others."""
    theirs.control.reset()
    ran = asked(tmp_path, profile(here, claims=CLAIMS, more=OWN + budget(3 * PRICE)), SIGNATURE)
    assert ran.outcomes["x402.guard.signature weather"] == "untestable", ran.out
    assert reasons(ran) == {f"version 2: {NOT_AFFORDED} {3 * PRICE}, and {3 * PRICE} may be spent already"}
    assert len(ran.report["payments"]) == 3
    assert sum(moved(theirs)) <= 3 * PRICE


def test_whatever_is_asked_a_budget_that_runs_out_breaks_nothing(tmp_path: Path, here: str, theirs: Running) -> None:
    """Each row that could not be paid for says so, and none of them is red or an error."""
    theirs.control.reset()
    for payments in (2, 11, 40):
        ran = asked(tmp_path, profile(here, claims=CLAIMS, more=OWN + budget(payments * PRICE)))
        assert ran.verdict == "incomplete", ran.out
        assert "Traceback" not in ran.out
        assert set(ran.outcomes.values()) <= {"passed", "untestable", "inapplicable"}, ran.outcomes
        assert [reason for reason in reasons(ran) if NOT_AFFORDED in reason]
        spent = sum(int(line["amount"]) for line in ran.report["payments"])
        assert spent <= payments * PRICE
        assert sum(moved(theirs)) <= spent
        theirs.control.reset()


def test_workers_spend_one_budget(tmp_path: Path, here: str, theirs: Running) -> None:
    """With pytest-xdist the limit is that of the run, not that of each worker."""
    pytest.importorskip("xdist")
    theirs.control.reset()
    text = profile(here, claims=CLAIMS, more=OWN + budget(5 * PRICE))
    # What is dealt out otherwise than we do it: the rows of one endpoint, to both.
    args = ("-p", "xdist", "-n2", "--dist=worksteal", "--conformance-only=x402.guard")
    ran = session(tmp_path, *args, text=text, env={"SMALL_PAYER": KEY})
    assert {"untestable"} <= set(ran.outcomes.values()) <= {None, "untestable", "passed", "inapplicable"}, ran.out
    assert {key.rpartition("@")[2] for key in ran.report["exchanges"]} == {"gw0", "gw1"}
    told = theirs.control.calls()
    assert 0 < len({call.digest for call in told if call.kind is Kind.VERIFY}) <= 5


REAL = replace(
    GOODS[0],
    price=replace(GOODS[0].price, network="eip155:8453", network_v1="base", asset=BASE_USDC, domain_name="USD Coin"),
)


@pytest.fixture(scope="module")
def real(theirs: Running) -> Iterator[str]:
    """A sandbox that asks for money of a network where it is worth something, at a facilitator that moves none."""
    with sandbox(facilitator=theirs.url, goods=[REAL]) as url:
        yield url


@pytest.mark.parametrize("flag", [True, False], ids=["with the option", "without the option"])
@pytest.mark.parametrize("allows", [True, False], ids=["budget of real money", "budget"])
def test_real_money_takes_two_words(tmp_path: Path, real: str, theirs: Running, flag: bool, allows: bool) -> None:
    """Nothing is paid on a network with real money unless the profile and the command line both say so."""
    theirs.control.reset()
    most = budget(10**6, network="base", asset=BASE_USDC.lower(), more=f"real_money = {str(allows).lower()}")
    args = (GOOD_PAYMENT, *(["--conformance-real-money"] * flag))
    ran = asked(tmp_path, profile(real, claims=CLAIMS, more=OWN + most), *args)
    if flag and allows:
        assert ran.outcomes["x402.guard.good-payment weather"] == "passed", ran.out
        assert moved(theirs) == [PRICE]
        return
    assert reasons(ran) == {
        "version 2: eip155:8453 has real money: it takes a [[budget]] with real_money = true and --conformance-real-money"
    }
    assert nothing_was_paid(ran)
    assert theirs.control.calls() == ()


def test_a_budget_is_for_one_asset(tmp_path: Path, here: str, theirs: Running) -> None:
    """Who may spend one token may not spend another."""
    theirs.control.reset()
    most = budget(10**6, asset="0x" + "1" * 40)
    ran = asked(tmp_path, profile(here, claims=CLAIMS, more=OWN + most), GOOD_PAYMENT)
    assert reasons(ran) == {f"version 2: there is no [[budget]] for {ASSET} on eip155:84532"}
    assert theirs.control.calls() == ()


def purse(*tables: str, real_money: bool = False) -> Purse:
    """The purse of a run whose facilitator is not ours."""
    text = profile("http://127.0.0.1:9", claims="", more='[facilitator]\nmode = "own"\n' + "".join(tables))
    loaded: Profile = from_document(tomllib.loads(text), path=Path("small.toml"))
    return Purse(profile=loaded, means=Means(real_money=real_money), redactor=Redactor.of({}))


def two_ways() -> x402.Offer:
    """An offer that asks for real money first, and for money of a test network second."""
    entries = [entry(2, "eip3009", network="eip155:8453", asset=BASE_USDC), entry(2, "eip3009")]
    document = {"x402Version": 2, "accepts": entries, "resource": {"url": "https://api.example/weather"}}
    return x402.Offer(version=2, place="test", document=document)


def test_what_may_be_paid_is_chosen() -> None:
    """A way on a network that we may pay on is taken before one that stands first in the offer."""
    made = purse(budget(PRICE)).make(two_ways(), Order(version=2))
    assert (made.note.way, made.note.network) == (1, "eip155:84532")


def test_the_payer_of_a_profile_signs_nothing_worth_more_than_the_price() -> None:
    """A signature for another chain, and one over all that there is, could be used where no budget counts."""
    spends = purse(budget(10**9))
    for recipe in ("chain-other", "own-offer-network", "value-negative"):
        with pytest.raises(Unpayable, match="by a payer who may have money this is not signed"):
            spends.make(two_ways(), Order(version=2, recipe=recipe))


def test_one_unit_more_is_counted() -> None:
    """A payment of more than the price costs what was signed."""
    with pytest.raises(Unpayable, match=f"^{PRICE + 1} of "):
        purse(budget(PRICE)).make(two_ways(), Order(version=2, recipe="value-higher"))
    assert purse(budget(PRICE + 1)).make(two_ways(), Order(version=2, recipe="value-higher"))


@pytest.fixture
def free() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def test_every_payment_has_a_payer_of_its_own(tmp_path: Path, free: int) -> None:
    """With our own facilitator, where a profile says that it listens, keys are thrown away and never come again."""
    more = f'[facilitator]\nlisten = "127.0.0.1:{free}"\n'
    with sandbox(facilitator=f"http://127.0.0.1:{free}") as url:
        runs = [asked(tmp_path, profile(url, claims=CLAIMS, more=more), SIGNATURE) for _ in range(2)]
    payers = [line["payer"] for ran in runs for line in ran.report["payments"]]
    assert [ran.outcomes["x402.guard.signature weather"] for ran in runs] == ["passed", "passed"], runs[0].out
    assert len(payers) > 10
    assert len(set(payers)) == len(payers)


def test_a_key_is_not_used_where_the_facilitator_is_ours(tmp_path: Path, free: int) -> None:
    """Also a profile that has a payer pays our own facilitator with throw-away keys."""
    more = f'[facilitator]\nlisten = "127.0.0.1:{free}"\n[payer]\nkey = {{ env = "SMALL_PAYER" }}\n'
    own = Payer.of(bytes.fromhex(KEY)).address
    with sandbox(facilitator=f"http://127.0.0.1:{free}") as url:
        ran = asked(tmp_path, profile(url, claims=CLAIMS, more=more), GOOD_PAYMENT)
    assert ran.outcomes["x402.guard.good-payment weather"] == "passed", ran.out
    assert own not in {line["payer"] for line in ran.report["payments"]}


@pytest.mark.parametrize("prefix", ["0x", ""], ids=["0x", "bare"])
def test_the_key_of_the_payer_is_nowhere(tmp_path: Path, here: str, theirs: Running, prefix: str) -> None:
    """It signs, and stands in no report, no JUnit file, no log, no terminal, however much is asked for."""
    theirs.control.reset()
    text = profile(here, claims=CLAIMS, more=OWN + budget(40 * PRICE)).replace('"sunny"', '"cloudy"')
    args = ("--junitxml=junit.xml", "-rA", "-vv", "--tb=long", "--showlocals", "--log-level=DEBUG")
    logs = ("-o", "log_cli=true", "--log-file=debug.log", "--log-file-level=DEBUG")
    ran = session(tmp_path, *args, *logs, "--conformance-only=x402.guard", text=text, env={"SMALL_PAYER": prefix + KEY})
    assert Payer.of(bytes.fromhex(KEY)).address in {line["payer"] for line in ran.report["payments"]}, ran.out
    files = {path.name: path.read_text("utf-8") for path in tmp_path.rglob("*") if path.is_file()}
    assert {"report.json", "junit.xml", "debug.log"} <= set(files)
    told = {**files, "terminal": ran.out, "facilitator": repr(theirs.control.calls())}
    assert [where for where, found in told.items() if KEY in found.lower()] == []


@pytest.mark.parametrize("key", ["0x12345678", "not hexadecimal", "0x" + "0" * 64, KEY + "00"])
def test_a_key_that_is_none_is_one_sentence(tmp_path: Path, here: str, key: str) -> None:
    """Exit status 4 before anything is asked, and what was taken for a key is not shown."""
    ran = asked(tmp_path, profile(here, claims=CLAIMS, more=OWN + budget(PRICE)), "--showlocals", key=key)
    assert (ran.code, ran.report) == (4, {}), ran.out
    assert "profiles/small.toml: payer.key is no private key; expected 64 hexadecimal digits" in ran.out
    assert "Traceback" not in ran.out
    assert key not in ran.out


@pytest.mark.parametrize("start", [False, True], ids=["runs already", "started by us"])
def test_a_facilitator_whose_place_is_taken_is_one_sentence(tmp_path: Path, here: str, start: bool) -> None:
    """Exit status 4: who answers there is somebody else, and would be asked in our place."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        at = f"127.0.0.1:{taken.getsockname()[1]}"
        more = f'[facilitator]\nlisten = "{at}"\n'
        target = '[target.start]\ncommand = "no-such-command-402"\n' if start else ""
        ran = asked(tmp_path, profile(here, claims=CLAIMS, target=target, more=more))
    assert (ran.code, ran.report) == (4, {}), ran.out
    says = f"profiles/small.toml: facilitator.listen is {at}: Address already in use; stop what is there"
    assert says in " ".join(ran.out.split())
    assert "Traceback" not in ran.out


@pytest.mark.parametrize("listen", ["127.0.0.1:70000", "nobody.invalid:4402"])
def test_a_place_that_is_none_is_one_sentence(tmp_path: Path, here: str, listen: str) -> None:
    """Exit status 4 for a port beyond the last, and for a name that nobody has."""
    ran = asked(tmp_path, profile(here, claims=CLAIMS, more=f'[facilitator]\nlisten = "{listen}"\n'))
    assert (ran.code, ran.report) == (4, {}), ran.out
    assert f"facilitator.listen is {listen}" in ran.out
    assert "Traceback" not in ran.out


def paid_rows(ran: Ran) -> dict[str, str | None]:
    """The outcomes of rows that take payments."""
    return {key: outcome for key, outcome in ran.outcomes.items() if key.startswith(("x402.guard", "x402.settlement"))}


MAY_NOT_APPLY = {
    "x402.guard.v1-refusal weather",
    "x402.settlement.upto-maximum weather",
    "x402.settlement.charged-failure-receipt weather",
    "x402.settlement.failed-handler weather",
    "x402.settlement.refusal-is-not-kept weather",
}
"""What is said not to apply before a payment has a say in it."""


def nothing_is_said(ran: Ran) -> bool:
    """The run is incomplete: rows of payments are untestable, none is passed and none red."""
    rows = paid_rows(ran)
    assert (ran.code, ran.verdict) == (1, "incomplete"), ran.out
    assert "Traceback" not in ran.out
    assert {key for key, outcome in rows.items() if outcome != "untestable"} <= MAY_NOT_APPLY, rows
    assert {outcome for outcome in rows.values() if outcome != "untestable"} <= {"inapplicable"}
    return "untestable" in rows.values()


def test_a_target_with_another_facilitator_is_told_so(tmp_path: Path, here: str, theirs: Running) -> None:
    """It serves good payments and refuses forged ones, and we see nothing of it: one reason, and no wall of red."""
    theirs.control.reset()
    ran = asked(tmp_path, profile(here, claims=CLAIMS, more=STEPS + "[facilitator]\n"))
    assert nothing_is_said(ran)
    why = (
        "version 2: a good payment is answered 200 OK, a forged one 402 Payment Required, and our facilitator is asked "
        "about neither: the target uses another one, and not {facilitator}"
    )
    assert reasons(ran) == {why}
    # A good payment, and a forged one: then it is known.
    assert [line["charged"] for line in ran.report["payments"]] == [False, False]
    assert len(theirs.control.calls()) <= 3


@pytest.mark.parametrize("mode", ["scripted", "own"])
def test_a_target_whose_facilitator_is_down_is_told_so(tmp_path: Path, free: int, mode: str) -> None:
    """Nobody can pay: that says nothing of what a payment opens."""
    tables = {"scripted": "[facilitator]\n", "own": OWN + budget(10**9)}[mode]
    with sandbox(facilitator=f"http://127.0.0.1:{free}") as url:
        ran = asked(tmp_path, profile(url, claims=CLAIMS, more=STEPS + tables))
    assert nothing_is_said(ran)
    says = "a good payment of version 2 was answered 503 Service Unavailable"
    more = {
        "scripted": ", and our facilitator was not asked: is it the one that the target uses?",
        "own": ": nothing can be said of bad ones",
    }[mode]
    assert says + more in reasons(ran)


SOLANA = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"


def test_a_way_that_we_cannot_sign_is_named(tmp_path: Path, free: int) -> None:
    """An offer on a network of another kind is no fault: the rows say for what there is no signer."""
    good = replace(
        GOODS[0], price=replace(GOODS[0].price, network=SOLANA, asset="EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v")
    )
    more = f'{STEPS}[facilitator]\nlisten = "127.0.0.1:{free}"\n'
    with sandbox(facilitator=f"http://127.0.0.1:{free}", goods=[good]) as url:
        ran = asked(tmp_path, profile(url, claims=CLAIMS, more=more))
    assert nothing_is_said(ran)
    assert f"version 2: no signer for exact on {SOLANA}" in reasons(ran)
    assert ran.report["payments"] == []


def test_a_payment_in_production_would_take_a_facilitator_that_is_not_started(tmp_path: Path, here: str) -> None:
    """In production nothing listens where the profile says that our facilitator would."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        more = f'[facilitator]\nlisten = "127.0.0.1:{taken.getsockname()[1]}"\n'
        ran = asked(tmp_path, profile(here, claims="", target='environment = "production"', more=more))
    assert (ran.code, ran.verdict) == (0, "conformant"), ran.out
