"""The method of a request, its content and its query, written otherwise."""

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from urllib.parse import parse_qsl, urlencode

from conformance.spelling import Respelt, Spelling, queried

__all__ = ["BODIES", "METHODS", "OVERRIDE", "QUERIES"]


def _method(name: str) -> Respelt:
    def respelt(plain: Spelling) -> Spelling | None:
        fields, body = plain.fields, plain.body
        if name in {"GET", "HEAD", "OPTIONS", "TRACE"}:
            # A request of these with content is another thing to ask.
            fields, body = tuple(f for f in fields if not f[0].lower().startswith("content-")), b""
        return replace(plain, method=name, fields=fields, body=body) if name != plain.method else None

    return respelt


def _spelled_method(write: Callable[[str], str]) -> Respelt:
    return lambda plain: replace(plain, method=write(plain.method))


def _asked_by_query(plain: Spelling) -> Spelling | None:
    """By GET, with its content as the query."""
    pairs = _members(plain)
    if pairs is None or plain.method == "GET":
        return None
    made = _method("GET")(plain)
    return made and replace(made, query="&".join(filter(None, (plain.query, urlencode(pairs)))))


def _members(plain: Spelling) -> dict[str, str] | None:
    """The members of a content that is a flat object or a form; None for another one, or none."""
    if not plain.body:
        return None
    try:
        found = json.loads(plain.body)
    except ValueError:
        return dict(parse_qsl(plain.body.decode("latin-1"))) or None
    flat = isinstance(found, dict) and not any(isinstance(value, dict | list) for value in found.values())
    return {name: str(value) for name, value in found.items()} if flat else None


def _as_form(plain: Spelling) -> Spelling | None:
    pairs = _members(plain) if plain.body.startswith(b"{") else None
    form = ("Content-Type", "application/x-www-form-urlencoded")
    return replace(plain.with_fields(form), body=urlencode(pairs).encode()) if pairs else None


def _as_json(plain: Spelling) -> Spelling | None:
    pairs = None if plain.body.startswith((b"{", b"[")) else _members(plain)
    return (
        replace(plain.with_fields(("Content-Type", "application/json")), body=json.dumps(pairs).encode())
        if pairs
        else None
    )


_OTHERS = (
    *("GET", "POST", "OPTIONS", "TRACE", "QUERY", "CONFORMANCE", "PUT", "PATCH"),
    *("PROPFIND", "SEARCH", "REPORT", "LINK", "TRACK", "DEBUG", "ANY"),
)
# DELETE comes last: who serves it may do what it says.
METHODS: Mapping[str, Respelt] = {
    "lower case": _spelled_method(str.lower),
    "a capital alone": _spelled_method(str.capitalize),
    "one small letter": _spelled_method(lambda name: name[:-1] + name[-1:].lower()),
    "HEAD": lambda plain: _method("HEAD")(plain) if plain.method != "GET" else None,
    **{name: _method(name) for name in _OTHERS},
    "GET, its content in the query": _asked_by_query,
    "DELETE": _method("DELETE"),
}


def _overridden(method: str, *, by: str, where: str = "field", small: bool = False) -> Respelt:
    """Sent as ``method``, with ``by`` in a place that is said to count for more; empty is the method itself."""

    def respelt(plain: Spelling) -> Spelling | None:
        sent, told = method or plain.method, by or plain.method
        made = plain if sent == plain.method else _method(sent)(plain)
        if sent == told or made is None:
            return None
        told = told.lower() if small else told
        if where == "query":
            named = (f"{name}={told}" for name in ("_method", "method", *_OVERRIDES[:1]))
            return replace(made, query="&".join(filter(None, (made.query, *named))))
        if where == "form":
            form = ("Content-Type", "application/x-www-form-urlencoded")
            return replace(made.with_fields(form), body=f"_method={told}".encode())
        names = ("X-Original-Method", "X-Forwarded-Method") if where == "proxy" else _OVERRIDES
        return made.with_fields(*((name, told) for name in names))

    return respelt


_OVERRIDES = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Method")
OVERRIDE: Mapping[str, Respelt] = {
    "POST, overridden by fields": _overridden("POST", by=""),
    "POST, overridden in the query": _overridden("POST", by="", where="query"),
    "POST, overridden in a form": _overridden("POST", by="", where="form"),
    "POST, overridden by fields in small letters": _overridden("POST", by="", small=True),
    "PUT, overridden by fields": _overridden("PUT", by=""),
    "GET, overridden by fields": _overridden("GET", by=""),
    "GET, overridden in the query": _overridden("GET", by="", where="query"),
    "overridden to OPTIONS by fields": _overridden("", by="OPTIONS"),
    "overridden to HEAD by fields": _overridden("", by="HEAD"),
    "overridden to nothing known by fields": _overridden("", by="CONFORMANCE"),
    "overridden to OPTIONS in the query": _overridden("", by="OPTIONS", where="query"),
    "overridden to OPTIONS by fields of a proxy": _overridden("", by="OPTIONS", where="proxy"),
}


def _content(body: bytes, media_type: str, *, over: bool = False, **fields: str) -> Respelt:
    """With content where there is none; ``over`` what there is too."""
    given = (("Content-Type", media_type), *((name.replace("_", "-"), value) for name, value in fields.items()))
    return lambda plain: replace(plain.with_fields(*given), body=body) if over or not plain.body else None


def _recoded(write: Callable[[bytes], bytes], *fields: tuple[str, str]) -> Respelt:
    """The content that there is, written otherwise."""
    return lambda plain: replace(plain.with_fields(*fields), body=write(plain.body)) if plain.body else None


def _chunked(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"


_PARTS = b'--conformance\r\nContent-Disposition: form-data; name="conformance"\r\n\r\n1\r\n--conformance--\r\n'
BODIES: Mapping[str, Respelt] = {
    "a content of JSON": _content(b'{"conformance":1}', "application/json"),
    "a content of a form": _content(b"conformance=1", "application/x-www-form-urlencoded"),
    "a content that is no JSON": _content(b"{", "application/json", over=True),
    "a content of XML": _content(b"<conformance/>", "application/xml"),
    "a content in parts": _content(_PARTS, "multipart/form-data; boundary=conformance"),
    "a content of a list": _content(b"[]", "application/json"),
    "a long content": _content(b'{"conformance":"' + b"a" * 120_000 + b'"}', "application/json"),
    "in chunks, and with a length": lambda plain: replace(
        plain.with_fields(("Content-Length", str(len(_chunked(plain.body)))), ("Transfer-Encoding", "chunked")),
        body=_chunked(plain.body),
    ),
    "in chunks": lambda plain: replace(
        plain, fields=(*plain.fields, ("Transfer-Encoding", "chunked")), body=_chunked(plain.body)
    ),
    "no content": lambda plain: replace(plain, body=b"") if plain.body else None,
    "as text": _recoded(bytes, ("Content-Type", "text/plain")),
    "without its media type": lambda plain: (
        replace(plain, fields=tuple(f for f in plain.fields if f[0].lower() != "content-type")) if plain.body else None
    ),
    "as JSON of another name": lambda plain: (
        _recoded(bytes, ("Content-Type", "application/vnd.api+json"))(plain)
        if plain.body.startswith((b"{", b"["))
        else None
    ),
    "as a form": _as_form,
    "as JSON": _as_json,
    "compressed": _recoded(lambda body: gzip.compress(body, mtime=0), ("Content-Encoding", "gzip")),
    "as one of a list": _recoded(lambda body: b"[" + body + b"]" if body.startswith(b"{") else body),
    "with a byte order mark": _recoded(lambda body: b"\xef\xbb\xbf" + body),
}


def _own_names(write: Callable[[str], str]) -> Callable[[str], str]:
    """The names of the parameters that there are, each written otherwise."""

    def written(query: str) -> str:
        pairs = (pair.partition("=") for pair in query.split("&") if pair)
        return "&".join(write(name) + sign + value for name, sign, value in pairs)

    return written


def _and(more: str) -> Respelt:
    return queried(lambda query: "&".join(filter(None, (query, more))))


_FLAGS = (
    *("debug", "test", "preview", "free", "trial", "demo", "paid", "admin", "internal", "bypass", "skip_payment"),
    *("dev", "draft", "sandbox", "testnet", "mock", "dry_run", "sample", "premium", "subscribed", "unlocked"),
    *(
        "authorized",
        "auth",
        "gift",
        "share",
        "noauth",
        "nopaywall",
        "nocache",
        "refresh",
        "verbose",
        "explain",
        "trace",
    ),
)
_WORDS = (
    *(
        "env=test",
        "mode=test",
        "role=admin",
        "access=full",
        "plan=pro",
        "tier=premium",
        "skip=payment",
        "paywall=false",
    ),
    *(
        "paywall=0",
        "cache=false",
        "limit=0",
        "utm_source=google",
        "ref=google",
        "source=rss",
        "view=full",
        "expand=all",
    ),
)
_FORMS = ("format", "output", "alt", "_format")
_VIEWS = (
    "amp",
    "print",
    "raw",
    "embed",
    "download",
    "export",
    "_rsc",
    "__a",
    "noredirect",
    "json",
    "full",
    "mobile",
    "app",
)
_PAID = (
    *("payment", "x-payment", "payment-signature", "token", "signature", "receipt", "tx", "access_token", "api_key"),
    *("proof", "txHash", "tx_hash", "invoice", "jwt", "key", "apikey", "coupon", "promo"),
)
QUERIES: Mapping[str, Respelt] = {
    "an empty one": lambda plain: replace(plain, query="") if not plain.query else None,
    "a further parameter": _and("conformance=1"),
    "flags that open doors": _and("&".join(f"{name}=true" for name in _FLAGS)),
    "flags that open doors, in numbers": _and("&".join(f"{name}=1" for name in _FLAGS)),
    "the name of a style sheet": _and("/x.css"),
    "words that open doors": _and("&".join(_WORDS)),
    "names that open doors": _and("&".join(_FLAGS)),
    "another form of the answer, XML": _and("&".join(f"{name}=xml" for name in _FORMS)),
    "another form of the answer, CSV": _and("&".join(f"{name}=csv" for name in _FORMS)),
    "another version, or language": _and("version=1&v=1&api-version=1&lang=en&locale=en"),
    "another form of the answer": _and("&".join(f"{name}=json" for name in _FORMS)),
    "another view of the page": _and("&".join(f"{name}=1" for name in _VIEWS)),
    "a script that calls back": _and("callback=conformance&jsonp=conformance&cb=conformance"),
    "what looks like a payment": _and("&".join(f"{name}=conformance" for name in _PAID)),
    "for a robot": _and("_escaped_fragment_="),
    "parameters in brackets": _and("conformance[]=1&conformance[a]=1"),
    "one parameter twice": _and("conformance=1&conformance=2"),
    "with a semicolon": _and("conformance=1;conformance=2"),
    "with nothing but a sign": queried(lambda query: f"&={query and '&'}{query}"),
    "a name of all objects": _and("__proto__=1&constructor=1"),
    "one that is too long": _and(f"conformance={'a' * 9000}"),
    "a long one": _and(f"conformance={'a' * 5000}"),
    "an escape that is none": _and("conformance=%zz"),
    "an escape that breaks off": _and("conformance=%"),
    "bytes that are no UTF-8": _and("conformance=%c0%ff"),
    "a line break in it": _and("conformance=%0d%0a"),
    "its own, twice": queried(lambda query: f"{query}&{query}" if query else ""),
    "its own, in brackets": queried(_own_names(lambda name: f"{name}[]")),
    "its own, encoded": queried(
        _own_names(lambda name: f"%{ord(name[0]):02X}{name[1:]}" if name[:1].isalnum() else name)
    ),
}
