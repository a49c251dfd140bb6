"""The table of effects: each careless account is seen, no careful one is, and what nothing shows is not said to hold."""

import json
import tomllib
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from accounts import ORDER, Effect, Server, accounting, effect, judged_flows
from fault_flows import FAULTS, LEGAL, UNPROVEN
from judging import sandbox_profile
from serving import Answer, Asked, unaltered

from conformance import _data, catalogue, checks, flows, readings
from conformance.catalogue import Level
from conformance.evidence import Evidence
from conformance.exchange import Exchange
from conformance.outcome import Outcome, Verdict
from conformance.probe import Probe
from conformance.purse import Means, Purse
from conformance.redaction import Redactor
from conformance.report.terminal import summary
from conformance.run import decided
from conformance.wire import Wire

REQUIREMENTS = catalogue.load().requirements


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with accounting() as found:
        yield found


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What reads otherwise than it should is read again sooner."""
    monkeypatch.setattr(flows, "_REST", 0.15)
    for module in (flows, readings):
        monkeypatch.setattr(module, "PAUSE", 0.1)


def a_name(entry: Effect) -> str:
    return entry.name


@pytest.mark.parametrize("entry", (*FAULTS, *LEGAL, *UNPROVEN), ids=a_name)
def test_an_effect_turns_red_what_the_table_says_and_nothing_else(entry: Effect, server: Server) -> None:
    """Exactly the listed requirements break, and what cannot be asked follows from them or stands in the table."""
    run = judged_flows(server, entry)
    told = {f"{r.requirement} at {r.endpoint!r}: {r.outcome}: {r.finding}" for r in run.results.values() if r.finding}
    assert {r.requirement for r in run.red()} == entry.red, told
    assert {r.requirement for r in run.of(Outcome.ERROR)} == entry.errors, told
    causes = {(r.requirement, r.finding.cause) for r in run.of(Outcome.UNTESTABLE) if r.finding}
    assert {cause for _, cause in causes if cause} <= entry.red | entry.errors, told
    assert {id for id, cause in causes if not cause} == entry.untestable, told
    if any(REQUIREMENTS[id].level is Level.MUST for id in entry.red):
        assert run.verdict is Verdict.NOT_CONFORMANT
    elif not entry.red and not entry.untestable and not entry.errors:
        assert run.verdict is Verdict.CONFORMANT


def test_every_scored_requirement_of_flows_has_a_fault() -> None:
    """No check on effects that an edition scores is one that cannot fail."""
    scored = {id for edition in catalogue.editions().values() for id in edition.classes["flows"]}
    assert {id for entry in FAULTS for id in entry.red} == scored - {ORDER}


def test_every_allowed_phrase_of_flows_has_a_variant() -> None:
    """Each ``allowed`` of a row on effects is shown by a variant, and no variant names one that is not there."""
    allowed = {
        f"{r.id}: {phrase}" for r in REQUIREMENTS.values() if r.cls == "flows" and r.id != ORDER for phrase in r.allowed
    }
    assert {phrase for entry in LEGAL for phrase in entry.allows} == allowed


def test_no_two_entries_of_flows_have_the_same_name() -> None:
    """A name in a report of this suite means one entry of the tables."""
    names = [entry.name for entry in (*FAULTS, *LEGAL, *UNPROVEN)]
    assert len(set(names)) == len(names)


def test_what_production_is_asked_changes_nothing(server: Server) -> None:
    """Where only plain requests are sent, no step is taken, nobody is served, and what was not asked is untestable."""
    asked: list[str] = []
    entry = effect("production", does=lambda request, _: asked.append(request.path), edit=_in_production)
    run = judged_flows(server, entry)
    assert run.red() == run.of(Outcome.ERROR) == []
    assert {path for path in asked if path.startswith("/test")} == set()
    forging = {r.id for r in REQUIREMENTS.values() if r.cls == "flows" and r.id != ORDER and "forge" in r.needs}
    assert {r.requirement for r in run.of(Outcome.UNTESTABLE)} == forging
    assert run.verdict is Verdict.INCOMPLETE


def _in_production(written: dict[str, Any]) -> None:
    written["target"]["environment"] = "production"


@pytest.mark.parametrize("entry", (LEGAL[0], *FAULTS[1:2]), ids=a_name)
def test_what_was_recorded_of_effects_is_decided_again_alike(entry: Effect, server: Server) -> None:
    """From the written evidence alone, anybody comes to the same outcomes and findings."""
    run = judged_flows(server, entry)
    known = {check.requirement: check for found in checks.load().values() for check in found}
    for (id, name), result in run.results.items():
        at = next(endpoint for endpoint in run.report.profile.endpoints if endpoint.name == name)
        for labels in result.evidence:
            had = {label: Exchange.from_json(result.exchanges[key].to_json()) for label, key in labels.items()}
            evidence = Evidence(profile=run.report.profile, at=at, exchanges=had)
            assert decided(known[id], evidence, REQUIREMENTS[id].level) == (result.outcome, result.finding)


def test_each_request_of_a_flow_has_a_key_of_its_own(server: Server) -> None:
    """Under one idempotency key the first answer comes again: neither a crowd nor a remedy would be seen."""
    keys: list[str] = []

    def keyed(written: dict[str, Any]) -> None:
        written["endpoint"][0]["headers"] = {"Idempotency-Key": "always the same"}

    def note(asked: Asked, _: Answer) -> None:
        if asked.path == "/translate" and asked.headers.get("sandbox-account") == "broke":
            keys.append(asked.headers["idempotency-key"])

    run = judged_flows(server, effect("keyed", does=note, edit=keyed))
    assert run.verdict is Verdict.CONFORMANT
    assert len(set(keys)) == len(keys) > 80


def test_no_key_in_a_body_or_of_a_step_comes_again(server: Server) -> None:
    """Where a key is a member of the body, or stands with a step, each call and each purchase has one of its own."""
    keys: list[str] = []

    def edit(written: dict[str, Any]) -> None:
        written["idempotency"] |= {"key": {"member": "/once"}}
        written["endpoint"][0]["json"] = {"text": "hello", "once": "the plain one"}
        written["flow"][0]["steps"][0] |= {"json": {"credits": 10, "once": "a"}, "headers": {"Idempotency-Key": "b"}}

    def note(asked: Asked, _: Answer) -> None:
        if asked.path == "/test/top-up":
            keys.append(asked.headers["idempotency-key"])
        if asked.path in {"/translate", "/test/top-up"}:
            keys.append(json.loads(asked.body)["once"])

    run = judged_flows(server, effect("keyed in its body", does=note, edit=edit, only=("flows.remedy-opens",)))
    assert run.verdict is Verdict.CONFORMANT
    assert sorted(Counter(keys).values())[-2:] == [1, keys.count("the plain one")]
    assert not {"a", "b"} & set(keys)


def test_the_story_of_a_run_says_what_its_flows_took(server: Server) -> None:
    """How often something was bought, and taken back, stands beside the payments of a run."""
    told = [line for line in summary(judged_flows(server, effect("sandbox")).report) if line.startswith("flow ")]
    assert told == ['flow "top-up": begun 8 times and taken back 8 times, 7 calls of translate served']


@pytest.mark.parametrize("turn", range(20))
def test_a_race_is_seen_each_time(server: Server, turn: int) -> None:
    """A balance that is looked at a thousandth of a second before it is taken from is never called safe."""
    del turn
    run = judged_flows(server, effect("racy", stutter=0.001, only=("flows.parallel-serves",)))
    assert [r.requirement for r in run.red()] == ["flows.parallel-serves-no-more"]


@pytest.mark.parametrize("how", [KeyboardInterrupt, ValueError])
def test_whatever_stops_a_flow_it_is_taken_back(server: Server, how: type[BaseException]) -> None:
    """Whoever interrupts a run, or breaks it, finds the account as it was."""
    altered, ledger, here = server
    altered.begin(unaltered, ())
    ledger.begin()
    whole = tomllib.loads((_data.profiles() / "sandbox.toml").read_text("utf-8"))
    loaded = sandbox_profile(here, lambda written: written.update(endpoint=whole["endpoint"], flow=whole["flow"]))
    wire = Wire(timeout=5, limits=loaded.limits, redactor=Redactor.of({}), hosts=frozenset({urlsplit(here).netloc}))
    purse = Purse(profile=loaded, means=Means(), redactor=Redactor.of({}))
    at = next(endpoint for endpoint in loaded.endpoints if endpoint.name == "translate")
    held = []

    class Kept(dict[str, Exchange]):
        def __setitem__(self, label: str, exchange: Exchange) -> None:
            super().__setitem__(label, exchange)
            if label.endswith("step 1"):
                held.append(ledger.balance("broke"))
                raise how

    probe = Probe(profile=loaded, wire=wire, purse=purse, endpoint=at, kept=Kept())
    with pytest.raises(how):
        flows.traversed(probe)
    wire.close()
    assert (held, ledger.balance("broke")) == ([13], 3)
