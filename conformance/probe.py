"""The hand that asks: builds requests as the profile describes them and keeps each answer under its label."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypedDict, Unpack
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from conformance.evidence import Evidence
from conformance.exchange import Exchange, Request
from conformance.profile import Endpoint, Profile
from conformance.wire import Wire

__all__ = ["Changes", "Gather", "Probe", "request_to"]

USER_AGENT = "pytest-402/0.1 (+conformance run)"


class Changes(TypedDict, total=False):
    """What a gather may put in place of what the profile says; as for ``request_to``."""

    method: str
    path: str
    url: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    without: tuple[str, ...]
    identity: str


class Gather(Protocol):
    """The first half of a check: asks the target through a probe."""

    @property
    def __name__(self) -> str: ...

    def __call__(self, probe: "Probe", /) -> None: ...


@dataclass(slots=True, kw_only=True)
class Probe:
    """Asks at one endpoint (or, without one, at the target) and remembers what was gathered."""

    profile: Profile
    wire: Wire
    endpoint: Endpoint | None = None
    kept: dict[str, Exchange] = field(default_factory=dict)
    _gathered: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def evidence(self, gathers: Sequence[Gather]) -> Evidence:
        """What ``gathers`` bring in; each asks once in a run, later checks share its exchanges."""
        labels = [label for gather in gathers for label in self.gather(gather)]
        return Evidence(profile=self.profile, at=self.endpoint, exchanges={label: self.kept[label] for label in labels})

    def gather(self, gather: Gather) -> tuple[str, ...]:
        """Runs ``gather`` unless it has run; the labels that it kept."""
        if gather.__name__ not in self._gathered:
            before = set(self.kept)
            gather(self)
            # A gather may build on another: what that one kept stays its own.
            before |= {label for labels in self._gathered.values() for label in labels}
            self._gathered[gather.__name__] = tuple(label for label in self.kept if label not in before)
        return self._gathered[gather.__name__]

    def drawn(self, gathers: Sequence[Gather], ask: Callable[["Probe"], None]) -> Evidence:
        """What one drawn example brings in, beside what ``gathers`` brought; the example's own is never shared."""
        base = self.evidence(gathers)
        before = set(self.kept)
        ask(self)
        fresh = {label: exchange for label, exchange in self.kept.items() if label not in before}
        return Evidence(profile=self.profile, at=self.endpoint, exchanges={**base.exchanges, **fresh})

    def ask(self, label: str, *, raw: bool = False, **changes: Unpack[Changes]) -> Exchange:
        """Sends the endpoint's request, with ``changes`` as for ``request_to``, and keeps it as ``label``."""
        request = request_to(self.profile, self.endpoint, **changes)
        account = self.endpoint.name if self.endpoint else ""
        if raw:
            exchange = self.wire.send_raw(request, account=account)
        else:
            exchange = self.wire.send(request, account=account, back_off=not self._means_429())
        self.kept[label] = exchange
        return exchange

    def _means_429(self) -> bool:
        if self.endpoint is None:
            return False
        return any(429 in a.status for a in self.profile.answers if a.name in self.endpoint.answers)


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
) -> Request:
    """The request that reaches ``endpoint``, with what is given put in place of what the profile says.

    ``headers`` and ``query`` are added to the endpoint's, the same name replaced; ``without`` names fields to leave
    out. ``url`` replaces the whole target; then nothing of the profile's own fields goes along, nor any content.
    """
    fields = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}
    body = b""
    asked = dict(endpoint.query) if endpoint else {}
    if not url:
        who = identity or (endpoint.identity if endpoint else "anonymous")
        fields = _merged(fields, profile.target.headers)
        fields = _merged(fields, profile.identities[who].headers if who in profile.identities else {})
        if endpoint:
            fields = _merged(fields, endpoint.headers)
            body, media_type = _body(endpoint)
            if media_type:
                fields = _merged({"Content-Type": media_type}, fields)
        asked |= query or {}
        url = _url(profile.target.base_url, path or (endpoint.path if endpoint else "/"), asked)
    return Request(
        method=method or (endpoint.method if endpoint else "GET"),
        url=url,
        headers=tuple((k, v) for k, v in _merged(fields, headers or {}).items() if k.lower() not in without),
        body=body,
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
