"""A target that we start ourselves: on a free port, until it is ready, with its log kept, stopped at the end."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from conformance.outcome import printable
from conformance.profile import Profile, ProfileError, Start
from conformance.redaction import Redactor

__all__ = ["Process", "start"]

_READY_WITHIN = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A running target."""

    base_url: str
    command: str
    log: Path
    _child: subprocess.Popen[bytes]

    def stop(self) -> None:
        """Ends the process and what it started; waits until it is gone."""
        for how in (signal.SIGTERM, signal.SIGKILL):
            if self._child.poll() is not None:
                break
            os.killpg(self._child.pid, how)
            try:
                self._child.wait(5)
            except subprocess.TimeoutExpired:
                continue
        self.log.unlink(missing_ok=True)


def start(profile: Profile, how: Start, *, environ: Mapping[str, str]) -> Process:
    """Starts the target of ``profile`` and waits until it is ready.

    Raises ProfileError, with the end of its log, when it does not become ready within 30 s.
    """
    port = _free_port()
    words = {"port": str(port), "python": sys.executable, "facilitator": profile.facilitator.url or ""}
    command = [part.format_map(words) for part in shlex.split(how.command)]
    handle, name = tempfile.mkstemp(prefix="conformance-target-", suffix=".log")
    log = Path(name)
    env = {**environ, **{key: value.format_map(words) for key, value in how.env.items()}}
    try:
        child = subprocess.Popen(  # noqa: S603 - the profile's own command, without a shell
            command, cwd=how.cwd, env=env, stdout=handle, stderr=handle, start_new_session=True
        )
    except OSError as error:
        log.unlink()
        msg = f"{profile.path}: target.start.command: {command[0]} cannot be started: {error.strerror}"
        raise ProfileError(msg) from error
    finally:
        os.close(handle)
    base_url = profile.target.base_url.replace("{port}", str(port))
    process = Process(base_url=base_url, command=shlex.join(command), log=log, _child=child)
    if why := _not_ready(base_url.rstrip("/") + how.ready, child):
        redactor = Redactor.of(profile.secrets)
        lines = log.read_text("utf-8", "replace").splitlines()[-10:]
        tail = "\n".join(printable(redactor.text(line)) for line in lines)
        process.stop()
        msg = f"{profile.path}: target.start.command: {redactor.text(process.command)}: {why}"
        raise ProfileError(f"{msg}; the end of its log:\n{tail}" if tail else f"{msg}; it logged nothing")
    return process


def _not_ready(url: str, child: subprocess.Popen[bytes]) -> str:
    until = time.monotonic() + _READY_WITHIN
    with httpx.Client(trust_env=False, timeout=2.0) as client:
        while time.monotonic() < until:
            if child.poll() is not None:
                return f"it ended with status {child.returncode} before it was ready"
            try:
                if client.get(url).status_code < 500:
                    return ""
            except httpx.HTTPError:
                pass
            time.sleep(0.02)
    return f"target.start.ready ({url}) does not answer within {_READY_WITHIN:g} s"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
