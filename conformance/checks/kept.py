"""What is kept under an idempotency key: the words in which checks of it are written. No check stands here."""

from conformance.evidence import Evidence
from conformance.exchange import Response
from conformance.keyed import AGAIN, FIRST, LATER
from conformance.keys import carries, refuses
from conformance.marks import holds, marked
from conformance.outcome import Inapplicable, Untestable
from conformance.profile import Idempotency

__all__ = [
    "SAME",
    "comes_again",
    "control",
    "difference",
    "gave",
    "kept_by",
    "moved",
    "ran",
    "refused",
    "sold",
    "stored",
]

SAME = "idempotency.same-answer"
_CONTENT = 16
"""Bytes from which on a body is taken for no other."""


def kept_by(evidence: Evidence) -> Idempotency:
    """The rules of the profile; Inapplicable or Untestable where no key can be brought here."""
    own = evidence.profile.idempotency
    if own is None:
        reason = "the profile has no [idempotency]"
        raise Inapplicable(reason)
    if not carries(own, evidence.endpoint):
        reason = f"the key is a member of the body ({own.key.member}), and the request here has none that has members"
        raise Untestable(reason)
    return own


def control(evidence: Evidence) -> tuple[Idempotency, Response]:
    """The rules, and the answer that is kept under a key; Inapplicable or Untestable where none was had."""
    own = kept_by(evidence)
    if evidence.endpoint.paid_identity is None:
        reason = "the profile does not say who is served here (paid_identity); it does at another endpoint"
        raise Inapplicable(reason)
    first = evidence.response(FIRST)
    marker = evidence.endpoint.marker
    if refused(evidence, first):
        reason = f"{evidence.endpoint.paid_identity} is answered {first.shown()} under a fresh key: nothing was served"
        raise Untestable(reason)
    if marker and not marked(first, marker):
        reason = f"the marker {marker.value!r} is not in the answer to {evidence.endpoint.paid_identity}"
        raise Untestable(reason)
    return own, first


def refused(evidence: Evidence, response: Response) -> bool:
    return refuses(evidence.profile, evidence.endpoint, response)


def sold(evidence: Evidence, response: Response) -> bool:
    """Whether it is a success, and has what is sold: one that tells of work under way may have neither number nor name."""
    marker = evidence.endpoint.marker
    return not refused(evidence, response) and not (marker and not marked(response, marker))


def difference(first: Response, second: Response) -> tuple[str, str, str] | None:
    """What was expected, received, and where, of an answer that is not the first one again; None for one that is."""
    if first.status != second.status:
        return first.shown(), second.shown(), ""
    kinds = [_kind(answer) for answer in (first, second)]
    if kinds[0] != kinds[1]:
        return f"Content-Type {kinds[0]}", kinds[1], "Content-Type"
    if first.body != second.body:
        here = next((n for n, (a, b) in enumerate(zip(first.body, second.body, strict=False)) if a != b), None)
        at = min(len(first.body), len(second.body)) if here is None else here
        return _part(first, at), _part(second, at), f"body, from byte {at}"
    return None


def _kind(answer: Response) -> str:
    told = " ".join((answer.value("content-type") or "none").lower().replace(";", "; ").split())
    # JSON is in UTF-8, whether that is said or not (RFC 8259 section 11).
    return told.removesuffix("; charset=utf-8") if answer.media_type().endswith("json") else told


def _part(answer: Response, at: int) -> str:
    start = max(0, at - 20)
    return repr(answer.body[start : start + 60].decode("utf-8", "replace"))


def comes_again(evidence: Evidence) -> Response:
    """The kept answer; Untestable unless its body came again under its key."""
    _, first = control(evidence)
    if evidence.response(AGAIN).body != first.body:
        reason = "the same request under the same key does not get the same answer, so that none is known to be kept"
        raise Untestable(reason, cause=SAME)
    return first


def stored(evidence: Evidence, own: Idempotency) -> Response:
    """The kept answer; Untestable unless its body came again, and is told from one that is made anew."""
    first = comes_again(evidence)
    if not _told_apart(evidence, own, first, evidence.response(AGAIN)):
        reason = "answers under different keys are the same: in them it is not seen that one was kept"
        raise Untestable(reason)
    return first


def _told_apart(evidence: Evidence, own: Idempotency, first: Response, again: Response) -> bool:
    """Whether an answer that comes again is told from one that is made anew."""
    elsewhere = [evidence.exchanges[here].response for here in evidence.labels("round ")]
    if any(other and sold(evidence, other) and other.body != first.body for other in elsewhere):
        return True
    if own.replay_header and again.value(own.replay_header) not in {None, first.value(own.replay_header)}:
        return True
    return bool(ran(evidence)) and moved(evidence, AGAIN) == 0


def moved(evidence: Evidence, label: str) -> int | None:
    """By how much the witness moved over a request; None where it was not read."""
    paid = evidence.exchange(label).paid
    return paid.witness[1] - paid.witness[0] if paid and paid.witness else None


def ran(evidence: Evidence) -> int | None:
    """By how much the witness moved over the first request, or a little after it; None where it was not read."""
    late = (moved(evidence, label) for label in evidence.labels(LATER))
    return moved(evidence, FIRST) or next(filter(None, late), moved(evidence, FIRST))


def gave(evidence: Evidence, kept: Response, usual: Response, answer: Response) -> str:
    """What of the kept answer is in ``answer``, and not in ``usual``, to the same caller under a key of his own."""
    served = not refused(evidence, answer)
    # What is short may well be said of something else, and a refusal may name what there is.
    if (served or len(kept.body) >= _CONTENT) and kept.body and answer.body == kept.body != usual.body:
        return "the kept answer, byte for byte"
    if holds(answer, kept) and not holds(usual, kept):
        return "all that the kept answer says"
    marker = evidence.endpoint.marker
    if served and marker and not marked(usual, marker) and (where := marked(answer, marker)):
        return f"the marker, in {where}"
    return ""
