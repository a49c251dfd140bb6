"""What a check can come to, what a run comes to, and the table between the two."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from conformance.catalogue import Level

__all__ = [
    "Finding",
    "Inapplicable",
    "Outcome",
    "Unanswered",
    "Untestable",
    "Verdict",
    "Violation",
    "printable",
    "reduce",
]


class Outcome(StrEnum):
    """What one requirement came to at one endpoint."""

    PASSED = "passed"
    VIOLATED = "violated"
    """A MUST does not hold."""
    UNMET = "unmet"
    """A SHOULD does not hold."""
    INAPPLICABLE = "inapplicable"
    """An optional thing that is neither claimed nor advertised."""
    UNTESTABLE = "untestable"
    """Claimed or advertised, but something named is missing to ask."""
    ERROR = "error"
    """The referee, the network, or an answer that could not be read."""


class Verdict(StrEnum):
    """What a run, or one class of it, came to."""

    CONFORMANT = "conformant"
    INCOMPLETE = "incomplete"
    NOT_CONFORMANT = "not conformant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The facts behind an outcome, each ready to be read in a sentence."""

    expected: str = ""
    received: str = ""
    at: str = ""
    """Where: a header, a JSON Pointer, a request."""
    exchange: str = ""
    """The label of the exchange that shows it."""
    reason: str = ""
    """Why nothing could be asked, or what is likely behind a violation."""
    cause: str = ""
    """The id of the requirement whose failure is behind this one."""
    steps: str = ""
    """What was done before, and what came of it: a line for each step, where it took more than one."""


class _Decided(Exception):
    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.reason or f"expected {finding.expected}, received {finding.received}")
        self.finding = finding


class Violation(_Decided):
    """The requirement does not hold: what was expected, what was received, where, and in which exchange."""

    def __init__(
        self, *, expected: str, received: str, at: str = "", exchange: str = "", reason: str = "", steps: str = ""
    ) -> None:
        super().__init__(
            Finding(expected=expected, received=received, at=at, exchange=exchange, reason=reason, steps=steps)
        )


class Untestable(_Decided):
    """Something named is missing to ask; ``cause`` is the requirement that failed first, if that is why."""

    def __init__(self, reason: str, *, cause: str = "") -> None:
        super().__init__(Finding(reason=reason, cause=cause))


class Inapplicable(_Decided):
    """The thing is optional, and neither claimed nor advertised."""

    def __init__(self, reason: str) -> None:
        super().__init__(Finding(reason=reason))


class Unanswered(_Decided):
    """There is no readable answer to decide on."""

    def __init__(self, reason: str, *, at: str = "", exchange: str = "") -> None:
        super().__init__(Finding(reason=reason, at=at, exchange=exchange))


def printable(text: str) -> str:
    """``text`` without control characters: what a target sends does not steer a terminal."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


_SEVERITY = (Verdict.CONFORMANT, Verdict.INCOMPLETE, Verdict.NOT_CONFORMANT)

_VERDICT: dict[Outcome | None, dict[Level, Verdict]] = {
    Outcome.PASSED: dict.fromkeys(Level, Verdict.CONFORMANT),
    Outcome.INAPPLICABLE: dict.fromkeys(Level, Verdict.CONFORMANT),
    Outcome.UNMET: dict.fromkeys(Level, Verdict.CONFORMANT),
    Outcome.UNTESTABLE: dict.fromkeys(Level, Verdict.CONFORMANT) | {Level.MUST: Verdict.INCOMPLETE},
    Outcome.ERROR: dict.fromkeys(Level, Verdict.INCOMPLETE),
    None: dict.fromkeys(Level, Verdict.INCOMPLETE),
    Outcome.VIOLATED: dict.fromkeys(Level, Verdict.NOT_CONFORMANT),
}


def reduce(rows: Iterable[tuple[Level, Outcome | None]], *, reservations: Iterable[str] = ()) -> Verdict:
    """The verdict on scored rows; an outcome of None is a row that did not run.

    ``reservations`` are reasons that concern the run as a whole (part of it was deselected, an item was run again,
    the target stopped answering). Any of them keeps a run from being conformant. No row can make a verdict better.
    """
    verdicts = [_VERDICT[outcome][level] for level, outcome in rows]
    verdicts += [Verdict.INCOMPLETE for _ in reservations]
    return max(verdicts, key=_SEVERITY.index, default=Verdict.CONFORMANT)
