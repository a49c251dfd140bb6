"""The profiles that ship: bases for the shapes that refusals have, and vendors as their documentation describes them."""

import functools
import json
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from conformance import _data, facts, profile, schema
from conformance.exchange import Response
from conformance.profile import Answer, Family, Profile
from conformance.selector import Const, First, Map, Selector

FILES = sorted(_data.profiles().glob("*.toml"))
# What has a target of its own is run as it is; the rest is there to be extended.
EXTENDED = sorted(file.stem for file in FILES if "target" not in tomllib.loads(file.read_text("utf-8")))
FAMILIES = (Family.PAYWALL, Family.CREDITS, Family.DECLINE)
BASES = [name for name in EXTENDED if name.startswith("base-")]
VENDORS = [name for name in EXTENDED if name not in BASES]

# Documented with a status and nothing else: these rules fit every answer of that status.
BY_STATUS = {("apiflash", "quota-exceeded"), ("bitbucket", "licence"), ("huggingface", "organization-plan")}
COMMON = ("code", "message", "request_id", "docs_url", "scope", "currency")

PAY = "https://example.com/pay"


Load = Callable[[str], Profile]


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    """Loads a small profile that extends the shipped one of a name, once."""
    folder = tmp_path_factory.mktemp("extended")
    return functools.cache(lambda name: extended(name, folder))


def extended(name: str, folder: Path) -> Profile:
    """A small profile that extends the shipped one called ``name`` and uses all of its answer rules."""
    names = [
        answer["name"] for answer in tomllib.loads((_data.profiles() / f"{name}.toml").read_text("utf-8"))["answer"]
    ]
    text = (
        f'edition = "2026.11"\nextends = "{name}"\n[target]\nname = "A"\nbase_url = "https://a.example"\n'
        f'[[endpoint]]\nname = "e"\npath = "/e"\nanswers = {json.dumps(names)}\n'
    )
    (folder / "profiles").mkdir(exist_ok=True)
    (folder / "profiles" / "small.toml").write_text(text, "utf-8")
    return profile.load("small", cwd=folder, environ={})


def rules(loaded: Profile) -> dict[str, Answer]:
    """Its answer rules by name."""
    return {answer.name: answer for answer in loaded.answers}


def answer(
    body: Any = None, *, status: int = 402, headers: Mapping[str, str] | None = None, kind: str = "application/json"
) -> Response:
    """An answer; what is no text is sent as JSON."""
    sent = body if isinstance(body, str) else "" if body is None else json.dumps(body)
    lines = ({"Content-Type": kind} if sent else {}) | dict(headers or {})
    return Response(status=status, headers=tuple(lines.items()), body=sent.encode())


def found(rule: Answer, response: Response) -> dict[str, Any]:
    """The values of the facts of an answer."""
    return {name: fact.value for name, fact in facts.record(rule, response).facts.items()}


@pytest.mark.parametrize("name", EXTENDED)
def test_every_shipped_profile_can_be_extended(name: str, load: Load) -> None:
    """Five lines on top of a base or a vendor are a profile, each rule with facts to find."""
    for rule in rules(load(name)).values():
        assert rule.facts
        assert rule.status


@pytest.mark.parametrize("name", EXTENDED)
def test_every_fact_and_every_waiver_is_one_that_we_know(name: str, load: Load) -> None:
    """No fact is misspelt, and no reason of a waiver lacks the page that it rests on."""
    known = set(schema.named("profile")["$defs"]["fact"]["enum"])
    for rule in rules(load(name)).values():
        assert rule.facts.keys() | rule.waive.keys() | rule.units.keys() <= known
        assert name in BASES or all("https://" in reason for reason in rule.waive.values())


@pytest.mark.parametrize("name", VENDORS)
def test_every_vendor_names_its_sources(name: str) -> None:
    """A vendor's file begins with the public pages that it was written from."""
    text = (_data.profiles() / f"{name}.toml").read_text("utf-8")
    assert "https://" in text.partition("edition")[0]


@pytest.mark.parametrize("name", BASES)
def test_a_base_looks_for_what_is_common_in_the_same_places(name: str, load: Load) -> None:
    """What all families have does not depend on the family, and only a page for people need not have a code."""
    paywall, credits_, decline = (rules(load(name))[family] for family in FAMILIES)
    for fact in COMMON:
        assert paywall.facts.get(fact) == credits_.facts.get(fact) == decline.facts.get(fact)
    assert paywall.facts.get("remedy") == credits_.facts.get("remedy")
    waived = {*paywall.waive, *credits_.waive, *decline.waive}
    assert waived == ({"code"} if name == "base-html" else set())


def test_every_base_has_the_three_families() -> None:
    """Whoever knows one base knows the names of all the answers."""
    for name in BASES:
        written = tomllib.loads((_data.profiles() / f"{name}.toml").read_text("utf-8"))
        assert [(one["name"], one["family"]) for one in written["answer"]] == [(f, f) for f in map(str, FAMILIES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """An answer of the shape of a base, and what is found in it."""

    base: str
    response: Response
    code: object = None
    message: str | None = None
    remedy: str | None = None
    more: Mapping[str, object] = field(default_factory=dict)
    family: Family = Family.PAYWALL


SAYS = "A subscription is required."
CODE = "subscription_required"
SHAPES = {
    "error-object": Shape(
        base="base-error-object",
        response=answer({"error": {"code": CODE, "message": SAYS, "upgrade_url": PAY, "request_id": "r"}}),
        code=CODE,
        message=SAYS,
        remedy=PAY,
        more={"request_id": "r", "reason": CODE},
    ),
    "a status is no code": Shape(
        base="base-error-object",
        response=answer({"error": {"code": 402, "type": CODE, "message": f"{SAYS} Pay at {PAY}."}}),
        code=CODE,
        message=f"{SAYS} Pay at {PAY}.",
        remedy=PAY,
    ),
    "declined, with the payment beside it": Shape(
        base="base-error-object",
        response=answer(
            {
                "error": {
                    "code": "card_declined",
                    "decline_code": "insufficient_funds",
                    "message": SAYS,
                    "payment_intent": {"id": "pi_1", "amount": 100, "currency": "usd"},
                }
            }
        ),
        family=Family.DECLINE,
        code="card_declined",
        message=SAYS,
        more={"decline_code": "insufficient_funds", "category": "soft", "payment_ref": "pi_1", "amount": 100},
    ),
    "flat": Shape(
        base="base-flat-code",
        response=answer({"err_code": CODE, "err_msg": SAYS, "purchaseUrl": PAY}),
        code=CODE,
        message=SAYS,
        remedy=PAY,
    ),
    "a number of a vendor is a code": Shape(
        base="base-flat-code", response=answer({"code": 4021, "message": SAYS}), code=4021, message=SAYS
    ),
    "slug and message": Shape(
        base="base-slug-message",
        response=answer({"error": CODE, "message": SAYS, "subscription_url": PAY}),
        code=CODE,
        message=SAYS,
        remedy=PAY,
    ),
    "a sentence as error, the slug elsewhere": Shape(
        base="base-slug-message",
        response=answer({"error": "Payment Required", "code": CODE, "error_description": SAYS}),
        code=CODE,
        message=SAYS,
    ),
    "prose": Shape(
        base="base-prose",
        response=answer({"error": f"{SAYS} Go to {PAY}, please."}, headers={"X-Reason": CODE}),
        code=CODE,
        message=f"{SAYS} Go to {PAY}, please.",
        remedy=PAY,
    ),
    "prose about credits": Shape(
        base="base-prose",
        response=answer({"message": "You requested up to 65,536 tokens, but can only afford 10114."}),
        family=Family.CREDITS,
        message="You requested up to 65,536 tokens, but can only afford 10114.",
        more={"required": "65,536", "balance": "10114"},
    ),
    "a list of errors": Shape(
        base="base-errors-list",
        response=answer({"errors": [{"code": CODE, "detail": SAYS, "payment_url": PAY}]}),
        code=CODE,
        message=SAYS,
        remedy=PAY,
    ),
    "a list of texts": Shape(
        base="base-errors-list", response=answer({"errors": [f"{SAYS} {PAY}"]}), message=f"{SAYS} {PAY}", remedy=PAY
    ),
    "a bare text as errors": Shape(base="base-errors-list", response=answer({"errors": SAYS}), message=SAYS),
    "a list as body": Shape(
        base="base-errors-list", response=answer([{"code": CODE, "message": SAYS}]), code=CODE, message=SAYS
    ),
    "detail as a text": Shape(
        base="base-detail", response=answer({"detail": SAYS, "upgradeUrl": PAY}), message=SAYS, remedy=PAY
    ),
    "detail as an object": Shape(
        base="base-detail",
        response=answer({"detail": {"status": CODE, "message": SAYS, "upgrade_url": PAY}}),
        code=CODE,
        message=SAYS,
        remedy=PAY,
    ),
    "problem details": Shape(
        base="base-problem-json",
        response=answer(
            {
                "type": "https://example.com/problems/subscription-required",
                "title": "Pay",
                "detail": SAYS,
                "instance": "/r/1",
            },
            headers={"Link": f'<{PAY}>; rel="payment"'},
            kind="application/problem+json; charset=utf-8",
        ),
        code="https://example.com/problems/subscription-required",
        message=SAYS,
        remedy=PAY,
        more={"request_id": "/r/1"},
    ),
    "a status of Google": Shape(
        base="base-google-status",
        response=answer(
            {
                "error": {
                    "code": 403,
                    "status": "PERMISSION_DENIED",
                    "message": SAYS,
                    "details": [
                        {
                            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                            "reason": "BILLING_DISABLED",
                            "metadata": {"consumer": "projects/1"},
                        },
                        {
                            "@type": "type.googleapis.com/google.rpc.Help",
                            "links": [{"url": "https://example.com/docs"}, {"url": "https://example.com/billing"}],
                        },
                    ],
                }
            }
        ),
        code="BILLING_DISABLED",
        message=SAYS,
        remedy="https://example.com/billing",
        more={"scope": "projects/1", "docs_url": "https://example.com/docs", "reason": "billing_disabled"},
    ),
    "the failed payment": Shape(
        base="base-failed-resource",
        response=answer(
            {
                "id": "pay_1",
                "status": "failed",
                "amount": 100,
                "currency": "EUR",
                "failure_code": "expired_card",
                "failure_message": SAYS,
            },
            status=201,
        ),
        family=Family.DECLINE,
        code="expired_card",
        message=SAYS,
        more={"payment_ref": "pay_1", "currency": "EUR", "category": "hard"},
    ),
    "a flag": Shape(
        base="base-flag",
        response=answer({"ok": False, "error": CODE, "message": SAYS, "billing_url": PAY}, status=200),
        code=CODE,
        message=SAYS,
        remedy=PAY,
    ),
    "a page": Shape(
        base="base-html",
        response=answer(
            f'<html><title>Stop</title><body data-error-code="{CODE}"><nav><a href="/">Home</a></nav><h1>{SAYS}</h1>'
            f'<p class="price">$9.99</p><a class="cta-button" href="{PAY}">Go on</a></body></html>',
            headers={"X-Subscription-Expired": "2026-01-01"},
            kind="text/html; charset=utf-8",
        ),
        code=CODE,
        message=SAYS,
        remedy=PAY,
        more={"price": "$9.99", "expired_at": "2026-01-01"},
    ),
    "fields alone": Shape(
        base="base-header-only",
        response=answer(
            headers={"X-Reason": CODE, "X-Message": SAYS, "Link": f'<{PAY}>; rel="payment"', "Request-Id": "r"}
        ),
        code=CODE,
        message=SAYS,
        remedy=PAY,
        more={"request_id": "r"},
    ),
    "a field that says what to pay for": Shape(
        base="base-header-only", response=answer(headers={"X-Payment-Required": "subscription"}), code=CODE
    ),
    "a plain text": Shape(
        base="base-text",
        response=answer(f"{SAYS} Go to {PAY}.\n", headers={"X-Reason": CODE}, kind="text/plain"),
        code=CODE,
        message=f"{SAYS} Go to {PAY}.",
        remedy=PAY,
    ),
    "a form": Shape(
        base="base-text",
        response=answer("ACK=Failure&ERROR_CODE=10562&MESSAGE=No", kind="text/plain"),
        code="10562",
        message="No",
    ),
    "our own envelope": Shape(
        base="base-envelope",
        response=answer(
            {"family": "paywall", "code": CODE, "reason": CODE, "message": SAYS, "remedy": PAY, "request_id": "r"}
        ),
        code=CODE,
        message=SAYS,
        remedy=PAY,
        more={"request_id": "r", "reason": CODE},
    ),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_base_finds_code_message_and_remedy_in_its_shape(shape: Shape, load: Load) -> None:
    """An answer of the shape fits the rule of the base, and its facts are found and no others of these."""
    rule = rules(load(shape.base))[shape.family]
    assert facts.matching([rule], shape.response) == (rule,)
    said = found(rule, shape.response)
    assert (said.get("code"), said.get("message"), said.get("remedy")) == (shape.code, shape.message, shape.remedy)
    assert {name: said.get(name) for name in shape.more} == shape.more


def test_every_base_has_an_answer_of_its_shape_here() -> None:
    """base-any has no shape; every other base is in the table."""
    assert {shape.base for shape in SHAPES.values()} == {*BASES} - {"base-any"}


@pytest.mark.parametrize("base", [name for name in BASES if name not in {"base-any", "base-errors-list"}])
def test_a_base_does_not_fit_an_answer_of_no_shape(base: str, load: Load) -> None:
    """An empty object and an empty list are of none of the shapes."""
    for body in ({}, []):
        for rule in rules(load(base)).values():
            assert not facts.fits(rule.when, answer(body))


@pytest.mark.parametrize("base", [name for name in BASES if name not in {"base-header-only", "base-html", "base-text"}])
def test_hostile_members_are_survived(base: str, load: Load) -> None:
    """Members of any type, in any place, are facts or none, and never a fault of ours."""
    for odd in (None, True, -1.5, "", [[]], [None, "a", {}], {"code": [], "message": {}, "url": 1}):
        for name in ("error", "errors", "detail", "code", "links", "actions"):
            for rule in rules(load(base)).values():
                facts.matching([rule], answer({name: odd}))
                facts.record(rule, answer({name: odd}))


@pytest.mark.parametrize("part", ["1", "\n", " ", "http://", "requires a ", "x=", "you have 1 ", "(a", "docs/"])
def test_hostile_texts_take_no_long_time(part: str, load: Load) -> None:
    """No regular expression of ours takes time that grows with the square of what a target sends."""
    text = part * (50_000 // len(part))
    begun = time.process_time()
    for name in EXTENDED:
        for rule in rules(load(name)).values():
            for body in (text, error(message=text, code=text)) if name.startswith("base-") else (error(message=text),):
                facts.matching([rule], answer(body))
                facts.record(rule, answer(body))
    assert time.process_time() - begun < 10


def test_numbers_of_credits_are_found_in_members_and_in_fields(load: Load) -> None:
    """A member counts, and the field beside it is what it is compared with."""
    rule = rules(load("base-slug-message"))["credits"]
    body = {"error": "insufficient_credits", "message": "No.", "credits_required": 100, "current_balance": 7}
    fields = {"X-Credits-Required": "200", "X-Current-Balance": "7", "X-RateLimit-Remaining": "0"}
    record = facts.record(rule, answer(body, headers=fields))
    assert record.document["required"] == 100
    assert record.document["balance"] == 7
    assert record.document["remaining"] == 0
    assert record.document["unit"] == "credits"
    assert [(other.value, other.part) for other in record.facts["required"].elsewhere] == [("200", "field")]
    only = facts.record(rule, answer({"error": "insufficient_credits"}, headers=fields))
    assert only.document["required"] == 200
    assert not only.facts["required"].prose


def test_a_remedy_is_compared_with_the_link_and_not_with_a_sentence(load: Load) -> None:
    """Of two members the first is compared with Link; an address in a sentence beside a link is no second voice."""
    rule = rules(load("base-slug-message"))["paywall"]
    link = {"Link": '<https://example.com/a>; rel="payment"'}
    two = {"error": CODE, "purchase_url": "https://example.com/b", "upgrade_url": "https://example.com/a"}
    assert [one.value for one in facts.record(rule, answer(two, headers=link)).facts["remedy"].elsewhere] == [
        "https://example.com/a"
    ]
    deep = {"error": CODE, "actions": {"upgrade": {"upgrade_url": PAY}}}
    assert facts.record(rule, answer(deep)).facts["remedy"].at == "/actions/upgrade/upgrade_url"
    told = {"error": CODE, "message": "Ask at https://example.com/sales."}
    remedy = facts.record(rule, answer(told, headers=link)).facts["remedy"]
    assert (remedy.value, remedy.elsewhere) == ("https://example.com/a", ())


def test_the_code_of_a_field_is_compared_with_that_of_the_body(load: Load) -> None:
    """X-Reason says the same as the body, or it is seen to differ."""
    rule = rules(load("base-slug-message"))["paywall"]
    code = facts.record(rule, answer({"error": CODE}, headers={"X-Reason": "payment_required"})).facts["code"]
    assert (code.value, [one.value for one in code.elsewhere]) == (CODE, ["payment_required"])


@pytest.mark.parametrize(
    "address", ["https://docs.example.com/errors", "https://example.com/docs/402", "https://help.example.com"]
)
def test_documentation_is_no_remedy(address: str, load: Load) -> None:
    """An address of documentation in a sentence is not where it can be paid."""
    rule = rules(load("base-prose"))["paywall"]
    assert "remedy" not in found(rule, answer({"error": f"{SAYS} See {address}."}))


def test_what_stands_in_a_sentence_only_is_marked(load: Load) -> None:
    """A number out of a sentence is found, and known to be out of one."""
    rule = rules(load("base-error-object"))["credits"]
    body = {"error": {"message": "You have 30 credits remaining, while 80 credits are required."}}
    record = facts.record(rule, answer(body))
    assert (record.document["balance"], record.document["required"]) == (30, 80)
    assert record.facts["balance"].prose
    told = facts.record(rule, answer({"error": {"message": "Your balance is 1,030, but that costs 2,050."}}))
    assert (told.document["balance"], told.document["required"]) == (1030, 2050)


@pytest.mark.parametrize("family", FAMILIES)
def test_our_own_envelope_is_judged_by_its_schema(family: Family, load: Load) -> None:
    """The rule names a schema that lies where the package has its schemas."""
    rule = rules(load("base-envelope"))[family]
    assert rule.schema is not None
    assert rule.schema.resolve() == (_data.schemas() / "envelopes" / f"{family}.schema.json").resolve()
    assert rule.schema.is_file()


def error(**members: Any) -> dict[str, Any]:
    """A body with an error in it."""
    return {"error": members}


INFO = "type.googleapis.com/google.rpc.ErrorInfo"
HELP = "type.googleapis.com/google.rpc.Help"
QUOTA = "type.googleapis.com/google.rpc.QuotaFailure"

# Vendor, rule -> an answer of theirs, after their documentation, and some of what it says.
ANSWERS: dict[tuple[str, str], tuple[Response, dict[str, object]]] = {
    ("stripe", "card-error"): (
        answer(
            error(
                type="card_error",
                code="card_declined",
                decline_code="insufficient_funds",
                message="Your card has insufficient funds.",
                charge="ch_1",
                doc_url="https://stripe.com/docs/error-codes/card-declined",
                payment_intent={"id": "pi_1", "amount": 1000, "currency": "usd", "client_secret": "<left out>"},
            ),
            headers={"Request-Id": "req_1"},
        ),
        {"code": "card_declined", "category": "soft", "payment_ref": "ch_1", "request_id": "req_1", "amount": 1000},
    ),
    ("shopify-admin", "frozen-shop"): (
        answer({"errors": "Unavailable Shop"}, headers={"X-Request-Id": "r"}),
        {"reason": "store_frozen", "message": "Unavailable Shop", "request_id": "r"},
    ),
    ("paystand", "payment-failed"): (
        answer(
            error(
                name="error",
                status="402",
                type="paymentError",
                description="The card was declined.",
                details={"code": "cardDeclined", "detailCode": "doNotHonor"},
                ref="ref_1",
            )
        ),
        {
            "code": "cardDeclined",
            "decline_code": "doNotHonor",
            "message": "The card was declined.",
            "request_id": "ref_1",
        },
    ),
    ("google-cloud", "billing-disabled"): (
        answer(
            error(
                code=403,
                status="PERMISSION_DENIED",
                message="This API method requires billing to be enabled.",
                details=[
                    {"@type": HELP, "links": [{"url": "https://console.developers.google.com/billing/enable"}]},
                    {"@type": INFO, "reason": "BILLING_DISABLED", "metadata": {"consumer": "projects/1"}},
                ],
            ),
            status=403,
        ),
        {
            "code": "BILLING_DISABLED",
            "remedy": "https://console.developers.google.com/billing/enable",
            "scope": "projects/1",
        },
    ),
    ("google-cloud", "billing-disabled-old"): (
        answer(
            error(
                code=403, status="PERMISSION_DENIED", message="Project p-1 (#1) has billing disabled. Please enable it."
            ),
            status=403,
        ),
        {"code": "PERMISSION_DENIED", "reason": "billing_disabled", "scope": "p-1"},
    ),
    ("google-cloud", "daily-free-tier"): (
        answer(
            error(
                code=429,
                status="RESOURCE_EXHAUSTED",
                message="You exceeded your current quota.",
                details=[
                    {
                        "@type": QUOTA,
                        "violations": [
                            {
                                "quotaMetric": "requests",
                                "quotaId": "RequestsPerDayPerProject-FreeTier",
                                "quotaValue": "20",
                            }
                        ],
                    }
                ],
            ),
            status=429,
        ),
        {"code": "RESOURCE_EXHAUSTED", "limit": "20", "unit": "requests", "scope": "RequestsPerDayPerProject-FreeTier"},
    ),
    ("openrouter", "insufficient-credits"): (
        answer(
            error(
                code=402,
                message="You requested up to 65536 tokens, but can only afford 10114. To increase, visit "
                "https://openrouter.ai/settings/credits and upgrade to a paid account",
                metadata={"limit_source": "key"},
            )
        ),
        {
            "required": "65536",
            "balance": "10114",
            "unit": "tokens",
            "remedy": "https://openrouter.ai/settings/credits",
            "scope": "key",
        },
    ),
    ("deepseek", "insufficient-balance"): (
        answer(error(message="Insufficient Balance", type="unknown_error", param=None, code="invalid_request_error")),
        {"message": "Insufficient Balance"},
    ),
    ("huggingface", "monthly-credits"): (
        answer({"error": "You have exceeded your monthly included credits for Inference Providers. Subscribe to PRO."}),
        {"unit": "USD", "window": "month"},
    ),
    ("anthropic", "billing-error"): (
        answer(
            {"type": "error", **error(type="billing_error", message="You are out of credits."), "request_id": "req_1"}
        ),
        {"code": "billing_error", "message": "You are out of credits.", "request_id": "req_1"},
    ),
    ("anthropic", "credit-too-low"): (
        answer(
            {
                "type": "error",
                **error(type="invalid_request_error", message="Your credit balance is too low to go on."),
            },
            status=400,
            headers={"Request-Id": "req_1"},
        ),
        {"code": "invalid_request_error", "request_id": "req_1"},
    ),
    ("openai", "insufficient-quota"): (
        answer(
            error(
                message="You exceeded your current quota. See https://platform.openai.com/docs/guides/error-codes.",
                type="insufficient_quota",
                param=None,
                code=None,
            ),
            status=429,
        ),
        {"code": "insufficient_quota", "docs_url": "https://platform.openai.com/docs/guides/error-codes"},
    ),
    ("openai", "usage-limit-reached"): (
        answer(
            error(type="usage_limit_reached", message="limit reached", resets_at=1704067242, plan_type="pro"),
            status=429,
        ),
        {"code": "usage_limit_reached", "resets_at": 1704067242, "current_plan": "pro"},
    ),
    ("vercel", "payment-required"): (
        answer(
            error(
                code="PAYMENT_REQUIRED",
                message="This feature requires an Observability Plus subscription. Upgrade at "
                "https://vercel.com/dashboard/settings/billing",
            )
        ),
        {
            "code": "PAYMENT_REQUIRED",
            "remedy": "https://vercel.com/dashboard/settings/billing",
            "required_plan": "Observability Plus",
        },
    ),
    ("vercel", "deployment-disabled"): (
        answer("Payment required\n\nDEPLOYMENT_DISABLED\n", headers={"X-Vercel-Id": "fra1::1"}, kind="text/plain"),
        {"code": "DEPLOYMENT_DISABLED", "message": "Payment required", "request_id": "fra1::1"},
    ),
    ("replicate", "insufficient-credit"): (
        answer(
            {
                "title": "Insufficient credit",
                "detail": "You have insufficient credit to run this model. Go to https://replicate.com/account/billing.",
                "status": 402,
            }
        ),
        {"remedy": "https://replicate.com/account/billing", "status": 402},
    ),
    ("chargebee", "payment-error"): (
        answer(
            {
                "message": "Problem while adding the card. Error message: (3009) Do not honor.",
                "type": "payment",
                "api_error_code": "payment_method_verification_failed",
                "param": "card[number]",
                "http_status_code": 400,
            },
            status=400,
        ),
        {"code": "payment_method_verification_failed", "decline_code": "3009", "category": "card_data"},
    ),
    ("recurly", "transaction-error"): (
        answer(
            error(
                type="transaction",
                message="The transaction was declined.",
                transaction_error={
                    "object": "transaction_error",
                    "transaction_id": "t1",
                    "category": "three_d_secure_required",
                    "code": "three_d_secure_required",
                    "message": "Your bank asks for authentication.",
                    "merchant_advice": "Complete 3-D Secure.",
                },
            ),
            status=422,
        ),
        {"message": "Your bank asks for authentication.", "category": "authentication", "payment_ref": "t1"},
    ),
    ("adyen-checkout", "refused"): (
        answer(
            {"pspReference": "p1", "resultCode": "Refused", "refusalReason": "FRAUD", "refusalReasonCode": "20"},
            status=200,
        ),
        {"code": "card_declined", "decline_code": "20", "category": "fraud", "payment_ref": "p1"},
    ),
    ("square", "payment-method-error"): (
        answer(
            {
                "errors": [
                    {"category": "PAYMENT_METHOD_ERROR", "code": "INSUFFICIENT_FUNDS", "detail": "Authorization error"}
                ],
                "payment": {"id": "pay1", "status": "FAILED", "amount_money": {"amount": 200, "currency": "USD"}},
            }
        ),
        {"code": "INSUFFICIENT_FUNDS", "category": "soft", "payment_ref": "pay1", "amount": 200, "currency": "USD"},
    ),
    ("paypal", "instrument-declined"): (
        answer(
            {
                "name": "UNPROCESSABLE_ENTITY",
                "message": "The requested action could not be performed.",
                "debug_id": "d1",
                "details": [{"issue": "INSTRUMENT_DECLINED", "description": "The instrument was declined."}],
                "links": [
                    {"rel": "information_link", "href": "https://developer.paypal.com/docs/api/orders/v2/#error"},
                    {"rel": "redirect", "href": "https://www.paypal.com/checkoutnow?token=1"},
                ],
            },
            status=422,
        ),
        {
            "code": "INSTRUMENT_DECLINED",
            "message": "The instrument was declined.",
            "request_id": "d1",
            "category": "hard",
            "next_action": "https://www.paypal.com/checkoutnow?token=1",
        },
    ),
    ("paypal", "nvp-failure"): (
        answer(
            "CORRELATIONID=c1&ACK=Failure&L_ERRORCODE0=10562&L_SHORTMESSAGE0=Invalid%20Data&L_LONGMESSAGE0=Try%20another",
            status=200,
            kind="text/plain; charset=utf-8",
        ),
        {"code": "10562", "message": "Try another", "request_id": "c1", "category": "card_data"},
    ),
}


@pytest.mark.parametrize(("vendor", "rule"), ANSWERS, ids="/".join)
def test_a_vendors_rule_fits_its_answer_and_finds_what_it_says(vendor: str, rule: str, load: Load) -> None:
    """An answer as the vendor documents it fits the rule that is named for it, first of all of that vendor."""
    response, says = ANSWERS[vendor, rule]
    own = [one for one in rules(load(vendor)).values() if (vendor, one.name) not in BY_STATUS]
    (matched, *_) = facts.matching(own, response)
    assert matched.name == rule
    said = found(matched, response)
    assert {name: said.get(name) for name in says} == says


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_vendors_rules_do_not_fit_the_answers_of_others(vendor: str, load: Load) -> None:
    """What a rule goes by is the vendor's own, whatever the status: an answer of anybody else fits none."""
    own = [one for one in rules(load(vendor)).values() if (vendor, one.name) not in BY_STATUS]
    assert not [
        (rule.name, *other)
        for other, (response, _) in ANSWERS.items()
        if other[0] != vendor
        for rule in own
        if facts.fits(rule.when, response)
    ]


def test_every_rule_of_a_vendor_has_an_answer_here(load: Load) -> None:
    """No rule is left untried, but for those that are documented by a status alone, and have no condition."""
    tried = ANSWERS.keys() | BY_STATUS
    assert {(vendor, name) for vendor in VENDORS for name in rules(load(vendor))} == tried
    for vendor, name in BY_STATUS:
        assert rules(load(vendor))[name].when is None


@pytest.mark.parametrize(
    ("vendor", "response"),
    [
        (
            "stripe",
            answer(error(type="invalid_request_error", code="card_declined", message="Your card was declined.")),
        ),
        ("stripe", answer(error(type="idempotency_error", message="Other parameters."), status=400)),
        ("shopify-admin", answer({"errors": "Locked"}, status=423)),
        (
            "google-cloud",
            answer(
                error(
                    code=429,
                    status="RESOURCE_EXHAUSTED",
                    message="Slow down.",
                    details=[{"@type": INFO, "reason": "RATE_LIMIT_EXCEEDED"}],
                ),
                status=429,
            ),
        ),
        ("openai", answer(error(type="requests", code="rate_limit_exceeded", message="Slow down."), status=429)),
        (
            "anthropic",
            answer({"type": "error", **error(type="invalid_request_error", message="Bad field.")}, status=400),
        ),
        ("adyen-checkout", answer({"pspReference": "p1", "resultCode": "Authorised"}, status=200)),
        ("paypal", answer("CORRELATIONID=c1&ACK=Success", status=200)),
    ],
)
def test_what_is_no_matter_of_payment_fits_no_rule(vendor: str, response: Response, load: Load) -> None:
    """Throttling, bad requests and successes of a vendor are not taken for a refusal."""
    assert facts.matching(rules(load(vendor)).values(), response) == ()


def test_the_reasons_and_categories_of_maps_are_words_of_the_schemas(load: Load) -> None:
    """What a map translates into is a word that the schema of the family has."""
    known = {
        "reason": set(schema.named("facts/paywall")["$defs"]["reason"]["properties"]["reason"]["enum"]),
        "category": set(schema.named("facts/decline")["$defs"]["category"]["properties"]["category"]["enum"]),
    }
    for name in EXTENDED:
        for rule in rules(load(name)).values():
            for fact, words in known.items():
                assert {*words_of(rule.facts.get(fact))} <= words


def words_of(selector: Selector | None) -> list[object]:
    """The words into which a selector translates, and those that it says by itself."""
    if isinstance(selector, First):
        return [word for one in selector.selectors for word in words_of(one)]
    if isinstance(selector, Map):
        return [*selector.to.values(), *([] if selector.default is None else [selector.default])]
    return [selector.value] if isinstance(selector, Const) else []


def test_stripe_brings_its_rules_of_idempotency(load: Load) -> None:
    """Whoever extends stripe gets the convention of the keys as well."""
    loaded = load("stripe")
    assert loaded.idempotency is not None
    assert loaded.idempotency.replay_header == "Idempotent-Replayed"
