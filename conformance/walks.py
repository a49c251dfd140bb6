"""The steps that were taken with an account, and how it behaves, as exchanges and their names tell."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations, pairwise

from conformance import effects
from conformance.balances import Terms
from conformance.dealings import MOST_TOP_UPS
from conformance.effects import Unwatched
from conformance.exchange import Exchange
from conformance.profile import Endpoint, Flow, Observe, Price, Profile

__all__ = ["AGAIN", "ALONE", "BEGUN", "THEN", "Walk", "Went", "label", "terms", "walks", "watched"]

AGAIN = ", once more "
"""What stands in the name of a program that is carried out again, as something was wrong with it."""
BEGUN, THEN = "begun", "then"
"""What readings are called: before the first step, and after each."""
ALONE = "alone"
"""What top-ups are called with nothing between them."""
_FIRST = ("refused", "credited", "debited")


def label(flow: Flow, time: int | str, what: str) -> str:
    """What an exchange of a flow is called, that was carried out so many times before."""
    return f"{flow.name} #{time}: {what}"


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


def terms(profile: Profile, flow: Flow, endpoint: Endpoint, exchanges: Mapping[str, Exchange]) -> Terms | None:
    """How the account behaves when nothing is mixed up; None where that was not seen."""
    if (found := watched(profile, flow, endpoint, exchanges)) is None:
        return None
    name, watch, price = found
    readings = [
        _last(watch, exchanges, label(flow, ALONE, when), name)
        for when in (BEGUN, *(f"{THEN} {number}" for number in range(1, MOST_TOP_UPS + 1)))
    ]
    bought = _last(watch, exchanges, label(flow, f"{ALONE} 0", THEN), name)
    if readings[0] is not None and bought is not None and readings[0] >= bought:
        # What is not there yet, or not taken back yet, may be so at any time.
        return None
    held = [reading for reading in readings if reading is not None]
    late = any(one.startswith(label(flow, time_, "debited, later")) for one in exchanges for time_ in (1, 2))
    price = price or _learned(flow, exchanges, name, watch)
    if price is None or late or len(held) < 2:
        return None
    added = [after - before for before, after in pairwise(held)]
    once = [_number(watch, exchanges.get(f"{label(flow, 1, when)} ({name})")) for when in _FIRST[:2]]
    grown = _grown(
        [(before, after) for before, after in (once, *pairwise(held)) if before is not None and after is not None]
    )
    alike = len(added) == MOST_TOP_UPS and all(effects.about(one, added[0], *held) for one in added)
    first = (_number(watch, exchanges.get(f"{label(flow, 1, when)} ({name})")) for when in _FIRST)
    shown = (*held, *(reading for reading in first if reading is not None))
    sure = held[-2] if alike else None
    return Terms(price=price, credit=max(added), start=held[0], sure=sure, grown=grown, shown=shown)


def _grown(steps: list[tuple[Decimal, Decimal]]) -> tuple[Decimal, Decimal] | None:
    """What one step adds, and a later one that begins no lower adds beyond that, if any does."""
    for (first, had), (later, has) in combinations(steps, 2):
        if (
            later >= first
            and has - later > had - first
            and not effects.about(had - first, has - later, *sum(steps, ()))
        ):
            return had - first, has - later
    return None


def watched(
    profile: Profile, flow: Flow, endpoint: Endpoint, exchanges: Mapping[str, Exchange]
) -> tuple[str, Observe, Price | None] | None:
    """The probe of the account, with its name, and what the refusal or the profile says of the price."""
    had = exchanges.get(label(flow, 1, "refused"))
    record = effects.refusal(profile, endpoint, had.response) if had else None
    if record is None:
        return None
    try:
        return *effects.account(profile, flow, record), effects.price(flow, record)
    except Unwatched:
        return None


def _number(watch: Observe, exchange: Exchange | None) -> Decimal | None:
    return effects.reading(watch, exchange.response) if exchange else None


def _last(watch: Observe, exchanges: Mapping[str, Exchange], when: str, name: str) -> Decimal | None:
    """What was read at last of what was read until it was as it ought to be."""
    called, nth = f"{when} ({name})", 1
    while (later := f"{when}, later {nth} ({name})") in exchanges:
        called, nth = later, nth + 1
    return _number(watch, exchanges.get(called))


def _learned(flow: Flow, exchanges: Mapping[str, Exchange], name: str, watch: Observe) -> Price | None:
    """What two successes took, where nothing says what they cost; None unless it was the same."""
    taken = []
    for time_ in (1, 2):
        held, left = (
            _number(watch, exchanges.get(f"{label(flow, time_, when)} ({name})")) for when in ("credited", "debited")
        )
        if held is not None and left is not None:
            taken.append(held - left)
    alike = len(taken) == 2 and taken[0] > 0 and effects.about(taken[0], taken[1])
    return Price(minimum=taken[0], maximum=taken[0]) if alike else None
