"""What is asked under an idempotency key: once more, otherwise, by somebody else, in copies, and under odd keys."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from conformance.asking import Changes, request_to
from conformance.exchange import Exchange, Request
from conformance.keys import (
    NOBODY,
    are_brief,
    as_nobody,
    callers,
    carried,
    carries,
    changed,
    fresh_key,
    key_in,
    refuses,
    without_key,
)
from conformance.paid import NOTHING
from conformance.probe import Probe
from conformance.profile import Endpoint, Family, Idempotency

__all__ = [
    "AFTER",
    "AGAIN",
    "ALONE",
    "AT_REST",
    "EARLY",
    "FIRST",
    "LAST",
    "LATER",
    "MORE",
    "ODD",
    "TURNED_AWAY",
    "alone",
    "by_others",
    "copies",
    "declined",
    "freed",
    "keyless",
    "odd_keys",
    "once_more",
    "other_request",
    "respelled",
    "twice",
]

FIRST, AGAIN = "keyed", "keyed again"
LATER = "keyed, later "
"""The witness after the first request, a little later each, until it moves."""
AT_REST = "keyed, at rest"
EARLY = "keyed again, too early"
"""Where the first is said to be under way, when it comes again."""
ALONE, AFTER = "keyed, alone", "keyed, after that"
TURNED_AWAY = "keyed, nobody"
"""What nobody asks: where that moves the witness as well, it counts requests."""
LAST = "keyed at last"
"""The same once more, after requests under other keys."""
MORE = ("keyed at last, once more", "keyed at last, twice more")
"""The same, each after one more under another key, where something has moved."""

ODD: Mapping[str, Callable[[str], str]] = {
    "empty": lambda _: "",
    "of 256 characters": lambda key: key.ljust(256, "k"),
    "of 10,000 characters": lambda key: key.ljust(10_000, "k"),
    "beyond ASCII": lambda key: f"{key}-cl\u00e9",
    "with half a quote": lambda key: f'"{key}',
}
"""Keys that are hardly any, made of one that is."""

_ROUNDS, _COPIES = 2, 8
"""At most; each round may cost something."""
_STEP, _LATEST = 0.1, 20
"""Seconds until a witness that lags is read again, and how often at most."""
_PAUSE = 0.3
"""Seconds that a server has to finish what it has answered."""


def _asks(probe: Probe) -> tuple[Idempotency, Endpoint, str] | None:
    """What a gather needs that asks in the name of who is served; None where nobody is."""
    rules, endpoint = probe.profile.idempotency, probe.endpoint
    if rules is None or endpoint is None or endpoint.paid_identity is None or not carries(rules, endpoint):
        return None
    return rules, endpoint, endpoint.paid_identity


def _kept_key(probe: Probe) -> str:
    """The key under which an answer is kept; empty where nobody was served."""
    probe.gather(twice)
    first = probe.kept.get(FIRST)
    if first is None or first.response is None or probe.endpoint is None or probe.profile.idempotency is None:
        return ""
    if refuses(probe.profile, probe.endpoint, first.response):
        return ""
    return key_in(probe.profile.idempotency, first.request)


def _watched(probe: Probe, ask: Callable[[], Exchange], label: str) -> Exchange:
    """What ``ask`` gets, with what the witness reads before and after it stands with ``label``, if there is one."""
    if probe.endpoint is None or probe.endpoint.witness is None:
        return ask()
    late = sum(one.startswith(LATER) for one in probe.kept)
    # What came late once is given that time, and a little more; so is what was asked before.
    rest = _STEP * (1.5 * late + 1) if late else 0
    with probe.purse.alone():
        time.sleep(rest)
        before = probe.witnessed()
        ask()
        time.sleep(rest)
        after = probe.witnessed()
    seen = None if before is None or after is None else (before, after)
    probe.kept[label] = replace(probe.kept[label], paid=replace(NOTHING, witness=seen))
    return probe.kept[label]


def twice(probe: Probe) -> None:
    """The request of who is served under a fresh key, and the same once more; twice where it is still under way."""
    # Nobody asks in between: a witness may lag.
    with probe.purse.alone():
        _twice(probe)


def _twice(probe: Probe) -> None:
    if (asks := _asks(probe)) is None:
        return
    rules, endpoint, paid = asks
    same = _both(Changes(identity=paid), carried(rules, endpoint, fresh_key()))
    first = _watched(probe, lambda: probe.ask(FIRST, **same), FIRST)
    if first.response is None or refuses(probe.profile, endpoint, first.response):
        return
    _until_moved(probe, first)
    again = _watched(probe, lambda: probe.ask(AGAIN, **same), AGAIN)
    waits = again.response and again.response.status != first.response.status
    if again.response and waits and again.response.status in rules.in_flight:
        probe.kept[EARLY] = again
        time.sleep(_PAUSE)
        again = _watched(probe, lambda: probe.ask(AGAIN, **same), AGAIN)
    if again.paid and again.paid.witness and again.paid.witness[0] != again.paid.witness[1]:
        # It may be one that others move.
        probe.rest(AT_REST, again)


def _until_moved(probe: Probe, first: Exchange) -> None:
    """Reads the witness on where ``first`` did not move it; one that does not move at all is not waited for again."""
    if first.paid is None or first.paid.witness is None or first.paid.witness[0] != first.paid.witness[1]:
        return
    before = first.paid.witness[0]
    seen: dict[str, Exchange] = {}
    with probe.purse.alone():
        for nth in range(1, _LATEST + 1):
            time.sleep(_STEP)
            if (now := probe.witnessed()) is None:
                return
            seen[f"{LATER}{nth}"] = replace(first, paid=replace(NOTHING, witness=(before, now)))
            if now != before:
                probe.kept.update(seen)
                return


def by_others(probe: Probe) -> None:
    """The same request of others, under a key of their own and under the one whose answer is kept."""
    if (asks := _asks(probe)) is None or not (kept := _kept_key(probe)):
        return
    rules, endpoint, _ = asks
    served = False
    for name, who in callers(probe.profile, endpoint).items():
        own = probe.ask(f"own key of {name}", **_both(who, carried(rules, endpoint, fresh_key()))).response
        label, same = f"kept key by {name}", _both(who, carried(rules, endpoint, kept))
        brought = _watched(probe, partial(probe.ask, label, **same), label).response
        entitled = bool(own and name != NOBODY and not refuses(probe.profile, endpoint, own))
        # Of who is served, one is asked at length.
        if brought and not refuses(probe.profile, endpoint, brought) and not (served and entitled):
            _once_more(probe, rules, name, who)
        served = served or entitled


def _once_more(probe: Probe, rules: Idempotency, name: str, who: Changes) -> None:
    """Another answer is kept, and its key brought by another, who asked under keys of his own before and after that.

    Accounts that are asked in step may count to the same number once, and who is refused may be served by and by.
    """
    endpoint = probe.endpoint
    assert endpoint is not None  # noqa: S101 - only an endpoint takes keys
    key, paid = fresh_key(), endpoint.paid_identity or ""
    probe.ask(f"another answer, for {name}", **_both(Changes(identity=paid), carried(rules, endpoint, key)))
    for nth in (1, 2):
        probe.ask(f"once more, own key {nth} of {name}", **_both(who, carried(rules, endpoint, fresh_key())))
    probe.ask(f"once more, kept key by {name}", **_both(who, carried(rules, endpoint, key)))
    probe.ask(f"once more, own key 3 of {name}", **_both(who, carried(rules, endpoint, fresh_key())))


def _both(who: Changes, same: Changes) -> Changes:
    return Changes(**{**same, **who})


def other_request(probe: Probe) -> None:
    """Another request of who is served: under a fresh key, and once one is served so, under the key that is used."""
    if (asks := _asks(probe)) is None or not (kept := _kept_key(probe)):
        return
    rules, endpoint, paid = asks
    for name, document, query in changed(rules, endpoint):
        who = Changes(identity=paid, query=query)
        fresh = carried(rules, endpoint, fresh_key(), document)
        served = probe.ask(f"other request, {name}", **_both(who, fresh)).response
        if served and not refuses(probe.profile, endpoint, served):
            used = carried(rules, endpoint, kept, document)
            probe.ask(f"used key, {name}", **_both(who, used))
            return


def copies(probe: Probe) -> None:
    """Copies of one request under a key of their own, whole at the same moment; a second time unless two were served."""
    if (asks := _asks(probe)) is None or not _kept_key(probe):
        return
    rules, endpoint, paid = asks
    limits = probe.profile.limits
    for turn in range(1, min(_ROUNDS, limits.rounds) + 1):
        same = _both(Changes(identity=paid), carried(rules, endpoint, fresh_key()))
        request = request_to(probe.profile, endpoint, **same)
        labels = [f"round {turn}, copy {n}" for n in range(1, min(_COPIES, limits.volley) + 1)]

        def ask(labels: list[str] = labels, request: Request = request) -> Exchange:
            answered = probe.wire.send_at_once([request] * len(labels), account=endpoint.name)
            probe.kept.update(zip(labels, answered, strict=True))
            return answered[0]

        with probe.purse.alone():
            _watched(probe, ask, labels[0])
        answers = [probe.kept[label].response for label in labels]
        served = {a.body for a in answers if a and not refuses(probe.profile, endpoint, a)}
        if len(served) > 1:
            return


def once_more(probe: Probe) -> None:
    """The request under the key whose answer is kept, once others came under keys of their own."""
    if (asks := _asks(probe)) is None or not (kept := _kept_key(probe)):
        return
    rules, endpoint, paid = asks
    if not are_brief(rules):
        probe.gather(copies)
        same = _both(Changes(identity=paid), carried(rules, endpoint, kept))
        last = _watched(probe, lambda: probe.ask(LAST, **same), LAST)
        moved = last.paid and last.paid.witness and last.paid.witness[0] != last.paid.witness[1]
        for label in MORE if moved else ():
            probe.ask(f"{label}, another key", **_both(Changes(identity=paid), carried(rules, endpoint, fresh_key())))

            def ask(label: str = label) -> Exchange:
                return probe.ask(label, **same)

            _watched(probe, ask, label)


def alone(probe: Probe) -> None:
    """One more request under a fresh key, what the witness does after it, and whether who is refused moves it too.

    Only where it moved by more than by one.
    """
    probe.gather(copies)
    probe.gather(once_more)
    spans = {label: one.paid.witness for label, one in probe.kept.items() if one.paid and one.paid.witness}
    moves = {label: after - before for label, (before, after) in spans.items()}
    more = any(abs(move) > abs(moves.get(FIRST, 0)) for label, move in moves.items() if label.startswith("round "))
    if (asks := _asks(probe)) is None or not (more or any(moves.get(label) for label in (EARLY, AGAIN, LAST))):
        return
    rules, endpoint, paid = asks
    fresh = _both(Changes(identity=paid), carried(rules, endpoint, fresh_key()))
    probe.rest(AFTER, _watched(probe, lambda: probe.ask(ALONE, **fresh), ALONE))
    nobody = _both(as_nobody(probe.profile, endpoint), carried(rules, endpoint, fresh_key()))
    _watched(probe, lambda: probe.ask(TURNED_AWAY, **nobody), TURNED_AWAY)


def odd_keys(probe: Probe) -> None:
    """The request of who is served under keys that are hardly any."""
    if (asks := _asks(probe)) is None or not _kept_key(probe):
        return
    rules, endpoint, paid = asks
    for name, made in ODD.items():
        odd = carried(rules, endpoint, made(fresh_key()), raw="quote" in name)
        probe.ask(f"key {name}", **_both(Changes(identity=paid), odd))


def keyless(probe: Probe) -> None:
    """The request of who is served without a key, where the profile says that this is refused."""
    if (asks := _asks(probe)) is None or not asks[0].missing or not _kept_key(probe):
        return
    rules, endpoint, paid = asks
    probe.ask("no key", **_both(Changes(identity=paid), without_key(rules, endpoint)))


def respelled(probe: Probe) -> None:
    """The kept key without its quotes, where keys are texts of structured fields."""
    if (asks := _asks(probe)) is None or not (kept := _kept_key(probe)):
        return
    rules, endpoint, paid = asks
    if rules.quoted and rules.key.header:
        bare = carried(rules, endpoint, kept, raw=True)
        probe.ask("kept key, bare", **_both(Changes(identity=paid), bare))


def freed(probe: Probe) -> None:
    """A request that is refused for want of money, or of a name, and then that of who is served under the same key."""
    if (asks := _asks(probe)) is None or not _kept_key(probe):
        return
    rules, endpoint, paid = asks
    families = _families(probe, endpoint)
    # Who is declined may be the same account with another card, to whom the decline comes again.
    lacks_money = families and Family.DECLINE not in families
    who = Changes(identity=endpoint.identity) if lacks_money else as_nobody(probe.profile, endpoint)
    same = carried(rules, endpoint, fresh_key())
    first = probe.ask("refused under a key", **_both(who, same)).response
    if first and refuses(probe.profile, endpoint, first):
        _at_last(probe, rules, "served under that key", _both(Changes(identity=paid), same))


def _at_last(probe: Probe, rules: Idempotency, label: str, changes: Changes) -> None:
    """Asks; a second time where it is told that the request before is still under way."""
    answer = probe.ask(label, **changes).response
    if answer and answer.status in rules.in_flight:
        time.sleep(_PAUSE)
        probe.ask(label, **changes)


def _families(probe: Probe, endpoint: Endpoint) -> set[Family]:
    return {answer.family for answer in probe.profile.answers if answer.name in endpoint.answers}


def declined(probe: Probe) -> None:
    """The plain request under a fresh key, and once more, where a refusal is meant to be kept."""
    rules, endpoint = probe.profile.idempotency, probe.endpoint
    if rules is None or endpoint is None or rules.errors != "stored" or not carries(rules, endpoint):
        return
    if Family.DECLINE not in _families(probe, endpoint):
        return
    same = carried(rules, endpoint, fresh_key())
    probe.ask("declined", **same)
    _at_last(probe, rules, "declined again", same)
