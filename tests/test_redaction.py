"""Secrets leave every record by value, and what remains can still be judged."""

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.redaction import Redactor, placeholder

unhurried = settings(deadline=None)  # a busy machine is no reason to fail
PLACE = "<secret:KEY>"
secrets = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x2FFF, exclude_categories=["C", "Z"]), min_size=8, max_size=40
)


def of(value: str) -> Redactor:
    return Redactor.of({"KEY": value})


def test_a_placeholder_names_the_variable() -> None:
    """The name is no secret, and is what a reader needs to set."""
    assert placeholder("KEY") == PLACE


@unhurried
@given(secrets, st.text(max_size=10), st.text(max_size=10))
def test_a_text_is_rid_of_the_secret(secret: str, before: str, after: str) -> None:
    """Plain, percent-encoded, as a form, and escaped for JSON, whatever stands around it."""
    for spelling in (secret, quote(secret, safe=""), quote(secret), quote_plus(secret), json.dumps(secret)[1:-1]):
        assert spelling not in of(secret).text(f"{before}{spelling}{after}").replace(PLACE, "")


@unhurried
@given(secrets, st.binary(max_size=7), st.binary(max_size=7))
def test_base64_of_a_text_around_the_secret_is_found(secret: str, before: bytes, after: bytes) -> None:
    """At each of the three offsets: what is left decodes to nothing that holds the secret."""
    coded = base64.b64encode(before + secret.encode() + after).decode()
    left = of(secret).text(coded)
    assert left != coded
    assert left.count(PLACE) >= 1


@unhurried
@given(secrets)
def test_urlsafe_base64_is_found(secret: str) -> None:
    """The other alphabet, with and without padding."""
    coded = base64.urlsafe_b64encode(secret.encode()).decode()
    assert PLACE in of(secret).text(coded)
    assert PLACE in of(secret).text(coded.rstrip("="))


@unhurried
@given(secrets, st.text(max_size=20), st.text(max_size=20))
def test_a_field_of_base64_stays_base64(secret: str, before: str, after: str) -> None:
    """An offer in a header is still an offer afterwards: its text is redacted inside."""
    value = base64.b64encode(f"{before}{secret}{after}".encode()).decode()
    inner = base64.b64decode(of(secret).field(value), validate=True).decode()
    assert inner == of(secret).text(f"{before}{secret}{after}")


@unhurried
@given(secrets, st.text(alphabet=st.characters(codec="utf-8"), max_size=30))
def test_what_holds_no_secret_stays(secret: str, text: str) -> None:
    """Redaction by value touches nothing else."""
    redactor = of(secret)
    if not any(spelling in text for spelling, _ in redactor.spellings):
        assert redactor.text(text) == text
        assert redactor.content(text.encode()) == text.encode()


def test_nothing_to_redact_is_left_alone() -> None:
    """Without secrets every text, body and field is what it was."""
    redactor = Redactor.of({})
    assert redactor.spellings == ()
    assert redactor.field("aGVsbG8=") == "aGVsbG8="


def test_the_longer_of_two_secrets_goes_first() -> None:
    """A secret that begins with another is replaced whole, so that its rest does not remain."""
    redactor = Redactor.of({"SHORT": "secret-a", "LONG": "secret-a-and-more"})
    assert redactor.text("secret-a-and-more, secret-a") == "<secret:LONG>, <secret:SHORT>"


def test_redaction_is_the_same_each_time() -> None:
    """Two answers that echo the secret stay equal, and redacting twice changes nothing."""
    redactor = of("hunter22")
    once = redactor.text("you said hunter22")
    assert once == f"you said {PLACE}"
    assert redactor.text(once) == once


def test_json_stays_json() -> None:
    """A body that held the secret in a text still parses, with the placeholder in its place."""
    secret = 'with "quotes" and \\'
    body = json.dumps({"echo": f"<{secret}>", "n": 1}).encode()
    assert json.loads(of(secret).content(body)) == {"echo": f"<{PLACE}>", "n": 1}


@pytest.mark.parametrize("body", [b"\xff\xfe hunter22 \x00", "hünter22".encode()])
def test_a_body_that_is_no_text_is_redacted_too(body: bytes) -> None:
    """By bytes: no decoding is needed."""
    assert b"hunter22" not in of("hunter22").content(body)
