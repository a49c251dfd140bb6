"""Checks of class ``http`` on the content of a refusal, by whatever declared status it comes."""

import json

from conformance import fields
from conformance.checks import check
from conformance.checks.envelope import not_json, rules, says_json
from conformance.checks.http import REFUSED
from conformance.evidence import Evidence
from conformance.exchange import Response
from conformance.facts import matching
from conformance.gather import accepts_json, again, unpaid
from conformance.outcome import Inapplicable, Untestable, Violation
from conformance.page import HTML
from conformance.protocols import x402

__all__ = ["declared", "is_declared"]

_PROSE = HTML | {"text/plain"}


def is_declared(evidence: Evidence, response: Response) -> bool:
    """Whether an answer is a refusal: a 402, or what an answer rule of the endpoint says."""
    return response.status == 402 or bool(matching(rules(evidence), response))


def declared(evidence: Evidence, label: str = "unpaid") -> Response:
    """The refusal called ``label``, by any status that the profile declares; Untestable where it is none."""
    response = evidence.response(label)
    if not is_declared(evidence, response):
        reason = f"the unpaid request was answered {response.shown()}, which is no refusal"
        raise Untestable(reason, cause=REFUSED)
    return response


@check("http.body-is-what-it-says", unpaid, again)
def test_body_is_what_it_says(evidence: Evidence) -> None:
    declared(evidence)
    asked = False
    for label in evidence.exchanges:
        response = evidence.response(label)
        # Problem details have a requirement of their own, and no content says nothing false.
        if not says_json(response) or response.media_type() == "application/problem+json":
            continue
        asked = True
        if broken := not_json(response):
            raise Violation(expected=response.media_type(), received=broken, at="body", exchange=label)
    if not asked:
        reason = "the refusal has no content that is called JSON, or is problem details, which are judged as such"
        raise Inapplicable(reason)


@check("http.content-length", unpaid)
def test_content_length(evidence: Evidence) -> None:
    response = declared(evidence)
    lengths = response.values("content-length")
    length = fields.natural(lengths[0]) if len(lengths) == 1 else None
    coded = any(response.values(name) for name in ("content-encoding", "transfer-encoding"))
    if length is None or coded or evidence.exchange("unpaid").request.method == "HEAD":
        reason = "the refusal has no Content-Length of content that is sent as it is"
        raise Inapplicable(reason)
    # A secret that comes back is taken out of what is kept, also within base64: what is left has another length.
    if "<secret:" in json.dumps(evidence.profile.document) or b"<not-secret:" in response.body:
        reason = "the run has secrets, which are taken out of content: its length is not known any more"
        raise Inapplicable(reason)
    if length != len(response.body) and json.dumps(response.json_or_none()).encode() == response.body:
        reason = "the content is written as we write JSON: whoever recorded it may have read it, and written it anew"
        raise Inapplicable(reason)
    if length != len(response.body):
        raise Violation(
            expected=f"{len(response.body)} octets, as many as the content has",
            received=lengths[0][:40],
            at="Content-Length",
            exchange="unpaid",
        )


@check("http.accept-json", unpaid, accepts_json)
def test_accept_json(evidence: Evidence) -> None:
    declared(evidence)
    response = evidence.response("accepts-json")
    if not is_declared(evidence, response):
        reason = f"who accepts only application/json is answered {response.shown()}, which is no refusal"
        raise Inapplicable(reason)
    # Who reads offers finds this one in the header, whatever the body is (x402 version 2, HTTP transport).
    if response.media_type() in _PROSE and response.body and not response.values(x402.CHALLENGE):
        raise Violation(
            expected="JSON for a client that accepts nothing else",
            received=response.media_type(),
            at="Content-Type",
            exchange="accepts-json",
        )
