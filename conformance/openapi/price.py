"""What an operation is said to cost, as far as it can be compared with an offer (``x-payment-info``)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

__all__ = ["Told", "prices"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One price that a document tells: a range, of which both ends are the same for a fixed one."""

    low: Decimal
    high: Decimal
    currency: str
    """``USD``, or the address of an asset, whose atomic units are counted then."""

    def shown(self) -> str:
        """It in a few words."""
        amount = f"{self.low:f}" if self.low == self.high else f"{self.low:f} to {self.high:f}"
        return f"{amount} {self.currency}"


def prices(info: Any) -> tuple[Told, ...]:
    """The prices in ``info``; none where it tells none, or in words that are not known.

    Known are ``price`` with ``mode``, ``pricingMode`` beside ``price``, ``minPrice`` and ``maxPrice`` (x402scan,
    Discovery), and ``offers`` with an amount in the atomic units of a currency (payment-discovery of HTTP Payment).
    """
    return tuple(_prices(info)) if isinstance(info, dict) else ()


def _prices(info: dict[str, Any]) -> Iterator[Told]:
    price = info.get("price")
    if isinstance(price, dict):
        currency = price.get("currency", "USD")
        yield from _range(price, ("amount", "amount") if "amount" in price else ("min", "max"), currency)
    elif price is not None:
        yield from _range(info, ("price", "price"), info.get("currency", "USD"))
    elif "minPrice" in info:
        yield from _range(info, ("minPrice", "maxPrice"), info.get("currency", "USD"))
    offers = info.get("offers")
    for offer in offers if isinstance(offers, list) else [info] if "intent" in info else []:
        if isinstance(offer, dict) and re.fullmatch(r"0x[0-9A-Fa-f]{40}", str(offer.get("currency"))):
            yield from _range(offer, ("amount", "amount"), offer["currency"], whole=True)


def _range(holder: dict[str, Any], ends: tuple[str, str], currency: Any, *, whole: bool = False) -> Iterator[Told]:
    low, high = (_amount(holder.get(end)) for end in ends)
    known = isinstance(currency, str) and (whole or currency.upper() in {"USD", "USDC"})
    if low is not None and high is not None and known:
        yield Told(low=low, high=high, currency=currency if whole else "USD")


def _amount(value: Any) -> Decimal | None:
    text = str(value).strip().removeprefix("$")
    plain = not isinstance(value, bool) and isinstance(value, str | int | float)
    return Decimal(text) if plain and re.fullmatch(r"[0-9]{1,30}(\.[0-9]{1,18})?", text) else None
