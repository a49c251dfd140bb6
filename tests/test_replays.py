"""Payments that are sent again: what goes out, what is noted of it, and that it decides the same once more."""

import json
from collections.abc import Iterator, Mapping

import pytest
from fault_replay import forgetful, returning
from judging import Judged, judged_paid
from shop import shop

from conformance.exchange import Exchange
from conformance.outcome import Outcome
from conformance.protocols.x402 import PAYMENT
from conformance.report.document import to_json
from conformance.report.review import review

RULES = tuple(
    f"x402.settlement.{name}"
    for name in (
        *("sequential-replay", "replayed-twin", "replay-elsewhere", "replay-for-another-request"),
        "concurrent-use",
    )
)
GOODS = ("/weather", "/report", "/forecast")
ROUNDS, COPIES = 2, 10


@pytest.fixture(scope="module")
def run() -> Iterator[Judged]:
    """A shop that leaves it to its facilitator what was used, so that the facilitator is asked about each replay."""
    with shop() as found:
        yield judged_paid(found, goods=GOODS, only=RULES, **forgetful())


def exchanges(run: Judged, endpoint: str) -> Mapping[str, Exchange]:
    """All that was had at an endpoint for these rules, by label."""
    return {
        label: result.exchanges[key]
        for (_, name), result in run.results.items()
        if name == endpoint
        for labels in result.evidence
        for label, key in labels.items()
    }


def sent(exchange: Exchange, version: int) -> str:
    """The payment field."""
    return next(value for name, value in exchange.request.headers if name == PAYMENT[version])


def asked(exchange: Exchange) -> list[str]:
    """What the facilitator was asked."""
    assert exchange.paid
    return [call.kind for call in exchange.paid.calls]


@pytest.mark.parametrize(("endpoint", "version"), [("weather", 2), ("forecast", 1)])
def test_a_replay_is_the_same_bytes(run: Judged, endpoint: str, version: int) -> None:
    """At once and later the field is that of the good payment, and what is paid in between is another."""
    had = exchanges(run, endpoint)
    good = sent(had[f"v{version} replay: good"], version)
    for name in ("at once", "later", "another query"):
        assert sent(had[f"v{version} replay: {name}"], version) == good
    assert sent(had[f"v{version} between: good"], version) != good


def test_a_replay_is_noted_with_what_it_was_asked_about_alone(run: Judged) -> None:
    """The calls of the good payment stand with that one, and each replay has its own."""
    had = exchanges(run, "weather")
    assert asked(had["v2 replay: good"]) == ["verify", "settle"]
    for name in ("at once", "later", "nonce-upper", "another query"):
        assert asked(had[f"v2 replay: {name}"]) == ["verify"]


def test_a_twin_is_in_other_bytes_and_says_in_which(run: Judged) -> None:
    """No two replays of the gather are the same, and each names the twins that it is written as."""
    had = exchanges(run, "weather")
    twins = {name: exchange for name, exchange in had.items() if exchange.paid and exchange.paid.twins}
    values = [sent(exchange, 2) for exchange in twins.values()]
    assert len(set(values)) == len(values) > 15
    assert sent(had["v2 replay: good"], 2) not in values
    assert {name: "+".join(e.paid.twins) for name, e in twins.items() if e.paid} == {
        name: name.partition(": ")[2] for name in twins
    }


def test_another_request_has_another_query_or_another_body(run: Judged) -> None:
    """What has a JSON body is asked with a member more, too."""
    assert exchanges(run, "weather")["v2 replay: another query"].request.url.endswith("/weather?conformance=1")
    assert "v2 replay: another body" not in exchanges(run, "weather")
    body = exchanges(run, "report")["v2 replay: another body"].request.body
    assert json.loads(body) == {"city": "Paris", "conformance": "1"}


def test_what_was_paid_elsewhere_is_sent_here(run: Judged) -> None:
    """The good payment at the other endpoint and its replay at this one are both there; other versions are not asked."""
    had = exchanges(run, "weather")
    bought, replay = had["v2 bought at report: good"], had["v2 replay: bought at report"]
    assert bought.request.url.endswith("/report")
    assert replay.request.url.endswith("/weather")
    assert sent(bought, 2) == sent(replay, 2) != sent(had["v2 replay: good"], 2)
    assert bought.paid
    assert bought.paid.charged
    assert not [label for label in exchanges(run, "forecast") if "bought" in label]
    assert run.results["x402.settlement.replay-elsewhere", "forecast"].outcome is Outcome.INAPPLICABLE


def test_copies_are_of_one_fresh_payment(run: Judged) -> None:
    """In each round all fields are the same, and those of no other payment; the calls stand with the first."""
    had = exchanges(run, "weather")
    seen = {sent(had["v2 replay: good"], 2)}
    for turn in range(1, ROUNDS + 1):
        copies = [had[f"v2 replay: copy {number} of round {turn}"] for number in range(1, COPIES + 1)]
        (value,) = {sent(copy, 2) for copy in copies}
        assert value not in seen
        seen.add(value)
        first, *others = copies
        assert first.paid
        assert sum(call.moved for call in first.paid.calls) == 1
        assert [asked(copy) for copy in others] == [[]] * (COPIES - 1)


def test_the_replays_at_an_endpoint_are_few(run: Judged) -> None:
    """All rules together send some fifty requests for each version."""
    assert len(exchanges(run, "weather")) <= 55


def test_replays_are_decided_again_from_the_report(run: Judged) -> None:
    """Each of these rows comes to the same from what the report says, green or red."""
    with shop() as found:
        robbed = judged_paid(found, goods=GOODS, only=RULES, **returning(lambda *_: True))
    assert {result.requirement for result in robbed.red()} >= set(RULES) - {"x402.settlement.concurrent-use"}
    for each in (run, robbed):
        report = json.loads(json.dumps(to_json(each.report)))
        assert [told for told in review(report) if told.requirement in RULES] == []
