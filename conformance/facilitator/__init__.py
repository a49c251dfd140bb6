"""The scripted facilitator: it verifies and settles x402 payments on a ledger of its own, and does wrong on request.

Read ``ledger.py`` for what a good payment is, and ``script.py`` for what can go wrong.
"""

from conformance.facilitator.answer import ADDRESS
from conformance.facilitator.control import Control
from conformance.facilitator.faults import FAULTS, SECRETS, SIDECHANNEL, fault
from conformance.facilitator.ledger import Decision, Ledger, Settlement
from conformance.facilitator.log import Call, Outcome
from conformance.facilitator.running import Running, serve, start
from conformance.facilitator.script import Basis, Delivery, Fault, Kind, Lapse

__all__ = [
    "ADDRESS",
    "FAULTS",
    "SECRETS",
    "SIDECHANNEL",
    "Basis",
    "Call",
    "Control",
    "Decision",
    "Delivery",
    "Fault",
    "Kind",
    "Lapse",
    "Ledger",
    "Outcome",
    "Running",
    "Settlement",
    "fault",
    "serve",
    "start",
]
