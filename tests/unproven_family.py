"""Refusals of which the profile does not say enough to judge them: nothing is red, and some rows cannot be asked."""

from altering import field, lacks
from judging import of_families
from market import (
    ARCHIVE,
    CHARGES,
    LOOKUP,
    TRANSLATE,
    MarketUnproven,
    answers,
    each,
    facts,
    hides,
    rule,
    says,
    status,
    unproven,
    waive,
)
from serving import then
from variant import both, endpoints

__all__ = ["UNPROVEN"]


def _unseen(family: str) -> frozenset[str]:
    """What says something of a refusal only where there is one of ``family``."""
    told = {f"{family}.classified", f"{family}.one-family"}
    return frozenset(id for id in of_families() - told if id.startswith(f"{family}."))


UNPROVEN: tuple[MarketUnproven, ...] = (
    unproven("the profile does not say where its codes are", facts(code=None), *each("code")),
    unproven("the profile does not say where its messages are", facts(message=None), *each("message")),
    unproven("the profile does not say where its ids are", facts(request_id=None), *each("request-id")),
    unproven(
        "the profile does not say where its currency is",
        facts(currency=None),
        "paywall.money",
        "decline.money",
        at=(*ARCHIVE, *CHARGES),
    ),
    unproven("the profile does not say where it is paid", facts("paywall", remedy=None), "paywall.remedy", at=ARCHIVE),
    unproven(
        "the profile does not say where a plan is named",
        facts("paywall", required_plan=None),
        "paywall.required-plan",
        at=ARCHIVE,
        does=says(reason="plan_upgrade_required", required_plan="business"),
    ),
    unproven(
        "the profile does not say where an invoice is named",
        facts("paywall", invoice_id=None),
        "paywall.invoice",
        at=ARCHIVE,
        does=says(reason="invoice_unpaid", invoice_id="in_1"),
    ),
    unproven(
        "the profile says where no quantity is",
        facts("credits", required=None, balance=None, limit=None, used=None, remaining=None, shortfall=None),
        "credits.quantity",
        "credits.need-and-have",
        at=(*TRANSLATE, *LOOKUP),
    ),
    unproven(
        "the profile says where the price is and not what is there",
        facts("credits", balance=None, remaining=None),
        "credits.need-and-have",
        at=TRANSLATE,
    ),
    unproven(
        "the profile says of no way out",
        facts("credits", remedy=None, resets_at=None),
        "credits.way-out",
        at=(*TRANSLATE, *LOOKUP),
    ),
    unproven(
        "the profile waives one way out and does not look for the other",
        both(facts("credits", remedy=None, resets_at=None), waive("credits", resets_at="a balance does not reset")),
        "credits.way-out",
        at=TRANSLATE,
    ),
    unproven(
        "the profile does not say what is counted, nor whose",
        facts("credits", unit=None, scope=None),
        "credits.unit",
        "credits.scope",
        at=(*TRANSLATE, *LOOKUP),
    ),
    unproven(
        "the profile says of a decline hardly anything",
        facts("decline", decline_code=None, category=None, payment_ref=None),
        "decline.decline-code",
        "decline.category",
        "decline.payment-ref",
        at=CHARGES,
    ),
    unproven(
        "the profile does not say where a wrong input is named",
        facts("decline", param=None),
        "decline.param",
        at=CHARGES,
        does=says(category="card_data", param="number"),
    ),
    unproven(
        "two families are claimed, and one is never shown",
        answers(archive=("credits", "paywall")),
        *_unseen("credits"),
        at=ARCHIVE,
        classes=("paywall", "credits"),
    ),
    unproven(
        "the schema that it publishes is not there",
        rule(schema="no-such-schema.json"),
        *each("own-schema"),
    ),
    unproven(
        "the profile takes every success for a refusal",
        rule("paywall", status=[200, 402], when=None),
        "paywall.classified",
        at=ARCHIVE,
        does=status(200),
    ),
    unproven(
        "the profile takes what who has paid gets for a refusal",
        rule("paywall", status=[200, 402], when={"header": {"Content-Type": "application/json"}}),
        "paywall.classified",
        "http.unpaid-is-refused",
        at=ARCHIVE,
        does=status(200),
        classes=("http", "paywall"),
    ),
    unproven(
        "a refusal is a success, and the profile names nobody who has paid",
        both(rule("paywall", status=[200, 402]), endpoints(paid_identity=None)),
        "paywall.classified",
        "http.unpaid-is-refused",
        "http.no-paid-content",
        "http.head-leaks-nothing",
        at=ARCHIVE,
        does=status(200),
        classes=("http", "paywall"),
    ),
    unproven(
        "its refusals have an offer of a protocol that the profile does not name",
        rule(),
        "http.way-to-pay",
        at=ARCHIVE,
        does=says(x402Version=1, accepts=[]),
        classes=("http", "paywall"),
    ),
    unproven(
        "the quota is told in a field of which the profile knows nothing",
        facts("credits", remaining=None, limit=None, used=None, required=None, balance=None),
        "credits.quantity",
        "credits.need-and-have",
        at=LOOKUP,
        does=then(hides("limit", "used", "remaining"), lacks("x-ratelimit-remaining"), field("X-Left", "0")),
    ),
)
