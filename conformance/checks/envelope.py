"""Words of the checks on refusals: which rule one fits, and what holds for it whatever it says. No check is here."""

import datetime as dt
import json
import re
from collections.abc import Iterator
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
    "no_location",
    "no_login_challenge",
    "no_retry_after",
    "not_json",
    "of_one_family",
    "refused",
    "rules",
    "says_json",
    "stable",
    "tells_apart",
]

# What two parts of an answer may word differently.
_WORDED = {"message", "developer_message", "request_id", "docs_url", "scope"}
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
    if broken := not_json(response):
        problem = response.media_type() == "application/problem+json"
        reason = f"the body is no JSON, though its Content-Type says so: {broken}"
        raise Untestable(reason, cause="http.problem-details" if problem else "http.body-is-what-it-says")
    if found[0].family is not family:
        reason = f"the refusal here is of family {found[0].family} (rule {found[0].name!r}): no {family} is seen"
        if _shown_elsewhere(evidence, family):
            raise Inapplicable(reason)
        raise Untestable(reason)
    return facts.record(found[0], response), response


_JSON = re.compile(r"(application|text)/json|[a-z]+/[a-z0-9.!#$&^_-]+\+json")


def says_json(response: Response) -> bool:
    """Whether there is content, and its media type is JSON or built on it."""
    return bool(response.body and _JSON.fullmatch(response.media_type()))


def not_json(response: Response) -> str:
    """Why content that is called JSON is none; empty where it is, or is not called so."""
    try:
        if says_json(response):
            response.json()
    except ValueError as error:
        return str(error)
    return ""


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
