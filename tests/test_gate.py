"""What ``docs/ci.md`` tells a pipeline to do is done here, step by step, in a fresh folder."""

import datetime
import json
import re
import subprocess
import sys
import tomllib
import venv
from collections.abc import Mapping
from pathlib import Path

import pytest
from sessions import clean_environment

from conformance import catalogue

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "ci.md").read_text("utf-8")
PROFILE, FAILURES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
(WORKFLOW,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
(PLAIN,) = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
STEPS = re.findall(r"^ +run: (\S.*)$", WORKFLOW, re.MULTILINE)

SERVER = """\
import os
from dataclasses import replace

from conformance.sandbox import app as sandbox
from conformance.sandbox.price import GOODS

wrong = "LATE" in os.environ
goods = [replace(good, price=replace(good.price, max_timeout_seconds="60" if wrong else 60)) for good in GOODS]
app = sandbox(os.environ["PUBLIC_URL"], os.environ["FACILITATOR_URL"], goods=goods)
"""
"""What the profile of the page starts: a server that is right, or wrong in the one thing that the page excuses."""


def step(command: str, cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """A step as GitHub runs it on Linux."""
    return subprocess.run(
        ["bash", "-e", "-c", command], cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=120
    )


def interpreter(folder: Path) -> Path:
    """A new environment that has what ours has, for what is not ours needs no second download."""
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    ours = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "dependencies.pth").write_text("".join(f"{path}\n" for path in ours), "utf-8")
    return folder / "bin"


def test_the_workflow_has_the_steps_of_the_page() -> None:
    """Two steps run something, each in one line, and they are what any other CI is told to run."""
    assert len(STEPS) == WORKFLOW.count("run:") == 2
    assert [line.removeprefix("$ ") for line in PLAIN.splitlines()[1:]] == STEPS
    assert "if: always()" in WORKFLOW
    kept = re.findall(r"=(conformance\.\w+)", STEPS[1])
    assert len(kept) == 2
    assert all(re.search(rf"^ +{re.escape(name)}$", WORKFLOW, re.MULTILINE) for name in kept)


def test_the_page_excuses_what_may_be_excused() -> None:
    """The known failure of the page is a requirement that is claimed, at an endpoint of the profile."""
    (failure,), profile = tomllib.loads(FAILURES)["failure"], tomllib.loads(PROFILE)
    requirement = catalogue.load().requirements[failure["id"]]
    assert requirement.waivable
    assert requirement.cls in profile["claims"]["classes"]
    assert failure["endpoint"] == profile["endpoint"][0]["name"]


@pytest.mark.skipif(not (ROOT / "pyproject.toml").exists(), reason="needs the checkout")
def test_the_steps_gate_a_release(tmp_path: Path) -> None:
    """Installed and judged as the page says: 0 for a server that is right, 1 for one that is not, 0 while that is known."""
    project = tmp_path / "project"
    (project / "profiles").mkdir(parents=True)
    (project / "profiles" / "myapi.toml").write_text(PROFILE, "utf-8")
    (project / "app.py").write_text(SERVER, "utf-8")
    (project / "requirements.txt").write_text("# Starlette and uvicorn come with pytest-402.\n", "utf-8")
    wheels = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    built = subprocess.run(wheels, env=clean_environment(), capture_output=True, text=True, check=False, timeout=120)
    assert built.returncode == 0, built.stdout + built.stderr

    # The index of this pipeline has the wheel of this checkout, and nothing else.
    env = {key: value for key, value in clean_environment(lean=False).items() if key != "PYTHONPATH"} | {
        "PATH": f"{interpreter(tmp_path / 'environment')}:/usr/bin:/bin",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path),
        "PIP_NO_DEPS": "1",
        "PIP_FORCE_REINSTALL": "1",
    }
    install, judge = STEPS
    installed = step(install, project, env)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    assert "Successfully installed pytest-402-" in installed.stdout

    ran = step(judge, project, env)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.rstrip().splitlines()[-1].startswith("conformant: ")
    assert str(ROOT) not in ran.stdout
    assert json.loads((project / "conformance.json").read_text("utf-8"))["verdict"] == "conformant"
    assert "x402.guard." in (project / "conformance.xml").read_text("utf-8")

    # What comes now shows in the offer alone.
    offers = PROFILE.replace(', "x402/guard"', "")
    (project / "profiles" / "myapi.toml").write_text(offers, "utf-8")
    ran = step(judge, project, env | {"LATE": "1"})
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert ran.stdout.rstrip().splitlines()[-1].startswith("not conformant: ")

    soon = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(30)
    known = re.sub(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", str(soon), FAILURES)
    (project / "profiles" / "myapi.known-failures.toml").write_text(known, "utf-8")
    ran = step(judge, project, env | {"LATE": "1"})
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.rstrip().splitlines()[-1].startswith("not conformant (1 known failure): ")
