"""Further instances of the target, each with a facilitator of ours, also one that is out of order at the start."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from conformance import facilitator, target
from conformance.asking import request_to
from conformance.exchange import Exchange, Failure
from conformance.facilitator import FAULTS, Kind
from conformance.gather import spoken, unpaid
from conformance.probe import Probe
from conformance.profile import Endpoint, ProfileError
from conformance.purse import Order, Purse

__all__ = [
    "CHANGED",
    "HEALTHY",
    "STARTS",
    "Instance",
    "begun",
    "paid_at",
    "scratch",
    "started_anew",
    "unpaid_at",
]

HEALTHY = "healthy"
CHANGED = "changed"
"""The instance that started well, once its facilitator lists nothing any more."""
STARTS = ("redirect", "error-text", "hang", "no-kinds", "not-json")
"""How ``/supported`` answers while an instance starts."""

_HOLD = 1.0
"""Seconds for which a facilitator hangs at a start."""

_UNREADY = 2.0
"""Seconds after which an instance that answers that it is not ready is asked all the same: it may be open."""


def unpaid_at(name: str, endpoint: Endpoint) -> str:
    """What the request without payment is called that an endpoint of the instance ``name`` got."""
    return f"start {name}: unpaid {endpoint.name}"


def paid_at(name: str, version: int, endpoint: Endpoint) -> str:
    """What the request is called that paid at an endpoint of the instance ``name``."""
    return f"start {name}: v{version} {endpoint.name}"


def started_anew(probe: Probe) -> None:
    """An instance under a facilitator that is well and then lists nothing any more, and one under each of STARTS.

    Each is asked at every endpoint that is paid and has a marker: without payment, and with a good one where all is
    well, with a forged one elsewhere. One that does not start is kept as a failure ``refused``: to refuse to start is
    to be closed.
    """
    endpoints = [e for e in probe.profile.endpoints if e.protocol == "x402" and e.marker]
    offers: dict[str, Exchange] = {}
    with _instance(probe, HEALTHY) as (instance, why):
        if instance is None:
            probe.kept |= _without(probe, HEALTHY, why)
            return
        for endpoint in endpoints:
            probe.kept |= _asked(instance.at(endpoint), HEALTHY, Order(version=0), {})
            offers[endpoint.name] = probe.kept[unpaid_at(HEALTHY, endpoint)]
        instance.purse.unlist()
        for endpoint in endpoints:
            probe.kept |= _asked(instance.at(endpoint), CHANGED, _FORGED, offers)

    def started(name: str) -> dict[str, Exchange]:
        with _instance(probe, name) as (instance, why):
            if instance is None:
                return _without(probe, name, why)
            had = [_asked(instance.at(endpoint), name, _FORGED, offers) for endpoint in endpoints]
            return {here: exchange for some in had for here, exchange in some.items()}

    # While one starts another one is asked.
    with ThreadPoolExecutor(2) as pool:
        for had in pool.map(started, STARTS):
            probe.kept |= had


_FORGED = Order(version=0, recipe="signer-other")


def _asked(other: Probe, name: str, order: Order, offers: Mapping[str, Exchange]) -> dict[str, Exchange]:
    """Asks without payment and pays in each version: for what is offered, or else for what ``offers`` say it was."""
    endpoint = other.endpoint
    assert endpoint is not None  # noqa: S101 - made for an endpoint
    other.gather(unpaid)
    refusal = other.kept["unpaid"]
    had = {unpaid_at(name, endpoint): refusal}
    well = offers.get(endpoint.name, refusal).response
    if refusal.response is None or well is None:
        return had
    for version in spoken(endpoint.versions, well):
        made = other.pay("paid", replace(order, version=version))
        if _unpayable(made) and endpoint.name in offers:
            # Whoever offers nothing may let in whoever pays.
            other.kept["unpaid"] = offers[endpoint.name]
            made = other.pay("paid", replace(order, version=version))
        if not _unpayable(made):
            had[paid_at(name, version, endpoint)] = made
    return had


def _unpayable(exchange: Exchange) -> bool:
    return exchange.failure is not None and exchange.failure.kind == "unpayable"


def _without(probe: Probe, name: str, why: str) -> dict[str, Exchange]:
    """What is kept of an instance that did not start."""
    request = request_to(probe.profile, probe.endpoint)
    return {f"start {name}": Exchange(request=request, failure=Failure(kind="refused", detail=why))}


@contextmanager
def _instance(probe: Probe, name: str) -> Iterator[tuple[Probe | None, str]]:
    """A probe of a fresh instance whose facilitator answers ``/supported`` as ``name`` says, or why there is none."""
    with facilitator.start() as own, scratch(probe) as folder:
        if name != HEALTHY:
            own.control.supported(replace(FAULTS[Kind.SUPPORTED, name], hold=_HOLD))
        unready = None if name == HEALTHY else _UNREADY
        try:
            instance = begun(probe, name, own=own, folder=folder, unready=unready)
        except ProfileError as error:
            yield None, probe.purse.redactor.text(str(error))
            return
        try:
            yield instance.probe, ""
        finally:
            instance.stop()


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """Another instance of the target, and a probe of it."""

    probe: Probe
    port: int
    _process: target.Process

    def stop(self) -> None:
        """Ends it, and all connections to it before."""
        self.probe.purse.close()
        self.probe.wire.close()
        self._process.stop()


@contextmanager
def scratch(probe: Probe) -> Iterator[str]:
    """A fresh folder for what instances remember, apart from that of the target."""
    with tempfile.TemporaryDirectory(dir=probe.purse.means.scratch or None, ignore_cleanup_errors=True) as folder:
        yield folder


def begun(
    probe: Probe, name: str, *, own: facilitator.Running, folder: str, port: int = 0, unready: float | None = None
) -> Instance:
    """Another instance, whose facilitator is ``own`` and whose scratch folder is ``folder``.

    ``name`` is told from that of every other one in the run; ``port`` and ``unready`` as for ``target.start``. Raises
    ProfileError when it does not start.
    """
    how = probe.profile.target.start
    assert how is not None  # noqa: S101 - a row that needs a restart is not asked without
    bare = probe.profile.at(probe.purse.means.base_url)
    process = target.start(
        bare,
        how,
        environ=os.environ,
        facilitator=own.url,
        scratch=folder,
        port=port,
        unready=unready,
        broken_off=probe.broken_off,
        running=probe.purse.means.running,
    )
    try:
        profile = bare.at(process.base_url)
        wire = probe.wire.beside(process.base_url, probe.broken_off)
        means = replace(probe.purse.means, control=own.control.url, log="")
        purse = Purse(
            profile=profile,
            means=means,
            redactor=probe.purse.redactor,
            place=f"{probe.purse.place} {name}",
            began=wire.began,
            control=own.control,
        )
    except BaseException:
        process.stop()
        raise
    found = urlsplit(process.base_url).port or 0
    return Instance(probe=Probe(profile=profile, wire=wire, purse=purse), port=found, _process=process)
