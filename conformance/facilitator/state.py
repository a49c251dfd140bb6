"""What one facilitator knows and decides, without a socket: the ledger, the script, the log and the control of them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conformance.facilitator import wording
from conformance.facilitator._document import load
from conformance.facilitator.answer import ADDRESS, Answer, answer, of_decision, of_settlement, plain, supported
from conformance.facilitator.authorization import payer_and_nonce
from conformance.facilitator.ledger import Decision, Ledger, Settlement
from conformance.facilitator.log import Log, Outcome
from conformance.facilitator.script import Basis, Fault, Kind, Script, Supported

__all__ = ["Decided", "State"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What is answered to one call, and the fault that had a hand in it."""

    index: int
    """Of the call in the log."""
    answer: Answer
    fault: Fault | None


class State:
    """Everything that a facilitator remembers."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.reset()

    def reset(self) -> None:
        """Forgets everything but when it began."""
        self._ledger = Ledger(ADDRESS)
        self._script = Script()
        self.log = Log()

    def clock(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._began

    def decide(self, kind: Kind, path: str, body: bytes, *, scripted: bool) -> Decided:
        """Logs a call and decides it; unless it is ``scripted``, no fault has a say."""
        text = body.decode("utf-8", "replace")
        envelope = load(text)
        payload, version = envelope.get("paymentPayload"), envelope.get("x402Version")
        payer, nonce = payer_and_nonce(payload)
        index = self.log.begin(
            at=self.clock(),
            kind=kind,
            path=path,
            body=text,
            payer=payer.lower(),
            nonce=nonce.lower(),
            version=version if type(version) is int else None,
        )
        fault = self._script.take(kind, payer) if scripted else None
        document, outcome = self._document(kind, envelope, payer, fault)
        self.log.decided(index, fault=fault.name if fault else "", outcome=outcome)
        return Decided(index=index, answer=answer(document, fault), fault=fault)

    def _document(
        self, kind: Kind, envelope: Mapping[str, Any], payer: str, fault: Fault | None
    ) -> tuple[dict[str, Any], Outcome | None]:
        if kind is Kind.SUPPORTED:
            return supported(self._script.kinds), None
        asked, payload, version = (envelope.get(m) for m in ("paymentRequirements", "paymentPayload", "x402Version"))
        basis = fault.basis if fault else Basis.LEDGER
        forgives = fault.forgives if fault else ()
        now = int(time.time())
        if kind is Kind.VERIFY:
            if basis is Basis.NOTHING:
                refused = Decision(valid=False, reason="unexpected_verify_error", payer=payer)
                return of_decision(refused), None
            decision = self._ledger.verify(asked, payload, version, now, forgives)
            return of_decision(decision), Outcome(good=decision.valid, reason=decision.reason)
        if basis is Basis.NOTHING:
            network = asked.get("network") if isinstance(asked, dict) else None
            failed = Settlement(
                success=False,
                reason="unexpected_settle_error",
                payer=payer,
                network=network if isinstance(network, str) else "",
            )
            return of_settlement(failed, pending=False), None
        pending = basis is Basis.PENDING
        settled = self._ledger.settle(asked, payload, version, now, forgives, pending=pending)
        return of_settlement(settled, pending=pending), Outcome(
            good=settled.success, reason=settled.reason, transaction=settled.transaction, moved=settled.moved
        )

    def control(self, command: str, given: Mapping[str, Any]) -> Answer:
        """Carries out what a check asks for; 400 for what cannot be done."""
        try:
            return plain(200, self._obey(command, given))
        except (KeyError, TypeError, ValueError, ExceptionGroup) as error:
            return plain(400, {"error": f"{command}: {error!r}"})

    def _obey(self, command: str, given: Mapping[str, Any]) -> object:
        match command:
            case "script":
                self._script.write(given["payer"], wording.read(given["faults"], tuple[Fault, ...]))
            case "supported":
                self._script.write_supported(wording.read(given, Supported))
            case "balance":
                where = given["network"], given["asset"], given["holder"]
                if "amount" in given:
                    self._ledger.set_balance(*where, given["amount"])
                return self._ledger.balance(*where)
            case "calls":
                return wording.write(self.log.since(given["since"], given["payer"]))
            case "clock":
                return self.clock()
            case "reset":
                self.reset()
            case _:
                raise ValueError("no such command")
        return None
