"""A check of class ``x402/settlement``: payments in whatever order, held against a model of what each may open."""

from collections import Counter
from dataclasses import dataclass

from conformance.attempts import GOOD, label
from conformance.checks import Drawn, check
from conformance.checks.opening import charges_nothing, doubt, good_payment, gratis, is_gratis, paid_for, served
from conformance.checks.reuse import may_return
from conformance.course import Step, counters, performed, sold_at, sold_once, steps, unpaid_at
from conformance.evidence import Evidence
from conformance.exchange import Exchange
from conformance.gather import spoken
from conformance.marks import marked
from conformance.outcome import Inapplicable, Untestable, Violation
from conformance.paid import NOTHING, FacilitatorCall
from conformance.profile import Endpoint
from conformance.programs import BEFORE, ENDING, KNOWN, programs

__all__ = ["in_order"]

_GROUP = "program"
_ASKED = "asked"
"""What an exchange is called beside the good payment of its place alone."""


@dataclass(slots=True, kw_only=True)
class _Payment:
    """What the model knows of one payment."""

    number: int
    home: Endpoint
    """What it was made for."""
    opened: str = ""
    """The step at which it opened its answer; empty as long as it did not."""
    charged: str = ""
    """The step at which it moved money; empty as long as it did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Had:
    """What came of one step."""

    step: Step
    exchanges: tuple[Exchange, ...]
    payment: _Payment | None
    """None for a request without payment."""
    fresh: bool
    """Whether the payment was made for this step."""
    where: tuple[str, ...]
    """For each exchange, where in its answer stands what is sold; empty where it does not, or where no answer came."""

    @property
    def moved(self) -> int:
        """How often money moved because of it."""
        return sum(call.moved for call in self.calls)

    @property
    def calls(self) -> tuple[FacilitatorCall, ...]:
        """What the facilitator was asked because of it."""
        return tuple(call for exchange in self.exchanges if exchange.paid for call in exchange.paid.calls)

    @property
    def calm(self) -> bool:
        """Whether it is about a payment to which the facilitator does no wrong."""
        paid = self.exchanges[0].paid
        return paid is not None and not paid.faults

    @property
    def asked(self) -> str:
        """What the facilitator was asked, for a sentence."""
        return NOTHING.followed_by(*self.calls).story

    @property
    def gratis(self) -> bool:
        """Whether it cost nothing, as may be in scheme upto: then its payment is as good as before."""
        return self.exchanges[0].paid is not None and is_gratis(self.exchanges[0].paid)

    @property
    def opened(self) -> int:
        """How many of its answers hold what is sold, and may have cost something."""
        return 0 if self.gratis else sum(map(bool, self.where))


@check(
    "x402.settlement.any-order",
    counters,
    drawn=Drawn(values=lambda _: programs(), examples=KNOWN, ask=performed, per=2),
)
def test_any_order(evidence: Evidence) -> None:
    in_order(evidence)


def in_order(evidence: Evidence) -> None:
    """Holds where each step came to what the model of payments allows."""
    sound, doubts, nothing = _counters(evidence)
    payments: dict[str, _Payment] = {}
    story: list[_Had] = []
    for step in steps(evidence.exchanges, evidence.profile):
        had = _had(evidence, step, payments, sound)
        story.append(had)
        places = {(step.endpoint.name, _version(had)), (had.payment.home.name if had.payment else "", _version(had))}
        if had.payment is None or places <= sound:
            _judge(had, story)
        if had.payment:
            had.payment.charged = had.payment.charged or (step.name if had.moved else "")
            had.payment.opened = had.payment.opened or (step.name if had.opened else "")
    if doubts:
        raise doubts[0]
    if not sound:
        raise Inapplicable(nothing)
    if not story:
        reason = "no program was carried out"
        raise Untestable(reason)
    _prove(evidence, story)


def _counters(evidence: Evidence) -> tuple[set[tuple[str, int]], list[Untestable], str]:
    """Where a good payment is served and charged, by name and version; doubts; and why nothing at all is judged."""
    sound = set()
    doubts = []
    why = "no endpoint with a marker is paid for each answer"
    for endpoint in sold_once(evidence.profile):
        refusal = evidence.response(unpaid_at(endpoint))
        for version in spoken(endpoint.versions, refusal):
            view = _view(evidence, endpoint, version, evidence.exchange(sold_at(endpoint, version)))
            try:
                if returns := may_return(evidence, refusal, version):
                    why = returns
                    continue
                paid = paid_for(good_payment(view, version, _GROUP))
            except Untestable as doubt:
                doubts.append(
                    Untestable(f'endpoint "{endpoint.name}": {doubt.finding.reason}', cause=doubt.finding.cause)
                )
                continue
            if paid.charged:
                sound.add((endpoint.name, version))
            elif paid.settled or charges_nothing(paid):
                why = "nothing is charged here (scheme upto), so that nothing is used up"
            else:
                reason = f'endpoint "{endpoint.name}", version {version}: a good payment is served without a settlement'
                doubts.append(Untestable(reason, cause="x402.settlement.served-is-settled"))
    return sound, doubts, why


def _view(evidence: Evidence, endpoint: Endpoint, version: int, exchange: Exchange) -> Evidence:
    """One exchange as the evidence of an endpoint, beside what that refused and what it served for a good payment."""
    return Evidence(
        profile=evidence.profile,
        at=endpoint,
        exchanges={
            "unpaid": evidence.exchange(unpaid_at(endpoint)),
            label(version, _GROUP, GOOD): evidence.exchange(sold_at(endpoint, version)),
            label(version, _GROUP, _ASKED): exchange,
        },
    )


def _version(had: _Had) -> int:
    """By which version a step pays; 0 where it does not."""
    paid = had.exchanges[0].paid
    return paid.version if paid else 0


def _had(evidence: Evidence, step: Step, payments: dict[str, _Payment], sound: set[tuple[str, int]]) -> _Had:
    """What came of ``step``; its payment is added to ``payments``, by payer, where it is a fresh one."""
    exchanges = tuple(evidence.exchange(here) for here in step.labels)
    paid = exchanges[0].paid
    payment = payments.get(paid.payer.lower()) if paid else None
    fresh = payment is None
    if paid and payment is None:
        payment = payments[paid.payer.lower()] = _Payment(number=len(payments) + 1, home=step.endpoint)
    where = tuple(
        _opened(evidence, step.endpoint, exchange, payment, sound) if exchange.response and not exchange.failure else ""
        for exchange in exchanges
    )
    return _Had(step=step, exchanges=exchanges, payment=payment, fresh=fresh, where=where)


def _opened(
    evidence: Evidence,
    endpoint: Endpoint,
    exchange: Exchange,
    payment: _Payment | None,
    sound: set[tuple[str, int]],
) -> str:
    """Where in an answer stands what is sold, there or where the payment was made for; empty where it does not."""
    if exchange.paid:
        versions = [exchange.paid.version]
    else:
        versions = [version for name, version in sorted(sound) if name == endpoint.name]
    for version in versions:
        if where := served(_view(evidence, endpoint, version, exchange), label(version, _GROUP, _ASKED)):
            return where
    marker = payment.home.marker if payment and payment.home != endpoint else None
    refusal = evidence.response(unpaid_at(endpoint))
    # A word that stands in the refusal too says nothing of what was bought elsewhere.
    if payment is None or marker is None or exchange.response is None or marked(refusal, marker):
        return ""
    where = marked(exchange.response, marker)
    return f'{where} (that of endpoint "{payment.home.name}")' if where else ""


def _judge(had: _Had, story: list[_Had]) -> None:
    """Raises Violation where the model does not allow what came of the last step of ``story``."""
    if wrong := _wrong(had):
        guilty = [here for here, where in zip(had.step.labels, had.where, strict=True) if where] or had.step.labels
        raise Violation(
            expected="for each payment one answer at most, one charge at most, and no answer without a charge",
            received=f"{had.step.name}: {wrong}",
            at="; ".join(each.step.told for each in story),
            exchange=guilty[-1],
            steps="\n".join(map(_line, story)),
        )


def _wrong(had: _Had) -> str:
    """What the model does not allow about a step; empty when it is as it ought to be."""
    payment, opened = had.payment, had.opened
    if payment is None:
        return "served, without a payment" if opened else ""
    name = f"payment {payment.number}"
    if had.moved + bool(payment.charged) > 1:
        before = f", after {payment.charged}" if payment.charged else f" {had.moved} times"
        return f"{name} is charged{before}"
    paid = had.exchanges[0].paid
    if paid and opened - gratis(paid) > 1:
        return f"{opened} of {len(had.exchanges)} copies of {name} are served"
    if opened and payment.opened:
        return f"served, though {name} was used at {payment.opened}"
    if opened and payment.charged and had.step.endpoint != payment.home:
        return f"served, though {name} was charged at {payment.charged}"
    if opened and not (had.moved or payment.charged):
        return f"served, though {name} was never charged"
    return ""


_MEANS = {
    "settle/no": "the facilitator refuses once to settle",
    "verify/no": "the facilitator calls it invalid once",
    "settle/settled-then-drops": "it is settled, and the facilitator's answer is lost",
    "settle/pending": "its settlement is pending once",
}
"""What the faults of programs are, for who does not know them by name."""


def _line(had: _Had) -> str:
    """A step for a reader: what was sent, what came back, and what was settled."""
    paid, payment = had.exchanges[0].paid, had.payment
    told = [f"{had.step.number}. {had.step.told}"]
    if paid and payment and had.fresh:
        told += [
            f"payment {payment.number}, of version {paid.version}, is {paid.amount} of {paid.asset} by {paid.payer}"
        ]
        told += [_MEANS[name] for name in paid.faults if name in _MEANS]
    answers: Counter[str] = Counter()
    for exchange, where in zip(had.exchanges, had.where, strict=True):
        shown = exchange.response.shown() if exchange.response else "no answer"
        answers[f"{shown} with the marker, in {where}" if where else shown] += 1
    many = len(had.exchanges)
    came = ", ".join(f"{what} ({times} of {many})" if many > 1 else what for what, times in answers.items())
    if paid is None:
        return f"{'; '.join(told)}: {came}"
    return f"{'; '.join(told)}: {came}; {had.asked}; {'charged' if had.moved else 'nothing charged'}"


def _prove(evidence: Evidence, story: list[_Had]) -> None:
    """Raises Untestable where a step leaves open what it opened, or where no good payment was taken."""
    for had in story:
        if had.opened > 1:
            reason = f"{had.step.name}: {had.opened} copies are served: in scheme upto all but one may have cost 0"
            raise Untestable(reason)
        for here, exchange in zip(had.step.labels, had.exchanges, strict=True):
            evidence.response(here)
            if exchange.paid:
                view = _view(evidence, had.step.endpoint, exchange.paid.version, exchange)
                doubt(view, label(exchange.paid.version, _GROUP, _ASKED))
    # Of copies at once it may be that none is served; what was paid in time was so before whoever is asked had started.
    good = [
        had
        for had in story
        if had.fresh and had.calm and not had.gratis and len(had.exchanges) == 1
        if not had.step.told.endswith((BEFORE, ENDING))
    ]
    if good and not any(had.opened and had.moved for had in good):
        shown = evidence.response(good[0].step.labels[0]).shown()
        reason = f"{good[0].step.name}: a good payment is answered {shown}, {good[0].asked}: what follows shows nothing"
        raise Untestable(reason)
