"""Buys with the first Python SDK of x402, as its users write it: ``buy_v1.py URL KEY``; prints what it got as JSON."""

import asyncio
import json
import sys

from eth_account import Account
from x402.clients.httpx import x402HttpxClient


async def buy(url: str, key: str) -> None:
    async with x402HttpxClient(account=Account.from_key(key), trust_env=False) as client:
        answer = await client.get(url)
        body = (await answer.aread()).decode()
    json.dump({"status": answer.status_code, "fields": dict(answer.headers), "body": body}, sys.stdout)


if __name__ == "__main__":
    asyncio.run(buy(*sys.argv[1:]))
