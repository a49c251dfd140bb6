"""Faults of an offer, and of offers that do not belong together."""

import base64
import json
from typing import Any

from altering import (
    OTHER_ASSET,
    OTHER_PAYEE,
    V1,
    V2,
    amount,
    extension,
    header,
    lacks,
    only,
    plain,
    resource,
    top,
    way,
    ways,
    without,
)
from fault import fault
from serving import Answer, Asked, Change, coded, decoded, offer, refusals, then

__all__ = ["OFFER"]

_BAZAAR: dict[str, Any] = {
    "info": {"input": {"type": "http", "method": "GET"}},
    "schema": {"type": "object", "properties": {"input": {"type": "object", "required": ["type"]}}},
}


def _urlsafe(value: str) -> str:
    # U+00BF is c2 bf in UTF-8: three of them have a slash in base64, wherever they begin.
    text = json.dumps(decoded(value) | {"error": "\u00bf" * 3}, ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode()


def _unpadded(value: str) -> str:
    text = json.dumps(decoded(value))
    return base64.b64encode((text + " " * ((1 - len(text)) % 3)).encode()).decode().rstrip("=")


def _twice(answer: Answer) -> None:
    if value := answer.get("payment-required"):
        answer.add("PAYMENT-REQUIRED", value)


def _a_page(answer: Answer) -> None:
    answer.body = b"<!doctype html><title>Pay</title>"
    answer.set("Content-Type", "text/html")


def _empty(answer: Answer) -> None:
    answer.body = b""


def _dearer(asked: Asked, answer: Answer) -> None:
    amount(str(10_000_000 + asked.nth))(asked, answer)


def _counts(asked: Asked, answer: Answer) -> None:
    def number(document: dict[str, Any], version: int) -> None:
        described = document["resource"] if version == 2 else document["accepts"][0]
        described["description"] = f"Answer {asked.nth} of many"

    offer(number)(asked, answer)


def _echoes(name: str) -> Change:
    """The resource is addressed by what a field of the request calls the host."""

    def change(asked: Asked, answer: Answer) -> None:
        host = asked.headers.get(name) or asked.headers["host"]
        resource(asked.path, f"http://{host}")(asked, answer)

    return change


def _two_terms(written: dict[str, Any]) -> None:
    for endpoint in written["endpoint"]:
        endpoint["terms"] += [endpoint["terms"][0] | {"network": "eip155:80002"}]


def _served_to_visitors(asked: Asked, answer: Answer) -> None:
    if "cookie" in asked.headers:
        answer.become(200, "{}", "application/json")


OFFER = (
    fault("the challenge is sent twice", refusals(_twice), "x402.offer.one-challenge", at=V2),
    fault(
        "the challenge of a dual server is lost", lacks("payment-required"), "x402.offer.one-challenge", at=("almanac",)
    ),
    fault(
        "the 402 of version 1 is empty",
        refusals(_empty),
        "x402.offer.one-challenge",
        "x402.offer.decodes",
        "http.way-to-pay",
        at=("forecast",),
    ),
    fault(
        "the challenge is JSON without base64",
        header(lambda value: json.dumps(decoded(value))),
        "x402.offer.decodes",
        "x402.offer.standard-base64",
        at=V2,
    ),
    fault("the challenge is a list", header(lambda value: coded([decoded(value)])), "x402.offer.decodes", at=V2),
    fault("the challenge is base64 of no JSON", header(lambda _: "aGVsbG8="), "x402.offer.decodes", at=V2),
    fault(
        "the body of version 1 is a page for everyone",
        refusals(_a_page),
        "x402.offer.decodes",
        "http.way-to-pay",
        at=("forecast",),
    ),
    fault("the challenge is in the alphabet of URLs", header(_urlsafe), "x402.offer.standard-base64", at=V2),
    fault("the challenge has no padding", header(_unpadded), "x402.offer.standard-base64", at=V2),
    fault("the version of the challenge is a text", top("x402Version", "2", 2), "x402.offer.version", at=V2),
    fault("the challenge has no version", plain(lambda d, _: d.pop("x402Version"), 2), "x402.offer.version", at=V2),
    fault("the challenge says version 1", top("x402Version", 1, 2), "x402.offer.version", at=V2),
    fault("the body of version 1 says version 2", top("x402Version", 2, 1), "x402.offer.version", at=V1),
    fault("the version of the body is a text", top("x402Version", "1", 1), "x402.offer.version", at=V1),
    fault("the error is an object", top("error", {"code": 402}), "x402.offer.error-is-text"),
    fault(
        "the error of version 1 is missing", plain(lambda d, _: d.pop("error"), 1), "x402.offer.error-is-text", at=V1
    ),
    fault("the challenge names no resource", plain(lambda d, _: d.pop("resource"), 2), "x402.offer.resource", at=V2),
    fault(
        "the resource is a text as in version 1",
        top("resource", "http://127.0.0.1/weather", 2),
        "x402.offer.resource",
        at=V2,
    ),
    fault("the resource has no address", plain(lambda d, _: d["resource"].pop("url"), 2), "x402.offer.resource", at=V2),
    fault("a way of version 1 names no resource", without("resource", 1), "x402.offer.resource", at=V1),
    fault(
        "the description of the resource is null",
        plain(lambda document, _: document["resource"].update(description=None), 2),
        "x402.offer.descriptions",
        at=V2,
    ),
    fault("a way of version 1 has no description", without("description", 1), "x402.offer.descriptions", at=V1),
    fault(
        "the media type of version 1 is a list", way("mimeType", ["text/plain"], 1), "x402.offer.descriptions", at=V1
    ),
    fault(
        "accepts is one object and no array",
        plain(lambda document, _: document.update(accepts=document["accepts"][0])),
        "x402.offer.accepts",
    ),
    fault("accepts lists names", top("accepts", ["exact"]), "x402.offer.accepts"),
    fault(
        "accepts is missing",
        plain(lambda document, _: document.pop("accepts")),
        "x402.offer.accepts",
        "http.way-to-pay",
    ),
    fault("the offer lists no way to pay", top("accepts", []), "x402.offer.accepts-is-not-empty"),
    fault("a way has no scheme", without("scheme"), "x402.offer.required-members", "x402.terms.scheme"),
    fault("a way has no network", without("network"), "x402.offer.required-members", "x402.terms.network"),
    fault("a way has no asset", without("asset"), "x402.offer.required-members", "x402.terms.asset"),
    fault("a way pays nobody", way("payTo", ""), "x402.offer.required-members", "x402.terms.pay-to"),
    fault(
        "a way of version 2 has no amount",
        without("amount", 2),
        "x402.offer.required-members",
        "x402.terms.amount",
        at=V2,
    ),
    fault(
        "a way of version 1 has the amount under the name of version 2",
        ways(lambda way: way.update(amount=way.pop("maxAmountRequired")), 1),
        "x402.offer.required-members",
        "x402.terms.amount",
        at=V1,
    ),
    fault(
        "a way of version 2 has the amount under the name of version 1",
        ways(lambda way: way.update(maxAmountRequired=way.pop("amount")), 2),
        "x402.offer.required-members",
        "x402.terms.amount",
        at=V2,
    ),
    fault(
        "the network of version 2 has a name of version 1",
        way("network", "base-sepolia", 2),
        "x402.offer.network",
        "x402.terms.network",
        at=V2,
    ),
    fault("the network is a chain number", way("network", 84532), "x402.offer.network", "x402.terms.network"),
    fault(
        "the amount of version 2 is a number",
        amount(10000, 2),
        "x402.offer.amount-is-a-string",
        "x402.terms.amount",
        at=V2,
    ),
    fault(
        "the amount of version 1 is a number",
        amount(20000, 1),
        "x402.offer.amount-is-a-string",
        "x402.terms.amount",
        at=V1,
    ),
    fault("the amount is in dollars", amount("0.01"), "x402.offer.amount-is-a-string", "x402.terms.amount"),
    fault(
        "the amount has leading zeros",
        then(amount("0020000", 1), amount("0010000", 2)),
        "x402.offer.amount-is-canonical",
        at=("weather", "forecast"),
    ),
    fault(
        "the amount does not fit 256 bits", amount(str(2**256)), "x402.offer.amount-is-canonical", "x402.terms.amount"
    ),
    fault(
        "the amount has five thousand digits",
        amount("9" * 5000),
        "x402.offer.amount-is-canonical",
        "x402.terms.amount",
    ),
    fault("the price is nothing", amount("0"), "x402.offer.amount-is-positive", "x402.terms.amount"),
    fault("the time to pay is a text", way("maxTimeoutSeconds", "60"), "x402.offer.timeout"),
    fault("the time to pay is missing", without("maxTimeoutSeconds"), "x402.offer.timeout"),
    fault("there is no time to pay", way("maxTimeoutSeconds", 0), "x402.offer.timeout-is-sane"),
    fault("the time to pay is in milliseconds", way("maxTimeoutSeconds", 90_000_000), "x402.offer.timeout-is-sane"),
    fault("the time to pay is a fraction", way("maxTimeoutSeconds", 0.5), "x402.offer.timeout-is-sane"),
    fault(
        "extra is a text", way("extra", "USDC", 2), "x402.offer.extra-is-an-object", "x402.offer.domain-is-named", at=V2
    ),
    fault("extra of version 1 is a text", way("extra", "USDC", 1), "x402.offer.extra-is-an-object", at=V1),
    fault(
        "extra of version 2 is null",
        way("extra", None, 2),
        "x402.offer.extra-is-an-object",
        "x402.offer.domain-is-named",
        at=V2,
    ),
    fault("extra is missing where a domain has to be named", without("extra", 2), "x402.offer.domain-is-named", at=V2),
    fault(
        "the domain has a number for a version",
        ways(lambda way: way["extra"].update(version=2), 2),
        "x402.offer.domain-is-named",
        at=V2,
    ),
    fault(
        "the token is called as on another network",
        ways(lambda way: way["extra"].update(name="USD Coin")),
        "x402.offer.domain-is-true",
    ),
    fault(
        "the token's domain has another version",
        ways(lambda way: way["extra"].update(version="1")),
        "x402.offer.domain-is-true",
    ),
    fault("an extension has no schema", extension({"info": {}}), "x402.offer.extensions", at=V2),
    fault("an extension has no info", extension({"schema": {}}), "x402.offer.extensions", at=V2),
    fault("extensions are a list of names", top("extensions", ["bazaar"], 2), "x402.offer.extensions", at=V2),
    fault(
        "an extension's info breaks its own schema",
        extension(_BAZAAR | {"info": {"input": {"method": "GET"}}}),
        "x402.offer.extension-info-fits",
        at=V2,
    ),
    fault(
        "an extension's schema lies elsewhere",
        extension(_BAZAAR | {"schema": {"$ref": "https://schemas.example/bazaar.json"}}),
        "x402.offer.extension-info-fits",
        at=V2,
    ),
    fault(
        "an extension's schema is none",
        extension(_BAZAAR | {"schema": {"type": "objekt"}}),
        "x402.offer.extension-info-fits",
        at=V2,
    ),
    fault("the payee is no address", way("payTo", "0x1234"), "x402.offer.address-form", "x402.terms.pay-to"),
    fault(
        "the asset is an address of another world",
        way("asset", "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"),
        "x402.offer.address-form",
        "x402.terms.asset",
    ),
    fault(
        "the payee's checksum is wrong",
        way("payTo", "0x209693bC6afc0C5328bA36FaF03C514EF312287C"),
        "x402.offer.checksum",
    ),
    fault("the offer is for another resource", resource("/premium"), "x402.offer.resource-names-request"),
    fault("the host that a client makes up is the resource's", _echoes("host"), "x402.offer.host-is-not-echoed"),
    fault(
        "the host that a proxy might forward is the resource's",
        _echoes("x-forwarded-host"),
        "x402.offer.host-is-not-echoed",
    ),
    fault(
        "the challenge is longer than Node.js reads",
        plain(lambda document, _: document["resource"].update(description="A long story. " * 1000), 2),
        "x402.offer.header-size",
        at=V2,
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
    fault(
        "one client pays less than the others",
        only(lambda asked: asked.headers.get("user-agent", "").startswith("curl"), amount("1")),
        "x402.offer.same-for-everyone",
    ),
    fault(
        "who brings a cookie gets in",
        _served_to_visitors,
        "x402.offer.same-for-everyone",
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
