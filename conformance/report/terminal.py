"""The story of a run for a terminal: grouped by requirement, worst first, each finding with what proves it."""

import re
import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterator

import jmespath
from jmespath.exceptions import JMESPathError

from conformance import effects
from conformance.catalogue import Edition, Requirement, Source
from conformance.keys import are_brief
from conformance.outcome import Outcome, Verdict, printable
from conformance.profile import Answer, Entitlement, FacilitatorMode, Profile
from conformance.report.document import Report, payments
from conformance.rows import lacking
from conformance.run import Result
from conformance.selector import Const, First, JmesPath, Map, Scalar, Selector
from conformance.target import Process

__all__ = ["header", "last_line", "summary"]

_WIDTH = 116


def header(profile: Profile, edition: Edition, process: Process | None) -> list[str]:
    """Which profile won, which target it names, and where each value came from that its file does not hold."""
    origin = "shipped with pytest-402" if profile.shipped else str(profile.path)
    lines = [f"conformance: {profile.target.name}, profile {profile.name} ({origin}), edition {edition.name}"]
    where = printable(profile.target.base_url)
    lines.append(f"target: {where}" + (f", started by us: {printable(process.command)}" if process else ""))
    lines += [f"  {origin.key}: {origin.source}" for origin in profile.origins]
    return lines


def last_line(report: Report) -> str:
    """The verdict in one line."""
    counts = ", ".join(
        f"{n} {word}" for word, n in [*((str(o), report.count(o)) for o in Outcome), ("not run", report.not_run)] if n
    )
    known = sum(report.results[key].outcome is Outcome.VIOLATED for key in report.known)
    note = f" ({known} known failure{'s' if known != 1 else ''})" if known else ""
    word = f"{report.verdict}{note if report.verdict is Verdict.NOT_CONFORMANT else ''}"
    more = sum(why != "not claimed" for why in report.unjudged.values())
    classes = ", ".join(report.classes) or "no class"
    told = f"{word}: {counts}; judged {classes}" + (f"; {more} more classes not judged" if more else "")
    if allowed := len(set(_allowed(report.profile))):
        told += f"; {allowed} place{'s' if allowed > 1 else ''} of answers where the profile allows what is sensitive"
    if excused := len({(answer.name, fact) for answer, fact, _ in _excused(report.profile)}):
        told += f"; {excused} fact{'s' if excused > 1 else ''} of an envelope waived or said by the profile"
    if lasting := _lasting(report):
        told += f"; {lasting} endpoint{'s' if lasting > 1 else ''} where by the profile a payment opens more than one answer"
    rules = report.profile.idempotency
    if rules and are_brief(rules) and {"idempotency", "flows"} & set(report.classes):
        told += f"; keys that count for {rules.retention} s by the profile, and are judged within that"
    return "; ".join([told, *_wanting(report)])


def _lasting(report: Report) -> int:
    """At how many endpoints the profile's word keeps payments that come again from being judged."""
    if not {"x402/settlement", "x402/durable"} & set(report.classes):
        return 0
    paid = (endpoint for endpoint in report.profile.endpoints if endpoint.protocol == "x402")
    return sum(endpoint.entitlement != Entitlement.ONCE for endpoint in paid)


def _allowed(profile: Profile) -> Iterator[tuple[str, str]]:
    """The rules in use that allow what is sensitive, and where."""
    used = {name for endpoint in profile.endpoints for name in endpoint.answers}
    yield from ((rule.name, at) for rule in profile.answers if rule.name in used for at in rule.allow_sensitive)


def _excused(profile: Profile) -> Iterator[tuple[Answer, str, str]]:
    """The facts that an answer rule in use does not ask of the target, and what the profile says in their place."""
    used = {name for endpoint in profile.endpoints for name in endpoint.answers}
    for answer in profile.answers:
        if answer.name in used:
            yield from ((answer, fact, f"waived: {why}") for fact, why in answer.waive.items())
            for fact, selector in answer.facts.items():
                if (own := _own_word(selector, fact)) is not None:
                    yield answer, fact, f"said by the profile: {own}"


# Facts for which we have words of our own, so that a profile has to say which of them an API means.
_TRANSLATED = {"category", "reason", "unit", "scope"}


def _own_word(selector: Selector, fact: str) -> Scalar | None:
    """What the profile says itself in the place of ``fact``, if only where the target says nothing, or something else."""
    match selector:
        case Const(value=value):
            return value
        case First(selectors=several):
            return next((own for one in several if (own := _own_word(one, fact)) is not None), None)
        case Map(selector=inner, to=to, default=default):
            own = _own_word(inner, fact)
            if own is None:
                return default if fact not in _TRANSLATED or not to else None
            return to.get(str(own), default)
        case JmesPath(expression=expression):
            # What an expression finds in nothing at all, it does not find in the answer.
            return _found_in_nothing(expression)
        case _:
            return None


def _found_in_nothing(expression: str) -> Scalar | None:
    try:
        found = jmespath.search(expression, None)
    except (JMESPathError, TypeError, ValueError, RecursionError):
        return None
    return found if isinstance(found, str | int | float) and found not in ("", False) else None


def _wanting(report: Report) -> Iterator[str]:
    """How many rows nobody claimed and nobody could ask: the word of the verdict does not show it.

    Those that take a browser are left out of a class that is claimed, too.
    """
    lacks = [means for row in report.rows if row.key in report.results and (means := lacking(row, report.profile))]
    # Who has no browser need not be told what else it would take.
    lacks = [{"browser": means["browser"]} if "browser" in means else means for means in lacks]
    if report.profile.claims is not None:
        lacks = [means for means in lacks if "browser" in means]
    if lacks:
        wanted = Counter(need for means in lacks for need in means)
        rows = f"{len(lacks)} row{'s' if len(lacks) > 1 else ''}"
        yield f"{rows} left out for want of {', '.join(need for need, _ in wanted.most_common())}"


def summary(report: Report) -> Iterator[str]:
    """Every line of the story."""
    requirements = {row.requirement.id: row.requirement for row in report.rows}
    by_outcome: dict[Outcome, dict[str, list[Result]]] = defaultdict(lambda: defaultdict(list))
    for row in report.rows:
        if result := report.results.get(row.key):
            by_outcome[result.outcome][row.requirement.id].append(result)
    for id, results in by_outcome[Outcome.VIOLATED].items():
        yield from _story(requirements[id], results, report)
    yield from _errors([result for found in by_outcome[Outcome.ERROR].values() for result in found])
    for id, results in by_outcome[Outcome.UNMET].items():
        yield from _story(requirements[id], results, report)
    yield from _notes([r for found in by_outcome[Outcome.PASSED].values() for r in found if r.finding])
    yield from _unasked(by_outcome, report)
    yield from _payments(report)
    yield from _flows(report)
    yield from _classes(report)


def _story(requirement: Requirement, results: list[Result], report: Report) -> Iterator[str]:
    yield ""
    yield f"{str(results[0].outcome).upper()}  {requirement.id}  {requirement.level}"
    yield f"  {requirement.statement}"
    by_finding: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        by_finding[_told(result)].append(result)
    for same in by_finding.values():
        first, finding = same[0], same[0].finding
        yield f"  at        {', '.join(result.endpoint or 'the target' for result in same)}"
        if finding and finding.expected:
            yield from _wrapped("expected", finding.expected)
            yield from _wrapped("received", finding.received + (f" ({finding.at})" if finding.at else ""))
        if finding and finding.reason:
            yield from _wrapped("reason", finding.reason)
        if finding and finding.steps:
            for number, line in enumerate(finding.steps.split("\n")):
                yield from _wrapped("" if number else "steps", line)
        for result in same:
            if entry := report.known.get((result.requirement, result.endpoint)):
                yield from _wrapped("known", f"{entry.reason} {entry.link} (until {entry.expires})")
        yield from _again(first)
    for source in requirement.sources:
        yield from _source(source)


def _notes(notes: list[Result]) -> Iterator[str]:
    by_requirement: dict[str, list[Result]] = defaultdict(list)
    for note in notes:
        by_requirement[note.requirement].append(note)
    if notes:
        yield ""
        yield "notes (nothing here counts against the target)"
    for id, same in by_requirement.items():
        yield f"  {id} [{', '.join(result.endpoint for result in same)}]: {_told(same[0])}"


def _flows(report: Report) -> Iterator[str]:
    """How often each flow was carried out, what that brought, and whether it was taken back."""
    known = {endpoint.name: endpoint for endpoint in report.profile.endpoints}
    asked = {key: one for result in report.results.values() for key, one in result.exchanges.items()}
    for flow in report.profile.flows:
        own = {key: one for key, one in asked.items() if key.startswith(f"{flow.endpoint}/{flow.name} #")}
        # Steps of one flow show at other endpoints that a probe moves.
        steps, undone = (
            sum(f"/{flow.name} #" in key and f": {what} 1@" in key for key in asked) for what in ("step", "undo")
        )
        served = sum(
            bool(one.response and 200 <= one.response.status < 300)
            and effects.refusal(report.profile, known[flow.endpoint], one.response) is None
            for key, one in own.items()
            if re.search(r": (opened|refused|copy)[^()]*@[^@]*\Z", key)
        )
        if steps:
            yield ""
            yield f'flow "{flow.name}": begun {steps} times and taken back {undone} times, {served} calls of {flow.endpoint} served'


def _payments(report: Report) -> Iterator[str]:
    """How many payments were made, in whose books."""
    exchanges = {key: e for result in report.results.values() for key, e in result.exchanges.items()}
    made = payments(report.profile, exchanges)
    if not made:
        return
    yield ""
    if report.profile.facilitator.mode is FacilitatorMode.SCRIPTED:
        settled = sum(bool(line["charged"]) for line in made)
        yield f"payments: {len(made)}, with throw-away keys; {settled} settled in our own books, no money moved"
        return
    spent: Counter[tuple[str, str]] = Counter()
    for line in made:
        spent[line["network"], line["asset"]] += int(line["amount"]) if line["amount"].isdecimal() else 0
    yield f"payments: {len(made)}, by the profile's payer"
    for (network, asset), amount in spent.items():
        yield f"  at most {amount} of {asset} on {network}"


def _errors(results: list[Result]) -> Iterator[str]:
    """One cause is one story, however many requirements it keeps from being judged."""
    by_reason: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        by_reason[_told(result)].append(result)
    for reason, same in by_reason.items():
        yield ""
        yield f"ERROR  {len(same)} row{'s' if len(same) > 1 else ''} could not be judged"
        finding = same[0].finding
        yield from _wrapped("reason", f"{finding.at}: {reason}" if finding and finding.at else reason)
        yield from _again(same[0])
        yield from _wrapped("rows", ", ".join(f"{r.requirement}{_place(r)}" for r in same))


def _again(result: Result) -> Iterator[str]:
    key = result.evidence[-1].get(result.finding.exchange) if result.evidence and result.finding else None
    if key:
        asked = result.exchanges[key].request
        if asked.http2:
            told = f", the last of {len(asked.before) + 1} on a connection" if asked.before else ""
            yield from _wrapped("frames", f"HTTP/2, its fields in their order{told}:")
            yield from (f"            {line}" for line in asked.frames())
            yield from (f"            (behind the content) {name} {printable(value)}" for name, value in asked.trailers)
        yield f"  again     {printable(result.exchanges[key].again())}"


def _source(source: Source) -> Iterator[str]:
    title = f"{source.title}, {source.section}" if source.section else source.title
    yield from _wrapped("source", f"{title}: “{source.quote}”" if source.quote else title)
    if source.url:
        yield f"            {source.url}"


def _unasked(by_outcome: dict[Outcome, dict[str, list[Result]]], report: Report) -> Iterator[str]:
    lines: list[str] = []
    for outcome in (Outcome.UNTESTABLE, Outcome.INAPPLICABLE):
        groups: dict[str, Counter[str]] = defaultdict(Counter)
        for results in by_outcome[outcome].values():
            for result in results:
                finding = result.finding
                because = f"because of {finding.cause}" if finding and finding.cause else _told(result)
                groups[because][result.requirement] += 1
        for because, ids in groups.items():
            lines.append(f"  {outcome:<13} {because}")
            lines += textwrap.wrap(
                ", ".join(ids), _WIDTH, initial_indent=" " * 16, subsequent_indent=" " * 16, break_on_hyphens=False
            )
    if report.not_run:
        lines.append(f"  not run       {report.not_run} of {len(report.rows)} scored rows")
    if report.unasked:
        lines.append(f"  no check yet  for these parts of the profile: {', '.join(report.unasked)}")
    if lines:
        yield ""
        yield "not asked, and why"
        yield from lines


def _classes(report: Report) -> Iterator[str]:
    yield ""
    for cls, verdict in report.classes.items():
        rows = [row for row in report.rows if row.requirement.cls == cls]
        counts = Counter(
            str(report.results[row.key].outcome) if row.key in report.results else "not run" for row in rows
        )
        yield f"{cls:<15} {verdict:<15} {', '.join(f'{n} {word}' for word, n in counts.most_common())}"
    left: dict[str, list[str]] = defaultdict(list)
    for cls, why in report.unjudged.items():
        left[why].append(cls)
    for why, classes in left.items():
        yield from textwrap.wrap(
            f"not judged ({why}): {', '.join(classes)}", _WIDTH, subsequent_indent="  ", break_on_hyphens=False
        )
    for answer, fact, why in _excused(report.profile):
        yield from _wrapped("excused", f"{fact} of answer {answer.name}, {why}")
    for reservation in report.reservations:
        yield f"incomplete: {printable(reservation)}"
    for stale in report.stale:
        yield f"known failure is stale: {stale}"


def _place(result: Result) -> str:
    return f" [{result.endpoint}]" if result.endpoint else ""


def _told(result: Result) -> str:
    finding = result.finding
    if finding is None:
        return ""
    if finding.expected:
        return printable(f"expected {finding.expected}, received {finding.received} ({finding.at})")
    return printable(finding.reason)


def _wrapped(word: str, text: str) -> Iterator[str]:
    yield from textwrap.wrap(
        printable(text), _WIDTH, initial_indent=f"  {word:<9} ", subsequent_indent=" " * 12, break_on_hyphens=False
    )
