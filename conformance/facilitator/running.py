"""A facilitator that runs in a thread of this process."""

import asyncio
import contextlib
import secrets
import sys
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from conformance.facilitator.answer import Answer
from conformance.facilitator.app import CONTROL, App
from conformance.facilitator.control import Control, Post

__all__ = ["Running", "serve", "start"]

_START_SECONDS = 10
_STOP_SECONDS = 10
_ANSWER_SECONDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A facilitator at work. Stop it, or use it as a context."""

    url: str
    """The base URL that a server is given, without a slash at the end."""
    control: Control
    _loop: asyncio.AbstractEventLoop
    _ended: asyncio.Event
    _thread: threading.Thread

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Closes everything. A second time it does nothing."""
        self.control.close()
        with contextlib.suppress(RuntimeError):  # The loop is closed already.
            self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(_STOP_SECONDS)


def start(host: str = "127.0.0.1", port: int = 0) -> Running:
    """Starts a facilitator; port 0 is any free one. Raises OSError when the address cannot be had."""
    token = secrets.token_urlsafe(24)
    ready: Future[tuple[int, App, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def run() -> None:
        app, ended = App(token), asyncio.Event()
        try:
            bound = await app.listen(host, port)
        except OSError as error:
            ready.set_exception(error)
            return
        ready.set_result((bound, app, asyncio.get_running_loop(), ended))
        await ended.wait()
        await app.stop()

    thread = threading.Thread(target=lambda: asyncio.run(run()), name="facilitator", daemon=True)
    thread.start()
    try:
        bound, app, loop, ended = ready.result(_START_SECONDS)
    except OSError:
        thread.join(_STOP_SECONDS)
        raise
    url = f"http://{f'[{host}]' if ':' in host else host}:{bound}"
    control = Control(f"{url}{CONTROL}{token}", _directly(app, loop))
    return Running(url=url, control=control, _loop=loop, _ended=ended, _thread=thread)


def _directly(app: App, loop: asyncio.AbstractEventLoop) -> Post:
    """How the process of the facilitator controls it: a run asks twice for each payment, and a connection takes its time."""

    def post(command: str, content: str) -> tuple[int, bytes]:
        told: Future[Answer] = Future()

        def obey() -> None:
            try:
                told.set_result(app.command(command, content))
            except Exception as error:  # noqa: BLE001 - who waits for it raises it
                told.set_exception(error)

        try:
            loop.call_soon_threadsafe(obey)
        except RuntimeError as error:
            raise ConnectionError("the facilitator has ended") from error
        answer = told.result(_ANSWER_SECONDS)
        return answer.status, answer.body

    return post


def serve(listen: str) -> None:
    """Serves a facilitator on ``host:port`` until it is interrupted, and says where, and where it is controlled.

    Raises SystemExit when the address is none or cannot be had.
    """
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise SystemExit(f"--listen {listen}: expected host:port, such as 127.0.0.1:4402")
    try:
        running = start(host.strip("[]"), int(port))
    except OSError as error:
        raise SystemExit(f"--listen {listen}: {error.strerror}; choose another port") from error
    with running:
        sys.stdout.write(f"facilitator: {running.url}\ncontrol:     {running.control.url}\n")
        sys.stdout.flush()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return
