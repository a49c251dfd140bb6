"""HTTP/1.1 on a bare socket: request bytes exactly as given, one at a time or as a volley that lands at once."""

import contextlib
import selectors
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from conformance._raw_answer import RawAnswer, RawFailure, Reader
from conformance._raw_stream import Address, Stream, connect, words

__all__ = ["Address", "RawAnswer", "RawFailure", "Volley", "ask", "hang_up", "volley"]

_COPIES = 128
_OPENERS = 16
_MAX_HEADER = 524288
_LINGER = 0.2
# How long a volley holds its last bytes back, in seconds: at least, so that the server can read what came first;
# at most, when some of that is still unacknowledged.
_HOLD = (0.05, 0.5)
_HUSH = 0.01
_OPENING = 0.25
"""The part of its time after which a volley leaves without those that could not connect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Volley:
    """What became of a volley.

    `sent` has the `time.monotonic` second of each last byte that left, in order; a connection that died before has
    none. `answers` has one entry for each request, in the order of the requests.
    """

    sent: tuple[float, ...]
    answers: tuple[RawAnswer | RawFailure, ...]


def ask(
    address: Address,
    request: bytes,
    *,
    method: str,
    timeout: float,
    max_body: int,
    max_header: int = _MAX_HEADER,
    context: ssl.SSLContext | None = None,
    linger: float = _LINGER,
    skips: int = 0,
) -> RawAnswer | RawFailure:
    """Send `request` on a connection of its own, byte for byte, and read the answer.

    `method` says how the answer is framed (RFC 9112, section 6.3): "HEAD" and "CONNECT" differ from the rest, and
    "HEAD" waits up to `linger` seconds for content that should not come. `timeout` bounds everything together, in
    seconds, except the resolution of a name; `skips` answers, to requests that stand before it, are not kept;
    `max_body` and `max_header` are bytes. Without a `context` the authorities of the system are trusted.
    """
    deadline = time.monotonic() + timeout
    stream = connect(address, _context(address, context), deadline)
    if isinstance(stream, RawFailure):
        return stream
    with stream.sock:
        reader = Reader.of(method, max_body, max_header, skips)
        queue = memoryview(stream.seal(request))
        line = _Line(stream=stream, reader=reader, deadline=deadline, linger=linger, queue=queue)
        _converse([line])
    return reader.result(line.started)


def hang_up(
    address: Address,
    request: bytes,
    *,
    stay: Callable[[], object],
    timeout: float,
    reset: bool = False,
    context: ssl.SSLContext | None = None,
) -> RawFailure | None:
    """Send `request` whole on a connection of its own, call `stay`, and close without having read anything.

    With `reset` the connection is reset, else it is closed in order. `timeout`, in seconds, does not bound `stay`. A
    failure is one to send; None when the request left.
    """
    deadline = time.monotonic() + timeout
    stream = connect(address, _context(address, context), deadline)
    if isinstance(stream, RawFailure):
        return stream
    with stream.sock:
        try:
            stream.sock.settimeout(max(0.001, deadline - time.monotonic()))
            stream.sock.sendall(stream.seal(request))
        except OSError as error:
            told = f"The connection broke before the request was sent: {words(error)}."
            return RawFailure(kind="closed", detail=told)
        stay()
        if reset:
            stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return None


def volley(
    address: Address,
    requests: Sequence[bytes],
    *,
    timeout: float,
    max_body: int,
    context: ssl.SSLContext | None = None,
) -> Volley:
    """Send every request on a connection of its own, so that all of them become complete at the server at once.

    All bytes but the last go first; then the last bytes leave back to back, unless the time is already up. A server that
    takes no more connections before it has had a whole request is sent the others as soon as it takes them. Bounds are
    those of `ask`; nothing is read for 10 ms after that, so a quicker `first_byte` does not show. Raises ValueError for
    no request, more than 128, or an empty one.
    """
    if not 1 <= len(requests) <= _COPIES or not all(requests):
        message = f"a volley takes 1 to {_COPIES} requests of at least one byte, not {len(requests)}"
        raise ValueError(message)
    began = time.monotonic()
    deadline, opened = began + timeout, began + timeout * _OPENING
    shared = _context(address, context)
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(max_workers=min(len(requests), _OPENERS)))
        streams = list(pool.map(lambda _: connect(address, shared, opened), requests))
        lines: list[_Line | RawFailure] = []
        releases: list[tuple[_Line, bytes]] = []
        for stream, request in zip(streams, requests, strict=True):
            if isinstance(stream, RawFailure):
                lines.append(stream)
                continue
            stack.enter_context(stream.sock)
            reader = Reader.of(_method(request), max_body, _MAX_HEADER)
            queue = memoryview(stream.seal(request[:-1]))
            line = _Line(stream=stream, reader=reader, deadline=deadline, linger=_LINGER, queue=queue)
            lines.append(line)
            releases.append((line, stream.seal(request[-1:])))
        alive = [line for line, _ in releases]
        late: dict[int, Future[RawAnswer | RawFailure]] = {}
        _hold_back(alive, deadline)
        if time.monotonic() < deadline:
            for line, last in releases:
                line.release(last)
            for line in alive:
                line.send()
            late = {
                turn: pool.submit(
                    ask,
                    address,
                    requests[turn],
                    method=_method(requests[turn]),
                    timeout=deadline - time.monotonic(),
                    max_body=max_body,
                    context=shared,
                )
                for turn, line in enumerate(lines)
                if isinstance(line, RawFailure) and line.kind == "timeout"
            }
            # Reading now would compete with a server on this machine for the processor, and spread the arrivals.
            time.sleep(_HUSH)
        _converse(alive)
        had = {turn: going.result() for turn, going in late.items()}
    return Volley(
        sent=tuple(sorted(line.sent for line in alive if line.sent is not None)),
        answers=tuple(
            line.reader.result(line.started) if isinstance(line, _Line) else had.get(turn, line)
            for turn, line in enumerate(lines)
        ),
    )


def _method(request: bytes) -> str:
    return "HEAD" if request.startswith(b"HEAD ") else "GET"


@dataclass(slots=True, kw_only=True)
class _Line:
    """One connection in conversation: what still has to go out, and the reader of what comes back."""

    stream: Stream
    reader: Reader
    deadline: float
    linger: float
    queue: memoryview
    started: float = field(default_factory=time.monotonic)
    sent: float | None = None
    broken: bool = False
    ended: bool = False

    def send(self) -> None:
        """Send what fits. When that fails, the server may have answered before it closed: reading goes on."""
        if self.broken or not self.queue:
            return
        try:
            count = self.stream.sock.send(self.queue)
        except BlockingIOError:
            return
        except OSError:
            self.broken = True
            self.queue = memoryview(b"")
            return
        self.queue = self.queue[count:]
        if not self.queue:
            self.sent = time.monotonic()

    def release(self, last: bytes) -> None:
        """Queue the last bytes behind what is still unsent."""
        self.sent = None
        if not self.broken:
            self.queue = memoryview(bytes(self.queue) + last)

    def read(self, parts: Iterator[bytes]) -> None:
        """Feed the reader, and note the end of the stream."""
        try:
            for data in parts:
                self.reader.feed(data)
                self.ended = self.ended or not data
        except ssl.SSLError as error:
            self.ended = True
            self.reader.fail("tls", f"TLS failed while the answer was read: {words(error)}.")
        except OSError as error:
            self.ended = True
            self.reader.fail("closed", f"The connection broke before the answer: {words(error)}.")

    @property
    def due(self) -> float:
        """When waiting ends: for the message, and after it for what should not follow."""
        finished = self.reader.finished
        return self.deadline if finished is None else min(self.deadline, finished + self.linger)

    def settled(self, now: float) -> bool:
        """Whether nothing more is to be done here at `now`."""
        if now >= self.due:
            self.reader.fail("timeout", "The server did not answer in time.")
        if self.reader.finished is None:
            return False
        return now >= self.due or self.ended or not self.reader.lingers


def _converse(lines: Sequence[_Line]) -> None:
    with selectors.DefaultSelector() as selector:
        for line in lines:
            line.read(line.stream.unseal())
            selector.register(line.stream.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, line)
        pending = list(lines)
        while pending:
            wait = min(line.due for line in pending) - time.monotonic()
            for key, ready in selector.select(max(0.0, wait)):
                line = key.data
                if ready & selectors.EVENT_WRITE:
                    line.send()
                    if not line.queue:
                        selector.modify(key.fileobj, selectors.EVENT_READ, line)
                if ready & selectors.EVENT_READ:
                    line.read(line.stream.receive())
            now = time.monotonic()
            waiting = []
            for line in pending:
                if line.settled(now):
                    selector.unregister(line.stream.sock)
                    line.stream.sock.close()
                else:
                    waiting.append(line)
            pending = waiting


def _hold_back(lines: Sequence[_Line], deadline: float) -> None:
    least, most = (time.monotonic() + seconds for seconds in _HOLD)
    while (now := time.monotonic()) < min(most, deadline):
        for line in lines:
            line.send()
        if now >= least and not any(line.queue or line.stream.unacknowledged() for line in lines):
            return
        time.sleep(0.001)


def _context(address: Address, given: ssl.SSLContext | None) -> ssl.SSLContext | None:
    if not address.tls:
        return None
    return given if given is not None else ssl.create_default_context()
