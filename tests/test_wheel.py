"""What is built is what works: the wheel, in an environment of its own, from an empty folder."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sessions import clean_environment

ROOT = Path(__file__).resolve().parents[1]


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs ``command`` with nothing of this environment but its PATH and indexes."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean_environment(lean=False),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout."""
    if not (ROOT / "pyproject.toml").is_file():
        pytest.skip("needs the checkout")
    folder = tmp_path_factory.mktemp("wheel")
    built = run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT, cwd=folder)
    assert built.returncode == 0, built.stdout + built.stderr
    (made,) = folder.glob("pytest_402-*.whl")
    return made


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An interpreter with the wheel and its dependencies, and nothing else of ours."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    found = folder / ("Scripts/python.exe" if sysconfig.get_platform().startswith("win") else "bin/python")
    installed = run(found, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel, cwd=folder)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    yield found


def test_the_wheel_holds_the_data(wheel: Path) -> None:
    """Every schema, profile and catalogue of the checkout is inside, the module that pytest loads, and no test."""
    inside = set(zipfile.ZipFile(wheel).namelist())
    assert {name.partition("/")[0] for name in inside if ".dist-info/" not in name} == {"conformance", "pytest_402.py"}
    for folder in ("schemas", "profiles"):
        for file in (ROOT / folder).rglob("*.*"):
            assert f"conformance/{file.relative_to(ROOT).as_posix()}" in inside
    for file in (ROOT / "conformance").rglob("*"):
        if file.suffix in {".py", ".toml", ".typed"} or file.name == "py.typed":
            assert file.relative_to(ROOT).as_posix() in inside
    assert not [name for name in inside if name.startswith("tests/") or "__pycache__" in name]


def test_the_first_command_works(python: Path, tmp_path: Path) -> None:
    """pip install, and the first command of the README in an empty folder: conformant, with the line that it shows."""
    readme = (ROOT / "README.md").read_text("utf-8")
    assert "pip install . && pytest --conformance-profile=sandbox\n" in readme
    ran = run(python.with_name("pytest"), "--conformance-profile=sandbox", cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    last = ran.stdout.rstrip().splitlines()[-1]
    assert last.startswith("conformant: ")
    assert f"\n{last}\n" in readme, ran.stdout
    assert str(ROOT) not in ran.stdout
    assert [path.name for path in tmp_path.iterdir()] == [".pytest_cache"]


def test_pytest_as_a_module_works_too(python: Path, tmp_path: Path) -> None:
    """``python -m pytest``, which puts the working directory on the path; a part of the run, which pays."""
    ran = run(
        *(python, "-m", "pytest", "--conformance-profile=sandbox", "--conformance-only=x402.guard.good-payment"),
        cwd=tmp_path,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert ran.stdout.rstrip().splitlines()[-1].startswith("incomplete: 5 passed, ")


def test_the_module_runs(python: Path, tmp_path: Path) -> None:
    """``python -m conformance catalogue`` reads the packaged data."""
    ran = run(python, "-m", "conformance", "catalogue", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "http.unpaid-is-refused" in ran.stdout
