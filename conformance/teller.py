"""How dealings are carried out with the account of a flow: each step, and what the probe reads after it.

Whatever happens, everything is taken back at last, as often as it was bought.
"""

import operator
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from itertools import pairwise

from conformance import effects, keys
from conformance.asking import Changes, request_to
from conformance.balances import Book, Came, Deed, Terms
from conformance.dealings import MOST_TOP_UPS, Said, parsed
from conformance.effects import Unwatched
from conformance.exchange import Exchange
from conformance.flows import flows_of, fresh, fulfilled, label, read, strangers_to, traversed, walk
from conformance.probe import Probe
from conformance.profile import Endpoint, Flow, Observe, Price, Profile
from conformance.walks import AGAIN, BEGUN, THEN

__all__ = ["came", "dealt", "done", "measured", "terms"]

_MEASURED = "alone"
_FIRST = ("refused", "credited", "debited")
_TRIES = 2
"""How often a program that went wrong is carried out again: a race may be won once."""
_LATE = 1.0
"""Seconds for which a probe that does not read what it should is read on."""
_PAUSE = 0.2
_FORGOTTEN = 60
"""Seconds; keys that are kept for less may be forgotten while they are asked about."""


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


def terms(profile: Profile, flow: Flow, endpoint: Endpoint, exchanges: Mapping[str, Exchange]) -> Terms | None:
    """How the account behaves when nothing is mixed up; None where that was not seen."""
    if (found := _watched(profile, flow, endpoint, exchanges)) is None:
        return None
    name, watch, price = found
    readings = [
        _last(watch, exchanges, label(flow, _MEASURED, when), name)
        for when in (BEGUN, *(f"{THEN} {number}" for number in range(1, MOST_TOP_UPS + 1)))
    ]
    bought = _last(watch, exchanges, label(flow, f"{_MEASURED} 0", THEN), name)
    if readings[0] is not None and bought is not None and readings[0] >= bought:
        # What is not there yet, or not taken back yet, may be so at any time.
        return None
    held = [reading for reading in readings if reading is not None]
    late = any(one.startswith(label(flow, time_, "debited, later")) for one in exchanges for time_ in (1, 2))
    price = price or _learned(flow, exchanges, name, watch)
    if price is None or late or len(held) < 2:
        return None
    added = [after - before for before, after in pairwise(held)]
    alike = len(added) == MOST_TOP_UPS and all(effects.about(one, added[0], *held) for one in added)
    first = (_number(watch, exchanges.get(f"{label(flow, 1, when)} ({name})")) for when in _FIRST)
    shown = (*held, *(reading for reading in first if reading is not None))
    return Terms(price=price, credit=max(added), start=held[0], sure=held[-2] if alike else None, shown=shown)


def _watched(
    profile: Profile, flow: Flow, endpoint: Endpoint, exchanges: Mapping[str, Exchange]
) -> tuple[str, Observe, Price | None] | None:
    """The probe of the account, with its name, and what the refusal or the profile says of the price."""
    had = exchanges.get(label(flow, 1, "refused"))
    record = effects.refusal(profile, endpoint, had.response) if had else None
    if record is None:
        return None
    try:
        return *effects.account(profile, flow, record), effects.price(flow, record)
    except Unwatched:
        return None


def _number(watch: Observe, exchange: Exchange | None) -> Decimal | None:
    return effects.reading(watch, exchange.response) if exchange else None


def _last(watch: Observe, exchanges: Mapping[str, Exchange], when: str, name: str) -> Decimal | None:
    """What was read at last of what was read until it was as it ought to be."""
    called, nth = f"{when} ({name})", 1
    while (later := f"{when}, later {nth} ({name})") in exchanges:
        called, nth = later, nth + 1
    return _number(watch, exchanges.get(called))


def _learned(flow: Flow, exchanges: Mapping[str, Exchange], name: str, watch: Observe) -> Price | None:
    """What two successes took, where nothing says what they cost; None unless it was the same."""
    taken = []
    for time_ in (1, 2):
        held, left = (
            _number(watch, exchanges.get(f"{label(flow, time_, when)} ({name})")) for when in ("credited", "debited")
        )
        if held is not None and left is not None:
            taken.append(held - left)
    alike = len(taken) == 2 and taken[0] > 0 and effects.about(taken[0], taken[1])
    return Price(minimum=taken[0], maximum=taken[0]) if alike else None


def measured(probe: Probe) -> None:
    """What a few top-ups add, one after another and nothing between them."""
    probe.gather(traversed)
    for flow in flows_of(probe):
        assert probe.endpoint is not None  # noqa: S101 - a flow is told of an endpoint
        found = _watched(probe.profile, flow, probe.endpoint, probe.kept)
        if not flow.undo or found is None:
            continue
        name, watch, _ = found
        with probe.purse.alone():
            # What went before, such as a refusal, is not to count: so one is bought and taken back first.
            alone = f"{_MEASURED} 0"
            had = read(probe, name, watch, label(flow, alone, BEGUN))
            try:
                walk(probe, flow, flow.steps, label(flow, alone, "step"))
                moved = partial(operator.ne, had)
                had = _read_until(probe, (name, watch), label(flow, alone, THEN), moved, _LATE)
            finally:
                walk(probe, flow, flow.undo, label(flow, alone, "undo"), whole=True)
            held = _read_until(probe, (name, watch), label(flow, _MEASURED, BEGUN), partial(operator.ne, had), _LATE)
            bought = 0
            try:
                for number in range(1, MOST_TOP_UPS + 1):
                    bought = number
                    if held is None or not walk(probe, flow, flow.steps, label(flow, f"{_MEASURED} {number}", "step")):
                        break
                    when = label(flow, _MEASURED, f"{THEN} {number}")
                    held = _read_until(probe, (name, watch), when, partial(operator.ne, held), _LATE)
            finally:
                for number in range(1, bought + 1):
                    walk(probe, flow, flow.undo, label(flow, f"{_MEASURED} {number}", "undo"), whole=True)


def _read_until(
    probe: Probe, watched: tuple[str, Observe], when: str, fits: Callable[[Decimal], bool], late: float
) -> Decimal | None:
    """Reads until it ``fits``, or it is ``late`` seconds later; what is read then stands beside ``when``."""
    found = read(probe, *watched, when)
    until, again = time.monotonic() + late, 0
    while found is not None and not fits(found) and time.monotonic() < until:
        time.sleep(_PAUSE)
        again += 1
        found = read(probe, *watched, f"{when}, later {again}")
    return found


def dealt(probe: Probe, program: str) -> None:
    """Carries ``program`` out with the account of each flow; once more where something is wrong, to see it again."""
    for flow in flows_of(probe):
        assert probe.endpoint is not None  # noqa: S101 - a flow is told of an endpoint
        found = _watched(probe.profile, flow, probe.endpoint, probe.kept)
        agreed = terms(probe.profile, flow, probe.endpoint, probe.kept)
        if found is None or agreed is None or not flow.undo:
            continue
        begun = re.compile(re.escape(f"{flow.name} #program ") + rf"\d+: {BEGUN} ")
        turn = 1 + sum(bool(begun.match(one)) for one in probe.kept)
        name, watch, _ = found
        begin = label(flow, _MEASURED, BEGUN)
        waits = sum(one.startswith(f"{begin}, later ") for one in probe.kept)
        # While what was found to be wrong is made smaller, there is no need to wait for a probe that does not lag.
        wrong = any(one.startswith(f"{flow.name} #program ") and AGAIN in one for one in probe.kept)
        with probe.purse.alone():
            for time_ in range(_TRIES + 1):
                called = f"program {turn}" + (f"{AGAIN}{time_}" if time_ else "")
                late = _PAUSE if wrong else _LATE
                course = _Course(
                    probe=probe,
                    flow=flow,
                    watch=(name, watch),
                    terms=agreed,
                    called=called,
                    late=late,
                    lag=_PAUSE * (waits + 1) if waits else 0,
                    rest=_LATE / 2 if time_ and agreed.price.minimum < agreed.price.maximum else 0,
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
        if (held := _read_until(self.probe, self.watch, here, self._is_back, self.late)) is None:
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
                now = _read_until(self.probe, self.watch, f"{here}: {THEN}", fits, self.late)
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
        until, copy = time.monotonic() + (0 if self.in_vain else _LATE), 1
        self.keys.append(keys.fresh_key())
        found = self._came(self.probe.ask(f"{here}: copy 1", **self._under(self.keys[-1])))
        while found is Came.REFUSED and held >= self.terms.price.maximum and time.monotonic() < until:
            time.sleep(_PAUSE)
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
        until, asked = time.monotonic() + _LATE, 0
        while any(one.startswith(late) for one in self.probe.kept) and time.monotonic() < until:
            asked += 1
            exchange = self.probe.ask(f"{here}: closed {asked}", **self._under(keys.fresh_key()))
            if self._came(exchange) is not Came.SERVED:
                return
            time.sleep(_PAUSE)

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
        known = rules is not None and keys.concerned(endpoint, self.probe.profile) and keys.carries(rules, endpoint)
        return known and (rules is None or rules.retention is None or rules.retention >= _FORGOTTEN)

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
