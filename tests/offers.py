"""Offers of our own, one per way in which we can sign, and payments for them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from conformance.protocols.x402 import Offer
from conformance.protocols.x402.payment import Payment, build
from conformance.protocols.x402.signing import Payer

__all__ = ["FACILITATOR", "KINDS", "NOW", "PAYER", "entry", "offer", "payment"]

PAYER = Payer.of(b"\x11" * 32)
NOW = 1_790_000_000
FACILITATOR = "0x857b06519E91e3A54538791bDbb0E22373e36b66"

_EXTRA: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "eip3009": {},
        "permit2": {"assetTransferMethod": "permit2"},
        "upto": {"facilitatorAddress": FACILITATOR},
    }
)
KINDS = ((2, "eip3009"), (2, "permit2"), (2, "upto"), (1, "eip3009"))
"""Version and kind of what we sign, and of what the SDK can judge."""


def entry(version: int, kind: str, **changes: Any) -> dict[str, Any]:
    """PaymentRequirements with ``changes`` to its members."""
    common = {
        "scheme": "upto" if kind == "upto" else "exact",
        "network": "base-sepolia" if version == 1 else "eip155:84532",
        "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
        "payTo": "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
        "maxTimeoutSeconds": 60,
        "extra": {"name": "USDC", "version": "2", **_EXTRA[kind]},
    }
    if version == 1:
        described = {"resource": "https://api.example.com/weather", "description": "Weather", "mimeType": "text/plain"}
        return {**common, "maxAmountRequired": "10000", **described, **changes}
    return {**common, "amount": "10000", **changes}


def offer(version: int, kind: str, **changes: Any) -> Offer:
    """An offer of one way, in version 2 with a resource and an extension to echo."""
    document: dict[str, Any] = {"x402Version": version, "error": "", "accepts": [entry(version, kind, **changes)]}
    if version == 2:
        document["resource"] = {"url": "https://api.example.com/weather", "description": "Weather"}
        document["extensions"] = {"example": {"info": {"color": "green"}, "schema": {}}}
    return Offer(version=version, place="test", document=document)


def payment(version: int, kind: str, *, now: int = NOW, nonce: bytes = b"\xab" * 32, **changes: Any) -> Payment:
    """A good payment by PAYER."""
    made = offer(version, kind, **changes)
    [way] = made.ways()
    return build(way, offer=made, payer=PAYER, now=now, nonce=nonce)
