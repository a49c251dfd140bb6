"""Proof that every keyword of a JSON Schema matters: without it some document would be judged otherwise."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.validators import extend
from referencing import Registry, Resource

__all__ = ["idle", "mutants"]

ANNOTATIONS = frozenset(
    {
        *("$anchor", "$comment", "$defs", "$dynamicAnchor", "$id", "$schema", "$vocabulary"),
        *("contentEncoding", "contentMediaType", "contentSchema", "default", "deprecated", "description"),
        # format asserts nothing unless a checker is given, and we give none.
        *("examples", "format", "readOnly", "title", "writeOnly"),
    }
)
ONE = frozenset(
    {
        *("additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then"),
        *("unevaluatedItems", "unevaluatedProperties"),
    }
)
MANY = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
NAMED = frozenset({"$defs", "dependentSchemas", "patternProperties", "properties"})

# An error below one of these does not decide the verdict by itself.
LOGIC = frozenset({"anyOf", "contains", "if", "not", "oneOf", "unevaluatedItems", "unevaluatedProperties"})
# Their success is what another keyword goes by, so to remove them can spoil a document that was valid.
PASSED_ON = frozenset(
    {"contains", "items", "maxContains", "minContains", "patternProperties", "prefixItems", "properties"}
)
# These are read by another keyword and never called by their own name.
READ_BY = {"else": "if", "then": "if", "maxContains": "contains", "minContains": "contains"}
SIZES = frozenset({"maxItems", "maxLength", "maxProperties", "minItems", "minLength", "minProperties"})
LIMITS = frozenset({"exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"})

Key = tuple[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A document near a valid one, and how the whole schema judges it."""

    document: Any
    removed: str | None = None
    errors: int = 0
    failed: frozenset[Key] = frozenset()
    firm: frozenset[Key] = frozenset()


@dataclass(slots=True, kw_only=True)
class _Watch:
    """What the keywords of a schema answered since the last look."""

    failed: set[Key] = field(default_factory=set)
    firm: set[Key] = field(default_factory=set)
    fine: set[tuple[Key, int]] = field(default_factory=set)
    learning: bool = True
    depth: int = 0


def idle(
    schema: dict[str, Any], valid: Sequence[Any], invalid: Sequence[Any] = (), others: Iterable[dict[str, Any]] = ()
) -> list[str]:
    """The JSON Pointers of the keywords of ``schema`` that change no verdict when they are removed.

    The verdicts are those on ``valid``, on ``invalid`` and on mutants of ``valid``. Each name in a ``required`` counts
    by itself. Keywords of ``others``, the schemas that ``schema`` refers to, are not looked at. ``schema`` is changed
    and restored in between.
    """
    registry: Registry[Any] = Registry().with_resources((s["$id"], Resource.from_contents(s)) for s in others)
    judged = _judged(schema, registry, valid, invalid)
    certain = {key for mutant in judged if mutant.errors == 1 for key in mutant.firm}
    keywords = list(_keywords(schema))
    words = {keyword for _, _, keyword, _ in keywords}
    found = []
    for pointer, node, keyword, member in keywords:
        key = (id(node), READ_BY.get(keyword, keyword))
        if member is None and keyword not in READ_BY and key in certain:
            continue
        passed_on = keyword in PASSED_ON or not words.isdisjoint({"unevaluatedItems", "unevaluatedProperties"})
        # Where the keyword did not fail, its removal can only spoil what was valid.
        near = [m for m in judged if key in m.failed or (passed_on and not m.errors)]
        near.sort(key=lambda m: (key not in m.failed, m.removed != member, m.errors))
        with _without(node, keyword, member):
            validator = Draft202012Validator(schema, registry=registry)
            if all(validator.is_valid(m.document) == (m.errors == 0) for m in near):
                found.append(pointer)
    return found


def mutants(document: Any, schema: dict[str, Any]) -> Iterator[tuple[Any, str | None]]:
    """Documents that differ from ``document`` in one place, each with the member that was taken away, if one was."""
    sizes = sorted(_edges(schema, SIZES))
    limits = sorted(_edges(schema, LIMITS))
    for value, put in _places(document, lambda new: new):
        others: list[Any] = [None, True, False, 0, -1, 1.5, "", "x", [], {}]
        match value:
            case bool() | None:
                pass
            case int() | float():
                others += [value + 1, value - 1, value + 0.5, -value, str(value), *limits]
            case str():
                others += [f"{value} ", f" {value}", f"{value}x", f"{value}é", value[:-1], value[1:], value.upper()]
                others += ["x" * size for size in sizes]
            case list() if value:
                others += [value[:1], value[:-1], [*value, value[0]], [*value, None]]
                others += [(value * (size // len(value) + 1))[:size] for size in sizes]
            case dict():
                yield from ((put({k: v for k, v in value.items() if k != name}), name) for name in value)
                first = next(iter(value.values()), None)
                others += [{**value, name: new} for name in ("unknown", "Not a name!") for new in (None, first)]
                others += [{**value, **{f"unknown{n}": first for n in range(max(sizes, default=0))}}]
        yield from ((put(new), None) for new in others)


def _places(value: Any, put: Callable[[Any], Any]) -> Iterator[tuple[Any, Callable[[Any], Any]]]:
    """Every value inside ``value``, and how to put another in its stead.

    The copy is made along the path only, so that what did not change stays the same object.
    """

    def member(name: str) -> Callable[[Any], Any]:
        return lambda new: put({**value, name: new})

    def item(i: int) -> Callable[[Any], Any]:
        return lambda new: put([*value[:i], new, *value[i + 1 :]])

    yield value, put
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _places(inner, member(name))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _places(inner, item(i))


def _edges(schema: dict[str, Any], keywords: frozenset[str]) -> set[Any]:
    bounds = {node[keyword] for _, node, keyword, _ in _keywords(schema) if keyword in keywords}
    return {max(edge, 0) if keywords is SIZES else edge for bound in bounds for edge in (bound - 1, bound, bound + 1)}


def _judged(
    schema: dict[str, Any], registry: Registry[Any], valid: Sequence[Any], invalid: Sequence[Any]
) -> list[Mutant]:
    watch = _Watch()
    watched = extend(
        Draft202012Validator,
        {word: _watched(word, judge, watch) for word, judge in Draft202012Validator.VALIDATORS.items()},
    )
    # With $schema, jsonschema would return to its own class half-way down.
    validator = watched({k: v for k, v in schema.items() if k != "$schema"}, registry=registry)
    roots = {id(validator.schema): id(schema)}

    def judge(document: Any, removed: str | None = None) -> Mutant:
        watch.failed.clear()
        watch.firm.clear()
        errors = sum(1 for _ in validator.iter_errors(document))
        failed, firm = (frozenset((roots.get(n, n), word) for n, word in s) for s in (watch.failed, watch.firm))
        return Mutant(document=document, removed=removed, errors=errors, failed=failed, firm=firm)

    judged = [judge(document) for document in valid]
    watch.learning = False
    judged += [judge(document) for document in invalid]
    judged += [judge(new, removed) for document in valid for new, removed in mutants(document, schema)]
    return judged


def _watched(word: str, judge: Callable[..., Iterable[Any] | None], watch: _Watch) -> Callable[..., list[Any]]:
    def watched(validator: Any, value: Any, instance: Any, schema: dict[str, Any]) -> list[Any]:
        key = (id(schema), word)
        known = (key, id(instance))
        if known in watch.fine:
            return []
        watch.depth += word in LOGIC
        errors = list(judge(validator, value, instance, schema) or ())
        watch.depth -= word in LOGIC
        if errors:
            watch.failed.add(key)
            if not watch.depth:
                watch.firm.add(key)
        elif watch.learning and isinstance(instance, dict | list):
            # Mutants share what they did not change with the valid document: no need to judge it again.
            watch.fine.add(known)
        return errors

    return watched


def _keywords(schema: Any, at: str = "") -> Iterator[tuple[str, dict[str, Any], str, str | None]]:
    """Pointer, subschema, keyword, and for ``required`` one of its names."""
    if not isinstance(schema, dict):
        return
    for keyword, value in list(schema.items()):
        here = f"{at}/{keyword}"
        if keyword == "required":
            yield from ((f"{here}/{name}", schema, keyword, name) for name in value)
        elif keyword not in ANNOTATIONS:
            yield here, schema, keyword, None
        if keyword in ONE:
            yield from _keywords(value, here)
        elif keyword in MANY:
            for i, inner in enumerate(value):
                yield from _keywords(inner, f"{here}/{i}")
        elif keyword in NAMED:
            for name, inner in value.items():
                yield from _keywords(inner, f"{here}/{name}")


@contextmanager
def _without(node: dict[str, Any], keyword: str, member: str | None) -> Iterator[None]:
    before = dict(node)
    if member is None:
        del node[keyword]
    else:
        node[keyword] = [name for name in node[keyword] if name != member]
    try:
        yield
    finally:
        node.clear()
        node.update(before)
