"""Every operation of an OpenAPI document, asked with valid requests: what disagrees is found, and nothing else."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from described import Api, Asked, Reply, described, document, refused
from judging import Judged, judged
from openapi_tables import FAULTS, LEGAL, OPEN, Case, paper

from conformance import cases, catalogue
from conformance.outcome import Outcome, Verdict

pytest.importorskip("schemathesis")

Server = tuple[Api, str]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with described() as found:
        yield found


def run_of(server: Server, endpoint: dict[str, Any] | None = None, examples: int = 25, **told: Any) -> Judged:
    """The class, judged of the server; ``told`` are keys of [openapi]."""
    _, here = server

    def edit(written: dict[str, Any]) -> None:
        written["endpoint"] = [
            endpoint
            or {"name": "first", "method": "POST", "path": "/v1/thing0", "json": {"text": "x"}, "protocol": "x402"}
        ]
        written["claims"] = {"classes": ["openapi"]}
        written["openapi"] = {"url": "/openapi.json", **told}

    return judged(here, edit=edit, examples=examples)


def red(run: Judged) -> dict[tuple[str, str], str]:
    """What does not hold, with what was received."""
    return {(r.requirement, r.endpoint): f"{r.finding.received} {r.finding.at}" for r in run.red() if r.finding}


def test_a_correct_api_of_fifty_operations_is_conformant(server: Server) -> None:
    """Nothing is red or left open, within a minute."""
    server[0].begin(document=document())
    began = time.monotonic()
    run = run_of(server)
    took = time.monotonic() - began
    assert red(run) == {}
    assert [(r.requirement, r.endpoint, r.finding) for r in run.of(Outcome.UNTESTABLE, Outcome.ERROR)] == []
    assert run.verdict is Verdict.CONFORMANT, run.report.reservations
    assert took < 60


def test_what_is_made_once_is_not_counted_against_an_operation(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the library takes to come up, the clock of an operation starts behind it."""
    load = cases.import_module

    def slowly(name: str) -> Any:
        until = time.process_time() + (4 if name == "schemathesis" else 0)
        while time.process_time() < until:
            pass
        return load(name)

    monkeypatch.setattr(cases, "import_module", slowly)
    monkeypatch.setattr(cases, "_LONGEST", 3.0)
    cases._library.cache_clear()
    whole = document()
    whole["paths"] = {path: item for path, item in whole["paths"].items() if path == "/v1/thing0"}
    server[0].begin(document=whole)
    run = run_of(server, examples=2)
    assert [r.finding for r in run.of(Outcome.UNTESTABLE, Outcome.ERROR)] == []


@pytest.mark.parametrize("told", [{"unknown": ["*"]}, {"free": ["*"]}], ids=["unknown", "free"])
def test_a_document_of_which_nothing_costs_by_the_profile_leaves_the_class_open(
    server: Server, told: dict[str, Any]
) -> None:
    """Who claims the class and names all that costs otherwise has no operation that was seen to refuse."""
    whole = document()
    whole["paths"] = {path: item for path, item in whole["paths"].items() if path == "/v1/thing0"}
    for operation in whole["paths"]["/v1/thing0"].values():
        operation.pop("x-payment-info", None)
    server[0].begin(document=whole)
    run = run_of(server, **told)
    (row,) = (r for r in run.results.values() if r.requirement == "openapi.document")
    assert row.outcome is Outcome.UNTESTABLE
    assert run.verdict is not Verdict.CONFORMANT


def at(name: str, change: Any, when: Any = lambda _: True) -> Any:
    """``change`` for requests of one operation that are so."""

    def altered(asked: Asked, reply: Reply) -> None:
        if asked.definition.get("operationId") == name and when(asked):
            change(asked, reply)

    return altered


def becomes(status: int, body: Any, **headers: str) -> Any:
    """Another answer altogether."""

    def altered(_: Asked, reply: Reply) -> None:
        reply.status, reply.body, reply.headers = status, body, headers

    return altered


def limit(asked: Asked) -> int:
    """What the query of a request says."""
    told = [part.partition("=")[2] for part in asked.query.split("&") if part.startswith("limit=")]
    return int(told[0]) if told else 0


THING = {"name": "a thing", "size": 3}
SEEDED = {
    ("openapi.paid-is-refused", "POST /v1/thing15"): (
        at("thing15", becomes(200, THING), lambda asked: b'"formal": true' in asked.body),
        '200 OK POST /v1/thing15 with {\\"text\\": \\"\\", \\"formal\\": true}',
    ),
    ("openapi.free-is-not-402", "GET /v1/thing7"): (
        at("thing7", becomes(402, {"error": "no"}), lambda asked: limit(asked) > 20),
        "402 Payment Required GET /v1/thing7?limit=21",
    ),
    ("openapi.refusal-family", "GET /v1/thing5"): (
        at("thing5", lambda _, reply: reply.headers.clear(), lambda asked: limit(asked) > 3),
        "",
    ),
    ("openapi.content-fits", "GET /v1/thing13"): (
        at("thing13", becomes(200, {"name": "a thing", "size": "3"}), lambda asked: limit(asked) > 9),
        '"3" (a string) GET /v1/thing13?limit=10',
    ),
    ("openapi.price", "GET /v1/thing10/{id}"): (
        at("thing10", lambda asked, reply: reply.headers.update(cheap(asked))),
        "10000 of 0x036CbD53842c5426634e7929541eC2318f3dCF7e",
    ),
}


def cheap(asked: Asked) -> dict[str, str]:
    """The field of an offer for a fifth."""
    return refused(asked, amount="10000").headers


def test_of_fifty_operations_the_five_that_disagree_are_found(server: Server) -> None:
    """Exactly those, each with the smallest request that shows it, within a minute."""
    server[0].begin(*(change for change, _ in SEEDED.values()), document=document())
    began = time.monotonic()
    run = run_of(server, free=["thing7"])
    took = time.monotonic() - began
    found = red(run)
    assert found.keys() == SEEDED.keys()
    assert all(shown in found[key] for key, (_, shown) in SEEDED.items())
    assert run.verdict is Verdict.NOT_CONFORMANT
    assert took < 60


def run_case(server: Server, case: Case, examples: int = 12) -> Judged:
    """What the class makes of one API."""
    api, here = server
    told = paper()
    if case.edit:
        case.edit(told)
    api.begin(*([case.change] if case.change else ()), document=told, text=case.text)

    def edit(written: dict[str, Any]) -> None:
        written["endpoint"] = [{"name": "first", "path": "/v1/first", "protocol": "x402"}]
        written["claims"] = {"classes": ["openapi"]}
        written["answer"] = []
        written["openapi"] = {"url": "/openapi.json", **case.keys}
        written["limits"]["max_wait"] = case.limits
        written.update(case.profile)

    return judged(here, edit=edit, examples=examples)


def open_of(run: Judged) -> dict[str, str]:
    """What could not be told, and why."""
    left = run.of(Outcome.UNTESTABLE, Outcome.ERROR)
    return {f"{r.requirement} {r.endpoint}": r.finding.reason for r in left if r.finding}


@pytest.mark.parametrize("case", FAULTS, ids=lambda case: case.name)
def test_a_disagreement_turns_its_requirement_red_and_no_other(server: Server, case: Case) -> None:
    """Exactly what the table says, with a word of why."""
    run = run_case(server, case)
    assert {f"{requirement} {place}" for requirement, place in red(run)} == case.red, red(run)
    told = [
        f"expected {r.finding.expected} received {r.finding.received} {r.finding.at} " for r in run.red() if r.finding
    ]
    assert case.why in " ".join(told), told


@pytest.mark.parametrize("case", LEGAL, ids=lambda case: case.name)
def test_what_a_document_leaves_open_is_no_finding(server: Server, case: Case) -> None:
    """Nothing is red, and nothing is left open."""
    run = run_case(server, case)
    assert (red(run), open_of(run)) == ({}, {})


@pytest.mark.parametrize("case", OPEN, ids=lambda case: case.name)
def test_what_cannot_be_told_is_said_in_one_sentence(server: Server, case: Case) -> None:
    """Neither red nor passed: and never a traceback."""
    run = run_case(server, case)
    assert {f"{requirement} {place}" for requirement, place in red(run)} == case.red
    told = open_of(run) | red(run)
    assert told
    assert any(case.why in why for why in told.values()), told
    assert all("\n" not in why and len(why) < 400 for why in told.values())
    assert run.verdict is not Verdict.CONFORMANT


def test_every_requirement_of_the_class_has_a_fault() -> None:
    """The union of the table is the class."""
    broken = {place.partition(" ")[0] for case in FAULTS for place in case.red}
    assert broken == set(catalogue.editions()["2026.11"].classes["openapi"])


def test_every_allowed_phrase_of_the_class_has_a_variant() -> None:
    """What the catalogue allows is what the legal variants show."""
    judged = catalogue.load().requirements
    allowed = {
        f"{id}: {phrase}" for id in catalogue.editions()["2026.11"].classes["openapi"] for phrase in judged[id].allowed
    }
    assert allowed == {case.allows for case in LEGAL if case.allows}
