"""Secrets leave every record by value, in each spelling that the wire gives them."""

import base64
import binascii
import html
import json
import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import AnyStr
from urllib.parse import quote_from_bytes, quote_plus

__all__ = ["Redactor", "disarmed", "placeholder"]

_SHORTEST = 8
"""Characters of a part of a secret that is redacted by itself: a shorter one would blank out innocent text."""
_SHORT = 4096
_LAYERS = 2
"""How often a text is unescaped, and unpacked from base64, to look for secrets inside."""

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_CREDENTIALS = re.compile(rf"({_WORD}) +(\S.*)", re.DOTALL)
_COOKIES = re.compile(rf"{_WORD}=[^;]*(?:; *{_WORD}=[^;]*)*")
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|\\[\"'\\/bfnrt]"
    rb"|%[0-9a-fA-F]{2}|&(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6});"
)
_LETTERS = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{10,}={0,2}")
_URLSAFE = bytes.maketrans(b"-_", b"+/")
_STANDARD = bytes.maketrans(b"+/", b"-_")

_Place = Callable[[int], int]
"""Where something that was unescaped stood before."""


def placeholder(name: str) -> str:
    """What stands in a record where the value of the environment variable ``name`` stood."""
    return f"<secret:{name}>"


def disarmed(value: AnyStr) -> AnyStr:
    """``value`` without anything that could be taken for a placeholder of ours.

    For what is put on record before it is redacted: the shell that runs a curl line fills placeholders in, and a target
    that says ``<secret:HOME>`` must not have its way.
    """
    if isinstance(value, bytes):
        return value.replace(b"<secret:", b"<not-secret:")
    return value.replace("<secret:", "<not-secret:")


@dataclass(frozen=True, slots=True)
class _Needles:
    """Spellings of secrets, each with what takes its place."""

    exact: Mapping[bytes, bytes]
    blind: Mapping[bytes, bytes]
    """In small letters: those of the other case spell the same."""
    any_exact: re.Pattern[bytes]
    any_blind: re.Pattern[bytes]

    @classmethod
    def of(cls, exact: Mapping[bytes, bytes], blind: Mapping[bytes, bytes]) -> "_Needles":
        return cls(
            exact, blind, *(re.compile(b"|".join(map(re.escape, found)) or rb"(?!)") for found in (exact, blind))
        )

    def hits(self, value: bytes) -> list[tuple[bytes, bytes, bytes]]:
        """The spellings that ``value`` has: what to search, for what, and what takes its place."""
        small = value.lower()
        # One pattern is quicker in what is short, and one search for each spelling in what is long.
        if len(value) < _SHORT and not self.any_exact.search(value) and not self.any_blind.search(small):
            return []
        found = [(value, spelling, name) for spelling, name in self.exact.items() if value.find(spelling) >= 0]
        return found + [(small, spelling, name) for spelling, name in self.blind.items() if small.find(spelling) >= 0]


@dataclass(frozen=True, slots=True)
class Redactor:
    """Replaces each secret by a placeholder that stays the same, so that echoes can still be seen."""

    _plain: _Needles = field(repr=False)
    """The secrets themselves, and parts of them that are secret too."""
    _texts: _Needles = field(repr=False)
    """Every spelling in a text, those of ``_plain`` included."""
    _bodies: _Needles = field(repr=False)
    """Every spelling in bytes, those of ``_texts`` included."""

    @classmethod
    def of(cls, secrets: Mapping[str, str]) -> "Redactor":
        """A redactor for secrets given as variable name -> value.

        Of credentials (``Bearer x``) the part after the scheme is a secret too, of ``Basic`` the user and the password,
        of cookies each value; where they have at least 8 characters.
        """
        pairs = [(value, placeholder(name).encode()) for name, value in secrets.items() if value]
        for name, value in secrets.items():
            # Who asks is no secret: the name is taken out, and stands for no leak.
            pairs += [
                (part, (f"<user:{name}>" if user else placeholder(name)).encode()) for part, user in _parts(value)
            ]
        # Where two share a spelling, the whole value of the first goes before a part of another.
        pairs.reverse()
        exact = {spelling: name for value, name in pairs for spelling in _in_base64(value)}
        plain = {spelling: name for value, name in pairs for spelling in _plainly(value)}
        texts = {spelling: name for value, name in pairs for spelling in _coded(value)} | plain
        wide = {
            value.encode(coding, "surrogatepass").lower(): name.decode().encode(coding)
            for value, name in pairs
            for coding in ("utf-16-le", "utf-16-be")
        }
        raw = {spelling.lower(): name for value, name in pairs for spelling in _bytes_of(value)}
        return cls(
            _plain=_Needles.of({}, plain),
            _texts=_Needles.of(exact, texts),
            _bodies=_Needles.of(exact, wide | raw | texts),
        )

    def text(self, value: str) -> str:
        """``value`` without secrets."""
        if not self._plain.blind:
            return value
        cleaned = self._replaced(value.encode("utf-8", "surrogatepass"), self._texts)
        return self._within(cleaned).decode("utf-8", "surrogatepass")

    def content(self, value: bytes) -> bytes:
        """A body without secrets."""
        if not self._plain.blind:
            return value
        return self._within(self._replaced(value, self._bodies))

    def field(self, value: str) -> str:
        """A header field value without secrets; base64 of a text stays base64 of the redacted text."""
        if not self._plain.blind:
            return value
        cleaned = self._within(self._replaced(value.encode("utf-8", "surrogatepass"), self._plain))
        return self._replaced(cleaned, self._texts).decode("utf-8", "surrogatepass")

    def _inside(self, value: bytes, layers: int = _LAYERS - 1) -> bytes:
        """What was packed into base64, redacted so that it can be packed again."""
        value = self._replaced(value, self._plain)
        if layers:
            value = self._within(value, layers - 1)
        return self._replaced(value, self._bodies)

    def _within(self, value: bytes, layers: int = _LAYERS - 1) -> bytes:
        """``value`` with what it holds in base64 redacted, and packed again as it was."""
        if not self._holds(b"\n".join(_unpacked(value))):
            return value

        def packed(found: re.Match[bytes]) -> bytes:
            inner = _decoded(found[0])
            changed = None if inner is None else self._inside(inner, layers)
            return found[0] if changed is None or changed == inner else _encoded(changed, like=found[0])

        return _BASE64.sub(packed, value)

    def _holds(self, value: bytes) -> bool:
        """Whether a secret is in ``value``, or in base64 in it."""
        return any(
            self._bodies.hits(layer) for text in (value, b"\n".join(_unpacked(value))) for layer, _ in _layers(text)
        )

    def _replaced(self, value: bytes, needles: _Needles) -> bytes:
        spans = self._spans(value, needles)
        if not spans:
            return value
        parts, end = [], 0
        for start, stop, stand_in in spans:
            parts += [value[end:start], b"\\" if _half_escaped(value, start) else b"", stand_in]
            end = stop
        return b"".join([*parts, value[end:]])

    def _spans(self, value: bytes, needles: _Needles) -> list[tuple[int, int, bytes]]:
        """Where secrets are, and what takes their place; in order, and apart from each other."""
        found = [span for layer, place in _layers(value) for span in _found(layer, needles, place)]
        if not found:
            return []
        # UTF-16 of one order, seen one byte off, can be UTF-16 of the other.
        wide = {start for start, _, name in found if b"\0" in name and start % 2 == 0}
        found = [s for s in found if not (b"\0" in s[2] and s[0] % 2 and {s[0] - 1, s[0] + 1} & wide)]
        names = set(self._plain.blind.values())
        kept = sorted(m.span() for name in names for m in re.finditer(re.escape(name), value))
        spans: list[tuple[int, int, bytes]] = []
        for start, stop, stand_in in sorted(found, key=lambda span: (span[0], -span[1])):
            nearest = bisect_right(kept, (stop - 1, len(value))) - 1
            if nearest >= 0 and start < kept[nearest][1]:
                continue
            if spans and start < spans[-1][1]:
                spans[-1] = (spans[-1][0], max(stop, spans[-1][1]), spans[-1][2])
            else:
                spans.append((start, stop, stand_in))
        return spans


def _found(layer: bytes, needles: _Needles, place: _Place) -> Iterator[tuple[int, int, bytes]]:
    for hay, spelling, name in needles.hits(layer):
        at = hay.find(spelling)
        while at >= 0:
            end = at + len(spelling)
            yield place(at), place(end), name
            at = hay.find(spelling, end)


def _layers(value: bytes) -> Iterator[tuple[bytes, _Place]]:
    """``value``, then what it says once and twice unescaped; each with where its places are in ``value``."""
    place: _Place = _same
    yield value, place
    for _ in range(_LAYERS):
        plain, before = _unescaped(value)
        if plain == value:
            return
        value, place = plain, _after(place, before)
        yield value, place


def _same(at: int) -> int:
    return at


def _after(place: _Place, before: _Place) -> _Place:
    return lambda at: place(before(at))


def _unescaped(value: bytes) -> tuple[bytes, _Place]:
    """``value`` with what JSON, HTML and URLs escape put plainly, and where each place in it was before."""
    if not (b"\\" in value or b"%" in value or b"&" in value):
        return value, _same
    plain = bytearray()
    end, now, before = 0, array("q", [0]), array("q", [0])
    for escape in _ESCAPE.finditer(value):
        plain += value[end : escape.start()]
        plain += _meant(escape[0])
        end = escape.end()
        now.append(len(plain))
        before.append(end)
    plain += value[end:]

    def place(at: int) -> int:
        nearest = bisect_right(now, at) - 1
        return before[nearest] + at - now[nearest]

    return bytes(plain), place


def _meant(escape: bytes) -> bytes:
    match escape[:1], escape[1:2]:
        case b"%", _:
            return bytes([int(escape[1:], 16)])
        case b"&", _:
            return html.unescape(escape.decode()).encode("utf-8", "surrogatepass")
        case b"\\", b"u" if len(escape) == 12:
            units = bytes.fromhex(f"{escape[2:6].decode()}{escape[8:].decode()}")
            return units.decode("utf-16-be").encode()
        case b"\\", b"u" | b"x":
            return chr(int.from_bytes(bytes.fromhex(escape[2:].decode()))).encode("utf-8", "surrogatepass")
        case _:
            return _LETTERS.get(escape[1:], escape[1:])


def _half_escaped(value: bytes, start: int) -> bool:
    """Whether what begins at ``start`` is an escape whose backslash is itself escaped: one backslash must stay two."""
    if value[start : start + 1] != b"\\":
        return False
    before = start
    while before and value[before - 1] == 0x5C:
        before -= 1
    return (start - before) % 2 == 1


def _unpacked(value: bytes) -> Iterator[bytes]:
    return (inner for found in _BASE64.finditer(value) if (inner := _decoded(found[0])) is not None)


def _decoded(value: bytes) -> bytes | None:
    bare = value.rstrip(b"=").translate(_URLSAFE)
    try:
        return binascii.a2b_base64(bare + b"=" * (-len(bare) % 4))
    except binascii.Error:
        return None


def _encoded(value: bytes, *, like: bytes) -> bytes:
    coded = base64.b64encode(value)
    urlsafe = b"-" in like or b"_" in like
    coded = coded.translate(_STANDARD) if urlsafe else coded
    padded = like.endswith(b"=") or (len(like) % 4 == 0 and not urlsafe)
    return coded if padded else coded.rstrip(b"=")


def _parts(value: str) -> Iterator[tuple[str, bool]]:
    """What is a secret by itself in the value of a header field, and whether it only names a user."""
    found: list[tuple[str, bool]] = []
    if credentials := _CREDENTIALS.fullmatch(value):
        found.append((credentials[2], False))
        if credentials[1].lower() == "basic":
            plain = (_decoded(credentials[2].encode("utf-8", "replace")) or b"").decode("utf-8", "replace")
            user, _, password = plain.partition(":")
            found += [(plain, False), (password, False), (user, True)]
    elif _COOKIES.fullmatch(value):
        found += [(pair.partition("=")[2].strip('" '), False) for pair in value.split(";")]
    return ((part, user) for part, user in found if len(part) >= _SHORTEST)


def _plainly(value: str) -> set[bytes]:
    # bytes.lower() knows ASCII only; the other letters are spelled here.
    cases = {value, value.lower(), value.upper(), value.title()}
    return {spelling.encode("utf-8", "surrogatepass").lower() for spelling in cases}


def _coded(value: str) -> Iterator[bytes]:
    yield quote_plus(value, errors="surrogatepass").lower().encode()
    # What itself holds a percent-escape is not found in layers that take both escapes away at once.
    yield json.dumps(value)[1:-1].lower().encode()
    for raw in _bytes_of(value):
        yield raw.decode("latin-1").encode().lower()
        yield quote_from_bytes(raw, safe="").lower().encode()
        yield raw.hex().encode()


def _in_base64(value: str) -> set[bytes]:
    once = {middle for raw in _bytes_of(value) for middle in _middles(raw)}
    twice = {middle for inner in once for middle in _middles(inner)}
    return {middle for middle in once | twice if len(middle) >= _SHORTEST}


def _bytes_of(value: str) -> set[bytes]:
    found = {value.encode("utf-8", "surrogatepass")}
    if all(ord(c) < 256 for c in value):
        found.add(value.encode("latin-1"))
    return found


def _middles(raw: bytes) -> Iterator[bytes]:
    """``raw`` as it stands inside base64, at each of the three offsets and in both alphabets."""
    for shift, urlsafe in product(range(3), (False, True)):
        # The characters that depend on a neighbour are cut off: the middle is the same in every context.
        coded = base64.b64encode(b"\0" * shift + raw).rstrip(b"=")
        middle = coded[(0, 2, 3)[shift] : len(coded) - (1 if (len(raw) + shift) % 3 else 0)]
        yield middle.translate(_STANDARD) if urlsafe else middle
