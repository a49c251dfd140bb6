"""Another instance of the target, started while its facilitator, one of its own, is out of order."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from conformance import facilitator, target
from conformance.attempts import versions
from conformance.exchange import Exchange, Failure
from conformance.facilitator import FAULTS, Kind
from conformance.probe import Probe, request_to
from conformance.profile import ProfileError
from conformance.purse import Order, Purse

__all__ = ["HEALTHY", "STARTS", "started_anew"]

HEALTHY = "healthy"
STARTS = ("redirect", "error-text", "hang", "no-kinds", "not-json")
"""How ``/supported`` answers while an instance starts."""

_HOLD = 2.0
"""Seconds for which a facilitator hangs at a start."""


def started_anew(probe: Probe) -> None:
    """An instance under a facilitator that is well and then lists nothing any more, and one under each of STARTS.

    Each is asked at every endpoint that is paid and has a marker. One that does not start is kept as a failure
    ``refused``: to refuse to start is to be closed.
    """
    endpoints = [e for e in probe.profile.endpoints if e.protocol == "x402" and e.marker]
    with _instance(probe, HEALTHY) as (instance, why):
        if instance is None:
            _note(probe, f"start {HEALTHY}", why)
            return
        for endpoint in endpoints:
            _ask(probe, instance.at(endpoint), f"start {HEALTHY}", recipe="")
        instance.purse.unlist()
        for endpoint in endpoints:
            here = f"start changed {endpoint.name}"
            probe.kept[here] = instance.at(endpoint).ask(here)
    for name in STARTS:
        with _instance(probe, name) as (instance, why):
            if instance is None:
                _note(probe, f"start {name}", why)
                continue
            for endpoint in endpoints:
                _ask(probe, instance.at(endpoint), f"start {name}", recipe="signer-other")


def _ask(probe: Probe, other: Probe, label: str, *, recipe: str) -> None:
    """Asks without payment and pays in each version; what is kept ends with the endpoint's name."""
    assert other.endpoint is not None  # noqa: S101 - made for an endpoint
    where = other.endpoint.name
    probe.kept[f"{label} unpaid {where}"] = other.ask("unpaid")
    for version in versions(other):
        made = other.pay(f"v{version}", Order(version=version, recipe=recipe))
        if made.failure is None or made.failure.kind != "unpayable":
            probe.kept[f"{label} v{version} {where}"] = made


def _note(probe: Probe, label: str, why: str) -> None:
    probe.kept[label] = Exchange(
        request=request_to(probe.profile, probe.endpoint), failure=Failure(kind="refused", detail=why)
    )


@contextmanager
def _instance(probe: Probe, name: str) -> Iterator[tuple[Probe | None, str]]:
    """A probe of a fresh instance whose facilitator answers ``/supported`` as ``name`` says, or why there is none."""
    how = probe.profile.target.start
    assert how is not None  # noqa: S101 - a row that needs a restart is not asked without
    with facilitator.start() as own:
        if name != HEALTHY:
            own.control.supported(replace(FAULTS[Kind.SUPPORTED, name], hold=_HOLD))
        bare = probe.profile.at(probe.purse.means.base_url)
        try:
            process = target.start(bare, how, environ=os.environ, facilitator=own.url)
        except ProfileError as error:
            yield None, probe.purse.redactor.text(str(error))
            return
        try:
            profile = bare.at(process.base_url)
            wire = probe.wire.beside(process.base_url)
            means = replace(probe.purse.means, control=own.control.url, lock="", log="")
            purse = Purse(
                profile=profile, means=means, redactor=probe.purse.redactor, place=f"{name} start", began=wire.began
            )
            try:
                yield Probe(profile=profile, wire=wire, purse=purse), ""
            finally:
                purse.close()
                wire.close()
        finally:
            process.stop()
