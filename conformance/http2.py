"""What is asked in HTTP/2 to find a way round a paywall, where the target speaks it over TLS.

Who stands before a target may guard HTTP/1.1 alone, or read the fields of a frame otherwise than the one who serves
reads what becomes of them. In plain text nothing is tried but the upgrade of ``requests.special-fields``: without TLS
there is nothing that says who speaks HTTP/2, and a server that does not may wait for ever for the end of a preface.
"""

from collections import Counter
from contextlib import nullcontext

from conformance.around import NOWHERE, at_first
from conformance.asking import request_to
from conformance.controls import (
    AGAIN,
    LOOKED_AT,
    after,
    ask_all,
    look_at,
    noted,
    nowhere,
    shows,
    usual_of,
    watch_each,
    worthwhile,
)
from conformance.exchange import Request
from conformance.framing import FRAMES, SMUGGLES, USUAL, behind, framed
from conformance.gather import paid, unpaid
from conformance.probe import Probe
from conformance.spelling import Spelling, spelled
from conformance.ways import FOLDER, WAYS, Group

__all__ = ["BATCH", "BEHIND", "BEHIND_PAID", "START", "in_http2", "spoken_over", "ways_of"]

START = "HTTP/2, "
BATCH = "other frames"
BEHIND_PAID = "frames: behind a paid one on its connection"
BEHIND = " (and then nowhere)"
"""What is asked behind a request that hides another one."""
_UNSPOKEN = {"alpn", "extra"}
_GROUPS = (
    # What fronts read, and what they are to take out. How an application reads the rest has nothing to do with frames.
    *(Group.SLASHES, Group.DOTS, Group.CASE, Group.LETTERS, Group.ENCODED_SLASHES, Group.MALFORMED, Group.CONTROLS),
    *(Group.TARGETS, Group.FRAGMENTS, Group.HOSTS, Group.REWRITTEN, Group.TRUSTED, Group.METHODS),
)


def spoken_over(plain: Spelling) -> bool:
    """Whether a request goes where HTTP/2 may be chosen with TLS."""
    return plain.origin.startswith("https://")


def ways_of(plain: Spelling) -> list[str]:
    """The keys of the ways to write ``plain`` in frames; the usual one first, what may change something last."""
    usual = framed(plain)
    own = [key for key, way in FRAMES.items() if key == USUAL or way(usual) != usual]
    # Whether the folder may be free to all is asked in HTTP/1.1.
    known = [key for group in _GROUPS for key, way in WAYS.items() if way.group is group and key != FOLDER]
    return own + [key for key in known if _written(key, plain) != usual]


def _written(key: str, plain: Spelling) -> Request:
    """The request in the way ``key``; in HTTP/1.1 where that is empty."""
    if not key:
        return plain.request()
    return framed(WAYS[key].of(plain) or plain) if key in WAYS else FRAMES[key](framed(plain))


def in_http2(probe: Probe) -> None:
    """The request in HTTP/2: as usual, and where that opens nothing in every other way."""
    probe.gather(unpaid)
    probe.gather(paid)
    probe.gather(at_first)
    plain = usual_of(probe) if probe.endpoint else None
    if plain is None or not worthwhile(probe) or not spoken_over(plain):
        return
    usual = f"{START}{USUAL}"
    had = probe.send(usual, _written(USUAL, plain), raw=True)
    if had.failure and had.failure.kind in _UNSPOKEN:
        return
    if shows(probe, usual):
        look_at(probe, usual, USUAL, plain, _written)
        return
    ways = ways_of(plain)
    witness = bool(probe.endpoint and probe.endpoint.witness)
    with probe.purse.alone() if witness else nullcontext():
        before = probe.witnessed()
        ask_all(probe, [key for key in ways if key not in SMUGGLES], plain, _written, start=START)
        for key in ways:
            if key in SMUGGLES:
                _hide(probe, key, plain)
        probe.send(after(BATCH), _written(USUAL, plain), raw=True)
        moved = noted(probe, after(BATCH), before)
    if bought := _bought(probe):
        _ask_behind(probe, bought, plain)
    if moved:
        watch_each(probe, ways, plain, _written, start=START, usual=USUAL)
    looked = Counter[Group | None]()
    for key in ways:
        group = WAYS[key].group if key in WAYS else None
        if f"{START}{key}" in probe.kept and looked[group] < LOOKED_AT and shows(probe, f"{START}{key}"):
            looked[group] += 1
            look_at(probe, f"{START}{key}", key, plain, _written)


def _bought(probe: Probe) -> Request | None:
    """The request of who has paid, where it has no content; None where nobody has."""
    if probe.endpoint is None or probe.endpoint.paid_identity is None:
        return None
    asked = request_to(probe.profile, probe.endpoint, identity=probe.endpoint.paid_identity)
    return None if asked.body else framed(spelled(asked))


def _ask_behind(probe: Probe, bought: Request, plain: Spelling) -> None:
    """The usual request behind one that is served, on the same connection."""

    def write(key: str, spelling: Spelling) -> Request:
        return behind(framed(spelling), bought.headers) if key else _written("", spelling)

    label = f"{START}{BEHIND_PAID}"
    ask_all(probe, [BEHIND_PAID], plain, write, start=START)
    if shows(probe, label):
        look_at(probe, label, BEHIND_PAID, plain, write)


def _hide(probe: Probe, key: str, plain: Spelling) -> None:
    """A request that hides another one, and one for nothing behind it; both once more where that one is served."""
    label = f"{START}{key}"
    nothing = framed(nowhere(plain))
    ask_all(probe, [key], plain, _written, start=START)
    probe.send(f"{label}{BEHIND}", nothing, raw=True)
    if shows(probe, f"{label}{BEHIND}") and not shows(probe, NOWHERE):
        probe.send(f"{label}{AGAIN}", _written(key, plain), raw=True)
        probe.send(f"{label}{AGAIN}{BEHIND}", nothing, raw=True)
