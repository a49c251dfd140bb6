"""What a profile takes from the environment, and the secrets that must not stand in its file."""

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from conformance.profile.fault import Fault
from conformance.profile.place import At, Origin, keyed
from conformance.profile.shape import kinds
from conformance.profile.source import put

__all__ = ["Resolved", "bears_secret", "literal_secrets", "resolved", "scrubbed", "strings"]

_OPEN = {("target", "base_url"), ("facilitator", "listen"), ("facilitator", "url"), ("browser", "executable")}
_CREDENTIAL = re.compile(
    r"(proxy-)?authorization|cookie|api-?key|.*-key|.*(token|secret|password).*",
    re.IGNORECASE,
)
# What is a secret whatever its key is called. Public test values (tok_chargeDeclined, addresses, hashes) are not here.
_LOOKS_SECRET = re.compile(
    r"\b[sr]k_(live|test)_[0-9A-Za-z]+"
    r"|\A\s*(?i:bearer)\s+[A-Za-z0-9._~+/-]+=*\s*\Z"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|\b(gh[pousr]|github_pat)_[0-9A-Za-z_]+"
    r"|\bxox[a-z]-[0-9A-Za-z-]+"
    r"|\bAKIA[0-9A-Z]{12,}"
    r"|\beyJ[0-9A-Za-z_-]+\.[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]*)?"
)
_USERINFO = re.compile(r"(?<=://)[^/?#\s]*@")
_SHORTEST = 8
_FROM_OUTSIDE = 'write { env = "NAME" } and keep the value in the environment'
_NOT_HERE = "take it out, this key cannot be filled from the environment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A document with the values of the environment in it, and the same with placeholders for the secrets."""

    document: dict[str, Any]
    redacted: dict[str, Any]
    secrets: Mapping[str, str]
    origins: Mapping[At, Origin]
    faults: tuple[Fault, ...]


def resolved(document: dict[str, Any], environ: Mapping[str, str]) -> Resolved:
    """``document`` with each ``{ env, default }`` replaced; one that cannot be stays, with a fault."""
    real, redacted = copy.deepcopy(document), copy.deepcopy(document)
    secrets: dict[str, str] = {}
    origins: dict[At, Origin] = {}
    faults: list[Fault] = []
    for at, kind, table in kinds(document):
        if kind != "variable" or not isinstance(table, dict) or not isinstance(table.get("env"), str):
            continue
        name, default = table["env"], table.get("default")
        # CI systems set a variable that they have no value for to the empty string.
        value = environ.get(name) or None
        if value is None and isinstance(default, str):
            origins[at] = Origin(key=keyed(document, at), source=f"default of {name}")
            put(real, at, default)
            put(redacted, at, default)
            continue
        if (fault := _unfit(at, name, value)) is not None or value is None:
            faults += [fault] if fault else []
            continue
        if at not in _OPEN:
            secrets[name] = value
        origins[at] = Origin(key=keyed(document, at), source=f"environment {name}")
        put(real, at, value)
        put(redacted, at, value if at in _OPEN else f"<secret:{name}>")
    return Resolved(document=real, redacted=redacted, secrets=secrets, origins=origins, faults=tuple(faults))


def literal_secrets(document: dict[str, Any]) -> Iterator[Fault]:
    """The places of ``document``, as written, that hold a secret or the default of one."""
    replaceable = {at for at, kind, _ in kinds(document) if kind == "variable"}
    for at, text in strings(document):
        default = at[-1] == "default" and at[:-1] in replaceable
        looks = _LOOKS_SECRET.search(text) is not None
        if default and (looks or bears_secret(at[:-1])):
            yield Fault(at=at, says="is a secret in the file; take the default away")
        elif bears_secret(at) or looks:
            verb = "is" if bears_secret(at) else "looks like"
            yield Fault(at=at, says=f"{verb} a secret in the file; {_FROM_OUTSIDE if at in replaceable else _NOT_HERE}")


def bears_secret(at: At) -> bool:
    """Whether what stands at ``at`` is a credential by the name of its key."""
    if at == ("payer", "key"):
        return True
    if at[-2:-1] not in {("headers",), ("query",)} or "json" in at:
        return False
    name = str(at[-1]).replace("_", "-").lower()
    return name != "idempotency-key" and _CREDENTIAL.fullmatch(name) is not None


def scrubbed(text: str) -> str:
    """``text`` without anything that looks like a secret."""
    return _USERINFO.sub("<secret>@", _LOOKS_SECRET.sub("<secret>", text))


def strings(value: object, at: At = ()) -> Iterator[tuple[At, str]]:
    """Each text in a document, with its path."""
    if isinstance(value, str):
        yield at, value
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for part, member in members:
        yield from strings(member, (*at, part))


def _unfit(at: At, name: str, value: str | None) -> Fault | None:
    """Why the value of an environment variable cannot be used at ``at``, without saying the value."""
    if value is None:
        offer = "" if bears_secret(at) else " or give it a default"
        return Fault(at=at, says=f"needs the environment variable {name}, which is not set or empty; set it{offer}")
    if at not in _OPEN and len(value) < _SHORTEST:
        says = f"comes from the environment variable {name}, whose value cannot be redacted safely"
        return Fault(at=at, says=f"{says}: it has fewer than {_SHORTEST} characters; use a longer one")
    if (at in _OPEN or at[-2] == "headers") and re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
        says = f"comes from the environment variable {name}, whose value has a line break or control character"
        return Fault(at=at, says=f"{says}; take it away")
    if at[-2] == "headers" and not all(ord(c) < 256 for c in value):
        says = f"comes from the environment variable {name}, whose value has characters that no header field can hold"
        return Fault(at=at, says=f"{says}; take them out or encode them")
    return None
