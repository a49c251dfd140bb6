"""Payments that come again after a restart, at a replica and past their time, in whole runs against servers that forget."""

import shlex
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sessions import Ran, nested, profile, runs, session, started, under_way

from conformance import catalogue
from conformance.report.review import review

KEEPS = Path(__file__).parent / "starts" / "keeps.py"
COUNTS = KEEPS.with_name("counts.py")
CLAIMS = '[claims]\nclasses = ["x402/durable"]\n'
PAID = '[facilitator]\nmode = "scripted"\n'
EXPIRY = ("replay-after-expiry", "replay-after-expiry-unaided")
RESTART = ("replay-after-restart", "replay-after-restart-unaided")
REPLICA = ("replay-on-replica", "replay-on-replica-unaided", "replica-race", "replica-race-unaided")
ORDER = "any-order"
EVERY = (*RESTART, *REPLICA, *EXPIRY, ORDER)

FAULTS = {
    "memory": {"replay-after-restart-unaided", "replay-on-replica-unaided", "replica-race-unaided"},
    "memory+believes": {*RESTART, *REPLICA, ORDER},
    "own-file": {"replay-on-replica-unaided", "replica-race-unaided"},
    "file+looks-first": {"replica-race-unaided"},
    "file+looks-first+believes": {"replica-race", "replica-race-unaided"},
    "file+evicts": {"replay-after-expiry-unaided"},
    "file+evicts+believes": {*EXPIRY, ORDER},
    "file+evicts+believes+busy": {*EXPIRY},
    "file+believes+owes+forever": {ORDER},
    # x402 is not the first: see the rustchain bounty in the catalogue.
    "lifetime": {"replay-after-expiry-unaided"},
}
"""Habit of a server -> what it breaks of what is asked, all of it."""
ONE = {f"{name}: a server of which one instance runs at a time" for name in REPLICA}
LEGAL = {
    "file": {"replay-after-expiry-unaided: a memory without end"},
    "file+evicts+checks-validity": {
        "replay-after-expiry-unaided: a memory that ends with the validity, beside a look at the validity"
    },
    "file+believes+owes": {
        f"{ORDER}: content once for a payment whose settlement was lost before a restart",
        f"{ORDER}: a payment that was refused or pending before a restart, taken after it or refused for good",
    },
    "file+conflict+starting": {
        "replay-after-restart: 400, 402 or 409",
        "replay-after-restart: 503 until the server is ready to sell",
    },
    "file+alone": ONE,
    "file+long": {"replay-after-expiry: a refusal at once of a payment that ends too soon"},
}
"""Habit of a server that breaks nothing -> what the catalogue says of it."""
BESIDE = {"file+alone": {*REPLICA}, "file+long": {*EXPIRY}}
"""What is inapplicable to it."""
ASKED = {
    **dict.fromkeys((*FAULTS, *LEGAL), (*RESTART, *REPLICA)),
    "memory+believes": (*RESTART, *REPLICA, ORDER),
    "file+evicts": EXPIRY,
    "file+evicts+believes": EVERY,
    "file+evicts+believes+busy": EXPIRY,
    "file+believes+owes+forever": (*RESTART, ORDER),
    "lifetime": EXPIRY,
    "file": EVERY,
    "file+evicts+checks-validity": EVERY,
    "file+believes+owes": (*RESTART, ORDER),
    "file+long": (*EXPIRY, ORDER),
}
"""What can show the fault, and what must not; to wait for an expiry takes time."""


def _text(habit: str, *, port: str = "{port}", endpoint: str = "", before: str = "") -> str:
    """The profile of such a server, which a shell starts where there is something to do ``before``."""
    command = f"{{python}} {shlex.quote(str(KEEPS))} {habit} {port} {{scratch}}"
    command = f"sh -c {shlex.quote(f'{before}; exec {command}')}" if before else command
    start = (
        f'timeout = 5.0\n[target.start]\ncommand = "{command}"\nready = "/health"\nrestart = true\n'
        f'env = {{ FACILITATOR_URL = "{{facilitator}}" }}\nreplicas = {1 if "alone" in habit else 2}\n'
    )
    text = profile(f"http://127.0.0.1:{port}", claims=CLAIMS, target=start, more=PAID)
    return text.replace('marker = "sunny"\n', f'marker = "sunny"\n{endpoint}')


def _run(folder: Path, habit: str, asked: tuple[str, ...], *, port: str = "{port}", endpoint: str = "") -> Ran:
    """A run of some requirements of the class; each start writes its folder to the file ``folders``."""
    text = _text(habit, port=port, endpoint=endpoint)
    return nested(folder, *_only(asked), text=text, env={"KEEPS_LOG": str(folder / "folders")})


def _only(asked: tuple[str, ...]) -> list[str]:
    return [f"--conformance-only=x402.durable.{name}" for name in asked]


@pytest.fixture(scope="module")
def ran(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], tuple[Ran, Path]]]:
    """The run against a server of a habit, and its folder; those that wait for an expiry are begun ahead, two at a time."""
    own = [item.name for item in request.session.items if item.path == Path(__file__)]
    wanted = [habit for habit in ASKED if any(name.endswith(f"[{habit}]") for name in own)]
    folders = {habit: tmp_path_factory.mktemp("ran") for habit in wanted}
    waiting: dict[str, Callable[[float], Ran]] = {}
    left = [habit for habit in wanted if {*ASKED[habit]} & {*EXPIRY, ORDER}]

    def begin(habit: str) -> None:
        left.remove(habit)
        env = {"KEEPS_LOG": str(folders[habit] / "folders")}
        waiting[habit] = under_way(folders[habit], *_only(ASKED[habit]), text=_text(habit), env=env)

    def one(habit: str) -> tuple[Ran, Path]:
        if habit in left:
            begin(habit)
        if habit not in waiting:
            return _run(folders[habit], habit, ASKED[habit]), folders[habit]
        found = waiting.pop(habit)(60)
        for other in left[:1]:
            begin(other)
        return found, folders[habit]

    for habit in left[:2]:
        begin(habit)
    yield one
    for ended in waiting.values():
        ended(60)


def _said(ran: Ran, *outcomes: str) -> set[str]:
    found = (result for result in ran.report["results"] if result["outcome"] in outcomes)
    return {result["requirement"].removeprefix("x402.durable.") for result in found}


@pytest.mark.parametrize("habit", FAULTS)
def test_a_server_that_forgets_turns_red_what_the_table_says_and_nothing_else(
    habit: str, ran: Callable[[str], tuple[Ran, Path]]
) -> None:
    """The other requirements hold, a MUST is violated and a SHOULD unmet, and anyone decides so from the report."""
    red = FAULTS[habit]
    run, _ = ran(habit)
    assert _said(run, "violated", "unmet") == red, run.out
    assert _said(run, "unmet") == {name for name in red if name.endswith("-unaided")}
    assert _said(run, "passed") == {*ASKED[habit]} - red, run.out
    assert [told for told in review(run.report) if told.requirement.startswith("x402.durable")] == []


@pytest.mark.parametrize("habit", LEGAL)
def test_a_server_that_remembers_turns_red_nothing(habit: str, ran: Callable[[str], tuple[Ran, Path]]) -> None:
    """Every requirement holds, or does not apply."""
    run, folder = ran(habit)
    beside = BESIDE.get(habit, set())
    assert _said(run, "inapplicable") == beside, run.out
    assert _said(run, "passed") == {*ASKED[habit]} - beside, run.out
    target, *instances = map(Path, (folder / "folders").read_text("utf-8").splitlines())
    assert not target.exists()
    # They share one folder, which is not that of the target: two of them, and the first once more.
    (shared,) = set(instances)
    assert shared.parent == target
    assert len(instances) == (2 if "alone" in habit else 3)
    # What is written down now and then is not written yet, when the first is stopped right after it was paid.
    at = {key.partition("weather, ")[2]: exchange["at"] for key, exchange in run.report["exchanges"].items()}
    if "alone" not in habit and "long" not in habit:
        assert at["v2 replica unaided: good@main"] < at["v2 restart: good@main"]


def test_instances_are_asked_while_the_target_is(tmp_path: Path) -> None:
    """What asks instances of its own waits for no other check, whichever comes first."""
    text = _text("file+slow").replace('["x402/durable"]', '["x402/settlement", "x402/durable"]')
    only = [*_only(("down-at-start",)), "--conformance-only=x402.settlement.answers-in-time"]
    ran = nested(tmp_path, *only, text=text)
    asked = ran.report["exchanges"].items()
    first = min(had["at"] for key, had in asked if key.startswith("*/start "))
    last = max(had["at"] + had["took"] for key, had in asked if key.startswith("weather/"))
    assert first < last


def test_an_instance_that_may_be_in_the_way_of_the_target_is_asked_when_nothing_else_is(
    tmp_path: Path,
) -> None:
    """Where the profile neither gives it a place of its own nor says that two of them run side by side."""
    text = _text("memory+slow").replace("{scratch}", str(tmp_path)).replace("replicas = 2", "replicas = 1")
    text = text.replace('["x402/durable"]', '["x402/settlement", "x402/durable"]')
    only = [*_only(("down-at-start",)), "--conformance-only=x402.settlement.answers-in-time"]
    ran = nested(tmp_path, *only, text=text)
    asked = ran.report["exchanges"].items()
    first = min(had["at"] for key, had in asked if key.startswith("*/start "))
    last = max(had["at"] + had["took"] for key, had in asked if key.startswith("weather/"))
    assert first > last


def _counted(folder: Path) -> str:
    """The profile of a server that counts its runs in a folder of its own, whichever instance it is."""
    place = folder / "everywhere"
    place.mkdir()
    command = f"{{python}} {shlex.quote(str(COUNTS))} {{port}} {{scratch}} {shlex.quote(str(place))}"
    start = (
        f'timeout = 10.0\n[target.start]\ncommand = "{command}"\nready = "/health"\nrestart = true\n'
        'env = { FACILITATOR_URL = "{facilitator}" }\nreplicas = 2\n'
    )
    witness = '[endpoint.witness]\npath = "/count"\npointer = "/runs"\n'
    claims = '[claims]\nclasses = ["x402/order", "x402/durable"]\n'
    return profile("http://127.0.0.1:{port}", claims=claims, target=start, more=f"{witness}{PAID}")


WATCHED = ("unpaid-runs-nothing", "rejected-runs-nothing", "runs-once")
"""What a payment at an instance would turn red, if it moved a witness that is being read at the target."""


@pytest.mark.parametrize("workers", [0, 2])
def test_instances_leave_a_witness_alone_that_is_being_read(workers: int, tmp_path: Path) -> None:
    """Also where all instances count in one place; a target that is slow gives them the time to get in between."""
    only = [*_only(REPLICA[:2]), *(f"--conformance-only=x402.order.{name}" for name in WATCHED)]
    xdist = ["-p", "xdist", f"-n{workers}"] if workers else []
    ran = session(tmp_path, *only, *xdist, text=_counted(tmp_path))
    came = {result["requirement"]: result["outcome"] for result in ran.report["results"] if result["outcome"]}
    wanted = (*(f"x402.durable.{name}" for name in REPLICA[:2]), *(f"x402.order.{name}" for name in WATCHED))
    assert came == dict.fromkeys(wanted, "passed"), ran.out
    # Nor in between, as a witness may lag: what it reads before a request is what it read after the one before.
    had = sorted(ran.report["exchanges"].items(), key=lambda item: item[1]["at"])
    read = [one["paid"]["witness"] for here, one in had if "watched" in here and one.get("paid", {}).get("witness")]
    assert len(read) > 8
    assert [before for before, _ in read[1:]] == [after for _, after in read[:-1]]
    # Not because nobody was there: instances were ready while the target was watched.
    assert (tmp_path / "everywhere" / "ready").exists()


def test_no_instance_outlives_who_interrupts_twice_while_it_starts(tmp_path: Path) -> None:
    """The second Ctrl-C does not break off that what is starting is ended."""
    begun = tmp_path / "begun"
    before = f"echo $$ >> {begun}; test $(wc -l < {begun}) = 1 || sleep 1"
    (tmp_path / "small.toml").write_text(_text("file", before=before), "utf-8")
    run = started(
        tmp_path,
        f"--conformance-profile={tmp_path / 'small.toml'}",
        "--conformance-only=x402.durable.replay-after-restart",
    )
    until = time.monotonic() + 20
    while (not begun.exists() or len(begun.read_text("utf-8").split()) < 3) and time.monotonic() < until:
        time.sleep(0.05)
    for _ in range(2):
        run.send_signal(signal.SIGINT)
        time.sleep(0.2)
    out, _ = run.communicate(timeout=20)
    pids = begun.read_text("utf-8").split()
    # The second one may meet pytest while it tells of the first.
    assert run.returncode in {2, -signal.SIGINT}, out
    assert len(pids) == 3
    assert not [pid for pid in pids if runs(int(pid))]


def test_who_breaks_a_run_off_does_not_wait_for_slow_instances(tmp_path: Path) -> None:
    """Nothing more is asked of them, and all are ended."""
    begun = tmp_path / "begun"
    (tmp_path / "small.toml").write_text(_text("file+slow", before=f"echo $$ >> {begun}"), "utf-8")
    args = (f"--conformance-profile={tmp_path / 'small.toml'}", *_only(REPLICA))
    run = started(tmp_path, *args)
    _until_begun(begun, 3)
    # They are ready, and asked.
    time.sleep(3)
    interrupted = time.monotonic()
    run.send_signal(signal.SIGINT)
    out, _ = run.communicate(timeout=60)
    took = time.monotonic() - interrupted
    assert run.returncode == 2, out
    assert took < 6, out
    assert not [pid for pid in begun.read_text("utf-8").split() if runs(int(pid))]


def test_nothing_outlives_who_interrupts_again_while_it_ends(tmp_path: Path) -> None:
    """Neither the target, nor an instance, nor what they started, which takes a second to end."""
    begun = tmp_path / "begun"
    lingers = tmp_path / "lingers.sh"
    lingers.write_text(f"trap '' TERM\nsleep 60 &\necho $! $$ >> {begun}\ntrap - TERM\n", "utf-8")
    (tmp_path / "small.toml").write_text(_text("file", before=f". {lingers}"), "utf-8")
    run = started(tmp_path, f"--conformance-profile={tmp_path / 'small.toml'}", *_only(REPLICA))
    _until_begun(begun, 6)
    for _ in range(3):
        run.send_signal(signal.SIGINT)
        time.sleep(0.4)
    out, _ = run.communicate(timeout=30)
    assert run.returncode in {2, -signal.SIGINT, 1}, out
    pids = begun.read_text("utf-8").split()
    assert "\nconformant" not in out
    assert len(pids) >= 6
    assert not [pid for pid in pids if runs(int(pid))], out


def test_no_instance_outlives_a_worker_that_dies(tmp_path: Path) -> None:
    """Whoever started the run ends what a worker of pytest-xdist began, and there is no verdict without its rows."""
    pytest.importorskip("xdist")
    begun = tmp_path / "begun"
    (tmp_path / "crash.py").write_text(
        "import os\n\ndef pytest_runtest_call(item):\n    if 'test_replay_on_replica' in item.nodeid:\n        os._exit(9)\n",
        "utf-8",
    )
    args = ("-p", "xdist", "-p", "crash", "-n1", *_only(("replay-after-restart", "replay-on-replica")))
    text = _text("file", before=f"echo $$ >> {begun}")
    ran = session(tmp_path, *args, text=text, env={"PYTHONPATH": str(tmp_path)})
    assert (ran.code, ran.verdict) == (1, "incomplete"), ran.out
    assert ran.outcomes["x402.durable.replay-on-replica "] is None
    # The target, two instances, and the first once more, which runs until the end.
    pids = begun.read_text("utf-8").split()
    assert len(pids) >= 4
    assert not [pid for pid in pids if runs(int(pid))]


def _until_begun(begun: Path, many: int) -> None:
    until = time.monotonic() + 30
    while (not begun.exists() or len(begun.read_text("utf-8").split()) < many) and time.monotonic() < until:
        time.sleep(0.05)


def test_every_requirement_has_a_server_that_breaks_it_and_every_allowance_one_that_uses_it() -> None:
    """Whatever the catalogue says of memory is shown."""
    rows = {r.id.removeprefix("x402.durable."): r for r in catalogue.load().judged() if r.cls == "x402/durable"}
    own = {name: rows[name] for name in EVERY}
    assert set().union(*FAULTS.values()) == set(own)
    assert {f"{name}: {phrase}" for name, row in own.items() for phrase in row.allowed} == set().union(*LEGAL.values())


def _reasons(ran: Ran, outcome: str) -> set[str]:
    return {result["finding"]["reason"] for result in ran.report["results"] if result["outcome"] == outcome}


def test_a_server_that_sells_nothing_after_a_restart_has_shown_nothing(tmp_path: Path) -> None:
    """It refuses a used payment, and a fresh one as well: the replica is judged all the same."""
    ran = _run(tmp_path, "file+retires", ("replay-after-restart", "replay-on-replica"))
    assert _said(ran, "untestable") == {*RESTART}, ran.out
    assert _said(ran, "passed") == {*REPLICA[:2]}
    (why,) = _reasons(ran, "untestable")
    assert why.startswith("weather: once the server was started anew a fresh payment is not served either (402")


def test_without_a_second_port_nothing_is_said_of_a_restart(tmp_path: Path) -> None:
    """No other instance can run beside the target."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free_port = probe.getsockname()[1]
    ran = _run(tmp_path, "memory", ("replay-after-restart", "replica-race"), port=str(free_port))
    assert _said(ran, "untestable") == {*RESTART, *REPLICA[2:]}, ran.out
    assert all("another instance of the target does not start" in why for why in _reasons(ran, "untestable"))


def test_what_may_be_used_again_is_not_asked_twice(tmp_path: Path) -> None:
    """Under an entitlement that the profile states, nothing is to be forgotten."""
    ran = _run(tmp_path, "memory", EVERY, endpoint='entitlement = "session"\n')
    assert _said(ran, "inapplicable") == {*EVERY}, ran.out
