"""The table for class x402/settlement: what is served is settled, what is settled is served and receipted."""

import json
from collections.abc import Callable
from typing import Any

from fault_caching import CACHING
from fault_facilitator import FACILITATOR
from fault_replay import REPLAYED
from fault_retry import RETRIED
from paid_fault import PaidFault, fault
from serving import Answer
from settling import RECEIPTS, adds, answers, both, hears, receipts, served, silenced, upto, withheld
from shop import Brought, Told

__all__ = ["SETTLEMENT"]

_ANY = ("/weather",)
_V1 = ("/forecast",)
_UPFRONT = ("/satellite",)
_CROWD = 4


def _says(told: Told) -> dict[str, Any]:
    return told.document if isinstance(told.document, dict) else {}


def _moved_away(answer: Answer) -> None:
    """The handler answers with a redirect, whose address is what was bought, and which nobody thought of as success."""
    answer.status, answer.body = 303, b""
    answer.set("Location", "/pictures/sunny-and-overcast")
    silenced(answer)


def _unsettled(kind: str, asked: dict[str, Any]) -> dict[str, Any] | None:
    return None if kind == "settle" else asked


def _in_body(answer: Answer) -> None:
    receipt = next(filter(None, map(answer.get, RECEIPTS)))
    answer.say(json.loads(answer.body) | {"receipt": receipt})
    silenced(answer)


def _renamed(old: str, new: str) -> Callable[[Answer], None]:
    def alter(answer: Answer) -> None:
        value = answer.get(old)
        answer.drop(old)
        answer.set(new, value)

    return alter


def _rebuilt(kind: str, asked: dict[str, Any]) -> dict[str, Any]:
    """It settles what it wrote into its database, where addresses are in lower case."""
    if kind != "settle":
        return asked
    payload = asked["paymentPayload"]["payload"]
    kept = {**payload["authorization"], "from": payload["authorization"]["from"].lower()}
    return {**asked, "paymentPayload": {**asked["paymentPayload"], "payload": {**payload, "authorization": kept}}}


def _first_for_all() -> Callable[[dict[str, Any]], None]:
    """Every receipt is the first one: it was kept for the process instead of for the request."""
    first: dict[str, Any] = {}

    def alter(receipt: dict[str, Any]) -> None:
        receipt["transaction"] = first.setdefault("transaction", receipt["transaction"])

    return alter


def _crowded() -> dict[str, Any]:
    """A shop that gives up what it has made, and charged for, when many buyers wait."""
    inside: set[str] = set()

    def rewrite(brought: Brought) -> Brought:
        if brought.value:
            inside.add(brought.value)
        return brought

    def change(brought: Brought, answer: Answer) -> None:
        if served(answer) and len(inside) > _CROWD:
            answer.become(503, "busy")
        inside.discard(brought.value)

    return {"rewrite": rewrite, "change": change}


def _overridden() -> dict[str, Any]:
    """A shop that takes the field of its own handlers from buyers, too."""
    amounts: dict[str, str] = {}

    def rewrite(brought: Brought) -> Brought:
        if brought.value and (given := brought.get("settlement-overrides")):
            amounts[brought.payment["payload"]["authorization"]["nonce"]] = json.loads(given)["amount"]
        return brought

    def asks(_: str, asked: dict[str, Any]) -> dict[str, Any]:
        terms = asked["paymentRequirements"]
        member = "amount" if "amount" in terms else "maxAmountRequired"
        amount = amounts.get(asked["paymentPayload"]["payload"]["authorization"]["nonce"], terms[member])
        return {**asked, "paymentRequirements": {**terms, member: amount}}

    return {"rewrite": rewrite, "asks": asks}


def _kept(when: Callable[[Brought], bool], status: int) -> Callable[[Brought, Answer], None]:
    """A cache in front that answers from what a buyer got, when it is asked so."""
    kept: dict[str, bytes] = {}

    def change(brought: Brought, answer: Answer) -> None:
        if served(answer):
            kept[brought.path] = answer.body
            answer.set("ETag", f'"{brought.path}"')
        elif not brought.value and brought.path in kept and when(brought):
            answer.become(status)
            answer.body = kept[brought.path]

    return change


def _expired(told: Told) -> bool:
    return "valid_before" in str(_says(told).get("errorReason"))


def _leaky(answer: Answer) -> None:
    answer.say({"error": "could not be rendered", "data": {"sky": "sunny, then overcast"}})


SETTLEMENT: tuple[PaidFault, ...] = (
    *CACHING,
    *FACILITATOR,
    *REPLAYED,
    *RETRIED,
    fault(
        "a redirect is no success to it, and is handed over unsettled",
        "x402.settlement.served-is-settled",
        "x402.order.settled-before-answer",
        asks=_unsettled,
        hears=hears(lambda told: told.kind == "settle"),
        change=answers(served, _moved_away),
    ),
    fault(
        "it serves, and settles in the background",
        "x402.settlement.served-is-settled",
        "x402.order.settled-before-answer",
        lazy=2.0,
    ),
    fault(
        "an error of its handler holds what is sold",
        "x402.settlement.served-is-settled",
        change=answers(lambda answer: answer.status == 500, _leaky),
    ),
    fault(
        "it asks for a verification and does not read the answer",
        "x402.settlement.verify-no",
        "x402.settlement.verdict-is-boolean",
        "x402.order.rejected-runs-nothing",
        hears=hears(lambda told: told.status < 500 and not told.failed, "verify"),
    ),
    fault(
        "it reads no more than the status of a settlement",
        "x402.settlement.settle-no",
        "x402.settlement.pending",
        "x402.settlement.facilitator-garbled",
        "x402.settlement.facilitator-without-verdict",
        "x402.settlement.verdict-is-boolean",
        "x402.settlement.transaction-named",
        "x402.settlement.foreign",
        hears=hears(lambda told: told.status == 200 and not told.failed, "settle"),
    ),
    fault(
        "a settlement that fails is its own affair",
        "x402.settlement.settle-no",
        hears=hears(lambda told: _says(told).get("errorReason") == "unexpected_settle_error", "settle"),
    ),
    fault(
        "a pending settlement is good enough for it",
        "x402.settlement.pending",
        hears=hears(lambda told: _says(told).get("errorReason") == "settlement_pending", "settle"),
    ),
    fault(
        "it looks for a transaction and not for success",
        "x402.settlement.pending",
        "x402.settlement.facilitator-without-verdict",
        "x402.settlement.verdict-is-boolean",
        hears=hears(lambda told: not told.good and bool(_says(told).get("transaction")), "settle"),
        goods=_ANY,
    ),
    fault(
        "a settlement that fails is an internal error",
        "x402.settlement.failure-is-402",
        "x402.settlement.no-with-400",
        change=answers(withheld, lambda answer: setattr(answer, "status", 500)),
        goods=_ANY,
    ),
    fault(
        "a settlement that fails has no receipt",
        "x402.settlement.failure-receipt",
        "x402.settlement.unknown-outcome",
        change=answers(withheld, silenced),
        goods=_ANY,
    ),
    fault(
        "the receipt of a failure says error instead of errorReason",
        "x402.settlement.failure-receipt",
        change=receipts(lambda receipt: receipt.update(error=receipt.pop("errorReason")), of=withheld),
        goods=_V1,
    ),
    fault(
        "the receipt stands in the body",
        "x402.settlement.receipt",
        change=answers(served, _in_body),
    ),
    fault(
        "the receipts of version 2 have the name of version 1",
        "x402.settlement.receipt",
        "x402.settlement.failure-receipt",
        change=answers(lambda answer: served(answer) or withheld(answer), _renamed(RECEIPTS[1], RECEIPTS[0])),
        goods=_ANY,
    ),
    fault(
        "the receipt is JSON without base64",
        "x402.settlement.receipt",
        change=answers(served, adds(RECEIPTS[0], '{"success": true}')),
        goods=_V1,
    ),
    fault(
        "a receipt of version 1 does not name the payer",
        "x402.settlement.receipt-members",
        change=receipts(lambda receipt: receipt.pop("payer")),
        goods=_V1,
    ),
    fault(
        "a receipt of version 2 names the network as version 1 does",
        "x402.settlement.receipt-members",
        change=receipts(lambda receipt: receipt.update(network="base-sepolia")),
        goods=_ANY,
    ),
    fault(
        "a receipt names the transaction txHash, as the first drafts did",
        "x402.settlement.receipt-members",
        "x402.settlement.receipt-is-true",
        change=receipts(lambda receipt: receipt.update(txHash=receipt.pop("transaction"))),
        goods=_V1,
    ),
    fault(
        "the transaction in a receipt is a number of its own",
        "x402.settlement.receipt-is-true",
        change=receipts(lambda receipt: receipt.update(transaction=f"order-{receipt['transaction'][-8:]}")),
        goods=_ANY,
    ),
    fault(
        "every receipt is the first one",
        "x402.settlement.receipt-is-true",
        "x402.settlement.own-transaction",
        change=receipts(_first_for_all()),
        goods=_V1,
    ),
    fault(
        "it settles in its middleware, and in its handler again",
        "x402.settlement.settles-once",
        again=lambda answers: "settle" if answers[0].kind == "settle" and len(answers) == 1 else "",
    ),
    fault(
        "it settles what it wrote down when it had verified",
        "x402.settlement.same-payload",
        asks=_rebuilt,
        goods=_ANY,
    ),
    fault("it gives up in a crowd, after the charge", "x402.settlement.every-charge-is-served", **_crowded()),
    fault("it settles before its handler runs, and does not say so", "x402.settlement.failed-handler", eager=True),
    fault(
        "the failure of what was paid upfront has no receipt",
        "x402.settlement.charged-failure-receipt",
        change=answers(lambda answer: answer.status == 500, silenced),
        goods=_UPFRONT,
    ),
    fault(
        "a payment that expired while it was working is served all the same",
        "x402.settlement.expired-meanwhile",
        hears=hears(_expired, "settle"),
        slow=True,
    ),
    fault("a buyer says how much is settled", "x402.settlement.no-override", **_overridden()),
    fault(
        "it charges more than the maximum, for its trouble",
        "x402.settlement.upto-maximum",
        "x402.guard.every-way",  # The facilitator does not let it.
        **upto(lambda maximum: maximum + 1, beside=True),
        goods=_ANY,
    ),
    fault(
        "the fields of its handler are on what it withholds as well",
        "x402.settlement.withheld-fields",
        change=both(answers(served, adds("X-Station", "Orly")), answers(withheld, adds("X-Station", "Orly"))),
        goods=_ANY,
    ),
    fault(
        "parts of what was bought are served from a cache",
        "x402.settlement.unpaid-after-paid",
        change=_kept(lambda brought: bool(brought.get("range")), 206),
        goods=_ANY,
    ),
    fault(
        "whoever has it is told that it is still the same",
        "x402.settlement.unpaid-after-paid",
        change=_kept(lambda brought: bool(brought.get("if-none-match")), 304),
        goods=_V1,
    ),
    fault(
        "what was bought may be kept by any cache",
        "x402.settlement.paid-not-cacheable",
        change=answers(served, adds("Cache-Control", "public, max-age=60")),
        goods=_ANY,
    ),
    fault(
        "it says nothing of caches",
        "x402.settlement.paid-not-cacheable",
        change=answers(served, lambda answer: answer.drop("cache-control")),
        goods=_V1,
    ),
    fault(
        "scripts of other origins cannot read the receipt",
        "x402.settlement.exposes-receipt",
        change=answers(served, adds("Access-Control-Expose-Headers", "payment-required")),
        goods=_ANY,
    ),
)
