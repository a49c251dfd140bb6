"""The table for class x402/settlement, where the facilitator is down, lies or babbles."""

import json
from collections.abc import Callable
from typing import Any

from paid_fault import PaidFault, fault
from serving import Answer
from settling import answers, hears
from shop import Brought, Told

__all__ = ["FACILITATOR", "hung"]

_ANY = ("/weather",)
_V1 = ("/forecast",)


def _says(told: Told) -> dict[str, Any]:
    return told.document if isinstance(told.document, dict) else {}


def _silent_on_success(told: Told) -> bool:
    """No word of a failure, by the default of a careless reader."""
    success = _says(told).get("success", True)
    return told.status == 200 and isinstance(told.document, dict) and success is True and not told.good


def _nameless(told: Told) -> None:
    for member in ("network", "payer"):
        _says(told).pop(member, None)


def _raises(told: Told) -> None:
    """The client library raises for every status but 200."""
    told.document = None


def hung() -> tuple[Callable[[str, dict[str, Any]], dict[str, Any]], Callable[[Told], None], Callable[[Brought], bool]]:
    """An ``asks`` and a ``hears`` that keep book, and whether the facilitator never answered about a payment."""
    open_: set[str] = set()

    def asks(_: str, asked: dict[str, Any]) -> dict[str, Any]:
        open_.add(asked["paymentPayload"]["payload"]["authorization"]["nonce"])
        return asked

    def told(found: Told) -> None:
        open_.discard(found.asked["paymentPayload"]["payload"]["authorization"]["nonce"])

    def never(brought: Brought) -> bool:
        return bool(brought.value) and brought.payment["payload"]["authorization"]["nonce"] in open_

    return asks, told, never


def _breaker() -> dict[str, Any]:
    """A breaker that a hang opens, and that the next payment runs into."""
    asks, told, never = hung()
    state = {"open": False}

    def change(brought: Brought, answer: Answer) -> None:
        if answer.status == 503 and never(brought):
            state["open"] = True

    def rewrite(brought: Brought) -> Brought:
        if brought.value and state["open"]:
            state["open"] = False
            return Brought(
                method=brought.method, path=brought.path, query=brought.query, headers=(), version=0, value=""
            )
        return brought

    return {"asks": asks, "hears": told, "change": change, "rewrite": rewrite}


def _quotes(say: Callable[[Answer, str], None]) -> dict[str, Any]:
    """A shop that repeats to the buyer what the facilitator said last, where it failed."""
    heard: list[str] = []

    def note(told: Told) -> None:
        heard[:] = [told.text] if told.status >= 500 else []

    def change(brought: Brought, answer: Answer) -> None:
        if brought.value and answer.status == 503 and heard:
            say(answer, heard[0])

    return {"hears": note, "change": change}


def _forwards() -> dict[str, Any]:
    """A shop that hands the fields of the facilitator on, as a proxy does."""
    heard: dict[str, str] = {}

    def note(told: Told) -> None:
        heard.update({name: value for name, value in told.headers.items() if name == "extension-responses"})

    def change(_: Brought, answer: Answer) -> None:
        for name in list(heard):
            answer.set(name, heard.pop(name))

    return {"hears": note, "change": change}


FACILITATOR: tuple[PaidFault, ...] = (
    fault(
        "it serves when the facilitator cannot be reached",
        "x402.settlement.facilitator-unreachable",
        "x402.settlement.facilitator-garbled",  # An answer that breaks off is the same to its client.
        hears=hears(lambda told: told.failed and not told.late),
    ),
    fault(
        "it serves when a settlement takes too long",
        "x402.settlement.facilitator-hangs",
        hears=hears(lambda told: told.late, "settle"),
        waits=1.5,
        patience=4.0,
    ),
    fault(
        "it waits for the facilitator without end",
        "x402.settlement.answers-in-time",
        patience=30.0,
        goods=_ANY,
    ),
    fault(
        "it serves when /settle is answered 500",
        "x402.settlement.facilitator-fails",
        hears=hears(lambda told: told.status >= 500, "settle"),
    ),
    fault(
        "it takes an answer that is no JSON object for a yes",
        "x402.settlement.facilitator-garbled",
        hears=hears(
            lambda told: told.status == 200 and not told.failed and not isinstance(told.document, dict), "settle"
        ),
    ),
    fault(
        "it takes an answer without a verdict for a yes",
        "x402.settlement.facilitator-without-verdict",
        hears=hears(_silent_on_success, "settle"),
    ),
    fault(
        "it takes any status below 400 for a yes",
        "x402.settlement.facilitator-redirects",
        hears=hears(lambda told: 300 <= told.status < 400, "settle"),
    ),
    fault(
        "it serves when the facilitator turns the shop away",
        "x402.settlement.facilitator-refuses",
        hears=hears(lambda told: told.status in {401, 403, 429}, "settle"),
    ),
    fault(
        "it takes whatever is true in Python for a yes",
        "x402.settlement.verdict-is-boolean",
        hears=hears(lambda told: not told.good and bool(_says(told).get("isValid") or _says(told).get("success"))),
        goods=_ANY,
    ),
    fault(
        "it names the transaction itself where the facilitator names none",
        "x402.settlement.transaction-named",
        hears=hears(lambda told: told.good and not _says(told).get("transaction"), "settle"),
        goods=_V1,
    ),
    fault(
        "it does not look on which network and for whom was settled",
        "x402.settlement.foreign",
        hears=hears(lambda told: told.good, "settle", _nameless),
        goods=_ANY,
    ),
    fault(
        "its client of the facilitator raises for a no with status 400",
        "x402.settlement.no-with-400",
        hears=hears(lambda told: told.status == 400, becomes=_raises),
        goods=_ANY,
    ),
    fault(
        "it says that the payment is bad when the facilitator is out of order",
        "x402.settlement.not-the-payers-fault",
        "x402.settlement.unknown-outcome",
        change=answers(lambda answer: answer.status == 503, lambda answer: setattr(answer, "status", 402)),
        goods=_V1,
    ),
    fault(
        "it quotes the facilitator in a field, shortened",
        "x402.settlement.short-fields",
        "x402.settlement.words-stay-inside",
        **_quotes(lambda answer, text: answer.set("X-Payment-Error", text.replace("\n", " ")[:32_000])),
        goods=_ANY,
    ),
    fault(
        "it quotes the facilitator in a field, whole",
        "x402.settlement.short-fields",
        "x402.settlement.words-stay-inside",
        **_quotes(lambda answer, text: answer.set("X-Payment-Error", json.dumps(text))),
        goods=_V1,
    ),
    fault(
        "it quotes the facilitator in its body",
        "x402.settlement.words-stay-inside",
        **_quotes(lambda answer, text: answer.say({"error": text})),
        goods=_ANY,
    ),
    fault(
        "it hands on what is meant for the shop alone",
        "x402.settlement.sidechannel",
        **_forwards(),
        goods=_ANY,
    ),
    fault(
        "its breaker holds the next buyer off once the facilitator did not answer",
        "x402.settlement.recovers",
        **_breaker(),
        goods=_ANY,
    ),
)
