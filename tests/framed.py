"""A turnstile behind TLS that speaks HTTP/1.1 and HTTP/2: what its front makes of frames is told apart from the rest."""

import asyncio
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

import trustme
from h2.errors import ErrorCodes
from h2.exceptions import H2Error
from h2.frame_buffer import FrameBuffer
from hpack import Decoder, Encoder, HPACKError
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from turnstile import Asked, Said, Turnstile, Ways

__all__ = [
    "Framed",
    "Front",
    "Here",
    "Reset",
    "Talk",
    "as_fields",
    "framed_turnstile",
    "malformed",
    "settings",
    "strict",
]

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""All that is said on a connection of HTTP/2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Framed:
    """A request as it came in frames, latin-1."""

    fields: tuple[tuple[str, str], ...]
    body: bytes
    trailers: tuple[tuple[str, str], ...] = ()

    def first(self, name: str) -> str:
        """The first value of a field; empty where it has none."""
        return next((value for key, value in self.fields if key == name), "")

    def all(self, name: str) -> list[str]:
        """Its values."""
        return [value for key, value in self.fields if key == name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """In the place of an answer: the stream is reset, or with ``close`` the connection closed by a GOAWAY."""

    code: ErrorCodes
    close: bool = False


def as_fields(framed: Framed) -> Asked:
    """What becomes of frames in HTTP/1.1, nothing asked: the first of each pseudo-header field counts."""
    own = [(name, value) for name, value in framed.fields if not name.startswith(":")]
    host = framed.first(":authority")
    return Asked(
        method=framed.first(":method"),
        target=framed.first(":path"),
        version="HTTP/2",
        fields=(*((("host", host),) if host else ()), *own, *framed.trailers),
        body=framed.body,
    )


_FORBIDDEN = {"connection", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection"}
_PSEUDO = [":authority", ":method", ":path", ":scheme"]


def malformed(framed: Framed) -> bool:
    """Whether RFC 9113 calls a request malformed (section 8.1.1 and what it names)."""
    names = [name for name, _ in framed.fields]
    pseudo = [name for name in names if name.startswith(":")]
    length = framed.first("content-length")
    return (
        sorted({*pseudo, ":authority"}) != _PSEUDO
        or len(set(pseudo)) != len(pseudo)
        or names[: len(pseudo)] != pseudo
        or any(name != name.lower() or name in _FORBIDDEN or set(name) & set(" \r\n") for name in names)
        or any(set(value) & set("\r\n\0") or value != value.strip() for _, value in framed.fields)
        or framed.first("te") not in {"", "trailers"}
        or any(name.startswith(":") for name, _ in framed.trailers)
        or len(set(framed.all("content-length"))) > 1
        or bool(length and length != str(len(framed.body)))
        or not framed.first(":path").startswith("/")
        or len({*framed.all(":authority"), *framed.all("host")}) != 1
    )


def strict(framed: Framed) -> Reset | None:
    """Resets the stream of what is malformed."""
    return Reset(code=ErrorCodes.PROTOCOL_ERROR) if malformed(framed) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """How it takes frames; as it stands, right."""

    ways: Ways = field(default_factory=Ways)
    """Who guards and serves what came in frames."""
    first: Callable[[Framed], Said | Reset | None] = strict
    """What is said before anybody looks, if anything."""
    reads: Callable[[Framed], Asked] = as_fields
    """What becomes of frames."""
    talk: Talk | None = None
    """What is said in the place of all that."""
    protocols: tuple[str, ...] = ("h2", "http/1.1")
    """What TLS may choose."""
    hints: int = 0
    """How many answers (1xx) come before each."""
    late: float = 0.0
    """Seconds before its SETTINGS."""
    leaves: bool = False
    """Whether it says that it closes before each answer, and then answers."""
    single: bool = False
    """Whether it takes one request of each connection, and says so before it answers that one."""
    opens: Callable[[int, bool], bool] = lambda *_: False
    """Whether a request need not pay that is the so-manieth of its connection, behind one that was paid or not."""
    keeps: bool = False
    """Whether a request that is hidden behind another is answered to who comes next."""


@dataclass(slots=True, kw_only=True)
class Here:
    """One that runs."""

    turnstile: Turnstile = field(default_factory=Turnstile)
    front: Front = field(default_factory=Front)
    base_url: str = ""
    context: ssl.SSLContext
    framed: list[Framed] = field(default_factory=list)
    """The requests that came in frames."""
    connections: list[str | None] = field(default_factory=list)
    """What TLS chose for each."""
    waiting: list[Said] = field(default_factory=list)

    def begin(self, front: Front, ways: Ways | None = None) -> None:
        """Makes it another server; ``ways`` are those of HTTP/1.1."""
        self.front = front
        self.turnstile.begin(ways or Ways())
        self.framed.clear()
        self.connections.clear()
        self.waiting.clear()
        self.context.set_alpn_protocols(list(front.protocols))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        chosen = writer.get_extra_info("ssl_object").selected_alpn_protocol()
        self.connections.append(chosen)
        if chosen != "h2":
            await self.turnstile.serve(reader, writer)
            return
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, H2Error, HPACKError, ssl.SSLError):
                await (self.front.talk or self._talk)(reader, writer)
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        front, encoder, ear = self.front, Encoder(), Ear(reader=reader, writer=writer)
        if front.late:
            await asyncio.sleep(front.late)
        writer.write(settings())
        paid, nth = False, 0
        while True:
            stream, framed = await ear.request()
            self.framed.append(framed)
            known = front.opens(nth, paid)
            paid, nth = paid or framed.first("x-account") == "subscriber", nth + 1
            answer = front.first(framed)
            if isinstance(answer, Reset):
                last = GoAwayFrame(0, last_stream_id=stream, error_code=answer.code)
                writer.write((last if answer.close else RstStreamFrame(stream, error_code=answer.code)).serialize())
                await writer.drain()
                if answer.close:
                    return
                continue
            for _ in range(front.hints):
                writer.write(_headers(stream, encoder, [(":status", "103"), ("link", "</x.css>")]))
            if front.leaves:
                writer.write(GoAwayFrame(0, last_stream_id=stream + 4, error_code=0).serialize())
            if front.single:
                writer.write(GoAwayFrame(0, last_stream_id=stream, error_code=0).serialize())
            answer = answer or self._answered(front, framed, known=known)
            fields = [(":status", str(answer.status)), *((n.lower(), v) for n, v in answer.fields.items())]
            content = DataFrame(stream, data=answer.body, flags=["END_STREAM"]).serialize()
            writer.write(_headers(stream, encoder, fields) + content)
            await writer.drain()
            if front.single:
                return

    def _answered(self, front: Front, framed: Framed, *, known: bool) -> Said:
        before, self.turnstile.ways = self.turnstile.ways, front.ways
        try:
            asked = front.reads(framed)
            if front.keeps and self.waiting:
                return self.waiting.pop()
            hidden = asked.body.partition(b"0\r\n\r\n")[2] if asked.has("transfer-encoding") else asked.body
            if front.keeps and hidden.startswith(b"GET ") and asked.has("content-length") in {"", "0"}:
                line = hidden.decode("latin-1").split(" ")
                self.waiting.append(self.turnstile._answer(replace(asked, method="GET", target=line[1]), known=True))
            return self.turnstile._answer(asked, known=known)
        finally:
            self.turnstile.ways = before


def settings(**told: int) -> bytes:
    """The frame with which a server begins."""
    return SettingsFrame(0, settings={int(key.strip("_")): value for key, value in told.items()}).serialize()


def _headers(stream: int, encoder: Encoder, fields: list[tuple[str, str]]) -> bytes:
    return HeadersFrame(stream, data=encoder.encode(fields), flags=["END_HEADERS"]).serialize()


@dataclass(slots=True, kw_only=True)
class Ear:
    """The requests of a connection, one after the other."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    frames: FrameBuffer = field(default_factory=lambda: FrameBuffer(server=True))
    decoder: Decoder = field(default_factory=Decoder)
    heard: list[Frame] = field(default_factory=list)

    async def request(self) -> tuple[int, Framed]:
        """The next, and its stream."""
        sections: list[tuple[tuple[str, str], ...]] = []
        body = b""
        while True:
            frame = await self._frame()
            if (answer := _acknowledged(frame)) is not None:
                self.writer.write(answer)
            if isinstance(frame, HeadersFrame):
                block = self.decoder.decode(frame.data, raw=True)
                sections.append(tuple((_text(name), _text(value)) for name, value in block))
            if isinstance(frame, DataFrame):
                body += frame.data
            if isinstance(frame, HeadersFrame | DataFrame) and "END_STREAM" in frame.flags:
                trailers = sections[1] if len(sections) > 1 else ()
                return frame.stream_id, Framed(fields=sections[0], body=body, trailers=trailers)

    async def _frame(self) -> Frame:
        self.frames.max_frame_size = 16384
        while not self.heard:
            if not (data := await self.reader.read(65536)):
                raise asyncio.IncompleteReadError(b"", None)
            self.frames.add_data(data)
            self.heard += self.frames
        return self.heard.pop(0)


def _acknowledged(frame: Frame) -> bytes | None:
    if isinstance(frame, SettingsFrame) and "ACK" not in frame.flags:
        return SettingsFrame(0, flags=["ACK"]).serialize()
    if isinstance(frame, PingFrame):
        return PingFrame(0, opaque_data=frame.opaque_data, flags=["ACK"]).serialize()
    if isinstance(frame, DataFrame) and frame.data:
        more = len(frame.data)
        return b"".join(WindowUpdateFrame(stream, window_increment=more).serialize() for stream in (0, frame.stream_id))
    return None


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


@contextmanager
def framed_turnstile(authority: trustme.CA) -> Iterator[Here]:
    """One on a free port of 127.0.0.1 in a thread, with a certificate of ``authority``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    here, ready = Here(context=context), threading.Event()
    loop, stopping = asyncio.new_event_loop(), []

    async def run() -> None:
        server = await asyncio.start_server(here.serve, "127.0.0.1", 0, ssl=context)
        here.base_url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        await server.serve_forever()

    def live() -> None:
        task = loop.create_task(run())
        stopping.append(task.cancel)
        # What clients do not close in order is of no interest here.
        loop.set_exception_handler(lambda *_: None)
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            pass
        finally:
            for left in (kept := asyncio.all_tasks(loop)):
                left.cancel()
            if kept:
                loop.run_until_complete(asyncio.gather(*kept, return_exceptions=True))
            loop.close()

    thread = threading.Thread(target=live, daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield here
    finally:
        loop.call_soon_threadsafe(stopping[0])
        thread.join(10)
