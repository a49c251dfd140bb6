"""What the sandbox remembers of payments that carry an identifier: the same again gets the same answer again.

The extension is ``payment-identifier``. An identifier counts for one payer at one good, and for one payment with one
request: it is looked up before the payment is verified, so nothing less than all of that shows whose it is. What
failed is forgotten, and so is what is old.
"""

import asyncio
import hashlib
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

__all__ = ["EXTENSION", "IDENTIFIER", "Entry", "Memory", "fingerprint", "identifier"]

IDENTIFIER = "payment-identifier"
EXTENSION: Mapping[str, Any] = {
    "info": {"required": False},
    "schema": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "required": {"type": "boolean"},
            "id": {"type": "string", "minLength": 16, "maxLength": 128, "pattern": "^[A-Za-z0-9_-]+$"},
        },
        "required": ["required"],
    },
}
"""As it stands in an offer."""

_SHAPE = re.compile(r"[A-Za-z0-9_-]{16,128}")


def identifier(payload: Mapping[str, Any]) -> str:
    """The identifier that a payment carries; empty for none. Raises ValueError for one that is none."""
    told = payload.get("extensions", {})
    extension = told.get(IDENTIFIER) if isinstance(told, dict) else ""
    if extension is None:
        return ""
    info = extension.get("info") if isinstance(extension, dict) else None
    if not isinstance(info, dict) or info.get("required") is not EXTENSION["info"]["required"]:
        raise ValueError("the extension is not repeated as it was offered")
    found = info.get("id")
    if found is None:
        return ""
    if not isinstance(found, str) or not _SHAPE.fullmatch(found):
        raise ValueError("an identifier has 16 to 128 letters, digits, hyphens and underscores")
    return found


async def fingerprint(request: Request, payload: Mapping[str, Any]) -> bytes:
    """What tells this payment with this request from every other."""
    asked = [request.method, request.url.path, request.url.query, json.dumps(payload, sort_keys=True)]
    return hashlib.sha256("\n".join(asked).encode("utf-8", "replace") + b"\n" + await request.body()).digest()


@dataclass(slots=True, kw_only=True)
class Entry:
    """What an identifier stands for."""

    fingerprint: bytes
    since: float = field(default_factory=time.monotonic)
    done: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the first request has its answer, or has failed."""
    answer: Response | None = None


@dataclass(slots=True, kw_only=True)
class Memory:
    """Answers by what they were given for: payer, good and identifier."""

    most: int = 1024
    lifetime: float = 600
    """Seconds: longer than any payment is valid."""
    _entries: dict[tuple[str, ...], Entry] = field(default_factory=dict)

    def find(self, key: tuple[str, ...]) -> Entry | None:
        """What is known under ``key``; None for something new."""
        now = time.monotonic()
        # They stand in the order in which they came.
        while self._entries and now - (first := next(iter(self._entries.items())))[1].since > self.lifetime:
            del self._entries[first[0]]
        return self._entries.get(key)

    def begin(self, key: tuple[str, ...], entry: Entry) -> None:
        """Keeps ``entry``; where there is no room, the oldest that is not under way makes some."""
        if len(self._entries) >= self.most:
            oldest = next((known for known, old in self._entries.items() if old.done.is_set()), None)
            if oldest is not None:
                del self._entries[oldest]
        self._entries[key] = entry

    def end(self, key: tuple[str, ...], entry: Entry, answer: Response | None) -> None:
        """Wakes all who wait; without ``answer``, the identifier is free again."""
        entry.answer = answer
        if answer is None and self._entries.get(key) is entry:
            del self._entries[key]
        entry.done.set()
