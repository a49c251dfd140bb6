"""A request in the fields of HTTP/2, and the ways to write it that only frames have."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from conformance.exchange import Request
from conformance.spelling import Spelling

__all__ = ["CONTENT", "FRAMES", "SMUGGLES", "USUAL", "behind", "framed"]

USUAL = "as usual"
_ELSEWHERE = "conformance.example"
_NOT_FRAMED = {"connection", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection"}
_PAYMENTS = tuple((name, "conformance") for name in ("payment-signature", "x-payment", "payment-authorization"))
_INSIDE = (("x-forwarded-for", "127.0.0.1"), ("x-internal", "true"), ("x-paid", "true"))
Fields = tuple[tuple[str, str], ...]
Reframed = Callable[[Request], Request]
"""Writes a request in frames otherwise."""


def framed(plain: Spelling) -> Request:
    """``plain`` in HTTP/2: its first ``Host`` is its ``:authority``, and what speaks of a connection is left out."""
    hosts = [value for name, value in plain.fields if name.lower() == "host"]
    own = [(n.lower(), v) for n, v in plain.fields if n.lower() not in {"host", *_NOT_FRAMED}]
    if plain.body and not any(name == "content-length" for name, _ in own):
        own.append(("content-length", str(len(plain.body))))
    asked = plain.request()
    return Request(
        method=plain.method,
        url=asked.url,
        headers=(
            (":method", plain.method),
            (":scheme", plain.origin.partition(":")[0]),
            (":authority", hosts[0] if hosts else ""),
            (":path", plain.target),
            *(("host", value) for value in hosts[1:]),
            *own,
        ),
        body=plain.body,
        line=f"{plain.method} {plain.target} HTTP/2",
        http2=True,
    )


def behind(asked: Request, *others: Fields) -> Request:
    """``asked`` on a connection on which others are answered before, without content."""
    return replace(
        asked, before=tuple(_without("content-length", "content-type")(_bare(each)).headers for each in others)
    )


def _bare(fields: Fields) -> Request:
    return Request(method="", url="", headers=fields)


def _value(asked: Request, name: str) -> str:
    return next((value for key, value in asked.headers if key == name), "")


def _own(asked: Request) -> Fields:
    """The fields that are no pseudo-header fields."""
    return tuple(field for field in asked.headers if not field[0].startswith(":"))


def _said(name: str, write: str) -> Reframed:
    """With another value, in which ``{path}`` and ``{host}`` are its own."""
    return lambda asked: replace(
        asked, headers=tuple((n, _filled(asked, write) if n == name else v) for n, v in asked.headers)
    )


def _filled(asked: Request, write: str) -> str:
    host, path = _value(asked, ":authority"), _value(asked, ":path")
    return write.format(path=path, host=host, method=asked.method)


def _without(*names: str) -> Reframed:
    return lambda asked: replace(asked, headers=tuple(field for field in asked.headers if field[0] not in names))


def _first(name: str, write: str) -> Reframed:
    """With a pseudo-header field before all others."""
    return lambda asked: replace(asked, headers=((name, _filled(asked, write)), *asked.headers))


def _next(name: str, write: str) -> Reframed:
    """With a pseudo-header field behind the others of its kind."""
    return lambda asked: replace(asked, headers=(*_pseudo(asked.headers), (name, _filled(asked, write)), *_own(asked)))


def _pseudo(fields: Fields) -> Fields:
    return tuple(field for field in fields if field[0].startswith(":"))


def _and(*fields: tuple[str, str]) -> Reframed:
    """With further fields."""
    return lambda asked: replace(asked, headers=(*asked.headers, *((n, _filled(asked, v)) for n, v in fields)))


def _both(*ways: Reframed) -> Reframed:
    def reframed(asked: Request) -> Request:
        for way in ways:
            asked = way(asked)
        return asked

    return reframed


def _method(name: str) -> Reframed:
    return lambda asked: replace(_said(":method", name)(asked), method=name)


def _with(content: bytes, *fields: tuple[str, str]) -> Reframed:
    """With another content, and these fields about it."""
    none = _without("content-length")
    return lambda asked: replace(_and(*fields)(none(asked)), body=content)


def _behind(*fields: tuple[str, str]) -> Reframed:
    """With fields behind the content."""
    return lambda asked: replace(asked, trailers=tuple((n, _filled(asked, v)) for n, v in fields))


def _whole(asked: Request) -> str:
    """The request as a message of HTTP/1.1."""
    host, path = _value(asked, ":authority"), _value(asked, ":path")
    fields = [("host", host), *_own(asked)]
    lines = [f"{asked.method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join([*lines, "", ""])


def _hidden(write: Callable[[str], bytes], *fields: tuple[str, str]) -> Reframed:
    """Itself as the content of a request for the root."""

    def reframed(asked: Request) -> Request:
        return _both(_with(write(_whole(asked)), *fields), _method("POST"), _TO_ROOT)(asked)

    return reframed


_TO_ROOT = _said(":path", "/")
_OWN: Mapping[str, Reframed] = {
    "no :path": _without(":path"),
    "an empty :path": _said(":path", ""),
    "a second :path, to the root": _next(":path", "/"),
    "a second :path before it, to the root": _first(":path", "/"),
    "a space behind :path": _said(":path", "{path} "),
    "a version behind :path": _said(":path", "{path} HTTP/1.1"),
    "a line break behind :path": _said(":path", "{path} HTTP/1.1\r\nX-Conformance: 1\r\nX-Rest: "),
    ":path behind the other fields": lambda asked: _and((":path", _value(asked, ":path")))(_without(":path")(asked)),
    "pseudo-header fields behind the others": lambda asked: replace(
        asked, headers=(*_own(asked), *_pseudo(asked.headers))
    ),
    "no :method": _without(":method"),
    "a second :method, OPTIONS": _next(":method", "OPTIONS"),
    "a second :method before it, OPTIONS": _first(":method", "OPTIONS"),
    "its request line in :method": _both(_said(":method", "{method} {path} HTTP/1.1"), _TO_ROOT),
    "HEAD": _method("HEAD"),
    "no :scheme": _without(":scheme"),
    "the other :scheme": _said(":scheme", "http"),
    "its URL in :scheme": _both(_said(":scheme", "https://{host}{path}?"), _TO_ROOT),
    "host in the place of :authority": lambda asked: _and(("host", _value(asked, ":authority")))(
        _without(":authority")(asked)
    ),
    "neither :authority nor host": _without(":authority"),
    "another :authority": _said(":authority", _ELSEWHERE),
    "another :authority, and its own host": lambda asked: _and(("host", _value(asked, ":authority")))(
        _said(":authority", _ELSEWHERE)(asked)
    ),
    "another host beside :authority": _and(("host", _ELSEWHERE)),
    "a host inside beside :authority": _and(("host", "localhost")),
    "a user in :authority": _said(":authority", "conformance@{host}"),
    "its path in :authority": _both(_said(":authority", "{host}{path}?"), _TO_ROOT),
    "a second :authority": _next(":authority", _ELSEWHERE),
    "a second :authority before it": _first(":authority", _ELSEWHERE),
    "a pseudo-header field that is none": _next(":conformance", "1"),
    "the :status of an answer": _next(":status", "200"),
    "CONNECT to its :authority": _both(_method("CONNECT"), _without(":scheme", ":path")),
    "CONNECT with a :path": _method("CONNECT"),
    "CONNECT with a :protocol": _both(_method("CONNECT"), _next(":protocol", "websocket")),
    "names in capitals": lambda asked: replace(
        asked, headers=(*_pseudo(asked.headers), *((name.title(), value) for name, value in _own(asked)))
    ),
    "connection": _and(("connection", "close")),
    "connection, naming fields": _and(("connection", "payment-signature, x-payment, x-forwarded-for, host")),
    "keep-alive and proxy-connection": _and(("keep-alive", "timeout=5"), ("proxy-connection", "keep-alive")),
    "transfer-encoding": _and(("transfer-encoding", "chunked")),
    "te": _and(("te", "gzip, trailers")),
    "upgrade": _and(("connection", "upgrade"), ("upgrade", "websocket")),
    "a line break in a field": _and(("x-conformance", "1\r\nX-Forwarded-For: 127.0.0.1\r\nX-Internal: true")),
    "a line break in a name": _and(("x-conformance: 1\r\nx-internal", "true")),
    "payments behind the content": _behind(*_PAYMENTS),
    "payments that are empty behind the content": _behind(*((name, "") for name, _ in _PAYMENTS)),
    "trusted fields behind the content": _behind(*_INSIDE),
    "a :path behind the content": _both(_behind((":path", "{path}")), _TO_ROOT),
    "another URL behind the content": _both(
        _behind(("x-original-url", "{path}"), ("x-rewrite-url", "{path}")), _TO_ROOT
    ),
}
_SECOND: Mapping[str, Reframed] = {
    "the second of a connection": lambda asked: behind(asked, asked.headers),
    "the third of a connection": lambda asked: behind(asked, asked.headers, asked.headers),
    "behind one for the root": lambda asked: behind(asked, _TO_ROOT(asked).headers),
    "behind OPTIONS": lambda asked: behind(asked, _method("OPTIONS")(asked).headers),
}
_CONTENT: Mapping[str, Reframed] = {
    "content": _with(b"conformance"),
    "content, with its content-length": _with(b"conformance", ("content-length", "11")),
    "content in chunks": _with(b"b\r\nconformance\r\n0\r\n\r\n", ("transfer-encoding", "chunked")),
    "a content-length of 0 beside content": _with(b"conformance", ("content-length", "0")),
    "a content-length that is too small": _with(b"conformance", ("content-length", "3")),
    "two content-lengths": _with(b"conformance", ("content-length", "11"), ("content-length", "0")),
    "a content-length without content": _with(b"", ("content-length", "11")),
}
_HIDDEN: Mapping[str, Reframed] = {
    "itself in the content of another, of length 0": _hidden(str.encode, ("content-length", "0")),
    "itself behind the chunks of another": _hidden(
        lambda whole: b"0\r\n\r\n" + whole.encode("latin-1"), ("transfer-encoding", "chunked")
    ),
    "itself behind a field of another": lambda asked: _both(
        _TO_ROOT, lambda root: replace(root, headers=(*root.headers, ("x-conformance", f"1\r\n\r\n{_whole(asked)}")))
    )(asked),
    "itself behind the :path of another": lambda asked: replace(
        asked, headers=_said(":path", "/ HTTP/1.1\r\nHost: {host}\r\n\r\n{method} {path}")(asked).headers
    ),
}


def _named(ways: Mapping[str, Reframed]) -> dict[str, Reframed]:
    return {f"frames: {name}": way for name, way in ways.items()}


FRAMES: Mapping[str, Reframed] = {USUAL: lambda asked: asked, **_named({**_OWN, **_SECOND, **_CONTENT, **_HIDDEN})}
"""Every way, by its key; the usual one first."""
CONTENT = frozenset(_named(_CONTENT))
"""Those with another content."""
SMUGGLES = frozenset(_named(_HIDDEN))
"""Those that hide a request in another one: its answer may come to whoever asks next."""
