"""How a check, in whatever process, tells a facilitator what to do and asks what it saw."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from conformance.facilitator import wording
from conformance.facilitator.log import Call
from conformance.facilitator.script import Fault, Supported

__all__ = ["Control", "Post"]

Post = Callable[[str, str], tuple[int, bytes]]
"""Takes a command and a JSON object, and gives the status and the body of what is answered. Raises ConnectionError."""

_SECONDS = 10
_AGAIN = 0.02


class Control:
    """The remote control of one facilitator. Close it, or use it as a context."""

    def __init__(self, url: str, post: Post | None = None) -> None:
        """``url`` is the control URL of a Running; it is all that another process needs. Its own has ``post`` beside it."""
        self.url = url
        self._post = post or self._posted
        parts = urlsplit(url)
        self._path = parts.path.rstrip("/")
        self._address = parts.hostname or "", parts.port or 80
        # A worker asks twice for each payment: here a client that can little is quick.
        self._line = http.client.HTTPConnection(*self._address, timeout=_SECONDS)
        self._turn = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes its connections."""
        self._line.close()

    def script(self, payer: str, *faults: Fault) -> None:
        """From now on, payments of ``payer`` meet ``faults`` and nothing else; none at all is honesty."""
        self._ask("script", payer=payer, faults=wording.write(faults))

    def supported(self, *faults: Fault, kinds: tuple[Mapping[str, Any], ...] = ()) -> None:
        """From now on, ``/supported`` lists ``kinds`` beside the usual ones and meets ``faults``, for everybody."""
        self._ask("supported", **wording.write(Supported(kinds=kinds, faults=faults)))

    def set_balance(self, network: str, asset: str, holder: str, amount: int | None) -> None:
        """What ``holder`` has, in atomic units; None for enough. ``network`` is a CAIP-2 id."""
        self._ask("balance", network=network, asset=asset, holder=holder, amount=amount)

    def balance(self, network: str, asset: str, holder: str) -> int | None:
        """What ``holder`` has left, in atomic units; None for enough."""
        found: int | None = self._ask("balance", network=network, asset=asset, holder=holder)
        return found

    def calls(self, payer: str | None = None, since: int = 0) -> tuple[Call, ...]:
        """The calls with an index of at least ``since``; with ``payer``, only those about a payment of that address."""
        return wording.read(self._ask("calls", payer=payer, since=since), tuple[Call, ...])

    def clock(self) -> float:
        """Seconds since the facilitator began: the clock of its log."""
        found: float = self._ask("clock")
        return found

    def reset(self) -> None:
        """Forgets the scripts, the ledger and the log of everybody."""
        self._ask("reset")

    def down(self, seconds: float) -> None:
        """Refuses every new connection for ``seconds``, at most 60, from when this returns; for everybody."""
        self._ask("down", seconds=seconds)

    def wait_until_up(self, timeout: float) -> None:
        """Returns when connections are accepted again. Raises TimeoutError after ``timeout`` seconds."""
        end = time.monotonic() + timeout
        while True:
            try:
                socket.create_connection(self._address, _SECONDS).close()
            except OSError:
                if time.monotonic() > end:
                    raise TimeoutError(f"{self.url} accepts no connection after {timeout:g} s") from None
                time.sleep(_AGAIN)
            else:
                return

    def _ask(self, command: str, **given: Any) -> Any:
        status, content = self._post(command, json.dumps(given))
        said = json.loads(content)
        if status != http.client.OK:
            raise ValueError(said["error"])
        return said

    def _posted(self, command: str, content: str) -> tuple[int, bytes]:
        with self._turn:
            try:
                return self._asked(command, content)
            except (http.client.RemoteDisconnected, ConnectionError):
                # A connection that was kept may be over; what is asked twice comes to the same.
                return self._asked(command, content)

    def _asked(self, command: str, content: str) -> tuple[int, bytes]:
        try:
            self._line.request("POST", f"{self._path}/{command}", content, {"Content-Type": "application/json"})
            answer = self._line.getresponse()
            return answer.status, answer.read()
        except (http.client.HTTPException, OSError):
            # What is left of an answer would be taken for the next one.
            self._line.close()
            raise
