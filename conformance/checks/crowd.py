"""Checks of class ``flows`` on many requests at the same time: no more is served than is there, and no less is taken."""

from collections.abc import Iterator
from decimal import Decimal

from conformance import effects
from conformance.checks import check
from conformance.checks.debit import debits, fits, is_dear, shown
from conformance.checks.effect import account, begun, each_flow, number, served, settled, stepped
from conformance.effects import means, paid_for
from conformance.evidence import Evidence
from conformance.flows import at_once, traversed, turns, volleyed
from conformance.outcome import Untestable, Violation
from conformance.profile import Flow, Observe, Price
from conformance.walks import label


@check("flows.parallel-serves-no-more", traversed, volleyed)
def test_parallel_serves_no_more(evidence: Evidence) -> None:
    def no_more(flow: Flow) -> None:
        bought = 0
        doubt = ""
        for turn, held, short, price, pays, _ in _rounds(evidence, flow):
            good = _served(evidence, flow, turn)
            bought += len(good)
            if len(good) > pays:
                raise Violation(
                    expected=f"{pays} of {evidence.profile.limits.volley} requests at the same time served: {held:f} is there",
                    received=f"{len(good)} served",
                    exchange=good[-1],
                    reason="the balance is looked at, and taken from after that: others look in between",
                )
            seen = _seen(evidence, flow)
            if seen and len(good) > paid_for(held, Price(minimum=seen, maximum=price.maximum), short):
                doubt = (
                    f"{len(good)} requests at the same time were served, where {held:f} is there and {seen:f} was taken "
                    f"by one alone: a price {shown(price)} leaves open whether all were paid for (flow.price)"
                )
        if doubt or not bought:
            raise Untestable(doubt or "of the requests at the same time none was served: it shows nothing")

    each_flow(evidence, no_more)


def _seen(evidence: Evidence, flow: Flow) -> Decimal | None:
    """The least that one success alone was seen to take; None where that was not seen."""
    name, watch = account(evidence, flow, begun(evidence, flow))
    taken = [
        number(evidence, label(flow, time, "credited"), name, watch)
        - number(evidence, label(flow, time, "debited"), name, watch)
        for time in (1, 2)
        if f"{label(flow, time, 'debited')} ({name})" in evidence.exchanges
    ]
    return min((one for one in taken if one > 0), default=None)


@check("flows.parallel-takes-all", traversed, volleyed)
def test_parallel_takes_all(evidence: Evidence) -> None:
    def all_taken(flow: Flow) -> None:
        wrong = []
        bought = too_many = 0
        doubt = ""
        for turn, held, short, price, pays, watched in _rounds(evidence, flow):
            good = len(_served(evidence, flow, turn))
            lost = sum(_silent(evidence, flow, turn, copy) for copy in _copies(evidence))
            total = Price(minimum=price.minimum * good, maximum=price.maximum * (good + lost))
            called = label(flow, f"round {turn}", "debited")
            bought += good
            too_many += good > pays
            left, taken = settled(evidence, called, watched, fits(held, price, times=good, lost=lost))
            told = f"{held - left:f} taken for {good} served of {held:f}, {left:f} left"
            # The last of them may overdraw it, and no other one.
            lowest = min(Decimal(0), max(held - price.maximum * pays, min(short, Decimal(0)) - price.maximum))
            if left < lowest:
                raise Violation(
                    expected=f"a balance that is not below {lowest:f}",
                    received=told,
                    at=f"probe {watched[0]!r}",
                    exchange=called,
                )
            wrong += [] if taken else [(told, shown(total), called, watched[0])]
            if taken and lost and not fits(held, price, times=good)(left):
                doubt = f"{told}, and of {lost} nobody knows whether they were served"
        if len(wrong) > 1:
            told, total_told, called, name = wrong[-1]
            raise Violation(
                expected=f"{total_told} taken",
                received=told,
                at=f"probe {name!r}",
                exchange=called,
                reason="where what is taken is finer than what is required, or depends on use, say it (flow.price)",
            )
        if wrong or not bought:
            reason = (
                "of the requests at the same time none was served" if not wrong else f"seen once only: {wrong[0][0]}"
            )
            raise Untestable(reason, cause="flows.parallel-serves-no-more" if too_many else "")
        if doubt:
            raise Untestable(doubt)

    each_flow(evidence, all_taken)


def _rounds(evidence: Evidence, flow: Flow) -> Iterator[tuple[int, Decimal, Decimal, Price, int, tuple[str, Observe]]]:
    """The rounds of requests at the same time, each as its number, what the account had, what it had when it was refused,
    the price, how many that pays for, and the probe.

    Raises Untestable where there is none.
    """
    wrong, price = list(debits(evidence, flow)), effects.price(flow, begun(evidence, flow))
    if wrong and price:
        reason = "a single success does not take its price"
        raise Untestable(reason, cause=f"flows.success-debits-{'once' if is_dear(wrong[-1][0], price) else 'price'}")
    many, asked = evidence.profile.limits.volley, 0
    for turn in turns(evidence.profile):
        called = f"round {turn}"
        if label(flow, called, "refused") not in evidence.exchanges:
            break
        record = begun(evidence, flow, called)
        watched, price = account(evidence, flow, record), effects.price(flow, record)
        if price is None or price.minimum <= 0:
            reason = "nothing says what a success costs at least: say it (flow.price)"
            raise Untestable(reason)
        stepped(evidence, flow, called)
        held, short = (number(evidence, label(flow, called, when), *watched) for when in ("credited", "refused"))
        if not price.maximum <= means(held, short) or not held < price.minimum * many:
            reason = (
                f'flow "{flow.name}" leaves {held:f}, and a call takes {shown(price)}: for a race there has to be enough '
                f"for one call, and less than for {many} (limits.volley)"
            )
            raise Untestable(reason)
        asked += 1
        pays = paid_for(held, price, short)
        if short < 0 and pays >= many:
            reason = f"who is refused has {short:f}: as far as that may be owed, {held:f} pays for all {many} (limits.volley)"
            raise Untestable(reason)
        yield turn, held, short, price, pays, watched
    if not asked:
        reason = f'flow "{flow.name}" cannot be undone, so that it is gone once only (flow.undo)'
        raise Untestable(reason)


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
