"""What checks ask: each gather sends its requests once, and every check that names it sees the answers."""

import re
from html import unescape
from urllib.parse import urlsplit

from conformance.asking import request_to
from conformance.exchange import Exchange, Response
from conformance.fields import links, resolved
from conformance.page import HTML, Action, Page
from conformance.probe import Probe
from conformance.profile import Endpoint
from conformance.protocols import x402
from conformance.purse import Order

__all__ = [
    "EVIL_HOST",
    "FREE_PATHS",
    "MARKUP",
    "ORIGIN",
    "OTHER_ORIGIN",
    "STRANGERS",
    "accepts_json",
    "again",
    "as_browser",
    "as_search_engine",
    "behind",
    "buys",
    "call_to_action",
    "conditional",
    "crawled",
    "cross_origin",
    "entitled",
    "expected_identities",
    "followed",
    "free_paths",
    "head",
    "linked",
    "loopback",
    "mapped",
    "markup_in_query",
    "no_accept",
    "origin",
    "outage",
    "paid",
    "plain_http",
    "preflight",
    "spoken",
    "spoofed_host",
    "strangers",
    "unknown_path",
    "unpaid",
    "whole_pages",
]

ORIGIN = "https://shop.example"
OTHER_ORIGIN = "https://other.example"
EVIL_HOST = "evil.example"
MARKUP = "</script><b id=conformance>"
FREE_PATHS = ("/robots.txt", "/favicon.ico", "/sitemap.xml", "/.well-known/security.txt")
STRANGERS = {
    "curl": "curl/8.5.0",
    "python": "python-requests/2.32.5",
    "node": "node",
    "go": "Go-http-client/2.0",
    "chrome": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
}
# A search engine is known by its address; whoever comes from another one and calls himself so is nobody.
_SEARCH_ENGINE = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
_MAPPED = 20
_LOCATION = re.compile(r"<loc>\s*(?:<!\[CDATA\[)?\s*([^<>\s\]]{1,2048})")
_BUYS = re.compile(
    r"(?i)pay|subscri|upgrade|renew|\bbuy|purchase|checkout|billing|pricing|plan|top.?up|join|unlock|member"
)
_BROWSER = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
}


def loopback(url: str) -> bool:
    """Whether ``url`` names this machine: exempt from rules about https."""
    host = urlsplit(url).hostname or ""
    return host == "localhost" or host.endswith(".localhost") or host.startswith("127.") or host == "::1"


def spoken(versions: tuple[int, ...], response: Response) -> tuple[int, ...]:
    """The x402 versions that an endpoint is judged by: those declared and those that its answer advertises.

    With neither, it is a version 2 endpoint that lost its header.
    """
    return tuple(sorted({*versions, *x402.advertised(response)})) or (2,)


def unpaid(probe: Probe) -> None:
    """The plain request of someone who has not paid."""
    probe.ask("unpaid")


def again(probe: Probe) -> None:
    """The same request once more."""
    probe.gather(unpaid)
    probe.ask("again")


def paid(probe: Probe) -> None:
    """The same request from the identity that gets the protected answer; without one, by whoever pays for it."""
    if probe.endpoint and probe.endpoint.paid_identity:
        probe.ask("paid", identity=probe.endpoint.paid_identity)
    elif probe.endpoint and probe.endpoint.protocol == "x402" and probe.purse.scripted:
        probe.gather(unpaid)
        answer = probe.kept["unpaid"].response
        version = spoken(probe.endpoint.versions, answer)[-1] if answer else 2
        if (made := probe.pay("paid", Order(version=version))).failure and made.failure.kind == "unpayable":
            del probe.kept["paid"]


def entitled(probe: Probe) -> None:
    """The request of who has paid, where a refusal may come by a status of success: that alone tells neither."""
    endpoint = probe.endpoint
    if endpoint and endpoint.protocol is None and endpoint.paid_identity:
        rules = [answer for answer in probe.profile.answers if answer.name in endpoint.answers]
        if any(200 <= status < 300 for rule in rules for status in rule.status):
            probe.ask("entitled", identity=endpoint.paid_identity)


def as_browser(probe: Probe) -> None:
    """The request as a browser sends it when a person follows a link."""
    probe.ask("browser", headers=_BROWSER)


def markup_in_query(probe: Probe) -> None:
    """A browser's request with markup in its query, percent-encoded as browsers do."""
    probe.ask("markup", headers=_BROWSER, query={"conformance": MARKUP})


def no_accept(probe: Probe) -> None:
    """The request of a client that states no preference."""
    probe.ask("no-accept", without=("accept",))


def strangers(probe: Probe) -> None:
    """The plain request under other names, and with a cookie that means nothing."""
    for name, agent in STRANGERS.items():
        probe.ask(f"stranger-{name}", headers={"User-Agent": agent})
    probe.ask("stranger-cookie", headers={"Cookie": "visitor=conformance"})


def origin(endpoint: Endpoint) -> str:
    """The origin of the page that pays: one that the profile's own fields name, else one that nobody knows."""
    return next((value for name, value in endpoint.headers.items() if name.lower() == "origin"), ORIGIN)


def cross_origin(probe: Probe) -> None:
    """The request as a script of another origin sends it, from two origins."""
    if probe.endpoint:
        probe.ask("cross-origin", headers={"Origin": origin(probe.endpoint)})
    probe.ask("other-origin", headers={"Origin": OTHER_ORIGIN})


def preflight(probe: Probe) -> None:
    """What a browser asks before it lets a script pay, for each version that is spoken; without any credential."""
    probe.gather(unpaid)
    endpoint, answer = probe.endpoint, probe.kept["unpaid"].response
    if endpoint is None or answer is None:
        return
    url = request_to(probe.profile, endpoint).url
    for version in spoken(endpoint.versions, answer) if endpoint.protocol else ():
        fields = {
            "Origin": origin(endpoint),
            "Access-Control-Request-Method": endpoint.method,
            "Access-Control-Request-Headers": x402.PAYMENT[version].lower(),
        }
        probe.ask(f"preflight-v{version}", method="OPTIONS", url=url, headers=fields)


def head(probe: Probe) -> None:
    """HEAD on the same resource, read on after the header section for content that does not belong there."""
    if probe.endpoint and probe.endpoint.method == "GET":
        probe.ask("head", method="HEAD", raw=True)


def conditional(probe: Probe) -> None:
    """The unpaid request under a precondition that fails, and with the entity tag of the refusal if it has one."""
    probe.gather(unpaid)
    probe.ask("conditional-any", headers={"If-None-Match": "*"})
    answer = probe.kept["unpaid"].response
    if answer and (tag := answer.value("etag")):
        probe.ask("conditional-etag", headers={"If-None-Match": tag})


def spoofed_host(probe: Probe) -> None:
    """The unpaid request under a host name that is not the target's, said in two ways."""
    probe.ask("host", headers={"Host": EVIL_HOST})
    probe.ask("forwarded-host", headers={"X-Forwarded-Host": EVIL_HOST})


def linked(probe: Probe) -> None:
    """The payment links of the refusal, as far as they lie on the target or its helpers."""
    probe.gather(unpaid)
    exchange = probe.kept["unpaid"]
    if exchange.response is None:
        return
    for link in links(exchange.response.values("link")):
        url = resolved(exchange.request.url, link.target)
        if url and "payment" in link.relations and urlsplit(url).netloc in probe.wire.hosts:
            own = urlsplit(url).netloc == urlsplit(exchange.request.url).netloc
            fields = probe.profile.target.headers if own else {}
            probe.ask(f"link {link.target}", method="GET", url=url, headers=fields)


def unknown_path(probe: Probe) -> None:
    """A path that no API has."""
    probe.ask("unknown-path", path="/conformance-no-such-path")


def free_paths(probe: Probe) -> None:
    """The paths by which robots and clients find their way, unless the profile lists one as an endpoint."""
    parts = urlsplit(probe.profile.target.base_url)
    own = {urlsplit(request_to(probe.profile, endpoint).url).path for endpoint in probe.profile.endpoints}
    for path in FREE_PATHS:
        if path not in own:
            probe.ask(f"free {path}", url=f"{parts.scheme}://{parts.netloc}{path}")


def plain_http(probe: Probe) -> None:
    """The first endpoint over http, where the target is an https origin on its usual port."""
    parts = urlsplit(probe.profile.target.base_url)
    if parts.scheme == "https" and parts.port in {None, 443} and not loopback(probe.profile.target.base_url):
        url = request_to(probe.profile, probe.profile.endpoints[0]).url
        probe.ask("plain-http", url=f"http://{parts.hostname}{url.partition(parts.netloc)[2]}")


def accepts_json(probe: Probe) -> None:
    """The plain request of a client that can read nothing but JSON."""
    probe.ask("accepts-json", headers={"Accept": "application/json"})


def expected_identities(probe: Probe) -> None:
    """The plain request of each identity of which the profile says how it is answered."""
    for name, identity in probe.profile.identities.items():
        if identity.expect:
            probe.ask(f"identity {name}", identity=name)


def outage(probe: Probe) -> None:
    """The request that makes the provider of payments fail, where no payment goes along with it."""
    endpoint = probe.endpoint
    if endpoint and endpoint.protocol is None and (how := endpoint.failing):
        probe.ask("outage", path=how.path or "", query=how.query, headers=how.headers)


def behind(probe: Probe) -> None:
    """The same request to the service behind the target, if the profile names one."""
    if probe.endpoint and probe.profile.target.backend:
        same = request_to(probe.profile.at(probe.profile.target.backend), probe.endpoint)
        probe.ask("backend", method=same.method, url=same.url, headers=dict(same.headers), body=same.body)


def call_to_action(response: Response) -> Action | None:
    """What a person who wants to pay would follow: the first thing on a page that speaks of it, else the first."""
    found = [action for action in Page.of(response).actions() if action.text]
    return next((a for a in found if buys(a.text, a.target)), found[0] if found else None)


def buys(text: str, target: str) -> bool:
    """Whether something that a person can follow speaks of paying."""
    return bool(_BUYS.search(text) or _BUYS.search(target))


def followed(probe: Probe) -> None:
    """Where the page for browsers sends a person, as far as that lies on the target or its helpers."""
    probe.gather(as_browser)
    exchange = probe.kept["browser"]
    if exchange.response is None or exchange.response.media_type() not in HTML:
        return
    action = call_to_action(exchange.response)
    if action and (url := resolved(exchange.request.url, action.target)) and _may_ask(probe, url):
        probe.ask("action", method="GET", url=url, headers=_own_fields(probe, exchange, url))


def _may_ask(probe: Probe, url: str) -> bool:
    return url.startswith(("http://", "https://")) and urlsplit(url).netloc in probe.wire.hosts


def _own_fields(probe: Probe, exchange: Exchange, url: str) -> dict[str, str]:
    """A browser's fields, with those of the target where ``url`` is on it."""
    own = urlsplit(url).netloc == urlsplit(exchange.request.url).netloc
    return {**(probe.profile.target.headers if own else {}), **_BROWSER}


def crawled(probe: Probe) -> None:
    """The paths that search engines are meant to index, asked by a GET of nobody in particular."""
    for path in probe.profile.crawl.paths if probe.profile.crawl else ():
        probe.ask(f"crawl {path}", path=path)


def as_search_engine(probe: Probe) -> None:
    """The paths of which a part is paid, asked by somebody who only says that he is a search engine."""
    for path in probe.profile.crawl.paywalled if probe.profile.crawl else ():
        probe.ask(f"search {path}", path=path, headers={"User-Agent": _SEARCH_ENGINE})


def whole_pages(probe: Probe) -> None:
    """The paths of which a part is paid, asked by who has paid, if the profile names anybody."""
    known = [e for e in probe.profile.endpoints if e.paid_identity]
    for path in probe.profile.crawl.paywalled if probe.profile.crawl else ():
        who = next((e.paid_identity for e in known if e.path == path), known[0].paid_identity if known else None)
        if who:
            probe.ask(f"whole {path}", path=path, identity=who)


def mapped(probe: Probe) -> None:
    """What sitemap.xml lists on the target's own origin, at most 20 of it; paths that are to be crawled come first."""
    probe.gather(free_paths)
    found = probe.kept.get("free /sitemap.xml")
    if found is None or found.response is None or found.response.status != 200:
        return
    base = urlsplit(found.request.url)
    listed = dict.fromkeys(map(unescape, _LOCATION.findall(found.response.text())))
    own = [url for url in listed if _origin_of(url) == (base.scheme, base.netloc)]
    paths = probe.profile.crawl.paths if probe.profile.crawl else ()
    for url in sorted(own, key=lambda url: urlsplit(url).path not in paths)[:_MAPPED]:
        probe.ask(f"mapped {url}", url=url, headers=probe.profile.target.headers)


def _origin_of(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ("", "")
    return (parts.scheme, parts.netloc)
