"""The client that asks the target: bounded in time, size and number, no redirects, no cookies, everything recorded."""

import email.utils
import re
import ssl
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

import httpcore
import httpx

from conformance import raw
from conformance.exchange import Exchange, Failure, Request, Response
from conformance.redaction import Redactor
from conformance.transport import BoundedTransport

__all__ = ["Limits", "Wire"]

_CODINGS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class Limits(Protocol):
    """What one run may cost the target and us (``[limits]`` and ``target.timeout`` of a profile)."""

    @property
    def max_requests(self) -> int:
        """Requests per endpoint."""

    @property
    def max_wait(self) -> float:
        """Seconds of 429 back-off in all."""

    @property
    def max_body(self) -> int:
        """Bytes of one answer."""


@dataclass(slots=True, kw_only=True)
class Wire:
    """One client for one target; not safe to share between threads."""

    timeout: float
    """Seconds for one request, from the first byte sent to the last byte read."""
    limits: Limits
    redactor: Redactor
    hosts: frozenset[str]
    """Authorities (host:port) that may be contacted; anything else is refused."""
    sanity: Request | None = None
    """Asked again after failures in a row, to tell a server that died from one that hangs up."""
    began: float = field(default_factory=time.monotonic)
    _transport: BoundedTransport = field(init=False)
    _client: httpx.Client = field(init=False)
    _asked: dict[str, int] = field(default_factory=dict)
    _waited: float = 0.0
    _failures: int = 0
    _down: str = ""

    def __post_init__(self) -> None:
        # The system's trust store and SSL_CERT_FILE count; proxies of the environment do not.
        self._transport = BoundedTransport(ssl.create_default_context())
        self._client = httpx.Client(transport=self._transport, trust_env=False)

    def send(self, request: Request, *, account: str = "", back_off: bool = True) -> Exchange:
        """Sends ``request`` and returns what came of it, redacted; never raises for what the target does.

        ``account`` names the endpoint whose request budget pays. A 429 is waited out within ``limits.max_wait``
        unless ``back_off`` is False; one that persists is a failure, its answer kept beside it.
        """
        return self._asked_within_bounds(request, self._once, account=account, back_off=back_off)

    def send_raw(self, request: Request, *, account: str = "") -> Exchange:
        """Sends ``request`` as HTTP/1.1 bytes on a connection of its own and reads on after the framed answer.

        The method, target and fields go out exactly as given: for what an HTTP client refuses to send, or to see.
        """
        return self._asked_within_bounds(request, self._once_raw, account=account, back_off=True)

    def alive(self) -> Failure | None:
        """Asks the sanity request; None when it is answered."""
        if self.sanity is None:
            return None
        exchange = self._once(self.sanity)
        return None if exchange.response else exchange.failure

    def give_up(self, reason: str) -> None:
        """Answers every later request with a failure, without asking the target."""
        self._down = reason

    def close(self) -> None:
        """Closes every connection."""
        self._client.close()

    def _asked_within_bounds(
        self, request: Request, once: Callable[[Request], Exchange], *, account: str, back_off: bool
    ) -> Exchange:
        pause = 0.5
        while True:
            if refusal := self._refusal(request, account):
                return self._recorded(Exchange(request=request, failure=refusal, at=self._now()))
            self._asked[account] = self._asked.get(account, 0) + 1
            exchange = once(request)
            self._watch(exchange)
            response = exchange.response
            if response is None or response.status != 429 or not back_off:
                return self._recorded(exchange)
            wait = min(max(_retry_after(response), pause), 3600.0)
            if self._waited + wait > self.limits.max_wait:
                detail = (
                    f"429 persists after {self._waited:.1f} s of waiting (limits.max_wait {self.limits.max_wait:g})"
                )
                failure = Failure(kind="rate-limited", detail=detail)
                return self._recorded(
                    Exchange(request=request, response=response, failure=failure, at=exchange.at, took=exchange.took)
                )
            self._waited += wait
            time.sleep(wait)
            pause *= 2

    def _refusal(self, request: Request, account: str) -> Failure | None:
        if self._down:
            return Failure(kind="down", detail=self._down)
        authority = urlsplit(request.url).netloc
        if authority not in self.hosts:
            return Failure(kind="budget", detail=f"{authority} is neither the target nor one of its target.helpers")
        if self._asked.get(account, 0) >= self.limits.max_requests:
            return Failure(kind="budget", detail=f"limits.max_requests ({self.limits.max_requests}) is used up")
        return None

    def _watch(self, exchange: Exchange) -> None:
        if exchange.response:
            self._failures = 0
            return
        self._failures += 1
        if self._failures >= 3 and (failure := self.alive()):
            self.give_up(f"the target stopped answering: {failure.detail}")

    def _now(self) -> float:
        return time.monotonic() - self.began

    def _recorded(self, exchange: Exchange) -> Exchange:
        r = self.redactor
        if not r.spellings:
            return exchange
        asked, answered, failed = exchange.request, exchange.response, exchange.failure
        return Exchange(
            request=Request(
                method=asked.method,
                url=r.text(asked.url),
                headers=tuple((name, r.field(value)) for name, value in asked.headers),
                body=r.content(asked.body),
            ),
            response=answered
            and Response(
                status=answered.status,
                reason=r.text(answered.reason),
                version=answered.version,
                headers=tuple((name, r.field(value)) for name, value in answered.headers),
                body=r.content(answered.body),
                after=r.content(answered.after),
            ),
            failure=failed and Failure(kind=failed.kind, detail=r.text(failed.detail)),
            at=exchange.at,
            took=exchange.took,
        )

    def _once(self, request: Request) -> Exchange:
        at, started = self._now(), time.monotonic()
        try:
            response, failure = self._read(request)
        except _FAILURES as error:
            response, failure = None, _failure(error, self.timeout)
        return Exchange(request=request, response=response, failure=failure, at=at, took=time.monotonic() - started)

    def _read(self, request: Request) -> tuple[Response | None, Failure | None]:
        asked = httpx.Request(
            request.method,
            request.url,
            headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers],
            content=request.body or None,
        )
        self._transport.allow(self.timeout)
        answer = self._client.send(asked, stream=True)
        # Whatever Set-Cookie says, the next request is from a stranger.
        self._client.cookies.clear()
        try:
            body, failure = _bounded(
                answer.iter_raw(), answer.headers.get("content-encoding", ""), self.limits.max_body
            )
        finally:
            answer.close()
        if failure:
            return None, failure
        response = Response(
            status=answer.status_code,
            reason=answer.reason_phrase,
            version=answer.http_version,
            headers=tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers.raw),
            body=body,
        )
        return response, None

    def _once_raw(self, request: Request) -> Exchange:
        at, started = self._now(), time.monotonic()
        parts = urlsplit(request.url)
        path = request.url.partition("://")[2].partition("/")[2]
        lines = [f"{request.method} /{path.partition('#')[0]} HTTP/1.1"]
        given = {name.lower() for name, _ in request.headers}
        fields = list(request.headers)
        if "host" not in given:
            fields.insert(0, ("Host", parts.netloc))
        if request.body and "content-length" not in given:
            fields.append(("Content-Length", str(len(request.body))))
        fields.append(("Connection", "close"))
        lines += [f"{name}: {value}" for name, value in fields]
        sent = "\r\n".join([*lines, "", ""]).encode("latin-1") + request.body
        answer = raw.ask(
            raw.Address.of(f"{parts.scheme}://{parts.netloc}"),
            sent,
            method=request.method,
            timeout=self.timeout,
            max_body=self.limits.max_body,
        )
        took = time.monotonic() - started
        if isinstance(answer, raw.RawFailure):
            failure = Failure(kind=answer.kind, detail=answer.detail)
            return Exchange(request=request, failure=failure, at=at, took=took)
        body, coding = _bounded([answer.body], _coding(answer.headers), self.limits.max_body)
        cut = Failure(kind="closed", detail="the answer ends before its content does") if answer.truncated else None
        response = Response(
            status=answer.status,
            reason=answer.reason,
            version=answer.version,
            headers=answer.headers,
            body=body,
            after=answer.after,
        )
        failed = cut or (coding if request.method != "HEAD" else None)
        return Exchange(request=request, response=None if failed else response, failure=failed, at=at, took=took)


def _coding(headers: Iterable[tuple[str, str]]) -> str:
    return ",".join(value for name, value in headers if name.lower() == "content-encoding")


def _bounded(chunks: Iterable[bytes], coding: str, limit: int) -> tuple[bytes, Failure | None]:
    """The decoded body, or why it cannot be had; a bomb is cut off at ``limit`` bytes."""
    coding = coding.strip().lower()
    if coding and coding != "identity" and coding not in _CODINGS:
        return b"", Failure(kind="coding", detail=f"Content-Encoding {coding} was not asked for and is not understood")
    unpack = zlib.decompressobj(_CODINGS[coding]) if coding in _CODINGS else None
    body = bytearray()
    try:
        for chunk in chunks:
            body += unpack.decompress(chunk, limit + 1 - len(body)) if unpack else chunk
            if len(body) > limit:
                return b"", Failure(kind="body-limit", detail=f"the body is longer than limits.max_body ({limit})")
    except zlib.error as error:
        return b"", Failure(kind="coding", detail=f"the {coding} body does not decode: {error}")
    if unpack and body and not unpack.eof:
        return b"", Failure(kind="coding", detail=f"the {coding} body ends too early")
    return bytes(body), None


def _retry_after(response: Response) -> float:
    value = (response.value("retry-after") or "").strip()
    if re.fullmatch("[0-9]{1,9}", value):
        return float(value)
    parsed = email.utils.parsedate_tz(value)
    return email.utils.mktime_tz(parsed) - time.time() if parsed else 0.0


_FAILURES = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    httpx.InvalidURL,
    ssl.SSLError,
    OSError,
)


def _failure(error: Exception, timeout: float) -> Failure:
    detail = str(error) or type(error).__name__
    match error:
        case httpcore.TimeoutException():
            return Failure(kind="timeout", detail=f"no complete answer within {timeout:g} s")
        case httpcore.ConnectError() if "SSL" in detail or "certificate" in detail.lower():
            return Failure(kind="tls", detail=detail)
        case httpcore.ConnectError():
            return Failure(kind="refused", detail=f"no connection: {detail}")
        case httpcore.RemoteProtocolError() if "too long" in detail.lower() or "too large" in detail.lower():
            return Failure(kind="header-limit", detail="the answer's header section is longer than 100 KiB")
        case httpcore.RemoteProtocolError() if "illegal" in detail.lower():
            return Failure(kind="protocol", detail=f"not HTTP: {detail}")
        case httpcore.RemoteProtocolError():
            return Failure(kind="closed", detail=f"the answer breaks off: {detail}")
        case httpcore.NetworkError():
            return Failure(kind="closed", detail=f"the connection broke: {detail}")
        case _:
            return Failure(kind="protocol", detail=detail)
