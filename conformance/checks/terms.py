"""Checks of class ``x402/offer`` against what an endpoint is meant to cost: the one thing that no offer can tell."""

from collections.abc import Iterator

from conformance import fields
from conformance.checks import check
from conformance.checks.offer import at, ways
from conformance.evidence import Evidence
from conformance.gather import unpaid
from conformance.outcome import Untestable, Violation
from conformance.profile import Terms
from conformance.protocols import x402

Pair = tuple[x402.Offer, x402.Way, Terms]


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
    amount = fields.natural(way.amount)
    return amount is not None and terms.amount.minimum <= amount <= terms.amount.maximum


def _pairs(evidence: Evidence) -> tuple[list[Pair], list[tuple[x402.Offer, x402.Way]], list[Terms]]:
    """Each offer's ways with the terms that they are closest to, the ways left over, and the terms left over."""
    pairs: list[Pair] = []
    extra: list[tuple[x402.Offer, x402.Way]] = []
    lacking = list(evidence.endpoint.terms)
    listed = ways(evidence)
    for version in sorted({offer.version for offer, _ in listed}):
        own = [(offer, way) for offer, way in listed if offer.version == version]
        left = list(evidence.endpoint.terms)
        order = sorted(
            ((_agreement(way, terms), i, j) for i, (_, way) in enumerate(own) for j, terms in enumerate(left)),
            key=lambda entry: (-entry[0], entry[1], entry[2]),
        )
        taken: dict[int, int] = {}
        for _, i, j in order:
            if i not in taken and j not in taken.values():
                taken[i] = j
        pairs += [(*own[i], left[j]) for i, j in sorted(taken.items())]
        extra += [pair for i, pair in enumerate(own) if i not in taken]
        # A way that one version has no words for may stand in the other alone.
        lacking = [terms for terms in lacking if terms not in [left[j] for j in taken.values()]]
    return pairs, extra, lacking


def _disagreement(member: str, wanted: str, given: str, offer: x402.Offer, way: x402.Way) -> Violation:
    return Violation(
        expected=f"{wanted}, as the profile's terms say",
        received=given or "nothing that can be read",
        at=at(offer, f"/accepts/{way.index}/{member}"),
        exchange="unpaid",
    )


def _matched(evidence: Evidence) -> Iterator[Pair]:
    pairs, _, _ = _pairs(evidence)
    if not pairs:
        reason = "no offer to compare with the profile's terms"
        raise Untestable(reason, cause="x402.offer.accepts-is-not-empty")
    yield from pairs


@check("x402.terms.scheme", unpaid)
def test_scheme(evidence: Evidence) -> None:
    for offer, way, terms in _matched(evidence):
        if way.scheme != terms.scheme:
            raise _disagreement("scheme", terms.scheme, way.scheme, offer, way)


@check("x402.terms.network", unpaid)
def test_network(evidence: Evidence) -> None:
    for offer, way, terms in _matched(evidence):
        if way.network != x402.caip2(terms.network):
            raise _disagreement("network", terms.network, way.network, offer, way)


@check("x402.terms.asset", unpaid)
def test_asset(evidence: Evidence) -> None:
    for offer, way, terms in _matched(evidence):
        if way.asset != terms.asset and not _same_hex(way.asset, terms.asset):
            raise _disagreement("asset", terms.asset, way.asset, offer, way)


@check("x402.terms.amount", unpaid)
def test_amount(evidence: Evidence) -> None:
    for offer, way, terms in _matched(evidence):
        if not _in_range(way, terms):
            low, high = terms.amount.minimum, terms.amount.maximum
            member = "maxAmountRequired" if offer.version == 1 else "amount"
            raise _disagreement(member, str(low) if low == high else f"{low} to {high}", way.amount, offer, way)


@check("x402.terms.pay-to", unpaid)
def test_pay_to(evidence: Evidence) -> None:
    for offer, way, terms in _matched(evidence):
        if terms.pay_to and way.pay_to != terms.pay_to and not _same_hex(way.pay_to, terms.pay_to):
            raise _disagreement("payTo", terms.pay_to, way.pay_to, offer, way)


def _same_hex(one: str, other: str) -> bool:
    """EVM addresses differ in case by their checksum only; anywhere else case matters."""
    return one.startswith("0x") and one.lower() == other.lower()


@check("x402.terms.no-other-way", unpaid)
def test_no_other_way(evidence: Evidence) -> None:
    _, extra, _ = _pairs(evidence)
    for offer, way in extra:
        raise Violation(
            expected=f"the {len(evidence.endpoint.terms)} ways to pay of the profile's terms and no other",
            received=f"{way.scheme} on {way.network}, {way.amount} of {way.asset} to {way.pay_to}",
            at=at(offer, f"/accepts/{way.index}"),
            exchange="unpaid",
        )


@check("x402.terms.every-way", unpaid)
def test_every_way(evidence: Evidence) -> None:
    _, _, lacking = _pairs(evidence)
    for terms in lacking:
        raise Violation(
            expected=f"{terms.scheme} on {terms.network} of {terms.asset}, as the profile's terms say",
            received="no such way in any offer",
            exchange="unpaid",
        )
