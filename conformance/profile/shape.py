"""What the profile's schema says about each place of a document, also of one that does not fit it."""

import re
from collections.abc import Iterator
from typing import Any

from conformance import schema
from conformance.profile.place import At

__all__ = ["described", "kinds"]

_DEFS = "#/$defs/"


def kinds(document: object) -> Iterator[tuple[At, str, Any]]:
    """Each place of ``document`` with the name of a ``$defs`` entry that describes it, and its value."""
    yield from _kinds(document, [schema.named("profile")], ())


def described(at: At) -> str | None:
    """The schema's phrase for what belongs at ``at``, None where it has none."""
    level = [schema.named("profile")]
    for part in at:
        level = [below for one in level for below in _below(one, part)]
    return next((str(one["description"]) for outer in level for one in _expand(outer) if "description" in one), None)


def _kinds(value: object, level: list[dict[str, Any]], at: At) -> Iterator[tuple[At, str, Any]]:
    expanded = [one for outer in level for one in _expand(outer)]
    names = dict.fromkeys(one["$ref"].removeprefix(_DEFS) for one in expanded if "$ref" in one)
    yield from ((at, name, value) for name in names)
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for part, member in members:
        below = {id(one): one for outer in level for one in _below(outer, part)}
        yield from _kinds(member, list(below.values()), (*at, part))


def _expand(one: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield one
    if "$ref" in one:
        yield from _expand(schema.named("profile")["$defs"][one["$ref"].removeprefix(_DEFS)])
    for branch in one.get("anyOf", ()):
        yield from _expand(branch)


def _below(outer: dict[str, Any], part: str | int) -> Iterator[dict[str, Any]]:
    for one in _expand(outer):
        if isinstance(part, int):
            found = one.get("items")
        else:
            patterns = (sub for pattern, sub in one.get("patternProperties", {}).items() if re.search(pattern, part))
            found = one.get("properties", {}).get(part) or next(patterns, one.get("additionalProperties"))
        if isinstance(found, dict):
            yield found
