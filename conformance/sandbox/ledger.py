"""What accounts of the sandbox have: credits that calls take, and that a test fills up and takes back.

An account begins with what its name begins with, in every process anew.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

__all__ = ["PRICE", "Ledger", "routes"]

PRICE = 10
"""Credits that one translation takes."""
_OPENING = {"funded": 1_000_000, "partner": 1_000_000}
_LITTLE = 3
_MOST = 1_000
"""Credits that one top-up adds at most."""

Guard = Callable[[Request], Response | None]


@dataclass(slots=True, kw_only=True)
class Ledger:
    """Credits by account."""

    balances: dict[str, int] = field(default_factory=dict)

    def balance(self, account: str) -> int:
        """What ``account`` has."""
        return self.balances.get(account, _OPENING.get(account, _LITTLE))

    def reads(self, account: str) -> int:
        """What the probe says that ``account`` has."""
        return self.balance(account)

    async def take(self, account: str, price: int) -> bool:
        """Takes ``price`` if it is there, and says whether it was; nothing comes between the look and the taking."""
        if (held := self.balance(account)) < price:
            return False
        self.balances[account] = held - price
        return True

    def add(self, account: str, more: int) -> None:
        """Adds ``more`` to what ``account`` has."""
        self.balances[account] = self.balance(account) + more

    def reset(self, account: str) -> None:
        """Gives ``account`` what it began with."""
        self.balances.pop(account, None)


def routes(ledger: Ledger, guard: Guard) -> list[Route]:
    """The probe of a balance, and what a test does in the place of a purchase; ``guard`` turns strangers away."""

    def told(request: Request) -> Response:
        account = request.headers.get("sandbox-account", "")
        document = {"credits": ledger.reads(account), "unit": "credits"}
        return JSONResponse(document, headers={"Cache-Control": "no-store"})

    async def balance(request: Request) -> Response:
        return guard(request) or told(request)

    async def top_up(request: Request) -> Response:
        if refused := guard(request) or _nobody(request):
            return refused
        try:
            more = (await request.json())["credits"]
        except (ValueError, KeyError, TypeError):
            more = None
        if not isinstance(more, int) or isinstance(more, bool) or not 0 < more <= _MOST:
            return _said(400, f"credits is a whole number from 1 to {_MOST}")
        ledger.add(request.headers["sandbox-account"], more)
        return told(request)

    async def reset(request: Request) -> Response:
        if refused := guard(request) or _nobody(request):
            return refused
        ledger.reset(request.headers["sandbox-account"])
        return told(request)

    paths: dict[str, tuple[str, Callable[[Request], Awaitable[Response]]]] = {
        "/balance": ("GET", balance),
        "/test/top-up": ("POST", top_up),
        "/test/reset": ("POST", reset),
    }
    return [Route(path, endpoint, methods=[method]) for path, (method, endpoint) in paths.items()]


def _nobody(request: Request) -> Response | None:
    """The refusal of who says no name: what nobody in particular has stays as it is."""
    return None if request.headers.get("sandbox-account") else _said(400, "say in Sandbox-Account whose credits")


def _said(status: int, message: str) -> Response:
    return JSONResponse({"message": message}, status)
