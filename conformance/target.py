"""A target that we start ourselves: on a free port, until it is ready, with its log kept, stopped at the end."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import httpx

from conformance.outcome import printable
from conformance.profile import Profile, ProfileError, Start
from conformance.redaction import Redactor

__all__ = ["Process", "end_orphans", "start"]

_READY_WITHIN = 30.0
_STOPS_WITHIN = 5.0
_ORPHANS_STOP_WITHIN = 1.0
_WORD = re.compile(r"\{(port|python|facilitator|scratch)\}")
_GATEWAY = {502, 503, 504}


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A running target; SIGTERM interrupts us as long as it runs, so that it does not outlive us."""

    base_url: str
    command: str
    log: Path
    _child: subprocess.Popen[bytes]
    _unheed: Callable[[], None]
    _note: Path | None = None
    """Says that it runs, to who sees to it that it ends if we cannot."""

    def ended(self) -> str:
        """That it ended by itself, as a sentence; empty while it runs."""
        status = self._child.poll()
        if status is None:
            return ""
        return f"the target that we started ended by itself with status {status}: what answered may be another one"

    def stop(self) -> None:
        """Ends the process and what it started, also what outlived it; waits until they are gone."""
        try:
            self._send(signal.SIGTERM)
            self._wait()
        finally:
            self._send(signal.SIGKILL)
            self._child.kill()
            self._child.wait()
            self.log.unlink(missing_ok=True)
            if self._note:
                self._note.unlink(missing_ok=True)
            self._unheed()

    def _send(self, how: int) -> bool:
        """Whether there is anybody left in the group to be told."""
        try:
            os.killpg(self._child.pid, how)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def _wait(self) -> None:
        until = time.monotonic() + _STOPS_WITHIN
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(_STOPS_WITHIN)
            until = time.monotonic() + _ORPHANS_STOP_WITHIN
        while self._send(0) and time.monotonic() < until:
            time.sleep(0.02)


def start(
    profile: Profile,
    how: Start,
    *,
    environ: Mapping[str, str],
    facilitator: str = "",
    scratch: str = "",
    port: int = 0,
    unready: float | None = None,
    broken_off: threading.Event | None = None,
    running: str = "",
) -> Process:
    """Starts the target of ``profile``, whose facilitator is at ``facilitator``, and waits until it is ready.

    ``scratch`` is a folder for what it remembers, ``port`` the one that it is given; 0 is any free one. A target that
    answers for ``unready`` seconds that it is not ready will do, where that is given. Nothing is waited for once
    ``broken_off`` is set. While it runs it is noted in the folder ``running``, for ``end_orphans``. Raises ProfileError
    for a command that cannot be run, for an address at which somebody answers already, and, with the end of its log,
    when the target does not become ready within 30 s.
    """
    number = str(port or _free_port())
    words = {"port": number, "python": sys.executable, "facilitator": facilitator, "scratch": scratch}
    command = [_filled(part, words) for part in _parts(profile, how)]
    env = {**environ, **{key: _filled(value, words) for key, value in how.env.items()}}
    base_url = profile.target.base_url.replace("{port}", number)
    ready = base_url.rstrip("/") + how.ready
    if _taken(ready):
        msg = f"{profile.path}: target.start: somebody answers at {ready} before the target is started"
        raise ProfileError(f"{msg}; stop it, or write {{port}} in target.base_url and target.start.command")
    handle, name = tempfile.mkstemp(prefix="conformance-target-", suffix=".log")
    log = Path(name)
    unheed = _heed_sigterm()
    try:
        child = subprocess.Popen(  # noqa: S603 - the profile's own command, without a shell
            command, cwd=how.cwd, env=env, stdout=handle, stderr=handle, start_new_session=True
        )
    except (OSError, ValueError) as error:
        unheed()
        log.unlink()
        what = getattr(error, "filename", None) or command[0]
        why = getattr(error, "strerror", None) or error
        msg = f"{profile.path}: target.start.command: {printable(what)} cannot be started: {why}"
        raise ProfileError(msg) from error
    finally:
        os.close(handle)
    note = Path(running) / f"{child.pid} {log.name}" if running else None
    process = Process(base_url=base_url, command=shlex.join(command), log=log, _child=child, _unheed=unheed, _note=note)
    try:
        if note:
            note.touch()
        told = _told(profile, process, why) if (why := _not_ready(ready, child, unready, broken_off)) else ""
    except BaseException:
        process.stop()
        raise
    if told:
        process.stop()
        raise ProfileError(told)
    return process


def end_orphans(running: str) -> None:
    """Ends what is noted in the folder ``running`` still, whose process was killed, and removes the folder."""
    for note in Path(running).glob("*"):
        number, _, log = note.name.partition(" ")
        with suppress(ProcessLookupError, PermissionError):
            # It began a session of its own; another one of this number is none of ours.
            if os.getsid(int(number)) == int(number):
                os.killpg(int(number), signal.SIGKILL)
        (Path(tempfile.gettempdir()) / log).unlink(missing_ok=True)
    shutil.rmtree(running, ignore_errors=True)


def _parts(profile: Profile, how: Start) -> list[str]:
    where = f"{profile.path}: target.start.command is {how.command!r}"
    try:
        parts = shlex.split(how.command)
    except ValueError as error:
        msg = f"{where}, whose quotes or escapes are not closed; close them"
        raise ProfileError(msg) from error
    if not parts or not parts[0]:
        msg = f"{where}, which names no program; write one, or take the table [target.start] out"
        raise ProfileError(msg)
    return parts


def _filled(text: str, words: Mapping[str, str]) -> str:
    return _WORD.sub(lambda found: words[found[1]], text)


def _told(profile: Profile, process: Process, why: str) -> str:
    redactor = Redactor.of(profile.secrets)
    lines = process.log.read_text("utf-8", "replace").splitlines()[-10:]
    tail = "\n".join(printable(redactor.text(line)) for line in lines)
    msg = f"{profile.path}: target.start.command: {printable(redactor.text(process.command))}: {why}"
    return f"{msg}; the end of its log:\n{tail}" if tail else f"{msg}; it logged nothing"


def _taken(url: str) -> bool:
    """Whether somebody answers already, other than a gateway that waits for our target as we do."""
    with httpx.Client(trust_env=False, timeout=2.0) as client:
        try:
            with client.stream("GET", url) as answer:
                return answer.status_code not in _GATEWAY
        except (httpx.ConnectError, httpx.ConnectTimeout):
            return False
        except httpx.HTTPError:
            return True


def _not_ready(
    url: str, child: subprocess.Popen[bytes], unready: float | None, broken_off: threading.Event | None
) -> str:
    until = time.monotonic() + _READY_WITHIN
    answers = None
    with httpx.Client(trust_env=False, timeout=2.0) as client:
        while time.monotonic() < until:
            if child.poll() is not None:
                return f"it ended with status {child.returncode} before it was ready"
            if broken_off and broken_off.is_set():
                return "the run was broken off before it was ready"
            with suppress(httpx.HTTPError), client.stream("GET", url) as answer:
                # Whoever answers after it has ended is somebody else.
                if answer.status_code < 500 and child.poll() is None:
                    return ""
                answers = answers or time.monotonic()
                if unready is not None and time.monotonic() - answers > unready and child.poll() is None:
                    return ""
            time.sleep(0.02)
    return f"target.start.ready ({url}) does not answer within {_READY_WITHIN:g} s"


def _heed_sigterm() -> Callable[[], None]:
    """Makes SIGTERM end a run as Ctrl-C does, with its teardown; returns what puts the old handler back."""
    before = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or before in {signal.SIG_IGN, None}:
        return lambda: None
    signal.signal(signal.SIGTERM, _interrupt)

    def unheed() -> None:
        signal.signal(signal.SIGTERM, before)

    return unheed


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    # Once is enough: the teardown itself is not to be broken off.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    msg = "SIGTERM"
    raise KeyboardInterrupt(msg)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
