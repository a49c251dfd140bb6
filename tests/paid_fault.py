"""One entry of the tables of shops: what is different about one that takes payments, and what that turns red."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from judging import Edit

__all__ = ["BOTH", "EVERY", "PaidFault", "PaidLegal", "fault", "legal"]

BOTH = ("/weather", "/forecast")
"""A good of version 2, and one of version 1."""

EVERY = (*BOTH, "/satellite")
"""And one that is settled upfront."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidFault:
    """One shop with one thing wrong."""

    name: str
    """A fact about the shop."""
    red: frozenset[str]
    """The requirements that it breaks, all of them."""
    flaws: Mapping[str, Any] = field(default_factory=dict)
    """Members of Shop."""
    goods: tuple[str, ...] = BOTH
    at: tuple[str, ...] = ()
    """The goods at which it shows; empty: at all."""
    untestable: frozenset[str] = frozenset()
    """What can then not be asked."""
    slow: bool = False
    """Whether it takes a slow handler to see it."""
    edit: Edit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidLegal:
    """One shop that is as correct as the sandbox and differs from it."""

    name: str
    allows: tuple[str, ...] = ()
    """What the catalogue says of it: requirement id, colon, one of its ``allowed``."""
    flaws: Mapping[str, Any] = field(default_factory=dict)
    goods: tuple[str, ...] = BOTH
    notes: frozenset[str] = frozenset()
    """Requirements of level MAY that note it, beside those that note the sandbox."""
    slow: bool = False
    """Whether a slow handler is asked as well."""
    edit: Edit | None = None


def fault(name: str, *red: str, **more: Any) -> PaidFault:
    """A fault in one line; members of Shop are its flaws."""
    own = {key: more.pop(key) for key in ("goods", "at", "untestable", "slow", "edit") if key in more}
    if "untestable" in own:
        own["untestable"] = frozenset(own["untestable"])
    return PaidFault(name=name, red=frozenset(red), flaws=more, **own)


def legal(name: str, *allows: str, **more: Any) -> PaidLegal:
    """A legal variant in one line; members of Shop are its flaws."""
    own = {key: more.pop(key) for key in ("goods", "notes", "slow", "edit") if key in more}
    return PaidLegal(name=name, allows=allows, flaws=more, **own)
