"""A target that breaks off, stalls, floods or lies on the wire is never taken for a conformant one."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from judging import IN_A_BROWSER
from sessions import Ran, nested, profile, sandbox, session
from vices import (
    SILENT,
    VICES,
    Line,
    Vice,
    answering,
    closes_before_answering,
    hangs,
    refusing,
    resets,
    sends_429,
    sends_a_bomb,
    sends_an_endless_body,
    sends_no_http,
    vicious,
)

QUICK = "timeout = 0.3"
LIMITS = "[limits]\nmax_wait = 1.0\nmax_body = 1000000\n"
# How much a run against a dead server takes, with room for a machine that is busy.
SOON = 15.0
NEEDS_NO_ANSWER = {"http.secure-transport "} | {f"{id} weather" for id in IN_A_BROWSER}
"""Loopback is exempt from https, whatever it answers; and no browser is named."""
IN_FRAMES = {"requests.http2 weather"}
"""Without TLS there is no HTTP/2 to ask for."""
RESTS_ON = {
    "http.head-has-no-content": {"head"},
    "http.head-leaks-nothing": {"head", "paid"},
    "browser.preflight": {"preflight-v2"},
    "browser.preflight-allows-payment": {"preflight-v2"},
    "browser.exposes-offer": {"cross-origin"},
    "browser.refusal-names-origin": {"cross-origin"},
    "browser.no-credentials-for-any-origin": {"cross-origin", "other-origin"},
}
"""Rows that rest on fewer exchanges than stand beside them."""


def a_name(vice: Vice) -> str:
    return vice.__name__


def judged(folder: Path, base_url: str, *, run: Callable[..., Ran] = nested, **env: str) -> Ran:
    """A run with little patience, of which nothing must be read that was not there."""
    ran = run(folder, text=profile(base_url, target=QUICK, more=LIMITS), env=env)
    assert "Traceback" not in ran.out, ran.out
    assert "INTERNALERROR" not in ran.out, ran.out
    assert ran.took < SOON
    for row in ran.report["results"]:
        shown = {
            label: ran.report["exchanges"][key] for found in row.get("evidence", ()) for label, key in found.items()
        }
        rests_on = [shown[label] for label in RESTS_ON.get(row["requirement"], shown) if label in shown]
        broken = [exchange["failure"] for exchange in rests_on if "failure" in exchange]
        assert not (row["outcome"] in {"passed", "inapplicable"} and broken), (row["requirement"], broken)
        assert rests_on or row["outcome"] != "passed", f"{row['requirement']} is passed, and nothing was read"
    return ran


@pytest.mark.parametrize("vice", VICES, ids=a_name)
def test_nothing_is_said_of_a_target_that_never_answers_well(tmp_path: Path, vice: Vice) -> None:
    """Every row that needs an answer is an error, whatever the head of the answer promised, and soon."""
    with vicious(vice) as served:
        ran = judged(tmp_path, served.base_url)
    assert (ran.code, ran.verdict) == (1, "incomplete")
    assert {id for id, outcome in ran.outcomes.items() if outcome != "error"} == NEEDS_NO_ANSWER
    assert "does not answer the first sanity request" in ran.out


def test_nothing_is_inapplicable_because_nothing_was_read(tmp_path: Path) -> None:
    """Without claims, what a target advertises decides what applies: silence is not an advertisement of nothing."""
    with vicious(closes_before_answering) as served:
        ran = nested(tmp_path, text=profile(served.base_url, claims="", target=QUICK))
    assert (ran.code, ran.verdict) == (1, "incomplete")
    assert {id for id, outcome in ran.outcomes.items() if outcome != "error"} == NEEDS_NO_ANSWER | IN_FRAMES


@pytest.mark.parametrize("vice", VICES, ids=a_name)
def test_a_target_that_goes_bad_half_way_is_not_conformant(tmp_path: Path, vice: Vice) -> None:
    """What was read before stays judged, the rest is an error, and the run does not go on knocking."""
    with vicious(vice, when=lambda number: number >= 12) as served:
        ran = judged(tmp_path, served.base_url)
    assert (ran.code, ran.verdict) == (1, "incomplete")
    assert {"passed", "error"} <= set(ran.outcomes.values())
    # Three failures in a row, each asked about once, and the sanity request at the end.
    assert len(served.asked) < 40


@pytest.mark.parametrize("remainder", [1, 2])
@pytest.mark.parametrize("vice", [v for v in VICES if v not in SILENT and v is not sends_429], ids=a_name)
def test_a_target_that_answers_now_and_then_is_not_conformant(tmp_path: Path, vice: Vice, remainder: int) -> None:
    """A server that comes back each time is asked on, and no lost answer is made up for by the next."""
    with vicious(vice, when=lambda number: number > 0 and number % 3 == remainder) as served:
        ran = judged(tmp_path, served.base_url)
    assert ran.code == 1
    assert ran.verdict in {"incomplete", "not conformant"}
    assert "error" in ran.outcomes.values()


@pytest.mark.parametrize("vice", [hangs, sends_a_bomb, sends_no_http, sends_an_endless_body, resets], ids=a_name)
def test_a_user_is_told_of_a_bad_target_in_one_sentence(tmp_path: Path, vice: Vice) -> None:
    """In a process of its own, too: exit status 1, and one story for the one cause."""
    with vicious(vice) as served:
        ran = judged(tmp_path, served.base_url, run=session)
    assert (ran.code, ran.verdict) == (1, "incomplete")
    assert ran.out.count("could not be judged") == 1


def test_a_port_at_which_nobody_listens_is_an_error(tmp_path: Path) -> None:
    """A server that is off is told apart from one that fails: one sentence says that there was no connection."""
    with refusing() as served:
        ran = judged(tmp_path, served.base_url)
    assert (ran.code, ran.verdict) == (1, "incomplete")
    assert {id for id, outcome in ran.outcomes.items() if outcome != "error"} == NEEDS_NO_ANSWER
    assert ran.out.count("could not be judged") == 1
    assert "no connection" in ran.out


def test_a_host_without_an_address_is_an_error(tmp_path: Path) -> None:
    """A name that does not resolve is no answer."""
    ran = judged(tmp_path, "http://target.invalid")
    assert (ran.code, ran.verdict) == (1, "incomplete")
    assert {id for id, outcome in ran.outcomes.items() if outcome != "error"} == NEEDS_NO_ANSWER


def test_a_tls_handshake_with_a_server_that_has_none_is_an_error(tmp_path: Path) -> None:
    """Plain http behind an https address is a failed handshake, not an answer."""
    with sandbox() as base_url:
        ran = judged(tmp_path, base_url.replace("http:", "https:"))
    assert (ran.code, ran.verdict) == (1, "incomplete")
    assert {id for id, outcome in ran.outcomes.items() if outcome != "error"} == NEEDS_NO_ANSWER


def test_patience_is_rewarded(tmp_path: Path) -> None:
    """A 429 is waited out as Retry-After says, and is no blemish when the answer then comes."""
    with vicious(sends_429, when=lambda number: number == 20) as served:
        ran = nested(tmp_path, text=profile(served.base_url, more="[limits]\nmax_wait = 5.0\n"))
    assert (ran.code, ran.verdict) == (0, "conformant"), ran.out


def test_patience_ends(tmp_path: Path) -> None:
    """All waiting for 429 together stays below limits.max_wait, and what persists is an error, not a violation."""
    with vicious(sends_429, when=lambda number: number >= 1) as served:
        ran = judged(tmp_path, served.base_url)
    assert ran.code == 1
    assert "violated" not in ran.outcomes.values()
    assert "429 persists" in ran.out
    assert ran.took < 15


def test_no_cookie_comes_back(tmp_path: Path) -> None:
    """Every request is a stranger's: what Set-Cookie says is never sent, so that no check rests on a session."""

    def marks(line: Line) -> None:
        line.correct(b"Set-Cookie: tag=crumb; Path=/", b"Set-Cookie: tag2=crumb; Path=/; Domain=127.0.0.1")

    with vicious(marks) as served:
        ran = judged(tmp_path, served.base_url)
    assert ran.verdict
    assert len(served.asked) > 30
    assert [asked for asked in served.asked if b"crumb" in asked] == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(tmp_path: Path, status: int) -> None:
    """A redirect is an answer to judge, and where it leads is never asked."""
    with answering(b"HTTP/1.1 402 Payment Required\r\nContent-Length: 0\r\n\r\n") as elsewhere:

        def redirects(line: Line) -> None:
            to = elsewhere.base_url.encode()
            fields = b"Location: %b/weather\r\nContent-Location: %b/a\r\nRefresh: 0; url=%b/b" % (to, to, to)
            framing = b"Content-Length: 0\r\nConnection: close"
            line.send(b"HTTP/1.1 %d Elsewhere\r\n%b\r\n%b\r\n\r\n" % (status, fields, framing))

        with vicious(redirects) as served:
            ran = judged(tmp_path, served.base_url)
        assert ran.code == 1
        assert ran.verdict in {"incomplete", "not conformant"}
        assert elsewhere.asked == []


def test_a_redirect_of_some_requests_is_not_followed_either(tmp_path: Path) -> None:
    """Also in the middle of a run, where the next request may take another way."""
    with answering(b"HTTP/1.1 402 Payment Required\r\nContent-Length: 0\r\n\r\n") as elsewhere:

        def redirects(line: Line) -> None:
            line.send(
                b"HTTP/1.1 307 Temporary Redirect\r\nLocation: %b\r\n" % elsewhere.base_url.encode(),
                b"Content-Length: 0\r\nConnection: close\r\n\r\n",
            )

        with vicious(redirects, when=lambda number: number % 3 == 1) as served:
            ran = judged(tmp_path, served.base_url)
        assert ran.code == 1
        assert elsewhere.asked == []


@pytest.mark.parametrize(
    ("helps", "asked"), [(lambda _: "", False), (lambda to: f'helpers = ["{to}"]', True)], ids=["stranger", "helper"]
)
def test_only_the_target_and_its_helpers_are_contacted(
    tmp_path: Path, helps: Callable[[str], str], asked: bool
) -> None:
    """A payment link to another host is fetched when the profile names that host, and otherwise only parsed."""
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as elsewhere:

        def links(line: Line) -> None:
            own = tuple(part for part in line.fields if not part.lower().startswith(b"link:"))
            line.fields = (*own, b'Link: <%b/pay>; rel="payment"' % elsewhere.base_url.encode())
            line.correct()

        host = elsewhere.base_url.removeprefix("http://")
        with vicious(links) as served:
            text = profile(served.base_url, target=f"timeout = 5.0\n{helps(host)}")
            ran = nested(tmp_path, text=text)
        assert ran.verdict
        assert bool(elsewhere.asked) == asked


def test_a_proxy_of_the_environment_is_not_used(tmp_path: Path) -> None:
    """What a run sees does not depend on the proxies of the machine that it runs on."""
    with answering(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n") as proxy:
        names = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy")
        env = dict.fromkeys(names, proxy.base_url) | {"NO_PROXY": "", "no_proxy": ""}
        with sandbox() as base_url:
            ran = nested(tmp_path, text=profile(base_url), env=env)
        assert (ran.code, ran.verdict) == (0, "conformant")
        assert proxy.asked == []


def test_a_netrc_is_not_read(tmp_path: Path) -> None:
    """Credentials that lie about on the machine are never sent."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password crumbcrumb\n", "utf-8")
    os.chmod(tmp_path / ".netrc", 0o600)  # noqa: PTH101 - as ftp(1) asks
    with vicious(Line.correct) as served:
        ran = judged(tmp_path, served.base_url, HOME=str(tmp_path), NETRC=str(tmp_path / ".netrc"))
    assert ran.verdict == "conformant"
    assert [asked for asked in served.asked if b"authorization" in asked.lower()] == []
