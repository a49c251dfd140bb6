"""Legal variants of an offer by itself."""

import json
from typing import Any

from altering import (
    OTHER_ASSET,
    OTHER_PAYEE,
    adds,
    amount,
    extension,
    numbered,
    plain,
    top,
    way,
    ways,
    without,
)
from serving import Answer, Change, decoded, refusals, then
from variant import Legal, legal, terms

__all__ = ["OFFER"]

_SIWX: dict[str, Any] = {
    "info": {"domain": "api.example.com", "nonce": "a1b2c3d4", "issuedAt": "2026-11-20T10:00:00Z", "version": "1"},
    "supportedChains": [{"chainId": "eip155:84532", "type": "eip191"}],
    "schema": {"type": "object", "required": ["address", "signature"], "properties": {"address": {"type": "string"}}},
}
_BAZAAR: dict[str, Any] = {
    "info": {"input": {"type": "http", "method": "GET"}, "output": {"type": "json", "example": {}}},
    "routeTemplate": "/:topic",
    "schema": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"input": {"$ref": "#/$defs/input"}},
        "required": ["input"],
        "$defs": {"input": {"type": "object", "required": ["type", "method"]}},
    },
}


def _methods(method: str) -> Change:
    """The asset is transferred in a way that needs no domain."""
    return ways(lambda entry: entry.update(extra={"assetTransferMethod": method}), 2)


def _lower(text: str) -> str:
    return text.lower()


def _upper(text: str) -> str:
    return "0x" + text[2:].upper()


def _cased(case: Any) -> Change:
    return ways(lambda entry: entry.update(asset=case(entry["asset"]), payTo=case(entry["payTo"])))


def _nonce(document: dict[str, Any], version: int, nth: int) -> None:
    if version == 2:
        document["extensions"]["sign-in-with-x"] = _SIWX | {"info": _SIWX["info"] | {"nonce": f"n{nth}"}}


def _nothings(document: dict[str, Any], version: int) -> None:
    """What is optional is null."""
    if version == 2:
        document |= {"error": None, "extensions": None}
        document["resource"] |= {"description": None, "mimeType": None}
        document["accepts"][0]["extra"] = None
    else:
        document["accepts"][0] |= {"mimeType": None, "outputSchema": None, "extra": None}


def _for_old_clients(answer: Answer) -> None:
    """The body repeats the offer of the header, each way with its price under the older name as well."""
    document = decoded(answer.get("payment-required"))
    ways = [entry | {"maxAmountRequired": entry["amount"]} for entry in document["accepts"]]
    answer.say(document | {"accepts": ways})


def _asks_about_the_sky(document: dict[str, Any], _: int) -> None:
    document["resource"]["description"] = "Whether it is sunny, overcast, or the start of a heatwave"


def _says_its_offer_again(answer: Answer) -> None:
    if (offer := answer.get("payment-required")) and answer.get("content-type") == "application/problem+json":
        answer.body = json.dumps(json.loads(answer.body) | {"offer": offer}).encode()


OFFER: tuple[Legal, ...] = (
    legal(
        "its offer has the words of the paid answer, and stands in the body again",
        then(plain(_asks_about_the_sky, 2), refusals(_says_its_offer_again)),
        where=("/weather",),
    ),
    legal(
        "what it does not say is null",
        then(plain(_nothings), way("scheme", "barter")),
        "x402.offer.extra-is-an-object: null in version 1",
        edit=terms(scheme="barter"),
    ),
    legal(
        "its body of version 2 names the price for old clients too",
        refusals(_for_old_clients),
        "x402.offer.one-challenge: any body beside a version 2 header",
        where=("/weather", "/report"),
    ),
    legal(
        "its extension describes what the client has to prove",
        extension(
            {
                "info": {"challenge": "a1b2"},
                "schema": {"type": "object", "required": ["proof"], "properties": {"proof": {"type": "string"}}},
            },
            "vendor-auth",
        ),
        "x402.offer.extension-info-fits: extensions that the client completes, such as sign-in-with-x",
    ),
    legal(
        "its error is left out in version 2",
        plain(lambda document, _: document.pop("error"), 2),
        "x402.offer.error-is-text: no error in version 2",
    ),
    legal("its error is a reason for machines", top("error", "invalid_exact_evm_payload_signature")),
    legal(
        "it offers a scheme that nobody knows",
        adds(
            {
                "scheme": "barter",
                "network": "eip155:84532",
                "amount": "3",
                "asset": OTHER_ASSET,
                "payTo": OTHER_PAYEE,
                "maxTimeoutSeconds": 9,
                "extra": {"paymentFlow": "harvest"},
            }
        ),
        "x402.offer.required-members: schemes that we do not know",
        "x402.offer.flow-fits-scheme: any flow for a scheme that we do not know",
        edit=lambda written: [
            endpoint["terms"].append(
                {
                    "scheme": "barter",
                    "network": "eip155:84532",
                    "amount": "3",
                    "asset": OTHER_ASSET,
                    "pay_to": OTHER_PAYEE,
                }
            )
            for endpoint in written["endpoint"]
            if endpoint["versions"] == [2]
        ],
        where=("/weather", "/report"),
    ),
    legal(
        "identifying oneself is the price",
        then(amount("0", 2), extension(_SIWX, "sign-in-with-x")),
        "x402.offer.amount-is-positive: 0 beside sign-in-with-x",
        "x402.offer.extension-info-fits: extensions that the client completes, such as sign-in-with-x",
        "x402.offer.extensions: other members beside info and schema",
        where=("/weather", "/report"),
        edit=lambda written: [
            endpoint["terms"][0].update(amount="0") for endpoint in written["endpoint"] if endpoint["versions"] == [2]
        ],
    ),
    legal(
        "it charges afterwards, up to what is offered",
        then(amount("0"), way("scheme", "upto")),
        "x402.offer.amount-is-positive: 0 in scheme upto or in batches",
        edit=terms(amount="0", scheme="upto"),
    ),
    legal(
        "it charges in batches",
        then(amount("0"), way("scheme", "batch-settlement")),
        "x402.offer.amount-is-positive: 0 in scheme upto or in batches",
        edit=terms(amount="0", scheme="batch-settlement"),
    ),
    legal("it leaves a day to pay", way("maxTimeoutSeconds", 86400), "x402.offer.timeout-is-sane: 86400"),
    legal("its time to pay is written with a point", way("maxTimeoutSeconds", 60.0)),
    legal(
        "its version 1 has no extra",
        without("extra", 1),
        "x402.offer.extra-is-an-object: no extra",
    ),
    legal(
        "its version 1 has a null for extra", way("extra", None, 1), "x402.offer.extra-is-an-object: null in version 1"
    ),
    legal(
        "its asset is transferred by Permit2",
        _methods("permit2"),
        "x402.offer.domain-is-named: neither, where the asset is transferred by Permit2 or ERC-7710",
    ),
    legal(
        "its asset is transferred by ERC-7710",
        _methods("erc7710"),
        "x402.offer.domain-is-named: neither, where the asset is transferred by Permit2 or ERC-7710",
    ),
    legal(
        "its token is one that nobody knows",
        then(way("asset", OTHER_PAYEE), ways(lambda entry: entry.update(extra={"name": "Gold", "version": "7"}))),
        "x402.offer.domain-is-true: anything, for a token that we do not know",
        edit=terms(asset=OTHER_PAYEE),
    ),
    legal(
        "its extension has no schema, as its specification lets it",
        extension({"info": {"keyid": "a"}}, "http-message-signatures"),
        "x402.offer.extensions: http-message-signatures without schema",
    ),
    legal(
        "it lists itself in a bazaar", extension(_BAZAAR), "x402.offer.extensions: other members beside info and schema"
    ),
    legal("it makes no mention of extensions", plain(lambda document, _: document.pop("extensions"), 2)),
    legal(
        "it is paid to a merchant",
        way("payTo", "merchant"),
        "x402.offer.address-form: a role such as merchant",
        edit=terms(pay_to="merchant"),
    ),
    legal(
        "its addresses are in lower case",
        _cased(_lower),
        "x402.offer.checksum: all lower case",
        "x402.terms.asset: an EVM address in other case",
        "x402.terms.pay-to: an EVM address in other case",
    ),
    legal(
        "its addresses are in upper case",
        _cased(_upper),
        "x402.offer.checksum: all upper case",
        "x402.terms.asset: an EVM address in other case",
        "x402.terms.pay-to: an EVM address in other case",
    ),
    legal("it says nothing of a flow", None, "x402.offer.flow-fits-scheme: no paymentFlow"),
    legal("it settles first, and says so", ways(lambda way: way["extra"].update(paymentFlow="upfront"), 2)),
    legal(
        "it writes the usual flow out",
        ways(lambda way: way["extra"].update(paymentFlow="authorization"), 2),
        "x402.offer.flow-fits-scheme: flow authorization written out",
    ),
    legal("it says more than the specification asks for", top("serviceName", "Weather")),
    legal("its nonce changes", numbered(_nonce), "x402.offer.stable: fee payers, nonces and times of issue"),
)
