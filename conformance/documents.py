"""JSON from strangers, read as RFC 8259 has it and with a bound on how deep it nests."""

import json
import re
from itertools import accumulate
from typing import Any, NoReturn

__all__ = ["DEEPEST", "duplicate_keys", "loads"]

DEEPEST = 500
"""Levels of arrays and objects that are read; RFC 8259 section 9 leaves such a bound to whoever reads."""

# The inside of a string, also of one that does not end, has no brackets. Possessive: there is nothing to go back for.
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NO_BRACKET = re.compile(r"[^\[\]{}]++")


def loads(text: str | bytes) -> Any:
    """The document that ``text`` is; bytes are UTF-8, and a byte order mark is passed over (RFC 8259 section 8.1).

    Raises ValueError, and nothing else, for text that is no JSON, for NaN and Infinity (section 6), and for a document
    of more than ``DEEPEST`` levels. How deep it is, is counted before it is read: Python's own guard is worth nothing
    where some library has raised the recursion limit, because then the process dies.
    """
    return _read(text, _READER)


def duplicate_keys(text: str | bytes) -> tuple[str, ...]:
    """The names that stand more than once in one object of a document (RFC 8259 section 4), sorted, each once.

    Raises ValueError where ``loads`` does.
    """
    found: set[str] = set()

    def note(members: list[tuple[str, Any]]) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for name, value in members:
            if name in kept:
                found.add(name)
            kept[name] = value
        return kept

    _read(text, json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=note))
    return tuple(sorted(found))


def _read(text: str | bytes, reader: json.JSONDecoder) -> Any:
    plain = (text.decode("utf-8") if isinstance(text, bytes) else text).removeprefix("\ufeff")
    _refuse_depth(plain)
    try:
        return reader.decode(plain)
    except RecursionError as error:
        raise ValueError("nested too deeply to be read here") from error


def _refuse_depth(text: str) -> None:
    # Most documents have fewer brackets than that in all.
    if text.count("[") + text.count("{") <= DEEPEST:
        return
    steps = (1 if bracket in "[{" else -1 for bracket in _NO_BRACKET.sub("", _STRING.sub("", text)))
    if max(accumulate(steps), default=0) > DEEPEST:
        raise ValueError(f"nested more than {DEEPEST} levels deep")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


# json.loads would build one for each document.
_READER = json.JSONDecoder(parse_constant=_refuse_constant)
