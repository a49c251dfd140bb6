"""The check of class ``http`` on bodies that are drawn: none of them brings what is sold."""

from conformance.bodies import other_bodies
from conformance.checks import bodily, check
from conformance.checks.leak import not_for_a_decline
from conformance.evidence import Evidence
from conformance.gather import unpaid


@check("http.refused-for-any-body", unpaid, other_bodies, drawn=bodily.DRAWN)
def test_refused_for_any_body(evidence: Evidence) -> None:
    evidence.response("unpaid")
    not_for_a_decline(evidence)
    bodily.opens_nothing(evidence)
