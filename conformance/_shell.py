"""Words for a shell that stand for bytes, secrets filled in from the environment."""

import re
import shlex
from collections.abc import Iterable

__all__ = ["latin", "lines", "printed", "quoted"]

_SECRET = re.compile(rb"<secret:([A-Za-z_][A-Za-z0-9_]*)>")


def latin(text: str) -> bytes:
    """Text as it goes out: latin-1, or UTF-8 where it is none."""
    return text.encode("latin-1" if all(ord(c) < 256 for c in text) else "utf-8", "surrogatepass")


def quoted(value: bytes) -> str:
    """A word for bash that is ``value``, placeholders filled in; printable ASCII whatever it holds."""
    pieces = _SECRET.split(value)
    if len(pieces) > 1 and all(_bare(piece) and b"!" not in piece for piece in pieces):
        safe = re.sub(rb'([\\"$`])', rb"\\\1", value)
        return '"' + _SECRET.sub(rb"${\1}", safe).decode() + '"'
    words = [f'"${{{piece.decode()}}}"' if number % 2 else _word(piece) for number, piece in enumerate(pieces)]
    return "".join(word for word in words if word != "''") or "''"


def _word(value: bytes) -> str:
    if _bare(value):
        return shlex.quote(value.decode())
    return "$'" + "".join(f"\\x{b:02x}" if not 32 <= b < 127 else _slashed(chr(b), "\\'") for b in value) + "'"


def printed(value: bytes) -> str:
    """A command for bash that prints ``value``, placeholders filled in."""
    pieces = _SECRET.split(value)
    formats = "".join("%s" if number % 2 else "%b" for number in range(len(pieces)))
    words = [f'"${{{piece.decode()}}}"' if number % 2 else _escaped(piece) for number, piece in enumerate(pieces)]
    return " ".join(["printf", formats, *words])


def _escaped(value: bytes) -> str:
    known = {0x0A: "\\n", 0x0D: "\\r", 0x5C: "\\\\"}
    return shlex.quote("".join(known.get(b) or (chr(b) if 32 <= b < 127 else f"\\0{b:03o}") for b in value))


def _bare(value: bytes) -> bool:
    return value.isascii() and value.decode().isprintable()


def _slashed(character: str, special: str) -> str:
    return f"\\{character}" if character in special else character


def lines(fields: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """A line for each field: name, space, value; what is not printable as escapes, spaces of names too."""
    return tuple(f"{_legible(name, ' ')} {_legible(value)}" for name, value in fields)


def _legible(text: str, *also: str) -> str:
    """Text of a field in one line, whatever its bytes; ``also`` is to be written as escapes too."""
    return "".join(c if " " <= c < "\x7f" and c not in {"\\", *also} else _escape(c) for c in text)


def _escape(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in latin(character))
