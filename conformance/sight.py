"""What is asked of one page of a browser: what a script may read, what runs, what a person can follow."""

import asyncio
import base64
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from conformance.exchange import Exchange, Failure, Request, Response
from conformance.seen import Seen, Stop

if TYPE_CHECKING:
    from playwright.async_api import Page
    from playwright.async_api import Request as Asked

__all__ = ["RAN", "Choose", "Sight"]

RAN = "conformanceRan"
"""The function that a canary calls with its name."""

_SETTLES_WITHIN = 0.2
"""Seconds for what a page does after it was loaded."""
_SHOWS_WITHIN = 1.5
"""Seconds until a page that its scripts write shows something to follow."""
_FOLLOWS_WITHIN = 0.7
"""Seconds for what comes of following something."""
_TABS = 60
_SAID = 10
_LONGEST = 300
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

# What a person can see and follow, kept in its order, also where it stands in a shadow tree; and what hides some.
_STOPS = """() => {
  const kinds = 'a[href], area[href], button, input[type=submit], input[type=button], input[type=image], summary, ' +
    '[role=button], [role=link], [onclick]';
  const all = root => [...root.querySelectorAll('*')].flatMap(e => [e, ...(e.shadowRoot ? all(e.shadowRoot) : [])]);
  const seen = element => {
    const box = element.getBoundingClientRect();
    const shown = !element.checkVisibility || element.checkVisibility({opacityProperty: true,
      visibilityProperty: true, checkOpacity: true, checkVisibilityCSS: true});
    return shown && box.width > 0 && box.height > 0 && !element.closest('[inert]');
  };
  const stays = element => (element.getAttribute('href') || '').trim().startsWith('#');
  const shown = all(document).filter(seen);
  const found = shown.filter(e => e.matches(kinds) && !e.disabled && !stays(e));
  window.conformanceStops = found;
  const named = e => e.innerText || e.getAttribute('aria-label') || e.value || e.getAttribute('alt') || e.title ||
    (e.querySelector('img[alt]') || {}).alt || '';
  const target = e => e.href || (e.form && e.type !== 'button' ? e.formAction || e.form.action : '') || '';
  const closed = e => e.matches('iframe, frame, object, embed, canvas') || e.matches('button:disabled, input:disabled') ||
    (e.localName.includes('-') && !e.shadowRoot);
  return [found.slice(0, 200).map(e => [String(named(e)).trim().replace(/\\s+/g, ' ').slice(0, 200),
      String(target(e)).slice(0, 500)]),
    [...new Set(shown.filter(closed).map(e => e.localName))].slice(0, 10)];
}"""
_FOCUS = """() => {
  let element = document.activeElement;
  while (element && element.shadowRoot && element.shadowRoot.activeElement) element = element.shadowRoot.activeElement;
  return window.conformanceStops.findIndex(stop => element && element !== document.body &&
    (stop === element || stop.contains(element)));
}"""
_WATCH = """() => {
  window.conformanceChanged = false;
  window.conformanceMissing = false;
  document.addEventListener('invalid', () => { window.conformanceMissing = true; }, true);
  const watch = root => new MutationObserver(() => { window.conformanceChanged = true; }).observe(root,
    {subtree: true, childList: true, characterData: true, attributes: true});
  watch(document);
  const inner = root => root.querySelectorAll('*').forEach(e => {
    if (e.shadowRoot) { watch(e.shadowRoot); inner(e.shadowRoot); } });
  inner(document);
}"""
_CHANGED = "() => [window.conformanceChanged === true, window.conformanceMissing === true]"
_CANARY_LINKS = """name => [...document.querySelectorAll('a[href]')]
  .filter(a => a.protocol === 'javascript:' && decodeURIComponent(a.href).includes(name)).forEach(a => a.click())"""

Choose = Callable[[Sequence[Stop]], int]
"""Which of them a person who wants to pay follows; -1 for none."""


@dataclass(slots=True, kw_only=True)
class Sight:
    """A page on which nothing was asked before."""

    page: "Page"
    most: int
    """Bytes of one answer."""
    shut_out: list[str]
    """Who could not be reached, as it becomes known."""
    _said: list[str] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda said: self._said.append(said.text[:_LONGEST]) if said.type == "error" else None)

    async def fetched(self, origin: str, request: Request) -> Exchange:
        """``request`` as a script of a page of ``origin`` sends it, and as much of the answer as it may read."""
        page = self.page
        # Routes are gone before anything is asked: under one, the driver answers every preflight itself.
        await page.route(
            "**/*", lambda route: route.fulfill(content_type="text/html", body="<!doctype html><title>a page</title>")
        )
        await page.goto(f"{origin}/")
        await page.unroute_all()
        body = base64.b64encode(request.body).decode()
        found = await page.evaluate(_FETCH, [request.url, request.method, _by_script(request), body, self.most])
        seen = self._seen()
        if "error" not in found:
            content = base64.b64decode(found["body"])
            response = Response(
                status=found["status"],
                reason=found["reason"],
                headers=tuple((name, value) for name, value in found["headers"]),
                body=content[: self.most],
            )
            return Exchange(request=request, response=response, seen=seen)
        told = next((said for said in seen.said if "CORS" in said or "blocked" in said), "")
        if told or found.get("redirect"):
            failure = Failure(kind="blocked", detail=told or found["error"])
        else:
            failure = Failure(kind="closed", detail=f"the browser: {next(iter(seen.said), found['error'])}")
        return Exchange(request=request, failure=failure, seen=seen)

    async def visited(self, request: Request, choose: Choose | None) -> Exchange:
        """The page that ``request`` leads to, what ran on it, or what comes of following what ``choose`` names."""
        page = self.page
        ran: list[str] = []
        await page.expose_function(RAN, lambda name="": ran.append(str(name)[:60]))
        # What shows nothing where a canary runs for sure, shows nothing elsewhere.
        await page.set_content(f"<img src=x: onerror=\"{RAN}('control')\">")
        await page.wait_for_timeout(50)
        await _with_fields(page, _by_browser(request))
        missed: list[str] = []
        page.on("requestfailed", lambda asked: missed.append(asked.url) if asked.resource_type in _SCRIPTED else None)
        # Some pages wait for something until they are left.
        answer = await page.goto(request.url, wait_until="domcontentloaded")
        await page.unroute_all()
        with suppress(Exception):
            await page.wait_for_load_state("load", timeout=1000 * _SHOWS_WITHIN)
        if answer is None:
            return Exchange(request=request, failure=Failure(kind="closed", detail="the browser shows no answer"))
        response = Response(
            status=answer.status,
            reason=answer.status_text,
            headers=tuple((one["name"], one["value"]) for one in await answer.headers_array()),
            body=(await answer.body())[: self.most],
        )
        await page.wait_for_timeout(1000 * _SETTLES_WITHIN)
        seen = Seen()
        if choose is None:
            await page.evaluate(_CANARY_LINKS, RAN)
            await page.wait_for_timeout(50)
        else:
            stops, opaque = await _shown(page)
            reached = await _tabbed(page)
            seen = replace(seen, stops=stops, opaque=opaque, reached=reached, chosen=choose(stops))
            seen = await _followed(page, seen) if seen.chosen >= 0 else seen
        own = self._seen()
        # A page may leave with its scripts on the way; what matters is who was not to be reached.
        lost = tuple(who for who in own.shut_out if any(_authority(url) == who for url in missed))
        seen = replace(seen, ran=tuple(dict.fromkeys(ran)), said=own.said, shut_out=own.shut_out, missed=lost)
        return Exchange(request=request, response=response, seen=seen)

    def _seen(self) -> Seen:
        return Seen(said=tuple(self._said[:_SAID]), shut_out=tuple(dict.fromkeys(self.shut_out))[:_SAID])


async def _shown(page: "Page") -> tuple[tuple[Stop, ...], tuple[str, ...]]:
    """What can be followed, as soon as something can; and what may hide some."""
    end = time.monotonic() + _SHOWS_WITHIN
    while True:
        found, opaque = await page.evaluate(_STOPS)
        stops = tuple(Stop(text=text, target=target) for text, target in found)
        if any(stop.text for stop in stops) or time.monotonic() > end:
            return stops, tuple(opaque)
        await asyncio.sleep(0.1)


async def _tabbed(page: "Page") -> tuple[int, ...]:
    """What has the focus, one after another, when Tab is pressed until it comes round."""
    reached: list[int] = []
    for _ in range(_TABS):
        await page.keyboard.press("Tab")
        at = await page.evaluate(_FOCUS)
        if at in reached:
            break
        reached += [at] if at >= 0 else []
    return tuple(reached)


async def _followed(page: "Page", seen: Seen) -> Seen:
    """Follows what was chosen, by keyboard where it can be had so, and looks what comes of it."""
    by = "keyboard" if seen.chosen in seen.reached else "pointer"
    for _ in range(_TABS if by == "keyboard" else 0):
        if await page.evaluate(_FOCUS) == seen.chosen:
            break
        await page.keyboard.press("Tab")
    # What changes by itself says nothing of what was followed.
    await page.evaluate(_WATCH)
    await page.wait_for_timeout(1000 * _SETTLES_WITHIN)
    restless, _ = await page.evaluate(_CHANGED)
    after = _After(page=page)
    if by == "keyboard":
        await page.keyboard.press("Enter")
    else:
        await page.evaluate("at => window.conformanceStops[at].click()", seen.chosen)
    leads = await after.leads(seen.stops[seen.chosen], restless=restless)
    return replace(seen, by=by, leads=leads, restless=restless, status=next(iter(after.statuses), None))


@dataclass(slots=True, kw_only=True)
class _After:
    """What happens on a page from now on."""

    page: "Page"
    came: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    """Of answers that take the place of the page."""

    def __post_init__(self) -> None:
        page = self.page
        page.on("request", lambda asked: self.came.append(f"asks {asked.method} {asked.url[:_LONGEST]}"))
        page.on("popup", lambda _: self.came.append("opens a window"))
        page.on("response", lambda told: self.statuses.append(told.status) if _takes_its_place(told.request) else None)

        async def dismissed(dialog: Any) -> None:
            self.came.append("asks in a dialog")
            await dialog.dismiss()

        page.on("dialog", dismissed)

    async def leads(self, stop: Stop, *, restless: bool) -> str:
        """What comes of having followed ``stop``, in a moment."""
        end = time.monotonic() + _FOLLOWS_WITHIN
        changed = missing = False
        while time.monotonic() < end and not missing and not (self.came and self.statuses):
            with suppress(Exception):  # The page may be another one by now.
                changed, missing = await self.page.evaluate(_CHANGED)
            if changed and not restless and not self.came and end - time.monotonic() < _FOLLOWS_WITHIN / 2:
                break
            await asyncio.sleep(0.03)
        scheme = stop.target.partition(":")[0].lower()
        if self.came:
            return self.came[0]
        if missing:
            return "asks for what is missing"
        if scheme not in {"", "http", "https", "javascript"}:
            return f"hands over to {scheme}"
        return "changes the page" if changed and not restless else ""


def _takes_its_place(asked: "Asked") -> bool:
    return asked.is_navigation_request() and asked.frame.parent_frame is None


async def _with_fields(page: "Page", fields: dict[str, str]) -> None:
    """Has what the page is asked for carry ``fields``, and nothing that the page asks for."""

    async def carry(route: Any) -> None:
        own = _takes_its_place(route.request)
        await route.continue_(headers={**route.request.headers, **fields} if own else None)

    if fields:
        await page.route("**/*", carry)


_SCRIPTED = {"script", "document"}


def _authority(url: str) -> str:
    """host:port of a URL, the port written out; empty where it has none."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError:
        return ""
    return f"{parts.netloc.rpartition('@')[2].removesuffix(f':{parts.port}')}:{port}"


def _by_script(request: Request) -> dict[str, str]:
    return {name: value for name, value in request.headers if name.lower() not in _ITS_OWN}


def _by_browser(request: Request) -> dict[str, str]:
    own = {*_ITS_OWN, "accept", "content-type"}
    return {name: value for name, value in request.headers if name.lower() not in own}
