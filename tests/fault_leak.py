"""Faults by which something gets out that ought not to: what is sold, to some client or to all, and what is secret."""

import base64
import gzip
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from altering import (
    GET,
    OTHER_PAYEE,
    PAID,
    PROBLEMS,
    V1,
    amount,
    becomes,
    browses,
    is_unpaid,
    only,
    problem,
    way,
    when,
)
from fault import fault
from serving import Answer, Asked, Change, Relay, refusals

__all__ = ["LEAK"]

_TRACE = 'Traceback (most recent call last):\n  File "/srv/shop/paywall.py", line 42, in price\nKeyError: 0\n'
_UNPAID = ("http.unpaid-is-refused", "x402.offer.unpaid-is-402")


def _serves(asked: Asked, answer: Answer) -> None:
    """The paid answer."""
    answer.become(200, json.dumps({"city": "Paris", "sky": PAID[asked.path[1:]]}), "application/json")


def _served_to(whom: Callable[[Asked], object]) -> Change:
    def change(asked: Asked, answer: Answer) -> None:
        if is_unpaid(asked) and whom(asked):
            _serves(asked, answer)

    return change


def _agent(asked: Asked) -> str:
    return asked.headers.get("user-agent", "")


def _is_curl(asked: Asked) -> bool:
    return _agent(asked).startswith("curl")


def _is_not_us(asked: Asked) -> bool:
    return not _agent(asked).startswith("pytest-402")


def _crashes_with_the_goods(asked: Asked, answer: Answer) -> None:
    answer.become(500, f"cannot render {PAID[asked.path[1:]]}")


def _leaks(asked: Asked, answer: Answer) -> None:
    if answer.status == 402:
        answer.set("X-Preview", PAID[asked.path[1:]])


def _teases_too_much(asked: Asked, answer: Answer) -> None:
    if answer.status == 402 and answer.get("content-type") == "application/json":
        answer.body = json.dumps(json.loads(answer.body) | {"preview": PAID[asked.path[1:]]}).encode()


def _in_escapes(answer: Answer) -> None:
    if answer.get("content-type") == "application/problem+json":
        answer.body = rb'{"status": 402, "preview": "\u0073\u0075nny"}'


def _in_utf_16(answer: Answer) -> None:
    answer.body = '{"status": 402, "preview": "sunny"}'.encode("utf-16")
    answer.set("Content-Type", "application/json; charset=utf-16")


def _in_a_second_member(asked: Asked, answer: Answer) -> None:
    if answer.status == 402 and asked.method != "HEAD":
        # Members of a gzip file stand one after the other (RFC 1952 section 2.2).
        answer.body = gzip.compress(answer.body) + gzip.compress(b"sunny")
        answer.set("Content-Encoding", "gzip")


def _content_after_head(content: bytes) -> Relay:
    return lambda request, answer: answer + content if request.startswith(b"HEAD ") else answer


def _with_a_key(written: dict[str, Any]) -> None:
    written["target"]["headers"] = {"Api-Key": "<secret:API_KEY>"}


def _key_echoed(asked: Asked, answer: Answer) -> None:
    problem(received={"api-key": asked.headers.get("api-key", "")})(asked, answer)


def _adds_to_page(text: str) -> Change:
    return when(browses, lambda answer: setattr(answer, "body", answer.body + f"<pre>{text}</pre>".encode()))


_TAG = '"bought"'


def _kept_from(status: int, asks: Callable[[Asked], bool]) -> Change:
    """A cache that answers so from what an identity got that paid, to who asks so."""
    kept: dict[str, bytes] = {}

    def change(asked: Asked, answer: Answer) -> None:
        if "sandbox-account" in asked.headers and answer.status == 200:
            kept[asked.path] = answer.body
            answer.set("ETag", _TAG)
        elif asked.path in kept and asks(asked):
            answer.become(status)
            answer.body = kept[asked.path]

    return change


def _kept_at_the_second_time() -> Change:
    """A cache that keeps what was bought twice, until somebody asked for it."""
    bought: Counter[str] = Counter()

    def change(asked: Asked, answer: Answer) -> None:
        if "sandbox-account" in asked.headers and asked.method == "GET":
            bought[asked.path] += 1
        elif bought[asked.path] == 2 and asked.method == "GET":
            bought[asked.path] = 0
            answer.become(200)
            answer.say(PAID[asked.path.strip("/")])

    return change


LEAK = (
    fault("whoever asks is served", _served_to(lambda _: True), *_UNPAID, "http.no-paid-content", at=GET),
    fault(
        "the first request is refused and the second is served",
        _served_to(lambda asked: asked.nth == 1),
        *_UNPAID,
        "http.no-paid-content",
        "x402.offer.stable",
        at=GET,
    ),
    fault("curl is served", _served_to(_is_curl), "http.refused-for-everyone", at=GET),
    fault(
        "whoever is no referee is served",
        _served_to(_is_not_us),
        "http.refused-for-everyone",
        "browser.offer-for-browsers",
        at=GET,
    ),
    fault(
        "who brings a cookie gets in",
        when(lambda asked: "cookie" in asked.headers, becomes(200, "{}", "application/json")),
        "http.refused-for-everyone",
    ),
    fault(
        "who does not say what he accepts gets in",
        _served_to(lambda asked: "accept" not in asked.headers),
        "http.refused-for-everyone",
        "browser.offer-without-accept",
        at=GET,
    ),
    fault(
        "browsers get a 200",
        when(browses, lambda answer: setattr(answer, "status", 200)),
        "http.refused-for-everyone",
        "browser.offer-for-browsers",
    ),
    fault(
        "the error that curl gets has the paid answer",
        only(_is_curl, _crashes_with_the_goods),
        "http.refused-for-everyone",
        "x402.offer.same-for-everyone",
        at=GET,
    ),
    fault("curl crashes the paywall", when(_is_curl, becomes(500)), "x402.offer.same-for-everyone"),
    fault(
        "one client pays less than the others",
        only(_is_curl, amount("1")),
        "x402.offer.same-for-everyone",
        "x402.terms.amount",
    ),
    fault(
        "whoever is no referee pays somebody else",
        only(_is_not_us, way("payTo", OTHER_PAYEE)),
        "x402.offer.same-for-everyone",
        "x402.terms.pay-to",
    ),
    fault(
        "a host that a client makes up is served",
        _served_to(lambda asked: asked.headers["host"] == "evil.example"),
        "http.refused-under-any-host",
        at=GET,
    ),
    fault(
        "a host that a proxy might forward is served",
        _served_to(lambda asked: "x-forwarded-host" in asked.headers),
        "http.refused-under-any-host",
        at=GET,
    ),
    fault("HEAD is answered with content", None, "http.head-has-no-content", at=GET, relay=_content_after_head(b"{}")),
    fault(
        "HEAD is answered with the paid content",
        None,
        "http.head-has-no-content",
        "http.head-leaks-nothing",
        at=GET,
        relay=_content_after_head(json.dumps(PAID).encode()),
    ),
    fault(
        "HEAD runs the handler unpaid",
        when(lambda asked: asked.method == "HEAD", becomes(200, "{}", "application/json")),
        "http.head-mirrors-get",
        at=GET,
    ),
    fault(
        "HEAD is refused without the challenge",
        when(lambda asked: asked.method == "HEAD", lambda answer: answer.drop("payment-required")),
        "http.head-mirrors-get",
        at=("weather", "almanac"),
    ),
    fault(
        "HEAD tells in a field what the paid answer says",
        when(lambda asked: asked.method == "HEAD", lambda answer: answer.set("X-Preview", "sunny, and 21 degrees")),
        "http.head-leaks-nothing",
        at=("weather",),
    ),
    fault(
        "a field of the refusal has the paid answer", _leaks, "http.no-paid-content", "http.head-leaks-nothing", at=GET
    ),
    fault("the teaser is the whole answer", _teases_too_much, "http.no-paid-content", at=V1),
    fault(
        "the reason phrase has the paid answer",
        None,
        "http.no-paid-content",
        "http.head-leaks-nothing",
        at=("weather",),
        relay=lambda request, answer: (
            answer.replace(b"402 Payment Required", b"402 It is sunny") if b" /weather" in request else answer
        ),
    ),
    fault("the refusal shows a traceback", problem(debug=_TRACE), "http.no-stack-trace", at=PROBLEMS),
    fault(
        "the refusal shows a trace of Node.js",
        problem(detail="at price (/srv/app/paywall.js:12:5)", debug="x\n    at price (/srv/app/paywall.js:12:5)\n"),
        "http.no-stack-trace",
        at=PROBLEMS,
    ),
    fault(
        "the refusal shows a key of the cloud",
        problem(config={"key": "AKIAIOSFODNN7EXAMPLE"}),
        "http.no-secret",
        at=PROBLEMS,
    ),
    fault(
        "the refusal shows the key of the wallet",
        problem(key="-----BEGIN EC PRIVATE KEY-----\nMHQCAQEE"),
        "http.no-secret",
        at=PROBLEMS,
    ),
    fault(
        "the refusal repeats the client's API key",
        _key_echoed,
        "http.no-secret",
        at=PROBLEMS,
        edit=_with_a_key,
        secrets={"API_KEY": "k-4f1b9c2d7e8a6053"},
    ),
    fault(
        "the refusal has the paid answer in escapes",
        refusals(_in_escapes),
        "http.no-paid-content",
        at=("weather",),
    ),
    fault(
        "the refusal has the paid answer in base64",
        problem(preview=base64.b64encode(b'{"sky": "sunny"}').decode()),
        "http.no-paid-content",
        at=("weather",),
    ),
    fault(
        "the refusal has the paid answer as JSON in a text",
        problem(preview='{"sky": "\\u0073unny"}'),
        "http.no-paid-content",
        at=("weather",),
    ),
    fault(
        "the refusal has the paid answer in UTF-16",
        refusals(_in_utf_16),
        "http.no-paid-content",
        "http.body-is-what-it-says",
        at=("weather",),
    ),
    fault(
        "the compressed refusal has the paid answer behind its end",
        _in_a_second_member,
        "http.no-paid-content",
        "http.problem-details",
        at=("weather",),
    ),
    fault(
        "the refusal shows frames without brackets",
        problem(stack="Error\n    at /srv/app/paywall.js:12:5\n    at async /srv/app/shop.js:3:1"),
        "http.no-stack-trace",
        at=PROBLEMS,
    ),
    fault(
        "the refusal shows frames of Node.js alone",
        problem(stack="Error\n    at node:internal/process/task_queues:95:5"),
        "http.no-stack-trace",
        at=PROBLEMS,
    ),
    fault(
        "a cache has parts of what was bought for everybody",
        _kept_from(206, lambda asked: "range" in asked.headers),
        "http.refused-after-paid",
        at=GET,
    ),
    fault(
        "who knows the tag of what was bought is told that it is the same",
        _kept_from(304, lambda asked: asked.headers.get("if-none-match") == _TAG),
        "http.refused-after-paid",
        at=GET,
    ),
    fault("a cache keeps what is bought often", _kept_at_the_second_time(), "http.refused-after-paid", at=GET),
    fault("the page for browsers shows a traceback", _adds_to_page(_TRACE), "http.no-stack-trace"),
    fault("the page for browsers shows a key", _adds_to_page("AKIAIOSFODNN7EXAMPLE"), "http.no-secret"),
)
