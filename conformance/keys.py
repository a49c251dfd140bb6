"""Idempotency keys: where they mean something, how they travel, who may bring one, and what another request is."""

import copy
import json
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode

from conformance import facts
from conformance.asking import Changes, request_to
from conformance.exchange import Request, Response
from conformance.profile import ANONYMOUS, Endpoint, Family, Idempotency, Profile
from conformance.profile.environment import bears_secret
from conformance.selector import at_pointer

__all__ = [
    "NOBODY",
    "are_brief",
    "as_nobody",
    "callers",
    "carried",
    "carries",
    "changed",
    "concerned",
    "document_of",
    "fresh_key",
    "key_in",
    "no_other_caller",
    "nobody_is_served",
    "refuses",
    "renewed",
    "without_key",
]

NOBODY = "nobody"
"""Who asks without any credential."""

_UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_SOON = 60
"""Seconds: a key that counts for less may be forgotten while it is asked about."""
_OTHERS = 3


def concerned(endpoint: Endpoint, profile: Profile) -> bool:
    """Whether the keys of the profile mean something at ``endpoint``: somebody is served there, or declined."""
    families = {answer.family for answer in profile.answers if answer.name in endpoint.answers}
    takes = profile.idempotency is not None and endpoint.protocol is None and endpoint.method in _UNSAFE
    return takes and (endpoint.paid_identity is not None or Family.DECLINE in families)


def nobody_is_served(endpoint: Endpoint | None, profile: Profile) -> str:
    """Why no answer is known to be kept; empty where the profile says who is served, here or at another endpoint."""
    if any(concerned(one, profile) and one.paid_identity for one in profile.endpoints):
        return ""
    name = endpoint.name if endpoint else ""
    return f'the profile does not say who is served at endpoint "{name}", or elsewhere under a key (paid_identity)'


def no_other_caller(endpoint: Endpoint | None, profile: Profile) -> str:
    """Why nobody else brings a key; empty where the profile names another caller who may be served."""
    if endpoint is None or endpoint.paid_identity is None or _others(profile, endpoint):
        return nobody_is_served(endpoint, profile)
    return f'the profile names no second account that may be served at endpoint "{endpoint.name}" ([identity.NAME])'


def _others(profile: Profile, endpoint: Endpoint) -> tuple[str, ...]:
    """The identities that are another caller than the one who is served, by all that a request says of its sender."""
    paid = endpoint.paid_identity or ""
    own = _said_of(profile, endpoint, paid)
    names = [endpoint.identity, *(name for name in profile.identities if name != endpoint.identity)]
    return tuple(
        name
        for name in names
        if name not in {paid, ANONYMOUS}
        and not profile.identities[name].expect
        and not own & _said_of(profile, endpoint, name)
    )


def _said_of(profile: Profile, endpoint: Endpoint, identity: str) -> set[tuple[str, str]]:
    """The fields by which ``identity`` is known."""
    own = {name.lower() for name in profile.identities[identity].headers}
    sent = request_to(profile, endpoint, identity=identity).headers
    return {(name.lower(), value) for name, value in sent if name.lower() in own or _is_credential(profile, name)}


def _is_credential(profile: Profile, name: str) -> bool:
    # A key of ours has a name like that of one of theirs.
    own = profile.idempotency.key.header if profile.idempotency else None
    return name.lower() != (own or "").lower() and bears_secret(("headers", name))


def callers(profile: Profile, endpoint: Endpoint) -> dict[str, Changes]:
    """Who brings a key that is not his, and how he asks."""
    always = [name for name, identity in profile.identities.items() if identity.expect]
    named = {name: Changes(identity=name) for name in (*always, *_others(profile, endpoint)[:_OTHERS])}
    return {NOBODY: as_nobody(profile, endpoint), **named}


def as_nobody(profile: Profile, endpoint: Endpoint) -> Changes:
    sent = [name for name, _ in request_to(profile, endpoint, identity=ANONYMOUS).headers]
    # What tells one from another may stand in the fields of every request as well.
    known = (name for who, identity in profile.identities.items() if who != ANONYMOUS for name in identity.headers)
    gone = {name.lower() for name in (*known, *(name for name in sent if _is_credential(profile, name)))}
    return Changes(identity=ANONYMOUS, without=tuple(sorted(gone)))


def refuses(profile: Profile, endpoint: Endpoint, response: Response) -> bool:
    """Whether an answer is no success: by its status, or by a rule of the profile."""
    declared = (answer for answer in profile.answers if answer.name in endpoint.answers)
    return not 200 <= response.status < 300 or bool(facts.matching(declared, response))


def carried(rules: Idempotency, endpoint: Endpoint, key: str, document: Any = None, *, raw: bool = False) -> Changes:
    """What changes in the request that brings ``key``; with ``raw``, as it is, without quotes around it."""
    if rules.key.header:
        # A field holds bytes: those of UTF-8.
        value = (f'"{key}"' if rules.quoted and not raw else key).encode().decode("latin-1")
        changes = Changes(headers={rules.key.header: value})
        return changes if document is None else Changes(**changes, body=_written(endpoint, document))
    found = copy.deepcopy(document_of(endpoint) if document is None else document)
    parts = _parts(rules)
    if endpoint.json is None:
        found[_form_name(parts)] = key
    else:
        at = found
        for part in parts[:-1]:
            at = at.setdefault(part, {})
        at[parts[-1]] = key
    return Changes(body=_written(endpoint, found))


def without_key(rules: Idempotency, endpoint: Endpoint) -> Changes:
    if rules.key.header:
        return Changes(without=(rules.key.header.lower(),))
    found, parts = copy.deepcopy(document_of(endpoint)), _parts(rules)
    at = found
    for part in parts[:-1] if endpoint.json is not None else ():
        at = at.get(part, {})
    at.pop(parts[-1] if endpoint.json is not None else _form_name(parts), None)
    return Changes(body=_written(endpoint, found))


def key_in(rules: Idempotency, request: Request) -> str:
    """The key that a request of ours brought."""
    if rules.key.header:
        values = (value for name, value in request.headers if name.lower() == (rules.key.header or "").lower())
        return next(values, "").strip('"')
    if request.body.startswith((b"{", b"[")):
        return str(at_pointer(json.loads(request.body), rules.key.member or ""))
    return dict(parse_qsl(request.body.decode())).get(_form_name(_parts(rules)), "")


def _parts(rules: Idempotency) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in (rules.key.member or "").split("/")[1:]]


def _form_name(parts: list[str]) -> str:
    return parts[0] + "".join(f"[{part}]" for part in parts[1:])


def renewed(rules: Idempotency | None, document: Any) -> Any:
    """``document`` with a fresh key in the place of the one that it has, if it has one."""
    *above, last = _parts(rules) if rules and rules.key.member else [""]
    found = at = copy.deepcopy(document)
    for part in above:
        at = at.get(part) if isinstance(at, dict) else None
    if isinstance(at, dict) and last in at and rules and rules.key.member:
        at[last] = fresh_key()
    return found


def document_of(endpoint: Endpoint) -> Any:
    return dict(endpoint.form) if endpoint.form is not None else endpoint.json


def _written(endpoint: Endpoint, document: Any) -> bytes:
    return json.dumps(document).encode() if endpoint.json is not None else urlencode(document).encode()


def are_brief(rules: Idempotency) -> bool:
    """Whether keys may be forgotten, by the profile's word, while they are asked about."""
    return rules.retention is not None and rules.retention < _SOON


def carries(rules: Idempotency, endpoint: Endpoint) -> bool:
    """Whether a request has a place for the key."""
    return bool(rules.key.header) or isinstance(document_of(endpoint), dict)


def fresh_key() -> str:
    return str(uuid.uuid4())


def changed(rules: Idempotency, endpoint: Endpoint) -> Iterator[tuple[str, Any, dict[str, str]]]:
    """Other requests, each with its name, its document and what it adds to the query; a number that is less first."""
    document = document_of(endpoint)
    if document is None:
        yield "another query", None, {"conformance": "1"}
        return
    own = ["", *_parts(rules)] if rules.key.member else []
    for at in _numbers(document):
        if at.split("/") != own:
            yield f"less at {at}", _lessened(document, at.split("/")[1:]), {}
            break
    if isinstance(document, dict):
        yield "a member more", {**document, "conformance": "1"}, {}


def _numbers(document: Any, at: str = "") -> Iterator[str]:
    """Where whole numbers above 1 stand."""
    match document:
        case dict():
            for name, value in document.items():
                # A pointer with an escape is one more thing to get wrong.
                if not set("~/") & set(name):
                    yield from _numbers(value, f"{at}/{name}")
        case list():
            for place, value in enumerate(document):
                yield from _numbers(value, f"{at}/{place}")
        case bool():
            return
        case int() if document > 1:
            yield at
        case str() if document.isascii() and document.isdecimal() and not document.startswith("0") and document != "1":
            yield at


def _lessened(document: Any, parts: list[str]) -> Any:
    """``document`` with the number at ``parts`` less by one, in the type that it has."""
    if not parts:
        return type(document)(int(document) - 1)
    head, *rest = parts
    if isinstance(document, list):
        return [_lessened(value, rest) if str(n) == head else value for n, value in enumerate(document)]
    return {name: _lessened(value, rest) if name == head else value for name, value in document.items()}
