"""Checks of class ``x402/guard``: a payment that is broken in one thing opens nothing."""

from hypothesis import strategies as st

from conformance.attempts import GOOD, Attempts, attempt_named, broken, every_way, good, kept_of, label, versions
from conformance.checks import Drawn, check
from conformance.checks.opening import (
    TURNED_AWAY,
    attempts,
    controls,
    opened,
    paid_for,
    refuses,
    scripted,
    served,
)
from conformance.evidence import Evidence
from conformance.exchange import Exchange
from conformance.gather import spoken, unpaid
from conformance.outcome import Inapplicable, Untestable, Violation
from conformance.probe import Probe
from conformance.protocols import x402
from conformance.protocols.x402.encoding import TWINS, Layer
from conformance.purse import Order

_good = good("good")


@check("x402.guard.good-payment", unpaid, _good)
def test_good_payment(evidence: Evidence) -> None:
    for version in spoken(evidence.endpoint.versions, evidence.response("unpaid")):
        for of, _, exchange in kept_of(evidence.exchanges, "good"):
            response = exchange.response
            if of == version and response and exchange.paid and exchange.paid.charged:
                _turned_away(exchange, response.status, response.shown())
    for _ in controls(evidence, "good"):
        pass


def _turned_away(exchange: Exchange, status: int, shown: str) -> None:
    if status in TURNED_AWAY:
        paid = paid_for(exchange)
        raise Violation(
            expected="what was paid for",
            received=shown,
            at=f"version {paid.version}, after {paid.story}",
            exchange=label(paid.version, "good", GOOD),
            reason="the payment was settled, and whoever made it is told to pay",
        )


@check("x402.guard.every-way", unpaid, good("good"), every_way)
def test_every_way(evidence: Evidence) -> None:
    served_ways = set()
    unserved = []
    for version, _ in controls(evidence, "good"):
        for of, name, exchange in kept_of(evidence.exchanges, "every way"):
            if of == version and exchange.failure is None:
                here = label(version, "every way", name)
                (served_ways.add((version, name)) if served(evidence, here) else unserved.append((here, exchange)))
    for here, exchange in unserved:
        paid = paid_for(exchange)
        raise Violation(
            expected=f"what is paid for, for {paid.amount} of {paid.asset} on {paid.network} as accepts[{paid.way}] asks",
            received=evidence.response(here).shown(),
            at=f"version {paid.version}, after {paid.story}",
            exchange=here,
        )
    if not served_ways:
        reason = "no way to pay can be signed"
        raise Untestable(reason)


_accepted = broken(
    "accepted",
    "scheme-other",
    "network-other",
    "accepted-amount",
    "accepted-asset",
    "accepted-payee",
    "accepted-timeout",
    "accepted-extra",
)


@check("x402.guard.accepted-is-offered", unpaid, _accepted)
def test_accepted_is_offered(evidence: Evidence) -> None:
    for version, name, exchange in attempts(evidence, "accepted"):
        here = label(version, "accepted", name)
        # Where the offer changes from one answer to the next, a server cannot know which one was copied.
        if not _dynamic(evidence, *_changed(evidence, name, exchange)) and (where := served(evidence, here)):
            raise opened(evidence, here, exchange, where)


def _changed(evidence: Evidence, name: str, exchange: Exchange) -> tuple[str, ...]:
    """Where, below a way to pay, a copy of the offer differs."""
    if name == "accepted-extra":
        paid = paid_for(exchange)
        extra = _way(evidence, paid.version, paid.way).extra
        return ("extra", next((key for key, value in extra.items() if isinstance(value, str)), ""))
    member = name.rpartition("-")[2]
    return ({"payee": "payTo", "timeout": "maxTimeoutSeconds"}.get(member, member),)


_own_price = broken("own price", "own-offer-amount", "own-offer-amount-as-v1")


@check("x402.guard.own-price", unpaid, _own_price)
def test_own_price(evidence: Evidence) -> None:
    refuses(evidence, "own price")


_own_terms = broken("own terms", "own-offer-payee", "own-offer-asset", "own-offer-network")


@check("x402.guard.own-terms", unpaid, _own_terms)
def test_own_terms(evidence: Evidence) -> None:
    refuses(evidence, "own terms")


@check("x402.guard.verified-on-own-terms", unpaid, _good, every_way, _own_price, _own_terms)
def test_verified_on_own_terms(evidence: Evidence) -> None:
    for _ in controls(evidence, "good"):
        pass
    for here, exchange in evidence.exchanges.items():
        if exchange.paid is None or exchange.failure:
            continue
        paid = exchange.paid
        way = _way(evidence, paid.version, paid.way)
        for call in paid.calls:
            for member in _terms(paid.version):
                ours, told = way.members.get(member), call.requirements.get(member)
                upto = way.scheme == "upto" and call.kind == "settle" and member in {"amount", "maxAmountRequired"}
                if told != ours and not upto and not _same_address(told, ours) and not _dynamic(evidence, member):
                    raise Violation(
                        expected=f"{member} {ours!r}, as it was offered",
                        received=repr(told),
                        at=f"version {paid.version}, the paymentRequirements of {call.kind}",
                        exchange=here,
                    )


def _terms(version: int) -> tuple[str, ...]:
    return ("scheme", "network", "maxAmountRequired" if version == 1 else "amount", "asset", "payTo")


def _way(evidence: Evidence, version: int, index: int) -> x402.Way:
    try:
        offer = x402.offer_in(evidence.response("unpaid"), version)
    except x402.Malformed:
        offer = None
    found = next((way for way in offer.ways() if way.index == index), None) if offer else None
    if found is None:
        reason = "the offer that was paid is not in the unpaid answer"
        raise Untestable(reason)
    return found


def _same_address(one: object, other: object) -> bool:
    return isinstance(one, str) and isinstance(other, str) and one.startswith("0x") and one.lower() == other.lower()


def _dynamic(evidence: Evidence, *path: str) -> bool:
    """Whether the profile says of the member at ``path`` of a way to pay that it changes by itself."""
    places = [pointer.split("/")[3:] for pointer in evidence.endpoint.dynamic if pointer.startswith("/accepts")]
    return any(
        len(place) <= len(path) and all(part in {own, "*"} for part, own in zip(place, path, strict=False))
        for place in places
    )


@check("x402.guard.amount", unpaid, broken("amount", "value-lower", "value-higher"))
def test_amount(evidence: Evidence) -> None:
    # By Permit2 no more than is asked is transferred.
    refuses(evidence, "amount", legal=lambda name, paid: name == "value-higher" and _permit2(evidence, paid))


def _permit2(evidence: Evidence, exchange: Exchange) -> bool:
    paid = paid_for(exchange)
    way = _way(evidence, paid.version, paid.way)
    return way.scheme == "upto" or way.extra.get("assetTransferMethod") == "permit2"


@check("x402.guard.payee", unpaid, broken("payee", "payee-other"))
def test_payee(evidence: Evidence) -> None:
    refuses(evidence, "payee")


_signature = broken(
    "signature",
    "signer-other",
    "payer-other",
    "signature-flipped-bit",
    "signature-64-bytes",
    "signature-66-bytes",
    "signature-zeros",
    "signature-no-hex",
    "signature-0x",
    "signature-empty",
)


@check("x402.guard.signature", unpaid, _signature)
def test_signature(evidence: Evidence) -> None:
    refuses(evidence, "signature")


_domain = broken("domain", "asset-other", "chain-other", "domain-name-other", "domain-version-other", "token-other")


@check("x402.guard.domain", unpaid, _domain)
def test_domain(evidence: Evidence) -> None:
    refuses(evidence, "domain")


@check("x402.guard.expired", unpaid, broken("expired", "expired", "expiring"))
def test_expired(evidence: Evidence) -> None:
    # Three seconds are enough for a facilitator that is quicker than ours.
    refuses(evidence, "expired", legal=lambda name, _: name == "expiring" and not scripted(evidence))


@check("x402.guard.not-yet-valid", unpaid, broken("not yet valid", "not-yet-valid"))
def test_not_yet_valid(evidence: Evidence) -> None:
    refuses(evidence, "not yet valid")


_long = Attempts(group="long window", orders={"ten years": Order(version=0, holds=10 * 365 * 86_400)})


@check("x402.guard.long-window", unpaid, _long)
def test_long_window(evidence: Evidence) -> None:
    refuses(evidence, "long window")


_nonce = broken("nonce", "nonce-31-bytes", "nonce-33-bytes", "nonce-odd", "nonce-no-hex", "nonce-number")


@check("x402.guard.nonce", unpaid, _nonce)
def test_nonce(evidence: Evidence) -> None:
    refuses(evidence, "nonce")


_numbers = broken(
    "numbers",
    "value-number",
    "value-hexadecimal",
    "value-exponent",
    "value-space",
    "value-plus",
    "value-leading-zero",
    "value-fraction",
    "value-underscore",
    "value-other-digits",
    "value-negative",
    "value-257-bits",
    "value-overflow",
)


@check("x402.guard.numbers", unpaid, _numbers)
def test_numbers(evidence: Evidence) -> None:
    for version, name, exchange in attempts(evidence, "numbers"):
        here = label(version, "numbers", name)
        paid = paid_for(exchange)
        plain = all(call.value == paid.amount for call in paid.calls)
        if (where := served(evidence, here)) and not (paid.settled and plain):
            raise opened(evidence, here, exchange, where)


@check("x402.guard.resource", unpaid, broken("resource", "resource-foreign"))
def test_resource(evidence: Evidence) -> None:
    refuses(evidence, "resource")


@check("x402.guard.funds", unpaid, Attempts(group="funds", orders={"none": Order(version=0, balance=0)}))
def test_funds(evidence: Evidence) -> None:
    refuses(evidence, "funds")


_extensions = broken("extensions", "extension-changed", "extension-shortened")


@check("x402.guard.extensions-echo", unpaid, _extensions)
def test_extensions_echo(evidence: Evidence) -> None:
    refuses(evidence, "extensions")


_BREAKS = (
    "value-lower",
    "payee-other",
    "signer-other",
    "chain-other",
    "expired",
    "not-yet-valid",
    "own-offer-amount",
    "own-offer-payee",
)
_SPELLINGS = tuple(twin.name for twin in TWINS if not twin.raw)
_WRITERS = {twin.name for twin in TWINS if twin.layer is Layer.JSON}


def _few_twins(least: int) -> st.SearchStrategy[list[str]]:
    few = st.lists(st.sampled_from(_SPELLINGS), min_size=least, max_size=3, unique=True)
    # The JSON can be written in one way only.
    return few.filter(lambda names: len(_WRITERS.intersection(names)) < 2)


def _broken_twins() -> st.SearchStrategy[str]:
    return st.tuples(st.sampled_from(_BREAKS), _few_twins(1)).map(lambda drawn: "+".join((drawn[0], *drawn[1])))


def _ask_broken_twins(probe: Probe, value: str) -> None:
    recipe, *twins = value.split("+")
    for version in versions(probe):
        attempt_named(probe, "any spelling", value, Order(version=version, recipe=recipe, twins=tuple(twins)))


@check(
    "x402.guard.any-spelling",
    unpaid,
    broken("any spelling", *_BREAKS),
    drawn=Drawn(
        values=lambda _: _broken_twins(),
        examples=("signer-other+unpadded", "value-lower+junk", "payee-other+duplicate-members", "expired+key-order"),
        ask=_ask_broken_twins,
    ),
)
def test_any_spelling(evidence: Evidence) -> None:
    for version, name, exchange in attempts(evidence, "any spelling"):
        here = label(version, "any spelling", name)
        recipe, _, spelling = name.partition("+")
        plain = label(version, "any spelling", recipe)
        # What opens in its plain spelling too is the business of another requirement.
        if spelling and (where := served(evidence, here)) and not served(evidence, plain):
            raise opened(evidence, here, exchange, where)


def _twins() -> st.SearchStrategy[str]:
    return _few_twins(1).map("+".join)


def _ask_twins(probe: Probe, value: str) -> None:
    for version in versions(probe):
        attempt_named(probe, "twins", value, Order(version=version, twins=tuple(value.split("+"))))


@check(
    "x402.guard.twins",
    unpaid,
    good("twins"),
    drawn=Drawn(values=lambda _: _twins(), examples=_SPELLINGS, ask=_ask_twins),
)
def test_twins(evidence: Evidence) -> None:
    try:
        for version, name, exchange in attempts(evidence, "twins"):
            here = label(version, "twins", name)
            response, paid = evidence.response(here), paid_for(exchange)
            taken = bool(served(evidence, here))
            # Once, unless this target charges a plain payment of that kind nothing either.
            usual = sum(call.moved for call in paid_for(evidence.exchange(label(version, "twins", GOOD))).calls)
            if taken and sum(call.moved for call in paid.calls) != min(usual, 1):
                raise opened(evidence, here, exchange, "an answer for which it was not charged once")
            if not taken and not 400 <= response.status < 500:
                raise Violation(
                    expected="what was paid for, or a client error",
                    received=response.shown(),
                    at=f"version {version}, after {paid.story}",
                    exchange=here,
                    reason=f"It is written in other bytes: {name}.",
                )
    except Inapplicable:
        return
