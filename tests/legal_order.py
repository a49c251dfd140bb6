"""The table for class x402/order."""

from paid_fault import PaidLegal

__all__ = ["LEGAL_ORDER"]

LEGAL_ORDER: tuple[PaidLegal, ...] = ()
