"""How tests are dealt out to several workers: what shares a server stays together, and the tables of shops do not."""

import pytest

_SPREAD = frozenset({"test_paid_faults.py", "test_program.py"})
"""Modules of which each test takes seconds, and the shop that they share none."""


# Before pytest-xdist reads the names.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Names the group that a worker takes as a whole."""
    for item in items:
        if item.path.name not in _SPREAD:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
