"""The pages that are made from data are those that lie in ``docs``, and leave nothing out."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from reference import ROOT, anchor, pages

from conformance import catalogue, schema

PAGES = {path.name: text for path, text in pages().items()}


def keys(node: object) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key that the schema of profiles knows, with what the schema says of it."""
    if isinstance(node, dict):
        if "type" in node:
            yield from node.get("properties", {}).items()
        for value in node.values():
            yield from keys(value)
    elif isinstance(node, list):
        for value in node:
            yield from keys(value)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_that_is_made_lies_in_docs(name: str) -> None:
    """What lies there is what the data say; ``python tests/reference.py`` writes it."""
    assert (ROOT / "docs" / name).read_text("utf-8") == PAGES[name]


def test_the_schema_says_what_each_key_is() -> None:
    """Each key of a profile has a title, which is no sentence with a full stop: it stands in a table, and in editors."""
    found = list(keys(schema.named("profile")))
    assert [key for key, value in found if not value.get("title") or value["title"].endswith(".")] == []


def test_the_page_of_profiles_has_every_key() -> None:
    """As many rows as the schema has keys, each with its title and what is expected."""
    rows = re.findall(
        r"^\| `(\w+)` \| \S.* \| \S.* \| .* \| .* \|$",
        PAGES["profile.md"].partition("\n## Conventions")[0],
        re.MULTILINE,
    )
    assert sorted(rows) == sorted(key for key, _ in keys(schema.named("profile")))


def test_the_page_of_requirements_has_every_requirement() -> None:
    """What is judged has a heading, in the order of the edition, and what is not stands in the last table."""
    page, _, left_out = PAGES["catalogue.md"].partition("\n## Left out\n")
    (edition,) = catalogue.editions().values()
    assert re.findall(r"^### (\S+)$", page, re.MULTILINE) == [id for ids in edition.classes.values() for id in ids]
    excluded = [r.id for r in catalogue.load().requirements.values() if r.excluded]
    assert re.findall(r"^\| `(\S+)` \| \S.* \| \S.* \|$", left_out, re.MULTILINE) == excluded


@pytest.mark.parametrize("name", PAGES)
def test_the_links_within_a_page_lead_to_a_heading(name: str) -> None:
    """Each anchor that is linked is that of one heading."""
    headings = [anchor(heading) for heading in re.findall(r"^#+ (.+)$", PAGES[name], re.MULTILINE)]
    assert [link for link in re.findall(r"\]\(#([^)]+)\)", PAGES[name]) if headings.count(link) != 1] == []
