"""Checks of class ``http`` on RateLimit, RateLimit-Policy and Retry-After."""

import re
from typing import Any

import http_sf

from conformance import fields
from conformance.checks import check
from conformance.checks.http import refusal
from conformance.evidence import Evidence
from conformance.exchange import Response
from conformance.gather import unpaid
from conformance.outcome import Inapplicable, Untestable, Violation


@check("http.ratelimit-grammar", unpaid)
def test_ratelimit_grammar(evidence: Evidence) -> None:
    for name, member in (("ratelimit-policy", "q"), ("ratelimit", "r")):
        for item, parameters in _quotas(evidence, name):
            amount = parameters.get(member)
            if not isinstance(item, str) or isinstance(item, http_sf.Token):
                raise _quota(name, "quoted strings as items", repr(item))
            if (amount is None and name == "ratelimit") or not _natural(amount):
                raise _quota(name, f"{member} as an integer of 0 or more", f"{member}={amount}")


@check("http.ratelimit-policy-named", unpaid)
def test_ratelimit_policy_named(evidence: Evidence) -> None:
    policies = {str(item) for item, _ in _quotas(evidence, "ratelimit-policy", lenient=True)}
    for item, _ in _quotas(evidence, "ratelimit", lenient=True):
        if policies and str(item) not in policies:
            raise _quota("ratelimit", f"one of {', '.join(sorted(policies))}", str(item))


@check("http.retry-after-covers-window", unpaid)
def test_retry_after_covers_window(evidence: Evidence) -> None:
    wait = fields.natural(refusal(evidence).value("retry-after"))
    if wait is None:
        reason = "the refusal has no Retry-After in seconds"
        raise Inapplicable(reason)
    for item, parameters in _quotas(evidence, "ratelimit", lenient=True):
        left, reset = parameters.get("r"), parameters.get("t")
        if left == 0 and isinstance(reset, int) and wait < reset:
            raise Violation(
                expected=f"{reset} s or more, when the exhausted quota {item} resets",
                received=f"{wait} s",
                at="Retry-After",
                exchange="unpaid",
            )


def _quotas(evidence: Evidence, name: str, *, lenient: bool = False) -> list[tuple[Any, dict[str, Any]]]:
    response = refusal(evidence)
    if not response.values("ratelimit") and not response.values("ratelimit-policy"):
        reason = "the refusal has no RateLimit fields"
        raise Inapplicable(reason)
    if _earlier(response):
        reason = "the RateLimit fields are of an earlier draft, 7 or before, which is no fault"
        raise Inapplicable(reason)
    try:
        parsed: Any = http_sf.parse(", ".join(response.values(name)).encode("latin-1"), tltype="list")
    except ValueError as error:
        if lenient:
            raise Untestable(str(error), cause="http.ratelimit-grammar") from error
        raise _quota(name, "a structured list (RFC 9651)", str(error)) from error
    return list(parsed)


def _earlier(response: Response) -> bool:
    """Whether the fields are written as the drafts had them before quotas got names."""
    old = re.compile(r"\s*(?:limit\s*=|[0-9]+\s*(?:[;,]|$))", re.IGNORECASE)
    return any(old.match(value) for name in ("ratelimit", "ratelimit-policy") for value in response.values(name))


def _natural(value: object) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)


def _quota(name: str, expected: str, received: str) -> Violation:
    return Violation(expected=expected, received=received, at=name, exchange="unpaid")
