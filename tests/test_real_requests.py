"""Servers that others wrote, asked in every way: they are red where true_defects.toml says, and nowhere else."""

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

DEFECTS: list[dict[str, Any]] = tomllib.loads((Path(__file__).parent / "true_defects.toml").read_text("utf-8"))["round"]
NAMES = (*servers.NAMES, *servers.ROUTED)
PATHS = {"weather": "/weather", "reports": "/reports/today", "cities": "/cities/paris"}
"""Endpoint -> its path; only servers of version 2 have the last two, whose prices are on a pattern."""

PROFILE = """\
edition = "2026.11"
[target]
name = "Weather"
base_url = "{url}"
timeout = 4.0
[facilitator]
listen = "127.0.0.1:{port}"
[claims]
classes = ["requests"]
"""
ENDPOINT = """\
[[endpoint]]
name = "{name}"
path = "{path}"
protocol = "x402"
versions = [{version}]
marker = "sunny"
"""
WITNESS = """\
witness = { path = "/stats", pointer = "/handled/weather" }
"""


@pytest.fixture(scope="module", params=NAMES)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Ran]]:
    """Each server in turn: its name, and a run that asks it in every way."""
    name: str = request.param
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Newer servers ask their facilitator at the start, and a run brings its own only then.
    early = facilitator.start(port=port)
    with servers.running(name, early.url) as url:
        until = time.monotonic() + 5
        while name[-1] == "2" and not early.control.calls() and time.monotonic() < until:
            time.sleep(0.05)
        early.stop()
        text = PROFILE.format(url=url, port=port) + "".join(_written(name, endpoint) for endpoint in _asked(name))
        yield name, session(tmp_path_factory.mktemp(name), text=text, within=120)


def _asked(name: str) -> tuple[str, ...]:
    """The endpoints that a server is asked at; an old one at those alone whose price is on a pattern."""
    if name[-1] == "1":
        return ("weather",)
    return ("reports", "cities") if "_old_" in name else tuple(PATHS)


def _written(name: str, endpoint: str) -> str:
    """An endpoint as the profile has it; the marker tells all that is wrong with a pattern, and a witness takes time."""
    plain = ENDPOINT.format(name=endpoint, path=PATHS[endpoint], version=name[-1])
    return plain + WITNESS if endpoint == "weather" else plain


def _listed(name: str) -> list[dict[str, Any]]:
    """What true_defects.toml says of a server."""
    return [defect for defect in DEFECTS if name in defect["servers"]]


def test_a_real_server_has_the_ways_round_that_are_listed_and_no_other(run: tuple[str, Ran]) -> None:
    """What a run shows is what true_defects.toml lists: no other violation, error or open question."""
    name, ran = run
    assert ran.report, ran.out
    shown = {key: outcome for key, outcome in ran.outcomes.items() if outcome not in {"passed", "inapplicable"}}
    assert shown == {f"{had['id']} {had['endpoint']}": had["outcome"] for had in _listed(name)}, ran.out


def test_the_answer_in_another_way_shows_the_defect(run: tuple[str, Ran]) -> None:
    """Each listed exchange stands in the report, with the listed bytes of the request, and the status and bytes that came."""
    name, ran = run
    for defect in _listed(name):
        exchange = Exchange.from_json(ran.report["exchanges"][f"{defect['endpoint']}/{defect['exchange']}@main"])
        assert exchange.request.line == defect["line"], defect
        assert exchange.response
        assert exchange.response.status == defect["status"], defect
        told = "\n".join(f"{key}: {value}" for key, value in exchange.response.headers) + exchange.response.text()
        assert [part for part in defect["shows"] if part not in told] == [], defect


def test_each_way_round_is_of_the_class() -> None:
    """The table lists what these runs judge, of servers that we run."""
    assert [defect["id"] for defect in DEFECTS if not defect["id"].startswith("requests.")] == []
    assert {name for defect in DEFECTS for name in defect["servers"]} <= set(NAMES)


def test_a_way_past_a_pattern_is_of_an_old_release_alone() -> None:
    """Each old release is open in three ways at least where its price is on a pattern, and no current one is in any of them."""
    opened = {(name, had["id"]) for had in DEFECTS for name in had["servers"] if had["outcome"] == "violated"}
    current = {id for name, id in opened if "_old_" not in name}
    assert current == {"requests.head-runs-nothing", "requests.target-forms"}
    for name in ("fastapi", "flask", "express", "hono"):
        assert len({id for at, id in opened if at == f"{name}_old_v2"} - current) >= 3, name
