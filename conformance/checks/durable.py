"""Checks of class ``x402/durable``: what is used stays used, over a restart, at a replica, and once it has expired."""

from collections.abc import Callable, Iterator, Sequence

from conformance.attempts import GOOD, label
from conformance.checks import check
from conformance.checks.opening import (
    doubt,
    good_payment,
    gratis,
    paid_for,
    served,
    versions,
)
from conformance.checks.reuse import is_charged, may_return
from conformance.course import sold_once
from conformance.evidence import Evidence
from conformance.memory import (
    AT_ONCE,
    BEGUN,
    CONTROL,
    EXPIRY,
    INSTANCES,
    LATER,
    ORDINARY,
    RACED,
    REPLICA,
    RESTART,
    TARGET,
    expiring,
    inside,
    remembered,
    unaided,
)
from conformance.outcome import Inapplicable, Unanswered, Untestable, Violation

__all__ = ["begun", "buys_nothing"]


# Payments that are to expire are made first: they do so while instances start.
@check("x402.durable.replay-after-restart", expiring, remembered)
def test_replay_after_restart(evidence: Evidence) -> None:
    begun(evidence)
    buys_nothing(evidence, RESTART)


@check("x402.durable.replay-after-restart-unaided", expiring, remembered)
def test_replay_after_restart_unaided(evidence: Evidence) -> None:
    begun(evidence)
    buys_nothing(evidence, unaided(RESTART))


@check("x402.durable.replay-on-replica", expiring, remembered)
def test_replay_on_replica(evidence: Evidence) -> None:
    _two(evidence)
    buys_nothing(evidence, REPLICA)


@check("x402.durable.replay-on-replica-unaided", expiring, remembered)
def test_replay_on_replica_unaided(evidence: Evidence) -> None:
    _two(evidence)
    buys_nothing(evidence, unaided(REPLICA))


@check("x402.durable.replica-race", expiring, remembered)
def test_replica_race(evidence: Evidence) -> None:
    _two(evidence)
    _one_wins(evidence, REPLICA)


@check("x402.durable.replica-race-unaided", expiring, remembered)
def test_replica_race_unaided(evidence: Evidence) -> None:
    _two(evidence)
    _one_wins(evidence, unaided(REPLICA))


_AGAIN = {
    RESTART: (AT_ONCE, *LATER),
    REPLICA: LATER,
    EXPIRY: LATER,
}
_WHEN = {
    RESTART: "once the server was started anew",
    REPLICA: "at another instance",
    EXPIRY: "once its validity is over",
}


def begun(evidence: Evidence, here: str = BEGUN) -> None:
    """Raises Untestable where an instance did not start, which the exchange ``here`` says."""
    if (first := evidence.exchanges.get(here)) and first.failure:
        reason = f"another instance of the target does not start: {first.failure.detail}"
        raise Untestable(reason)


def _two(evidence: Evidence) -> None:
    """Raises Inapplicable where one instance runs at a time, and as ``begun`` does."""
    how = evidence.profile.target.start
    if how is None or how.replicas == 1:
        reason = "the profile does not say that a second instance runs beside the first (target.start.replicas)"
        raise Inapplicable(reason)
    begun(evidence)


def _of(group: str) -> str:
    return group.partition(" ")[0]


def buys_nothing(evidence: Evidence, group: str) -> None:
    """Holds when no payment of a group opened anything when it came again."""

    def judge(start: str, there: Evidence, version: int) -> None:
        asked = []
        for name in _AGAIN[_of(group)]:
            here = label(version, group, name)
            if name == AT_ONCE and there.exchange(here).failure:
                # Who has just started need not answer.
                continue
            if where := served(there, here):
                twin = paid_for(there.exchange(here)).twins
                raise Violation(
                    expected="an answer without what is paid for",
                    received=f"{there.response(here).shown()} with the marker, in {where}",
                    at=f"{there.endpoint.name}, version {version}, {_WHEN[_of(group)]}",
                    exchange=f"{start}{here}",
                    reason=f"The payment was settled before, in {start + label(version, group, GOOD)!r}."
                    + (f" It is written in other bytes: {', '.join(twin)}." if twin else ""),
                )
            asked.append(here)
        for here in asked:
            doubt(there, here)

    _everywhere(evidence, group, judge)


def _one_wins(evidence: Evidence, group: str) -> None:
    """Holds when at most one of two first uses at the same moment was served."""

    def judge(start: str, there: Evidence, version: int) -> None:
        copies = [label(version, group, name) for name in RACED]
        # A copy that got no answer got nothing.
        answered = [here for here in copies if there.exchange(here).response]
        # In scheme upto one of them may have cost nothing.
        paid = paid_for(there.exchange(copies[0]))
        if len([here for here in answered if served(there, here)]) == len(copies) and not gratis(paid):
            settled = sum(call.moved for call in paid.calls)
            raise Violation(
                expected="one of two copies of a payment served at most",
                received=f"2 served, {settled} settled",
                at=f"{there.endpoint.name}, version {version}, one at each of two instances",
                exchange=f"{start}{copies[1]}",
            )
        for here in answered:
            doubt(there, here)

    _everywhere(evidence, group, judge)


def _everywhere(evidence: Evidence, group: str, judge: Callable[[str, Evidence, int], None]) -> None:
    """Judges at each endpoint and in each version in which the good payment of a group was served and charged.

    A violation comes first; then Untestable or Unanswered, where one of them shows nothing; Inapplicable where there
    is none.
    """
    found = False
    reason = "no endpoint takes a payment that opens one answer and no more"
    doubts: list[Untestable | Unanswered] = []
    for start, there, spoken in _places(evidence, group):
        for version in spoken:
            try:
                if why := _beside_the_point(there, version, group):
                    reason = why
                    continue
                found = True
                judge(start, there, version)
            except (Untestable, Unanswered) as doubted:
                doubts.append(doubted)
    if doubts:
        raise doubts[0]
    if not found:
        raise Inapplicable(reason)


def _places(evidence: Evidence, group: str) -> Iterator[tuple[str, Evidence, Sequence[int]]]:
    """For each endpoint with what was had there: how its labels begin, the evidence by their ends, and the versions."""
    for endpoint in sold_once(evidence.profile):
        start = inside(TARGET if _of(group) == EXPIRY else INSTANCES, endpoint, "")
        had = {here.removeprefix(start): e for here, e in evidence.exchanges.items() if here.startswith(start)}
        there = Evidence(profile=evidence.profile, at=endpoint, exchanges=had)
        yield start, there, versions(there)


def _beside_the_point(there: Evidence, version: int, group: str) -> str:
    """Why nothing is to be judged there; empty where something is. Untestable where it cannot be."""
    ordinary = label(version, group, ORDINARY)
    if ordinary in there.exchanges and served(there, ordinary):
        return "a payment is turned down that ends within a few seconds: in a run none expires"
    good = good_payment(there, version, group)
    if why := may_return(there, there.response("unpaid"), version):
        return why
    if not is_charged(good):
        return "nothing is charged here (scheme upto), so that nothing is used up"
    control = label(version, _of(group), CONTROL)
    if _of(group) != EXPIRY and not served(there, control):
        told = f"{there.response(control).shown()}, after {paid_for(there.exchange(control)).story}"
        reason = f"{there.endpoint.name}: {_WHEN[_of(group)]} a fresh payment is not served either ({told})"
        raise Untestable(reason)
    return ""
