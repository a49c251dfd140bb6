"""Checks of class ``paywall``: a refusal until something is bought, renewed or paid."""

from conformance import facts, fields
from conformance.bodies import other_bodies
from conformance.checks import bodily, check, demand, envelope
from conformance.checks.demand import holds
from conformance.checks.envelope import refused
from conformance.evidence import Evidence
from conformance.gather import again, entitled, unpaid
from conformance.outcome import Inapplicable, Violation
from conformance.profile import Family

_THIS = Family.PAYWALL
_DAY = 86400


@check("paywall.classified", unpaid, entitled)
def test_classified(evidence: Evidence) -> None:
    envelope.classified(evidence)


@check("paywall.one-family", unpaid)
def test_one_family(evidence: Evidence) -> None:
    envelope.of_one_family(evidence, _THIS)


@check("paywall.own-schema", unpaid)
def test_own_schema(evidence: Evidence) -> None:
    envelope.fits_own_schema(evidence, _THIS)


@check("paywall.members", unpaid)
def test_members(evidence: Evidence) -> None:
    demand.in_members(evidence, _THIS)


@check("paywall.parts-agree", unpaid)
def test_parts_agree(evidence: Evidence) -> None:
    envelope.agree(evidence, _THIS)


@check("paywall.stable", unpaid, again)
def test_stable(evidence: Evidence) -> None:
    envelope.stable(evidence, _THIS)


@check("paywall.any-body", unpaid, again, other_bodies, drawn=bodily.DRAWN)
def test_any_body(evidence: Evidence) -> None:
    bodily.keeps(evidence, _THIS)


@check("paywall.no-location", unpaid)
def test_no_location(evidence: Evidence) -> None:
    envelope.no_location(evidence, _THIS)


@check("paywall.no-login-challenge", unpaid)
def test_no_login_challenge(evidence: Evidence) -> None:
    envelope.no_login_challenge(evidence, _THIS)


@check("paywall.code", unpaid)
def test_code(evidence: Evidence) -> None:
    holds(evidence, _THIS, "code", of="refusal")


@check("paywall.code-is-a-word", unpaid)
def test_code_is_a_word(evidence: Evidence) -> None:
    holds(evidence, _THIS, "code-is-a-word", of="refusal")


@check("paywall.message", unpaid)
def test_message(evidence: Evidence) -> None:
    holds(evidence, _THIS, "message", of="refusal")


@check("paywall.message-tells", unpaid)
def test_message_tells(evidence: Evidence) -> None:
    holds(evidence, _THIS, "message-tells", of="refusal")


@check("paywall.request-id", unpaid)
def test_request_id(evidence: Evidence) -> None:
    holds(evidence, _THIS, "request-id", of="refusal")


@check("paywall.docs-url", unpaid)
def test_docs_url(evidence: Evidence) -> None:
    holds(evidence, _THIS, "docs-url", of="refusal")


@check("paywall.money", unpaid)
def test_money(evidence: Evidence) -> None:
    demand.has_money(evidence, _THIS)


@check("paywall.remedy", unpaid)
def test_remedy(evidence: Evidence) -> None:
    holds(evidence, _THIS, "remedy")


@check("paywall.remedy-is-absolute", unpaid)
def test_remedy_is_absolute(evidence: Evidence) -> None:
    demand.has_absolute_remedy(evidence, _THIS)


@check("paywall.reason", unpaid)
def test_reason(evidence: Evidence) -> None:
    holds(evidence, _THIS, "reason")


@check("paywall.required-plan", unpaid)
def test_required_plan(evidence: Evidence) -> None:
    holds(evidence, _THIS, "required-plan")


@check("paywall.invoice", unpaid)
def test_invoice(evidence: Evidence) -> None:
    holds(evidence, _THIS, "invoice")


@check("paywall.expired-at", unpaid)
def test_expired_at(evidence: Evidence) -> None:
    holds(evidence, _THIS, "expired-at")


@check("paywall.no-decline-code", unpaid)
def test_no_decline_code(evidence: Evidence) -> None:
    holds(evidence, _THIS, "no-decline-code")


@check("paywall.plan-differs", unpaid)
def test_plan_differs(evidence: Evidence) -> None:
    record, _ = refused(evidence, _THIS)
    plans = [record.document.get(name) for name in ("current_plan", "required_plan")]
    if None in plans:
        reason = "the refusal does not name both the plan that is held and the one that is needed"
        raise Inapplicable(reason)
    if plans[0] == plans[1]:
        raise Violation(
            expected="a required_plan that is not the current_plan", received=str(plans[0]), exchange="unpaid"
        )


@check("paywall.expired-before", unpaid)
def test_expired_before(evidence: Evidence) -> None:
    record, response = refused(evidence, _THIS)
    ended = facts.moment(record.document.get("expired_at"), "", response)
    now = fields.http_date(response.value("date"))
    if ended is None or now is None:
        reason = "the refusal has no expired_at, or no Date to compare it with"
        raise Inapplicable(reason)
    if ended.timestamp() > now + _DAY:
        raise Violation(
            expected="an expired_at that is past",
            received=ended.isoformat(),
            at=record.facts["expired_at"].at,
            exchange="unpaid",
        )


@check("paywall.no-retry-after", unpaid)
def test_no_retry_after(evidence: Evidence) -> None:
    _, response = refused(evidence, _THIS)
    envelope.no_retry_after(response, "waiting does not pay")
