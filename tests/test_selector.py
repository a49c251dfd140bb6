"""Selectors: what a profile may write, and where a JSON Pointer with wildcards leads."""

import re

import pytest

from conformance.selector import (
    Const,
    Css,
    First,
    Header,
    JmesPath,
    Link,
    Map,
    Pointer,
    Prose,
    Selector,
    Text,
    parse,
    resolve_pointer,
)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("", Pointer(pointer="")),
        ("/a~1b/0", Pointer(pointer="/a~1b/0")),
        ("jmespath: a[?b=='c'] | [0]", JmesPath(expression="a[?b=='c'] | [0]")),
        ("header:X-Reason", Header(name="X-Reason")),
        ("header: X-Reason", Header(name="X-Reason")),
        ("link:payment", Link(rel="payment")),
        ("css: a.buy:hover", Css(selector="a.buy:hover")),
        ("text: need [0-9]+", Text(pattern=re.compile("need [0-9]+"))),
        ({"first": ["/a", {"const": 1}]}, First(selectors=(Pointer(pointer="/a"), Const(value=1)))),
        ({"map": "/a", "to": {"b": "c"}}, Map(selector=Pointer(pointer="/a"), to={"b": "c"}, default=None)),
        ({"map": "/a", "to": {}, "else": False}, Map(selector=Pointer(pointer="/a"), to={}, default=False)),
        (
            {"prose": "header: X", "re": "(?P<x>.)"},
            Prose(selector=Header(name="X"), pattern=re.compile("(?P<x>.)")),
        ),
        ({"const": "decline"}, Const(value="decline")),
    ],
)
def test_each_form_of_a_selector_is_read(written: object, meant: Selector) -> None:
    """Every form that a profile may write becomes its own kind of selector."""
    assert parse(written) == meant


@pytest.mark.parametrize(
    "written",
    [
        *("a", "/~", "/a~2", "header:", "css:  ", "Header: x", "jmespath: a[", "text: (", 5, None, [], {}),
        *({"first": []}, {"first": "/a"}, {"first": [5]}, {"map": "/a", "to": []}, {"map": "/a", "to": {"b": []}}),
        *(
            {"prose": "/a", "re": 5},
            {"prose": "/a", "re": "x"},
            {"prose": "/a"},
            {"const": []},
            {"const": 1, "else": 2},
        ),
        *({"const": 1, "first": ["/a"]}, {"fist": ["/a"]}),
    ],
)
def test_anything_else_is_refused_in_one_sentence(written: object) -> None:
    """What is no selector raises ValueError with a text of one line."""
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z"):
        parse(written)


@pytest.mark.parametrize(
    ("pointer", "found"),
    [
        ("", [("", {"a": [{"b": 1}, {"b": 2}, {}], "c/d": {"~": 3}, "": 4})]),
        ("/a/1/b", [("/a/1/b", 2)]),
        ("/a/*/b", [("/a/0/b", 1), ("/a/1/b", 2)]),
        ("/c~1d/~0", [("/c~1d/~0", 3)]),
        ("/*/~0", [("/c~1d/~0", 3)]),
        ("/", [("/", 4)]),
        *(
            (pointer, [])
            for pointer in ("/x", "/a/3", "/a/01", "/a/-", "/a/-1", "/a/b", "/c~1d/~0/x", "/a/" + "9" * 5000)
        ),
    ],
)
def test_a_pointer_leads_to_each_place_that_it_means(pointer: str, found: list[tuple[str, object]]) -> None:
    """A wildcard stands for every member, places come back as exact pointers, and nothing there is an empty list."""
    assert resolve_pointer({"a": [{"b": 1}, {"b": 2}, {}], "c/d": {"~": 3}, "": 4}, pointer) == found


def test_a_pointer_without_its_first_slash_is_refused() -> None:
    """RFC 6901, section 3: a pointer is empty or starts with a slash."""
    with pytest.raises(ValueError, match='it starts with "/"'):
        resolve_pointer({}, "a")
