"""The client that asks the target: bounded in time, size and number, no redirects, no cookies, everything recorded."""

import datetime
import email.utils
import functools
import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol
from urllib.parse import urlsplit

from conformance.answering import Answered, Reader
from conformance.exchange import Exchange, Failure, Request, Response
from conformance.redaction import Redactor, disarmed

__all__ = ["Limits", "Turn", "Wire"]


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
    account: str = ""
    """The endpoint whose request budget pays."""


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
    broken_off: threading.Event = field(default_factory=threading.Event)
    """Once it is set nothing is asked any more, nor waited for."""
    _reader: Reader = field(init=False)
    _field: Callable[[str], str] = field(init=False)
    _asked: dict[str, int] = field(default_factory=dict)
    _waited: float = 0.0
    _failures: int = 0
    _down: str = ""

    def __post_init__(self) -> None:
        self._reader = Reader(timeout=self.timeout, max_body=self.limits.max_body)
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
        # A server that takes one connection at a time would wait for the one that is kept.
        self._reader.close()
        return self._asked_within_bounds(request, self._once_raw, account=account, back_off=back_off)

    def send_by(self, hand: Callable[[Request], Exchange], request: Request, *, account: str = "") -> Exchange:
        """Has another hand than our own client send ``request``, such as a browser, within the same bounds and recorded."""
        if refusal := self._refusal(request, account):
            return self._recorded(Exchange(request=request, failure=refusal, at=self._now()))
        self._asked[account] = self._asked.get(account, 0) + 1
        at = self._now()
        return self._recorded(replace(hand(request), at=at))

    def send_together(self, requests: Sequence[Request], *, account: str = "") -> tuple[Exchange, ...]:
        """Sends ``requests`` at the same time, each as ``send_raw`` does, and returns when all are answered."""
        return self.send_in_turn([Turn(request=request, account=account) for request in requests])

    def send_in_turn(self, turns: Sequence[Turn]) -> tuple[Exchange, ...]:
        """Sends each of ``turns`` in its time, all on connections of their own, and returns when all are over."""
        if not turns:
            return ()
        refused = [self._refusal(turn.request, turn.account) for turn in turns]
        for turn in turns:
            self._asked[turn.account] = self._asked.get(turn.account, 0) + 1
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
        return self._recorded(self._timed(request, lambda: self._reader.leave(request, stay, reset=reset)))

    def send_at_once(self, requests: Sequence[Request], *, account: str = "") -> tuple[Exchange, ...]:
        """Sends ``requests`` to one place so that all are whole there at the same moment, each as ``send_raw`` does.

        The last byte of each is held back until everything else has arrived.
        """
        refusal = next(filter(None, (self._refusal(request, account) for request in requests)), None)
        self._asked[account] = self._asked.get(account, 0) + len(requests)
        at, started = self._now(), time.monotonic()
        refused: Answered = (None, refusal, None)
        answers = [(refused, started)] * len(requests) if refusal else self._reader.read_at_once(requests)
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

    def beside(self, base_url: str, broken_off: threading.Event) -> "Wire":
        """A wire with the same bounds and clock to another instance of the target, and to nobody else."""
        return Wire(
            timeout=self.timeout,
            limits=self.limits,
            redactor=self.redactor,
            hosts=frozenset({urlsplit(base_url).netloc}),
            began=self.began,
            broken_off=broken_off,
        )

    def close(self) -> None:
        """Closes every connection."""
        self._reader.close()

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
            self.broken_off.wait(wait)
            pause *= 2

    def _refusal(self, request: Request, account: str) -> Failure | None:
        if self._down or self.broken_off.is_set():
            return Failure(kind="down", detail=self._down or "the run was broken off")
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
                line=self._text(asked.line) if asked.line else "",
                http2=asked.http2,
                trailers=self._fields(asked.trailers),
                before=tuple(self._fields(fields) for fields in asked.before),
            ),
            response=answered
            and Response(
                status=answered.status,
                reason=self._text(answered.reason),
                version=answered.version,
                headers=self._fields(answered.headers),
                body=self._content(answered.body),
                after=self._content(answered.after),
                aside=self._content(answered.aside),
            ),
            failure=failed and Failure(kind=failed.kind, detail=self._text(failed.detail)),
            seen=exchange.seen and exchange.seen.told(self._text),
        )

    def _text(self, value: str) -> str:
        return self.redactor.text(disarmed(value))

    def _fields(self, fields: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        return tuple((self._field(name), self._field(value)) for name, value in fields)

    def _content(self, value: bytes) -> bytes:
        return self.redactor.content(disarmed(value)) if value else value

    def _once(self, request: Request) -> Exchange:
        return self._timed(request, lambda: self._reader.read(request))

    def _in_turn(self, turn: Turn) -> Exchange:
        time.sleep(turn.after)
        if (stay := turn.stay) is None:
            return self._once_raw(turn.request)
        return self._timed(turn.request, lambda: self._reader.leave(turn.request, stay))

    def _once_raw(self, request: Request) -> Exchange:
        return self._timed(request, lambda: self._reader.read_raw(request))

    def _timed(self, request: Request, read: Callable[[], Answered]) -> Exchange:
        at, started = self._now(), time.monotonic()
        response, failure, content = read()
        return Exchange(
            request=request,
            response=response,
            failure=failure,
            at=at,
            took=time.monotonic() - started,
            content=content and content - started,
        )


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
