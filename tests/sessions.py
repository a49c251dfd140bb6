"""Conformance runs as a user starts them, and the correct server that they run against."""

import contextlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import uvicorn

from conformance.sandbox import app
from conformance.sandbox.price import GOODS, Good

__all__ = [
    "CLAIMS",
    "PAID",
    "Ran",
    "clean_environment",
    "nested",
    "paid_profile",
    "profile",
    "runs",
    "sandbox",
    "session",
    "started",
    "under_way",
]

CLAIMS = '[claims]\nclasses = ["http", "browser", "x402/offer"]\n'
PAID = '[claims]\nclasses = ["x402/guard", "x402/settlement", "x402/order"]\n'
_LEAN = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "pytest_402"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What became of one run."""

    code: int
    out: str
    """Both streams."""
    report: dict[str, Any]
    """Empty when none was written."""
    took: float
    """Seconds."""

    @property
    def last(self) -> str:
        """The last line."""
        return (self.out.rstrip().splitlines() or [""])[-1]

    @property
    def verdict(self) -> str:
        """What the last line says, which is what the report says; empty when neither says anything."""
        word = re.match(r"conformant|incomplete|not conformant", self.last)
        assert (word.group() if word else "") == self.report.get("verdict", ""), self.out
        return self.report.get("verdict", "")

    @property
    def outcomes(self) -> dict[str, str | None]:
        """Requirement and endpoint -> outcome; None for a row that did not run."""
        return {f"{r['requirement']} {r['endpoint']}": r["outcome"] for r in self.report["results"]}


def profile(base_url: str, *, claims: str = CLAIMS, target: str = "timeout = 5.0", more: str = "") -> str:
    """A profile of one endpoint of the sandbox; ``target`` are further lines of its table, ``more`` of the file."""
    return (
        f'edition = "2026.11"\n[target]\nname = "Small"\nbase_url = "{base_url}"\n{target}\n{claims}'
        '[identity.subscriber]\nheaders = { Sandbox-Account = "subscriber" }\n'
        '[[endpoint]]\nname = "weather"\npath = "/weather"\nprotocol = "x402"\nversions = [2]\nmarker = "sunny"\n'
        'paid_identity = "subscriber"\n[[endpoint.terms]]\nscheme = "exact"\nnetwork = "eip155:84532"\n'
        'asset = "0x036CbD53842c5426634e7929541eC2318f3dCF7e"\namount = "10000"\n'
        f'pay_to = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C"\n{more}'
    )


def paid_profile(
    *, claims: str = PAID, target: str = "", facilitator: str = '[facilitator]\nmode = "scripted"\n', more: str = ""
) -> str:
    """A profile of one endpoint of a sandbox that is started for the run and takes payments.

    ``target`` are further lines of the table [target.start], ``facilitator`` is the table of that name.
    """
    start = (
        'timeout = 5.0\n[target.start]\nready = "/health"\n'
        'command = "{python} -m conformance sandbox --port {port} --store {scratch}/payments.sqlite"\n'
    )
    if "FACILITATOR_URL" not in target:
        start += 'env = { FACILITATOR_URL = "{facilitator}" }\n'
    endpoint = (
        '[endpoint.failing]\nquery = { boom = "1" }\n[endpoint.slow]\nquery = { sleep = "2" }\n'
        '[endpoint.witness]\npath = "/stats"\npointer = "/handled/weather"\n'
    )
    return profile(
        "http://127.0.0.1:{port}", claims=claims, target=f"{start}{target}", more=f"{endpoint}{facilitator}{more}"
    )


def clean_environment(*, lean: bool = True, **more: str) -> dict[str, str]:
    """Our environment without what this pytest left in it; ``lean`` loads no plugin but ours, which is faster."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "PYTHON", "CONFORMANCE", "COV"))}
    # Tests see the code that they stand beside, also where it is not installed from this folder.
    return (
        own
        | ({"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {})
        | (_LEAN if lean else {})
        | more
    )


def started(
    folder: Path, *args: str, python: Sequence[str] = (), lean: bool = True, env: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """``pytest`` with ``args`` in ``folder``, under way; the caller waits for it."""
    # What a shell runs in the background ignores Ctrl-C, and so would all that it starts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [sys.executable, *python, "-m", "pytest", *args],
            cwd=folder,
            env=clean_environment(lean=lean, **(env or {})),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="surrogateescape",
            start_new_session=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)


def runs(pid: int) -> bool:
    """Whether the process runs; one that only waits to be asked how it ended does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    told = Path(f"/proc/{pid}/stat")
    return not told.exists() or told.read_text("utf-8").rpartition(")")[2].split()[0] != "Z"


def session(
    folder: Path,
    *args: str,
    text: str = "",
    python: Sequence[str] = (),
    lean: bool = True,
    env: Mapping[str, str] | None = None,
    within: float = 60.0,
) -> Ran:
    """A whole run of the profile ``text``, written to ``folder/profiles/small.toml``, with a report.

    Fails when it takes longer than ``within`` seconds.
    """
    return under_way(folder, *args, text=text, python=python, lean=lean, env=env)(within)


def under_way(
    folder: Path,
    *args: str,
    text: str,
    python: Sequence[str] = (),
    lean: bool = True,
    env: Mapping[str, str] | None = None,
) -> Callable[[float], Ran]:
    """Begins such a run; gives what waits for its end, as many seconds as it is told."""
    asked = _ready(folder, text)
    began = time.monotonic()
    child = started(folder, *asked, *args, python=python, lean=lean, env=env)

    def ended(within: float) -> Ran:
        try:
            out, _ = child.communicate(timeout=within)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            out, _ = child.communicate()
            raise AssertionError(f"the run takes longer than {within:g} s:\n{out}") from None
        return Ran(code=child.returncode, out=out, report=_report(folder), took=time.monotonic() - began)

    return ended


def nested(folder: Path, *args: str, text: str = "", env: Mapping[str, str] | None = None) -> Ran:
    """As ``session``, but in this process: much faster, where nothing depends on the process."""
    out = io.StringIO()
    began = time.monotonic()
    with (
        mock.patch.dict(os.environ, clean_environment(**(env or {})), clear=True),
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(out),
    ):
        # What holds for the whole process stays with the outer pytest.
        code = pytest.main(["-s", "-p", "no:faulthandler", *_ready(folder, text), *args])
    return Ran(code=int(code), out=out.getvalue(), report=_report(folder), took=time.monotonic() - began)


def _ready(folder: Path, text: str) -> tuple[str, ...]:
    (folder / "report.json").unlink(missing_ok=True)
    if not text:
        return ()
    (folder / "profiles").mkdir(exist_ok=True)
    (folder / "profiles" / "small.toml").write_text(text, "utf-8")
    return ("--conformance-profile=small", "--conformance-report=report.json")


def _report(folder: Path) -> dict[str, Any]:
    written = folder / "report.json"
    found: dict[str, Any] = json.loads(written.read_text("utf-8")) if written.exists() else {}
    return found


@contextmanager
def sandbox(public_url: str = "", facilitator: str = "", goods: Sequence[Good] = GOODS) -> Iterator[str]:
    """The sandbox on a free port, in a thread; ``public_url`` is what it calls itself when it is behind another.

    With the URL of a ``facilitator`` it takes payments; it sells ``goods``.
    """
    # The protocol is named because asyncio turns Nagle's algorithm off only then: 40 ms for each request otherwise.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        here = f"http://127.0.0.1:{listening.getsockname()[1]}"
        built = app(public_url or here, facilitator, goods=goods)
        config = uvicorn.Config(built, http="h11", log_level="error", lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        # The socket listens already: a request that comes early waits for the server.
        try:
            yield here
        finally:
            server.should_exit = True
            thread.join(10)
