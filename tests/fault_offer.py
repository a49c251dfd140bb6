"""Faults of an offer, and of offers that do not belong together."""

import base64
import json
from collections.abc import Callable
from typing import Any

from altering import (
    OTHER_PAYEE,
    V1,
    V2,
    amount,
    extension,
    header,
    lacks,
    plain,
    top,
    way,
    ways,
    without,
)
from fault import fault
from serving import Answer, Asked, Change, coded, decoded, refusals, then

__all__ = ["OFFER"]

_BAZAAR: dict[str, Any] = {
    "info": {"input": {"type": "http", "method": "GET"}},
    "schema": {"type": "object", "properties": {"input": {"type": "object", "required": ["type"]}}},
}

_BOMB = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)} | {"a40": True}
"""Each step takes the next one twice."""


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


def _texted(rewrite: Callable[[str], str]) -> Change:
    """Rewrites the JSON text of each offer, in the header and in the body of version 1."""

    def change(asked: Asked, answer: Answer) -> None:
        header(lambda value: base64.b64encode(rewrite(json.dumps(decoded(value))).encode()).decode())(asked, answer)
        if answer.status == 402 and answer.get("content-type") == "application/json":
            answer.body = rewrite(json.dumps(json.loads(answer.body))).encode()

    return change


def _paid_to_two(text: str) -> str:
    """Who takes the first of two equal members pays somebody else than who takes the last."""
    return text.replace('"payTo":', f'"payTo": "{OTHER_PAYEE}", "payTo":')


def _rated(text: str) -> str:
    return text.replace('"maxTimeoutSeconds": 60', '"maxTimeoutSeconds": 60, "rate": NaN')


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
        "http.accept-json",
        at=("forecast",),
    ),
    fault("the challenge is in the alphabet of URLs", header(_urlsafe), "x402.offer.standard-base64", at=V2),
    fault("the challenge has no padding", header(_unpadded), "x402.offer.standard-base64", at=V2),
    fault("a challenge has two payees in one way", _texted(_paid_to_two), "x402.offer.unique-members", at=V2),
    fault("a body has two payees in one way", _texted(_paid_to_two), "x402.offer.unique-members", at=("forecast",)),
    fault(
        "an offer has two lists of ways",
        _texted(lambda text: text.replace('"accepts":', '"accepts": [], "accepts":')),
        "x402.offer.unique-members",
    ),
    fault(
        "the challenge has a number that is none in JSON",
        _texted(_rated),
        "x402.offer.decodes",
        at=("weather", "report"),
    ),
    fault(
        "the body of version 1 has a number that is none in JSON",
        _texted(_rated),
        "x402.offer.decodes",
        "http.way-to-pay",
        "http.body-is-what-it-says",
        at=("forecast",),
    ),
    fault("the version of the challenge is a text", top("x402Version", "2", 2), "x402.offer.version", at=V2),
    fault("the challenge has no version", plain(lambda d, _: d.pop("x402Version"), 2), "x402.offer.version", at=V2),
    fault("the challenge says version 1", top("x402Version", 1, 2), "x402.offer.version", at=V2),
    fault("the body of version 1 says version 2", top("x402Version", 2, 1), "x402.offer.version", at=V1),
    fault("the version of the body is a text", top("x402Version", "1", 1), "x402.offer.version", at=V1),
    fault("the error is an object", top("error", {"code": 402}), "x402.offer.error-is-text"),
    fault("the error of version 1 is null", top("error", None, 1), "x402.offer.error-is-text", at=V1),
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
        "the description of the resource is a number",
        plain(lambda document, _: document["resource"].update(description=7), 2),
        "x402.offer.descriptions",
        at=V2,
    ),
    fault(
        "the media type of the resource is an object",
        plain(lambda document, _: document["resource"].update(mimeType={"type": "text/plain"}), 2),
        "x402.offer.descriptions",
        at=V2,
    ),
    fault("the description of version 1 is null", way("description", None, 1), "x402.offer.descriptions", at=V1),
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
    fault("the payee is null", way("payTo", None), "x402.offer.required-members", "x402.terms.pay-to"),
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
    fault("extra is null where a domain has to be named", way("extra", None, 2), "x402.offer.domain-is-named", at=V2),
    fault("extra is a list", way("extra", ["USDC", "2"], 1), "x402.offer.extra-is-an-object", at=V1),
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
    fault(
        "exact is settled in escrow",
        ways(lambda way: way["extra"].update(paymentFlow="escrow"), 2),
        "x402.offer.flow-fits-scheme",
        at=V2,
    ),
    fault(
        "the flow is one that x402 does not have",
        ways(lambda way: way["extra"].update(paymentFlow="postpaid"), 2),
        "x402.offer.flow-fits-scheme",
        at=V2,
    ),
    fault(
        "the flow is a truth value",
        ways(lambda way: way["extra"].update(paymentFlow=True), 2),
        "x402.offer.flow-fits-scheme",
        at=V2,
    ),
    fault(
        "upto is settled before anybody knows the price",
        ways(lambda way: way.update(scheme="upto", extra={"paymentFlow": "upfront"}), 2),
        "x402.offer.flow-fits-scheme",
        "x402.terms.scheme",
        at=V2,
    ),
    fault("an extension has no schema", extension({"info": {}}), "x402.offer.extensions", at=V2),
    fault("an extension has no info", extension({"schema": {}}), "x402.offer.extensions", at=V2),
    fault("an extension is null", extension(None), "x402.offer.extensions", at=V2),
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
    fault(
        "an extension's schema leads to itself",
        extension(_BAZAAR | {"schema": {"$ref": "#"}}),
        "x402.offer.extension-info-fits",
        at=V2,
    ),
    fault(
        "an extension's schema takes longer to judge than anyone lives",
        extension(_BAZAAR | {"schema": {"$ref": "#/$defs/a0", "$defs": _BOMB}}),
        "x402.offer.extension-info-fits",
        at=V2,
    ),
    fault(
        "an extension's number is large, and no multiple of what its schema says",
        extension({"info": {"n": 10**400}, "schema": {"properties": {"n": {"multipleOf": 0.3}}}}),
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
    fault(
        "the challenge is longer than Node.js reads",
        plain(lambda document, _: document["resource"].update(description="A long story. " * 1000), 2),
        "x402.offer.header-size",
        at=V2,
    ),
)
