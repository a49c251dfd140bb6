"""A payment: the PaymentPayload that a client sends for one way of an offer."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from conformance.protocols.x402.identifier import fresh, identified, requires
from conformance.protocols.x402.networks import Domain, domain_of
from conformance.protocols.x402.offer import Offer, Way
from conformance.protocols.x402.signing import (
    EXACT_PROXY,
    UPTO_PROXY,
    Payer,
    Typed,
    is_address,
    permit_transfer,
    sign,
    transfer_with_authorization,
)

__all__ = ["Flow", "Method", "Payment", "Unsignable", "build", "chain_id", "envelope", "flow", "method", "typed"]

_CHAIN = re.compile(r"eip155:([0-9]{1,32})")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,77}")
_NONCE = re.compile(r"0x[0-9a-fA-F]{64}")

# Clocks differ: what we sign holds from ten minutes ago on.
_EARLIER = 600
# An offer may ask for days; a payment that a check lost is not left valid for longer than an hour.
_LONGEST = 3600
_USUAL = 60


class Unsignable(ValueError):
    """We have no signer for this way to pay; the message says for which and why."""


class Flow(StrEnum):
    """When a payment is settled, relative to the resource (core specification of v2, section 6.1)."""

    AUTHORIZATION = "authorization"
    """Verified, then the resource is made, then settled."""
    UPFRONT = "upfront"
    """Settled, then the resource is made."""
    ESCROW = "escrow"
    """Money is set aside first and settled after the resource."""


class Method(StrEnum):
    """How the money moves on an EVM network: the ``assetTransferMethod`` of an offer."""

    EIP3009 = "eip3009"
    PERMIT2 = "permit2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """One payment, good until a recipe breaks it."""

    version: int
    """Of x402: 1 or 2."""
    way: Way
    """What it pays for; ``way.members`` is the entry of ``accepts`` as it stands in the offer."""
    method: Method
    document: Mapping[str, Any]
    """The PaymentPayload (core specifications, section 5.2)."""
    typed: Typed
    """What was signed."""
    payer: str
    """The address that pays, with its checksum."""

    @property
    def ends(self) -> int:
        """When it ends, in Unix seconds."""
        payload = self.document["payload"]
        return int(payload.get("authorization", {}).get("validBefore") or payload["permit2Authorization"]["deadline"])


def flow(way: Way) -> Flow:
    """The payment flow of a way: ``extra.paymentFlow``, or the default of its scheme and network.

    Raises Unsignable for a flow that we do not know: such an offer is not to be paid.
    """
    stated = way.extra.get("paymentFlow")
    if stated is None:
        return _default_flow(way.scheme, way.network.partition(":")[0])
    if isinstance(stated, str) and stated in set(Flow):
        return Flow(stated)
    raise Unsignable(f"paymentFlow is {stated!r}, expected one of {', '.join(Flow)}")


def method(way: Way) -> Method:
    """How a way moves the money; raises Unsignable for every scheme, network and method without a signer here."""
    chain_id(way)
    usual = {"exact": Method.EIP3009, "upto": Method.PERMIT2}.get(way.scheme)
    stated = way.extra.get("assetTransferMethod", usual)
    if way.scheme == "exact" and isinstance(stated, str) and stated in set(Method):
        return Method(stated)
    if way.scheme == "upto" and stated == Method.PERMIT2:
        return Method.PERMIT2
    by = "" if stated == usual else f" by {stated!r}"
    raise Unsignable(f"no signer for {way.scheme or 'a nameless scheme'}{by} on {way.network}")


def chain_id(way: Way) -> int:
    """The number of the EVM chain; raises Unsignable for any other network."""
    found = _CHAIN.fullmatch(way.network)
    if found is None:
        raise Unsignable(f"no signer for {way.scheme or 'a nameless scheme'} on {way.network or 'a nameless network'}")
    return int(found[1])


def build(way: Way, *, offer: Offer, payer: Payer, now: int, nonce: bytes) -> Payment:
    """A good payment for ``way`` of ``offer``; the same arguments give the same payment.

    ``now`` in Unix seconds; ``nonce`` of 32 bytes, fresh for every payment. Addresses, resource and extensions are
    those of the offer, letter by letter. Raises Unsignable, and ValueError for a nonce of another length.
    """
    if len(nonce) != 32:
        raise ValueError(f"nonce: {len(nonce)} bytes, expected 32")
    flow(way)
    how = method(way)
    write = {Method.EIP3009: _authorization, Method.PERMIT2: _permit}[how]
    payload: dict[str, Any] = write(way, sender=payer.address, now=now, nonce=nonce)
    try:
        signed = typed(payload, way)
    except Unsignable:
        raise
    except ValueError as error:
        raise Unsignable(f"accepts[{way.index}] cannot be signed: {error}") from error
    payload = {"signature": sign(signed, payer.key), **payload}
    return Payment(
        version=offer.version,
        way=way,
        method=how,
        document=envelope(way, payload, offer=offer, version=offer.version),
        typed=signed,
        payer=payer.address,
    )


def envelope(way: Way, payload: Mapping[str, Any], *, offer: Offer, version: int) -> dict[str, Any]:
    """The PaymentPayload of ``version`` around a scheme's payload (core specifications, section 5.2).

    Where the offer asks for an identifier of each payment, it carries one of its own.
    """
    if version == 1:
        return {"x402Version": 1, "scheme": way.scheme, "network": way.members.get("network"), "payload": payload}
    document: dict[str, Any] = {"x402Version": 2}
    if isinstance(resource := offer.document.get("resource"), dict):
        document["resource"] = resource
    document |= {"accepted": way.members, "payload": payload}
    if offer.extensions():
        document["extensions"] = offer.extensions()
    return identified(document, fresh(payload)) if requires(offer) else document


def typed(payload: Mapping[str, Any], way: Way) -> Typed:
    """What the payer of a scheme's ``payload`` has to have signed under the domain that ``way`` names.

    Strict: numbers are decimal strings without sign, space or leading zero. Raises Unsignable when we have no signer
    for ``way``, and ValueError with the member and what it holds when the payload cannot be read.
    """
    if method(way) is Method.EIP3009:
        return _typed_authorization(_member(payload, "authorization"), way)
    return _typed_permit(_member(payload, "permit2Authorization"), way)


def _default_flow(scheme: str, namespace: str) -> Flow:
    match scheme, namespace:
        case "exact", "lnbtc":
            return Flow.UPFRONT
        case ("auth-capture", _) | ("upto", "solana"):
            return Flow.ESCROW
        case _:
            return Flow.AUTHORIZATION


def _until(way: Way, now: int) -> int:
    seconds = way.members.get("maxTimeoutSeconds")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds >= 1:
        return now + _USUAL
    return now + int(min(seconds, _LONGEST))


def _authorization(way: Way, *, sender: str, now: int, nonce: bytes) -> dict[str, Any]:
    return {
        "authorization": {
            "from": sender,
            "to": way.pay_to,
            "value": way.amount,
            "validAfter": str(now - _EARLIER),
            "validBefore": str(_until(way, now)),
            "nonce": "0x" + nonce.hex(),
        }
    }


def _permit(way: Way, *, sender: str, now: int, nonce: bytes) -> dict[str, Any]:
    witness = {"to": way.pay_to, "validAfter": str(now - _EARLIER)}
    if way.scheme == "upto":
        witness = {"to": way.pay_to, "facilitator": _facilitator(way), "validAfter": str(now - _EARLIER)}
    return {
        "permit2Authorization": {
            "permitted": {"token": way.asset, "amount": way.amount},
            "from": sender,
            "spender": UPTO_PROXY if way.scheme == "upto" else EXACT_PROXY,
            "nonce": str(int.from_bytes(nonce)),
            "deadline": str(_until(way, now)),
            "witness": witness,
        }
    }


def _facilitator(way: Way) -> str:
    found = way.extra.get("facilitatorAddress")
    if not isinstance(found, str) or not is_address(found):
        raise Unsignable(f"upto on {way.network}: extra.facilitatorAddress is {found!r}, expected an address")
    return found


def _domain(way: Way) -> Domain:
    name, version = way.extra.get("name"), way.extra.get("version")
    if isinstance(name, str) and isinstance(version, str):
        return Domain(name=name, version=version)
    known = domain_of(way.network, way.asset)
    if known is None:
        raise Unsignable(
            f"exact by eip3009 on {way.network}: extra.name is {name!r} and extra.version {version!r}, expected the "
            f"EIP-712 domain of {way.asset or 'the asset'} as strings"
        )
    return known


def _typed_authorization(members: Mapping[str, Any], way: Way) -> Typed:
    domain = _domain(way)
    nonce = members.get("nonce")
    if not isinstance(nonce, str) or not _NONCE.fullmatch(nonce):
        raise ValueError(f"nonce: {nonce!r}, expected 0x and 64 hexadecimal digits")
    return transfer_with_authorization(
        name=domain.name,
        version=domain.version,
        chain_id=chain_id(way),
        asset=way.asset,
        sender=_text(members, "from"),
        to=_text(members, "to"),
        value=_number(members, "value"),
        valid_after=_number(members, "validAfter"),
        valid_before=_number(members, "validBefore"),
        nonce=bytes.fromhex(nonce[2:]),
    )


def _typed_permit(members: Mapping[str, Any], way: Way) -> Typed:
    permitted, witness = _member(members, "permitted"), _member(members, "witness")
    # Permit2 holds the payer in no member of what is signed: whoever signed it pays.
    if not is_address(members.get("from")):
        raise ValueError(f"from: {members.get('from')!r}, expected an address: 0x and 40 hexadecimal digits")
    return permit_transfer(
        chain_id=chain_id(way),
        token=_text(permitted, "token"),
        amount=_number(permitted, "amount"),
        spender=_text(members, "spender"),
        nonce=_number(members, "nonce"),
        deadline=_number(members, "deadline"),
        to=_text(witness, "to"),
        valid_after=_number(witness, "validAfter"),
        facilitator=_text(witness, "facilitator") if way.scheme == "upto" else None,
    )


def _member(members: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = members.get(name)
    if not isinstance(found, dict):
        raise ValueError(f"{name}: {found!r}, expected an object")
    return found


def _text(members: Mapping[str, Any], name: str) -> str:
    found = members.get(name)
    if not isinstance(found, str):
        raise ValueError(f"{name}: {found!r}, expected a string")
    return found


def _number(members: Mapping[str, Any], name: str) -> int:
    found = members.get(name)
    if not isinstance(found, str) or not _NUMBER.fullmatch(found):
        raise ValueError(f"{name}: {found!r}, expected a decimal number as a string")
    return int(found)
