"""What an unrelated ``pytest --co`` pays for having us installed: pairs of runs with and without our plugin.

Other plugins are switched off in both halves, so that the difference is ours. Those that come with our dependencies
(hypothesis, anyio) are measured in a second row: their cost is theirs, and a user pays it all the same.

    python tests/bench/import_cost.py
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 15
BUDGET = 0.015
COLLECT = [sys.executable, "-m", "pytest", "--co", "-q"]


def once(folder: str, *options: str, alone: bool = True) -> float:
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} if alone else dict(os.environ)
    started = time.perf_counter()
    subprocess.run([*COLLECT, *options], cwd=folder, env=environ, capture_output=True, check=False)
    return time.perf_counter() - started


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        once(folder, "-p", "pytest_402")
        pairs = [(once(folder), once(folder, "-p", "pytest_402")) for _ in range(ROUNDS)]
        loaded = [(once(folder), once(folder, alone=False)) for _ in range(5)]
    ours = statistics.median(with_us - without for without, with_us in pairs)
    base = statistics.median(without for without, _ in pairs)
    everything = statistics.median(both - without for without, both in loaded)
    print(f"pytest --co without us      {base * 1000:7.1f} ms")
    print(f"our plugin adds             {ours * 1000:7.1f} ms (budget {BUDGET * 1000:.0f} ms)")
    print(f"every installed plugin adds {everything * 1000:7.1f} ms (hypothesis, anyio and what else is there)")
    sys.exit(ours > BUDGET)


if __name__ == "__main__":
    main()
