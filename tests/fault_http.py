"""Faults of a refusal in general."""

import base64
import json

from altering import ALL, PROBLEMS, TARGET, becomes, field, is_unpaid, lacks, pays, problem, readable, when
from fault import fault
from serving import Asked, Change, refusals, then

__all__ = ["HTTP"]

_UNPAID = ("http.unpaid-is-refused", "x402.offer.unpaid-is-402")


def _coded_scalar(asked: Asked) -> bool:
    value = asked.headers.get("x-payment", asked.headers.get("payment-signature", ""))
    try:
        return not isinstance(json.loads(base64.b64decode(value.encode("latin-1"), validate=True)), dict)
    except (ValueError, RecursionError):
        return False


def _at_pay(status: int) -> Change:
    """The page to which the payment link leads is answered so."""
    return when(lambda asked: asked.path == "/pay", becomes(status))


HTTP = (
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
        "http.accept-json",
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
        "a CDN that has a field of its own may keep the 402",
        field("CDN-Cache-Control", "public, max-age=600"),
        "http.refusal-not-cacheable",
    ),
    fault(
        "a surrogate may keep the 402",
        field("Surrogate-Control", "max-age=600"),
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
    fault("problem details have another status", problem(status=400), "http.problem-details", at=PROBLEMS),
    fault("problem details have a number for a title", problem(title=402), "http.problem-details", at=PROBLEMS),
    fault("problem details have a status as text", problem(status="402"), "http.problem-details", at=PROBLEMS),
    fault(
        "problem details have no place for a type", problem(type="not a reference"), "http.problem-details", at=PROBLEMS
    ),
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
    fault("what the payment link leads to is gone", _at_pay(410), "http.payment-link", at=(*ALL, "pay")),
    fault("what the payment link leads to crashes", _at_pay(503), "http.payment-link", at=(*ALL, "pay")),
    fault("the payment link is no address", field("Link", '<http://[>; rel="payment"'), "http.payment-link"),
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
        "the map of the site costs",
        when(lambda asked: asked.path == "/sitemap.xml", becomes(402)),
        "http.free-paths",
        at=TARGET,
    ),
    fault(
        "the payment link is not encrypted",
        field("Link", '<http://pay.example/>; rel="payment"'),
        "http.secure-links",
        untestable=frozenset({"http.payment-link"}),
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
    fault("RateLimit names its quota without quotes", field("RateLimit", "day;r=1"), "http.ratelimit-grammar"),
    fault("RateLimit is no list", field("RateLimit", '"day";r='), "http.ratelimit-grammar"),
    fault("RateLimit does not say what is left", field("RateLimit", '"day";t=60'), "http.ratelimit-grammar"),
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
