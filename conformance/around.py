"""What is asked to find a way round a paywall: the endpoint's request in every other writing, and what that is worth.

Each batch is asked once, one request after the other, each on a connection of its own. Where an answer shows what is
sold, or the witness moved, it is asked once more, in other places too: only that tells a way round from a page for all.
"""

import time
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from conformance.asking import request_to
from conformance.controls import (
    ELSEWHERE,
    LOOKED_AT,
    PLAIN,
    after,
    ask_all,
    look_at,
    noted,
    nowhere,
    refuses,
    shows,
    usual_of,
    watch_each,
    worthwhile,
)
from conformance.exchange import Exchange, Request
from conformance.gather import paid, spoken, unpaid
from conformance.probe import Probe
from conformance.purse import Order
from conformance.spelling import Spelling, spelled
from conformance.ways import FOLDER, JOIN, PARTS, WAYS, Group, Part, along

__all__ = [
    "AT_FIRST",
    "BATCHES",
    "HEAD",
    "KEPT",
    "NOWHERE",
    "SERVED",
    "SOUND",
    "VARIANT",
    "Ways",
    "at_first",
    "heads",
    "is_down",
    "kept_open",
    "slow",
    "variant",
    "variants",
]

HEAD = "HEAD"
KEPT = "behind a paid one, "
SERVED = "HEAD: GET by who has paid"
NOWHERE = "as usual, at a path that is nowhere"
AT_FIRST = "as usual, at first"
VARIANT = "variant: "

SOUND = 5
"""How often it is asked as usual, where that seems to have become slow or to fail."""
_PAUSE = 0.2
_SLOWER = 5.0
_BY = 0.25
"""A request that takes so many times as long, and so many seconds longer, has become slow."""
_SHUTS_OUT = {403, 429, 503}


def _written(ways: str, plain: Spelling) -> Request:
    return along(ways, plain).request()


def at_first(probe: Probe) -> None:
    """The usual request in bytes, twice: how long it takes, before anything else was asked; and where nothing is."""
    probe.gather(unpaid)
    if worthwhile(probe):
        for number in (1, 2):
            probe.send(f"{AT_FIRST} #{number}", usual_of(probe).request(), raw=True)
        probe.send(NOWHERE, nowhere(usual_of(probe)).request(), raw=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """A gather: the request written in all the ways of some groups, and then as usual."""

    batch: str
    groups: tuple[Group, ...]

    @property
    def __name__(self) -> str:
        return f"ways of {self.batch}"

    def __call__(self, probe: Probe) -> None:
        """Asks."""
        probe.gather(unpaid)
        probe.gather(paid)
        probe.gather(at_first)
        if not worthwhile(probe):
            return
        plain = usual_of(probe)
        ways = [key for key, way in WAYS.items() if way.group in self.groups and way.of(plain)]
        if FOLDER in ways and not _means_all(probe):
            ways.remove(FOLDER)
        witness = bool(probe.endpoint and probe.endpoint.witness)
        with probe.purse.alone() if witness else nullcontext():
            before = probe.witnessed()
            ask_all(probe, ways, plain, _written)
            _as_usual(probe, self.batch, plain)
            moved = noted(probe, after(self.batch), before)
        if moved:
            watch_each(probe, ways, plain, _written)
        for group in self.groups:
            shown = [k for k in ways if WAYS[k].group is group and k in probe.kept and shows(probe, k)]
            for key in shown[:LOOKED_AT]:
                look_at(probe, key, key, plain, _written)


BATCHES: tuple[Ways, ...] = (
    Ways(
        batch="other paths",
        groups=(Group.SLASHES, Group.DOTS, Group.SUFFIXES, Group.CASE, Group.LETTERS),
    ),
    Ways(batch="other escapes", groups=(Group.ENCODED_SLASHES, Group.MALFORMED, Group.CONTROLS)),
    Ways(batch="other targets", groups=(Group.TARGETS, Group.FRAGMENTS, Group.QUERIES)),
    Ways(batch="other fields", groups=(Group.HOSTS, Group.REWRITTEN, Group.TRUSTED, Group.SPECIAL, Group.REPEATED)),
    Ways(batch="other methods", groups=(Group.OVERRIDE, Group.BODIES, Group.METHODS)),
)
"""All of them, in their order; what may change something at the target comes last."""


def _as_usual(probe: Probe, batch: str, plain: Spelling) -> None:
    """The usual request, and where it is slow or fails a few times more."""
    had = probe.send(after(batch), plain.request(), raw=True)
    first = [probe.kept[f"{AT_FIRST} #{number}"] for number in (1, 2)]
    if not _ails(had, first):
        return
    for number in range(2, SOUND + 1):
        # Who lets wait whoever asks too often does so no more after a while.
        time.sleep(_PAUSE * 2 ** (number - 2))
        had = probe.send(f"{after(batch)} #{number}", plain.request(), raw=True)
        if is_down(had):
            return


def is_down(had: Exchange) -> bool:
    """Whether a request was not sent, because the target had stopped answering."""
    return had.failure is not None and had.failure.kind == "down"


def _ails(had: Exchange, first: list[Exchange]) -> bool:
    """Whether an answer is slow, or fails, beside those before; a target that shuts us out does not."""
    if had.response is None or had.failure:
        return True
    return had.response.status >= 500 or slow(had, first)


def slow(had: Exchange, usual: Iterable[Exchange]) -> bool:
    """Whether a request took much longer than the usual one did."""
    most = max(exchange.took for exchange in usual)
    return had.took > max(_SLOWER * most, most + _BY)


def _means_all(probe: Probe) -> bool:
    """Whether what is nowhere beside the endpoint is refused too: its price is on more than the one path."""
    answer = probe.kept[NOWHERE].response
    return bool(probe.endpoint and answer and refuses(probe.profile, probe.endpoint, answer))


def heads(probe: Probe) -> None:
    """HEAD in place of GET, twice, where the witness sees it; and at a path that is nowhere."""
    probe.gather(unpaid)
    probe.gather(paid)
    endpoint = probe.endpoint
    if endpoint is None or endpoint.method != "GET" or not worthwhile(probe):
        return
    plain = usual_of(probe)
    head = replace(plain, method="HEAD")
    with probe.purse.alone() if endpoint.witness else nullcontext():
        for label, spelling in ((f"{HEAD} #1", head), (f"{HEAD} #2", head), (f"{HEAD}{PLAIN}", plain)):
            before = probe.witnessed()
            probe.send(label, spelling.request(), raw=True)
            noted(probe, label, before)
        first = probe.kept[f"{HEAD} #1"]
        answered = first.response is not None and first.response.status < 300
        if first.paid and first.paid.witness and (answered or first.paid.witness[0] != first.paid.witness[1]):
            probe.rest(f"{HEAD}, at rest", first)
    probe.send(f"{HEAD}{ELSEWHERE}", replace(nowhere(plain), method="HEAD").request(), raw=True)
    if not answered or not endpoint.witness:
        return
    # That the witness stands still says something only where it moves for who is served.
    if endpoint.paid_identity:
        with probe.purse.alone():
            before = probe.witnessed()
            probe.ask(SERVED, identity=endpoint.paid_identity)
            noted(probe, SERVED, before)
    elif endpoint.protocol and probe.purse.scripted and (answer := probe.kept["unpaid"].response):
        probe.pay(SERVED, Order(version=spoken(endpoint.versions, answer)[-1]), watched=True)


def kept_open(probe: Probe) -> None:
    """The request of who has paid, and the usual one behind it on the same connection: in one write, and after a pause."""
    probe.gather(unpaid)
    probe.gather(paid)
    endpoint = probe.endpoint
    if endpoint is None or endpoint.paid_identity is None or not worthwhile(probe):
        return
    bought = spelled(request_to(probe.profile, endpoint, identity=endpoint.paid_identity)).request()
    first = replace(bought, headers=(*bought.headers, ("Connection", "keep-alive"))).message().decode("latin-1")
    plain = usual_of(probe).request()
    probe.send(f"{KEPT}in one write", replace(plain, line=first + plain.line), raw=True)
    if shows(probe, f"{KEPT}in one write"):
        probe.send(f"{KEPT}in one write{PLAIN}", plain, raw=True)
    if endpoint.method == "GET":
        probe.ask(f"{KEPT}paid", identity=endpoint.paid_identity)
        probe.ask(f"{KEPT}one after the other")
        if shows(probe, f"{KEPT}one after the other"):
            probe.send(f"{KEPT}one after the other{PLAIN}", plain, raw=True)


def variants(probe: Probe) -> st.SearchStrategy[str]:
    """Ways that go together, joined: one to write the path, and one or two others; empty for none."""
    if probe.endpoint is None:
        return st.just("")
    plain = usual_of(probe)
    known = {part: [key for key in keys if key != FOLDER and WAYS[key].of(plain)] for part, keys in PARTS.items()}
    others = [key for part, keys in known.items() if part is not Part.PATH for key in keys]
    # A path and one thing more, as a rule: each by itself has a row, and what is odd in all it has is refused for any of it.
    more = st.one_of(st.just(""), st.just(""), st.sampled_from(["", *others]))
    drawn = st.tuples(st.sampled_from(["", *others]), st.sampled_from(["", *known[Part.PATH]]), more)
    return drawn.map(lambda keys: JOIN.join(dict.fromkeys(filter(None, keys))))


def variant(probe: Probe, value: str) -> None:
    """Sends what ``variants`` drew; what was asked already is not asked again."""
    if not value or not worthwhile(probe) or (label := f"{VARIANT}{value}") in probe.kept:
        return
    plain = usual_of(probe)
    request = along(value, plain).request()
    if request == plain.request():
        return
    if value in probe.kept:
        probe.kept[label] = probe.kept[value]
    else:
        probe.send(label, request, raw=True)
    if shows(probe, label):
        look_at(probe, label, value, plain, _written)
    elif (had := probe.kept[label].response) and had.status in _SHUTS_OUT:
        probe.send(f"{label}{PLAIN}", plain.request(), raw=True)
