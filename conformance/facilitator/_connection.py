"""One HTTP/1.1 connection from the server's side: requests in, answers out, also answers that break off."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass

import h11

from conformance.facilitator.answer import Answer
from conformance.facilitator.script import Delivery

__all__ = ["MAX_BODY", "Connection", "Request", "TooLarge"]

MAX_BODY = 1 << 20
"""The largest request body that is read, in bytes."""

_MAX_HEAD = 1 << 16
_CHUNK = 1 << 16
_IDLE = 120.0
_DRIP = 0.05


class TooLarge(Exception):
    """A request body is larger than MAX_BODY."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request that arrived whole."""

    method: str
    target: str
    """Path and query as they stand in the request line."""
    body: bytes


class Connection:
    """Reads requests and writes answers, one after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD)
        self._bodiless = False

    async def requests(self) -> AsyncIterator[Request]:
        """The requests of this connection, as long as each is answered whole.

        Raises TooLarge, h11.RemoteProtocolError for what is no HTTP, OSError and TimeoutError.
        """
        while True:
            head = await self._event()
            if not isinstance(head, h11.Request):
                return
            self._bodiless = head.method == b"HEAD"
            if self._http.they_are_waiting_for_100_continue:
                await self._send(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
            body = bytearray()
            while isinstance(event := await self._event(), h11.Data):
                body += event.data
                if len(body) > MAX_BODY:
                    raise TooLarge
            yield Request(method=head.method.decode(), target=head.target.decode("latin-1"), body=bytes(body))
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                return
            self._http.start_next_cycle()

    async def answer(self, answer: Answer, delivery: Delivery = Delivery.WHOLE, hold: float = 0) -> None:
        """Delivers an answer; whatever is not whole is the last on its connection. Raises OSError."""
        if delivery is Delivery.RESET:
            linger = struct.pack("ii", 1, 0)
            self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self._writer.transport.abort()
        elif delivery is Delivery.HANG:
            await self._left_alone(hold)
        elif delivery is not Delivery.DROP:
            head, body = self._bytes(answer)
            if delivery is Delivery.WHOLE:
                await self._send(head + body)
                return
            if delivery is Delivery.DRIP:
                await self._drip(head + body, hold)
            else:
                await self._send(head + (body[: len(body) // 2] if delivery is Delivery.TRUNCATED else b""))
            if delivery is Delivery.STALL:
                await self._left_alone(hold)
        self._http.send_failed()

    async def close(self) -> None:
        """Closes the connection in order; says nothing when it is closed already."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def _bytes(self, answer: Answer) -> tuple[bytes, bytes]:
        fields = {**answer.fields, "Content-Length": str(len(answer.body))}
        head = self._http.send(h11.Response(status_code=answer.status, headers=list(fields.items())))
        body = self._http.send(h11.Data(data=b"" if self._bodiless else answer.body))
        return head or b"", (body or b"") + (self._http.send(h11.EndOfMessage()) or b"")

    async def _event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            received = await asyncio.wait_for(self._reader.read(_CHUNK), _IDLE)
            self._http.receive_data(received)
        return event

    async def _send(self, data: bytes | None) -> None:
        if data:
            self._writer.write(data)
            await self._writer.drain()

    async def _drip(self, data: bytes, hold: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + hold
        for place in range(len(data)):
            if loop.time() >= end:
                return
            await self._send(data[place : place + 1])
            await asyncio.sleep(_DRIP)

    async def _left_alone(self, hold: float) -> None:
        """Waits until the client gives up, or for ``hold`` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(hold):
                while await self._reader.read(_CHUNK):
                    pass
