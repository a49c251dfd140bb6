"""A server whose accounts misbehave in one way, and what is judged of it: the words of the table of effects."""

import asyncio
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from judging import Edit, Judged, judged
from serving import Altered, Change, served, unaltered

from conformance import _data, catalogue
from conformance.sandbox import app
from conformance.sandbox.ledger import Ledger

__all__ = ["ORDER", "Accounts", "Effect", "Server", "accounting", "effect", "judged_flows"]

Server = tuple[Altered, "Accounts", str]

ORDER = "flows.any-order"
"""Judged in ``test_account.py``: it asks as often as all the rows of the table together."""
_ASKED = tuple(id for id in catalogue.editions()["2026.11"].classes["flows"] if id != ORDER)


@dataclass(slots=True, kw_only=True)
class Accounts(Ledger):
    """The sandbox's ledger, careless as its fields say."""

    times: float = 1
    """How often a success takes its price."""
    refused: int = 0
    """What a refusal takes."""
    stutter: float | None = None
    """Seconds between the look at a balance and the taking; None for none."""
    forgets: bool = False
    """Whether what others took in between is forgotten."""
    busy: bool = False
    """Whether one who comes while another is served is turned away."""
    opens: bool = True
    """Whether a top-up adds anything."""
    keeps: int = 0
    """What is left when all is taken back."""
    begins: Mapping[str, int] = field(default_factory=dict)
    """What accounts have at first, where that is something else."""
    sticks: bool = False
    """Whether a reset takes nothing back."""
    lags: int = 0
    """How many readings of a balance are those from before the last success."""
    drifts: int = 0
    """What others take between two readings."""
    toll: int = 0
    """What one who is turned away pays for that."""
    above: int | None = None
    """What whoever is served has more than, where that is not the price."""
    robbed: int = 0
    """At which reading, counted from 1, others take ten more; 0 for never."""
    free: int = 0
    """How many calls cost nothing."""
    slow: float = 0
    """Seconds until what a top-up adds is there."""
    resets: float = 0
    """Seconds until a reset takes back."""
    cached: float = 0
    """Seconds for which a probe reads what it has read."""
    late: int = 0
    """How many calls are refused after a top-up, and after a reset are still served."""
    _serving: set[str] = field(default_factory=set)
    _old: dict[str, tuple[int, int]] = field(default_factory=dict)
    _called: int = 0
    _wait: int = 0
    _fines: int = 0
    _read: int = 0
    _was: int = 0
    _kept_until: float = 0

    def begin(self, **flaws: Any) -> None:
        """Makes it another ledger, of which nothing is taken yet."""
        for name, value in {**{name: getattr(Accounts(), name) for name in Accounts.__slots__}, **flaws}.items():
            setattr(self, name, value)
        self.balances = dict(self.begins)

    async def take(self, account: str, price: int) -> bool:
        """Takes the price, in its own way."""
        self._called += 1
        if self._called <= self.free:
            return True
        held = self.balances.get(account, super_balance(self, account))
        if self._wait:
            self._wait -= 1
            return held < price
        if held < price if self.above is None else held <= self.above:
            self.balances[account] = held - self.refused
            return False
        if self.stutter is None:
            self._keep(account, held, held - round(price * self.times))
            return True
        if self.busy and account in self._serving:
            self._fines += self.toll
            return False
        self._serving.add(account)
        await asyncio.sleep(self.stutter)
        self._serving.discard(account)
        now = held if self.forgets or self.busy else super_balance(self, account)
        self._keep(account, now, now - round(price * self.times) - self._fines)
        self._fines = 0
        return True

    def _keep(self, account: str, old: int, new: int) -> None:
        self._old[account] = (self.lags, old)
        self.balances[account] = new

    def reads(self, account: str) -> int:
        """What the probe says."""
        if time.monotonic() < self._kept_until:
            return self._was
        self._kept_until, self._was = time.monotonic() + self.cached, self._now(account)
        return self._was

    def _now(self, account: str) -> int:
        self._read += 1
        self.balances[account] = super_balance(self, account) - self.drifts - 10 * (self._read == self.robbed)
        left, old = self._old.get(account, (0, 0))
        if left:
            self._old[account] = (left - 1, old)
            return old
        return super_balance(self, account)

    def add(self, account: str, more: int) -> None:
        """Adds, where it does."""
        if self.opens and self.slow:
            asyncio.get_running_loop().call_later(self.slow, Ledger.add, self, account, more)
        elif self.opens:
            Ledger.add(self, account, more)
            self._wait = self.late

    def reset(self, account: str) -> None:
        """Takes back, where it does."""
        self._old.pop(account, None)
        if self.resets:
            asyncio.get_running_loop().call_later(self.resets, Ledger.reset, self, account)
        elif not self.sticks:
            Ledger.reset(self, account)
            if self.keeps:
                Ledger.add(self, account, self.keeps)
            self._wait = self.late


def super_balance(ledger: Ledger, account: str) -> int:
    """What an account really has."""
    return Ledger.balance(ledger, account)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One server, what its accounts do, and what that comes to."""

    name: str
    flaws: dict[str, Any] = field(default_factory=dict)
    red: frozenset[str] = frozenset()
    untestable: frozenset[str] = frozenset()
    """Requirements that nothing shows, and not because another one broke."""
    errors: frozenset[str] = frozenset()
    does: Change | None = None
    edit: Edit | None = None
    allows: tuple[str, ...] = ()
    """What the catalogue says of it: requirement id, colon, one of its ``allowed``."""
    at: tuple[str, ...] = ("translate",)
    only: tuple[str, ...] = _ASKED


def effect(name: str, *red: str, **more: Any) -> Effect:
    """An entry in one line, requirements by their last words; keywords that are none of ours are flaws."""
    own = {key: more.pop(key) for key in list(more) if key in Effect.__slots__}
    for key in ("untestable", "errors"):
        own[key] = frozenset(f"flows.{word}" for word in own.get(key, ()))
    return Effect(name=name, flaws=more, red=frozenset(f"flows.{word}" for word in red), **own)


@contextmanager
def accounting() -> Iterator[Server]:
    """A sandbox whose accounts can be made careless."""
    with served() as (altered, here):
        ledger = Accounts()
        altered.inner = app(here, accounts=ledger)
        yield altered, ledger, here


def judged_flows(server: Server, entry: Effect, *, claims: Sequence[str] = ("flows",), within: float = 0.3) -> Judged:
    """The run of class flows at the endpoints of ``entry``, whose steps bring about what they do ``within`` seconds."""
    altered, ledger, here = server
    altered.begin(entry.does or unaltered, ())
    ledger.begin(**entry.flaws)
    whole = tomllib.loads((_data.profiles() / "sandbox.toml").read_text("utf-8"))

    def both(written: dict[str, Any]) -> None:
        written["endpoint"] = [one for one in whole["endpoint"] if one["name"] in entry.at]
        written["observe"] = whole["observe"]
        written["limits"] = {"rounds": 3}
        written["flow"] = [one | {"endpoint": entry.at[0], "within": within} for one in whole["flow"]]
        for rule in written["answer"]:
            del rule["schema"]
        if entry.edit:
            entry.edit(written)

    return judged(here, claims=claims, edit=both, only=entry.only)
