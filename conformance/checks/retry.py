"""Checks of class ``x402/settlement`` and ``x402/order``: a payment that comes again never costs twice."""

from collections.abc import Iterator, Mapping

from conformance.attempts import GOOD, label
from conformance.checks import check
from conformance.checks.opening import controls, doubt, gratis, is_gratis, paid_for, served
from conformance.checks.reuse import is_charged, may_return, opens_once
from conformance.evidence import Evidence
from conformance.exchange import Exchange, Response
from conformance.gather import unpaid
from conformance.occasions import failing, hanging
from conformance.outcome import Inapplicable, Untestable, Violation
from conformance.paid import FacilitatorCall, Paid
from conformance.protocols import x402
from conformance.protocols.x402.receipt import RECEIPT, Receipt, receipts
from conformance.retries import (
    AGAIN,
    ALONE,
    AT_REST,
    AT_WORK,
    BOOM,
    HANGING,
    IN_FLIGHT,
    LEFT,
    LEFT_SLOW,
    LOST,
    MORE,
    PENDING,
    REFUSED,
    RETRY,
    SLOW,
    UNAIDED,
    failed_and_retried,
    left,
    lost,
    lost_and_retried,
    pending,
    refused,
    retry_control,
    while_slow,
)

_OPENS_NOTHING: Mapping[str, str] = {
    "verify/no": "x402.settlement.verify-no",
    "settle/no": "x402.settlement.settle-no",
    LOST[0]: "x402.settlement.facilitator-unreachable",
    LOST[1]: "x402.settlement.facilitator-hangs",
    PENDING[0]: "x402.settlement.pending",
    PENDING[1]: "x402.settlement.pending",
    BOOM: "x402.settlement.served-is-settled",
}
"""Which requirement says that a payment of that name opens nothing the first time, unless it is settled."""


@check("x402.settlement.hung-up", unpaid, retry_control, left)
def test_hung_up(evidence: Evidence) -> None:
    # It comes first: while its settlement takes its time, the next ones are asked.
    _opens_one(evidence, *((RETRY, name) for name in LEFT))


@check("x402.settlement.lost-answer", unpaid, retry_control, lost, hanging, lost_and_retried)
def test_lost_answer(evidence: Evidence) -> None:
    _opens_one(evidence, (RETRY, LOST[0]), (HANGING, LOST[1]))


@check("x402.settlement.pending-again", unpaid, retry_control, pending)
def test_pending_again(evidence: Evidence) -> None:
    _opens_one(evidence, *((RETRY, name) for name in PENDING))


@check("x402.settlement.refused-again", unpaid, retry_control, refused)
def test_refused_again(evidence: Evidence) -> None:
    _opens_one(evidence, *((RETRY, name) for name in REFUSED))


@check("x402.settlement.hung-up-meanwhile", unpaid, while_slow)
def test_hung_up_meanwhile(evidence: Evidence) -> None:
    _opens_one(evidence, (IN_FLIGHT, LEFT_SLOW))


@check("x402.settlement.in-flight", unpaid, while_slow)
def test_in_flight(evidence: Evidence) -> None:
    _opens_one(evidence, (IN_FLIGHT, SLOW))


@check("x402.settlement.charged-failure-retry", unpaid, failing, failed_and_retried)
def test_charged_failure_retry(evidence: Evidence) -> None:
    _opens_one(evidence, ("failing", BOOM))


def _opens_one(evidence: Evidence, *which: tuple[str, str]) -> None:
    """Holds when each of these payments opened one answer at most, however often it came, and that was charged."""
    found = False
    doubts: list[Untestable] = []
    for group in dict.fromkeys(group for group, _ in which):
        try:
            for version in _charged(evidence, group):
                for name in (name for of, name in which if of == group):
                    try:
                        found |= _opens_one_at_most(evidence, version, group, name)
                    except Untestable as why:
                        doubts.append(why)
        except Untestable as why:
            doubts.append(why)
    if doubts:
        raise doubts[0]
    if not found:
        reason = "nothing is charged here that could come again after that"
        raise Inapplicable(reason)


def _charged(evidence: Evidence, group: str) -> Iterator[int]:
    """The versions in which the good payment of a group was served and charged, and opens one answer only."""
    opens_once(evidence)
    for version, exchange in controls(evidence, group):
        if is_charged(exchange) and not may_return(evidence, evidence.response("unpaid"), version):
            yield version


def _opens_one_at_most(evidence: Evidence, version: int, group: str, name: str) -> bool:
    """Whether the payment was sent again and met what it is named after; raises Violation for what it opened then."""
    first = label(version, group, name)
    times = [here for here in (first, first + AGAIN, first + MORE) if here in evidence.exchanges]
    if len(times) == 1 or not times or not _met(evidence.exchange(first), name):
        return False
    opened = ""
    calls: list[FacilitatorCall] = []
    # What two at the same time were asked stands with the first.
    both = paid_for(evidence.exchange(first)) if name == SLOW else None
    if both and not is_gratis(both) and gratis(both) and all(served(evidence, here) for here in times):
        reason = f"version {version}: a payment in scheme upto is served twice, and may have cost 0 once"
        raise Untestable(reason)
    for here in times:
        exchange = evidence.exchange(here)
        paid = paid_for(exchange)
        calls += paid.calls
        # Whoever got no answer the first time got nothing.
        if (here == first and exchange.response is None) or not (where := served(evidence, here)):
            if opened:
                doubt(evidence, here)
            continue
        if is_gratis(both or paid):
            continue
        if here == first and name in _OPENS_NOTHING and not paid.settled:
            reason = f"version {version}: what is not settled opens something at once"
            raise Untestable(reason, cause=_OPENS_NOTHING[name])
        if opened or not any(call.confirmed if name in PENDING else call.moved for call in calls):
            raise Violation(
                expected="nothing more for it" if opened else "a settlement before anything is served",
                received=f"{evidence.response(here).shown()} with the marker, in {where}",
                at=f"version {version}, after {paid.followed_by(*calls).story}",
                exchange=here,
                reason=f"The same payment opened {opened!r} already." if opened else "",
            )
        opened = here
    if group == IN_FLIGHT:
        _is_slow(evidence, version)
    return True


def _is_slow(evidence: Evidence, version: int) -> None:
    """Raises Untestable unless a handler was at work while the payment came again."""
    first = label(version, IN_FLIGHT, SLOW)
    took = max(evidence.exchange(here).took for here in (first, first + AGAIN))
    if took < AT_WORK:
        reason = f"the slow request (endpoint.slow) took {took:.1f} s: nothing was at work when its payment came again"
        raise Untestable(reason)


def _met(exchange: Exchange, name: str) -> bool:
    """Whether the target ran into what the payment is named after."""
    paid = paid_for(exchange)
    if name == BOOM:
        if exchange.response and exchange.response.status < 400:
            reason = f"the request that fails by the profile (endpoint.failing) is answered {exchange.response.shown()}"
            raise Untestable(reason)
        return exchange.response is not None and any(c.good for c in paid.calls)
    return name not in _OPENS_NOTHING or any(f"{call.kind}/{call.fault}" in paid.faults for call in paid.calls)


@check("x402.settlement.hung-up-unaided", unpaid, retry_control, left)
def test_hung_up_unaided(evidence: Evidence) -> None:
    _settles_once(evidence, RETRY, LEFT[0] + UNAIDED)


@check("x402.settlement.charged-failure-unaided", unpaid, failing, failed_and_retried)
def test_charged_failure_unaided(evidence: Evidence) -> None:
    _settles_once(evidence, "failing", BOOM + UNAIDED)


def _settles_once(evidence: Evidence, group: str, name: str) -> None:
    """Holds when a payment that is settled already is not settled again, though the facilitator would do it."""
    found = False
    for version in _charged(evidence, group):
        first = label(version, group, name)
        if first + AGAIN not in evidence.exchanges or not _is_told(paid_for(evidence.exchange(first))):
            continue
        found = True
        again = next(here for here in (first + MORE, first + AGAIN) if here in evidence.exchanges)
        paid = paid_for(evidence.exchange(again))
        if _is_told(paid) and not _is_known(evidence, first, again):
            raise Violation(
                expected="no second settlement",
                received=f"{paid.story}, and {evidence.response(again).shown()}",
                at=f"version {version}, after {paid_for(evidence.exchange(first)).story}",
                exchange=again,
                reason="only the facilitator, or the chain, keeps the payer from being charged again",
            )
    if not found:
        reason = "nothing is charged before its payer is gone, or its handler fails"
        raise Inapplicable(reason)


def _is_known(evidence: Evidence, first: str, again: str) -> bool:
    """Whether a second settlement was taken for the one of before: it is the same transaction, and opened nothing."""
    before, after = (
        {call.transaction for call in paid_for(evidence.exchange(here)).asked("settle")} for here in (first, again)
    )
    return after <= before and not served(evidence, again)


def _is_told(paid: Paid) -> bool:
    """Whether the target asked for a settlement and was told yes."""
    return any(call.good and call.status == _OK for call in paid.asked("settle"))


_OK = 200


@check("x402.settlement.unknown-outcome", unpaid, retry_control, lost, pending, hanging)
def test_unknown_outcome(evidence: Evidence) -> None:
    found = False
    for group, names in _UNKNOWN.items():
        for version, _ in controls(evidence, group):
            for here in (label(version, group, name) for name in names):
                if here not in evidence.exchanges or not _met(evidence.exchange(here), here.partition(": ")[2]):
                    continue
                found = True
                response = _answer(evidence, here)
                if response.status == _INVITES and not _receipts(response):
                    raise Violation(
                        expected=f"a server error, or {RECEIPT[version]} beside the {_INVITES}",
                        received=f"{response.shown()} without a receipt",
                        at=f"version {version}, after {paid_for(evidence.exchange(here)).story}",
                        exchange=here,
                        reason="whoever takes it for a fresh challenge signs and may pay a second time",
                    )
    if not found:
        reason = "the target never asked the facilitator to settle"
        raise Inapplicable(reason)


_INVITES = 402
_UNKNOWN = {
    RETRY: (LOST[0], PENDING[0]),
    HANGING: ("settle/hang", "settle/stall", "settle/drip", LOST[1]),
}
"""Payments of which the target cannot know what became of them, by group."""


def _answer(evidence: Evidence, here: str) -> Response:
    exchange = evidence.exchange(here)
    if exchange.failure and exchange.failure.kind == "timeout":
        reason = "there was no answer to look into: the target waits longer for its facilitator than we for the target"
        raise Untestable(reason, cause="x402.settlement.answers-in-time")
    return evidence.response(here)


def _receipts(response: Response) -> tuple[Receipt, ...]:
    try:
        return receipts(response)
    except x402.Malformed:
        return ()


@check("x402.settlement.pending-transaction", unpaid, retry_control, pending)
def test_pending_transaction(evidence: Evidence) -> None:
    found = False
    for version, _ in controls(evidence, RETRY):
        here = label(version, RETRY, PENDING[0])
        if here not in evidence.exchanges or not _met(evidence.exchange(here), PENDING[0]):
            continue
        paid = paid_for(evidence.exchange(here))
        broadcast = {call.transaction for call in paid.asked("settle") if call.transaction}
        # Where nothing is charged, nothing is broadcast.
        for receipt in _receipts(evidence.response(here)) if broadcast else ():
            found = True
            if receipt.transaction not in broadcast:
                raise Violation(
                    expected=f"transaction {' or '.join(broadcast)}, which the facilitator named",
                    received=repr(receipt.document.get("transaction")),
                    at=f"version {version}, {RECEIPT[receipt.version]}, after {paid.story}",
                    exchange=here,
                )
    if not found:
        reason = "no answer to a settlement that is pending has a receipt"
        raise Inapplicable(reason)


_MOST = 10
"""Times that a settlement may be asked for in one request: it takes one to know, and a few to wait for a block."""


@check("x402.settlement.same-settle", unpaid, retry_control, pending)
def test_same_settle(evidence: Evidence) -> None:
    found = False
    for version, _ in controls(evidence, RETRY):
        for here in (label(version, RETRY, name) for name in PENDING):
            if here not in evidence.exchanges:
                continue
            paid = paid_for(evidence.exchange(here))
            asked = list(paid.asked("settle"))
            found |= len(asked) > 1
            if any((call.payment, call.requirements) != (asked[0].payment, asked[0].requirements) for call in asked):
                raise Violation(
                    expected="the payload and the requirements of the first time",
                    received="others",
                    at=f"version {version}, after {paid.story}",
                    exchange=here,
                )
            if len(asked) > _MOST:
                raise Violation(
                    expected=f"{_MOST} settlements at most",
                    received=f"{len(asked)} of them",
                    at=f"version {version}",
                    exchange=here,
                )
    if not found:
        reason = "the target does not ask again by itself for a settlement that is pending"
        raise Inapplicable(reason)


@check("x402.order.in-flight-runs-once", unpaid, while_slow)
def test_in_flight_runs_once(evidence: Evidence) -> None:
    for version in _charged(evidence, IN_FLIGHT):
        seen = paid_for(evidence.exchange(label(version, IN_FLIGHT, GOOD))).witness
        if seen is None or seen[0] == seen[1]:
            reason = "the witness does not move for a good payment, or cannot be read: it proves nothing"
            raise Untestable(reason)
        _is_slow(evidence, version)
        # It was sent once more by itself where the handler ran more often than there were payments.
        alone = evidence.exchanges.get(label(version, IN_FLIGHT, ALONE))
        ran = paid_for(alone).witness if alone else None
        rest = evidence.exchanges.get(label(version, IN_FLIGHT, AT_REST))
        still = paid_for(rest).witness if rest else None
        # A witness may count one run several times.
        if not alone or not ran or ran[1] - ran[0] <= seen[1] - seen[0]:
            continue
        if not still or still[0] != still[1]:
            reason = "the witness moves while nothing is asked: others use this target, or it lags"
            raise Untestable(reason)
        raise Violation(
            expected=f"a handler that runs once: a witness that moves by {seen[1] - seen[0]}",
            received=f"the witness moved by {ran[1] - ran[0]} for a payment that came twice",
            at=f"version {version}, after {paid_for(alone).story}",
            exchange=label(version, IN_FLIGHT, ALONE),
        )
