"""The witness of a handler: where its number stands, and what is said of one that proves nothing."""

import json
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from judging import Edit, Judged, judged_paid
from serving import Answer
from sessions import Ran, nested, profile
from settling import served
from shop import Brought, Change, Shop, shop

from conformance import facilitator
from conformance.outcome import Outcome, Verdict

Server = tuple[Shop, str, facilitator.Running]

LOGS = Path(__file__).parent / "starts" / "logs.py"
ORDER = ("x402.order.",)
SEEN = {
    f"x402.order.{name}"
    for name in (
        "unpaid-runs-nothing",
        "rejected-runs-nothing",
        "flow-is-advertised",
        "payer-does-not-choose",
        "runs-once",
        "copies-run-once",
    )
}
"""What is seen by a witness in flow authorization."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with shop() as found:
        yield found


def _witness(**witness: str) -> Edit:
    def edit(written: dict[str, Any]) -> None:
        written["endpoint"][0]["witness"] = witness

    return edit


def _of(run: Judged, outcome: Outcome) -> set[str]:
    return {result.requirement for result in run.of(outcome)}


def _header(brought: Brought, answer: Answer) -> None:
    if brought.path == "/stats":
        number = json.loads(answer.body)["handled"]["weather"]
        answer.say({})
        answer.set("Handled", str(number))


def test_a_witness_in_a_header_sees_what_one_in_a_body_sees(server: Server) -> None:
    """A handler that runs for nothing is seen, and one that does not is cleared."""
    edit = _witness(path="/stats", header="handled")
    assert _of(judged_paid(server, only=ORDER, edit=edit, change=_header), Outcome.PASSED) >= SEEN
    red = judged_paid(server, only=ORDER, edit=edit, change=_header, runs=lambda b, a: a is None and not b.version)
    assert _of(red, Outcome.VIOLATED) == {"x402.order.unpaid-runs-nothing"}


def _counting() -> Change:
    read = 0

    def change(brought: Brought, answer: Answer) -> None:
        nonlocal read
        if brought.path == "/stats":
            read += 1
            answer.say({"handled": {"weather": read}})

    return change


def _lagging() -> Change:
    seen: list[tuple[float, int]] = []

    def change(brought: Brought, answer: Answer) -> None:
        if brought.path == "/stats":
            now = time.monotonic()
            seen.append((now, json.loads(answer.body)["handled"]["weather"]))
            told = [number for moment, number in seen if moment < now - 0.1]
            answer.say({"handled": {"weather": told[-1] if told else seen[0][1]}})

    return change


def _standing(brought: Brought, answer: Answer) -> None:
    if brought.path == "/stats":
        answer.say({"handled": {"weather": 7}})


def _running_once(brought: Brought, answer: Answer) -> None:
    """As a handler is counted whose answers are kept."""
    if brought.path == "/stats":
        answer.say({"handled": {"weather": min(1, json.loads(answer.body)["handled"]["weather"])}})


@pytest.mark.parametrize(
    ("witness", "change", "why"),
    [
        ({"path": "/nowhere", "pointer": "/n"}, None, "the witness reads no whole number: /nowhere, /n"),
        ({"path": "/stats", "pointer": "/handled"}, None, "the witness reads no whole number: /stats, /handled"),
        ({"path": "/stats", "header": "Handled"}, None, "reads no whole number: /stats, the header Handled"),
        ({"path": "/stats", "pointer": "/handled/weather"}, _counting(), "the witness moves while nothing is asked"),
        ({"path": "/stats", "pointer": "/handled/weather"}, _standing, "does not move for a good payment"),
    ],
)
def test_a_witness_that_proves_nothing_is_said_to(
    witness: dict[str, str], change: Change | None, why: str, server: Server
) -> None:
    """No requirement is red or green by it, what is seen without it stays, and a run without it is incomplete."""
    run = judged_paid(server, only=ORDER, edit=_witness(**witness), change=change)
    assert _of(run, Outcome.UNTESTABLE) == SEEN
    assert {why in r.finding.reason for r in run.of(Outcome.UNTESTABLE) if r.finding} == {True}
    assert _of(run, Outcome.PASSED) == {"x402.order.settled-before-answer"}
    assert run.verdict is Verdict.INCOMPLETE


def test_a_witness_that_lags_proves_nothing(server: Server) -> None:
    """What one request did would be laid at the door of the next."""
    pointer = _witness(path="/stats", pointer="/handled/weather")
    assert _of(judged_paid(server, only=ORDER, edit=pointer, change=_lagging()), Outcome.UNTESTABLE) == SEEN


def _doubled(brought: Brought, answer: Answer) -> None:
    if brought.path == "/stats":
        handled = json.loads(answer.body)["handled"]
        answer.say({"handled": {name: 2 * number for name, number in handled.items()}})


def test_a_witness_that_counts_a_run_twice_is_no_handler_that_runs_for_each_copy(server: Server) -> None:
    """What moves for copies of a payment is held against what moves for one that comes alone."""

    def edit(written: dict[str, Any]) -> None:
        del written["claims"]
        written["endpoint"][0]["slow"] = {"query": {"sleep": "1.2"}}

    rules = ("x402.order.in-flight-runs-once", "x402.identifier.in-flight-runs-once")
    run = judged_paid(server, goods=("/report",), only=rules, slow=True, edit=edit, change=_doubled)
    assert _of(run, Outcome.PASSED) == {*rules}, run.red()


def _counting_answers() -> Change:
    answers = 0

    def change(brought: Brought, answer: Answer) -> None:
        nonlocal answers
        if brought.path == "/stats":
            answer.say({"handled": {"report": answers}})
        elif served(answer):
            answers += 1
            # As long as it is asked for by one payment it is the same.
            answer.body = answer.body.replace(b"{", b'{"made for": "%d", ' % hash(brought.value), 1)

    return change


def test_a_witness_that_counts_answers_is_no_handler_that_runs_again(server: Server) -> None:
    """Where each payment has an answer of its own, the one of before was not made anew."""
    rules = ("x402.identifier.runs-once", "x402.identifier.another-request")
    run = judged_paid(server, goods=("/report",), only=rules, change=_counting_answers())
    assert run.red() == []
    told = {row.requirement: row.finding.reason for row in run.of(Outcome.UNTESTABLE) if row.finding}
    assert "it counts answers" in told[rules[0]], told


def test_a_handler_whose_answers_are_kept_is_not_taken_for_one_that_settles_first(shop_anew: Server) -> None:
    """It runs for the first payment alone: that it does not run before a settlement that fails says nothing."""
    run = judged_paid(shop_anew, only=ORDER, change=_running_once)
    assert _of(run, Outcome.UNTESTABLE) == SEEN
    assert {"does not move for a second" in r.finding.reason for r in run.of(Outcome.UNTESTABLE) if r.finding} == {True}


@pytest.fixture
def shop_anew() -> Iterator[Server]:
    with shop() as found:
        yield found


def _logged(folder: Path, pattern: str) -> Ran:
    start = (
        f'timeout = 5.0\n[target.start]\ncommand = "{{python}} {shlex.quote(str(LOGS))} {{port}}"\nready = "/health"\n'
        f'env = {{ FACILITATOR_URL = "{{facilitator}}" }}\n'
    )
    more = f"[endpoint.witness]\nlog = '{pattern}'\n" + '[facilitator]\nmode = "scripted"\n'
    claims = '[claims]\nclasses = ["x402/order"]\n'
    return nested(folder, text=profile("http://127.0.0.1:{port}", claims=claims, target=start, more=more))


def test_a_witness_in_a_log_is_how_often_its_pattern_stands_there(tmp_path: Path) -> None:
    """The lines of the target that we started; ^ and $ are their ends."""
    ran = _logged(tmp_path, "^handler of weather runs$")
    assert ran.verdict == "conformant", ran.out
    passed = {r["requirement"] for r in ran.report["results"] if r["outcome"] == "passed"}
    assert passed == SEEN | {"x402.order.settled-before-answer"}


def test_a_pattern_that_no_line_of_the_log_fits_is_told(tmp_path: Path) -> None:
    """The likeliest reason is named: a log that is written now and then."""
    ran = _logged(tmp_path, "^handler of weather walks$")
    untestable = [r for r in ran.report["results"] if r["outcome"] == "untestable"]
    # This profile does not say how a handler is made slow.
    untestable = [r for r in untestable if r["requirement"] != "x402.order.in-flight-runs-once"]
    assert {r["requirement"] for r in untestable} == SEEN
    assert all("is the log written line by line?" in r["finding"]["reason"] for r in untestable), ran.out
