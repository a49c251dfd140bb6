"""Checks of class ``flows`` on what a success takes: its price, once."""

from collections.abc import Callable, Iterator
from decimal import Decimal

from conformance import effects
from conformance.checks import check
from conformance.checks.effect import (
    account,
    begun,
    each_flow,
    every_reading,
    last,
    number,
    served,
    settled,
    stepped,
)
from conformance.effects import about, within
from conformance.evidence import Evidence
from conformance.flows import traversed
from conformance.outcome import Inapplicable, Untestable, Violation
from conformance.profile import Flow, Observe, Price
from conformance.walks import label


@check("flows.success-debits-once", traversed)
def test_success_debits_once(evidence: Evidence) -> None:
    def once(flow: Flow) -> None:
        wrong = list(debits(evidence, flow))
        price = effects.price(flow, begun(evidence, flow))
        if price is None:
            _same_each_time(flow, wrong)
            return
        for debit, called, name in wrong[-1:]:
            if is_dear(debit, price):
                raise Violation(
                    expected=f"{shown(price)} taken by one success",
                    received=f"{debit:f} taken" if debit > 0 else f"{debit:f} taken: it is not charged",
                    at=f"probe {name!r}",
                    exchange=called,
                    reason="twice the price: it is taken two times" if debit == 2 * price.maximum else "",
                )

    each_flow(evidence, once)


@check("flows.success-debits-price", traversed)
def test_success_debits_price(evidence: Evidence) -> None:
    def exactly(flow: Flow) -> None:
        wrong = list(debits(evidence, flow))
        price = effects.price(flow, begun(evidence, flow))
        if price is None:
            reason = "nothing says what a success costs: no fact required, no flow.price"
            raise Inapplicable(reason)
        for debit, called, name in wrong[-1:]:
            if is_dear(debit, price):
                reason = "a success does not take its price once"
                raise Untestable(reason, cause="flows.success-debits-once")
            raise Violation(
                expected=f"{shown(price)} taken by one success",
                received=f"{debit:f} taken",
                at=f"probe {name!r}",
                exchange=called,
                reason="where what is taken depends on use, say from what to what: flow.price = { min, max }",
            )

    each_flow(evidence, exactly)


def debits(evidence: Evidence, flow: Flow) -> Iterator[tuple[Decimal, str, str]]:
    """What successes took that is not the price, with the label of the reading and the name of the probe.

    Where nothing says what the price is, what each of them took. Untestable where one time was right and the other was
    not, or nothing shows it.
    """
    record = begun(evidence, flow)
    name, watch = account(evidence, flow, record)
    price = effects.price(flow, record)
    right, wrong, still = 0, [], False
    told = every_reading(evidence, name, watch)
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
        left, taken = settled(evidence, called, (name, watch), fits(held, price))
        if not taken and about(held, left) and unmoved(evidence, flow, time, name, watch):
            still = True
            continue
        # Where half of it may be the price, so may twice as much.
        if taken and (within(price.minimum / 2, price, *told) or not within(held - left, price, *told)):
            reason = f"probe {name!r} does not tell a call that takes {shown(price)} from one that takes nothing, or twice as much"
            raise Untestable(reason)
        right += taken
        wrong += [] if taken else [(held - left, called, name)]
    if still and not right:
        reason = f"probe {name!r} moves neither with the steps nor with a success: it lags, or reads something else"
        raise Untestable(reason)
    if not right and not wrong:
        stepped(evidence, flow)
        reason = f'flow "{flow.name}" does not open the request, so that no success is seen'
        raise Untestable(reason, cause="flows.remedy-opens")
    if right and wrong and price:
        reason = f"of two successes one took its price and one did not, by probe {name!r}: others use this account"
        raise Untestable(reason)
    yield from wrong


def unmoved(evidence: Evidence, flow: Flow, time: int, name: str, watch: Observe) -> bool:
    """Whether the probe reads after the steps what it read before them, or read so at first."""
    if f"{label(flow, time, 'credited')}, early 1 ({name})" in evidence.exchanges:
        return True
    held, had = (number(evidence, label(flow, time, when), name, watch) for when in ("credited", "refused"))
    return about(held, had)


def fits(held: Decimal, price: Price, *, times: int = 1, lost: int = 0) -> Callable[[Decimal], bool]:
    """Whether what is left of ``held`` is less by the price, so many ``times``."""
    return lambda left: within(held - left, price, held, left, times=times, lost=lost)


def is_dear(debit: Decimal, price: Price) -> bool:
    """Whether a success took more than its price, or nothing of it."""
    return debit > price.maximum or debit <= 0


def _same_each_time(flow: Flow, debits: list[tuple[Decimal, str, str]]) -> None:
    taken = [debit for debit, _, _ in debits]
    if len(taken) < 2 or min(taken) <= 0 or not about(taken[0], taken[1]):
        told = " and ".join(f"{debit:f}" for debit in taken)
        reason = (
            f"nothing says what a success of flow {flow.name!r} costs, and successes took {told}: say it (flow.price), "
            f"or where the refusal does (answer.facts, required)"
        )
        raise Untestable(reason)


def shown(price: Price) -> str:
    low, high = f"{price.minimum:f}", f"{price.maximum:f}"
    return low if low == high else f"from {low} to {high}"
