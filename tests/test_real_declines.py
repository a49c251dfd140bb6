"""Stand-ins for Stripe that others wrote, asked for cards that are declined: red where true_defects.toml says, only."""

import base64
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from real import servers
from sessions import Ran, session

from conformance import catalogue
from conformance.exchange import Exchange

DEFECTS: list[dict[str, Any]] = tomllib.loads((Path(__file__).parent / "true_defects.toml").read_text("utf-8"))[
    "decline"
]
# Neither knows one key from another, as long as it is one of a test.
KEY = "sk_test_nobody"
LOGIN = "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()

PROFILE = """\
edition = "2026.11"
extends = "stripe"
[target]
name = "Stripe"
base_url = "{url}"
timeout = 5.0
headers = {{ Authorization = {{ env = "STRIPE_LOGIN" }} }}
[claims]
classes = ["http", "decline"]
"""
ENDPOINT = """\
[[endpoint]]
name = "{name}"
method = "POST"
path = "{path}"
answers = ["card-error"]
marker = {{ pointer = "/id" }}
form = {{ {form} }}
"""
# What whoever uses localstripe writes next: its declines are known by their code, since their type is another.
WIDER = """\
[[answer]]
name = "card-error"
when = { jmespath = "error.code == 'card_declined'" }
"""
TOKENS = {
    "declined": "tok_chargeDeclined",
    "no-funds": "tok_chargeDeclinedInsufficientFunds",
    "fraudulent": "tok_chargeDeclinedFraudulent",
    "expired": "tok_chargeDeclinedExpiredCard",
    "wrong-cvc": "tok_chargeDeclinedIncorrectCvc",
    "processing": "tok_chargeDeclinedProcessingError",
}
RUNS = {
    "stripe_stateful_mock": "stripe_stateful_mock",
    "localstripe": "localstripe",
    "localstripe, wider": "localstripe",
}
"""What is judged -> the server that is run for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A path, and the form that is posted to it."""

    path: str
    form: Mapping[str, str]


def _tokens() -> dict[str, Asked]:
    """Sources that are declined, each for a reason of its own."""
    form = {"amount": "1000", "currency": "usd"}
    return {name: Asked(path="/v1/charges", form=form | {"source": token}) for name, token in TOKENS.items()}


def _cards(url: str) -> dict[str, Asked]:
    """Cards that are declined when a customer gets them, when they are charged, and when they are confirmed."""
    with httpx.Client(base_url=url, headers={"Authorization": LOGIN}, trust_env=False, timeout=10) as client:

        def made(path: str, **form: str) -> str:
            answer = client.post(path, data=form)
            assert answer.status_code == 200, answer.text
            id: str = answer.json()["id"]
            return id

        customer = made("/v1/customers", email="a@shop.example")
        expiry = {"card[exp_month]": "12", "card[exp_year]": "2030", "card[cvc]": "123"}
        refused, empty = (
            made("/v1/payment_methods", type="card", **expiry, **{"card[number]": number})
            for number in ("4000000000000002", "4000000000000341")
        )
        made(f"/v1/payment_methods/{empty}/attach", customer=customer)
    form = {"amount": "1000", "currency": "usd"}
    confirmed = form | {"payment_method": "pm_card_visa_chargeDeclined", "confirm": "true"}
    return {
        "attached": Asked(path=f"/v1/payment_methods/{refused}/attach", form={"customer": customer}),
        "charged": Asked(path="/v1/charges", form=form | {"customer": customer, "source": empty}),
        "confirmed": Asked(path="/v1/payment_intents", form=confirmed),
    }


@pytest.fixture(scope="module", params=RUNS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Ran]]:
    """What is judged, and the run that judges it."""
    name: str = request.param
    with servers.running(RUNS[name]) as url:
        asked = _cards(url) if RUNS[name] == "localstripe" else _tokens()
        text = PROFILE.format(url=url)
        if name == "localstripe, wider":
            # That one is no decline by any rule.
            del asked["confirmed"]
            text += WIDER
        for endpoint, what in asked.items():
            form = ", ".join(f'"{key}" = "{value}"' for key, value in what.form.items())
            text += ENDPOINT.format(name=endpoint, path=what.path, form=form)
        yield name, session(tmp_path_factory.mktemp("declines"), text=text, env={"STRIPE_LOGIN": LOGIN}, within=120)


def test_a_stand_in_for_stripe_is_red_where_it_is_wrong_and_nowhere_else(run: tuple[str, Ran]) -> None:
    """What a run shows is what true_defects.toml lists, beside what a listed defect or a lack of ours keeps unseen."""
    name, ran = run
    assert ran.report, ran.out
    listed = {(_endpoint(row), row["id"]): row["outcome"] for row in DEFECTS if row["run"] == name}
    red = {
        (r["endpoint"], r["requirement"]): _word(r)
        for r in ran.report["results"]
        if _word(r) not in {"passed", "inapplicable"}
        and not (r["outcome"] == "untestable" and (r["endpoint"], r["finding"].get("cause")) in listed)
    }
    assert red == listed


def _endpoint(row: dict[str, Any]) -> str:
    name: str = row["exchange"].partition("/")[0]
    return name


def _word(row: dict[str, Any]) -> str | None:
    """The outcome of a row; a MAY that passed with a finding is ``noted``."""
    word: str | None = row["outcome"]
    return "noted" if word == "passed" and row["finding"] else word


def test_the_answer_to_a_declined_card_shows_the_defect(run: tuple[str, Ran]) -> None:
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


def test_a_listed_decline_is_of_a_run_and_has_its_clause() -> None:
    """The table speaks of runs that there are and requirements that are judged, each at most once, with its clause."""
    judged = {requirement.id for requirement in catalogue.load().judged()}
    assert {row["run"] for row in DEFECTS} <= set(RUNS)
    assert {row["id"] for row in DEFECTS} <= judged
    assert all(row["shows"] and row["clause"] for row in DEFECTS)
    assert len({(row["run"], row["exchange"], row["id"]) for row in DEFECTS}) == len(DEFECTS)
