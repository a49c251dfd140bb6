"""Checks of class ``x402/offer`` on the address for which an offer is made."""

import re
from collections.abc import Iterator
from urllib.parse import SplitResult, unquote, urlsplit

from conformance.checks import check
from conformance.checks.offer import at, offers, ways
from conformance.evidence import Evidence
from conformance.gather import EVIL_HOST, loopback, spoofed_host, unpaid
from conformance.outcome import Untestable, Violation
from conformance.profile import Environment
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
        named = _split(url)
        if named and named.scheme and named.scheme not in {"http", "https"}:
            continue
        if not named or not named.netloc or not _same_host(evidence, named, asked) or not _same_path(named, asked):
            raise Violation(
                expected=f"{asked.scheme}://{asked.netloc}{asked.path}",
                received=url,
                at=at(offer, pointer),
                exchange="unpaid",
            )


def _same_host(evidence: Evidence, named: SplitResult, asked: SplitResult) -> bool:
    """Under test a server may name its public address; one that names the host that was asked names its scheme too."""
    if loopback(asked.geturl()) or _origin(named) == _origin(asked):
        return True
    return evidence.profile.target.environment is Environment.TEST and named.hostname != asked.hostname


def _split(url: str) -> SplitResult | None:
    try:
        found = urlsplit(url)
        _ = found.port
    except ValueError:
        return None
    return found


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    return (url.scheme, url.hostname, url.port or {"http": 80, "https": 443}.get(url.scheme))


def _same_path(named: SplitResult, asked: SplitResult) -> bool:
    """Whether a path, which may be a template, is the one that was asked; a proxy may put a prefix before either."""
    mine = [_segment(part) for part in named.path.strip("/").split("/")]
    theirs = [unquote(part) for part in asked.path.strip("/").split("/")]
    if mine[-1] is None:
        # A wildcard stands for the rest, however long.
        mine, theirs = mine[:-1], theirs[: max(len(mine) - 1, 0)]
    shorter = min(len(mine), len(theirs))
    pairs = zip(mine[len(mine) - shorter :], theirs[len(theirs) - shorter :], strict=True)
    return all(pattern is None or pattern.fullmatch(part) for pattern, part in pairs)


_TEMPLATE = re.compile(r"\{[^{}]*\}|\[[^\[\]]*\]|:[A-Za-z_]\w*")


def _segment(part: str) -> re.Pattern[str] | None:
    """What a segment of a template matches; None for a wildcard that matches anything."""
    if part in {"*", "**"} or "..." in part:
        return None
    text = unquote(part)
    pieces = [re.escape(piece) for piece in _TEMPLATE.split(text)]
    return re.compile(".+".join(pieces))


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
