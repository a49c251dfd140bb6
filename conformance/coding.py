"""Content codings: what the bytes of a body decode to, within bounds and to the last of them."""

import contextlib
import zlib
from collections.abc import Iterable, Iterator

from conformance.exchange import Failure

__all__ = ["decoded", "started", "too_long"]

_CODINGS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
_SLICE = 4096


def decoded(chunks: Iterable[bytes], coding: str, limit: int) -> tuple[bytes, Failure | None]:
    """The body that ``chunks`` are in ``coding`` (a Content-Encoding, or empty), or why it cannot be had.

    ``limit`` is in decoded bytes: what is longer, a bomb too, is not read to its end. A body of no bytes at all is
    empty in every coding, as in an answer to HEAD.
    """
    coding = coding.strip().lower()
    if coding and coding != "identity" and coding not in _CODINGS:
        return b"", Failure(kind="coding", detail=f"Content-Encoding {coding} was not asked for and is not understood")
    body = bytearray()
    try:
        for part in _unpacked(chunks, coding, limit + 1) if coding in _CODINGS else chunks:
            body += part
            if len(body) > limit:
                return b"", Failure(kind="body-limit", detail=too_long(limit))
    except zlib.error as error:
        return b"", Failure(kind="coding", detail=f"the {coding} body does not decode: {error}")
    return bytes(body), None


def started(body: bytes, coding: str, limit: int) -> bytes:
    """What the beginning of a body decodes to, as far as that goes: nothing of what is in a coding that is not known."""
    coding = coding.strip().lower()
    if not coding or coding == "identity":
        return body[:limit]
    had = bytearray()
    with contextlib.suppress(zlib.error):
        for part in _unpacked([body], coding, limit) if coding in _CODINGS else ():
            had += part
            if len(had) >= limit:
                break
    return bytes(had[:limit])


def too_long(limit: int) -> str:
    """What is said of a body that is longer than ``limit`` bytes."""
    return f"the body is longer than limits.max_body ({limit})"


def _unpacked(chunks: Iterable[bytes], coding: str, most: int) -> Iterator[bytes]:
    """What ``chunks`` unpack to, at most ``most`` bytes at once. Raises zlib.error for what is broken or cut off.

    gzip may have several members (RFC 1952 section 2.2); whatever else follows the end is no part of the coding.
    """
    unpack = None
    for chunk in chunks:
        # In slices, because each member copies what it leaves over.
        for start in range(0, len(chunk), _SLICE):
            rest = chunk[start : start + _SLICE]
            while rest:
                if unpack and unpack.eof and coding == "deflate":
                    raise zlib.error("bytes follow its end")
                if unpack is None or unpack.eof:
                    unpack = zlib.decompressobj(_CODINGS[coding])
                yield unpack.decompress(rest, most)
                rest = unpack.unconsumed_tail or unpack.unused_data
    if unpack and not unpack.eof:
        raise zlib.error("it ends too early")
