"""What the sandbox says of itself: the list of what costs, and the OpenAPI document. Both follow from the price list."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from conformance.sandbox.price import Good
from conformance.sandbox.refusal import offer_v1, offer_v2

__all__ = ["document", "listing"]


def listing(goods: Sequence[Good], public_url: str) -> dict[str, Any]:
    """``/.well-known/x402``: the addresses (x402scan, Discovery), and for each the ways to pay of its offer."""
    items = [
        {
            "resource": public_url + good.path,
            "type": "http",
            "method": good.method,
            "x402Version": good.versions[-1],
            "accepts": (offer_v2 if 2 in good.versions else offer_v1)(good, public_url, "")["accepts"],
        }
        for good in goods
    ]
    return {"version": 1, "resources": [public_url + good.path for good in goods], "items": items}


def document(goods: Sequence[Good], public_url: str) -> dict[str, Any]:
    """``/openapi.json``: what is sold, with its price in dollars, and what is free."""
    paths = {good.path: {good.method.lower(): _operation(good)} for good in goods}
    paths |= {"/health": {"get": {"operationId": "health", "responses": {"200": _json("it runs", _HEALTH)}}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "The sandbox of pytest-402", "version": "1"},
        "servers": [{"url": public_url}],
        "paths": paths,
    }


_HEALTH = {"type": "object", "required": ["status"], "properties": {"status": {"const": "ok"}}}
_PROBLEM = {"type": "object", "required": ["title", "status"]}
_OFFER = {"type": "object", "required": ["x402Version", "accepts"]}


def _operation(good: Good) -> dict[str, Any]:
    dollars = Decimal(good.price.amount) / 10**6
    refused = {"schema": _OFFER} if 1 in good.versions else {"schema": _PROBLEM}
    media = "application/json" if 1 in good.versions else "application/problem+json"
    paid = {"type": "object", "required": list(good.content)}
    found: dict[str, Any] = {
        "operationId": good.path.strip("/"),
        "summary": good.description,
        "x-payment-info": {
            "price": {"mode": "fixed", "currency": "USD", "amount": f"{dollars:f}"},
            "protocols": [{"x402": {}}],
        },
        "responses": {
            "200": _json("what is sold", paid),
            "402": {"description": "unpaid", "content": {media: refused}},
        },
    }
    if good.method == "POST":
        found["requestBody"] = {"content": {"application/json": {"schema": {"type": "object"}}}}
    return found


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
