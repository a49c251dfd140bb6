"""Checks of class ``openapi``: what an OpenAPI document says of each operation, and what valid requests come to."""

from typing import Any
from urllib.parse import unquote

from conformance import schema
from conformance.cases import OWN, SMALLER, again, cases, drawn
from conformance.checks import Drawn, check
from conformance.checks.envelope import rules
from conformance.checks.operations import answered, at, complete, described, operation_of, refuses, statuses
from conformance.checks.priced import fits, ways_in
from conformance.evidence import Evidence
from conformance.exchange import Response
from conformance.facts import matching
from conformance.family import family
from conformance.marks import marked
from conformance.openapi import (
    Charge,
    Operation,
    charge,
    media,
    of_answers,
    operations,
    prices,
    resolved,
    unmatched,
)
from conformance.outcome import Inapplicable, Unanswered, Untestable, Violation
from conformance.protocols import x402

_DRAWN = Drawn(values=drawn, examples=(), ask=again, shared=True)


@check("openapi.document")
def test_document(evidence: Evidence) -> None:
    own = evidence.profile.openapi
    if own is None:
        reason = "the profile names no OpenAPI document ([openapi])"
        raise Inapplicable(reason)
    if unread := own.unread:
        if unread.kind == "malformed":
            raise Violation(expected="an OpenAPI document that can be read", received=unread.why)
        raise Unanswered(unread.why) if unread.kind == "missing" else Untestable(unread.why)
    if own.document is None:
        reason = "the document was not read"
        raise Unanswered(reason)
    if lost := unmatched(evidence.profile):
        reason = f"the profile names {', '.join(lost)}, and the document has no such operation ([openapi])"
        raise Untestable(reason)
    known = operations(evidence.profile)
    if not any(charge(evidence.profile, one) is Charge.PAID or one.price is not None for one in known):
        reason = (
            "no operation of the document is known to cost, so that none is seen to refuse: name it in openapi.paid"
        )
        raise Untestable(reason) if evidence.claimed("openapi") else Inapplicable(reason)


@check("openapi.paid-is-refused", cases, drawn=_DRAWN)
def test_paid_is_refused(evidence: Evidence) -> None:
    asked, refused, doubt = 0, False, ""
    for label, response in answered(evidence):
        asked += 1
        if where := _sold_in(evidence, label, response):
            raise Violation(
                expected="a refusal without what is sold",
                received=f"{response.shown()} with the marker, in {where}",
                at=at(evidence, label),
                exchange=label,
            )
        if refuses(evidence, response):
            refused = True
        elif 200 <= response.status < 300:
            if why := _shows_nothing(evidence, response):
                doubt = doubt or f"{at(evidence, label)} is answered {response.shown()} without payment, {why}"
                continue
            raise Violation(
                expected="a refusal: the operation costs",
                received=response.shown(),
                at=at(evidence, label),
                exchange=label,
                reason="if some of its requests are free, name it in openapi.unknown",
            )
    complete(evidence)
    if doubt:
        raise Untestable(doubt)
    if not refused and not evidence.labels(SMALLER):
        reason = (
            f"{asked} valid requests are answered {statuses(evidence)}: none comes to a refusal. Give the document an "
            "example that does, name who asks (openapi.identity), or add an endpoint for the operation"
        )
        if assumed := operation_of(evidence).assumed:
            reason += f". Its path is that below {assumed} (servers): write one in the document for this target"
        raise Untestable(reason)


def _sold_in(evidence: Evidence, label: str, response: Response) -> str:
    """Where what is sold stands in an answer; empty where it does not, or the profile's own refusal says as much."""
    marker, request = evidence.endpoint.marker, evidence.exchange(label).request
    own = evidence.exchanges.get(OWN)
    if (
        marker is None
        or marker.value in request.body.decode("utf-8", "replace")
        or marker.value in unquote(request.url)
    ):
        return ""
    plain = own and own.response and own.response.status >= 400 and marked(own.response, marker)
    return "" if plain else marked(response, marker)


def _shows_nothing(evidence: Evidence, response: Response) -> str:
    """Why an answer that is a success does not show that something was served; empty where it does."""
    if evidence.endpoint.marker is not None:
        return "and nothing of it shows what is sold"
    return "" if response.body else "and it has no content"


@check("openapi.free-is-not-402", cases, drawn=_DRAWN)
def test_free_is_not_402(evidence: Evidence) -> None:
    for label, response in answered(evidence):
        if response.status == 402:
            raise Violation(
                expected="an answer without payment: the operation is free",
                received=response.shown(),
                at=at(evidence, label),
                exchange=label,
                reason="what openapi.paid does not name counts as free; name it there, or in openapi.unknown",
            )
    complete(evidence)


@check("openapi.refusal-family", cases, drawn=_DRAWN)
def test_refusal_family(evidence: Evidence) -> None:
    operation = operation_of(evidence)
    own, priced = rules(evidence), _protocols(operation)
    offers = evidence.endpoint.protocol is not None or "x402" in priced
    if not offers and not own:
        reason = "neither the profile nor the document says of what kind its refusals are"
        raise Inapplicable(reason)
    found = False
    for label, response in answered(evidence):
        if response.status != 402:
            continue
        found = True
        if not (offers and x402.advertised(response)) and not matching(own, response) and not _mpp(priced, response):
            kinds = [*(["an x402 offer"] if offers else []), *(f"a refusal of {rule.name}" for rule in own)]
            raise Violation(
                expected=" or ".join(kinds), received=_kind(response), at=at(evidence, label), exchange=label
            )
    complete(evidence)
    if not found:
        reason = "no valid request is refused with 402"
        raise Inapplicable(reason)


def _mpp(priced: set[str], response: Response) -> bool:
    """Whether it is a challenge of the scheme Payment, where the document says that this is taken as well."""
    told = (response.value("www-authenticate") or "").lower()
    return "payment" in told and bool(priced - {"x402"})


def _kind(response: Response) -> str:
    guess = family(response)
    return f"{response.shown()}, {guess.family or 'of no kind that is known'}: {', '.join(guess.reasons[:2])}"


def _protocols(operation: Operation) -> set[str]:
    """How an operation is paid, by its document (x-payment-info); empty where that is not said."""
    told = operation.price.get("protocols") if isinstance(operation.price, dict) else None
    listed = told if isinstance(told, list) else []
    return {str(name).lower() for entry in listed for name in (entry if isinstance(entry, dict) else [entry])}


@check("openapi.status-is-documented", cases, drawn=_DRAWN)
def test_status_is_documented(evidence: Evidence) -> None:
    operation = operation_of(evidence)
    # What is free and asks for money is wrong by that already; what is refused otherwise than by its 402, by that.
    free = charge(evidence.profile, operation) is Charge.FREE or "402" in operation.responses
    for label, response in answered(evidence):
        told = 200 <= response.status < 300 or (refuses(evidence, response) and not free)
        if told and operation.response(response.status) is None:
            raise Violation(
                expected=f"one of {', '.join(operation.responses) or 'no status at all'}, as the document has it",
                received=response.shown(),
                at=at(evidence, label),
                exchange=label,
            )
    complete(evidence)


@check("openapi.refusal-is-reached", cases, drawn=_DRAWN)
def test_refusal_is_reached(evidence: Evidence) -> None:
    operation = operation_of(evidence)
    if "402" not in operation.responses:
        reason = "the document has no 402 for it"
        raise Inapplicable(reason)
    refused = [(label, response) for label, response in answered(evidence) if refuses(evidence, response)]
    for label, response in refused:
        if operation.response(response.status) is None:
            raise Violation(
                expected="402, which the document has",
                received=f"{response.shown()}, which it does not have",
                at=at(evidence, label),
                exchange=label,
            )
    complete(evidence)
    if not refused:
        reason = f"no valid request comes to a refusal: they are answered {statuses(evidence)}"
        raise Untestable(reason, cause="openapi.paid-is-refused")


@check("openapi.content-fits", cases, drawn=_DRAWN)
def test_content_fits(evidence: Evidence) -> None:
    operation, doubt, found = operation_of(evidence), "", False
    prepared: dict[tuple[str, str], dict[str, Any]] = {}
    for label, response, word, told in described(evidence, operation):
        entry = media(told, response.media_type())
        if entry is None or "schema" not in entry or not _is_json(response.media_type()):
            continue
        found = True
        where = f"{at(evidence, label)}, {word}"
        try:
            document = response.json()
        except ValueError as error:
            raise Violation(
                expected="JSON, as Content-Type says", received=str(error)[:120], at=where, exchange=label
            ) from error
        key = (word, response.media_type())
        prepared[key] = prepared.get(key) or of_answers(operation, entry["schema"])
        try:
            problem = next(schema.violations(document, prepared[key]), None)
        except Exception as error:  # noqa: BLE001 - what strangers call a schema fails in many ways
            doubt = f"the schema for {word} cannot be applied: {' '.join(str(error).split())[:160]}"
            continue
        if problem:
            raise Violation(
                expected=f"what the document has for {word}: {' '.join(problem.message.split())[:200]}",
                received=schema.shown(problem.instance),
                at=f"{where}, {schema.pointer(problem.absolute_path) or 'the whole'}",
                exchange=label,
            )
    complete(evidence)
    if doubt:
        raise Untestable(doubt)
    if not found:
        reason = "the document has no schema for any answer that was given"
        raise Inapplicable(reason)


@check("openapi.content-type", cases, drawn=_DRAWN)
def test_content_type(evidence: Evidence) -> None:
    operation, found = operation_of(evidence), False
    for label, response, word, told in described(evidence, operation):
        if not isinstance(told.get("content"), dict) or not told["content"] or not response.body:
            continue
        found = True
        if media(told, response.media_type()) is None:
            raise Violation(
                expected=f"{' or '.join(map(str, told['content']))}, which the document has for {word}",
                received=response.media_type() or "no Content-Type",
                at=at(evidence, label),
                exchange=label,
            )
    complete(evidence)
    if not found:
        reason = "the document names no content for any answer that was given"
        raise Inapplicable(reason)


@check("openapi.links")
def test_links(evidence: Evidence) -> None:
    known = operations(evidence.profile)
    ids = {operation.id for operation in known if operation.id}
    found = False
    for operation in known:
        for word, told in operation.responses.items():
            links = resolved(operation.document, told.get("links"))
            for name, link in links.items() if isinstance(links, dict) else ():
                found = True
                if why := _dangles(operation, resolved(operation.document, link), ids):
                    place = f"{operation.name}, {word}, links/{name}"
                    raise Violation(expected="a link to an operation of the document", received=why, at=place)
    if not found:
        reason = "the document has no links"
        raise Inapplicable(reason)


def _dangles(operation: Operation, link: Any, ids: set[str]) -> str:
    """Why a link leads to no operation; empty where it leads to one, or out of the document."""
    if not isinstance(link, dict):
        return "a reference that leads nowhere"
    reference, id = link.get("operationRef"), link.get("operationId")
    if isinstance(reference, str):
        away = not reference.startswith("#/")
        return "" if away or resolved(operation.document, {"$ref": reference}) else f"operationRef {reference[:100]}"
    return "" if id in ids else f"operationId {schema.shown(id)}"


@check("openapi.price", cases, drawn=_DRAWN)
def test_price(evidence: Evidence) -> None:
    told = prices(operation_of(evidence).price)
    if not told:
        reason = "the document tells no price that can be compared (x-payment-info)"
        raise Inapplicable(reason)
    compared = False
    for label, response in answered(evidence):
        for way in ways_in(response):
            fit = [fits(one, way) for one in told]
            compared = compared or any(one is not None for one in fit)
            if False in fit and True not in fit:
                raise Violation(
                    expected=f"{' or '.join(one.shown() for one in told)}, as the document has it",
                    received=f"{way.amount} of {way.asset} on {way.network}, in atomic units",
                    at=at(evidence, label),
                    exchange=label,
                )
    complete(evidence)
    if not compared:
        reason = "no valid request came to an offer in dollars, or in what the document counts"
        raise Inapplicable(reason)


def _is_json(media_type: str) -> bool:
    return media_type == "application/json" or media_type.endswith("+json")
