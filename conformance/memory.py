"""Payments that come again where a server may have forgotten them: after a restart, at a replica, past their time."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from types import MappingProxyType

from conformance import facilitator
from conformance.asking import request_to
from conformance.attempts import GOOD, label, versions
from conformance.course import HOLDS, OVER, counters, performed, sold_once, stocked
from conformance.exchange import Exchange, Failure, Request
from conformance.facilitator.authorization import Reason
from conformance.instances import Instance, begun, scratch, started_anew
from conformance.probe import Probe
from conformance.profile import Endpoint, Profile, ProfileError
from conformance.protocols import x402
from conformance.purse import Made, Order, Unpayable

__all__ = [
    "AGAIN",
    "APART",
    "AT_ONCE",
    "BEGUN",
    "CLASS",
    "CONTROL",
    "EXPIRY",
    "INSTANCES",
    "LATER",
    "ORDINARY",
    "RACED",
    "REPLICA",
    "RESTART",
    "TARGET",
    "beside",
    "expired",
    "expiring",
    "inside",
    "performed_again",
    "remembered",
    "reopened",
    "unaided",
]

CLASS = "x402/durable"
"""The class that asks instances of its own."""
INSTANCES, TARGET = "instances", "target"
"""Of whom something was asked."""
RESTART, REPLICA, EXPIRY = "restart", "replica", "expiry"
"""Groups: what the payments are good for that come again."""
CONTROL = "control"
"""A fresh payment at the instance at which another one comes again."""
ORDINARY = "ordinary"
"""A payment that is valid for as long as the offer asks, where one that is not was turned down."""
AT_ONCE = "at once"
LATER = ("same bytes", "nonce-upper")
"""How a payment comes again, the second time as a twin."""
RACED = ("first use at one", "first use at the other")
FIRST, AGAIN = "first", "again"
"""The first instance, and the same once it was started anew: how what programs have there is called."""
BEGUN = "instances begin"
"""Kept where an instance did not start."""

_FORGETS = ("verify/forgets", "settle/forgets")
_REPEATS = ("verify/repeats", "settle/repeats")

_LONGER = 14
"""Seconds for which a payment is valid that is to expire, at the second try."""
_READY = 5.0
"""Seconds for which an instance that answers already may say that it cannot sell yet."""
_PAUSE = 0.2
_WINDOW = 0.15
"""Seconds that a settlement takes while the same payment comes elsewhere."""


def unaided(group: str) -> str:
    """What a group is called under a facilitator that says yes to what it said yes to before."""
    return f"{group} unaided"


def beside(profile: Profile) -> bool:
    """Whether instances may be asked while the target is: they share nothing with it, or are said to run side by side."""
    how = profile.target.start
    return how is not None and (
        how.replicas > 1 or any("{scratch}" in text for text in (how.command, *how.env.values()))
    )


def inside(place: str, endpoint: Endpoint, here: str) -> str:
    """What the exchange ``here`` at an endpoint of ``place`` is called in the evidence on the whole target."""
    return f"{place}, {endpoint.name}, {here}"


def remembered(probe: Probe) -> None:
    """Payments at a first instance, which come again at a second one, and at the first once it was started anew.

    The second runs beside the first where the profile says that two may. The target itself is left alone.
    """
    if not sold_once(probe.profile):
        return
    how = probe.profile.target.start
    names = ("first", "second")[: how.replicas if how else 1]
    with ExitStack() as stack:
        own, folder = stack.enter_context(facilitator.start()), stack.enter_context(scratch(probe))
        pool = stack.enter_context(ThreadPoolExecutor(len(names)))
        starting = [pool.submit(begun, probe, name, own=own, folder=folder) for name in names]
        # Whatever happens here, none of them outlives it; they do not even live as long.
        lives = [stack.enter_context(ExitStack()) for _ in names]
        for life, turn in zip(lives, starting, strict=True):
            life.callback(_stop, turn)
        try:
            first, *others = [turn.result() for turn in starting]
            shops = _ready(_opened(first))
            for second in others:
                _at_replica(probe, shops, second)
            first.probe.gather(stocked)
            # Not all of it is used by a program, and every payment is told of.
            _note(probe, first.probe, first.probe.kept, FIRST)
            # Right before the end: a memory that is written down now and then may not know of them yet.
            with first.probe.purse.among_others():
                for shop, version in _sold(shops):
                    _pay(shop, version, RESTART)
                for life in lives:
                    life.close()
            again = _anew(probe, first, own, folder)
        except ProfileError as error:
            failure = Failure(kind="refused", detail=probe.purse.redactor.text(str(error)))
            probe.kept[BEGUN] = Exchange(request=request_to(probe.profile, None), failure=failure)
            return
        stack.callback(again.stop)
        _after_restart(probe, shops, again)
        again.probe.kept |= {here: first.probe.kept[here] for here in first.probe.made}
        again.probe.made |= first.probe.made
        again.probe.purse.told |= first.probe.purse.told
        probe.others[AGAIN] = again.probe
        probe.until_end.callback(stack.pop_all().close)


def reopened(probe: Probe) -> None:
    """What is sold by the instance that was started anew, which is where programs are carried out after a restart."""
    # Payments that are to expire are made first: they do so while instances start.
    probe.gather(expiring)
    probe.gather(remembered)
    if again := probe.others.get(AGAIN):
        _note(probe, again, again.gather(counters), AGAIN)
    elif BEGUN in probe.kept:
        probe.kept[f"{AGAIN}: {BEGUN}"] = probe.kept[BEGUN]


def performed_again(probe: Probe, program: str) -> None:
    """Carries out ``program`` at the instance that was started anew."""
    if again := probe.others.get(AGAIN):
        before = set(again.kept)
        performed(again, program)
        _note(probe, again, [here for here in again.kept if here not in before], AGAIN)


def _note(probe: Probe, other: Probe, labels: Iterable[str], name: str) -> None:
    probe.kept |= {f"{name}: {here}": other.kept[here] for here in labels}


def expiring(probe: Probe) -> None:
    """Payments at the target itself that are valid for a few seconds only."""
    for endpoint in sold_once(probe.profile):
        shop = probe.at(endpoint)
        for version in versions(shop):
            for group, faults in ((EXPIRY, ()), (unaided(EXPIRY), _REPEATS)):
                for holds in (HOLDS, _LONGER):
                    paid = shop.pay(label(version, group, GOOD), Order(version=version, holds=holds, faults=faults))
                    if not (_refused(paid) or _late(paid)):
                        break
                else:
                    shop.pay(label(version, group, ORDINARY), Order(version=version, faults=faults))
        _keep(probe, TARGET, shop)


def expired(probe: Probe) -> None:
    """The same once their time is over; meanwhile instances are started, where that is allowed."""
    probe.gather(expiring)
    if (how := probe.profile.target.start) and how.restart:
        probe.gather(remembered)
    served = [
        (shop, version, group, shop.made[here])
        for shop in _shops(probe)
        for version in (1, 2)
        for group in (EXPIRY, unaided(EXPIRY))
        if (here := label(version, group, GOOD)) in shop.made and not _refused(shop.kept[here])
    ]
    over = max((made.payment.ends for *_, made in served), default=0) + OVER
    time.sleep(min(max(over - time.time(), 0), _LONGER + OVER))
    for shop, version, group, made in served:
        _replay(shop, version, group, made)
    for shop in {id(shop): shop for shop, *_ in served}.values():
        _keep(probe, TARGET, shop)


def _shops(probe: Probe) -> Iterator[Probe]:
    """A probe of each endpoint with what ``_keep`` kept of it."""
    for endpoint in sold_once(probe.profile):
        shop, start = probe.at(endpoint), inside(TARGET, endpoint, "")
        shop.kept |= {here.removeprefix(start): e for here, e in probe.kept.items() if here.startswith(start)}
        shop.made |= {here.removeprefix(start): m for here, m in probe.made.items() if here.startswith(start)}
        yield shop


def _keep(probe: Probe, place: str, shop: Probe) -> None:
    assert shop.endpoint is not None  # noqa: S101 - made for an endpoint
    probe.kept |= {inside(place, shop.endpoint, here): exchange for here, exchange in shop.kept.items()}
    probe.made |= {inside(place, shop.endpoint, here): made for here, made in shop.made.items()}


def _refused(exchange: Exchange) -> bool:
    return exchange.response is None or exchange.response.status >= 400


def _late(exchange: Exchange) -> bool:
    """Whether the facilitator was asked when the payment held for too short a time, whatever the target made of it."""
    paid = exchange.paid
    return paid is not None and any(call.reason == Reason.BEFORE.format(scheme=paid.scheme) for call in paid.calls)


def _stop(turn: Future[Instance]) -> None:
    """Ends an instance; one that is still starting as soon as it has, also where we are interrupted meanwhile."""
    turn.add_done_callback(lambda done: None if done.exception() else done.result().stop())


def _anew(probe: Probe, first: Instance, own: facilitator.Running, folder: str) -> Instance:
    """The first instance once more; at another port where its own is not to be had any more."""
    try:
        return begun(probe, "again", own=own, folder=folder, port=first.port)
    except ProfileError:
        return begun(probe, "again, elsewhere", own=own, folder=folder)


def _opened(instance: Instance) -> Mapping[str, Probe]:
    """A probe of each endpoint of an instance, by name."""
    profile = instance.probe.profile
    return MappingProxyType({e.name: instance.probe.at(e) for e in sold_once(profile)})


def _ready(shops: Mapping[str, Probe]) -> Mapping[str, Probe]:
    """The same once the first of them has something to sell, or took too long."""
    for shop in list(shops.values())[:1]:
        _until(time.monotonic() + _READY, partial(shop.ask, "ready"))
        del shop.kept["ready"]
    return shops


def _sold(shops: Mapping[str, Probe]) -> Iterator[tuple[Probe, int]]:
    for shop in shops.values():
        for version in versions(shop):
            yield shop, version


def _pay(shop: Probe, version: int, group: str) -> None:
    """A payment that comes again later, with the facilitator's aid and without."""
    shop.pay(label(version, group, GOOD), Order(version=version))
    shop.pay(label(version, unaided(group), GOOD), Order(version=version, faults=_FORGETS))


def _paid(shop: Probe, version: int, group: str) -> Iterator[tuple[str, Made]]:
    """What ``_pay`` paid and was not turned down, by group."""
    for each in (group, unaided(group)):
        here = label(version, each, GOOD)
        if here in shop.made and not _refused(shop.kept[here]):
            yield each, shop.made[here]


def _replay(shop: Probe, version: int, group: str, made: Made) -> None:
    """Sends a payment again as it was, and as a twin around which stands what is offered here."""
    same, twin = LATER
    shop.repeat(label(version, group, same), made)
    try:
        offer = shop.offer(version)
    except Unpayable:
        offer = None
    shop.repeat(label(version, group, twin), shop.purse.rewritten(made, (twin,), offer=offer))


def _at_replica(probe: Probe, shops: Mapping[str, Probe], second: Instance) -> None:
    others = _ready(_opened(second))
    for shop, version in _sold(shops):
        _pay(shop, version, REPLICA)
    for name, other in others.items():
        for version in versions(other):
            other.pay(label(version, REPLICA, CONTROL), Order(version=version))
            for group, made in _paid(shops[name], version, REPLICA):
                _replay(other, version, group, made)
    with second.probe.purse.among_others():
        for group, faults in ((REPLICA, ("settle/slow",)), (unaided(REPLICA), _FORGETS)):
            _race(shops, others, group, faults)
    for name, other in others.items():
        other.kept.pop("unpaid", None)
        _keep(probe, INSTANCES, shops[name])
        _keep(probe, INSTANCES, other)


def _race(shops: Mapping[str, Probe], others: Mapping[str, Probe], group: str, faults: tuple[str, ...]) -> None:
    """Two copies of a fresh payment at each endpoint, one at each instance, all at the same moment."""
    made: list[tuple[str, int, Made]] = []
    asked: tuple[list[Request], list[Request]] = ([], [])
    for shop, version in _sold(shops):
        assert shop.endpoint is not None  # noqa: S101 - made for an endpoint
        other, order = others[shop.endpoint.name], Order(version=version, faults=faults, delay=_WINDOW)
        try:
            one, offer = shop.purse.make(shop.offer(version), order), other.offer(version)
        except Unpayable:
            continue
        shop.purse.instruct(one, order, shop.wire.timeout)
        made.append((shop.endpoint.name, version, one))
        for at, copy, requests in zip(
            (shop, other), (one, shop.purse.rewritten(one, (), offer=offer)), asked, strict=True
        ):
            requests.append(request_to(at.profile, at.endpoint, headers={x402.PAYMENT[version]: copy.value}))
    if not made:
        return
    many = shops[made[0][0]].profile.limits.volley
    answers: tuple[list[Exchange], list[Exchange]] = ([], [])
    with ThreadPoolExecutor(2) as pool:
        for start in range(0, len(made), many):
            turns = [
                pool.submit(probes[made[0][0]].wire.send_together, requests[start : start + many])
                for probes, requests in zip((shops, others), asked, strict=True)
            ]
            for turn, had in zip(turns, answers, strict=True):
                had.extend(turn.result())
    for here, probes, answered in zip(RACED, (shops, others), answers, strict=True):
        for (name, version, one), exchange in zip(made, answered, strict=True):
            # Nobody can tell for which of the two the facilitator was asked.
            note = one.note if probes is others else shops[name].purse.followed(one)
            probes[name].kept[label(version, group, here)] = replace(exchange, paid=note)


def _after_restart(probe: Probe, shops: Mapping[str, Probe], again: Instance) -> None:
    reopened = _opened(again)
    # What a server takes a moment to remember it does not know yet.
    with again.probe.purse.at_once():
        for shop, version in _sold(shops):
            assert shop.endpoint is not None  # noqa: S101 - made for an endpoint
            for group, made in _paid(shop, version, RESTART):
                reopened[shop.endpoint.name].repeat(label(version, group, AT_ONCE), made)
    for name, shop in _ready(reopened).items():
        for version in versions(shops[name]):
            shop.pay(label(version, RESTART, CONTROL), Order(version=version))
            for group, made in _paid(shops[name], version, RESTART):
                _replay(shop, version, group, made)
        shop.kept.pop("unpaid", None)
        _keep(probe, INSTANCES, shops[name])
        _keep(probe, INSTANCES, shop)


def _until(end: float, ask: Callable[[], Exchange]) -> None:
    """Asks until the answer is no trouble of a server, or ``end`` is over."""
    while _troubled(ask()) and time.monotonic() < end:
        time.sleep(_PAUSE)


def _troubled(exchange: Exchange) -> bool:
    unasked = exchange.failure is not None and exchange.failure.kind in {"unpayable", "down"}
    return not unasked and (exchange.response is None or exchange.response.status >= 500)


APART = (started_anew, remembered)
"""Gathers that ask instances of their own, and leave the target alone."""
