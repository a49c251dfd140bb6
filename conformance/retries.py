"""Payments that come again because their payer did not get an answer: hung up, lost on the way, refused, failed."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from conformance.attempts import GOOD, drop_unpayable, label, versions
from conformance.exchange import Exchange
from conformance.occasions import failing, hanging, variation
from conformance.paid import NOTHING
from conformance.probe import Probe, Sent
from conformance.profile import Entitlement
from conformance.protocols.x402.payment import Flow
from conformance.purse import Made, Order
from conformance.waits import Asking, Waits
from conformance.wire import Turn

__all__ = [
    "AGAIN",
    "ALONE",
    "AT_REST",
    "AT_WORK",
    "BOOM",
    "BRIEF",
    "HANGING",
    "IN_FLIGHT",
    "LEFT",
    "LEFT_SLOW",
    "LOST",
    "MORE",
    "PENDING",
    "REFUSED",
    "RETRY",
    "SLOW",
    "UNAIDED",
    "Retried",
    "failed_and_retried",
    "left",
    "lost",
    "lost_and_retried",
    "pending",
    "refused",
    "retry_control",
    "while_slow",
]

RETRY = "retry"
"""The group of payments that come again after something went wrong about them."""
HANGING = "hanging"
BOOM = "boom"

REFUSED = ("verify/no", "settle/no")
LOST = ("settle/settled-then-drops", "settle/settled-then-hangs")
"""Settlements that the target never hears of; the second one stands in the group of hangs."""
PENDING = ("settle/pending", "settle/pending, once")
LEFT = ("left at once", "left while it is settled")
"""Requests whose client hangs up, by when."""
UNAIDED = ", unaided"
"""What is put behind the name of a payment whose facilitator says yes however often it is asked."""

AGAIN, MORE = ", again", ", once more"
"""What is put behind the name of a payment when it comes for the second and for the third time."""

BRIEF = "brief"
"""The group of payments that end soon."""
IN_FLIGHT = "in flight"
"""The group of what comes again while it is at work."""
SLOW, LEFT_SLOW = "slow", "left while it is made"
ALONE = "slow, alone"
"""What comes again once more and by itself, where the handler ran more often than there were payments."""
AT_REST = "at rest"

_ONCE = ", once"
_BRIEF = 7
"""Seconds: one more than a facilitator needs to settle, less than that once a handler took two."""
AT_WORK = 1.0
"""Seconds: what is answered sooner was refused, and not made."""
_LATER = 0.4
"""Seconds after which a handler that takes two is at work for sure."""
_SETTLES = 0.2
"""Seconds that a settlement takes while we hang up."""
_ASKED = 1.0
"""Seconds for which we wait at most that the facilitator is asked to settle, before we hang up."""
_QUIET = 0.3
"""Seconds of silence after which a target is done with a request that nobody waits for."""
_POLL = 0.02
_FORGETS = ("verify/forgets", "settle/forgets")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """A gather: good payments that met a fault, each sent twice more to a facilitator that is honest about it."""

    names: tuple[str, ...]
    """The faults, such as ``settle/no``; with ``_ONCE`` behind it, for one call."""

    @property
    def __name__(self) -> str:
        return f"retried: {' and '.join(self.names)}"

    def __call__(self, probe: Probe) -> None:
        """Pays."""
        for version in _retrying(probe):
            for name in self.names:
                here = label(version, RETRY, name)
                fault = name.removesuffix(_ONCE)
                order = Order(version=version, faults=(fault,), times=1 if name != fault else None)
                drop_unpayable(probe, here, probe.pay(here, order))
                _twice_more(probe, here)


refused = Retried(names=REFUSED)
lost = Retried(names=LOST[:1])
pending = Retried(names=PENDING)


def retry_control(probe: Probe) -> None:
    """The good payment beside those that come again."""
    for version in versions(probe):
        probe.pay(label(version, RETRY, GOOD), Order(version=version))


def left(probe: Probe) -> None:
    """Good payments whose client hangs up, each sent twice more; and one to a facilitator that always says yes."""
    with probe.purse.alone():
        for version in _retrying(probe):
            slow = Order(version=version, faults=("settle/slow",), delay=_SETTLES)
            _leave(probe, label(version, RETRY, LEFT[1]), slow, lambda made: _until_settles(probe, made), reset=True)
        # They are settled while others have their turn.
        for gather in (refused, lost, pending):
            probe.gather(gather)
        for version in _retrying(probe):
            here = label(version, RETRY, LEFT[0])
            _leave(probe, here, Order(version=version), _at_once)
            _leave(probe, here + UNAIDED, Order(version=version, faults=_FORGETS), _at_once)
            _until_done(probe, here)
            _twice_more(probe, here)
            # Whoever gives what was paid for to one who comes back may give it to two who come at once.
            _until_done(probe, label(version, RETRY, LEFT[1]))
            _twice_at_once(probe, label(version, RETRY, LEFT[1]))
            _until_done(probe, here + UNAIDED)
            _once_more(probe, here + UNAIDED)


def _retrying(probe: Probe) -> list[int]:
    """The versions in which a good payment was answered; none where a payment opens more than one answer."""
    probe.gather(retry_control)
    found = [(version, probe.kept.get(label(version, RETRY, GOOD))) for version in versions(probe)]
    return [version for version, good in found if _once(probe) and good and not good.failure]


def _at_once(_: Made) -> None:
    """Waits for nothing."""


def lost_and_retried(probe: Probe) -> None:
    """The payments that were settled by a facilitator that never said so, each sent twice more."""
    probe.gather(hanging)
    if _once(probe):
        for version in versions(probe):
            _twice_more(probe, label(version, HANGING, LOST[1]))


def failed_and_retried(probe: Probe) -> None:
    """The payments for a request whose handler failed, each sent twice more for one whose handler does not fail."""
    probe.gather(failing)
    if not _once(probe):
        return
    how = variation(probe.endpoint.failing if probe.endpoint else None)
    for version in versions(probe):
        here = label(version, "failing", BOOM)
        _twice_more(probe, here)
        # Only what is settled first is charged for a failure.
        if (made := probe.made.get(here)) and made.note.flow != Flow.AUTHORIZATION:
            probe.pay(here + UNAIDED, Order(version=version, faults=_FORGETS), **how)
            _once_more(probe, here + UNAIDED)


def _while_slow(probe: Probe) -> Asking:
    """Requests whose handler is slow, all at the same time: what can happen to a payment while it is at work.

    One payment is valid for as long as it takes to settle at once, one comes again meanwhile, and one is left alone.
    """
    orders = {}
    for version in versions(probe):
        if not probe.pay(label(version, BRIEF, GOOD), Order(version=version)).failure:
            orders[label(version, BRIEF, SLOW)] = Order(version=version, holds=_BRIEF)
        here = label(version, IN_FLIGHT, GOOD)
        if _once(probe) and not probe.pay(here, Order(version=version), watched=True).failure:
            orders |= {label(version, IN_FLIGHT, name): Order(version=version) for name in (SLOW, LEFT_SLOW)}
    before = probe.witnessed()
    sent = [one for here, order in orders.items() for one in _slow_turns(probe, here, order)]
    _came(probe, sent, (yield sent))
    for here, order in orders.items():
        # Who does one thing after the other is slow for another reason.
        if any(_is_late(probe, each) for each in (here, here + AGAIN)):
            sent = _slow_turns(probe, here, order)
            _came(probe, sent, (yield sent))
    left = [here for here in orders if here.endswith(LEFT_SLOW)]
    for here in left:
        _until_done(probe, here)
    # Nothing is at work any more, here or beside us.
    yield ()
    if orders:
        yield from _count_runs(probe, orders, before)
    for here in left:
        _twice_more(probe, here)


while_slow = Waits(name="while_slow", asks=_while_slow, alone=True, after=hanging)
"""What happens to payments while what they are for is made."""


def _count_runs(probe: Probe, orders: Mapping[str, Order], before: int | None) -> Asking:
    """Notes how often the handler ran, and tries what comes again by itself where that is more often than it was paid."""
    after = probe.witnessed()
    if before is None or after is None:
        return
    most = sum(_may_have_run(probe.kept[here]) for here in orders)
    for here, order in orders.items():
        if not here.endswith(f"{IN_FLIGHT}: {SLOW}"):
            continue
        _note(probe, here, (before, after))
        good = probe.kept[label(order.version, IN_FLIGHT, GOOD)].paid
        usual = good.witness[1] - good.witness[0] if good and good.witness else 1
        if after - before > most * max(usual, 1):
            alone, rest = (label(order.version, IN_FLIGHT, name) for name in (ALONE, AT_REST))
            probe.rest(rest, probe.kept[here])
            begins = probe.witnessed()
            sent = _slow_turns(probe, alone, order)
            _came(probe, sent, (yield sent))
            ends = probe.witnessed()
            if begins is not None and ends is not None:
                _note(probe, alone, (begins, ends))


def _note(probe: Probe, here: str, witness: tuple[int, int]) -> None:
    exchange = probe.kept[here]
    probe.kept[here] = replace(exchange, paid=replace(exchange.paid or NOTHING, witness=witness))


def _may_have_run(exchange: Exchange) -> bool:
    """Whether the handler ran for a request: not where it was refused at once, or nobody was asked about its payment."""
    if exchange.response is None:
        return bool(exchange.paid and exchange.paid.calls)
    return exchange.took > AT_WORK


def _slow_turns(probe: Probe, here: str, order: Order) -> list[Sent]:
    """What is sent of one payment while its handler is slow; nothing where it cannot be made."""
    how = variation(probe.endpoint.slow if probe.endpoint else None)
    if not probe.make(here, order):
        return []
    turn = Turn(request=probe.carrying(probe.made[here], how), account=probe.account)
    if here.endswith(LEFT_SLOW):
        return [(here, replace(turn, stay=partial(time.sleep, _LATER)))]
    comes_again = [(here + AGAIN, replace(turn, after=_LATER))] if f" {IN_FLIGHT}: " in here else []
    return [(here, turn), *comes_again]


def _is_late(probe: Probe, here: str) -> bool:
    failure = probe.kept[here].failure if here in probe.kept else None
    return failure is not None and failure.kind == "timeout"


def _came(probe: Probe, sent: Sequence[Sent], answered: Sequence[Exchange]) -> None:
    """Keeps what came of ``sent``; what the facilitator was asked stands with the first of copies."""
    for (here, _), exchange in zip(sent, answered, strict=True):
        made = probe.made[here.removesuffix(AGAIN)]
        probe.kept[here] = replace(exchange, paid=made.note if here.endswith(AGAIN) else probe.purse.followed(made))


def _leave(probe: Probe, here: str, order: Order, stay: Callable[[Made], object], *, reset: bool = False) -> None:
    """Sends the payment of ``order`` and hangs up after ``stay``."""
    if probe.make(here, order):
        made = probe.made[here]
        request = probe.carrying(made)
        exchange = probe.wire.hang_up(request, stay=lambda: stay(made), reset=reset, account=probe.account)
        probe.kept[here] = replace(exchange, paid=probe.purse.followed(made))


def _once(probe: Probe) -> bool:
    """Whether a payment opens one answer only here, so that a second one says something."""
    return probe.endpoint is not None and probe.endpoint.entitlement == Entitlement.ONCE


def _twice_more(probe: Probe, here: str) -> None:
    """Sends the payment of ``here`` two more times, by the plain request; nothing where none was sent."""
    if made := _sent_before(probe, here):
        probe.purse.forgive(made)
        for more in (AGAIN, MORE):
            probe.repeat(here + more, made)


def _twice_at_once(probe: Probe, here: str) -> None:
    """As ``_twice_more``, both at the same moment; what the facilitator was asked stands with the first."""
    if made := _sent_before(probe, here):
        probe.purse.forgive(made)
        answered = probe.wire.send_at_once([probe.carrying(made)] * 2, account=probe.account)
        notes = (probe.purse.followed_on(made), made.note)
        for more, exchange, note in zip((AGAIN, MORE), answered, notes, strict=True):
            probe.kept[here + more] = replace(exchange, paid=note)


def _once_more(probe: Probe, here: str) -> None:
    """Sends the payment of ``here`` once more, to a facilitator that does about it what it did before.

    And again where it was settled again: the target may not have heard of the first time yet.
    """
    if made := _sent_before(probe, here):
        again = probe.repeat(here + AGAIN, made)
        if again.paid and any(call.good for call in again.paid.asked("settle")):
            time.sleep(_QUIET)
            probe.repeat(here + MORE, made)


def _sent_before(probe: Probe, here: str) -> Made | None:
    return probe.made.get(here) if here in probe.kept and probe.kept[here].paid else None


def _until_settles(probe: Probe, made: Made) -> None:
    """Waits until the facilitator is asked to settle ``made``, a second at most."""
    end = time.monotonic() + _ASKED
    while time.monotonic() < end and not list(probe.purse.followed(made).asked("settle")):
        time.sleep(_POLL)


def _until_done(probe: Probe, here: str) -> None:
    """Waits until the target has settled the payment of ``here``, or asks nothing more about it, and notes what it asked."""
    if (made := probe.made.get(here)) is None or here not in probe.kept:
        return
    end = time.monotonic() + probe.wire.timeout
    paid = probe.purse.followed(made)
    quiet = time.monotonic()
    while time.monotonic() < min(end, quiet + _QUIET) and not any(call.finished for call in paid.asked("settle")):
        time.sleep(_POLL)
        before, paid = paid, probe.purse.followed(made)
        under_way = any(call.finished is None for call in paid.calls)
        quiet = time.monotonic() if under_way or paid.calls != before.calls else quiet
    probe.kept[here] = replace(probe.kept[here], paid=paid)
