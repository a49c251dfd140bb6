"""Faults of a paywall: a refusal until something is bought, renewed or paid."""

from altering import field, lacks
from market import ARCHIVE, MarketFault, facts, hides, rule, says, units
from market import fault as _fault
from serving import Change, then
from variant import both

__all__ = ["PAYWALL"]

_PLANS = facts("paywall", required_plan="/required_plan", current_plan="/current_plan")
_ENDED = facts("paywall", expired_at="/expired_at")


def fault(name: str, does: Change | None, *red: str, **more: object) -> MarketFault:
    """A fault of the archive, its own requirements by their last words."""
    return _fault(name, does, *(id if "." in id else f"paywall.{id}" for id in red), at=ARCHIVE, **more)


def _at(address: str) -> Change:
    """The paywall is paid at ``address``, as it says in its body alone."""
    return then(says(remedy=address), lacks("link"))


PAYWALL: tuple[MarketFault, ...] = (
    fault("its paywall says nowhere where it is paid", then(hides("remedy"), lacks("link")), "remedy"),
    fault(
        "its paywall is paid behind a link of another kind",
        then(hides("remedy"), field("Link", '</plans>; rel="help"')),
        "remedy",
    ),
    fault("its paywall is paid at a blank", _at("  "), "remedy"),
    fault("its paywall is paid at several addresses at once", then(says(remedy=["/a", "/b"]), lacks("link")), "remedy"),
    fault("its paywall is paid at a path", _at("/plans"), "remedy-is-absolute"),
    fault("its paywall is paid at a host alone", _at("plans.example.com"), "remedy-is-absolute"),
    fault("its paywall is paid by mail", _at("mailto:sales@example.com"), "remedy-is-absolute"),
    fault(
        "its paywall is paid over http",
        _at("http://plans.example.com/"),
        "http.secure-links",
        "remedy-is-absolute",
    ),
    fault(
        "its paywall is paid over http at a host that looks like ours",
        _at("http://localhost.example.com/"),
        "http.secure-links",
        "remedy-is-absolute",
    ),
    fault(
        "its paywall has a link to a path alone",
        then(hides("remedy"), field("Link", '</plans>; rel="payment"')),
        "remedy-is-absolute",
    ),
    fault(
        "its paywall is paid in one place and linked to another",
        field("Link", '</pricing>; rel="payment"'),
        "parts-agree",
        "http.payment-link",
    ),
    fault("the reason of its paywall is its own", says(reason="no_money"), "reason"),
    fault("the reason of its paywall is a number", says(reason=7), "reason"),
    fault(
        "the reason of its paywall is one that the profile does not know",
        says(reason="R7"),
        "reason",
        edit=facts("paywall", reason={"map": "/reason", "to": {"R1": "trial_expired"}, "else": "something"}),
    ),
    fault(
        "its paywall asks for a better plan and names none",
        says(reason="plan_upgrade_required"),
        "required-plan",
        edit=_PLANS,
    ),
    fault(
        "its paywall asks for a plan that is a list",
        says(reason="plan_upgrade_required", required_plan=[]),
        "required-plan",
        edit=_PLANS,
    ),
    fault(
        "its paywall asks for the plan that is held",
        says(reason="plan_upgrade_required", required_plan="pro", current_plan="pro"),
        "plan-differs",
        edit=_PLANS,
    ),
    fault(
        "its paywall is shut by an invoice without a number",
        says(reason="invoice_unpaid"),
        "invoice",
        edit=facts("paywall", invoice_id="/invoice_id"),
    ),
    fault("a subscription ended on a day of no calendar", says(expired_at="last March"), "expired-at", edit=_ENDED),
    fault("a subscription ended on a day in two orders", says(expired_at="03/01/2026"), "expired-at", edit=_ENDED),
    fault("a subscription ended on a day that there is not", says(expired_at="2026-02-30"), "expired-at", edit=_ENDED),
    fault("a subscription ended in the year 9999", says(expired_at="9999-01-01"), "expired-before", edit=_ENDED),
    fault(
        "a subscription ended in seconds that are milliseconds",
        says(expired_at=1700000000000),
        "expired-at",
        edit=both(_ENDED, units("paywall", expired_at="epoch")),
    ),
    fault(
        "a subscription ended in milliseconds that are seconds of a later year",
        says(expired_at=4102444800000),
        "expired-before",
        edit=both(_ENDED, units("paywall", expired_at="epoch-ms")),
    ),
    fault(
        "its paywall speaks of a card",
        says(decline_code="do_not_honor"),
        "no-decline-code",
        edit=facts("paywall", decline_code="/decline_code"),
    ),
    fault("its paywall asks to come back in a minute", field("Retry-After", "60"), "no-retry-after"),
    fault(
        "its paywall by 403 asks to come back on a date",
        field("Retry-After", "Sat, 21 Nov 2099 10:00:00 GMT"),
        "no-retry-after",
        edit=rule("paywall", status=[402, 403]),
    ),
    fault(
        "its paywall has no reason in an envelope that has one",
        hides("reason"),
        "own-schema",
        envelopes=True,
    ),
    fault(
        "its envelope has a price as a float",
        says(amount=4.95),
        "own-schema",
        "money",
        envelopes=True,
    ),
)
