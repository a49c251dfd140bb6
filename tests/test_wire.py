"""The client: what it sends, what it refuses to send, and where it stops reading."""

import dataclasses
import gzip
import json
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from functools import partial

import pytest
from vices import (
    Line,
    Served,
    Vice,
    answering,
    closes_in_a_chunk,
    closes_in_the_body,
    drips_a_body,
    drips_a_header,
    hangs,
    hangs_in_the_body,
    refusing,
    serving,
    vicious,
)

from conformance.exchange import Request
from conformance.profile import Limits
from conformance.redaction import Redactor
from conformance.wire import Turn, Wire

# Without a time in it: a test that is named after its bytes has the same name in each worker.
_gzip = partial(gzip.compress, mtime=0)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
AGENT = (("User-Agent", "tests"),)


@contextmanager
def wire(
    served: Served, *, timeout: float = 5.0, secrets: dict[str, str] | None = None, **limits: float
) -> Iterator[Wire]:
    """A client that may contact ``served``."""
    made = Wire(
        timeout=timeout,
        limits=dataclasses.replace(Limits(), **limits),
        redactor=Redactor.of(secrets or {}),
        hosts=frozenset({served.base_url.removeprefix("http://")}),
        sanity=get(served),
    )
    try:
        yield made
    finally:
        made.close()


def get(served: Served, path: str = "/", *headers: tuple[str, str]) -> Request:
    return Request(method="GET", url=served.base_url + path, headers=(*AGENT, *headers))


def answer(body: bytes, *fields: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", *fields, b"Content-Length: %d" % len(body), b"", body])


@pytest.mark.parametrize("raw", [False, True], ids=["send", "send_raw"])
def test_an_answer_is_recorded_as_it_came(raw: bool) -> None:
    """Status, reason, every field line with its case, body, and when and how long."""
    with (
        answering(b"HTTP/1.1 402 Pay Up\r\nX-a: 1\r\nX-A: \xe9\r\nContent-Length: 2\r\n\r\nok") as served,
        wire(served) as w,
    ):
        exchange = (w.send_raw if raw else w.send)(get(served))
    response = exchange.response
    assert response
    assert (response.status, response.reason, response.version) == (402, "Pay Up", "HTTP/1.1")
    assert response.headers == (("X-a", "1"), ("X-A", "\xe9"), ("Content-Length", "2"), ("Connection", "close"))
    assert (response.body, response.after, exchange.failure) == (b"ok", b"", None)
    assert exchange.at >= 0
    assert 0 < exchange.took < 5


@pytest.mark.parametrize("raw", [False, True], ids=["send", "send_raw"])
def test_a_request_goes_out_as_given(raw: bool) -> None:
    """Method, target, field lines in order with their case, and the body; nothing is added but framing and Host."""
    headers = (("User-Agent", "x"), ("x-TWO", "1"), ("x-TWO", "\xe9"), ("Content-Type", "text/plain"))
    with answering(OK) as served, wire(served) as w:
        request = Request(method="PATCH", url=f"{served.base_url}/a%2Fb?c=%20d", headers=headers, body=b"\x00\xff")
        (w.send_raw if raw else w.send)(request)
    head, _, body = served.asked[0].partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    assert first == b"PATCH /a%2Fb?c=%20d HTTP/1.1"
    framing = (b"host:", b"content-length:", b"connection:")
    kept = [line for line in lines if not line.lower().startswith(framing)]
    assert kept == [f"{name}: {value}".encode("latin-1") for name, value in headers]
    assert body == b"\x00\xff"


def test_nobody_else_is_contacted() -> None:
    """A host that the profile does not name is a failure, and no connection is made."""
    with answering(OK) as served, answering(OK) as stranger, wire(served) as w:
        for send in (w.send, w.send_raw):
            exchange = send(get(stranger))
            assert exchange.failure
            assert exchange.failure.kind == "budget"
            assert "target.helpers" in exchange.failure.detail
    assert stranger.asked == []


def test_the_budget_is_per_endpoint() -> None:
    """What one endpoint has used up is still there for another; a refused request does not count as sent."""
    with answering(OK) as served, wire(served, max_requests=2) as w:
        kinds = [w.send(get(served), account="a").failure for _ in range(4)]
        assert w.send(get(served), account="b").response
    assert [failure.kind if failure else "" for failure in kinds] == ["", "", "budget", "budget"]
    assert len(served.asked) == 3


@pytest.mark.parametrize("vice", [hangs, hangs_in_the_body, drips_a_header, drips_a_body])
@pytest.mark.parametrize("raw", [False, True], ids=["send", "send_raw"])
def test_a_request_ends_when_its_time_is_up(vice: Vice, raw: bool) -> None:
    """However slowly a server drips, the whole request ends at target.timeout."""
    with vicious(vice) as served, wire(served, timeout=0.5) as w:
        began = time.monotonic()
        exchange = (w.send_raw if raw else w.send)(get(served, "/weather"))
        took = time.monotonic() - began
    assert exchange.response is None
    assert exchange.failure
    assert exchange.failure.kind == "timeout"
    assert 0.4 < took < 2.5


def test_a_port_at_which_nobody_listens_is_refused() -> None:
    """The kind of the failure tells a server that is off from one that fails."""
    with refusing() as served, wire(served) as w:
        for send in (w.send, w.send_raw):
            exchange = send(get(served))
            assert exchange.failure
            assert exchange.failure.kind == "refused"


PACKED = {
    "identity": b"sunny",
    "gzip": _gzip(b"sunny"),
    "x-gzip": _gzip(b"sunny"),
    "deflate": zlib.compress(b"sunny"),
    "GZIP": _gzip(b"sunny"),
}


@pytest.mark.parametrize("coding", PACKED)
@pytest.mark.parametrize("raw", [False, True], ids=["send", "send_raw"])
def test_a_coded_body_is_decoded(coding: str, raw: bool) -> None:
    """Names of codings have no case."""
    with answering(answer(PACKED[coding], b"Content-Encoding: " + coding.encode())) as served, wire(served) as w:
        exchange = (w.send_raw if raw else w.send)(get(served))
    assert exchange.response
    assert exchange.response.body == b"sunny"


def test_no_part_of_a_packed_body_is_passed_over() -> None:
    """gzip may have several members (RFC 1952 section 2.2): what stands in the second is read or the answer refused."""
    packed = _gzip(b"nothing here, ") + _gzip(b"sunny")
    with answering(answer(packed, b"Content-Encoding: gzip")) as served, wire(served) as w:
        exchange = w.send(get(served))
    assert exchange.failure or (exchange.response and exchange.response.body == b"nothing here, sunny")


@pytest.mark.parametrize("raw", [False, True], ids=["send", "send_raw"])
def test_every_member_of_a_packed_body_counts(raw: bool) -> None:
    """Empty ones too, however many, and the bound is on all of them together."""
    packed = _gzip(b"") * 20_000 + _gzip(b"a" * 600) + _gzip(b"") + _gzip(b"b" * 400)
    with answering(answer(packed, b"Content-Encoding: gzip")) as served:
        with wire(served, max_body=1_000_000) as w:
            exchange = (w.send_raw if raw else w.send)(get(served))
        assert exchange.response, exchange.failure
        assert exchange.response.body == b"a" * 600 + b"b" * 400
        with wire(served, max_body=999) as w:
            exchange = w.send(get(served))
        assert exchange.failure
        assert exchange.failure.kind == "body-limit"


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        (b"gzip", _gzip(b"sunny") + b"\0"),
        (b"gzip", _gzip(b"sunny") + _gzip(b"rain")[:-1]),
        (b"gzip", _gzip(b"sunny") + zlib.compress(b"rain")),
        (b"deflate", zlib.compress(b"sunny") + b"\0"),
        (b"deflate", zlib.compress(b"sunny") + zlib.compress(b"rain")),
        (b"deflate", zlib.compress(b"sunny")[:-1]),
    ],
)
def test_a_packed_body_is_packed_to_its_last_byte(coding: bytes, packed: bytes) -> None:
    """What is more than the coding says, or less, was not read whole."""
    with answering(answer(packed, b"Content-Encoding: " + coding)) as served, wire(served) as w:
        exchange = w.send(get(served))
    assert exchange.failure
    assert exchange.failure.kind == "coding"


def test_bytes_after_a_packed_body_are_not_passed_over() -> None:
    """What follows the end of the gzip is no gzip: such a body was not read whole."""
    packed = _gzip(b"nothing here") + b"sunny, in plain text"
    with answering(answer(packed, b"Content-Encoding: gzip")) as served, wire(served) as w:
        exchange = w.send(get(served))
    assert exchange.failure
    assert exchange.failure.kind == "coding"


@pytest.mark.parametrize("length", range(1, 25, 3))
def test_a_packed_body_that_breaks_off_is_a_failure(length: int) -> None:
    """Wherever it is cut, also before the first byte of content came out."""
    packed = _gzip(b"sunny")[:length]
    with answering(answer(packed, b"Content-Encoding: gzip")) as served, wire(served) as w:
        exchange = w.send(get(served))
    assert exchange.failure
    assert exchange.failure.kind == "coding"


def test_an_answer_to_head_needs_no_coded_body() -> None:
    """Content-Encoding beside no content is what GET would have."""
    answered = b"HTTP/1.1 402 Pay\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\nConnection: close\r\n\r\n"
    with answering(answered) as served, wire(served) as w:
        request = dataclasses.replace(get(served), method="HEAD")
        for send in (w.send, w.send_raw):
            exchange = send(request)
            assert exchange.response, exchange.failure
            assert exchange.response.status == 402


@pytest.mark.parametrize("raw", [False, True], ids=["send", "send_raw"])
@pytest.mark.parametrize("vice", [closes_in_the_body, closes_in_a_chunk])
def test_an_answer_that_breaks_off_is_a_failure(vice: Vice, raw: bool) -> None:
    """Nothing of it is taken for an answer."""
    with vicious(vice) as served, wire(served) as w:
        exchange = (w.send_raw if raw else w.send)(get(served, "/weather"))
    assert exchange.response is None
    assert exchange.failure
    assert exchange.failure.kind == "closed"


@pytest.mark.parametrize("raw", [False, True], ids=["send", "send_raw"])
@pytest.mark.parametrize(("size", "fits"), [(1000, True), (1001, False)])
@pytest.mark.parametrize("coding", [b"", b"gzip"])
def test_a_body_ends_at_the_limit(raw: bool, size: int, fits: bool, coding: bytes) -> None:
    """limits.max_body counts decoded bytes, and one more is a failure."""
    body = _gzip(b"a" * size) if coding else b"a" * size
    fields = (b"Content-Encoding: " + coding,) if coding else ()
    with answering(answer(body, *fields)) as served, wire(served, max_body=1000) as w:
        exchange = (w.send_raw if raw else w.send)(get(served))
    assert bool(exchange.response) == fits
    if not fits:
        assert exchange.failure
        assert exchange.failure.kind == "body-limit"


def patient(*answers: bytes) -> Vice:
    """A server that gives ``answers`` one after another, and then the last for ever."""
    left = list(answers)

    def behave(line: Line) -> None:
        line.send(left.pop(0) if len(left) > 1 else left[0])

    return behave


def too_many(retry_after: str = "") -> bytes:
    field = f"Retry-After: {retry_after}\r\n" if retry_after else ""
    return f"HTTP/1.1 429 Too Many Requests\r\n{field}Content-Length: 0\r\nConnection: close\r\n\r\n".encode("latin-1")


def test_a_429_is_waited_out() -> None:
    """As long as Retry-After says, and at least half a second; then the next answer counts."""
    with serving(patient(too_many("1"), OK)) as served, wire(served) as w:
        began = time.monotonic()
        exchange = w.send(get(served))
        took = time.monotonic() - began
    assert exchange.response
    assert exchange.response.status == 200
    assert 1 <= took < 4
    assert len(served.asked) == 2


def test_all_waiting_together_is_bounded() -> None:
    """limits.max_wait is for the whole run: when it is used up, the next 429 is a failure at once."""
    with serving(patient(too_many())) as served, wire(served, max_wait=1.6) as w:
        began = time.monotonic()
        first, second = w.send(get(served)), w.send(get(served))
        took = time.monotonic() - began
    for exchange in (first, second):
        assert exchange.failure
        assert exchange.failure.kind == "rate-limited"
        assert exchange.response
        assert exchange.response.status == 429
    assert took < 4
    assert len(served.asked) <= 5


@pytest.mark.parametrize(
    "retry_after",
    [
        "3600",
        "9" * 400,
        "Wed, 21 Oct 2195 07:28:00 GMT",
        "Wed, 31 Feb 2195 07:28:00 GMT",
        "Wed, 21 Oct 2195 99:99:99 GMT",
        "Wed, 21 Oct 99999 07:28:00 GMT",
        "Wed, 21 Oct 2195 07:28:00 +9999",
        "-1",
        "1e9",
        "nan",
        "soon",
        "\xb2",
        ",",
        "1, 2",
    ],
)
def test_no_retry_after_breaks_or_stretches_a_run(retry_after: str) -> None:
    """A wait that is too long, in the past, or no wait at all, ends within limits.max_wait."""
    with serving(patient(too_many(retry_after))) as served, wire(served, max_wait=0.7) as w:
        began = time.monotonic()
        exchange = w.send(get(served))
        took = time.monotonic() - began
    assert exchange.failure
    assert exchange.failure.kind == "rate-limited"
    assert took < 3


def test_a_date_to_wait_for_is_understood() -> None:
    """Retry-After as an HTTP date, a moment ahead."""
    with serving(patient(too_many(formatdate(time.time() + 1, usegmt=True)), OK)) as served, wire(served) as w:
        exchange = w.send(get(served))
    assert exchange.response
    assert exchange.response.status == 200


def test_a_429_that_is_the_answer_is_not_waited_for() -> None:
    """Without back-off it is an answer like any other."""
    with serving(patient(too_many("60"))) as served, wire(served) as w:
        exchange = w.send(get(served), back_off=False)
    assert exchange.response
    assert exchange.response.status == 429
    assert exchange.failure is None
    assert len(served.asked) == 1


def test_a_server_that_died_is_not_asked_again() -> None:
    """After three failures in a row, and a sanity request that fails too, the rest is answered without it."""
    with serving(lambda _: None) as served, wire(served) as w:
        kinds = [e.failure.kind for e in (w.send(get(served)) for _ in range(6)) if e.failure]
    assert kinds == ["closed", "closed", "closed", "down", "down", "down"]
    assert len(served.asked) == 4


def test_a_server_that_hangs_up_on_one_request_is_asked_on() -> None:
    """When the sanity request is answered, failures are the answer to what was asked."""
    with serving(lambda line: None if b"/bad" in line.asked else line.send(OK)) as served, wire(served) as w:
        kinds = [e.failure.kind for e in (w.send(get(served, "/bad")) for _ in range(5)) if e.failure]
        assert w.send(get(served)).response
    assert kinds == ["closed"] * 5


def test_nothing_is_asked_after_giving_up() -> None:
    """Each later request is a failure that says why."""
    with answering(OK) as served, wire(served) as w:
        w.give_up("the target is gone")
        for send in (w.send, w.send_raw):
            exchange = send(get(served))
            assert exchange.failure
            assert (exchange.failure.kind, exchange.failure.detail) == ("down", "the target is gone")
    assert served.asked == []


def test_every_part_of_a_record_is_redacted() -> None:
    """URL, fields and body of the request; reason, fields, body and what follows of the answer; a failure's words."""
    said = b"hunter22"
    answered = (
        b"HTTP/1.1 402 hunter22\r\nX-Echo: hunter22\r\nContent-Length: 8\r\nConnection: close\r\n\r\nhunter22hunter22"
    )
    for reply in (
        answered,
        b"hunter22\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nhunter22\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nhunter22",
    ):
        with answering(reply) as served, wire(served, secrets={"KEY": "hunter22"}) as w:
            url = f"{served.base_url}/hunter22?a=hunter22"
            request = Request(method="POST", url=url, headers=(("X-Api-Key", "hunter22"),), body=said)
            for send in (w.send, w.send_raw):
                exchange = send(request)
                assert "hunter22" not in json.dumps(exchange.to_json()), reply
                assert "<secret:KEY>" in exchange.request.url
        assert all(said in asked for asked in served.asked)


def test_no_cookie_comes_back() -> None:
    """Each request is a stranger's."""
    with answering(answer(b"ok", b"Set-Cookie: crumb=1; Path=/")) as served, wire(served) as w:
        for _ in range(3):
            w.send(get(served))
    assert len(served.asked) == 3
    assert not any(b"crumb" in asked for asked in served.asked)


def test_a_redirect_is_an_answer() -> None:
    """And is not followed, also not to where we may ask."""
    with answering(answer(b"", b"Location: /next").replace(b"200 OK", b"302 Found")) as served, wire(served) as w:
        exchange = w.send(get(served))
    assert exchange.response
    assert exchange.response.status == 302
    assert len(served.asked) == 1


@pytest.mark.parametrize(
    "location",
    [
        b"http://h:abc/",
        b"//[::1",
        b"\x7f",
        b"http://",
        b"\xff\xfe",
        b"http://\xc3\xbc.example/",
        b"a" * 10_000,
        b"",
        b"?#",
    ],
)
def test_no_location_breaks_a_run(location: bytes) -> None:
    """Where a redirect leads is nothing that we read."""
    redirect = answer(b"", b"Location: " + location).replace(b"200 OK", b"302 Found")
    with answering(redirect) as served, wire(served) as w:
        for send in (w.send, w.send_raw):
            exchange = send(get(served))
            assert exchange.response, exchange.failure
            assert exchange.response.status == 302
            assert exchange.response.value("location") == location.decode("latin-1")


@pytest.mark.parametrize("url", ["http://[::1", "http://h:abc/", "//x", "", "http://\x00/", "ftp://127.0.0.1/"])
def test_an_address_that_is_none_is_a_failure(url: str) -> None:
    """A target may name any in a link, and we may be asked to follow it."""
    with answering(OK) as served, wire(served) as w:
        w.hosts |= {"h:abc", "", "x", "\x00", "127.0.0.1"}
        for send in (w.send, w.send_raw):
            exchange = send(Request(method="GET", url=url))
            assert exchange.response is None
            assert exchange.failure


@pytest.mark.parametrize(
    "changes",
    [
        {"headers": (("X-Key", "東京hunter22"),)},
        {"headers": (("X-東京", "hunter22"),)},
        {"headers": (("X-Key", "hunter22\r\nX: y"),)},
        {"method": "GE\x00T"},
        {"headers": (("Content-Length", "1"),), "method": "POST", "body": b"hunter22"},
    ],
)
def test_what_cannot_be_sent_is_a_failure(changes: dict[str, object]) -> None:
    """And says so without saying the secret."""
    with answering(OK) as served, wire(served, secrets={"KEY": "hunter22"}) as w:
        exchange = w.send(dataclasses.replace(get(served), **changes))
    assert exchange.response is None
    assert exchange.failure
    assert exchange.failure.kind == "protocol"
    assert "hunter22" not in json.dumps(exchange.to_json())


def keeping(*each: bytes) -> tuple[Vice, list[tuple[int, bytes]]]:
    """A server that gives ``each`` in turn on one connection, hangs up when asked for more, and what it was asked.

    It says nothing of hanging up. Each request comes with the number of its connection.
    """
    asked: list[tuple[int, bytes]] = []

    def behave(line: Line) -> None:
        number = len({connection for connection, _ in asked})
        said = line.asked
        for reply in each:
            asked.append((number, said))
            line.send(reply)
            if not (said := line.sock.recv(65536)):
                return
        asked.append((number, said))

    return behave, asked


KEPT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
def test_a_connection_that_was_closed_meanwhile_is_no_failure(method: str) -> None:
    """A server may close what it kept open at any moment (RFC 9112 section 9.6): then a fresh one is asked, once."""
    behave, asked = keeping(KEPT.removesuffix(b"ok") if method == "HEAD" else KEPT)
    with serving(behave) as served, wire(served) as w:
        request = dataclasses.replace(get(served), method=method)
        exchanges = [w.send(request) for _ in range(3)]
    assert all(exchange.response for exchange in exchanges)
    assert [connection for connection, _ in asked] == [0, 0, 1, 1, 2]


@pytest.mark.parametrize(
    ("method", "header"),
    [
        ("POST", ("X", "1")),
        ("PATCH", ("X", "1")),
        ("GET", ("PAYMENT-SIGNATURE", "1")),
        ("GET", ("x-payment", "1")),
        ("GET", ("Authorization", "Payment abc")),
    ],
)
def test_what_could_happen_twice_has_a_connection_of_its_own(method: str, header: tuple[str, str]) -> None:
    """A method that is not idempotent, and a payment, are sent once: so the connection is one that nobody closed."""
    behave, asked = keeping(KEPT)
    with serving(behave) as served, wire(served) as w:
        request = dataclasses.replace(get(served, "/", header), method=method)
        assert w.send(get(served)).response
        exchange = w.send(request)
    assert exchange.response
    assert [connection for connection, _ in asked] == [0, 1]


def test_an_answer_that_had_begun_is_not_asked_for_again() -> None:
    """The server has taken the request: what came of it is the answer."""

    def behave(line: Line) -> None:
        line.send(KEPT)
        if line.sock.recv(65536):
            line.send(b"HTTP/1.1 2")

    with serving(behave) as served, wire(served) as w:
        assert w.send(get(served)).response
        exchange = w.send(get(served))
    assert exchange.failure
    assert exchange.failure.kind == "closed"
    assert len(served.asked) == 1


def test_a_fresh_connection_that_breaks_is_the_answer() -> None:
    """Nothing was kept open that could have been closed meanwhile."""
    behave, asked = keeping()
    with serving(behave) as served, wire(served) as w:
        exchange = w.send(get(served))
    assert exchange.failure
    assert exchange.failure.kind == "closed"
    assert len(asked) == 1


def test_a_second_attempt_takes_no_second_time() -> None:
    """Both together end at target.timeout."""
    first = True

    def behave(line: Line) -> None:
        nonlocal first
        if not first:
            line.ended.wait()
            return
        first = False
        line.send(KEPT)
        line.sock.recv(65536)
        line.ended.wait(1.2)

    with serving(behave) as served, wire(served, timeout=1.6) as w:
        assert w.send(get(served)).response
        began = time.monotonic()
        exchange = w.send(get(served))
        took = time.monotonic() - began
    assert exchange.failure
    assert exchange.failure.kind == "timeout"
    assert len(served.asked) == 2
    assert took < 2.7


def test_no_name_of_a_field_holds_a_secret() -> None:
    """A field may be named after it, and in small letters."""
    with (
        answering(answer(b"ok", b"X-hunter22: 1", b"HUNTER22: 2")) as served,
        wire(served, secrets={"KEY": "hunter22"}) as w,
    ):
        exchange = w.send(get(served))
    assert exchange.response
    assert [name for name, _ in exchange.response.headers[:2]] == ["X-<secret:KEY>", "<secret:KEY>"]


@pytest.mark.parametrize("secrets", [{}, {"KEY": "hunter22"}], ids=["none", "one"])
def test_a_target_does_not_write_placeholders(secrets: dict[str, str]) -> None:
    """What it says, and what we send because it says so, is never filled in by the shell that runs the curl line."""
    said = b"<secret:HOME> <secret:KEY>"
    with answering(answer(said, b"ETag: " + said)) as served, wire(served, secrets=secrets) as w:
        first = w.send(get(served))
        assert first.response
        tag = said.decode()
        second = w.send(get(served, f"/{tag.replace(' ', '')}", ("If-None-Match", tag)))
    for exchange in (first, second):
        assert "<secret:" not in json.dumps(exchange.to_json())
        assert "${" not in exchange.again()
    assert any(said in asked for asked in served.asked)


def test_what_is_sent_at_once_is_whole_at_the_same_moment() -> None:
    """Each request goes out on a connection of its own, as it was given, and has an answer of its own."""
    with answering(OK) as served, wire(served) as w:
        exchanges = w.send_at_once([get(served, f"/{turn}") for turn in range(5)])
    assert [exchange.request.url.rpartition("/")[2] for exchange in exchanges] == list("01234")
    assert [exchange.response and exchange.response.body for exchange in exchanges] == [b"ok"] * 5
    assert sorted(head.split(b" ")[1] for head in served.asked) == [b"/%d" % turn for turn in range(5)]
    assert len({exchange.at for exchange in exchanges}) == 1
    assert all(0 < exchange.took < 5 for exchange in exchanges)


def test_what_is_sent_at_once_counts_against_the_budget() -> None:
    """A host that the profile does not name is not contacted, and what an endpoint has used up is gone."""
    with answering(OK) as served, answering(OK) as stranger, wire(served, max_requests=3) as w:
        assert [e.failure and e.failure.kind for e in w.send_at_once([get(stranger)] * 2)] == ["budget"] * 2
        assert [e.failure for e in w.send_at_once([get(served)] * 3, account="a")] == [None] * 3
        assert [e.failure and e.failure.kind for e in w.send_at_once([get(served)] * 2, account="a")] == ["budget"] * 2
        assert w.send(get(served), account="b").response
    assert stranger.asked == []


def test_each_of_what_is_sent_at_once_may_fail_by_itself() -> None:
    """A server that hangs up, or says nothing, is a failure of each."""
    with refusing() as served, wire(served, timeout=0.5) as w:
        assert [e.failure and e.failure.kind for e in w.send_at_once([get(served)] * 2)] == ["refused"] * 2
    with vicious(hangs) as served, wire(served, timeout=0.5) as w:
        assert [e.failure and e.failure.kind for e in w.send_at_once([get(served)] * 2)] == ["timeout"] * 2


def test_a_request_that_is_hung_up_on_is_no_answer_and_counts() -> None:
    """It arrives, its exchange says that we did not wait, and it is one of those that an endpoint may be asked."""
    with vicious(hangs) as served, wire(served, max_requests=1) as w:
        exchange = w.hang_up(get(served, "/weather"), stay=lambda: time.sleep(0.1), account="weather")
        assert exchange.failure
        assert (exchange.response, exchange.failure.kind) == (None, "hung-up")
        assert 0.1 <= exchange.took < 5
        refused = w.hang_up(get(served, "/weather"), stay=lambda: None, account="weather")
        assert refused.failure
        assert refused.failure.kind == "budget"


def test_turns_are_taken_in_their_time() -> None:
    """One is later than the others, one is hung up on, and each stands in its place."""
    with answering(OK) as served, wire(served) as w:
        turns = [
            Turn(request=get(served, "/late"), after=0.3),
            Turn(request=get(served, "/left"), stay=lambda: time.sleep(0.1)),
            Turn(request=get(served, "/now")),
        ]
        late, left, now = w.send_in_turn(turns)
    assert late.at >= now.at + 0.2
    assert [exchange.response and exchange.response.body for exchange in (late, left, now)] == [b"ok", None, b"ok"]
    assert left.failure
    assert left.failure.kind == "hung-up"
