"""A check of class ``flows``: one account, whatever is done with it in whatever order, against a model of its balance."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from conformance import effects
from conformance.balances import Book, Came, Deed, Terms
from conformance.checks import Drawn, check
from conformance.checks.debit import debits, is_dear, shown
from conformance.checks.effect import account, begun, each_flow, later, number, served, settled, stepped
from conformance.dealings import KNOWN, dealings, parsed
from conformance.effects import about
from conformance.evidence import Evidence
from conformance.exchange import Exchange
from conformance.flows import traversed
from conformance.outcome import Untestable, Violation
from conformance.profile import Flow, Observe
from conformance.teller import came, dealt, done, measured
from conformance.walks import BEGUN, THEN, Walk, Went, label, terms, walks


@dataclass(frozen=True, slots=True, kw_only=True)
class _Had:
    """What came of one step."""

    step: Went
    deed: Deed
    exchanges: tuple[Exchange, ...]
    """Of the requests that may be served."""
    before: Decimal
    after: Decimal
    wrong: str
    """Empty for what may be so."""

    @property
    def line(self) -> str:
        """The step for a reader: what was done, what came back, and what that did to the balance."""
        answers = Counter(one.response.shown() if one.response else "no answer" for one in self.exchanges)
        many = len(self.exchanges)
        told = ", ".join(f"{what} ({times} of {many})" if many > 1 else what for what, times in answers.items())
        told = f"{told}; {self.deed.came.count(Came.SERVED)} served; " if told else ""
        return f"{self.step.number}. {self.step.told}: {told}{self.before:f} before, {self.after:f} after"


@check(
    "flows.any-order",
    traversed,
    measured,
    drawn=Drawn(values=lambda _: dealings(), examples=KNOWN, ask=dealt, per=5),
)
def test_any_order(evidence: Evidence) -> None:
    each_flow(evidence, lambda flow: _in_order(evidence, flow))


def _in_order(evidence: Evidence, flow: Flow) -> None:
    agreed, watched = _alone(evidence, flow)
    found = walks(evidence.exchanges, flow)
    if not found:
        reason = "no program was carried out"
        raise Untestable(reason)
    stories = [list(_story(evidence, flow, walk, agreed, watched)) for walk in found]
    first, *more = stories
    if not first or not (last := first[-1]).wrong:
        late = [*evidence.labels(label(flow, 1, "opened, ")), *evidence.labels(label(flow, 1, "refused again, "))]
        # What opens or ends a moment later may do so for others.
        if not late:
            _nobody_else(first)
        _prove(first, agreed)
        return
    told = f"{last.step.name}: {last.wrong}"
    if not any(story and story[-1].wrong and story[-1].step.name == last.step.name for story in more):
        reason = f"seen once only: {told}"
        raise Untestable(reason)
    raise Violation(
        expected=f"each success takes {shown(agreed.price)} once, a top-up adds {agreed.credit:f}, nothing else counts",
        received=told,
        at="; ".join(had.step.told for had in first),
        exchange=f"{last.step.called}: {THEN} ({watched[0]})",
        reason="" if agreed.price.minimum < agreed.price.maximum else _MAY_VARY if "served, and" in last.wrong else "",
        steps="\n".join(had.line for had in first),
    )


_MAY_VARY = "where what is taken depends on use, say from what to what: flow.price = { min, max }"


def _alone(evidence: Evidence, flow: Flow) -> tuple[Terms, tuple[str, Observe]]:
    """How the account behaves when nothing is mixed up, and its probe; raises Untestable where that is not seen."""
    record = begun(evidence, flow)
    watched = account(evidence, flow, record)
    if not flow.undo:
        reason = f'flow "{flow.name}" cannot be undone, so that it is gone once only (flow.undo)'
        raise Untestable(reason)
    stepped(evidence, flow)
    wrong, price = list(debits(evidence, flow)), effects.price(flow, record)
    if wrong and price:
        reason = "a single success does not take its price"
        raise Untestable(reason, cause=f"flows.success-debits-{'once' if is_dear(wrong[-1][0], price) else 'price'}")
    found = terms(evidence.profile, flow, evidence.endpoint, evidence.exchanges)
    if found is None:
        reason = "nothing says what a success costs, or what the steps add: say it (flow.price), or let a probe read it"
        raise Untestable(reason)
    if found.credit <= 0:
        reason = f'the steps of flow "{flow.name}" add nothing that probe {watched[0]!r} reads'
        raise Untestable(reason)
    if found.grown:
        one, more = found.grown
        reason = f'the steps of flow "{flow.name}" add {one:f}, and later {more:f}: that may be counted twice'
        raise Untestable(reason)
    return found, watched


def _story(evidence: Evidence, flow: Flow, walk: Walk, agreed: Terms, watched: tuple[str, Observe]) -> Iterator[_Had]:
    """What came of each step, up to the first with which something is wrong."""
    begun_ = label(flow, walk.called, BEGUN)
    held = [number(evidence, begun_, *watched), *later(evidence, begun_, *watched)][-1]
    book, calls = Book(terms=agreed, held=held), 0
    for step in walk.steps:
        said = parsed(step.told)
        calls += said.verb == "call"
        labels = [one for one in evidence.labels(f"{step.called}: ") if one.rpartition(": ")[2].startswith(_ASKED)]
        asked = tuple(evidence.exchange(one) for one in labels)
        every = tuple(_came(evidence, exchange) for exchange in asked)
        # Of a call that was asked again, all but the last were refused.
        kinds = every[-1:] if said.verb == "call" else every
        which = calls if said.verb == "call" else said.number if said.verb == "again" else 0
        fulfilled = done(flow, evidence.exchanges, step.called)
        deed = Deed(verb=said.verb, number=which, came=kinds, done=fulfilled)
        before = book.held
        if said.verb in {"take back", "top up"}:
            # What is bought, and what is taken back, may come a moment later.
            read = f"{step.called}: {THEN}"
            now = [number(evidence, read, *watched), *later(evidence, read, *watched)][-1]
            fits = book.allows(deed, now)
        else:
            now, fits = settled(evidence, f"{step.called}: {THEN}", watched, partial(book.allows, deed))
        wrong = book.wrong(deed, now)
        if not fits and not any(later(evidence, f"{step.called}: {THEN}", *watched)):
            reason = f"{step.name}: {wrong}, and it was not read again"
            raise Untestable(reason)
        yield _Had(step=step, deed=deed, exchanges=asked, before=before, after=now, wrong=wrong)
        if not fits:
            return
        book.note(deed, now)


_ASKED = ("copy ", "stranger")


def _came(evidence: Evidence, exchange: Exchange) -> Came:
    good = exchange.response is not None and not exchange.failure and served(evidence, exchange.response)
    return came(evidence.profile, evidence.endpoint, exchange, served=good)


def _prove(story: list[_Had], agreed: Terms) -> None:
    """Raises Untestable where whoever could pay was never served, or something was taken for an answer without what is sold."""
    for had in story:
        taken = had.before - had.after
        most = agreed.price.maximum * had.deed.came.count(Came.SERVED)
        asked = Came.UNCLEAR in had.deed.came and had.deed.verb in {"call", "again", "race"}
        if asked and taken > most and not about(taken, most, had.before, had.after):
            reason = f"what is sold is not in the answer, and something is taken: {had.line}"
            raise Untestable(reason)
    paid = [had for had in story if had.deed.verb == "call" and had.before >= agreed.price.maximum]
    if paid and not any(Came.SERVED in had.deed.came for had in story):
        had = paid[0]
        reason = f"{had.step.name}: {had.before:f} is there, and nothing is served: what follows shows nothing"
        raise Untestable(reason)


def _nobody_else(story: list[_Had]) -> None:
    """Raises Untestable where somebody else was refused, and served without being seen to pay."""
    others = [had for had in story if had.deed.verb == "decline"]
    free = [had for had in others if Came.SERVED in had.deed.came and about(had.before, had.after)]
    if free and any(Came.REFUSED in had.deed.came for had in others):
        reason = f"somebody else is refused and served, and nobody is seen to pay: {free[0].line}"
        raise Untestable(reason)
