"""What a probe of state reads, what a call costs, and whose account it is paid from: pure readings of answers."""

import math
import sys
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from itertools import pairwise

from conformance import facts
from conformance.exchange import Response
from conformance.facts import Record
from conformance.profile import Endpoint, Flow, Observe, Price, Profile
from conformance.selector import resolve_pointer

__all__ = [
    "Unwatched",
    "about",
    "account",
    "means",
    "moves",
    "paid_for",
    "price",
    "quantity",
    "reading",
    "refusal",
    "same_unit",
    "within",
]

_NO_ACCOUNT = {"used", "limit", "required"}
"""What a probe that is called so reads grows with use, or is the same whatever is taken."""
_FINEST = 6
"""Decimals in which a number is told; what floats add behind them is noise."""


class Unwatched(LookupError):
    """No probe reads the account; the message says what the profile lacks."""


def refusal(profile: Profile, endpoint: Endpoint, response: Response | None) -> Record | None:
    """What a refusal of ``endpoint`` says; None for an answer that fits none of its rules."""
    known = {answer.name: answer for answer in profile.answers}
    found = facts.matching([known[name] for name in endpoint.answers if name in known], response) if response else ()
    return facts.record(found[0], response) if response and found else None


def reading(observe: Observe, response: Response | None) -> Decimal | None:
    """The number that a probe reads; None where it reads none."""
    if response is None or not 200 <= response.status < 300:
        return None
    places = resolve_pointer(response.json_or_none(), observe.pointer)
    return quantity(places[0][1]) if places else None


def quantity(value: object) -> Decimal | None:
    """A number, or one that is written as a text; None for anything else."""
    if isinstance(value, str):
        value = value.strip().replace(",", "") if facts.numeric(value) != value else None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def same_unit(one: object, other: object) -> bool:
    """Whether two words name one unit: case and the s of a plural do not count."""
    names = [word.strip().casefold().rstrip("s") for word in (one, other) if isinstance(word, str)]
    return len(names) == 2 and names[0] == names[1]


def price(flow: Flow, record: Record) -> Price | None:
    """What a success takes: what the profile says, else what the refusal says is required; None for neither."""
    if flow.price:
        return flow.price
    required = quantity(record.document.get("required"))
    return Price(minimum=required, maximum=required) if required and required > 0 else None


def account(profile: Profile, flow: Flow, record: Record) -> tuple[str, Observe]:
    """The probe, with its name, of what a call of the flow's identity is paid from; raises Unwatched."""
    probes = profile.observe.items()
    own = {name: probe for name, probe in probes if probe.identity == flow.identity and name not in _NO_ACCOUNT}
    unit = record.document.get("unit")
    fitting = [name for name, probe in own.items() if same_unit(probe.unit, unit)]
    if unit is None and flow.price and len(own) == 1:
        fitting = list(own)
    if not fitting:
        told = f"unit {unit!r}" if unit else "a unit that the refusal tells"
        reason = f'no [observe] probe reads what identity "{flow.identity}" has in {told}'
        raise Unwatched(reason)
    # One that is called so comes before one that counts the same and is something else.
    called = [name for name in fitting if name in {"balance", "remaining"}]
    if not called and len(fitting) > 1:
        told = " and ".join(map(repr, fitting))
        reason = f"[observe] probes {told} count the same: call the one that everything is taken from observe.balance"
        raise Unwatched(reason)
    name = (called or fitting)[0]
    return name, own[name]


def about(one: Decimal, other: Decimal, *shown: Decimal) -> bool:
    """Whether two numbers are the same, as finely as ``shown`` are told."""
    return abs(one - other) <= _grain(one, other, shown)


def within(debit: Decimal, price: Price, *shown: Decimal, times: int = 1, lost: int = 0) -> bool:
    """Whether what was taken is the price, so many ``times``, as finely as ``shown`` are told.

    Of ``lost`` ones nobody knows whether they were charged. Each charge may be rounded where it is finer than that.
    """
    most = times + lost
    grain = max(_grain(price.minimum, price.maximum, shown) * most, Decimal(1).scaleb(-_FINEST))
    return price.minimum * times - grain <= debit <= price.maximum * most + grain


def paid_for(held: Decimal, price: Price, refused_at: Decimal) -> int:
    """How many successes one after another ``held`` pays for, where somebody was refused who had ``refused_at``.

    Who has more than that, and less than the price, may be served: an account may be overdrawn by its last success,
    or owe as much as somebody owed who was refused.
    """
    over = held - refused_at
    return max(math.ceil(over / price.minimum), 0) if price.minimum > 0 else sys.maxsize


def means(held: Decimal, refused_at: Decimal) -> Decimal:
    """What an account with ``held`` can spend, where somebody was refused who owed something: as much it may owe too."""
    return held - min(refused_at, Decimal(0))


def moves(readings: Iterable[Decimal]) -> bool:
    """Whether a probe reads otherwise from one time to the next."""
    return any(not about(one, other) for one, other in pairwise(readings))


def _grain(one: Decimal, other: Decimal, shown: Iterable[Decimal]) -> Decimal:
    """How far apart two numbers are that are the same: a price that is finer than what is told of it is rounded there."""
    told = max((_decimals(value) for value in shown), default=_FINEST)
    return Decimal(1).scaleb(-told) if max(_decimals(one), _decimals(other)) > told else Decimal(1).scaleb(-_FINEST)


def _decimals(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return min(max(-exponent, 0), _FINEST) if isinstance(exponent, int) else 0
