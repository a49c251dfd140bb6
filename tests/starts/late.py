"""``late.py PORT``: the sandbox, which charges a while after the answer for a request whose handler failed."""

import asyncio
import base64
import json
import os
import sys
from collections.abc import MutableMapping
from typing import Any

import httpx
import uvicorn

from conformance.sandbox import app

_LATER = 0.5
"""Seconds: long after the answer, well before the end of a run."""


def main() -> None:
    """Serves until it is interrupted; FACILITATOR_URL names the facilitator."""
    port, facilitator = int(sys.argv[1]), os.environ["FACILITATOR_URL"]
    inner = app(f"http://127.0.0.1:{port}", facilitator)
    tasks = set()

    async def charge(payment: dict[str, Any]) -> None:
        await asyncio.sleep(_LATER)
        asked = {"x402Version": 2, "paymentPayload": payment, "paymentRequirements": payment["accepted"]}
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.post(f"{facilitator}/settle", json=asked)

    async def serve(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        await inner(scope, receive, send)
        value = dict(scope["headers"]).get(b"payment-signature")
        if value and b"boom" in scope["query_string"]:
            tasks.add(asyncio.create_task(charge(json.loads(base64.b64decode(value)))))

    uvicorn.run(serve, host="127.0.0.1", port=port, http="h11", log_level="warning", lifespan="off")


if __name__ == "__main__":
    main()
