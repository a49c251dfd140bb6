"""Payments that come again after something went wrong: what goes out, what is noted of it, and what it is judged on."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from fault_retry import nonce_of, owing
from judging import Judged, judged_paid
from serving import Answer
from settling import served, upto
from shop import Brought, shop

from conformance.exchange import Exchange
from conformance.outcome import Outcome
from conformance.protocols.x402 import PAYMENT
from conformance.report.document import to_json
from conformance.report.review import review

RULES = (
    *("x402.settlement.lost-answer", "x402.settlement.pending-again", "x402.settlement.refused-again"),
    *("x402.settlement.hung-up", "x402.settlement.in-flight", "x402.settlement.unknown-outcome"),
    *("x402.settlement.pending-transaction", "x402.settlement.same-settle", "x402.settlement.charged-failure"),
    "x402.order.in-flight",
)
GOODS = ("/weather", "/satellite", "/almanac")
TIMES = ("", ", again", ", once more")


@pytest.fixture(scope="module")
def run() -> Iterator[Judged]:
    """A shop without a flaw."""
    with shop() as found:
        yield judged_paid(found, goods=GOODS, slow=True, only=RULES)


def exchanges(run: Judged, endpoint: str) -> Mapping[str, Exchange]:
    """All that was had at an endpoint for these rules, by label."""
    return {
        label: result.exchanges[key]
        for (_, name), result in run.results.items()
        if name == endpoint
        for labels in result.evidence
        for label, key in labels.items()
    }


def sent(exchange: Exchange, version: int = 2) -> str:
    """The payment field."""
    return next(value for name, value in exchange.request.headers if name == PAYMENT[version])


def asked(exchange: Exchange) -> list[str]:
    """What the facilitator was asked, and did."""
    assert exchange.paid
    return [call.shown() for call in exchange.paid.calls]


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("retry: verify/no", ["verify (no)"], ["verify", "settle"]),
        ("retry: settle/no", ["verify", "settle (no)"], ["verify", "settle"]),
        ("retry: settle/settled-then-drops", ["verify", "settle (settled-then-drops)"], []),
        ("retry: settle/pending", ["verify", "settle (pending)"], []),
        ("hanging: settle/settled-then-hangs", ["verify", "settle (settled-then-hangs)"], []),
        ("failing: boom", ["verify"], ["verify", "settle"]),
        ("retry: left at once", ["verify", "settle"], []),
        ("retry: left while it is settled", ["verify", "settle (slow)"], []),
        ("in flight: left while it is made", ["verify", "settle"], []),
    ],
)
def test_a_payment_comes_three_times_and_is_met_by_a_fault_once(
    run: Judged, name: str, first: list[str], second: list[str]
) -> None:
    """The same bytes go out each time, and each time is noted with what it was asked about alone."""
    had = exchanges(run, "weather")
    times = [had[f"v2 {name}{more}"] for more in TIMES]
    assert len({sent(exchange) for exchange in times}) == 1
    assert [asked(exchange) for exchange in times] == [first, second, []]


def test_nobody_waits_for_what_is_hung_up_on(run: Judged) -> None:
    """There is no answer, and the time that it took is that for which we stayed."""
    had = exchanges(run, "weather")
    for name, most in (("retry: left at once", 0.3), ("in flight: left while it is made", 1.5)):
        exchange = had[f"v2 {name}"]
        assert exchange.failure
        assert (exchange.response, exchange.failure.kind) == (None, "hung-up")
        assert exchange.took < most


def test_what_is_in_flight_comes_again_before_it_is_answered(run: Judged) -> None:
    """The second of two equal requests leaves later than the first, and before its answer is there."""
    had = exchanges(run, "weather")
    first, second = had["v2 in flight: slow"], had["v2 in flight: slow, again"]
    assert first.request == second.request
    assert first.at + 0.2 < second.at < first.at + first.took


def test_slow_handlers_are_waited_for_once(run: Judged) -> None:
    """Both versions of an endpoint, and all that happens to payments meanwhile, take the time of one slow handler."""
    had = exchanges(run, "almanac")
    slow = [e for label, e in had.items() if label.endswith(("brief: slow", "in flight: slow")) and e.response]
    assert len(slow) == 4
    assert max(exchange.at for exchange in slow) - min(exchange.at for exchange in slow) < 1.5


def test_runs_are_counted_again_only_where_there_were_too_many(run: Judged) -> None:
    """A shop that runs its handler once for each payment is not asked a second time."""
    assert [label for label in exchanges(run, "weather") if "alone" in label] == []
    paid = exchanges(run, "weather")["v2 in flight: slow"].paid
    assert paid
    assert paid.witness
    assert 1 <= paid.witness[1] - paid.witness[0] <= 3


def test_only_what_is_settled_first_is_tried_with_a_facilitator_that_forgets(run: Judged) -> None:
    """A failure is charged in flow upfront alone, and there it is sent again under a facilitator that says yes."""
    assert [label for label in exchanges(run, "weather") if label.endswith("boom, unaided")] == []
    again = exchanges(run, "satellite")["v2 failing: boom, unaided, again"]
    assert again.paid
    assert again.paid.faults == ("verify/forgets", "settle/forgets")


def test_the_requests_that_come_again_are_few(run: Judged) -> None:
    """All that these rows send beside what others send is some forty requests for each version."""
    own = [label for label in exchanges(run, "weather") if label.startswith(("v2 retry", "v2 in flight"))]
    again = [label for label in exchanges(run, "weather") if label.endswith(TIMES[1:])]
    assert len({*own, *again}) <= 40


def test_what_nobody_waited_for_is_not_handed_to_two_who_come_at_once() -> None:
    """A shop that notes only with its answer that a buyer came back for it is seen, though one after the other is safe."""
    owed: set[str] = set()
    given: list[Brought] = []

    def opens(brought: Brought) -> bool:
        found = nonce_of(brought) in owed
        given.extend([brought] if found else [])
        return found

    def left(brought: Brought, answer: Answer) -> None:
        owed.update({nonce_of(brought)} if served(answer) else ())

    def change(brought: Brought, _: Answer) -> None:
        if any(brought is each for each in given):
            owed.discard(nonce_of(brought))

    rule = "x402.settlement.hung-up"
    with shop() as found:
        judged = judged_paid(found, goods=("/weather",), only=(rule,), opens=opens, left=left, change=change)
    assert judged.results[rule, "weather"].outcome is Outcome.VIOLATED


def test_what_costs_nothing_leaves_a_payment_as_it_was() -> None:
    """In scheme upto an answer may cost 0, settled or not: then it is no answer that nobody paid for."""
    costs = iter((10_000, None, 10_000, 0))
    rule = "x402.settlement.refused-again"
    with shop() as found:
        judged = judged_paid(found, goods=("/weather",), only=(rule,), **upto(lambda _: next(costs, 10_000)))
    assert judged.results[rule, "weather"].outcome is Outcome.PASSED, judged.red()
    had = exchanges(judged, "weather")
    assert asked(had["v2 retry: verify/no, again"]) == ["verify"]
    assert asked(had["v2 retry: settle/no, again"]) == ["verify", "settle"]
    assert next(iter(had["v2 retry: settle/no, again"].paid.asked("settle"))).requirements["amount"] == "0"


def test_a_queue_before_a_payment_is_no_silence() -> None:
    """Who takes one payment after another, and gives each facilitator that hangs its time, answers in time."""

    def hurried(written: dict[str, Any]) -> None:
        written["target"]["timeout"] = 2.0

    rules = ("x402.settlement.answers-in-time", "x402.settlement.unknown-outcome")
    with shop() as found:
        judged = judged_paid(found, goods=("/weather",), only=rules, edit=hurried, tills=1, patience=0.6)
    assert {result.outcome for result in judged.results.values()} == {Outcome.PASSED}, judged.red()


def test_a_session_is_not_asked_twice() -> None:
    """Where a payment opens more than one answer, a second one says nothing, and none is sent."""

    def session(written: dict[str, Any]) -> None:
        for entry in written["endpoint"]:
            entry["entitlement"] = "session"

    with shop() as found:
        judged = judged_paid(found, goods=("/weather",), only=RULES[:4], edit=session)
    assert {result.outcome for result in judged.results.values()} <= {Outcome.INAPPLICABLE}
    assert [label for label in exchanges(judged, "weather") if label.endswith(TIMES[1:])] == []


def test_what_comes_again_is_decided_again_from_the_report(run: Judged) -> None:
    """Each of these rows comes to the same from what the report says, green or red."""
    with shop() as found:
        robbed = judged_paid(found, only=RULES, slow=True, **owing(answer=served, left=True))
    assert {result.requirement for result in robbed.red()} == {
        "x402.settlement.hung-up",
        "x402.settlement.hung-up-meanwhile",
    }
    for each in (run, robbed):
        report = json.loads(json.dumps(to_json(each.report)))
        assert [told for told in review(report) if told.requirement.startswith(RULES)] == []
