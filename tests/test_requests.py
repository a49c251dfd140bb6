"""The tables of ways round: each is found, no turnstile without one is said to have it, and silence is no proof."""

import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from fault_requests import FAULTS, UNPROVEN, Round, dotted, matrixless, merged, read, slashed
from fault_ways import MORE_FAULTS, MORE_LEGAL
from judging import Judged, judged
from legal_requests import LEGAL
from turnstile import PATH, Asked, Turnstile, Ways, turnstile

from conformance import catalogue, checks
from conformance.catalogue import Level
from conformance.evidence import Evidence
from conformance.exchange import Exchange
from conformance.outcome import Outcome, Verdict
from conformance.run import decided
from conformance.ways import JOIN

REQUIREMENTS = catalogue.load().requirements
# What takes HTTP/2 has a table of its own.
SCORED = frozenset(id for edition in catalogue.editions().values() for id in edition.classes["requests"]) - {
    "requests.http2"
}
ANY = "requests.any-variant"
Server = tuple[Turnstile, str]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with turnstile() as found:
        yield found


def a_name(entry: Round) -> str:
    return entry.name


def written(document: dict[str, Any]) -> None:
    """The profile of the turnstile."""
    document["endpoint"] = [
        {
            "name": "weather",
            "path": PATH,
            "answers": ["paywall"],
            "marker": "sunny",
            "paid_identity": "subscriber",
            "witness": {"path": "/runs", "pointer": "/n"},
        }
    ]
    document["answer"] = [{"name": "paywall", "family": "paywall"}]
    document["identity"] = {"subscriber": {"headers": {"X-Account": "subscriber"}}}
    document["target"]["timeout"] = 2.0


def run_of(entry: Round, server: Server, many: int = 8, **more: Any) -> Judged:
    here, base_url = server
    here.begin(entry.make())

    def edit(document: dict[str, Any]) -> None:
        written(document)
        if entry.edit:
            entry.edit(document)

    return judged(base_url, claims=["requests"], edit=edit, examples=many, **more)


def told(run: Judged) -> set[str]:
    return {f"{r.requirement}: {r.outcome}: {r.finding}" for r in run.results.values() if r.finding}


@pytest.mark.parametrize("fault", (*FAULTS, *MORE_FAULTS), ids=a_name)
def test_a_way_round_turns_red_what_the_table_says(fault: Round, server: Server) -> None:
    """Exactly the listed rows break; the one that is drawn may as well, as it asks the same and more."""
    run = run_of(fault, server)
    red = {r.requirement for r in run.red()}
    assert red | {ANY} == fault.ids | {ANY}, told(run)
    assert ANY in red or ANY not in fault.ids, told(run)
    causes = {r.finding.cause for r in run.of(Outcome.UNTESTABLE) if r.finding}
    if fault.ids != {"requests.survives"}:
        assert run.of(Outcome.ERROR) == []
        assert causes <= red, told(run)
    if any(REQUIREMENTS[id].level is Level.MUST for id in fault.ids):
        assert run.verdict is Verdict.NOT_CONFORMANT
    else:
        assert run.verdict is not Verdict.NOT_CONFORMANT


@pytest.mark.parametrize("legal", (*LEGAL, *MORE_LEGAL), ids=a_name)
def test_a_turnstile_without_a_way_round_turns_red_nothing(legal: Round, server: Server) -> None:
    """Every requirement holds or does not apply, and the verdict is the best."""
    run = run_of(legal, server)
    wrong = run.red() + run.of(Outcome.ERROR, Outcome.UNTESTABLE)
    assert [f"{r.requirement}: {r.outcome}: {r.finding}" for r in wrong] == []
    assert run.verdict is Verdict.CONFORMANT


@pytest.mark.parametrize("unproven", UNPROVEN, ids=a_name)
def test_what_is_not_seen_of_a_way_round_is_not_said_to_hold(unproven: Round, server: Server) -> None:
    """Nothing is red, exactly what is listed is untestable, and no run is conformant for it."""
    run = run_of(unproven, server)
    assert run.red() == [], told(run)
    left = {r.requirement for r in run.of(Outcome.UNTESTABLE, Outcome.ERROR)} - {ANY}
    assert left == unproven.ids - {ANY}, told(run)
    assert run.verdict is Verdict.INCOMPLETE


@pytest.mark.parametrize("which", [3, 4])
def test_a_usual_request_that_is_served_once_leaves_all_open(which: int, server: Server) -> None:
    """Whoever gives the same request what is sold, for once and to nobody who paid, is not conformant for it."""
    asked: list[Asked] = []

    def lets(one: Asked) -> bool:
        asked.append(one)
        return len(asked) == which

    run = run_of(Round(name="", make=lambda: Ways(skips=lets)), server)
    assert run.red() == []
    reasons = {r.finding.reason for r in run.of(Outcome.UNTESTABLE) if r.finding}
    assert any("it is open at times" in reason for reason in reasons)
    assert run.verdict is Verdict.INCOMPLETE


def test_every_scored_requirement_of_requests_has_a_fault() -> None:
    """No check on a way round that an edition scores is one that cannot fail."""
    assert {id for fault in FAULTS for id in fault.ids} == SCORED


def test_every_allowed_phrase_of_requests_has_a_variant() -> None:
    """Each ``allowed`` of a row on ways round is shown by a turnstile, and none names one that is not there."""
    allowed = {f"{id}: {phrase}" for id in SCORED for phrase in REQUIREMENTS[id].allowed}
    assert {phrase for legal in LEGAL for phrase in legal.allows} == allowed


def test_no_two_turnstiles_have_the_same_name() -> None:
    """A name in a report of this suite means one entry of the tables."""
    names = [entry.name for entry in (*FAULTS, *MORE_FAULTS, *LEGAL, *MORE_LEGAL, *UNPROVEN)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("fault", FAULTS[:2], ids=a_name)
def test_what_was_recorded_of_a_way_round_is_decided_again_alike(fault: Round, server: Server) -> None:
    """From the written evidence alone, anybody comes to the same outcomes and findings."""
    run = run_of(fault, server)
    known = {check.requirement: check for found in checks.load().values() for check in found}
    for (id, name), result in run.results.items():
        at = next(endpoint for endpoint in run.report.profile.endpoints if endpoint.name == name)
        for labels in result.evidence:
            had = {label: Exchange.from_json(result.exchanges[key].to_json()) for label, key in labels.items()}
            evidence = Evidence(profile=run.report.profile, at=at, exchanges=had)
            outcome, finding = decided(known[id], evidence, REQUIREMENTS[id].level)
            assert outcome is Outcome.PASSED or (outcome, finding) == (result.outcome, result.finding)


def test_what_nobody_thought_of_is_drawn_and_becomes_short(server: Server) -> None:
    """A way round that takes two things at once, none of history, is found, and shown with nothing beside the two."""
    generous = read(lambda path: slashed(merged(dotted(matrixless(path)))).lower())
    ways = Ways(routes=generous, skips=lambda asked: bool(asked.query) and asked.path != PATH)
    run = run_of(Round(name="", make=lambda: ways), server, many=160, only=(ANY,))
    (result,) = run.results.values()
    assert result.outcome is Outcome.VIOLATED
    assert result.finding
    query, path = result.finding.at.rpartition(", GET ")[0].split(JOIN)
    assert query.startswith("queries: ")
    assert path.startswith(("slashes: ", "dot-segments: ", "suffixes: ", "letter-case: "))


def test_the_bytes_of_a_finding_show_it(server: Server) -> None:
    """The command that a finding prints, run in a shell, gets what is sold from the server itself."""
    _, base_url = server
    run = run_of(FAULTS[0], server, only=("requests.slashes",))
    (result,) = run.results.values()
    assert result.finding
    line = next(e for key, e in result.exchanges.items() if f"/{result.finding.exchange}@" in key).again()
    host, port = base_url.removeprefix("http://").split(":")
    printed, _, told = line.rpartition(" | ")
    assert told == f"nc {host} {port}"
    sent = subprocess.run(["bash", "-c", printed], capture_output=True, check=True).stdout
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(sent)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"sunny" in answer


def test_nobody_is_asked_as_somebody_else(server: Server) -> None:
    """A field that tells the identities of the profile apart is sent as it stands, or not at all."""
    seen: list[str] = []

    def first(asked: Asked) -> None:
        seen.extend(value for name, value in asked.fields if name.strip().lower() == "x-user")

    def edit(written: dict[str, Any]) -> None:
        written["identity"]["poor"] = {"headers": {"X-User": "poor"}}
        written["endpoint"][0]["identity"] = "poor"

    run = run_of(Round(name="", make=lambda: Ways(first=first), edit=edit), server)
    assert run.verdict is Verdict.CONFORMANT
    assert set(seen) == {"poor"}


def test_in_production_nothing_odd_is_asked(server: Server) -> None:
    """A target that is in use is asked plain requests alone."""
    entry = Round(name="", make=FAULTS[0].make, edit=lambda written: written["target"].update(environment="production"))
    run = run_of(entry, server)
    assert {r.outcome for r in run.results.values()} == {Outcome.UNTESTABLE}
    assert [exchange for r in run.results.values() for exchange in r.exchanges] == []
