"""The operations of an OpenAPI document, and which of them cost."""

import fnmatch
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from urllib.parse import unquote, urlsplit

from conformance.outcome import printable
from conformance.profile import Endpoint, OpenApi, Profile
from conformance.selector import at_pointer

__all__ = [
    "Charge",
    "Operation",
    "charge",
    "named",
    "operations",
    "place_endpoint",
    "place_of",
    "places",
    "resolved",
    "unmatched",
]

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_APART = {"HEAD", "OPTIONS", "TRACE"}
"""They bring nothing that is sold."""
_HOPS = 20


class Charge(StrEnum):
    """Whether an operation costs."""

    PAID = "paid"
    FREE = "free"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path."""

    name: str
    """The method and the path, as the document has it: ``GET /reports/{id}``."""
    method: str
    template: str
    path: str
    """The template below ``target.base_url``, with the path of its server."""
    id: str
    """Its operationId; empty where it has none."""
    definition: Mapping[str, Any]
    document: Mapping[str, Any]
    elsewhere: str = ""
    """The server that it has instead of the target; empty where it is the target's."""
    assumed: str = ""
    """The server of another host whose path is taken for that of the target, which the document does not name."""

    @property
    def responses(self) -> Mapping[str, Mapping[str, Any]]:
        """What it is said to answer, by status, range or ``default``."""
        found = resolved(self.document, self.definition.get("responses"))
        if not isinstance(found, dict):
            return {}
        pairs = ((str(status).upper(), resolved(self.document, told)) for status, told in found.items())
        return {status.replace("DEFAULT", "default"): told for status, told in pairs if isinstance(told, dict)}

    def response(self, status: int) -> tuple[str, Mapping[str, Any]] | None:
        """What is said of an answer with ``status``, under which word; None where nothing is."""
        for word in (str(status), f"{status // 100}XX", "default"):
            if word in self.responses:
                return word, self.responses[word]
        return None

    @property
    def writes(self) -> bool:
        """Whether it may change something (RFC 9110 section 9.2.1)."""
        return self.method not in {"GET", "HEAD", "OPTIONS", "TRACE"}

    @property
    def price(self) -> Any:
        """What it is said to cost (``x-payment-info``); None where nothing is."""
        return self.definition.get("x-payment-info")

    def fits(self, method: str, path: str) -> bool:
        """Whether a request for ``path``, below ``target.base_url``, reaches it."""
        pattern = "".join(
            "[^/]+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{[^{}/]*\})", self.path)
        )
        return self.method == method and re.fullmatch(pattern, path.partition("?")[0]) is not None


def resolved(document: Mapping[str, Any], value: Any) -> Any:
    """``value``, or what its reference within ``document`` leads to; None for one that leads nowhere."""
    for _ in range(_HOPS):
        if not isinstance(value, dict) or not isinstance(reference := value.get("$ref"), str):
            return value
        if not reference.startswith("#/"):
            return None
        # In a fragment a pointer is written with escapes (RFC 6901 section 6).
        value = at_pointer(document, unquote(reference[1:]))
    return None


def operations(profile: Profile) -> tuple[Operation, ...]:
    """The operations that the document of ``profile`` describes, in its order; none where it was not read."""
    described = profile.openapi
    if described is None or described.document is None:
        return ()
    return tuple(_operations(profile, described.document))


def _operations(profile: Profile, document: Mapping[str, Any]) -> Iterator[Operation]:
    for template in document["paths"]:
        for method in _METHODS:
            if operation := _operation(profile, document, method, template):
                yield operation


def _operation(profile: Profile, document: Mapping[str, Any], method: str, template: str) -> Operation | None:
    item = resolved(document, document["paths"].get(template))
    definition = item.get(method) if template.startswith("/") and isinstance(item, dict) else None
    if not isinstance(definition, dict):
        return None
    below, elsewhere, assumed = _server(profile, document, item, definition)
    id = definition.get("operationId")
    return Operation(
        name=printable(f"{method.upper()} {template}"),
        method=method.upper(),
        template=template,
        path=below + template,
        id=id if isinstance(id, str) else "",
        definition=definition,
        document=document,
        elsewhere=elsewhere,
        assumed=assumed,
    )


def _server(
    profile: Profile, document: Mapping[str, Any], item: Mapping[str, Any], definition: Mapping[str, Any]
) -> tuple[str, str, str]:
    """The path of an operation's server below ``target.base_url``, its host where that is another one, and the server
    that is taken for the target.
    """
    target = urlsplit(profile.target.base_url)
    general, own = _urls(document), _urls(definition) or _urls(item)
    urls = own or general
    here = [url for url in urls if _host(url) in {"", target.netloc}]
    # What is developed is described at this machine by another of its names, or at another port.
    here = here or [url for url in urls if _is_loopback(_host(url)) and _is_loopback(target.netloc)]
    # A document names the servers of the world, and the target may be none of them: it is asked as if it were the
    # first.
    hosts = {_host(url) for url in general}
    if own and not here and not hosts & {_host(url) for url in own}:
        return "", _host(own[0]) or own[0], ""
    path = _path((here or urls or ["/"])[0])
    base = target.path.rstrip("/")
    # The base_url of a profile often has the path already.
    below = "" if base.endswith(path) else path
    return below, "", "" if here or not below else urls[0]


def _urls(holder: Mapping[str, Any]) -> list[str]:
    found = holder.get("servers")
    listed = [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
    return [_filled(entry) for entry in listed if isinstance(entry.get("url"), str)]


def _filled(server: Mapping[str, Any]) -> str:
    """The URL of a server with its variables at their defaults."""
    url: str = server["url"]
    variables = server.get("variables")
    for name, variable in variables.items() if isinstance(variables, dict) else ():
        default = variable.get("default") if isinstance(variable, dict) else None
        url = url.replace(f"{{{name}}}", str(default))
    return url


def _host(url: str) -> str:
    try:
        return urlsplit(url).netloc
    except ValueError:
        return url


def _is_loopback(host: str) -> bool:
    try:
        return urlsplit(f"//{host}").hostname in {"localhost", "127.0.0.1", "::1"}
    except ValueError:
        return False


def _path(url: str) -> str:
    try:
        path = urlsplit(url).path.rstrip("/")
    except ValueError:
        return ""
    return path if not path or path.startswith("/") else f"/{path}"


def charge(profile: Profile, operation: Operation) -> Charge:
    """Whether ``operation`` costs: by the profile, whose narrower word counts, else by the document.

    What neither names is free where the profile lists all that costs, and else unknown.
    """
    described = profile.openapi
    if described is None or operation.method in _APART:
        return Charge.UNKNOWN
    told = (
        (Charge.UNKNOWN, described.unknown),
        (Charge.FREE, described.free),
        (Charge.PAID, described.paid),
    )
    found = max(((_narrow(selector, operation), kind) for kind, listed in told for selector in listed), default=None)
    if found and found[0]:
        return found[1]
    if (endpoint := place_endpoint(profile, operation)) is not None:
        # Where a plan, an account or a card decides, the profile's request is refused, and another may not be.
        return Charge.PAID if endpoint.protocol else Charge.UNKNOWN
    if operation.price is not None:
        return Charge.UNKNOWN if _is_nothing(operation.price) else Charge.PAID
    return Charge.FREE if described.paid and not operation.response(402) else Charge.UNKNOWN


def _is_nothing(price: Any) -> bool:
    whole = price if isinstance(price, dict) else {"price": price}
    told = whole.get("price", whole)
    told = told if isinstance(told, dict) else {"amount": told}
    least = [told.get("amount"), told.get("min"), whole.get("minPrice")]
    return any(re.fullmatch(r"\$?(0+(\.0*)?|\.0+)", str(amount)) for amount in least)


def _narrow(selector: str, operation: Operation) -> int:
    """How narrowly ``selector`` names ``operation``: 0 where it does not."""
    if selector in {operation.id, operation.name}:
        return 10_001
    if selector == operation.template:
        return 10_000
    for text in (operation.name, operation.template, operation.id):
        if "*" in selector and text and fnmatch.fnmatchcase(text, selector.replace("[", "[[]")):
            return 1 + len(selector)
    return 0


def unmatched(profile: Profile) -> tuple[str, ...]:
    """What the profile names as an operation, and the document does not have."""
    described = profile.openapi
    known = operations(profile)
    listed = () if described is None else (*described.paid, *described.free, *described.unknown)
    return tuple(text for text in listed if not any(_narrow(text, operation) for operation in known))


def place_endpoint(profile: Profile, operation: Operation) -> Endpoint | None:
    """The endpoint of the profile whose request reaches ``operation``, and no other whose path is more concrete."""
    for endpoint in profile.endpoints:
        if operation.fits(endpoint.method, endpoint.path) and not _is_taken(profile, operation, endpoint):
            return endpoint
    return None


def _is_taken(profile: Profile, operation: Operation, endpoint: Endpoint) -> bool:
    """Whether an endpoint reaches another operation: of ``/me`` and ``/{id}`` the first (Paths Object)."""
    templated = _templated(operation.path)
    if not any(templated):
        return False
    others = (
        _operation(profile, operation.document, operation.method.lower(), template)
        for template in operation.document["paths"]
        if template.count("/") == operation.template.count("/")
    )
    return any(
        other and _templated(other.path) < templated and other.fits(endpoint.method, endpoint.path) for other in others
    )


def _templated(path: str) -> tuple[bool, ...]:
    return tuple("{" in segment for segment in path.split("/"))


def places(profile: Profile, scope: str) -> Iterator[str]:
    """The names of the operations that a requirement of ``scope`` is about."""
    for operation in operations(profile):
        # What is served by somebody else is asked of nobody, unless the profile has it that it is served here.
        if operation.elsewhere and not _is_listed(profile, operation):
            continue
        kind = charge(profile, operation)
        if scope in {"operation", f"{kind}-operation"} or (scope == "priced-operation" and operation.price):
            yield operation.name


def _is_listed(profile: Profile, operation: Operation) -> bool:
    described = profile.openapi or OpenApi()
    return any(_narrow(selector, operation) for selector in (*described.paid, *described.free, *described.unknown))


def named(profile: Profile, name: str) -> Operation | None:
    """The operation called ``name``."""
    described, (method, _, template) = profile.openapi, name.partition(" ")
    if described is None or described.document is None or not template:
        return None
    # Most names are the path as it stands there; a document may have a thousand of them.
    found = _operation(profile, described.document, method.lower(), template)
    return found or next((operation for operation in operations(profile) if operation.name == name), None)


def place_of(profile: Profile, name: str) -> Endpoint | None:
    """The endpoint called ``name``, or the operation of that name as one; None for the target itself."""
    own = next((endpoint for endpoint in profile.endpoints if endpoint.name == name), None)
    if own or (operation := named(profile, name)) is None:
        return own
    described = profile.openapi or OpenApi()
    like = place_endpoint(profile, operation) or Endpoint(name=name, path=operation.path, identity=described.identity)
    return replace(
        like,
        name=name,
        method=operation.method,
        path=operation.path,
        query={},
        json=None,
        form=None,
        body=None,
        body_schema=None,
        dynamic=(),
        failing=None,
        slow=None,
        witness=None,
    )
