"""The sandbox's routes: what is sold, what is free, and who gets in."""

import base64
import binascii
import json
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from conformance.sandbox.price import GOODS, Good
from conformance.sandbox.refusal import refusal

__all__ = ["app", "serve"]

_PAYMENT = {1: "x-payment", 2: "payment-signature"}


def app(public_url: str) -> Starlette:
    """The sandbox as an ASGI application that is reached at ``public_url``, without a slash at the end."""
    routes = [Route(good.path, _sold(good, public_url), methods=[good.method]) for good in GOODS]
    routes += [Route("/health", _health), Route("/pay", _pay), Route("/robots.txt", _robots)]
    cors = Middleware(
        CORSMiddleware,
        allow_origins=["*"],
        allow_methods=["GET", "HEAD", "POST"],
        allow_headers=["content-type", *_PAYMENT.values()],
        expose_headers=["payment-required", "payment-response"],
    )
    return Starlette(routes=routes, middleware=[cors])


def serve(port: int) -> None:
    """Serves the sandbox on 127.0.0.1 until it is interrupted."""
    uvicorn.run(app(f"http://127.0.0.1:{port}"), host="127.0.0.1", port=port, log_level="warning")


def _sold(good: Good, public_url: str) -> Callable[[Request], Response]:
    def endpoint(request: Request) -> Response:
        # Accounts have no passwords here: there is nothing to steal.
        if request.headers.get("sandbox-account") == "subscriber":
            return JSONResponse(good.content, headers={"Cache-Control": "private, no-store"})
        payments = [request.headers[_PAYMENT[v]] for v in good.versions if _PAYMENT[v] in request.headers]
        if not payments:
            return refusal(request, good, public_url, f"{_PAYMENT[good.versions[-1]].upper()} header is required")
        if not all(_is_payload(payment) for payment in payments):
            return refusal(request, good, public_url, "the payment is not base64 of a JSON object", status=400)
        return refusal(request, good, public_url, "no facilitator is configured that could verify the payment")

    return endpoint


def _is_payload(value: str) -> bool:
    try:
        payload = json.loads(base64.b64decode(value.encode("latin-1"), validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return False
    return isinstance(payload, dict) and "payload" in payload


def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


def _pay(_: Request) -> Response:
    return HTMLResponse("<!doctype html><html lang=en><title>How to pay</title><h1>How to pay</h1></html>")


def _robots(_: Request) -> Response:
    return PlainTextResponse("User-agent: *\nAllow: /\n")
