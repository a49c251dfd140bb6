"""What a payment opened: the words in which checks of payments are written. No check stands here."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from conformance.attempts import GOOD, UNSIGNED, faults, kept_of, label
from conformance.evidence import Evidence
from conformance.exchange import Exchange, Response
from conformance.gather import spoken
from conformance.marks import holds, marked
from conformance.outcome import Inapplicable, Unanswered, Untestable, Violation
from conformance.paid import FacilitatorCall, Paid
from conformance.profile import FacilitatorMode, Marker
from conformance.protocols import x402
from conformance.protocols.x402.receipt import RECEIPT
from conformance.protocols.x402.recipes import sentence

__all__ = [
    "PLAIN_NO",
    "attempts",
    "charges_nothing",
    "controls",
    "doubt",
    "good_payment",
    "gratis",
    "is_gratis",
    "met",
    "opened",
    "paid_for",
    "refuses",
    "scripted",
    "served",
    "settled",
    "versions",
]

PLAIN_NO = faults("no", "verify/no", "settle/no", "verify/no-with-400", "settle/no-with-400")
"""A gather: payments to which the facilitator says no, in so many words."""

_CHARGED = "x402.guard.good-payment"


def scripted(evidence: Evidence) -> bool:
    """Whether the facilitator of the run is ours."""
    return evidence.profile.facilitator.mode is FacilitatorMode.SCRIPTED


def versions(evidence: Evidence) -> tuple[int, ...]:
    """The versions in which the endpoint is paid."""
    return spoken(evidence.endpoint.versions, evidence.response("unpaid"))


def _marker(evidence: Evidence) -> Marker:
    if (marker := evidence.endpoint.marker) is None:
        reason = "the profile names no marker"
        raise Untestable(reason)
    return marker


def served(evidence: Evidence, here: str) -> str:
    """Where the marker stands in the answer called ``here``; empty when it does not. Unanswered without an answer.

    An answer that holds the body of the good payment beside it holds what is sold, also where the marker is elsewhere.
    """
    response = evidence.response(here)
    return marked(response, _marker(evidence)) or ("the body" if _same_body(evidence, here, response) else "")


def _same_body(evidence: Evidence, here: str, response: Response) -> bool:
    control = f"{here.partition(': ')[0]}: {GOOD}"
    kept = evidence.exchanges.get(control)
    if here == control or kept is None or kept.response is None or not marked(kept.response, _marker(evidence)):
        return False
    plain = evidence.response("unpaid")
    return not holds(plain, kept.response) and holds(response, kept.response)


_LATER = 202


def doubt(evidence: Evidence, here: str) -> None:
    """Raises Untestable for an answer of success without the marker, to a payment that ought to have opened nothing."""
    response = evidence.response(here)
    kept = evidence.exchanges.get(f"{here.partition(': ')[0]}: {GOOD}")
    # Accepted for later is no success yet, unless that is how this target serves.
    later = response.status == _LATER and not (kept and kept.response and kept.response.status == _LATER)
    if 200 <= response.status < 300 and not later and not served(evidence, here):
        reason = f"a payment that ought to open nothing is answered {response.shown()}, without the marker"
        raise Untestable(f"{reason} {_marker(evidence).value!r}: what it holds in its place may be what is sold")


def paid_for(exchange: Exchange) -> Paid:
    """The payment of an exchange that was made with one."""
    if exchange.paid is None:
        reason = "the request carried no payment of ours"
        raise Unanswered(reason)
    return exchange.paid


def controls(evidence: Evidence, group: str) -> Iterator[tuple[int, Exchange]]:
    """The good payment of a group in each version, once it was served; Untestable, said last, where it was not."""
    doubts: list[Untestable] = []
    for version in versions(evidence):
        try:
            yield version, good_payment(evidence, version, group)
        except Untestable as doubt:
            doubts.append(doubt)
    if doubts:
        raise doubts[0]


def attempts(evidence: Evidence, group: str) -> Iterator[tuple[int, str, Exchange]]:
    """The attempts of a group by version and name, its good payment left out, in the versions in which that is served.

    At the end: Untestable where a good payment was not served in one of the versions, Inapplicable where there was
    nothing to attempt.
    """
    found = False
    doubts: list[Untestable] = []
    for version in versions(evidence):
        try:
            good_payment(evidence, version, group)
        except Untestable as doubt:
            doubts.append(doubt)
            continue
        for of, name, exchange in kept_of(evidence.exchanges, group):
            if of == version and name not in {GOOD, UNSIGNED}:
                found = True
                yield of, name, exchange
    if doubts:
        raise doubts[0]
    if not found:
        reason = "no payment for this endpoint has what is to be changed here"
        raise Inapplicable(reason)


def good_payment(evidence: Evidence, version: int, group: str) -> Exchange:
    """The good payment of a group; Untestable, with the likeliest reason, when it was not served."""
    here = label(version, group, GOOD)
    exchange = evidence.exchange(here)
    if exchange.failure and exchange.failure.kind == "unpayable":
        raise Untestable(f"version {version}: {exchange.failure.detail}")
    response, marker = evidence.response(here), _marker(evidence)
    if where := marked(evidence.response("unpaid"), marker):
        raise Untestable(f"the marker {marker.value!r} stands in {where} of the unpaid answer too: it proves nothing")
    if not marked(response, marker):
        raise _unserved(evidence, version, exchange, response)
    if not marked(_without_receipt(response), marker):
        raise Untestable(f"the marker {marker.value!r} stands in the receipt alone: it says nothing of what is served")
    unsigned = evidence.exchanges.get(label(version, group, UNSIGNED))
    if unsigned and unsigned.response and marked(unsigned.response, marker) and group != "signature":
        raise Untestable("a payment that nobody signed is served as well: this facilitator says yes to everything")
    return exchange


def _without_receipt(response: Response) -> Response:
    """The answer without the fields that come with a payment, whatever is served."""
    own = {x402.CHALLENGE.lower(), *(name.lower() for name in RECEIPT.values())}
    return replace(response, headers=tuple(field for field in response.headers if field[0].lower() not in own))


def _unserved(evidence: Evidence, version: int, exchange: Exchange, response: Response) -> Untestable:
    what = f"a good payment of version {version} was answered {response.shown()}"
    if not scripted(evidence):
        return Untestable(f"{what}: nothing can be said of bad ones")
    paid = paid_for(exchange)
    if not paid.calls:
        return Untestable(f"{what}, and our facilitator was not asked: is it the one that the target uses?")
    if paid.charged:
        if 200 <= response.status < 400:
            return Untestable(f"{what} and settled, without the marker: it is not in the paid answer, or needs more")
        return Untestable(f"{what} although it was settled", cause=_CHARGED if response.status in TURNED_AWAY else "")
    refused = next((call for call in paid.calls if not call.good), None)
    if refused:
        return Untestable(
            f"{what}: it was not good to the facilitator ({refused.shown()}), by the terms that it was given"
        )
    return Untestable(f"{what}, after {paid.story}: nothing can be said of bad ones")


TURNED_AWAY = {401, 402, 403}
"""What nobody is answered who has just paid."""


def refuses(evidence: Evidence, group: str, *, legal: Callable[[str, Exchange], bool] = lambda *_: False) -> None:
    """Holds when no attempt of a group opened anything, but for those that are ``legal`` by name and exchange."""
    refused = []
    for version, name, exchange in attempts(evidence, group):
        here = label(version, group, name)
        if legal(name, exchange):
            continue
        if where := served(evidence, here):
            raise opened(evidence, here, exchange, where)
        refused.append(here)
    for here in refused:
        doubt(evidence, here)


def opened(evidence: Evidence, here: str, exchange: Exchange, where: str) -> Violation:
    """That a payment opened what it ought not to."""
    paid = paid_for(exchange)
    told = [sentence(paid.recipe)] if paid.recipe else []
    told += [f"The facilitator's fault is {', '.join(paid.faults)}."] if paid.faults else []
    told += [f"It is written in other bytes: {', '.join(paid.twins)}."] if paid.twins else []
    return Violation(
        expected="an answer without what is paid for",
        received=f"{evidence.response(here).shown()} with the marker, in {where}",
        at=f"version {paid.version}, after {paid.story}",
        exchange=here,
        reason=" ".join(told),
    )


def charges_nothing(paid: Paid) -> bool:
    """Whether a payment of scheme upto was verified and nothing was settled: its charge may be 0."""
    verified = any(call.confirmed for call in paid.asked("verify"))
    return paid.scheme == "upto" and verified and not list(paid.asked("settle"))


def gratis(paid: Paid) -> int:
    """How many uses of a payment may have cost 0: of scheme upto, verified, and settled for 0 if at all."""
    if paid.scheme != "upto":
        return 0
    verified = sum(call.confirmed or (call.good and call.fault == "forgets") for call in paid.asked("verify"))
    return max(verified - len(_charges(paid)), 0)


def is_gratis(paid: Paid) -> bool:
    """Whether a use cost 0 for sure: it leaves the payment as it was."""
    return gratis(paid) > 0 and not _charges(paid)


def _charges(paid: Paid) -> list[FacilitatorCall]:
    return [call for call in paid.asked("settle") if call.requirements.get("amount") != "0"]


def met(evidence: Evidence, group: str, *names: str) -> Iterator[tuple[str, Exchange, Paid]]:
    """The attempts, of these names if there are any, whose fault the target met, or that asked the facilitator nothing.

    Inapplicable where the target asked it nothing to which it could have answered so.
    """
    kinds = set()
    found = False
    for version, name, exchange in attempts(evidence, group):
        if names and name not in names:
            continue
        paid = paid_for(exchange)
        kinds |= {fault.partition("/")[0] for fault in paid.faults}
        if not paid.calls or any(f"{call.kind}/{call.fault}" in paid.faults for call in paid.calls):
            found = True
            yield label(version, group, name), exchange, paid
    if not found:
        reason = f"the target never asked the facilitator to {' or to '.join(sorted(kinds))}"
        raise Inapplicable(reason)


def settled(evidence: Evidence) -> Iterator[tuple[int, Exchange]]:
    """The good payments that were served and settled; Untestable where one was served without."""
    found = False
    for version, exchange in controls(evidence, "good"):
        if paid_for(exchange).settled:
            found = True
            yield version, exchange
        elif not charges_nothing(paid_for(exchange)):
            reason = f"version {version}: a good payment is served without a settlement"
            raise Untestable(reason, cause="x402.settlement.served-is-settled")
    if not found:
        reason = "nothing is charged here (scheme upto), so that nothing is settled"
        raise Inapplicable(reason)
