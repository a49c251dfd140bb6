"""What is wrong with a profile that a schema cannot see: references, syntaxes, claims that nothing can show."""

import datetime as dt
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from decimal import Decimal
from typing import Any

from conformance import selector
from conformance.profile.fault import Fault
from conformance.profile.place import At, value_at
from conformance.profile.refusal import did_you_mean
from conformance.profile.shape import kinds
from conformance.profile.words import ANONYMOUS

__all__ = ["broken", "contradictions", "unshowable"]

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_START_PLACEHOLDERS = ("port", "facilitator", "python", "scratch")
_URLS: tuple[At, ...] = (("target", "base_url"), ("target", "backend"), ("facilitator", "url"), ("openapi", "url"))
_FAMILIES = ("paywall", "credits", "decline")
# Claimed class -> the part of a profile without which nothing can show it.
_PARTS = {"idempotency": "idempotency", "flows": "flow", "openapi": "openapi", "crawl": "crawl"}

# They come with a payment, whatever is served.
_PROTOCOL_FIELDS = {"payment-required", "payment-response", "x-payment-response", "payment-signature", "x-payment"}

_IDENTITY = "[identity.NAME] table"


def broken(document: dict[str, Any]) -> Iterator[Fault]:
    """Values that cannot be used as what they are: selectors, expressions, values that JSON does not have."""
    found = {at: says for at, kind, value in kinds(document) if (says := _unusable(kind, value)) is not None}
    # A table fails with its innermost part; the sentence about that part is the better one.
    yield from (
        Fault(at=at, says=f"cannot be used: {says}")
        for at, says in found.items()
        if not any(other != at and other[: len(at)] == at for other in found)
    )
    yield from _not_json(document, ())


def contradictions(document: dict[str, Any]) -> Iterator[Fault]:
    """Parts of ``document`` that do not fit together; tolerant of parts that do not fit the schema."""
    yield from _twice(document)
    yield from _references(document)
    yield from _placeholders(document)
    yield from _proofs(document)
    yield from _expectations(document)
    yield from _allowances(document)
    yield from _bodies(document)
    yield from _operations(document)
    for at in _URLS:
        if isinstance(url := value_at(document, at), str) and re.match(r"[^/]*//[^/?#]*@", url):
            yield Fault(at=at, says='holds a user name or password; take it out and send { env = "NAME" } in a header')
    for at, kind, value in kinds(document):
        read = _NUMBERS.get(kind)
        if read is None or not isinstance(value, dict):
            continue
        low, high = read(value.get("min")), read(value.get("max"))
        if low is not None and high is not None and low > high:
            yield Fault(at=at, says=f"has min {low} above max {high}; exchange them")


def unshowable(document: dict[str, Any]) -> Iterator[Fault]:
    """Claimed classes that no part of ``document`` can show."""
    endpoints = document["endpoint"]
    offers = any(endpoint.get("protocol") == "x402" for endpoint in endpoints)
    used = {name for endpoint in endpoints for name in endpoint.get("answers", ())}
    families = {answer["family"] for answer in document.get("answer", ()) if answer["name"] in used}
    for i, claimed in enumerate(document.get("claims", {}).get("classes", ())):
        lacking = None
        if claimed.startswith("x402/") and not offers:
            lacking = 'no endpoint has protocol = "x402"'
        elif claimed in _FAMILIES and claimed not in families:
            lacking = f'no endpoint has an answer with family = "{claimed}"'
        elif claimed in _PARTS and not document.get(_PARTS[claimed]):
            lacking = f"there is no {'[[flow]]' if claimed == 'flows' else f'[{_PARTS[claimed]}]'}"
        elif claimed == "idempotency" and not any(map(_may_be_keyed, endpoints)):
            lacking = "no endpoint without a protocol has an unsafe method and a paid_identity"
        elif claimed == "flows" and not _leads_out(document):
            lacking = "no [[flow]] has an endpoint with answers and without protocol"
        if lacking:
            says = f'claims "{claimed}", but {lacking}; add one or take the claim away'
            yield Fault(at=("claims", "classes", i), says=says)


def _may_be_keyed(endpoint: dict[str, Any]) -> bool:
    unsafe = endpoint.get("method", "GET") in {"POST", "PUT", "PATCH", "DELETE"}
    return unsafe and "protocol" not in endpoint and "paid_identity" in endpoint


def _leads_out(document: dict[str, Any]) -> bool:
    """Whether a flow leads out of a refusal that is judged by it."""
    refusing = {e["name"] for e in document["endpoint"] if e.get("answers") and "protocol" not in e}
    return any(flow["endpoint"] in refusing for flow in document["flow"])


def _unusable(kind: str, value: object) -> str | None:
    try:
        match kind, value:
            case "selector", _:
                selector.parse(value)
            case "regex", str():
                selector.compiled_regex(value)
            case "expression", str():
                selector.compiled_expression(value)
    except ValueError as error:
        return str(error)
    return None


def _not_json(value: object, at: At) -> Iterator[Fault]:
    if isinstance(value, dt.date | dt.time):
        yield Fault(at=at, says=f"is the date or time {value}, which JSON does not have; write it as a string")
    elif isinstance(value, float) and not math.isfinite(value):
        yield Fault(at=at, says=f"is {value}, which JSON does not have; write a finite number")
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for part, member in members:
        yield from _not_json(member, (*at, part))


def _entries(document: dict[str, Any], key: str) -> Iterator[tuple[int, dict[str, Any]]]:
    entries = document.get(key)
    yield from ((i, e) for i, e in enumerate(entries if isinstance(entries, list) else ()) if isinstance(e, dict))


def _names(document: dict[str, Any], key: str) -> list[str]:
    return [entry["name"] for _, entry in _entries(document, key) if isinstance(entry.get("name"), str)]


def _twice(document: dict[str, Any]) -> Iterator[Fault]:
    for key in ("answer", "endpoint", "flow"):
        for name, count in Counter(_names(document, key)).items():
            if count > 1:
                yield Fault(at=(key,), says=f"has the name {_quoted(name)} {count} times; give each its own")


def _references(document: dict[str, Any]) -> Iterator[Fault]:
    table = document.get("identity")
    identities = {ANONYMOUS, *(table if isinstance(table, dict) else ())}
    answers, endpoints = _names(document, "answer"), _names(document, "endpoint")
    for i, endpoint in _entries(document, "endpoint"):
        for key in ("identity", "paid_identity"):
            yield from _reference(endpoint.get(key), identities, ("endpoint", i, key), _IDENTITY)
        named = endpoint.get("answers")
        for k, name in enumerate(named if isinstance(named, list) else ()):
            yield from _reference(name, answers, ("endpoint", i, "answers", k), "[[answer]]")
    yield from _reference(value_at(document, ("openapi", "identity")), identities, ("openapi", "identity"), _IDENTITY)
    for i, flow in _entries(document, "flow"):
        yield from _reference(flow.get("endpoint"), endpoints, ("flow", i, "endpoint"), "[[endpoint]]")
        yield from _reference(flow.get("identity"), identities, ("flow", i, "identity"), _IDENTITY)
    observe = document.get("observe")
    for name, probe in observe.items() if isinstance(observe, dict) else ():
        if isinstance(probe, dict):
            yield from _reference(probe.get("identity"), identities, ("observe", name, "identity"), _IDENTITY)


def _reference(name: object, known: Collection[str], at: At, what: str) -> Iterator[Fault]:
    if isinstance(name, str) and name not in known:
        listed = ", ".join(sorted(known)) or "none"
        hint = did_you_mean(name, known)
        yield Fault(at=at, says=f"is {_quoted(name)}, and there is no {what} of this name; {hint}known are: {listed}")


def _proofs(document: dict[str, Any]) -> Iterator[Fault]:
    """Markers and witnesses that would show nothing."""
    for i, endpoint in _entries(document, "endpoint"):
        marker, witness = endpoint.get("marker"), endpoint.get("witness")
        header = marker.get("header") if isinstance(marker, dict) else None
        if isinstance(header, str) and header.lower() in _PROTOCOL_FIELDS:
            says = f"is {_quoted(header)}, which says nothing of what is served; name a field of the paid answer itself"
            yield Fault(at=("endpoint", i, "marker", "header"), says=says)
        counts = [key for key in ("pointer", "header", "log") if isinstance(witness, dict) and key in witness]
        if len(counts) > 1:
            says = f"counts in {len(counts)} ways ({', '.join(counts)}); keep one"
            yield Fault(at=("endpoint", i, "witness"), says=says)
        if isinstance(witness, dict) and "log" in witness and value_at(document, ("target", "start")) is None:
            says = "counts lines in the log of a target that we start, and there is no [target.start]; add one"
            yield Fault(at=("endpoint", i, "witness", "log"), says=says)


def _allowances(document: dict[str, Any]) -> Iterator[Fault]:
    """What is sensitive is allowed in named places, and not everywhere."""
    for i, answer in _entries(document, "answer"):
        allowed = answer.get("allow_sensitive")
        for k, pointer in enumerate(allowed if isinstance(allowed, list) else ()):
            if isinstance(pointer, str) and set(pointer.split("/")) <= {"", "*"}:
                says = f"is {_quoted(pointer)}, which is all of an answer; name the member"
                yield Fault(at=("answer", i, "allow_sensitive", k), says=says)


def _bodies(document: dict[str, Any]) -> Iterator[Fault]:
    """A schema of bodies, where no body is sent."""
    for i, endpoint in _entries(document, "endpoint"):
        at: At = ("endpoint", i, "body_schema")
        if "body_schema" in endpoint and endpoint.get("method", "GET") in {"GET", "HEAD"}:
            says = f"is the schema of a body, and a {endpoint.get('method', 'GET')} has none; take it out"
            yield Fault(at=at, says=says)
        elif "body_schema" in endpoint and "json" not in endpoint:
            yield Fault(at=at, says="is the schema of a JSON body, and the endpoint has no json; add one that fits it")


def _operations(document: dict[str, Any]) -> Iterator[Fault]:
    """An operation that is said to be two things."""
    seen: dict[str, str] = {}
    for key in ("paid", "free", "unknown"):
        listed = value_at(document, ("openapi", key))
        for k, name in enumerate(listed if isinstance(listed, list) else ()):
            if isinstance(name, str) and seen.setdefault(name, key) != key:
                says = f"is {_quoted(name)}, which stands in openapi.{seen[name]} as well; keep one"
                yield Fault(at=("openapi", key, k), says=says)


def _expectations(document: dict[str, Any]) -> Iterator[Fault]:
    """Who is answered as if there were nobody else, and pages that nobody crawls."""
    table = document.get("identity")
    for name, identity in table.items() if isinstance(table, dict) else ():
        expect = identity.get("expect") if isinstance(identity, dict) else None
        if isinstance(expect, list) and 402 in expect:
            says = "has 402, and it is for those who are turned away for another reason than money; take it out"
            yield Fault(at=("identity", name, "expect", expect.index(402)), says=says)
        for i, endpoint in _entries(document, "endpoint") if expect else ():
            for key in ("identity", "paid_identity"):
                if endpoint.get(key) == name:
                    says = (
                        f"is {_quoted(name)}, who is always answered otherwise (identity.{name}.expect); name another"
                    )
                    yield Fault(at=("endpoint", i, key), says=says)
    paths, paywalled = (value_at(document, ("crawl", key)) for key in ("paths", "paywalled"))
    for k, path in enumerate(paywalled if isinstance(paywalled, list) else ()):
        if isinstance(path, str) and isinstance(paths, list) and path not in paths:
            yield Fault(
                at=("crawl", "paywalled", k), says=f"is {_quoted(path)}, which is not in crawl.paths; add it there"
            )


def _placeholders(document: dict[str, Any]) -> Iterator[Fault]:
    url, start = value_at(document, ("target", "base_url")), value_at(document, ("target", "start"))
    at: At = ("target", "base_url")
    for word in dict.fromkeys(_PLACEHOLDER.findall(url) if isinstance(url, str) else ()):
        if word != "port":
            yield Fault(at=at, says=f"has the unknown placeholder {{{word}}}; known is {{port}}")
        elif not isinstance(start, dict):
            says = "has {port}, and there is no [target.start] that it would be given to; add one or write the port"
            yield Fault(at=at, says=says)
    known = ", ".join(f"{{{word}}}" for word in _START_PLACEHOLDERS)
    for at, text in _start_texts(start):
        for word in dict.fromkeys(_PLACEHOLDER.findall(text)):
            if word not in _START_PLACEHOLDERS:
                yield Fault(at=at, says=f"has the unknown placeholder {{{word}}}; known are {known}")


def _start_texts(start: object) -> Iterator[tuple[At, str]]:
    if not isinstance(start, dict):
        return
    env = start.get("env")
    texts: dict[At, object] = {(key,): start.get(key) for key in ("command", "cwd", "ready")}
    texts |= {("env", key): value for key, value in env.items()} if isinstance(env, dict) else {}
    yield from ((("target", "start", *at), text) for at, text in texts.items() if isinstance(text, str))


def _decimal(text: object) -> Decimal | None:
    return Decimal(text) if isinstance(text, str) and re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,9})?", text) else None


def _units(money: object) -> int | None:
    return int(money) if isinstance(money, str) and re.fullmatch(r"[0-9]{1,78}", money) else None


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


_NUMBERS: dict[str, Callable[[object], int | Decimal | None]] = {"amount": _units, "price": _decimal}
