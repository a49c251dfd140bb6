"""Judges a report again from its own evidence, without a target."""

import base64
import datetime
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance import catalogue, checks, openapi
from conformance.catalogue import Edition
from conformance.checks import Check
from conformance.evidence import Evidence
from conformance.exchange import Exchange
from conformance.known import KnownFailure, KnownFailures, inexcusable
from conformance.outcome import Finding, Outcome
from conformance.profile import Profile, from_document
from conformance.report.document import Report, conclude, doubt, payments
from conformance.rows import Row, left_out, rows
from conformance.run import Result, decided

__all__ = ["Difference", "review"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A place where a report says something else than its evidence, its profile and its edition come to."""

    requirement: str
    """Empty where it concerns the run as a whole."""
    endpoint: str
    reported: str
    decided: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A report, and what it says by itself."""

    report: Mapping[str, Any]
    profile: Profile
    edition: Edition
    exchanges: Mapping[str, Exchange]

    def evidence(self, row: Row, labels: Mapping[str, str]) -> Evidence:
        return Evidence(
            profile=self.profile,
            at=openapi.place_of(self.profile, row.endpoint),
            exchanges={label: self.exchanges[key] for label, key in labels.items()},
        )


def review(report: Mapping[str, Any]) -> Iterator[Difference]:
    """What of ``report`` (as JSON, fit for its schema) does not follow from itself.

    The rows come from its profile and edition; each is decided again from its exchanges, and the verdict from the rows.
    It cannot see what was changed on both sides alike: exchanges, or a profile, that were edited to fit, and
    reservations (a row that was run again, a target that ended) that were taken away. Only a signature could show that.
    """
    yield from _bodies(report["bodies"])
    own = report["profile"]
    profile = from_document(own["document"], path=Path("report.toml"), name=own["name"])
    profile = openapi.from_json(profile, report.get("openapi", {}))
    yield from _compared("edition", report["edition"], profile.edition)
    edition = catalogue.editions()[profile.edition]
    exchanges = {key: Exchange.from_json(_whole(value, report["bodies"])) for key, value in report["exchanges"].items()}
    case = _Case(report=report, profile=profile, edition=edition, exchanges=exchanges)
    scored = rows(profile, edition)
    reported = {(told["requirement"], told["endpoint"]): told for told in report["results"]}
    yield from _listed(report["results"], scored)
    by_id = {check.requirement: check for found in checks.load().values() for check in found}
    results = []
    for row in scored:
        if (told := reported.get(row.key)) is not None:
            yield from _misdescribed(row, told)
            result, differences = _again(case, row, told, by_id[row.requirement.id])
            results += [result] if result else []
            yield from differences
    yield from _concluded(case, scored, results)


def _bodies(bodies: Mapping[str, Mapping[str, str]]) -> Iterator[Difference]:
    for digest, body in bodies.items():
        content = body["text"].encode() if "text" in body else base64.b64decode(body["base64"])
        yield from _compared("the digest of a body", digest, hashlib.sha256(content).hexdigest())


def _listed(results: list[Mapping[str, Any]], scored: tuple[Row, ...]) -> Iterator[Difference]:
    """Each row that the edition scores stands there once, and no other."""
    there, due = Counter((told["requirement"], told["endpoint"]) for told in results), {row.key for row in scored}
    for key in {**dict.fromkeys(row.key for row in scored), **there}:
        if there[key] != (key in due):
            yield Difference(
                requirement=key[0],
                endpoint=key[1],
                reported=f"{there[key]} results",
                decided="one result" if key in due else "no row of this edition and profile",
            )


def _misdescribed(row: Row, told: Mapping[str, Any]) -> Iterator[Difference]:
    requirement = row.requirement
    right = {"level": str(requirement.level), "class": requirement.cls, "statement": requirement.statement}
    for key, value in right.items():
        yield from _compared(key, told[key], value, row)


def _again(case: _Case, row: Row, told: Mapping[str, Any], check: Check) -> tuple[Result | None, list[Difference]]:
    """What the row comes to; None for one that did not run, or whose evidence is not there."""
    if told["outcome"] is None:
        return None, []
    evidence = tuple(told["evidence"])
    without = left_out(row, case.profile)
    if without is None and (why := _unproven(case, row, told, check)):
        return None, [_differs(row, told, why)]
    outcome: Outcome
    finding: Finding | None
    if without:
        outcome, finding = without
        evidence = ()
    else:
        level = row.requirement.level
        each = [decided(check, case.evidence(row, labels), level) for labels in evidence]
        outcome, finding = next((one for one in each if one[0] is not Outcome.PASSED), each[0])
    result = Result(
        requirement=row.requirement.id,
        endpoint=row.endpoint,
        outcome=outcome,
        finding=finding,
        evidence=evidence,
        exchanges={key: case.exchanges[key] for labels in evidence for key in labels.values()},
        took=told["took"],
    )
    same = outcome == told["outcome"] and _facts(finding) == told["finding"] and list(evidence) == told["evidence"]
    return result, [] if same else [_differs(row, told, f"{outcome}: {_facts(finding)}")]


def _unproven(case: _Case, row: Row, told: Mapping[str, Any], check: Check) -> str:
    """Why the evidence that the row names is not what such a row rests on; empty when it is."""
    if not told["evidence"]:
        return "there is no evidence"
    pairs = [pair for labels in told["evidence"] for pair in labels.items()]
    if lost := [key for _, key in pairs if key not in case.exchanges]:
        return f"the exchange {lost[0]} is not there"
    place = row.endpoint or "*"
    if strange := [key for label, key in pairs if not key.startswith(f"{place}/{label}@")]:
        return f"the exchange {strange[0]} belongs elsewhere"
    if check.drawn and not check.drawn.shared and told["outcome"] == Outcome.PASSED:
        asked, due = len(told["evidence"]), check.drawn.many(case.profile.limits.max_examples)
        return f"{asked} examples are there, {due} were to be asked" if asked < due else ""
    return ""


def _facts(finding: Finding | None) -> dict[str, str] | None:
    return {key: value for key in finding.__slots__ if (value := getattr(finding, key))} if finding else None


def _differs(row: Row, told: Mapping[str, Any], comes_to: str) -> Difference:
    said = f"{told['outcome']}: {told['finding']}"
    return Difference(requirement=row.requirement.id, endpoint=row.endpoint, reported=said, decided=comes_to)


def _concluded(case: _Case, scored: tuple[Row, ...], results: list[Result]) -> Iterator[Difference]:
    report, reservations = case.report, case.report["reservations"]
    sanity = {when: report["sanity"][when] for when in ("first", "last") if when in report["sanity"]}
    asked = {when: Exchange.from_json(_whole(value, report["bodies"])) for when, value in sanity.items()}
    doubtful = doubt(asked) or ("" if "last" in asked or reservations else "the last sanity request was not asked")
    ended = datetime.datetime.fromisoformat(report["ended"])
    again = conclude(
        profile=case.profile,
        edition=case.edition,
        rows=scored,
        results=results,
        sanity=asked,
        reservations=[*reservations, *filter(None, [doubtful])],
        failures=_known(report["known_failures"], ended.date()),
        began=datetime.datetime.fromisoformat(report["began"]).timestamp(),
        command="",
        ended=ended.timestamp(),
    )
    counts = {outcome: n for outcome, n in report["counts"].items() if n}
    yield from _compared("reservations", sorted(set(reservations)), sorted(set(again.reservations)))
    yield from _compared("payments", report["payments"], payments(case.profile, case.exchanges))
    yield from _compared("counts", counts, _counts(again))
    yield from _compared("classes", report["classes"], {cls: str(verdict) for cls, verdict in again.classes.items()})
    yield from _compared("unjudged", report["unjudged"], dict(again.unjudged))
    yield from _compared("unasked", report["unasked"], list(again.unasked))
    known = {(entry["requirement"], entry["endpoint"]) for entry in report["known_failures"]}
    yield from _compared("known failures", sorted(known), sorted(again.known))
    yield from _compared("verdict", report["verdict"], str(again.verdict))
    yield from _compared("acceptable", report["acceptable"], again.acceptable and not report["stale"])


def _counts(report: Report) -> dict[str, int]:
    counts = Counter(str(result.outcome) for result in report.results.values())
    return dict(counts) | ({"not run": report.not_run} if report.not_run else {})


def _known(entries: list[Mapping[str, str]], day: datetime.date) -> KnownFailures:
    """The known failures of a report, but for those that could not have been read from a file."""
    own = [
        KnownFailure(
            id=entry["requirement"],
            endpoint=entry["endpoint"],
            reason=entry["reason"],
            link=entry["link"],
            expires=datetime.date.fromisoformat(entry["expires"]),
        )
        for entry in entries
    ]
    return KnownFailures(path=Path("report.toml"), entries=tuple(entry for entry in own if not inexcusable(entry, day)))


def _compared(what: str, reported: object, comes_to: object, row: Row | None = None) -> Iterator[Difference]:
    if reported != comes_to:
        requirement, endpoint = row.key if row else ("", "")
        said, found = f"{what}: {reported}", f"{what}: {comes_to}"
        yield Difference(requirement=requirement, endpoint=endpoint, reported=said, decided=found)


def _whole(exchange: Mapping[str, Any], bodies: Mapping[str, Any]) -> dict[str, Any]:
    whole = {key: dict(value) if isinstance(value, dict) else value for key, value in exchange.items()}
    for half in ("request", "response"):
        body = whole.get(half, {}).get("body", {})
        if "sha256" in body:
            whole[half]["body"] = bodies[body["sha256"]]
    return whole
