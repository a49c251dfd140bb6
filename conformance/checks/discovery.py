"""Checks of class ``discovery``: what is advertised is what is charged."""

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

from conformance import schema
from conformance.adverts import (
    DOCUMENT,
    LISTS,
    NOWHERE,
    declared,
    declared_methods,
    described,
    label,
    listings,
    resources,
)
from conformance.checks import check
from conformance.checks.offer import at, offers
from conformance.checks.priced import fits, ways_in
from conformance.evidence import Evidence
from conformance.exchange import Response
from conformance.gather import unknown_path, unpaid
from conformance.listing import Listed, documented, listed
from conformance.openapi import Told
from conformance.outcome import Inapplicable, Untestable, Violation
from conformance.profile import Profile
from conformance.protocols import x402

_NOTHING_THERE = {404, 405, 410, 501}
_OTHER_FAULTS = {400, 401, 403, 409, 411, 413, 415, 422, 429}
"""Statuses of a request that has a fault beside that it is not paid for: as of one by POST without its body."""
_QUERIES = {"GET", "HEAD", "DELETE"}
_BODIES = {"POST", "PUT", "PATCH"}
_ROUTE = re.compile(r"/[a-zA-Z0-9_/:.\-~%]+")
_MEMBERS = ("scheme", "amount", "payTo")


@check("discovery.list", listings, unknown_path)
def test_list(evidence: Evidence) -> None:
    path, name, response = _list(evidence)
    # Some answer so whatever is asked for, and have no list.
    others = [evidence.response(there).status for there in ("unknown-path", NOWHERE) if there in evidence.exchanges]
    if response.status in {401, 402, 403} and response.status not in others:
        raise Violation(expected=f"{path} for whoever asks", received=response.shown(), at=path, exchange=name)
    if response.status != 200 or not _says_json(response):
        raise Inapplicable(_NO_LIST)
    try:
        found = listed(response.json(), evidence.profile)
    except ValueError as error:
        raise Violation(expected="JSON", received=str(error)[:120], at=path, exchange=name) from error
    if found is None:
        reason = f"{path} has no list of resources that is known here"
        raise Inapplicable(reason)
    document = response.json()
    for entry in found:
        # What is of another host, or has parameters in its path, is an address all the same.
        value = _value(document, entry.at)
        address = value if isinstance(value, str) else next((v for v in _texts(value) if "/" in v), "")
        if not entry.url and "/" not in address:
            raise Violation(
                expected="the address of a resource",
                received=schema.shown(value),
                at=f"{path} {entry.at}",
                exchange=name,
            )


_NO_LIST = f"nothing is listed at {LISTS[0]}"


def _list(evidence: Evidence) -> tuple[str, str, Response]:
    """Where the list stands, what its exchange is called, and the answer; Inapplicable where there is none."""
    for path in LISTS:
        name = f"list {path}"
        if name in evidence.exchanges and (response := evidence.response(name)).status != 404:
            return path, name, response
    raise Inapplicable(_NO_LIST)


def _says_json(response: Response) -> bool:
    # Many a site answers every path with the page of its application.
    return response.media_type() in {"application/json", ""} or response.media_type().endswith("+json")


def _value(document: Any, pointer: str) -> Any:
    for part in pointer.split("/")[1:]:
        document = document[int(part)] if isinstance(document, list) else document.get(part)
    return document


def _texts(value: Any) -> Iterator[str]:
    for inner in value.values() if isinstance(value, dict) else ():
        if isinstance(inner, str):
            yield inner
        elif isinstance(inner, dict):
            yield from (text for text in inner.values() if isinstance(text, str))


@check("discovery.listed-is-charged", listings, described, resources)
def test_listed_is_charged(evidence: Evidence) -> None:
    _charged(evidence, _entries(evidence))


@check("discovery.documented-is-charged", listings, described, resources)
def test_documented_is_charged(evidence: Evidence) -> None:
    _charged(evidence, _operations(evidence))


@check("discovery.listed-terms", listings, described, resources)
def test_listed_terms(evidence: Evidence) -> None:
    _agrees(evidence, _entries(evidence))


@check("discovery.documented-price", listings, described, resources)
def test_documented_price(evidence: Evidence) -> None:
    _agrees(evidence, _operations(evidence))


def _entries(evidence: Evidence) -> tuple[Listed, ...]:
    path, _, response = _list(evidence)
    return _read(evidence, response, listed, f"{path} lists nothing")


def _operations(evidence: Evidence) -> tuple[Listed, ...]:
    return _read(evidence, evidence.response("document"), documented, f"{DOCUMENT} says of no operation that it costs")


def _read(
    evidence: Evidence,
    response: Response,
    read: Callable[[Any, Profile], tuple[Listed, ...] | None],
    nothing: str,
) -> tuple[Listed, ...]:
    found = read(response.json_or_none(), evidence.profile) if response.status == 200 else None
    if not found:
        raise Inapplicable(nothing)
    return found


def _asked(evidence: Evidence, entry: Listed) -> list[tuple[str, Response]]:
    """The answers to the requests for ``entry``."""
    methods = (entry.method,) if entry.method else ("GET", "POST")
    names = [name for method in methods if (name := label(entry, method)) in evidence.exchanges]
    return [(name, evidence.response(name)) for name in names]


def _charged(evidence: Evidence, entries: tuple[Listed, ...]) -> None:
    """Holds when each of ``entries`` that is there is refused, by the method that is told."""
    shown, unseen = 0, ""
    for entry in entries:
        answers = _asked(evidence, entry)
        shown += (refused := any(response.status == 402 for _, response in answers))
        if refused or not answers:
            continue
        name, response = answers[-1]
        given = next((pair for pair in answers if 200 <= pair[1].status < 300), None)
        whole = bool(entry.method) or len(answers) > 1
        if given and whole:
            name, response = given
        # The path of another server may not be that of this one.
        missing = not entry.elsewhere and all(one.status in _NOTHING_THERE for _, one in answers)
        if whole and (given or missing):
            raise Violation(
                expected="402 Payment Required, where something is advertised as paid",
                received=response.shown(),
                at=f"{evidence.exchange(name).request.method} {entry.url or entry.at}",
                exchange=name,
            )
        unseen = unseen or f"{entry.url or entry.at} is answered {response.shown()}, and is not seen to cost anything"
    if not shown:
        reason = unseen or "nothing that is advertised lies at the target and can be asked as it is"
        raise Untestable(reason) if unseen else Inapplicable(reason)


def _agrees(evidence: Evidence, entries: tuple[Listed, ...]) -> None:
    """Holds when what is told of the price of each of ``entries`` is what its offer says."""
    compared = False
    for entry in entries:
        for name, response in _asked(evidence, entry):
            live = list(ways_in(response)) if response.status == 402 else []
            again = list(ways_in(evidence.response(f"{name} again"))) if f"{name} again" in evidence.exchanges else []
            where = f"{evidence.exchange(name).request.method} {entry.url or entry.at}, {entry.at}"
            for told in entry.ways if live else ():
                # A list of the world stands beside servers for tests too, where other money is taken.
                if entry.elsewhere and told.network and not any(_on_network(told, way) for way in live):
                    continue
                compared = True
                if why := _other_terms(told, live, again):
                    member, offered = why
                    raise Violation(
                        expected=f"what is advertised: {_word(told, member)}",
                        received=offered,
                        at=f"{where}, {member}",
                        exchange=name,
                    )
            for way in live if entry.prices else ():
                fit = [fits(price, way) for price in entry.prices]
                compared = compared or any(one is not None for one in fit)
                if False in fit and True not in fit:
                    raise _dearer(entry.prices, way, where, name)
    if not compared:
        reason = "no price that is advertised can be compared with an offer"
        raise Inapplicable(reason)


def _dearer(prices: tuple[Told, ...], way: x402.Way, where: str, name: str) -> Violation:
    return Violation(
        expected=f"what is advertised: {' or '.join(price.shown() for price in prices)}",
        received=f"{way.amount} of {way.asset} on {way.network}, in atomic units",
        at=where,
        exchange=name,
    )


def _other_terms(told: x402.Way, live: list[x402.Way], again: list[x402.Way]) -> tuple[str, str] | None:
    """The member in which no offered way is the advertised one, and what is offered there; None where one is."""
    same = [way for way in live if _meant(told, way)]
    if not same:
        return "network and asset", ", ".join(f"{way.asset} on {way.network}" for way in live)
    members = [member for member in _MEMBERS if _is_told(told, member)]
    differing = [[member for member in members if not _same(_word(way, member), _word(told, member))] for way in same]
    least = min(range(len(same)), key=lambda index: len(differing[index]))
    for member in differing[least]:
        later = [way for way in again if _meant(told, way)]
        # What is another one in each offer cannot be advertised.
        if not later or any(_word(way, member) == _word(same[least], member) for way in later):
            return member, _word(same[least], member)
    return None


def _meant(told: x402.Way, way: x402.Way) -> bool:
    """Whether a way to pay is on the network, and in the asset, of an advertised one, as far as these are told."""
    network = not told.network or _on_network(told, way)
    # Many lists have the symbol of an asset where offers have its address.
    return network and (len(told.asset) < _ADDRESS or _same(way.asset, told.asset))


def _on_network(told: x402.Way, way: x402.Way) -> bool:
    return x402.caip2(told.network) == x402.caip2(way.network)


_ADDRESS = 20


def _is_told(told: x402.Way, member: str) -> bool:
    """Whether an advertised way to pay says so much: an amount in dollars is none in atomic units."""
    return _word(told, member).isdecimal() if member == "amount" else bool(_word(told, member))


def _word(way: x402.Way, member: str) -> str:
    words = {"scheme": way.scheme, "amount": way.amount, "payTo": way.pay_to}
    return words.get(member, f"{way.asset} on {way.network}")


def _same(one: str, other: str) -> bool:
    """EVM addresses differ in case by their checksum only; anywhere else case matters."""
    return one == other or (one.startswith("0x") and one.lower() == other.lower())


@check("discovery.bazaar-info", unpaid)
def test_bazaar_info(evidence: Evidence) -> None:
    for offer, value in _bazaars(evidence):
        info = value.get("info")
        told = info.get("input") if isinstance(info, dict) else None
        if why := _misdescribed(told):
            expected, received = why
            raise Violation(
                expected=expected,
                received=received,
                at=at(offer, "/extensions/bazaar/info/input"),
                exchange="unpaid",
            )


def _misdescribed(told: Any) -> tuple[str, str] | None:
    if not isinstance(told, dict):
        return "an object that says how to ask", schema.shown(told)
    match told.get("type"):
        case "http":
            method = told.get("method")
            if not isinstance(method, str) or method not in _QUERIES | _BODIES:
                return f"a method, one of {', '.join(sorted(_QUERIES | _BODIES))}", schema.shown(method)
            if method in _BODIES and told.get("bodyType") not in {"json", "form-data", "text"}:
                return "a bodyType: json, form-data or text", schema.shown(told.get("bodyType"))
        case "mcp":
            if not isinstance(told.get("toolName", told.get("tool")), str):
                return "a toolName", schema.shown(told.get("toolName"))
            if not isinstance(told.get("inputSchema"), dict):
                return "an inputSchema", schema.shown(told.get("inputSchema"))
        case other:
            return 'type "http" or "mcp"', schema.shown(other)
    return None


def _bazaars(evidence: Evidence) -> Iterator[tuple[x402.Offer, dict[str, Any]]]:
    """The offers that list themselves; Inapplicable where none does."""
    found = [
        (offer, value) for offer in offers(evidence) if isinstance(value := offer.extensions().get("bazaar"), dict)
    ]
    if not found:
        reason = "no offer has the extension bazaar"
        raise Inapplicable(reason)
    yield from found


@check("discovery.bazaar-route", unpaid)
def test_bazaar_route(evidence: Evidence) -> None:
    found = False
    for offer, value in _bazaars(evidence):
        if "routeTemplate" not in value:
            continue
        found = True
        template = value["routeTemplate"]
        if why := _no_route(template, evidence.exchange("unpaid").request.url):
            raise Violation(
                expected=why,
                received=schema.shown(template),
                at=at(offer, "/extensions/bazaar/routeTemplate"),
                exchange="unpaid",
            )
    if not found:
        reason = "no offer has a routeTemplate"
        raise Inapplicable(reason)


def _no_route(template: Any, url: str) -> str:
    """What a template that a facilitator would take, and that ``url`` fits, would be; empty where it is one."""
    plain = _decoded(template) if isinstance(template, str) else ""
    if not isinstance(template, str) or not _ROUTE.fullmatch(template) or ".." in plain or "://" in plain:
        return "a path of letters, digits and :parameters, without .. and ://"
    pattern = "/".join("[^/]+" if part.startswith(":") else re.escape(part) for part in template.split("/"))
    path = url.partition("://")[2].partition("/")[2].partition("?")[0]
    # A gateway may serve the route below a path of its own.
    return "" if re.search(f"(^|.*){pattern}/?$", f"/{path}") else f"a route that /{path} is of"


def _decoded(text: str) -> str:
    """``text`` without any percent-encoding, however often it was encoded."""
    for _ in range(10):
        if (plain := unquote(text)) == text:
            break
        text = plain
    return text


@check("discovery.declared-method", unpaid, declared)
def test_declared_method(evidence: Evidence) -> None:
    response = evidence.response("unpaid")
    told = declared_methods(response)
    if not told:
        reason = "no offer declares a method"
        raise Inapplicable(reason)
    for place, method in told:
        if not isinstance(method, str) or method.upper() == evidence.endpoint.method:
            continue
        name = f"declared {method}"
        if name not in evidence.exchanges:
            reason = f"the offer declares {schema.shown(method)}, by which nothing is asked in production"
            raise Untestable(reason)
        answer = evidence.response(name)
        if answer.status in _OTHER_FAULTS:
            reason = f"{method}, which the offer declares, is answered {answer.shown()} with what the profile sends"
            raise Untestable(reason)
        if answer.status != 402:
            raise Violation(
                expected=f"{evidence.endpoint.method}, by which it is refused",
                received=f"{method}, which is answered {answer.shown()}",
                at=place,
                exchange=name,
            )
