"""Checks of class ``x402/settlement`` on the paid answer, and on what of it reaches those who do not pay."""

import re

from conformance.attempts import GOOD, good, kept_of, label
from conformance.checks import check
from conformance.checks.opening import PLAIN_NO, attempts, controls, paid_for, served
from conformance.evidence import Evidence
from conformance.exchange import Response
from conformance.gather import unpaid
from conformance.occasions import after_paid, cross_origin_paid
from conformance.outcome import Inapplicable, Untestable, Violation
from conformance.profile import Entitlement
from conformance.protocols import x402
from conformance.protocols.x402.receipt import RECEIPT

_HEURISTIC = {200, 203, 204, 206, 300, 301, 308}
"""Statuses that a cache stores without being told to (RFC 9110 section 15.1)."""

_OF_EVERY_ANSWER = {
    "connection",
    "content-length",
    "content-type",
    "date",
    "keep-alive",
    "server",
    "transfer-encoding",
    "vary",
    "cache-control",
    "x-powered-by",
    "x-request-id",
    "strict-transport-security",
    x402.CHALLENGE.lower(),
    *(name.lower() for name in RECEIPT.values()),
}


@check("x402.settlement.paid-not-cacheable", unpaid, good("good"))
def test_paid_not_cacheable(evidence: Evidence) -> None:
    for version, exchange in controls(evidence, "good"):
        here = label(version, "good", GOOD)
        response = evidence.response(here)
        directives = _directives(response)
        kept_apart = {"no-store", "private"} & directives or _varies(response, version)
        stored = response.status in _HEURISTIC and exchange.request.method in {"GET", "HEAD"}
        told = {"public", "s-maxage"} & directives
        if told or (stored and not kept_apart):
            raise Violation(
                expected="Cache-Control: no-store, or private",
                received=f"Cache-Control: {response.value('cache-control')}"
                if response.value("cache-control")
                else "no Cache-Control",
                at=f"version {version}, the paid answer",
                exchange=here,
                reason="a cache that many share may hand it to somebody who did not pay",
            )


def _directives(response: Response) -> set[str]:
    return {part.strip().partition("=")[0].lower() for part in (response.value("cache-control") or "").split(",")}


def _varies(response: Response, version: int) -> bool:
    named = {part.strip().lower() for part in (response.value("vary") or "").split(",")}
    return bool({"*", x402.PAYMENT[version].lower()} & named)


@check("x402.settlement.unpaid-after-paid", unpaid, after_paid)
def test_unpaid_after_paid(evidence: Evidence) -> None:
    if evidence.endpoint.entitlement != Entitlement.ONCE:
        reason = f"a payment opens this endpoint for longer (entitlement {evidence.endpoint.entitlement})"
        raise Inapplicable(reason)
    for version, _ in controls(evidence, "after paid"):
        for of, name, exchange in kept_of(evidence.exchanges, "after paid"):
            if of != version or name == GOOD:
                continue
            here = label(version, "after paid", name)
            response = evidence.response(here)
            where = served(evidence, here)
            if where or response.status in {206, 304}:
                raise Violation(
                    expected="a refusal, as before the payment",
                    received=f"{response.shown()}{f' with the marker, in {where}' if where else ''}",
                    at=f"version {version}, {exchange.request.method} {name}, without payment, after a paid request",
                    exchange=here,
                )


@check("x402.settlement.exposes-receipt", unpaid, cross_origin_paid)
def test_exposes_receipt(evidence: Evidence) -> None:
    shared = False
    for version, _ in controls(evidence, "cross origin"):
        response = evidence.response(label(version, "cross origin", GOOD))
        if not response.values("access-control-allow-origin"):
            continue
        shared = True
        listed = response.value("access-control-expose-headers") or ""
        names = {part.strip().lower() for part in listed.split(",")}
        if not {"*", RECEIPT[version].lower()} & names:
            raise Violation(
                expected=f"{RECEIPT[version]} in Access-Control-Expose-Headers",
                received=listed or "no such field",
                at=f"version {version}, the paid answer",
                exchange=label(version, "cross origin", GOOD),
            )
    if not shared:
        reason = "the paid answer is not shared with other origins (no Access-Control-Allow-Origin)"
        raise Inapplicable(reason)


@check("x402.settlement.withheld-fields", unpaid, PLAIN_NO)
def test_withheld_fields(evidence: Evidence) -> None:
    found = False
    for version, name, exchange in attempts(evidence, "no"):
        here = label(version, "no", name)
        paid = paid_for(exchange)
        if name != "settle/no" or not any(call.fault for call in paid.calls) or paid.settled:
            continue
        found = True
        if served(evidence, here):
            reason = "a payment that fails to settle is served: nothing is withheld"
            raise Untestable(reason, cause="x402.settlement.settle-no")
        refused = {field.lower() for field, _ in evidence.response("unpaid").headers} | _OF_EVERY_ANSWER
        handed = {(field.lower(), value) for field, value in evidence.response(label(version, "no", GOOD)).headers}
        for field, value in evidence.response(here).headers:
            own = field.lower() not in refused and not re.match("access-control-", field, re.IGNORECASE)
            if own and (field.lower(), value) in handed:
                raise Violation(
                    expected="no field of the answer that is withheld",
                    received=f"{field}: {value}",
                    at=f"version {version}, {evidence.response(here).shown()}",
                    exchange=here,
                )
    if not found:
        reason = "the target never asked the facilitator to settle"
        raise Inapplicable(reason)
