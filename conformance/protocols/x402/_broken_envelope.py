"""The recipes that break what stands around the authorization: version, accepted offer, members, what is echoed."""

from collections.abc import Callable
from typing import Any

from conformance.protocols.x402.networks import v1_name
from conformance.protocols.x402.payment import Method, Payment
from conformance.protocols.x402.recipe import (
    ABSENT,
    ANY_METHOD,
    ANY_VERSION,
    Path,
    Recipe,
    in_offer_and_authorization,
    lookalike,
    set_at,
    stranger,
    value_at,
    written,
)
from conformance.protocols.x402.signing import Payer, sign

__all__ = ["RECIPES"]

_EIP3009 = frozenset({Method.EIP3009})
_PERMIT2 = frozenset({Method.PERMIT2})
_V1 = frozenset({1})
_V2 = frozenset({2})
# Extensions whose info the client completes: what it sends need not repeat what was offered.
_COMPLETED = frozenset({"sign-in-with-x", "eip2612GasSponsoring", "erc20ApprovalGasSponsoring"})
# What is made anew for each answer: a server that keeps no offers cannot know which one was copied.
_FRESH = frozenset(
    {"nonce", "issuedAt", "notBefore", "expirationTime", "expiresAt", "validUntil", "timestamp", "requestId", "offerId"}
)


def _amount(payment: Payment) -> int:
    return int(payment.way.amount)


def _other_network(payment: Payment) -> str:
    other = "eip155:8453" if payment.way.network != "eip155:8453" else "eip155:1"
    return v1_name(other) if payment.version == 1 else other


def _other_shape(payment: Payment, _: Payer, __: int) -> dict[str, Any]:
    way, payload = payment.way, payment.document["payload"]
    if payment.version == 2:
        return {"x402Version": 1, "scheme": way.scheme, "network": v1_name(way.network), "payload": payload}
    accepted = {
        "scheme": way.scheme,
        "network": way.network,
        "amount": way.amount,
        "asset": way.asset,
        "payTo": way.pay_to,
        "maxTimeoutSeconds": way.members.get("maxTimeoutSeconds"),
        "extra": way.extra,
    }
    resource = {"url": way.members.get("resource")}
    return {"x402Version": 2, "resource": resource, "accepted": accepted, "payload": payload}


def _first_text(payment: Payment) -> Path | None:
    keys = [key for key, value in payment.way.extra.items() if isinstance(value, str)]
    return ("accepted", "extra", keys[0]) if keys else None


def _echoed(payment: Payment) -> Path | None:
    """The first plain member of an advertised ``info``, which the client must repeat as it is."""
    for key, extension in payment.document.get("extensions", {}).items():
        info = extension.get("info") if isinstance(extension, dict) else None
        if key in _COMPLETED or not isinstance(info, dict):
            continue
        for member, value in info.items():
            if not isinstance(value, (dict, list)) and member not in _FRESH:
                return ("extensions", key, "info", member)
    return None


def _otherwise(value: object) -> object:
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return value + "x"
        case _:
            return "x"


def _changed(find: Callable[[Payment], Path | None], change: Callable[[object], object]) -> Any:
    def apply(payment: Payment, _: Payer, __: int) -> dict[str, Any]:
        path = find(payment) or ()
        return set_at(payment.document, path, change(value_at(payment.document, path)))

    return apply


def _costs(payment: Payment) -> bool:
    return _amount(payment) > 0


def _chosen(member: str, value: Callable[[Payment], object]) -> Any:
    """A member by which a payment names what it pays: of the document in v1, of ``accepted`` in v2."""

    def apply(payment: Payment, _: Payer, __: int) -> dict[str, Any]:
        path = (member,) if payment.version == 1 else ("accepted", member)
        return set_at(payment.document, path, value(payment))

    return apply


_ACCEPTED = (
    Recipe(
        name="scheme-other",
        ids=("S-BND-01",),
        breaks="The payment names a scheme that was not offered.",
        apply=_chosen("scheme", lambda p: "upto" if p.way.scheme == "exact" else "exact"),
    ),
    Recipe(
        name="network-other",
        ids=("S-BND-01", "S-BND-08"),
        breaks="The payment names a network that was not offered.",
        apply=_chosen("network", _other_network),
    ),
    Recipe(
        name="accepted-amount",
        ids=("S-BND-01",),
        breaks="The payment repeats the offer with a lower price, and authorizes the true one.",
        apply=written(("accepted", "amount"), lambda p: str(_amount(p) - 1)),
        versions=_V2,
        has=_costs,
    ),
    *(
        Recipe(name=f"accepted-{name}", ids=ids, breaks=breaks, apply=written(("accepted", *at), value), versions=_V2)
        for name, ids, at, value, breaks in (
            (
                "asset",
                ("S-BND-01",),
                ("asset",),
                lambda p: lookalike(p.way.asset),
                "The payment repeats the offer with another token.",
            ),
            (
                "payee",
                ("S-BND-01",),
                ("payTo",),
                lambda p: lookalike(p.way.pay_to),
                "The payment repeats the offer with another payee.",
            ),
            (
                "timeout",
                ("S-BND-01",),
                ("maxTimeoutSeconds",),
                lambda _: 86_399,
                "The payment repeats the offer with another time limit.",
            ),
            (
                "flow",
                ("S-BND-18",),
                ("extra", "paymentFlow"),
                lambda p: "upfront" if p.way.extra.get("paymentFlow") != "upfront" else "authorization",
                "The payment repeats the offer with another payment flow.",
            ),
        )
    ),
    Recipe(
        name="accepted-extra",
        ids=("S-BND-01",),
        breaks="The payment repeats the offer with another value in extra.",
        apply=_changed(_first_text, _otherwise),
        versions=_V2,
        has=lambda p: _first_text(p) is not None,
    ),
)

# Whoever trusts `accepted` finds nothing wrong with these: offer and authorization agree.
_OWN_OFFERS = (
    Recipe(
        name="own-offer-amount",
        ids=("S-BND-02",),
        breaks="The payer lowers the price in the offer and pays that.",
        apply=in_offer_and_authorization("amount", "amount", lambda p, _: str(_amount(p) - 1)),
        versions=_V2,
        has=_costs,
    ),
    Recipe(
        name="own-offer-amount-as-v1",
        ids=("S-MAL-07",),
        breaks="The payer lowers the price in the offer, pays that, and calls it version 1.",
        apply=in_offer_and_authorization("amount", "amount", lambda p, _: str(_amount(p) - 1), version=1),
        versions=_V2,
        has=_costs,
    ),
    Recipe(
        name="own-offer-payee",
        ids=("S-BND-01", "S-BND-05"),
        breaks="The payer becomes the payee in the offer and pays that.",
        apply=in_offer_and_authorization("payTo", "payee", lambda _, payer: payer.address),
        versions=_V2,
    ),
    Recipe(
        name="own-offer-asset",
        ids=("S-BND-01", "S-BND-08"),
        breaks="The payer puts another token into the offer and pays in that.",
        apply=in_offer_and_authorization("asset", "asset", lambda p, _: lookalike(p.way.asset)),
        versions=_V2,
    ),
    Recipe(
        name="own-offer-network",
        ids=("S-BND-01", "S-BND-08"),
        breaks="The payer puts another network into the offer and pays there.",
        apply=in_offer_and_authorization("network", None, lambda p, _: _other_network(p)),
        versions=_V2,
    ),
)

_VERSIONS = (
    *(
        Recipe(
            name=f"version-{name}",
            ids=("S-MAL-05",),
            breaks=f"x402Version is {shown}.",
            apply=written(("x402Version",), value),
            versions=versions,
        )
        for name, shown, value, versions in (
            ("0", "0", lambda _: 0, ANY_VERSION),
            ("1", "1 on a payment of version 2", lambda _: 1, _V2),
            ("2", "2 on a payment of version 1", lambda _: 2, _V1),
            ("3", "3", lambda _: 3, ANY_VERSION),
            ("999", "999", lambda _: 999, ANY_VERSION),
            ("negative", "-1", lambda _: -1, ANY_VERSION),
            ("fraction", "no whole number", lambda p: p.version + 0.5, ANY_VERSION),
            ("text", "a string", lambda p: str(p.version), ANY_VERSION),
            ("null", "null", lambda _: None, ANY_VERSION),
            ("absent", "absent", lambda _: ABSENT, ANY_VERSION),
        )
    ),
    Recipe(
        name="shape-of-the-other-version",
        ids=("S-MAL-06",),
        breaks="The payment has the shape of the other version, in the field of this one.",
        apply=_other_shape,
    ),
    Recipe(
        name="forged-in-the-other-shape",
        ids=("S-MAL-12",),
        breaks="Somebody else signed than the one who is to pay, and the payment has the shape of the other version.",
        apply=lambda p, payer, now: set_at(
            _other_shape(p, payer, now), ("payload", "signature"), sign(p.typed, stranger(payer).key)
        ),
    ),
)

_MISSING = tuple(
    Recipe(
        name="without-" + "-".join(at),
        ids=("S-MAL-04",),
        breaks=f"The payment has no {'.'.join(at)}.",
        apply=written(at, lambda _: ABSENT),
        versions=versions,
        methods=methods,
    )
    for at, versions, methods in (
        (("accepted",), _V2, ANY_METHOD),
        (("scheme",), _V1, ANY_METHOD),
        (("network",), _V1, ANY_METHOD),
        (("payload",), ANY_VERSION, ANY_METHOD),
        (("payload", "signature"), ANY_VERSION, ANY_METHOD),
        (("payload", "authorization"), ANY_VERSION, _EIP3009),
        *(
            (("payload", "authorization", member), ANY_VERSION, _EIP3009)
            for member in ("from", "to", "value", "validAfter", "validBefore", "nonce")
        ),
        (("payload", "permit2Authorization"), ANY_VERSION, _PERMIT2),
        *(
            (("payload", "permit2Authorization", member), ANY_VERSION, _PERMIT2)
            for member in ("from", "permitted", "spender", "nonce", "deadline", "witness")
        ),
    )
)

_ECHOED = (
    Recipe(
        name="resource-foreign",
        ids=("S-BND-16",),
        breaks="The payment names another resource.",
        apply=written(("resource", "url"), lambda _: "https://elsewhere.invalid/other"),
        versions=_V2,
    ),
    Recipe(
        name="extension-changed",
        ids=("S-MAL-16",),
        breaks="The payment repeats an extension with another value in its info.",
        apply=_changed(_echoed, _otherwise),
        versions=_V2,
        has=lambda p: _echoed(p) is not None,
    ),
    Recipe(
        name="extension-shortened",
        ids=("S-MAL-16",),
        breaks="The payment repeats an extension without a member of its info.",
        apply=_changed(_echoed, lambda _: ABSENT),
        versions=_V2,
        has=lambda p: _echoed(p) is not None,
    ),
)

RECIPES: tuple[Recipe, ...] = (*_ACCEPTED, *_OWN_OFFERS, *_VERSIONS, *_MISSING, *_ECHOED)
