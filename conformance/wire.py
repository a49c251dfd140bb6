"""The client that asks the target: bounded in time, size and number, no redirects, no cookies, everything recorded."""

import datetime
import email.utils
import functools
import re
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol
from urllib.parse import urlsplit

import h11
import httpcore
import httpx

from conformance import coding, raw
from conformance.exchange import Exchange, Failure, Request, Response
from conformance.redaction import Redactor, disarmed
from conformance.transport import BoundedTransport

__all__ = ["Limits", "Turn", "Wire"]

_Result = tuple[Response | None, Failure | None, float | None]
"""An answer, or why there is none, and at what moment its content began."""

_IDEMPOTENT = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"}
# A payment can be spent once, whatever the method.
_PAYS = re.compile(r"(payment-signature|x-payment|x-cashu):|authorization: *payment ", re.IGNORECASE)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A request among others that are sent at the same time."""

    request: Request
    after: float = 0.0
    """Seconds by which it is later than the first."""
    stay: Callable[[], object] | None = None
    """What we wait for before we hang up on it; None where its answer is read."""


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
    _field: Callable[[str], str] = field(init=False)
    _asked: dict[str, int] = field(default_factory=dict)
    _waited: float = 0.0
    _failures: int = 0
    _down: str = ""

    def __post_init__(self) -> None:
        # The system's trust store and SSL_CERT_FILE count; proxies of the environment do not.
        self._transport = BoundedTransport(ssl.create_default_context())
        # Most fields of a run are the same in every exchange.
        self._field = functools.lru_cache(1024)(lambda value: self.redactor.field(disarmed(value)))

    def send(self, request: Request, *, account: str = "", back_off: bool = True) -> Exchange:
        """Sends ``request`` and returns what came of it, redacted; never raises for what the target does.

        ``account`` names the endpoint whose request budget pays. A 429 is waited out within ``limits.max_wait``
        unless ``back_off`` is False; one that persists is a failure, its answer kept beside it.
        """
        return self._asked_within_bounds(request, self._once, account=account, back_off=back_off)

    def send_raw(self, request: Request, *, account: str = "", back_off: bool = True) -> Exchange:
        """Sends ``request`` as HTTP/1.1 bytes on a connection of its own and reads on after the framed answer.

        The method, target and fields go out exactly as given: for what an HTTP client refuses to send, or to see.
        """
        return self._asked_within_bounds(request, self._once_raw, account=account, back_off=back_off)

    def send_together(self, requests: Sequence[Request], *, account: str = "") -> tuple[Exchange, ...]:
        """Sends ``requests`` at the same time, each as ``send_raw`` does, and returns when all are answered."""
        return self.send_in_turn([Turn(request=request) for request in requests], account=account)

    def send_in_turn(self, turns: Sequence[Turn], *, account: str = "") -> tuple[Exchange, ...]:
        """Sends each of ``turns`` in its time, all on connections of their own, and returns when all are over."""
        refused = [self._refusal(turn.request, account) for turn in turns]
        self._asked[account] = self._asked.get(account, 0) + len(turns)
        with ThreadPoolExecutor(len(turns)) as pool:
            asked = [
                pool.submit(self._in_turn, turn) if refusal is None else None
                for turn, refusal in zip(turns, refused, strict=True)
            ]
            return tuple(
                self._recorded(
                    going.result() if going else Exchange(request=turn.request, failure=refusal, at=self._now())
                )
                for turn, refusal, going in zip(turns, refused, asked, strict=True)
            )

    def hang_up(
        self, request: Request, *, stay: Callable[[], object], reset: bool = False, account: str = ""
    ) -> Exchange:
        """Sends ``request`` whole, calls ``stay``, and hangs up without having read anything: the failure hung-up.

        With ``reset`` the connection is reset, else it is closed in order.
        """
        if refusal := self._refusal(request, account):
            return self._recorded(Exchange(request=request, failure=refusal, at=self._now()))
        self._asked[account] = self._asked.get(account, 0) + 1
        return self._recorded(self._timed(request, lambda: self._leave(request, stay, reset=reset)))

    def send_at_once(self, requests: Sequence[Request], *, account: str = "") -> tuple[Exchange, ...]:
        """Sends ``requests`` to one place so that all are whole there at the same moment, each as ``send_raw`` does.

        The last byte of each is held back until everything else has arrived.
        """
        refusal = next(filter(None, (self._refusal(request, account) for request in requests)), None)
        self._asked[account] = self._asked.get(account, 0) + len(requests)
        at, started = self._now(), time.monotonic()
        refused: _Result = (None, refusal, None)
        answers = [(refused, started)] * len(requests) if refusal else self._landed(requests)
        return tuple(
            self._recorded(Exchange(request=request, response=response, failure=failure, at=at, took=ended - started))
            for request, ((response, failure, _), ended) in zip(requests, answers, strict=True)
        )

    def alive(self) -> Failure | None:
        """Asks the sanity request; None when it is answered."""
        if self.sanity is None:
            return None
        exchange = self._once(self.sanity)
        return None if exchange.response else exchange.failure

    def give_up(self, reason: str) -> None:
        """Answers every later request with a failure, without asking the target."""
        self._down = reason

    def beside(self, base_url: str) -> "Wire":
        """A wire with the same bounds and clock to another instance of the target, and to nobody else."""
        return Wire(
            timeout=self.timeout,
            limits=self.limits,
            redactor=self.redactor,
            hosts=frozenset({urlsplit(base_url).netloc}),
            began=self.began,
        )

    def close(self) -> None:
        """Closes every connection."""
        self._transport.close()

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
                return self._recorded(replace(exchange, failure=failure))
            self._waited += wait
            time.sleep(wait)
            pause *= 2

    def _refusal(self, request: Request, account: str) -> Failure | None:
        if self._down:
            return Failure(kind="down", detail=self._down)
        try:
            authority = urlsplit(request.url).netloc
        except ValueError as error:
            return Failure(kind="protocol", detail=f"{request.url} cannot be asked: {error}")
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
        asked, answered, failed = exchange.request, exchange.response, exchange.failure
        return replace(
            exchange,
            request=Request(
                method=asked.method,
                url=self._text(asked.url),
                headers=self._fields(asked.headers),
                body=self._content(asked.body),
            ),
            response=answered
            and Response(
                status=answered.status,
                reason=self._text(answered.reason),
                version=answered.version,
                headers=self._fields(answered.headers),
                body=self._content(answered.body),
                after=self._content(answered.after),
            ),
            failure=failed and Failure(kind=failed.kind, detail=self._text(failed.detail)),
        )

    def _text(self, value: str) -> str:
        return self.redactor.text(disarmed(value))

    def _fields(self, fields: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        return tuple((self._field(name), self._field(value)) for name, value in fields)

    def _content(self, value: bytes) -> bytes:
        return self.redactor.content(disarmed(value)) if value else value

    def _once(self, request: Request) -> Exchange:
        return self._timed(request, lambda: self._read(request))

    def _in_turn(self, turn: Turn) -> Exchange:
        time.sleep(turn.after)
        if (stay := turn.stay) is None:
            return self._once_raw(turn.request)
        return self._timed(turn.request, lambda: self._leave(turn.request, stay))

    def _leave(self, request: Request, stay: Callable[[], object], *, reset: bool = False) -> _Result:
        parts = urlsplit(request.url)
        failed = raw.hang_up(
            raw.Address.of(f"{parts.scheme}://{parts.netloc}"),
            request.message(),
            stay=stay,
            timeout=self.timeout,
            reset=reset,
        )
        if failed:
            return None, Failure(kind=failed.kind, detail=failed.detail), None
        return None, Failure(kind="hung-up", detail="we hung up before the answer, as we meant to"), None

    def _once_raw(self, request: Request) -> Exchange:
        return self._timed(request, lambda: self._read_raw(request))

    def _timed(self, request: Request, read: Callable[[], _Result]) -> Exchange:
        at, started = self._now(), time.monotonic()
        response, failure, content = self._guarded(read)
        return Exchange(
            request=request,
            response=response,
            failure=failure,
            at=at,
            took=time.monotonic() - started,
            content=content and content - started,
        )

    def _guarded(self, read: Callable[[], _Result]) -> _Result:
        try:
            return read()
        except _FAILURES as error:
            return None, _failure(error, self.timeout), None

    def _read(self, request: Request) -> _Result:
        asked = httpx.Request(
            request.method,
            request.url,
            headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers],
            content=request.body or None,
        )
        answer = self._transport.send(asked, within=self.timeout, again=_repeatable(request))
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers)
        began: list[float] = []
        try:
            body, failure = coding.decoded(_noting(answer.iter_stream(), began), _coding(headers), self.limits.max_body)
        finally:
            answer.close()
        if failure:
            return None, failure, None
        response = Response(
            status=answer.status,
            reason=answer.extensions["reason_phrase"].decode("latin-1"),
            version=answer.extensions["http_version"].decode("latin-1"),
            headers=headers,
            body=body,
        )
        return response, None, next(iter(began), None)

    def _read_raw(self, request: Request) -> _Result:
        parts = urlsplit(request.url)
        answer = raw.ask(
            raw.Address.of(f"{parts.scheme}://{parts.netloc}"),
            request.message(),
            method=request.method,
            timeout=self.timeout,
            max_body=self.limits.max_body,
        )
        return self._understood(answer, request.method)

    def _landed(self, requests: Sequence[Request]) -> list[tuple[_Result, float]]:
        """What came of each, and at what moment."""
        parts = urlsplit(requests[0].url)
        try:
            answers = raw.volley(
                raw.Address.of(f"{parts.scheme}://{parts.netloc}"),
                [request.message() for request in requests],
                timeout=self.timeout,
                max_body=self.limits.max_body,
            ).answers
        except _FAILURES as error:
            return [((None, _failure(error, self.timeout), None), time.monotonic())] * len(requests)
        over = time.monotonic()
        return [
            (self._understood(answer, request.method), answer.finished if isinstance(answer, raw.RawAnswer) else over)
            for request, answer in zip(requests, answers, strict=True)
        ]

    def _understood(self, answer: raw.RawAnswer | raw.RawFailure, method: str) -> _Result:
        if isinstance(answer, raw.RawFailure):
            return None, Failure(kind=answer.kind, detail=answer.detail), None
        if answer.truncated:
            return None, self._cut(answer), None
        body, failure = coding.decoded([answer.body], _coding(answer.headers), self.limits.max_body)
        if failure and method != "HEAD":
            return None, failure, None
        response = Response(
            status=answer.status,
            reason=answer.reason,
            version=answer.version,
            headers=answer.headers,
            body=body,
            after=answer.after,
        )
        return response, None, None

    def _cut(self, answer: raw.RawAnswer) -> Failure:
        match answer.cut:
            case "timeout":
                return Failure(kind="timeout", detail=_late(self.timeout))
            case "body-limit":
                return Failure(kind="body-limit", detail=coding.too_long(self.limits.max_body))
            case _:
                return Failure(kind=answer.cut, detail="the answer breaks off: it ends before its content does")


def _noting(chunks: Iterable[bytes], began: list[float]) -> Iterator[bytes]:
    """``chunks``, with the moment of the first that is not empty put into ``began``."""
    for chunk in chunks:
        if chunk and not began:
            began.append(time.monotonic())
        yield chunk


def _repeatable(request: Request) -> bool:
    """Whether asking twice is asking once (RFC 9110 section 9.2.2)."""
    return request.method in _IDEMPOTENT and not any(_PAYS.match(f"{name}: {value}") for name, value in request.headers)


def _coding(headers: Iterable[tuple[str, str]]) -> str:
    return ",".join(value for name, value in headers if name.lower() == "content-encoding")


def _retry_after(response: Response) -> float:
    """Seconds to wait; 0 where the field is missing or means nothing, such as a date that does not exist."""
    value = (response.value("retry-after") or "").strip()
    if re.fullmatch("[0-9]{1,9}", value):
        return float(value)
    try:
        date = email.utils.parsedate_to_datetime(value)
    except (ValueError, OverflowError, TypeError, IndexError):
        return 0.0
    if date.tzinfo is None:
        date = date.replace(tzinfo=datetime.UTC)
    return date.timestamp() - time.time()


def _late(timeout: float) -> str:
    return f"no complete answer within {timeout:g} s"


_FAILURES = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    h11.ProtocolError,
    httpx.InvalidURL,
    # TLS too.
    OSError,
    # What no URL, host name or field can hold.
    ValueError,
)


def _failure(error: Exception, timeout: float) -> Failure:
    detail = str(error) or type(error).__name__
    match error:
        case httpcore.TimeoutException():
            return Failure(kind="timeout", detail=_late(timeout))
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
        case UnicodeError():
            # Its own words would quote what was to be sent.
            return Failure(
                kind="protocol", detail="the request cannot be sent: it has characters that HTTP cannot carry"
            )
        case _:
            return Failure(kind="protocol", detail=detail)
