"""What is asked of a real browser: a script of another origin that reads and pays, and a person at a page."""

import re
from collections.abc import Sequence
from itertools import chain

from conformance.attempts import GOOD, label, versions
from conformance.gather import as_browser, buys, origin, unpaid
from conformance.page import HTML
from conformance.probe import Hand, Probe
from conformance.purse import Order
from conformance.seen import Stop
from conformance.sight import RAN
from conformance.window import Window

__all__ = [
    "CANARIES",
    "INJECTED",
    "OFFER",
    "PAGE",
    "SCRIPT",
    "at_page",
    "injected",
    "offer_by_script",
    "paid_by_script",
]

OFFER = "offer by script"
SCRIPT = "by script"
"""The group of good payments, of which one is made by a script of another origin."""
PAGE = "page in a browser"
INJECTED = "page with canaries"

CANARIES = {
    "element": f"<img\tsrc=x:\tonerror={RAN}('element')>",
    "attribute": f"\"\tautofocus\ttabindex=0\tonfocus=\"{RAN}('attribute')//",
    "quoted": f"'\tautofocus\ttabindex=0\tonfocus='{RAN}(`quoted`)//",
    "script": f"</script><script>{RAN}('script')</script>",
    "outside": f"--></title></textarea></style><svg\tonload={RAN}('outside')>",
    "string": f'\';{RAN}("string");//',
    "text": f'";{RAN}(`text`);//',
    "template": f"${{{RAN}('template')}}",
    "link": f"javascript:{RAN}('link')",
}
"""What would run if a page repeated it somewhere: by name, each with a call that says which it was.

With tabs for white space: what is written as a plus in a query is none to a script that reads its own address. What
follows in the same query does not spoil it.
"""


def offer_by_script(probe: Probe) -> None:
    """The plain request as a script of another origin sends it."""
    if probe.endpoint and (window := probe.window):
        probe.ask(OFFER, by=_script(window, origin(probe.endpoint)), without=_NOT_SAID)


_NOT_SAID = ("user-agent", "accept-encoding", "origin")
"""What a browser says itself."""


def paid_by_script(probe: Probe) -> None:
    """A good payment, and then one that is sent by a script of another origin, for each version that is spoken."""
    probe.gather(unpaid)
    endpoint, window = probe.endpoint, probe.window
    if endpoint is None or endpoint.protocol is None or window is None:
        return
    for version in versions(probe):
        control = probe.pay(label(version, SCRIPT, GOOD), Order(version=version))
        if control.response:
            hand = _script(window, origin(endpoint))
            probe.pay(label(version, SCRIPT, "across"), Order(version=version), by=hand, without=_NOT_SAID)


def _script(window: Window, origin: str) -> Hand:
    return lambda request: window.fetched(origin, request)


def at_page(probe: Probe) -> None:
    """The page that refuses a person, in a browser, and what comes of following what a person would."""
    if window := _shows_page(probe):
        probe.ask(PAGE, by=lambda request: window.visited(request, _chosen))


def injected(probe: Probe) -> None:
    """The same page, asked for with canaries in its query."""
    if window := _shows_page(probe):
        query = {f"conformance-{name}": canary for name, canary in CANARIES.items()}
        probe.ask(INJECTED, by=window.visited, query=query)


def _shows_page(probe: Probe) -> Window | None:
    """The browser, where the plain client that says it is one gets a page."""
    probe.gather(as_browser)
    answer = probe.kept["browser"].response
    shown = answer is not None and answer.media_type() in HTML
    return probe.window if shown and probe.endpoint and probe.endpoint.method == "GET" else None


def _chosen(stops: Sequence[Stop]) -> int:
    """What a person who wants to pay would follow: what speaks of it, else of a wallet, else the first with a text."""
    named = [at for at, stop in enumerate(stops) if stop.text]
    buying = (at for at in named if buys(stops[at].text, stops[at].target))
    wallets = (at for at in named if _WALLET.search(stops[at].text))
    return next(chain(buying, wallets, named), -1)


# The pages that come with x402 have a link to free money before the button that pays.
_WALLET = re.compile(r"(?i)\bwallet|\bconnect\b|\bsign\b")
