"""What careless shops do about payments, and what careful ones do otherwise than the sandbox, as seams of Shop."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from serving import Answer, coded, decoded
from shop import Brought, Change, Opens, Rewrite, paying, reason

from conformance.facilitator.authorization import Reason
from conformance.sandbox.price import GOODS
from conformance.sandbox.refusal import offer_v1, offer_v2

__all__ = [
    "OFFER",
    "accepted",
    "authorization",
    "every_402",
    "extended",
    "honest",
    "is_strict",
    "lines",
    "menu",
    "of_payments",
    "spoilt",
    "unchecked",
    "wanted",
    "why",
]

OFFER = "PAYMENT-REQUIRED"

Document = dict[str, Any]


def wanted(brought: Brought) -> Document:
    """The PaymentRequirements of the good that is asked for, in the version of the payment; empty for what is free."""
    good = next((good for good in GOODS if good.path == brought.path), None)
    if good is None:
        return {}
    offer = (offer_v1 if brought.version == 1 else offer_v2)(good, "http://127.0.0.1", "")
    found: Document = offer["accepts"][0]
    return found


def why(brought: Brought) -> str:
    """Why an honest facilitator refuses the payment; empty when it is good."""
    return reason(brought, wanted(brought)) or ""


def unchecked(*reasons: Reason) -> Opens:
    """A shop that looks at payments itself, and never came to look at some things."""

    def opens(brought: Brought) -> bool:
        mismatch = "" if brought.version == 1 else "_mismatch"
        passed = {str(one).format(scheme="exact", mismatch=mismatch) for one in reasons}
        return bool(brought.version) and why(brought) in passed

    return opens


def honest(brought: Brought, document: Document) -> bool:
    """Whether ``document`` is a good payment for what is asked for."""
    return bool(brought.version) and why(paying(brought, document)) == ""


def accepted(payment: Mapping[str, Any]) -> Document:
    """The payer's copy of the offer; empty where there is none."""
    found = payment.get("accepted")
    return found if isinstance(found, dict) else {}


def authorization(payment: Mapping[str, Any]) -> Document:
    """What the payer signed, to be changed in place; empty where there is none."""
    inner = payment.get("payload")
    for member in ("authorization", "permit2Authorization"):
        if isinstance(inner, dict) and isinstance(found := inner.get(member), dict):
            return found
    return {}


def lines(brought: Brought) -> list[str]:
    """Every payment that a request brings."""
    return [value for name, value in brought.headers if name in {"x-payment", "payment-signature"}]


def is_strict(value: str) -> bool:
    """Whether a field value is an object in standard base64."""
    try:
        return isinstance(json.loads(base64.b64decode(value.encode("latin-1"), validate=True)), dict)
    except (ValueError, RecursionError):
        return False


def spoilt(when: Callable[[Brought], object]) -> Rewrite:
    """Refuses more payments than the sandbox does: those of which ``when`` says so are read as no payment."""

    def rewrite(brought: Brought) -> Brought:
        if not brought.version or not when(brought):
            return brought
        headers = tuple((name, "!" if value == brought.value else value) for name, value in brought.headers)
        return replace(brought, value="!", headers=headers)

    return rewrite


def of_payments(alter: Callable[[Brought, Answer], object], *statuses: int) -> Change:
    """Alters the answers to requests with a payment that have one of ``statuses``."""

    def change(brought: Brought, answer: Answer) -> None:
        if brought.version and answer.status in statuses:
            alter(brought, answer)

    return change


def every_402(alter: Callable[[Document], object]) -> Change:
    """Alters each offer of version 2."""

    def change(_: Brought, answer: Answer) -> None:
        if value := answer.get(OFFER):
            document = decoded(value)
            alter(document)
            answer.set(OFFER, coded(document))

    return change


def extended(name: str, extension: Callable[[], object]) -> Change:
    """Advertises an extension, made anew for each answer."""
    return every_402(lambda document: document["extensions"].update({name: extension()}))


def menu(*ways: Document, alone: bool = False, settles: Callable[[Document], Document] = lambda way: way) -> Document:
    """Seams of a shop that offers further ``ways`` to pay in version 2, each judged by its own terms.

    With ``alone`` they stand in the place of the sandbox's own; ``settles`` makes of a way what is asked for when it is
    settled.
    """
    # The till knows one way and EIP-3009: it sees a payment by another way as one by its own, told apart by the nonce.
    taken: dict[str, Document] = {}

    def rewrite(brought: Brought) -> Brought:
        payment = brought.payment
        signed = authorization(payment)
        if brought.version != 2 or accepted(payment) not in ways or not isinstance(signed.get("nonce"), str):
            return brought
        taken[signed["nonce"]] = payment
        own = {"from": signed.get("from"), "nonce": signed["nonce"]}
        return paying(brought, payment | {"accepted": wanted(brought), "payload": {"authorization": own}})

    def asks(kind: str, asked: Document) -> Document:
        payment = taken.get(authorization(asked["paymentPayload"]).get("nonce", ""))
        if payment is None:
            return asked
        way = settles(payment["accepted"]) if kind == "settle" else payment["accepted"]
        return asked | {"paymentPayload": payment, "paymentRequirements": way}

    own = every_402(lambda document: document.update(accepts=[*([] if alone else document["accepts"]), *ways]))
    return {"rewrite": rewrite, "asks": asks, "change": own}
