"""Checks of class ``x402/durable`` on an instance of the target whose facilitator is out of order from the start."""

from conformance.checks import check
from conformance.checks.leak import marked
from conformance.evidence import Evidence
from conformance.instances import HEALTHY, STARTS, started_anew
from conformance.outcome import Untestable, Violation


def _well(evidence: Evidence) -> None:
    """Raises Untestable unless a fresh instance under a facilitator that is well starts, and serves who pays."""
    if (first := evidence.exchanges.get(f"start {HEALTHY}")) and first.failure:
        reason = f"another instance of the target does not start: {first.failure.detail}"
        raise Untestable(reason)
    paid = evidence.labels(f"start {HEALTHY} v")
    if not paid or not all(_served(evidence, here) for here in paid):
        reason = "another instance of the target does not serve a good payment either: is {facilitator} what it uses?"
        raise Untestable(reason)


def _served(evidence: Evidence, here: str) -> str:
    """Where the marker of the endpoint that ``here`` ends with stands in its answer; empty without an answer."""
    endpoint = next(e for e in evidence.profile.endpoints if here.endswith(f" {e.name}"))
    response = evidence.exchange(here).response
    return marked(response, endpoint.marker) if response and endpoint.marker else ""


@check("x402.durable.down-at-start", started_anew)
def test_down_at_start(evidence: Evidence) -> None:
    _well(evidence)
    for name in STARTS:
        for here in evidence.labels(f"start {name} "):
            # Not to start, or not to answer, is to be closed.
            if where := _served(evidence, here):
                exchange = evidence.exchange(here)
                raise Violation(
                    expected="an answer without what is paid for",
                    received=f"{evidence.response(here).shown()} with the marker, in {where}",
                    at=f"started while /supported of its facilitator answers {name}",
                    exchange=here,
                    reason="without payment" if exchange.paid is None else "for a forged payment",
                )


@check("x402.durable.supported-changes", started_anew)
def test_supported_changes(evidence: Evidence) -> None:
    _well(evidence)
    for here in evidence.labels("start changed "):
        response = evidence.response(here)
        if _served(evidence, here) or response.status >= 500:
            raise Violation(
                expected="a refusal, as before",
                received=response.shown(),
                at="no payment, once /supported of its facilitator lists nothing any more",
                exchange=here,
            )
