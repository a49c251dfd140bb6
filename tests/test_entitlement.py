"""A payment that opens more than one answer: what is then not proven, and is not said to be broken either."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from judging import judged_paid
from serving import Answer
from settling import served
from shop import Brought, Shop, shop
from variant import endpoints

from conformance import facilitator
from conformance.outcome import Outcome, Verdict
from conformance.report.terminal import last_line

ONLY = ("http.refused-for-everyone", "x402.guard.signature", "x402.settlement.", "x402.order.")


@pytest.fixture
def server() -> Iterator[tuple[Shop, str, facilitator.Running]]:
    with shop() as found:
        yield found


def _open_once_paid() -> dict[str, Callable[..., Any]]:
    """A shop that knows who paid by where they come from, and asks for nothing more."""
    bought: set[str] = set()

    def change(brought: Brought, answer: Answer) -> None:
        if brought.value and served(answer):
            bought.add(brought.path)

    return {"opens": lambda brought: brought.path in bought, "change": change}


@pytest.mark.parametrize("entitlement", ["session", 600])
def test_what_one_payment_opens_to_everybody_like_us_is_not_judged(server, entitlement) -> None:
    """Nothing is red where the profile says that a payment lasts, and nothing that takes a payment passes."""
    run = judged_paid(server, only=ONLY, edit=endpoints(entitlement=entitlement), **_open_once_paid())
    assert run.red() == []
    passed = {row.requirement for row in run.of(Outcome.PASSED)}
    assert not [id for id in passed if id.startswith("x402.")]
    found = next(row.finding for row in run.of(Outcome.UNTESTABLE) if row.requirement == "x402.guard.signature")
    assert found is not None
    assert f"opens this endpoint to every request of ours (entitlement {entitlement}" in found.reason
    assert "402 Payment Required before, 200 OK after" in found.reason
    assert run.verdict is Verdict.INCOMPLETE
    assert "; 1 endpoint where by the profile a payment opens more than one answer" in last_line(run.report)


def test_where_a_payment_is_for_one_answer_the_same_shop_is_violated(server) -> None:
    """Without an entitlement that lasts, what is open after a payment is served unpaid."""
    run = judged_paid(server, only=("x402.guard.signature", "x402.settlement.unpaid"), **_open_once_paid())
    assert {row.requirement for row in run.of(Outcome.VIOLATED)} >= {"x402.settlement.unpaid-after-paid"}
    assert run.verdict is Verdict.NOT_CONFORMANT
    assert "more than one answer" not in last_line(run.report)
