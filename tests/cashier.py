"""A server that takes money under idempotency keys, written without the sandbox: correct, but for what it is told."""

import asyncio
import gzip
import hashlib
import json
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import uvicorn
from serving import listening

__all__ = ["Asked", "Cashier", "Said", "Ways", "cashier", "marked", "said", "zipped"]

_PAUSE = 0.03
"""Seconds that a charge takes where others may ask meanwhile."""
_HEAD = {"content-type": "application/json", "cache-control": "no-store"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An answer."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: dict(_HEAD))

    @property
    def code(self) -> str:
        """What its body says of it, if it is one of ours."""
        document = json.loads(self.body)
        return str(document.get("code", ""))


def said(status: int, /, **members: object) -> Said:
    """An answer of JSON."""
    return Said(status=status, body=json.dumps(members).encode())


def marked(kept: Said, name: str = "idempotent-replayed") -> Said:
    """A kept answer that says that it is one."""
    return Said(status=kept.status, body=kept.body, headers={**kept.headers, name: "true"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """How it keeps its keys; as it stands, in the way of Stripe."""

    key: Callable[["Asked"], str | None] = lambda asked: asked.headers.get("idempotency-key")
    whose: Callable[["Asked"], object] = lambda asked: asked.who
    """What a key counts for."""
    same: Callable[["Asked"], object] = lambda asked: hashlib.sha256(asked.body + asked.query).digest()
    """What tells a request from others; None for all that is told."""
    refuses_key: Callable[[str | None], Said | None] = lambda key: said(400, code="bad") if key == "" else None
    mismatch: Callable[[Said], Said | None] = lambda _: said(400, code="mismatch")
    """What is said to another request, by the kept answer; None: it is carried out."""
    meanwhile: int | None = 409
    """The status while the first is under way; 0: the copy waits, None: it is carried out as well."""
    again: Callable[[Said], Said] = marked
    keeps: Callable[[Said], bool] = lambda answer: answer.status == 200 or answer.code == "declined"
    last: bool = False
    """Whether an account's new key makes it forget the one before."""
    before_login: bool = False
    """Whether a kept answer is given before anybody asks who it is."""
    nobody: Said = field(default_factory=lambda: said(401, code="login"))
    broke: Callable[[], Said] = lambda: said(402, code="declined", request_id=uuid.uuid4().hex)
    serves: Callable[["Asked"], Mapping[str, object]] = lambda _: {"id": f"ch_{uuid.uuid4().hex}", "status": "captured"}
    sent: Callable[[Said], Said] = lambda answer: answer
    """What becomes of every answer on its way out."""
    ticks: int = 0
    """By how much the witness moves whenever it is read."""
    lags: float = 0
    """Seconds until the witness moves."""
    asked: int = 0
    """By how much the witness moves with every request, whoever asks."""
    runs: Callable[[bool], int] = int
    """By how much the witness moves, by whether it is the charge itself or its replay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request."""

    headers: Mapping[str, str]
    body: bytes
    query: bytes

    @property
    def who(self) -> str:
        """The account, by its name."""
        return self.headers.get("x-account", "")

    @property
    def form(self) -> dict[str, Any]:
        """The body, from either notation."""
        if self.headers.get("content-type", "").startswith("application/json"):
            found: dict[str, Any] = json.loads(self.body)
            return found
        return dict(parse_qsl(self.body.decode()))


@dataclass(slots=True, kw_only=True)
class Cashier:
    """Answers POST /charges, and GET /runs with how often it charged. Ada and Bob are served, unless their plan is free; Cyd is declined."""

    ways: Ways = field(default_factory=Ways)
    _kept: dict[object, tuple[object, "asyncio.Future[Said]"]] = field(default_factory=dict)
    _runs: int = 0

    def begin(self, ways: Ways) -> None:
        """Makes it another server, which has charged nobody yet."""
        self.ways, self._runs = ways, 0
        self._kept.clear()

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: Callable[[], Any], send: Callable[[Mapping[str, Any]], Any]
    ) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        asked = Asked(headers=headers, body=body, query=scope["query_string"])
        self._runs += self.ways.ticks if scope["path"] == "/runs" else self.ways.asked
        answer = said(200, n=self._runs) if scope["path"] == "/runs" else self.ways.sent(await self._charged(asked))
        fields = {**answer.headers, "content-length": str(len(answer.body))}
        sent = [(name.encode(), value.encode("latin-1")) for name, value in fields.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": sent})
        await send({"type": "http.response.body", "body": answer.body})

    async def _charged(self, asked: Asked) -> Said:
        ways, key = self.ways, self.ways.key(asked)
        if asked.who not in {"ada", "bob", "cyd"} and not ways.before_login:
            return ways.nobody
        if wrong := ways.refuses_key(key):
            return wrong
        if key is None:
            return await self._made(asked)
        place, same = (ways.whose(asked), key), ways.same(asked)
        self._forget(place)
        if found := self._kept.get(place):
            was, future = found
            if future.done():
                if was == same:
                    self._ran(ways.runs(False))
                    return ways.again(future.result())
                if (wrong := ways.mismatch(future.result())) is not None:
                    return wrong
            elif ways.meanwhile == 0:
                return ways.again(await asyncio.shield(future))
            elif ways.meanwhile is not None:
                return said(ways.meanwhile, code="in_flight")
        if asked.who not in {"ada", "bob", "cyd"}:
            return ways.nobody
        mine: asyncio.Future[Said] = asyncio.get_running_loop().create_future()
        self._kept[place] = (same, mine)
        answer = await self._made(asked)
        mine.set_result(answer)
        if not ways.keeps(answer):
            self._kept.pop(place, None)
        return answer

    def _ran(self, times: int) -> None:
        ways = self.ways

        def now() -> None:
            self._runs += times if self.ways is ways else 0

        asyncio.get_running_loop().call_later(ways.lags, now) if ways.lags else now()

    def _forget(self, place: object) -> None:
        """Leaves what is under way, and the last key, to a server that remembers no other."""
        for other in [one for one, (_, had) in self._kept.items() if had.done() and one != place]:
            if self.ways.last:
                del self._kept[other]

    async def _made(self, asked: Asked) -> Said:
        # Who comes on a connection of his own comes with others.
        await asyncio.sleep(_PAUSE if asked.headers.get("connection") == "close" else 0)
        if asked.who == "cyd" or asked.headers.get("x-plan") == "free":
            return self.ways.broke()
        self._ran(self.ways.runs(True))
        return said(200, **self.ways.serves(asked))


def zipped(answer: Said) -> Said:
    """An answer in another content coding."""
    return Said(
        status=answer.status, body=gzip.compress(answer.body), headers={**answer.headers, "content-encoding": "gzip"}
    )


@contextmanager
def cashier() -> Iterator[tuple[Cashier, str]]:
    """A cashier on a free port of 127.0.0.1 in a thread, and its base URL."""
    with listening() as (bound, here):
        made = Cashier()
        config = uvicorn.Config(made, http="h11", log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        try:
            yield made, here
        finally:
            server.should_exit = True
            thread.join(10)
            assert not thread.is_alive()
