"""Faults of a refusal for want of credits: a balance that is too small, a quota that is used up."""

import datetime as dt

from altering import field, lacks
from market import LOOKUP, TRANSLATE, MarketFault, facts, hides, says, units, waive
from market import fault as _fault
from serving import Change, then
from variant import both

__all__ = ["CREDITS"]

_FIELDS = lacks("x-credits-required", "x-current-balance", "x-ratelimit-remaining")
_NEVER = then(hides("resets_at"), lacks("retry-after"))


def fault(name: str, does: Change | None, *red: str, **more: object) -> MarketFault:
    """A fault of the balance, its own requirements by their last words."""
    told = {"at": TRANSLATE} | more
    return _fault(name, does, *(id if "." in id else f"credits.{id}" for id in red), **told)


def quota(name: str, does: Change | None, *red: str, **more: object) -> MarketFault:
    """A fault of the quota."""
    return fault(name, does, *red, at=LOOKUP, **more)


def _holds(required: object, balance: object, short: object) -> Change:
    """So much is required and so much is there, in the fields as in the body."""
    told = says(required=required, balance=balance, shortfall=short)
    return then(told, field("X-Credits-Required", str(required)), field("X-Current-Balance", str(balance)))


def _leaves(limit: object, used: object, left: object) -> Change:
    """So much is allowed, used and left."""
    return then(says(limit=limit, used=used, remaining=left), field("X-RateLimit-Remaining", str(left)))


def _resets(value: object) -> Change:
    return says(resets_at=value)


def _in(**delta: float) -> str:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(**delta)).isoformat()


CREDITS: tuple[MarketFault, ...] = (
    fault(
        "nothing of its refusal is a number",
        then(hides("required", "balance", "limit", "used", "remaining", "shortfall"), _FIELDS),
        "quantity",
        "need-and-have",
        at=(*TRANSLATE, *LOOKUP),
    ),
    fault(
        "its numbers are words",
        then(_FIELDS, says(required="ten", balance="a few", shortfall="some")),
        "quantity",
    ),
    fault(
        "its balance is true",
        then(_FIELDS, hides("required", "shortfall"), says(balance=True)),
        "quantity",
        "need-and-have",
    ),
    fault("its balance is filled up nowhere", hides("remedy"), "way-out"),
    fault(
        "its balance is filled up nowhere, and the profile waives the other way out",
        hides("remedy"),
        "way-out",
        edit=waive("credits", resets_at="a balance does not come back by itself"),
    ),
    fault("its balance is filled up at a blank", says(remedy=" "), "way-out"),
    quota("nobody knows when its quota resets", _NEVER, "way-out"),
    fault("its balance is not told", then(_FIELDS, hides("balance", "shortfall")), "need-and-have"),
    fault("its price is not told", then(_FIELDS, hides("required", "shortfall")), "need-and-have"),
    quota("its quota is a limit alone", then(_FIELDS, hides("used", "remaining")), "need-and-have"),
    fault("what it counts is not told", hides("unit"), "unit", at=(*TRANSLATE, *LOOKUP)),
    fault("what it counts is a number", says(unit=1), "unit"),
    fault("whose credits these are is not told", hides("scope"), "scope", at=(*TRANSLATE, *LOOKUP)),
    fault("less than nothing is required", _holds(-10, -30, 20), "not-negative"),
    quota("less than nothing is allowed", _leaves(-1, 0, 0), "not-negative"),
    quota("its quota resets soon", _resets("soon"), "resets-at"),
    quota("its quota resets in a span", _resets("PT1H"), "resets-at"),
    quota("its quota resets at a time of no day", _resets("00:00 UTC"), "resets-at"),
    quota(
        "its quota resets in milliseconds that are called seconds",
        _resets(4102444800000),
        "resets-at",
        edit=units("credits", resets_at="epoch"),
    ),
    quota("its quota was reset in 2020", _resets("2020-01-01T00:00:00Z"), "resets-later"),
    quota("its quota was reset an hour ago", _resets(_in(hours=-1)), "resets-later"),
    quota(
        "its quota was reset when the epoch began, in seconds that nobody said are counted from now",
        _resets(3600),
        "resets-later",
    ),
    quota(
        "its quota was reset by a clock in another zone",
        _resets((dt.datetime.now(dt.UTC) - dt.timedelta(hours=5)).replace(tzinfo=None).isoformat()),
        "resets-later",
    ),
    quota("its quota resets and Retry-After is not there", lacks("retry-after"), "retry-after"),
    quota("its quota resets and Retry-After is a minute", field("Retry-After", "60"), "retry-after"),
    quota(
        "its quota resets and Retry-After is a date before",
        field("Retry-After", "Sat, 21 Nov 2020 10:00:00 GMT"),
        "retry-after",
    ),
    quota(
        "its quota resets and Retry-After is a word",
        field("Retry-After", "soon"),
        "retry-after",
        "http.retry-after-grammar",
    ),
    fault("its balance asks to come back", field("Retry-After", "60"), "no-retry-after"),
    fault("its credits are bought at a path", says(remedy="/plans"), "remedy-is-absolute"),
    fault(
        "its credits are bought over http",
        says(remedy="http://plans.example.com"),
        "remedy-is-absolute",
        "http.secure-links",
    ),
    fault(
        "its balance speaks of a card",
        says(decline_code="insufficient_funds"),
        "no-decline-code",
        edit=facts("credits", decline_code="/decline_code"),
    ),
    fault("more is there than is required", _holds(10, 30, -20), "short"),
    fault("as much is there as is required", _holds(10, 10, 0), "short"),
    fault("more is there than is required, in texts", _holds("9", "1,000", "-991"), "short"),
    fault("what is short is not the difference", _holds(10, 3, 6), "shortfall"),
    fault("what is short is what is required", _holds("0.5", "0.25", "0.5"), "shortfall"),
    quota("what is used and what is left are more than the limit", _leaves(100, 110, 0.5), "sums"),
    quota("what is used and what is left are less than the limit", _leaves(100, 90, 0), "sums"),
    quota("much of its quota is left", _leaves(100, 60, 40), "nothing-left"),
    quota(
        "more of its quota is left than is required",
        then(_leaves(100, 60, 40), says(required=10)),
        "nothing-left",
    ),
    fault("a field has another balance", field("X-Current-Balance", "99"), "parts-agree"),
    fault("a field has another price", field("X-Credits-Required", "10.5"), "parts-agree"),
    quota("a field has another rest", field("X-RateLimit-Remaining", "17"), "parts-agree"),
    quota(
        "a field resets a minute after the body",
        field("X-RateLimit-Reset", "3660"),
        "parts-agree",
        edit=both(
            facts("credits", resets_at={"first": ["/resets_at", "header: X-RateLimit-Reset"]}),
            units("credits", resets_at="seconds"),
        ),
    ),
    fault(
        "its numbers stand in a sentence",
        then(_FIELDS, hides("required", "balance", "shortfall")),
        "members",
        edit=facts(
            "credits",
            required={"prose": "/message", "re": r"takes (?P<x>\d+)"},
            balance={"prose": "/message", "re": r"(?P<x>\d+) are left"},
        ),
    ),
    fault(
        "its envelope says its numbers as texts",
        then(_holds("10", "3", "7")),
        "own-schema",
        envelopes=True,
    ),
    quota("its envelope has no way out", _NEVER, "own-schema", "way-out", envelopes=True),
)
