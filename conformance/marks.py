"""What tells a paid answer from others: the marker of an endpoint in it, or all that was sold."""

import base64
import binascii
import re
from collections.abc import Iterator
from functools import lru_cache
from html import unescape
from typing import Any
from urllib.parse import unquote

from conformance import coding, documents
from conformance.exchange import Response
from conformance.profile import Marker, MarkerKind
from conformance.selector import at_pointer

__all__ = ["disguised", "holds", "marked", "strings", "unpacked"]


@lru_cache(256)
def holds(response: Response, sold: Response) -> bool:
    """Whether a body is what is sold, or JSON in which an object has all its members."""
    if len(sold.body) < _CONTENT:
        return False
    found, wanted = response.json_or_none(), sold.json_or_none()
    if isinstance(found, dict | list) and isinstance(wanted, dict):
        return _has(found, wanted, _DEEPEST)
    return response.body == sold.body


def _has(found: Any, wanted: dict[str, Any], depth: int) -> bool:
    """Whether ``found``, or what lies in it, is an object with all members of ``wanted``."""
    if isinstance(found, dict) and all(key in found and found[key] == value for key, value in wanted.items()):
        return True
    inner = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
    return depth > 0 and any(_has(one, wanted, depth - 1) for one in inner)


_DEEPEST = 4
"""Layers in which what is sold is looked for."""


_CONTENT = 16
"""Bytes: what is shorter may well be the same by chance, as ``{}`` and ``ok`` are."""


# The same answer is looked at for each example that is drawn beside it.
@lru_cache(256)
def marked(response: Response, marker: Marker) -> str:
    """Where ``marker`` stands in an answer; empty when it does not."""
    head_text = "\n".join([response.reason, *(f"{name}: {value}" for name, value in response.headers)])
    content = "\n".join([response.text(), response.after.decode("utf-8", "replace"), *strings(response.json_or_none())])
    aside = response.aside.decode("utf-8", "replace")
    match marker.kind:
        case MarkerKind.HEADER:
            beside = any(line.lower().startswith(f"{marker.value.lower()}:") for line in aside.splitlines())
            return "the header section" if response.values(marker.value) else _BESIDE if beside else ""
        case MarkerKind.POINTER:
            return "the body" if at_pointer(response.json_or_none(), marker.value) is not None else ""
        case MarkerKind.RE:
            places = {"the body": content, "the header section": head_text, _BESIDE: aside}
            return next((place for place, text in places.items() if re.search(marker.value, text)), "")
        case _:
            places = {"the body": content, "the header section": head_text, _BESIDE: aside}
            return next((place for place, text in places.items() if marker.value in text), "")


_BESIDE = "a field of an interim answer or a trailer"


@lru_cache(256)
def disguised(response: Response, marker: Marker) -> str:
    """In what dress a marker that is a text stands in an answer that does not have it as it is; empty when it does not.

    A short one is not looked for: what is unpacked from anything at all may well have it by chance.
    """
    if marker.kind is not MarkerKind.TEXT or len(marker.value) < _MARK:
        return ""
    return next((dress for dress, text in _dresses(response) if marker.value in text), "")


_MARK = 5
_LOOKED_AT = 262144
"""Bytes of a body in which a disguise is looked for."""
_LAYERS = 3
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}){5,}")
_URLSAFE = str.maketrans("-_", "+/")
_GZIP = b"\x1f\x8b"


def _dresses(response: Response) -> Iterator[tuple[str, str]]:
    """What the content and the fields of an answer come to, read in other ways."""
    body = response.body[:_LOOKED_AT]
    if body.startswith(_GZIP):
        yield "gzip", coding.started(body, "gzip", _LOOKED_AT).decode("utf-8", "replace")
    if b"\0" in body:
        yield "wide characters", body.replace(b"\0", b"").decode("utf-8", "replace")
    texts = [response.text()[:_LOOKED_AT], *strings(response.json_or_none())]
    yield "JSON in a text", "\n".join(inner for text in texts for inner in _nested(text, _LAYERS))
    text = "\n".join(texts)
    if "<" in text or "&" in text:
        yield "markup", unescape(re.sub("<[^<>]*>", "", text))
    fields = "\n".join(value for _, value in response.headers)
    if "%" in text or "%" in fields:
        yield "escapes", f"{unquote(text)}\n{unquote(fields)}"
    yield "base64", "\n".join(unpacked(found[0]) for found in _BASE64.finditer(text))
    yield "hexadecimal digits", "\n".join(bytes.fromhex(m[0]).decode("utf-8", "replace") for m in _HEX.finditer(text))


def _nested(text: str, layers: int) -> Iterator[str]:
    """The strings of JSON that stands in a string."""
    if not layers or not text.lstrip().startswith(("{", "[", '"')):
        return
    try:
        found = list(strings(documents.loads(text.encode("utf-8", "replace"))))
    except ValueError:
        return
    for inner in found:
        yield inner
        yield from _nested(inner, layers - 1)


def unpacked(packed: str) -> str:
    """What base64 unpacks to; a word that is none comes to noise, or nothing."""
    packed = packed.translate(_URLSAFE)
    # One letter over is no base64.
    packed = packed[: -1 if len(packed) % 4 == 1 else None]
    try:
        plain = base64.b64decode(packed + "=" * (-len(packed) % 4))
    except binascii.Error:
        return ""
    return (coding.started(plain, "gzip", _LOOKED_AT) if plain.startswith(_GZIP) else plain).decode("utf-8", "replace")


def strings(document: Any) -> Iterator[str]:
    """The strings of a JSON body, in which line breaks are line breaks again."""
    match document:
        case str():
            yield document
        case dict():
            for value in document.values():
                yield from strings(value)
        case list():
            for value in document:
                yield from strings(value)
