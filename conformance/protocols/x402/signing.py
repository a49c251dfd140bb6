"""EIP-712: what a payer on an EVM network signs, the signature, and who made it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any

from coincurve import PrivateKey, PublicKey
from Crypto.Hash import keccak

__all__ = [
    "EXACT_PROXY",
    "ORDER",
    "PERMIT2",
    "UPTO_PROXY",
    "Oddity",
    "Payer",
    "Signature",
    "Typed",
    "checksummed",
    "digest",
    "is_address",
    "oddities",
    "permit_transfer",
    "read",
    "recover",
    "sign",
    "transfer_with_authorization",
]

PERMIT2 = "0x000000000022D473030F116dDEE9F6B43aC78BA3"
"""The Permit2 contract, the same on every chain (scheme_exact_evm.md, Canonical Permit2)."""

EXACT_PROXY = "0x402085c248EeA27D92E8b30b2C58ed07f9E20001"
"""The spender of a Permit2 payment under ``exact`` (scheme_exact_evm.md, x402ExactPermit2Proxy)."""

UPTO_PROXY = "0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002"
"""The spender of a Permit2 payment under ``upto`` (scheme_upto_evm.md, Annex)."""

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""The order of the curve secp256k1 (SEC 2, section 2.4.1)."""

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_SIGNATURE = re.compile(r"0x(?:[0-9a-fA-F]{128}|[0-9a-fA-F]{130})")
_WORD = 1 << 256

_Members = tuple[tuple[str, str], ...]
"""Names and types of a struct's members, in order."""

_DOMAIN: _Members = (
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("verifyingContract", "address"),
)
_TRANSFER: Mapping[str, _Members] = {
    "TransferWithAuthorization": (
        ("from", "address"),
        ("to", "address"),
        ("value", "uint256"),
        ("validAfter", "uint256"),
        ("validBefore", "uint256"),
        ("nonce", "bytes32"),
    )
}
_PERMIT: Mapping[str, _Members] = {
    "PermitWitnessTransferFrom": (
        ("permitted", "TokenPermissions"),
        ("spender", "address"),
        ("nonce", "uint256"),
        ("deadline", "uint256"),
        ("witness", "Witness"),
    ),
    "TokenPermissions": (("token", "address"), ("amount", "uint256")),
}
_EXACT_WITNESS: _Members = (("to", "address"), ("validAfter", "uint256"))
_UPTO_WITNESS: _Members = (("to", "address"), ("facilitator", "address"), ("validAfter", "uint256"))


class Oddity(StrEnum):
    """What a signature has that a strict verifier refuses and a lenient one forgives."""

    HIGH_S = "s in the upper half of the curve's order"
    LOW_V = "v is 0 or 1, and not 27 or 28"
    COMPACT = "64 bytes, compact after EIP-2098"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payer:
    """A key that signs payments; the key appears in no representation."""

    key: bytes = field(repr=False)
    """32 bytes."""
    address: str
    """With its EIP-55 checksum."""

    @classmethod
    def of(cls, key: bytes) -> "Payer":
        """The payer who holds ``key``; raises ValueError when it is no secp256k1 key of 32 bytes."""
        return cls(key=key, address=_address(PublicKey.from_secret(_secret(key))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """Typed data (EIP-712) whose addresses, integers and bytes are already in range."""

    primary: str
    types: Mapping[str, _Members]
    domain: Mapping[str, str | int]
    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """An ECDSA signature on secp256k1."""

    r: int
    s: int
    parity: int
    """0 or 1."""

    def hex(self) -> str:
        """65 bytes as ``0x`` and hexadecimal digits, v being 27 or 28."""
        return "0x" + (self.r.to_bytes(32) + self.s.to_bytes(32) + bytes([27 + self.parity])).hex()

    def mirrored(self) -> "Signature":
        """The other signature of the same message by the same key: s and the order less s."""
        return Signature(r=self.r, s=ORDER - self.s, parity=1 - self.parity)

    def high(self) -> bool:
        """Whether s is in the upper half, which EIP-2 and the tokens that we know refuse."""
        return self.s > ORDER // 2


def is_address(value: object) -> bool:
    """Whether ``value`` is an EVM address: ``0x`` and 40 hexadecimal digits in any case, whatever its checksum."""
    return isinstance(value, str) and bool(_ADDRESS.fullmatch(value))


def transfer_with_authorization(
    *,
    name: str,
    version: str,
    chain_id: int,
    asset: str,
    sender: str,
    to: str,
    value: int,
    valid_after: int,
    valid_before: int,
    nonce: bytes,
) -> Typed:
    """The typed data of an EIP-3009 transfer (scheme_exact_evm.md, section 1).

    ``value`` in atomic units, times in Unix seconds, ``nonce`` of 32 bytes. Raises ValueError for what no contract
    could take: a malformed address, a number outside uint256, another length of the nonce, a name that is no Unicode.
    """
    # A lone surrogate, which JSON lets through, has no bytes that could be hashed.
    name.encode()
    version.encode()
    _addresses({"asset": asset, "from": sender, "to": to})
    _words({"chainId": chain_id, "value": value, "validAfter": valid_after, "validBefore": valid_before})
    if len(nonce) != 32:
        raise ValueError(f"nonce: {len(nonce)} bytes, expected 32")
    return Typed(
        primary="TransferWithAuthorization",
        types=_TRANSFER,
        domain={"name": name, "version": version, "chainId": chain_id, "verifyingContract": asset.lower()},
        message={
            "from": sender.lower(),
            "to": to.lower(),
            "value": value,
            "validAfter": valid_after,
            "validBefore": valid_before,
            "nonce": nonce,
        },
    )


def permit_transfer(
    *,
    chain_id: int,
    token: str,
    amount: int,
    spender: str,
    nonce: int,
    deadline: int,
    to: str,
    valid_after: int,
    facilitator: str | None = None,
) -> Typed:
    """The typed data of a Permit2 transfer with the witness of ``exact``, or of ``upto`` with a ``facilitator``.

    Sources: scheme_exact_evm.md, section 2; scheme_upto_evm.md, section 1 and Annex. Units and errors as above.
    """
    _addresses({"token": token, "spender": spender, "to": to})
    _words({"chainId": chain_id, "amount": amount, "nonce": nonce, "deadline": deadline, "validAfter": valid_after})
    witness: dict[str, Any] = {"to": to.lower(), "validAfter": valid_after}
    if facilitator is not None:
        _addresses({"facilitator": facilitator})
        witness["facilitator"] = facilitator.lower()
    return Typed(
        primary="PermitWitnessTransferFrom",
        types={**_PERMIT, "Witness": _EXACT_WITNESS if facilitator is None else _UPTO_WITNESS},
        domain={"name": "Permit2", "chainId": chain_id, "verifyingContract": PERMIT2},
        message={
            "permitted": {"token": token.lower(), "amount": amount},
            "spender": spender.lower(),
            "nonce": nonce,
            "deadline": deadline,
            "witness": witness,
        },
    )


def digest(typed: Typed) -> bytes:
    """What is signed of typed data: 32 bytes (EIP-712, Specification)."""
    separator = _separator(tuple(typed.domain.items()))
    return _keccak(b"\x19\x01" + separator + _hash_struct(typed.primary, typed.types, typed.message))


def sign(typed: Typed, key: bytes) -> str:
    """The signature by ``key``: 65 bytes as ``0x`` and hexadecimal digits, low s, v being 27 or 28.

    The same again for the same data (RFC 6979). Raises ValueError for what is no key, as ``Payer.of`` does.
    """
    made = PrivateKey(_secret(key)).sign_recoverable(digest(typed), hasher=None)
    return Signature(r=int.from_bytes(made[:32]), s=int.from_bytes(made[32:64]), parity=made[64]).hex()


def read(signature: object) -> Signature | None:
    """The signature in 64 or 65 bytes of ``0x`` and hexadecimal digits, read leniently; None when it is none.

    Taken are any s, v of 0, 1, 27 and 28, and the compact form of EIP-2098; ``oddities`` tells which it was.
    """
    if not isinstance(signature, str) or not _SIGNATURE.fullmatch(signature):
        return None
    raw = bytes.fromhex(signature[2:])
    r, s = int.from_bytes(raw[:32]), int.from_bytes(raw[32:64])
    if len(raw) == 64:
        parity, s = s >> 255, s & ((1 << 255) - 1)
    elif raw[64] in {0, 1, 27, 28}:
        parity = raw[64] % 27
    else:
        return None
    return Signature(r=r, s=s, parity=parity) if 0 < r < ORDER and 0 < s < ORDER else None


def oddities(signature: object) -> frozenset[Oddity]:
    """What a strict verifier would refuse in a signature that ``read`` takes; empty also when it takes none."""
    found = read(signature)
    if found is None:
        return frozenset()
    raw = bytes.fromhex(str(signature)[2:])
    present = {
        Oddity.HIGH_S: found.high(),
        Oddity.LOW_V: len(raw) == 65 and raw[64] < 27,
        Oddity.COMPACT: len(raw) == 64,
    }
    return frozenset(oddity for oddity, holds in present.items() if holds)


def recover(typed: Typed, signature: object) -> str | None:
    """The address whose key signed ``typed``, with its checksum; None when ``signature`` is no signature.

    Lenient as ``read`` is. A signature of something else recovers to some other address, not to None.
    """
    found = read(signature)
    if found is None:
        return None
    raw = found.r.to_bytes(32) + found.s.to_bytes(32) + bytes([found.parity])
    message = digest(typed)
    try:
        return _address(PublicKey.from_signature_and_message(raw, message, hasher=None))
    except ValueError:
        # No point of the curve has this r, or the key would be none.
        return None


def checksummed(address: str) -> str:
    """An address with its checksum (EIP-55); raises ValueError for what is none."""
    _addresses({"address": address})
    digits = address[2:].lower()
    marks = _keccak(digits.encode()).hex()
    return "0x" + "".join(d.upper() if mark >= "8" else d for d, mark in zip(digits, marks, strict=False))


def _keccak(data: bytes) -> bytes:
    # SHA-3 before it was a standard, which differs in the padding: hashlib has the other.
    return keccak.new(digest_bits=256, data=data).digest()


def _secret(key: bytes) -> bytes:
    if len(key) != 32 or not 0 < int.from_bytes(key) < ORDER:
        raise ValueError("not a secp256k1 key: expected 32 bytes between 1 and the order of the curve")
    return key


def _address(key: PublicKey) -> str:
    """The last 20 bytes of the hash of both coordinates (Ethereum Yellow Paper, appendix F)."""
    return checksummed("0x" + _keccak(key.format(compressed=False)[1:])[-20:].hex())


@lru_cache(maxsize=64)
def _separator(domain: tuple[tuple[str, str | int], ...]) -> bytes:
    """The hash of a domain, of the members that it has (EIP-712, Definition of domainSeparator)."""
    values = dict(domain)
    types = {"EIP712Domain": tuple((name, kind) for name, kind in _DOMAIN if name in values)}
    return _hash_struct("EIP712Domain", types, values)


def _hash_struct(name: str, types: Mapping[str, _Members], values: Mapping[str, Any]) -> bytes:
    """EIP-712, Definition of hashStruct."""
    words = (_word(kind, types, values[member]) for member, kind in types[name])
    return _keccak(_type_hash(name, tuple(types.items())) + b"".join(words))


@lru_cache(maxsize=64)
def _type_hash(name: str, types: tuple[tuple[str, _Members], ...]) -> bytes:
    """The hash of a struct's type and of all that it refers to, by name (EIP-712, Definition of encodeType)."""
    structs = dict(types)
    needed = [name]
    for each in needed:
        needed += [kind for _, kind in structs[each] if kind in structs and kind not in needed]
    ordered = [name, *sorted({*needed} - {name})]
    listed = (f"{each}({','.join(f'{kind} {member}' for member, kind in structs[each])})" for each in ordered)
    return _keccak("".join(listed).encode())


def _word(kind: str, types: Mapping[str, _Members], value: Any) -> bytes:
    """A member in 32 bytes (EIP-712, Definition of encodeData); raises ValueError for what no payer signs."""
    if kind in types:
        return _hash_struct(kind, types, value)
    match kind:
        case "string":
            return _keccak(value.encode())
        case "uint256":
            return int.to_bytes(value, 32)
        case "address":
            return bytes(12) + bytes.fromhex(value[2:])
        case "bytes32" if isinstance(value, bytes) and len(value) == 32:
            return value
    raise ValueError(f"{value!r} as {kind}, expected what payers sign: string, uint256, address or bytes32")


def _addresses(named: Mapping[str, str]) -> None:
    for name, value in named.items():
        if not is_address(value):
            raise ValueError(f"{name}: {value!r}, expected an address: 0x and 40 hexadecimal digits")


def _words(named: Mapping[str, int]) -> None:
    for name, value in named.items():
        if not 0 <= value < _WORD:
            raise ValueError(f"{name}: {value}, expected a number of at most 256 bits, not negative")
