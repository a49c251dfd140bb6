"""Checks of class ``idempotency``: what a key brings back, and what it keeps from happening twice."""

from collections.abc import Iterator
from itertools import groupby

from conformance import facts
from conformance.checks import check
from conformance.checks.envelope import rules
from conformance.checks.kept import SAME, control, difference, kept_by, moved, ran, refused, sold, stored
from conformance.evidence import Evidence
from conformance.exchange import Response
from conformance.keyed import (
    AFTER,
    AGAIN,
    ALONE,
    AT_REST,
    EARLY,
    FIRST,
    LAST,
    MORE,
    TURNED_AWAY,
    alone,
    copies,
    declined,
    keyless,
    odd_keys,
    once_more,
    other_request,
    respelled,
    twice,
)
from conformance.outcome import Inapplicable, Unanswered, Untestable, Violation
from conformance.profile import Family, Idempotency

_TOO_LONG = frozenset({"closed", "header-limit"})
"""How an answer fails where somebody has read enough of a request."""


@check(SAME, twice, copies)
def test_same_answer(evidence: Evidence) -> None:
    own, first = control(evidence)
    again = evidence.response(AGAIN)
    if found := difference(first, again):
        expected, received, at = found
        anew = "it may have been carried out once more" if at.startswith("body") else ""
        raise Violation(
            expected=f"the first answer again: {expected}", received=received, at=at, exchange=AGAIN, reason=anew
        )
    stored(evidence, own)


@check("idempotency.replay-marked", twice)
def test_replay_marked(evidence: Evidence) -> None:
    own, first = control(evidence)
    if own.replay_header is None:
        reason = "the profile names no field that marks an answer that comes again (idempotency.replay_header)"
        raise Inapplicable(reason)
    again = evidence.response(AGAIN)
    if first.status != again.status:
        reason = "the same request under the same key does not get the same answer"
        raise Untestable(reason, cause=SAME)
    told = again.value(own.replay_header)
    if told is None or told == first.value(own.replay_header):
        raise Violation(
            expected=f"{own.replay_header}, which tells that this answer is the first one again",
            received=f"{own.replay_header}: {told}, as in the first" if told else f"no {own.replay_header}",
            exchange=AGAIN,
        )


@check("idempotency.runs-once", twice, copies, once_more, alone)
def test_runs_once(evidence: Evidence) -> None:
    own, first = control(evidence)
    if not (by := ran(evidence)):
        reason = "the witness could not be read" if by is None else "the witness does not move when somebody is served"
        raise Untestable(reason)
    if EARLY in evidence.exchanges and (early := moved(evidence, EARLY)):
        _steady(evidence, by)
        raise _ran(early, "a request that came again under its key, and is said to be under way", EARLY)
    if again := moved(evidence, AGAIN):
        if moved(evidence, AT_REST):
            reason = "the witness moves while nothing is asked"
            raise Untestable(reason)
        _steady(evidence, by)
        raise _ran(again, "a request that came again under its key", AGAIN)
    if moved(evidence, AGAIN) is None:
        reason = "the witness could not be read"
        raise Untestable(reason)
    for labels in _rounds(evidence):
        times = moved(evidence, labels[0])
        # What counts down, such as a stock, is a witness too.
        if times is not None and abs(times) > abs(by):
            _steady(evidence, by)
            raise _ran(times, f"{len(labels)} copies that came at the same time under one key", labels[0])
    if LAST in evidence.exchanges and (again := moved(evidence, LAST)):
        _steady(evidence, by)
        # Others may move a witness, and not each time; an answer that is made anew is nobody else's.
        if not _anew(evidence, own, first) and not all(moved(evidence, label) for label in MORE):
            reason = (
                "the witness moved with a request that came again under its key, and not each time: others may move it"
            )
            raise Untestable(reason)
        raise _ran(again, "a request that came again under its key, after others under other keys", LAST)


def _anew(evidence: Evidence, own: Idempotency, first: Response) -> bool:
    """Whether the last answer is not the kept one, by its body or by what it says of itself."""
    again, last = evidence.response(AGAIN), evidence.response(LAST)
    told = [answer.value(own.replay_header) if own.replay_header else None for answer in (first, again, last)]
    return last.body != first.body or told[0] == told[2] != told[1]


def _steady(evidence: Evidence, by: int) -> None:
    """Raises Untestable where the witness moves otherwise by another request, or by what went before."""
    if moved(evidence, AFTER) or moved(evidence, ALONE) != by:
        reason = "the witness moves by more or less from one request to the next, or a moment later"
        raise Untestable(reason)
    if moved(evidence, TURNED_AWAY) == by and refused(evidence, evidence.response(TURNED_AWAY)):
        reason = (
            "the witness moves by as much for who is refused: it counts requests, not what they do (endpoint.witness)"
        )
        raise Untestable(reason)


def _ran(times: int, what: str, here: str) -> Violation:
    return Violation(expected="no second effect", received=f"the witness moves by {times}", at=what, exchange=here)


def _rounds(evidence: Evidence) -> Iterator[list[str]]:
    for _, labels in groupby(evidence.labels("round "), key=lambda label: label.partition(",")[0]):
        yield list(labels)


@check("idempotency.copies-agree", twice, copies)
def test_copies_agree(evidence: Evidence) -> None:
    own, _ = control(evidence)
    kept = stored(evidence, own)
    for labels in _rounds(evidence):
        served = _served(evidence, kept, labels)
        if not served:
            reason = "of the copies of one request under a fresh key, none was served"
            raise Untestable(reason)
        (first, answer), *others = served
        for here, other in others:
            if other.body != answer.body:
                _, received, at = difference(answer, other) or ("", other.shown(), "")
                raise Violation(
                    expected=f"the answer of {first!r}, or a refusal",
                    received=received,
                    at=at,
                    exchange=here,
                    reason="One after the other they get the same bytes: what is new in these was made a second time.",
                )


def _served(evidence: Evidence, like: Response, labels: list[str]) -> list[tuple[str, Response]]:
    """The copies that were served as ``like`` was; a copy that got no answer got nothing."""
    answers = [(here, evidence.exchange(here).response) for here in labels]
    return [(here, a) for here, a in answers if a and a.status == like.status and sold(evidence, a)]


@check("idempotency.in-flight", twice, copies)
def test_in_flight(evidence: Evidence) -> None:
    own, first = control(evidence)
    answered = False
    for labels in _rounds(evidence):
        made = {answer.body for _, answer in _served(evidence, first, labels)}
        for here in labels:
            if (answer := evidence.exchange(here).response) is None or answer.status == 429:
                continue
            answered = True
            if not refused(evidence, answer) and answer.body in made:
                continue
            known = answer.status in own.in_flight if own.in_flight else 400 <= answer.status < 500
            if (refused(evidence, answer) or answer.status != first.status) and not known:
                named = " or ".join(map(str, own.in_flight)) or "a 4xx"
                raise Violation(
                    expected=f"the answer itself, or {named} while it is made", received=answer.shown(), exchange=here
                )
    if not answered:
        reason = "none of the copies was answered"
        raise Unanswered(reason)


@check("idempotency.mismatch", twice, other_request)
def test_mismatch(evidence: Evidence) -> None:
    own, first = control(evidence)
    asked = evidence.labels("used key, ")
    if not asked:
        tried = [
            f"{label.partition(', ')[2]}: {evidence.response(label).shown()}" for label in evidence.labels("other r")
        ]
        reason = f"no other request of ours is served under a fresh key ({'; '.join(tried) or 'none is known'})"
        raise Untestable(reason)
    (here,) = asked
    answer = evidence.response(here)
    if answer.status in own.mismatch:
        return
    name = here.partition(", ")[2]
    old = not refused(evidence, answer) and answer.body == first.body
    since = evidence.exchange(here).at - evidence.exchange(FIRST).at
    if own.retention and since >= own.retention:
        reason = f"the key is {since:.0f} seconds old, and counts for {own.retention} (idempotency.retention)"
        raise Untestable(reason)
    if old and not name.startswith("less at "):
        reason = f"{name} changes nothing here: the answer is the first one again"
        raise Untestable(reason)
    raise Violation(
        expected=f"{' or '.join(map(str, own.mismatch))} for another request under a used key ({name})",
        received=f"{answer.shown()}, the answer to the first request" if old else answer.shown(),
        exchange=here,
        reason="" if old or refused(evidence, answer) else "the other request seems to be carried out",
    )


@check("idempotency.odd-keys", twice, odd_keys)
def test_odd_keys(evidence: Evidence) -> None:
    control(evidence)
    for label in evidence.labels("key "):
        failure = evidence.exchange(label).failure
        if failure and failure.kind in _TOO_LONG and "of 10,000" in label:
            continue
        answer = evidence.response(label)
        if answer.status >= 500:
            raise Violation(
                expected="a client error, or the key of a caller who may choose it",
                received=answer.shown(),
                at=f"a {label}",
                exchange=label,
            )


@check("idempotency.key-required", twice, keyless)
def test_key_required(evidence: Evidence) -> None:
    own, _ = control(evidence)
    if not own.missing:
        reason = "the profile does not say that a key is required (idempotency.missing)"
        raise Inapplicable(reason)
    answer = evidence.response("no key")
    if answer.status not in own.missing:
        raise Violation(
            expected=f"{' or '.join(map(str, own.missing))} without a key", received=answer.shown(), exchange="no key"
        )


@check("idempotency.bare-key", twice, respelled, copies)
def test_bare_key(evidence: Evidence) -> None:
    own, first = control(evidence)
    if not own.quoted or own.key.header is None:
        reason = "keys are no texts of structured fields here"
        raise Inapplicable(reason)
    answer = evidence.response("kept key, bare")
    if 400 <= answer.status < 500 or not difference(first, answer):
        return
    raise Violation(
        expected="the kept answer, or a 4xx",
        received=answer.shown() if refused(evidence, answer) else "an answer that was made anew",
        exchange="kept key, bare",
        reason="a client that leaves the quotes out brings another key",
    )


@check("idempotency.decline-comes-again", declined)
def test_decline_comes_again(evidence: Evidence) -> None:
    own = kept_by(evidence)
    if own.errors != "stored":
        reason = "refusals are not kept here (idempotency.errors)"
        raise Inapplicable(reason)
    if not any(rule.family is Family.DECLINE for rule in rules(evidence)):
        reason = "nothing is declined here by any rule of the profile"
        raise Inapplicable(reason)
    first = evidence.response("declined")
    if not any(rule.family is Family.DECLINE for rule in facts.matching(rules(evidence), first)):
        reason = f"nobody is declined here: the answer is {first.shown()}"
        raise Inapplicable(reason)
    if found := difference(first, evidence.response("declined again")):
        expected, received, at = found
        raise Violation(
            expected=f"the first decline again: {expected}", received=received, at=at, exchange="declined again"
        )
