"""The table for caches before the target, and for requests that are answered without content."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from paid_fault import PaidFault, fault
from serving import Answer
from settling import adds, answers, both, served
from shop import Brought

__all__ = ["BEYOND", "CACHING", "unpaid"]

BEYOND = "bytes=1000000000000000-"
_GOODS = ("/weather",)
_V1 = ("/forecast",)


def unpaid(brought: Brought, *fields: tuple[str, str]) -> Brought:
    """The same request without its payment, and with other fields in its place."""
    kept = tuple(field for field in brought.headers if field[0] not in {"payment-signature", "x-payment"})
    return replace(brought, version=0, value="", headers=(*kept, *fields))


def _head_as_get(brought: Brought) -> Brought:
    return replace(brought, method="GET") if brought.method == "HEAD" and brought.value else brought


def _emptied(status: int, when: Callable[[Brought], bool]) -> Callable[[Brought, Answer], None]:
    """What stands before it looks at the condition of a request when it has the answer."""

    def change(brought: Brought, answer: Answer) -> None:
        if served(answer) and when(brought):
            answer.status, answer.body = status, b""

    return change


def _keeps_refusals(times: int) -> dict[str, Any]:
    """A cache that hands the refusal of an address to so many who pay there."""
    left: Counter[str] = Counter()
    known: set[str] = set()

    def rewrite(brought: Brought) -> Brought:
        at = f"{brought.path}?{brought.query}"
        if brought.value and left[at] > 0:
            left[at] -= 1
            return unpaid(brought)
        if not brought.value and at not in known:
            known.add(at)
            left[at] = times
        return brought

    return {"rewrite": rewrite}


CACHING: tuple[PaidFault, ...] = (
    fault("a HEAD is a GET whose content is left out", "x402.settlement.head-is-free", rewrite=_head_as_get),
    fault(
        "who has it already pays for being told so",
        "x402.settlement.not-modified-is-free",
        change=both(
            _emptied(304, lambda brought: brought.get("if-none-match") == '"sky"'),
            answers(served, adds("ETag", '"sky"')),
        ),
        goods=_GOODS,
    ),
    fault(
        "whatever anybody has is still the same, and costs as much",
        "x402.settlement.not-modified-is-free",
        change=_emptied(304, lambda brought: brought.get("if-none-match") == "*"),
        goods=_V1,
    ),
    fault(
        "it has not changed since, for the same price",
        "x402.settlement.not-modified-is-free",
        change=_emptied(304, lambda brought: bool(brought.get("if-modified-since"))),
        goods=_GOODS,
    ),
    fault(
        "a range beyond the end is found out after the charge",
        "x402.settlement.unsatisfied-is-free",
        change=_emptied(416, lambda brought: brought.get("range") == BEYOND),
        goods=_GOODS,
    ),
    fault(
        "a precondition is looked at after the charge",
        "x402.settlement.unsatisfied-is-free",
        change=_emptied(412, lambda brought: bool(brought.get("if-match"))),
        goods=_V1,
    ),
    fault("a cache hands its refusals to who pays", "x402.settlement.refusal-is-not-kept", **_keeps_refusals(2)),
)
