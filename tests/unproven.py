"""Servers and profiles of which nothing can be proven: no requirement is broken, and some cannot be asked.

What the referee could not see is never said to hold.
"""

from dataclasses import dataclass

from altering import becomes, field, when
from judging import Edit
from serving import Change
from variant import endpoints, terms, unpriced

__all__ = ["UNPROVEN", "Unproven"]

_MARKER = frozenset({"http.no-paid-content", "http.refused-after-paid", "http.head-leaks-nothing"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Unproven:
    """One run that breaks nothing and leaves questions open."""

    name: str
    """A fact about the server or its profile."""
    does: Change | None = None
    edit: Edit | None = None
    untestable: frozenset[str]
    """Requirements for which something is lacking."""


def _subscriber(status: int, text: str) -> Change:
    """How the identity is answered that gets the protected answer, as the profile has it."""
    return when(lambda asked: "sandbox-account" in asked.headers, becomes(status, text))


UNPROVEN = (
    Unproven(
        name="the subscriber is forbidden to see it, in the words of the marker",
        does=_subscriber(403, "no sunny, overcast or heatwave here"),
        edit=endpoints(marker={"re": "sunny|overcast|heatwave"}),
        untestable=_MARKER,
    ),
    Unproven(
        name="the subscriber has to pay, and is greeted with the marker",
        does=_subscriber(402, "hello subscriber"),
        edit=endpoints(marker="subscriber"),
        untestable=_MARKER,
    ),
    Unproven(
        name="the subscriber gets an answer without the marker",
        edit=endpoints(marker="hurricane"),
        untestable=_MARKER,
    ),
    Unproven(
        name="nobody is named who has paid",
        edit=endpoints(paid_identity=None),
        untestable=_MARKER - {"http.refused-after-paid"},
    ),
    Unproven(
        name="no marker is named",
        edit=endpoints(marker=None),
        untestable=_MARKER | {"http.refused-under-any-host"},
    ),
    Unproven(name="the terms name no amount", edit=terms(amount=None), untestable=frozenset({"x402.terms.amount"})),
    Unproven(name="the terms name no payee", edit=terms(pay_to=None), untestable=frozenset({"x402.terms.pay-to"})),
    Unproven(
        name="the terms fit any price and any payee",
        edit=terms(amount={"min": "0", "max": "9" * 78}, pay_to=None),
        untestable=frozenset({"x402.terms.pay-to"}),
    ),
    Unproven(
        name="there are no terms",
        edit=unpriced,
        untestable=frozenset(
            f"x402.terms.{name}"
            for name in ("scheme", "network", "asset", "amount", "pay-to", "no-other-way", "every-way")
        ),
    ),
    Unproven(
        name="the whole offer is called dynamic",
        edit=endpoints(dynamic=[""]),
        untestable=frozenset({"x402.offer.stable", "x402.offer.same-for-everyone"}),
    ),
    Unproven(
        name="every part of the offer is called dynamic",
        edit=endpoints(dynamic=["/resource", "/accepts", "/extensions"]),
        untestable=frozenset({"x402.offer.stable", "x402.offer.same-for-everyone"}),
    ),
    Unproven(
        name="the payment link leads where nobody may look",
        does=field("Link", '<https://pay.example/>; rel="payment"'),
        untestable=frozenset({"http.payment-link"}),
    ),
    Unproven(
        name="it is production",
        edit=lambda written: written["target"].update(environment="production"),
        untestable=frozenset(
            {
                "http.garbage-payment",
                "http.refused-for-any-body",
                "http.refused-under-any-host",
                "browser.markup-escaped",
                "x402.offer.host-is-not-echoed",
            }
        ),
    ),
)
