"""The report: what was asked, what came of it, the verdict, and the evidence, as one JSON document."""

import datetime
import hashlib
import json
import platform
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from conformance import openapi
from conformance.catalogue import Edition
from conformance.exchange import Exchange
from conformance.known import KnownFailure, KnownFailures
from conformance.outcome import Outcome, Verdict, reduce
from conformance.profile import FacilitatorMode, Profile
from conformance.rows import Row, unjudged
from conformance.run import Result

__all__ = ["Report", "conclude", "doubt", "payments", "to_json", "write"]

_POOLED = 512
_WORST = (
    Outcome.VIOLATED,
    Outcome.ERROR,
    Outcome.UNTESTABLE,
    Outcome.UNMET,
    Outcome.PASSED,
    Outcome.INAPPLICABLE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One concluded run."""

    profile: Profile
    edition: Edition
    verdict: Verdict
    rows: tuple[Row, ...]
    results: Mapping[tuple[str, str], Result]
    """By requirement id and endpoint name; a row without a result did not run."""
    classes: Mapping[str, Verdict]
    unjudged: Mapping[str, str]
    """Class -> why this run does not judge it."""
    unasked: tuple[str, ...]
    """Parts of the profile for which there is no check yet."""
    reservations: tuple[str, ...]
    """Why the run as a whole cannot be conformant."""
    known: Mapping[tuple[str, str], KnownFailure]
    """The failing rows that a live known failure covers."""
    stale: tuple[str, ...]
    acceptable: bool
    """Whether a pipeline may go on: exit status 0."""
    sanity: Mapping[str, Exchange]
    began: float
    ended: float
    """Seconds since the epoch."""
    command: str

    def count(self, outcome: Outcome) -> int:
        """How many rows came to ``outcome``."""
        return sum(result.outcome is outcome for result in self.results.values())

    @property
    def not_run(self) -> int:
        """How many scored rows did not run."""
        return sum(row.key not in self.results for row in self.rows)


def conclude(
    *,
    profile: Profile,
    edition: Edition,
    rows: tuple[Row, ...],
    results: Iterable[Result],
    sanity: Mapping[str, Exchange],
    reservations: Sequence[str],
    failures: KnownFailures,
    began: float,
    command: str,
    ended: float | None = None,
) -> Report:
    """The report on ``results``, judged against every row that the edition scores and not against what ran.

    ``began`` and ``ended`` are seconds since the epoch; the run ends now unless it did before. Known failures live or
    expire by that day.
    """
    found: dict[tuple[str, str], Result] = {}
    for result in results:
        key = (result.requirement, result.endpoint)
        if key not in found or _WORST.index(result.outcome) < _WORST.index(found[key].outcome):
            found[key] = result
    judged = {row.requirement.cls for row in rows}
    vain = sorted(judged - {row.requirement.cls for row in rows if _applies(found.get(row.key))})
    held = [*reservations, *_shortfalls(profile, edition, found)]
    if profile.claims is not None:
        held += [f'class "{cls}" is claimed, and nothing in it applies to this target' for cls in vain]
    else:
        judged -= set(vain)
    moment = datetime.datetime.fromtimestamp(time.time() if ended is None else ended, datetime.UTC)
    failing = {key: r for key, r in found.items() if r.outcome in {Outcome.VIOLATED, Outcome.UNMET}}
    live = failures.live(moment.date())
    known = {key: entry for key in failing for entry in live if entry.covers(*key)}
    stale = failures.stale(failing, moment.date())
    verdict = _verdict(rows, found, held)
    beside = _verdict([row for row in rows if row.key not in known], found, held)
    return Report(
        profile=profile,
        edition=edition,
        verdict=verdict,
        rows=rows,
        results=found,
        classes={
            cls: _verdict([row for row in rows if row.requirement.cls == cls], found, held)
            for cls in edition.classes
            if cls in judged
        },
        unjudged=unjudged(profile, edition)
        | dict.fromkeys((cls for cls in vain if cls not in judged), "nothing in it applies here"),
        unasked=_unasked(profile),
        reservations=tuple(held),
        known=known,
        stale=tuple(stale),
        acceptable=beside is Verdict.CONFORMANT and not stale,
        sanity=sanity,
        began=began,
        ended=moment.timestamp(),
        command=command,
    )


def _applies(result: Result | None) -> bool:
    """Whether there is something to say about a row; of one that did not run nobody knows."""
    return result is None or result.outcome is not Outcome.INAPPLICABLE


def doubt(sanity: Mapping[str, Exchange]) -> str:
    """What the sanity requests, ``first`` and ``last``, say against a run; empty when they say nothing."""
    for when, exchange in sanity.items():
        if exchange.failure:
            return f"the target does not answer the {when} sanity request ({exchange.failure.detail})"
    statuses = [exchange.response.status for exchange in sanity.values() if exchange.response]
    if len(set(statuses)) > 1:
        return f"the target answered the sanity request {statuses[0]} first and {statuses[-1]} at the end"
    return ""


def _verdict(rows: Iterable[Row], found: Mapping[tuple[str, str], Result], held: Sequence[str]) -> Verdict:
    outcomes = [(row.requirement.level, found[row.key].outcome if row.key in found else None) for row in rows]
    return reduce(outcomes, reservations=held)


def _shortfalls(profile: Profile, edition: Edition, found: Mapping[tuple[str, str], Result]) -> Iterable[str]:
    if not any(result.outcome is Outcome.PASSED for result in found.values()):
        yield "nothing that was asked held, or nothing was asked"
    yield from _never_refused(profile, found)
    for name, floor in edition.floors.items():
        if (given := getattr(profile.limits, name)) < floor:
            yield f"limits.{name} is {given}; edition {edition.name} asks for {floor} at least"
    if profile.claims is not None:
        for cls in profile.claims.classes:
            if not edition.classes.get(cls):
                yield f'class "{cls}" is claimed, and this version has no checks for it yet'


def _never_refused(profile: Profile, found: Mapping[tuple[str, str], Result]) -> Iterable[str]:
    """Whatever is claimed: an endpoint that nobody has to pay for is no endpoint of ours."""
    for endpoint in profile.endpoints:
        own = [answer for answer in profile.answers if answer.name in endpoint.answers]
        refusing = {402, *(status for answer in own for status in answer.status)}
        answers = {
            exchange.response.status
            for result in found.values()
            for labels in result.evidence
            if result.endpoint == endpoint.name and "unpaid" in labels
            if (exchange := result.exchanges[labels["unpaid"]]).response
        }
        if answers and not answers & refusing:
            yield f'endpoint "{endpoint.name}" was never seen to refuse an unpaid request'


def _unasked(profile: Profile) -> tuple[str, ...]:
    parts = {
        "certificate": profile.certificate is not None,
    }
    return tuple(part for part, given in parts.items() if given)


def write(report: Report, path: Path) -> None:
    """Writes ``report`` as JSON; raises OSError where the file cannot be written."""
    # Whole or not at all; ASCII, because a target may send what is no Unicode text.
    whole = json.dumps(to_json(report), indent=1) + "\n"
    if path.exists() and not path.is_file():
        # Nothing is put in the place of a device or a pipe.
        path.write_text(whole, "ascii")
        return
    path = path.resolve()
    beside = path.with_name(f".{path.name}.part")
    try:
        beside.write_text(whole, "ascii")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def to_json(report: Report) -> dict[str, Any]:
    """The report as ``schemas/report.schema.json`` has it."""
    bodies: dict[str, dict[str, str]] = {}
    exchanges = {key: e for result in report.results.values() for key, e in result.exchanges.items()}
    profile = report.profile
    return {
        "report": "urn:pytest-402:report",
        "suite": {name: metadata.version(name) for name in ("pytest-402", "pytest", "hypothesis", "httpx")}
        | {"python": platform.python_version()},
        "edition": report.edition.name,
        "profile": {
            "name": profile.name,
            "shipped": profile.shipped,
            "document": profile.document,
            "origins": [{"key": origin.key, "source": origin.source} for origin in profile.origins],
        },
        **({"openapi": read} if (read := openapi.to_json(profile)) else {}),
        "began": _moment(report.began),
        "ended": _moment(report.ended),
        "verdict": str(report.verdict),
        "acceptable": report.acceptable,
        "reservations": list(report.reservations),
        "classes": {cls: str(verdict) for cls, verdict in report.classes.items()},
        "unjudged": dict(report.unjudged),
        "unasked": list(report.unasked),
        "known_failures": [
            {
                "requirement": key[0],
                "endpoint": key[1],
                "reason": entry.reason,
                "link": entry.link,
                "expires": entry.expires.isoformat(),
            }
            for key, entry in report.known.items()
        ],
        "stale": list(report.stale),
        "counts": dict(Counter(str(r.outcome) for r in report.results.values())) | {"not run": report.not_run},
        "results": [_row(row, report.results.get(row.key)) for row in report.rows],
        "payments": payments(profile, exchanges),
        "sanity": {when: _pooled(exchange, bodies) for when, exchange in report.sanity.items()},
        "exchanges": {key: _pooled(exchange, bodies) for key, exchange in exchanges.items()},
        "bodies": bodies,
    }


def payments(profile: Profile, exchanges: Mapping[str, Exchange]) -> list[dict[str, Any]]:
    """A line for each payment that was made: in which exchange, how much of what, by whom, and whether it was charged.

    Where the facilitator is ours, no money moved in any of them.
    """
    own = profile.facilitator.mode is FacilitatorMode.OWN
    lines: dict[str, dict[str, Any]] = {}
    for key, exchange in exchanges.items():
        if not (paid := exchange.paid) or not paid.version:
            continue
        # Where the facilitator is ours each payment has a payer of its own; who is seen twice sent the same one again.
        line = lines.setdefault(
            key if own else paid.payer,
            {
                "exchange": key,
                "network": paid.network,
                "asset": paid.asset,
                "amount": paid.amount,
                "payer": paid.payer,
                "charged": None if own else False,
            },
        )
        if not own:
            line["charged"] = line["charged"] or paid.charged
    return list(lines.values())


def _row(row: Row, result: Result | None) -> dict[str, Any]:
    requirement = row.requirement
    told: dict[str, Any] = {
        "requirement": requirement.id,
        "endpoint": row.endpoint,
        "level": str(requirement.level),
        "class": requirement.cls,
        "statement": requirement.statement,
        "outcome": None,
    }
    if result:
        told |= {key: value for key, value in result.to_json().items() if key != "exchanges"}
    return told


def _pooled(exchange: Exchange, bodies: dict[str, dict[str, str]]) -> dict[str, Any]:
    """The exchange as JSON, a long body by its digest: many answers carry the same one."""
    told = exchange.to_json()
    for half in ("request", "response"):
        body = told.get(half, {}).get("body")
        if body and sum(map(len, body.values())) > _POOLED:
            digest = hashlib.sha256(getattr(exchange, half).body).hexdigest()
            bodies[digest] = body
            told[half]["body"] = {"sha256": digest}
    return told


def _moment(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="milliseconds")
