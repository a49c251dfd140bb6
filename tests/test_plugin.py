"""The plugin as a user meets it: options, node ids, reports, and what never reaches a screen."""

import base64
import html
import json
import os
import re
import signal
import stat
import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from sessions import nested, paid_profile, profile, runs, sandbox, session, started
from vices import Line, vicious

from conformance import catalogue, checks, collect
from conformance import session as run_session

AN_ID = "conformance/checks/offer.py::test_amount_is_a_string[weather]"
WRONG = ('amount = "10000"', 'amount = "10001"')


@pytest.fixture(scope="module")
def here() -> Iterator[str]:
    """The address of a correct target."""
    with sandbox() as base_url:
        yield base_url


def listed(out: str) -> list[str]:
    """The node ids in the output of --collect-only -q."""
    return [line for line in out.splitlines() if "::" in line]


def test_node_ids_are_those_of_the_checks(tmp_path: Path) -> None:
    """A row is the file and function of its check, the endpoint in brackets; classes without an endpoint have none."""
    expected = []
    for path, found in checks.load().items():
        for check in found:
            requirement = catalogue.load().requirements[check.requirement]
            if requirement.cls in {"paywall", "credits", "decline", "crawl", "flows", "idempotency", "openapi"}:
                continue
            where = "[weather]" if requirement.scope == "endpoint" else ""
            expected.append(f"conformance/checks/{path.name}::{check.name}{where}")
    everything = paid_profile(claims="", target="restart = true\n")
    assert listed(nested(tmp_path, "--co", "-q", text=everything).out) == expected
    assert AN_ID in expected
    assert "conformance/checks/site.py::test_unknown_path_is_not_402" in expected


def test_every_node_id_can_be_pasted_back(tmp_path: Path, here: str) -> None:
    """All the ids of a listing, given as arguments, are the whole run."""
    text = profile(here)
    ids = listed(nested(tmp_path, "--co", "-q", text=text).out)
    ran = nested(tmp_path, *ids, text=text)
    assert (ran.code, ran.verdict) == (0, "conformant")
    assert None not in ran.outcomes.values()


@pytest.mark.parametrize("form", ["as printed", "absolute"])
def test_one_node_id_runs_one_row(tmp_path: Path, here: str, form: str) -> None:
    """From whatever folder, relative or absolute, with an address of its own for the profile."""
    file = tmp_path / "small.toml"
    file.write_text(profile(here), "utf-8")
    folder = tmp_path / "some" / "where else"
    folder.mkdir(parents=True)
    given = {
        "as printed": AN_ID,
        "absolute": f"{collect.CHECKS / 'offer.py'}::test_amount_is_a_string[weather]",
    }[form]
    ran = nested(folder, f"--conformance-profile={file}", "--conformance-report=report.json", given)
    assert [key for key, outcome in ran.outcomes.items() if outcome] == ["x402.offer.amount-is-a-string weather"], (
        ran.out
    )
    assert (ran.code, ran.verdict) == (1, "incomplete")


def test_rows_are_selected_as_in_any_suite(tmp_path: Path, here: str) -> None:
    """-k by name or requirement id, -m by level, --deselect by node id, --conformance-only by prefix."""
    text = profile(here)
    levels = {r.id: r.level for r in catalogue.load().judged()}

    def asked(*args: str) -> set[str]:
        ran = nested(tmp_path, *args, text=text)
        assert ran.code == 1
        return {key.split()[0] for key, outcome in ran.outcomes.items() if outcome}

    everything = {key.split()[0] for key in nested(tmp_path, text=text).outcomes}
    musts = {id for id in everything if levels[id] == "MUST"}
    assert asked("-m", "must") == musts
    assert asked("-m", "not must") == everything - musts
    assert asked("-k", "test_amount_is_a_string") == {"x402.offer.amount-is-a-string"}
    assert asked("-k", "x402.offer.amount-is-a-string") == {"x402.offer.amount-is-a-string"}
    assert asked("--deselect", AN_ID) == everything - {"x402.offer.amount-is-a-string"}
    assert asked("--conformance-only=x402.terms") == {id for id in everything if id.startswith("x402.terms")}


def test_an_unknown_requirement_is_refused(tmp_path: Path, here: str) -> None:
    """A prefix that selects nothing is a typing error, and the areas are named."""
    ran = nested(tmp_path, "--conformance-only=x4O2", text=profile(here))
    assert ran.code == 4
    assert "no requirement id begins with that" in ran.out
    assert "x402.offer" in ran.out


def test_a_path_of_the_user_is_refused(tmp_path: Path, here: str) -> None:
    """The user's own tests do not run here, and the sentence says why and where they do."""
    (tmp_path / "test_own.py").write_text("def test_own():\n    pass\n", "utf-8")
    for given in ("test_own.py", ".", "conformance/checks/nothing.py", str(tmp_path)):
        ran = nested(tmp_path, given, text=profile(here))
        assert ran.code == 4
        assert "run your own tests in a session of their own" in ran.out
        assert "Traceback" not in ran.out


def test_an_id_that_no_check_has_is_an_error(tmp_path: Path, here: str) -> None:
    """A function or endpoint that does not exist is not an empty run."""
    for given in ("offer.py::test_nothing[weather]", "offer.py::test_amount_is_a_string[tomorrow]"):
        ran = nested(tmp_path, f"conformance/checks/{given}", text=profile(here))
        assert ran.code == 4
        assert "not found" in ran.out


def test_junit_says_what_each_row_is(tmp_path: Path, here: str) -> None:
    """Properties name requirement, level, class, endpoint and outcome; a violation fails, an unmet row is an xfail."""
    text = profile(here).replace(*WRONG)

    def spoiled(line: Line) -> None:
        # A preflight that is refused is a SHOULD that is not met.
        line.status = b"HTTP/1.1 404 Not Found" if line.asked.startswith(b"OPTIONS ") else line.status
        line.correct()

    with vicious(spoiled) as served:
        ran = nested(tmp_path, "--junitxml=junit.xml", text=text.replace(here, served.base_url))
    cases = {}
    for case in ET.parse(tmp_path / "junit.xml").iter("testcase"):
        told = {p.attrib["name"]: p.attrib["value"] for p in case.iter("property")}
        assert set(told) == {"requirement", "level", "class", "endpoint", "outcome"}
        cases[f"{told['requirement']} {told['endpoint']}"] = (told, case)
    assert {key: told["outcome"] for key, (told, _) in cases.items()} == ran.outcomes
    assert {"violated", "unmet", "passed", "inapplicable"} <= set(ran.outcomes.values())
    levels = {r.id: str(r.level) for r in catalogue.load().judged()}
    for told, case in cases.values():
        assert told["level"] == levels[told["requirement"]]
        ends = {child.tag: child.attrib.get("type") for child in case if child.tag != "properties"}
        assert (
            ends
            == {
                "passed": {},
                "violated": {"failure": None},
                "unmet": {"skipped": "pytest.xfail"},
                "inapplicable": {"skipped": "pytest.xfail"},
            }[told["outcome"]]
        )


def test_workers_come_to_the_same(tmp_path: Path, here: str) -> None:
    """With pytest-xdist every outcome, the verdict and the status are those of a run without."""
    pytest.importorskip("xdist")
    text = profile(here).replace(*WRONG)
    plain, spread = nested(tmp_path, text=text), session(tmp_path, "-p", "xdist", "-n2", text=text)
    assert spread.outcomes == plain.outcomes
    assert (spread.code, spread.verdict) == (plain.code, plain.verdict) == (1, "not conformant")


def test_workers_share_what_we_started(tmp_path: Path) -> None:
    """One server and one facilitator for all of them; one worker asks at an endpoint, and no other moves its witness."""
    pytest.importorskip("xdist")
    claims = '[claims]\nclasses = ["x402/guard", "x402/settlement", "x402/order", "x402/durable"]\n'
    text = paid_profile(claims=claims, target="restart = true\nreplicas = 2\n")
    ran = session(tmp_path, "-p", "xdist", "-n2", text=text, within=300)
    assert (ran.code, ran.verdict) == (0, "conformant"), ran.out
    # A requirement on what a target does when it starts, or remembers then, has instances of its own.
    apart = ("*/start ", "*/instances, ", "*/first: ", "*/again: ")
    shared = {key: exchange for key, exchange in ran.report["exchanges"].items() if not key.startswith(apart)}
    assert len({exchange["request"]["url"].split("/")[2] for exchange in shared.values()}) == 1
    paid = {key: exchange["paid"] for key, exchange in shared.items() if "paid" in exchange}
    assert {key.rpartition("@")[2] for key, note in paid.items() if note["calls"]} == {"gw0", "gw1"}
    assert len({key.rpartition("@")[2] for key in shared if key.startswith("weather/")}) == 1
    order = [row for row in ran.report["results"] if row["class"] == "x402/order"]
    assert {row["outcome"] for row in order} == {"passed", "inapplicable"}
    payers = [line["payer"] for line in ran.report["payments"]]
    assert len(set(payers)) == len(payers)


def test_the_shipped_sandbox_is_judged_from_any_folder(tmp_path: Path) -> None:
    """A part of the first command of the documentation, with every plugin that happens to be installed."""
    args = ("--conformance-profile=sandbox", "--conformance-report=report.json", "--conformance-only=x402.offer")
    ran = session(tmp_path, *args, lean=False)
    assert (ran.code, ran.verdict) == (1, "incomplete"), ran.out
    assert set(ran.outcomes.values()) == {"passed", "inapplicable", None}
    assert "shipped with pytest-402" in ran.out
    assert "started by us" in ran.out
    assert [path.name for path in tmp_path.iterdir() if path.name != ".pytest_cache"] == ["report.json"]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("small", 'edition = "2026.11"\nendpoin = 1\n', "endpoin"),
        ("small", "edition = \n", "TOML"),
        ("small", "", "endpoint"),
        ("smal", "", "smal"),
        ("nowhere/small.toml", "", "nowhere/small.toml"),
        ("/etc/passwd", "", "/etc/passwd"),
        ("", "", "--conformance-profile"),
        (" ", "", "no profile of this name"),
    ],
)
def test_a_bad_profile_is_one_sentence_and_status_4(tmp_path: Path, name: str, text: str, says: str) -> None:
    """A mistake in the profile is told by file and key, without a traceback, before anything is asked."""
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "small.toml").write_text(text, "utf-8")
    ran = nested(tmp_path, f"--conformance-profile={name}")
    assert ran.code == 4, ran.out
    assert says in ran.out
    assert "Traceback" not in ran.out
    assert "INTERNALERROR" not in ran.out


def test_a_target_that_does_not_start_is_told_with_its_log(tmp_path: Path) -> None:
    """Exit status 4, the command, and the end of what it logged; what the log holds of secrets is not repeated."""
    (tmp_path / "bad.py").write_text(
        "import os\nprint('x\\x1b[31m', os.environ['SMALL_KEY'])\nraise SystemExit(3)\n", "utf-8"
    )
    start = '[target.start]\ncommand = "{python} bad.py {port}"\ncwd = ".."\n'
    key = 'headers = { X-Api-Key = { env = "SMALL_KEY" } }\n'
    text = profile("http://127.0.0.1:{port}", target=key + start)
    ran = nested(tmp_path, text=text, env={"SMALL_KEY": "not-to-be-told"})
    assert ran.code == 4, ran.out
    assert "it ended with status 3 before it was ready" in ran.out
    assert "Traceback" not in ran.out
    assert "not-to-be-told" not in ran.out
    assert "\x1b" not in ran.out


def test_a_command_that_does_not_exist_is_one_sentence(tmp_path: Path) -> None:
    """Exit status 4, with the key and the command."""
    text = profile("http://127.0.0.1:{port}", target='[target.start]\ncommand = "no-such-command-402"\n')
    ran = nested(tmp_path, text=text)
    assert ran.code == 4
    assert "target.start.command: no-such-command-402 cannot be started" in ran.out
    assert "Traceback" not in ran.out


def test_a_target_that_we_started_is_stopped(tmp_path: Path) -> None:
    """After a whole run, and after Ctrl-C in the middle of one, no process is left."""
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "serve.py").write_text(
        "import os, pathlib, sys\npathlib.Path('pid').write_text(str(os.getpid()))\n"
        "from conformance.sandbox import serve\nserve(int(sys.argv[1]))\n",
        "utf-8",
    )
    start = '[target.start]\ncommand = "{python} serve.py {port}"\nready = "/health"\n'
    text = profile("http://127.0.0.1:{port}", target=start)
    ran = session(tmp_path, text=text)
    assert (ran.code, ran.verdict) == (0, "conformant"), ran.out
    assert not alive(tmp_path / "profiles" / "pid")
    (tmp_path / "interrupt.py").write_text("def pytest_runtest_call(item):\n    raise KeyboardInterrupt\n", "utf-8")
    ran = session(tmp_path, "-p", "interrupt", text=text, env={"PYTHONPATH": str(tmp_path)})
    assert ran.code == 2, ran.out
    assert not alive(tmp_path / "profiles" / "pid")


def alive(file: Path) -> bool:
    """Whether the process whose id ``file`` holds still runs; the file is taken away."""
    pid = int(file.read_text("utf-8"))
    file.unlink()
    return runs(pid)


FAMILY = """\
import os, pathlib, signal, subprocess, sys
pathlib.Path("parent").write_text(str(os.getpid()))
ignoring = lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-m", "conformance", "sandbox", "--port", sys.argv[1]], preexec_fn=ignoring)
pathlib.Path("child").write_text(str(child.pid))
child.wait()
"""
"""A server whose worker does not heed SIGTERM and outlives it."""


def started_by_us(folder: Path, command: str, script: str = "") -> str:
    """A profile whose target is started by ``command``, with ``script`` beside it as serve.py."""
    (folder / "profiles").mkdir(exist_ok=True)
    (folder / "profiles" / "serve.py").write_text(script, "utf-8")
    return profile("http://127.0.0.1:{port}", target=f"[target.start]\ncommand = {command}\nready = '/health'\n")


def test_what_a_target_started_is_stopped_too(tmp_path: Path) -> None:
    """A worker that does not heed SIGTERM does not outlive the run, although its parent is gone before it."""
    ran = session(tmp_path, text=started_by_us(tmp_path, "'{python} serve.py {port}'", FAMILY))
    assert (ran.code, ran.verdict) == (0, "conformant"), ran.out
    assert not alive(tmp_path / "profiles" / "parent")
    assert not alive(tmp_path / "profiles" / "child")


def test_a_target_that_ends_by_itself_is_not_judged_to_the_end(tmp_path: Path) -> None:
    """Somebody else answered the rest: nobody knows who, so the run is incomplete."""
    (tmp_path / "kill.py").write_text(
        "import os, pathlib\n\ndef pytest_runtest_call():\n    file = pathlib.Path('profiles/parent')\n"
        "    if file.exists():\n        pid = int(file.read_text())\n        file.unlink()\n        os.kill(pid, 9)\n"
        "        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)\n",
        "utf-8",
    )
    text = started_by_us(tmp_path, "'{python} serve.py {port}'", FAMILY)
    ran = session(tmp_path, "-p", "kill", text=text, env={"PYTHONPATH": str(tmp_path)})
    assert (ran.code, ran.verdict) == (1, "incomplete"), ran.out
    assert "the target that we started ended by itself with status -9" in ran.out
    assert set(ran.outcomes.values()) <= {"passed", "inapplicable"}
    assert not alive(tmp_path / "profiles" / "child")


def test_a_target_that_goes_into_the_background_is_stopped(tmp_path: Path) -> None:
    """A command that ends before it is ready leaves nothing behind."""
    command = "\"sh -c 'sleep 120 & echo $! > child; exit 0'\""
    ran = session(tmp_path, text=started_by_us(tmp_path, command))
    assert (ran.code, ran.report) == (4, {}), ran.out
    assert "it ended with status 0 before it was ready" in ran.out
    assert not alive(tmp_path / "profiles" / "child")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_of_a_run_that_is_broken_off(tmp_path: Path, how: signal.Signals) -> None:
    """Ctrl-C, and the SIGTERM of a pipeline whose time is up, while the target is not ready and in the middle of a run."""
    waiting = "import os, signal\nopen('child', 'w').write(str(os.getpid()))\nsignal.pause()\n"
    text = started_by_us(tmp_path, "'{python} serve.py {port}'", waiting)
    (tmp_path / "profiles" / "small.toml").write_text(text, "utf-8")
    os.mkfifo(tmp_path / "profiles" / "child")
    child = started(tmp_path, "--conformance-profile=small")
    pid = int((tmp_path / "profiles" / "child").read_text("utf-8"))
    child.send_signal(how)
    out, _ = child.communicate(timeout=20)
    assert (child.returncode, runs(pid)) == (2, False), out
    (tmp_path / "profiles" / "child").unlink()
    (tmp_path / "end.py").write_text(
        f"import os\n\ndef pytest_runtest_call():\n    os.kill(os.getpid(), {how})\n", "utf-8"
    )
    text = started_by_us(tmp_path, "'{python} serve.py {port}'", FAMILY)
    ran = session(tmp_path, "-p", "end", text=text, env={"PYTHONPATH": str(tmp_path)})
    assert (ran.code, ran.verdict) == (2, "incomplete"), ran.out
    assert not alive(tmp_path / "profiles" / "parent")
    assert not alive(tmp_path / "profiles" / "child")


def test_what_was_done_on_sigterm_is_done_again(tmp_path: Path) -> None:
    """The handler of whoever runs pytest inside a program of theirs is back after the run."""
    before = signal.getsignal(signal.SIGTERM)
    assert nested(tmp_path, "--conformance-profile=sandbox", "--conformance-only=http.date").code == 1
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_server_that_is_already_there_is_not_taken_for_ours(tmp_path: Path, here: str) -> None:
    """Yesterday's build on the same port is not judged in the place of the one that could not start."""
    text = profile(here, target="[target.start]\ncommand = 'sleep 300'\nready = '/health'\n")
    ran = nested(tmp_path, text=text)
    assert (ran.code, ran.report) == (4, {}), ran.out
    assert f"target.start: somebody answers at {here}/health before the target is started" in ran.out
    assert "Traceback" not in ran.out


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("'serve \"x'", "whose quotes or escapes are not closed"),
        ("' '", "which names no program"),
        ("\"''\"", "no program"),
    ],
)
def test_a_command_that_is_none_is_one_sentence(tmp_path: Path, command: str, says: str) -> None:
    """Exit status 4, with the file, the key and what it holds."""
    ran = nested(tmp_path, text=started_by_us(tmp_path, command))
    assert (ran.code, ran.report) == (4, {}), ran.out
    assert "profiles/small.toml: target.start.command is " in ran.out
    assert says in ran.out
    assert "Traceback" not in ran.out


def test_only_our_words_are_filled_in(tmp_path: Path) -> None:
    """Braces of awk and of JSON reach the target as they stand."""
    command = """\"{python} serve.py '{print $1}' {port} {} {0} {{port}}\"\nenv = { CFG = '{\"a\": \"{port}\"}' }"""
    told = "import os, sys\nprint(sys.argv[1:], os.environ['CFG'])\nraise SystemExit(3)\n"
    ran = nested(tmp_path, text=started_by_us(tmp_path, command, told))
    assert ran.code == 4, ran.out
    said = r"""\['\{print \$1\}', '(\d+)', '\{\}', '\{0\}', '\{\1\}'\] \{"a": "\1"\}"""
    assert re.search(said, ran.out), ran.out


def test_the_header_says_where_values_come_from(tmp_path: Path, here: str) -> None:
    """The file that won, the target, and each variable by name; the value of a secret is not shown."""
    text = profile(here, target='headers = { X-Api-Key = { env = "SMALL_KEY" } }').replace(
        f'"{here}"', f'{{ env = "SMALL_URL", default = "{here}" }}'
    )
    ran = nested(tmp_path, "--co", text=text, env={"SMALL_KEY": "not-to-be-told"})
    assert f"profile small ({tmp_path / 'profiles' / 'small.toml'}), edition 2026.11" in ran.out
    assert f"target: {here}" in ran.out
    assert "target.base_url: default of SMALL_URL" in ran.out
    assert "target.headers.X-Api-Key: environment SMALL_KEY" in ran.out
    assert "not-to-be-told" not in ran.out
    ran = nested(tmp_path, "--co", text=text, env={"SMALL_KEY": "not-to-be-told", "SMALL_URL": "http://127.0.0.1:9"})
    assert "target: http://127.0.0.1:9" in ran.out
    assert "target.base_url: environment SMALL_URL" in ran.out


@pytest.mark.parametrize("lean", [True, False])
def test_without_the_option_nothing_is_imported(tmp_path: Path, lean: bool) -> None:
    """A session of another project sees one module of ours, and of what we need only pytest."""
    (tmp_path / "test_own.py").write_text(
        "import sys\n\ndef test_own():\n"
        "    ours = {m for m in sys.modules if m.split('.')[0] in {'conformance', 'pytest_402'}}\n"
        "    assert ours == {'pytest_402'}\n"
        + ("    assert not {'httpx', 'hypothesis', 'jsonschema', 'cattrs', 'starlette'} & set(sys.modules)\n" * lean),
        "utf-8",
    )
    ran = session(tmp_path, lean=lean)
    assert ran.code == 0, ran.out
    assert "1 passed" in ran.out
    assert "conformance" not in ran.out.replace(str(tmp_path), "")


@pytest.mark.parametrize("option", ["--conformance-report=r.json", "--conformance-only=x402"])
def test_an_option_without_a_profile_is_refused(tmp_path: Path, option: str) -> None:
    """A report of nothing would look like a report."""
    ran = nested(tmp_path, option)
    assert ran.code == 4
    assert "needs --conformance-profile=NAME" in ran.out
    assert list(tmp_path.glob("*.json")) == []


def test_a_report_that_cannot_be_written_is_said_before_the_run(tmp_path: Path) -> None:
    """A folder that does not exist, and a folder in place of a file, are found before the target is asked."""
    for path in ("nowhere/report.json", "profiles"):
        with vicious(Line.correct) as served:
            ran = nested(tmp_path, f"--conformance-report={path}", text=profile(served.base_url))
            assert ran.code == 4, ran.out
            assert "--conformance-report" in ran.out
            assert "Traceback" not in ran.out
            assert served.asked == []


@pytest.mark.parametrize(
    "args",
    [
        ("--conformance-profile=bad",),
        ("--conformance-profile=nowhere",),
        ("--conformance-profile=",),
        ("--conformance-profile=small", "--conformance-profile=bad"),
        ("--conformance-profile=small", "--conformance-only=nothing"),
        ("--conformance-profile=small", "--setup-plan"),
        ("--conformance-profile=small", "conformance/checks/offer.py::test_nothing[weather]"),
    ],
    ids=" ".join,
)
def test_the_report_of_an_earlier_run_does_not_outlive_this_one(
    tmp_path: Path, here: str, args: tuple[str, ...]
) -> None:
    """Who reads the file after a run that came to nothing does not find yesterday's word in it."""
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "small.toml").write_text(profile(here), "utf-8")
    (tmp_path / "profiles" / "bad.toml").write_text("edition = \n", "utf-8")
    (tmp_path / "old.json").write_text('{"verdict": "conformant"}', "utf-8")
    ran = nested(tmp_path, "--conformance-report=old.json", *args)
    assert ran.code == 4, ran.out
    assert not (tmp_path / "old.json").exists() or "incomplete" in (tmp_path / "old.json").read_text("utf-8")


def test_a_list_takes_no_report_away(tmp_path: Path, here: str) -> None:
    """--co is no run: it neither writes a report nor removes one."""
    (tmp_path / "old.json").write_text("{}", "utf-8")
    assert nested(tmp_path, "--co", "--conformance-report=old.json", text=profile(here)).code == 0
    assert (tmp_path / "old.json").read_text("utf-8") == "{}"


def test_a_report_that_cannot_be_written_in_the_end_is_one_sentence(tmp_path: Path, here: str) -> None:
    """Exit status 1 for a target that is conformant: a pipeline may not go on without the evidence."""
    (tmp_path / "gone.py").write_text(
        "import shutil\n\ndef pytest_runtest_call():\n    shutil.rmtree('sub', ignore_errors=True)\n", "utf-8"
    )
    (tmp_path / "sub").mkdir()
    args = ("-p", "gone", "--conformance-report=sub/report.json")
    ran = session(tmp_path, *args, text=profile(here), env={"PYTHONPATH": str(tmp_path)})
    *_, before, last = ran.out.rstrip().splitlines()
    says = "--conformance-report=sub/report.json: the report could not be written: No such file or directory"
    assert (ran.code, before) == (1, says), ran.out
    assert last.startswith("conformant: ")
    assert "Traceback" not in ran.out


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="there is no /dev/full here")
def test_a_device_stays_a_device(tmp_path: Path, here: str) -> None:
    """What is no file is written to; nothing is put in its place, and that it is full is said in a sentence."""
    ran = nested(tmp_path, "--conformance-report=/dev/full", text=profile(here))
    assert ran.code == 1
    assert "--conformance-report=/dev/full: the report could not be written: No space left on device" in ran.out
    assert "Traceback" not in ran.out
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)
    assert list(Path("/dev").glob(".*.part")) == []


def test_the_report_holds_every_row_and_its_evidence(tmp_path: Path, here: str) -> None:
    """Each result names exchanges that are there, each long body is there, and the numbers add up."""
    report = nested(tmp_path, text=profile(here)).report
    for row in report["results"]:
        for labels in row["evidence"]:
            assert set(labels.values()) <= set(report["exchanges"])
    for exchange in report["exchanges"].values():
        for half in ("request", "response"):
            body = exchange[half]["body"]
            assert "sha256" not in body or body["sha256"] in report["bodies"]
    assert sum(report["counts"].values()) == len(report["results"])
    assert report["counts"]["not run"] == 0
    assert set(report["sanity"]) == {"first", "last"}
    assert report["profile"]["document"]["target"]["base_url"] == here


SECRET = 'k3y/"+?&<ü>\\~end'


RAW = SECRET.encode()
SPELLINGS = {
    "plain": SECRET,
    "percent-encoded": quote(SECRET, safe=""),
    "percent-encoded but for slashes": quote(SECRET),
    "percent-encoded in lower case": re.sub("%..", lambda found: found.group().lower(), quote(SECRET, safe="")),
    "percent-encoded as a form": quote_plus(SECRET),
    "in JSON": json.dumps(SECRET)[1:-1],
    "in JSON as UTF-8": json.dumps(SECRET, ensure_ascii=False)[1:-1],
    "in JSON with slashes escaped": json.dumps(SECRET)[1:-1].replace("/", "\\/"),
    "in HTML": html.escape(SECRET),
    "in base64": base64.b64encode(RAW).decode(),
    "in base64url": base64.urlsafe_b64encode(RAW).decode(),
    "in base64 without padding": base64.b64encode(RAW).decode().rstrip("="),
    "in base64 behind a name": base64.b64encode(b"user:" + RAW).decode(),
}
"""What a server may make of a secret that it gives back."""


def strings(value: object) -> Iterator[str]:
    """Each text in a JSON document."""
    match value:
        case str():
            yield value
        case dict():
            for key, member in value.items():
                yield from strings(key)
                yield from strings(member)
        case list():
            for member in value:
                yield from strings(member)


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_a_secret_that_comes_back_is_recorded_nowhere(tmp_path: Path, spelling: str) -> None:
    """Not on the screen, in JUnit or in the report, in whatever spelling and place the target gives it back."""
    told = spelling.encode()

    def echoes(line: Line) -> None:
        line.status = b"HTTP/1.1 402 Pay " + told
        field = b"X-Echo: " + told
        line.body = b'{"type": "about:blank", "detail": "you said ' + told + b'", "stack": "Traceback ' + told + b'"}'
        line.correct(field, b"WWW-Authenticate: " + told, b"Retry-After: " + told, b"Date: " + told)

    key = 'timeout = 5.0\nheaders = { X-Api-Key = { env = "SMALL_KEY" } }'
    with vicious(echoes) as served:
        ran = nested(
            tmp_path,
            *("--junitxml=junit.xml", "-rA", "-vv", "--tb=long", "--showlocals"),
            text=profile(served.base_url, target=key),
            env={"SMALL_KEY": SECRET},
        )
        assert any(SECRET.encode("latin-1") in asked for asked in served.asked)
    assert ran.report
    assert "not conformant" in ran.last or "incomplete" in ran.last
    junit = ET.parse(tmp_path / "junit.xml").getroot()
    texts = {
        "terminal": [ran.out],
        "junit": [t for e in junit.iter() for t in (e.text, *e.attrib.values()) if t],
        "report": list(strings(ran.report)),
    }
    for place, found in texts.items():
        for text in found:
            assert not [s for s in {spelling, SECRET} if s in text], (place, text[:2000])


def test_a_debug_log_shows_no_secret(tmp_path: Path) -> None:
    """Libraries that log what they send do not do so here, however much logging pytest is asked for."""
    args = ("-o", "log_cli=true", "--log-cli-level=DEBUG", "--log-level=DEBUG", "--log-file=debug.log", "-rA")
    with vicious(lambda line: line.correct(b"X-Echo: not-to-be-told")) as served:
        text = profile(served.base_url, target='headers = { X-Api-Key = { env = "SMALL_KEY" } }').replace(*WRONG)
        ran = session(tmp_path, *args, "--log-file-level=DEBUG", text=text, env={"SMALL_KEY": "not-to-be-told"})
    assert ran.verdict == "not conformant"
    assert "not-to-be-told" not in ran.out
    assert "not-to-be-told" not in (tmp_path / "debug.log").read_text("utf-8")


def test_a_secret_that_no_header_can_hold_is_one_sentence(tmp_path: Path, here: str) -> None:
    """A header is latin-1: a value beyond it is a mistake to name, not a traceback."""
    text = profile(here, target='headers = { X-Api-Key = { env = "SMALL_KEY" } }')
    ran = nested(tmp_path, text=text, env={"SMALL_KEY": "12345678 €"})
    assert ran.code == 4, ran.out
    assert "SMALL_KEY" in ran.out
    assert "Traceback" not in ran.out
    assert "€" not in ran.out


def test_a_secret_of_ours_is_a_variable_in_the_curl_line(tmp_path: Path) -> None:
    """Whoever wants to ask again sets the variable; the line can be shared."""
    with vicious(lambda line: line.send(b"220 mail\r\n")) as served:
        text = profile(served.base_url, target='headers = { X-Api-Key = { env = "SMALL_KEY" } }')
        ran = nested(tmp_path, text=text, env={"SMALL_KEY": "not-to-be-told"})
    assert '-H "X-Api-Key: ${SMALL_KEY}"' in ran.out
    assert "not-to-be-told" not in ran.out


HOSTILE = "\x1b]0;pwned\x07\x1b[2J\x9b31m\r\x08\u202eevil\u2028::error::x"


def test_what_a_target_sends_does_not_steer_a_terminal(tmp_path: Path) -> None:
    """No escape sequence, carriage return or change of direction of the target's reaches the screen or JUnit."""

    def steers(line: Line) -> None:
        offers = [f.split()[1] for f in line.fields if f.lower().startswith(b"payment-required:")]
        if not offers:
            line.correct()
            return
        offer = json.loads(base64.b64decode(offers[0]))
        offer["error"] = 7
        for entry in offer["accepts"]:
            entry |= {"network": HOSTILE, "amount": HOSTILE, "payTo": HOSTILE, "asset": HOSTILE, "scheme": HOSTILE}
            entry[HOSTILE] = HOSTILE
        offer["resource"]["url"] = HOSTILE
        coded = base64.b64encode(json.dumps(offer).encode())
        kept = [f for f in line.fields if not f.lower().startswith((b"payment-required", b"date:", b"link:"))]
        line.fields = (*kept, b"Payment-Required: " + coded, b"Date: caf\xe9\x9b31m", b"Link: <\x9b>; rel=payment")
        line.status = b"HTTP/1.1 402 Pay\x9b31m"
        line.body = json.dumps({"type": HOSTILE, "status": HOSTILE, "detail": HOSTILE}, ensure_ascii=False).encode()
        line.correct()

    with vicious(steers) as served:
        text = profile(served.base_url)
        for args in ((), ("-rA", "-vv", "--tb=long")):
            ran = session(tmp_path, "--junitxml=junit.xml", *args, text=text)
            assert ran.report["counts"]["violated"] > 3
            steering = {c for c in ran.out if unicodedata.category(c) in {"Cc", "Cf", "Zl", "Zp"} and c != "\n"}
            assert steering == set(), [line for line in ran.out.splitlines() if steering & set(line)][:3]
            assert ET.parse(tmp_path / "junit.xml").getroot() is not None
            assert not any(line.lstrip().startswith("::") for line in ran.out.splitlines())


def test_a_hostile_name_of_a_status_does_not_break_the_header(tmp_path: Path) -> None:
    """An answer that is no HTTP is shown by its bytes, escaped."""
    with vicious(lambda line: line.send(b"HTTP/1.1 402 \x1b[2J\r\n\x1b]0;x\x07: y\r\n\r\n")) as served:
        ran = session(tmp_path, text=profile(served.base_url))
    assert ran.code == 1
    assert "\x1b" not in ran.out
    assert "Traceback" not in ran.out


def test_hypothesis_leaves_no_litter(tmp_path: Path, here: str) -> None:
    """A run leaves pytest's own cache and what it was asked to write."""
    session(tmp_path, text=profile(here))
    assert {path.name for path in tmp_path.iterdir()} <= {".pytest_cache", "profiles", "report.json"}
    session(tmp_path, "-p", "no:cacheprovider", text=profile(here))
    assert {path.name for path in tmp_path.iterdir()} <= {".pytest_cache", "profiles", "report.json"}


def test_the_option_is_told_by_help(tmp_path: Path) -> None:
    """--help names the options under one heading."""
    ran = nested(tmp_path, "--help")
    for option in ("--conformance-profile", "--conformance-only", "--conformance-report"):
        assert option in ran.out


@pytest.mark.parametrize(
    ("target", "keeps", "wants"),
    [
        ("", True, "browser"),
        ("", False, "terms, browser, marker"),
        ('environment = "production"', True, "browser, forge"),
    ],
    ids=["all means", "no terms and no marker", "production"],
)
def test_the_last_line_says_what_was_left_out(tmp_path: Path, here: str, target: str, keeps: bool, wants: str) -> None:
    """Without claims a requirement whose means are not given is left out: the word of the verdict does not show it."""
    text = profile(here, claims="", target=target)
    if not keeps:
        text = text.partition("[[endpoint.terms]]")[0].replace('marker = "sunny"\npaid_identity = "subscriber"\n', "")
    ran = nested(tmp_path, text=text)
    assert (ran.code, ran.verdict) == (0, "conformant"), ran.out
    lacking = [r for r in ran.report["results"] if r["outcome"] == "inapplicable" and not r["evidence"]]
    assert ran.last.endswith(f"; {len(lacking)} rows left out for want of {wants}")
    assert lacking


def test_only_the_usual_port_has_a_plain_twin() -> None:
    """Beside an https target on port 443 its host may be asked over http; beside another port nothing listens of ours."""
    assert run_session._hosts("https://api.example", ()) == {"api.example"}
    assert run_session._hosts("https://api.example:443", ()) == {"api.example:443", "api.example"}
    assert run_session._hosts("https://api.example:8443", ("help.example",)) == {"api.example:8443", "help.example"}
    assert run_session._hosts("http://api.example:8080", ()) == {"api.example:8080"}


def test_the_last_word_is_the_verdict(tmp_path: Path, here: str) -> None:
    """Whoever reads one line of a log reads the one that counts, with counts that add up."""
    ran = nested(tmp_path, text=profile(here))
    counted = sum(int(part.split()[0]) for part in ran.last.removeprefix("conformant: ").split(";")[0].split(", "))
    assert counted == len(ran.outcomes)
    assert ran.last.endswith("judged http, browser, x402/offer; 6 rows left out for want of browser")
