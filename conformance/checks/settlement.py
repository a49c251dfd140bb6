"""Checks of class ``x402/settlement``: what is served is settled, and what is settled is served."""

import math

from conformance.attempts import GOOD, Attempts, every_way, faults, good, kept_of, label
from conformance.checks import check
from conformance.checks.opening import (
    PLAIN_NO,
    attempts,
    charges_nothing,
    controls,
    doubt,
    met,
    opened,
    paid_for,
    served,
    settled,
)
from conformance.evidence import Evidence
from conformance.exchange import Exchange
from conformance.gather import unpaid
from conformance.occasions import burst, by_one_payer, failing, overridden
from conformance.outcome import Inapplicable, Untestable, Violation
from conformance.purse import Order

_good = good("good")


@check("x402.settlement.served-is-settled", unpaid, _good, failing)
def test_served_is_settled(evidence: Evidence) -> None:
    for version, exchange in controls(evidence, "good"):
        _asked_first(evidence, exchange, label(version, "good", GOOD))
    for version, name, exchange in kept_of(evidence.exchanges, "failing"):
        here = label(version, "failing", name)
        if exchange.response and served(evidence, here):
            _asked_first(evidence, exchange, here)


def _asked_first(evidence: Evidence, exchange: Exchange, here: str) -> None:
    paid = paid_for(exchange)
    if not paid.settled and not charges_nothing(paid):
        raise Violation(
            expected="a settlement before anything is served",
            received=f"{evidence.response(here).shown()} with what is paid for",
            at=f"version {paid.version}, after {paid.story}",
            exchange=here,
        )


@check("x402.settlement.verify-no", unpaid, PLAIN_NO)
def test_verify_no(evidence: Evidence) -> None:
    refused = []
    for here, exchange, paid in met(evidence, "no", "verify/no", "verify/no-with-400"):
        if where := served(evidence, here):
            raise opened(evidence, here, exchange, where)
        if paid.charged:
            raise Violation(
                expected="no settlement of a payment that is not valid",
                received=paid.story,
                at=f"version {paid.version}",
                exchange=here,
            )
        refused.append(here)
    for here in refused:
        doubt(evidence, here)


@check("x402.settlement.settle-no", unpaid, PLAIN_NO)
def test_settle_no(evidence: Evidence) -> None:
    refused = []
    for here, exchange, paid in met(evidence, "no", "settle/no", "settle/no-with-400"):
        # Another facilitator may have said yes.
        if paid.settled:
            continue
        if where := served(evidence, here):
            raise opened(evidence, here, exchange, where)
        refused.append(here)
    for here in refused:
        doubt(evidence, here)


_ONCE = Order(version=0, faults=("settle/pending",), times=1)
"""Whoever asks again is told that it is settled."""
_lasting = faults("pending", "settle/pending", "settle/pending-without-transaction").orders
_pending = Attempts(group="pending", orders={**_lasting, "settle/pending, once": _ONCE})


@check("x402.settlement.pending", unpaid, _pending)
def test_pending(evidence: Evidence) -> None:
    refused = []
    for here, exchange, paid in met(evidence, "pending", *_pending.orders):
        if paid.settled:
            continue
        if where := served(evidence, here):
            raise opened(evidence, here, exchange, where)
        refused.append(here)
    for here in refused:
        doubt(evidence, here)


@check("x402.settlement.settles-once", unpaid, _good)
def test_settles_once(evidence: Evidence) -> None:
    for version, exchange in settled(evidence):
        paid = paid_for(exchange)
        times, most = len(list(paid.asked("settle"))), 2 if paid.flow == "escrow" else 1
        if times > most:
            raise Violation(
                expected="one settlement" if most == 1 else "two settlements at most",
                received=f"{times} of them",
                at=f"version {version}, {paid.story}",
                exchange=label(version, "good", GOOD),
            )


@check("x402.settlement.same-payload", unpaid, _good)
def test_same_payload(evidence: Evidence) -> None:
    for version, exchange in settled(evidence):
        paid = paid_for(exchange)
        shown, taken = ({call.payment for call in paid.asked(kind)} for kind in ("verify", "settle"))
        if shown and not taken <= shown:
            raise Violation(
                expected="a settlement of the payment that was verified",
                received="a settlement of another document",
                at=f"version {version}",
                exchange=label(version, "good", GOOD),
            )


@check("x402.settlement.every-charge-is-served", unpaid, burst)
def test_every_charge_is_served(evidence: Evidence) -> None:
    slow = ""
    for version, name, exchange in attempts(evidence, "burst"):
        here = label(version, "burst", name)
        broken = exchange.failure if exchange.failure and exchange.failure.kind == "closed" else None
        if paid_for(exchange).charged and (broken or not served(evidence, here)):
            if _took_long(exchange):
                slow = f"version {version}, payment {name} of a burst: {paid_for(exchange).story}"
                continue
            raise Violation(
                expected="what was paid for",
                received=broken.detail if broken else evidence.response(here).shown(),
                at=f"version {version}, payment {name} of a burst, after {paid_for(exchange).story}",
                exchange=here,
            )
    if slow:
        reason = f"{slow}, so late that the target may have given our facilitator up: this machine is too busy"
        raise Untestable(reason)


_LONG = 0.9
"""Seconds until it is settled after which a target may have waited long enough for its facilitator."""


def _took_long(exchange: Exchange) -> bool:
    """Whether the charge of a payment came after its answer, or so late that the target may wait no longer."""
    calls = [call for call in paid_for(exchange).asked("settle") if call.moved]
    ended = [math.inf if call.finished is None else call.finished - exchange.at for call in calls]
    return max(ended, default=0) > min(exchange.took, _LONG)


@check("x402.settlement.one-payer", unpaid, by_one_payer)
def test_one_payer(evidence: Evidence) -> None:
    for version, name, exchange in attempts(evidence, "one payer"):
        here = label(version, "one payer", name)
        response = evidence.response(here)
        if not served(evidence, here) and response.status not in _LATER and not response.value("retry-after"):
            raise Violation(
                expected="what was paid for, or a refusal that asks to come again",
                received=response.shown(),
                at=f"version {version}, the {name} payment of one payer, after {paid_for(exchange).story}",
                exchange=here,
            )


_LATER = {409, 425, 429, 503}
_OVERRIDE = "1"
"""The amount that the payer wishes for."""


@check("x402.settlement.no-override", unpaid, overridden)
def test_no_override(evidence: Evidence) -> None:
    for version, name, exchange in attempts(evidence, "overridden"):
        paid = paid_for(exchange)
        member = "maxAmountRequired" if version == 1 else "amount"
        usual = paid_for(evidence.exchange(label(version, "overridden", GOOD)))
        for call in paid.calls:
            # What scheme upto settles is up to the server, and may be little on any day.
            metered = paid.scheme == "upto" and call.kind == "settle"
            own = [each.requirements.get(member) for each in usual.asked("settle")]
            if metered and (call.requirements.get(member) != _OVERRIDE or _OVERRIDE in own):
                continue
            if call.requirements.get(member) != paid.amount:
                raise Violation(
                    expected=f"{member} {paid.amount}, whatever the request says",
                    received=repr(call.requirements.get(member)),
                    at=f"version {version}, the paymentRequirements of {call.kind}",
                    exchange=label(version, "overridden", name),
                )


@check("x402.settlement.upto-maximum", unpaid, every_way)
def test_upto_maximum(evidence: Evidence) -> None:
    found = False
    for version, name, exchange in kept_of(evidence.exchanges, "every way"):
        if exchange.paid is None or exchange.paid.scheme != "upto":
            continue
        found = True
        for call in exchange.paid.asked("settle"):
            amount = str(call.requirements.get("amount", call.requirements.get("maxAmountRequired", "")))
            if not amount.isdecimal() or int(amount) > int(exchange.paid.amount):
                raise Violation(
                    expected=f"{exchange.paid.amount} at most",
                    received=amount or "no amount",
                    at=f"version {version}, the paymentRequirements of settle",
                    exchange=label(version, "every way", name),
                )
    if not found:
        reason = "no way to pay of scheme upto is offered that can be signed"
        raise Inapplicable(reason)
