"""Payments in whatever order: which shops a program finds, which it leaves alone, and what it says of them.

The row stands apart from the tables in ``test_paid_faults.py``: it asks as often as a whole group of rows there, about
the same shops.
"""

import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import cycle
from typing import Any

import hypothesis
import pytest
from careless import authorization, spoilt
from fault_replay import REPLAYED, forgetful, returning
from judging import Judged, judged_paid
from legal_guard import LEGAL_GUARD
from legal_settlement import LEGAL_SETTLEMENT
from paid_fault import PaidFault, PaidLegal, fault, legal
from serving import Answer
from settling import both, hears, served, upto
from shop import Brought, Shop, Told, shop

from conformance import catalogue, checks, facilitator, run
from conformance.course import steps, unpaid_at
from conformance.evidence import Evidence
from conformance.facilitator.authorization import Reason
from conformance.outcome import Outcome
from conformance.programs import (
    BEFORE,
    FAULTS,
    KNOWN,
    KNOWN_AFTER,
    STOCK,
    Again,
    Fresh,
    parsed,
    programs,
    programs_after,
)
from conformance.report.document import to_json
from conformance.report.review import review
from conformance.report.terminal import summary
from conformance.run import Result

ROW = "x402.settlement.any-order"
CHECK = next(check for own in checks.load().values() for check in own if check.requirement == ROW)
Server = tuple[Shop, str, facilitator.Running]

_V2 = ("/weather", "/satellite")
"""Goods of version 2 in both flows."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with shop() as found:
        yield found


def _nonce(brought: Brought) -> str:
    found = authorization(brought.payment).get("nonce")
    return found.lower() if isinstance(found, str) else ""


def _returning_after(done: Callable[[Brought, Brought, list[Brought]], bool]) -> dict[str, Any]:
    """A shop that hands over once more what a payment paid for, ``done`` willing.

    That is told the request that paid, the one that comes with the same payment, and all that came between.
    """
    came: list[Brought] = []
    paid: dict[str, tuple[Brought, int]] = {}

    def opens(brought: Brought) -> bool:
        first, since = paid.get(_nonce(brought), (None, 0))
        again = first is not None and done(first, brought, came[since:])
        came.append(brought)
        return again

    def change(brought: Brought, answer: Answer) -> None:
        if served(answer):
            paid.setdefault(_nonce(brought), (brought, len(came)))

    return {"opens": opens, "change": change}


def _others(first: Brought, since: list[Brought]) -> list[str]:
    """The payments, by nonce, that came beside the first."""
    return [nonce for nonce in map(_nonce, since) if nonce not in {"", _nonce(first)}]


def _heard_as_yes(when: Callable[[Told], bool]) -> dict[str, Any]:
    """A shop without a memory of its own that takes "used" for a yes, once there was a settlement ``when``."""
    odd: set[str] = set()

    def noted(told: Told) -> bool:
        nonce = told.nonce.partition("#")[0]
        if told.kind == "settle" and when(told):
            odd.add(nonce)
            return False
        return nonce in odd and (_says(told, Reason.USED) or (told.kind == "verify" and not told.good))

    return forgetful() | {"hears": hears(noted)}


def _says(told: Told, word: str) -> bool:
    return isinstance(told.document, dict) and told.document.get("errorReason") == word


def _raced() -> dict[str, Any]:
    """A shop that forgets a payment of which two copies came at once: the one that fails takes the record with it."""
    inside: set[str] = set()
    raced: set[str] = set()
    paid: set[str] = set()

    def opens(brought: Brought) -> bool:
        nonce = _nonce(brought)
        if nonce and nonce in inside:
            raced.add(nonce)
        again = nonce in paid & raced and nonce not in inside
        inside.add(nonce)
        return again

    def change(brought: Brought, answer: Answer) -> None:
        inside.discard(_nonce(brought))
        if served(answer):
            paid.add(_nonce(brought))

    return {"opens": opens, "change": change}


def _bought_elsewhere() -> dict[str, Any]:
    """A shop that owes whoever paid without an answer something, and gives whatever is asked for."""
    owed: dict[str, str] = {}

    def opens(brought: Brought) -> bool:
        return owed.get(_nonce(brought), brought.path) != brought.path

    def change(brought: Brought, answer: Answer) -> None:
        if answer.status == 503:
            owed[_nonce(brought)] = brought.path

    return {"opens": opens, "change": change}


def _owed_until_served(told: Callable[[Told], bool]) -> dict[str, Any]:
    """A shop that owes one answer to whoever was ``told`` so, and notes that they had it when it is sent."""
    owed: set[str] = set()

    def note(found: Told) -> None:
        if found.kind == "settle" and told(found):
            owed.add(found.nonce)

    def change(brought: Brought, answer: Answer) -> None:
        if answer.status == 200:
            owed.discard(_nonce(brought))

    return {"opens": lambda brought: _nonce(brought) in owed, "hears": note, "change": change}


FOUND: tuple[PaidFault, ...] = (
    fault(
        "it forgets a payment once two others were made",
        **_returning_after(lambda first, _, since: len(set(_others(first, since))) >= 2),
    ),
    fault(
        "a settlement that was refused once is never used up",
        **_heard_as_yes(lambda told: _says(told, "unexpected_settle_error")),
    ),
    fault(
        "it forgets who paid as soon as somebody asks without paying",
        **_returning_after(lambda _, __, since: any(not brought.value for brought in since)),
    ),
    fault("two copies at once, and it forgets the payment", **_raced()),
    fault(
        "whoever lost the answer to a settlement may come again, and again",
        **_heard_as_yes(lambda told: told.failed),
    ),
    fault(
        "whoever waits for a settlement may come again, and again",
        **_heard_as_yes(lambda told: _says(told, "settlement_pending")),
    ),
    fault(
        "whoever lost the answer to a settlement may come once, or thrice at once",
        **_owed_until_served(lambda told: told.failed),
    ),
    fault(
        "whoever waits for a settlement may come once, or thrice at once",
        **_owed_until_served(lambda told: _says(told, "settlement_pending")),
    ),
    fault("whoever paid for nothing may choose something else", **_bought_elsewhere(), goods=_V2),
)
"""Shops that it takes three requests or more to see through, and a program that is always asked."""

DRAWN: tuple[PaidFault, ...] = (
    fault(
        "it gives in when it was asked twice in vain",
        **_returning_after(lambda first, _, since: [b.value for b in since].count(first.value) >= 2),
    ),
    fault(
        "it forgets a payment that came in other bytes in vain",
        **_returning_after(
            lambda first, _, since: any(_nonce(b) == _nonce(first) != "" and b.value != first.value for b in since)
        ),
    ),
)
"""Shops that none of the programs sees through that are always asked first."""


def judged(server: Server, entry: PaidFault | PaidLegal, examples: int = 2) -> tuple[Result, Judged]:
    """What the row comes to."""
    found = judged_paid(server, goods=entry.goods, only=(ROW,), edit=entry.edit, examples=examples, **entry.flaws)
    (result,) = found.results.values()
    return result, found


def test_programs_go_to_the_sixth_place_too(server: Server) -> None:
    """One endpoint out of many that forgets is found, wherever it stands in the profile."""
    seams = returning(lambda *_: True)
    flaws = seams | {"opens": lambda brought: brought.path == "/satellite" and seams["opens"](brought)}
    goods = ("/weather", "/forecast", "/almanac", "/report", "/satellite")
    result, _ = judged(server, fault("forgets at one endpoint", **flaws, goods=goods), 25)
    assert result.outcome is Outcome.VIOLATED


_OTHERWISE = ("-unaided", "run-once", "one-payer")
SEQUENCES = [entry for entry in REPLAYED if any(not rule.endswith(_OTHERWISE) for rule in entry.red)]
"""Without those whose facilitator knows better than they do, and those that give nothing away."""


@pytest.mark.parametrize("entry", [*FOUND, *SEQUENCES], ids=lambda entry: entry.name)
def test_what_is_wrong_is_found_with_a_program_that_is_always_asked(server: Server, entry: PaidFault) -> None:
    """The shops of the table of replays, and those that it takes several steps to see through; a race may be lost once."""
    tries = (judged(server, entry)[0] for _ in range(3))
    result = next(result for turn, result in enumerate(tries, 1) if result.finding or turn == 3)
    assert result.outcome is Outcome.VIOLATED
    assert result.finding
    assert len(result.finding.at.split("; ")) <= 4, result.finding


@pytest.mark.parametrize("entry", DRAWN, ids=lambda entry: entry.name)
def test_what_nobody_thought_of_is_drawn(server: Server, entry: PaidFault) -> None:
    """A sequence that no example shows is found, and shrinks to a few steps that are told one by one."""
    result, _ = judged(server, entry, 60)
    assert result.outcome is Outcome.VIOLATED
    assert result.finding
    program = result.finding.at.split("; ")
    assert 2 <= len(program) <= 4, program
    assert [line.partition(":")[0].partition(";")[0] for line in result.finding.steps.split("\n")] == [
        f"{number}. {step}" for number, step in enumerate(program, 1)
    ]


def _for_good() -> dict[str, Any]:
    """A shop to which a payment that it refused is none, whenever it comes again."""
    refused: set[str] = set()

    def change(brought: Brought, answer: Answer) -> None:
        if answer.status >= 400 and (nonce := _nonce(brought)):
            refused.add(nonce)

    return {"rewrite": spoilt(lambda brought: _nonce(brought) in refused), "change": change}


def _owed(when: Callable[[Answer], bool]) -> dict[str, Any]:
    """A shop that looks up what became of a settlement of which it heard nothing, and then owes one answer."""
    owed: dict[str, str] = {}

    def opens(brought: Brought) -> bool:
        return owed.get(_nonce(brought)) == brought.path and bool(owed.pop(_nonce(brought)))

    def change(brought: Brought, answer: Answer) -> None:
        if brought.value and when(answer):
            owed[_nonce(brought)] = brought.path

    return {"opens": opens, "change": change}


def _now_and_then() -> dict[str, Any]:
    """A shop that charges by what it took to make an answer: every third time nothing, in one way or the other."""
    costs = cycle((10_000, 10_000, None, 10_000, 10_000, 0))
    return upto(lambda _: next(costs))


_OTHERS = (
    *("it settles", "it takes two settlements", "it charges half", "what is pending is", "it takes one payment"),
    *("its handler", "it turns away", "whoever paid may come again", "whoever comes with the same payment"),
    *("the price rises", "what is sold is paid by", "a payment that was used is in conflict"),
)
_ALLOWED = "a refused payment that comes again, taken or refused for good"
LEGAL: tuple[PaidLegal, ...] = (
    *(entry for entry in (*LEGAL_SETTLEMENT, *LEGAL_GUARD) if entry.name.startswith(_OTHERS)),
    legal("it is as the sandbox is", f"{ROW}: {_ALLOWED}", goods=("/almanac", "/report", "/satellite")),
    legal("what it refused once it refuses for good", f"{ROW}: {_ALLOWED}", **_for_good()),
    legal(
        "it charges nothing now and then",
        f"{ROW}: a charge of 0 in scheme upto",
        **_now_and_then(),
        goods=("/weather",),
    ),
    legal(
        "it looks up what became of a settlement, and then serves once",
        f"{ROW}: content once for a payment whose settlement was lost or pending",
        **_owed(lambda answer: answer.status == 503 or b"settlement_pending" in answer.body),
        goods=_V2,
    ),
)
"""Shops of the other tables, by how their names begin, and those that only a second try shows."""

INAPPLICABLE = {
    "it settles nothing at all, as it charges nothing": "",
    "it settles 0, also where its handler fails": "",
    "whoever paid may come again, wherever, as its profile says": "an entitlement that the profile states",
    "whoever comes with the same payment and the identifier that it asks for gets the same answer": (
        "the answer of before, under the extension payment-identifier"
    ),
}
"""Where nothing is used up by one answer, and which phrase of the catalogue says so."""


@pytest.mark.parametrize("entry", LEGAL, ids=lambda entry: entry.name)
def test_what_is_right_is_left_alone(server: Server, entry: PaidLegal) -> None:
    """No legal shop is red, and none is left unasked but where a payment is not used up by one answer."""
    result, _ = judged(server, entry, 4)
    assert result.outcome is (Outcome.INAPPLICABLE if entry.name in INAPPLICABLE else Outcome.PASSED), result.finding


def test_whatever_the_catalogue_allows_is_a_legal_shop() -> None:
    """Each ``allowed`` of the row is shown by one of the shops."""
    shown = {phrase for entry in LEGAL for phrase in entry.allows if phrase.startswith(ROW)}
    shown |= {f"{ROW}: {phrase}" for phrase in INAPPLICABLE.values() if phrase}
    assert shown == {f"{ROW}: {phrase}" for phrase in catalogue.load().requirements[ROW].allowed}


@pytest.mark.parametrize("fails", [0.0, 0.2])
def test_a_shop_of_moods_comes_to_an_outcome_and_never_to_a_traceback(server: Server, fails: float) -> None:
    """Whoever gives away and fails at random is violated, or proves nothing."""
    dice = random.Random(5)
    robbed = returning(lambda *_: dice.random() < 0.5)

    def moody(brought: Brought, answer: Answer) -> None:
        if brought.value and dice.random() < fails:
            answer.become(500, "not today")

    result, _ = judged(server, legal("of moods", **robbed | {"change": both(robbed["change"], moody)}), 20)
    assert result.outcome in ({Outcome.VIOLATED, Outcome.UNTESTABLE} if fails else {Outcome.VIOLATED})
    assert result.finding


@pytest.fixture(scope="module")
def robbed(server: Server) -> tuple[Result, Judged]:
    """A shop that hands over again whatever was paid for."""
    return judged(server, fault("robbed", **returning(lambda first, brought: first.path == brought.path)))


@pytest.fixture(scope="module")
def sound(server: Server) -> tuple[Result, Judged]:
    """A shop that is as the sandbox is."""
    return judged(server, fault("sound", goods=_V2))


def evidence(result: Result, found: Judged, program: str) -> Evidence:
    """What was decided on for a program, by the beginning of what was done."""
    profile = found.report.profile
    for labels in result.evidence:
        exchanges = {label: result.exchanges[key] for label, key in labels.items()}
        if "; ".join(step.told for step in steps(exchanges, profile)).startswith(program):
            return Evidence(profile=profile, at=None, exchanges=exchanges)
    raise LookupError(program)


def decided(given: Evidence) -> tuple[Outcome, str]:
    """The outcome, and what is said of it."""
    outcome, finding = run.decided(CHECK, given, catalogue.load().requirements[ROW].level)
    return outcome, str(finding and (finding.received or finding.reason))


def test_a_finding_is_a_story(robbed: tuple[Result, Judged]) -> None:
    """It says which step went wrong and why, and tells what was sent, what came back and what was charged."""
    result, found = robbed
    assert result.finding
    assert result.finding.received == "step 2, replay 1: served, though payment 1 was used at step 1, pay weather"
    assert result.finding.at == "pay weather; replay 1"
    first, second = result.finding.steps.split("\n")
    assert first.startswith("1. pay weather; payment 1, of version 2, is 10000 of 0x036CbD53")
    assert first.endswith(": 200 OK with the marker, in the body; verify, settle; charged")
    assert second == ("2. replay 1: 200 OK with the marker, in the body; no call to the facilitator; nothing charged")
    told = list(summary(found.report))
    at = next(number for number, line in enumerate(told) if line.startswith("  steps     1. pay weather; payment 1"))
    assert any(line.startswith("            2. replay 1: 200 OK") for line in told[at:])


def test_programs_are_decided_again_from_the_report(
    robbed: tuple[Result, Judged], sound: tuple[Result, Judged]
) -> None:
    """The row comes to the same from what the report says, green or red."""
    for _, found in (robbed, sound):
        report = json.loads(json.dumps(to_json(found.report)))
        assert [told for told in review(report) if told.requirement == ROW] == []


def test_a_second_charge_is_seen(sound: tuple[Result, Judged]) -> None:
    """No honest ledger charges twice: so the facilitator's word is altered."""
    given = evidence(*sound, "pay weather; replay 1")
    step, again = steps(given.exchanges, given.profile)[:2]
    paid = given.exchange(step.labels[0]).paid
    assert paid
    moved = [call for call in paid.calls if call.moved]
    odd = replace(given.exchange(again.labels[0]), paid=replace(paid, calls=tuple(moved)))
    altered = replace(given, exchanges={**given.exchanges, again.labels[0]: odd})
    assert decided(altered) == (
        Outcome.VIOLATED,
        "step 2, replay 1: payment 1 is charged, after step 1, pay weather",
    )


def test_what_nobody_was_charged_for_is_not_served(sound: tuple[Result, Judged]) -> None:
    """A first answer without a charge is seen too."""
    given = evidence(*sound, "pay weather; replay 1")
    (here,) = steps(given.exchanges, given.profile)[0].labels
    exchange = given.exchange(here)
    odd = replace(exchange, paid=exchange.paid and exchange.paid.followed_by())
    altered = replace(given, exchanges={**given.exchanges, here: odd})
    assert decided(altered) == (
        Outcome.VIOLATED,
        "step 1, pay weather: served, though payment 1 was never charged",
    )


def test_no_program_is_no_pass(sound: tuple[Result, Judged]) -> None:
    """Evidence from which the steps were taken away holds nothing."""
    given = evidence(*sound, "pay weather; replay 1")
    kept = {label: exchange for label, exchange in given.exchanges.items() if not label.startswith("program ")}
    assert decided(replace(given, exchanges=kept))[0] is Outcome.UNTESTABLE
    assert decided(replace(given, exchanges={}))[0] is Outcome.ERROR


def test_what_was_bought_before_a_restart_shows_nothing_of_who_is_asked_after_it(sound: tuple[Result, Judged]) -> None:
    """A server that turns every payment away, once it was started anew, is not seen to refuse those that are used."""
    given = evidence(*sound, "pay weather; pay satellite")
    first, *others = steps(given.exchanges, given.profile)
    refusal = given.exchange(unpaid_at(first.endpoint)).response
    shut = dict(given.exchanges)
    for here in (here for step in others for here in step.labels):
        paid = shut[here].paid
        shut[here] = replace(shut[here], response=refusal, paid=paid and replace(paid, calls=()))
    assert decided(replace(given, exchanges=shut))[0] is Outcome.PASSED
    shut[f"{first.labels[0]}{BEFORE}"] = shut.pop(first.labels[0])
    assert decided(replace(given, exchanges=shut))[0] is Outcome.UNTESTABLE


def test_a_place_that_serves_without_settling_is_left_to_its_own_row(server: Server) -> None:
    """Where the good payment is not charged the row is untestable, and names the row that is red for it."""
    flaws = {"asks": lambda kind, asked: None if kind == "settle" else asked}
    heard = hears(lambda told: told.kind == "settle")
    result, _ = judged(server, fault("unsettled", **flaws, hears=heard))
    assert result.outcome is Outcome.UNTESTABLE
    assert result.finding
    assert result.finding.cause == "x402.settlement.served-is-settled"


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(programs())
def test_a_program_is_bounded_and_begins_with_a_payment(program: str) -> None:
    """One to eight steps, and the first is one that later ones can speak of."""
    first, *more = map(parsed, program.split("; "))
    assert len(more) <= 7
    assert isinstance(first, Fresh)
    assert first.verb in {*FAULTS, "race"}
    assert not first.when


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(programs_after())
def test_what_was_done_before_a_restart_comes_first(program: str) -> None:
    """The first step is a payment of the stock, and none of the stock comes after one that is not."""
    said = [parsed(step) for step in program.split("; ")]
    assert len(said) <= 8
    stock = [(step.verb, step.when) in STOCK for step in said if isinstance(step, Fresh) and step.when]
    assert stock
    assert all(stock)
    assert all(isinstance(step, Fresh) and step.when for step in said[: len(stock)])


def test_each_step_that_is_always_asked_after_a_restart_says_something() -> None:
    """Whatever stands in the stock is asked for, and more than one way to use it again."""
    said = [parsed(step) for program in KNOWN_AFTER for step in program.split("; ")]
    made = {(step.verb, step.when) for step in said if isinstance(step, Fresh)}
    assert made == {*STOCK, ("pay", "")} - {("refuse", BEFORE)}
    assert {(bool(step.twin), bool(step.other), step.copies) for step in said if isinstance(step, Again)} > {
        (True, True, 1)
    }


def test_a_program_shrinks_to_a_payment_and_what_matters() -> None:
    """Steps are taken away, numbers and places become the first, and nothing is left that does not matter."""
    wanted = re.compile("lose .; replay")
    few = hypothesis.settings(max_examples=500, derandomize=True, database=None)
    found = hypothesis.find(programs(), lambda program: bool(wanted.search(program)), settings=few)
    assert found == "lose a; replay 1"
    wanted = re.compile("lose .( before the restart|, which expires); replay")
    found = hypothesis.find(programs_after(), lambda program: bool(wanted.search(program)), settings=few)
    assert found == "lose a before the restart; replay 1"
    assert len(KNOWN) == len(set(KNOWN))
