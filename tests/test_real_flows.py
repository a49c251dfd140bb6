"""Stand-ins for Stripe that others wrote, asked what a declined customer can do: another card opens, the old one closes."""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import httpx
import pytest
from real import servers
from sessions import Ran, session

from conformance import catalogue

LOGIN = "Basic " + base64.b64encode(b"sk_test_nobody:").decode()

PROFILE = """\
edition = "2026.11"
extends = "stripe"
[target]
name = "Stripe"
base_url = "{url}"
timeout = 5.0
[claims]
classes = ["flows"]
[identity.account]
headers = {{ Authorization = {{ env = "STRIPE_LOGIN" }} }}
[[endpoint]]
name = "charged"
method = "POST"
path = "/v1/charges"
form = {{ amount = "1000", currency = "usd", customer = "{customer}" }}
answers = ["card-error"]
identity = "account"
marker = {{ pointer = "/captured" }}
[[answer]]
name = "card-error"
when = {{ jmespath = "error.code == 'card_declined'" }}
[[flow]]
name = "another card"
endpoint = "charged"
identity = "account"
steps = [{{ method = "POST", path = "/v1/customers/{customer}", form = {{ {good} }} }}]
undo = [{{ method = "POST", path = "/v1/customers/{customer}", form = {{ {undo} }} }}]
"""
OPENED = {"flows.steps-answer", "flows.remedy-opens", "flows.refused-after-undo", "flows.refused-again-alike"}
SAID = {"flows.client-action"}
UNSEEN = {r.id for r in catalogue.load().requirements.values() if r.cls == "flows" and "observe" in r.needs}
"""What nobody sees where nothing tells what there is: a stand-in counts nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payer:
    """A customer, and the forms that give it a card that is good and one that is declined."""

    customer: str
    good: Mapping[str, str]
    bad: Mapping[str, str]


def payer(name: str, url: str) -> Payer:
    """A customer whose card is declined when it is charged, and who has a good one."""
    with httpx.Client(base_url=url, headers={"Authorization": LOGIN}, trust_env=False, timeout=10) as client:

        def made(path: str, **form: str) -> str:
            answer = client.post(path, data=form)
            assert answer.status_code == 200, answer.text
            id: str = answer.json()["id"]
            return id

        customer = made("/v1/customers", email="a@shop.example")
        if name == "localstripe":
            expiry = {"card[exp_month]": "12", "card[exp_year]": "2030", "card[cvc]": "123"}
            bad, good = (
                made("/v1/payment_methods", type="card", **expiry, **{"card[number]": number})
                for number in ("4000000000000341", "4242424242424242")
            )
            for method in (bad, good):
                made(f"/v1/payment_methods/{method}/attach", customer=customer)
            key = "invoice_settings[default_payment_method]"
        else:
            bad, good = (
                made(f"/v1/customers/{customer}/sources", source=token)
                for token in ("tok_chargeCustomerFail", "tok_visa")
            )
            key = "default_source"
        made(f"/v1/customers/{customer}", **{key: bad})
    return Payer(customer=customer, good={key: good}, bad={key: bad})


def _form(form: Mapping[str, str]) -> str:
    return ", ".join(f'"{key}" = "{value}"' for key, value in form.items())


@pytest.fixture(scope="module", params=servers.STRIPES)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """The run that judges one of them."""
    name: str = request.param
    with servers.running(name) as url:
        who = payer(name, url)
        text = PROFILE.format(url=url, customer=who.customer, good=_form(who.good), undo=_form(who.bad))
        yield session(tmp_path_factory.mktemp("flows"), text=text, env={"STRIPE_LOGIN": LOGIN}, within=120)


def test_another_card_opens_and_the_old_one_closes_again(run: Ran) -> None:
    """A remedy that works, and its end, are seen on servers that we did not write; nothing of them is red."""
    assert run.report, run.out
    came = {row["requirement"]: row["outcome"] for row in run.report["results"]}
    assert {id for id, outcome in came.items() if outcome == "passed"} == OPENED | SAID, run.out
    assert {id for id, outcome in came.items() if outcome not in {"passed", "inapplicable"}} == UNSEEN
    assert run.verdict == "incomplete"


def test_the_request_is_the_same_before_and_after(run: Ran) -> None:
    """What is declined, served and declined again are the same bytes, but for the key under which they come."""
    sent = {
        key.partition(": ")[2].partition("@")[0]: exchange
        for key, exchange in run.report["exchanges"].items()
        if "another card #1: " in key
    }
    three = [sent[name] for name in ("refused", "opened", "refused again")]
    assert [exchange["response"]["status"] for exchange in three] == [402, 200, 402]
    assert three[0]["request"]["body"] == three[1]["request"]["body"] == three[2]["request"]["body"]
