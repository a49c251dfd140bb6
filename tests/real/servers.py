"""Real servers that we did not write, run for as long as a test needs them."""

import contextlib
import os
import shutil
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

__all__ = ["NAMES", "ROUTED", "STRIPES", "BrokenServerError", "running"]

_HERE = Path(__file__).resolve().parent
_PYTHON = MappingProxyType(
    {
        "fastapi_v1": "requirements-x402-1.txt",
        "fastapi_v2": "requirements-x402-2.txt",
        "fastapi_old_v2": "requirements-x402-2.0.txt",
        "flask_v1": "requirements-x402-1.txt",
        "flask_v2": "requirements-x402-2.txt",
        "flask_old_v2": "requirements-x402-2.0.txt",
        "localstripe": "requirements-localstripe.txt",
    }
)
_NODE = MappingProxyType(
    {
        "express_v1": "npm-x402-1",
        "express_v2": "npm-x402-2",
        "express_old_v2": "npm-x402-2.1",
        "hono_v2": "npm-x402-hono",
        "hono_old_v2": "npm-x402-2.1",
        "stripe_stateful_mock": "npm-stripe-stateful-mock",
    }
)
STRIPES = ("localstripe", "stripe_stateful_mock")
"""Servers that stand in for Stripe, each a script beside this file."""
NAMES = ("fastapi_v1", "fastapi_v2", "flask_v1", "flask_v2", "express_v1", "express_v2")
"""Servers that speak x402, each a script beside this file; they end in the version that they speak."""
ROUTED = ("hono_v2", "fastapi_old_v2", "flask_old_v2", "express_old_v2", "hono_old_v2")
"""Further ones, which are asked in every way, and paid by no test; an old one is the same script with an old SDK."""

_START_SECONDS = 60
_STOP_SECONDS = 10


class BrokenServerError(Exception):
    """A server did not come up: a failure of the test run, never a reason to skip."""


@contextmanager
def running(name: str, facilitator_url: str | None = None) -> Iterator[str]:
    """Run one of ``NAMES``, ``ROUTED`` or ``STRIPES`` in its own environment; gives the base URL once it answers.

    It is on a free port of 127.0.0.1. One that speaks x402 gets a facilitator that only says what it supports, unless
    there is a ``facilitator_url``.
    Raises BrokenServerError with the end of the server's log when it does not answer within 60 s, and
    environment.BrokenEnvironmentError when its SDK cannot be installed.
    """
    script, command, folder = _command(name)
    port = _free_port()
    base_url = f"http://127.0.0.1:{port}"
    # A Stripe tells everybody who has no key that it is there.
    ready, status = (f"{base_url}/", 401) if name in STRIPES else (f"{base_url}/health", 200)
    given = facilitator_url or ("" if name in STRIPES else None)
    asked = supported.answering() if given is None else contextlib.nullcontext(given)
    with asked as facilitator_at, tempfile.TemporaryFile() as log:
        with script.open("rb") as program:
            process = subprocess.Popen(
                [*command, str(port)],
                cwd=folder,
                # Express tells strangers its stack unless it is in production.
                env={
                    **os.environ,
                    "FACILITATOR_URL": facilitator_at,
                    "NODE_ENV": "production",
                    "NO_PROXY": "127.0.0.1",
                    "no_proxy": "127.0.0.1",
                    # Older SDKs make a TLS context for each call, a tenth of a second for all authorities; none is needed.
                    "SSL_CERT_DIR": str(_HERE),
                    "SSL_CERT_FILE": "",
                },
                stdin=program,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            trouble = _trouble(process, ready, status)
            if trouble:
                log.seek(0)
                tail = log.read()[-4000:].decode(errors="replace")
                message = f"{script.name} did not answer {ready} with {status}: {trouble}; the end of its log:\n{tail}"
                raise BrokenServerError(message)
            yield base_url
        finally:
            _stop(process)


def _command(name: str) -> tuple[Path, list[str], Path | None]:
    # The script, which becomes the standard input; what runs it, up to the port; and in which folder.
    file = name.replace("_old", "")
    if name in _PYTHON:
        # -I: neither our PYTHONPATH nor this folder leaks into their environment.
        script = _HERE / f"{file}.py"
        return script, [str(environment.python(_PYTHON[name])), "-I", "-u", str(script)], None
    packages = environment.npm(_NODE[name])
    node = shutil.which("node")
    if node is None:
        raise BrokenServerError(f"{name}: there is no node on PATH; the tests need Node.js 20 or later")
    # A module looks for packages beside its file, but in the folder it is run in when it comes from standard input.
    return _HERE / f"{file}.mjs", [node, "--input-type=module", "-"], packages


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _trouble(process: subprocess.Popen[bytes], ready: str, expected: int) -> str:
    # Says why the server is not usable, or nothing once it is.
    deadline = time.monotonic() + _START_SECONDS
    last = "it was never asked"
    with httpx.Client(trust_env=False, timeout=5) as client:
        while time.monotonic() < deadline:
            try:
                status = client.get(ready).status_code
            except httpx.TransportError as error:
                last = repr(error)
            else:
                if status == expected:
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
