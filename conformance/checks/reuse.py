"""What a payment bought that was used twice: the words in which such checks are written. No check stands here."""

from collections.abc import Iterator

from conformance.attempts import GOOD, label
from conformance.checks.opening import controls, doubt, good_payment, paid_for, served
from conformance.evidence import Evidence
from conformance.exchange import Exchange, Response
from conformance.outcome import Inapplicable, Untestable, Violation
from conformance.profile import Entitlement
from conformance.protocols.x402.identifier import IDENTIFIER, identifies
from conformance.replays import Aid

__all__ = ["bought_twice", "buys_nothing", "charged", "is_charged", "may_return", "opens_once", "uses"]

_JUDGES_IT = "x402/identifier"


def opens_once(evidence: Evidence) -> None:
    """Raises Inapplicable where a payment opens more than one answer."""
    if evidence.endpoint.entitlement != Entitlement.ONCE:
        reason = f"a payment opens more than one answer here: entitlement {evidence.endpoint.entitlement}"
        raise Inapplicable(reason)


def may_return(evidence: Evidence, unpaid: Response, version: int) -> str:
    """Why a payment for what ``unpaid`` offers may be answered twice; empty where it may not.

    Untestable where it may, and the class that judges what it is answered then is not among those that are claimed.
    """
    if not identifies(unpaid, version):
        return ""
    reason = f"each payment carries a {IDENTIFIER} here, under which the same answer may come once more"
    if evidence.profile.claims is not None and not evidence.claimed(_JUDGES_IT):
        raise Untestable(f"{reason}; class {_JUDGES_IT}, which judges whether it is the same, is not claimed")
    return reason


def charged(evidence: Evidence, aid: Aid) -> Iterator[int]:
    """The versions in which the good payment was served and charged, and in which it opens one answer only.

    At the end: Untestable where it was not served or not charged in one of them, Inapplicable where there was none.
    """
    opens_once(evidence)
    found = False
    reason = "nothing is charged here (scheme upto), so that nothing is used up"
    doubts: list[Untestable] = []
    for version, exchange in controls(evidence, aid.group):
        try:
            if why := may_return(evidence, evidence.response("unpaid"), version):
                reason = why
                continue
            if is_charged(exchange):
                found = True
                yield version
        except Untestable as doubted:
            doubts.append(doubted)
    if doubts:
        raise doubts[0]
    if not found:
        raise Inapplicable(reason)


def is_charged(exchange: Exchange) -> bool:
    """Whether a good payment moved money; Untestable where it ought to have done so."""
    paid = paid_for(exchange)
    # A facilitator that forgets says yes to a first use in plain words, and truly.
    told = {call.kind for call in paid.calls if call.good}
    free = paid.scheme == "upto" and "verify" in told and not list(paid.asked("settle"))
    if not paid.charged and "settle" not in told and not free:
        reason = f"version {paid.version}: a good payment is served without a settlement"
        raise Untestable(reason, cause="x402.settlement.served-is-settled")
    return paid.charged


def uses(evidence: Evidence, aid: Aid, version: int) -> Iterator[tuple[str, str]]:
    """What a payment was sent in that had been sent before, by label and name."""
    for here in evidence.exchanges:
        head, _, name = here.partition(": ")
        of, _, group = head.partition(" ")
        ours = group == aid.group or group.startswith(aid.composed)
        if of == f"v{version}" and ours and name and name != GOOD:
            yield here, name


def buys_nothing(evidence: Evidence, aid: Aid) -> None:
    """Holds when no payment opened anything that had been settled before."""
    refused = []
    for version in charged(evidence, aid):
        for here, _ in uses(evidence, aid, version):
            group = here.partition(": ")[0].partition(" ")[2]
            if group != aid.group and not is_charged(good_payment(evidence, version, group)):
                continue
            if where := served(evidence, here):
                raise bought_twice(evidence, here, where, first=label(version, group, GOOD))
            refused.append(here)
    for here in refused:
        doubt(evidence, here)


def bought_twice(evidence: Evidence, here: str, where: str, *, first: str) -> Violation:
    """That the payment of ``first`` opened what ``here`` asked for as well."""
    paid = paid_for(evidence.exchange(here))
    told = [f"The payment was settled before, in {first!r}."]
    told += [f"It is written in other bytes: {', '.join(paid.twins)}."] if paid.twins else []
    told += ["The facilitator says yes to it as often as it is asked."] if paid.faults else []
    return Violation(
        expected="an answer without what is paid for",
        received=f"{evidence.response(here).shown()} with the marker, in {where}",
        at=f"version {paid.version}, after {paid.story}",
        exchange=here,
        reason=" ".join(told),
    )
