"""Virtual environments that hold the pinned SDKs of other people, made once and kept."""

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["BrokenEnvironmentError", "python"]

_HERE = Path(__file__).resolve().parent
_CHECKOUT = _HERE.parent.parent
_INSTALL_SECONDS = 900


class BrokenEnvironmentError(Exception):
    """An environment could not be made: a failure of the test run, never a reason to skip."""


def python(requirements: str) -> Path:
    """The interpreter of an environment that holds exactly one of the requirement lists beside this file.

    The environment is kept in ``real/<hash>`` below ``$PYTEST_402_CACHE``, or below ``.cache`` in the checkout. The
    hash covers the list and the interpreter that runs us: a changed pin or another Python makes another environment.

    Raises BrokenEnvironmentError when it cannot be made, for instance because the package index does not answer.
    """
    listing = _HERE / requirements
    home = _cache() / _key(listing)
    complete = home / "complete"
    interpreter = home / "bin" / "python"
    home.parent.mkdir(parents=True, exist_ok=True)
    with _alone(home.with_suffix(".lock")):
        if not complete.exists():
            _make(home, interpreter, listing)
            complete.touch()
    return interpreter


def _cache() -> Path:
    chosen = os.environ.get("PYTEST_402_CACHE")
    return (Path(chosen).resolve() if chosen else _CHECKOUT / ".cache") / "real"


def _key(listing: Path) -> str:
    what = (listing.read_bytes(), sys.version.encode(), os.fsencode(sys.base_prefix))
    return hashlib.sha256(b"\0".join(what)).hexdigest()[:16]


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    # The kernel drops the lock with its holder, so a killed run leaves nothing that the next one would wait for.
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _make(home: Path, interpreter: Path, listing: Path) -> None:
    # --clear: whatever stands here without its mark was left half-made.
    _run([sys.executable, "-m", "venv", "--clear", str(home)], listing)
    pip = [str(interpreter), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    # --no-deps: a package that the list forgot must break here and not be taken in whatever version is newest today.
    options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--retries", "2", "--timeout", "30"]
    _run([*pip, "install", *options, "--requirement", str(listing)], listing)
    _run([*pip, "check"], listing)


def _run(command: list[str], listing: Path) -> None:
    try:
        done = subprocess.run(
            command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=_INSTALL_SECONDS
        )
    except subprocess.TimeoutExpired:
        said = f"no end after {_INSTALL_SECONDS} s"
    else:
        if done.returncode == 0:
            return
        said = done.stdout[-2000:].strip()
    message = (
        f"{listing}: no environment with these packages could be made; the tests against real servers need a package "
        f"index that answers (see `pip config list`), or an environment made earlier in {_cache()}. "
        f"Failed: {' '.join(command)}\n{said}"
    )
    raise BrokenEnvironmentError(message)
