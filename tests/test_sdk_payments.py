"""The SDK's verifier takes our payments and ours takes the SDK's: what we share with ourselves proves nothing."""

import json
import subprocess
import time
from functools import cache
from pathlib import Path
from typing import Any

import offers
import pytest
from real import environment

from conformance.protocols.x402 import way_of
from conformance.protocols.x402.encoding import TWINS, Layer, twin
from conformance.protocols.x402.payment import typed
from conformance.protocols.x402.reading import object_in_base64
from conformance.protocols.x402.recipes import fitting
from conformance.protocols.x402.signing import oddities, recover

SCRIPTS = Path(__file__).parent / "real"
SECONDS = 120

# What a facilitator does not look at, or the SDK's does not: its server compares these, or nobody does.
NOT_ITS_BUSINESS = {
    "accepted-amount",
    "accepted-asset",
    "accepted-payee",
    "accepted-timeout",
    "accepted-flow",
    "accepted-extra",
    "resource-foreign",
    "extension-changed",
    "extension-shortened",
}
# True leniency of x402 2.25.0: numbers are what Python's int() reads, and the version is not compared.
SPELLINGS = {
    "value-number",
    "value-space",
    "value-plus",
    "value-leading-zero",
    "value-underscore",
    "value-other-digits",
}
VERSIONS = {
    1: {"version-absent"},
    2: {
        "version-0",
        "version-1",
        "version-3",
        "version-999",
        "version-negative",
        "version-text",
        "version-absent",
    },
}


def _run(script: str, requirements: str, jobs: list[dict[str, Any]]) -> list[Any]:
    done = subprocess.run(
        # -I: neither our PYTHONPATH nor this folder leaks into their environment.
        [str(environment.python(requirements)), "-I", str(SCRIPTS / script)],
        input=json.dumps(jobs),
        check=False,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answers: list[Any] = json.loads(done.stdout)
    assert len(answers) == len(jobs)
    return answers


@cache
def _verdicts() -> dict[tuple[int, str], dict[str, dict[str, Any]]]:
    """What the SDK says to a good payment, to each recipe and to each twin, by version and kind; asked once."""
    # The SDK looks at the clock; our payments are of this moment and hold for a minute.
    now = int(time.time())
    asked, jobs = [], []
    for kind in offers.KINDS:
        made = offers.payment(*kind, now=now)
        documents = {"good": made.document}
        documents |= {f"recipe {r.name}": r.apply(made, offers.PAYER, now) for r in fitting(made)}
        documents |= {
            f"twin {t.name}": object_in_base64(twin(made.document, [t.name]))
            for t in TWINS
            if t.layer is Layer.DOCUMENT
        }
        for name, document in documents.items():
            asked.append((kind, name))
            job = {"do": "verify", "version": kind[0], "document": document, "requirements": offers.entry(*kind)}
            jobs.append(job)
    found: dict[tuple[int, str], dict[str, dict[str, Any]]] = {kind: {} for kind in offers.KINDS}
    for (kind, name), answer in zip(asked, _run("verify_v2.py", "requirements-x402-2.txt", jobs), strict=True):
        found[kind][name] = answer
    return found


@pytest.mark.parametrize("kind", offers.KINDS, ids=lambda k: f"v{k[0]}-{k[1]}")
def test_the_sdk_takes_our_payments(kind: tuple[int, str]) -> None:
    """A good payment passes every check of the SDK's facilitator that needs no chain, its signature among them."""
    assert _verdicts()[kind]["good"] == {"valid": True, "reason": None}


@pytest.mark.parametrize("kind", offers.KINDS, ids=lambda k: f"v{k[0]}-{k[1]}")
def test_the_sdk_refuses_our_recipes(kind: tuple[int, str]) -> None:
    """Each recipe makes the payment bad in the SDK's eyes, but for what it is known not to look at."""
    taken = {name for name, said in _verdicts()[kind].items() if name.startswith("recipe ") and said["valid"]}
    fit = {recipe.name for recipe in fitting(offers.payment(*kind))}
    expected = (NOT_ITS_BUSINESS | SPELLINGS | VERSIONS[kind[0]]) & fit
    assert taken == {f"recipe {name}" for name in expected}


@pytest.mark.parametrize("kind", offers.KINDS, ids=lambda k: f"v{k[0]}-{k[1]}")
def test_the_sdk_takes_our_twins(kind: tuple[int, str]) -> None:
    """The SDK sees the same payment in every twin, high s included; only the compact signature is foreign to it."""
    refused = {name for name, said in _verdicts()[kind].items() if name.startswith("twin ") and not said["valid"]}
    assert refused == {"twin compact"}


def test_we_take_what_the_sdk_signs() -> None:
    """Payments of the SDK's clients, new and old, recover to the payer, and a strict verifier has nothing against them."""
    key = "0x" + offers.PAYER.key.hex()
    jobs = [
        {"do": "pay", "version": version, "key": key, "requirements": offers.entry(version, kind)}
        for version, kind in offers.KINDS
    ]
    payloads = _run("verify_v2.py", "requirements-x402-2.txt", jobs)
    signed = [(job["version"], job["requirements"], payload) for job, payload in zip(jobs, payloads, strict=True)]
    entry = offers.entry(1, "eip3009")
    [value] = _run("pay_v1.py", "requirements-x402-1.txt", [{"key": key, "requirements": entry}])
    signed.append((1, entry, object_in_base64(value)["payload"]))
    for version, requirements, payload in signed:
        assert recover(typed(payload, way_of(requirements, version)), payload["signature"]) == offers.PAYER.address
        assert oddities(payload["signature"]) == frozenset()
