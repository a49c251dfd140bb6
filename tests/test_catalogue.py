"""The catalogue keeps its own laws: ids, words, sources, classes, and a check for each requirement."""

import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from sessions import clean_environment

from conformance import catalogue, checks, schema
from conformance.catalogue import Level
from conformance.profile import Limits

HOME = Path(catalogue.__file__).parent
AREAS = sorted(HOME.glob("area-*.toml"))
DOCUMENTS: dict[str, Any] = tomllib.loads((HOME / "documents.toml").read_text("utf-8"))
JUDGED = {requirement.id: requirement for requirement in catalogue.load().judged()}
EDITION = catalogue.editions()["2026.11"]

# A claim names a class for good, so the names are written down a second time here.
CLASSES = (
    *("http", "browser", "crawl", "paywall", "credits", "decline", "flows", "idempotency", "requests", "openapi"),
    *("discovery", "x402/offer", "x402/guard", "x402/settlement", "x402/order", "x402/durable", "x402/identifier"),
)

PAYING = {"x402/guard", "x402/settlement", "x402/order", "x402/durable", "x402/identifier"}
"""The classes that take payments."""


def rows(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every row below ``table`` with its id, read without the help of what is under test."""
    for key, value in table.items():
        if "statement" in value:
            yield prefix + key, value
        else:
            yield from rows(value, f"{prefix}{key}.")


WRITTEN = [(id, row) for area in AREAS for id, row in rows(tomllib.loads(area.read_text("utf-8")))]


@pytest.mark.parametrize("area", AREAS, ids=lambda path: path.stem)
def test_an_area_fits_its_schema(area: Path) -> None:
    """Each file has rows of known keys, levels, needs and scopes, and each statement is one sentence."""
    assert schema.problems(tomllib.loads(area.read_text("utf-8")), "catalogue") == ()


def test_every_written_row_is_loaded_under_an_id_of_its_own() -> None:
    """No file overwrites the row of another, and no row is lost on the way."""
    assert [id for id, _ in WRITTEN] == list(catalogue.load().requirements)


def test_an_id_is_a_dotted_slug() -> None:
    """An id is made of slugs, two at least, so that it can stand in node ids, links and claims."""
    slug = "[a-z0-9]+(-[a-z0-9]+)*"
    assert [id for id, _ in WRITTEN if not re.fullmatch(rf"{slug}(\.{slug})+", id)] == []


def test_every_judged_id_has_one_check_and_every_check_a_judged_id() -> None:
    """What is scored is decided, once; what decides is scored."""
    found = Counter(check.requirement for own in checks.load().values() for check in own)
    assert found == dict.fromkeys(JUDGED, 1)


def test_a_check_is_named_after_its_requirement() -> None:
    """The function is called test_ and the last segment of the id, so that a node id tells which row it is."""
    found = {check.requirement: check.name for own in checks.load().values() for check in own}
    assert found == {id: "test_" + id.rpartition(".")[2].replace("-", "_") for id in found}


def test_every_judged_row_is_in_the_one_class_that_it_names() -> None:
    """The edition lists each judged id once, under the class that the row gives, and lists nothing else."""
    listed = Counter((id, cls) for cls, ids in EDITION.classes.items() for id in ids)
    assert listed == {(id, requirement.cls): 1 for id, requirement in JUDGED.items()}


def test_a_judged_row_is_in_an_edition_since_one_that_exists() -> None:
    """since names an edition that ships with us."""
    assert {requirement.since for requirement in JUDGED.values()} <= set(catalogue.editions())


def test_the_edition_has_every_class() -> None:
    """The classes that a vendor may claim stand in the edition, in their order, also those without checks."""
    assert tuple(EDITION.classes) == CLASSES


def test_a_floor_is_a_positive_number_for_a_limit_that_exists() -> None:
    """An edition sets floors for keys of [limits] only, each a whole number above 0."""
    assert EDITION.floors
    assert set(EDITION.floors) <= {field.name for field in fields(Limits)}
    assert all(type(floor) is int and floor > 0 for floor in EDITION.floors.values())


def test_the_limits_of_a_profile_that_says_nothing_reach_every_floor() -> None:
    """Who leaves [limits] out has a complete run."""
    assert all(getattr(Limits(), name) >= floor for name, floor in EDITION.floors.items())


def test_no_two_statements_are_the_same() -> None:
    """A statement tells one requirement from every other, the excluded ones too."""
    assert [text for text, times in Counter(row["statement"] for _, row in WRITTEN).items() if times > 1] == []


def test_a_statement_is_short() -> None:
    """A statement fits one line of a report: 120 characters."""
    assert [id for id, row in WRITTEN if len(row["statement"]) > 120] == []


def test_a_statement_has_no_modal_verb() -> None:
    """How strongly a thing is demanded is said by the level alone."""
    modal = re.compile(r"\b(must|should|may|shall|can|could|would|might)\b", re.IGNORECASE)
    assert [(id, row["statement"]) for id, row in WRITTEN if modal.search(row["statement"])] == []


def test_a_source_names_a_document_that_we_know() -> None:
    """Each doc is a key of documents.toml, and each document there is the source of something."""
    cited = {source["doc"] for _, row in WRITTEN for source in row.get("sources", ())}
    assert cited == set(DOCUMENTS)


def test_a_source_can_be_read_behind_a_link() -> None:
    """Every source of a judged row has a title and a link, unless it is our own judgement."""
    for id, row in WRITTEN:
        for written, source in zip(row.get("sources", ()), catalogue.load().requirements[id].sources, strict=True):
            assert source.title, id
            assert written["doc"] == "judgement" or re.match("https?://[a-z0-9.-]+/", source.url), id


def test_an_individual_draft_alone_demands_nothing() -> None:
    """A document that nobody has adopted makes a SHOULD at most."""
    alone = [r for r in JUDGED.values() if all("individual draft" in source.title for source in r.sources)]
    assert alone, "no row rests on an individual draft alone: this law has nothing to say any more"
    assert [requirement.id for requirement in alone if requirement.level is Level.MUST] == []


def test_our_own_judgement_alone_demands_nothing() -> None:
    """What no specification says and no attack shows makes a SHOULD at most."""
    alone = [id for id, row in WRITTEN if {source["doc"] for source in row.get("sources", ())} == {"judgement"}]
    assert alone
    assert [id for id in alone if JUDGED[id].level is Level.MUST] == []


def test_an_excluded_row_says_why_and_what_it_stands_for() -> None:
    """A row that is not judged has its reason and the working ids that it covers, and no class."""
    excluded = [r for r in catalogue.load().requirements.values() if r.excluded]
    assert excluded
    assert [r.id for r in excluded if not r.aka or r.cls or r.sources] == []


def test_a_leak_is_not_waivable() -> None:
    """What says whether something is given away is no known failure of anybody, and is a MUST."""
    leaks = {r.id: r.level for r in JUDGED.values() if not r.waivable and r.cls not in PAYING}
    assert leaks == dict.fromkeys(
        [
            *("http.unpaid-is-refused", "http.refused-for-any-body", "http.refused-for-everyone"),
            *("http.head-leaks-nothing", "http.no-paid-content", "http.refused-after-paid"),
            *("http.no-secret", "http.no-card-number", "http.no-card-secret", "http.no-echo"),
            *("flows.refused-after-undo", "flows.refusal-has-no-effect", "flows.success-debits-once"),
            *("flows.parallel-serves-no-more", "flows.parallel-takes-all", "flows.any-order"),
            "openapi.paid-is-refused",
            *("crawl.nobody-unlocks", "crawl.no-paid-text", "x402.offer.unpaid-is-402"),
            *("idempotency.runs-once", "idempotency.copies-agree", "idempotency.not-to-the-refused"),
            "idempotency.another-caller",
            *(id for id in EDITION.classes["requests"] if id != "requests.survives"),
        ],
        Level.MUST,
    )


def test_what_costs_money_is_not_waivable() -> None:
    """Of the classes that take payments, only what gives nothing away and charges nobody is a known failure."""
    formal = {
        *("x402.guard.every-way", "x402.guard.version", "x402.guard.refusal-status", "x402.guard.no-injection"),
        *("x402.guard.v1-refusal", "x402.settlement.failure-is-402", "x402.settlement.failure-receipt"),
        *("x402.settlement.receipt", "x402.settlement.receipt-members", "x402.order.unpaid-runs-nothing"),
        *("x402.order.rejected-runs-nothing", "x402.order.unsettled-runs-nothing", "x402.order.flow-is-advertised"),
        *("x402.order.payer-does-not-choose", "x402.identifier.info", "x402.identifier.accepted"),
        "x402.identifier.required",
    }
    musts = {r.id for r in JUDGED.values() if r.cls in PAYING and r.level is Level.MUST}
    assert {r.id for r in JUDGED.values() if r.cls in PAYING and not r.waivable} == musts - formal


def test_the_catalogue_prints_one_whole_line_per_row(tmp_path: Path) -> None:
    """``python -m conformance catalogue`` is a table of five columns in which no cell breaks a line or a column."""
    command = [sys.executable, "-m", "conformance", "catalogue"]
    ran = subprocess.run(
        command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=True, timeout=60
    )
    head, rule, *lines = ran.stdout.splitlines()
    assert head.count("|") == rule.count("|") == 6
    assert all(re.fullmatch(r"\|( [^|]* \|){5}", line) for line in lines)
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [row[0] for row in cells] == list(catalogue.load().requirements)
    assert [row[0] for row in cells if not row[4]] == []
    assert {row[0] for row in cells if row[1] and row[2]} == set(JUDGED)


def test_every_row_about_the_market_grew_into_something() -> None:
    """Each of the 133 sentences on what the market sends is behind a judged row, or behind one that says why not."""
    counts = {"S0": 36, "S1": 6, "S2": 11, "S3": 40, "S4": 40}
    sentences = {f"{part}-{number:02}" for part, count in counts.items() for number in range(1, count + 1)}
    assert len(sentences) == 133
    assert (
        sentences - {aka for requirement in catalogue.load().requirements.values() for aka in requirement.aka} == set()
    )
