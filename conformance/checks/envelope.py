"""Words of the checks on refusals: the record of one, and what the fact schemas say of it. No check is here."""

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema.exceptions import SchemaError
from referencing.exceptions import Unresolvable

from conformance import documents, facts, schema
from conformance.evidence import Evidence
from conformance.exchange import Response
from conformance.facts import Fact, Record
from conformance.fields import challenges, resolved
from conformance.outcome import Inapplicable, Unanswered, Untestable, Violation
from conformance.profile import Answer, Family

__all__ = [
    "agree",
    "classified",
    "fits_own_schema",
    "has_absolute_remedy",
    "has_money",
    "holds",
    "in_members",
    "no_location",
    "no_login_challenge",
    "no_retry_after",
    "number",
    "of_one_family",
    "refused",
    "rules",
    "stable",
    "tells_apart",
]

_JSON = {"application/json", "text/json"}
# What two parts of an answer may word differently.
_WORDED = {"message", "developer_message", "request_id", "docs_url", "scope"}
_FOR_PEOPLE = {"message", "developer_message"}
_ADDRESSES = {"remedy", "next_action"}
# Seconds between a moment and the same one, counted from another clock or rounded.
_SKEW = 2
_LOGIN = {"basic", "bearer", "digest", "negotiate"}


def rules(evidence: Evidence) -> tuple[Answer, ...]:
    """The answer rules of the endpoint, in the order in which it names them."""
    known = {answer.name: answer for answer in evidence.profile.answers}
    return tuple(known[name] for name in evidence.endpoint.answers if name in known)


def refused(evidence: Evidence, family: Family, label: str = "unpaid") -> tuple[Record, Response]:
    """The record of the refusal called ``label``, and the answer; Untestable where it is not of ``family``."""
    response = evidence.response(label)
    found = facts.matching(rules(evidence), response)
    if not found:
        reason = f"the answer {response.shown()} fits none of the endpoint's answer rules"
        raise Untestable(reason, cause=f"{family}.classified")
    if response.body and response.media_type() in _JSON and response.json_or_none() is None:
        reason = "the body is no JSON, though its Content-Type says so"
        raise Untestable(reason, cause="http.body-is-what-it-says")
    if found[0].family is not family:
        reason = f"the refusal here is of family {found[0].family} (rule {found[0].name!r}): no {family} is seen"
        if _shown_elsewhere(evidence, family):
            raise Inapplicable(reason)
        raise Untestable(reason)
    return facts.record(found[0], response), response


def _shown_elsewhere(evidence: Evidence, family: Family) -> bool:
    """Whether another endpoint declares this family alone, and so has to show it."""
    families = {answer.name: answer.family for answer in evidence.profile.answers}
    return any({families.get(name) for name in other.answers} == {family} for other in evidence.profile.endpoints)


def classified(evidence: Evidence) -> None:
    """Holds when the refusal fits an answer rule of the endpoint."""
    response = evidence.response("unpaid")
    declared = rules(evidence)
    if facts.matching(declared, response):
        tells_apart(evidence, response)
        return
    statuses = {402, *(status for rule in declared for status in rule.status)}
    if response.status not in statuses and not 200 <= response.status < 300:
        reason = (
            f"the request of endpoint {evidence.endpoint.name!r} is answered {response.shown()}, which no answer rule of "
            f"it declares: correct its path, method, body or identity, or add the status to the rule"
        )
        raise Unanswered(reason, exchange="unpaid")
    raise Violation(
        expected=" or ".join(f"a refusal that fits the answer rule {_condition(rule)}" for rule in declared),
        received=f"{response.shown()}: {_compact(response)}",
        exchange="unpaid",
        reason="the contract of this API, as the profile has it, does not say what this answer is",
    )


def tells_apart(evidence: Evidence, response: Response) -> None:
    """Holds when the rule that a refusal by 2xx fits is not one for success as well.

    Raises Untestable where it is, or has no ``when``; where classes are claimed, also where nobody is known who has paid.
    """
    rule = facts.matching(rules(evidence), response)[0]
    if not 200 <= response.status < 300:
        return
    if rule.when is None:
        reason = (
            f"rule {rule.name!r} of the profile takes every answer {response.shown()} for a refusal: say which (when)"
        )
        raise Untestable(reason)
    if "entitled" in evidence.exchanges:
        if facts.matching((rule,), evidence.response("entitled")):
            reason = f"rule {rule.name!r} of the profile fits what paid_identity gets as well: it tells no refusal"
            raise Untestable(reason)
    elif evidence.profile.claims is not None and rule.family is not Family.DECLINE:
        reason = (
            f"a refusal by {response.shown()} is told from success by rule {rule.name!r} alone, and the profile names "
            f"nobody who has paid (paid_identity)"
        )
        raise Untestable(reason)


def _condition(rule: Answer) -> str:
    """What a rule asks of an answer, for a sentence."""
    asked = [f"status {' or '.join(map(str, rule.status))}"]
    if rule.when and rule.when.jmespath:
        asked.append(rule.when.jmespath)
    if rule.when:
        asked += [f"{name}: {value}" for name, value in rule.when.header.items()]
    if rule.when and rule.when.text:
        asked.append(f"the text {rule.when.text}")
    return f"{rule.name!r} ({', '.join(asked)})"


def _compact(response: Response) -> str:
    document = response.json_or_none()
    text = response.text() if document is None else json.dumps(document, ensure_ascii=False)
    return " ".join(text.split())[:300] or "no content"


def of_one_family(evidence: Evidence, family: Family) -> None:
    """Holds when no answer rule of another family fits the refusal too."""
    found = facts.matching(rules(evidence), evidence.response("unpaid"))
    if len(families := {rule.family for rule in found}) > 1:
        raise Violation(
            expected="an answer of one family",
            received=f"one that fits {' and '.join(f'{rule.name!r} ({rule.family})' for rule in found)}",
            exchange="unpaid",
        )
    if not families:
        reason = "the refusal fits no answer rule"
        raise Untestable(reason, cause=f"{family}.classified")


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


def agree(evidence: Evidence, family: Family) -> None:
    """Holds when the fields, the links and the body of the refusal say the same."""
    record, _ = refused(evidence, family)
    compared = False
    for name, found in record.facts.items():
        for other in found.elsewhere if name not in _WORDED else ():
            compared = True
            if not _same(*(_comparable(evidence, record, name, fact) for fact in (found, other))):
                raise Violation(
                    expected=f"the same {name} at {found.at} and at {other.at}",
                    received=f"{schema.shown(found.value)} and {schema.shown(other.value)}",
                    exchange="unpaid",
                )
    if not compared:
        reason = "nothing is said twice"
        raise Inapplicable(reason)


def _comparable(evidence: Evidence, record: Record, name: str, fact: Fact) -> Any:
    response = evidence.response("unpaid")
    if name in facts.MOMENTS:
        return facts.moment(fact.value, record.rule.units.get(name, ""), response) or fact.value
    value = facts.judged(name, fact.value, record.rule, response)
    if name in _ADDRESSES and isinstance(value, str):
        return (resolved(evidence.exchange("unpaid").request.url, value) or value).rstrip("/")
    return facts.numeric(value)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dt.datetime) and isinstance(other, dt.datetime):
        return abs((one - other).total_seconds()) <= _SKEW
    return bool(one == other)


def stable(evidence: Evidence, family: Family) -> None:
    """Holds when the same request is refused for the same reason twice."""
    once, _ = refused(evidence, family)
    other = evidence.response("again")
    found = facts.matching(rules(evidence), other)
    code = facts.record(found[0], other).document.get("code") if found else None
    if not found or (found[0].family, code) != (family, once.document.get("code")):
        raise Violation(
            expected=f"the refusal of a moment before, {family} with code {schema.shown(once.document.get('code'))}",
            received=f"{other.shown()}, {found[0].family if found else 'of no kind that the profile declares'}"
            + (f" with code {schema.shown(code)}" if found else ""),
            exchange="again",
        )


def fits_own_schema(evidence: Evidence, family: Family) -> None:
    """Holds when the body fits the schema that the profile says this API publishes."""
    record, response = refused(evidence, family)
    if record.rule.schema is None:
        reason = "the profile names no schema of the API's own (answer.schema)"
        raise Inapplicable(reason)
    path = record.rule.schema
    try:
        demanded = documents.loads(path.read_bytes())
        body = response.json_or_none()
        found = sorted(schema.violations(body, demanded), key=lambda e: [*map(str, e.absolute_path)])
        idle = not found and all(not any(schema.violations(other, demanded)) for other in _others(body))
    except OSError as error:
        reason = f"the schema {path} cannot be read: {error.strerror}"
        raise Untestable(reason) from error
    except (ValueError, SchemaError, Unresolvable, RecursionError, OverflowError) as error:
        reason = f"{path} is not a JSON Schema that can be judged by: {str(error).splitlines()[0]}"
        raise Untestable(reason) from error
    if idle:
        reason = f"{path.name} demands nothing of this body: any other fits it as well"
        raise Untestable(reason)
    if found:
        raise Violation(
            expected=f"what {path.name} demands",
            received=" ".join(found[0].message.split())[:200],
            at=schema.pointer(found[0].absolute_path) or "body",
            exchange="unpaid",
        )


def _others(body: Any) -> Iterator[Any]:
    """Bodies that no schema of this one takes, unless it demands nothing: of other types, and with other members."""
    yield from (None, False, 0, "", [], {})
    if isinstance(body, dict):
        yield {name: [[None]] for name in body}


def no_location(evidence: Evidence, family: Family) -> None:
    """Holds when the refusal sends nobody elsewhere by a field that only redirects have."""
    _, response = refused(evidence, family)
    if 300 <= response.status < 400:
        reason = "the refusal is a redirect, as the profile declares"
        raise Inapplicable(reason)
    if (location := response.value("location")) is not None:
        raise Violation(
            expected='no Location, which means nothing here: Link with rel="payment", or a member of the body',
            received=location,
            at="Location",
            exchange="unpaid",
        )


def no_login_challenge(evidence: Evidence, family: Family) -> None:
    """Holds when the refusal does not ask for a login."""
    _, response = refused(evidence, family)
    for value in response.values("www-authenticate") if response.status != 401 else ():
        try:
            asked = [challenge.scheme for challenge in challenges(value) if challenge.scheme.lower() in _LOGIN]
        except ValueError:
            continue
        if asked:
            raise Violation(
                expected="no challenge that other credentials would answer",
                received=value,
                at="WWW-Authenticate",
                exchange="unpaid",
            )


def no_retry_after(response: Response, why: str) -> None:
    """Holds when nobody is told to come back later with the same request."""
    if (value := response.value("retry-after")) is not None:
        raise Violation(expected=f"no Retry-After: {why}", received=value, at="Retry-After", exchange="unpaid")
