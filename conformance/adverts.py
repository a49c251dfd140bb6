"""What is asked about what a target advertises of itself: its lists, and each resource that they name."""

from collections.abc import Callable
from urllib.parse import urlsplit

from conformance.asking import request_to
from conformance.exchange import Response
from conformance.gather import unpaid
from conformance.listing import Listed, bazaar_methods, documented, listed
from conformance.probe import Probe
from conformance.profile import Environment, Profile
from conformance.protocols import x402

__all__ = [
    "DOCUMENT",
    "LISTS",
    "NOWHERE",
    "declared",
    "declared_methods",
    "described",
    "label",
    "listings",
    "resources",
]

LISTS = ("/.well-known/x402", "/.well-known/x402.json")
DOCUMENT = "/openapi.json"
NOWHERE = "list that is nowhere"
"""What is asked beside a list that is closed: some let nobody see any path that begins with a dot."""
_NOWHERE = "/.well-known/conformance-no-such-list"
_CLOSED = {401, 402, 403}
_READS = {"GET", "HEAD"}


def label(entry: Listed, method: str = "") -> str:
    """How the exchange is called in which ``entry`` was asked for."""
    return f"advertised {entry.at} {method or entry.method}".rstrip()


def listings(probe: Probe) -> None:
    """The lists of resources in their well-known places, the second where the first is empty."""
    parts = urlsplit(probe.profile.target.base_url)
    for path in LISTS:
        found = probe.ask(
            f"list {path}", url=f"{parts.scheme}://{parts.netloc}{path}", headers=probe.profile.target.headers
        ).response
        if found and found.status != 404:
            break
    if found and found.status in _CLOSED:
        probe.ask(NOWHERE, url=f"{parts.scheme}://{parts.netloc}{_NOWHERE}", headers=probe.profile.target.headers)


def described(probe: Probe) -> None:
    """The OpenAPI document in the place where registries look for it."""
    probe.ask("document", path=DOCUMENT)


def resources(probe: Probe) -> None:
    """Each resource that a list or the document says to cost, as whoever read it would ask; twice where terms are told."""
    probe.gather(listings)
    probe.gather(described)
    for path in LISTS:
        found = probe.kept.get(f"list {path}")
        _ask_each(probe, found.response if found else None, listed)
    _ask_each(probe, probe.kept["document"].response, documented)


def _ask_each(
    probe: Probe, response: Response | None, read: Callable[[object, Profile], tuple[Listed, ...] | None]
) -> None:
    if response is None or response.status != 200:
        return
    for entry in read(response.json_or_none(), probe.profile) or ():
        if not entry.url and not entry.endpoint:
            continue
        for method in _methods(entry, probe.profile):
            answer = _ask(probe, entry, method, label(entry, method))
            if answer and answer.status == 402:
                if entry.ways:
                    _ask(probe, entry, method, f"{label(entry, method)} again")
                break


def _methods(entry: Listed, profile: Profile) -> tuple[str, ...]:
    """The methods by which ``entry`` is asked for: nothing is written in production."""
    wanted = (entry.method,) if entry.method else ("GET", "POST")
    production = profile.target.environment is Environment.PRODUCTION
    return tuple(method for method in wanted if method in _READS or not production or entry.endpoint)


def _ask(probe: Probe, entry: Listed, method: str, name: str) -> Response | None:
    if (own := entry.endpoint) and own.method == method:
        same = request_to(probe.profile, own)
        return probe.ask(name, method=method, url=same.url, headers=dict(same.headers), body=same.body).response
    fields, body = dict(probe.profile.target.headers), b""
    if method not in {*_READS, "DELETE"}:
        fields, body = fields | {"Content-Type": "application/json"}, b"{}"
    return probe.ask(name, method=method, url=entry.url, headers=fields, body=body).response


def declared_methods(response: Response) -> tuple[tuple[str, object], ...]:
    """The methods that an offer declares for its resource, each with the place where it stands."""
    found: list[tuple[str, object]] = []
    for version in x402.advertised(response):
        try:
            offer = x402.offer_in(response, version)
        except x402.Malformed:
            continue
        if offer is None:
            continue
        found += [("/extensions/bazaar/info/input/method", m) for m in bazaar_methods(offer.extensions().get("bazaar"))]
        for way in offer.ways() if version == 1 else ():
            at = f"/accepts/{way.index}/outputSchema/input/method"
            found += [(at, method) for method in bazaar_methods(way.members.get("outputSchema"))]
    return tuple(found)


def declared(probe: Probe) -> None:
    """The same request by the method that the offer declares, where that is another one."""
    probe.gather(unpaid)
    answer, endpoint = probe.kept["unpaid"].response, probe.endpoint
    if answer is None or endpoint is None:
        return
    production = probe.profile.target.environment is Environment.PRODUCTION
    for _, method in declared_methods(answer):
        other = isinstance(method, str) and method.isalpha() and method.upper() != endpoint.method
        if other and (not production or method in _READS) and f"declared {method}" not in probe.kept:
            probe.ask(f"declared {method}", method=str(method).upper())
