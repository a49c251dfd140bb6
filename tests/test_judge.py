"""``python -m conformance judge``: a recorded answer is read, told what it is, and judged as a run would judge it."""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sessions import clean_environment

from conformance import judge, recorded
from conformance.profile import ProfileError


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """An answer as frameworks send it, and what is found in it."""

    name: str
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    family: str | None
    by: str
    found: frozenset[str]


_JSON = {"Content-Type": "application/json"}
_PAGE = (
    "<!DOCTYPE html><html><head><title>Subscription Required</title></head><body><h1>Subscription expired</h1>"
    "<p>It ended on January 1.</p><p><a href='/renew'>Renew it</a></p></body></html>"
)

SHAPES = (
    Shape(
        name="a subscription check in Express",
        status=403,
        headers={"Content-Type": "application/json; charset=utf-8"},
        body={
            "error": "subscription_required",
            "message": "An active subscription is needed",
            "subscribe_url": "/join",
        },
        family="paywall",
        by="base-slug-message",
        found=frozenset({"paywall.remedy-is-absolute"}),
    ),
    Shape(
        name="a balance check in Express without a message",
        status=403,
        headers=_JSON,
        body={"error": "insufficient_credits", "required": 100, "current": 0, "purchase_url": "/credits"},
        family="credits",
        by="base-slug-message",
        found=frozenset({"credits.message", "credits.unit", "credits.scope", "credits.remedy-is-absolute"}),
    ),
    Shape(
        name="JsonResponse of Django, and no way to pay",
        status=403,
        headers=_JSON,
        body={"error": "payment_required", "message": "Members only"},
        family="paywall",
        by="base-slug-message",
        found=frozenset({"paywall.remedy"}),
    ),
    Shape(
        name="a worker at the edge",
        status=403,
        headers=_JSON,
        body={
            "error": "credits_exhausted",
            "message": "Buy some more credits",
            "purchase_url": "https://a.example/buy",
        },
        family="credits",
        by="base-slug-message",
        found=frozenset({"credits.quantity", "credits.need-and-have", "credits.unit", "credits.scope"}),
    ),
    Shape(
        name="a declined card whose JSON has a comma too many",
        status=402,
        headers=_JSON | {"Content-Length": "90"},
        body='{"error": {"code": "expired_card", "message": "The card has expired. Use another card.",}}',
        family="decline",
        by="base-any",
        found=frozenset({"http.body-is-what-it-says"}),
    ),
    Shape(
        name="a page for members whose subscription ended",
        status=402,
        headers={"Content-Type": "text/html", "X-Subscription-Expired": "2026-01-01"},
        body=_PAGE,
        family="paywall",
        by="base-html",
        found=frozenset(),
    ),
    Shape(
        name="a reason in a field, and a Location that no 403 has",
        status=403,
        headers={"X-Reason": "subscription_required", "Location": "/subscribe"},
        family="paywall",
        by="base-header-only",
        found=frozenset({"paywall.no-location", "paywall.remedy", "paywall.message"}),
    ),
    Shape(
        name="a failure that is called 200 OK",
        status=200,
        headers=_JSON,
        body={"status": "failed", "code": "card_declined", "message": "Your card was declined. Try another card."},
        family="decline",
        by="base-failed-resource",
        found=frozenset({"decline.decline-code", "decline.payment-ref"}),
    ),
    Shape(
        name="three words of plain text",
        status=402,
        headers={"Content-Type": "text/plain"},
        body="Payment required.",
        family="paywall",
        by="base-text",
        found=frozenset({"paywall.code", "paywall.remedy", "paywall.message-tells"}),
    ),
    Shape(
        name="a login that is called a payment",
        status=402,
        headers={"WWW-Authenticate": "Bearer"},
        family="paywall",
        by="base-header-only",
        found=frozenset({"paywall.code", "paywall.message", "paywall.remedy", "paywall.no-login-challenge"}),
    ),
    Shape(
        name="two links that lead to different places",
        status=402,
        headers=_JSON | {"Link": '<https://a.example/pricing>; rel="payment"'},
        body={
            "error": "plan_upgrade_required",
            "message": "A paid plan opens it",
            "upgrade_url": "https://a.example/up",
        },
        family="paywall",
        by="base-slug-message",
        found=frozenset({"paywall.parts-agree", "paywall.required-plan"}),
    ),
    Shape(
        name="a number in a field that is not the one in the body",
        status=402,
        headers=_JSON | {"X-Credits-Required": "90"},
        body={
            "error": "insufficient_credits",
            "message": "It takes 100 credits",
            "credits_required": 100,
            "current_balance": 120,
            "purchase_url": "https://a.example/buy",
        },
        family="credits",
        by="base-slug-message",
        found=frozenset({"credits.parts-agree", "credits.short", "credits.scope"}),
    ),
    Shape(
        name="the number of a card in a message",
        status=402,
        headers=_JSON,
        body={"error": {"code": "card_declined", "message": "4000 0000 0000 0002 was declined", "decline_code": "x"}},
        family="decline",
        by="base-error-object",
        found=frozenset({"http.no-card-number", "decline.payment-ref"}),
    ),
    Shape(
        name="a login that failed",
        status=401,
        headers=_JSON | {"WWW-Authenticate": "Bearer"},
        body={"error": "invalid_token", "message": "The token has expired"},
        family=None,
        by="",
        found=frozenset(),
    ),
    Shape(
        name="too many requests in a minute",
        status=429,
        headers=_JSON | {"Retry-After": "20"},
        body={"error": "rate_limited", "message": "Too many requests per minute"},
        family=None,
        by="",
        found=frozenset(),
    ),
)


def judged(folder: Path, document: object, name: str = "auto") -> judge.Judgement:
    """The judgement of one answer, written to a file."""
    file = folder / "answer.json"
    file.write_text(json.dumps(document), "utf-8")
    (one,) = recorded.read(file)
    return judge.judge(one, name, cwd=folder, environ={})


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_shape_is_told_for_what_it_is(shape: Shape, tmp_path: Path) -> None:
    """Family, the profile that reads it, and exactly what is wrong with it."""
    came = judged(tmp_path, {"status": shape.status, "headers": shape.headers, "body": shape.body})
    assert (came.family, came.profile) == (shape.family, shape.by)
    assert {row.id for row, _, _ in came.findings} == shape.found


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, as a user types it in ``folder``."""
    command = [sys.executable, "-m", "conformance", "judge", *arguments]
    return subprocess.run(
        command, cwd=folder, env=clean_environment(), capture_output=True, text=True, check=False, timeout=60
    )


GOOD = {
    "status": 402,
    "headers": {"Content-Type": "application/json", "X-Request-Id": "req_1"},
    "body": {
        "error": "subscription_required",
        "message": "The archive is open to subscribers.",
        "subscribe_url": "https://a.example/plans",
    },
}


def test_a_clean_answer_exits_with_0(tmp_path: Path) -> None:
    """Nothing found: the facts are shown with their places, and the last line says so."""
    (tmp_path / "good.json").write_text(json.dumps(GOOD), "utf-8")
    ran = run(tmp_path, "good.json")
    assert (ran.returncode, ran.stderr) == (0, "")
    first, *facts, last = ran.stdout.splitlines()
    assert first == "good.json: 402: paywall, read by rule paywall of base-slug-message"
    assert '  remedy         "https://a.example/plans" (a string)  [/subscribe_url]' in facts
    assert last == "0 findings"


def test_findings_exit_with_1_and_are_told_in_json(tmp_path: Path) -> None:
    """What is expected, received and where, in the members that the help names."""
    (tmp_path / "bad.json").write_text(json.dumps({**GOOD, "body": {"error": "payment_required"}}), "utf-8")
    ran = run(tmp_path, "bad.json", "--json")
    assert (ran.returncode, ran.stderr) == (1, "")
    told = json.loads(ran.stdout)
    assert (told["family"], told["profile"], told["facts"]["code"]) == (
        "paywall",
        "base-slug-message",
        "payment_required",
    )
    assert {found["id"] for found in told["findings"]} == {"paywall.message", "paywall.remedy"}
    assert all(found["expected"] and found["received"] for found in told["findings"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("none.json",), "none.json: the file cannot be read"),
        (("odd.json",), "odd.json: this is JSON, but no recording"),
        (("good.json", "--profile=strype"), "strype: there is no profile of this name"),
        (("good.json", "--profile=broken.toml"), 'broken.toml: answer "wall" has the unknown key "famly"'),
    ],
    ids=["no file", "no recording", "no profile", "a profile with a mistake"],
)
def test_what_cannot_be_read_exits_with_4(arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    """One sentence on standard error for a user's mistake, and nothing on standard output."""
    (tmp_path / "odd.json").write_text("[1, 2]", "utf-8")
    (tmp_path / "good.json").write_text(json.dumps(GOOD), "utf-8")
    (tmp_path / "broken.toml").write_text(
        'edition = "2026.11"\n[[answer]]\nname = "wall"\nfamily = "paywall"\nfamly = "x"\n', "utf-8"
    )
    ran = run(tmp_path, *arguments)
    assert (ran.returncode, ran.stdout) == (4, "")
    assert ran.stderr.startswith(says)
    assert "Traceback" not in ran.stderr


def test_an_answer_that_no_rule_of_the_profile_fits_is_a_finding(tmp_path: Path) -> None:
    """A 402 that the named profile does not know is not passed over."""
    body = {"error": {"type": "invalid_request_error", "code": "card_declined", "message": "Your card was declined."}}
    came = judged(tmp_path, {"status": 402, "headers": _JSON, "body": body}, "stripe")
    assert [(row.id, str(outcome)) for row, outcome, _ in came.findings] == [("decline.classified", "violated")]
    assert "error.type == 'card_error'" in came.findings[0][2].expected


def test_a_profile_of_ones_own_judges_without_its_target(tmp_path: Path) -> None:
    """Only the answer rules of a whole profile count, and what they waive is waived."""
    (tmp_path / "mine.toml").write_text(
        'edition = "2026.11"\n[target]\nname = "Mine"\nbase_url = { env = "MINE" }\n'
        '[[answer]]\nname = "wall"\nfamily = "paywall"\n[answer.facts]\ncode = "/error"\nmessage = "/error_text"\n'
        '[answer.waive]\nremedy = "sold by letter"\nrequest_id = "none"\n'
        '[[endpoint]]\nname = "it"\npath = "/"\nanswers = ["wall"]\n',
        "utf-8",
    )
    body = {"error": "members_only", "error_text": "This is for members."}
    came = judged(tmp_path, {"status": 402, "body": body}, "mine.toml")
    assert (came.profile, came.rule, came.findings) == ("mine", "wall", ())


def test_a_profile_that_is_wrong_is_refused(tmp_path: Path) -> None:
    """The library raises what the command tells."""
    with pytest.raises(ProfileError, match="nowhere"):
        judged(tmp_path, GOOD, "nowhere")


def test_an_archive_is_judged_answer_by_answer(tmp_path: Path) -> None:
    """Of a HAR file, each refusal has a judgement of its own."""

    def entry(status: int, body: dict[str, str]) -> dict[str, Any]:
        return {
            "request": {"method": "GET", "url": "https://api.example/x", "headers": []},
            "response": {
                "status": status,
                "statusText": "",
                "headers": [{"name": "Content-Type", "value": "application/json"}],
                "content": {"text": json.dumps(body)},
            },
        }

    entries = [
        entry(200, {"ok": "yes"}),
        entry(402, {"error": "subscription_required", "message": "Only for subscribers here."}),
        entry(402, {"error": "insufficient_credits", "message": "No credits are left to you."}),
    ]
    (tmp_path / "shop.har").write_text(json.dumps({"log": {"entries": entries}}), "utf-8")
    ran = run(tmp_path, "shop.har", "--json")
    assert [one["family"] for one in json.loads(ran.stdout)] == ["paywall", "credits"]


def test_what_curl_prints_is_judged_whole(tmp_path: Path) -> None:
    """Every field of such a message is known, so that a missing one is found."""
    (tmp_path / "answer.txt").write_bytes(
        b"HTTP/1.1 402 Payment Required\r\nContent-Type: application/json\r\n\r\n" + json.dumps(GOOD["body"]).encode()
    )
    ran = run(tmp_path, "answer.txt", "--json")
    assert {found["id"] for found in json.loads(ran.stdout)["findings"]} == {"http.date", "paywall.request-id"}


def test_an_offer_is_judged_as_one(tmp_path: Path) -> None:
    """An answer of x402 goes to the rows about offers."""
    body = {"x402Version": 1, "error": "X-PAYMENT header is required", "accepts": [{"scheme": "exact"}]}
    came = judged(tmp_path, {"status": 402, "headers": _JSON, "body": body})
    assert came.family == "offer"
    assert "x402.offer.required-members" in {row.id for row, _, _ in came.findings}


_UNKNOWN = """\
edition = "2026.11"
extends = "base-error-object"

[[answer]]
name = "decline"
family = "decline"
status = [400]
when = { jmespath = "error.step == 'payment_authorization'" }
[answer.facts]
decline_code = "/error/reason"
payment_ref = "/error/metadata/payment_id"
category = { map = "/error/reason", to = { payment_declined = "hard", insufficient_funds = "soft" }, else = "processing" }
[answer.waive]
request_id = "https://razorpay.com/docs/errors/ names no id of a request"
"""


def test_a_vendor_that_does_not_ship_takes_a_few_lines(tmp_path: Path) -> None:
    """A shape that ships, the status, what marks the answer, and three facts: Razorpay, by its documentation."""
    (tmp_path / "razorpay.toml").write_text(_UNKNOWN, "utf-8")
    error = {
        "code": "BAD_REQUEST_ERROR",
        "description": "Your payment has been declined by the bank. Try another payment method.",
        "source": "bank",
        "step": "payment_authorization",
        "reason": "payment_declined",
        "metadata": {"payment_id": "pay_EDNBKIP31Y4jl8"},
    }
    came = judged(tmp_path, {"status": 400, "headers": _JSON, "body": {"error": error}}, "razorpay.toml")
    assert (came.family, came.profile, came.findings) == ("decline", "razorpay", ())
    assert came.record
    assert came.record.document["category"] == "hard"
