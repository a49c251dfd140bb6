"""What a client is to do about a refusal: one thing, derived from what is said, the more explicit word first."""

from dataclasses import dataclass
from enum import StrEnum

from conformance import fields
from conformance.exchange import Response
from conformance.facts import Record
from conformance.profile import Family

__all__ = ["Action", "Advice", "action", "hard", "override", "waits"]


class Action(StrEnum):
    """What a client can do about a refusal."""

    PROMPT_USER = "prompt_user"
    AUTO_PAY = "auto_pay"
    RETRY_LATER = "retry_later"
    ESCALATE = "escalate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """One thing to do, and what says so."""

    action: Action
    because: str
    """For a sentence."""


_SAID = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
# Fields in which vendors say so to their own clients, whatever a profile looks for.
_FIELDS = ("Stripe-Should-Retry", "X-Should-Retry")
_OF_CATEGORY = {
    "soft": Action.PROMPT_USER,
    "hard": Action.PROMPT_USER,
    "authentication": Action.PROMPT_USER,
    "card_data": Action.PROMPT_USER,
    "processing": Action.RETRY_LATER,
    "fraud": Action.ESCALATE,
    "configuration": Action.ESCALATE,
}
_HARD = frozenset({"hard", "fraud", "card_data", "authentication", "configuration"})


def override(record: Record, response: Response) -> tuple[bool, str] | None:
    """Whether the refusal says in so many words to ask again or not to, and where; None where it says neither."""
    told = [(response.value(name), name) for name in _FIELDS]
    if "retry_override" in record.facts:
        told.append((record.facts["retry_override"].value, record.facts["retry_override"].at or "the profile"))
    for value, where in told:
        if (said := _SAID.get(str(value).strip().lower())) is not None:
            return said, where
    return None


def waits(response: Response) -> bool:
    """Whether the refusal has a Retry-After that can be read."""
    value = response.value("retry-after")
    return fields.natural(value) is not None or fields.http_date(value) is not None


def hard(record: Record) -> str:
    """Why the same request is not worth asking again as it is; empty where it may be, by and by."""
    match record.rule.family:
        case Family.PAYWALL:
            return "a paywall does not open by waiting"
        case Family.CREDITS if "balance" in record.facts and "resets_at" not in {*record.facts, *record.rule.waive}:
            return "a balance does not come back by waiting"
        case Family.DECLINE if record.document.get("category") in _HARD:
            return f"a decline of category {record.document['category']} does not pass"
        case _:
            return ""


def action(record: Record, response: Response) -> Advice | None:
    """The one thing to do: an explicit field, Retry-After, advice in the body, the family; None where nothing tells."""
    said = override(record, response)
    if said and said[0]:
        return Advice(action=Action.RETRY_LATER, because=said[1])
    if not said and waits(response):
        return Advice(action=Action.RETRY_LATER, because="Retry-After")
    own = record.document.get("client_action")
    if isinstance(own, str) and own in set(Action):
        return Advice(action=Action(own), because=record.facts["client_action"].at or "the profile")
    return _of_family(record)


def _of_family(record: Record) -> Advice | None:
    match record.rule.family:
        case Family.PAYWALL:
            return Advice(action=Action.PROMPT_USER, because="it is a paywall")
        case Family.CREDITS if "resets_at" in record.facts:
            return Advice(action=Action.RETRY_LATER, because="the allowance comes back")
        case Family.CREDITS if {"balance", "remedy", "required"} & set(record.facts):
            return Advice(action=Action.PROMPT_USER, because="a balance is to be filled up")
        case Family.DECLINE if found := _OF_CATEGORY.get(str(record.document.get("category"))):
            return Advice(action=found, because=f"the decline is of category {record.document['category']}")
        case Family.DECLINE if {"decline_code", "code", "advice"} & set(record.facts):
            # Who does not know a code does as for a card that is no good: asks for another one.
            return Advice(action=Action.PROMPT_USER, because="the payment was declined")
        case _:
            return None
