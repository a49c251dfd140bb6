"""Checks of class ``browser`` on what a real browser makes of the target."""

from collections.abc import Iterator

from conformance.attempts import GOOD, label
from conformance.checks import check
from conformance.checks.browser import across_origins
from conformance.checks.envelope import rules
from conformance.checks.http import refusal
from conformance.checks.opening import controls, served
from conformance.evidence import Evidence
from conformance.exchange import Exchange, Response
from conformance.facts import matching
from conformance.gather import as_browser, cross_origin, origin, preflight, unpaid
from conformance.outcome import Inapplicable, Unanswered, Untestable, Violation
from conformance.page import HTML
from conformance.protocols import x402
from conformance.protocols.x402.receipt import RECEIPT
from conformance.seen import Seen
from conformance.windows import INJECTED, OFFER, PAGE, SCRIPT, at_page, injected, offer_by_script, paid_by_script

_SAFE = {"accept", "accept-language", "content-language", "content-type"}
"""Fields that a script may set without asking (Fetch, CORS-safelisted), as far as they hold nothing unusual."""


@check("browser.script-reads-offer", unpaid, cross_origin, preflight, offer_by_script)
def test_script_reads_offer(evidence: Evidence) -> None:
    across_origins(evidence)
    _let_through(evidence, OFFER)
    plain, response = refusal(evidence), refusal(evidence, OFFER)
    for name in ("payment-required", "www-authenticate"):
        if plain.values(name) and not response.values(name):
            raise Violation(
                expected=f"{name.title()} to be read by a script of {origin(evidence.endpoint)}",
                received=", ".join(name for name, _ in response.headers) or "no field",
                at=name.title(),
                exchange=OFFER,
            )


@check("browser.script-pays", unpaid, cross_origin, preflight, paid_by_script)
def test_script_pays(evidence: Evidence) -> None:
    for version, here in _paid(evidence):
        _let_through(evidence, here)
        if evidence.response(here).status == 429:
            reason = f"version {version}: a script is told to come again later"
            raise Unanswered(reason, exchange=here)
        if not served(evidence, here):
            raise Violation(
                expected="what is paid for, as without a browser",
                received=evidence.response(here).shown(),
                at=f"version {version}, by a script of {origin(evidence.endpoint)}",
                exchange=here,
            )


@check("browser.script-reads-receipt", unpaid, cross_origin, preflight, paid_by_script)
def test_script_reads_receipt(evidence: Evidence) -> None:
    for version, here in _paid(evidence):
        own = evidence.response(label(version, SCRIPT, GOOD))
        if not own.values(RECEIPT[version]):
            reason = f"version {version}: the paid answer has no {RECEIPT[version]}"
            raise Untestable(reason, cause="x402.settlement.receipt")
        if _blocked(evidence.exchange(here)) or not served(evidence, here):
            reason = f"version {version}: a script gets no paid answer"
            raise Untestable(reason, cause="browser.script-pays")
        response = evidence.response(here)
        if not response.values(RECEIPT[version]):
            raise Violation(
                expected=f"{RECEIPT[version]} to be read by a script of {origin(evidence.endpoint)}",
                received=", ".join(name for name, _ in response.headers) or "no field",
                at=f"version {version}",
                exchange=here,
            )


def _paid(evidence: Evidence) -> Iterator[tuple[int, str]]:
    """The payments by a script, in the versions in which one without a browser is served."""
    across_origins(evidence)
    if evidence.endpoint.protocol is None:
        reason = "the endpoint speaks no payment protocol, so that no script pays"
        raise Inapplicable(reason)
    for version, _ in controls(evidence, SCRIPT):
        yield version, label(version, SCRIPT, "across")


def _let_through(evidence: Evidence, here: str) -> None:
    """Holds where the browser let a script read the answer at all."""
    exchange = evidence.exchange(here)
    if not (told := _blocked(exchange)):
        return
    if told.startswith("Mixed Content"):
        reason = f"a page of {origin(evidence.endpoint)} asks no target without TLS; name an Origin of http in endpoint.headers"
        raise Untestable(reason)
    carried = {name.lower() for name in x402.PAYMENT.values()}
    if own := [name for name, _ in exchange.request.headers if name.lower() not in _SAFE | carried]:
        reason = (
            f"the request takes {', '.join(own)} by the profile, and a script of another origin may not send that here: "
            "what it could read without cannot be said"
        )
        raise Untestable(reason)
    raise Violation(
        expected=f"an answer that a script of {origin(evidence.endpoint)} may read",
        received=told,
        exchange=here,
    )


def _blocked(exchange: Exchange) -> str:
    return exchange.failure.detail if exchange.failure and exchange.failure.kind == "blocked" else ""


def _page(evidence: Evidence, here: str) -> tuple[Response, Seen]:
    """The page that refuses a person, as a browser shows it."""
    plain = evidence.response("browser")
    if evidence.endpoint.method != "GET":
        reason = f"the endpoint is asked by {evidence.endpoint.method}, which no link does"
        raise Inapplicable(reason)
    if plain.media_type() not in HTML:
        reason = f"a browser is answered {plain.shown()}, without a page"
        raise Inapplicable(reason)
    response, seen = evidence.response(here), evidence.exchange(here).seen
    if seen is None or (response.status != 402 and not matching(rules(evidence), response)):
        reason = f"a browser is answered {response.shown()}, and gets no page that refuses"
        raise Inapplicable(reason)
    return response, seen


@check("browser.nothing-injected-runs", as_browser, injected)
def test_nothing_injected_runs(evidence: Evidence) -> None:
    _, seen = _page(evidence, INJECTED)
    if "control" not in seen.ran:
        reason = "the browser runs no script on a page of ours: that none ran shows nothing"
        raise Untestable(reason)
    if ran := [name for name in seen.ran if name != "control"]:
        raise Violation(
            expected="nothing of a request runs as a script on the page",
            received=f"what the query has in conformance-{' and in conformance-'.join(ran)} ran",
            at="query",
            exchange=INJECTED,
        )
    _had_its_scripts(seen)


def _had_its_scripts(seen: Seen) -> None:
    """Raises Untestable for a page that did not get what it is made of."""
    if seen.missed:
        reason = (
            f"the page takes scripts or frames from {', '.join(seen.missed)}, which this run does not ask: what it is with "
            "them cannot be said; name them in target.helpers"
        )
        raise Untestable(reason)


@check("browser.page-action-works", as_browser, at_page)
def test_page_action_works(evidence: Evidence) -> None:
    _, seen = _page(evidence, PAGE)
    if seen.chosen < 0:
        _had_its_scripts(seen)
        if seen.opaque:
            reason = f"nothing else can be followed, and what is in {', '.join(seen.opaque)} cannot be seen, or not yet be used"
            raise Untestable(reason)
        raise Violation(
            expected="a link or a button with a text that a person can see and follow",
            received=f"{len(seen.stops)} of them, without a text" if seen.stops else "none",
            at="the page, when its scripts have run",
            exchange=PAGE,
        )
    stop = seen.stops[seen.chosen]
    if not seen.leads:
        _had_its_scripts(seen)
        if seen.restless:
            reason = f"the page changes all the time: what comes of {stop.text[:60]!r} cannot be told"
            raise Untestable(reason)
    if not seen.leads or (seen.status is not None and (seen.status in {404, 410} or seen.status >= 500)):
        raise Violation(
            expected="something that happens",
            received=f"{seen.leads}, answered {seen.status}" if seen.leads else "nothing",
            at=f"{stop.text[:60]!r}, followed by {seen.by}",
            exchange=PAGE,
        )


@check("browser.page-action-by-keyboard", as_browser, at_page)
def test_page_action_by_keyboard(evidence: Evidence) -> None:
    _, seen = _page(evidence, PAGE)
    if seen.chosen < 0:
        reason = "the page has nothing to follow"
        raise Untestable(reason, cause="browser.page-action-works")
    if seen.chosen not in seen.reached:
        _had_its_scripts(seen)
        focused = [seen.stops[at].text[:40] for at in seen.reached]
        raise Violation(
            expected=f"{seen.stops[seen.chosen].text[:60]!r} to have the focus when Tab is pressed",
            received=", ".join(focused) or "nothing has it",
            at="the page",
            exchange=PAGE,
        )
