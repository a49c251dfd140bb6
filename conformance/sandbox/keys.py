"""Idempotency keys as the sandbox keeps them, by the convention of Stripe: in memory, for one account at a time.

What was served and what was declined comes again, byte for byte, and says so. Every other refusal is forgotten: who pays
after it is served under the same key.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

__all__ = ["Keys"]

_LONGEST = 255
_PAUSE = 0.005
"""Seconds that the work takes, so that copies meet it under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    asked: bytes
    answer: Response | None = None
    """None while it is made."""


@dataclass(slots=True, kw_only=True)
class Keys:
    """What was answered under each key of each account."""

    kept: dict[tuple[str, str], _Kept] = field(default_factory=dict)

    async def once(
        self, request: Request, make: Callable[[], Awaitable[Response]], *, keeps: Callable[[Response], bool]
    ) -> Response:
        """The answer that ``make`` gives, or gave under the key of ``request``; ``keeps`` says whether one is kept."""
        key = request.headers.get("idempotency-key")
        if key is None:
            return await make()
        if not key or len(key) > _LONGEST:
            return _said(400, "idempotency_key_invalid", f"A key has 1 to {_LONGEST} characters.")
        whose = (request.headers.get("sandbox-account", ""), key)
        asked = await _fingerprint(request)
        if found := self.kept.get(whose):
            if found.asked != asked:
                return _said(400, "idempotency_error", "This key was used with another request.")
            return _again(found.answer) if found.answer else _said(409, "in_progress", "It is under way.")
        self.kept[whose] = _Kept(asked=asked)
        try:
            await asyncio.sleep(_PAUSE)
            answer = await make()
        except BaseException:
            del self.kept[whose]
            raise
        if keeps(answer):
            self.kept[whose] = _Kept(asked=asked, answer=answer)
        else:
            del self.kept[whose]
        return answer


async def _fingerprint(request: Request) -> bytes:
    asked = f"{request.method} {request.url.path}?{request.url.query}".encode()
    return hashlib.sha256(asked + b"\n" + await request.body()).digest()


def _again(answer: Response) -> Response:
    headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
    return Response(answer.body, answer.status_code, headers | {"Idempotent-Replayed": "true"})


def _said(status: int, code: str, message: str) -> Response:
    return JSONResponse({"code": code, "message": message}, status, {"Cache-Control": "no-store"})
