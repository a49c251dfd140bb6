"""Checks of class ``x402/settlement`` on the receipt of a payment, and of one that failed to settle."""

from collections.abc import Iterator

from conformance.attempts import GOOD, good, label
from conformance.checks import check
from conformance.checks.opening import (
    PLAIN_NO,
    attempts,
    met,
    paid_for,
    served,
    settled,
)
from conformance.evidence import Evidence
from conformance.exchange import Exchange, Response
from conformance.gather import unpaid
from conformance.occasions import burst
from conformance.outcome import Untestable, Violation
from conformance.paid import Paid
from conformance.protocols import x402
from conformance.protocols.x402.receipt import RECEIPT, Receipt, from_value

_good = good("good")


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
    for here, exchange, paid in met(evidence, "no", "settle/no"):
        if paid.settled:
            continue
        if served(evidence, here):
            reason = "a payment that fails to settle is served"
            raise Untestable(reason, cause="x402.settlement.settle-no")
        yield here, exchange, paid


@check("x402.settlement.failure-receipt", unpaid, PLAIN_NO)
def test_failure_receipt(evidence: Evidence) -> None:
    for here, _, paid in _withheld(evidence):
        receipt = receipt_of(evidence.response(here), paid.version, here)
        if receipt.success is not False or not receipt.error_reason:
            raise Violation(
                expected="success false, and an errorReason",
                received=f"success {receipt.document.get('success')!r}, errorReason {receipt.document.get('errorReason')!r}",
                at=RECEIPT[paid.version],
                exchange=here,
            )


def receipt_of(response: Response, version: int, here: str) -> Receipt:
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
    for version, exchange in settled(evidence):
        here = label(version, "good", GOOD)
        receipt = receipt_of(evidence.response(here), version, here)
        if receipt.success is not True:
            raise Violation(
                expected="success true",
                received=f"success {receipt.document.get('success')!r}",
                at=RECEIPT[version],
                exchange=here,
                reason=f"the facilitator was asked: {paid_for(exchange).story}",
            )


def _readable(evidence: Evidence) -> Iterator[tuple[int, Paid, Receipt]]:
    for version, exchange in settled(evidence):
        here = label(version, "good", GOOD)
        try:
            receipt = receipt_of(evidence.response(here), version, here)
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


@check("x402.settlement.own-transaction", unpaid, burst)
def test_own_transaction(evidence: Evidence) -> None:
    seen: dict[str, str] = {}
    for version, name, exchange in attempts(evidence, "burst"):
        here = label(version, "burst", name)
        values = exchange.response.values(RECEIPT[version]) if exchange.response else ()
        transaction = _transaction(values[0], version) if values else ""
        if transaction in seen:
            raise Violation(
                expected="a transaction for each payment",
                received=f"{transaction} in two receipts",
                at=f"{seen[transaction]} and {here}",
                exchange=here,
            )
        if transaction:
            seen[transaction] = here


def _transaction(value: str, version: int) -> str:
    try:
        return from_value(value, version).transaction
    except x402.Malformed:
        return ""
