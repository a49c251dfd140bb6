"""What shows whether a request in another writing went past a paywall: asked once more, elsewhere, and watched.

How a request is written is a function of the name of a way, empty for the usual one, and of its parts.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from conformance import facts
from conformance.asking import request_to
from conformance.exchange import Exchange, Request, Response
from conformance.marks import disguised, holds, marked
from conformance.paid import NOTHING
from conformance.probe import Probe
from conformance.profile import Endpoint, Family, Profile
from conformance.spelling import Spelling, spelled
from conformance.ways import FOLDER

__all__ = [
    "AGAIN",
    "ELSEWHERE",
    "FREE",
    "LOOKED_AT",
    "PLAIN",
    "WATCHED",
    "Write",
    "after",
    "ask_all",
    "asked_of",
    "awaits_content",
    "buys_nothing",
    "free_path",
    "look_at",
    "noted",
    "nowhere",
    "refuses",
    "shows",
    "usual",
    "usual_of",
    "watch_each",
    "worthwhile",
]

AGAIN = " (again)"
ELSEWHERE = " (at a path that is nowhere)"
FREE = " (at a path that is free)"
PLAIN = " (and then as usual)"
WATCHED = " (watched)"
"""What the controls of a request are called, after its own name."""
Write = Callable[[str, Spelling], Request]
"""Writes the request of some parts in the way that has this name."""
LOOKED_AT = 3
"""How many of a group that show what is sold are looked at more closely."""
_HANGS = 2
"""Requests in a row that are not answered in time, after which no more of a batch is asked."""


def after(batch: str) -> str:
    """What the usual request after a batch is called; later ones have a number behind it."""
    return f"as usual, after {batch}"


def asked_of(labels: Iterable[str]) -> Iterator[str]:
    """Those of ``labels`` that are no controls."""
    controls = (AGAIN, ELSEWHERE, FREE, PLAIN, WATCHED)
    return (label for label in labels if not label.endswith(controls))


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


def usual_of(probe: Probe) -> Spelling:
    """The usual request where ``probe`` asks."""
    return usual(probe.profile, probe.endpoint)


def nowhere(plain: Spelling) -> Spelling:
    """The same at a path beside its own that no API has."""
    head, _, _ = plain.path.rstrip("/").rpartition("/")
    return plain.at(f"{head}/conformance-no-such-path")


def worthwhile(probe: Probe) -> bool:
    """Whether the usual request is refused, and there is something that could be given away."""
    endpoint, answer = probe.endpoint, probe.kept["unpaid"].response
    if endpoint is None or answer is None or buys_nothing(probe.profile, endpoint):
        return False
    return refuses(probe.profile, endpoint, answer)


def refuses(profile: Profile, endpoint: Endpoint, answer: Response) -> bool:
    """Whether ``answer`` is a refusal for want of money: a 402, or what the endpoint declares in its place."""
    rules = [rule for rule in profile.answers if rule.name in endpoint.answers]
    return answer.status == 402 or bool(facts.matching(rules, answer))


def shows(probe: Probe, label: str) -> bool:
    """Whether an answer has the marker, or all that is sold."""
    endpoint, had = probe.endpoint, probe.kept[label].response
    if endpoint is None or endpoint.marker is None or had is None:
        return False
    sold = probe.kept["paid"].response if "paid" in probe.kept else None
    return bool(marked(had, endpoint.marker) or disguised(had, endpoint.marker)) or (
        sold is not None and holds(had, sold)
    )


def ask_all(probe: Probe, ways: Iterable[str], plain: Spelling, write: Write, *, start: str = "") -> None:
    """Asks in each of ``ways``, and keeps it under its name behind ``start``; no more, where requests hang."""
    hanging = 0
    for key in ways:
        for _ in range(2):
            had = probe.send(f"{start}{key}", write(key, plain), raw=True)
            # On a busy machine one is late now and then.
            late = had.failure is not None and had.failure.kind == "timeout" and not awaits_content(had)
            if not late:
                break
        hanging = hanging + 1 if late else 0
        if hanging == _HANGS:
            return


def awaits_content(had: Exchange) -> bool:
    """Whether who did not answer in time was told that content will come, which did not (RFC 9110 section 10.1.1)."""
    late = had.failure is not None and had.failure.kind == "timeout"
    told = any(name.lower() == "expect" and value.lower() == "100-continue" for name, value in had.request.headers)
    return late and told and not had.request.body


def noted(probe: Probe, label: str, before: int | None) -> int:
    """Notes what the witness reads on the exchange ``label``, and by how much that is more than ``before``."""
    now = probe.witnessed() if before is not None else None
    if before is None or now is None:
        return 0
    exchange = probe.kept[label]
    probe.kept[label] = replace(exchange, paid=replace(exchange.paid or NOTHING, witness=(before, now)))
    return now - before


def watch_each(
    probe: Probe, ways: list[str], plain: Spelling, write: Write, *, start: str = "", usual: str = ""
) -> None:
    """Each way once more, with what the witness reads before and after; and the ``usual`` one, and none at all."""
    with probe.purse.alone():
        probe.rest(f"at rest, before {start}{ways[0]}", probe.kept["unpaid"])
        before = probe.witnessed()
        label = f"as usual{WATCHED}, before {start}{ways[0]}"
        probe.send(label, write(usual, plain), raw=True)
        noted(probe, label, before)
        for key in ways:
            if f"{start}{key}" in probe.kept:
                before = probe.witnessed()
                probe.send(f"{start}{key}{WATCHED}", write(key, plain), raw=True)
                noted(probe, f"{start}{key}{WATCHED}", before)


def look_at(probe: Probe, label: str, key: str, plain: Spelling, write: Write) -> None:
    """Asks what tells whether the answer ``label`` is what it seems: a way round to what is sold."""
    probe.send(f"{label}{AGAIN}", write(key, plain), raw=True)
    probe.send(f"{label}{ELSEWHERE}", write(key, nowhere(plain)), raw=True)
    if free := free_path(probe.profile):
        at = replace(usual(probe.profile, None, free), method=plain.method, body=plain.body)
        there = write(key, at)
        # What is free may lie in the same folder.
        if label != FOLDER or there.line != probe.kept[label].request.line:
            probe.send(f"{label}{FREE}", there, raw=True)
    probe.send(f"{label}{PLAIN}", write("", plain), raw=True)
