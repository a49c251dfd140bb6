"""Checks of class ``http`` on WWW-Authenticate, which a 402 may have and need not."""

from conformance import fields
from conformance.checks import check
from conformance.checks.http import refusal
from conformance.evidence import Evidence
from conformance.gather import unpaid
from conformance.outcome import Inapplicable, Untestable, Violation


@check("http.challenge-grammar", unpaid)
def test_challenge_grammar(evidence: Evidence) -> None:
    for value in _authenticate(evidence):
        for challenge in _parsed(value):
            names = [name for name, _ in challenge.parameters]
            if twice := next((name for name in names if names.count(name) > 1), None):
                raise _grammar(f"each parameter once in {challenge.scheme}", f"{twice} twice")
            realm = dict(challenge.parameters).get("realm", '""')
            if not realm.startswith('"'):
                raise _grammar("realm as a quoted string", f"realm={realm}")


@check("http.challenge-per-line", unpaid)
def test_challenge_per_line(evidence: Evidence) -> None:
    for value in _authenticate(evidence):
        try:
            found = _parsed(value)
        except Violation as broken:
            raise Untestable(str(broken), cause="http.challenge-grammar") from broken
        if len(found) > 1:
            raise _grammar("one challenge per field line", ", ".join(c.scheme for c in found))


def _authenticate(evidence: Evidence) -> tuple[str, ...]:
    if not (values := refusal(evidence).values("www-authenticate")):
        reason = "the refusal has no WWW-Authenticate"
        raise Inapplicable(reason)
    return values


def _parsed(value: str) -> tuple[fields.Challenge, ...]:
    try:
        found = fields.challenges(value)
    except ValueError as error:
        raise _grammar("challenges as scheme and parameters", str(error)) from error
    if not found:
        raise _grammar("a challenge", "an empty field")
    return found


def _grammar(expected: str, received: str) -> Violation:
    return Violation(expected=expected, received=received, at="WWW-Authenticate", exchange="unpaid")
