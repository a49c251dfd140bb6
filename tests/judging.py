"""A whole run against a server, without a pytest session around it."""

import copy
import json
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from serving import GOODS, MARKET, Altered, Change, Relay, relayed, unaltered
from shop import Shop

from conformance import _data, cases, catalogue, checks, facilitator, profile
from conformance.asking import means_429, request_to
from conformance.exchange import Exchange
from conformance.facilitator import Control
from conformance.known import KnownFailures
from conformance.outcome import Outcome, Verdict
from conformance.profile import Profile
from conformance.purse import Means, Purse
from conformance.redaction import Redactor
from conformance.report import document
from conformance.rows import rows
from conformance.run import Result, Run
from conformance.window import Window
from conformance.wire import Wire

__all__ = [
    "ANY_BODY",
    "FAMILIES",
    "IN_A_BROWSER",
    "PAID",
    "UNPAID",
    "Edit",
    "Judged",
    "judged",
    "judged_as",
    "judged_market",
    "judged_paid",
    "of_families",
    "sandbox_profile",
]

UNPAID = ("http", "browser", "x402/offer")
"""The classes that are judged without a payment."""

PAID = ("x402/guard", "x402/settlement", "x402/order")
"""The classes that take payments."""

FAMILIES = ("paywall", "credits", "decline")
"""The classes of refusals without any protocol."""

ANY_BODY = "http.refused-for-any-body"
"""Of bodies that are drawn: it has a table of its own, as the rows of the families about them have."""

IN_A_BROWSER = frozenset(r.id for r in catalogue.load().judged() if "browser" in r.needs)
"""What takes a browser: it has a table of its own."""

Edit = Callable[[dict[str, Any]], None]
"""What makes a profile different: changes its document in place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A whole run."""

    results: Mapping[tuple[str, str], Result]
    """By requirement id and endpoint name."""
    report: document.Report

    @property
    def verdict(self) -> Verdict:
        """What the run came to."""
        return self.report.verdict

    def of(self, *outcomes: Outcome) -> list[Result]:
        """The results with one of ``outcomes``."""
        return [result for result in self.results.values() if result.outcome in outcomes]

    def red(self) -> list[Result]:
        """What does not hold: violated, unmet, and the notes on a MAY."""
        noted = [result for result in self.of(Outcome.PASSED) if result.finding]
        return self.of(Outcome.VIOLATED, Outcome.UNMET) + noted


def sandbox_profile(base_url: str, edit: Edit | None = None, secrets: Mapping[str, str] | None = None) -> Profile:
    """The sandbox's profile for a sandbox at ``base_url``, its document changed by ``edit``.

    ``secrets`` are filled in where the document says ``<secret:NAME>``.
    """
    written = tomllib.loads((_data.profiles() / "sandbox.toml").read_text("utf-8"))
    del written["target"]["start"]
    written["target"] |= {"base_url": base_url, "timeout": 5.0}
    written["endpoint"] = [entry for entry in written["endpoint"] if entry["path"] in GOODS]
    written["claims"] = {"classes": list(UNPAID)}
    written["identity"] = {name: who for name, who in written["identity"].items() if "expect" not in who}
    del written["crawl"]
    del written["flow"], written["observe"]
    del written["facilitator"]
    if edit:
        edit(written)
    open_ = written
    for name, value in (secrets or {}).items():
        open_ = json.loads(json.dumps(open_).replace(f"<secret:{name}>", value))
    loaded = profile.from_document(copy.deepcopy(open_), path=Path("sandbox.toml"))
    return replace(loaded, document=written, secrets=dict(secrets or {}))


def judged(
    base_url: str,
    *,
    claims: Sequence[str] | None = None,
    edit: Edit | None = None,
    secrets: Mapping[str, str] | None = None,
    examples: int | None = None,
    control: Control | None = None,
    only: Sequence[str] = (),
    window: Window | None = None,
) -> Judged:
    """Every row of the sandbox's profile, asked of a server at ``base_url`` as a run does, and concluded.

    ``claims`` replaces the claimed classes, ``edit`` changes the profile's document after that. With ``examples`` that
    many payments are drawn, beside those that are always asked, and the edition is content with that. ``control`` is
    that of the scripted facilitator, where the profile has one; ``only`` are beginnings of ids, ``window`` a browser that
    runs already.
    """

    def both(written: dict[str, Any]) -> None:
        if claims is not None:
            written["claims"] = {"classes": list(claims)}
        if examples is not None:
            written["limits"] = {"max_examples": examples}
        if edit:
            edit(written)

    loaded = sandbox_profile(base_url, both, secrets)
    edition = catalogue.editions()[loaded.edition]
    if examples is not None:
        edition = replace(edition, floors={**edition.floors, "max_examples": examples})
    order = [check.requirement for found in checks.load().values() for check in found]
    first = request_to(loaded, loaded.endpoints[0])
    back_off = not means_429(loaded, loaded.endpoints[0])
    redactor = Redactor.of(loaded.secrets)
    wire = Wire(
        timeout=loaded.target.timeout,
        limits=loaded.limits,
        redactor=redactor,
        hosts=frozenset({urlsplit(base_url).netloc, *loaded.target.helpers}),
        sanity=first,
    )
    loaded = cases.read(loaded, wire)
    scored = tuple(row for row in rows(loaded, edition) if row.requirement.id.startswith(tuple(only) or ("",)))
    means = Means(control=control.url if control else "")
    purse = Purse(profile=loaded, means=means, redactor=redactor, began=wire.began, control=control)
    began = time.time()
    try:
        sanity: dict[str, Exchange] = {"first": wire.send(first, back_off=back_off)}
        run = Run(profile=loaded, edition=edition, wire=wire, purse=purse, window=window)
        turns = sorted(scored, key=lambda row: order.index(row.requirement.id))
        run.begin(turns)
        results = {row.key: run.judge(row) for row in turns}
        sanity["last"] = wire.send(first, back_off=back_off)
    finally:
        wire.close()
        purse.close()
    report = document.conclude(
        profile=loaded,
        edition=edition,
        rows=scored,
        results=results.values(),
        sanity=sanity,
        reservations=[],
        failures=KnownFailures(path=Path("none.known-failures.toml")),
        began=began,
        command="",
    )
    return Judged(results=results, report=report)


def judged_as(
    server: tuple[Altered, str],
    *,
    change: Change | None = None,
    where: Sequence[str] = GOODS,
    sells: Mapping[str, str] | None = None,
    relay: Relay | None = None,
    claims: Sequence[str] | None = None,
    edit: Edit | None = None,
    secrets: Mapping[str, str] | None = None,
    examples: int | None = None,
) -> Judged:
    """The run against ``server`` with ``change`` made to it at the paths ``where``, and ``relay`` between.

    ``sells`` are further paths, each with the path of the sandbox that it answers like.
    """
    altered, here = server
    altered.begin(change or unaltered, where, sells)
    if relay is None:
        return judged(here, claims=claims, edit=edit, secrets=secrets, examples=examples)

    def helped(written: dict[str, Any]) -> None:
        # What the refusals link to lies behind the relay.
        written["target"]["helpers"] = [urlsplit(here).netloc]
        if edit:
            edit(written)

    with relayed(here, relay) as before:
        return judged(before, claims=claims, edit=helped, secrets=secrets, examples=examples)


def of_families() -> frozenset[str]:
    """The requirements of the families that a refusal itself is judged by; what a page or a body says has tables of its own."""
    scored = {id for edition in catalogue.editions().values() for cls in FAMILIES for id in edition.classes[cls]}
    return frozenset(id for id in scored if not id.startswith("paywall.page-") and not id.endswith(".any-body"))


def judged_market(
    server: tuple[Altered, str],
    *,
    at: Sequence[str],
    classes: Sequence[str],
    change: Change | None = None,
    edit: Edit | None = None,
    envelopes: bool = False,
) -> Judged:
    """The run of ``classes`` at the endpoints called ``at`` of the sandbox that ask for money without any protocol.

    The rules of the profile name the sandbox's own schemas with ``envelopes`` alone: nearly every fault breaks them.
    """
    altered, here = server
    altered.begin(change or unaltered, MARKET)
    whole = tomllib.loads((_data.profiles() / "sandbox.toml").read_text("utf-8"))

    def both(written: dict[str, Any]) -> None:
        written["endpoint"] = [entry for entry in whole["endpoint"] if entry["name"] in at]
        written["claims"] = {"classes": list(classes)}
        for rule in written["answer"]:
            own = rule.pop("schema")
            if envelopes:
                rule["schema"] = str((_data.profiles() / own).resolve())
        if edit:
            edit(written)

    http = {id for edition in catalogue.editions().values() for id in edition.classes["http"]} - {ANY_BODY}
    return judged(here, edit=both, examples=2, only=(*of_families(), *http))


def judged_paid(
    shop: tuple[Shop, str, facilitator.Running],
    *,
    goods: Sequence[str] = ("/weather",),
    slow: bool = False,
    edit: Edit | None = None,
    examples: int = 2,
    only: Sequence[str] = (),
    window: Window | None = None,
    **flaws: Any,
) -> Judged:
    """The classes that take payments, judged at ``goods`` of a shop with ``flaws``; ``only`` are beginnings of ids.

    Slow handlers take two seconds a version: unless ``slow``, the profile knows of none, and claims nothing.
    """
    built, here, running = shop
    built.begin(**flaws)
    running.control.reset()
    whole = tomllib.loads((_data.profiles() / "sandbox.toml").read_text("utf-8"))

    def both(written: dict[str, Any]) -> None:
        written["endpoint"] = [entry for entry in whole["endpoint"] if entry["path"] in goods]
        written["facilitator"] = {"mode": "scripted"}
        written["claims"] = {"classes": list(PAID)}
        if not slow:
            del written["claims"]
            for entry in written["endpoint"]:
                del entry["slow"]
        if edit:
            edit(written)

    only = only or tuple(f"{cls.replace('/', '.')}." for cls in PAID)
    return judged(here, edit=both, examples=examples, control=running.control, only=only, window=window)
