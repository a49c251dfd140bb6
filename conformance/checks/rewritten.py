"""Checks of class ``x402/settlement``: a payment that is settled buys nothing in other bytes, however they are composed."""

from hypothesis import strategies as st

from conformance.checks import Drawn, check
from conformance.checks.reuse import buys_nothing
from conformance.evidence import Evidence
from conformance.gather import unpaid
from conformance.protocols.x402.encoding import TWINS, Layer
from conformance.replays import AIDED, UNAIDED, Aid, composed, composing, replayed_in_other_bytes, settled_once

_PAIRS = ("nonce-upper+high-s", "signature-upper+junk")
"""Of twins that a memory of payments may tell apart for different reasons."""


_DOCUMENT, _JSON, _BASE64 = (tuple(twin.name for twin in TWINS if twin.layer is layer) for layer in Layer)


def _compositions() -> st.SearchStrategy[str]:
    """Two twins or more, joined by +: several of the document, which most servers read alike, and few of its bytes.

    Each is drawn or not by itself, so that each that is not needed can be left out by itself.
    """
    several = tuple(st.sampled_from(("", "", name)) for name in _DOCUMENT)
    # The JSON can be written in one way only.
    one, other = (st.sampled_from(("",) * len(names) + names) for names in (_JSON, _BASE64))
    drawn = st.tuples(*several, one, other, st.sampled_from(("",) * 20 + _BASE64))
    return drawn.map(lambda names: [*dict.fromkeys(filter(None, names))]).filter(lambda n: len(n) > 1).map("+".join)


def _drawn(aid: Aid) -> Drawn:
    return Drawn(values=_compositions, examples=_PAIRS, ask=composed(aid))


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
