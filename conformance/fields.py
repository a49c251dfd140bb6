"""The grammars of header fields that a 402 may carry."""

import email.utils
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

__all__ = [
    "Challenge",
    "Link",
    "cache_control",
    "challenges",
    "http_date",
    "is_http_date",
    "links",
    "natural",
    "resolved",
    "tokens",
]

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PARAM = re.compile(rf"({_TOKEN})[ \t]*=[ \t]*({_TOKEN}|{_QUOTED})")
_SCHEME = re.compile(rf"({_TOKEN})(?:[ ]+|$|(?=[ \t]*,))")
_TOKEN68 = re.compile(r"[A-Za-z0-9\-._~+/]+=*(?=[ \t]*(?:,|$))")
_COMMA = re.compile(r"[ \t]*,[ \t]*")
_IMF_FIXDATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} "
    r"(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60) GMT"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One challenge of WWW-Authenticate (RFC 9110 section 11.3)."""

    scheme: str
    parameters: tuple[tuple[str, str], ...] = ()
    """Name, in lower case, and value as written, quotes included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One link of a Link field (RFC 8288 section 3)."""

    target: str
    relations: tuple[str, ...]


def challenges(value: str) -> tuple[Challenge, ...]:
    """The challenges in one WWW-Authenticate value; raises ValueError, with the place, where the grammar breaks."""
    found: list[Challenge] = []
    at = _skip(value, 0)
    while at < len(value):
        scheme = _SCHEME.match(value, at)
        parameter = _PARAM.match(value, at)
        if parameter and found:
            last = found[-1]
            pair = (parameter[1].lower(), parameter[2])
            found[-1] = Challenge(scheme=last.scheme, parameters=(*last.parameters, pair))
            at = _next(value, parameter.end())
            continue
        if not scheme or parameter:
            msg = f"no challenge begins at {value[at : at + 20]!r}"
            raise ValueError(msg)
        found.append(Challenge(scheme=scheme[1]))
        at = scheme.end()
        if token68 := _TOKEN68.match(value, at):
            at = token68.end()
        if not _PARAM.match(value, at):
            at = _next(value, at)
    return tuple(found)


def _skip(value: str, at: int) -> int:
    while at < len(value) and value[at] in ", \t":
        at += 1
    return at


def _next(value: str, at: int) -> int:
    if at >= len(value):
        return at
    if not (comma := _COMMA.match(value, at)):
        msg = f"a comma is missing before {value[at : at + 20]!r}"
        raise ValueError(msg)
    return _skip(value, comma.end())


def cache_control(values: tuple[str, ...]) -> Mapping[str, str]:
    """The directives of Cache-Control, names in lower case, values without quotes (RFC 9111 section 5.2)."""
    found = {}
    for part in re.findall(rf"(?:{_QUOTED}|[^,])+", ",".join(values)):
        name, _, argument = part.strip().partition("=")
        if name:
            found[name.strip().lower()] = argument.strip().strip('"')
    return found


def tokens(values: tuple[str, ...]) -> frozenset[str]:
    """The members of a comma-separated list of tokens, in lower case."""
    return frozenset(part.strip().lower() for value in values for part in value.split(",") if part.strip())


def links(values: tuple[str, ...]) -> Iterator[Link]:
    """The links of Link fields; what does not follow the grammar is passed over."""
    for value in (value[:8192] for value in values):
        for target, rest in re.findall(rf"<([^<>]*)>((?:[ \t]*;(?:{_QUOTED}|[^,\"])*)*)", value):
            parameters = {name.lower(): text.strip('"') for name, text in _PARAM.findall(rest)}
            yield Link(target=target, relations=tuple(parameters.get("rel", "").lower().split()))


def natural(text: str | None) -> int | None:
    """``text`` as a number, if it is one of decimal digits; beyond 1000 of them it is simply very large."""
    if not text or not text.isascii() or not text.isdecimal():
        return None
    return int(text) if len(text) <= 1000 else 10**1000


def resolved(base: str, reference: str) -> str | None:
    """The address that ``reference`` means at ``base``; None for what is no address."""
    try:
        url = urljoin(base, reference)
        _ = urlsplit(url).port
    except ValueError:
        return None
    return url


def is_http_date(value: str) -> bool:
    """Whether ``value`` is an IMF-fixdate, the one form that a sender generates (RFC 9110 section 5.6.7)."""
    return bool(_IMF_FIXDATE.fullmatch(value))


def http_date(value: str | None) -> float | None:
    """Seconds since the epoch of any HTTP-date; None for what is none."""
    parsed = email.utils.parsedate_tz(value) if value else None
    return None if parsed is None else email.utils.mktime_tz(parsed)
