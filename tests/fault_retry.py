"""The table for class x402/settlement, where a payment comes again because its payer did not get what it is for."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from careless import authorization
from fault_replay import forgetful
from paid_fault import EVERY, PaidFault, fault
from serving import Answer
from settling import answers, hears, receipts, served, silenced, withheld
from shop import Brought, Change, Told

from conformance.facilitator.authorization import Reason

__all__ = ["RETRIED", "is_pending", "nonce_of", "owing", "under_way"]

_ANY = ("/weather",)
_UPFRONT = ("/satellite",)
_MOMENT = 0.15
"""Seconds by which a copy is later than one of a crowd."""


def nonce_of(brought: Brought) -> str:
    """The nonce of a payment, to tell payments apart; empty when it has none."""
    found = authorization(brought.payment).get("nonce")
    return found.lower() if isinstance(found, str) else ""


def _reason(told: Told) -> object:
    return (
        told.document.get("errorReason", told.document.get("invalidReason")) if isinstance(told.document, dict) else ""
    )


def is_pending(told: Told) -> bool:
    """Whether a settlement is pending."""
    return _reason(told) == "settlement_pending"


def owing(
    told: Callable[[Told], bool] | None = None,
    answer: Callable[[Answer], bool] | None = None,
    *,
    left: bool = False,
    once: bool = False,
) -> dict[str, Any]:
    """A shop that owes something to whoever was ``told`` so, or got such an ``answer``, or ``left`` before one.

    It hands it over without another word whenever they come again; with ``once``, the first time only.
    """
    owed: set[str] = set()

    def opens(brought: Brought) -> bool:
        nonce = nonce_of(brought)
        found = nonce in owed
        if once:
            owed.discard(nonce)
        return found

    def note(found: Told) -> None:
        if told and told(found):
            owed.add(found.nonce)

    def look(brought: Brought, found: Answer) -> None:
        if answer and answer(found):
            owed.add(nonce_of(brought))

    return {"opens": opens, "hears": note if told else None, "left" if left else "change": look}


def under_way(longer: float = 0.0) -> tuple[Callable[[Brought], bool], Change]:
    """Whether a payment was under way already, for so many seconds at least; and what notes that it is no more."""
    inside: dict[str, tuple[Brought, float]] = {}

    def found(brought: Brought) -> bool:
        if not (nonce := nonce_of(brought)):
            return False
        first, since = inside.setdefault(nonce, (brought, time.monotonic()))
        return first is not brought and time.monotonic() - since >= longer

    def change(brought: Brought, _: Answer) -> None:
        nonce = nonce_of(brought)
        if nonce in inside and inside[nonce][0] is brought:
            del inside[nonce]

    return found, change


def _copied() -> dict[str, Any]:
    """A shop that serves whoever asks, a moment later, for what takes long to make."""
    found, change = under_way(_MOMENT)
    return {"opens": lambda brought: found(brought) and _takes_long(brought), "change": change}


def _begun_again() -> dict[str, Any]:
    """A shop that begins anew for whoever asks, a moment later, for what takes long to make, and throws it away."""
    found, change = under_way(_MOMENT)
    return {
        "runs": lambda brought, answer: answer is None and found(brought) and _takes_long(brought),
        "change": change,
    }


def _takes_long(brought: Brought) -> bool:
    # On a busy machine a volley takes long, too.
    return "sleep=" in brought.query


def _taken_twice() -> dict[str, Any]:
    """A shop to which a payment that is used is a good one, if it was pending once."""
    pending: set[str] = set()
    seams = forgetful()

    def rewrite(brought: Brought) -> Brought:
        again: Brought = seams["rewrite"](brought) if nonce_of(brought) in pending else brought
        return again

    def was_pending(told: Told) -> bool:
        nonce = told.nonce.partition("#")[0]
        if is_pending(told):
            pending.add(nonce)
        return nonce in pending and _reason(told) == Reason.USED

    return {**seams, "rewrite": rewrite, "hears": hears(was_pending, "settle")}


def _reworded() -> Callable[[str, dict[str, Any]], dict[str, Any]]:
    """Asks for a settlement with other requirements the second time."""
    seen: set[str] = set()

    def asks(kind: str, asked: dict[str, Any]) -> dict[str, Any]:
        nonce = authorization(asked["paymentPayload"]).get("nonce", "")
        terms = asked["paymentRequirements"]
        if kind == "settle" and nonce in seen:
            terms = {**terms, "extra": {**terms["extra"], "attempt": 2}}
        seen.update({nonce} if kind == "settle" else ())
        return {**asked, "paymentRequirements": terms}

    return asks


def _while_pending(times: int) -> Callable[[Sequence[Told]], str]:
    """Asks again for a settlement that is pending, until it has asked so many times."""
    return lambda answers: "settle" if is_pending(answers[-1]) and len(answers) < times else ""


def _of_pending(answer: Answer) -> bool:
    return withheld(answer) and b"settlement_pending" in answer.body


def _nameless(receipt: dict[str, Any]) -> None:
    receipt["transaction"] = ""


RETRIED: tuple[PaidFault, ...] = (
    fault(
        "whoever was settled with nobody knows may come as often as they like",
        "x402.settlement.lost-answer",
        **owing(lambda told: told.kind == "settle" and told.failed),
    ),
    fault(
        "what was pending once is settled ever after",
        "x402.settlement.pending-again",
        **owing(is_pending),
    ),
    fault(
        "a payment that is used is a good one if it was pending once",
        "x402.settlement.pending-again",
        **_taken_twice(),
        goods=_UPFRONT,
    ),
    fault(
        "it asks nobody about a payment that it refused before",
        "x402.settlement.refused-again",
        **owing(lambda told: _reason(told) in {"unexpected_verify_error", "unexpected_settle_error"}),
    ),
    fault(
        "what nobody waited for is kept for whoever comes with the payment, however often",
        "x402.settlement.hung-up",
        "x402.settlement.hung-up-meanwhile",
        **owing(answer=served, left=True),
        slow=True,
    ),
    fault(
        "it ends what it does for a buyer who hangs up, and takes it for done when they come again",
        "x402.settlement.hung-up",
        "x402.settlement.hung-up-meanwhile",
        **owing(answer=lambda answer: answer.status == 0, left=True),
        cancels=True,
        slow=True,
    ),
    fault(
        "it leaves it to its facilitator to know what was used, in both flows",
        *(f"x402.settlement.{name}-unaided" for name in ("hung-up", "charged-failure", "sequential-replay")),
        *(f"x402.settlement.{name}-unaided" for name in ("replayed-twin", "replay-for-another-request")),
        "x402.settlement.concurrent-use-unaided",
        "x402.order.copies-run-once",
        **forgetful(),
        goods=EVERY,
    ),
    fault(
        "whoever asks for what is being made gets it, too",
        "x402.settlement.in-flight",
        "x402.order.in-flight-runs-once",
        **_copied(),
        slow=True,
    ),
    fault(
        "what is being made is begun again for whoever asks for it",
        "x402.order.in-flight-runs-once",
        **_begun_again(),
        goods=_ANY,
        slow=True,
    ),
    fault(
        "what is pending is refused without a word about it",
        "x402.settlement.unknown-outcome",
        change=answers(_of_pending, silenced),
    ),
    fault(
        "the receipt of what is pending does not say where to look for it",
        "x402.settlement.pending-transaction",
        change=receipts(_nameless, of=_of_pending),
    ),
    fault(
        "it asks for other terms when it asks a second time",
        "x402.settlement.same-settle",
        asks=_reworded(),
        again=_while_pending(2),
        goods=_ANY,
    ),
    fault(
        "it asks and asks while a settlement is pending",
        "x402.settlement.same-settle",
        again=_while_pending(12),
        goods=_ANY,
    ),
    fault(
        "whoever met a failure may try for ever",
        "x402.settlement.charged-failure-retry",
        **owing(answer=lambda answer: answer.status == 500),
        goods=("/weather", *_UPFRONT),
    ),
)
