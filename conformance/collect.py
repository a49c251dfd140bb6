"""How pytest finds the packaged checks, and only those, under node ids that are the same everywhere."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from conformance import checks
from conformance.outcome import Finding, Outcome, printable
from conformance.rows import Row
from conformance.run import Result

__all__ = ["CHECKS", "CheckDirectory", "CheckItem", "arguments"]

CHECKS = Path(checks.__file__).resolve().parent
_ID = "conformance/checks"

Judge = Callable[[Row], Result]


class CheckDirectory(pytest.Directory):
    """The folder of checks."""

    rows: Mapping[str, tuple[Row, ...]]
    judge: Judge

    def collect(self) -> Iterator[pytest.Collector]:
        """One collector per module of checks; no other plugin has a say."""
        for path in checks.load():
            yield CheckModule.from_parent(self, path=path, nodeid=f"{_ID}/{path.name}")


class CheckModule(pytest.File):
    """One module of checks."""

    def collect(self) -> Iterator[pytest.Item]:
        """An item for each row that a check of this module decides."""
        parent = self.parent
        assert isinstance(parent, CheckDirectory)  # noqa: S101 - made nowhere else
        for check in checks.load()[self.path]:
            for row in parent.rows.get(check.requirement, ()):
                name = f"{check.name}[{row.endpoint}]" if row.endpoint else check.name
                yield CheckItem.from_parent(
                    self, name=name, nodeid=f"{self.nodeid}::{name}", row=row, judge=parent.judge, line=check.line
                )


class CheckItem(pytest.Item):
    """One requirement at one endpoint."""

    def __init__(self, *, row: Row, judge: Judge, line: int, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self.row = row
        self.result: Result | None = None
        self._judge = judge
        self._line = line
        requirement = row.requirement
        self.add_marker(getattr(pytest.mark, requirement.level.lower()))
        self.add_marker(pytest.mark.requirement(id=requirement.id, cls=requirement.cls))
        self.extra_keyword_matches.add(requirement.id)

    def runtest(self) -> None:
        """Judges the row; a red outcome is raised so that pytest counts it."""
        self.result = self._judge(self.row)
        requirement = self.row.requirement
        self.user_properties += [
            ("requirement", requirement.id),
            ("level", str(requirement.level)),
            ("class", requirement.cls),
            ("endpoint", self.row.endpoint),
            ("outcome", str(self.result.outcome)),
        ]
        if self.result.outcome in {Outcome.VIOLATED, Outcome.ERROR}:
            raise _Red(self.result)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The finding in a few lines; the whole story is in the report below."""
        if isinstance(excinfo.value, _Red):
            return sentence(excinfo.value.result)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """Where the check is written."""
        return self.path, self._line, self.name


class _Red(Exception):
    def __init__(self, result: Result) -> None:
        super().__init__(sentence(result))
        self.result = result


def sentence(result: Result) -> str:
    """The finding of ``result`` as one line."""
    found = result.finding or Finding()
    told = found.reason if not found.expected else f"expected {found.expected}, received {found.received}"
    where = f" ({found.at})" if found.at else ""
    return printable(f"{result.requirement}: {result.outcome}: {told}{where}")


def arguments(given: list[str]) -> list[str]:
    """The command line's positionals as paths of packaged checks; raises UsageError for anything else."""
    return [_argument(text) for text in given] or [str(CHECKS)]


def _argument(text: str) -> str:
    path, colons, name = text.partition("::")
    for found in checks.load():
        if path in {f"{_ID}/{found.name}", str(found)}:
            return f"{found}{colons}{name}"
    if path.rstrip("/") in {_ID, str(CHECKS)}:
        return str(CHECKS)
    msg = (
        f"{text}: a conformance run holds the packaged checks and nothing else, so that its verdict does not depend "
        f"on whose folder it ran in; run your own tests in a session of their own. Ids of checks look like "
        f"{_ID}/offer.py::test_amount_is_a_string[ENDPOINT] (--co lists them)."
    )
    raise pytest.UsageError(msg)
