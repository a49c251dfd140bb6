"""The table between outcomes and a verdict, in full."""

from itertools import chain, combinations_with_replacement, permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.catalogue import Level
from conformance.outcome import Outcome, Verdict, reduce

unhurried = settings(deadline=None)  # a busy machine is no reason to fail
BETTER = [Verdict.NOT_CONFORMANT, Verdict.INCOMPLETE, Verdict.CONFORMANT]
OUTCOMES = [*Outcome, None]
ROWS = [(level, outcome) for level in Level for outcome in OUTCOMES]
Rows = list[tuple[Level, Outcome | None]]
any_rows = st.lists(st.sampled_from(ROWS), max_size=8)
any_reservations = st.lists(st.sampled_from(["the server died", "a row was run again"]), max_size=2)


def told(rows: Rows, *, reserved: bool = False) -> Verdict:
    """The verdict in the words of the design: what is asked, in order, of the run as a whole."""
    outcomes = {outcome for _, outcome in rows}
    if Outcome.VIOLATED in outcomes:
        return Verdict.NOT_CONFORMANT
    untestable_must = (Level.MUST, Outcome.UNTESTABLE) in rows
    if reserved or untestable_must or outcomes & {Outcome.ERROR, None}:
        return Verdict.INCOMPLETE
    return Verdict.CONFORMANT


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]} {row[1] or 'not run'}")
def test_each_row_alone(row: tuple[Level, Outcome | None]) -> None:
    """One row decides as its cell of the table says, and a reservation takes conformant away and nothing else."""
    assert reduce([row]) is told([row])
    assert reduce([row], reservations=["x"]) is told([row], reserved=True)


def test_every_run_of_up_to_three_rows() -> None:
    """All multisets of rows come to what the words of the design say."""
    runs = chain.from_iterable(combinations_with_replacement(ROWS, count) for count in range(4))
    for run in runs:
        assert reduce(run) is told(list(run)), run
        assert reduce(run, reservations=["x"]) is told(list(run), reserved=True), run


def test_the_order_of_three_rows_does_not_matter() -> None:
    """Every order of every three different outcomes."""
    for rows in product(ROWS[: len(OUTCOMES)], repeat=3):
        assert len({reduce(order) for order in permutations(rows)}) == 1


def test_only_a_violation_makes_a_target_not_conformant() -> None:
    """Whatever else is missing or broken, nobody is accused of it."""
    harmless = [row for row in ROWS if row[1] is not Outcome.VIOLATED]
    assert reduce(harmless, reservations=["x"]) is Verdict.INCOMPLETE


def test_a_verdict_on_no_rows_needs_a_reservation() -> None:
    """The table itself has nothing against an empty run: whoever calls it says that nothing was asked."""
    assert reduce([]) is Verdict.CONFORMANT
    assert reduce([], reservations=["nothing was asked"]) is Verdict.INCOMPLETE


@unhurried
@given(any_rows, st.sampled_from(ROWS), any_reservations)
def test_one_more_row_never_makes_it_better(rows: Rows, row: tuple[Level, Outcome | None], held: list[str]) -> None:
    """There is nothing to gain by adding rows, and nothing to lose by leaving none out."""
    before, after = reduce(rows, reservations=held), reduce([*rows, row], reservations=held)
    assert BETTER.index(after) <= BETTER.index(before)


@unhurried
@given(any_rows, any_reservations, st.sampled_from(["the run was cut short"]))
def test_one_more_reservation_never_makes_it_better(rows: Rows, held: list[str], more: str) -> None:
    """A reservation may turn conformant into incomplete, and changes nothing else."""
    before, after = reduce(rows, reservations=held), reduce(rows, reservations=[*held, more])
    assert after is (Verdict.INCOMPLETE if before is Verdict.CONFORMANT else before)


@unhurried
@given(any_rows, any_reservations, st.randoms())
def test_order_does_not_matter(rows: Rows, held: list[str], chance: object) -> None:
    """Workers finish in any order."""
    shuffled = list(rows)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert reduce(shuffled, reservations=held) is reduce(rows, reservations=held)


@unhurried
@given(any_rows, st.integers(0, 7), st.sampled_from([o for o in Outcome if o is not Outcome.PASSED]))
def test_a_row_that_no_longer_passes_never_makes_it_better(rows: Rows, place: int, outcome: Outcome) -> None:
    """Of two runs that differ in one row, the one in which it passed is not the worse."""
    good = [(level, Outcome.PASSED if n == place else was) for n, (level, was) in enumerate(rows)]
    bad = [(level, outcome if n == place else was) for n, (level, was) in enumerate(rows)]
    assert BETTER.index(reduce(bad)) <= BETTER.index(reduce(good))
