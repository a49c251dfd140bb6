"""What a browser saw of a page: data, so that what it means can be decided again without a browser."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

__all__ = ["Seen", "Stop"]


_LISTS = ("ran", "said", "shut_out", "missed", "opaque", "reached")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Something on a page that a person can see and follow: a link, a button."""

    text: str
    """Its text, or what stands for it; empty when it has none."""
    target: str
    """Where it leads, as the browser resolved it; empty where that is a script's business."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a browser saw of one page."""

    ran: tuple[str, ...] = ()
    """The canaries that ran, by name."""
    said: tuple[str, ...] = ()
    """What the browser complained about, in its words."""
    shut_out: tuple[str, ...] = ()
    """Authorities (host:port) that the page wanted to ask, and did not reach."""
    missed: tuple[str, ...] = ()
    """Those of them from which it wanted scripts or frames: without these it may not be what a person sees."""
    opaque: tuple[str, ...] = ()
    """What on it may hold something to follow that cannot be looked into, or not yet be used: names of elements."""
    restless: bool = False
    """Whether it changes by itself all the time."""
    stops: tuple[Stop, ...] = ()
    """In the order of the page."""
    reached: tuple[int, ...] = ()
    """Places in ``stops`` that have the focus one after another when Tab is pressed."""
    chosen: int = -1
    """The place in ``stops`` of what was followed; -1 where nothing was."""
    by: str = ""
    """By what it was followed: keyboard or pointer; empty where it was not."""
    leads: str = ""
    """What came of that: ``asks METHOD URL``, ``opens a window``, ``asks in a dialog``, ``asks for what is missing``, ``hands over to SCHEME``, ``changes the page``, or nothing."""
    status: int | None = None
    """Of the answer to which it led."""

    def to_json(self) -> dict[str, Any]:
        """It as a JSON object."""
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        stops = [{"text": stop.text, "target": stop.target} for stop in self.stops]
        lists = {name: list(own[name]) for name in _LISTS}
        return own | lists | {"stops": stops}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """What ``to_json`` wrote."""
        tuples = {name: tuple(document[name]) for name in _LISTS}
        return cls(**{**document, **tuples, "stops": tuple(Stop(**stop) for stop in document["stops"])})

    def told(self, text: Callable[[str], str]) -> Self:
        """It with every word of the page put through ``text``."""
        return replace(
            self,
            ran=tuple(map(text, self.ran)),
            said=tuple(map(text, self.said)),
            shut_out=tuple(map(text, self.shut_out)),
            missed=tuple(map(text, self.missed)),
            opaque=tuple(map(text, self.opaque)),
            stops=tuple(Stop(text=text(stop.text), target=text(stop.target)) for stop in self.stops),
            leads=text(self.leads),
        )
