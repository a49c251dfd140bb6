"""Which files a profile is made of: lookup by name, ``extends``, merging, and which file each value came from."""

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance import _data
from conformance.profile.fault import ProfileError
from conformance.profile.place import At, display
from conformance.profile.shape import kinds

__all__ = ["Base", "Source", "find", "put", "read"]

_NAMED = ("answer", "endpoint", "flow")
# Tables that are one value: merging two of them would give a third that nobody wrote.
_VALUES = {"json", "key-place", "marker", "selector", "variable", "when"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A file that a profile is made of; ``name`` is what the user or ``extends`` called it."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A merged document, and which file each of its tables and values came from."""

    document: dict[str, Any]
    files: Mapping[At, Base]
    top: Base

    def file(self, at: At) -> Base:
        """The file that holds the value at ``at``, or else the nearest table around it."""
        return next((self.files[at[:end]] for end in range(len(at), -1, -1) if at[:end] in self.files), self.top)


def find(name: str, cwd: Path) -> Path:
    """The file of the profile called ``name``; raises ProfileError with the nearest names."""
    if name.endswith(".toml"):
        return cwd / name
    places = (cwd / "profiles" / f"{name}.toml", _data.profiles() / f"{name}.toml")
    found = next((place for place in places if place.exists()), None)
    if found is None:
        looked = " and ".join(map(str, dict.fromkeys(places)))
        msg = f"{name}: there is no profile of this name; looked for {looked}{_hint(name, *(p.parent for p in places))}"
        raise ProfileError(msg)
    return found


def read(path: Path, name: str, cwd: Path) -> Source:
    """The document of ``path`` with all that it extends; raises ProfileError with one sentence."""
    return _read(Base(name=name, path=path), cwd, ())


def put(document: dict[str, Any], at: At, value: object) -> None:
    """Sets the value at a path that exists."""
    place: Any = document
    for part in at[:-1]:
        place = place[part]
    place[at[-1]] = value


def _read(this: Base, cwd: Path, seen: tuple[Path, ...]) -> Source:
    document = _parsed(this.path, cwd)
    if seen:
        # The words of a base are read from another folder, so its own relative paths are made absolute here.
        for at, kind, value in list(kinds(document)):
            if kind == "file" and isinstance(value, str):
                put(document, at, str(this.path.absolute().parent / value))
    extends = document.get("extends")
    files: dict[At, Base] = {(): this}
    if not isinstance(extends, str) or not extends:
        # None, or one that the schema will refuse.
        _mark(document, (), this, files)
        return Source(document=document, files=files, top=this)
    del document["extends"]
    chain = (*seen, this.path.resolve())
    base = _read(Base(name=extends, path=_base(extends, this.path, cwd, chain)), cwd, chain)
    values = {at for at, kind, value in kinds(document) if kind in _VALUES and isinstance(value, dict)}
    files = {**base.files, (): this}
    merged = _tables(base.document, document, _Merge(this=this, files=files, values=values), (), ())
    return Source(document=merged, files=files, top=this)


def _base(extends: str, path: Path, cwd: Path, chain: tuple[Path, ...]) -> Path:
    here = display(path, cwd)
    base = path.parent / extends if extends.endswith(".toml") else _data.profiles() / f"{extends}.toml"
    if not base.exists():
        hint = _hint(base.stem, base.parent)
        advice = "write the name of a shipped profile or a path"
        msg = f'{here}: extends is "{extends}", and there is no file {base}; {advice}{hint}'
        raise ProfileError(msg)
    if base.resolve() in chain:
        circle = " -> ".join(display(one, cwd) for one in (*chain, base.resolve()))
        msg = f'{here}: extends is "{extends}", which goes round in a circle: {circle}; take one extends away'
        raise ProfileError(msg)
    return base


def _parsed(path: Path, cwd: Path) -> dict[str, Any]:
    here = display(path, cwd)
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        msg = f"{here}: there is no such file; looked for {path.absolute()}{_hint(path.stem, path.parent)}"
    except IsADirectoryError:
        msg = f"{here}: this is a directory; name the TOML file in it"
    except OSError as error:
        msg = f"{here}: the file cannot be read ({error.strerror}); check its permissions"
    except UnicodeDecodeError as error:
        msg = f"{here}: byte {error.start} is not UTF-8; save the file as UTF-8"
    except tomllib.TOMLDecodeError as error:
        reason, line = _reason(str(error))
        msg = f"{here}: {line}: this is not TOML: {reason}"
    except RecursionError:
        msg = f"{here}: the tables are nested too deep; a profile needs no more than ten levels"
    raise ProfileError(msg)


def _reason(text: str) -> tuple[str, str]:
    place = re.search(r" \(at (?:(line [0-9]+), column [0-9]+|(end of document))\)", text)
    if place is None:
        return text, "somewhere"
    return text[: place.start()], place[1] or place[2]


def _hint(name: str, *folders: Path) -> str:
    stems = sorted({file.stem for folder in folders if folder.is_dir() for file in folder.glob("*.toml")})
    # "acme.known-failures.toml" lies beside a profile and is none.
    names = [stem for stem in stems if not stem.endswith(".known-failures")]
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}?" if near else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Merge:
    """What a merge carries along: the file on top, the map it writes, and the places that are one value."""

    this: Base
    files: dict[At, Base]
    values: set[At]


def _tables(base: dict[str, Any], over: dict[str, Any], how: _Merge, at: At, over_at: At) -> dict[str, Any]:
    given = over.keys()
    merged = {key: value for key, value in base.items() if not _ousted(key, set(given), at)}
    for key, value in over.items():
        here, over_here, below = (*at, key), (*over_at, key), merged.get(key)
        how.files[here] = how.this
        if isinstance(below, dict) and isinstance(value, dict) and over_here not in how.values:
            merged[key] = _tables(below, value, how, here, over_here)
        elif isinstance(below, list) and isinstance(value, list) and not at and key in _NAMED:
            merged[key] = _entries(below, value, how, key)
        else:
            merged[key] = value
            _mark(value, here, how.this, how.files)
    return merged


def _entries(base: list[Any], over: list[Any], how: _Merge, key: str) -> list[Any]:
    merged = list(base)
    # A name is taken once only, so that two entries of one name in one file stay two and are refused.
    free = {name: i for i, entry in enumerate(base) if (name := _name(entry)) is not None}
    for i, entry in enumerate(over):
        index = free.pop(_name(entry) or "", None)
        if index is None:
            merged.append(entry)
            _mark(entry, (key, len(merged) - 1), how.this, how.files)
        else:
            how.files[(key, index)] = how.this
            merged[index] = _tables(base[index], entry, how, (key, index), (key, i))
    return merged


def _name(entry: object) -> str | None:
    name = entry.get("name") if isinstance(entry, dict) else None
    return name if isinstance(name, str) else None


def _ousted(key: str, given: set[str], at: At) -> bool:
    """Whether a base's key gives way because the file on top chose the other one of a group."""
    # The path of an endpoint's table is ("endpoint", index); "openapi" is a table of the top.
    bodies, places = {"json", "form", "body"}, {"file", "url"}
    group = bodies if at[:1] == ("endpoint",) and not at[2:] else places if at == ("openapi",) else set()
    return key in group and bool(given & (group - {key}))


def _mark(value: object, at: At, this: Base, files: dict[At, Base]) -> None:
    files[at] = this
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for part, member in members:
        _mark(member, (*at, part), this, files)
