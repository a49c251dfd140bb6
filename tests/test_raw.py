"""Bytes on a socket: what leaves is what was given, what comes back is bounded, and a volley lands at once."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
import trustme
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from conformance.raw import Address, RawAnswer, RawFailure, Volley, ask, hang_up, volley

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HI = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
LIMIT = 1000

Talk = Callable[[socket.socket], None]


@contextlib.contextmanager
def peer(talk: Talk, context: ssl.SSLContext | None = None) -> Iterator[Address]:
    """Serve `talk` in a thread for each connection until the block ends; every socket is closed then."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
        host, port = listener.getsockname()
        threads: list[threading.Thread] = []

        def one(conn: socket.socket) -> None:
            with contextlib.suppress(OSError), conn:
                conn.settimeout(10)
                if context is None:
                    talk(conn)
                else:
                    with context.wrap_socket(conn, server_side=True) as secure:
                        talk(secure)

        def accept() -> None:
            while True:
                try:
                    conn, _ = listener.accept()
                except OSError:
                    return
                threads.append(threading.Thread(target=one, args=(conn,)))
                threads[-1].start()

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield Address(host=host, port=port, tls=context is not None)
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            acceptor.join(10)
            for thread in threads:
                thread.join(10)


def heard(conn: socket.socket, end: bytes = b"\r\n\r\n") -> bytes:
    """Everything the client sent up to `end`."""
    data = b""
    while end not in data:
        part = conn.recv(65536)
        if not part:
            break
        data += part
    return data


def saying(answer: bytes) -> Talk:
    """Answer every request with these bytes, then close."""

    def talk(conn: socket.socket) -> None:
        heard(conn)
        conn.sendall(answer)

    return talk


def waiting(answer: bytes) -> Talk:
    """Answer with these bytes, then keep the connection open until the client leaves."""

    def talk(conn: socket.socket) -> None:
        heard(conn)
        conn.sendall(answer)
        conn.recv(1)

    return talk


def silent(conn: socket.socket) -> None:
    """Take what comes and say nothing until the client leaves."""
    while conn.recv(65536):
        pass


def asked(talk: Talk, request: bytes = GET, *, method: str = "GET", timeout: float = 5.0) -> RawAnswer | RawFailure:
    """What `ask` says of a server that talks like this."""
    with peer(talk) as server:
        return ask(server, request, method=method, timeout=timeout, max_body=LIMIT)


def answer(result: RawAnswer | RawFailure) -> RawAnswer:
    """The result, which must be an answer."""
    assert isinstance(result, RawAnswer), result
    return result


def failure(result: RawAnswer | RawFailure) -> RawFailure:
    """The result, which must be a failure."""
    assert isinstance(result, RawFailure), result
    return result


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """An authority that nobody else trusts."""
    return trustme.CA()


@pytest.fixture(scope="module")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    """TLS for a server on loopback."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="module")
def client_context(authority: trustme.CA) -> ssl.SSLContext:
    """TLS for a client that trusts the authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="module")
def app() -> Iterator[Address]:
    """A starlette application behind uvicorn, with its real parser."""

    async def echo(request: Request) -> Response:
        return PlainTextResponse(f"{request.method} {len(await request.body())}")

    listener = socket.create_server(("127.0.0.1", 0))
    application = Starlette(routes=[Route("/", echo, methods=["GET", "POST"])])
    server = uvicorn.Server(uvicorn.Config(application, http="h11", lifespan="off", log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    host, port = listener.getsockname()
    yield Address(host=host, port=port, tls=False)
    server.should_exit = True
    thread.join(10)
    listener.close()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://shop.example", Address(host="shop.example", port=80, tls=False)),
        ("https://shop.example/v1", Address(host="shop.example", port=443, tls=True)),
        ("HTTPS://Shop.example:8443", Address(host="shop.example", port=8443, tls=True)),
        ("http://[::1]:9", Address(host="::1", port=9, tls=False)),
    ],
)
def test_an_address_comes_from_a_base_url(url: str, expected: Address) -> None:
    """Scheme, host and port of a base URL say where to connect, with the default ports of the schemes."""
    assert Address.of(url) == expected


@pytest.mark.parametrize("url", ["ftp://shop.example", "shop.example:80", "/v1", "http://", "http://x:99999"])
def test_what_names_no_server_is_refused(url: str) -> None:
    """A URL without an http scheme, a host or a possible port is a ValueError."""
    with pytest.raises(ValueError, match=r"names no server|[Pp]ort"):
        Address.of(url)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"get / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PAY\x01! / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://other.example/a%2f?q=\xff#f HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET  /\t HTTP/9.9\nX-A : 1\nX-A:2\r\n folded\x00\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nx: \x7f\r\n\r\n",
    ],
    ids=["lower-case", "odd-method", "absolute-form", "control-bytes", "two-framings"],
)
def test_bytes_arrive_unchanged(request_bytes: bytes) -> None:
    """Nothing is checked, added, folded or encoded on the way out."""
    received: list[bytes] = []

    def talk(conn: socket.socket) -> None:
        received.append(heard(conn))
        conn.sendall(HI)

    assert answer(asked(talk, request_bytes)).body == b"hi"
    assert received == [request_bytes]


def test_the_head_of_an_answer_keeps_its_spelling() -> None:
    """Names keep case, order and repetition; values keep bytes above ASCII."""
    head = b"HTTP/1.0 402 Payment  Required\r\nB-x: 1\r\na-X: \xe9\r\nB-X: 2\r\nContent-Length: 0\r\n\r\n"
    got = answer(asked(saying(head)))
    assert (got.version, got.status, got.reason) == ("HTTP/1.0", 402, "Payment  Required")
    assert got.headers == (("B-x", "1"), ("a-X", "\xe9"), ("B-X", "2"), ("Content-Length", "0"))


def test_times_follow_each_other() -> None:
    """Sending begins before the first byte comes, and that before the end, all on the monotonic clock."""
    before = time.monotonic()
    got = answer(asked(saying(HI)))
    assert before <= got.started <= got.first_byte <= got.finished <= time.monotonic()


def test_a_chunked_body_is_unpacked() -> None:
    """The body is the content without chunk sizes, extensions and trailers."""
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nhi\r\n1\r\n!\r\n0\r\nX-T: 1\r\n\r\n"
    got = answer(asked(waiting(chunked)))
    assert (got.body, got.after, got.truncated) == (b"hi!", b"", False)


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    """A close is the end of a message that names no other, and nothing is missing then."""
    got = answer(asked(saying(b"HTTP/1.1 200 OK\r\n\r\nall of it")))
    assert (got.body, got.truncated) == (b"all of it", False)


def test_interim_answers_are_skipped() -> None:
    """The answer is the first final one, whatever 1xx came before."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    got = answer(asked(saying(interim + HI)))
    assert (got.status, got.body, got.headers) == (200, b"hi", (("Content-Length", "2"),))


def test_content_after_head_is_seen() -> None:
    """Content in answer to HEAD is no body: it is what came after."""
    got = answer(asked(waiting(HI), b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", method="HEAD"))
    assert (got.body, got.after, got.truncated) == (b"", b"hi", False)


def test_content_that_comes_late_after_head_is_seen() -> None:
    """Content of HEAD that a slow server sends apart from the header is still caught while we linger."""

    def talk(conn: socket.socket) -> None:
        heard(conn)
        head, content = HI[:-2], HI[-2:]
        conn.sendall(head)
        time.sleep(0.05)
        conn.sendall(content)
        conn.recv(1)

    with peer(talk) as server:
        got = answer(ask(server, GET, method="HEAD", timeout=5, max_body=LIMIT, linger=0.5))
    assert got.after == b"hi"


def test_a_good_head_does_not_wait_for_the_timeout() -> None:
    """A right answer to HEAD costs one linger, not the whole timeout."""
    begun = time.monotonic()
    got = answer(asked(waiting(HI[:-2]), method="HEAD", timeout=60.0))
    assert (got.body, got.after, got.truncated) == (b"", b"", False)
    assert time.monotonic() - begun < 30


def test_a_second_answer_is_what_came_after() -> None:
    """Bytes beyond the framed message are kept apart from the body."""
    got = answer(asked(saying(HI + HI)))
    assert (got.body, got.after) == (b"hi", HI)


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"], ids=["header", "body"])
def test_a_drip_is_cut_by_the_deadline(start: bytes) -> None:
    """A server that sends byte after byte cannot hold us longer than the timeout, in the header or in the body."""
    gone = threading.Event()

    def talk(conn: socket.socket) -> None:
        heard(conn)
        conn.sendall(start)
        try:
            while not gone.wait(0.01):
                conn.sendall(b"H")
        finally:
            gone.set()

    begun = time.monotonic()
    with peer(talk) as server:
        got = ask(server, GET, method="GET", timeout=0.5, max_body=LIMIT)
        gone.set()
    assert time.monotonic() - begun < 5
    assert (answer(got).cut if start else failure(got).kind) == "timeout"


def test_silence_is_a_timeout() -> None:
    """A server that takes the request and says nothing is a failure with that name."""
    assert failure(asked(silent, timeout=0.3)).kind == "timeout"


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 800_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 120_000 + b"\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n" * 40_000,
    ],
    ids=["one-line", "many-lines", "endless-interim"],
)
def test_a_header_without_end_is_bounded(head: bytes) -> None:
    """Lines, fields and interim answers together may not exceed the bound."""
    assert failure(asked(waiting(head))).kind == "header-limit"


def test_the_bound_of_the_header_is_exact_enough() -> None:
    """A header just above a small bound is refused also when it arrives in one piece; one below passes."""
    with peer(saying(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 300 + b"\r\n\r\n")) as server:
        small = ask(server, GET, method="GET", timeout=5, max_body=LIMIT, max_header=200)
        large = ask(server, GET, method="GET", timeout=5, max_body=LIMIT, max_header=400)
    assert failure(small).kind == "header-limit"
    assert answer(large).status == 200


@pytest.mark.parametrize("framing", [b"Content-Length: 5000", b"X: no length"])
def test_a_body_is_bounded(framing: bytes) -> None:
    """No more than `max_body` bytes are kept, and the answer says that some are missing."""
    got = answer(asked(waiting(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n" + b"a" * 5000)))
    assert (len(got.body), got.cut, got.truncated) == (LIMIT, "body-limit", True)


def test_a_body_of_exactly_the_bound_is_whole() -> None:
    """The bound is a size that is still allowed."""
    got = answer(asked(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"a" * LIMIT)))
    assert (len(got.body), got.truncated) == (LIMIT, False)


@pytest.mark.parametrize(
    "started",
    [b"Content-Length: 9\r\n\r\nhalf", b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"],
    ids=["length", "chunked"],
)
def test_a_close_in_the_body_truncates(started: bytes) -> None:
    """What came before the close is kept, and marked as not whole."""
    got = answer(asked(saying(b"HTTP/1.1 200 OK\r\n" + started)))
    assert (got.body, got.cut, got.truncated) == (b"half", "closed", True)


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nX: 1\r\n"])
def test_a_close_before_the_header_ends_is_a_failure(start: bytes) -> None:
    """Half a header is no answer."""
    assert failure(asked(saying(start))).kind == "closed"


def test_a_reset_is_a_failure() -> None:
    """A connection that is torn down is closed, not an exception."""

    def talk(conn: socket.socket) -> None:
        heard(conn)
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")

    assert failure(asked(talk)).kind == "closed"


@pytest.mark.parametrize(
    "garbage",
    [
        b"220 mail.example ESMTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nhi",
    ],
)
def test_what_is_not_http_is_a_failure(garbage: bytes) -> None:
    """An answer that cannot be read is named as such, with the parser's reason."""
    got = failure(asked(waiting(garbage)))
    assert got.kind == "protocol"
    assert got.detail.startswith("The answer is not HTTP/1.1: ")


def test_what_follows_an_upgrade_is_kept_as_bytes() -> None:
    """A 101 is an answer, and whatever is spoken from there on stands behind it."""
    got = answer(
        asked(waiting(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n\0\1sunny"))
    )
    assert (got.status, got.body, got.after) == (101, b"", b"\0\1sunny")


def test_broken_chunks_keep_what_was_read() -> None:
    """Content in front of a broken chunk is evidence, and the answer is marked."""
    got = answer(asked(waiting(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nnope\r\n")))
    assert (got.body, got.cut) == (b"hi", "protocol")


def test_an_answer_given_before_the_request_was_read_is_seen() -> None:
    """A server that refuses a large request and closes without reading it has still answered."""

    def talk(conn: socket.socket) -> None:
        heard(conn)
        conn.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")

    large = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 30000000\r\n\r\n" + b"a" * 30_000_000
    assert answer(asked(talk, large, method="POST")).status == 413


def test_nobody_listening_is_refused() -> None:
    """A closed port is a failure whose sentence names the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    got = failure(ask(Address(host="127.0.0.1", port=port, tls=False), GET, method="GET", timeout=5, max_body=LIMIT))
    assert got.kind == "refused"
    assert f"127.0.0.1:{port}" in got.detail


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".invalid"])
def test_a_name_that_cannot_be_looked_up_is_refused(host: str) -> None:
    """A host that is no name is a failure, not an exception."""
    got = ask(Address(host=host, port=80, tls=False), GET, method="GET", timeout=5, max_body=LIMIT)
    assert failure(got).kind == "refused"


def test_a_real_server_is_understood(app: Address) -> None:
    """A uvicorn answers POST with its content, HEAD without any, and an absurd request with 400."""
    post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
    head = b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert answer(ask(app, post, method="POST", timeout=5, max_body=LIMIT)).body == b"POST 3"
    got = answer(ask(app, head, method="HEAD", timeout=5, max_body=LIMIT))
    assert (got.status, got.body, got.after) == (200, b"", b"")
    assert answer(ask(app, b"\x01\x02\r\n\r\n", method="GET", timeout=5, max_body=LIMIT)).status == 400


def test_an_expectation_is_answered_by_a_real_server(app: Address) -> None:
    """A 100 from a real server, given to a request that expects one, is skipped."""
    post = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc"
    assert answer(ask(app, post, method="POST", timeout=5, max_body=LIMIT)).body == b"POST 3"


def test_tls_carries_the_same_bytes(server_context: ssl.SSLContext, client_context: ssl.SSLContext) -> None:
    """With a trusted certificate, requests and answers are as they are without TLS, beyond one record too."""
    received: list[bytes] = []
    odd = b"paY /\x02 HTTP/1.1\r\nX: " + b"a" * 40_000 + b"\r\n\r\n"

    def talk(conn: socket.socket) -> None:
        received.append(heard(conn))
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n" + b"b" * 50_000)

    with peer(talk, server_context) as server:
        got = ask(server, odd, method="GET", timeout=5, max_body=100_000, context=client_context)
    assert received == [odd]
    assert (answer(got).body, answer(got).truncated) == (b"b" * 50_000, False)


def test_an_untrusted_certificate_is_a_tls_failure(server_context: ssl.SSLContext) -> None:
    """Without the authority nothing is sent, and the failure says why."""
    received: list[bytes] = []
    with peer(lambda conn: received.append(heard(conn)), server_context) as server:
        got = failure(ask(server, GET, method="GET", timeout=5, max_body=LIMIT))
    assert got.kind == "tls"
    assert "certificate" in got.detail.lower()
    assert received == []


def test_a_server_without_tls_is_a_tls_failure(client_context: ssl.SSLContext) -> None:
    """Plain HTTP on an https address fails in the handshake."""

    def talk(conn: socket.socket) -> None:
        conn.recv(65536)
        conn.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with peer(talk) as server:
        address = Address(host=server.host, port=server.port, tls=True)
        got = ask(address, GET, method="GET", timeout=5, max_body=LIMIT, context=client_context)
    assert failure(got).kind == "tls"


def test_a_handshake_that_hangs_is_a_timeout(client_context: ssl.SSLContext) -> None:
    """The timeout covers the handshake."""
    with peer(silent) as server:
        address = Address(host=server.host, port=server.port, tls=True)
        got = ask(address, GET, method="GET", timeout=0.3, max_body=LIMIT, context=client_context)
    assert failure(got).kind == "timeout"


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("secure", [False, True])
def test_who_hangs_up_has_sent_it_all(
    reset: bool, secure: bool, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """The request arrives whole, and the connection ends when and how it is said; within TLS nobody sees how."""
    received: list[bytes] = []
    ends: list[str] = []
    arrived = threading.Event()

    def talk(conn: socket.socket) -> None:
        received.append(heard(conn))
        arrived.set()
        try:
            ends.append("closed" if not conn.recv(1) else "talks")
        except ConnectionResetError:
            ends.append("reset")

    with peer(talk, server_context if secure else None) as server:
        context = client_context if secure else None
        assert hang_up(server, GET, stay=lambda: arrived.wait(5), timeout=5, reset=reset, context=context) is None
    assert received == [GET]
    assert secure or ends == ["reset" if reset else "closed"]


def test_who_cannot_send_does_not_stay() -> None:
    """Without a server nothing is waited for, and the failure says why."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
    stayed: list[bool] = []
    got = hang_up(Address(host=host, port=port, tls=False), GET, stay=lambda: stayed.append(True), timeout=5)
    assert got
    assert got.kind == "refused"
    assert stayed == []


@dataclass(slots=True)
class Meter:
    """Notes, for each connection, when all but the last byte had come and when the last one came."""

    size: int
    parts: list[float] = field(default_factory=list)
    lasts: list[float] = field(default_factory=list)

    def __call__(self, conn: socket.socket) -> None:
        """Read one request of `size` bytes and answer it with its own name."""
        data = b""
        while len(data) < self.size - 1:
            data += conn.recv(self.size - 1 - len(data))
        self.parts.append(time.monotonic())
        data += conn.recv(1)
        self.lasts.append(time.monotonic())
        name = data.split(b" ")[1]
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(name), name))


def numbered(count: int) -> list[bytes]:
    """Requests of one size that can be told apart."""
    return [b"GET /%03d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(count)]


def check_a_volley(got: Volley, meter: Meter, count: int) -> None:
    """Every first part was there before any last byte left, and the answers are in the order of the requests."""
    assert [answer(each).body for each in got.answers] == [b"/%03d" % number for number in range(count)]
    assert len(got.sent) == len(meter.parts) == len(meter.lasts) == count
    assert max(meter.parts) < min(got.sent)
    assert list(got.sent) == sorted(got.sent)


def test_a_volley_holds_its_last_bytes_back() -> None:
    """All requests are complete but for one byte before the first of them becomes complete."""
    requests = numbered(20)
    meter = Meter(len(requests[0]))
    with peer(meter) as server:
        got = volley(server, requests, timeout=10, max_body=LIMIT)
    check_a_volley(got, meter, 20)


def test_a_volley_works_with_tls(server_context: ssl.SSLContext, client_context: ssl.SSLContext) -> None:
    """TLS changes nothing: handshakes come first and the last byte has a record of its own."""
    requests = numbered(20)
    meter = Meter(len(requests[0]))
    with peer(meter, server_context) as server:
        got = volley(server, requests, timeout=20, max_body=LIMIT, context=client_context)
    check_a_volley(got, meter, 20)


def test_a_dead_connection_does_not_lose_the_others() -> None:
    """A server that hangs up on one copy has still answered the rest."""

    def talk(conn: socket.socket) -> None:
        if b"/001" not in heard(conn, b"\r\n\r"):
            conn.recv(1)
            conn.sendall(HI)

    with peer(talk) as server:
        got = volley(server, numbered(4), timeout=5, max_body=LIMIT)
    assert [type(each) for each in got.answers].count(RawAnswer) == 3
    assert failure(got.answers[1]).kind == "closed"


def test_who_takes_one_request_after_another_is_sent_them_all() -> None:
    """A server with one worker and a short queue holds nobody up: what cannot connect yet is sent when it can."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:

        def work() -> None:
            for _ in range(5):
                conn, _ = listener.accept()
                with conn:
                    heard(conn, b"\r\n\r\n")
                    conn.sendall(HI)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        here = Address(host="127.0.0.1", port=listener.getsockname()[1], tls=False)
        got = volley(here, numbered(5), timeout=8, max_body=LIMIT)
        thread.join(5)
    assert [type(each) for each in got.answers] == [RawAnswer] * 5


def test_a_volley_at_nobody_fails_everywhere() -> None:
    """Each request has its own failure when there is no server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    got = volley(Address(host="127.0.0.1", port=port, tls=False), numbered(3), timeout=5, max_body=LIMIT)
    assert [failure(each).kind for each in got.answers] == ["refused"] * 3
    assert got.sent == ()


def test_a_volley_of_head_is_framed_as_head(app: Address) -> None:
    """HEAD is told from the bytes: its answers have a length and no content."""
    head = b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"
    got = volley(app, [head, b"GET" + head[4:]], timeout=5, max_body=LIMIT)
    assert [(answer(each).body, answer(each).truncated) for each in got.answers] == [(b"", False), (b"GET 0", False)]


def test_a_volley_with_a_body_too_big_to_buffer_is_sent_whole(app: Address) -> None:
    """Requests larger than what a kernel holds still arrive complete."""
    body = b"a" * 8_000_000
    post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    got = volley(app, [post, post], timeout=20, max_body=LIMIT)
    assert [answer(each).body for each in got.answers] == [b"POST 8000000"] * 2


def test_one_deadline_covers_a_volley() -> None:
    """Silence on every connection costs the timeout once."""
    begun = time.monotonic()
    with peer(silent) as server:
        got = volley(server, numbered(20), timeout=0.5, max_body=LIMIT)
    assert time.monotonic() - begun < 5
    assert {failure(each).kind for each in got.answers} == {"timeout"}


@pytest.mark.parametrize("requests", [[], [GET] * 129, [GET, b""]], ids=["none", "too-many", "empty"])
def test_a_volley_has_a_size(requests: list[bytes]) -> None:
    """No request, more than 128, or a request without a last byte is a ValueError before anything is opened."""
    with pytest.raises(ValueError, match="a volley takes 1 to 128 requests"):
        volley(Address(host="127.0.0.1", port=1, tls=False), requests, timeout=1, max_body=LIMIT)
