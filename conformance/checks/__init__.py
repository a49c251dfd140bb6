"""What we ship: one check per requirement, in the module of its area."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

from hypothesis.strategies import SearchStrategy

from conformance import catalogue, memory
from conformance.evidence import Evidence
from conformance.probe import Gather, Probe

__all__ = ["Check", "Drawn", "check", "load"]

Decide = Callable[[Evidence], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """How a check asks with values that Hypothesis draws."""

    values: Callable[[Probe], SearchStrategy[str]]
    examples: tuple[str, ...]
    """Values that are always asked first: the bugs of history."""
    ask: Callable[[Probe, str], None]
    shared: bool = False
    """Whether a gather asks what is drawn, for several checks; it is drawn again to make one that is wrong smaller."""
    per: int = 1
    """Of how many examples that the limits of the profile allow one is drawn: more, where each takes many requests."""

    def many(self, allowed: int) -> int:
        """How many are drawn where the limits allow so many."""
        return max(1, allowed // self.per)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The pair that decides one requirement.

    ``gathers`` ask and bring in evidence. ``decide`` is pure: it returns when the requirement holds and otherwise
    raises Violation, Untestable, Inapplicable or Unanswered.
    """

    requirement: str
    gathers: Sequence[Gather]
    decide: Decide
    drawn: Drawn | None = None

    @property
    def name(self) -> str:
        """The name of the check in a node id."""
        return self.decide.__name__

    @property
    def line(self) -> int:
        """Where it is written, counted from 0."""
        return self.decide.__code__.co_firstlineno - 1


def check(requirement: str, *gathers: Gather, drawn: Drawn | None = None) -> Callable[[Decide], Check]:
    """Makes a function that decides into the check of ``requirement``."""

    def wrap(decide: Decide) -> Check:
        return Check(requirement=requirement, gathers=gathers, decide=decide, drawn=drawn)

    return wrap


@cache
def load() -> Mapping[Path, tuple[Check, ...]]:
    """Every check that ships with us, by the file that holds it, in the order in which it is written."""
    found = {}
    for path in sorted(Path(__file__).resolve().parent.glob("*.py")):
        if path.stem != "__init__":
            module = import_module(f"{__name__}.{path.stem}")
            if own := tuple(value for value in vars(module).values() if isinstance(value, Check)):
                found[path] = own
    return dict(sorted(found.items(), key=lambda item: _turn(item[1])))


def _turn(own: Sequence[Check]) -> tuple[bool, bool]:
    """What a target may take amiss comes last: it may shut us out afterwards. So does what is under way meanwhile."""
    known = catalogue.load().requirements
    return any(check.drawn for check in own), any(known[check.requirement].cls == memory.CLASS for check in own)
