"""What a refusal says, whatever its shape: the rule of the profile that it fits, and the facts that this rule finds."""

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from conformance import fields, members
from conformance.exchange import Response
from conformance.page import Page
from conformance.profile import Answer, When
from conformance.selector import (
    Const,
    Css,
    First,
    Header,
    JmesPath,
    Link,
    Map,
    Member,
    Pointer,
    Prose,
    Selector,
    Text,
    resolve_pointer,
)

__all__ = ["MOMENTS", "Fact", "Record", "fits", "judged", "matching", "moment", "numeric", "record", "slug"]

_NUMBERS = ("required", "balance", "limit", "used", "remaining", "shortfall")
MOMENTS = ("resets_at", "expired_at", "grace_until")
# Commas count only where they part thousands: 3,5 may be three and a half.
_WRITTEN = re.compile(r"[+-]?([0-9]{1,18}|[0-9]{1,3}(,[0-9]{3}){1,5})(\.[0-9]{1,9})?")
_SHOWN = 60
_MEASURED = ("required", "balance", "remaining", "limit", "used")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that a refusal says."""

    value: Any
    at: str
    """Where it stands, for a sentence: a JSON Pointer, ``X-Reason``, ``Link rel="payment"``; what a profile says itself
    stands nowhere."""
    part: str = ""
    """Which part of the answer that is: ``body``, ``page`` (a body of HTML), ``field`` or ``link``; empty for what a profile says itself."""
    prose: bool = False
    """Whether it is taken out of a sentence that is meant for people."""
    elsewhere: tuple["Fact", ...] = ()
    """What the same selector finds in other parts of the answer: a field beside the body, a body beside a field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The facts of one refusal, under the rule that it fits."""

    rule: Answer
    facts: Mapping[str, Fact]
    document: Mapping[str, Any] = field(repr=False)
    """The facts as ``schemas/facts`` judge them: codes as slugs, numbers as numbers, moments in RFC 3339."""

    def looked_at(self, name: str) -> str:
        """Where the rule looks for a fact, for a sentence; empty when it does not."""
        return _places(self.rule.facts[name]) if name in self.rule.facts else ""


def matching(rules: Iterable[Answer], response: Response) -> tuple[Answer, ...]:
    """The rules that the answer fits, by status and ``when``, in their order."""
    return tuple(rule for rule in rules if response.status in rule.status and fits(rule.when, response))


def fits(when: When | None, response: Response) -> bool:
    """Whether every condition of ``when`` holds."""
    if when is None:
        return True
    held = [_found(JmesPath(expression=when.jmespath), response) not in _FALSE] if when.jmespath else []
    held += [_field_is(name, value, response) for name, value in when.header.items()]
    held += [re.search(when.text, response.text()) is not None] if when.text else []
    return all(held)


def _field_is(name: str, value: str, response: Response) -> bool:
    found = (response.value(name) or "").strip()
    # A media type is the same one with a charset as without.
    return found == value or (name.lower() == "content-type" and response.media_type() == value.lower())


# What JMESPath holds for false, beside null.
_FALSE: tuple[Any, ...] = (None, False, "", [], {})


def record(rule: Answer, response: Response) -> Record:
    """What ``rule`` finds in the answer."""
    found = {name: fact for name, selector in rule.facts.items() if (fact := _fact(name, selector, response))}
    document = {name: judged(name, fact.value, rule, response) for name, fact in found.items()}
    unit = next((rule.units[name] for name in _MEASURED if name in rule.units), None)
    if unit and "unit" not in found:
        found["unit"] = Fact(value=unit, at="")
        document["unit"] = unit
    return Record(rule=rule, facts=found, document=document)


def slug(value: Any) -> Any:
    """A code as a slug: the last segment of an address, words joined by underscores, in lower case."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    # A problem of type about:blank says no more than its status (RFC 9457 section 4.2.1).
    if text != "about:blank" and re.match(r"[A-Za-z][A-Za-z0-9+.-]*:[^ ]*\Z|/?[^ /]+(/[^ /]+)+/?\Z|/", text):
        text = re.split(r"[/#:]", text.rstrip("/#:"))[-1]
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text)
    return re.sub(r"[-._]+", "_", text).lower()


def moment(value: Any, unit: str, response: Response) -> dt.datetime | None:
    """The moment that ``value`` means: RFC 3339, an HTTP-date, or a number in ``unit`` (epoch, epoch-ms, seconds).

    Without a unit a number is seconds since the epoch, or milliseconds where it is too large for that; ``seconds`` count
    from the answer's Date. None for what is no moment.
    """
    number = numeric(value)
    if isinstance(number, int | float) and not isinstance(number, bool):
        return _counted(number, unit, response)
    if not isinstance(value, str):
        return None
    if (found := fields.http_date(value)) is not None:
        return dt.datetime.fromtimestamp(found, dt.UTC)
    try:
        parsed = dt.datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=dt.UTC)


def _counted(number: float, unit: str, response: Response) -> dt.datetime | None:
    if unit == "seconds":
        sent = fields.http_date(response.value("date"))
        if sent is None:
            return None
        number += sent
    elif unit == "epoch-ms" or (not unit and number > 1e11):
        number /= 1000
    try:
        return dt.datetime.fromtimestamp(number, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None


def judged(name: str, value: Any, rule: Answer, response: Response) -> Any:
    """The value of the fact ``name`` as ``schemas/facts`` judge it."""
    if name in {"code", "decline_code"} and isinstance(value, str):
        sign, digits = ("-", value.strip()[1:]) if value.strip().startswith("-") else ("", value.strip())
        # A number, which in a field and in XML is always a text.
        if digits.isdecimal() and (number := fields.natural(digits)) is not None:
            return -number if sign else number
    if name in {"code", "decline_code", "reason", "category"}:
        return slug(value)
    if name in _NUMBERS:
        return numeric(value)
    if name in MOMENTS:
        found = moment(value, rule.units.get(name, ""), response)
        return found.isoformat() if found else value
    if name == "amount":
        return numeric(value) if rule.units.get("amount") == "minor" else value
    if name == "currency" and isinstance(value, str):
        return value.upper()
    return value


def numeric(value: Any) -> Any:
    """A number that is written as a text, as a number; anything else as it is."""
    if isinstance(value, str) and _WRITTEN.fullmatch(text := value.strip()):
        text = text.replace(",", "")
        return float(text) if "." in text else int(text)
    return value


def _fact(name: str, selector: Selector, response: Response) -> Fact | None:
    found = list(_all(selector, response, name))
    if not found:
        return None
    first = found[0]
    others = (fact for fact in found[1:] if fact.part and fact.part != first.part)
    # A sentence names addresses of other kinds too: it is no second voice beside a link.
    return replace(first, elsewhere=tuple(fact for fact in others if not (fact.prose and first.part == "link")))


def _all(selector: Selector, response: Response, name: str) -> Iterator[Fact]:
    """Every value that a selector finds for the fact ``name``, the one that counts first."""
    match selector:
        case First(selectors=several):
            for one in several:
                yield from _all(one, response, name)
        case Map(selector=inner, to=to, default=default):
            for fact in _all(inner, response, name):
                word = to.get(_key(fact.value), default)
                if word is not None:
                    yield replace(fact, value=word)
        case Prose(selector=inner, pattern=pattern):
            # What is searched is a sentence, whatever is found in it.
            for fact in _all(inner, response, "message"):
                if isinstance(fact.value, str) and (said := pattern.search(fact.value)) and said["x"] is not None:
                    yield replace(fact, value=said["x"], prose=True)
        case Const(value=value):
            yield Fact(value=value, at="")
        case _:
            yield from _single(selector, response, name)


def _single(selector: Selector, response: Response, name: str) -> Iterator[Fact]:
    match selector:
        case Member(names=names):
            for place, value in members.named(response, names):
                if _suits(name, value, response) and not (name in _OWN and _ANOTHERS.search(place)):
                    yield Fact(value=value, at=place, part="body")
        case JmesPath():
            if (value := _found(selector, response)) is not None and value != "":
                place = members.standing(response.json_or_none(), value, _places(selector))
                yield Fact(value=value, at=place, part="body")
        case _:
            value = _found(selector, response)
            if value is not None and value != "":
                parts: dict[type, str] = {Header: "field", Link: "link", Css: "page"}
                part = parts.get(type(selector), "body")
                yield Fact(value=value, at=_places(selector), part=part, prose=isinstance(selector, Text))


# What an object tells of the caller, or of what is for sale, is no fact of the refusal.
_OWN = {"code", "decline_code", "reason", "message", "amount", "price", "currency", "interval"}
_ANOTHERS = re.compile(
    r"(?i)/(?:meta_?data|request|query|params|client\w*|customer|user|buyer|billing_?(?:address|details)|shipping"
    r"|plans|pricing|packages|products|line_?items)/"
)


def _suits(name: str, value: Any, response: Response) -> bool:
    """Whether a member that merely has a fitting name holds what the fact ``name`` is: a number, an address, a word."""
    if name in _NUMBERS:
        number = numeric(value)
        # A refused request that cost 0 was charged that: it does not need it.
        return isinstance(number, int | float) and not isinstance(value, bool) and (name != "required" or number != 0)
    if name in _ADDRESSES:
        return isinstance(value, str) and "/" in value and " " not in value.strip()
    if name in _SENTENCES:
        # Chinese has no spaces between words.
        return isinstance(value, str) and (" " in value.strip() or bool(re.search(r"[\u3040-\u9fff]", value)))
    if name in _CODES:
        # A status that is said again is no code; ERROR_PROCESSING_CARD - [05] is one.
        text = str(value).strip() if type(value) in {int, str} else ""
        return text not in {"", str(response.status)} and (" " not in text or bool(_CAPITALS.match(text)))
    return isinstance(value, str | int | float) and not isinstance(value, bool) and value != ""


_CAPITALS = re.compile(r"[A-Z0-9]+(_[A-Z0-9]+)+\b")
_ADDRESSES = {"remedy", "docs_url"}
_SENTENCES = {"message", "developer_message"}
_CODES = {"code", "decline_code", "reason"}


def _key(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _found(selector: Selector, response: Response) -> Any:
    match selector:
        case Pointer(pointer=pointer):
            places = resolve_pointer(response.json_or_none(), pointer)
            return places[0][1] if places else None
        case JmesPath(expression=expression):
            try:
                return jmespath.search(expression, response.json_or_none())
            except (JMESPathError, TypeError, ValueError, RecursionError):
                # What has other types than the expression expects is another answer.
                return None
        case Header(name=name):
            return response.value(name)
        case Link(rel=rel):
            targets = (link.target for link in fields.links(response.values("link")) if rel in link.relations)
            return next(targets, None)
        case Css(selector=css, attribute=attribute):
            return Page.of(response).first(css, attribute)
        case Text(pattern=pattern):
            said = pattern.search(response.text())
            return (said["x"] if "x" in pattern.groupindex else said[0]) if said else None
        case _:
            raise TypeError(selector)


def _places(selector: Selector) -> str:
    match selector:
        case First(selectors=several):
            return ", ".join(dict.fromkeys(_places(one) for one in several))
        case Map(selector=inner) | Prose(selector=inner):
            return _places(inner)
        case Pointer(pointer=pointer):
            return pointer or "the body"
        case JmesPath(expression=expression):
            return expression if len(expression) <= _SHOWN else f"{expression[:_SHOWN]}…"
        case Member(names=names):
            return f"a member {' or '.join(names[:4])}{' …' if len(names) > 4 else ''}"
        case Header(name=name):
            return name
        case Link(rel=rel):
            return f'Link rel="{rel}"'
        case Css(selector=css):
            return f"the page's {css}"
        case Text():
            return "the text"
        case _:
            return "the profile"
