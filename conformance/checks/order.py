"""Checks of class ``x402/order``: what runs before what, as the witness and the facilitator saw it."""

from collections.abc import Container, Iterator

from conformance.attempts import GOOD, label
from conformance.checks import check
from conformance.checks.opening import attempts, charges_nothing, controls, paid_for, served, versions
from conformance.checks.reuse import charged, uses
from conformance.checks.witness import moved, still
from conformance.evidence import Evidence
from conformance.exchange import Exchange
from conformance.gather import unpaid
from conformance.occasions import order_of, promptly, watched
from conformance.outcome import Inapplicable, Violation
from conformance.paid import Paid
from conformance.protocols.x402.payment import Flow
from conformance.replays import AIDED, settled_once
from conformance.volleys import ALIKE, AS_TWINS, volleys

_NEAR = 0.3
"""Seconds within which two clocks of a busy machine agree; half of what a slow settlement takes."""

_GOOD = (GOOD, "good again #1")


def _watched(
    evidence: Evidence, *names: str, flows: Container[str] = tuple(Flow)
) -> Iterator[tuple[str, Exchange, Paid]]:
    """The watched attempts of these names in these flows, twice each; Inapplicable where there are none."""
    found = False
    for version, name, exchange in attempts(evidence, "watched"):
        plain = name.rpartition(" #")[0]
        paid = paid_for(exchange)
        # What is settled first may never be verified: then nobody said no to it.
        unheard = plain == "verify/no" and paid.settled and not list(paid.asked("verify"))
        if plain in names and paid.flow in flows and not unheard:
            found = True
            still(evidence, version)
            yield label(version, "watched", name), exchange, paid
    if not found:
        reason = "nothing that is offered here has such a flow, or what is to be changed in a payment"
        raise Inapplicable(reason)


def _runs(evidence: Evidence, *names: str, flows: Container[str] = tuple(Flow)) -> None:
    """Raises Violation where the handler ran each time for an attempt of these names."""
    each: dict[tuple[int, str], list[tuple[str, Exchange]]] = {}
    for here, exchange, paid in _watched(evidence, *names, flows=flows):
        each.setdefault((paid.version, here.rpartition(" #")[0]), []).append((here, exchange))
    for tries in each.values():
        # Others may use the target too: once is chance.
        if all(moved(evidence, exchange) > 0 for _, exchange in tries):
            here, exchange = tries[-1]
            paid = paid_for(exchange)
            raise Violation(
                expected="a handler that does not run",
                received=f"{evidence.response(here).shown()}, and the witness moved, {len(tries)} times out of {len(tries)}",
                at=f"version {paid.version}, after {paid.story}",
                exchange=here,
            )


@check("x402.order.unpaid-runs-nothing", unpaid, watched)
def test_unpaid_runs_nothing(evidence: Evidence) -> None:
    tries = [
        exchange for exchange in (evidence.exchange(here) for here in evidence.labels("watched unpaid")) if exchange
    ]
    for version, _ in controls(evidence, "watched"):
        still(evidence, version)
    if tries and all(moved(evidence, exchange) > 0 for exchange in tries):
        raise Violation(
            expected="a handler that does not run",
            received=f"{evidence.response('watched unpaid #1').shown()}, and the witness moved, each time",
            at="a request without payment",
            exchange="watched unpaid #1",
        )


@check("x402.order.rejected-runs-nothing", unpaid, watched)
def test_rejected_runs_nothing(evidence: Evidence) -> None:
    _runs(evidence, "forged", "verify/no")


@check("x402.order.unsettled-runs-nothing", unpaid, watched)
def test_unsettled_runs_nothing(evidence: Evidence) -> None:
    _runs(evidence, "settle/no", flows={Flow.UPFRONT, Flow.ESCROW})


@check("x402.order.flow-is-advertised", unpaid, watched)
def test_flow_is_advertised(evidence: Evidence) -> None:
    if versions(evidence) == (1,):
        reason = "version 1 names no flow"
        raise Inapplicable(reason)
    for here, exchange, paid in _watched(evidence, "settle/no", flows={Flow.AUTHORIZATION}):
        if paid.version == 2 and list(paid.asked("settle")) and moved(evidence, exchange) == 0:
            raise Violation(
                expected="a handler that runs before the settlement, or a paymentFlow that says otherwise",
                received="a handler that does not run when the settlement fails",
                at=f"version {paid.version}, after {paid.story}",
                exchange=here,
                reason="it settles first and offers flow authorization",
            )


@check("x402.order.payer-does-not-choose", unpaid, watched)
def test_payer_does_not_choose(evidence: Evidence) -> None:
    for here, exchange, paid in _watched(evidence, "accepted-flow"):
        if not paid.calls:
            continue
        version, ran = paid.version, moved(evidence, exchange) > 0
        usual = order_of(paid_for(evidence.exchange(label(version, "watched", GOOD))))
        if order_of(paid) != usual and (ran or paid.charged):
            raise Violation(
                expected=f"{' and then '.join(usual)}, or a refusal",
                received=" and then ".join(order_of(paid)),
                at=f"version {version}, {paid.story}",
                exchange=here,
                reason=_CHOSEN,
            )
    for version in (1, 2):
        _same_when_unsettled(evidence, version)


_CHOSEN = "the payer wrote another paymentFlow into the copy of the offer"


def _same_when_unsettled(evidence: Evidence, version: int) -> None:
    """Raises Violation where a settlement that fails stops the handler or not, as the payer chose."""
    usual, chosen = (
        [
            (label(version, "watched", name), paid_for(exchange), moved(evidence, exchange) > 0)
            for of, name, exchange in attempts(evidence, "watched")
            if of == version and name.rpartition(" #")[0] == wanted
        ]
        for wanted in ("settle/no", "accepted-flow, settle/no")
    )
    # Who asks for no settlement refuses, unless the handler runs all the same.
    tries = [(here, paid, ran) for here, paid, ran in chosen if ran or list(paid.asked("settle"))]
    ran_before = all(ran for *_, ran in usual)
    if not tries or len(tries) < len(chosen) or not (ran_before or not any(ran for *_, ran in usual)):
        return
    if all(ran != ran_before for *_, ran in tries):
        here, paid, ran = tries[-1]
        raise Violation(
            expected="a handler that runs before the settlement" if ran_before else "a handler that does not run",
            received=f"{evidence.response(here).shown()}, and the witness {'moved' if ran else 'did not move'}, each time",
            at=f"version {version}, after {paid.story}",
            exchange=here,
            reason=_CHOSEN,
        )


@check("x402.order.runs-once", unpaid, watched)
def test_runs_once(evidence: Evidence) -> None:
    for version, exchange in controls(evidence, "watched"):
        still(evidence, version)
        again = evidence.exchange(label(version, "watched", "good again #1"))
        times = min(moved(evidence, exchange), moved(evidence, again))
        if times > 1:
            raise Violation(
                expected="a handler that runs once",
                received=f"the witness moved by {times}, twice",
                at=f"version {version}, after {paid_for(exchange).story}",
                exchange=label(version, "watched", GOOD),
                reason="a witness that counts one run several times would show the same",
            )


@check("x402.order.copies-run-once", unpaid, watched, settled_once(AIDED), volleys(AIDED))
def test_copies_run_once(evidence: Evidence) -> None:
    for version in charged(evidence, AIDED):
        for _ in controls(evidence, "watched"):
            pass
        still(evidence, version)
        # A witness may count one run several times.
        usual = max(moved(evidence, evidence.exchange(label(version, "watched", name))) for name in _GOOD)
        # What goes to another resource may run another handler.
        firsts = [
            here for here, name in uses(evidence, AIDED, version) if name in {f"{ALIKE}, copy 1", f"{AS_TWINS}, copy 1"}
        ]
        times = {here: moved(evidence, evidence.exchange(here)) for here in firsts}
        # Others may use the target too: once is chance.
        if times and min(times.values()) > usual:
            here = firsts[0]
            raise Violation(
                expected=f"a handler that runs once: a witness that moves by {usual}, as for one payment",
                received=f"the witness moved by {' and then by '.join(map(str, times.values()))}",
                at=f"version {version}, many copies of one payment at the same time",
                exchange=here,
                reason="what the copies beside the first are not given is made for them all the same",
            )


@check("x402.order.settled-before-answer", unpaid, promptly)
def test_settled_before_answer(evidence: Evidence) -> None:
    for version, name, exchange in attempts(evidence, "promptly"):
        here, paid = label(version, "promptly", name), paid_for(exchange)
        settled = [call.finished for call in paid.asked("settle") if call.good and call.finished is not None]
        if not served(evidence, here) or charges_nothing(paid):
            continue
        began = exchange.at + (exchange.took if exchange.content is None else exchange.content)
        if not settled or began < min(settled) - _NEAR:
            early = f"{min(settled) - began:.2f} s before" if settled else "without"
            raise Violation(
                expected="no content before the settlement",
                received=f"its first byte {early} the settlement",
                at=f"version {version}, after {paid.story}",
                exchange=here,
            )
