"""The command line of a run: what cannot be trusted is refused, and yesterday's report is taken away."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from conformance import catalogue

__all__ = ["forget_report", "named", "refuse"]

_ASKS_NOTHING = {
    "setupplan": "--setup-plan",
    "setuponly": "--setup-only",
    "showfixtures": "--fixtures",
    "show_fixtures_per_test": "--fixtures-per-test",
    "cacheshow": "--cache-show",
}
_LISTING = {"--co", "--collect-only", "--collectonly"}


def forget_report(config: pytest.Config) -> None:
    """Removes what an earlier run left at ``--conformance-report``, so that its word does not pass for this run's.

    Raises UsageError where no report could be written. Only a file is removed; a list (``--co``) is no run.
    """
    given = config.getoption("conformance_report")
    if not given:
        return
    path = Path(given).resolve()
    if why := _unwritable(path):
        msg = f"--conformance-report={given}: {why}"
        raise pytest.UsageError(msg)
    if _listed(config):
        return
    try:
        if path.is_file():
            path.unlink()
    except OSError as error:
        msg = f"--conformance-report={given}: the report of an earlier run cannot be removed: {error.strerror}"
        raise pytest.UsageError(msg) from error


def named(names: Sequence[str]) -> str:
    """The one profile that is named; raises UsageError for an empty name and for several."""
    if not all(names):
        msg = "--conformance-profile= names no profile; is a variable of your pipeline not set?"
        raise pytest.UsageError(msg)
    if len(names) > 1:
        msg = f"--conformance-profile is given {len(names)} times ({', '.join(names)}); one run judges one profile"
        raise pytest.UsageError(msg)
    return names[0]


def refuse(config: pytest.Config) -> None:
    """Raises UsageError for options and circumstances under which no verdict could be trusted."""
    if sys.flags.optimize:
        msg = "python -O removes assertions: a conformance run is refused; run without -O and without PYTHONOPTIMIZE"
        raise pytest.UsageError(msg)
    for option, flag in _ASKS_NOTHING.items():
        if config.getoption(option, default=None):
            msg = f"{flag} asks nothing of the target: there would be no verdict"
            raise pytest.UsageError(msg)
    if config.option.collectonly and not _listed(config):
        msg = "--collect-only comes from PYTEST_ADDOPTS or an ini file: a run that only lists would pass for a verdict"
        raise pytest.UsageError(msg)
    for prefix in config.getoption("conformance_only") or ():
        ids = [r.id for r in catalogue.load().judged()]
        if not any(id.startswith(prefix) for id in ids):
            areas = ", ".join(sorted({id.rpartition(".")[0] for id in ids}))
            msg = f"--conformance-only={prefix}: no requirement id begins with that; areas are {areas}"
            raise pytest.UsageError(msg)


def _listed(config: pytest.Config) -> bool:
    """Whether the command line itself asks for a list and not for a run."""
    return bool(config.option.collectonly and _LISTING & set(map(str, config.invocation_params.args)))


def _unwritable(path: Path) -> str:
    """Why no report could be written to ``path``; empty when it can."""
    if path.is_dir():
        return "this is a folder; name a file"
    if not path.parent.is_dir():
        return f"the folder {path.parent} does not exist; make it first"
    # A file is written beside and put in its place; a pipe or a device is written to.
    special = path.exists() and not path.is_file()
    return "" if os.access(path if special else path.parent, os.W_OK) else "this cannot be written"
