"""Many copies of one payment that arrive at the same moment: alike, each in other bytes, and for other requests."""

from collections.abc import Callable, Sequence

from conformance.asking import Changes, request_to
from conformance.attempts import label
from conformance.gather import unpaid
from conformance.probe import Copy, Gather, Probe
from conformance.profile import Endpoint
from conformance.protocols import x402
from conformance.purse import Made
from conformance.replays import (
    ANOTHER_HOST,
    Aid,
    Twice,
    in_the_other_version,
    others,
    same_offer_at_another_host,
    settled,
)

__all__ = ["ALIKE", "AS_TWINS", "FOR_OTHERS", "kind_of", "place_of", "unpaid_beside", "volleys"]

ALIKE = "of the same bytes"
AS_TWINS = "each in other bytes"
FOR_OTHERS = "in turn for other requests"
_AT = "at endpoint "

_COPIES = 10
_TWINS = (
    *("nonce-upper", "high-s", "payer-upper", "signature-upper", "unknown-member"),
    *("white-space", "key-order", "url-safe", "junk"),
)
"""What a memory of payments may tell apart, each for a reason of its own; none of them takes a raw request."""

_Shot = tuple[str, Made, Changes, Endpoint | None]
"""How a copy is other than the first, the payment as it writes it, what it changes in the request, and where it goes."""


def volleys(aid: Aid) -> Gather:
    """For each kind of volley a fresh payment in ten copies; less of both where the limits of the profile say so."""
    return Twice(asks=_volleys, aid=aid)


def kind_of(name: str) -> str:
    """The kind of volley in which the copy of that name was sent."""
    return name.partition(", ")[0]


def place_of(name: str) -> str:
    """The endpoint that the copy of that name went to; empty for the one that is judged."""
    return name.partition(_AT)[2]


def unpaid_beside(aid: Aid, name: str) -> str:
    """What the request without payment is called at another endpoint to which copies go."""
    return f"{aid.group} unpaid beside {name}"


def _volleys(probe: Probe, aid: Aid) -> None:
    limits = probe.profile.limits
    many = min(limits.volley, _COPIES)
    had = settled(probe, aid)
    # Nobody asks in between: a witness may lag.
    with probe.purse.alone():
        for version, _ in had:
            for kind, shots in list(_KINDS.items())[: limits.rounds]:

                def copies(
                    made: Made,
                    version: int = version,
                    kind: str = kind,
                    shots: Callable[[Probe, Aid, Made], list[_Shot]] = shots,
                ) -> Sequence[Copy]:
                    found = shots(probe, aid, made)
                    return [
                        _copy(probe, label(version, aid.group, f"{kind}, copy {turn + 1}"), found[turn % len(found)])
                        for turn in range(many)
                    ]

                probe.pay_in_copies(label(version, aid.group, f"{kind}, copy 1"), aid.order(version), copies)


def _copy(probe: Probe, here: str, shot: _Shot) -> Copy:
    how, made, changes, elsewhere = shot
    carried = {x402.PAYMENT[made.note.version]: made.value} | dict(changes.get("headers", {}))
    changed = Changes(**changes)
    changed["headers"] = carried
    request = request_to(probe.profile, elsewhere or probe.endpoint, **changed)
    return Copy(label=f"{here} {how}".rstrip(), made=made, request=request)


def _alike(_: Probe, __: Aid, made: Made) -> list[_Shot]:
    return [("", made, Changes(), None)]


def _as_twins(probe: Probe, _: Aid, made: Made) -> list[_Shot]:
    twins = [(name, probe.purse.rewritten(made, (name,))) for name in _TWINS]
    return [*_alike(probe, _, made), *((name, other, Changes(), None) for name, other in twins)]


def _for_others(probe: Probe, aid: Aid, made: Made) -> list[_Shot]:
    """In turn for the usual request and for each other one that there is."""
    found: list[_Shot] = [
        ("with another query", made, Changes(query={"conformance": "1"}), None),
        ("signed anew for the same nonce", probe.purse.signed_anew(made), Changes(), None),
    ]
    if same_offer_at_another_host(probe):
        found.append(("under another host", made, Changes(headers={"Host": ANOTHER_HOST}), None))
    if (other := in_the_other_version(probe, made)) is not None:
        found.append((f"as version {other.note.version}", other, Changes(), None))
        both = Changes(headers={x402.PAYMENT[other.note.version]: other.value})
        found.append(("in the fields of both versions", made, both, None))
    if endpoint := _of_the_same_terms(probe, aid, made.note.version):
        found.append((f"{_AT}{endpoint.name}", made, Changes(), endpoint))
    return [*_alike(probe, aid, made), *found]


def _of_the_same_terms(probe: Probe, aid: Aid, version: int) -> Endpoint | None:
    """Another endpoint where a payment of this version pays for the same terms, once it was asked without payment."""
    own = probe.endpoint
    for endpoint in others(probe):
        if (
            own
            and own.terms
            and endpoint.terms == own.terms
            and (not endpoint.versions or version in endpoint.versions)
        ):
            there = probe.at(endpoint)
            there.gather(unpaid)
            probe.kept[unpaid_beside(aid, endpoint.name)] = there.kept["unpaid"]
            return endpoint
    return None


_KINDS = {ALIKE: _alike, AS_TWINS: _as_twins, FOR_OTHERS: _for_others}
