"""``logs.py PORT``: the sandbox, which writes a line to its log for each run of a handler."""

import json
import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn

from conformance.sandbox import app

Scope = MutableMapping[str, Any]


def logging(inner: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """``inner``, with a line for each run that its own counters show. Requests come one after the other."""
    seen: dict[str, int] = {}

    async def serve(scope: Scope, receive: Any, send: Any) -> None:
        async def noted(message: Scope) -> None:
            # Before the answer goes out: whoever has it may read the log at once.
            if message["type"] == "http.response.start":
                for name, runs in (await handled(scope, receive)).items():
                    for _ in range(seen.get(name, 0), runs):
                        sys.stdout.write(f"handler of {name} runs\n")
                    seen[name] = runs
                sys.stdout.flush()
            await send(message)

        await inner(scope, receive, noted)

    async def handled(scope: Scope, receive: Any) -> dict[str, int]:
        body = bytearray()

        async def keep(message: Scope) -> None:
            body.extend(message.get("body", b""))

        await inner({**scope, "method": "GET", "path": "/stats", "headers": []}, receive, keep)
        found: dict[str, int] = json.loads(body)["handled"]
        return found

    return serve


if __name__ == "__main__":
    port = int(sys.argv[1])
    sandbox = app(f"http://127.0.0.1:{port}", os.environ["FACILITATOR_URL"])
    uvicorn.run(logging(sandbox), host="127.0.0.1", port=port, http="h11", log_level="critical")
