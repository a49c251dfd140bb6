"""The only way out of a browser of ours: a SOCKS proxy (RFC 1928) that leads to the target and to nobody else."""

import select
import socket
import socketserver
import threading
from dataclasses import dataclass, field

__all__ = ["Gate"]

_MOMENT = 0.5
_SECONDS = 10.0
"""That a connection may say nothing."""
_CONNECT = 1
_GRANTED, _NOT_ALLOWED, _REFUSED, _NOT_SUPPORTED = 0, 2, 5, 7
_USUAL = {80, 443}


@dataclass(slots=True, kw_only=True)
class Gate:
    """Listens on a free port of 127.0.0.1 from when it is made until it is closed."""

    hosts: frozenset[str]
    """Authorities that may be reached; one without a port stands for the usual ones."""
    shut_out: list[str] = field(default_factory=list)
    """Who was asked for in vain, as host:port, in that order."""
    _server: "_Server" = field(init=False)

    def __post_init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _Connection)
        self._server.gate = self
        threading.Thread(target=self._server.serve_forever, args=(_MOMENT / 5,), daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens, as browsers are told."""
        return f"socks5://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Lets nobody through any more."""
        self._server.shutdown()
        self._server.server_close()

    def admits(self, host: str, port: int) -> bool:
        """Whether ``host`` may be reached at ``port``; what may not is remembered."""
        written = f"[{host}]" if ":" in host else host
        if f"{written}:{port}" in self.hosts or (port in _USUAL and written in self.hosts):
            return True
        self.shut_out.append(f"{written}:{port}")
        return False


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    # A browser may hold connections as long as it runs.
    block_on_close = False
    gate: Gate

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser hangs up when it likes."""


class _Connection(socketserver.BaseRequestHandler):
    request: socket.socket
    server: _Server

    def handle(self) -> None:
        self.request.settimeout(_SECONDS)
        _, methods = self._exactly(2)
        self._exactly(methods)
        self.request.sendall(b"\x05\x00")
        _, command, _, kind = self._exactly(4)
        host = self._host(kind)
        port = int.from_bytes(self._exactly(2))
        if command != _CONNECT or not host:
            self._say(_NOT_SUPPORTED)
        elif not self.server.gate.admits(host, port):
            self._say(_NOT_ALLOWED)
        else:
            try:
                above = socket.create_connection((host, port), timeout=_SECONDS)
            except OSError:
                self._say(_REFUSED)
                return
            with above:
                self._say(_GRANTED)
                _carry(self.request, above)

    def _host(self, kind: int) -> str:
        match kind:
            case 1:
                return socket.inet_ntop(socket.AF_INET, self._exactly(4))
            case 3:
                return self._exactly(self._exactly(1)[0]).decode("ascii", "replace")
            case 4:
                return socket.inet_ntop(socket.AF_INET6, self._exactly(16))
            case _:
                return ""

    def _say(self, what: int) -> None:
        self.request.sendall(bytes([5, what, 0, 1, 0, 0, 0, 0, 0, 0]))

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            if not (chunk := self.request.recv(count - len(data))):
                raise ConnectionResetError
            data += chunk
        return data


def _carry(one: socket.socket, other: socket.socket) -> None:
    """Hands bytes to and fro until either side has ended."""
    ends = {one: other, other: one}
    while True:
        ready, _, _ = select.select(list(ends), [], [], 10 * _SECONDS)
        if not ready:
            return
        for end in ready:
            if not (data := end.recv(65536)):
                return
            ends[end].sendall(data)
