"""A check of class ``flows`` on refusals: nothing that is observed moves with them."""

from collections.abc import Iterator
from decimal import Decimal

from conformance import effects
from conformance.checks import check
from conformance.checks.effect import number
from conformance.effects import about
from conformance.evidence import Evidence
from conformance.flows import REFUSALS, refused_often
from conformance.outcome import Untestable, Violation
from conformance.profile import Flow, Observe
from conformance.walks import label


@check("flows.refusal-has-no-effect", refused_often)
def test_refusal_has_no_effect(evidence: Evidence) -> None:
    control = next((flow for flow in _with_undo(evidence)), None)
    watches = evidence.profile.observe
    lively = [name for name in watches if control and _moved(evidence, control, name)]
    doubts: list[str] = []
    # Of his account a refusal of another one says nothing.
    own = {flow.identity for flow in evidence.profile.flows if flow.endpoint == evidence.endpoint.name}
    proven = refused = 0
    for who in dict.fromkeys(called.partition(" #")[0] for called in evidence.exchanges if " #1: refusal " in called):
        for name, watch in watches.items():
            spans = [
                _span(evidence, who, time, name, watch)
                for time in (1, 2)
                if f"{who} #{time}: refusal 1" in evidence.exchanges
            ]
            if any(span is None for span in spans):
                continue
            refused += 1
            proven += name in lively and (watch.identity == who or watch.identity not in own)
            if not spans[0]:
                continue
            if f"{who} #1: at rest ({name})" in evidence.exchanges:
                rests = (
                    number(evidence, f"{who} #{time}: {when}", name, watch)
                    for time in (1, 2)
                    for when in ("after", "at rest")
                    if f"{who} #{time}: {when} ({name})" in evidence.exchanges
                )
                pairs = list(rests)
                still = all(about(one, other) for one, other in zip(pairs[::2], pairs[1::2], strict=False))
                if still and len(spans) == 2 and spans[1] and about(spans[0], spans[1]):
                    raise Violation(
                        expected=f"probe {name!r} unmoved by {REFUSALS} refusals",
                        received=f"it moves by {spans[0]:f}, and by as much once more, and stands still at rest",
                        at=watch.path,
                        reason="where it counts attempts, and not what they change, it is no probe of effects",
                        exchange=f"{who} #1: refusal {REFUSALS}",
                    )
            doubts.append(f"probe {name!r} moves, and not with the refusals alone: others use this account, or it lags")
    if doubts:
        raise Untestable(doubts[0])
    if not refused:
        reason = "nobody of whom the profile tells is refused here: it shows nothing of refusals"
        raise Untestable(reason)
    if lively and not proven:
        reason = f"probe {lively[0]!r} reads the account of one who is not refused here: it says nothing of others"
        raise Untestable(reason)
    if not proven:
        names = ", ".join(map(repr, watches))
        reason = f"no probe ({names}) was seen to move by the steps of a flow that can be undone, beside refusals: that it stands still says nothing"
        raise Untestable(reason)


def _with_undo(evidence: Evidence) -> Iterator[Flow]:
    own = [flow for flow in evidence.profile.flows if flow.endpoint == evidence.endpoint.name]
    return (flow for flow in (*own, *evidence.profile.flows) if flow.undo)


def _moved(evidence: Evidence, flow: Flow, name: str) -> bool:
    watch = evidence.profile.observe[name]
    before, after = (
        effects.reading(watch, evidence.exchange(f"{label(flow, 'control', when)} ({name})").response)
        for when in ("before", "after")
    )
    return before is not None and after is not None and not about(before, after)


def _span(evidence: Evidence, who: str, time: int, name: str, watch: Observe) -> Decimal | None:
    """By how much a probe moved over refusals; None where one was none."""
    for nth in range(1, REFUSALS + 1):
        called = f"{who} #{time}: refusal {nth}"
        if called not in evidence.exchanges or not effects.refusal(
            evidence.profile, evidence.endpoint, evidence.response(called)
        ):
            return None
    before, after = (number(evidence, f"{who} #{time}: {when}", name, watch) for when in ("before", "after"))
    return after - before
