"""Checks of class ``x402/offer`` on what an offer asks for: amount, time, token and payee."""

import re
from collections.abc import Mapping

from conformance import fields, schema
from conformance.checks import check
from conformance.checks.offer import at, ways
from conformance.evidence import Evidence
from conformance.gather import unpaid
from conformance.outcome import Inapplicable, Violation
from conformance.protocols import x402
from conformance.protocols.x402.payment import Flow
from conformance.protocols.x402.signing import checksummed


@check("x402.offer.amount-is-canonical", unpaid)
def test_amount_is_canonical(evidence: Evidence) -> None:
    for offer, way in ways(evidence):
        if re.fullmatch("0[0-9]+", way.amount) or (fields.natural(way.amount) or 0) >= 2**256:
            raise Violation(
                expected="a decimal number without leading zeros, below 2^256",
                received=way.amount,
                at=at(offer, f"/accepts/{way.index}"),
                exchange="unpaid",
            )


@check("x402.offer.amount-is-positive", unpaid)
def test_amount_is_positive(evidence: Evidence) -> None:
    for offer, way in ways(evidence):
        # Nothing is a legal price for identification, for upto and for batches.
        identifies = "sign-in-with-x" in offer.extensions()
        if way.scheme == "exact" and not identifies and way.amount and not way.amount.strip("0"):
            raise Violation(
                expected="more than 0", received=way.amount, at=at(offer, f"/accepts/{way.index}"), exchange="unpaid"
            )


@check("x402.offer.timeout-is-sane", unpaid)
def test_timeout_is_sane(evidence: Evidence) -> None:
    for offer, way in ways(evidence):
        seconds = way.members.get("maxTimeoutSeconds")
        if not isinstance(seconds, int | float) or isinstance(seconds, bool) or way.network == "cloudflare:402":
            continue
        if not 0 < seconds <= 86400 or seconds != int(seconds):
            raise Violation(
                expected="whole seconds, from 1 to 86400",
                received=str(seconds),
                at=at(offer, f"/accepts/{way.index}/maxTimeoutSeconds"),
                exchange="unpaid",
            )


def _eip3009(way: x402.Way) -> bool:
    return (
        way.scheme == "exact"
        and x402.is_evm(way.network)
        and way.extra.get("assetTransferMethod", "eip3009") == "eip3009"
    )


@check("x402.offer.domain-is-named", unpaid)
def test_domain_is_named(evidence: Evidence) -> None:
    found = [(offer, way) for offer, way in ways(evidence) if offer.version == 2 and _eip3009(way)]
    if not found:
        reason = "no version 2 offer of scheme exact on an EVM network by EIP-3009"
        raise Inapplicable(reason)
    for offer, way in found:
        for member in ("name", "version"):
            if not isinstance(way.extra.get(member), str):
                raise Violation(
                    expected=f"the token's EIP-712 {member}, a string",
                    received=schema.shown(way.extra[member]) if member in way.extra else "no such member",
                    at=at(offer, f"/accepts/{way.index}/extra/{member}"),
                    exchange="unpaid",
                )


@check("x402.offer.domain-is-true", unpaid)
def test_domain_is_true(evidence: Evidence) -> None:
    known = [(o, w, d) for o, w in ways(evidence) if _eip3009(w) and (d := x402.domain_of(w.network, w.asset))]
    if not known:
        reason = "no offered asset is one whose EIP-712 domain is known"
        raise Inapplicable(reason)
    for offer, way, domain in known:
        for member, value in (("name", domain.name), ("version", domain.version)):
            if isinstance(given := way.extra.get(member), str) and given != value:
                raise Violation(
                    expected=f"{value!r}, as the token contract has it",
                    received=repr(given),
                    at=at(offer, f"/accepts/{way.index}/extra/{member}"),
                    exchange="unpaid",
                )


_ADDRESS = {
    "eip155": (re.compile("0x[0-9a-fA-F]{40}"), "0x and 40 hexadecimal digits"),
    "solana": (re.compile("[1-9A-HJ-NP-Za-km-z]{32,44}"), "base58 of 32 bytes"),
}

_WORD = re.compile("[A-Za-z][A-Za-z-]{1,19}")


@check("x402.offer.address-form", unpaid)
def test_address_form(evidence: Evidence) -> None:
    for offer, way in ways(evidence):
        pattern, words = _ADDRESS.get(way.network.partition(":")[0], (None, ""))
        for member, value in (("asset", way.asset), ("payTo", way.pay_to)):
            # "merchant" and "USD" name a role and a currency (x402 v2, section 5.1.2).
            if pattern and value and not pattern.fullmatch(value) and not _WORD.fullmatch(value):
                raise Violation(
                    expected=f"{words} on {way.network}",
                    received=value,
                    at=at(offer, f"/accepts/{way.index}/{member}"),
                    exchange="unpaid",
                )


@check("x402.offer.checksum", unpaid)
def test_checksum(evidence: Evidence) -> None:
    for offer, way in ways(evidence):
        for member, value in (("asset", way.asset), ("payTo", way.pay_to)):
            mixed = value[2:] not in {value[2:].lower(), value[2:].upper()}
            address = x402.is_evm(way.network) and _ADDRESS["eip155"][0].fullmatch(value)
            if address and mixed and value != checksummed(value):
                raise Violation(
                    expected="an EIP-55 checksum where letters are of both cases",
                    received=value,
                    at=at(offer, f"/accepts/{way.index}/{member}"),
                    exchange="unpaid",
                )


@check("x402.offer.flow-fits-scheme", unpaid)
def test_flow_fits_scheme(evidence: Evidence) -> None:
    stated = False
    for offer, way in ways(evidence):
        if "paymentFlow" not in way.extra or offer.version == 1:
            continue
        stated, flow = True, way.extra["paymentFlow"]
        namespace = way.network.partition(":")[0]
        fitting = _FLOWS.get((way.scheme, namespace)) or _FLOWS.get((way.scheme, ""))
        if not isinstance(flow, str) or (fitting and flow not in fitting):
            raise Violation(
                expected=f"a flow of {way.scheme} on {namespace}: {', '.join(sorted(fitting)) if fitting else 'a text'}",
                received=schema.shown(flow),
                at=at(offer, f"/accepts/{way.index}/extra/paymentFlow"),
                exchange="unpaid",
            )
    if not stated:
        reason = "no offer names a paymentFlow"
        raise Inapplicable(reason)


_FLOWS: Mapping[tuple[str, str], frozenset[Flow]] = {
    ("exact", ""): frozenset({Flow.AUTHORIZATION, Flow.UPFRONT}),
    ("exact", "lnbtc"): frozenset({Flow.UPFRONT}),
    ("upto", "eip155"): frozenset({Flow.AUTHORIZATION}),
    ("upto", ""): frozenset(Flow),
}
"""The flows that a scheme has on a network of this namespace; without one, on all others."""
