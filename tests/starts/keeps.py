"""``keeps.py HABIT PORT FOLDER``: the sandbox as a server that keeps used payments somewhere, with a habit about it."""

import asyncio
import base64
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from conformance.facilitator.authorization import Reason
from conformance.sandbox import app
from conformance.sandbox.claims import Claim, Claims, InFile, InMemory

Scope = MutableMapping[str, Any]
Send = Callable[[Scope], Awaitable[None]]

_LIFETIME = 4.0
"""Seconds for which ``lifetime`` remembers a payment; less than it takes one to expire."""
_STARTING = 1.0
"""Seconds for which ``starting`` has nothing to sell."""
_LONG = 30
"""Seconds for which a payment has to hold that ``long`` takes."""
_SOON, _BUSY = 9, 3.0
"""Seconds: a payment that holds for less than the first, ``busy`` keeps waiting for the second; then it is over."""
_SLOW = 0.5
"""Seconds that ``slow`` takes for each answer."""
_DEAD = (str(Reason.USED), Reason.BEFORE.format(scheme="exact"))
_BELIEVES = "/believes/"


class Forgetting(InMemory):
    """Claims that are forgotten after a while, whatever the payments say."""

    def take(self, claim: Claim) -> bool:
        """As Claims says."""
        now = time.monotonic()
        for old in [old for old in self._taken if now - float(old[-1]) > _LIFETIME]:
            self._taken.discard(old)
        if any(old[:-1] == claim for old in self._taken):
            return False
        self._taken.add((*claim, str(now)))
        return True


class LooksFirst:
    """Claims that are looked up at first and written down once the payment has bought something."""

    def __init__(self, inner: Claims) -> None:
        """Keeps them in ``inner``."""
        self._inner, self.pending = inner, set[Claim]()

    def take(self, claim: Claim) -> bool:
        """As Claims says, but for the taking."""
        if not self._inner.take(claim):
            return False
        self._inner.release(claim)
        self.pending.add(claim)
        return True

    def release(self, claim: Claim) -> None:
        """As Claims says."""
        self.pending.discard(claim)

    def write(self) -> None:
        """Takes what bought something."""
        while self.pending:
            self._inner.take(self.pending.pop())


def kept(habits: set[str], port: int, folder: Path) -> Claims:
    """Where used payments are kept."""
    if "lifetime" in habits:
        return Forgetting()
    if "memory" in habits:
        return InMemory()
    file = InFile(str(folder / (f"{port}.sqlite" if "own-file" in habits else "all.sqlite")))
    return LooksFirst(file) if "looks-first" in habits else file


def brought(scope: Scope) -> dict[str, Any]:
    """The authorization in a payment of version 2; empty without one."""
    value = dict(scope["headers"]).get(b"payment-signature", b"")
    found: dict[str, Any] = json.loads(base64.b64decode(value))["payload"]["authorization"] if value else {}
    return found


async def told(send: Send, status: int, body: bytes = b"{}") -> None:
    """Answers with JSON."""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def believing(scope: Scope, receive: Any, facilitator: str, send: Send) -> None:
    """What the facilitator says, but that to be used up or over is as good as a yes."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    kind = scope["path"].removeprefix(_BELIEVES)
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = (await client.post(f"{facilitator}/{kind}", content=body)).json()
    why = str(answer.get("invalidReason") or answer.get("errorReason") or "")
    if why in _DEAD:
        answer = {"isValid": True} if kind == "verify" else {"success": True, "transaction": "0x" + "5" * 64}
    await told(send, 200, json.dumps(answer).encode())


def started_before(folder: Path, port: int) -> bool:
    """Whether this port was served before, by what is kept in the folder."""
    mark = folder / f"{port}.started"
    before = mark.exists()
    mark.touch()
    return before


class Owed:
    """Payments that got no answer, by nonce, kept in a file: after a restart each is good for one, or for any number."""

    def __init__(self, file: Path, *, forever: bool) -> None:
        """Those that stand in the file were owed before the start."""
        self._file, self._forever = file, forever
        self.before = set(file.read_text("utf-8").split()) if file.exists() else set[str]()

    def note(self, nonce: str, status: int) -> None:
        """What came of a payment."""
        if status == 200 and not self._forever:
            self.before.discard(nonce)
        if status >= 500:
            with self._file.open("a", encoding="utf-8") as lines:
                lines.write(f"{nonce}\n")


def served(habits: set[str], port: int, folder: Path, facilitator: str) -> Callable[..., Awaitable[None]]:
    """The server. Its habits: see ``test_memory.py``."""
    here, claims, began = f"http://127.0.0.1:{port}", kept(habits, port, folder), time.monotonic()
    retired = started_before(folder, port) and "retires" in habits
    owed = Owed(folder / "owed", forever="forever" in habits) if "owes" in habits else None
    inner = app(here, f"{here}{_BELIEVES[:-1]}" if "believes" in habits else facilitator, claims=claims)

    async def serve(scope: Scope, receive: Any, send: Send) -> None:
        if scope["path"].startswith(_BELIEVES):
            await believing(scope, receive, facilitator, send)
            return

        async def noted(message: Scope) -> None:
            if message["type"] == "http.response.start":
                if isinstance(claims, LooksFirst) and message["status"] == 200:
                    claims.write()
                if owed and signed:
                    owed.note(signed["nonce"].lower(), message["status"])
                if "conflict" in habits and signed and message["status"] == 402:
                    message["status"] = 409
            await send(message)

        signed = brought(scope)
        left = int(signed["validBefore"]) - time.time() if signed else 0
        if scope["path"] != "/health" and "starting" in habits and time.monotonic() - began < _STARTING:
            await told(send, 503)
            return
        if scope["path"] != "/health" and "slow" in habits:
            await asyncio.sleep(_SLOW)
        if "busy" in habits and 0 < left < _SOON:
            await asyncio.sleep(_BUSY)
        if owed and signed and signed["nonce"].lower() in owed.before:
            claims.release(_claim(signed))
        if signed and left <= 0 and "evicts" in habits:
            claims.release(_claim(signed))
            if "checks-validity" in habits:
                await told(send, 402)
                return
        if signed and (retired or ("long" in habits and left < _LONG)):
            await told(send, 402)
            return
        await inner(scope, receive, noted)

    return serve


def _claim(signed: dict[str, Any]) -> Claim:
    asset = "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
    return tuple(part.lower() for part in ("eip155:84532", asset, signed["from"], signed["nonce"]))


if __name__ == "__main__":
    how, number, place = set(sys.argv[1].split("+")), int(sys.argv[2]), Path(sys.argv[3])
    if log := os.environ.get("KEEPS_LOG"):
        with Path(log).open("a", encoding="utf-8") as lines:
            lines.write(f"{place}\n")
    uvicorn.run(
        served(how, number, place, os.environ["FACILITATOR_URL"]),
        host="127.0.0.1",
        port=number,
        http="h11",
        log_level="critical",
    )
