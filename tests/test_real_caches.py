"""A real nginx with a cache before a shop: what it hands to whom, and what is then charged for nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from judging import Judged, judged_paid
from real import nginx
from serving import Answer
from settling import answers, served
from shop import Brought, Shop, shop

from conformance import facilitator
from conformance.outcome import Outcome, Verdict

ASKED = (
    *("x402.guard.good-payment", "x402.settlement.served-is-settled", "x402.settlement.unpaid-after-paid"),
    *("x402.settlement.paid-not-cacheable", "x402.settlement.head-is-free", "x402.settlement.not-modified-is-free"),
    *("x402.settlement.unsatisfied-is-free", "x402.settlement.refusal-is-not-kept", "http.refused-after-paid"),
    *("http.no-paid-content", "http.refusal-not-cacheable"),
)
CAREFUL = """
proxy_cache kept;
proxy_cache_convert_head off;
proxy_cache_valid 200 1m;
proxy_cache_bypass $http_payment_signature $http_x_payment;
proxy_no_cache $http_payment_signature $http_x_payment;
"""
"""It keeps what a server lets be kept, and nothing of requests that pay."""
NAIVE = """
proxy_cache kept;
proxy_cache_convert_head off;
proxy_ignore_headers Cache-Control;
proxy_cache_valid 200 1m;
"""
"""As guides on speed have it."""
THOROUGH = NAIVE + "proxy_cache_valid any 1m;"
LEAKS = {
    *("x402.settlement.unpaid-after-paid", "x402.settlement.served-is-settled"),
    *("http.refused-after-paid", "http.no-paid-content"),
}
Server = tuple[Shop, str, facilitator.Running]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with shop() as found:
        yield found


def judged_behind(server: Server, home: Path, told: str, **flaws: Any) -> Judged:
    """The shop behind an nginx that is told so much."""
    built, here, running = server
    with nginx.before(here, home, told) as front:
        return judged_paid((built, front, running), only=ASKED, goods=("/weather", "/forecast"), **flaws)


def red(run: Judged) -> set[str]:
    """What does not hold, at each of the endpoints."""
    found = [row for row in run.red() if row.outcome is not Outcome.PASSED]
    ids = {row.requirement for row in found}
    assert {(id, at) for id in ids for at in ("weather", "forecast")} == {(r.requirement, r.endpoint) for r in found}
    assert run.of(Outcome.ERROR) == []
    return ids


def test_a_careful_cache_turns_red_nothing(server, tmp_path) -> None:
    """Nothing is red and nothing untestable where a cache keeps out of what is paid for."""
    run = judged_behind(server, tmp_path, CAREFUL)
    assert red(run) == set()
    assert run.of(Outcome.UNTESTABLE) == []


def test_a_cache_that_does_not_do_as_it_is_told_leaks(server, tmp_path) -> None:
    """Who comes after a buyer is served, by payment and by identity, though the shop forbids to keep it."""
    assert red(judged_behind(server, tmp_path, NAIVE)) == LEAKS


def test_a_cache_before_a_shop_that_says_nothing_of_caches_leaks(server, tmp_path) -> None:
    """The same comes of a shop that forgot Cache-Control, and of a cache that keeps what it may."""
    silent = answers(served, lambda answer: answer.drop("cache-control"))

    def change(brought: Brought, answer: Answer) -> None:
        silent(brought, answer)
        if brought.get("sandbox-account"):
            answer.drop("cache-control")

    run = judged_behind(server, tmp_path, "proxy_cache kept; proxy_cache_valid 200 1m;", change=change)
    assert red(run) == LEAKS | {"x402.settlement.paid-not-cacheable"}


def test_a_cache_that_keeps_refusals_hands_them_to_who_pays(server, tmp_path) -> None:
    """It is found out by a payment at an address of which nothing is kept; nothing else is said of payments."""
    run = judged_behind(server, tmp_path, THOROUGH)
    assert red(run) == {"x402.settlement.refusal-is-not-kept"}
    assert run.verdict is Verdict.NOT_CONFORMANT
    found = run.results["x402.settlement.refusal-is-not-kept", "weather"].finding
    assert found is not None
    assert found.received == (
        "402 Payment Required without a look at the payment; beside a query that means nothing, 200 OK"
    )


def test_a_head_that_becomes_a_get_on_the_way_is_charged(server, tmp_path) -> None:
    """A cache that is as nginx has it asks by GET for what it is asked for by HEAD: the content is paid for and lost."""
    run = judged_behind(server, tmp_path, "proxy_cache kept;")
    assert red(run) == {"x402.settlement.head-is-free"}
    found = run.results["x402.settlement.head-is-free", "forecast"].finding
    assert found is not None
    assert found.received == "200 OK to HEAD, charged; then 402 Payment Required"


def test_a_range_that_is_cut_on_the_way_is_charged(server, tmp_path) -> None:
    """A proxy that finds out that a range lies beyond the end does so when it was paid for."""
    run = judged_behind(server, tmp_path, "proxy_force_ranges on;")
    assert red(run) == {"x402.settlement.unsatisfied-is-free"}
    assert run.verdict is Verdict.NOT_CONFORMANT
