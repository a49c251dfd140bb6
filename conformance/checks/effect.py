"""Words of the checks on flows and what they take: where one begins, what was served, what a probe read. No check is here."""

from collections.abc import Callable, Iterator
from decimal import Decimal

from conformance import effects
from conformance.effects import Unwatched
from conformance.evidence import Evidence
from conformance.exchange import Response
from conformance.facts import Record
from conformance.flows import fulfilled
from conformance.marks import marked
from conformance.outcome import Inapplicable, Unanswered, Untestable, Violation
from conformance.profile import Family, Flow, Observe
from conformance.walks import label

__all__ = [
    "account",
    "begun",
    "each_flow",
    "every_reading",
    "in_one_unit",
    "last",
    "later",
    "number",
    "of_endpoint",
    "served",
    "settled",
    "stepped",
    "unanswered",
]


def of_endpoint(evidence: Evidence) -> tuple[Flow, ...]:
    """The flows that lead out of the endpoint's refusal; Inapplicable where there are none."""
    found = tuple(flow for flow in evidence.profile.flows if flow.endpoint == evidence.endpoint.name)
    if not found:
        reason = "no [[flow]] of the profile leads out of this refusal"
        raise Inapplicable(reason)
    return found


def each_flow(evidence: Evidence, decide: Callable[[Flow], None]) -> None:
    """Holds when ``decide`` does for each flow of the endpoint; what is wrong comes before what cannot be said."""
    doubts: list[Untestable | Unanswered] = []
    nothing: list[Inapplicable] = []
    flows = of_endpoint(evidence)
    for flow in flows:
        try:
            decide(flow)
        except (Untestable, Unanswered) as doubt:
            doubts.append(doubt)
        except Inapplicable as none:
            nothing.append(none)
    if doubts:
        raise doubts[0]
    if len(nothing) == len(flows):
        raise nothing[0]


def begun(evidence: Evidence, flow: Flow, time: int | str = 1) -> Record:
    """What the refusal says at which the flow begins; Untestable where the request is not refused there."""
    called = label(flow, time, "refused")
    response = evidence.response(called)
    record = effects.refusal(evidence.profile, evidence.endpoint, response)
    if record is None:
        reason = (
            f'flow "{flow.name}" begins where identity "{flow.identity}" is refused, and it is answered '
            f"{response.shown()}: name an identity that has not paid (flow.identity)"
        )
        raise Untestable(reason, cause="flows.refused-after-undo" if time != 1 else "")
    return record


def stepped(evidence: Evidence, flow: Flow, time: int | str = 1) -> None:
    """Raises Untestable unless every step of the flow was answered as the profile says."""
    for number, step in enumerate(flow.steps, 1):
        exchange = evidence.exchanges.get(label(flow, time, f"step {number}"))
        if exchange is None or not fulfilled(step, exchange):
            reason = f'flow "{flow.name}": step {number} was not answered as the profile says'
            raise Untestable(reason, cause="flows.steps-answer")


def last(evidence: Evidence, called: str) -> str:
    """The label of the last time that it was asked: what comes a little later comes too."""
    return ([called] + [one for one in evidence.labels(f"{called}, later ") if one.rpartition(" ")[2].isdecimal()])[-1]


def served(evidence: Evidence, response: Response) -> bool:
    """Whether it is what is sold: a success with the marker, or where there is none, one that is no refusal."""
    if not 200 <= response.status < 300:
        return False
    if evidence.endpoint.marker:
        return bool(marked(response, evidence.endpoint.marker))
    return effects.refusal(evidence.profile, evidence.endpoint, response) is None


def unanswered(response: Response, called: str) -> None:
    """Raises Unanswered for what says nothing of money: a server that fails, one that is busy, a request it cannot read."""
    if response.status >= 500 or response.status == 429:
        raise Unanswered(f"the request is answered {response.shown()}", exchange=called)
    if response.status in {400, 415, 422}:
        reason = f"the request is answered {response.shown()} by who has paid: correct its body, path or fields"
        raise Unanswered(reason, exchange=called)


def account(evidence: Evidence, flow: Flow, record: Record) -> tuple[str, Observe]:
    """The probe, with its name, of what a call is paid from; Inapplicable where nothing is, Untestable where none reads it."""
    if record.rule.family is not Family.CREDITS and flow.price is None:
        reason = f"nothing is taken from an account here: the refusal is of family {record.rule.family}"
        raise Inapplicable(reason)
    try:
        name, watch = effects.account(evidence.profile, flow, record)
    except Unwatched as why:
        raise Untestable(str(why)) from why
    in_one_unit(evidence, flow, record, name, watch)
    return name, watch


def in_one_unit(evidence: Evidence, flow: Flow, record: Record, name: str, watch: Observe) -> None:
    """Raises Untestable where a probe counts in cents what the refusal tells in euros, or the like."""
    stated = effects.quantity(record.document.get("balance"))
    had = evidence.exchanges.get(f"{label(flow, 1, 'refused')} ({name})")
    found = effects.reading(watch, had.response) if had else None
    if stated and found and stated != found and any(stated == found.scaleb(by) for by in (-6, -3, -2, 2, 3, 6)):
        reason = f"the refusal states {stated:f}, probe {name!r} reads {found:f}: they do not count in one unit (observe.{name}.unit)"
        raise Untestable(reason)


def number(evidence: Evidence, called: str, name: str, watch: Observe) -> Decimal:
    """What the probe called ``name`` read at the moment ``called``; Untestable where that is no number."""
    where = f"{called} ({name})"
    response = evidence.response(where)
    found = effects.reading(watch, response)
    if found is None:
        reason = (
            f"probe {name!r} reads no number at {watch.path}, {watch.pointer or 'the body'}: it is answered "
            f"{response.shown()} (observe.{name})"
        )
        raise Untestable(reason)
    return found


def every_reading(evidence: Evidence, name: str, watch: Observe) -> list[Decimal]:
    """All that the probe called ``name`` ever read: they show how finely it tells."""
    had = (exchange.response for called, exchange in evidence.exchanges.items() if called.endswith(f" ({name})"))
    return [found for response in had if (found := effects.reading(watch, response)) is not None]


def later(evidence: Evidence, called: str, name: str, watch: Observe) -> Iterator[Decimal]:
    """What the probe read when it was read on."""
    nth = 1
    while f"{called}, later {nth} ({name})" in evidence.exchanges:
        yield number(evidence, f"{called}, later {nth}", name, watch)
        nth += 1


def settled(
    evidence: Evidence, called: str, watched: tuple[str, Observe], fits: Callable[[Decimal], bool]
) -> tuple[Decimal, bool]:
    """What the probe read at ``called``, and whether that fits; Untestable where it fits later only, or moves by itself."""
    name, watch = watched
    found = number(evidence, called, name, watch)
    if fits(found):
        return found, True
    more = list(later(evidence, called, name, watch))
    if any(map(fits, more)):
        reason = f"probe {name!r} lags: what it should read is there only when it is read again"
        raise Untestable(reason)
    if effects.moves([found, *more]):
        reason = f"probe {name!r} moves while nothing is asked: others use this account, or it lags"
        raise Untestable(reason)
    return found, False


def violated(decide: Callable[[], object]) -> bool:
    """Whether ``decide`` comes to a violation; what it cannot say, it raises."""
    try:
        decide()
    except Violation:
        return True
    return False
