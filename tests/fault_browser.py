"""Faults that only a page or a person in a browser meets."""

from typing import Any
from urllib.parse import unquote_plus

from altering import GET, V2, becomes, browses, field, lacks, preflights, when
from fault import fault
from serving import Answer, Asked, Change, then
from variant import endpoints

__all__ = ["BROWSER"]


def _cors(**values: str) -> Change:
    """Fields of CORS; a preflight that the sandbox refuses for its method is let through."""

    def change(asked: Asked, answer: Answer) -> None:
        if "origin" in asked.headers:
            if preflights(asked):
                answer.status, answer.body = 200, b""
            for name, value in values.items():
                answer.set(f"Access-Control-{name.replace('_', '-')}", value)

    return change


def _credentials_for_anyone(asked: Asked, answer: Answer) -> None:
    if origin := asked.headers.get("origin"):
        answer.set("Access-Control-Allow-Origin", origin)
        answer.set("Access-Control-Allow-Credentials", "true")


def _everything_with_credentials(answer: Answer) -> None:
    answer.set("Access-Control-Allow-Headers", "*")
    answer.set("Access-Control-Allow-Credentials", "true")


def _echoes_query(asked: Asked, answer: Answer) -> None:
    if answer.get("content-type").startswith("text/html"):
        query = unquote_plus(asked.query)
        answer.body = answer.body.replace(b"</html>", f"<p>You asked: {query}</p></html>".encode())


def _by_put(written: dict[str, Any]) -> None:
    written["endpoint"][3]["method"] = "PUT"


BROWSER = (
    fault("OPTIONS costs as well", when(preflights, lambda a: setattr(a, "status", 402)), "browser.preflight"),
    fault("OPTIONS is not allowed", when(preflights, becomes(405)), "browser.preflight"),
    fault(
        "the preflight does not know the payment field",
        when(preflights, lambda answer: answer.set("Access-Control-Allow-Headers", "content-type, authorization")),
        "browser.preflight-allows-payment",
    ),
    fault(
        "the preflight knows the payment field of version 1 only",
        when(preflights, lambda answer: answer.set("Access-Control-Allow-Headers", "content-type, x-payment")),
        "browser.preflight-allows-payment",
        at=V2,
    ),
    fault(
        "the preflight does not allow the method",
        _cors(Allow_Methods="GET, POST", Allow_Headers="*"),
        "browser.preflight-allows-payment",
        at=("report",),
        edit=_by_put,
    ),
    fault(
        "a wildcard stands beside credentials in the preflight",
        when(preflights, _everything_with_credentials),
        "browser.preflight-allows-payment",
    ),
    fault("scripts may not read the challenge", lacks("access-control-expose-headers"), "browser.exposes-offer", at=V2),
    fault("the 402 bypasses the CORS middleware", lacks("access-control-allow-origin"), "browser.refusal-names-origin"),
    fault(
        "the 402 names one origin of its own",
        field("Access-Control-Allow-Origin", "https://own.example"),
        "browser.refusal-names-origin",
    ),
    fault("credentials go to any origin", _credentials_for_anyone, "browser.no-credentials-for-any-origin"),
    fault(
        "browsers get a page without the challenge",
        when(browses, lambda answer: answer.drop("payment-required")),
        "browser.offer-for-browsers",
        at=V2,
    ),
    fault("browsers are sent away", when(browses, becomes(303)), "browser.offer-for-browsers", at=GET),
    fault(
        "a cache may show the page to machines",
        then(field("Cache-Control", "private, max-age=60"), field("Vary", "Origin")),
        "browser.vary",
    ),
    fault("the page repeats the query as markup", _echoes_query, "browser.markup-escaped"),
    fault(
        "who does not say what he accepts gets a page",
        when(
            lambda asked: "accept" not in asked.headers,
            lambda answer: answer.become(402, "<!doctype html><title>Pay</title>", "text/html"),
        ),
        "browser.offer-without-accept",
    ),
    fault(
        "who does not say what he accepts is turned away",
        when(lambda asked: "accept" not in asked.headers, becomes(406)),
        "browser.offer-without-accept",
    ),
    fault(
        "who does not say what he accepts is turned away, and its profile says it in lower case",
        when(lambda asked: "accept" not in asked.headers, becomes(406)),
        "browser.offer-without-accept",
        edit=endpoints(headers={"accept": "application/json"}),
    ),
    fault(
        "an origin that it knows is not admitted to the 402",
        field("Access-Control-Allow-Origin", "https://old.example"),
        "browser.refusal-names-origin",
        edit=endpoints(headers={"Origin": "https://app.example"}),
    ),
)
