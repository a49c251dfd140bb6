"""Payments that are used twice: sent again in the same and in other bytes, elsewhere, and many times at once."""

import json

from conformance.attempts import GOOD, good, label, versions
from conformance.gather import unpaid
from conformance.probe import Probe
from conformance.profile import Endpoint, Entitlement
from conformance.protocols.x402.encoding import TWINS
from conformance.purse import Made, Order

__all__ = [
    "BETWEEN",
    "BOUGHT_AT",
    "REPLAY",
    "bought_at",
    "copies",
    "replayed",
    "replayed_elsewhere",
    "replayed_for_another_request",
    "replayed_in_other_bytes",
    "settled_once",
    "unpaid_at",
]

REPLAY = "replay"
"""The group of all that is sent a second time; its good payment is what is sent again."""
BETWEEN = "between"
"""The group of the payment that is made between two replays."""
BOUGHT_AT = "bought at "
"""How a replay is called of a payment that was settled at another endpoint, whose name follows."""

_COPIES = 10
_ROUNDS = 2
_PAIRS = (
    ("nonce-upper", "high-s"),
    ("signature-upper", "junk"),
)
"""Of twins that a memory of payments may tell apart for different reasons."""

settled_once = good(REPLAY)
"""One good payment, which is sent again later."""


def bought_at(version: int, name: str) -> str:
    """What the good payment at another endpoint is called."""
    return label(version, f"{BOUGHT_AT}{name}", GOOD)


def unpaid_at(name: str) -> str:
    """What the request without payment at another endpoint is called."""
    return f"unpaid at {name}"


def replayed(probe: Probe) -> None:
    """The same payment at once, and once more after another payment was made."""
    for version, made in _settled(probe):
        probe.repeat(label(version, REPLAY, "at once"), made)
        probe.pay(label(version, BETWEEN, GOOD), Order(version=version))
        probe.repeat(label(version, REPLAY, "later"), made)
    # Not when other endpoints had their turn: once it has expired, it opens nothing for another reason.
    probe.gather(replayed_in_other_bytes)
    probe.gather(replayed_for_another_request)


def replayed_in_other_bytes(probe: Probe) -> None:
    """The same payment as each twin writes it, and as some pairs of them do."""
    for version, made in _settled(probe):
        for twins in (*((twin.name,) for twin in TWINS if not twin.raw), *_PAIRS):
            other = probe.purse.rewritten(made, twins)
            # It may be written so from the beginning.
            if other.value != made.value:
                probe.repeat(label(version, REPLAY, "+".join(twins)), other)


def replayed_for_another_request(probe: Probe) -> None:
    """The same payment with another query, and with a member more in a JSON body."""
    for version, made in _settled(probe):
        probe.repeat(label(version, REPLAY, "another query"), made, query={"conformance": "1"})
        if probe.endpoint and isinstance(probe.endpoint.json, dict):
            body = json.dumps(probe.endpoint.json | {"conformance": "1"}).encode()
            probe.repeat(label(version, REPLAY, "another body"), made, body=body)


def replayed_elsewhere(probe: Probe) -> None:
    """A payment that was settled at another endpoint of the same version, one at the same price if there is any."""
    for version, _ in _settled(probe):
        for endpoint in _others(probe):
            if (made := _bought(probe, endpoint, version)) is not None:
                probe.repeat(label(version, REPLAY, f"{BOUGHT_AT}{endpoint.name}"), made)
            if bought_at(version, endpoint.name) in probe.kept:
                break


def copies(probe: Probe) -> None:
    """In each of two rounds, ten copies of a fresh payment at the same time; fewer where the limits of the profile say so."""
    limits = probe.profile.limits
    many = min(limits.volley, _COPIES)
    for version, _ in _settled(probe):
        for turn in range(1, min(limits.rounds, _ROUNDS) + 1):
            names = [label(version, REPLAY, f"copy {number} of round {turn}") for number in range(1, many + 1)]
            probe.pay_in_copies(names, Order(version=version))


def _settled(probe: Probe) -> list[tuple[int, Made]]:
    """The good payments that were answered, by version; none where a payment opens more than one answer."""
    probe.gather(settled_once)
    if probe.endpoint is None or probe.endpoint.entitlement != Entitlement.ONCE:
        return []
    found = [(version, label(version, REPLAY, GOOD)) for version in versions(probe)]
    return [
        (version, probe.made[here]) for version, here in found if here in probe.made and not probe.kept[here].failure
    ]


def _others(probe: Probe) -> list[Endpoint]:
    own = probe.endpoint
    found = [
        endpoint
        for endpoint in probe.profile.endpoints
        if endpoint.protocol == "x402"
        and endpoint.marker
        and endpoint.entitlement == Entitlement.ONCE
        and own
        and endpoint.name != own.name
    ]
    return sorted(found, key=lambda endpoint: own is None or endpoint.terms != own.terms)


def _bought(probe: Probe, endpoint: Endpoint, version: int) -> Made | None:
    """The good payment at another endpoint; None where it is not paid in that version, or not answered."""
    other = probe.at(endpoint)
    if endpoint.versions and version not in endpoint.versions:
        return None
    other.gather(unpaid)
    if version not in versions(other):
        return None
    here = label(version, REPLAY, GOOD)
    paid = other.pay(here, Order(version=version))
    probe.kept[unpaid_at(endpoint.name)] = other.kept["unpaid"]
    probe.kept[bought_at(version, endpoint.name)] = paid
    return other.made.get(here) if paid.response else None
