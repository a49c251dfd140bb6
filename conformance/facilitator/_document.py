"""JSON objects from strangers."""

from typing import Any

from conformance import documents

__all__ = ["load"]


def load(text: str) -> dict[str, Any]:
    """The JSON object that ``text`` is; empty when it is none, or nests deeper than ``documents.DEEPEST`` levels."""
    try:
        found = documents.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
