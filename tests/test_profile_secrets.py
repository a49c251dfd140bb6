"""Secrets never stand in a profile and are never printed; what the environment gives has to fit."""

from pathlib import Path

import pytest
from refusals import GOOD, refused

FROM_OUTSIDE = 'write { env = "NAME" } and keep the value in the environment'
QUOTE = 'endpoint "quote": '


@pytest.mark.parametrize(
    "name",
    [
        *("Authorization", "Proxy-Authorization", "Cookie", "X-Api-Key", "api-key", "apikey", "X-Auth-Token"),
        *("Client-Secret", "X-Password", "Ocp-Apim-Subscription-Key"),
    ],
)
def test_a_literal_credential_is_refused(tmp_path: Path, name: str) -> None:
    """Headers and query members that carry credentials come from the environment, and the value is not repeated."""
    (found,) = refused(tmp_path, GOOD + f'headers = {{ {name} = "hunter2" }}\n')
    assert found == f"{QUOTE}headers.{name} is a secret in the file; {FROM_OUTSIDE}"
    (found,) = refused(tmp_path, GOOD + f'query = {{ {name.replace("-", "_")} = "hunter2" }}\n')
    assert found == f"{QUOTE}query.{name.replace('-', '_')} is a secret in the file; {FROM_OUTSIDE}"


@pytest.mark.parametrize(
    "secret",
    [
        "sk_" + "live_4eC39HqLyjWDarjtT1zdp7dc",
        "sk_" + "test_4eC39HqLyjWDarjtT1zdp7dc",
        "rk_" + "live_4eC39HqLyjWDarjtT1zdp7dc",
        "Bearer " + "abcdef123456",
        "-----BEGIN EC PRIVATE " + "KEY-----",
        "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a",
        "xoxb-" + "123456789012-abcdef",
        "AKIA" + "IOSFODNN7EXAMPLE",
        "eyJ" + "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    ],
)
def test_what_looks_like_a_secret_is_refused_wherever_it_stands(tmp_path: Path, secret: str) -> None:
    """Known shapes of secrets are found in any value and never printed; only some keys can be filled from outside."""
    (found,) = refused(tmp_path, GOOD + f'body = "{secret}"\n')
    assert found == f"{QUOTE}body looks like a secret in the file; {FROM_OUTSIDE}"
    (found,) = refused(tmp_path, GOOD + f'json = {{ a = ["{secret}"] }}\n')
    not_here = "take it out, this key cannot be filled from the environment"
    assert found == f"{QUOTE}json.a[0] looks like a secret in the file; {not_here}"
    (found,) = refused(tmp_path, GOOD + f'headers = {{ X-A = {{ env = "A", default = "{secret}" }} }}\n')
    assert found == f"{QUOTE}headers.X-A.default is a secret in the file; take the default away"


def test_a_key_to_pay_with_is_refused_in_the_file(tmp_path: Path) -> None:
    """The payer's key is a secret whatever it looks like."""
    assert refused(tmp_path, GOOD + f'[payer]\nkey = "0x{"1f" * 32}"\n') == [
        f"payer.key is a secret in the file; {FROM_OUTSIDE}"
    ]


def test_a_default_for_a_credential_is_refused(tmp_path: Path) -> None:
    """A default is a literal: what cannot stand in the file cannot be one."""
    text = GOOD + 'headers = { Authorization = { env = "TOKEN", default = "hunter2" } }\n'
    assert refused(tmp_path, text) == [
        f"{QUOTE}headers.Authorization.default is a secret in the file; take the default away"
    ]


@pytest.mark.parametrize("source", ["file", "environment"])
def test_a_password_in_the_base_url_is_refused(tmp_path: Path, source: str) -> None:
    """The address of a target is printed everywhere, so nothing in it may be secret."""
    url = "https://me:hunter2@api.acme.example"
    written = f'"{url}"' if source == "file" else '{ env = "URL" }'
    found = refused(tmp_path, GOOD.replace('"https://api.acme.example"', written), URL=url)
    says = 'holds a user name or password; take it out and send { env = "NAME" } in a header'
    assert found == [f"target.base_url {says}"]


def test_a_secret_is_not_repeated_by_another_refusal(tmp_path: Path) -> None:
    """A value that does not fit is shown, but not where it is a credential or looks like one."""
    found = refused(tmp_path, GOOD + 'flow = "ghp_abcdefgh1234"\nheaders = { Cookie = 12345678 }\n')
    assert "ghp_" not in "".join(found)
    assert "12345678" not in "".join(found)
    assert f'{QUOTE}headers.Cookie is a number; expected a text, or {{ env = "NAME" }}' in found


def test_a_variable_that_is_not_set_is_refused(tmp_path: Path) -> None:
    """The sentence names the file, the key and the variable; a credential is not offered a default."""
    text = GOOD + 'headers = { X-A = { env = "ACME_A" }, Authorization = { env = "ACME_TOKEN" } }\n'
    needs = "needs the environment variable"
    assert refused(tmp_path, text, ACME_A="") == [
        f"{QUOTE}headers.X-A {needs} ACME_A, which is not set or empty; set it or give it a default",
        f"{QUOTE}headers.Authorization {needs} ACME_TOKEN, which is not set or empty; set it",
    ]


def test_a_secret_too_short_to_redact_is_refused(tmp_path: Path) -> None:
    """Redaction is by value: one of seven characters would blank out innocent text."""
    (found,) = refused(tmp_path, GOOD + 'headers = { X-A = { env = "ACME_A" } }\n', ACME_A="hunter2")
    assert found == (
        f"{QUOTE}headers.X-A comes from the environment variable ACME_A, whose value cannot be redacted safely: "
        "it has fewer than 8 characters; use a longer one"
    )


def test_a_variable_with_a_line_break_is_refused(tmp_path: Path) -> None:
    """A value read from a file with its last line break would break the request, or forge another header."""
    (found,) = refused(tmp_path, GOOD + 'headers = { X-A = { env = "ACME_A" } }\n', ACME_A="hunter222\n")
    assert found == (
        f"{QUOTE}headers.X-A comes from the environment variable ACME_A, "
        "whose value has a line break or control character; take it away"
    )


def test_an_address_from_the_environment_has_to_be_one(tmp_path: Path) -> None:
    """What a variable holds is checked as if the file said it."""
    found = refused(tmp_path, GOOD.replace('"https://api.acme.example"', '{ env = "URL" }'), URL="acme.example")
    assert found == [
        'target.base_url is "acme.example" (a string); expected an http or https URL without query and fragment'
    ]
