"""Payments that are sent again: what goes out, what is noted of it, and that it decides the same once more."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest
from careless import authorization, spoilt
from fault_replay import forgetful, returning
from judging import Judged, judged_paid
from paid_fault import BOTH
from serving import decoded
from shop import Brought, Shop, shop

from conformance import facilitator
from conformance.checks.rewritten import CHOICES
from conformance.exchange import Exchange
from conformance.outcome import Outcome
from conformance.protocols.x402 import PAYMENT
from conformance.protocols.x402.encoding import TWINS
from conformance.replays import ANOTHER_HOST
from conformance.report.document import to_json
from conformance.report.review import review
from conformance.volleys import ALIKE, AS_TWINS, FOR_OTHERS

Server = tuple[Shop, str, facilitator.Running]
AIDED = tuple(
    f"x402.settlement.{name}"
    for name in (
        *("sequential-replay", "replayed-twin", "replay-elsewhere", "replay-for-another-request"),
        "concurrent-use",
    )
)
UNAIDED = tuple(f"{rule}-unaided" for rule in AIDED)
RULES = (*AIDED, *UNAIDED)
GOODS = ("/weather", "/report", "/forecast")
COPIES = 10


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A shop, which is another one in each test."""
    with shop() as found:
        yield found


@pytest.fixture(scope="module")
def run(server: Server) -> Judged:
    """A shop that leaves it to its facilitator what was used, so that the facilitator is asked about each replay."""
    return judged_paid(server, goods=GOODS, only=RULES, **forgetful())


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


def as_one_price(written: dict[str, Any]) -> None:
    """Says of all endpoints that they cost the same."""
    for endpoint in written["endpoint"]:
        endpoint["terms"] = written["endpoint"][0]["terms"]


def asked(exchange: Exchange) -> list[str]:
    """What the facilitator was asked."""
    assert exchange.paid
    return [call.kind for call in exchange.paid.calls]


@pytest.mark.parametrize(("endpoint", "version"), [("weather", 2), ("forecast", 1)])
def test_a_replay_is_the_same_bytes(run: Judged, endpoint: str, version: int) -> None:
    """At once and later the field is that of the good payment, and what is paid in between is another."""
    had = exchanges(run, endpoint)
    good = sent(had[f"v{version} replay: good"], version)
    for name in ("at once", "later", "another query", "another host"):
        assert sent(had[f"v{version} replay: {name}"], version) == good
    assert sent(had[f"v{version} between replay: good"], version) != good


def test_a_replay_is_noted_with_what_it_was_asked_about_alone(run: Judged) -> None:
    """The calls of the good payment stand with that one, and each replay has its own."""
    had = exchanges(run, "weather")
    assert asked(had["v2 replay: good"]) == ["verify", "settle"]
    for name in ("at once", "later", "nonce-upper", "another query"):
        assert asked(had[f"v2 replay: {name}"]) == ["verify"]


def test_a_twin_is_in_other_bytes_and_says_in_which(run: Judged) -> None:
    """No two replays of the gather are the same, and each names the twins that it is written as."""
    had = exchanges(run, "weather")
    twins = {
        name: exchange
        for name, exchange in had.items()
        if name.startswith("v2 replay: ") and exchange.paid and exchange.paid.twins and ", copy" not in name
    }
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
    bought, replay = had["v2 replay bought at report: good"], had["v2 replay: bought at report"]
    assert bought.request.url.endswith("/report")
    assert replay.request.url.endswith("/weather")
    assert sent(bought, 2) == sent(replay, 2) != sent(had["v2 replay: good"], 2)
    assert bought.paid
    assert bought.paid.charged
    assert not [label for label in exchanges(run, "forecast") if "bought" in label]
    assert run.results["x402.settlement.replay-elsewhere", "forecast"].outcome is Outcome.INAPPLICABLE


@pytest.mark.parametrize("kind", [ALIKE, AS_TWINS, FOR_OTHERS])
def test_copies_are_of_one_fresh_payment(run: Judged, kind: str) -> None:
    """In each volley all bring the same payment, and no other one; the calls stand with the first."""
    had = exchanges(run, "weather")
    first, *others = (had[label] for label in had if label.startswith(f"v2 replay: {kind}, copy"))
    assert len(others) == COPIES - 1
    assert first.paid
    assert sum(call.moved for call in first.paid.calls) == 1
    assert first.paid.witness
    assert [asked(copy) for copy in others] == [[]] * (COPIES - 1)
    assert len({sent(copy, 2) for copy in (first, *others)}) == {ALIKE: 1, AS_TWINS: COPIES, FOR_OTHERS: 2}[kind]
    assert {exchange.paid.payer for exchange in others if exchange.paid} == {first.paid.payer}
    assert len({copy.request.url for copy in others}) == (2 if kind == FOR_OTHERS else 1)
    assert {value for copy in others for name, value in copy.request.headers if name == "Host"} == (
        {ANOTHER_HOST} if kind == FOR_OTHERS else set()
    )


def test_what_is_left_to_the_facilitator_is_asked_of_both_kinds_of_facilitator(run: Judged) -> None:
    """By one that refuses what is settled nothing is bought twice, by one that says yes again everything is."""
    # Nothing else has the price of what is sold here.
    elsewhere = "x402.settlement.replay-elsewhere-unaided"
    assert {run.results[rule, "weather"].outcome for rule in (*AIDED, elsewhere)} == {Outcome.PASSED}
    assert {run.results[rule, "weather"].outcome for rule in UNAIDED if rule != elsewhere} == {Outcome.UNMET}


def test_a_volley_is_told_by_what_was_served_run_and_settled_and_when(run: Judged) -> None:
    """A finding counts apart what was handed over, what was made and what was paid, and says in which order."""
    finding = run.results["x402.settlement.concurrent-use-unaided", "weather"].finding
    assert finding
    assert finding.received == "10 served, 1 settled, 10 runs of the handler"
    assert re.search(r"verify \(forgets\) at [0-9]+, ", finding.reason), finding
    assert finding.reason.endswith("and 18 more.")


def test_a_crowd_that_is_turned_away_shows_nothing(server: Server) -> None:
    """Where no copy of a payment is served when they come at the same time, nobody knows whether two would be."""
    came: list[str] = []

    def later(brought: Brought) -> bool:
        came.extend([brought.value] if brought.value else [])
        return bool(brought.value) and brought.value != came[0]

    rule = "x402.settlement.concurrent-use"
    run = judged_paid(server, goods=("/weather",), only=(rule,), rewrite=spoilt(later))
    finding = run.results[rule, "weather"].finding
    assert finding
    assert run.results[rule, "weather"].outcome is Outcome.UNTESTABLE
    assert finding.reason.startswith("version 2: no copy of any payment is served")


def test_an_endpoint_of_two_versions_is_asked_in_both_about_one_payment(server: Server) -> None:
    """A payment of one version comes again in the other, one after the other and at once."""
    run = judged_paid(server, goods=("/almanac",), only=RULES)
    assert not run.red()
    had = exchanges(run, "almanac")
    for version in (1, 2):
        again = had[f"v{version} replay: as version {3 - version}"]
        assert decoded(sent(again, 3 - version))["x402Version"] == 3 - version
        carried = [
            {name for name, _ in copy.request.headers if name in PAYMENT.values()}
            for label, copy in had.items()
            if label.startswith(f"v{version} replay: {FOR_OTHERS}, copy")
        ]
        assert {frozenset(names) for names in carried} == {
            frozenset({PAYMENT[1]}),
            frozenset({PAYMENT[2]}),
            frozenset(PAYMENT.values()),
        }


def test_copies_go_to_another_endpoint_of_the_same_terms_as_well(server: Server) -> None:
    """What is served there counts, by the marker of that endpoint."""
    rule = "x402.settlement.concurrent-use-unaided"
    flaws = forgetful()
    run = judged_paid(server, goods=("/weather", "/almanac"), only=(rule,), edit=as_one_price, **flaws)
    had = exchanges(run, "weather")
    there = {label: copy for label, copy in had.items() if label.endswith("at endpoint almanac") and "copy" in label}
    assert there
    assert {copy.request.url.rpartition("/")[2] for copy in there.values()} == {"almanac"}


def _as_form(written: dict[str, Any]) -> None:
    """The report is asked for by a form."""
    (endpoint,) = written["endpoint"]
    endpoint["form"] = endpoint.pop("json")


def _lenient(brought: Brought) -> Brought:
    """What a server makes of a path to which neither case nor a slash at its end means anything."""
    return replace(brought, path=brought.path.lower().rstrip("/"))


def _whatever_method(brought: Brought) -> Brought:
    """What a server makes of a request by whose method it sets no store."""
    return replace(brought, method="GET", headers=(*brought.headers, ("x-method", brought.method)))


@pytest.mark.parametrize(
    ("shown", "rule", "key", "more"),
    [
        ("another client", "replay-for-another-request", lambda b: b.get("user-agent"), {}),
        ("another client", "replay-for-another-request", lambda b: b.get("x-forwarded-for"), {}),
        ("POST", "replay-for-another-request", lambda b: b.get("x-method"), {"rewrite": _whatever_method}),
        ("an encoded letter", "replay-for-another-request", lambda b: b.target, {}),
        ("upper case", "replay-for-another-request", lambda b: unquote(b.target).rstrip("/"), {"rewrite": _lenient}),
        ("another slash", "replay-for-another-request", lambda b: unquote(b.target).lower(), {"rewrite": _lenient}),
        ("another body", "replay-for-another-request", lambda b: b.body, {"goods": ("/report",), "edit": _as_form}),
        ("as version 1", "replayed-twin", lambda b: b.version, {}),
        ("signed anew", "replayed-twin", lambda b: authorization(b.payment)["validBefore"], {}),
    ],
)
def test_a_memory_that_is_too_particular_is_found(
    server: Server, shown: str, rule: str, key: Callable[[Brought], object], more: dict[str, Any]
) -> None:
    """Whoever remembers more of a payment's first use than the payment gives it away for another one."""
    flaws = returning(lambda first, brought: key(first) != key(brought))
    run = judged_paid(server, only=(f"x402.settlement.{rule}",), **flaws, **more)
    assert [(r.outcome, r.finding.exchange) for r in run.red() if r.finding] == [
        (Outcome.VIOLATED, f"v2 replay: {shown}"),
        (Outcome.UNMET, f"v2 unaided replay: {shown}"),
    ]


def in_two_spellings(first: Brought, brought: Brought) -> bool:
    """Whether both the nonce and the payer are written otherwise than at first: each of them alone is known again."""
    before, signed = authorization(first.payment), authorization(brought.payment)
    return bool(signed["nonce"] != before["nonce"] and signed["from"] != before["from"])


def test_every_twin_may_stand_in_a_composition() -> None:
    """None is left out of what is drawn."""
    assert {name for _, names in CHOICES for name in names} == {twin.name for twin in TWINS}


@pytest.mark.parametrize("rule", ["x402.settlement.replayed-twin", "x402.settlement.replayed-twin-unaided"])
def test_a_composition_that_alone_shows_a_fault_is_found_and_shrunk_to_two(server: Server, rule: str) -> None:
    """Where no single twin is a new payment and two together are, the finding names just these two."""
    run = judged_paid(server, goods=BOTH, only=(rule,), examples=25, **returning(in_two_spellings))
    for name in ("weather", "forecast"):
        finding = run.results[rule, name].finding
        assert finding
        assert re.search(r"other bytes: nonce-upper, payer-(lower|upper)\.", finding.reason), finding


def test_the_replays_at_an_endpoint_are_few(run: Judged) -> None:
    """All rules together send some hundred and fifty requests for each version."""
    assert len(exchanges(run, "weather")) <= 160


def test_replays_are_decided_again_from_the_report(run: Judged, server: Server) -> None:
    """Each of these rows comes to the same from what the report says, green or red."""
    robbed = judged_paid(server, goods=GOODS, only=RULES, **returning(lambda *_: True))
    assert {result.requirement for result in robbed.red()} >= {rule for rule in RULES if "concurrent" not in rule}
    for each in (run, robbed):
        report = json.loads(json.dumps(to_json(each.report)))
        assert [told for told in review(report) if told.requirement in RULES] == []
