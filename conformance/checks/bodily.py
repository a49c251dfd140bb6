"""Words of the checks on bodies that are drawn: what stays the same in the refusal, whichever is asked with."""

import re
from collections.abc import Callable

from conformance import effects, facts, schema
from conformance.bodies import LABEL, OTHER, PAID, asked, fitting, unusable
from conformance.checks import Drawn
from conformance.checks.envelope import refused, rules, stable
from conformance.evidence import Evidence
from conformance.exchange import Response
from conformance.marks import marked
from conformance.outcome import Inapplicable, Untestable, Violation
from conformance.profile import Family, MarkerKind

__all__ = ["DRAWN", "keeps", "opens_nothing"]

DRAWN = Drawn(values=fitting, examples=(), ask=asked, per=2)
"""Each is a body of JSON in one line."""

# What fits a schema may be wrong all the same: no such model, a name that is taken, too much, too often, not allowed.
_OTHERWISE = {400, 404, 409, 413, 415, 422, 429, 451}
_DOWN = {502, 503, 504}


def keeps(evidence: Evidence, family: Family) -> None:
    """Holds when the refusal of a body that fits the schema is of ``family``, with the code and facts of the plain one."""
    _drawable(evidence)
    plain, _ = refused(evidence, family)
    try:
        stable(evidence, family)
    except Violation as moody:
        reason = "the same body is refused otherwise a moment later"
        raise Untestable(reason, cause=f"{family}.stable") from moody
    again, _ = refused(evidence, family, "again")
    named = [name for name in plain.facts if name in again.facts]
    code = plain.document.get("code")
    for label in evidence.labels(LABEL):
        _judge(evidence, family, label, named, code)
    _reach(evidence, lambda response: _of(evidence, response) is family)


def opens_nothing(evidence: Evidence) -> None:
    """Holds when no body that fits the schema brings what is sold to who is refused."""
    _drawable(evidence)

    def turned_away(response: Response) -> bool:
        return response.status == 402 or _of(evidence, response) is not None

    plain = evidence.response("unpaid")
    if not turned_away(plain):
        reason = f"the endpoint's own body is answered {plain.shown()}, which is no refusal"
        raise Untestable(reason, cause="http.unpaid-is-refused")
    for label in (*evidence.labels(OTHER), *evidence.labels(LABEL)):
        response = evidence.response(label)
        body = evidence.exchange(label).request.body.decode()
        if turned_away(response) and (where := _given(evidence, response, body)):
            raise Violation(
                expected="a refusal without what is sold",
                received=f"{response.shown()} with the marker, in {where}",
                at=_at(body),
                exchange=label,
            )
        if 200 <= response.status < 300 and not turned_away(response):
            _sold(evidence, response, body)
            raise Violation(
                expected="a refusal, as for the endpoint's own body",
                received=f"{response.shown()}, with what is sold",
                at=_at(body),
                exchange=label,
                reason="where such a body is meant to be free, let the schema leave it out (endpoint.body_schema)",
            )
    _reach(evidence, turned_away)


def _drawable(evidence: Evidence) -> None:
    """Raises Inapplicable where no schema is named, and Untestable where no body can be drawn from it."""
    if evidence.endpoint.body_schema is None:
        reason = "the profile names no schema of the bodies that this endpoint takes (endpoint.body_schema)"
        raise Inapplicable(reason)
    if why := unusable(evidence.endpoint):
        raise Untestable(why)


def _reach(evidence: Evidence, refused: Callable[[Response], bool]) -> None:
    """Raises Untestable where no body but the endpoint's own comes as far as a refusal."""
    others = [evidence.response(label) for label in evidence.labels(OTHER)]
    name = evidence.endpoint.body_schema.name if evidence.endpoint.body_schema else ""
    if not others:
        reason = f"no body but the endpoint's own was found that fits {name}"
        raise Untestable(reason)
    if not any(map(refused, others)):
        told = ", ".join(dict.fromkeys(response.shown() for response in others))
        reason = f"bodies that fit {name} are answered {told}: they come to no refusal"
        raise Untestable(reason)


def _of(evidence: Evidence, response: Response) -> Family | None:
    found = facts.matching(rules(evidence), response)
    return found[0].family if found else None


def _judge(evidence: Evidence, family: Family, label: str, named: list[str], code: object) -> None:
    response = evidence.response(label)
    body = evidence.exchange(label).request.body.decode()
    at = _at(body)
    found = facts.matching(rules(evidence), response)
    expected = f"a refusal of family {family} with code {schema.shown(code)}, as for the endpoint's own body"
    if not found and (response.status in _OTHERWISE or _forbidden_to_all(evidence, label)):
        return
    if not found:
        _doubt(evidence, response, body)
        raise Violation(expected=expected, received=response.shown(), at=at, exchange=label)
    record = facts.record(found[0], response)
    if found[0].family is not family or record.document.get("code") != code:
        received = f"one of family {found[0].family} with code {schema.shown(record.document.get('code'))}"
        raise Violation(expected=expected, received=received, at=at, exchange=label)
    if lost := [name for name in named if name not in record.facts]:
        received = f"one without {', '.join(lost)}"
        raise Violation(
            expected=f"the facts that it has for the endpoint's own body: {', '.join(named)}",
            received=received,
            at=at,
            exchange=label,
        )


def _forbidden_to_all(evidence: Evidence, label: str) -> bool:
    """Whether a body is answered 403 whoever has it, as where its content is not allowed; Untestable where nobody knows."""
    if evidence.response(label).status != 403 or evidence.response(label).media_type() == "text/html":
        return False
    if f"{PAID}{label}" not in evidence.exchanges:
        reason = "a body is forbidden (403), and it is not known whether it is to who has paid as well (paid_identity)"
        raise Untestable(reason)
    return evidence.response(f"{PAID}{label}").status == 403


def _at(body: str) -> str:
    return f"the body {body}" if len(body) <= 120 else f"the body {body[:120]}… ({len(body)} characters)"


def _doubt(evidence: Evidence, response: Response, body: str) -> None:
    """Raises Untestable where an answer that is no declared refusal may say nothing of the body."""
    plain = evidence.response("unpaid")
    if response.status in _DOWN:
        reason = f"the target is down: {response.shown()}"
        raise Untestable(reason)
    if response.status in {403, 406} and response.media_type() == "text/html" != plain.media_type():
        reason = f"a page of {response.shown()} is no answer of this API: what stands before it dislikes the body"
        raise Untestable(reason)
    if 200 <= response.status < 300:
        _sold(evidence, response, body)


def _given(evidence: Evidence, response: Response, body: str) -> str:
    """Where what is sold stands in a refusal; empty where it does not, or the plain one says as much, or the body does."""
    marker = evidence.endpoint.marker
    if marker is None or marked(evidence.response("unpaid"), marker):
        return ""
    said = {MarkerKind.POINTER: re.escape(marker.value.rpartition("/")[2]), MarkerKind.RE: marker.value}
    return "" if re.search(said.get(marker.kind, re.escape(marker.value)), body) else marked(response, marker)


def _sold(evidence: Evidence, response: Response, body: str) -> None:
    """Raises Untestable unless a success holds what is sold, and nothing is there that could have paid for it."""
    plain, marker = evidence.response("unpaid"), evidence.endpoint.marker
    sold = marker and marked(response, marker) and not marked(plain, marker)
    # What was said in the request may be said again.
    if not sold or (marker and marker.value in body):
        reason = f"without payment it is answered {response.shown()}, and nothing of it shows what is sold"
        raise Untestable(reason)
    if _of(evidence, plain) is Family.CREDITS:
        stated = facts.record(facts.matching(rules(evidence), plain)[0], plain).document.get("balance")
        if (left := effects.quantity(stated)) != 0:
            had = "its refusal does not say what is left" if left is None else f"{left:f} is left"
            reason = (
                f"{had}: that may pay for what the body {body[:120]} asks for. "
                "Name an identity that has nothing (endpoint.identity)"
            )
            raise Untestable(reason)
