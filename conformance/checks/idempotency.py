"""Checks of class ``idempotency``: what a key brings back, to whom, and what it keeps from happening twice."""

from collections.abc import Iterator
from itertools import groupby

from conformance import facts
from conformance.checks import check
from conformance.checks.envelope import rules
from conformance.checks.leak import marked
from conformance.evidence import Evidence
from conformance.exchange import Response
from conformance.keyed import (
    AGAIN,
    FIRST,
    by_others,
    copies,
    declined,
    freed,
    keyless,
    odd_keys,
    other_request,
    respelled,
    twice,
)
from conformance.keys import NOBODY, carries, refuses
from conformance.outcome import Inapplicable, Unanswered, Untestable, Violation
from conformance.profile import Family, Idempotency

_SAME = "idempotency.same-answer"
_TOO_LONG = frozenset({"closed", "header-limit"})
"""How an answer fails where somebody has read enough of a request."""


def _rules(evidence: Evidence) -> Idempotency:
    """The rules of the profile; Inapplicable or Untestable where no key can be brought here."""
    own = evidence.profile.idempotency
    if own is None:
        reason = "the profile has no [idempotency]"
        raise Inapplicable(reason)
    if not carries(own, evidence.endpoint):
        reason = f"the key is a member of the body ({own.key.member}), and the request here has none that has members"
        raise Untestable(reason)
    return own


def _control(evidence: Evidence) -> tuple[Idempotency, Response]:
    """The rules, and the answer that is kept under a key; Inapplicable or Untestable where none was had."""
    own = _rules(evidence)
    if evidence.endpoint.paid_identity is None:
        reason = "the profile does not say who is served here (paid_identity); it does at another endpoint"
        raise Inapplicable(reason)
    first = evidence.response(FIRST)
    marker = evidence.endpoint.marker
    if _refused(evidence, first):
        reason = f"{evidence.endpoint.paid_identity} is answered {first.shown()} under a fresh key: nothing was served"
        raise Untestable(reason)
    if marker and not marked(first, marker):
        reason = f"the marker {marker.value!r} is not in the answer to {evidence.endpoint.paid_identity}"
        raise Untestable(reason)
    return own, first


def _refused(evidence: Evidence, response: Response) -> bool:
    return refuses(evidence.profile, evidence.endpoint, response)


def _difference(first: Response, second: Response) -> tuple[str, str, str] | None:
    """What was expected, received, and where, of an answer that is not the first one again; None for one that is."""
    if first.status != second.status:
        return first.shown(), second.shown(), ""
    kinds = [
        " ".join((answer.value("content-type") or "none").lower().replace(";", "; ").split())
        for answer in (first, second)
    ]
    if kinds[0] != kinds[1]:
        return f"Content-Type {kinds[0]}", kinds[1], "Content-Type"
    if first.body != second.body:
        here = next((n for n, (a, b) in enumerate(zip(first.body, second.body, strict=False)) if a != b), None)
        at = min(len(first.body), len(second.body)) if here is None else here
        return _part(first, at), _part(second, at), f"body, from byte {at}"
    return None


def _part(answer: Response, at: int) -> str:
    start = max(0, at - 20)
    return repr(answer.body[start : start + 60].decode("utf-8", "replace"))


def _stored(evidence: Evidence, own: Idempotency) -> Response:
    """The kept answer; Untestable unless it came again under its key."""
    _, first = _control(evidence)
    again = evidence.response(AGAIN)
    if _difference(first, again):
        reason = "the same request under the same key does not get the same answer, so that none is known to be kept"
        raise Untestable(reason, cause=_SAME)
    if not _told_apart(evidence, own, first, again):
        reason = "answers under different keys are the same: in them it is not seen that one was kept"
        raise Untestable(reason)
    return first


def _told_apart(evidence: Evidence, own: Idempotency, first: Response, again: Response) -> bool:
    """Whether an answer that comes again is told from one that is made anew."""
    elsewhere = [evidence.exchanges[here].response for here in evidence.labels("round ")]
    if any(other and not _refused(evidence, other) and other.body != first.body for other in elsewhere):
        return True
    if own.replay_header and again.value(own.replay_header) not in {None, first.value(own.replay_header)}:
        return True
    return _moved(evidence, FIRST) == 1 and _moved(evidence, AGAIN) == 0


def _moved(evidence: Evidence, label: str) -> int | None:
    """By how much the witness moved over a request; None where it was not read."""
    paid = evidence.exchange(label).paid
    return paid.witness[1] - paid.witness[0] if paid and paid.witness else None


@check(_SAME, twice, copies)
def test_same_answer(evidence: Evidence) -> None:
    own, first = _control(evidence)
    again = evidence.response(AGAIN)
    if found := _difference(first, again):
        expected, received, at = found
        anew = "it may have been carried out once more" if not _refused(evidence, again) else ""
        raise Violation(
            expected=f"the first answer again: {expected}", received=received, at=at, exchange=AGAIN, reason=anew
        )
    _stored(evidence, own)


@check("idempotency.replay-marked", twice)
def test_replay_marked(evidence: Evidence) -> None:
    own, first = _control(evidence)
    if own.replay_header is None:
        reason = "the profile names no field that marks an answer that comes again (idempotency.replay_header)"
        raise Inapplicable(reason)
    again = evidence.response(AGAIN)
    if first.status != again.status:
        reason = "the same request under the same key does not get the same answer"
        raise Untestable(reason, cause=_SAME)
    told = again.value(own.replay_header)
    if told is None or told == first.value(own.replay_header):
        raise Violation(
            expected=f"{own.replay_header}, which tells that this answer is the first one again",
            received=f"{own.replay_header}: {told}, as in the first" if told else f"no {own.replay_header}",
            exchange=AGAIN,
        )


@check("idempotency.runs-once", twice, copies)
def test_runs_once(evidence: Evidence) -> None:
    _control(evidence)
    if not (ran := _moved(evidence, FIRST)):
        reason = "the witness could not be read" if ran is None else "the witness does not move when somebody is served"
        raise Untestable(reason)
    if again := _moved(evidence, AGAIN):
        raise _ran(again, "a request that came again under its key", AGAIN)
    if _moved(evidence, AGAIN) is None:
        reason = "the witness could not be read"
        raise Untestable(reason)
    for labels in _rounds(evidence):
        moved = _moved(evidence, labels[0])
        if moved is not None and moved > ran:
            raise _ran(moved, f"{len(labels)} copies that came at the same time under one key", labels[0])


def _ran(times: int, what: str, here: str) -> Violation:
    return Violation(expected="no second effect", received=f"the witness moves by {times}", at=what, exchange=here)


def _rounds(evidence: Evidence) -> Iterator[list[str]]:
    for _, labels in groupby(evidence.labels("round "), key=lambda label: label.partition(",")[0]):
        yield list(labels)


@check("idempotency.copies-agree", twice, copies)
def test_copies_agree(evidence: Evidence) -> None:
    own, _ = _control(evidence)
    _stored(evidence, own)
    for labels in _rounds(evidence):
        served = _served(evidence, own, labels)
        if not served:
            reason = "of the copies of one request under a fresh key, none was served"
            raise Untestable(reason)
        (first, answer), *others = served
        for here, other in others:
            if other.body != answer.body:
                _, received, at = _difference(answer, other) or ("", other.shown(), "")
                raise Violation(
                    expected=f"the answer of {first!r}, or a refusal",
                    received=received,
                    at=at,
                    exchange=here,
                    reason="One after the other they get the same bytes: what is new in these was made a second time.",
                )


def _served(evidence: Evidence, own: Idempotency, labels: list[str]) -> list[tuple[str, Response]]:
    """The copies that were served; a copy that got no answer got nothing."""
    answers = [(here, evidence.exchange(here).response) for here in labels]
    return [(here, a) for here, a in answers if a and a.status not in own.in_flight and not _refused(evidence, a)]


@check("idempotency.in-flight", twice, copies)
def test_in_flight(evidence: Evidence) -> None:
    own, _ = _control(evidence)
    answered = False
    for labels in _rounds(evidence):
        for here in labels:
            if (answer := evidence.exchange(here).response) is None or answer.status == 429:
                continue
            answered = True
            known = answer.status in own.in_flight if own.in_flight else 400 <= answer.status < 500
            if _refused(evidence, answer) and not known:
                named = " or ".join(map(str, own.in_flight)) or "a 4xx"
                raise Violation(
                    expected=f"the answer itself, or {named} while it is made", received=answer.shown(), exchange=here
                )
    if not answered:
        reason = "none of the copies was answered"
        raise Unanswered(reason)


@check("idempotency.mismatch", twice, other_request)
def test_mismatch(evidence: Evidence) -> None:
    own, first = _control(evidence)
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
    old = not _refused(evidence, answer) and answer.body == first.body
    if old and not name.startswith("less at "):
        reason = f"{name} changes nothing here: the answer is the first one again"
        raise Untestable(reason)
    raise Violation(
        expected=f"{' or '.join(map(str, own.mismatch))} for another request under a used key ({name})",
        received=f"{answer.shown()}, the answer to the first request" if old else answer.shown(),
        exchange=here,
        reason="" if old or _refused(evidence, answer) else "the other request seems to be carried out",
    )


def _gave(evidence: Evidence, kept: Response, control: Response, answer: Response) -> str:
    """What of the kept answer is in ``answer``, and not in the ``control`` to the same caller under another key."""
    if kept.body and answer.body == kept.body != control.body:
        return "the kept answer, byte for byte"
    marker = evidence.endpoint.marker
    if marker and not marked(control, marker) and (where := marked(answer, marker)):
        return f"the marker, in {where}"
    return ""


@check("idempotency.not-to-the-refused", twice, by_others)
def test_not_to_the_refused(evidence: Evidence) -> None:
    _, kept = _control(evidence)
    asked = False
    for label in evidence.labels("own key of "):
        name = label.removeprefix("own key of ")
        control = evidence.response(label)
        if not _refused(evidence, control):
            continue
        here = f"kept key by {name}"
        answer, asked = evidence.response(here), True
        if what := _gave(evidence, kept, control, answer):
            raise Violation(
                expected=f"a refusal of {name}, as under any other key",
                received=f"{answer.shown()} with {what}",
                exchange=here,
                reason="whoever knows the key gets the answer",
            )
        if not _refused(evidence, answer):
            reason = f"{name} is answered {answer.shown()} under the key of another, and it is not seen what that is"
            raise Untestable(reason)
    if not asked:
        reason = "nobody is refused here: who sends no credential is served as well"
        raise Inapplicable(reason)


@check("idempotency.another-caller", twice, by_others)
def test_another_caller(evidence: Evidence) -> None:
    own, kept = _control(evidence)
    for label in evidence.labels("own key of "):
        name = label.removeprefix("own key of ")
        control = evidence.response(label)
        if name == NOBODY or _refused(evidence, control):
            continue
        here = f"kept key by {name}"
        answer = evidence.response(here)
        told = own.replay_header and answer.value(own.replay_header) not in {None, control.value(own.replay_header)}
        if control.body == kept.body and not told and not _refused(evidence, answer):
            reason = f"{name} gets the same under a key of his own: it is not seen whose answer it is"
            raise Untestable(reason)
        if answer.body == kept.body:
            raise Violation(
                expected=f"an answer to {name} himself", received="the answer that was kept for another", exchange=here
            )
        return
    reason = "no second account is served here, so that nobody else can bring the key"
    raise Untestable(reason)


@check("idempotency.refusal-is-not-kept", twice, freed)
def test_refusal_is_not_kept(evidence: Evidence) -> None:
    _control(evidence)
    refusal = evidence.response("refused under a key")
    if not _refused(evidence, refusal):
        reason = f"nobody is refused here: the answer is {refusal.shown()}"
        raise Inapplicable(reason)
    if any(rule.family is Family.DECLINE for rule in facts.matching(rules(evidence), refusal)):
        reason = "the refusal is a decline, which may come again under its key"
        raise Inapplicable(reason)
    answer = evidence.response("served under that key")
    if _refused(evidence, answer):
        raise Violation(
            expected="what is paid for, as under any other key",
            received=answer.shown(),
            exchange="served under that key",
            reason=f"the key was brought before by who was refused ({refusal.shown()})",
        )


@check("idempotency.odd-keys", twice, odd_keys)
def test_odd_keys(evidence: Evidence) -> None:
    _control(evidence)
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
    own, _ = _control(evidence)
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
    own, first = _control(evidence)
    if not own.quoted or own.key.header is None:
        reason = "keys are no texts of structured fields here"
        raise Inapplicable(reason)
    answer = evidence.response("kept key, bare")
    if 400 <= answer.status < 500 or not _difference(first, answer):
        return
    raise Violation(
        expected="the kept answer, or a 4xx",
        received=answer.shown() if _refused(evidence, answer) else "an answer that was made anew",
        exchange="kept key, bare",
        reason="a client that leaves the quotes out brings another key",
    )


@check("idempotency.decline-comes-again", declined)
def test_decline_comes_again(evidence: Evidence) -> None:
    own = _rules(evidence)
    if own.errors != "stored":
        reason = "refusals are not kept here (idempotency.errors)"
        raise Inapplicable(reason)
    first = evidence.response("declined")
    if not any(rule.family is Family.DECLINE for rule in facts.matching(rules(evidence), first)):
        reason = f"nobody is declined here: the answer is {first.shown()}"
        raise Inapplicable(reason)
    if found := _difference(first, evidence.response("declined again")):
        expected, received, at = found
        raise Violation(
            expected=f"the first decline again: {expected}", received=received, at=at, exchange="declined again"
        )
