"""What tells a paid answer from others: the marker of an endpoint in it, or all that was sold."""

import re
from collections.abc import Iterator
from typing import Any

from conformance.exchange import Response
from conformance.profile import Marker, MarkerKind
from conformance.selector import at_pointer

__all__ = ["holds", "marked", "strings"]


def holds(response: Response, sold: Response) -> bool:
    """Whether a body is what is sold, or a JSON object with all its members."""
    if len(sold.body) < _CONTENT:
        return False
    found, wanted = response.json_or_none(), sold.json_or_none()
    if isinstance(found, dict) and isinstance(wanted, dict):
        return all(key in found and found[key] == value for key, value in wanted.items())
    return response.body == sold.body


_CONTENT = 16
"""Bytes: what is shorter may well be the same by chance, as ``{}`` and ``ok`` are."""


def marked(response: Response, marker: Marker) -> str:
    """Where ``marker`` stands in an answer; empty when it does not."""
    head_text = "\n".join([response.reason, *(f"{name}: {value}" for name, value in response.headers)])
    content = "\n".join([response.text(), response.after.decode("utf-8", "replace"), *strings(response.json_or_none())])
    match marker.kind:
        case MarkerKind.HEADER:
            return "the header section" if response.values(marker.value) else ""
        case MarkerKind.POINTER:
            return "the body" if at_pointer(response.json_or_none(), marker.value) is not None else ""
        case MarkerKind.RE:
            places = {"the body": content, "the header section": head_text}
            return next((place for place, text in places.items() if re.search(marker.value, text)), "")
        case _:
            places = {"the body": content, "the header section": head_text}
            return next((place for place, text in places.items() if marker.value in text), "")


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
