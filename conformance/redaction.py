"""Secrets leave every record by value, in each spelling that the wire gives them."""

import base64
import binascii
import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

__all__ = ["Redactor", "placeholder"]


def placeholder(name: str) -> str:
    """What stands in a record where the value of the environment variable ``name`` stood."""
    return f"<secret:{name}>"


@dataclass(frozen=True, slots=True)
class Redactor:
    """Replaces each secret by a placeholder that stays the same, so that echoes can still be seen."""

    spellings: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, secrets: Mapping[str, str]) -> "Redactor":
        """A redactor for secrets given as variable name -> value."""
        pairs = {spelling: placeholder(name) for name, value in secrets.items() for spelling in _spellings(value)}
        return cls(tuple(sorted(pairs.items(), key=lambda pair: -len(pair[0]))))

    def text(self, value: str) -> str:
        """``value`` without secrets."""
        for spelling, name in self.spellings:
            value = value.replace(spelling, name)
        return value

    def content(self, value: bytes) -> bytes:
        """A body without secrets."""
        for spelling, name in self.spellings:
            value = value.replace(spelling.encode(), name.encode())
        return value

    def field(self, value: str) -> str:
        """A header field value without secrets; base64 of a text stays base64 of the redacted text."""
        if self.spellings and (inner := _decoded(value)) is not None and self.text(inner) != inner:
            return base64.b64encode(self.text(inner).encode()).decode()
        return self.text(value)


def _decoded(value: str) -> str | None:
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def _spellings(value: str) -> set[str]:
    quoted = {quote(value), quote(value, safe=""), quote_plus(value)}
    quoted |= {re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), text) for text in quoted}
    found = {value, html.escape(value), *quoted}
    for ascii_only in (True, False):
        escaped = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        # PHP and others escape the slash too.
        found |= {escaped, escaped.replace("/", r"\/")}
    raw = value.encode()
    for shift in range(3):
        # The characters that depend on a neighbour are cut off: the middle is the same in every context.
        coded = base64.b64encode(b"\0" * shift + raw).decode().rstrip("=")
        middle = coded[(0, 2, 3)[shift] : len(coded) - (1 if (len(raw) + shift) % 3 else 0)]
        found |= {middle, middle.replace("+", "-").replace("/", "_")}
    return {spelling for spelling in found if len(spelling) >= 6}
