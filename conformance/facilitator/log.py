"""The log of a facilitator: every call, what came of it, and when."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from conformance.facilitator._document import load
from conformance.facilitator.script import Kind

__all__ = ["Call", "Log", "Outcome"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the ledger said, before a fault altered the answer."""

    good: bool
    """The payment is valid (verify), or this call's settlement succeeded (settle)."""
    reason: str = ""
    transaction: str = ""
    moved: bool = False
    """Money moved because of this very call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call. Times are seconds since the facilitator started, by a clock that never goes back."""

    index: int
    at: float
    """When the request had arrived whole."""
    kind: Kind
    path: str
    body: str = ""
    """As it arrived."""
    payer: str = ""
    """In lower case; empty when the body names none."""
    nonce: str = ""
    version: int | None = None
    fault: str = ""
    """The name of the fault that held; empty for an honest answer."""
    outcome: Outcome | None = None
    """None for /supported, and where the ledger was not asked."""
    status: int | None = None
    """None as long as no answer began, and when none ever did."""
    finished: float | None = None
    """When the last byte was written or the call was given up; None until then."""

    @property
    def payment(self) -> Mapping[str, Any]:
        """The PaymentPayload of the call; empty when there is none."""
        return _member(self.body, "paymentPayload")

    @property
    def requirements(self) -> Mapping[str, Any]:
        """The PaymentRequirements of the call; empty when there are none."""
        return _member(self.body, "paymentRequirements")

    @property
    def digest(self) -> str:
        """SHA-256 of what the payer signed and the signature, whatever white space and order, as hexadecimal.

        That is the member ``payload`` of the PaymentPayload: what a server writes beside it moves no money.
        """
        return hashlib.sha256(json.dumps(self.payment.get("payload"), sort_keys=True).encode()).hexdigest()


class Log:
    """The calls in the order in which they arrived."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._of: dict[str, list[int]] = {}
        """The indexes of the calls about each payer's payments."""

    def begin(self, *, at: float, kind: Kind, path: str, body: str, payer: str, nonce: str, version: int | None) -> int:
        """Enters a call and returns its index."""
        index = len(self._calls)
        self._of.setdefault(payer, []).append(index)
        self._calls.append(
            Call(index=index, at=at, kind=kind, path=path, body=body, payer=payer, nonce=nonce, version=version)
        )
        return index

    def decided(self, index: int, *, fault: str, outcome: Outcome | None) -> None:
        """Notes what was decided about a call."""
        self._calls[index] = replace(self._calls[index], fault=fault, outcome=outcome)

    def answering(self, index: int, status: int) -> None:
        """Notes that an answer begins."""
        self._calls[index] = replace(self._calls[index], status=status)

    def finished(self, index: int, at: float) -> None:
        """Notes that a call is over."""
        self._calls[index] = replace(self._calls[index], finished=at)

    def since(self, index: int, payer: str | None) -> tuple[Call, ...]:
        """The calls from ``index`` on; with ``payer``, only those about a payment of that address."""
        if payer is None:
            return tuple(self._calls[index:])
        return tuple(self._calls[one] for one in self._of.get(payer.lower(), ()) if one >= index)


def _member(body: str, name: str) -> Mapping[str, Any]:
    found = load(body).get(name)
    return found if isinstance(found, dict) else {}
