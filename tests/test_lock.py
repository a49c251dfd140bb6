"""Who asks beside whom: the lock of those who read a witness, and what may not hold for long while they wait for it."""

import fcntl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from judging import sandbox_profile
from sessions import sandbox

from conformance import facilitator
from conformance.asking import request_to
from conformance.gather import unpaid
from conformance.probe import Copy, Probe
from conformance.protocols import x402
from conformance.purse import Made, Means, Order, Purse
from conformance.redaction import Redactor
from conformance.wire import Wire

_WAITED = 3.2
"""Seconds; after them a payment that holds for eight has fewer left than a facilitator wants."""
_HOLDS = 8


@pytest.fixture
def probe(tmp_path: Path) -> Iterator[Probe]:
    """A probe of an endpoint that takes payments, in a run that has a lock."""
    with facilitator.start() as own, sandbox(facilitator=own.url) as here:
        loaded = sandbox_profile(here)
        redactor = Redactor.of({})
        hosts = frozenset({urlsplit(here).netloc})
        wire = Wire(timeout=5.0, limits=loaded.limits, redactor=redactor, hosts=hosts)
        means = Means(control=own.control.url, lock=str(tmp_path / "lock"))
        purse = Purse(profile=loaded, means=means, redactor=redactor, began=wire.began, control=own.control)
        endpoint = next(e for e in loaded.endpoints if e.name == "weather")
        probe = Probe(profile=loaded, wire=wire, purse=purse, endpoint=endpoint)
        probe.gather(unpaid)
        yield probe
        wire.close()


@contextmanager
def _alone_elsewhere(file: str, seconds: float) -> Iterator[None]:
    """Somebody else is alone with the target for so long."""
    with Path(file).open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        turn = threading.Timer(seconds, fcntl.flock, (held, fcntl.LOCK_UN))
        turn.start()
        yield
        turn.join()


def _copies(probe: Probe, made: Made) -> list[Copy]:
    request = request_to(probe.profile, probe.endpoint, headers={x402.PAYMENT[2]: made.value})
    return [Copy(label="brief", made=made, request=request)]


@pytest.mark.parametrize("how", ["paid", "watched", "together", "in copies"])
def test_a_payment_is_made_once_it_is_its_turn(how: str, probe: Probe) -> None:
    """However long somebody else is alone with the target, it holds for as long as it was meant to."""
    order = Order(version=2, holds=_HOLDS)
    with _alone_elsewhere(probe.purse.means.lock, _WAITED):
        if how == "together":
            probe.pay_together({"brief": order})
        elif how == "in copies":
            probe.pay_in_copies("brief", order, lambda made: _copies(probe, made))
        else:
            probe.pay("brief", order, watched=how == "watched")
    brief = probe.kept["brief"]
    assert brief.paid
    assert [(call.kind, call.reason) for call in brief.paid.calls] == [("verify", ""), ("settle", "")]
    assert brief.response
    assert brief.response.status == 200


def test_nobody_waits_for_himself(probe: Probe) -> None:
    """Whatever is asked on the way is asked while one's turn lasts, also if somebody waits to be alone meanwhile."""
    purse = probe.purse
    beside = Purse(profile=purse.profile, means=purse.means, redactor=purse.redactor, control=purse.control)
    other = threading.Thread(target=_alone_once, args=(beside,))
    with purse.among_others():
        other.start()
        time.sleep(0.2)
        assert probe.pay("among others", Order(version=2)).response
        third = Purse(profile=purse.profile, means=purse.means, redactor=purse.redactor, control=purse.control)
        with third.among_others():
            assert other.is_alive()
        with pytest.raises(RuntimeError, match="cannot be alone before they have done"):
            probe.watch("alone")
    other.join(5)
    assert not other.is_alive()
    with purse.alone():
        assert probe.pay("alone", Order(version=2), watched=True).response
    probe.watch("alone again")


def _alone_once(purse: Purse) -> None:
    with purse.alone():
        pass


def test_who_asks_at_once_waits_for_nobody(probe: Probe) -> None:
    """What another moment would show nothing of is asked also while somebody is alone; what comes then waits again."""
    began = time.monotonic()
    with _alone_elsewhere(probe.purse.means.lock, 1.0):
        with probe.purse.at_once():
            assert probe.pay("at once", Order(version=2)).response
            took = time.monotonic() - began
        assert probe.pay("in turn", Order(version=2)).response
        waited = time.monotonic() - began
    assert took < 0.9
    assert waited >= 0.9


def test_a_clock_that_is_told_late_is_not_believed_the_first_time(probe: Probe) -> None:
    """The log of the facilitator is held against our clock, which an answer that takes a while would set wrong."""
    own = probe.purse.control
    assert own
    late = iter([0.6])

    class Late(facilitator.Control):
        def clock(self) -> float:
            told = own.clock()
            time.sleep(next(late, 0))
            return told

    with Late(own.url) as control:
        paid = replace(probe, purse=replace(probe.purse, control=control)).pay("paid", Order(version=2))
    assert paid.paid
    assert paid.paid.calls
    assert paid.at - 0.05 <= paid.paid.calls[0].at <= paid.at + paid.took + 0.05
