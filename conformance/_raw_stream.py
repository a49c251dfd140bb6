"""A connection to one server, with or without TLS, that sends nothing of its own accord."""

import contextlib
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from conformance._raw_answer import RawFailure

if sys.platform == "linux":
    import fcntl
    import termios

__all__ = ["Address", "Stream", "connect", "words"]

_CHUNK = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a server listens, and whether it speaks TLS there."""

    host: str
    port: int
    tls: bool

    @classmethod
    def of(cls, base_url: str) -> Self:
        """The address that an absolute http or https URL names; raises ValueError for any other URL."""
        parts = urlsplit(base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            message = f"{base_url!r} names no server: expected an absolute URL such as https://api.example.com"
            raise ValueError(message)
        tls = parts.scheme == "https"
        port = parts.port if parts.port is not None else 443 if tls else 80
        return cls(host=parts.hostname, port=port, tls=tls)


@dataclass(slots=True, kw_only=True)
class Stream:
    """A connected socket that does not block, with or without TLS.

    TLS runs in memory: a record can then be sealed long before it is sent, and a last byte costs one send either way.
    """

    sock: socket.socket
    tls: ssl.SSLObject | None = None
    inbox: ssl.MemoryBIO = field(default_factory=ssl.MemoryBIO)
    outbox: ssl.MemoryBIO = field(default_factory=ssl.MemoryBIO)

    def shake_hands(self, context: ssl.SSLContext, host: str, deadline: float) -> None:
        """Do the TLS handshake on a socket that still blocks."""
        self.tls = context.wrap_bio(self.inbox, self.outbox, server_hostname=host)
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                done = False
            else:
                done = True
            self.sock.settimeout(_left(deadline))
            self.sock.sendall(self.outbox.read())
            if done:
                return
            data = self.sock.recv(_CHUNK)
            if not data:
                message = "the server closed during the handshake"
                raise ssl.SSLError(message)
            self.inbox.write(data)

    def seal(self, data: bytes) -> bytes:
        """The bytes that carry `data`: itself, or TLS records."""
        if self.tls is None:
            return data
        rest = memoryview(data)
        while rest:
            rest = rest[self.tls.write(rest) :]
        return self.outbox.read()

    def receive(self) -> Iterator[bytes]:
        """The parts of what arrived, an empty one at the end of the stream; raises OSError (ssl.SSLError included)."""
        try:
            data = self.sock.recv(_CHUNK)
        except BlockingIOError:
            return
        if self.tls is None or not data:
            yield data
            return
        self.inbox.write(data)
        yield from self.unseal()

    def unseal(self) -> Iterator[bytes]:
        """The plain text of the records that are here, also of those that the handshake left over."""
        while self.tls is not None:
            try:
                data = self.tls.read(_CHUNK)
            except ssl.SSLWantReadError:
                return
            except ssl.SSLZeroReturnError:
                data = b""
            yield data
            if not data:
                return

    def unacknowledged(self) -> bool:
        """Whether sent bytes have not reached the peer's kernel, as far as this platform can tell."""
        if sys.platform != "linux":
            return False
        waiting = fcntl.ioctl(self.sock, termios.TIOCOUTQ, b"\0" * 4)
        return waiting != b"\0" * 4


def connect(address: Address, context: ssl.SSLContext | None, deadline: float) -> Stream | RawFailure:
    """Connect before the `time.monotonic` second `deadline`, with TLS where a context is given."""
    where = f"{address.host}:{address.port}"
    try:
        sock = _dial(address, deadline)
    except TimeoutError:
        return RawFailure(kind="timeout", detail=f"{where} did not accept a connection in time.")
    except (OSError, UnicodeError) as error:
        return RawFailure(kind="refused", detail=f"No connection to {where}: {words(error)}.")
    with contextlib.ExitStack() as stack:
        stack.callback(sock.close)
        stream = Stream(sock=sock)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is not None:
                stream.shake_hands(context, address.host, deadline)
        except TimeoutError:
            return RawFailure(kind="timeout", detail=f"{where} did not finish the TLS handshake in time.")
        except ssl.SSLError as error:
            return RawFailure(kind="tls", detail=f"The TLS handshake with {where} failed: {words(error)}.")
        except OSError as error:
            return RawFailure(kind="closed", detail=f"{where} broke the connection off: {words(error)}.")
        sock.settimeout(0.0)
        stack.pop_all()
        return stream


def _dial(address: Address, deadline: float) -> socket.socket:
    problem = OSError("the name has no address")
    for family, kind, protocol, _, where in socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(_left(deadline))
            sock.connect(where)
        except OSError as error:
            sock.close()
            problem = error
        else:
            return sock
    raise problem


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def words(error: Exception) -> str:
    """What an error of the network says, fit for the end of a sentence."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return said.strip().rstrip(".")[:200] or type(error).__name__
