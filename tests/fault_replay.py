"""The table for class x402/settlement, where a payment is used twice."""

from collections.abc import Callable
from typing import Any

from careless import authorization, why
from paid_fault import PaidFault, fault
from serving import Answer
from settling import hears, served
from shop import Brought, Opens, Told, paying

from conformance.facilitator.authorization import Reason

__all__ = ["REPLAYED", "forgetful", "returning"]

_THREE = ("/weather", "/forecast", "/almanac")
"""Each version is sold at two of them."""


def _nonce(brought: Brought) -> str:
    found = authorization(brought.payment).get("nonce")
    return found.lower() if isinstance(found, str) else ""


def _signature(brought: Brought) -> object:
    inner = brought.payment.get("payload")
    return inner.get("signature") if isinstance(inner, dict) else None


def _asked_for(brought: Brought) -> tuple[str, bytes]:
    return brought.query, brought.body


def returning(again: Callable[[Brought, Brought], bool]) -> dict[str, Any]:
    """A shop that hands over once more what a payment paid for.

    ``again`` is whether it does so, by the request that paid and the one that comes with the same payment.
    """
    paid: dict[str, Brought] = {}

    def opens(brought: Brought) -> bool:
        first = paid.get(_nonce(brought))
        return first is not None and again(first, brought)

    def change(brought: Brought, answer: Answer) -> None:
        if served(answer):
            paid.setdefault(_nonce(brought), brought)

    return {"opens": opens, "change": change}


def _but_the_last() -> dict[str, Any]:
    """A shop that knows no more of the past than the last payment."""
    last: list[str] = [""]
    seams = returning(lambda _, brought: _nonce(brought) != last[0])

    def change(brought: Brought, answer: Answer) -> None:
        if served(answer):
            last[0] = _nonce(brought)
        seams["change"](brought, answer)

    return seams | {"change": change}


def _seen() -> Opens:
    """A shop that looks at each payment itself, and asks the facilitator about the first of its kind only."""
    known: set[str] = set()

    def opens(brought: Brought) -> bool:
        nonce = _nonce(brought)
        if not nonce or why(brought):
            return False
        seen = nonce in known
        known.add(nonce)
        return seen

    return opens


def _under_way() -> dict[str, Any]:
    """A shop that serves all who bring a payment while it is being settled, and nobody afterwards."""
    inside: dict[str, Brought] = {}

    def opens(brought: Brought) -> bool:
        nonce = _nonce(brought)
        if not nonce:
            return False
        return inside.setdefault(nonce, brought) is not brought

    def change(brought: Brought, _: Answer) -> None:
        if inside.get(nonce := _nonce(brought)) is brought:
            del inside[nonce]

    return {"opens": opens, "change": change}


def _by_its_payment() -> Callable[[Brought, Answer], None]:
    """A cache in front of all goods whose key is the payment, and nothing else."""
    kept: dict[str, tuple[str, bytes]] = {}

    def change(brought: Brought, answer: Answer) -> None:
        nonce = _nonce(brought)
        if served(answer):
            kept[nonce] = brought.path, answer.body
        elif nonce in kept and kept[nonce][0] != brought.path:
            answer.become(200)
            answer.body = kept[nonce][1]

    return change


def forgetful() -> dict[str, Any]:
    """A shop that leaves it to its facilitator to know what was used."""
    turns = iter(range(1_000_000))

    def rewrite(brought: Brought) -> Brought:
        payment = brought.payment
        nonce = authorization(payment).get("nonce")
        if not isinstance(nonce, str):
            return brought
        # The till knows a payment by its nonce: so each is a new one to it.
        authorization(payment)["nonce"] = f"{nonce}#{next(turns)}"
        return paying(brought, payment)

    def asks(_: str, asked: dict[str, Any]) -> dict[str, Any]:
        payment = asked["paymentPayload"]
        signed = payment["payload"]["authorization"]
        own = {**signed, "nonce": signed["nonce"].partition("#")[0]}
        return {**asked, "paymentPayload": {**payment, "payload": {**payment["payload"], "authorization": own}}}

    return {"rewrite": rewrite, "asks": asks}


def _is_used(told: Told) -> bool:
    return isinstance(told.document, dict) and told.document.get("errorReason") == Reason.USED


REPLAYED: tuple[PaidFault, ...] = (
    fault(
        "it asks nobody about a good payment that it has seen before",
        "x402.settlement.sequential-replay",
        "x402.settlement.replayed-twin",
        "x402.settlement.replay-for-another-request",
        "x402.settlement.concurrent-use",
        *(f"x402.settlement.{name}" for name in ("lost-answer", "pending-again", "refused-again", "hung-up")),
        "x402.settlement.charged-failure-retry",
        opens=_seen(),
    ),
    fault(
        "the last payment is the only one that it knows to be used",
        "x402.settlement.sequential-replay",
        "x402.settlement.replayed-twin",
        "x402.settlement.replay-for-another-request",
        "x402.settlement.hung-up",
        **_but_the_last(),
    ),
    fault(
        "it remembers the field of a payment, and not the payment",
        "x402.settlement.replayed-twin",
        **returning(lambda first, brought: first.value != brought.value),
    ),
    fault(
        "it remembers the signature of a payment as a text",
        "x402.settlement.replayed-twin",
        **returning(lambda first, brought: _signature(first) != _signature(brought)),
    ),
    fault(
        "it remembers at which path a payment was used",
        "x402.settlement.replay-elsewhere",
        **returning(lambda first, brought: first.path != brought.path),
        goods=_THREE,
    ),
    fault(
        "a cache before its goods answers by the payment alone",
        "x402.settlement.replay-elsewhere",
        change=_by_its_payment(),
        goods=("/weather", "/satellite"),
    ),
    fault(
        "it remembers for which request a payment was used",
        "x402.settlement.replay-for-another-request",
        **returning(lambda first, brought: _asked_for(first) != _asked_for(brought)),
    ),
    fault(
        "it remembers for which content of a request a payment was used",
        "x402.settlement.replay-for-another-request",
        **returning(lambda first, brought: first.body != brought.body),
        goods=("/report",),
    ),
    fault(
        "whoever brings a payment that is under way is served with it",
        "x402.settlement.concurrent-use",
        **_under_way(),
    ),
    fault(
        "a settlement that another request came first with is good enough for it",
        "x402.settlement.concurrent-use",
        **forgetful(),
        hears=hears(_is_used, "settle"),
    ),
)
