"""A recorded answer is read from its file as it was, or refused in one sentence."""

import base64
import contextlib
import gzip
import json
import os
import shutil
import subprocess
import time
import zlib
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vices import answering

from conformance.exchange import Request, Response
from conformance.recorded import Recording, Unreadable, read

# Without a time in it: a test that is named after its bytes has the same name in each worker.
_gzip = partial(gzip.compress, mtime=0)

# One folder for all examples, and a busy machine is no reason to fail.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
OFFER = b'{"x402Version": 2}'
HEAD = b"HTTP/1.1 402 Payment Required\r\nContent-Type: application/json\r\n"
CHUNKS = b"5;a=b\r\n" + OFFER[:5] + b"\r\nD\r\n" + OFFER[5:] + b"\r\n0\r\nTrailer: x\r\n\r\n"


def written(folder: Path, content: object, name: str = "answer") -> Path:
    """A file that holds `content`: bytes and texts as they are, anything else as JSON."""
    path = folder / name
    raw = content if isinstance(content, str | bytes) else json.dumps(content)
    path.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    return path


def one(folder: Path, content: object) -> Recording:
    """The only recording in a file that holds `content`."""
    (recording,) = read(written(folder, content))
    return recording


def answer(folder: Path, content: object) -> Response:
    """The answer of the only recording in a file that holds `content`."""
    response = one(folder, content).exchange.response
    assert response is not None
    return response


def refused(path: Path) -> str:
    """The sentence that refuses `path`, without the path at its beginning."""
    with pytest.raises(Unreadable) as caught:
        read(path)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: ")
    assert sentence.isprintable()
    assert len(sentence) < 500 + len(str(path))
    return sentence.removeprefix(f"{path}: ")


def entry(status: object, **response: object) -> dict[str, object]:
    """An entry of a HAR archive, asked of its own address."""
    asked = {"method": "GET", "url": f"https://shop.example/{status}", "headers": []}
    return {"request": asked, "response": {"status": status, "headers": [], "content": {"size": 0}, **response}}


def archive(*entries: object) -> dict[str, object]:
    return {"log": {"version": "1.2", "entries": list(entries)}}


def test_a_record_has_its_answer_and_request(tmp_path: Path) -> None:
    """Members that are not known are passed over; relative addresses are at no server."""
    asked = {"method": "POST", "url": "/buy?a=1", "headers": {"Accept": "*/*"}, "body": {"n": 1}}
    record = {"status": 402, "headers": {"Date": "x"}, "body": {"x402Version": 2}, "request": asked, "note": [1]}
    found = one(tmp_path, record)
    assert (found.name, found.whole, found.exchange.at, found.exchange.took) == ("answer", True, 0, 0)
    assert found.exchange.response == Response(status=402, headers=(("Date", "x"),), body=OFFER)
    url = "http://recorded.invalid/buy?a=1"
    assert found.exchange.request == Request(method="POST", url=url, headers=(("Accept", "*/*"),), body=b'{"n": 1}')


@pytest.mark.parametrize("extra", [{}, {"headers": None, "body": None, "request": None}, {"headers": {}, "body": ""}])
def test_a_record_of_a_status_is_enough(tmp_path: Path, extra: dict[str, object]) -> None:
    """What is null or absent is empty, no field is invented, and the request is to nowhere."""
    found = one(tmp_path, {"status": 402} | extra)
    assert found.exchange.response == Response(status=402)
    assert found.exchange.request == Request(method="GET", url="http://recorded.invalid/")
    assert not found.whole


@pytest.mark.parametrize(
    ("headers", "whole"),
    [({"date": "x"}, True), ([["DATE", "x"]], True), ({"Content-Type": "a/b"}, False), ({}, False)],
)
def test_a_record_is_whole_with_a_date(tmp_path: Path, headers: object, whole: bool) -> None:
    """Every server with a clock sends Date: where it is missing, somebody chose fields."""
    assert one(tmp_path, {"status": 402, "headers": headers}).whole is whole


@pytest.mark.parametrize(
    ("headers", "lines"),
    [
        ({"A": "b", "C": 5, "D": 0.5}, (("A", "b"), ("C", "5"), ("D", "0.5"))),
        ({"A": ["b", "c"], "D": []}, (("A", "b"), ("A", "c"))),
        ([["A", "b"], ["A", "c"]], (("A", "b"), ("A", "c"))),
        ([{"name": "A", "value": " b\t"}], (("A", "b"),)),
        ({"A": "b\nc", ":status": "402"}, (("A", "b"), ("A", "c"))),
        ({"A": "é", "B": "€é"}, (("A", "é"), ("B", "€é".encode().decode("latin-1")))),
    ],
)
def test_fields_are_lines(tmp_path: Path, headers: object, lines: tuple[tuple[str, str], ...]) -> None:
    """Lists and line feeds are several lines; each character is a byte, what is none is UTF-8."""
    assert answer(tmp_path, {"status": 402, "headers": headers}).headers == lines


@pytest.mark.parametrize(
    ("body", "content"),
    [
        ([1, {"a": None}], b'[1, {"a": null}]'),
        ("<p>é", "<p>é".encode()),
        ('{"a":1}', b'{"a":1}'),
        (402, b"402"),
        (0, b"0"),
        ({}, b"{}"),
        ({"a": "\ud800"}, b'{"a": "\\ud800"}'),
    ],
)
def test_a_body_is_json_or_text(tmp_path: Path, body: object, content: bytes) -> None:
    """Objects, arrays and numbers are written as JSON; a text stands as it is."""
    assert answer(tmp_path, {"status": 402, "body": body}).body == content


def test_an_entry_of_an_archive_is_whole(tmp_path: Path) -> None:
    """Content is decoded there, so the fields that speak of it as it was sent are left out."""
    headers = {"content-type": "a/b", "Content-Encoding": "br", "content-length": "9", "Transfer-Encoding": "chunked"}
    listed = [{"name": name, "value": value} for name, value in headers.items()]
    told = {"statusText": "Payment Required", "httpVersion": "HTTP/2", "headers": listed}
    refusal = entry(402, **told, content={"size": 3, "text": "é!"})
    refusal["request"] = {
        "method": "POST",
        "url": "https://shop.example/b",
        "headers": [{"name": "A", "value": "b"}],
        "postData": {"mimeType": "text/plain", "text": "hi"},
    }
    found = one(tmp_path, archive(entry(200), refusal))
    assert (found.name, found.whole) == ("answer log.entries[1] (https://shop.example/b)", True)
    assert found.exchange.response == Response(
        status=402, reason="Payment Required", version="HTTP/2", headers=(("content-type", "a/b"),), body="é!".encode()
    )
    url = "https://shop.example/b"
    assert found.exchange.request == Request(method="POST", url=url, headers=(("A", "b"),), body=b"hi")


@pytest.mark.parametrize(
    ("statuses", "kept"),
    [
        ([200, 402, 404, 402], [402, 402]),
        ([200, 404, 500, 429], [404, 429]),
        ([200, 0, 500, -1], [200, 500]),
        ([700, 402], [402]),
    ],
)
def test_the_refusals_of_an_archive_are_kept(tmp_path: Path, statuses: list[int], kept: list[int]) -> None:
    """Those with 402, else with 4xx, else all that were answered."""
    found = read(written(tmp_path, archive(*map(entry, statuses))))
    assert [recording.exchange.response.status for recording in found] == kept


def test_base64_in_an_archive_is_decoded(tmp_path: Path) -> None:
    """Also where it is broken into lines."""
    text = base64.encodebytes(bytes(range(256))).decode()
    assert answer(tmp_path, archive(entry(402, content={"text": text, "encoding": "base64"}))).body == bytes(range(256))


@pytest.mark.parametrize(
    ("fields", "content", "body"),
    [
        (b"", OFFER, OFFER),
        (b"", b"", b""),
        (b"Content-Length: 18\r\n", OFFER, OFFER),
        (b"Content-Length: 18\r\n", OFFER + b"\n", OFFER + b"\n"),
        (b"Content-Length: 4\r\nContent-Length: 5\r\n", b"a", b"a"),
        (b"Transfer-Encoding: chunked\r\n", CHUNKS, OFFER),
        (b"Transfer-Encoding: chunked\r\n", CHUNKS[: CHUNKS.rindex(b"0\r\n") + 1], OFFER),
        (b"Transfer-Encoding: chunked\r\n", OFFER, OFFER),
        (b"Transfer-Encoding: chunked\r\n", b"cafe", b"cafe"),
        (b"Content-Encoding: gzip\r\n", _gzip(OFFER), OFFER),
        (b"Content-Encoding: x-gzip\r\nContent-Length: 38\r\n", _gzip(OFFER) + b"\n", OFFER),
        (b"Content-Encoding: gzip\r\nContent-Length: 38\r\n", OFFER, OFFER),
        (b"Content-Encoding: gzip\r\n", b"\xe9", b"\xe9"),
        (b"Content-Encoding: deflate\r\n", zlib.compress(OFFER), OFFER),
        (b"Content-Encoding: br\r\n", OFFER, OFFER),
        (b"Content-Encoding: identity\r\n", b"\xff", b"\xff"),
        (
            b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
            b"26\r\n" + _gzip(OFFER) + b"\r\n0\r\n\r\n",
            OFFER,
        ),
    ],
)
def test_the_content_of_a_message_is_decoded_once(tmp_path: Path, fields: bytes, content: bytes, body: bytes) -> None:
    """Chunks and codings are taken off unless whoever recorded it did so; every field stays."""
    found = answer(tmp_path, HEAD + fields + b"\r\n" + content)
    assert found.body == body
    listed = [tuple(line.decode().split(": ")) for line in fields.splitlines()]
    assert found.headers == (("Content-Type", "application/json"), *listed)
    assert one(tmp_path, HEAD + fields + b"\r\n" + content).whole


@pytest.mark.parametrize(
    ("line", "version", "reason"),
    [
        (b"HTTP/2 402 ", "HTTP/2", ""),
        (b"HTTP/2 402", "HTTP/2", ""),
        (b"HTTP/1.0 402 Pay \xe9", "HTTP/1.0", "Pay é"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: <a>\r\n\r\nHTTP/1.1 402 Pay", "HTTP/1.1", "Pay"),
        (b"\xef\xbb\xbf\r\nHTTP/1.1 402 Pay", "HTTP/1.1", "Pay"),
    ],
)
@pytest.mark.parametrize("end", [b"\r\n", b"\n"], ids=["crlf", "lf"])
def test_a_status_line_begins_the_final_answer(
    tmp_path: Path, line: bytes, version: str, reason: str, end: bytes
) -> None:
    """Interim answers are skipped; HTTP/2 has no reason; fields may go on in the next line."""
    message = (line + b"\r\nA:b\r\n  c\r\nD: \xe9 \r\n\r\n").replace(b"\r\n", end) + b"hi"
    headers = (("A", "b c"), ("D", "é"))
    expected = Response(status=402, reason=reason, version=version, headers=headers, body=b"hi")
    assert answer(tmp_path, message) == expected


def test_a_message_without_fields_is_one(tmp_path: Path) -> None:
    """The shortest there is: a status line and an empty line."""
    assert answer(tmp_path, b"HTTP/1.1 402\n\n") == Response(status=402)


def test_line_feeds_alone_make_no_message_too_short(tmp_path: Path) -> None:
    """An editor that takes carriage returns out shortens the content, so its length proves nothing."""
    message = b"HTTP/1.1 402 Pay\nContent-Length: 99\n\nhi"
    assert answer(tmp_path, message).headers == (("Content-Length", "99"),)
    assert answer(tmp_path, b"HTTP/1.1 402 Pay\nTransfer-Encoding: chunked\n\n2\nhi\n0\n\n").body == b"hi"


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
@pytest.mark.parametrize("options", [[], ["--compressed"], ["--raw"]], ids=" ".join)
@pytest.mark.parametrize(
    "framed",
    [
        b"\r\n" + OFFER,
        b"Content-Length: 18\r\n\r\n" + OFFER,
        b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS.replace(b"Trailer: x\r\n", b""),
        b"Content-Encoding: gzip\r\nContent-Length: 38\r\n\r\n" + _gzip(OFFER),
    ],
    ids=["closed", "length", "chunked", "gzip"],
)
def test_what_curl_records_is_read(tmp_path: Path, framed: bytes, options: list[str]) -> None:
    """Whether curl took chunks and codings off or not, the answer is the same."""
    with answering(HEAD + framed) as served:
        command = ["curl", "-s", "-i", "--noproxy", "*", *options, "-o", str(tmp_path / "answer"), served.base_url]
        subprocess.run(command, check=True, timeout=30)
    (found,) = read(tmp_path / "answer")
    assert found.exchange.response.body == OFFER


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "the file is empty; expected a JSON object with status, a HAR archive"),
        (" \n", "the file is empty; "),
        ("hello", "this cannot be read as JSON (Expecting value: line 1 column 1 (char 0)); expected "),
        (b'{"status": "\xff"}', "this cannot be read as JSON ('utf-8' codec can't decode byte 0xff in position 12"),
        ('{"status": 402}'.encode("utf-16"), "in UTF-8"),
        ('{"status": 402,}', "this cannot be read as JSON ("),
        ("[" * 9000, "this cannot be read as JSON (nested more than 500 levels deep)"),
        ("[]", "this is JSON, but no recording; expected a JSON object with status"),
        ("402", "this is JSON, but no recording; "),
        ({"code": 402}, "this is JSON, but no recording; "),
        ('{"status": 402, "status": 200}', "'status' stands twice in one object; write pairs for headers"),
        *(({"status": each}, f"status is {json.dumps(each)}; expected an integer from 100 to 599")
          for each in (99, 600, 10**30, -1, True, None, 402.0)),
        ({"status": "402"}, "status is a text; expected an integer from 100 to 599"),
        ({"status": 402, "headers": "A: b"}, "headers is a text; expected an object of texts, or [[name, value], ...]"),
        ({"status": 402, "headers": ["A"]}, "headers has a text in its list; expected [name, value], the name a text"),
        ({"status": 402, "headers": [["A", "b", "c"]]}, "headers has an array in its list; expected [name, value]"),
        ({"status": 402, "headers": [{"name": "A"}]}, "headers.A is null; expected a text, a number or a list"),
        ({"status": 402, "headers": {"A": True}}, "headers.A is true; expected a text, a number or a list of texts"),
        ({"status": 402, "headers": {"A": [{}]}}, "headers.A is an object; expected a text, a number or a list"),
        ({"status": 402, "headers": {"A b": "c"}}, "headers.A b is no name of a header field; write one such as"),
        ({"status": 402, "headers": {"": "c"}}, "headers. is no name of a header field"),
        ({"status": 402, "headers": {"A": "b\r\nc"}}, "headers.A has a control character; take it out"),
        ({"status": 402, "body": False}, "body is false; expected an object, an array, a text, a number or null"),
        ('{"status": 402, "body": [1e999]}', "body cannot be written as JSON (Out of range float"),
        ({"status": 402, "request": []}, "request is an array; expected an object"),
        ({"status": 402, "request": {"method": 1}}, "request.method is 1; expected a text"),
        ({"status": 402, "request": {"method": "GET /"}}, "request.method or url is none; expected such as GET and"),
        ({"status": 402, "request": {"url": "http://["}}, "request.method or url is none; expected such as GET and"),
        ({"status": 402, "request": {"headers": 1}}, "request.headers is 1; expected an object of texts"),
        ({"log": []}, "log is an array; expected an object"),
        ({"log": {}}, "log.entries has no entry with an answer; export the archive after one came"),
        ({"log": {"entries": {}}}, "log.entries is an object; expected an array"),
        (archive(), "log.entries has no entry with an answer"),
        (archive(entry(0), entry(-1)), "log.entries has no entry with an answer"),
        (archive(*[0] * 10_001), "log.entries has more than 10000 entries; keep only the answers to be judged"),
        (archive(1), "log.entries[0] is 1; expected an object"),
        (archive(None), "log.entries[0].response.status is null; expected an integer from 100 to 599"),
        (archive(entry(200), entry("402")), "log.entries[1].response.status is a text; expected an integer"),
        (archive(entry(402.0)), "log.entries[0].response.status is 402.0; expected an integer"),
        (archive(entry(402, headers={"A": None})), "log.entries[0].response.headers.A is null; expected a text"),
        (archive(entry(402, statusText=1)), "log.entries[0].response.statusText is 1; expected a text"),
        (archive(entry(402, content={"size": 7})), "log.entries[0].response.content has a size and no text; export"),
        (
            archive(entry(402, content={"text": "a", "encoding": "base64"})),
            "log.entries[0].response.content.text is not base64 (",
        ),
        (
            archive(entry(402, content={"text": "a", "encoding": "rot13"})),
            "log.entries[0].response.content.encoding is 'rot13'; expected base64 or none",
        ),
        ("GET /a HTTP/1.1\r\nHost: b\r\n\r\nHTTP/1.1 402\r\n\r\n", "this begins with a request; take that out, so"),
        ("HTTP/1.1 402x\r\n\r\n", "line 1: this is no status line; expected one such as HTTP/1.1 402 Payment Required"),
        ("\n\nhttp/1.1 402 Pay\r\n\r\n", "line 3: this is no status line; "),
        ("HTTP/1.1 600 Pay\r\n\r\n", "line 1: the status is 600; expected an integer from 100 to 599"),
        ("HTTP/1.1 402 Pay", "line 1: no empty line ends this header; record the whole answer with curl -i"),
        ("HTTP/1.1 402 Pay\r\nA: b\r\n", "line 1: no empty line ends this header; "),
        ("HTTP/1.1 100 Go\r\nA: b\r\n\r\n", "line 4: this is no status line; "),
        ("HTTP/1.1 402 Pay\r\nA: b\r\nA b\r\n\r\n", "line 1: 'A b' is no field; expected name: value"),
        ("HTTP/1.1 402 Pay\r\nA: \0\r\n\r\n", "line 1: 'A: \\x00' is no field; "),
        (HEAD + b"Content-Length: 20\r\n\r\n" + OFFER, "line 5: 18 bytes of content are less than its Content-Length; "),
        (HEAD + b"Content-Length: 20\r\n\r\n", "line 5: 0 bytes of content are less than its Content-Length; record"),
        (
            HEAD + b"Content-Length: 39\r\nContent-Encoding: gzip\r\n\r\n" + _gzip(OFFER),
            "line 6: 38 bytes of content are less than its Content-Length; ",
        ),
        (
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS[:20],
            "line 5: the content breaks off before its last chunk; record the answer again",
        ),
        (HEAD + b"\r\n" + HEAD + b"\r\n", "line 4: a second answer follows the first; record the answer again, alone"),
        (HEAD + b"Content-Length: 18\r\n\r\n" + OFFER + HEAD + b"\r\n", "line 5: a second answer follows the first; "),
        (HEAD + b"Content-Encoding: gzip\r\n\r\n" + _gzip(OFFER)[:-9], "line 5: the gzip body does not decode"),
        (HEAD + b"Content-Encoding: br\r\n\r\n\x8b\x08\x80", "line 5: Content-Encoding br was not asked for"),
        (HEAD + b"Content-Encoding: gzip\r\n\r\n" + _gzip(bytes(21_000_000)), "line 5: the body is longer than"),
    ],
)  # fmt: skip
def test_what_is_no_recording_is_refused(tmp_path: Path, content: object, sentence: str) -> None:
    """In one sentence that says what is wrong, where, and what was expected."""
    assert sentence in refused(written(tmp_path, content))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """Something missing, a directory, a pipe that nobody writes to, a name that cannot be, and too much of it."""
    os.mkfifo(tmp_path / "pipe")
    written(tmp_path, b" " * 20_000_001, "large")
    directory = "this is a directory, a pipe or a device; name the file that has the answer"
    names = {
        "gone": "the file cannot be read (No such file or directory); name one that is there and readable",
        "": directory,
        "pipe": directory,
        "a" * 300: "the file cannot be read (File name too long); name one that is there and readable",
        "large": "the file is larger than 20 MB; keep only the answers to be judged",
    }
    assert {name: refused(tmp_path / name) for name in names} == names
    with pytest.raises(Unreadable, match="embedded null byte"):
        read(tmp_path / "a\0b")


@pytest.mark.parametrize(
    "content",
    [
        b"HTTP/1.1 100 \r\n\r\n" * 400_000,
        b"HTTP/1.1 402 \r\n" + b"a:\r\n" * 4_000_000 + b"\r\n",
        b"HTTP/1.1 402 \r\na:" + b"\r\n " * 170_000 + b"\r\n\r\n",
        b"HTTP/1.1 402 \r\na:" + b" " * 500_000 + b"\0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 1_000_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;" + b" " * 19_000_000,
        HEAD + b"Content-Encoding: gzip\r\n\r\n" + _gzip(b"") * 900_000,
        b'{"status": 402, "headers": [' + b'["a",1],' * 100_000 + b"[]]}",
        b'{"log": {"entries": [' + b"{}," * 200_000 + b"{}]}}",
    ],
    ids=["interim", "fields", "folds", "blanks", "chunks", "extension", "members", "pairs", "entries"],
)
def test_a_hostile_file_takes_no_long_time(tmp_path: Path, content: bytes) -> None:
    """What is nearly as large as can be is read, or refused, in a time that grows with its size."""
    path = written(tmp_path, content)
    began = time.process_time()
    with contextlib.suppress(Unreadable):
        read(path)
    assert time.process_time() - began < 30


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.sampled_from(["base64", "A"])
names = st.text(max_size=5) | st.sampled_from(["name", "value", "method", "url", "text", "encoding", "size", "content"])
junk = st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3))
tables = st.dictionaries(st.sampled_from(["A", "Date", "b"]), plain) | st.lists(st.tuples(names, plain), max_size=2)
headers = tables | st.lists(st.fixed_dictionaries({"name": names, "value": plain}), max_size=2) | junk
requests = st.fixed_dictionaries({}, optional={"method": plain, "url": junk, "headers": headers, "body": junk})
statuses = st.sampled_from([402, 404, 200, 0]) | junk
answers = st.fixed_dictionaries({"status": statuses}, optional={"headers": headers, "body": junk, "content": junk})
records = st.builds(lambda answered, asked: answered | {"request": asked}, answers, requests | junk)
entries = st.fixed_dictionaries({"response": answers | junk}, optional={"request": requests | junk})
archives = st.builds(lambda inside: {"log": {"entries": inside}}, st.lists(entries | junk, max_size=3))
lines = st.sampled_from(
    [
        *(b"HTTP/1.1 402 Pay", b"HTTP/2 103", b"HTTP/", b"Content-Length: 3", b"Transfer-Encoding: chunked", b" a"),
        *(b"Content-Encoding: gzip", b"Content-Encoding: deflate", b"3", b"0", b"abc", b"", _gzip(b"abc")),
    ]
)
ends = st.sampled_from([b"\r\n", b"\n", b"\r"])
pieces = st.lists(st.tuples(lines | st.binary(max_size=8), ends), max_size=12)
messages = pieces.map(lambda parts: b"".join(line + end for line, end in parts))


def only_sentences(path: Path) -> None:
    """Reads `path`, which is a tuple of recordings that can be written down, or one printable sentence."""
    try:
        found = read(path)
    except Unreadable:
        refused(path)
        return
    assert found
    for recording in found:
        assert 100 <= recording.exchange.response.status <= 599
        json.dumps(recording.exchange.to_json())
        assert recording.exchange.again().isprintable()


@unhurried
@given(st.binary(max_size=60) | messages | messages.map(lambda rest: b"HTTP/1.1 402 Pay\r\n" + rest))
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    """Nothing but Unreadable ever comes of a file."""
    only_sentences(written(tmp_path, content))


@unhurried
@given(junk | records | archives | answers)
def test_any_json_is_read_or_refused(tmp_path: Path, document: object) -> None:
    """Whatever stands where something else was expected."""
    only_sentences(written(tmp_path, document))
