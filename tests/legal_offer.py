"""Legal variants of an offer, and of what a profile may say of it."""

from typing import Any

from altering import OTHER_ASSET, OTHER_PAYEE, amount, extension, only, plain, resource, top, way, ways, without
from judging import Edit
from serving import Answer, Asked, Change, offer, then
from variant import Legal, also, endpoints, legal, terms, unpriced

__all__ = ["OFFER"]

_CLOUDFLARE = {"scheme": "batch-settlement", "network": "cloudflare:402", "asset": "USD", "payTo": "merchant"}
_SOLANA = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"
_MINT = "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU"
_SOL_PAYEE = "2wKupLR9q6wXYppw8Gr2NvWxKBUqm4PPJKkQfoxHDBg4"
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


def _adds(entry: dict[str, Any]) -> Change:
    """Another way to pay in each version 2 offer."""
    return plain(lambda document, _: document["accepts"].append(entry), 2)


def _moved_to(network: str, network_v1: str, asset: str, pay_to: str, **extra: object) -> Change:
    def move(entry: dict[str, Any]) -> None:
        entry.update(asset=asset, payTo=pay_to, extra=extra)
        entry["network"] = network_v1 if "maxAmountRequired" in entry else network

    return ways(move)


def _on(network: str, asset: str, pay_to: str) -> Edit:
    return terms(network=network, asset=asset, pay_to=pay_to)


def _numbered(alter: Any) -> Change:
    """Alters each offer by the number of the request."""

    def change(asked: Asked, answer: Answer) -> None:
        offer(lambda document, version: alter(document, version, asked.nth))(asked, answer)

    return change


def _fee_payer(document: dict[str, Any], _: int, nth: int) -> None:
    document["accepts"][0]["extra"] |= {"feePayer": _SOL_PAYEE[:-2] + "ABCDEFGH"[nth % 8] * 2, "memo": str(nth)}


def _nonce(document: dict[str, Any], version: int, nth: int) -> None:
    if version == 2:
        document["extensions"]["sign-in-with-x"] = _SIWX | {"info": _SIWX["info"] | {"nonce": f"n{nth}"}}


def _described(document: dict[str, Any], version: int, nth: int) -> None:
    described = document["resource"] if version == 2 else document["accepts"][0]
    described["description"] = f"The weather at {nth} o'clock"


def _payee(document: dict[str, Any], _: int, nth: int) -> None:
    document["accepts"][0]["payTo"] = f"0x{nth:040d}"


def _priced(asked: Asked, answer: Answer) -> None:
    amount("700" if asked.headers.get("user-agent", "").startswith("curl") else "900")(asked, answer)


def _asked_with_a_query(written: dict[str, Any]) -> None:
    endpoints(query={"city": "Paris"})(written)


def _stranger(status: int) -> Change:
    def change(asked: Asked, answer: Answer) -> None:
        if "evil.example" in {asked.headers["host"], asked.headers.get("x-forwarded-host")}:
            answer.become(status, "no such host")

    return change


def _resources(origin: str = "http://127.0.0.1", after: str = "") -> Change:
    def change(asked: Asked, answer: Answer) -> None:
        resource(asked.path + after, origin)(asked, answer)

    return change


def _methods(method: str) -> Change:
    """The asset is transferred in a way that needs no domain."""
    return ways(lambda entry: entry.update(extra={"assetTransferMethod": method}), 2)


def _lower(text: str) -> str:
    return text.lower()


def _upper(text: str) -> str:
    return "0x" + text[2:].upper()


def _cased(case: Any) -> Change:
    return ways(lambda entry: entry.update(asset=case(entry["asset"]), payTo=case(entry["payTo"])))


def _also_on_stellar(written: dict[str, Any]) -> None:
    also(network="stellar:testnet", asset="CBIELTK6", pay_to="GABC")(written)


OFFER: tuple[Legal, ...] = (
    legal(
        "its error is left out in version 2",
        plain(lambda document, _: document.pop("error"), 2),
        "x402.offer.error-is-text: no error in version 2",
    ),
    legal("its error is a reason for machines", top("error", "invalid_exact_evm_payload_signature")),
    legal(
        "it offers a scheme that nobody knows",
        _adds(
            {
                "scheme": "barter",
                "network": "eip155:84532",
                "amount": "3",
                "asset": OTHER_ASSET,
                "payTo": OTHER_PAYEE,
                "maxTimeoutSeconds": 9,
            }
        ),
        "x402.offer.required-members: schemes that we do not know",
        edit=lambda written: [
            endpoint["terms"].append(
                {"scheme": "barter", "network": "eip155:84532", "amount": "3", "asset": OTHER_ASSET}
            )
            for endpoint in written["endpoint"]
            if endpoint["versions"] == [2]
        ],
        where=("/weather", "/report"),
    ),
    legal(
        "it is paid by Cloudflare, without a price",
        _adds(_CLOUDFLARE),
        "x402.offer.required-members: cloudflare:402 without an amount",
        "x402.offer.network: namespaces longer than eight characters, such as cloudflare:402",
        "x402.offer.timeout: cloudflare:402 without it",
        "x402.offer.address-form: a role such as merchant",
        "x402.offer.address-form: a currency code",
        edit=unpriced,
    ),
    legal("it is paid by Cloudflare, without time", _adds(_CLOUDFLARE | {"maxTimeoutSeconds": 0}), edit=unpriced),
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
        "it is paid on Solana",
        _moved_to(_SOLANA, "solana-devnet", _MINT, _SOL_PAYEE, feePayer=_SOL_PAYEE),
        edit=_on(_SOLANA, _MINT, _SOL_PAYEE),
    ),
    legal(
        "it is paid on a network that nobody knows",
        _moved_to("hedera:testnet", "hedera-testnet", "0.0.429274", "0.0.1234"),
        "x402.offer.address-form: networks that we do not know",
        edit=unpriced,
    ),
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
    legal(
        "its resource is named without the query",
        _resources(),
        "x402.offer.resource-names-request: without the query",
        edit=_asked_with_a_query,
    ),
    legal("its resource is named with the query", _resources(after="?city=Paris"), edit=_asked_with_a_query),
    legal("its resource is a template", resource("/:topic"), "x402.offer.resource-names-request: a template"),
    legal(
        "its resource is a template in braces", resource("/{topic}"), "x402.offer.resource-names-request: a template"
    ),
    legal(
        "its resource has a public address",
        _resources("https://api.example.com"),
        "x402.offer.resource-names-request: a public address where the target is tested on loopback",
    ),
    legal("a proxy puts a path before its own", _resources("https://example.com/api/v2")),
    legal(
        "its resource is a tool",
        resource("tool/weather", "mcp://"),
        "x402.offer.resource-names-request: schemes other than http",
    ),
    *(
        legal(
            f"a host that it does not serve gets a {status}",
            _stranger(status),
            "x402.offer.host-is-not-echoed: 400, 404 or 421 for a host that is not served",
        )
        for status in (400, 404, 421)
    ),
    legal(
        "one of its networks has no name in version 1",
        plain(
            lambda document, _: document["accepts"].append(
                document["accepts"][0] | {"network": "stellar:testnet", "asset": "CBIELTK6", "payTo": "GABC"}
            ),
            2,
        ),
        "x402.offer.places-agree: a network that the other version has no name for",
        where=("/almanac",),
        edit=lambda written: written["endpoint"][2]["terms"].append(
            {"scheme": "exact", "network": "stellar:testnet", "asset": "CBIELTK6", "amount": "500000", "pay_to": "GABC"}
        ),
    ),
    legal(
        "its description tells the time",
        _numbered(_described),
        "x402.offer.stable: members that the profile calls dynamic",
        "x402.offer.same-for-everyone: members that the profile calls dynamic",
        edit=endpoints(dynamic=["/resource/description", "/accepts/*/description"]),
    ),
    legal(
        "its fee payer changes",
        then(_moved_to(_SOLANA, "solana-devnet", _MINT, _SOL_PAYEE), _numbered(_fee_payer)),
        "x402.offer.stable: fee payers, nonces and times of issue",
        edit=_on(_SOLANA, _MINT, _SOL_PAYEE),
    ),
    legal("its nonce changes", _numbered(_nonce), "x402.offer.stable: fee payers, nonces and times of issue"),
    legal(
        "its price depends on who asks, and is in the range",
        _priced,
        "x402.offer.same-for-everyone: members that the profile calls dynamic",
        "x402.terms.amount: any amount in the range that the profile states",
        edit=lambda written: (
            terms(amount={"min": "700", "max": "900"})(written),
            endpoints(dynamic=["/accepts/*/amount", "/accepts/*/maxAmountRequired"])(written),
        ),
    ),
    legal(
        "each offer has a payee of its own",
        _numbered(_payee),
        "x402.terms.pay-to: any payee where the profile states none",
        edit=lambda written: (terms(pay_to=None)(written), endpoints(dynamic=["/accepts/*/payTo"])(written)),
    ),
    legal(
        "it has two ways to pay, in another order than its profile",
        plain(lambda document, _: document["accepts"].insert(0, document["accepts"][0] | {"asset": OTHER_ASSET})),
        edit=also(asset=OTHER_ASSET),
    ),
    legal("it says more than the specification asks for", top("serviceName", "Weather")),
    legal(
        "a client is turned away for its name",
        only(
            lambda asked: asked.headers.get("user-agent", "").startswith("curl"),
            lambda _, answer: answer.become(403, "no robots"),
        ),
    ),
)
