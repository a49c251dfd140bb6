"""What the schema refuses in a profile, as sentences that say what to do."""

import difflib
import json
import re
from collections.abc import Collection, Iterator
from typing import Any

from conformance import schema
from conformance.profile.environment import bears_secret
from conformance.profile.fault import Fault
from conformance.profile.place import At, value_at
from conformance.profile.shape import described, kinds

__all__ = ["did_you_mean", "misfits", "misspelt_money"]

_DECIMAL = re.compile(r"-?[0-9]*\.[0-9]+|-[0-9]+")


def misfits(document: dict[str, Any], known: Collection[Fault]) -> Iterator[Fault]:
    """What ``document`` has against the schema, except where ``known`` says it better."""
    precise = {fault.at for fault in known}
    for problem in schema.problems(document, "profile"):
        if not any(problem.at[:end] in precise for end in range(len(problem.at) + 1)):
            yield from _faults(document, problem)


def misspelt_money(document: dict[str, Any]) -> Iterator[Fault]:
    """The places of ``document`` where money is a number, or has decimals."""
    for at, kind, value in kinds(document):
        if kind != "money" or isinstance(value, bool):
            continue
        if isinstance(value, int) and value >= 0:
            advice = f'write it as a string of atomic units, "{value}"'
        elif isinstance(value, int | float) or (isinstance(value, str) and _DECIMAL.fullmatch(value)):
            advice = 'write it as a string of atomic units such as "10000"; atomic units have no decimals and no sign'
        else:
            continue
        yield Fault(at=at, says=f"is {schema.shown(value)}; {advice}")


def did_you_mean(word: object, known: Collection[str]) -> str:
    """A hint at the nearest known word, with a blank behind it, or nothing."""
    cased = {one.casefold(): one for one in known}
    near = difflib.get_close_matches(str(word).casefold(), cased, n=1)
    return f'did you mean "{cased[near[0]]}"? ' if near else ""


def _faults(document: dict[str, Any], problem: schema.Problem) -> Iterator[Fault]:
    at, value = problem.at, value_at(document, problem.at)
    match problem.keyword:
        case "required":
            below = (*at, str(problem.member))
            yield Fault(at=below, says=f"is missing; expected {described(below) or 'a value'}")
        case "additionalProperties":
            unknown = (key for key in value if described((*at, key)) is None)
            yield from (_unknown(at, key, problem) for key in unknown)
        case "enum":
            told = all(word in problem.expected for word in problem.allowed)
            words = "" if told else ": " + ", ".join(problem.allowed)
            hint = did_you_mean(value, problem.allowed)
            yield Fault(at=at, says=f"is {_received(at, value)}; {hint}expected {problem.expected}{words}")
        case "uniqueItems":
            yield Fault(at=at, says=f"has one entry twice; expected {problem.expected}, each entry once")
        case "anyOf" | "not" | "minProperties" | "maxProperties" if isinstance(value, dict):
            having = ", ".join(value) or "nothing"
            yield Fault(at=at, says=f"has {having}; expected {problem.expected}")
        case _:
            yield Fault(at=at, says=f"is {_received(at, value)}; expected {problem.expected}")


def _unknown(at: At, key: str, problem: schema.Problem) -> Fault:
    if not problem.allowed:
        return Fault(at=at, says=f"has the key {json.dumps(key)}; expected names without blanks and separators")
    hint = did_you_mean(key, problem.allowed) or f"known here are {', '.join(problem.allowed)} "
    where = "has" if at else "has, at the top,"
    return Fault(at=at, says=f'{where} the unknown key "{key}"; {hint}'.rstrip())


def _received(at: At, value: object) -> str:
    return schema.type_word(value) if bears_secret(at) else schema.shown(value)
