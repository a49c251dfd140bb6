"""One request and what comes back: an answer within bounds of time and size, or why there is none."""

import re
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from urllib.parse import urlsplit

import h11
import httpcore
import httpx

from conformance import coding, frames, raw
from conformance.exchange import Failure, Request, Response
from conformance.transport import BoundedTransport

__all__ = ["Answered", "Reader"]

Answered = tuple[Response | None, Failure | None, float | None]
"""An answer, or why there is none, and at what moment its content began."""

_BRINGING = {"POST", "PUT", "PATCH"}
"""Methods whose requests say that they bring nothing (RFC 9110 section 8.6)."""
_IDEMPOTENT = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"}
# A payment can be spent once, whatever the method.
_PAYS = re.compile(r"(payment-signature|x-payment|x-cashu):|authorization: *payment ", re.IGNORECASE)


@dataclass(slots=True, kw_only=True)
class Reader:
    """Sends requests and reads what comes back; never raises for what a target does."""

    timeout: float
    """Seconds for one request, from the first byte sent to the last byte read."""
    max_body: int
    """Bytes of one answer."""
    _transport: BoundedTransport = field(default_factory=BoundedTransport)
    _tls: ssl.SSLContext | None = None
    """TLS for bytes as they are; made where it is first asked for, as those beside it are."""
    _tls_for_frames: ssl.SSLContext | None = None
    _unframed: dict[raw.Address, Failure] = field(default_factory=dict)
    """Of each server with which no HTTP/2 is spoken, why: it is looked for once."""

    def close(self) -> None:
        """Closes every connection."""
        self._transport.close()

    def read(self, request: Request) -> Answered:
        """What comes back over a connection that is kept."""
        return self._guarded(lambda: self._read(request))

    def read_raw(self, request: Request) -> Answered:
        """What comes back to bytes as they are, over a connection of their own, what follows the answer included.

        Where a request is written by hand (``line``), what came of an answer that breaks off stands beside the failure.
        """
        return self._guarded(lambda: self._read_frames(request) if request.http2 else self._read_raw(request))

    def read_at_once(self, requests: Sequence[Request]) -> list[tuple[Answered, float]]:
        """What comes back to each of ``requests``, which are whole at the server at the same moment, and when."""
        try:
            address = _address(requests[0])
            answers = raw.volley(
                address,
                [request.message() for request in requests],
                timeout=self.timeout,
                max_body=self.max_body,
                context=self._trusted(address),
            ).answers
        except _FAILURES as error:
            return [((None, _failure(error, self.timeout), None), time.monotonic())] * len(requests)
        over = time.monotonic()
        return [
            (self._understood(answer, request.method), answer.finished if isinstance(answer, raw.RawAnswer) else over)
            for request, answer in zip(requests, answers, strict=True)
        ]

    def leave(self, request: Request, stay: Callable[[], object], *, reset: bool = False) -> Answered:
        """Sends ``request`` whole, calls ``stay`` and hangs up: the failure hung-up, or why it did not come to that."""
        return self._guarded(lambda: self._left(request, stay, reset=reset))

    def _left(self, request: Request, stay: Callable[[], object], *, reset: bool) -> Answered:
        address = _address(request)
        failed = raw.hang_up(
            address,
            request.message(),
            stay=stay,
            timeout=self.timeout,
            reset=reset,
            context=self._trusted(address),
        )
        if failed:
            return None, Failure(kind=failed.kind, detail=failed.detail), None
        return None, Failure(kind="hung-up", detail="we hung up before the answer, as we meant to"), None

    def _guarded(self, read: Callable[[], Answered]) -> Answered:
        try:
            return read()
        except _FAILURES as error:
            return None, _failure(error, self.timeout), None

    def _read(self, request: Request) -> Answered:
        answer = self._transport.send(_asked(request), within=self.timeout, again=_repeatable(request))
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers)
        began: list[float] = []
        try:
            body, failure = coding.decoded(_noting(answer.iter_stream(), began), _coding(headers), self.max_body)
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

    def _read_raw(self, request: Request) -> Answered:
        address = _address(request)
        answer = raw.ask(
            address,
            request.message(),
            method=request.method,
            timeout=self.timeout,
            max_body=self.max_body,
            context=self._trusted(address),
            skips=request.follows,
        )
        response, failure, began = self._understood(answer, request.method)
        if isinstance(answer, raw.RawAnswer) and answer.truncated and request.line:
            # What broke off is no answer, and may have told all the same, to one who asks oddly, what is sold.
            response = _answered(answer, coding.started(answer.body, _coding(answer.headers), self.max_body))
        return response, failure, began

    def _read_frames(self, request: Request) -> Answered:
        address = _address(request)
        if address in self._unframed:
            return None, self._unframed[address], None
        self._tls_for_frames = self._tls_for_frames or frames.context()
        answer = frames.ask(
            address,
            request.headers,
            body=request.body,
            trailers=request.trailers,
            before=request.before,
            timeout=self.timeout,
            max_body=self.max_body,
            context=self._tls_for_frames,
        )
        if isinstance(answer, raw.RawFailure) and answer.kind in {"alpn", "extra"}:
            self._unframed[address] = Failure(kind=answer.kind, detail=answer.detail)
        if isinstance(answer, raw.RawAnswer) and answer.cut == "closed":
            # What came did come, whether its stream was ended or reset.
            had = self._understood(replace(answer, cut=""), request.method)
            return had if had[0] else self._understood(answer, request.method)
        return self._understood(answer, request.method)

    def _trusted(self, address: raw.Address) -> ssl.SSLContext | None:
        """What the system's trust store and SSL_CERT_FILE say, read once; nothing where no TLS is spoken."""
        if address.tls:
            self._tls = self._tls or ssl.create_default_context()
        return self._tls

    def _understood(self, answer: raw.RawAnswer | raw.RawFailure, method: str) -> Answered:
        if isinstance(answer, raw.RawFailure):
            return None, Failure(kind=answer.kind, detail=answer.detail), None
        if answer.truncated:
            return None, self._cut(answer), None
        body, failure = coding.decoded([answer.body], _coding(answer.headers), self.max_body)
        if failure and method != "HEAD":
            return None, failure, None
        return _answered(answer, body), None, answer.content

    def _cut(self, answer: raw.RawAnswer) -> Failure:
        match answer.cut:
            case "timeout":
                return Failure(kind="timeout", detail=_late(self.timeout))
            case "body-limit":
                return Failure(kind="body-limit", detail=coding.too_long(self.max_body))
            case _:
                return Failure(kind=answer.cut, detail="the answer breaks off: it ends before its content does")


def _address(request: Request) -> raw.Address:
    parts = urlsplit(request.url)
    return raw.Address.of(f"{parts.scheme}://{parts.netloc}")


def _answered(answer: raw.RawAnswer, body: bytes) -> Response:
    return Response(
        status=answer.status,
        reason=answer.reason,
        version=answer.version,
        headers=answer.headers,
        body=body,
        after=answer.after,
        aside=answer.aside,
    )


def _asked(request: Request) -> httpcore.Request:
    """``request`` with the fields that frame it, where it brings none of its own."""
    url, host = _located(request.url)
    fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers]
    given = {name.lower() for name, _ in request.headers}
    if request.body and "content-length" not in given:
        fields.append((b"Content-Length", str(len(request.body)).encode()))
    elif request.method in _BRINGING and not given & {"content-length", "transfer-encoding"}:
        fields.insert(0, (b"Content-Length", b"0"))
    if "host" not in given:
        fields.insert(0, (b"Host", host))
    return httpcore.Request(request.method, url, headers=fields, content=request.body)


@lru_cache(512)
def _located(url: str) -> tuple[httpcore.URL, bytes]:
    """Where ``url`` leads, and what stands in Host; raises httpx.InvalidURL."""
    parts = httpx.URL(url)
    return httpcore.URL(
        scheme=parts.raw_scheme, host=parts.raw_host, port=parts.port, target=parts.raw_path
    ), parts.netloc


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
