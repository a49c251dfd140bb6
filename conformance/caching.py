"""What is asked where a cache may stand before the target: for no content, for what was kept, after somebody who paid."""

from email.utils import formatdate

from conformance.asking import Changes
from conformance.attempts import GOOD, drop_unpayable, label, versions
from conformance.exchange import Exchange, Response
from conformance.gather import paid, unpaid
from conformance.probe import Probe
from conformance.profile import Entitlement
from conformance.purse import Order

__all__ = ["AFTER", "AGAIN", "EMPTY", "HEAD", "KEPT", "NOT_MODIFIED", "after_identity", "beside_refusal", "contentless"]

EMPTY = "empty-handed"
"""The group of good payments in requests that are answered without content."""
HEAD = "HEAD"
NOT_MODIFIED = ("known by any tag", "known by its tag", "known since")
"""Those that say that the content is there already."""
AGAIN = ", again"
"""What stands behind the name of one whose payment is sent once more, for the content."""
KEPT = "kept refusal"
"""The group of good payments that are made where a first one was refused."""
AFTER = "after-identity-"
"""How the requests of nobody in particular are called that come after one of who has paid."""

_BEYOND = "bytes=1000000000000000-"
"""A range that no content reaches."""
_NO_TAG = '"conformance-has-no-such-tag"'
_ELSEWHERE = {"conformance": "beside"}


def contentless(probe: Probe) -> None:
    """Good payments, each in a request that may be answered without content; what was charged is asked for again."""
    endpoint = probe.endpoint
    if endpoint is None or endpoint.method != "GET" or endpoint.entitlement != Entitlement.ONCE:
        return
    for version in versions(probe):
        control = probe.pay(label(version, EMPTY, GOOD), Order(version=version))
        # What is paid first is charged before anybody knows what it comes to.
        if control.response is None or control.paid is None or control.paid.flow != "authorization":
            continue
        for name, changes in _without_content(control.response).items():
            here = label(version, EMPTY, name)
            asked = probe.pay(here, Order(version=version), raw=name == HEAD, **changes)
            drop_unpayable(probe, here, asked)
            if asked.response and asked.paid and asked.paid.charged:
                probe.repeat(f"{here}{AGAIN}", probe.made[here])


def _without_content(sold: Response) -> dict[str, Changes]:
    asks: dict[str, Changes] = {
        HEAD: Changes(method="HEAD"),
        "known by any tag": Changes(headers={"If-None-Match": "*"}),
        "known since": Changes(headers={"If-Modified-Since": sold.value("last-modified") or formatdate(usegmt=True)}),
        "another tag": Changes(headers={"If-Match": _NO_TAG}),
        "beyond its end": Changes(headers={"Range": _BEYOND}),
    }
    if tag := sold.value("etag"):
        asks["known by its tag"] = Changes(headers={"If-None-Match": tag})
    return asks


def beside_refusal(probe: Probe) -> None:
    """A good payment; where it is refused and nobody was asked about it, another, and one at an address of its own.

    That address differs by a query that means nothing: no cache has kept anything for it.
    """
    for version in versions(probe):
        if _refused_unasked(probe.pay(label(version, KEPT, GOOD), Order(version=version))):
            probe.pay(label(version, KEPT, "again"), Order(version=version))
            probe.pay(label(version, KEPT, "elsewhere"), Order(version=version), query=_ELSEWHERE)


def _refused_unasked(exchange: Exchange) -> bool:
    response = exchange.response
    return bool(response and response.status >= 400 and exchange.paid and not exchange.paid.calls)


def after_identity(probe: Probe) -> None:
    """The plain request right after that of who has paid by an identity, in the ways in which caches are asked."""
    probe.gather(unpaid)
    probe.gather(paid)
    endpoint = probe.endpoint
    if endpoint is None or not endpoint.paid_identity or endpoint.method != "GET":
        return
    sold = probe.ask(f"{AFTER}paid", identity=endpoint.paid_identity).response
    asks: dict[str, Changes] = {
        "plain": Changes(),
        "range": Changes(headers={"Range": "bytes=0-"}),
        "query": Changes(query=_ELSEWHERE),
    }
    if sold and (tag := sold.value("etag")):
        asks["conditional"] = Changes(headers={"If-None-Match": tag})
    for name, changes in asks.items():
        probe.ask(f"{AFTER}{name}", **changes)
