"""The table for class x402/settlement."""

from paid_fault import PaidFault

__all__ = ["SETTLEMENT"]

SETTLEMENT: tuple[PaidFault, ...] = ()
