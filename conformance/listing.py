"""What is advertised: the resources that a target lists, and what it says of their price."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from urllib.parse import urljoin, urlsplit

from conformance.openapi import Charge, Told, charge, operations, place_endpoint, prices
from conformance.profile import Endpoint, OpenApi, Profile
from conformance.protocols import x402

__all__ = ["Listed", "bazaar_methods", "documented", "listed"]

_LISTS = ("resources", "items", "endpoints", "accepts")
_ADDRESSES = ("resource", "url", "endpoint", "path", "uri")
_METHOD = re.compile(r"(GET|HEAD|POST|PUT|PATCH|DELETE)")
_TEMPLATE = re.compile(r"[{}\[\]*]|/:")
_DOLLARS = re.compile(r"\$([0-9]{1,12}(?:\.[0-9]{1,12})?)|([0-9]{1,12}(?:\.[0-9]{1,12})?) USDC?")
_MOST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One resource that is said to cost."""

    at: str
    """Where it stands in its document, as a JSON Pointer."""
    method: str
    """Empty where none is told."""
    url: str
    """At the target; empty where it cannot be asked there: of another host, or with parameters in its path."""
    endpoint: Endpoint | None = None
    """The endpoint of the profile that it is."""
    elsewhere: str = ""
    """Where it is said to be, if that is another host, and the target may be one of several that say so."""
    ways: tuple[x402.Way, ...] = ()
    prices: tuple[Told, ...] = ()


def listed(document: Any, profile: Profile) -> tuple[Listed, ...] | None:
    """The resources in ``/.well-known/x402``, at most 20 of them; None where it has no list that is known.

    Known are lists of addresses (x402scan, Discovery), and of objects with an address and what may go with it:
    ``method``, ``accepts`` as in an offer, ``price`` in dollars. What is said to be free is left out.
    """
    if isinstance(document, list):
        lists = {"": document}
    else:
        whole = document if isinstance(document, dict) else {}
        lists = {f"/{key}": whole[key] for key in _LISTS if isinstance(whole.get(key), list)}
    if not lists:
        return None
    found = (
        _entry(entry, f"{at}/{n}", profile)
        for at, entries in lists.items()
        for n, entry in enumerate(entries)
        # How is paid is told of the whole, too, beside what is listed or instead of it.
        if at != "/accepts" or not isinstance(entry, dict) or set(_ADDRESSES) & entry.keys()
    )
    return tuple(one for one, _ in zip((entry for entry in found if entry), range(_MOST), strict=False))


def _entry(entry: Any, at: str, profile: Profile) -> Listed | None:
    if isinstance(entry, str):
        method, _, address = entry.rpartition(" ")
        return _placed(Listed(at=at, method=method if _METHOD.fullmatch(method) else "", url=address), profile)
    if not isinstance(entry, dict):
        return Listed(at=at, method="", url="")
    if entry.get("free") is True or str(entry.get("price")).lower() in {"free", "0", "$0", "0.0", "$0.00"}:
        return None
    told = next((entry[key] for key in _ADDRESSES if key in entry), "")
    address = told.get("url", "") if isinstance(told, dict) else told
    return _placed(
        Listed(
            at=at,
            method=_method(entry),
            url=address if isinstance(address, str) else "",
            ways=tuple(_ways(entry)),
            prices=tuple(_dollars(entry)),
        ),
        profile,
    )


def _method(entry: dict[str, Any]) -> str:
    inputs = [entry.get("method"), *bazaar_methods(entry), *bazaar_methods(entry.get("outputSchema"))]
    return next((word.upper() for word in inputs if isinstance(word, str) and _METHOD.fullmatch(word.upper())), "")


def bazaar_methods(holder: Any) -> tuple[Any, ...]:
    """The method in ``info.input`` or ``input`` of ``holder``; none where nothing of HTTP is described."""
    info = holder.get("info", holder) if isinstance(holder, dict) else None
    described = info.get("input") if isinstance(info, dict) else None
    http = isinstance(described, dict) and described.get("type") == "http" and "method" in described
    return (described["method"],) if isinstance(described, dict) and http else ()


def _ways(entry: dict[str, Any]) -> Iterator[x402.Way]:
    accepts = entry.get("accepts")
    # An amount in a currency is none in atomic units.
    atomic = {"amount", "maxAmountRequired"} & entry.keys() and "currency" not in entry
    own = [entry] if "payTo" in entry and atomic else []
    for index, way in enumerate(accepts if isinstance(accepts, list) else own):
        if isinstance(way, dict):
            yield x402.way_of(way, 1 if "maxAmountRequired" in way else 2, index)


def _dollars(entry: dict[str, Any]) -> Iterator[Told]:
    price = entry.get("price")
    if isinstance(price, dict):
        yield from prices({"price": price}) if "currency" in price else ()
    elif found := _DOLLARS.fullmatch(str(price)):
        amount = Decimal(found[1] or found[2])
        yield Told(low=amount, high=amount, currency="USD")


def _placed(entry: Listed, profile: Profile) -> Listed:
    """``entry`` with its address at the target; what is listed under the name of the world is found by its path."""
    base = urlsplit(profile.target.base_url)
    try:
        parts = urlsplit(urljoin(f"{base.scheme}://{base.netloc}/", entry.url))
    except ValueError:
        return replace(entry, url="")
    path = parts.path.removeprefix(base.path.rstrip("/"))
    own = [e for e in profile.endpoints if e.protocol == "x402" and e.path == path and entry.method in {"", e.method}]
    if not entry.url or _TEMPLATE.search(parts.path) or (parts.netloc != base.netloc and not own):
        return replace(entry, url="")
    at = parts._replace(scheme=base.scheme, netloc=base.netloc, fragment="").geturl()
    endpoint = own[0] if own else None
    return replace(
        entry,
        url=at,
        endpoint=endpoint,
        method=entry.method or (endpoint.method if endpoint else ""),
        elsewhere="" if parts.netloc == base.netloc else parts.netloc,
    )


def documented(document: Any, profile: Profile) -> tuple[Listed, ...] | None:
    """The operations of ``/openapi.json`` that are said to cost, at most 20; None where it is no such document."""
    if not isinstance(document, dict) or not isinstance(document.get("paths"), dict) or "openapi" not in document:
        return None
    described = replace(profile, openapi=OpenApi(document=document))
    sold = replace(described, endpoints=tuple(e for e in profile.endpoints if e.protocol == "x402"))
    found = []
    for operation in operations(described):
        if operation.price is None or operation.elsewhere:
            continue
        if charge(described, operation) is not Charge.PAID:
            continue
        own = place_endpoint(sold, operation)
        url = "" if "{" in operation.path else profile.target.base_url.rstrip("/") + operation.path
        found.append(
            Listed(
                at=f"{operation.name}, x-payment-info",
                method=operation.method,
                url=url,
                endpoint=own,
                elsewhere=operation.assumed,
                prices=prices(operation.price),
            )
        )
    return tuple(sorted(found, key=lambda entry: entry.endpoint is None)[:_MOST])
