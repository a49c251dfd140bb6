"""Buys with the Python SDK of x402, as its users write it: ``buy_v2.py URL KEY``; prints what it got as JSON."""

import asyncio
import json
import sys

from eth_account import Account
from x402 import x402Client
from x402.http.clients.httpx import x402HttpxClient
from x402.mechanisms.evm.exact import register_exact_evm_client


async def buy(url: str, key: str) -> None:
    client = register_exact_evm_client(x402Client(), Account.from_key(key))
    async with x402HttpxClient(client, trust_env=False) as http:
        answer = await http.get(url)
    json.dump({"status": answer.status_code, "fields": dict(answer.headers), "body": answer.text}, sys.stdout)


if __name__ == "__main__":
    asyncio.run(buy(*sys.argv[1:]))
