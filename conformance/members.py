"""The members of a body by their names, whether it is JSON, a form or XML, and in whatever spelling."""

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl

from conformance import schema
from conformance.exchange import Response

__all__ = ["named", "standing"]

# Members of one object or list, and of a body in all, that are looked at.
_MANY, _MOST = 200, 5000
# An answer of GraphQL has its errors in the data, and those of a processor in the history of a transaction.
_DEEP = 6
# Characters of a body that is no JSON.
_LONGEST = 100_000

_FORM = re.compile(r"[\w.\[\]%-]+=[^&\s]*(?:&[\w.\[\]%-]+=[^&\s]*)*")
_XML = re.compile(r"<(?:[\w.-]+:)?([\w.-]{1,80})(?:\s[^<>]*)?>([^<>]+)</|(?<=\s)([\w.-]{1,80})=\"([^\"<>]*)\"")


def named(response: Response, names: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Place (a JSON Pointer) and value of every member with one of ``names``, the outermost first, then as they are named."""
    called = _called(response)
    spelt = dict.fromkeys(map(_spelt, names))
    found = [(place.count("/"), rank, place, v) for rank, n in enumerate(spelt) for place, v in called.get(n, ())]
    yield from ((place, value) for _, _, place, value in sorted(found, key=lambda entry: entry[:2]))


def standing(document: Any, value: Any, otherwise: str) -> str:
    """Where the one ``value`` stands that an expression found."""
    same = (place for place, _, found in _members(document) if type(found) is type(value) and found == value)
    return next(same, otherwise) if isinstance(value, str | int | float) else otherwise


def _spelt(name: str) -> str:
    """A name of a member in its one spelling: ``errorCode``, ``Error Code`` and ``error-code`` are ``error_code``."""
    return re.sub(r"[\s_.-]", "", name).lower()


@lru_cache(maxsize=8)
def _called(response: Response) -> Mapping[str, list[tuple[str, Any]]]:
    """Places and values of the members of the body by their names in one spelling; a rule asks for dozens of names."""
    found: dict[str, list[tuple[str, Any]]] = {}
    for place, key, value in islice(_members(_document(response)), _MOST):
        found.setdefault(_spelt(key), []).append((place, value))
    return found


def _document(response: Response) -> Any:
    """The body as JSON; the pairs of a form, or the elements and attributes of XML, as one object of the first each."""
    text = response.text().lstrip("\ufeff \t\r\n") if response.json_or_none() is None else ""
    if _FORM.fullmatch(pairs := text[:_LONGEST].rstrip()):
        return dict(reversed(parse_qsl(pairs)))
    if not text.startswith("<") or "html" in response.media_type() or re.match(r"(?i)<!doctype html|<html", text):
        return response.json_or_none()
    document: dict[str, str] = {}
    for element, inner, attribute, value in _XML.findall(text[:_LONGEST]):
        document.setdefault(element or attribute, html.unescape(inner or value).strip())
    return document


def _members(document: Any, at: str = "", deep: int = 0) -> Iterator[tuple[str, str, Any]]:
    """Place, name and value of every member, down to the seventh level."""
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in list(items)[:_MANY]:
        place = f"{at}{schema.pointer((key,))}"
        yield place, str(key) if isinstance(document, dict) else "", value
        if deep < _DEEP:
            yield from _members(value, place, deep + 1)
