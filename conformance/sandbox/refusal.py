"""How a 402 is said: the offer in the header for x402 version 2, in the body for version 1, a page for people.

Three rules keep it right. The offer never depends on what the client says of itself. The address of the resource is
the server's own public one, never an echo of the request. And no cache may keep a refusal.
"""

import base64
import json
from collections.abc import Mapping
from html import escape
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from conformance.sandbox.memory import EXTENSION, IDENTIFIER
from conformance.sandbox.price import Good

__all__ = ["offer_v1", "offer_v2", "refusal"]


def refusal(request: Request, good: Good, public_url: str, error: str, status: int = 402) -> Response:
    """The answer to a request that was not paid for; ``error`` says why."""
    headers = {
        "Cache-Control": "no-store",
        "Vary": "Accept",
        "Link": f'<{public_url}/pay>; rel="payment"',
    }
    if 2 in good.versions:
        headers["PAYMENT-REQUIRED"] = _coded(offer_v2(good, public_url, error))
    if "text/html" in request.headers.get("accept", ""):
        return HTMLResponse(_page(good), status, headers)
    if 1 in good.versions:
        return JSONResponse(offer_v1(good, public_url, error), status, headers)
    problem = {"type": "about:blank", "title": "Payment Required", "status": status, "detail": error}
    if status != 402:
        problem["title"] = HTTPStatus(status).phrase
    return JSONResponse(problem, status, headers, media_type="application/problem+json")


def offer_v2(good: Good, public_url: str, error: str) -> Mapping[str, Any]:
    """PaymentRequired (x402 version 2, section 5.1)."""
    price = good.price
    return {
        "x402Version": 2,
        "error": error,
        "resource": {
            "url": public_url + good.path,
            "description": good.description,
            "mimeType": "application/json",
        },
        "accepts": [
            {
                "scheme": price.scheme,
                "network": price.network,
                "amount": price.amount,
                "asset": price.asset,
                "payTo": price.pay_to,
                "maxTimeoutSeconds": price.max_timeout_seconds,
                "extra": {"name": price.domain_name, "version": price.domain_version} | _flow(good),
            }
        ],
        "extensions": {IDENTIFIER: EXTENSION} if good.identified else {},
    }


def offer_v1(good: Good, public_url: str, error: str) -> Mapping[str, Any]:
    """PaymentRequirementsResponse (x402 version 1, section 5.1)."""
    price = good.price
    return {
        "x402Version": 1,
        "error": error,
        "accepts": [
            {
                "scheme": price.scheme,
                "network": price.network_v1,
                "maxAmountRequired": price.amount,
                "asset": price.asset,
                "payTo": price.pay_to,
                "resource": public_url + good.path,
                "description": good.description,
                "mimeType": "application/json",
                "outputSchema": None,
                "maxTimeoutSeconds": price.max_timeout_seconds,
                "extra": {"name": price.domain_name, "version": price.domain_version},
            }
        ],
    }


def _flow(good: Good) -> dict[str, str]:
    return {} if good.flow == "authorization" else {"paymentFlow": good.flow}


def _coded(document: Mapping[str, Any]) -> str:
    return base64.b64encode(json.dumps(document, separators=(",", ":")).encode()).decode()


def _page(good: Good) -> str:
    return (
        f"<!doctype html><html lang=en><title>{escape(good.description)}: payment required</title>"
        f"<h1>{escape(good.description)}</h1><p>This costs {escape(good.price.amount)} atomic units of "
        f"{escape(good.price.domain_name)}.</p><p><a href=/pay>How to pay</a></p></html>"
    )
