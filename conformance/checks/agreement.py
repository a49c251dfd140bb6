"""Checks of class ``x402/offer`` on offers that belong together: header and body, now and then, one client and another."""

from collections.abc import Iterator, Mapping
from typing import Any

from conformance import schema
from conformance.checks import check
from conformance.checks.offer import at, offers, refusal
from conformance.evidence import Evidence
from conformance.exchange import Response
from conformance.gather import again, strangers, unpaid
from conformance.outcome import Inapplicable, Untestable, Violation
from conformance.protocols import x402
from conformance.selector import resolve_pointer


def _price(way: x402.Way) -> tuple[str, str, str, str, str]:
    return (way.scheme, way.network, way.asset.lower(), way.pay_to.lower(), way.amount)


def _same_price(one: x402.Way, other: x402.Way) -> bool:
    """Whether two ways to pay ask for the same; a member that cannot be read is another requirement's business."""
    return all(a == b for a, b in zip(_price(one), _price(other), strict=True) if a and b)


@check("x402.offer.places-agree", unpaid)
def test_places_agree(evidence: Evidence) -> None:
    response = refusal(evidence)
    header = next((offer for offer in offers(evidence) if offer.place == x402.CHALLENGE), None)
    body = _body(response)
    if header is None or body is None:
        reason = "the refusal makes its offer in one place only"
        raise Inapplicable(reason)
    for way in body.ways():
        rivals = [w for w in header.ways() if (w.scheme, w.network) == (way.scheme, way.network)]
        if rivals and not any(_same_price(way, rival) for rival in rivals):
            raise Violation(
                expected=f"what {x402.CHALLENGE} says: {', '.join(_price(rivals[0]))}",
                received=", ".join(_price(way)),
                at=f"body /accepts/{way.index}",
                exchange="unpaid",
            )


def _body(response: Response) -> x402.Offer | None:
    try:
        document = x402.from_body(response).document
    except x402.Malformed:
        return None
    if not isinstance(document.get("accepts"), list):
        return None
    return x402.Offer(version=1 if document.get("x402Version") == 1 else 2, place="body", document=document)


_ALWAYS_DYNAMIC = (
    "/accepts/*/extra/feePayer",
    "/accepts/*/extra/recentBlockhash",
    "/accepts/*/extra/memo",
    "/accepts/*/extra/invoice",
    "/accepts/*/extra/paymentHash",
    "/extensions/sign-in-with-x/info/nonce",
    "/extensions/sign-in-with-x/info/issuedAt",
    "/extensions/sign-in-with-x/info/expirationTime",
    "/extensions/sign-in-with-x/info/requestId",
    "/extensions/offer-receipt",
)


def _settled(evidence: Evidence, offer: x402.Offer, *members: str) -> dict[str, Any]:
    """The members of an offer that may not change from one equal request to the next, by JSON Pointer."""
    document = {key: value for key, value in offer.document.items() if key in members}
    if isinstance(document.get("accepts"), list):
        # The ways to pay have no order.
        document["accepts"] = sorted(document["accepts"], key=lambda entry: (_whose(entry), str(entry)))
    dynamic = {
        place
        for pattern in (*_ALWAYS_DYNAMIC, *evidence.endpoint.dynamic)
        for place, _ in resolve_pointer(document, pattern)
    }
    return {spot: value for spot, value in _flat(document) if not _below(spot, dynamic)}


def _whose(entry: object) -> str:
    """What tells one way to pay from another, whatever it costs."""
    return str([entry.get(member) for member in ("scheme", "network", "asset")] if isinstance(entry, dict) else entry)


def _below(spot: str, roots: set[str]) -> bool:
    return any(spot == root or spot.startswith(root + "/") for root in roots)


def _flat(value: Any, at_path: tuple[str | int, ...] = ()) -> Iterator[tuple[str, Any]]:
    inner: Mapping[str | int, Any] | None = None
    if isinstance(value, dict):
        inner = value
    elif isinstance(value, list):
        inner = dict(enumerate(value))
    if not inner:
        yield schema.pointer(at_path), value
        return
    for key, item in inner.items():
        yield from _flat(item, (*at_path, key))


def _again(evidence: Evidence, label: str) -> list[x402.Offer]:
    try:
        return offers(evidence, label)
    except Untestable:
        return []


def _changes(evidence: Evidence, label: str, *members: str) -> Iterator[tuple[x402.Offer, str, object, object]]:
    """Where the offers of ``label`` differ from the first: the later offer, the place, the value before and now."""
    first_time, this_time = offers(evidence), _again(evidence, label)
    if len(first_time) != len(this_time):
        raise Violation(
            expected=f"an offer in {' and in '.join(offer.place for offer in first_time)}",
            received=" and in ".join(offer.place for offer in this_time) or "no offer that can be read",
            exchange=label,
        )
    for before, now in zip(first_time, this_time, strict=True):
        first, second = _settled(evidence, before, *members), _settled(evidence, now, *members)
        if not first and not second:
            reason = "the profile calls every member of the offer dynamic: there is nothing left to compare"
            raise Untestable(reason)
        for spot in dict.fromkeys([*first, *second]):
            if first.get(spot) != second.get(spot):
                yield now, spot, first.get(spot), second.get(spot)


def _differs(offer: x402.Offer, spot: str, before: object, now: object, label: str) -> Violation:
    return Violation(
        expected=f"{schema.shown(before)} as in the first answer",
        received=schema.shown(now),
        at=at(offer, spot),
        exchange=label,
        reason="if it is meant to change, name it in endpoint.dynamic",
    )


@check("x402.offer.stable", unpaid, again)
def test_stable(evidence: Evidence) -> None:
    for offer, spot, before, now in _changes(evidence, "again", "resource", "accepts", "extensions"):
        raise _differs(offer, spot, before, now, "again")


@check("x402.offer.same-for-everyone", unpaid, again, strangers)
def test_same_for_everyone(evidence: Evidence) -> None:
    # What changes from one equal request to the next says nothing about who asks.
    try:
        restless = {(offer.place, spot) for offer, spot, _, _ in _changes(evidence, "again", "accepts")}
    except Violation as broken:
        raise Untestable(str(broken), cause="x402.offer.stable") from broken
    for label in evidence.labels("stranger-"):
        response = evidence.response(label)
        if 200 <= response.status < 300:
            reason = f"a stranger was answered {response.shown()}"
            raise Untestable(reason, cause="http.refused-for-everyone")
        if response.status >= 500:
            raise Violation(expected="402 for everyone", received=response.shown(), exchange=label)
        if response.status != 402:
            continue
        for offer, spot, before, now in _changes(evidence, label, "accepts"):
            if (offer.place, spot) not in restless:
                raise _differs(offer, spot, before, now, label)
