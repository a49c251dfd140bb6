"""The table for class x402/order."""

import json
from collections.abc import Callable

from paid_fault import EVERY, PaidFault, fault
from serving import Answer, coded, decoded
from shop import Brought, Change, Rewrite, paying

__all__ = ["ORDER", "offering"]

UPFRONT = "/satellite"
_OFFER = "PAYMENT-REQUIRED"


def offering(flow: str | None) -> Change:
    """Offers version 2 in ``flow``, whatever the till does; None: says nothing of it."""

    def change(_: Brought, answer: Answer) -> None:
        if not answer.get(_OFFER):
            return
        offer = decoded(answer.get(_OFFER))
        for way in offer["accepts"]:
            way["extra"].pop("paymentFlow", None)
            way["extra"] |= {"paymentFlow": flow} if flow else {}
        answer.set(_OFFER, coded(offer))

    return change


def taken_as(flow: str | None, by: Callable[[str | None], bool] = lambda _: True, path: str = "") -> Rewrite:
    """Reads a payment of version 2 as one in ``flow``, whenever ``by`` says so of the flow that the payer wrote.

    ``path``, if given, is the good that is then sold.
    """

    def rewrite(brought: Brought) -> Brought:
        payment = brought.payment
        extra = payment.get("accepted", {}).get("extra") if isinstance(payment.get("accepted"), dict) else None
        if brought.version != 2 or not isinstance(extra, dict) or not by(extra.get("paymentFlow")):
            return brought
        extra.pop("paymentFlow", None)
        extra |= {"paymentFlow": flow} if flow else {}
        return paying(brought, payment, path)

    return rewrite


def counted_with(twin: str, good: str) -> Change:
    """Counts what runs for one good as the other: to the shop they are one."""

    def change(brought: Brought, answer: Answer) -> None:
        if brought.path == "/stats":
            stats = decoded_json(answer)
            stats["handled"][good] += stats["handled"].pop(twin)
            answer.say(stats)

    return change


def decoded_json(answer: Answer) -> dict[str, dict[str, int]]:
    """The body."""
    found: dict[str, dict[str, int]] = json.loads(answer.body)
    return found


_WHATEVER_BECOMES_OF_IT = (
    "x402.settlement.facilitator-fails",
    "x402.settlement.facilitator-garbled",
    "x402.settlement.facilitator-hangs",
    "x402.settlement.facilitator-redirects",
    "x402.settlement.facilitator-refuses",
    "x402.settlement.facilitator-unreachable",
    "x402.settlement.facilitator-without-verdict",
    "x402.settlement.foreign",
    "x402.settlement.pending",
    "x402.settlement.settle-no",
    "x402.settlement.transaction-named",
    "x402.settlement.verdict-is-boolean",
)
"""What goes red in a shop that serves whatever the facilitator answers to a settlement."""

ORDER: tuple[PaidFault, ...] = (
    fault(
        "a paywall takes the answer away once the handler has run",
        "x402.order.unpaid-runs-nothing",
        "x402.order.rejected-runs-nothing",
        "x402.order.unsettled-runs-nothing",
        "x402.order.copies-run-once",
        runs=lambda _, answer: answer is not None and answer.status == 402,
        goods=EVERY,
    ),
    fault(
        "the handler runs to find out the price",
        "x402.order.unpaid-runs-nothing",
        runs=lambda brought, answer: answer is None and not brought.version,
        goods=("/weather",),
    ),
    fault(
        "the good is made while the payment is checked",
        "x402.order.rejected-runs-nothing",
        "x402.order.copies-run-once",
        runs=lambda brought, answer: answer is not None and answer.status == 402 and bool(brought.version),
        goods=("/forecast",),
    ),
    fault(
        "the good is made a second time, for the cache",
        "x402.order.runs-once",
        runs=lambda _, answer: answer is not None and answer.status == 200,
        goods=("/weather",),
    ),
    fault(
        "it offers upfront and settles last",
        "x402.order.unsettled-runs-nothing",
        change=offering("upfront"),
        rewrite=taken_as(None, lambda flow: flow == "upfront"),
        goods=("/weather",),
    ),
    fault(
        "it settles first and does not say so",
        "x402.order.flow-is-advertised",
        "x402.settlement.failed-handler",
        change=offering(None),
        rewrite=taken_as("upfront", lambda flow: flow is None),
        goods=(UPFRONT,),
    ),
    fault(
        "whoever writes upfront is settled first, and never verified",
        "x402.order.payer-does-not-choose",
        rewrite=taken_as("upfront", lambda flow: flow == "upfront", "/weather-upfront"),
        change=counted_with("weather-upfront", "weather"),
        goods=("/weather",),
    ),
    fault(
        "whoever writes upfront is settled first, verified all the same",
        "x402.order.payer-does-not-choose",
        rewrite=taken_as("upfront", lambda flow: flow == "upfront", "/weather-upfront"),
        change=counted_with("weather-upfront", "weather"),
        verifies=True,
        goods=("/weather",),
    ),
    fault(
        "whoever writes authorization gets the good made before it is settled",
        "x402.order.payer-does-not-choose",
        rewrite=taken_as(None, lambda flow: flow == "authorization", "/satellite-authorization"),
        change=counted_with("satellite-authorization", "satellite"),
        verifies=True,
        goods=(UPFRONT,),
    ),
    fault(
        "the content is sent before it is settled",
        "x402.order.settled-before-answer",
        # Once it is sent, no settlement that fails can take it back, and there is no head left for a receipt.
        "x402.settlement.receipt",
        *_WHATEVER_BECOMES_OF_IT,
        streams="early",
    ),
)
