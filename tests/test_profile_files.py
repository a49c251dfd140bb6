"""Files that make no profile: not found, not readable, not TOML, extending what they cannot."""

from pathlib import Path

import pytest
from refusals import GOOD, TERMS, refused

from conformance import profile
from conformance.profile import ProfileError


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("edition = \n", "line 1: this is not TOML: Invalid value"),
        ("a = 1\na = 2\n", "line 2: this is not TOML: Cannot overwrite a value"),
        ('a = "', "this is not TOML: Unterminated string"),
    ],
)
def test_what_is_not_toml_is_refused_with_its_line(tmp_path: Path, text: str, sentence: str) -> None:
    """A syntax error is one sentence with file and line, not a traceback."""
    (found,) = refused(tmp_path, text)
    assert found.endswith(sentence)


def test_a_profile_that_is_not_there_is_refused_with_the_nearest_names(tmp_path: Path) -> None:
    """The sentence says where was looked and what lies there; files of known failures are no profiles."""
    (tmp_path / "profiles").mkdir()
    for name in ("weather", "weather.known-failures"):
        (tmp_path / "profiles" / f"{name}.toml").write_text(GOOD)
    with pytest.raises(ProfileError) as caught:
        profile.load("wether", cwd=tmp_path, environ={})
    found = str(caught.value)
    assert found.startswith(
        f"wether: there is no profile of this name; looked for {tmp_path}/profiles/wether.toml and "
    )
    assert found.endswith("; did you mean weather?")


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    """A missing file, a directory and bytes that are not UTF-8 are each one sentence."""
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "latin.toml").write_bytes(b'name = "caf\xe9"\n')
    sentences = {}
    for name in ("gone.toml", "folder.toml", "latin.toml"):
        with pytest.raises(ProfileError) as caught:
            profile.load(name, cwd=tmp_path, environ={})
        sentences[name] = str(caught.value)
    assert sentences == {
        "gone.toml": f"gone.toml: there is no such file; looked for {tmp_path}/gone.toml",
        "folder.toml": "folder.toml: this is a directory; name the TOML file in it",
        "latin.toml": "latin.toml: byte 11 is not UTF-8; save the file as UTF-8",
    }


def test_a_base_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """The sentence names the file that says extends, and the one that was looked for."""
    (found,) = refused(tmp_path, 'extends = "acm.toml"\n')
    assert found == (
        f'extends is "acm.toml", and there is no file {tmp_path}/profiles/acm.toml; '
        "write the name of a shipped profile or a path; did you mean acme?"
    )


def test_bases_that_go_round_in_a_circle_are_refused(tmp_path: Path) -> None:
    """Two files that extend each other are told as the circle they are."""
    (tmp_path / "a.toml").write_text('extends = "b.toml"\n')
    (tmp_path / "b.toml").write_text('extends = "a.toml"\n')
    with pytest.raises(ProfileError) as caught:
        profile.load("a.toml", cwd=tmp_path, environ={})
    circle = "a.toml -> b.toml -> a.toml"
    says = f'b.toml: extends is "a.toml", which goes round in a circle: {circle}; take one extends away'
    assert str(caught.value) == says


def test_a_fault_of_a_base_is_told_with_the_name_of_the_base(tmp_path: Path) -> None:
    """The sentence names the file to be edited, not the one that was asked for."""
    (tmp_path / "base.toml").write_text(GOOD + TERMS + "5\n")
    (tmp_path / "top.toml").write_text('extends = "base.toml"\n[target]\ntimeout = "1"\n')
    with pytest.raises(ProfileError) as caught:
        profile.load("top.toml", cwd=tmp_path, environ={})
    assert [line.partition(": ")[0] for line in str(caught.value).splitlines()] == ["top.toml", "base.toml"]
