"""Checks of class ``x402/settlement`` on a facilitator that is down, lies or babbles: nothing is given away for that."""

from conformance.attempts import GOOD, Attempts, faults, good, label
from conformance.checks import check
from conformance.checks.opening import PLAIN_NO, controls, doubt, met, opened, paid_for, served
from conformance.evidence import Evidence
from conformance.exchange import Response
from conformance.facilitator import SECRETS, SIDECHANNEL
from conformance.gather import unpaid
from conformance.marks import strings
from conformance.occasions import hanging
from conformance.outcome import Untestable, Violation
from conformance.protocols import x402

_LONGEST_FIELDS = 16 * 1024
"""Bytes of a header section that clients read: the limit of Node.js."""


def _both(group: str, *names: str, settle: tuple[str, ...] = (), raw: bool = False) -> Attempts:
    return faults(group, *(f"{kind}/{name}" for kind in ("verify", "settle") for name in names), *settle, raw=raw)


_unreachable = _both("unreachable", "reset", "drop", settle=("settle/settled-then-drops",))
# Some servers put all that the facilitator says into a field, and no HTTP client reads that.
_fails = _both("fails", "error-text", "error-page", "unavailable", "secrets", raw=True)
_garbled = _both("garbled", "array", "not-json", "truncated")
_no_verdict = _both("no verdict", "empty-object", "verdict-missing", "verdict-null")
_redirects = _both("redirects", "redirect")
_refuses = _both("refuses", "unauthorized", "forbidden", "too-many")
_no_boolean = _both("no boolean", "verdict-yes", "verdict-1")
_foreign = faults("foreign", "settle/wrong-network", "settle/wrong-payer")
_nameless = faults("nameless", "settle/empty-transaction")
_aside = _both("aside", "extension-responses")


def _fails_closed(evidence: Evidence, group: str) -> None:
    """Holds when nothing was served that was not, in the end, settled and said to be."""
    doubts: list[Untestable] = []
    for here, exchange, paid in met(evidence, group):
        try:
            _answer(evidence, here)
            where = served(evidence, here)
            if not paid.settled:
                doubt(evidence, here)
        except Untestable as found:
            doubts.append(found)
            continue
        if where and not paid.settled:
            raise opened(evidence, here, exchange, where)
    if doubts:
        raise doubts[-1]


def _answer(evidence: Evidence, here: str) -> Response:
    """The answer called ``here``; Untestable where another requirement has it that there is none to look into."""
    exchange = evidence.exchange(here)
    if exchange.failure and exchange.failure.kind == "header-limit":
        reason = "the fields of an answer are longer than any client reads"
        raise Untestable(reason, cause="x402.settlement.short-fields")
    if exchange.failure and exchange.failure.kind == "timeout" and " hanging: " in here:
        reason = "there was no answer to look into: the target waits longer for its facilitator than we for the target"
        raise Untestable(reason, cause="x402.settlement.answers-in-time")
    return evidence.response(here)


@check("x402.settlement.facilitator-unreachable", unpaid, _unreachable)
def test_facilitator_unreachable(evidence: Evidence) -> None:
    _fails_closed(evidence, "unreachable")


@check("x402.settlement.facilitator-fails", unpaid, _fails)
def test_facilitator_fails(evidence: Evidence) -> None:
    _fails_closed(evidence, "fails")


@check("x402.settlement.facilitator-garbled", unpaid, _garbled)
def test_facilitator_garbled(evidence: Evidence) -> None:
    _fails_closed(evidence, "garbled")


@check("x402.settlement.facilitator-without-verdict", unpaid, _no_verdict)
def test_facilitator_without_verdict(evidence: Evidence) -> None:
    _fails_closed(evidence, "no verdict")


@check("x402.settlement.facilitator-redirects", unpaid, _redirects)
def test_facilitator_redirects(evidence: Evidence) -> None:
    _fails_closed(evidence, "redirects")


@check("x402.settlement.facilitator-refuses", unpaid, _refuses)
def test_facilitator_refuses(evidence: Evidence) -> None:
    _fails_closed(evidence, "refuses")


@check("x402.settlement.verdict-is-boolean", unpaid, _no_boolean)
def test_verdict_is_boolean(evidence: Evidence) -> None:
    for here, exchange, _ in met(evidence, "no boolean"):
        if where := served(evidence, here):
            raise opened(evidence, here, exchange, where)


@check("x402.settlement.transaction-named", unpaid, _nameless)
def test_transaction_named(evidence: Evidence) -> None:
    for here, exchange, paid in met(evidence, "nameless"):
        asked = {call.requirements.get("amount") for call in paid.asked("settle")}
        # Where nothing is charged, nothing is broadcast.
        if not (paid.scheme == "upto" and asked == {"0"}) and (where := served(evidence, here)):
            raise opened(evidence, here, exchange, where)


@check("x402.settlement.foreign", unpaid, _foreign)
def test_foreign(evidence: Evidence) -> None:
    for here, exchange, _ in met(evidence, "foreign"):
        if where := served(evidence, here):
            raise opened(evidence, here, exchange, where)


@check("x402.settlement.no-with-400", unpaid, PLAIN_NO)
def test_no_with_400(evidence: Evidence) -> None:
    for here, _, paid in met(evidence, "no"):
        # What is served is a fault of its own.
        if not paid.faults[0].endswith("/no-with-400") or served(evidence, here):
            continue
        response = evidence.response(here)
        if not 400 <= response.status < 500:
            raise Violation(
                expected="402, as for any other no",
                received=response.shown(),
                at=f"version {paid.version}, after {paid.story}",
                exchange=here,
            )


@check("x402.settlement.not-the-payers-fault", unpaid, _unreachable, _fails)
def test_not_the_payers_fault(evidence: Evidence) -> None:
    for group in ("unreachable", "fails"):
        for here, _, paid in met(evidence, group):
            response = _answer(evidence, here)
            # Another facilitator, or the same one asked again, may have said an honest no.
            told = any(not call.fault and not call.good for call in paid.calls)
            if 400 <= response.status < 500 and not told:
                raise Violation(
                    expected="a server error: the payment may be good",
                    received=response.shown(),
                    at=f"version {paid.version}, after {paid.story}",
                    exchange=here,
                )


@check("x402.settlement.short-fields", unpaid, _fails)
def test_short_fields(evidence: Evidence) -> None:
    for here, exchange, paid in met(evidence, "fails"):
        too_long = exchange.failure is not None and exchange.failure.kind == "header-limit"
        size = 0 if too_long else sum(len(f"{n}: {v}\r\n") for n, v in evidence.response(here).headers)
        if too_long or size > _LONGEST_FIELDS:
            raise Violation(
                expected=f"at most {_LONGEST_FIELDS} bytes of fields",
                received="more than any client reads" if too_long else f"{size} bytes",
                at=f"version {paid.version}, after {paid.story}",
                exchange=here,
            )


def _said(response: Response) -> str:
    """All that an answer says, also in the documents that travel in its fields."""
    texts = [response.reason, response.text(), *strings(response.json_or_none())]
    for name, value in response.headers:
        texts.append(f"{name}: {value}")
        try:
            texts += strings(dict(x402.object_in_base64(value)))
        except x402.Malformed:
            continue
    return "\n".join(texts)


@check("x402.settlement.words-stay-inside", unpaid, _fails)
def test_words_stay_inside(evidence: Evidence) -> None:
    for here, exchange, paid in met(evidence, "fails"):
        if exchange.failure and exchange.failure.kind == "header-limit":
            continue
        said = _said(evidence.response(here))
        if found := [secret for secret in SECRETS if secret in said]:
            raise Violation(
                expected="none of the words in which the facilitator failed",
                received=found[0],
                at=f"version {paid.version}, after {paid.story}",
                exchange=here,
                reason="hosts, keys and paths in the error of the facilitator reach whoever pays",
            )


@check("x402.settlement.sidechannel", unpaid, _aside)
def test_sidechannel(evidence: Evidence) -> None:
    for here, _, paid in met(evidence, "aside"):
        response = evidence.response(here)
        if response.values("EXTENSION-RESPONSES") or SIDECHANNEL in _said(response):
            raise Violation(
                expected="nothing of EXTENSION-RESPONSES",
                received="what the facilitator said there",
                at=f"version {paid.version}, after {paid.story}",
                exchange=here,
            )


@check("x402.settlement.facilitator-hangs", unpaid, hanging)
def test_facilitator_hangs(evidence: Evidence) -> None:
    _fails_closed(evidence, "hanging")


@check("x402.settlement.answers-in-time", unpaid, hanging)
def test_answers_in_time(evidence: Evidence) -> None:
    for here, exchange, paid in met(evidence, "hanging"):
        if exchange.failure and exchange.failure.kind == "timeout":
            raise Violation(
                expected=f"an answer within {evidence.profile.target.timeout:g} s (target.timeout)",
                received="none",
                at=f"version {paid.version}, after {paid.story}",
                exchange=here,
            )


_after = good("after faults")
_SILENT = {"timeout", "closed", "refused"}
"""How a target fails that has no worker or no connection left."""


@check("x402.settlement.recovers", unpaid, _fails, hanging, _after)
def test_recovers(evidence: Evidence) -> None:
    for version, _ in controls(evidence, "fails"):
        here = label(version, "after faults", GOOD)
        exchange = evidence.exchange(here)
        silent = exchange.failure if exchange.failure and exchange.failure.kind in _SILENT else None
        if silent or not served(evidence, here):
            raise Violation(
                expected="what is paid for, as before the faults of the facilitator",
                received=silent.detail if silent else evidence.response(here).shown(),
                at=f"version {version}, after {paid_for(exchange).story}",
                exchange=here,
            )
