"""Fields that a request may bring beside its own, and other ways to write those that it has."""

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from conformance.spelling import Respelt, Spelling, fielded

__all__ = ["HOSTS", "REPEATED", "REWRITTEN", "SPECIAL", "TRUSTED"]

_ELSEWHERE = "conformance.example"


def _other(plain: Spelling, name: str) -> bool:
    """Whether a field says neither who asks nor whom."""
    return name.lower() != "host" and name.lower() not in plain.own


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
    "this machine, at the port": _host("localhost:{port}"),
    "this machine, in IPv6": _host("[::1]:{port}"),
    "any machine": _host("0.0.0.0:{port}"),
    "its own name in capitals": lambda plain: _host(urlsplit(plain.origin).netloc.upper())(plain),
    "its own name behind a user": _host("conformance@{host}"),
    "a name inside": _host("internal"),
    "a name of a network inside": _host("api.internal"),
    "a name of a local network": _host("api.local"),
    "none": _host(""),
    "no field at all": lambda plain: replace(plain, fields=tuple(f for f in plain.fields if f[0].lower() != "host")),
    "two": lambda plain: replace(plain, fields=(("Host", _ELSEWHERE), *plain.fields)),
    "one by a proxy": fielded(
        ("X-Forwarded-Host", "localhost"), ("X-Host", "localhost"), ("Forwarded", "host=localhost;proto=https")
    ),
}

_URLS = (
    *("X-Original-URI", "X-Forwarded-URI", "X-Forwarded-Path", "X-Envoy-Original-Path", "X-Override-URL"),
    *("X-Rewrite-URI", "X-Forwarded-URL", "X-Original-Path", "X-Proxy-URL", "Request-URI", "X-HTTP-DestinationURL"),
    *("X-Waws-Unencoded-URL", "X-Invoke-Path", "X-Accel-Redirect", "Base-URL"),
)


def _told(*names: str, whole: bool = False) -> Respelt:
    """Sent to the root, and told to be for the path by fields of a proxy; ``whole`` with scheme and authority."""

    def respelt(plain: Spelling) -> Spelling | None:
        here = (plain.origin if whole else "") + plain.path + (f"?{plain.query}" if plain.query else "")
        made = plain.with_fields(*((name, here) for name in names))
        return replace(made, path="/", query=None) if plain.path != "/" else None

    return respelt


def _untold(*names: str, to: str = "/") -> Respelt:
    """Sent to the path, and told to be for another one."""
    return fielded(*((name, to) for name in names))


_PREFIXES = ("X-Forwarded-Prefix", "X-Script-Name", "X-Original-Prefix")


def _prefixed(plain: Spelling) -> Spelling:
    return plain.with_fields(*((name, "/x") for name in _PREFIXES)).at(f"/x{plain.path}")


def _cut_in_two(plain: Spelling) -> Spelling | None:
    """Sent to what follows the first folder, which a prefix puts before it again."""
    first, _, rest = plain.path[1:].partition("/")
    return plain.with_fields(*((name, f"/{first}") for name in _PREFIXES)).at(f"/{rest}") if rest else None


REWRITTEN: Mapping[str, Respelt] = {
    "X-Original-URL": _told("X-Original-URL"),
    "X-Rewrite-URL": _told("X-Rewrite-URL"),
    "other names": _told(*_URLS),
    "away from it, X-Original-URL and X-Rewrite-URL": _untold("X-Original-URL", "X-Rewrite-URL"),
    "away from it, other names": _untold(*_URLS),
    "away from it, to robots.txt": _untold("X-Original-URL", "X-Rewrite-URL", *_URLS, to="/robots.txt"),
    "a prefix": _untold("X-Forwarded-Prefix", "X-Script-Name", to="/x"),
    "a prefix that is there": _prefixed,
    "a prefix that is its folder": _cut_in_two,
    "with scheme and authority": _told("X-Original-URL", "X-Rewrite-URL", *_URLS, whole=True),
    "in Referer": _told("Referer", whole=True),
    "in Referer, without a host": _told("Referer"),
    "away from it, to a probe of health": _untold("X-Original-URL", "X-Rewrite-URL", *_URLS, to="/health"),
    "away from it, to a style sheet": _untold("X-Original-URL", "X-Rewrite-URL", *_URLS, to="/static/x.css"),
    "away from it, in Forwarded": fielded(("Forwarded", "for=127.0.0.1;path=/;uri=/")),
}

_ADDRESSES = (
    *("X-Forwarded-For", "X-Real-IP", "X-Client-IP", "X-Originating-IP", "X-Remote-IP", "X-Remote-Addr"),
    *("True-Client-IP", "CF-Connecting-IP", "Client-IP", "X-Cluster-Client-IP", "Forwarded-For", "X-Forwarded"),
    *("X-ProxyUser-IP", "X-Custom-IP-Authorization", "Fastly-Client-IP", "X-Azure-ClientIP", "X-Forwarded-By"),
)


def _address(value: str, forwarded: str) -> Respelt:
    """Who asks, by every field that says so."""
    return fielded(*((name, value) for name in _ADDRESSES), ("Forwarded", f"for={forwarded}"))


_INSIDE = (
    *("X-Internal", "X-Internal-Request", "X-Debug", "X-Admin", "X-Test", "X-Bypass", "X-Skip-Payment", "X-Dev"),
    *("X-Test-Mode", "X-Sandbox", "X-Dry-Run", "X-No-Paywall", "X-Health-Check", "X-Free", "X-Trusted"),
)
_WORKERS = ("X-Internal-Token", "X-Internal-Secret", "X-Service", "X-Service-Name", "X-Service-Token", "Via", "CF-Ray")
_USERS = (
    *("X-Remote-User", "X-Forwarded-User", "X-User", "X-Auth-User", "X-Authenticated-User", "Remote-User"),
    *("X-Role", "X-Roles", "X-User-Id", "X-User-Role", "X-Forwarded-Email", "X-WebAuth-User", "X-Auth-Request-User"),
    *("X-Goog-Authenticated-User-Email", "X-Amzn-Oidc-Identity", "X-MS-Client-Principal-Name"),
)
_PLANS = ("X-Plan", "X-Tier", "X-Subscription", "X-User-Plan", "X-Subscription-Status", "X-Membership")
_PAID = ("X-Paid", "X-Payment-Verified", "Payment-Verified", "X-Payment-Required-Bypass", "X-402-Paid", "X-Premium")
_PROOFS = (
    *("Payment-Proof", "X-Payment-Proof", "Payment-Receipt", "X-Transaction-Hash", "X-Tx-Hash", "X-Payment-Hash"),
    *("X-Invoice", "X-Preimage", "Macaroon", "X-Payment-Id", "X-Payment-Token"),
)
_ROBOTS = "bingbot/2.0 facebookexternalhit/1.1 Twitterbot/1.0 Slackbot 1.0 LinkedInBot/1.0 GPTBot/1.2 ClaudeBot/1.0 ia_archiver archive.org_bot"
_PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1"
_COOKIES = (
    *("paid", "premium", "subscribed", "subscriber", "is_premium", "has_access", "unlocked", "member", "auth", "admin"),
    *("debug", "test", "preview"),
)
# {"alg":"none"} and {"sub":"admin","paid":true}.
_UNSIGNED = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsInBhaWQiOnRydWV9."
_EMPTY = "e30="
"""An object without members, in base64."""
_RECEIPT = "eyJzdWNjZXNzIjp0cnVlLCJ0cmFuc2FjdGlvbiI6IjB4MSIsIm5ldHdvcmsiOiJlaXAxNTU6ODQ1MzIiLCJwYXllciI6IjB4MSJ9"
"""A receipt that says success: only servers send one."""
_MIDDLEWARE = ("middleware", "src/middleware", "pages/_middleware")

TRUSTED: Mapping[str, Respelt] = {
    "an address of this machine": fielded(
        *((name, "127.0.0.1") for name in _ADDRESSES), ("Forwarded", "for=127.0.0.1;by=127.0.0.1")
    ),
    "an address of this machine, in IPv6": _address("::1", '"[::1]"'),
    "the name of this machine": _address("localhost", "localhost"),
    "an address of a network inside": _address("10.0.0.1, 192.168.1.1", "10.0.0.1, for=192.168.1.1"),
    "an address of this machine, and one before": _address("203.0.113.7, 127.0.0.1", "203.0.113.7, for=127.0.0.1"),
    "an address of this machine, and one behind": _address("127.0.0.1, 203.0.113.7", "127.0.0.1, for=203.0.113.7"),
    "an encrypted connection": fielded(
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Scheme", "https"),
        ("X-Forwarded-Port", "443"),
        ("Front-End-Https", "on"),
    ),
    "a request from inside": fielded(*((name, "true") for name in _INSIDE)),
    "a user whom a proxy knows": fielded(*((name, "admin") for name in _USERS)),
    "a worker from inside": fielded(*((name, "conformance") for name in _WORKERS), ("X-Forwarded-Server", "internal")),
    "a place to test": fielded(("X-Environment", "test"), ("X-Env", "test"), ("X-Mode", "test"), ("X-Stage", "dev")),
    "a plan": fielded(*((name, "premium") for name in _PLANS)),
    "a certificate that a proxy saw": fielded(
        ("X-SSL-Client-Verify", "SUCCESS"), ("X-Client-Verify", "SUCCESS"), ("SSL-Client-Verify", "SUCCESS")
    ),
    "a request from inside, in numbers": fielded(*((name, "1") for name in (*_INSIDE, *_PAID))),
    "a robot of a search engine": fielded(
        ("User-Agent", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"),
        ("From", "googlebot(at)googlebot.com"),
    ),
    "a probe of health": fielded(("User-Agent", "ELB-HealthChecker/2.0 kube-probe/1.33")),
    "a probe of health, of Kubernetes": fielded(("User-Agent", "kube-probe/1.33")),
    "a probe of health, of a watchman": fielded(("User-Agent", "UptimeRobot/2.0 Pingdom.com_bot GoogleHC/1.0")),
    "robots of many": fielded(("User-Agent", f"Mozilla/5.0 (compatible; {_ROBOTS})")),
    "a robot by its bare name": fielded(("User-Agent", "Googlebot")),
    "a phone": fielded(("User-Agent", _PHONE), ("Sec-CH-UA-Mobile", "?1")),
    "a tool": fielded(("User-Agent", "curl/8.5.0")),
    "a reader from a network of people": fielded(("Referer", "https://www.facebook.com/")),
    "a reader from a short link": fielded(("Referer", "https://t.co/twitter")),
    "a reader of this very page": lambda plain: plain.with_fields(("Referer", plain.origin + plain.path)),
    "a page from nowhere": fielded(("Origin", "null")),
    "a page of this machine": fielded(("Origin", "http://localhost:3000"), ("Referer", "http://localhost:3000/")),
    "a reader from a search engine": fielded(("Referer", "https://www.google.com/"), ("Sec-Fetch-Site", "cross-site")),
    "a reader of its own pages": lambda plain: plain.with_fields(
        ("Referer", f"{plain.origin}/"), ("Origin", plain.origin)
    ),
    "a token that nobody gave out": fielded(("Authorization", "Bearer conformance")),
    "a name and a password that nobody gave out": fielded(
        ("Authorization", "Basic Y29uZm9ybWFuY2U6Y29uZm9ybWFuY2U="), ("Proxy-Authorization", "Basic Y29uZm9ybWFuY2U6")
    ),
    "a token that nobody signed": fielded(("Authorization", f"Bearer {_UNSIGNED}")),
    "a token that is none": fielded(("Authorization", "Bearer undefined, null")),
    "a token of another scheme": fielded(("Authorization", "Token conformance")),
    "a digest that nobody made": fielded(("Authorization", 'Digest username="conformance", response="0"')),
    "a macaroon that nobody gave out": fielded(("Authorization", "L402 Y29uZm9ybWFuY2U=:00")),
    "a credential of a payment": fielded(("Authorization", f"Payment {_EMPTY}")),
    "what proves a payment elsewhere": fielded(*((name, "conformance") for name in _PROOFS)),
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
    "cookies of who has paid": fielded(
        (
            "Cookie",
            "; ".join([*(f"{name}=1" for name in _COOKIES), "session=conformance", "role=admin", "plan=premium"]),
        )
    ),
    "cookies of who has paid, in words": fielded(("Cookie", "; ".join(f"{name}=true" for name in _COOKIES))),
    "parts of its own page": fielded(
        ("X-NextJS-Data", "1"), ("X-Middleware-Prefetch", "1"), ("X-Prerender-Revalidate", "1"), ("Next-Action", "x")
    ),
    "a script of its own page, for a part": fielded(
        ("HX-Request", "true"), ("Turbo-Frame", "x"), ("X-PJAX", "true"), ("X-Inertia", "true"), ("X-Up-Version", "3")
    ),
}

_NAMED = "close, PAYMENT-SIGNATURE, X-PAYMENT, Authorization, Cookie, X-Api-Key, X-Forwarded-For, X-Real-IP, Host"
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
# What a browser says when somebody follows a link.
_NAVIGATES = (
    *(("Upgrade-Insecure-Requests", "1"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")),
    *(("Sec-Fetch-Site", "none"), ("Sec-Fetch-User", "?1"), ("Accept-Language", "de, en;q=0.5"), ("DNT", "1")),
    *(("Save-Data", "on"), ("Sec-GPC", "1"), ("Accept-Charset", "utf-8"), ("Cache-Control", "max-age=0")),
)
_MEDIA = (
    *("text/html", "text/plain", "application/xml", "text/markdown", "text/csv", "application/pdf"),
    *("application/ld+json, application/activity+json", "*/*;q=0.1"),
)
SPECIAL: Mapping[str, Respelt] = {
    **{f"Accept of {media}": fielded(("Accept", media)) for media in _MEDIA},
    "a browser that goes there": fielded(*_NAVIGATES),
    "a frame": fielded(("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Site", "cross-site")),
    "a worker of a page": fielded(("Service-Worker", "script"), ("Sec-Fetch-Dest", "serviceworker")),
    "a page that is shown ahead": fielded(("X-Purpose", "preview"), ("Purpose", "preview"), ("X-Moz", "prefetch")),
    "Accept-Encoding, none": fielded(("Accept-Encoding", "identity")),
    "Accept-Encoding, gzip alone": fielded(("Accept-Encoding", "gzip")),
    "Prefer": fielded(("Prefer", "return=minimal"), ("TE", "trailers"), ("Trailer", "X-Conformance")),
    "an older version": fielded(("Accept-Version", "1"), ("X-API-Version", "1"), ("API-Version", "1")),
    "nothing but a host": lambda plain: replace(
        plain, fields=tuple(f for f in plain.fields if not _other(plain, f[0]) or f[0].lower().startswith("content-"))
    ),
    "Range, its end": fielded(("Range", "bytes=-99999")),
    "Range, but for its start": fielded(("Range", "bytes=1-")),
    "Range, in parts": fielded(("Range", "bytes=0-5,6-99999")),
    "Range, of another unit": fielded(("Range", "items=0-9")),
    "If-Range": fielded(("Range", "bytes=0-"), ("If-Range", '"conformance"')),
    "If-None-Match": fielded(("If-None-Match", '"conformance"')),
    "If-None-Match, any": fielded(("If-None-Match", "*")),
    "If-Match": fielded(("If-Match", "*"), ("If-Unmodified-Since", "Fri, 01 Jan 2100 00:00:00 GMT")),
    "If-Modified-Since, later": fielded(("If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT")),
    "Cache-Control, no-cache": fielded(("Cache-Control", "no-cache, no-store")),
    "Upgrade to TLS": fielded(("Connection", "Upgrade"), ("Upgrade", "TLS/1.2, HTTP/1.1")),
    "HTTP/1.0 without a host": lambda plain: replace(
        plain, version=" HTTP/1.0", fields=tuple(f for f in plain.fields if f[0].lower() != "host")
    ),
    "HTTP/1.2": lambda plain: replace(plain, version=" HTTP/1.2"),
    "Range": fielded(("Range", "bytes=0-")),
    "Range, several": fielded(("Range", "bytes=0-,0-")),
    "If-Modified-Since": fielded(("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT")),
    "Expect": fielded(("Expect", "100-continue")),
    "Expect, of something else": fielded(("Expect", "conformance")),
    "Upgrade to a WebSocket": fielded(*_WEBSOCKET),
    "Upgrade to HTTP/2": fielded(*_H2C),
    "HTTP/1.0": lambda plain: replace(plain, version=" HTTP/1.0"),
    "Connection, naming fields": fielded(("Connection", _NAMED)),
    "Accept of a stream": fielded(("Accept", "text/event-stream")),
    "Accept of a picture": fielded(("Accept", "image/avif,image/webp")),
    "Cache-Control": fielded(("Cache-Control", "only-if-cached, max-stale"), ("Pragma", "no-cache")),
    "Max-Forwards": fielded(("Max-Forwards", "0")),
}


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
    "payments that are an empty object": fielded(
        *((name, _EMPTY) for name in ("PAYMENT-SIGNATURE", "X-PAYMENT", "Payment-Authorization"))
    ),
    "who asks, with underscores": fielded(
        ("X_FORWARDED_FOR", "127.0.0.1"), ("X_REAL_IP", "127.0.0.1"), ("REMOTE_ADDR", "127.0.0.1")
    ),
    "one that is too long": fielded(("X-Conformance", "a" * 9000)),
    "more than a hundred": fielded(*((f"X-Conformance-{number}", "a") for number in range(120))),
    "payments with underscores": fielded(("PAYMENT_SIGNATURE", "conformance"), ("X_PAYMENT", "conformance")),
    "a long one": fielded(("X-Conformance", "a" * 7000)),
    "a hundred": fielded(*((f"X-Conformance-{number}", "a") for number in range(90))),
    "no value at all": fielded(("Authorization", ""), ("Accept", ""), ("User-Agent", ""), ("Accept-Encoding", "")),
}
