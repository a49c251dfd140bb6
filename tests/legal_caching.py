"""Legal variants of caches before the target, and of requests that are answered without content."""

from typing import Any

from fault_caching import BEYOND, unpaid
from paid_fault import PaidLegal, legal
from serving import Answer
from settling import adds, answers, both, served
from shop import Brought

__all__ = ["LEGAL_CACHING"]

_GOODS = ("/weather",)
_V1 = ("/forecast",)


def _later() -> dict[str, Any]:
    """A shop that sells by HEAD, too, and hands out by GET what was bought so, once."""
    bought: set[str] = set()

    def rewrite(brought: Brought) -> Brought:
        if brought.method != "HEAD" or not brought.value:
            return brought
        bought.add(brought.value)
        return Brought(**{**_members(brought), "method": "GET"})

    def opens(brought: Brought) -> bool:
        if brought.method != "GET" or brought.value not in bought or brought.get("x-conformance-head"):
            return False
        bought.discard(brought.value)
        return True

    return {"rewrite": rewrite, "opens": opens}


def _members(brought: Brought) -> dict[str, Any]:
    fields = (*brought.headers, ("x-conformance-head", "1"))
    return {name: getattr(brought, name) for name in Brought.__slots__} | {"headers": fields}


def _looks_first() -> dict[str, Any]:
    """A shop that looks at the condition of who pays before it takes the money."""

    def status(brought: Brought) -> str:
        if brought.get("if-none-match") or brought.get("if-modified-since"):
            return "304"
        if brought.get("if-match"):
            return "412"
        return "416" if brought.get("range") == BEYOND else ""

    def rewrite(brought: Brought) -> Brought:
        return unpaid(brought, ("x-met", status(brought))) if brought.value and status(brought) else brought

    def change(brought: Brought, answer: Answer) -> None:
        if met := brought.get("x-met"):
            answer.become(int(met))

    return {"rewrite": rewrite, "change": change}


LEGAL_CACHING: tuple[PaidLegal, ...] = (
    legal(
        "it sells by HEAD and delivers by GET",
        "x402.settlement.head-is-free: the content for the same payment, by a GET",
        **_later(),
    ),
    legal(
        "it knows no HEAD, and its content has a tag at which it does not look",
        "x402.settlement.head-is-free: 402 or 405",
        "x402.settlement.not-modified-is-free: the content, which is charged",
        "x402.settlement.unsatisfied-is-free: the content, which is charged",
        change=both(
            answers(served, adds("ETag", '"sky"')),
            lambda brought, answer: answer.become(405) if brought.method == "HEAD" else None,
        ),
        goods=_GOODS,
    ),
    legal(
        "it looks at a condition before it takes a payment, and says what HEAD is about for nothing",
        "x402.settlement.head-is-free: an answer that is not charged",
        "x402.settlement.not-modified-is-free: 304 that is not charged",
        "x402.settlement.unsatisfied-is-free: 412 or 416 that is not charged",
        **_looks_first(),
    ),
)
