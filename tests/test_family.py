"""What kind of "pay" a recorded answer means, told by its words: answers as public APIs write them."""

import re
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from conformance import family as told
from conformance.exchange import Response
from conformance.family import Guess, family
from conformance.profile.words import Family

ANSWERS: list[dict[str, Any]] = tomllib.loads((Path(__file__).parent / "data" / "answers.toml").read_text("utf-8"))[
    "answer"
]
VOCABULARY = Path(told.__file__).with_name("family.toml")


def response(answer: dict[str, Any]) -> Response:
    """The answer as recorded."""
    headers = tuple((name, value) for name, _, value in (line.partition(": ") for line in answer.get("headers", ())))
    return Response(status=answer["status"], headers=headers, body=answer.get("body", "").encode())


def strings(value: Any) -> list[str]:
    """All strings of a document, keys included."""
    if isinstance(value, dict):
        return [text for key, inner in value.items() for text in (key, *strings(inner))]
    return [text for inner in value for text in strings(inner)] if isinstance(value, list) else [str(value)]


def guessed(status: int, body: str = "", *headers: tuple[str, str]) -> Family | None:
    """The family of an answer in short."""
    return family(Response(status=status, headers=headers, body=body.encode())).family


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: f"{answer['family']}: {answer['name']}")
def test_an_answer_of_the_set_is_of_the_family_it_says(answer):
    """What the words of an answer ask for is what a reader would say."""
    guess = family(response(answer))
    assert (guess.family or "none") == answer["family"], guess.reasons


def test_the_set_is_large_and_a_third_of_it_is_held_out():
    """Fewer answers would not tell a vocabulary from a list of them."""
    assert len({answer["name"] + answer["family"] for answer in ANSWERS}) == len(ANSWERS) >= 90
    assert len([answer for answer in ANSWERS if answer.get("held_out")]) * 3 >= len(ANSWERS) - 6


def test_a_guess_has_reasons_that_say_where():
    """A user who is told the family is told by which words, heaviest first."""
    body = '{"error": {"code": "card_declined", "message": "See the bank."}}'
    assert family(Response(status=402, body=body.encode())) == Guess(
        family=Family.DECLINE, reasons=('/error/code says "card declined"', '/error/message says "bank"')
    )


def test_no_word_is_a_domain_or_an_address():
    """The vocabulary is of the trade, not of anybody in it."""
    words = strings(tomllib.loads(VOCABULARY.read_text("utf-8")))
    assert not [
        word for word in words if re.search(r"\.(?:com|io|org|net|ai|dev|co)\b|https?:|\bwww\b", word, re.IGNORECASE)
    ]
    assert not [word for word in words if ".com" in word or "http" in word]


@pytest.mark.parametrize(
    "body",
    [
        '{"message": "Your card was not declined; the amount is missing"}',
        '{"message": "If your card is declined, the order is cancelled"}',
        '{"message": "name is too short; this is not a quota exceeded error"}',
    ],
)
def test_what_is_denied_or_only_supposed_does_not_decide(body):
    """A sentence that takes its words back is no refusal."""
    assert guessed(400, body) is None


def test_a_success_is_a_refusal_only_where_it_says_so():
    """The same words are a report beside a flag of failure, and a record without one."""
    assert guessed(200, '{"ok": false, "message": "Your monthly quota is used up"}') is Family.CREDITS
    assert guessed(200, '{"ok": true, "message": "Your monthly quota is used up"}') is None
    assert guessed(200, '{"status": "declined", "card": {"brand": "visa"}}') is Family.DECLINE
    assert guessed(200, '{"status": "succeeded", "card": {"brand": "visa"}}') is None


def test_throttling_is_no_quota_unless_a_day_or_a_month_is_spoken_of():
    """At 429 the period tells what waiting is for."""
    assert guessed(429, '{"message": "Quota exceeded: 60 requests per minute"}') is None
    assert guessed(429, '{"message": "Quota exceeded: 60 requests per month"}') is Family.CREDITS


def test_advice_to_upgrade_beside_a_used_up_quota_is_credits():
    """What was used up decides, not what is for sale."""
    said = '{"message": "Monthly quota exceeded. Please upgrade your plan to continue."}'
    assert guessed(402, said) is guessed(403, said) is Family.CREDITS


@pytest.mark.parametrize(
    "body",
    [
        "<" * 100_000,
        "<script " * 20_000,
        '{"' * 50_000,
        "monthly " * 20_000,
        "card " * 20_000,
        "a" * 200_000,
        "not a " * 30_000,
        "[" * 400 + '"card declined"' + "]" * 400,
        str([{"message": "monthly limit card plan of the quota " * 20}] * 500).replace("'", '"'),
    ],
    ids=range(9),
)
def test_a_hostile_body_is_read_in_bounded_time(body):
    """No text of a stranger keeps the reader for long."""
    began = time.perf_counter()
    guessed(402, body)
    guessed(402, body, ("Content-Type", "text/html"))
    assert time.perf_counter() - began < 20


def test_bytes_that_are_no_text_are_a_bare_status():
    """A 402 whose body cannot be read asks to pay, and a 403 like it does not."""
    assert family(Response(status=402, body=b"\xff\xfe\x00\x80")).family is Family.PAYWALL
    assert family(Response(status=403, body=b"\x89PNG\r\n\x1a\n\x00")).family is None
