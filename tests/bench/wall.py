"""What judging costs beside asking: the rows of the sandbox that nobody pays for, and their requests bare with httpx.

python tests/bench/wall.py
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from conformance import catalogue, profile, rows, run, target
from conformance.exchange import Exchange
from conformance.purse import Means, Purse
from conformance.redaction import Redactor
from conformance.wire import Wire

ROUNDS = 5
BUDGET = 1.5
UNPAID = {"http", "browser", "x402/offer"}


def judged(loaded: profile.Profile) -> tuple[float, list[Exchange]]:
    edition = catalogue.editions()[loaded.edition]
    redactor = Redactor.of({})
    wire = Wire(
        timeout=loaded.target.timeout,
        limits=loaded.limits,
        redactor=redactor,
        hosts=frozenset({urlsplit(loaded.target.base_url).netloc}),
    )
    started = time.perf_counter()
    purse = Purse(profile=loaded, means=Means(), redactor=redactor)
    judge = run.Run(profile=loaded, edition=edition, wire=wire, purse=purse)
    results = [judge.judge(row) for row in rows.rows(loaded, edition) if row.requirement.cls in UNPAID]
    took = time.perf_counter() - started
    wire.close()
    exchanges = {key: exchange for result in results for key, exchange in result.exchanges.items()}
    return took, list(exchanges.values())


def bare(exchanges: list[Exchange]) -> float:
    started = time.perf_counter()
    with httpx.Client(trust_env=False) as client:
        for asked in (exchange.request for exchange in exchanges):
            headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in asked.headers]
            client.request(asked.method, asked.url, headers=headers, content=asked.body or None)
    return time.perf_counter() - started


def main() -> None:
    loaded = profile.load("sandbox", cwd=Path.cwd(), environ=os.environ)
    assert loaded.target.start
    scratch = tempfile.TemporaryDirectory()
    process = target.start(loaded, loaded.target.start, environ=os.environ, scratch=scratch.name)
    try:
        loaded = loaded.at(process.base_url)
        judged(loaded)
        rounds = [
            (took, bare(exchanges), len(exchanges)) for took, exchanges in (judged(loaded) for _ in range(ROUNDS))
        ]
    finally:
        process.stop()
        scratch.cleanup()
    ratio = statistics.median(ours / theirs for ours, theirs, _ in rounds)
    print(f"requests     {rounds[0][2]}")
    print(f"run          {statistics.median(r[0] for r in rounds):.3f} s")
    print(f"bare httpx   {statistics.median(r[1] for r in rounds):.3f} s")
    print(f"ratio        {ratio:.2f} (budget {BUDGET})")
    sys.exit(ratio > BUDGET)


if __name__ == "__main__":
    main()
