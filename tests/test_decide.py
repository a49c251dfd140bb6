"""Deciding is pure and total: whatever a target sends, a check comes to an outcome and never to a traceback."""

import base64
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from judging import judged_paid
from shop import shop

from conformance import catalogue, checks, profile, rows, run
from conformance.evidence import Evidence
from conformance.exchange import Exchange, Failure, Request, Response
from conformance.outcome import Outcome

CHECKS = {check.requirement: check for own in checks.load().values() for check in own}
SANDBOX = profile.load("sandbox", cwd=Path.cwd(), environ=os.environ).at("http://127.0.0.1:4020")
EDITION = catalogue.editions()[SANDBOX.edition]
FIELDS = (
    *(
        "content-type",
        "cache-control",
        "expires",
        "date",
        "retry-after",
        "www-authenticate",
        "link",
        "location",
        "vary",
    ),
    *("ratelimit", "ratelimit-policy", "etag", "access-control-allow-origin", "access-control-allow-headers"),
    *("access-control-allow-credentials", "access-control-expose-headers", "access-control-allow-methods"),
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("http://[::1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
members = st.sampled_from(["scheme", "network", "amount", "maxAmountRequired", "asset", "payTo", "resource", "extra"])
entries = st.dictionaries(members | st.just("maxTimeoutSeconds"), json_values, max_size=6) | json_values
offers = st.fixed_dictionaries(
    {},
    optional={
        "x402Version": st.sampled_from([1, 2]) | json_values,
        "error": json_values,
        "resource": st.fixed_dictionaries({}, optional={"url": json_values | st.just("http://x:99999/")}) | json_values,
        "accepts": st.lists(entries, max_size=3) | json_values,
        "extensions": st.dictionaries(st.text(max_size=6), json_values, max_size=2) | json_values,
    },
)
text = st.text(st.characters(max_codepoint=0xFF, exclude_categories=["Cc"]), max_size=40)
awkward = st.sampled_from(
    ['"', "a=", ",,,", "max-age=", "max-age=x, public", "<", "<>; rel=payment", '"x";r=', "Basic a=b, c"]
)


FACTS = [
    *("code", "message", "reason", "remedy", "required", "balance", "shortfall", "limit", "used", "remaining", "unit"),
    *("resets_at", "scope", "decline_code", "category", "amount", "currency", "docs_url", "request_id", "payment_ref"),
]
numbers = st.integers() | st.floats() | st.sampled_from(["3", "-1", "1e9", "10,000", 1e308, 10**40, True])
refusals = st.builds(
    lambda family, facts: {"family": family, **facts},
    st.sampled_from(["paywall", "credits", "decline"]),
    st.dictionaries(st.sampled_from(FACTS), numbers | json_values, max_size=12),
)


@st.composite
def answers(draw):
    offer = draw(offers)
    headers = draw(st.lists(st.tuples(st.sampled_from(FIELDS), text | awkward), max_size=6))
    coded = base64.b64encode(json.dumps(offer).encode()).decode()
    headers += [("PAYMENT-REQUIRED", value) for value in draw(st.lists(st.just(coded) | text, max_size=2))]
    body = draw(
        st.just(json.dumps(offer).encode())
        | st.binary(max_size=60)
        | (json_values | refusals).map(lambda v: json.dumps(v).encode())
    )
    return Response(
        status=draw(st.sampled_from([200, 204, 301, 400, 402, 402, 402, 402, 404, 405, 429, 500, 503])),
        reason=draw(text),
        headers=tuple(headers),
        body=body,
        after=draw(st.binary(max_size=5)),
    )


LABELS = {
    *("unpaid", "again", "paid", "browser", "markup", "no-accept", "stranger-agent", "stranger-cookie", "cross-origin"),
    *("other-origin", "preflight-v1", "preflight-v2", "head", "conditional-any", "conditional-etag", "host"),
    *("forwarded-host", "link /pay", "unknown-path", "free /robots.txt", "garbage-0"),
}


@st.composite
def evidences(draw):
    endpoint = draw(st.sampled_from(SANDBOX.endpoints))
    asked = Request(
        method="GET", url="http://127.0.0.1:4020" + endpoint.path, headers=(("If-None-Match", "*"), ("X-PAYMENT", "!"))
    )
    some = draw(answers())
    exchanges = {label: Exchange(request=asked, response=some) for label in LABELS}
    for label in draw(st.sets(st.sampled_from(sorted(LABELS)), max_size=3)):
        exchanges[label] = replace(exchanges[label], response=draw(answers()))
    return Evidence(profile=SANDBOX, at=endpoint, exchanges=exchanges)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(evidence=evidences())
def test_any_answer_comes_to_an_outcome(evidence):
    """No answer, however odd, breaks a check; and the same evidence comes to the same outcome twice."""
    asked = (row for row in rows.rows(SANDBOX, EDITION) if row.endpoint in {evidence.at.name, ""})
    for row in asked:
        requirement, level = row.requirement.id, row.requirement.level
        if rows.left_out(row, SANDBOX):
            continue
        first = run.decided(CHECKS[requirement], evidence, level)
        assert first == run.decided(CHECKS[requirement], evidence, level), requirement
        assert isinstance(first[0], Outcome), requirement


@pytest.mark.parametrize("requirement", sorted(CHECKS))
def test_no_evidence_is_never_passed(requirement):
    """A check that was shown nothing comes to an error or to something that it could not ask."""
    evidence = Evidence(profile=SANDBOX, at=SANDBOX.endpoints[0], exchanges={})
    outcome, _ = run.decided(CHECKS[requirement], evidence, catalogue.load().requirements[requirement].level)
    assert outcome in {Outcome.ERROR, Outcome.UNTESTABLE, Outcome.INAPPLICABLE}


@pytest.fixture(scope="module")
def sold():
    """What the checks of payments rest on at a shop that takes both versions as it should: by requirement."""
    with shop() as found:
        run_ = judged_paid(found, goods=("/almanac",), slow=True)
    own = run_.report.profile
    return {
        result.requirement: Evidence(
            profile=own,
            at=own.endpoints[0],
            exchanges={label: result.exchanges[key] for label, key in result.evidence[-1].items()},
        )
        for result in run_.results.values()
        if result.evidence
    }


def touched(draw, exchange):
    """The exchange with another answer, no answer, or another word of those who saw what became of its payment."""
    match draw(st.sampled_from(["answer", "silence", "unpayable", "unpaid", "uncalled", "calls", "witness"])):
        case "answer":
            return replace(exchange, response=draw(answers()))
        case "silence":
            return replace(exchange, response=None, failure=Failure(kind="timeout", detail="no answer"))
        case "unpayable":
            return replace(exchange, response=None, paid=None, failure=Failure(kind="unpayable", detail="no signer"))
        case "unpaid":
            return replace(exchange, paid=None)
        case "uncalled":
            return replace(exchange, paid=exchange.paid and replace(exchange.paid, calls=()))
        case "witness":
            seen = draw(st.none() | st.tuples(st.integers(0, 9), st.integers(0, 9)))
            return replace(exchange, paid=exchange.paid and replace(exchange.paid, witness=seen))
    return replace(
        exchange, paid=exchange.paid and exchange.paid.followed_by(*(recalled(draw, c) for c in exchange.paid.calls))
    )


def recalled(draw, call):
    """Another word of the facilitator."""
    return replace(
        call,
        good=draw(st.booleans()),
        moved=draw(st.booleans()),
        fault=draw(st.sampled_from(["", "no"])),
        finished=draw(st.none() | st.just(call.finished)),
        status=draw(st.none() | st.just(call.status)),
        transaction=draw(st.sampled_from(["", call.transaction])),
        requirements=draw(st.just(call.requirements) | st.dictionaries(members, json_values, max_size=3)),
        value=draw(st.sampled_from(["", "1", call.value])),
    )


def test_whatever_became_of_a_payment_comes_to_an_outcome(sold, subtests):
    """No answer to a payment, and nothing that is said of it, breaks a check; twice it comes to the same."""
    assert len(sold) > 80
    for requirement, evidence in sold.items():
        with subtests.test(requirement):
            comes_to_an_outcome(requirement, evidence)


def comes_to_an_outcome(requirement, evidence):
    """Draws for one requirement alone: what breaks it is soon shrunk."""
    level = catalogue.load().requirements[requirement].level

    @settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def drawn(data):
        exchanges = dict(evidence.exchanges)
        for label in data.draw(st.sets(st.sampled_from(sorted(exchanges)), min_size=1, max_size=2)):
            exchanges[label] = touched(data.draw, exchanges[label])
        odd = replace(evidence, exchanges=exchanges)
        first = run.decided(CHECKS[requirement], odd, level)
        assert first == run.decided(CHECKS[requirement], odd, level)
        assert isinstance(first[0], Outcome)

    drawn()


@pytest.mark.parametrize("amount", [["500000"], {"is": "500000"}, None])
def test_an_amount_of_any_type_is_another_price(sold, amount):
    """What a server makes of its price when a buyer names one is told, whatever it is."""
    requirement = "x402.settlement.no-override"
    evidence = sold[requirement]

    def priced(exchange):
        calls = exchange.paid.calls if exchange.paid else ()
        odd = (replace(c, requirements={**c.requirements, **dict.fromkeys(PRICES, amount)}) for c in calls)
        return replace(exchange, paid=exchange.paid and exchange.paid.followed_by(*odd))

    odd = replace(evidence, exchanges={label: priced(exchange) for label, exchange in evidence.exchanges.items()})
    outcome, finding = run.decided(CHECKS[requirement], odd, catalogue.load().requirements[requirement].level)
    assert outcome is Outcome.VIOLATED
    assert repr(amount) in finding.received


PRICES = ("amount", "maxAmountRequired")


def test_an_offer_that_cannot_be_read_leaves_open_how_it_is_paid(sold):
    """Whether more than the price may be signed is in the offer: without one nothing is said."""
    requirement = "x402.guard.amount"
    evidence = sold[requirement]
    good = evidence.response("v2 amount: good")
    unpaid = evidence.response("unpaid")
    torn = replace(unpaid, headers=(("PAYMENT-REQUIRED", base64.b64encode(b"{").decode()),), body=b"{")
    exchanges = dict(evidence.exchanges)
    for label, response in {"unpaid": torn, "v2 amount: value-higher": good}.items():
        exchanges[label] = replace(exchanges[label], response=response)
    odd = replace(evidence, exchanges=exchanges)
    outcome, finding = run.decided(CHECKS[requirement], odd, catalogue.load().requirements[requirement].level)
    assert (outcome, finding.reason) == (
        Outcome.UNTESTABLE,
        "the offer that was paid is not in the unpaid answer",
    )


@pytest.mark.parametrize(
    ("media_type", "body", "outcome"),
    [
        ("application/json", b"{}", Outcome.PASSED),
        ("application/json", b"{", Outcome.VIOLATED),
        ("application/json", b"", Outcome.INAPPLICABLE),
        ("text/html", b"{", Outcome.INAPPLICABLE),
        ("application/problem+json", b"{", Outcome.INAPPLICABLE),
    ],
)
def test_content_that_is_not_called_json_says_nothing_false(media_type, body, outcome):
    """Where nothing is called JSON nothing is passed."""
    assert refused_with("http.body-is-what-it-says", media_type, body) is outcome


@pytest.mark.parametrize(
    ("field", "body", "outcome"),
    [
        (("Accept", "*/*"), b"*/*", Outcome.INAPPLICABLE),
        (("Authorization", "Bearer sk_test_a1b2c3d4e5f6"), b"no credits", Outcome.PASSED),
        (("Authorization", "Bearer sk_test_a1b2c3d4e5f6"), b"no credits for sk_test_a1b2c3d4e5f6", Outcome.VIOLATED),
    ],
)
def test_who_says_nothing_in_confidence_is_not_echoed(field, body, outcome):
    """Where nothing is secret nothing is passed."""
    assert refused_with("http.no-echo", "text/plain", body, field) is outcome


def refused_with(requirement, media_type, body, field=("Accept", "*/*")):
    """The outcome for an endpoint whose every refusal has this content, to a request with this field."""
    endpoint = SANDBOX.endpoints[0]
    asked = Request(method="GET", url="http://127.0.0.1:4020" + endpoint.path, headers=(field,))
    said = Response(status=402, reason="", headers=(("content-type", media_type),), body=body)
    exchanges = dict.fromkeys(("unpaid", "again", "browser"), Exchange(request=asked, response=said))
    evidence = Evidence(profile=SANDBOX, at=endpoint, exchanges=exchanges)
    return run.decided(CHECKS[requirement], evidence, catalogue.load().requirements[requirement].level)[0]
