"""Checks of class ``x402/settlement``: what is served is settled, and what is settled is served and receipted."""

from collections.abc import Iterator

from conformance.attempts import (
    GOOD,
    Attempts,
    burst,
    every_way,
    failing,
    faults,
    good,
    kept_of,
    label,
    overridden,
    slow_and_brief,
)
from conformance.checks import check
from conformance.checks.opening import PLAIN_NO, attempts, charges_nothing, controls, opened, paid_for, served, versions
from conformance.evidence import Evidence
from conformance.exchange import Exchange, Response
from conformance.gather import unpaid
from conformance.outcome import Inapplicable, Untestable, Violation
from conformance.paid import Paid
from conformance.protocols import x402
from conformance.protocols.x402.receipt import RECEIPT, Receipt, from_value
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
    for here, exchange, paid in _met(evidence, "no", "verify/no", "verify/no-with-400"):
        if where := served(evidence, here):
            raise opened(evidence, here, exchange, where)
        if paid.charged:
            raise Violation(
                expected="no settlement of a payment that is not valid",
                received=paid.story,
                at=f"version {paid.version}",
                exchange=here,
            )


@check("x402.settlement.settle-no", unpaid, PLAIN_NO)
def test_settle_no(evidence: Evidence) -> None:
    for here, exchange, paid in _met(evidence, "no", "settle/no", "settle/no-with-400"):
        # Another facilitator may have said yes.
        if (where := served(evidence, here)) and not paid.settled:
            raise opened(evidence, here, exchange, where)


_ONCE = Order(version=0, faults=("settle/pending",), times=1)
"""Whoever asks again is told that it is settled."""
_lasting = faults("pending", "settle/pending", "settle/pending-without-transaction").orders
_pending = Attempts(group="pending", orders={**_lasting, "settle/pending, once": _ONCE})


@check("x402.settlement.pending", unpaid, _pending)
def test_pending(evidence: Evidence) -> None:
    for here, exchange, paid in _met(evidence, "pending", *_pending.orders):
        if (where := served(evidence, here)) and not paid.settled:
            raise opened(evidence, here, exchange, where)


def _met(evidence: Evidence, group: str, *names: str) -> Iterator[tuple[str, Exchange, Paid]]:
    """The attempts whose fault the target met, or that it served without asking; Untestable where there are none."""
    found = False
    for version, name, exchange in attempts(evidence, group):
        here, paid = label(version, group, name), paid_for(exchange)
        if name not in names:
            continue
        met = any(f"{call.kind}/{call.fault}" in paid.faults for call in paid.calls)
        if met or not paid.calls:
            found = True
            yield here, exchange, paid
    if not found:
        kinds = sorted({name.partition("/")[0] for name in names})
        reason = f"the target never asked the facilitator to {' or to '.join(kinds)}"
        raise Inapplicable(reason)


@check("x402.settlement.failure-is-402", unpaid, PLAIN_NO)
def test_failure_is_402(evidence: Evidence) -> None:
    for here, _, paid in _withheld(evidence):
        response = evidence.response(here)
        if response.status != 402:
            raise Violation(
                expected="402 Payment Required", received=response.shown(), at=f"version {paid.version}", exchange=here
            )


def _withheld(evidence: Evidence) -> Iterator[tuple[str, Exchange, Paid]]:
    """The answers to payments that did not settle, as far as they served nothing."""
    for here, exchange, paid in _met(evidence, "no", "settle/no"):
        if paid.settled:
            continue
        if served(evidence, here):
            reason = "a payment that fails to settle is served"
            raise Untestable(reason, cause="x402.settlement.settle-no")
        yield here, exchange, paid


@check("x402.settlement.failure-receipt", unpaid, PLAIN_NO)
def test_failure_receipt(evidence: Evidence) -> None:
    for here, _, paid in _withheld(evidence):
        receipt = _receipt(evidence.response(here), paid.version, here)
        if receipt.success is not False or not receipt.error_reason:
            raise Violation(
                expected="success false, and an errorReason",
                received=f"success {receipt.document.get('success')!r}, errorReason {receipt.document.get('errorReason')!r}",
                at=RECEIPT[paid.version],
                exchange=here,
            )


def _receipt(response: Response, version: int, here: str) -> Receipt:
    """The one receipt of an answer; raises Violation where there is none, or none that can be read."""
    values = response.values(RECEIPT[version])
    if len(values) != 1:
        raise Violation(
            expected=f"one {RECEIPT[version]}",
            received=f"{len(values)} of them" if values else "none",
            at=f"version {version}, {response.shown()}",
            exchange=here,
        )
    try:
        return from_value(values[0], version)
    except x402.Malformed as broken:
        raise Violation(
            expected="a JSON object in base64", received=str(broken), at=RECEIPT[version], exchange=here
        ) from broken


@check("x402.settlement.receipt", unpaid, _good)
def test_receipt(evidence: Evidence) -> None:
    for version, exchange in _settled(evidence):
        here = label(version, "good", GOOD)
        receipt = _receipt(evidence.response(here), version, here)
        if receipt.success is not True:
            raise Violation(
                expected="success true",
                received=f"success {receipt.document.get('success')!r}",
                at=RECEIPT[version],
                exchange=here,
                reason=f"the facilitator was asked: {paid_for(exchange).story}",
            )


def _settled(evidence: Evidence) -> Iterator[tuple[int, Exchange]]:
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


def _readable(evidence: Evidence) -> Iterator[tuple[int, Paid, Receipt]]:
    for version, exchange in _settled(evidence):
        here = label(version, "good", GOOD)
        try:
            receipt = _receipt(evidence.response(here), version, here)
        except Violation as broken:
            reason = f"version {version}: the paid answer has no receipt that can be read"
            raise Untestable(reason, cause="x402.settlement.receipt") from broken
        yield version, paid_for(exchange), receipt


@check("x402.settlement.receipt-members", unpaid, _good)
def test_receipt_members(evidence: Evidence) -> None:
    for version, paid, receipt in _readable(evidence):
        wanted: dict[str, type] = {"success": bool, "transaction": str, "network": str}
        if version == 1:
            wanted["payer"] = str
        for member, kind in wanted.items():
            if not isinstance(receipt.document.get(member), kind):
                raise Violation(
                    expected=f"{member}, a {'boolean' if kind is bool else 'string'}",
                    received=repr(receipt.document[member]) if member in receipt.document else "no such member",
                    at=RECEIPT[version],
                    exchange=label(version, "good", GOOD),
                )
        if receipt.network != paid.network:
            raise Violation(
                expected=f"network {paid.network}, which was paid on",
                received=repr(receipt.document["network"]),
                at=RECEIPT[version],
                exchange=label(version, "good", GOOD),
            )


@check("x402.settlement.receipt-is-true", unpaid, _good)
def test_receipt_is_true(evidence: Evidence) -> None:
    for version, paid, receipt in _readable(evidence):
        transactions = [call.transaction for call in paid.asked("settle") if call.good]
        told = {
            "transaction": (receipt.transaction, transactions[-1]),
            "payer": (receipt.payer.lower(), paid.payer.lower()),
        }
        for member, (said, true) in told.items():
            if said != true and not (member == "payer" and not said):
                raise Violation(
                    expected=f"{member} {true}, as the facilitator said",
                    received=repr(receipt.document.get(member)),
                    at=RECEIPT[version],
                    exchange=label(version, "good", GOOD),
                )


@check("x402.settlement.settles-once", unpaid, _good)
def test_settles_once(evidence: Evidence) -> None:
    for version, exchange in _settled(evidence):
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
    for version, exchange in _settled(evidence):
        paid = paid_for(exchange)
        verified, settled = ({call.payment for call in paid.asked(kind)} for kind in ("verify", "settle"))
        if verified and not settled <= verified:
            raise Violation(
                expected="a settlement of the payment that was verified",
                received="a settlement of another document",
                at=f"version {version}",
                exchange=label(version, "good", GOOD),
            )


@check("x402.settlement.every-charge-is-served", unpaid, burst)
def test_every_charge_is_served(evidence: Evidence) -> None:
    for version, name, exchange in attempts(evidence, "burst"):
        here = label(version, "burst", name)
        broken = exchange.failure if exchange.failure and exchange.failure.kind == "closed" else None
        if paid_for(exchange).charged and (broken or not served(evidence, here)):
            raise Violation(
                expected="what was paid for",
                received=broken.detail if broken else evidence.response(here).shown(),
                at=f"version {version}, payment {name} of a burst, after {paid_for(exchange).story}",
                exchange=here,
            )


@check("x402.settlement.own-transaction", unpaid, burst)
def test_own_transaction(evidence: Evidence) -> None:
    for version in versions(evidence):
        seen: dict[str, str] = {}
        for of, name, exchange in attempts(evidence, "burst"):
            values = exchange.response.values(RECEIPT[version]) if exchange.response and of == version else ()
            transaction = _transaction(values[0], version) if values else ""
            if transaction and transaction in seen:
                raise Violation(
                    expected="a transaction for each payment",
                    received=f"{transaction} in two receipts",
                    at=f"version {version}, payments {seen[transaction]} and {name} of a burst",
                    exchange=label(version, "burst", name),
                )
            seen[transaction] = name


def _transaction(value: str, version: int) -> str:
    try:
        return from_value(value, version).transaction
    except x402.Malformed:
        return ""


@check("x402.settlement.failed-handler", unpaid, failing)
def test_failed_handler(evidence: Evidence) -> None:
    for here, paid in _failures(evidence, {"authorization"}):
        if paid.charged:
            raise Violation(
                expected="no charge for a handler that fails",
                received=f"{evidence.response(here).shown()}, charged",
                at=f"version {paid.version}, after {paid.story}",
                exchange=here,
            )


def _failures(evidence: Evidence, flows: set[str]) -> Iterator[tuple[str, Paid]]:
    """The paid requests whose handler failed, in the flows that are asked for."""
    found = False
    for exchange in _failed(evidence):
        paid = paid_for(exchange)
        if paid.flow in flows:
            found = True
            yield label(paid.version, "failing", "boom"), paid
    if not found:
        reason = f"nothing here is offered in flow {' or '.join(sorted(flows))}"
        raise Inapplicable(reason)


def _failed(evidence: Evidence) -> Iterator[Exchange]:
    for version, name, exchange in kept_of(evidence.exchanges, "failing"):
        if name == GOOD or (exchange.failure and exchange.failure.kind == "unpayable"):
            continue
        response = evidence.response(label(version, "failing", name))
        if response.status < 400:
            reason = f"the request that fails by the profile (endpoint.failing) is answered {response.shown()}"
            raise Untestable(reason)
        if not paid_for(exchange).calls:
            reason = f"the request that fails by the profile is answered {response.shown()} before anything is asked"
            raise Untestable(reason)
        if not any(call.good for call in paid_for(exchange).calls):
            story = paid_for(exchange).story
            reason = f"the payment for the request that fails by the profile is not good ({story}): no handler ran"
            raise Untestable(reason)
        yield exchange


@check("x402.settlement.charged-failure-receipt", unpaid, failing)
def test_charged_failure_receipt(evidence: Evidence) -> None:
    for here, paid in _failures(evidence, {"upfront", "escrow"}):
        if paid.settled:
            receipt = _receipt(evidence.response(here), paid.version, here)
            if receipt.success is not True:
                raise Violation(
                    expected="success true: it was charged",
                    received=f"success {receipt.document.get('success')!r}",
                    at=RECEIPT[paid.version],
                    exchange=here,
                )


@check("x402.settlement.expired-meanwhile", unpaid, slow_and_brief)
def test_expired_meanwhile(evidence: Evidence) -> None:
    for version, name, exchange in attempts(evidence, "brief"):
        here, paid = label(version, "brief", name), paid_for(exchange)
        if (where := served(evidence, here)) and not paid.settled:
            raise opened(evidence, here, exchange, where)


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
            own = {each.requirements.get(member) for each in usual.asked("settle")}
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
