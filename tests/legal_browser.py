"""Legal variants of what browsers see of a refusal."""

from typing import Any

from altering import field, lacks, preflights, when
from serving import Answer, Asked, Change, then
from variant import Legal, legal

__all__ = ["BROWSER"]


def _unclaimed(written: dict[str, Any]) -> None:
    del written["claims"]


def _without_cors(asked: Asked, answer: Answer) -> None:
    answer.headers = [(k, v) for k, v in answer.headers if not k.lower().startswith("access-control-")]
    if preflights(asked):
        answer.become(405, "Method Not Allowed")
        answer.set("Allow", "GET, HEAD")


def _echoes_origin(asked: Asked, answer: Answer) -> None:
    if origin := asked.headers.get("origin"):
        answer.set("Access-Control-Allow-Origin", origin)
        answer.set("Vary", "Accept, Origin")


def _cors(name: str, value: str) -> Change:
    return when(lambda asked: "origin" in asked.headers, lambda answer: answer.set(f"Access-Control-{name}", value))


BROWSER: tuple[Legal, ...] = (
    legal(
        "it does not speak CORS and claims nothing",
        _without_cors,
        "browser.preflight: an API that does not speak CORS and does not claim class browser",
        edit=_unclaimed,
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
    legal(
        "a private cache may keep it, and it varies",
        then(field("Cache-Control", "private, max-age=60"), field("Vary", "Origin, accept")),
    ),
)
