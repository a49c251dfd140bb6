"""Checks of class ``x402/offer`` against what an endpoint is meant to cost: the one thing that no offer can tell."""

from collections.abc import Iterator
from dataclasses import dataclass

from conformance import fields, schema
from conformance.checks import check
from conformance.checks.offer import at, ways
from conformance.evidence import Evidence
from conformance.gather import again, strangers, unpaid
from conformance.outcome import Inapplicable, Untestable, Violation
from conformance.profile import Terms
from conformance.protocols import x402


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A way to pay that was offered, and the terms that it is closest to."""

    label: str
    offer: x402.Offer
    way: x402.Way
    terms: Terms


def _agreement(way: x402.Way, terms: Terms) -> int:
    """How much of ``terms`` a way to pay keeps; what says which way is meant weighs most."""
    fits = {
        8: way.network == x402.caip2(terms.network),
        4: way.asset.lower() == terms.asset.lower(),
        2: way.scheme == terms.scheme,
        1: _in_range(way, terms),
    }
    return sum(weight for weight, fit in fits.items() if fit) + (way.pay_to.lower() == (terms.pay_to or "").lower())


def _in_range(way: x402.Way, terms: Terms) -> bool:
    amount, wanted = fields.natural(way.amount), terms.amount
    return wanted is None or (amount is not None and wanted.minimum <= amount <= wanted.maximum)


def _pairs(evidence: Evidence, label: str) -> tuple[list[Pair], list[Pair], list[Terms]]:
    """The pairs of one answer, ways that are left over (beside the terms that are closest), and terms left over."""
    pairs: list[Pair] = []
    extra: list[Pair] = []
    terms = evidence.endpoint.terms
    lacking = list(terms)
    listed = ways(evidence, label)
    for version in sorted({offer.version for offer, _ in listed}):
        own = [(offer, way) for offer, way in listed if offer.version == version]
        order = sorted(
            ((_agreement(way, wanted), i, j) for i, (_, way) in enumerate(own) for j, wanted in enumerate(terms)),
            key=lambda entry: (-entry[0], entry[1], entry[2]),
        )
        taken: dict[int, int] = {}
        for _, i, j in order:
            if i not in taken and j not in taken.values():
                taken[i] = j
        for i, (offer, way) in enumerate(own):
            pair = Pair(label=label, offer=offer, way=way, terms=terms[taken.get(i, 0)])
            (pairs if i in taken else extra).append(pair)
        # A way that one version has no words for may stand in the other alone.
        lacking = [wanted for wanted in lacking if wanted not in [terms[j] for j in taken.values()]]
    return pairs, extra, lacking


def _labels(evidence: Evidence) -> Iterator[str]:
    """The plain answer, and each other one that makes an offer: terms hold whoever asks, however often."""
    ways(evidence)
    yield "unpaid"
    for label in ("again", *evidence.labels("stranger-")):
        try:
            ways(evidence, label)
        except Untestable:
            continue
        yield label


def _matched(evidence: Evidence) -> Iterator[Pair]:
    for label in _labels(evidence):
        yield from _pairs(evidence, label)[0]


def _disagreement(pair: Pair, member: str, wanted: str) -> Violation:
    members = pair.way.members
    return Violation(
        expected=f"{wanted}, as the profile's terms say",
        received=schema.shown(members[member]) if member in members else "no such member",
        at=at(pair.offer, f"/accepts/{pair.way.index}/{member}"),
        exchange=pair.label,
    )


@check("x402.terms.scheme", unpaid, again, strangers)
def test_scheme(evidence: Evidence) -> None:
    for pair in _matched(evidence):
        if pair.way.scheme != pair.terms.scheme:
            raise _disagreement(pair, "scheme", pair.terms.scheme)


@check("x402.terms.network", unpaid, again, strangers)
def test_network(evidence: Evidence) -> None:
    for pair in _matched(evidence):
        if pair.way.network != x402.caip2(pair.terms.network):
            raise _disagreement(pair, "network", pair.terms.network)


@check("x402.terms.asset", unpaid, again, strangers)
def test_asset(evidence: Evidence) -> None:
    for pair in _matched(evidence):
        if not _same_address(pair.way.asset, pair.terms.asset):
            raise _disagreement(pair, "asset", pair.terms.asset)


def _range(terms: Terms) -> str:
    if terms.amount is None:
        return "any amount"
    low, high = terms.amount.minimum, terms.amount.maximum
    return str(low) if low == high else f"{low} to {high}"


@check("x402.terms.amount", unpaid, again, strangers)
def test_amount(evidence: Evidence) -> None:
    if all(terms.amount is None for terms in evidence.endpoint.terms):
        reason = "the profile's terms name no amount, so that any would do"
        raise Untestable(reason) if evidence.claimed("x402/offer") else Inapplicable(reason)
    for pair in _matched(evidence):
        if not _in_range(pair.way, pair.terms):
            member = "maxAmountRequired" if pair.offer.version == 1 else "amount"
            raise _disagreement(pair, member, _range(pair.terms))


@check("x402.terms.pay-to", unpaid, again, strangers)
def test_pay_to(evidence: Evidence) -> None:
    if not any(terms.pay_to for terms in evidence.endpoint.terms):
        reason = "the profile's terms name no payee (pay_to), so that any would do"
        raise Untestable(reason) if evidence.claimed("x402/offer") else Inapplicable(reason)
    for pair in _matched(evidence):
        if pair.terms.pay_to and not _same_address(pair.way.pay_to, pair.terms.pay_to):
            raise _disagreement(pair, "payTo", pair.terms.pay_to)


def _same_address(one: str, other: str) -> bool:
    """EVM addresses differ in case by their checksum only; anywhere else case matters."""
    return one == other or (one.startswith("0x") and one.lower() == other.lower())


@check("x402.terms.no-other-way", unpaid, again, strangers)
def test_no_other_way(evidence: Evidence) -> None:
    for label in _labels(evidence):
        for pair in _pairs(evidence, label)[1]:
            way = pair.way
            raise Violation(
                expected=f"the {len(evidence.endpoint.terms)} ways to pay of the profile's terms and no other",
                received=f"{way.scheme} on {way.network}, {way.amount} of {way.asset} to {way.pay_to}",
                at=at(pair.offer, f"/accepts/{way.index}"),
                exchange=label,
            )


@check("x402.terms.every-way", unpaid)
def test_every_way(evidence: Evidence) -> None:
    for terms in _pairs(evidence, "unpaid")[2]:
        raise Violation(
            expected=f"{terms.scheme} on {terms.network} of {terms.asset}, as the profile's terms say",
            received="no such way in any offer",
            exchange="unpaid",
        )
