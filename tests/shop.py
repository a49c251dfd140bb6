"""Shops that take payments as the sandbox does but for one thing, over real sockets, with a scripted facilitator."""

import base64
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn
from serving import Answer, listening

from conformance import facilitator
from conformance.facilitator import ADDRESS, Ledger
from conformance.sandbox import app

__all__ = ["Brought", "Forward", "Shop", "Told", "opened", "shop"]

_FORWARD = "/conformance-forward"
_FIELDS = {"x-payment": 1, "payment-signature": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """A request as the shop sees it."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    """Names in lower case."""
    version: int
    """Of the field that carries a payment; 0 without one."""
    value: str
    """The field value; empty without one."""

    @property
    def payment(self) -> dict[str, Any]:
        """The document in the field, read with Python's own lenience; empty when there is none."""
        try:
            found = json.loads(base64.b64decode(self.value.encode("latin-1")))
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def get(self, name: str) -> str:
        """The first value of a field; empty when there is none."""
        return next((value for key, value in self.headers if key == name.lower()), "")


@dataclass(slots=True, kw_only=True)
class Told:
    """What the facilitator answers to a shop, to be changed in place."""

    kind: str
    """verify, settle or supported."""
    asked: dict[str, Any]
    """What the shop sent."""
    status: int
    document: Any
    """The answer as JSON; None where it was none."""
    failed: bool = False
    """The facilitator could not be asked, or broke off."""


Opens = Callable[[Brought], bool]
"""Whether the shop gives the good away, without asking anybody."""
Rewrite = Callable[[Brought], Brought]
"""What the shop makes of a request before it looks at it."""
Change = Callable[[Brought, Answer], None]
"""What the shop makes of its answer."""
Asks = Callable[[str, dict[str, Any]], dict[str, Any] | None]
"""What the shop sends to the facilitator, by kind of call, in place of what it ought to; None: it does not ask."""
Hears = Callable[[Told], None]
"""What the shop understands of the facilitator's answer."""
Forward = tuple[Asks | None, Hears | None]


@dataclass(slots=True, kw_only=True)
class Shop:
    """An ASGI application: the sandbox's till, with something wrong before, behind or after it."""

    inner: Any = None
    upstream: str = ""
    """The scripted facilitator."""
    opens: Opens | None = None
    rewrite: Rewrite | None = None
    change: Change | None = None
    asks: Asks | None = None
    hears: Hears | None = None
    trust: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    settled: list[dict[str, Any]] = field(default_factory=list)
    """The receipts that the facilitator gave, in their order."""

    def begin(self, **flaws: Any) -> None:
        """Makes it another shop."""
        for name in ("opens", "rewrite", "change", "asks", "hears"):
            setattr(self, name, flaws.pop(name, None))
        assert not flaws, flaws
        self.settled.clear()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Answers one request."""
        if scope["path"].startswith(_FORWARD):
            await self._forward(scope, receive, send)
            return
        brought = _brought(scope)
        if self.rewrite:
            brought = self.rewrite(brought)
        headers = brought.headers
        if self.opens and scope["path"] not in {"/stats", "/health"} and self.opens(brought):
            headers = (*headers, ("sandbox-account", "subscriber"))
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        answer = Answer(status=0, headers=[], body=b"")

        async def keep(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers += [(k.decode("latin-1"), v.decode("latin-1")) for k, v in message["headers"]]
            else:
                answer.body += message.get("body", b"")

        query = brought.query.encode("latin-1")
        await self.inner({**scope, "headers": raw, "query_string": query, "path": brought.path}, receive, keep)
        if self.change:
            self.change(brought, answer)
        if answer.status in {204, 304}:
            answer.body = b""
        answer.set("Content-Length", str(len(answer.body)))
        fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": fields})
        body = b"" if scope["method"] == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body})

    async def _forward(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Hands a call of the till to the facilitator, with what is wrong about asking and understanding."""
        kind, body = scope["path"].rpartition("/")[2], b""
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        asked = json.loads(body or b"{}")
        sent = self.asks(kind, asked) if self.asks else asked
        told = Told(kind=kind, asked=asked, status=200, document=None)
        if sent is not None:
            try:
                async with httpx.AsyncClient(trust_env=False, timeout=20, verify=False) as client:
                    answer = await client.post(f"{self.upstream}/{kind}", json=sent)
                told.status = answer.status_code
                told.document = answer.json()
            except httpx.HTTPError:
                told.failed = True
            except ValueError:
                told.document = None
        if self.hears:
            self.hears(told)
        if kind == "settle" and isinstance(told.document, dict):
            self.settled.append(told.document)
        status = 503 if told.failed else told.status
        text = json.dumps(told.document).encode() if told.document is not None else b"no JSON"
        fields = [(b"content-type", b"application/json"), (b"content-length", str(len(text)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": text})


def _brought(scope: MutableMapping[str, Any]) -> Brought:
    headers = tuple((k.decode("latin-1").lower(), v.decode("latin-1")) for k, v in scope["headers"])
    carried = [(_FIELDS[name], value) for name, value in headers if name in _FIELDS]
    version, value = carried[0] if carried else (0, "")
    return Brought(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        version=version,
        value=value,
    )


def reason(brought: Brought, requirements: dict[str, Any]) -> str | None:
    """Why an honest facilitator refuses what was brought under ``requirements``; empty when it is good."""
    decision = Ledger(ADDRESS).verify(requirements, brought.payment, brought.version, int(time.time()))
    return "" if decision.valid else decision.reason


@contextmanager
def shop() -> Iterator[tuple[Shop, str, facilitator.Running]]:
    """A shop without a flaw on a free port, its base URL, and its scripted facilitator."""
    with facilitator.start() as running, listening() as (bound, here):
        built = Shop(inner=app(here, f"{here}{_FORWARD}", patience=1.0), upstream=running.url)
        config = uvicorn.Config(built, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        try:
            yield built, here, running
        finally:
            server.should_exit = True
            thread.join(10)
            assert not thread.is_alive()


def opened(*names: str) -> Opens:
    """A shop that gives the good to whoever brings one of the fields ``names``."""
    return lambda brought: any(brought.get(name) for name in names)
