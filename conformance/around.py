"""What is asked to find a way round a paywall: the endpoint's request in every other writing, and what that is worth.

Each batch is asked once, one request after the other, each on a connection of its own. Where an answer shows what is
sold, or the witness moved, it is asked once more, in other places too: only that tells a way round from a page for all.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from conformance import facts
from conformance.asking import request_to
from conformance.exchange import Exchange, Response
from conformance.gather import paid, spoken, unpaid
from conformance.marks import disguised, holds, marked
from conformance.paid import NOTHING
from conformance.probe import Probe
from conformance.profile import Endpoint, Family, Profile
from conformance.purse import Order
from conformance.spelling import Spelling, spelled
from conformance.ways import JOIN, PARTS, WAYS, Group, Part, along

__all__ = [
    "AGAIN",
    "AT_FIRST",
    "BATCHES",
    "ELSEWHERE",
    "FREE",
    "HEAD",
    "KEPT",
    "NOWHERE",
    "PLAIN",
    "SERVED",
    "SOUND",
    "VARIANT",
    "WATCHED",
    "Ways",
    "after",
    "asked_of",
    "at_first",
    "buys_nothing",
    "free_path",
    "heads",
    "kept_open",
    "refuses",
    "slow",
    "usual",
    "variant",
    "variants",
]

AGAIN = " (again)"
ELSEWHERE = " (at a path that is nowhere)"
FREE = " (at a path that is free)"
PLAIN = " (and then as usual)"
WATCHED = " (watched)"
"""What the controls of a request are called, after its own name."""
HEAD = "HEAD"
KEPT = "behind a paid one, "
SERVED = "HEAD: GET by who has paid"
NOWHERE = "as usual, at a path that is nowhere"
AT_FIRST = "as usual, at first"
VARIANT = "variant: "

_LOOKED_AT = 3
"""How many of a group that show what is sold are looked at more closely."""
_HANGS = 2
"""Requests in a row that are not answered in time, after which no more of a batch is asked."""
SOUND = 5
"""How often it is asked as usual, where that seems to have become slow or to fail."""
_PAUSE = 0.2
_SLOWER = 5.0
_BY = 0.25
"""A request that takes so many times as long, and so many seconds longer, has become slow."""
_SHUTS_OUT = {403, 429, 503}


def after(batch: str) -> str:
    """What the usual request after a batch is called; later ones have a number behind it."""
    return f"as usual, after {batch}"


def buys_nothing(profile: Profile, endpoint: Endpoint) -> bool:
    """Whether all that is refused here is a payment: there is nothing to get round to."""
    families = {answer.family for answer in profile.answers if answer.name in endpoint.answers}
    return endpoint.protocol is None and families == {Family.DECLINE}


def free_path(profile: Profile) -> str:
    """A path of the target that is for everybody, if the profile says of any."""
    crawl, start = profile.crawl, profile.target.start
    named = [path for path in crawl.paths if path not in crawl.paywalled] if crawl else []
    return named[0] if named else start.ready if start and start.ready != "/" else ""


def usual(profile: Profile, endpoint: Endpoint | None, path: str = "") -> Spelling:
    """The usual request of an endpoint in its parts; fields that tell identities apart say who asks."""
    told = [profile.target.headers, *(identity.headers for identity in profile.identities.values())]
    own = frozenset(name.lower() for headers in told for name in headers)
    return spelled(request_to(profile, endpoint, path=path), own)


def _usual(probe: Probe) -> Spelling:
    return usual(probe.profile, probe.endpoint)


def _worthwhile(probe: Probe) -> bool:
    """Whether the usual request is refused, and there is something that could be given away."""
    endpoint, answer = probe.endpoint, probe.kept["unpaid"].response
    if endpoint is None or answer is None or buys_nothing(probe.profile, endpoint):
        return False
    return refuses(probe.profile, endpoint, answer)


def refuses(profile: Profile, endpoint: Endpoint, answer: Response) -> bool:
    """Whether ``answer`` is a refusal for want of money: a 402, or what the endpoint declares in its place."""
    rules = [rule for rule in profile.answers if rule.name in endpoint.answers]
    return answer.status == 402 or bool(facts.matching(rules, answer))


def at_first(probe: Probe) -> None:
    """The usual request in bytes, twice: how long it takes, before anything else was asked; and where nothing is."""
    probe.gather(unpaid)
    if _worthwhile(probe):
        for number in (1, 2):
            probe.send(f"{AT_FIRST} #{number}", _usual(probe).request(), raw=True)
        probe.send(NOWHERE, _nowhere(_usual(probe)).request(), raw=True)


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
        if not _worthwhile(probe):
            return
        plain = _usual(probe)
        ways = [key for key, way in WAYS.items() if way.group in self.groups and way.of(plain)]
        witness = bool(probe.endpoint and probe.endpoint.witness)
        with probe.purse.alone() if witness else nullcontext():
            before = probe.witnessed()
            _ask_all(probe, ways, plain)
            _as_usual(probe, self.batch, plain)
            moved = _noted(probe, after(self.batch), before)
        if moved:
            _watch_each(probe, ways, plain)
        for group in self.groups:
            shown = [k for k in ways if WAYS[k].group is group and k in probe.kept and _shows(probe, k)]
            for key in shown[:_LOOKED_AT]:
                _look_at(probe, key, key, plain)


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


def _ask_all(probe: Probe, ways: list[str], plain: Spelling) -> None:
    hanging = 0
    for key in ways:
        for _ in range(2):
            had = probe.send(key, along(key, plain).request(), raw=True)
            # On a busy machine one is late now and then.
            late = had.failure is not None and had.failure.kind == "timeout"
            if not late:
                break
        hanging = hanging + 1 if late else 0
        if hanging == _HANGS:
            return


def _as_usual(probe: Probe, batch: str, plain: Spelling) -> None:
    """The usual request, and where it is slow or fails a few times more."""
    had = probe.send(after(batch), plain.request(), raw=True)
    first = [probe.kept[f"{AT_FIRST} #{number}"] for number in (1, 2)]
    if not _ails(had, first):
        return
    for number in range(2, SOUND + 1):
        time.sleep(_PAUSE)
        probe.send(f"{after(batch)} #{number}", plain.request(), raw=True)


def _ails(had: Exchange, first: list[Exchange]) -> bool:
    """Whether an answer is slow, or fails, beside those before; a target that shuts us out does not."""
    if had.response is None or had.failure:
        return True
    return had.response.status >= 500 or slow(had, first)


def slow(had: Exchange, usual: Iterable[Exchange]) -> bool:
    """Whether a request took much longer than the usual one did."""
    most = max(exchange.took for exchange in usual)
    return had.took > max(_SLOWER * most, most + _BY)


def _noted(probe: Probe, label: str, before: int | None) -> int:
    """Notes what the witness reads on the exchange ``label``, and by how much that is more than ``before``."""
    now = probe.witnessed() if before is not None else None
    if before is None or now is None:
        return 0
    exchange = probe.kept[label]
    probe.kept[label] = replace(exchange, paid=replace(exchange.paid or NOTHING, witness=(before, now)))
    return now - before


def _watch_each(probe: Probe, ways: list[str], plain: Spelling) -> None:
    """Each way once more, with what the witness reads before and after; and the usual request, and none at all."""
    with probe.purse.alone():
        probe.rest(f"at rest, before {ways[0]}", probe.kept["unpaid"])
        before = probe.witnessed()
        usual = f"as usual{WATCHED}, before {ways[0]}"
        probe.send(usual, plain.request(), raw=True)
        _noted(probe, usual, before)
        for key in ways:
            if key in probe.kept:
                before = probe.witnessed()
                probe.send(f"{key}{WATCHED}", along(key, plain).request(), raw=True)
                _noted(probe, f"{key}{WATCHED}", before)


def _shows(probe: Probe, key: str) -> bool:
    """Whether an answer has the marker, or all that is sold."""
    endpoint, had = probe.endpoint, probe.kept[key].response
    if endpoint is None or endpoint.marker is None or had is None:
        return False
    sold = probe.kept["paid"].response if "paid" in probe.kept else None
    return bool(marked(had, endpoint.marker) or disguised(had, endpoint.marker)) or (
        sold is not None and holds(had, sold)
    )


def _nowhere(plain: Spelling) -> Spelling:
    """The same at a path beside its own that no API has."""
    head, _, _ = plain.path.rstrip("/").rpartition("/")
    return plain.at(f"{head}/conformance-no-such-path")


def _look_at(probe: Probe, label: str, ways: str, plain: Spelling) -> None:
    """Asks what tells whether the answer ``label`` is what it seems: a way round to what is sold."""
    probe.send(f"{label}{AGAIN}", along(ways, plain).request(), raw=True)
    probe.send(f"{label}{ELSEWHERE}", along(ways, _nowhere(plain)).request(), raw=True)
    if free := free_path(probe.profile):
        at = replace(usual(probe.profile, None, free), method=plain.method, body=plain.body)
        probe.send(f"{label}{FREE}", along(ways, at).request(), raw=True)
    probe.send(f"{label}{PLAIN}", plain.request(), raw=True)


def heads(probe: Probe) -> None:
    """HEAD in place of GET, twice, where the witness sees it; and at a path that is nowhere."""
    probe.gather(unpaid)
    probe.gather(paid)
    endpoint = probe.endpoint
    if endpoint is None or endpoint.method != "GET" or not _worthwhile(probe):
        return
    plain = _usual(probe)
    head = replace(plain, method="HEAD")
    with probe.purse.alone() if endpoint.witness else nullcontext():
        for label, spelling in ((f"{HEAD} #1", head), (f"{HEAD} #2", head), (f"{HEAD}{PLAIN}", plain)):
            before = probe.witnessed()
            probe.send(label, spelling.request(), raw=True)
            _noted(probe, label, before)
        first = probe.kept[f"{HEAD} #1"]
        answered = first.response is not None and first.response.status < 300
        if first.paid and first.paid.witness and (answered or first.paid.witness[0] != first.paid.witness[1]):
            probe.rest(f"{HEAD}, at rest", first)
    probe.send(f"{HEAD}{ELSEWHERE}", replace(_nowhere(plain), method="HEAD").request(), raw=True)
    if not answered or not endpoint.witness:
        return
    # That the witness stands still says something only where it moves for who is served.
    if endpoint.paid_identity:
        before = probe.witnessed()
        probe.ask(SERVED, identity=endpoint.paid_identity)
        _noted(probe, SERVED, before)
    elif endpoint.protocol and probe.purse.scripted and (answer := probe.kept["unpaid"].response):
        probe.pay(SERVED, Order(version=spoken(endpoint.versions, answer)[-1]), watched=True)


def kept_open(probe: Probe) -> None:
    """The request of who has paid, and the usual one behind it on the same connection: in one write, and after a pause."""
    probe.gather(unpaid)
    probe.gather(paid)
    endpoint = probe.endpoint
    if endpoint is None or endpoint.paid_identity is None or not _worthwhile(probe):
        return
    bought = spelled(request_to(probe.profile, endpoint, identity=endpoint.paid_identity)).request()
    first = replace(bought, headers=(*bought.headers, ("Connection", "keep-alive"))).message().decode("latin-1")
    plain = _usual(probe).request()
    probe.send(f"{KEPT}in one write", replace(plain, line=first + plain.line), raw=True)
    if _shows(probe, f"{KEPT}in one write"):
        probe.send(f"{KEPT}in one write{PLAIN}", plain, raw=True)
    if endpoint.method == "GET":
        probe.ask(f"{KEPT}paid", identity=endpoint.paid_identity)
        probe.ask(f"{KEPT}one after the other")
        if _shows(probe, f"{KEPT}one after the other"):
            probe.send(f"{KEPT}one after the other{PLAIN}", plain, raw=True)


def variants(probe: Probe) -> st.SearchStrategy[str]:
    """Ways that go together, joined: one to write the path, and one or two others; empty for none."""
    if probe.endpoint is None:
        return st.just("")
    plain = _usual(probe)
    known = {part: [key for key in keys if WAYS[key].of(plain)] for part, keys in PARTS.items()}
    others = [key for part, keys in known.items() if part is not Part.PATH for key in keys]
    # A path and one thing more, as a rule: each by itself has a row, and what is odd in all it has is refused for any of it.
    more = st.one_of(st.just(""), st.just(""), st.sampled_from(["", *others]))
    drawn = st.tuples(st.sampled_from(["", *others]), st.sampled_from(["", *known[Part.PATH]]), more)
    return drawn.map(lambda keys: JOIN.join(dict.fromkeys(filter(None, keys))))


def variant(probe: Probe, value: str) -> None:
    """Sends what ``variants`` drew; what was asked already is not asked again."""
    if not value or not _worthwhile(probe) or (label := f"{VARIANT}{value}") in probe.kept:
        return
    plain = _usual(probe)
    request = along(value, plain).request()
    if request == plain.request():
        return
    if value in probe.kept:
        probe.kept[label] = probe.kept[value]
    else:
        probe.send(label, request, raw=True)
    if _shows(probe, label):
        _look_at(probe, label, value, plain)
    elif (had := probe.kept[label].response) and had.status in _SHUTS_OUT:
        probe.send(f"{label}{PLAIN}", plain.request(), raw=True)


def asked_of(labels: Iterable[str]) -> Iterator[str]:
    """Those of ``labels`` that are no controls."""
    controls = (AGAIN, ELSEWHERE, FREE, PLAIN, WATCHED)
    return (label for label in labels if not label.endswith(controls))
