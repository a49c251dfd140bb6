"""Faults of what a refusal says in its content: what it is called, and what of cards, secrets and people is in it."""

import json
from typing import Any

from altering import ALL, PROBLEMS, V1, becomes, browses, field, lacks, only, problem, when
from fault import fault
from serving import Answer, Asked, Change, then

__all__ = ["BODY"]

_PASSWORD = "correct horse battery"
_PAN = "4000300011112220"
_PAGE = "<!doctype html><html lang=en><title>Pay</title><h1>Pay</h1></html>"
_SENT = {
    "card": {"number": "4242 4242 4242 4242", "cvc": "737"},
    "authentication_value": "jJ81HADVRtXfCBATEp01CJUAAAA=",
}


def _instead(body: bytes, media_type: str = "application/json") -> Change:
    """Another body where a refusal has problem details."""

    def change(_: Asked, answer: Answer) -> None:
        if answer.status == 402 and answer.get("content-type") == "application/problem+json":
            answer.body = body
            answer.set("Content-Type", media_type)

    return change


def _for_json(media_type: str, body: str) -> Change:
    """What who accepts nothing but JSON is refused with."""
    return when(lambda asked: asked.headers.get("accept") == "application/json", becomes(402, body, media_type))


def _adds_to_page(text: str) -> Change:
    return when(browses, lambda answer: setattr(answer, "body", answer.body + f"<p>{text}</p>".encode()))


def _report(**members: object) -> Any:
    """What is sent to the report."""

    def edit(written: dict[str, Any]) -> None:
        entry = next(e for e in written["endpoint"] if e["name"] == "report")
        entry["json"] = {"city": "Paris", **members}

    return edit


def _authorized(written: dict[str, Any]) -> None:
    written["target"]["headers"] = {"Authorization": "Bearer mF_9.B5f-4.1JqM", "Cookie": "sid=8a7f-11c2-cafe; a=b"}


def _repeats_token(asked: Asked, answer: Answer) -> None:
    problem(received=asked.headers.get("authorization", "").rpartition(" ")[2])(asked, answer)


def _banned(written: dict[str, Any]) -> None:
    written["identity"]["banned"] = {"headers": {"X-Banned": "1"}, "expect": [401, 403]}


def _no_protocol(written: dict[str, Any]) -> None:
    """The weather is sold by no protocol, and refused as the profile says."""
    written["answer"] = [{"name": "unpaid", "family": "paywall"}]
    entry = written["endpoint"][0]
    for member in ("protocol", "versions", "terms"):
        del entry[member]
    entry["answers"] = ["unpaid"]


def _behind(written: dict[str, Any]) -> None:
    written["target"]["backend"] = f"{written['target']['base_url']}/behind"


BODY = (
    *(
        fault(f"the JSON of the refusal {how}", _instead(body), "http.body-is-what-it-says", at=PROBLEMS)
        for how, body in {
            "has a comma too many": b'{"error": {"code": "expired_card",}}',
            "is cut off": b'{"error": "unpai',
            "has a number that is none": b'{"balance": NaN}',
            "is a page": _PAGE.encode(),
            "is not in UTF-8": b'{"error": "Zahlung n\xf6tig"}',
        }.items()
    ),
    fault(
        "the JSON of the refusal has a media type of its own and is none",
        _instead(b"unpaid", "application/vnd.shop.v2+json; charset=utf-8"),
        "http.body-is-what-it-says",
        at=PROBLEMS,
    ),
    fault("who accepts only JSON gets a page", _for_json("text/html", _PAGE), "http.accept-json"),
    fault(
        "who accepts only JSON gets plain text",
        only(lambda asked: asked.path[1:] in V1, _for_json("text/plain; charset=utf-8", "Payment required.")),
        "http.accept-json",
        at=V1,
    ),
    *(
        fault(f"the refusal has the number of a card {where}", does, "http.no-card-number", at=at)
        for where, does, at in (
            ("in a member", problem(card={"number": _PAN}), PROBLEMS),
            ("as a number", problem(card={"number": int(_PAN)}), PROBLEMS),
            ("in groups", problem(detail="The card 4000 3000 1111 2220 was refused."), PROBLEMS),
            ("with dashes", problem(detail="Refused: 3782-822463-10005."), PROBLEMS),
            ("in an address", problem(account="pan:5299920000000149;exp=2020-08"), PROBLEMS),
            ("of an issuer in China", problem(pan="6222021234567894"), PROBLEMS),
            ("of an old kind, called one", problem(card_number="4222222222222"), PROBLEMS),
            ("in a field", field("X-Instrument", _PAN), ALL),
            ("on the page for browsers", _adds_to_page(f"Your card {_PAN}"), ALL),
        )
    ),
    *(
        fault(f"the refusal has {what}", does, *red, at=PROBLEMS)
        for what, does, red in (
            ("the code of a card", problem(card={"last4": "2220", "cvc": "123"}), ["http.no-card-secret"]),
            ("the code of a card as a number", problem(securityCode=1234), ["http.no-card-secret"]),
            ("the code of a card in a text", problem(debug="number=x;cvv2=123;x=y"), ["http.no-card-secret"]),
            (
                "the stripe of a card",
                problem(debug=f"%B{_PAN}^ROE/JANE^25121010000000000"),
                ["http.no-card-secret"],
            ),
            (
                "the second track of a card",
                problem(track2=f";{_PAN}=25121010000000000?"),
                ["http.no-card-secret", "http.no-card-number"],
            ),
            ("a PIN block", problem(pin_block="0412AC89ABCDEF67"), ["http.no-card-secret"]),
        )
    ),
    fault(
        "the refusal repeats the password that was sent",
        problem(received={"secret": _PASSWORD}),
        "http.no-echo",
        at=PROBLEMS[1:],
        edit=_report(password=_PASSWORD),
    ),
    fault(
        "the refusal repeats the password in an address",
        problem(help="/login?p=correct%20horse%20battery"),
        "http.no-echo",
        at=PROBLEMS[1:],
        edit=_report(password=_PASSWORD),
    ),
    fault(
        "the refusal repeats the card that was sent",
        problem(detail="no money on 4242424242424242"),
        "http.no-echo",
        "http.no-card-number",
        at=PROBLEMS[1:],
        edit=_report(**_SENT),
    ),
    fault(
        "the refusal repeats the card that was sent as an id",
        problem(request_id="4242424242424242"),
        "http.no-echo",
        at=PROBLEMS[1:],
        edit=_report(**_SENT),
    ),
    fault(
        "the refusal repeats the security code that was sent",
        problem(detail="the card has another CVC (737)"),
        "http.no-echo",
        at=PROBLEMS[1:],
        edit=_report(**_SENT),
    ),
    fault(
        "the refusal repeats how the cardholder proved who it is",
        problem(tried=json.dumps(_SENT["authentication_value"])),
        "http.no-echo",
        at=PROBLEMS[1:],
        edit=_report(**_SENT),
    ),
    fault(
        "the refusal repeats the expiry of a card as it was sent",
        problem(detail="cannot use exp=2020-08"),
        "http.no-echo",
        at=PROBLEMS[1:],
        edit=_report(account="pan:5299920000000149;exp=2020-08"),
    ),
    fault(
        "the refusal repeats the bearer token",
        _repeats_token,
        "http.no-echo",
        at=PROBLEMS,
        edit=_authorized,
    ),
    fault(
        "the refusal repeats the cookie",
        problem(session="8a7f-11c2-cafe"),
        "http.no-echo",
        at=PROBLEMS,
        edit=_authorized,
    ),
    fault(
        "the refusal names its owner's address",
        problem(owner="jane.roe@post.example"),
        "http.no-personal-data",
        at=PROBLEMS,
    ),
    fault(
        "the page for browsers greets somebody by address",
        _adds_to_page("Signed in as j.roe+shop@mail.post.example."),
        "http.no-personal-data",
    ),
    fault("who is banned is asked to pay", None, "http.identities", edit=_banned),
    fault(
        "who is banned does not find it",
        when(lambda asked: "x-banned" in asked.headers, becomes(404)),
        "http.identities",
        edit=_banned,
    ),
    fault(
        "a provider that is down asks for money",
        lacks("payment-required"),
        "http.outage-is-5xx",
        at=("weather",),
        edit=_no_protocol,
    ),
    fault(
        "a provider that is down opens the shop",
        then(
            when(lambda asked: "boom" in asked.query, becomes(200, "{}", "application/json")), lacks("payment-required")
        ),
        "http.outage-is-5xx",
        at=("weather",),
        edit=_no_protocol,
    ),
    fault("the service behind it knows of no payment", None, "http.backend-agrees", edit=_behind),
)
