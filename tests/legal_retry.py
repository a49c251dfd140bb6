"""The legal variants for class x402/settlement, where a payment comes again because its payer did not get an answer."""

from typing import Any

from careless import spoilt
from fault_retry import nonce_of, owing, under_way
from paid_fault import PaidLegal, legal
from serving import Answer
from settling import both, served
from shop import Brought

__all__ = ["LEGAL_RETRY"]

_ANY = ("/weather",)
_UPFRONT = ("/satellite",)
_LEFT = ("hung-up", "hung-up-meanwhile")
_FAILED = ("charged-failure-retry", "charged-failure-unaided")
_BUSY = (409, 425, 503, 402)


def _for_good() -> dict[str, Any]:
    """A shop that never looks a second time at a payment that it refused."""
    refused: set[str] = set()

    def change(brought: Brought, answer: Answer) -> None:
        if answer.status == 402:
            refused.add(nonce_of(brought))

    return {"rewrite": spoilt(lambda brought: nonce_of(brought) in refused), "change": change}


def _busy() -> dict[str, Any]:
    """A shop that has a status of its own, in turn, for a payment that is under way."""
    found, change = under_way()
    turns = iter(range(10_000))
    copies: set[int] = set()

    def rewrite(brought: Brought) -> Brought:
        if found(brought):
            copies.add(id(brought))
        return brought

    def told(brought: Brought, answer: Answer) -> None:
        if id(brought) in copies:
            copies.discard(id(brought))
            if answer.status == 402 and (status := _BUSY[next(turns) % len(_BUSY)]) != 402:
                answer.become(status, "it is being made")
                answer.set("Retry-After", "1")

    return {"rewrite": rewrite, "change": both(told, change)}


LEGAL_RETRY: tuple[PaidLegal, ...] = (
    legal(
        "a payment that was refused is refused for good",
        "x402.settlement.refused-again: a payment that is refused for good",
        **_for_good(),
    ),
    legal(
        "what was settled without a word is handed over when it comes again, once",
        "x402.settlement.lost-answer: one answer, once the settlement is found",
        **owing(lambda told: told.kind == "settle" and told.failed, once=True),
    ),
    legal(
        "what nobody waited for is handed over when its buyer comes again, once",
        *(f"x402.settlement.{name}: one answer, for the charge of before" for name in _LEFT),
        "x402.settlement.hung-up-unaided: the answer that nobody waited for",
        **owing(answer=served, left=True, once=True),
        slow=True,
    ),
    legal(
        "it ends what it does for a buyer who hangs up",
        *(f"x402.settlement.{name}: a handler that ends with its client" for name in _LEFT),
        cancels=True,
        slow=True,
    ),
    legal(
        "it goes on for a buyer who hangs up, and has a status of its own for a payment that is under way",
        *(f"x402.settlement.{name}: a charge for what nobody waited for" for name in _LEFT),
        "x402.settlement.in-flight: 402, 409, 425 or 503 with Retry-After at once",
        "x402.order.in-flight-runs-once: a refusal at once",
        "x402.settlement.lost-answer: a refusal, though it is charged",
        "x402.settlement.refused-again: a charge and an answer, while it is valid",
        "x402.settlement.charged-failure-retry: a first charge, where the failure was not charged",
        **_busy(),
        slow=True,
    ),
    legal(
        "it takes the requests with one payment one after another",
        "x402.settlement.in-flight: a second request that waits for the first",
        "x402.order.in-flight-runs-once: a second request that waits for the first",
        *(f"x402.settlement.{name}: a refusal" for name in (*_FAILED, "hung-up-unaided")),
        queues=True,
        goods=_UPFRONT,
        slow=True,
    ),
    legal(
        "whoever was charged for a failure may try once more",
        *(f"x402.settlement.{name}: one answer, for the charge of before" for name in _FAILED),
        **owing(answer=lambda answer: answer.status == 500, once=True),
        goods=_UPFRONT,
    ),
)
