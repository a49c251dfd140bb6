"""The legal variants for class x402/identifier."""

from itertools import cycle
from typing import Any

from careless import authorization, spoilt, why
from fault_identifier import TWO, advertising, elsewhere, in_flight, is_malformed, kept_by, payer_of, proper, required
from paid_fault import PaidLegal, legal
from serving import Answer
from settling import withheld
from shop import Brought, Change

__all__ = ["LEGAL_IDENTIFIED"]

_REPORT = ("/report",)


def _malformed(*statuses: int) -> Change:
    turn = cycle(statuses)

    def change(brought: Brought, answer: Answer) -> None:
        if is_malformed(brought) and answer.status == 400:
            answer.status = next(turn)

    return change


def _kept_failures() -> dict[str, Any]:
    """A shop that gives the same refusal again."""
    failed: set[str] = set()
    again = spoilt(lambda brought: proper(brought) in failed - {""})

    def change(brought: Brought, answer: Answer) -> None:
        if brought.value == "!":
            answer.status = 402
        elif withheld(answer):
            failed.add(proper(brought))

    return {"rewrite": again, "change": change}


def _waiting() -> dict[str, Any]:
    turn = cycle((409, 425, 429, 503, 423))

    def told(answer: Answer) -> None:
        answer.status = next(turn)
        if answer.status == 423:
            answer.set("Retry-After", "1")

    return in_flight(told)


def _owned() -> dict[str, Any]:
    """A shop in which an identifier belongs to the payer and the endpoint that came first with it."""
    owners: dict[object, tuple[object, str]] = {}

    def taken(brought: Brought) -> bool:
        name, own = proper(brought), (payer_of(brought), brought.path)
        return bool(name) and owners.setdefault(name, own) != own

    def change(brought: Brought, answer: Answer) -> None:
        if brought.value == "!":
            answer.status = 409

    return {"rewrite": spoilt(taken), "change": change}


def _id(name: str, phrase: str) -> str:
    return f"x402.identifier.{name}: {phrase}"


def _nonce(brought: Brought) -> object:
    return authorization(brought.payment).get("nonce"), proper(brought)


LEGAL_IDENTIFIED: tuple[PaidLegal, ...] = (
    legal(
        "an identifier counts for one payer, one endpoint and one request",
        _id("another-request", "409, or any other refusal"),
        _id("another-payer", "a sale to the other payer, charged"),
        _id("forged", "409, or any other refusal"),
        _id("elsewhere", "a sale at the other endpoint, charged"),
        _id("failure-is-not-kept", "a later settlement of the same payment that succeeds"),
        _id("in-flight-answer", "the answer of the first"),
        goods=TWO,
        edit=elsewhere,
    ),
    legal(
        "an identifier is one payer's for all that is sold",
        _id("another-payer", "409, or any other refusal"),
        _id("elsewhere", "409, or any other refusal"),
        **_owned(),
        goods=TWO,
        edit=elsewhere,
    ),
    legal(
        "the extension is advertised without a word on whether one is required",
        _id("info", "no required at all, which means false"),
        **advertising(),
        goods=_REPORT,
    ),
    legal("each payment has to carry an identifier", **required(400), goods=_REPORT),
    legal(
        "what is no identifier is refused in several ways",
        _id("grammar", "400, 402, 409 or 422"),
        change=_malformed(400, 402, 409, 422),
        goods=_REPORT,
    ),
    legal(
        "a payment that is signed anew for the same request is the same",
        _id("conflict", "the answer of before without a charge, where the identifier is bound to the request"),
        **kept_by(
            lambda brought: (payer_of(brought), proper(brought), brought.query, brought.body),
            when=lambda _, brought: why(brought) == "",
        ),
        goods=_REPORT,
    ),
    legal(
        "the same payment gets the same answer, whatever is asked",
        _id("another-request", "the answer of before"),
        **kept_by(_nonce, when=lambda first, brought: first.value == brought.value),
        goods=_REPORT,
    ),
    legal(
        "a settlement that failed is told again",
        _id("failure-frees", "the refusal of before"),
        **_kept_failures(),
        goods=_REPORT,
    ),
    legal(
        "a copy that comes meanwhile is told to come again",
        _id("in-flight-answer", "409, 425, 429 or 503"),
        _id("in-flight-answer", "another refusal with Retry-After"),
        **_waiting(),
        goods=_REPORT,
    ),
)
