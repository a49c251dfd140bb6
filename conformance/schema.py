"""The registry of JSON Schemas, offline, and what is wrong with a document as data.

A schema is named by its path below ``schemas/`` without ``.schema.json``: ``x402/v2/payment-required``.
Its ``$id`` is ``urn:pytest-402:`` and that name, and ``$ref`` uses the same URN. Nothing is ever fetched.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation, localcontext
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError
from referencing import Registry, Resource
from referencing.exceptions import NoSuchResource

from conformance import _data

__all__ = [
    "Errors",
    "Problem",
    "judging",
    "named",
    "pointer",
    "problems",
    "shown",
    "type_word",
    "validator",
    "violations",
]

URN = "urn:pytest-402:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One place where a document does not fit its schema."""

    at: tuple[str | int, ...]
    """Path of the value in the document; for a missing or unknown member, the object that has or lacks it."""
    keyword: str
    """The JSON Schema keyword that does not hold."""
    expected: str
    """The nearest ``description`` in the schema, or the keyword in words."""
    received: str
    """The value and its type, shortened."""
    member: str | None = None
    """The missing or unknown member, for ``required`` and ``additionalProperties``."""
    allowed: tuple[str, ...] = ()
    """The members or words that the schema knows at this place."""


def _pattern(_: object, pattern: str, instance: object, __: object) -> Iterator[ValidationError]:
    # In Python "$" also matches before a final newline; in JSON Schema (ECMA 262) it does not.
    if isinstance(instance, str) and not re.search(re.sub(r"(?<!\\)\$$", r"\\Z", pattern), instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


_Validator: Any = validators.extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]


@cache
def named(name: str) -> dict[str, Any]:
    """The schema called ``name``; raises FileNotFoundError when we ship none of that name."""
    loaded: dict[str, Any] = json.loads((_data.schemas() / f"{name}.schema.json").read_text("utf-8"))
    return loaded


@cache
def validator(name: str) -> Any:
    """A validator for the schema called ``name``, or for its part behind a ``#``, a JSON Pointer.

    References resolve within our own schemas only.
    """
    schema = {"$ref": URN + name} if "#" in name else named(name)
    return _Validator(schema, registry=_registry())


Errors = Callable[[object], Iterator[ValidationError]]
"""Tells the errors of an instance, one instance after the other."""


def violations(instance: object, schema: dict[str, Any]) -> Iterator[ValidationError]:
    """The errors of ``instance`` under a foreign 2020-12 ``schema``; raises as ``judging`` and what it returns do."""
    return judging(schema)(instance)


def judging(schema: dict[str, Any]) -> Errors:
    """What tells the errors of an instance under a foreign 2020-12 ``schema``.

    Raises SchemaError for what is no schema. What it returns raises Unresolvable for a reference that leads outside,
    RecursionError for one that leads nowhere, OverflowError for one that has too many steps. Nothing is fetched.
    Regular expressions of strangers are not run: one could run for ever.
    """
    Draft202012Validator.check_schema(schema)
    steps: Iterator[int] = iter(())

    def reference(validator: Any, ref: str, value: object, _: object) -> Iterator[ValidationError]:
        if next(steps, None) is None:
            msg = f"more than {_STEPS} references to follow"
            raise OverflowError(msg)
        yield from validator._validate_reference(ref=ref, instance=value)  # noqa: SLF001 - as the keyword itself does

    bounded: Any = validators.extend(  # type: ignore[no-untyped-call]
        Draft202012Validator, {"$ref": reference, "$dynamicRef": reference, "multipleOf": _multiple_of}
    )
    validator = bounded(_without_patterns(schema), registry=_registry())

    def errors(instance: object) -> Iterator[ValidationError]:
        nonlocal steps
        steps = iter(range(_STEPS))
        found: Iterator[ValidationError] = validator.iter_errors(instance)
        return found

    return errors


_STEPS = 20_000
"""References that are followed: some seven for each of 3,000 members of a list."""


def _multiple_of(_: object, divisor: Any, instance: object, __: object) -> Iterator[ValidationError]:
    # As it is written: in binary fractions 19.99 is no multiple of 0.01.
    if not isinstance(instance, int | float) or isinstance(instance, bool):
        return
    with localcontext(prec=_DIGITS):
        try:
            left = Decimal(str(instance)) % Decimal(str(divisor))
        except (InvalidOperation, ValueError):
            return
    if left != 0:
        yield ValidationError(f"{instance!r} is not a multiple of {divisor!r}")


_DIGITS = 5000
"""More than any number of JSON has that Python reads as one."""


def problems(instance: object, name: str) -> tuple[Problem, ...]:
    """What is wrong with ``instance`` under the schema called ``name``, in document order."""
    found = {p: None for error in validator(name).iter_errors(instance) for p in _leaves(error)}
    return tuple(sorted(found, key=lambda p: tuple(map(str, p.at))))


def pointer(at: Iterable[str | int]) -> str:
    """A JSON Pointer (RFC 6901) for a path."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in at)


def type_word(value: object) -> str:
    """The JSON type of a Python value, with its article."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case dict():
            return "an object"
        case _:
            return "an array"


def _without_patterns(schema: Any) -> Any:
    match schema:
        case dict() if "patternProperties" in schema:
            # Without its patterns, an object that is closed by them would be judged wrongly.
            return True
        case dict():
            # A member of an object may be called so as well.
            return {k: _without_patterns(v) for k, v in schema.items() if k != "pattern" or not isinstance(v, str)}
        case list():
            return [_without_patterns(value) for value in schema]
        case _:
            return schema


@cache
def _registry() -> Registry[Any]:
    return Registry(retrieve=_retrieve)  # type: ignore[call-arg]  # attrs makes the argument from _retrieve


def _retrieve(uri: str) -> Resource[Any]:
    name = uri.removeprefix(URN)
    try:
        if not uri.startswith(URN) or not re.fullmatch(r"[a-z0-9]+([/-][a-z0-9]+)*", name):
            raise NoSuchResource(ref=uri)  # type: ignore[call-arg]
        return Resource.from_contents(named(name))
    except FileNotFoundError:
        raise NoSuchResource(ref=uri) from None  # type: ignore[call-arg]


def _leaves(error: ValidationError) -> Iterator[Problem]:
    """For anyOf and oneOf, the errors of the branch that came furthest; otherwise the error itself."""
    if error.context and error.validator in {"anyOf", "oneOf"}:
        branches: dict[object, list[ValidationError]] = {}
        for inner in error.context:
            branches.setdefault(inner.relative_schema_path[0], []).append(inner)
        deep = [b for b in branches.values() if not any(e.validator == "type" and not e.relative_path for e in b)]
        if len(deep) == 1:
            for inner in deep[0]:
                yield from _leaves(inner)
            return
    yield _problem(error)


def _problem(error: ValidationError) -> Problem:
    value: Any = error.validator_value
    keyword, schema = str(error.validator), error.schema if isinstance(error.schema, dict) else {}
    member: str | None = None
    allowed: tuple[str, ...] = tuple(schema.get("properties", {}))
    if keyword == "required":
        # One error per missing member, which is named in the message alone.
        member = next(name for name in value if error.message.startswith(repr(name)))
    elif keyword == "additionalProperties":
        unknown: Any = error.instance
        member = next((key for key in unknown if key not in allowed), None)
    elif keyword == "enum":
        allowed = tuple(map(str, value))
    return Problem(
        at=tuple(error.absolute_path),
        keyword=keyword,
        expected=f"the member {member}" if keyword == "required" else _expected(keyword, value, schema),
        received=shown(error.instance),
        member=member,
        allowed=allowed,
    )


def _expected(keyword: str, value: Any, schema: Mapping[str, Any]) -> str:
    match keyword:
        case "additionalProperties":
            return "no other member"
        case _ if "description" in schema:
            return str(schema["description"])
        case "type":
            return " or ".join(value) if isinstance(value, list) else str(value)
        case "enum":
            return "one of " + ", ".join(map(str, value))
        case _:
            return f"{keyword} {json.dumps(value, default=str)}"


def shown(value: object, limit: int = 80) -> str:
    """A JSON value as one short line with its type, for a sentence."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    return f"{text} ({type_word(value)})" if not isinstance(value, (dict, list)) else f"{type_word(value)}: {text}"
