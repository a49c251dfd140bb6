"""What a target advertises of itself, held against what it charges."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from altering import extension
from judging import Edit, Judged, judged
from serving import GOODS, Altered, Answer, Asked, Change, offer, served, then, unaltered

from conformance import catalogue
from conformance.outcome import Outcome, Verdict

Server = tuple[Altered, str]
LIST, DOCUMENT = "/.well-known/x402", "/openapi.json"
IDS = catalogue.editions()["2026.11"].classes["discovery"]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served() as found:
        yield found


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One target."""

    name: str
    change: Change = unaltered
    red: tuple[str, ...] = ()
    allows: tuple[str, ...] = ()
    """Phrases of the catalogue, each after its id and a colon."""
    why: str = ""
    edit: Edit | None = None
    claims: tuple[str, ...] = ("discovery",)


def run_of(server: Server, case: Case) -> Judged:
    """The class, judged of the sandbox as it is changed."""
    altered, here = server
    altered.begin(case.change, where=())
    return judged(here, claims=case.claims, edit=case.edit, examples=2)


def at(path: str, change: Change) -> Change:
    """``change`` at one path."""

    def altered(asked: Asked, answer: Answer) -> None:
        if asked.path == path:
            change(asked, answer)

    return altered


def becomes(status: int, text: str = "", media: str = "application/json") -> Change:
    """Another answer."""
    return lambda _, answer: answer.become(status, text, media)


def body(alter: Callable[[Any], Any]) -> Change:
    """Another JSON document: ``alter`` changes it in place, or returns another."""

    def altered(_: Asked, answer: Answer) -> None:
        document = json.loads(answer.body)
        other = alter(document)
        answer.body = json.dumps(document if other is None else other).encode()

    return altered


def lists(alter: Callable[[Any], Any]) -> Change:
    """Another list."""
    return at(LIST, body(alter))


def item(number: int = 0, **members: Any) -> Change:
    """Other members of one item of the list."""
    return lists(lambda document: document["items"][number].update(members))


def way(**members: Any) -> Change:
    """Other terms of the first item."""
    return lists(lambda document: document["items"][0]["accepts"][0].update(members))


def only(*entries: Any) -> Change:
    """A list of nothing else."""
    return lists(lambda _: {"version": 1, "resources": list(entries)})


def priced(price: Any, path: str = "/weather") -> Change:
    """Another price in the document."""
    return at(DOCUMENT, body(lambda document: document["paths"][path]["get"]["x-payment-info"].update(price=price)))


def bazaar(told: Any, **more: Any) -> Change:
    """An extension in every offer of version 2 that is had by GET."""
    value = {"info": {"input": told}, "schema": {"type": "object"}, **more}

    def altered(asked: Asked, answer: Answer) -> None:
        if asked.method == "GET":
            extension(value)(asked, answer)

    return altered


GET = {"type": "http", "method": "GET"}
NO_LIST = at(LIST, becomes(404))
NO_DOCUMENT = at(DOCUMENT, becomes(404))


def unpaid(path: str, change: Change) -> Change:
    """``change`` at one path for whoever has not paid."""
    return at(path, lambda asked, answer: change(asked, answer) if answer.status == 402 else None)


def red(name: str, change: Change, *ids: str, why: str = "", **more: Any) -> Case:
    """A fault."""
    return Case(name=name, change=change, red=tuple(f"discovery.{id}" for id in ids), why=why, **more)


FAULTS = (
    red("the list costs", at(LIST, becomes(402, "{}")), "list", why="402 Payment Required"),
    red("the list wants a login", at(LIST, becomes(401, "{}")), "list"),
    red("the list is broken", at(LIST, becomes(200, '{"resources": [')), "list", why="expected JSON"),
    red("the list has numbers", lists(lambda document: document["resources"].append(7)), "list", why="/resources/5"),
    red("the list has no address", lists(lambda document: document["items"].append({"name": "rain"})), "list"),
    red("what is listed is not there", only("/rain"), "listed-is-charged", why="404 Not Found"),
    red("what is listed is free", only("/health"), "listed-is-charged", why="200 OK"),
    red(
        "what is listed is by another method",
        only({"resource": "/report", "method": "DELETE"}),
        "listed-is-charged",
        why="405",
    ),
    red(
        "a listed method is free",
        then(
            only({"resource": "/weather", "method": "PUT"}),
            lambda asked, answer: (
                answer.become(200, "{}") if (asked.method, asked.path) == ("PUT", "/weather") else None
            ),
        ),
        "listed-is-charged",
    ),
    red("it is listed for less", way(amount="1"), "listed-terms", why="10000"),
    red("it is listed for more", way(amount="20000"), "listed-terms"),
    red("it is listed with another payee", way(payTo="0x" + "12" * 20), "listed-terms", why="payTo"),
    red("it is listed on another network", way(network="eip155:8453"), "listed-terms", why="network and asset"),
    red("it is listed in another asset", way(asset="0x" + "12" * 20), "listed-terms"),
    red("it is listed under another scheme", way(scheme="upto"), "listed-terms", why="scheme"),
    red(
        "version 1 is listed for less",
        lists(lambda document: document["items"][1]["accepts"][0].update(maxAmountRequired="1")),
        "listed-terms",
    ),
    red(
        "it is listed in dollars for less",
        only({"path": "/weather", "method": "GET", "price": "$0.001"}),
        "listed-terms",
        why="0.001 USD",
    ),
    red(
        "it is listed under another name for less",
        lists(
            lambda document: {
                "items": [
                    {
                        **document["items"][0],
                        "resource": "https://api.example.com/weather",
                        "accepts": [{**document["items"][0]["accepts"][0], "amount": "7"}],
                    }
                ]
            }
        ),
        "listed-terms",
    ),
    red(
        "an operation with a price is free",
        then(
            NO_LIST,
            at(
                DOCUMENT,
                body(
                    lambda document: document["paths"]["/health"]["get"].update(
                        {"x-payment-info": {"price": {"mode": "fixed", "amount": "1", "currency": "USD"}}}
                    )
                ),
            ),
        ),
        "documented-is-charged",
    ),
    red(
        "an operation with a price is not there",
        at(DOCUMENT, body(lambda document: document["paths"].update({"/rain": document["paths"].pop("/satellite")}))),
        "documented-is-charged",
        why="404",
    ),
    red(
        "an operation has its price at another method",
        at(
            DOCUMENT,
            body(lambda document: document["paths"]["/weather"].update(put=document["paths"]["/weather"].pop("get"))),
        ),
        "documented-is-charged",
        why="405",
    ),
    red(
        "an operation is said to cost less",
        priced({"mode": "fixed", "amount": "0.001", "currency": "USD"}),
        "documented-price",
    ),
    red(
        "an operation is out of its range",
        priced({"mode": "dynamic", "min": "1", "max": "2", "currency": "USD"}),
        "documented-price",
        why="1 to 2 USD",
    ),
    red("bazaar has no input", bazaar(None), "bazaar-info"),
    red("bazaar has no type", bazaar({"method": "GET"}), "bazaar-info", why='type "http" or "mcp"'),
    red("bazaar has no method", bazaar({"type": "http"}), "bazaar-info", why="a method, one of"),
    red("bazaar has an odd method", bazaar({"type": "http", "method": "get"}), "bazaar-info"),
    red(
        "bazaar does not say of what type the body is",
        bazaar({"type": "http", "method": "POST"}),
        "bazaar-info",
        "declared-method",
        why="bodyType",
    ),
    red("bazaar has a tool without a name", bazaar({"type": "mcp", "inputSchema": {}}), "bazaar-info", why="toolName"),
    red(
        "bazaar has a tool that takes nothing",
        bazaar({"type": "mcp", "toolName": "x"}),
        "bazaar-info",
        why="inputSchema",
    ),
    red("the route climbs", bazaar(GET, routeTemplate="/a/%252e%252e/b"), "bazaar-route", why="without .."),
    red("the route is an address", bazaar(GET, routeTemplate="https://evil.example/"), "bazaar-route"),
    red(
        "the route is another",
        bazaar(GET, routeTemplate="/rain/:city"),
        "bazaar-route",
        why="a route that /weather is of",
    ),
    red("the declared method is another", bazaar({"type": "http", "method": "DELETE"}), "declared-method", why="405"),
)


def legal(name: str, change: Change, *allows: str, **more: Any) -> Case:
    """A correct target."""
    return Case(name=name, change=change, allows=allows, **more)


def _another_payee() -> Change:
    """Each offer pays another one, the listed one never."""
    seen = [0]

    def altered(asked: Asked, answer: Answer) -> None:
        if asked.path in GOODS and answer.status == 402:
            seen[0] += 1
            payee = f"0x{seen[0]:040x}"
            offer(lambda document, _: [one.update(payTo=payee) for one in document["accepts"]] and None)(asked, answer)

    return altered


_MAIN = {
    "scheme": "exact",
    "network": "eip155:8453",
    "asset": "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
    "amount": "10000",
    "payTo": "0x" + "12" * 20,
}
"""What is taken by the server of the world."""

LEGAL = (
    legal("it is the sandbox", unaltered),
    *(
        legal(
            f"it answers {status} to whatever it does not sell",
            lambda asked, answer, status=status: None if asked.path in GOODS else answer.become(status, "{}"),
            "discovery.list: 402 or 401 for whatever is asked for",
            claims=("discovery", "http"),
        )
        for status in (401, 402)
    ),
    legal(
        "it lists nothing",
        then(NO_LIST, NO_DOCUMENT, bazaar(GET)),
        "discovery.list: no list",
        "discovery.documented-is-charged: no document",
    ),
    legal(
        "a page stands where the list would be",
        then(
            at(LIST, becomes(200, "<!doctype html><div id=root>", "text/html")),
            at(DOCUMENT, becomes(200, "<!doctype html>", "text/html")),
            bazaar(GET),
        ),
        "discovery.list: a page of the site in its place",
    ),
    legal("its list is of a kind that nobody knows", lists(lambda _: {"services": []})),
    legal("its list is empty", lists(lambda _: {"version": 1, "resources": []})),
    legal(
        "its list is at the other place",
        lambda asked, answer: (
            answer.become(404)
            if asked.path == LIST
            else (answer.become(200, '{"resources": ["/weather"]}') if asked.path == f"{LIST}.json" else None)
        ),
    ),
    legal("its list is a list", lists(lambda document: document["items"])),
    legal("no method is told", only("/weather", "/report"), "discovery.listed-is-charged: no method that is told"),
    legal("methods are told in words", only("POST /report", "GET /weather")),
    legal(
        "its list has the name of the world",
        lists(
            lambda document: json.loads(
                json.dumps(document).replace(
                    document["resources"][0].removesuffix("/weather"), "https://api.example.com"
                )
            )
        ),
    ),
    legal(
        "it lists others",
        lists(lambda document: document["resources"].append("https://other.example/rain")),
        "discovery.list: addresses at other hosts",
    ),
    legal(
        "it lists what is free as free",
        lists(lambda document: document["items"].append({"path": "/health", "price": "free"})),
        "discovery.listed-is-charged: what is said to be free",
    ),
    legal(
        "it lists paths with parameters",
        lists(lambda document: document["resources"].extend(["/rain/{city}", "/rain/:city"])),
        "discovery.listed-is-charged: a path with parameters",
    ),
    legal(
        "what is listed wants a body",
        then(only({"resource": "/translate", "method": "POST"}, "/weather"), at("/translate", becomes(422, "{}"))),
        "discovery.listed-is-charged: 400, 401, 403 or 422 for a request without its body",
    ),
    legal(
        "no terms are listed",
        lists(lambda document: document.pop("items") and None),
        "discovery.listed-terms: no terms that are told",
    ),
    legal(
        "terms are told in dollars",
        only({"path": "/weather", "price": "$0.01"}, {"url": "/report", "price": "0.03 USDC"}),
    ),
    legal("terms are told in the words of version 1", way(network="base-sepolia")),
    legal("the asset is told by its symbol", way(asset="USDC")),
    legal("the amount is told in dollars", way(amount="0.01")),
    legal(
        "the payee is in capitals",
        lists(
            lambda document: document["items"][0]["accepts"][0].update(
                payTo=document["items"][0]["accepts"][0]["payTo"].lower()
            )
        ),
    ),
    legal(
        "there are further ways to pay",
        offer(
            lambda document, _: document["accepts"].append(
                {**document["accepts"][0], "network": "eip155:8453", "amount": "7"}
            ),
            versions=(2,),
        ),
        "discovery.listed-terms: further ways to pay in the offer",
    ),
    legal(
        "the payee is another one each time",
        _another_payee(),
        "discovery.listed-terms: a payee that is another one in each offer",
    ),
    legal(
        "a price in its range",
        priced({"mode": "dynamic", "min": "0.001", "max": "1", "currency": "USD"}),
        "discovery.documented-price: any price in a range that is told",
    ),
    legal(
        "a price in euros",
        priced({"mode": "fixed", "amount": "0.009", "currency": "EUR"}),
        "discovery.documented-price: a currency other than dollars",
    ),
    legal(
        "no price is told",
        at(
            DOCUMENT,
            body(
                lambda document: (
                    [op.pop("x-payment-info", None) for item in document["paths"].values() for op in item.values()]
                    and None
                )
            ),
        ),
        "discovery.documented-is-charged: no price that is told",
    ),
    legal("its document is in YAML", at(DOCUMENT, becomes(200, "openapi: 3.1.0\n", "application/yaml"))),
    legal(
        "bazaar has more to say",
        bazaar({**GET, "queryParams": {"city": "Paris"}, "discoverable": True}),
        "discovery.bazaar-info: members beyond",
    ),
    legal(
        "bazaar has less to say",
        bazaar(GET),
        "discovery.bazaar-info: no queryParams",
        "discovery.bazaar-route: no routeTemplate",
    ),
    legal(
        "bazaar has a tool",
        bazaar({"type": "mcp", "tool": "rain", "inputSchema": {}}),
        "discovery.bazaar-info: tool for toolName",
        "discovery.declared-method: no method that is declared",
    ),
    legal("the route has a parameter", bazaar(GET, routeTemplate="/:what")),
    legal(
        "the route is below a gateway",
        bazaar(GET, routeTemplate="/:what"),
        "discovery.bazaar-route: a route below the path of a gateway",
    ),
    legal(
        "nobody is shown a path that begins with a dot",
        lambda asked, answer: answer.become(403, "{}") if asked.path.startswith("/.") else None,
        "discovery.list: 403 for whatever begins with a dot",
    ),
    legal(
        "how is paid is told of the whole",
        lists(lambda document: document.update(accepts=[{"scheme": "exact", "network": "base-sepolia"}])),
        "discovery.list: how is paid, without an address",
    ),
    legal(
        "the list of the world takes other money than a server for tests",
        only({"resource": "https://api.example.com/weather", "accepts": [_MAIN]}, "/weather"),
        "discovery.listed-terms: other networks at another host than the listed one",
    ),
    legal(
        "an amount is told in a currency",
        only({"url": "/weather", "method": "GET", "amount": "1", "currency": "EUR", "payTo": _MAIN["payTo"]}),
    ),
    legal(
        "the declared method costs as well",
        then(
            bazaar({"type": "http", "method": "DELETE"}),
            lambda asked, answer: answer.become(402, "{}") if asked.method == "DELETE" else None,
        ),
        "discovery.declared-method: another method that costs as well",
    ),
)


@pytest.mark.parametrize("case", FAULTS, ids=lambda case: case.name)
def test_a_lie_turns_its_requirement_red_and_no_other(server: Server, case: Case) -> None:
    """Exactly what the table says, with a word of why."""
    run = run_of(server, case)
    told = [
        f"expected {r.finding.expected} received {r.finding.received} {r.finding.at}" for r in run.red() if r.finding
    ]
    assert {r.requirement for r in run.red()} == set(case.red), told
    assert case.why in " ".join(told), told


@pytest.mark.parametrize("case", LEGAL, ids=lambda case: case.name)
def test_what_may_be_advertised_otherwise_is_no_finding(server: Server, case: Case) -> None:
    """Nothing is red, nothing is left open."""
    run = run_of(server, case)
    bad = run.red() + run.of(Outcome.UNTESTABLE, Outcome.ERROR)
    assert [(r.requirement, r.finding) for r in bad if r.requirement in IDS] == []
    assert "http" in case.claims or run.verdict is Verdict.CONFORMANT, run.report.reservations


def test_who_advertises_nothing_is_not_judged_for_it(server: Server) -> None:
    """Claimed, there is nothing to claim: the run is incomplete. Not claimed, the class is left out."""
    nothing = Case(name="", change=then(NO_LIST, NO_DOCUMENT))
    assert run_of(server, nothing).verdict is Verdict.INCOMPLETE
    server[0].begin(nothing.change, where=())
    run = judged(server[1], edit=lambda written: written.pop("claims") and None, examples=2, only=("discovery",))
    assert run.report.unjudged["discovery"] == "nothing in it applies here"


LEFT = (
    Case(
        name="the declared method wants a body",
        change=then(
            bazaar({"type": "http", "method": "POST", "bodyType": "json"}),
            lambda asked, answer: (
                answer.become(422, "{}") if asked.method == "POST" and asked.path != "/report" else None
            ),
        ),
        red=("discovery.declared-method",),
        why="with what the profile sends",
    ),
    Case(
        name="the document has the path of another server",
        change=then(
            NO_LIST,
            at(DOCUMENT, body(lambda document: document.update(servers=[{"url": "https://api.example.com/v3"}]))),
        ),
        red=("discovery.documented-is-charged",),
        why="is not seen to cost anything",
    ),
)


@pytest.mark.parametrize("case", LEFT, ids=lambda case: case.name)
def test_what_cannot_be_told_of_an_advertisement_is_left_open(server: Server, case: Case) -> None:
    """Nothing is red, and what is left open says why."""
    run = run_of(server, case)
    assert run.red() == []
    left = {r.requirement: r.finding.reason for r in run.of(Outcome.UNTESTABLE) if r.finding}
    assert left.keys() == set(case.red)
    assert all(case.why in reason for reason in left.values()), left


def test_in_production_nothing_is_written(server: Server) -> None:
    """What is listed without a method is asked by GET alone."""

    def edit(written: dict[str, Any]) -> None:
        written["target"]["environment"] = "production"
        written["endpoint"] = written["endpoint"][:1]

    run = run_of(server, Case(name="", change=then(only("/rain"), NO_DOCUMENT), edit=edit))
    asked = {exchange.request.method for result in run.results.values() for exchange in result.exchanges.values()}
    assert asked == {"GET"}
    assert run.red() == []


def test_every_requirement_of_the_class_has_a_fault() -> None:
    """The union of the table is the class."""
    assert {id for case in FAULTS for id in case.red} == set(IDS)


def test_every_allowed_phrase_of_the_class_has_a_variant() -> None:
    """What the catalogue allows is what the legal variants show."""
    known = catalogue.load().requirements
    allowed = {f"{id}: {phrase}" for id in IDS for phrase in known[id].allowed}
    assert allowed == {phrase for case in LEGAL for phrase in case.allows}
