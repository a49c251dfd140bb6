"""Checks of class ``x402/offer`` on the address for which an offer is made."""

from collections.abc import Iterator
from urllib.parse import SplitResult, urlsplit

from conformance.checks import check
from conformance.checks.offer import at, offers, ways
from conformance.evidence import Evidence
from conformance.gather import EVIL_HOST, loopback, spoofed_host, unpaid
from conformance.outcome import Untestable, Violation
from conformance.protocols import x402


def _named(evidence: Evidence, label: str = "unpaid") -> list[tuple[x402.Offer, str, str]]:
    """Each URL for which an offer is made, and where it stands; Untestable when no offer names one."""
    found = [(offer, *place) for offer in offers(evidence, label) for place in _resources(offer)]
    if not found:
        if all(offer.version == 1 for offer in offers(evidence, label)):
            # There it stands in each way to pay.
            ways(evidence, label)
        reason = "the offer names no resource"
        raise Untestable(reason, cause="x402.offer.resource")
    return found


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
    for offer, pointer, url in _named(evidence):
        scheme = url.partition(":")[0].lower()
        if scheme.isalpha() and scheme not in {"http", "https"}:
            continue
        # Under test on loopback a server may well name its public address.
        named = _split(url)
        same_host = named and (loopback(asked.geturl()) or _origin(named) == _origin(asked))
        if not named or not same_host or not _same_path(named.path, asked.path):
            raise Violation(
                expected=f"{asked.scheme}://{asked.netloc}{asked.path}",
                received=url,
                at=at(offer, pointer),
                exchange="unpaid",
            )


def _split(url: str) -> SplitResult | None:
    try:
        found = urlsplit(url)
        _ = found.port
    except ValueError:
        return None
    return found


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    return (url.scheme, url.hostname, url.port or {"http": 80, "https": 443}.get(url.scheme))


def _same_path(named: str, asked: str) -> bool:
    """Whether a path, in which segments may be templates, is the one that was asked; a proxy may put a prefix before."""
    mine, theirs = named.strip("/").split("/"), asked.strip("/").split("/")
    shorter = min(len(mine), len(theirs))
    pairs = zip(mine[-shorter:], theirs[-shorter:], strict=True)
    return all(a == b or a.startswith((":", "{", "[", "*")) for a, b in pairs)


@check("x402.offer.host-is-not-echoed", unpaid, spoofed_host)
def test_host_is_not_echoed(evidence: Evidence) -> None:
    _named(evidence)
    for label, sent in (("host", "Host"), ("forwarded-host", "X-Forwarded-Host")):
        if (response := evidence.response(label)).status != 402:
            continue
        for offer, pointer, url in _named(evidence, label):
            if (named := _split(url)) and named.hostname == EVIL_HOST:
                raise Violation(
                    expected="the server's own public address",
                    received=f"{url}, after {sent}: {EVIL_HOST} ({response.shown()})",
                    at=at(offer, pointer),
                    exchange=label,
                    reason="name the resource in the server's configuration, or refuse hosts that it does not serve",
                )
