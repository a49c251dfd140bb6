"""The purse of a run: it mints payers, makes payments for offers, and asks the facilitator what became of them."""

import fcntl
import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from conformance.budget import Books, Unaffordable, own_payer, signed_value
from conformance.facilitator import Call, Control, Fault, Kind, fault
from conformance.paid import FacilitatorCall, Paid
from conformance.profile import Profile
from conformance.protocols import x402
from conformance.protocols.x402 import encoding, hostile, payment, recipes
from conformance.protocols.x402.identifier import identified
from conformance.protocols.x402.payment import Payment, Unsignable
from conformance.protocols.x402.recipe import at_slot, slot, value_at
from conformance.protocols.x402.signing import Payer
from conformance.redaction import Redactor

__all__ = ["Made", "Means", "Order", "Purse", "Standing", "Unpayable"]

_LATE = 2.0
"""Seconds by which a hang of the facilitator outlives our own patience, so that it ends before the next run."""

_READINGS = 3
"""How often the clock of the facilitator is read."""


class Unpayable(Exception):
    """This payment is not made; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a run has to pay and to see with, the same in each of its processes."""

    control: str = ""
    """The control URL of the scripted facilitator; empty where there is none."""
    lock: str = ""
    """A file that workers lock while they watch the witness; empty where there is one process."""
    log: str = ""
    """The log of the target that we started; empty where we did not."""
    base_url: str = ""
    """``target.base_url`` as it stands in the profile, for another instance of the target."""
    scratch: str = ""
    """The folder in which what we started may keep something for the run; empty where we started nothing."""
    running: str = ""
    """The folder in which each process notes the instances that it started; empty where nothing is started."""
    real_money: bool = False
    """Whether networks with real money may be paid on."""
    books: str = ""
    """A file in which every process writes what it spent; empty where the money is not the payer's own."""
    seed: str = field(default_factory=lambda: secrets.token_hex(16))

    def to_json(self) -> dict[str, Any]:
        """The means as a JSON object, for a worker."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """The means that ``to_json`` wrote."""
        return cls(**document)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be paid, and how."""

    version: int
    """Of x402."""
    way: int = -1
    """The place in ``accepts``; -1 for the first that we can sign."""
    recipe: str = ""
    """What to break; empty for a good payment."""
    hostile: str = ""
    """What to send that is no payment at all; empty for a payment."""
    twins: tuple[str, ...] = ()
    """In what other bytes to write it."""
    faults: tuple[str, ...] = ()
    """What the facilitator does wrong about it, such as ``settle/no``."""
    delay: float | None = None
    """Seconds that the fault ``slow`` waits; None for its own."""
    times: int | None = None
    """For how many calls the faults hold; None for all."""
    balance: int | None = None
    """What the payer owns, in atomic units; None for enough."""
    holds: int | None = None
    """Seconds from now for which it is valid; None for as long as the offer asks."""
    payer: Payer | None = field(default=None, repr=False)
    """One who paid before; None for somebody new."""
    identifier: str = ""
    """What it is identified by, as JSON text: ``null`` for nothing at all, empty for what the offer asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A payment that was made: the field value that carries it, and what is known of it."""

    value: str
    note: Paid
    payment: Payment
    payer: Payer = field(repr=False)


@dataclass(slots=True, kw_only=True)
class Standing:
    """What payments have shown of one endpoint."""

    known: bool = False
    """Whether it is known which facilitator the target asks there."""
    looked: bool = False
    """Whether it is known that a payment opens one answer only, or that it does not."""
    elsewhere: str = ""
    """Why nothing is paid there: the target asks another facilitator, or is open."""
    open: str = ""
    """Why nothing is asked there any more: one payment opened it to whoever comes from us."""


@dataclass(slots=True, kw_only=True)
class Purse:
    """Pays in one process of a run."""

    profile: Profile
    means: Means
    redactor: Redactor
    place: str = "main"
    began: float = field(default_factory=time.monotonic)
    control: Control | None = None
    """Of the scripted facilitator, where it is in this process; otherwise it is found by its URL."""
    _ahead: float = 0.0
    """Seconds by which the clock of the facilitator's log is ahead of ours."""
    books: Books = field(init=False)
    standings: dict[str, Standing] = field(default_factory=dict)
    """What payments have shown of endpoints, by their names."""
    _minted: int = 0
    told: dict[str, int] = field(default_factory=dict)
    """How many calls of the facilitator were told of each payer."""
    _holds: int | None = None
    """How the lock is held: alone, among others, or not at all."""

    def __post_init__(self) -> None:
        self.books = Books(profile=self.profile, real_money=self.means.real_money, file=self.means.books)
        if self.control is None and self.means.control:
            self.control = Control(self.means.control)
        if self.control:
            # An answer that is late makes it seem less.
            clock = self.control.clock
            self._ahead = max(clock() - (time.monotonic() - self.began) for _ in range(_READINGS))

    def close(self) -> None:
        """Closes its connections."""
        if self.control:
            self.control.close()

    @property
    def scripted(self) -> bool:
        """Whether the facilitator is ours."""
        return self.control is not None

    def make(self, offer: x402.Offer, order: Order) -> Made:
        """The payment of ``order`` for ``offer``; raises Unpayable."""
        payer = order.payer or self._mint()
        # The first payer of a process is a while in coming: what signs is imported then.
        now = int(time.time())
        good = self._good(offer, order, payer, now)
        if order.identifier:
            good = replace(good, document=identified(good.document, json.loads(order.identifier)))
        try:
            document = _broken(good, order, payer, now)
            value = _written(good, document, order)
        except ValueError as why:
            raise Unpayable(f"such a payment cannot be written: {why}") from why
        if not self.scripted:
            # Nobody has funds under a key that was made for one payment; here somebody may.
            try:
                self.books.count(good, document, order.recipe)
            except Unaffordable as why:
                raise Unpayable(str(why)) from why
        note = Paid(
            version=order.version,
            way=good.way.index,
            flow=str(payment.flow(good.way)),
            scheme=good.way.scheme,
            network=good.way.network,
            asset=good.way.asset,
            amount=good.way.amount,
            payer=good.payer,
            recipe=order.recipe or order.hostile,
            twins=order.twins,
            faults=order.faults,
        )
        # What is written anew later is to end when it ends.
        signed = good if order.holds is None else replace(good, document=document)
        return Made(value=value, note=note, payment=signed, payer=payer)

    def instruct(self, made: Made, order: Order, patience: float) -> None:
        """Tells the facilitator what to do about ``made``; ``patience`` is how long we wait for an answer, in seconds."""
        if self.control is None:
            return
        if order.faults:
            self.control.script(made.note.payer, *(self._fault(name, order, patience) for name in order.faults))
        if order.balance is not None:
            self.control.set_balance(made.note.network, made.note.asset, made.note.payer, order.balance)

    def forgive(self, made: Made) -> None:
        """Makes the facilitator honest about ``made`` from now on."""
        if self.control:
            self.control.script(made.note.payer)

    def unlist(self) -> None:
        """Makes the facilitator list no kinds any more, for everybody."""
        if self.control:
            self.control.supported(fault(Kind.SUPPORTED, "no-kinds"))

    def followed(self, made: Made) -> Paid:
        """What is known of ``made`` by now."""
        return self._followed(made, 0)

    def followed_on(self, made: Made) -> Paid:
        """What is known of ``made`` beyond what was known when it was last asked for."""
        return self._followed(made, self.told.get(made.note.payer, 0))

    def _followed(self, made: Made, after: int) -> Paid:
        if self.control is None:
            return made.note
        calls = self.control.calls(made.note.payer)
        self.told[made.note.payer] = len(calls)
        return replace(made.note, calls=tuple(self._call(call) for call in calls[after:]))

    def rewritten(self, made: Made, twins: tuple[str, ...], *, offer: x402.Offer | None = None) -> Made:
        """The good payment ``made`` in other bytes; around what was signed stands what ``offer`` asks for, if it is given.

        Raises ValueError for twins that do not go together.
        """
        document = made.payment.document
        if offer is not None:
            way = next((way for way in offer.ways() if way.index == made.note.way), made.payment.way)
            document = payment.envelope(way, document["payload"], offer=offer, version=offer.version)
        value = encoding.twin(document, twins)
        return replace(made, value=value, note=replace(made.note, twins=twins))

    def broken(self, made: Made, recipe: str) -> Made:
        """The good payment ``made``, broken by ``recipe``; raises Unpayable where there is nothing to break."""
        order = Order(version=made.note.version, recipe=recipe)
        document = _broken(made.payment, order, made.payer, int(time.time()))
        return replace(made, value=encoding.header(document), note=replace(made.note, recipe=recipe))

    def identifier(self, length: int = 36) -> str:
        """An identifier that no other payment has, with a letter, a digit and each mark that one may have."""
        return ("Pay-_0" + self._word("identifier").hex() * 2)[:length]

    def carried_by(self, made: Made, offer: x402.Offer) -> Made:
        """The authorization of ``made`` as a payment for ``offer``, of another version; Unpayable where it pays none."""
        own = made.payment.way
        for way in offer.ways():
            if _paid_with(way) == _paid_with(own):
                inner = made.payment.document["payload"]
                document = payment.envelope(way, inner, offer=offer, version=offer.version)
                note = replace(made.note, version=offer.version, way=way.index)
                return replace(made, value=encoding.header(document), note=note)
        raise Unpayable(f"the version {offer.version} offer asks for something else")

    def signed_anew(self, made: Made) -> Made:
        """Another authorization by the same payer with the same nonce, which ends a second earlier."""
        path = slot(made.payment, "before")
        until = value_at(made.payment.document, path)
        earlier = at_slot("before", lambda *_: str(int(until) - 1))
        return replace(made, value=encoding.header(earlier(made.payment, made.payer, 0)))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else in this run asks the target or an instance of it meanwhile."""
        with self._held(fcntl.LOCK_EX):
            yield

    @contextmanager
    def among_others(self) -> Iterator[None]:
        """Others in this run may ask the target meanwhile, but none of them is alone with it.

        Within either of the two this one changes nothing.
        """
        with self._held(fcntl.LOCK_SH):
            yield

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """As among others, but that nobody is waited for: for what another moment would show nothing."""
        with self._held(fcntl.LOCK_SH, waits=False):
            yield

    @contextmanager
    def _held(self, how: int, *, waits: bool = True) -> Iterator[None]:
        if not self.means.lock or self._holds in {fcntl.LOCK_EX, how}:
            yield
            return
        if self._holds is not None:
            # We would wait for ourselves, for good.
            msg = "who is among others cannot be alone before they have done"
            raise RuntimeError(msg)
        # At every request: an open of pathlib takes as long again.
        held = os.open(self.means.lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            with suppress(BlockingIOError):
                fcntl.flock(held, how if waits else how | fcntl.LOCK_NB)
            self._holds = how
            yield
        finally:
            self._holds = None
            os.close(held)

    def logged(self, pattern: str) -> int | None:
        """How often ``pattern`` stands in the log of the target, whose lines ^ and $ mark; None where we keep none."""
        if not self.means.log:
            return None
        return len(re.findall(pattern, Path(self.means.log).read_text("utf-8", "replace"), re.MULTILINE))

    def _good(self, offer: x402.Offer, order: Order, payer: Payer, now: int) -> Payment:
        ways = list(offer.ways())
        wanted = ways if order.way < 0 else [way for way in ways if way.index == order.way]
        if not wanted:
            raise Unpayable(f"the version {order.version} offer lists no way to pay")
        if not self.scripted:
            # What may be paid comes first, whatever stands first in the offer.
            wanted.sort(key=lambda way: bool(self.books.barred(way)))
        reasons = []
        for way in wanted:
            try:
                return payment.build(way, offer=offer, payer=payer, now=now, nonce=self._nonce())
            except Unsignable as why:
                reasons.append(str(why))
        raise Unpayable(reasons[0])

    def _mint(self) -> Payer:
        if not self.scripted and (own := own_payer(self.profile)):
            return own
        # A scripted fault is kept by payer: whoever pays a second time would meet the fault of the first.
        return Payer.of(self._word("payer"))

    def _nonce(self) -> bytes:
        return self._word("nonce")

    def _word(self, what: str) -> bytes:
        self._minted += 1
        return hashlib.sha256(f"{self.means.seed} {self.place} {what} {self._minted}".encode()).digest()

    def _fault(self, name: str, order: Order, patience: float) -> Fault:
        kind, _, called = name.partition("/")
        found = fault(Kind(kind), called)
        if order.delay is not None:
            found = replace(found, delay=order.delay)
        if order.times is not None:
            found = replace(found, times=order.times)
        return replace(found, hold=patience + _LATE)

    def _call(self, call: Call) -> FacilitatorCall:
        outcome = call.outcome
        moment = self._ahead
        return FacilitatorCall(
            kind=str(call.kind),
            at=round(call.at - moment, 4),
            finished=None if call.finished is None else round(call.finished - moment, 4),
            fault=call.fault,
            status=call.status,
            good=bool(outcome and outcome.good),
            moved=bool(outcome and outcome.moved),
            reason=outcome.reason if outcome else "",
            transaction=outcome.transaction if outcome else "",
            requirements=json.loads(self.redactor.text(json.dumps(dict(call.requirements)))),
            payment=call.digest,
            value=signed_value(call.payment),
        )


def _broken(good: Payment, order: Order, payer: Payer, now: int) -> dict[str, Any]:
    """The document that ``order`` makes of a good payment; raises Unpayable where there is nothing to break."""
    if order.holds is not None:
        until = str(now + order.holds)
        return at_slot("before", lambda *_: until)(good, payer, now)
    if not order.recipe:
        return dict(good.document)
    recipe = recipes.named(order.recipe)
    if not recipe.fits(good):
        raise Unpayable(f"there is nothing in such a payment to break: {recipe.breaks}")
    return recipe.apply(good, payer, now)


def _written(good: Payment, document: dict[str, Any], order: Order) -> str:
    if order.hostile:
        kinds = hostile.HOSTILE | hostile.INJECTING | hostile.HUGE | hostile.JUNK
        return kinds[order.hostile](good)
    return encoding.twin(document, order.twins) if order.twins else encoding.header(document)


def _paid_with(way: x402.Way) -> tuple[str, ...]:
    """What an authorization says of the way that it pays for."""
    return way.scheme, way.network, way.asset.lower(), way.amount, way.pay_to.lower()
