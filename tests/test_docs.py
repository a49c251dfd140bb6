"""What the documents say is what the code does."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from sessions import clean_environment

import conformance
from conformance import catalogue, profile, target

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
PACKAGE = Path(conformance.__file__).resolve().parent

ROOMS = (
    ("catalogue",),
    ("outcome",),
    ("_data", "documents", "schema"),
    ("selector", "profile"),
    ("redaction", "paid", "seen", "_shell", "exchange", "evidence"),
    ("target",),
    (
        *("_raw_stream", "_raw_answer", "raw", "_frames_talk", "frames", "coding", "transport", "answering", "wire"),
        *("gate", "sight", "window"),
    ),
    ("fields", "protocols"),
    ("page", "members", "marks", "facts", "family", "recorded", "effects", "balances", "advice", "openapi", "listing"),
    ("facilitator",),
    (
        "budget",
        "purse",
        "asking",
        "probe",
        "gather",
        "attempts",
        "waits",
        "occasions",
        "caching",
        "replays",
        "volleys",
        "retries",
        "programs",
        "bodies",
        "cases",
        "adverts",
        "course",
        "identifiers",
        "instances",
        "memory",
        "keys",
        "keyed",
        "dealings",
        "walks",
        "readings",
        "flows",
        "teller",
        "spelling",
        "paths",
        "methods",
        "extras",
        "ways",
        "controls",
        "around",
        "framing",
        "http2",
        "windows",
    ),
    ("sandbox",),
    ("checks",),
    ("rows", "run"),
    ("judge", "known"),
    ("report",),
    ("collect", "options", "workers", "session", "__main__"),
)


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "conformance":
            parts = (node.module or "").split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("conformance.")}
    return found


def test_a_module_imports_only_from_rooms_above_its_own():
    """No module imports from a room further down the list in ARCHITECTURE.md, and every module has a room."""
    floor = {name: number for number, names in enumerate(ROOMS) for name in names}
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        wrong += [f"{path.name} ({room}) imports {other}" for other in _imports(path) if floor[other] > floor[room]]
    assert not wrong


def test_the_map_names_every_room():
    """ARCHITECTURE.md speaks of every room."""
    told = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    names = [name for names in ROOMS for name in names if not name.startswith("_")]
    assert not [name for name in names if f"`{name}/`" not in told and f"`{name}.py`" not in told]


def test_the_first_profile_of_the_readme_loads(tmp_path):
    """The profile that the README shows, with the terms that it adds, is accepted as printed."""
    blocks = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    first, terms = (block for block in blocks if "edition" in block or "endpoint.terms" in block)
    (tmp_path / "myapi.toml").write_text(first + "\n" + terms)
    loaded = profile.load("myapi.toml", cwd=tmp_path, environ={})
    assert loaded.endpoints[0].terms[0].amount.minimum == 10000


def test_the_known_failure_of_the_readme_is_a_requirement():
    """The known failure that the README shows names a requirement that is judged."""
    block = next(block for block in re.findall(r"```toml\n(.*?)```", README, re.DOTALL) if "[[failure]]" in block)
    assert tomllib.loads(block)["failure"][0]["id"] in catalogue.load().requirements


def test_the_readme_counts_the_requirements():
    """The number of requirements in the README is that of the catalogue."""
    judged = len(list(catalogue.load().judged()))
    assert f"{judged} requirements of edition 2026.11" in README


def test_the_links_of_the_documents_lead_somewhere():
    """Every relative link in a document is a file of the project."""
    wrong = [
        f"{path.name}: {link}"
        for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text("utf-8"))
        if not (path.parent / link).exists()
    ]
    assert not wrong


@pytest.mark.skipif(not (ROOT / ".ci" / "run").exists(), reason="an sdist has no .ci")
def test_ci_runs_the_commands_of_the_readme():
    """The README has two shell lines, and .ci/run takes them from there."""
    commands = re.findall(r"```sh\n(.*?)\n```", README, re.DOTALL)
    assert len(commands) == 2
    assert all("\n" not in command for command in commands)
    assert "README.md" in (ROOT / ".ci" / "run").read_text("utf-8")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_the_answer_that_the_readme_judges_is_judged_so(tmp_path):
    """What the README prints for its recorded answer is what the command prints."""
    shown = next(block for block in re.findall(r"```text\n(.*?)```", README, re.DOTALL) if "$ cat answer.json" in block)
    recorded, _, told = shown.partition("$ python -m conformance judge answer.json\n")
    (tmp_path / "answer.json").write_text(recorded.partition("\n")[2])
    command = [sys.executable, "-m", "conformance", "judge", "answer.json"]
    ran = subprocess.run(
        command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=False, timeout=60
    )
    assert (ran.stdout, ran.returncode) == (told, 1)


def test_the_refusals_of_the_readme_load(tmp_path):
    """The profile that extends a base, and the answer rule of one's own, are accepted as printed."""
    blocks = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    extending, own, keyed = (block for block in blocks if "answers = [" in block or "[[answer]]" in block)
    head, *tables = extending.partition("\n\n")
    target = 'edition = "2026.11"\n[target]\nname = "x"\nbase_url = "https://x.example"\n'
    asked = '[[endpoint]]\nname = "y"\npath = "/y"\nanswers = ["broke"]\n'
    (tmp_path / "extending.toml").write_text(f"{head}\n{target}{''.join(tables)}")
    (tmp_path / "own.toml").write_text(f"{target}{own}{asked}")
    rule = '[[answer]]\nname = "decline"\nfamily = "decline"\n'
    (tmp_path / "keyed.toml").write_text(f'{target}[claims]\nclasses = ["idempotency"]\n{keyed}{rule}')
    environ = {
        "SUBSCRIBER_TOKEN": "of a subscriber",
        "A_CUSTOMER": "of a customer",
        "ANOTHER_CUSTOMER": "of another customer",
    }
    loaded = [profile.load(f"{name}.toml", cwd=tmp_path, environ=environ) for name in ("extending", "own", "keyed")]
    assert [answer.name for answer in loaded[0].answers] == ["paywall", "credits", "decline"]
    assert loaded[1].answers[0].waive


def test_the_readme_names_every_word_that_a_command_is_given():
    """Whoever starts a target sees what is filled in, and what the keys about instances mean."""
    words = re.findall(r"\w+", re.search(r"\\{\((.*)\)\\}", target._WORD.pattern)[1])
    keys = ("restart = true", "replicas = 2")
    assert "scratch" in words
    assert not [word for word in (*(f"{{{word}}}" for word in words), *keys) if f"`{word}`" not in README]
