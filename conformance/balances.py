"""What may become of a balance: the price of a success, what a top-up adds, and nothing else. Pure arithmetic.

Every bound is as wide as an honest account may need: a price may be a range, a top-up may set a balance instead of adding
to it, and of an answer that nobody can read nobody knows whether it was charged.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from conformance.effects import about, paid_for, within
from conformance.profile import Price

__all__ = ["Book", "Came", "Deed", "Terms"]


class Came(StrEnum):
    """What came of a request."""

    SERVED = "served"
    REFUSED = "refused"
    UNCLEAR = "unclear"
    """Nobody knows: no answer, one that failed, or a success without what is sold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How an account behaves on its own, in its unit."""

    price: Price
    credit: Decimal
    """What one top-up adds at most."""
    start: Decimal
    """What there is once everything is taken back."""
    sure: Decimal | None
    """Up to which balance a top-up adds ``credit`` and no less; None where it was seen to add less."""
    grown: tuple[Decimal, Decimal] | None = None
    """What a top-up adds, and one that came after it to no less adds beyond that; None where none was seen to."""
    shown: tuple[Decimal, ...] = ()
    """What was read of it: a balance that is whole by chance is told as finely as others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What was done with the account, and what came of it."""

    verb: str
    number: int = 0
    """Of the call whose key this brings, from 1; 0 for none."""
    came: tuple[Came, ...] = ()
    """Of each request."""
    done: bool = True
    """Whether each step of a top-up was answered as it is to be."""


@dataclass(slots=True, kw_only=True)
class _Key:
    """What is known of a call, under whose key one may come again."""

    taken: Decimal = Decimal(0)
    served: bool = False
    loose: bool = False
    """Whether it may be forgotten, as everything was taken back since."""


@dataclass(slots=True, kw_only=True)
class Book:
    """The account as it ought to be, step after step."""

    terms: Terms
    held: Decimal
    """What was read last."""
    keys: dict[int, _Key] = field(default_factory=dict)

    def allows(self, deed: Deed, now: Decimal) -> bool:
        """Whether ``now`` may be read after ``deed``."""
        return not self.wrong(deed, now)

    def wrong(self, deed: Deed, now: Decimal) -> str:
        """What is wrong with reading ``now`` after ``deed``; empty when it may be so."""
        debit = self.held - now
        match deed.verb:
            case "top up":
                found = self._topped_up(deed, now)
            case "take back":
                most = max(self.held, self.terms.start)
                found = "" if now <= most or about(now, most, now) else f"it is more than there was: {now:f}"
            case "call" | "again":
                found = self._called(deed, now)
            case "race":
                found = self._raced(deed, now)
            case "decline" if Came.REFUSED not in deed.came:
                # Whoever is served there may have this account.
                found = self._at_most(debit, now)
            case _:
                found = self._unmoved(debit, now)
        return found

    def note(self, deed: Deed, now: Decimal) -> None:
        """Takes ``deed``, with which nothing was wrong, into the book."""
        if deed.verb == "take back":
            for key in self.keys.values():
                # What empties an account may empty what it remembers.
                key.taken, key.loose = Decimal(0), True
        elif deed.number:
            key = self.keys.setdefault(deed.number, _Key())
            debit = self.held - now
            served = Came.SERVED in deed.came
            if not key.loose or not about(debit, Decimal(0), *self._told(now)):
                key.taken, key.loose = key.taken + debit, False
                key.served = key.served or served
        self.held = now

    def _topped_up(self, deed: Deed, now: Decimal) -> str:
        credit, held = self.terms.credit, self.held
        most = max(held, self.terms.start) + credit
        told = f"it adds {now - held:f}, where it adds {credit:f} alone"
        if now > most and not about(now, most, now, held):
            return told
        sure = self.terms.sure
        least = held + credit if deed.done and sure is not None and held <= sure else min(held, most)
        return told if now < least and not about(now, least, now, held) else ""

    def _called(self, deed: Deed, now: Decimal) -> str:
        debit, price = self.held - now, self.terms.price
        key = self.keys.get(deed.number, _Key())
        if key.served and not key.loose:
            same = about(debit, Decimal(0), *self._told(now))
            return "" if same else f"the key of call {deed.number} comes again, and takes {debit:f}"
        if Came.SERVED not in deed.came:
            return self._at_most(debit, now, key.taken) if Came.UNCLEAR in deed.came else self._unmoved(debit, now)
        if key.loose and about(debit, Decimal(0), *self._told(now)):
            return ""
        if not within(key.taken + debit, price, *self._told(now)):
            return f"served, and it takes {key.taken + debit:f}"
        return "" if key.taken or self._pays(1) else f"served, where {self.held:f} is there"

    def _raced(self, deed: Deed, now: Decimal) -> str:
        debit, price = self.held - now, self.terms.price
        good, lost = deed.came.count(Came.SERVED), deed.came.count(Came.UNCLEAR)
        if not within(debit, price, *self._told(now), times=good, lost=lost):
            return f"{good} served, and {debit:f} is taken"
        return "" if self._pays(good) else f"{good} served, where {self.held:f} is there"

    def _told(self, now: Decimal) -> tuple[Decimal, ...]:
        return (now, self.held, *self.terms.shown)

    def _pays(self, times: int) -> bool:
        return times <= paid_for(self.held, self.terms.price, self.terms.start)

    def _at_most(self, debit: Decimal, now: Decimal, taken: Decimal = Decimal(0)) -> str:
        some = Price(minimum=Decimal(0), maximum=max(self.terms.price.maximum - taken, Decimal(0)))
        return (
            ""
            if within(debit, some, *self._told(now))
            else f"nobody knows whether it was served, and it takes {debit:f}"
        )

    def _unmoved(self, debit: Decimal, now: Decimal) -> str:
        if about(debit, Decimal(0), *self._told(now)):
            return ""
        return f"nothing is served, and it {'takes' if debit > 0 else 'adds'} {abs(debit):f}"
