"""What comes back on a bare socket: bytes in, one answer or one failure out."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal, Self

import h11

__all__ = ["Cut", "Kind", "RawAnswer", "RawFailure", "Reader"]

_SWITCHING = 101
Cut = Literal["", "timeout", "closed", "tls", "protocol", "body-limit"]
Kind = Literal["refused", "timeout", "closed", "tls", "protocol", "header-limit", "body-limit", "alpn", "extra"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RawAnswer:
    """One final answer (of 1xx but 101, the fields are in `aside`), as it came; what follows a 101 is in `after`.

    `version` is spelled like "HTTP/1.1"; header names keep their case and order, and text is latin-1. `body` is the
    framed content without chunking; `after` holds bytes beyond the framed message, at most as many as the body may
    have: this is how content in answer to HEAD shows. `aside` has the fields of interim answers before it, and of the
    trailer section behind its content, a line each. `cut` says why the content ended too early, and is empty for a
    whole answer. Times are seconds of `time.monotonic`: the connection stood and sending began, the first byte was
    read, the framed message ended or was cut; `content`, its first byte of content was read, None where it had none.
    """

    status: int
    reason: str
    version: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    after: bytes
    aside: bytes
    cut: Cut
    started: float
    first_byte: float
    finished: float
    content: float | None = None

    @property
    def truncated(self) -> bool:
        """Whether content is missing at the end."""
        return self.cut != ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawFailure:
    """Why there is no answer; `refused` is also what a name without an address, or no way there, comes to."""

    kind: Kind
    detail: str


def _asking(method: str, max_header: int) -> h11.Connection:
    """A machine that believes that it asked by `method`; what it would have sent is dropped, other bytes go out instead."""
    machine = h11.Connection(h11.CLIENT, max_incomplete_event_size=max_header)
    framing = method if method in {"HEAD", "CONNECT"} else "GET"
    # To have proposed an upgrade costs nothing, and lets h11 take a 101.
    machine.send(h11.Request(method=framing, target="/", headers=[("Host", "x"), ("Upgrade", "x")]))
    machine.send(h11.EndOfMessage())
    return machine


@dataclass(slots=True, kw_only=True)
class Reader:
    """Bytes in, one answer out; knows no socket."""

    machine: h11.Connection
    lingers: bool
    max_body: int
    max_header: int
    skips: int = 0
    """Answers to come before the one that is read: to requests before it on the same connection."""
    head: h11.Response | h11.InformationalResponse | None = None
    unanswered: int = 0
    body: bytearray = field(default_factory=bytearray)
    after: bytearray = field(default_factory=bytearray)
    aside: bytearray = field(default_factory=bytearray)
    cut: Cut = ""
    failure: RawFailure | None = None
    first_byte: float | None = None
    content: float | None = None
    finished: float | None = None

    @classmethod
    def of(cls, method: str, max_body: int, max_header: int, skips: int = 0) -> Self:
        """A reader for the answer to one request of `method`, with both bounds in bytes, after `skips` others."""
        return cls(
            machine=_asking(method, max_header),
            lingers=method == "HEAD",
            max_body=max_body,
            max_header=max_header,
            skips=skips,
        )

    def _next(self) -> None:
        """Begins again, with what came behind the answer that was read."""
        rest = self.machine.trailing_data[0]
        self.machine, self.head, self.skips, self.unanswered = _asking("GET", self.max_header), None, self.skips - 1, 0
        self.body.clear()
        self.aside.clear()
        self.content = None
        if rest:
            self.machine.receive_data(rest)

    def feed(self, data: bytes) -> None:
        """Take what arrived; empty bytes mean that the server closed."""
        now = time.monotonic()
        if self.cut or self.failure:
            return
        if self.finished is not None:
            self.after += data[: max(0, self.max_body - len(self.after))]
            return
        if not data and self.head is None:
            self.fail("closed", "The server closed the connection before it answered.")
            return
        self.first_byte = self.first_byte or now
        self.unanswered += len(data) if self.head is None else 0
        try:
            self.machine.receive_data(data)
            self._parse(now)
        except h11.RemoteProtocolError as error:
            if self.head is None and error.error_status_hint == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
                self._refuse_header()
            else:
                self.fail("protocol" if data else "closed", f"The answer is not HTTP/1.1: {str(error)[:200]}.")
        if self.head is None and self.unanswered > self.max_header:
            self._refuse_header()

    def _parse(self, now: float) -> None:
        while self.finished is None:
            event = self.machine.next_event()
            if isinstance(event, h11.Response):
                if sum(len(name) + len(value) + 4 for name, value in event.headers) > self.max_header:
                    self._refuse_header()
                    return
                self.head = event
            elif isinstance(event, h11.Data):
                self.body += event.data
                self.content = self.content or now
                if len(self.body) > self.max_body:
                    del self.body[self.max_body :]
                    self.cut, self.finished, self.lingers = "body-limit", now, False
            elif event is h11.NEED_DATA:
                return
            elif isinstance(event, h11.InformationalResponse) and event.status_code == _SWITCHING:
                # Whatever is spoken from here on, its bytes are kept.
                self.head, self.finished, self.lingers = event, now, True
                self.after += self.machine.trailing_data[0][: self.max_body]
            elif isinstance(event, h11.EndOfMessage) and self.skips:
                self._next()
            elif isinstance(event, h11.InformationalResponse):
                self._note(event.headers.raw_items())
            else:
                if isinstance(event, h11.EndOfMessage):
                    self._note(event.headers.raw_items())
                # The end of the message, or the end of HTTP after a CONNECT that was granted.
                self.finished = now
                self.after += self.machine.trailing_data[0][: self.max_body]

    def _note(self, fields: Iterable[tuple[bytes, bytes]]) -> None:
        """Keeps fields that stand beside the answer, at most as many bytes as its header may have."""
        for name, value in fields:
            self.aside += b"%s: %s\n" % (name, value)
        del self.aside[self.max_header :]

    def _refuse_header(self) -> None:
        if self.finished is None:
            self.finished, self.lingers = time.monotonic(), False
            detail = f"The header of the answer is longer than {self.max_header} bytes."
            self.failure = RawFailure(kind="header-limit", detail=detail)

    def fail(self, kind: Literal["timeout", "closed", "tls", "protocol"], detail: str) -> None:
        """End here: a failure before the header was read, a cut after it, nothing once the message was whole."""
        if self.finished is not None:
            return
        self.finished, self.lingers = time.monotonic(), False
        if self.head is None:
            self.failure = RawFailure(kind=kind, detail=detail)
        else:
            self.cut = kind

    def result(self, started: float) -> RawAnswer | RawFailure:
        """What became of the request whose sending began at `started`."""
        if self.head is None or self.failure or self.first_byte is None or self.finished is None:
            return self.failure or RawFailure(kind="closed", detail="The connection ended before the answer.")
        return RawAnswer(
            status=self.head.status_code,
            reason=self.head.reason.decode("latin-1"),
            version="HTTP/" + self.head.http_version.decode("latin-1"),
            headers=tuple((n.decode("latin-1"), v.decode("latin-1")) for n, v in self.head.headers.raw_items()),
            body=bytes(self.body),
            after=bytes(self.after),
            aside=bytes(self.aside),
            cut=self.cut,
            started=started,
            first_byte=self.first_byte,
            finished=self.finished,
            content=self.content,
        )
