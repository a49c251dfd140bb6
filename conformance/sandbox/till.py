"""The sandbox's till: one payment opens one good once, and nothing is given away when a settlement fails.

The order is that of x402. Authorization: verify, make the good, settle, hand it over. Upfront: settle, make, hand over.
Whatever the facilitator says that is not a plain yes is a no, and a facilitator that is out of order is our trouble
(503), not the payer's fault (402).
"""

import asyncio
import base64
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import httpcore
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from conformance import documents
from conformance.sandbox.claims import Claim, Claims, InMemory
from conformance.sandbox.memory import Entry, Memory, fingerprint, identifier
from conformance.sandbox.price import Good
from conformance.sandbox.refusal import offer_v1, offer_v2, refusal

__all__ = ["Till"]

_RECEIPT = {1: "X-PAYMENT-RESPONSE", 2: "PAYMENT-RESPONSE"}

Make = Callable[[Request], Awaitable[Response]]


class _Refused(Exception):
    """The payment opens nothing; ``receipt`` when a settlement was tried."""

    def __init__(self, reason: str, *, receipt: Mapping[str, Any] | None = None, status: int = 402) -> None:
        super().__init__(reason)
        self.receipt = receipt
        self.status = status


class _OutOfOrder(Exception):
    """The facilitator cannot be asked, or not understood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Payment:
    version: int
    payload: Mapping[str, Any]
    requirements: Mapping[str, Any]
    """Our own terms, never the payer's copy of them."""
    claim: Claim
    identifier: str
    """What the payer calls it; empty for nothing."""


@dataclass(slots=True, kw_only=True)
class Till:
    """Takes payments for the goods that are sold at ``public_url``, by way of one facilitator."""

    facilitator: str
    public_url: str
    patience: float = 1.5
    """Seconds for one call to the facilitator, whatever it drips."""
    claims: Claims = field(default_factory=InMemory)
    keeps: bool = False
    """Whether connections to the facilitator are kept: only where one loop runs until the process ends."""
    _memory: Memory = field(default_factory=Memory)
    _tls: ssl.SSLContext | None = None
    _line: httpcore.AsyncConnectionPool | None = None

    def __post_init__(self) -> None:
        self._tls = ssl.create_default_context() if self.facilitator.startswith("https:") else None
        self._line = self._pool() if self.keeps else None

    async def sell(self, request: Request, good: Good, version: int, value: str, make: Make) -> Response:
        """The answer to a request that brings ``value`` in the payment field of ``version``."""
        try:
            payment = self._read(good, version, value)
            sell = self._remembered if payment.identifier else self._sold
            return await sell(request, good, payment, make)
        except _Refused as refused:
            answer = refusal(request, good, self.public_url, str(refused), status=refused.status)
            if refused.receipt:
                answer.headers[_RECEIPT[version]] = _coded(refused.receipt)
            return answer
        except _OutOfOrder as broken:
            problem = {"type": "about:blank", "title": "Service Unavailable", "status": 503, "detail": str(broken)}
            headers = {"Cache-Control": "no-store", "Retry-After": "5"}
            return JSONResponse(problem, 503, headers, media_type="application/problem+json")

    async def _remembered(self, request: Request, good: Good, payment: _Payment, make: Make) -> Response:
        """The answer that the identifier stands for, and a sale where it is new."""
        key = (good.path, payment.claim[2], payment.identifier)
        mark = await fingerprint(request, payment.payload)
        if known := self._memory.find(key):
            if known.fingerprint != mark:
                raise _Refused("this identifier stands for another payment or another request", status=409)
            await known.done.wait()
            if known.answer is None:
                raise _OutOfOrder("the first request with this identifier failed: try again")
            return known.answer
        entry = Entry(fingerprint=mark)
        self._memory.begin(key, entry)
        answer = None
        try:
            sold = await self._sold(request, good, payment, make)
            answer = sold if sold.status_code < 400 else None
        finally:
            self._memory.end(key, entry, answer)
        return sold

    async def _sold(self, request: Request, good: Good, payment: _Payment, make: Make) -> Response:
        # Claimed before anything is awaited: two that arrive together are one that is used and one that was.
        if not self.claims.take(payment.claim):
            raise _Refused("this payment was used")
        try:
            if good.flow == "upfront":
                receipt = await self._settle(payment)
                answer = await make(request)
            else:
                await self._verify(payment)
                answer = await make(request)
                if answer.status_code >= 400:
                    self.claims.release(payment.claim)
                    return answer
                receipt = await self._settle(payment)
        except _Refused as refused:
            if refused.receipt is None or refused.receipt.get("errorReason") != "settlement_pending":
                # Refused for good: it may come again while it is valid.
                self.claims.release(payment.claim)
            raise
        answer.headers[_RECEIPT[payment.version]] = _coded(receipt)
        answer.headers["Cache-Control"] = "private, no-store"
        return answer

    def _read(self, good: Good, version: int, value: str) -> _Payment:
        offer = (offer_v1 if version == 1 else offer_v2)(good, self.public_url, "")
        requirements: Mapping[str, Any] = offer["accepts"][0]
        try:
            payload = documents.loads(base64.b64decode(value.encode("latin-1"), validate=True))
            authorization = payload["payload"]["authorization"]
            # The network by one name in both versions: otherwise a payment is a new one in the other.
            claim = (good.price.network, requirements["asset"], authorization["from"], authorization["nonce"])
            wanted = payload if version == 1 else payload["accepted"]
            stated = payload["x402Version"]
            called = identifier(payload) if good.identified else ""
            # What is read as infinite cannot be handed on.
            json.dumps(payload, allow_nan=False)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise _Refused("the payment is not what its version asks for", status=400) from error
        if not all(isinstance(part, str) for part in claim) or stated is not version or not isinstance(wanted, dict):
            raise _Refused("the payment is not what its version asks for", status=400)
        members = ("scheme", "network") if version == 1 else _TERMS
        if any(wanted.get(member) != requirements[member] for member in members):
            raise _Refused("the payment is for other terms than these")
        if version == 2 and not _echoes(wanted.get("extra"), requirements["extra"]):
            raise _Refused("the payment is for other terms than these")
        return _Payment(
            version=version,
            payload=payload,
            requirements=requirements,
            claim=tuple(part.lower() for part in claim),
            identifier=called,
        )

    async def _verify(self, payment: _Payment) -> None:
        told = await self._ask("verify", payment)
        if told.get("isValid") is not True:
            raise _Refused(_reason(told.get("invalidReason"), "the payment is not valid"))

    async def _settle(self, payment: _Payment) -> Mapping[str, Any]:
        told = await self._ask("settle", payment)
        network = payment.requirements["network"]
        payer = payment.payload["payload"]["authorization"]["from"]
        if told.get("success") is True and told.get("transaction") and _fits(told, network, payer):
            return {"success": True, "transaction": told["transaction"], "network": network, "payer": payer}
        reason = _reason(told.get("errorReason"), "unexpected_settle_error")
        tried = told.get("transaction") if reason == "settlement_pending" else ""
        receipt = {"success": False, "errorReason": reason, "transaction": tried, "network": network, "payer": payer}
        raise _Refused(f"the payment was not settled: {reason}", receipt=receipt)

    def _pool(self) -> httpcore.AsyncConnectionPool:
        return httpcore.AsyncConnectionPool(ssl_context=self._tls, max_connections=None, keepalive_expiry=_KEPT)

    async def _ask(self, what: str, payment: _Payment) -> Mapping[str, Any]:
        body = {
            "x402Version": payment.version,
            "paymentPayload": payment.payload,
            "paymentRequirements": payment.requirements,
        }
        try:
            line = nullcontext(self._line) if self._line else self._pool()
            async with asyncio.timeout(self.patience), line as pool:
                answer = await pool.request(
                    "POST",
                    f"{self.facilitator}/{what}",
                    headers=[("Content-Type", "application/json")],
                    content=json.dumps(body).encode(),
                )
            told = json.loads(answer.content)
        except (httpcore.NetworkError, httpcore.ProtocolError, TimeoutError, ValueError) as error:
            # Its words stay here: they may name what is nobody's business.
            raise _OutOfOrder("payments cannot be taken at the moment") from error
        # A 4xx may carry a plain no; anything else that is no object is no answer.
        if not isinstance(told, dict) or answer.status >= 500 or not {"isValid", "success"} & set(told):
            raise _OutOfOrder("payments cannot be taken at the moment")
        return told


_KEPT = 5.0
"""Seconds for which a connection is kept that nobody uses."""
_TERMS = ("scheme", "network", "amount", "asset", "payTo", "maxTimeoutSeconds")


def _echoes(extra: object, ours: Mapping[str, Any]) -> bool:
    """Whether a copy of our extra says all that ours says; more is no harm, unless it asks for another way of paying."""
    if not isinstance(extra, dict):
        return False
    asks = ("paymentFlow", "assetTransferMethod")
    return all(extra.get(key) == value for key, value in ours.items()) and all(
        extra.get(key) == ours.get(key) for key in asks
    )


def _fits(told: Mapping[str, Any], network: str, payer: str) -> bool:
    """Whether a settlement is of this payment; the network and payer that it names are the ones that paid."""
    return told.get("network", network) == network and str(told.get("payer", payer)).lower() == payer.lower()


def _reason(given: object, otherwise: str) -> str:
    return given if isinstance(given, str) and given.isascii() and len(given) < 100 else otherwise


def _coded(document: Mapping[str, Any]) -> str:
    return base64.b64encode(json.dumps(document, separators=(",", ":")).encode()).decode()
