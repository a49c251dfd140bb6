"""What a request in another writing opened: the words in which checks of class ``requests`` are written. No check stands here."""

import re
from urllib.parse import unquote

from conformance import effects, facts
from conformance.around import NOWHERE, VARIANT
from conformance.checks.envelope import rules
from conformance.controls import (
    AGAIN,
    ELSEWHERE,
    FREE,
    PLAIN,
    WATCHED,
    after,
    asked_of,
    awaits_content,
    buys_nothing,
    refuses,
    usual,
)
from conformance.evidence import Evidence
from conformance.exchange import Exchange, Response
from conformance.framing import CONTENT, USUAL
from conformance.http2 import BATCH, BEHIND, BEHIND_PAID, START, spoken_over, ways_of
from conformance.marks import disguised, holds, marked
from conformance.outcome import Inapplicable, Unanswered, Untestable, Violation
from conformance.profile import Family, Marker, MarkerKind
from conformance.ways import FOLDER, JOIN, PARTS, WAYS, Group, Part

__all__ = [
    "SHUT_OUT",
    "as_before",
    "moved",
    "opens_nothing",
    "opens_nothing_in_http2",
    "proven",
    "refused",
    "shown",
    "stands_open",
]

_SURVIVES = "requests.survives"
_HANGS_UP = {"closed", "refused", "tls"}
"""Failures that are an answer to a request which somebody does not like."""
_SHUTS_OUT = {403, 429}
_PAID_PARTS = {Part.QUERY, Part.BODY}
_UNAVAILABLE = 503
"""What many who count requests answer to one too many: another requirement asks a few times more."""
_FOR_EVERYBODY = (
    "the marker stands on a page for everybody. Choose one that stands in nothing that is free (endpoint.marker)"
)
SHUT_OUT = "if something before the target turns away whoever asks oddly, let this address pass"
"""What may be the matter with a target that does not answer any more."""


def refused(evidence: Evidence) -> Response:
    """The refusal of the usual request; Inapplicable or Untestable where there is nothing to get round to."""
    if buys_nothing(evidence.profile, evidence.endpoint):
        reason = "what is refused here is a payment, which buys nothing that could be given away"
        raise Inapplicable(reason)
    plain = evidence.response("unpaid")
    if not refuses(evidence.profile, evidence.endpoint, plain):
        reason = f"the usual request is answered {plain.shown()}, which is no refusal"
        raise Untestable(reason, cause="http.unpaid-is-refused")
    marker = _marker(evidence)
    if where := marked(plain, marker):
        reason = f"the marker {marker.value!r} stands in {where} of the unpaid answer too: it proves nothing"
        raise Untestable(reason)
    return plain


def _marker(evidence: Evidence) -> Marker:
    if (marker := evidence.endpoint.marker) is None:
        reason = "the profile names no marker"
        raise Untestable(reason)
    return marker


def _sold(evidence: Evidence) -> Response | None:
    """The answer to who has paid, if there is one that shows what is sold."""
    paid = evidence.exchanges.get("paid")
    if paid is None or paid.response is None or not marked(paid.response, _marker(evidence)):
        return None
    return paid.response


def proven(evidence: Evidence) -> None:
    """Raises Untestable where the marker was never seen in a paid answer: that it is nowhere else says nothing then."""
    if _sold(evidence):
        return
    marker, paid = _marker(evidence), evidence.exchanges.get("paid")
    if paid is None:
        reason = "the marker was never seen in a paid answer: name a paid_identity that gets the protected one, or a [facilitator]"
        raise Untestable(reason) if evidence.claimed("requests") else Inapplicable(reason)
    reason = f"who pays is answered {evidence.response('paid').shown()}, without the marker {marker.value!r}: it proves nothing"
    raise Untestable(reason)


def shown(evidence: Evidence, label: str) -> str:
    """Where what is sold stands in the answer ``label``; empty where it does not, or the request said it itself."""
    had, marker, sold = evidence.exchange(label).response, _marker(evidence), _sold(evidence)
    if had is None:
        return ""
    if sold and holds(had, sold) and not holds(evidence.response("unpaid"), sold):
        return "the body"
    return "" if _says(evidence.exchange(label), marker) else marked(had, marker) or _disguised(evidence, had)


def _disguised(evidence: Evidence, had: Response) -> str:
    """In what dress the marker stands in an answer; empty where the refusal, or a page that is nowhere, has it so too."""
    if not (dress := disguised(had, marker := _marker(evidence))):
        return ""
    nowhere = evidence.exchanges.get(NOWHERE)
    others = (evidence.response("unpaid"), nowhere.response if nowhere else None)
    return "" if any(other and disguised(other, marker) for other in others) else f"the answer, as {dress}"


def _says(exchange: Exchange, marker: Marker) -> bool:
    """Whether the request has the marker: what is said may be said again."""
    asked = exchange.request
    fields = (f"{name}: {value}" for name, value in (*asked.headers, *asked.trailers))
    said = "\n".join([asked.line, *fields, asked.body.decode("latin-1")])
    said = f"{said}\n{unquote(said)}".lower()
    match marker.kind:
        case MarkerKind.TEXT:
            return marker.value.lower() in said
        case MarkerKind.RE:
            return re.search(marker.value, said, re.IGNORECASE) is not None
        case _:
            return False


def opens_nothing(evidence: Evidence, group: Group, batch: str) -> None:
    """Holds when no request that is written in a way of ``group`` brings what is sold, or makes the handler run."""
    refused(evidence)
    plain = usual(evidence.profile, evidence.endpoint)
    wanted = [key for key, way in WAYS.items() if way.group is group and way.of(plain)]
    if not wanted:
        reason = "the usual request has nothing that could be written so"
        raise Inapplicable(reason)
    labels = [key for key in wanted if key in evidence.exchanges]
    wanted = [key for key in wanted if key != FOLDER or key in labels]
    _find(evidence, labels, batch)
    if len(labels) < len(wanted):
        raise _unasked(len(wanted) - len(labels), len(wanted))
    _shut_throughout(evidence)
    as_before(evidence, after(batch))
    _ran_unseen(evidence, batch)
    proven(evidence)


def _unasked(many: int, of: int) -> Untestable:
    reason = f"{many} of {of} were not asked: the target lets requests wait for an answer"
    return Untestable(reason)


def opens_nothing_in_http2(evidence: Evidence) -> None:
    """Holds when no request in frames of HTTP/2 brings what is sold, or makes the handler run."""
    plain = usual(evidence.profile, evidence.endpoint)
    if not spoken_over(plain):
        reason = "the target is no https origin: HTTP/2 is asked where TLS chooses it (ALPN)"
        raise Inapplicable(reason)
    refused(evidence)
    first = f"{START}{USUAL}"
    if failed := evidence.exchange(first).failure:
        if failed.kind == "alpn":
            raise Inapplicable(failed.detail)
        if failed.kind == "extra":
            raise Untestable(failed.detail)
    _find(evidence, [first], "")
    wanted = ways_of(plain)
    labels = [label for key in wanted if (label := f"{START}{key}") in evidence.exchanges]
    labels += evidence.labels(f"{START}{BEHIND_PAID}")[:1]
    for label in labels:
        _hid_nothing(evidence, label)
    _find(evidence, labels, BATCH)
    if left := [key for key in wanted if f"{START}{key}" not in evidence.exchanges]:
        raise _unasked(len(left), len(wanted))
    if not any(evidence.exchange(label).response for label in labels):
        reason = f"the target answers no request in HTTP/2: {failed.detail if failed else 'no answer'}"
        raise Inapplicable(reason)
    _shut_throughout(evidence)
    _as_first(evidence, first)
    _ran_unseen(evidence, BATCH)
    proven(evidence)


def _hid_nothing(evidence: Evidence, label: str) -> None:
    """Raises Violation where the request that ``label`` hides is served to who asks for nothing behind it, twice."""
    behind = (f"{label}{BEHIND}", f"{label}{AGAIN}{BEHIND}")
    if not all(name in evidence.exchanges and shown(evidence, name) for name in behind) or shown(evidence, NOWHERE):
        return
    told = f"{evidence.response(behind[0]).shown()} with what is sold, to a request for what is nowhere that came behind it"
    raise _opened(evidence, label, told, shows=behind[0])


def _as_first(evidence: Evidence, first: str) -> None:
    """Raises Untestable unless the usual request in HTTP/2 is answered as it was at ``first``, by who lets us pass."""
    had, now = evidence.exchange(first).response, evidence.exchange(after(BATCH)).response
    if had is None:
        return
    if now is None:
        reason = "the usual request was not answered in HTTP/2 afterwards"
        raise Untestable(reason)
    told = [refuses(evidence.profile, evidence.endpoint, answer) for answer in (had, now)]
    shut = (not told[0] and (had.status in _SHUTS_OUT or had.status >= 500)) or (
        not told[1] and now.status != had.status
    )
    if shut or shown(evidence, after(BATCH)):
        reason = (
            f"the usual request is answered {had.shown()} in HTTP/2, and {now.shown()} afterwards: what stands before the "
            "target may shut us out, and what we are answered by then says nothing. Let this address pass"
        )
        raise Untestable(reason)


def stands_open(evidence: Evidence) -> None:
    """Holds when no variant that was drawn brings what is sold."""
    refused(evidence)
    labels = [*asked_of(evidence.labels(VARIANT))]
    _find(evidence, labels, "")
    for label in labels:
        if f"{label}{PLAIN}" in evidence.exchanges and not shown(evidence, label):
            as_before(evidence, f"{label}{PLAIN}")
    _shut_throughout(evidence)
    proven(evidence)


def _find(evidence: Evidence, labels: list[str], batch: str) -> None:
    """Raises what is wrong with the answers called ``labels``; what leaves a question open, at the end."""
    open_: list[Unanswered | Untestable] = []
    for label in labels:
        exchange = evidence.exchange(label)
        if label == FOLDER and _may_list(evidence):
            continue
        # What broke off may have told enough.
        where = shown(evidence, label) if exchange.response or not exchange.failure else ""
        if not where and exchange.failure and not (_hangs_up(exchange) or awaits_content(exchange)):
            unpayable = exchange.failure.kind == "unpayable"
            open_.append(
                Untestable(exchange.failure.detail)
                if unpayable
                else Unanswered(exchange.failure.detail, at=exchange.request.line, exchange=label)
            )
        elif where:
            if why := _doubt(evidence, label):
                open_.append(Untestable(why))
            else:
                raise _opened(evidence, label, f"{_told(evidence, label).shown()} with what is sold, in {where}")
        if batch and (times := _ran(evidence, label)):
            if why := _bought(evidence, label):
                open_.append(Untestable(why))
                continue
            told = "no answer" if exchange.response is None else exchange.response.shown()
            raise _opened(evidence, f"{label}{WATCHED}", f"{told}, and the witness moved by {times}: the handler ran")
    if open_:
        raise open_[0]


def _may_list(evidence: Evidence) -> bool:
    """Whether a folder may be a list for everybody: it is made like what is in it, and its words may be the same."""
    had, sold, endpoint = evidence.exchange(FOLDER).response, _sold(evidence), evidence.endpoint
    if had is None:
        return False
    if not shown(evidence, FOLDER):
        return True
    if sold and holds(had, sold):
        return False
    if endpoint.witness:
        return not _ran(evidence, FOLDER)
    return _marker(evidence).kind in {MarkerKind.POINTER, MarkerKind.HEADER}


def _hangs_up(exchange: Exchange) -> bool:
    """Whether a target refuses by hanging up: before it said anything, or in the middle of saying no."""
    failed, had = exchange.failure, exchange.response
    return failed is not None and failed.kind in _HANGS_UP and (had is None or had.status >= 400)


def _told(evidence: Evidence, label: str) -> Response:
    """The answer called ``label``, or as much of it as came."""
    return evidence.exchange(label).response or evidence.response(label)


def _opened(evidence: Evidence, label: str, received: str, *, shows: str = "") -> Violation:
    """What is wrong with the request ``label``; ``shows`` is the one whose answer shows it, where that is another."""
    name = label.removeprefix(VARIANT).removesuffix(WATCHED)
    reason = f"the usual request is refused before and after: {evidence.response('unpaid').shown()}"
    had, sold = evidence.exchange(shows or label).response, _sold(evidence)
    if not label.endswith(WATCHED) and had and sold and not holds(had, sold):
        reason += (
            ". It is not word for word what is sold: if what is shown there is free, choose a marker that stands in nothing "
            "free (endpoint.marker)"
        )
    return Violation(
        expected="a refusal, or anything else without what is sold",
        received=received,
        at=f"{name}, {evidence.exchange(label).request.line}",
        exchange=label,
        reason=reason,
    )


def _doubt(evidence: Evidence, label: str) -> str:
    """Why an answer that shows what is sold is no way round all the same; empty when it is one."""
    answer = _told(evidence, label)
    told = f"{label} is answered {answer.shown()} with what is sold"
    if f"{label}{AGAIN}" not in evidence.exchanges:
        return f"{told}, as others are that are no way round"
    if not shown(evidence, f"{label}{AGAIN}"):
        return f"{told}, and not a second time"
    usual = evidence.exchange(f"{label}{PLAIN}").response
    if usual is None or not refuses(evidence.profile, evidence.endpoint, usual) or shown(evidence, f"{label}{PLAIN}"):
        return (
            f"{told}, and so is, by then, or not at all, the usual request: {usual.shown() if usual else 'no answer'}"
        )
    nowhere = evidence.exchange(NOWHERE).response
    another_good = nowhere is not None and refuses(evidence.profile, evidence.endpoint, nowhere)
    if shown(evidence, f"{label}{ELSEWHERE}") and not another_good:
        return f"{told}, and so is a path that is nowhere: {_FOR_EVERYBODY}"
    if f"{label}{FREE}" in evidence.exchanges and shown(evidence, f"{label}{FREE}"):
        return f"{told}, and so is a path that is free: {_FOR_EVERYBODY}"
    sold = _sold(evidence)
    if answer.status >= 400 and not (sold and holds(answer, sold)):
        return f"{told}: the marker stands in an error, and it is not known whether that gives anything away"
    return _bought(evidence, label)


def _bought(evidence: Evidence, label: str) -> str:
    """Why what was asked for may have been paid for, as where a balance is too small for the usual request alone."""
    keys = label.removeprefix(VARIANT).removeprefix(START).split(JOIN)
    if not any(key in (*PARTS[part], *CONTENT) for key in keys for part in _PAID_PARTS):
        return ""
    plain = evidence.response("unpaid")
    found = facts.matching(rules(evidence), plain)
    if not found or found[0].family is not Family.CREDITS:
        return ""
    left = effects.quantity(facts.record(found[0], plain).document.get("balance"))
    if left == 0:
        return ""
    had = "the refusal does not say what is left" if left is None else f"{left:f} is left"
    return f"{had}: that may pay for another query or content. Name an identity that has nothing (endpoint.identity)"


def _ran(evidence: Evidence, label: str) -> int:
    """By how much the witness moved for a request, twice; 0 where it moves for refusals too, or by itself."""
    watched = f"{label}{WATCHED}"
    if watched not in evidence.exchanges or not _witness_tells(evidence):
        return 0
    return max(0, moved(evidence.exchange(watched)))


def _witness_tells(evidence: Evidence) -> bool:
    """Whether the witness stands still where nothing is asked, and where the usual request is refused."""
    quiet = (*evidence.labels("at rest, before "), *evidence.labels(f"as usual{WATCHED}"))
    return all(moved(evidence.exchange(label)) == 0 for label in quiet)


def moved(exchange: Exchange) -> int:
    """By how much the witness moved with a request; 0 too where it was not read."""
    seen = exchange.paid.witness if exchange.paid else None
    return seen[1] - seen[0] if seen else 0


def _ran_unseen(evidence: Evidence, batch: str) -> None:
    """Raises Untestable where the witness moved over a batch, and for none of its requests alone."""
    watched = evidence.labels(f"as usual{WATCHED}")
    if not watched or not moved(evidence.exchange(after(batch))) or not _witness_tells(evidence):
        return
    if not any(moved(evidence.exchanges[label]) for label in evidence.exchanges if label.endswith(WATCHED)):
        reason = f"the witness moved while the requests of {batch} were asked, and for none of them when asked again: do others use this target?"
        raise Untestable(reason)


def _shut_throughout(evidence: Evidence) -> None:
    """Raises Untestable where the usual request was answered with what is sold, whenever that was."""
    for label in evidence.labels("as usual"):
        if label != NOWHERE and (where := shown(evidence, label)):
            told = _told(evidence, label).shown()
            reason = f"the usual request itself, {label}, is answered {told} with what is sold, in {where}: it is open at times"
            raise Untestable(reason)


def as_before(evidence: Evidence, label: str) -> None:
    """Raises Untestable unless the usual request, asked again as ``label``, is refused as it was."""
    plain, exchange = evidence.response("unpaid"), evidence.exchange(label)
    now = exchange.response
    if exchange.failure or now is None:
        told = exchange.failure.detail if exchange.failure else "no answer"
        reason = f"the usual request was not answered afterwards: {told.rstrip('.')}. {SHUT_OUT.capitalize()}"
        raise Untestable(reason, cause=_SURVIVES)
    if shown(evidence, label):
        reason = f"the usual request is answered {now.shown()} afterwards, with what is sold: it is open to everybody by then"
        raise Untestable(reason, cause=_SURVIVES)
    if now.status != plain.status and not refuses(evidence.profile, evidence.endpoint, now):
        reason = (
            f"the usual request is answered {now.shown()} afterwards, and not {plain.shown()}: what stands before the "
            "target may have shut us out, and what we were answered by then says nothing. Let this address pass"
        )
        raise Untestable(reason, cause=_SURVIVES if now.status >= 500 and now.status != _UNAVAILABLE else "")
