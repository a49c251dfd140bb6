"""An exchange survives being written down, and its curl line asks the same again."""

import encodings.aliases
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vices import answering

from conformance.exchange import Exchange, Failure, Request, Response

unhurried = settings(deadline=None)  # a busy machine is no reason to fail
latin = st.text(alphabet=st.characters(max_codepoint=255), max_size=20)
fields = st.lists(st.tuples(latin, latin), max_size=4).map(tuple)
requests = st.builds(Request, method=latin, url=st.text(max_size=30), headers=fields, body=st.binary(max_size=30))
responses = st.builds(
    Response,
    status=st.integers(100, 999),
    reason=latin,
    version=st.just("HTTP/1.1"),
    headers=fields,
    body=st.binary(max_size=30),
    after=st.binary(max_size=10),
)
failures = st.builds(Failure, kind=st.sampled_from(["refused", "timeout"]), detail=st.text(max_size=20))
moments = st.floats(0, 1000).map(lambda seconds: round(seconds, 4))
exchanges = st.builds(
    Exchange,
    request=requests,
    response=st.none() | responses,
    failure=st.none() | failures,
    at=moments,
    took=moments,
)
PLAIN = (("User-Agent", "pytest-402"), ("Accept", "*/*"), ("Accept-Encoding", "gzip, deflate"))


@unhurried
@given(exchanges)
def test_an_exchange_comes_back_from_json(exchange: Exchange) -> None:
    """Every byte of request and answer, whether its body is text or not."""
    assert Exchange.from_json(json.loads(json.dumps(exchange.to_json()))) == exchange


def test_field_lines_are_told_apart_and_combined() -> None:
    """Names are compared without case; several lines are a list, and combined with a comma."""
    answer = Response(status=402, headers=(("Link", "<a>"), ("LINK", "<b>"), ("X", "")))
    assert answer.values("link") == ("<a>", "<b>")
    assert answer.value("link") == "<a>, <b>"
    assert answer.value("x") == ""
    assert answer.value("y") is None


def test_a_body_that_is_no_json_is_none() -> None:
    """Also one that is nested deeper than anyone reads."""
    for body in (b"", b"{", b"\xff", b"[" * 100_000):
        answer = Response(status=402, body=body)
        assert answer.json_or_none() is None
        with pytest.raises(ValueError):
            answer.json()


def test_a_media_type_has_no_parameters() -> None:
    """In lower case; empty without the field."""
    assert Response(status=402, headers=(("Content-Type", "Text/HTML; charset=x"),)).media_type() == "text/html"
    assert Response(status=402).media_type() == ""


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("", "é".encode(), "é"),
        ("text/html", b"\xe9", "\ufffd"),
        ("text/html; charset=iso-8859-1", b"\xe9", "é"),
        ('text/html; a=b; Charset = "ISO-8859-1"; c=d', b"\xe9", "é"),
        ("text/plain;charset=Shift_JIS", "東京".encode("shift_jis"), "東京"),
        ("text/plain; charset=utf-16", "é".encode("utf-16-le"), "é"),
        ("text/plain; charset=utf-16", b"\xff\xfe" + "é".encode("utf-16-le"), "é"),
        ("text/plain; charset=utf-16", b"\xfe\xff" + "é".encode("utf-16-be"), "é"),
        ("text/plain; charset=utf-16be", "é".encode("utf-16-be"), "é"),
        ("text/plain; charset=utf-32", "é".encode("utf-32"), "é"),
        ("text/plain; charset=utf-32", "é".encode("utf-32-le"), "é"),
        ("text/plain; charset=iso-8859-1", b"\xff\xfe" + "é".encode("utf-16-le"), "é"),
        ("text/plain", b"\xef\xbb\xbf" + "é".encode(), "é"),
        ("text/plain; charset=klingon", "é".encode(), "é"),
        ("text/plain; charset=hex", b"6869", "6869"),
        ("text/plain; charset=rot13", b"hi", "hi"),
        ("text/plain; charset=zlib", b"hi", "hi"),
        ("text/plain; charset=undefined", b"hi", "hi"),
        ("text/plain; charset=unicode_escape", b"\\q", "\\q"),
        ("text/plain; charset=raw-unicode-escape", b"\\u0041", "\\u0041"),
        ("text/plain; charset=idna", b"xn--" + b"a" * 100_000, "xn--" + "a" * 100_000),
        ("text/plain; charset=../../etc/passwd", b"hi", "hi"),
        ("text/plain; charset=", b"hi", "hi"),
    ],
)
def test_a_body_is_read_in_its_charset(content_type: str, body: bytes, text: str) -> None:
    """The byte order mark, else what Content-Type says as far as it is a charset, else UTF-8; never an exception."""
    headers = (("Content-Type", content_type),) if content_type else ()
    assert Response(status=402, headers=headers, body=body).text() == text


@unhurried
@given(
    st.binary(max_size=50),
    st.sampled_from(sorted(set(encodings.aliases.aliases) | set(encodings.aliases.aliases.values()))),
)
def test_no_charset_breaks_a_text(body: bytes, charset: str) -> None:
    """Every name that Python knows for a codec, and any bytes."""
    text = Response(status=402, headers=(("Content-Type", f"text/plain; charset={charset}"),), body=body).text()
    assert isinstance(text, str)


def test_a_request_shows_no_content_in_a_traceback() -> None:
    """Before it is recorded it has the secrets in it, and pytest prints the arguments of each frame."""
    asked = Request(method="GET", url="http://a/hunter22", headers=(("X-Api-Key", "hunter22"),), body=b"hunter22")
    answer = Response(status=402, reason="hunter22", headers=asked.headers, body=b"hunter22", after=b"hunter22")
    assert "hunter22" not in repr(Exchange(request=asked, response=answer))


def asked_by(line: str, base_url: str, asked: list[bytes], folder: Path) -> bytes:
    """What a shell that runs ``line`` sends."""
    assert base_url in line
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "KEY": "hunter 22$x", "HOME": str(folder), "LC_ALL": "C"}
    done = subprocess.run(
        ["bash", "-c", f"{line} --silent --max-time 10"], env=env, cwd=folder, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b""), (line, done.stderr)
    assert len(asked) == 1, (line, asked)
    return asked[0]


@pytest.mark.skipif(not shutil.which("curl") or not shutil.which("bash"), reason="needs curl and bash")
@pytest.mark.parametrize(
    ("method", "target", "headers", "body"),
    [
        ("GET", "/weather?city=Paris&unit=c", PLAIN, b""),
        ("GET", "/", PLAIN, b""),
        ("HEAD", "/weather", PLAIN, b""),
        ("OPTIONS", "/weather", (*PLAIN, ("Origin", "https://shop.example")), b""),
        ("DELETE", "/a", PLAIN, b""),
        ("POST", "/a", (*PLAIN, ("Content-Type", "application/json")), b'{"city": "Paris", "it\'s": "$HOME `id` !x"}'),
        ("POST", "/a", (*PLAIN, ("Content-Type", "text/plain")), b""),
        ("PUT", "/a", (*PLAIN, ("Content-Type", "text/plain")), b"x"),
        ("GET", "/a", (*PLAIN, ("Content-Type", "text/plain")), b"a GET with content"),
        ("GET", "/a/../b//c/./d", PLAIN, b""),
        ("GET", "/a?x=[1-3]&y={a,b}", PLAIN, b""),
        ("GET", "/%2e%2E/%20?x=%00&&x=1;y='z'", PLAIN, b""),
        ("GET", "/a", (*PLAIN, ("X-Empty", ""), ("X-Two", "1"), ("X-Two", "2")), b""),
        ("GET", "/a", (*PLAIN, ("X-Odd", "a\"b'c\\d`e$HOME;f")), b""),
        ("GET", "/a", (*PLAIN, ("X-Latin", "caf\xe9")), b""),
        ("GET", "/a", (*PLAIN, ("X-Both", "it's caf\xe9 \\ \"")), b""),
        ("GET", "/a", (*PLAIN, ("Host", "evil.example")), b""),
        ("GET", "/a", (PLAIN[0], PLAIN[2]), b""),
        ("GET", "/a", PLAIN[1:], b""),
        ("POST", "/a", PLAIN, b"no media type"),
        ("POST", "/a", (*PLAIN, ("Content-Type", "text/plain")), "Zürich, 東京".encode()),
        ("POST", "/a", (*PLAIN, ("Content-Type", "application/octet-stream")), b"\xff\xfe\x01\r\n\t\\x41'"),
        ("POST", "/a", (*PLAIN, ("Content-Type", "text/plain")), b"@/etc/hostname"),
        ("POST", "/a", (*PLAIN, ("Content-Type", "text/plain")), b"line one\nline two\r\n"),
        ("POST", "/a", (*PLAIN, ("Content-Type", "text/plain")), b"-d x --next"),
        ("POST", "/a", (*PLAIN, ("Content-Type", "text/plain")), b"a\0b\\0c%d\n'\"!x\xff"),
        ("POST", "/a", (*PLAIN, ("Content-Type", "text/plain")), b"a" * 5000),
        ("POST", "/a", (*PLAIN, ("Content-Type", "text/plain")), b"a" * 50000 + b"\0"),
        ("GET", "/a", (*PLAIN, ("X-Odd", "!x !! !$")), b""),
        ("M-SEARCH", "/a", PLAIN, b""),
        ("A'B`C", "/a", PLAIN, b""),
        ("GET", "/a", (), b""),
    ],
)
def test_a_curl_line_asks_the_same(
    tmp_path: Path, method: str, target: str, headers: tuple[tuple[str, str], ...], body: bytes
) -> None:
    """Method, target, fields and content arrive as they were sent, byte by byte, from any shell and locale."""
    with answering(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n") as served:
        url = served.base_url + target
        line = Request(method=method, url=url, headers=headers, body=body).curl()
        head, _, content = asked_by(line, served.base_url, served.asked, tmp_path).partition(b"\r\n\r\n")
    first, *rest = head.split(b"\r\n")
    assert first == f"{method} {target} HTTP/1.1".encode()
    got = sorted(tuple(part.decode("latin-1").split(":", 1)) for part in rest)
    sent = {name.lower() for name, _ in headers}
    extra = [] if "host" in sent else [("Host", served.base_url.removeprefix("http://"))]
    if body:
        extra.append(("Content-Length", str(len(body))))
    assert [(n, v.strip()) for n, v in got if n != "Content-Length" or body] == sorted([*headers, *extra])
    assert content == body


@pytest.mark.skipif(not shutil.which("curl") or not shutil.which("bash"), reason="needs curl and bash")
def test_a_curl_line_takes_secrets_from_the_environment(tmp_path: Path) -> None:
    """Whoever has the variable asks what we asked; the line itself holds only its name."""
    headers = (*PLAIN, ("Authorization", "Bearer <secret:KEY>"), ("X-A", 'a"$b`\\ <secret:KEY>'))
    with answering(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n") as served:
        url = f"{served.base_url}/a"
        line = Request(method="POST", url=url, headers=headers, body=b'{"k": "<secret:KEY>"}').curl()
        asked = asked_by(line, served.base_url, served.asked, tmp_path)
    assert b"Authorization: Bearer hunter 22$x\r\n" in asked
    assert b'X-A: a"$b`\\ hunter 22$x\r\n' in asked
    assert asked.endswith(b'{"k": "hunter 22$x"}')


@pytest.mark.skipif(not shutil.which("curl") or not shutil.which("bash"), reason="needs curl and bash")
@pytest.mark.parametrize(
    "body", ["é! '<secret:KEY>' $x".encode(), b"\0 <secret:KEY>\\ %s <secret:KEY>", b"<secret:KEY>"]
)
def test_a_secret_in_any_content_comes_from_the_environment(tmp_path: Path, body: bytes) -> None:
    """Beside bytes that are no text, quotes, and what a shell or printf would take for its own."""
    with answering(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n") as served:
        line = Request(method="POST", url=f"{served.base_url}/a", headers=PLAIN, body=body).curl()
        asked = asked_by(line, served.base_url, served.asked, tmp_path)
    assert asked.partition(b"\r\n\r\n")[2] == body.replace(b"<secret:KEY>", b"hunter 22$x")
    assert b"Content-Type" not in asked


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_what_curl_would_not_show_is_asked_on_a_socket() -> None:
    """Bytes that follow the answer are seen again by sending the same message, byte by byte."""
    headers = (("X-Odd", "a\\nb%s'\"!\xe9"), ("X-Key", "<secret:KEY>"))
    request = Request(method="HEAD", url="http://127.0.0.1:8402/a?b=%20", headers=headers)
    line = Exchange(request=request, response=Response(status=402, after=b"x")).again()
    command, _, rest = line.rpartition(" | ")
    assert rest == "nc 127.0.0.1 8402"
    assert line.isascii()
    sent = subprocess.run(["bash", "-c", command], env={"KEY": "a\\n$b"}, capture_output=True, check=True).stdout
    assert sent == request.message().replace(b"<secret:KEY>", b"a\\n$b")
    secure = Request(method="HEAD", url="https://api.example/a")
    again = Exchange(request=secure, response=Response(status=402, after=b"x")).again()
    assert again.endswith(" | openssl s_client -quiet -connect api.example:443")


@unhurried
@given(requests.map(lambda r: replace(r, method="GET")))
def test_a_curl_line_is_one_line_is_one_line_of_printable_ascii(request_: Request) -> None:
    """It can be copied from any terminal, and nothing in it steers one."""
    line = request_.curl()
    assert line.isascii()
    assert line.isprintable()
