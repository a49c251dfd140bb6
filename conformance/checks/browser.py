"""Checks of class ``browser``: what a page or a person in a browser needs before paying."""

from conformance import fields
from conformance.checks import check
from conformance.checks.http import refusal
from conformance.evidence import Evidence
from conformance.exchange import Response
from conformance.gather import (
    MARKUP,
    OTHER_ORIGIN,
    as_browser,
    cross_origin,
    markup_in_query,
    no_accept,
    origin,
    preflight,
    unpaid,
)
from conformance.outcome import Inapplicable, Violation
from conformance.protocols import x402

_SIMPLE = {"get", "head", "post"}


def across_origins(evidence: Evidence) -> None:
    """CORS is judged where it is claimed or some answer admits an origin."""
    evidence.response("unpaid")
    evidence.response("cross-origin")
    answers = [e.response for e in evidence.exchanges.values() if e.response]
    if not any(a.values("access-control-allow-origin") for a in answers) and not evidence.claimed("browser"):
        reason = (
            "no answer admits another origin, and class browser is not claimed; where origins are admitted by a list, "
            "name one of them in endpoint.headers, Origin"
        )
        raise Inapplicable(reason)


def _preflights(evidence: Evidence) -> tuple[str, ...]:
    across_origins(evidence)
    if evidence.endpoint.protocol is None:
        reason = "the endpoint speaks no payment protocol, so that no field carries a payment"
        raise Inapplicable(reason)
    return evidence.labels("preflight-")


@check("browser.preflight", unpaid, cross_origin, preflight)
def test_preflight(evidence: Evidence) -> None:
    for label in _preflights(evidence):
        if not 200 <= (response := evidence.response(label)).status < 300:
            raise Violation(expected="2xx without payment", received=response.shown(), exchange=label)


@check("browser.preflight-allows-payment", unpaid, cross_origin, preflight)
def test_preflight_allows_payment(evidence: Evidence) -> None:
    for label in _preflights(evidence):
        response, version = evidence.response(label), int(label.removeprefix("preflight-v"))
        if not 200 <= response.status < 300:
            continue
        allowed = fields.tokens(response.values("access-control-allow-headers"))
        field, method = x402.PAYMENT[version].lower(), evidence.endpoint.method.lower()
        if field not in allowed and not ("*" in allowed and not _credentials(response)):
            raise _lacks(field, "access-control-allow-headers", allowed, label)
        methods = fields.tokens(response.values("access-control-allow-methods"))
        if method not in _SIMPLE | methods and not ("*" in methods and not _credentials(response)):
            raise _lacks(method.upper(), "access-control-allow-methods", methods, label)


@check("browser.exposes-offer", unpaid, cross_origin, preflight)
def test_exposes_offer(evidence: Evidence) -> None:
    across_origins(evidence)
    response = refusal(evidence, "cross-origin")
    exposed = fields.tokens(response.values("access-control-expose-headers"))
    for name in ("payment-required", "www-authenticate"):
        if response.values(name) and name not in exposed and not ("*" in exposed and not _credentials(response)):
            raise _lacks(name, "access-control-expose-headers", exposed, "cross-origin")


@check("browser.refusal-names-origin", unpaid, cross_origin, preflight)
def test_refusal_names_origin(evidence: Evidence) -> None:
    across_origins(evidence)
    response = refusal(evidence, "cross-origin")
    if (allowed := response.value("access-control-allow-origin")) not in {"*", origin(evidence.endpoint)}:
        raise Violation(
            expected=f"* or {origin(evidence.endpoint)}",
            received=allowed or "none",
            at="Access-Control-Allow-Origin",
            exchange="cross-origin",
        )


@check("browser.no-credentials-for-any-origin", unpaid, cross_origin)
def test_no_credentials_for_any_origin(evidence: Evidence) -> None:
    answers = {
        origin(evidence.endpoint): evidence.response("cross-origin"),
        OTHER_ORIGIN: evidence.response("other-origin"),
    }
    echoed = [answer.value("access-control-allow-origin") == origin for origin, answer in answers.items()]
    if all(echoed) and any(_credentials(answer) for answer in answers.values()):
        raise Violation(
            expected="credentials for origins that the server knows",
            received=f"Access-Control-Allow-Credentials: true for {' and for '.join(answers)}",
            at="Access-Control-Allow-Origin",
            exchange="other-origin",
        )


def _credentials(response: Response) -> bool:
    return (response.value("access-control-allow-credentials") or "").lower() == "true"


def _lacks(name: str, field: str, given: frozenset[str], label: str) -> Violation:
    return Violation(expected=name, received=", ".join(sorted(given)) or "nothing", at=field.title(), exchange=label)


def _visited(evidence: Evidence) -> None:
    """What a person sees who follows a link: that is a GET."""
    if evidence.endpoint.method != "GET":
        reason = f"the endpoint is asked by {evidence.endpoint.method}, which no link does"
        raise Inapplicable(reason)


@check("browser.offer-for-browsers", unpaid, as_browser)
def test_offer_for_browsers(evidence: Evidence) -> None:
    _visited(evidence)
    if evidence.endpoint.protocol is None:
        reason = "the endpoint speaks no payment protocol, so that a browser may be told in any way"
        raise Inapplicable(reason)
    plain, response = refusal(evidence), evidence.response("browser")
    if response.status != 402:
        raise Violation(expected="402 as for any client", received=response.shown(), exchange="browser")
    for name in ("payment-required", "www-authenticate"):
        if plain.values(name) and not response.values(name):
            raise Violation(
                expected="the challenge that other clients get", received="none", at=name, exchange="browser"
            )


@check("browser.vary", unpaid, as_browser)
def test_vary(evidence: Evidence) -> None:
    _visited(evidence)
    plain, response = refusal(evidence), evidence.response("browser")
    if plain.media_type() == response.media_type():
        return
    for label, answer in (("unpaid", plain), ("browser", response)):
        directives = fields.cache_control(answer.values("cache-control"))
        # A browser's own cache is meant too, so that private does not help; an age of 0 is never used again unasked.
        storable = not {"no-store", "no-cache"} & set(directives) and (
            bool(fields.natural(directives["max-age"])) if "max-age" in directives else "public" in directives
        )
        if storable and not {"accept", "*"} & fields.tokens(answer.values("vary")):
            raise Violation(
                expected="Vary: Accept on a storable answer whose form depends on Accept",
                received=f"Vary: {answer.value('vary') or 'none'}, Cache-Control: {answer.value('cache-control')}",
                at="Vary",
                exchange=label,
            )


@check("browser.markup-escaped", unpaid, markup_in_query)
def test_markup_escaped(evidence: Evidence) -> None:
    _visited(evidence)
    refusal(evidence)
    response = evidence.response("markup")
    if response.media_type() in {"text/html", "application/xhtml+xml"} and MARKUP in response.text():
        raise Violation(expected="markup from the query escaped", received=MARKUP, at="body", exchange="markup")


@check("browser.offer-without-accept", unpaid, no_accept)
def test_offer_without_accept(evidence: Evidence) -> None:
    plain, response = refusal(evidence), evidence.response("no-accept")
    if response.status != 402:
        raise Violation(expected="402 as with Accept: */*", received=response.shown(), exchange="no-accept")
    if missing := [version for version in x402.advertised(plain) if version not in x402.advertised(response)]:
        raise Violation(
            expected=f"the version {missing[0]} offer that Accept: */* gets",
            received=f"{response.media_type() or 'no content type'} without it",
            exchange="no-accept",
        )
