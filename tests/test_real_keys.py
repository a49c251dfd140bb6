"""Stand-ins for Stripe that others wrote, asked under idempotency keys: red where true_defects.toml says, only."""

import base64
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from real import servers
from sessions import Ran, session

from conformance.exchange import Exchange

DEFECTS: list[dict[str, Any]] = tomllib.loads((Path(__file__).parent / "true_defects.toml").read_text("utf-8"))["keyed"]
LOGIN = "Basic " + base64.b64encode(b"sk_test_nobody:").decode()
LACKING = {"idempotency.runs-once", "idempotency.another-caller"}
"""What no stand-in shows: neither counts what it does, and both know one account only."""

PROFILE = """\
edition = "2026.11"
extends = "stripe"
[target]
name = "Stripe"
base_url = "{url}"
timeout = 5.0
[claims]
classes = ["idempotency"]
[identity.account]
headers = {{ Authorization = {{ env = "STRIPE_LOGIN" }} }}
[[endpoint]]
name = "{name}"
method = "POST"
path = "{path}"
form = {{ {form} }}
answers = ["card-error"]
marker = {{ pointer = "/id" }}
paid_identity = "account"
"""
DECLINED = """\
[[endpoint]]
name = "declined"
method = "POST"
path = "/v1/charges"
form = { amount = "1000", currency = "usd", source = "tok_chargeDeclined" }
answers = ["card-error"]
identity = "account"
"""
RUNS = {
    "stripe_stateful_mock": PROFILE.replace("{name}", "charged")
    .replace("{path}", "/v1/charges")
    .replace("{form}", 'amount = "1000", currency = "usd", source = "tok_visa"')
    + DECLINED.replace("{", "{{").replace("}", "}}"),
    "localstripe": PROFILE.replace("{name}", "customers")
    .replace("{path}", "/v1/customers")
    .replace("{form}", 'email = "a@shop.example", "metadata[number]" = "7"'),
}
"""Server -> the profile that judges it."""


@pytest.fixture(scope="module", params=RUNS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Ran]]:
    """The server, and the run that judges it."""
    name: str = request.param
    with servers.running(name) as url:
        text = RUNS[name].format(url=url)
        yield name, session(tmp_path_factory.mktemp("keyed"), text=text, env={"STRIPE_LOGIN": LOGIN}, within=120)


def test_a_stand_in_keeps_its_keys_wrongly_where_the_table_says_and_nowhere_else(run: tuple[str, Ran]) -> None:
    """What a run shows is what true_defects.toml lists, beside what a listed defect or a lack of means keeps unseen."""
    name, ran = run
    assert ran.report, ran.out
    listed = {(row["exchange"].partition("/")[0], row["id"]): row["outcome"] for row in DEFECTS if row["run"] == name}
    red = {
        (r["endpoint"], r["requirement"]): r["outcome"]
        for r in ran.report["results"]
        if r["outcome"] not in {"passed", "inapplicable"}
        and not (r["outcome"] == "untestable" and r["requirement"] in LACKING)
        and not (r["outcome"] == "untestable" and (r["endpoint"], r["finding"].get("cause")) in listed)
    }
    assert red == listed
    assert [r for r in ran.report["results"] if r["outcome"] == "passed"]


def test_the_answer_under_a_key_shows_the_defect(run: tuple[str, Ran]) -> None:
    """Each listed exchange stands in the report with the listed status, what it shows and what it lacks."""
    name, ran = run
    for row in DEFECTS:
        if row["run"] != name:
            continue
        told = ran.report["exchanges"][f"{row['exchange']}@main"]
        if "sha256" in told["response"]["body"]:
            told["response"]["body"] = ran.report["bodies"][told["response"]["body"]["sha256"]]
        answer = Exchange.from_json(told).response
        assert answer
        assert answer.status == row["status"], row
        lines = [f"{key}: {value}" for key, value in answer.headers]
        text = "\n".join([f"{answer.version} {answer.status} {answer.reason}", *lines, answer.text()])
        assert [part for part in row["shows"] if part not in text] == [], row
        assert [part for part in row.get("lacks", ()) if part.lower() in text.lower()] == [], row
        assert row["clause"]
