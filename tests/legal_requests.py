"""Turnstiles that have no way round, whatever else they make of a request."""

import re
import time
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import unquote

from fault_requests import (
    Round,
    around,
    decoded,
    dotted,
    endpoint,
    folded,
    matrixless,
    merged,
    methods,
    read,
    slashed,
    told,
    unescaped,
    whole,
    without_witness,
)
from turnstile import PATH, SOLD, Asked, Said, Ways, said

__all__ = ["LEGAL", "legal_if"]


def _to_usual(asked: Asked) -> Said | None:
    """Sends who asks for the same in another writing to the usual one."""
    here = merged(dotted(slashed(decoded(asked.path)).lower()))
    return Said(status=308, fields={"Location": PATH}) if here == PATH and asked.path != PATH else None


def _odd(asked: Asked) -> bool:
    """Whether a request has what no usual one has."""
    return bool(
        re.search(r"[^\x21-\x7e]|[\\#;]|%(?![0-9A-Fa-f]{2})|%(0|7F|C0|FF)|/\.|//", asked.target, re.IGNORECASE)
        or not asked.target.startswith("/")
        or any(name.endswith(" ") for name, _ in asked.fields)
    )


def _if(odd: Callable[[Asked], object], answer: Said) -> Ways:
    """Says ``answer`` where a request is odd."""
    return Ways(first=lambda asked: answer if odd(asked) else None)


def legal_if(answer: Said) -> Ways:
    """Says ``answer`` to whatever no usual request has."""
    return _if(_odd, answer)


def _method(*known: str, answer: Said) -> Ways:
    return _if(lambda asked: asked.method not in known, answer)


_PAGE = Said(status=200, body=b"<title>An app</title>", fields={"Content-Type": "text/html"})
_JUNK = said(400, code="junk")
_NORMAL = read(lambda path: slashed(merged(dotted(matrixless(folded(unescaped(path)))))).lower())


_LISTED = Ways(priced=lambda asked: re.match("(?s)/api/.", asked.path) is not None)
"""A price on all in a folder, and none on the folder."""


def _echoed(asked: Asked) -> Said | None:
    """TRACE, as RFC 9110 has it."""
    if asked.method != "TRACE":
        return None
    lines = [f"{asked.method} {asked.target} {asked.version}", *(f"{name}: {value}" for name, value in asked.fields)]
    return Said(status=200, body="\r\n".join(lines).encode("latin-1"), fields={"Content-Type": "message/http"})


def _partial(asked: Asked) -> Said:
    """A range, for who has paid."""
    answer = Ways().sells(asked)
    return replace(answer, status=206) if asked.has("range") else answer


def _allowed(phrases: str, *ids: str) -> tuple[str, ...]:
    return tuple(f"requests.{id}: {phrase}" for id in ids for phrase in phrases.split(" | "))


_PATHS = ("slashes", "letter-case", "encoded-letters", "suffixes", "control-characters", "encoded-slashes", "fragments")
_SAY_402 = ("hosts", "queries", "trusted-fields", "special-fields", "odd-fields", "bodies", "method-override")

LEGAL: tuple[Round, ...] = (
    around(
        "it reads everything to the letter",
        Ways(),
        allows=(
            *_allowed("404", *_PATHS),
            *_allowed("402", *_SAY_402),
            *_allowed("fields that count for nothing", "rewritten-url"),
            *_allowed("a method that counts for nothing", "method-override"),
            *_allowed("HEAD answered 402", "head-runs-nothing"),
        ),
    ),
    around(
        "it reads everything as generously as it can, and its guard too",
        Ways(routes=lambda asked: _NORMAL(whole(replace(asked, target=asked.target.partition("#")[0])))),
        allows=(
            *_allowed("402", "slashes", "suffixes", "encoded-letters", "encoded-slashes"),
            *_allowed("402 once they are removed", "dot-segments"),
            *_allowed("402 in any case of letters", "letter-case"),
            *_allowed("402 in absolute form", "target-forms"),
            *_allowed("402 once it is taken off", "fragments"),
        ),
    ),
    around(
        "it wants money for whatever begins like it",
        Ways(priced=lambda asked: unquote(asked.path).startswith(PATH)),
        allows=(
            *_allowed("402 where they are taken as they stand", "malformed-escapes"),
            *_allowed("402", "control-characters"),
        ),
    ),
    around("it wants money for everything", Ways(priced=lambda asked: asked.path != "/runs")),
    around(
        "it sends to the usual path",
        Ways(first=_to_usual),
        allows=(*_allowed("a redirect to the usual path", "slashes"), *_allowed("a redirect", "dot-segments")),
    ),
    around(
        "it has no time for junk",
        _if(_odd, _JUNK),
        allows=_allowed(
            "400",
            "dot-segments",
            "encoded-slashes",
            "malformed-escapes",
            "control-characters",
            "target-forms",
            "fragments",
        ),
    ),
    around(
        "it hangs up on junk", _if(_odd, Said(status=0)), allows=_allowed("a closed connection", "malformed-escapes")
    ),
    around("a firewall forbids junk", _if(_odd, said(403, code="forbidden"))),
    around("it breaks on junk, each time", _if(_odd, said(500, code="oops"))),
    around("it is a page for every path", Ways(other=lambda _: _PAGE)),
    around(
        "it is a page for every path, with HEAD too",
        Ways(other=lambda _: _PAGE, first=lambda asked: _PAGE if asked.method == "HEAD" else None),
        edit=without_witness,
        allows=_allowed("2xx to HEAD on any path", "head-runs-nothing"),
    ),
    around(
        "it forbids HEAD",
        _method("GET", answer=said(405)),
        allows=(
            *_allowed("HEAD answered 405 or 501", "head-runs-nothing"),
            *_allowed("405 or 501", "other-methods"),
            *_allowed("405", "method-override"),
        ),
    ),
    around("it knows no HEAD", _method("GET", "POST", answer=said(501))),
    around(
        "its HEAD is metadata, and runs nothing",
        Ways(
            first=lambda asked: (
                replace(_PAGE, fields={"Content-Length": str(len(str(SOLD)))})
                if asked.method == "HEAD" and asked.path == PATH
                else None
            )
        ),
        edit=endpoint(head="metadata"),
        allows=_allowed("metadata where endpoint.head says so", "head-runs-nothing"),
    ),
    around(
        "it answers preflights",
        Ways(first=lambda asked: Said(status=204, bare=True) if asked.method == "OPTIONS" else None),
        allows=_allowed("an answer to OPTIONS", "other-methods"),
    ),
    around(
        "it says a traced request again",
        Ways(first=_echoed),
        allows=_allowed("TRACE that says the request again", "other-methods"),
    ),
    around(
        "its POST is another thing, which is free",
        Ways(first=lambda asked: said(201, made=True) if asked.method == "POST" and asked.path == PATH else None),
    ),
    around(
        "it gives ranges to who has paid",
        Ways(sells=_partial),
    ),
    around(
        "it goes where X-Original-URL says, and its guard too",
        Ways(routes=told("x-original-url")),
        allows=_allowed("a rewritten URL that is refused as itself", "rewritten-url"),
    ),
    around(
        "a free page lies below",
        Ways(other=lambda asked: said(200, about="this API") if asked.path.startswith(f"{PATH}/") else said(404)),
        allows=_allowed("another page that is free", "suffixes"),
    ),
    around(
        "its folder is a list for everybody, sunny among it",
        replace(_LISTED, other=lambda asked: said(200, list=["sunny"]) if asked.path == "/api/" else said(404)),
        allows=_allowed("a list for everybody at the folder", "slashes"),
    ),
    around(
        "its folder is a list for everybody, with members of the same name, and it has no witness",
        replace(_LISTED, other=lambda asked: said(200, weather=["windy"]) if asked.path == "/api/" else said(404)),
        edit=endpoint(marker={"pointer": "/weather"}, witness=None),
    ),
    around(
        "its folder says what is sold to whoever asks, where a price is on the one path",
        Ways(other=lambda asked: said(200, list=["sunny"]) if asked.path == "/api/" else said(404)),
        edit=without_witness,
    ),
    around(
        "another site is under another host",
        _if(lambda asked: not asked.has("host").startswith("127.0.0.1"), _PAGE),
        allows=_allowed("another site under another host", "hosts"),
    ),
    around(
        "it knows its own host alone",
        _if(
            lambda asked: not asked.has("host").startswith("127.0.0.1") or "conformance.example" in asked.target,
            said(421),
        ),
        allows=(*_allowed("400 or 421", "hosts"), *_allowed("421 for another host", "target-forms")),
    ),
    around(
        "it forbids who says that he is from inside",
        _if(lambda asked: asked.has("x-internal") or asked.has("x-remote-user"), said(403)),
        allows=_allowed("403 for who is not trusted", "trusted-fields"),
    ),
    around(
        "it expects nothing and upgrades to nothing",
        _if(lambda asked: asked.has("expect") or asked.has("upgrade"), said(417)),
        allows=_allowed("417 or 426", "special-fields"),
    ),
    around(
        "it is of HTTP/1.1",
        _if(lambda asked: asked.version != "HTTP/1.1", said(505)),
        allows=_allowed("505 for an old version", "special-fields"),
    ),
    around(
        "it upgrades to a WebSocket that says nothing of it",
        _if(
            lambda asked: asked.has("upgrade") == "websocket",
            Said(status=101, body=b"\x81\x02hi", fields={"Upgrade": "websocket", "Connection": "Upgrade"}, bare=True),
        ),
    ),
    around(
        "it takes few fields",
        _if(lambda asked: len(asked.fields) > 30 or sum(len(v) for _, v in asked.fields) > 4096, said(431)),
        allows=_allowed("400 or 431", "odd-fields"),
    ),
    around(
        "it takes no content",
        _if(lambda asked: asked.body or asked.has("transfer-encoding"), said(415)),
        allows=_allowed("400, 411, 413 or 415", "bodies"),
    ),
    around(
        "it dislikes odd queries",
        _if(lambda asked: re.search("%(?![0-9A-Fa-f]{2})|%0|%c0", asked.query) or len(asked.query) > 2000, said(400)),
        allows=_allowed("400 for what is no query", "queries"),
    ),
    around(
        "it has another view that is free",
        Ways(first=lambda asked: said(200, preview="there is weather") if "preview=true" in asked.query else None),
        allows=_allowed("another view that is free", "queries"),
    ),
    around(
        "it closes after each answer",
        Ways(closes=True),
        allows=_allowed("a connection that is closed after each answer", "kept-connection"),
    ),
    around("it takes one connection at a time", Ways(alone=True)),
    around(
        "it is slow now and then",
        lambda: Ways(sleeps=_now_and_then()),
        allows=_allowed("one that is slow now and then", "survives"),
    ),
    around(
        "it lets wait who asks too often",
        lambda: Ways(sleeps=_too_often()),
        allows=_allowed("a wait for who asks too often", "survives"),
    ),
    around(
        "it waits for the content that it is to expect",
        Ways(sleeps=lambda asked: 30.0 if asked.has("expect") == "100-continue" and not asked.body else 0.0),
        allows=_allowed("a wait for content that is announced and does not come", "special-fields"),
    ),
    around(
        "it is short with who asks oddly, and not with others",
        _if(_odd, said(429, code="slow_down")),
        edit=lambda written: (
            written["answer"].append({"name": "slow", "family": "paywall", "status": [429]})
            or written["endpoint"][0]["answers"].append("slow")
        ),
        allows=_allowed("403 or 429 for who asks oddly", "survives"),
    ),
    around(
        "its refusal is a 401",
        Ways(refuses=lambda _: said(401, code="login")),
        edit=lambda written: written["answer"][0].update(status=[401]),
    ),
    around(
        "its refusal is a 200",
        Ways(refuses=lambda _: said(200, code="upgrade")),
        edit=lambda written: written["answer"][0].update(status=[200], when={"jmespath": "code == 'upgrade'"}),
    ),
    around("its witness counts refusals too", Ways(counts=lambda asked: int(asked.path != "/runs"))),
    around(
        "its marker is a word of its path, and it says every path again",
        Ways(other=lambda asked: said(404, nothing_at=unquote(asked.target, "latin-1"))),
        edit=endpoint(marker={"re": "weather.*sunny|api/weather"}, witness=None),
    ),
    around("it has no witness", Ways(), edit=without_witness),
    around(
        "its POST costs, and its GET is a form",
        Ways(
            serves=frozenset({"POST"}),
            priced=methods("POST"),
            first=lambda asked: _PAGE if asked.method in {"GET", "HEAD"} and asked.path == PATH else None,
        ),
        edit=endpoint(method="POST", json={"city": "Paris"}),
    ),
)


_USUAL = {"host", "accept", "accept-encoding", "connection", "user-agent"}


def _too_often() -> Callable[[Asked], float]:
    """The usual request waits when it comes soon after another one, once many came."""
    came: list[float] = []

    def sleeps(asked: Asked) -> float:
        came.append(time.monotonic())
        soon = len(came) > 190 and came[-1] - came[-2] < 1.0
        usual = asked.target == PATH and {name.lower() for name, _ in asked.fields} <= _USUAL
        return 0.3 if soon and usual and not asked.body else 0.0

    return sleeps


def _now_and_then() -> Callable[[Asked], float]:
    asked_so: list[Asked] = []

    def sleeps(asked: Asked) -> float:
        asked_so.append(asked)
        return 0.5 if len(asked_so) % 20 == 0 else 0.0

    return sleeps
