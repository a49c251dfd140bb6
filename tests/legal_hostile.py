"""Legal variants for class x402/guard: what may be said to what is hardly a payment, and what may be taken for one."""

import json

from careless import OFFER, authorization, is_strict, of_payments, spoilt
from eth_utils.address import is_hex_address, to_checksum_address
from fault_hostile import only
from paid_fault import PaidLegal, legal
from serving import Answer, coded, decoded
from shop import Brought, paying

__all__ = ["LEGAL_HOSTILE"]

V1 = ("/forecast",)
V2 = ("/weather",)

_LONG = 9000
_RECEIPT = {1: "X-PAYMENT-RESPONSE", 2: "PAYMENT-RESPONSE"}


def _by_its_length(brought: Brought, answer: Answer) -> None:
    if len(brought.value) > _LONG:
        answer.become({2: 431, 1: 413}[brought.version], "too long")


def _leniently(brought: Brought) -> Brought:
    """Reads a payment as Python does: any base64, the last of equal members."""
    return paying(brought, brought.payment) if brought.payment else brought


def _payer_in_other_case(brought: Brought) -> bool:
    """Not as its checksum has it: one payer in two thousand has one case anyway."""
    payer = authorization(brought.payment).get("from")
    return is_hex_address(payer) and payer != to_checksum_address(payer)


def _reason_in_a_receipt(brought: Brought, answer: Answer) -> None:
    """Says in the offer what it says to everybody, and what is wrong in a receipt."""
    told = "payment required"
    if answer.get(OFFER):
        answer.set(OFFER, coded(decoded(answer.get(OFFER)) | {"error": told}))
    document = json.loads(answer.body)
    document["error" if "error" in document else "detail"] = told
    answer.say(document, answer.get("content-type"))
    field = _RECEIPT[brought.version or 2]
    if brought.version and not answer.get(field):
        answer.set(field, coded({"success": False, "errorReason": "invalid_payload", "transaction": "", "network": ""}))


def _one_wording(brought: Brought, answer: Answer) -> None:
    if answer.status == 402:
        _reason_in_a_receipt(brought, answer)


def _worded(brought: Brought, answer: Answer) -> None:
    """Says what is wrong in a word of its own, and in its own place."""
    if answer.get(OFFER):
        answer.set(OFFER, coded(decoded(answer.get(OFFER)) | {"error": "REJECTED"}))
    document = json.loads(answer.body)
    document |= {"error": "REJECTED"} if brought.version == 1 else {"detail": "REJECTED", "title": "No"}
    answer.say(document, answer.get("content-type"))


LEGAL_HOSTILE: tuple[PaidLegal, ...] = (
    legal(
        "a malformed payment is answered as any other",
        "x402.guard.refusal-status: 402 with an offer for a malformed payment",
        change=of_payments(lambda _, answer: setattr(answer, "status", 402), 400),
    ),
    legal(
        "a malformed payment is content that cannot be processed",
        "x402.guard.refusal-status: 422 for a malformed payment",
        change=of_payments(lambda _, answer: setattr(answer, "status", 422), 400),
        goods=V2,
    ),
    legal(
        "a long payment is refused for its length",
        "x402.guard.huge: 400, 402, 413, 414 or 431",
        change=of_payments(_by_its_length, 400, 402),
    ),
    legal(
        "the server hangs up on a long payment",
        "x402.guard.huge: a closed connection",
        "x402.guard.hostile-json: a connection closed on a payment of more than 4 KiB",
        cuts=lambda brought: len(brought.value) > 4096,
        goods=V2,
    ),
    legal(
        "payments are read with lenience",
        "x402.guard.hostile-json: a repeated member of which the last one counts",
        "x402.guard.hostile-json: a member __proto__ or constructor that is ignored",
        rewrite=_leniently,
    ),
    legal(
        "payments are read to the letter",
        "x402.guard.twins: base64 without padding or in the alphabet for URLs refused",
        "x402.guard.twins: an EVM address in other case refused",
        "x402.guard.twins: a high-s signature refused",
        rewrite=spoilt(lambda brought: not is_strict(brought.value) or _payer_in_other_case(brought)),
    ),
    legal(
        "of two payments the first counts",
        "x402.guard.two-payments: either of the two",
        rewrite=lambda brought: only(brought, 0),
        goods=V2,
    ),
    legal(
        "of two payments the last counts",
        rewrite=lambda brought: only(brought, -1),
        goods=V1,
    ),
    legal(
        "two payments at once are payments of nobody",
        "x402.guard.two-payments: a refusal of both",
        change=of_payments(lambda _, answer: setattr(answer, "status", 402), 400),
        goods=V2,
    ),
    legal(
        "a rejected payment is rejected in a word",
        "x402.guard.rejected-differs: any wording that differs",
        change=of_payments(_worded, 402),
    ),
    legal(
        "what is wrong stands in a receipt",
        "x402.guard.rejected-differs: a reason in a receipt in place of an error",
        change=_one_wording,
    ),
)
