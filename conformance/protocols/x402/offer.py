"""An offer: the PaymentRequired document of an answer, and the ways to pay that it lists."""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from conformance.exchange import Response
from conformance.protocols.x402.networks import caip2

__all__ = [
    "CHALLENGE",
    "PAYMENT",
    "Malformed",
    "Offer",
    "Way",
    "advertised",
    "from_body",
    "from_header",
    "standard_base64",
]

CHALLENGE = "PAYMENT-REQUIRED"
"""The response field that carries a v2 offer (transports-v2/http.md, Payment Required Signaling)."""

PAYMENT: Mapping[int, str] = {1: "X-PAYMENT", 2: "PAYMENT-SIGNATURE"}
"""The request field that carries a payment, by version (transports-v1/http.md and transports-v2/http.md)."""

_STANDARD = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


class Malformed(ValueError):
    """There is something where an offer belongs, and it cannot be read as one; the message says why."""


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

    def ways(self) -> Iterator[Way]:
        """The entries of ``accepts`` that are objects."""
        accepts = self.document.get("accepts")
        for index, entry in enumerate(accepts if isinstance(accepts, list) else []):
            if isinstance(entry, dict):
                yield _way(index, entry, self.version)

    def extensions(self) -> Mapping[str, Any]:
        """The extensions by key; empty when there are none or they are no object."""
        found = self.document.get("extensions")
        return found if isinstance(found, dict) else {}


def _way(index: int, entry: Mapping[str, Any], version: int) -> Way:
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


def standard_base64(value: str) -> bool:
    """Whether ``value`` is base64 in the standard alphabet with padding (RFC 4648 section 4)."""
    return bool(_STANDARD.fullmatch(value))


def from_header(value: str) -> Offer:
    """The v2 offer in a PAYMENT-REQUIRED value; any base64 alphabet, padded or not. Raises Malformed."""
    try:
        plain = value.strip().replace("-", "+").replace("_", "/").rstrip("=")
        text = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True).decode()
    except (binascii.Error, ValueError) as error:
        msg = f"not base64 of UTF-8 text: {error}"
        raise Malformed(msg) from error
    return Offer(version=2, place=CHALLENGE, document=_object(text))


def from_body(response: Response) -> Offer:
    """The v1 offer in a body. Raises Malformed."""
    return Offer(version=1, place="body", document=_object(response.body))


def advertised(response: Response) -> tuple[int, ...]:
    """The versions that an answer speaks: 2 by its header, 1 by its body."""
    found = []
    try:
        body = from_body(response).document
    except Malformed:
        body = {}
    accepts = body.get("accepts")
    entries = accepts if isinstance(accepts, list) else []
    if body.get("x402Version") == 1 or any(isinstance(e, dict) and "maxAmountRequired" in e for e in entries):
        found.append(1)
    if response.values(CHALLENGE):
        found.append(2)
    return tuple(found)


def _object(text: str | bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        msg = f"not JSON: {error}"
        raise Malformed(msg) from error
    if not isinstance(document, dict):
        msg = f"JSON, and not an object: {json.dumps(document)[:60]}"
        raise Malformed(msg)
    return document
