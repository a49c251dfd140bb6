"""Checks of class ``flows`` on remedies: what a refusal asks for opens the same request, and its end closes it again."""

import re
from decimal import Decimal

from conformance import effects, schema
from conformance.checks import check
from conformance.checks.effect import account, begun, each_flow, last, number, served, stepped, unanswered
from conformance.evidence import Evidence
from conformance.exchange import Response
from conformance.facts import Record
from conformance.flows import fulfilled, traversed
from conformance.marks import marked
from conformance.outcome import Inapplicable, Unanswered, Untestable, Violation
from conformance.profile import Family, Flow, Price, Step
from conformance.walks import label


@check("flows.steps-answer", traversed)
def test_steps_answer(evidence: Evidence) -> None:
    def answered(flow: Flow) -> None:
        begun(evidence, flow)
        for time in (1, 2):
            for what, steps in (("step", flow.steps), ("undo", flow.undo)):
                for nth, step in enumerate(steps, 1):
                    _as_told(evidence, label(flow, time, f"{what} {nth}"), step)

    each_flow(evidence, answered)


def _as_told(evidence: Evidence, called: str, step: Step) -> None:
    # Of a way that ends early, and of one that is gone once, the rest was not asked.
    exchange = evidence.exchanges.get(called)
    if exchange is None or fulfilled(step, exchange):
        return
    response = evidence.response(called)
    if response.status >= 500 or response.status == 429:
        raise Unanswered(f"the step is answered {response.shown()}", exchange=called)
    raise Violation(
        expected=" or ".join(map(str, step.expect)) or "2xx",
        received=response.shown(),
        at=f"{step.method} {step.path}",
        exchange=called,
    )


@check("flows.remedy-opens", traversed)
def test_remedy_opens(evidence: Evidence) -> None:
    def opens(flow: Flow) -> None:
        begun(evidence, flow)
        stepped(evidence, flow)
        called = last(evidence, label(flow, 1, "opened"))
        response = evidence.response(called)
        marker = evidence.endpoint.marker
        if marker and marked(evidence.response(label(flow, 1, "refused")), marker):
            reason = f"the marker {marker.value!r} is in the refusal as well: it proves nothing (endpoint.marker)"
            raise Untestable(reason)
        if served(evidence, response):
            _not_by_itself(evidence, flow)
            return
        refused = effects.refusal(evidence.profile, evidence.endpoint, response)
        if refused is None:
            unanswered(response, called)
            if 200 <= response.status < 300:
                reason = "the answer has no marker: it proves nothing (endpoint.marker)"
                raise Untestable(reason)
        if refused:
            _enough(evidence, flow)
            _told_apart(refused, response)
            _under_way(evidence, flow, "step", flow.steps)
        raise Violation(
            expected="the request served, once the steps of the remedy are taken",
            received=response.shown() + (f", {refused.rule.family}" if refused else ""),
            exchange=called,
            reason=_patience(flow),
            steps=_told(flow),
        )

    each_flow(evidence, opens)


def _not_by_itself(evidence: Evidence, flow: Flow) -> None:
    """Raises Untestable where access came a little later, and comes as well where nothing is bought, or for whoever asks."""
    nobody = label(flow, 1, "nobody")
    if evidence.endpoint.marker and nobody in evidence.exchanges and served(evidence, evidence.response(nobody)):
        reason = "who sends no credential is served as well: that the steps open it for who takes them is not seen"
        raise Untestable(reason)
    for here in evidence.labels(label(flow, 1, "unbought ")):
        if served(evidence, evidence.response(here)):
            reason = "it is served now and then where nothing is bought: that the steps open it is not seen"
            raise Untestable(reason)


def _without_goods(evidence: Evidence, flow: Flow, response: Response, called: str) -> None:
    """Raises Violation for a refusal that holds what is sold, where the one from before did not."""
    marker = evidence.endpoint.marker
    if marker is None or marked(evidence.response(label(flow, 1, "refused")), marker):
        return
    if where := marked(response, marker):
        raise Violation(
            expected="a refusal without what is sold",
            received=f"{response.shown()} with the marker, in {where}",
            exchange=called,
            steps=_told(flow),
        )


def _taken_back(evidence: Evidence, flow: Flow) -> None:
    """Raises Untestable where the undo took something back, and left what a call takes."""
    found = _readings(evidence, flow, "debited", "undone")
    if found and found[0].minimum <= found[2] < found[1]:
        reason = f'the undo of flow "{flow.name}" leaves {found[2]:f}, which pays for a call: let it take back all'
        raise Untestable(reason)


def _under_way(evidence: Evidence, flow: Flow, what: str, steps: tuple[Step, ...]) -> None:
    """Raises Untestable where a step was taken on, and is not said to be done (RFC 9110 section 15.3.3)."""
    for nth in range(1, len(steps) + 1):
        if evidence.response(label(flow, 1, f"{what} {nth}")).status == 202:
            reason = f'flow "{flow.name}": {what} {nth} is accepted (202), and not done when it is asked again'
            raise Untestable(reason)


def _told_apart(refused: Record, response: Response) -> None:
    """Raises Untestable for a success that only a rule for every success takes for a refusal."""
    if 200 <= response.status < 300 and refused.rule.when is None:
        reason = f"rule {refused.rule.name!r} of the profile takes every answer {response.shown()} for a refusal: say which (when)"
        raise Untestable(reason)


def _enough(evidence: Evidence, flow: Flow) -> None:
    """Raises Untestable where the steps added something, and less than a call takes."""
    found = _readings(evidence, flow, "refused", "credited")
    if found is None:
        return
    # What a call takes at last may be less than what has to be there for it.
    needed = max(found[0].minimum, effects.quantity(begun(evidence, flow).document.get("required")) or found[0].minimum)
    if found[1] < found[2] < needed:
        reason = f'flow "{flow.name}" leaves {found[2]:f}, and a call takes {needed:f}: let its steps add more'
        raise Untestable(reason)


def _readings(evidence: Evidence, flow: Flow, before: str, after: str) -> tuple[Price, Decimal, Decimal] | None:
    """The price, and what the account has at two moments; None where nothing tells."""
    record = begun(evidence, flow)
    price = effects.price(flow, record)
    try:
        name, watch = account(evidence, flow, record)
        held, left = (number(evidence, label(flow, 1, when), name, watch) for when in (before, after))
    except (Untestable, Inapplicable, Unanswered):
        return None
    return (price, held, left) if price else None


def _opened(evidence: Evidence, flow: Flow) -> None:
    """Raises Untestable unless the remedy opened the request, and each step of its undo was taken."""
    stepped(evidence, flow)
    called = last(evidence, label(flow, 1, "opened"))
    if not served(evidence, evidence.response(called)):
        reason = f'flow "{flow.name}" does not open the request, so that there is nothing to take back'
        raise Untestable(reason, cause="flows.remedy-opens")
    if not flow.undo:
        reason = f'flow "{flow.name}" cannot be undone: the profile says no way back (flow.undo)'
        raise Untestable(reason)
    for nth, step in enumerate(flow.undo, 1):
        if not fulfilled(step, evidence.exchange(label(flow, 1, f"undo {nth}"))):
            reason = f'flow "{flow.name}": step {nth} of its undo was not answered as the profile says'
            raise Untestable(reason, cause="flows.steps-answer")


@check("flows.refused-after-undo", traversed)
def test_refused_after_undo(evidence: Evidence) -> None:
    def closes(flow: Flow) -> None:
        begun(evidence, flow)
        _opened(evidence, flow)
        called = last(evidence, label(flow, 1, "refused again"))
        response = evidence.response(called)
        if effects.refusal(evidence.profile, evidence.endpoint, response):
            _without_goods(evidence, flow, response, called)
            return
        unanswered(response, called)
        if _turned_away(evidence, response):
            return
        _taken_back(evidence, flow)
        _under_way(evidence, flow, "undo", flow.undo)
        raise Violation(
            expected="the request refused, once what was bought is taken back",
            received=response.shown(),
            exchange=called,
            reason=_patience(flow),
            steps=_told(flow),
        )

    each_flow(evidence, closes)


@check("flows.refused-again-alike", traversed)
def test_refused_again_alike(evidence: Evidence) -> None:
    def alike(flow: Flow) -> None:
        once = begun(evidence, flow)
        _opened(evidence, flow)
        called = last(evidence, label(flow, 1, "refused again"))
        again = effects.refusal(evidence.profile, evidence.endpoint, evidence.response(called))
        if again is None and _turned_away(evidence, evidence.response(called)):
            raise Violation(
                expected=f"the refusal from before the remedy, {once.rule.family}",
                received=evidence.response(called).shown(),
                exchange=called,
            )
        if again is None:
            reason = "the request is not refused again"
            raise Untestable(reason, cause="flows.refused-after-undo")
        codes = [record.document.get("code") for record in (once, again)]
        if once.rule.family is not again.rule.family or (codes[0] != codes[1] and not _has_ended(again)):
            raise Violation(
                expected=f"the refusal from before the remedy, {once.rule.family} with code {schema.shown(codes[0])}",
                received=f"{again.rule.family} with code {schema.shown(codes[1])}",
                exchange=called,
            )

    each_flow(evidence, alike)


_ENDED = re.compile("expired|ended|lapsed|cancell?ed|inactive")


def _has_ended(record: Record) -> bool:
    """Whether a paywall says that what was bought is over: that was not so before."""
    said = f"{record.document.get('code')} {record.document.get('reason')}"
    return record.rule.family is Family.PAYWALL and ("expired_at" in record.facts or bool(_ENDED.search(said)))


def _turned_away(evidence: Evidence, response: Response) -> bool:
    """Whether nothing is served, in words of no refusal that the profile knows: a closed account, a login."""
    marker = evidence.endpoint.marker
    return 300 <= response.status < 500 and not (marker and marked(response, marker))


def _patience(flow: Flow) -> str:
    return f"it was asked for {flow.within:g} s; where that is too soon, say what is not (flow.within)"


def _told(flow: Flow) -> str:
    """The steps of a flow, a line for each."""
    return "\n".join(f"{step.method} {step.path}" for step in flow.steps)
