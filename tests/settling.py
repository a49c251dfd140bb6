"""The words in which shops say how they settle otherwise than the sandbox, and what they make of their receipts."""

from collections.abc import Callable
from typing import Any

from serving import Answer, coded, decoded
from shop import Brought, Change, Hears, Told, paying

from conformance.facilitator import ADDRESS

__all__ = ["RECEIPTS", "adds", "answers", "both", "hears", "receipts", "served", "silenced", "upto", "withheld", "yes"]

RECEIPTS = ("X-PAYMENT-RESPONSE", "PAYMENT-RESPONSE")
_OFFER = "PAYMENT-REQUIRED"
_UNNAMED = "none"
"""What the till is told where no transaction was made, and no buyer ever sees."""

Receipt = dict[str, Any]


def yes(told: Told) -> None:
    """Makes a plain yes of whatever was answered, and names a transaction where none was named."""
    named = told.document.get("transaction") if isinstance(told.document, dict) else ""
    told.failed, told.status = False, 200
    told.document = (
        {"isValid": True} if told.kind == "verify" else {"success": True, "transaction": named or told.nonce}
    )


def hears(when: Callable[[Told], bool], kind: str = "", becomes: Hears = yes) -> Hears:
    """What the shop makes of an answer ``when`` it is such a one; with ``kind``, to calls of that kind only."""

    def understand(told: Told) -> None:
        if kind in {"", told.kind} and when(told):
            becomes(told)

    return understand


def both(*changes: Change) -> Change:
    """One change after the other."""

    def change(brought: Brought, answer: Answer) -> None:
        for one in changes:
            one(brought, answer)

    return change


def answers(when: Callable[[Answer], bool], alter: Callable[[Answer], object]) -> Change:
    """Alters the answers to payments that are such ones."""

    def change(brought: Brought, answer: Answer) -> None:
        if brought.value and when(answer):
            alter(answer)

    return change


def served(answer: Answer) -> bool:
    """Whether it holds what is sold."""
    return answer.status == 200 and any(map(answer.get, RECEIPTS))


def withheld(answer: Answer) -> bool:
    """Whether it is the answer to a payment that did not settle."""
    return answer.status == 402 and any(map(answer.get, RECEIPTS))


def adds(name: str, value: str) -> Callable[[Answer], None]:
    """Puts a field in an answer."""
    return lambda answer: answer.set(name, value)


def silenced(answer: Answer) -> None:
    """Takes the receipt away."""
    answer.drop(*RECEIPTS)


def receipts(alter: Callable[[Receipt], object], *, of: Callable[[Answer], bool] = served) -> Change:
    """Alters the receipt of such answers in place."""

    def change(_: Brought, answer: Answer) -> None:
        for name in RECEIPTS:
            if of(answer) and (value := answer.get(name)):
                receipt = decoded(value)
                alter(receipt)
                answer.set(name, coded(receipt))

    return change


def upto(charges: Callable[[int], int | None], *, beside: bool = False) -> dict[str, Any]:
    """Members of a shop that sells by version 2 in scheme upto, charging so much of a maximum; None: it settles nothing.

    With ``beside`` it does so beside scheme exact. Its till knows nothing of that: it is handed each payment as one of scheme exact, and asks through here.
    """
    brought_by: dict[str, Receipt] = {}
    charged_nothing: set[str] = set()

    def named(terms: dict[str, Any]) -> dict[str, Any]:
        return {**terms, "scheme": "upto", "extra": {**terms["extra"], "facilitatorAddress": ADDRESS}}

    def rewrite(brought: Brought) -> Brought:
        payment = brought.payment
        try:
            signed = payment["payload"]["permit2Authorization"]
            extra = dict(payment["accepted"]["extra"])
            facilitator = extra.pop("facilitatorAddress")
            if payment["accepted"]["scheme"] != "upto" or facilitator != ADDRESS:
                return brought
            authorization = {"from": signed["from"], "nonce": signed["nonce"]}
        except (KeyError, TypeError, ValueError):
            return brought
        brought_by[str(authorization["nonce"]).lower()] = payment
        accepted = {**payment["accepted"], "scheme": "exact", "extra": extra}
        return paying(brought, {**payment, "accepted": accepted, "payload": {"authorization": authorization}})

    def asks(kind: str, asked: dict[str, Any]) -> dict[str, Any] | None:
        nonce = asked["paymentPayload"]["payload"]["authorization"]["nonce"].lower()
        if nonce not in brought_by:
            return asked
        terms = named(asked["paymentRequirements"])
        if kind == "settle":
            charge = charges(int(terms["amount"]))
            if charge is None:
                return None
            terms["amount"] = str(charge)
            charged_nothing.update({nonce} if charge == 0 else ())
        return {**asked, "paymentPayload": brought_by[nonce], "paymentRequirements": terms}

    def understand(told: Told) -> None:
        if told.kind != "settle":
            return
        if told.document is None and told.status == 200 and not told.failed and not told.text:
            told.document = {"success": True, "transaction": _UNNAMED}
        elif told.good and not told.document["transaction"] and told.nonce in charged_nothing:
            told.document["transaction"] = _UNNAMED

    def change(_: Brought, answer: Answer) -> None:
        if value := answer.get(_OFFER):
            offer = decoded(value)
            offer["accepts"] = [*(offer["accepts"] if beside else []), *map(named, offer["accepts"])]
            answer.set(_OFFER, coded(offer))
        if (value := answer.get("PAYMENT-RESPONSE")) and decoded(value)["transaction"] == _UNNAMED:
            answer.set("PAYMENT-RESPONSE", coded(decoded(value) | {"transaction": ""}))

    return {"rewrite": rewrite, "asks": asks, "hears": understand, "change": change}
