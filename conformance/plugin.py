"""The pytest plugin: three options, and nothing else until a profile is named.

pytest imports this module in every session of every project beside us, so it imports pytest and nothing more.
"""

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
    group.addoption("--conformance-report", metavar="FILE", help="write the report, with all its evidence, as JSON")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Keeps every conftest.py out of a conformance run: what it judges must not depend on whose folder this is."""
    asked = early_config.known_args_namespace
    if asked.conformance_profile is not None:
        from conformance import collect  # noqa: PLC0415 - nothing is imported until the option is given

        asked.file_or_dir = [str(collect.CHECKS)]
        asked.confcutdir = str(collect.CHECKS)


def pytest_configure(config: pytest.Config) -> None:
    """Hands over to the session, if a profile was named."""
    if (names := config.getoption("conformance_profile")) is not None:
        if not all(names):
            msg = "--conformance-profile= names no profile; is a variable of your pipeline not set?"
            raise pytest.UsageError(msg)
        if len(names) > 1:
            msg = f"--conformance-profile is given {len(names)} times ({', '.join(names)}); one run judges one profile"
            raise pytest.UsageError(msg)
        from conformance import session  # noqa: PLC0415

        session.begin(config, names[0])
        return
    for option in ("conformance_only", "conformance_report"):
        if config.getoption(option):
            flag = "--" + option.replace("_", "-")
            msg = f"{flag} needs --conformance-profile=NAME: there is no target to judge"
            raise pytest.UsageError(msg)
