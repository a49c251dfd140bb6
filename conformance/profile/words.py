"""The words that a profile may choose between."""

from enum import StrEnum

__all__ = [
    "ANONYMOUS",
    "Convention",
    "Entitlement",
    "Environment",
    "FacilitatorMode",
    "Family",
    "Head",
    "MarkerKind",
    "PaymentFlow",
    "StoredErrors",
]

ANONYMOUS = "anonymous"
"""The identity that exists in every profile; it sends no headers unless the profile says so."""


class Environment(StrEnum):
    """What may be done to the target: in production, plain requests only."""

    TEST = "test"
    PRODUCTION = "production"


class Family(StrEnum):
    """What kind of "pay" an answer means. An ``[[answer]]`` is never an offer: those come from ``protocol``."""

    PAYWALL = "paywall"
    CREDITS = "credits"
    DECLINE = "decline"
    OFFER = "offer"


class PaymentFlow(StrEnum):
    """When a payment is settled: as advertised, or one of the three flows of x402."""

    AUTO = "auto"
    AUTHORIZATION = "authorization"
    UPFRONT = "upfront"
    ESCROW = "escrow"


class Entitlement(StrEnum):
    """How long one payment opens an endpoint, when it is not a number of seconds."""

    ONCE = "once"
    SESSION = "session"


class Head(StrEnum):
    """What a HEAD on a paid GET means: guarded like the GET, or free metadata."""

    PROTECTED = "protected"
    METADATA = "metadata"


class FacilitatorMode(StrEnum):
    """Whose facilitator the target talks to: ours, or the vendor's own."""

    SCRIPTED = "scripted"
    OWN = "own"


class Convention(StrEnum):
    """Whose idempotency rules the target follows."""

    STRIPE = "stripe"
    IETF = "ietf"
    ACP = "acp"
    UCP = "ucp"


class StoredErrors(StrEnum):
    """Whether a refusal is replayed under its idempotency key."""

    STORED = "stored"
    NOT_STORED = "not-stored"


class MarkerKind(StrEnum):
    """Where a marker is looked for."""

    TEXT = "text"
    HEADER = "header"
    POINTER = "pointer"
    RE = "re"
