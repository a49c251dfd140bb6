"""HTTP/2 of servers that others wrote: hypercorn, Node, and nginx before a server."""

import asyncio
import socket
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from fault_requests import dotted, read
from hypercorn.asyncio import serve
from hypercorn.config import Config
from judging import Judged, judged
from real import nginx
from test_requests import written
from turnstile import PATH, Ways, turnstile

from conformance.outcome import Outcome

ID = "requests.http2"
ROW = (ID, "weather")
Scope = Mapping[str, Any]
Guard = Callable[[Scope], bool]
"""Whether somebody who has not paid is refused."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A key and its chain in one file, of an authority that this process trusts."""
    authority, home = trustme.CA(), tmp_path_factory.mktemp("tls")
    authority.cert_pem.write_to_path(str(home / "ca.pem"))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(home / "server.pem"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(home / "ca.pem"))
        yield home / "server.pem"


def api(guards: Guard) -> Callable[..., Awaitable[None]]:
    """An application that sells the weather at its path, decoded and without dot segments, and guards as told."""
    runs = [0]

    async def answer(scope: Scope, receive: Any, send: Any) -> None:
        fields = dict(scope["headers"])
        status, body = 404, b"{}"
        if scope["path"] == "/runs":
            status, body = 200, b'{"n": %d}' % runs[0]
        elif scope["path"] == PATH and guards(scope) and fields.get(b"x-account") != b"subscriber":
            status, body = 402, b'{"code": "upgrade"}'
        elif scope["path"] == PATH:
            runs[0] += 1
            status, body = 200, b'{"weather": "sunny", "wind": "a light breeze"}'
        while (await receive()).get("more_body"):
            pass
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]}
        )
        await send({"type": "http.response.body", "body": body if scope["method"] != "HEAD" else b""})

    return answer


@contextmanager
def hypercorn(application: Any, certificate: Path) -> Iterator[str]:
    """Its base URL, in a thread."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = Config()
    port = listener.getsockname()[1]
    # Whom it is given to closes it.
    config.bind = [f"fd://{listener.detach()}"]
    config.certfile = config.keyfile = str(certificate)
    config.accesslog = config.errorlog = None
    loop, ending = asyncio.new_event_loop(), asyncio.Event()
    # What it makes of malformed requests on the way to refusing them is its own business.
    loop.set_exception_handler(lambda *_: None)

    async def run() -> None:
        async def app(scope: Scope, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                await application(scope, receive, send)
                return
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})

        await serve(app, config, shutdown_trigger=ending.wait)

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{port}"
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join(20)
        loop.close()


def run_of(base_url: str) -> Judged:
    return judged(base_url, claims=["requests"], edit=written, examples=2, only=(ID,))


def told(run: Judged) -> list[str]:
    return [f"{r.requirement}: {r.outcome}: {r.finding}" for r in run.results.values()]


@pytest.mark.parametrize(
    ("guards", "outcome"),
    [
        (lambda _: True, Outcome.PASSED),
        (lambda scope: scope["http_version"] == "1.1", Outcome.VIOLATED),
        (lambda scope: scope["http_version"] == "1.1" or scope["raw_path"] == PATH.encode(), Outcome.VIOLATED),
        (lambda scope: scope["http_version"] == "1.1" or scope["method"] != "HEAD", Outcome.VIOLATED),
        (
            lambda scope: not (scope["http_version"] == "2" and (b"host", b"localhost") in scope["headers"]),
            Outcome.VIOLATED,
        ),
    ],
    ids=["guarded", "in HTTP/1.1 alone", "by the path as it came", "but for HEAD", "but for another host"],
)
def test_hypercorn_is_red_for_a_way_round_alone(guards: Guard, outcome: Outcome, certificate: Path) -> None:
    """An application behind hypercorn, which guards otherwise in HTTP/2."""
    with hypercorn(api(guards), certificate) as url:
        run = run_of(url)
    assert run.results[ROW].outcome is outcome, told(run)


@pytest.mark.parametrize(
    ("guard", "outcome"),
    [
        ("", Outcome.PASSED),
        # Who has a subscription is known by a field; HTTP/2 is taken for an application of their own.
        ('if ($server_protocol = "HTTP/2.0") { set $who subscriber; }', Outcome.VIOLATED),
        (
            'set $way "$server_protocol $request_uri"; if ($way ~ "^HTTP/2.0 /(?!api/weather)") { set $who subscriber; }',
            Outcome.VIOLATED,
        ),
    ],
    ids=["guarded", "trusted in HTTP/2", "trusted where the path is written otherwise"],
)
def test_nginx_is_red_for_a_way_round_alone(guard: str, outcome: Outcome, certificate: Path, tmp_path: Path) -> None:
    """nginx that speaks HTTP/2 to clients and HTTP/1.1 to the server behind it."""
    told_of = f"""
        set $who $http_x_account;
        {guard}
        proxy_set_header X-Account $who;"""
    with turnstile() as (behind, base_url):
        behind.begin(Ways(routes=read(dotted)))
        with nginx.before(base_url, tmp_path, told_of, certificate=certificate) as url:
            run = run_of(url)
    assert run.results[ROW].outcome is outcome, told(run)


@pytest.mark.parametrize(("guards", "outcome"), [("all", Outcome.PASSED), ("HTTP/1.1", Outcome.VIOLATED)])
def test_node_is_red_for_a_way_round_alone(guards: str, outcome: Outcome, certificate: Path) -> None:
    """The HTTP/2 of Node itself, which resets what is malformed."""
    script = Path(__file__).parent / "real" / "http2.mjs"
    process = subprocess.Popen(
        ["node", script, certificate, guards], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    try:
        run = run_of(f"https://127.0.0.1:{int(process.stdout.readline())}")
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert run.results[ROW].outcome is outcome, told(run)
