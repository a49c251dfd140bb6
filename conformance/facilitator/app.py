"""The facilitator on a socket: connections, routes, and how an answer is delivered or is not."""

import asyncio
import contextlib
import hmac
from urllib.parse import urlsplit

import h11

from conformance.facilitator._connection import Connection, Request, TooLarge
from conformance.facilitator._document import load
from conformance.facilitator.answer import Answer, plain
from conformance.facilitator.script import Delivery, Kind
from conformance.facilitator.state import State

__all__ = ["CONTROL", "App"]

CONTROL = "/_control/"
"""Below this path and the token of the facilitator, checks tell it what to do."""

_PLAIN = {f"/{kind}": kind for kind in Kind}
_MOVED = {f"/moved/{kind}": kind for kind in Kind}
"""Where the fault ``redirect`` points; whoever follows is answered honestly."""

_LONGEST_DOWN = 60.0
_REBIND = 0.05
_BACKLOG = 256


class App:
    """A listener and its connections, all on one event loop."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._state = State()
        self._server: asyncio.Server | None = None
        self._conversations: set[asyncio.Task[None]] = set()
        self._down: asyncio.Task[None] | None = None

    async def listen(self, host: str, port: int) -> int:
        """Begins to accept connections; the port, also where ``port`` is 0. Raises OSError when it is taken."""
        self._server = await asyncio.start_server(self._converse, host, port, backlog=_BACKLOG)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Closes the listener and every connection."""
        if self._server:
            self._server.close()
        tasks = [*self._conversations, *([self._down] if self._down else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task:
            self._conversations.add(task)
            task.add_done_callback(self._conversations.discard)
        connection = Connection(reader, writer)
        try:
            async for request in connection.requests():
                await self._respond(connection, request)
        except TooLarge:
            with contextlib.suppress(OSError, h11.LocalProtocolError):
                await connection.answer(plain(413, {"error": "the body is too large"}))
        except (h11.RemoteProtocolError, OSError, TimeoutError):
            pass  # Whoever speaks no HTTP, or is gone, gets no answer.
        except asyncio.CancelledError:
            pass  # Only ``stop`` does that, and waits: asyncio would report it as an error of ours.
        finally:
            await connection.close()

    async def _respond(self, connection: Connection, request: Request) -> None:
        path = urlsplit(request.target).path
        if path.startswith(CONTROL):
            await connection.answer(self._control(path.removeprefix(CONTROL), request))
            return
        kind = _PLAIN.get(path) or _MOVED.get(path)
        if kind is None:
            await connection.answer(plain(404, {"error": "only /supported, /verify and /settle are here"}))
        elif request.method not in ({"GET", "HEAD"} if kind is Kind.SUPPORTED else {"POST"}):
            await connection.answer(plain(405, {"error": f"{request.method} is not for {path}"}))
        else:
            await self._call(connection, kind, path, request.body)

    async def _call(self, connection: Connection, kind: Kind, path: str, body: bytes) -> None:
        decided = self._state.decide(kind, path, body, scripted=path in _PLAIN)
        fault, log = decided.fault, self._state.log
        delivery = fault.delivery if fault else Delivery.WHOLE
        try:
            if fault and fault.delay:
                await asyncio.sleep(fault.delay)
            if delivery not in {Delivery.HANG, Delivery.DROP, Delivery.RESET}:
                log.answering(decided.index, decided.answer.status)
            await connection.answer(decided.answer, delivery, fault.hold if fault else 0)
        finally:
            log.finished(decided.index, self._state.clock())

    def _control(self, rest: str, request: Request) -> Answer:
        token, _, command = rest.partition("/")
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            return plain(404, {"error": "nothing here"})
        if request.method != "POST":
            return plain(405, {"error": "expected POST with a JSON object"})
        return self.command(command, request.body.decode("utf-8", "replace"))

    def command(self, command: str, content: str) -> Answer:
        """Carries out what a check asks for, on the loop of the facilitator; ``content`` is a JSON object."""
        given = load(content)
        if command != "down":
            return self._state.control(command, given)
        seconds = given.get("seconds")
        if not isinstance(seconds, int | float) or not 0 < seconds <= _LONGEST_DOWN or self._down or not self._server:
            return plain(400, {"error": f"down: expected seconds, at most {_LONGEST_DOWN:g}, and not down already"})
        host, port = self._server.sockets[0].getsockname()[:2]
        self._server.close()
        self._down = asyncio.get_running_loop().create_task(self._rise(host, port, seconds))
        return plain(200, None)

    async def _rise(self, host: str, port: int, seconds: float) -> None:
        await asyncio.sleep(seconds)
        while True:
            try:
                await self.listen(host, port)
            except OSError:  # Another program has the port for a moment.
                await asyncio.sleep(_REBIND)
            else:
                self._down = None
                return
