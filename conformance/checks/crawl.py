"""Checks of class ``crawl``: pages that search engines are meant to index, and what is paid of them."""

import re
from collections.abc import Iterator
from typing import Any

from conformance import documents, schema
from conformance.checks import check
from conformance.evidence import Evidence
from conformance.exchange import Response
from conformance.gather import as_search_engine, crawled, free_paths, mapped, whole_pages
from conformance.marks import marked
from conformance.outcome import Inapplicable, Untestable, Violation
from conformance.page import Page
from conformance.profile import Marker

_ENGINES = {"googlebot", "bingbot", "robots", "*"}
_CLASS_SELECTOR = re.compile(r"\.-{0,2}[A-Za-z_][\w-]*", re.ASCII)
_MUCH = 1.5
_LITTLE = 200
"""Characters by which two pages of the same content may differ."""


@check("crawl.paths-answer", crawled)
def test_paths_answer(evidence: Evidence) -> None:
    for path, label, response in _asked(evidence):
        if response.status != 200:
            raise Violation(expected="200 to a plain GET", received=response.shown(), at=path, exchange=label)


@check("crawl.robots", free_paths)
def test_robots(evidence: Evidence) -> None:
    asked = [label for label in ("free /robots.txt", "free /sitemap.xml") if label in evidence.exchanges]
    if not asked:
        reason = "both are endpoints of the profile"
        raise Inapplicable(reason)
    for label in asked:
        if (response := evidence.response(label)).status in {401, 402, 403}:
            path = label.removeprefix("free ")
            raise Violation(
                expected=f"{path} for whoever asks, or 404", received=response.shown(), at=path, exchange=label
            )


@check("crawl.sitemap", free_paths, mapped)
def test_sitemap(evidence: Evidence) -> None:
    if not (listed := evidence.labels("mapped ")):
        reason = "there is no sitemap.xml that lists addresses of the target"
        raise Inapplicable(reason)
    for label in listed:
        if (response := evidence.response(label)).status != 200:
            raise Violation(
                expected="200 to a plain GET of what the map lists",
                received=response.shown(),
                at=label.removeprefix("mapped "),
                exchange=label,
            )


@check("crawl.not-noindex", crawled)
def test_not_noindex(evidence: Evidence) -> None:
    for path, label, response in _shown(evidence):
        told = [("X-Robots-Tag", value) for value in response.values("x-robots-tag") if _forbids(value)]
        page = Page.of(response)
        for name in ("robots", "googlebot", "bingbot"):
            told += [(f"meta {name}", value) for value in page.metas(name) if _forbids(value)]
        if told:
            at, value = told[0]
            raise Violation(
                expected=f"no noindex on {path}, which is meant to be indexed", received=value, at=at, exchange=label
            )


def _forbids(value: str) -> bool:
    """Whether some search engine that we know is told to leave the page out."""
    # X-Robots-Tag may begin with the name of the one that it is for; some rules have a colon of their own.
    whom, colon, rest = value.partition(":")
    if colon and not re.search(r"[,\s]", whom.strip()) and not re.match(r"(?i)max-|unavailable_after", whom.strip()):
        if whom.strip().lower() not in _ENGINES:
            return False
        value = rest
    return bool({"noindex", "none"} & {word.strip().lower() for word in value.split(",")})


@check("crawl.marked", crawled)
def test_marked(evidence: Evidence) -> None:
    for path, label, response in _paywalled(evidence, "crawl "):
        if not _says_paid(Page.of(response)):
            raise Violation(
                expected="isAccessibleForFree: false, in JSON-LD or microdata",
                received="a page that does not say so",
                at=path,
                exchange=label,
            )


def _says_paid(page: Page) -> bool:
    if any(_is_false(thing.get("isAccessibleForFree")) for thing in _things(page)):
        return True
    named = page.soup.select('[itemprop~="isAccessibleForFree"]')
    return any(_is_false(tag.get("content") or tag.get("href") or tag.get_text()) for tag in named)


def _is_false(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_is_false, value))
    # Many pages have it as a text, and as an address of the vocabulary; search engines take both.
    return value is False or (isinstance(value, str) and value.strip().lower().rpartition("/")[2] == "false")


def _things(page: Page) -> Iterator[dict[str, Any]]:
    """Every object in the JSON-LD of a page."""
    for script in page.scripts("application/ld+json"):
        try:
            yield from _objects(documents.loads(script))
        except ValueError:
            continue


def _objects(document: Any) -> Iterator[dict[str, Any]]:
    if isinstance(document, dict):
        yield document
    for value in document.values() if isinstance(document, dict) else document if isinstance(document, list) else ():
        yield from _objects(value)


@check("crawl.selectors", crawled, whole_pages)
def test_selectors(evidence: Evidence) -> None:
    found, unseen = False, ""
    for path, label, response in _paywalled(evidence, "crawl "):
        page = Page.of(response)
        for selector in _selectors(page):
            found = True
            if not isinstance(selector, str) or not _CLASS_SELECTOR.fullmatch(selector):
                raise Violation(
                    expected="one class, such as .paywall",
                    received=schema.shown(selector),
                    at=f"{path} cssSelector",
                    exchange=label,
                )
            whole = f"whole {path}"
            if page.matches(selector):
                continue
            if whole not in evidence.exchanges:
                # What is paid may not be in the teaser at all; that is the better way.
                unseen = (
                    unseen or f"{selector} is not on {path} as anybody sees it, and the profile names nobody who paid"
                )
            elif not Page.of(evidence.response(whole)).matches(selector):
                raise Violation(
                    expected=f"an element of class {selector[1:]}",
                    received="none, and none for who has paid",
                    at=f"{path} cssSelector",
                    exchange=whole,
                )
    if unseen:
        raise Untestable(unseen)
    if not found:
        reason = "no such page has a cssSelector"
        raise Inapplicable(reason)


def _selectors(page: Page) -> Iterator[Any]:
    for thing in _things(page):
        if "cssSelector" in thing:
            value = thing["cssSelector"]
            yield from value if isinstance(value, list) else [value]


@check("crawl.nobody-unlocks", crawled, as_search_engine)
def test_nobody_unlocks(evidence: Evidence) -> None:
    for path, label, response in _paywalled(evidence, "search "):
        plain = evidence.response(f"crawl {path}")
        markers = _markers(evidence, path)
        for marker in markers:
            if marked(response, marker) and not marked(plain, marker):
                raise Violation(
                    expected=f"{path} as anybody sees it, whatever a client calls itself",
                    received=f"the marker {marker.value!r}",
                    at="User-Agent",
                    exchange=label,
                )
        read, usual = len(Page.of(response).text()), len(Page.of(plain).text())
        if not markers and response.status == 200 and read > max(_MUCH * usual, usual + _LITTLE):
            raise Violation(
                expected=f"{path} as anybody sees it, with {usual} characters to read",
                received=f"{read} characters",
                at="User-Agent",
                exchange=label,
            )


@check("crawl.no-paid-text", crawled, whole_pages)
def test_no_paid_text(evidence: Evidence) -> None:
    unproven = ""
    for path, label, response in _paywalled(evidence, "crawl "):
        markers = _markers(evidence, path)
        for marker in markers:
            if found := marked(response, marker):
                raise Violation(
                    expected=f"a teaser without the marker {marker.value!r}",
                    received=f"the marker, in {found}",
                    at=path,
                    exchange=label,
                )
        if not markers:
            unproven = unproven or f"the profile does not say what only the whole of {path} has (crawl.marker)"
        elif f"whole {path}" not in evidence.exchanges:
            unproven = unproven or "the profile names nobody who has paid (paid_identity): the marker was never seen"
        elif not any(marked(evidence.response(f"whole {path}"), marker) for marker in markers):
            unproven = unproven or f"the marker is not on {path} as who has paid sees it: it proves nothing"
        elif _by_fields(whole := evidence.response(f"whole {path}"), markers) and _read(whole) in _read(response):
            unproven = (
                unproven or f"the marker on {path} is a field, and who has paid reads no more than the teaser has"
            )
    if unproven:
        raise Untestable(unproven) if evidence.claimed("crawl") else Inapplicable(unproven)


def _by_fields(whole: Response, markers: tuple[Marker, ...]) -> bool:
    """Whether no marker stands in what the whole page holds."""
    return all(marked(whole, marker) != "the body" for marker in markers)


def _read(response: Response) -> str:
    return Page.of(response).text()


def _asked(evidence: Evidence) -> Iterator[tuple[str, str, Response]]:
    """Each path that is meant to be indexed, with the answer to a plain GET."""
    crawl = evidence.profile.crawl
    if crawl is None:
        reason = "the profile names nothing that search engines are meant to index ([crawl])"
        raise Inapplicable(reason)
    for path in crawl.paths:
        yield path, f"crawl {path}", evidence.response(f"crawl {path}")


def _shown(evidence: Evidence) -> Iterator[tuple[str, str, Response]]:
    """Those that are answered 200; Untestable where one is not."""
    for path, label, response in _asked(evidence):
        if response.status != 200:
            reason = f"{path} is answered {response.shown()}: nothing there is indexed"
            raise Untestable(reason, cause="crawl.paths-answer")
        yield path, label, response


def _paywalled(evidence: Evidence, start: str) -> Iterator[tuple[str, str, Response]]:
    """The paths of which a part is paid, with the answer called ``start`` and the path; Untestable without a page."""
    crawl = evidence.profile.crawl
    if crawl is None or not crawl.paywalled:
        reason = "the profile names no page of which only a part is free (crawl.paywalled)"
        raise Inapplicable(reason)
    for path in crawl.paywalled:
        if (plain := evidence.response(f"crawl {path}")).status != 200:
            reason = f"{path} is answered {plain.shown()}: there is no teaser"
            raise Untestable(reason, cause="crawl.paths-answer")
        yield path, f"{start}{path}", evidence.response(f"{start}{path}")


def _markers(evidence: Evidence, path: str) -> tuple[Marker, ...]:
    own = [e.marker for e in evidence.profile.endpoints if e.path == path and e.marker]
    crawl = evidence.profile.crawl
    return tuple(own + ([crawl.marker] if crawl and crawl.marker else []))
