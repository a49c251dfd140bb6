"""The table for class x402/order."""

from paid_fault import PaidFault

__all__ = ["ORDER"]

ORDER: tuple[PaidFault, ...] = ()
