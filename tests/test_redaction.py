"""Secrets leave every record by value, and what remains can still be judged."""

import base64
import json
from time import process_time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conformance.redaction import Redactor, disarmed, placeholder

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
@example("0000\u00a1%00", "", "")
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
@given(st.text(max_size=200), st.binary(max_size=200))
def test_what_holds_no_secret_stays(text: str, body: bytes) -> None:
    """Redaction by value touches nothing else: no escape is undone, no base64 packed anew, no byte lost."""
    redactor = of("Bearer zq7-hunter22-zq7")
    assert redactor.text(text) == text
    assert redactor.field(text) == text
    assert redactor.content(body) == body
    coded = base64.b64encode(body).decode().rstrip("=")
    assert redactor.field(coded) == coded


ESCAPES = (
    lambda c: c,
    lambda c: "".join(f"\\u{unit:04x}" for unit in memoryview(c.encode("utf-16-le")).cast("H")),
    lambda c: "".join(f"\\u{unit:04X}" for unit in memoryview(c.encode("utf-16-le")).cast("H")),
    lambda c: json.dumps(c)[1:-1],
    lambda c: quote(c, safe=""),
    lambda c: quote(c, safe="").lower(),
    lambda c: f"&#{ord(c)};",
    lambda c: f"&#x{ord(c):x};",
)


@unhurried
@given(secrets, st.data())
def test_no_escape_hides_a_secret(secret: str, data: st.DataObject) -> None:
    """Whatever JSON, URLs and HTML let a server write for a character, one by one and mixed, is seen through."""
    # Who escapes by backslashes escapes these, too: one that stands for itself makes something else of what follows.
    spelled = "".join(data.draw(st.sampled_from(ESCAPES[1:] if c == "\\" else ESCAPES))(c) for c in secret)
    assert of(secret).text(f"<{spelled}>") == f"<{PLACE}>"
    assert of(secret).content(f"<{spelled}>".encode()) == f"<{PLACE}>".encode()


@unhurried
@given(secrets, st.sampled_from(ESCAPES), st.sampled_from(ESCAPES))
def test_no_escape_of_an_escape_hides_a_secret(secret: str, inner, outer) -> None:
    """JSON in JSON, or a URL in HTML: what has to be read twice is read twice."""
    spelled = "".join(outer(c) for c in "".join(inner(c) for c in secret))
    assert PLACE in of(secret).text(f"<{spelled}>")


@unhurried
@given(st.sampled_from(["hunter22", "Hünter-22", "a\\b\"c/d'e"]), st.integers(0, 5), st.integers(0, 5))
def test_what_was_json_is_json(secret: str, before: int, after: int) -> None:
    """Backslashes before a secret that was itself escaped stay pairs."""
    text = "\\" * before + secret + "\\" * after
    for escaped in (json.dumps(text), json.dumps(text, ensure_ascii=False), f'"{ESCAPES[1](text)}"'):
        redacted = json.loads(of(secret).text(escaped))
        assert redacted.count(PLACE) == 1
        assert set(redacted.replace(PLACE, "")) <= {"\\"}


@unhurried
@given(secrets)
def test_letters_of_the_other_case_hide_nothing(secret: str) -> None:
    """A server that folds case echoes the secret all the same."""
    for spelling in (secret.upper(), secret.lower(), secret.title(), secret.swapcase() if secret.isascii() else secret):
        assert of(secret).text(f"<{spelling}>") == f"<{PLACE}>"


@unhurried
@given(secrets)
def test_other_bytes_of_a_body_hide_nothing(secret: str) -> None:
    """UTF-16 in either order, and hexadecimal digits; UTF-16 stays UTF-16."""
    for coding in ("utf-16-le", "utf-16-be"):
        body = of(secret).content(f"<{secret}>".encode(coding))
        assert body.decode(coding) == f"<{PLACE}>"
    for digits in (secret.encode().hex(), secret.encode().hex().upper()):
        assert of(secret).content(f"<{digits}>".encode()) == f"<{PLACE}>".encode()


def test_a_body_in_latin_1_hides_nothing() -> None:
    """The byte that a header field sends for a letter comes back as that byte."""
    assert of("hünter22").content("<hünter22>".encode("latin-1")) == f"<{PLACE}>".encode()


@unhurried
@given(secrets, st.binary(max_size=4), st.binary(max_size=4))
def test_base64_of_base64_hides_nothing(secret: str, before: bytes, after: bytes) -> None:
    """Once more, at whatever offset."""
    inner = base64.b64encode(before + secret.encode() + after)
    coded = base64.b64encode(b"<" + inner + b">").decode()
    redacted = of(secret).content(coded.encode())
    assert redacted != coded.encode()
    inside = base64.b64decode(base64.b64decode(of(secret).field(coded), validate=True)[1:-1], validate=False)
    assert secret.encode() not in inside
    assert PLACE.encode() in inside


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode], ids=["standard", "urlsafe"])
@pytest.mark.parametrize("padded", [True, False], ids=["padded", "bare"])
@pytest.mark.parametrize("spell", ESCAPES[:4])
@unhurried
@given(st.text(max_size=9), st.text(max_size=9))
def test_a_field_of_base64_json_stays_what_it_is(encode, padded: bool, spell, before: str, after: str) -> None:
    """Whatever escapes the JSON has, the field is base64 of JSON afterwards, and only the secret is another."""
    secret = 'hünt"er/22>>>???'
    spelled = "".join(spell(c) for c in secret) if spell is not ESCAPES[0] else json.dumps(secret)[1:-1]
    text = f'{{"a": {json.dumps(before)}, "b": "{spelled}", "c": {json.dumps(after)}, "a": 1.50}}'
    value = encode(text.encode()).decode()
    value = value if padded else value.rstrip("=")
    redacted = of(secret).field(value)
    assert len(redacted) % 4 == 0 or not value.endswith("=")
    altchars = b"-_" if "-" in redacted or "_" in redacted else b"+/"
    whole = base64.b64decode(redacted + "=" * (-len(redacted) % 4), altchars=altchars, validate=True).decode()
    assert whole == text.replace(spelled, PLACE)
    assert json.loads(whole)["b"] == PLACE


def test_a_part_of_a_field_that_is_base64_stays_base64() -> None:
    """A challenge with parameters, or a token of several parts, is redacted inside."""
    coded = base64.urlsafe_b64encode(b'{"k": "hunter22"}').decode().rstrip("=")
    redacted = of("hunter22").field(f'Payment id="x", request="{coded}", v.{coded}.w')
    inner = base64.urlsafe_b64encode(f'{{"k": "{PLACE}"}}'.encode()).decode().rstrip("=")
    assert redacted == f'Payment id="x", request="{inner}", v.{inner}.w'


@pytest.mark.parametrize(
    ("value", "echo", "shown"),
    [
        ("Bearer hunter2222", "hunter2222", PLACE),
        ("Token hunter2222", "HUNTER2222", PLACE),
        ("Basic bWFyeS1hbm46aHVudGVyMjI=", "bWFyeS1hbm46aHVudGVyMjI=", PLACE),
        ("Basic bWFyeS1hbm46aHVudGVyMjI=", "hunter22", PLACE),
        ("Basic bWFyeS1hbm46aHVudGVyMjI=", "mary-ann:hunter22", PLACE),
        ("Basic bWFyeS1hbm46aHVudGVyMjI=", "mary-ann", "<user:KEY>"),
        ("session=hunter22; theme=dark", "hunter22", PLACE),
        ("session=hunter22", base64.b64encode(b"hunter22").decode(), "PHNlY3JldDpLRVk+"),
        ("session=hunter22; theme=dark", "dark", "dark"),
        ("Bearer hunter2", "hunter2", "hunter2"),
        ("hunter22 was here", "hunter22", "hunter22"),
    ],
)
def test_a_part_that_is_secret_is_redacted_by_itself(value: str, echo: str, shown: str) -> None:
    """Credentials without their scheme, user and password, a cookie without its name; nothing shorter than eight."""
    assert of(value).field(echo) == shown
    assert of(value).field(value) == PLACE


def test_the_whole_goes_before_a_part_of_another() -> None:
    """Where one secret is a part of another, each is called by its own name."""
    redactor = Redactor.of({"HEADER": "Bearer hunter2222", "TOKEN": "hunter2222"})
    assert redactor.text("Bearer hunter2222, hunter2222") == "<secret:HEADER>, <secret:TOKEN>"


def test_a_placeholder_is_left_alone() -> None:
    """Also where its name is the secret itself, in other letters."""
    redactor = Redactor.of({"API_TOKEN": "api_token"})
    once = redactor.text("api_token, API_TOKEN")
    assert once == "<secret:API_TOKEN>, <secret:API_TOKEN>"
    assert redactor.text(once) == once


def test_what_looks_like_a_placeholder_protects_nothing() -> None:
    """A server that wraps the secret in our own brackets hides nothing in them."""
    assert "hunter22" not in of("hunter22").text("<secret:hunter22>")


def test_a_foreign_placeholder_is_disarmed() -> None:
    """What a target says is never filled in by the shell that runs a curl line."""
    assert disarmed("<secret:HOME>") == "<not-secret:HOME>"
    assert disarmed(b"<secret:HOME>") == b"<not-secret:HOME>"
    assert disarmed(disarmed("a<secret:b")) == disarmed("a<secret:b")


def test_a_redactor_does_not_show_its_secrets() -> None:
    """A traceback that prints its arguments prints none of them."""
    assert "hunter22" not in repr(of("hunter22")).lower()


@pytest.mark.parametrize(
    "hostile",
    [
        b"%41" * 300_000,
        b"\\" * 1_000_000,
        b"\\u0068unter2" * 100_000,
        b"hunter22" * 100_000,
        base64.b64encode(b"hunter2 " * 80_000),
        b" ".join([base64.b64encode(b"\\u0068unter22")] * 20_000),
    ],
    ids=["percent", "backslashes", "nearly", "secrets", "base64", "packed"],
)
def test_redaction_takes_time_in_proportion(hostile: bytes) -> None:
    """A megabyte of whatever is worst takes seconds, not minutes."""
    redactor = of("hunter22")
    began = process_time()
    assert b"hunter22" not in redactor.content(hostile)
    assert process_time() - began < 10


def test_nothing_to_redact_is_left_alone() -> None:
    """Without secrets every text, body and field is what it was."""
    redactor = Redactor.of({})
    assert redactor.text("<a> %41 \\u0041") == "<a> %41 \\u0041"
    assert redactor.content(b"\xff\x00") == b"\xff\x00"
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
