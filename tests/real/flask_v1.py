"""A weather API that charges with x402 v1, as Flask users of the first SDK write it: ``flask_v1.py PORT``."""

import os
import sys
import time
from threading import Lock

from flask import Flask, request
from x402.flask.middleware import PaymentMiddleware

app = Flask(__name__)
handled = {"weather": 0}
counting = Lock()

PaymentMiddleware(app).add(
    path="/weather",
    price="$0.01",
    pay_to_address="0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
    network="base-sepolia",
    description="The weather of today",
    mime_type="application/json",
    facilitator_config={"url": os.environ["FACILITATOR_URL"]},
)


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
