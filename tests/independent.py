"""Somebody else's EIP-712 (eth_account), which ours is held against."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from eth_utils.crypto import keccak

from conformance.protocols.x402.signing import Typed

__all__ = ["address", "digest", "sign", "signer"]


@contextmanager
def _limit_kept() -> Iterator[None]:
    limit = sys.getrecursionlimit()
    yield
    sys.setrecursionlimit(limit)


# What lies below eth_account raises the limit of the whole process to a depth that kills it.
with _limit_kept():
    from eth_account import Account
    from eth_account.messages import encode_typed_data

_DOMAIN = {"name": "string", "version": "string", "chainId": "uint256", "verifyingContract": "address"}


def _signable(typed: Typed) -> Any:
    listed = {"EIP712Domain": [(name, _DOMAIN[name]) for name in _DOMAIN if name in typed.domain], **typed.types}
    document = {
        "types": {name: [{"name": n, "type": t} for n, t in members] for name, members in listed.items()},
        "primaryType": typed.primary,
        "domain": dict(typed.domain),
        "message": dict(typed.message),
    }
    return encode_typed_data(full_message=document)


def digest(typed: Typed) -> bytes:
    """What is signed."""
    made = _signable(typed)
    return keccak(b"\x19" + made.version + made.header + made.body)


def sign(typed: Typed, key: bytes) -> str:
    """The signature, in hexadecimal digits."""
    return f"0x{Account.sign_message(_signable(typed), key).signature.hex()}"


def signer(typed: Typed, signature: str) -> str:
    """The address of who signed."""
    return Account.recover_message(_signable(typed), signature=signature)


def address(key: bytes) -> str:
    """The address of who holds a key."""
    return Account.from_key(key).address
