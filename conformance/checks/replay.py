"""Checks of class ``x402/settlement``: a payment that is settled buys nothing a second time."""

from collections import defaultdict
from collections.abc import Iterator

from conformance.attempts import GOOD, kept_of, label
from conformance.checks import check
from conformance.checks.leak import marked
from conformance.checks.opening import (
    IDENTIFIER,
    controls,
    doubt,
    good_payment,
    identified,
    is_charged,
    paid_for,
    served,
)
from conformance.evidence import Evidence
from conformance.gather import unpaid
from conformance.outcome import Inapplicable, Untestable, Violation
from conformance.profile import Entitlement
from conformance.replays import (
    BETWEEN,
    BOUGHT_AT,
    REPLAY,
    bought_at,
    copies,
    replayed,
    replayed_elsewhere,
    replayed_for_another_request,
    replayed_in_other_bytes,
    settled_once,
    unpaid_at,
)


@check("x402.settlement.sequential-replay", unpaid, settled_once, replayed)
def test_sequential_replay(evidence: Evidence) -> None:
    _buys_nothing(evidence)
    # Without another payment in between, the second replay shows no more than the first.
    for _ in controls(evidence, BETWEEN):
        pass


@check("x402.settlement.replayed-twin", unpaid, settled_once, replayed_in_other_bytes)
def test_replayed_twin(evidence: Evidence) -> None:
    _buys_nothing(evidence)


@check("x402.settlement.replay-for-another-request", unpaid, settled_once, replayed_for_another_request)
def test_replay_for_another_request(evidence: Evidence) -> None:
    _buys_nothing(evidence)


@check("x402.settlement.replay-elsewhere", unpaid, settled_once, replayed_elsewhere)
def test_replay_elsewhere(evidence: Evidence) -> None:
    # It is judged where the payment comes again, not where it was settled.
    found = False
    refused = []
    doubts: list[Untestable] = []
    _opens_once(evidence)
    for version, _ in controls(evidence, REPLAY):
        for endpoint in evidence.profile.endpoints:
            if (bought := evidence.exchanges.get(bought_at(version, endpoint.name))) is None:
                continue
            here = label(version, REPLAY, f"{BOUGHT_AT}{endpoint.name}")
            there = Evidence(
                profile=evidence.profile,
                at=endpoint,
                exchanges={
                    "unpaid": evidence.exchange(unpaid_at(endpoint.name)),
                    label(version, REPLAY, GOOD): bought,
                    **{key: exchange for key, exchange in evidence.exchanges.items() if key == here},
                },
            )
            try:
                if not is_charged(good_payment(there, version, REPLAY)):
                    continue
            except Untestable as why:
                reason = f'endpoint "{endpoint.name}": {why.finding.reason}'
                doubts.append(Untestable(reason, cause=why.finding.cause))
                continue
            found = True
            if where := served(evidence, here) or _served_as_there(evidence, there, here):
                raise _bought_twice(evidence, here, where, first=bought_at(version, endpoint.name))
            refused.append(here)
    for here in refused:
        doubt(evidence, here)
    if doubts:
        raise doubts[0]
    if not found:
        reason = "no other endpoint with a marker is charged in the same version for each answer"
        raise Inapplicable(reason)


def _served_as_there(evidence: Evidence, there: Evidence, here: str) -> str:
    """Where the answer holds what the other endpoint sells; empty where an unpaid answer may hold it as well."""
    marker = there.endpoint.marker
    if marker is None or marked(evidence.response("unpaid"), marker):
        return ""
    where = served(there, here)
    return f'{where} (that of endpoint "{there.endpoint.name}")' if where else ""


@check("x402.settlement.concurrent-use", unpaid, settled_once, copies)
def test_concurrent_use(evidence: Evidence) -> None:
    asked = []
    for version in _charged(evidence):
        rounds: dict[str, list[str]] = defaultdict(list)
        for here, name in _replays(evidence, version):
            rounds[name.rpartition(" ")[2]].append(here)
        for turn, labels in rounds.items():
            # A copy that got no answer got nothing.
            taken = [here for here in labels if evidence.exchange(here).response and served(evidence, here)]
            settled = sum(call.moved for here in labels for call in paid_for(evidence.exchange(here)).calls)
            if len(taken) > 1:
                raise Violation(
                    expected=f"one of {len(labels)} copies of a payment served at most",
                    received=f"{len(taken)} served, {settled} settled",
                    at=f"version {version}, round {turn}",
                    exchange=taken[1],
                )
            asked += labels
    for here in asked:
        doubt(evidence, here)


def _opens_once(evidence: Evidence) -> None:
    if evidence.endpoint.entitlement != Entitlement.ONCE:
        reason = f"a payment opens more than one answer here: entitlement {evidence.endpoint.entitlement}"
        raise Inapplicable(reason)


def _charged(evidence: Evidence) -> Iterator[int]:
    """The versions in which the good payment was served and charged, and in which it opens one answer only.

    At the end: Untestable where it was not served or not charged in one of them, Inapplicable where there was none.
    """
    _opens_once(evidence)
    found = False
    reason = "nothing is charged here (scheme upto), so that nothing is used up"
    doubts: list[Untestable] = []
    for version, exchange in controls(evidence, REPLAY):
        if version == 2 and identified(evidence):
            reason = f"the extension {IDENTIFIER} is advertised, under which the same answer may come once more"
            continue
        try:
            if is_charged(exchange):
                found = True
                yield version
        except Untestable as why:
            doubts.append(why)
    if doubts:
        raise doubts[0]
    if not found:
        raise Inapplicable(reason)


def _replays(evidence: Evidence, version: int) -> Iterator[tuple[str, str]]:
    """What was sent a second time, by label and name."""
    for of, name, _ in kept_of(evidence.exchanges, REPLAY):
        if of == version and name != GOOD:
            yield label(version, REPLAY, name), name


def _buys_nothing(evidence: Evidence) -> None:
    """Holds when no replay opened anything."""
    refused = []
    for version in _charged(evidence):
        for here, _ in _replays(evidence, version):
            if where := served(evidence, here):
                raise _bought_twice(evidence, here, where, first=label(version, REPLAY, GOOD))
            refused.append(here)
    for here in refused:
        doubt(evidence, here)


def _bought_twice(evidence: Evidence, here: str, where: str, *, first: str) -> Violation:
    paid = paid_for(evidence.exchange(here))
    told = [f"The payment was settled before, in {first!r}."]
    told += [f"It is written in other bytes: {', '.join(paid.twins)}."] if paid.twins else []
    return Violation(
        expected="an answer without what is paid for",
        received=f"{evidence.response(here).shown()} with the marker, in {where}",
        at=f"version {paid.version}, after {paid.story}",
        exchange=here,
        reason=" ".join(told),
    )
