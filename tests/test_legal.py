"""No check cries wolf: wherever a source leaves a choice, each choice is a server in which nothing is red."""

from collections.abc import Iterator

import pytest
from judging import ANY_BODY, IN_A_BROWSER, UNPAID, judged_as, sandbox_profile
from legal import LEGAL, RECORDED_LEGAL, RecordedLegal
from serving import Altered, served
from variant import Legal

from conformance import catalogue, checks
from conformance.evidence import Evidence
from conformance.outcome import Outcome, Verdict
from conformance.run import decided

REQUIREMENTS = catalogue.load().requirements


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Altered, str]]:
    with served() as found:
        yield found


def a_name(entry: Legal | RecordedLegal) -> str:
    return entry.name


# What the sandbox advertises of itself would be untrue of most of them.
_UNTOLD = {"/.well-known/x402": "/nothing", "/openapi.json": "/nothing"}


@pytest.mark.parametrize("legal", LEGAL, ids=a_name)
def test_a_legal_variant_turns_red_nothing(legal: Legal, server: tuple[Altered, str]) -> None:
    """Every requirement holds or does not apply, a MAY notes only what the table says, and the verdict is the best."""
    run = judged_as(
        server,
        change=legal.does,
        where=legal.where,
        sells={**_UNTOLD, **legal.sells},
        relay=legal.relay,
        edit=legal.edit,
        examples=2,
    )
    wrong = run.of(Outcome.VIOLATED, Outcome.UNMET, Outcome.ERROR, Outcome.UNTESTABLE)
    assert [f"{r.requirement} at {r.endpoint!r}: {r.outcome}: {r.finding}" for r in wrong] == []
    assert {r.requirement for r in run.red()} == legal.notes
    assert run.verdict is Verdict.CONFORMANT


@pytest.mark.parametrize("recorded", RECORDED_LEGAL, ids=a_name)
def test_recorded_evidence_of_a_correct_target_turns_red_nothing(recorded: RecordedLegal) -> None:
    """A target on the internet that does it otherwise than ours is not red for that."""
    profile = sandbox_profile(recorded.base_url)
    requirement = REQUIREMENTS[recorded.allows.partition(":")[0]]
    check = next(c for found in checks.load().values() for c in found if c.requirement == requirement.id)
    evidence = Evidence(
        profile=profile,
        at=profile.endpoints[0] if requirement.scope == "endpoint" else None,
        exchanges={recorded.label: recorded.exchange} if recorded.exchange else {},
    )
    outcome, finding = decided(check, evidence, requirement.level)
    assert outcome in {Outcome.PASSED, Outcome.INAPPLICABLE}, finding


def test_whatever_the_catalogue_allows_is_a_legal_variant() -> None:
    """Each ``allowed`` of the catalogue is shown by a variant, and no variant names one that is not there."""
    judged_here = [r for r in catalogue.load().judged() if r.cls in UNPAID and r.id not in {ANY_BODY, *IN_A_BROWSER}]
    allowed = {f"{r.id}: {phrase}" for r in judged_here for phrase in r.allowed}
    named = {phrase for legal in LEGAL for phrase in legal.allows}
    named |= {recorded.allows for recorded in RECORDED_LEGAL if ":" in recorded.allows}
    assert named == allowed


def test_no_two_variants_have_the_same_name() -> None:
    """A name in a report of this suite means one entry of the table."""
    names = [entry.name for entry in (*LEGAL, *RECORDED_LEGAL)]
    assert len(set(names)) == len(names)
