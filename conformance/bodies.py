"""Request bodies that fit the schema of an endpoint: drawn, each as one line of JSON."""

import json
import math
import re
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument
from jsonschema.exceptions import SchemaError
from referencing.exceptions import Unresolvable

from conformance import documents, schema
from conformance.probe import Probe
from conformance.profile import Endpoint
from conformance.selector import at_pointer

__all__ = ["LABEL", "OTHER", "PAID", "asked", "fitting", "other_bodies", "unusable"]

LABEL = "body-"
"""How the exchanges of drawn bodies are called."""
PAID = "paid: "
"""What stands before the name of one that is forbidden, and asked once more by who has paid."""
OTHER = "other-body-"
"""How those are called that show what the drawn ones are worth."""

_LARGEST = 2000
"""Bytes of a body."""
_DEEPEST = 8
_MANY = 12
_OTHERS = 3
_SERVED = 5
# Of one, two, three and four bytes in UTF-8, from right to left, wide, and what other languages quote or escape.
_TEXT = "0 aAzZ9'\"<>&%$#{}[]\\/;:,.-_+*?!éßøñčŁΩЖяשع中文日本語한हि€…😀🏳👩"
_FORMATS = {
    "date": "2026-11-22",
    "date-time": "2026-11-22T04:00:00Z",
    "email": "someone@example.com",
    "time": "04:00:00Z",
    "uri": "https://example.com/",
    "uuid": "5e1a0c4e-3f4e-4b57-9b2c-0d3f6f1b7a10",
}
Draw = Callable[[st.SearchStrategy[Any]], Any]


def unusable(endpoint: Endpoint) -> str:
    """Why no body can be drawn from the schema of ``endpoint``; empty where one can."""
    path = endpoint.body_schema
    assert path is not None  # noqa: S101 - only where there is one
    try:
        _, errors = _judged_by(path.read_bytes())
        found = next(errors(endpoint.json), None)
    except OSError as error:
        return f"the schema {path} cannot be read: {error.strerror}"
    except (ValueError, SchemaError, Unresolvable, RecursionError, OverflowError) as error:
        return f"{path} is not a JSON Schema that bodies can be drawn from: {str(error).splitlines()[0]}"
    if found:
        at = schema.pointer(found.absolute_path) or "the whole"
        return f"the endpoint's own json does not fit {path.name} ({at}): {' '.join(found.message.split())[:200]}"
    return ""


@lru_cache(8)
def _judged_by(text: bytes) -> tuple[dict[str, Any], schema.Errors]:
    """A schema, and what judges by it: made once for all that is drawn. Raises as ``schema.judging``, and ValueError."""
    whole = documents.loads(text)
    return whole, schema.judging(whole)


def fitting(probe: Probe) -> st.SearchStrategy[str]:
    """Bodies for the endpoint of ``probe``, each with a number behind it; without a schema that can be used, nothing.

    Where little fits, one and the same comes more than once, which is why they are numbered.
    """
    probe.gather(other_bodies)
    if probe.endpoint is None or probe.endpoint.body_schema is None or unusable(probe.endpoint):
        return st.just("")
    return st.tuples(_bodies(probe.endpoint), st.integers(0, 9999)).map(lambda pair: f"{pair[0]}\n{pair[1]}")


def asked(probe: Probe, value: str) -> None:
    """Sends a body that ``fitting`` drew."""
    if value:
        number = sum(label.startswith(LABEL) for label in probe.kept)
        body = value.partition("\n")[0].encode()
        answer = probe.ask(f"{LABEL}{number}", body=body).response
        if answer and answer.status == 403 and probe.endpoint and (paid := probe.endpoint.paid_identity):
            had = (exchange.response for label, exchange in probe.kept.items() if label.startswith(PAID))
            # Each that is served costs something, and a few show that it is not the body.
            if sum(one is not None and one.status != 403 for one in had) < _SERVED:
                probe.ask(f"{PAID}{LABEL}{number}", identity=paid, body=body)


def other_bodies(probe: Probe) -> None:
    """A few bodies that fit, none of them the endpoint's own: they show whether what is drawn is worth anything."""
    endpoint = probe.endpoint
    if endpoint is None or endpoint.body_schema is None or unusable(endpoint):
        return
    found: list[str] = []

    def keep(body: str) -> None:
        found.append(body)

    hypothesis.settings(
        max_examples=_MANY,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )(hypothesis.given(_bodies(endpoint))(keep))()
    others = [body for body in dict.fromkeys(found) if body != _line(endpoint.json)]
    for number, body in enumerate(others[:_OTHERS]):
        probe.ask(f"{OTHER}{number}", body=body.encode())


def _bodies(endpoint: Endpoint) -> st.SearchStrategy[str]:
    """Bodies that fit, half of them the endpoint's own but for some members; its own where none was found."""
    assert endpoint.body_schema is not None  # noqa: S101 - only where there is one
    (whole, errors), own = _judged_by(endpoint.body_schema.read_bytes()), endpoint.json

    @st.composite
    def body(draw: Draw) -> str:
        try:
            value = _value(draw, whole, whole, 0)
            if isinstance(value, dict) and isinstance(own, dict) and draw(st.booleans()):
                value = own | {name: member for name, member in value.items() if draw(st.booleans())}
            text = _line(value)
            fits = len(text.encode()) <= _LARGEST and not any(errors(value))
        except _NO_BODY:
            return _line(own)
        return text if fits else _line(own)

    return body()


class _Unfit(Exception):
    """Nothing is known that would fit here."""


# What odd schemas, valid all the same, come to: patterns of other languages, loops, numbers beyond any, empty choices.
_NO_BODY = (_Unfit, re.error, RecursionError, OverflowError, UnicodeEncodeError, InvalidArgument, Unresolvable)


def _line(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _value(draw: Draw, part: Any, whole: Any, depth: int) -> Any:
    """A value that probably fits ``part`` of the schema ``whole``: what it has of rare keywords is checked afterwards."""
    if part is False or depth > 2 * _DEEPEST:
        raise _Unfit
    if part is True:
        part = {}
    part = _joined(part, whole)
    for key in ("anyOf", "oneOf"):
        if key in part:
            branch = draw(st.sampled_from(part[key]))
            rest = {name: value for name, value in part.items() if name != key}
            return _value(draw, {"allOf": [rest, branch]}, whole, depth + 1)
    if "const" in part:
        return part["const"]
    if "enum" in part:
        return draw(st.sampled_from(part["enum"]))
    match draw(st.sampled_from(_types(part))):
        case "null":
            return None
        case "boolean":
            return draw(st.booleans())
        case "integer" | "number" as kind:
            return _number(draw, part, whole=kind == "integer")
        case "string":
            return _string(draw, part)
        case "array":
            return _array(draw, part, whole, depth)
        case _:
            return _object(draw, part, whole, depth)


def _joined(part: dict[str, Any], whole: Any) -> dict[str, Any]:
    """``part`` with what its references within ``whole`` and its ``allOf`` demand, as far as that can be put together."""
    together = {name: value for name, value in part.items() if name not in {"$ref", "allOf"}}
    parts = list(part.get("allOf", ()))
    if (reference := part.get("$ref")) is not None:
        named = at_pointer(whole, reference[1:]) if reference == "#" or reference.startswith("#/") else None
        if named is None:
            raise _Unfit
        parts.insert(0, named)
    for one in parts:
        if one is False:
            raise _Unfit
        for name, value in _joined(one, whole).items() if isinstance(one, dict) else ():
            if name == "properties":
                together[name] = {**value, **together.get(name, {})}
            elif name == "required":
                together[name] = [*together.get(name, ()), *value]
            else:
                together.setdefault(name, value)
    return together


_HINTS = {
    "object": {"properties", "required", "minProperties", "additionalProperties"},
    "array": {"items", "prefixItems", "minItems", "maxItems"},
    "string": {"pattern", "format", "minLength", "maxLength"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
}


def _types(part: dict[str, Any]) -> list[str]:
    if "type" in part:
        return [part["type"]] if isinstance(part["type"], str) else list(part["type"])
    hinted = [kind for kind, keys in _HINTS.items() if keys & part.keys()]
    return hinted or ["string", "integer", "boolean", "null"]


def _number(draw: Draw, part: dict[str, Any], *, whole: bool) -> float:
    step = part.get("multipleOf", 1 if whole else 0.25)
    low = max(part.get("minimum", -math.inf), part.get("exclusiveMinimum", -math.inf))
    high = min(part.get("maximum", math.inf), part.get("exclusiveMaximum", math.inf))
    low = low if math.isfinite(low) else min(0, high) - 1_000_000
    high = high if math.isfinite(high) else max(0, low) + 1_000_000
    first, last = math.ceil(low / step), math.floor(high / step)
    if first > last:
        raise _Unfit
    found: float = draw(st.integers(first, last)) * step
    return int(found) if found == int(found) else found


def _string(draw: Draw, part: dict[str, Any]) -> str:
    least, most = int(part.get("minLength", 0)), part.get("maxLength", math.inf)
    if least > most or least > _LARGEST:
        raise _Unfit
    found: str
    if "pattern" in part:
        found = draw(st.from_regex(part["pattern"]).filter(str.isprintable))
    elif part.get("format") in _FORMATS:
        found = _FORMATS[part["format"]]
    else:
        found = draw(st.text(_TEXT, min_size=min(least, 20), max_size=int(min(most, 20))))
        # A long text is a short one many times over.
        longest = int(min(most, max(least, 600)))
        length = draw(st.one_of(st.just(max(least, len(found))), st.integers(max(least, len(found)), longest)))
        found = (found * (length // len(found) + 1))[:length] if found else "a" * least
    return found


def _array(draw: Draw, part: dict[str, Any], whole: Any, depth: int) -> list[Any]:
    first = part.get("prefixItems", ())
    least = part.get("minItems", 0)
    most = min(part.get("maxItems", math.inf), max(least, len(first)) + (3 if depth < _DEEPEST else 0))
    if not least <= most <= _LARGEST:
        raise _Unfit
    items = part.get("items", True)
    if items is False:
        most = min(most, len(first))
    found: list[Any] = []
    while len(found) < most and (len(found) < least or draw(st.booleans())):
        found.append(_value(draw, first[len(found)] if len(found) < len(first) else items, whole, depth + 1))
    return found


def _object(draw: Draw, part: dict[str, Any], whole: Any, depth: int) -> dict[str, Any]:
    known, required = part.get("properties", {}), part.get("required", ())
    found: dict[str, Any] = {}
    for name in dict.fromkeys([*required, *known]):
        if name in required:
            found[name] = _value(draw, known.get(name, True), whole, depth + 1)
        elif depth < _DEEPEST and draw(st.booleans()):
            # What nothing is known of may be left out.
            with suppress(*_NO_BODY):
                found[name] = _value(draw, known[name], whole, depth + 1)
    return found
