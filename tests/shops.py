"""The tables of shops, and how an entry of one is judged."""

from dataclasses import dataclass

from fault_guard import GUARD
from fault_order import ORDER
from fault_settlement import SETTLEMENT
from judging import PAID, Judged, judged_paid
from legal_guard import LEGAL_GUARD
from legal_order import LEGAL_ORDER
from legal_settlement import LEGAL_SETTLEMENT
from paid_fault import PaidFault, PaidLegal
from shop import Shop

from conformance import catalogue, checks, facilitator
from conformance.outcome import Outcome, Verdict

__all__ = ["ASKED", "FAULTS", "LEGAL", "NOTED", "Judgement", "Row", "Server", "judged", "summed"]

FAULTS: tuple[PaidFault, ...] = (*GUARD, *SETTLEMENT, *ORDER)
LEGAL: tuple[PaidLegal, ...] = (*LEGAL_GUARD, *LEGAL_SETTLEMENT, *LEGAL_ORDER)
NOTED = frozenset({"x402.guard.long-window", "x402.guard.resource"})
"""Requirements of level MAY that the sandbox does not keep either."""

PROGRAM = "x402.settlement.any-order"
"""Judged in ``test_program.py``: it asks as often as many rows of a table together, and sees what they see."""
ASKED = tuple(id for cls in PAID for id in catalogue.editions()["2026.11"].classes[cls] if id != PROGRAM)
"""The requirements that a shop of the tables is judged by."""
_AGAIN = {
    found.requirement
    for path, own in checks.load().items()
    for found in own
    if path.stem in {"concurrent", "replay", "retry", "rewritten"}
}
"""Those of them about a payment that comes again: a fifth of the time that a shop takes."""

Server = tuple[Shop, str, facilitator.Running]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one requirement came to at one endpoint."""

    requirement: str
    endpoint: str
    outcome: Outcome
    finding: str
    """Empty when there is none."""
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a run came to."""

    verdict: Verdict
    rows: tuple[Row, ...]

    def of(self, *outcomes: Outcome) -> list[Row]:
        """The rows with one of ``outcomes``."""
        return [row for row in self.rows if row.outcome in outcomes]

    def red(self) -> list[Row]:
        """What does not hold: violated, unmet, and the notes on a MAY."""
        noted = [row for row in self.of(Outcome.PASSED) if row.finding]
        return self.of(Outcome.VIOLATED, Outcome.UNMET) + noted


def summed(run: Judged) -> Judgement:
    """A run without its evidence."""
    return Judgement(
        verdict=run.verdict,
        rows=tuple(
            Row(
                requirement=result.requirement,
                endpoint=result.endpoint,
                outcome=result.outcome,
                finding=str(result.finding or ""),
                cause=result.finding.cause if result.finding else "",
            )
            for result in run.results.values()
        ),
    )


def judged(server: Server, entry: PaidFault | PaidLegal) -> Judgement:
    """What the requirements come to that an entry is about; once more where a busy machine left something open."""
    run = _judged(server, entry)
    known = entry.untestable if isinstance(entry, PaidFault) else frozenset()
    left_open = {row.requirement for row in run.of(Outcome.UNTESTABLE) if not row.cause} - known
    return _judged(server, entry) if left_open else run


def _judged(server: Server, entry: PaidFault | PaidLegal) -> Judgement:
    about = {*ASKED} if isinstance(entry, PaidLegal) else entry.red | entry.untestable
    asked = [id for id in ASKED if about & _AGAIN or id not in _AGAIN]
    return summed(judged_paid(server, goods=entry.goods, only=asked, slow=entry.slow, edit=entry.edit, **entry.flaws))
