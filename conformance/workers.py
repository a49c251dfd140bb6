"""How pytest-xdist deals rows out: those of one endpoint share what is asked, and so they share a worker."""

import re

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

__all__ = ["ByEndpoint"]

_ROW = re.compile(r"conformance/checks/[^:]+::[^\[]+(\[.*\])?", re.DOTALL)


class ByEndpoint(LoadScopeScheduling):  # type: ignore[misc]
    """Deals out the rows of one endpoint together, those on the whole target together, and other tests one by one."""

    def _split_scope(self, nodeid: str) -> str:
        found = _ROW.fullmatch(nodeid)
        return f"conformance {found[1] or ''}" if found else nodeid
