"""HTTP/2 over TLS: one request on a connection of its own, its fields exactly as given, within the bounds of ``raw``."""

import re
import selectors
import ssl
import time
from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from conformance._raw_answer import RawAnswer, RawFailure
from conformance._raw_stream import Address, Stream, connect, words

if TYPE_CHECKING:
    from conformance._frames_talk import Talk

__all__ = ["EXTRA", "Fields", "ask", "context", "read"]

Fields = tuple[tuple[str, str], ...]
EXTRA = "the target speaks HTTP/2, and the extra is not installed that does: pip install 'pytest-402[http2]'"
_MAX_HEADER = 524288
_LINGER = 0.2
"""Seconds in which somebody who says that something is wrong may still answer."""


def context() -> ssl.SSLContext:
    """TLS with the authorities of the system that offers HTTP/2 first, and HTTP/1.1 (RFC 7301)."""
    made = ssl.create_default_context()
    made.set_alpn_protocols(["h2", "http/1.1"])
    return made


def read(lines: Iterable[str]) -> Fields:
    r"""Fields as ``Request.frames`` writes them: name, space, value, ``\xNN`` for a byte; empty lines are none."""
    pairs = (line.partition(" ") for line in lines if line)
    return tuple((_bytes(name), _bytes(value)) for name, _, value in pairs)


def _bytes(text: str) -> str:
    return re.sub(r"\\x([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), text)


def ask(
    address: Address,
    fields: Fields,
    *,
    body: bytes = b"",
    trailers: Fields = (),
    before: tuple[Fields, ...] = (),
    timeout: float,
    max_body: int,
    max_header: int = _MAX_HEADER,
    context: ssl.SSLContext,
) -> RawAnswer | RawFailure:
    """Send a request of ``fields``, pseudo-header fields among them, and read the answer.

    The requests ``before`` it, of fields alone, are answered first on the same connection. Nothing is added, put in order or checked. ``timeout`` bounds everything together, in seconds, except the resolution
    of a name; ``max_body`` and ``max_header`` are bytes. The failure ``alpn`` says that TLS chose no HTTP/2, ``extra``
    that it did and h2 is not installed. What follows the content stands behind the fields of the answer.
    Raises UnicodeEncodeError for what no field can hold.
    """
    deadline = time.monotonic() + timeout
    stream = connect(address, context if address.tls else None, deadline)
    if isinstance(stream, RawFailure):
        return stream
    with stream.sock:
        chosen = stream.tls.selected_alpn_protocol() if stream.tls else None
        if chosen != "h2":
            told = f"TLS chose {chosen}" if chosen else "no protocol was chosen with TLS"
            return RawFailure(kind="alpn", detail=f"the target speaks no HTTP/2: {told} (ALPN)")
        if find_spec("h2") is None:
            return RawFailure(kind="extra", detail=EXTRA)
        from conformance._frames_talk import Talk  # noqa: PLC0415 - an extra

        talk = Talk.of(fields, body, trailers, before=before, max_body=max_body, max_header=max_header)
        started = time.monotonic()
        _converse(stream, talk, deadline)
    return talk.result(started)


def _converse(stream: Stream, talk: "Talk", deadline: float) -> None:
    out, broken, due = memoryview(b""), False, deadline
    with selectors.DefaultSelector() as selector:
        selector.register(stream.sock, selectors.EVENT_READ)
        for data in stream.unseal():
            talk.feed(data)
        while not talk.over:
            if not out and talk.waiting and not broken:
                out = memoryview(stream.seal(bytes(talk.waiting)))
                talk.waiting.clear()
            selector.modify(stream.sock, selectors.EVENT_READ | (selectors.EVENT_WRITE if out else 0))
            if talk.leaving and due == deadline:
                due = min(deadline, time.monotonic() + _LINGER)
            if (left := due - time.monotonic()) <= 0:
                _late(talk)
                break
            ready = sum(events for _, events in selector.select(left))
            if ready & selectors.EVENT_WRITE:
                try:
                    out = out[stream.sock.send(out) :]
                except BlockingIOError:
                    pass
                except OSError:
                    # The server may have answered before it closed: reading goes on.
                    out, broken = memoryview(b""), True
            if ready & selectors.EVENT_READ:
                _read(stream, talk)


def _late(talk: "Talk") -> None:
    if talk.leaving:
        talk.fail("closed", f"The server said that it closes: {talk.leaving}.")
    else:
        talk.fail("timeout", "The server did not answer in time.")


def _read(stream: Stream, talk: "Talk") -> None:
    try:
        for data in stream.receive():
            talk.feed(data)
    except ssl.SSLError as error:
        talk.fail("tls", f"TLS failed while the answer was read: {words(error)}.")
    except OSError as error:
        talk.fail("closed", f"The connection broke before the answer: {words(error)}.")
