"""Payments that carry an identifier, where an offer of version 2 advertises the extension payment-identifier."""

import json
from dataclasses import replace

from conformance.asking import Changes, request_to
from conformance.attempts import GOOD, drop_unpayable, label, versions
from conformance.gather import unpaid
from conformance.probe import Copy, Probe
from conformance.profile import Endpoint, Entitlement
from conformance.protocols import x402
from conformance.protocols.x402.identifier import IDENTIFIER, advertises, requires
from conformance.purse import Made, Order, Unpayable
from conformance.replays import AIDED, MORE, another_body, settled_once

__all__ = [
    "AGAIN",
    "AGAIN_AFTER",
    "ALL_FORGED",
    "ANOTHER_PAYER",
    "ANOTHER_PAYMENT",
    "ANOTHER_REQUEST",
    "FAILING",
    "GROUP",
    "LONGEST",
    "MALFORMED",
    "NO_IDENTIFIER",
    "OTHER_BYTES",
    "ROUNDS",
    "SHORTEST",
    "at_endpoint",
    "copy_of",
    "failed",
    "identified",
    "in_flight",
    "known",
    "known_elsewhere",
    "known_for_another_request",
    "known_in_other_bytes",
    "named",
    "settled",
    "spelled",
    "unpaid_elsewhere",
]

GROUP = "identifier"
"""All that is paid here; its good payment carries the identifier that comes again."""

AGAIN = ("the same #1", "the same #2")
ANOTHER_PAYMENT = "another payment"
ANOTHER_PAYER = "another payer"
_FORGED = {
    "forged": "signer-other",
    "signed with zeros": "signature-zeros",
}
"""The first payment again, under a signature that is none, by recipe."""
_FORGED_ANEW = "forged anew"
ALL_FORGED = (*_FORGED, _FORGED_ANEW)
ANOTHER_REQUEST = ("another query", "another body")
OTHER_BYTES = ("nonce-upper", "white-space")
"""Twins as which the payment comes again."""
NO_IDENTIFIER = "no identifier"
SHORTEST, LONGEST = "of 16 characters", "of 128 characters"
MALFORMED = (
    *("of 15 characters", "of 129 characters", "with a space", "with stars"),
    *("that is a number", "that is an object", "that is empty"),
)
FAILING = ("settle/no", "settle/pending")
AGAIN_AFTER = "again after "
ROUNDS, _COPIES = 2, 4
_SLOW = 0.2
"""Seconds in which a settlement is under way: longer than it takes the other copies to be read."""


settled = settled_once(AIDED)
"""A good payment like any other, without which nothing here proves anything."""


def named(name: str) -> str:
    """What an attempt of the group is called."""
    return label(2, GROUP, name)


def copy_of(turn: int, number: int) -> str:
    """What a copy of a round is called; both are counted from 1."""
    return named(f"copy {number} of round {turn}")


def at_endpoint(name: str) -> str:
    """What the payment at another endpoint is called that carries the identifier of this one."""
    return named(f"at {name}")


def unpaid_elsewhere(name: str) -> str:
    """What the request without payment at another endpoint is called."""
    return f"unpaid at {name}, identified"


def identified(probe: Probe) -> None:
    """A good payment with an identifier, and twice the same, under the eye of the witness."""
    if _offer(probe) is None:
        return
    # Whoever asks another facilitator than ours is found out by a payment like any other.
    probe.gather(settled)
    with probe.purse.alone():
        probe.pay(named(GOOD), _order(probe), watched=True)
        if made := _first(probe):
            for again in AGAIN:
                probe.repeat(named(again), made, watched=True)


def known(probe: Probe) -> None:
    """The identifier with other payments: another one of this payer, one of another payer, and forged ones."""
    probe.gather(identified)
    if (made := _first(probe)) is None:
        return
    own = replace(_order(probe), identifier=_identifier_of(made))
    for name, recipe in _FORGED.items():
        probe.repeat(named(name), probe.purse.broken(made, recipe))
    _attempt(probe, _FORGED_ANEW, replace(own, payer=made.payer, recipe="signer-other"))
    _attempt(probe, ANOTHER_PAYMENT, replace(own, payer=made.payer))
    _attempt(probe, ANOTHER_PAYER, own)


def known_for_another_request(probe: Probe) -> None:
    """The same payment with another query, and with a member more in its body, twice each."""
    probe.gather(identified)
    if (made := _first(probe)) is None or probe.endpoint is None:
        return
    asks: dict[str, Changes] = {ANOTHER_REQUEST[0]: Changes(query=MORE)}
    if (body := another_body(probe.endpoint)) is not None:
        asks[ANOTHER_REQUEST[1]] = Changes(body=body)
    with probe.purse.alone():
        for name, changes in asks.items():
            for turn in (1, 2):
                probe.repeat(named(f"{name} #{turn}"), made, watched=True, **changes)


def known_in_other_bytes(probe: Probe) -> None:
    """The same payment as two twins write it, twice each."""
    probe.gather(identified)
    if (made := _first(probe)) is None:
        return
    with probe.purse.alone():
        for twin in OTHER_BYTES:
            for turn in (1, 2):
                probe.repeat(named(f"{twin} #{turn}"), probe.purse.rewritten(made, (twin,)), watched=True)


def known_elsewhere(probe: Probe) -> None:
    """Another payment of the same payer with the same identifier, at another endpoint that takes identifiers."""
    probe.gather(identified)
    if (made := _first(probe)) is None:
        return
    own = replace(_order(probe), identifier=_identifier_of(made), payer=made.payer)
    for endpoint in _others(probe):
        other = probe.at(endpoint)
        if _offer(other) is not None:
            probe.kept[unpaid_elsewhere(endpoint.name)] = other.kept["unpaid"]
            here = at_endpoint(endpoint.name)
            probe.kept[here] = other.pay(here, own)
            drop_unpayable(probe, here, probe.kept[here])


def spelled(probe: Probe) -> None:
    """The shortest and the longest identifier, some that are none, and none at all where one is asked for."""
    probe.gather(identified)
    if (offer := _offer(probe)) is None or _first(probe) is None:
        return
    text = probe.purse.identifier
    texts: dict[str, object] = {
        SHORTEST: text(16),
        LONGEST: text(128),
        "of 15 characters": text(15),
        "of 129 characters": text(129),
        "with a space": f"{text(16)} {text(16)}",
        "with stars": f"{text(16)}\u2605\u2605",
        "that is a number": 10**16 + int(text(16)[-8:], 16),
        "that is an object": {"id": text(16)},
        "that is empty": "",
    }
    for name, identifier in texts.items():
        _attempt(probe, name, Order(version=2, identifier=json.dumps(identifier)))
    if requires(offer):
        _attempt(probe, NO_IDENTIFIER, Order(version=2, identifier="null"))


def failed(probe: Probe) -> None:
    """Payments whose settlement fails, and then the same again; to the first the facilitator says no only once."""
    probe.gather(identified)
    if _first(probe) is None:
        return
    for name in FAILING:
        times = 1 if name == "settle/no" else None
        _attempt(probe, name, replace(_order(probe), faults=(name,), times=times))
        if made := probe.made.get(named(name)):
            probe.repeat(named(f"{AGAIN_AFTER}{name}"), made)


def in_flight(probe: Probe) -> None:
    """In each of two rounds, copies of a fresh payment at the same time, while its settlement takes a while."""
    probe.gather(identified)
    if _first(probe) is None:
        return
    many = min(probe.profile.limits.volley, _COPIES)
    for turn in range(1, ROUNDS + 1):
        order = replace(_order(probe), faults=("settle/slow",), delay=_SLOW)

        def copies(made: Made, turn: int = turn) -> list[Copy]:
            request = request_to(probe.profile, probe.endpoint, headers={x402.PAYMENT[2]: made.value})
            names = (copy_of(turn, number) for number in range(1, many + 1))
            return [Copy(label=name, made=made, request=request) for name in names]

        probe.pay_in_copies(copy_of(turn, 1), order, copies)


def _offer(probe: Probe) -> x402.Offer | None:
    """The offer that advertises the extension; None where there is none, or where a payment opens more than one answer."""
    probe.gather(unpaid)
    if probe.endpoint is None or probe.endpoint.entitlement != Entitlement.ONCE or 2 not in versions(probe):
        return None
    try:
        offer = probe.offer(2)
    except Unpayable:
        return None
    return offer if advertises(offer) else None


def _first(probe: Probe) -> Made | None:
    """The good payment, where it was answered."""
    here = named(GOOD)
    return probe.made.get(here) if here in probe.kept and not probe.kept[here].failure else None


def _order(probe: Probe) -> Order:
    """A payment with an identifier of its own."""
    return Order(version=2, identifier=json.dumps(probe.purse.identifier()))


def _identifier_of(made: Made) -> str:
    return json.dumps(made.payment.document["extensions"][IDENTIFIER]["info"]["id"])


def _attempt(probe: Probe, name: str, order: Order) -> None:
    here = named(name)
    drop_unpayable(probe, here, probe.pay(here, order))


def _others(probe: Probe) -> list[Endpoint]:
    own = probe.endpoint
    return [
        endpoint
        for endpoint in probe.profile.endpoints
        if endpoint.protocol == "x402" and endpoint.marker and own and endpoint.name != own.name
    ]
