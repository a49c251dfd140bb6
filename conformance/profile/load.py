"""From a name to a Profile: find, merge, fill in from the environment, check, structure; or one sentence per fault."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from conformance.catalogue import editions
from conformance.profile.environment import literal_secrets, resolved, scrubbed
from conformance.profile.fault import Fault, ProfileError
from conformance.profile.meaning import broken, contradictions, unshowable
from conformance.profile.model import Profile
from conformance.profile.place import At, Origin, display, keyed
from conformance.profile.refusal import misfits, misspelt_money
from conformance.profile.source import Source, find, read
from conformance.profile.structure import structured

__all__ = ["from_document", "load", "load_rules", "of_rules"]


def load(name: str, *, cwd: Path, environ: Mapping[str, str]) -> Profile:
    """The profile called ``name``: a path that ends in .toml, a file in ``cwd/profiles``, or one that ships.

    Raises ProfileError with one sentence per line, each with file, key, what was found and what to do.
    """
    cwd = cwd.resolve()
    path = find(name, cwd)
    source = read(path, name, cwd)
    environment = resolved(source.document, environ)
    faults = [*literal_secrets(source.document), *environment.faults]
    faults += _wrong(source.document, environment.document)
    if not faults:
        # What came from the environment has to fit as well; secrets are judged by their placeholders.
        faults += misfits(environment.redacted, ())
    if faults:
        raise ProfileError(_sentences(faults, source, cwd))
    profile = structured(environment.document, path=path, name=path.stem, redacted=environment.redacted)
    return replace(profile, secrets=environment.secrets, origins=_origins(source, environment.origins))


def load_rules(name: str, *, cwd: Path, environ: Mapping[str, str]) -> Profile:
    """What the profile called ``name`` says of refusals, for answers that were recorded: its answer rules alone.

    It may be one that is made to be extended, without target and endpoints. Raises ProfileError as ``load`` does.
    """
    cwd = cwd.resolve()
    path = find(name, cwd)
    source = read(path, name, cwd)
    answers = source.document.get("answer", [])
    environment = resolved({"answer": answers}, environ)
    document = _of_rules(environment.document["answer"], source.document.get("edition"))
    if faults := [*environment.faults, *_wrong(document, document)]:
        lines = (f"{display(path, cwd)}: {keyed(document, fault.at)} {fault.says}" for fault in faults)
        raise ProfileError("\n".join(dict.fromkeys(map(scrubbed, lines))))
    return structured(document, path=path, name=path.stem, redacted=document)


def of_rules(answers: Collection[dict[str, Any]], *, cwd: Path) -> Profile:
    """A profile of answer rules alone; without any, that of an endpoint which speaks x402."""
    document = _of_rules(list(answers), None)
    return structured(document, path=cwd / "recorded.toml", name="", redacted=document)


def _of_rules(answers: Any, edition: object) -> dict[str, Any]:
    names = [answer["name"] for answer in answers if isinstance(answer, dict) and "name" in answer]
    shows = {"answers": names} if names else {"protocol": "x402"}
    return {
        "edition": edition or max(editions()),
        "target": {"name": "a recorded answer", "base_url": "http://recorded.invalid"},
        "answer": answers,
        "endpoint": [{"name": "recorded", "path": "/", **shows}],
    }


def from_document(document: dict[str, Any], *, path: Path = Path("profile.toml"), name: str = "") -> Profile:
    """The profile that a ``Profile.document`` came from, with placeholders for its secrets.

    ``path`` is where its relative paths start and what messages call it; raises ProfileError as ``load`` does.
    """
    faults = _wrong(document, document)
    if faults:
        lines = (f"{path}: {keyed(document, fault.at)} {fault.says}" for fault in faults)
        raise ProfileError("\n".join(dict.fromkeys(map(scrubbed, lines))))
    return structured(document, path=path.absolute(), name=name or path.stem, redacted=document)


def _wrong(written: dict[str, Any], effective: dict[str, Any]) -> list[Fault]:
    precise = [*misspelt_money(written), *broken(written)]
    faults = [*misfits(written, precise), *precise]
    # Claims are judged last: a misspelt key would be told again as a class that nothing can show.
    return [*faults, *contradictions(effective), *(() if faults else unshowable(effective))]


def _sentences(faults: Iterable[Fault], source: Source, cwd: Path) -> str:
    lines = (f"{display(source.file(f.at).path, cwd)}: {keyed(source.document, f.at)} {f.says}" for f in faults)
    return "\n".join(dict.fromkeys(map(scrubbed, lines)))


def _origins(source: Source, environment: Mapping[At, Origin]) -> tuple[Origin, ...]:
    origins: list[Origin] = []
    for at in _values(source.document, (), environment):
        base = source.file(at)
        if at in environment:
            origins.append(environment[at])
        elif base is not source.top:
            origins.append(Origin(key=keyed(source.document, at), source=f"base {base.name} ({base.path})"))
    return tuple(origins)


def _values(value: object, at: At, whole: Collection[At]) -> Iterator[At]:
    """The paths of all values in a document; a list without tables, and each place in ``whole``, is one value."""
    if at not in whole and isinstance(value, dict) and value:
        for key, member in value.items():
            yield from _values(member, (*at, key), whole)
    elif at not in whole and isinstance(value, list) and any(isinstance(member, dict) for member in value):
        for index, member in enumerate(value):
            yield from _values(member, (*at, index), whole)
    else:
        yield at
