"""Checks of class ``x402/settlement``: a payment that is settled buys nothing in other bytes, however they are composed."""

from hypothesis import strategies as st

from conformance.checks import Drawn, check
from conformance.checks.reuse import buys_nothing
from conformance.evidence import Evidence
from conformance.gather import unpaid
from conformance.replays import AIDED, UNAIDED, Aid, composed, composing, replayed_in_other_bytes, settled_once

__all__ = ["CHOICES"]

_PAIRS = ("nonce-upper+high-s", "signature-upper+junk")
"""Of twins that a memory of payments may tell apart for different reasons."""


CHOICES: tuple[tuple[int, tuple[str, ...]], ...] = (
    (1, ("key-order",)),
    (1, ("nonce-upper",)),
    (1, ("payer-lower", "payer-upper", "checksummed")),
    (1, ("payee-lower",)),
    (1, ("signature-upper",)),
    (3, ("high-s",)),
    (4, ("low-v", "compact")),
    (4, ("unknown-member",)),
    (4, ("unknown-signed-member",)),
    (6, ("white-space", "escapes", "duplicate-members")),
    (12, ("url-safe", "unpadded", "junk", "space", "folded")),
    (24, ("junk", "space", "folded")),
)
"""Twins of which one excludes the other, and how often none of them is drawn for each time that one of them is.

What most servers read as it is stands in most of them: one that is not read would hide all that stand beside it.
"""


def _compositions() -> st.SearchStrategy[str]:
    """Two twins or more, joined by +, each drawn or not by itself, so that each that is not needed can be left out."""
    drawn = st.tuples(*(st.sampled_from(("",) * none + names) for none, names in CHOICES))
    return drawn.map(lambda names: [*dict.fromkeys(filter(None, names))]).filter(lambda n: len(n) > 1).map("+".join)


def _drawn(aid: Aid) -> Drawn:
    return Drawn(values=lambda _: _compositions(), examples=_PAIRS, ask=composed(aid))


@check(
    "x402.settlement.replayed-twin",
    unpaid,
    settled_once(AIDED),
    replayed_in_other_bytes(AIDED),
    composing(AIDED),
    drawn=_drawn(AIDED),
)
def test_replayed_twin(evidence: Evidence) -> None:
    buys_nothing(evidence, AIDED)


@check(
    "x402.settlement.replayed-twin-unaided",
    unpaid,
    settled_once(UNAIDED),
    replayed_in_other_bytes(UNAIDED),
    composing(UNAIDED),
    drawn=_drawn(UNAIDED),
)
def test_replayed_twin_unaided(evidence: Evidence) -> None:
    buys_nothing(evidence, UNAIDED)
