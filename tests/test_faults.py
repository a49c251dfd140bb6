"""Each fault of the table turns red what the table says and nothing else; the correct server turns red nothing."""

from collections.abc import Iterator

import pytest
from altering import TARGET, becomes, is_unpaid, when
from fault import Fault
from faults import FAULTS, RECORDED, Recorded
from judging import ANY_BODY, IN_A_BROWSER, UNPAID, Judged, judged_as, sandbox_profile
from serving import Altered, served
from unproven import UNPROVEN, Unproven

from conformance import catalogue, checks
from conformance.catalogue import Level
from conformance.evidence import Evidence
from conformance.outcome import Outcome, Verdict
from conformance.run import decided

Server = tuple[Altered, str]
REQUIREMENTS = catalogue.load().requirements
FEW = 2
"""Payments that are drawn for an entry of a table, where they are not what it is about."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served() as found:
        yield found


def run_of(fault: Fault, server: Server) -> Judged:
    return judged_as(
        server,
        change=fault.does,
        where=fault.where,
        relay=fault.relay,
        edit=fault.edit,
        secrets=fault.secrets,
        examples=FEW,
    )


def a_name(entry: Fault | Recorded | Unproven) -> str:
    return entry.name


@pytest.mark.parametrize("fault", FAULTS, ids=a_name)
def test_a_fault_turns_red_what_the_table_says_and_nothing_else(fault: Fault, server: Server) -> None:
    """Exactly the listed requirements break, only where the fault acts, and what they break follows from them."""
    run = run_of(fault, server)
    told = {f"{r.requirement} at {r.endpoint!r}: {r.finding}" for r in run.red()}
    assert {r.requirement for r in run.red()} == fault.red, told
    assert {r.endpoint for r in run.red()} <= {*fault.at, *TARGET}, told
    assert {r.requirement for r in run.of(Outcome.ERROR)} == fault.errors
    causes = {(r.requirement, r.finding.cause) for r in run.of(Outcome.UNTESTABLE) if r.finding}
    assert {cause for _, cause in causes if cause} <= fault.red | fault.errors, causes
    assert {id for id, cause in causes if not cause} == fault.untestable
    if any(REQUIREMENTS[id].level is Level.MUST for id in fault.red):
        assert run.verdict is Verdict.NOT_CONFORMANT
    else:
        assert run.verdict is not Verdict.NOT_CONFORMANT


def test_the_sandbox_without_a_fault_is_conformant(server: Server) -> None:
    """Nothing is red, nothing is left untestable, and every row was asked."""
    run = judged_as(server)
    assert run.red() == run.of(Outcome.ERROR, Outcome.UNTESTABLE) == []
    assert run.verdict is Verdict.CONFORMANT
    assert run.report.not_run == 0


def test_a_relay_that_changes_nothing_turns_red_nothing(server: Server) -> None:
    """What a relayed fault turns red comes of the fault, not of the relay."""
    run = judged_as(server, relay=lambda _, answer: answer)
    assert run.red() == run.of(Outcome.ERROR, Outcome.UNTESTABLE) == []


@pytest.mark.parametrize("unproven", UNPROVEN, ids=a_name)
def test_what_cannot_be_asked_is_not_said_to_hold(unproven: Unproven, server: Server) -> None:
    """Nothing is red, exactly what lacks its means is untestable, and one such MUST keeps a run from conformant."""
    run = judged_as(server, change=unproven.does, edit=unproven.edit, examples=FEW)
    assert [f"{r.requirement} at {r.endpoint!r}: {r.finding}" for r in run.red() + run.of(Outcome.ERROR)] == []
    assert {r.requirement for r in run.of(Outcome.UNTESTABLE)} == unproven.untestable
    must = any(REQUIREMENTS[id].level is Level.MUST for id in unproven.untestable)
    assert run.verdict is (Verdict.INCOMPLETE if must else Verdict.CONFORMANT)


def test_a_server_that_refuses_nobody_is_conformant_to_nothing(server: Server) -> None:
    """Where no 402 was ever seen, a class whose requirements are all SHOULD is no way to a good verdict."""
    run = judged_as(server, change=when(is_unpaid, becomes(200, "{}")), claims=["browser"], examples=FEW)
    assert run.red() == []
    assert run.verdict is Verdict.INCOMPLETE
    told = [reason for reason in run.report.reservations if "never seen to refuse" in reason]
    assert len(told) == len(run.report.profile.endpoints)


@pytest.mark.parametrize("recorded", RECORDED, ids=a_name)
def test_recorded_evidence_shows_a_fault_that_no_loopback_server_has(recorded: Recorded) -> None:
    """A target on the internet is judged by what was recorded of it."""
    profile = sandbox_profile(recorded.base_url, recorded.edit)
    requirement = REQUIREMENTS[recorded.requirement]
    check = next(c for found in checks.load().values() for c in found if c.requirement == requirement.id)
    evidence = Evidence(
        profile=profile,
        at=profile.endpoints[0] if requirement.scope == "endpoint" else None,
        exchanges={recorded.label: recorded.exchange} if recorded.exchange else {},
    )
    outcome, finding = decided(check, evidence, requirement.level)
    assert outcome is recorded.outcome, finding
    assert finding is not None


def test_every_scored_requirement_has_a_fault_that_breaks_it() -> None:
    """No check that an edition scores is one that cannot fail."""
    scored = {id for edition in catalogue.editions().values() for cls in UNPAID for id in edition.classes[cls]}
    assert {id for fault in FAULTS for id in fault.red} | {r.requirement for r in RECORDED} == scored - {
        ANY_BODY
    } - IN_A_BROWSER


def test_no_two_faults_have_the_same_name() -> None:
    """A name in a report of this suite means one entry of the table."""
    names = [entry.name for entry in (*FAULTS, *RECORDED, *UNPROVEN)]
    assert len(set(names)) == len(names)
