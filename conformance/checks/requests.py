"""Checks of class ``requests``: whatever way a request is written, it gets what the usual one gets."""

from conformance.around import (
    AT_FIRST,
    BATCHES,
    HEAD,
    KEPT,
    NOWHERE,
    SERVED,
    SOUND,
    at_first,
    heads,
    is_down,
    kept_open,
    slow,
    variant,
    variants,
)
from conformance.checks import Drawn, check
from conformance.checks.detour import (
    SHUT_OUT,
    as_before,
    moved,
    opens_nothing,
    opens_nothing_in_http2,
    proven,
    refused,
    shown,
    stands_open,
)
from conformance.controls import ELSEWHERE, PLAIN, after, asked_of, refuses
from conformance.evidence import Evidence
from conformance.exchange import Response
from conformance.gather import paid, unpaid
from conformance.http2 import in_http2
from conformance.outcome import Inapplicable, Unanswered, Untestable, Violation
from conformance.profile import Head
from conformance.ways import Group

_PATHS, _ESCAPES, _TARGETS, _FIELDS, _METHODS = BATCHES
_UNAVAILABLE = 503
_ENTITY = (
    *("content-length", "etag", "last-modified", "content-digest", "repr-digest", "digest", "content-md5"),
    *("content-disposition", "content-location"),
)
"""Fields that tell of one content."""
_HISTORY = (
    # GHSA-3j63-5h8p-gf7c, and cardotrejos/x402#51.
    *("slashes: a slash at the end", "slashes: two slashes at the start", "letter-case: capitals"),
    # x402 #3044, #3502, #3542, #3543, #3036.
    *("encoded-slashes: at the end", "encoded-slashes: at the end, twice", "encoded-slashes: a backslash at the end"),
    *("encoded-slashes: a backslash at the end, encoded", "encoded-letters: the first"),
    # x402 #967, #3055, #3100, #2475, #3577.
    *("malformed-escapes: % at the end", "malformed-escapes: %c0 at the end"),
    *("control-characters: a line feed at the end", "control-characters: a line separator at the end"),
    *("suffixes: a matrix parameter", "dot-segments: into a folder and out", "target-forms: absolute"),
    *("other-methods: OPTIONS", "other-methods: lower case", "method-override: POST, overridden by fields"),
    *("rewritten-url: X-Original-URL", "trusted-fields: a request of middleware itself"),
    "other-methods: OPTIONS + slashes: a slash at the end",
    "method-override: overridden to OPTIONS by fields + slashes: a slash at the end",
    "encoded-letters: the first + special-fields: Range",
    # Two of the commonest at once: each alone may well be refused.
    "queries: a further parameter + slashes: a slash at the end",
    "special-fields: HTTP/1.0 + slashes: a slash at the end",
    "queries: a further parameter + suffixes: .json",
    "queries: a further parameter + letter-case: capitals",
)
"""What went past a paywall once: advisories, and bugs of its kind."""


@check("requests.head-runs-nothing", unpaid, paid, at_first, heads)
def test_head_runs_nothing(evidence: Evidence) -> None:
    if evidence.endpoint.method != "GET":
        reason = f"the endpoint is asked by {evidence.endpoint.method}, not GET"
        raise Inapplicable(reason)
    refused(evidence)
    first = f"{HEAD} #1"
    response = evidence.response(first)
    steps = [moved(evidence.exchange(label)) for label in (first, f"{HEAD} #2")]
    # A witness that moves for a refusal too, or while nothing is asked, says nothing of what ran.
    lively = any(moved(evidence.exchange(label)) for label in (*evidence.labels(f"{HEAD}, at rest"), f"{HEAD}{PLAIN}"))
    if min(steps) > 0 and not lively:
        raise _handled(f"{response.shown()}, and the witness moved by {steps[0]}: the handler ran", first)
    if where := shown(evidence, first):
        raise _handled(f"{response.shown()} with what is sold, in {where}", first)
    nowhere = _nowhere(evidence)
    if response.status >= 300 or (nowhere and _same(response, nowhere)):
        return
    quiet = not lively and not max(steps) and SERVED in evidence.exchanges and moved(evidence.exchange(SERVED)) > 0
    if quiet:
        return
    metadata = evidence.endpoint.head is Head.METADATA
    if (told := _tells(evidence, response, nowhere)) and not metadata:
        reason = 'if metadata is free here, say so: endpoint.head = "metadata"'
        raise _handled(f"{response.shown()} with the {told} of the paid answer", first, reason)
    reason = (
        f"HEAD is answered {response.shown()}, and nothing shows whether the handler ran: name a witness that moves "
        "when it does (endpoint.witness)"
    )
    raise Untestable(reason) if evidence.claimed("requests") else Inapplicable(reason)


def _handled(received: str, label: str, reason: str = "") -> Violation:
    return Violation(expected="402 as for GET, or 405", received=received, exchange=label, reason=reason)


def _same(one: Response, other: Response) -> bool:
    """Whether two answers to HEAD tell of the same content, as those of a page that stands everywhere do."""
    return one.status == other.status and all(
        one.values(name) == other.values(name) for name in ("content-type", *_ENTITY)
    )


def _nowhere(evidence: Evidence) -> Response | None:
    """The answer to HEAD where nothing is; None where a GET there is refused too, so that what is sold may be there as well."""
    plain = evidence.exchanges.get(NOWHERE)
    if plain and plain.response and refuses(evidence.profile, evidence.endpoint, plain.response):
        return None
    return evidence.response(f"{HEAD}{ELSEWHERE}")


def _tells(evidence: Evidence, response: Response, nowhere: Response | None) -> str:
    """Which field of an answer to HEAD is that of the paid answer, and of no other; empty for none."""
    if "paid" not in evidence.exchanges:
        return ""
    sold = evidence.response("paid")
    others = (evidence.response("unpaid"), *([nowhere] if nowhere else []))
    for name in _ENTITY:
        value = response.value(name)
        if value and value != "0" and value == sold.value(name) and all(value != other.value(name) for other in others):
            return f"{name.title()} {value}"
    return ""


@check("requests.slashes", unpaid, paid, at_first, _PATHS)
def test_slashes(evidence: Evidence) -> None:
    opens_nothing(evidence, Group.SLASHES, _PATHS.batch)


@check("requests.dot-segments", unpaid, paid, at_first, _PATHS)
def test_dot_segments(evidence: Evidence) -> None:
    opens_nothing(evidence, Group.DOTS, _PATHS.batch)


@check("requests.suffixes", unpaid, paid, at_first, _PATHS)
def test_suffixes(evidence: Evidence) -> None:
    opens_nothing(evidence, Group.SUFFIXES, _PATHS.batch)


@check("requests.letter-case", unpaid, paid, at_first, _PATHS)
def test_letter_case(evidence: Evidence) -> None:
    opens_nothing(evidence, Group.CASE, _PATHS.batch)


@check("requests.encoded-letters", unpaid, paid, at_first, _PATHS)
def test_encoded_letters(evidence: Evidence) -> None:
    opens_nothing(evidence, Group.LETTERS, _PATHS.batch)


@check("requests.encoded-slashes", unpaid, paid, at_first, _ESCAPES)
def test_encoded_slashes(evidence: Evidence) -> None:
    opens_nothing(evidence, Group.ENCODED_SLASHES, _ESCAPES.batch)


@check("requests.malformed-escapes", unpaid, paid, at_first, _ESCAPES)
def test_malformed_escapes(evidence: Evidence) -> None:
    opens_nothing(evidence, Group.MALFORMED, _ESCAPES.batch)


@check("requests.control-characters", unpaid, paid, at_first, _ESCAPES)
def test_control_characters(evidence: Evidence) -> None:
    opens_nothing(evidence, Group.CONTROLS, _ESCAPES.batch)


@check("requests.target-forms", unpaid, paid, at_first, _TARGETS)
def test_target_forms(evidence: Evidence) -> None:
    opens_nothing(evidence, Group.TARGETS, _TARGETS.batch)


@check("requests.fragments", unpaid, paid, at_first, _TARGETS)
def test_fragments(evidence: Evidence) -> None:
    opens_nothing(evidence, Group.FRAGMENTS, _TARGETS.batch)


@check("requests.queries", unpaid, paid, at_first, _TARGETS)
def test_queries(evidence: Evidence) -> None:
    opens_nothing(evidence, Group.QUERIES, _TARGETS.batch)


@check("requests.hosts", unpaid, paid, at_first, _FIELDS)
def test_hosts(evidence: Evidence) -> None:
    opens_nothing(evidence, Group.HOSTS, _FIELDS.batch)


@check("requests.rewritten-url", unpaid, paid, at_first, _FIELDS)
def test_rewritten_url(evidence: Evidence) -> None:
    opens_nothing(evidence, Group.REWRITTEN, _FIELDS.batch)


@check("requests.trusted-fields", unpaid, paid, at_first, _FIELDS)
def test_trusted_fields(evidence: Evidence) -> None:
    opens_nothing(evidence, Group.TRUSTED, _FIELDS.batch)


@check("requests.special-fields", unpaid, paid, at_first, _FIELDS)
def test_special_fields(evidence: Evidence) -> None:
    opens_nothing(evidence, Group.SPECIAL, _FIELDS.batch)


@check("requests.odd-fields", unpaid, paid, at_first, _FIELDS)
def test_odd_fields(evidence: Evidence) -> None:
    opens_nothing(evidence, Group.REPEATED, _FIELDS.batch)


@check("requests.method-override", unpaid, paid, at_first, _METHODS)
def test_method_override(evidence: Evidence) -> None:
    opens_nothing(evidence, Group.OVERRIDE, _METHODS.batch)


@check("requests.bodies", unpaid, paid, at_first, _METHODS)
def test_bodies(evidence: Evidence) -> None:
    opens_nothing(evidence, Group.BODIES, _METHODS.batch)


@check("requests.other-methods", unpaid, paid, at_first, _METHODS)
def test_other_methods(evidence: Evidence) -> None:
    opens_nothing(evidence, Group.METHODS, _METHODS.batch)


@check("requests.kept-connection", unpaid, paid, kept_open)
def test_kept_connection(evidence: Evidence) -> None:
    refused(evidence)
    if evidence.endpoint.paid_identity is None:
        reason = "the profile names nobody who has paid (paid_identity), behind whom somebody else could come"
        raise Inapplicable(reason)
    for label in asked_of(evidence.labels(KEPT)):
        had = evidence.exchange(label)
        if label.endswith("paid") or (had.failure and had.failure.kind == "closed"):
            continue
        response = evidence.response(label)
        if where := shown(evidence, label):
            as_before(evidence, f"{label}{PLAIN}")
            raise Violation(
                expected="a refusal, whoever paid before on the same connection",
                received=f"{response.shown()} with what is sold, in {where}",
                at=label,
                exchange=label,
            )
    proven(evidence)


@check(
    "requests.any-variant", unpaid, paid, at_first, drawn=Drawn(values=variants, examples=_HISTORY, ask=variant, per=2)
)
def test_any_variant(evidence: Evidence) -> None:
    stands_open(evidence)


@check("requests.http2", unpaid, paid, at_first, in_http2)
def test_http2(evidence: Evidence) -> None:
    opens_nothing_in_http2(evidence)


@check("requests.survives", unpaid, at_first, heads, *BATCHES)
def test_survives(evidence: Evidence) -> None:
    refused(evidence)
    usual = [evidence.exchange(label) for label in evidence.labels(AT_FIRST)]
    if not usual or any(exchange.failure for exchange in usual):
        reason = "the usual request is not answered when it is sent in bytes, before anything else is asked"
        raise Unanswered(reason, exchange=f"{AT_FIRST} #1")
    for batch in BATCHES:
        label = after(batch.batch)
        times = [evidence.exchanges[name] for name in evidence.labels(label)]
        gone = bool(times) and is_down(times[-1])
        if len(times) < SOUND and not gone:
            continue
        last = times[-1].response
        if all(had.failure for had in times):
            told = times[-1].failure.detail if times[-1].failure else "no answer"
        elif last and all(had.response is None or had.response.status >= 500 for had in times):
            told = last.shown()
        elif all(had.response is not None and slow(had, usual) for had in times):
            told = f"{times[-1].response.shown()} after {min(had.took for had in times):.2f} s"  # type: ignore[union-attr]
        else:
            continue
        raise Violation(
            expected=f"{evidence.response('unpaid').shown()} as before, in {max(had.took for had in usual):.3f} s or a little more",
            received=told if gone else f"{told}, {SOUND} times in a row",
            at=f"since {_since(evidence, label)}",
            exchange=label,
            reason=SHUT_OUT if last is None or last.status == _UNAVAILABLE else "",
        )


def _since(evidence: Evidence, label: str) -> str:
    """The request with which it began: the first of those up to ``label`` that were all slow, or failed, or the last."""
    usual = [evidence.exchange(name) for name in evidence.labels(AT_FIRST)]
    names = list(evidence.exchanges)
    before = names[: names.index(label)]
    since = before[-1]
    for name in reversed(before):
        had = evidence.exchanges[name]
        if had.response is not None and not had.failure and had.response.status < 500 and not slow(had, usual):
            break
        since = name
    return f"{since} ({evidence.exchanges[since].request.line or evidence.exchanges[since].request.method})"
