"""JSON from a stranger is read strictly, and cannot hurt whoever reads it."""

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.documents import DEEPEST, duplicate_keys, loads

unhurried = settings(deadline=None)  # a busy machine is no reason to fail
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@unhurried
@given(documents)
def test_a_document_is_what_it_says(document) -> None:
    """As text and as UTF-8, with a byte order mark and without."""
    text = json.dumps(document)
    assert loads(text) == document
    assert loads(text.encode()) == document
    assert loads(b"\xef\xbb\xbf" + text.encode()) == document


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "{",
            "{} {}",
            "{'a': 1}",
            '{"a": 1,}',
            "01",
            '"\t"',
            "// a\n1",
            "NaN",
            "[Infinity]",
            '{"a": -Infinity}',
        ),
        *(b"\xff", b'"\xed\xa0\x80"', '{"a": "b"}'.encode("utf-16"), '{"a": "b"}'.encode("utf-16-le")),
    ],
)
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    """What Python reads beyond RFC 8259 too: NaN, Infinity, and bytes that are not UTF-8."""
    with pytest.raises(ValueError):
        loads(text)
    with pytest.raises(ValueError):
        duplicate_keys(text)


@pytest.mark.parametrize("pair", [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")], ids=["arrays", "objects", "both"])
def test_depth_is_bounded(pair: tuple[str, str]) -> None:
    """As many levels as the bound are read, one more is refused."""
    opens, closes = pair
    levels = opens.count("[") + opens.count("{")
    deepest = opens * (DEEPEST // levels) + "1" + closes * (DEEPEST // levels)
    assert loads(deepest)
    with pytest.raises(ValueError, match="500 levels"):
        loads(f"[{deepest}]")
    with pytest.raises(ValueError, match="500 levels"):
        duplicate_keys(f"[{deepest}]")


@pytest.mark.parametrize(
    "text", ['["' + "[" * 9000 + '"]', '["\\"' + "[" * 9000 + '\\\\", "{"]', "[" + "[]," * 9000 + "{}]"]
)
def test_what_is_long_is_not_deep(text: str) -> None:
    """Brackets inside strings, and brackets side by side."""
    assert loads(text) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{}", ()),
        ("[1, 1]", ()),
        ('[{"a": 1}, {"a": 2}]', ()),
        ('{"a": {"a": 1}}', ()),
        ('{"a": 1, "b": 2, "a": 3}', ("a",)),
        ('{"c": [{"payTo": 1, "payTo": 1, "payTo": 2}], "b": 1, "\\u0062": 2}', ("b", "payTo")),
    ],
)
def test_names_that_stand_twice_are_told(text: str, names: tuple[str, ...]) -> None:
    """In one object, at any level, and however they are spelled; the same name in two objects is no duplicate."""
    assert duplicate_keys(text) == names
    assert duplicate_keys(text.encode()) == names


def test_a_raised_recursion_limit_kills_nobody() -> None:
    """How deep a text is, is known before it is read: no stack overflows, whatever a library has done to the limit."""
    program = """
import sys
sys.setrecursionlimit(100_000)
from conformance.exchange import Response
for text in (b"[" * 1_000_000, b'{"a":' * 500_000, b'[{"":' * 300_000 + b"1" + b"}]" * 300_000):
    assert Response(status=402, body=text).json_or_none() is None
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_signing_leaves_the_recursion_limit_alone() -> None:
    """The limit is the process's, and a library that we bring in must not raise it for everybody."""
    program = """
import sys
before = sys.getrecursionlimit()
from conformance.protocols.x402 import signing
assert signing and sys.getrecursionlimit() == before, sys.getrecursionlimit()
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
