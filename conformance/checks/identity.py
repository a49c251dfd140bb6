"""Checks of class ``http`` on who asks, and whom: other identities, a provider that is down, the service behind."""

from conformance import facts, schema
from conformance.checks import check
from conformance.checks.body import is_declared
from conformance.checks.envelope import rules
from conformance.evidence import Evidence
from conformance.exchange import Response
from conformance.gather import behind, expected_identities, outage, unpaid
from conformance.outcome import Inapplicable, Untestable, Violation


@check("http.identities", unpaid, expected_identities)
def test_identities(evidence: Evidence) -> None:
    evidence.response("unpaid")
    if not (asked := evidence.labels("identity ")):
        reason = "the profile does not say how anybody is answered (identity.NAME.expect)"
        raise Inapplicable(reason)
    for label in asked:
        name = label.removeprefix("identity ")
        expected = evidence.profile.identities[name].expect if name in evidence.profile.identities else ()
        response = evidence.response(label)
        if expected and response.status not in expected:
            raise Violation(
                expected=f"{' or '.join(map(str, expected))} for {name}",
                received=response.shown(),
                exchange=label,
                reason="who is turned away for another reason is asked to pay" if response.status == 402 else "",
            )
        if (said := _said(evidence, response))[1] is not None and said == _said(evidence, evidence.response("unpaid")):
            raise Violation(
                expected=f"another answer for {name} than for who has not paid",
                received=f"{response.shown()}, {_shown(said)}",
                exchange=label,
                reason="who is turned away for another reason is asked to pay",
            )


@check("http.outage-is-5xx", unpaid, outage)
def test_outage_is_5xx(evidence: Evidence) -> None:
    evidence.response("unpaid")
    endpoint = evidence.endpoint
    if endpoint.protocol is not None or endpoint.failing is None:
        reason = "the profile names no request here that makes the provider of payments fail (failing)"
        raise Inapplicable(reason)
    response = evidence.response("outage")
    if 500 <= response.status < 600:
        return
    if response.status == 402 or is_declared(evidence, response):
        raise Violation(
            expected="5xx: the provider is down, and nobody was refused",
            received=response.shown(),
            exchange="outage",
        )
    reason = f"the request that makes the provider fail (failing) is answered {response.shown()}: correct it"
    if 400 <= response.status < 500:
        raise Untestable(reason)
    raise Violation(expected="5xx, while the provider is down", received=response.shown(), exchange="outage")


@check("http.backend-agrees", unpaid, behind)
def test_backend_agrees(evidence: Evidence) -> None:
    gateway = evidence.response("unpaid")
    if evidence.profile.target.backend is None:
        reason = "the profile names no service behind the target (target.backend)"
        raise Inapplicable(reason)
    backend = evidence.response("backend")
    if gateway.status != backend.status:
        raise Violation(
            expected=f"{gateway.shown()}, as the gateway has it", received=backend.shown(), exchange="backend"
        )
    ours, theirs = _said(evidence, gateway), _said(evidence, backend)
    if ours != theirs:
        raise Violation(
            expected=f"{_shown(ours)}, as the gateway has it", received=_shown(theirs), at="body", exchange="backend"
        )


def _said(evidence: Evidence, response: Response) -> tuple[str, object]:
    """The name of the answer rule that an answer fits, and its code."""
    found = facts.matching(rules(evidence), response)
    return (found[0].name, facts.record(found[0], response).document.get("code")) if found else ("", None)


def _shown(said: tuple[str, object]) -> str:
    name, code = said
    what = f"an answer by the rule {name!r}" if name else "an answer that fits no rule"
    return what if code is None else f"{what} with code {schema.shown(code)}"
