"""The words in which tables say how a refusal without any protocol, or its profile, differs from the sandbox's."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from judging import FAMILIES, Edit
from serving import Answer, Asked, Change, refusals

__all__ = [
    "ARCHIVE",
    "CHARGES",
    "EVERYWHERE",
    "LOOKUP",
    "TRANSLATE",
    "MarketFault",
    "MarketLegal",
    "MarketUnproven",
    "answers",
    "claims",
    "each",
    "facts",
    "fault",
    "hides",
    "legal",
    "placed",
    "rewritten",
    "rule",
    "says",
    "status",
    "stuffed",
    "units",
    "unproven",
    "waive",
]

ARCHIVE = ("archive",)
"""A paywall."""
TRANSLATE = ("translate",)
"""A balance that is too small."""
LOOKUP = ("lookup",)
"""A quota that is used up and comes back."""
CHARGES = ("charges",)
"""A card that is declined."""
EVERYWHERE = (*ARCHIVE, *TRANSLATE, *LOOKUP, *CHARGES)
_FAMILY = {"archive": "paywall", "translate": "credits", "lookup": "credits", "charges": "decline"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketFault:
    """One server that refuses wrongly in one way, and the requirements that say so, no more and no less."""

    name: str
    """A fact about the bad server."""
    does: Change | None
    red: frozenset[str]
    at: tuple[str, ...] = EVERYWHERE
    """The endpoints that are judged; something is red at each of them."""
    edit: Edit | None = None
    """What its profile says otherwise than the sandbox's."""
    errors: frozenset[str] = frozenset()
    """Requirements that cannot be asked and say so as an error."""
    envelopes: bool = False
    """Whether the profile names the schema that this API publishes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketLegal:
    """One server that refuses as correctly as the sandbox and differs from it."""

    name: str
    does: Change | None
    allows: tuple[str, ...] = ()
    """What the catalogue says of it: requirement id, colon, one of its ``allowed``."""
    at: tuple[str, ...] = EVERYWHERE
    edit: Edit | None = None
    envelopes: bool = False
    notes: frozenset[str] = frozenset()
    """Requirements of level MAY that note it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketUnproven:
    """One run that breaks nothing and leaves questions open."""

    name: str
    does: Change | None = None
    at: tuple[str, ...] = EVERYWHERE
    edit: Edit | None = None
    untestable: frozenset[str]
    envelopes: bool = False
    classes: tuple[str, ...] = ()
    """Which are claimed; none: those of the endpoints."""


def fault(name: str, does: Change | None, *red: str, **more: Any) -> MarketFault:
    """A fault in one line."""
    return MarketFault(name=name, does=does, red=frozenset(red), **more)


def legal(name: str, does: Change | None, *allows: str, **more: Any) -> MarketLegal:
    """A legal variant in one line."""
    return MarketLegal(name=name, does=does, allows=allows, **more)


def unproven(name: str, edit: Edit, *untestable: str, **more: Any) -> MarketUnproven:
    """An open question in one line."""
    return MarketUnproven(name=name, edit=edit, untestable=frozenset(untestable), **more)


def each(*words: str) -> tuple[str, ...]:
    """``words``, the last words of ids or of what they allow, as they are in every family."""
    return tuple(f"{family}.{word}" for family in FAMILIES for word in words)


def claims(at: Sequence[str], red: Iterable[str] = ()) -> tuple[str, ...]:
    """The classes of the endpoints ``at``, and http where a fault breaks that too."""
    http = ("http",) if any(id.startswith("http.") for id in red) else ()
    return (*http, *dict.fromkeys(_FAMILY[name] for name in at))


def rewritten(make: Callable[[dict[str, Any]], object], media_type: str = "application/json") -> Change:
    """Puts what ``make`` returns of it in the place of the document of each refusal."""

    def alter(answer: Answer) -> None:
        if answer.get("content-type") == "application/json":
            answer.say(make(json.loads(answer.body)), media_type)

    return refusals(alter)


def says(**members: object) -> Change:
    """Sets members of the document of each refusal."""
    return rewritten(lambda document: document | members)


def hides(*names: str) -> Change:
    """Removes members of the document of each refusal."""
    return rewritten(lambda document: {name: value for name, value in document.items() if name not in names})


def stuffed(make: Callable[[Asked], Mapping[str, object]]) -> Change:
    """Sets members of the document of each refusal that depend on the request."""

    def change(asked: Asked, answer: Answer) -> None:
        says(**make(asked))(asked, answer)

    return change


def status(code: int) -> Change:
    """Refuses with another status."""
    return refusals(lambda answer: setattr(answer, "status", code))


def rule(*families: str, **members: object) -> Edit:
    """Sets members of the answer rules of ``families``, or of all; None removes one."""

    def edit(written: dict[str, Any]) -> None:
        for entry in written["answer"]:
            if not families or entry["family"] in families:
                _set(entry, members)

    return edit


def facts(*families: str, **selectors: object) -> Edit:
    """Sets where facts of ``families``, or of all, stand; None for one that the profile does not look for."""
    return _within("facts", families, selectors)


def waive(*families: str, **reasons: object) -> Edit:
    """Waives facts of ``families``, or of all."""
    return _within("waive", families, reasons)


def units(*families: str, **names: object) -> Edit:
    """Names the units of facts of ``families``, or of all."""
    return _within("units", families, names)


def placed(*places: str) -> dict[str, object]:
    """The first of several places."""
    return {"first": list(places)}


def answers(**rules: Sequence[str]) -> Edit:
    """Gives endpoints other answer rules."""

    def edit(written: dict[str, Any]) -> None:
        for entry in written["endpoint"]:
            if entry["name"] in rules:
                entry["answers"] = list(rules[entry["name"]])

    return edit


def _within(table: str, families: Sequence[str], members: Mapping[str, object]) -> Edit:
    def edit(written: dict[str, Any]) -> None:
        for entry in written["answer"]:
            if not families or entry["family"] in families:
                entry[table] = dict(entry.get(table, {}))
                _set(entry[table], members)

    return edit


def _set(entry: dict[str, Any], members: Mapping[str, object]) -> None:
    for member, value in members.items():
        if value is None:
            entry.pop(member, None)
        else:
            entry[member] = value
