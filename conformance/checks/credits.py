"""Checks of class ``credits``: a refusal for want of a balance or a quota."""

import math

from conformance import facts, fields, schema
from conformance.bodies import other_bodies
from conformance.checks import bodily, check, demand, envelope
from conformance.checks.demand import holds, number
from conformance.checks.envelope import refused
from conformance.evidence import Evidence
from conformance.exchange import Response
from conformance.facts import Record
from conformance.gather import again, entitled, unpaid
from conformance.outcome import Inapplicable, Violation
from conformance.profile import Family

_THIS = Family.CREDITS
# Seconds by which two clocks, or a rounded number, may differ.
_SKEW = 2
_CENT = 0.005


@check("credits.classified", unpaid, entitled)
def test_classified(evidence: Evidence) -> None:
    envelope.classified(evidence)


@check("credits.one-family", unpaid)
def test_one_family(evidence: Evidence) -> None:
    envelope.of_one_family(evidence, _THIS)


@check("credits.own-schema", unpaid)
def test_own_schema(evidence: Evidence) -> None:
    envelope.fits_own_schema(evidence, _THIS)


@check("credits.members", unpaid)
def test_members(evidence: Evidence) -> None:
    demand.in_members(evidence, _THIS)


@check("credits.parts-agree", unpaid)
def test_parts_agree(evidence: Evidence) -> None:
    envelope.agree(evidence, _THIS)


@check("credits.stable", unpaid, again)
def test_stable(evidence: Evidence) -> None:
    envelope.stable(evidence, _THIS)


@check("credits.any-body", unpaid, again, other_bodies, drawn=bodily.DRAWN)
def test_any_body(evidence: Evidence) -> None:
    bodily.keeps(evidence, _THIS)


@check("credits.no-location", unpaid)
def test_no_location(evidence: Evidence) -> None:
    envelope.no_location(evidence, _THIS)


@check("credits.no-login-challenge", unpaid)
def test_no_login_challenge(evidence: Evidence) -> None:
    envelope.no_login_challenge(evidence, _THIS)


@check("credits.code", unpaid)
def test_code(evidence: Evidence) -> None:
    holds(evidence, _THIS, "code", of="refusal")


@check("credits.code-is-a-word", unpaid)
def test_code_is_a_word(evidence: Evidence) -> None:
    holds(evidence, _THIS, "code-is-a-word", of="refusal")


@check("credits.message", unpaid)
def test_message(evidence: Evidence) -> None:
    holds(evidence, _THIS, "message", of="refusal")


@check("credits.message-tells", unpaid)
def test_message_tells(evidence: Evidence) -> None:
    holds(evidence, _THIS, "message-tells", of="refusal")


@check("credits.request-id", unpaid)
def test_request_id(evidence: Evidence) -> None:
    holds(evidence, _THIS, "request-id", of="refusal")


@check("credits.docs-url", unpaid)
def test_docs_url(evidence: Evidence) -> None:
    holds(evidence, _THIS, "docs-url", of="refusal")


@check("credits.money", unpaid)
def test_money(evidence: Evidence) -> None:
    demand.has_money(evidence, _THIS)


@check("credits.quantity", unpaid)
def test_quantity(evidence: Evidence) -> None:
    holds(evidence, _THIS, "quantity")


@check("credits.way-out", unpaid)
def test_way_out(evidence: Evidence) -> None:
    _, response = refused(evidence, _THIS)
    if fields.natural(response.value("retry-after")) or fields.http_date(response.value("retry-after")) is not None:
        return
    holds(evidence, _THIS, "way-out")


@check("credits.need-and-have", unpaid)
def test_need_and_have(evidence: Evidence) -> None:
    holds(evidence, _THIS, "need-and-have")


@check("credits.unit", unpaid)
def test_unit(evidence: Evidence) -> None:
    holds(evidence, _THIS, "unit")


@check("credits.scope", unpaid)
def test_scope(evidence: Evidence) -> None:
    holds(evidence, _THIS, "scope")


@check("credits.not-negative", unpaid)
def test_not_negative(evidence: Evidence) -> None:
    holds(evidence, _THIS, "not-negative")


@check("credits.resets-at", unpaid)
def test_resets_at(evidence: Evidence) -> None:
    holds(evidence, _THIS, "resets-at")


@check("credits.remedy-is-absolute", unpaid)
def test_remedy_is_absolute(evidence: Evidence) -> None:
    demand.has_absolute_remedy(evidence, _THIS)


@check("credits.no-decline-code", unpaid)
def test_no_decline_code(evidence: Evidence) -> None:
    holds(evidence, _THIS, "no-decline-code")


@check("credits.short", unpaid)
def test_short(evidence: Evidence) -> None:
    record, _ = refused(evidence, _THIS)
    required, balance = number(record, "required"), number(record, "balance")
    if required <= balance:
        raise Violation(
            expected="a balance below what is required",
            received=f"balance {balance:g}, required {required:g}",
            exchange="unpaid",
        )


@check("credits.shortfall", unpaid)
def test_shortfall(evidence: Evidence) -> None:
    record, _ = refused(evidence, _THIS)
    required, balance, short = (number(record, name) for name in ("required", "balance", "shortfall"))
    if not math.isclose(required - balance, short, abs_tol=_CENT):
        raise Violation(
            expected=f"a shortfall of {required - balance:g}: required {required:g} less balance {balance:g}",
            received=f"{short:g}",
            exchange="unpaid",
        )


@check("credits.sums", unpaid)
def test_sums(evidence: Evidence) -> None:
    record, _ = refused(evidence, _THIS)
    limit, used, left = (number(record, name) for name in ("limit", "used", "remaining"))
    # Who overdraws has used more than the limit, and nothing left.
    if not math.isclose(used + left, limit, abs_tol=_CENT) and not (left == 0 and used > limit):
        raise Violation(
            expected=f"used {used:g} and remaining {left:g} to make up the limit",
            received=f"limit {limit:g}",
            exchange="unpaid",
        )


@check("credits.nothing-left", unpaid)
def test_nothing_left(evidence: Evidence) -> None:
    record, _ = refused(evidence, _THIS)
    left, required = number(record, "remaining"), record.document.get("required")
    enough = required if isinstance(required, int | float) and not isinstance(required, bool) else 1
    if left >= enough:
        raise Violation(
            expected="nothing that remains, or less than is required",
            received=f"remaining {left:g}",
            at=record.facts["remaining"].at,
            exchange="unpaid",
        )


@check("credits.resets-later", unpaid)
def test_resets_later(evidence: Evidence) -> None:
    record, response = refused(evidence, _THIS)
    reset, now = _reset(record, response), fields.http_date(response.value("date"))
    if now is None:
        reason = "the refusal has no Date to compare the reset with"
        raise Inapplicable(reason)
    if reset < now - _SKEW:
        raise Violation(
            expected="a reset that is still to come",
            received=schema.shown(record.facts["resets_at"].value),
            at=record.facts["resets_at"].at,
            exchange="unpaid",
        )


@check("credits.retry-after", unpaid)
def test_retry_after(evidence: Evidence) -> None:
    record, response = refused(evidence, _THIS)
    reset = _reset(record, response)
    until, now = response.value("retry-after"), fields.http_date(response.value("date"))
    if until is None:
        raise Violation(
            expected="Retry-After, since the quota resets by itself",
            received="none",
            at="Retry-After",
            exchange="unpaid",
        )
    wait = fields.natural(until)
    if now is None and wait is not None:
        reason = "the refusal has no Date that Retry-After would count from"
        raise Inapplicable(reason)
    end = fields.http_date(until) if wait is None else (now or 0) + wait
    if end is None or end < reset - _SKEW:
        raise Violation(
            expected=f"a Retry-After that does not end before the reset ({schema.shown(record.facts['resets_at'].value)})",
            received=until,
            at="Retry-After",
            exchange="unpaid",
        )


@check("credits.no-retry-after", unpaid)
def test_no_retry_after(evidence: Evidence) -> None:
    record, response = refused(evidence, _THIS)
    if "resets_at" in record.facts or "resets_at" in record.rule.waive:
        reason = "the allowance comes back by itself"
        raise Inapplicable(reason)
    if "balance" not in record.facts:
        reason = "the refusal speaks of no balance, so that the allowance may come back by itself"
        raise Inapplicable(reason)
    envelope.no_retry_after(response, "a balance does not come back by waiting")


def _reset(record: Record, response: Response) -> float:
    unit = record.rule.units.get("resets_at", "")
    found = facts.moment(record.facts["resets_at"].value, unit, response) if "resets_at" in record.facts else None
    if found is None:
        reason = "the refusal names no time at which the allowance comes back"
        raise Inapplicable(reason)
    return found.timestamp()
