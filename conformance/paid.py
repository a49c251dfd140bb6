"""What was paid with a request, and what followed where nobody but the facilitator and the handler sees it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

__all__ = ["NOTHING", "FacilitatorCall", "Paid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FacilitatorCall:
    """One call that the target made to the scripted facilitator because of a payment."""

    kind: str
    """``verify`` or ``settle``."""
    at: float
    """Seconds since the run began, when the call had arrived whole."""
    finished: float | None
    """Seconds since the run began, when its answer was written or given up; None while it is under way."""
    fault: str
    """The fault that altered the answer; empty for an honest one."""
    status: int | None
    """Of the answer; None when none began."""
    good: bool
    """Whether the ledger said yes: valid, or settled."""
    moved: bool
    """Whether money moved because of this very call."""
    reason: str
    """Why the ledger said no; empty when it said yes or was not asked."""
    transaction: str
    requirements: Mapping[str, Any]
    """The PaymentRequirements that the target sent along."""
    payment: str
    """SHA-256 of the signed part of the PaymentPayload that the target sent along, whatever its white space and order."""
    value: str
    """The amount in that payload, in whatever spelling; empty when it is no string."""

    @property
    def confirmed(self) -> bool:
        """Whether the target was told yes, in plain words, and it was true."""
        return self.good and not self.fault

    def shown(self) -> str:
        """The call for a sentence."""
        how = f" ({self.fault})" if self.fault else "" if self.good else f" ({self.reason or 'no'})"
        return f"{self.kind}{how}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """The payment in a request: how it was made, what the facilitator was asked because of it, what the witness saw."""

    version: int
    """Of x402."""
    way: int
    """The place in ``accepts`` of what was paid for."""
    flow: str
    """When that is settled: authorization, upfront or escrow."""
    scheme: str
    network: str
    """CAIP-2."""
    asset: str
    amount: str
    """Atomic units."""
    payer: str
    recipe: str = ""
    """What was broken in the payment; empty for a good one."""
    twins: tuple[str, ...] = ()
    """In what other bytes it was written."""
    faults: tuple[str, ...] = ()
    """What the facilitator was to do wrong, such as ``settle/no``."""
    calls: tuple[FacilitatorCall, ...] = ()
    """In the order in which they arrived; empty where the facilitator is not ours."""
    witness: tuple[int, int] | None = None
    """What the witness read before and after; None where it was not read, or could not be."""

    def asked(self, kind: str) -> Iterator[FacilitatorCall]:
        """The calls of one kind."""
        return (call for call in self.calls if call.kind == kind)

    @property
    def settled(self) -> bool:
        """Whether the target was told in plain words that the payment is settled, and it was."""
        return any(call.confirmed for call in self.asked("settle"))

    @property
    def charged(self) -> bool:
        """Whether money moved, whatever the target was told."""
        return any(call.moved for call in self.calls)

    @property
    def story(self) -> str:
        """What the facilitator was asked, for a sentence."""
        return ", ".join(call.shown() for call in self.calls) or "no call to the facilitator"

    def to_json(self) -> dict[str, Any]:
        """The payment as a JSON object."""
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        calls = [{f.name: getattr(call, f.name) for f in fields(call)} for call in self.calls]
        return own | {
            "twins": list(self.twins),
            "faults": list(self.faults),
            "calls": calls,
            "witness": list(self.witness) if self.witness else None,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The payment that ``to_json`` wrote."""
        return cls(
            **{
                **document,
                "twins": tuple(document["twins"]),
                "faults": tuple(document["faults"]),
                "calls": tuple(FacilitatorCall(**call) for call in document["calls"]),
                "witness": tuple(document["witness"]) if document["witness"] else None,
            }
        )

    def followed_by(self, *calls: FacilitatorCall) -> Self:
        """The same payment with what the facilitator was asked because of it."""
        return replace(self, calls=calls)


NOTHING = Paid(version=0, way=-1, flow="", scheme="", network="", asset="", amount="", payer="")
"""What was paid with a request that carried no payment, and was watched all the same."""
