"""A page that asks for payment, as a person's browser reads it: bounded, and nothing in it is run."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from bs4 import BeautifulSoup
from bs4.element import NavigableString, Tag
from bs4.exceptions import ParserRejectedMarkup

from conformance.exchange import Response

__all__ = ["HTML", "Action", "Page"]

HTML = frozenset({"text/html", "application/xhtml+xml"})

_LONGEST = 1_000_000
"""Characters of a page that are read."""

_UNREAD = {"script", "style", "template", "noscript", "title"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Something on a page that a person can follow: a link or a form."""

    text: str
    target: str
    """As written; empty for a form that goes to its own address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The page of an answer; empty where its body is none."""

    soup: BeautifulSoup

    @classmethod
    def of(cls, response: Response) -> "Page":
        """The page in the body of ``response``, of which the first million characters are read."""
        text = response.text()[:_LONGEST]
        with warnings.catch_warnings():
            # A body that looks like a file name, or like XML, is read as a page all the same.
            warnings.simplefilter("ignore")
            try:
                return cls(soup=BeautifulSoup(text, "html.parser"))
            except (ParserRejectedMarkup, RecursionError):
                return cls(soup=BeautifulSoup("", "html.parser"))

    def first(self, selector: str, attribute: str = "") -> str | None:
        """The text of the first element that the CSS ``selector`` matches, or its ``attribute``; None without either."""
        if (found := self.soup.select_one(selector)) is None:
            return None
        if not attribute:
            return " ".join(found.get_text(" ").split())
        value = found.get(attribute)
        return " ".join(value) if isinstance(value, list) else value

    def matches(self, selector: str) -> bool:
        """Whether the CSS ``selector`` matches anything."""
        return self.soup.select_one(selector) is not None

    def title(self) -> str:
        """The text of its title."""
        return self.first("title") or ""

    def text(self) -> str:
        """What can be read on it."""
        strings = self.soup.find_all(string=True)
        read = (str(s) for s in strings if type(s) is NavigableString and s.parent and s.parent.name not in _UNREAD)
        return " ".join(" ".join(read).split())

    def actions(self) -> Iterator[Action]:
        """Its links that lead to another page, and its forms, in their order."""
        for tag in self.soup.find_all(["a", "form", "button"]):
            if isinstance(tag, Tag) and (action := _action(tag)):
                yield action

    def scripts(self, media_type: str) -> Iterator[str]:
        """The contents of its scripts of ``media_type``, such as ``application/ld+json``."""
        for tag in self.soup.find_all("script"):
            if isinstance(tag, Tag) and str(tag.get("type", "")).partition(";")[0].strip().lower() == media_type:
                yield tag.string or ""

    def metas(self, name: str) -> Iterator[str]:
        """The contents of its ``meta`` elements called ``name``."""
        for tag in self.soup.find_all("meta"):
            if isinstance(tag, Tag) and str(tag.get("name", "")).lower() == name:
                yield str(tag.get("content", ""))


def _action(tag: Tag) -> Action | None:
    text = " ".join((tag.get_text(" ") or str(tag.get("aria-label", ""))).split())
    match tag.name:
        case "a":
            target = str(tag.get("href", "")).strip()
            leads = target and not target.startswith("#") and _scheme(target) in {"", "http", "https"}
            return Action(text=text, target=target) if leads else None
        case "form":
            return Action(text=text, target=str(tag.get("action", "")).strip())
        case _:
            target = str(tag.get("formaction", "")).strip()
            return Action(text=text, target=target) if target else None


def _scheme(target: str) -> str:
    try:
        return urlsplit(target).scheme.lower()
    except ValueError:
        return "none"
