"""Checks on caches before the target, and on requests that are answered without content."""

from collections.abc import Iterator

from conformance.attempts import label
from conformance.caching import (
    AFTER,
    AGAIN,
    EMPTY,
    HEAD,
    KEPT,
    NOT_MODIFIED,
    after_identity,
    beside_refusal,
    contentless,
)
from conformance.checks import check
from conformance.checks.leak import not_for_a_decline, not_served
from conformance.checks.opening import attempts, controls, good_payment, paid_for, served, versions
from conformance.evidence import Evidence
from conformance.exchange import Exchange
from conformance.gather import paid, unpaid
from conformance.outcome import Inapplicable, Untestable, Violation
from conformance.profile import Entitlement


@check("x402.settlement.refusal-is-not-kept", unpaid, beside_refusal)
def test_refusal_is_not_kept(evidence: Evidence) -> None:
    for version in versions(evidence):
        here, elsewhere = label(version, KEPT, "again"), label(version, KEPT, "elsewhere")
        if here not in evidence.exchanges:
            good_payment(evidence, version, KEPT)
            continue
        response = evidence.response(here)
        if not paid_for(evidence.exchange(here)).calls and served(evidence, elsewhere) and not served(evidence, here):
            age = response.value("age")
            raise Violation(
                expected="an answer to the payment",
                received=f"{response.shown()} without a look at the payment{f', {age} s old' if age else ''}; "
                f"beside a query that means nothing, {evidence.response(elsewhere).shown()}",
                at=f"version {version}",
                exchange=here,
                reason="a cache answers who pays with the refusal that it kept of somebody who did not",
            )
        if not paid_for(evidence.exchange(here)).calls and not served(evidence, here):
            # Refused wherever it comes, and nobody asked: nothing shows whether it was looked at.
            good_payment(evidence, version, KEPT)


@check("x402.settlement.head-is-free", unpaid, contentless)
def test_head_is_free(evidence: Evidence) -> None:
    for here, exchange in _asked(evidence, HEAD):
        _charges_nothing(evidence, here, exchange)


@check("x402.settlement.not-modified-is-free", unpaid, contentless)
def test_not_modified_is_free(evidence: Evidence) -> None:
    for here, exchange in _asked(evidence, *NOT_MODIFIED):
        if evidence.response(here).status == 304:
            _charges_nothing(evidence, here, exchange)


@check("x402.settlement.unsatisfied-is-free", unpaid, contentless)
def test_unsatisfied_is_free(evidence: Evidence) -> None:
    for here, exchange in _asked(evidence, "another tag", "beyond its end"):
        if evidence.response(here).status in {412, 416}:
            _charges_nothing(evidence, here, exchange)


def _asked(evidence: Evidence, *names: str) -> Iterator[tuple[str, Exchange]]:
    """The payments of these names in flow authorization: where it is paid first, nobody knows yet what it comes to."""
    if evidence.endpoint.method != "GET":
        reason = f"the endpoint is asked by {evidence.endpoint.method}, which always has an answer of its own"
        raise Inapplicable(reason)
    if evidence.endpoint.entitlement != Entitlement.ONCE:
        reason = f"what is charged opens more than one answer (entitlement {evidence.endpoint.entitlement})"
        raise Inapplicable(reason)
    if all(paid_for(exchange).flow != "authorization" for _, exchange in controls(evidence, EMPTY)):
        reason = "nothing here is offered in flow authorization"
        raise Inapplicable(reason)
    for version, name, exchange in attempts(evidence, EMPTY):
        if name in names:
            yield label(version, EMPTY, name), exchange


def _charges_nothing(evidence: Evidence, here: str, exchange: Exchange) -> None:
    """Holds where nothing was charged, or where what was charged for comes when the payment is sent once more."""
    story = paid_for(exchange)
    response = evidence.response(here)
    if not story.charged or served(evidence, here) or served(evidence, f"{here}{AGAIN}"):
        return
    raise Violation(
        expected="no charge where nothing is sent, or the content when the payment comes again",
        received=f"{response.shown()} to {exchange.request.method}, charged; "
        f"then {evidence.response(f'{here}{AGAIN}').shown()}",
        at=f"version {story.version}, after {story.story}",
        exchange=here,
    )


@check("http.refused-after-paid", unpaid, paid, after_identity)
def test_refused_after_paid(evidence: Evidence) -> None:
    not_for_a_decline(evidence)
    if not evidence.endpoint.paid_identity:
        reason = "the profile names no paid_identity: who pays by a payment is asked about in x402/settlement"
        raise Inapplicable(reason)
    if evidence.endpoint.method != "GET":
        reason = f"the endpoint is asked by {evidence.endpoint.method}, of which no cache keeps anything"
        raise Inapplicable(reason)
    try:
        not_served(evidence, evidence.response("unpaid"), "unpaid")
    except Violation:
        reason = "who does not pay is served before anybody paid"
        raise Untestable(reason, cause="http.no-paid-content") from None
    for here in evidence.labels(AFTER):
        if here == f"{AFTER}paid":
            continue
        not_served(evidence, response := evidence.response(here), here)
        if response.status in {206, 304}:
            raise Violation(
                expected="a refusal, as before",
                received=response.shown(),
                at="without payment, after the answer to who has paid",
                exchange=here,
            )
