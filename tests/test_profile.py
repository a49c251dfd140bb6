"""Loading profiles: what a good one becomes, how files and the environment make it up."""

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance import _data, profile, schema
from conformance.profile import (
    Amount,
    Endpoint,
    Identity,
    KeyPlace,
    Limits,
    Marker,
    MarkerKind,
    Origin,
    Profile,
    ProfileError,
    StoredErrors,
    Witness,
)

DATA = Path(__file__).parent / "data" / "profiles"
ENVIRON = {
    "FERRY_KEY": "ferry-key-0001",
    "FERRY_LICENCE": "licence-0002",
    "SKIPPER_AUTH": "Basic c2tpcHBlcjpoYXQ=",
    "FERRY_PAYER": "0x" + "17" * 32,
}
SMALLEST = """
edition = "2026.11"
[target]
name = "Weather"
base_url = "https://weather.example"
[[endpoint]]
name = "forecast"
path = "/forecast"
protocol = "x402"
"""


def full(**environ: str) -> Profile:
    """The profile that uses every key."""
    return profile.load(str(DATA / "full.toml"), cwd=DATA, environ=ENVIRON | environ)


def written(folder: Path, text: str, name: str = "acme") -> Path:
    """A profile called ``name`` in the profiles folder of ``folder``."""
    path = folder / "profiles" / f"{name}.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def loaded(folder: Path, **environ: str) -> Profile:
    """The profile ``acme`` of ``folder``."""
    return profile.load("acme", cwd=folder, environ=environ)


def test_ten_lines_are_a_whole_profile(tmp_path: Path) -> None:
    """The smallest profile loads, and everything else has its documented default."""
    written(tmp_path, SMALLEST)
    small = loaded(tmp_path)
    assert small.endpoints == (Endpoint(name="forecast", path="/forecast", protocol="x402"),)
    assert (small.name, small.path, small.shipped) == ("acme", (tmp_path / "profiles/acme.toml").resolve(), False)
    assert (small.endpoints[0].method, small.endpoints[0].versions, small.endpoints[0].head) == ("GET", (), "protected")
    assert (small.endpoints[0].flow, small.endpoints[0].entitlement) == ("auto", "once")
    assert small.limits == Limits(
        max_requests=2000, max_examples=25, rounds=5, volley=20, max_wait=60.0, max_body=5_000_000
    )
    assert (small.target.timeout, small.target.environment, small.facilitator.mode) == (10.0, "test", "scripted")
    assert (small.claims, small.origins, small.secrets) == (None, (), {})


def test_the_full_profile_loads() -> None:
    """A profile with every key becomes the values it says, in the types of the model."""
    ferry = full()
    timetable, log, boarding, lounge = ferry.endpoints
    assert timetable.terms[0].amount == Amount(minimum=700, maximum=900)
    assert (timetable.terms[1].amount, timetable.terms[1].pay_to) == (Amount(minimum=800, maximum=800), None)
    assert (timetable.entitlement, timetable.versions, timetable.head) == (90.0, (1, 2), "metadata")
    assert timetable.json == {"from": "Texel", "seats": [1, 2]}
    assert [endpoint.marker for endpoint in (timetable, log, boarding)] == [
        Marker(kind=MarkerKind.RE, value="dep[0-9]+"),
        Marker(kind=MarkerKind.HEADER, value="X-Log-Page"),
        Marker(kind=MarkerKind.TEXT, value="all aboard"),
    ]
    assert [endpoint.witness for endpoint in (timetable, log, boarding, lounge)] == [
        Witness(path="/counters?all=1", pointer="/sold"),
        None,
        Witness(path="/aboard", header="X-Aboard"),
        Witness(log="served a guest of the lounge"),
    ]
    assert ferry.budgets[0].max_total == 1234
    assert ferry.flows[0].steps[1].expect == ()
    assert ferry.flows[0].within == 2.5
    assert ferry.target.start is not None
    assert ferry.target.start.cwd == DATA / "app"
    assert ferry.payer.key == ENVIRON["FERRY_PAYER"]


def test_every_key_of_the_schema_is_used_by_the_full_profile() -> None:
    """No key can be added to the schema without one in full.toml or the base it extends."""
    whole = schema.named("profile")
    used = {
        place
        for name in ("full", "common")
        for place in keys(tomllib.loads((DATA / f"{name}.toml").read_text("utf-8")), whole, whole)
    }
    declared = {(id(table), key) for table in tables(whole) for key in table}
    names = {(id(table), key): key for table in tables(whole) for key in table}
    assert sorted(names[place] for place in declared - used) == []


def tables(node: object) -> Iterator[dict[str, Any]]:
    """Every ``properties`` table within a schema."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "properties" and isinstance(value, dict) and "type" in node:
                yield value
            yield from tables(value)
    elif isinstance(node, list):
        for value in node:
            yield from tables(value)


def keys(value: object, node: dict[str, Any], whole: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """The keys of a document, each with the identity of the ``properties`` table that allows it."""
    if "$ref" in node:
        yield from keys(value, whole["$defs"][node["$ref"].rpartition("/")[2]], whole)
    for branch in node.get("anyOf", ()):
        yield from keys(value, branch, whole)
    if isinstance(value, dict):
        table = node.get("properties", {})
        for key, member in value.items():
            if key in table:
                yield id(table), key
                yield from keys(member, table[key], whole)
            for other in (node.get("additionalProperties"), *node.get("patternProperties", {}).values()):
                if key not in table and isinstance(other, dict):
                    yield from keys(member, other, whole)
    elif isinstance(value, list) and "items" in node:
        for member in value:
            yield from keys(member, node["items"], whole)


def test_the_anonymous_identity_is_always_there() -> None:
    """Anonymous exists without being defined and sends nothing."""
    assert full().identities["anonymous"] == Identity(headers={})


def test_tables_merge_deep_and_named_entries_by_name() -> None:
    """A profile overrides single keys of its base, entry by entry, and keeps the rest."""
    ferry = full()
    assert (ferry.target.name, ferry.target.timeout) == ("Ferry tickets", 4.5)
    assert [endpoint.name for endpoint in ferry.endpoints] == ["timetable", "captain-log", "boarding", "lounge"]
    assert ferry.endpoints[0].path == "/timetable"
    assert ferry.endpoints[0].headers == {"Accept": "application/json", "X-Tier": "gold"}
    assert set(ferry.answers[0].facts) == {"balance", "unit", "code", "remedy", "reason", "required"}


def test_other_arrays_replace_those_of_the_base(tmp_path: Path) -> None:
    """Terms and budgets have no names, so the file on top says all of them."""
    terms = '[[endpoint.terms]]\nscheme = "exact"\nnetwork = "n"\nasset = "a"\namount = "{}"\n'
    written(tmp_path, SMALLEST + terms.format(1) + terms.format(2), "base")
    written(tmp_path, 'extends = "base.toml"\n[[endpoint]]\nname = "forecast"\n' + terms.format(3))
    assert [one.amount for one in loaded(tmp_path).endpoints[0].terms] == [Amount(minimum=3, maximum=3)]


def test_terms_may_leave_the_amount_open(tmp_path: Path) -> None:
    """A price that is told only to clients that are known cannot be stated, and nothing is put in its place."""
    terms = '[[endpoint.terms]]\nscheme = "batch-settlement"\nnetwork = "cloudflare:402"\nasset = "USD"\n'
    written(tmp_path, SMALLEST + terms)
    [one] = loaded(tmp_path).endpoints[0].terms
    assert (one.amount, one.pay_to) == (None, None)


def test_a_value_in_a_table_is_replaced_whole(tmp_path: Path) -> None:
    """Markers, selectors, conditions, key places and environment tables are values: two of them never mix."""
    base = SMALLEST + (
        'marker = { header = "X-Paid" }\nheaders = { X-A = { env = "A", default = "aaaa" } }\n'
        '[[answer]]\nname = "r"\nfamily = "credits"\nwhen = { text = "a" }\nfacts = { code = { first = ["/a"] } }\n'
        '[idempotency]\nconvention = "stripe"\nkey = { member = "/id" }\n'
    )
    written(tmp_path, base, "base")
    top = (
        'extends = "base.toml"\n[[endpoint]]\nname = "forecast"\n'
        'marker = { re = "sun" }\nheaders = { X-A = { env = "B", default = "bbbb" } }\n'
        '[[answer]]\nname = "r"\nwhen = { jmespath = "b" }\nfacts = { code = { const = "c" } }\n'
        '[idempotency]\nkey = { header = "X-Id" }\n'
    )
    written(tmp_path, top)
    acme = loaded(tmp_path, A="not to be used")
    assert acme.endpoints[0].marker == Marker(kind=MarkerKind.RE, value="sun")
    assert acme.endpoints[0].headers == {"X-A": "bbbb"}
    assert acme.answers[0].when is not None
    assert acme.answers[0].when.text is None
    assert acme.idempotency is not None
    assert acme.idempotency.key == KeyPlace(header="X-Id")


def test_choosing_another_kind_of_body_takes_the_one_of_the_base_away(tmp_path: Path) -> None:
    """A base with a form can be extended by a profile that sends JSON."""
    written(tmp_path, SMALLEST + 'method = "POST"\nform = { a = "1" }\n', "base")
    written(tmp_path, 'extends = "base.toml"\n[[endpoint]]\nname = "forecast"\njson = { a = 1 }\n')
    endpoint = loaded(tmp_path).endpoints[0]
    assert (endpoint.form, endpoint.json) == (None, {"a": 1})


def test_the_edition_of_a_base_is_enough(tmp_path: Path) -> None:
    """The merged document is what has to be complete, not each file."""
    written(tmp_path, SMALLEST, "base")
    written(tmp_path, 'extends = "base.toml"\n[target]\nname = "Mine"\n')
    acme = loaded(tmp_path)
    assert (acme.edition, acme.target.name, acme.target.base_url) == ("2026.11", "Mine", "https://weather.example")


def test_origins_tell_what_no_file_of_ones_own_says() -> None:
    """Values of the environment, defaults and bases are listed by key and source; values never are."""
    origins = full(FERRY_URL="https://live.ferry.example").origins
    assert Origin(key="target.base_url", source="environment FERRY_URL") in origins
    assert Origin(key="facilitator.listen", source="default of PAY_LISTEN") in origins
    base = f"base common.toml ({DATA / 'common.toml'})"
    assert Origin(key="target.timeout", source=base) in origins
    assert Origin(key='endpoint "captain-log": path', source=base) in origins
    assert not [origin for origin in origins if origin.key in {"target.name", "edition"}]
    assert not [origin for origin in origins if any(value in str(origin) for value in ENVIRON.values())]


def test_secrets_are_what_the_environment_gave_except_addresses() -> None:
    """Every value of the environment is a secret, but a base_url or the facilitator's address is none."""
    ferry = full(FERRY_URL="https://live.ferry.example", PAY_LISTEN="127.0.0.1:4999")
    assert ferry.secrets == ENVIRON
    assert (ferry.target.base_url, ferry.facilitator.listen) == ("https://live.ferry.example", "127.0.0.1:4999")


def test_neither_the_document_nor_the_repr_tells_a_secret() -> None:
    """The document names the variable in place of each secret, and printing a profile shows none."""
    ferry = full()
    text = json.dumps(ferry.document) + repr(ferry)
    assert not [value for value in ENVIRON.values() if value in text]
    assert ferry.document["target"]["headers"]["X-Api-Key"] == "<secret:FERRY_KEY>"
    assert ferry.target.headers["X-Api-Key"] == "ferry-key-0001"


def test_a_document_gives_the_profile_back() -> None:
    """A profile rebuilt from its document, as JSON, is the same but for secrets and origins."""
    placeholders = {name: f"<secret:{name}>" for name in ENVIRON}
    ferry = profile.load(str(DATA / "full.toml"), cwd=DATA, environ=placeholders)
    again = profile.from_document(json.loads(json.dumps(ferry.document)), path=ferry.path, name=ferry.name)
    assert again == replace(ferry, secrets={}, origins=())


def test_a_document_that_is_no_profile_is_refused() -> None:
    """Recorded evidence may hold anything; what does not fit is told as for a file."""
    with pytest.raises(ProfileError, match=re.escape("old.toml: edition is missing")):
        profile.from_document({"target": {}, "endpoint": []}, path=Path("old.toml"))


def test_paths_start_at_the_file_that_says_them(tmp_path: Path) -> None:
    """A base in another folder keeps meaning the files beside itself."""
    written(tmp_path, SMALLEST + '[openapi]\nfile = "api.json"\n', "base")
    (tmp_path / "other").mkdir()
    top = tmp_path / "other" / "top.toml"
    top.write_text(
        'extends = "../profiles/base.toml"\n'
        '[certificate]\nvendor = "A"\nproduct = "B"\nversion = "1"\nartefact = "b.whl"\n'
    )
    found = profile.load("other/top.toml", cwd=tmp_path, environ={})
    assert found.openapi is not None
    assert found.openapi.file is not None
    assert found.openapi.file.resolve() == (tmp_path / "profiles/api.json").resolve()
    assert found.certificate is not None
    assert found.certificate.artefact == top.resolve().parent / "b.whl"


def test_a_started_target_gets_its_real_address() -> None:
    """The copy with the real base_url has it in the document too, and the original keeps its placeholder."""
    ferry = full()
    live = ferry.at("http://127.0.0.1:50123/api")
    assert live.target.base_url == live.document["target"]["base_url"] == "http://127.0.0.1:50123/api"
    assert ferry.target.base_url == ferry.document["target"]["base_url"] == "http://localhost:{port}/api"


@pytest.mark.parametrize(
    ("convention", "expected"),
    [
        ("stripe", ("Idempotency-Key", False, (400,), (409,), (), "Idempotent-Replayed", "account", 86400)),
        ("ietf", ("Idempotency-Key", True, (422,), (409,), (), None, "account", None)),
        ("acp", ("Idempotency-Key", False, (422,), (409,), (400,), "Idempotent-Replayed", "path", 86400)),
        ("ucp", ("Idempotency-Key", False, (409,), (), (), None, "operation", 86400)),
    ],
)
def test_a_convention_fills_in_the_rest(tmp_path: Path, convention: str, expected: tuple[object, ...]) -> None:
    """Naming a convention is enough to say all of its rules."""
    written(tmp_path, SMALLEST + f'[idempotency]\nconvention = "{convention}"\n')
    rules = loaded(tmp_path).idempotency
    assert rules is not None
    assert expected == (
        rules.key.header,
        rules.quoted,
        rules.mismatch,
        rules.in_flight,
        rules.missing,
        rules.replay_header,
        rules.scope,
        rules.retention,
    )
    assert rules.errors is StoredErrors.STORED


def test_what_the_profile_says_goes_over_its_convention() -> None:
    """Each rule of a convention can be overridden."""
    rules = full().idempotency
    assert rules is not None
    assert (rules.mismatch, rules.missing, rules.errors) == ((409, 422), (428,), StoredErrors.NOT_STORED)


def test_an_empty_variable_counts_as_not_set() -> None:
    """CI systems set what they do not have to the empty string, and then the default is meant."""
    assert full(FERRY_URL="").target.base_url == "http://localhost:{port}/api"


def test_a_profile_of_ones_own_wins_over_one_that_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is looked up in ./profiles first, then among those that ship, which know that they do."""
    shipped = tmp_path / "package"
    shipped.mkdir()
    (shipped / "acme.toml").write_text(SMALLEST)
    monkeypatch.setattr(_data, "profiles", lambda: shipped)
    assert loaded(tmp_path).shipped
    written(tmp_path, 'extends = "acme"\n[target]\nname = "Mine"\n')
    mine = loaded(tmp_path)
    assert (mine.shipped, mine.target.name, mine.target.base_url) == (False, "Mine", "https://weather.example")
    assert Origin(key="target.base_url", source=f"base acme ({shipped / 'acme.toml'})") in mine.origins


@pytest.mark.parametrize(
    "value", ["tok_chargeDeclined", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C", "0x" + "ab" * 32]
)
def test_public_test_values_are_not_secrets(tmp_path: Path, value: str) -> None:
    """Test tokens, addresses and hashes may stand in a file."""
    written(tmp_path, SMALLEST + f'method = "POST"\nform = {{ source = "{value}" }}\n')
    assert loaded(tmp_path).endpoints[0].form == {"source": value}


def test_an_idempotency_key_is_not_a_credential(tmp_path: Path) -> None:
    """The header is public, though its name ends in -key."""
    written(tmp_path, SMALLEST + 'headers = { Idempotency-Key = "abc" }\n')
    assert loaded(tmp_path).endpoints[0].headers == {"Idempotency-Key": "abc"}


def test_prose_about_bearer_tokens_is_not_a_secret(tmp_path: Path) -> None:
    """A sentence and a challenge may use the word; only a credential is one."""
    rule = '[[answer]]\nname = "r"\nfamily = "credits"\nwaive = { docs_url = "needs a Bearer token first" }\n'
    written(tmp_path, SMALLEST + rule + 'when = { header = { WWW-Authenticate = "Bearer realm=\\"x\\"" } }\n')
    assert loaded(tmp_path).answers[0].waive == {"docs_url": "needs a Bearer token first"}
