"""Checks of class ``flows`` on what a client makes of a refusal: one thing to do, and no word against another."""

from conformance import advice, facts, schema
from conformance.advice import Action
from conformance.checks import check
from conformance.checks.envelope import rules
from conformance.evidence import Evidence
from conformance.exchange import Response
from conformance.facts import Record
from conformance.gather import unpaid
from conformance.outcome import Inapplicable, Untestable, Violation


def _said(evidence: Evidence) -> tuple[Record, Response]:
    response = evidence.response("unpaid")
    found = facts.matching(rules(evidence), response)
    if not found:
        reason = f"the answer {response.shown()} fits none of the endpoint's answer rules"
        raise Untestable(reason)
    return facts.record(found[0], response), response


@check("flows.client-action", unpaid)
def test_client_action(evidence: Evidence) -> None:
    record, response = _said(evidence)
    own = record.facts.get("client_action")
    if own and own.value not in set(Action):
        raise Violation(
            expected=f"one of {', '.join(Action)}",
            received=schema.shown(own.value),
            at=own.at,
            exchange="unpaid",
        )
    if (found := advice.action(record, response)) is None:
        raise Violation(
            expected="what a client can go by: when to come back, where to pay, what was wrong",
            received=f"a refusal of family {record.rule.family} that says {', '.join(record.facts) or 'nothing'}",
            exchange="unpaid",
        )
    if own and own.value != found.action:
        raise Violation(
            expected=f"{found.action}, since {found.because} says so",
            received=schema.shown(own.value),
            at=own.at,
            exchange="unpaid",
        )


@check("flows.retry-hints-agree", unpaid)
def test_retry_hints_agree(evidence: Evidence) -> None:
    record, response = _said(evidence)
    if (said := advice.override(record, response)) is None:
        reason = "no field says whether to ask again (X-Should-Retry, or the fact retry_override)"
        raise Inapplicable(reason)
    again, where = said
    if again and (why := advice.hard(record)):
        raise Violation(expected=f"no word to ask again: {why}", received="true", at=where, exchange="unpaid")
    if not again and advice.waits(response):
        raise Violation(
            expected=f"no Retry-After beside {where}, which says not to ask again",
            received=response.value("retry-after") or "",
            at="Retry-After",
            exchange="unpaid",
        )


@check("flows.no-retry-of-429", unpaid)
def test_no_retry_of_429(evidence: Evidence) -> None:
    record, response = _said(evidence)
    if response.status != 429:
        reason = "the refusal is no 429, which clients ask again of their own accord"
        raise Inapplicable(reason)
    if not (why := advice.hard(record)):
        reason = "what is refused may be served by and by"
        raise Inapplicable(reason)
    if (said := advice.override(record, response)) is None or said[0]:
        raise Violation(
            expected=f"a field that says not to ask again, such as X-Should-Retry: false: {why}",
            received="a 429 that says to ask again" if said else "a bare 429, which every client asks again",
            exchange="unpaid",
        )
