"""The legal variants for class x402/settlement, where a payment comes again."""

from collections.abc import Callable
from typing import Any

from careless import authorization, extended, spoilt
from fault_replay import once_each, returning
from paid_fault import PaidLegal, legal
from serving import Answer
from settling import both, served
from shop import Brought, Change
from variant import endpoints

from conformance.protocols.x402.identifier import IDENTIFIER

__all__ = ["LEGAL_REPLAY", "identified"]

_ANY = ("/weather",)
_TWO = ("/weather", "/satellite")
_EXTENSION: dict[str, Any] = {"info": {"required": True}, "schema": {"type": "object"}}

_ONCE = tuple(
    f"{name}{by}"
    for name in ("sequential-replay", "replayed-twin", "replay-for-another-request", "concurrent-use")
    for by in ("", "-unaided")
)


_EVERYWHERE = (*_ONCE, "replay-elsewhere", "replay-elsewhere-unaided")


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


def identified() -> dict[str, Any]:
    """Gives the same answer to whoever comes with the same payment, and asks for an identifier of each in its offer."""
    seams = returning(lambda *_: True)
    advertised = extended(IDENTIFIER, lambda: _EXTENSION)

    def lacking(brought: Brought) -> bool:
        """Whether a payment repeats the extension otherwise than it was offered, or names nothing."""
        told = brought.payment.get("extensions")
        info = told[IDENTIFIER]["info"] if isinstance(told, dict) and IDENTIFIER in told else {}
        return bool(brought.payment) and not (info.get("required") is True and info.get("id"))

    return {"opens": seams["opens"], "change": both(seams["change"], advertised), "rewrite": spoilt(lacking)}


def _one_at_a_time(turn_away: Callable[[Answer], object]) -> dict[str, Any]:
    """Takes one payment of a payer at a time."""
    inside: dict[str, Brought] = {}
    turned: list[Brought] = []

    def rewrite(brought: Brought) -> Brought:
        signed = authorization(brought.payment)
        first = inside.setdefault(str(signed.get("from")), brought) if signed else brought
        if authorization(first.payment).get("nonce") == signed.get("nonce"):
            return brought
        turned.append(spoilt(lambda _: True)(brought))
        return turned[-1]

    def change(brought: Brought, answer: Answer) -> None:
        if any(brought is one for one in turned):
            turn_away(answer)
        elif inside.get(payer := str(authorization(brought.payment).get("from"))) is brought:
            del inside[payer]

    return {"rewrite": rewrite, "change": change}


LEGAL_REPLAY: tuple[PaidLegal, ...] = (
    legal(
        "a payment that was used is in conflict with itself",
        "x402.settlement.sequential-replay: 400, 402 or 409",
        "x402.settlement.sequential-replay-unaided: 400, 402 or 409",
        change=_in_conflict(),
    ),
    legal(
        "of two payments of one payer at the same time it takes one",
        "x402.settlement.one-payer: 409, 425, 429 or 503 for one of two at the same time",
        **_one_at_a_time(lambda answer: answer.become(409, "one at a time")),
    ),
    legal(
        "who pays twice at the same time is asked to come again",
        "x402.settlement.one-payer: a refusal with Retry-After",
        **_one_at_a_time(lambda answer: answer.set("Retry-After", "1")),
        goods=("/forecast",),
    ),
    legal("it knows what was used by the transaction that paid for it", **once_each(), goods=("/satellite",)),
    legal(
        "whoever paid may come again, wherever, as its profile says",
        *(f"x402.settlement.{name}: an entitlement that the profile states" for name in _EVERYWHERE),
        **returning(lambda *_: True),
        edit=endpoints(entitlement="session"),
        goods=_TWO,
    ),
    legal(
        "whoever comes with the same payment and the identifier that it asks for gets the same answer",
        *(f"x402.settlement.{name}: the answer of before, under the extension payment-identifier" for name in _ONCE),
        **identified(),
        goods=_ANY,
    ),
)
