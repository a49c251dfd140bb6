"""What a run may spend of a payer's own money: on which networks, and how much of it is left."""

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.profile import Budget, Profile, ProfileError
from conformance.protocols import x402
from conformance.protocols.x402.payment import Payment
from conformance.protocols.x402.signing import Payer

__all__ = ["Books", "Unaffordable", "own_payer", "signed_value"]

_BEYOND = {
    "chain-other": "it would hold on another chain",
    "own-offer-network": "it would hold on another network",
    "value-negative": "it would authorize more than anybody has",
}
"""Recipes whose payment is worth more than the offer asks, or worth something where no budget counts it."""


class Unaffordable(Exception):
    """This payment may not be made; the message says why."""


@dataclass(slots=True, kw_only=True)
class Books:
    """What was spent under the budgets of a profile."""

    profile: Profile
    real_money: bool
    """Whether networks with real money may be paid on."""
    file: str
    """Where every process of the run writes what it spent; empty where the money is not the payer's own."""
    broke: str = ""
    """Why the last payment was not made for want of money; empty as long as there was enough."""
    _spent: dict[str, int] = field(default_factory=dict)
    """In atomic units, by network and asset; where there is a file, that knows better."""

    def barred(self, way: x402.Way) -> str:
        """Why nothing may be paid in this way with a payer's own money; empty when something may."""
        budget = next((b for b in self.profile.budgets if _covers(b, way)), None)
        if not x402.is_test(way.network) and not (budget and budget.real_money and self.real_money):
            return f"{way.network} has real money: it takes a [[budget]] with real_money = true and --conformance-real-money"
        return "" if budget else f"there is no [[budget]] for {way.asset} on {way.network}"

    def count(self, good: Payment, document: Mapping[str, Any], recipe: str) -> None:
        """Counts the payment ``good``, which ``recipe`` made ``document`` of; raises Unaffordable for what is forbidden."""
        way = good.way
        if danger := _BEYOND.get(recipe):
            raise Unaffordable(f"by a payer who may have money this is not signed: {danger}")
        if barred := self.barred(way):
            raise Unaffordable(barred)
        most = next(b for b in self.profile.budgets if _covers(b, way)).max_total
        signed = signed_value(document)
        # More than 256 bits no token takes: such a value is a spelling, and what was signed is the price.
        cost = max(int(text) for text in (way.amount, signed) if text == way.amount or _sum(text))
        account = f"{way.network} {way.asset.lower()}"
        with self._open() as spent:
            before = spent.get(account, 0)
            if before + cost > most:
                asked = f"{cost} of {way.asset} on {way.network}"
                self.broke = (
                    f"{asked} is more than may be spent: max_total is {most}, and {before} may be spent already"
                )
                raise Unaffordable(self.broke)
            spent[account] = before + cost

    @contextmanager
    def _open(self) -> Iterator[dict[str, int]]:
        """What was spent in all processes of the run, to be written down in place."""
        if not self.file:
            yield self._spent
            return
        with Path(self.file).open("r+", encoding="utf-8") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            spent: dict[str, int] = json.loads(held.read() or "{}")
            yield spent
            held.seek(0)
            held.truncate()
            json.dump(spent, held)


def own_payer(profile: Profile) -> Payer | None:
    """Who pays by the key in the profile; None where there is none. Raises ProfileError for a key that is none."""
    if not (key := profile.payer.key):
        return None
    try:
        return Payer.of(bytes.fromhex(key.removeprefix("0x")))
    except ValueError:
        # What is wrong with it is not said, and neither is it shown where it came from.
        told = f"{profile.path}: payer.key is no private key; expected 64 hexadecimal digits, with or without 0x"
    raise ProfileError(told)


def signed_value(document: Any) -> str:
    """What a payment says that it pays, in atomic units as it is written; empty where it says nothing."""
    payload = document.get("payload")
    for names in (("authorization", "value"), ("permit2Authorization", "permitted", "amount")):
        found = payload
        for name in names:
            found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, str):
            return found
    return ""


def _sum(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 100 and int(text) < 1 << 256


def _covers(budget: Budget, way: x402.Way) -> bool:
    return x402.caip2(budget.network) == way.network and budget.asset.lower() == way.asset.lower()
