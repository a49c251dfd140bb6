"""The table for class x402/guard: shops that take for good what is not."""

import time
from dataclasses import replace
from typing import Any

from careless import (
    accepted,
    authorization,
    every_402,
    extended,
    honest,
    unchecked,
    wanted,
    why,
)
from fault_hostile import HOSTILE
from paid_fault import PaidFault, fault
from shop import Brought, Told, paying

from conformance.facilitator.authorization import Reason, Refused, read
from conformance.protocols.x402 import signing

__all__ = ["ANOTHER_TOKEN", "GUARD"]

V1 = ("/forecast",)
V2 = ("/weather",)

ANOTHER_TOKEN: dict[str, Any] = {
    "scheme": "exact",
    "network": "eip155:84532",
    "amount": "9000",
    "asset": "0x808456652fdb597867f38412077A9182bf77359F",
    "payTo": "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
    "maxTimeoutSeconds": 60,
    "extra": {"name": "EURC", "version": "2"},
}
"""A way to pay that the sandbox does not know."""


def _settled_is_lost(told: Told) -> None:
    """Looks for the outcome under a name that it does not have."""
    if told.kind == "settle" and told.good:
        told.document = {"success": told.document.get("settled") is True, "errorReason": "unknown"}


def _as_offered(brought: Brought) -> Brought:
    """Reads its own terms in the place of those that the payer names."""
    payment = brought.payment
    if brought.version == 2 and accepted(payment):
        payment["accepted"] = wanted(brought)
    elif brought.version == 1 and {"scheme", "network"} <= set(payment):
        payment |= {member: wanted(brought)[member] for member in ("scheme", "network")}
    return paying(brought, payment) if payment else brought


def _by_the_copy() -> dict[str, Any]:
    """A shop that asks the facilitator about the payer's copy of the offer."""
    copies: dict[str, dict[str, Any]] = {}

    def rewrite(brought: Brought) -> Brought:
        payment = brought.payment
        nonce = authorization(payment).get("nonce")
        if brought.version != 2 or accepted(payment).get("scheme") != "exact" or not isinstance(nonce, str):
            return brought
        copies[nonce] = payment
        return paying(brought, payment | {"accepted": wanted(brought)})

    def asks(_: str, asked: dict[str, Any]) -> dict[str, Any]:
        payment = copies.get(authorization(asked["paymentPayload"]).get("nonce", ""))
        if payment is None:
            return asked
        return asked | {"paymentPayload": payment, "paymentRequirements": payment["accepted"]}

    def hears(told: Told) -> None:
        payment = copies.get(told.nonce, {})
        if isinstance(told.document, dict) and told.document.get("network") == accepted(payment).get("network"):
            told.document.pop("network", None)

    return {"rewrite": rewrite, "asks": asks, "hears": hears}


def _signed_for_mainnet(brought: Brought) -> bool:
    """Takes a signature that holds on a chain with real money: both are called Base there."""
    if not brought.version or not why(brought).endswith("_signature"):
        return False
    try:
        found = read(wanted(brought), brought.payment, brought.version, "")
    except Refused:
        return False
    domain = found.message.domain
    others = (replace(found.message, domain={**domain, "chainId": chain}) for chain in (1, 8453))
    return any((signing.recover(other, found.signature) or "").lower() == found.payer for other in others)


def _on_the_tab(told: Told) -> None:
    """Serves who has no funds, and writes it down."""
    if not isinstance(told.document, dict):
        return
    if told.document.get("invalidReason") == "insufficient_funds":
        told.document = {"isValid": True}
    if told.document.get("errorReason") == "insufficient_funds":
        told.document = {"success": True, "transaction": "0x" + "7a" * 32}


def _nonce_made_to_fit(brought: Brought) -> Brought:
    """Cuts and fills a nonce to 32 bytes."""
    payment = brought.payment
    nonce = authorization(payment).get("nonce")
    if isinstance(nonce, int):
        nonce = f"0x{nonce:064x}"
    if not isinstance(nonce, str):
        return brought
    authorization(payment)["nonce"] = nonce[:66].ljust(66, "0")
    return paying(brought, payment)


def _read_as_python_does(brought: Brought) -> bool:
    """Takes for a number whatever Python's int does, and settles some other day."""
    payment = brought.payment
    value = authorization(payment).get("value")
    if not isinstance(value, str | int) or value in {"10000", "20000"}:
        return False
    try:
        authorization(payment)["value"] = str(int(value))
    except ValueError:
        return False
    return honest(brought, payment)


def _filled_in(brought: Brought) -> Brought:
    """Adds what the payment does not say."""
    payment = brought.payment
    if "payload" not in payment:
        return brought
    if brought.version == 2:
        payment.setdefault("accepted", wanted(brought))
    else:
        payment = {member: wanted(brought)[member] for member in ("scheme", "network")} | payment
    return paying(brought, payment)


def _version_of_the_field(brought: Brought) -> Brought:
    """Knows the version by the field in which the payment came."""
    payment = brought.payment
    return paying(brought, payment | {"x402Version": brought.version}) if payment else brought


def _lately_expired(brought: Brought) -> bool:
    """Takes what expired lately, for the clocks of others."""
    before = authorization(brought.payment).get("validBefore")
    late = isinstance(before, str) and before.isdecimal() and int(before) < time.time() - 10
    return late and unchecked(Reason.BEFORE)(brought)


GUARD: tuple[PaidFault, ...] = (
    fault("a settlement that succeeded is not understood", "x402.guard.good-payment", hears=_settled_is_lost, goods=V2),
    fault(
        "a second way to pay is offered and never taken",
        "x402.guard.every-way",
        change=every_402(lambda document: document["accepts"].append(ANOTHER_TOKEN)),
        goods=V2,
    ),
    fault(
        "what the payer says that he pays for is not compared", "x402.guard.accepted-is-offered", rewrite=_as_offered
    ),
    fault(
        "the payer's copy of the offer is what is verified",
        "x402.guard.accepted-is-offered",
        "x402.guard.own-price",
        "x402.guard.own-terms",
        "x402.guard.verified-on-own-terms",
        **_by_the_copy(),
        goods=V2,
    ),
    fault("the amount is not compared", "x402.guard.amount", "x402.guard.own-price", opens=unchecked(Reason.VALUE)),
    fault("the payee is not compared", "x402.guard.payee", "x402.guard.own-terms", opens=unchecked(Reason.RECIPIENT)),
    fault(
        "the signature is not looked at",
        "x402.guard.signature",
        "x402.guard.domain",
        "x402.guard.own-terms",
        "x402.guard.hostile-json",
        "x402.guard.huge",
        "x402.guard.twins",
        "x402.guard.two-payments",
        "x402.settlement.replayed-twin",  # A signature in another form.
        "x402.settlement.replayed-twin-unaided",
        "x402.settlement.concurrent-use",
        "x402.settlement.concurrent-use-unaided",
        "x402.order.rejected-runs-nothing",
        opens=unchecked(Reason.SIGNATURE),
    ),
    fault("a signature for another chain is good as well", "x402.guard.domain", opens=_signed_for_mainnet),
    fault("the end of the window is not looked at", "x402.guard.expired", opens=unchecked(Reason.BEFORE)),
    fault("what expired a minute ago is taken", "x402.guard.expired", opens=_lately_expired, goods=V1),
    fault("the beginning of the window is not looked at", "x402.guard.not-yet-valid", opens=unchecked(Reason.AFTER)),
    fault("who has no funds is served on the tab", "x402.guard.funds", hears=_on_the_tab),
    fault("a nonce is made to fit", "x402.guard.nonce", rewrite=_nonce_made_to_fit, goods=V2),
    fault("numbers are read as Python reads them", "x402.guard.numbers", opens=_read_as_python_does, goods=V1),
    fault("what a payment does not say is filled in", "x402.guard.members", rewrite=_filled_in),
    fault(
        "the version in a payment is not looked at",
        "x402.guard.version",
        "x402.guard.version-is-a-number",
        rewrite=_version_of_the_field,
    ),
    fault(
        "neither window nor resource of a payment are looked at",
        "x402.guard.long-window",
        "x402.guard.resource",
        goods=V2,
    ),
    fault(
        "an extension that the payer changed is not compared",
        "x402.guard.extensions-echo",
        change=extended("example", lambda: {"info": {"color": "green"}, "schema": {"type": "object"}}),
        goods=V2,
    ),
    *HOSTILE,
)
