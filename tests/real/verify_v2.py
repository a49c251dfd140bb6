"""Judges and makes payments with the Python SDK of x402: ``verify_v2.py < jobs.json > answers.json``.

A job is ``{"do": "verify", "document", "requirements"}`` or ``{"do": "pay", "key", "requirements"}``, both with
``version``. The first is answered with ``{"valid", "reason"}``, the second with the payload that the SDK's client signs.
No chain is asked: everybody is rich and has allowed everything, every token is a contract, no payer is one.
"""

import json
import logging
import sys
from typing import Any

from eth_account import Account
from x402.mechanisms.evm.exact import permit2_utils
from x402.mechanisms.evm.exact.client import ExactEvmScheme as ExactClient
from x402.mechanisms.evm.exact.facilitator import ExactEvmScheme
from x402.mechanisms.evm.exact.v1.client import ExactEvmSchemeV1 as ExactClientV1
from x402.mechanisms.evm.exact.v1.facilitator import ExactEvmSchemeV1
from x402.mechanisms.evm.upto.client import UptoEvmScheme as UptoClient
from x402.mechanisms.evm.upto.permit2_utils import verify_upto_permit2
from x402.schemas import PaymentPayload, PaymentRequirements
from x402.schemas.v1 import PaymentPayloadV1, PaymentRequirementsV1


class Chain:
    """What the SDK's facilitator asks of a chain before it simulates a transfer."""

    def __init__(self, token: str, facilitator: str) -> None:
        self.token, self.facilitator = token.lower(), facilitator

    def get_addresses(self) -> list[str]:
        return [self.facilitator]

    def get_code(self, address: str) -> bytes:
        return b"\x01" if address.lower() == self.token else b""

    def read_contract(self, *_: Any) -> int:
        return 1 << 255


def verify(version: int, document: dict[str, Any], requirements: dict[str, Any]) -> dict[str, Any]:
    extra = requirements.get("extra") or {}
    chain = Chain(requirements["asset"], extra.get("facilitatorAddress", "0x" + "00" * 20))
    try:
        if version == 1:
            said = ExactEvmSchemeV1(chain)._verify(
                PaymentPayloadV1.model_validate(document),
                PaymentRequirementsV1.model_validate(requirements),
                simulate=False,
            )
        else:
            payload = PaymentPayload.model_validate(document)
            required = PaymentRequirements.model_validate(requirements)
            if required.scheme == "upto":
                said = verify_upto_permit2(chain, payload, required, simulate=False)
            elif extra.get("assetTransferMethod") == "permit2":
                said = ExactEvmScheme(chain).verify(payload, required)
            else:
                said, _ = ExactEvmScheme(chain)._verify(payload, required, simulate=False)
    except Exception as error:  # noqa: BLE001  # what its server would answer with an error is a refusal, too
        return {"valid": False, "reason": f"{type(error).__name__}: {error}"[:200]}
    return {"valid": said.is_valid, "reason": said.invalid_reason}


def pay(version: int, key: str, requirements: dict[str, Any]) -> dict[str, Any]:
    account = Account.from_key(key)
    if version == 1:
        return ExactClientV1(account).create_payment_payload(PaymentRequirementsV1.model_validate(requirements))
    client = UptoClient if requirements["scheme"] == "upto" else ExactClient
    return client(account).create_payment_payload(PaymentRequirements.model_validate(requirements))


if __name__ == "__main__":
    logging.disable()
    # It stands on the chain, and looking for it takes packages that the SDK does not require.
    permit2_utils._verify_permit2_allowance = lambda *_: None
    does = {"verify": verify, "pay": pay}
    json.dump([does[job.pop("do")](**job) for job in json.load(sys.stdin)], sys.stdout)
