"""Checks of class ``paywall`` on the page that a person gets to see."""

from conformance.checks import check
from conformance.checks.body import is_declared
from conformance.checks.envelope import rules
from conformance.evidence import Evidence
from conformance.fields import resolved
from conformance.gather import as_browser, call_to_action, followed
from conformance.outcome import Inapplicable, Untestable, Violation
from conformance.page import HTML, Action, Page
from conformance.profile import Family


def _page(evidence: Evidence) -> Page:
    """The page that refuses a browser."""
    response = evidence.response("browser")
    if evidence.endpoint.method != "GET":
        reason = f"the endpoint is asked by {evidence.endpoint.method}, which no link does"
        raise Inapplicable(reason)
    said = {status for rule in rules(evidence) if rule.family is Family.PAYWALL for status in rule.status}
    # What a page says is not where rules look; a status other than 2xx is enough to know it for a refusal.
    refused = is_declared(evidence, response) or (response.status in said and response.status >= 400)
    if not refused or response.media_type() not in HTML:
        reason = f"a browser is answered {response.shown()}, and gets no page that refuses"
        raise Inapplicable(reason)
    return Page.of(response)


@check("paywall.page-title", as_browser)
def test_page_title(evidence: Evidence) -> None:
    if not _page(evidence).title():
        raise Violation(expected="a page with a title", received="none", at="title", exchange="browser")


@check("paywall.page-action", as_browser)
def test_page_action(evidence: Evidence) -> None:
    page = _page(evidence)
    if call_to_action(evidence.response("browser")) is None:
        raise Violation(
            expected="a link or a form that a person can follow, with a text",
            received=page.text()[:120] or "nothing to be read",
            at="body",
            exchange="browser",
        )


@check("paywall.page-leads", followed, as_browser)
def test_page_leads(evidence: Evidence) -> None:
    _page(evidence)
    action = _followed(evidence)
    url = resolved(evidence.exchange("browser").request.url, action.target)
    if url is None or not url.startswith(("http://", "https://")):
        raise Violation(expected="an address", received=action.target, at=action.text[:60], exchange="browser")
    if "action" not in evidence.exchanges:
        reason = f"{url} lies neither on the target nor on one of target.helpers"
        raise Untestable(reason)
    # A page may itself ask for payment, for a login, or for another method.
    if (response := evidence.response("action")).status in {404, 410} or response.status >= 500:
        raise Violation(expected="a page that answers", received=response.shown(), at=url, exchange="action")


def _followed(evidence: Evidence) -> Action:
    action = call_to_action(evidence.response("browser"))
    if action is None:
        reason = "the page has nothing to follow"
        raise Untestable(reason, cause="paywall.page-action")
    return action
