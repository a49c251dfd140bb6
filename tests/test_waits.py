"""What takes long: asked at one endpoint alone, and then at the others together where that shows the same."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from fault_retry import under_way
from judging import Judged, judged_paid
from serving import Answer
from shop import Brought, shop

from conformance import waits
from conformance.exchange import Exchange
from conformance.outcome import Outcome

SLOW = ("x402.settlement.expired-meanwhile", "x402.settlement.in-flight", "x402.order.in-flight-runs-once")
HANGS = ("x402.settlement.facilitator-hangs", "x402.settlement.answers-in-time")
GOODS = ("/weather", "/forecast", "/satellite", "/report")
_AT_ONCE = 0.6
"""Seconds within which requests leave that leave at the same time, on a machine that does something else too."""


def begun(judged: Judged, name: str) -> list[float]:
    """When the request called ``name`` left at each endpoint, in order."""
    return sorted(exchange.at for exchange in named(judged, name))


def named(judged: Judged, name: str) -> list[Exchange]:
    """What came of the requests whose names end with ``name``, each once."""
    found = {
        key: result.exchanges[key]
        for result in judged.results.values()
        for labels in result.evidence
        for label, key in labels.items()
        if label.endswith(name)
    }
    return list(found.values())


def outcomes(judged: Judged) -> set[Outcome]:
    """All that the rows came to."""
    return {result.outcome for result in judged.results.values()}


def test_the_first_endpoint_is_slow_alone_and_the_others_together() -> None:
    """What was seen to at once at one endpoint is asked of all others at the same time, once that one has done."""
    with shop() as found:
        judged = judged_paid(found, goods=GOODS, only=SLOW, slow=True)
    assert outcomes(judged) == {Outcome.PASSED}, judged.red()
    first, *others = begun(judged, "brief: slow")
    assert len(others) == len(GOODS) - 1
    assert others[0] - first > 2
    assert others[-1] - others[0] < _AT_ONCE


def test_none_is_slow_alone_where_as_many_were_under_way_before() -> None:
    """Endpoints whose silent payments were under way at the same time are slow at the same time too."""
    with shop() as found:
        judged = judged_paid(found, goods=GOODS, only=(*HANGS, *SLOW), slow=True)
    assert outcomes(judged) == {Outcome.PASSED}, judged.red()
    assert begun(judged, "brief: slow")[-1] - begun(judged, "brief: slow")[0] < _AT_ONCE


def test_nobody_is_asked_at_once_who_was_seen_to_one_after_the_other() -> None:
    """A shop that takes few payments at a time shows that in the first that is asked, and is found sound."""
    with shop() as found:
        judged = judged_paid(found, goods=GOODS[:3], only=(*HANGS, *SLOW), slow=True, tills=4)
    assert outcomes(judged) == {Outcome.PASSED}, judged.red()
    assert all(later - earlier > 2 for earlier, later in pairwise(begun(judged, "brief: slow")))


@pytest.mark.parametrize("tills", [1, 4])
def test_whose_payments_stand_in_a_queue_is_asked_one_endpoint_after_the_other(tills: int) -> None:
    """A shop that takes few payments at a time is judged by what it does with those of one endpoint, and is found sound."""
    with shop() as found:
        judged = judged_paid(found, goods=GOODS[:3], only=SLOW, slow=True, tills=tills)
    assert outcomes(judged) == {Outcome.PASSED}, judged.red()
    assert all(later - earlier > 2 for earlier, later in pairwise(begun(judged, "brief: slow")))


def test_who_turns_away_too_many_at_a_time_is_asked_one_endpoint_after_the_other() -> None:
    """A shop that answers 503 where more come than it takes is judged by what it does with as many as it takes."""
    with shop() as found:
        judged = judged_paid(found, goods=GOODS, only=(*HANGS, *SLOW), slow=True, most=8)
    assert outcomes(judged) == {Outcome.PASSED}, judged.red()
    assert all(exchange.paid and exchange.paid.calls for exchange in hung(judged))


def test_what_is_counted_in_one_place_is_not_made_at_the_same_time() -> None:
    """Endpoints that have one witness are slow one after the other: nobody could tell whose handler it counted."""

    def shared(written: dict[str, Any]) -> None:
        for entry in written["endpoint"]:
            entry["witness"] = {"path": "/stats", "pointer": "/handled/weather"}

    with shop() as found:
        judged = judged_paid(found, goods=GOODS[:3], only=SLOW[:1], slow=True, edit=shared)
    assert outcomes(judged) == {Outcome.PASSED}, judged.red()
    assert all(later - earlier > 2 for earlier, later in pairwise(begun(judged, "brief: slow")))


def test_a_handler_that_runs_too_often_is_found_at_its_own_endpoint() -> None:
    """What begins anew for who comes again is charged to its endpoint, and not to those that are slow beside it."""
    found, change = under_way(0.15)

    def again(brought: Brought, answer: Answer | None) -> bool:
        return brought.path == "/report" and answer is None and found(brought) and "sleep=" in brought.query

    with shop() as sells:
        judged = judged_paid(sells, goods=GOODS, only=SLOW, slow=True, runs=again, change=change)
    reds = {(result.requirement, result.endpoint) for result in judged.red()}
    assert reds == {("x402.order.in-flight-runs-once", "report")}
    assert len(begun(judged, "in flight: slow, alone")) == 1


def test_never_more_at_the_same_time_than_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Payments about which the facilitator is silent go out together, so many at most."""
    monkeypatch.setattr(waits, "_MOST", 20)
    with shop() as found:
        judged = judged_paid(found, goods=(*GOODS, "/almanac"), only=HANGS)
    assert outcomes(judged) == {Outcome.PASSED}, judged.red()
    assert 6 < most_at_once(hung(judged)) <= 20


_HANGS = ("verify/hang", "verify/drip", "settle/hang", "settle/stall", "settle/drip", "settle/settled-then-hangs")


def hung(judged: Judged) -> list[Exchange]:
    """What came of the payments about which the facilitator was silent."""
    return [exchange for name in _HANGS for exchange in named(judged, f"hanging: {name}")]


def most_at_once(exchanges: Sequence[Exchange]) -> int:
    """How many of them were under way when most were."""
    return max(sum(e.at <= each.at < e.at + e.took for e in exchanges) for each in exchanges)
