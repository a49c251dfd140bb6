"""Payments with an identifier: the words in which checks of them are written. No check stands here."""

from collections.abc import Iterator

from conformance.attempts import GOOD, kept_of
from conformance.checks.opening import charges_nothing, good_payment, paid_for, versions
from conformance.evidence import Evidence
from conformance.exchange import Exchange, Response
from conformance.identifiers import GROUP, named
from conformance.outcome import Inapplicable, Untestable
from conformance.profile import Entitlement
from conformance.protocols import x402
from conformance.protocols.x402.identifier import IDENTIFIER, advertises, own_shape
from conformance.protocols.x402.receipt import receipts
from conformance.replays import AIDED

__all__ = ["ACCEPTED", "UNCONSUMED", "as_first", "attempts", "control", "offer_of", "transactions"]

ACCEPTED = "x402.identifier.accepted"

UNCONSUMED = "the offer advertises the extension; a server that leaves identifiers to its facilitator shows the same"
"""Of what depends on who consumes identifiers."""


def offer_of(evidence: Evidence) -> x402.Offer:
    """The offer of version 2 that advertises the extension; Inapplicable where there is none."""
    unpaid = evidence.response("unpaid")
    try:
        offer = x402.offer_in(unpaid, 2) if 2 in versions(evidence) else None
    except x402.Malformed:
        offer = None
    if offer is None or not advertises(offer):
        reason = f"no offer of version 2 advertises the extension {IDENTIFIER}"
        raise Inapplicable(reason)
    if evidence.endpoint.entitlement != Entitlement.ONCE:
        reason = f"a payment opens more than one answer here: entitlement {evidence.endpoint.entitlement}"
        raise Inapplicable(reason)
    return offer


def control(evidence: Evidence) -> None:
    """Raises Inapplicable or Untestable unless a good payment with an identifier was served and charged."""
    offer = offer_of(evidence)
    try:
        paid = paid_for(good_payment(evidence, 2, GROUP))
    except Untestable as why:
        good_payment(evidence, 2, AIDED.group)
        # Without an identifier it is served.
        raise Untestable(why.finding.reason, cause="" if own_shape(offer) else ACCEPTED) from why
    if charges_nothing(paid):
        reason = "nothing is charged here (scheme upto), so that an identifier stands for nothing"
        raise Inapplicable(reason)
    if not paid.charged:
        reason = "version 2: a good payment is served without a settlement"
        raise Untestable(reason, cause="x402.settlement.served-is-settled")


def attempts(evidence: Evidence, *names: str) -> Iterator[tuple[str, str, Exchange]]:
    """The attempts of these names by name and label, once the control holds; Inapplicable where there are none."""
    control(evidence)
    found = False
    for _, name, exchange in kept_of(evidence.exchanges, GROUP):
        if name in names:
            found = True
            yield name, named(name), exchange
    if not found:
        reason = "no payment for this endpoint has what is to be changed here"
        raise Inapplicable(reason)


def as_first(evidence: Evidence, here: str) -> bool:
    """Whether an answer is that of the good payment once more."""
    first, response = evidence.response(named(GOOD)), evidence.response(here)
    return (response.status, response.body) == (first.status, first.body)


def transactions(response: Response) -> list[str]:
    """What the receipts of an answer name."""
    try:
        return [receipt.transaction for receipt in receipts(response) if receipt.transaction]
    except x402.Malformed:
        return []
