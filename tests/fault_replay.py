"""The table for class x402/settlement, where a payment is used twice."""

from collections.abc import Callable
from typing import Any

from careless import authorization, extended, spoilt, why
from paid_fault import PaidFault, fault
from serving import Answer
from settling import both, hears, served
from shop import Brought, Opens, Told, paying

from conformance.facilitator.authorization import Reason
from conformance.protocols.x402.identifier import IDENTIFIER

__all__ = ["REPLAYED", "forgetful", "once_each", "returning"]

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


def returning(again: Callable[[Brought, Brought], bool], *, under_way: bool = False) -> dict[str, Any]:
    """A shop that hands over once more what a payment paid for.

    ``again`` is whether it does so, by the request that paid and the one that comes with the same payment; with
    ``under_way``, also as long as the first is not served yet.
    """
    paid: dict[str, Brought] = {}

    def opens(brought: Brought) -> bool:
        nonce = _nonce(brought)
        if under_way and nonce not in paid and nonce and not why(brought):
            paid[nonce] = brought
        first = paid.get(nonce)
        return first is not None and first is not brought and again(first, brought)

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


def _one_of_each() -> dict[str, Any]:
    """A shop that remembers payers."""
    served_for: dict[object, str] = {}

    def change(brought: Brought, answer: Answer) -> None:
        if served(answer):
            served_for.setdefault(authorization(brought.payment).get("from"), _nonce(brought))

    def known(brought: Brought) -> bool:
        nonce = _nonce(brought)
        return served_for.get(authorization(brought.payment).get("from"), nonce) != nonce

    return {"rewrite": spoilt(known), "change": change}


def _unnamed() -> dict[str, Any]:
    """A shop that says that payments may be identified, and looks for no identifier in those that come again."""
    seams = returning(lambda *_: True)
    extension = {"info": {"required": False}, "schema": {"type": "object"}}

    def changed(brought: Brought) -> bool:
        told = brought.payment.get("extensions")
        return isinstance(told, dict) and told.get(IDENTIFIER, extension) != extension

    change = both(seams["change"], extended(IDENTIFIER, lambda: extension))
    return {"opens": seams["opens"], "change": change, "rewrite": spoilt(changed)}


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


def _another_of_the_same_price(written: dict[str, Any]) -> None:
    """Sells by version 1, whose payments do not say for what they are, a second good for the price of the first."""
    endpoint = next(entry for entry in written["endpoint"] if entry["path"] == "/forecast")
    # That its handler is charged for although it fails, no offer of version 1 can say.
    other = {key: value for key, value in endpoint.items() if key != "failing"}
    witness = {**endpoint["witness"], "pointer": "/handled/forecast-upfront"}
    written["endpoint"].append(other | {"name": "forecast-upfront", "path": "/forecast-upfront", "witness": witness})


def once_each() -> dict[str, Any]:
    """A shop that leaves it to its facilitator to know what was used, and hands over nothing for a transaction of before."""
    seen: set[str] = set()

    def new(told: Told) -> None:
        if told.kind != "settle" or not told.good:
            return
        transaction = told.document["transaction"]
        if transaction in seen:
            told.document = {"success": False, "errorReason": Reason.USED}
        seen.add(transaction)

    return {**forgetful(), "hears": new}


def _is_used(told: Told) -> bool:
    return isinstance(told.document, dict) and told.document.get("errorReason") == Reason.USED


def _unaided(*names: str) -> tuple[str, ...]:
    """The requirements of these names where the facilitator says yes again."""
    return tuple(f"x402.settlement.{name}-unaided" for name in names)


def _twice(*names: str) -> tuple[str, ...]:
    """The requirements of these names, whatever the facilitator says."""
    return (*(f"x402.settlement.{name}" for name in names), *_unaided(*names))


REPLAYED: tuple[PaidFault, ...] = (
    fault(
        "it asks nobody about a good payment that it has seen before",
        *_twice("sequential-replay", "replayed-twin", "replay-for-another-request", "concurrent-use"),
        "x402.order.copies-run-once",
        *(f"x402.settlement.{name}" for name in ("lost-answer", "pending-again", "refused-again", "hung-up")),
        "x402.settlement.charged-failure-retry",
        opens=_seen(),
    ),
    fault(
        "it advertises identifiers, and answers a second time whoever brings none",
        *_twice("sequential-replay", "replayed-twin", "replay-for-another-request"),
        *(f"x402.settlement.{name}" for name in ("hung-up", "refused-again", "charged-failure-retry")),
        **_unnamed(),
    ),
    fault(
        "it knows who paid, and takes one payment of each",
        "x402.settlement.one-payer",
        **_one_of_each(),
    ),
    fault(
        "the last payment is the only one that it knows to be used",
        *_twice("sequential-replay", "replayed-twin", "replay-for-another-request"),
        "x402.settlement.hung-up",
        **_but_the_last(),
    ),
    fault(
        "it remembers the field of a payment, and not the payment",
        *_twice("replayed-twin", "concurrent-use"),
        **returning(lambda first, brought: first.value != brought.value, under_way=True),
    ),
    fault(
        "it remembers the signature of a payment as a text",
        *_twice("replayed-twin", "concurrent-use"),
        **returning(lambda first, brought: _signature(first) != _signature(brought), under_way=True),
    ),
    fault(
        "it remembers at which path a payment was used",
        *_twice("replay-elsewhere"),
        **returning(lambda first, brought: first.path != brought.path),
        goods=_THREE,
    ),
    fault(
        "a cache before its goods answers by the payment alone",
        *_twice("replay-elsewhere"),
        change=_by_its_payment(),
        goods=("/weather", "/satellite"),
    ),
    fault(
        "it remembers for which request a payment was used",
        *_twice("replay-for-another-request", "concurrent-use"),
        # What failed under one query is handed over for another.
        "x402.settlement.charged-failure-retry",
        **returning(lambda first, brought: _asked_for(first) != _asked_for(brought), under_way=True),
    ),
    fault(
        "it remembers for which content of a request a payment was used",
        *_twice("replay-for-another-request"),
        **returning(lambda first, brought: first.body != brought.body),
        goods=("/report",),
    ),
    fault(
        "whoever brings a payment that is under way is served with it",
        *_twice("concurrent-use"),
        "x402.order.copies-run-once",
        **_under_way(),
    ),
    fault(
        "a settlement that another request came first with is good enough for it",
        "x402.settlement.concurrent-use",
        *_unaided("sequential-replay", "replayed-twin", "replay-for-another-request", "concurrent-use", "hung-up"),
        "x402.order.copies-run-once",
        **forgetful(),
        hears=hears(_is_used, "settle"),
    ),
    fault(
        "it leaves it to its facilitator to know what was used",
        *_unaided("sequential-replay", "replayed-twin", "replay-for-another-request", "replay-elsewhere"),
        *_unaided("concurrent-use", "hung-up"),
        # It asks whether each copy is good before it settles the first.
        "x402.order.copies-run-once",
        **forgetful(),
        goods=("/weather", "/forecast"),
        at=("/weather", "/forecast", "/forecast-upfront"),
        edit=_another_of_the_same_price,
    ),
)
