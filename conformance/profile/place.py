"""Places in a profile's document: what they are called in a sentence, and where their values came from."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

__all__ = ["At", "Origin", "display", "keyed", "value_at"]

At: TypeAlias = tuple[str | int, ...]
"""The path of a value in a profile's document."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+\Z")
_NAMED = ("answer", "endpoint", "flow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where one value came from when the profile's own file does not hold it; never the value itself."""

    key: str
    """As in messages: ``target.base_url``, ``endpoint "weather": path``."""
    source: str
    """``environment NAME``, ``default of NAME`` or ``base NAME (PATH)``."""


def display(path: Path, cwd: Path) -> str:
    """A path for a sentence: relative to ``cwd`` where it lies below it."""
    return str(path.relative_to(cwd)) if path.is_relative_to(cwd) else str(path)


def keyed(document: object, at: At) -> str:
    """A place in words: ``endpoint "quote": terms[0].amount``; entries of named arrays are called by their name."""
    if not at:
        return "the profile"
    entry, below = at[:2], at[2:]
    name = value_at(document, (*entry, "name"))
    if at[0] not in _NAMED or not isinstance(entry[-1], int) or not isinstance(name, str):
        return _dotted(at)
    whose = f"{at[0]} {json.dumps(name, ensure_ascii=False)}"
    return f"{whose}: {_dotted(below)}" if below else whose


def value_at(document: object, at: At) -> Any:
    """The value at a path, None where there is none."""
    for part in at:
        if isinstance(document, dict):
            document = document.get(part)
        elif isinstance(document, list) and isinstance(part, int) and part < len(document):
            document = document[part]
        else:
            return None
    return document


def _dotted(at: At) -> str:
    text = ""
    for part in at:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _BARE_KEY.match(part) else json.dumps(part, ensure_ascii=False))
    return text
