"""What checks pay: each gather sends good payments, and then payments that ought to open nothing."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from conformance.exchange import Exchange
from conformance.gather import spoken, unpaid
from conformance.probe import Carry, Probe
from conformance.purse import Order, Unpayable

__all__ = [
    "Attempts",
    "Sound",
    "attempt_named",
    "broken",
    "drop_unpayable",
    "every_way",
    "faults",
    "good",
    "hostiles",
    "kept_of",
    "label",
    "sound",
    "versions",
]

GOOD = "good"
UNSIGNED = "signed by nobody"
"""Beside a good payment where the facilitator is not ours: one that says yes to everything shows nothing."""
OWN_FIELD = "own field"
"""A payment where it belongs, beside which one in another place is compared."""


def label(version: int, group: str, name: str) -> str:
    """What the attempt ``name`` of a group is called."""
    return f"v{version} {group}: {name}"


def versions(probe: Probe) -> tuple[int, ...]:
    """The x402 versions in which the endpoint is paid."""
    probe.gather(unpaid)
    answer = probe.kept["unpaid"].response
    return spoken(probe.endpoint.versions, answer) if probe.endpoint and answer else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """A gather: in each version a good payment, and then the attempts of a group; what does not fit is left out."""

    group: str
    orders: Mapping[str, Order]
    """By name; the version is filled in."""
    carry: Mapping[str, Callable[[Probe, int], Carry]] = field(default_factory=dict)
    """Where an attempt travels, if not in the field of its version."""
    raw: bool = False
    """Whether the answers may have more fields than an HTTP client reads."""

    @property
    def __name__(self) -> str:
        return self.group

    def __call__(self, probe: Probe) -> None:
        """Pays."""
        for version in versions(probe):
            control = probe.pay(label(version, self.group, GOOD), Order(version=version))
            if control.failure and control.failure.kind == "unpayable":
                continue
            if not probe.purse.scripted:
                probe.pay(label(version, self.group, UNSIGNED), Order(version=version, recipe="signature-zeros"))
            for name, order in self.orders.items():
                here = label(version, self.group, name)
                carry = self.carry[name](probe, version) if name in self.carry else None
                own = replace(order, version=version)
                drop_unpayable(probe, here, probe.pay(here, own, carry=carry, raw=self.raw))


def drop_unpayable(probe: Probe, here: str, made: Exchange) -> None:
    """Leaves out an attempt that does not fit. One that nobody could pay for spoils the good payment of its group."""
    if made.failure is None or made.failure.kind != "unpayable":
        return
    del probe.kept[here]
    control = f"{here.partition(': ')[0]}: {GOOD}"
    # A part of the attempts would prove nothing, and look as if it did.
    if made.failure.detail == probe.purse.books.broke and control in probe.kept:
        probe.kept[control] = replace(probe.kept[control], failure=made.failure)


def good(group: str) -> Attempts:
    """One good payment."""
    return Attempts(group=group, orders={})


def broken(group: str, *recipes: str) -> Attempts:
    """Payments that are broken by ``recipes``."""
    return Attempts(group=group, orders={r: Order(version=0, recipe=r) for r in recipes})


def faults(group: str, *names: str, raw: bool = False) -> Attempts:
    """Good payments about which the facilitator does wrong, each in one way such as ``settle/no``."""
    return Attempts(group=group, orders={n: Order(version=0, faults=(n,)) for n in names}, raw=raw)


def hostiles(group: str, names: Iterable[str]) -> Attempts:
    """Payment fields of the hostile kinds ``names``."""
    return Attempts(group=group, orders={n: Order(version=0, hostile=n) for n in names})


def attempt_named(probe: Probe, group: str, name: str, order: Order) -> None:
    """One drawn attempt of a group, whose good payment another gather made; what does not fit is left out."""
    if label(order.version, group, GOOD) not in probe.kept:
        return
    start = label(order.version, group, "")
    nth = sum(here.startswith(start) for here in probe.kept)
    here = label(order.version, group, f"{name} #{nth}")
    drop_unpayable(probe, here, probe.pay(here, order))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """A gather: the plain request once more, after a group of attempts."""

    group: str

    @property
    def __name__(self) -> str:
        return f"sound after {self.group}"

    def __call__(self, probe: Probe) -> None:
        """Asks."""
        probe.ask(self.__name__)


def sound(group: str) -> Sound:
    """The plain request once more, after the attempts of ``group``."""
    return Sound(group=group)


def every_way(probe: Probe) -> None:
    """A good payment for each way of each offer."""
    for version in versions(probe):
        try:
            offer = probe.offer(version)
        except Unpayable:
            continue
        for way in offer.ways():
            probe.pay(label(version, "every way", str(way.index)), Order(version=version, way=way.index))


def kept_of(exchanges: Mapping[str, Exchange], group: str) -> Iterator[tuple[int, str, Exchange]]:
    """The attempts of a group with their versions and names, in the order in which they were made."""
    for here, exchange in exchanges.items():
        head, colon, name = here.partition(": ")
        version, _, found = head.partition(" ")
        if colon and found == group and version in {"v1", "v2"}:
            yield int(version[1:]), name, exchange
