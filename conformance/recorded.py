"""An answer that was recorded, read from a file: a JSON record, a HAR archive, or a message as curl -i prints it."""

import base64
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from conformance import coding, documents, fields
from conformance.exchange import Exchange, Request, Response
from conformance.outcome import printable

__all__ = ["Recording", "Unreadable", "read"]

_Kind = TypeVar("_Kind", str, dict[str, Any], list[Any])
_LARGEST = 20_000_000
_LONGEST_HEADER, _MOST_ENTRIES = 524288, 10_000
_NOWHERE = "http://recorded.invalid/"
_FORMS = "expected a JSON object with status, a HAR archive with log.entries, or an HTTP answer as curl -i prints it"
_KINDS: dict[type, str] = {dict: "an object", list: "an array", str: "a text"}
# What speaks of the content as it was sent; an archive has it decoded.
_FRAMES = {"content-encoding", "content-length", "transfer-encoding"}
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NO_VALUE = re.compile(r"[\0\n\v\f\r]")
_STATUS_LINE = re.compile(rb"HTTP/([0-9](?:\.[0-9])?) ([0-9]{1,9})(?: ([^\0\n\v\f\r]*))?(\r?)(?:\n|\Z)")
_FIELD = re.compile(rf"({_TOKEN.pattern}):([^\0\n\v\f\r]*)".encode())
_FOLD = re.compile(rb"\r?\n[ \t]+")
_BLANK_LINE = re.compile(rb"\n\r?\n")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?(?:\r?\n|\Z)")


class Unreadable(ValueError):
    """A file that is no recording; the message is one sentence for whoever named the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One answer as recorded, with its request as far as that is known."""

    exchange: Exchange
    whole: bool
    """Whether every field of the message is known; where not, a missing field proves nothing."""
    name: str
    """What it is called in a sentence."""


def read(path: Path) -> tuple[Recording, ...]:
    """The answers recorded in ``path``, at least one; of a HAR archive those with 402, else with 4xx, else all.

    Raises Unreadable for a file that is none of the forms, that breaks off, or that is larger than 20 MB.
    """
    at, name = f"{printable(str(path))}: ", printable(path.name)
    data = _data(path, at).removeprefix(b"\xef\xbb\xbf")
    start = data.lstrip()
    if start[:5].upper() == b"HTTP/":
        response = _message(start, data.count(b"\n", 0, len(data) - len(start)) + 1, at)
        return (Recording(exchange=Exchange(request=_request({}, at), response=response), whole=True, name=name),)
    if re.match(rb"[A-Z]{3,20} [^ \r\n]{1,9999} HTTP/[0-9]", start):
        raise Unreadable(f"{at}this begins with a request; take that out, so that the status line comes first")
    try:
        document, twice = documents.loads(data), documents.duplicate_keys(data)
    except ValueError as error:
        what = f"this cannot be read as JSON ({error})" if start else "the file is empty"
        raise Unreadable(f"{at}{what}; {_FORMS}, in UTF-8") from error
    if isinstance(document, dict) and "log" in document and "status" not in document:
        return _archive(_get(document, "log", dict, at), at, name)
    if not isinstance(document, dict) or "status" not in document:
        raise Unreadable(f"{at}this is JSON, but no recording; {_FORMS}")
    if twice:
        raise Unreadable(f"{at}{twice[0][:40]!r} stands twice in one object; write pairs for headers, the body as text")
    headers, body = _fields(document.get("headers"), f"{at}headers"), _body(document.get("body"), f"{at}body")
    response = Response(status=_status(document["status"], f"{at}status"), headers=headers, body=body)
    exchange = Exchange(request=_request(_get(document, "request", dict, at), f"{at}request."), response=response)
    return (Recording(exchange=exchange, whole=response.value("date") is not None, name=name),)


def _data(path: Path, at: str) -> bytes:
    try:
        # Nothing but a file is opened: a pipe may never end.
        size, regular = path.stat().st_size, path.is_file()
        data = path.read_bytes() if regular and size <= _LARGEST else b""
    except (OSError, ValueError) as error:
        why = printable(str(getattr(error, "strerror", None) or error))
        raise Unreadable(f"{at}the file cannot be read ({why}); name one that is there and readable") from error
    if not regular:
        raise Unreadable(f"{at}this is a directory, a pipe or a device; name the file that has the answer")
    if size > _LARGEST:
        raise Unreadable(f"{at}the file is larger than {_LARGEST // 10**6} MB; keep only the answers to be judged")
    return data


def _archive(log: dict[str, Any], at: str, name: str) -> tuple[Recording, ...]:
    if len(listed := _get(log, "entries", list, f"{at}log.")) > _MOST_ENTRIES:
        raise Unreadable(f"{at}log.entries has more than {_MOST_ENTRIES} entries; keep only the answers to be judged")
    entries = {f"log.entries[{index}]": entry for index, entry in enumerate(listed)}
    answers = {key: _get(_get(entries, key, dict, at), "response", dict, f"{at}{key}.") for key in entries}
    # Browsers write 0 or -1 where no answer came.
    statuses = {key: answer.get("status") for key, answer in answers.items() if answer.get("status") not in (0, -1)}
    kept = [key for key, status in statuses.items() if status == 402]
    kept = kept or [key for key, status in statuses.items() if isinstance(status, int) and 400 <= status <= 499]
    if not statuses:
        raise Unreadable(f"{at}log.entries has no entry with an answer; export the archive after one came")
    return tuple(_entry(entries[key] or {}, answers[key], key, at, name) for key in kept or statuses)


def _entry(entry: dict[str, Any], answer: dict[str, Any], key: str, at: str, name: str) -> Recording:
    asked = _get(entry, "request", dict, f"{at}{key}.")
    posted = _get(_get(asked, "postData", dict, f"{at}{key}.request."), "text", str, f"{at}{key}.request.postData.")
    request = _request({**asked, "body": posted}, f"{at}{key}.request.")
    at = f"{at}{key}.response."
    content, headers = _get(answer, "content", dict, at), _fields(answer.get("headers"), f"{at}headers")
    text, encoding = (_get(content, member, str, f"{at}content.") for member in ("text", "encoding"))
    if content.get("text") is None and content.get("size", 0) not in (0, -1, None):
        raise Unreadable(f"{at}content has a size and no text; export the archive with content")
    try:
        body = base64.b64decode("".join(text.split()), validate=True) if encoding == "base64" else _body(text, at)
    except ValueError as error:
        raise Unreadable(f"{at}content.text is not base64 ({error}); export the archive once more") from error
    if encoding not in {"", "base64"}:
        raise Unreadable(f"{at}content.encoding is {encoding[:40]!r}; expected base64 or none")
    status, version = _status(answer.get("status"), f"{at}status"), _get(answer, "httpVersion", str, at) or "HTTP/1.1"
    reason, headers = _get(answer, "statusText", str, at), tuple(f for f in headers if f[0].lower() not in _FRAMES)
    response = Response(status=status, reason=reason, version=version, headers=headers, body=body)
    exchange = Exchange(request=request, response=response)
    return Recording(exchange=exchange, whole=True, name=f"{name} {key} ({request.url[:200]})")


def _message(data: bytes, number: int, at: str) -> Response:
    """The final answer in ``data``, whose first line has that ``number``; interim ones are skipped."""
    start = 0
    while True:
        here = f"{at}line {number}: "
        if not (first := _STATUS_LINE.match(data, start)):
            raise Unreadable(f"{here}this is no status line; expected one such as HTTP/1.1 402 Payment Required")
        status = _status(int(first[2]), f"{here}the status")
        if not (end := _BLANK_LINE.search(data, start, start + _LONGEST_HEADER)):
            raise Unreadable(f"{here}no empty line ends this header; record the whole answer with curl -i")
        head, start = data[first.end() : end.start()], end.end()
        number += head.count(b"\n") + 3 if head else 2
        if status >= 200:
            break
    found: list[tuple[str, str]] = []
    for line in _FOLD.sub(b" ", head).split(b"\n") if head else ():
        if not (field := _FIELD.fullmatch(line.removesuffix(b"\r"))):
            raise Unreadable(f"{here}{line[:40].strip().decode('latin-1')!r} is no field; expected name: value")
        found.append((field[1].decode(), field[2].strip(b" \t").decode("latin-1")))
    reason, version = (first[3] or b"").decode("latin-1"), f"HTTP/{first[1].decode()}"
    plain = Response(status=status, reason=reason, version=version, headers=tuple(found))
    return replace(plain, body=_plain(plain, data[start:], f"{at}line {number}: ", crlf=first[4] == b"\r"))


def _plain(head: Response, content: bytes, at: str, *, crlf: bool) -> bytes:
    """``content`` without chunks and coding, which whoever recorded it may have taken off; ``crlf``: lines as sent."""
    lengths = set(head.values("content-length"))
    length = fields.natural(min(lengths)) if len(lengths) == 1 and head.status not in {204, 304} else None
    again = "record the answer again, alone and whole, with curl -i"
    if "chunked" in fields.tokens(head.values("transfer-encoding")):
        held, whole = _unchunked(content)
        if crlf and held and not whole:
            raise Unreadable(f"{at}the content breaks off before its last chunk; {again}")
        content, length = held if whole else content, None
    if _STATUS_LINE.match(content) or _STATUS_LINE.match(content, min(length or 0, len(content))):
        raise Unreadable(f"{at}a second answer follows the first; {again}")
    listed = ",".join(head.values("content-encoding")).strip().lower().replace("identity", "")
    text = "\ufffd" not in content.decode("utf-8", "replace")
    coded = content.startswith(b"\x1f\x8b") if listed in {"gzip", "x-gzip"} else bool(listed) and not text
    # What was decoded when it was recorded has a length of its own.
    if crlf and length is not None and length > len(content) and (coded or not listed or not content):
        raise Unreadable(f"{at}{len(content)} bytes of content are less than its Content-Length; {again}")
    if not coded:
        return content
    body, failure = coding.decoded([content[:length]], listed, _LARGEST)
    if failure:
        raise Unreadable(f"{at}{printable(failure.detail[:200])}; record the answer with curl -i --compressed")
    return body


def _unchunked(content: bytes) -> tuple[bytes, bool]:
    """What the whole chunks at the beginning of ``content`` hold, and whether the last chunk comes after them."""
    body, at = bytearray(), 0
    while chunk := _CHUNK.match(content, at):
        past = chunk.end() + int(chunk[1], 16)
        if past == chunk.end() or not content[past : past + 2].startswith((b"\n", b"\r\n")):
            return bytes(body), past == chunk.end()
        body += content[chunk.end() : past]
        at = content.index(b"\n", past) + 1
    return bytes(body), False


def _request(table: dict[str, Any], at: str) -> Request:
    method, url = _get(table, "method", str, at) or "GET", fields.resolved(_NOWHERE, _get(table, "url", str, at))
    if not _TOKEN.fullmatch(method) or not url or not url.isprintable():
        raise Unreadable(f"{at}method or url is none; expected such as GET and https://api.example/paid")
    headers, body = _fields(table.get("headers"), f"{at}headers"), _body(table.get("body"), f"{at}body")
    return Request(method=method, url=url, headers=headers, body=body)


def _fields(value: Any, at: str) -> tuple[tuple[str, str], ...]:
    """Field lines from an object, from pairs, or from objects with name and value."""
    pairs = list(value.items()) if isinstance(value, dict) else [] if value is None else value
    if not isinstance(pairs, list):
        raise Unreadable(f"{at} is {_kind(value)}; expected an object of texts, or [[name, value], ...]")
    found: list[tuple[str, str]] = []
    for each in pairs:
        pair = [each.get("name"), each.get("value")] if isinstance(each, dict) else each
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not isinstance(pair[0], str):
            raise Unreadable(f"{at} has {_kind(each)} in its list; expected [name, value], the name a text")
        name, here = pair[0], f"{at}.{printable(pair[0][:60])}"
        if not _TOKEN.fullmatch(name.removeprefix(":")):
            raise Unreadable(f"{here} is no name of a header field; write one such as Content-Type")
        for one in pair[1] if isinstance(pair[1], list) else [pair[1]]:
            if isinstance(one, bool) or not isinstance(one, str | int | float):
                raise Unreadable(f"{here} is {_kind(one)}; expected a text, a number or a list of texts")
            # Browsers write several lines of one name as one text, and beside the fields what HTTP/2 calls :status.
            for line in str(one).split("\n") if name[0] != ":" else ():
                if _NO_VALUE.search(line):
                    raise Unreadable(f"{here} has a control character; take it out")
                charset = "utf-8" if max(line, default="") > "\xff" else "latin-1"
                found.append((name, line.strip(" \t").encode(charset, "surrogatepass").decode("latin-1")))
    return tuple(found)


def _body(value: Any, at: str) -> bytes:
    if isinstance(value, bool):
        raise Unreadable(f"{at} is {_kind(value)}; expected an object, an array, a text, a number or null")
    try:
        text = json.dumps(value, allow_nan=False) if isinstance(value, dict | list | int | float) else value or ""
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{at} cannot be written as JSON ({error}); give it as a text") from error
    return text.encode("utf-8", "surrogatepass")


def _status(value: Any, at: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 100 <= value <= 599:
        raise Unreadable(f"{at} is {_kind(value)}; expected an integer from 100 to 599")
    return value


def _get(table: dict[str, Any], key: str, kind: type[_Kind], at: str) -> _Kind:
    """The member ``key``; where it is null or not there, the empty value of its ``kind``."""
    value = table.get(key)
    if value is not None and not isinstance(value, kind):
        raise Unreadable(f"{at}{key} is {_kind(value)}; expected {_KINDS[kind]}")
    return kind() if value is None else value


def _kind(value: Any) -> str:
    return _KINDS.get(type(value)) or json.dumps(value)[:40]
