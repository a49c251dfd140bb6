"""Checks of class ``x402/settlement``: a payment that is settled buys nothing a second time.

Each is asked twice: by a facilitator that refuses what it has settled, and by one that says yes to it again.
"""

from conformance.attempts import GOOD, label
from conformance.checks import check
from conformance.checks.opening import controls, doubt, good_payment, served
from conformance.checks.reuse import bought_twice, buys_nothing, is_charged, opens_once
from conformance.evidence import Evidence
from conformance.gather import unpaid
from conformance.marks import marked
from conformance.outcome import Inapplicable, Untestable
from conformance.replays import (
    AIDED,
    UNAIDED,
    Aid,
    replayed,
    replayed_elsewhere,
    replayed_for_another_request,
    settled_once,
)


@check("x402.settlement.sequential-replay", unpaid, settled_once(AIDED), replayed(AIDED))
def test_sequential_replay(evidence: Evidence) -> None:
    _sequential(evidence, AIDED)


@check("x402.settlement.sequential-replay-unaided", unpaid, settled_once(UNAIDED), replayed(UNAIDED))
def test_sequential_replay_unaided(evidence: Evidence) -> None:
    _sequential(evidence, UNAIDED)


def _sequential(evidence: Evidence, aid: Aid) -> None:
    buys_nothing(evidence, aid)
    # Without another payment in between, the second replay shows no more than the first.
    for _ in controls(evidence, aid.between):
        pass


@check("x402.settlement.replay-for-another-request", unpaid, settled_once(AIDED), replayed_for_another_request(AIDED))
def test_replay_for_another_request(evidence: Evidence) -> None:
    buys_nothing(evidence, AIDED)


@check(
    "x402.settlement.replay-for-another-request-unaided",
    unpaid,
    settled_once(UNAIDED),
    replayed_for_another_request(UNAIDED),
)
def test_replay_for_another_request_unaided(evidence: Evidence) -> None:
    buys_nothing(evidence, UNAIDED)


@check("x402.settlement.replay-elsewhere", unpaid, settled_once(AIDED), replayed_elsewhere(AIDED))
def test_replay_elsewhere(evidence: Evidence) -> None:
    _elsewhere(evidence, AIDED)


@check("x402.settlement.replay-elsewhere-unaided", unpaid, settled_once(UNAIDED), replayed_elsewhere(UNAIDED))
def test_replay_elsewhere_unaided(evidence: Evidence) -> None:
    _elsewhere(evidence, UNAIDED)


def _elsewhere(evidence: Evidence, aid: Aid) -> None:
    # It is judged where the payment comes again, not where it was settled.
    found = False
    refused = []
    doubts: list[Untestable] = []
    opens_once(evidence)
    for version, _ in controls(evidence, aid.group):
        for endpoint in evidence.profile.endpoints:
            first = aid.bought_at(version, endpoint.name)
            if (bought := evidence.exchanges.get(first)) is None:
                continue
            here = aid.replay_of(version, endpoint.name)
            there = Evidence(
                profile=evidence.profile,
                at=endpoint,
                exchanges={
                    "unpaid": evidence.exchange(aid.unpaid_at(endpoint.name)),
                    label(version, aid.group, GOOD): bought,
                    **{key: exchange for key, exchange in evidence.exchanges.items() if key == here},
                },
            )
            try:
                if not is_charged(good_payment(there, version, aid.group)):
                    continue
            except Untestable as why:
                reason = f'endpoint "{endpoint.name}": {why.finding.reason}'
                doubts.append(Untestable(reason, cause=why.finding.cause))
                continue
            found = True
            if where := served(evidence, here) or _served_as_there(evidence, there, here):
                raise bought_twice(evidence, here, where, first=first)
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
