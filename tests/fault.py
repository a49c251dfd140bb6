"""One entry of the fault table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from altering import ALL, TARGET
from judging import Edit
from serving import Change, Relay

__all__ = ["Fault", "fault"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One server that is wrong in one way, and the requirements that say so, no more and no less."""

    name: str
    """A fact about the bad server."""
    does: Change | None = None
    red: frozenset[str]
    """Violated, unmet, or noted on a MAY."""
    at: tuple[str, ...] = ALL
    """Names of the endpoints where it acts; ``TARGET`` for paths that are none."""
    edit: Edit | None = None
    """What its profile says otherwise than the sandbox's."""
    secrets: Mapping[str, str] | None = None
    relay: Relay | None = None
    """What happens to its bytes on the way."""
    errors: frozenset[str] = frozenset()
    """Requirements that cannot be asked any more and say so as an error: the request never reaches the paywall."""

    untestable: frozenset[str] = frozenset()
    """Requirements that cannot be asked for want of means, and not because another one broke."""

    @property
    def where(self) -> tuple[str, ...]:
        """Paths whose answers change; none for all."""
        return () if self.at == TARGET else tuple(f"/{name}" for name in self.at)


def fault(name: str, does: Change | None, *red: str, **more: Any) -> Fault:
    """A fault in one line."""
    return Fault(name=name, does=does, red=frozenset(red), **more)
