"""One request and its answer, as recorded: all that a decision rests on, and the line that reproduces it."""

import base64
import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

from conformance import documents
from conformance._shell import latin, lines, printed, quoted
from conformance.paid import Paid
from conformance.seen import Seen

__all__ = ["Exchange", "Failure", "Request", "Response"]

Fields = tuple[tuple[str, str], ...]

# What curl says of its own accord: about the connection, which is its business, and what -H "Name:" takes away.
_CURL_FRAMES = {"connection", "content-length"}
_CURL_ADDS = ("Accept", "User-Agent")
_PSEUDO = (":method", ":scheme", ":authority", ":path")
# HTTP/2 has none of these (RFC 9113 section 8.2.2), and curl leaves them out, or means something by them.
_NOT_BY_CURL = {"host", "connection", "te", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection", "expect"}
# These are for text in Python's own programs; some take time that grows with the square of the length.
_NO_CHARSETS = {"idna", "punycode", "raw_unicode_escape", "undefined", "unicode_escape"}
# The longer marks first: one of them begins with another.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as sent. Header names keep their case, values are latin-1 text."""

    method: str
    # Not in the repr: before it was redacted, a request has secrets, and tracebacks show what they were about.
    url: str = field(repr=False)
    headers: Fields = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    line: str = field(default="", repr=False)
    """The request line as it goes out, where it is not that of ``method`` and ``url``: only bytes on a socket show it.

    Whole requests may stand before it, which go out on the same connection.
    """

    http2: bool = False
    """Whether it goes out in HTTP/2 frames: ``headers`` are then all its fields, those with a colon included."""
    trailers: Fields = field(default=(), repr=False)
    """Fields behind its content; in HTTP/2 alone."""
    before: tuple[Fields, ...] = field(default=(), repr=False)
    """The fields of requests without content that are answered before it on the same connection; in HTTP/2 alone."""

    @property
    def follows(self) -> int:
        """How many whole requests stand before it in ``line``, on the same connection."""
        return self.line.count("\r\n\r\n")

    def curl(self) -> str:
        """A shell line that sends it again; secrets come from the environment."""
        parts = ["curl", "-i", "-g", "--path-as-is", *(["--http2"] if self.http2 else [])]
        if self.method == "HEAD":
            parts.append("-I")
        elif self.method != ("POST" if self.body else "GET"):
            parts += ["-X", quoted(self.method.encode())]
        parts.append(quoted(self.url.encode("utf-8", "surrogatepass")))
        for name, value in self.headers:
            if name.startswith(":"):
                continue
            if (name.lower(), value) != ("host", _host(self.url)) and name.lower() not in _CURL_FRAMES:
                parts += ["-H", quoted(latin(f"{name}: {value}" if value else f"{name};"))]
        given = {name.lower() for name, _ in self.headers}
        added = (
            *_CURL_ADDS,
            *(("Content-Type",) if self.body else ()),
            *(("Expect",) if len(self.body) > 1024 else ()),
        )
        for name in added:
            if name.lower() not in given:
                parts += ["-H", f"'{name}:'"]
        if b"\0" in self.body:
            # No argument can hold that byte.
            return " ".join([printed(self.body), "|", *parts, "--data-binary", "@-"])
        if self.body:
            parts += ["--data-raw", quoted(self.body)]
        return " ".join(parts)

    def frames(self) -> tuple[str, ...]:
        """Its fields in HTTP/2, each in a line: name, space, value; bytes that are not printable are escaped."""
        return lines(self.headers)

    def _framed_again(self) -> str:
        """A shell line that sends its frames again: curl, or ours for what curl would write otherwise."""
        if self._frames_are_plain():
            return self.curl()
        given = "".join(f"{line}\n" for line in self.frames()).encode() + b"\n" + self.body
        more = [f"--trailer {quoted(line.encode())}" for line in lines(self.trailers)]
        more += [f"--before {quoted(chr(10).join(lines(fields)).encode())}" for fields in self.before]
        parts = urlsplit(self.url)
        where = quoted(f"{parts.scheme}://{parts.netloc}".encode())
        return " ".join([printed(given), "|", "python -m conformance http2", where, *more])

    def _frames_are_plain(self) -> bool:
        """Whether curl writes the same frames for the same request."""
        names, values = [name for name, _ in self.headers], dict(self.headers)
        own = self.headers[len(_PSEUDO) :]
        return (
            tuple(names[: len(_PSEUDO)]) == _PSEUDO
            and not self.trailers
            and not self.before
            and values[":scheme"] == "https"
            and values[":authority"] == _host(self.url)
            and re.fullmatch('/[!"$-~]*', values[":path"]) is not None
            and re.fullmatch("[A-Z]+", self.method) is not None
            and self.method not in {"CONNECT", *(() if self.body else ("POST", "PUT"))}
            and len(set(names)) == len(names)
            and values.get("content-length", str(len(self.body))) == str(len(self.body))
            and all(re.fullmatch("[a-z0-9-]+", name) and name not in _NOT_BY_CURL for name, _ in own)
            and all(re.fullmatch("[!-~]([ -~]*[!-~])?", value) for _, value in own)
        )

    def message(self) -> bytes:
        """It as an HTTP/1.1 message on a connection of its own; raises UnicodeEncodeError for what no field can hold."""
        parts = urlsplit(self.url)
        path = self.url.partition("://")[2].partition("/")[2].partition("#")[0]
        given = {name.lower() for name, _ in self.headers}
        fields = list(self.headers)
        # Who writes the line himself means what he leaves out.
        if "host" not in given and not self.line:
            fields.insert(0, ("Host", parts.netloc))
        if self.body and not given & {"content-length", "transfer-encoding"}:
            fields.append(("Content-Length", str(len(self.body))))
        if "connection" not in given or not self.line:
            fields.append(("Connection", "close"))
        lines = [
            self.line or f"{self.method} /{path} HTTP/1.1",
            *(f"{name}: {value}" for name, value in fields),
            "",
            "",
        ]
        return "\r\n".join(lines).encode("latin-1") + self.body


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer as received, decoded from its transfer and content codings."""

    status: int
    reason: str = field(default="", repr=False)
    version: str = "HTTP/1.1"
    headers: Fields = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    after: bytes = field(default=b"", repr=False)
    """Bytes that followed the framed message, such as content in answer to HEAD."""
    aside: bytes = field(default=b"", repr=False)
    """The fields of interim answers before it and of its trailer section, a line each; only bytes on a socket show them."""

    def values(self, name: str) -> tuple[str, ...]:
        """The field values of ``name``, one per field line."""
        return tuple(value for key, value in self.headers if key.lower() == name.lower())

    def value(self, name: str) -> str | None:
        """The combined field value of ``name`` (RFC 9110 section 5.3), or None."""
        return ", ".join(found) if (found := self.values(name)) else None

    def text(self) -> str:
        """The body as text: by its byte order mark, else by the charset of Content-Type, else UTF-8.

        What cannot be decoded is replaced; a charset that is not known counts as none.
        """
        for mark, charset in _MARKS:
            if self.body.startswith(mark):
                return self.body.removeprefix(mark).decode(charset, "replace")
        return self.body.decode(_charset(self.value("content-type") or ""), "replace")

    def json(self) -> Any:
        """The body as JSON; raises ValueError when it is none, or nested too deeply."""
        return documents.loads(self.body)

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
    """refused, timeout, closed, tls, protocol, header-limit, body-limit, coding, rate-limited, budget, unpayable, down.

    Of HTTP/2: alpn, TLS chose none; extra, what speaks it is not installed.
    Also hung-up: we did not wait for the answer. Of a browser: blocked, its no to a script; browser, there is none.
    """
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
    content: float | None = None
    """Seconds until its first byte of content; None when it had none."""
    paid: Paid | None = None
    """The payment that was made with it; None when there was none, or we did not make it."""
    seen: Seen | None = None
    """What a browser saw; None where none was asked."""

    def again(self) -> str:
        """A shell line that shows it again: curl, or bytes on a socket for what curl would not show."""
        if self.request.http2:
            return self.request._framed_again()  # noqa: SLF001 - of the same module
        if not self.request.line and not (self.response and self.response.after):
            return self.request.curl()
        parts = urlsplit(self.request.url)
        sent = printed(self.request.message())
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
                **({"line": self.request.line} if self.request.line else {}),
                **({"http2": True} if self.request.http2 else {}),
                **({"trailers": [list(pair) for pair in self.request.trailers]} if self.request.trailers else {}),
                **(
                    {"before": [[list(f) for f in fields] for fields in self.request.before]}
                    if self.request.before
                    else {}
                ),
            },
            "at": round(self.at, 4),
            "took": round(self.took, 4),
        }
        if self.content is not None:
            document["content"] = round(self.content, 4)
        if self.paid:
            document["paid"] = self.paid.to_json()
        if self.seen:
            document["seen"] = self.seen.to_json()
        if self.response:
            r = self.response
            document["response"] = {
                "status": r.status,
                "reason": r.reason,
                "version": r.version,
                "headers": [list(pair) for pair in r.headers],
                "body": _packed(r.body),
                "after": _packed(r.after),
                **({"aside": _packed(r.aside)} if r.aside else {}),
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
                line=asked.get("line", ""),
                http2=asked.get("http2", False),
                trailers=_fields(asked.get("trailers", [])),
                before=tuple(_fields(fields) for fields in asked.get("before", [])),
            ),
            response=answered
            and Response(
                status=answered["status"],
                reason=answered["reason"],
                version=answered["version"],
                headers=_fields(answered["headers"]),
                body=_unpacked(answered["body"]),
                after=_unpacked(answered["after"]),
                aside=_unpacked(answered.get("aside", {"text": ""})),
            ),
            failure=failed and Failure(**failed),
            at=document["at"],
            took=document["took"],
            content=document.get("content"),
            paid=Paid.from_json(document["paid"]) if "paid" in document else None,
            seen=Seen.from_json(document["seen"]) if "seen" in document else None,
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


_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([A-Za-z0-9._:+-]{1,40})", re.IGNORECASE)


def _charset(content_type: str) -> str:
    named = _CHARSET.search(content_type)
    # Without a byte order mark, what is called utf-16 is little-endian (WHATWG Encoding, section 4.2).
    name = {"utf-16": "utf-16-le", "utf-32": "utf-32-le"}.get(named[1].lower(), named[1]) if named else "utf-8"
    try:
        known = codecs.lookup(name).name.replace("-", "_")
        # Some codecs are not between bytes and text; no bytes at all would not tell.
        b" ".decode(name, "replace")
    except (LookupError, ValueError):
        return "utf-8"
    return "utf-8" if known in _NO_CHARSETS else name
