"""``lists.py HABIT PORT``: the sandbox as a server that reads ``/supported`` when it starts, with a habit about it."""

import base64
import json
import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import httpx
import uvicorn

from conformance.sandbox import app

Scope = MutableMapping[str, Any]
_CHALLENGE = b"payment-required"
_PAYMENTS = {b"payment-signature", b"x-payment"}


def listed(facilitator: str) -> int:
    """How many kinds the facilitator lists; 0 where that cannot be read, for whatever reason."""
    try:
        answer = httpx.get(f"{facilitator}/supported", timeout=0.5, trust_env=False)
        return len(answer.json()["kinds"]) if answer.status_code == httpx.codes.OK else 0
    except (httpx.HTTPError, ValueError, LookupError):
        return 0


async def refuse(send: Callable[[Scope], Awaitable[None]], status: int) -> None:
    """Answers with nothing but a status."""
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def served(habit: str, here: str, facilitator: str) -> Callable[..., Awaitable[None]]:
    """The server. Its habits: see ``test_durable.py``."""
    inner, at_start = app(here, facilitator), listed(facilitator)

    async def serve(scope: Scope, receive: Any, send: Any) -> None:
        if scope["path"] == "/health":
            await (refuse(send, 503) if habit.startswith("unready") and not at_start else inner(scope, receive, send))
            return
        now = listed(facilitator) if "changed" in habit else at_start
        pays = any(name in _PAYMENTS for name, _ in scope["headers"])
        opened = {**scope, "headers": [*scope["headers"], (b"sandbox-account", b"subscriber")]}
        what = "well" if now else "down" if not at_start else "changed"
        match what, habit:
            case ("down", "open" | "unready-open") | ("changed", "changed-opens"):
                await inner(opened, receive, send)
            case ("down", "takes-any-payment") | ("changed", "changed-takes-any-payment") if pays:
                await inner(opened, receive, send)
            case ("down", "offers-nothing-takes-any-payment"):
                await (inner(opened, receive, send) if pays else refuse(send, 503))
            case ("changed", "changed-dies"):
                os._exit(1)
            case ("changed", "changed-500"):
                await refuse(send, 500)
            case ("changed", "changed-429"):
                await refuse(send, 429)
            case ("changed", "changed-503") | ("down", "unready-503"):
                await refuse(send, 503)
            case ("down", "500-or-502"):
                await refuse(send, 502 if pays else 500)
            case ("changed", "changed-drops"):
                await inner(scope, receive, _without_ways(send))
            case _:
                await inner(scope, receive, send)

    return serve


def _without_ways(send: Callable[[Scope], Awaitable[None]]) -> Callable[[Scope], Awaitable[None]]:
    """Sends offers that list no way to pay."""

    async def changed(message: Scope) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [(k, _emptied(v) if k == _CHALLENGE else v) for k, v in message["headers"]]
        await send(message)

    return changed


def _emptied(value: bytes) -> bytes:
    return base64.b64encode(json.dumps({**json.loads(base64.b64decode(value)), "accepts": []}).encode())


if __name__ == "__main__":
    how, port, upstream = sys.argv[1], int(sys.argv[2]), os.environ.get("FACILITATOR_URL", "")
    if how == "exits" and not listed(upstream):
        sys.exit("no kinds, no business")
    if how in {"knows-no-facilitator", "gives-away"}:
        # Nobody is there.
        how, upstream = "open" if how == "gives-away" else how, "http://127.0.0.1:9"
    uvicorn.run(
        served(how, f"http://127.0.0.1:{port}", upstream), host="127.0.0.1", port=port, http="h11", log_level="critical"
    )
