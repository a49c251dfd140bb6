"""Fields that a request may bring beside its own, and other ways to write those that it has."""

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from conformance.spelling import Respelt, Spelling, fielded

__all__ = ["HOSTS", "REPEATED", "REWRITTEN", "SPECIAL", "TRUSTED"]

_ELSEWHERE = "conformance.example"


def _host(write: str) -> Respelt:
    """Another ``Host``, with the target's own name and port filled in."""

    def respelt(plain: Spelling) -> Spelling:
        parts = urlsplit(plain.origin)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return plain.with_fields(("Host", write.format(name=parts.hostname, port=port, host=parts.netloc)))

    return respelt


HOSTS: Mapping[str, Respelt] = {
    "this machine": _host("localhost"),
    "this machine, by its address": _host("127.0.0.1"),
    "its own name without the port": _host("{name}"),
    "its own name with a dot": _host("{name}.:{port}"),
    "its own name, another port": _host("{name}:1"),
    "a name inside": _host("internal"),
    "none": _host(""),
    "two": lambda plain: replace(plain, fields=(("Host", _ELSEWHERE), *plain.fields)),
    "one by a proxy": fielded(
        ("X-Forwarded-Host", "localhost"), ("X-Host", "localhost"), ("Forwarded", "host=localhost;proto=https")
    ),
}

_URLS = ("X-Original-URI", "X-Forwarded-URI", "X-Forwarded-Path", "X-Envoy-Original-Path", "X-Override-URL")


def _told(*names: str) -> Respelt:
    """Sent to the root, and told to be for the path by fields of a proxy."""

    def respelt(plain: Spelling) -> Spelling | None:
        here = plain.path + (f"?{plain.query}" if plain.query else "")
        made = plain.with_fields(*((name, here) for name in names))
        return replace(made, path="/", query=None) if plain.path != "/" else None

    return respelt


def _untold(*names: str, to: str = "/") -> Respelt:
    """Sent to the path, and told to be for another one."""
    return fielded(*((name, to) for name in names))


def _prefixed(plain: Spelling) -> Spelling:
    names = ("X-Forwarded-Prefix", "X-Script-Name", "X-Original-Prefix")
    return plain.with_fields(*((name, "/x") for name in names)).at(f"/x{plain.path}")


REWRITTEN: Mapping[str, Respelt] = {
    "X-Original-URL": _told("X-Original-URL"),
    "X-Rewrite-URL": _told("X-Rewrite-URL"),
    "other names": _told(*_URLS),
    "away from it, X-Original-URL and X-Rewrite-URL": _untold("X-Original-URL", "X-Rewrite-URL"),
    "away from it, other names": _untold(*_URLS),
    "away from it, to robots.txt": _untold("X-Original-URL", "X-Rewrite-URL", *_URLS, to="/robots.txt"),
    "a prefix": _untold("X-Forwarded-Prefix", "X-Script-Name", to="/x"),
    "a prefix that is there": _prefixed,
}

_ADDRESSES = (
    *("X-Forwarded-For", "X-Real-IP", "X-Client-IP", "X-Originating-IP", "X-Remote-IP", "X-Remote-Addr"),
    *("True-Client-IP", "CF-Connecting-IP", "Client-IP", "X-Cluster-Client-IP"),
)
_INSIDE = ("X-Internal", "X-Internal-Request", "X-Debug", "X-Admin", "X-Test", "X-Bypass", "X-Skip-Payment", "X-Dev")
_USERS = ("X-Remote-User", "X-Forwarded-User", "X-User", "X-Auth-User", "X-Authenticated-User", "Remote-User")
_PAID = ("X-Paid", "X-Payment-Verified", "Payment-Verified", "X-Payment-Required-Bypass", "X-402-Paid", "X-Premium")
_RECEIPT = "eyJzdWNjZXNzIjp0cnVlLCJ0cmFuc2FjdGlvbiI6IjB4MSIsIm5ldHdvcmsiOiJlaXAxNTU6ODQ1MzIiLCJwYXllciI6IjB4MSJ9"
"""A receipt that says success: only servers send one."""
_MIDDLEWARE = ("middleware", "src/middleware")

TRUSTED: Mapping[str, Respelt] = {
    "an address of this machine": fielded(
        *((name, "127.0.0.1") for name in _ADDRESSES), ("Forwarded", "for=127.0.0.1;by=127.0.0.1")
    ),
    "an encrypted connection": fielded(
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Scheme", "https"),
        ("X-Forwarded-Port", "443"),
        ("Front-End-Https", "on"),
    ),
    "a request from inside": fielded(*((name, "true") for name in _INSIDE)),
    "a user whom a proxy knows": fielded(*((name, "admin") for name in _USERS)),
    "a request from inside, in numbers": fielded(*((name, "1") for name in (*_INSIDE, *_PAID))),
    "a robot of a search engine": fielded(
        ("User-Agent", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"),
        ("From", "googlebot(at)googlebot.com"),
    ),
    "a probe of health": fielded(("User-Agent", "ELB-HealthChecker/2.0 kube-probe/1.33")),
    "a reader from a search engine": fielded(("Referer", "https://www.google.com/"), ("Sec-Fetch-Site", "cross-site")),
    "a reader of its own pages": lambda plain: plain.with_fields(
        ("Referer", f"{plain.origin}/"), ("Origin", plain.origin)
    ),
    "a token that nobody gave out": fielded(("Authorization", "Bearer conformance")),
    "a key that nobody gave out": fielded(
        *((name, "conformance") for name in ("X-Api-Key", "Api-Key", "X-Auth-Token", "X-Access-Token", "X-License"))
    ),
    "a payment that is made": fielded(*((name, "true") for name in _PAID), ("X-Payment-Status", "paid")),
    "a receipt": fielded(("PAYMENT-RESPONSE", _RECEIPT), ("X-PAYMENT-RESPONSE", _RECEIPT)),
    # CVE-2025-29927: a request that names the middleware often enough went past it.
    **{
        f"a request of {name} itself": fielded(("x-middleware-subrequest", ":".join([name] * 5)))
        for name in _MIDDLEWARE
    },
    "a page that is fetched ahead": fielded(
        ("Purpose", "prefetch"),
        ("Sec-Purpose", "prefetch"),
        ("X-Moz", "prefetch"),
        ("RSC", "1"),
        ("Next-Router-Prefetch", "1"),
    ),
    "a script of its own page": fielded(
        ("X-Requested-With", "XMLHttpRequest"), ("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Mode", "cors")
    ),
    "cookies of who has paid": fielded(("Cookie", "paid=1; premium=true; session=conformance; subscribed=1")),
}

_WEBSOCKET = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "Y29uZm9ybWFuY2UtNDAyIQ=="),
)
# What comes in frames is looked at as it stands, and so is not to be compressed.
_H2C = (
    ("Connection", "Upgrade, HTTP2-Settings"),
    ("Upgrade", "h2c"),
    ("HTTP2-Settings", "AAMAAABkAAQAAP__"),
    ("Accept-Encoding", "identity"),
)


SPECIAL: Mapping[str, Respelt] = {
    "Range": fielded(("Range", "bytes=0-")),
    "Range, several": fielded(("Range", "bytes=0-,0-")),
    "If-Modified-Since": fielded(("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT")),
    "Expect": fielded(("Expect", "100-continue")),
    "Expect, of something else": fielded(("Expect", "conformance")),
    "Upgrade to a WebSocket": fielded(*_WEBSOCKET),
    "Upgrade to HTTP/2": fielded(*_H2C),
    "HTTP/1.0": lambda plain: replace(plain, version=" HTTP/1.0"),
    "Connection, naming fields": fielded(("Connection", "close, PAYMENT-SIGNATURE, X-PAYMENT, X-Forwarded-For, Host")),
    "Accept of a stream": fielded(("Accept", "text/event-stream")),
    "Accept of a picture": fielded(("Accept", "image/avif,image/webp")),
    "Cache-Control": fielded(("Cache-Control", "only-if-cached, max-stale"), ("Pragma", "no-cache")),
    "Max-Forwards": fielded(("Max-Forwards", "0")),
}


def _other(plain: Spelling, name: str) -> bool:
    """Whether a field says neither who asks nor whom."""
    return name.lower() != "host" and name.lower() not in plain.own


def _twice(plain: Spelling) -> Spelling:
    return replace(plain, fields=(*plain.fields, *(field for field in plain.fields if _other(plain, field[0]))))


def _folded(plain: Spelling) -> Spelling:
    return replace(plain, fields=tuple((n, f"\r\n {v}" if _other(plain, n) else v) for n, v in plain.fields))


def _spaced(plain: Spelling) -> Spelling:
    return replace(plain, fields=tuple((f"{n} " if _other(plain, n) else n, v) for n, v in plain.fields))


REPEATED: Mapping[str, Respelt] = {
    "each of its own twice": _twice,
    "each of its own on a second line": _folded,
    "a space before the colon": _spaced,
    "payments that are empty": fielded(("PAYMENT-SIGNATURE", ""), ("X-PAYMENT", "")),
    "two payments that are empty": lambda plain: replace(
        plain, fields=(*plain.fields, *((name, "") for name in ("PAYMENT-SIGNATURE", "X-PAYMENT") * 2))
    ),
    "payments that are none": fielded(
        *((name, "conformance") for name in ("PAYMENT-SIGNATURE", "X-PAYMENT", "Payment-Authorization", "X-Cashu"))
    ),
    "payments with underscores": fielded(("PAYMENT_SIGNATURE", "conformance"), ("X_PAYMENT", "conformance")),
    "a long one": fielded(("X-Conformance", "a" * 7000)),
    "a hundred": fielded(*((f"X-Conformance-{number}", "a") for number in range(90))),
    "no value at all": fielded(("Authorization", ""), ("Accept", ""), ("User-Agent", ""), ("Accept-Encoding", "")),
}
