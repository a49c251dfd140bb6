"""The table for class x402/guard."""

from paid_fault import PaidLegal

__all__ = ["LEGAL_GUARD"]

LEGAL_GUARD: tuple[PaidLegal, ...] = ()
