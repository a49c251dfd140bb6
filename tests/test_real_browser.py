"""A real Chromium at a shop: what it lets a script of another origin do, what runs on a page, and what a person can follow."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from browsing import ACTIONS, INJECTIONS, LEGAL, SCRIPTS, UNSEEN, Browsed, page
from judging import IN_A_BROWSER, Judged, judged_paid
from real import environment
from serving import listening
from sessions import nested, paid_profile
from shop import Shop, shop

from conformance import catalogue, facilitator, schema
from conformance.exchange import Request
from conformance.outcome import Outcome, Verdict
from conformance.report.review import review
from conformance.report.terminal import last_line
from conformance.window import Window

Server = tuple[Shop, str, facilitator.Running]
IDS = tuple(sorted(IN_A_BROWSER))
FAULTS = (*SCRIPTS, *INJECTIONS, *ACTIONS)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with shop() as found:
        yield found


@pytest.fixture(scope="session")
def chromium() -> Path:
    return environment.debian("chromium-headless-shell").launcher("usr/lib/chromium/chromium-headless-shell")


@pytest.fixture(scope="module")
def window(server: Server, chromium: Path) -> Iterator[Window]:
    hosts = frozenset({urlsplit(server[1]).netloc})
    opened = Window(executable=str(chromium), hosts=hosts, timeout=20.0, max_body=100_000)
    yield opened
    opened.close()


def judged(server: Server, window: Window | None, only: Any, chromium: Path = Path("chromium"), **more: Any) -> Judged:
    def edit(written: dict[str, Any]) -> None:
        written["browser"] = {"executable": str(chromium)}
        written["claims"] = {"classes": ["browser"]}

    return judged_paid(server, goods=more.pop("goods", ("/weather",)), only=only, edit=edit, window=window, **more)


def a_name(entry: Browsed) -> str:
    return entry.name


@pytest.mark.parametrize("fault", FAULTS, ids=a_name)
def test_a_browser_shows_the_fault_and_nothing_else(fault, server, window) -> None:
    """Of what is asked exactly the listed requirements break; what is then untestable is so because of them."""
    run = judged(server, window, fault.only, change=fault.change)
    assert {row.requirement for row in run.red()} == fault.red, [str(row.finding) for row in run.red()]
    assert run.of(Outcome.ERROR) == []
    causes = {row.requirement: row.finding.cause for row in run.of(Outcome.UNTESTABLE) if row.finding}
    assert causes.keys() == fault.untestable, causes
    assert set(causes.values()) <= fault.red


@pytest.mark.parametrize("legal", LEGAL, ids=a_name)
def test_a_legal_page_turns_red_nothing(legal, server, window) -> None:
    """Each requirement that it is asked about holds."""
    run = judged(server, window, legal.only, goods=legal.goods, change=legal.change)
    assert {(row.requirement, row.outcome) for row in run.results.values()} == {
        (id, Outcome.PASSED) for id in IDS if id.startswith(legal.only)
    }, [str(row.finding) for row in run.red()]


@pytest.mark.parametrize("unseen", UNSEEN, ids=a_name)
def test_what_a_browser_cannot_tell_is_untestable(unseen, server, window) -> None:
    """Nothing is red, and nothing passes that rests on what was not seen."""
    run = judged(server, window, unseen.only, change=unseen.change)
    assert run.red() == run.of(Outcome.ERROR) == []
    assert {row.requirement for row in run.of(Outcome.UNTESTABLE)} == unseen.untestable


def test_a_shop_without_a_flaw_turns_red_nothing(server, window) -> None:
    """In both versions each requirement holds, or does not apply to what is asked by POST."""
    run = judged(server, window, IDS, goods=("/weather", "/forecast", "/report"))
    wrong = {row.requirement for row in run.results.values() if row.outcome is not Outcome.PASSED}
    assert wrong == {id for id in IDS if "script" not in id}
    assert {row.endpoint for row in run.of(Outcome.INAPPLICABLE)} == {"report"}


def test_every_requirement_of_a_browser_has_a_fault() -> None:
    """No check that asks a browser is one that cannot fail."""
    assert {id for fault in FAULTS for id in fault.red} == set(IDS)


def test_whatever_the_catalogue_allows_a_page_is_a_legal_page() -> None:
    """Each ``allowed`` of what is asked of a page is shown by an entry, and no entry names one that is not there."""
    known = catalogue.load().requirements
    allowed = {f"{id}: {phrase}" for id in IDS for phrase in known[id].allowed}
    assert {phrase for legal in LEGAL for phrase in legal.allows} == allowed


def test_a_browser_reaches_the_target_and_nobody_else(server, window) -> None:
    """What a page asks of another port of this machine, or of another host, is shut out and said to have been asked for."""
    with listening() as (bound, other):
        strangers = f"{urlsplit(other).netloc}", "cdn.example:80"
        images = "".join(f"<img src=http://{one}/x.png>" for one in strangers)
        server[0].begin(change=page(images))
        seen = window.visited(Request(method="GET", url=f"{server[1]}/weather")).seen
        bound.setblocking(False)
        with pytest.raises(BlockingIOError):
            bound.accept()
    assert seen is not None
    assert set(seen.shut_out) >= set(strangers)


def test_a_page_that_never_stops_is_a_timeout_and_the_next_question_is_answered(server, window) -> None:
    """The bounds of a question hold against a page whose script takes all the time there is."""
    quick = replace(window, timeout=3.0)
    try:
        server[0].begin(change=page("<a href=/pay>Pay</a><script>onload = () => { for (;;); }</script>"))
        asked = Request(method="GET", url=f"{server[1]}/weather")
        began = time.monotonic()
        stuck = quick.visited(asked, lambda _: 0)
        assert stuck.failure is not None
        assert (stuck.failure.kind, time.monotonic() - began < 60) == ("timeout", True), stuck.failure
        server[0].begin()
        quick.timeout = window.timeout
        assert quick.visited(asked).response is not None
    finally:
        quick.close()


def test_a_redirect_is_not_followed_by_a_script(server, window) -> None:
    """Neither with a payment nor without: that it was one is all that is seen."""
    server[0].begin(change=lambda _, answer: (answer.become(307), answer.set("Location", "/pay"))[-1])
    exchange = window.fetched("https://shop.example", Request(method="GET", url=f"{server[1]}/weather"))
    assert exchange.failure is not None
    assert exchange.failure.kind == "blocked"


@pytest.mark.parametrize("executable", ["no-such-browser", "true"])
def test_a_browser_that_is_named_and_not_there_is_an_error(executable, server) -> None:
    """A means that the profile names and the run lacks: nothing passes, and the sentence says which key it is about."""
    run = judged(server, None, (*IDS, "browser.preflight"), chromium=Path(executable))
    by_outcome = {outcome: {row.requirement for row in run.of(outcome)} for outcome in Outcome}
    assert by_outcome[Outcome.ERROR] == set(IDS)
    assert by_outcome[Outcome.PASSED] == {"browser.preflight", "browser.preflight-allows-payment"}
    assert run.verdict is Verdict.INCOMPLETE
    assert all("browser.executable" in str(row.finding) for row in run.of(Outcome.ERROR))


def test_without_a_browser_in_the_profile_nothing_is_asked_of_one(server) -> None:
    """Though class browser is claimed: its other rows say what they can, and no verdict waits for a browser."""

    def edit(written: dict[str, Any]) -> None:
        written["claims"] = {"classes": ["browser"]}

    run = judged_paid(server, only=("browser.",), edit=edit)
    assert {row.requirement for row in run.of(Outcome.INAPPLICABLE)} == set(IDS)
    assert all("the profile names no browser" in str(row.finding) for row in run.of(Outcome.INAPPLICABLE))
    assert run.verdict is Verdict.CONFORMANT
    assert f"{len(IDS)} rows left out for want of browser" in last_line(run.report)


def test_a_run_with_a_browser_is_decided_again_from_its_report(tmp_path, chromium) -> None:
    """As a user starts it; what the browser saw is data in the report, and no browser outlives the run."""
    more = f'[browser]\nexecutable = "{chromium}"\n'
    # Where the browser keeps its profile as long as it runs.
    (tmp_path / "temporary").mkdir()
    text = paid_profile(claims='[claims]\nclasses = ["browser"]\n', more=more)
    ran = nested(tmp_path, text=text, env={"TMPDIR": str(tmp_path / "temporary")})
    outcomes = {r["outcome"] for r in ran.report["results"] if r["requirement"] in IDS}
    assert outcomes == {"passed"}, ran.out
    assert ran.verdict == "conformant"
    assert any("seen" in exchange for exchange in ran.report["exchanges"].values())
    assert list(review(ran.report)) == []
    assert schema.problems(ran.report, "report") == ()
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert [line for line in lines if str(tmp_path).encode() in line] == []
    assert list((tmp_path / "temporary").iterdir()) == []
