"""The table for class x402/guard."""

from paid_fault import PaidFault

__all__ = ["GUARD"]

GUARD: tuple[PaidFault, ...] = ()
