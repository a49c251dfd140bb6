"""Environments that hold the pinned SDKs of other people, and programs of Debian's, made once and kept."""

import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["BrokenEnvironmentError", "Debian", "debian", "npm", "python"]

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
    what = (listing.read_bytes(), sys.version.encode(), os.fsencode(sys.base_prefix))
    return _kept(what, lambda home: _make_python(home, listing)) / "bin" / "python"


def npm(folder: str) -> Path:
    """A folder whose ``node_modules`` hold exactly what a package-lock.json below this folder lists.

    It is kept as the interpreters are; here the hash covers package.json and the lock. What only pages in a browser
    need is replaced by an empty package there: no server loads it, and it would be four fifths of what is installed.

    Raises BrokenEnvironmentError when it cannot be made, for instance because there is no npm.
    """
    listings = [_HERE / folder / name for name in ("package.json", "package-lock.json")]
    return _kept(tuple(listing.read_bytes() for listing in listings), lambda home: _make_npm(home, listings))


@dataclass(frozen=True, slots=True, kw_only=True)
class Debian:
    """Packages of Debian's that are unpacked in a folder, and installed nowhere."""

    root: Path

    def program(self, path: str) -> Path:
        """Where the program is that the packages have at ``path``, such as ``usr/sbin/nginx``."""
        return self.root / path

    def launcher(self, path: str) -> Path:
        """A program that runs the one at ``path`` with its libraries, for who knows nothing of these."""
        written = self.root.parent / Path(path).name
        variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in self.environ().items())
        beside = written.with_suffix(f".{os.getpid()}")
        beside.write_text(f'#!/bin/sh\n{variables} exec {shlex.quote(str(self.program(path)))} "$@"\n')
        beside.chmod(0o755)
        # Another worker may be about to start it.
        return beside.rename(written)

    def environ(self) -> dict[str, str]:
        """Variables with which its programs find the libraries that came with them."""
        folders = sorted({str(library.parent) for library in self.root.rglob("*.so*")})
        return {"LD_LIBRARY_PATH": ":".join(folders)}


def debian(*packages: str) -> Debian:
    """These packages of the machine's own release, with what they need and the machine lacks.

    They are kept as the interpreters are, unpacked; no rights of an administrator are asked for.

    Raises BrokenEnvironmentError when they cannot be had, for instance because there is no apt-get.
    """
    release = Path("/etc/os-release")
    what = (b"debian", *map(str.encode, packages), release.read_bytes() if release.exists() else b"")
    return Debian(root=_kept(what, lambda home: _make_debian(home, packages)) / "root")


def _kept(what: tuple[bytes, ...], make: Callable[[Path], None]) -> Path:
    # The folder for all of that; made unless it stands there complete.
    home = _cache() / hashlib.sha256(b"\0".join(what)).hexdigest()[:16]
    complete = home / "complete"
    home.parent.mkdir(parents=True, exist_ok=True)
    with _alone(home.with_suffix(".lock")):
        if not complete.exists():
            make(home)
            complete.touch()
    return home


def _cache() -> Path:
    chosen = os.environ.get("PYTEST_402_CACHE")
    return (Path(chosen).resolve() if chosen else _CHECKOUT / ".cache") / "real"


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    # The kernel drops the lock with its holder, so a killed run leaves nothing that the next one would wait for.
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _make_python(home: Path, listing: Path) -> None:
    # --clear: whatever stands here without its mark was left half-made.
    _run([sys.executable, "-m", "venv", "--clear", str(home)], listing)
    pip = [str(home / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    # --no-deps: a package that the list forgot must break here and not be taken in whatever version is newest today.
    # --no-compile: a server loads a small part of what is installed, and that is compiled when it does.
    options = ["--quiet", "--no-deps", "--no-compile", "--only-binary", ":all:", "--retries", "2", "--timeout", "30"]
    _run([*pip, "install", *options, "--requirement", str(listing)], listing)
    _run([*pip, "check"], listing)


def _make_npm(home: Path, listings: list[Path]) -> None:
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    for listing in listings:
        shutil.copy(listing, home)
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=2", "--fetch-timeout=30000"]
    _run(["npm", "ci", *options], listings[1], folder=home)


def _make_debian(home: Path, packages: tuple[str, ...]) -> None:
    shutil.rmtree(home, ignore_errors=True)
    (home / "cache" / "archives" / "partial").mkdir(parents=True)
    (home / "lists" / "partial").mkdir(parents=True)
    # Folders of our own in place of the machine's, which belong to root.
    own = ["-qq", "-o", f"Dir::Cache={home / 'cache'}", "-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User="]
    download = ["install", "--download-only", "--reinstall", "--no-install-recommends", "--yes", *packages]
    try:
        _run(["apt-get", *own, *download], home)
    except BrokenEnvironmentError:
        # The machine's lists of packages may be missing, or older than what the index still has.
        own += ["-o", f"Dir::State::lists={home / 'lists'}"]
        _run(["apt-get", *own, "update"], home)
        _run(["apt-get", *own, *download], home)
    for archive in sorted((home / "cache" / "archives").glob("*.deb")):
        _run(["dpkg-deb", "--extract", str(archive), str(home / "root")], home)
    shutil.rmtree(home / "cache")
    shutil.rmtree(home / "lists")


def _run(command: list[str], listing: Path, folder: Path | None = None) -> None:
    try:
        done = subprocess.run(
            command,
            check=False,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_INSTALL_SECONDS,
        )
    except FileNotFoundError:
        brings = "Node.js 20 or later" if command[0] == "npm" else "Debian"
        said = f"there is no {command[0]} on PATH; {brings} brings it"
    except subprocess.TimeoutExpired:
        said = f"no end after {_INSTALL_SECONDS} s"
    else:
        if done.returncode == 0:
            return
        said = done.stdout[-2000:].strip()
    message = (
        f"{listing}: no environment with these packages could be made; the tests against real servers need pip, npm, apt-get and "
        "package indexes that answer (see `pip config list` and `npm config get registry`), or an environment made "
        f"earlier in {_cache()}. Failed: {' '.join(command)}\n{said}"
    )
    raise BrokenEnvironmentError(message)
