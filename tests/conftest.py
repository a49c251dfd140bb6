"""How tests are dealt out to several workers: what shares a run that takes long stays together, all else is spread."""

import re
from pathlib import PurePath
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

_BY_MODULE = frozenset(
    {
        "test_decide",
        "test_real_browser",
        "test_real_caches",
        "test_real_http2",
        "test_replays",
        "test_report",
        "test_retries",
        "test_review",
        "test_sandbox",
        "test_wheel",
    }
)
"""Modules of which all tests look at the same few runs."""
_BY_SERVER = frozenset(
    {
        "test_real_declines",
        "test_real_flows",
        "test_real_keys",
        "test_real_payments",
        "test_real_requests",
        "test_real_servers",
        "test_sdk_facilitator",
    }
)
"""Modules whose tests look at a run for each real server."""


class _Shared(LoadScopeScheduling):  # type: ignore[misc]
    # Groups of loadgroup go by a private name of pytest, which is another one since 9.
    def _split_scope(self, nodeid: str) -> str:
        module = PurePath(nodeid.partition("::")[0]).stem
        if module in _BY_MODULE:
            return module
        server = re.search(r"\[.*\]", nodeid)
        return f"{module}{server[0] if server else ''}" if module in _BY_SERVER else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Shared:
    """Who deals out tests; those of a group are dealt out first."""
    return _Shared(config, log)
