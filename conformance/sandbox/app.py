"""The sandbox's routes: what is sold, what is free, and who gets in."""

import asyncio
import base64
import binascii
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from conformance.sandbox import account, advert
from conformance.sandbox.claims import Claims, InFile, InMemory
from conformance.sandbox.ledger import Ledger
from conformance.sandbox.price import GOODS, Good
from conformance.sandbox.refusal import refusal
from conformance.sandbox.till import Till

__all__ = ["app", "serve"]

Endpoint = Callable[[Request], Awaitable[Response]]

_PAYMENT = {1: "x-payment", 2: "payment-signature"}


def app(
    public_url: str,
    facilitator: str = "",
    patience: float = 1.5,
    goods: Sequence[Good] = GOODS,
    claims: Claims | None = None,
    *,
    accounts: Ledger | None = None,
    keeps: bool = False,
) -> Starlette:
    """The sandbox as an ASGI application that is reached at ``public_url``, without a slash at the end.

    ``facilitator`` is the base URL of an x402 facilitator, which has ``patience`` seconds for an answer; without one,
    no payment is taken. ``goods`` are what is sold, ``claims`` what is remembered of payments: in memory, if not given.
    ``accounts`` are who has credits; ``keeps``, whether connections to the facilitator are kept.
    """
    handled = dict.fromkeys((good.path.strip("/") for good in goods), 0) | dict.fromkeys(account.KEYED, 0)
    kept = claims or InMemory()
    till = None
    if facilitator:
        till = Till(facilitator=facilitator, public_url=public_url, patience=patience, claims=kept, keeps=keeps)
    routes = [Route(good.path, _sold(good, public_url, till, handled), methods=[good.method]) for good in goods]
    routes += [Route("/health", _health), Route("/pay", _pay), Route("/robots.txt", _robots)]
    routes += [Route("/.well-known/x402", _answer(advert.listing(goods, public_url)))]
    routes += [Route("/openapi.json", _answer(advert.document(goods, public_url)))]
    routes += [Route("/stats", _stats(handled)), *account.routes(public_url, handled, accounts or Ledger())]
    cors = Middleware(
        CORSMiddleware,
        allow_origins=["*"],
        allow_methods=["GET", "HEAD", "POST"],
        allow_headers=["content-type", *_PAYMENT.values()],
        expose_headers=["payment-required", "payment-response", "x-payment-response"],
    )
    return Starlette(routes=routes, middleware=[cors])


def serve(port: int, store: str = "") -> None:
    """Serves the sandbox on 127.0.0.1 until it is interrupted; FACILITATOR_URL names its facilitator.

    ``store`` is a file for used payments, which instances share and which outlives them; without one it is memory.
    """
    claims = InFile(store) if store else None
    served = app(f"http://127.0.0.1:{port}", os.environ.get("FACILITATOR_URL", ""), claims=claims, keeps=True)
    uvicorn.run(served, host="127.0.0.1", port=port, http="httptools", log_level="warning", access_log=False)


def _sold(good: Good, public_url: str, till: Till | None, handled: dict[str, int]) -> Endpoint:
    async def make(request: Request) -> Response:
        handled[good.path.strip("/")] += 1
        if pause := request.query_params.get("sleep"):
            await asyncio.sleep(min(float(pause), 30.0))
        if "boom" in request.query_params:
            return JSONResponse({"error": "the weather could not be made"}, 500)
        return JSONResponse(good.content, headers={"Cache-Control": "private, no-store"})

    async def endpoint(request: Request) -> Response:
        if unknown := account.turned_away(request):
            return unknown
        # Accounts have no passwords here: there is nothing to steal.
        if request.headers.get("sandbox-account") == "subscriber":
            return await make(request)
        brought = [(v, request.headers[_PAYMENT[v]]) for v in good.versions if _PAYMENT[v] in request.headers]
        # A HEAD buys nothing: whoever pays with it would get no content.
        if not brought or request.method == "HEAD":
            return refusal(request, good, public_url, f"{_PAYMENT[good.versions[-1]].upper()} header is required")
        if len(brought) > 1 or any(len(request.headers.getlist(_PAYMENT[version])) > 1 for version, _ in brought):
            return refusal(request, good, public_url, "one payment at a time", status=400)
        ((version, value),) = brought
        if till:
            return await till.sell(request, good, version, value, make)
        if not _is_payload(value):
            return refusal(request, good, public_url, "the payment is not base64 of a JSON object", status=400)
        return refusal(request, good, public_url, "no facilitator is configured that could verify the payment")

    return endpoint


def _is_payload(value: str) -> bool:
    try:
        payload = json.loads(base64.b64decode(value.encode("latin-1"), validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return False
    return isinstance(payload, dict) and "payload" in payload


def _stats(handled: dict[str, int]) -> Endpoint:
    async def stats(_: Request) -> Response:
        return JSONResponse({"handled": handled}, headers={"Cache-Control": "no-store"})

    return stats


def _answer(document: dict[str, Any]) -> Endpoint:
    async def answer(_: Request) -> Response:
        return JSONResponse(document)

    return answer


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _pay(_: Request) -> Response:
    return HTMLResponse("<!doctype html><html lang=en><title>How to pay</title><h1>How to pay</h1></html>")


async def _robots(_: Request) -> Response:
    return PlainTextResponse("User-agent: *\nAllow: /\n")
