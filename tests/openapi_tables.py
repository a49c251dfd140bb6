"""What may be wrong between an OpenAPI document and its API, and what may be otherwise and is not wrong."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from described import TERMS, Asked, Change, Reply, refused
from serving import coded

__all__ = ["FAULTS", "LEGAL", "OPEN", "Case", "paper"]

PAID, FREE = "POST /v1/reports", "GET /v1/cities/{id}"
CITY = {"name": "Paris", "size": 3}
_CITY = {
    "type": "object",
    "required": ["name", "size"],
    "properties": {"name": {"type": "string"}, "size": {"type": "integer"}},
}
_UNPAID = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}

Paper = dict[str, Any]
Edit = Callable[[Paper], object]


def _json(schema: Any) -> dict[str, Any]:
    return {"description": "it", "content": {"application/json": {"schema": schema}}}


def paper() -> Paper:
    """A document of a report that costs and a city that is free."""
    report = {
        "operationId": "makeReport",
        "x-sold": True,
        "x-payment-info": {
            "price": {"mode": "fixed", "currency": "USD", "amount": "0.05"},
            "protocols": [{"x402": {}}],
        },
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["city"],
                        "properties": {"city": {"type": "string"}, "pages": {"type": "integer", "minimum": 1}},
                    }
                }
            },
        },
        "responses": {"200": _json(_CITY), "402": _json(_UNPAID)},
    }
    number = {"in": "path", "name": "id", "required": True, "schema": {"type": "integer", "minimum": 1, "maximum": 999}}
    city = {"operationId": "getCity", "parameters": [number], "responses": {"200": _json(_CITY)}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Cities", "version": "1"},
        "paths": {"/v1/reports": {"post": report}, "/v1/cities/{id}": {"get": city}},
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One API and its document."""

    name: str
    red: frozenset[str] = frozenset()
    """Requirement and operation, of what does not hold."""
    why: str = ""
    """Of what is said of it, where it is open or red."""
    allows: str = ""
    """A phrase of the catalogue."""
    change: Change | None = None
    edit: Edit | None = None
    text: bytes | None = None
    keys: dict[str, Any] = field(default_factory=dict)
    """Of [openapi]."""
    profile: dict[str, Any] = field(default_factory=dict)
    """Other tables of the profile."""
    limits: float = 60.0
    """Seconds that are waited in all."""


def of(operation: str, change: Change, when: Callable[[Asked], object] = lambda _: True) -> Change:
    """``change`` at one operation."""
    method, _, template = operation.partition(" ")

    def altered(asked: Asked, reply: Reply) -> None:
        if (asked.method, asked.template) == (method, template) and when(asked):
            change(asked, reply)

    return altered


def becomes(status: int, body: Any = None, media: str = "application/json", **fields: str) -> Change:
    """Another answer."""

    def altered(_: Asked, reply: Reply) -> None:
        reply.status, reply.media = status, media
        reply.body = body if body is not None else {"error": "no"}
        reply.headers = {name.replace("_", "-"): value for name, value in fields.items()}

    return altered


def says(**members: Any) -> Change:
    """Other members of a body."""

    def altered(_: Asked, reply: Reply) -> None:
        reply.body = {name: value for name, value in {**reply.body, **members}.items() if value is not ...}

    return altered


def offers(**terms: Any) -> Change:
    """Other terms of the offer."""
    return lambda asked, reply: reply.headers.update(refused(asked, **terms).headers)


def number(asked: Asked) -> int:
    """The id in the path."""
    return int(asked.path.rpartition("/")[2])


def member(name: str) -> Callable[[Asked], bool]:
    """Requests whose body has it."""
    return lambda asked: name in json.loads(asked.body)


def operation(paper: Paper, name: str) -> dict[str, Any]:
    """What the document says of it."""
    method, _, template = name.partition(" ")
    found: dict[str, Any] = paper["paths"][template][method.lower()]
    return found


def responses(name: str, told: dict[str, Any]) -> Edit:
    """Other responses of an operation."""
    return lambda paper: operation(paper, name).update(responses=told)


def schema(name: str, told: Any, status: str = "200") -> Edit:
    """Another schema of what is answered."""
    return lambda paper: operation(paper, name)["responses"].update({status: _json(told)})


def price(told: Any) -> Edit:
    """Another price; none at all."""

    def edit(paper: Paper) -> None:
        found = operation(paper, PAID)
        del found["x-payment-info"]
        if told is not None:
            found["x-payment-info"] = told

    return edit


def red(name: str, *places: str, why: str = "", **how: Any) -> Case:
    """A fault."""
    return Case(name=name, red=frozenset(places), why=why, **how)


_PLAN = {"name": "plan", "family": "paywall", "status": [403], "when": {"jmespath": "error == 'plan'"}}

FAULTS = (
    red(
        "who asks for pages does not pay",
        f"openapi.paid-is-refused {PAID}",
        why='"pages\\": 1',
        change=of(PAID, becomes(200, CITY), member("pages")),
    ),
    red("nobody pays", f"openapi.paid-is-refused {PAID}", change=of(PAID, becomes(200, CITY))),
    red(
        "a long name is made without payment",
        f"openapi.paid-is-refused {PAID}",
        change=of(PAID, becomes(201, CITY), lambda asked: len(asked.body) > 20),
        edit=responses(PAID, {"default": _json({})}),
    ),
    red(
        "what is sold stands in a refusal",
        f"openapi.paid-is-refused {PAID}",
        why="with the marker, in the body",
        profile={
            "endpoint": [
                {
                    "name": "r",
                    "method": "POST",
                    "path": "/v1/reports",
                    "json": {"city": "x"},
                    "protocol": "x402",
                    "marker": "Paris",
                }
            ]
        },
        change=of(PAID, says(hint="Paris"), member("pages")),
    ),
    red("what is listed as paid is served", f"openapi.paid-is-refused {FREE}", keys={"paid": ["getCity"]}),
    red(
        "what is free asks for money",
        f"openapi.free-is-not-402 {FREE}",
        why="/v1/cities/100 ",
        keys={"free": ["getCity"]},
        change=of(FREE, becomes(402, {"error": "no"}), lambda asked: number(asked) > 99),
    ),
    red(
        "what is not listed as paid asks for money",
        f"openapi.free-is-not-402 {FREE}",
        keys={"paid": ["makeReport"]},
        change=of(FREE, becomes(402)),
    ),
    red(
        "a refusal makes no offer",
        f"openapi.refusal-family {PAID}",
        why="expected an x402 offer",
        change=of(PAID, becomes(402), member("pages")),
    ),
    red(
        "a refusal is none that the profile has",
        f"openapi.refusal-family {PAID}",
        profile={
            "answer": [_PLAN | {"status": [402]}],
            "endpoint": [
                {"name": "r", "method": "POST", "path": "/v1/reports", "json": {"city": "a"}, "answers": ["plan"]}
            ],
        },
        edit=price(None),
        change=of(PAID, becomes(402, {"error": "other"})),
    ),
    red(
        "a refusal is not documented",
        f"openapi.status-is-documented {PAID}",
        why="402 Payment Required",
        edit=responses(PAID, {"200": _json(_CITY)}),
    ),
    red(
        "a success is not documented",
        f"openapi.status-is-documented {FREE}",
        why="one of 200",
        change=of(FREE, becomes(202, CITY)),
    ),
    red(
        "what is refused is not refused as documented",
        f"openapi.refusal-is-reached {PAID}",
        profile={"answer": [_PLAN]},
        change=of(PAID, becomes(403, {"error": "plan"}), member("pages")),
    ),
    red(
        "a number is a text",
        f"openapi.content-fits {FREE}",
        why="/size",
        change=of(FREE, says(size="3"), lambda asked: number(asked) > 5),
    ),
    red("a member is missing", f"openapi.content-fits {FREE}", change=of(FREE, says(size=...))),
    red(
        "a refusal is without its member",
        f"openapi.content-fits {PAID}",
        change=of(PAID, says(error=..., message="no")),
    ),
    red("null is not among the types", f"openapi.content-fits {FREE}", change=of(FREE, says(name=None))),
    red(
        "JSON is broken", f"openapi.content-fits {FREE}", why="expected JSON", change=of(FREE, becomes(200, b"{name:"))
    ),
    red(
        "a number is no multiple",
        f"openapi.content-fits {FREE}",
        why="not a multiple of 0.01",
        edit=schema(FREE, {"properties": {"size": {"type": "number", "multipleOf": 0.01}}}),
        change=of(FREE, says(size=19.995)),
    ),
    red(
        "a member of a reference is wrong",
        f"openapi.content-fits {FREE}",
        edit=lambda paper: (
            schema(FREE, {"$ref": "#/components/schemas/City"})(paper),
            paper.update(components={"schemas": {"City": _CITY}}),
        ),
        change=of(FREE, says(size="3")),
    ),
    red(
        "two of oneOf fit",
        f"openapi.content-fits {FREE}",
        edit=schema(FREE, {"oneOf": [_CITY, {"type": "object", "required": ["name"]}]}),
    ),
    red(
        "a page comes for JSON",
        f"openapi.content-type {FREE}",
        why="text/html",
        change=of(FREE, becomes(200, b"<p>Paris", media="text/html")),
    ),
    red(
        "a refusal is a page",
        f"openapi.content-type {PAID}",
        change=of(
            PAID,
            lambda asked, reply: (
                becomes(402, b"<p>Pay", media="text/html")(asked, reply),
                reply.headers.update(refused(asked).headers),
            ),
        ),
    ),
    red(
        "a link leads nowhere",
        "openapi.links ",
        why='operationId "nobody"',
        edit=lambda paper: operation(paper, FREE)["responses"]["200"].update(links={"next": {"operationId": "nobody"}}),
    ),
    red(
        "a reference of a link leads nowhere",
        "openapi.links ",
        edit=lambda paper: operation(paper, FREE)["responses"]["200"].update(
            links={"n": {"operationRef": "#/paths/~1x/get"}}
        ),
    ),
    red(
        "it costs less than it says",
        f"openapi.price {PAID}",
        why="10000 of 0x",
        change=of(PAID, offers(amount="10000")),
    ),
    red("it costs more for pages", f"openapi.price {PAID}", change=of(PAID, offers(amount="5000000"), member("pages"))),
    red(
        "it is out of its range",
        f"openapi.price {PAID}",
        why="0.01 to 0.02 USD",
        edit=price({"price": {"mode": "dynamic", "min": "0.01", "max": "0.02", "currency": "USD"}}),
    ),
    red(
        "its older price is another",
        f"openapi.price {PAID}",
        edit=price({"pricingMode": "fixed", "price": "$0.04", "protocols": ["x402"]}),
    ),
    red(
        "its price in atomic units is another",
        f"openapi.price {PAID}",
        edit=price({"offers": [{"intent": "charge", "method": "evm", "amount": "49999", "currency": TERMS["asset"]}]}),
    ),
    red("it is no JSON", "openapi.document ", why="neither JSON nor YAML", text=b'{"openapi": "3.1.0",'),
    red("it is no YAML", "openapi.document ", why="neither JSON nor YAML", text=b"openapi: 3.1.0\n\t- x: ["),
    red("it is something else", "openapi.document ", why="no member openapi", text=b'{"paths": {}}'),
    red("it describes nothing", "openapi.document ", why="no paths", text=b'{"openapi": "3.1.0"}'),
    red(
        "its version is a number",
        "openapi.document ",
        why="openapi '3.1'",
        text=b"openapi: 3.1\npaths: {/x: {get: {}}}",
    ),
    red("it is a list", "openapi.document ", why="no object", text=b"[]"),
)


def legal(name: str, allows: str = "", **how: Any) -> Case:
    """A correct API, and what of the catalogue it shows."""
    return Case(name=name, allows=allows, **how)


def _v1(asked: Asked, reply: Reply) -> None:
    way = {key: value for key, value in TERMS.items() if key != "amount"}
    way |= {"network": "base-sepolia", "maxAmountRequired": "50000", "resource": f"http://api.example{asked.path}"}
    way |= {"description": "", "mimeType": ""}
    reply.body, reply.headers = {"x402Version": 1, "error": "unpaid", "accepts": [way]}, {}


def _mpp(_: Asked, reply: Reply) -> None:
    reply.headers = {"WWW-Authenticate": 'Payment id="1", realm="x", method="tempo", intent="charge", request="e30"'}


def _older(paper: Paper) -> None:
    paper["openapi"] = "3.0.3"
    told = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "nullable": True},
            "size": {"type": "integer", "minimum": 2, "exclusiveMinimum": True},
        },
    }
    schema(FREE, told)(paper)


def _tree(paper: Paper) -> None:
    tree = {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}}}
    paper["components"] = {"schemas": {"Tree": tree}}
    schema(FREE, {"$ref": "#/components/schemas/Tree"})(paper)
    body = operation(paper, PAID)["requestBody"]["content"]["application/json"]
    body["schema"] = {"$ref": "#/components/schemas/Tree"}


def _shared(paper: Paper) -> None:
    city = operation(paper, FREE)
    paper["components"] = {
        "parameters": {"Id": city.pop("parameters")[0]},
        "responses": {"City": city["responses"]["200"]},
        "requestBodies": {"Report": operation(paper, PAID).pop("requestBody")},
    }
    city["responses"] = {"200": {"$ref": "#/components/responses/City"}}
    paper["paths"]["/v1/cities/{id}"]["parameters"] = [{"$ref": "#/components/parameters/Id"}]
    operation(paper, PAID)["requestBody"] = {"$ref": "#/components/requestBodies/Report"}


def _forms(paper: Paper) -> None:
    content = operation(paper, PAID)["requestBody"]["content"]
    plain = content.pop("application/json")
    content |= {"application/x-www-form-urlencoded": plain, "multipart/form-data": plain}


def _fields(paper: Paper) -> None:
    text = {"type": "string"}
    operation(paper, PAID)["parameters"] = [
        {"in": "header", "name": "PAYMENT-SIGNATURE", "schema": text},
        {"in": "header", "name": "X-Trace", "schema": text, "required": True},
        {"in": "cookie", "name": "seen", "schema": text},
        {"in": "query", "name": "tags", "schema": {"type": "array", "items": text}},
    ]


def _unwelcome(asked: Asked, reply: Reply) -> None:
    if "payment-signature" in asked.headers or "authorization" in asked.headers:
        becomes(200, CITY)(asked, reply)


def _secured(paper: Paper) -> None:
    paper["components"] = {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}}
    paper["security"] = [{}, {"key": []}]


def _yaml(paper: Paper) -> bytes:
    """The document as YAML, with statuses that are numbers."""
    text = json.dumps(paper, indent=1).replace('"200"', "200").replace('"402"', "402")
    return b"# in YAML\n" + text.encode()


def _prefixed(paper: Paper) -> None:
    paper["paths"] = {path.removeprefix("/v1"): item for path, item in paper["paths"].items()}


def _concrete(paper: Paper) -> None:
    """Beside the free one of any id stands a path of its own, which costs."""
    mine = {"operationId": "getMine", "x-payment-info": {"protocols": ["x402"]}}
    mine["responses"] = {"200": _json(_CITY), "402": _json(_UNPAID)}
    paper["paths"] = {"/v1/cities/mine": {"get": mine}, **paper["paths"]}


def _generic(paper: Paper) -> None:
    """Schemas by names that a reference writes with escapes."""
    paper["components"] = {"schemas": {"Page<City>": _CITY, "City Name": {"type": "string"}}}
    body = operation(paper, PAID)["requestBody"]["content"]["application/json"]["schema"]["properties"]
    body["city"] = {"$ref": "#/components/schemas/City%20Name"}
    schema(FREE, {"$ref": "#/components/schemas/Page%3CCity%3E"})(paper)
    links = {"self": {"operationRef": "#/paths/~1v1~1cities~1%7Bid%7D/get"}}
    operation(paper, FREE)["responses"]["200"].update(links=links)


def _either(paper: Paper) -> None:
    """One of two that are alike, told apart by a member."""
    cat, dog = ({"type": "object", "properties": {"kind": {"type": "string"}}} for _ in range(2))
    paper["components"] = {"schemas": {"Cat": cat, "Dog": dog}}
    both = [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}]
    schema(FREE, {"oneOf": both, "discriminator": {"propertyName": "kind"}})(paper)


def _mended(paper: Paper) -> None:
    """3.1 in the words of 3.0."""
    size = {"type": "integer", "minimum": 2, "exclusiveMinimum": True}
    reference = {"$ref": "#/components/schemas/Name", "nullable": True}
    paper["components"] = {"schemas": {"Name": {"type": "string"}}}
    schema(FREE, {"type": "object", "properties": {"name": reference, "size": size}})(paper)


def _nested(paper: Paper) -> None:
    """A list whose members refer to others."""
    names = {"type": "object", "properties": {name: {"$ref": "#/components/schemas/Name"} for name in "abc"}}
    paper["components"] = {"schemas": {"Name": {"type": "string"}, "Names": names}}
    schema(FREE, {"type": "array", "items": {"$ref": "#/components/schemas/Names"}})(paper)


_CENTS = schema(FREE, {"properties": {"size": {"type": "number", "multipleOf": 0.01}}})

LEGAL = (
    legal("it is correct"),
    legal("it counts in cents", edit=_CENTS, change=of(FREE, says(size=19.99))),
    legal(
        "a member is called pattern",
        edit=schema(FREE, {"additionalProperties": False, "properties": {"pattern": {"type": "string"}}}),
        change=of(FREE, becomes(200, {"pattern": "*"})),
    ),
    legal("a long list", edit=_nested, change=of(FREE, becomes(200, [dict.fromkeys("abc", "x")] * 900))),
    legal(
        "a path of its own costs, and any other id is free",
        "openapi.free-is-not-402: a free operation with a parameter beside a path of its own that costs",
        edit=_concrete,
        keys={"free": ["getCity"]},
        profile={"endpoint": [{"name": "mine", "path": "/v1/cities/mine", "protocol": "x402"}]},
    ),
    legal("names with escapes in references", edit=_generic),
    legal(
        "two that are alike are told apart by a member",
        "openapi.content-fits: one of several that are told apart by a discriminator",
        edit=_either,
        change=of(FREE, says(kind="Dog")),
    ),
    legal(
        "words of 3.0 in a document of 3.1",
        "openapi.content-fits: nullable in 3.1, as many write it",
        edit=_mended,
        change=of(FREE, says(name=None)),
    ),
    legal(
        "an operation is served by somebody else",
        "openapi.document: an operation that another host has",
        edit=lambda paper: operation(paper, FREE).update(servers=[{"url": "https://files.example.com/v1"}]),
    ),
    legal(
        "the server of whoever develops it comes second",
        edit=lambda paper: paper.update(
            servers=[{"url": "https://api.example.com/v3"}, {"url": "http://localhost:8000/"}]
        ),
    ),
    legal(
        "too many ids are asked for", change=of(FREE, becomes(429), lambda asked: asked.path.endswith("1")), limits=0.0
    ),
    legal(
        "OPTIONS is described",
        edit=lambda paper: paper["paths"]["/v1/reports"].update(
            options={"responses": {"204": {"description": "what it takes"}}}
        ),
        keys={"paid": ["/v1/reports"]},
        change=of("OPTIONS /v1/reports", becomes(204, b"", media="")),
    ),
    legal(
        "a paywall is for some requests",
        edit=lambda paper: operation(paper, FREE)["responses"].update({"402": _json(_UNPAID)}),
        profile={
            "answer": [_PLAN | {"status": [402]}],
            "endpoint": [{"name": "p", "path": "/v1/cities/7", "answers": ["plan"]}],
        },
        change=of(FREE, becomes(402, {"error": "plan"}), lambda asked: number(asked) == 7),
    ),
    legal(
        "a reference that may be null",
        edit=lambda paper: (
            _older(paper),
            paper.update(components={"schemas": {"N": {"type": "string"}}}),
            schema(FREE, {"properties": {"name": {"$ref": "#/components/schemas/N", "nullable": True}}})(paper),
        ),
        change=of(FREE, says(name=None)),
    ),
    legal(
        "invented ids are not found",
        "openapi.status-is-documented: 404, 429 or 500 without a word",
        change=of(FREE, becomes(404), lambda asked: number(asked) != 7),
    ),
    legal("some ids want a login", change=of(FREE, becomes(401), lambda asked: number(asked) > 3)),
    legal(
        "some ids are forbidden",
        change=of(FREE, becomes(403, b"<h1>No</h1>", media="text/html"), lambda a: number(a) > 3),
    ),
    legal(
        "it breaks for some",
        change=of(FREE, becomes(500, b"oops", media="text/plain"), lambda asked: number(asked) > 3),
    ),
    legal(
        "some bodies are wrong for another reason",
        "openapi.paid-is-refused: 400, 401, 403, 404, 409, 422 or 429 for a request that has another fault",
        change=of(PAID, becomes(422, {"detail": []}), member("pages")),
    ),
    legal("a login is optional", edit=_secured, change=_unwelcome),
    legal(
        "a response by default",
        "openapi.status-is-documented: a default response",
        edit=responses(PAID, {"default": _json({"type": "object"})}),
    ),
    legal(
        "404 is not what is said by default",
        edit=lambda paper: operation(paper, FREE)["responses"].update(default=_json(_UNPAID)),
        change=of(FREE, becomes(404, b"not found", media="text/plain"), lambda asked: number(asked) > 3),
    ),
    legal(
        "a range of statuses",
        "openapi.status-is-documented: a range such as 4XX",
        edit=responses(PAID, {"2XX": _json(_CITY), "4XX": _json(_UNPAID)}),
    ),
    legal(
        "a refusal by another status that is documented",
        "openapi.refusal-is-reached: a refusal by another status that is documented",
        profile={"answer": [_PLAN]},
        change=of(PAID, becomes(403, {"error": "plan"})),
        edit=lambda paper: operation(paper, PAID)["responses"].update({"403": {"description": "no plan"}}),
    ),
    legal(
        "nullable",
        "openapi.content-fits: nullable in 3.0, null among the types in 3.1",
        edit=_older,
        change=of(FREE, says(name=None)),
    ),
    legal(
        "null among the types",
        edit=schema(FREE, {"properties": {"name": {"type": ["string", "null"]}}}),
        change=of(FREE, says(name=None)),
    ),
    legal(
        "one of two",
        edit=schema(FREE, {"oneOf": [_CITY, {"type": "object", "required": ["error"]}]}),
        change=of(FREE, says(name=..., size=..., error="none"), lambda asked: number(asked) > 3),
    ),
    legal("members beyond", "openapi.content-fits: members beyond those documented", change=of(FREE, says(more=[1]))),
    legal(
        "a secret is sent and not given back",
        "openapi.content-fits: a member for requests alone (writeOnly) that is missing",
        edit=schema(FREE, {"required": ["pin"], "properties": {"pin": {"type": "string", "writeOnly": True}}}),
    ),
    legal("formats are only told", edit=schema(FREE, {"properties": {"name": {"type": "string", "format": "date"}}})),
    legal("a schema of itself", edit=_tree),
    legal("everything is shared", edit=_shared),
    legal("forms", edit=_forms),
    legal("fields of a payment are described", edit=_fields, change=_unwelcome),
    legal("no schema", edit=responses(FREE, {"200": {"description": "a city"}})),
    legal(
        "no content",
        "openapi.content-type: no content",
        edit=responses(FREE, {"204": {"description": "gone"}}),
        change=of(FREE, becomes(204, b"", media="")),
    ),
    legal(
        "a response without content",
        "openapi.content-type: a response without documented content",
        edit=responses(FREE, {"200": {"description": "a city"}}),
        change=of(FREE, becomes(200, b"x", media="text/plain")),
    ),
    legal(
        "a range of media types",
        "openapi.content-type: a range of media types",
        edit=responses(FREE, {"200": {"description": "it", "content": {"text/*": {}}}}),
        change=of(FREE, becomes(200, b"Paris", media="text/plain; charset=utf-8")),
    ),
    legal("a charset", change=of(FREE, lambda _, reply: setattr(reply, "media", "application/json; charset=utf-8"))),
    legal("no price is told", "openapi.price: no price that is told", edit=price(None), keys={"paid": ["makeReport"]}),
    legal("a price is quoted", edit=price({"pricingMode": "quote", "protocols": ["x402"]})),
    legal(
        "a price in its range",
        "openapi.price: any price in a range that is told",
        edit=price({"price": {"mode": "dynamic", "min": "0.01", "max": "1.00", "currency": "USD"}}),
    ),
    legal(
        "a price that may be nothing",
        keys={"unknown": []},
        edit=price({"pricingMode": "range", "minPrice": "0.00", "maxPrice": "1"}),
        change=of(PAID, becomes(200, CITY), member("pages")),
    ),
    legal("a price with zeros", edit=price({"price": {"mode": "fixed", "amount": "0.050000", "currency": "USD"}})),
    legal("a price in euros", edit=price({"price": {"mode": "fixed", "amount": "0.04", "currency": "EUR"}})),
    legal(
        "an asset that nobody knows",
        "openapi.price: an asset that is not known to be dollars",
        change=of(PAID, offers(asset="0x" + "11" * 20, amount="7")),
    ),
    legal(
        "two ways, one that is known",
        change=of(
            PAID,
            lambda _, reply: reply.headers.update(
                {
                    "PAYMENT-REQUIRED": coded(
                        {
                            "x402Version": 2,
                            "resource": {"url": "http://x"},
                            "accepts": [{**TERMS, "asset": "0x" + "11" * 20, "amount": "7"}, TERMS],
                        }
                    )
                }
            ),
        ),
    ),
    legal("up to a price", change=of(PAID, offers(scheme="upto", amount="900000"))),
    legal("version 1", change=of(PAID, _v1), edit=schema(PAID, {"type": "object"}, "402")),
    legal(
        "another protocol",
        change=of(PAID, _mpp),
        edit=price({"protocols": [{"mpp": {}}], "price": {"mode": "fixed", "amount": "0.05", "currency": "USD"}}),
    ),
    legal(
        "its kind is not told",
        "openapi.refusal-family: no kind that is named",
        edit=price(None),
        keys={"paid": ["makeReport"]},
        change=of(PAID, becomes(402)),
    ),
    legal(
        "a free one below a path that costs",
        "openapi.free-is-not-402: a free operation below a path that costs",
        keys={"paid": ["/v1/*"], "free": [FREE]},
    ),
    legal(
        "402 is for others",
        edit=lambda paper: operation(paper, FREE)["responses"].update({"402": _json(_UNPAID)}),
        keys={"paid": ["makeReport"]},
    ),
    legal(
        "it costs for some",
        keys={"unknown": ["getCity"]},
        change=of(FREE, becomes(402), lambda a: number(a) > 99),
        edit=responses(FREE, {"200": _json(_CITY), "402": _json(_UNPAID)}),
    ),
    legal(
        "a link to another",
        edit=lambda paper: operation(paper, FREE)["responses"]["200"].update(
            links={"report": {"operationId": "makeReport"}, "self": {"operationRef": "#/paths/~1v1~1cities~1{id}/get"}}
        ),
    ),
    legal(
        "a link out of the document",
        "openapi.links: a link to an operation of another document",
        edit=lambda paper: operation(paper, FREE)["responses"]["200"].update(
            links={"away": {"operationRef": "https://other.example/openapi.json#/paths/~1x/get"}}
        ),
    ),
    legal("3.0", "openapi.document: version 3.0 or 3.1", edit=_older),
    legal("YAML", "openapi.document: JSON or YAML", text=_yaml(paper())),
    legal(
        "servers of the world",
        "openapi.document: servers of other hosts",
        edit=lambda paper: paper.update(
            servers=[{"url": "https://api.example.com/"}, {"url": "https://eu.example.com"}]
        ),
    ),
    legal("a server with a path", edit=lambda paper: (_prefixed(paper), paper.update(servers=[{"url": "/v1"}]))),
    legal(
        "a server with variables",
        edit=lambda paper: (
            _prefixed(paper),
            paper.update(
                servers=[
                    {
                        "url": "https://{where}.example.com/{version}",
                        "variables": {"where": {"default": "eu"}, "version": {"default": "v1"}},
                    }
                ]
            ),
        ),
    ),
    legal(
        "it says that it refuses with 200",
        profile={"answer": [_PLAN | {"status": [200]}]},
        edit=price(None),
        keys={"paid": ["makeReport"]},
        change=of(PAID, becomes(200, {"error": "plan", "name": "", "size": 0})),
    ),
    legal(
        "an example is found where invented ids are not",
        keys={"paid": [FREE]},
        edit=lambda paper: (
            operation(paper, FREE)["parameters"][0].update(example=7),
            operation(paper, FREE)["responses"].update({"402": _json(_UNPAID)}),
        ),
        change=lambda asked, reply: of(FREE, becomes(402) if asked.path.endswith("/7") else becomes(404))(asked, reply),
    ),
    legal(
        "the profile's request is found where invented ids are not",
        profile={"endpoint": [{"name": "paris", "path": "/v1/cities/7", "protocol": "x402"}]},
        edit=lambda paper: operation(paper, FREE)["responses"].update({"402": _json(_UNPAID)}),
        change=of(
            FREE,
            lambda asked, reply: (
                becomes(404)(asked, reply)
                if number(asked) != 7
                else (becomes(402)(asked, reply), reply.headers.update(refused(asked).headers))
            ),
        ),
    ),
)


def left(name: str, why: str, **how: Any) -> Case:
    """What cannot be told, and why."""
    return Case(name=name, why=why, **how)


_BOMB = (
    b"openapi: 3.1.0\na: &a [x,x,x,x,x,x,x,x,x,x]\n"
    + b"".join(b"%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n" % ((c, c) + (c - 1,) * 10) for c in b"bcdefghi")
    + b"paths: {/x: {get: {}}}\n"
)


def _twice_each(paper: Paper) -> None:
    """Each step takes the next one twice."""
    steps = {f"a{n}": {"oneOf": [{"$ref": f"#/components/schemas/a{n + 1}"}] * 2} for n in range(30)}
    paper["components"] = {"schemas": steps | {"a30": {"type": "object"}}}
    operation(paper, PAID)["requestBody"]["content"]["application/json"]["schema"] = {"$ref": "#/components/schemas/a0"}


OPEN = (
    left("it would take for ever to draw", "it takes more than 10 s", edit=_twice_each),
    left("nothing comes to a refusal", "none comes to a refusal", change=of(PAID, becomes(404))),
    left(
        "its path is that of another server",
        "below https://api.example.com/v3 (servers)",
        edit=lambda paper: paper.update(servers=[{"url": "https://api.example.com/v3"}]),
    ),
    left("who asks is not known", "openapi.identity", change=of(PAID, becomes(401))),
    left("a success is empty", "it has no content", change=of(PAID, becomes(200, b"", media=""), member("pages"))),
    left(
        "a success shows nothing of what is sold",
        "nothing of it shows what is sold",
        profile={
            "endpoint": [
                {
                    "name": "r",
                    "method": "POST",
                    "path": "/v1/reports",
                    "json": {"city": "x"},
                    "protocol": "x402",
                    "marker": "Report of",
                }
            ]
        },
        change=of(PAID, becomes(200, CITY), member("pages")),
    ),
    left(
        "it refers to another document",
        "which is not fetched: put all of it in one document",
        edit=schema(FREE, {"$ref": "https://other.example/city.json"}),
    ),
    left("it refers to a file", "which is not fetched", edit=schema(FREE, {"$ref": "../city.json#/City"})),
    left("it refers to nothing", "which is not there", edit=schema(FREE, {"$ref": "#/components/schemas/City"})),
    left(
        "it refers to itself alone",
        "",
        edit=lambda paper: (
            paper.update(components={"schemas": {"Loop": {"$ref": "#/components/schemas/Loop"}}}),
            schema(FREE, {"$ref": "#/components/schemas/Loop"})(paper),
        ),
    ),
    left("its schema is none", "cannot be applied", edit=schema(FREE, {"type": "objekt"})),
    left(
        "it is served elsewhere",
        "which is not the target",
        edit=lambda paper: operation(paper, FREE).update(servers=[{"url": "https://eu.example.com/v1"}]),
        keys={"free": ["getCity"]},
    ),
    left("it has no paths at all", "describes nothing", text=b'{"openapi": "3.1.0", "webhooks": {}}'),
    left("its paths are empty", "describes nothing", text=b'{"openapi": "3.0.3", "paths": {}}'),
    left("it is Swagger", "what is read here is OpenAPI 3", text=b'{"swagger": "2.0", "paths": {}}'),
    left("it is huge", "limits.max_body", text=b'{"openapi": "3.1.0", "x": "' + b"x" * 5_000_001 + b'"}'),
    left("it stands for millions", "more than 500000 values", text=_BOMB),
    left("it is deep", "neither JSON nor YAML", text=b'{"openapi":' * 600, red=frozenset({"openapi.document "})),
    left("it holds itself", "nested too deeply", text=b"openapi: 3.1.0\npaths: &p {/x: *p}\n"),
    left("the profile names what is not there", "the document has no such operation", keys={"paid": ["makeRaport"]}),
    left("it is not there", "is answered 404", keys={"url": "/nowhere.json"}),
    left(
        "it is at a stranger's",
        "is neither the target nor one of its target.helpers",
        keys={"url": "https://docs.example.com/openapi.json"},
    ),
)
