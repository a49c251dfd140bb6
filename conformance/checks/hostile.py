"""Checks of class ``x402/guard`` on what is hardly a payment: malformed, hostile, in the wrong place, two at once."""

import re
from collections.abc import Iterator

from conformance.attempts import OWN_FIELD, broken, hostiles, label, sound
from conformance.checks import check
from conformance.checks.leak import TRACES
from conformance.checks.opening import attempts, opened, paid_for, refuses, served, versions
from conformance.evidence import Evidence
from conformance.exchange import Exchange, Response
from conformance.gather import unpaid
from conformance.marks import strings
from conformance.occasions import forged_elsewhere, pairs
from conformance.outcome import Inapplicable, Violation
from conformance.protocols import x402
from conformance.protocols.x402.hostile import HOSTILE, HUGE, INJECTED, INJECTING, JUNK
from conformance.protocols.x402.receipt import receipts
from conformance.protocols.x402.recipes import sentence

_members = broken(
    "members",
    "without-accepted",
    "without-scheme",
    "without-network",
    "without-payload",
    "without-payload-signature",
    "without-payload-authorization",
    "without-payload-authorization-from",
    "without-payload-authorization-to",
    "without-payload-authorization-value",
    "without-payload-authorization-validAfter",
    "without-payload-authorization-validBefore",
    "without-payload-authorization-nonce",
    "without-payload-permit2Authorization",
    "without-payload-permit2Authorization-from",
    "without-payload-permit2Authorization-permitted",
    "without-payload-permit2Authorization-spender",
    "without-payload-permit2Authorization-nonce",
    "without-payload-permit2Authorization-deadline",
    "without-payload-permit2Authorization-witness",
)


@check("x402.guard.members", unpaid, _members)
def test_members(evidence: Evidence) -> None:
    refuses(evidence, "members")


_version = broken(
    "version", "version-0", "version-1", "version-2", "version-3", "version-999", "version-negative", "version-fraction"
)


@check("x402.guard.version", unpaid, _version)
def test_version(evidence: Evidence) -> None:
    spoken = {f"version-{version}" for version in versions(evidence)}
    refuses(evidence, "version", legal=lambda name, _: name in spoken)


_no_number = broken("no number", "version-text", "version-null", "version-absent")


@check("x402.guard.version-is-a-number", unpaid, _no_number)
def test_version_is_a_number(evidence: Evidence) -> None:
    refuses(evidence, "no number")


_junk = hostiles("junk", JUNK)


@check("x402.guard.undecodable", unpaid, _junk)
def test_undecodable(evidence: Evidence) -> None:
    refuses(evidence, "junk")


_shape = broken("shape", "shape-of-the-other-version")
_forged = broken("forged", "signer-other", "value-lower", "expired")
_REFUSED = ("members", "version", "no number", "junk", "shape", "forged", "spelled nonce")
_spelled_nonce = broken("spelled nonce", "nonce-31-bytes", "nonce-no-hex", "nonce-number", "value-number")
_refused = (_members, _version, _no_number, _junk, _shape, _forged, _spelled_nonce)


def _refusals(evidence: Evidence, *groups: str) -> Iterator[tuple[int, str, Exchange, Response]]:
    """The attempts of ``groups`` that opened nothing, by version and label, each with its answer."""
    for group in groups:
        try:
            for version, name, exchange in attempts(evidence, group):
                here = label(version, group, name)
                if not served(evidence, here):
                    yield version, here, exchange, evidence.response(here)
        except Inapplicable:
            continue


@check("x402.guard.refusal-status", unpaid, *_refused)
def test_refusal_status(evidence: Evidence) -> None:
    for version, here, exchange, response in _refusals(evidence, *_REFUSED):
        # The specification has 400 and 402; a 4xx of another number misleads nobody about whose fault it is.
        if not 400 <= response.status < 500:
            raise Violation(
                expected="a client error: 400, or 402 with an offer",
                received=response.shown(),
                at=f"version {version}",
                exchange=here,
                reason=sentence(paid_for(exchange).recipe),
            )


@check("x402.guard.no-internals", unpaid, *_refused)
def test_no_internals(evidence: Evidence) -> None:
    for version, here, exchange, response in _refusals(evidence, *_REFUSED):
        for text in (response.text(), *strings(response.json_or_none()), *(value for _, value in _told(response))):
            for trace in (*TRACES, *_EXCEPTIONS):
                if found := re.search(trace, text):
                    raise Violation(
                        expected="no trace of how the server is built",
                        received=found[0].strip()[:80],
                        at=f"version {version}",
                        exchange=here,
                        reason=sentence(paid_for(exchange).recipe),
                    )


_EXCEPTIONS = (
    r"Cannot read propert(?:y|ies) ",
    r"\bundefined is not an? ",
    r"'NoneType' object ",
    r"\b(?:Key|Type|Attribute|Index|Reference|Syntax|Recursion|UnicodeDecode|JSONDecode|Assertion)Error\b",
    r"\bbinascii\.Error\b",
    r"errors\.pydantic\.dev",
    r"\b(?:java|javax|kotlin|System)\.[\w.]+Exception\b",
    r"\bruntime error: ",
    r"\bjson: cannot unmarshal ",
)
"""In what words an exception that nobody meant for a payer shows itself, without its trace."""


def _told(response: Response) -> Iterator[tuple[str, str]]:
    """The fields of an answer, and the texts in the documents that travel in them."""
    for name, value in response.headers:
        yield name, value
        if name.upper() in {x402.CHALLENGE, "PAYMENT-RESPONSE", "X-PAYMENT-RESPONSE"}:
            try:
                document = x402.object_in_base64(value)
            except x402.Malformed:
                continue
            for text in strings(dict(document)):
                yield name, text


_rejected = broken("rejected", "signer-other")


@check("x402.guard.rejected-differs", unpaid, _rejected)
def test_rejected_differs(evidence: Evidence) -> None:
    for version, here, _, response in _refusals(evidence, "rejected"):
        plain, told = _errors(evidence.response("unpaid"), version), _errors(response, version)
        if response.status == 402 and told <= plain:
            raise Violation(
                expected="an error that says that the payment was rejected",
                received=f"the error of the unpaid answer, {next(iter(told))!r}" if told else "no error at all",
                at=f"version {version}",
                exchange=here,
            )


def _errors(response: Response, version: int) -> set[str]:
    """Where a client looks for what is wrong: the offer, the receipt, the body."""
    found = set()
    try:
        offer = x402.offer_in(response, version)
        found |= {receipt.error_reason for receipt in receipts(response)}
    except x402.Malformed:
        offer = None
    body = response.json_or_none()
    for document in (offer.document if offer else {}, body if isinstance(body, dict) else {}):
        found |= {str(document[key]) for key in _ERRORS if document.get(key)}
    if (response.value("content-type") or "").startswith("text/plain"):
        found.add(response.text().strip())
    return found - {""}


_ERRORS = ("error", "detail", "message", "errorReason", "reason", "code", "title", "type")


@check("x402.guard.v1-refusal", unpaid, _rejected)
def test_v1_refusal(evidence: Evidence) -> None:
    if 1 not in versions(evidence):
        reason = "the endpoint does not speak version 1"
        raise Inapplicable(reason)
    for version, here, _, response in _refusals(evidence, "rejected"):
        if version == 1 and response.status == 402:
            body = response.json_or_none()
            lacking = [key for key in ("error", "accepts") if not isinstance(body, dict) or not body.get(key)]
            if lacking:
                raise Violation(
                    expected="error and accepts in the body",
                    received=f"no {' and no '.join(lacking)}",
                    at="body",
                    exchange=here,
                )


_hostile = hostiles("hostile", HOSTILE)


@check("x402.guard.hostile-json", unpaid, _hostile, sound("hostile"))
def test_hostile_json(evidence: Evidence) -> None:
    _stands(evidence, "hostile")


@check("x402.guard.huge", unpaid, hostiles("huge", HUGE), sound("huge"))
def test_huge(evidence: Evidence) -> None:
    _stands(evidence, "huge")


_HANGS_UP = {"closed", "protocol", "header-limit"}
_LONG = 4096
"""Characters of a field from which on a server may hang up in place of an answer."""


def _stands(evidence: Evidence, group: str) -> None:
    """Holds when each attempt is a client error, or a connection closed on a long one, and all is as before afterwards."""
    for version, name, exchange in attempts(evidence, group):
        here, failed = label(version, group, name), exchange.failure
        size = max(len(value) for _, value in exchange.request.headers)
        if failed and failed.kind in _HANGS_UP and size > _LONG:
            continue
        if failed is None and (where := served(evidence, here)):
            raise opened(evidence, here, exchange, where)
        if failed and failed.kind not in {*_HANGS_UP, "timeout"}:
            evidence.response(here)
        if failed or not 400 <= evidence.response(here).status < 500:
            raise Violation(
                expected="a client error" if size <= _LONG else "a client error, or a connection closed",
                received=failed.detail if failed else evidence.response(here).shown(),
                at=f"version {version}",
                exchange=here,
                reason=sentence(paid_for(exchange).recipe),
            )
    after = f"sound after {group}"
    plain, failed = evidence.response("unpaid"), evidence.exchange(after).failure
    # Whoever went down under it does not answer any more.
    down = failed is not None and failed.kind in {"refused", "closed", "timeout"}
    if down or plain.status != evidence.response(after).status:
        raise Violation(
            expected=f"{plain.shown()} for no payment, as before",
            received=failed.detail if failed else evidence.response(after).shown(),
            exchange=after,
        )


@check("x402.guard.no-injection", unpaid, hostiles("injecting", INJECTING))
def test_no_injection(evidence: Evidence) -> None:
    for version, name, exchange in attempts(evidence, "injecting"):
        here = label(version, "injecting", name)
        if exchange.failure and exchange.failure.kind in _HANGS_UP:
            continue
        if values := evidence.response(here).values(INJECTED):
            raise Violation(
                expected=f"no field {INJECTED}",
                received=f"{INJECTED}: {values[0]}",
                at=f"version {version}",
                exchange=here,
                reason=sentence(name),
            )


@check("x402.guard.two-payments", unpaid, pairs)
def test_two_payments(evidence: Evidence) -> None:
    for version, name, exchange in attempts(evidence, "pairs"):
        here = label(version, "pairs", name)
        response, paid = evidence.response(here), paid_for(exchange)
        charged = sum(call.moved for call in paid.calls)
        if charged > 1 or (served(evidence, here) and not charged):
            raise Violation(
                expected="one payment charged at most, and nothing served for none",
                received=f"{response.shown()}, {charged} charged",
                at=f"version {version}, {name}, after {paid.story}",
                exchange=here,
            )


@check("x402.guard.both-versions", unpaid, forged_elsewhere)
def test_both_versions(evidence: Evidence) -> None:
    _forged_in(evidence, {"beside junk", "other field", "other version"})


@check("x402.guard.header-only", unpaid, forged_elsewhere)
def test_header_only(evidence: Evidence) -> None:
    _forged_in(evidence, {"query", "cookie", "body", "torn body"})


def _forged_in(evidence: Evidence, places: set[str]) -> None:
    for version, name, exchange in attempts(evidence, "elsewhere"):
        here = label(version, "elsewhere", name)
        # Fields that are too long for us may be short enough for another client: that is no refusal.
        if exchange.failure and exchange.failure.kind in _HANGS_UP - {"header-limit"}:
            continue
        # Who takes a forged payment where it belongs as well does not look at signatures: another requirement says so.
        if name in places and (where := served(evidence, here)) and not served(evidence, _own(version)):
            raise opened(evidence, here, exchange, where)


def _own(version: int) -> str:
    return label(version, "elsewhere", OWN_FIELD)
