"""Checks of class ``http`` on the refusal itself: what holds for any answer that says 402."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from conformance import fields, schema
from conformance.checks import check
from conformance.checks.envelope import rules, tells_apart
from conformance.evidence import Evidence
from conformance.exchange import Response
from conformance.facts import matching
from conformance.gather import again, as_browser, conditional, entitled, linked, loopback, unpaid
from conformance.outcome import Inapplicable, Unanswered, Untestable, Violation
from conformance.protocols import x402

REFUSED = "http.unpaid-is-refused"


def refusal(evidence: Evidence, label: str = "unpaid") -> Response:
    """The 402 called ``label``; without it there is nothing to say about a 402."""
    response = evidence.response(label)
    if response.status != 402 and matching(rules(evidence), response):
        reason = f"the refusal is said by {response.shown()}, as the profile declares, and this is about a 402"
        raise Inapplicable(reason)
    if response.status != 402:
        reason = f"the unpaid request was answered {response.shown()}, not 402"
        plain = evidence.response("unpaid").status == 402 and label not in {"unpaid", "again"}
        raise Untestable(reason, cause="http.refused-for-everyone" if plain else REFUSED)
    return response


@check("http.unpaid-is-refused", unpaid, again, entitled)
def test_unpaid_is_refused(evidence: Evidence) -> None:
    for label in ("unpaid", "again"):
        response = evidence.response(label)
        if matching(rules(evidence), response):
            tells_apart(evidence, response)
            continue
        if 200 <= response.status < 300:
            raise Violation(
                expected="402 Payment Required",
                received=response.shown(),
                exchange=label,
                reason=_unrefused(evidence),
            )
        if response.status != 402:
            raise unreached(evidence, response, label)


def _unrefused(evidence: Evidence) -> str:
    if declared := rules(evidence):
        return f"no answer rule of the endpoint ({', '.join(rule.name for rule in declared)}) fits this answer"
    return "if some requests are free here, choose an identity that has to pay (endpoint.identity)"


def unreached(evidence: Evidence, response: Response, label: str) -> Unanswered:
    """What to say when the profile's own request is turned away before anyone asks for money."""
    reason = (
        f"the request of endpoint {evidence.endpoint.name!r} is answered {response.shown()} and never reaches the "
        f"paywall: correct its path, method, query, body or identity in the profile"
    )
    if 300 <= response.status < 400:
        reason = (
            f"the request of endpoint {evidence.endpoint.name!r} is redirected to {response.value('location')}: write "
            f"that as endpoint.path or target.base_url"
        )
    return Unanswered(reason, exchange=label)


_WAYS = (
    "payment-required",
    "www-authenticate",
    "x-cashu",
    "x-bsv-payment-satoshis-required",
    "x-bsv-sats",
    "x402-challenge",
    "x-lightning",
    "taler",
    "crawler-price",
)


@check("http.way-to-pay", unpaid)
def test_way_to_pay(evidence: Evidence) -> None:
    response = refusal(evidence)
    if evidence.endpoint.protocol is None:
        if versions := x402.advertised(response):
            told = " and ".join(map(str, versions))
            reason = (
                f"the refusal has an offer of x402 version {told}, and the profile has no protocol for this endpoint"
            )
            raise Untestable(reason)
        reason = "the endpoint speaks no payment protocol: its refusal is judged by its family"
        raise Inapplicable(reason)
    if any(response.values(name) for name in _WAYS) or _names_a_way(response.json_or_none()):
        return
    raise Violation(
        expected="a payment field such as PAYMENT-REQUIRED, or JSON that names an offer or a payment URL",
        received=f"no such field, and the body {schema.shown(response.text())}",
        exchange="unpaid",
    )


def _names_a_way(document: Any) -> bool:
    match document:
        case dict():
            # The type of problem details (RFC 9457) is a name, not a place to pay at.
            inner = [value for key, value in document.items() if key not in {"type", "instance"}]
            return bool({"accepts", "offers", "paymentOptions"} & set(document)) or any(map(_names_a_way, inner))
        case list():
            return any(_names_a_way(value) for value in document)
        case str():
            return document.startswith(("http://", "https://"))
        case _:
            return False


@check("http.refusal-not-cacheable", unpaid)
def test_refusal_not_cacheable(evidence: Evidence) -> None:
    response = refusal(evidence)
    # A cache that has a field of its own does not look at Cache-Control (RFC 9213 section 2.1).
    for name in ("cdn-cache-control", "surrogate-control", "cache-control"):
        values = response.values(name)
        if _may_store(fields.cache_control(values)):
            raise Violation(
                expected="no-store, or no explicit freshness at all",
                received=", ".join(values),
                at=name.title(),
                exchange="unpaid",
            )
    expires, date = fields.http_date(response.value("expires")), fields.http_date(response.value("date"))
    if not response.values("cache-control") and expires is not None and date is not None and expires > date:
        raise Violation(
            expected="no explicit freshness",
            received=response.value("expires") or "",
            at="Expires",
            exchange="unpaid",
        )


def _may_store(directives: Mapping[str, str]) -> bool:
    """Whether a shared cache may keep the answer and use it again without asking."""
    if {"no-store", "private", "no-cache"} & set(directives):
        return False
    age = directives.get("s-maxage", directives.get("max-age"))
    return bool(fields.natural(age)) if age is not None else "public" in directives


@check("http.retry-after-grammar", unpaid)
def test_retry_after_grammar(evidence: Evidence) -> None:
    values = refusal(evidence).values("retry-after")
    if not values:
        reason = "the refusal has no Retry-After"
        raise Inapplicable(reason)
    if len(values) > 1 or not (re.fullmatch("[0-9]+", values[0]) or fields.is_http_date(values[0])):
        raise Violation(
            expected="a number of seconds, or a date such as Fri, 20 Nov 2026 10:00:00 GMT",
            received=", ".join(values),
            at="Retry-After",
            exchange="unpaid",
        )


@check("http.problem-details", unpaid)
def test_problem_details(evidence: Evidence) -> None:
    response = refusal(evidence)
    if response.media_type() != "application/problem+json":
        reason = "the refusal is no application/problem+json"
        raise Inapplicable(reason)
    try:
        document = response.json()
    except ValueError as error:
        raise Violation(expected="JSON", received=str(error), at="body", exchange="unpaid") from error
    if found := schema.problems(document, "problem-details"):
        at = f"body {schema.pointer(found[0].at)}"
        raise Violation(expected=found[0].expected, received=found[0].received, at=at, exchange="unpaid")
    if document.get("status", 402) != 402:
        raise Violation(
            expected="the status of the answer, 402", received=str(document["status"]), at="/status", exchange="unpaid"
        )


@check("http.payment-link", unpaid, linked)
def test_payment_link(evidence: Evidence) -> None:
    found = [link for link in fields.links(refusal(evidence).values("link")) if "payment" in link.relations]
    if not found:
        reason = 'the refusal has no Link with rel="payment"'
        raise Inapplicable(reason)
    for link in found:
        label = f"link {link.target}"
        if fields.resolved(evidence.exchange("unpaid").request.url, link.target) is None:
            raise Violation(expected="an address", received=link.target, at="Link", exchange="unpaid")
        if label not in evidence.exchanges:
            reason = f"{link.target} lies neither on the target nor on one of target.helpers"
            raise Untestable(reason)
        # A page may itself ask for payment, for a login, or for another method.
        if (response := evidence.response(label)).status in {404, 410} or response.status >= 500:
            raise Violation(expected="a page that answers", received=response.shown(), at=link.target, exchange=label)


@check("http.preconditions-ignored", unpaid, conditional)
def test_preconditions_ignored(evidence: Evidence) -> None:
    refusal(evidence)
    for label in evidence.labels("conditional-"):
        if (response := evidence.response(label)).status != 402:
            sent = dict(evidence.exchange(label).request.headers)["If-None-Match"]
            raise Violation(
                expected="402 as without the precondition",
                received=response.shown(),
                at=f"If-None-Match: {sent}",
                exchange=label,
            )


@check("http.secure-links", unpaid)
def test_secure_links(evidence: Evidence) -> None:
    response = refusal(evidence)
    base = evidence.exchange("unpaid").request.url
    named = [("Link", link.target) for link in fields.links(response.values("link")) if "payment" in link.relations]
    named += list(_urls(response.json_or_none()))
    for at, target in named:
        url = fields.resolved(base, target) or ""
        if url.startswith("http://") and not loopback(url) and urlsplit(url).netloc != urlsplit(base).netloc:
            raise Violation(expected="https", received=target, at=at, exchange="unpaid")


_MONEY = re.compile("(?i)pay|checkout|billing|upgrade|top.?up|purchase|subscri|invoice|remedy")


_NAMING = re.compile("(?i)^@|type$|method$|schema$|context$")


def _urls(document: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """Where a JSON body sends someone who wants to pay; an x402 ``resource`` is judged with the offer."""
    match document:
        case dict():
            for key, value in document.items():
                if isinstance(value, str) and _MONEY.search(str(key)) and not _NAMING.search(str(key)):
                    yield f"body {at}/{key}", value
                elif key not in {"resource", "accepts", "extensions", "@context"}:
                    yield from _urls(value, f"{at}/{key}")
        case list():
            for index, value in enumerate(document):
                yield from _urls(value, f"{at}/{index}")


@check("http.content-type", unpaid)
def test_content_type(evidence: Evidence) -> None:
    response = refusal(evidence)
    if response.body and not response.media_type():
        raise Violation(expected="Content-Type", received="none beside content", exchange="unpaid")


_SINGLETONS = (
    "age",
    "content-length",
    "content-location",
    "content-type",
    "date",
    "etag",
    "expires",
    "last-modified",
    "location",
    "retry-after",
)


@check("http.singleton-fields", unpaid, as_browser)
def test_singleton_fields(evidence: Evidence) -> None:
    for label, response in (("unpaid", refusal(evidence)), ("browser", evidence.response("browser"))):
        for name in _SINGLETONS:
            if len(values := response.values(name)) > 1:
                raise Violation(
                    expected=f"one {name.title()} line",
                    received=f"{len(values)}: {'; '.join(values)}",
                    at=name.title(),
                    exchange=label,
                )


@check("http.date", unpaid)
def test_date(evidence: Evidence) -> None:
    value = refusal(evidence).value("date")
    if value is None or not fields.is_http_date(value):
        raise Violation(expected="Date: an HTTP-date", received=value or "none", at="Date", exchange="unpaid")


@check("http.no-cross-origin-redirect", unpaid)
def test_no_cross_origin_redirect(evidence: Evidence) -> None:
    response = evidence.response("unpaid")
    location = response.value("location")
    if not 300 <= response.status < 400 or location is None:
        return
    asked = urlsplit(evidence.exchange("unpaid").request.url)
    goal = urlsplit(fields.resolved(asked.geturl(), location) or "")
    if (goal.scheme, goal.netloc) not in {(asked.scheme, asked.netloc), ("https", asked.hostname)}:
        raise Violation(
            expected="the challenge, or a redirect within the origin",
            received=location,
            at="Location",
            exchange="unpaid",
        )
