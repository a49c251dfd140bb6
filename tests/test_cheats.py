"""Shops and profiles that were made to be called conformant, and are not."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fault_retry import nonce_of, under_way
from judging import Edit, judged_paid
from legal_replay import identified
from serving import Answer
from sessions import nested, paid_profile
from shop import Brought, Change, Shop, shop

from conformance import facilitator
from conformance.outcome import Outcome, Verdict
from conformance.sandbox.price import GOODS

Server = tuple[Shop, str, facilitator.Running]

LATE = Path(__file__).parent / "starts" / "late.py"
CONTENT = next(good.content for good in GOODS if good.path == "/weather")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with shop() as found:
        yield found


def _marker(marker: Any) -> Edit:
    def edit(written: dict[str, Any]) -> None:
        written["endpoint"][0]["marker"] = marker

    return edit


def _claims(*classes: str) -> Edit:
    def edit(written: dict[str, Any]) -> None:
        written["claims"] = {"classes": [*classes]}

    return edit


def _stamped(*statuses: int, becomes: int = 0, told: bool = True) -> Change:
    """A field in answers that are paid for; those with ``statuses`` to other payments hold what is sold without it."""

    def change(brought: Brought, answer: Answer) -> None:
        if answer.status == 200 and brought.path == "/weather":
            answer.set("Stamped", "yes")
        elif brought.version == 2 and answer.status in statuses:
            if told:
                answer.body = json.dumps({**CONTENT, "note": "unpaid"}).encode()
                answer.set("Content-Type", "application/json")
            answer.status = becomes or answer.status

    return change


def test_what_is_sold_is_seen_in_a_refusal_without_the_marker(server: Server) -> None:
    """A marker in a field does not hide that the body of a refusal is the one that is paid for."""
    only = ("x402.guard.signature", "x402.settlement.settle-no")
    run = judged_paid(server, only=only, edit=_marker({"header": "Stamped"}), change=_stamped(402))
    assert {result.requirement for result in run.of(Outcome.VIOLATED)} == set(only)


def test_a_body_of_its_own_in_a_refusal_is_no_content(server: Server) -> None:
    """The same profile is content with a shop that gives nothing away."""
    only = ("x402.guard.signature", "x402.settlement.settle-no", "x402.settlement.facilitator-fails")
    run = judged_paid(server, only=only, edit=_marker({"header": "Stamped"}), change=_stamped())
    assert {result.requirement for result in run.of(Outcome.PASSED)} == set(only)


@pytest.mark.parametrize(
    ("requirement", "status"),
    [
        ("x402.guard.own-price", 402),
        ("x402.settlement.verify-no", 402),
        ("x402.settlement.facilitator-fails", 503),
    ],
)
def test_success_without_the_marker_is_no_refusal(server: Server, requirement: str, status: int) -> None:
    """Who answers 200 to what ought to open nothing is not cleared, whatever stands in that answer."""
    change = _stamped(status, becomes=200, told=False)
    run = judged_paid(server, only=(requirement,), edit=_marker({"header": "Stamped"}), change=change)
    assert run.results[requirement, "weather"].outcome is Outcome.UNTESTABLE
    assert run.verdict is Verdict.INCOMPLETE


def test_whoever_turns_every_crowd_away_was_not_seen_to_choose_one_of_it(server: Server) -> None:
    """A shop that answers 503 to all copies of a payment, and to nothing else, shows nothing of a race."""
    found, over = under_way()
    crowd: set[str] = set()

    def noted(brought: Brought) -> bool:
        crowd.update({nonce_of(brought)} if found(brought) else ())
        return False

    def change(brought: Brought, answer: Answer) -> None:
        if nonce_of(brought) in crowd:
            answer.become(503)
        over(brought, answer)

    run = judged_paid(server, only=("x402.settlement.concurrent-use",), opens=noted, change=change)
    assert {result.outcome for result in run.results.values()} == {Outcome.UNTESTABLE}


def test_an_identifier_excuses_no_second_answer_where_nobody_judges_what_it_brings_back(server: Server) -> None:
    """An offer that asks for identifiers, by a vendor who does not claim their class, leaves open what comes again."""
    only = tuple(f"x402.settlement.{name}" for name in ("sequential-replay", "any-order", "refused-again"))
    run = judged_paid(server, only=only, edit=_claims("x402/settlement"), **identified())
    assert {result.outcome for result in run.results.values()} == {Outcome.UNTESTABLE}
    assert all("x402/identifier" in result.finding.reason for result in run.results.values() if result.finding)


def test_a_variation_that_varies_nothing_shows_nothing(server: Server) -> None:
    """What is neither slow nor fails, though the profile says so, was not at work and did not fail."""
    rows = ("settlement.in-flight", "settlement.hung-up-meanwhile", "settlement.charged-failure-retry")

    def plain(written: dict[str, Any]) -> None:
        for name in ("slow", "failing"):
            written["endpoint"][0][name] = {"query": {"plain": "1"}}

    only = (*(f"x402.{name}" for name in rows), "x402.order.in-flight-runs-once")
    run = judged_paid(server, only=only, edit=plain)
    assert {result.outcome for result in run.results.values()} == {Outcome.UNTESTABLE}
    assert len(run.results) == 4


def test_a_marker_in_the_receipt_proves_nothing(server: Server) -> None:
    """A receipt comes with a settlement, whatever is served."""
    # {"success":true in base64, as every receipt begins.
    run = judged_paid(server, only=("x402.guard.signature",), edit=_marker("eyJzdWNjZXNzIjp0cnVl"))
    (result,) = run.of(Outcome.UNTESTABLE)
    assert result.finding is not None
    assert "in the receipt alone" in result.finding.reason


def test_a_charge_after_the_refusal_is_seen_at_the_end(tmp_path: Path) -> None:
    """A handler that failed is paid for once nobody looks any more: the run is not conformant, and says so."""
    command = "{python} -m conformance sandbox --port {port}"
    text = paid_profile().replace(command, f"{{python}} {LATE} {{port}}")
    # The second takes two seconds, after the first.
    only = (f"--conformance-only=x402.settlement.{name}" for name in ("failed-handler", "expired-meanwhile"))
    ran = nested(tmp_path, *only, text=text)
    assert ran.outcomes["x402.settlement.failed-handler weather"] == "passed", ran.out
    assert ran.verdict == "incomplete"
    assert any("charged after they had been refused" in why for why in ran.report["reservations"]), ran.out
