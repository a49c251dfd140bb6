"""One request in HTTP/2 frames, written as it is, and what comes back: bytes in, bytes out, one answer or one failure.

Of h2 this takes the parts that read and write frames (hyperframe, hpack), and not its state machine: that one sends
nothing which is wrong, and takes no answer behind a GOAWAY, where many servers send theirs.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.frame_buffer import FrameBuffer
from h2.settings import SettingCodes
from hpack import Decoder, Encoder, HPACKError, OversizedHeaderListError
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from conformance._raw_answer import Cut, Kind, RawAnswer, RawFailure

__all__ = ["Fields", "Talk"]

Fields = tuple[tuple[str, str], ...]
"""Names and values, latin-1, those of pseudo-header fields included."""

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME = 16384
"""Bytes of one frame, as nobody says anything else."""
_WINDOW = 65535
_MOST = 4096
"""Frames that are read for one answer, beside those with content."""
_LARGEST = 2**31 - 1


@dataclass(slots=True, kw_only=True)
class Talk:
    """A connection with one stream; knows no socket."""

    max_body: int
    max_header: int
    waiting: bytearray = field(default_factory=bytearray)
    """Bytes that are to go out."""
    content: memoryview = field(default_factory=lambda: memoryview(b""))
    """What is left of the request's content: it goes out as far as the server has opened its windows."""
    trailers: Fields = ()
    turns: list[Fields]
    """The fields of the requests that are still to come, each in its stream once the one before is answered."""
    stream: int = -1
    """That of the request which is under way."""
    ended: bool = False
    """Whether the request is whole."""
    windows: dict[int, int] = field(default_factory=lambda: {0: _WINDOW})
    initial: int = _WINDOW
    largest: int = _FRAME
    encoder: Encoder = field(default_factory=Encoder)
    decoder: Decoder = field(init=False)
    frames: FrameBuffer = field(default_factory=FrameBuffer)
    read: int = 0
    status: int = 0
    fields: list[tuple[str, str]] = field(default_factory=list)
    aside: bytearray = field(default_factory=bytearray)
    """The fields of interim answers, a line each."""
    body: bytearray = field(default_factory=bytearray)
    cut: Cut = ""
    failure: RawFailure | None = None
    leaving: str = ""
    """For what error the server has said that it closes."""
    first_byte: float | None = None
    finished: float | None = None

    def __post_init__(self) -> None:
        self.decoder = Decoder(max_header_list_size=self.max_header)
        self.frames.max_frame_size = _FRAME

    @classmethod
    def of(
        cls,
        fields: Fields,
        body: bytes,
        trailers: Fields,
        *,
        before: tuple[Fields, ...],
        max_body: int,
        max_header: int,
    ) -> Self:
        """One that asks by ``fields`` as they are; raises UnicodeEncodeError for what no field can hold."""
        made = cls(
            max_body=max_body,
            max_header=max_header,
            content=memoryview(body),
            trailers=trailers,
            turns=[*before, fields],
        )
        # The windows are so wide that they never have to be opened: what is beyond is not read.
        window = min(max_body + _FRAME, _LARGEST)
        settings: Mapping[int, int] = {
            SettingCodes.ENABLE_PUSH: 0,
            SettingCodes.INITIAL_WINDOW_SIZE: window,
            SettingCodes.MAX_HEADER_LIST_SIZE: max_header,
        }
        made.waiting += _PREFACE + SettingsFrame(0, settings=dict(settings)).serialize()
        if window > _WINDOW:
            made.waiting += WindowUpdateFrame(0, window_increment=window - _WINDOW).serialize()
        made._next()
        return made

    def _next(self) -> None:
        """The next request; only the last has content."""
        fields = self.turns.pop(0)
        self.stream += 2
        self.windows = {0: self.windows[0], self.stream: self.initial}
        self.status, self.fields = 0, []
        self.body.clear()
        self.ended = bool(self.turns) or not (self.content or self.trailers)
        self._say(fields)
        self._go_on()

    def _say(self, fields: Fields) -> None:
        """A field section, in as many frames as it takes; it ends the request where nothing follows."""
        block = self.encoder.encode([(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields])
        parts = [block[start : start + _FRAME] for start in range(0, len(block), _FRAME)] or [b""]
        for number, part in enumerate(parts):
            frame = ContinuationFrame(self.stream, data=part) if number else HeadersFrame(self.stream, data=part)
            if number == 0 and self.ended:
                frame.flags.add("END_STREAM")
            if number == len(parts) - 1:
                frame.flags.add("END_HEADERS")
            self.waiting += frame.serialize()

    def _go_on(self) -> None:
        """As much of the content as may go, and what ends the request behind it."""
        while (
            not self.turns
            and self.content
            and (room := min(*self.windows.values(), self.largest, len(self.content))) > 0
        ):
            frame = DataFrame(self.stream, data=bytes(self.content[:room]))
            self.content = self.content[room:]
            for stream in self.windows:
                self.windows[stream] -= room
            if not self.content and not self.trailers:
                frame.flags.add("END_STREAM")
                self.ended = True
            self.waiting += frame.serialize()
        if not self.turns and not self.content and not self.ended:
            self.ended = True
            self._say(self.trailers)

    @property
    def over(self) -> bool:
        """Whether nothing more is to be read."""
        return self.finished is not None

    def feed(self, data: bytes) -> None:
        """Take what arrived; empty bytes mean that the server closed."""
        if not data:
            why = f", and said why: {self.leaving}" if self.leaving else ""
            self.fail("closed", f"The server closed the connection before it answered{why}.")
            return
        self.first_byte = self.first_byte or time.monotonic()
        try:
            self.frames.add_data(data)
            for frame in self.frames:
                self._take(frame)
                if self.over:
                    return
        except OversizedHeaderListError:
            self.fail("header-limit", f"The header of the answer is longer than {self.max_header} bytes.")
        except (ProtocolError, HPACKError, ValueError) as error:
            self.fail("protocol", f"The answer is not HTTP/2: {str(error)[:200]}.")

    def _take(self, frame: Frame) -> None:
        self.read += 0 if isinstance(frame, DataFrame) and frame.data else 1
        if self.read > _MOST:
            self.fail("protocol", f"The server sent more than {_MOST} frames, and no whole answer.")
            return
        match frame:
            case SettingsFrame() if "ACK" not in frame.flags:
                self._settle(frame.settings)
            case PingFrame() if "ACK" not in frame.flags:
                self.waiting += PingFrame(0, opaque_data=frame.opaque_data, flags=["ACK"]).serialize()
            case WindowUpdateFrame() if frame.stream_id in self.windows:
                self.windows[frame.stream_id] += frame.window_increment
                self._go_on()
            case GoAwayFrame():
                self._leave(frame)
            case RstStreamFrame() if frame.stream_id == self.stream:
                if self.turns:
                    self._next()
                else:
                    self.fail("closed", f"The server reset the stream: {_named(frame.error_code)}.")
            case PushPromiseFrame():
                self.fail("protocol", "The server pushes (PUSH_PROMISE), which it was told not to do.")
            case HeadersFrame():
                # One of another stream too changes the state of the compression.
                fields = self.decoder.decode(frame.data, raw=True)
                if frame.stream_id == self.stream:
                    self._head((_text(name), _text(value)) for name, value in fields)
                    self._end(frame)
            case DataFrame() if frame.stream_id == self.stream:
                self._content(frame)

    def _settle(self, settings: Mapping[int, int]) -> None:
        if SettingCodes.INITIAL_WINDOW_SIZE in settings:
            now = settings[SettingCodes.INITIAL_WINDOW_SIZE]
            self.windows[self.stream] += now - self.initial
            self.initial = now
        if SettingCodes.HEADER_TABLE_SIZE in settings:
            self.encoder.header_table_size = min(settings[SettingCodes.HEADER_TABLE_SIZE], 4096)
        self.waiting += SettingsFrame(0, flags=["ACK"]).serialize()
        self._go_on()

    def _leave(self, frame: GoAwayFrame) -> None:
        """A server that closes answers first what it has taken, unless something is wrong with it."""
        if frame.last_stream_id < self.stream + 2 * len(self.turns):
            self.fail("closed", f"The server closed before it took the request: {_named(frame.error_code)}.")
        if frame.error_code != ErrorCodes.NO_ERROR:
            self.leaving = _named(frame.error_code)

    def _head(self, fields: Iterable[tuple[str, str]]) -> None:
        """Fields of the answer, or of one on the way there, or behind its content."""
        found = list(fields)
        if self.status >= 200:
            self.fields += found
            return
        told = next((value for name, value in found if name == ":status"), "")
        if not (len(told) == 3 and told.isascii() and told.isdecimal()):
            raise ValueError(f"an answer with the :status {told[:20]!r}")
        self.status = int(told)
        if self.status < 200:
            self.aside += b"".join(f"{name}: {value}\n".encode("latin-1", "replace") for name, value in found)
            del self.aside[self.max_header :]
        self.fields = [(name, value) for name, value in found if name != ":status"]

    def _content(self, frame: DataFrame) -> None:
        self.body += frame.data
        if len(self.body) > self.max_body:
            del self.body[self.max_body :]
            self.fail("body-limit", f"The content is longer than {self.max_body} bytes.")
            return
        self._end(frame)

    def _end(self, frame: Frame) -> None:
        if "END_STREAM" in frame.flags and self.turns:
            self._next()
        elif "END_STREAM" in frame.flags:
            self.finished = time.monotonic()

    def fail(self, kind: Kind, detail: str) -> None:
        """End here: a failure before there is an answer, a cut after that, nothing once it was whole."""
        if self.over:
            return
        self.finished = time.monotonic()
        if self.turns or self.status < 200:
            # An answer to a request before it is none to it.
            self.failure = RawFailure(kind=kind, detail=detail)
        elif kind in {"timeout", "closed", "tls", "protocol", "body-limit"}:
            self.cut = kind
        else:
            self.failure = RawFailure(kind=kind, detail=detail)

    def result(self, started: float) -> RawAnswer | RawFailure:
        """What became of the request whose sending began at ``started``."""
        if self.failure or self.turns or self.status < 200 or self.first_byte is None or self.finished is None:
            return self.failure or RawFailure(kind="closed", detail="The stream ended before the answer.")
        return RawAnswer(
            status=self.status,
            reason="",
            version="HTTP/2",
            headers=tuple(self.fields),
            body=bytes(self.body),
            after=b"",
            aside=bytes(self.aside),
            cut=self.cut,
            started=started,
            first_byte=self.first_byte,
            finished=self.finished,
        )


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _named(code: int) -> str:
    return ErrorCodes(code).name if code in set(ErrorCodes) else f"error {code}"
