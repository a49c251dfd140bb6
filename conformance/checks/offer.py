"""Checks of class ``x402/offer`` on the shape of an offer, as versions 1 and 2 of x402 demand it."""

import re
from collections.abc import Iterator

from conformance import documents, schema
from conformance.checks import check
from conformance.checks.http import unreached
from conformance.evidence import Evidence
from conformance.exchange import Response
from conformance.gather import again, spoken, unpaid
from conformance.outcome import Inapplicable, Untestable, Violation
from conformance.protocols import x402

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
        raise Untestable(reason, cause=HEADER if _absent(evidence, response) else DECODES)
    return found


def _absent(evidence: Evidence, response: Response) -> str:
    """Which carrier of an offer is not there, or there more than once; empty when all are as they ought to be."""
    versions = spoken(evidence.endpoint.versions, evidence.response("unpaid"))
    values = response.values(x402.CHALLENGE)
    if 2 in versions and len(values) != 1:
        return f"PAYMENT-REQUIRED {len(values)} times" if values else "no PAYMENT-REQUIRED"
    return "an empty body" if 1 in versions and not response.body else ""


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
    made = offers(evidence, label)
    if not (found := [(offer, way) for offer in made for way in offer.ways()]):
        empty = all(offer.document.get("accepts") == [] for offer in made)
        reason = "the offer lists no way to pay"
        raise Untestable(reason, cause="x402.offer.accepts-is-not-empty" if empty else "x402.offer.accepts")
    return found


def at(offer: x402.Offer, pointer: str) -> str:
    """Where in an answer a member of an offer stands, for a sentence."""
    return f"{offer.place} {pointer}"


@check("x402.offer.unpaid-is-402", unpaid, again)
def test_unpaid_is_402(evidence: Evidence) -> None:
    for label in ("unpaid", "again"):
        response = evidence.response(label)
        if 200 <= response.status < 300 or response.status in {500, 501}:
            raise Violation(expected="402 Payment Required", received=response.shown(), exchange=label)
        if response.status != 402:
            raise unreached(evidence, response, label)


@check("x402.offer.one-challenge", unpaid)
def test_one_challenge(evidence: Evidence) -> None:
    if absent := _absent(evidence, refusal(evidence)):
        raise Violation(
            expected="PAYMENT-REQUIRED once in version 2, an offer for a body in version 1",
            received=absent,
            exchange="unpaid",
        )


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


def problems(evidence: Evidence) -> Iterator[tuple[x402.Offer, schema.Problem, str]]:
    """What the schema finds wrong with each offer, and where: a missing member at the place that it lacks."""
    for offer in offers(evidence):
        for problem in schema.problems(offer.document, f"x402/v{offer.version}/payment-required"):
            lacks = problem.keyword == "required" and problem.member
            yield offer, problem, schema.pointer((*problem.at, problem.member or "") if lacks else problem.at)


def malformed(offer: x402.Offer, problem: schema.Problem, spot: str) -> Violation:
    """The violation that ``problem`` is."""
    received = "no such member" if problem.keyword == "required" else problem.received
    return Violation(expected=problem.expected, received=received, at=at(offer, spot), exchange="unpaid")


def _shaped(evidence: Evidence, *spots: str, missing: bool = True) -> None:
    """Holds when nothing is wrong at ``spots``: JSON Pointers, ``*`` for any index.

    Without ``missing``, a member that is not there at all is another requirement's business. What is said of the ways
    to pay is untestable where there are none.
    """
    if all(spot.startswith("/accepts/*/") for spot in spots):
        ways(evidence)
    wanted = [re.compile(re.escape(spot).replace(r"\*", "[0-9]+")) for spot in spots]
    for offer, problem, spot in problems(evidence):
        if any(pattern.fullmatch(spot) for pattern in wanted) and (missing or problem.keyword != "required"):
            raise malformed(offer, problem, spot)


@check("x402.offer.unique-members", unpaid)
def test_unique_members(evidence: Evidence) -> None:
    for offer in offers(evidence):
        if twice := documents.duplicate_keys(offer.text):
            raise Violation(
                expected="each member of an object once",
                received=f"{', '.join(twice)} more than once",
                at=offer.place,
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
        if not isinstance(offer.document.get("accepts"), list):
            reason = "the offer has no array of ways to pay"
            raise Untestable(reason, cause="x402.offer.accepts")
        if not offer.document["accepts"]:
            raise Violation(
                expected="at least one way to pay", received="none", at=at(offer, "/accepts"), exchange="unpaid"
            )


@check("x402.offer.required-members", unpaid)
def test_required_members(evidence: Evidence) -> None:
    _shaped(evidence, *(f"/accepts/*/{member}" for member in ("scheme", "asset", "payTo")))
    members = {"network", "amount", "maxAmountRequired"}
    for offer, problem, spot in problems(evidence):
        if problem.keyword == "required" and problem.member in members:
            raise malformed(offer, problem, spot)


@check("x402.offer.network", unpaid)
def test_network(evidence: Evidence) -> None:
    _shaped(evidence, "/accepts/*/network", missing=False)


@check("x402.offer.amount-is-a-string", unpaid)
def test_amount_is_a_string(evidence: Evidence) -> None:
    _shaped(evidence, "/accepts/*/amount", "/accepts/*/maxAmountRequired", missing=False)


@check("x402.offer.timeout", unpaid)
def test_timeout(evidence: Evidence) -> None:
    _shaped(evidence, "/accepts/*/maxTimeoutSeconds")


@check("x402.offer.extra-is-an-object", unpaid)
def test_extra_is_an_object(evidence: Evidence) -> None:
    _shaped(evidence, "/accepts/*/extra")


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
