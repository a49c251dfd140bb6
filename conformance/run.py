"""One run: what each row comes to."""

import math
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase

from conformance import checks, memory
from conformance.cases import NONE, SEED
from conformance.catalogue import Edition, Level
from conformance.checks import Check, Drawn
from conformance.evidence import Evidence
from conformance.exchange import Exchange
from conformance.openapi import place_of
from conformance.outcome import Finding, Inapplicable, Outcome, Unanswered, Untestable, Violation
from conformance.probe import Gather, Probe
from conformance.profile import Profile
from conformance.purse import Purse
from conformance.rows import Row, left_out
from conformance.waits import Waits
from conformance.window import Window
from conformance.wire import Wire

__all__ = ["Result", "Run", "decided"]

_SHRINKING = 60
"""Examples that are asked at most to make one that is wrong smaller."""
_RED = frozenset({Outcome.VIOLATED, Outcome.UNMET})
_PAGE = 20.0
"""Seconds that a page in a browser may take beyond an answer."""
_UNASKED = frozenset({Outcome.INAPPLICABLE, Outcome.UNTESTABLE, Outcome.ERROR})


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a row came to, and all that this rests on."""

    requirement: str
    endpoint: str
    outcome: Outcome
    finding: Finding | None
    """None for a requirement that simply holds; beside ``passed``, a note on a MAY."""
    evidence: tuple[Mapping[str, str], ...]
    """For each time it was asked: label -> key in ``exchanges``."""
    exchanges: Mapping[str, Exchange]
    took: float
    """Seconds."""

    def to_json(self) -> dict[str, Any]:
        """The result as a JSON object, its exchanges included."""
        return {
            "requirement": self.requirement,
            "endpoint": self.endpoint,
            "outcome": str(self.outcome),
            "finding": {k: v for k in Finding.__slots__ if (v := getattr(self.finding, k))} if self.finding else None,
            "evidence": [dict(labels) for labels in self.evidence],
            "exchanges": {key: exchange.to_json() for key, exchange in self.exchanges.items()},
            "took": round(self.took, 4),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Result":
        """The result that ``to_json`` wrote."""
        return cls(
            requirement=document["requirement"],
            endpoint=document["endpoint"],
            outcome=Outcome(document["outcome"]),
            finding=document["finding"] and Finding(**document["finding"]),
            evidence=tuple(document["evidence"]),
            exchanges={key: Exchange.from_json(value) for key, value in document["exchanges"].items()},
            took=document["took"],
        )


def decided(check: Check, evidence: Evidence, level: Level) -> tuple[Outcome, Finding | None]:
    """What ``check`` decides on ``evidence``: pure, so that anyone can decide it again."""
    try:
        check.decide(evidence)
    except Violation as found:
        return _broken(level), found.finding
    except Untestable as found:
        return Outcome.UNTESTABLE, found.finding
    except Inapplicable as found:
        return Outcome.INAPPLICABLE, found.finding
    except Unanswered as found:
        return Outcome.ERROR, found.finding
    return Outcome.PASSED, None


def _broken(level: Level) -> Outcome:
    return {Level.MUST: Outcome.VIOLATED, Level.SHOULD: Outcome.UNMET, Level.MAY: Outcome.PASSED}[level]


@dataclass(slots=True, kw_only=True)
class Run:
    """Judges rows of one profile over one wire; a gather asks once and serves every check that names it."""

    profile: Profile
    edition: Edition
    wire: Wire
    purse: Purse
    place: str = "main"
    """Which process this is, so that exchanges of two workers are told apart."""
    window: Window | None = None
    """The browser; one of its own, if none is given and the profile names one."""
    _probes: dict[str, Probe] = field(default_factory=dict)
    _company: dict[str, dict[str, Probe]] = field(default_factory=dict)
    """By the name of a gather that takes long, and of an endpoint: where it is due."""
    _checks: dict[str, Check] = field(default_factory=dict)
    _until_end: ExitStack = field(default_factory=ExitStack)
    _broken_off: threading.Event = field(default_factory=threading.Event)
    _closed: bool = False
    _apart: Future[None] | None = None
    """What is asked of instances while the target itself is asked; None before, and where nothing is."""

    def __post_init__(self) -> None:
        if self.profile.browser and self.window is None:
            self.window = Window(
                executable=self.profile.browser.executable,
                hosts=self.wire.hosts,
                timeout=self.wire.timeout + _PAGE,
                max_body=self.profile.limits.max_body,
            )
            self._until_end.callback(self.window.close)
        self._checks = {check.requirement: check for found in checks.load().values() for check in found}

    def close(self) -> None:
        """Ends what was begun for the sake of rows, and every connection."""
        self._broken_off.set()
        try:
            if self._apart:
                wait([self._apart])
        finally:
            self._closed = True
            self._until_end.close()
            self.wire.close()
            self.purse.close()

    def begin(self, rows: Iterable[Row]) -> None:
        """Begins what ``rows`` need that leaves the target alone; it goes on while others are judged.

        What such a check asks the target first, it asks now. Nothing is begun where an instance may be in the way of
        the target.
        """
        for row in rows:
            if left_out(row, self.profile):
                continue
            for gather in self._checks[row.requirement.id].gathers:
                if isinstance(gather, Waits):
                    self._company.setdefault(gather.__name__, {})[row.endpoint] = self._probe(row)
        apart = []
        for row in rows if memory.beside(self.profile) else ():
            gathers, probe = self._checks[row.requirement.id].gathers, self._probe(row)
            own = [gather for gather in gathers if gather in memory.APART]
            if own and not left_out(row, self.profile):
                for gather in gathers:
                    if gather not in own:
                        probe.gather(gather)
                apart += [(probe, gather) for gather in own]
        if apart:
            pool = ThreadPoolExecutor(1)
            self._apart = pool.submit(self._gather_apart, apart)
            pool.shutdown(wait=False)

    def _gather_apart(self, gathers: Iterable[tuple[Probe, Gather]]) -> None:
        try:
            for probe, gather in gathers:
                if not self._broken_off.is_set():
                    probe.gather(gather)
        finally:
            # Who does not wait for us has closed before us.
            if self._closed:
                self._until_end.close()

    def _probe(self, row: Row) -> Probe:
        """Of an endpoint, or of the whole target for one class: another class asks it at the same time."""
        endpoint = place_of(self.profile, row.endpoint)
        return self._probes.setdefault(
            row.endpoint or f"* {row.requirement.cls}",
            Probe(
                profile=self.profile,
                wire=self.wire,
                purse=self.purse,
                endpoint=endpoint,
                until_end=self._until_end,
                broken_off=self._broken_off,
                window=self.window,
                company=self._company,
            ),
        )

    def judge(self, row: Row) -> Result:
        """Asks what the row needs and decides it."""
        started = time.monotonic()
        check, probe = self._checks[row.requirement.id], self._probe(row)
        if self._apart and row.requirement.cls == memory.CLASS and not row.endpoint:
            self._apart.result()
        shown: list[Evidence] = []
        outcome: Outcome
        finding: Finding | None
        if without := left_out(row, self.profile):
            outcome, finding = without
        elif check.drawn and not check.drawn.shared:
            outcome, finding, shown = self._drawn(check, check.drawn, row.requirement.level, probe)
        else:
            shown = [probe.evidence(check.gathers)]
            outcome, finding = decided(check, shown[0], row.requirement.level)
            if check.drawn and outcome in _RED and NONE not in shown[0].exchanges:
                smaller = self._drawn(check, check.drawn, row.requirement.level, probe)
                if smaller[0] is outcome:
                    outcome, finding, shown = smaller
        return self._result(row, outcome, finding, shown, time.monotonic() - started)

    def _drawn(
        self, check: Check, drawn: Drawn, level: Level, probe: Probe
    ) -> tuple[Outcome, Finding | None, list[Evidence]]:
        seen: list[Evidence] = []
        came: dict[str, tuple[Outcome, Finding | None, Evidence]] = {}
        broken: str | None = None
        most = math.inf

        def asked(value: str) -> tuple[Outcome, Finding | None, Evidence]:
            evidence = probe.drawn(check.gathers, lambda p: drawn.ask(p, value))
            return (*decided(check, evidence, level), evidence)

        def example(value: str) -> None:
            nonlocal broken, most
            # While it is made smaller nothing is asked twice: a target of moods would seem to have mended itself.
            if broken is None or value not in came:
                if len(seen) >= most:
                    return
                came[value] = asked(value)
                seen.append(came[value][2])
            outcome, finding, _ = came[value]
            # What could not be asked is no smaller example of what was seen to be wrong, and is not made smaller itself.
            if finding and (broken is None or outcome not in _UNASKED):
                if broken is None:
                    most = len(seen) + (0 if outcome in _UNASKED else _SHRINKING)
                broken = value
                raise _Found

        test = hypothesis.given(drawn.values(probe))(example)
        if drawn.shared:
            test = hypothesis.seed(SEED)(test)
        # The one that is put on last is asked first.
        for value in reversed(drawn.examples):
            test = hypothesis.example(value)(test)
        try:
            hypothesis.settings(
                max_examples=drawn.many(self.profile.limits.max_examples),
                deadline=None,
                derandomize=True,
                database=None,
                print_blob=False,
                report_multiple_bugs=False,
                phases=(Phase.explicit, Phase.generate, Phase.shrink),
                suppress_health_check=list(HealthCheck),
            )(test)()
        except (_Found, hypothesis.errors.Flaky):
            # The last one broken is the smallest; a target that answers otherwise the second time did answer so once.
            assert broken is not None  # noqa: S101 - nothing else raises
            outcome, finding, evidence = came[broken]
            return outcome, finding, [evidence]
        return Outcome.PASSED, None, seen

    def _result(
        self, row: Row, outcome: Outcome, finding: Finding | None, shown: list[Evidence], took: float
    ) -> Result:
        prefix = row.endpoint or "*"
        keys = [{label: f"{prefix}/{label}@{self.place}" for label in evidence.exchanges} for evidence in shown]
        exchanges = {
            labels[label]: exchange
            for labels, evidence in zip(keys, shown, strict=True)
            for label, exchange in evidence.exchanges.items()
        }
        return Result(
            requirement=row.requirement.id,
            endpoint=row.endpoint,
            outcome=outcome,
            finding=finding,
            evidence=tuple(keys),
            exchanges=exchanges,
            took=took,
        )


class _Found(AssertionError):
    pass
