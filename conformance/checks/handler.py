"""Checks of class ``x402/settlement`` on a handler that fails or is slow."""

from collections.abc import Iterator

from conformance.attempts import GOOD, kept_of, label
from conformance.checks import check
from conformance.checks.opening import (
    attempts,
    is_gratis,
    opened,
    paid_for,
    served,
)
from conformance.checks.receipt import receipt_of
from conformance.evidence import Evidence
from conformance.exchange import Exchange
from conformance.gather import unpaid
from conformance.occasions import failing
from conformance.outcome import Inapplicable, Untestable, Violation
from conformance.paid import Paid
from conformance.protocols.x402.receipt import RECEIPT
from conformance.retries import while_slow


@check("x402.settlement.failed-handler", unpaid, failing)
def test_failed_handler(evidence: Evidence) -> None:
    for here, paid in _failures(evidence, {"authorization"}):
        if paid.charged:
            raise Violation(
                expected="no charge for a handler that fails",
                received=f"{evidence.response(here).shown()}, charged",
                at=f"version {paid.version}, after {paid.story}",
                exchange=here,
            )


def _failures(evidence: Evidence, flows: set[str]) -> Iterator[tuple[str, Paid]]:
    """The paid requests whose handler failed, in the flows that are asked for; what cannot be said, is said last."""
    found = False
    doubts = []
    for version, name, exchange in kept_of(evidence.exchanges, "failing"):
        if name == GOOD:
            continue
        here = label(version, "failing", name)
        if why := _unshown(evidence, version, here, exchange):
            doubts.append(Untestable(why))
        elif (paid := paid_for(exchange)).flow in flows:
            found = True
            yield here, paid
    if doubts:
        raise doubts[0]
    if not found:
        reason = f"nothing here is offered in flow {' or '.join(sorted(flows))}"
        raise Inapplicable(reason)


def _unshown(evidence: Evidence, version: int, here: str, exchange: Exchange) -> str:
    """Why a request shows nothing of a handler that fails; empty when it does."""
    if exchange.failure and exchange.failure.kind == "unpayable":
        return f"version {version}: {exchange.failure.detail}"
    response, paid = evidence.response(here), paid_for(exchange)
    asked = f"the request that fails by the profile (endpoint.failing) is answered {response.shown()}"
    if response.status < 400:
        return asked
    if not paid.calls:
        return f"{asked} before anything is asked"
    return "" if any(call.good for call in paid.calls) else f"{asked}: its payment is not good ({paid.story})"


@check("x402.settlement.charged-failure-receipt", unpaid, failing)
def test_charged_failure_receipt(evidence: Evidence) -> None:
    for here, paid in _failures(evidence, {"upfront", "escrow"}):
        if paid.settled:
            receipt = receipt_of(evidence.response(here), paid.version, here)
            if receipt.success is not True:
                raise Violation(
                    expected="success true: it was charged",
                    received=f"success {receipt.document.get('success')!r}",
                    at=RECEIPT[paid.version],
                    exchange=here,
                )


@check("x402.settlement.expired-meanwhile", unpaid, while_slow)
def test_expired_meanwhile(evidence: Evidence) -> None:
    for version, name, exchange in attempts(evidence, "brief"):
        here, paid = label(version, "brief", name), paid_for(exchange)
        where = served(evidence, here)
        if where and is_gratis(paid):
            continue
        if where and not paid.settled:
            raise opened(evidence, here, exchange, where)
        if where and exchange.took < _SLOW:
            reason = (
                f"the slow request (endpoint.slow) took {exchange.took:.1f} s: it takes 2 s for a payment to expire"
            )
            raise Untestable(reason)


_SLOW = 1.8
"""Seconds: what is quicker is not slow."""
