"""Known failures: what they cover, when they end, and how their file is read."""

import datetime
from pathlib import Path

import pytest
from sessions import profile as small

from conformance import catalogue, known, profile
from conformance.known import KnownFailure, KnownFailures

TODAY = datetime.date(2026, 11, 20)
DAY = datetime.timedelta(1)


def entry(id: str = "http.date", endpoint: str = "", expires: datetime.date = TODAY) -> KnownFailure:
    return KnownFailure(id=id, endpoint=endpoint, reason="we know", link="", expires=expires)


def loaded(folder: Path, text: str | None) -> KnownFailures:
    """The known failures in ``text`` beside a profile of one endpoint, ``weather``."""
    (folder / "small.toml").write_text(small("http://127.0.0.1:9"), "utf-8")
    if text is not None:
        (folder / "small.known-failures.toml").write_text(text, "utf-8")
    return known.load(profile.load(str(folder / "small.toml"), cwd=folder, environ={}), today=TODAY)


def test_an_entry_covers_its_row_and_no_other() -> None:
    """With an endpoint it covers that row; without one, the requirement wherever it fails; a prefix covers nothing."""
    assert entry(endpoint="weather").covers("http.date", "weather")
    assert not entry(endpoint="weather").covers("http.date", "forecast")
    assert entry().covers("http.date", "forecast")
    assert not entry().covers("http.dates", "weather")
    assert not entry(id="http").covers("http.date", "weather")


def test_an_entry_lives_through_its_last_day() -> None:
    """The date is the last day on which it counts."""
    failures = KnownFailures(path=Path("x"), entries=(entry(),))
    assert failures.live(TODAY) == failures.entries
    assert failures.live(TODAY + DAY) == ()


def test_an_expired_entry_is_stale_although_it_still_fails() -> None:
    """The sentence names the file, the entry and the date."""
    failures = KnownFailures(path=Path("x.toml"), entries=(entry(endpoint="weather"),))
    (told,) = failures.stale([("http.date", "weather")], TODAY + DAY)
    assert told == 'x.toml: http.date at "weather" expired on 2026-11-20: mend it or give it a new date'


def test_an_entry_that_matches_nothing_is_stale() -> None:
    """Also when the requirement fails at another endpoint."""
    failures = KnownFailures(path=Path("x.toml"), entries=(entry(endpoint="weather"), entry()))
    (told,) = failures.stale([("http.date", "forecast")], TODAY)
    assert told == 'x.toml: http.date at "weather" did not fail in this run: remove the entry if it is mended'
    assert failures.stale([("http.date", "weather")], TODAY) == []


def test_no_file_means_none(tmp_path: Path) -> None:
    """The path says where one would be."""
    failures = loaded(tmp_path, None)
    assert (failures.path, failures.entries) == (tmp_path / "small.known-failures.toml", ())


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    """Dates may be TOML dates or texts; endpoint and link may be left out."""
    failures = loaded(
        tmp_path,
        '[[failure]]\nid = "http.date"\nendpoint = "weather"\nreason = "a"\nlink = "https://example.com/1"\n'
        'expires = 2026-11-20\n[[failure]]\nid = "http.date"\nreason = "b"\nexpires = "2026-11-21"\n',
    )
    assert failures.entries == (
        KnownFailure(id="http.date", endpoint="weather", reason="a", link="https://example.com/1", expires=TODAY),
        KnownFailure(id="http.date", endpoint="", reason="b", link="", expires=TODAY + DAY),
    )


@pytest.mark.parametrize("expires", ['"2026-02-30"', '"2026-13-01"', '"20261120"', "2026", '""', "2026-11-20T10:00:00"])
def test_a_date_that_is_none_is_refused(tmp_path: Path, expires: str) -> None:
    """One sentence with the file and what was found."""
    with pytest.raises(profile.ProfileError) as caught:
        loaded(tmp_path, f'[[failure]]\nid = "http.date"\nreason = "a"\nexpires = {expires}\n')
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{tmp_path / 'small.known-failures.toml'}: ")
    assert expires.strip('"') in line


@pytest.mark.parametrize("text", ["", "failure = []\n", 'failure = "none"\n'])
def test_a_file_without_entries_is_harmless_or_refused(tmp_path: Path, text: str) -> None:
    """An empty list is none; anything else is no list and is refused."""
    if text == "failure = []\n":
        assert loaded(tmp_path, text).entries == ()
    else:
        with pytest.raises(profile.ProfileError, match="failure"):
            loaded(tmp_path, text)


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    """Bytes that are not UTF-8, and a folder in place of a file."""
    (tmp_path / "small.known-failures.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(profile.ProfileError, match="cannot be read as TOML"):
        loaded(tmp_path, None)
    (tmp_path / "small.known-failures.toml").unlink()
    (tmp_path / "small.known-failures.toml").mkdir()
    with pytest.raises(profile.ProfileError, match="cannot be read"):
        loaded(tmp_path, None)


@pytest.mark.parametrize(("days", "accepted"), [(366, True), (367, False), (3_000_000, False)])
def test_an_entry_ends_within_a_year(tmp_path: Path, days: int, accepted: bool) -> None:
    """An end that nobody will live to see is none: 366 days from today is the latest."""
    expires = TODAY + days * DAY if days < 1_000_000 else datetime.date.max
    text = f'[[failure]]\nid = "http.date"\nreason = "a"\nexpires = {expires}\n'
    if accepted:
        assert loaded(tmp_path, text).entries[0].expires == expires
    else:
        with pytest.raises(profile.ProfileError) as caught:
            loaded(tmp_path, text)
        (line,) = str(caught.value).splitlines()
        assert line.startswith(f"{tmp_path / 'small.known-failures.toml'}: http.date expires on {expires}")
        assert line.endswith("366 days ahead, 2027-11-21, is the latest")


@pytest.mark.parametrize("id", [r.id for r in catalogue.load().judged() if not r.waivable])
def test_a_leak_cannot_be_known(tmp_path: Path, id: str) -> None:
    """Who gives away paid content or a secret is not excused by saying so."""
    with pytest.raises(profile.ProfileError) as caught:
        loaded(tmp_path, f'[[failure]]\nid = "{id}"\nreason = "a"\nexpires = {TODAY}\n')
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{tmp_path / 'small.known-failures.toml'}: {id} cannot be a known failure")


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    """Two entries that name nothing are two sentences."""
    row = '[[failure]]\nid = "http.dat"\nreason = "a"\nexpires = 2026-11-20\nendpoint = "wether"\n'
    with pytest.raises(profile.ProfileError) as caught:
        loaded(tmp_path, row)
    assert 'no requirement is called "http.dat"; did you mean "http.date"?' in str(caught.value)
    assert 'no endpoint is called "wether"; did you mean "weather"?' in str(caught.value)
    assert len(str(caught.value).splitlines()) == 2
