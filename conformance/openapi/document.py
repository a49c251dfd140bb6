"""Reading an OpenAPI document from strangers: as data, within bounds, or one sentence why not."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from conformance import documents
from conformance.profile import OpenApi, Profile, Unread

__all__ = ["EXTRA", "content", "from_json", "parsed", "to_json", "where"]

EXTRA = 'class "openapi" takes more than is installed here: pip install "pytest-402[openapi]"'
_PARTS = 500_000
"""Values in a document, counted where they are used: a few aliases of YAML may stand for millions."""
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_OPERATIONS = 2000


def where(profile: Profile, described: OpenApi) -> str:
    """The URL of a document that is served; empty for one in a file."""
    if not described.url or not described.url.startswith("/"):
        return described.url or ""
    return profile.target.base_url.rstrip("/") + described.url


def content(path: Path, most: int) -> bytes | Unread:
    """The bytes of the file at ``path``, ``most`` of them."""
    try:
        with path.open("rb") as file:
            found = file.read(most + 1)
    except OSError as error:
        return Unread(kind="missing", why=f"{path} cannot be read: {error.strerror}")
    if len(found) > most:
        return Unread(kind="beyond", why=f"{path.name} is larger than limits.max_body ({most} bytes)")
    return found


def parsed(text: bytes, name: str) -> dict[str, Any] | Unread:
    """The document called ``name`` as JSON, remote references put out of reach; or why it is none."""
    if find_spec("schemathesis") is None:
        return Unread(kind="missing", why=EXTRA)
    try:
        found = _json(text)
    except ValueError as error:
        told = " ".join(str(error).split())[:160]
        return Unread(kind="malformed", why=f"{name} is neither JSON nor YAML: {told}")
    except (_TooMuch, RecursionError):
        return Unread(
            kind="beyond", why=f"{name} has more than {_PARTS} values, or is nested too deeply to be read here"
        )
    if not isinstance(found, dict):
        return Unread(kind="malformed", why=f"{name} is no object")
    return _judged(found, name)


def _judged(found: dict[str, Any], name: str) -> dict[str, Any] | Unread:
    version = found.get("openapi")
    if version is None and "swagger" in found:
        why = f"{name} is Swagger {str(found['swagger'])[:20]}; what is read here is OpenAPI 3: convert it"
        return Unread(kind="beyond", why=why)
    if not isinstance(version, str) or not re.fullmatch(r"3\.[0-9]+(\.[0-9]+)?\S{0,20}", version):
        told = "no member openapi" if version is None else f"openapi {str(version)[:40]!r}"
        return Unread(kind="malformed", why=f"{name} has {told}; expected 3.0 or 3.1")
    paths = found.get("paths")
    if not isinstance(paths, dict) or not any(isinstance(item, dict) for item in paths.values()):
        # Paths may be empty, and since 3.1 a document of webhooks has none.
        legal = paths == {} or (paths is None and bool({"webhooks", "components"} & found.keys()))
        why = f"{name} has no paths: it describes nothing that could be asked"
        return Unread(kind="beyond" if legal else "malformed", why=why)
    many = sum(len(item.keys() & set(_METHODS)) for item in paths.values() if isinstance(item, dict))
    if many > _OPERATIONS:
        return Unread(kind="beyond", why=f"{name} describes {many} operations; {_OPERATIONS} are read at most")
    return found


class _TooMuch(Exception):
    pass


def _json(text: bytes) -> Any:
    """JSON, or YAML in the bounds of JSON; raises ValueError, RecursionError or _TooMuch."""
    try:
        found = documents.loads(text)
    except ValueError as error:
        if text.lstrip().startswith((b"{", b"[")):
            raise
        yaml = import_module("yaml")
        try:
            # Aliases make one value stand in many places: they are counted when it is written out.
            found = yaml.load(text, Loader=_loader(yaml))
        except (yaml.YAMLError, UnicodeDecodeError) as fault:
            raise ValueError(str(fault)) from error
    return _plain(found, iter(range(_PARTS)), 0)


def _loader(yaml: Any) -> Any:
    """A safe loader of the words of YAML 1.2: there "on" and "no" are texts."""

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        pass

    kept = {"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:bool"}
    Loader.yaml_implicit_resolvers = {
        first: [(tag, regexp) for tag, regexp in resolvers if tag not in kept]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
    )
    return Loader


def _plain(value: Any, left: Iterator[int], depth: int) -> Any:
    """``value`` as JSON has it; what YAML has beyond that becomes text."""
    if next(left, None) is None or depth > documents.DEEPEST:
        raise _TooMuch
    match value:
        case dict():
            return {str(key): _plain(member, left, depth + 1) for key, member in value.items()}
        case list() | tuple() | set():
            return [_plain(member, left, depth + 1) for member in value]
        case None | bool() | int() | str():
            return value
        case float():
            # Neither NaN nor Infinity is JSON.
            return value if value == value and abs(value) != float("inf") else str(value)  # noqa: PLR0124
        case date():
            return value.isoformat()
        case _:
            return str(value)


def to_json(profile: Profile) -> dict[str, Any]:
    """The document as the run read it, or why it was not; empty where none was to be read."""
    described = profile.openapi
    if described is None or (described.document is None and described.unread is None):
        return {}
    if described.unread:
        return {"unread": {"kind": described.unread.kind, "why": described.unread.why}}
    return {"document": described.document}


def from_json(profile: Profile, read: Mapping[str, Any]) -> Profile:
    """``profile`` with what ``to_json`` wrote."""
    if profile.openapi is None:
        return profile
    told, document = read.get("unread"), read.get("document")
    unread: Unread | None = None
    if isinstance(told, dict) and told.get("kind") in {"malformed", "beyond", "missing"}:
        unread = Unread(kind=told["kind"], why=str(told.get("why", "")))
    elif isinstance(document, dict):
        # A report may come from anybody.
        unread = judged if isinstance(judged := _judged(document, "the document"), Unread) else None
    held = document if isinstance(document, dict) and unread is None else None
    return replace(profile, openapi=replace(profile.openapi, document=held, unread=unread))
