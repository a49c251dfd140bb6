"""The family of a recorded refusal: what an answer says about paying, whoever says it."""

import html
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from conformance.exchange import Response
from conformance.profile.words import Family

__all__ = ["Guess", "family"]

# Characters of one text, and texts of one answer, that are read: refusals are short.
_LONGEST = 1000
_MOST = 120
_GAP = r"(?: [\w'%.$]{0,30}[\w'%]){0,6} "
# At equal weight the family that is named more narrowly.
_NARROWER = (Family.DECLINE, Family.CREDITS, Family.PAYWALL)
# What it takes beside the status; at 402 the status itself speaks for a paywall.
_ENOUGH = {402: 0.0, 404: 3.0}
_STRONG = 3.0
_ELSE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """What an answer seems to be."""

    family: Family | None
    """None: it asks for no payment."""
    reasons: tuple[str, ...]
    """Why, heaviest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Word:
    family: str
    weight: float
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Vocabulary:
    phrases: tuple[_Word, ...]
    at_402: tuple[_Word, ...]
    members: tuple[_Word, ...]
    refused: re.Pattern[str]
    refused_text: re.Pattern[str]
    refused_page: re.Pattern[str]
    messages: re.Pattern[str]
    unless: re.Pattern[str]
    taken_back: re.Pattern[str]
    lists: dict[str, frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """A member or field with its value, or a text without a name; in lower case, codes split into words."""

    where: str
    name: str
    text: str
    prose: bool
    """Whether it is a sentence: only those are negated or conditional."""

    def member(self) -> str:
        return f"{self.name} = {self.text[:120]}" if self.name else ""


def family(response: Response) -> Guess:
    """What ``response`` asks for, by what it says."""
    status = response.status
    said = tuple(islice(_fields(response), _MOST)) + tuple(islice(_body(response), _MOST))
    if not (status >= 400 or (200 <= status < 300 and _refuses(response, said))):
        return Guess(family=None, reasons=(f"{status} without a word of refusal",))
    if offer := _offer(response, said):
        return Guess(family=Family.OFFER, reasons=(offer,))
    found = _found(said, status)
    points = {kind: sum(weight for weight, _ in found.get(kind, ())) for kind in (*_NARROWER, _ELSE)}
    if status == 402:
        # Where something else was said with weight, advice to upgrade does not need the help of the status.
        plain = all(weight < _STRONG for kind in _NARROWER[:2] for weight, _ in found.get(kind, ()))
        points |= {Family.PAYWALL: points[Family.PAYWALL] + plain, _ELSE: 0.0}
    best = max(_NARROWER, key=points.__getitem__)
    told = points[best] >= _ENOUGH.get(status, 2.0 if status < 500 else 3.0) and points[best] > points[_ELSE]
    reasons = tuple(why for _, why in sorted(found.get(best if told else _ELSE, ()), key=lambda pair: -pair[0]))
    # The status itself, or nothing at all.
    return Guess(family=best if told else None, reasons=reasons or (f"{status} alone",))


def _found(said: tuple[_Said, ...], status: int) -> dict[str, list[tuple[float, str]]]:
    """Weights and reasons by family. A word counts once for each family, and a phrase that is repeated counts once."""
    words, found, known = _vocabulary(), dict[str, list[tuple[float, str]]](), set[tuple[str, str]]()

    def note(word: _Word, what: str, why: str) -> None:
        if (word.family, what) not in known:
            known.add((word.family, what))
            found.setdefault(word.family, []).append((word.weight, why))

    phrases = words.phrases + (words.at_402 if status == 402 else ())
    for one in said:
        taken: dict[str, list[tuple[int, int]]] = {}
        hits = [(word, hit) for word in phrases for hit in word.pattern.finditer(one.text)]
        for word, hit in sorted(hits, key=lambda pair: (-pair[0].weight, pair[1].start(), -pair[1].end())):
            spans = taken.setdefault(word.family, [])
            told = not (one.prose and words.taken_back.search(one.text[: hit.start()]))
            if told and all(hit.end() <= start or end <= hit.start() for start, end in spans):
                spans.append(hit.span())
                note(word, hit[0], f'{one.where} says "{hit[0]}"')
        # The heaviest only, which stands last: several patterns may fit one name.
        best = {word.family: word for word in words.members if word.pattern.search(one.member())}
        for word in best.values():
            note(word, f"{one.name} =", f"{one.where} is there")
    return found


def _refuses(response: Response, said: tuple[_Said, ...]) -> bool:
    """Whether a successful status is taken back by what comes with it."""
    words = _vocabulary()
    texts = [one.text for one in said if not one.name]
    if response.media_type() == "text/html":
        return any(map(words.refused_page.search, texts))
    named = [one.member() for one in said if not one.where.startswith("field ")]
    told = any(map(words.messages.search, named)) and not any(map(words.unless.search, named))
    return told or any(map(words.refused.search, named)) or any(map(words.refused_text.search, texts))


# Lenient: a challenge may be malformed and still be an offer.
_SCHEME = re.compile(r"(?:^|,)\s*([\w-]+)(?=\s+[^\s=]|\s*$)")


def _offer(response: Response, said: tuple[_Said, ...]) -> str | None:
    """Why it offers a payment that an agent could make; None when it does not."""
    lists, places = _vocabulary().lists, {one.where for one in said}
    reasons = [f"field {name} is there" for name in lists["offer_fields"] if response.value(name)]
    schemes = [scheme for value in response.values("www-authenticate") for scheme in _SCHEME.findall(value)]
    reasons += [f"WWW-Authenticate offers {scheme}" for scheme in schemes if scheme.lower() in lists["offer_schemes"]]
    for first, second in (pair.split() for pair in lists["offer_members"]):
        heads = [place.removesuffix(first) for place in places if place.endswith(f"/{first}")]
        reasons += [f"{first} and {second} in {head}" for head in heads if head + second in places]
    return min(reasons, default=None)


_TELLING = re.compile(r"^x-|quota|credit|balance|limit|reason|error|decline|plan|subscri|billing|payment|^locat|^link$")


def _fields(response: Response) -> Iterator[_Said]:
    for name, value in response.headers:
        if _TELLING.search(name.lower()):
            yield _one(f"field {name}", re.sub(r"(?i)^x-", "", name), value)
        elif name.lower() == "www-authenticate":
            for what, why in re.findall(r'(error\w*)\s*=\s*"([^"]*)"', value):
                yield _one(f"field {name}", what, why)


_XML = re.compile(r"<(?:[\w.-]+:)?([\w.-]+)[^<>]*>([^<>]+)</")
_FORM = re.compile(r"[\w.\[\]%-]+=[^&\s]*(?:&[\w.\[\]%-]+=[^&\s]*)*")
# JSON of a kind: with a comma too many, in lines, in events.
_PAIR = re.compile(r'"([\w.@-]+)"\s*:\s*"((?:[^"\\]|\\.)*)"')


def _body(response: Response) -> Iterator[_Said]:
    text, document = response.text().strip()[: 20 * _LONGEST], response.json_or_none()
    if isinstance(document, dict | list):
        yield from _walked(document, "", closed=response.status < 300)
        return
    if "html" in response.media_type() or re.match(r"(?i)<!doctype html|<html", text):
        pairs = [("", part) for part in _paragraphs(text)]
    elif text.startswith("<"):
        pairs = _XML.findall(text)
    elif _FORM.fullmatch(text):
        pairs = parse_qsl(text)
    else:
        pairs = _PAIR.findall(text) or [("", text)]
    for name, value in pairs:
        yield _one(name or "the body", name, html.unescape(value))


def _paragraphs(text: str) -> list[str]:
    title = re.search(r"(?is)<title\b[^>]*>(.*?)</title>", text)
    text = re.sub(r"(?is)<(script|style|head|nav|footer)\b.*?</\1>", " ", text)
    parts = re.split(r"(?i)</?(?:p|h\d|div|li|td|tr|section|br|a|button)\b[^>]*>", text)
    return [re.sub(r"<[^>]*>", " ", part) for part in ([title[1]] if title else []) + parts]


def _walked(value: Any, path: str, *, closed: bool, name: str = "") -> Iterator[_Said]:
    """Members of a document that speak; ``closed`` passes over lists that are collections of something else."""
    if isinstance(value, dict):
        for key, inner in value.items():
            plain = _plain(key)
            if inner is None or inner in ("", [], {}):
                continue
            if isinstance(inner, dict | list):
                yield _Said(where=f"{path}/{key}", name=plain, text="...", prose=False)
                if plain in _vocabulary().lists["unread"]:
                    continue
            yield from _walked(inner, f"{path}/{key}", closed=closed, name=key)
    elif isinstance(value, list):
        if not closed or _plain(name) in _vocabulary().lists["own_lists"]:
            for number, inner in enumerate(value):
                yield from _walked(inner, f"{path}/{number}", closed=closed, name=name)
    elif value is not None:
        yield _one(path, name, str(value).lower() if isinstance(value, bool) else str(value))


def _one(where: str, name: str, value: str) -> _Said:
    value = value[:_LONGEST].strip()
    prose = bool(re.search(r"\s", value))
    if not prose and re.match(r"(?i)https?:|/|urn:", value) and where != "field Location":
        # An address says something in its last segment, where it names a problem; elsewhere it says where to go.
        value = re.split(r"[/#:]", value.rstrip("/"))[-1] if _plain(name) in {"type", "code", "reason"} else "..."
    value = re.sub(r"\b(?:https?://|www\.)\S+|\S+@\S+|\b[\w-]+(?:\.[\w-]+)+/\S*", "...", value)
    return _Said(where=where, name=_plain(name), text=_plain(value), prose=prose)


def _plain(text: str) -> str:
    """Lower case, with camelCase, kebab-case and snake_case in words."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])", " ", text.replace("\u2019", "'"))
    return re.sub(r"\s+", " ", re.sub(r"(?<=\w)[-_./#](?=\w)|[_\"`*\[\]{}<>/]", " ", text)).strip().lower()


@cache
def _vocabulary() -> _Vocabulary:
    table = tomllib.loads(Path(__file__).with_name("family.toml").read_text("utf-8"))
    parts: dict[str, str] = table["parts"]

    def compiled(text: str, *, whole: bool) -> re.Pattern[str]:
        text = re.sub(r"<(\w+)>", lambda part: parts[part[1]], text).replace(" ~ ", _GAP)
        # Chinese has no boundaries between words.
        return re.compile(rf"(?<!\w)(?:{text})(?!\w)" if whole and all(c < "\u2e80" for c in text) else text)

    def words(of: dict[str, dict[str, list[str]]], *, whole: bool) -> tuple[_Word, ...]:
        rows = sorted((float(w), kind, text) for kind, by in of.items() for w, texts in by.items() for text in texts)
        return tuple(_Word(family=kind, weight=w, pattern=compiled(text, whole=whole)) for w, kind, text in rows)

    return _Vocabulary(
        phrases=words(table["phrases"], whole=True),
        at_402=words(table["at_402"], whole=True),
        members=words(table["members"], whole=False),
        refused=re.compile("|".join(table["refused"]["members"])),
        refused_text=re.compile(table["refused"]["text"]),
        refused_page=re.compile(table["refused"]["page"]),
        messages=re.compile(table["refused"]["messages"]),
        unless=re.compile(table["refused"]["unless"]),
        taken_back=re.compile(rf"\b{table['hypothetical']}\b[^,.;:!?()]*$|\b{table['negated']} $"),
        lists={name: frozenset(names) for name, names in table["lists"].items()},
    )
