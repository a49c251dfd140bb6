"""The path of a request, written otherwise; and the other forms of a request target."""

import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from conformance.spelling import Respelt, Spelling, pathed

__all__ = [
    "CASE",
    "CONTROLS",
    "DOTS",
    "ENCODED_SLASHES",
    "FRAGMENTS",
    "LETTERS",
    "MALFORMED",
    "SLASHES",
    "SUFFIXES",
    "TARGETS",
]


def _ended(written: str) -> Respelt:
    """With ``written`` behind the path."""
    return pathed(lambda head, last: f"{head}/{last}{written}")


def _within(written: str) -> Respelt:
    """With ``written`` behind the first character of the last segment."""
    return pathed(lambda head, last: f"{head}/{last[:1]}{written}{last[1:]}")


def _into(name: str) -> Respelt:
    """By way of a folder at the root, and out of it."""
    return lambda plain: plain.at(f"/{name}/..{plain.path}")


def _in_folder(name: str) -> Respelt:
    """Below a folder at the root."""
    return lambda plain: plain.at(f"/{name}{plain.path}")


def _parametered(path: str, written: str = ";a=1", many: int = 0) -> str:
    """With a matrix parameter behind each folder of a path, 0 for all."""
    return re.sub("(?<=[^/])/", f"{written}/", path, count=many)


_ELSEWHERE = "conformance.example"
SLASHES: Mapping[str, Respelt] = {
    "a slash at the end": pathed(lambda head, last: f"{head}/{last}/"),
    "two slashes at the end": pathed(lambda head, last: f"{head}/{last}//"),
    "two slashes at the start": lambda plain: plain.at(f"/{plain.path}"),
    "two slashes inside": lambda plain: pathed(lambda head, last: f"{head}//{last}")(plain) if _deep(plain) else None,
    "no slash at the end": lambda plain: plain.at(plain.path.rstrip("/") or "/"),
    "the folder alone": lambda plain: pathed(lambda head, _: f"{head}/")(plain) if _deep(plain) else None,
    "a host behind two slashes": lambda plain: plain.at(f"//{urlsplit(plain.origin).netloc}{plain.path}"),
    "another host behind two slashes": lambda plain: plain.at(f"//{_ELSEWHERE}{plain.path}"),
}


def _deep(plain: Spelling) -> bool:
    """Whether a path has more than one segment."""
    return plain.path.rstrip("/").count("/") > 1


DOTS: Mapping[str, Respelt] = {
    "this folder": pathed(lambda head, last: f"{head}/./{last}"),
    "this folder, at the end": pathed(lambda head, last: f"{head}/{last}/."),
    "into a folder and out": pathed(lambda head, last: f"{head}/x/../{last}"),
    "out of one, at the end": pathed(lambda head, last: f"{head}/{last}/x/.."),
    "above the root": lambda plain: plain.at(f"/..{plain.path}"),
    "above the root, with a parameter": lambda plain: plain.at(f"/..;{plain.path}"),
    "this folder, at the start": lambda plain: plain.at(f"/.{plain.path}"),
    "this folder, encoded, at the start": lambda plain: plain.at(f"/%2e{plain.path}"),
    "into a folder and out, encoded, at the start": lambda plain: plain.at(f"/x/%2e%2e{plain.path}"),
    "into a folder and out, with a parameter, at the start": lambda plain: plain.at(f"/x/..;{plain.path}"),
    "out of one, encoded, at the end": _ended("/x/%2e%2e"),
    "out of one, with encoded slashes, at the end": _ended("/x%2f%2e%2e"),
    "into a version and out": pathed(lambda head, last: f"{head}/v1/../{last}"),
    "this folder, encoded": pathed(lambda head, last: f"{head}/%2e/{last}"),
    "into a folder and out, encoded": pathed(lambda head, last: f"{head}/x/%2e%2e/{last}"),
    "into a folder and out, with a parameter": pathed(lambda head, last: f"{head}/x/..;/{last}"),
    "into a folder and out, with encoded slashes": pathed(lambda head, last: f"{head}/x%2f..%2f{last}"),
    "into a folder and out, with backslashes": pathed(lambda head, last: f"{head}/x\\..\\{last}"),
    **{f"into {name} and out": _into(name) for name in ("robots.txt", "static", "public", "health", ".well-known")},
    "into static and out, with an encoded slash": lambda plain: plain.at(f"/static/..%2f{plain.path[1:]}"),
}
# What frameworks, caches and sites give a page beside its own form.
_FORMS = (
    *(".csv", ".txt", ".md", ".rss", ".pdf", ".yaml", ".js", ".jpg", ".ico", ".php", ".gz", ".bak", "~"),
    *("/print", "/raw", "/download", "/export", "/embed", "/full", "/1"),
)
_FOLDERS = ("en", "de", "v1", "api", "amp", "m", "index.php")
SUFFIXES: Mapping[str, Respelt] = {
    "a semicolon": pathed(lambda head, last: f"{head}/{last};"),
    "a matrix parameter": pathed(lambda head, last: f"{head}/{last};a=1"),
    "a matrix parameter before": pathed(lambda head, last: f"{head}/;a=1/{last}"),
    ".json": pathed(lambda head, last: f"{head}/{last}.json"),
    ".html": pathed(lambda head, last: f"{head}/{last}.html"),
    ".xml": _ended(".xml"),
    ".css": _ended(".css"),
    "a page of its own": _ended("/index.html"),
    "a view for phones": _ended("/amp"),
    "a view before it is paid": _ended("/preview"),
    "a dot": pathed(lambda head, last: f"{head}/{last}."),
    "a space": pathed(lambda head, last: f"{head}/{last}%20"),
    "a further segment": pathed(lambda head, last: f"{head}/{last}/x.css"),
    "a parameter of a style sheet": pathed(lambda head, last: f"{head}/{last};x.css"),
    "a session": _ended(";jsessionid=1"),
    "a version": _ended(";v=1"),
    "a semicolon and a slash": _ended(";/"),
    "a matrix parameter of each folder": lambda plain: plain.at(_parametered(plain.path)),
    "a session of the first folder": lambda plain: plain.at(_parametered(plain.path, ";jsessionid=1", many=1)),
    "a matrix parameter at the start": lambda plain: plain.at(f"/;a=1{plain.path}"),
    "a semicolon at the start": lambda plain: plain.at(f"/;{plain.path}"),
    **{f"{written} at the end": _ended(written) for written in _FORMS},
    **{f"/{name} at the start": _in_folder(name) for name in _FOLDERS},
}
CASE: Mapping[str, Respelt] = {
    "capitals": lambda plain: plain.at(plain.path.upper()),
    "a capital": pathed(lambda head, last: f"{head}/{last[:1].swapcase()}{last[1:]}"),
    "small letters": lambda plain: plain.at(plain.path.lower()),
    "capitals in the last": pathed(lambda head, last: f"{head}/{last.upper()}"),
    "capitals before the last": pathed(lambda head, last: f"{head.upper()}/{last}"),
    "a capital, and a slash at the end": pathed(lambda head, last: f"{head}/{last[:1].swapcase()}{last[1:]}/"),
    "a capital at the end": pathed(lambda head, last: f"{head}/{last[:-1]}{last[-1:].swapcase()}"),
}


def _escaped(text: str, many: int = 0, escape: str = "%{:02X}") -> str:
    """The first letters and digits of a text as escapes, 0 for all; what is an escape already stays."""
    return re.sub("(?<!%)(?<!%[0-9A-Fa-f])[A-Za-z0-9]", lambda found: escape.format(ord(found[0])), text, count=many)


LETTERS: Mapping[str, Respelt] = {
    "the first": pathed(lambda head, last: f"{head}/{_escaped(last, 1)}"),
    "the first, in small digits": pathed(lambda head, last: f"{head}/{_escaped(last, 1, '%{:02x}')}"),
    "the last": pathed(lambda head, last: f"{head}/{last[:-1]}{_escaped(last[-1:])}"),
    "all": lambda plain: plain.at(_escaped(plain.path)),
    "the first of the path": lambda plain: plain.at(_escaped(plain.path, 1)),
    "the first of the path, twice": lambda plain: plain.at(_escaped(plain.path, 1, "%25{:02X}")),
    "the first, three times": pathed(lambda head, last: f"{head}/{_escaped(last, 1, '%2525{:02X}')}"),
    "the first, in a long form": pathed(lambda head, last: f"{head}/{_long(last)}"),
    "the first, twice": pathed(lambda head, last: f"{head}/{_escaped(last, 1, '%25{:02X}')}"),
    "the first, as %u": pathed(lambda head, last: f"{head}/{_escaped(last, 1, '%u00{:02x}')}"),
    "the first, of full width": pathed(lambda head, last: f"{head}/{_wide(last)}"),
}


def _long(text: str) -> str:
    """Its first character in two bytes of UTF-8, of which one would do: no decoder may take that (RFC 3629 section 3)."""
    code = ord(text[0])
    return f"%{0xC0 | code >> 6:02x}%{0x80 | code & 0x3F:02x}{text[1:]}" if code < 0x80 and text[0] != "%" else text


def _wide(text: str) -> str:
    """Its first character as the one of full width that is like it (NFKC), in UTF-8 and escapes."""
    first = chr(ord(text[0]) + 0xFEE0) if 0x21 <= ord(text[0]) < 0x7F else text[0]
    return "".join(f"%{byte:02X}" for byte in first.encode()) + text[1:]


def _parted(written: str) -> Respelt:
    """With ``written`` for the last slash, where another stands before it."""
    return lambda plain: pathed(lambda head, last: f"{head}{written}{last}")(plain) if _deep(plain) else None


_FOR_A_SLASH = {
    "in small digits": "%2f",
    "twice, in small digits": "%252f",
    "three times": "%25252F",
    "in a long form": "%c0%af",
    "of full width": "%ef%bc%8f",
    "of division": "%e2%88%95",
    "as %u": "%u2215",
}
ENCODED_SLASHES: Mapping[str, Respelt] = {
    **{f"inside, {name}": _parted(written) for name, written in _FOR_A_SLASH.items()},
    "at the start, in small digits": lambda plain: plain.at(f"/%2f{plain.path[1:]}"),
    "a backslash for the last, encoded in small digits": pathed(lambda head, last: f"{head or '/'}%5c{last}"),
    "after the first": lambda plain: plain.at(f"/%2F{plain.path[1:]}"),
    "inside": _parted("%2F"),
    "inside, twice": _parted("%252F"),
    "at the end": pathed(lambda head, last: f"{head}/{last}%2F"),
    "at the end, in small digits": pathed(lambda head, last: f"{head}/{last}%2f"),
    "at the end, twice": pathed(lambda head, last: f"{head}/{last}%252F"),
    "a backslash for the last": pathed(lambda head, last: f"{head or '/'}\\{last}"),
    "a backslash at the end": pathed(lambda head, last: f"{head}/{last}\\"),
    "a backslash for the last, encoded": pathed(lambda head, last: f"{head or '/'}%5C{last}"),
    "a backslash at the end, encoded": pathed(lambda head, last: f"{head}/{last}%5C"),
    "a backslash at the end, twice": pathed(lambda head, last: f"{head}/{last}%255C"),
    "within the last": pathed(lambda head, last: f"{head}/{last[:1]}%2F{last[1:]}"),
    "within the last, twice": _within("%252F"),
    "a backslash within the last": pathed(lambda head, last: f"{head}/{last[:1]}%5C{last[1:]}"),
    "a bare backslash within the last": _within("\\"),
    "a long form": pathed(lambda head, last: f"{head}/{last}%c0%af"),
}


MALFORMED: Mapping[str, Respelt] = {
    **{f"{written} at the end": _ended(written) for written in ("%", "%z", "%zz", "%c0", "%ff", "%u0020")},
    "into a folder and out, in a long form": pathed(lambda head, last: f"{head}/x/%c0%ae%c0%ae/{last}"),
    "% at the start": pathed(lambda head, last: f"{head}/%{last}"),
    "%c0 within": pathed(lambda head, last: f"{head}/{last[:1]}%c0{last[1:]}"),
}
_CONTROLS = {
    "a line feed": "%0a",
    "a carriage return": "%0d",
    "a NUL": "%00",
    "a tab": "%09",
    "a line separator": "%e2%80%a8",
    "a next line": "%c2%85",
}
_AT_THE_END = {
    "both line breaks": "%0d%0a",
    "a space of no width": "%e2%80%8b",
    "a form feed": "%0c",
    "a vertical tab": "%0b",
    "a backspace": "%08",
    "an escape": "%1b",
    "a delete": "%7f",
    "a space that does not break": "%c2%a0",
    "a soft hyphen": "%c2%ad",
    "a byte order mark": "%ef%bb%bf",
    "a plus": "+",
}
CONTROLS: Mapping[str, Respelt] = {
    **{f"{name} at the end": _ended(written) for name, written in {**_CONTROLS, **_AT_THE_END}.items()},
    **{f"{name} within": _within(written) for name, written in _CONTROLS.items() if name != "a tab"},
    "a line feed within, twice": _within("%250a"),
    "a line feed at the start": lambda plain: plain.at(f"/%0a{plain.path[1:]}"),
    "into a folder and out, with a NUL": pathed(lambda head, last: f"{head}/x/..%00/{last}"),
    "a NUL and .json": pathed(lambda head, last: f"{head}/{last}%00.json"),
    "a bare tab at the end": pathed(lambda head, last: f"{head}/{last}\t"),
    "a byte of Latin-1 at the end": pathed(lambda head, last: f"{head}/{last}\xa0"),
}


def _fronted(front: str) -> Respelt:
    """In absolute form (RFC 9112 section 3.2.2), ``front`` with the target's own scheme and authority filled in."""

    def respelt(plain: Spelling) -> Spelling:
        parts = urlsplit(plain.origin)
        other = "https" if parts.scheme == "http" else "http"
        return replace(plain, front=front.format(scheme=parts.scheme, other=other, host=parts.netloc))

    return respelt


TARGETS: Mapping[str, Respelt] = {
    "absolute": _fronted("{scheme}://{host}"),
    "absolute, with the other scheme": _fronted("{other}://{host}"),
    "absolute, in capitals": lambda plain: replace(plain, front=plain.origin.upper()),
    "absolute, at another host": _fronted(f"{{scheme}}://{_ELSEWHERE}"),
    "absolute, with a user": _fronted("{scheme}://conformance@{host}"),
    "absolute, without a host": _fronted("{scheme}://"),
    "without its slash": lambda plain: plain.at(plain.path[1:]) if plain.path != "/" else None,
    "two spaces before it": lambda plain: replace(plain, front=" "),
    "a host without a scheme": _fronted("{host}"),
    "the authority alone": lambda plain: plain.at(urlsplit(plain.origin).netloc),
    "an asterisk": lambda plain: plain.at("*"),
    "an asterisk before it": lambda plain: plain.at(f"*{plain.path}"),
    "absolute, behind a slash": _fronted("/{scheme}://{host}"),
    "in a query of the root": lambda plain: replace(plain, front="/?"),
}
FRAGMENTS: Mapping[str, Respelt] = {
    "an empty fragment": lambda plain: replace(plain, back="#"),
    "a fragment": lambda plain: replace(plain, back="#x"),
    "a fragment and a path behind it": lambda plain: replace(plain, back="#/../x"),
    "an encoded number sign": pathed(lambda head, last: f"{head}/{last}%23"),
    "an encoded fragment": pathed(lambda head, last: f"{head}/{last}%23x"),
    "an encoded number sign, twice": _ended("%2523"),
    "an encoded question mark, in small digits": _ended("%3f"),
    "an encoded question mark": pathed(lambda head, last: f"{head}/{last}%3F"),
    "an encoded question mark before": pathed(lambda head, last: f"{head}/%3F{last}"),
    "an encoded number sign before": pathed(lambda head, last: f"{head}/%23{last}"),
    "an encoded query": pathed(lambda head, last: f"{head}/{last}%3Fx=1"),
    "two question marks": lambda plain: replace(plain, query=f"?{plain.query or ''}"),
    "a path behind the query": lambda plain: replace(plain, query=f"{plain.query or ''}/x"),
    "in a fragment of the root": lambda plain: replace(plain, front="/#"),
}
