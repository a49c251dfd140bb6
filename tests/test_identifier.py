"""Class x402/identifier: each shop of its tables turns red what its entry says, and a correct one nothing."""

import json
from collections.abc import Iterator

import pytest
from careless import every_402, spoilt
from fault_identifier import IDENTIFIED, called
from judging import judged_paid
from legal_identifier import LEGAL_IDENTIFIED
from paid_fault import PaidFault, PaidLegal
from serving import Answer
from settling import served
from shop import Brought, Shop, shop

from conformance import catalogue, facilitator
from conformance.outcome import Outcome, Verdict
from conformance.protocols.x402.identifier import IDENTIFIER
from conformance.report.document import to_json
from conformance.report.review import review

ROWS = ("x402.identifier.",)
JUDGED = [r for r in catalogue.load().judged() if r.cls == "x402/identifier"]

Server = tuple[Shop, str, facilitator.Running]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with shop() as found:
        yield found


def a_name(entry: PaidFault | PaidLegal) -> str:
    return entry.name


@pytest.mark.parametrize("fault", IDENTIFIED, ids=a_name)
def test_a_fault_turns_red_what_the_table_says_and_nothing_else(server: Server, fault: PaidFault) -> None:
    """Exactly the listed requirements break, and what can then not be asked says because of which."""
    crowded = any("in-flight" in id for id in fault.red)
    only = tuple(row.id for row in JUDGED if crowded or "in-flight" not in row.id)
    run = judged_paid(server, goods=fault.goods, edit=fault.edit, only=only, **fault.flaws)
    told = {f"{row.requirement} at {row.endpoint!r}: {row.finding}" for row in run.red()}
    assert {row.requirement for row in run.red()} == fault.red, told
    assert run.of(Outcome.ERROR) == []
    causes = {row.finding.cause for row in run.of(Outcome.UNTESTABLE) if row.finding}
    assert causes <= fault.red, run.of(Outcome.UNTESTABLE)


@pytest.mark.parametrize("legal", LEGAL_IDENTIFIED, ids=a_name)
def test_a_legal_variant_turns_red_nothing(server: Server, legal: PaidLegal) -> None:
    """Every requirement holds or does not apply."""
    run = judged_paid(server, goods=legal.goods, edit=legal.edit, only=ROWS, **legal.flaws)
    wrong = run.of(Outcome.VIOLATED, Outcome.UNMET, Outcome.ERROR, Outcome.UNTESTABLE)
    assert [f"{row.requirement} at {row.endpoint!r}: {row.outcome}: {row.finding}" for row in wrong] == []


def test_every_requirement_has_a_shop_that_breaks_it() -> None:
    """No check of an identifier is one that cannot fail."""
    assert {id for fault in IDENTIFIED for id in fault.red} == {row.id for row in JUDGED}


def test_whatever_the_catalogue_allows_is_a_legal_variant() -> None:
    """Each ``allowed`` of the class is shown by a shop, and no shop names one that is not there."""
    allowed = {f"{row.id}: {phrase}" for row in JUDGED for phrase in row.allowed}
    assert {phrase for legal in LEGAL_IDENTIFIED for phrase in legal.allows} == allowed


def test_without_the_extension_nothing_is_asked(server: Server) -> None:
    """Where no offer of version 2 advertises it, each requirement does not apply, and nothing is sent under a name."""
    run = judged_paid(server, goods=("/weather", "/forecast"), only=ROWS)
    assert {row.outcome for row in run.results.values()} == {Outcome.INAPPLICABLE}
    sent = {label for row in run.results.values() for labels in row.evidence for label in labels}
    assert not [label for label in sent if "identifier" in label]


def test_a_server_that_only_advertises_is_conformant_all_the_same(server: Server) -> None:
    """An identifier may be the facilitator's business: what the server leaves undone is no violation."""
    alone = next(fault for fault in IDENTIFIED if fault.name == "identifiers are left to its facilitator")
    run = judged_paid(server, goods=alone.goods, only=ROWS, **alone.flaws)
    assert run.of(Outcome.VIOLATED) == []
    assert run.verdict is Verdict.CONFORMANT


def test_a_pattern_of_its_own_is_not_held_against_a_server(server: Server) -> None:
    """Who advertises identifiers of another shape, and takes no other, is not judged by ours."""

    def alter(document: dict) -> None:
        if extension := document["extensions"].get(IDENTIFIER):
            extension["schema"]["properties"]["id"]["pattern"] = "^order_[0-9]{20}$"

    run = judged_paid(server, goods=("/report",), only=ROWS, change=every_402(alter), rewrite=spoilt(called))
    assert run.red() == []
    assert {row.requirement for row in run.of(Outcome.PASSED)} == {"x402.identifier.info"}


def test_a_settlement_that_is_asked_for_again_at_once_has_not_failed(server: Server) -> None:
    """Who was told no and then yes has served, and owes nothing when the payment comes again."""
    done: set[str] = set()

    def change(brought: Brought, answer: Answer) -> None:
        if served(answer):
            done.add(brought.value)

    run = judged_paid(
        server,
        goods=("/report",),
        only=("x402.identifier.failure-frees",),
        again=lambda told: "settle" if told[-1].kind == "settle" and not told[-1].good and len(told) == 1 else "",
        rewrite=spoilt(lambda brought: brought.value in done),
        change=change,
    )
    assert {row.outcome for row in run.results.values()} == {Outcome.INAPPLICABLE}, run.red()


def test_identifiers_are_decided_again_from_the_report(server: Server) -> None:
    """Each row comes to the same from what the report says, and the requests for it are few."""
    run = judged_paid(server, goods=("/report",), only=ROWS)
    report = json.loads(json.dumps(to_json(run.report)))
    assert [told for told in review(report) if told.requirement.startswith(ROWS)] == []
    sent = {label for row in run.results.values() for labels in row.evidence for label in labels}
    assert len([label for label in sent if "identifier" in label]) <= 40
