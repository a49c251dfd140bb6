"""Legal variants of a refusal in general."""

import json

from altering import (
    V1,
    field,
    lacks,
    problem,
    readable,
    when,
)
from serving import Answer, Change, decoded, refusals, then
from variant import Legal, endpoints, legal

__all__ = ["HTTP"]

_PAGE = "<!doctype html><html lang=en><title>Pay</title><h1>Pay</h1></html>"


def _paths(*names: str) -> tuple[str, ...]:
    return tuple(f"/{name}" for name in names)


def _bodiless(answer: Answer) -> None:
    answer.body = b""
    answer.drop("content-type")


def _to_a_file(answer: Answer) -> None:
    answer.become(303)
    answer.set("Location", "/files/sunny")


def _says(text: str, media_type: str) -> Change:
    def alter(answer: Answer) -> None:
        answer.body = text.encode()
        answer.set("Content-Type", media_type)

    return refusals(alter)


def _teaser(answer: Answer) -> None:
    if answer.get("content-type") == "application/json":
        answer.body = json.dumps(json.loads(answer.body) | {"preview": "The weather will be…"}).encode()


def _same_in_body(answer: Answer) -> None:
    """The offer of the header stands in the body as well."""
    if answer.get("content-type") == "application/problem+json":
        answer.say(decoded(answer.get("payment-required")))


HTTP: tuple[Legal, ...] = (
    legal(
        "it is the sandbox",
        None,
        "http.challenge-grammar: no WWW-Authenticate",
        "http.retry-after-grammar: no Retry-After",
        "http.ratelimit-grammar: no such fields",
        "http.garbage-payment: 400",
        "http.free-paths: 404",
        "http.secure-links: http on loopback",
        "http.problem-details: type about:blank or absent",
        "http.secure-transport: http on loopback",
        "browser.offer-for-browsers: an HTML body",
        "browser.offer-for-browsers: a version 1 offer that gives way to an HTML body",
        "browser.vary: no-store",
        "x402.offer.one-challenge: a version 1 body beside a version 2 header",
        "x402.offer.descriptions: a null outputSchema in version 1",
        "x402.offer.same-for-everyone: another body for another client",
    ),
    legal("its profile leaves the versions to what is advertised", None, edit=endpoints(versions=None)),
    legal(
        "its 402 of version 2 has no body",
        refusals(_bodiless),
        "http.way-to-pay: a header field",
        "http.problem-details: any other media type",
        "http.content-type: an empty body without a media type",
        "x402.offer.one-challenge: any body beside a version 2 header",
        "x402.offer.places-agree: any body that makes no offer",
        where=_paths("weather", "report"),
    ),
    legal(
        "its body of version 2 is an empty object",
        _says("{}", "application/json"),
        "x402.offer.one-challenge: any body beside a version 2 header",
        "x402.offer.places-agree: any body that makes no offer",
        where=_paths("weather", "report"),
    ),
    legal(
        "its body of version 2 is a page for everyone",
        _says(_PAGE, "text/html; charset=utf-8"),
        "http.problem-details: any other media type",
        "x402.offer.one-challenge: any body beside a version 2 header",
        where=_paths("weather", "report"),
    ),
    legal("its body of version 2 repeats the header", refusals(_same_in_body), where=_paths("weather", "report")),
    legal(
        "it speaks version 1, in content only",
        lacks("link"),
        "http.way-to-pay: content",
        "http.payment-link: no such link",
        where=_paths("forecast"),
    ),
    legal(
        "it speaks several protocols in one 402",
        then(
            readable('Payment id="x7Tg2pLq", realm="sandbox", method="tempo", intent="charge", request="e30"'),
            field("X-Cashu", "creqApWF0gaNhdGVub3N0cg"),
        ),
        "http.way-to-pay: several protocols in one 402",
    ),
    legal(
        "who has paid is sent to a file, whose name has the marker",
        when(lambda asked: "sandbox-account" in asked.headers, _to_a_file),
        edit=endpoints(marker={"re": "/files/sunny"}),
    ),
    legal(
        "it says nothing of caches",
        lacks("cache-control"),
        "http.refusal-not-cacheable: no Cache-Control at all",
        "browser.vary: no explicit freshness: a 402 is not stored then",
    ),
    legal(
        "it says nothing of caches and does not vary",
        lacks("cache-control", "vary"),
        "browser.vary: no explicit freshness: a 402 is not stored then",
    ),
    legal("a private cache may keep it", field("Cache-Control", "private"), "http.refusal-not-cacheable: private"),
    legal(
        "a private cache may keep it and asks again",
        field("Cache-Control", "no-cache, private"),
        "http.refusal-not-cacheable: no-cache with private",
    ),
    legal("it is stale from the beginning", field("Cache-Control", "max-age=0, must-revalidate")),
    legal("it is stale from the beginning, and public", field("Cache-Control", "public, max-age=0, must-revalidate")),
    legal("it is public and has to be asked for again", field("Cache-Control", "public, no-cache")),
    legal(
        "no CDN may keep it",
        then(field("CDN-Cache-Control", "no-store"), field("Surrogate-Control", "max-age=0")),
    ),
    legal("it expired long ago", then(lacks("cache-control"), field("Expires", "0"))),
    legal("it varies by everything", then(field("Vary", "*"), field("Cache-Control", "private, max-age=60"))),
    legal(
        "several challenges share a field line",
        readable('Basic realm="a", Bearer realm="b", error="x"'),
        "http.challenge-grammar: several challenges in one field",
        notes=frozenset({"http.challenge-per-line"}),
    ),
    legal("several challenges have lines of their own", readable('Basic realm="a"', 'Bearer realm="b"')),
    legal(
        "its challenge has no parameters, or credentials of 68 characters",
        readable("Negotiate", "Negotiate oYG2MIGzoAMKAQChCwYJKoZIgvcSAQICooGe=="),
        "http.challenge-grammar: token68 credentials",
    ),
    legal("its challenge has spaces and a comma in quotes", readable('L402 macaroon="AGIA", invoice = "lnbc1, or so"')),
    legal("it asks to wait for seconds", field("Retry-After", "0")),
    legal("it asks to wait until a date", field("Retry-After", "Fri, 20 Nov 2026 10:00:00 GMT")),
    legal(
        "it shows a teaser",
        refusals(_teaser),
        "http.no-paid-content: a teaser that does not hold the marker",
        where=_paths(*V1),
    ),
    legal(
        "its problem details say more",
        problem(type="/problems/unpaid", instance="/weather?a=b#c", balance=0, accepts=["x402"]),
        "http.problem-details: extension members",
        where=_paths("weather", "report"),
    ),
    legal(
        "its problem details say nothing",
        _says("{}", "application/problem+json; charset=utf-8"),
        "http.problem-details: type about:blank or absent",
        where=_paths("weather", "report"),
    ),
    legal(
        "its problem details have nulls for what they do not say",
        problem(type=None, title=None, detail=None, instance=None),
        where=_paths("weather", "report"),
    ),
    legal(
        "its body has names that look like addresses",
        problem(**{"@context": {"payment": "http://schema.org/payment"}, "payment_method": "http://purl.org/gr#Cash"}),
        where=_paths("weather", "report"),
    ),
    legal("its links are no links, and many", field("Link", "<" * 60_000)),
    legal("its links are other links", field("Link", '</docs>; rel="help", </style>; rel=stylesheet')),
    legal("its 402 has an entity tag", field("ETag", 'W/"offer-1"'), "http.preconditions-ignored: an ETag on the 402"),
    legal(
        "its limits are told in older fields",
        then(field("X-RateLimit-Limit", "100"), field("X-RateLimit-Remaining", "0"), field("Retry-After", "1")),
        "http.ratelimit-grammar: the older X-RateLimit fields",
    ),
    legal(
        "its limits are told as draft 7 has them",
        then(
            field("RateLimit-Policy", "10000;w=60"),
            field("RateLimit", "limit=10000, remaining=9818, reset=22"),
        ),
    ),
    legal(
        "its limits are told as draft 6 has them",
        then(
            field("RateLimit-Policy", "100;w=60"),
            field("RateLimit-Limit", "100"),
            field("RateLimit-Remaining", "0"),
            field("RateLimit-Reset", "5"),
        ),
    ),
    legal("its limit is a number, as the first drafts had it", field("RateLimit", "100")),
    legal(
        "its limits are told in the fields of the draft",
        then(
            field("RateLimit-Policy", '"day";q=100;w=86400, "burst";q=5;w=1;qu="requests"'),
            field("RateLimit", '"burst";r=0;t=1, "day";r=99'),
            field("Retry-After", "60"),
        ),
    ),
)
