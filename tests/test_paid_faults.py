"""Each shop of the tables turns red what its entry says and nothing else; a correct one turns red nothing."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from judging import judged_paid
from paid_fault import EVERY, PaidFault, PaidLegal
from shop import shop
from shops import ASKED, FAULTS, LEGAL, NOTED, Server, judged, summed

from conformance import catalogue, checks
from conformance.catalogue import Level
from conformance.evidence import Evidence
from conformance.exchange import Exchange
from conformance.outcome import Outcome, Verdict
from conformance.paid import NOTHING
from conformance.run import decided


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with shop() as found:
        yield found


def a_name(entry: PaidFault | PaidLegal) -> str:
    return entry.name


@pytest.mark.parametrize("fault", FAULTS, ids=a_name)
def test_a_fault_turns_red_what_the_table_says_and_nothing_else(fault, server) -> None:
    """Of what it is asked about exactly the listed requirements break, only where the fault acts; nothing is an error."""
    run = judged(server, fault)
    red = [row for row in run.red() if row.requirement not in NOTED - fault.red]
    told = {f"{row.requirement} at {row.endpoint!r}: {row.finding}" for row in red}
    assert {row.requirement for row in red} == fault.red, told
    assert {f"/{row.endpoint}" for row in red} <= set(fault.at or fault.goods), told
    assert run.of(Outcome.ERROR) == []
    causes = {(row.requirement, row.cause) for row in run.of(Outcome.UNTESTABLE)}
    assert {cause for _, cause in causes if cause} <= fault.red, causes
    assert {id for id, cause in causes if not cause} == fault.untestable


@pytest.mark.parametrize("legal", LEGAL, ids=a_name)
def test_a_legal_variant_turns_red_nothing(legal, server) -> None:
    """Every requirement that it is asked about holds or does not apply."""
    run = judged(server, legal)
    wrong = run.of(Outcome.VIOLATED, Outcome.UNMET, Outcome.ERROR, Outcome.UNTESTABLE)
    assert [f"{row.requirement} at {row.endpoint!r}: {row.outcome}: {row.finding}" for row in wrong] == []
    assert {row.requirement for row in run.red()} - NOTED == legal.notes


def test_a_shop_without_a_flaw_is_conformant() -> None:
    """In both versions and both flows nothing is red, nothing untestable, and every row was asked."""
    with shop() as server:
        run = summed(judged_paid(server, goods=EVERY, slow=True))
    wrong = run.of(Outcome.VIOLATED, Outcome.UNMET, Outcome.ERROR, Outcome.UNTESTABLE)
    assert [f"{row.requirement} at {row.endpoint!r}: {row.finding}" for row in wrong] == []
    assert run.verdict is Verdict.CONFORMANT
    assert {row.requirement for row in run.red()} == NOTED


def test_a_charge_that_came_too_late_is_no_charge_for_nothing() -> None:
    """Who gave our facilitator up, on a machine that is too busy, did not know of the charge."""
    rule = "x402.settlement.every-charge-is-served"
    busy = next(fault for fault in FAULTS if fault.red == {rule})
    with shop() as server:
        run = judged_paid(server, goods=("/weather",), only=(rule,), **busy.flaws)
    result = run.results[rule, "weather"]
    assert result.outcome is Outcome.VIOLATED

    def later(exchange: Exchange) -> Exchange:
        paid = exchange.paid or NOTHING
        calls = tuple(replace(call, finished=(call.finished or 0) + 1) for call in paid.calls)
        return replace(exchange, paid=replace(paid, calls=calls))

    had = {label: later(result.exchanges[key]) for label, key in result.evidence[0].items()}
    profile = run.report.profile
    (check,) = (check for own in checks.load().values() for check in own if check.requirement == rule)
    outcome, _ = decided(check, Evidence(profile=profile, at=profile.endpoints[0], exchanges=had), Level.MUST)
    assert outcome is Outcome.UNTESTABLE


def test_every_scored_requirement_has_a_shop_that_breaks_it() -> None:
    """No check of a payment is one that cannot fail."""
    assert {id for fault in FAULTS for id in fault.red} == set(ASKED)


def test_whatever_the_catalogue_allows_is_a_legal_variant() -> None:
    """Each ``allowed`` of these classes is shown by a shop, and no shop names one that is not there."""
    allowed = {f"{r.id}: {phrase}" for r in catalogue.load().judged() if r.id in ASKED for phrase in r.allowed}
    assert {phrase for legal in LEGAL for phrase in legal.allows} == allowed


def test_no_two_shops_have_the_same_name() -> None:
    """A name in a report of this suite means one entry of the table."""
    names = [entry.name for entry in (*FAULTS, *LEGAL)]
    assert len(set(names)) == len(names)
