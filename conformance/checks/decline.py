"""Checks of class ``decline``: a payment that was tried and failed."""

from conformance import schema
from conformance.bodies import other_bodies
from conformance.checks import bodily, check, demand, envelope
from conformance.checks.demand import holds
from conformance.checks.envelope import refused
from conformance.evidence import Evidence
from conformance.gather import again, entitled, unpaid
from conformance.outcome import Inapplicable, Untestable
from conformance.profile import Family
from conformance.selector import First, Map, Selector

_THIS = Family.DECLINE
_LASTING = {"hard", "fraud", "authentication", "card_data", "configuration"}


@check("decline.classified", unpaid, entitled)
def test_classified(evidence: Evidence) -> None:
    envelope.classified(evidence)


@check("decline.one-family", unpaid)
def test_one_family(evidence: Evidence) -> None:
    envelope.of_one_family(evidence, _THIS)


@check("decline.own-schema", unpaid)
def test_own_schema(evidence: Evidence) -> None:
    envelope.fits_own_schema(evidence, _THIS)


@check("decline.members", unpaid)
def test_members(evidence: Evidence) -> None:
    demand.in_members(evidence, _THIS)


@check("decline.parts-agree", unpaid)
def test_parts_agree(evidence: Evidence) -> None:
    envelope.agree(evidence, _THIS)


@check("decline.stable", unpaid, again)
def test_stable(evidence: Evidence) -> None:
    envelope.stable(evidence, _THIS)


@check("decline.any-body", unpaid, again, other_bodies, drawn=bodily.DRAWN)
def test_any_body(evidence: Evidence) -> None:
    bodily.keeps(evidence, _THIS)


@check("decline.no-location", unpaid)
def test_no_location(evidence: Evidence) -> None:
    envelope.no_location(evidence, _THIS)


@check("decline.no-login-challenge", unpaid)
def test_no_login_challenge(evidence: Evidence) -> None:
    envelope.no_login_challenge(evidence, _THIS)


@check("decline.code", unpaid)
def test_code(evidence: Evidence) -> None:
    holds(evidence, _THIS, "code", of="refusal")


@check("decline.code-is-a-word", unpaid)
def test_code_is_a_word(evidence: Evidence) -> None:
    holds(evidence, _THIS, "code-is-a-word", of="refusal")


@check("decline.message", unpaid)
def test_message(evidence: Evidence) -> None:
    holds(evidence, _THIS, "message", of="refusal")


@check("decline.message-tells", unpaid)
def test_message_tells(evidence: Evidence) -> None:
    holds(evidence, _THIS, "message-tells", of="refusal")


@check("decline.request-id", unpaid)
def test_request_id(evidence: Evidence) -> None:
    holds(evidence, _THIS, "request-id", of="refusal")


@check("decline.docs-url", unpaid)
def test_docs_url(evidence: Evidence) -> None:
    holds(evidence, _THIS, "docs-url", of="refusal")


@check("decline.money", unpaid)
def test_money(evidence: Evidence) -> None:
    demand.has_money(evidence, _THIS)


@check("decline.decline-code", unpaid)
def test_decline_code(evidence: Evidence) -> None:
    holds(evidence, _THIS, "decline-code")


def _derived(selector: Selector | None) -> bool:
    """Whether a profile tells the category from other words of the answer, such as a decline code."""
    several = selector.selectors if isinstance(selector, First) else (selector,)
    return any(isinstance(one, Map) for one in several)


@check("decline.category", unpaid)
def test_category(evidence: Evidence) -> None:
    record, _ = refused(evidence, _THIS)
    if "category" not in record.facts and _derived(record.rule.facts.get("category")):
        code = record.facts.get("decline_code")
        if code is None and "decline_code" in record.rule.facts and "decline_code" not in record.rule.waive:
            reason = "the refusal has no decline code that a category follows from"
            raise Untestable(reason, cause="decline.decline-code")
        if code is not None:
            reason = f"the profile does not say of which category the decline code {schema.shown(code.value)} is"
            raise Untestable(reason)
    holds(evidence, _THIS, "category")


@check("decline.payment-ref", unpaid)
def test_payment_ref(evidence: Evidence) -> None:
    holds(evidence, _THIS, "payment-ref")


@check("decline.param", unpaid)
def test_param(evidence: Evidence) -> None:
    holds(evidence, _THIS, "param")


@check("decline.shopper-words", unpaid)
def test_shopper_words(evidence: Evidence) -> None:
    holds(evidence, _THIS, "shopper-words")


@check("decline.no-remedy", unpaid)
def test_no_remedy(evidence: Evidence) -> None:
    holds(evidence, _THIS, "no-remedy")


@check("decline.no-whole-card", unpaid)
def test_no_whole_card(evidence: Evidence) -> None:
    holds(evidence, _THIS, "no-whole-card")


@check("decline.no-retry-after", unpaid)
def test_no_retry_after(evidence: Evidence) -> None:
    record, response = refused(evidence, _THIS)
    if record.document.get("category") not in _LASTING:
        reason = "the decline is one that may pass, or does not say that it is none"
        raise Inapplicable(reason)
    envelope.no_retry_after(response, "the same card is declined again")
