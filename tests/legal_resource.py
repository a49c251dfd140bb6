"""Legal variants of the address for which an offer is made."""

from typing import Any

from altering import resource
from serving import Answer, Asked, Change
from variant import Legal, endpoints, first, legal

__all__ = ["RESOURCE"]


def _asked_with_a_query(written: dict[str, Any]) -> None:
    endpoints(query={"city": "Paris"})(written)


def _stranger(status: int) -> Change:
    def change(asked: Asked, answer: Answer) -> None:
        if "evil.example" in {asked.headers["host"], asked.headers.get("x-forwarded-host")}:
            answer.become(status, "no such host")

    return change


def _resources(origin: str = "http://127.0.0.1", after: str = "") -> Change:
    def change(asked: Asked, answer: Answer) -> None:
        resource(asked.path + after, origin)(asked, answer)

    return change


def _at(path: str) -> dict[str, Any]:
    """The weather is sold at ``path``."""
    return {"where": (path,), "sells": {path: "/weather"}, "edit": first(path=path)}


RESOURCE: tuple[Legal, ...] = (
    legal(
        "its resource is named without the query",
        _resources(),
        "x402.offer.resource-names-request: without the query",
        edit=_asked_with_a_query,
    ),
    legal("its resource is named with the query", _resources(after="?city=Paris"), edit=_asked_with_a_query),
    legal("its resource is a template", resource("/:topic"), "x402.offer.resource-names-request: a template"),
    legal(
        "its resource is a template in braces", resource("/{topic}"), "x402.offer.resource-names-request: a template"
    ),
    legal(
        "its resource has a public address",
        _resources("https://api.example.com"),
        "x402.offer.resource-names-request: a public address where the target is tested on loopback",
    ),
    legal("a proxy puts a path before its own", _resources("https://example.com/api/v2")),
    legal(
        "its resource is a tool",
        resource("tool/weather", "mcp://"),
        "x402.offer.resource-names-request: schemes other than http",
    ),
    *(
        legal(
            f"a host that it does not serve gets a {status}",
            _stranger(status),
            "x402.offer.host-is-not-echoed: 400, 404 or 421 for a host that is not served",
        )
        for status in (400, 404, 421)
    ),
    *(
        legal(
            f"its resource is {template} for all that lies below",
            resource(template),
            "x402.offer.resource-names-request: a template",
            **_at("/weather/eu/paris"),
        )
        for template in ("/weather/*", "/weather/**", "/weather/{path...}", "/weather/[...slug]", "/*")
    ),
    *(
        legal(
            f"its resource is the template {template}",
            resource(template),
            "x402.offer.resource-names-request: a template",
            **_at("/weather/paris.json"),
        )
        for template in ("/weather/{city}.json", "/weather/:city.json", "/{kind}/[city].json", "/weather/*")
    ),
    legal(
        "its resource is named as people write it",
        resource("/new york/東京"),
        where=("/new york/東京",),
        sells={"/new york/東京": "/weather"},
        edit=first(path="/new%20york/%E6%9D%B1%E4%BA%AC"),
    ),
    legal(
        "its resource is named as URLs are written",
        resource("/new%20york/%E6%9D%B1%E4%BA%AC"),
        where=("/new york/東京",),
        sells={"/new york/東京": "/weather"},
        edit=first(path="/new%20york/東京"),
    ),
    legal(
        "its resource is an agent's",
        resource("agent/weather", "a2a+https://"),
        "x402.offer.resource-names-request: schemes other than http",
    ),
)
