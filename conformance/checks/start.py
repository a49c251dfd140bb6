"""Checks of class ``x402/durable`` on an instance of the target whose facilitator is out of order from the start."""

from collections.abc import Iterator

from conformance.checks import check
from conformance.evidence import Evidence
from conformance.exchange import Exchange, Response
from conformance.instances import CHANGED, HEALTHY, STARTS, paid_at, started_anew, unpaid_at
from conformance.marks import marked
from conformance.outcome import Unanswered, Untestable, Violation
from conformance.profile import Endpoint

_VERSIONS = (1, 2)


def _endpoints(evidence: Evidence) -> list[Endpoint]:
    return [e for e in evidence.profile.endpoints if e.protocol == "x402" and e.marker]


def _had(evidence: Evidence, name: str) -> Iterator[tuple[str, Exchange, Endpoint]]:
    """What was asked of the instance ``name``, by label, and where."""
    for endpoint in _endpoints(evidence):
        for here in (unpaid_at(name, endpoint), *(paid_at(name, version, endpoint) for version in _VERSIONS)):
            if exchange := evidence.exchanges.get(here):
                yield here, exchange, endpoint


def _well(evidence: Evidence) -> None:
    """Raises Untestable unless a fresh instance under a facilitator that is well starts, and serves only who pays."""
    if (first := evidence.exchanges.get(f"start {HEALTHY}")) and first.failure:
        reason = f"another instance of the target does not start: {first.failure.detail}"
        raise Untestable(reason)
    paid = 0
    for here, exchange, endpoint in _had(evidence, HEALTHY):
        where = _served(evidence.response(here), endpoint)
        if exchange.paid is None and where:
            reason = f"another instance of the target serves {endpoint.name!r} unpaid, whatever its facilitator says"
            raise Untestable(reason)
        if exchange.paid is not None and not where:
            story = f"{evidence.response(here).shown()} after {exchange.paid.story}"
            reason = f"another instance of the target does not serve a good payment either ({story})"
            raise Untestable(f"{reason}: is {{facilitator}} what it uses?")
        paid += exchange.paid is not None
    if not paid:
        reason = "another instance of the target offers nothing that can be paid"
        raise Untestable(reason)


def _served(response: Response | None, endpoint: Endpoint) -> str:
    """Where the marker of ``endpoint`` stands in an answer; empty without one."""
    return marked(response, endpoint.marker) if response and endpoint.marker else ""


@check("x402.durable.down-at-start", started_anew)
def test_down_at_start(evidence: Evidence) -> None:
    _well(evidence)
    for name in STARTS:
        for here, exchange, endpoint in _had(evidence, name):
            # Not to start, or not to answer, is to be closed.
            if where := _served(exchange.response, endpoint):
                raise Violation(
                    expected="an answer without what is paid for",
                    received=f"{evidence.response(here).shown()} with the marker, in {where}",
                    at=f"started while /supported of its facilitator answers {name}",
                    exchange=here,
                    reason="without payment" if exchange.paid is None else "for a forged payment",
                )


_OURS = {"budget", "down", "rate-limited"}
"""Kinds of failure that are none of a server: it was not asked, or has been asked too much."""
_TROUBLE = 503
"""What a server may well say that has no way to be paid any more."""


@check("x402.durable.supported-changes", started_anew)
def test_supported_changes(evidence: Evidence) -> None:
    _well(evidence)
    for here, exchange, endpoint in _had(evidence, CHANGED):
        try:
            response = evidence.response(here)
        except Unanswered as silent:
            if exchange.failure and exchange.failure.kind in _OURS:
                raise
            received = f"no answer: {silent.finding.reason}"
        else:
            broken = response.status >= 500 and response.status != _TROUBLE
            received = response.shown() if broken or _served(response, endpoint) else ""
        if received:
            who = "no payment" if exchange.paid is None else "a forged payment"
            raise Violation(
                expected="a refusal, as before",
                received=received,
                at=f"{who}, once /supported of its facilitator lists nothing any more",
                exchange=here,
            )
