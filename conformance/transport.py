"""HTTP/1.1 over httpcore, where every request ends at one moment, however slowly the server drips."""

import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import httpcore
import httpx

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
    """Requests over connections that are kept open. No redirects, no cookies, no proxies. For one thread."""

    context: ssl.SSLContext
    _attempt: _Attempt = field(default_factory=_Attempt)
    _pool: httpcore.ConnectionPool = field(init=False)

    def __post_init__(self) -> None:
        self._pool = httpcore.ConnectionPool(ssl_context=self.context, network_backend=_Backend(self._attempt))

    def send(self, request: httpx.Request, *, within: float, again: bool) -> httpcore.Response:
        """The answer to ``request``, whose fields go out as given; ``within`` seconds for all, its content included.

        Where a connection that had been kept open breaks before the first byte of the answer, the server has closed it
        in the same moment: with ``again``, the request is then sent once more (RFC 9112 section 9.3.1). What may not be
        sent twice goes over a connection of its own, which nobody had the time to close. Close the answer after use. What goes wrong is raised as httpcore and h11 raise it.
        """
        self._attempt.ends = time.monotonic() + within
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        self._attempt.dialled = self._attempt.heard = False
        if not again:
            self._pool.close()
        try:
            return self._once(request, url)
        except (httpcore.NetworkError, httpcore.RemoteProtocolError):
            if not again or self._attempt.dialled or self._attempt.heard:
                raise
        return self._once(request, url)

    def _once(self, request: httpx.Request, url: httpcore.URL) -> httpcore.Response:
        asked = httpcore.Request(request.method, url, headers=request.headers.raw, content=request.stream)
        return self._pool.handle_request(asked)

    def close(self) -> None:
        """Closes every connection."""
        self._pool.close()
