"""Faults of an offer that does not belong to the request, to another offer, or to what the profile says it costs."""

from typing import Any

from altering import OTHER_ASSET, OTHER_PAYEE, amount, plain, resource, way
from fault import fault
from serving import Answer, Asked, Change, offer, then

__all__ = ["TERMS"]


def _dearer(asked: Asked, answer: Answer) -> None:
    amount(str(10_000_000 + asked.nth))(asked, answer)


def _counts(asked: Asked, answer: Answer) -> None:
    def number(document: dict[str, Any], version: int) -> None:
        described = document["resource"] if version == 2 else document["accepts"][0]
        described["description"] = f"Answer {asked.nth} of many"

    offer(number)(asked, answer)


def _relative(asked: Asked, answer: Answer) -> None:
    resource(asked.path, "")(asked, answer)


def _echoes(name: str) -> Change:
    """The resource is addressed by what a field of the request calls the host."""

    def change(asked: Asked, answer: Answer) -> None:
        host = asked.headers.get(name) or asked.headers["host"]
        resource(asked.path, f"http://{host}")(asked, answer)

    return change


def _two_terms(written: dict[str, Any]) -> None:
    for endpoint in written["endpoint"]:
        endpoint["terms"] += [endpoint["terms"][0] | {"network": "eip155:80002"}]


TERMS = (
    fault("the offer is for another resource", resource("/premium"), "x402.offer.resource-names-request"),
    fault("the resource has no host", _relative, "x402.offer.resource-names-request"),
    fault("the resource is a template of other pages", resource("/{topic}.json"), "x402.offer.resource-names-request"),
    fault("the resource is all that lies elsewhere", resource("/shop/*"), "x402.offer.resource-names-request"),
    fault("the host that a client makes up is the resource's", _echoes("host"), "x402.offer.host-is-not-echoed"),
    fault(
        "the host that a proxy might forward is the resource's",
        _echoes("x-forwarded-host"),
        "x402.offer.host-is-not-echoed",
    ),
    fault(
        "the body asks for more than the header",
        amount("600000", 1),
        "x402.offer.places-agree",
        "x402.terms.amount",
        at=("almanac",),
    ),
    fault(
        "the body pays somebody else than the header",
        way("payTo", OTHER_PAYEE, 1),
        "x402.offer.places-agree",
        "x402.terms.pay-to",
        at=("almanac",),
    ),
    fault("the offer changes from one request to the next", _counts, "x402.offer.stable"),
    fault(
        "the price goes up with each request",
        _dearer,
        "x402.offer.stable",
        "x402.terms.amount",
    ),
    fault("the scheme is another", way("scheme", "upto"), "x402.terms.scheme"),
    fault(
        "the network is the one where money is real",
        then(way("network", "base", 1), way("network", "eip155:8453", 2)),
        "x402.terms.network",
    ),
    fault("the asset is another token", way("asset", OTHER_ASSET), "x402.terms.asset"),
    fault("the price is tenfold", amount("100000"), "x402.terms.amount", at=("weather", "forecast", "report")),
    fault("the payee is somebody else", way("payTo", OTHER_PAYEE), "x402.terms.pay-to"),
    fault(
        "there is a cheaper way on the side",
        plain(lambda d, _: d["accepts"].append(d["accepts"][0] | {"payTo": OTHER_PAYEE, "asset": OTHER_ASSET})),
        "x402.terms.no-other-way",
    ),
    fault("one of two ways is not offered", None, "x402.terms.every-way", edit=_two_terms),
)
