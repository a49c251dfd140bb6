"""Checks of class ``x402/offer`` on the extensions of an offer."""

from jsonschema.exceptions import SchemaError
from referencing.exceptions import Unresolvable

from conformance import schema
from conformance.checks import check
from conformance.checks.offer import at, malformed, offers, problems
from conformance.evidence import Evidence
from conformance.gather import unpaid
from conformance.outcome import Inapplicable, Violation


@check("x402.offer.extensions", unpaid)
def test_extensions(evidence: Evidence) -> None:
    for offer, problem, spot in problems(evidence):
        if problem.at[:1] == ("extensions",):
            raise malformed(offer, problem, spot)


_COMPLETED_BY_SERVERS = {"bazaar"}
"""Extensions whose info the server gives whole; others describe in their schema what the client adds."""


@check("x402.offer.extension-info-fits", unpaid)
def test_extension_info_fits(evidence: Evidence) -> None:
    found = [
        (offer, key, value)
        for offer in offers(evidence)
        for key, value in offer.extensions().items()
        if key in _COMPLETED_BY_SERVERS and isinstance(value, dict) and isinstance(value.get("schema"), dict)
    ]
    if not found:
        reason = "no extension whose info the server completes"
        raise Inapplicable(reason)
    for offer, key, value in found:
        place = at(offer, f"/extensions/{key}")
        try:
            error = next(schema.violations(value.get("info"), value["schema"]), None)
        except (SchemaError, Unresolvable, RecursionError, OverflowError) as broken:
            raise Violation(
                expected="a JSON Schema (2020-12) that stands on its own",
                received=str(broken).partition("\n")[0][:120],
                at=f"{place}/schema",
                exchange="unpaid",
            ) from broken
        if error:
            raise Violation(
                expected="info that its own schema allows", received=error.message[:120], at=place, exchange="unpaid"
            )
