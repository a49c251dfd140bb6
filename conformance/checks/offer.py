"""Checks of class ``x402/offer``: the offer in a refusal, as versions 1 and 2 of x402 demand it."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from eth_utils.address import is_checksum_address
from jsonschema.exceptions import SchemaError
from referencing.exceptions import Unresolvable

from conformance import schema
from conformance.checks import check
from conformance.evidence import Evidence
from conformance.exchange import Response
from conformance.gather import EVIL_HOST, again, loopback, spoken, spoofed_host, strangers, unpaid
from conformance.outcome import Inapplicable, Unanswered, Untestable, Violation
from conformance.protocols import x402
from conformance.selector import resolve_pointer

UNPAID = "x402.offer.unpaid-is-402"
HEADER = "x402.offer.one-challenge"
DECODES = "x402.offer.decodes"


def refusal(evidence: Evidence, label: str = "unpaid") -> Response:
    """The 402 called ``label``; without it there is no offer to read."""
    response = evidence.response(label)
    if response.status != 402:
        reason = f"the unpaid request was answered {response.shown()}, not 402"
        raise Untestable(reason, cause=UNPAID)
    return response


def offers(evidence: Evidence, label: str = "unpaid") -> list[x402.Offer]:
    """The offers that can be read, of the versions that the endpoint speaks; Untestable when there is none."""
    response = refusal(evidence, label)
    found = []
    for version in spoken(evidence.endpoint.versions, evidence.response("unpaid")):
        try:
            found += [_offer(response, version)]
        except x402.Malformed:
            continue
    if not found:
        reason = "there is no offer that can be read"
        raise Untestable(reason, cause=DECODES if response.values(x402.CHALLENGE) else HEADER)
    return found


def _offer(response: Response, version: int) -> x402.Offer:
    if version == 1:
        return x402.from_body(response)
    values = response.values(x402.CHALLENGE)
    if not values:
        msg = "no PAYMENT-REQUIRED"
        raise x402.Malformed(msg)
    return x402.from_header(values[0])


def ways(evidence: Evidence, label: str = "unpaid") -> list[tuple[x402.Offer, x402.Way]]:
    """Every way to pay of every offer; Untestable when none is listed."""
    if not (found := [(offer, way) for offer in offers(evidence, label) for way in offer.ways()]):
        reason = "the offer lists no way to pay"
        raise Untestable(reason, cause="x402.offer.accepts-is-not-empty")
    return found


def at(offer: x402.Offer, pointer: str) -> str:
    """Where in an answer a member of an offer stands, for a sentence."""
    return f"{offer.place} {pointer}"


@check("x402.offer.unpaid-is-402", unpaid)
def test_unpaid_is_402(evidence: Evidence) -> None:
    response = evidence.response("unpaid")
    if 200 <= response.status < 300 or response.status in {500, 501}:
        raise Violation(expected="402 Payment Required", received=response.shown(), exchange="unpaid")
    if response.status != 402:
        reason = f"the unpaid request is answered {response.shown()} and never reaches the paywall: correct the profile"
        raise Unanswered(reason, exchange="unpaid")


@check("x402.offer.one-challenge", unpaid)
def test_one_challenge(evidence: Evidence) -> None:
    response = refusal(evidence)
    versions = spoken(evidence.endpoint.versions, response)
    values = response.values(x402.CHALLENGE)
    if 2 in versions and len(values) != 1:
        raise Violation(
            expected="PAYMENT-REQUIRED once", received=f"it {len(values)} times" if values else "none", exchange="unpaid"
        )
    if 1 in versions and not response.body:
        raise Violation(expected="a version 1 offer in the body", received="an empty body", exchange="unpaid")


@check("x402.offer.decodes", unpaid)
def test_decodes(evidence: Evidence) -> None:
    response = refusal(evidence)
    for version in spoken(evidence.endpoint.versions, response):
        if version == 2 and not response.values(x402.CHALLENGE):
            reason = "there is no PAYMENT-REQUIRED"
            raise Untestable(reason, cause=HEADER)
        try:
            _offer(response, version)
        except x402.Malformed as error:
            place = x402.CHALLENGE if version == 2 else "body"
            expected = "base64 of a JSON object" if version == 2 else "a JSON object"
            raise Violation(expected=expected, received=str(error), at=place, exchange="unpaid") from error


@check("x402.offer.standard-base64", unpaid)
def test_standard_base64(evidence: Evidence) -> None:
    values = refusal(evidence).values(x402.CHALLENGE)
    if not values:
        reason = "the refusal has no PAYMENT-REQUIRED"
        raise Inapplicable(reason)
    if not x402.standard_base64(values[0]):
        odd = re.sub(r"[A-Za-z0-9+/=]", "", values[0])
        raise Violation(
            expected="the standard alphabet with padding, as in every example of the specification",
            received=f"the characters {odd[:20]!r}" if odd else "wrong padding",
            at=x402.CHALLENGE,
            exchange="unpaid",
        )


def _shaped(evidence: Evidence, *spots: str) -> None:
    """Holds when the schema of each offer finds nothing wrong at ``spots`` (JSON Pointers, ``*`` for any index)."""
    patterns = [re.compile(re.escape(spot).replace(r"\*", "[0-9]+")) for spot in spots]
    for offer in offers(evidence):
        for problem in schema.problems(offer.document, f"x402/v{offer.version}/payment-required"):
            missing = problem.keyword == "required"
            spot = schema.pointer((*problem.at, problem.member) if missing and problem.member else problem.at)
            if any(pattern.fullmatch(spot) for pattern in patterns):
                raise Violation(
                    expected=problem.expected,
                    received="no such member" if missing else problem.received,
                    at=at(offer, spot),
                    exchange="unpaid",
                )


@check("x402.offer.version", unpaid)
def test_version(evidence: Evidence) -> None:
    _shaped(evidence, "/x402Version")


@check("x402.offer.error-is-text", unpaid)
def test_error_is_text(evidence: Evidence) -> None:
    _shaped(evidence, "/error")


@check("x402.offer.resource", unpaid)
def test_resource(evidence: Evidence) -> None:
    _shaped(evidence, "/resource", "/resource/url", "/accepts/*/resource")


@check("x402.offer.descriptions", unpaid)
def test_descriptions(evidence: Evidence) -> None:
    own = [f"/accepts/*/{member}" for member in ("description", "mimeType", "outputSchema")]
    _shaped(evidence, "/resource/description", "/resource/mimeType", *own)


@check("x402.offer.accepts", unpaid)
def test_accepts(evidence: Evidence) -> None:
    _shaped(evidence, "/accepts", "/accepts/*")


@check("x402.offer.accepts-is-not-empty", unpaid)
def test_accepts_is_not_empty(evidence: Evidence) -> None:
    for offer in offers(evidence):
        if offer.document.get("accepts") == []:
            raise Violation(
                expected="at least one way to pay", received="none", at=at(offer, "/accepts"), exchange="unpaid"
            )


@check("x402.offer.required-members", unpaid)
def test_required_members(evidence: Evidence) -> None:
    _each(evidence, lambda offer: [f"/accepts/*/{member}" for member in ("scheme", "asset", "payTo")])
    _missing(evidence, "network", "amount", "maxAmountRequired")


def _each(evidence: Evidence, spots: Callable[[x402.Offer], list[str]]) -> None:
    for offer in offers(evidence):
        _shaped(evidence, *spots(offer))


def _missing(evidence: Evidence, *members: str) -> None:
    for offer in offers(evidence):
        for problem in schema.problems(offer.document, f"x402/v{offer.version}/payment-required"):
            if problem.keyword == "required" and problem.member in members and len(problem.at) == 2:
                pointer = schema.pointer((*problem.at, problem.member))
                raise Violation(
                    expected=f"the member {problem.member}",
                    received="no such member",
                    at=at(offer, pointer),
                    exchange="unpaid",
                )


@check("x402.offer.network", unpaid)
def test_network(evidence: Evidence) -> None:
    _typed(evidence, "network")


@check("x402.offer.amount-is-a-string", unpaid)
def test_amount_is_a_string(evidence: Evidence) -> None:
    _typed(evidence, "amount", "maxAmountRequired")


def _typed(evidence: Evidence, *members: str) -> None:
    """As ``_shaped``; a member that is missing altogether is another requirement's business."""
    for offer in offers(evidence):
        for problem in schema.problems(offer.document, f"x402/v{offer.version}/payment-required"):
            if len(problem.at) == 3 and problem.at[0] == "accepts" and problem.at[2] in members:
                raise Violation(
                    expected=problem.expected,
                    received=problem.received,
                    at=at(offer, schema.pointer(problem.at)),
                    exchange="unpaid",
                )


@check("x402.offer.amount-is-canonical", unpaid)
def test_amount_is_canonical(evidence: Evidence) -> None:
    for offer, way in ways(evidence):
        if re.fullmatch("0[0-9]+", way.amount) or (way.amount.isdecimal() and int(way.amount) >= 2**256):
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


@check("x402.offer.timeout", unpaid)
def test_timeout(evidence: Evidence) -> None:
    _shaped(evidence, "/accepts/*/maxTimeoutSeconds")


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


@check("x402.offer.extra-is-an-object", unpaid)
def test_extra_is_an_object(evidence: Evidence) -> None:
    _shaped(evidence, "/accepts/*/extra")


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


@check("x402.offer.extensions", unpaid)
def test_extensions(evidence: Evidence) -> None:
    for offer in offers(evidence):
        for problem in schema.problems(offer.document, f"x402/v{offer.version}/payment-required"):
            if problem.at[:1] == ("extensions",):
                spot = schema.pointer((*problem.at, problem.member) if problem.member else problem.at)
                received = "no such member" if problem.member else problem.received
                raise Violation(
                    expected=problem.expected, received=received, at=at(offer, spot), exchange="unpaid"
                )


_COMPLETED_BY_CLIENTS = {
    "builder-code",
    "eip2612GasSponsoring",
    "erc20ApprovalGasSponsoring",
    "http-message-signatures",
    "payment-identifier",
    "sign-in-with-x",
}


@check("x402.offer.extension-info-fits", unpaid)
def test_extension_info_fits(evidence: Evidence) -> None:
    found = [
        (offer, key, value)
        for offer in offers(evidence)
        for key, value in offer.extensions().items()
        if key not in _COMPLETED_BY_CLIENTS and isinstance(value, dict) and isinstance(value.get("schema"), dict)
    ]
    if not found:
        reason = "no extension whose info the server completes"
        raise Inapplicable(reason)
    for offer, key, value in found:
        place = at(offer, f"/extensions/{key}")
        try:
            error = next(schema.violations(value.get("info"), value["schema"]), None)
        except (SchemaError, Unresolvable, re.error) as broken:
            raise Violation(
                expected="a JSON Schema (2020-12) that stands on its own",
                received=str(broken).partition("\n")[0][:120],
                at=f"{place}/schema",
                exchange="unpaid",
            ) from broken
        if error:
            raise Violation(
                expected="info that its own schema allows", received=error.message[:120], at=place, exchange="unpaid"
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
            digits = value[2:]
            mixed = digits != digits.lower() and digits != digits.upper()
            if x402.is_evm(way.network) and _ADDRESS["eip155"][0].fullmatch(value) and mixed:
                if not is_checksum_address(value):
                    raise Violation(
                        expected="an EIP-55 checksum where letters are of both cases",
                        received=value,
                        at=at(offer, f"/accepts/{way.index}/{member}"),
                        exchange="unpaid",
                    )


def _resources(offer: x402.Offer) -> Iterator[tuple[str, str]]:
    resource = offer.document.get("resource")
    if offer.version == 2 and isinstance(resource, dict) and isinstance(resource.get("url"), str):
        yield "/resource/url", resource["url"]
    if offer.version == 1:
        for way in offer.ways():
            if isinstance(url := way.members.get("resource"), str):
                yield f"/accepts/{way.index}/resource", url


@check("x402.offer.resource-names-request", unpaid)
def test_resource_names_request(evidence: Evidence) -> None:
    asked = urlsplit(evidence.exchange("unpaid").request.url)
    for offer in offers(evidence):
        for pointer, url in _resources(offer):
            named = urlsplit(url)
            if named.scheme not in {"http", "https"}:
                continue
            # Under test on loopback a server may well name its public address.
            same_host = loopback(asked.geturl()) or (named.scheme, named.netloc) == (asked.scheme, asked.netloc)
            if not same_host or not _same_path(named.path, asked.path):
                raise Violation(
                    expected=f"{asked.scheme}://{asked.netloc}{asked.path}",
                    received=url,
                    at=at(offer, pointer),
                    exchange="unpaid",
                )


def _same_path(named: str, asked: str) -> bool:
    """Whether a path, in which segments may be templates, is the one that was asked; a proxy may put a prefix before."""
    mine, theirs = named.strip("/").split("/"), asked.strip("/").split("/")
    shorter = min(len(mine), len(theirs))
    pairs = zip(mine[-shorter:], theirs[-shorter:], strict=True)
    return all(a == b or a.startswith((":", "{", "[", "*")) for a, b in pairs)


@check("x402.offer.host-is-not-echoed", unpaid, spoofed_host)
def test_host_is_not_echoed(evidence: Evidence) -> None:
    offers(evidence)
    for label in ("host", "forwarded-host"):
        if (response := evidence.response(label)).status != 402:
            continue
        for offer in offers(evidence, label):
            for pointer, url in _resources(offer):
                if urlsplit(url).hostname == EVIL_HOST:
                    sent = "Host" if label == "host" else "X-Forwarded-Host"
                    raise Violation(
                        expected="the server's own public address",
                        received=f"{url}, after {sent}: {EVIL_HOST} ({response.shown()})",
                        at=at(offer, pointer),
                        exchange=label,
                    )


_MOST = 16 * 1024


@check("x402.offer.header-size", unpaid)
def test_header_size(evidence: Evidence) -> None:
    exchange = evidence.exchange("unpaid")
    if exchange.failure and exchange.failure.kind == "header-limit":
        raise Violation(expected=f"{_MOST} bytes at most", received="more than 100 KiB", exchange="unpaid")
    for value in refusal(evidence).values(x402.CHALLENGE):
        if len(value) > _MOST:
            raise Violation(
                expected=f"{_MOST} bytes at most, the whole header section that Node.js and others read",
                received=f"{len(value)} bytes",
                at=x402.CHALLENGE,
                exchange="unpaid",
            )


def _price(way: x402.Way) -> tuple[str, str, str, str, str]:
    return (way.scheme, way.network, way.asset.lower(), way.pay_to.lower(), way.amount)


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
        if rivals and _price(way) not in {_price(rival) for rival in rivals}:
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
    "/extensions/sign-in-with-x/info/nonce",
    "/extensions/sign-in-with-x/info/issuedAt",
    "/extensions/sign-in-with-x/info/expirationTime",
    "/extensions/sign-in-with-x/info/requestId",
    "/extensions/offer-receipt",
)


def _settled(evidence: Evidence, offer: x402.Offer, *members: str) -> dict[str, Any]:
    """The members of an offer that may not change from one equal request to the next, by JSON Pointer."""
    document = {key: value for key, value in offer.document.items() if key in members}
    dynamic = {
        schema.pointer(path)
        for pattern in (*_ALWAYS_DYNAMIC, *evidence.endpoint.dynamic)
        for path, _ in resolve_pointer(document, pattern)
    }
    return {spot: value for spot, value in _flat(document) if not _below(spot, dynamic)}


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


def _compare(evidence: Evidence, label: str, *members: str) -> None:
    for before, now in zip(offers(evidence), offers(evidence, label), strict=False):
        first, second = _settled(evidence, before, *members), _settled(evidence, now, *members)
        for spot in dict.fromkeys([*first, *second]):
            if first.get(spot) != second.get(spot):
                raise Violation(
                    expected=f"{schema.shown(first.get(spot))} as in the first answer",
                    received=schema.shown(second.get(spot)),
                    at=at(now, spot),
                    exchange=label,
                    reason="if it is meant to change, name it in endpoint.dynamic",
                )


@check("x402.offer.stable", unpaid, again)
def test_stable(evidence: Evidence) -> None:
    _compare(evidence, "again", "resource", "accepts", "extensions")


@check("x402.offer.same-for-everyone", unpaid, strangers)
def test_same_for_everyone(evidence: Evidence) -> None:
    offers(evidence)
    for label in ("stranger-agent", "stranger-cookie"):
        response = evidence.response(label)
        if 200 <= response.status < 300:
            raise Violation(expected="402 for everyone", received=response.shown(), exchange=label)
        if response.status == 402:
            _compare(evidence, label, "accepts")
