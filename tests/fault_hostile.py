"""The table for class x402/guard: shops that stumble over what is hardly a payment, and what they say to it."""

import json
from dataclasses import replace
from typing import Any

from careless import OFFER, authorization, is_strict, lines, of_payments, wanted
from paid_fault import PaidFault, fault
from serving import Answer, coded, decoded
from shop import Brought, Change, Opens

__all__ = ["HOSTILE"]

V1 = ("/forecast",)
V2 = ("/weather",)
POSTED = ("/report",)

_LONG = 9000
_REFUSED = (
    *("amount", "domain", "expired", "funds", "members", "nonce", "not-yet-valid"),
    *("own-price", "own-terms", "payee", "signature"),
)
"""Requirements of class x402/guard that an answer of status 402 shows to hold, and one of status 200 does not."""
_MINE = {1: "x-payment", 2: "payment-signature"}


def _trusts_what_it_cannot_read(brought: Brought) -> bool:
    """Logs that the payment could not be read, and goes on."""
    return bool(brought.version) and not is_strict(brought.value)


def _shaped_as(version: int, brought: Brought) -> bool:
    """Whether a payment is in the field of a version, and looks like one of it."""
    payment = brought.payment
    return brought.version == version == payment.get("x402Version") and bool(authorization(payment))


def _fails(_: Brought, answer: Answer) -> None:
    answer.become(500, "Internal Server Error")


def _fails_without_members(brought: Brought, answer: Answer) -> None:
    if brought.payment and not _required(brought) <= set(brought.payment):
        _fails(brought, answer)


def _required(brought: Brought) -> set[str]:
    return {"accepted", "payload"} if brought.version == 2 else {"scheme", "network", "payload"}


def _detailed(text: str) -> Change:
    """Says what went wrong in the words of the exception."""

    def alter(_: Brought, answer: Answer) -> None:
        document = json.loads(answer.body)
        document["error" if "error" in document else "detail"] = text
        answer.say(document, answer.get("content-type"))

    return of_payments(alter, 400)


def _traced(_: Brought, answer: Answer) -> None:
    """The whole trace stands in the offer."""
    if answer.get(OFFER):
        trace = 'Traceback (most recent call last):\n  File "/srv/shop/till.py", line 88, in read\n'
        answer.set(OFFER, coded(decoded(answer.get(OFFER)) | {"error": trace}))


def _as_if_unpaid(brought: Brought, answer: Answer) -> None:
    """Has one error for everybody."""
    told = f"{_MINE[brought.version].upper()} header is required"
    if answer.get(OFFER):
        answer.set(OFFER, coded(decoded(answer.get(OFFER)) | {"error": told}))
    document = json.loads(answer.body)
    document["error" if "error" in document else "detail"] = told
    answer.say(document, answer.get("content-type"))


def _too_long(brought: Brought, answer: Answer) -> None:
    if len(brought.value) > _LONG:
        _fails(brought, answer)


def _polluted() -> Opens:
    """What a payment says of __proto__ is true of the next request, until its worker is replaced."""
    waiting: list[Any] = []

    def opens(brought: Brought) -> bool:
        if "__proto__" in brought.payment:
            waiting.append(brought.payment)
        return not brought.version and bool(waiting and waiting.pop())

    return opens


def _worn_out() -> Change:
    """A long payment takes all memory, and the next request pays for it."""
    waiting: list[int] = []

    def change(brought: Brought, answer: Answer) -> None:
        if len(brought.value) > _LONG:
            waiting.append(len(brought.value))
        elif waiting and not brought.version:
            waiting.clear()
            answer.become(503, "out of memory")

    return change


def _quoting(brought: Brought, answer: Answer) -> None:
    """Names the payer in a field, line by line as it came."""
    name, told = "X-Payer", authorization(brought.payment).get("from")
    for line in str(told).encode("latin-1", "replace").decode("latin-1").split("\r\n"):
        key, colon, value = line.partition(": ")
        answer.add(key if colon else name, value if colon else key)


def _the_other_too(brought: Brought) -> dict[str, Any] | None:
    """The second payment of a request, to be settled like the first."""
    if len(lines(brought)) < 2:
        return None
    other = lines(brought)[-1]
    return {
        "x402Version": brought.version,
        "paymentPayload": decoded(other),
        "paymentRequirements": wanted(brought),
    }


def first_only(brought: Brought) -> Brought:
    """The request with the first of its payments."""
    return only(brought, 0)


def only(brought: Brought, place: int) -> Brought:
    """The request with one of its payments."""
    found = lines(brought)
    if len(found) < 2:
        return brought
    kept = tuple((n, v) for n, v in brought.headers if n not in _MINE.values() or v == found[place])
    return replace(brought, headers=kept, value=found[place])


def _unparsed(brought: Brought) -> bool:
    """Finds no method to charge for in a body that does not parse."""
    try:
        json.loads(brought.body or b"{}")
    except ValueError:
        return True
    return False


_USED_TOO = ("x402.settlement.replayed-twin", "x402.settlement.replayed-twin-unaided")
"""What opens unread in the other version may be a payment that was used."""

HOSTILE: tuple[PaidFault, ...] = (
    fault(
        "what cannot be read is taken as paid",
        "x402.guard.undecodable",
        "x402.guard.any-spelling",
        "x402.guard.twins",
        "x402.guard.hostile-json",
        "x402.settlement.replayed-twin",  # Of which some cannot be read.
        "x402.settlement.replayed-twin-unaided",
        "x402.settlement.concurrent-use",
        "x402.settlement.concurrent-use-unaided",
        opens=_trusts_what_it_cannot_read,
        goods=V2,
    ),
    fault(
        "what cannot be read is an error of the server",
        "x402.guard.refusal-status",
        "x402.guard.twins",
        "x402.guard.hostile-json",
        change=of_payments(lambda b, answer: None if is_strict(b.value) else _fails(b, answer), 400),
        goods=V2,
    ),
    fault(
        "a payment that lacks a member is an error of the server",
        "x402.guard.refusal-status",
        change=of_payments(_fails_without_members, 400),
        goods=V1,
    ),
    fault(
        "who pays badly is told 200",
        "x402.guard.refusal-status",
        "x402.guard.hostile-json",
        "x402.guard.huge",
        "x402.guard.twins",
        "x402.settlement.failure-is-402",
        "x402.settlement.no-with-400",
        change=of_payments(lambda _, answer: setattr(answer, "status", 200), 402),
        goods=V2,
        # What such an answer holds may be what is sold, in other words than the marker's.
        untestable=(
            *(f"x402.guard.{name}" for name in _REFUSED),
            "x402.settlement.concurrent-use",
            "x402.settlement.concurrent-use-unaided",
            "x402.settlement.refused-again",
            "x402.settlement.charged-failure-retry",
            "x402.settlement.facilitator-without-verdict",
            "x402.settlement.pending",
            "x402.settlement.replay-for-another-request",
            "x402.settlement.replay-for-another-request-unaided",
            "x402.settlement.replayed-twin",
            "x402.settlement.replayed-twin-unaided",
            "x402.settlement.sequential-replay",
            "x402.settlement.sequential-replay-unaided",
            "x402.settlement.settle-no",
            "x402.settlement.verify-no",
        ),
    ),
    fault(
        "an exception is told to whoever pays",
        "x402.guard.no-internals",
        change=_detailed("Cannot read properties of undefined (reading 'scheme')"),
        goods=V1,
    ),
    fault("a trace stands in the offer", "x402.guard.no-internals", change=of_payments(_traced, 400, 402), goods=V2),
    fault(
        "a rejected payment is told that a payment is required",
        "x402.guard.rejected-differs",
        change=of_payments(_as_if_unpaid, 402),
    ),
    fault(
        "a refusal of version 1 is a message and nothing else",
        "x402.guard.v1-refusal",
        change=of_payments(lambda _, answer: answer.say({"message": "the payment was rejected"}), 402),
        goods=V1,
    ),
    fault(
        "a long payment is an error of the server", "x402.guard.huge", change=of_payments(_too_long, 400, 402), goods=V1
    ),
    fault("a long payment takes the server down", "x402.guard.huge", change=_worn_out(), goods=V2),
    fault("a payment pollutes the prototype of all", "x402.guard.hostile-json", opens=_polluted(), goods=V2),
    fault(
        "the server hangs up on a number that is none",
        "x402.guard.hostile-json",
        cuts=lambda brought: authorization(brought.payment).get("value") == float("-inf"),
        goods=V1,
    ),
    fault("a field quotes the payer", "x402.guard.no-injection", change=of_payments(_quoting, 400, 402), goods=V1),
    fault(
        "of two payments the first opens and both are charged",
        "x402.guard.two-payments",
        rewrite=first_only,
        beside=_the_other_too,
        goods=V2,
    ),
    fault(
        "the field of the other version opens unread",
        "x402.guard.both-versions",
        *_USED_TOO,
        opens=lambda brought: bool(brought.get(_MINE[1 if brought.path == "/weather" else 2])),
    ),
    fault(
        "a version that it does not offer opens unverified",
        "x402.guard.both-versions",
        *_USED_TOO,
        opens=lambda brought: _shaped_as(1, brought),
        goods=V2,
    ),
    fault(
        "a payment in the query opens unread",
        "x402.guard.header-only",
        opens=lambda brought: "payment=" in brought.query,
        goods=V1,
    ),
    fault(
        "a cookie of a payment opens unread",
        "x402.guard.header-only",
        opens=lambda brought: "payment-signature=" in brought.get("cookie"),
        goods=V2,
    ),
    fault(
        "a payment in the body opens unread",
        "x402.guard.header-only",
        opens=lambda brought: b'"payment"' in brought.body,
        goods=POSTED,
    ),
    fault("a body that does not parse opens", "x402.guard.header-only", opens=_unparsed, goods=POSTED),
)
