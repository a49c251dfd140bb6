"""Real x402 servers that we did not write, run for as long as a test needs them."""

import contextlib
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import httpx

from . import environment, supported

__all__ = ["NAMES", "BrokenServerError", "running"]

_HERE = Path(__file__).resolve().parent
_REQUIREMENTS = MappingProxyType(
    {
        "fastapi_v1": "requirements-x402-1.txt",
        "fastapi_v2": "requirements-x402-2.txt",
        "flask_v2": "requirements-x402-2.txt",
    }
)
NAMES = tuple(_REQUIREMENTS)
"""The servers that ``running`` knows, each a script beside this file."""

_START_SECONDS = 60
_STOP_SECONDS = 10


class BrokenServerError(Exception):
    """A server did not come up: a failure of the test run, never a reason to skip."""


@contextmanager
def running(name: str, facilitator_url: str | None = None) -> Iterator[str]:
    """Run one of ``NAMES`` in its own environment on a free port of 127.0.0.1; gives the base URL once it answers.

    Without a ``facilitator_url`` it gets a facilitator that only says what it supports.
    Raises BrokenServerError with the end of the server's log when it does not answer within 60 s, and
    environment.BrokenEnvironmentError when its SDK cannot be installed.
    """
    interpreter = environment.python(_REQUIREMENTS[name])
    port = _free_port()
    base_url = f"http://127.0.0.1:{port}"
    asked = contextlib.nullcontext(facilitator_url) if facilitator_url else supported.answering()
    with asked as facilitator_at, tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            # -I: neither our PYTHONPATH nor this folder leaks into their environment.
            [str(interpreter), "-I", "-u", str(_HERE / f"{name}.py"), str(port)],
            env={**os.environ, "FACILITATOR_URL": facilitator_at, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            trouble = _trouble(process, base_url)
            if trouble:
                log.seek(0)
                tail = log.read()[-4000:].decode(errors="replace")
                message = f"{name}.py did not answer {base_url}/health with 200: {trouble}; the end of its log:\n{tail}"
                raise BrokenServerError(message)
            yield base_url
        finally:
            _stop(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _trouble(process: subprocess.Popen[bytes], base_url: str) -> str:
    # Says why the server is not usable, or nothing once it is.
    deadline = time.monotonic() + _START_SECONDS
    last = "it was never asked"
    with httpx.Client(trust_env=False, timeout=5) as client:
        while time.monotonic() < deadline:
            try:
                status = client.get(f"{base_url}/health").status_code
            except httpx.TransportError as error:
                last = repr(error)
            else:
                if status == httpx.codes.OK:
                    return ""
                last = f"status {status}"
            try:
                return f"it ended with exit code {process.wait(timeout=0.1)}"
            except subprocess.TimeoutExpired:
                pass
    return f"{last}, after {_START_SECONDS} s"


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
