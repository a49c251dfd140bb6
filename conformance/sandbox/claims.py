"""What the sandbox remembers of payments: in memory, or in a file that outlives it and that other instances share."""

import sqlite3
import time
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["Claim", "Claims", "InFile", "InMemory"]

Claim = tuple[str, ...]
"""What makes a payment this one, in whatever bytes it comes: network, asset, payer, nonce."""

_PATIENCE = 5.0
"""Seconds for which another process may hold the file."""


class Claims(Protocol):
    """Which payments are used, or are being used."""

    def take(self, claim: Claim) -> bool:
        """Whether the payment was free until now; from now on it is not, for anybody."""

    def release(self, claim: Claim) -> None:
        """Makes a payment free again, once it is known that it bought nothing."""


@dataclass(frozen=True, slots=True)
class InMemory:
    """Claims of one process, for as long as it runs."""

    _taken: set[Claim] = field(default_factory=set)

    def take(self, claim: Claim) -> bool:
        """As Claims says."""
        if claim in self._taken:
            return False
        self._taken.add(claim)
        return True

    def release(self, claim: Claim) -> None:
        """As Claims says."""
        self._taken.discard(claim)


class InFile:
    """Claims of every process that opens the same file, kept for good: nobody has to know when a payment is dead.

    A claim is a primary key, so that of two processes one takes it. A process that dies between a claim and its
    settlement leaves the claim: its buyer may have to pay again, and nobody gets anything twice. A claim outlives the
    process; that it outlives a power failure too would take a wait for the disk (``synchronous=FULL``).
    """

    def __init__(self, path: str) -> None:
        """Opens the file, or makes it. Raises sqlite3.OperationalError where that cannot be done."""
        self._file = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        until = time.monotonic() + _PATIENCE
        while not self._opened(until):
            time.sleep(0.02)

    def _opened(self, until: float) -> bool:
        """Whether the table is there; an instance that opens the file at the same moment may be in the way."""
        try:
            self._file.execute("PRAGMA journal_mode=WAL")
            self._file.execute("PRAGMA synchronous=NORMAL")
            self._file.execute("CREATE TABLE IF NOT EXISTS taken (claim TEXT PRIMARY KEY) WITHOUT ROWID")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            return False
        return True

    def take(self, claim: Claim) -> bool:
        """As Claims says."""
        return self._file.execute("INSERT OR IGNORE INTO taken VALUES (?)", (_written(claim),)).rowcount == 1

    def release(self, claim: Claim) -> None:
        """As Claims says."""
        self._file.execute("DELETE FROM taken WHERE claim = ?", (_written(claim),))


def _written(claim: Claim) -> str:
    return "\n".join(claim)
