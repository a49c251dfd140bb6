"""The table of effects: each careless account is seen, no careful one is, and what nothing shows is not said to hold."""

from collections.abc import Iterator

import pytest
from accounts import Effect, Server, accounting, judged_flows
from fault_flows import FAULTS, LEGAL, UNPROVEN

from conformance import catalogue, flows
from conformance.catalogue import Level
from conformance.outcome import Outcome, Verdict

REQUIREMENTS = catalogue.load().requirements


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with accounting() as found:
        yield found


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What reads otherwise than it should is read on for a shorter time."""
    monkeypatch.setattr(flows, "_LATE", 0.3)
    monkeypatch.setattr(flows, "_PAUSE", 0.1)


def a_name(entry: Effect) -> str:
    return entry.name


@pytest.mark.parametrize("entry", (*FAULTS, *LEGAL, *UNPROVEN), ids=a_name)
def test_an_effect_turns_red_what_the_table_says_and_nothing_else(entry: Effect, server: Server) -> None:
    """Exactly the listed requirements break, and what cannot be asked follows from them or stands in the table."""
    run = judged_flows(server, entry)
    told = {f"{r.requirement} at {r.endpoint!r}: {r.outcome}: {r.finding}" for r in run.results.values() if r.finding}
    assert {r.requirement for r in run.red()} == entry.red, told
    assert {r.requirement for r in run.of(Outcome.ERROR)} == entry.errors, told
    causes = {(r.requirement, r.finding.cause) for r in run.of(Outcome.UNTESTABLE) if r.finding}
    assert {cause for _, cause in causes if cause} <= entry.red | entry.errors, told
    assert {id for id, cause in causes if not cause} == entry.untestable, told
    if any(REQUIREMENTS[id].level is Level.MUST for id in entry.red):
        assert run.verdict is Verdict.NOT_CONFORMANT
    elif not entry.red and not entry.untestable and not entry.errors:
        assert run.verdict is Verdict.CONFORMANT


def test_every_scored_requirement_of_flows_has_a_fault() -> None:
    """No check on effects that an edition scores is one that cannot fail."""
    scored = {id for edition in catalogue.editions().values() for id in edition.classes["flows"]}
    assert {id for entry in FAULTS for id in entry.red} == scored


def test_every_allowed_phrase_of_flows_has_a_variant() -> None:
    """Each ``allowed`` of a row on effects is shown by a variant, and no variant names one that is not there."""
    allowed = {f"{r.id}: {phrase}" for r in REQUIREMENTS.values() if r.cls == "flows" for phrase in r.allowed}
    assert {phrase for entry in LEGAL for phrase in entry.allows} == allowed


def test_no_two_entries_of_flows_have_the_same_name() -> None:
    """A name in a report of this suite means one entry of the tables."""
    names = [entry.name for entry in (*FAULTS, *LEGAL, *UNPROVEN)]
    assert len(set(names)) == len(names)
