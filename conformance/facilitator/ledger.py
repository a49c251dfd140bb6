"""The ledger: which payments are good, which authorizations are used up, and who has how much. No socket, no clock."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, replace

from conformance.facilitator.authorization import Authorization, Reason, Refused, payer_and_nonce, read
from conformance.facilitator.script import Lapse
from conformance.protocols.x402 import signing

__all__ = ["Decision", "Ledger", "Settlement"]

_MARGIN = 6
"""Seconds that an authorization must still hold, for the transaction to be mined; the reference facilitators' own."""

_REMEMBERED = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether a payment is good."""

    valid: bool
    reason: str = ""
    """An error code of x402; empty when the payment is valid."""
    payer: str = ""
    """As the payment writes the address; empty when it names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What became of an attempt to settle."""

    success: bool
    reason: str = ""
    payer: str = ""
    network: str = ""
    """As the server's requirements write it."""
    transaction: str = ""
    """0x and 64 hexadecimal digits, the same whenever the same authorization settles; empty when nothing moved."""
    amount: str | None = None
    """What was charged, in atomic units; for ``upto`` only."""
    moved: bool = False
    """Money moved because of this very attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Used:
    transaction: str
    amount: int
    pending: bool


class Ledger:
    """Who paid what. Whoever has no balance set is rich; any token on any EVM network exists."""

    def __init__(self, facilitator: str) -> None:
        """``facilitator`` is the address that an ``upto`` payment must be bound to."""
        self._facilitator = facilitator
        self._used: dict[tuple[str, str, str, str], _Used] = {}
        self._balances: dict[tuple[str, str, str], int] = {}
        self._signers: dict[bytes, str | None] = {}

    def balance(self, network: str, asset: str, holder: str) -> int | None:
        """What ``holder`` has, in atomic units; None for enough of it. ``network`` is a CAIP-2 id."""
        return self._balances.get((network, asset.lower(), holder.lower()))

    def set_balance(self, network: str, asset: str, holder: str, amount: int | None) -> None:
        """Sets what ``holder`` has; None makes it enough for everything. Raises ValueError for less than nothing."""
        key = (network, asset.lower(), holder.lower())
        if amount is None:
            self._balances.pop(key, None)
            return
        if amount < 0:
            raise ValueError(f"a balance of {amount}: nobody has less than nothing")
        self._balances[key] = amount

    def verify(
        self, requirements: object, payload: object, version: object, now: int, forgives: Collection[Lapse] = ()
    ) -> Decision:
        """Whether a payment of ``version`` is good at ``now``, in Unix seconds. Changes nothing, raises nothing."""
        payer = _payer(payload)
        try:
            found = read(requirements, payload, version, self._facilitator)
            self._inspect(found, version, now, forgives)
            if found.scheme == "upto" and found.value != found.price:
                raise Refused(Reason.VALUE)  # noqa: TRY301 - one place that says no
            used = self._used.get(_key(found))
            if used is None:
                self._afford(found, found.value)
            elif not used.pending and Lapse.REPLAYS not in forgives:
                raise Refused(Reason.USED)  # noqa: TRY301
        except Refused as refused:
            return Decision(valid=False, reason=_code(refused, requirements, version), payer=payer)
        return Decision(valid=True, payer=payer)

    def settle(
        self,
        requirements: object,
        payload: object,
        version: object,
        now: int,
        forgives: Collection[Lapse] = (),
        *,
        pending: bool = False,
    ) -> Settlement:
        """Settles a good payment at ``now``, in Unix seconds, or says why not. Raises nothing.

        An authorization moves money once. With ``pending`` its transaction is broadcast and not yet final: attempts
        up to and with the first one without ``pending`` succeed with the same transaction, any later one is a replay.
        """
        network = requirements.get("network") if isinstance(requirements, dict) else None
        said = Settlement(success=False, payer=_payer(payload), network=network if isinstance(network, str) else "")
        try:
            found = read(requirements, payload, version, self._facilitator)
            self._inspect(found, version, now, forgives)
            upto = found.scheme == "upto"
            if upto and found.price > found.value:
                raise Refused(Reason.EXCEEDS)  # noqa: TRY301
            charged = found.price if upto else found.value
            said = replace(said, amount=str(charged) if upto else None)
            used = self._used.get(_key(found))
            if used is not None:
                return replace(
                    said, success=True, transaction=self._again(found, used, charged, forgives, pending=pending)
                )
            self._afford(found, charged)
        except Refused as refused:
            return replace(said, amount=None, reason=_code(refused, requirements, version))
        if upto and charged == 0:
            return replace(said, success=True)
        transaction = _transaction(found)
        self._used[_key(found)] = _Used(transaction=transaction, amount=charged, pending=pending)
        self._move(found, charged)
        return replace(said, success=True, transaction=transaction, moved=True)

    def _inspect(self, found: Authorization, version: object, now: int, forgives: Collection[Lapse]) -> None:
        if found.recipient != found.asked_of:
            raise Refused(Reason.RECIPIENT)
        enough = found.value >= found.price if version == 1 else found.value == found.price
        if found.scheme == "exact" and not enough:
            raise Refused(Reason.VALUE)
        ageless = Lapse.AGE in forgives and _key(found) in self._used
        if found.before < now + _MARGIN and not ageless:
            raise Refused(Reason.BEFORE)
        if found.after > now:
            raise Refused(Reason.AFTER)
        if Lapse.TWINS not in forgives and signing.oddities(found.signature):
            raise Refused(Reason.SIGNATURE)
        if self._signer(found) != found.payer:
            raise Refused(Reason.SIGNATURE)

    def _signer(self, found: Authorization) -> str | None:
        # A payment is verified and settled, often many copies at once, and each recovery takes milliseconds.
        key = hashlib.sha256(f"{found.message}\n{found.signature}".encode("utf-8", "replace")).digest()
        if key not in self._signers:
            if len(self._signers) >= _REMEMBERED:
                self._signers.clear()
            signer = signing.recover(found.message, found.signature)
            self._signers[key] = signer.lower() if signer else None
        return self._signers[key]

    def _again(
        self, found: Authorization, used: _Used, charged: int, forgives: Collection[Lapse], *, pending: bool
    ) -> str:
        """The transaction of an authorization that is used already; a pending one stands for its own charge only."""
        reconciled = used.pending and used.amount == charged
        if not reconciled and Lapse.REPLAYS not in forgives:
            raise Refused(Reason.USED)
        self._used[_key(found)] = replace(used, pending=used.pending and pending)
        return used.transaction

    def _afford(self, found: Authorization, amount: int) -> None:
        has = self.balance(found.network, found.asset, found.payer)
        if has is not None and has < amount:
            raise Refused(Reason.FUNDS)

    def _move(self, found: Authorization, amount: int) -> None:
        for holder, change in ((found.payer, -amount), (found.recipient, amount)):
            key = (found.network, found.asset, holder)
            if key in self._balances:
                self._balances[key] += change


def _key(found: Authorization) -> tuple[str, str, str, str]:
    return found.network, found.contract, found.payer, found.nonce


def _transaction(found: Authorization) -> str:
    return "0x" + hashlib.sha256("\n".join(_key(found)).encode()).hexdigest()


def _payer(payload: object) -> str:
    return payer_and_nonce(payload)[0]


def _code(refused: Refused, requirements: object, version: object) -> str:
    scheme = requirements.get("scheme") if isinstance(requirements, dict) else ""
    mismatch = "" if version == 1 else "_mismatch"
    return str(refused.args[0]).format(scheme=scheme, mismatch=mismatch)
