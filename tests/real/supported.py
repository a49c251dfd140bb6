"""A facilitator that says what it supports and nothing else: enough for the SDKs to start."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

__all__ = ["answering"]

_SUPPORTED = {
    "kinds": [
        {"x402Version": 1, "scheme": "exact", "network": "base-sepolia"},
        {"x402Version": 2, "scheme": "exact", "network": "eip155:84532"},
    ],
    "extensions": [],
    "signers": {"eip155:*": ["0x209693Bc6afc0C5328bA36FaF03C514EF312287C"]},
}


@contextmanager
def answering() -> Iterator[str]:
    """Answer ``GET /supported`` on a free port of 127.0.0.1, any other GET or POST with 404; gives its base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/supported":
            self._answer(200, _SUPPORTED)
        else:
            self._answer(404, {"error": "only GET /supported is answered here"})

    def do_POST(self) -> None:
        # A body that nobody read would turn the answer into a reset connection.
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer(404, {"error": "only GET /supported is answered here"})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Say nothing: the output belongs to the test run."""

    def _answer(self, status: int, document: Mapping[str, object]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
