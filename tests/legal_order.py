"""The legal variants for class x402/order."""

from typing import Any

from fault_order import UPFRONT, offering, taken_as
from paid_fault import PaidLegal, legal

__all__ = ["LEGAL_ORDER"]


def _settled_first(written: dict[str, Any]) -> None:
    """The endpoint of version 1 is the good that is settled before its handler runs, and which nobody makes fail."""
    (endpoint,) = written["endpoint"]
    endpoint["path"] += "-upfront"
    endpoint["witness"]["pointer"] += "-upfront"
    # Version 1 has no word for it: that a handler which fails is charged for is another requirement.
    endpoint.pop("failing")


LEGAL_ORDER: tuple[PaidLegal, ...] = (
    legal(
        "a payment that copies another flow is refused",
        "x402.order.payer-does-not-choose: a refusal",
        "x402.order.settled-before-answer: settlement before the handler runs, where the offer says so",
        goods=("/weather", UPFRONT),
    ),
    legal(
        "the flow that the payer copied is not read",
        "x402.order.payer-does-not-choose: the flow that was offered",
        rewrite=taken_as(None),
        goods=("/weather",),
    ),
    legal(
        "the flow that the payer copied is not read, and what was offered is upfront",
        "x402.order.payer-does-not-choose: the flow that was offered",
        rewrite=taken_as("upfront"),
        goods=(UPFRONT,),
    ),
    legal(
        "the usual flow is written out, and the answer is streamed once it is settled",
        "x402.order.flow-is-advertised: flow authorization written out",
        "x402.order.settled-before-answer: a stream that is held back until it is settled",
        change=offering("authorization"),
        rewrite=taken_as(None, lambda flow: flow == "authorization"),
        streams="late",
        goods=("/weather",),
    ),
    legal(
        "it verifies before it settles, and settles before it makes",
        "x402.order.unsettled-runs-nothing: a verify before the settle",
        verifies=True,
        goods=(UPFRONT,),
    ),
    legal(
        "it settles first, in version 1",
        "x402.order.flow-is-advertised: a version 1 offer, which names no flow",
        edit=_settled_first,
        goods=("/forecast",),
    ),
)
