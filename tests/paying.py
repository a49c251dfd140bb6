"""Good payments for an offer of our own, as a server hands them to a facilitator."""

import hashlib
import itertools
import json
import time
from typing import Any

from conformance import facilitator
from conformance.protocols.x402 import Offer
from conformance.protocols.x402.payment import build
from conformance.protocols.x402.signing import Payer

__all__ = ["ASSET", "NETWORK", "PAY_TO", "handed", "payer", "requirements"]

ASSET = "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
NETWORK = "eip155:84532"
PAY_TO = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C"

_SERIAL = itertools.count()


def payer(name: str) -> Payer:
    """The payer of that name, always the same."""
    return Payer.of(hashlib.sha256(name.encode()).digest())


def requirements(version: int, **changes: Any) -> dict[str, Any]:
    """PaymentRequirements of a version, with ``changes`` to its members."""
    price = {"maxAmountRequired" if version == 1 else "amount": "10000"}
    more = {"resource": "http://127.0.0.1/weather", "description": "The weather"} if version == 1 else {}
    return {
        "scheme": "exact",
        "network": "base-sepolia" if version == 1 else NETWORK,
        **price,
        "asset": ASSET,
        "payTo": PAY_TO,
        "maxTimeoutSeconds": 60,
        "extra": {"name": "USDC", "version": "2"},
        **more,
        **changes,
    }


def handed(
    version: int, by: Payer, *, nonce: int | None = None, now: int | None = None, **changes: Any
) -> dict[str, Any]:
    """What a server posts to /verify and /settle for a good payment; the nonce is new unless it is given."""
    if changes.get("scheme") == "upto":
        changes.setdefault("extra", {"name": "USDC", "version": "2", "facilitatorAddress": facilitator.ADDRESS})
    asked = requirements(version, **changes)
    offer = Offer(version=version, place="test", document={"x402Version": version, "accepts": [asked]})
    [way] = offer.ways()
    word = next(_SERIAL) if nonce is None else nonce
    paid = build(way, offer=offer, payer=by, now=int(time.time()) if now is None else now, nonce=word.to_bytes(32))
    call = {"x402Version": version, "paymentPayload": paid.document, "paymentRequirements": asked}
    # As it comes off a wire: no part is shared.
    parted: dict[str, Any] = json.loads(json.dumps(call))
    return parted
