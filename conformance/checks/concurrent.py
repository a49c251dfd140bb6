"""Checks of class ``x402/settlement``: copies of a payment that arrive at the same time buy one answer together."""

from collections import defaultdict

from conformance.checks import check
from conformance.checks.opening import doubt, gratis, is_gratis, paid_for, served
from conformance.checks.reuse import charged, uses
from conformance.evidence import Evidence
from conformance.gather import unpaid
from conformance.outcome import Untestable, Violation
from conformance.replays import AIDED, UNAIDED, Aid, settled_once
from conformance.volleys import kind_of, place_of, unpaid_beside, volleys

_SHOWN = 12
"""Moments of a volley that a finding shows."""


@check("x402.settlement.concurrent-use", unpaid, settled_once(AIDED), volleys(AIDED))
def test_concurrent_use(evidence: Evidence) -> None:
    _once(evidence, AIDED)


@check("x402.settlement.concurrent-use-unaided", unpaid, settled_once(UNAIDED), volleys(UNAIDED))
def test_concurrent_use_unaided(evidence: Evidence) -> None:
    _once(evidence, UNAIDED)


def _once(evidence: Evidence, aid: Aid) -> None:
    asked = []
    unclear = ""
    for version in charged(evidence, aid):
        won = 0
        for kind, labels in _by_kind(evidence, aid, version).items():
            # A copy that got no answer got nothing.
            taken = [here for here in labels if evidence.exchange(here).response and _served(evidence, aid, here)]
            won += len(taken)
            first = paid_for(evidence.exchange(labels[0]))
            if len(taken) - gratis(first) > 1:
                settled = sum(call.moved for call in first.calls)
                ran = f", {first.witness[1] - first.witness[0]} runs of the handler" if first.witness else ""
                raise Violation(
                    expected=f"one of {len(labels)} copies of a payment served at most",
                    received=f"{len(taken)} served, {settled} settled{ran}",
                    at=f"version {version}, copies {kind}",
                    exchange=taken[1],
                    reason=_told(evidence, labels, taken),
                )
            if len(taken) > 1 and not is_gratis(first):
                unclear = f"{len(taken)} copies {kind} are served: in scheme upto all but one may have cost 0"
            asked += labels
        if not won:
            # Who turns away whatever comes in a crowd was not seen to choose one of it.
            unclear = f"version {version}: no copy of any payment is served when they arrive at the same time"
    if unclear:
        raise Untestable(unclear)
    for here in asked:
        place = place_of(here)
        doubt(_at(evidence, aid, place) if place else evidence, here)


def _by_kind(evidence: Evidence, aid: Aid, version: int) -> dict[str, list[str]]:
    """The copies in each kind of volley."""
    found: dict[str, list[str]] = defaultdict(list)
    for here, name in uses(evidence, aid, version):
        found[kind_of(name)].append(here)
    return found


def _served(evidence: Evidence, aid: Aid, here: str) -> str:
    place = place_of(here)
    return served(_at(evidence, aid, place) if place else evidence, here)


def _at(evidence: Evidence, aid: Aid, name: str) -> Evidence:
    """The evidence for the endpoint to which some of the copies went."""
    endpoint = next(endpoint for endpoint in evidence.profile.endpoints if endpoint.name == name)
    own = {key: exchange for key, exchange in evidence.exchanges.items() if place_of(key) == name}
    return Evidence(
        profile=evidence.profile,
        at=endpoint,
        exchanges={**own, "unpaid": evidence.exchange(unpaid_beside(aid, name))},
    )


def _told(evidence: Evidence, labels: list[str], taken: list[str]) -> str:
    """What happened when, in milliseconds since the copies were sent."""
    first = evidence.exchange(labels[0])
    # As a report writes moments down: it is to be told the same from there.
    began = round(first.at, 4)
    moments = [(call.at - began, call.shown()) for call in paid_for(first).calls]
    moments += [(round(evidence.exchange(here).took, 4), f"{here.partition(', ')[2]} served") for here in taken]
    told = [f"{what} at {when * 1000:.0f}" for when, what in sorted(moments)]
    more = f", and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    return f"In ms since they were sent: {', '.join(told[:_SHOWN])}{more}."
