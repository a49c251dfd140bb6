"""What the witness saw: the words in which checks of what ran are written. No check stands here."""

from conformance.attempts import GOOD, label
from conformance.checks.opening import paid_for
from conformance.evidence import Evidence
from conformance.exchange import Exchange
from conformance.outcome import Untestable

__all__ = ["moved", "still"]


def moved(evidence: Evidence, exchange: Exchange) -> int:
    """By how much the witness moved; Untestable where it could not be read, or moves by itself."""
    paid = paid_for(exchange)
    if paid.witness is None:
        raise Untestable(_unread(evidence))
    return paid.witness[1] - paid.witness[0]


def _unread(evidence: Evidence) -> str:
    """Why the witness of the endpoint could not be read."""
    witness = evidence.endpoint.witness
    if witness is None:
        return "the profile names no witness"
    if witness.log:
        return f"the witness {witness.log!r} is in a log that cannot be read"
    place = f"the header {witness.header}" if witness.header else witness.pointer
    return f"the witness reads no whole number: {witness.path}, {place}"


def still(evidence: Evidence, version: int) -> None:
    """Raises Untestable unless the witness stands still when nothing is asked, and moves for each good payment."""
    rest = evidence.exchanges.get(label(version, "watched", "at rest"))
    if rest and moved(evidence, rest):
        reason = (
            "the witness moves while nothing is asked: others use this target, or it lags, or counts something else"
        )
        raise Untestable(reason)
    if moved(evidence, evidence.exchange(label(version, "watched", GOOD))) < 1:
        witness = evidence.endpoint.witness
        hint = "; is the log written line by line?" if witness and witness.log else ""
        raise Untestable(f"the witness does not move for a good payment: it proves nothing{hint}")
    if moved(evidence, evidence.exchange(label(version, "watched", "good again #1"))) < 1:
        # A handler whose answers are kept does not run for each payment: that it stands still says nothing.
        reason = "the witness does not move for a second good payment: it proves nothing"
        raise Untestable(reason)
