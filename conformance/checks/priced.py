"""Words of the checks that compare what is advertised with what is offered."""

from collections.abc import Iterator
from decimal import Decimal

from conformance import fields
from conformance.exchange import Response
from conformance.openapi import Told
from conformance.protocols import x402

__all__ = ["fits", "ways_in"]

_DOLLARS = {"USD Coin", "USDC"}
_CENTS = Decimal(10) ** 6
"""Atomic units of a dollar in the tokens of these names that are known (``networks.toml``)."""


def ways_in(response: Response) -> Iterator[x402.Way]:
    """Every way to pay that an answer offers; none where its offer cannot be read."""
    for version in x402.advertised(response):
        try:
            offer = x402.offer_in(response, version)
        except x402.Malformed:
            continue
        yield from offer.ways() if offer else ()


def fits(told: Told, way: x402.Way) -> bool | None:
    """Whether a way to pay takes what was told; None where the two count in different units, or it takes up to it."""
    amount = fields.natural(way.amount)
    if amount is None:
        return None
    if told.currency.startswith("0x"):
        return told.low <= amount <= told.high if told.currency.lower() == way.asset.lower() else None
    domain = x402.domain_of(way.network, way.asset)
    if domain is None or domain.name not in _DOLLARS:
        return None
    # Who takes up to a price offers the most that it may be.
    low = Decimal(0) if way.scheme == "upto" else told.low
    return low <= amount / _CENTS <= told.high if way.scheme != "upto" else amount / _CENTS >= told.low
