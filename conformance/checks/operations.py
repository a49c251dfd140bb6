"""Words of the checks on the operations of an OpenAPI document: what was asked of one, and what its answers are."""

import json
from collections.abc import Iterator
from typing import Any

from conformance.cases import LABEL, NONE, SMALLER
from conformance.checks.envelope import rules
from conformance.evidence import Evidence
from conformance.exchange import Response
from conformance.facts import matching
from conformance.family import family
from conformance.openapi import Operation, named
from conformance.outcome import Unanswered, Untestable

__all__ = ["answered", "at", "complete", "described", "operation_of", "refuses", "statuses"]

_EMPTY = {204, 205, 304}


def operation_of(evidence: Evidence) -> Operation:
    found = named(evidence.profile, evidence.endpoint.name)
    if found is None:
        reason = f"the document has no operation {evidence.endpoint.name}"
        raise Unanswered(reason)
    return found


def answered(evidence: Evidence) -> Iterator[tuple[str, Response]]:
    """The answers to valid requests; to one of them alone, while it is made smaller."""
    for label in evidence.labels(SMALLER) or evidence.labels(LABEL):
        exchange = evidence.exchange(label)
        if exchange.response and not exchange.failure:
            yield label, exchange.response


def described(evidence: Evidence, operation: Operation) -> Iterator[tuple[str, Response, str, dict[str, Any]]]:
    """The successes and refusals for money that the document describes, with the word under which it does, and how.

    Others, such as 400, 404 and 429, are often answered by somebody who stands before the API.
    """
    for label, response in answered(evidence):
        found = operation.response(response.status)
        if found is None or response.status in _EMPTY or response.status >= 500 or operation.method == "HEAD":
            continue
        if 200 <= response.status < 300 or refuses(evidence, response):
            yield label, response, found[0], dict(found[1])


def refuses(evidence: Evidence, response: Response) -> bool:
    """Whether an answer asks for money: by its status, by a rule of the profile, or by what it says."""
    if response.status == 402 or matching(rules(evidence) or evidence.profile.answers, response):
        return True
    return 200 <= response.status < 300 and family(response).family is not None


def complete(evidence: Evidence) -> None:
    """Raises Untestable where no request was drawn, and Unanswered where one was not answered."""
    if evidence.labels(SMALLER):
        return
    if none := evidence.exchanges.get(NONE):
        raise Untestable(none.failure.detail if none.failure else "no request was drawn")
    asked = [(label, evidence.exchange(label).failure) for label in evidence.labels(LABEL)]
    lost = [(label, failure) for label, failure in asked if failure]
    # Who answers some with 429, however long one waits, has answered.
    limited = [failure for _, failure in lost if failure.kind == "rate-limited"]
    if lost and (len(limited) < len(lost) or 2 * len(limited) > len(asked)):
        label, failure = lost[0]
        raise Unanswered(failure.detail, at=at(evidence, label), exchange=label)
    if not asked:
        reason = "nothing was asked"
        raise Unanswered(reason)


def statuses(evidence: Evidence) -> str:
    return ", ".join(dict.fromkeys(response.shown() for _, response in answered(evidence))) or "by nothing"


def at(evidence: Evidence, label: str) -> str:
    """The request, in a few words."""
    request = evidence.exchange(label).request
    path = "/" + request.url.partition("://")[2].partition("/")[2]
    body = request.body.decode("utf-8", "replace")
    shown = f" with {json.dumps(body, ensure_ascii=False)[1:-1][:120]}" if body else ""
    return f"{request.method} {path[:160]}{shown}"
