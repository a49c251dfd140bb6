"""What the sandbox refuses without any protocol: a paywall, a balance, a quota, a card; and a story for everybody.

An account is a name in ``Sandbox-Account``. There are no passwords: there is nothing to steal.
"""

import datetime as dt
import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from conformance.sandbox import ledger
from conformance.sandbox.keys import Keys
from conformance.sandbox.ledger import PRICE, Ledger

__all__ = ["KEYED", "routes", "turned_away"]

Endpoint = Callable[[Request], Awaitable[Response]]

_CONTENT: Mapping[str, Mapping[str, object]] = {
    "archive": {"year": 1987, "headline": "stormy"},
    "translate": {"text": "bonjour"},
    "lookup": {"street": "Rue de la Paix"},
    "charges": {"status": "captured"},
}
_RICH = {"funded", "partner"}
_OPENS = {"archive": {"subscriber"}, "lookup": _RICH, "charges": _RICH}
_KNOWN = {"subscriber", "funded", "partner", "broke"}
KEYED = ("translate", "charges")
"""What is asked by POST, and may be asked under an idempotency key."""
_STORY = "Rain came at four, and the market emptied."
_REST = "Only the baker stayed, and what he saw is told to subscribers."


def routes(public_url: str, handled: dict[str, int], accounts: Ledger) -> list[Route]:
    """The routes that know accounts, what they have in ``accounts``, and the story that robots may read.

    What ``KEYED`` serves is counted in ``handled``.
    """
    keys = Keys()
    made: Mapping[str, Endpoint] = {
        "archive": _opened("archive", lambda request: _paywall(request, public_url)),
        "lookup": _opened("lookup", lambda _: _quota()),
        "translate": _counted("translate", _translated(accounts, public_url), handled),
        "charges": _counted("charges", _opened("charges", lambda _: _declined(public_url)), handled),
    }
    return [
        *(
            Route(f"/{name}", _guarded(_whole(make)), methods=["GET"])
            for name, make in made.items()
            if name not in KEYED
        ),
        *(
            Route(f"/{name}", _keyed(name, _whole(make), keys), methods=["POST"])
            for name, make in made.items()
            if name in KEYED
        ),
        *ledger.routes(accounts, turned_away),
        *(Route("/stories/rain", _story), Route("/plans", _plans), Route("/sitemap.xml", _map(public_url))),
    ]


def turned_away(request: Request) -> Response | None:
    """The refusal of an account that does not exist, or that nobody may use: neither is a matter of money."""
    account = request.headers.get("sandbox-account", "")
    if account == "suspended":
        return _said(403, {"code": "account_suspended", "message": "Nobody may use this account."})
    if account and account not in _KNOWN:
        challenge = {"WWW-Authenticate": 'Account realm="sandbox"'}
        return _said(401, {"code": "unknown_account", "message": "There is no such account."}, challenge)
    return None


def _guarded(make: Endpoint) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return turned_away(request) or await make(request)

    return endpoint


def _keyed(name: str, make: Endpoint, keys: Keys) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        # Who it is comes before any key: what was kept is nobody else's.
        return turned_away(request) or await keys.once(request, lambda: make(request), keeps=keeps)

    def keeps(answer: Response) -> bool:
        return answer.status_code == 200 or (answer.status_code == 402 and name == "charges")

    return endpoint


def _whole(make: Endpoint) -> Endpoint:
    """The endpoint, as long as its provider of payments answers."""

    async def endpoint(request: Request) -> Response:
        if "outage" in request.query_params:
            return _said(503, {"code": "provider_down", "message": "The provider of payments does not answer."})
        return await make(request)

    return endpoint


def _counted(name: str, make: Endpoint, handled: dict[str, int]) -> Endpoint:
    """The endpoint, each of whose successes is counted."""

    async def endpoint(request: Request) -> Response:
        answer = await make(request)
        handled[name] += answer.status_code == 200
        return answer

    return endpoint


def _opened(name: str, refuse: Callable[[Request], Response]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        if request.headers.get("sandbox-account") in _OPENS[name]:
            return _served(name, {})
        return refuse(request)

    return endpoint


def _translated(accounts: Ledger, public_url: str) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        account = request.headers.get("sandbox-account", "")
        if await accounts.take(account, PRICE):
            return _served("translate", {"X-Current-Balance": str(accounts.balance(account))})
        return _balance(public_url, accounts.balance(account))

    return endpoint


def _served(name: str, headers: Mapping[str, str]) -> Response:
    own = {"id": f"{name}_{uuid.uuid4().hex[:16]}"} if name in KEYED else {}
    return JSONResponse({**own, **_CONTENT[name]}, headers={"Cache-Control": "private, no-store", **headers})


def _said(status: int, document: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    document = {**document, "request_id": f"req_{uuid.uuid4().hex[:16]}"}
    return JSONResponse(document, status, {"Cache-Control": "no-store", **(headers or {})})


def _paywall(request: Request, public_url: str) -> Response:
    link = {"Link": f'<{public_url}/plans>; rel="payment"', "Vary": "Accept"}
    if "text/html" in request.headers.get("accept", ""):
        page = (
            "<!doctype html><html lang=en><title>The archive is for subscribers</title><h1>The archive</h1>"
            "<p>It is open to subscribers, from EUR 4.90 a month.</p><p><a href=/plans>Subscribe</a></p></html>"
        )
        return HTMLResponse(page, 402, {"Cache-Control": "no-store"} | link)
    document = {
        "family": "paywall",
        "code": "subscription_required",
        "reason": "subscription_required",
        "message": "The archive is open to subscribers.",
        "remedy": f"{public_url}/plans",
        "amount": 490,
        "currency": "EUR",
        "interval": "month",
    }
    return _said(402, document, link)


def _balance(public_url: str, held: int) -> Response:
    document = {
        "family": "credits",
        "code": "insufficient_credits",
        "message": f"A translation takes {PRICE} credits, and {held} are left.",
        "required": PRICE,
        "balance": held,
        "shortfall": PRICE - held,
        "unit": "credits",
        "scope": "account",
        "remedy": f"{public_url}/plans",
    }
    return _said(402, document, {"X-Credits-Required": str(PRICE), "X-Current-Balance": str(held)})


def _quota() -> Response:
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    reset = now + dt.timedelta(hours=1)
    document = {
        "family": "credits",
        "code": "quota_exceeded",
        "message": "The lookups of this hour are used up.",
        "limit": 100,
        "used": 100,
        "remaining": 0,
        "unit": "lookups",
        "scope": "account",
        "resets_at": reset.isoformat().replace("+00:00", "Z"),
    }
    return _said(402, document, {"Retry-After": "3600", "X-RateLimit-Remaining": "0"})


def _declined(public_url: str) -> Response:
    document = {
        "family": "decline",
        "code": "card_declined",
        "decline_code": "insufficient_funds",
        "category": "soft",
        "message": "Your card has insufficient funds.",
        "payment_ref": "py_1",
        "amount": 1000,
        "currency": "EUR",
        "docs_url": "https://example.com/declines",
    }
    return _said(402, document, {"Link": f'<{public_url}/plans>; rel="help"'})


async def _story(request: Request) -> Response:
    told = _STORY if request.headers.get("sandbox-account") != "subscriber" else f"{_STORY} {_REST}"
    marked = {
        "@context": "https://schema.org",
        "@type": "Article",
        "headline": "Rain",
        "isAccessibleForFree": False,
        "hasPart": {"@type": "WebPageElement", "isAccessibleForFree": False, "cssSelector": ".rest"},
    }
    page = (
        f'<!doctype html><html lang=en><title>Rain</title><script type="application/ld+json">{json.dumps(marked)}</script>'
        f"<h1>Rain</h1><p class=rest>{told}</p><p><a href=/plans>Read on as a subscriber</a></p></html>"
    )
    return HTMLResponse(page)


def _map(public_url: str) -> Endpoint:
    async def sitemap(_: Request) -> Response:
        listed = "".join(f"<url><loc>{public_url}{path}</loc></url>" for path in ("/stories/rain", "/plans"))
        urlset = f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{listed}</urlset>'
        return Response(f'<?xml version="1.0" encoding="UTF-8"?>{urlset}', media_type="application/xml")

    return sitemap


async def _plans(_: Request) -> Response:
    return HTMLResponse("<!doctype html><html lang=en><title>Plans</title><h1>Plans</h1></html>")
