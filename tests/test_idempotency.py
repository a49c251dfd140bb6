"""The tables of idempotency keys: each wrong cashier is seen, no other one is, and silence is no proof."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from cashier import Cashier, Ways, cashier
from fault_idempotency import FAULTS, UNPROVEN, Keyed, keys
from judging import Judged, judged
from legal_idempotency import LEGAL

from conformance import catalogue, checks
from conformance.catalogue import Level
from conformance.evidence import Evidence
from conformance.keyed import LAST
from conformance.outcome import Outcome, Verdict
from conformance.report.terminal import last_line
from conformance.run import Result, decided

REQUIREMENTS = catalogue.load().requirements
SCORED = frozenset(id for edition in catalogue.editions().values() for id in edition.classes["idempotency"])
Server = tuple[Cashier, str]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with cashier() as found:
        yield found


def a_name(entry: Keyed) -> str:
    return entry.name


def written(document: dict[str, Any]) -> None:
    """The profile of the cashier."""
    document["endpoint"] = [
        {
            "name": "charges",
            "method": "POST",
            "path": "/charges",
            "form": {"amount": "1000", "currency": "eur"},
            "answers": ["decline", "paywall"],
            "marker": "captured",
            "identity": "cyd",
            "paid_identity": "ada",
            "witness": {"path": "/runs", "pointer": "/n"},
        }
    ]
    document["answer"] = [
        {"name": "decline", "family": "decline", "when": {"jmespath": "code == 'declined'"}},
        {"name": "paywall", "family": "paywall", "when": {"jmespath": "code == 'upgrade'"}},
    ]
    document["identity"] = {name: {"headers": {"X-Account": name}} for name in ("ada", "bob", "cyd")}
    document["idempotency"] = {"convention": "stripe"}
    document["limits"] = {"rounds": 3, "volley": 10, "max_examples": 25}


def run_of(entry: Keyed, server: Server) -> Judged:
    here, base_url = server
    here.begin(entry.ways)

    def edit(document: dict[str, Any]) -> None:
        written(document)
        if entry.edit:
            entry.edit(document)

    return judged(base_url, claims=["idempotency"], edit=edit, examples=2)


@pytest.mark.parametrize("fault", FAULTS, ids=a_name)
def test_a_cashier_that_is_wrong_turns_red_what_the_table_says(fault: Keyed, server: Server) -> None:
    """Exactly the listed requirements break, and what is untestable follows from them."""
    run = run_of(fault, server)
    told = {f"{r.requirement}: {r.finding}" for r in run.red()}
    assert {r.requirement for r in run.red()} == fault.ids, told
    assert run.of(Outcome.ERROR) == []
    causes = {(r.requirement, r.finding and r.finding.cause) for r in run.of(Outcome.UNTESTABLE)}
    assert {cause for _, cause in causes} <= fault.ids, causes
    if any(REQUIREMENTS[id].level is Level.MUST for id in fault.ids):
        assert run.verdict is Verdict.NOT_CONFORMANT


@pytest.mark.parametrize("legal", LEGAL, ids=a_name)
def test_a_cashier_that_is_right_turns_red_nothing(legal: Keyed, server: Server) -> None:
    """Every requirement holds or does not apply, and the verdict is the best."""
    run = run_of(legal, server)
    wrong = run.red() + run.of(Outcome.ERROR, Outcome.UNTESTABLE)
    assert [f"{r.requirement}: {r.outcome}: {r.finding}" for r in wrong] == []
    assert run.verdict is Verdict.CONFORMANT


@pytest.mark.parametrize("unproven", UNPROVEN, ids=a_name)
def test_what_is_not_seen_of_a_key_is_not_said_to_hold(unproven: Keyed, server: Server) -> None:
    """Nothing is red, exactly what is listed is untestable, and one such MUST keeps a run from conformant."""
    run = run_of(unproven, server)
    assert [f"{r.requirement}: {r.finding}" for r in run.red() + run.of(Outcome.ERROR)] == []
    told = {f"{r.requirement}: {r.finding}" for r in run.of(Outcome.UNTESTABLE)}
    assert {r.requirement for r in run.of(Outcome.UNTESTABLE)} == unproven.ids, told
    must = any(REQUIREMENTS[id].level is Level.MUST for id in unproven.ids)
    assert run.verdict is (Verdict.INCOMPLETE if must else Verdict.CONFORMANT)


def test_every_scored_requirement_of_keys_has_a_fault() -> None:
    """No check on a key that an edition scores is one that cannot fail."""
    assert {id for fault in FAULTS for id in fault.ids} == SCORED


def test_every_allowed_phrase_of_keys_has_a_variant() -> None:
    """Each ``allowed`` of a row on keys is shown by a cashier, and none names one that is not there."""
    allowed = {f"{id}: {phrase}" for id in SCORED for phrase in REQUIREMENTS[id].allowed}
    assert {phrase for legal in LEGAL for phrase in legal.allows} == allowed


def test_in_production_no_key_is_sent(server: Server) -> None:
    """What may cost something at each request is not asked of a target that is in use."""

    def edit(document: dict[str, Any]) -> None:
        document["target"]["environment"] = "production"

    run = run_of(Keyed(name="", ways=Ways(), edit=edit), server)
    assert {r.outcome for r in run.results.values()} == {Outcome.UNTESTABLE}
    assert [exchange for r in run.results.values() for exchange in r.exchanges] == []


def test_who_claims_nothing_and_is_served_nowhere_is_not_judged_by_keys(server: Server) -> None:
    """A profile that inherits a convention and names nobody who pays has no verdict on keys, and asks none."""

    def edit(document: dict[str, Any]) -> None:
        del document["claims"], document["endpoint"][0]["paid_identity"]

    run = run_of(Keyed(name="", ways=Ways(), edit=edit), server)
    assert "idempotency" in run.report.unjudged
    assert not [id for id, _ in run.results if id.startswith("idempotency.")]


def test_who_claims_nothing_needs_no_second_account(server: Server) -> None:
    """Whose answer a key brings to another is a question to those who claim the class."""

    def edit(document: dict[str, Any]) -> None:
        del document["claims"], document["identity"]["bob"]

    run = run_of(Keyed(name="", ways=Ways(), edit=edit), server)
    assert run.results["idempotency.another-caller", "charges"].outcome is Outcome.INAPPLICABLE
    assert run.results["idempotency.not-to-the-refused", "charges"].outcome is Outcome.PASSED


def test_a_key_that_may_be_forgotten_shows_nothing_of_other_requests(server: Server) -> None:
    """Who keeps keys for a minute is not asked about one that is older, whoever took so long."""
    run = run_of(Keyed(name="", ways=Ways(mismatch=lambda _: None), edit=keys(retention=60)), server)
    result = run.results["idempotency.mismatch", "charges"]
    (labels,) = result.evidence
    had = {
        label: replace(result.exchanges[key], at=61.0 * label.startswith("used key")) for label, key in labels.items()
    }
    evidence = Evidence(profile=run.report.profile, at=run.report.profile.endpoints[0], exchanges=had)
    (own,) = (one for every in checks.load().values() for one in every if one.requirement == result.requirement)
    assert (result.outcome, decided(own, evidence, Level.SHOULD)[0]) == (Outcome.UNMET, Outcome.UNTESTABLE)


@pytest.mark.parametrize(("seconds", "told"), [(59, True), (60, False)])
def test_keys_that_soon_are_forgotten_are_told_in_the_last_line(server: Server, seconds: int, told: bool) -> None:
    """Whoever keeps keys for less than a minute is not asked about them later, which a reader is to know."""
    run = run_of(Keyed(name="", ways=Ways(), edit=keys(retention=seconds)), server)
    assert run.verdict is Verdict.CONFORMANT
    assert (f"; keys that count for {seconds} s by the profile" in last_line(run.report)) is told
    (labels,) = run.results["idempotency.runs-once", "charges"].evidence
    assert (LAST in labels) is not told


def test_what_was_asked_under_keys_is_decided_the_same_from_a_report(server: Server) -> None:
    """The exchanges of a run, written down and read again, come to the same outcomes without a target."""
    deciding = {check.requirement: check for found in checks.load().values() for check in found}
    for entry in (LEGAL[0], FAULTS[0]):
        run = run_of(entry, server)
        for (id, _), result in run.results.items():
            again = Result.from_json(json.loads(json.dumps(result.to_json())))
            evidence = Evidence(
                profile=run.report.profile,
                at=run.report.profile.endpoints[0],
                exchanges={label: again.exchanges[key] for labels in again.evidence for label, key in labels.items()},
            )
            told = decided(deciding[id], evidence, REQUIREMENTS[id].level)
            assert told == (result.outcome, result.finding), id
