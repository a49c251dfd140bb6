"""Servers that others wrote are red where they are wrong, and nowhere else; and they take our payments."""

import base64
import json
import re
import secrets
import socket
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from paying import payer
from real import servers
from sessions import session

from conformance import catalogue, facilitator
from conformance.facilitator import Control, Kind
from conformance.protocols.x402 import PAYMENT, Offer
from conformance.protocols.x402.encoding import header
from conformance.protocols.x402.payment import build
from conformance.protocols.x402.reading import object_in_base64
from conformance.protocols.x402.signing import Payer

DEFECTS: list[dict[str, Any]] = tomllib.loads((Path(__file__).parent / "true_defects.toml").read_text("utf-8"))[
    "defect"
]
RECEIPT = {1: "x-payment-response", 2: "payment-response"}

SMALLEST = """\
edition = "2026.11"
[target]
name = "Weather"
base_url = "{url}"
[[endpoint]]
name = "weather"
path = "/weather"
protocol = "x402"
"""
STATED = (
    SMALLEST
    + """\
versions = [{version}]
[[endpoint.terms]]
scheme = "exact"
network = "eip155:84532"
asset = "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
amount = "10000"
pay_to = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C"
"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """A server that can be paid, and the facilitator behind it."""

    name: str
    client: httpx.Client
    control: Control

    def handled(self) -> int:
        """How often the handler behind the payment ran so far."""
        count: int = self.client.get("/stats").json()["handled"]["weather"]
        return count

    def bought(self, by: Payer, **query: str) -> httpx.Response:
        """What ``by`` gets for the payment that the server's own offer asks for."""
        version = _version(self.name)
        refused = self.client.get("/weather")
        document = refused.json() if version == 1 else object_in_base64(refused.headers["payment-required"])
        offer = Offer(version=version, place="test", document=document)
        [way] = offer.ways()
        paid = build(way, offer=offer, payer=by, now=int(time.time()), nonce=secrets.token_bytes(32))
        return self.client.get("/weather", params=query, headers={PAYMENT[version]: header(paid.document)})


@pytest.fixture(scope="module", params=servers.NAMES)
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    """Each server in turn, with a facilitator of its own."""
    with (
        facilitator.start() as referee,
        servers.running(request.param, referee.url) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=30) as client,
    ):
        yield Shop(name=request.param, client=client, control=referee.control)


def _version(name: str) -> int:
    return int(name[-1])


@pytest.fixture(scope="module", params=servers.NAMES)
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """Each server in turn: its name and its base URL."""
    with servers.running(request.param) as url:
        yield request.param, url


@pytest.mark.parametrize("text", [SMALLEST, STATED], ids=["smallest", "stated"])
def test_a_real_server_is_red_where_it_is_wrong_and_nowhere_else(
    server: tuple[str, str], text: str, tmp_path: Path
) -> None:
    """What a run shows is what true_defects.toml lists: no other violation, unmet wish, note, error or open question."""
    name, url = server
    ran = session(tmp_path, text=text.format(url=url, version=_version(name)))
    assert ran.report, ran.out
    shown = {r["requirement"]: _word(r) for r in ran.report["results"]}
    listed = {defect["id"]: defect["outcome"] for defect in DEFECTS if defect["server"] == name}
    assert {id: word for id, word in shown.items() if word not in {"passed", "inapplicable"}} == listed


def _word(row: dict[str, Any]) -> str | None:
    """The outcome of a row; a MAY that passed with a finding is ``noted``."""
    word: str | None = row["outcome"]
    return "noted" if word == "passed" and row["finding"] else word


def test_the_bytes_of_a_defect_show_it(server: tuple[str, str]) -> None:
    """Each listed request gets the listed answer from the server itself, without our client in between."""
    name, url = server
    for defect in DEFECTS:
        if defect["server"] == name:
            answer = _answer(url, defect["request"].encode("latin-1"))
            assert answer.startswith(f"HTTP/1.1 {defect['status']} "), defect["id"]
            assert [part for part in defect["shows"] if part not in answer + _challenge(answer)] == [], defect["id"]


def test_a_listed_defect_names_a_server_a_requirement_and_a_clause() -> None:
    """The table speaks of servers that we run and requirements that we judge, each at most once, with its clause."""
    judged = {requirement.id for requirement in catalogue.load().judged()}
    assert {defect["server"] for defect in DEFECTS} <= set(servers.NAMES)
    assert {defect["id"] for defect in DEFECTS} <= judged
    assert {defect["outcome"] for defect in DEFECTS} <= {"violated", "unmet", "noted"}
    assert all(defect["shows"] and defect["clause"] for defect in DEFECTS)
    assert len({(defect["server"], defect["id"]) for defect in DEFECTS}) == len(DEFECTS)


def test_our_payment_buys_the_weather(shop: Shop) -> None:
    """Paid as its own offer asks, a real server makes the weather once and tells which transaction it was paid with."""
    by, before = payer(f"ours-{shop.name}"), shop.handled()
    answer = shop.bought(by)
    assert answer.status_code == 200, answer.text
    assert "sunny" in answer.text
    assert shop.handled() == before + 1
    verified, settled = shop.control.calls(by.address)
    assert (verified.kind, settled.kind) == (Kind.VERIFY, Kind.SETTLE)
    assert settled.outcome
    assert settled.outcome.moved
    receipt = json.loads(base64.b64decode(answer.headers[RECEIPT[_version(shop.name)]]))
    assert (receipt["success"], receipt["transaction"]) == (True, settled.outcome.transaction)


def test_a_handler_that_fails_is_not_charged_for(shop: Shop) -> None:
    """Told to fail, the handler ran, the payer gets 500 without the weather, and nothing is settled."""
    by, before = payer(f"boom-{shop.name}"), shop.handled()
    answer = shop.bought(by, boom="1")
    assert (answer.status_code, "sunny" in answer.text) == (500, False)
    assert shop.handled() == before + 1
    assert [call.kind for call in shop.control.calls(by.address)] == [Kind.VERIFY]


def test_a_handler_takes_as_long_as_it_is_told(shop: Shop) -> None:
    """A slow handler is waited for, and then paid."""
    by, began = payer(f"slow-{shop.name}"), time.monotonic()
    assert shop.bought(by, sleep="0.5").status_code == 200
    assert time.monotonic() - began >= 0.5


def _answer(url: str, request: bytes) -> str:
    target = urlsplit(url)
    with socket.create_connection((target.hostname, target.port), timeout=10) as connection:
        connection.sendall(request)
        received = b""
        while part := connection.recv(65536):
            received += part
    return received.decode("latin-1")


def _challenge(answer: str) -> str:
    found = re.search(r"(?im)^payment-required: *([A-Za-z0-9+/=]+)", answer)
    return base64.b64decode(found[1]).decode() if found else ""
