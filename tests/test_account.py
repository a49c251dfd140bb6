"""One account in whatever order: which careless accounts a program finds, which honest ones it leaves alone, and what it says."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import hypothesis
import pytest
from accounts import ORDER, Accounts, Effect, Server, accounting, effect, judged_flows
from fault_flows import LEGAL as LEGAL_FLOWS
from fault_flows import UNPROVEN as UNPROVEN_FLOWS
from judging import Judged
from serving import Answer, Asked

from conformance import catalogue, checks, flows, readings, run, teller
from conformance.balances import Book, Came, Deed, Terms
from conformance.dealings import KNOWN, dealings, parsed
from conformance.evidence import Evidence
from conformance.outcome import Outcome
from conformance.profile import Price
from conformance.report.document import to_json
from conformance.report.review import review
from conformance.run import Result
from conformance.sandbox import app
from conformance.sandbox.ledger import Ledger

_WHO = "broke"


@dataclass(slots=True, kw_only=True)
class Dealer(Accounts):
    """A ledger that remembers what was done, and changes its mind ``after`` it."""

    after: Callable[["Dealer"], None] = lambda _: None
    lends: Callable[["Dealer"], bool] = lambda _: False
    """Whether it serves whoever cannot pay."""
    past: list[str] = field(default_factory=list)

    async def take(self, account: str, price: int) -> bool:
        """Takes the price, and notes who was served."""
        good = await Accounts.take(self, account, price)
        if not good and account == _WHO and self.lends(self):
            self.give(-price)
            good = True
        self._did(("served" if good else "refused") if account == _WHO else "stranger")
        return good

    def add(self, account: str, more: int) -> None:
        """Adds, and notes it."""
        Accounts.add(self, account, more)
        self._did("added")

    def reset(self, account: str) -> None:
        """Takes back, and notes it."""
        Accounts.reset(self, account)
        self._did("reset")

    def give(self, more: int) -> None:
        """Adds what nobody asked for."""
        self.balances[_WHO] = Ledger.balance(self, _WHO) + more

    def _did(self, what: str) -> None:
        self.past.append(what)
        self.after(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """An entry, and the ledger that it is about."""

    entry: Effect
    after: Callable[[Dealer], None] = lambda _: None
    lends: Callable[[Dealer], bool] = lambda _: False
    keyed: Callable[[Dealer], Callable[[Asked, Answer], None]] | None = None
    """What happens to answers."""
    says: str = ""
    """What the finding says, in part."""


def kind(name: str, says: str = "", **more: Any) -> Kind:
    """An entry in one line."""
    own = {key: more.pop(key) for key in ("after", "lends", "keyed") if key in more}
    return Kind(entry=effect(name, only=(ORDER,), **more), says=says, **own)


def _once(*deeds: str, give: int) -> Callable[[Dealer], None]:
    """Gives so much whenever the last things that were done are ``deeds``."""

    def after(ledger: Dealer) -> None:
        if ledger.past[-len(deeds) :] == [*deeds]:
            ledger.give(give)

    return after


def _since(ledger: Dealer) -> list[str]:
    """What was done since everything was taken back."""
    return ledger.past[-(ledger.past[::-1].index("reset")) :] if "reset" in ledger.past else ledger.past


def _own(asked: Asked) -> str:
    """The key of a call of the account; empty for anything else."""
    mine = asked.path == "/translate" and asked.headers.get("sandbox-account") == _WHO
    return asked.headers.get("idempotency-key", "") if mine else ""


def _charges_replays(ledger: Dealer) -> Callable[[Asked, Answer], None]:
    def change(asked: Asked, answer: Answer) -> None:
        if _own(asked) and answer.status == 200 and answer.get("idempotent-replayed"):
            ledger.give(-10)

    return change


def _charges_replays_after_another(ledger: Dealer) -> Callable[[Asked, Answer], None]:
    last: list[str] = []

    def change(asked: Asked, answer: Answer) -> None:
        if (key := _own(asked)) and answer.status == 200:
            if key in last and last[-1] != key:
                ledger.give(-10)
            last.append(key)

    return change


def _charges_twice_after_refusal(ledger: Dealer) -> Callable[[Asked, Answer], None]:
    refused: set[str] = set()

    def change(asked: Asked, answer: Answer) -> None:
        if key := _own(asked):
            if answer.status == 402:
                refused.add(key)
            elif key in refused:
                refused.discard(key)
                ledger.give(-10)

    return change


def _keeps_refusals(ledger: Dealer) -> Callable[[Asked, Answer], None]:
    kept: dict[str, bytes] = {}

    def change(asked: Asked, answer: Answer) -> None:
        if not (key := _own(asked)):
            return
        if answer.status == 402:
            kept[key] = answer.body
        elif key in kept:
            if not answer.get("idempotent-replayed"):
                ledger.give(10)
            answer.status, answer.body = 402, kept[key]

    return change


def _forgets_keys(ledger: Dealer) -> Callable[[Asked, Answer], None]:
    """What comes again after a reset is a call of its own, if there is enough for it."""
    served: set[str] = set()

    def change(asked: Asked, answer: Answer) -> None:
        if asked.path == "/test/reset":
            served.clear()
        elif (key := _own(asked)) and answer.status == 200:
            if key not in served and answer.get("idempotent-replayed"):
                if Ledger.balance(ledger, _WHO) < 10:
                    answer.become(409)
                    return
                ledger.give(-10)
            served.add(key)

    return change


FAULTS: tuple[Kind, ...] = (
    kind("it charges for a key that comes again", "comes again, and takes 10", keyed=_charges_replays),
    kind(
        "it charges for a key that comes again after another one",
        "comes again, and takes 10",
        keyed=_charges_replays_after_another,
    ),
    kind("it charges twice under a key that was refused once", "takes 20", keyed=_charges_twice_after_refusal),
    kind("it counts a top-up twice after a refusal", "it adds 20", after=_once("refused", "added", give=10)),
    kind(
        "it counts a top-up twice once a stranger was refused", "it adds 20", after=_once("stranger", "added", give=10)
    ),
    kind("it loses a top-up after a refusal", "it adds 0", after=_once("refused", "refused", "added", give=-10)),
    kind("its crowd is served twice and charged once", "2 served, and 10 is taken", stutter=0.05, forgets=True),
    kind("its refusal gives back what the last call took", "adds 10", after=_once("served", "refused", give=10)),
    kind("it forgets a call after all was taken back", "it takes 0", after=_once("reset", "added", "served", give=10)),
    kind(
        "it gives back a call when all is taken back",
        "more than there was",
        after=_once("added", "served", "reset", give=20),
    ),
    kind("it lends to whoever was served twice", "where 3 is there", lends=lambda it: it.past[-2:] == ["served"] * 2),
    kind(
        "its third call costs nothing",
        "takes 0",
        after=lambda it: it.give(10) if it.past[-1] == "served" and _since(it).count("served") == 3 else None,
    ),
    kind("its refused stranger is paid for by another", "it takes 1", after=_once("stranger", give=-1)),
)

_SET = "a top-up that sets a balance, or adds less than before"
_KEPT = "a refusal that is kept under its key, or a key that is free again after it"
_FORGOTTEN = "keys that are forgotten once everything is taken back"
_LATER = "access that comes a moment later"
_RANGE = "a price that depends on use, in the range that the profile states"


def _sets(ledger: Dealer) -> None:
    if ledger.past[-1] == "added":
        ledger.balances[_WHO] = 28


def _adds_less(ledger: Dealer) -> None:
    if ledger.past[-1] == "added" and _since(ledger).count("added") > 1:
        ledger.give(-5)


def _gives_back(ledger: Dealer) -> Callable[[Asked, Answer], None]:
    """Half of what a call takes, a twentieth of a second after it is answered."""

    def change(asked: Asked, answer: Answer) -> None:
        if _own(asked) and answer.status == 200 and not answer.get("idempotent-replayed"):
            asyncio.get_running_loop().call_later(0.05, ledger.give, 5)

    return change


def _ranged(written: dict[str, Any]) -> None:
    written["flow"][0] |= {"price": {"min": "5", "max": "10"}}


def _no_keys(written: dict[str, Any]) -> None:
    del written["idempotency"]


_ALREADY = (
    *(
        "its numbers are",
        "its prices are",
        "its price depends",
        "who comes at the same time",
        "access comes",
        "access ends",
    ),
    "it takes more than one",
    "its account may owe",
    "its last call overdraws",
)
LEGAL: tuple[Kind, ...] = (
    kind("it is the sandbox as it is", allows=(_KEPT,)),
    kind("its top-up sets a balance", after=_sets, allows=(_SET,)),
    kind("its first top-up is the largest", after=_adds_less, allows=(_SET,)),
    kind("it keeps a refusal under its key", keyed=_keeps_refusals, allows=(_KEPT,)),
    kind("it forgets keys when all is taken back", keyed=_forgets_keys, allows=(_FORGOTTEN,)),
    kind("nobody knows of keys", edit=_no_keys),
    kind("something is left when all is taken back", keeps=4),
    kind("what is taken back is so a moment later", resets=0.04),
    kind("what is bought is there a moment later", slow=0.04, allows=(_LATER,)),
    *(Kind(entry=replace(entry, only=(ORDER,))) for entry in UNPROVEN_FLOWS if entry.name.startswith("nothing says")),
    *(
        Kind(entry=replace(entry, only=(ORDER,), allows=()))
        for entry in LEGAL_FLOWS
        if entry.name.startswith(_ALREADY) and entry.at == ("translate",)
    ),
)
_OVERDRAWN = "an account that its last success overdraws"
_ALSO = {
    "access comes a moment later": _LATER,
    "its price depends on use, as the profile says": _RANGE,
    "its last call overdraws an account": _OVERDRAWN,
}


def _empties_the_third(ledger: Dealer) -> Callable[[Asked, Answer], None]:
    def change(asked: Asked, answer: Answer) -> None:
        if _own(asked) and answer.status == 200 and _since(ledger).count("served") == 3:
            answer.say({"error": "later"})

    return change


def _fails_in_a_race(_: Dealer) -> Callable[[Asked, Answer], None]:
    def change(asked: Asked, answer: Answer) -> None:
        if _own(asked) and asked.headers.get("connection") == "close" and answer.get("x-current-balance") == "3":
            answer.become(500)

    return change


UNPROVEN: tuple[Kind, ...] = (
    kind(
        "its second top-up is counted twice",
        after=lambda it: it.give(10) if it.past[-1] == "added" and _since(it).count("added") == 2 else None,
    ),
    kind("a race is charged for what goes wrong", keyed=_fails_in_a_race),
    kind("its third call is paid for and holds nothing", keyed=_empties_the_third),
    kind("others took from the account once, between two steps", robbed=23),
    kind("what is taken back is so when nobody looks any more", resets=0.5),
    *(
        Kind(entry=replace(entry, only=(ORDER,)))
        for entry in UNPROVEN_FLOWS
        if entry.name.startswith(
            ("its probe", "others take", "there is no probe", "its flow cannot", "what one buys opens it")
        )
    ),
)


DRAWN = kind("its call after a call and a top-up costs nothing", after=_once("served", "added", "served", give=10))
"""What none of the programs that are always asked sees."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with accounting() as found:
        yield found


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What reads otherwise than it should is read again sooner."""
    for module in (flows, teller):
        monkeypatch.setattr(module, "_REST", 0.075)
    for module in (flows, readings, teller):
        monkeypatch.setattr(module, "PAUSE", 0.05)


def judged(server: Server, one: Kind, examples: int = 2) -> tuple[Result, Judged]:
    """What the row comes to."""
    altered, _, here = server
    ledger = Dealer(after=one.after, lends=one.lends)
    altered.inner = app(here, accounts=ledger)
    entry = replace(one.entry, does=one.keyed(ledger)) if one.keyed else one.entry

    def fewer(written: dict[str, Any]) -> None:
        written["limits"] |= {"max_examples": 5 * examples}
        if one.entry.edit:
            one.entry.edit(written)

    found = judged_flows((altered, ledger, here), replace(entry, edit=fewer), within=0.15)
    (result,) = found.results.values()
    return result, found


def a_name(one: Kind) -> str:
    return one.entry.name


@pytest.mark.parametrize("one", FAULTS, ids=a_name)
def test_what_is_wrong_is_found_with_a_program_that_is_always_asked(one: Kind, server: Server) -> None:
    """Each careless account is seen by one of the programs of history, and the finding says what it did."""
    result, _ = judged(server, one)
    assert result.outcome is Outcome.VIOLATED, result.finding
    assert result.finding
    assert one.says in result.finding.received, result.finding


@pytest.mark.parametrize("one", LEGAL, ids=a_name)
def test_what_is_right_is_left_alone(one: Kind, server: Server) -> None:
    """No honest account is red, and none is left unasked."""
    result, _ = judged(server, one)
    assert result.outcome is Outcome.PASSED, result.finding


@pytest.mark.parametrize("one", UNPROVEN, ids=a_name)
def test_what_nothing_shows_is_not_said_to_hold(one: Kind, server: Server) -> None:
    """A probe that lags, moves by itself or is not there leaves the row untestable, by a reason."""
    result, _ = judged(server, one)
    assert result.outcome is Outcome.UNTESTABLE, result.finding
    assert result.finding
    assert result.finding.reason


def test_what_was_held_and_is_given_back_later_is_no_fault(server: Server) -> None:
    """Where a price is a range, what a call takes may be less a moment after it was answered."""
    result, _ = judged(server, kind("it gives back half", keyed=_gives_back, edit=_ranged))
    assert result.outcome is not Outcome.VIOLATED, result.finding


def test_whatever_the_catalogue_allows_is_an_honest_account() -> None:
    """Each ``allowed`` of the row is shown by one of the accounts."""
    shown = {phrase for one in LEGAL for phrase in (*one.entry.allows, _ALSO.get(one.entry.name, "")) if phrase}
    assert shown == {*catalogue.load().requirements[ORDER].allowed}


def test_what_nobody_thought_of_is_drawn_and_becomes_short(server: Server) -> None:
    """A sequence that no example shows is found, and shrinks to the steps that matter."""
    result, _ = judged(server, DRAWN, 40)
    assert result.outcome is Outcome.VIOLATED
    assert result.finding
    assert result.finding.at == "top up; call; top up; call"


@pytest.fixture(scope="module")
def robbed(server: Server) -> tuple[Result, Judged]:
    """An account that pays for each key that comes again."""
    return judged(server, FAULTS[0])


def test_a_finding_is_a_story(robbed: tuple[Result, Judged]) -> None:
    """It says which step went wrong, and tells what was done, what came back and what that did to the balance."""
    finding = robbed[0].finding
    assert finding
    assert finding.received == "step 4, again 1: the key of call 1 comes again, and takes 10"
    assert finding.at == "top up; top up; call; again 1"
    assert finding.steps.split("\n") == [
        "1. top up: 3 before, 13 after",
        "2. top up: 13 before, 23 after",
        "3. call: 200 OK; 1 served; 23 before, 13 after",
        "4. again 1: 200 OK; 1 served; 13 before, 3 after",
    ]


def test_it_is_decided_again_from_the_report(robbed: tuple[Result, Judged]) -> None:
    """The row comes to the same from what the report says."""
    report = json.loads(json.dumps(to_json(robbed[1].report)))
    assert [told for told in review(report) if told.requirement == ORDER] == []


def test_no_program_is_no_pass(robbed: tuple[Result, Judged]) -> None:
    """Evidence from which the programs were taken away holds nothing, and one that was not seen twice is no violation."""
    result, found = robbed
    (labels,) = result.evidence
    profile = found.report.profile
    row = catalogue.load().requirements[ORDER]
    (own,) = (one for every in checks.load().values() for one in every if one.requirement == ORDER)

    def without(what: str) -> Outcome:
        had = {label: result.exchanges[key] for label, key in labels.items() if what not in label}
        return run.decided(own, Evidence(profile=profile, at=profile.endpoints[0], exchanges=had), row.level)[0]

    assert without("nothing at all") is Outcome.VIOLATED
    assert without("once more") is Outcome.UNTESTABLE
    assert without(", later ") is Outcome.UNTESTABLE
    assert without("#program") is Outcome.UNTESTABLE
    assert without("#alone") is Outcome.UNTESTABLE


@pytest.mark.parametrize("how", [KeyboardInterrupt, ValueError])
def test_whatever_stops_a_program_the_account_is_left_as_it_was(
    server: Server, how: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever interrupts a run, or breaks it, finds everything taken back."""
    held: list[int] = []

    def stops(ledger: Dealer) -> None:
        if _since(ledger) == ["added", "added"]:
            held.append(Ledger.balance(ledger, _WHO))

    def breaks(*_: object) -> None:
        if held:
            raise how

    monkeypatch.setattr(Book, "note", breaks)
    ledgers: list[Dealer] = []
    with pytest.raises(how):
        judged(server, kind("it stops", after=lambda it: (ledgers.append(it), stops(it))[0]))
    assert held
    assert Ledger.balance(ledgers[0], _WHO) == 3


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(dealings())
def test_a_program_is_bounded_and_buys_something(program: str) -> None:
    """One to eight steps, each of which means something, and one tops up."""
    said = [parsed(step) for step in program.split("; ")]
    assert len(said) <= 8
    assert any(step.verb == "top up" for step in said)


def test_every_verb_is_always_asked() -> None:
    """What can be drawn is also done in the programs of history, and nothing else is a step."""
    verbs = {parsed(step).verb for program in KNOWN for step in program.split("; ")}
    assert verbs == {"call", "again", "race", "top up", "take back", "decline", "ask"}
    with pytest.raises(ValueError, match="nothing to be done"):
        parsed("steal 1")


def test_a_program_shrinks_to_what_matters() -> None:
    """Steps are taken away wherever they stand."""
    wanted = re.compile("call; (.*; )?again .*take back")
    few = hypothesis.settings(max_examples=2000, derandomize=True, database=None)
    found = hypothesis.find(dealings(), lambda program: bool(wanted.search(program)), settings=few)
    assert found == "top up; call; again 1; take back"


_TERMS = Terms(
    price=Price(minimum=Decimal(10), maximum=Decimal(10)), credit=Decimal(10), start=Decimal(3), sure=Decimal(23)
)


def test_a_balance_that_is_whole_by_chance_is_told_as_finely_as_others() -> None:
    """Half a credit is seen to be taken, also where what is left of it is a whole number."""
    half = Decimal("0.5")
    deal = replace(_TERMS, price=Price(minimum=half, maximum=half), shown=(Decimal("3.5"),))
    wrong = Book(terms=deal, held=Decimal("3.5")).wrong(Deed(verb="ask"), Decimal(3))
    assert "takes 0.5" in wrong
    call = Deed(verb="call", number=1, came=(Came.SERVED,))
    assert "takes 0" in Book(terms=deal, held=Decimal(13)).wrong(call, Decimal(13))


@pytest.mark.parametrize(
    ("deed", "held", "now", "wrong"),
    [
        (Deed(verb="call", number=1, came=(Came.UNCLEAR,)), "13", "3", ""),
        (Deed(verb="call", number=1, came=(Came.UNCLEAR,)), "13", "13", ""),
        (Deed(verb="call", number=1, came=(Came.UNCLEAR,)), "23", "3", "it takes 20"),
        (Deed(verb="race", came=(Came.SERVED, Came.UNCLEAR)), "23", "3", ""),
        (Deed(verb="race", came=(Came.SERVED, Came.SERVED)), "13", "-7", "where 13 is there"),
        (Deed(verb="race", came=(Came.SERVED, Came.SERVED)), "18", "-2", ""),
        (Deed(verb="race", came=(Came.SERVED, Came.SERVED)), "33", "12", "21 is taken"),
        (Deed(verb="call", number=1, came=(Came.SERVED,)), "3", "-7", "where 3 is there"),
        (Deed(verb="call", number=1, came=(Came.SERVED,)), "8", "-2", ""),
        (Deed(verb="decline", came=(Came.SERVED,)), "13", "3", ""),
        (Deed(verb="decline", came=(Came.REFUSED,)), "13", "12", "takes 1"),
        (Deed(verb="top up"), "13", "23", ""),
        (Deed(verb="top up"), "13", "13", "it adds 0"),
        (Deed(verb="top up", done=False), "13", "13", ""),
        (Deed(verb="top up"), "33", "33", ""),
        (Deed(verb="take back"), "13", "0", ""),
        (Deed(verb="take back"), "0", "3", ""),
        (Deed(verb="ask"), "13", "13.0", ""),
    ],
)
def test_a_balance_may_be_what_an_honest_account_has(deed: Deed, held: str, now: str, wrong: str) -> None:
    """What nobody knows is no fault, and what is known is one."""
    found = Book(terms=_TERMS, held=Decimal(held)).wrong(deed, Decimal(now))
    assert wrong in found
    assert bool(found) is bool(wrong)
