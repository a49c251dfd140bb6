"""Servers that others wrote are red where they are wrong, and nowhere else."""

import base64
import re
import socket
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from real import servers
from sessions import session

from conformance import catalogue

DEFECTS: list[dict[str, Any]] = tomllib.loads((Path(__file__).parent / "true_defects.toml").read_text("utf-8"))[
    "defect"
]
VERSION = {"fastapi_v1": 1, "fastapi_v2": 2, "flask_v2": 2}

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
    ran = session(tmp_path, text=text.format(url=url, version=VERSION[name]))
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
