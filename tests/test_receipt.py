"""Receipts: what a server says about a settlement, as read from its headers."""

import pytest

from conformance.exchange import Response
from conformance.protocols.x402 import Malformed
from conformance.protocols.x402.encoding import header
from conformance.protocols.x402.receipt import from_value, receipts

RECEIPT = {
    "success": True,
    "transaction": "0xab",
    "network": "eip155:84532",
    "payer": "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
    "amount": "10000",
}


def test_a_receipt_is_read_from_either_header() -> None:
    """PAYMENT-RESPONSE holds a receipt of version 2 and X-PAYMENT-RESPONSE one of version 1, networks alike."""
    old = {**RECEIPT, "network": "base-sepolia", "success": False, "errorReason": "insufficient_funds"}
    answer = Response(status=200, headers=(("x-payment-response", header(old)), ("payment-response", header(RECEIPT))))
    second, first = receipts(answer)
    assert (second.version, second.success, second.transaction, second.amount) == (2, True, "0xab", "10000")
    assert (first.version, first.success, first.error_reason) == (1, False, "insufficient_funds")
    assert first.network == second.network == "eip155:84532"
    assert receipts(Response(status=200)) == ()


@pytest.mark.parametrize("success", ["yes", 1, None, "true"])
def test_success_that_is_no_boolean_is_neither_yes_nor_no(success: object) -> None:
    """A receipt is not believed where its type is wrong; the document shows what was there."""
    read_back = from_value(header({**RECEIPT, "success": success, "transaction": 7}), 2)
    assert read_back.success is None
    assert read_back.transaction == ""
    assert read_back.document["success"] == success


@pytest.mark.parametrize("value", ["!!!", "aGVsbG8=", header([]), header(None), ""])
def test_what_is_no_receipt_is_malformed(value: str) -> None:
    """A header that holds no JSON object in base64 is Malformed, as an offer would be."""
    with pytest.raises(Malformed):
        from_value(value, 2)
