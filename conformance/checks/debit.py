"""Checks of class ``flows`` on what calls take: a refusal nothing, a success its price, many at once no more than is there."""

from collections.abc import Callable, Iterator
from decimal import Decimal

from conformance import effects
from conformance.checks import check
from conformance.checks.effect import (
    account,
    begun,
    each_flow,
    last,
    number,
    served,
    settled,
    stepped,
)
from conformance.effects import about, same_unit, within
from conformance.evidence import Evidence
from conformance.facts import Record, record
from conformance.flows import REFUSALS, at_once, label, refused_often, traversed, volleyed
from conformance.outcome import Inapplicable, Untestable, Violation
from conformance.profile import Flow, Observe, Price

_STATED = ("balance", "remaining", "used", "limit", "required")


@check("flows.success-debits-once", traversed)
def test_success_debits_once(evidence: Evidence) -> None:
    def once(flow: Flow) -> None:
        wrong = list(_debits(evidence, flow))
        price = effects.price(flow, begun(evidence, flow))
        if price is None:
            _same_each_time(flow, wrong)
            return
        for debit, called, name in wrong[-1:]:
            if debit > price.maximum or debit <= 0:
                raise Violation(
                    expected=f"{_shown(price)} taken by one success",
                    received=f"{debit:f} taken" if debit > 0 else f"{debit:f} taken: it is not charged",
                    at=f"probe {name!r}",
                    exchange=called,
                    reason="twice the price: it is taken two times" if debit == 2 * price.maximum else "",
                )

    each_flow(evidence, once)


@check("flows.success-debits-price", traversed)
def test_success_debits_price(evidence: Evidence) -> None:
    def exactly(flow: Flow) -> None:
        wrong = list(_debits(evidence, flow))
        price = effects.price(flow, begun(evidence, flow))
        if price is None:
            reason = "nothing says what a success costs: no fact required, no flow.price"
            raise Inapplicable(reason)
        for debit, called, name in wrong[-1:]:
            if not 0 < debit <= price.maximum:
                reason = "a success does not take its price once"
                raise Untestable(reason, cause="flows.success-debits-once")
            raise Violation(
                expected=f"{_shown(price)} taken by one success",
                received=f"{debit:f} taken",
                at=f"probe {name!r}",
                exchange=called,
                reason="where what is taken depends on use, say from what to what: flow.price = { min, max }",
            )

    each_flow(evidence, exactly)


def _debits(evidence: Evidence, flow: Flow) -> Iterator[tuple[Decimal, str, str]]:
    """What successes took that is not the price, with the label of the reading and the name of the probe.

    Where nothing says what the price is, what each of them took. Untestable where one time was right and the other was
    not, or nothing shows it.
    """
    record = begun(evidence, flow)
    name, watch = account(evidence, flow, record)
    price = effects.price(flow, record)
    right, wrong = 0, []
    for time in (1, 2):
        called = last(evidence, label(flow, time, "opened"))
        if called not in evidence.exchanges:
            continue
        stepped(evidence, flow, time)
        if not served(evidence, evidence.response(called)):
            continue
        held = number(evidence, label(flow, time, "credited"), name, watch)
        called = label(flow, time, "debited")
        if price is None:
            wrong.append((held - number(evidence, called, name, watch), called, name))
            continue
        left, fits = settled(evidence, called, (name, watch), _fits(held, price))
        right += fits
        wrong += [] if fits else [(held - left, called, name)]
    if not right and not wrong:
        stepped(evidence, flow)
        reason = f'flow "{flow.name}" does not open the request, so that no success is seen'
        raise Untestable(reason, cause="flows.remedy-opens")
    if right and wrong and price:
        reason = f"of two successes one took its price and one did not, by probe {name!r}: others use this account"
        raise Untestable(reason)
    yield from wrong


def _fits(held: Decimal, price: Price) -> Callable[[Decimal], bool]:
    """Whether what is left of ``held`` is less by the price."""
    return lambda left: within(held - left, price, held, left)


def _says(stated: Decimal) -> Callable[[Decimal], bool]:
    """Whether what a probe reads is what an answer states, as finely as that is told."""
    return lambda found: about(stated, found, stated)


def _same_each_time(flow: Flow, debits: list[tuple[Decimal, str, str]]) -> None:
    taken = [debit for debit, _, _ in debits]
    if len(taken) < 2 or min(taken) <= 0 or not about(taken[0], taken[1]):
        told = " and ".join(f"{debit:f}" for debit in taken)
        reason = (
            f"nothing says what a success of flow {flow.name!r} costs, and successes took {told}: say it (flow.price), "
            f"or where the refusal does (answer.facts, required)"
        )
        raise Untestable(reason)


def _shown(price: Price) -> str:
    low, high = f"{price.minimum:f}", f"{price.maximum:f}"
    return low if low == high else f"from {low} to {high}"


@check("flows.parallel-serves-no-more", traversed, volleyed)
def test_parallel_serves_no_more(evidence: Evidence) -> None:
    def no_more(flow: Flow) -> None:
        bought = 0
        for turn, held, price, _ in _rounds(evidence, flow):
            good = _served(evidence, flow, turn)
            bought += len(good)
            pays = int(held / price.minimum)
            if len(good) > pays:
                raise Violation(
                    expected=f"{pays} of {evidence.profile.limits.volley} requests at the same time served: {held:f} is there",
                    received=f"{len(good)} served",
                    exchange=good[-1],
                    reason="the balance is looked at, and taken from after that: others look in between",
                )
        if not bought:
            reason = "of the requests at the same time none was served: it shows nothing"
            raise Untestable(reason)

    each_flow(evidence, no_more)


@check("flows.parallel-takes-all", traversed, volleyed)
def test_parallel_takes_all(evidence: Evidence) -> None:
    def all_taken(flow: Flow) -> None:
        wrong = []
        bought = too_many = 0
        for turn, held, price, watched in _rounds(evidence, flow):
            good = len(_served(evidence, flow, turn))
            lost = sum(_silent(evidence, flow, turn, copy) for copy in _copies(evidence))
            total = Price(minimum=price.minimum * good, maximum=price.maximum * (good + lost))
            called = label(flow, f"round {turn}", "debited")
            bought += good
            too_many += good > int(held / price.minimum)
            left, fits = settled(evidence, called, watched, _fits(held, total))
            told = f"{held - left:f} taken for {good} served of {held:f}, {left:f} left"
            if left < 0:
                raise Violation(
                    expected="a balance that is not below zero",
                    received=told,
                    at=f"probe {watched[0]!r}",
                    exchange=called,
                )
            wrong += [] if fits else [(told, _shown(total), called, watched[0])]
        if len(wrong) > 1:
            told, total_told, called, name = wrong[-1]
            raise Violation(expected=f"{total_told} taken", received=told, at=f"probe {name!r}", exchange=called)
        if wrong or not bought:
            reason = (
                "of the requests at the same time none was served" if not wrong else f"seen once only: {wrong[0][0]}"
            )
            raise Untestable(reason, cause="flows.parallel-serves-no-more" if too_many else "")

    each_flow(evidence, all_taken)


def _rounds(evidence: Evidence, flow: Flow) -> Iterator[tuple[int, Decimal, Price, tuple[str, Observe]]]:
    """The rounds of requests at the same time: number, what the account had, price and probe; Untestable for none."""
    if any(_debits(evidence, flow)) and effects.price(flow, begun(evidence, flow)):
        reason = "a single success does not take its price"
        causes = {"once": test_success_debits_once, "price": test_success_debits_price}
        cause = next(
            (f"flows.success-debits-{name}" for name, one in causes.items() if _breaks(one.decide, evidence)), ""
        )
        raise Untestable(reason, cause=cause)
    many, asked = evidence.profile.limits.volley, 0
    for turn in range(1, evidence.profile.limits.rounds + 1):
        called = f"round {turn}"
        if label(flow, called, "refused") not in evidence.exchanges:
            break
        record = begun(evidence, flow, called)
        watched, price = account(evidence, flow, record), effects.price(flow, record)
        if price is None or price.minimum <= 0:
            reason = "nothing says what a success costs at least: say it (flow.price)"
            raise Untestable(reason)
        stepped(evidence, flow, called)
        held = number(evidence, label(flow, called, "credited"), *watched)
        if not price.minimum <= held < price.minimum * many:
            reason = (
                f'flow "{flow.name}" leaves {held:f}, and a call takes {_shown(price)}: for a race there has to be enough '
                f"for one call, and less than for {many} (limits.volley)"
            )
            raise Untestable(reason)
        asked += 1
        yield turn, held, price, watched
    if not asked:
        reason = f'flow "{flow.name}" cannot be undone, so that it is gone once only (flow.undo)'
        raise Untestable(reason)


def _breaks(decide: object, evidence: Evidence) -> bool:
    try:
        decide(evidence)  # type: ignore[operator]
    except Violation:
        return True
    except (Untestable, Inapplicable):
        return False
    return False


def _copies(evidence: Evidence) -> range:
    return range(1, evidence.profile.limits.volley + 1)


def _served(evidence: Evidence, flow: Flow, turn: int) -> list[str]:
    """The labels of what was served of a round."""
    labels = [at_once(flow, turn, copy) for copy in _copies(evidence)]
    answers = [(one, evidence.exchange(one)) for one in labels]
    return [one for one, had in answers if had.response and not had.failure and served(evidence, had.response)]


def _silent(evidence: Evidence, flow: Flow, turn: int, copy: int) -> bool:
    """Whether nobody knows of a request if it was served: no answer came, or one that failed, or lacks the marker."""
    had = evidence.exchange(at_once(flow, turn, copy))
    if had.failure or had.response is None or had.response.status >= 500:
        return True
    unclear = effects.refusal(evidence.profile, evidence.endpoint, had.response) is None and had.response.status < 300
    return unclear and not served(evidence, had.response)


@check("flows.refusal-states-balance", traversed)
def test_refusal_states_balance(evidence: Evidence) -> None:
    def states(flow: Flow) -> None:
        said = begun(evidence, flow)
        called = label(flow, 1, "refused")
        for name, watch, fact, stated in _stated(evidence, flow, said):
            found = number(evidence, called, name, watch)
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
            number(evidence, label(flow, 1, "credited"), name, watch)
            left = label(flow, 1, "debited")
            found, fits = settled(evidence, left, (name, watch), _says(stated))
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


@check("flows.refusal-has-no-effect", refused_often)
def test_refusal_has_no_effect(evidence: Evidence) -> None:
    control = next((flow for flow in _with_undo(evidence)), None)
    watches = evidence.profile.observe
    lively = [name for name in watches if control and _moved(evidence, control, name)]
    doubts: list[str] = []
    proven = 0
    for who in dict.fromkeys(called.partition(" #")[0] for called in evidence.exchanges if " #1: refusal " in called):
        for name, watch in watches.items():
            spans = [
                _span(evidence, who, time, name, watch)
                for time in (1, 2)
                if f"{who} #{time}: refusal 1" in evidence.exchanges
            ]
            if any(span is None for span in spans):
                continue
            proven += name in lively
            if not spans[0]:
                continue
            if f"{who} #1: at rest ({name})" in evidence.exchanges:
                rests = (
                    number(evidence, f"{who} #{time}: {when}", name, watch)
                    for time in (1, 2)
                    for when in ("after", "at rest")
                    if f"{who} #{time}: {when} ({name})" in evidence.exchanges
                )
                pairs = list(rests)
                still = all(about(one, other) for one, other in zip(pairs[::2], pairs[1::2], strict=False))
                if still and len(spans) == 2 and spans[1] and about(spans[0], spans[1]):
                    raise Violation(
                        expected=f"probe {name!r} unmoved by {REFUSALS} refusals",
                        received=f"it moves by {spans[0]:f}, and by as much once more, and stands still at rest",
                        at=watch.path,
                        exchange=f"{who} #1: refusal {REFUSALS}",
                    )
            doubts.append(f"probe {name!r} moves, and not with the refusals alone: others use this account, or it lags")
    if doubts:
        raise Untestable(doubts[0])
    if not proven:
        names = ", ".join(map(repr, watches))
        reason = f"no probe ({names}) was seen to move by the steps of a flow that can be undone, beside refusals: that it stands still says nothing"
        raise Untestable(reason)


def _with_undo(evidence: Evidence) -> Iterator[Flow]:
    own = [flow for flow in evidence.profile.flows if flow.endpoint == evidence.endpoint.name]
    return (flow for flow in (*own, *evidence.profile.flows) if flow.undo)


def _moved(evidence: Evidence, flow: Flow, name: str) -> bool:
    watch = evidence.profile.observe[name]
    before, after = (
        effects.reading(watch, evidence.exchange(f"{label(flow, 'control', when)} ({name})").response)
        for when in ("before", "after")
    )
    return before is not None and after is not None and not about(before, after)


def _span(evidence: Evidence, who: str, time: int, name: str, watch: Observe) -> Decimal | None:
    """By how much a probe moved over refusals; None where one was none."""
    for nth in range(1, REFUSALS + 1):
        called = f"{who} #{time}: refusal {nth}"
        if called not in evidence.exchanges or not effects.refusal(
            evidence.profile, evidence.endpoint, evidence.response(called)
        ):
            return None
    before, after = (number(evidence, f"{who} #{time}: {when}", name, watch) for when in ("before", "after"))
    return after - before
