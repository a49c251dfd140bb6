"""Payments in whatever order: which shops a program finds, which it leaves alone, and what it says of them.

The row stands apart from the tables in ``test_paid_faults.py``: it asks as often as a whole group of rows there, about
the same shops.
"""

import itertools
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import hypothesis
import pytest
from careless import authorization
from fault_replay import REPLAYED, forgetful, returning
from judging import Judged, judged_paid
from legal_guard import LEGAL_GUARD
from legal_settlement import LEGAL_SETTLEMENT
from paid_fault import PaidFault, PaidLegal, fault, legal
from serving import Answer
from settling import both, hears, served
from shop import Brought, Change, Shop, Told, shop

from conformance import catalogue, checks, facilitator, run
from conformance.evidence import Evidence
from conformance.facilitator.authorization import Reason
from conformance.outcome import Outcome
from conformance.programs import FAULTS, KNOWN, programs, steps
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


def _heard_as_yes(when: Callable[[Told], bool], then: Callable[[Told], bool]) -> dict[str, Any]:
    """A shop without a memory of its own that takes a settlement for good, ``then``, once there was one ``when``."""
    seams = forgetful()
    odd: set[str] = set()

    def noted(told: Told) -> bool:
        nonce = told.nonce.partition("#")[0]
        if told.kind == "settle" and when(told):
            odd.add(nonce)
            return False
        return told.kind == "settle" and nonce in odd and then(told)

    return seams | {"hears": hears(noted, "settle")}


def _says(told: Told, word: str) -> bool:
    return isinstance(told.document, dict) and told.document.get("errorReason") == word


def _is_used(told: Told) -> bool:
    return _says(told, Reason.USED)


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


FOUND: tuple[PaidFault, ...] = (
    fault(
        "it forgets a payment once two others were made",
        **_returning_after(lambda _, __, since: len({_nonce(b) for b in since if b.value}) >= 2),
    ),
    fault("a settlement that was refused once is never used up", **_heard_as_yes(lambda t: not t.good, _is_used)),
    fault("two copies at once, and it forgets the payment", **_raced()),
    fault(
        "whoever lost the answer to a settlement may come again, and again",
        **_heard_as_yes(lambda told: told.failed, _is_used),
    ),
    fault(
        "whoever waits for a settlement may come again, and again",
        **_heard_as_yes(lambda told: _says(told, "settlement_pending"), lambda told: not told.good),
    ),
    fault("whoever paid for nothing may choose something else", **_bought_elsewhere(), goods=_V2),
)
"""Shops that it takes three requests or more to see through, and a program that is always asked."""

DRAWN: tuple[PaidFault, ...] = (
    fault(
        "it forgets who paid as soon as somebody asks without paying",
        **_returning_after(lambda _, __, since: any(not brought.value for brought in since)),
    ),
    fault(
        "it gives in when it was asked twice in vain",
        **_returning_after(lambda first, _, since: [b.value for b in since].count(first.value) >= 2),
    ),
    fault(
        "it forgets a payment for one good when another is bought",
        **_returning_after(lambda first, _, since: any(b.value and b.path != first.path for b in since)),
        goods=_V2,
    ),
)
"""Shops that none of the programs sees through that are always asked first."""


def judged(server: Server, entry: PaidFault | PaidLegal, examples: int = 2) -> tuple[Result, Judged]:
    """What the row comes to."""
    found = judged_paid(server, goods=entry.goods, only=(ROW,), edit=entry.edit, examples=examples, **entry.flaws)
    (result,) = found.results.values()
    return result, found


@pytest.mark.parametrize("entry", [*FOUND, *REPLAYED], ids=lambda entry: entry.name)
def test_what_is_wrong_is_found_with_a_program_that_is_always_asked(server: Server, entry: PaidFault) -> None:
    """The shops of the table of replays, and those that it takes several steps to see through."""
    examples = 40 if "content of a request" in entry.name else 2
    result, _ = judged(server, entry, examples)
    assert result.outcome is Outcome.VIOLATED
    assert result.finding
    assert len(result.finding.at.split("; ")) <= 4, result.finding


@pytest.mark.parametrize("entry", DRAWN, ids=lambda entry: entry.name)
def test_what_nobody_thought_of_is_drawn(server: Server, entry: PaidFault) -> None:
    """A sequence that no example shows is found, and shrinks to a few steps that are told one by one."""
    result, _ = judged(server, entry, 100)
    assert result.outcome is Outcome.VIOLATED
    assert result.finding
    program = result.finding.at.split("; ")
    assert 3 <= len(program) <= 5, program
    assert [line.partition(":")[0].partition(";")[0] for line in result.finding.steps.split("\n")] == [
        f"{number}. {step}" for number, step in enumerate(program, 1)
    ]


def _in_the_end() -> Change:
    """Refuses for good what was refused, or not answered, once."""
    refused: set[str] = set()

    def change(brought: Brought, answer: Answer) -> None:
        if answer.status >= 400:
            refused.add(_nonce(brought))
        elif _nonce(brought) in refused and served(answer):
            answer.become(409, "refused")

    return change


def _made_good(word: str) -> dict[str, Any]:
    """A shop that looks up what became of a settlement, and then owes one answer."""
    owed: set[str] = set()

    def opens(brought: Brought) -> bool:
        if (nonce := _nonce(brought)) in owed:
            owed.discard(nonce)
            return True
        return False

    def noted(told: Told) -> None:
        if told.kind == "settle" and (told.failed if word == "lost" else _says(told, word)):
            owed.add(told.nonce)

    return {"opens": opens, "hears": noted}


_OTHERS = (
    *("it settles once more", "it takes two settlements", "it charges", "it settles nothing", "it settles 0"),
    *("what is pending is", "it takes one payment", "its handler", "it turns away", "it asks a second"),
    *("the price rises", "what is sold is paid by", "a second way"),
)
LEGAL: tuple[PaidLegal, ...] = (
    *(entry for entry in (*LEGAL_SETTLEMENT, *LEGAL_GUARD) if entry.name.startswith(_OTHERS)),
    legal(
        "it is as the sandbox is",
        f"{ROW}: a refused payment that comes again, taken or refused for good",
        goods=("/almanac", "/report", "/satellite"),
    ),
    legal(
        "what was refused once is refused for good",
        f"{ROW}: a refused payment that comes again, taken or refused for good",
        rewrite=None,
    ),
)
