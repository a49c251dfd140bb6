"""What probes of state read on the way through a flow, again until it is as it ought to be or it is too late."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from conformance import effects
from conformance.asking import request_to
from conformance.probe import Probe
from conformance.profile import Flow, Observe, Price
from conformance.walks import label

__all__ = ["PAUSE", "STEPS", "Account", "read", "read_until"]

PAUSE = 0.2
"""Seconds until what is not there yet is asked for again."""
STEPS = "flow"
"""Whose budget of requests counts: what is used up at an endpoint keeps nobody from reading."""


def read(probe: Probe, name: str, watch: Observe, when: str) -> Decimal | None:
    """Asks the probe ``watch``, and keeps its answer as ``when``, with its name; the number that it reads, if any."""
    request = request_to(probe.profile, None, path=watch.path, identity=watch.identity)
    exchange = probe.wire.send(request, account=STEPS)
    probe.kept[f"{when} ({name})"] = exchange
    return effects.reading(watch, exchange.response)


def read_until(
    probe: Probe, watch: tuple[str, Observe], when: str, fits: Callable[[Decimal], bool], late: float
) -> Decimal | None:
    """Reads until it ``fits``, or it is ``late`` seconds later; what is read then stands beside ``when``."""
    found = read(probe, *watch, when)
    until, again = time.monotonic() + late, 0
    while found is not None and not fits(found) and time.monotonic() < until:
        time.sleep(PAUSE)
        again += 1
        found = read(probe, *watch, f"{when}, later {again}")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What is read of the account that a flow is about."""

    probe: Probe
    flow: Flow
    time: int | str
    watch: tuple[str, Observe] | None
    """The probe that reads it, with its name; None where none does."""
    price: Price | None
    refused_at: Decimal | None
    """What it had when it was refused."""

    def credited(self) -> Decimal | None:
        """What the account has after the steps, read until it moves: what was bought may come a little later."""
        return self._awaited("credited", lambda found: found != self.refused_at)

    def undone(self) -> Decimal | None:
        """What the account has when all is taken back, read until that pays for no call; that may be a little later too."""
        return self._awaited("undone", lambda found: self.price is None or found < self.price.minimum)

    def _awaited(self, when: str, fits: Callable[[Decimal], bool]) -> Decimal | None:
        """What is read once it fits, or it is too late; what was read before stands beside it as early."""
        if self.watch is None:
            return None
        name, called = self.watch[0], label(self.flow, self.time, when)
        found = read(self.probe, *self.watch, called)
        until, early = time.monotonic() + self.flow.within, 0
        while found is not None and not fits(found) and time.monotonic() < until:
            time.sleep(PAUSE)
            early += 1
            self.probe.kept[f"{called}, early {early} ({name})"] = self.probe.kept.pop(f"{called} ({name})")
            found = read(self.probe, *self.watch, called)
        return found

    def settle(self, when: str, held: Decimal, *, times: int, lost: int = 0) -> bool:
        """Reads until ``held`` less ``times`` prices is there, or it is too late; whether it was there at once."""
        if self.watch is None:
            return True
        price, called = self.price, label(self.flow, self.time, when)

        def fits(found: Decimal) -> bool:
            # Without a price, one reading is as good as another.
            return price is None or effects.within(held - found, price, held, found, times=times, lost=lost)

        read_until(self.probe, self.watch, called, fits, self.flow.within)
        return f"{called}, later 1 ({self.watch[0]})" not in self.probe.kept
