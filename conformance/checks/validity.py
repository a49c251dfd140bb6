"""Checks of class ``x402/durable`` on payments whose time is over, asked when there was time enough for that."""

from conformance.checks import check
from conformance.checks.durable import buys_nothing
from conformance.evidence import Evidence
from conformance.memory import EXPIRY, expired, expiring, unaided


@check("x402.durable.replay-after-expiry", expiring, expired)
def test_replay_after_expiry(evidence: Evidence) -> None:
    buys_nothing(evidence, EXPIRY)


@check("x402.durable.replay-after-expiry-unaided", expiring, expired)
def test_replay_after_expiry_unaided(evidence: Evidence) -> None:
    buys_nothing(evidence, unaided(EXPIRY))
