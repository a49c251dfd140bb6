"""The table for class x402/settlement."""

from paid_fault import PaidLegal

__all__ = ["LEGAL_SETTLEMENT"]

LEGAL_SETTLEMENT: tuple[PaidLegal, ...] = ()
