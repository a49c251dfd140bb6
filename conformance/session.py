"""A conformance run inside a pytest session: it judges, records, and has the last word on the exit status."""

import datetime
import gc
import hashlib
import http.client
import json
import logging
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hypothesis.configuration
import pytest

from conformance import cases, catalogue, collect, facilitator, known, openapi, options, profile, rows, run, target
from conformance.asking import means_429, request_to
from conformance.budget import own_payer
from conformance.exchange import Exchange
from conformance.outcome import Outcome
from conformance.profile import Environment, FacilitatorMode, Profile, ProfileError
from conformance.purse import Means, Purse
from conformance.redaction import Redactor
from conformance.report import document, terminal
from conformance.rows import Row
from conformance.run import Result
from conformance.wire import Wire

__all__ = ["begin"]

_PROPERTY = "conformance"
_PORTS = 65535
_OURS = {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED}


def begin(config: pytest.Config, names: Sequence[str]) -> None:
    """Loads the profile and registers the session; raises UsageError for a mistake of the user's."""
    worker = getattr(config, "workerinput", None)
    if worker is None:
        options.forget_report(config)
    name = options.named(names)
    options.refuse(config)
    try:
        loaded = profile.load(name, cwd=Path.cwd(), environ=os.environ)
        failures = known.load(loaded, today=datetime.datetime.now(datetime.UTC).date())
    except ProfileError as error:
        raise pytest.UsageError(str(error)) from error
    given = config.args if config.args_source is config.ArgsSource.ARGS else []
    config.args = collect.arguments(given)
    for level in catalogue.Level:
        config.addinivalue_line("markers", f"{level.lower()}: requirements of level {level}")
    config.addinivalue_line("markers", "requirement(id, cls): the requirement that a check decides, and its class")
    # Hypothesis litters the working directory otherwise, also without a database.
    cache = getattr(config, "cache", None)
    home = cache.mkdir("conformance-hypothesis") if cache else Path(tempfile.gettempdir()) / "conformance-hypothesis"
    hypothesis.configuration.set_hypothesis_home_dir(home)
    # It logs the header fields of every exchange as they are, with what is secret in them.
    logging.getLogger("httpcore").setLevel(logging.WARNING)
    session = Session(config, loaded, failures, worker)
    config.pluginmanager.register(session, "conformance-session")


def _hosts(base_url: str, helpers: tuple[str, ...]) -> frozenset[str]:
    """What may be contacted: the target, where https has its usual port also by plain http, and its helpers."""
    parts = urlsplit(base_url)
    plain = {parts.hostname or ""} if parts.scheme == "https" and parts.port in {None, 443} else set()
    return frozenset({parts.netloc, *plain, *helpers})


def _scratch(what: str) -> str:
    """An empty file that the processes of a run share."""
    handle, name = tempfile.mkstemp(prefix=f"conformance-{what}-")
    os.close(handle)
    return name


def _watched(loaded: Profile) -> bool:
    """Whether something is read before and after a request, so that no other process may ask meanwhile."""
    return bool(loaded.observe or loaded.flows) or any(endpoint.witness for endpoint in loaded.endpoints)


def _digest(loaded: Profile) -> str:
    return hashlib.sha256(json.dumps(loaded.document, sort_keys=True).encode()).hexdigest()


class Session:
    """One run: on the controller it starts the target and concludes, in a worker it only judges."""

    def __init__(
        self, config: pytest.Config, loaded: Profile, failures: known.KnownFailures, worker: dict[str, Any] | None
    ) -> None:
        self._config = config
        self._profile = loaded
        self._failures = failures
        self._worker = worker
        self._digest = _digest(loaded)
        self._edition = catalogue.editions()[loaded.edition]
        self._rows = rows.rows(loaded, self._edition)
        self._process: target.Process | None = None
        self._facilitator: facilitator.Running | None = None
        self._folder = self._running = ""
        self._means = Means()
        self._run: run.Run | None = None
        self._down = ""
        self._ahead: tuple[Row, ...] = ()
        """Rows that are judged in this process, until the first is."""
        self._sanity: dict[str, Exchange] = {}
        self._judged: dict[str, Result] = {}
        """By node id, until its report is told."""
        self._results: list[Result] = []
        self._exchanges: dict[str, Exchange] = {}
        self._taints: list[str] = []
        self._began = time.time()
        self._report: document.Report | None = None
        self._unwritten = ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Starts the target, asks the sanity request, and makes ready to judge."""
        if self._config.option.collectonly:
            if "openapi" not in self._unclaimed():
                self._describe(cases.read(self._profile))
            return
        if self._worker:
            self._means = Means.from_json(self._worker["conformance_means"])
            self._open(self._worker["conformance_base_url"], self._worker["workerid"])
            self._down = self._worker["conformance_down"]
            self._describe(openapi.from_json(self._profile, json.loads(self._worker["conformance_openapi"])))
            return
        base_url = self._profile.target.base_url
        try:
            own_payer(self._profile)
            where = self._begin_facilitator()
            if how := self._profile.target.start:
                self._folder = tempfile.mkdtemp(prefix="conformance-scratch-")
                self._running = tempfile.mkdtemp(prefix="conformance-running-")
                self._process = target.start(
                    self._profile, how, environ=os.environ, facilitator=where, scratch=self._folder
                )
        except ProfileError as error:
            raise pytest.UsageError(str(error)) from error
        self._means = Means(
            control=self._facilitator.control.url if self._facilitator else "",
            lock=_scratch("witness") if _watched(self._profile) else "",
            books=_scratch("books") if not self._facilitator and self._profile.budgets else "",
            log=str(self._process.log) if self._process else "",
            base_url=base_url,
            scratch=self._folder,
            running=self._running,
            real_money=bool(self._config.getoption("conformance_real_money")),
        )
        self._open(self._process.base_url if self._process else base_url, "main")
        self._down = self._sane("first")
        if self._run and "openapi" not in self._unclaimed():
            self._describe(cases.read(self._profile, self._run.wire))

    def _unclaimed(self) -> set[str]:
        """The classes that the profile does not claim, where it claims any."""
        claims = self._profile.claims
        return set() if claims is None else self._edition.classes.keys() - set(claims.classes)

    def _describe(self, read: Profile) -> None:
        """Goes on with a profile whose OpenAPI document was read: its operations are rows."""
        self._profile = read
        self._rows = rows.rows(read, self._edition)
        if self._run:
            self._run.profile = read

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tells a worker of pytest-xdist where the target is, and which profile it has to find."""
        node.workerinput["conformance_profile"] = self._digest
        node.workerinput["conformance_base_url"] = self._profile.target.base_url
        node.workerinput["conformance_down"] = self._down
        node.workerinput["conformance_openapi"] = json.dumps(openapi.to_json(self._profile))
        node.workerinput["conformance_means"] = self._means.to_json()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        """How rows are dealt out, where nobody chose another way than the usual one."""
        if config.getoption("dist") != "load":
            return None
        # pytest-xdist is there, or nobody would ask.
        return import_module("conformance.workers").ByEndpoint(config, log)

    def _begin_facilitator(self) -> str:
        """Starts the scripted facilitator, if the profile asks for one; the URL at which the target sees it."""
        own = self._profile.facilitator
        asked = "facilitator" in self._profile.document and own.mode is FacilitatorMode.SCRIPTED
        if not asked or self._profile.target.environment is Environment.PRODUCTION:
            return own.url or ""
        host, _, port = (own.listen or "127.0.0.1:0").rpartition(":")
        if int(port) > _PORTS:
            msg = f"{self._profile.path}: facilitator.listen is {own.listen}; expected a port of at most {_PORTS}"
            raise ProfileError(msg)
        try:
            self._facilitator = facilitator.start(host.strip("[]"), int(port))
        except OSError as error:
            # What asyncio says of an address that is taken is long; a name that nobody has is no error of the system.
            why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or error
            msg = f"{self._profile.path}: facilitator.listen is {own.listen}: {why}; stop what is there, or give another port"
            raise ProfileError(msg) from error
        return own.url or self._facilitator.url

    def _open(self, base_url: str, place: str) -> None:
        self._profile = self._profile.at(base_url)
        redactor = Redactor.of(self._profile.secrets)
        wire = Wire(
            timeout=self._profile.target.timeout,
            limits=self._profile.limits,
            redactor=redactor,
            hosts=_hosts(base_url, self._profile.target.helpers),
            sanity=request_to(self._profile, self._profile.endpoints[0]),
        )
        control = self._facilitator.control if self._facilitator else None
        purse = Purse(
            profile=self._profile, means=self._means, redactor=redactor, place=place, began=wire.began, control=control
        )
        self._run = run.Run(profile=self._profile, edition=self._edition, wire=wire, purse=purse, place=place)

    def _sane(self, when: str) -> str:
        """Asks the first endpoint's request; why the target is not there, or an empty string."""
        if self._run is None:
            return ""
        first = self._profile.endpoints[0]
        back_off = not means_429(self._profile, first)
        self._sanity[when] = self._run.wire.send(request_to(self._profile, first), back_off=back_off)
        return document.doubt(self._sanity)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_unconfigure(self) -> Generator[None, object, object]:
        """Stops what was started, and says the last word."""
        try:
            # Whoever is interrupted once more while one of them ends lets go of the others all the same.
            with ExitStack() as last:
                if self._folder:
                    last.callback(shutil.rmtree, self._folder, ignore_errors=True)
                for name in filter(None, [self._means.lock, self._means.books] if not self._worker else []):
                    last.callback(Path(name).unlink, missing_ok=True)
                if self._facilitator:
                    last.callback(self._facilitator.stop)
                if self._process:
                    last.callback(self._process.stop)
                if self._running:
                    last.callback(target.end_orphans, self._running)
                if self._run:
                    last.callback(self._run.close)
            return (yield)
        finally:
            self._settle()
            if self._report:
                self._say(*filter(None, [self._unwritten]), terminal.last_line(self._report))

    def _say(self, *lines: str) -> None:
        for line in lines:
            if self._config.pluginmanager.has_plugin("terminalreporter"):
                self._config.get_terminal_writer().line(line, bold=True)
            else:
                sys.stdout.write(f"{line}\n")

    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """The folder of checks is ours."""
        if path != collect.CHECKS:
            return None
        node: collect.CheckDirectory = collect.CheckDirectory.from_parent(
            parent, path=path, nodeid="conformance/checks"
        )
        only = tuple(self._config.getoption("conformance_only") or [""])
        rows: dict[str, tuple[Row, ...]] = {}
        for row in self._rows:
            if row.requirement.id.startswith(only):
                rows[row.requirement.id] = (*rows.get(row.requirement.id, ()), row)
        node.rows, node.judge = rows, self._judge
        return node

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Notes what is going to be judged; a worker of pytest-xdist is told row by row."""
        if self._worker is None:
            self._ahead = tuple(item.row for item in session.items if isinstance(item, collect.CheckItem))
        # Modules, catalogue and rows stay until the end: to look through them for garbage takes a second of a run.
        gc.freeze()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Stops the run in a worker that reads another profile than the controller, whose report it would fill."""
        if self._worker is None or self._worker["conformance_profile"] == self._digest:
            return None
        # Not before there is something to run: who ends while rows are dealt out to it breaks the run off.
        here = f"{self._worker['workerid']}, in {Path.cwd()}, reads {self._profile.path}"
        item.session.shouldstop = f"{here}, which is not the profile of this run; give an absolute path to one file"
        return True

    def _judge(self, row: Row) -> Result:
        if self._run is None:
            msg = "the session has not begun"
            raise RuntimeError(msg)
        if self._down:
            self._run.wire.give_up(self._down)
        elif self._ahead:
            ahead, self._ahead = self._ahead, ()
            self._run.begin(ahead)
        return self._run.judge(row)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Puts the result on the report, so that it survives pytest-xdist and lands in JUnit."""
        report = yield
        if report.when == "call" and isinstance(item, collect.CheckItem) and item.result:
            result = item.result
            # Only what comes from a worker has to be written down; the text is long.
            self._judged[report.nodeid] = result
            setattr(report, _PROPERTY, json.dumps(result.to_json() if self._worker else {"outcome": result.outcome}))
            if result.outcome in {Outcome.UNMET, Outcome.UNTESTABLE, Outcome.INAPPLICABLE}:
                report.outcome = "skipped"
                report.wasxfail = collect.sentence(result)
                report.longrepr = collect.sentence(result)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.CollectReport | pytest.TestReport) -> tuple[str, str, str] | None:
        """Our words instead of pytest's."""
        told = getattr(report, _PROPERTY, None)
        if told is None or str(report.outcome) == "rerun":
            return None
        outcome = json.loads(told)["outcome"]
        letter = {"passed": ".", "violated": "F", "unmet": "u", "inapplicable": "-", "untestable": "?", "error": "E"}
        # Under its own name pytest would print each error again: one cause is one story, told below.
        category = "errored" if outcome == "error" else outcome
        return category, letter[outcome], outcome.upper()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gathers results, on the controller also those of the workers."""
        if str(report.outcome) == "rerun":
            self._taints.append(f"{report.nodeid} was run again")
        elif report.failed and not hasattr(report, _PROPERTY):
            self._taints.append(f"{report.nodeid} failed in its {report.when}, outside the check")
        if told := json.loads(getattr(report, _PROPERTY, "{}")):
            result = self._judged.pop(report.nodeid, None) or ("evidence" in told and Result.from_json(told))
            if not result:
                # Told before: once counts.
                return
            # Many results rest on the same exchanges: each is kept once.
            shared = {key: self._exchanges.setdefault(key, exchange) for key, exchange in result.exchanges.items()}
            self._results.append(replace(result, exchanges=shared))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """The verdict, the report file, and the exit status, over which no other plugin has the last word."""
        if not (self._worker or self._run is None or self._config.option.collectonly):
            self._conclude(session.exitstatus)
            self._settle()
        try:
            return (yield)
        finally:
            self._settle()

    def _conclude(self, status: int) -> None:
        interrupted = "the run was interrupted" if status == pytest.ExitCode.INTERRUPTED else ""
        broken = "pytest broke off with an internal error" if status == pytest.ExitCode.INTERNAL_ERROR else ""
        # Whoever interrupts a run is not kept waiting for one more answer.
        down = self._down or ("" if interrupted else self._sane("last"))
        ended = self._process.ended() if self._process else ""
        self._report = document.conclude(
            profile=self._profile,
            edition=self._edition,
            rows=self._rows,
            results=self._results,
            sanity=self._sanity,
            reservations=[*filter(None, [interrupted, broken, down, ended, self._charged_late()]), *self._taints],
            failures=self._failures,
            began=self._began,
            command=self._process.command if self._process else "",
        )
        if path := self._config.getoption("conformance_report"):
            try:
                document.write(self._report, Path(path))
            except OSError as error:
                self._unwritten = f"--conformance-report={path}: the report could not be written: {error.strerror}"

    def _charged_late(self) -> str:
        """That payments which were refused, and not charged then, were charged after all; empty where none was."""
        if self._facilitator is None:
            return ""
        # A payer may have paid more than once by then: what was seen at the last of them counts.
        seen: dict[str, int] = {}
        excused = set()
        for exchange in self._exchanges.values():
            if not (paid := exchange.paid) or not paid.version:
                continue
            seen[paid.payer.lower()] = max(seen.get(paid.payer.lower(), 0), sum(call.moved for call in paid.calls))
            # Who hung up, or asked a facilitator that was out of order, may not know what became of it.
            if paid.faults or exchange.response is None or exchange.response.status < 400:
                excused.add(paid.payer.lower())
        try:
            calls = self._facilitator.control.calls()
        except (OSError, ValueError, http.client.HTTPException) as error:
            return f"the facilitator could not be asked at the end what was charged ({type(error).__name__})"
        moved = Counter(call.payer for call in calls if call.outcome and call.outcome.moved)
        refused = seen.keys() - excused
        late = [payer for payer, times in moved.items() if payer in refused and times > seen[payer]]
        return f"payments were charged after they had been refused: {len(late)} of them, by {late[0]}" if late else ""

    def _settle(self) -> None:
        """The exit status: ours where pytest's would speak of tests, and never 0 for a run without a verdict."""
        session = self._config.pluginmanager.get_plugin("session")
        if self._worker or self._config.option.collectonly or session is None or session.exitstatus not in _OURS:
            return
        good = self._report is not None and self._report.acceptable and not self._unwritten
        session.exitstatus = pytest.ExitCode.OK if good else pytest.ExitCode.TESTS_FAILED

    def pytest_report_header(self) -> list[str]:
        """Which profile won, what it judges, and where each value came from."""
        return terminal.header(self._profile, self._edition, self._process)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The story, grouped by requirement."""
        if self._report:
            for line in terminal.summary(self._report):
                terminalreporter.write_line(line)
