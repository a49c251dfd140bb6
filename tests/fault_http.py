"""Faults of a refusal in general."""

import base64
import json
from collections.abc import Callable
from typing import Any

from altering import GET, PAID, PROBLEMS, TARGET, V1, becomes, field, is_unpaid, lacks, pays, problem, readable, when
from fault import fault
from serving import Answer, Asked, Change, Relay, refusals, then

__all__ = ["HTTP"]

_TRACE = 'Traceback (most recent call last):\n  File "/srv/shop/paywall.py", line 42, in price\nKeyError: 0\n'
_UNPAID = ("http.unpaid-is-refused", "x402.offer.unpaid-is-402")


def _serves(asked: Asked, answer: Answer) -> None:
    """The paid answer."""
    answer.become(200, json.dumps({"city": "Paris", "sky": PAID[asked.path[1:]]}), "application/json")


def _served_to(whom: Callable[[Asked], object]) -> Change:
    def change(asked: Asked, answer: Answer) -> None:
        if is_unpaid(asked) and whom(asked):
            _serves(asked, answer)

    return change


def _leaks(asked: Asked, answer: Answer) -> None:
    if answer.status == 402:
        answer.set("X-Preview", PAID[asked.path[1:]])


def _teases_too_much(asked: Asked, answer: Answer) -> None:
    if answer.status == 402 and answer.get("content-type") == "application/json":
        answer.body = json.dumps(json.loads(answer.body) | {"preview": PAID[asked.path[1:]]}).encode()


def _coded_scalar(asked: Asked) -> bool:
    value = asked.headers.get("x-payment", asked.headers.get("payment-signature", ""))
    try:
        return not isinstance(json.loads(base64.b64decode(value.encode("latin-1"), validate=True)), dict)
    except (ValueError, RecursionError):
        return False


def _content_after_head(content: bytes) -> Relay:
    return lambda request, answer: answer + content if request.startswith(b"HEAD ") else answer


def _with_a_key(written: dict[str, Any]) -> None:
    written["target"]["headers"] = {"Api-Key": "<secret:API_KEY>"}


def _key_echoed(asked: Asked, answer: Answer) -> None:
    problem(received={"api-key": asked.headers.get("api-key", "")})(asked, answer)


HTTP = (
    fault(
        "whoever asks is served",
        _served_to(lambda _: True),
        *_UNPAID,
        "http.no-paid-content",
        at=GET,
    ),
    fault(
        "the first request is refused and the second is served",
        _served_to(lambda asked: asked.nth == 1),
        *_UNPAID,
        "http.no-paid-content",
        "x402.offer.stable",
        at=GET,
    ),
    fault(
        "the paywall is an error in the body of a 200",
        when(is_unpaid, becomes(200, '{"error": "payment required"}', "application/json")),
        *_UNPAID,
    ),
    fault(
        "the paywall crashes on an unpaid request",
        when(is_unpaid, becomes(500, "Internal Server Error")),
        "x402.offer.unpaid-is-402",
        errors=frozenset({"http.unpaid-is-refused"}),
    ),
    fault(
        "the way to the challenge leads to another origin",
        when(is_unpaid, lambda a: (a.become(302), a.set("Location", "https://login.example/"))[-1]),
        "http.no-cross-origin-redirect",
        errors=frozenset(_UNPAID),
    ),
    fault(
        "the 402 of version 2 lost its challenge",
        lacks("payment-required"),
        "x402.offer.one-challenge",
        "http.way-to-pay",
        at=PROBLEMS,
    ),
    fault(
        "the 402 names a problem type and no way to pay",
        then(lacks("payment-required"), problem(type="https://example.com/problems/unpaid")),
        "x402.offer.one-challenge",
        "http.way-to-pay",
        at=PROBLEMS,
    ),
    fault(
        "the 402 says in prose that it costs",
        refusals(lambda answer: answer.become(402, "Please pay 0.03 USDC.")),
        "x402.offer.one-challenge",
        "http.way-to-pay",
        "browser.refusal-names-origin",
        at=PROBLEMS,
    ),
    fault(
        "a shared cache may keep the 402", field("Cache-Control", "public, max-age=60"), "http.refusal-not-cacheable"
    ),
    fault("a CDN may keep the 402", field("Cache-Control", "s-maxage=300"), "http.refusal-not-cacheable"),
    fault(
        "a CDN may keep the 402 for longer than the sun shines",
        field("Cache-Control", f"s-maxage={'9' * 5000}"),
        "http.refusal-not-cacheable",
    ),
    fault(
        "the 402 expires in many years",
        then(lacks("cache-control"), field("Expires", "Fri, 31 Dec 2066 10:00:00 GMT")),
        "http.refusal-not-cacheable",
    ),
    fault("the realm has no quotes", readable("Bearer realm=shop"), "http.challenge-grammar"),
    fault("a challenge has a parameter twice", readable('Payment id="a", id="b"'), "http.challenge-grammar"),
    fault("WWW-Authenticate is a sentence", readable("please pay; thank you"), "http.challenge-grammar"),
    fault("WWW-Authenticate is empty", readable(""), "http.challenge-grammar"),
    fault(
        "two challenges share a field line", readable('Basic realm="a", Bearer realm="b"'), "http.challenge-per-line"
    ),
    fault("Retry-After is a word", field("Retry-After", "soon"), "http.retry-after-grammar"),
    fault("Retry-After is negative", field("Retry-After", "-1"), "http.retry-after-grammar"),
    fault("Retry-After is a fraction", field("Retry-After", "1.5"), "http.retry-after-grammar"),
    fault("Retry-After is an ISO date", field("Retry-After", "2026-11-20T10:00:00Z"), "http.retry-after-grammar"),
    fault(
        "Retry-After is in the form of RFC 850",
        field("Retry-After", "Friday, 20-Nov-26 10:00:00 GMT"),
        "http.retry-after-grammar",
    ),
    fault("HEAD is answered with content", None, "http.head-has-no-content", at=GET, relay=_content_after_head(b"{}")),
    fault(
        "HEAD is answered with the paid content",
        None,
        "http.head-has-no-content",
        "http.head-leaks-nothing",
        at=GET,
        relay=_content_after_head(json.dumps(PAID).encode()),
    ),
    fault(
        "HEAD runs the handler unpaid",
        when(lambda asked: asked.method == "HEAD", becomes(200, "{}", "application/json")),
        "http.head-mirrors-get",
        at=GET,
    ),
    fault(
        "HEAD is refused without the challenge",
        when(lambda asked: asked.method == "HEAD", lambda answer: answer.drop("payment-required")),
        "http.head-mirrors-get",
        at=("weather", "almanac"),
    ),
    fault(
        "HEAD tells in a field what the paid answer says",
        when(lambda asked: asked.method == "HEAD", lambda answer: answer.set("X-Preview", "sunny, and 21 degrees")),
        "http.head-leaks-nothing",
        at=("weather",),
    ),
    fault(
        "a field of the refusal has the paid answer", _leaks, "http.no-paid-content", "http.head-leaks-nothing", at=GET
    ),
    fault("the teaser is the whole answer", _teases_too_much, "http.no-paid-content", at=V1),
    fault(
        "the reason phrase has the paid answer",
        None,
        "http.no-paid-content",
        "http.head-leaks-nothing",
        at=("weather",),
        relay=lambda request, answer: (
            answer.replace(b"402 Payment Required", b"402 It is sunny") if b" /weather" in request else answer
        ),
    ),
    fault("problem details have another status", problem(status=400), "http.problem-details", at=PROBLEMS),
    fault("problem details have a number for a title", problem(title=402), "http.problem-details", at=PROBLEMS),
    fault("problem details have a status as text", problem(status="402"), "http.problem-details", at=PROBLEMS),
    fault(
        "problem details are an array",
        refusals(lambda a: a.say([], a.get("content-type"))),
        "http.problem-details",
        at=PROBLEMS,
    ),
    fault(
        "problem details are cut off",
        refusals(lambda answer: setattr(answer, "body", answer.body[:-1])),
        "http.problem-details",
        at=PROBLEMS,
    ),
    fault("the payment link leads nowhere", field("Link", '</gone>; rel="payment"'), "http.payment-link"),
    fault("the payment link is no address", field("Link", '<http://[>; rel="payment"'), "http.payment-link"),
    fault("the refusal shows a traceback", problem(debug=_TRACE), "http.no-stack-trace", at=PROBLEMS),
    fault(
        "the refusal shows a trace of Node.js",
        problem(detail="at price (/srv/app/paywall.js:12:5)", debug="x\n    at price (/srv/app/paywall.js:12:5)\n"),
        "http.no-stack-trace",
        at=PROBLEMS,
    ),
    fault(
        "the refusal shows a key of the cloud",
        problem(config={"key": "AKIAIOSFODNN7EXAMPLE"}),
        "http.no-secret",
        at=PROBLEMS,
    ),
    fault(
        "the refusal shows the key of the wallet",
        problem(key="-----BEGIN EC PRIVATE KEY-----\nMHQCAQEE"),
        "http.no-secret",
        at=PROBLEMS,
    ),
    fault(
        "the refusal repeats the client's API key",
        _key_echoed,
        "http.no-secret",
        at=PROBLEMS,
        edit=_with_a_key,
        secrets={"API_KEY": "k-4f1b9c2d7e8a6053"},
    ),
    fault("a malformed payment crashes the server", when(pays, becomes(500)), "http.garbage-payment"),
    fault(
        "base64 that holds no object crashes the server",
        when(_coded_scalar, becomes(500)),
        "http.garbage-payment",
    ),
    fault("whatever stands in the payment field is a payment", when(pays, becomes(200, "{}")), "http.garbage-payment"),
    fault("a malformed payment is sent elsewhere", when(pays, becomes(303)), "http.garbage-payment"),
    fault(
        "a precondition gets round the paywall",
        when(lambda asked: asked.headers.get("if-none-match") == "*", becomes(304)),
        "http.preconditions-ignored",
    ),
    fault(
        "the entity tag of a 402 is honoured",
        then(
            field("ETag", '"offer-1"'),
            when(lambda asked: asked.headers.get("if-none-match") == '"offer-1"', becomes(304)),
        ),
        "http.preconditions-ignored",
    ),
    fault(
        "a precondition fails before the paywall",
        when(lambda asked: "if-none-match" in asked.headers, becomes(412)),
        "http.preconditions-ignored",
    ),
    fault(
        "every unknown path costs",
        when(lambda asked: "no-such" in asked.path, becomes(402)),
        "http.unknown-path-is-not-402",
        at=TARGET,
    ),
    fault(
        "robots.txt costs",
        when(lambda asked: asked.path == "/robots.txt", becomes(402)),
        "http.free-paths",
        at=TARGET,
    ),
    fault(
        "the API description costs",
        when(lambda asked: asked.path == "/openapi.json", becomes(402)),
        "http.free-paths",
        at=TARGET,
    ),
    fault(
        "the payment link is not encrypted",
        field("Link", '<http://pay.example/>; rel="payment"'),
        "http.secure-links",
    ),
    fault(
        "the body sends to a checkout that is not encrypted",
        problem(checkout_url="http://pay.example/"),
        "http.secure-links",
        at=PROBLEMS,
    ),
    fault("content has no media type", lacks("content-type"), "http.content-type", at=PROBLEMS),
    fault(
        "the media type is said twice",
        refusals(lambda answer: answer.add("Content-Type", answer.get("content-type"))),
        "http.singleton-fields",
    ),
    fault(
        "the time to wait is said twice, and differently",
        refusals(lambda answer: (answer.add("Retry-After", "5"), answer.add("Retry-After", "60"))),
        "http.singleton-fields",
        "http.retry-after-grammar",
    ),
    fault("the refusal has no Date", lacks("date"), "http.date"),
    fault("the Date is not in GMT", field("Date", "Fri, 20 Nov 2026 10:00:00 +0100"), "http.date"),
    fault("RateLimit is a number", field("RateLimit", "100"), "http.ratelimit-grammar"),
    fault(
        "RateLimit is of an older draft",
        field("RateLimit", "limit=100, remaining=0, reset=5"),
        "http.ratelimit-grammar",
    ),
    fault("RateLimit has a fraction left", field("RateLimit", '"day";r=1.5'), "http.ratelimit-grammar"),
    fault("a quota is negative", field("RateLimit-Policy", '"day";q=-1'), "http.ratelimit-grammar"),
    fault(
        "RateLimit speaks of a quota that no policy names",
        then(field("RateLimit-Policy", '"day";q=100'), field("RateLimit", '"hour";r=0')),
        "http.ratelimit-policy-named",
    ),
    fault(
        "Retry-After ends before the quota is filled again",
        then(field("RateLimit", '"day";r=0;t=3600'), field("Retry-After", "5")),
        "http.retry-after-covers-window",
    ),
)
