"""A weather API that charges with x402 v2, as FastAPI users of the Python SDK write it: ``fastapi_v2.py PORT``."""

import asyncio
import os
import sys

import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from x402.http import FacilitatorConfig, HTTPFacilitatorClient, PaymentOption
from x402.http.middleware.fastapi import PaymentMiddlewareASGI
from x402.http.types import RouteConfig
from x402.mechanisms.evm.exact import ExactEvmServerScheme
from x402.server import x402ResourceServer

app = FastAPI()
handled = {"weather": 0, "reports": 0, "cities": 0}

server = x402ResourceServer(HTTPFacilitatorClient(FacilitatorConfig(url=os.environ["FACILITATOR_URL"])))
server.register("eip155:84532", ExactEvmServerScheme())


def priced(description: str) -> RouteConfig:
    option = PaymentOption(
        scheme="exact",
        pay_to="0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
        price="$0.01",
        network="eip155:84532",
    )
    return RouteConfig(accepts=[option], description=description, mime_type="application/json")


routes = {
    "GET /weather": priced("The weather of today"),
    "GET /reports/*": priced("A report of the weather"),
    "GET /cities/[city]": priced("The weather of a city"),
}
app.add_middleware(PaymentMiddlewareASGI, routes=routes, server=server)


@app.get("/weather")
async def weather(sleep: float = 0, boom: str = "") -> JSONResponse:
    handled["weather"] += 1
    await asyncio.sleep(min(sleep, 30))
    if boom:
        return JSONResponse({"error": "the weather could not be made"}, 500)
    return JSONResponse({"weather": "sunny", "temperature": 70})


@app.get("/reports/{report:path}")
async def reports(report: str) -> dict[str, str]:
    handled["reports"] += 1
    return {"report": report, "weather": "sunny"}


@app.get("/cities/{city}")
async def cities(city: str) -> dict[str, str]:
    handled["cities"] += 1
    return {"city": city, "weather": "sunny"}


@app.get("/stats")
async def stats() -> dict[str, dict[str, int]]:
    return {"handled": handled}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]))
