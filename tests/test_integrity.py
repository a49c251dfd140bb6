"""Nobody gets exit status 0, or the word conformant, for a run in which not everything was asked and held."""

import datetime
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sessions import Ran, nested, profile, sandbox, session, started
from vices import Line, answering, vicious

from conformance import catalogue, collect
from conformance.known import KnownFailures
from conformance.profile import load
from conformance.report.document import conclude

AN_ID = "conformance/checks/offer.py::test_amount_is_a_string[weather]"


@pytest.fixture(scope="module")
def here() -> Iterator[str]:
    """The address of a correct target."""
    with sandbox() as base_url:
        yield base_url


def incomplete(ran: Ran) -> bool:
    """Whether the run says so in every place: status, last line, report."""
    words = [line for line in ran.out.splitlines() if line.startswith("conformant")]
    return (ran.code, ran.verdict, ran.report["acceptable"], words) == (1, "incomplete", False, [])


def refused(ran: Ran, says: str) -> bool:
    """Whether nothing was run, for a reason that is said in a sentence."""
    assert "Traceback" not in ran.out, ran.out
    assert says in ran.out, ran.out
    return (ran.code, ran.report, "conformant:" in ran.out) == (4, {}, False)


def test_a_correct_target_is_conformant(tmp_path: Path, here: str) -> None:
    """The run that all others in this file are compared with."""
    ran = nested(tmp_path, text=profile(here))
    assert (ran.code, ran.verdict, ran.report["acceptable"]) == (0, "conformant", True), ran.out
    assert ran.last.startswith("conformant: ")
    assert None not in ran.outcomes.values()


@pytest.mark.parametrize(
    "args",
    [
        (AN_ID,),
        ("conformance/checks/offer.py",),
        ("-k", "amount"),
        ("-k", "not amount"),
        ("-k", "nothing_is_called_this"),
        ("-m", "must"),
        ("-m", "not must"),
        ("--deselect", AN_ID),
        ("--deselect", "conformance/checks"),
        ("--conformance-only=x402",),
        ("--conformance-only=http", "--conformance-only=browser"),
    ],
    ids=" ".join,
)
def test_a_part_is_not_the_whole(tmp_path: Path, here: str, args: tuple[str, ...]) -> None:
    """A run that leaves out one row, by whatever option, is incomplete although all that ran held."""
    ran = nested(tmp_path, *args, text=profile(here))
    assert None in ran.outcomes.values()
    assert incomplete(ran), ran.out


@pytest.mark.parametrize("option", ["--ignore", "--ignore-glob"])
def test_ignoring_a_file_leaves_nothing_out(tmp_path: Path, here: str, option: str) -> None:
    """Options about files concern the folder of the user, not the packaged checks."""
    ran = nested(tmp_path, f"{option}={collect.CHECKS / 'offer.py'}", text=profile(here))
    assert (ran.code, ran.verdict) == (0, "conformant")
    assert None not in ran.outcomes.values()


def test_a_list_is_no_run(tmp_path: Path, here: str) -> None:
    """--collect-only asks nothing, says no verdict and writes no report."""
    ran = nested(tmp_path, "--collect-only", text=profile(here))
    assert (ran.code, ran.report, ran.verdict) == (0, {}, "")


def test_a_part_that_fails_is_still_not_conformant(tmp_path: Path, here: str) -> None:
    """What was seen to be wrong stays wrong in a partial run."""
    text = profile(here).replace('amount = "10000"', 'amount = "10001"')
    ran = nested(tmp_path, "--conformance-only=x402.terms", text=text)
    assert (ran.code, ran.verdict) == (1, "not conformant")
    assert None in ran.outcomes.values()


@pytest.mark.parametrize("option", ["-x", "--maxfail=1", "--exitfirst"])
def test_stopping_early_hides_nothing(tmp_path: Path, here: str, option: str) -> None:
    """After the first violation nothing else runs, and the rest counts as not run."""
    text = profile(here).replace('amount = "10000"', 'amount = "10001"')
    ran = nested(tmp_path, option, text=text)
    assert ran.code != 0
    assert ran.verdict == "not conformant"
    assert None in ran.outcomes.values()


def test_the_last_failures_alone_are_not_the_whole(tmp_path: Path, here: str) -> None:
    """--lf after a mended violation runs that one row, which holds now: incomplete."""
    wrong = nested(tmp_path, text=profile(here).replace('amount = "10000"', 'amount = "10001"'))
    assert (wrong.code, wrong.verdict) == (1, "not conformant")
    again = nested(tmp_path, "--lf", text=profile(here))
    assert "passed" in again.outcomes.values()
    assert None in again.outcomes.values()
    assert incomplete(again)


def test_failures_first_is_still_the_whole(tmp_path: Path, here: str) -> None:
    """Order lives inside one row, never between rows."""
    nested(tmp_path, text=profile(here).replace('amount = "10000"', 'amount = "10001"'))
    assert nested(tmp_path, "--ff", text=profile(here)).verdict == "conformant"


@pytest.mark.parametrize("option", ["--setup-plan", "--setup-only", "--fixtures", "--fixtures-per-test"])
def test_a_run_that_asks_nothing_is_refused(tmp_path: Path, here: str, option: str) -> None:
    """Options under which pytest runs no test, and would count all of them as passed."""
    assert refused(nested(tmp_path, option, text=profile(here)), f"{option} asks nothing of the target")


def test_python_without_assertions_is_refused(tmp_path: Path, here: str) -> None:
    """python -O, and the variable that does the same."""
    says = "python -O removes assertions"
    assert refused(session(tmp_path, text=profile(here), python=["-O"]), says)
    assert refused(session(tmp_path, text=profile(here), env={"PYTHONOPTIMIZE": "1"}), says)


def test_plain_assertions_change_nothing(tmp_path: Path, here: str) -> None:
    """Checks do not rest on pytest's rewriting: good stays good, and bad stays bad and is told in full."""
    assert nested(tmp_path, "--assert=plain", text=profile(here)).verdict == "conformant"
    wrong = nested(tmp_path, "--assert=plain", text=profile(here).replace('amount = "10000"', 'amount = "10001"'))
    assert (wrong.code, wrong.verdict) == (1, "not conformant")
    assert "10001" in wrong.out


def test_a_target_without_a_paywall_is_not_conformant(tmp_path: Path) -> None:
    """A server that gives everything away passes no check by having no refusal to judge."""
    with answering(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nsunny") as served:
        ran = nested(tmp_path, text=profile(served.base_url))
    assert ran.code == 1
    assert ran.verdict in {"incomplete", "not conformant"}


def test_a_server_that_finds_nothing_is_not_conformant(tmp_path: Path) -> None:
    """404 for everything is a wrong profile or a wrong server, in no case a pass."""
    with answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n") as served:
        ran = nested(tmp_path, text=profile(served.base_url, claims=""))
    assert ran.code == 1
    assert ran.verdict in {"incomplete", "not conformant"}


def test_a_target_that_changes_its_mind_is_not_conformant(tmp_path: Path) -> None:
    """The sanity request is asked first and last: a server that was exchanged on the way is noticed."""

    def gone(line: Line) -> None:
        line.send(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with vicious(Line.correct) as served:
        nested(tmp_path, text=profile(served.base_url))
        count = len(served.asked)
    with vicious(gone, when=lambda number: number >= count - 1) as served:
        ran = nested(tmp_path, text=profile(served.base_url))
    assert incomplete(ran), ran.out
    assert "answered the sanity request 402 first and 503 at the end" in ran.out


def test_too_few_examples_rounds_and_copies_are_incomplete(tmp_path: Path, here: str) -> None:
    """Less of them than the edition's floors proves less than the verdict says."""
    fewer = {"max_examples": 24, "rounds": 2, "volley": 9}
    limits = "".join(f"{name} = {number}\n" for name, number in fewer.items())
    ran = nested(tmp_path, text=profile(here, more=f"[limits]\n{limits}"))
    assert incomplete(ran)
    assert all(f"limits.{name} is {number}" in ran.out for name, number in fewer.items()), ran.out


def test_too_few_requests_are_incomplete(tmp_path: Path, here: str) -> None:
    """A budget that runs out is an error in the rows that it cut short."""
    ran = nested(tmp_path, text=profile(here, more="[limits]\nmax_requests = 3\n"))
    assert incomplete(ran)
    assert "limits.max_requests" in ran.out


def test_a_claim_without_checks_is_incomplete(tmp_path: Path, here: str) -> None:
    """A class that this version cannot judge is not given away to whoever claims it."""
    path = tmp_path / "small.toml"
    path.write_text(profile(here, claims='[claims]\nclasses = ["x402/offer", "requests"]\n'), "utf-8")
    edition = catalogue.editions()["2026.11"]
    told = [
        held
        for own in (edition, replace(edition, classes=edition.classes | {"requests": ()}))
        for held in conclude(
            profile=load(str(path), cwd=tmp_path, environ={}),
            edition=own,
            rows=(),
            results=(),
            sanity={},
            reservations=(),
            failures=KnownFailures(path=path),
            began=0.0,
            command="",
        ).reservations
        if "no checks" in held
    ]
    assert told == ['class "requests" is claimed, and this version has no checks for it yet']


@pytest.mark.parametrize("classes", ["[]", '["no-such-class"]', '["decline"]'])
def test_a_claim_of_nothing_is_refused(tmp_path: Path, here: str, classes: str) -> None:
    """An empty list, an unknown class, and a class that no endpoint shows, are mistakes in the profile."""
    ran = nested(tmp_path, text=profile(here, claims=f"[claims]\nclasses = {classes}\n"))
    assert refused(ran, "profiles/small.toml: claims.classes")


def test_a_profile_without_endpoints_is_refused(tmp_path: Path, here: str) -> None:
    """There would be nothing to ask."""
    text = profile(here)
    bare = text[: text.index("[claims]")]
    assert refused(nested(tmp_path, text=bare), "endpoint")


def test_an_unconfirmed_marker_proves_nothing(tmp_path: Path, here: str) -> None:
    """A marker that was never seen in a paid answer cannot show that the unpaid answer lacks it."""
    ran = nested(tmp_path, text=profile(here).replace('"sunny"', '"no such word"'))
    assert ran.code == 1
    assert ran.outcomes["http.no-paid-content weather"] == "untestable"
    assert incomplete(ran)


def test_a_rerun_taints(tmp_path: Path) -> None:
    """pytest-rerunfailures may not ask until the answer fits: a row that was run again keeps the run incomplete."""
    pytest.importorskip("pytest_rerunfailures")
    count = 0

    def now_and_then(number: int) -> bool:
        nonlocal count
        count = number
        return number == 1

    with vicious(lambda line: line.send(b"220 mail\r\n"), when=now_and_then) as served:
        ran = session(tmp_path, "-p", "pytest_rerunfailures", "--reruns=2", text=profile(served.base_url))
    assert count > 1
    assert "was run again" in ran.out, ran.out
    assert ran.code == 1
    assert ran.verdict in {"incomplete", "not conformant"}


@pytest.mark.parametrize("where", ["ini", "option"])
def test_reruns_of_a_violation_do_not_mend_it(tmp_path: Path, here: str, where: str) -> None:
    """A violation that is run again is a violation still, wherever the reruns were asked for."""
    pytest.importorskip("pytest_rerunfailures")
    args = ("--reruns=1",) if where == "option" else ()
    (tmp_path / "pytest.ini").write_text("[pytest]\nreruns = 1\n" if where == "ini" else "[pytest]\n", "utf-8")
    text = profile(here).replace('amount = "10000"', 'amount = "10001"')
    ran = session(tmp_path, "-p", "pytest_rerunfailures", *args, text=text)
    assert (ran.code, ran.verdict) == (1, "not conformant")


def test_leaving_before_the_start_is_no_verdict(tmp_path: Path, here: str) -> None:
    """A plugin that ends the session with status 0 before anything was asked does not get it."""
    (tmp_path / "early.py").write_text(
        "import pytest\n\ndef pytest_sessionstart():\n    pytest.exit('well', returncode=0)\n", "utf-8"
    )
    ran = session(tmp_path, "-p", "early", text=profile(here), env={"PYTHONPATH": str(tmp_path)})
    assert (ran.code, ran.report) == (1, {}), ran.out


def test_repetition_changes_nothing(tmp_path: Path, here: str) -> None:
    """pytest-repeat repeats functions; our rows are none, and each of them runs once."""
    pytest.importorskip("pytest_repeat")
    ran = session(tmp_path, "-p", "pytest_repeat", "--count=2", text=profile(here))
    assert ran.outcomes == nested(tmp_path, text=profile(here)).outcomes
    assert ran.verdict == "conformant"


@pytest.mark.parametrize("seed", [1, 2])
def test_any_order_comes_to_the_same(tmp_path: Path, here: str, seed: int) -> None:
    """pytest-randomly may shuffle the rows: outcomes and verdict stay."""
    pytest.importorskip("pytest_randomly")
    plain = nested(tmp_path, text=profile(here))
    ran = session(tmp_path, "-p", "pytest_randomly", f"--randomly-seed={seed}", text=profile(here))
    assert ran.outcomes == plain.outcomes
    assert (ran.code, ran.verdict) == (0, "conformant")


def test_a_run_without_a_terminal_keeps_its_status(tmp_path: Path, here: str) -> None:
    """-p no:terminal takes the words away, not the report and not the status."""
    good = session(tmp_path, "-p", "no:terminal", text=profile(here))
    assert (good.code, good.report.get("verdict")) == (0, "conformant"), good.out
    bad = session(tmp_path, "-p", "no:terminal", text=profile(here).replace('amount = "10000"', 'amount = "1"'))
    assert (bad.code, bad.report.get("verdict")) == (1, "not conformant"), bad.out


def test_a_worker_that_dies_takes_the_verdict_with_it(tmp_path: Path, here: str) -> None:
    """Rows whose worker crashed did not run, however many others passed."""
    pytest.importorskip("xdist")
    (tmp_path / "crash.py").write_text(
        "import os\n\ndef pytest_runtest_call(item):\n"
        "    if 'test_amount_is_a_string' in item.nodeid:\n        os._exit(9)\n",
        "utf-8",
    )
    ran = session(tmp_path, "-p", "xdist", "-p", "crash", "-n2", text=profile(here), env={"PYTHONPATH": str(tmp_path)})
    assert ran.code == 1
    assert ran.verdict == "incomplete"
    assert ran.outcomes["x402.offer.amount-is-a-string weather"] is None


def test_a_worker_with_another_profile_is_not_heard(tmp_path: Path, here: str) -> None:
    """A worker of pytest-xdist in another folder, where a milder profile has the same name, runs nothing and says why."""
    pytest.importorskip("xdist")
    other = tmp_path / "elsewhere"
    (other / "profiles").mkdir(parents=True)
    (other / "profiles" / "small.toml").write_text(profile(here), "utf-8")
    text = profile(here).replace('amount = "10000"', 'amount = "10001"')
    ran = session(tmp_path, "-p", "xdist", "--dist=load", "--tx", f"1*popen//chdir={other}", text=text)
    assert (ran.code, ran.verdict) == (2, "incomplete"), ran.out
    assert set(ran.outcomes.values()) == {None}
    assert (
        f"gw0, in {other}, reads {other / 'profiles' / 'small.toml'}, which is not the profile of this run" in ran.out
    )
    assert "Traceback" not in ran.out


def test_a_session_that_breaks_off_is_incomplete(tmp_path: Path, here: str) -> None:
    """An internal error of pytest, even after the last row, leaves no verdict in the report."""
    (tmp_path / "breaks.py").write_text(
        "import pytest\n\n@pytest.hookimpl(wrapper=True)\ndef pytest_runtestloop():\n    yield\n    raise RuntimeError\n",
        "utf-8",
    )
    ran = session(tmp_path, "-p", "breaks", text=profile(here), env={"PYTHONPATH": str(tmp_path)})
    assert ran.code == 3
    assert (ran.report["verdict"], ran.report["acceptable"]) == ("incomplete", False)
    assert set(ran.outcomes.values()) <= {"passed", "inapplicable"}
    assert ran.report["reservations"] == ["pytest broke off with an internal error"]


def test_an_interrupted_run_has_no_verdict_to_show(tmp_path: Path) -> None:
    """Ctrl-C in the middle: exit status 2, at once, and no line calls the target conformant."""
    (tmp_path / "profiles").mkdir()
    asked = threading.Event()

    def slow(line: Line) -> None:
        asked.set()
        line.ended.wait()

    with vicious(slow, when=lambda number: number >= 5) as served:
        (tmp_path / "profiles" / "small.toml").write_text(profile(served.base_url, target="timeout = 20"), "utf-8")
        child = started(tmp_path, "--conformance-profile=small")
        try:
            assert asked.wait(30)
            child.send_signal(signal.SIGINT)
            # Sooner than the request that was interrupted would have taken, and than another one would.
            out, _ = child.communicate(timeout=15)
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
    assert child.returncode == 2, out
    assert not any(line.startswith("conformant") for line in out.splitlines())


HOOKS = {
    "an autouse fixture": "@pytest.fixture(autouse=True)\ndef broken():\n    raise RuntimeError\n",
    "a hook that deletes items": "def pytest_collection_modifyitems(items):\n    del items[1:]\n",
    "a hook that calls everything passed": (
        "@pytest.hookimpl(hookwrapper=True, tryfirst=True)\ndef pytest_runtest_makereport():\n"
        "    outcome = yield\n    outcome.get_result().outcome = 'passed'\n"
    ),
    "a hook that ends the session well": (
        "@pytest.hookimpl(trylast=True)\ndef pytest_sessionfinish(session):\n    session.exitstatus = 0\n"
    ),
    "a hook that leaves the end of the session well": (
        "@pytest.hookimpl(trylast=True)\ndef pytest_sessionfinish():\n    pytest.exit('well', returncode=0)\n"
    ),
    "a hook that ends the configuration well": (
        "@pytest.hookimpl(trylast=True)\ndef pytest_unconfigure(config):\n"
        "    config.pluginmanager.get_plugin('session').exitstatus = 0\n"
    ),
    "a hook that skips": "def pytest_runtest_setup():\n    pytest.skip()\n",
    "a hook that runs nothing": "def pytest_pyfunc_call():\n    return True\ndef pytest_runtest_protocol():\n    return True\n",
    "plugins of its own": "pytest_plugins = ['other']\n",
}


@pytest.mark.parametrize("hook", HOOKS)
def test_a_conftest_has_no_say(tmp_path: Path, here: str, hook: str) -> None:
    """Whose folder a run is started in changes nothing: no conftest.py is read, good or bad."""
    (tmp_path / "conftest.py").write_text(f"import pytest\n{HOOKS[hook]}", "utf-8")
    (tmp_path / "other.py").write_text("import pytest\n" + HOOKS["a hook that calls everything passed"], "utf-8")
    assert nested(tmp_path, text=profile(here)).verdict == "conformant"
    wrong = nested(tmp_path, text=profile(here).replace('amount = "10000"', 'amount = "10001"'))
    assert (wrong.code, wrong.verdict) == (1, "not conformant")


@pytest.mark.parametrize("hook", [name for name in HOOKS if name not in {"plugins of its own", "an autouse fixture"}])
def test_a_plugin_cannot_buy_a_verdict(tmp_path: Path, here: str, hook: str) -> None:
    """A plugin loaded on purpose may stop rows from running, which is incomplete; it cannot make a violation hold."""
    (tmp_path / "bribe.py").write_text(f"import pytest\n{HOOKS[hook]}", "utf-8")
    text = profile(here).replace('amount = "10000"', 'amount = "10001"')
    ran = session(tmp_path, "-p", "bribe", text=text, env={"PYTHONPATH": str(tmp_path)})
    assert ran.report["verdict"] in {"incomplete", "not conformant"}
    assert ran.report["acceptable"] is False
    assert not any(line.startswith("conformant") for line in ran.out.splitlines())
    assert ran.code != 0


@pytest.mark.parametrize(
    "settings",
    [
        "filterwarnings = error",
        "strict = true",
        "xfail_strict = true",
        "python_files = nothing_*.py\npython_functions = nothing_*\npython_classes = Nothing",
        "testpaths = elsewhere",
        "addopts = -p no:cacheprovider --strict-markers --import-mode=prepend",
        "norecursedirs = *",
        "collect_imported_tests = false",
        "usefixtures = nothing",
        "empty_parameter_set_mark = fail_at_collect",
        "cache_dir = elsewhere/cache",
    ],
)
def test_settings_of_the_folder_change_nothing(tmp_path: Path, here: str, settings: str) -> None:
    """What stands in the pytest.ini of the folder has no influence on a verdict."""
    (tmp_path / "pytest.ini").write_text(f"[pytest]\n{settings}\n", "utf-8")
    (tmp_path / "elsewhere").mkdir()
    ran = nested(tmp_path, text=profile(here))
    assert (ran.code, ran.verdict) == (0, "conformant"), ran.out


@pytest.mark.parametrize("addopts", ["-k amount", "-m must", "--deselect conformance/checks", "-x --maxfail=1"])
def test_settings_that_select_leave_the_run_incomplete(tmp_path: Path, here: str, addopts: str) -> None:
    """addopts is an option like any other: what it leaves out was not run."""
    (tmp_path / "pytest.ini").write_text(f"[pytest]\naddopts = {addopts}\n", "utf-8")
    ran = nested(tmp_path, text=profile(here))
    assert incomplete(ran) or (addopts.startswith("-x") and ran.verdict == "conformant")


@pytest.mark.parametrize("name", ["conformance", "conformance/checks", "tests"])
def test_a_folder_of_the_same_name_is_not_ours(tmp_path: Path, here: str, name: str) -> None:
    """Checks come from the package, also where the working directory has a folder that is called as ours is."""
    folder = tmp_path / name
    folder.mkdir(parents=True)
    (folder / "offer.py").write_text("def test_amount_is_a_string():\n    pass\n", "utf-8")
    (folder / "test_own.py").write_text("def test_own():\n    assert False\n", "utf-8")
    ran = session(tmp_path, text=profile(here))
    assert (ran.code, ran.verdict) == (0, "conformant"), ran.out
    one = session(tmp_path, AN_ID, text=profile(here))
    assert "1 passed" in one.out
    assert incomplete(one)


def test_a_package_of_the_same_name_does_not_take_our_place(tmp_path: Path, here: str) -> None:
    """A whole package called conformance in the working directory is told of; the user's own session goes on with it."""
    (tmp_path / "conformance" / "checks").mkdir(parents=True)
    for folder in ("conformance", "conformance/checks"):
        (tmp_path / folder / "__init__.py").write_text("mine = True\n", "utf-8")
    ran = session(tmp_path, text=profile(here))
    assert refused(ran, f"Python finds its package conformance at {tmp_path / 'conformance' / '__init__.py'}")
    (tmp_path / "test_own.py").write_text("from conformance import mine\n\ndef test_own():\n    assert mine\n", "utf-8")
    for lean in (True, False):
        own = session(tmp_path, lean=lean)
        assert own.code == 0, own.out
        assert "1 passed" in own.out


def known(folder: Path, *rows: str) -> None:
    """Writes known failures beside the profile."""
    (folder / "profiles").mkdir(exist_ok=True)
    (folder / "profiles" / "small.known-failures.toml").write_text("\n".join(rows), "utf-8")


SOON = str(datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(30))


def failure(id: str, *, expires: str = SOON, more: str = "") -> str:
    return (
        f'[[failure]]\nid = "{id}"\nreason = "we know"\nlink = "https://example.com/1"\nexpires = {expires}\n{more}\n'
    )


WRONG = ('amount = "10000"', 'amount = "10001"')


def test_known_failures_that_cover_everything_let_a_pipeline_go_on(tmp_path: Path, here: str) -> None:
    """Exit status 0, and the last line, the report and the story all say that the target is not conformant."""
    first = nested(tmp_path, text=profile(here).replace(*WRONG))
    violated = [key.split()[0] for key, outcome in first.outcomes.items() if outcome == "violated"]
    assert violated
    known(tmp_path, *(failure(id) for id in violated))
    ran = nested(tmp_path, text=profile(here).replace(*WRONG))
    assert (ran.code, ran.verdict, ran.report["acceptable"]) == (0, "not conformant", True), ran.out
    plural = "" if len(violated) == 1 else "s"
    assert ran.last.startswith(f"not conformant ({len(violated)} known failure{plural})")
    assert "we know https://example.com/1" in ran.out


def test_a_known_failure_of_one_row_does_not_cover_another(tmp_path: Path, here: str) -> None:
    """The other violation still stops the pipeline."""
    text = profile(here).replace(*WRONG)
    text = text.replace('pay_to = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C"', f'pay_to = "0x{"1" * 40}"')
    known(tmp_path, failure("x402.terms.amount"))
    ran = nested(tmp_path, text=text)
    assert (ran.code, ran.verdict) == (1, "not conformant")


def test_a_known_failure_that_does_not_fail_any_more_is_stale(tmp_path: Path, here: str) -> None:
    """The list must shrink: exit status 1 until the entry is gone."""
    known(tmp_path, failure("x402.terms.amount"))
    ran = nested(tmp_path, text=profile(here))
    assert (ran.code, ran.report["acceptable"]) == (1, False)
    assert "did not fail in this run" in ran.out


def test_a_known_failure_that_did_not_run_is_not_excused(tmp_path: Path, here: str) -> None:
    """A known failure must be seen to fail; one that was left out makes the run incomplete and the entry stale."""
    known(tmp_path, failure("x402.terms.amount"))
    ran = nested(tmp_path, "-k", "not terms", text=profile(here).replace(*WRONG))
    assert (ran.code, ran.verdict) == (1, "incomplete")


def test_a_known_failure_expires(tmp_path: Path, here: str) -> None:
    """From the day after its date it covers nothing; on the day itself it still does."""
    first = nested(tmp_path, text=profile(here).replace(*WRONG))
    violated = [key.split()[0] for key, outcome in first.outcomes.items() if outcome == "violated"]
    today = datetime.datetime.now(datetime.UTC).date()
    for expires, code in ((today - datetime.timedelta(1), 1), (today + datetime.timedelta(1), 0)):
        known(tmp_path, *(failure(id, expires=f'"{expires}"') for id in violated))
        ran = nested(tmp_path, text=profile(here).replace(*WRONG))
        assert (ran.code, ran.verdict) == (code, "not conformant"), ran.out
        assert ("expired on" in ran.out) == bool(code)


def test_known_failures_do_not_make_up_for_what_is_missing(tmp_path: Path, here: str) -> None:
    """With every violation known, too few examples still stop the pipeline."""
    known(tmp_path, failure("x402.terms.amount"), failure("x402.terms.every-way"))
    ran = nested(tmp_path, text=profile(here, more="[limits]\nmax_examples = 3\n").replace(*WRONG))
    assert (ran.code, ran.verdict) == (1, "not conformant")
    assert ran.report["acceptable"] is False


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (failure("x402.terms.amout"), 'did you mean "x402.terms.amount"?'),
        (failure("x402.terms.amount", more='endpoint = "wether"'), 'did you mean "weather"?'),
        ('[[failure]]\nid = "x402.terms.amount"\nexpires = 2026-12-01\n', '"reason" is missing'),
        ('[[failure]]\nid = "x402.terms.amount"\nreason = "x"\n', '"expires" is missing'),
        (failure("x402.terms.amount", more="ever = true"), 'unknown key "ever"'),
        (failure("x402.terms.amount", expires='"soon"'), "a date such as"),
        (failure("x402.terms.amount", expires='"2027-02-30"'), "2027-02-30"),
        ("[[failure]\n", "cannot be read as TOML"),
        (failure("*"), 'no requirement is called "*"'),
        (failure("x402.terms.amount", expires="9999-12-31"), "is the latest"),
        (failure("http.no-paid-content"), "cannot be a known failure"),
    ],
)
def test_a_known_failure_that_means_nothing_is_refused(tmp_path: Path, here: str, row: str, says: str) -> None:
    """A typing error in the list may not silently excuse, or not excuse, anything."""
    known(tmp_path, row)
    ran = nested(tmp_path, text=profile(here))
    assert refused(ran, says)
    assert "small.known-failures.toml" in ran.out


@pytest.mark.parametrize("args", [("--runxfail",), ("--stepwise",), ("-p", "no:skipping"), ("-W", "error"), ("-qq",)])
def test_other_options_of_pytest_change_nothing(tmp_path: Path, here: str, args: tuple[str, ...]) -> None:
    """Options that treat skips, warnings or output otherwise do not touch what a row comes to."""
    text = profile(here)
    ran, plain = nested(tmp_path, *args, text=text), nested(tmp_path, text=text)
    assert ran.outcomes == plain.outcomes
    assert (ran.code, ran.verdict) == (0, "conformant")


def test_every_example_of_the_floor_is_asked(tmp_path: Path, here: str) -> None:
    """A drawn requirement that holds shows at least as many examples as the edition asks for."""
    ran = nested(tmp_path, text=profile(here))
    row = next(r for r in ran.report["results"] if r["requirement"] == "http.garbage-payment")
    assert row["outcome"] == "passed"
    assert len(row["evidence"]) >= 25


def test_claims_leave_out_only_what_they_do_not_name(tmp_path: Path, here: str) -> None:
    """Who claims one class is judged by that one, and the last line says by which."""
    ran = nested(tmp_path, text=profile(here, claims='[claims]\nclasses = ["browser"]\n'))
    assert (ran.code, ran.verdict) == (0, "conformant")
    assert ran.last.endswith("judged browser; 6 rows left out for want of browser")
