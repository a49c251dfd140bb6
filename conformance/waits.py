"""What takes long, asked at several endpoints at the same time where the target can."""

from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass

from conformance.exchange import Exchange
from conformance.probe import Probe, Sent

__all__ = ["Asking", "Waits"]

Asking = Generator[Sequence[Sent], Sequence[Exchange], None]
"""What is asked at one endpoint: yields what is sent at the same time, and is given what came of each."""

_MOST = 32
"""Requests at the same time at most: somewhat more than a volley has."""
_PROMPT = 1.0
"""Seconds after which a request that brought no call to the facilitator yet stood in a queue."""
_APART = 0.2
"""Seconds before its answer in which a request may have made way for another."""
_TOO_MANY = {429, 503}


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """A gather whose requests take long: at one endpoint by itself, and then at the others of the run together.

    Only where each request of the first was seen to at once; and an endpoint whose requests then stood in a queue is
    asked by itself all the same. Where as many were under way at the same time in ``after``, none is first.
    """

    name: str
    asks: Callable[[Probe], Asking]
    alone: bool = False
    """Whether nobody else in this run asks the target meanwhile."""
    after: "Waits | None" = None
    """What is asked before, wherever it is due: it may show how many requests the target sees to at the same time."""

    @property
    def __name__(self) -> str:
        return self.name

    def __call__(self, probe: Probe) -> None:
        """Asks."""
        shown = _at_once(self.after, probe.company.get(self.after.name, {}).values()) if self.after else 0
        with probe.purse.alone() if self.alone else probe.purse.among_others():
            company = [each for each in probe.company.get(self.name, {}).values() if each is not probe]
            asked = [each for each in company if each.has_gathered(self)]
            others = [each for each in company if not each.has_gathered(self)]
            most = _MOST if asked else min(shown, _MOST)
            together = others and most and all(_seen_to(each, self) for each in asked)
            if not (together and self._together(probe, others, most)):
                going = self.asks(probe)
                _go_on(probe, going, next(going, None))

    def _together(self, probe: Probe, others: Sequence[Probe], most: int) -> bool:
        """Asks at all of them that fit in; whether ``probe`` is done."""
        begun: list[tuple[Probe, set[str], Asking, Sequence[Sent]]] = []
        for each in (probe, *others):
            # Whose handlers count in one place do not run at the same time.
            if any(_witness(each) == _witness(other) is not None for other, *_ in begun):
                continue
            before, going = set(each.kept), self.asks(each)
            sent = next(going, ())
            if sum(len(turns) for *_, turns in begun) + len(sent) > most:
                going.close()
                each.forget(before)
                break
            begun.append((each, before, going, sent))
        answers = iter(probe.wire.send_in_turn([turn for *_, sent in begun for _, turn in sent]))
        came = [[next(answers) for _ in sent] for *_, sent in begun]
        well = []
        for (each, before, going, sent), exchanges in zip(begun, came, strict=True):
            if all(_prompt(each, label, exchange) for (label, _), exchange in zip(sent, exchanges, strict=True)):
                well.append((each, before, going, _next(going, exchanges)))
            else:
                going.close()
                each.forget(before)
        for each, before, going, sent_next in well:
            _go_on(each, going, sent_next)
            if each is not probe:
                each.note(self, before)
        return any(each is probe for each, *_ in well)


def _at_once(gather: Waits, probes: Collection[Probe]) -> int:
    """How many payments of ``gather`` were under way at the same time, from their first call to their answer."""
    spans = []
    for each in probes:
        for label in each.gather(gather):
            made, exchange = each.made.get(label), each.kept[label]
            if made and (calls := each.purse.followed(made).calls):
                spans.append((calls[0].at, exchange.at + exchange.took - _APART))
    return max((sum(begins <= moment < ends for begins, ends in spans) for moment, _ in spans), default=0)


def _seen_to(probe: Probe, gather: Waits) -> bool:
    return all(_prompt(probe, label, probe.kept[label]) for label in probe.gather(gather))


def _go_on(probe: Probe, going: Asking, sent: Sequence[Sent] | None) -> None:
    while sent is not None:
        sent = _next(going, probe.wire.send_in_turn([turn for _, turn in sent]))


def _next(going: Asking, exchanges: Sequence[Exchange]) -> Sequence[Sent] | None:
    try:
        return going.send(exchanges)
    except StopIteration:
        return None


def _witness(probe: Probe) -> object:
    return probe.endpoint.witness if probe.endpoint else None


def _prompt(probe: Probe, label: str, exchange: Exchange) -> bool:
    """Whether a request was seen to at once; what comes again while it is at work may wait for it."""
    if (made := probe.made.get(label)) is None:
        return True
    if calls := probe.purse.followed(made).calls:
        return calls[0].at - exchange.at <= _PROMPT
    # Who takes so many requests at a time, and no more, turns away the next.
    turned_away = exchange.response is None or exchange.response.status in _TOO_MANY
    return exchange.took <= _PROMPT and not turned_away
