"""HTTP/2: what is asked in frames, what is found by it, and what no server is red for."""

import asyncio
import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme
from fault_http2 import FAULTS, LEFT_OPEN, LEGAL, UNSPOKEN, Entry
from framed import Front, Here, Talk, framed_turnstile, settings
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PushPromiseFrame,
    RstStreamFrame,
)
from judging import Judged, judged
from sessions import nested
from test_requests import written
from turnstile import PATH, Said, Ways, turnstile

from conformance import catalogue, checks, frames
from conformance.answering import Reader
from conformance.evidence import Evidence
from conformance.exchange import Exchange, Request
from conformance.outcome import Outcome, Verdict
from conformance.profile import Limits
from conformance.raw import Address, RawAnswer, RawFailure
from conformance.redaction import Redactor
from conformance.report.review import review
from conformance.run import Result, decided
from conformance.wire import Wire

ID = "requests.http2"
ROW = (ID, "weather")
PROFILE = """\
edition = "2026.11"
[target]
name = "Weather"
base_url = "{url}"
timeout = 2.0
[claims]
classes = ["requests"]
[identity.subscriber.headers]
X-Account = "subscriber"
[[answer]]
name = "paywall"
family = "paywall"
[[endpoint]]
name = "weather"
path = "/api/weather"
answers = ["paywall"]
marker = "sunny"
paid_identity = "subscriber"
"""
REQUIREMENT = catalogue.load().requirements[ID]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[trustme.CA]:
    """An authority that this process trusts, as a user tells it to (SSL_CERT_FILE)."""
    made, home = trustme.CA(), tmp_path_factory.mktemp("tls")
    made.cert_pem.write_to_path(str(home / "ca.pem"))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SSL_CERT_FILE", "CURL_CA_BUNDLE"):
            patch.setenv(name, str(home / "ca.pem"))
        yield made


@pytest.fixture(scope="module")
def server(authority: trustme.CA) -> Iterator[Here]:
    with framed_turnstile(authority) as found:
        yield found


def a_name(entry: Entry) -> str:
    return entry.name


def run_of(here: Here, front: Front, *, watched: bool = False, ways: Ways | None = None, **endpoint: Any) -> Judged:
    """The row, judged with a witness only where it is ``watched``: to read that one takes time."""
    here.begin(front, ways)

    def edit(document: dict[str, Any]) -> None:
        written(document)
        document["endpoint"][0] |= endpoint
        if not watched:
            del document["endpoint"][0]["witness"]

    return judged(here.base_url, claims=["requests"], edit=edit, examples=2, only=(ID,))


def told(run: Judged) -> list[str]:
    return [f"{r.requirement}: {r.outcome}: {r.finding}" for r in run.results.values() if r.finding]


def found(run: Judged, outcome: Outcome) -> Result:
    """The result of the row, which must be ``outcome`` and say why."""
    result = run.results[ROW]
    assert result.outcome is outcome, told(run)
    assert result.finding, told(run)
    return result


@pytest.mark.parametrize("fault", FAULTS, ids=a_name)
def test_a_way_round_in_frames_is_found(fault: Entry, server: Here) -> None:
    """The row is violated, by the way that the table says, and decided again alike from what was recorded."""
    run = run_of(server, fault.front, watched=fault.watched)
    result = found(run, Outcome.VIOLATED)
    assert result.finding
    assert result.finding.at.removeprefix("HTTP/2, ").startswith(fault.shows), told(run)
    assert run.verdict is Verdict.NOT_CONFORMANT
    check = next(c for own in checks.load().values() for c in own if c.requirement == ID)
    had = {label: Exchange.from_json(result.exchanges[key].to_json()) for label, key in result.evidence[0].items()}
    evidence = Evidence(profile=run.report.profile, at=run.report.profile.endpoints[0], exchanges=had)
    assert decided(check, evidence, REQUIREMENT.level) == (result.outcome, result.finding)


@pytest.mark.parametrize("legal", LEGAL, ids=a_name)
def test_a_target_without_a_way_round_in_frames_is_not_red(legal: Entry, server: Here) -> None:
    """The row holds."""
    run = run_of(server, legal.front, watched=legal.watched)
    assert run.results[ROW].outcome is Outcome.PASSED, told(run)
    assert len(server.framed) > 150


@pytest.mark.parametrize("unspoken", UNSPOKEN, ids=a_name)
def test_a_target_that_speaks_no_http2_is_not_judged_by_it(unspoken: Entry, server: Here) -> None:
    """The row is inapplicable, and says why."""
    run = run_of(server, unspoken.front)
    result = found(run, Outcome.INAPPLICABLE)
    assert result.finding
    assert unspoken.says in result.finding.reason


@pytest.mark.parametrize("left", LEFT_OPEN, ids=a_name)
def test_what_frames_do_not_show_is_not_said_to_hold(left: Entry, server: Here) -> None:
    """The row is untestable, and the run is incomplete."""
    run = run_of(server, left.front)
    result = found(run, Outcome.UNTESTABLE)
    assert result.finding
    assert left.says in result.finding.reason
    assert run.verdict is Verdict.INCOMPLETE


def test_a_request_with_content_is_asked_in_frames(server: Here) -> None:
    """Where the endpoint is asked by POST its content goes along, and a way round is found there as well."""
    post = {"method": "POST", "json": {"city": "Paris"}}
    sells = Ways(serves=frozenset({"POST"}))
    run = run_of(server, Front(ways=sells), ways=sells, **post)
    assert run.results[ROW].outcome is Outcome.PASSED, told(run)
    assert server.framed[0].body == b'{"city": "Paris"}'
    odd = replace(sells, skips=lambda asked: asked.has("content-length") != str(len(asked.body)))
    run = run_of(server, Front(ways=odd, first=lambda _: None), ways=sells, **post)
    found(run, Outcome.VIOLATED)


def test_every_allowed_phrase_about_http2_has_a_target() -> None:
    """Each ``allowed`` of the row is shown by a target."""
    assert {phrase for entry in (*LEGAL, *UNSPOKEN) for phrase in entry.allows} == set(REQUIREMENT.allowed)


def test_without_the_extra_a_target_that_speaks_http2_is_untestable(
    server: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence says what is to be installed; a target that does not speak it needs nothing."""
    monkeypatch.setitem(sys.modules, "h2", None)
    result = found(run_of(server, Front()), Outcome.UNTESTABLE)
    assert result.finding
    assert "pip install 'pytest-402[http2]'" in result.finding.reason
    found(run_of(server, Front(protocols=("http/1.1",))), Outcome.INAPPLICABLE)


@pytest.mark.usefixtures("authority")
def test_a_finding_shows_its_frames_and_is_sent_again(server: Here, tmp_path: Path) -> None:
    """What is printed has a line for each field, and a command that sends the same fields again."""
    front = Front(ways=Ways(skips=lambda asked: bool(asked.has("transfer-encoding"))), first=lambda _: None)
    server.begin(front)
    ran = nested(tmp_path, "--conformance-only=requests.http2", text=PROFILE.format(url=server.base_url))
    assert ran.outcomes[f"{ID} weather"] == "violated", ran.out
    lines = [line.strip() for line in ran.out.splitlines()]
    begin = lines.index(":method GET")
    assert lines[begin : begin + 4] == [
        ":method GET",
        ":scheme https",
        f":authority {server.base_url.removeprefix('https://')}",
        f":path {PATH}",
    ]
    assert "transfer-encoding chunked" in lines
    (again,) = [line.removeprefix("again").strip() for line in lines if line.startswith("again ")]
    server.framed.clear()
    shell = ["bash", "-c", again.replace("python -m", f"{sys.executable} -m")]
    shown = subprocess.run(shell, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "sunny" in shown
    (framed,) = server.framed
    assert ("transfer-encoding", "chunked") in framed.fields
    assert framed.first(":path") == PATH
    assert list(review(ran.report)) == []


ASKED = Request(
    method="GET",
    url="",
    headers=((":method", "GET"), (":scheme", "https"), (":authority", ""), (":path", PATH), ("accept", "*/*")),
    http2=True,
)


@pytest.mark.parametrize(
    ("change", "by_curl"),
    [
        ({}, True),
        ({"headers": (("x-a", "it's $HOME"),)}, True),
        ({"path": f"/x/..{PATH}?a=%2F"}, True),
        ({"method": "HEAD"}, True),
        ({"method": "OPTIONS"}, True),
        ({"method": "POST", "body": b"a\nb", "headers": (("content-length", "3"),)}, True),
        ({"path": "no slash"}, False),
        ({"path": f"{PATH}\r\nx: \x00\xe9\\x41"}, False),
        ({"headers": (("Accept", "a b"), ("te", "gzip"), ("a b", ""), ("x", " y "))}, False),
        ({"headers": ((":path", "/"),)}, False),
        ({"body": b"\n\n\x00x", "headers": (("content-length", "0"),)}, False),
        ({"before": (((":method", "GET"), ("x", "a b")), ((":path", "/"),))}, False),
        ({"trailers": (("x-payment", "it's"), (":path", "/"))}, False),
    ],
    ids=str,
)
def test_a_request_in_frames_is_sent_again_as_it_was(server: Here, change: dict[str, Any], by_curl: bool) -> None:
    """By curl where it writes the same fields, otherwise by ours: what arrives is the same."""
    server.begin(Front(first=lambda _: Said(status=402)))
    method, path = change.get("method", "GET"), change.get("path", PATH)
    told = {":method": method, ":authority": server.base_url.removeprefix("https://"), ":path": path}
    own = tuple((name, told.get(name, value)) for name, value in ASKED.headers)
    asked = replace(
        ASKED,
        method=method,
        url=server.base_url + (path if path.startswith("/") else f"/{path}"),
        headers=own + change.get("headers", ()),
        body=change.get("body", b""),
        trailers=change.get("trailers", ()),
        before=change.get("before", ()),
    )
    again = Exchange(request=asked).again()
    assert again.startswith("curl") is by_curl, again
    assert again.isascii()
    assert again.isprintable()
    shell = ["bash", "-c", again.replace("python -m", f"{sys.executable} -m")]
    subprocess.run(shell, capture_output=True, timeout=60, check=True)
    *before, framed = server.framed
    assert tuple(each.fields for each in before) == asked.before
    assert sorted(framed.fields) == sorted(asked.headers)
    assert by_curl or framed.fields == asked.headers
    assert (framed.body, framed.trailers) == (asked.body, asked.trailers)


@pytest.fixture
def context(authority: trustme.CA) -> ssl.SSLContext:
    made = frames.context()
    authority.configure_trust(made)
    return made


def hostile(*said: bytes, again: bool = True, pause: float = 0.0) -> Talk:
    """Says the first once, and the last without end, whatever it is asked."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ears = asyncio.ensure_future(reader.read(-1))
        try:
            for part in said[:-1] if again else said:
                writer.write(part)
            while again:
                writer.write(said[-1])
                await writer.drain()
                await asyncio.sleep(pause)
            await ears
        finally:
            ears.cancel()

    return talk


def head(*fields: tuple[str, str], flags: tuple[str, ...] = ("END_HEADERS",)) -> bytes:
    return HeadersFrame(1, data=Encoder().encode([(":status", "200"), *fields]), flags=flags).serialize()


def bomb() -> bytes:
    """A header section of a few bytes that stands for megabytes: one long field, indexed, many times."""
    encoder = Encoder()
    block = encoder.encode([(":status", "200"), ("x", "a" * 3900)]) + encoder.encode([("x", "a" * 3900)]) * 4000
    return HeadersFrame(1, data=block, flags=["END_HEADERS"]).serialize()


_MANY = 200
HOSTILE = {
    "SETTINGS without end": (hostile(settings() * _MANY), "protocol"),
    "PING without end": (hostile(settings(), PingFrame(0, opaque_data=b"12345678").serialize() * _MANY), "protocol"),
    "CONTINUATION without end": (
        hostile(settings(), head(flags=()), ContinuationFrame(1, data=b"").serialize() * _MANY),
        "protocol",
    ),
    "hints without end": (
        hostile(settings(), HeadersFrame(1, data=b"\x08\x03103", flags=["END_HEADERS"]).serialize() * _MANY),
        "protocol",
    ),
    "empty content without end": (hostile(settings() + head(), DataFrame(1, data=b"").serialize() * _MANY), "protocol"),
    "frames of no known type without end": (hostile(settings(), b"\0\0\0\x7f\0\0\0\0\0" * _MANY), "protocol"),
    "content without end": (hostile(settings() + head(), DataFrame(1, data=b"a" * 16384).serialize()), "body-limit"),
    "content that drips": (hostile(settings() + head(), DataFrame(1, data=b"a").serialize(), pause=0.05), "timeout"),
    "fields that swell": (hostile(settings() + bomb(), again=False), "header-limit"),
    "a frame that is too long": (
        hostile(settings() + b"\x7f\xff\xff\0\0\0\0\0\1" + b"a" * 20000, again=False),
        "timeout",
    ),
    "a push": (
        hostile(
            settings() + PushPromiseFrame(1, promised_stream_id=2, data=b"", flags=["END_HEADERS"]).serialize(),
            again=False,
        ),
        "protocol",
    ),
    "no window": (hostile(settings(_4=0), again=False), "timeout"),
    "nothing at all": (hostile(again=False), "timeout"),
    "HTTP/1.1 after all": (hostile(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", again=False), "timeout"),
    "no status": (
        hostile(settings() + HeadersFrame(1, data=b"\x0f\x2b\x03abc", flags=["END_HEADERS"]).serialize(), again=False),
        "protocol",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_hostile_server_says_is_bounded(name: str, server: Here, context: ssl.SSLContext) -> None:
    """Time, size and number of frames have an end, and the failure says which."""
    talk, kind = HOSTILE[name]
    server.begin(Front(talk=talk))
    began = time.monotonic()
    answer = frames.ask(
        Address.of(server.base_url),
        tuple((n, v or "x") for n, v in ASKED.headers),
        body=b"a" * 100,
        timeout=1.0,
        max_body=200_000,
        context=context,
    )
    assert time.monotonic() - began < 4.0
    assert isinstance(answer, RawFailure) or len(answer.body) <= 200_000
    assert (answer.kind if isinstance(answer, RawFailure) else answer.cut) == kind, answer


def test_a_long_content_goes_out_as_the_windows_open(server: Here, context: ssl.SSLContext) -> None:
    """What is beyond the window of the server waits for it, and what comes back is read whole."""
    sold = b"sunny " * 50_000
    server.begin(Front(first=lambda _: Said(status=200, body=sold[:16384])))
    fields = tuple((n, v or "x") for n, v in ASKED.headers)
    body = bytes(range(256)) * 400
    answer = frames.ask(Address.of(server.base_url), fields, body=body, timeout=10.0, max_body=200_000, context=context)
    assert isinstance(answer, RawAnswer), answer
    assert (answer.status, answer.version, answer.body) == (200, "HTTP/2", sold[:16384])
    assert server.framed[0].body == body


def test_only_the_row_about_frames_is_red_for_a_way_round_in_frames(server: Here) -> None:
    """The whole class, asked of a target that guards HTTP/1.1 alone."""
    server.begin(Front(ways=Ways(priced=lambda _: False)))
    run = judged(server.base_url, claims=["requests"], edit=written, examples=2)
    assert {r.requirement for r in run.red()} == {ID}, told(run)
    assert run.of(Outcome.ERROR, Outcome.UNTESTABLE) == [], told(run)


@pytest.mark.usefixtures("authority")
def test_whether_http2_is_spoken_is_asked_once(server: Here) -> None:
    """Who has chosen something else is not asked again by the same client."""
    server.begin(Front(protocols=("http/1.1",)))
    reader = Reader(timeout=2.0, max_body=1000)
    asked = replace(ASKED, url=server.base_url + PATH)
    failures = [reader.read_raw(asked)[1] for _ in range(3)]
    assert {failure.kind for failure in failures if failure} == {"alpn"}
    until = time.monotonic() + 5.0
    while not server.connections and time.monotonic() < until:
        time.sleep(0.01)
    assert server.connections == ["http/1.1"]


def test_a_target_in_plain_text_is_asked_nothing_in_frames() -> None:
    """Without TLS nothing says who speaks HTTP/2: the row is inapplicable, and says so."""
    with turnstile() as (_, base_url):
        run = judged(base_url, claims=["requests"], edit=written, examples=2, only=(ID,))
    (result,) = run.results.values()
    assert result.outcome is Outcome.INAPPLICABLE
    assert result.finding
    assert "no https origin" in result.finding.reason


@pytest.mark.parametrize("ends", [GoAwayFrame(0, last_stream_id=1), RstStreamFrame(3, error_code=7), None], ids=str)
def test_what_came_to_a_request_before_is_no_answer(ends: Frame | None, server: Here, context: ssl.SSLContext) -> None:
    """However the connection ends, what was served to who came before is not taken for what came to the next."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(settings())
        await reader.read(65536)
        writer.write(head() + DataFrame(1, data=b"sunny", flags=[] if ends is None else ["END_STREAM"]).serialize())
        await writer.drain()
        if ends:
            writer.write(ends.serialize())
            await reader.read(65536)

    server.begin(Front(talk=talk))
    fields = tuple((n, v or "x") for n, v in ASKED.headers)
    address = Address.of(server.base_url)
    answer = frames.ask(address, fields, before=(fields,), timeout=2.0, max_body=1000, context=context)
    assert isinstance(answer, RawFailure), answer
    assert answer.kind == "closed"


@pytest.mark.usefixtures("authority")
@pytest.mark.parametrize("more", [{}, {"trailers": (("x", "s3cr3t-of-mine"),)}], ids=["by curl", "by ours"])
def test_a_secret_in_frames_is_not_recorded(server: Here, more: dict[str, Any]) -> None:
    """A report has a placeholder, and the command takes the secret from the environment."""
    server.begin(Front(first=lambda _: Said(status=402)))
    host = server.base_url.removeprefix("https://")
    told = {":authority": host, "accept": "Bearer s3cr3t-of-mine"}
    own = tuple((name, told.get(name, value)) for name, value in ASKED.headers)
    asked = replace(ASKED, url=server.base_url + PATH, headers=own, before=(own,) if more else (), **more)
    redactor = Redactor.of({"TOKEN": "s3cr3t-of-mine"})
    wire = Wire(timeout=5.0, limits=Limits(), redactor=redactor, hosts=frozenset({host}))
    had = wire.send_raw(asked)
    wire.close()
    assert had.response, had
    sent = server.framed[-1]
    assert ("accept", "Bearer s3cr3t-of-mine") in sent.fields
    assert "s3cr3t" not in json.dumps(had.to_json()) + had.again() + "".join(had.request.frames())
    shell = ["bash", "-c", had.again().replace("python -m", f"{sys.executable} -m")]
    subprocess.run(shell, env=os.environ | {"TOKEN": "s3cr3t-of-mine"}, capture_output=True, timeout=60, check=True)
    again = server.framed[-1]
    assert len(server.framed) in {2, 4}
    assert (sorted(again.fields), again.trailers) == (sorted(sent.fields), sent.trailers)
