"""What is refused in a profile, and the sentence that says so."""

from pathlib import Path

import pytest
from refusals import EDITION, ENDPOINT, GOOD, TARGET, TERMS, refused

from conformance import schema

RULE = '[[answer]]\nname = "broke"\nfamily = "credits"\n'
PATH = "a path that starts with one slash, with or without a query"
QUOTE = 'endpoint "quote": '
DECIMALS = 'write it as a string of atomic units such as "10000"; atomic units have no decimals and no sign'


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("10000", 'is 10000 (a number); write it as a string of atomic units, "10000"'),
        ("0.01", f"is 0.01 (a number); {DECIMALS}"),
        ("-5", f"is -5 (a number); {DECIMALS}"),
        ('"0.01"', f'is "0.01" (a string); {DECIMALS}'),
        ('"1e4"', 'is "1e4" (a string); expected a string of atomic units such as "10000"'),
        ('"007"', 'is "007" (a string); expected a string of atomic units such as "10000"'),
        (f'"{"9" * 79}"', f'is "{"9" * 78}… (a string); expected a string of atomic units such as "10000"'),
        ('{ min = "50", max = "7" }', "has min 50 above max 7; exchange them"),
    ],
)
def test_money_that_is_no_string_of_atomic_units_is_refused(tmp_path: Path, written: str, sentence: str) -> None:
    """An amount is a string of digits, so that nothing rounds it; the sentence shows the right spelling."""
    assert refused(tmp_path, GOOD + TERMS + written + "\n") == [f"{QUOTE}terms[0].amount {sentence}"]


def test_a_budget_as_a_number_is_refused(tmp_path: Path) -> None:
    """Budgets are money too; an entry without a name is called by its index."""
    text = GOOD + '[[budget]]\nnetwork = "eip155:84532"\nasset = "0xA"\nmax_total = 5\n'
    says = 'budget[0].max_total is 5 (a number); write it as a string of atomic units, "5"'
    assert refused(tmp_path, text) == [says]


def test_an_unknown_key_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    """A misspelt key is told with the key that was meant."""
    expected = [
        'the profile has, at the top, the unknown key "limit"; did you mean "limits"?',
        f'{QUOTE.rstrip(": ")} has the unknown key "protocl"; did you mean "protocol"?',
    ]
    found = refused(tmp_path, "limit = 1\n" + GOOD + 'answers = ["broke"]\nprotocl = "x402"\n' + RULE)
    assert found == expected


def test_an_unknown_key_near_to_nothing_is_refused_with_all_known(tmp_path: Path) -> None:
    """Where no key is near, the sentence lists those that there are."""
    assert refused(tmp_path, GOOD + "failing = { zzz = 1, path = '/x' }\n") == [
        f'{QUOTE}failing has the unknown key "zzz"; known here are path, query, headers'
    ]


def test_each_unknown_key_of_one_table_is_told(tmp_path: Path) -> None:
    """Two misspelt keys in one table are two sentences."""
    assert len(refused(tmp_path, GOOD + "pathh = 1\nmethd = 1\n")) == 2


def test_an_unknown_edition_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    """A profile for another edition is not judged by this one."""
    found = refused(tmp_path, GOOD.replace("2026.11", "next"))
    assert found == ['edition is "next" (a string); expected the edition to judge by, "2026.11"']


def test_an_unknown_class_is_refused_with_the_nearest_and_all_known(tmp_path: Path) -> None:
    """A claim that no edition has is not dropped in silence."""
    (found,) = refused(tmp_path, EDITION + '[claims]\nclasses = ["x402/gaurd"]\n' + TARGET + ENDPOINT)
    assert found.startswith('claims.classes[0] is "x402/gaurd" (a string); did you mean "x402/guard"? expected ')
    classes = schema.named("profile")["properties"]["claims"]["properties"]["classes"]["items"]["enum"]
    assert found.endswith("a class of the edition: " + ", ".join(classes))
    assert len(classes) == 17


@pytest.mark.parametrize(
    ("classes", "sentence"),
    [
        ("[]", "is an array: []; expected a list of at least one class"),
        ('["http", "http"]', "has one entry twice; expected a list of at least one class, each entry once"),
    ],
)
def test_a_claim_of_nothing_or_of_one_thing_twice_is_refused(tmp_path: Path, classes: str, sentence: str) -> None:
    """Claims name at least one class, each once."""
    text = EDITION + f"[claims]\nclasses = {classes}\n" + TARGET + ENDPOINT
    assert refused(tmp_path, text) == [f"claims.classes {sentence}"]


@pytest.mark.parametrize(
    ("claimed", "lacking"),
    [
        ("paywall", 'no endpoint has an answer with family = "paywall"'),
        ("credits", 'no endpoint has an answer with family = "credits"'),
        ("decline", 'no endpoint has an answer with family = "decline"'),
        ("idempotency", "there is no [idempotency]"),
        ("flows", "there is no [[flow]]"),
        ("openapi", "there is no [openapi]"),
    ],
)
def test_a_claimed_class_that_nothing_can_show_is_refused(tmp_path: Path, claimed: str, lacking: str) -> None:
    """A claim needs the part of the profile that shows it; an answer that no endpoint gives shows nothing."""
    text = EDITION + f'[claims]\nclasses = ["http", "{claimed}"]\n' + TARGET + ENDPOINT + RULE
    says = f'claims.classes[1] claims "{claimed}", but {lacking}; add one or take the claim away'
    assert refused(tmp_path, text) == [says]


@pytest.mark.parametrize("lost", ['method = "POST"', 'paid_identity = "funded"'])
def test_a_claim_about_keys_without_who_is_served_under_one_is_refused(tmp_path: Path, lost: str) -> None:
    """A key means something where a request is unsafe, and somebody is named whose answer comes again."""
    asked = 'method = "POST"\npaid_identity = "funded"\nanswers = ["broke"]\n'.replace(f"{lost}\n", "")
    endpoint = f'[[endpoint]]\nname = "y"\npath = "/y"\n{asked}[identity.funded]\n[idempotency]\nconvention = "acp"\n'
    text = EDITION + '[claims]\nclasses = ["idempotency"]\n' + TARGET + endpoint + RULE
    lacking = "no endpoint without a protocol has an unsafe method and a paid_identity"
    says = f'claims.classes[0] claims "idempotency", but {lacking}; add one or take the claim away'
    assert refused(tmp_path, text) == [says]


def test_a_claim_of_flows_out_of_no_refusal_is_refused(tmp_path: Path) -> None:
    """A flow at an endpoint that is paid by a protocol shows nothing of class flows."""
    text = EDITION + '[claims]\nclasses = ["flows"]\n' + TARGET + ENDPOINT + RULE
    text += '[[flow]]\nname = "up"\nendpoint = "quote"\nsteps = [{ method = "POST", path = "/up" }]\n'
    says = 'claims.classes[0] claims "flows", but no [[flow]] has an endpoint with answers and without protocol'
    assert refused(tmp_path, text) == [f"{says}; add one or take the claim away"]


def test_a_price_upside_down_is_refused(tmp_path: Path) -> None:
    """A range begins at its lower end."""
    text = EDITION + TARGET + ENDPOINT + RULE + '[[flow]]\nname = "up"\nendpoint = "quote"\n'
    text += 'steps = [{ method = "POST", path = "/up" }]\nprice = { min = "1.5", max = "1.25" }\n'
    assert refused(tmp_path, text) == ['flow "up": price has min 1.5 above max 1.25; exchange them']


@pytest.mark.parametrize("name", ["offer", "guard", "settlement", "order", "durable", "identifier"])
def test_a_claim_about_x402_without_such_an_endpoint_is_refused(tmp_path: Path, name: str) -> None:
    """No class of x402 is claimed for a target that does not speak it."""
    other = ENDPOINT.replace('protocol = "x402"', 'answers = ["broke"]')
    text = EDITION + f'[claims]\nclasses = ["x402/{name}"]\n' + TARGET + other + RULE
    lacking = 'no endpoint has protocol = "x402"; add one or take the claim away'
    assert refused(tmp_path, text) == [f'claims.classes[0] claims "x402/{name}", but {lacking}']


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ('edition = "2026.11"\n', 'edition is missing; expected the edition to judge by, "2026.11"'),
        ('name = "Acme"\n', "target.name is missing; expected a text that is not empty"),
        (
            'base_url = "https://api.acme.example"\n',
            'target.base_url is missing; expected an http or https URL, or { env = "NAME" }',
        ),
        (TARGET, "target is missing; expected a table with name and base_url"),
        (ENDPOINT, "endpoint is missing; expected at least one [[endpoint]] table"),
        ('name = "quote"\n', "endpoint[0].name is missing; expected a text that is not empty"),
        (
            'path = "/quote"\n',
            f"{QUOTE}path is missing; expected a path that starts with one slash, without query and fragment",
        ),
        (
            'protocol = "x402"\n',
            'endpoint "quote" has name, path; expected an endpoint with protocol = "x402", a list of answers, or both',
        ),
    ],
)
def test_what_is_missing_is_named_with_what_belongs_there(tmp_path: Path, missing: str, sentence: str) -> None:
    """Each thing that a profile cannot do without is asked for by its key."""
    assert refused(tmp_path, GOOD.replace(missing, "", 1)) == [sentence]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (
            'method = "get"',
            'method is "get" (a string); did you mean "GET"? expected a method: GET, POST, PUT, PATCH or DELETE',
        ),
        ("json = { a = 1 }\nform = { a = '1' }", None),
        ("json = { a = 1 }\nbody = 'a'", None),
        ("form = { a = '1' }\nbody = 'a'", None),
        ("query = { page = 1 }", 'query.page is 1 (a number); expected a text, or { env = "NAME" }'),
        ("versions = [3]", "versions[0] is 3 (a number); expected an x402 version, 1 or 2"),
        (
            "entitlement = 'forever'",
            'entitlement is "forever" (a string); expected "once", "session" or a number of seconds',
        ),
        ("marker = ''", 'marker is "" (a string); expected a text that is not empty'),
        (
            "marker = { header = 'A', pointer = '/b' }",
            "marker has header, pointer; expected a table with exactly one of header, pointer and re",
        ),
        (
            "marker = { re = '*' }",
            'marker.re cannot be used: "*" (a string) is not a regular expression: nothing to repeat at position 0',
        ),
        ("dynamic = ['accepts']", 'dynamic[0] is "accepts" (a string); expected a JSON Pointer such as "/error/code"'),
        ("failing = {}", "failing has nothing; expected a table with path, query or headers"),
        (
            "witness = { path = '//evil.example/', pointer = '' }",
            f'witness.path is "//evil.example/" (a string); expected {PATH}',
        ),
        (
            "json = { day = 2026-01-01 }",
            "json.day is the date or time 2026-01-01, which JSON does not have; write it as a string",
        ),
        ("json = { x = nan }", "json.x is nan, which JSON does not have; write a finite number"),
    ],
)
def test_a_request_that_cannot_be_meant_is_refused(tmp_path: Path, lines: str, sentence: str | None) -> None:
    """Values of an endpoint that do not fit are told with what was expected in their place."""
    (found,) = refused(tmp_path, GOOD + lines + "\n")
    assert found == f"{QUOTE}{sentence}" or (
        sentence is None and found.endswith("; expected at most one of json, form and body")
    )


@pytest.mark.parametrize(
    ("selector", "sentence"),
    [
        ("'error/code'", '"error/code" (a string) is not a selector; did you mean the JSON Pointer "/error/code"?'),
        ("'/a~b'", '"/a~b" (a string) is not a JSON Pointer: a "~" in it is written "~0" and a "/" "~1"'),
        ("'jmspath: a'", '"jmspath: a" (a string) starts with the unknown word "jmspath:"; did you mean "jmespath:"?'),
        ("{ prose = '/a', re = 'b' }", '"b" (a string) has no group x; write (?P<x>...) around what is wanted'),
        ("{ map = '/a' }", "a selector with map needs to as well"),
        ("{ const = 1, re = 'x' }", "a selector with const cannot have re"),
    ],
)
def test_a_selector_with_bad_syntax_is_refused(tmp_path: Path, selector: str, sentence: str) -> None:
    """Selectors are read when the profile is loaded, and a bad one is told once, with what to write."""
    found = refused(tmp_path, GOOD + RULE + f"facts = {{ code = {selector} }}\n")
    assert found == [f'answer "broke": facts.code cannot be used: {sentence}']


def test_a_bad_part_of_a_selector_is_told_at_its_own_place(tmp_path: Path) -> None:
    """Deep within a table, the key leads to the part that is wrong."""
    found = refused(tmp_path, GOOD + RULE + "facts = { code = { first = ['/a', { prose = '/b', re = '(' }] } }\n")
    says = '"(" (a string) is not a regular expression: missing ), unterminated subpattern at position 0'
    assert found == [f'answer "broke": facts.code.first[1].re cannot be used: {says}']


def test_a_condition_that_does_not_compile_is_refused(tmp_path: Path) -> None:
    """JMESPath and regular expressions of when are compiled when the profile is loaded."""
    first, second = refused(tmp_path, GOOD + RULE + "when = { jmespath = 'a[', text = '[' }\n")
    assert first.startswith(
        'answer "broke": when.jmespath cannot be used: "a[" (a string) is not a JMESPath expression: '
    )
    assert second.startswith('answer "broke": when.text cannot be used: "[" (a string) is not a regular expression: ')


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (ENDPOINT, 'endpoint has the name "quote" 2 times; give each its own'),
        (RULE + RULE, 'answer has the name "broke" 2 times; give each its own'),
    ],
)
def test_two_entries_of_one_name_are_refused(tmp_path: Path, text: str, sentence: str) -> None:
    """Names address entries, so each is used once."""
    assert refused(tmp_path, GOOD + text) == [sentence]


def test_two_entries_of_one_name_are_refused_over_a_base_too(tmp_path: Path) -> None:
    """Merging by name does not hide that one file says a name twice."""
    folder = tmp_path / "profiles"
    folder.mkdir()
    (folder / "base.toml").write_text(GOOD)
    twice = '[[endpoint]]\nname = "quote"\n[[endpoint]]\nname = "quote"\npath = "/x"\nprotocol = "x402"\n'
    found = refused(tmp_path, 'extends = "base.toml"\n' + twice)
    assert found == ['endpoint has the name "quote" 2 times; give each its own']


def test_names_that_nothing_has_are_refused(tmp_path: Path) -> None:
    """A reference to an identity, answer or endpoint that is not defined is told with the known names."""
    text = GOOD + (
        'answers = ["brok"]\nidentity = "who"\npaid_identity = "funder"\n[identity.funded]\n'
        + RULE
        + '[observe.x]\npath = "/"\npointer = ""\nidentity = "me"\n'
        + '[[flow]]\nname = "f"\nendpoint = "quotes"\nsteps = [{ method = "GET", path = "/" }]\n'
    )
    answer, endpoint = "and there is no [[answer]] of this name; ", "and there is no [[endpoint]] of this name; "
    table, known = "and there is no [identity.NAME] table of this name; ", "known are: anonymous, funded"
    assert sorted(refused(tmp_path, text)) == sorted(
        [
            f'{QUOTE}answers[0] is "brok", {answer}did you mean "broke"? known are: broke',
            f'{QUOTE}identity is "who", {table}{known}',
            f'{QUOTE}paid_identity is "funder", {table}did you mean "funded"? {known}',
            f'observe.x.identity is "me", {table}{known}',
            f'flow "f": endpoint is "quotes", {endpoint}did you mean "quote"? known are: quote',
        ]
    )


def test_a_port_without_a_start_is_refused(tmp_path: Path) -> None:
    """{port} stands for a port that we choose, and only a target that we start can be given one."""
    found = refused(tmp_path, GOOD.replace("api.acme.example", "127.0.0.1:{port}"))
    says = "has {port}, and there is no [target.start] that it would be given to; add one or write the port"
    assert found == [f"target.base_url {says}"]


def test_unknown_placeholders_are_refused(tmp_path: Path) -> None:
    """A misspelt placeholder is not handed on as text."""
    start = '[target.start]\ncommand = "{pyhton} app.py"\nenv = { A = "{home}" }\n'
    known = "known are {port}, {facilitator}, {python}, {scratch}"
    assert refused(tmp_path, EDITION + TARGET.replace("acme", "{acme}") + start + ENDPOINT) == [
        "target.base_url has the unknown placeholder {acme}; known is {port}",
        f"target.start.command has the unknown placeholder {{pyhton}}; {known}",
        f"target.start.env.A has the unknown placeholder {{home}}; {known}",
    ]


def test_a_header_name_that_is_none_is_refused(tmp_path: Path) -> None:
    """A field name has no blanks (RFC 9110, section 5.1)."""
    (found,) = refused(tmp_path, GOOD + 'headers = { "X Foo" = "a" }\n')
    assert found == f'{QUOTE}headers has the key "X Foo"; expected names without blanks and separators'


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    """One load tells the schema's faults, secrets, missing variables and dangling names together."""
    text = (
        GOOD.replace('"Acme"', "7")
        + 'identity = "who"\nheaders = { A = { env = "A" }, Cookie = "c=1" }\nmarker = { re = "(" }\n'
    )
    keys = ["target.name", *(f"{QUOTE}{key}" for key in ("headers.A", "headers.Cookie", "identity", "marker.re"))]
    found = refused(tmp_path, text)
    assert [key for key in keys if sum(line.startswith(f"{key} ") for line in found) != 1] == []
    assert len(found) == len(keys)


@pytest.mark.parametrize("name", ["PAYMENT-RESPONSE", "x-payment-response", "Payment-Required"])
def test_a_field_of_the_protocol_is_no_marker(tmp_path: Path, name: str) -> None:
    """A receipt comes with a payment, whatever is served: it cannot show that content was."""
    (found,) = refused(tmp_path, GOOD + f'marker = {{ header = "{name}" }}\n')
    assert found.endswith("which says nothing of what is served; name a field of the paid answer itself")
    assert 'marker.header is "' in found


def test_a_log_of_nobody_is_no_witness(tmp_path: Path) -> None:
    """Lines are counted only in the log of a target that we start."""
    (found,) = refused(tmp_path, GOOD + 'witness = { log = "served" }\n')
    assert found.endswith("counts lines in the log of a target that we start, and there is no [target.start]; add one")


def test_a_witness_counts_in_one_way(tmp_path: Path) -> None:
    """Of two numbers nobody could say which is meant."""
    (found,) = refused(tmp_path, GOOD + 'witness = { path = "/stats", pointer = "/n", header = "X-N" }\n')
    assert found.endswith("counts in 2 ways (pointer, header); keep one")


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("", "is the schema of a body, and a GET has none; take it out"),
        ('method = "POST"\n', "is the schema of a JSON body, and the endpoint has no json; add one that fits it"),
    ],
)
def test_a_schema_of_no_body_is_refused(tmp_path: Path, asked: str, says: str) -> None:
    """Bodies are drawn for an endpoint that is asked with JSON, and for no other."""
    assert refused(tmp_path, f'{GOOD}{asked}body_schema = "body.json"\n') == [f"{QUOTE}body_schema {says}"]
