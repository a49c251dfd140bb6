"""Turnstiles with a way round that is a neighbour of a known one, or that shows what is sold in another dress."""

import base64
import gzip
import json
import re
from collections.abc import Callable
from dataclasses import replace

from fault_requests import (
    Round,
    around,
    dotted,
    endpoint,
    exact,
    matrixless,
    methods,
    read,
    skips,
    told,
    without_witness,
)
from legal_requests import legal_if
from turnstile import PATH, SOLD, Asked, Said, Ways, said

__all__ = ["MORE_FAULTS", "MORE_LEGAL"]

_GOODS = json.dumps(SOLD)
_JSON = {"Content-Type": "application/json"}


def _routed(write: Callable[[str], str]) -> Ways:
    """The router reads paths so, and the guard to the letter."""
    return Ways(routes=read(write), guards=exact)


def _further(*paths: str) -> Ways:
    """The router knows further paths, of which the guard knows nothing."""
    return Ways(reaches=lambda asked: asked.path in {PATH, *paths})


def _believes(name: str, pattern: str = ".") -> Ways:
    """The guard lets pass who brings a field."""
    return skips(lambda asked: re.search(pattern, asked.has(name)))


def _method(name: str) -> Ways:
    """The guard does not know a method that the handler is called with."""
    return Ways(
        serves=frozenset({"GET", "HEAD", name}), priced=lambda asked: asked.path == PATH and asked.method != name
    )


def _shows(name: str, answer: Said) -> Round:
    """A matrix parameter opens the door, and what is behind it comes as ``answer``; no witness sees it."""
    ways = Ways(
        routes=read(matrixless), guards=exact, sells=lambda asked: Ways().sells(asked) if asked.path == PATH else answer
    )
    return around(f"a matrix parameter brings what is sold, {name}", ways, "suffixes", edit=without_witness)


def _prefixed(asked: Asked) -> Asked:
    return asked.at(asked.has("x-forwarded-prefix") + asked.path)


MORE_FAULTS: tuple[Round, ...] = (
    around("its router takes off a host", _routed(lambda path: re.sub("^//[^/]+", "", path)), "slashes"),
    around(
        "its router reads long forms of letters",
        _routed(lambda path: re.sub("(?i)%c1%b7", "w", path)),
        "encoded-letters",
    ),
    around(
        "its router walks dots in a long form",
        Ways(routes=read(lambda path: dotted(re.sub("(?i)%c0%ae", ".", path))), guards=read(dotted)),
        "malformed-escapes",
    ),
    around(
        "its router reads a slash of full width",
        _routed(lambda path: re.sub("(?i)%ef%bc%8f", "/", path)),
        "encoded-slashes",
    ),
    around(
        "its router takes off parameters of folders",
        _routed(lambda path: re.sub(";[^/]*/", "/", path)),
        "suffixes",
    ),
    around("its router knows no case of folders", _further("/API/weather"), "letter-case"),
    around("its router decodes folders alone", _further("/%61pi/weather"), "encoded-letters"),
    around("it has a feed", _further(f"{PATH}.rss"), "suffixes"),
    around("it has a page to print", _further(f"{PATH}/print"), "suffixes"),
    around("it speaks English", _further(f"/en{PATH}"), "suffixes"),
    around("its router drops a form feed", _routed(lambda path: path.removesuffix("%0c")), "control-characters"),
    around("its router walks a folder out of the root", _further(f"/x/%2e%2e{PATH}"), "dot-segments"),
    around("its guard believes X-Original-Path", Ways(guards=told("x-original-path")), "rewritten-url"),
    around(
        "its router goes where X-Rewrite-URI says", Ways(routes=told("x-rewrite-uri"), guards=exact), "rewritten-url"
    ),
    around("its router puts a prefix before a path", Ways(routes=_prefixed, guards=exact), "rewritten-url"),
    around("it trusts its own machine in IPv6", _believes("x-real-ip", "^::1$"), "trusted-fields"),
    around("it trusts a network inside", _believes("x-forwarded-for", r"^10\."), "trusted-fields"),
    around("it trusts the last proxy", _believes("x-forwarded-for", r", 127\.0\.0\.1$"), "trusted-fields"),
    around("it believes a role", _believes("x-role"), "trusted-fields"),
    around("it takes any name and password", _believes("authorization", "^Basic "), "trusted-fields"),
    around(
        "it reads a token that nobody signed", _believes("authorization", r"^Bearer ey\w+\.\w+\.$"), "trusted-fields"
    ),
    around(
        "it gives its pages to those who show previews",
        _believes("user-agent", "facebookexternalhit"),
        "trusted-fields",
    ),
    around("it gives its text away", _believes("accept", "^text/markdown$"), "special-fields"),
    around("its guard leaves preconditions to others", _believes("if-none-match"), "special-fields"),
    around(
        "its guard gives up without a host",
        skips(lambda asked: not any(name.lower() == "host" for name, _ in asked.fields)),
        "hosts",
        "special-fields",
    ),
    around(
        "its guard gives up on a long field",
        skips(lambda asked: any(len(v) > 8192 for _, v in asked.fields)),
        "odd-fields",
    ),
    around("it has a place to play", skips(lambda asked: "sandbox=true" in asked.query), "queries"),
    around(
        "its guard reads one of a kind", skips(lambda asked: "[]=" in asked.query), "queries", edit=endpoint(query={})
    ),
    around("its PROPFIND goes to the handler", _method("PROPFIND"), "other-methods"),
    around(
        "its router believes X-Method",
        Ways(
            routes=lambda asked: replace(asked, method=asked.has("x-method") or asked.method),
            guards=exact,
            priced=methods("GET", "HEAD"),
        ),
        "method-override",
    ),
    around("its guard knows no content in parts", _believes("content-type", "^multipart/"), "bodies"),
    around("its guard gives up on a long content", skips(lambda asked: len(asked.body) > 100_000), "bodies"),
    around(
        "its guard gives up on a query and a slash together",
        Ways(
            routes=read(lambda path: path.rstrip("/")),
            skips=lambda asked: "conformance=1" in asked.query and asked.path == f"{PATH}/",
        ),
        "any-variant",
    ),
    _shows(
        "in base64",
        Said(status=200, body=json.dumps({"data": base64.b64encode(_GOODS.encode()).decode()}).encode(), fields=_JSON),
    ),
    _shows("in base64 for URLs", Said(status=200, body=base64.urlsafe_b64encode(b"x" + _GOODS.encode()).rstrip(b"="))),
    _shows("in hexadecimal digits", Said(status=200, body=_GOODS.encode().hex().encode())),
    _shows("in escapes", Said(status=200, body="".join(f"%{byte:02X}" for byte in _GOODS.encode()).encode())),
    _shows("in entities", Said(status=200, body="".join(f"&#{byte};" for byte in _GOODS.encode()).encode())),
    _shows("between tags", Said(status=200, body=b"<p>It is <b>sun</b>ny.", fields={"Content-Type": "text/html"})),
    _shows(
        "as JSON in a text",
        Said(status=200, body=json.dumps({"data": _GOODS.replace("sunny", "\\u0073unny")}).encode(), fields=_JSON),
    ),
    _shows(
        "as a file in gzip",
        Said(status=200, body=gzip.compress(_GOODS.encode()), fields={"Content-Type": "application/gzip"}),
    ),
    _shows("in wide characters", Said(status=200, body=_GOODS.encode("utf-16-le"), fields=_JSON)),
    _shows("inside a refusal", said(402, code="upgrade", preview={"today": [SOLD]})),
    _shows(
        "in an answer that breaks off",
        Said(status=200, body=_GOODS.encode(), fields={**_JSON, "Content-Length": "9999"}),
    ),
    _shows("in a trailer", Said(status=200, body=b"{}", fields=_JSON, trailers={"X-Weather": "sunny"})),
    _shows(
        "in an early hint",
        Said(
            status=200,
            body=b"{}",
            fields=_JSON,
            before="HTTP/1.1 103 Early Hints\r\nLink: </sunny.png>; rel=preload\r\n\r\n",
        ),
    ),
)
MORE_LEGAL: tuple[Round, ...] = (
    around(
        "it breaks off where it says no",
        legal_if(Said(status=400, body=b"no", fields={"Content-Length": "9999"})),
    ),
    around(
        "its page for every path has its marker in a picture",
        Ways(
            other=lambda _: Said(status=200, body=b"<img src=data:;base64," + base64.b64encode(b"it is sunny") + b">")
        ),
    ),
    around(
        "it hints and adds trailers to whatever it says",
        Ways(
            other=lambda _: Said(
                status=404,
                body=b"{}",
                before="HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n",
                trailers={"Server-Timing": "total"},
            )
        ),
    ),
)
