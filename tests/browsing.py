"""Pages and scripts in a real browser: what is wrong with a shop, and what a browser says of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from serving import Answer
from settling import served
from shop import Brought

__all__ = ["ACTIONS", "INJECTIONS", "LEGAL", "SCRIPTS", "UNSEEN", "Browsed"]

_OFFER = "browser.script-reads-offer"
_PAYS = "browser.script-pays"
_RECEIPT = "browser.script-reads-receipt"
_INJECTED = "browser.nothing-injected-runs"
_WORKS = "browser.page-action-works"
_KEYBOARD = "browser.page-action-by-keyboard"

Change = Callable[[Brought, Answer], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Browsed:
    """One shop, and what a browser turns red."""

    name: str
    change: Change
    only: tuple[str, ...]
    """What it is asked."""
    red: frozenset[str] = frozenset()
    untestable: frozenset[str] = frozenset()
    allows: tuple[str, ...] = ()
    """What the catalogue says of it: requirement id, colon, one of its ``allowed``."""
    goods: tuple[str, ...] = ("/weather",)


def _preflights(alter: Callable[[Answer], object]) -> Change:
    return lambda brought, answer: alter(answer) if brought.get("access-control-request-method") else None


def _refusals(alter: Callable[[Answer], object]) -> Change:
    return lambda _, answer: alter(answer) if answer.status == 402 else None


def _sold(alter: Callable[[Answer], object]) -> Change:
    return lambda _, answer: alter(answer) if served(answer) else None


def _cors(name: str, value: str) -> Callable[[Answer], None]:
    return lambda answer: answer.set(f"Access-Control-{name}", value)


def _script(name: str, change: Change, *red: str, **more: Any) -> Browsed:
    untestable = {_RECEIPT} if _PAYS in red else set()
    return Browsed(
        name=name,
        change=change,
        only=("browser.script",),
        red=frozenset(red),
        untestable=frozenset(untestable),
        **more,
    )


def page(text: str) -> Change:
    """A page of the shop's own, with ``text`` in it."""
    return _page(lambda _: text)


def _page(write: Callable[[str], str], **fields: str) -> Change:
    """A page of the shop's own; ``write`` is given the query, decoded."""

    def change(brought: Brought, answer: Answer) -> None:
        if answer.get("content-type").startswith("text/html") and answer.status == 402:
            answer.body = (
                f"<!doctype html><html lang=en><title>Pay</title>{write(unquote_plus(brought.query))}".encode()
            )
            for name, value in fields.items():
                answer.set(name.replace("_", "-"), value)

    return change


def _injected(name: str, write: Callable[[str], str], *red: str, **fields: str) -> Browsed:
    return Browsed(name=name, change=_page(write, **fields), only=(_INJECTED,), red=frozenset(red))


def _acts(name: str, page: str, *red: str, untestable: tuple[str, ...] = (), **more: Any) -> Browsed:
    return Browsed(
        name=name,
        change=_page(lambda _: page),
        only=("browser.page-",),
        red=frozenset(red),
        untestable=frozenset(untestable),
        **more,
    )


SCRIPTS = (
    _script("a preflight costs as well", _preflights(lambda answer: setattr(answer, "status", 402)), _PAYS),
    _script(
        "a preflight does not know the field of version 2",
        _preflights(_cors("Allow-Headers", "content-type, x-payment")),
        _PAYS,
    ),
    _script("a preflight admits no origin", _preflights(lambda a: a.drop("access-control-allow-origin")), _PAYS),
    _script("the refusal admits no origin", _refusals(lambda a: a.drop("access-control-allow-origin")), _OFFER),
    _script("the refusal admits every origin twice", _refusals(_cors("Allow-Origin", "*, *")), _OFFER),
    _script("the offer is not exposed", _refusals(_cors("Expose-Headers", "payment-response")), _OFFER),
    _script("the receipt is not exposed", _sold(_cors("Expose-Headers", "payment-required")), _RECEIPT),
    _script("what was bought admits no origin", _sold(lambda a: a.drop("access-control-allow-origin")), _PAYS),
    _script(
        "who pays from another origin is sent away",
        lambda brought, answer: answer.become(403, "no") if brought.get("origin") and brought.value else None,
        _PAYS,
    ),
)

INJECTIONS = (
    _injected("the page repeats the query", lambda query: f"<p>{query}</p>", _INJECTED),
    _injected("the page has the query in a field", lambda query: f'<input value="{query}">', _INJECTED),
    _injected(
        "the page has the query in its data, of which quotes alone are escaped",
        lambda query: f"<script>const asked = {query!r}.length</script>".replace("\\'", "'"),
        _INJECTED,
    ),
    _injected(
        "the page leads back to what the query says",
        lambda query: f'<a href="{query.partition("link=")[2].partition("&")[0]}">Back</a>',
        _INJECTED,
    ),
    _injected(
        "the page writes its own address into itself",
        lambda _: "<p id=at></p><script>at.innerHTML = decodeURIComponent(location.search)</script>",
        _INJECTED,
    ),
)

_HIDDEN = "<a href=/pay style='display:none'>Pay now</a>"
ACTIONS = (
    _acts("the page has nothing to follow", "<h1>Pay first</h1>", _WORKS, untestable=(_KEYBOARD,)),
    _acts("nobody sees what is to be followed", _HIDDEN, _WORKS, untestable=(_KEYBOARD,)),
    _acts("a link has no text", "<a href=/pay><svg width=9 height=9></svg></a>", _WORKS, untestable=(_KEYBOARD,)),
    _acts("a button is dead", "<button>Pay now</button>", _WORKS),
    _acts("a button throws", "<button onclick='ethereum.request()'>Connect wallet to pay</button>", _WORKS),
    _acts("a link leads nowhere", "<a href=/nowhere>Pay now</a>", _WORKS),
    _acts(
        "a mouse alone reaches it",
        "<p id=pay role=button onclick='this.append(1)'>Pay now</p>",
        _KEYBOARD,
    ),
    _acts("the keyboard goes past it", "<a href=/pay tabindex=-1>Pay now</a><a href=/health>Home</a>", _KEYBOARD),
)

UNSEEN = (
    _acts(
        "the page has its script from somebody else",
        "<button id=pay>Pay now</button><script src=http://cdn.example/pay.js></script>",
        untestable=(_WORKS,),
    ),
    _acts("what is to be followed is in a frame", "<iframe src=/health></iframe>", untestable=(_WORKS, _KEYBOARD)),
    _acts("it is to be used later", "<button disabled>Pay now</button>", untestable=(_WORKS, _KEYBOARD)),
    _acts(
        "the page counts the seconds, and a button changes it",
        "<p id=at>0</p><button onclick='this.after(1)'>Pay now</button><script>setInterval(() => at.textContent++, 20)</script>",
        untestable=(_WORKS,),
    ),
)
"""What a browser cannot tell, and does not say to be wrong."""

LEGAL = (
    Browsed(
        name="the offer is in the body, and nothing is exposed",
        change=_refusals(lambda a: a.drop("access-control-expose-headers")),
        only=(_OFFER,),
        goods=("/forecast",),
        allows=(f"{_OFFER}: an offer in the body, which needs no exposure",),
    ),
    Browsed(
        name="the query is there as text",
        change=_page(lambda query: f"<p>{query.replace('&', '&amp;').replace('<', '&lt;')}</p>"),
        only=(_INJECTED,),
        allows=(f"{_INJECTED}: the query as text",),
    ),
    Browsed(
        name="a policy keeps what is repeated from running",
        change=_page(lambda query: f"<p>{query}</p>", Content_Security_Policy="script-src 'none'"),
        only=(_INJECTED,),
        allows=(f"{_INJECTED}: markup that a content security policy keeps from running",),
    ),
    _acts("a link leads to the target", "<a href=/pay>Pay now</a>", allows=(f"{_WORKS}: a link",)),
    _acts("a link leads to somebody else", "<a href=http://pay.example/>Pay now</a>"),
    _acts(
        "a form is sent",
        "<form action=/pay><input name=mail><button>Pay</button></form>",
        allows=(f"{_WORKS}: a form",),
    ),
    _acts(
        "a script shows how to pay",
        "<button onclick='this.after(\"Send 3 USDC\")'>Pay now</button>",
        allows=(f"{_WORKS}: a button that a script listens to",),
    ),
    _acts(
        "a wallet is connected by a script, below a link for help",
        "<a href=/nowhere>Get some here.</a><button onclick='this.after(1)'>Connect wallet</button>",
    ),
    _acts("a wallet is called", "<a href=lightning:lnbc1>Pay now</a>"),
    _acts("a form asks for what is missing", "<form action=/pay><input required><button>Subscribe</button></form>"),
    _acts(
        "a shadow has it",
        "<pay-now></pay-now><script>document.querySelector('pay-now').attachShadow({mode: 'open'}).innerHTML = "
        "'<a href=/pay>Pay</a>'</script>",
    ),
    _acts("a script asks in a dialog", "<button onclick='confirm(3)'>Pay now</button>"),
    _acts(
        "a page of a script alone",
        "<script>addEventListener('load', () => setTimeout(() => document.body.innerHTML = '<a href=/pay>Pay</a>', 50))</script>",
    ),
    _acts(
        "something else comes first",
        "<a href=/health>Home</a><nav><a href=/robots.txt>Robots</a></nav><a href=/pay>Pay</a>",
    ),
)
