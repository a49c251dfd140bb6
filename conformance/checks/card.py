"""Checks of class ``http`` on what a refusal tells of a card, of the request's secrets, and of people."""

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from conformance import documents
from conformance.checks import check
from conformance.checks.body import declared, is_declared
from conformance.checks.envelope import rules
from conformance.evidence import Evidence
from conformance.exchange import Request, Response
from conformance.facts import matching, slug
from conformance.gather import again, as_browser, unpaid
from conformance.outcome import Inapplicable, Violation
from conformance.profile import Profile
from conformance.selector import resolve_pointer

Part = tuple[str, str, str]
"""One thing that a message says: where, under which name (empty in running text), and what."""

_FORM = "application/x-www-form-urlencoded"


@check("http.no-card-number", unpaid, again, as_browser)
def test_no_card_number(evidence: Evidence) -> None:
    for label, response in _refusals(evidence):
        for at, name, text in _told(evidence, response):
            if number := next(_cards(name, text), None):
                raise Violation(
                    expected="no card number", received=f"{number[:6]}…{number[-4:]}", at=at, exchange=label
                )


@check("http.no-card-secret", unpaid, again, as_browser)
def test_no_card_secret(evidence: Evidence) -> None:
    for label, response in _refusals(evidence):
        for at, name, text in _told(evidence, response):
            if what := _card_secret(at, name, text):
                raise Violation(expected="nothing of a card that is secret", received=what, at=at, exchange=label)


@check("http.no-echo", unpaid, again, as_browser)
def test_no_echo(evidence: Evidence) -> None:
    said = False
    for label, response in _refusals(evidence):
        if not (sent := dict.fromkeys(_secrets(evidence.exchange(label).request))):
            continue
        said = True
        told = list(_told(evidence, response))
        for what, pattern in sent:
            for at, name, text in told:
                # A short secret is known by the name that it stands under.
                if re.search(pattern, f"{name}={text}" if name else text):
                    raise Violation(
                        expected="nothing of what the request said in confidence", received=what, at=at, exchange=label
                    )
    if not said:
        reason = "the request says nothing in confidence that stands in the profile: http.no-secret judges the rest"
        raise Inapplicable(reason)


@check("http.no-personal-data", unpaid, again, as_browser)
def test_no_personal_data(evidence: Evidence) -> None:
    for label, response in _refusals(evidence):
        known = _known(evidence.profile, response)
        for at, _, text in _told(evidence, response):
            for found in _MAIL.finditer(text):
                if _is_somebodys(found[0].lower(), known):
                    raise Violation(
                        expected="no e-mail address of a person",
                        received=f"{found[0][0]}…@{found[0].rpartition('@')[2]}",
                        at=at,
                        exchange=label,
                    )


def _refusals(evidence: Evidence) -> Iterator[tuple[str, Response]]:
    """The refusals by their labels, by whatever declared status; Untestable where the plain request gets none."""
    declared(evidence)
    for label in evidence.exchanges:
        if is_declared(evidence, response := evidence.response(label)):
            yield label, response


def _told(evidence: Evidence, response: Response) -> Iterator[Part]:
    """What an answer says, but for what its rule calls sensitive and allows."""
    rule = next(iter(matching(rules(evidence), response)), None)
    yield from _parts(response.headers, response.text(), response.media_type(), rule.allow_sensitive if rule else ())
    if response.after:
        yield "body", "", response.after.decode("utf-8", "replace")


def _parts(
    headers: tuple[tuple[str, str], ...], body: str, media_type: str, left_out: tuple[str, ...]
) -> Iterator[Part]:
    yield from ((name, name, value) for name, value in headers)
    try:
        document = documents.loads(body)
    except ValueError:
        document = None
    if isinstance(document, dict | list):
        skipped = {at for pointer in left_out for at, _ in resolve_pointer(document, pointer)}
        yield from _members(document, "", "", skipped)
    elif media_type == _FORM:
        yield from ((f"body {name}", name, value) for name, value in parse_qsl(body[:100_000], max_num_fields=None))
    elif body:
        yield "body", "", body


def _members(document: Any, at: str, name: str, skipped: set[str]) -> Iterator[Part]:
    if at in skipped:
        return
    match document:
        case dict():
            for key, value in document.items():
                # A number is that of the thing around it.
                called = f"{name}_{key}" if name and str(key).lower() in _OF_SOMETHING else str(key)
                yield from _members(value, f"{at}/{str(key).replace('~', '~0').replace('/', '~1')}", called, skipped)
        case list():
            for index, value in enumerate(document):
                yield from _members(value, f"{at}/{index}", name, skipped)
        case str():
            yield f"body {at}", name, document
        case int() if not isinstance(document, bool) and abs(document) < 10**20:
            yield f"body {at}", name, str(document)


_OF_SOMETHING = {"no", "nr", "num", "number"}
# The number of a card (ISO/IEC 7812): in one run, or in the groups in which cards have it; no part of anything longer.
_NUMBER = re.compile(
    r"(?<![\w/+.$€£#-])(?:[0-9]{13,19}"
    r"|[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{1,4}(?:\1[0-9]{3}(?![0-9]))?"
    r"|[0-9]{4}([ -])[0-9]{6}\2[0-9]{4,5})(?!\w)(?![-.]\w)"
)
_TWO_NUMBERS = re.compile(r"[0-9][ -]$")
_ISSUED = (
    (r"4", {13, 16, 19}),
    (r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", {16}),
    (r"3[47]", {15}),
    (r"36|38|39|30[0-5]", {14, 16}),
    (r"6011|64[4-9]|65|62|35(?:2[89]|[3-8])", {16, 17, 18, 19}),
)
_USUAL = {15, 16}
"""Lengths that a card has nearly always: others are taken for one only where somebody calls them that."""
_A_CARD = re.compile(r"(?i)card|(?:^|[^a-z])pan(?:[^a-z]|$)|credit|visa|master|amex")
# What has that many digits and is no card, by the last word of its name.
_NO_CARD = {
    *("id", "ids", "uid", "uuid", "guid", "ref", "reference", "token", "key", "nonce", "hash", "etag", "cookie"),
    *("amount", "balance", "price", "total", "limit", "reset", "required", "remaining", "cost", "wei", "units"),
    *("at", "time", "timestamp", "ts", "ms", "date", "expires", "epoch", "until", "since"),
    *("phone", "tel", "telephone", "mobile", "fax", "msisdn", "iban", "ean", "gtin", "isbn", "sku", "imei", "serial"),
    *("trace", "span", "request", "order", "invoice", "tracking", "transaction", "sequence", "seq", "cursor", "offset"),
    *("version", "build", "block", "ledger", "batch", "ticket", "case", "customer", "account", "user", "session"),
}
_LAST_WORD = re.compile(r"(?i)([a-z][a-z_-]*)[\"'\s:=#.]*(?:(?:no|nr|num|number)\b[\"'\s:=#.]*)?$")


def _cards(name: str, text: str) -> Iterator[str]:
    """The digits of each card number in ``text``, which stands under ``name``."""
    # A cookie is an id that the server made up.
    for found in _NUMBER.finditer(text) if slug(name) != "set_cookie" else ():
        digits = re.sub("[ -]", "", found[0])
        grouped = len(digits) < len(found[0])
        before = text[max(0, found.start() - 40) : found.start()]
        if grouped and (_TWO_NUMBERS.search(before) or re.match(r"[ -][0-9]{4}", text[found.end() :])):
            continue
        # Behind the number there may stand another one: the security code.
        digits = digits if _is_issued(digits) or not grouped else digits[:16]
        if not _is_issued(digits) or not (grouped or len(digits) in _USUAL or _A_CARD.search(f"{name} {before}")):
            continue
        if not _is_called_otherwise(name if text.strip() == found[0] else "", before):
            yield digits


def _is_issued(digits: str) -> bool:
    if not any(len(digits) in lengths and re.match(start, digits) for start, lengths in _ISSUED):
        return False
    # The check digit of ISO/IEC 7812-1, annex B: every second digit from the right is doubled.
    doubled = (int(d) * (1 + place % 2) for place, d in enumerate(reversed(digits)))
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0 and len(set(digits)) > 1


def _is_called_otherwise(name: str, before: str) -> bool:
    words = [w for w in str(slug(name)).split("_") if w not in _OF_SOMETHING]
    said = _LAST_WORD.search(before)
    words += str(slug(said[1])).split("_") if said else []
    own = words[-1] == "account" and bool({"card", "primary"} & set(words)) if words else False
    return bool(words) and words[-1] in _NO_CARD and not own


_CODE = re.compile(r"(?:^|_)(?:cvc|cvv|csc|cvn|cid|security_code|card_verification_(?:value|code))2?$")
_CODES = re.compile(r"(?i)(?<![a-z])((?:cvc|cvv|csc)2?)\s*[=:]\s*[\"']?([0-9]{3,4})(?![0-9])")
_TRACK = re.compile(r"%B[0-9]{12,19}\^[^\^]{2,26}\^[0-9]{4}|;[0-9]{12,19}=[0-9]{4,}\?")
_PARENTS = {"error", "fault", "field", "param", "check", "validation", "result", "limit", "length"}


def _card_secret(at: str, name: str, text: str) -> str:
    """What of a card stands there that nobody keeps, without its value; empty where nothing does."""
    called, value = str(slug(name)), text.strip()
    if _TRACK.search(text):
        return "the data of a magnetic stripe"
    if re.search(r"(?:^|_)track_?[123](?:_data)?$", called) and re.search(r"[0-9]{12,19}[=^D]", value):
        return f"{name}: the data of a magnetic stripe"
    if re.search(r"(?:^|_)pin_?block$", called) and re.fullmatch(r"[0-9A-Fa-f]{16}", value):
        return f"{name}: 16 hexadecimal digits"
    # Under the name of a member that is wrong there may stand a code that says how.
    parent = at.rpartition("/")[0].rpartition("/")[2].lower().removesuffix("s")
    if _CODE.search(called) and re.fullmatch(r"[0-9]{3,4}", value) and parent not in _PARENTS:
        return f"{name}: {len(value)} digits"
    if found := _CODES.search(text):
        return f"{found[1]}: {len(found[2])} digits"
    return ""


_CONFIDENTIAL = re.compile(
    r"(?:^|_)(?:passwd|password|passphrase|secret|api_?key|private_key|access_key|authentication_value|cavv|"
    r"cryptogram|authorization|credentials?|token|jwt|assertion)$"
)
_PLACE_IN_A_LIST = re.compile(r"(?:page|next|prev|previous|continuation|sync|cursor)_token$")
# Names of payment methods and addresses of tokens are no secret, whatever the member is called.
_PUBLIC = re.compile(
    r"(?:tok|pm|pk|src|card|price|prod)_.*|0x[0-9a-fA-F]{40}|[a-zA-Z_-]+|[0-9.]+|https?://.*", re.DOTALL
)
_STARS = re.compile(r"<(?:secret|user):")
_SHORTEST = 8


def _secrets(request: Request) -> Iterator[tuple[str, str]]:
    """What a request says in confidence: what it is, and the pattern by which it is found in ``name=value``."""
    media_type = next((v for n, v in request.headers if n.lower() == "content-type"), "").partition(";")[0]
    body = request.body.decode("utf-8", "replace")
    for at, name, text in _parts(request.headers, body, media_type.strip().lower(), ()):
        called = str(slug(name))
        for digits in _cards(name, text):
            yield f"the card number at {at}", r"(?<![0-9])" + r"[ -]?".join(digits) + r"(?![0-9])"
            if spelled := re.search(r"(?i)\bexp[a-z]*=[0-9/-]{4,10}", text):
                yield f"the expiry of the card at {at}", re.escape(spelled[0])
        codes = [text] if _CODE.search(called) else [code for _, code in _CODES.findall(text)]
        for code in codes:
            if re.fullmatch(r"[0-9]{3,4}", code):
                # The member of that name, or a text that names it.
                yield f"the security code at {at}", rf"(?i)(?:cvc|cvv|csc|cvn|security.?code)2?\W{{1,5}}{code}(?![0-9])"
        for value in _confidential(called, text) if not _STARS.search(text) else ():
            spellings = "|".join(re.escape(form) for form in dict.fromkeys((value, quote(value, safe=""))))
            yield f"what the request has at {at}", spellings


def _confidential(called: str, text: str) -> Iterator[str]:
    if called == "cookie":
        values = [pair.partition("=")[2].strip('" ') for pair in text.split(";")]
    elif called in {"authorization", "proxy_authorization"}:
        scheme, _, value = text.partition(" ")
        values = [value.strip() or scheme]
        if scheme.lower() == "basic":
            values.append(_password(value.strip()))
    elif _CONFIDENTIAL.search(called) and not _PLACE_IN_A_LIST.search(called):
        values = [text] if not (called.endswith("token") and _PUBLIC.fullmatch(text)) else []
    else:
        values = []
    yield from (value for value in values if len(value) >= _SHORTEST)


def _password(coded: str) -> str:
    try:
        return base64.b64decode(coded).decode("utf-8", "replace").partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


_MAIL = re.compile(
    r"(?<![\w/:.%+@-])[A-Za-z0-9](?:[\w.%+-]{0,62}[\w])?@(?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,24}(?![\w@-])"
)
_MAILTO = re.compile(r"(?i)mailto:([^\"'\s?>]{3,320})")
_HOST = re.compile(r"https?://([A-Za-z0-9.-]{1,253})")
_FILES = {"png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "ico", "js", "mjs", "css", "json", "html", "map", "woff"}
# Addresses of a desk and not of a person (RFC 2142, and what shops call theirs).
_DESKS = re.compile(
    r"(?:support|help|helpdesk|billing|sales|info|contact|hello|hi|team|admin|administrator|security|abuse|postmaster|"
    r"webmaster|hostmaster|no-?reply|do-?not-?reply|payments?|accounts?|accounting|finance|invoices?|legal|privacy|dpo|"
    r"press|marketing|api|dev|developers?|engineering|service|services|customer-?service|customers?|care|feedback|"
    r"success|office|orders?|shop|store|licen[cs]ing|subscriptions?|notifications?|alerts?|ops|noc|it|hr|jobs)"
    r"(?:[+._-].*)?"
)
_SECOND_LEVEL = {"ac", "co", "com", "edu", "gov", "net", "org"}


def _known(profile: Profile, response: Response) -> tuple[frozenset[str], frozenset[str]]:
    """The vendor's own sites, and the addresses that are no news: written by the profile, or to be mailed."""
    text = response.text()
    hosts = [urlsplit(profile.target.base_url).hostname or "", *(h.partition(":")[0] for h in profile.target.helpers)]
    hosts += _HOST.findall("\n".join([text, *(value for _, value in response.headers)]).replace("\\/", "/"))
    written = json.dumps(profile.document).lower()
    addresses = {m.group().lower() for m in _MAIL.finditer(written.replace("\\n", "\n"))}
    hosts += [a.rpartition("@")[2] for a in addresses if profile.certificate and a == profile.certificate.contact]
    mailed = {address.lower() for address in _MAILTO.findall(text)}
    return frozenset(_site(host) for host in hosts if "." in host), frozenset(addresses | mailed)


def _is_somebodys(address: str, known: tuple[frozenset[str], frozenset[str]]) -> bool:
    sites, addresses = known
    who, _, host = address.rpartition("@")
    if address in addresses or _site(host) in sites or host.rpartition(".")[2] in _FILES:
        return False
    return _DESKS.fullmatch(who) is None


def _site(host: str) -> str:
    """The part of a host name that somebody registered, as far as names tell."""
    labels = host.lower().strip(".").split(".")
    own = 3 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL else 2
    return ".".join(labels[-own:])
