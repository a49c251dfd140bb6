"""Servers that are the sandbox but for one thing, over real sockets."""

import base64
import email.utils
import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import uvicorn

from conformance.sandbox import app

__all__ = [
    "GOODS",
    "MARKET",
    "Altered",
    "Answer",
    "Asked",
    "Change",
    "Relay",
    "coded",
    "decoded",
    "listening",
    "offer",
    "refusals",
    "relayed",
    "served",
    "then",
    "unaltered",
]

GOODS = ("/weather", "/forecast", "/almanac", "/report")

MARKET = ("/archive", "/translate", "/lookup", "/charges")
"""Where the sandbox refuses without any protocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as the altered server sees it."""

    method: str
    path: str
    query: str
    """Still encoded, without the question mark."""
    headers: Mapping[str, str]
    """Names in lower case; the last of equal ones."""
    nth: int
    """How many requests with this method and path came before it in this run."""
    attempts: int
    """How many requests of this run had something in a payment field, this one included."""
    body: bytes = b""
    """As far as it is JSON that was sent by POST."""


@dataclass(slots=True, kw_only=True)
class Answer:
    """An answer on its way out, to be changed in place."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def get(self, name: str) -> str:
        """The first value of ``name``; empty when there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def set(self, name: str, value: str) -> None:
        """Puts one field in the place of all that have its name."""
        self.drop(name)
        self.add(name, value)

    def add(self, name: str, value: str) -> None:
        """Adds a field line."""
        self.headers.append((name, value))

    def drop(self, *names: str) -> None:
        """Removes every field of these names."""
        gone = {name.lower() for name in names}
        self.headers = [(key, value) for key, value in self.headers if key.lower() not in gone]

    def say(self, value: object, media_type: str = "application/json") -> None:
        """Puts ``value``, as JSON, in the place of the body."""
        self.body = json.dumps(value).encode()
        self.set("Content-Type", media_type)

    def become(self, status: int, text: str = "", media_type: str = "text/plain; charset=utf-8") -> None:
        """Another answer altogether, with no field left but Date."""
        self.status, self.body = status, text.encode()
        self.headers = [(key, value) for key, value in self.headers if key.lower() == "date"]
        if text:
            self.set("Content-Type", media_type)


Change = Callable[[Asked, Answer], None]
"""What makes a server different: sees each request and its correct answer, and changes the answer."""

Relay = Callable[[bytes, bytes], bytes]
"""The bytes of a request and of its answer; returns the bytes that are sent instead."""


def then(*changes: Change) -> Change:
    """One change after the other."""

    def change(asked: Asked, answer: Answer) -> None:
        for one in changes:
            one(asked, answer)

    return change


def refusals(alter: Callable[[Answer], object]) -> Change:
    """Alters each 402."""

    def change(_: Asked, answer: Answer) -> None:
        if answer.status == 402:
            alter(answer)

    return change


def offer(alter: Callable[[dict[str, Any], int], None], *, versions: Sequence[int] = (1, 2)) -> Change:
    """Alters each offer, wherever it stands, given the document and its x402 version."""

    def change(_: Asked, answer: Answer) -> None:
        if 2 in versions and (header := answer.get("payment-required")):
            plain = decoded(header)
            alter(plain, 2)
            answer.set("PAYMENT-REQUIRED", coded(plain))
        if 1 in versions and (body := _offer_in(answer)):
            alter(body, 1)
            answer.body = json.dumps(body).encode()

    return change


def _offer_in(answer: Answer) -> dict[str, Any]:
    if answer.get("content-type") != "application/json":
        return {}
    found = json.loads(answer.body)
    return found if isinstance(found, dict) and found.get("x402Version") == 1 else {}


def coded(value: object) -> str:
    """Base64 of ``value`` as JSON."""
    return base64.b64encode(json.dumps(value).encode()).decode()


def decoded(text: str) -> dict[str, Any]:
    """The JSON object in base64."""
    found: dict[str, Any] = json.loads(base64.b64decode(text))
    return found


def unaltered(_: Asked, __: Answer) -> None:
    """The sandbox as it is."""


Receive = Callable[[], Any]
Send = Callable[[MutableMapping[str, Any]], Any]


@dataclass(slots=True, kw_only=True)
class Altered:
    """An ASGI application that hands each whole answer of the sandbox to ``change`` before it is sent.

    It sells by PUT what the sandbox sells by POST, and at other paths what ``sells`` says.
    """

    inner: Any
    change: Change = unaltered
    where: frozenset[str] = frozenset(GOODS)
    """Paths whose answers are changed; empty: all."""
    sells: Mapping[str, str] = field(default_factory=dict)
    """Path -> the sandbox's path whose answers it has."""
    _seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    _attempts: int = 0

    def begin(
        self, change: Change = unaltered, where: Sequence[str] = GOODS, sells: Mapping[str, str] | None = None
    ) -> None:
        """Makes it another server, to which nobody has spoken yet."""
        self.change, self.where, self.sells = change, frozenset(where), sells or {}
        self._seen.clear()
        self._attempts = 0

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        answer = Answer(status=0, headers=[("Date", email.utils.formatdate(usegmt=True))], body=b"")
        nth = self._seen[scope["method"], scope["path"]]
        self._seen[scope["method"], scope["path"]] += 1
        self._attempts += any(name in {b"x-payment", b"payment-signature"} for name, _ in scope["headers"])

        async def keep(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers += [(k.decode("latin-1"), v.decode("latin-1")) for k, v in message["headers"]]
            else:
                answer.body += message.get("body", b"")

        said: list[bytes] = []
        more = scope["method"] == "POST" and (b"content-type", b"application/json") in scope["headers"]

        async def hear() -> Any:
            nonlocal more
            message = await receive()
            said.append(message.get("body", b""))
            more = more and message.get("more_body", False)
            return message

        method = "POST" if scope["method"] == "PUT" else scope["method"]
        path = self.sells.get(scope["path"], scope["path"])
        await self.inner({**scope, "method": method, "path": path}, hear, keep)
        while more:
            await hear()
        asked = Asked(
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
            headers={k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]},
            nth=nth,
            attempts=self._attempts,
            body=b"".join(said),
        )
        if not self.where or asked.path in self.where:
            self.change(asked, answer)
        if answer.status in {204, 304}:
            answer.body = b""
        else:
            answer.set("Content-Length", str(len(answer.body)))
        fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": fields})
        await send({"type": "http.response.body", "body": answer.body})


@contextmanager
def listening() -> Iterator[tuple[socket.socket, str]]:
    """A socket that listens on a free port of 127.0.0.1, and its base URL."""
    # The protocol is named because asyncio turns Nagle's algorithm off only then: 40 ms for each request otherwise.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen(128)
        yield bound, f"http://127.0.0.1:{bound.getsockname()[1]}"


@contextmanager
def served() -> Iterator[tuple[Altered, str]]:
    """An altered sandbox that is not altered yet, on a free port of 127.0.0.1 in a thread, and its base URL."""
    with listening() as (bound, here):
        altered = Altered(inner=app(here))
        config = uvicorn.Config(
            altered,
            http="h11",
            log_level="critical",
            lifespan="off",
            timeout_graceful_shutdown=1,
            date_header=False,
            server_header=False,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        # The socket listens already: a request that comes early waits for the server.
        try:
            yield altered, here
        finally:
            server.should_exit = True
            thread.join(10)
            assert not thread.is_alive()


@contextmanager
def relayed(base_url: str, relay: Relay) -> Iterator[str]:
    """A server that hands each request to ``base_url`` and sends what ``relay`` makes of the answer; its base URL.

    One request per connection: for what no application server lets an application say.
    """
    upstream = urlsplit(base_url)
    with listening() as (bound, here):

        def work() -> None:
            while True:
                try:
                    connection, _ = bound.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(5)
                    try:
                        connection.sendall(_one(connection))
                    except OSError:
                        continue

        def _one(connection: socket.socket) -> bytes:
            if not (request := _request(connection)):
                return b""
            with socket.create_connection((upstream.hostname or "", upstream.port or 80), timeout=5) as above:
                above.sendall(request)
                return relay(request, _until_closed(above))

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            yield here
        finally:
            # Closing alone does not wake a thread that waits in accept.
            bound.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            assert not thread.is_alive()


def _request(connection: socket.socket) -> bytes:
    """One request, told to close its connection; empty when the client has nothing more to say."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (chunk := connection.recv(65536)):
            return b""
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    length = next((int(line[15:]) for line in lines if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length and (chunk := connection.recv(65536)):
        body += chunk
    return b"\r\n".join([*lines, b"Connection: close", b"", b""]) + body


def _until_closed(connection: socket.socket) -> bytes:
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
    return data
