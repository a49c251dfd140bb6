"""Legal variants of what browsers see of a refusal."""

from typing import Any

from altering import becomes, browses, field, lacks, preflights, when
from serving import Answer, Asked, Change, then
from variant import Legal, endpoints, legal, unclaimed

__all__ = ["BROWSER"]

_KNOWN = "https://app.example"


def _without_cors(asked: Asked, answer: Answer) -> None:
    answer.headers = [(k, v) for k, v in answer.headers if not k.lower().startswith("access-control-")]
    if preflights(asked):
        answer.become(405, "Method Not Allowed")
        answer.set("Allow", "GET, HEAD")


def _echoes_origin(asked: Asked, answer: Answer) -> None:
    if origin := asked.headers.get("origin"):
        answer.set("Access-Control-Allow-Origin", origin)
        answer.set("Vary", "Accept, Origin")


def _by_list(asked: Asked, answer: Answer) -> None:
    """Origins are admitted by a list, as the middleware of Starlette has it."""
    answer.drop("access-control-allow-origin")
    if origin := asked.headers.get("origin"):
        answer.set("Access-Control-Allow-Credentials", "true")
        answer.set("Vary", "Accept, Origin")
        if origin == _KNOWN:
            answer.set("Access-Control-Allow-Origin", origin)
        elif preflights(asked):
            answer.become(400, "Disallowed CORS origin")


def _sold_for_credits(written: dict[str, Any]) -> None:
    written["answer"] = [{"name": "broke", "family": "credits", "status": [402]}]
    written["endpoint"][0] |= {"answers": ["broke"]}
    written["claims"] = {"classes": ["http", "browser"]}
    for member in ("protocol", "versions", "terms", "failing"):
        del written["endpoint"][0][member]


def _cors(name: str, value: str) -> Change:
    return when(lambda asked: "origin" in asked.headers, lambda answer: answer.set(f"Access-Control-{name}", value))


BROWSER: tuple[Legal, ...] = (
    legal(
        "it does not speak CORS and claims nothing",
        _without_cors,
        "browser.preflight: an API that does not speak CORS and does not claim class browser",
        edit=unclaimed,
    ),
    legal(
        "its preflight allows every field",
        then(_cors("Allow-Headers", "*"), _cors("Allow-Methods", "*")),
        "browser.preflight-allows-payment: a wildcard without credentials",
    ),
    legal(
        "its preflight needs no methods that are simple",
        when(preflights, lambda a: a.drop("access-control-allow-methods")),
    ),
    legal("its preflight has no content", when(preflights, lambda answer: setattr(answer, "status", 204))),
    legal(
        "every field is exposed",
        _cors("Expose-Headers", "*"),
        "browser.exposes-offer: a wildcard without credentials",
    ),
    legal(
        "its offer is in the body, and nothing is exposed",
        lacks("access-control-expose-headers"),
        "browser.exposes-offer: an offer in the body, which needs no exposure",
        where=("/forecast",),
    ),
    legal(
        "it echoes any origin without credentials",
        _echoes_origin,
        "browser.no-credentials-for-any-origin: any origin echoed without credentials",
    ),
    legal("it admits origins by a list, and nobody says which", _by_list, edit=unclaimed),
    legal(
        "it admits origins by a list, and its profile names one",
        _by_list,
        edit=endpoints(headers={"Origin": _KNOWN}),
    ),
    legal(
        "a form is not answered with a page",
        when(browses, becomes(406, "JSON only")),
        where=("/report",),
    ),
    legal(
        "people are sent where they can pay, by an API that sells for credits",
        then(
            when(browses, lambda answer: (answer.become(303), answer.set("Location", "/pay"))[-1]),
            lacks("payment-required"),
        ),
        where=("/weather",),
        edit=_sold_for_credits,
    ),
    legal(
        "a private cache may keep it, and it varies",
        then(field("Cache-Control", "private, max-age=60"), field("Vary", "Origin, accept")),
    ),
)
