"""The pytest plugin: four options, and nothing else until a profile is named.

pytest imports this module in every session of every project beside us, so it imports pytest and nothing more. It stands
beside the package, not in it: a project may well have a package of its own that is called conformance.
"""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options."""
    group = parser.getgroup("conformance", "conformance of APIs that answer 402 Payment Required")
    group.addoption(
        "--conformance-profile",
        metavar="NAME",
        action="append",
        help="judge the target of this profile: a path ending in .toml, ./profiles/NAME.toml, or a shipped profile",
    )
    group.addoption(
        "--conformance-only",
        metavar="PREFIX",
        action="append",
        help="run only the requirements whose id begins with PREFIX, such as x402.offer (a partial run)",
    )
    group.addoption(
        "--conformance-real-money",
        action="store_true",
        help="allow payments on networks with real money, within a [[budget]] with real_money = true",
    )
    group.addoption("--conformance-report", metavar="FILE", help="write the report, with all its evidence, as JSON")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Keeps every conftest.py out of a conformance run: what it judges must not depend on whose folder this is."""
    asked = early_config.known_args_namespace
    if asked.conformance_profile is not None:
        _refuse_another_package()
        with _not_rewritten():
            from conformance import collect  # noqa: PLC0415 - nothing is imported until the option is given

        asked.file_or_dir = [str(collect.CHECKS)]
        asked.confcutdir = str(collect.CHECKS)


def pytest_configure(config: pytest.Config) -> None:
    """Hands over to the session, if a profile was named."""
    if (names := config.getoption("conformance_profile")) is not None:
        _refuse_another_package()
        with _not_rewritten():
            from conformance import checks, session  # noqa: PLC0415

            session.begin(config, names)
            checks.load()
        return
    for option in ("conformance_only", "conformance_report", "conformance_real_money"):
        if config.getoption(option):
            flag = "--" + option.replace("_", "-")
            msg = f"{flag} needs --conformance-profile=NAME: there is no target to judge"
            raise pytest.UsageError(msg)


@contextmanager
def _not_rewritten() -> Iterator[None]:
    """Imports what is imported as pip compiled it.

    pytest compiles each module of each plugin once more, to show what an assertion compared: seconds in a fresh
    environment, and wherever no bytecode may be written, for modules that assert nothing.
    """
    finders = list(sys.meta_path)
    sys.meta_path[:] = [finder for finder in finders if type(finder).__module__ != "_pytest.assertion.rewrite"]
    try:
        yield
    finally:
        sys.meta_path[:] = finders


def _refuse_another_package() -> None:
    """Raises UsageError where Python finds a package called conformance that is not the one beside this module."""
    ours = Path(__file__).resolve().parent / "conformance" / "__init__.py"
    spec = importlib.util.find_spec("conformance")
    found = spec.origin if spec and spec.origin else "nowhere"
    if Path(found).resolve() != ours:
        msg = (
            f"Python finds its package conformance at {found}, not the one of pytest-402 at {ours}; "
            f"run the command pytest (not python -m pytest) from another folder, or take that one off PYTHONPATH"
        )
        raise pytest.UsageError(msg)
