"""One request and its answer, as recorded: all that a decision rests on, and the line that reproduces it."""

import base64
import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

__all__ = ["Exchange", "Failure", "Request", "Response"]

Fields = tuple[tuple[str, str], ...]

_CURL_ADDS = {"connection", "content-length"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as sent. Header names keep their case, values are latin-1 text."""

    method: str
    url: str
    headers: Fields = ()
    body: bytes = b""

    def curl(self) -> str:
        """A shell line that sends it again; secrets come from the environment."""
        parts = ["curl", "-i", "--path-as-is"]
        if self.method == "HEAD":
            parts.append("-I")
        elif self.method != ("POST" if self.body else "GET"):
            parts += ["-X", self.method]
        parts.append(_quoted(self.url))
        for name, value in self.headers:
            if (name.lower(), value) != ("host", _host(self.url)) and name.lower() not in _CURL_ADDS:
                parts += ["-H", _quoted(f"{name}: {value}" if value else f"{name};")]
        if self.body:
            parts += ["--data-binary", _quoted(self.body.decode("utf-8", "backslashreplace"))]
        return " ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer as received, decoded from its transfer and content codings."""

    status: int
    reason: str = ""
    version: str = "HTTP/1.1"
    headers: Fields = ()
    body: bytes = b""
    after: bytes = b""
    """Bytes that followed the framed message, such as content in answer to HEAD."""

    def values(self, name: str) -> tuple[str, ...]:
        """The field values of ``name``, one per field line."""
        return tuple(value for key, value in self.headers if key.lower() == name.lower())

    def value(self, name: str) -> str | None:
        """The combined field value of ``name`` (RFC 9110 section 5.3), or None."""
        return ", ".join(found) if (found := self.values(name)) else None

    def text(self) -> str:
        """The body as text; bytes that are not UTF-8 are replaced."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON; raises ValueError when it is none, RecursionError never."""
        try:
            return json.loads(self.body)
        except RecursionError as error:
            msg = "nested too deeply"
            raise ValueError(msg) from error

    def json_or_none(self) -> Any:
        """The body as JSON; None when it is none."""
        try:
            return self.json()
        except ValueError:
            return None

    def media_type(self) -> str:
        """The media type without parameters, in lower case; empty when there is no Content-Type."""
        return (self.value("content-type") or "").partition(";")[0].strip().lower()

    def shown(self) -> str:
        """The status line, for a sentence."""
        return f"{self.status} {self.reason}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why there is no readable answer."""

    kind: str
    """refused, timeout, closed, tls, protocol, header-limit, body-limit, coding, rate-limited, budget or down."""
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request and what came of it."""

    request: Request
    response: Response | None = None
    failure: Failure | None = None
    at: float = 0.0
    """Seconds since the run began."""
    took: float = 0.0
    """Seconds until the answer was read."""

    def again(self) -> str:
        """A shell line that shows it again: curl, or bytes on a socket for what curl would not show."""
        if not (self.response and self.response.after):
            return self.request.curl()
        parts = urlsplit(self.request.url)
        target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        fields = [("Host", parts.netloc), *self.request.headers, ("Connection", "close")]
        lines = [f"{self.request.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields), "", ""]
        sent = "printf %b " + _quoted("\\r\\n".join(lines))
        if parts.scheme == "https":
            return f"{sent} | openssl s_client -quiet -connect {parts.hostname}:{parts.port or 443}"
        return f"{sent} | nc {parts.hostname} {parts.port or 80}"

    def to_json(self) -> dict[str, Any]:
        """The exchange as a JSON object; bodies are text, or base64 where they are not UTF-8."""
        document: dict[str, Any] = {
            "request": {
                "method": self.request.method,
                "url": self.request.url,
                "headers": [list(pair) for pair in self.request.headers],
                "body": _packed(self.request.body),
            },
            "at": round(self.at, 4),
            "took": round(self.took, 4),
        }
        if self.response:
            r = self.response
            document["response"] = {
                "status": r.status,
                "reason": r.reason,
                "version": r.version,
                "headers": [list(pair) for pair in r.headers],
                "body": _packed(r.body),
                "after": _packed(r.after),
            }
        if self.failure:
            document["failure"] = {"kind": self.failure.kind, "detail": self.failure.detail}
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The exchange that ``to_json`` wrote."""
        asked, answered, failed = document["request"], document.get("response"), document.get("failure")
        return cls(
            request=Request(
                method=asked["method"],
                url=asked["url"],
                headers=_fields(asked["headers"]),
                body=_unpacked(asked["body"]),
            ),
            response=answered
            and Response(
                status=answered["status"],
                reason=answered["reason"],
                version=answered["version"],
                headers=_fields(answered["headers"]),
                body=_unpacked(answered["body"]),
                after=_unpacked(answered["after"]),
            ),
            failure=failed and Failure(**failed),
            at=document["at"],
            took=document["took"],
        )


def _fields(pairs: list[list[str]]) -> Fields:
    return tuple((name, value) for name, value in pairs)


def _packed(body: bytes) -> dict[str, str]:
    try:
        return {"text": body.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}


def _unpacked(packed: Mapping[str, str]) -> bytes:
    return packed["text"].encode() if "text" in packed else base64.b64decode(packed["base64"])


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]


_SECRET = re.compile(r"<secret:([A-Za-z_][A-Za-z0-9_]*)>")


def _quoted(text: str) -> str:
    if not _SECRET.search(text):
        if text.isprintable() and text.isascii():
            return shlex.quote(text)
        return "$'" + text.encode("unicode_escape").decode("ascii").replace("'", "\\'") + "'"
    safe = re.sub(r'([\\"$`])', r"\\\1", text)
    return '"' + _SECRET.sub(r"${\1}", safe) + '"'
