"""A request in the parts in which it is written on the wire, so that each can be written otherwise."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from conformance.exchange import Request

__all__ = ["Respelt", "Spelling", "fielded", "pathed", "queried", "spelled"]

_CREDENTIALS = {"authorization", "proxy-authorization", "cookie"}
_SENT_WITH_CONTENT = {"POST", "PUT", "PATCH", "QUERY"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """A request as text for the wire: latin-1, a character for each byte."""

    method: str
    front: str = ""
    """What stands before the path: scheme and authority, in absolute form."""
    path: str
    query: str | None = None
    """Still encoded; None where there is no question mark."""
    back: str = ""
    """What follows the query: a fragment, which no target has (RFC 9112 section 3.2)."""
    version: str = " HTTP/1.1"
    """With the space before it."""
    fields: tuple[tuple[str, str], ...]
    body: bytes = b""
    origin: str
    """Where it is sent: scheme and authority."""
    own: frozenset[str] = frozenset()
    """The names, in lower case, of fields that say who asks: they stay as they are, and nobody else is pretended."""

    @property
    def target(self) -> str:
        """The request target."""
        return self.front + self.path + ("" if self.query is None else f"?{self.query}") + self.back

    def request(self) -> Request:
        """The request that is sent; its ``url`` says where, its ``line`` what."""
        fields = self.fields
        known = {name.lower() for name, _ in fields}
        if not self.body and self.method.upper() in _SENT_WITH_CONTENT and "content-length" not in known:
            fields = (*fields, ("Content-Length", "0"))
        path = self.path if self.path.startswith("/") else f"/{self.path}"
        return Request(
            method=self.method,
            url=self.origin + path + (f"?{self.query}" if self.query else ""),
            headers=fields,
            body=self.body,
            line=f"{self.method} {self.target}{self.version}",
        )

    def at(self, path: str) -> "Spelling":
        """The same at another path."""
        return replace(self, path=path)

    def with_fields(self, *fields: tuple[str, str]) -> "Spelling":
        """The same with further fields, those of their names taken out; but for those that say who asks."""
        more = tuple(field for field in fields if field[0].lower() not in self.own)
        taken = {name.lower() for name, _ in more}
        return replace(self, fields=(*(f for f in self.fields if f[0].lower() not in taken), *more))


Respelt = Callable[[Spelling], Spelling | None]
"""Writes a request otherwise; None where it has nothing that could be written so."""


def spelled(request: Request, own: frozenset[str] = frozenset()) -> Spelling:
    """``request`` as it is usually written; the fields named ``own`` say who asks."""
    parts = urlsplit(request.url)
    host = () if any(name.lower() == "host" for name, _ in request.headers) else (("Host", parts.netloc),)
    return Spelling(
        method=request.method,
        path=parts.path or "/",
        query=parts.query or None,
        fields=(*host, *request.headers),
        body=request.body,
        origin=f"{parts.scheme}://{parts.netloc}",
        own=own | {name.lower() for name, _ in request.headers if name.lower() in _CREDENTIALS},
    )


def pathed(write: Callable[[str, str], str]) -> Respelt:
    """Writes the path otherwise, given all before its last slash, and what follows it."""

    def respelt(plain: Spelling) -> Spelling | None:
        head, _, last = plain.path.rpartition("/")
        return plain.at(write(head, last)) if last else None

    return respelt


def queried(write: Callable[[str], str]) -> Respelt:
    """Writes the query otherwise, given it as it is, empty for none."""
    return lambda plain: replace(plain, query=write(plain.query or ""))


def fielded(*fields: tuple[str, str]) -> Respelt:
    """Adds fields, in the place of those of their names."""
    return lambda plain: plain.with_fields(*fields)
