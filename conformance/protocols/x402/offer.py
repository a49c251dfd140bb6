"""An offer: the PaymentRequired document of an answer, and the ways to pay that it lists."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from conformance.exchange import Response
from conformance.protocols.x402.networks import caip2
from conformance.protocols.x402.reading import Malformed, json_object, text_in_base64

__all__ = [
    "CHALLENGE",
    "PAYMENT",
    "Offer",
    "Way",
    "advertised",
    "from_body",
    "from_header",
    "offer_in",
    "way_of",
]

CHALLENGE = "PAYMENT-REQUIRED"
"""The response field that carries a v2 offer (transports-v2/http.md, Payment Required Signaling)."""

PAYMENT: Mapping[int, str] = {1: "X-PAYMENT", 2: "PAYMENT-SIGNATURE"}
"""The request field that carries a payment, by version (transports-v1/http.md and transports-v2/http.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One entry of ``accepts``, read leniently: a member of the wrong type is an empty string."""

    index: int
    scheme: str
    network: str
    """CAIP-2, also where a v1 offer names the network otherwise."""
    amount: str
    """Atomic units."""
    asset: str
    pay_to: str
    extra: Mapping[str, Any]
    members: Mapping[str, Any]
    """The entry as it stands in the document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A PaymentRequired document (v2) or PaymentRequirementsResponse (v1), as decoded and not yet judged."""

    version: int
    place: str
    """Where it was found: ``PAYMENT-REQUIRED`` or ``body``."""
    document: Mapping[str, Any]
    text: str = ""
    """The JSON that the document was read from."""

    def ways(self) -> Iterator[Way]:
        """The entries of ``accepts`` that are objects."""
        accepts = self.document.get("accepts")
        for index, entry in enumerate(accepts if isinstance(accepts, list) else []):
            if isinstance(entry, dict):
                yield way_of(entry, self.version, index)

    def extensions(self) -> Mapping[str, Any]:
        """The extensions by key; empty when there are none or they are no object."""
        found = self.document.get("extensions")
        return found if isinstance(found, dict) else {}


def way_of(entry: Mapping[str, Any], version: int, index: int = 0) -> Way:
    """One PaymentRequirements object as a way to pay, read leniently."""

    def text(member: str) -> str:
        value = entry.get(member)
        return value if isinstance(value, str) else ""

    extra = entry.get("extra")
    return Way(
        index=index,
        scheme=text("scheme"),
        network=caip2(text("network")) if version == 1 else text("network"),
        amount=text("maxAmountRequired" if version == 1 else "amount"),
        asset=text("asset"),
        pay_to=text("payTo"),
        extra=extra if isinstance(extra, dict) else {},
        members=entry,
    )


def from_header(value: str) -> Offer:
    """The v2 offer in a PAYMENT-REQUIRED value; any base64 alphabet, padded or not. Raises Malformed."""
    text = text_in_base64(value)
    return Offer(version=2, place=CHALLENGE, document=json_object(text), text=text)


def from_body(response: Response) -> Offer:
    """The v1 offer in a body. Raises Malformed."""
    return Offer(
        version=1, place="body", document=json_object(response.body), text=response.body.decode("utf-8", "replace")
    )


def offer_in(response: Response, version: int) -> Offer | None:
    """The offer of that version in an answer; None when there is none. Raises Malformed."""
    if version == 1:
        return from_body(response) if 1 in advertised(response) else None
    values = response.values(CHALLENGE)
    return from_header(values[0]) if values else None


def advertised(response: Response) -> tuple[int, ...]:
    """The versions that an answer speaks: 2 by its header, 1 by its body."""
    found = []
    try:
        body = from_body(response).document
    except Malformed:
        body = {}
    accepts = body.get("accepts")
    entries = accepts if isinstance(accepts, list) else []
    speaks_v1 = any(isinstance(entry, dict) and "maxAmountRequired" in entry for entry in entries)
    # A version 2 document may carry the older member for older clients.
    if body.get("x402Version") == 1 or (speaks_v1 and body.get("x402Version") != 2):
        found.append(1)
    if response.values(CHALLENGE):
        found.append(2)
    return tuple(found)
