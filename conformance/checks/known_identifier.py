"""Checks of class ``x402/identifier``: what an identifier that is known brings back, and what it does not open."""

from conformance import identifiers as ids
from conformance.attempts import GOOD, kept_of, label
from conformance.checks import check
from conformance.checks.identified import UNCONSUMED, as_first, attempts, control, transactions
from conformance.checks.opening import charges_nothing, doubt, paid_for, served
from conformance.checks.witness import moved, still
from conformance.evidence import Evidence
from conformance.exchange import Exchange
from conformance.gather import unpaid
from conformance.marks import marked
from conformance.occasions import watched
from conformance.outcome import Inapplicable, Untestable, Violation
from conformance.protocols.x402.identifier import IDENTIFIER

_WATCHED_GOOD = (label(2, "watched", GOOD), label(2, "watched", "good again #1"))

_LATER = {409, 425, 429, 503}
"""What says that the same may be sent again: in conflict with itself as yet, too early, too often, out of order."""


@check("x402.identifier.same-answer", unpaid, ids.settled, ids.identified)
def test_same_answer(evidence: Evidence) -> None:
    control(evidence)
    first = evidence.response(ids.named(GOOD))
    for _, here, exchange in attempts(evidence, *ids.AGAIN):
        response, paid = evidence.response(here), paid_for(exchange)
        if not as_first(evidence, here):
            what = "with other content" if served(evidence, here) else "without what was paid for"
            raise Violation(
                expected=f"{first.shown()}, as the first time",
                received=f"{response.shown()}, {what}",
                at=f"the same payment with the same identifier, after {paid.story}",
                exchange=here,
                reason=UNCONSUMED,
            )
        if list(paid.asked("settle")):
            raise Violation(
                expected="no second settlement",
                received=paid.story,
                at="the same payment with the same identifier",
                exchange=here,
            )


@check("x402.identifier.same-receipt", unpaid, ids.settled, ids.identified)
def test_same_receipt(evidence: Evidence) -> None:
    control(evidence)
    told = transactions(evidence.response(ids.named(GOOD)))
    if not told:
        reason = "the good payment itself has no receipt that names a transaction"
        raise Untestable(reason, cause="x402.settlement.receipt")
    found = False
    for _, here, _ in attempts(evidence, *ids.AGAIN):
        if not served(evidence, here):
            continue
        found = True
        again = transactions(evidence.response(here))
        if again != told:
            raise Violation(
                expected=f"the receipt of before, of {' and '.join(told)}",
                received=f"one of {' and '.join(again)}" if again else "no receipt",
                at="the same payment with the same identifier",
                exchange=here,
            )
    if not found:
        reason = "the same payment with the same identifier is not answered a second time"
        raise Untestable(reason, cause="x402.identifier.same-answer")


@check("x402.identifier.runs-once", unpaid, ids.settled, watched, ids.identified, ids.known_in_other_bytes)
def test_runs_once(evidence: Evidence) -> None:
    _ran_again(evidence, "the same payment with the same identifier", ids.AGAIN)
    for twin in ids.OTHER_BYTES:
        _ran_again(evidence, f"the same payment with the same identifier, as {twin}", (f"{twin} #1", f"{twin} #2"))


@check("x402.identifier.another-request", unpaid, ids.settled, watched, ids.identified, ids.known_for_another_request)
def test_another_request(evidence: Evidence) -> None:
    control(evidence)
    for name in ids.ANOTHER_REQUEST:
        tries = (f"{name} #1", f"{name} #2")
        if ids.named(tries[0]) in evidence.exchanges:
            _ran_again(evidence, f"the same payment with the same identifier and {name}", tries)


def _ran_again(evidence: Evidence, at: str, names: tuple[str, ...]) -> None:
    """Raises Violation where each of these opened something that was made for it."""
    control(evidence)
    still(evidence, 2)
    tries = [(here, exchange) for _, here, exchange in attempts(evidence, *names)]
    # Others may use the target too: once is chance.
    if all(served(evidence, here) and moved(evidence, exchange) > 0 for here, exchange in tries):
        here, exchange = tries[-1]
        bodies = {evidence.response(good).body for good in _WATCHED_GOOD}
        if len(bodies) > 1 and all(as_first(evidence, here) for here, _ in tries):
            reason = "the witness moves for the answer of before, where each payment has its own: it counts answers"
            raise Untestable(reason)
        raise Violation(
            expected="the answer of before, or none",
            received=f"{evidence.response(here).shown()} with what is sold, and the witness moved, each time",
            at=f"{at}, after {paid_for(exchange).story}",
            exchange=here,
            reason="nothing was paid for it; a witness that counts answers, and not runs, would show the same",
        )
    for here, _ in tries:
        doubt(evidence, here)


@check("x402.identifier.conflict", unpaid, ids.settled, ids.identified, ids.known)
def test_conflict(evidence: Evidence) -> None:
    for _, here, exchange in attempts(evidence, ids.ANOTHER_PAYMENT):
        response, paid = evidence.response(here), paid_for(exchange)
        # What tells one request from another is left open: a payment signed anew for the same one may be the same.
        if response.status != 409 and not (as_first(evidence, here) and not paid.charged):
            raise Violation(
                expected="409, or the answer of before without a charge",
                received=f"{response.shown()}{', charged once more' if paid.charged else ''}",
                at=f"another payment of the same payer with the same identifier, after {paid.story}",
                exchange=here,
                reason=UNCONSUMED,
            )


@check("x402.identifier.another-payer", unpaid, ids.settled, ids.identified, ids.known)
def test_another_payer(evidence: Evidence) -> None:
    for _, here, exchange in attempts(evidence, ids.ANOTHER_PAYER):
        where, paid = served(evidence, here), paid_for(exchange)
        first = set(transactions(evidence.response(ids.named(GOOD))))
        if where and (
            not (paid.settled or charges_nothing(paid)) or first & set(transactions(evidence.response(here)))
        ):
            raise _given_away(evidence, here, exchange, where, "another payer with the same identifier")
        if not where:
            doubt(evidence, here)


@check("x402.identifier.forged", unpaid, ids.settled, ids.identified, ids.known)
def test_forged(evidence: Evidence) -> None:
    refused = []
    for name, here, exchange in attempts(evidence, *ids.ALL_FORGED):
        if where := served(evidence, here):
            raise _given_away(evidence, here, exchange, where, f"the same identifier, {name}")
        refused.append(here)
    for here in refused:
        doubt(evidence, here)


@check("x402.identifier.elsewhere", unpaid, ids.settled, ids.identified, ids.known_elsewhere)
def test_elsewhere(evidence: Evidence) -> None:
    control(evidence)
    found = False
    for endpoint in evidence.profile.endpoints:
        here = ids.at_endpoint(endpoint.name)
        if here not in evidence.exchanges:
            continue
        found = True
        exchange, plain = evidence.exchange(here), evidence.response(ids.unpaid_elsewhere(endpoint.name))
        paid, response = paid_for(exchange), evidence.response(here)
        theirs, ours = (
            marked(response, marker) if marker and not marked(plain, marker) else ""
            for marker in (endpoint.marker, evidence.endpoint.marker)
        )
        # What that endpoint sells is paid for there; what this one sells is not.
        where, own = theirs or ours, bool(theirs)
        if where and not (own and (paid.settled or charges_nothing(paid))):
            raise _given_away(evidence, here, exchange, where, f'endpoint "{endpoint.name}", with the same identifier')
    if not found:
        reason = f"no other endpoint with a marker advertises {IDENTIFIER}"
        raise Inapplicable(reason)


def _given_away(evidence: Evidence, here: str, exchange: Exchange, where: str, at: str) -> Violation:
    paid = paid_for(exchange)
    return Violation(
        expected="an answer without what another payment paid for",
        received=f"{evidence.response(here).shown()} with the marker, in {where}",
        at=f"{at}, after {paid.story}",
        exchange=here,
        reason=f"The identifier was paid for before, in {ids.named(GOOD)!r}.",
    )


@check("x402.identifier.failure-is-not-kept", unpaid, ids.settled, ids.identified, ids.failed)
def test_failure_is_not_kept(evidence: Evidence) -> None:
    for _, here, exchange in attempts(evidence, *(f"{ids.AGAIN_AFTER}{name}" for name in ids.FAILING)):
        paid, before = paid_for(exchange), paid_for(evidence.exchange(here.replace(ids.AGAIN_AFTER, "")))
        # Who asked once more right away may have been told yes.
        if (where := served(evidence, here)) and not (paid.settled or before.settled):
            raise Violation(
                expected="an answer without what was not paid for",
                received=f"{evidence.response(here).shown()} with the marker, in {where}",
                at=f"the same payment once more, after {paid.story}",
                exchange=here,
                reason=f"its settlement had not succeeded, in {here.replace(ids.AGAIN_AFTER, '')!r}",
            )


@check("x402.identifier.failure-frees", unpaid, ids.settled, ids.identified, ids.failed)
def test_failure_frees(evidence: Evidence) -> None:
    name = ids.FAILING[0]
    for _, here, exchange in attempts(evidence, f"{ids.AGAIN_AFTER}{name}"):
        before, response = evidence.exchange(ids.named(name)), evidence.response(here)
        if not any(call.fault for call in paid_for(before).asked("settle")):
            reason = "the target never asked the facilitator to settle"
            raise Inapplicable(reason)
        if served(evidence, ids.named(name)):
            reason = "the target asks once more by itself for a settlement that failed, and is told yes"
            raise Inapplicable(reason)
        again = before.response and before.response.status == response.status
        if not served(evidence, here) and not again:
            raise Violation(
                expected="what is paid for, or the refusal of before",
                received=response.shown(),
                at=f"the same payment once more, after {paid_for(exchange).story}",
                exchange=here,
                reason="its settlement had failed, so that the identifier stood for nothing",
            )


@check("x402.identifier.in-flight-runs-once", unpaid, ids.settled, watched, ids.identified, ids.in_flight)
def test_in_flight_runs_once(evidence: Evidence) -> None:
    control(evidence)
    still(evidence, 2)
    # What the witness saw of a round stands with its first copy.
    rounds = [evidence.exchange(ids.copy_of(turn, 1)) for turn in range(1, ids.ROUNDS + 1)]
    times = min(moved(evidence, exchange) for exchange in rounds)
    # A witness may count one run several times.
    if times > max(moved(evidence, evidence.exchange(good)) for good in _WATCHED_GOOD):
        raise Violation(
            expected="one run for all copies",
            received=f"the witness moved by {times} at least, in each round",
            at="copies of one payment with an identifier, at the same time",
            exchange=ids.copy_of(ids.ROUNDS, 1),
        )


@check("x402.identifier.in-flight-answer", unpaid, ids.settled, ids.identified, ids.in_flight)
def test_in_flight_answer(evidence: Evidence) -> None:
    control(evidence)
    for turn in range(1, ids.ROUNDS + 1):
        copies = [
            ids.named(name)
            for _, name, _ in kept_of(evidence.exchanges, ids.GROUP)
            if name.endswith(f"of round {turn}")
        ]
        # A copy that got no answer was told nothing that would be wrong.
        answered = [here for here in copies if evidence.exchange(here).response]
        refused = [here for here in answered if not served(evidence, here)]
        if len(refused) == len(answered):
            reason = "none of the copies of a payment was served while its settlement was slow"
            raise Untestable(reason)
        for here in refused:
            response = evidence.response(here)
            if response.status not in _LATER and not response.value("retry-after"):
                raise Violation(
                    expected="the answer of the first, 409, 425, 429 or 503, or a Retry-After",
                    received=response.shown(),
                    at="a copy that came while the first was under way",
                    exchange=here,
                    reason=UNCONSUMED,
                )
