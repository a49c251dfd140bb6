"""Makes payments with the first Python SDK of x402: ``pay_v1.py < jobs.json > answers.json``.

A job is ``{"key", "requirements"}`` and is answered with the value of X-PAYMENT.
"""

import json
import sys

from eth_account import Account
from x402.clients.base import x402Client
from x402.types import PaymentRequirements

if __name__ == "__main__":
    json.dump(
        [
            x402Client(Account.from_key(job["key"])).create_payment_header(
                PaymentRequirements.model_validate(job["requirements"])
            )
            for job in json.load(sys.stdin)
        ],
        sys.stdout,
    )
