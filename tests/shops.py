"""The tables of shops, and how an entry of one is judged.

With ``PYTEST_402_WHOLE=1`` in the environment each is judged by every requirement, which takes twice as long.
"""

import os
import zlib
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
_MODULES = {found.requirement: path.stem for path, own in checks.load().items() for found in own}
"""Requirement -> the module of its check, which shares what it asks."""
_AGAIN = frozenset({"concurrent", "replay", "retry", "rewritten"})
"""Those about a payment that comes again: a fifth of the time that a shop takes."""

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
    """What the requirements come to; once more where a busy machine left something open, or a race was lost."""
    run = _judged(server, entry)
    fault = isinstance(entry, PaidFault)
    red = {row.requirement for row in run.red()} - NOTED
    expected, untestable = (entry.red - NOTED, entry.untestable) if fault else (entry.notes - NOTED, frozenset())
    left_open = {row.requirement for row in run.of(Outcome.UNTESTABLE) if not row.cause} - untestable
    # What was red and should not be stays so.
    return _judged(server, entry) if red <= expected and (red < expected or left_open) else run


def _judged(server: Server, entry: PaidFault | PaidLegal) -> Judgement:
    asked = ASKED if os.environ.get("PYTEST_402_WHOLE") else [id for id in ASKED if _is_asked(id, entry)]
    return summed(judged_paid(server, goods=entry.goods, only=asked, slow=entry.slow, edit=entry.edit, **entry.flaws))


def _is_asked(id: str, entry: PaidFault | PaidLegal) -> bool:
    """Whether an entry is judged by a requirement: one of a module that it is about, or of a third of the others.

    Which third is told by the entry's name: each module is held against many entries, and none against all.
    """
    fault = isinstance(entry, PaidFault)
    about = (
        entry.red | entry.untestable if fault else {phrase.partition(":")[0] for phrase in entry.allows} | entry.notes
    )
    if _MODULES[id] in {_MODULES.get(one) for one in about}:
        return True
    return not (fault and _MODULES[id] in _AGAIN) and zlib.crc32(f"{entry.name} {_MODULES[id]}".encode()) % 3 == 0
