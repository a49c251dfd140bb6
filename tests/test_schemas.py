"""Every schema is well formed, is found by its name, and asserts nothing in vain."""

import base64
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from keywords import idle, mutants

from conformance import _data, schema

DATA = Path(__file__).parent / "data"
NAMES = sorted(
    path.relative_to(_data.schemas()).as_posix().removesuffix(".schema.json")
    for path in _data.schemas().rglob("*.schema.json")
)

# The header values that the HTTP transports of both versions print, as they stand there.
HEADERS = json.loads((DATA / "schemas" / "headers.json").read_text("utf-8"))


def read(name: str) -> dict[str, Any]:
    """A fresh copy of the schema called ``name``, to take apart."""
    loaded: dict[str, Any] = json.loads((_data.schemas() / f"{name}.schema.json").read_text("utf-8"))
    return loaded


def documents(name: str, kind: str) -> list[tuple[str, Any]]:
    """The documents filed as ``kind`` (valid or invalid) for a schema, each with the name of its file."""
    folder = DATA / "schemas" / name.replace("/", ".") / kind
    files = sorted([*folder.glob("*.json"), *folder.glob("*.toml")])
    if (name, kind) == ("profile", "valid"):
        files += [path for path in [DATA / "profiles" / "full.toml"] if path.exists()]
    return [(path.name, document(path)) for path in files]


def document(path: Path) -> object:
    """A JSON or TOML file as the JSON value it stands for."""
    text = path.read_text("utf-8")
    if path.suffix == ".json":
        return json.loads(text)
    return tomllib.loads(text)


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_valid_under_its_metaschema(name: str) -> None:
    """Every file is JSON Schema 2020-12."""
    assert read(name)["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(read(name))


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_carries_the_name_of_its_file(name: str) -> None:
    """The $id is the URN by which other schemas refer to the file."""
    assert read(name)["$id"] == f"urn:pytest-402:{name}"


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_judges_its_documents_as_they_are_filed(name: str) -> None:
    """Each schema has at least one valid document, and says yes and no where a person did."""
    valid = documents(name, "valid")
    assert valid, f"schemas/{name}.schema.json has no document in tests/data/schemas/{name.replace('/', '.')}/valid/"
    wrong = {file: found for file, instance in valid if (found := schema.problems(instance, name))}
    accepted = [file for file, instance in documents(name, "invalid") if not schema.problems(instance, name)]
    assert (wrong, accepted) == ({}, [])


@pytest.mark.parametrize("name", NAMES)
def test_every_keyword_of_a_schema_matters(name: str) -> None:
    """No keyword can be removed without some document being judged otherwise."""
    valid, invalid = ([instance for _, instance in documents(name, kind)] for kind in ("valid", "invalid"))
    others = [read(other) for other in NAMES if other != name]
    assert idle(read(name), valid, invalid, others) == []


@pytest.mark.parametrize(("name", "value"), HEADERS, ids=[name for name, _ in HEADERS])
def test_the_headers_printed_in_the_specifications_are_valid(name: str, value: str) -> None:
    """What the HTTP transports show on the wire decodes, strictly, to a document that we accept."""
    assert schema.problems(json.loads(base64.b64decode(value, validate=True)), name) == ()


def test_numbers_that_are_strings_are_named_in_plain_words() -> None:
    """The reader of a finding is told what was expected, not which keyword failed."""
    offer = dict(documents("x402/v2/payment-requirements", "valid"))["spec-5.1.1.json"]
    (problem,) = schema.problems({**offer, "amount": 10000}, "x402/v2/payment-requirements")
    assert (problem.at, problem.expected, problem.received) == (
        ("amount",),
        "a string of atomic units",
        "10000 (a number)",
    )


@pytest.mark.parametrize(
    ("part", "pointer"),
    [
        ({"properties": {"n": {"minimum": 1, "exclusiveMinimum": 0}}}, "/properties/n/exclusiveMinimum"),
        ({"anyOf": [{"required": ["n"]}, {"required": ["n", "s"]}]}, "/anyOf/1/required/s"),
        ({"if": {"required": ["n"]}, "then": {"type": "object"}}, "/then/type"),
        ({"dependentSchemas": {"never": {"minProperties": 0}}}, "/dependentSchemas"),
        ({"properties": {"s": {"patern": "^x$"}}}, "/properties/s/patern"),
    ],
    ids=["limit", "branch", "then", "dependent", "misspelled"],
)
def test_a_keyword_that_says_nothing_is_found(part: dict[str, Any], pointer: str) -> None:
    """The proof that keywords matter fails for keywords that do not."""
    whole = {"type": "object", "required": ["n"], **part}
    before = json.dumps(whole)
    assert pointer in idle(whole, [{"n": 1, "s": "x"}, {"n": 2}])
    assert json.dumps(whole) == before


def test_a_keyword_counts_even_where_only_logic_sees_it() -> None:
    """Keywords inside anyOf, not and if are tried by removing them, and found to matter."""
    whole = {
        "anyOf": [{"type": "integer", "minimum": 3}, {"type": "array", "uniqueItems": True, "maxItems": 2}],
        "not": {"const": 4},
        "if": {"minimum": 10},
        "then": {"multipleOf": 5},
    }
    assert idle(whole, [3, 10, [1, 2]], [11]) == []


def test_a_mutant_differs_from_its_document_in_one_place() -> None:
    """Mutation leaves the document itself alone and names the member that it takes away."""
    original = {"a": [1], "b": {"c": "x"}}
    found = list(mutants(original, {}))
    assert original == {"a": [1], "b": {"c": "x"}}
    assert {removed for _, removed in found} == {None, "a", "b", "c"}
    assert ({"a": [1], "b": {}}, "c") in found
