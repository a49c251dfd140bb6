"""Servers and clients that others wrote deal with each other through our facilitator."""

import base64
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from paying import PAY_TO, payer
from real import environment, servers

from conformance import facilitator
from conformance.facilitator import Control, Kind, fault
from conformance.protocols.x402.signing import Payer

RECEIPT = {1: "x-payment-response", 2: "payment-response"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """A server at work, and the facilitator behind it."""

    name: str
    url: str
    control: Control

    def bought(self, by: Payer) -> dict[str, Any]:
        """What the SDK's own client gets for the money of ``by``."""
        version = self.name[-1]
        done = subprocess.run(
            [
                environment.python(f"requirements-x402-{version}.txt"),
                "-I",
                f"{servers.__file__.rpartition('/')[0]}/buy_v{version}.py",
                f"{self.url}/weather",
                "0x" + by.key.hex(),
            ],
            stdout=subprocess.PIPE,
            check=True,
            timeout=120,
        )
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer


@pytest.fixture(scope="module", params=servers.NAMES)
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    """Each server in turn, with a facilitator of its own."""
    with facilitator.start() as running, servers.running(request.param, running.url) as url:
        yield Shop(name=request.param, url=url, control=running.control)


def test_a_purchase_between_strangers_is_settled_by_us(shop: Shop) -> None:
    """The SDK's client gets the weather from the SDK's server for a payment that we verified and settled once."""
    by = payer(f"buyer-{shop.name}")
    answer = shop.bought(by)
    assert answer["status"] == 200, answer
    assert json.loads(answer["body"])["weather"] == "sunny"
    verified, settled = shop.control.calls(by.address)
    assert (verified.kind, settled.kind) == (Kind.VERIFY, Kind.SETTLE)
    assert verified.digest == settled.digest
    assert settled.requirements["payTo"] == PAY_TO
    assert settled.version == int(shop.name[-1])
    assert settled.outcome
    assert settled.outcome.moved
    receipt = json.loads(base64.b64decode(answer["fields"][RECEIPT[int(shop.name[-1])]]))
    assert (receipt["success"], receipt["transaction"]) == (True, settled.outcome.transaction)


@pytest.mark.parametrize("kind", [Kind.VERIFY, Kind.SETTLE])
def test_a_payment_that_we_refuse_buys_nothing(shop: Shop, kind: Kind) -> None:
    """A scripted no, keyed by the payer alone, reaches the SDK's server, and its client gets a 402."""
    by = payer(f"refused-{shop.name}-{kind}")
    shop.control.script(by.address, replace(fault(kind, "no"), times=1))
    answer = shop.bought(by)
    assert answer["status"] == 402, answer
    assert "sunny" not in answer["body"]
    assert next(call.fault for call in shop.control.calls(by.address) if call.kind is kind) == "no"
    assert not any(call.outcome and call.outcome.moved for call in shop.control.calls(by.address))
