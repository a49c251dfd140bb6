"""Servers that others wrote, paid by a whole run: they are red where true_defects.toml says, and nowhere else."""

import socket
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from real import servers
from sessions import Ran, session

from conformance import facilitator
from conformance.exchange import Exchange
from conformance.protocols.x402 import Malformed, object_in_base64

DEFECTS: list[dict[str, Any]] = tomllib.loads((Path(__file__).parent / "true_defects.toml").read_text("utf-8"))["paid"]
RACE = "x402.order.copies-run-once"
"""Which of the copies run shows in a race alone."""
PAYING = ("x402/guard", "x402/settlement", "x402/order")

PROFILE = """\
edition = "2026.11"
[target]
name = "Weather"
base_url = "{url}"
timeout = 4.0
[facilitator]
listen = "127.0.0.1:{port}"
[claims]
classes = ["x402/guard", "x402/settlement", "x402/order"]
[[endpoint]]
name = "weather"
path = "/weather"
protocol = "x402"
versions = [{version}]
marker = "sunny"
failing = {{ query = {{ boom = "1" }} }}
slow = {{ query = {{ sleep = "2" }} }}
witness = {{ path = "/stats", pointer = "/handled/weather" }}
"""


_ASKS_WITHIN = 5.0
"""Seconds in which a server of version 2 asks its facilitator at the start what it supports."""


@pytest.fixture(scope="module", params=servers.NAMES)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Ran]]:
    """Each server in turn: its name, and a run that pays it."""
    name: str = request.param
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Newer servers ask their facilitator at the start, and a run brings its own only then.
    early = facilitator.start(port=port)
    with servers.running(name, early.url) as url:
        until = time.monotonic() + _ASKS_WITHIN
        while name[-1] == "2" and not early.control.calls() and time.monotonic() < until:
            time.sleep(0.05)
        early.stop()
        text = PROFILE.format(url=url, port=port, version=name[-1])
        ran = session(tmp_path_factory.mktemp(name), text=text, within=300)
        if _listed(name).keys() - _shown(ran).keys() == {RACE}:
            # Two races in a row may be lost on a busy machine; what is red is never asked again.
            ran = session(tmp_path_factory.mktemp(name), text=text, within=300)
        yield name, ran


def _listed(name: str) -> dict[str, str]:
    """What true_defects.toml says of a server: requirement -> outcome."""
    return {defect["id"]: defect["outcome"] for defect in DEFECTS if defect["server"] == name}


def _shown(ran: Ran) -> dict[str, str]:
    """What a run says beside what holds or does not apply: requirement -> outcome."""
    results = ran.report.get("results", ())
    return {r["requirement"]: r["outcome"] for r in results if r["outcome"] not in {"passed", "inapplicable"}}


def test_a_paid_server_is_red_where_it_is_wrong_and_nowhere_else(run: tuple[str, Ran]) -> None:
    """What a run shows is what true_defects.toml lists: no other violation or unmet wish, no error, no open question."""
    name, ran = run
    assert ran.report, ran.out
    assert _shown(ran) == _listed(name)


def test_the_answer_to_a_payment_shows_the_defect(run: tuple[str, Ran]) -> None:
    """Each listed exchange stands in the report, with the listed status and bytes."""
    name, ran = run
    bodies = ran.report["bodies"]
    for defect in DEFECTS:
        if defect["server"] != name:
            continue
        told = ran.report["exchanges"][f"weather/{defect['exchange']}@main"]
        body = told.get("response", {}).get("body", {})
        if "sha256" in body:
            told["response"]["body"] = bodies[body["sha256"]]
        answer = Exchange.from_json(told).response
        assert (answer.status if answer else 0) == defect["status"], defect
        text = _whole(Exchange.from_json(told))
        assert [part for part in defect["shows"] if part not in text] == [], defect


def _whole(exchange: Exchange) -> str:
    """The answer as text, what stands in its fields as base64 decoded as well."""
    answer = exchange.response
    if answer is None:
        return ""
    lines = [f"{answer.version} {answer.status} {answer.reason}", answer.text()]
    for name, value in answer.headers:
        lines.append(f"{name}: {value}")
        try:
            lines += [str(text) for text in object_in_base64(value).values()]
        except Malformed:
            continue
    return "\n".join(lines)


def test_each_defect_is_of_a_class_that_pays() -> None:
    """The table lists what these runs judge."""
    prefixes = tuple(f"{cls.replace('/', '.')}." for cls in PAYING)
    assert [defect["id"] for defect in DEFECTS if not defect["id"].startswith(prefixes)] == []
