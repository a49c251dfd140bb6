"""The faults that facilitators are known to have, by what they hit and by name."""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from conformance.facilitator.script import Basis, Delivery, Fault, Kind, Lapse

__all__ = ["FAULTS", "SECRETS", "SIDECHANNEL", "fault"]

SECRETS = ("ledger-db-7.internal.example", "sk_live_f4c1l1t4t0r5ecret", "/srv/facilitator/settle.py")
"""A host, a key and a path that stand in the text of the fault ``secrets`` and must never reach a buyer."""

SIDECHANNEL = "facilitator-sidechannel-7c1d"
"""A word in the EXTENSION-RESPONSES field of the fault ``extension-responses``, which is not meant for buyers."""

_STRANGER = "0x00000000000000000000000000000000DeaDBeef"
_PAGE = "<!doctype html><html lang=en><title>Bad gateway</title><h1>Bad gateway</h1>\n" + "<p>upstream</p>\n" * 6400
_TRACE = (
    f'Traceback: File "{SECRETS[2]}", line 88: could not reach postgres://ledger@{SECRETS[0]}/payments '
    f"(api key {SECRETS[1]})"
)
_MEMBER = {Kind.VERIFY: "isValid", Kind.SETTLE: "success"}


def fault(on: Kind, name: str) -> Fault:
    """The fault of that name. Raises KeyError when there is none."""
    return FAULTS[on, name]


def _failing(on: Kind) -> Iterator[Fault]:
    """Statuses and bodies that are no answer; nothing settles."""
    text = Fault(name="error-text", on=on, basis=Basis.NOTHING, status=500, body="Internal Server Error")
    text = replace(text, media_type="text/plain; charset=utf-8")
    yield text
    yield replace(text, name="error-page", body=_PAGE, media_type="text/html; charset=utf-8")
    yield replace(text, name="secrets", body=_TRACE)
    yield replace(text, name="unavailable", status=503, body="Service Unavailable")
    yield replace(text, name="unauthorized", status=401, body="Unauthorized", headers={"WWW-Authenticate": "Bearer"})
    yield replace(text, name="forbidden", status=403, body="Forbidden")
    yield replace(text, name="too-many", status=429, body="Too Many Requests", headers={"Retry-After": "1"})
    yield replace(text, name="redirect", status=308, body="", headers={"Location": f"/moved/{on}"})
    garbage = Fault(name="empty-object", on=on, basis=Basis.NOTHING, body="{}")
    yield garbage
    yield replace(garbage, name="array", body="[]")
    yield replace(garbage, name="not-json", body="<ok/>")


def _silent(on: Kind) -> Iterator[Fault]:
    """Answers that arrive late, in part or not at all; nothing settles by the first five."""
    for delivery in (Delivery.RESET, Delivery.DROP, Delivery.HANG, Delivery.STALL, Delivery.DRIP):
        yield Fault(name=str(delivery), on=on, basis=Basis.NOTHING, delivery=delivery)
    yield Fault(name="truncated", on=on, delivery=Delivery.TRUNCATED)
    yield Fault(name="slow", on=on, delay=2)


def _wrong(on: Kind) -> Iterator[Fault]:
    """Answers to a call about a payment that look right and are not."""
    member = _MEMBER[on]
    yield Fault(name="no", on=on, basis=Basis.NOTHING)
    yield Fault(name="no-with-400", on=on, basis=Basis.NOTHING, status=400)
    yield Fault(name="verdict-yes", on=on, edit={member: "yes"})
    yield Fault(name="verdict-1", on=on, edit={member: 1})
    yield Fault(name="verdict-null", on=on, edit={member: None})
    yield Fault(name="verdict-missing", on=on, without=(member,))
    yield Fault(name="wrong-payer", on=on, edit={"payer": _STRANGER})
    word = base64.b64encode(json.dumps({"bazaar": {"status": "rejected", "reason": SIDECHANNEL}}).encode()).decode()
    yield Fault(name="extension-responses", on=on, headers={"EXTENSION-RESPONSES": word})
    yield Fault(name="forgets", on=on, forgives=(Lapse.REPLAYS, Lapse.TWINS))
    yield Fault(name="repeats", on=on, forgives=(Lapse.REPLAYS, Lapse.TWINS, Lapse.AGE))


def _settling() -> Iterator[Fault]:
    """What can go wrong with a settlement alone."""
    on = Kind.SETTLE
    yield Fault(name="pending", on=on, basis=Basis.PENDING)
    nothing = {"errorReason": "settlement_pending"}
    yield Fault(name="pending-without-transaction", on=on, basis=Basis.NOTHING, edit=nothing)
    yield Fault(name="empty-transaction", on=on, edit={"transaction": ""})
    yield Fault(name="wrong-network", on=on, edit={"network": "eip155:61"})
    yield Fault(name="settled-then-hangs", on=on, delivery=Delivery.HANG)
    yield Fault(name="settled-then-drops", on=on, delivery=Delivery.DROP)


def _listing() -> Iterator[Fault]:
    """What can go wrong with ``/supported`` alone."""
    yield Fault(name="no-kinds", on=Kind.SUPPORTED, edit={"kinds": []})
    yield Fault(name="kinds-missing", on=Kind.SUPPORTED, without=("kinds",))
    yield Fault(name="only-solana", on=Kind.SUPPORTED, edit={"kinds": [_SOLANA]})


_SOLANA = {"x402Version": 2, "scheme": "exact", "network": "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"}


def _all() -> Iterator[Fault]:
    for on in Kind:
        yield from _failing(on)
        yield from _silent(on)
        if on is not Kind.SUPPORTED:
            yield from _wrong(on)
    yield from _settling()
    yield from _listing()


FAULTS: Mapping[tuple[Kind, str], Fault] = MappingProxyType({(f.on, f.name): f for f in _all()})
"""Every fault, by kind and name. ``forgets`` on both calls is a facilitator to which a replay is a first use, and
``repeats`` one that has said yes to an authorization and says it again for ever."""
