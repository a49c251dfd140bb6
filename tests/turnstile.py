"""A server that sells one thing on a bare socket: what its guard reads and what its router reads are told apart."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus

__all__ = ["PATH", "SOLD", "Asked", "Read", "Said", "Turnstile", "Ways", "exact", "said", "turnstile"]

PATH = "/api/weather"
SOLD = {"weather": "sunny", "wind": "a light breeze from the west"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as it came, latin-1."""

    method: str
    target: str
    version: str
    fields: tuple[tuple[str, str], ...]
    body: bytes = b""

    @property
    def path(self) -> str:
        """All before the question mark."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What stands behind it."""
        return self.target.partition("?")[2]

    def has(self, name: str) -> str:
        """The first value of a field; empty where it has none, or it is empty."""
        return next((value for key, value in self.fields if key.strip().lower() == name.lower()), "")

    def at(self, path: str) -> "Asked":
        """The same at another path."""
        sign = "?" if "?" in self.target else ""
        return replace(self, target=f"{path}{sign}{self.query}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An answer."""

    status: int
    body: bytes = b""
    fields: Mapping[str, str] = field(default_factory=dict)
    bare: bool = False
    """Whether it goes out without a Content-Length, and the connection is not closed for it."""
    before: str = ""
    """What goes out before it: interim answers, whole."""
    trailers: Mapping[str, str] = field(default_factory=dict)
    """Fields behind its content, which goes out in one chunk then."""


Read = Callable[[Asked], Asked]
"""How somebody who serves reads a request: what it is to him."""


def exact(asked: Asked) -> Asked:
    """To the letter."""
    return asked


def said(status: int, /, **members: object) -> Said:
    """An answer of JSON."""
    return Said(status=status, body=json.dumps(members).encode(), fields={"Content-Type": "application/json"})


def _sells(_: Asked) -> Said:
    return Said(status=200, body=json.dumps(SOLD).encode(), fields={"Content-Type": "application/json"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """How it is built; as it stands, right."""

    routes: Read = exact
    guards: Read | None = None
    """None: as the router reads."""
    priced: Callable[[Asked], bool] = lambda asked: asked.path == PATH
    """Whether the guard, having read a request, wants money for it; None asks nobody."""
    reaches: Callable[[Asked], bool] = lambda asked: asked.path == PATH
    serves: frozenset[str] = frozenset({"GET", "HEAD"})
    """The methods that the handler is called with."""
    skips: Callable[[Asked], bool] = lambda _: False
    """Whether the guard lets a request pass unread."""
    first: Callable[[Asked], Said | None] = lambda _: None
    """What is said before anybody looks, if anything; a status of 0 hangs up."""
    other: Callable[[Asked], Said] = lambda _: said(404, code="nothing_here")
    """What is said where nothing is."""
    sells: Callable[[Asked], Said] = _sells
    refuses: Callable[[Asked], Said] = lambda _: said(402, code="upgrade", message="This is for subscribers.")
    handles: Callable[[Asked], int] = lambda _: 1
    """By how much the witness moves when the handler is called."""
    counts: Callable[[Asked], int] = lambda _: 0
    """By how much it moves with a request of anybody."""
    sleeps: Callable[[Asked], float] = lambda _: 0.0
    """Seconds before an answer."""
    remembers: bool = False
    """Whether who has paid once on a connection need not do so again."""
    closes: bool = False
    """Whether it closes after each answer."""
    alone: bool = False
    """Whether it takes one connection at a time."""


@dataclass(slots=True, kw_only=True)
class Turnstile:
    """Answers at ``PATH``, at /runs with how often it handled, at /health and /about to everybody."""

    ways: Ways = field(default_factory=Ways)
    runs: int = 0
    asked: int = 0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def begin(self, ways: Ways) -> None:
        """Makes it another server."""
        self.ways, self.runs, self.asked = ways, 0, 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        ways = self.ways
        if ways.alone:
            await self._turn.acquire()
        try:
            paid: list[bool] = []
            while await self._turned(reader, writer, paid) and not ways.closes:
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass
        finally:
            writer.close()
            if ways.alone:
                self._turn.release()

    async def _turned(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, paid: list[bool]) -> bool:
        asked = await _read(reader)
        if asked is None:
            return False
        self.asked += 1
        if not isinstance(asked, str) and asked.has("x-account") == "subscriber":
            paid.append(True)
        known = self.ways.remembers and bool(paid)
        answer = said(400, code="malformed") if isinstance(asked, str) else self._answer(asked, known=known)
        if answer.status == 0:
            return False
        if not isinstance(asked, str) and (pause := self.ways.sleeps(asked)):
            await asyncio.sleep(pause)
        head = not isinstance(asked, str) and asked.method.upper() == "HEAD"
        fields = {"Server": "turnstile", **answer.fields}
        body = answer.body
        if answer.trailers:
            fields["Transfer-Encoding"] = "chunked"
            rest = "".join(f"{name}: {value}\r\n" for name, value in answer.trailers.items())
            body = b"%x\r\n%s\r\n0\r\n%s\r\n" % (len(body), body, rest.encode("latin-1"))
        elif not answer.bare:
            fields["Content-Length"] = fields.get("Content-Length", str(len(answer.body)))
        lines = [f"HTTP/1.1 {answer.status} {_phrase(answer.status)}", *(f"{n}: {v}" for n, v in fields.items())]
        whole = answer.before + "\r\n".join([*lines, "", ""])
        writer.write(whole.encode("latin-1") + (b"" if head else body))
        await writer.drain()
        return not isinstance(asked, str) and asked.version == "HTTP/1.1" and "close" not in asked.has("connection")

    def _answer(self, asked: Asked, *, known: bool) -> Said:
        ways = self.ways
        if asked.path == "/runs":
            return said(200, n=self.runs)
        self.runs += ways.counts(asked)
        if (early := ways.first(asked)) is not None:
            return early
        routed = ways.routes(asked)
        known = known or asked.has("x-account") == "subscriber"
        guarded = (ways.guards or ways.routes)(asked)
        if ways.priced(guarded) and not known and not ways.skips(asked):
            return ways.refuses(asked)
        if ways.reaches(routed):
            if routed.method not in ways.serves:
                return Said(status=405, fields={"Allow": "GET, HEAD"})
            self.runs += ways.handles(routed)
            return ways.sells(asked)
        if routed.path in {"/health", "/about"}:
            return said(200, status="ok")
        return ways.other(asked)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Odd"


async def _read(reader: asyncio.StreamReader) -> Asked | str | None:
    """The next request; a text for one that is none, None at the end."""
    line = (await reader.readuntil(b"\r\n")).decode("latin-1").rstrip("\r\n")
    if not line:
        return None
    fields: list[tuple[str, str]] = []
    while text := (await reader.readuntil(b"\r\n")).decode("latin-1").rstrip("\r\n"):
        if text[0] in " \t" and fields:
            fields[-1] = (fields[-1][0], f"{fields[-1][1]} {text.strip()}".strip())
            continue
        name, _, value = text.partition(":")
        fields.append((name, value.strip()))
    method, _, rest = line.partition(" ")
    target, _, version = rest.rpartition(" ")
    asked = Asked(method=method, target=target, version=version, fields=tuple(fields))
    if asked.has("transfer-encoding"):
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readuntil(b"\r\n")
    else:
        body = await reader.readexactly(int(asked.has("content-length") or 0))
    return replace(asked, body=body) if target and version.startswith("HTTP/") else "malformed"


@contextmanager
def turnstile() -> Iterator[tuple[Turnstile, str]]:
    """A turnstile on a free port of 127.0.0.1 in a thread, and its base URL."""
    made, ready, port = Turnstile(), threading.Event(), []
    loop = asyncio.new_event_loop()

    async def run() -> None:
        server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
        port.append(server.sockets[0].getsockname()[1])
        ready.set()
        await server.serve_forever()

    def live() -> None:
        task = loop.create_task(run())
        stopping.append(task.cancel)
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            pass
        finally:
            # Connections that somebody kept open are ended before the loop is.
            for left in (kept := asyncio.all_tasks(loop)):
                left.cancel()
            if kept:
                loop.run_until_complete(asyncio.gather(*kept, return_exceptions=True))
            loop.close()

    stopping: list[Callable[[], object]] = []
    thread = threading.Thread(target=live, daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield made, f"http://127.0.0.1:{port[0]}"
    finally:
        loop.call_soon_threadsafe(stopping[0])
        thread.join(10)
        assert not thread.is_alive()
