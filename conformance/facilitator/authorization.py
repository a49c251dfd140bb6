"""What a payment authorizes, read strictly from a PaymentPayload and the PaymentRequirements it was made for.

Sources: x402-specification-v1.md and -v2.md, sections 5.2 and 9; scheme_exact_evm.md; scheme_upto_evm.md.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeGuard

from conformance.protocols.x402 import caip2, domain_of, signing

__all__ = ["Authorization", "Reason", "Refused", "payer_and_nonce", "read"]

_UINT = re.compile(r"0|[1-9][0-9]{0,77}")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_WORD = re.compile(r"0x[0-9a-fA-F]{64}")
_CHAIN = re.compile(r"eip155:([1-9][0-9]{0,31})")


class Reason(StrEnum):
    """Why a payment is refused (v2 core specification, section 9; scheme_upto_evm.md, section 4).

    The parts in braces are the scheme, and what version 2 added to the name of a wrong value.
    """

    FUNDS = "insufficient_funds"
    NETWORK = "invalid_network"
    PAYLOAD = "invalid_payload"
    REQUIREMENTS = "invalid_payment_requirements"
    SCHEME = "invalid_scheme"
    UNSUPPORTED = "unsupported_scheme"
    VERSION = "invalid_x402_version"
    USED = "invalid_transaction_state"
    AFTER = "invalid_{scheme}_evm_payload_authorization_valid_after"
    BEFORE = "invalid_{scheme}_evm_payload_authorization_valid_before"
    VALUE = "invalid_{scheme}_evm_payload_authorization_value{mismatch}"
    SIGNATURE = "invalid_{scheme}_evm_payload_signature"
    RECIPIENT = "invalid_{scheme}_evm_payload_recipient_mismatch"
    EXCEEDS = "invalid_{scheme}_evm_payload_settlement_exceeds_amount"


class Refused(Exception):
    """A payment is not good; the first argument is the Reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """What the payer signed, beside what the server asks. Addresses and nonces are in lower case."""

    scheme: str
    network: str
    """CAIP-2."""
    asset: str
    price: int
    """What the server asks, in atomic units."""
    asked_of: str
    """Whom the server wants to be paid."""
    payer: str
    recipient: str
    value: int
    after: int
    before: int
    """The last second is excluded, as in the token contracts."""
    contract: str
    """Where the nonce is spent: the token, or Permit2."""
    nonce: str
    message: signing.Typed
    signature: str


def payer_and_nonce(payload: object) -> tuple[str, str]:
    """Who pays and the nonce, as a PaymentPayload writes them; empty where it does not."""
    inner = payload.get("payload") if isinstance(payload, dict) else None
    for member in ("authorization", "permit2Authorization"):
        found = inner.get(member) if isinstance(inner, dict) else None
        if isinstance(found, dict):
            payer, nonce = found.get("from"), found.get("nonce")
            return payer if isinstance(payer, str) else "", nonce if isinstance(nonce, str) else ""
    return "", ""


def read(requirements: object, payload: object, version: object, facilitator: str) -> Authorization:
    """What a payment of ``version`` authorizes. ``facilitator`` is the address that an upto payment must name.

    Nothing is compared yet but scheme, network, asset and version. Raises Refused.
    """
    if type(version) is not int or version not in {1, 2}:
        raise Refused(Reason.VERSION)
    if not isinstance(payload, dict):
        raise Refused(Reason.PAYLOAD)
    if type(payload.get("x402Version")) is not int or payload["x402Version"] != version:
        raise Refused(Reason.VERSION)
    if not isinstance(requirements, dict):
        raise Refused(Reason.REQUIREMENTS)
    # What else the payment repeats of the offer is no business of the reference facilitators either. One that knew
    # better would hide a server that does not look.
    chosen = payload if version == 1 else payload.get("accepted")
    if not isinstance(chosen, dict):
        raise Refused(Reason.PAYLOAD)
    scheme, network = requirements.get("scheme"), requirements.get("network")
    if not isinstance(scheme, str) or scheme not in {"exact", "upto"}:
        raise Refused(Reason.UNSUPPORTED)
    if chosen.get("scheme") != scheme:
        raise Refused(Reason.SCHEME)
    if not isinstance(network, str) or chosen.get("network") != network:
        raise Refused(Reason.NETWORK)
    network = caip2(network) if version == 1 else network
    chain = _CHAIN.fullmatch(network)
    if not chain:
        raise Refused(Reason.NETWORK)
    asked = _Asked(
        scheme=scheme,
        network=network,
        chain=int(chain[1]),
        price=_uint(requirements.get("maxAmountRequired" if version == 1 else "amount"), Reason.REQUIREMENTS),
        asset=_address(requirements.get("asset"), Reason.REQUIREMENTS),
        pay_to=_address(requirements.get("payTo"), Reason.REQUIREMENTS),
        extra=_object({} if requirements.get("extra") is None else requirements["extra"], Reason.REQUIREMENTS),
    )
    inner = _object(payload.get("payload"), Reason.PAYLOAD)
    method = asked.extra.get("assetTransferMethod", "permit2" if scheme == "upto" else "eip3009")
    if method == "eip3009" and scheme == "exact":
        return _eip3009(asked, inner)
    if method == "permit2":
        return _permit2(asked, inner, facilitator)
    raise Refused(Reason.UNSUPPORTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    scheme: str
    network: str
    chain: int
    price: int
    asset: str
    pay_to: str
    extra: Mapping[str, Any]


def _eip3009(asked: _Asked, inner: Mapping[str, Any]) -> Authorization:
    signed = _object(inner.get("authorization"), Reason.PAYLOAD)
    known = domain_of(asked.network, asked.asset)
    name = asked.extra.get("name", known and known.name)
    version = asked.extra.get("version", known and known.version)
    if not _is_text(name) or not _is_text(version):
        raise Refused(Reason.REQUIREMENTS)
    payer, recipient = _address(signed.get("from")), _address(signed.get("to"))
    value, after, before = (_uint(signed.get(m)) for m in ("value", "validAfter", "validBefore"))
    nonce = _matching(_WORD, signed.get("nonce")).lower()
    return Authorization(
        scheme=asked.scheme,
        network=asked.network,
        asset=asked.asset,
        price=asked.price,
        asked_of=asked.pay_to,
        payer=payer,
        recipient=recipient,
        value=value,
        after=after,
        before=before,
        contract=asked.asset,
        nonce=nonce,
        message=signing.transfer_with_authorization(
            name=name,
            version=version,
            chain_id=asked.chain,
            asset=asked.asset,
            sender=payer,
            to=recipient,
            value=value,
            valid_after=after,
            valid_before=before,
            nonce=bytes.fromhex(nonce[2:]),
        ),
        signature=_signature(inner),
    )


def _permit2(asked: _Asked, inner: Mapping[str, Any], facilitator: str) -> Authorization:
    signed = _object(inner.get("permit2Authorization"), Reason.PAYLOAD)
    permitted, witness = (_object(signed.get(m), Reason.PAYLOAD) for m in ("permitted", "witness"))
    upto = asked.scheme == "upto"
    if _address(permitted.get("token")) != asked.asset:
        raise Refused(Reason.PAYLOAD)
    spender = (signing.UPTO_PROXY if upto else signing.EXACT_PROXY).lower()
    if _address(signed.get("spender")) != spender:
        raise Refused(Reason.PAYLOAD)
    if upto and _address(witness.get("facilitator")) != facilitator.lower():
        raise Refused(Reason.PAYLOAD)
    payer, recipient = _address(signed.get("from")), _address(witness.get("to"))
    value, after, before = (
        _uint(permitted.get("amount")),
        _uint(witness.get("validAfter")),
        _uint(signed.get("deadline")),
    )
    number = signed.get("nonce")
    # The example of scheme_upto_evm.md writes the nonce in hexadecimal.
    nonce = int(number, 16) if isinstance(number, str) and _WORD.fullmatch(number) else _uint(number)
    return Authorization(
        scheme=asked.scheme,
        network=asked.network,
        asset=asked.asset,
        price=asked.price,
        asked_of=asked.pay_to,
        payer=payer,
        recipient=recipient,
        value=value,
        after=after,
        before=before + 1,  # Permit2 takes a signature in the very second of its deadline.
        contract=signing.PERMIT2.lower(),
        nonce=str(nonce),
        message=signing.permit_transfer(
            chain_id=asked.chain,
            token=asked.asset,
            amount=value,
            spender=spender,
            nonce=nonce,
            deadline=before,
            to=recipient,
            valid_after=after,
            facilitator=facilitator if upto else None,
        ),
        signature=_signature(inner),
    )


def _matching(pattern: re.Pattern[str], value: object, reason: Reason = Reason.PAYLOAD) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise Refused(reason)
    return value


def _is_text(value: object) -> TypeGuard[str]:
    # JSON can write half a surrogate pair, which no hash is defined for.
    return isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value)


def _address(value: object, reason: Reason = Reason.PAYLOAD) -> str:
    return _matching(_ADDRESS, value, reason).lower()


def _uint(value: object, reason: Reason = Reason.PAYLOAD) -> int:
    number = int(_matching(_UINT, value, reason))
    if number >= 1 << 256:
        raise Refused(reason)
    return number


def _object(value: object, reason: Reason) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Refused(reason)
    return value


def _signature(inner: Mapping[str, Any]) -> str:
    found = inner.get("signature")
    if not isinstance(found, str):
        raise Refused(Reason.PAYLOAD)
    return found
