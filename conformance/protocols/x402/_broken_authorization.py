"""The recipes that break what the payer signs, the signature, or how a number is spelled."""

from typing import Any

from conformance.protocols.x402.payment import Method, Payment
from conformance.protocols.x402.recipe import (
    Recipe,
    at_slot,
    in_signature,
    lookalike,
    set_at,
    slot,
    spelled,
    stranger,
    under_domain,
    value_at,
)
from conformance.protocols.x402.signing import Payer, sign

__all__ = ["RECIPES"]

_EIP3009 = frozenset({Method.EIP3009})
_PERMIT2 = frozenset({Method.PERMIT2})
_WORD = 1 << 256
_FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")  # noqa: RUF001  # they are the point


def _amount(payment: Payment) -> int:
    return int(payment.way.amount)


def _exact_only(payment: Payment) -> bool:
    # Where a payment has to cover the price, more is enough: v1, and exact by Permit2.
    return payment.version == 2 and (payment.way.scheme == "upto" or payment.method is Method.EIP3009)


def _other_chain(payment: Payment) -> int:
    return 1 if payment.typed.domain["chainId"] != 1 else 8453


def _exponent(digits: str) -> str:
    short = digits.rstrip("0") or "0"
    return f"{short}e{len(digits) - len(short)}"


def _underscored(digits: str) -> str:
    return f"{digits[0]}_{digits[1:]}" if len(digits) > 1 else f"0_{digits}"


def _flipped(signature: str) -> str:
    # The last bit of s: it recovers to somebody else, or to nobody.
    return signature[:129] + f"{int(signature[129], 16) ^ 1:x}" + signature[130:]


def _last_second(payment: Payment, _: Payer, now: int) -> str:
    return str(max(int(str(value_at(payment.document, slot(payment, "before")))) - 1, now + 30))


def _by_stranger(payment: Payment, payer: Payer, _: int) -> dict[str, Any]:
    signature = sign(payment.typed, stranger(payer).key)
    return set_at(payment.document, ("payload", "signature"), signature)


_AUTHORIZATION = (
    Recipe(
        name="value-lower",
        ids=("S-BND-04", "S-V1-05"),
        breaks="The payer authorizes one atomic unit less than the price.",
        apply=at_slot("amount", lambda p, _, __: str(_amount(p) - 1)),
        has=lambda p: _amount(p) > 0,
    ),
    Recipe(
        name="value-higher",
        ids=("S-BND-04",),
        breaks="The payer authorizes one atomic unit more than the price.",
        apply=at_slot("amount", lambda p, _, __: str(_amount(p) + 1)),
        has=lambda p: _exact_only(p) and _amount(p) + 1 < _WORD,
    ),
    Recipe(
        name="payee-other",
        ids=("S-BND-05",),
        breaks="The money goes back to the payer and not to the one who is to be paid.",
        apply=at_slot("payee", lambda _, payer, __: payer.address),
    ),
    Recipe(
        name="payer-other",
        ids=("S-BND-06",),
        breaks="Somebody else is to pay than the one who signed.",
        apply=at_slot("payer", lambda _, payer, __: stranger(payer).address),
    ),
    Recipe(
        name="asset-other",
        ids=("S-BND-07", "S-BND-08"),
        breaks="The signature holds for another token.",
        apply=under_domain(lambda p: {"verifyingContract": lookalike(str(p.typed.domain["verifyingContract"]))}),
        methods=_EIP3009,
    ),
    Recipe(
        name="token-other",
        ids=("S-BND-08", "F-VER-23"),
        breaks="The payer permits a transfer of another token.",
        apply=at_slot("asset", lambda p, _, __: lookalike(p.way.asset)),
        methods=_PERMIT2,
    ),
    Recipe(
        name="spender-other",
        ids=("F-VER-23",),
        breaks="The payer permits the transfer to another contract than the scheme's own.",
        apply=at_slot("spender", lambda p, _, __: lookalike(str(value_at(p.document, slot(p, "spender"))))),
        methods=_PERMIT2,
    ),
    Recipe(
        name="facilitator-other",
        ids=("F-VER-24",),
        breaks="The payer names another facilitator than the one offered.",
        apply=at_slot("facilitator", lambda p, _, __: lookalike(str(value_at(p.document, slot(p, "facilitator"))))),
        methods=_PERMIT2,
        has=lambda p: p.way.scheme == "upto",
    ),
    Recipe(
        name="chain-other",
        ids=("S-BND-07",),
        breaks="The signature holds on another chain.",
        apply=under_domain(lambda p: {"chainId": _other_chain(p)}),
    ),
    Recipe(
        name="domain-name-other",
        ids=("S-BND-07",),
        breaks="The signature was made under another name in the EIP-712 domain.",
        apply=under_domain(lambda p: {"name": "USD Coin" if p.typed.domain["name"] != "USD Coin" else "USDC"}),
    ),
    Recipe(
        name="domain-version-other",
        ids=("S-BND-07",),
        breaks="The signature was made under another version in the EIP-712 domain.",
        apply=under_domain(lambda p: {"version": "1" if p.typed.domain["version"] != "1" else "2"}),
        methods=_EIP3009,
    ),
    Recipe(
        name="expired",
        ids=("S-BND-09",),
        breaks="The authorization ended a minute ago.",
        apply=at_slot("before", lambda _, __, now: str(now - 60)),
    ),
    Recipe(
        name="expiring",
        ids=("S-BND-09", "S-HND-10"),
        breaks="The authorization ends in three seconds, too soon to be settled.",
        apply=at_slot("before", lambda _, __, now: str(now + 3)),
    ),
    Recipe(
        name="not-yet-valid",
        ids=("S-BND-10",),
        breaks="The authorization begins in its last second only, and not within the next half minute.",
        apply=at_slot("after", _last_second),
    ),
)

_SIGNATURES = tuple(
    Recipe(name=name, ids=ids, breaks=breaks, apply=apply)
    for name, ids, breaks, apply in (
        ("signer-other", ("S-BND-06",), "Somebody else signed than the one who is to pay.", _by_stranger),
        ("signature-flipped-bit", ("S-BND-06",), "One bit of the signature is flipped.", in_signature(_flipped)),
        # Without its first byte and not its last: 64 bytes that lack v are a good compact signature in one case of two.
        ("signature-64-bytes", ("S-BND-06",), "The signature lacks a byte.", in_signature(lambda s: "0x" + s[4:])),
        ("signature-66-bytes", ("S-BND-06",), "The signature has a byte too many.", in_signature(lambda s: s + "00")),
        ("signature-zeros", ("S-BND-06",), "The signature is 65 zeros.", in_signature(lambda _: "0x" + 65 * "00")),
        ("signature-no-hex", ("S-BND-06",), "The signature is not hexadecimal.", in_signature(lambda s: s[:-2] + "zz")),
        ("signature-0x", ("S-BND-06",), "The signature is 0x and nothing else.", in_signature(lambda _: "0x")),
        ("signature-empty", ("S-BND-06",), "The signature is the empty string.", in_signature(lambda _: "")),
    )
)

_SPELLINGS = (
    *(
        Recipe(name=f"value-{name}", ids=("S-BND-13",), breaks=breaks, apply=spelled("amount", spell))
        for name, breaks, spell in (
            ("number", "The value is a JSON number.", int),
            ("hexadecimal", "The value is written in hexadecimal.", lambda v: hex(int(v))),
            ("exponent", "The value is written with an exponent.", _exponent),
            ("space", "A space stands before the value.", lambda v: " " + v),
            ("plus", "A plus sign stands before the value.", lambda v: "+" + v),
            ("leading-zero", "A zero stands before the value.", lambda v: "0" + v),
            ("fraction", "The value has a decimal point.", lambda v: v + ".0"),
            ("underscore", "An underscore stands within the value.", _underscored),
            ("other-digits", "The value is written in digits outside ASCII.", lambda v: v.translate(_FULL_WIDTH)),
        )
    ),
    Recipe(
        name="value-negative",
        ids=("S-BND-13",),
        breaks="The value is -1, which in 256 bits is the highest of all.",
        apply=spelled("amount", lambda _: "-1", lambda _: _WORD - 1),
    ),
    Recipe(
        name="value-257-bits",
        ids=("S-BND-13",),
        breaks="The value is 2**256, of which 256 bits keep nothing.",
        apply=spelled("amount", lambda _: str(_WORD), lambda _: 0),
    ),
    Recipe(
        name="value-overflow",
        ids=("S-BND-13",),
        breaks="The value is the price and 2**256, of which 256 bits keep the price.",
        apply=spelled("amount", lambda v: str(_WORD + int(v))),
    ),
    Recipe(
        name="nonce-31-bytes",
        ids=("S-BND-12",),
        breaks="The nonce lacks a byte.",
        apply=spelled("nonce", lambda v: v[:-2], lambda v: bytes.fromhex(v[2:-2]) + b"\0"),
        methods=_EIP3009,
    ),
    *(
        Recipe(name=f"nonce-{name}", ids=("S-BND-12",), breaks=breaks, apply=spelled("nonce", spell), methods=_EIP3009)
        for name, breaks, spell in (
            ("33-bytes", "The nonce has a byte too many.", lambda v: v + "00"),
            ("odd", "The nonce has an odd number of digits.", lambda v: v[:-1]),
            ("no-hex", "The nonce is not hexadecimal.", lambda v: v[:-2] + "zz"),
            ("number", "The nonce is a JSON number.", lambda v: int(v, 16)),
        )
    ),
)

RECIPES: tuple[Recipe, ...] = (*_AUTHORIZATION, *_SIGNATURES, *_SPELLINGS)
