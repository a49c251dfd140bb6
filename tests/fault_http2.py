"""Targets with a way round in HTTP/2 alone, and targets that have none, whatever they make of a frame."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from fault_requests import dotted, read
from framed import Framed, Front, Reset, as_fields, malformed, strict
from h2.errors import ErrorCodes
from legal_requests import _NORMAL
from turnstile import Asked, Said, Ways, exact, said

__all__ = ["FAULTS", "LEFT_OPEN", "LEGAL", "UNSPOKEN", "Entry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One target."""

    name: str
    """A fact about it."""
    front: Front
    shows: str | tuple[str, ...] = ""
    """How the way round that is found is called: the beginning."""
    allows: Iterable[str] = ()
    watched: bool = False
    """Whether it has a witness."""
    says: str = ""
    """A part of the reason, where nothing could be asked."""


def _skips(which: Callable[[Asked], object], **more: object) -> Ways:
    return replace(Ways(skips=lambda asked: bool(which(asked))), **more)


def _open(
    name: str,
    ways: Ways,
    shows: str | tuple[str, ...],
    *,
    first: Callable[[Framed], Said | Reset | None] | None = None,
    watched: bool = False,
    **more,
):
    """A target with a way round; it takes all that is malformed, unless ``first`` says otherwise."""
    return Entry(
        name=name, front=Front(ways=ways, first=first or (lambda _: None), **more), shows=shows, watched=watched
    )


def _noted(**told: Callable[[Framed], str]) -> Callable[[Framed], Asked]:
    """Reads a request, and what these say of its frames as fields."""

    def reads(framed: Framed) -> Asked:
        asked = as_fields(framed)
        return replace(asked, fields=(*asked.fields, *((name, write(framed)) for name, write in told.items())))

    return reads


def _last_path(asked: Asked) -> Asked:
    return replace(asked, target=asked.has("last"))


def _lines(framed: Framed) -> Asked:
    """Values with line breaks are several fields."""
    asked = as_fields(framed)
    text = "\r\n".join(f"{name}: {value}" for name, value in asked.fields)
    fields = [line.partition(": ") for line in text.split("\r\n") if ": " in line]
    return replace(asked, fields=tuple((name, value) for name, _, value in fields))


def _by_scheme(framed: Framed) -> Asked:
    """A front that puts scheme, authority and path together, and reads the path from that."""
    asked = as_fields(framed)
    whole = f"{framed.first(':scheme')}://{framed.first(':authority')}{framed.first(':path')}"
    found = re.match("[a-z]+://[^/]*([^?]*)", whole)
    return asked.at(found[1]) if found else asked


def _sells_nothing_to_head(asked: Asked) -> Said:
    return Said(status=200) if asked.method == "HEAD" else Ways().sells(asked)


_STRICT = {"first": strict}
FAULTS = (
    _open("it guards HTTP/1.1 alone", Ways(priced=lambda _: False), "as usual", **_STRICT),
    _open(
        "its guard reads the path of a frame to the letter, its router does not",
        Ways(routes=read(dotted), guards=exact),
        ("slashes: ", "dot-segments: "),
        **_STRICT,
    ),
    _open(
        "it decodes the path of a frame behind the guard",
        Ways(routes=read(lambda path: path.replace("%2F", "/").replace("//", "/")), guards=exact),
        ("slashes: ", "encoded-slashes: "),
        **_STRICT,
    ),
    _open(
        "it guards one :authority", _skips(lambda a: a.has("host") == "conformance.example"), "frames: another :auth"
    ),
    _open(
        "it guards one host, and reads that of the field",
        _skips(lambda a: [v for n, v in a.fields if n == "host"][-1:] == ["localhost"]),
        "frames: a host inside beside :authority",
    ),
    _open(
        "its guard reads the first :path, its router the last",
        Ways(routes=_last_path, guards=exact),
        "frames: a second :path before it, to the root",
        reads=_noted(last=lambda framed: ["", *framed.all(":path")][-1]),
    ),
    _open("HEAD has content", _skips(lambda a: a.method == "HEAD"), "frames: HEAD", **_STRICT),
    _open(
        "HEAD makes the handler run",
        _skips(lambda a: a.method == "HEAD", sells=_sells_nothing_to_head),
        "frames: HEAD",
        watched=True,
        **_STRICT,
    ),
    _open(
        "it looks away where a length lies",
        _skips(lambda a: a.has("content-length") and a.has("content-length") != str(len(a.body))),
        "frames: a content-length of 0 beside content",
    ),
    _open(
        "it takes a field behind the content for a payment",
        _skips(lambda a: a.has("payment-signature")),
        "frames: payments behind the content",
        **_STRICT,
    ),
    _open(
        "it remembers on a connection who has paid",
        Ways(),
        "frames: behind a paid one on its connection",
        opens=lambda _, paid: paid,
        **_STRICT,
    ),
    _open(
        "it guards the first request of a connection alone",
        Ways(),
        "frames: the second of a connection",
        opens=lambda nth, _: nth > 0,
        **_STRICT,
    ),
    _open("it answers a hidden request to who comes next", Ways(), "frames: itself in the content", keeps=True),
    _open(
        "it hands a line break on",
        _skips(lambda a: a.has("x-internal") and not a.has("x-debug")),
        "frames: a line break in a field",
        reads=_lines,
    ),
    _open(
        "it lets a scheme be a URL",
        Ways(guards=exact, routes=lambda a: a.at(a.has("whole") or a.path)),
        "frames: its URL in :scheme",
        reads=_noted(whole=lambda framed: _by_scheme(framed).path if "/" in framed.first(":scheme") else ""),
    ),
    _open(
        "it serves a tunnel",
        _skips(lambda a: a.method == "CONNECT", serves=frozenset({"GET", "HEAD", "CONNECT"})),
        "frames: CONNECT with a :path",
    ),
    _open(
        "it trusts an address that it takes out of HTTP/1.1 alone",
        _skips(lambda a: a.has("x-forwarded-for") == "127.0.0.1"),
        "trusted-fields: an address of this machine",
        reads=lambda framed: as_fields(replace(framed, trailers=())),
        **_STRICT,
    ),
    _open(
        "a method in small letters is another one",
        _skips(lambda a: a.method == "get", serves=frozenset({"GET", "get"})),
        "other-methods: lower case",
        **_STRICT,
    ),
)


def _if_malformed(answer: Said | Reset) -> Callable[[Framed], Said | Reset | None]:
    return lambda framed: answer if malformed(framed) else None


def _misdirected(framed: Framed) -> Said | Reset | None:
    """421 for another authority."""
    return strict(framed) or (None if framed.first(":authority").startswith("127.0.0.1:") else said(421, code="host"))


_JUNK = Reset(code=ErrorCodes.PROTOCOL_ERROR, close=True)
LEGAL = (
    Entry(
        name="it resets the stream of what is malformed",
        front=Front(),
        watched=True,
        allows=("a stream that is reset",),
    ),
    Entry(
        name="it closes the connection for what is malformed",
        front=Front(first=_if_malformed(_JUNK)),
        allows=("GOAWAY, and a closed connection",),
    ),
    Entry(
        name="it says 400 to what is malformed",
        front=Front(first=_if_malformed(said(400, code="malformed"))),
        allows=("400, 421 or another refusal",),
    ),
    Entry(
        name="it says 421 to another host",
        front=Front(first=_misdirected),
        allows=("400, 421 or another refusal",),
    ),
    Entry(
        name="it takes whatever comes, and its guard too",
        front=Front(
            first=lambda _: None, ways=Ways(routes=_NORMAL, serves=frozenset({"GET", "HEAD", "CONNECT", "get"}))
        ),
        allows=("402",),
    ),
    Entry(name="its SETTINGS come late", front=Front(late=0.02)),
    Entry(name="many hints come before each answer", front=Front(hints=30)),
    Entry(name="it says that it closes, and then answers", front=Front(leaves=True)),
    Entry(
        name="its witness moves whatever is asked",
        front=Front(ways=Ways(counts=lambda _: 1)),
        watched=True,
    ),
    Entry(name="it takes one request of each connection", front=Front(single=True)),
    Entry(name="any path is a page of its own", front=Front(ways=Ways(other=lambda _: said(200, page="of an app")))),
    Entry(
        name="it says 421 to whatever comes in frames",
        front=Front(first=lambda _: said(421, code="http/1.1")),
    ),
)
UNSPOKEN = (
    Entry(
        name="TLS chooses HTTP/1.1",
        front=Front(protocols=("http/1.1",)),
        allows=("no HTTP/2 by ALPN",),
        says="TLS chose http/1.1 (ALPN)",
    ),
    Entry(
        name="every stream is refused",
        front=Front(first=lambda _: Reset(code=ErrorCodes.REFUSED_STREAM)),
        allows=("HTTP/2 that is chosen and answers nothing",),
        says="answers no request in HTTP/2: The server reset the stream: REFUSED_STREAM",
    ),
    Entry(
        name="every connection is closed",
        front=Front(first=lambda _: Reset(code=ErrorCodes.HTTP_1_1_REQUIRED, close=True)),
        says="HTTP_1_1_REQUIRED",
    ),
)
LEFT_OPEN = (
    Entry(
        name="somebody shuts us out of HTTP/2",
        front=Front(first=lambda _: said(403, code="robot")),
        says="Let this address pass",
    ),
    Entry(
        name="HTTP/2 is out of order",
        front=Front(first=lambda _: said(502, code="upstream")),
        says="Let this address pass",
    ),
    Entry(
        name="the marker stands on each page in HTTP/2",
        front=Front(first=lambda _: said(200, forecast="sunny")),
        says="the marker stands on a page for everybody",
    ),
)
