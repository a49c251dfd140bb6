"""Checks of class ``idempotency`` on who brings a key: what is kept for one is told to nobody else, and refuses nobody."""

from conformance import facts
from conformance.checks import check
from conformance.checks.envelope import rules
from conformance.checks.kept import comes_again, control, gave, moved, ran, refused
from conformance.evidence import Evidence
from conformance.exchange import Response
from conformance.keyed import AGAIN, by_others, freed, twice
from conformance.keys import NOBODY, callers
from conformance.marks import holds
from conformance.outcome import Inapplicable, Untestable, Violation
from conformance.profile import Family


@check("idempotency.not-to-the-refused", twice, by_others)
def test_not_to_the_refused(evidence: Evidence) -> None:
    _, kept = control(evidence)
    asked, doubt = False, ""
    for label in evidence.labels("own key of "):
        name = label.removeprefix("own key of ")
        own_answer = evidence.response(label)
        if not refused(evidence, own_answer):
            continue
        here = f"kept key by {name}"
        answer, asked = evidence.response(here), True
        if what := gave(evidence, kept, own_answer, answer):
            again = (f"once more, own key {nth} of {name}" for nth in (1, 2, 3))
            if not refused(evidence, answer) and not all(refused(evidence, evidence.response(one)) for one in again):
                doubt = f"{name} is refused now and then, whatever the key"
                continue
            raise Violation(
                expected=f"a refusal of {name}, as under any other key",
                received=f"{answer.shown()} with {what}",
                exchange=here,
                reason="whoever knows the key gets the answer",
            )
        if not refused(evidence, answer):
            doubt = f"{name} is answered {answer.shown()} under the key of another, and it is not seen what that is"
    if doubt:
        raise Untestable(doubt)
    if not asked:
        reason = "nobody is refused here: who sends no credential is served as well"
        raise Untestable(reason) if evidence.claimed("idempotency") else Inapplicable(reason)
    comes_again(evidence)


@check("idempotency.another-caller", twice, by_others)
def test_another_caller(evidence: Evidence) -> None:
    own, kept = control(evidence)
    first = doubt = ""
    for label in evidence.labels("own key of "):
        name = label.removeprefix("own key of ")
        own_answer = evidence.response(label)
        if name == NOBODY or refused(evidence, own_answer):
            continue
        here = f"kept key by {name}"
        answer = evidence.response(here)
        gets_all = holds(answer, kept) and not holds(own_answer, kept)
        if first:
            if gets_all or answer.body == kept.body != own_answer.body:
                doubt = f"{name} gets the kept answer, and {first} does not: two names of one account, or a key that counts for both"
            continue
        first = name
        if refused(evidence, answer):
            if gets_all:
                raise _anothers(evidence, answer, here)
            continue
        told = own.replay_header and answer.value(own.replay_header) not in {None, own_answer.value(own.replay_header)}
        if own_answer.body == kept.body and not told:
            # What is the same for everybody is told apart by what it does: a kept answer runs nothing.
            if moved(evidence, here) == ran(evidence) != 0 == moved(evidence, AGAIN):
                break
            reason = f"{name} gets the same under a key of his own: it is not seen whose answer it is"
            raise Untestable(reason)
        if answer.body == kept.body or gets_all:
            other, asked = (
                evidence.response(f"{one} {name}") for one in ("another answer, for", "once more, kept key by")
            )
            if asked.body != other.body and not holds(asked, other):
                reason = f"{name} gets the bytes of a kept answer once, and not those of another one: it may be chance"
                raise Untestable(reason)
            raise _anothers(evidence, answer, here)
    if not first:
        reason = "no second account is served here, so that nobody else can bring the key"
        raise Untestable(reason) if evidence.claimed("idempotency") else Inapplicable(reason)
    if doubt:
        raise Untestable(doubt)
    comes_again(evidence)


def _anothers(evidence: Evidence, answer: Response, here: str) -> Violation:
    return Violation(
        expected=f"an answer to {here.removeprefix('kept key by ')} himself",
        received=f"{answer.shown()} with the answer that was kept for {evidence.endpoint.paid_identity}",
        exchange=here,
        reason="a key counts for everybody, unless these are two names of one account: then the profile is wrong",
    )


@check("idempotency.refusal-is-not-kept", twice, freed)
def test_refusal_is_not_kept(evidence: Evidence) -> None:
    own, _ = control(evidence)
    refusal = evidence.response("refused under a key")
    if not refused(evidence, refusal):
        reason = f"nobody is refused here: the answer is {refusal.shown()}"
        raise Inapplicable(reason)
    if any(rule.family is Family.DECLINE for rule in facts.matching(rules(evidence), refusal)):
        reason = "the refusal is a decline, which may come again under its key"
        raise Inapplicable(reason)
    answer = evidence.response("served under that key")
    another = evidence.endpoint.identity in callers(evidence.profile, evidence.endpoint)
    if another and refused(evidence, answer) and answer.status in {*own.mismatch, 409, 422}:
        reason = "a key that another account brought before is taken, as it is said to be"
        raise Inapplicable(reason)
    if refused(evidence, answer):
        raise Violation(
            expected="what is paid for, as under any other key",
            received=answer.shown(),
            exchange="served under that key",
            reason=f"the key was brought before by who was refused ({refusal.shown()})",
        )
