"""Programs: what is done with payments one after another, as a short text that is drawn and then carried out.

Such a text is ``pay a; lose b; replay 1 at b as high-s; race 3 a``. A letter is a place where something is sold, a number
a payment that an earlier step made; both are counted round, so that a step means something wherever it stands, and a
program stays one when Hypothesis takes a step away. It is no RuleBasedStateMachine, because that decides while it asks
and tells its story in a traceback: a text is asked here, decided elsewhere, again if need be from a report alone, and
stands in the finding as short as it became.

To wait for a restart or an expiry takes seconds, and a program is asked many times while it shrinks. So ``pay a before
the restart`` and ``pay a, which expires`` speak of payments that were made when there was yet time, and come first.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hypothesis import strategies as st

from conformance.protocols.x402.encoding import TWINS

__all__ = [
    "BEFORE",
    "ENDING",
    "FAULTS",
    "KNOWN",
    "KNOWN_AFTER",
    "LETTERS",
    "STOCK",
    "Again",
    "Fresh",
    "parsed",
    "programs",
    "programs_after",
]

BEFORE, ENDING = " before the restart", ", which expires"
"""What is said of payments that were made in time."""

KNOWN = (
    "pay a; replay 1",
    "pay a; replay 1 at b",
    "pay a; replay 1 as high-s",
    "pay a; replay 1 with another query; replay 1 with another body",
    "pay a; ask a; replay 1",
    "race 3 a; replay 1",
    "refuse a; replay 1; replay 1",
    "lose a; replay 1; replay 1",
    "lose a; replay 1 at b",
    "postpone a; replay 1; replay 1",
    "lose a; race 3 of 1",
    "postpone a; race 3 of 1",
    "pay a; pay b; pay a; replay 1",
)
"""The attacks of history, asked before anything is drawn."""

KNOWN_AFTER = (
    f"pay a{BEFORE}; replay 1",
    f"pay a{BEFORE}; replay 1 at b as nonce-upper",
    f"pay a{BEFORE}; pay a; replay 1; replay 2",
    f"lose a{BEFORE}; replay 1; replay 1",
    f"postpone a{BEFORE}; race 3 of 1; replay 1",
    f"pay a{ENDING}; replay 1",
    f"pay a{ENDING}; replay 1 as high-s with another query",
    f"lose a{ENDING}; replay 1; replay 1",
)
"""The same of a server that was started anew."""

FAULTS: Mapping[str, str] = {
    "pay": "",
    "refuse": "settle/no",
    "reject": "verify/no",
    "lose": "settle/settled-then-drops",
    "postpone": "settle/pending",
}
"""What the facilitator does wrong once about the fresh payment of a step, by the verb."""

STOCK = (
    ("pay", BEFORE),
    ("refuse", BEFORE),
    ("lose", BEFORE),
    ("postpone", BEFORE),
    ("pay", ENDING),
    ("lose", ENDING),
)
"""What is done in time at each place: the verb, and what is said of it."""

LETTERS = "abcdefgh"
"""As many places as a program goes to by name."""
_FRESH = re.compile(rf"(?:({'|'.join(FAULTS)}|ask)|race ([2-4])) ([{LETTERS}])({BEFORE}|{ENDING}|)")
_AGAIN = re.compile(
    rf"(?:replay|race ([2-4]) of) ([1-4])(?: at ([{LETTERS}]))?(?: as ([a-z0-9-]+))?(?: with another (query|body))?",
    re.ASCII,
)
_MOST = 8
_FRESHLY = ("pay", "pay", *FAULTS, "race 2", "race 3")
_REPLAYS = ("replay", "replay", "replay", "replay", "replay", "race 2 of", "race 3 of")
_REQUESTS = (" with another query", " with another body")
_OTHERWISE = (*("",) * 20, *(f" as {twin.name}" for twin in TWINS if not twin.raw), *_REQUESTS * 3)
"""The words of a step, each as often as it is drawn, the plainest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fresh:
    """A step with a payment of its own, or with none."""

    verb: str
    """One of FAULTS, ``ask`` or ``race``."""
    copies: int
    letter: str
    when: str
    """One of BEFORE and ENDING; empty for now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """A step with a payment of an earlier one."""

    copies: int
    number: int
    """Of the payment, from 1."""
    letter: str
    """Empty for the place that it was made for."""
    twin: str
    """In what other bytes it comes; empty for its own."""
    other: str
    """What is different about the request, ``query`` or ``body``; empty for nothing."""


def parsed(step: str) -> Fresh | Again:
    """What one step of a program says; raises ValueError for a text that is none."""
    if found := _FRESH.fullmatch(step):
        verb, many, letter, when = found.groups()
        return Fresh(verb=verb or "race", copies=int(many or 1), letter=letter, when=when)
    if found := _AGAIN.fullmatch(step):
        many, number, letter, twin, other = (text or "" for text in found.groups())
        return Again(copies=int(many or 1), number=int(number), letter=letter, twin=twin, other=other)
    message = f"no step of a program: {step!r}"
    raise ValueError(message)


def programs() -> st.SearchStrategy[str]:
    """Programs of one to eight steps, the first of which makes a payment."""
    return _drawn(_FRESHLY, "pay a")


def programs_after() -> st.SearchStrategy[str]:
    """The same, and the first payment was made before the restart of whoever is asked."""
    return _drawn((*(f"{verb}{when}" for verb, when in STOCK), *_FRESHLY), f"pay a{BEFORE}")


def _drawn(freshly: tuple[str, ...], first: str) -> st.SearchStrategy[str]:
    # A place for each step, and nothing in some of them: so one is taken away wherever it stands, and no other moves.
    step = st.tuples(
        st.sampled_from((*("",) * 4, *_REPLAYS, *freshly, "ask", "ask")),
        st.sampled_from((*("",) * len(LETTERS), *LETTERS)),
        st.sampled_from("1234"),
        st.sampled_from(_OTHERWISE),
    ).map(_written)
    steps = st.lists(step, min_size=_MOST - 1, max_size=_MOST - 1)
    return steps.map(lambda drawn: _joined(drawn, first))


def _written(drawn: tuple[str, str, str, str]) -> str:
    verb, letter, number, otherwise = drawn
    if verb not in _REPLAYS:
        found = re.fullmatch(f"(.*?)({BEFORE}|{ENDING}|)", verb)
        return f"{found[1]} {letter or 'a'}{found[2]}" if found and verb else ""
    return f"{verb} {number}{f' at {letter}' if letter else ''}{otherwise}"


def _joined(drawn: list[str], first: str) -> str:
    # What was done in time was done first.
    found = sorted(filter(None, drawn), key=lambda step: not step.endswith((BEFORE, ENDING)))
    said = parsed(found[0]) if found else None
    fit = isinstance(said, Fresh) and said.verb != "ask" and (said.when or BEFORE not in first)
    return "; ".join(found if fit else [first, *found])
