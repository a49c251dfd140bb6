"""Every other way to write a request: the ways round a paywall that were found once, and their neighbours.

Each is a small function by name, in the group of the requirement that it belongs to. Who guards by one reading of a
request and serves by another has a hole wherever the two differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from conformance import extras, methods, paths
from conformance.spelling import Respelt, Spelling

__all__ = ["FOLDER", "JOIN", "PARTS", "WAYS", "Group", "Part", "Way", "along"]


class Group(StrEnum):
    """What is written otherwise: the last word of the requirement."""

    METHODS = "other-methods"
    OVERRIDE = "method-override"
    BODIES = "bodies"
    SLASHES = "slashes"
    DOTS = "dot-segments"
    SUFFIXES = "suffixes"
    CASE = "letter-case"
    LETTERS = "encoded-letters"
    ENCODED_SLASHES = "encoded-slashes"
    MALFORMED = "malformed-escapes"
    CONTROLS = "control-characters"
    TARGETS = "target-forms"
    FRAGMENTS = "fragments"
    HOSTS = "hosts"
    QUERIES = "queries"
    REWRITTEN = "rewritten-url"
    TRUSTED = "trusted-fields"
    SPECIAL = "special-fields"
    REPEATED = "odd-fields"


class Part(StrEnum):
    """The part of a request that a group is about; one of each makes a variant."""

    METHOD = "method"
    BODY = "body"
    QUERY = "query"
    PATH = "path"
    FIELDS = "fields"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to write a request otherwise."""

    name: str
    group: Group
    write: Respelt

    @property
    def key(self) -> str:
        """What it is called among all."""
        return f"{self.group}: {self.name}"

    def of(self, plain: Spelling) -> Spelling | None:
        """``plain`` written so; None where that changes nothing."""
        made = self.write(plain)
        return None if made == plain else made


_WRITTEN: Mapping[Group, tuple[Part, Mapping[str, Respelt]]] = {
    Group.METHODS: (Part.METHOD, methods.METHODS),
    Group.OVERRIDE: (Part.METHOD, methods.OVERRIDE),
    Group.BODIES: (Part.BODY, methods.BODIES),
    Group.QUERIES: (Part.QUERY, methods.QUERIES),
    Group.SLASHES: (Part.PATH, paths.SLASHES),
    Group.DOTS: (Part.PATH, paths.DOTS),
    Group.SUFFIXES: (Part.PATH, paths.SUFFIXES),
    Group.CASE: (Part.PATH, paths.CASE),
    Group.LETTERS: (Part.PATH, paths.LETTERS),
    Group.ENCODED_SLASHES: (Part.PATH, paths.ENCODED_SLASHES),
    Group.MALFORMED: (Part.PATH, paths.MALFORMED),
    Group.CONTROLS: (Part.PATH, paths.CONTROLS),
    Group.TARGETS: (Part.PATH, paths.TARGETS),
    Group.FRAGMENTS: (Part.PATH, paths.FRAGMENTS),
    Group.HOSTS: (Part.FIELDS, extras.HOSTS),
    Group.REWRITTEN: (Part.FIELDS, extras.REWRITTEN),
    Group.TRUSTED: (Part.FIELDS, extras.TRUSTED),
    Group.SPECIAL: (Part.FIELDS, extras.SPECIAL),
    Group.REPEATED: (Part.FIELDS, extras.REPEATED),
}
WAYS: Mapping[str, Way] = {
    way.key: way
    for group, (_, written) in _WRITTEN.items()
    for way in (Way(name=name, group=group, write=write) for name, write in written.items())
}
"""Every way, by its key."""
PARTS: Mapping[Part, tuple[str, ...]] = {
    part: tuple(key for key, way in WAYS.items() if _WRITTEN[way.group][0] is part) for part in Part
}
"""The keys of the ways to write each part otherwise."""
FOLDER = f"{Group.SLASHES}: the folder alone"
"""The way to the folder: it may be another thing, a list for everybody, and is asked for where a guard means all in it."""
JOIN = " + "
"""What stands between the keys of ways that go together."""


def along(value: str, plain: Spelling) -> Spelling:
    """``plain`` written in all the ways that ``value`` names; those that change nothing there are left out."""
    for key in filter(None, value.split(JOIN)):
        plain = WAYS[key].of(plain) or plain
    return plain
