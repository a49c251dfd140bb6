"""The legal variants for class x402/settlement."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fault_facilitator import hung
from fault_order import offering, taken_as
from legal_caching import LEGAL_CACHING
from legal_replay import LEGAL_REPLAY
from legal_retry import LEGAL_RETRY
from paid_fault import PaidLegal, legal
from serving import Answer, coded
from settling import answers, both, hears, receipts, served, upto, withheld
from shop import Brought, Told
from variant import endpoints

__all__ = ["LEGAL_SETTLEMENT"]

_ANY = ("/weather",)
_V1 = ("/forecast",)
_UPFRONT = ("/satellite",)
_CROWD = 4
_SOON = 10

_OUT_OF_ORDER = (
    *("facilitator-unreachable", "facilitator-hangs", "facilitator-fails", "facilitator-garbled"),
    *("facilitator-without-verdict", "facilitator-redirects", "facilitator-refuses", "not-the-payers-fault"),
)


def _moved_away(answer: Answer) -> None:
    answer.status, answer.body = 303, b""
    answer.set("Location", "/pictures/sunny")
    answer.set("Cache-Control", "private")


def _without_content(answer: Answer) -> None:
    answer.status = 204
    answer.set("X-Sky", "overcast")
    answer.set("Cache-Control", "no-store")


def _in_turn() -> Any:
    """A server error of another status each time."""
    turns = iter(range(10_000))
    return answers(
        lambda answer: answer.status == 503, lambda answer: setattr(answer, "status", _ERRORS[next(turns) % 3])
    )


_ERRORS = (500, 502, 504)


def _other_words(receipt: dict[str, Any]) -> None:
    receipt["errorReason"] = receipt["errorReason"][:12]


def _richer(receipt: dict[str, Any]) -> None:
    receipt.pop("payer", None)
    receipt["extensions"] = {"points": {"earned": 3}}


def _given_up() -> dict[str, Any]:
    """A shop that has a status of its own for a facilitator that says nothing, and a receipt."""
    asks, told, never = hung()
    receipt = {"success": False, "errorReason": "unexpected_settle_error", "transaction": "", "network": "base-sepolia"}

    def change(brought: Brought, answer: Answer) -> None:
        if answer.status == 503 and never(brought):
            answer.status = 402
            answer.set("X-PAYMENT-RESPONSE", coded(receipt))

    return {"asks": asks, "hears": told, "change": change}


def _made_good(answer: Answer) -> None:
    answer.status = 424
    answer.set("Try-Again", "without charge")


def _shared(answer: Answer) -> None:
    answer.drop("cache-control")
    answer.set("Vary", "Accept, PAYMENT-SIGNATURE")
    answer.set("Access-Control-Expose-Headers", "*")


def _offers_nothing(answer: Answer) -> None:
    answer.drop("payment-required")


def _postponed(brought: Brought, answer: Answer) -> None:
    if withheld(answer) and b"settlement_pending" in answer.body:
        answer.become(202 if brought.version == 2 else 503, "pending")


def _is_pending(told: Told) -> bool:
    return isinstance(told.document, dict) and told.document.get("errorReason") == "settlement_pending"


def _again_when_pending(answers: Sequence[Told]) -> str:
    return "settle" if len(answers) == 1 and _is_pending(answers[0]) else ""


def _again_when_not_settled(answers: Sequence[Told]) -> str:
    return "settle" if len(answers) == 1 and answers[0].kind == "settle" and not answers[0].good else ""


def _to_capture(answers: Sequence[Told]) -> str:
    return "settle" if len(answers) == 1 and answers[0].kind == "settle" and answers[0].good else ""


def _followed(answers: Sequence[Told]) -> str:
    return f"moved/{answers[0].kind}" if len(answers) == 1 and answers[0].status == 308 else ""


def _elsewhere(answers: Sequence[Told]) -> str:
    """There is a second facilitator, and it is asked when the first gives no verdict."""
    out_of_order = answers[0].failed or answers[0].status not in {200, 400}
    return f"moved/{answers[0].kind}" if len(answers) == 1 and out_of_order else ""


def _shy(told: Told) -> None:
    """The facilitator names no payer to a shop of version 2, and in capitals to one of version 1; but a wrong one."""
    if told.document["payer"].lower() != told.asked["paymentPayload"]["payload"]["authorization"]["from"].lower():
        return
    if told.asked["x402Version"] == 2:
        told.document.pop("payer", None)
    else:
        told.document["payer"] = f"0x{told.document['payer'][2:].upper()}"


def _annotated(kind: str, asked: dict[str, Any]) -> dict[str, Any]:
    payment = asked["paymentPayload"]
    note = {"shop": {"info": {"order": 17}, "schema": {}}}
    extensions = payment.get("extensions", {}) | note
    return {**asked, "paymentPayload": {**payment, "extensions": extensions}} if kind == "settle" else asked


def _unpaid(brought: Brought, *headers: tuple[str, str]) -> Brought:
    return replace(brought, headers=headers, version=0, value="")


def _too_soon(brought: Brought) -> Brought:
    """A payment that ends soon counts as none."""
    try:
        ends = int(brought.payment["payload"]["authorization"]["validBefore"])
    except (KeyError, TypeError, ValueError):
        return brought
    return _unpaid(brought) if ends < time.time() + _SOON else brought


def _everywhere(_: Brought, answer: Answer) -> None:
    answer.set("X-Station", "Orly")


def _mute(_: Brought, answer: Answer) -> None:
    answer.headers = [(name, value) for name, value in answer.headers if not name.lower().startswith("access-control-")]


def _resumed() -> Any:
    """Who comes back for the rest of what was bought gets it."""
    kept: dict[str, bytes] = {}

    def change(brought: Brought, answer: Answer) -> None:
        if served(answer):
            kept[brought.path] = answer.body
        elif not brought.value and brought.get("range") and brought.path in kept:
            answer.become(206)
            answer.body = kept[brought.path]

    return change


def _turned_away() -> dict[str, Any]:
    """A shop that takes only so many payments at the same time, and has a 503 for the others."""
    inside: set[str] = set()

    def rewrite(brought: Brought) -> Brought:
        if not brought.value:
            return brought
        if len(inside) >= _CROWD:
            return _unpaid(brought, ("away", "1"))
        inside.add(brought.value)
        return brought

    def change(brought: Brought, answer: Answer) -> None:
        inside.discard(brought.value)
        if brought.get("away"):
            answer.become(503, "busy")

    return {"rewrite": rewrite, "change": change}


LEGAL_SETTLEMENT: tuple[PaidLegal, ...] = (
    *LEGAL_CACHING,
    *LEGAL_REPLAY,
    *LEGAL_RETRY,
    legal(
        "what fails after it was paid upfront is a 424, with a receipt and a second try",
        "x402.settlement.charged-failure-receipt: any status of the failure",
        "x402.settlement.charged-failure-receipt: a refund or a second try without charge, beside the receipt",
        "x402.settlement.failed-handler: a charge in flow upfront or escrow, where it is offered",
        "x402.settlement.expired-meanwhile: content that was settled before the payment expired",
        "x402.settlement.same-payload: settlement without verification in flow upfront",
        change=answers(lambda answer: answer.status == 500, _made_good),
        goods=_UPFRONT,
        slow=True,
    ),
    legal(
        "it takes two settlements, in flow escrow",
        "x402.settlement.settles-once: the two settles of flow escrow",
        change=offering("escrow"),
        rewrite=taken_as("upfront", lambda flow: flow == "escrow"),
        again=_to_capture,
        goods=_UPFRONT,
        edit=endpoints(flow="escrow"),
    ),
    legal(
        "its handler answers with a redirect, which is settled, and with an error, which is not",
        "x402.settlement.served-is-settled: a redirect of the handler that is settled",
        "x402.settlement.served-is-settled: an error of the handler that is not settled and holds nothing of the paid answer",
        "x402.settlement.receipt: any 2xx or 3xx of the handler",
        "x402.settlement.paid-not-cacheable: private",
        change=answers(served, _moved_away),
        goods=_ANY,
    ),
    legal(
        "its handler has no content",
        "x402.settlement.receipt: any 2xx or 3xx of the handler",
        "x402.settlement.paid-not-cacheable: no-store",
        "x402.settlement.receipt-is-true: the network by its name in version 1",
        change=answers(served, _without_content),
        goods=_V1,
    ),
    legal(
        "its receipts are short of a payer and long on points, and a failure offers nothing",
        "x402.settlement.receipt-members: no payer in version 2",
        "x402.settlement.receipt-is-true: extensions of the server's own",
        "x402.settlement.failure-is-402: an offer beside the receipt, or none in version 2",
        "x402.settlement.exposes-receipt: a wildcard without credentials",
        "x402.settlement.paid-not-cacheable: a Vary that names the payment field",
        change=both(receipts(_richer), answers(served, _shared), answers(withheld, _offers_nothing)),
        goods=_ANY,
    ),
    legal(
        "it has words of its own for why a settlement failed, and few of them",
        "x402.settlement.failure-receipt: any reason",
        "x402.settlement.short-fields: the facilitator's reason, cut short",
        "x402.settlement.words-stay-inside: the reason of a verdict",
        "x402.settlement.no-with-400: other words for the reason",
        change=receipts(_other_words, of=withheld),
        goods=_V1,
    ),
    legal(
        "its answer has a server error in turn when the facilitator is out of order",
        *(f"x402.settlement.{name}: 500, 502, 503 or 504" for name in (*_OUT_OF_ORDER, "unknown-outcome")),
        change=_in_turn(),
    ),
    legal(
        "it has a status of its own for a facilitator that says nothing",
        "x402.settlement.answers-in-time: any status when the time is over",
        "x402.settlement.unknown-outcome: 402 with a receipt that says no",
        **_given_up(),
        goods=_V1,
    ),
    legal(
        "it charges half of the maximum",
        "x402.settlement.upto-maximum: any amount up to the maximum",
        **upto(lambda maximum: maximum // 2),
        goods=_ANY,
    ),
    legal(
        "it settles nothing at all, as it charges nothing",
        "x402.settlement.upto-maximum: 0, with an empty transaction or no settle at all",
        **upto(lambda _: None),
        goods=_ANY,
    ),
    legal(
        "it settles 0, also where its handler fails",
        "x402.settlement.upto-maximum: 0, with an empty transaction or no settle at all",
        "x402.settlement.receipt-members: an empty transaction where nothing was broadcast",
        "x402.settlement.transaction-named: an amount of 0 in scheme upto",
        "x402.settlement.own-transaction: an empty transaction for an amount of 0",
        "x402.settlement.failed-handler: a settlement of 0 in scheme upto",
        **upto(lambda _: 0),
        eager=True,
        goods=_ANY,
    ),
    legal(
        "it settles once more what is pending",
        "x402.settlement.pending: content after a second settle of the same payment that succeeds",
        "x402.settlement.settles-once: a second settle after settlement_pending",
        "x402.settlement.pending-again: one answer, once it is settled",
        "x402.settlement.same-settle: a few settles, one after another",
        again=_again_when_pending,
    ),
    legal(
        "what is pending is accepted for later, or refused for now",
        "x402.settlement.pending: 402, 202 or 503 without content",
        "x402.settlement.pending-again: a refusal",
        "x402.settlement.pending-transaction: an answer without a receipt",
        "x402.settlement.unknown-outcome: 202 for what is pending",
        "x402.settlement.same-settle: no second settle",
        change=_postponed,
    ),
    legal("it settles once more whatever did not settle", again=_again_when_not_settled),
    legal(
        "it follows the facilitator to another address",
        "x402.settlement.facilitator-redirects: the redirect followed",
        again=_followed,
        goods=_ANY,
    ),
    legal(
        "it asks a second facilitator when the first is out of order",
        "x402.settlement.facilitator-refuses: a later try at the facilitator that succeeds",
        again=_elsewhere,
    ),
    legal(
        "its facilitator does not name the payer, or in capitals",
        "x402.settlement.foreign: a facilitator that names no payer",
        "x402.settlement.foreign: a payer in other case",
        "x402.settlement.receipt-is-true: a payer that the facilitator did not name",
        hears=hears(lambda told: told.good, becomes=_shy),
    ),
    legal(
        "it settles with a note beside the payment",
        "x402.settlement.same-payload: members that the server added",
        asks=_annotated,
        goods=_ANY,
    ),
    legal(
        "it refuses at once what ends too soon",
        "x402.settlement.expired-meanwhile: a refusal at once of a payment that ends too soon",
        rewrite=_too_soon,
        slow=True,
        goods=_ANY,
    ),
    legal(
        "each of its answers names the station",
        "x402.settlement.withheld-fields: fields that an unpaid refusal has as well",
        change=_everywhere,
        goods=_V1,
    ),
    legal(
        "it does not speak to other origins",
        "x402.settlement.exposes-receipt: an API that does not speak CORS",
        change=_mute,
        goods=_ANY,
    ),
    legal(
        "whoever bought may come back for the rest",
        "x402.settlement.unpaid-after-paid: a payer who comes again under an entitlement that the profile states",
        change=_resumed(),
        edit=endpoints(entitlement="session"),
        goods=_ANY,
    ),
    legal(
        "it turns away whom it cannot serve, before anything is charged",
        "x402.settlement.every-charge-is-served: 429 or 503 before anything is charged",
        **_turned_away(),
        goods=_V1,
    ),
    legal(
        "it takes one payment after another",
        "x402.settlement.every-charge-is-served: payments that are taken one after another",
        "x402.settlement.concurrent-use: payments that are taken one after another",
        "x402.settlement.concurrent-use-unaided: payments that are taken one after another",
        tills=1,
        goods=_ANY,
    ),
)
