"""Checks of class ``x402/identifier``: what an identifier is, and what is refused for the want of one."""

from collections.abc import Iterator

from conformance import identifiers as ids
from conformance.attempts import GOOD
from conformance.checks import check
from conformance.checks.identified import ACCEPTED, UNCONSUMED, attempts, control, offer_of
from conformance.checks.opening import doubt, good_payment, paid_for, served
from conformance.evidence import Evidence
from conformance.exchange import Exchange
from conformance.gather import unpaid
from conformance.outcome import Inapplicable, Untestable, Violation
from conformance.protocols import x402
from conformance.protocols.x402.identifier import IDENTIFIER, info, own_shape, requires
from conformance.replays import AIDED


@check("x402.identifier.info", unpaid)
def test_info(evidence: Evidence) -> None:
    told = info(offer_of(evidence))
    if not isinstance(told, dict) or not isinstance(told.get("required", False), bool):
        received = repr(told["required"]) if isinstance(told, dict) else repr(told)
        raise Violation(
            expected="an object in which required is true, false or absent",
            received=received[:120],
            at=f"{x402.CHALLENGE}: /extensions/{IDENTIFIER}/info",
            exchange="unpaid",
        )


@check(ACCEPTED, unpaid, ids.settled, ids.identified, ids.spelled)
def test_accepted(evidence: Evidence) -> None:
    offer = offer_of(evidence)
    good_payment(evidence, 2, AIDED.group)
    for name in (GOOD, ids.SHORTEST, ids.LONGEST):
        here = ids.named(name)
        if here not in evidence.exchanges or served(evidence, here):
            continue
        if own_shape(offer):
            reason = "the schema that is advertised asks for identifiers of a pattern of its own"
            raise Untestable(reason)
        paid = paid_for(evidence.exchange(here))
        raise Violation(
            expected="what is paid for",
            received=f"{evidence.response(here).shown()}, to an identifier {name if name != GOOD else 'of 36 characters'}",
            at=f"after {paid.story}",
            exchange=here,
        )
    control(evidence)


@check("x402.identifier.grammar", unpaid, ids.settled, ids.identified, ids.spelled)
def test_grammar(evidence: Evidence) -> None:
    for name, here, exchange in attempts(evidence, *ids.MALFORMED):
        response = evidence.response(here)
        if served(evidence, here) or not 400 <= response.status < 500:
            raise Violation(
                expected="a refusal with a 4xx",
                received=f"{response.shown()}{' with what is sold' if served(evidence, here) else ''}",
                at=f"an identifier {name}, after {paid_for(exchange).story}",
                exchange=here,
                reason=UNCONSUMED if response.status < 400 else "",
            )


@check("x402.identifier.required", unpaid, ids.settled, ids.identified, ids.spelled)
def test_required(evidence: Evidence) -> None:
    for here, exchange in _unnamed(evidence):
        if where := served(evidence, here):
            raise Violation(
                expected="an answer without what is paid for",
                received=f"{evidence.response(here).shown()} with the marker, in {where}",
                at=f"a payment without identifier, after {paid_for(exchange).story}",
                exchange=here,
                reason="the offer says that an identifier is required",
            )
        doubt(evidence, here)


@check("x402.identifier.required-is-400", unpaid, ids.settled, ids.identified, ids.spelled)
def test_required_is_400(evidence: Evidence) -> None:
    for here, _ in _unnamed(evidence):
        if (response := evidence.response(here)).status != 400:
            raise Violation(expected="400", received=response.shown(), at="a payment without identifier", exchange=here)


def _unnamed(evidence: Evidence) -> Iterator[tuple[str, Exchange]]:
    if not requires(offer_of(evidence)):
        reason = "no identifier is required"
        raise Inapplicable(reason)
    for _, here, exchange in attempts(evidence, ids.NO_IDENTIFIER):
        yield here, exchange


@check(
    "x402.identifier.refused-is-not-charged",
    *(unpaid, ids.settled, ids.identified, ids.spelled, ids.known),
)
def test_refused_is_not_charged(evidence: Evidence) -> None:
    names = (*ids.MALFORMED, ids.SHORTEST, ids.LONGEST, ids.NO_IDENTIFIER, ids.ANOTHER_PAYMENT, ids.ANOTHER_PAYER)
    for name, here, exchange in attempts(evidence, *names):
        paid = paid_for(exchange)
        if paid.charged and not served(evidence, here):
            raise Violation(
                expected="no charge, or what was paid for",
                received=evidence.response(here).shown(),
                at=f"{name}, after {paid.story}",
                exchange=here,
            )
