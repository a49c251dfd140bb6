"""Examples that are drawn: what ends them, what is asked again, and what a finding is when the target has moods."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import strategies as st

from conformance import catalogue, profile
from conformance.checks import Check, Drawn
from conformance.evidence import Evidence
from conformance.exchange import Exchange, Request
from conformance.outcome import Outcome, Untestable, Violation
from conformance.probe import Probe
from conformance.purse import Means, Purse
from conformance.redaction import Redactor
from conformance.rows import Row
from conformance.run import Result, Run
from conformance.wire import Wire

SANDBOX = profile.load("sandbox", cwd=Path.cwd(), environ=os.environ).at("http://127.0.0.1:4020")
ROW = Row(requirement=catalogue.load().requirements["x402.settlement.any-order"], endpoint="")
PASSING = 25


def judged(decides: Callable[[str, int], None], per: int = 1) -> tuple[Result, list[str]]:
    """What numbers from 0 to 999 come to, and which were asked; ``decides`` is told the number and how many came before."""
    asked: list[str] = []

    def ask(probe: Probe, value: str) -> None:
        probe.kept[f"{len(asked)}: {value}"] = Exchange(request=Request(method="GET", url="http://127.0.0.1/"))
        asked.append(value)

    def decide(evidence: Evidence) -> None:
        (label,) = evidence.exchanges
        nth, _, value = label.partition(": ")
        decides(value, int(nth))

    drawn = Drawn(values=lambda _: st.integers(0, 999).map(str), examples=(), ask=ask, per=per)
    redactor = Redactor.of({})
    wire = Wire(timeout=1, limits=SANDBOX.limits, redactor=redactor, hosts=frozenset())
    purse = Purse(profile=SANDBOX, means=Means(), redactor=redactor)
    run = Run(profile=SANDBOX, edition=catalogue.editions()[SANDBOX.edition], wire=wire, purse=purse)
    check = Check(requirement=ROW.requirement.id, gathers=(), decide=decide, drawn=drawn)
    run._checks[check.requirement] = check
    try:
        return run.judge(ROW), asked
    finally:
        wire.close()


def wrong(value: str, nth: int) -> Violation:
    """A violation that says which."""
    return Violation(expected="", received=value, exchange=f"{nth}: {value}")


@pytest.mark.parametrize(("per", "many"), [(1, PASSING), (2, PASSING // 2)])
def test_as_many_are_drawn_as_the_limits_say(per: int, many: int) -> None:
    """A check whose examples are dear draws a part of them."""
    result, asked = judged(lambda *_: None, per)
    assert result.outcome is Outcome.PASSED
    assert len(asked) == len(result.evidence) == many


def test_what_is_wrong_is_made_smaller() -> None:
    """The finding is about the smallest, and nothing is asked twice for it."""

    def decides(value: str, nth: int) -> None:
        if int(value) >= 7:
            raise wrong(value, nth)

    result, asked = judged(decides)
    assert result.finding
    assert result.finding.received == "7"
    assert len(asked) < 90


def test_what_cannot_be_asked_any_more_does_not_hide_what_was_wrong() -> None:
    """A target that breaks down while an example is made smaller is violated all the same."""
    broken: list[int] = []

    def decides(value: str, nth: int) -> None:
        if broken and nth > broken[0] + 2:
            raise Untestable("it is down")
        if int(value) >= 7:
            broken.append(nth)
            raise wrong(value, nth)

    result, _ = judged(decides)
    assert result.outcome is Outcome.VIOLATED


def test_shrinking_has_an_end() -> None:
    """However long it would go on, no more than 60 further examples are asked."""
    first: list[int] = []

    def decides(value: str, nth: int) -> None:
        if hash((value, nth)) % 2 or int(value) > 500:
            first.append(nth)
            raise wrong(value, nth)

    result, asked = judged(decides)
    assert result.outcome is Outcome.VIOLATED
    assert len(asked) <= first[0] + 1 + 60


@pytest.mark.parametrize("seed", range(5))
def test_moods_are_no_traceback(seed: int) -> None:
    """A target that is wrong at random is violated, whatever Hypothesis thinks of it."""
    dice = random.Random(seed)

    def decides(value: str, nth: int) -> None:
        if dice.random() < 0.3:
            raise wrong(value, nth)

    result, _ = judged(decides)
    assert result.outcome is Outcome.VIOLATED
    assert result.finding
    assert list(result.evidence[0]) == [result.finding.exchange]


def test_what_cannot_be_asked_is_believed_and_not_made_smaller() -> None:
    """A hiccup leaves the requirement open: nothing is asked after it."""

    def decides(_: str, nth: int) -> None:
        if nth == 3:
            raise Untestable("a hiccup")

    result, asked = judged(decides)
    assert result.outcome is Outcome.UNTESTABLE
    assert len(asked) == 4
