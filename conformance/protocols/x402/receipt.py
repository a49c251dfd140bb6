"""A receipt: the SettlementResponse that a server sends with a paid answer, or with a failed settlement."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conformance.exchange import Response
from conformance.protocols.x402.networks import caip2
from conformance.protocols.x402.reading import object_in_base64

__all__ = ["RECEIPT", "Receipt", "from_value", "receipts"]

RECEIPT: Mapping[int, str] = {1: "X-PAYMENT-RESPONSE", 2: "PAYMENT-RESPONSE"}
"""The response field that carries a receipt, by version (transports-v1/http.md and transports-v2/http.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A SettlementResponse, read leniently: a member of the wrong type is an empty string."""

    version: int
    success: bool | None
    """None when it is absent or no boolean."""
    transaction: str
    network: str
    """CAIP-2, also where a v1 receipt names the network otherwise."""
    payer: str
    amount: str
    """Atomic units."""
    error_reason: str
    document: Mapping[str, Any]
    """As decoded and not yet judged."""


def from_value(value: str, version: int) -> Receipt:
    """The receipt in a field value of that version; any base64 alphabet, padded or not. Raises Malformed."""
    document = object_in_base64(value)

    def text(member: str) -> str:
        found = document.get(member)
        return found if isinstance(found, str) else ""

    success = document.get("success")
    return Receipt(
        version=version,
        success=success if isinstance(success, bool) else None,
        transaction=text("transaction"),
        network=caip2(text("network")) if version == 1 else text("network"),
        payer=text("payer"),
        amount=text("amount"),
        error_reason=text("errorReason"),
        document=document,
    )


def receipts(response: Response) -> tuple[Receipt, ...]:
    """Every receipt of an answer, one per field line, version 2 first. Raises Malformed."""
    return tuple(from_value(value, version) for version in (2, 1) for value in response.values(RECEIPT[version]))
