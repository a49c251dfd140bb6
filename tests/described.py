"""An API that an OpenAPI document describes, and that does what the document says until it is told otherwise."""

import copy
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from serving import coded, listening

__all__ = ["PRICE", "TERMS", "Api", "Asked", "Change", "Reply", "described", "document", "offer", "refused"]

PRICE = "50000"
TERMS = {
    "scheme": "exact",
    "network": "eip155:84532",
    "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
    "amount": PRICE,
    "payTo": "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
    "maxTimeoutSeconds": 60,
    "extra": {"name": "USDC", "version": "2"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    template: str
    """The path of the document that it reached; empty for none."""
    definition: dict[str, Any]
    """What the document says of that operation."""


@dataclass(slots=True, kw_only=True)
class Reply:
    """What is answered."""

    status: int = 200
    body: Any = field(default_factory=dict)
    """JSON; bytes are sent as they are."""
    media: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


Change = Callable[[Asked, Reply], None]


def offer(url: str, **terms: Any) -> str:
    """An x402 offer as its field has it."""
    return coded(
        {
            "x402Version": 2,
            "error": "unpaid",
            "resource": {"url": url},
            "accepts": [{**TERMS, **terms}],
            "extensions": {},
        }
    )


def refused(asked: Asked, **terms: Any) -> Reply:
    """A refusal with an offer."""
    field = {"PAYMENT-REQUIRED": offer(f"http://api.example{asked.path}", **terms)}
    return Reply(status=402, body={"error": "payment required"}, headers=field)


def document(many: int = 50, version: str = "3.1.0") -> dict[str, Any]:
    """A document of ``many`` operations: two of five cost, and the rest is free."""
    paths: dict[str, Any] = {}
    for number in range(many):
        name = f"thing{number}"
        paid = number % 5 < 2
        get = _reading(name, paid=paid) if number % 3 else _writing(name, paid=paid)
        kind = "post" if number % 3 == 0 else "get"
        path = f"/v1/{name}" if number % 2 or kind == "post" else f"/v1/{name}/{{id}}"
        if "{id}" in path:
            get["parameters"].append(
                {"in": "path", "name": "id", "required": True, "schema": {"type": "integer", "minimum": 1}}
            )
        paths[path] = {kind: get}
    return {
        "openapi": version,
        "info": {"title": "Things", "version": "1"},
        "paths": paths,
        "components": {
            "schemas": {
                "Thing": {
                    "type": "object",
                    "required": ["name", "size"],
                    "properties": {"name": {"type": "string"}, "size": {"type": "integer"}},
                },
                "Unpaid": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}},
            },
            "responses": {
                "Unpaid": {
                    "description": "not paid",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Unpaid"}}},
                }
            },
        },
    }


def _responses(*, paid: bool) -> dict[str, Any]:
    thing = {
        "description": "a thing",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}},
    }
    return {"200": thing} | ({"402": {"$ref": "#/components/responses/Unpaid"}} if paid else {})


def _reading(name: str, *, paid: bool) -> dict[str, Any]:
    query = {"in": "query", "name": "limit", "schema": {"type": "integer", "minimum": 0, "maximum": 100}}
    return _priced({"operationId": name, "parameters": [query], "responses": _responses(paid=paid)}, paid=paid)


def _writing(name: str, *, paid: bool) -> dict[str, Any]:
    body = {
        "type": "object",
        "required": ["text"],
        "properties": {
            "text": {"type": "string"},
            "formal": {"type": "boolean"},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
    }
    content = {"required": True, "content": {"application/json": {"schema": body}}}
    return _priced(
        {"operationId": name, "parameters": [], "requestBody": content, "responses": _responses(paid=paid)}, paid=paid
    )


def _priced(definition: dict[str, Any], *, paid: bool) -> dict[str, Any]:
    if paid:
        price = {"mode": "fixed", "currency": "USD", "amount": "0.05"}
        definition["x-payment-info"] = {"price": price, "protocols": [{"x402": {}}]}
    return definition


@dataclass(slots=True, kw_only=True)
class Api:
    """The server; ``changes`` are made to its replies, in order."""

    document: dict[str, Any] = field(default_factory=document)
    text: bytes | None = None
    """What is served as the document, if not that."""
    changes: tuple[Change, ...] = ()
    asked: list[Asked] = field(default_factory=list)

    def begin(self, *changes: Change, document: dict[str, Any] | None = None, text: bytes | None = None) -> None:
        """Serves ``document``, or that of two operations, with ``changes``; what was asked is forgotten."""
        self.document = copy.deepcopy(document or globals()["document"](2))
        self.text = text
        self.changes = changes
        self.asked.clear()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """As ASGI has it."""
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        template, definition = self._reached(scope["method"], scope["path"])
        asked = Asked(
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
            headers={k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]},
            body=body,
            template=template,
            definition=definition,
        )
        reply = self._reply(asked)
        if template:
            self.asked.append(asked)
            for change in self.changes:
                change(asked, reply)
        content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        fields = {"Content-Type": reply.media, "Content-Length": str(len(content))} | reply.headers
        headers = [(name.encode(), value.encode("latin-1")) for name, value in fields.items() if value]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _reached(self, method: str, path: str) -> tuple[str, dict[str, Any]]:
        paths = self.document.get("paths", {})
        for template, item in paths.items():
            pattern = re.sub(r"\\\{[^}]*\\\}", "[^/]*", re.escape(template))
            if re.fullmatch(f"(/v1)?{pattern}", path, re.DOTALL) and method.lower() in item:
                return template, item[method.lower()]
        return "", {}

    def _reply(self, asked: Asked) -> Reply:
        if asked.path == "/openapi.json":
            return Reply(body=self.document if self.text is None else self.text)
        if not asked.template:
            return Reply(status=404, body={"error": "no such thing"})
        if {"x-payment-info", "x-sold"} & asked.definition.keys():
            return refused(asked)
        return Reply(body={"name": "a thing", "size": 3})


@contextmanager
def described() -> Iterator[tuple[Api, str]]:
    """The API in a thread, and its base URL."""
    with listening() as (bound, here):
        api = Api()
        config = uvicorn.Config(api, http="h11", log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        try:
            yield api, here
        finally:
            server.should_exit = True
            thread.join(10)
            assert not thread.is_alive()
