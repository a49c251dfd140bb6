"""Checks of class ``http`` on the field that carries a payment."""

import base64
import json

from hypothesis import strategies as st

from conformance.checks import Drawn, check
from conformance.checks.http import refusal
from conformance.evidence import Evidence
from conformance.gather import (
    spoken,
    unpaid,
)
from conformance.outcome import Inapplicable, Violation
from conformance.probe import Probe
from conformance.protocols import x402


def _ask_garbage(probe: Probe, value: str) -> None:
    answer = probe.kept["unpaid"].response
    if probe.endpoint is None or answer is None or answer.status != 402:
        return
    for version in spoken(probe.endpoint.versions, answer):
        probe.ask(
            f"garbage-{sum(label.startswith('garbage-') for label in probe.kept)}",
            headers={x402.PAYMENT[version]: value},
        )


def _garbage() -> st.SearchStrategy[str]:
    visible = st.characters(
        min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="\x7f", exclude_categories=["Cc"]
    )
    coded = st.binary(max_size=300).map(lambda raw: base64.b64encode(raw).decode())
    return st.one_of(st.text(visible, min_size=1, max_size=200), coded.filter(bool))


def _coded(value: object) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


_HISTORY = (
    "!!!",
    "null",
    "0x",
    "%0d%0aX-Injected:%201",
    "\xff\xfe\xfd",
    base64.b64encode(b"hello").decode(),
    base64.b64encode(b"\x00" * 32).decode(),
    base64.b64encode(b"\xff" * 32).decode(),
    base64.b64encode(b"[" * 2000).decode(),
    *map(_coded, ([], None, 42, "x", True, {})),
    _coded({"x402Version": 1, "scheme": "exact", "network": "base-sepolia", "payload": {}}),
    _coded({"x402Version": 2, "accepted": {}, "payload": {}}),
    "A" * 8192,
    "A" * 65536,
)


@check("http.garbage-payment", unpaid, drawn=Drawn(values=lambda _: _garbage(), examples=_HISTORY, ask=_ask_garbage))
def test_garbage_payment(evidence: Evidence) -> None:
    if evidence.endpoint.protocol is None:
        reason = "the endpoint speaks no payment protocol, so that no field carries a payment"
        raise Inapplicable(reason)
    refusal(evidence)
    for label in evidence.labels("garbage-"):
        exchange = evidence.exchange(label)
        value = exchange.request.headers[-1][1]
        # A server may hang up on what is too large, and on octets that no payment holds.
        hang_up = exchange.failure is not None and exchange.failure.kind in {"closed", "protocol", "header-limit"}
        if hang_up and (len(value) > 4096 or not value.isascii()):
            continue
        response = evidence.response(label)
        if not 400 <= response.status < 500:
            name = exchange.request.headers[-1][0]
            raise Violation(
                expected="a client error: 400, or 402 with an offer",
                received=response.shown(),
                at=f"{name}: {value[:60]}" + (f"… ({len(value)} characters)" if len(value) > 60 else ""),
                exchange=label,
            )
