"""Valid requests for the operations of an OpenAPI document: drawn by schemathesis, sent by us."""

import json
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Any
from urllib.parse import unquote

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st

from conformance.asking import request_to
from conformance.exchange import Exchange, Failure, Request
from conformance.openapi import Operation, content, named, parsed, place_endpoint, where
from conformance.probe import Probe
from conformance.profile import OpenApi, Profile, Unread
from conformance.protocols import x402
from conformance.wire import Wire

__all__ = ["LABEL", "NONE", "OWN", "SEED", "SMALLER", "again", "cases", "drawn", "read"]

LABEL = "case-"
"""How the exchanges of drawn requests are called."""
NONE = f"{LABEL}none"
"""How that is called which says why none was drawn."""
OWN = f"{LABEL}own"
"""How that of the profile's endpoint is called."""
SMALLER = "smaller-"
"""How those are called that are asked to make one that is wrong smaller."""
SEED = 402
"""What is drawn is the same each time: so that one that is wrong is found again."""
_EXAMPLES = 3
_LONGEST = 10.0
"""Seconds of the processor for all that is drawn for one operation; real documents take less than one.

What is made once in a process, the tables of all characters above all, takes up to five by itself and is not counted.
"""
# Whoever asks says so himself, and nobody pays; the rest is the business of HTTP.
_OURS = {"accept", "accept-encoding", "authorization", "connection", "content-length", "host", "user-agent"}
_OURS |= {"x-schemathesis-testcaseid", *(name.lower() for name in x402.PAYMENT.values())}


def read(profile: Profile, wire: Wire | None = None) -> Profile:
    """``profile`` with its OpenAPI document, or with why it was not read; what is served takes a ``wire``."""
    described = profile.openapi
    if described is None:
        return profile
    found: bytes | Unread
    if described.file:
        name, found = described.file.name, content(described.file, profile.limits.max_body)
    else:
        name = where(profile, described)
        found = _fetched(profile, name, wire)
    document = found if isinstance(found, Unread) else parsed(found, name)
    if isinstance(document, Unread):
        return replace(profile, openapi=replace(described, document=None, unread=document))
    return replace(profile, openapi=replace(described, document=document, unread=None))


def _fetched(profile: Profile, url: str, wire: Wire | None) -> bytes | Unread:
    if wire is None:
        return Unread(kind="missing", why=f"{url} is not asked for without a run")
    own = replace(profile, openapi=None)
    path = (profile.openapi or OpenApi()).url or ""
    request = request_to(own, None, path=path) if path.startswith("/") else request_to(own, None, url=url)
    exchange = wire.send(request, account="openapi")
    if exchange.failure or exchange.response is None:
        kind = "beyond" if exchange.failure and exchange.failure.kind == "body-limit" else "missing"
        why = f"{url}: {exchange.failure.detail if exchange.failure else 'no answer'}"
        return Unread(kind="beyond" if kind == "beyond" else "missing", why=why)
    if exchange.response.status != 200:
        return Unread(kind="missing", why=f"{url} is answered {exchange.response.shown()}")
    return exchange.response.body


def cases(probe: Probe) -> None:
    """The request of the profile that reaches the operation, the examples of the document, and what is drawn."""
    operation = named(probe.profile, probe.endpoint.name) if probe.endpoint else None
    if operation is None:
        return
    if own := place_endpoint(probe.profile, operation):
        same = request_to(probe.profile, own)
        probe.ask(OWN, method=same.method, url=same.url, headers=dict(same.headers), body=same.body)
    try:
        _library()
        with _bounded():
            values = [*_examples(operation), *_values(drawn(probe), probe.profile.limits.max_examples)]
    except (Exception, _TooLong) as error:  # noqa: BLE001 - schemathesis has many ways to say that a document is odd
        _keep_none(probe, operation, error)
        return
    for number, value in enumerate(dict.fromkeys(values)):
        _ask(probe, f"{LABEL}{number}", value)


class _TooLong(BaseException):
    """Not an Exception, which Hypothesis would take for a finding."""


@contextmanager
def _bounded() -> Iterator[None]:
    """Raises _TooLong where drawing takes more time of the processor than any honest document does."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        msg = f"it takes more than {_LONGEST:g} s"
        raise _TooLong(msg)

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, _LONGEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def drawn(probe: Probe) -> st.SearchStrategy[str]:
    """Requests for the operation of ``probe`` that are valid by its document, each as a text; raises ValueError."""
    operation = named(probe.profile, probe.endpoint.name) if probe.endpoint else None
    if operation is None:
        return st.nothing()
    library, described = _loaded(operation)
    found = described.as_strategy(generation_mode=library.GenerationMode.POSITIVE)
    strategy: st.SearchStrategy[str] = found.map(lambda case: _written(operation, case))
    return strategy


def again(probe: Probe, value: str) -> None:
    """Sends a request that ``drawn`` drew, unless it was sent before; keeps it under a label of its own."""
    number = sum(label.startswith(SMALLER) for label in probe.kept)
    label = f"{SMALLER}{number}"
    path, _, body = json.loads(value)
    for name, exchange in probe.kept.items():
        same = name.startswith(LABEL) and exchange.request.body == body.encode("latin-1")
        if same and exchange.request.url.endswith(path):
            probe.kept[label] = exchange
            return
    _ask(probe, label, value)


def _ask(probe: Probe, label: str, value: str) -> None:
    path, headers, body = json.loads(value)
    probe.ask(label, path=path, headers=headers, body=body.encode("latin-1"))


def _values(strategy: st.SearchStrategy[str], most: int) -> list[str]:
    found: list[str] = []

    def keep(value: str) -> None:
        found.append(value)

    test = hypothesis.seed(SEED)(hypothesis.given(strategy)(keep))
    hypothesis.settings(
        max_examples=most,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )(test)()
    return found


def _examples(operation: Operation) -> Iterator[str]:
    """The requests that the document itself gives as examples."""
    _, described = _loaded(operation)
    for strategy in described.get_strategies_from_examples()[:_EXAMPLES]:
        yield from _values(strategy.map(lambda case: _written(operation, case)), 1)


def _loaded(operation: Operation) -> tuple[Any, Any]:
    """The library, and the operation as it has it; raises ValueError for what is not read here."""
    if operation.elsewhere:
        msg = f"the document serves it at {operation.elsewhere}, which is not the target"
        raise ValueError(msg)
    document = _Excerpt(operation).document()
    library = _library()
    return library, library.openapi.from_dict(document)[operation.template][operation.method]


@cache
def _library() -> Any:
    """The library, once it has drawn a text for every place that a request has."""
    library: Any = import_module("schemathesis")
    text = {"type": "string"}
    places = [{"name": "x", "in": place, "required": True, "schema": text} for place in ("path", "query", "header")]
    body = {"required": True, "content": {"application/json": {"schema": text}}}
    asked = {"parameters": places, "requestBody": body, "responses": {"200": {"description": ""}}}
    smallest = {"openapi": "3.1.0", "info": {"title": "", "version": "1"}, "paths": {"/{x}": {"post": asked}}}
    described = library.openapi.from_dict(smallest)["/{x}"]["POST"]
    _values(described.as_strategy(generation_mode=library.GenerationMode.POSITIVE).map(lambda _: ""), 2)
    return library


def _written(operation: Operation, case: Any) -> str:
    """A case as text: its path with the query, its header fields, and its body by the byte."""
    sent = case.as_transport_kwargs(base_url="http://target.invalid")
    prepared: Any = import_module("requests").Request(**sent).prepare()
    body = prepared.body or b""
    fields = {name: _text(value) for name, value in prepared.headers.items() if name.lower() not in _OURS}
    path = operation.path.removesuffix(operation.template) + prepared.url.removeprefix("http://target.invalid")
    return json.dumps([path, fields, (body if isinstance(body, bytes) else body.encode()).decode("latin-1")])


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _keep_none(probe: Probe, operation: Operation, error: BaseException) -> None:
    told = " ".join(str(error).split())[:200] or type(error).__name__
    request = Request(method=operation.method, url=f"{probe.profile.target.base_url.rstrip('/')}{operation.path}")
    detail = f"no valid request can be drawn for {operation.name}: {told}"
    probe.kept[NONE] = Exchange(request=request, failure=Failure(kind="undrawable", detail=detail))


_WHERE = {"security", "servers"}


class _Excerpt:
    """A document of one operation, with all that it refers to, and nothing that would have to be fetched.

    Who may ask is said by the profile, and so the document's security is left out.
    """

    def __init__(self, operation: Operation) -> None:
        self._whole = operation.document
        self._operation = operation
        self._parts: dict[str, dict[str, Any]] = {"paths": {}}

    def document(self) -> dict[str, Any]:
        item = self._whole["paths"][self._operation.template]
        self._parts["paths"][self._operation.template] = _open(self._copied(item))
        version = self._whole["openapi"]
        return {"openapi": version, "info": {"title": "an excerpt", "version": "1"}, **self._parts}

    def _copied(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._copied(member) for member in value]
        if not isinstance(value, Mapping):
            return value
        for keyword in ("$ref", "$dynamicRef"):
            if isinstance(reference := value.get(keyword), str):
                self._follow(reference)
        fetched = {key for key in ("externalValue", "$id") if isinstance(value.get(key), str)}
        return {key: self._copied(member) for key, member in value.items() if key not in fetched}

    def _follow(self, reference: str) -> None:
        if reference != "#" and not reference.startswith("#/"):
            msg = f"it refers to {reference[:100]}, which is not fetched: put all of it in one document"
            raise ValueError(msg)
        parts = [part.replace("~1", "/").replace("~0", "~") for part in unquote(reference).split("/")[1:]]
        holder: Any = self._whole
        target: Any = self._parts
        depth = 2 if parts[:1] == ["paths"] else 3
        for part in parts[: depth - 1]:
            holder = holder.get(part) if isinstance(holder, Mapping) else None
            target = target.setdefault(part, {})
        name = parts[depth - 1] if len(parts) >= depth else None
        if name is None or not isinstance(holder, Mapping) or name not in holder:
            msg = f"it refers to {reference[:100]}, which is not there"
            raise ValueError(msg)
        if name not in target:
            target[name] = None
            target[name] = self._copied(holder[name])


def _open(item: Any) -> Any:
    """A path item without who may ask, and where."""
    if not isinstance(item, dict):
        return item
    own = {key: member for key, member in item.items() if key not in _WHERE}
    return {k: {n: m for n, m in v.items() if n not in _WHERE} if isinstance(v, dict) else v for k, v in own.items()}
