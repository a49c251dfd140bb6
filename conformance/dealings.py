"""Dealings: what is done with one account one after another, as a short text that is drawn and then carried out.

Such a text is ``top up; call; again 1; take back; race 3``. A number is a call that an earlier step made, counted round,
so that a step means something wherever it stands, and a text stays one when Hypothesis takes a step away.
"""

import re
from dataclasses import dataclass

from hypothesis import strategies as st

__all__ = ["KNOWN", "MOST_TOP_UPS", "Said", "dealings", "parsed"]

KNOWN = (
    "top up; call; call",
    "top up; top up; call; again 1; again 1; call",
    "call; top up; again 1; again 1; call",
    "call; call; top up; call; call",
    "decline; top up; decline; call; decline; ask",
    "top up; top up; race 2; call",
    "top up; call; take back; again 1; call",
    "top up; take back; top up; call; call",
    "top up; top up; top up; call; call; again 1; call; call",
)
"""What went wrong elsewhere, asked before anything is drawn."""

MOST_TOP_UPS = 3
"""As often as an account is topped up before it is taken back."""

_STEP = re.compile(r"(call|top up|take back|decline|ask)|(again|race) ([1-4])", re.ASCII)
_MOST = 8
_WORDS = (
    *("",) * 3,
    *("call",) * 5,
    *("top up",) * 4,
    *("again 1", "again 1", "again 2", "again 3"),
    *("take back", "take back", "decline", "decline", "ask", "race 2", "race 3"),
)
"""The steps, each as often as it is drawn, the plainest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What one step says."""

    verb: str
    """``call``, ``again``, ``race``, ``top up``, ``take back``, ``decline`` or ``ask``."""
    number: int = 0
    """Of the call that comes again, from 1, or of copies in a race; 0 elsewhere."""


def parsed(step: str) -> Said:
    """What one step says; raises ValueError for a text that is none."""
    if found := _STEP.fullmatch(step):
        return Said(verb=found[1] or found[2], number=int(found[3] or 0))
    message = f"nothing to be done with an account: {step!r}"
    raise ValueError(message)


def dealings() -> st.SearchStrategy[str]:
    """One to eight steps, one of which tops up: without that nothing is taken."""
    # A place for each step, and nothing in some of them: so one is taken away wherever it stands, and no other moves.
    steps = st.lists(st.sampled_from(_WORDS), min_size=_MOST - 1, max_size=_MOST - 1)
    return steps.map(_joined)


def _joined(drawn: list[str]) -> str:
    found = list(filter(None, drawn))
    return "; ".join(found if "top up" in found else ["top up", *found])
