"""Requests as the profile describes them, and what may be put in place of what it says."""

import json
from collections.abc import Mapping
from typing import TypedDict
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from conformance.exchange import Request
from conformance.profile import Endpoint, Profile

__all__ = ["Changes", "means_429", "request_to"]

_USER_AGENT = "pytest-402/0.1 (+conformance run)"


class Changes(TypedDict, total=False):
    """What a gather may put in place of what the profile says; as for ``request_to``."""

    method: str
    path: str
    url: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    without: tuple[str, ...]
    identity: str
    body: bytes


def means_429(profile: Profile, endpoint: Endpoint | None) -> bool:
    """Whether a 429 of ``endpoint`` is a refusal that the profile declares, and not one to be waited out."""
    if endpoint is None:
        return False
    return any(429 in answer.status for answer in profile.answers if answer.name in endpoint.answers)


def request_to(
    profile: Profile,
    endpoint: Endpoint | None,
    *,
    method: str = "",
    path: str = "",
    url: str = "",
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    without: tuple[str, ...] = (),
    identity: str = "",
    body: bytes | None = None,
) -> Request:
    """The request that reaches ``endpoint``, with what is given put in place of what the profile says.

    ``headers`` and ``query`` are added to the endpoint's, the same name replaced; ``without`` names fields to leave
    out. ``url`` replaces the whole target; then nothing of the profile's own fields goes along, nor any content.
    """
    fields = {"User-Agent": _USER_AGENT, "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}
    content = b""
    asked = dict(endpoint.query) if endpoint else {}
    if not url:
        who = identity or (endpoint.identity if endpoint else "anonymous")
        fields = _merged(fields, profile.target.headers)
        fields = _merged(fields, profile.identities[who].headers if who in profile.identities else {})
        if endpoint:
            fields = _merged(fields, endpoint.headers)
            content, media_type = _body(endpoint)
            if media_type:
                fields = _merged({"Content-Type": media_type}, fields)
        asked |= query or {}
        url = _url(profile.target.base_url, path or (endpoint.path if endpoint else "/"), asked)
    return Request(
        method=method or (endpoint.method if endpoint else "GET"),
        url=url,
        headers=tuple((k, v) for k, v in _merged(fields, headers or {}).items() if k.lower() not in without),
        body=content if body is None else body,
    )


def _merged(fields: Mapping[str, str], others: Mapping[str, str]) -> dict[str, str]:
    taken = {name.lower() for name in others}
    return {name: value for name, value in fields.items() if name.lower() not in taken} | dict(others)


def _url(base: str, path: str, query: Mapping[str, str]) -> str:
    parts = urlsplit(base)
    # What stands in a profile as people write it goes out as URLs are written (RFC 3986 section 2.1).
    own_path, _, own_query = quote(path, safe="/?:@!$&'()*+,;=%-._~[]").partition("?")
    asked = "&".join(part for part in (own_query, urlencode(query)) if part)
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") + own_path, asked, ""))


def _body(endpoint: Endpoint) -> tuple[bytes, str]:
    if endpoint.json is not None:
        return json.dumps(endpoint.json).encode(), "application/json"
    if endpoint.form is not None:
        return urlencode(endpoint.form).encode(), "application/x-www-form-urlencoded"
    return (endpoint.body or "").encode(), ""
