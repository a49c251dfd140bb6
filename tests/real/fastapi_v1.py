"""A weather API that charges with x402 v1, as FastAPI users of the first SDK write it: ``fastapi_v1.py PORT``."""

import asyncio
import os
import sys

import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from x402.fastapi.middleware import require_payment

app = FastAPI()
handled = {"weather": 0}
app.middleware("http")(
    require_payment(
        path="/weather",
        price="$0.01",
        pay_to_address="0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
        network="base-sepolia",
        description="The weather of today",
        mime_type="application/json",
        facilitator_config={"url": os.environ["FACILITATOR_URL"]},
    )
)


@app.get("/weather")
async def weather(sleep: float = 0, boom: str = "") -> JSONResponse:
    handled["weather"] += 1
    await asyncio.sleep(min(sleep, 30))
    if boom:
        return JSONResponse({"error": "the weather could not be made"}, 500)
    return JSONResponse({"weather": "sunny", "temperature": 70})


@app.get("/stats")
async def stats() -> dict[str, dict[str, int]]:
    return {"handled": handled}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]))
