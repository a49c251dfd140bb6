"""The course of a program: where it pays, what of it was done in time, and each of its steps carried out."""

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from conformance.asking import Changes, request_to
from conformance.attempts import GOOD, label, versions
from conformance.exchange import Exchange, Failure
from conformance.gather import unpaid
from conformance.probe import Probe
from conformance.profile import Endpoint, Entitlement, Profile
from conformance.programs import BEFORE, ENDING, FAULTS, LETTERS, STOCK, Again, Fresh, parsed
from conformance.protocols import x402
from conformance.protocols.x402.identifier import identifies
from conformance.purse import Made, Order, Unpayable
from conformance.replays import MORE, another_body

__all__ = ["HOLDS", "OVER", "Step", "counters", "performed", "sold_at", "sold_once", "steps", "stocked", "unpaid_at"]

HOLDS = 8
"""Seconds for which a payment is valid that is to expire; a facilitator wants 6 of them."""
OVER = 1.0
"""Seconds after which every clock agrees that it expired."""


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

    def stock(self, verb: str, when: str) -> str:
        """What a payment is called that was made here in time."""
        return label(self.version, f"stock at {self.endpoint.name}", f"{verb}{when}")


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


def stocked(probe: Probe) -> None:
    """The payments of STOCK, made wherever a program may pay."""
    probe.gather(counters)
    for place in _places(probe):
        other = _at(probe, place)
        for verb, when in STOCK:
            here = place.stock(verb, when)
            other.pay(here, _order(place, verb, holds=HOLDS if when == ENDING else None))
        probe.kept |= {here: exchange for here, exchange in other.kept.items() if here in other.made}
        probe.made |= other.made


def _order(place: _Place, verb: str, *, holds: int | None = None) -> Order:
    fault = FAULTS.get(verb, "")
    return Order(version=place.version, faults=(fault,) if fault else (), times=1 if fault else None, holds=holds)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Doing:
    """One step on its way out: where, with which payment, how often, and what it is called."""

    place: _Place
    told: str
    copies: int = 1
    made: Made | None = None
    """None for a request without payment."""
    had: Exchange | None = None
    """What was done in time."""
    changes: Changes


@dataclass(slots=True, kw_only=True)
class _Course:
    """A program under way."""

    places: list[_Place]
    made: list[tuple[_Place, Made]]
    """The payments so far, and where each was made."""
    most: int
    """As many copies as are sent at once."""


def performed(probe: Probe, program: str) -> None:
    """Carries out ``program`` and keeps what each of its steps came to; a payment is minted when its step has its turn."""
    turn = 1 + sum(": " in here and ", step 1 " in here.partition(": ")[0] for here in probe.kept)
    if not (places := _places(probe)):
        return
    course = _Course(places=places, made=[], most=probe.profile.limits.volley)
    number = 0
    for text in program.split("; "):
        said = parsed(text)
        try:
            doing = _fresh(probe, said, course) if isinstance(said, Fresh) else _again(probe, said, course)
        except Unpayable as why:
            # What would follow is about a payment that is not there.
            request = request_to(probe.profile, None)
            here = f"program {turn}, step {number + 1} at {places[0].endpoint.name}: {text}"
            probe.kept[here] = Exchange(request=request, failure=Failure(kind="unpayable", detail=str(why)))
            return
        if doing is not None:
            number += 1
            _do(probe, doing, f"program {turn}, step {number} at {doing.place.endpoint.name}: {doing.told}")


def _fresh(probe: Probe, said: Fresh, course: _Course) -> _Doing | None:
    """What a step with a payment of its own comes to; None where it was to be made in time, and there is no other."""
    place = _counted(course.places, said.letter)
    if said.when:
        return _in_time(probe, said, place, course)
    if said.verb == "ask":
        return _Doing(place=place, told=f"ask {place.endpoint.name}", changes={})
    other, order, copies = _at(probe, place), _order(place, said.verb), min(said.copies, course.most)
    fresh = other.purse.make(other.offer(place.version), order)
    other.purse.instruct(fresh, order, other.wire.timeout)
    course.made.append((place, fresh))
    verb = f"race {copies}" if said.verb == "race" else said.verb
    return _Doing(place=place, told=f"{verb} {_named(place, course)}", copies=copies, made=fresh, changes={})


def _in_time(probe: Probe, said: Fresh, place: _Place, course: _Course) -> _Doing | None:
    """A payment of the stock, of that place or of the next one, so that each stands in one program while there are some."""
    start = course.places.index(place)
    around = [*course.places[start:], *course.places[:start]]
    brief = [each for each in around if _takes(probe, each.stock("pay", ENDING))]
    # Where all want longer validity no payment is to expire.
    when = said.when if said.when == BEFORE or brief else BEFORE
    stock = {each.stock(said.verb, when): each for each in (around if when == BEFORE else brief)}
    spent = [made for _, made in course.made]
    left = [here for here in stock if here in probe.made and probe.made[here] not in spent]
    known = {id(exchange) for here, exchange in probe.kept.items() if here.startswith("program ")}
    if not (here := next((here for here in left if id(probe.kept[here]) not in known), next(iter(left), ""))):
        return None
    place, made = stock[here], probe.made[here]
    course.made.append((place, made))
    if when == ENDING:
        time.sleep(min(max(made.payment.ends + OVER - time.time(), 0), HOLDS + OVER))
    told = f"{said.verb} {_named(place, course)}{when}"
    return _Doing(place=place, told=told, made=made, had=probe.kept[here], changes={})


def _takes(probe: Probe, here: str) -> bool:
    """Whether a payment was taken that was to expire."""
    response = probe.kept[here].response if here in probe.made else None
    return response is not None and response.status < 400


def _again(probe: Probe, said: Again, course: _Course) -> _Doing | None:
    """What a step with a payment of an earlier one comes to; None where there was none yet."""
    if not course.made:
        return None
    nth = (said.number - 1) % len(course.made)
    home, payment = course.made[nth]
    # A payment of one version is none to who speaks the other.
    own = [place for place in course.places if place.version == home.version]
    place = _counted(own, said.letter) if said.letter else home
    where = f" at {place.endpoint.name}" if place != home else ""
    copies = min(said.copies, course.most)
    what, changes = _other_request(place.endpoint, said.other)
    verb = f"race {copies} of {nth + 1}" if said.copies > 1 else f"replay {nth + 1}"
    return _Doing(
        place=place,
        told=f"{verb}{where}{f' as {said.twin}' if said.twin else ''}{f' with another {what}' if what else ''}",
        copies=copies,
        made=probe.purse.rewritten(payment, (said.twin,)) if said.twin else payment,
        changes=changes,
    )


def _other_request(endpoint: Endpoint, what: str) -> tuple[str, Changes]:
    """What is different about a request: its body only where that has members, its query elsewhere."""
    if not what:
        return "", {}
    if what == "body" and (body := another_body(endpoint)) is not None:
        return what, Changes(body=body)
    return "query", Changes(query=MORE)


def _counted(places: list[_Place], letter: str) -> _Place:
    return places[LETTERS.index(letter) % len(places)]


def _named(place: _Place, course: _Course) -> str:
    """The place, and which version is paid by, where that goes without saying no longer."""
    both = sum(each.endpoint.name == place.endpoint.name for each in course.places) > 1
    return f"{place.endpoint.name} by version {place.version}" if both else place.endpoint.name


def _at(probe: Probe, place: _Place) -> Probe:
    """A probe of a place, whose offer it knows."""
    other = probe.at(place.endpoint)
    other.kept["unpaid"] = probe.kept[unpaid_at(place.endpoint)]
    return other


def _do(probe: Probe, doing: _Doing, here: str) -> None:
    other = _at(probe, doing.place)
    if doing.had is not None:
        probe.kept[here] = doing.had
    elif doing.made is None:
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
    with probe.purse.among_others():
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
