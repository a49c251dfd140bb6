"""Each shop of the tables turns red what its entry says and nothing else; a correct one turns red nothing."""

from collections.abc import Iterator

import pytest
from fault_guard import GUARD
from fault_order import ORDER
from fault_settlement import SETTLEMENT
from judging import PAID, judged_paid
from legal_guard import LEGAL_GUARD
from legal_order import LEGAL_ORDER
from legal_settlement import LEGAL_SETTLEMENT
from paid_fault import EVERY, PaidFault, PaidLegal
from shop import Shop, shop

from conformance import catalogue, facilitator
from conformance.outcome import Outcome, Verdict

Server = tuple[Shop, str, facilitator.Running]

FAULTS: tuple[PaidFault, ...] = (*GUARD, *SETTLEMENT, *ORDER)
LEGAL: tuple[PaidLegal, ...] = (*LEGAL_GUARD, *LEGAL_SETTLEMENT, *LEGAL_ORDER)
NOTED = {"x402.guard.long-window", "x402.guard.resource"}
"""Requirements of level MAY that the sandbox does not keep either."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with shop() as found:
        yield found


def a_name(entry: PaidFault | PaidLegal) -> str:
    return entry.name


@pytest.mark.parametrize("fault", FAULTS, ids=a_name)
def test_a_fault_turns_red_what_the_table_says_and_nothing_else(fault: PaidFault, server: Server) -> None:
    """Exactly the listed requirements break, only where the fault acts, and nothing is an error."""
    run = judged_paid(server, goods=fault.goods, slow=fault.slow, edit=fault.edit, **fault.flaws)
    red = [r for r in run.red() if r.requirement not in NOTED - fault.red]
    told = {f"{r.requirement} at {r.endpoint!r}: {r.finding}" for r in red}
    assert {r.requirement for r in red} == fault.red, told
    assert {f"/{r.endpoint}" for r in red} <= set(fault.at or fault.goods), told
    assert run.of(Outcome.ERROR) == []
    causes = {(r.requirement, r.finding.cause) for r in run.of(Outcome.UNTESTABLE) if r.finding}
    assert {cause for _, cause in causes if cause} <= fault.red, causes
    assert {id for id, cause in causes if not cause} == fault.untestable


@pytest.mark.parametrize("legal", LEGAL, ids=a_name)
def test_a_legal_variant_turns_red_nothing(legal: PaidLegal, server: Server) -> None:
    """Every requirement holds or does not apply."""
    run = judged_paid(server, goods=legal.goods, slow=legal.slow, edit=legal.edit, **legal.flaws)
    wrong = run.of(Outcome.VIOLATED, Outcome.UNMET, Outcome.ERROR, Outcome.UNTESTABLE)
    assert [f"{r.requirement} at {r.endpoint!r}: {r.outcome}: {r.finding}" for r in wrong] == []
    assert {r.requirement for r in run.red()} - NOTED == legal.notes


def test_a_shop_without_a_flaw_is_conformant(server: Server) -> None:
    """In both versions and both flows nothing is red, nothing untestable, and every row was asked."""
    run = judged_paid(server, goods=EVERY, slow=True)
    wrong = run.of(Outcome.VIOLATED, Outcome.UNMET, Outcome.ERROR, Outcome.UNTESTABLE)
    assert [f"{r.requirement} at {r.endpoint!r}: {r.finding}" for r in wrong] == []
    assert run.verdict is Verdict.CONFORMANT
    assert {r.requirement for r in run.red()} == NOTED


def test_every_scored_requirement_has_a_shop_that_breaks_it() -> None:
    """No check of a payment is one that cannot fail."""
    classes = catalogue.editions()["2026.11"].classes
    scored = {id for cls in PAID for id in classes[cls]}
    assert {id for fault in FAULTS for id in fault.red} == scored


def test_whatever_the_catalogue_allows_is_a_legal_variant() -> None:
    """Each ``allowed`` of these classes is shown by a shop, and no shop names one that is not there."""
    allowed = {f"{r.id}: {phrase}" for r in catalogue.load().judged() if r.cls in PAID for phrase in r.allowed}
    assert {phrase for legal in LEGAL for phrase in legal.allows} == allowed


def test_no_two_shops_have_the_same_name() -> None:
    """A name in a report of this suite means one entry of the table."""
    names = [entry.name for entry in (*FAULTS, *LEGAL)]
    assert len(set(names)) == len(names)
