"""Legal variants of where an offer is paid, of what changes in it, and of what a profile says it costs."""

from typing import Any

from altering import OTHER_ASSET, adds, amount, numbered, plain, ways
from judging import Edit
from serving import Answer, Asked, Change, then
from variant import Legal, also, both, endpoints, legal, terms, unclaimed, unpriced

__all__ = ["TERMS"]

_CLOUDFLARE = {"scheme": "batch-settlement", "network": "cloudflare:402", "asset": "USD", "payTo": "merchant"}
_SOLANA = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"
_MINT = "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU"
_BITCOIN = "bip122:000000000019d6689c085ae165831e93"
_PRICE = {1: "maxAmountRequired", 2: "amount"}
_SOL_PAYEE = "2wKupLR9q6wXYppw8Gr2NvWxKBUqm4PPJKkQfoxHDBg4"


def _moved_to(network: str, network_v1: str, asset: str, pay_to: str, **extra: object) -> Change:
    def move(entry: dict[str, Any]) -> None:
        entry.update(asset=asset, payTo=pay_to, extra=extra)
        entry["network"] = network_v1 if "maxAmountRequired" in entry else network

    return ways(move)


def _on(network: str, asset: str, pay_to: str) -> Edit:
    return terms(network=network, asset=asset, pay_to=pay_to)


def _fee_payer(document: dict[str, Any], _: int, nth: int) -> None:
    document["accepts"][0]["extra"] |= {"feePayer": _SOL_PAYEE[:-2] + "ABCDEFGH"[nth % 8] * 2, "memo": str(nth)}


def _described(document: dict[str, Any], version: int, nth: int) -> None:
    described = document["resource"] if version == 2 else document["accepts"][0]
    described["description"] = f"The weather at {nth} o'clock"


def _payee(document: dict[str, Any], _: int, nth: int) -> None:
    document["accepts"][0]["payTo"] = f"0x{nth:040d}"


def _priced(asked: Asked, answer: Answer) -> None:
    amount("700" if asked.headers.get("user-agent", "").startswith("curl") else "900")(asked, answer)


def _invoice(document: dict[str, Any], _: int, nth: int) -> None:
    document["accepts"][0]["extra"] |= {"invoice": f"lnbc{nth}", "paymentHash": f"{nth:064x}"}


def _shuffled(document: dict[str, Any], _: int, nth: int) -> None:
    document["accepts"].insert(nth % 2, document["accepts"][0] | {"asset": OTHER_ASSET})


def _by_cloudflare(written: dict[str, Any]) -> None:
    for endpoint in written["endpoint"]:
        if 2 in endpoint["versions"]:
            endpoint["terms"].append(
                {"scheme": "batch-settlement", "network": "cloudflare:402", "asset": "USD", "pay_to": "merchant"}
            )


TERMS: tuple[Legal, ...] = (
    legal(
        "it is paid by Cloudflare, without a price",
        adds(_CLOUDFLARE),
        "x402.offer.required-members: cloudflare:402 without an amount",
        "x402.offer.network: namespaces longer than eight characters, such as cloudflare:402",
        "x402.offer.timeout: cloudflare:402 without it",
        "x402.offer.address-form: a role such as merchant",
        "x402.offer.address-form: a currency code",
        edit=_by_cloudflare,
    ),
    legal(
        "it is paid by Cloudflare, for what a known client is told",
        adds(_CLOUDFLARE | {"amount": "250", "maxTimeoutSeconds": 0}),
        edit=_by_cloudflare,
    ),
    legal(
        "it is paid by Cloudflare, for nothing",
        adds(_CLOUDFLARE | {"amount": "0"}),
        edit=_by_cloudflare,
    ),
    legal(
        "it is paid on Solana",
        _moved_to(_SOLANA, "solana-devnet", _MINT, _SOL_PAYEE, feePayer=_SOL_PAYEE),
        edit=_on(_SOLANA, _MINT, _SOL_PAYEE),
    ),
    legal(
        "it is paid on a network that nobody knows",
        _moved_to("hedera:testnet", "hedera-testnet", "0.0.429274", "0.0.1234"),
        "x402.offer.address-form: networks that we do not know",
        edit=both(unpriced, unclaimed),
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
        numbered(_described),
        "x402.offer.stable: members that the profile calls dynamic",
        "x402.offer.same-for-everyone: members that the profile calls dynamic",
        edit=endpoints(dynamic=["/resource/description", "/accepts/*/description"]),
    ),
    legal(
        "its fee payer changes",
        then(_moved_to(_SOLANA, "solana-devnet", _MINT, _SOL_PAYEE), numbered(_fee_payer)),
        "x402.offer.stable: fee payers, nonces and times of issue",
        edit=_on(_SOLANA, _MINT, _SOL_PAYEE),
    ),
    legal(
        "its price depends on who asks, and is in the range",
        _priced,
        "x402.offer.same-for-everyone: members that the profile calls dynamic",
        "x402.terms.amount: any amount in the range that the profile states",
        edit=both(
            terms(amount={"min": "700", "max": "900"}),
            endpoints(dynamic=["/accepts/*/amount", "/accepts/*/maxAmountRequired"]),
        ),
    ),
    legal(
        "each offer has a payee of its own",
        numbered(_payee),
        "x402.terms.pay-to: any payee where the profile states none",
        edit=both(terms(pay_to=None), endpoints(dynamic=["/accepts/*/payTo"]), unclaimed),
    ),
    legal(
        "it has two ways to pay, in another order than its profile",
        plain(lambda document, _: document["accepts"].insert(0, document["accepts"][0] | {"asset": OTHER_ASSET})),
        edit=also(asset=OTHER_ASSET),
    ),
    legal(
        "its price is told by nobody, and nothing is claimed",
        numbered(lambda document, version, nth: document["accepts"][0].update({_PRICE[version]: str(nth + 1)})),
        edit=both(
            terms(amount=None),
            endpoints(dynamic=["/accepts/*/amount", "/accepts/*/maxAmountRequired"]),
            unclaimed,
        ),
    ),
    legal(
        "it is paid over Lightning, by an invoice of its own for each",
        then(_moved_to(_BITCOIN, _BITCOIN, "BTC", "merchant"), numbered(_invoice)),
        edit=_on(_BITCOIN, "BTC", "merchant"),
    ),
    legal("its ways to pay come in any order", numbered(_shuffled), edit=also(asset=OTHER_ASSET)),
)
