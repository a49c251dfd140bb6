"""The legal variants for class x402/settlement, where a payment comes again."""

from typing import Any

from careless import authorization, extended, spoilt
from fault_replay import returning
from paid_fault import PaidLegal, legal
from serving import Answer
from settling import both, served
from shop import Brought, Change
from variant import endpoints

__all__ = ["LEGAL_REPLAY"]

_ANY = ("/weather",)
_TWO = ("/weather", "/satellite")
_IDENTIFIER = "payment-identifier"
_EXTENSION: dict[str, Any] = {"info": {"required": False, "prefix": "order_"}, "schema": {"type": "object"}}

_ONCE = ("sequential-replay", "replayed-twin", "replay-for-another-request", "concurrent-use")


def _in_conflict() -> Change:
    """Has a status of its own for a payment that was used."""
    used: set[object] = set()

    def change(brought: Brought, answer: Answer) -> None:
        nonce = authorization(brought.payment).get("nonce")
        if served(answer):
            used.add(nonce)
        elif nonce in used and answer.status == 402:
            answer.status = 409 if brought.version == 2 else 400

    return change


def _identified() -> dict[str, Any]:
    """Gives the same answer to whoever comes with the same payment, and says so in its offer."""
    seams = returning(lambda *_: True)
    advertised = extended(_IDENTIFIER, lambda: _EXTENSION)

    def changed(brought: Brought) -> bool:
        told = brought.payment.get("extensions")
        return isinstance(told, dict) and told.get(_IDENTIFIER, _EXTENSION) != _EXTENSION

    return {"opens": seams["opens"], "change": both(seams["change"], advertised), "rewrite": spoilt(changed)}


LEGAL_REPLAY: tuple[PaidLegal, ...] = (
    legal(
        "a payment that was used is in conflict with itself",
        "x402.settlement.sequential-replay: 400, 402 or 409",
        change=_in_conflict(),
    ),
    legal(
        "whoever paid may come again, wherever, as its profile says",
        *(f"x402.settlement.{name}: an entitlement that the profile states" for name in (*_ONCE, "replay-elsewhere")),
        **returning(lambda *_: True),
        edit=endpoints(entitlement="session"),
        goods=_TWO,
    ),
    legal(
        "whoever comes with the same payment gets the same answer, as its offer says",
        *(f"x402.settlement.{name}: the answer of before, under the extension payment-identifier" for name in _ONCE),
        **_identified(),
        goods=_ANY,
    ),
)
