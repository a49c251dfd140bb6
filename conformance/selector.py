"""How a profile points into an answer: the words of a selector, checked when the profile is loaded."""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import jmespath
import soupsieve
from jmespath.exceptions import JMESPathError

from conformance.schema import shown

__all__ = [
    "Const",
    "Css",
    "First",
    "Header",
    "JmesPath",
    "Link",
    "Map",
    "Member",
    "Pointer",
    "Prose",
    "Scalar",
    "Selector",
    "Text",
    "at_pointer",
    "compiled_expression",
    "compiled_regex",
    "parse",
    "resolve_pointer",
]

Scalar: TypeAlias = str | int | float | bool

# A pointer must start with a slash or be empty; "~" only as "~0" or "~1" (RFC 6901, section 3).
_POINTER = re.compile(r"(/([^~/]|~[01])*)*\Z")
# What follows a CSS selector where an attribute is meant and not the text.
_ATTRIBUTE = re.compile(r"(.*\S)\s+@([A-Za-z][A-Za-z0-9-]*)")
_INDEX = re.compile(r"(0|[1-9][0-9]*)\Z")
# A longer run of digits is not an index of anything, and int() would take its time over it.
_LONGEST_INDEX = 10
_PREFIXES = ("jmespath", "member", "header", "link", "css", "text")
_TABLES = {
    "first": ({"first"}, set[str]()),
    "map": ({"map", "to"}, {"else"}),
    "prose": ({"prose", "re"}, set[str]()),
    "const": ({"const"}, set[str]()),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """A member of the JSON body (RFC 6901); "" is the whole body."""

    pointer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JmesPath:
    """What a JMESPath expression finds in the JSON body."""

    expression: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """The value of a member of the body with one of several names, wherever in it: the outermost one counts.

    Case and the characters between words do not: ``request_id`` finds requestId too.
    """

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The value of a header field."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The target of the ``Link`` field with a relation (RFC 8288)."""

    rel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Css:
    """The text of the first element of an HTML body that a CSS selector matches, or its ``attribute`` if that is named.

    ``css: a.cta @href`` is the attribute href of the first such link.
    """

    selector: str
    attribute: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """The group ``x``, or without one the whole match, of a regular expression in the body."""

    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """The first of several selectors that finds something."""

    selectors: tuple["Selector", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """What a found value is called in our words; ``default`` is for every other value that is found."""

    selector: "Selector"
    to: Mapping[str, Scalar]
    default: Scalar | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prose:
    """The group ``x`` of a regular expression in a found text: a fact that is only there in prose."""

    selector: "Selector"
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Const:
    """A fact that holds whatever the answer says."""

    value: Scalar


Selector: TypeAlias = Pointer | JmesPath | Member | Header | Link | Css | Text | First | Map | Prose | Const


def parse(value: object) -> Selector:
    """The selector that a profile writes as a text or a table; raises ValueError with one sentence."""
    match value:
        case str():
            return _parse_text(value)
        case dict():
            return _parse_table(value)
        case _:
            msg = f'{shown(value)} is not a selector; write a JSON Pointer, a text such as "header: Name", or a table'
            raise ValueError(msg)


def resolve_pointer(document: object, pointer: str) -> list[tuple[str, object]]:
    """Each place of ``document`` that ``pointer`` means, as a JSON Pointer without wildcards, and its value.

    The segment ``*`` stands for every member of an object or array. Nothing found gives an empty list;
    raises ValueError for bad syntax (RFC 6901, section 3).
    """
    _check_pointer(pointer)
    found: list[tuple[str, object]] = [("", document)]
    for segment in pointer.split("/")[1:]:
        found = [below for at, value in found for below in _step(at, value, segment)]
    return found


def at_pointer(document: Any, pointer: str) -> Any:
    """What a JSON Pointer (RFC 6901) points at; None when there is nothing."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict) and key in document:
            document = document[key]
        elif isinstance(document, list) and key.isdecimal() and int(key) < len(document):
            document = document[int(key)]
        else:
            return None
    return document


def compiled_regex(text: str) -> re.Pattern[str]:
    """A compiled regular expression; raises ValueError with one sentence."""
    try:
        return re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        msg = f"{shown(text)} is not a regular expression: {error}"
        raise ValueError(msg) from error


def compiled_expression(text: str) -> str:
    """``text`` again, if it compiles as JMESPath; raises ValueError with one sentence."""
    try:
        jmespath.compile(text)
    except (JMESPathError, RecursionError) as error:
        reason = " ".join(str(error).split("\n", 1)[0].split()).rstrip(":")
        msg = f"{shown(text)} is not a JMESPath expression: {reason}"
        raise ValueError(msg) from error
    return text


def _parse_text(text: str) -> Selector:
    if not text or text.startswith("/"):
        _check_pointer(text)
        return Pointer(pointer=text)
    prefix, colon, rest = text.partition(":")
    rest = rest.strip()
    if not colon or prefix not in _PREFIXES:
        raise ValueError(_unknown(text, prefix if colon else None))
    if not rest:
        msg = f"{shown(text)} says nothing after the colon"
        raise ValueError(msg)
    match prefix:
        case "jmespath":
            return JmesPath(expression=compiled_expression(rest))
        case "member":
            return Member(names=tuple(dict.fromkeys(name.strip() for name in rest.split(",") if name.strip())))
        case "header":
            return Header(name=rest)
        case "link":
            return Link(rel=rest)
        case "css":
            return _css(rest)
        case _:
            return Text(pattern=compiled_regex(rest))


def _css(text: str) -> Css:
    found = _ATTRIBUTE.fullmatch(text)
    selector, attribute = (found[1], found[2].lower()) if found else (text, "")
    try:
        soupsieve.compile(selector)
    except soupsieve.SelectorSyntaxError as error:
        msg = f"{shown(selector)} is not a CSS selector: {str(error).splitlines()[0]}"
        raise ValueError(msg) from error
    return Css(selector=selector, attribute=attribute)


def _parse_table(table: Mapping[str, object]) -> Selector:
    kinds = [kind for kind in _TABLES if kind in table]
    if len(kinds) != 1:
        found = " and ".join(kinds) or ", ".join(table) or "nothing"
        msg = f"a selector table has exactly one of first, map, prose and const; this one has {found}"
        raise ValueError(msg)
    kind = kinds[0]
    needed, optional = _TABLES[kind]
    if missing := sorted(needed - table.keys()):
        msg = f"a selector with {kind} needs {missing[0]} as well"
        raise ValueError(msg)
    if extra := sorted(table.keys() - needed - optional):
        msg = f"a selector with {kind} cannot have {extra[0]}"
        raise ValueError(msg)
    match kind:
        case "first":
            return First(selectors=_several(table["first"]))
        case "map":
            default = _scalar("else", table["else"]) if "else" in table else None
            return Map(selector=parse(table["map"]), to=_words(table["to"]), default=default)
        case "prose":
            return Prose(selector=parse(table["prose"]), pattern=_group_x(table["re"]))
        case _:
            return Const(value=_scalar("const", table["const"]))


def _several(value: object) -> tuple[Selector, ...]:
    if not isinstance(value, list) or not value:
        msg = f"first is {shown(value)}; write a list of at least one selector"
        raise ValueError(msg)
    return tuple(map(parse, value))


def _words(value: object) -> dict[str, Scalar]:
    if not isinstance(value, dict):
        msg = f"to is {shown(value)}; write a table from what the API says to what it means"
        raise ValueError(msg)
    return {key: _scalar(f"to.{key}", word) for key, word in value.items()}


def _scalar(key: str, value: object) -> Scalar:
    if not isinstance(value, str | int | float):
        msg = f"{key} is {shown(value)}; write a text, a number, true or false"
        raise ValueError(msg)
    return value


def _group_x(value: object) -> re.Pattern[str]:
    if not isinstance(value, str):
        msg = f"re is {shown(value)}; write a regular expression"
        raise ValueError(msg)
    pattern = compiled_regex(value)
    if "x" not in pattern.groupindex:
        msg = f"{shown(value)} has no group x; write (?P<x>...) around what is wanted"
        raise ValueError(msg)
    return pattern


def _check_pointer(text: str) -> None:
    if _POINTER.match(text) is None:
        reason = 'a "~" in it is written "~0" and a "/" "~1"' if text.startswith("/") else 'it starts with "/"'
        msg = f"{shown(text)} is not a JSON Pointer: {reason}"
        raise ValueError(msg)


def _unknown(text: str, prefix: str | None) -> str:
    if prefix is None:
        return f'{shown(text)} is not a selector; did you mean the JSON Pointer "/{text}"?'
    near = difflib.get_close_matches(prefix.strip().lower(), _PREFIXES, n=1)
    hint = f'did you mean "{near[0]}:"?' if near else "known are " + ", ".join(f"{known}:" for known in _PREFIXES)
    return f'{shown(text)} starts with the unknown word "{prefix}:"; {hint}'


def _step(at: str, value: object, segment: str) -> Iterator[tuple[str, object]]:
    name = segment.replace("~1", "/").replace("~0", "~")
    match value:
        case dict():
            keys = list(value) if segment == "*" else [name] if name in value else []
            for key in keys:
                yield f"{at}/{str(key).replace('~', '~0').replace('/', '~1')}", value[key]
        case list():
            if segment == "*":
                yield from ((f"{at}/{index}", item) for index, item in enumerate(value))
            elif len(name) < _LONGEST_INDEX and _INDEX.match(name) and int(name) < len(value):
                yield f"{at}/{name}", value[int(name)]
