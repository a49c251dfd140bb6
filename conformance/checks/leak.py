"""Checks of class ``http`` on what a refusal gives away."""

import re

from conformance.checks import check
from conformance.checks.envelope import rules
from conformance.checks.http import refusal
from conformance.evidence import Evidence
from conformance.exchange import Response
from conformance.gather import again, as_browser, cross_origin, no_accept, paid, spoofed_host, strangers, unpaid
from conformance.marks import disguised, holds, marked, strings, unpacked
from conformance.outcome import Inapplicable, Untestable, Violation
from conformance.profile import Family


@check("http.no-paid-content", unpaid, again, paid)
def test_no_paid_content(evidence: Evidence) -> None:
    for label in ("unpaid", "again"):
        not_served(evidence, evidence.response(label), label)


def not_served(evidence: Evidence, response: Response, label: str) -> None:
    """Holds when the endpoint's marker is not in an answer; proven only once it was seen in a paid one."""
    marker = evidence.endpoint.marker
    if marker is None:
        not_for_a_decline(evidence)
        reason = "the profile names no marker"
        raise Untestable(reason)
    if found := marked(response, marker):
        told = "the paid answer" if "paid" in evidence.exchanges and marked(evidence.response("paid"), marker) else ""
        raise Violation(
            expected=f"an unpaid answer without the marker {marker.value!r}",
            received=f"the marker, in {found}",
            exchange=label,
            reason=f"{told} has the marker too: paid content leaks"
            if told
            else "the marker was never seen in a paid answer: it may be a marker that fits every answer",
        )
    if "paid" not in evidence.exchanges:
        not_for_a_decline(evidence)
        reason = "the marker was never seen in a paid answer: name a paid_identity that gets the protected one, or a [facilitator]"
        raise Untestable(reason) if evidence.claimed("http") else Inapplicable(reason)
    paid_answer = evidence.response("paid")
    # A paid answer may well send elsewhere, to a file of one's own.
    if not 200 <= paid_answer.status < 300 and not (paid_answer.status < 400 and marked(paid_answer, marker)):
        reason = f"who pays is answered {paid_answer.shown()}: the marker was never seen in a paid answer"
        raise Untestable(reason)
    if not marked(paid_answer, marker):
        reason = f"the marker {marker.value!r} is not in the paid answer either: it proves nothing"
        raise Untestable(reason)
    if holds(response, paid_answer):
        raise Violation(
            expected="an unpaid answer without the content of the paid one",
            received="all of its body, without the marker",
            at="body",
            exchange=label,
        )
    if (dress := disguised(response, marker)) and marker.value not in _offered(response):
        raise Violation(
            expected=f"an unpaid answer without the marker {marker.value!r}, in whatever form",
            received=f"the marker, as {dress}",
            exchange=label,
            reason="if those words are free, choose a marker that stands in nothing free (endpoint.marker)",
        )


def _offered(response: Response) -> str:
    """What an offer of x402 in a field says: a page often has it once more, and its words are for everybody."""
    return "\n".join(unpacked(value) for value in response.values("payment-required"))


def not_for_a_decline(evidence: Evidence) -> None:
    families = {rule.family for rule in rules(evidence)}
    if evidence.endpoint.protocol is None and families == {Family.DECLINE}:
        reason = "what is refused here is a payment, which buys nothing that could be given away"
        raise Inapplicable(reason)


@check("http.refused-for-everyone", unpaid, as_browser, no_accept, cross_origin, strangers)
def test_refused_for_everyone(evidence: Evidence) -> None:
    plain = refusal(evidence)
    for label in ("browser", "no-accept", "cross-origin", "other-origin", *evidence.labels("stranger-")):
        response = evidence.response(label)
        if 200 <= response.status < 300 or _told_only_here(evidence, plain, response):
            raise _served(evidence, response, label)


@check("http.refused-under-any-host", unpaid, spoofed_host)
def test_refused_under_any_host(evidence: Evidence) -> None:
    plain = refusal(evidence)
    if evidence.endpoint.marker is None:
        not_for_a_decline(evidence)
    for label in ("host", "forwarded-host"):
        # Another host may be another site: only the marker tells that it is ours.
        if _told_only_here(evidence, plain, response := evidence.response(label)):
            raise _served(evidence, response, label)


def _told_only_here(evidence: Evidence, plain: Response, response: Response) -> bool:
    """Whether an answer holds the marker; one that everyone gets to see is a leak, and told as one."""
    marker = evidence.endpoint.marker
    return marker is not None and not marked(plain, marker) and bool(marked(response, marker))


def _served(evidence: Evidence, response: Response, label: str) -> Violation:
    sent = [f"{n}: {v}" for n, v in evidence.exchange(label).request.headers]
    usual = {f"{n}: {v}" for n, v in evidence.exchange("unpaid").request.headers}
    return Violation(
        expected="a refusal, whoever asks",
        received=response.shown(),
        at=", ".join(field for field in sent if field not in usual) or "without Accept",
        exchange=label,
    )


TRACES = (
    r"Traceback \(most recent call last\)",
    r'File "[^"\n]+\.py", line \d+',
    r"(?m)^[ \t]*at [\w.$<>]+\([\w$]+\.(?:java|kt|scala):\d+\)",
    r"(?m)^[ \t]+at .{1,120}\((?:/|file://|node:|webpack-internal:|[A-Z]:\\)[^()\n]{1,200}:\d+:\d+\)",
    r"(?m)^[ \t]+at (?:async )?(?:/|file://|node:|[A-Z]:\\)[^()\n]{1,200}:\d+:\d+",
    r"(?m)^goroutine \d+ \[",
    r"(?m)^[ \t]*at [\w.]+\([^)\n]*\) in .+\.cs:line \d+",
    r"SQLSTATE\[",
)


@check("http.no-stack-trace", unpaid, again, as_browser)
def test_no_stack_trace(evidence: Evidence) -> None:
    refusal(evidence)
    for label in ("unpaid", "again", "browser"):
        response = evidence.response(label)
        text = "\n".join([response.text(), *strings(response.json_or_none())])
        for trace in TRACES:
            if found := re.search(trace, text):
                raise Violation(
                    expected="no trace of how the server is built",
                    received=found[0].strip()[:80],
                    at="body",
                    exchange=label,
                )


_SECRETS = (
    r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----",
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    r"\b[rs]k_live_[0-9A-Za-z]{16,}",
    r"\bgh[pousr]_[0-9A-Za-z]{36}\b",
    r"\bxox[abpr]-[0-9A-Za-z-]{20,}",
    r"<secret:[A-Za-z_][A-Za-z0-9_]*>",
)


@check("http.no-secret", unpaid, again, as_browser)
def test_no_secret(evidence: Evidence) -> None:
    refusal(evidence)
    for label in ("unpaid", "again", "browser"):
        response = evidence.response(label)
        for place, text in [("body", response.text()), *response.headers]:
            for secret in _SECRETS:
                if found := re.search(secret, text):
                    shown = found[0] if found[0].startswith("<secret:") else f"{found[0][:8]}…"
                    raise Violation(expected="no secret", received=shown, at=place, exchange=label)
