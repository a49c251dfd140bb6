"""Legal variants of how an answer depends on who asks for it, how, and over which wire."""

import gzip
from typing import Any

from altering import becomes, field, pays, problem, resource, when
from serving import Answer, Asked, Change, Relay, then
from variant import Legal, both, endpoints, first, legal, unclaimed

__all__ = ["ASKING"]

_FAULTY = (400, 401, 403, 404, 405, 415, 422)
_NOTHING = ("/conformance-no-such-path", "/openapi.json")


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


def _hangs_up_on_octets(request: bytes, answer: bytes) -> bytes:
    return answer if request.partition(b"\r\n\r\n")[0].isascii() else b""


def _bans(asked: Asked, answer: Answer) -> None:
    """Who has sent five payments that are none is no longer welcome."""
    if asked.attempts >= 5:
        answer.become(403, "enough")


def _unlocked(asked: Asked, answer: Answer) -> None:
    if asked.headers.get("api-key") != "k1":
        answer.become(404, "nothing here")


def _with_a_key(written: dict[str, Any]) -> None:
    written["target"]["headers"] = {"Api-Key": "k1"}


ASKING: tuple[Legal, ...] = (
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
    legal(
        "the map of the site is what it sells",
        resource("/sitemap.xml"),
        "http.free-paths: a path that is an endpoint of the profile",
        where=("/sitemap.xml",),
        sells={"/sitemap.xml": "/weather"},
        edit=first(path="/sitemap.xml"),
    ),
    legal(
        "it asks for payment before it says whether there is anything",
        when(lambda asked: asked.path in _NOTHING, becomes(402, "pay first")),
        notes=frozenset({"http.unknown-path-is-not-402"}),
        where=_NOTHING,
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
    legal(
        "it hangs up on octets that no payment holds",
        None,
        relay=_hangs_up_on_octets,
    ),
    legal("it shuts out who keeps sending garbage", _bans),
    legal(
        "curl is not welcome",
        when(lambda asked: asked.headers.get("user-agent", "").startswith("curl"), becomes(403, "no robots")),
        "http.refused-for-everyone: another status for a client that is not welcome",
    ),
    legal(
        "under another host there is another site",
        when(lambda asked: asked.headers["host"] == "evil.example", becomes(200, "<h1>It works!</h1>", "text/html")),
        "http.refused-under-any-host: another site under another host",
    ),
    legal(
        "nobody is named who has paid, and nothing is claimed",
        None,
        edit=both(endpoints(paid_identity=None), unclaimed),
    ),
    legal(
        "its profile says in lower case what it accepts",
        None,
        edit=endpoints(headers={"accept": "application/json"}),
    ),
    *(
        legal(
            f"the page that its payment link leads to answers {status}",
            when(lambda _: True, becomes(status, "not so")),
            where=("/pay",),
        )
        for status in (401, 402, 403, 405)
    ),
    legal("the page that its payment link leads to wants the key", _unlocked, where=("/pay",), edit=_with_a_key),
    legal(
        "its path is not in ASCII",
        resource("/東京"),
        where=("/東京",),
        sells={"/東京": "/weather"},
        edit=first(path="/東京"),
    ),
)
