"""Shops that take payments as the sandbox does but for one thing, over real sockets, with a scripted facilitator."""

import asyncio
import base64
import contextlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import httpx
import uvicorn
from serving import Answer, listening

from conformance import facilitator
from conformance.facilitator import ADDRESS, Ledger
from conformance.sandbox import app
from conformance.sandbox.price import GOODS, Good

__all__ = ["TWINS", "Brought", "Forward", "Shop", "Told", "opened", "shop"]

_FORWARD = "/conformance-forward"
_FIELDS = {"x-payment": 1, "payment-signature": 2}
_FREE = {"/stats", "/health"}
_HEAD = [("Content-Type", "application/json"), ("Cache-Control", "private, no-store")]
_PATIENCE = 1.0
_MOMENT = 0.02
"""Seconds in which a shop finds out whether somebody is still there."""
_SEAMS = (
    *("opens", "rewrite", "change", "asks", "hears", "runs", "streams", "verifies"),
    *("again", "eager", "lazy", "tills", "most", "waits", "patience", "beside", "cuts", "left", "cancels", "queues"),
)
"""Members of Shop that make it another one."""
_BETWEEN = ("asks", "hears", "again", "eager", "lazy", "waits", "streams", "verifies")
"""Those that stand between its till and the facilitator."""


def _twin(path: str, flow: str) -> Good:
    """A good of the sandbox under the same path and a word, in another flow."""
    good = next(good for good in GOODS if good.path == path)
    return replace(good, path=f"{path}-{flow}", flow=flow)


def _identified(path: str) -> Good:
    """A good of the sandbox under the same path and a word, whose buyers may name their payments."""
    good = next(good for good in GOODS if good.path == path)
    return replace(good, path=f"{path}-identified", identified=True)


TWINS = (
    *(_twin("/weather", "upfront"), _twin("/satellite", "authorization"), _twin("/forecast", "upfront")),
    _identified("/weather"),
)
"""Goods that the shop sells beside those of the sandbox."""


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
    body: bytes = b""
    target: str = ""
    """The path as it was written."""

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
    late: bool = False
    """And that because the shop would not wait any longer."""
    text: str = ""
    """The answer as text."""
    headers: dict[str, str] = field(default_factory=dict)
    """Names in lower case."""

    @property
    def good(self) -> bool:
        """Whether it is a plain yes."""
        found = self.document if isinstance(self.document, dict) else {}
        return not self.failed and (found.get("isValid") is True or found.get("success") is True)

    @property
    def nonce(self) -> str:
        """Which payment was asked about."""
        return _nonce(self.asked.get("paymentPayload"))


Opens = Callable[[Brought], bool]
"""Whether the shop gives the good away, without asking anybody."""
Rewrite = Callable[[Brought], Brought]
"""What the shop makes of a request before it looks at it."""
Runs = Callable[[Brought, Answer | None], bool]
"""Whether the shop runs the handler on the side, asked before anything else (None) and with the till's answer."""
Change = Callable[[Brought, Answer], None]
"""What the shop makes of its answer."""
Asks = Callable[[str, dict[str, Any]], dict[str, Any] | None]
"""What the shop sends to the facilitator, by kind of call, in place of what it ought to; None: it does not ask."""
Hears = Callable[[Told], None]
"""What the shop understands of the facilitator's answer."""
Again = Callable[[Sequence[Told]], str]
"""Given what it was answered so far, the path at the facilitator where the shop asks once more; empty: nowhere.

A yes counts more than any other answer; else the last answer counts.
"""
Forward = tuple[Asks | None, Hears | None]
Beside = Callable[[Brought], dict[str, Any] | None]
"""Another call by which the shop settles, given the request as it came, once it has served."""
Cuts = Callable[[Brought], bool]
"""Whether the shop hangs up without an answer."""


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
    runs: Runs | None = None
    streams: Literal["early", "late"] | None = None
    """Sends what is paid for in pieces: the first before it is settled, or all after."""
    again: Again | None = None
    eager: bool | None = None
    """It settles as soon as a payment is verified, and tells its till when that settles."""
    lazy: float | None = None
    """It tells its till at once that all is settled, and settles that many seconds later."""
    tills: int | None = None
    """How many payments it takes at a time; the others stand in a queue."""
    most: int | None = None
    """How many payments it takes at a time; the others are turned away."""
    waits: float | None = None
    """Seconds that it gives one call to the facilitator."""
    patience: float | None = None
    """Seconds after which its till gives a call up."""
    build: Callable[[float, bool], Any] = lambda *_: None
    """The till, by its patience, and by whether it asks the facilitator itself."""
    verifies: bool | None = None
    """Asks for a verification before each settlement, too; its no is a no."""
    beside: Beside | None = None
    cuts: Cuts | None = None
    left: Change | None = None
    """What it makes of an answer that nobody waited for, of status 0 where it came to none."""
    cancels: bool | None = None
    """It ends what it does for a buyer who hangs up."""
    queues: bool | None = None
    """It takes the requests with one payment one after another."""
    trust: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    settling: dict[str, asyncio.Event] = field(default_factory=dict)
    """By nonce, of the payments whose content is sent early: that a settlement began."""
    _early: dict[str, Told] = field(default_factory=dict)
    _later: set[asyncio.Task[None]] = field(default_factory=set)
    _taking: int = 0
    _free: asyncio.Semaphore = field(default_factory=asyncio.Semaphore)
    _turns: dict[str, asyncio.Lock] = field(default_factory=dict)

    def begin(self, **flaws: Any) -> None:
        """Makes it another shop."""
        for name in _SEAMS:
            setattr(self, name, flaws.pop(name, None))
        assert not flaws, flaws
        self.inner = self.build(self.patience or _PATIENCE, not any(getattr(self, name) for name in _BETWEEN))
        self._early.clear()
        self._free = asyncio.Semaphore(self.tills or 1)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Answers one request."""
        if scope["path"].startswith(_FORWARD):
            await self._forward(scope, receive, send)
            return
        hangs_up = receive
        content, receive = await _content(receive)
        came = brought = replace(_brought(scope), body=content)
        if self.cuts and self.cuts(brought):
            # The protocol of uvicorn, which an application does not see otherwise.
            send.__self__.transport.abort()
            await receive()
            return
        if self.rewrite:
            brought = self.rewrite(brought)
        free = scope["path"] in _FREE
        if self.runs and not free and self.runs(brought, None):
            await self._answered(scope, brought, receive, opens=True)
        if self.streams and brought.version:
            await self._stream(scope, brought, receive, send)
            return
        opens = bool(self.opens and not free and self.opens(brought))
        asked = asyncio.create_task(self._answered(scope, brought, receive, opens=opens))
        if self.cancels and brought.value and await _gone(hangs_up, asked):
            if self.left:
                self.left(brought, Answer(status=0, headers=[], body=b""))
            return
        answer = await asked
        if self.left and brought.value and await _gone(hangs_up, asyncio.create_task(asyncio.sleep(_MOMENT))):
            self.left(brought, answer)
        if self.runs and not free and self.runs(brought, answer):
            await self._answered(scope, brought, receive, opens=True)
        if self.beside and answer.status == 200 and (other := self.beside(came)):
            await self._once("settle", "settle", other, other)
        if self.change:
            self.change(brought, answer)
        if answer.status in {204, 304}:
            answer.body = b""
        answer.set("Content-Length", str(len(answer.body)))
        await send({"type": "http.response.start", "status": answer.status, "headers": _fields(answer.headers)})
        body = b"" if scope["method"] == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body})

    async def _answered(
        self, scope: MutableMapping[str, Any], brought: Brought, receive: Any, *, opens: bool
    ) -> Answer:
        """The till's answer; with ``opens``, what is sold."""
        account = (("sandbox-account", "subscriber"),) if opens else ()
        answer = Answer(status=0, headers=[], body=b"")

        async def keep(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers += [(k.decode("latin-1"), v.decode("latin-1")) for k, v in message["headers"]]
            else:
                answer.body += message.get("body", b"")

        query = brought.query.encode("latin-1")
        raw = _fields((*brought.headers, *account))
        asked = {**scope, "method": brought.method, "headers": raw, "query_string": query, "path": brought.path}
        if brought.value and self.most is not None and self._taking >= self.most:
            return Answer(status=503, headers=[("Cache-Control", "no-store")], body=b"")
        self._taking += 1
        try:
            async with self._queue(brought):
                await self.inner(asked, receive, keep)
        finally:
            self._taking -= 1
        return answer

    def _queue(self, brought: Brought) -> contextlib.AbstractAsyncContextManager[Any]:
        if brought.value and self.tills:
            return self._free
        if brought.value and self.queues:
            return self._turns.setdefault(_nonce(brought.payment), asyncio.Lock())
        return contextlib.nullcontext()

    async def _stream(self, scope: MutableMapping[str, Any], brought: Brought, receive: Any, send: Any) -> None:
        """Answers in two pieces."""
        began = asyncio.Event()
        if self.streams == "early":
            # The first of several copies is the one that will settle.
            self.settling.setdefault(_nonce(brought.payment), began)
        till = asyncio.create_task(self._answered(scope, brought, receive, opens=False))
        begins = asyncio.create_task(began.wait())
        await asyncio.wait({till, begins}, return_when=asyncio.FIRST_COMPLETED)
        if began.is_set():
            good = next(good for good in GOODS if good.path == brought.path)
            whole, status, headers = json.dumps(good.content).encode(), 200, _HEAD
        else:
            answer = till.result()
            whole, status, headers = answer.body, answer.status, answer.headers
            headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
        begins.cancel()
        if self.settling.get(nonce := _nonce(brought.payment)) is began:
            del self.settling[nonce]
        whole = b"" if scope["method"] == "HEAD" else whole
        half = len(whole) // 2
        await send({"type": "http.response.start", "status": status, "headers": _fields(headers)})
        await send({"type": "http.response.body", "body": whole[:half], "more_body": True})
        await till
        await send({"type": "http.response.body", "body": whole[half:]})

    async def _forward(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Hands a call of the till to the facilitator, with what is wrong about asking and understanding."""
        kind, body = scope["path"].rpartition("/")[2], b""
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        asked = json.loads(body or b"{}")
        if kind == "settle" and (began := self.settling.pop(_nonce(asked.get("paymentPayload")), None)):
            began.set()
        told = await self._told("verify", asked) if self.verifies and kind == "settle" else None
        if told and isinstance(told.document, dict):
            valid = told.document.get("isValid") is True
            told.document = {"success": False, "errorReason": told.document.get("invalidReason")}
            told = None if valid else told
        told = told or await self._told(kind, asked)
        status = 503 if told.failed else told.status
        text = json.dumps(told.document).encode() if told.document is not None else b"no JSON"
        fields = [(b"content-type", b"application/json"), (b"content-length", str(len(text)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": text})

    async def _told(self, kind: str, asked: dict[str, Any]) -> Told:
        """What the facilitator answers, and the shop understands."""
        sent = self.asks(kind, asked) if self.asks else asked
        told = Told(kind=kind, asked=asked, status=200, document=None)
        if kind == "settle" and (early := self._early.pop(told.nonce, None)):
            told = early
        elif kind == "settle" and self.lazy:
            told.document = {"success": True, "transaction": told.nonce}
            task = asyncio.create_task(self._settle_later(asked, self.lazy))
            self._later.add(task)
            task.add_done_callback(self._later.discard)
        elif sent is not None:
            told = await self._asked(kind, asked, sent)
            if self.eager and kind == "verify" and told.good:
                settle = self.asks("settle", asked) if self.asks else asked
                self._early[told.nonce] = await self._asked("settle", asked, settle or asked)
        if self.hears:
            self.hears(told)
        return told

    async def _asked(self, kind: str, asked: dict[str, Any], sent: dict[str, Any]) -> Told:
        """What the facilitator answers, wherever the shop asks it again."""
        answers = [await self._once(kind, kind, asked, sent)]
        while self.again and (path := self.again(answers)):
            more = self.asks(kind, asked) if self.asks else asked
            answers.append(await self._once(kind, path, asked, more or sent))
        return next((one for one in answers if one.good), answers[-1])

    async def _once(self, kind: str, path: str, asked: dict[str, Any], sent: dict[str, Any]) -> Told:
        told = Told(kind=kind, asked=asked, status=200, document=None)
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=self.waits or 20, verify=False) as client:
                answer = await client.post(f"{self.upstream}/{path}", json=sent)
            told.status, told.text, told.headers = answer.status_code, answer.text, dict(answer.headers)
            told.document = answer.json()
        except httpx.HTTPError as error:
            told.failed, told.late = True, isinstance(error, httpx.TimeoutException)
        except ValueError:
            told.document = None
        return told

    async def _settle_later(self, asked: dict[str, Any], delay: float) -> None:
        await asyncio.sleep(delay)
        await self._once("settle", "settle", asked, asked)


async def _gone(receive: Any, work: asyncio.Task[Any]) -> bool:
    """Whether the client hung up before ``work`` was done, which is then cancelled."""
    gone = asyncio.create_task(receive())
    await asyncio.wait({gone, work}, return_when=asyncio.FIRST_COMPLETED)
    left = gone.done() and not work.done()
    (work if left else gone).cancel()
    return left


async def _content(receive: Any) -> tuple[bytes, Any]:
    """The content of a request, and what its application may receive after it: an empty one, and then the end."""
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    whole = [{"type": "http.request", "body": body}]

    async def again() -> Any:
        return whole.pop() if whole else await receive()

    return body, again


def _fields(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def _nonce(payment: Any) -> str:
    """The nonce that an EIP-3009 payment states, to tell payments apart; empty when it states none."""
    for member in ("payload", "authorization", "nonce"):
        payment = payment.get(member) if isinstance(payment, dict) else None
    return payment.lower() if isinstance(payment, str) else ""


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
        target=scope["raw_path"].decode("latin-1"),
    )


def paying(brought: Brought, document: dict[str, Any], path: str = "") -> Brought:
    """The same request with ``document`` as its payment; ``path``, if given, is where it goes."""
    value = base64.b64encode(json.dumps(document).encode()).decode()
    headers = tuple((name, value if name in _FIELDS else other) for name, other in brought.headers)
    return replace(brought, value=value, headers=headers, path=path or brought.path)


def reason(brought: Brought, requirements: dict[str, Any]) -> str | None:
    """Why an honest facilitator refuses what was brought under ``requirements``; empty when it is good."""
    decision = Ledger(ADDRESS).verify(requirements, brought.payment, brought.version, int(time.time()))
    return "" if decision.valid else decision.reason


@contextmanager
def shop() -> Iterator[tuple[Shop, str, facilitator.Running]]:
    """A shop without a flaw on a free port, its base URL, and its scripted facilitator."""
    with facilitator.start() as running, listening() as (bound, here):

        def build(patience: float, direct: bool) -> Any:
            asked = running.url if direct else f"{here}{_FORWARD}"
            return app(here, asked, patience=patience, goods=(*GOODS, *TWINS))

        built = Shop(inner=build(_PATIENCE, True), upstream=running.url, build=build)
        config = uvicorn.Config(built, http="h11", log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
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
