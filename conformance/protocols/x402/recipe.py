"""A recipe: one change that makes a good payment bad, and the tools to write one down."""

import copy
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from conformance.protocols.x402.offer import way_of
from conformance.protocols.x402.payment import Method, Payment, typed
from conformance.protocols.x402.signing import Payer, Typed, sign

__all__ = [
    "ABSENT",
    "ANY_METHOD",
    "ANY_VERSION",
    "Apply",
    "Path",
    "Recipe",
    "at_slot",
    "in_offer_and_authorization",
    "in_signature",
    "lookalike",
    "set_at",
    "slot",
    "spelled",
    "stranger",
    "under_domain",
    "value_at",
    "written",
]

Path = tuple[str, ...]
Document = dict[str, Any]
Apply = Callable[[Payment, Payer, int], Document]
"""A payment, who pays, and the time in Unix seconds, to the broken document."""

ABSENT = object()
"""In place of a value: the member goes away."""

ANY_VERSION = frozenset({1, 2})
ANY_METHOD = frozenset(Method)

_SLOTS: Mapping[Method, Mapping[str, Path]] = {
    Method.EIP3009: {
        "payer": ("payload", "authorization", "from"),
        "payee": ("payload", "authorization", "to"),
        "amount": ("payload", "authorization", "value"),
        "after": ("payload", "authorization", "validAfter"),
        "before": ("payload", "authorization", "validBefore"),
        "nonce": ("payload", "authorization", "nonce"),
    },
    Method.PERMIT2: {
        "payer": ("payload", "permit2Authorization", "from"),
        "payee": ("payload", "permit2Authorization", "witness", "to"),
        "amount": ("payload", "permit2Authorization", "permitted", "amount"),
        "after": ("payload", "permit2Authorization", "witness", "validAfter"),
        "before": ("payload", "permit2Authorization", "deadline"),
        "nonce": ("payload", "permit2Authorization", "nonce"),
        "asset": ("payload", "permit2Authorization", "permitted", "token"),
        "spender": ("payload", "permit2Authorization", "spender"),
        "facilitator": ("payload", "permit2Authorization", "witness", "facilitator"),
    },
}
_SIGNATURE: Path = ("payload", "signature")


def _always(_: Payment) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One thing to break in a good payment, which is then signed again unless the signature is under test."""

    name: str
    ids: tuple[str, ...]
    """What the requirements that ask for it are also known as: their ``aka`` in the catalogue."""
    breaks: str
    """What is wrong with the result, as a sentence."""
    apply: Apply
    """The broken document; the payment itself stays as it is."""
    versions: frozenset[int] = ANY_VERSION
    methods: frozenset[Method] = ANY_METHOD
    has: Callable[[Payment], bool] = _always
    """Whether the payment has what is to be broken."""

    def fits(self, payment: Payment) -> bool:
        """Whether ``apply`` breaks this payment; where it is False, ``apply`` may raise."""
        return payment.version in self.versions and payment.method in self.methods and self.has(payment)


def slot(payment: Payment, name: str) -> Path:
    """Where a payment of its method keeps ``name``: payer, payee, amount, after, before, nonce and so on."""
    return _SLOTS[payment.method][name]


def value_at(document: Mapping[str, Any], path: Path) -> Any:
    """The value at ``path``; ABSENT when there is none."""
    found: Any = document
    for part in path:
        if not isinstance(found, dict) or part not in found:
            return ABSENT
        found = found[part]
    return found


def set_at(document: Mapping[str, Any], path: Path, value: object) -> Document:
    """A copy of ``document`` with ``value`` at ``path``, objects in between made as needed."""
    changed: Document = copy.deepcopy(dict(document))
    inner = changed
    for part in path[:-1]:
        inner = inner.setdefault(part, {})
    if value is ABSENT:
        inner.pop(path[-1], None)
    else:
        inner[path[-1]] = value
    return changed


def lookalike(address: str) -> str:
    """An address that differs from ``address`` in its last digit alone."""
    return address[:-1] + f"{int(address[-1], 16) ^ 1:x}"


def stranger(payer: Payer) -> Payer:
    """Another payer, always the same one."""
    return Payer.of(hashlib.sha256(payer.key).digest())


def written(path: Path, value: Callable[[Payment], object]) -> Apply:
    """A value in a place that no signature covers."""

    def apply(payment: Payment, _: Payer, __: int) -> Document:
        return set_at(payment.document, path, value(payment))

    return apply


def at_slot(name: str, value: Callable[[Payment, Payer, int], str]) -> Apply:
    """Another value in what the payer signs, signed by the payer."""

    def apply(payment: Payment, payer: Payer, now: int) -> Document:
        changed = set_at(payment.document, slot(payment, name), value(payment, payer, now))
        return _signed(changed, typed(changed["payload"], payment.way), payer)

    return apply


def spelled(name: str, value: Callable[[str], object], reads: Callable[[str], int | bytes] | None = None) -> Apply:
    """The text at a slot in another spelling.

    The signature is that of the good payment, for readers who take the spelling, or over what ``reads`` makes of it.
    """

    def apply(payment: Payment, payer: Payer, _: int) -> Document:
        path = slot(payment, name)
        old: str = value_at(payment.document, path)
        changed = set_at(payment.document, path, value(old))
        return changed if reads is None else _signed(changed, _reading(payment, name, reads(old)), payer)

    return apply


def under_domain(change: Callable[[Payment], Mapping[str, str | int]]) -> Apply:
    """The same authorization, signed under an EIP-712 domain that differs in one member."""

    def apply(payment: Payment, payer: Payer, _: int) -> Document:
        other = replace(payment.typed, domain={**payment.typed.domain, **change(payment)})
        return _signed(payment.document, other, payer)

    return apply


def in_signature(change: Callable[[str], object]) -> Apply:
    """Another text in place of the signature."""

    def apply(payment: Payment, _: Payer, __: int) -> Document:
        return set_at(payment.document, _SIGNATURE, change(value_at(payment.document, _SIGNATURE)))

    return apply


def in_offer_and_authorization(
    member: str, name: str | None, value: Callable[[Payment, Payer], str], *, version: int = 2
) -> Apply:
    """An offer of the payer's own making in ``accepted``, and an authorization that honours just that."""

    def apply(payment: Payment, payer: Payer, _: int) -> Document:
        own = value(payment, payer)
        changed = set_at(payment.document, ("accepted", member), own)
        if name in _SLOTS[payment.method]:
            changed = set_at(changed, slot(payment, str(name)), own)
        changed["x402Version"] = version
        way = way_of(changed["accepted"], 2)
        # The token's name and version stay what they were, also where the offer left them to our table of tokens.
        way = replace(way, extra={**way.extra, **payment.typed.domain})
        return _signed(changed, typed(changed["payload"], way), payer)

    return apply


def _signed(document: Mapping[str, Any], message: Typed, payer: Payer) -> Document:
    return set_at(document, _SIGNATURE, sign(message, payer.key))


def _reading(payment: Payment, name: str, value: int | bytes) -> Typed:
    # The members of an authorization are named alike where they are signed; only Permit2 nests them.
    path = slot(payment, name)[2:]
    return replace(payment.typed, message=set_at(payment.typed.message, path, value))
