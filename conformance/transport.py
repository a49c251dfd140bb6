"""HTTP/1.1 over httpcore, where every request ends at one moment, however slowly the server drips."""

import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import httpcore

__all__ = ["BoundedTransport"]


@dataclass(slots=True)
class _Attempt:
    """The request that is under way: when it ends, and what its connection has seen."""

    ends: float = 0.0
    dialled: bool = False
    """Whether a connection was opened for it."""
    heard: bool = False
    """Whether a byte of the answer came."""

    def left(self) -> float:
        left = self.ends - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return left


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, attempt: _Attempt) -> None:
        self._stream = stream
        self._attempt = attempt

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - httpcore's signature
        data = self._stream.read(max_bytes, self._attempt.left())
        self._attempt.heard = self._attempt.heard or bool(data)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._stream.write(buffer, self._attempt.left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, self._attempt.left())
        return _Stream(stream, self._attempt)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, attempt: _Attempt) -> None:
        self._sockets = httpcore.SyncBackend()
        self._attempt = attempt

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        self._attempt.dialled = True
        stream = self._sockets.connect_tcp(host, port, self._attempt.left(), local_address, socket_options)
        return _Stream(stream, self._attempt)


@dataclass(slots=True)
class BoundedTransport:
    """Requests over connections that are kept open, one to each origin. No redirects, no cookies. For one thread."""

    _tls: ssl.SSLContext | None = None
    """Made for the first origin that speaks it. The system's trust store and SSL_CERT_FILE count."""
    _attempt: _Attempt = field(default_factory=_Attempt)
    _kept: dict[str, httpcore.HTTPConnection] = field(default_factory=dict)

    def send(self, request: httpcore.Request, *, within: float, again: bool) -> httpcore.Response:
        """The answer to ``request``, whose fields go out as given; ``within`` seconds for all, its content included.

        Where a connection that had been kept open breaks before the first byte of the answer, the server has closed it
        in the same moment: with ``again``, the request is then sent once more (RFC 9112 section 9.3.1). What may not be
        sent twice goes over a connection of its own, which nobody had the time to close. Close the answer after use.
        What goes wrong is raised as httpcore and h11 raise it.
        """
        if request.url.scheme not in {b"http", b"https"}:
            msg = f"no request by {request.url.scheme.decode()}"
            raise httpcore.UnsupportedProtocol(msg)
        self._attempt.ends = time.monotonic() + within
        self._attempt.dialled = self._attempt.heard = False
        try:
            return self._connection(request.url.origin, kept=again).handle_request(request)
        except (httpcore.NetworkError, httpcore.RemoteProtocolError):
            if not again or self._attempt.dialled or self._attempt.heard:
                raise
        return self._connection(request.url.origin, kept=False).handle_request(request)

    def _connection(self, origin: httpcore.Origin, *, kept: bool) -> httpcore.HTTPConnection:
        found = self._kept.get(str(origin))
        if found and kept and found.is_available() and not found.has_expired():
            return found
        if found:
            found.close()
        if origin.scheme == b"https":
            self._tls = self._tls or ssl.create_default_context()
        made = httpcore.HTTPConnection(origin, ssl_context=self._tls, network_backend=_Backend(self._attempt))
        self._kept[str(origin)] = made
        return made

    def close(self) -> None:
        """Closes every connection."""
        for connection in self._kept.values():
            connection.close()
        self._kept.clear()
