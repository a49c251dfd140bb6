"""Servers with a vice: a correct target until a chosen request, then something that no client should trust."""

import contextlib
import gzip
import socket
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache

from sessions import sandbox

__all__ = ["BODY", "SILENT", "VICES", "Line", "Served", "Vice", "answering", "refusing", "serving", "vicious"]

_FRAMING = (b"content-length:", b"transfer-encoding:", b"connection:")


@dataclass(slots=True)
class Line:
    """One connection whose request was read, and the answer that a correct server would give."""

    sock: socket.socket
    ended: threading.Event
    """Set when the test is over: whoever waits, waits for this."""
    asked: bytes
    status: bytes = b""
    fields: tuple[bytes, ...] = ()
    """Without those that frame the body."""
    body: bytes = b""

    def send(self, *parts: bytes) -> None:
        self.sock.sendall(b"".join(parts))

    def head(self, *more: bytes) -> bytes:
        """The correct head, with ``more`` fields, up to and with the empty line."""
        return b"\r\n".join([self.status, *self.fields, *more, b"Connection: close", b"", b""])

    def correct(self, *more: bytes) -> None:
        """Sends the correct answer, with ``more`` fields."""
        self.send(self.head(*more, b"Content-Length: %d" % len(self.body)))
        if not self.asked.startswith(b"HEAD "):
            self.send(self.body)

    def drip(self, byte: bytes) -> None:
        """Sends a little, again and again, for as long as somebody listens."""
        while not self.ended.wait(0.01):
            self.send(byte)


Vice = Callable[[Line], None]


@dataclass(slots=True)
class Served:
    """A server: where it is, and each request that it read."""

    base_url: str
    asked: list[bytes] = field(default_factory=list)


def hangs(line: Line) -> None:
    """Says nothing."""
    line.ended.wait()


def hangs_in_the_body(line: Line) -> None:
    """Says half, and then nothing."""
    line.send(line.head(b"Content-Length: %d" % (len(line.body) + 1)), line.body)
    line.ended.wait()


def drips_a_header(line: Line) -> None:
    """Sends a field that does not end, byte after byte."""
    line.send(line.head().partition(b"\r\n\r\n")[0], b"\r\nX-Drip: ")
    line.drip(b"a")


def drips_a_body(line: Line) -> None:
    """Sends a long body, byte after byte."""
    line.send(line.head(b"Content-Length: 1000000"))
    line.drip(b" ")


def drips_interim_answers(line: Line) -> None:
    """Sends one interim answer after another."""
    line.drip(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")


def closes_before_answering(_: Line) -> None:
    """Reads the request and hangs up."""


def resets(line: Line) -> None:
    """Breaks the connection."""
    line.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def closes_in_the_head(line: Line) -> None:
    """Hangs up before the empty line."""
    line.send(line.head().removesuffix(b"\r\n"))


def closes_in_the_body(line: Line) -> None:
    """Hangs up one byte too early."""
    line.send(line.head(b"Content-Length: %d" % (len(line.body) + 1)), line.body)


def closes_in_a_chunk(line: Line) -> None:
    """Sends every byte of the body, but not the last chunk."""
    line.send(line.head(b"Transfer-Encoding: chunked"), b"%x\r\n%b\r\n" % (len(line.body), line.body))


def sends_a_bad_chunk(line: Line) -> None:
    """Sends a chunk whose size is no number."""
    line.send(line.head(b"Transfer-Encoding: chunked"), b"many\r\n", line.body, b"\r\n0\r\n\r\n")


def sends_two_lengths(line: Line) -> None:
    """Says two things of one body."""
    line.send(line.head(b"Content-Length: 5", b"Content-Length: %d" % len(line.body)), line.body)


def sends_bad_gzip(line: Line) -> None:
    """Says gzip of what is none."""
    line.send(line.head(b"Content-Encoding: gzip", b"Content-Length: %d" % len(line.body)), line.body)


def sends_half_gzip(line: Line) -> None:
    """Leaves out the end of the gzip."""
    packed = gzip.compress(line.body)[:-9]
    line.send(line.head(b"Content-Encoding: gzip", b"Content-Length: %d" % len(packed)), packed)


def sends_bad_deflate(line: Line) -> None:
    """Says deflate of what is none."""
    line.send(line.head(b"Content-Encoding: deflate", b"Content-Length: %d" % len(line.body)), line.body)


def sends_a_bomb(line: Line) -> None:
    """Sends 256 MiB in a quarter of a megabyte."""
    packed = _bomb()
    line.send(line.head(b"Content-Encoding: gzip", b"Content-Length: %d" % len(packed)), packed)


def sends_an_unknown_coding(line: Line) -> None:
    """Sends in a coding that nobody asked for."""
    line.send(line.head(b"Content-Encoding: x-rot13", b"Content-Length: %d" % len(line.body)), line.body)


def sends_two_codings(line: Line) -> None:
    """Packs twice."""
    packed = gzip.compress(gzip.compress(line.body))
    line.send(line.head(b"Content-Encoding: gzip, gzip", b"Content-Length: %d" % len(packed)), packed)


def sends_an_endless_body(line: Line) -> None:
    """Never ends the body."""
    line.send(line.head(), line.body)
    while not line.ended.is_set():
        line.send(b" " * 65536)


def sends_endless_chunks(line: Line) -> None:
    """Never sends the last chunk."""
    line.send(line.head(b"Transfer-Encoding: chunked"), b"%x\r\n%b\r\n" % (len(line.body), line.body))
    while not line.ended.is_set():
        line.send(b"10000\r\n", b" " * 65536, b"\r\n")


def sends_endless_headers(line: Line) -> None:
    """Never ends the head."""
    line.send(line.head().removesuffix(b"\r\n"))
    while not line.ended.is_set():
        line.send(b"X-More: ", b"a" * 1000, b"\r\n")


def sends_no_http(line: Line) -> None:
    """Speaks another protocol."""
    line.send(b"220 mail.example ESMTP ready\r\n")


def sends_only_a_body(line: Line) -> None:
    """Answers as HTTP was before it had heads."""
    line.send(line.body)


def sends_a_broken_field(line: Line) -> None:
    """Sends a field without a colon."""
    line.send(line.head(b"this is no field", b"Content-Length: %d" % len(line.body)), line.body)


def sends_a_nul(line: Line) -> None:
    """Sends a NUL inside a field."""
    line.send(line.head(b"X-Nul: a\0b", b"Content-Length: %d" % len(line.body)), line.body)


def sends_429(line: Line) -> None:
    """Asks for patience for ever."""
    line.send(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


SILENT: tuple[Vice, ...] = (hangs, hangs_in_the_body, drips_a_header, drips_a_body, drips_interim_answers)
"""Each request costs the whole timeout."""

BODY: tuple[Vice, ...] = (
    closes_in_the_body,
    closes_in_a_chunk,
    sends_a_bad_chunk,
    sends_bad_gzip,
    sends_half_gzip,
    sends_bad_deflate,
    sends_a_bomb,
    sends_an_unknown_coding,
    sends_two_codings,
    sends_an_endless_body,
    sends_endless_chunks,
)
"""The head is correct; an answer without a body, as to HEAD, is a correct one."""

VICES: tuple[Vice, ...] = (
    *SILENT,
    *BODY,
    closes_before_answering,
    resets,
    closes_in_the_head,
    sends_two_lengths,
    sends_endless_headers,
    sends_no_http,
    sends_only_a_body,
    sends_a_broken_field,
    sends_a_nul,
    sends_429,
)


@contextmanager
def vicious(vice: Vice, *, when: Callable[[int], bool] = lambda _: True) -> Iterator[Served]:
    """A correct target but for the requests (counted from 0) of which ``when`` is true."""
    count = 0
    lock = threading.Lock()
    where = ""

    def behave(line: Line) -> None:
        nonlocal count
        with lock:
            number, count = count, count + 1
        _ask(where, line)
        if when(number):
            vice(line)
        else:
            line.correct()

    with serving(behave) as served, sandbox(served.base_url) as upstream:
        where = upstream
        yield served


@contextmanager
def answering(answer: bytes) -> Iterator[Served]:
    """A server that says the same whatever it is asked, and that it will hang up then, as it does."""
    head, gap, body = answer.partition(b"\r\n\r\n")
    whole = head + b"\r\nConnection: close" + gap + body if gap and b"\r\nConnection:" not in head else answer
    with serving(lambda line: line.send(whole)) as served:
        yield served


@contextmanager
def refusing() -> Iterator[Served]:
    """A port at which nobody listens; it stays taken, so that nobody else does either."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield Served(f"http://127.0.0.1:{taken.getsockname()[1]}")


@contextmanager
def serving(behave: Vice) -> Iterator[Served]:
    """A server that reads a request on each connection, does ``behave``, and hangs up."""
    ended = threading.Event()
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        served = Served(f"http://127.0.0.1:{listening.getsockname()[1]}")

        def converse(sock: socket.socket) -> None:
            with sock, contextlib.suppress(OSError):
                sock.settimeout(10)
                if asked := _request(sock):
                    served.asked.append(asked)
                    behave(Line(sock, ended, asked))

        def accept() -> None:
            while not ended.is_set():
                with contextlib.suppress(OSError):
                    sock, _ = listening.accept()
                    thread = threading.Thread(target=converse, args=(sock,), daemon=True)
                    thread.start()
                    threads.append(thread)

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield served
        finally:
            ended.set()
            with contextlib.suppress(OSError):
                # Closing alone does not wake who waits in accept.
                listening.shutdown(socket.SHUT_RDWR)
            for thread in (accepting, *threads):
                thread.join(10)


def _request(sock: socket.socket) -> bytes:
    """One request; nothing when the other side hangs up before it is whole."""
    got = b""
    while b"\r\n\r\n" not in got:
        if not (more := sock.recv(65536)):
            return b""
        got += more
    head, _, body = got.partition(b"\r\n\r\n")
    lengths = [int(line.partition(b":")[2]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-len")]
    while len(body) < sum(lengths[:1]):
        if not (more := sock.recv(65536)):
            return b""
        body += more
    return head + b"\r\n\r\n" + body


def _ask(upstream: str, line: Line) -> None:
    """Fills in what the correct server answers."""
    head, _, body = line.asked.partition(b"\r\n\r\n")
    lines = [part for part in head.split(b"\r\n") if not part.lower().startswith(b"connection:")]
    host, _, port = upstream.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), 10) as sock:
        sock.sendall(b"\r\n".join([*lines, b"Connection: close", b"", body]))
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    head, _, line.body = answer.partition(b"\r\n\r\n")
    line.status, *fields = head.split(b"\r\n")
    line.fields = tuple(part for part in fields if not part.lower().startswith(_FRAMING))


@cache
def _bomb() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return b"".join([*(packer.compress(b" " * 2**20) for _ in range(256)), packer.flush()])
