"""The requirements as data: what is demanded, at which level, by whom, and which of it an edition scores."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["Catalogue", "Edition", "Level", "Requirement", "Source", "editions", "load"]

_HERE = Path(__file__).resolve().parent


class Level(StrEnum):
    """How strongly the source demands it (RFC 2119)."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a requirement comes from."""

    title: str
    url: str
    section: str = ""
    quote: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One sentence that a target either keeps or does not."""

    id: str
    level: Level
    statement: str
    """One sentence without a modal verb: the level carries it."""
    sources: tuple[Source, ...]
    needs: frozenset[str]
    """Means without which it cannot be asked: plain, forge, terms, marker, ..."""
    scope: str
    """``endpoint``: asked at each; ``target``: asked once; ``operation``: at each of an OpenAPI document.

    Or at some of these: ``paid-operation``, ``free-operation``, ``priced-operation``.
    """
    cls: str
    """The class of the edition that it belongs to."""
    since: str
    aka: tuple[str, ...]
    """Working ids in the research that it grew from."""
    allowed: tuple[str, ...]
    """What the source leaves open, as sentences: each is a legal variant."""
    waivable: bool
    """Whether a vendor may own up to it as a known failure; a leak may not be excused."""
    excluded: str
    """Why the wire cannot show it, or why it is not judged yet; empty when it is judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """A dated set of requirements that claims and certificates name."""

    name: str
    classes: Mapping[str, tuple[str, ...]]
    """Class -> ids that are scored; empty for a class that has no checks yet."""
    floors: Mapping[str, int]
    """The least examples, rounds and copies with which a run counts as complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Every requirement by id, the judged and the excluded ones."""

    requirements: Mapping[str, Requirement]

    def judged(self) -> Iterator[Requirement]:
        """The requirements that are not excluded, in catalogue order."""
        return (r for r in self.requirements.values() if not r.excluded)


@cache
def load() -> Catalogue:
    """The catalogue that ships with us."""
    documents = _toml(_HERE / "documents.toml")
    rows = {}
    for area in sorted(_HERE.glob("area-*.toml")):
        for key, row in _rows(_toml(area)):
            rows[key] = _requirement(key, row, documents)
    return Catalogue(requirements=rows)


@cache
def editions() -> Mapping[str, Edition]:
    """The editions that ship with us, by name."""
    return {path.stem: _edition(path) for path in sorted((_HERE / "editions").glob("*.toml"))}


def _edition(path: Path) -> Edition:
    table = _toml(path)
    classes = {name: tuple(ids) for name, ids in table["classes"].items()}
    return Edition(name=path.stem, classes=classes, floors=table["floors"])


def _toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text("utf-8"))


def _rows(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, value in table.items():
        if "statement" in value:
            yield prefix + key, value
        else:
            yield from _rows(value, f"{prefix}{key}.")


def _requirement(key: str, row: Mapping[str, Any], documents: Mapping[str, Any]) -> Requirement:
    sources = tuple(
        Source(
            title=s.get("title", documents[s["doc"]]["title"]),
            url=s.get("url", documents[s["doc"]]["url"]),
            section=s.get("section", ""),
            quote=s.get("quote", ""),
        )
        for s in row.get("sources", ())
    )
    return Requirement(
        id=key,
        level=Level(row.get("level", "MAY")),
        statement=row["statement"],
        sources=sources,
        needs=frozenset(row.get("needs", ["plain"])),
        scope=row.get("scope", "endpoint"),
        cls=row.get("class", ""),
        since=row.get("since", ""),
        aka=tuple(row.get("aka", ())),
        allowed=tuple(row.get("allowed", ())),
        waivable=row.get("waivable", True),
        excluded=row.get("excluded", ""),
    )
