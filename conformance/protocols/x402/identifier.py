"""The extension payment-identifier: what an offer says of it, and a payment that carries an identifier.

Source: specs/extensions/payment_identifier.md of x402.
"""

import copy
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from conformance.exchange import Response
from conformance.protocols.x402.offer import Offer, offer_in
from conformance.protocols.x402.reading import Malformed

__all__ = ["IDENTIFIER", "advertises", "fresh", "identified", "identifies", "info", "own_shape", "requires"]

IDENTIFIER = "payment-identifier"
"""The key of the extension."""


def advertises(offer: Offer) -> bool:
    """Whether the offer has the extension, in whatever shape."""
    return IDENTIFIER in offer.extensions()


def info(offer: Offer) -> object:
    """The ``info`` of the extension as it stands in the offer; None where there is none."""
    extension = offer.extensions().get(IDENTIFIER)
    return extension.get("info") if isinstance(extension, dict) else None


def requires(offer: Offer) -> bool:
    """Whether each payment has to carry an identifier; what is no boolean says nothing."""
    found = info(offer)
    return isinstance(found, dict) and found.get("required") is True


def identifies(unpaid: Response, version: int) -> bool:
    """Whether each payment for what ``unpaid`` offers in ``version`` carries an identifier, and may be answered twice."""
    try:
        offer = offer_in(unpaid, version)
    except Malformed:
        return False
    return offer is not None and requires(offer)


_USUAL = re.compile(r"\^\[(?:a-z|A-Z|0-9|_|-|\\w|\\d|\\-)+\](?:\+|\*|\{16,128\})\$")
"""The pattern of the specification's alphabet, as it is written."""


def own_shape(offer: Offer) -> bool:
    """Whether the advertised schema leaves out identifiers that the specification allows, as far as we can read it."""
    extension = offer.extensions().get(IDENTIFIER)
    found: Any = extension.get("schema") if isinstance(extension, dict) else None
    for key in ("properties", "id"):
        found = found.get(key) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        return False
    least, most, pattern = found.get("minLength", 16), found.get("maxLength", 128), found.get("pattern", "^[a-z]+$")
    told = isinstance(least, int) and isinstance(most, int) and isinstance(pattern, str)
    return not told or least > 16 or most < 128 or not _USUAL.fullmatch(pattern) or bool({"enum", "const"} & set(found))


def fresh(payload: Mapping[str, Any]) -> str:
    """An identifier for a scheme's ``payload`` and no other."""
    return "pay_" + hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()[:32]


def identified(document: Mapping[str, Any], identifier: object) -> dict[str, Any]:
    """A copy of a PaymentPayload that carries ``identifier``, beside what it repeats of the offer; None takes it away."""
    changed: dict[str, Any] = copy.deepcopy(dict(document))
    inner: dict[str, Any] = changed
    for key in ("extensions", IDENTIFIER, "info"):
        if not isinstance(inner.get(key), dict):
            inner[key] = {}
        inner = inner[key]
    if identifier is None:
        inner.pop("id", None)
    else:
        inner["id"] = identifier
    return changed
