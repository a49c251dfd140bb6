"""A weather API that charges with x402 v2, as Flask users of the Python SDK write it: ``flask_v2.py PORT``."""

import os
import sys
import time
from threading import Lock

from flask import Flask, request
from x402.http import FacilitatorConfig, HTTPFacilitatorClientSync, PaymentOption
from x402.http.middleware.flask import payment_middleware
from x402.http.types import RouteConfig
from x402.mechanisms.evm.exact import ExactEvmServerScheme
from x402.server import x402ResourceServerSync

app = Flask(__name__)
handled = {"weather": 0}
counting = Lock()

server = x402ResourceServerSync(HTTPFacilitatorClientSync(FacilitatorConfig(url=os.environ["FACILITATOR_URL"])))
server.register("eip155:84532", ExactEvmServerScheme())

routes = {
    "GET /weather": RouteConfig(
        accepts=[
            PaymentOption(
                scheme="exact",
                pay_to="0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
                price="$0.01",
                network="eip155:84532",
            )
        ],
        description="The weather of today",
        mime_type="application/json",
    )
}
payment_middleware(app, routes, server)


@app.get("/weather")
def weather() -> tuple[dict[str, str | int], int]:
    with counting:
        handled["weather"] += 1
    time.sleep(min(float(request.args.get("sleep", 0)), 30))
    if request.args.get("boom"):
        return {"error": "the weather could not be made"}, 500
    return {"weather": "sunny", "temperature": 70}, 200


@app.get("/stats")
def stats() -> dict[str, dict[str, int]]:
    return {"handled": handled}


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(sys.argv[1]), threaded=True)
