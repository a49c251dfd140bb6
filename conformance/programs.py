"""Programs: what is done with payments one after another, as a short text that is drawn and then carried out.

Such a text is ``pay a; lose b; replay 1 at b as high-s; race 3 a``. A letter is a place where something is sold, a number
a payment that an earlier step made; both are counted round, so that a step means something wherever it stands, and a
program stays one when Hypothesis takes a step away. It is no RuleBasedStateMachine, because that decides while it asks
and tells its story in a traceback: a text is asked here, decided elsewhere, again if need be from a report alone, and
stands in the finding as short as it became.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from conformance.attempts import GOOD, label, versions
from conformance.exchange import Exchange, Failure
from conformance.gather import unpaid
from conformance.probe import Changes, Probe, request_to
from conformance.profile import Endpoint, Entitlement, Profile
from conformance.protocols import x402
from conformance.protocols.x402.encoding import TWINS
from conformance.protocols.x402.identifier import identifies
from conformance.purse import Made, Order, Unpayable
from conformance.replays import MORE, another_body

__all__ = [
    "FAULTS",
    "KNOWN",
    "Step",
    "counters",
    "performed",
    "programs",
    "sold_at",
    "sold_once",
    "steps",
    "unpaid_at",
]

KNOWN = (
    "pay a; replay 1",
    "pay a; replay 1 at b",
    "pay a; replay 1 as high-s",
    "pay a; replay 1 with another query; replay 1 with another body",
    "pay a; ask a; replay 1",
    "race 3 a; replay 1",
    "refuse a; replay 1; replay 1",
    "lose a; replay 1; replay 1",
    "lose a; replay 1 at b",
    "postpone a; replay 1; replay 1",
    "lose a; race 3 of 1",
    "postpone a; race 3 of 1",
    "pay a; pay b; pay a; replay 1",
)
"""The attacks of history, asked before anything is drawn."""

FAULTS: Mapping[str, str] = {
    "pay": "",
    "refuse": "settle/no",
    "reject": "verify/no",
    "lose": "settle/settled-then-drops",
    "postpone": "settle/pending",
}
"""What the facilitator does wrong once about the fresh payment of a step, by the verb."""

_LETTERS = "abcdefgh"
"""As many places as a program goes to by name."""
_FRESH = re.compile(rf"(?:({'|'.join(FAULTS)}|ask)|race ([2-4])) ([{_LETTERS}])")
_AGAIN = re.compile(
    rf"(?:replay|race ([2-4]) of) ([1-4])(?: at ([{_LETTERS}]))?(?: as ([a-z0-9-]+))?(?: with another (query|body))?",
    re.ASCII,
)
_MOST = 8
_FRESHLY = ("pay", "pay", *FAULTS, "race 2", "race 3")
_REPLAYS = ("replay", "replay", "replay", "replay", "replay", "race 2 of", "race 3 of")
_REQUESTS = (" with another query", " with another body")
_OTHERWISE = (*("",) * 20, *(f" as {twin.name}" for twin in TWINS if not twin.raw), *_REQUESTS * 3)
"""The words of a step, each as often as it is drawn, the plainest first."""


def programs() -> st.SearchStrategy[str]:
    """Programs of one to eight steps, the first of which makes a payment."""
    # A place for each step, and nothing in some of them: so one is taken away wherever it stands, and no other moves.
    step = st.tuples(
        st.sampled_from((*("",) * 4, *_REPLAYS, *_FRESHLY, "ask", "ask")),
        st.sampled_from((*("",) * len(_LETTERS), *_LETTERS)),
        st.sampled_from("1234"),
        st.sampled_from(_OTHERWISE),
    ).map(_written)
    return st.lists(step, min_size=_MOST - 1, max_size=_MOST - 1).map(_joined)


def _written(drawn: tuple[str, str, str, str]) -> str:
    verb, letter, number, otherwise = drawn
    if verb not in _REPLAYS:
        return verb and f"{verb} {letter or 'a'}"
    return f"{verb} {number}{f' at {letter}' if letter else ''}{otherwise}"


def _joined(drawn: list[str]) -> str:
    found = [step for step in drawn if step]
    pays = found and found[0].rpartition(" ")[0] in _FRESHLY
    return "; ".join(found if pays else ["pay a", *found])


def unpaid_at(endpoint: Endpoint) -> str:
    """What the request without payment is called that a place refused."""
    return f"unpaid at {endpoint.name}"


def sold_at(endpoint: Endpoint, version: int) -> str:
    """What the good payment is called by which a place is known to serve and to charge."""
    return label(version, f"sold at {endpoint.name}", GOOD)


def sold_once(profile: Profile) -> list[Endpoint]:
    """The endpoints at which a payment opens one answer, and is seen to open it."""
    return [e for e in profile.endpoints if e.protocol == "x402" and e.marker and e.entitlement == Entitlement.ONCE]


def counters(probe: Probe) -> None:
    """A request without payment, and in each version one with a good payment, wherever a program may pay."""
    for endpoint in sold_once(probe.profile):
        other = probe.at(endpoint)
        other.gather(unpaid)
        probe.kept[unpaid_at(endpoint)] = other.kept["unpaid"]
        for version in versions(other):
            probe.kept[sold_at(endpoint, version)] = other.pay(sold_at(endpoint, version), Order(version=version))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A place where a program pays."""

    endpoint: Endpoint
    version: int


def _places(probe: Probe) -> list[_Place]:
    """Where a payment of such a kind is charged, and opens one answer."""
    found = []
    for endpoint in sold_once(probe.profile):
        refusal = probe.kept[unpaid_at(endpoint)].response
        for version in (1, 2):
            good = probe.kept.get(sold_at(endpoint, version))
            charged = good and good.response and good.paid and good.paid.charged
            if refusal and charged and not identifies(refusal, version):
                found.append(_Place(endpoint=endpoint, version=version))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Doing:
    """One step on its way out: where, with which payment, how often, and what it is called."""

    place: _Place
    told: str
    copies: int = 1
    made: Made | None = None
    """None for a request without payment."""
    changes: Changes


def performed(probe: Probe, program: str) -> None:
    """Carries out ``program`` and keeps what each of its steps came to; a payment is minted when its step has its turn."""
    turn = 1 + sum(": " in here and ", step 1 " in here.partition(": ")[0] for here in probe.kept)
    if not (places := _places(probe)):
        return
    made: list[tuple[_Place, Made]] = []
    number = 0
    for text in program.split("; "):
        try:
            doing = _doing(probe, text, places, made)
        except Unpayable as why:
            # What would follow is about a payment that is not there.
            request = request_to(probe.profile, None)
            here = f"program {turn}, step {number + 1} at {places[0].endpoint.name}: {text}"
            probe.kept[here] = Exchange(request=request, failure=Failure(kind="unpayable", detail=str(why)))
            return
        if doing is not None:
            number += 1
            _do(probe, doing, f"program {turn}, step {number} at {doing.place.endpoint.name}: {doing.told}")


def _doing(probe: Probe, text: str, places: list[_Place], made: list[tuple[_Place, Made]]) -> _Doing | None:
    """What ``text`` comes to, its fresh payment added to ``made``; None where it speaks of one and there is none yet."""
    most = probe.profile.limits.volley
    if found := _FRESH.fullmatch(text):
        verb, many, letter = found.groups()
        place = _counted(places, letter)
        name = f"{place.endpoint.name}{_by(place, places)}"
        if verb == "ask":
            return _Doing(place=place, told=f"ask {place.endpoint.name}", changes={})
        copies = min(int(many or 1), most)
        fault = FAULTS.get(verb or "pay", "")
        other = _at(probe, place)
        order = Order(version=place.version, faults=(fault,) if fault else (), times=1 if fault else None)
        fresh = other.purse.make(other.offer(place.version), order)
        other.purse.instruct(fresh, order, other.wire.timeout)
        made.append((place, fresh))
        told = f"{verb} {name}" if verb else f"race {copies} {name}"
        return _Doing(place=place, told=told, copies=copies, made=fresh, changes={})
    if not (found := _AGAIN.fullmatch(text)):
        message = f"no step of a program: {text!r}"
        raise ValueError(message)
    if not made:
        return None
    many, number, letter, twin, other_request = found.groups()
    nth = (int(number) - 1) % len(made)
    home, payment = made[nth]
    # A payment of one version is none to who speaks the other.
    place = _counted([place for place in places if place.version == home.version], letter) if letter else home
    where = f" at {place.endpoint.name}" if place != home else ""
    copies = min(int(many or 1), most)
    what, changes = _other_request(place.endpoint, other_request)
    verb = f"race {copies} of {nth + 1}" if many else f"replay {nth + 1}"
    return _Doing(
        place=place,
        told=f"{verb}{where}{f' as {twin}' if twin else ''}{f' with another {what}' if what else ''}",
        copies=copies,
        made=probe.purse.rewritten(payment, (twin,)) if twin else payment,
        changes=changes,
    )


def _other_request(endpoint: Endpoint, what: str | None) -> tuple[str, Changes]:
    """What is different about a request: its body only where that has members, its query elsewhere."""
    if what is None:
        return "", {}
    if what == "body" and (body := another_body(endpoint)) is not None:
        return what, Changes(body=body)
    return "query", Changes(query=MORE)


def _counted(places: list[_Place], letter: str) -> _Place:
    return places[_LETTERS.index(letter) % len(places)]


def _by(place: _Place, places: list[_Place]) -> str:
    """Which version is paid by, where that goes without saying no longer."""
    both = sum(each.endpoint.name == place.endpoint.name for each in places) > 1
    return f" by version {place.version}" if both else ""


def _at(probe: Probe, place: _Place) -> Probe:
    """A probe of a place, whose offer it knows."""
    other = probe.at(place.endpoint)
    other.kept["unpaid"] = probe.kept[unpaid_at(place.endpoint)]
    return other


def _do(probe: Probe, doing: _Doing, here: str) -> None:
    other = _at(probe, doing.place)
    if doing.made is None:
        probe.kept[here] = other.ask(here)
    elif doing.copies == 1:
        probe.kept[here] = other.repeat(here, doing.made, **doing.changes)
    else:
        for number, exchange in enumerate(_at_once(other, doing, doing.made), 1):
            probe.kept[f"{here} (copy {number})"] = exchange


def _at_once(probe: Probe, doing: _Doing, made: Made) -> Iterator[Exchange]:
    """The copies, whole at the same moment. What the facilitator was asked from now on stands with the first of them."""
    carried = Changes(**doing.changes)
    carried["headers"] = {x402.PAYMENT[made.note.version]: made.value}
    request = request_to(probe.profile, probe.endpoint, **carried)
    with probe.purse.alone():
        answered = probe.wire.send_at_once([request] * doing.copies, account=doing.place.endpoint.name)
    notes = [probe.purse.followed_on(made)] + [made.note] * (doing.copies - 1)
    return (replace(exchange, paid=note) for exchange, note in zip(answered, notes, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a program that was carried out."""

    number: int
    """In the program, from 1."""
    endpoint: Endpoint
    """Where it was asked."""
    told: str
    """What was done, such as ``replay 1 at report as high-s``."""
    labels: tuple[str, ...]
    """Of its exchanges: more than one for copies that were sent at once."""

    @property
    def name(self) -> str:
        """The step for a sentence."""
        return f"step {self.number}, {self.told}"


_LABEL = re.compile(r"program \d+, step (\d+) at ")
_COPY = re.compile(r" \(copy \d+\)$")


def steps(exchanges: Mapping[str, Exchange], profile: Profile) -> list[Step]:
    """The steps of the one program that is among ``exchanges``, in their order."""
    found: dict[int, Step] = {}
    for here in exchanges:
        head = _LABEL.match(here)
        rest = here[head.end() :] if head else ""
        # One name may be the beginning of another.
        for endpoint in sorted(sold_once(profile), key=lambda endpoint: -len(endpoint.name)):
            if head and rest.startswith(f"{endpoint.name}: "):
                number, told = int(head[1]), _COPY.sub("", rest.removeprefix(f"{endpoint.name}: "))
                own = found.get(number) or Step(number=number, endpoint=endpoint, told=told, labels=())
                found[number] = replace(own, labels=(*own.labels, here))
                break
    return [found[number] for number in sorted(found)]
