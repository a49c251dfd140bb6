"""Legal variants of a refusal in general."""

import gzip
import json
from typing import Any

from altering import (
    V1,
    becomes,
    field,
    lacks,
    pays,
    problem,
    readable,
    resource,
    when,
)
from serving import Answer, Asked, Change, Relay, decoded, refusals, then
from variant import Legal, endpoints, legal

__all__ = ["HTTP"]

_FAULTY = (400, 401, 403, 404, 405, 415, 422)
_PAGE = "<!doctype html><html lang=en><title>Pay</title><h1>Pay</h1></html>"


def _paths(*names: str) -> tuple[str, ...]:
    return tuple(f"/{name}" for name in names)


def _turned_away(asked: Asked, answer: Answer) -> None:
    if (
        pays(asked)
        or asked.headers["host"].startswith("evil")
        or asked.headers.get("user-agent", "").startswith("curl")
    ):
        answer.become(_FAULTY[asked.nth % len(_FAULTY)], "no")


def _slow_down(asked: Asked, answer: Answer) -> None:
    if asked.nth == 1:
        answer.become(429, "slow down")
        answer.set("Retry-After", "0")


def _bodiless(answer: Answer) -> None:
    answer.body = b""
    answer.drop("content-type")


def _says(text: str, media_type: str) -> Change:
    def alter(answer: Answer) -> None:
        answer.body = text.encode()
        answer.set("Content-Type", media_type)

    return refusals(alter)


def _teaser(answer: Answer) -> None:
    if answer.get("content-type") == "application/json":
        answer.body = json.dumps(json.loads(answer.body) | {"preview": "The weather will be…"}).encode()


def _challenge_again(_: Asked, answer: Answer) -> None:
    """A malformed payment is refused as no payment is."""
    if answer.status == 400:
        answer.status = 402
        problem(status=402, title="Payment Required")(_, answer)


def _too_large(status: int) -> Change:
    def change(asked: Asked, answer: Answer) -> None:
        if any(len(value) > 4096 for value in asked.headers.values()):
            answer.become(status)

    return change


def _hangs_up(request: bytes, answer: bytes) -> bytes:
    return b"" if any(len(line) > 4096 for line in request.split(b"\r\n")) else answer


def _reason(phrase: bytes) -> Relay:
    return lambda _, answer: answer.replace(b"402 Payment Required", b"402 " + phrase, 1)


def _shouting(_: bytes, answer: bytes) -> bytes:
    head, blank, body = answer.partition(b"\r\n\r\n")
    status, *fields = head.split(b"\r\n")
    named = [name.upper() + colon + value for name, colon, value in (line.partition(b":") for line in fields)]
    return b"\r\n".join([status, *named]) + blank + body


def _chunked(request: bytes, answer: bytes) -> bytes:
    head, blank, body = answer.partition(b"\r\n\r\n")
    if request.startswith(b"HEAD ") or not body:
        return answer
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length:")]
    half = len(body) // 2
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:half], body[half:]) if part)
    return b"\r\n".join([*lines, b"Transfer-Encoding: chunked"]) + blank + chunks + b"0\r\n\r\n"


def _http_1_0(_: bytes, answer: bytes) -> bytes:
    return answer.replace(b"HTTP/1.1", b"HTTP/1.0", 1)


def _zipped(asked: Asked, answer: Answer) -> None:
    if answer.body and asked.method != "HEAD":
        answer.body = gzip.compress(answer.body)
        answer.set("Content-Encoding", "gzip")


def _sold_at_openapi(written: dict[str, Any]) -> None:
    written["endpoint"][0]["path"] = "/openapi.json"


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
        "requests with another fault are turned away for that",
        _turned_away,
        "http.unpaid-is-refused: 401, 403, 404, 405, 400, 415, 422 or 429 for a request that has another fault",
        "x402.offer.unpaid-is-402: another status for a request that has another fault",
    ),
    legal(
        "its challenges are limited in number",
        _slow_down,
        "http.unpaid-is-refused: 401, 403, 404, 405, 400, 415, 422 or 429 for a request that has another fault",
        where=_paths("forecast"),
    ),
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
        "it does not do HEAD",
        when(lambda asked: asked.method == "HEAD", becomes(405)),
        "http.head-mirrors-get: 405 or 501",
    ),
    legal(
        "it has not heard of HEAD",
        when(lambda asked: asked.method == "HEAD", becomes(501)),
        "http.head-mirrors-get: 405 or 501",
    ),
    legal(
        "its metadata is free",
        when(lambda asked: asked.method == "HEAD", becomes(200, "{}", "application/json")),
        "http.head-mirrors-get: 2xx where endpoint.head is metadata",
        edit=endpoints(head="metadata"),
    ),
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
    legal("its links are other links", field("Link", '</docs>; rel="help", </style>; rel=stylesheet')),
    legal(
        "a malformed payment gets the challenge again",
        _challenge_again,
        "http.garbage-payment: 402 with an offer",
    ),
    legal(
        "a payment may be too large",
        _too_large(413),
        "http.garbage-payment: 413, 414, 431 or a closed connection for size",
    ),
    legal(
        "a header section may be too large",
        _too_large(431),
        "http.garbage-payment: 413, 414, 431 or a closed connection for size",
    ),
    legal(
        "it hangs up on a header section that is too large",
        None,
        "http.garbage-payment: 413, 414, 431 or a closed connection for size",
        relay=_hangs_up,
    ),
    legal("its 402 has an entity tag", field("ETag", 'W/"offer-1"'), "http.preconditions-ignored: an ETag on the 402"),
    legal(
        "its API description is what it sells",
        resource("/openapi.json"),
        "http.free-paths: a path that is an endpoint of the profile",
        where=("/openapi.json",),
        sells={"/openapi.json": "/weather"},
        edit=_sold_at_openapi,
    ),
    legal(
        "its limits are told in older fields",
        then(field("X-RateLimit-Limit", "100"), field("X-RateLimit-Remaining", "0"), field("Retry-After", "1")),
        "http.ratelimit-grammar: the older X-RateLimit fields",
    ),
    legal(
        "its limits are told in the fields of the draft",
        then(
            field("RateLimit-Policy", '"day";q=100;w=86400, "burst";q=5;w=1;qu="requests"'),
            field("RateLimit", '"burst";r=0;t=1, "day";r=99'),
            field("Retry-After", "60"),
        ),
    ),
    legal("its reason phrase is another", None, relay=_reason(b"Cash Please")),
    legal("it has no reason phrase", None, relay=_reason(b"")),
    legal("its field names are in upper case", None, relay=_shouting),
    legal("its content is chunked", None, relay=_chunked),
    legal("it speaks HTTP/1.0", None, relay=_http_1_0),
    legal("its content is compressed", _zipped),
    legal(
        "a gateway speaks in its place", then(field("Server", "cdn"), field("Via", "1.1 cdn"), field("CF-RAY", "8f"))
    ),
)
