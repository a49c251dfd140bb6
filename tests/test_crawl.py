"""Class crawl on a site of its own: what turns each requirement red, what must not, and what is not said to hold."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from altering import when
from judging import Judged, judged, sandbox_profile
from serving import Altered, Answer, Asked, Change, served, then, unaltered

from conformance import catalogue, profile
from conformance.outcome import Outcome, Verdict
from conformance.rows import rows, unjudged

Server = tuple[Altered, str]
Edit = Callable[[dict[str, Any]], None]

PAID = "In the evening the rain fell upwards. " * 20
TEASER = '<div class="paywall"><a href="/subscribe">Subscribe to read on</a></div>'
FREE = "It had rained for three days when somebody looked up."
MARKUP: dict[str, Any] = {
    "@context": "https://schema.org",
    "@type": "NewsArticle",
    "isAccessibleForFree": False,
    "hasPart": {"@type": "WebPageElement", "isAccessibleForFree": False, "cssSelector": ".paywall"},
}
IDS = set(catalogue.editions()["2026.11"].classes["crawl"])


def _page(body: str, markup: object = MARKUP, head: str = "") -> str:
    said = "" if markup is None else f'<script type="application/ld+json">{json.dumps(markup)}</script>'
    return f"<!doctype html><html lang=en><head><title>Rain</title>{head}{said}</head><body>{body}</body></html>"


async def _site(scope: Any, _: Any, send: Any) -> None:
    """A correct site: a list of stories, one of which is paid, robots.txt, and a map."""
    headers = {k.decode().lower(): v.decode() for k, v in scope["headers"]}
    here, bought = f"http://{headers['host']}", headers.get("sandbox-account") == "subscriber"
    located = "".join(
        f"<url><loc>{at}</loc></url>"
        for at in (f"{here}/stories?a=1&amp;b=2", f" {here}/stories/rain ", "https://other.example/gone")
    )
    pages = {
        "/robots.txt": ("text/plain", "User-agent: *\nDisallow: /api/\n"),
        "/sitemap.xml": ("application/xml", f"<urlset>{located}</urlset>"),
        "/stories": ("text/html; charset=utf-8", _page(FREE, None)),
        "/stories/rain": (
            "text/html; charset=utf-8",
            _page(f"<p>{FREE}</p><p class='paywall'>{PAID}</p>" if bought else f"<p>{FREE}</p>{TEASER}"),
        ),
    }
    media_type, text = pages.get(scope["path"], ("application/json", '{"code": "subscription_required"}'))
    status = 200 if scope["path"] in pages else 402 if scope["path"] == "/api/story" else 404
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", media_type.encode())]})
    await send({"type": "http.response.body", "body": text.encode()})


def _profile(**crawl: object) -> Edit:
    def edit(written: dict[str, Any]) -> None:
        written["identity"] = {"subscriber": {"headers": {"Sandbox-Account": "subscriber"}}}
        written["answer"] = [{"name": "unpaid", "family": "paywall"}]
        written["endpoint"] = [
            {"name": "story", "path": "/api/story", "answers": ["unpaid"], "paid_identity": "subscriber"}
        ]
        given = {"paths": ["/stories", "/stories/rain"], "paywalled": ["/stories/rain"], "marker": "fell upwards"}
        written["crawl"] = {key: value for key, value in (given | crawl).items() if value is not None}

    return edit


def _then(*edits: Edit) -> Edit:
    def edit(written: dict[str, Any]) -> None:
        for one in edits:
            one(written)

    return edit


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served() as (altered, here):
        altered.inner = _site
        yield altered, here


def _run(server: Server, change: Change = unaltered, edit: Edit | None = None) -> Judged:
    altered, here = server
    altered.begin(change, where=())
    return judged(here, claims=["crawl"], edit=edit or _profile())


def _on(path: str, alter: Callable[[Answer], object]) -> Change:
    return when(lambda asked: asked.path == path, alter)


def _story(body: str = "", **more: Any) -> Change:
    """The story as who has not paid gets it."""
    text = _page(body or f"<p>{FREE}</p>{TEASER}", **more)

    def change(asked: Asked, answer: Answer) -> None:
        if asked.path == "/stories/rain" and "sandbox-account" not in asked.headers:
            answer.body = text.encode()

    return change


def _of_engine(asked: Asked) -> bool:
    return "Googlebot" in asked.headers.get("user-agent", "")


def _engine_reads(text: str) -> Change:
    whole = _page(f"<p>{FREE}</p><p class='paywall'>{text}</p>")
    return when(
        lambda asked: _of_engine(asked) and asked.path == "/stories/rain",
        lambda answer: setattr(answer, "body", whole.encode()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One site, and what it comes to."""

    name: str
    change: Change = unaltered
    red: tuple[str, ...] = ()
    untestable: tuple[str, ...] = ()
    edit: Edit | None = None


def _case(name: str, change: Change, *red: str, **more: Any) -> Case:
    return Case(name=name, change=change, red=tuple(f"crawl.{id}" for id in red), **more)


_NO_TEASER = ("crawl.marked", "crawl.selectors", "crawl.nobody-unlocks", "crawl.no-paid-text")

FAULTS = (
    _case(
        "a story costs whoever looks at it",
        _on("/stories/rain", lambda a: a.become(402, "pay", "text/html")),
        *("paths-answer", "sitemap"),
        untestable=("crawl.not-noindex", *_NO_TEASER),
    ),
    _case(
        "the list of stories wants a login",
        _on("/stories", lambda a: (a.become(302), a.set("Location", "/login"))),
        *("paths-answer", "sitemap"),
        untestable=("crawl.not-noindex",),
    ),
    _case("robots.txt costs", _on("/robots.txt", lambda a: a.become(402)), "robots"),
    _case("the map wants a login", _on("/sitemap.xml", lambda a: a.become(401)), "robots"),
    _case(
        "the map lists what costs",
        _on(
            "/sitemap.xml",
            lambda a: setattr(a, "body", a.body.replace(b"/stories/rain", b"/api/story")),
        ),
        "sitemap",
    ),
    _case("a field says noindex", _on("/stories", lambda a: a.set("X-Robots-Tag", "nofollow, NoIndex")), "not-noindex"),
    _case("a field says none", _on("/stories", lambda a: a.set("X-Robots-Tag", "googlebot: none")), "not-noindex"),
    _case("the teaser says noindex", _story(head='<meta name="Robots" content="noindex, follow">'), "not-noindex"),
    _case("the story has no markup", _story(markup=None), "marked"),
    _case(
        "the markup of the story is no JSON",
        _on("/stories/rain", lambda a: setattr(a, "body", a.body.replace(b'"NewsArticle"', b"NewsArticle"))),
        "marked",
    ),
    _case(
        "the markup says that the story is free",
        _story(markup={**MARKUP, "isAccessibleForFree": True, "hasPart": []}),
        "marked",
    ),
    *(
        _case(
            f"the selector is {what}",
            _story(markup={**MARKUP, "hasPart": {"cssSelector": selector}}),
            "selectors",
        )
        for what, selector in (
            ("an id", "#paywall"),
            ("an element", "div.paywall"),
            ("two classes", ".story .paywall"),
            ("a number", 7),
            ("a class that nothing has", ".premium"),
        )
    ),
    _case("who says Googlebot reads on", _engine_reads(PAID), "nobody-unlocks"),
    _case(
        "who says Googlebot reads on, and no marker is named",
        _engine_reads(PAID),
        "nobody-unlocks",
        edit=_profile(marker=None),
        untestable=("crawl.no-paid-text",),
    ),
    _case(
        "what is paid is hidden by a style",
        _story(f'<p>{FREE}</p>{TEASER}<p hidden class="rest">{PAID}</p>'),
        "no-paid-text",
    ),
    _case(
        "what is paid stands in the markup",
        _story(markup={**MARKUP, "articleBody": PAID}),
        "no-paid-text",
    ),
)

LEGAL = (
    _case("it is the site", unaltered),
    _case(
        "there is neither robots.txt nor a map",
        then(_on("/robots.txt", lambda a: a.become(404)), _on("/sitemap.xml", lambda a: a.become(404))),
    ),
    _case(
        "its map is that of another host",
        _on(
            "/sitemap.xml",
            lambda a: setattr(a, "body", b"<urlset><url><loc>https://other.example/a</loc></url></urlset>"),
        ),
    ),
    _case("its map is no map", _on("/sitemap.xml", lambda a: setattr(a, "body", b"<loc>http://[</loc><loc>"))),
    _case(
        "another robot is kept out",
        then(
            _on("/stories", lambda a: a.set("X-Robots-Tag", "otherbot: noindex, nofollow")),
            _story(head='<meta name="otherbot" content="noindex">'),
        ),
    ),
    _case(
        "search engines have limits",
        then(
            _on("/stories", lambda a: a.set("X-Robots-Tag", "unavailable_after: 25 Jun 2030 15:00:00 PST, noarchive")),
            _story(head='<meta name="robots" content="nofollow, max-snippet:20">'),
        ),
    ),
    *(
        _case(f"its markup says it by {value!r}", _story(markup={**MARKUP, "isAccessibleForFree": value}))
        for value in ("False", "false", "http://schema.org/False", [False])
    ),
    _case("its markup is a graph", _story(markup={"@graph": [{"@type": "WebSite"}, MARKUP]})),
    _case(
        "its markup is microdata",
        _story(f'<p>{FREE}</p><meta itemprop="isAccessibleForFree" content="False">{TEASER}', markup=None),
    ),
    _case(
        "it has several selectors",
        _story(
            f'{TEASER}<div class="more -x">…</div>',
            markup={**MARKUP, "hasPart": [{"cssSelector": ".paywall"}, {"cssSelector": [".more", ".-x"]}]},
        ),
    ),
    _case("only who has paid gets the element", _story(f"<p>{FREE}</p>")),
    _case("it turns away who pretends", when(_of_engine, lambda answer: answer.become(403, "no"))),
    _case("it greets who pretends", _engine_reads("Welcome!"), edit=_profile()),
)


def _told(run: Judged) -> list[str]:
    return [f"{r.requirement}: {r.outcome}: {r.finding}" for r in run.results.values() if r.finding]


@pytest.mark.parametrize("case", FAULTS, ids=lambda case: case.name)
def test_a_faulty_site_turns_red_what_the_table_says_and_nothing_else(case: Case, server: Server) -> None:
    """Exactly the listed requirements break, and what they break follows from them."""
    run = _run(server, case.change, case.edit)
    assert {r.requirement for r in run.red()} == set(case.red), _told(run)
    assert {r.requirement for r in run.of(Outcome.UNTESTABLE)} == set(case.untestable), _told(run)
    assert run.of(Outcome.ERROR) == []
    leaks = {"crawl.nobody-unlocks", "crawl.no-paid-text"} & set(case.red)
    assert (run.verdict is Verdict.NOT_CONFORMANT) == bool(leaks)


@pytest.mark.parametrize("case", LEGAL, ids=lambda case: case.name)
def test_a_correct_site_turns_red_nothing(case: Case, server: Server) -> None:
    """Every requirement holds or does not apply."""
    run = _run(server, case.change, case.edit)
    assert {r.outcome for r in run.results.values()} <= {Outcome.PASSED, Outcome.INAPPLICABLE}, _told(run)
    assert run.verdict is Verdict.CONFORMANT
    assert {id for id, _ in run.results} == IDS


def test_every_requirement_of_the_class_has_a_fault() -> None:
    """No check of the class is one that cannot fail."""
    assert {id for case in FAULTS for id in case.red} == IDS


@pytest.mark.parametrize(
    ("untestable", "edit"),
    [
        ("crawl.no-paid-text", _profile(marker="fell sideways")),
        ("crawl.no-paid-text", _then(_profile(), lambda written: written["endpoint"][0].pop("paid_identity"))),
    ],
)
def test_a_marker_that_was_never_seen_proves_nothing(server: Server, untestable: str, edit: Edit) -> None:
    """A teaser without the marker is no teaser without the story until the marker was in the whole page."""
    run = _run(server, edit=edit)
    assert {r.requirement for r in run.of(Outcome.UNTESTABLE)} == {untestable}, _told(run)
    assert run.verdict is Verdict.INCOMPLETE


@pytest.mark.parametrize(("teaser", "untestable"), [(FREE, set()), (PAID, {"crawl.no-paid-text"})])
def test_a_marker_in_a_field_proves_nothing_where_the_teaser_is_the_whole_page(
    server: Server, teaser: str, untestable: set[str]
) -> None:
    """Who has paid reads more than the teaser, or the marker is not about what is read."""
    stamped = when(lambda asked: "sandbox-account" in asked.headers, lambda answer: answer.set("Stamped", "yes"))
    run = _run(
        server,
        then(_story(f"<p>{FREE}</p><p class='paywall'>{teaser}</p>"), stamped),
        _profile(marker={"header": "Stamped"}),
    )
    assert {r.requirement for r in run.of(Outcome.UNTESTABLE)} == untestable, _told(run)


def test_the_marker_of_an_endpoint_with_the_path_counts(server: Server) -> None:
    """Where a story is an endpoint as well, its marker is what a teaser does not have."""

    def edit(written: dict[str, Any]) -> None:
        _profile(marker=None)(written)
        story = {"name": "page", "path": "/stories/rain", "answers": ["unpaid"], "marker": "upwards"}
        written["endpoint"].append(story | {"paid_identity": "subscriber"})

    assert _run(server, edit=edit).results["crawl.no-paid-text", ""].outcome is Outcome.PASSED
    leaks = _story(f"<p>{FREE}</p>{TEASER}<p hidden>{PAID}</p>")
    assert {r.requirement for r in _run(server, leaks, edit).red()} == {"crawl.no-paid-text"}


def test_a_map_that_lists_much_is_asked_twenty_times(server: Server) -> None:
    """What is meant to be indexed is asked first, and a long map is not asked to its end."""
    here = server[1]
    listed = "".join(f"<loc>{here}/{n}</loc>" for n in range(100)) + f"<loc>{here}/stories</loc>"
    run = _run(server, _on("/sitemap.xml", lambda answer: setattr(answer, "body", listed.encode())))
    result = run.results["crawl.sitemap", ""]
    asked = [label for label in result.evidence[0] if label.startswith("mapped ")]
    assert len(asked) == 20
    assert asked[0].endswith("/stories")


def test_a_site_that_names_nothing_to_crawl_is_not_judged() -> None:
    """Without [crawl] the class has no rows, and a claim of it is refused."""
    loaded = sandbox_profile("http://127.0.0.1:1", lambda written: written.pop("claims"))
    edition = catalogue.editions()[loaded.edition]
    assert unjudged(loaded, edition)["crawl"] == "no endpoint shows it"
    assert not [row for row in rows(loaded, edition) if row.requirement.cls == "crawl"]
    with pytest.raises(profile.ProfileError, match=r'claims "crawl", but there is no \[crawl\]'):
        sandbox_profile("http://127.0.0.1:1", lambda written: written.update(claims={"classes": ["crawl"]}))


def test_a_teaser_is_one_of_the_paths() -> None:
    """A page that is called paywalled and is not to be crawled is a fault of the profile."""
    with pytest.raises(profile.ProfileError, match=r"which is not in crawl\.paths; add it there"):
        sandbox_profile("http://127.0.0.1:1", _profile(paywalled=["/stories/snow"]))
