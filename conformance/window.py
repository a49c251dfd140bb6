"""A real browser without a window, driven by Playwright: of the extra ``browser``, and imported only when one is asked.

It runs in a thread with an event loop of its own, reaches the target through a gate and nobody else, keeps its profile in
a temporary folder, and each question has its time.
"""

import asyncio
import os
import shutil
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from conformance.exchange import Exchange, Failure, Request
from conformance.gate import Gate
from conformance.sight import Choose, Sight

if TYPE_CHECKING:
    from playwright.async_api import Browser, Playwright

__all__ = ["Window"]


_STARTS_WITHIN = 30.0
_STOPS_WITHIN = 10.0
_LONGEST = 300
_FLAGS = (
    # Some pages of ours come from an address that no resolver knows, and the target may be on this machine.
    "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
)
T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Window:
    """One browser for one run; it is started when it is first asked."""

    executable: str
    """A path, or a name on PATH."""
    hosts: frozenset[str]
    """Authorities that it may reach."""
    timeout: float
    """Seconds for one question."""
    max_body: int
    """Bytes of one answer."""
    _gate: Gate | None = field(init=False, default=None)
    _loop: asyncio.AbstractEventLoop | None = field(init=False, default=None)
    _thread: threading.Thread | None = field(init=False, default=None)
    _driver: "Playwright | None" = field(init=False, default=None)
    _browser: "Browser | None" = field(init=False, default=None)
    _absent: str = field(init=False, default="")

    def fetched(self, origin: str, request: Request) -> Exchange:
        """``request`` as a script of a page of ``origin`` sends it, and as much of the answer as it may read.

        The failure ``blocked`` is the browser's no, in its words; ``browser`` that there is no browser.
        """
        return self._asked(request, lambda sight: sight.fetched(origin, request))

    def visited(self, request: Request, choose: Choose | None = None) -> Exchange:
        """The page that ``request``, a GET, leads a person to, and what is seen of it; what ``choose`` names is followed."""
        return self._asked(request, lambda sight: sight.visited(request, choose))

    def close(self) -> None:
        """Ends the browser, if it was started."""
        loop, thread, self._loop = self._loop, self._thread, None
        if loop is None or thread is None:
            return
        with suppress(Exception):
            asyncio.run_coroutine_threadsafe(self._end(), loop).result(3 * _STOPS_WITHIN)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_STOPS_WITHIN)
        if not thread.is_alive():
            loop.close()
        if self._gate:
            self._gate.close()

    def _asked(self, request: Request, ask: Callable[[Sight], Awaitable[Exchange]]) -> Exchange:
        started = time.monotonic()
        try:
            exchange = self._run(self._within(ask), 3 * self.timeout + _STARTS_WITHIN + 2 * _STOPS_WITHIN)
        except _NoBrowser as why:
            exchange = Exchange(request=request, failure=Failure(kind="browser", detail=str(why)))
        except TimeoutError:
            detail = f"the browser has no answer after {self.timeout:g} s"
            exchange = Exchange(request=request, failure=Failure(kind="timeout", detail=detail))
        except Exception as error:  # noqa: BLE001 - Playwright is not imported here: its Error has no name
            detail = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            exchange = Exchange(request=request, failure=Failure(kind="closed", detail=f"the browser: {detail}"))
        return replace(exchange, took=time.monotonic() - started)

    def _run(self, work: Coroutine[Any, Any, T], limit: float) -> T:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="window", daemon=True)
            self._thread.start()
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(limit)

    async def _within(self, ask: Callable[[Sight], Awaitable[Exchange]]) -> Exchange:
        """Asks on a page that nothing was asked on before."""
        browser = await self._started()
        assert self._gate is not None  # noqa: S101 - it was started with one
        self._gate.shut_out.clear()
        context = await asyncio.wait_for(
            browser.new_context(service_workers="block", accept_downloads=False, locale="en-US"), self.timeout
        )
        try:
            context.set_default_timeout(1000 * self.timeout)
            page = await asyncio.wait_for(context.new_page(), self.timeout)
            sight = Sight(page=page, most=self.max_body, shut_out=self._gate.shut_out)
            return await asyncio.wait_for(ask(sight), self.timeout)
        finally:
            # A page that never stops to think is not waited for.
            with suppress(Exception):
                await asyncio.wait_for(context.close(), _STOPS_WITHIN)

    async def _started(self) -> "Browser":
        if self._absent:
            raise _NoBrowser(self._absent)
        if self._browser is None or not self._browser.is_connected():
            try:
                self._browser = await asyncio.wait_for(self._start(), _STARTS_WITHIN)
            except _NoBrowser as why:
                self._absent = str(why)
                raise
            except Exception as error:
                lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
                self._absent = (
                    f"the browser {self.executable} (browser.executable) does not start: {lines[0][:_LONGEST]}"
                )
                raise _NoBrowser(self._absent) from error
        return self._browser

    async def _start(self) -> "Browser":
        try:
            from playwright.async_api import async_playwright  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise _NoBrowser(
                "the extra is not installed that drives a browser: pip install 'pytest-402[browser]'"
            ) from error
        if (program := shutil.which(self.executable)) is None:
            raise _NoBrowser(
                f"there is no program {self.executable} (browser.executable); Debian has one in its package chromium"
            )
        self._gate = self._gate or Gate(hosts=self.hosts)
        self._driver = self._driver or await async_playwright().start()
        return await self._driver.chromium.launch(
            executable_path=program,
            args=list(_FLAGS),
            # Chromium as root takes no sandbox.
            chromium_sandbox=os.geteuid() != 0,
            proxy={"server": self._gate.url, "bypass": "<-loopback>"},
            timeout=1000 * _STARTS_WITHIN,
        )

    async def _end(self) -> None:
        if self._browser:
            with suppress(Exception):
                await asyncio.wait_for(self._browser.close(), _STOPS_WITHIN)
        if self._driver:
            await asyncio.wait_for(self._driver.stop(), _STOPS_WITHIN)


class _NoBrowser(Exception):
    """There is no browser; the message says what to do about it."""
