"""How dealings are carried out with the account of a flow: each step, and what the probe reads after it.

Whatever happens, everything is taken back at last, as often as it was bought.
"""

import operator
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial

from conformance import effects, keys
from conformance.asking import Changes, request_to
from conformance.balances import Book, Came, Deed, Terms
from conformance.dealings import MOST_TOP_UPS, Said, parsed
from conformance.exchange import Exchange
from conformance.flows import flows_of, fresh, fulfilled, strangers_to, traversed, walk
from conformance.probe import Probe
from conformance.profile import Endpoint, Flow, Observe, Profile
from conformance.readings import PAUSE, read, read_until
from conformance.walks import AGAIN, ALONE, BEGUN, THEN, label, terms, watched

__all__ = ["came", "dealt", "done", "measured"]

_REST = 0.5
"""Seconds until what was held for a success, and not used, is given back."""
_TRIES = 2
"""How often a program that went wrong is carried out again: a race may be won once."""


def came(profile: Profile, endpoint: Endpoint, exchange: Exchange, *, served: bool) -> Came:
    """What came of a request; ``served`` says whether its answer holds what is sold."""
    response = exchange.response
    if exchange.failure or response is None or response.status >= 500:
        return Came.UNCLEAR
    if served:
        return Came.SERVED
    refused = response.status >= 300 or effects.refusal(profile, endpoint, response) is not None
    return Came.REFUSED if refused else Came.UNCLEAR


def done(flow: Flow, exchanges: Mapping[str, Exchange], called: str) -> bool:
    """Whether each step of a top-up was answered as it is to be."""
    had = [(step, exchanges.get(f"{called}: step {number}")) for number, step in enumerate(flow.steps, 1)]
    return all(exchange is not None and fulfilled(step, exchange) for step, exchange in had)


def measured(probe: Probe) -> None:
    """What a few top-ups add, one after another and nothing between them."""
    probe.gather(traversed)
    for flow in flows_of(probe):
        assert probe.endpoint is not None  # noqa: S101 - a flow is told of an endpoint
        found = watched(probe.profile, flow, probe.endpoint, probe.kept)
        if not flow.undo or found is None:
            continue
        name, watch, _ = found
        with probe.purse.alone():
            # What went before, such as a refusal, is not to count: so one is bought and taken back first.
            alone = f"{ALONE} 0"
            had = read(probe, name, watch, label(flow, alone, BEGUN))
            try:
                walk(probe, flow, flow.steps, label(flow, alone, "step"))
                moved = partial(operator.ne, had)
                had = read_until(probe, (name, watch), label(flow, alone, THEN), moved, flow.within)
            finally:
                walk(probe, flow, flow.undo, label(flow, alone, "undo"), whole=True)
            held = read_until(probe, (name, watch), label(flow, ALONE, BEGUN), partial(operator.ne, had), flow.within)
            bought = 0
            try:
                for number in range(1, MOST_TOP_UPS + 1):
                    bought = number
                    if held is None or not walk(probe, flow, flow.steps, label(flow, f"{ALONE} {number}", "step")):
                        break
                    when = label(flow, ALONE, f"{THEN} {number}")
                    held = read_until(probe, (name, watch), when, partial(operator.ne, held), flow.within)
            finally:
                for number in range(1, bought + 1):
                    walk(probe, flow, flow.undo, label(flow, f"{ALONE} {number}", "undo"), whole=True)


def dealt(probe: Probe, program: str) -> None:
    """Carries ``program`` out with the account of each flow; once more where something is wrong, to see it again."""
    for flow in flows_of(probe):
        assert probe.endpoint is not None  # noqa: S101 - a flow is told of an endpoint
        found = watched(probe.profile, flow, probe.endpoint, probe.kept)
        agreed = terms(probe.profile, flow, probe.endpoint, probe.kept)
        if found is None or agreed is None or not flow.undo:
            continue
        begun = re.compile(re.escape(f"{flow.name} #program ") + rf"\d+: {BEGUN} ")
        turn = 1 + sum(bool(begun.match(one)) for one in probe.kept)
        name, watch, _ = found
        begin = label(flow, ALONE, BEGUN)
        waits = sum(one.startswith(f"{begin}, later ") for one in probe.kept)
        # While what was found to be wrong is made smaller, there is no need to wait for a probe that does not lag.
        wrong = any(one.startswith(f"{flow.name} #program ") and AGAIN in one for one in probe.kept)
        with probe.purse.alone():
            for time_ in range(_TRIES + 1):
                called = f"program {turn}" + (f"{AGAIN}{time_}" if time_ else "")
                late = PAUSE if wrong else flow.within
                course = _Course(
                    probe=probe,
                    flow=flow,
                    watch=(name, watch),
                    terms=agreed,
                    called=called,
                    late=late,
                    lag=PAUSE * (waits + 1) if waits else 0,
                    rest=_REST if time_ and agreed.price.minimum < agreed.price.maximum else 0,
                )
                # Well at first, or wrong again: more would say no more.
                if course.carried_out(program) is (time_ == 0):
                    break


@dataclass(slots=True, kw_only=True)
class _Course:
    """A program under way."""

    probe: Probe
    flow: Flow
    watch: tuple[str, Observe]
    terms: Terms
    called: str
    late: float
    """Seconds for which a reading is waited for that is as it ought to be."""
    lag: float
    """Seconds until what is taken back is so; 0 where it is so at once."""
    rest: float
    """Seconds after a success until it is read what it took: of what was held for it, a part may be given back."""
    keys: list[str] = field(default_factory=list)
    """Under which the calls so far were made; empty texts where there are none."""
    bought: int = 0
    """Top-ups that were not taken back."""
    undone: int = 0
    in_vain: bool = False
    """Whether a call was waited for that there was enough for."""

    def carried_out(self, program: str) -> bool:
        """Takes the steps up to the first that went wrong; whether none did."""
        here = label(self.flow, self.called, BEGUN)
        self._closed(here)
        if (held := read_until(self.probe, self.watch, here, self._is_back, self.late)) is None:
            return True
        book, number = Book(terms=self.terms, held=held), 0
        try:
            for text in program.split("; "):
                said = self._possible(parsed(text))
                if said is None:
                    continue
                number += 1
                told = f"{said.verb} {said.number}" if said.number else said.verb
                here = label(self.flow, self.called, f"step {number}, {told}")
                deed = self._do(said, here, book.held)
                if Came.SERVED in deed.came:
                    time.sleep(self.rest)
                fits = self._is_back if said.verb == "take back" else partial(book.allows, deed)
                now = read_until(self.probe, self.watch, f"{here}: {THEN}", fits, self.late)
                if now is None or book.wrong(deed, now):
                    return now is None
                book.note(deed, now)
        finally:
            while self.bought:
                self._take_back(label(self.flow, self.called, "end"))
            time.sleep(self.lag)
        return True

    def _is_back(self, now: Decimal) -> bool:
        """Whether everything is taken back; that may come a moment later too."""
        return now <= self.terms.start or effects.about(now, self.terms.start, now)

    def _possible(self, said: Said) -> Said | None:
        """The step as it can be taken here; None where it cannot."""
        match said.verb:
            case "again":
                # Without a key, it would be a call of its own.
                if not self.keys or not self._keyed():
                    return None
                return Said(verb="again", number=1 + (said.number - 1) % len(self.keys))
            case "race":
                return Said(verb="race", number=min(said.number, self.probe.profile.limits.volley))
            case "top up" if self.bought >= MOST_TOP_UPS:
                return None
            case "take back" if not self.bought:
                return None
            case "decline" if not self._stranger():
                return None
            case _:
                return said

    def _do(self, said: Said, here: str, held: Decimal) -> Deed:
        match said.verb:
            case "top up":
                self.bought += 1
                walk(self.probe, self.flow, self.flow.steps, f"{here}: step")
                return Deed(verb=said.verb, done=done(self.flow, self.probe.kept, here))
            case "take back":
                while self.bought:
                    self._take_back(here)
                time.sleep(self.lag)
                self._closed(here)
                return Deed(verb=said.verb)
            case "call":
                return self._call(said, here, held)
            case "again":
                exchange = self.probe.ask(f"{here}: copy 1", **self._under(self.keys[said.number - 1]))
                return Deed(verb=said.verb, number=said.number, came=(self._came(exchange),))
            case "race":
                return self._race(said, here)
            case "decline":
                exchange = self.probe.ask(f"{here}: stranger", **fresh(self.probe, self._stranger()))
                return Deed(verb=said.verb, came=(self._came(exchange),))
            case _:
                return Deed(verb=said.verb)

    def _call(self, said: Said, here: str, held: Decimal) -> Deed:
        """A call, and another where there is enough and access comes a little later."""
        until, copy = time.monotonic() + (0 if self.in_vain else self.flow.within), 1
        self.keys.append(keys.fresh_key())
        found = self._came(self.probe.ask(f"{here}: copy 1", **self._under(self.keys[-1])))
        while found is Came.REFUSED and held >= self.terms.price.maximum and time.monotonic() < until:
            time.sleep(PAUSE)
            copy += 1
            self.keys[-1] = keys.fresh_key()
            found = self._came(self.probe.ask(f"{here}: copy {copy}", **self._under(self.keys[-1])))
        self.in_vain = self.in_vain or (copy > 1 and found is Came.REFUSED)
        return Deed(verb=said.verb, number=len(self.keys), came=(found,))

    def _race(self, said: Said, here: str) -> Deed:
        endpoint = self._endpoint()
        requests = [
            request_to(self.probe.profile, endpoint, **self._under(keys.fresh_key())) for _ in range(said.number)
        ]
        answered = self.probe.wire.send_at_once(requests, account=endpoint.name)
        for copy, exchange in enumerate(answered, 1):
            self.probe.kept[f"{here}: copy {copy}"] = exchange
        return Deed(verb=said.verb, came=tuple(map(self._came, answered)))

    def _take_back(self, here: str) -> None:
        self.bought -= 1
        self.undone += 1
        walk(self.probe, self.flow, self.flow.undo, f"{here}, {self.undone}: undo", whole=True)

    def _closed(self, here: str) -> None:
        """Asks until it is refused, where access was seen to end a little later than it is taken back."""
        late = label(self.flow, 1, "refused again, later ")
        until, asked = time.monotonic() + self.flow.within, 0
        while any(one.startswith(late) for one in self.probe.kept) and time.monotonic() < until:
            asked += 1
            exchange = self.probe.ask(f"{here}: closed {asked}", **self._under(keys.fresh_key()))
            if self._came(exchange) is not Came.SERVED:
                return
            time.sleep(PAUSE)

    def _came(self, exchange: Exchange) -> Came:
        # Whether the marker is there is said where it is decided: what has none may cost less than is thought here.
        profile, endpoint, response = self.probe.profile, self._endpoint(), exchange.response
        good = response is not None and 200 <= response.status < 300
        served = good and effects.refusal(profile, endpoint, response) is None
        return came(profile, endpoint, exchange, served=served)

    def _endpoint(self) -> Endpoint:
        assert self.probe.endpoint is not None  # noqa: S101 - a flow is told of an endpoint
        return self.probe.endpoint

    def _keyed(self) -> bool:
        rules, endpoint = self.probe.profile.idempotency, self._endpoint()
        if rules is None or keys.are_brief(rules):
            return False
        return keys.concerned(endpoint, self.probe.profile) and keys.carries(rules, endpoint)

    def _under(self, key: str) -> Changes:
        """The request of the account's owner under ``key``, or one of its own where the profile knows of no keys."""
        rules, who = self.probe.profile.idempotency, self.flow.identity
        if rules is None or not self._keyed():
            return fresh(self.probe, who)
        return Changes(**{**keys.carried(rules, self._endpoint(), key), "identity": who})

    def _stranger(self) -> str:
        """Somebody else who is refused here; empty where nobody is known, or sends the same request."""
        profile, endpoint, own = self.probe.profile, self._endpoint(), self.flow.identity
        same = request_to(profile, endpoint, identity=own)
        names = (name for name in strangers_to(self.probe) if name != own)
        return next((name for name in names if request_to(profile, endpoint, identity=name) != same), "")
