"""A check of class ``x402/durable``: payments in whatever order at a server that was restarted in between."""

from dataclasses import replace

from conformance.checks import Drawn, check
from conformance.checks.durable import begun
from conformance.checks.program import in_order
from conformance.evidence import Evidence
from conformance.memory import AGAIN, BEGUN, performed_again, reopened
from conformance.outcome import Unanswered, Violation
from conformance.programs import KNOWN_AFTER, programs_after


@check(
    "x402.durable.any-order",
    reopened,
    drawn=Drawn(values=lambda _: programs_after(), examples=KNOWN_AFTER, ask=performed_again, per=3),
)
def test_any_order(evidence: Evidence) -> None:
    begun(evidence, f"{AGAIN}: {BEGUN}")
    had = {here.removeprefix(f"{AGAIN}: "): exchange for here, exchange in evidence.exchanges.items()}
    try:
        in_order(replace(evidence, exchanges=had))
    except (Violation, Unanswered) as found:
        found.finding = replace(found.finding, exchange=f"{AGAIN}: {found.finding.exchange}")
        raise
