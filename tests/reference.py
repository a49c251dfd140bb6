"""``docs/profile.md`` and ``docs/catalogue.md``, made from the schema of profiles and from the catalogue.

``python tests/reference.py`` writes them; a test says that what lies there is what is made.
"""

import dataclasses
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from conformance import catalogue, schema
from conformance.catalogue import Requirement
from conformance.profile import model
from conformance.profile.structure import _preset
from conformance.profile.words import Convention

__all__ = ["ROOT", "anchor", "pages"]

ROOT = Path(__file__).resolve().parent.parent
PROFILES = ROOT / "tests" / "data" / "profiles"
_MADE = "<!-- Made by `python tests/reference.py`; what is written here by hand is lost. -->\n\n"

_TABLES = {
    "target": model.Target,
    "target.start": model.Start,
    "identity.NAME": model.Identity,
    "answer": model.Answer,
    "endpoint": model.Endpoint,
    "facilitator": model.Facilitator,
    "budget": model.Budget,
    "observe.NAME": model.Observe,
    "flow": model.Flow,
    "limits": model.Limits,
    "certificate": model.Certificate,
}
"""The tables whose keys have defaults, and where these stand."""

_SHAPES = {
    "variable": ("target.base_url",),
    "selector": ("answer.facts.NAME",),
    "marker": ("endpoint.marker",),
    "variation": ("endpoint.failing", "endpoint.slow"),
    "steps": ("flow.steps", "flow.undo"),
}
"""Where the examples of a shape stand."""

_WIDE = 80

_MEANS = {
    "browser": "a browser (`[browser]`)",
    "plain": "",
    "forge": '`target.environment = "test"`',
    "pay": "`[facilitator]`, or your own with a `[[budget]]`",
    "facilitator": '`[facilitator]` with `mode = "scripted"`',
    "failing": "`endpoint.failing`",
    "slow": "`endpoint.slow`",
    "witness": "`endpoint.witness`",
    "observe": "`[observe.NAME]`",
    "restart": "`target.start.restart = true` and `{facilitator}` in `target.start`",
    "paid-identity": "`endpoint.paid_identity`",
    "another-caller": "an `[identity.NAME]` of a second account",
    "terms": "`[[endpoint.terms]]`",
    "marker": "`endpoint.marker`",
}
"""What of a profile gives each means that a requirement needs."""


def pages() -> dict[Path, str]:
    """Each page that is made, by where it lies."""
    return {ROOT / "docs" / "profile.md": _profile(), ROOT / "docs" / "catalogue.md": _catalogue()}


# The profile.


def _profile() -> str:
    """Every key of a profile, table by table, in the order of the schema."""
    whole = schema.named("profile")
    examples = [tomllib.loads((PROFILES / f"{name}.toml").read_text("utf-8")) for name in ("full", "common")]
    shared = [name for name in whole["$defs"] if _is_shared(name)]
    head = (
        f"{_MADE}# Every key of a profile\n\n{whole['title']}. It is TOML: `profiles/NAME.toml` in the folder of the run, "
        "or any path that ends in `.toml`. [The README](../README.md) tells what it is for, "
        "[ci.md](ci.md) shows one at work.\n\nA key that is not required may be left out, and has its default then, if it "
        "has one. What is missing, misspelt or of another kind is refused before anything is asked.\n"
    )
    parts = [_table(name, one, "", examples) for name, one in [("", whole), *_below("", whole)]]
    parts.append("\n# Shapes that several keys have\n")
    parts += [_table(name, whole["$defs"][name], name, examples) for name in shared]
    parts.append(_conventions())
    parts.append(
        "\n## Facts\n\nWhat `[answer.facts]`, `[answer.units]` and `[answer.waive]` may name: "
        f"{', '.join(f'`{fact}`' for fact in whole['$defs']['fact']['enum'])}.\n"
    )
    return "".join([head, *parts])


def _conventions() -> str:
    """What each convention of idempotency keys says, key by key."""
    presets = {str(name): _preset(name) for name in Convention}
    keys = [key for key in schema.named("profile")["$defs"]["idempotency"]["properties"] if key != "convention"]
    rows = (
        f"| `{key}` | {' | '.join(f'`{_toml(own[key])}`' if own.get(key) not in (None, []) else '' for own in presets.values())} |\n"
        for key in keys
    )
    head = f"| key | {' | '.join(f'`{name}`' for name in presets)} |\n|{' --- |' * (1 + len(presets))}\n"
    return f"\n## Conventions\n\nWhat `idempotency.convention` fills in.\n\n{head}{''.join(rows)}"


def _below(place: str, one: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every table below the table ``one`` at ``place``, with its place, those of shared shapes left out."""
    for key, value in _shape(one)["properties"].items():
        for at, inner in _entries(f"{place}.{key}".lstrip("."), value):
            if not _names(inner) and "properties" in _shape(inner):
                yield at, inner | {"title": value["title"], "several": _whole(value).get("type") == "array"}
                yield from _below(at, inner)


def _entries(at: str, value: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    found = _whole(value)
    if _names(value):
        return
    if found.get("type") == "array":
        yield at, found["items"]
    elif isinstance(named := found.get("additionalProperties"), dict):
        yield f"{at}.NAME", named
    else:
        yield at, found


def _names(value: Mapping[str, Any]) -> str:
    """The shape that this key shares with others; empty where it has one of its own."""
    name = value.get("$ref", "").removeprefix("#/$defs/")
    return name if name and _is_shared(name) else ""


def _is_shared(name: str) -> bool:
    text = json.dumps(schema.named("profile"))
    one = schema.named("profile")["$defs"][name]
    return "title" in one and text.count(f'"#/$defs/{name}"') > 1


def _whole(value: Mapping[str, Any]) -> dict[str, Any]:
    """``value`` with what it refers to; its own words come first."""
    if "$ref" not in value:
        return dict(value)
    name = value["$ref"].removeprefix("#/$defs/")
    return _whole(schema.named("profile")["$defs"][name]) | {k: v for k, v in value.items() if k != "$ref"}


def _shape(value: Mapping[str, Any]) -> dict[str, Any]:
    """The table that ``value`` may be, with its keys; empty where it is none, or one of a shared shape."""
    found = dict(value) if "properties" in value else _whole(value)
    if "properties" in found:
        return found
    if found.get("type") == "array":
        return _shape(found["items"])
    return next((branch for branch in found.get("anyOf", ()) if "properties" in branch), {})


def _table(place: str, one: Mapping[str, Any], shape: str, examples: list[dict[str, Any]]) -> str:
    found = _shape(one)
    several = one.get("several") or one.get("type") == "array"
    heading = f"[[{place}]]" if several else f"[{place}]"
    title = "" if not place else f"\n## `{place if shape else heading}`\n\n{_cell(one['title'])}.\n"
    title += f"\n{found['$comment']}\n" if "$comment" in found else ""
    places = _SHAPES.get(shape, (place,))
    rows = [_row(places, key, value, found, examples) for key, value in found["properties"].items()]
    return "\n".join(
        [title, "| key | what it is | expected | default | example |", "| --- | --- | --- | --- | --- |", *rows, ""]
    )


def _row(
    places: tuple[str, ...],
    key: str,
    value: Mapping[str, Any],
    table: Mapping[str, Any],
    examples: list[dict[str, Any]],
) -> str:
    found = _whole(value)
    expected = found.get("description", "a value")
    words = found.get("items", {}).get("enum", ())
    expected += f": {', '.join(words)}" if words and all(isinstance(word, str) for word in words) else ""
    inner = found.get("items") or found.get("additionalProperties") or {}
    if name := _names(value) or _names(inner):
        expected += f" ([{name}](#{name}))"
    default = "required" if key in table.get("required", ()) else _default(places[0], key)
    ways = [[*filter(None, place.split(".")), key] for place in places]
    shown = next((one for document in examples for at in ways if (one := _found(document, at)) is not None), None)
    inline = "" if shown is None or len(_toml(shown)) > _WIDE else f"`{_toml(shown)}`".replace("|", "\\|")
    return f"| `{key}` | {_cell(value['title'])} | {_cell(expected)} | {default} | {inline} |"


def _default(place: str, key: str) -> str:
    if place == "idempotency":
        return "[of the convention](#conventions)"
    kind = _TABLES.get(place)
    field = next((field for field in dataclasses.fields(kind) if field.name == key), None) if kind else None
    value = field.default if field else None
    if value in (None, "", ()) or value is dataclasses.MISSING:
        return ""
    return f"`{_toml(list(value) if isinstance(value, tuple) else value)}`"


def _found(document: Any, at: list[str]) -> Any:
    """The first value at ``at``, any entry of a list and any name being taken for NAME; None where there is none."""
    if not at:
        return document
    if isinstance(document, list):
        return next((value for entry in document if (value := _found(entry, at)) is not None), None)
    if not isinstance(document, dict):
        return None
    if at[0] == "NAME":
        return _found(list(document.values()), at[1:])
    return _found(document.get(at[0]), at[1:])


def _toml(value: Any) -> str:
    """A value as TOML has it on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:g}"
        case int():
            return str(value)
        case str():
            return json.dumps(str(value), ensure_ascii=False)
        case list():
            return f"[{', '.join(map(_toml, value))}]"
        case _:
            pairs = (f"{key} = {_toml(one)}" for key, one in value.items())
            return f"{{ {', '.join(pairs)} }}" if value else "{}"


# The catalogue.


def _catalogue() -> str:
    """Every requirement, by class, and what is left out with its reason."""
    (edition,) = catalogue.editions().values()
    known = catalogue.load().requirements
    judged = {cls: [known[id] for id in ids] for cls, ids in edition.classes.items()}
    excluded = [requirement for requirement in known.values() if requirement.excluded]
    levels = Counter(requirement.level for own in judged.values() for requirement in own)
    counts = ", ".join(f"{levels[level]} {level}" for level in catalogue.Level)
    floors = ", ".join(f"`{name}` {least}" for name, least in edition.floors.items())
    index = "".join(f"| [`{cls}`](#{anchor(cls)}) | {len(own) or 'no checks yet'} |\n" for cls, own in judged.items())
    head = (
        f"{_MADE}# What is judged\n\n{sum(levels.values())} requirements of edition {edition.name}: {counts}. How strongly "
        "a thing is demanded is said by the level of its source: a MUST that does not hold is a violation, a SHOULD is "
        "unmet. A leak, a wrong charge or a second effect that is seen is always a violation.\n\n"
        f"A run is complete with at least {floors} (`[limits]`; the defaults are no less).\n\n"
        f"| class | requirements |\n| --- | --- |\n{index}| [left out](#left-out) | {len(excluded)} |\n"
    )
    parts = [head]
    for cls, own in judged.items():
        parts += [f"\n## {cls}\n", *map(_requirement, own)] if own else [f"\n## {cls}\n\nNo checks yet.\n"]
    rows = (f"| `{r.id}` | {_cell(r.statement)} | {_cell(r.excluded)} |\n" for r in excluded)
    columns = "| requirement | what it would say | why it is not judged |\n| --- | --- | --- |\n"
    return "".join([*parts, f"\n## Left out\n\n{columns}", *rows])


def _requirement(requirement: Requirement) -> str:
    lines = [f"\n### {requirement.id}\n", f"**{requirement.level}** {_cell(requirement.statement)}\n"]
    for source in requirement.sources:
        told = f"[{source.title}]({source.url})" if source.url else source.title
        told += f", {source.section}" if source.section else ""
        lines.append(f"- Source: {told}" + (f": \u201c{_cell(source.quote)}\u201d" if source.quote else ""))
    needs = "; ".join(filter(None, (_MEANS[need] for need in sorted(requirement.needs))))
    lines += [f"- Needs: {needs}"] if needs else []
    lines += [f"- Allowed: {_cell('; '.join(requirement.allowed))}"] if requirement.allowed else []
    lines += ["- Asked once for the target"] if requirement.scope == "target" else []
    lines += [] if requirement.waivable else ["- No known failure excuses it"]
    return "\n".join(lines) + "\n"


def anchor(heading: str) -> str:
    """What a heading is called in a link, as GitHub makes it."""
    return re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-")


def _cell(text: str) -> str:
    """A sentence that ends no cell of a table and begins no tag."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


if __name__ == "__main__":
    for path, text in pages().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
