"""Starts, in whole runs: servers that read ``/supported``, and what they make of one that is out of order."""

import shlex
import socket
from pathlib import Path

import pytest
from sessions import Ran, nested, profile

from conformance import catalogue

LISTS = Path(__file__).parent / "starts" / "lists.py"
CLAIMS = '[claims]\nclasses = ["x402/durable"]\n'
PAID = '[facilitator]\nmode = "scripted"\n'
DOWN, CHANGES = "x402.durable.down-at-start", "x402.durable.supported-changes"

FAULTS = {
    # x402 issue 1692.
    "open": {DOWN},
    "takes-any-payment": {DOWN},
    "offers-nothing-takes-any-payment": {DOWN},
    "unready-open": {DOWN},
    "changed-opens": {CHANGES},
    "changed-takes-any-payment": {CHANGES},
    "changed-500": {CHANGES},
    "changed-dies": {CHANGES},
}
"""Habit of a server -> the requirements that it breaks, all of them."""

LEGAL = {
    "exits": {f"{DOWN}: a server that does not start", f"{CHANGES}: the offers of the last start"},
    "500-or-502": {f"{DOWN}: 500, 502 or 503"},
    "unready-503": {f"{DOWN}: 500, 502 or 503"},
    "changed-drops": {f"{CHANGES}: an offer without the kind that is gone"},
    "changed-503": {f"{CHANGES}: 503, where no way to pay is left"},
}
"""Habit of a server that breaks nothing -> what the catalogue says of it."""


def _run(
    folder: Path, habit: str, *, base_url: str = "http://127.0.0.1:{port}", port: str = "{port}", more: str = ""
) -> Ran:
    """A run of what is judged of a start."""
    start = (
        f'timeout = 5.0\n[target.start]\ncommand = "{{python}} {shlex.quote(str(LISTS))} {habit} {port}"\n'
        'ready = "/health"\nrestart = true\nenv = { FACILITATOR_URL = "{facilitator}" }\n'
    )
    only = [f"--conformance-only={requirement}" for requirement in (DOWN, CHANGES)]
    return nested(folder, *only, text=profile(base_url, claims=CLAIMS, target=start, more=PAID + more))


def _said(ran: Ran, outcome: str) -> dict[str, str]:
    """Requirement -> the finding, as far as it came to ``outcome``."""
    found = [result for result in ran.report["results"] if result["outcome"] == outcome]
    return {r["requirement"]: " ".join(str(v) for v in (r["finding"] or {}).values()) for r in found}


@pytest.mark.parametrize("habit", FAULTS)
def test_a_faulty_start_turns_red_what_the_table_says_and_nothing_else(habit: str, tmp_path: Path) -> None:
    """The other requirement of the class holds."""
    ran = _run(tmp_path, habit)
    told = _said(ran, "violated") | _said(ran, "unmet")
    red = set(told)
    assert red == FAULTS[habit], ran.out
    assert {*_said(ran, "passed")} == {DOWN, CHANGES} - red, ran.out
    # A vendor sees to whom the server was open, and when.
    whom = (
        "a forged payment"
        if "payment" in habit
        else "500"
        if "500" in habit
        else "no "
        if "changed" in habit
        else "without"
    )
    assert all(whom in text and "/supported of its facilitator" in text for text in told.values()), told
    # To leave refusals as they are is a SHOULD; and it is a part of a run.
    assert ran.verdict == ("not conformant" if DOWN in red else "incomplete")


@pytest.mark.parametrize("habit", LEGAL)
def test_a_legal_start_turns_red_nothing(habit: str, tmp_path: Path) -> None:
    """Both requirements hold."""
    ran = _run(tmp_path, habit)
    assert {*_said(ran, "passed")} == {DOWN, CHANGES}, ran.out


def test_whatever_the_catalogue_allows_is_a_legal_start() -> None:
    """Each ``allowed`` of the two is shown by a server, and no server names one that is not there."""
    rows = [r for r in catalogue.load().judged() if r.id in {DOWN, CHANGES}]
    assert {f"{r.id}: {phrase}" for r in rows for phrase in r.allowed} == set().union(*LEGAL.values())
    assert {r.id for r in rows} == set().union(*FAULTS.values())


def test_an_instance_that_is_asked_too_much_is_not_broken(tmp_path: Path) -> None:
    """It is asked while the target is, and both may count requests in one place: nothing is said of what follows."""
    ran = _run(tmp_path, "changed-429", more="[limits]\nmax_wait = 0.6\n")
    told = _said(ran, "error")
    assert set(told) == {CHANGES}, ran.out
    assert "429 persists" in told[CHANGES]
    assert {*_said(ran, "passed")} == {DOWN}


@pytest.mark.parametrize(
    ("habit", "why"),
    [
        ("knows-no-facilitator", "is {facilitator} what it uses?"),
        ("gives-away", "serves 'weather' unpaid, whatever its facilitator says"),
    ],
)
def test_a_start_that_is_not_well_under_a_good_facilitator_proves_nothing(habit: str, why: str, tmp_path: Path) -> None:
    """Nothing is said of a server whose refusals may have another reason."""
    ran = _run(tmp_path, habit)
    untestable = _said(ran, "untestable")
    assert set(untestable) == {DOWN, CHANGES}, ran.out
    assert all(why in reason for reason in untestable.values()), untestable
    assert ran.verdict == "incomplete"


def test_a_server_on_a_fixed_port_is_told_why_no_second_one_starts(tmp_path: Path, free_port: int) -> None:
    """Two instances need two ports."""
    ran = _run(tmp_path, "exits", base_url=f"http://127.0.0.1:{free_port}", port=str(free_port))
    reasons = _said(ran, "untestable")
    assert set(reasons) == {DOWN, CHANGES}, ran.out
    assert all("another instance of the target does not start" in reason for reason in reasons.values())
    assert all("write {port} in target.base_url" in reason for reason in reasons.values())


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found
