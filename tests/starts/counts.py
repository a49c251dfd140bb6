"""``counts.py PORT FOLDER PLACE``: the sandbox, which counts runs of its handlers in PLACE, as do all other instances.

The first that starts there is the target. What it refuses right after its count was read it answers once another
instance is ready and has counted as well, or has had the time to.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import uvicorn

from conformance.sandbox import app
from conformance.sandbox.claims import InFile

Scope = MutableMapping[str, Any]
Asgi = Callable[..., Awaitable[None]]

_STARTS = 5.0
"""Seconds for which the target waits for an instance that is ready, in all."""
_COUNTS = 0.8
"""Seconds for which it waits for one that counts, each time."""


class Place:
    """A folder in which every instance counts, a byte in a file for each run."""

    def __init__(self, folder: Path) -> None:
        """Whoever comes first is the target."""
        self._file, self._ready = folder / "runs", folder / "ready"
        self.target = not self._file.exists()
        self._file.touch()
        self._until = 0.0

    def count(self, runs: int) -> None:
        """So many runs more."""
        with self._file.open("ab") as file:
            file.write(b"." * runs)

    def read(self) -> int:
        """The runs of all instances."""
        return self._file.stat().st_size

    def ready(self) -> None:
        """Another instance is ready."""
        if not self.target:
            self._ready.touch()

    async def moved(self, before: int) -> None:
        """Returns once another instance has counted beyond ``before``, or had the time to."""
        self._until = self._until or time.monotonic() + _STARTS
        while not self._ready.exists() and time.monotonic() < self._until:  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.01)
        until = time.monotonic() + _COUNTS
        while self._ready.exists() and self.read() == before and time.monotonic() < until:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)


def counting(inner: Asgi, place: Place) -> Asgi:
    """``inner``, with a count of what its own counters show. Instances are asked for one thing at a time."""
    seen, watched = 0, False

    async def serve(scope: Scope, receive: Any, send: Any) -> None:
        nonlocal watched

        async def noted(message: Scope) -> None:
            nonlocal seen
            if message["type"] == "http.response.start":
                before, (runs, seen) = seen, (await handled(scope, receive),) * 2
                place.count(runs - before)
                if held and message["status"] == 402:
                    await place.moved(place.read())
            await send(message)

        if scope["path"] == "/count":
            watched = True
            await _told(send, {"runs": place.read()})
            return
        held, watched = watched and place.target, False
        await inner(scope, receive, noted)
        if scope["path"] == "/health":
            place.ready()

    async def handled(scope: Scope, receive: Any) -> int:
        body = bytearray()

        async def keep(message: Scope) -> None:
            body.extend(message.get("body", b""))

        await inner({**scope, "method": "GET", "path": "/stats", "headers": []}, receive, keep)
        found: int = json.loads(body)["handled"]["weather"]
        return found

    return serve


async def _told(send: Any, document: dict[str, int]) -> None:
    body = json.dumps(document).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    port, scratch, everywhere = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    sandbox = app(
        f"http://127.0.0.1:{port}", os.environ["FACILITATOR_URL"], claims=InFile(str(scratch / "payments.sqlite"))
    )
    uvicorn.run(counting(sandbox, Place(everywhere)), host="127.0.0.1", port=port, http="h11", log_level="critical")
