"""The tables of refusals without any protocol: each fault is seen, no legal variant is, and silence is no proof."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fault_credits import CREDITS
from fault_decline import DECLINE
from fault_family import FAMILY
from fault_paywall import PAYWALL
from judging import FAMILIES, Edit, judged_market, of_families
from legal_family import FAMILY as LEGAL_FAMILY
from legal_refusal import REFUSAL
from legal_shape import SHAPE
from market import ARCHIVE, CHARGES, EVERYWHERE, MarketFault, MarketLegal, MarketUnproven, claims, facts, rule, waive
from serving import Altered, refusals, served
from unproven_family import UNPROVEN
from variant import both

from conformance import catalogue
from conformance.catalogue import Level
from conformance.outcome import Outcome, Verdict
from conformance.report.terminal import last_line

Server = tuple[Altered, str]
REQUIREMENTS = catalogue.load().requirements
FAULTS: tuple[MarketFault, ...] = (*FAMILY, *PAYWALL, *CREDITS, *DECLINE)
LEGAL: tuple[MarketLegal, ...] = (*LEGAL_FAMILY, *SHAPE, *REFUSAL)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served() as found:
        yield found


def a_name(entry: MarketFault | MarketLegal | MarketUnproven) -> str:
    return entry.name


@pytest.mark.parametrize("fault", FAULTS, ids=a_name)
def test_a_fault_of_a_family_turns_red_what_the_table_says(fault: MarketFault, server: Server) -> None:
    """Exactly the listed requirements break, at each endpoint something does, and what cannot be asked follows."""
    run = judged_market(
        server,
        at=fault.at,
        classes=claims(fault.at, fault.red),
        change=fault.does,
        edit=fault.edit,
        envelopes=fault.envelopes,
    )
    told = {f"{r.requirement} at {r.endpoint!r}: {r.finding}" for r in run.red()}
    assert {r.requirement for r in run.red()} == fault.red, told
    assert {r.endpoint for r in run.red()} == (set(fault.at) if fault.red else set()), told
    assert {r.requirement for r in run.of(Outcome.ERROR)} == fault.errors
    causes = {(r.requirement, r.finding and r.finding.cause) for r in run.of(Outcome.UNTESTABLE)}
    assert {cause for _, cause in causes} <= fault.red | fault.errors, causes
    if any(REQUIREMENTS[id].level is Level.MUST for id in fault.red):
        assert run.verdict is Verdict.NOT_CONFORMANT
    else:
        assert run.verdict is (Verdict.INCOMPLETE if fault.errors else Verdict.CONFORMANT)


@pytest.mark.parametrize("legal", LEGAL, ids=a_name)
def test_a_legal_variant_of_a_family_turns_red_nothing(legal: MarketLegal, server: Server) -> None:
    """Every requirement holds or does not apply, and the verdict is the best."""
    run = judged_market(
        server,
        at=legal.at,
        classes=claims(legal.at),
        change=legal.does,
        edit=legal.edit,
        envelopes=legal.envelopes,
    )
    wrong = run.of(Outcome.VIOLATED, Outcome.UNMET, Outcome.ERROR, Outcome.UNTESTABLE)
    assert [f"{r.requirement} at {r.endpoint!r}: {r.outcome}: {r.finding}" for r in wrong] == []
    assert {r.requirement for r in run.red()} == legal.notes
    assert run.verdict is Verdict.CONFORMANT


@pytest.mark.parametrize("unproven", UNPROVEN, ids=a_name)
def test_what_a_profile_does_not_say_of_a_refusal_is_not_said_to_hold(unproven: MarketUnproven, server: Server) -> None:
    """Nothing is red, exactly what lacks a selector is untestable, and one such MUST keeps a run from conformant."""
    run = judged_market(
        server,
        at=unproven.at,
        classes=unproven.classes or claims(unproven.at),
        change=unproven.does,
        edit=unproven.edit,
        envelopes=unproven.envelopes,
    )
    assert [f"{r.requirement} at {r.endpoint!r}: {r.finding}" for r in run.red() + run.of(Outcome.ERROR)] == []
    assert {r.requirement for r in run.of(Outcome.UNTESTABLE)} == unproven.untestable
    must = any(REQUIREMENTS[id].level is Level.MUST for id in unproven.untestable)
    assert run.verdict is (Verdict.INCOMPLETE if must else Verdict.CONFORMANT)


def test_the_refusals_of_the_sandbox_are_conformant(server: Server) -> None:
    """Of http and all three families nothing is red, nothing is untestable, and every row was asked."""
    run = judged_market(server, at=EVERYWHERE, classes=("http", *FAMILIES), envelopes=True)
    assert run.red() == run.of(Outcome.ERROR, Outcome.UNTESTABLE) == []
    assert run.verdict is Verdict.CONFORMANT
    assert run.report.not_run == 0


def _said(**words: str) -> dict[str, dict[str, str]]:
    return {name: {"const": word} for name, word in words.items()}


_ALL_SAID = both(
    rule("paywall", when=None),
    facts("paywall", **dict.fromkeys(("amount", "currency", "interval"))),
    facts("paywall", **_said(code="paid", message="Somebody has to pay.", remedy="https://a.example/", request_id="1")),
    facts("paywall", reason={"first": ["/reason", {"const": "payment_required"}]}),
)
_ALL_MADE_UP = both(
    _ALL_SAID,
    facts(
        "paywall",
        code="jmespath: 'paid'",
        message={"map": "header: Date", "to": {}, "else": "Somebody has to pay."},
        remedy={"map": "header: Date", "to": {"never": "x"}, "else": "https://a.example/"},
        request_id="jmespath: type(@)",
        reason=None,
    ),
)
_ALL_WAIVED = both(
    rule("decline", when=None, facts={}),
    waive(
        "decline", **dict.fromkeys(("code", "message", "request_id", "decline_code", "category"), "it is a bare 402")
    ),
    waive("decline", payment_ref="it is a bare 402"),
)


@pytest.mark.parametrize(
    ("at", "edit", "excused"),
    [
        pytest.param(ARCHIVE, _ALL_SAID, 5, id="said by the profile"),
        pytest.param(ARCHIVE, _ALL_MADE_UP, 4, id="made up of nothing"),
        pytest.param(CHARGES, _ALL_WAIVED, 6, id="waived"),
    ],
)
def test_what_is_judged_by_the_word_of_the_profile_stands_in_the_last_line(
    at: tuple[str, ...], edit: Edit, excused: int, server: Server
) -> None:
    """A bare 402 is conformant where the profile speaks for it, and whoever reads one line knows that it does."""
    run = judged_market(
        server, at=at, classes=claims(at), change=refusals(lambda answer: answer.become(402)), edit=edit
    )
    assert run.verdict is Verdict.CONFORMANT
    assert re.search(rf"; {excused} facts of an envelope waived or said by the profile", last_line(run.report))


def test_a_sandbox_that_speaks_for_itself_has_no_such_words_in_the_last_line(server: Server) -> None:
    """Where every fact is looked for, the last line says nothing of waivers."""
    run = judged_market(server, at=EVERYWHERE, classes=FAMILIES)
    assert "waived" not in last_line(run.report)


@pytest.mark.parametrize("demand", ["{}", "true", '{"properties": {"never": {"type": "string"}}}'])
def test_a_schema_that_demands_nothing_is_not_said_to_be_kept(server: Server, tmp_path: Path, demand: str) -> None:
    """What takes any body says nothing of this one."""
    (tmp_path / "any.json").write_text(demand)
    run = judged_market(server, at=ARCHIVE, classes=("paywall",), edit=rule(schema=str(tmp_path / "any.json")))
    assert {r.requirement for r in run.of(Outcome.UNTESTABLE)} == {"paywall.own-schema"}


def test_what_a_profile_allows_to_be_sensitive_stands_in_the_last_line(server: Server) -> None:
    """Whoever reads one line knows that something was not looked at."""
    run = judged_market(server, at=ARCHIVE, classes=("paywall",), edit=rule(allow_sensitive=["/payer", "/card/number"]))
    assert "; 2 places of answers where the profile allows what is sensitive" in last_line(run.report)


def test_a_quota_that_is_declared_as_429_is_not_waited_out(server: Server) -> None:
    """A 429 that the profile declares is the refusal itself, for HEAD and the sanity requests as well."""

    def change(_: Any, answer: Any) -> None:
        answer.status = 429 if answer.status == 402 else answer.status

    edit = rule("credits", status=[429])
    run = judged_market(server, at=("lookup",), classes=("http", "credits"), change=change, edit=edit)
    assert run.verdict is Verdict.CONFORMANT
    assert run.report.ended - run.report.began < 10
    assert {exchange.failure for exchange in run.report.sanity.values()} == {None}


def test_every_scored_requirement_of_a_family_has_a_fault() -> None:
    """No check on a refusal that an edition scores is one that cannot fail."""
    assert {id for fault in FAULTS for id in fault.red if not id.startswith("http.")} == of_families()


def test_every_allowed_phrase_of_a_family_has_a_variant() -> None:
    """Each ``allowed`` of a row on refusals is shown by a variant, and no variant names one that is not there."""
    allowed = {f"{id}: {phrase}" for id in of_families() for phrase in REQUIREMENTS[id].allowed}
    assert {phrase for legal in LEGAL for phrase in legal.allows} == allowed


def test_no_two_entries_of_families_have_the_same_name() -> None:
    """A name in a report of this suite means one entry of the tables."""
    names = [entry.name for entry in (*FAULTS, *LEGAL, *UNPROVEN)]
    assert len(set(names)) == len(names)
