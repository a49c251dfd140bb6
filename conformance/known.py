"""Known failures: violations that a vendor has owned up to, each with a reason and an end."""

import datetime
import difflib
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance import catalogue, schema
from conformance.profile import Profile, ProfileError

__all__ = ["KnownFailure", "KnownFailures", "inexcusable", "load"]

_AHEAD = datetime.timedelta(days=366)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFailure:
    """One requirement that is known to fail, at one endpoint or at all of them."""

    id: str
    endpoint: str
    """Empty: wherever the requirement fails."""
    reason: str
    link: str
    expires: datetime.date

    def covers(self, requirement: str, endpoint: str) -> bool:
        """Whether it speaks of this row."""
        return self.id == requirement and self.endpoint in {"", endpoint}


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFailures:
    """The known failures beside one profile."""

    path: Path
    entries: tuple[KnownFailure, ...] = ()

    def live(self, today: datetime.date) -> tuple[KnownFailure, ...]:
        """The entries that have not expired."""
        return tuple(entry for entry in self.entries if today <= entry.expires)

    def stale(self, failing: Iterable[tuple[str, str]], today: datetime.date) -> list[str]:
        """A sentence for each entry that has expired or that no failing row (id, endpoint) matches any more."""
        rows = list(failing)
        told = []
        for entry in self.entries:
            where = f'{entry.id} at "{entry.endpoint}"' if entry.endpoint else entry.id
            if entry.expires < today:
                told.append(f"{self.path.name}: {where} expired on {entry.expires}: mend it or give it a new date")
            elif not any(entry.covers(*row) for row in rows):
                told.append(f"{self.path.name}: {where} did not fail in this run: remove the entry if it is mended")
        return told


def load(profile: Profile, *, today: datetime.date) -> KnownFailures:
    """The known failures in ``NAME.known-failures.toml`` beside ``profile``; none when there is no such file.

    Raises ProfileError for a file that cannot be read, or an entry that names nothing we know or that excuses too much.
    """
    path = profile.path.with_name(f"{profile.path.stem}.known-failures.toml")
    if not path.exists():
        return KnownFailures(path=path)
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{path}: cannot be read as TOML: {error}"
        raise ProfileError(msg) from error
    plain = _plain_dates(table)
    wrong = [_told(path, problem) for problem in schema.problems(plain, "known-failures")]
    wrong += [f"{path}: {row['id']}: {row['expires']} is no day of the calendar" for row in _undated(plain, wrong)]
    entries = [] if wrong else [_entry(row) for row in plain["failure"]]
    wrong += [f"{path}: {why}" for entry in entries for why in [*_unknown(entry, profile), *inexcusable(entry, today)]]
    if wrong:
        raise ProfileError("\n".join(wrong))
    return KnownFailures(path=path, entries=tuple(entries))


def inexcusable(entry: KnownFailure, today: datetime.date) -> list[str]:
    """Why ``entry`` excuses more than a known failure may, as sentences: for longer than a year, or a leak."""
    told = []
    if entry.expires > (latest := today + _AHEAD):
        told.append(f"{entry.id} expires on {entry.expires}; {_AHEAD.days} days ahead, {latest}, is the latest")
    requirement = catalogue.load().requirements.get(entry.id)
    if requirement and not requirement.waivable:
        why = "paid content or a secret is given away for as long as it fails"
        told.append(f"{entry.id} cannot be a known failure, {why}: mend it and remove the entry")
    return told


def _plain_dates(value: Any) -> Any:
    match value:
        case dict():
            return {key: _plain_dates(inner) for key, inner in value.items()}
        case list():
            return [_plain_dates(inner) for inner in value]
        case datetime.date():
            return value.isoformat()
        case _:
            return value


def _undated(plain: dict[str, Any], wrong: list[str]) -> list[dict[str, str]]:
    """The entries, of a file that is otherwise well-formed, whose date does not exist."""
    found = []
    for row in [] if wrong else plain["failure"]:
        try:
            datetime.date.fromisoformat(row["expires"])
        except ValueError:
            found.append(row)
    return found


def _told(path: Path, problem: schema.Problem) -> str:
    at = schema.pointer(problem.at) or "the file"
    if problem.keyword == "additionalProperties":
        near = difflib.get_close_matches(problem.member or "", problem.allowed, n=1)
        hint = f'; did you mean "{near[0]}"?' if near else f"; known are {', '.join(problem.allowed)}"
        return f'{path}: {at}: unknown key "{problem.member}"{hint}'
    if problem.keyword == "required":
        return f'{path}: {at}: "{problem.member}" is missing'
    return f"{path}: {at} is {problem.received}; expected {problem.expected}"


def _entry(row: dict[str, str]) -> KnownFailure:
    return KnownFailure(
        id=row["id"],
        endpoint=row.get("endpoint", ""),
        reason=row["reason"],
        link=row.get("link", ""),
        expires=datetime.date.fromisoformat(row["expires"]),
    )


def _unknown(entry: KnownFailure, profile: Profile) -> list[str]:
    ids = [requirement.id for requirement in catalogue.load().judged()]
    names = [endpoint.name for endpoint in profile.endpoints]
    told = []
    for word, value, known in (("requirement", entry.id, ids), ("endpoint", entry.endpoint, names)):
        operation = word == "endpoint" and profile.openapi and re.fullmatch(r"[A-Z]+ /.*", value)
        if value and value not in known and not operation:
            near = difflib.get_close_matches(value, known, n=1)
            told.append(f'no {word} is called "{value}"' + (f'; did you mean "{near[0]}"?' if near else ""))
    return told
