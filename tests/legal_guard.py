"""Legal variants for class x402/guard: shops that read payments, and judge them, otherwise than the sandbox."""

import secrets
import time
from typing import Any

from careless import accepted, authorization, every_402, extended, honest, menu, of_payments, spoilt, wanted
from fault_guard import ANOTHER_TOKEN
from legal_hostile import LEGAL_HOSTILE
from paid_fault import PaidLegal, legal
from serving import Answer
from shop import Brought, Told, paying

from conformance.facilitator import ADDRESS

__all__ = ["LEGAL_GUARD"]

V1 = ("/forecast",)
V2 = ("/weather",)
DUAL = ("/almanac",)

_UPTO: dict[str, Any] = {
    "scheme": "upto",
    "network": "eip155:84532",
    "amount": "10000",
    "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
    "payTo": "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
    "maxTimeoutSeconds": 60,
    "extra": {"name": "USDC", "version": "2", "facilitatorAddress": ADDRESS},
}
_PERMIT2: dict[str, Any] = _UPTO | {"scheme": "exact", "extra": {"assetTransferMethod": "permit2"}}


def _elsewhere(_: Brought, answer: Answer) -> None:
    """The order was taken; what was bought is told along with where it stays."""
    answer.status = 303
    answer.set("Location", "/health")


def _addresses_are_numbers(brought: Brought) -> Brought:
    """Compares addresses without their case."""
    payment, own = brought.payment, wanted(brought)
    copy = accepted(payment)
    for member in ("asset", "payTo"):
        if str(copy.get(member)).lower() == own.get(member, "").lower():
            copy[member] = own[member]
    return paying(brought, payment) if copy else brought


def _auction() -> dict[str, Any]:
    """A shop whose price rises with each offer, and which remembers what it offered."""
    offered: list[str] = []
    paid: dict[str, dict[str, Any]] = {}

    def dearer(document: dict[str, Any]) -> None:
        offered.append(str(10_000 + 10 * len(offered)))
        document["accepts"][0]["amount"] = offered[-1]

    def rewrite(brought: Brought) -> Brought:
        payment = brought.payment
        nonce, price = authorization(payment).get("nonce"), accepted(payment).get("amount")
        if brought.version != 2 or price not in offered or not isinstance(nonce, str):
            return brought
        paid[nonce] = payment
        return paying(brought, payment | {"accepted": accepted(payment) | {"amount": wanted(brought)["amount"]}})

    def asks(_: str, asked: dict[str, Any]) -> dict[str, Any]:
        payment = paid.get(authorization(asked["paymentPayload"]).get("nonce", ""))
        if payment is None:
            return asked
        price = accepted(payment)["amount"]
        return asked | {
            "paymentPayload": payment,
            "paymentRequirements": asked["paymentRequirements"] | {"amount": price},
        }

    return {"change": every_402(dearer), "rewrite": rewrite, "asks": asks}


def _dearer(written: dict[str, Any]) -> None:
    for endpoint in written["endpoint"]:
        endpoint["dynamic"] = ["/accepts/*/amount"]


def _price_of_the_day(brought: Brought) -> Brought:
    """Does not ask which price was copied: what is authorized has to meet the one that holds now."""
    payment = brought.payment
    if brought.version == 2 and accepted(payment):
        accepted(payment)["amount"] = wanted(brought)["amount"]
    return paying(brought, payment) if payment else brought


def _annotated(_: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Tells the facilitator more than the payer."""
    own = asked["paymentRequirements"]
    return asked | {"paymentRequirements": own | {"extra": own["extra"] | {"reference": "till 3"}}}


def _half(way: dict[str, Any]) -> dict[str, Any]:
    return way | {"amount": str(int(way["amount"]) // 2)}


def _more_is_enough(told: Told) -> None:
    """Verifies by itself that what Permit2 allows covers the price."""
    reason = told.document.get("invalidReason", "") if isinstance(told.document, dict) else ""
    if told.kind == "verify" and "authorization_value" in reason:
        signed = authorization(told.asked["paymentPayload"])
        told.document = {"isValid": "permitted" not in signed or int(signed["permitted"]["amount"]) >= 10_000}


def _within(seconds: int, member: str) -> Any:
    """Whether a time of an authorization is less than some seconds away."""

    def close(brought: Brought) -> bool:
        value = authorization(brought.payment).get(member)
        return isinstance(value, str) and value.isdecimal() and abs(int(value) - time.time()) < seconds

    return close


def _canonical(brought: Brought) -> Brought:
    """Reads numbers as Python does, and from then on knows nothing but the number."""
    payment = brought.payment
    value = authorization(payment).get("value")
    try:
        authorization(payment)["value"] = str(int(value))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return brought
    return paying(brought, payment) if honest(brought, payment) else brought


def _of_another_resource(brought: Brought) -> bool:
    resource = brought.payment.get("resource")
    return isinstance(resource, dict) and not str(resource.get("url")).endswith(brought.path)


def _either_version(brought: Brought) -> Brought:
    """Reads a payment by its shape, whichever of its versions it names."""
    payment = brought.payment
    known = payment.get("x402Version") in (1, 2) and type(payment["x402Version"]) is int
    return paying(brought, payment | {"x402Version": brought.version}) if known else brought


def _changed(name: str, info: dict[str, Any]) -> Any:
    """Whether a payment says of an extension something else than was advertised."""

    def other(brought: Brought) -> bool:
        told = brought.payment.get("extensions", {}).get(name)
        if told is None:
            return False
        return not isinstance(told, dict) or not info.items() <= told.get("info", {}).items()

    return other


def _without_extensions(brought: Brought) -> Brought:
    """Strips what it takes no interest in."""
    payment = brought.payment
    return paying(brought, {k: v for k, v in payment.items() if k != "extensions"}) if payment else brought


_GREEN = {"color": "green"}


LEGAL_GUARD: tuple[PaidLegal, ...] = (
    legal(
        "what is sold is created",
        "x402.guard.good-payment: another 2xx or 3xx of the handler in place of 200",
        change=of_payments(lambda _, answer: setattr(answer, "status", 201), 200),
        goods=V2,
    ),
    legal("what is sold is told with a redirect", change=of_payments(_elsewhere, 200), goods=V1),
    legal(
        "a second way to pay is judged by its own terms",
        "x402.guard.verified-on-own-terms: a lower amount at settlement in scheme upto",
        **menu(ANOTHER_TOKEN, _UPTO, _PERMIT2, settles=lambda way: _half(way) if way["scheme"] == "upto" else way),
        goods=V2,
    ),
    legal(
        "who pays by upto may allow more than the price",
        "x402.guard.amount: more than the price by Permit2",
        **menu(_UPTO, alone=True),
        hears=_more_is_enough,
        goods=V2,
    ),
    legal("what is sold is paid by Permit2 alone", **menu(_PERMIT2, alone=True), goods=V2),
    legal(
        "addresses in the copy of the offer may be in any case",
        "x402.guard.accepted-is-offered: an EVM address in other case",
        rewrite=_addresses_are_numbers,
        goods=V2,
    ),
    legal(
        "the facilitator is told more than the payer",
        "x402.guard.accepted-is-offered: members of extra beyond those of the offer",
        "x402.guard.verified-on-own-terms: members added to extra",
        asks=_annotated,
    ),
    legal(
        "the price rises with each offer",
        "x402.guard.verified-on-own-terms: members that the profile calls dynamic",
        **_auction(),
        edit=_dearer,
        goods=V2,
    ),
    legal(
        "the price that was copied is not compared where prices change",
        "x402.guard.accepted-is-offered: members that the profile calls dynamic",
        rewrite=_price_of_the_day,
        edit=_dearer,
        goods=V2,
    ),
    legal(
        "what expires within the minute is refused, but for what expires as it was asked to",
        "x402.guard.expired: a refusal some seconds before it expires",
        rewrite=spoilt(_within(20, "validBefore")),
        goods=V2,
    ),
    legal(
        "clocks may differ by some seconds",
        "x402.guard.not-yet-valid: validAfter some seconds ahead of the clock",
        opens=lambda brought: _within(15, "validAfter")(brought) and honest(brought, brought.payment),
        goods=V1,
    ),
    legal(
        "a number is settled in its canonical form",
        "x402.guard.numbers: the same number, verified and settled in its canonical form",
        rewrite=_canonical,
        goods=V1,
    ),
    legal(
        "a payment for another resource is refused",
        "x402.guard.resource: a payment that names no resource",
        rewrite=spoilt(_of_another_resource),
        goods=V2,
    ),
    legal(
        "a payment may name either version",
        "x402.guard.version: a version 1 payment where the endpoint speaks version 1 as well",
        rewrite=_either_version,
        goods=DUAL,
    ),
    legal(
        "an extension may be left out or added to",
        "x402.guard.extensions-echo: a payment without extensions",
        "x402.guard.extensions-echo: info added to an extension",
        change=extended("example", lambda: {"info": _GREEN, "schema": {"type": "object"}}),
        rewrite=spoilt(_changed("example", _GREEN)),
        goods=V2,
    ),
    legal(
        "an extension is made anew for each answer and not asked for again",
        "x402.guard.extensions-echo: nonces, offers and times that an extension makes anew",
        change=extended(
            "example",
            lambda: {
                "info": {"nonce": secrets.token_hex(8), "issuedAt": str(time.time()), "offers": [secrets.token_hex(8)]},
                "schema": {"type": "object"},
            },
        ),
        rewrite=_without_extensions,
        goods=V2,
    ),
    *LEGAL_HOSTILE,
)
