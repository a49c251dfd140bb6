"""From what the ledger says to an answer on the wire, and what a fault makes of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.facilitator.ledger import Decision, Settlement
from conformance.facilitator.script import Fault
from conformance.protocols.x402 import evm_networks

__all__ = ["ADDRESS", "Answer", "answer", "of_decision", "of_settlement", "plain", "supported"]

ADDRESS = "0xeE702547aB3F39a26F3Ffe1dFc7A9603A58238fB"
"""The facilitator's own address: who sends its transactions, and to whom ``upto`` payments are bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A status, fields and a body."""

    status: int
    fields: Mapping[str, str]
    body: bytes


def supported(kinds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """SupportedResponse (v2, section 7.3): every EVM network that we know, and ``kinds``."""
    listed: list[Mapping[str, Any]] = []
    for network, name in evm_networks().items():
        listed.append({"x402Version": 1, "scheme": "exact", "network": name})
        listed.append({"x402Version": 2, "scheme": "exact", "network": network})
        upto = {"x402Version": 2, "scheme": "upto", "network": network}
        listed.append({**upto, "extra": {"facilitatorAddress": ADDRESS}})
    return {"kinds": [*listed, *kinds], "extensions": [], "signers": {"eip155:*": [ADDRESS]}}


def of_decision(decision: Decision) -> dict[str, Any]:
    """VerifyResponse (v2, section 7.1)."""
    said: dict[str, Any] = {"isValid": decision.valid}
    if not decision.valid:
        said["invalidReason"] = decision.reason
    # The first Python SDK takes no answer without a payer; absent or null is legal and breaks it.
    return {**said, "payer": decision.payer}


def of_settlement(settlement: Settlement, *, pending: bool) -> dict[str, Any]:
    """SettlementResponse (v2, section 5.3); a ``pending`` one names its transaction and is no success."""
    said: dict[str, Any] = {"success": settlement.success and not pending}
    if not said["success"]:
        said["errorReason"] = "settlement_pending" if settlement.success else settlement.reason
    said |= {"payer": settlement.payer, "transaction": settlement.transaction, "network": settlement.network}
    if settlement.amount is not None:
        said["amount"] = settlement.amount
    return said


def answer(document: Mapping[str, Any], fault: Fault | None) -> Answer:
    """The answer with ``document``, altered as ``fault`` wants it."""
    if fault is None:
        return plain(200, document)
    altered = {key: value for key, value in {**document, **fault.edit}.items() if key not in fault.without}
    body = json.dumps(altered) if fault.body is None else fault.body
    fields = {"Content-Type": fault.media_type, **fault.headers}
    return Answer(status=fault.status, fields=fields, body=body.encode("utf-8", "replace"))


def plain(status: int, document: object) -> Answer:
    """An answer with a JSON document."""
    return Answer(status=status, fields={"Content-Type": "application/json"}, body=json.dumps(document).encode())
