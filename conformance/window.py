"""A real browser without a window, driven by Playwright: of the extra ``browser``, and imported only when one is asked.

It runs in a thread with an event loop of its own, reaches the target through a gate and nobody else, keeps its profile in
a temporary folder, and each question has its time.
"""

import asyncio
import base64
import os
import shutil
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from conformance.exchange import Exchange, Failure, Request, Response
from conformance.gate import Gate
from conformance.seen import Seen, Stop

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page, Playwright

__all__ = ["RAN", "Choose", "Window"]

RAN = "conformanceRan"
"""The function that a canary calls with its name."""

_STARTS_WITHIN = 30.0
_STOPS_WITHIN = 10.0
_SETTLES_WITHIN = 0.2
"""Seconds for what a page does after it was loaded."""
_FOLLOWS_WITHIN = 0.7
"""Seconds for what comes of following something."""
_TABS = 60
_SAID = 10
_LONGEST = 300
_FLAGS = (
    # Some pages of ours come from an address that no resolver knows, and the target may be on this machine.
    "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
)
# What a request of a page may not say itself (Fetch, forbidden request-header), and what a browser says better.
_ITS_OWN = {"accept-encoding", "connection", "content-length", "cookie", "host", "origin", "referer", "user-agent"}

_FETCH = """async ([url, method, headers, body, most]) => {
  const asked = {method, headers, credentials: 'omit', redirect: 'manual', cache: 'no-store'};
  if (body) asked.body = Uint8Array.from(atob(body), c => c.charCodeAt(0));
  let answer;
  try { answer = await fetch(url, asked); } catch (error) { return {error: String(error)}; }
  if (answer.type === 'opaqueredirect') return {error: 'a redirect, which is not followed', redirect: true};
  const parts = [];
  let length = 0;
  const reader = answer.body ? answer.body.getReader() : null;
  while (reader && length <= most) {
    const {done, value} = await reader.read();
    if (done) break;
    parts.push(value);
    length += value.length;
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) { whole.set(part, at); at += part.length; }
  let text = '';
  for (let i = 0; i < length; i += 32768) text += String.fromCharCode(...whole.subarray(i, i + 32768));
  return {status: answer.status, reason: answer.statusText, headers: [...answer.headers], body: btoa(text)};
}"""

# What a person can see and follow, kept in its order.
_STOPS = """() => {
  const kinds = 'a[href], area[href], button, input[type=submit], input[type=button], input[type=image], ' +
    '[role=button], [role=link], [onclick]';
  const seen = element => {
    const box = element.getBoundingClientRect();
    const shown = !element.checkVisibility ||
      element.checkVisibility({opacityProperty: true, visibilityProperty: true, checkOpacity: true,
        checkVisibilityCSS: true});
    return shown && box.width > 0 && box.height > 0 && !element.disabled && !element.closest('[inert]');
  };
  const leads = element => !element.href || /^(https?|javascript):/.test(element.protocol || '');
  const own = element => !(element.getAttribute('href') || '').trim().startsWith('#');
  const found = [...document.querySelectorAll(kinds)].filter(e => seen(e) && leads(e) && own(e));
  window.conformanceStops = found;
  const named = element => element.innerText || element.getAttribute('aria-label') || element.value ||
    element.getAttribute('alt') || element.title || (element.querySelector('img[alt]') || {}).alt || '';
  const target = element => element.href || (element.form && element.type !== 'button' ?
    element.formAction || element.form.action : '') || '';
  return found.slice(0, 200).map(e => [String(named(e)).trim().replace(/\\s+/g, ' ').slice(0, 200),
    String(target(e)).slice(0, 500)]);
}"""
_FOCUS = """() => {
  let element = document.activeElement;
  while (element && element.shadowRoot && element.shadowRoot.activeElement) element = element.shadowRoot.activeElement;
  return window.conformanceStops.findIndex(stop => element && element !== document.body &&
    (stop === element || stop.contains(element)));
}"""
_WATCH = """() => {
  window.conformanceChanged = false;
  new MutationObserver(() => { window.conformanceChanged = true; }).observe(document,
    {subtree: true, childList: true, characterData: true, attributes: true});
}"""
_CANARY_LINKS = """name => [...document.querySelectorAll('a[href]')]
  .filter(a => a.protocol === 'javascript:' && decodeURIComponent(a.href).includes(name)).forEach(a => a.click())"""

Choose = Callable[[Sequence[Stop]], int]
"""Which of them a person who wants to pay follows; -1 for none."""
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
    _last: list[str] = field(init=False, default_factory=list)

    def fetched(self, origin: str, request: Request) -> Exchange:
        """``request`` as a script of a page of ``origin`` sends it, and as much of the answer as it may read.

        The failure ``blocked`` is the browser's no, in its words; ``browser`` that there is no browser.
        """
        return self._asked(request, lambda page: self._fetch(page, origin, request))

    def visited(self, request: Request, choose: Choose | None = None) -> Exchange:
        """The page that ``request``, a GET, leads a person to, and what is seen of it; what ``choose`` names is followed."""
        return self._asked(request, lambda page: self._visit(page, request, choose))

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

    def _asked(self, request: Request, ask: Callable[["Page"], Awaitable[Exchange]]) -> Exchange:
        started = time.monotonic()
        try:
            exchange = self._run(self._within(ask), self.timeout + _STARTS_WITHIN)
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

    async def _within(self, ask: Callable[["Page"], Awaitable[Exchange]]) -> Exchange:
        """Asks on a page that nothing was asked on before."""
        browser = await self._started()
        assert self._gate is not None  # noqa: S101 - it was started with one
        self._gate.shut_out.clear()
        self._last = []
        context = await asyncio.wait_for(
            browser.new_context(service_workers="block", accept_downloads=False, locale="en-US"), self.timeout
        )
        try:
            context.set_default_timeout(1000 * self.timeout)
            page = await asyncio.wait_for(context.new_page(), self.timeout)
            page.on("console", lambda said: self._last.append(said.text[:_LONGEST]) if said.type == "error" else None)
            return await asyncio.wait_for(ask(page), self.timeout)
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

    async def _fetch(self, page: "Page", origin: str, request: Request) -> Exchange:
        # Routes are gone before anything is asked: under one, the driver answers every preflight itself.
        await page.route(
            "**/*", lambda route: route.fulfill(content_type="text/html", body="<!doctype html><title>a page</title>")
        )
        await page.goto(f"{origin}/")
        await page.unroute_all()
        body = base64.b64encode(request.body).decode()
        found = await page.evaluate(_FETCH, [request.url, request.method, _by_script(request), body, self.max_body])
        seen = self._seen()
        if "error" not in found:
            content = base64.b64decode(found["body"])
            response = Response(
                status=found["status"],
                reason=found["reason"],
                headers=tuple((name, value) for name, value in found["headers"]),
                body=content[: self.max_body],
            )
            return Exchange(request=request, response=response, seen=seen)
        told = next((said for said in seen.said if "CORS" in said or "blocked" in said), "")
        if told or found.get("redirect"):
            failure = Failure(kind="blocked", detail=told or found["error"])
        else:
            failure = Failure(kind="closed", detail=f"the browser: {next(iter(seen.said), found['error'])}")
        return Exchange(request=request, failure=failure, seen=seen)

    async def _visit(self, page: "Page", request: Request, choose: Choose | None) -> Exchange:
        ran: list[str] = []
        await page.expose_function(RAN, lambda name="": ran.append(str(name)[:60]))
        # What shows nothing where a canary runs for sure, shows nothing elsewhere.
        await page.set_content(f"<img src=x: onerror=\"{RAN}('control')\">")
        await page.wait_for_timeout(50)
        await page.set_extra_http_headers(_by_browser(request))
        answer = await page.goto(request.url, wait_until="load")
        if answer is None:
            return Exchange(request=request, failure=Failure(kind="closed", detail="the browser shows no answer"))
        response = Response(
            status=answer.status,
            reason=answer.status_text,
            headers=tuple((one["name"], one["value"]) for one in await answer.headers_array()),
            body=(await answer.body())[: self.max_body],
        )
        await page.wait_for_timeout(1000 * _SETTLES_WITHIN)
        seen = Seen()
        if choose is None:
            await page.evaluate(_CANARY_LINKS, RAN)
            await page.wait_for_timeout(50)
        else:
            stops = [Stop(text=text, target=target) for text, target in await page.evaluate(_STOPS)]
            seen = replace(seen, stops=tuple(stops), chosen=choose(stops))
            seen = await self._followed(page, seen)
        own = self._seen()
        seen = replace(seen, ran=tuple(dict.fromkeys(ran)), said=own.said, shut_out=own.shut_out)
        return Exchange(request=request, response=response, seen=seen)

    async def _followed(self, page: "Page", seen: Seen) -> Seen:
        """Presses Tab until the focus comes round, and then follows what was chosen."""
        reached: list[int] = []
        for _ in range(_TABS):
            await page.keyboard.press("Tab")
            at = await page.evaluate(_FOCUS)
            if at in reached:
                break
            reached += [at] if at >= 0 else []
        seen = replace(seen, reached=tuple(reached))
        if seen.chosen < 0:
            return seen
        by = "keyboard" if seen.chosen in reached else "pointer"
        if by == "keyboard":
            for _ in range(_TABS):
                if await page.evaluate(_FOCUS) == seen.chosen:
                    break
                await page.keyboard.press("Tab")
        came: list[str] = []
        statuses: list[int] = []
        page.on("request", lambda asked: came.append(f"asks {asked.method} {asked.url[:_LONGEST]}"))
        page.on("popup", lambda _: came.append("opens a window"))
        page.on("response", lambda told: statuses.append(told.status))

        async def dismissed(dialog: Any) -> None:
            came.append("asks in a dialog")
            await dialog.dismiss()

        page.on("dialog", dismissed)
        # What changes by itself says nothing of what was followed.
        await page.evaluate(_WATCH)
        await page.wait_for_timeout(1000 * _SETTLES_WITHIN)
        restless = bool(await page.evaluate("() => window.conformanceChanged"))
        came.clear()
        if by == "keyboard":
            await page.keyboard.press("Enter")
        else:
            await page.evaluate("at => window.conformanceStops[at].click()", seen.chosen)
        end = time.monotonic() + _FOLLOWS_WITHIN
        changed = False
        while time.monotonic() < end and not (came and statuses):
            with suppress(Exception):  # The page may be another one by now.
                changed = changed or bool(await page.evaluate("() => window.conformanceChanged === true"))
            if changed and not restless and not came and end - time.monotonic() < _FOLLOWS_WITHIN / 2:
                break
            await asyncio.sleep(0.03)
        leads = came[0] if came else "changes the page" if changed and not restless else ""
        return replace(seen, by=by, leads=leads, status=statuses[0] if statuses else None)

    def _seen(self) -> Seen:
        shut_out = dict.fromkeys(self._gate.shut_out if self._gate else ())
        return Seen(said=tuple(self._last[:_SAID]), shut_out=tuple(shut_out)[:_SAID])


class _NoBrowser(Exception):
    """There is no browser; the message says what to do about it."""


def _by_script(request: Request) -> dict[str, str]:
    return {name: value for name, value in request.headers if name.lower() not in _ITS_OWN}


def _by_browser(request: Request) -> dict[str, str]:
    own = {*_ITS_OWN, "accept", "content-type"}
    return {name: value for name, value in request.headers if name.lower() not in own}
