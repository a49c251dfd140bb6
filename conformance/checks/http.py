"""Checks of class ``http``: what holds for any answer that says 402, whatever it asks for."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import http_sf
from hypothesis import strategies as st

from conformance import fields, schema
from conformance.checks import Drawn, check
from conformance.evidence import Evidence
from conformance.exchange import Response
from conformance.gather import (
    again,
    conditional,
    free_paths,
    head,
    linked,
    loopback,
    paid,
    plain_http,
    spoken,
    unknown_path,
    unpaid,
)
from conformance.outcome import Inapplicable, Unanswered, Untestable, Violation
from conformance.probe import Probe
from conformance.profile import Head, Marker, MarkerKind
from conformance.protocols import x402

REFUSED = "http.unpaid-is-refused"


def refusal(evidence: Evidence, label: str = "unpaid") -> Response:
    """The 402 called ``label``; without it there is nothing to say about a 402."""
    response = evidence.response(label)
    if response.status != 402:
        reason = f"the unpaid request was answered {response.shown()}, not 402"
        raise Untestable(reason, cause=REFUSED)
    return response


@check("http.unpaid-is-refused", unpaid)
def test_unpaid_is_refused(evidence: Evidence) -> None:
    response = evidence.response("unpaid")
    if 200 <= response.status < 300:
        raise Violation(
            expected="402 Payment Required",
            received=response.shown(),
            exchange="unpaid",
            reason="if some requests are free here, choose an identity that has to pay (endpoint.identity)",
        )
    declared = {s for a in evidence.profile.answers if a.name in evidence.endpoint.answers for s in a.status}
    if response.status != 402 and response.status not in declared:
        reason = (
            f"the request of endpoint {evidence.endpoint.name!r} is answered {response.shown()} and never reaches the "
            f"paywall: correct its path, method, query, body or identity in the profile"
        )
        raise Unanswered(reason, exchange="unpaid")


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
        reason = "the endpoint speaks no payment protocol: its refusal is judged by its family"
        raise Inapplicable(reason)
    if any(response.values(name) for name in _WAYS) or _names_a_way(_json(response)):
        return
    raise Violation(
        expected="a payment field such as PAYMENT-REQUIRED, or JSON that names an offer or a payment URL",
        received=f"no such field, and the body {schema.shown(response.text())}",
        exchange="unpaid",
    )


def _names_a_way(document: Any) -> bool:
    match document:
        case dict():
            return any(key in {"accepts", "offers", "paymentOptions"} for key in document) or any(
                _names_a_way(value) for value in document.values()
            )
        case list():
            return any(_names_a_way(value) for value in document)
        case str():
            return document.startswith(("http://", "https://"))
        case _:
            return False


def _json(response: Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


@check("http.refusal-not-cacheable", unpaid)
def test_refusal_not_cacheable(evidence: Evidence) -> None:
    response = refusal(evidence)
    directives = fields.cache_control(response.values("cache-control"))
    if "no-store" in directives or "private" in directives:
        return
    told = [f"{k}={v}" if v else k for k, v in directives.items() if k == "public" or _seconds(directives, k)]
    expires, date = fields.http_date(response.value("expires")), fields.http_date(response.value("date"))
    if "max-age" not in directives and expires is not None and date is not None and expires > date:
        told.append(f"Expires: {response.value('expires')}")
    if told:
        raise Violation(
            expected="no-store, or no explicit freshness at all",
            received=", ".join(told),
            at="Cache-Control",
            exchange="unpaid",
        )


def _seconds(directives: Mapping[str, str], name: str) -> bool:
    return name in {"max-age", "s-maxage"} and directives[name].isdecimal() and int(directives[name]) > 0


@check("http.challenge-grammar", unpaid)
def test_challenge_grammar(evidence: Evidence) -> None:
    for value in _authenticate(evidence):
        for challenge in _parsed(value):
            names = [name for name, _ in challenge.parameters]
            if twice := next((name for name in names if names.count(name) > 1), None):
                raise _grammar(f"each parameter once in {challenge.scheme}", f"{twice} twice")
            realm = dict(challenge.parameters).get("realm", '""')
            if not realm.startswith('"'):
                raise _grammar("realm as a quoted string", f"realm={realm}")


@check("http.challenge-per-line", unpaid)
def test_challenge_per_line(evidence: Evidence) -> None:
    for value in _authenticate(evidence):
        if len(found := _parsed(value)) > 1:
            raise _grammar("one challenge per field line", ", ".join(c.scheme for c in found))


def _authenticate(evidence: Evidence) -> tuple[str, ...]:
    if not (values := refusal(evidence).values("www-authenticate")):
        reason = "the refusal has no WWW-Authenticate"
        raise Inapplicable(reason)
    return values


def _parsed(value: str) -> tuple[fields.Challenge, ...]:
    try:
        found = fields.challenges(value)
    except ValueError as error:
        raise _grammar("challenges as scheme and parameters", str(error)) from error
    if not found:
        raise _grammar("a challenge", "an empty field")
    return found


def _grammar(expected: str, received: str) -> Violation:
    return Violation(expected=expected, received=received, at="WWW-Authenticate", exchange="unpaid")


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


@check("http.head-has-no-content", unpaid, head)
def test_head_has_no_content(evidence: Evidence) -> None:
    response = _head(evidence)
    if content := response.body + response.after:
        raise Violation(
            expected="no content after the header section",
            received=f"{len(content)} bytes: {schema.shown(content[:60].decode('latin-1'))}",
            exchange="head",
        )


@check("http.head-mirrors-get", unpaid, head)
def test_head_mirrors_get(evidence: Evidence) -> None:
    get, response = refusal(evidence), _head(evidence)
    if response.status in {405, 501} or (evidence.endpoint.head is Head.METADATA and response.status < 300):
        return
    if response.status != get.status:
        reason = ""
        if response.status < 300:
            reason = 'if metadata is free here, say so: endpoint.head = "metadata"; if not, the handler may run unpaid'
        raise Violation(expected="402 as for GET, or 405", received=response.shown(), exchange="head", reason=reason)
    for name in ("payment-required", "www-authenticate"):
        if get.values(name) and not response.values(name):
            raise Violation(expected="the challenge that GET has", received="none", at=name.title(), exchange="head")


def _head(evidence: Evidence) -> Response:
    if evidence.endpoint.method != "GET":
        reason = f"the endpoint is asked by {evidence.endpoint.method}, not GET"
        raise Inapplicable(reason)
    return evidence.response("head")


@check("http.head-leaks-nothing", unpaid, head, paid)
def test_head_leaks_nothing(evidence: Evidence) -> None:
    _not_served(evidence, _head(evidence), "head")


@check("http.no-paid-content", unpaid, again, paid)
def test_no_paid_content(evidence: Evidence) -> None:
    for label in ("unpaid", "again"):
        _not_served(evidence, evidence.response(label), label)


def _not_served(evidence: Evidence, response: Response, label: str) -> None:
    marker = evidence.endpoint.marker
    if marker is None:
        reason = "the profile names no marker"
        raise Untestable(reason)
    if found := marked(response, marker):
        told = "the paid answer" if "paid" in evidence.exchanges and marked(evidence.response("paid"), marker) else ""
        raise Violation(
            expected=f"an unpaid answer without the marker {marker.value!r}",
            received=f"the marker, in {found}",
            exchange=label,
            reason=f"{told} has the marker too: paid content leaks"
            if told
            else "the marker was never seen in a paid answer: it may be a marker that fits every answer",
        )
    if "paid" not in evidence.exchanges:
        reason = "the marker was never seen in a paid answer: name a paid_identity that gets the protected one"
        raise Untestable(reason)
    if not marked(evidence.response("paid"), marker):
        reason = f"the marker {marker.value!r} is not in the answer to paid_identity either: it proves nothing"
        raise Untestable(reason)


def marked(response: Response, marker: Marker) -> str:
    """Where ``marker`` stands in an answer; empty when it does not."""
    head_text = "\n".join([response.reason, *(f"{name}: {value}" for name, value in response.headers)])
    content = response.text() + response.after.decode("utf-8", "replace")
    match marker.kind:
        case MarkerKind.HEADER:
            return "the header section" if response.values(marker.value) else ""
        case MarkerKind.POINTER:
            return "the body" if _has(_json(response), marker.value) else ""
        case MarkerKind.RE:
            places = {"the body": content, "the header section": head_text}
            return next((place for place, text in places.items() if re.search(marker.value, text)), "")
        case _:
            places = {"the body": content, "the header section": head_text}
            return next((place for place, text in places.items() if marker.value in text), "")


def _has(document: Any, pointer: str) -> bool:
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict) and key in document:
            document = document[key]
        elif isinstance(document, list) and key.isdecimal() and int(key) < len(document):
            document = document[int(key)]
        else:
            return False
    return document is not None


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


_TRACES = (
    r"Traceback \(most recent call last\)",
    r'File "[^"\n]+\.py", line \d+',
    r"(?m)^\s*at [\w.$<>]+\([\w$]+\.(?:java|kt|scala):\d+\)",
    r"(?m)^\s+at .{1,120}\((?:/|file://|[A-Z]:\\)[^()\n]{1,200}:\d+:\d+\)",
    r"(?m)^goroutine \d+ \[",
    r"(?m)^\s*at [\w.]+\(.*\) in .+\.cs:line \d+",
    r"SQLSTATE\[",
)


@check("http.no-stack-trace", unpaid)
def test_no_stack_trace(evidence: Evidence) -> None:
    text = refusal(evidence).text()
    for trace in _TRACES:
        if found := re.search(trace, text):
            raise Violation(
                expected="no trace of how the server is built", received=found[0][:80], at="body", exchange="unpaid"
            )


_SECRETS = (
    r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----",
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    r"\b[rs]k_live_[0-9A-Za-z]{16,}",
    r"\bgh[pousr]_[0-9A-Za-z]{36}\b",
    r"\bxox[abpr]-[0-9A-Za-z-]{20,}",
    r"<secret:[A-Za-z_][A-Za-z0-9_]*>",
)


@check("http.no-secret", unpaid)
def test_no_secret(evidence: Evidence) -> None:
    response = refusal(evidence)
    places = {"body": response.text()} | {name: value for name, value in response.headers}
    for place, text in places.items():
        for secret in _SECRETS:
            if found := re.search(secret, text):
                shown = found[0] if found[0].startswith("<secret:") else f"{found[0][:8]}…"
                raise Violation(expected="no secret", received=shown, at=place, exchange="unpaid")


@check("http.payment-link", unpaid, linked)
def test_payment_link(evidence: Evidence) -> None:
    found = [link for link in fields.links(refusal(evidence).values("link")) if "payment" in link.relations]
    if not found:
        reason = 'the refusal has no Link with rel="payment"'
        raise Inapplicable(reason)
    for link in found:
        label = f"link {link.target}"
        if label not in evidence.exchanges:
            reason = f"{link.target} lies neither on the target nor on one of target.helpers"
            raise Untestable(reason)
        if (response := evidence.response(label)).status >= 400:
            raise Violation(
                expected="a page that can be fetched", received=response.shown(), at=link.target, exchange=label
            )


def _ask_garbage(probe: Probe, value: str) -> None:
    answer = probe.kept["unpaid"].response
    if probe.endpoint is None or answer is None or answer.status != 402:
        return
    for version in spoken(probe.endpoint.versions, answer):
        probe.ask(f"garbage-{len(probe.kept)}", headers={x402.PAYMENT[version]: value})


def _garbage() -> st.SearchStrategy[str]:
    visible = st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="\x7f", exclude_categories=["Cc"])
    coded = st.binary(max_size=300).map(lambda raw: base64.b64encode(raw).decode())
    return st.one_of(st.text(visible, min_size=1, max_size=200), coded.filter(bool))


def _coded(value: object) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


_HISTORY = (
    "!!!",
    "null",
    "0x",
    "%0d%0aX-Injected:%201",
    "\xff\xfe\xfd",
    base64.b64encode(b"hello").decode(),
    base64.b64encode(b"\x00" * 32).decode(),
    base64.b64encode(b"\xff" * 32).decode(),
    base64.b64encode(b"[" * 2000).decode(),
    *(_coded(value) for value in ([], None, 42, "x", True, {})),
    "A" * 8192,
    "A" * 65536,
)


@check("http.garbage-payment", unpaid, drawn=Drawn(values=_garbage, examples=_HISTORY, ask=_ask_garbage))
def test_garbage_payment(evidence: Evidence) -> None:
    if evidence.endpoint.protocol is None:
        reason = "the endpoint speaks no payment protocol, so that no field carries a payment"
        raise Inapplicable(reason)
    refusal(evidence)
    for label in evidence.labels("garbage-"):
        exchange = evidence.exchange(label)
        value = exchange.request.headers[-1][1]
        if exchange.failure and len(value) > 4096 and exchange.failure.kind in {"closed", "protocol", "header-limit"}:
            continue
        response = evidence.response(label)
        if not 400 <= response.status < 500:
            name = exchange.request.headers[-1][0]
            raise Violation(
                expected="a client error: 400, or 402 with an offer",
                received=response.shown(),
                at=f"{name}: {value[:60]}" + (f"… ({len(value)} characters)" if len(value) > 60 else ""),
                exchange=label,
            )


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


@check("http.unknown-path-is-not-402", unknown_path)
def test_unknown_path_is_not_402(evidence: Evidence) -> None:
    if (response := evidence.response("unknown-path")).status == 402:
        raise Violation(expected="404 for a path that does not exist", received=response.shown(), exchange="unknown-path")


@check("http.free-paths", free_paths)
def test_free_paths(evidence: Evidence) -> None:
    for label in evidence.labels("free "):
        if (response := evidence.response(label)).status == 402:
            path = label.removeprefix("free ")
            raise Violation(
                expected=f"{path} without payment, or 404", received=response.shown(), at=path, exchange=label
            )


@check("http.secure-links", unpaid)
def test_secure_links(evidence: Evidence) -> None:
    response = refusal(evidence)
    base = evidence.exchange("unpaid").request.url
    named = [("Link", link.target) for link in fields.links(response.values("link")) if "payment" in link.relations]
    named += list(_urls(_json(response)))
    for at, target in named:
        url = urljoin(base, target)
        if url.startswith("http://") and not loopback(url) and urlsplit(url).netloc != urlsplit(base).netloc:
            raise Violation(expected="https", received=target, at=at, exchange="unpaid")


def _urls(document: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """Where a JSON body sends someone who wants to pay; an x402 ``resource`` is judged with the offer."""
    match document:
        case dict():
            for key, value in document.items():
                word = str(key).lower().replace("_", "")
                if isinstance(value, str) and word.endswith(("url", "uri", "link", "href")):
                    yield f"body {at}/{key}", value
                elif key not in {"resource", "accepts", "extensions"}:
                    yield from _urls(value, f"{at}/{key}")
        case list():
            for index, value in enumerate(document):
                yield from _urls(value, f"{at}/{index}")


@check("http.content-type", unpaid)
def test_content_type(evidence: Evidence) -> None:
    response = refusal(evidence)
    if response.body and not response.media_type():
        raise Violation(expected="Content-Type", received="none beside content", exchange="unpaid")


@check("http.date", unpaid)
def test_date(evidence: Evidence) -> None:
    value = refusal(evidence).value("date")
    if value is None or not fields.is_http_date(value):
        raise Violation(expected="Date: an HTTP-date", received=value or "none", at="Date", exchange="unpaid")


@check("http.ratelimit-grammar", unpaid)
def test_ratelimit_grammar(evidence: Evidence) -> None:
    for name, member in (("ratelimit-policy", "q"), ("ratelimit", "r")):
        for item, parameters in _quotas(evidence, name):
            amount = parameters.get(member)
            if not isinstance(item, str) or isinstance(item, http_sf.Token):
                raise _quota(name, "quoted strings as items", repr(item))
            if amount is None and name == "ratelimit" or not _natural(amount):
                raise _quota(name, f"{member} as an integer of 0 or more", f"{member}={amount}")


@check("http.ratelimit-policy-named", unpaid)
def test_ratelimit_policy_named(evidence: Evidence) -> None:
    policies = {str(item) for item, _ in _quotas(evidence, "ratelimit-policy", lenient=True)}
    for item, _ in _quotas(evidence, "ratelimit", lenient=True):
        if policies and str(item) not in policies:
            raise _quota("ratelimit", f"one of {', '.join(sorted(policies))}", str(item))


@check("http.retry-after-covers-window", unpaid)
def test_retry_after_covers_window(evidence: Evidence) -> None:
    wait = refusal(evidence).value("retry-after")
    if wait is None or not wait.isdecimal():
        reason = "the refusal has no Retry-After in seconds"
        raise Inapplicable(reason)
    for item, parameters in _quotas(evidence, "ratelimit", lenient=True):
        left, reset = parameters.get("r"), parameters.get("t")
        if left == 0 and isinstance(reset, int) and int(wait) < reset:
            raise Violation(
                expected=f"{reset} s or more, when the exhausted quota {item} resets",
                received=f"{wait} s",
                at="Retry-After",
                exchange="unpaid",
            )


def _quotas(evidence: Evidence, name: str, *, lenient: bool = False) -> list[tuple[Any, dict[str, Any]]]:
    response = refusal(evidence)
    if not response.values("ratelimit") and not response.values("ratelimit-policy"):
        reason = "the refusal has no RateLimit fields"
        raise Inapplicable(reason)
    try:
        parsed = http_sf.parse(", ".join(response.values(name)).encode("latin-1"), tltype="list")
    except ValueError as error:
        if lenient:
            raise Untestable(str(error), cause="http.ratelimit-grammar") from error
        raise _quota(name, "a structured list (RFC 9651)", str(error)) from error
    return list(parsed)


def _natural(value: object) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)


def _quota(name: str, expected: str, received: str) -> Violation:
    return Violation(expected=expected, received=received, at=name, exchange="unpaid")


@check("http.secure-transport", plain_http)
def test_secure_transport(evidence: Evidence) -> None:
    base = evidence.profile.target.base_url
    if loopback(base):
        reason = "the target is on this machine: loopback is exempt from https"
        raise Inapplicable(reason)
    if base.startswith("http://"):
        raise Violation(expected="https", received=base, at="target.base_url")
    if "plain-http" not in evidence.exchanges:
        reason = "the target is not on the usual port of https, so that its http counterpart is unknown"
        raise Inapplicable(reason)
    exchange = evidence.exchange("plain-http")
    if exchange.response and exchange.response.status in {200, 402}:
        raise Violation(
            expected="a redirect to https, 426, or no answer", received=exchange.response.shown(), exchange="plain-http"
        )


@check("http.no-cross-origin-redirect", unpaid)
def test_no_cross_origin_redirect(evidence: Evidence) -> None:
    response = evidence.response("unpaid")
    location = response.value("location")
    if not 300 <= response.status < 400 or location is None:
        return
    asked = urlsplit(evidence.exchange("unpaid").request.url)
    goal = urlsplit(urljoin(asked.geturl(), location))
    if (goal.scheme, goal.netloc) not in {(asked.scheme, asked.netloc), ("https", asked.hostname)}:
        raise Violation(
            expected="the challenge, or a redirect within the origin", received=location, at="Location",
            exchange="unpaid",
        )
