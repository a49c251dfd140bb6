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
handled = {"weather": 0, "reports": 0, "cities": 0}
counting = Lock()

server = x402ResourceServerSync(HTTPFacilitatorClientSync(FacilitatorConfig(url=os.environ["FACILITATOR_URL"])))
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
payment_middleware(app, routes, server)


@app.get("/weather")
def weather() -> tuple[dict[str, str | int], int]:
    with counting:
        handled["weather"] += 1
    time.sleep(min(float(request.args.get("sleep", 0)), 30))
    if request.args.get("boom"):
        return {"error": "the weather could not be made"}, 500
    return {"weather": "sunny", "temperature": 70}, 200


@app.get("/reports/", defaults={"report": ""})
@app.get("/reports/<path:report>")
def reports(report: str) -> dict[str, str]:
    with counting:
        handled["reports"] += 1
    return {"report": report, "weather": "sunny"}


@app.get("/cities/<city>")
def cities(city: str) -> dict[str, str]:
    with counting:
        handled["cities"] += 1
    return {"city": city, "weather": "sunny"}


@app.get("/stats")
def stats() -> dict[str, dict[str, int]]:
    return {"handled": handled}


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(sys.argv[1]), threaded=True)
