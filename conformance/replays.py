"""Payments that are used twice, one after the other: in the same and in other bytes, for other requests, elsewhere."""

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from conformance.asking import Changes
from conformance.attempts import GOOD, label, versions
from conformance.exchange import Response
from conformance.gather import unpaid
from conformance.probe import Gather, Probe
from conformance.profile import Endpoint, Entitlement
from conformance.protocols import x402
from conformance.protocols.x402.encoding import TWINS
from conformance.purse import Made, Order, Unpayable

__all__ = [
    "AIDED",
    "ANOTHER_HOST",
    "MORE",
    "UNAIDED",
    "Aid",
    "Twice",
    "another_body",
    "composed",
    "composing",
    "in_the_other_version",
    "others",
    "replayed",
    "replayed_elsewhere",
    "replayed_for_another_request",
    "replayed_in_other_bytes",
    "same_offer_at_another_host",
    "settled",
    "settled_once",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aid:
    """Under which facilitator payments are used twice."""

    group: str
    """The group of all that is sent a second time; its good payment is what is sent again."""
    faults: tuple[str, ...] = ()
    """What the facilitator does wrong about each of these payments."""

    @property
    def between(self) -> str:
        """The group of the payment that is made between two replays."""
        return f"between {self.group}"

    @property
    def composed(self) -> str:
        """The group of the payment that is sent again in bytes that are drawn; what was minted later has a number."""
        return f"composed {self.group}"

    def bought_at(self, version: int, name: str) -> str:
        """What the good payment at another endpoint is called."""
        return label(version, f"{self.group} bought at {name}", GOOD)

    def replay_of(self, version: int, name: str) -> str:
        """What it is called when the payment that was settled at another endpoint is sent again."""
        return label(version, self.group, f"bought at {name}")

    def unpaid_at(self, name: str) -> str:
        """What the request without payment at another endpoint is called."""
        return f"{self.group} unpaid at {name}"

    def order(self, version: int) -> Order:
        """A good payment."""
        return Order(version=version, faults=self.faults)


AIDED = Aid(group="replay")
"""By a facilitator that refuses what it has settled."""
UNAIDED = Aid(group="unaided replay", faults=("verify/forgets", "settle/forgets"))
"""By nobody: the facilitator says yes to whatever is signed, as often as it is asked."""
ANOTHER_HOST = "elsewhere.example"
_METHODS = ("GET", "POST")
_ANOTHER_CLIENT = {
    "User-Agent": "curl/8.5.0",
    "Accept-Language": "fr",
    "X-Forwarded-For": "203.0.113.7",
    "Forwarded": "for=203.0.113.7",
}
MORE = {"conformance": "1"}
"""A member more in a query, or in a body."""
_UNDER_ANOTHER_HOST = "unpaid under another host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Twice:
    """A gather: payments that are used twice in one way, under one facilitator."""

    asks: Callable[[Probe, Aid], None]
    aid: Aid

    @property
    def __name__(self) -> str:
        return f"{self.asks.__name__}: {self.aid.group}"

    def __call__(self, probe: Probe) -> None:
        """Pays, and uses it again."""
        self.asks(probe, self.aid)


def settled_once(aid: Aid) -> Gather:
    """One good payment, which is sent again later."""
    return Twice(asks=_settle_one, aid=aid)


def replayed(aid: Aid) -> Gather:
    """The same payment at once, and once more after another payment was made."""
    return Twice(asks=_replay, aid=aid)


def replayed_in_other_bytes(aid: Aid) -> Gather:
    """The same payment as each twin writes it, as the other version does, and signed anew for the same nonce."""
    return Twice(asks=_replay_twins, aid=aid)


def replayed_for_another_request(aid: Aid) -> Gather:
    """The same payment by another client, method or spelling of the path, with another query or body, under another host."""
    return Twice(asks=_replay_for_another, aid=aid)


def replayed_elsewhere(aid: Aid) -> Gather:
    """A payment that was settled at another endpoint of the same version, one at the same price if there is any."""
    return Twice(asks=_replay_elsewhere, aid=aid)


def composing(aid: Aid) -> Gather:
    """One good payment, which is sent again in bytes that are drawn."""
    return Twice(asks=_settle_composed, aid=aid)


def _settle_one(probe: Probe, aid: Aid) -> None:
    for version in versions(probe):
        probe.pay(label(version, aid.group, GOOD), aid.order(version))


def _settle_composed(probe: Probe, aid: Aid) -> None:
    for version, _ in settled(probe, aid):
        probe.pay(label(version, aid.composed, GOOD), aid.order(version))


def _replay(probe: Probe, aid: Aid) -> None:
    for version, made in settled(probe, aid):
        probe.repeat(label(version, aid.group, "at once"), made)
        probe.pay(label(version, aid.between, GOOD), aid.order(version))
        probe.repeat(label(version, aid.group, "later"), made)
    # Not when other endpoints had their turn: once it has expired, it opens nothing for another reason.
    probe.gather(replayed_in_other_bytes(aid))
    probe.gather(replayed_for_another_request(aid))


def _replay_twins(probe: Probe, aid: Aid) -> None:
    for version, made in settled(probe, aid):
        for twin in TWINS:
            other = probe.purse.rewritten(made, (twin.name,))
            # It may be written so from the beginning.
            if other.value != made.value:
                probe.repeat(label(version, aid.group, twin.name), other, raw=twin.raw)
        as_other = in_the_other_version(probe, made) or _in_the_other_shape(probe, made)
        probe.repeat(label(version, aid.group, f"as version {as_other.note.version}"), as_other)
        probe.repeat(label(version, aid.group, "signed anew"), probe.purse.signed_anew(made))


def _replay_for_another(probe: Probe, aid: Aid) -> None:
    for version, made in settled(probe, aid):
        probe.repeat(label(version, aid.group, "another query"), made, query=MORE)
        probe.repeat(label(version, aid.group, "another client"), made, headers=_ANOTHER_CLIENT)
        for how, changes in _same_by(probe):
            probe.repeat(label(version, aid.group, how), made, **changes)
        if same_offer_at_another_host(probe):
            probe.repeat(label(version, aid.group, "another host"), made, headers={"Host": ANOTHER_HOST})
        if (body := another_body(probe.endpoint)) is not None:
            probe.repeat(label(version, aid.group, "another body"), made, body=body)


def another_body(endpoint: Endpoint | None) -> bytes | None:
    """The content of an endpoint's request with a member more; None where it is neither a JSON object nor a form."""
    if endpoint and isinstance(endpoint.json, dict):
        return json.dumps(endpoint.json | MORE).encode()
    return urlencode(dict(endpoint.form) | MORE).encode() if endpoint and endpoint.form is not None else None


def _same_by(probe: Probe) -> list[tuple[str, Changes]]:
    """The methods and the spellings of the path by which the endpoint refuses as it does by its own."""
    probe.gather(_unpaid_by_others)
    usual = probe.kept["unpaid"].response
    return [
        (how, changes)
        for how, changes in _others_of(probe.endpoint)
        if usual and (there := probe.kept[f"unpaid by {how}"].response) and there.status == usual.status
    ]


def _unpaid_by_others(probe: Probe) -> None:
    for how, changes in _others_of(probe.endpoint):
        probe.ask(f"unpaid by {how}", **changes)


def _others_of(endpoint: Endpoint | None) -> Iterator[tuple[str, Changes]]:
    """Other methods, and the path as many servers take it as well."""
    for method in _METHODS:
        if endpoint and method != endpoint.method:
            yield method, Changes(method=method)
    own, mark, query = (endpoint.path if endpoint else "/").partition("?")
    if last := re.search(r"(?<!%)(?<!%[0-9A-Fa-f])[A-Za-z0-9](?=/?$)", own):
        encoded = f"{own[: last.start()]}%{ord(last[0]):02X}{own[last.end() :]}"
        yield "an encoded letter", Changes(path=f"{encoded}{mark}{query}")
    if own != own.upper():
        yield "upper case", Changes(path=f"{own.upper()}{mark}{query}")
    if own != "/":
        yield "another slash", Changes(path=f"{own[:-1] if own.endswith('/') else own + '/'}{mark}{query}")


def _replay_elsewhere(probe: Probe, aid: Aid) -> None:
    for version, _ in settled(probe, aid):
        for endpoint in others(probe):
            if (made := _bought(probe, aid, endpoint, version)) is not None:
                probe.repeat(aid.replay_of(version, endpoint.name), made)
            if aid.bought_at(version, endpoint.name) in probe.kept:
                break


def composed(aid: Aid) -> Callable[[Probe, str], None]:
    """How the drawn twins, joined by +, are asked: a settled payment is sent again as all of them write it together."""

    def ask(probe: Probe, value: str) -> None:
        names = tuple(value.split("+"))
        raw = any(twin.raw for twin in TWINS if twin.name in names)
        for version, _ in settled(probe, aid):
            probe.gather(composing(aid))
            group = aid.composed
            if _is_spent(probe, label(version, group, "")):
                # A payment that bought twice may be known from now on in all of its spellings.
                group = f"{aid.composed} {len(probe.kept)}"
                probe.pay(label(version, group, GOOD), aid.order(version))
            made = probe.made.get(label(version, group, GOOD))
            other = made and probe.purse.rewritten(made, names)
            if made and other and other.value != made.value:
                probe.repeat(label(version, group, f"{value} #{len(probe.kept)}"), other, raw=raw)

    return ask


_FRESH = 10.0
"""Seconds after which a payment is not sent again any more: it may expire before others do."""


def _is_spent(probe: Probe, start: str) -> bool:
    """Whether the payment whose labels begin with ``start`` bought something again, or may have expired."""
    kept = {here: exchange for here, exchange in probe.kept.items() if here.startswith(start)}
    good = kept.pop(f"{start}{GOOD}", None)
    late = good is not None and time.monotonic() - probe.wire.began - good.at > _FRESH
    return late or any(one.response is None or one.response.status < 400 for one in kept.values())


def settled(probe: Probe, aid: Aid) -> list[tuple[int, Made]]:
    """The good payments that were answered, by version; none where a payment opens more than one answer."""
    probe.gather(settled_once(aid))
    if probe.endpoint is None or probe.endpoint.entitlement != Entitlement.ONCE:
        return []
    found = [(version, label(version, aid.group, GOOD)) for version in versions(probe)]
    return [
        (version, probe.made[here]) for version, here in found if here in probe.made and not probe.kept[here].failure
    ]


def in_the_other_version(probe: Probe, made: Made) -> Made | None:
    """The same authorization as the other version of x402 carries it; None where that does not ask for the same."""
    other = 3 - made.note.version
    if other not in versions(probe):
        return None
    try:
        return probe.purse.carried_by(made, probe.offer(other))
    except Unpayable:
        return None


def _in_the_other_shape(probe: Probe, made: Made) -> Made:
    """The same where the other version is not spoken, or for something else: it may be read all the same."""
    other = probe.purse.broken(made, "shape-of-the-other-version")
    return replace(other, note=replace(other.note, version=3 - made.note.version, recipe=""))


def same_offer_at_another_host(probe: Probe) -> bool:
    """Whether the endpoint makes the same offer when it is asked for under another host."""
    probe.gather(_unpaid_at_another_host)
    own, there = (
        [_document(probe.kept[here].response, version) for version in versions(probe)]
        for here in ("unpaid", _UNDER_ANOTHER_HOST)
    )
    return own == there and any(own)


def _unpaid_at_another_host(probe: Probe) -> None:
    probe.ask(_UNDER_ANOTHER_HOST, headers={"Host": ANOTHER_HOST})


def _document(response: Response | None, version: int) -> object:
    try:
        offer = x402.offer_in(response, version) if response else None
    except x402.Malformed:
        return None
    return offer and offer.document


def others(probe: Probe) -> list[Endpoint]:
    """The other endpoints where a payment opens one answer, those with the same terms first."""
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


def _bought(probe: Probe, aid: Aid, endpoint: Endpoint, version: int) -> Made | None:
    """The good payment at another endpoint; None where it is not paid in that version, or not answered."""
    other = probe.at(endpoint)
    if endpoint.versions and version not in endpoint.versions:
        return None
    other.gather(unpaid)
    if version not in versions(other):
        return None
    here = label(version, aid.group, GOOD)
    paid = other.pay(here, aid.order(version))
    probe.kept[aid.unpaid_at(endpoint.name)] = other.kept["unpaid"]
    probe.kept[aid.bought_at(version, endpoint.name)] = paid
    return other.made.get(here) if paid.response else None
