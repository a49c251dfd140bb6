"""Legal shapes of refusals: whatever an API calls its members, and wherever they stand."""

from typing import Any

from judging import FAMILIES
from market import ARCHIVE, MarketLegal, each, facts, legal, rewritten, rule, status
from serving import Answer, refusals, then
from variant import both

__all__ = ["SHAPE"]

_FOR = "jmespath: error.details[?contains(\"@type\", '{}')] | [0].{}"


def _nested(document: dict[str, Any]) -> dict[str, Any]:
    """The facts as Stripe nests them, under other names."""
    return {"error": {"type": document["family"], "id": document["code"], "text": document["message"]} | document}


def _listed(document: dict[str, Any]) -> dict[str, Any]:
    """One of two errors, the other of which is no matter of money."""
    return {"errors": [{"code": "notice", "detail": "A newer version is out."}, document]}


def _problem(document: dict[str, Any]) -> dict[str, Any]:
    """The facts as problem details (RFC 9457), without a code of their own."""
    kind = document.pop("code").replace("_", "-")
    title = document.pop("message")
    return {"type": f"https://api.example.com/problems/{kind}", "title": title, "status": 402} | document


def _rpc(document: dict[str, Any]) -> dict[str, Any]:
    """The facts as google.rpc.Status has them."""
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": document["code"].upper()}
    help_ = {"@type": "type.googleapis.com/google.rpc.Help", "links": [{"url": "https://shop.example.com/billing"}]}
    asked = {"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": document["request_id"]}
    told = {"code": 402, "message": document["message"], "status": "FAILED_PRECONDITION"}
    return {"error": told | {"details": [info, help_, asked]}}


def _graph(document: dict[str, Any]) -> dict[str, Any]:
    """The facts as GraphQL has them, where everything is a 200."""
    return {"data": None, "errors": [{"message": document["message"], "extensions": document}]}


def _in_fields(answer: Answer) -> None:
    """No body, and the facts in fields."""
    answer.body = b""
    answer.drop("content-type")
    answer.set("X-Reason", "SUBSCRIPTION_REQUIRED")
    answer.set("X-Request-Id", "req_7")
    answer.set("X-Message", "The archive is open to subscribers.")


def _in_text(answer: Answer) -> None:
    answer.body = "Für das Archiv ist ein Abo nötig.\n".encode()
    answer.set("Content-Type", "text/plain; charset=utf-8")
    answer.set("X-Reason", "subscription-required")
    answer.set("X-Request-Id", "7")


def _in_page(answer: Answer) -> None:
    answer.body = (
        b"<!doctype html><title>Plans</title><main data-code=subscription_required data-request=r7>"
        b"<h1>The archive is open to subscribers.</h1><a class=cta href=https://shop.example.com/plans>Subscribe</a>"
    )
    answer.set("Content-Type", "text/html; charset=utf-8")
    answer.drop("link")


def _under(prefix: str) -> dict[str, object]:
    """Where the sandbox's facts stand when its document is at ``prefix``."""
    names = ("code", "message", "request_id", "required", "balance", "shortfall", "limit", "used", "remaining", "unit")
    names += ("scope", "resets_at", "remedy", "reason", "amount", "currency", "interval", "decline_code", "category")
    return {name: f"{prefix}/{name}" for name in (*names, "payment_ref", "docs_url")}


SHAPE: tuple[MarketLegal, ...] = (
    legal(
        "everything is a 200 and says errors",
        then(rewritten(_graph), status(200)),
        edit=both(
            *(
                rule(family, status=[200], when={"jmespath": f"errors[0].extensions.family == '{family}'"})
                for family in FAMILIES
            ),
            facts(**_under("/errors/0/extensions")),
            facts(message="/errors/0/message"),
        ),
    ),
    legal(
        "its errors are nested and have names of their own",
        rewritten(_nested),
        *each("message: a message in another member than message"),
        edit=both(
            *(rule(family, when={"jmespath": f"error.type == '{family}'"}) for family in FAMILIES),
            facts(**_under("/error")),
            facts(code="/error/id", message="/error/text"),
        ),
    ),
    legal(
        "its errors are a list, and the first is another",
        rewritten(_listed),
        edit=both(
            *(rule(family, when={"jmespath": f"errors[?family=='{family}']"}) for family in FAMILIES),
            facts(**{name: f"jmespath: errors[?family] | [0].{name}" for name in _under("")}),
        ),
    ),
    legal(
        "it says problem details, and their type is the code",
        rewritten(_problem, "application/problem+json"),
        *each("code-is-a-word: an address as a code"),
        edit=facts(code="/type", message="/title"),
    ),
    legal(
        "it says what google.rpc.Status says",
        rewritten(_rpc),
        at=ARCHIVE,
        edit=both(
            rule("paywall", when={"jmespath": "error.status == 'FAILED_PRECONDITION'"}),
            facts("paywall", amount=None, currency=None, interval=None),
            facts(
                "paywall",
                code=_FOR.format("ErrorInfo", "reason"),
                reason={
                    "map": _FOR.format("ErrorInfo", "reason"),
                    "to": {"SUBSCRIPTION_REQUIRED": "subscription_required"},
                },
                message="/error/message",
                request_id=_FOR.format("RequestInfo", "requestId"),
                remedy=_FOR.format("Help", "links[0].url"),
            ),
        ),
    ),
    legal(
        "it says everything in fields",
        refusals(_in_fields),
        at=ARCHIVE,
        edit=both(
            rule("paywall", when={"header": {"X-Reason": "SUBSCRIPTION_REQUIRED"}}),
            facts("paywall", code="header: X-Reason", request_id="header: X-Request-Id", message="header: X-Message"),
        ),
    ),
    legal(
        "it says everything in a text",
        refusals(_in_text),
        at=ARCHIVE,
        edit=both(
            rule("paywall", when={"text": "Archiv"}),
            facts("paywall", code="header: X-Reason", request_id="header: X-Request-Id", message="text: .+"),
        ),
    ),
    legal(
        "it says everything in a page",
        refusals(_in_page),
        at=ARCHIVE,
        edit=both(
            rule("paywall", when={"header": {"Content-Type": "text/html; charset=utf-8"}}),
            facts(
                "paywall",
                code="css: main @data-code",
                request_id="css: main @data-request",
                message="css: h1",
                remedy="css: a.cta @href",
            ),
        ),
    ),
)
