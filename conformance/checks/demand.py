"""Words of the checks on refusals: what the fact schemas demand of the facts of one. No check is here."""

from collections.abc import Iterator, Mapping
from typing import Any

from conformance import schema
from conformance.checks.envelope import refused
from conformance.evidence import Evidence
from conformance.facts import Record
from conformance.outcome import Inapplicable, Untestable, Violation
from conformance.profile import Family

__all__ = ["has_absolute_remedy", "has_money", "holds", "in_members", "number"]

_FOR_PEOPLE = {"message", "developer_message"}


def holds(evidence: Evidence, family: Family, part: str, *, of: str = "") -> None:
    """Holds when the record of the refusal fits ``part`` of the fact schema ``of``, which is that of the family.

    What the profile waives does not count; what it does not look for cannot be judged.
    """
    record, _ = refused(evidence, family)
    name = f"facts/{of or family}"
    demand = schema.named(name)["$defs"][part]
    spoken = dict.fromkeys(_names(demand))
    problems = schema.problems(record.document, f"{name}#/$defs/{part}")
    lacking = [fact for fact in spoken if fact not in record.document]
    if not problems:
        if len(lacking) == len(spoken):
            reason = f"the refusal has no {' and no '.join(spoken)}"
            raise Inapplicable(reason)
        return
    ways = _wanting(demand, problems[0], record)
    absent = list(dict.fromkeys(fact for way in ways for fact in way))
    if ways and all(any(fact in record.rule.waive for fact in way) for way in ways):
        waived = next(fact for fact in absent if fact in record.rule.waive)
        reason = f"waived: the API sends no {waived} ({record.rule.waive[waived]})"
        raise Inapplicable(reason)
    looked = {fact: where for fact in absent if (where := record.looked_at(fact))}
    if absent and not looked:
        reason = (
            f"rule {record.rule.name!r} of the profile does not say where {' or '.join(absent)} stands: add it to "
            f"[answer.facts], or to [answer.waive] with the reason why this API does not send it"
        )
        raise Untestable(reason)
    raise _unfit(record, problems[0], looked, demand)


def _wanting(demand: Any, problem: schema.Problem, record: Record) -> list[list[str]]:
    """The facts for want of which ``problem`` is one; none where it is about what a fact says.

    Of several ways to be complete, those that the refusal has begun, each by itself; else all of them.
    """
    if problem.at:
        return []
    if branches := demand.get("anyOf", ()):
        named = [branch["required"] for branch in branches if "required" in branch]
        named = [way for way in named if any(fact in record.document for fact in way)] or named
    elif problem.keyword == "dependentRequired":
        needed = demand["dependentRequired"].items()
        named = [[fact for having, facts in needed if having in record.document for fact in facts]]
    else:
        named = [[problem.member] if problem.member else []]
    ways = [[fact for fact in way if fact not in record.document] for way in named]
    return ways if all(ways) else []


def _unfit(record: Record, problem: schema.Problem, looked: Mapping[str, str], demand: Any) -> Violation:
    at = problem.at[0] if problem.at else problem.member
    if at in record.facts:
        found = record.facts[str(at)]
        place = found.at or f"the rule {record.rule.name!r} of the profile"
        return Violation(
            expected=problem.expected, received=schema.shown(found.value), at=f"{at}, {place}", exchange="unpaid"
        )
    told = f"none (looked at {next(iter(looked.values()))})" if len(looked) == 1 else f"none of {', '.join(looked)}"
    spoken = [name for name in record.facts if name in set(_names(demand))]
    present = ", ".join(f"{name} {schema.shown(record.facts[name].value, 40)}" for name in spoken)
    described = demand.get("properties", {}).get(problem.member, {}).get("description", "")
    return Violation(
        expected=f"{problem.member}: {described}" if described else problem.expected,
        received=told if looked else f"a refusal that says {present}",
        exchange="unpaid",
    )


def _names(demand: Any) -> Iterator[str]:
    """The facts that a part of a fact schema speaks about, in its order."""
    match demand:
        case dict():
            yield from demand.get("required", ())
            yield from demand.get("properties", {})
            for fact, others in demand.get("dependentRequired", {}).items():
                yield from (fact, *others)
            for keyword in ("if", "then", "not"):
                yield from _names(demand.get(keyword))
            for branch in demand.get("anyOf", ()):
                yield from _names(branch)


def has_money(evidence: Evidence, family: Family) -> None:
    """Holds when an amount is no float, and stands beside its currency."""
    record, _ = refused(evidence, family)
    amount = record.facts.get("amount")
    # JSON Schema takes 10.0 for an integer.
    if amount and isinstance(amount.value, float):
        raise Violation(
            expected="an integer of minor units, or a decimal text: a float does not hold money exactly",
            received=schema.shown(amount.value),
            at=amount.at,
            exchange="unpaid",
        )
    holds(evidence, family, "money", of="refusal")


def has_absolute_remedy(evidence: Evidence, family: Family) -> None:
    """Holds when the address at which it is paid is absolute; a link on a page is read where it stands."""
    record, _ = refused(evidence, family)
    if (remedy := record.facts.get("remedy")) and remedy.part == "page":
        reason = "a link on a page is relative to it"
        raise Inapplicable(reason)
    holds(evidence, family, "remedy-is-absolute")


def number(record: Record, name: str) -> float:
    """A fact that is a number; Inapplicable where the refusal does not have it, or it is none."""
    value = record.document.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        reason = f"the refusal has no number for {name}"
        raise Inapplicable(reason)
    return value


def in_members(evidence: Evidence, family: Family) -> None:
    """Holds when no fact stands only in a sentence for people."""
    record, _ = refused(evidence, family)
    for name, found in record.facts.items():
        if found.prose and name not in _FOR_PEOPLE:
            raise Violation(
                expected=f"{name} as a member or a field of its own",
                received=f"{schema.shown(found.value)}, in a sentence only",
                at=found.at,
                exchange="unpaid",
            )
