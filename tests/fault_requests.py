"""Turnstiles with a way round, each with one, and the rows that say so; and what is left open."""

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from posixpath import normpath
from typing import Any
from urllib.parse import unquote

from judging import Edit
from turnstile import PATH, Asked, Read, Said, Ways, exact, said

__all__ = ["FAULTS", "UNPROVEN", "Round", "around", "skips", "without_witness"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One turnstile, and the rows that it turns red, or leaves untestable."""

    name: str
    """A fact about it."""
    make: Callable[[], Ways]
    ids: frozenset[str] = frozenset()
    allows: Iterable[str] = ()
    edit: Edit | None = None


def around(name: str, ways: Ways | Callable[[], Ways], *ids: str, **more: Any) -> Round:
    """A turnstile in one line, its rows by their last words."""
    make = ways if callable(ways) else lambda: ways
    return Round(name=name, make=make, ids=frozenset(f"requests.{id}" for id in ids), **more)


def endpoint(**members: object) -> Edit:
    """Sets members of the endpoint; None removes one."""

    def edit(written: dict[str, Any]) -> None:
        for name, value in members.items():
            written["endpoint"][0][name] = value
            if value is None:
                del written["endpoint"][0][name]

    return edit


_POSTED = endpoint(method="POST", json={"city": "Paris"})

without_witness = endpoint(witness=None)


def read(write: Callable[[str], str]) -> Read:
    """Reads the path otherwise than it is written."""
    return lambda asked: asked.at(write(asked.path))


def _only(router: Read, **more: Any) -> Ways:
    """The router reads so, and the guard to the letter."""
    return Ways(routes=router, guards=exact, **more)


def slashed(path: str) -> str:
    """Without slashes at the end."""
    return path.rstrip("/") or "/"


def merged(path: str) -> str:
    """Each row of slashes as one."""
    return re.sub("/+", "/", path)


def dotted(path: str) -> str:
    """Without dot segments."""
    return normpath(path) + ("/" if path.endswith("/") and path != "/" else "") if path.startswith("/") else path


def decoded(path: str) -> str:
    """With letters and digits for their escapes."""
    return re.sub(
        "%([0-9A-Fa-f]{2})",
        lambda found: (
            chr(int(found[1], 16)) if chr(int(found[1], 16)).isalnum() and int(found[1], 16) < 128 else found[0]
        ),
        path,
    )


def unescaped(path: str) -> str:
    """Without escapes, but for question marks, which would begin a query."""
    return unquote(path, "latin-1").replace("?", "%3F")


def matrixless(path: str) -> str:
    """Without matrix parameters."""
    return re.sub(";[^/]*", "", path)


def folded(path: str) -> str:
    """With slashes for backslashes."""
    return path.replace("\\", "/")


def whole(asked: Asked) -> Asked:
    """With the path of a target in absolute form."""
    found = re.match("(?i)https?://[^/]*(.*)", asked.target)
    return replace(asked, target=found[1]) if found else asked


def told(*names: str) -> Read:
    """At the URL that a field names."""

    def reading(asked: Asked) -> Asked:
        here = next((asked.has(name) for name in names if asked.has(name)), "")
        return replace(asked, target=here) if here else asked

    return reading


def methods(*names: str) -> Callable[[Asked], bool]:
    """Whether a request at the path has one of these methods: the guard knows no others."""
    return lambda asked: asked.path == PATH and asked.method in names


def skips(unless: Callable[[Asked], object]) -> Ways:
    """The guard lets pass what it ought not to."""
    return Ways(skips=lambda asked: bool(unless(asked)))


def _overridden(asked: Asked) -> Asked:
    found = asked.has("x-http-method-override")
    return replace(asked, method=found) if found else asked


def _cut(at: str) -> Callable[[str], str]:
    return lambda path: path.partition(at)[0]


def _regex(pattern: str) -> Callable[[Asked], bool]:
    return lambda asked: re.search(pattern, unquote(asked.path)) is not None


def _item(asked: Asked) -> bool:
    return unquote(asked.path).startswith("/api/weather")


def _below(asked: Asked) -> bool:
    return re.match("(?s)/api/.", unquote(asked.path)) is not None


def _named(asked: Asked) -> bool:
    """Whether a path, decoded once, names one thing in the folder."""
    return re.fullmatch("(?s)/api/[^/]+", unquote(asked.path)) is not None


def _broken(asked: Asked) -> bool:
    """Whether a path has an escape that is none."""
    return re.search("%(?![0-9A-Fa-f]{2})", asked.path) is not None


def _no_utf8(asked: Asked) -> bool:
    try:
        unquote(asked.path, errors="strict")
    except UnicodeDecodeError:
        return True
    return False


def _many(asked: Asked) -> bool:
    return len(asked.fields) > 64


_HEAD = Ways(priced=methods("GET"))


def _tagged(ways: Ways) -> Ways:
    tag = {"ETag": '"w1"'}
    return replace(ways, sells=lambda asked: replace(ways.sells(asked), fields=tag, bare=asked.method == "HEAD"))


def _upgraded(_: Asked) -> Said:
    return Said(
        status=101, body=b"\0\0\x08\0\1" + b"it is sunny", fields={"Upgrade": "h2c", "Connection": "Upgrade"}, bare=True
    )


def usual(asked: Asked) -> bool:
    """Whether a request is much like that of the profile."""
    return asked.method == "GET" and asked.target == PATH and len(asked.fields) == 5


def _once(wrong: Callable[[Asked], bool], **after: Any) -> Callable[[], Ways]:
    """Right until it was asked what is wrong; from then on, with ``after``, each given a way to say that it happened."""

    def make() -> Ways:
        seen: list[bool] = []

        def notes(asked: Asked) -> Said | None:
            if wrong(asked):
                seen.append(True)
            return after["says"] if seen and "says" in after else None

        return Ways(first=notes, sleeps=lambda asked: after.get("sleeps", 0.0) if seen and usual(asked) else 0.0)

    return make


def _nul(asked: Asked) -> bool:
    return "%00" in asked.target


def _at_runs(status: int) -> Said:
    return said(status, code="broken")


FAULTS: tuple[Round, ...] = (
    around("its router takes a slash at the end", _only(read(slashed)), "slashes"),
    around("its router takes rows of slashes for one", _only(read(merged)), "slashes"),
    around(
        "its router takes two slashes at the start",
        _only(read(lambda path: path[1:] if path.startswith("//") else path)),
        "slashes",
    ),
    around(
        "its guard has a pattern that wants a name below the folder, and its router none",
        Ways(reaches=lambda asked: asked.path.startswith("/api/"), priced=_regex(r"(?s)\A/api/.+")),
        "slashes",
    ),
    around(
        "its guard has a pattern that wants a name below the folder, and no witness sees it",
        Ways(reaches=lambda asked: asked.path.startswith("/api/"), priced=_regex(r"(?s)\A/api/.+")),
        "slashes",
        edit=without_witness,
    ),
    around(
        "its guard has a pattern that wants a name below the folder, in which a free page lies too",
        Ways(
            reaches=lambda asked: asked.path.startswith("/api/"),
            priced=_regex(r"(?s)\A/api/(?!terms\Z).+"),
            first=lambda asked: said(200, terms="none") if asked.path == "/api/terms" else None,
        ),
        "slashes",
        edit=lambda written: written.update(crawl={"paths": ["/api/terms"]}) or without_witness(written),
    ),
    around("its router walks dot segments", _only(read(dotted)), "dot-segments", "slashes"),
    around(
        "its router walks encoded dot segments",
        Ways(routes=read(lambda path: dotted(path.replace("%2e", "."))), guards=read(dotted)),
        "dot-segments",
    ),
    around(
        "its router takes off parameters and then walks dot segments",
        Ways(routes=read(lambda path: dotted(matrixless(path))), guards=read(lambda path: matrixless(dotted(path)))),
        "dot-segments",
        "suffixes",
    ),
    around("its router takes off matrix parameters", _only(read(matrixless)), "suffixes"),
    around(
        "its router takes .json for a form of the answer",
        _only(read(lambda path: path.removesuffix(".json"))),
        "suffixes",
    ),
    around(
        "its router is a file system that drops dots and spaces",
        _only(read(lambda path: path.removesuffix("%20").rstrip("."))),
        "suffixes",
    ),
    around(
        "its router serves what lies below, and its guard the one path",
        Ways(reaches=lambda asked: f"{asked.path}/".startswith(f"{PATH}/")),
        "suffixes",
        "slashes",
        "dot-segments",
    ),
    around("its router knows no case", _only(read(str.lower)), "letter-case"),
    around("its router decodes letters", _only(read(decoded)), "encoded-letters"),
    around(
        "its router decodes twice",
        Ways(routes=read(lambda path: unescaped(unescaped(path))), guards=read(unescaped)),
        "encoded-letters",
        "encoded-slashes",
    ),
    around(
        "its router takes letters for what they look like",
        Ways(
            routes=read(lambda path: unicodedata.normalize("NFKC", unquote(path))),
            guards=read(unquote),
        ),
        "encoded-letters",
        "encoded-slashes",
    ),
    around(
        "its router takes %u for an escape",
        _only(read(lambda path: re.sub("%u00(..)", lambda m: chr(int(m[1], 16)), path))),
        "encoded-letters",
    ),
    around(
        "its router decodes slashes before it drops them",
        Ways(routes=read(lambda path: slashed(unescaped(path))), guards=read(lambda path: unescaped(slashed(path)))),
        "encoded-slashes",
    ),
    around(
        "its router decodes slashes twice before it drops them",
        Ways(
            routes=read(lambda path: slashed(unescaped(unescaped(path)))),
            guards=read(lambda path: slashed(unescaped(path))),
        ),
        "encoded-slashes",
        "encoded-letters",
    ),
    around(
        "its guard decodes a name once more than its router, and knows no names with slashes",
        Ways(reaches=_named, priced=lambda asked: _named(asked.at(slashed(unescaped(unquote(asked.path)))))),
        "encoded-slashes",
    ),
    around(
        "its guard takes backslashes for slashes, and knows no names with slashes",
        Ways(reaches=_named, priced=lambda asked: _named(asked.at(slashed(folded(asked.path))))),
        "encoded-slashes",
        "dot-segments",
    ),
    around("its router takes backslashes for slashes", _only(read(folded)), "encoded-slashes"),
    around(
        "its router takes encoded backslashes for slashes",
        Ways(routes=read(lambda path: folded(unescaped(path))), guards=read(unescaped)),
        "encoded-slashes",
    ),
    around(
        "its guard fails open where an escape breaks off",
        Ways(reaches=_item, priced=lambda asked: _item(asked) and not _broken(asked)),
        "malformed-escapes",
    ),
    around(
        "its guard fails open where a path is no UTF-8",
        Ways(reaches=_item, priced=lambda asked: _item(asked) and not _no_utf8(asked)),
        "malformed-escapes",
        "encoded-slashes",
    ),
    around(
        "its guard has a pattern in which a dot is no line break",
        Ways(reaches=_item, priced=_regex(r"\A/api/weather.*\Z")),
        "control-characters",
    ),
    around(
        "its guard decodes twice, and has a pattern in which a dot is no line break",
        Ways(reaches=_item, priced=lambda asked: _regex(r"\A/api/weather.*\Z")(asked.at(unquote(asked.path)))),
        "control-characters",
    ),
    around(
        "its router ends a path at a NUL",
        _only(read(_cut("%00"))),
        "control-characters",
    ),
    around(
        "its router trims white space",
        Ways(routes=read(lambda path: unquote(path).strip()), guards=read(lambda path: unquote(path).strip(" "))),
        "control-characters",
    ),
    around("its router takes the absolute form", _only(whole), "target-forms"),
    around(
        "its guard reads the absolute form of its own host alone",
        Ways(
            routes=whole,
            guards=lambda asked: asked if "conformance.example" in asked.target else whole(asked),
        ),
        "target-forms",
    ),
    around(
        "its router finds a path without its slash",
        _only(read(lambda path: path if path.startswith("/") else f"/{path}")),
        "target-forms",
    ),
    around(
        "its router takes off a fragment",
        _only(lambda asked: replace(asked, target=asked.target.partition("#")[0])),
        "fragments",
    ),
    around(
        "its router decodes a question mark before it looks for one",
        Ways(routes=lambda asked: replace(asked, target=unquote(asked.target)), guards=read(unescaped)),
        "fragments",
    ),
    around(
        "its guard looks for a question mark in what is decoded",
        Ways(reaches=_below, priced=lambda asked: len(slashed(unquote(asked.path).partition("?")[0])) > len("/api/")),
        "fragments",
    ),
    around(
        "its guard looks for a fragment in what is decoded",
        Ways(reaches=_below, priced=lambda asked: len(slashed(unquote(asked.path).partition("#")[0])) > len("/api/")),
        "fragments",
    ),
    around(
        "its guard compares the query too",
        Ways(priced=lambda asked: asked.target == PATH),
        "queries",
        "fragments",
        "method-override",
    ),
    around("it has a door for those who test", skips(lambda asked: "debug=true" in asked.query), "queries"),
    around("it gives its pages to those who embed them", skips(lambda asked: "embed=1" in asked.query), "queries"),
    around("its guard gives up on a long query", skips(lambda asked: len(asked.query) > 4096), "queries"),
    around(
        "its guard knows its own host alone",
        skips(lambda asked: not asked.has("host").startswith("127.0.0.1")),
        "hosts",
        "special-fields",
    ),
    around("it trusts a host inside", skips(lambda asked: asked.has("host") == "localhost"), "hosts"),
    around("its router goes where X-Original-URL says", _only(told("x-original-url")), "rewritten-url"),
    around("its router goes where X-Rewrite-URL says", _only(told("x-rewrite-url")), "rewritten-url"),
    around(
        "its guard believes X-Forwarded-URI",
        Ways(guards=told("x-forwarded-uri")),
        "rewritten-url",
    ),
    around(
        "its router takes a prefix off",
        _only(lambda asked: asked.at(asked.path.removeprefix(asked.has("x-forwarded-prefix")))),
        "rewritten-url",
    ),
    around(
        "it trusts its own machine", skips(lambda asked: asked.has("x-forwarded-for") == "127.0.0.1"), "trusted-fields"
    ),
    around(
        "its middleware lets itself pass",
        skips(lambda asked: asked.has("x-middleware-subrequest").split(":").count("middleware") >= 5),
        "trusted-fields",
    ),
    around(
        "it believes that it is paid", skips(lambda asked: asked.has("x-payment-verified") == "true"), "trusted-fields"
    ),
    around("it takes a receipt for a payment", skips(lambda asked: asked.has("payment-response")), "trusted-fields"),
    around("it lets pages be fetched ahead", skips(lambda asked: asked.has("purpose") == "prefetch"), "trusted-fields"),
    around(
        "it gives ranges away",
        Ways(
            skips=lambda asked: bool(asked.has("range")),
            sells=lambda asked: replace(Ways().sells(asked), status=206 if asked.has("range") else 200),
        ),
        "special-fields",
    ),
    around("its guard knows HTTP/1.1 alone", skips(lambda asked: asked.version == "HTTP/1.0"), "special-fields"),
    around("its guard waits for an expectation", skips(lambda asked: asked.has("expect")), "special-fields"),
    around(
        "it serves whoever upgrades",
        Ways(
            skips=lambda asked: "h2c" in asked.has("upgrade"),
            sells=lambda asked: _upgraded(asked) if asked.has("upgrade") else Ways().sells(asked),
        ),
        "special-fields",
    ),
    around(
        "it takes an empty payment for one",
        skips(lambda asked: any(name.lower() == "x-payment" for name, _ in asked.fields)),
        "odd-fields",
    ),
    around("its guard gives up on many fields", skips(_many), "odd-fields"),
    around(
        "its guard gives up on a name with a space",
        skips(lambda asked: any(name.endswith(" ") for name, _ in asked.fields)),
        "odd-fields",
    ),
    around(
        "its guard believes an overriding method",
        Ways(guards=_overridden, priced=methods("GET", "HEAD")),
        "method-override",
    ),
    around(
        "its router believes an overriding method",
        Ways(routes=_overridden, guards=exact, priced=methods("GET", "HEAD")),
        "method-override",
    ),
    around(
        "its router believes a method in the query",
        Ways(
            routes=lambda asked: replace(asked, method="GET") if "_method=GET" in asked.query else asked,
            guards=exact,
            priced=methods("GET", "HEAD"),
        ),
        "method-override",
    ),
    around("its guard knows no GET with content", skips(lambda asked: asked.method == "GET" and asked.body), "bodies"),
    around("its guard knows no chunks", skips(lambda asked: asked.has("transfer-encoding")), "bodies"),
    around(
        "its guard gives up on what is no JSON",
        skips(lambda asked: asked.method == "GET" and asked.body == b"{"),
        "bodies",
    ),
    around(
        "its handler takes any method, and its guard prices GET",
        Ways(priced=methods("GET", "HEAD"), serves=frozenset({"GET", "HEAD", "POST", "PUT"})),
        "other-methods",
        "method-override",
    ),
    around(
        "its router knows no case of methods",
        Ways(
            routes=lambda asked: replace(asked, method=asked.method.upper()),
            guards=exact,
            priced=methods("GET", "HEAD"),
        ),
        "other-methods",
    ),
    around(
        "its OPTIONS goes to the handler",
        Ways(skips=lambda asked: asked.method == "OPTIONS", serves=frozenset({"GET", "HEAD", "OPTIONS"})),
        "other-methods",
    ),
    around(
        "its handler runs for DELETE and tells nobody",
        Ways(
            priced=methods("GET", "HEAD"),
            serves=frozenset({"GET", "HEAD", "DELETE"}),
            sells=lambda asked: Said(status=204, bare=True) if asked.method == "DELETE" else Ways().sells(asked),
        ),
        "other-methods",
    ),
    around(
        "its POST costs, and its GET does not",
        Ways(priced=methods("POST"), serves=frozenset({"GET", "HEAD", "POST"})),
        "other-methods",
        "method-override",
        edit=_POSTED,
    ),
    around(
        "its guard reads JSON alone",
        replace(
            skips(lambda asked: asked.method == "POST" and "json" not in asked.has("content-type")),
            serves=frozenset({"POST"}),
        ),
        "bodies",
        edit=_POSTED,
    ),
    around("its handler runs for HEAD", _HEAD, "head-runs-nothing"),
    around("its handler runs for HEAD, where no witness sees it", _HEAD, "head-runs-nothing", edit=without_witness),
    around(
        "its handler runs for HEAD, and a tag tells",
        _tagged(_HEAD),
        "head-runs-nothing",
        edit=without_witness,
    ),
    around(
        "its handler runs for HEAD, which is refused",
        replace(
            _HEAD, sells=lambda asked: said(402, code="upgrade") if asked.method == "HEAD" else Ways().sells(asked)
        ),
        "head-runs-nothing",
    ),
    around(
        "its handler runs for HEAD, which is to be metadata",
        _HEAD,
        "head-runs-nothing",
        edit=endpoint(head="metadata"),
    ),
    around(
        "its guard gives up on an override and a slash together",
        Ways(
            routes=read(slashed),
            skips=lambda asked: bool(asked.has("x-http-method-override")) and asked.path.endswith("/"),
        ),
        "any-variant",
    ),
    around(
        "its guard gives up on a range of an encoded path",
        Ways(routes=read(decoded), skips=lambda asked: bool(asked.has("range")) and "%" in asked.path),
        "any-variant",
    ),
    around("it knows who has paid by his connection", Ways(remembers=True), "kept-connection"),
    around("it becomes slow by a long query", _once(lambda asked: len(asked.query) > 4096, sleeps=0.4), "survives"),
    around(
        "it breaks by a NUL, for good",
        _once(_nul, says=_at_runs(500)),
        "survives",
    ),
    around(
        "it hangs up on everybody after a NUL",
        _once(_nul, says=Said(status=0)),
        "survives",
    ),
)

_EVERY = (
    *("slashes", "dot-segments", "suffixes", "letter-case", "encoded-letters", "encoded-slashes", "malformed-escapes"),
    *("control-characters", "target-forms", "fragments", "queries", "hosts", "rewritten-url", "trusted-fields"),
    *("special-fields", "odd-fields", "method-override", "bodies", "other-methods", "kept-connection"),
)


def _banned(wrong: Callable[[Asked], bool], ban: Said) -> Callable[[], Ways]:
    """Shuts everybody out once it was asked what is wrong."""

    def make() -> Ways:
        seen: list[bool] = []

        def first(asked: Asked) -> Said | None:
            seen.extend([True] if wrong(asked) else [])
            return ban if seen and not asked.has("x-account") else None

        return Ways(first=first)

    return make


def _on_credit(written: dict[str, Any]) -> None:
    """It refuses for want of credits, and says how many are left."""
    written["answer"][0] |= {"family": "credits", "facts": {"balance": "/balance"}}


def _moody() -> Ways:
    """Gives it away once, and never again."""
    asked_so: list[str] = []

    def skips(asked: Asked) -> bool:
        if not asked.path.endswith("//"):
            return False
        asked_so.append(asked.path)
        return len(asked_so) == 1

    return Ways(routes=read(slashed), skips=skips)


def _opens_for_good() -> Ways:
    """Is open to everybody once somebody wrote it in capitals."""
    seen: list[bool] = []

    def skips(asked: Asked) -> bool:
        seen.extend([True] if asked.path == PATH.upper() else [])
        return bool(seen)

    return Ways(routes=read(str.lower), skips=skips)


_PAGE = Said(status=200, body=b"<title>It is sunny</title>", fields={"Content-Type": "text/html"})

UNPROVEN: tuple[Round, ...] = (
    around(
        "nobody has paid, so that the marker was never seen",
        Ways(),
        *_EVERY[:-1],
        edit=endpoint(paid_identity=None),
    ),
    around(
        "who has paid is not shown the marker",
        replace(Ways(), sells=lambda _: said(200, weather="fine")),
        *_EVERY,
    ),
    around(
        "the marker stands in the refusal",
        Ways(refuses=lambda _: said(402, code="upgrade", message="sunny")),
        *(*_EVERY, "head-runs-nothing", "survives"),
    ),
    around(
        "the usual request is not refused",
        Ways(priced=lambda _: False),
        *(*_EVERY, "head-runs-nothing", "survives"),
    ),
    around(
        "the marker stands on the page for every path that is nowhere",
        Ways(other=lambda _: _PAGE),
        *set(_EVERY)
        - {
            "queries",
            "hosts",
            "trusted-fields",
            "special-fields",
            "odd-fields",
            "bodies",
            "other-methods",
            "method-override",
            "kept-connection",
        },
    ),
    around(
        "a firewall shuts out who asks oddly",
        _banned(lambda asked: "%00" in asked.target, said(403, code="banned")),
        *_EVERY[5:-1],
    ),
    around(
        "HEAD is answered, and nothing shows what ran",
        replace(_HEAD, sells=lambda asked: replace(Ways().sells(asked), bare=asked.method == "HEAD")),
        "head-runs-nothing",
        edit=without_witness,
    ),
    around(
        "HEAD is answered alike for all in a folder that has a price, and nothing shows what ran",
        Ways(
            priced=lambda asked: asked.method == "GET" and _below(asked),
            reaches=_below,
            sells=lambda asked: replace(Ways().sells(asked), bare=asked.method == "HEAD"),
        ),
        "head-runs-nothing",
        edit=without_witness,
    ),
    around("it was served once, and not again", _moody, *_EVERY[:5]),
    around("it is open to everybody by then", _opens_for_good, *_EVERY),
    around(
        "what is left may pay for another view",
        Ways(skips=lambda asked: "amp=1" in asked.query, refuses=lambda _: said(402, code="upgrade", balance=3)),
        "queries",
        edit=_on_credit,
    ),
    around(
        "it is broken for good",
        _once(_nul, says=_at_runs(404)),
        *_EVERY[5:-1],
    ),
    around(
        "it lets what it does not like wait",
        Ways(sleeps=lambda asked: 1.6 if "%c0" in asked.target else 0.0),
        "encoded-slashes",
        "malformed-escapes",
        "queries",
        edit=lambda written: written["target"].update(timeout=1.0),
    ),
)
