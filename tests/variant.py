"""One entry of the table of legal variants, and the words for how its profile differs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from judging import Edit
from serving import GOODS, Change, Relay

__all__ = ["Legal", "also", "both", "endpoints", "first", "legal", "terms", "unclaimed", "unpriced"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Legal:
    """One server that is as correct as the sandbox and differs from it."""

    name: str
    """A fact about the server."""
    does: Change | None = None
    allows: tuple[str, ...] = ()
    """What the catalogue says of it: requirement id, colon, one of its ``allowed``."""
    notes: frozenset[str] = frozenset()
    """Requirements of level MAY that note it."""
    where: tuple[str, ...] = GOODS
    sells: Mapping[str, str] = field(default_factory=dict)
    edit: Edit | None = None
    """What its profile says otherwise than the sandbox's."""
    relay: Relay | None = None


def legal(name: str, does: Change | None, *allows: str, **more: Any) -> Legal:
    """A legal variant in one line."""
    return Legal(name=name, does=does, allows=allows, **more)


def endpoints(**members: object) -> Edit:
    """Sets members of every endpoint; None removes one."""

    def edit(written: dict[str, Any]) -> None:
        for endpoint in written["endpoint"]:
            _set(endpoint, members)

    return edit


def first(**members: object) -> Edit:
    """Sets members of the first endpoint, the weather; None removes one."""
    return lambda written: _set(written["endpoint"][0], members)


def _set(entry: dict[str, Any], members: Mapping[str, object]) -> None:
    for member, value in members.items():
        if value is None:
            entry.pop(member, None)
        else:
            entry[member] = value


def terms(**members: object) -> Edit:
    """Sets members of the terms of every endpoint; None removes one."""

    def edit(written: dict[str, Any]) -> None:
        for endpoint in written["endpoint"]:
            for entry in endpoint["terms"]:
                _set(entry, members)

    return edit


def also(**members: object) -> Edit:
    """Adds terms to every endpoint that are the first ones but for ``members``."""

    def edit(written: dict[str, Any]) -> None:
        for endpoint in written["endpoint"]:
            endpoint["terms"].append(endpoint["terms"][0] | members)

    return edit


def unpriced(written: dict[str, Any]) -> None:
    """Takes every terms away."""
    endpoints(terms=None)(written)


def unclaimed(written: dict[str, Any]) -> None:
    """Claims nothing."""
    del written["claims"]


def both(*edits: Edit) -> Edit:
    """One edit after the other."""

    def edit(written: dict[str, Any]) -> None:
        for one in edits:
            one(written)

    return edit
