"""The table for class x402/identifier: shops that take identifiers, and shops that take them for more than they are."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from careless import every_402, spoilt, wanted, why
from fault_replay import returning
from paid_fault import PaidFault, fault
from serving import Answer
from settling import both, served, silenced, withheld
from shop import Brought, Change, Rewrite, paying

from conformance.protocols.x402.identifier import IDENTIFIER

__all__ = [
    "IDENTIFIED",
    "TWO",
    "advertising",
    "as_shaped",
    "called",
    "chained",
    "elsewhere",
    "in_flight",
    "is_malformed",
    "kept_by",
    "payer_of",
    "proper",
    "renamed",
    "required",
]

_REPORT = ("/report",)
TWO = ("/report", "/weather")

Key = Callable[[Brought], object]


def elsewhere(written: dict[str, Any]) -> None:
    """The weather is sold where its buyers may name their payments, too."""
    for endpoint in written["endpoint"]:
        if endpoint["path"] == "/weather":
            endpoint["path"] += "-identified"
            endpoint["witness"]["pointer"] += "-identified"


def _info(brought: Brought) -> dict[str, Any]:
    found: Any = brought.payment
    for member in ("extensions", IDENTIFIER, "info"):
        found = found.get(member) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def called(brought: Brought) -> Any:
    """The identifier that a payment carries; None for none."""
    return _info(brought).get("id")


def payer_of(brought: Brought) -> object:
    """Who is said to pay."""
    found: Any = brought.payment.get("payload")
    found = found.get("authorization") if isinstance(found, dict) else None
    return found.get("from") if isinstance(found, dict) else None


def is_malformed(brought: Brought) -> bool:
    """Whether a payment carries something that is no identifier."""
    found = called(brought)
    return found is not None and not (isinstance(found, str) and re.fullmatch(r"[A-Za-z0-9_-]{16,128}", found))


def proper(brought: Brought) -> str:
    """The identifier that a payment carries; empty for none, and for what is none."""
    return "" if is_malformed(brought) else called(brought) or ""


def renamed(other: Callable[[Brought], object]) -> Rewrite:
    """The till is told another identifier; None for none. It is told, too, what it advertised itself."""

    def rewrite(brought: Brought) -> Brought:
        payment = brought.payment
        extensions = payment.get("extensions")
        if not isinstance(extensions, dict) or not isinstance(extensions.get(IDENTIFIER), dict):
            return brought
        name = other(brought)
        own = {"required": False} if name is None else {"required": False, "id": name}
        told = extensions | {IDENTIFIER: extensions[IDENTIFIER] | {"info": own}}
        return paying(brought, payment | {"extensions": told})

    return rewrite


def _hashed(*parts: object) -> str:
    return "pay_" + hashlib.sha256(repr(parts).encode()).hexdigest()


def as_shaped(brought: Brought) -> object:
    """An identifier for whatever is brought as one."""
    return _hashed(called(brought)) if is_malformed(brought) else called(brought)


def advertising(**info: object) -> dict[str, Any]:
    """A shop that says so of its identifiers."""

    def alter(document: dict[str, Any]) -> None:
        if extension := document["extensions"].get(IDENTIFIER):
            extension["info"] = info

    return {"change": every_402(alter), "rewrite": renamed(called)}


def chained(*rewrites: Rewrite) -> Rewrite:
    """One after the other."""

    def rewrite(brought: Brought) -> Brought:
        for one in rewrites:
            brought = one(brought)
        return brought

    return rewrite


def required(status: int) -> dict[str, Any]:
    """A shop that asks for identifiers, and answers ``status`` to payments without."""
    seams = advertising(required=True)
    lacking = spoilt(lambda brought: brought.payment and called(brought) is None)

    def change(brought: Brought, answer: Answer) -> None:
        if brought.value == "!":
            answer.status = status

    return {"change": both(seams["change"], change), "rewrite": chained(lacking, seams["rewrite"])}


def kept_by(key: Key, *, when: Callable[[Brought, Brought], bool] = lambda *_: True) -> dict[str, Any]:
    """A shop with answers by ``key`` before its till; they are given ``when`` the request that paid and this one say so."""
    kept: dict[object, tuple[Brought, Answer]] = {}
    asked: dict[object, object] = {}

    def known(brought: Brought) -> bool:
        first = kept.get(key(brought)) if proper(brought) else None
        return first is not None and when(first[0], brought)

    def change(brought: Brought, answer: Answer) -> None:
        found = kept.get(asked.get(brought.value))
        if found:
            answer.status, answer.headers, answer.body = found[1].status, list(found[1].headers), found[1].body
        elif served(answer) and proper(brought):
            own = Answer(status=answer.status, headers=list(answer.headers), body=answer.body)
            kept.setdefault(key(brought), (brought, own))

    turns = iter(range(1_000_000))

    def rewrite(brought: Brought) -> Brought:
        if not known(brought):
            return brought
        # No payment to the till, and each another one to us.
        value = f"!{next(turns)}"
        asked[value] = key(brought)
        return replace(
            brought, value=value, headers=tuple((n, value if v == brought.value else v) for n, v in brought.headers)
        )

    return {"change": change, "rewrite": rewrite}


def in_flight(when_known: Callable[[Answer], object]) -> dict[str, Any]:
    """A shop that keeps whoever comes while the same is under way from its till, and answers otherwise."""
    inside: dict[str, str] = {}

    def rewrite(brought: Brought) -> Brought:
        name = proper(brought)
        if not name:
            return brought
        if name in inside:
            return spoilt(lambda _: True)(brought)
        inside[name] = brought.value
        return brought

    def change(brought: Brought, answer: Answer) -> None:
        if brought.value == "!":
            when_known(answer)
        else:
            inside.pop(proper(brought), None)

    return {"rewrite": rewrite, "change": change}


def _repeated(alter: Callable[[Answer], object]) -> Change:
    """Alters what is served to a payment that was served before."""
    seen: set[str] = set()

    def change(brought: Brought, answer: Answer) -> None:
        if served(answer):
            if brought.value in seen:
                alter(answer)
            seen.add(brought.value)

    return change


def _settled_again() -> Callable[[Brought], dict[str, Any] | None]:
    seen: set[str] = set()

    def beside(brought: Brought) -> dict[str, Any] | None:
        if not brought.value or brought.value not in seen:
            seen.add(brought.value)
            return None
        return {"x402Version": 2, "paymentPayload": brought.payment, "paymentRequirements": wanted(brought)}

    return beside


def _runs_again() -> Callable[[Brought, Answer | None], bool]:
    seen: set[str] = set()

    def runs(brought: Brought, answer: Answer | None) -> bool:
        if answer is None or not served(answer):
            return False
        again = brought.value in seen
        seen.add(brought.value)
        return again

    return runs


def _after_failure() -> dict[str, Any]:
    """A shop that keeps what its handler made before that is settled."""
    made: set[str] = set()

    def change(brought: Brought, answer: Answer) -> None:
        if withheld(answer):
            made.add(proper(brought))

    return {"opens": lambda brought: proper(brought) in made - {""}, "change": change}


def _never_freed() -> dict[str, Any]:
    """A shop in which an identifier whose settlement failed is under way for ever."""
    taken: set[str] = set()
    rewrite = spoilt(lambda brought: proper(brought) in taken - {""})

    def change(brought: Brought, answer: Answer) -> None:
        if brought.value == "!":
            answer.status = 409
        elif withheld(answer):
            taken.add(proper(brought))

    return {"rewrite": rewrite, "change": change}


def _each_runs() -> dict[str, Any]:
    """A shop whose handler begins for each copy of a payment that is under way."""
    inside: dict[str, Brought] = {}

    def runs(brought: Brought, answer: Answer | None) -> bool:
        if not brought.value or answer is not None:
            return False
        return inside.setdefault(brought.value, brought) is not brought

    def change(brought: Brought, _: Answer) -> None:
        if inside.get(brought.value) is brought:
            del inside[brought.value]

    return {"runs": runs, "change": change}


def _told(status: int, when: Callable[[Brought, Answer], bool]) -> Change:
    def change(brought: Brought, answer: Answer) -> None:
        if brought.value and when(brought, answer):
            answer.become(status)

    return change


def _other_words(answer: Answer) -> None:
    answer.body = answer.body.replace(b"{", b'{"again": true, ', 1)


def _charged_and_refused() -> dict[str, Any]:
    bad: set[str] = set()

    def rewrite(brought: Brought) -> Brought:
        after = renamed(as_shaped)(brought)
        if is_malformed(brought):
            bad.add(after.value)
        return after

    return {"rewrite": rewrite, "change": _told(400, lambda brought, _: brought.value in bad)}


def _asks(brought: Brought) -> tuple[str, str, bytes]:
    """Why the payment is not good, which is no reason for the first, and what is asked for."""
    return why(brought), brought.query, brought.body


def _id(name: str) -> str:
    return f"x402.identifier.{name}"


IDENTIFIED: tuple[PaidFault, ...] = tuple(
    fault(name, *map(_id, red), **{"goods": _REPORT, **more})
    for name, red, more in (
        (
            "identifiers are left to its facilitator",
            ("grammar", "same-answer", "conflict", "in-flight-answer"),
            {"rewrite": renamed(lambda _: None)},
        ),
        ("whether one is required is said in words", ("info",), advertising(required="no")),
        ("no payment with an identifier is taken", ("accepted",), {"rewrite": spoilt(called)}),
        (
            "an identifier has 100 characters at most",
            ("accepted",),
            {"rewrite": spoilt(lambda brought: isinstance(called(brought), str) and len(called(brought)) > 100)},
        ),
        ("identifiers are not looked at", ("grammar",), {"rewrite": renamed(as_shaped)}),
        ("what is no identifier breaks it", ("grammar",), {"change": _told(500, lambda b, _: is_malformed(b))}),
        ("an identifier that it requires may be left out", ("required", "required-is-400"), advertising(required=True)),
        ("a required identifier that is missing is answered 402", ("required-is-400",), required(402)),
        ("the same again is settled again", ("same-answer",), {"beside": _settled_again()}),
        ("the same again is answered in other words", ("same-answer",), {"change": _repeated(_other_words)}),
        ("the same again is answered without a receipt", ("same-receipt",), {"change": _repeated(silenced)}),
        ("the same again is made again", ("runs-once", "in-flight-runs-once"), {"runs": _runs_again()}),
        (
            "the same again in other bytes is made again",
            ("runs-once",),
            returning(lambda first, brought: first.value != brought.value and _asks(first) == _asks(brought)),
        ),
        (
            "an identifier opens whatever is asked for",
            ("another-request",),
            returning(lambda first, brought: (first.query, first.body) != (brought.query, brought.body)),
        ),
        (
            "another payment with the same identifier is charged",
            ("conflict",),
            {"rewrite": renamed(lambda b: _hashed(called(b), b.value) if proper(b) else called(b))},
        ),
        (
            "another payment with the same identifier is answered 402",
            ("conflict",),
            {"change": _told(402, lambda _, answer: answer.status == 409)},
        ),
        (
            "whoever knows an identifier gets the answer",
            ("another-payer",),
            kept_by(proper, when=lambda first, brought: payer_of(first) != payer_of(brought)),
        ),
        (
            "whoever knows an identifier and its payer gets the answer",
            ("forged",),
            kept_by(lambda brought: (payer_of(brought), proper(brought))),
        ),
        (
            "an identifier opens every endpoint",
            ("elsewhere",),
            {
                **kept_by(proper, when=lambda first, brought: first.path != brought.path),
                "goods": TWO,
                "edit": elsewhere,
            },
        ),
        (
            "what is no identifier is charged first, and refused then",
            ("refused-is-not-charged",),
            _charged_and_refused(),
        ),
        ("an answer is kept before it is settled", ("failure-is-not-kept",), _after_failure()),
        ("an identifier whose settlement failed is never free again", ("failure-frees",), _never_freed()),
        ("each copy that comes meanwhile is made", ("in-flight-runs-once",), _each_runs()),
        (
            "a copy that comes meanwhile has to pay once more",
            ("in-flight-answer",),
            in_flight(lambda answer: setattr(answer, "status", 402)),
        ),
    )
)
