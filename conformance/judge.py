"""Judging one recorded answer without a target, by the same decisions as a run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from conformance import _data, catalogue, checks, facts, profile, schema
from conformance.catalogue import Requirement
from conformance.checks import Check
from conformance.evidence import Evidence
from conformance.exchange import Response
from conformance.facts import Record
from conformance.family import family
from conformance.gather import again, as_browser, entitled, unpaid
from conformance.outcome import Finding, Outcome, printable
from conformance.profile import Answer, Family, Profile
from conformance.recorded import Recording
from conformance.run import decided

__all__ = ["AUTO", "Judgement", "judge"]

AUTO = "auto"

# What one answer shows: these gathers ask the same thing, of which one answer is recorded.
_SHOWN = {unpaid: "unpaid", again: "again", as_browser: "browser"}
# A field that is missing from a record which does not have every field proves nothing.
_BY_ABSENCE = {"http.date", "http.content-type", "credits.retry-after"} | {f"{f}.request-id" for f in Family}
_BASE = "base-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What one recorded answer came to."""

    name: str
    """What the recording is called."""
    status: str
    family: Family | None
    """None for an answer that asks for no payment."""
    profile: str
    """The profile whose rule it fits; empty where none does."""
    rule: str
    record: Record | None
    findings: tuple[tuple[Requirement, Outcome, Finding], ...]
    """What does not hold: violated first, then unmet."""

    def to_json(self) -> dict[str, Any]:
        """The judgement as a JSON object."""
        return {
            "recording": self.name,
            "family": self.family,
            "profile": self.profile or None,
            "rule": self.rule or None,
            "facts": {name: fact.value for name, fact in self.record.facts.items()} if self.record else {},
            "findings": [
                {"id": row.id, "level": row.level, "outcome": outcome, "statement": row.statement}
                | {key: text for key in ("expected", "received", "at", "reason") if (text := getattr(found, key))}
                for row, outcome, found in self.findings
            ],
        }

    def story(self) -> Iterator[str]:
        """The judgement for a terminal."""
        of = f"{self.family}" if self.family else "no request for payment"
        by = f", read by rule {self.rule} of {self.profile}" if self.rule else ""
        yield f"{self.name}: {printable(self.status)}: {of}{by}"
        for name, fact in self.record.facts.items() if self.record else ():
            prose = ", in a sentence" if fact.prose else ""
            yield f"  {name:<14} {printable(schema.shown(fact.value, 70))}  [{printable(fact.at) or 'the profile'}{prose}]"
        for row, outcome, found in self.findings:
            yield f"{str(outcome).upper():<9} {row.id}  {row.level}"
            yield f"  {row.statement}"
            if found.expected:
                yield f"  expected  {printable(found.expected)}"
                yield f"  received  {printable(found.received)}" + (f" ({printable(found.at)})" if found.at else "")
            if found.reason:
                yield f"  reason    {printable(found.reason)}"
        count = len(self.findings)
        yield f"{count} finding{'' if count == 1 else 's'}" if self.family else "nothing to judge"


def judge(recording: Recording, name: str, *, cwd: Path, environ: Mapping[str, str]) -> Judgement:
    """Judges ``recording`` by the profile called ``name``, or by the shipped one that reads it best (``auto``).

    Raises ProfileError for a profile that there is not, or that is wrong.
    """
    response = recording.exchange.response
    assert response is not None  # noqa: S101 - a recording without an answer is none
    seems = family(response).family
    if name != AUTO:
        by = profile.load_rules(name, cwd=cwd, environ=environ)
    elif seems in {None, Family.OFFER}:
        by = None
    else:
        by = _best(response, seems)
    if by is None:
        by = profile.of_rules((), cwd=cwd)
    return _judged(recording, response, by, seems)


def _best(response: Response, seems: Family | None) -> Profile | None:
    """The shipped profile with the one rule of this family that finds most in the answer; a vendor's before a base.

    A base for one shape goes before the one for all.
    """
    found: list[tuple[int, float, Profile]] = []
    for path in sorted(_data.profiles().glob("*.toml")):
        if path.stem == "sandbox":
            continue
        shipped = profile.load_rules(path.stem, cwd=path.parent, environ={})
        general = path.stem.startswith(_BASE)
        for rule in shipped.answers:
            if rule.family is not seems or not facts.fits(rule.when, response):
                continue
            if not general and (rule.when is None or response.status not in rule.status):
                continue
            own = replace(rule, status=(response.status,))
            rank = 2 if not general else 1 if rule.when else 0
            found.append((rank, _worth(facts.record(own, response)), _alone(shipped, own)))
    return max(found, key=lambda entry: entry[:2])[2] if found else None


def _alone(shipped: Profile, rule: Answer) -> Profile:
    (endpoint,) = shipped.endpoints
    return replace(shipped, answers=(rule,), endpoints=(replace(endpoint, answers=(rule.name,)),))


def _worth(record: Record) -> float:
    """How much of an answer a rule reads: members count, sentences half, and what the profile says itself nothing."""
    weights = {"code": 2.0, "message": 2.0}
    return sum(weights.get(name, 1.0) * (0.5 if fact.prose else 1.0) for name, fact in record.facts.items() if fact.at)


def _judged(recording: Recording, response: Response, by: Profile, seems: Family | None) -> Judgement:
    matching = facts.matching(by.answers, response)
    rule = matching[0] if matching else None
    kind = rule.family if rule else seems
    record = facts.record(rule, response) if rule else None
    findings = tuple(_findings(recording, by, kind)) if kind else ()
    return Judgement(
        name=recording.name,
        status=response.shown(),
        family=kind,
        profile=by.name if rule else "",
        rule=rule.name if rule else "",
        record=record,
        findings=findings,
    )


def _findings(recording: Recording, by: Profile, kind: Family) -> Iterator[tuple[Requirement, Outcome, Finding]]:
    own = "x402/offer" if kind is Family.OFFER else str(kind)
    rows = catalogue.load().requirements
    (endpoint,) = by.endpoints
    exchanges = dict.fromkeys(_SHOWN.values(), recording.exchange)
    evidence = Evidence(profile=by, at=endpoint, exchanges=exchanges)
    found = []
    for check in (check for several in checks.load().values() for check in several):
        row = rows[check.requirement]
        if row.cls in {"http", own} and _shown(check, row) and (recording.whole or row.id not in _BY_ABSENCE):
            outcome, finding = decided(check, evidence, row.level)
            if finding and outcome in {Outcome.VIOLATED, Outcome.UNMET}:
                found.append((row, outcome, finding))
    order = list(rows)
    yield from sorted(found, key=lambda entry: (entry[1] is not Outcome.VIOLATED, order.index(entry[0].id)))


def _shown(check: Check, row: Requirement) -> bool:
    """Whether one recorded answer shows what the check looks at."""
    plain = check.drawn is None and row.scope == "endpoint" and row.needs <= {"plain"}
    # Who has paid is asked beside what is judged.
    return plain and all(gather in _SHOWN or gather is entitled for gather in check.gathers)
