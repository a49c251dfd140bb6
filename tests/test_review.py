"""A report bears itself out: decided again from its own evidence, without a network, it comes to the same."""

import copy
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fault import Fault
from faults import FAULTS
from judging import Judged, judged_as, judged_paid
from serving import Altered, Answer, refusals, served, then
from shop import Told, shop

from conformance.outcome import Outcome, Verdict
from conformance.report.document import to_json
from conformance.report.review import review

Server = tuple[Altered, str]
NAMES = (
    "whoever asks is served",
    "HEAD is answered with the paid content",
    "the refusal repeats the client's API key",
    "whatever stands in the payment field is a payment",
    "the paywall crashes on an unpaid request",
    "robots.txt costs",
    "browsers get a page without the challenge",
    "the challenge is JSON without base64",
    "the offer lists no way to pay",
    "the body pays somebody else than the header",
    "the price goes up with each request",
    "one of two ways is not offered",
)


class NoNetwork(AssertionError):
    pass


def refused(*_: object, **__: object) -> None:
    raise NoNetwork


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served() as found:
        yield found


def reviewed(run: Judged, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a second look at the written report finds otherwise, with every socket refused."""
    written = json.dumps(to_json(run.report))
    with monkeypatch.context() as patch:
        patch.setattr(socket, "socket", refused)
        with pytest.raises(NoNetwork):
            socket.create_connection(("127.0.0.1", 9))
        return [str(difference) for difference in review(json.loads(written))]


def test_a_conformant_run_is_decided_again_without_a_network(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row of the plain sandbox comes to the same outcome from its evidence."""
    assert reviewed(judged_as(server), monkeypatch) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_run_with_a_fault_is_decided_again_without_a_network(
    name: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outcome and finding of every row, also of the red ones, follow from the evidence in the report."""
    fault: Fault = next(fault for fault in FAULTS if fault.name == name)
    run = judged_as(
        server, change=fault.does, where=fault.where, relay=fault.relay, edit=fault.edit, secrets=fault.secrets
    )
    assert {result.requirement for result in run.red()} == fault.red
    assert reviewed(run, monkeypatch) == []


def test_a_report_that_was_touched_up_is_found_out(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who turns a violation into a pass in the file is contradicted by the evidence beside it."""
    fault = next(fault for fault in FAULTS if fault.name == "the price is tenfold")
    run = judged_as(server, change=fault.does, where=fault.where)
    told = json.loads(json.dumps(to_json(run.report)))
    touched = [row for row in told["results"] if row["outcome"] == Outcome.VIOLATED]
    for row in touched:
        row.update(outcome=str(Outcome.PASSED), finding=None)
    monkeypatch.setattr(socket, "socket", refused)
    found = {(difference.requirement, difference.endpoint) for difference in review(told)}
    assert found == {(row["requirement"], row["endpoint"]) for row in touched} != set()


Touch = Callable[[dict[str, Any]], None]


def violated(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The red rows of a report."""
    return [row for row in report["results"] if row["outcome"] == Outcome.VIOLATED]


def holds(report: dict[str, Any]) -> None:
    report["verdict"] = "conformant"


def may_go_on(report: dict[str, Any]) -> None:
    report["acceptable"] = True


def class_holds(report: dict[str, Any]) -> None:
    report["classes"]["x402/offer"] = "conformant"


def other_counts(report: dict[str, Any]) -> None:
    report["counts"]["passed"] += report["counts"].pop("violated")


def rows_dropped(report: dict[str, Any]) -> None:
    for row in violated(report):
        report["results"].remove(row)


def row_twice(report: dict[str, Any]) -> None:
    report["results"].append(report["results"][0])


def row_of_no_edition(report: dict[str, Any]) -> None:
    report["results"].append(report["results"][0] | {"requirement": "http.is-pleasant"})


def evidence_emptied(report: dict[str, Any]) -> None:
    for row in violated(report):
        row.update(outcome="passed", finding=None, evidence=[])


def labels_emptied(report: dict[str, Any]) -> None:
    for row in violated(report):
        row.update(outcome="passed", finding=None, evidence=[{}])


def evidence_of_another(report: dict[str, Any]) -> None:
    for row in violated(report):
        labels = {label: key.replace("weather/", "forecast/") for label, key in row["evidence"][0].items()}
        row.update(outcome="passed", finding=None, evidence=[labels])


def evidence_nowhere(report: dict[str, Any]) -> None:
    del report["exchanges"][violated(report)[0]["evidence"][0]["unpaid"]]


def inapplicable(report: dict[str, Any]) -> None:
    for row in violated(report):
        row.update(outcome="inapplicable", finding={"reason": "the profile states no terms"}, evidence=[])


def examples_dropped(report: dict[str, Any]) -> None:
    row = next(r for r in report["results"] if r["requirement"] == "http.garbage-payment")
    row["evidence"] = row["evidence"][:3]


def bodies_swapped(report: dict[str, Any]) -> None:
    for digest in report["bodies"]:
        report["bodies"][digest] = {"text": "another body"}


def milder_level(report: dict[str, Any]) -> None:
    violated(report)[0]["level"] = "SHOULD"


def other_edition(report: dict[str, Any]) -> None:
    report["edition"] = "2027.01"


def excused(report: dict[str, Any]) -> None:
    report["acceptable"] = True
    for row in violated(report):
        entry = {"requirement": row["requirement"], "endpoint": row["endpoint"], "reason": "x", "link": ""}
        report["known_failures"].append(entry | {"expires": "9999-12-31"})


def excused_for_nothing(report: dict[str, Any]) -> None:
    entry = {
        "requirement": "http.date",
        "endpoint": "weather",
        "reason": "x",
        "link": "",
        "expires": report["ended"][:10],
    }
    report["known_failures"].append(entry)


def moved_in_between(report: dict[str, Any]) -> None:
    report["sanity"]["last"]["response"]["status"] = 200


def never_asked_again(report: dict[str, Any]) -> None:
    del report["sanity"]["last"]


TOUCHES: dict[Touch, str] = {
    holds: "verdict: conformant",
    may_go_on: "acceptable: True",
    class_holds: "classes: ",
    other_counts: "counts: ",
    rows_dropped: "0 results",
    row_twice: "2 results",
    row_of_no_edition: "1 results",
    evidence_emptied: "passed: None",
    labels_emptied: "passed: None",
    evidence_of_another: "passed: None",
    evidence_nowhere: "violated: ",
    inapplicable: "inapplicable: ",
    examples_dropped: "passed: None",
    bodies_swapped: "the digest of a body: ",
    milder_level: "level: SHOULD",
    other_edition: "edition: 2027.01",
    excused: "acceptable: True",
    excused_for_nothing: "known failures: ",
    moved_in_between: "reservations: []",
    never_asked_again: "reservations: []",
}


@pytest.fixture(scope="module")
def told(server: Server) -> str:
    """The report of a run that found one thing wrong, at a target that is long-winded."""
    fault = next(fault for fault in FAULTS if fault.name == "the price is tenfold")

    def padded(answer: Answer) -> None:
        answer.body += b" " * 600

    change = then(fault.does, refusals(padded))
    return json.dumps(to_json(judged_as(server, change=change, where=fault.where).report))


def test_the_report_that_is_touched_up_below_bears_itself_out(told: str) -> None:
    """Before anybody touches it there is nothing to find, and there is something to touch."""
    report = json.loads(told)
    assert list(review(report)) == []
    assert violated(report)
    assert report["bodies"]


@pytest.mark.parametrize("touch", TOUCHES, ids=lambda touch: touch.__name__)
def test_whatever_is_touched_up_is_found_out(told: str, touch: Touch) -> None:
    """The rows come from profile and edition, the outcomes from the evidence, and all else from the outcomes."""
    report = json.loads(told)
    before = copy.deepcopy(report)
    touch(report)
    assert report != before
    assert [difference for difference in review(report) if difference.reported.startswith(TOUCHES[touch])]


def test_a_reservation_that_follows_from_the_report_cannot_be_taken_away(server: Server) -> None:
    """Too few examples are too few, whoever says otherwise."""

    def hasty(document: dict[str, Any]) -> None:
        document["limits"] = {"max_examples": 3}

    report = json.loads(json.dumps(to_json(judged_as(server, edit=hasty).report)))
    assert list(review(report)) == []
    assert report["verdict"] == "incomplete"
    report.update(verdict="conformant", acceptable=True, reservations=[])
    report["classes"] = dict.fromkeys(report["classes"], "conformant")
    assert {d.reported.partition(":")[0] for d in review(report)} == {
        "reservations",
        "verdict",
        "acceptable",
        "classes",
    }


def test_a_run_without_means_bears_itself_out(server: Server) -> None:
    """Rows that nobody had the means to ask rest on the profile alone, with claims and without."""

    def bare(document: dict[str, Any]) -> None:
        document["target"]["environment"] = "production"
        for endpoint in document["endpoint"]:
            endpoint.pop("terms")
            endpoint.pop("marker")

    def unclaimed(document: dict[str, Any]) -> None:
        bare(document)
        del document["claims"]

    for edit in (bare, unclaimed):
        report = json.loads(json.dumps(to_json(judged_as(server, edit=edit).report)))
        assert [row for row in report["results"] if not row["evidence"]]
        assert list(review(report)) == []


@pytest.fixture(scope="module")
def sold() -> Iterator[Judged]:
    """The run of a shop that takes payments as it should."""
    with shop() as found:
        yield judged_paid(found, slow=True, examples=25)


@pytest.fixture(scope="module")
def overruled() -> Iterator[Judged]:
    """The run of a shop that hears yes whatever the facilitator says about a settlement."""

    def hears(told: Told) -> None:
        if told.kind == "settle" and isinstance(told.document, dict):
            told.document |= {"success": True, "transaction": "0x" + "1" * 64}

    with shop() as found:
        yield judged_paid(found, slow=True, examples=25, hears=hears)


def test_a_run_that_paid_is_decided_again_without_a_network(sold: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row that rests on payments comes to the same from what the report says of them."""
    assert reviewed(sold, monkeypatch) == []
    assert sold.report.verdict is Verdict.CONFORMANT
    assert [e for result in sold.results.values() for e in result.exchanges.values() if e.paid and e.paid.calls]


def test_a_run_that_was_robbed_is_decided_again_without_a_network(
    overruled: Judged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So does every row of a shop that gives away what is not settled."""
    assert "x402.settlement.settle-no" in {result.requirement for result in overruled.red()}
    assert reviewed(overruled, monkeypatch) == []


def told_of(run: Judged) -> dict[str, Any]:
    """The report as somebody reads it."""
    report: dict[str, Any] = json.loads(json.dumps(to_json(run.report)))
    return report


def line_dropped(report: dict[str, Any]) -> None:
    del report["payments"][0]


def line_added(report: dict[str, Any]) -> None:
    report["payments"].append(report["payments"][0])


def not_charged(report: dict[str, Any]) -> None:
    next(line for line in report["payments"] if line["charged"])["charged"] = False


def cheaper(report: dict[str, Any]) -> None:
    report["payments"][0]["amount"] = "1"


@pytest.mark.parametrize("touch", [line_dropped, line_added, not_charged, cheaper], ids=lambda touch: touch.__name__)
def test_a_payment_that_is_touched_up_is_found_out(sold: Judged, touch: Touch) -> None:
    """The lines of the payments are those of the exchanges, each once and as it was."""
    report = told_of(sold)
    touch(report)
    assert {difference.reported.partition(":")[0] for difference in review(report)} == {"payments"}


def calls_of(report: dict[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    """What the facilitator was asked."""
    paid = [exchange["paid"] for exchange in report["exchanges"].values() if "paid" in exchange]
    return (call for note in paid for call in note["calls"] if call["kind"] == kind)


def never_settled(report: dict[str, Any]) -> None:
    for call in calls_of(report, "settle"):
        call["good"] = False


def settled_after_all(report: dict[str, Any]) -> None:
    for call in calls_of(report, "settle"):
        call.update(good=True, fault="")


def never_watched(report: dict[str, Any]) -> None:
    for exchange in report["exchanges"].values():
        if "paid" in exchange:
            exchange["paid"]["witness"] = None


def never_paid(report: dict[str, Any]) -> None:
    for exchange in report["exchanges"].values():
        exchange.pop("paid", None)


@pytest.mark.parametrize(
    ("touch", "of", "changes"),
    [
        (never_settled, "sold", "x402.settlement.served-is-settled"),
        (settled_after_all, "overruled", "x402.settlement.expired-meanwhile"),
        (never_watched, "sold", "x402.order.unpaid-runs-nothing"),
        (never_paid, "sold", "x402.settlement.receipt"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_outcomes_follow_from_what_is_said_of_payments(
    request: pytest.FixtureRequest, touch: Touch, of: str, changes: str
) -> None:
    """Another word of the facilitator or the witness is another outcome."""
    report = told_of(request.getfixturevalue(of))
    touch(report)
    assert changes in {difference.requirement for difference in review(report)}
