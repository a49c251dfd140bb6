"""What a facilitator does instead of the right thing: faults as data, kept by the payer whose payment meets them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

__all__ = ["Basis", "Delivery", "Fault", "Kind", "Lapse", "Script", "Supported"]


class Kind(StrEnum):
    """What a facilitator is asked (x402 v2 core specification, section 7)."""

    VERIFY = "verify"
    SETTLE = "settle"
    SUPPORTED = "supported"


class Basis(StrEnum):
    """What an answer rests on, before it is altered."""

    LEDGER = "ledger"
    """The ledger decides; a good settlement moves money."""
    PENDING = "pending"
    """As the ledger decides, but a good settlement is broadcast and not yet final; the next one reconciles it."""
    NOTHING = "nothing"
    """The ledger is not asked: no payment is valid, none settles."""


class Lapse(StrEnum):
    """What a careless ledger lets pass."""

    REPLAYS = "replays"
    """An authorization that is used up is as good as new; settling it again gives its transaction again."""
    AGE = "age"
    """An authorization that is used up is as good as it was, also once its time is over."""
    TWINS = "twins"
    """A signature in another form than the token contract takes: high s, v of 0 or 1, 64 bytes."""


class Delivery(StrEnum):
    """How an answer reaches the client. All but the first end with the connection."""

    WHOLE = "whole"
    HANG = "hang"
    """No byte, until `hold` is over."""
    STALL = "stall"
    """The head, and no body until `hold` is over."""
    DRIP = "drip"
    """A byte every 50 ms, until `hold` is over."""
    TRUNCATED = "truncated"
    """The head and half of the body that it announces."""
    DROP = "drop"
    """No byte; the connection is closed in order."""
    RESET = "reset"
    """No byte; the connection is reset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to answer one kind of call wrongly."""

    name: str
    on: Kind
    basis: Basis = Basis.LEDGER
    forgives: tuple[Lapse, ...] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    edit: Mapping[str, Any] = field(default_factory=dict)
    """Members of the answer that are added or replaced, as JSON values."""
    without: tuple[str, ...] = ()
    """Members of the answer that are left out."""
    body: str | None = None
    """The body, instead of a JSON document."""
    media_type: str = "application/json"
    delivery: Delivery = Delivery.WHOLE
    delay: float = 0
    """Seconds between the decision and the first byte."""
    hold: float = 120
    """Seconds after which a delivery that does not end by itself is given up."""
    times: int | None = None
    """For how many calls it holds; the next fault of the same kind follows, and honesty after the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Supported:
    """How ``/supported`` answers, to everybody."""

    kinds: tuple[Mapping[str, Any], ...] = ()
    """Kinds that are listed beside the usual ones."""
    faults: tuple[Fault, ...] = ()


class Script:
    """Which faults stand. Addresses are compared in lower case."""

    def __init__(self) -> None:
        self._faults: dict[str, list[Fault]] = {}
        self._supported: list[Fault] = []
        self.kinds: tuple[Mapping[str, Any], ...] = ()

    def write(self, payer: str, faults: Sequence[Fault]) -> None:
        """Puts ``faults`` in the place of all that stood for ``payer``; none at all is honesty."""
        if faults:
            self._faults[payer.lower()] = list(faults)
        else:
            self._faults.pop(payer.lower(), None)

    def write_supported(self, supported: Supported) -> None:
        """Puts ``supported`` in the place of what stood."""
        self.kinds = supported.kinds
        self._supported = list(supported.faults)

    def take(self, kind: Kind, payer: str) -> Fault | None:
        """The fault that holds for this call, which counts as one of its times; None for honesty."""
        faults = self._supported if kind is Kind.SUPPORTED else self._faults.get(payer.lower(), [])
        for place, fault in enumerate(faults):
            if fault.on is kind:
                if fault.times is not None:
                    left = fault.times - 1
                    faults[place : place + 1] = [replace(fault, times=left)] if left > 0 else []
                return fault
        return None
