"""Checks of class ``http`` on HEAD, which asks for everything but the content."""

from conformance import schema
from conformance.checks import check
from conformance.checks.http import refusal
from conformance.checks.leak import not_served
from conformance.evidence import Evidence
from conformance.exchange import Response
from conformance.gather import head, paid, unpaid
from conformance.outcome import Inapplicable, Violation
from conformance.profile import Head


@check("http.head-has-no-content", unpaid, head)
def test_head_has_no_content(evidence: Evidence) -> None:
    response = _head(evidence)
    if content := response.body + response.after:
        raise Violation(
            expected="no content after the header section",
            received=f"{len(content)} bytes: {schema.shown(content[:60].decode('latin-1'))}",
            exchange="head",
        )


@check("http.head-mirrors-get", unpaid, head)
def test_head_mirrors_get(evidence: Evidence) -> None:
    get, response = refusal(evidence), _head(evidence)
    if response.status in {405, 501} or (evidence.endpoint.head is Head.METADATA and response.status < 300):
        return
    if response.status != get.status:
        reason = ""
        if response.status < 300:
            reason = 'if metadata is free here, say so: endpoint.head = "metadata"; if not, the handler may run unpaid'
        raise Violation(expected="402 as for GET, or 405", received=response.shown(), exchange="head", reason=reason)
    for name in ("payment-required", "www-authenticate"):
        if get.values(name) and not response.values(name):
            raise Violation(expected="the challenge that GET has", received="none", at=name.title(), exchange="head")


def _head(evidence: Evidence) -> Response:
    if evidence.endpoint.method != "GET":
        reason = f"the endpoint is asked by {evidence.endpoint.method}, not GET"
        raise Inapplicable(reason)
    return evidence.response("head")


@check("http.head-leaks-nothing", unpaid, head, paid)
def test_head_leaks_nothing(evidence: Evidence) -> None:
    not_served(evidence, _head(evidence), "head")
