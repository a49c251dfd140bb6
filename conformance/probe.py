"""The hand that asks: builds requests as the profile describes them and keeps each answer under its label."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Protocol, Unpack

from conformance.asking import Changes, means_429, request_to
from conformance.evidence import Evidence
from conformance.exchange import Exchange, Failure, Request
from conformance.paid import NOTHING
from conformance.profile import Endpoint, Entitlement, Profile
from conformance.protocols import x402
from conformance.purse import Made, Order, Purse, Standing, Unpayable
from conformance.selector import at_pointer
from conformance.window import Window
from conformance.wire import Turn, Wire

__all__ = ["Carry", "Copy", "Gather", "Hand", "Probe", "Sent"]

_LAG = 0.3
"""Seconds for which we look whether a witness moves by itself."""


Carry = Callable[[str], Changes]
"""Where a payment travels: from its field value to what changes in the request."""


Hand = Callable[[Request], Exchange]
"""Who sends a request in the place of our own client, and tells what came of it."""


Sent = tuple[str, Turn]
"""A request that is sent beside others, and what it is called."""


class Gather(Protocol):
    """The first half of a check: asks the target through a probe."""

    @property
    def __name__(self) -> str: ...

    def __call__(self, probe: "Probe", /) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One of many requests that bring the same payment."""

    label: str
    made: Made
    """The payment, in the bytes in which it comes."""
    request: Request


@dataclass(slots=True, kw_only=True)
class Probe:
    """Asks at one endpoint (or, without one, at the target) and remembers what was gathered."""

    profile: Profile
    wire: Wire
    purse: Purse
    endpoint: Endpoint | None = None
    kept: dict[str, Exchange] = field(default_factory=dict)
    made: dict[str, Made] = field(default_factory=dict)
    """By the label of the exchange in which ``pay`` sent it, so that it can be sent again."""
    others: dict[str, "Probe"] = field(default_factory=dict)
    """Of further instances of the target that run until the end, by name."""
    until_end: ExitStack = field(default_factory=ExitStack)
    """What is closed when the run ends."""
    broken_off: threading.Event = field(default_factory=threading.Event)
    """Whether the run has ended: nothing is started any more then."""
    window: Window | None = None
    """The browser of the run; None where the profile names none."""
    company: Mapping[str, Mapping[str, "Probe"]] = field(default_factory=dict)
    """By the name of a gather that takes long, and of an endpoint: the probes of the run at which it is due."""
    _gathered: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def at(self, endpoint: Endpoint) -> "Probe":
        """A probe of an endpoint of the same target, which has asked nothing yet."""
        return Probe(profile=self.profile, wire=self.wire, purse=self.purse, endpoint=endpoint, window=self.window)

    @property
    def _standing(self) -> Standing:
        """What payments have shown of the endpoint, to this probe and to others of the same purse."""
        return self.purse.standings.setdefault(self.endpoint.name if self.endpoint else "", Standing())

    def evidence(self, gathers: Sequence[Gather]) -> Evidence:
        """What ``gathers`` bring in; each asks once in a run, later checks share its exchanges."""
        labels = [label for gather in gathers for label in self.gather(gather)]
        return Evidence(profile=self.profile, at=self.endpoint, exchanges={label: self.kept[label] for label in labels})

    def gather(self, gather: Gather) -> tuple[str, ...]:
        """Runs ``gather`` unless it has run; the labels that it kept."""
        if not self.has_gathered(gather):
            before = set(self.kept)
            gather(self)
            self.note(gather, before)
        return self._gathered[gather.__name__]

    def has_gathered(self, gather: Gather) -> bool:
        """Whether ``gather`` has run here."""
        return gather.__name__ in self._gathered

    def note(self, gather: Gather, before: set[str]) -> None:
        """Notes that ``gather`` has run, and kept what is kept now and was not ``before``."""
        self._gathered[gather.__name__] = tuple(self._new(before))

    def forget(self, before: set[str]) -> None:
        """Drops what a gather kept that is broken off, and will begin again."""
        for label in self._new(before):
            del self.kept[label]

    def _new(self, before: set[str]) -> list[str]:
        # A gather may build on another: what that one kept stays its own.
        before = before.union(*self._gathered.values())
        return [label for label in self.kept if label not in before]

    def drawn(self, gathers: Sequence[Gather], ask: Callable[["Probe"], None]) -> Evidence:
        """What one drawn example brings in, beside what ``gathers`` brought; the example's own is never shared."""
        base = self.evidence(gathers)
        before = set(self.kept)
        ask(self)
        fresh = {label: exchange for label, exchange in self.kept.items() if label not in before}
        return Evidence(profile=self.profile, at=self.endpoint, exchanges={**base.exchanges, **fresh})

    def ask(self, label: str, *, raw: bool = False, by: Hand | None = None, **changes: Unpack[Changes]) -> Exchange:
        """Sends the endpoint's request, with ``changes`` as for ``request_to``, and keeps it as ``label``.

        ``by`` is who sends it in the place of our own client.
        """
        return self.send(label, request_to(self.profile, self.endpoint, **changes), raw=raw, by=by)

    def send(self, label: str, request: Request, *, raw: bool = False, by: Hand | None = None) -> Exchange:
        """Sends ``request`` as it stands, ``raw`` and ``by`` as in ``ask``, and keeps it as ``label``."""
        if self._standing.open:
            self.kept[label] = Exchange(request=request, failure=Failure(kind="unpayable", detail=self._standing.open))
            return self.kept[label]
        with self.purse.among_others():
            if by:
                self.kept[label] = self.wire.send_by(by, request, account=self.account)
                return self.kept[label]
            send = self.wire.send_raw if raw else self.wire.send
            exchange = send(request, account=self.account, back_off=not means_429(self.profile, self.endpoint))
        self.kept[label] = exchange
        return exchange

    def pay(
        self,
        label: str,
        order: Order,
        *,
        carry: Carry | None = None,
        watched: bool = False,
        raw: bool = False,
        by: Hand | None = None,
        **changes: Unpack[Changes],
    ) -> Exchange:
        """Sends the endpoint's request with the payment of ``order``, and keeps it as ``label``.

        ``carry`` says where the payment travels, if not in the field of its version; ``watched``, whether the witness
        is read before and after; ``raw`` and ``by`` as in ``ask``. Where the payment cannot be made, the exchange is a failure that
        says why.
        """
        with self.purse.alone() if watched else self.purse.among_others():
            # Made once it is our turn: it may not hold for long.
            try:
                made = self._made(order)
            except Unpayable as why:
                request = request_to(self.profile, self.endpoint, **changes)
                exchange = Exchange(request=request, failure=Failure(kind="unpayable", detail=str(why)))
                self.kept[label] = exchange
                return exchange
            self.made[label] = made
            self.purse.instruct(made, order, self.wire.timeout)
            carried = carry(made.value) if carry else Changes(headers={x402.PAYMENT[order.version]: made.value})
            before = self.witnessed() if watched else None
            exchange = self.ask(label, raw=raw, by=by, **_both(changes, carried))
            after = self.witnessed() if watched else None
        self._watched(label, replace(exchange, paid=self.purse.followed_on(made)), before, after)
        if carry is None and by is None and order == Order(version=order.version, way=order.way):
            self._doubt(label, order)
            self._look_whether_open(label, order)
        return self.kept[label]

    def _made(self, order: Order) -> Made:
        """The payment of ``order``; raises Unpayable."""
        if self._standing.elsewhere:
            raise Unpayable(self._standing.elsewhere)
        return self.purse.make(self.offer(order.version), order)

    def _doubt(self, label: str, order: Order) -> None:
        """Asks whether the target uses our facilitator, once a good payment was served without a call to it.

        Who serves a good payment and refuses a forged one asked somebody about them, and what that one said cannot be
        seen: from then on nothing is paid here, and the payment called ``label`` counts as none.
        """
        exchange = self.kept[label]
        if self._standing.known or not self.purse.scripted or not exchange.paid or not exchange.response:
            return
        if exchange.paid.calls or exchange.response.status >= 400:
            self._standing.known = bool(exchange.paid.calls)
            return
        self._standing.known = True
        forged = self.pay(f"v{order.version} of a stranger: forged", replace(order, recipe="signer-other"))
        if forged.response and forged.response.status >= 400 and forged.paid and not forged.paid.calls:
            self._standing.elsewhere = (
                f"a good payment is answered {exchange.response.shown()}, a forged one {forged.response.shown()}, and "
                "our facilitator is asked about neither: the target uses another one, and not {facilitator}"
            )
            self.kept[label] = replace(exchange, failure=Failure(kind="unpayable", detail=self._standing.elsewhere))

    def _look_whether_open(self, label: str, order: Order) -> None:
        """Asks without payment, once a good one was served, where the profile says that it opens more than one answer.

        Whoever is known by an address or an account is served whatever is paid: from then on no answer shows anything,
        and the payment called ``label`` counts as none.
        """
        exchange = self.kept[label]
        once = self.endpoint is None or self.endpoint.entitlement == Entitlement.ONCE
        if (
            self._standing.looked
            or once
            or exchange.failure
            or not exchange.response
            or exchange.response.status >= 400
        ):
            return
        self._standing.looked = True
        closed = self.kept["unpaid"].response if "unpaid" in self.kept else None
        plain = self.ask(f"v{order.version} of a stranger: unpaid").response
        if self.endpoint and plain and plain.status < 400 and closed and closed.status >= 400:
            self._standing.open = self._standing.elsewhere = (
                f"a good payment opens this endpoint to every request of ours (entitlement {self.endpoint.entitlement}): "
                f"without payment it is answered {closed.shown()} before, {plain.shown()} after"
            )
            self.kept[label] = replace(exchange, failure=Failure(kind="unpayable", detail=self._standing.open))

    def pay_together(self, orders: Mapping[str, Order]) -> None:
        """Sends one request for each of ``orders`` at the same time, and keeps each under its label."""
        with self.purse.among_others():
            sent = self.ready(orders)
            answered = self.wire.send_in_turn([turn for _, turn in sent])
        self.came(sent, answered)

    def ready(self, orders: Mapping[str, Order]) -> list[Sent]:
        """The endpoint's request with the payment of each of ``orders``; what cannot be paid is kept as a failure."""
        return [
            (label, Turn(request=self.carrying(self.made[label]), account=self.account))
            for label, order in orders.items()
            if self.make(label, order)
        ]

    def came(self, sent: Sequence[Sent], answered: Sequence[Exchange]) -> None:
        """Keeps what came of requests that ``ready`` made, and what the facilitator was asked by now."""
        for (label, _), exchange in zip(sent, answered, strict=True):
            self.kept[label] = replace(exchange, paid=self.purse.followed(self.made[label]))

    def make(self, label: str, order: Order) -> bool:
        """Makes the payment of ``order`` and tells the facilitator about it; if it cannot be made, ``label`` says why."""
        try:
            made = self._made(order)
        except Unpayable:
            self.pay(label, order)
            return False
        self.made[label] = made
        self.purse.instruct(made, order, self.wire.timeout)
        return True

    def carrying(self, made: Made, changes: Changes | None = None) -> Request:
        """The endpoint's request, with ``changes``, that carries ``made``."""
        carried = Changes(headers={x402.PAYMENT[made.note.version]: made.value})
        return request_to(self.profile, self.endpoint, **_both(changes or Changes(), carried))

    @property
    def account(self) -> str:
        """Whose request budget pays."""
        return self.endpoint.name if self.endpoint else ""

    def repeat(
        self, label: str, made: Made, *, watched: bool = False, raw: bool = False, **changes: Unpack[Changes]
    ) -> Exchange:
        """Sends the endpoint's request with a payment that was made before, and keeps it as ``label``.

        What is noted of the facilitator is what it was asked beyond what was known before; ``watched`` and ``raw`` as in
        ``pay``.
        """
        carried = Changes(headers={x402.PAYMENT[made.note.version]: made.value})
        with self.purse.alone() if watched else self.purse.among_others():
            before = self.witnessed() if watched else None
            exchange = self.ask(label, raw=raw, **_both(changes, carried))
            after = self.witnessed() if watched else None
        self._watched(label, replace(exchange, paid=self.purse.followed_on(made)), before, after)
        return self.kept[label]

    def pay_in_copies(self, label: str, order: Order, copies: Callable[[Made], Sequence[Copy]]) -> None:
        """Sends the requests that ``copies`` makes of one payment, whole at the same moment, and keeps each.

        What the facilitator was asked, and what the witness reads before and after, stands with the first: nobody can
        tell for which of them. Where the payment cannot be made, the exchange called ``label`` is a failure.
        """
        with self.purse.alone():
            try:
                made = self._made(order)
            except Unpayable:
                self.pay(label, order)
                return
            self.purse.instruct(made, order, self.wire.timeout)
            sent = copies(made)
            before = self.witnessed()
            answered = self.wire.send_at_once([copy.request for copy in sent], account=self.account)
            after = self.witnessed()
        for copy, exchange in zip(sent, answered, strict=True):
            self.kept[copy.label] = replace(exchange, paid=copy.made.note)
        first = replace(self.kept[sent[0].label], paid=self.purse.followed(sent[0].made))
        self._watched(sent[0].label, first, before, after)

    def watch(self, label: str) -> None:
        """The plain request, with what the witness reads before and after it."""
        with self.purse.alone():
            before = self.witnessed()
            exchange = self.ask(label)
            self._watched(label, exchange, before, self.witnessed())

    def rest(self, label: str, like: Exchange) -> None:
        """What the witness reads twice while nothing is asked, beside what ``like`` was: one that lags is seen too."""
        with self.purse.alone():
            before = self.witnessed()
            time.sleep(_LAG)
            self._watched(label, replace(like, paid=None), before, self.witnessed())

    def _watched(self, label: str, exchange: Exchange, before: int | None, after: int | None) -> None:
        seen = None if before is None or after is None else (before, after)
        note = exchange.paid or NOTHING
        self.kept[label] = replace(exchange, paid=replace(note, witness=seen))

    def witnessed(self) -> int | None:
        """What the endpoint's witness reads; None where it has none, or it cannot be read."""
        witness = self.endpoint.witness if self.endpoint else None
        if witness is None:
            return None
        if witness.log:
            return self.purse.logged(witness.log)
        request = request_to(self.profile, None, path=witness.path)
        response = self.wire.send(request, account="witness").response
        if response is None or not 200 <= response.status < 300:
            return None
        found = (
            response.value(witness.header) if witness.header else at_pointer(response.json_or_none(), witness.pointer)
        )
        return _whole(found)

    def offer(self, version: int) -> x402.Offer:
        """What is paid for, asked again where the offer is one that changes; raises Unpayable when there is none."""
        assert self.endpoint is not None  # noqa: S101 - only what an endpoint offers is paid for
        if self.endpoint.dynamic or "unpaid" not in self.kept:
            response = self.ask("unpaid" if "unpaid" not in self.kept else "offer").response
        else:
            response = self.kept["unpaid"].response
        try:
            found = x402.offer_in(response, version) if response else None
        except x402.Malformed:
            found = None
        if found is None:
            reason = f"there is no version {version} offer to pay"
            raise Unpayable(reason)
        return found


def _both(changes: Changes, others: Changes) -> Changes:
    """Both changes, the fields and queries of the two together."""
    joined = Changes(**{**changes, **others})
    for key in ("headers", "query"):
        if key in changes and key in others:
            joined[key] = {**changes[key], **others[key]}
    return joined


def _whole(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    return int(value) if isinstance(value, int) or value.strip().isdecimal() else None
