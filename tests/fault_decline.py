"""Faults of a decline: a payment that was tried and failed."""

from altering import field
from market import CHARGES, MarketFault, facts, hides, says
from market import fault as _fault
from serving import Change, then

__all__ = ["DECLINE"]

_CARD = {"last4": "0002", "bin": "400000", "expiry": "12/29"}
_SHOWN = facts("decline", last4="/last4", bin="/bin", expiry="/expiry")
_REMEDY = facts("decline", remedy={"first": ["/remedy", "link: payment"]})


def fault(name: str, does: Change | None, *red: str, **more: object) -> MarketFault:
    """A fault of a charge, its own requirements by their last words."""
    return _fault(name, does, *(id if "." in id else f"decline.{id}" for id in red), at=CHARGES, **more)


DECLINE: tuple[MarketFault, ...] = (
    fault("its decline gives no reason", hides("decline_code"), "decline-code"),
    fault("its decline gives an empty list of reasons", says(decline_code=[]), "decline-code"),
    fault("its decline is of no category", hides("category"), "category"),
    fault("its decline is of a category of its own", says(category="retryable"), "category"),
    fault(
        "its decline has a code that the profile puts in no category",
        says(decline_code="new_code"),
        "category",
        edit=facts(
            "decline",
            category={"map": "/decline_code", "to": {"insufficient_funds": "soft"}, "else": "unknown"},
        ),
    ),
    fault("its decline names no payment", hides("payment_ref"), "payment-ref"),
    fault("its decline names a whole payment", says(payment_ref={"id": "py_1"}), "payment-ref"),
    fault(
        "its decline is for a wrong number and does not say which",
        says(category="card_data", decline_code="incorrect_number"),
        "param",
        edit=facts("decline", param="/param"),
    ),
    fault(
        "its decline names a wrong input that is blank",
        says(category="card_data", param=" "),
        "param",
        edit=facts("decline", param="/param"),
    ),
    *(
        fault(f"its decline tells a shopper {text!r}", says(message=text), "shopper-words")
        for text in (
            "Your card was reported stolen.",
            "STOLEN CARD",
            "Lost card, pick up.",
            "Please pick up card 4000.",
            "This looks like fraud to us.",
            "Your card is on a blacklist.",
        )
    ),
    fault(
        "its decline sends people to the plans",
        says(remedy="https://shop.example.com/plans"),
        "no-remedy",
        edit=_REMEDY,
    ),
    fault(
        "its decline has a link to upgrade",
        field("Link", '<https://shop.example.com/upgrade>; rel="payment"'),
        "no-remedy",
        edit=_REMEDY,
    ),
    fault("its decline shows a whole card", says(**_CARD), "no-whole-card", edit=_SHOWN),
    *(
        fault(
            f"its decline of category {category} asks to come back",
            then(says(category=category, param="number"), field("Retry-After", "60")),
            "no-retry-after",
            edit=facts("decline", param="/param"),
        )
        for category in ("hard", "fraud", "authentication", "card_data", "configuration")
    ),
    fault(
        "its decline has one reason in a field and another in the body",
        field("X-Decline-Code", "expired_card"),
        "parts-agree",
        edit=facts("decline", decline_code={"first": ["/decline_code", "header: X-Decline-Code"]}),
    ),
    fault(
        "its envelope tells a shopper of theft",
        says(message="Your card was stolen."),
        "own-schema",
        "shopper-words",
        envelopes=True,
    ),
)
