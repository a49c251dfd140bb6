"""Which rows an edition scores at a profile's endpoints, and what it would take to ask them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from conformance import catalogue, keys
from conformance.catalogue import Edition, Requirement
from conformance.openapi import named, place_of, places
from conformance.outcome import Finding, Outcome
from conformance.profile import Endpoint, Environment, FacilitatorMode, Family, Profile

__all__ = ["CLASS_OF_FAMILY", "Row", "concerned", "lacking", "left_out", "rows", "unjudged"]

CLASS_OF_FAMILY = frozenset({"paywall", "credits", "decline"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One requirement at one endpoint: the unit that is scored."""

    requirement: Requirement
    endpoint: str
    """The endpoint's name, or the operation's; empty for a requirement on the whole target."""

    @property
    def key(self) -> tuple[str, str]:
        """Requirement id and endpoint name."""
        return (self.requirement.id, self.endpoint)


def rows(profile: Profile, edition: Edition) -> tuple[Row, ...]:
    """Every row that the edition scores at this profile, in catalogue order."""
    left_out = unjudged(profile, edition)
    known = catalogue.load().requirements
    scored = {id for cls, ids in edition.classes.items() if cls not in left_out for id in ids}
    return tuple(
        Row(requirement=requirement, endpoint=name)
        for requirement in known.values()
        if requirement.id in scored
        for name in _places(requirement, profile)
    )


def unjudged(profile: Profile, edition: Edition) -> dict[str, str]:
    """The classes that this run does not judge, and why."""
    reasons = {}
    for cls, ids in edition.classes.items():
        if profile.claims is not None and cls not in profile.claims.classes:
            reasons[cls] = "not claimed"
        elif not ids:
            reasons[cls] = "this version has no checks for it"
        elif not any(concerned(cls, endpoint, profile) for endpoint in profile.endpoints):
            reasons[cls] = "no endpoint shows it"
        elif profile.claims is None and (why := (cls == "openapi" and _unread(profile)) or _unaskable(ids, profile)):
            reasons[cls] = why
    return reasons


def _unread(profile: Profile) -> str:
    """Why there is no document to judge by; empty where there is one, or where it is none."""
    unread = profile.openapi.unread if profile.openapi else None
    return unread.why if unread and unread.kind != "malformed" else ""


def _unaskable(ids: tuple[str, ...], profile: Profile) -> str:
    """Why not a single row of ``ids`` can be asked: to have judged none of them is not to have judged them."""
    known = catalogue.load().requirements
    lacks = [
        lacking(Row(requirement=known[id], endpoint=name), profile)
        for id in ids
        for name in _places(known[id], profile)
    ]
    if not all(lacks):
        return ""
    whys = {need: why for means in reversed(lacks) for need, why in means.items()}
    # Who cannot pay need not be told what else it would take.
    return whys.get("pay") or whys.get("facilitator") or next(iter(whys.values()))


def concerned(cls: str, endpoint: Endpoint, profile: Profile) -> bool:
    """Whether ``cls`` has something to say about ``endpoint``."""
    own = [answer for answer in profile.answers if answer.name in endpoint.answers]
    if cls.startswith("x402/") or cls == "discovery":
        return endpoint.protocol == "x402"
    if cls == "crawl":
        return profile.crawl is not None
    if cls == "openapi":
        return profile.openapi is not None
    if cls == "idempotency":
        return keys.concerned(endpoint, profile)
    if cls == "flows":
        return endpoint.protocol is None and bool(own) and bool(profile.flows)
    if cls in CLASS_OF_FAMILY:
        return any(answer.family == cls for answer in own)
    # What a browser makes of a 402; a refusal declared as 403, 429, 401 or 200 is none of its business.
    return endpoint.protocol is not None or any(cls in {"http", "requests"} or 402 in answer.status for answer in own)


def _places(requirement: Requirement, profile: Profile) -> Iterator[str]:
    if requirement.scope.endswith("operation"):
        yield from places(profile, requirement.scope)
        return
    names = [e.name for e in profile.endpoints if concerned(requirement.cls, e, profile)]
    yield from names if requirement.scope == "endpoint" else [""][: len(names)]


def lacking(row: Row, profile: Profile) -> dict[str, str]:
    """The means without which ``row`` cannot be asked here, each with a sentence that says so."""
    endpoint = place_of(profile, row.endpoint)
    name = f'endpoint "{endpoint.name}"' if endpoint else "the target"
    told: dict[str, Callable[[], str]] = {
        "plain": lambda: _no_writing(row, profile),
        "forge": lambda: _no_forgery(profile),
        "pay": lambda: _no_payment(profile),
        "facilitator": lambda: _no_payment(profile) or _no_script(profile),
        "failing": lambda: _unless(
            endpoint and endpoint.failing, f"the profile does not say how {name} is made to fail (failing)"
        ),
        "slow": lambda: _unless(endpoint and endpoint.slow, f"the profile does not say how {name} is made slow (slow)"),
        "witness": lambda: _unless(endpoint and endpoint.witness, f"the profile names no witness for {name}"),
        "browser": lambda: _unless(
            profile.browser,
            "the profile names no browser ([browser] executable; it takes the extra of that name as well)",
        ),
        "observe": lambda: _unless(profile.observe, "the profile names no probe of state ([observe.NAME])"),
        "restart": lambda: _no_restart(profile),
        "paid-identity": lambda: keys.nobody_is_served(endpoint, profile),
        "another-caller": lambda: keys.no_other_caller(endpoint, profile),
        "terms": lambda: _unless(endpoint and endpoint.terms, f"the profile states no terms for {name}"),
        "marker": lambda: _unless(
            (endpoint and (endpoint.marker or _declines(endpoint, profile))) or (not endpoint and _paid(profile)),
            f"the profile names no marker for {name}",
        ),
    }
    lacks = {
        need: told[need]() if need in told else f"this version has no means for {need}"
        for need in sorted(row.requirement.needs)
    }
    return {need: why for need, why in lacks.items() if why}


def _unless(there: object, why: str) -> str:
    return "" if there else why


def _no_forgery(profile: Profile) -> str:
    production = profile.target.environment is Environment.PRODUCTION
    return 'target.environment is "production": only plain requests are sent' if production else ""


def _no_writing(row: Row, profile: Profile) -> str:
    operation = named(profile, row.endpoint) if row.requirement.scope.endswith("operation") else None
    if operation is None or not operation.writes or profile.target.environment is not Environment.PRODUCTION:
        return ""
    return 'target.environment is "production": an operation that may write is not asked'


def _declines(endpoint: Endpoint, profile: Profile) -> bool:
    """Whether all that is refused here is a payment: that buys nothing which could be given away."""
    families = {answer.family for answer in profile.answers if answer.name in endpoint.answers}
    return endpoint.protocol is None and families == {Family.DECLINE}


def _paid(profile: Profile) -> bool:
    return any(endpoint.protocol == "x402" and endpoint.marker for endpoint in profile.endpoints)


def _no_payment(profile: Profile) -> str:
    if profile.target.environment is Environment.PRODUCTION:
        return 'target.environment is "production": nothing is paid'
    if "facilitator" not in profile.document:
        return "the profile has no [facilitator], so that nobody can pay"
    if profile.facilitator.mode is FacilitatorMode.OWN and not profile.budgets:
        return 'facilitator.mode is "own" and there is no [[budget]]: nothing may be spent'
    return ""


def _no_script(profile: Profile) -> str:
    own = profile.facilitator.mode is FacilitatorMode.OWN
    return 'facilitator.mode is "own": what the facilitator is asked and says cannot be seen' if own else ""


def _no_restart(profile: Profile) -> str:
    start = profile.target.start
    if not _paid(profile):
        return "the profile names no marker for any endpoint that is paid"
    if start is None or not start.restart:
        return "the target may not be restarted (target.start.restart)"
    told = any("{facilitator}" in text for text in (start.command, *start.env.values()))
    return "" if told else "target.start does not say where the facilitator is ({facilitator})"


def left_out(row: Row, profile: Profile) -> tuple[Outcome, Finding] | None:
    """What a row comes to that lacks its means, and so rests on no evidence; None for one that can be asked."""
    if means := lacking(row, profile):
        why = means.get("browser") or next(iter(means.values()))
        # What a browser makes of it is beside what its bytes say, and nobody has to have one.
        claimed = profile.claims is not None and "browser" not in means
        return (Outcome.UNTESTABLE if claimed else Outcome.INAPPLICABLE), Finding(reason=why)
    return None
