"""Legal variants of what each family has of its own: a paywall, a want of credits, a decline."""

import datetime as dt
import email.utils
import time

from altering import field, lacks
from market import (
    ARCHIVE,
    CHARGES,
    LOOKUP,
    TRANSLATE,
    MarketLegal,
    facts,
    hides,
    legal,
    placed,
    says,
    stuffed,
    units,
    waive,
)
from serving import refusals, then
from variant import both

__all__ = ["REFUSAL"]

_FIELDS = lacks("x-credits-required", "x-current-balance", "x-ratelimit-remaining")
_ENDED = facts("paywall", expired_at="/expired_at")
_PLANS = facts("paywall", required_plan="/required_plan", current_plan="/current_plan")
_HOUR = facts("credits", resets_at=placed("/resets_at", "header: X-RateLimit-Reset"))


def _reset(form: str) -> object:
    """The moment in an hour, written otherwise."""
    at = time.time() + 3600
    if form == "date":
        return email.utils.formatdate(at, usegmt=True)
    if form == "offset":
        return dt.datetime.fromtimestamp(at, dt.timezone(dt.timedelta(hours=9))).isoformat()
    return int(at * 1000) if form == "ms" else int(at)


# Moments are made when they are told: a table is read long before its last entry is judged.
def _ago(**delta: float) -> str:
    return (dt.datetime.now(dt.UTC) - dt.timedelta(**delta)).isoformat()


_PAYWALL = (
    legal(
        "it names where it is paid in a link alone",
        hides("remedy"),
        "paywall.remedy: an address in Link alone",
        at=ARCHIVE,
    ),
    legal(
        "it is paid at an address of another shop",
        then(says(remedy="https://billing.example.com/p?a=1#now"), lacks("link")),
        at=ARCHIVE,
    ),
    *(
        legal(f"its reason is {reason!r}", says(reason=reason), at=ARCHIVE)
        for reason in ("TRIAL_EXPIRED", "account-suspended", "TrialExpired", "https://e.example/reasons/store-frozen")
    ),
    legal("it gives no reason", hides("reason"), at=ARCHIVE),
    legal(
        "it asks for a better plan by name",
        says(reason="plan_upgrade_required", required_plan="business", current_plan="pro"),
        at=ARCHIVE,
        edit=_PLANS,
    ),
    legal(
        "it asks for a better plan and its profile waives which",
        says(reason="plan_upgrade_required"),
        at=ARCHIVE,
        edit=waive("paywall", required_plan="the cheapest that will do is not computed"),
    ),
    legal(
        "it names an open invoice by number",
        says(reason="invoice_unpaid", invoice_id=4711),
        at=ARCHIVE,
        edit=facts("paywall", invoice_id="/invoice_id"),
    ),
    *(
        legal(f"a subscription ended {how}", says(expired_at=value), *allows, at=ARCHIVE, edit=_ENDED)
        for how, value, allows in (
            ("on a day", "2026-03-01", ()),
            ("at a moment", "2026-03-01T00:00:00+09:00", ()),
            ("in seconds of the epoch", 1772323200, ()),
            ("in milliseconds of the epoch", 1772323200000, ()),
            ("later on the day", _ago(hours=-11), ("paywall.expired-before: an end later on the same day",)),
        )
    ),
)

_CREDITS = (
    legal(
        "its quantities are in fields",
        hides("required", "balance", "limit", "used", "remaining", "shortfall"),
        "credits.quantity: a quantity in a header field",
        at=TRANSLATE,
    ),
    legal(
        "its quantities are texts",
        says(required="10", balance="3.0", shortfall="7"),
        at=TRANSLATE,
    ),
    legal(
        "its quantities have commas between thousands",
        then(_FIELDS, says(required="12,000", balance="1,250.5", shortfall="10,749.50")),
        at=TRANSLATE,
    ),
    legal(
        "its quantities are dollars, and cents of them",
        then(_FIELDS, says(required=0.1, balance=0.07, shortfall=0.03)),
        at=TRANSLATE,
    ),
    legal(
        "its balance is overdrawn",
        then(_FIELDS, says(required=10, balance=-3, shortfall=13)),
        "credits.not-negative: a negative balance",
        at=TRANSLATE,
    ),
    legal(
        "the profile knows what it counts",
        hides("unit"),
        "credits.unit: a unit that the profile knows",
        at=(*TRANSLATE, *LOOKUP),
        edit=units("credits", required="credits", limit="lookups"),
    ),
    legal(
        "its quota is overdrawn",
        says(used=110),
        "credits.sums: more used than the limit, and nothing left",
        at=LOOKUP,
    ),
    legal(
        "its quota has a rest that is too small",
        then(says(limit=100, used=95, remaining=5, required=10), field("X-RateLimit-Remaining", "5")),
        "credits.nothing-left: a rest that is less than what is required",
        at=LOOKUP,
    ),
    legal(
        "its quota has a limit and what is used of it",
        then(_FIELDS, hides("remaining")),
        at=LOOKUP,
    ),
    *(
        legal(f"its quota resets at {how}", stuffed(lambda _, how=how: {"resets_at": _reset(how)}), *allows, at=LOOKUP)
        for how, allows in (
            ("epoch", ("credits.resets-at: seconds since the epoch",)),
            ("ms", ()),
            ("date", ("credits.resets-at: an HTTP-date",)),
            ("offset", ()),
        )
    ),
    legal(
        "its quota resets in seconds from now",
        says(resets_at="3600"),
        at=LOOKUP,
        edit=units("credits", resets_at="seconds"),
    ),
    legal(
        "its quota resets in seconds in a field and at a moment in the body",
        field("X-RateLimit-Reset", "3600"),
        at=LOOKUP,
        edit=both(_HOUR, units("credits", resets_at="seconds")),
    ),
    legal(
        "its quota resets in fractions of a second in the body and at an HTTP-date in a field",
        then(
            stuffed(lambda _: {"resets_at": _ago(hours=-1)}),
            refusals(lambda answer: answer.set("X-RateLimit-Reset", str(_reset("date")))),
        ),
        at=LOOKUP,
        edit=_HOUR,
    ),
    legal(
        "its quota resets within a moment",
        then(stuffed(lambda _: {"resets_at": _ago(seconds=-20)}), field("Retry-After", "21")),
        at=LOOKUP,
    ),
    legal(
        "it asks to come back later than its quota resets",
        field("Retry-After", "86400"),
        "credits.retry-after: a Retry-After that is later than the reset",
        at=LOOKUP,
    ),
    legal(
        "it asks to come back on the date of the reset",
        refusals(lambda answer: answer.set("Retry-After", str(_reset("date")))),
        at=LOOKUP,
    ),
    legal(
        "its quota may be bought as well",
        says(remedy="https://shop.example.com/more"),
        at=LOOKUP,
    ),
    legal(
        "more of its quota is used than there was, and the rest is negative",
        then(says(used=103, remaining=-3), field("X-RateLimit-Remaining", "-3")),
        at=LOOKUP,
    ),
    legal(
        "its quota resets when Retry-After says",
        hides("resets_at"),
        "credits.way-out: a Retry-After alone",
        at=LOOKUP,
    ),
    legal(
        "its quota comes back at midnight, which nobody says",
        then(hides("resets_at"), lacks("retry-after")),
        at=LOOKUP,
        edit=waive("credits", resets_at="at midnight of the account's zone", remedy="it cannot be bought"),
    ),
    legal(
        "what is there is not told, as its profile says",
        then(_FIELDS, hides("balance", "shortfall")),
        at=TRANSLATE,
        edit=waive("credits", balance="told in the dashboard alone", remaining="it is no quota"),
    ),
)

_DECLINE = (
    *(
        legal(
            f"its decline of category {category} asks to come back",
            then(says(category=category), field("Retry-After", "60")),
            "decline.no-retry-after: a decline of category soft or processing",
            at=CHARGES,
        )
        for category in ("soft", "processing")
    ),
    legal(
        "its decline of no category asks to come back",
        then(hides("category"), field("Retry-After", "60")),
        at=CHARGES,
        edit=waive("decline", category="the decline code alone is told"),
    ),
    legal(
        "the profile puts its codes into categories",
        then(hides("category"), says(decline_code="05")),
        at=CHARGES,
        edit=facts("decline", category={"map": "/decline_code", "to": {"05": "hard"}, "else": "processing"}),
    ),
    legal(
        "its decline names which input is wrong",
        says(category="card-data", decline_code=14, param="number"),
        at=CHARGES,
        edit=facts("decline", param="/param"),
    ),
    legal(
        "its decline is for a wrong input and its profile waives which",
        says(category="card_data"),
        at=CHARGES,
        edit=waive("decline", param="the form has one field"),
    ),
    legal(
        "its decline says what is next",
        says(category="authentication", next_action="use_3ds"),
        at=CHARGES,
        edit=facts("decline", next_action="/next_action"),
    ),
    legal(
        "its decline names the payment by number",
        then(says(payment_ref=7), field("X-Payment", "7")),
        at=CHARGES,
        edit=facts("decline", payment_ref=placed("/payment_ref", "header: X-Payment")),
    ),
    legal(
        "its decline shows the last digits and the expiry of a card",
        says(last4="0002", expiry="12/29"),
        at=CHARGES,
        edit=facts("decline", last4="/last4", expiry="/expiry", bin="/bin"),
    ),
    *(
        legal(f"its decline tells a shopper {text!r}", says(message=text), at=CHARGES)
        for text in (
            "Your bank does not answer, the connection was lost or timed out.",
            "Die Karte wurde abgelehnt.",
            "Please try another card.",
            "Your order is lost unless you pay by Friday.",
        )
    ),
)

REFUSAL: tuple[MarketLegal, ...] = (*_PAYWALL, *_CREDITS, *_DECLINE)
