"""What is asked of a flow: from a refusal over its steps to access and back, with what the probes read on the way.

Whatever happens on the way, the steps of ``undo`` are taken: the account is left as it was found.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from urllib.parse import urlencode

from conformance import effects, keys
from conformance.asking import Changes, request_to
from conformance.effects import Unwatched
from conformance.exchange import Exchange, Request
from conformance.probe import Probe
from conformance.profile import Flow, Idempotency, Profile, Step
from conformance.readings import PAUSE, STEPS, Account, read
from conformance.walks import label

__all__ = [
    "REFUSALS",
    "at_once",
    "flows_of",
    "fresh",
    "refused_often",
    "strangers_to",
    "traversed",
    "turns",
    "unbought",
    "volleyed",
    "walk",
]

REFUSALS = 3
"""Refusals between two readings."""
_REST = 0.5
"""Seconds after which a probe is read again, to see whether it moves by itself."""
_USUAL = "idempotency-key"
_MORE = 6
"""Requests, beside as many as it took before, that show whether it opens by itself."""
_UNDO = "undo"
"""Whose budget of requests counts: what is used up at an endpoint, or by steps, does not keep us from giving back."""


def flows_of(probe: Probe) -> tuple[Flow, ...]:
    """The flows that lead out of the endpoint's refusal."""
    return tuple(flow for flow in probe.profile.flows if probe.endpoint and flow.endpoint == probe.endpoint.name)


def at_once(flow: Flow, turn: int, copy: int) -> str:
    """What one of many requests is called that came at the same time."""
    return label(flow, f"round {turn}", f"copy {copy}")


def unbought(flow: Flow, time: int, nth: int) -> str:
    """What a request is called once all was taken back, where access had come a little later than it was bought."""
    return label(flow, time, f"unbought {nth}")


def turns(profile: Profile) -> range:
    """The rounds of a crowd: a gap as narrow as one turn of a server's loop is hit by every other."""
    return range(1, 2 * profile.limits.rounds + 1)


def strangers_to(probe: Probe) -> tuple[str, ...]:
    """Who is refused at the endpoint, as far as the profile tells: of whom something is observed, or a flow is told."""
    endpoint = probe.endpoint
    known = [*(watch.identity for watch in probe.profile.observe.values()), *(f.identity for f in probe.profile.flows)]
    names = dict.fromkeys([endpoint.identity, *known] if endpoint else [])
    # Who takes the steps of a flow is refused before them, whatever else the profile calls him.
    own = {flow.identity for flow in flows_of(probe)}
    return tuple(name for name in names if not endpoint or name in own or name != endpoint.paid_identity)


def traversed(probe: Probe) -> None:
    """Each flow of the endpoint, there and back; twice where one time does not show what a call costs."""
    for flow in flows_of(probe):
        with probe.purse.alone():
            for time_ in (1, 2) if flow.undo else (1,):
                if _traverse(probe, flow, time_):
                    break


def _traverse(probe: Probe, flow: Flow, time_: int) -> bool:
    """Carries ``flow`` out once; whether nothing more is to be seen of it."""
    before = _refused(probe, flow, time_)
    if before is None:
        return True
    done, began, waited = True, time.monotonic(), 0.0
    with _carried_out(probe, flow, time_) as walked:
        if walked:
            held = before.credited()
            _until(probe, flow, label(flow, time_, "opened"), refused=False)
            waited = time.monotonic() - began
            if held is not None:
                # Of a price that may vary, one success shows little.
                fixed = before.price is not None and before.price.minimum == before.price.maximum
                done = before.settle("debited", held, times=1) and fixed
            _by_nobody(probe, flow, time_)
    left = before.undone()
    again = label(flow, time_, "refused again")
    if left is not None and before.price and left >= before.price.minimum:
        # Asked often enough, it would be refused for what the asking took.
        probe.ask(again, **fresh(probe, flow.identity))
        return done
    _until(probe, flow, again, refused=bool(flow.undo))
    if flow.undo and (late := int(waited / PAUSE)):
        # It may open now and then, whatever is bought: so it is asked as often and as long again, and a few times more.
        for nth in range(1, late + _MORE):
            time.sleep(PAUSE if nth <= late else 0)
            probe.ask(unbought(flow, time_, nth), **fresh(probe, flow.identity))
    return done


def _by_nobody(probe: Probe, flow: Flow, time_: int) -> None:
    """Asks without any credential what was opened for the flow's identity, if that has one."""
    endpoint = probe.endpoint
    assert endpoint is not None  # noqa: S101 - a flow is told of an endpoint
    nobody = keys.as_nobody(probe.profile, endpoint)
    if request_to(probe.profile, endpoint, **nobody) != request_to(probe.profile, endpoint, identity=flow.identity):
        probe.ask(label(flow, time_, "nobody"), **Changes(**{**fresh(probe, flow.identity), **nobody}))


def _until(probe: Probe, flow: Flow, called: str, *, refused: bool) -> None:
    """Asks until it is answered as it should be, or it is too late: what was bought elsewhere may come a little later."""
    endpoint = probe.endpoint
    assert endpoint is not None  # noqa: S101 - a flow is told of an endpoint
    answer = probe.ask(called, **fresh(probe, flow.identity))
    until, again = time.monotonic() + flow.within, 0
    while answer.response and time.monotonic() < until:
        if (effects.refusal(probe.profile, endpoint, answer.response) is not None) is refused:
            return
        time.sleep(PAUSE)
        again += 1
        answer = probe.ask(f"{called}, later {again}", **fresh(probe, flow.identity))


def _refused(probe: Probe, flow: Flow, time_: int | str) -> Account | None:
    """Asks as the flow's identity, between two readings; None where it is not refused, and nothing is to be paid for."""
    endpoint = probe.endpoint
    assert endpoint is not None  # noqa: S101 - a flow is told of an endpoint
    for name, watch in probe.profile.observe.items():
        if watch.identity == flow.identity:
            read(probe, name, watch, label(flow, time_, "before"))
    answer = probe.ask(label(flow, time_, "refused"), **fresh(probe, flow.identity))
    record = effects.refusal(probe.profile, endpoint, answer.response)
    had = {
        name: read(probe, name, watch, label(flow, time_, "refused"))
        for name, watch in probe.profile.observe.items()
        if watch.identity == flow.identity
    }
    if record is None:
        return None
    try:
        found = effects.account(probe.profile, flow, record)
    except Unwatched:
        found = None
    held, price = had.get(found[0]) if found else None, effects.price(flow, record)
    return Account(probe=probe, flow=flow, time=time_, watch=found, price=price, refused_at=held)


def fresh(probe: Probe, who: str) -> Changes:
    """The request of ``who``, with an idempotency key of its own where any is known: an old one brings an old answer."""
    endpoint, rules = probe.endpoint, probe.profile.idempotency
    if endpoint is None or endpoint.method in {"GET", "HEAD"}:
        return Changes(identity=who)
    if rules and rules.key.member and keys.carries(rules, endpoint):
        return Changes(**{**keys.carried(rules, endpoint, keys.fresh_key()), "identity": who})
    given = next((name for name in endpoint.headers if name.lower() == _USUAL), "")
    name = (rules.key.header if rules else None) or given
    return Changes(identity=who, headers={name: _fresh_field(rules)}) if name else Changes(identity=who)


def _fresh_field(rules: Idempotency | None) -> str:
    key = keys.fresh_key()
    return f'"{key}"' if rules and rules.quoted else key


@contextmanager
def _carried_out(probe: Probe, flow: Flow, time_: int | str) -> Iterator[bool]:
    """Takes the steps of ``flow``, tells whether each was answered as it is to be, and takes those of its undo at last."""
    try:
        yield walk(probe, flow, flow.steps, label(flow, time_, "step"))
    finally:
        walk(probe, flow, flow.undo, label(flow, time_, "undo"), whole=True)


def walk(probe: Probe, flow: Flow, steps: tuple[Step, ...], called: str, *, whole: bool = False) -> bool:
    """Takes ``steps``, up to the first that is not answered as it is to be, unless the ``whole`` way is to be gone."""
    for number, step in enumerate(steps, 1):
        exchange = probe.wire.send(_step(probe, flow, step), account=_UNDO if whole else STEPS)
        probe.kept[f"{called} {number}"] = exchange
        if not whole and not fulfilled(step, exchange):
            return False
    return True


def fulfilled(step: Step, exchange: Exchange) -> bool:
    """Whether a step was answered as the profile says; by any 2xx, where it says nothing."""
    if exchange.failure or exchange.response is None:
        return False
    status = exchange.response.status
    return status in step.expect if step.expect else 200 <= status < 300


def _step(probe: Probe, flow: Flow, step: Step) -> Request:
    rules = probe.profile.idempotency
    named = {_USUAL, (rules.key.header or _USUAL).lower() if rules else _USUAL}
    # Under a key that was brought before, nothing would be bought a second time.
    fields = {name: _fresh_field(rules) if name.lower() in named else value for name, value in step.headers.items()}
    body, media_type = (step.body or "").encode(), ""
    if step.json is not None:
        body, media_type = json.dumps(keys.renewed(rules, step.json)).encode(), "application/json"
    elif step.form is not None:
        body, media_type = urlencode(step.form).encode(), "application/x-www-form-urlencoded"
    if media_type and "content-type" not in {name.lower() for name in fields}:
        fields["Content-Type"] = media_type
    return request_to(
        probe.profile,
        None,
        method=step.method,
        path=step.path,
        query=step.query,
        headers=fields,
        identity=flow.identity,
        body=body,
    )


def volleyed(probe: Probe) -> None:
    """Rounds of as many requests at the same time as the limits allow, where the account pays for fewer.

    Not where a single success does not take what it should: many would show no more.
    """
    probe.gather(traversed)
    for flow in flows_of(probe):
        if any(called.startswith(label(flow, time_, "debited, later")) for called in probe.kept for time_ in (1, 2)):
            continue
        with probe.purse.alone():
            wrong = 0
            for turn in turns(probe.profile) if flow.undo else ():
                came = _volley(probe, flow, turn)
                wrong += came is False
                # Too many once, or a wrong sum twice, is enough.
                if came is None or wrong == 2:
                    break
                # What is taken back a moment later would be taken from what is bought next.
                time.sleep(flow.within if wrong else 0)


def _volley(probe: Probe, flow: Flow, turn: int) -> bool | None:
    """One round; whether the account has what it should have, and None where nothing more is to be seen."""
    endpoint = probe.endpoint
    assert endpoint is not None  # noqa: S101 - a flow is told of an endpoint
    many = probe.profile.limits.volley
    called = f"round {turn}"
    account = _refused(probe, flow, called)
    if account is None or account.price is None or account.price.minimum <= 0 or account.watch is None:
        return None
    with _carried_out(probe, flow, called) as walked:
        held = account.credited() if walked else None
        if held is None or account.refused_at is None or not held < account.price.minimum * many:
            return None
        if account.price.maximum > (there := effects.means(held, account.refused_at)):
            return None
        # Where access came late, it is given the time that it took.
        time.sleep(2 * PAUSE * sum(one.startswith(label(flow, 1, "opened, later")) for one in probe.kept))
        requests = [request_to(probe.profile, endpoint, **fresh(probe, flow.identity)) for _ in range(many)]
        answered = probe.wire.send_at_once(requests, account=endpoint.name)
        for copy, exchange in enumerate(answered, 1):
            probe.kept[at_once(flow, turn, copy)] = exchange
        open_ = [one for one in answered if one.response and 200 <= one.response.status < 300]
        good = [one for one in open_ if effects.refusal(probe.profile, endpoint, one.response) is None]
        lost = sum(one.response is None or one.failure is not None for one in answered)
        settled = account.settle("debited", held, times=len(good), lost=lost)
        return None if len(good) * account.price.minimum > there else settled


def refused_often(probe: Probe) -> None:
    """Some refusals of each who is refused here, between readings of every probe; twice where a probe has moved.

    Before that, the steps of a flow show whether a probe moves at all.
    """
    watches = probe.profile.observe
    flow = next((flow for flow in (*flows_of(probe), *probe.profile.flows) if flow.undo), None)

    def read_all(when: str) -> list[Decimal | None]:
        return [read(probe, name, watch, when) for name, watch in watches.items()]

    with probe.purse.alone():
        if flow:
            held = read_all(label(flow, "control", "before"))
            with _carried_out(probe, flow, "control"):
                until = time.monotonic() + flow.within
                while read_all(label(flow, "control", "after")) == held and time.monotonic() < until:
                    time.sleep(PAUSE)
        for who in strangers_to(probe):
            for time_ in (1, 2):
                before = read_all(f"{who} #{time_}: before")
                for nth in range(1, REFUSALS + 1):
                    asked = probe.ask(f"{who} #{time_}: refusal {nth}", **fresh(probe, who))
                    if probe.endpoint and not effects.refusal(probe.profile, probe.endpoint, asked.response):
                        break
                if read_all(f"{who} #{time_}: after") == before:
                    break
                time.sleep(_REST)
                read_all(f"{who} #{time_}: at rest")
