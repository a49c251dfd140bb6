"""The steps that were taken with an account, as the names of exchanges tell them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from conformance.exchange import Exchange
from conformance.flows import label
from conformance.profile import Flow

__all__ = ["AGAIN", "BEGUN", "THEN", "Walk", "Went", "walks"]

AGAIN = ", once more "
"""What stands in the name of a program that is carried out again, as something was wrong with it."""
BEGUN, THEN = "begun", "then"
"""What readings are called: before the first step, and after each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Went:
    """One step that was taken."""

    number: int
    told: str
    called: str
    """How its exchanges are called, up to the colon."""

    @property
    def name(self) -> str:
        """The step for a sentence."""
        return f"step {self.number}, {self.told}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """A program as it was carried out once."""

    called: str
    steps: tuple[Went, ...]


def walks(exchanges: Mapping[str, Exchange], flow: Flow) -> list[Walk]:
    """The walks of a flow's account that are among ``exchanges``, in their order."""
    head = re.escape(f"{flow.name} #")
    name = re.compile(head + rf"(program \d+(?:{AGAIN}\d+)?): (?:{BEGUN} |step (\d+), ([^:,]+)(?:, \d+)?: )")
    found: dict[str, dict[int, Went]] = {}
    for one in exchanges:
        if had := name.match(one):
            own = found.setdefault(had[1], {})
            if had[2]:
                number = int(had[2])
                called = label(flow, had[1], f"step {number}, {had[3]}")
                own.setdefault(number, Went(number=number, told=had[3], called=called))
    return [Walk(called=called, steps=tuple(own[n] for n in sorted(own))) for called, own in found.items()]
