"""Requirements that need a server of their own: pages, identities, an outage, a service behind a gateway."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from altering import browses, when
from judging import Judged, judged, sandbox_profile
from serving import Altered, Answer, Asked, Change, served, then, unaltered
from variant import both

from conformance import profile
from conformance.outcome import Outcome, Verdict

Server = tuple[Altered, str]
Edit = Callable[[dict[str, Any]], None]

PAGE = """<!doctype html><html lang=en><head><title>Members only</title></head><body>
<a href="#main">Skip</a> <a href="/">Home</a> <h1>Read on</h1>
<p class=hint>Plans start at 9.99</p><a class=cta href="/subscribe">Subscribe</a></body></html>"""
REFUSED = {"code": "subscription_required", "message": "Subscribe to read on."}
ONLY = ("http.identities", "http.outage-is-5xx", "http.backend-agrees")
PAGES = ("paywall.page-",)
LEAKS = ("http.no-card-number", "http.no-card-secret", "http.no-echo", "http.no-personal-data", "http.body-is")


async def _shop(scope: Any, _: Any, send: Any) -> None:
    """A magazine that is refused by 403 to who has not subscribed, and by 401 to who brings a key that is wrong."""
    headers = {k.decode().lower(): v.decode() for k, v in scope["headers"]}
    page = "text/html" in headers.get("accept", "")
    status, text = 403, PAGE if page else json.dumps(REFUSED)
    if scope["path"] in {"/", "/subscribe"}:
        status, text, page = 200, PAGE, True
    elif "api-key" in headers:
        status, text, page = 401, '{"code": "unknown_key"}', False
    elif b"outage" in scope["query_string"]:
        status, text, page = 503, '{"code": "provider_unavailable"}', False
    media_type = b"text/html; charset=utf-8" if page else b"application/json"
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", media_type)]})
    await send({"type": "http.response.body", "body": text.encode()})


def _profile(**endpoint: object) -> Edit:
    def edit(written: dict[str, Any]) -> None:
        facts = {"code": "/code", "message": "/message"}
        written["answer"] = [
            {"name": "unpaid", "family": "paywall", "status": [403], "when": {"jmespath": "code"}, "facts": facts}
        ]
        written["identity"] = {"stranger": {"headers": {"Api-Key": "wrong"}, "expect": [401]}}
        failing = {"query": {"outage": "1"}}
        written["endpoint"] = [
            {"name": "story", "path": "/story", "answers": ["unpaid"], "failing": failing, **endpoint}
        ]

    return edit


def _behind(base_url: str) -> Edit:
    return lambda written: written["target"].update(backend=base_url)


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Server, Server]]:
    """A gateway and a service behind it, on ports of their own."""
    with ExitStack() as stack:
        found = [stack.enter_context(served()) for _ in range(2)]
        for altered, _ in found:
            altered.inner = _shop
        yield found[0], found[1]


@pytest.fixture
def server(servers: tuple[Server, Server]) -> Server:
    return servers[0]


def _run(server: Server, only: tuple[str, ...], change: Change = unaltered, edit: Edit | None = None) -> Judged:
    altered, here = server
    altered.begin(change, where=())
    return judged(here, claims=["http", "paywall"], edit=edit or _profile(), only=only)


def _red(run: Judged) -> set[str]:
    assert run.of(Outcome.ERROR) == []
    return {result.requirement for result in run.red()}


def _page(text: str) -> Change:
    """What browsers see of the story."""
    return when(
        lambda asked: browses(asked) and asked.path == "/story", lambda answer: setattr(answer, "body", text.encode())
    )


def _subscribing(status: int) -> Change:
    return when(lambda asked: asked.path == "/subscribe", lambda answer: answer.become(status, "", "text/html"))


def test_a_page_that_leads_on_is_good(server: Server) -> None:
    """A title, something to follow that speaks of paying, and a page behind it, though links elsewhere come first."""
    run = _run(server, PAGES)
    assert {r.outcome for r in run.results.values()} == {Outcome.PASSED}
    found = run.results["paywall.page-leads", "story"]
    assert [e.request.url.rpartition("/")[2] for k, e in found.exchanges.items() if "/action@" in k] == ["subscribe"]


@pytest.mark.parametrize(
    ("change", "red"),
    [
        (_page(PAGE.replace("Members only", " ")), {"paywall.page-title"}),
        (_page("<title>Members only</title><h1>Payment Required</h1>"), {"paywall.page-action"}),
        (
            _page("<title>Members only</title><a href='#'>Buy</a><a href='/subscribe'><img></a>"),
            {"paywall.page-action"},
        ),
        (_page(PAGE.replace("/subscribe", "http://x:99999/")), {"paywall.page-leads"}),
        (_subscribing(404), {"paywall.page-leads"}),
        (_subscribing(410), {"paywall.page-leads"}),
        (_subscribing(500), {"paywall.page-leads"}),
    ],
)
def test_a_page_without_a_way_on_is_a_dead_end(server: Server, change: Change, red: set[str]) -> None:
    """Each thing that a person lacks is one requirement, and what cannot be followed is not said to lead anywhere."""
    run = _run(server, PAGES, change)
    assert _red(run) == red
    untestable = {r.requirement for r in run.of(Outcome.UNTESTABLE)}
    assert untestable == ({"paywall.page-leads"} if "paywall.page-action" in red else set())


@pytest.mark.parametrize(
    "change",
    [
        _subscribing(402),
        _subscribing(401),
        _subscribing(303),
        _page("<title>Pay</title><form method=post><button>Pay</button></form>"),
        _page("<title>Pay</title><form action='/subscribe'><button>Pay 9.99</button></form>"),
        _page("<title>Pay</title><a href='?step=2' aria-label='Subscribe'></a>"),
        when(browses, lambda answer: answer.say(REFUSED)),
        when(browses, lambda answer: answer.become(303)),
    ],
)
def test_a_page_of_another_make_is_good(server: Server, change: Change) -> None:
    """A login, a further payment, a form, a redirect, and no page at all are no dead ends."""
    run = _run(server, PAGES, change)
    assert {r.outcome for r in run.results.values()} <= {Outcome.PASSED, Outcome.INAPPLICABLE}, [
        str(r.finding) for r in run.results.values()
    ]


def test_a_page_that_leads_to_a_stranger_is_not_followed(server: Server) -> None:
    """What lies on another host is not asked, and not said to answer."""
    run = _run(server, PAGES, _page(PAGE.replace("/subscribe", "https://pay.example/")))
    assert {r.requirement for r in run.of(Outcome.UNTESTABLE)} == {"paywall.page-leads"}
    assert _red(run) == set()


def test_a_shop_that_keeps_reasons_apart_is_good(servers: tuple[Server, Server]) -> None:
    """A wrong key is 401, an outage 503, and the gateway says what the service says."""
    gateway, (behind, at) = servers
    behind.begin(then(unaltered), where=())
    run = _run(gateway, ONLY, edit=both(_profile(), _behind(at)))
    assert {r.outcome for r in run.results.values()} == {Outcome.PASSED}


@pytest.mark.parametrize("status", [402, 403, 200, 404])
def test_whoever_is_turned_away_otherwise_than_expected_is_told(server: Server, status: int) -> None:
    """A stranger is answered by a status that the profile expects, and by no other."""
    change = when(lambda asked: "api-key" in asked.headers, lambda answer: setattr(answer, "status", status))
    assert _red(_run(server, ONLY, change)) == {"http.identities"}


def test_whoever_is_answered_like_one_who_has_not_paid_is_told(server: Server) -> None:
    """A status that the profile expects is not enough: the code says that it is for want of money."""
    change = when(lambda asked: "api-key" in asked.headers, lambda answer: (answer.say(REFUSED), _be(answer, 403)))
    expects = both(_profile(), lambda written: written["identity"]["stranger"].update(expect=[401, 403]))
    assert _red(_run(server, ONLY, change, expects)) == {"http.identities"}


@pytest.mark.parametrize("status", [402, 403, 200, 303])
def test_an_outage_that_looks_like_a_refusal_is_told(server: Server, status: int) -> None:
    """Nobody was refused where the provider of payments was down."""
    change = when(lambda asked: "outage" in asked.query, lambda answer: (answer.say(REFUSED), _be(answer, status)))
    assert _red(_run(server, ONLY, change)) == {"http.outage-is-5xx"}


def test_an_outage_that_the_profile_does_not_bring_about_shows_nothing(server: Server) -> None:
    """A request that is wrong by itself is no outage."""
    change = when(lambda asked: "outage" in asked.query, lambda answer: answer.become(400, "{}", "application/json"))
    run = _run(server, ONLY, change)
    assert {r.requirement for r in run.of(Outcome.UNTESTABLE)} == {"http.outage-is-5xx"}
    unnamed = both(_profile(), lambda written: written["endpoint"][0].pop("failing"))
    assert _run(server, ONLY, edit=unnamed).results["http.outage-is-5xx", "story"].outcome is Outcome.INAPPLICABLE


def _be(answer: Answer, status: int) -> None:
    answer.status = status


def _says(**members: object) -> Callable[[Answer], None]:
    return lambda answer: answer.say(REFUSED | members) if answer.status == 403 else None


@pytest.mark.parametrize(
    ("alter", "red"),
    [
        (_says(code="payment_required"), True),
        (lambda answer: setattr(answer, "status", 402), True),
        (lambda answer: answer.become(403, "Forbidden"), True),
        (_says(message="Other words.", trace="a1"), False),
        (lambda answer: answer.set("Server", "behind"), False),
    ],
)
def test_a_service_behind_a_gateway_says_the_same(
    servers: tuple[Server, Server], alter: Callable[[Answer], object], red: bool
) -> None:
    """Status, rule and code are those of the gateway; words and fields are its own."""
    gateway, (behind, at) = servers
    behind.begin(when(lambda _: True, alter), where=())
    run = _run(gateway, ONLY, edit=both(_profile(), _behind(at)))
    assert _red(run) == ({"http.backend-agrees"} if red else set())


def test_a_service_behind_is_asked_with_the_same_request(servers: tuple[Server, Server]) -> None:
    """Method, query, fields, identity and content go to the backend as they go to the gateway."""
    gateway, (behind, at) = servers
    seen: list[Asked] = []
    behind.begin(lambda asked, _: seen.append(asked), where=())
    edit = both(
        _profile(method="POST", json={"a": 1}, query={"q": "1"}, headers={"X-Own": "2"}),
        _behind(f"{at}/v1"),
        lambda written: written["target"].update(headers={"X-All": "3"}),
    )
    _run(gateway, ONLY, edit=edit)
    (asked,) = seen
    assert (asked.method, asked.path, asked.query) == ("POST", "/v1/story", "q=1")
    assert (asked.headers["x-own"], asked.headers["x-all"], asked.headers["content-length"]) == ("2", "3", "8")


@pytest.mark.parametrize(
    ("said", "red"),
    [
        ({"pan": "4000300011112220"}, "http.no-card-number"),
        ({"cvv": "123"}, "http.no-card-secret"),
        ({"owner": "jane.roe@post.example"}, "http.no-personal-data"),
    ],
)
def test_a_leak_is_one_under_any_status_that_the_profile_declares(
    server: Server, said: dict[str, str], red: str
) -> None:
    """A refusal by 403 gives away no more than one by 402."""
    run = _run(server, LEAKS, when(lambda asked: not browses(asked), _says(**said)))
    assert _red(run) == {red}
    assert (run.verdict is Verdict.NOT_CONFORMANT) == red.startswith("http.no-card")


def test_a_form_is_read_as_one(server: Server) -> None:
    """What was sent as a form, and comes back as one, is found under its names."""
    edit = _profile(method="POST", form={"number": "4000300011112220", "cvc": "737", "password": "open sesame"})
    content = "result=declined&card_cvc=737&pass=open+sesame&number=400030......2220"

    def change(_: Asked, answer: Answer) -> None:
        answer.body = content.encode()
        answer.set("Content-Type", "application/x-www-form-urlencoded")
        answer.status = 402

    run = _run(server, LEAKS, change, edit)
    assert _red(run) == {"http.no-card-secret", "http.no-echo"}


def test_a_long_answer_is_scanned_in_time(server: Server) -> None:
    """Digits, addresses and names without end take no more than a moment."""
    text = json.dumps([*("1" * 200_000, "4 " * 100_000, "a." * 100_000 + "@", "a@" + "b." * 100_000, "cvc=" * 50_000)])
    change = when(
        lambda asked: not browses(asked), lambda answer: (answer.say(REFUSED), setattr(answer, "body", text.encode()))
    )
    edit = both(_profile(), lambda written: written["answer"][0].pop("when"))
    run = _run(server, LEAKS, change, edit)
    assert _red(run) == set()
    assert max(result.took for result in run.results.values()) < 2


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda w: w["identity"]["stranger"].update(expect=[401, 402]), "has 402"),
        (lambda w: w["identity"]["stranger"].update(expect=[]), "a list of at least one status"),
        (lambda w: w["endpoint"][0].update(identity="stranger"), "who is always answered otherwise"),
        (lambda w: w["endpoint"][0].update(paid_identity="stranger"), "who is always answered otherwise"),
        (
            lambda w: w["answer"][0].update(allow_sensitive=["/payer", ""]),
            r"allow_sensitive\[1\] is \"\", which is all",
        ),
        (lambda w: w["answer"][0].update(allow_sensitive=["/*/*"]), "which is all of an answer"),
        (lambda w: w["target"].update(backend="http://a:b@behind.example"), "holds a user name or password"),
        (lambda w: w["target"].update(backend="behind.example"), "an http or https URL"),
    ],
)
def test_a_profile_that_expects_the_impossible_is_refused(edit: Edit, says: str) -> None:
    """Each contradiction is told by its key before anything is asked."""
    with pytest.raises(profile.ProfileError, match=says):
        sandbox_profile("http://127.0.0.1:1", both(_profile(), edit))


def test_the_host_behind_is_one_that_may_be_contacted() -> None:
    """Who names a backend need not name it as a helper as well."""
    edit = both(_profile(), _behind("http://127.0.0.1:2/v1"), lambda written: written.pop("claims"))
    loaded = sandbox_profile("http://127.0.0.1:1", edit)
    assert loaded.target.helpers == ("127.0.0.1:2",)
    assert loaded.at("http://127.0.0.1:3").target.helpers == ("127.0.0.1:2",)
