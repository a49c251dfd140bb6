"""Occasions on which checks pay that are more than one payment after the other: crowds, hangs, witnesses, two at once."""

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlencode

from conformance.asking import Changes
from conformance.attempts import GOOD, OWN_FIELD, Attempts, drop_unpayable, good, label, versions
from conformance.gather import unpaid
from conformance.paid import Paid
from conformance.probe import Carry, Probe
from conformance.profile import Variation
from conformance.protocols import x402
from conformance.purse import Order
from conformance.waits import Asking, Waits

__all__ = [
    "after_paid",
    "burst",
    "by_one_payer",
    "cross_origin_paid",
    "failing",
    "forged_elsewhere",
    "hanging",
    "order_of",
    "overridden",
    "pairs",
    "promptly",
    "variation",
    "watched",
]

_BURST = 10
_POLL = 0.05
_SLOW = 0.6
"""Seconds: long enough to be seen, shorter than any server waits."""


def variation(how: Variation | None) -> Changes:
    """What ``endpoint.failing`` or ``endpoint.slow`` changes in a request."""
    if how is None:
        return Changes()
    changes = Changes(query=how.query, headers=how.headers)
    if how.path is not None:
        changes["path"] = how.path
    return changes


def _hanging(probe: Probe) -> Asking:
    """A good payment, and then payments about which the facilitator never answers, all at the same time.

    One that we waited for in vain is asked again by itself: a server that does one thing after the other is slow for
    another reason.
    """
    names = ("verify/hang", "verify/drip", "settle/hang", "settle/stall", "settle/drip", "settle/settled-then-hangs")
    orders: dict[str, Order] = {}
    for version in versions(probe):
        control = probe.pay(label(version, "hanging", GOOD), Order(version=version))
        if control.failure is None or control.failure.kind != "unpayable":
            orders |= {label(version, "hanging", name): Order(version=version, faults=(name,)) for name in names}
    sent = probe.ready(orders)
    probe.came(sent, (yield sent))
    late = [here for here in orders if (failed := probe.kept[here].failure) and failed.kind == "timeout"]
    _until_asked(probe, late)
    for version in versions(probe):
        first, *others = [here for here in late if orders[here].version == version] or [""]
        if first and probe.pay(first, orders[first]).response:
            for here in others:
                del probe.kept[here]


hanging = Waits(name="hanging", asks=_hanging)


def _until_asked(probe: Probe, labels: Sequence[str]) -> None:
    """Waits, as long as for an answer, until the facilitator was asked about each of these: then none stands in a queue."""
    end = time.monotonic() + probe.wire.timeout
    waiting = list(labels)
    while waiting and time.monotonic() < end:
        for here in waiting:
            probe.kept[here] = replace(probe.kept[here], paid=probe.purse.followed(probe.made[here]))
        waiting = [here for here in waiting if not (paid := probe.kept[here].paid) or not paid.calls]
        time.sleep(_POLL if waiting else 0)


def burst(probe: Probe) -> None:
    """Many good payments at the same time, each by a payer of its own."""
    for version in versions(probe):
        control = probe.pay(label(version, "burst", GOOD), Order(version=version))
        if control.failure is None:
            probe.pay_together(
                {label(version, "burst", str(turn)): Order(version=version) for turn in range(1, _BURST + 1)}
            )


def by_one_payer(probe: Probe) -> None:
    """A good payment, and then two more of the same payer at the same time."""
    for version in versions(probe):
        here = label(version, "one payer", GOOD)
        if probe.pay(here, Order(version=version)).failure is None:
            own = Order(version=version, payer=probe.made[here].payer)
            probe.pay_together({label(version, "one payer", turn): own for turn in ("second", "third")})


def failing(probe: Probe) -> None:
    """A good payment for a request whose handler fails."""
    for version in versions(probe):
        probe.pay(label(version, "failing", GOOD), Order(version=version))
        how = variation(probe.endpoint.failing if probe.endpoint else None)
        probe.pay(label(version, "failing", "boom"), Order(version=version), **how)


def after_paid(probe: Probe) -> None:
    """A paid request, and then the same without payment, in the ways in which caches are asked."""
    for version in versions(probe):
        here = label(version, "after paid", GOOD)
        paid = probe.pay(here, Order(version=version))
        if paid.response is None:
            continue
        asks: dict[str, Changes] = {
            "plain": Changes(),
            "range": Changes(headers={"Range": "bytes=0-"}),
            "query": Changes(query={"conformance": "1"}),
            "head": Changes(method="HEAD"),
        }
        if tag := paid.response.value("etag"):
            asks["conditional"] = Changes(headers={"If-None-Match": tag})
        for name, changes in asks.items():
            probe.ask(label(version, "after paid", name), raw=name == "head", **changes)


def cross_origin_paid(probe: Probe) -> None:
    """A good payment by a script of another origin."""
    for version in versions(probe):
        probe.pay(
            label(version, "cross origin", GOOD), Order(version=version), headers={"Origin": "https://shop.example"}
        )


def overridden(probe: Probe) -> None:
    """A good payment beside a field by which a handler, and no payer, may lower what is settled."""
    for version in versions(probe):
        probe.pay(label(version, "overridden", GOOD), Order(version=version))
        field_value = {"Settlement-Overrides": '{"amount":"1"}'}
        probe.pay(label(version, "overridden", "payer"), Order(version=version), headers=field_value)


def watched(probe: Probe) -> None:
    """Requests under the eye of the witness, twice each: others may use the target as well."""
    probe.gather(unpaid)
    # Nobody asks in between: a witness may lag, and instances of the target may be counted in the same place.
    with probe.purse.alone():
        for turn in (1, 2):
            probe.watch(f"watched unpaid #{turn}")
        for version in versions(probe):

            def here(name: str, version: int = version) -> str:
                return label(version, "watched", name)

            control = probe.pay(here(GOOD), Order(version=version), watched=True)
            if control.failure:
                continue
            probe.rest(here("at rest"), control)
            probe.pay(here("good again #1"), Order(version=version), watched=True)
            for turn in (1, 2):
                for name, order in _WATCHED.items():
                    attempt = here(f"{name} #{turn}")
                    drop_unpayable(probe, attempt, probe.pay(attempt, replace(order, version=version), watched=True))


_WATCHED = {
    "forged": Order(version=0, recipe="signer-other"),
    "verify/no": Order(version=0, faults=("verify/no",)),
    "settle/no": Order(version=0, faults=("settle/no",)),
    "accepted-flow": Order(version=0, recipe="accepted-flow"),
    # Who verifies in both flows is asked the same in both: only a settlement that fails shows what ran before it.
    "accepted-flow, settle/no": Order(version=0, recipe="accepted-flow", faults=("settle/no",)),
}


def order_of(paid: Paid) -> tuple[str, ...]:
    """What the facilitator was asked, each once, in its order."""
    return tuple(dict.fromkeys(call.kind for call in paid.calls))


def _promptly(probe: Probe) -> Asking:
    good("promptly")(probe)
    orders = {
        label(version, "promptly", "slow"): Order(version=version, faults=("settle/slow",), delay=_SLOW)
        for version in versions(probe)
        if not ((failed := probe.kept[label(version, "promptly", GOOD)].failure) and failed.kind == "unpayable")
    }
    sent = probe.ready(orders)
    for here in orders.keys() - {here for here, _ in sent}:
        drop_unpayable(probe, here, probe.kept[here])
    probe.came(sent, (yield sent))


promptly = Waits(name="promptly", asks=_promptly, after=hanging)
"""A payment whose settlement takes a while."""


def pairs(probe: Probe) -> None:
    """Two payments in one request: a good one before and after a forged one, and two good ones."""
    for version in versions(probe):
        control = probe.pay(label(version, "pairs", GOOD), Order(version=version))
        if control.failure:
            continue
        for how in ("good, forged", "forged, good", "good, good"):
            other = Order(version=version, recipe="" if how == "good, good" else "signer-other")
            beside = probe.purse.make(probe.offer(version), other)
            here = label(version, "pairs", how)
            carry = _two(x402.PAYMENT[version], beside.value, before=how.startswith("forged"))
            made = probe.pay(here, Order(version=version), carry=carry)
            if made.paid:
                calls = (*made.paid.calls, *probe.purse.followed(beside).calls)
                probe.kept[here] = replace(made, paid=made.paid.followed_by(*sorted(calls, key=lambda call: call.at)))


def _two(name: str, beside: str, *, before: bool) -> Carry:
    """Two lines of the same name, which a mapping holds by their case."""
    if before:
        return lambda value: Changes(headers={name: beside, name.lower(): value})
    return lambda value: Changes(headers={name: value, name.lower(): beside})


def _in_query(_: Probe, __: int) -> Carry:
    return lambda value: Changes(query=dict.fromkeys(_NAMES, value))


def _in_cookie(_: Probe, __: int) -> Carry:
    return lambda value: Changes(headers={"Cookie": "; ".join(f"{name}={value}" for name in _NAMES)})


def _in_body(probe: Probe, _: int) -> Carry:
    """Beside what the endpoint is asked for otherwise, in the same form; JSON where it is asked for nothing."""
    endpoint = probe.endpoint
    if endpoint and endpoint.form is not None:
        form = endpoint.form
        return lambda value: Changes(body=urlencode(dict(form) | dict.fromkeys(_NAMES, value)).encode())
    own = endpoint.json if endpoint and isinstance(endpoint.json, dict) else {}
    fields = {"Content-Type": "application/json"}
    return lambda value: Changes(headers=fields, body=json.dumps(own | dict.fromkeys(_NAMES, value)).encode())


def _with_torn_body(_: Probe, version: int) -> Carry:
    fields = {"Content-Type": "application/json"}
    return lambda value: Changes(headers={x402.PAYMENT[version]: value} | fields, body=b'{"jsonrpc": ')


_NAMES = ("payment-signature", "x-payment", "payment")
"""Under which a payment may be looked for where it has no place."""


def _beside_junk(_: Probe, version: int) -> Carry:
    return lambda value: Changes(headers={x402.PAYMENT[version]: value, x402.PAYMENT[3 - version]: "paid"})


def _as_the_other(_: Probe, version: int) -> Carry:
    return lambda value: Changes(headers={x402.PAYMENT[3 - version]: value})


_FORGED = Order(version=0, recipe="signer-other")

forged_elsewhere = Attempts(
    group="elsewhere",
    orders=dict.fromkeys((OWN_FIELD, "query", "cookie", "body", "torn body", "beside junk", "other field"), _FORGED)
    # What an endpoint no longer speaks, or never said that it speaks, may open it all the same.
    | {"other version": Order(version=0, recipe="forged-in-the-other-shape")},
    carry={
        "query": _in_query,
        "cookie": _in_cookie,
        "body": _in_body,
        "torn body": _with_torn_body,
        "beside junk": _beside_junk,
        "other field": _as_the_other,
        "other version": _as_the_other,
    },
)
