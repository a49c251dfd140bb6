"""Checks of class ``flows`` on balances that answers state: the ones that probes read at that moment."""

from collections.abc import Callable, Iterator
from decimal import Decimal

from conformance import effects
from conformance.checks import check
from conformance.checks.debit import unmoved
from conformance.checks.effect import account, begun, each_flow, in_one_unit, last, number, served, settled, stepped
from conformance.effects import about, same_unit
from conformance.evidence import Evidence
from conformance.facts import Record, record
from conformance.flows import traversed
from conformance.outcome import Inapplicable, Untestable, Violation
from conformance.profile import Flow, Observe
from conformance.walks import label

_STATED = ("balance", "remaining", "used", "limit", "required")


@check("flows.refusal-states-balance", traversed)
def test_refusal_states_balance(evidence: Evidence) -> None:
    def states(flow: Flow) -> None:
        said = begun(evidence, flow)
        called = label(flow, 1, "refused")
        for name, watch, fact, stated in _stated(evidence, flow, said):
            found = number(evidence, called, name, watch)
            in_one_unit(evidence, flow, said, name, watch)
            if effects.moves([number(evidence, label(flow, 1, "before"), name, watch), found]):
                reason = f"probe {name!r} moves with a refusal, or by itself: there is nothing to compare"
                raise Untestable(reason)
            if not about(stated, found, stated):
                raise Violation(
                    expected=f"{fact} {found:f}, which is what probe {name!r} reads before the refusal and after it",
                    received=f"{stated:f}",
                    at=said.facts[fact].at,
                    exchange=called,
                )

    each_flow(evidence, states)


@check("flows.success-states-balance", traversed)
def test_success_states_balance(evidence: Evidence) -> None:
    def states(flow: Flow) -> None:
        refused = begun(evidence, flow)
        called = last(evidence, label(flow, 1, "opened"))
        stepped(evidence, flow)
        response = evidence.response(called)
        if not served(evidence, response):
            reason = "no success is seen"
            raise Untestable(reason, cause="flows.remedy-opens")
        said = record(refused.rule, response)
        fields = {name: fact for name, fact in said.facts.items() if fact.part == "field" and name != "required"}
        told = Record(rule=said.rule, facts=fields, document={**said.document, "unit": refused.document.get("unit")})
        for name, watch, fact, stated in _stated(evidence, flow, told):
            if name != account(evidence, flow, refused)[0]:
                continue
            held = number(evidence, label(flow, 1, "credited"), name, watch)
            left = label(flow, 1, "debited")
            found, fits = settled(evidence, left, (name, watch), _says(stated))
            if not fits and about(held, found) and unmoved(evidence, flow, 1, name, watch):
                reason = f"probe {name!r} moves neither with the steps nor with the success: it lags"
                raise Untestable(reason)
            if not fits:
                raise Violation(
                    expected=f"{fact} {found:f}, which is what probe {name!r} reads after the success",
                    received=f"{stated:f}",
                    at=fields[fact].at,
                    exchange=called,
                )

    each_flow(evidence, states)


def _stated(evidence: Evidence, flow: Flow, said: Record) -> Iterator[tuple[str, Observe, str, Decimal]]:
    """Each probe of the account that reads what an answer states: its name, itself, the fact, and what is stated."""
    stated = {
        fact: found
        for fact in _STATED
        if fact in said.facts
        if (found := effects.quantity(said.document.get(fact))) is not None
    }
    if not stated:
        reason = "the answer states nothing that a probe could read"
        raise Inapplicable(reason)
    compared = 0
    for name, watch in evidence.profile.observe.items():
        if watch.identity != flow.identity or not same_unit(watch.unit, said.document.get("unit")):
            continue
        fact = name if name in _STATED else next((one for one in ("balance", "remaining") if one in stated), "")
        if fact in stated:
            compared += 1
            yield name, watch, fact, stated[fact]
    if not compared:
        reason = (
            f'no [observe] probe reads what identity "{flow.identity}" has in the unit of the refusal '
            f"({said.document.get('unit') or 'none is told'})"
        )
        raise Untestable(reason)


def _says(stated: Decimal) -> Callable[[Decimal], bool]:
    """Whether what a probe reads is what an answer states, as finely as that is told."""
    return lambda found: about(stated, found, stated)
