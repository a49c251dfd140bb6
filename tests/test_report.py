"""The report of a run is what its schema says, adds up, and gives no secret away."""

import base64
import datetime
import hashlib
import json
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

import pytest
from sessions import Ran, paid_profile, profile, sandbox, session

from conformance import catalogue, schema

SECRET = 'live/4f0c9e "b7d2" +x'
KNOWN = """\
[[failure]]
id = "x402.offer.version"
reason = "It repeats what it hears."
expires = "SOON"
[[failure]]
id = "http.date"
reason = "The proxy drops it."
expires = "SOON"
""".replace("SOON", str(datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(30)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One run and the text of its report."""

    ran: Ran
    text: str

    @property
    def report(self) -> dict[str, Any]:
        """The report as JSON."""
        return self.ran.report


class _Echo(BaseHTTPRequestHandler):
    """Refuses whatever comes, and repeats it: at length, in a field, in base64, as JSON and as part of a URL."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        said = self.headers.get("Authorization") or ""
        heard = {"path": self.path, "said": said, "url": f"https://pay.example/?for={quote(said, safe='')}"}
        body = json.dumps({**heard, "why": "Payment first. " * 40}).encode()
        self.send_response(402)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Heard", said)
        self.send_header("PAYMENT-REQUIRED", base64.b64encode(json.dumps(heard).encode()).decode())
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_POST = do_OPTIONS = do_GET  # noqa: N815 - the names are http.server's

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Say nothing: the output belongs to the test run."""


@contextmanager
def echo() -> Iterator[str]:
    """A server of ``_Echo`` on a free port; gives its base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def whole(folder: Path) -> Ran:
    """Every class that one endpoint of x402 shows, in a sandbox that we start, payments and restarts included."""
    others = {"openapi", "crawl", "paywall", "credits", "decline", "flows", "idempotency", "x402/identifier"}
    classes = [cls for cls, ids in catalogue.editions()["2026.11"].classes.items() if ids and cls not in others]
    claims = f"[claims]\nclasses = {json.dumps(classes)}\n"
    return session(folder, text=paid_profile(claims=claims, target="restart = true\n"), within=120)


def part(folder: Path) -> Ran:
    """Some rows of the sandbox only."""
    with sandbox() as url:
        return session(folder, "--conformance-only=x402.offer", text=profile(url))


def closed(folder: Path) -> Ran:
    """A port on which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return session(folder, text=profile(f"http://127.0.0.1:{held.getsockname()[1]}"))


def echoed(folder: Path) -> Ran:
    """A target that is wrong in many ways, one of them known, and that repeats the secret it is sent."""
    (folder / "profiles").mkdir()
    (folder / "profiles" / "small.known-failures.toml").write_text(KNOWN, "utf-8")
    headers = 'headers = { Authorization = { env = "SMALL_TOKEN" } }'
    with echo() as url:
        return session(folder, text=profile(url, claims="", target=headers), env={"SMALL_TOKEN": SECRET})


RUNS = {run.__name__: run for run in (whole, part, closed, echoed)}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Kept]:
    """Gives the run of a name, which is made once, in whatever order the tests come."""
    made: dict[str, Kept] = {}

    def run(name: str) -> Kept:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            ran = RUNS[name](folder)
            assert ran.report, ran.out
            made[name] = Kept(ran=ran, text=(folder / "report.json").read_text("utf-8"))
        return made[name]

    return run


@pytest.fixture(params=RUNS)
def kept(request: pytest.FixtureRequest, runs: Callable[[str], Kept]) -> Kept:
    """Each run in turn."""
    return runs(request.param)


def test_a_report_fits_its_schema(kept: Kept) -> None:
    """What we write is what schemas/report.schema.json tells readers to expect."""
    assert schema.problems(kept.report, "report") == ()


def test_the_counts_are_those_of_the_results(kept: Kept) -> None:
    """Whoever counts the results again comes to the same numbers."""
    again = Counter(row["outcome"] or "not run" for row in kept.report["results"])
    assert {outcome: n for outcome, n in kept.report["counts"].items() if n} == again


def test_each_row_is_reported_once(kept: Kept) -> None:
    """A requirement at an endpoint has one result, whether it ran or not."""
    rows = Counter((row["requirement"], row["endpoint"]) for row in kept.report["results"])
    assert set(rows.values()) == {1}


def test_the_verdict_follows_from_the_results(kept: Kept) -> None:
    """Whoever applies the rule to the results again comes to the same verdict, in the whole and for each class."""
    report = kept.report
    results = report["results"]
    assert report["verdict"] == verdict(results, report["reservations"])
    assert report["classes"] == {
        cls: verdict([row for row in results if row["class"] == cls], report["reservations"])
        for cls in {row["class"] for row in results} - set(report["unjudged"])
    }


def verdict(results: list[dict[str, Any]], reservations: list[str]) -> str:
    """The rule in plain words, written a second time."""
    if any(row["outcome"] == "violated" for row in results):
        return "not conformant"
    unsure = any(
        row["outcome"] in {None, "error"} or (row["level"] == "MUST" and row["outcome"] == "untestable")
        for row in results
    )
    return "incomplete" if unsure or reservations else "conformant"


def test_every_class_is_judged_or_said_to_be_left_out(kept: Kept) -> None:
    """No class of the edition is passed over in silence, and none is both."""
    judged, left_out = set(kept.report["classes"]), set(kept.report["unjudged"])
    assert not judged & left_out
    assert judged | left_out == set(catalogue.editions()[kept.report["edition"]].classes)


def test_the_exit_status_is_what_the_report_says(kept: Kept) -> None:
    """A pipeline may go by either."""
    assert (kept.ran.code == 0) is kept.report["acceptable"]


def test_the_evidence_of_a_report_is_whole_and_nothing_more(kept: Kept) -> None:
    """Each result names exchanges that are there and finds its fault in one of them; no exchange is left over."""
    report = kept.report
    named = set()
    for row in report["results"]:
        evidence = row.get("evidence", [])
        named |= {key for labels in evidence for key in labels.values()}
        exchange = (row.get("finding") or {}).get("exchange")
        assert exchange is None or any(exchange in labels for labels in evidence), row
    assert named == set(report["exchanges"])


def test_every_pooled_body_is_named_and_every_named_body_pooled(kept: Kept) -> None:
    """A digest in an exchange leads to a body, and no body stands there for nothing."""
    report = kept.report
    exchanges = [*report["exchanges"].values(), *report["sanity"].values()]
    bodies = [exchange[half]["body"] for exchange in exchanges for half in ("request", "response") if half in exchange]
    assert {body["sha256"] for body in bodies if "sha256" in body} == set(report["bodies"])


def test_a_pooled_body_stands_under_the_digest_of_its_bytes(kept: Kept) -> None:
    """Whoever has the bytes can find them in the report, and the other way round."""
    for digest, body in kept.report["bodies"].items():
        content = body["text"].encode() if "text" in body else base64.b64decode(body["base64"])
        assert hashlib.sha256(content).hexdigest() == digest


def test_the_payments_of_a_report_are_those_of_its_exchanges(kept: Kept) -> None:
    """Each payment has one line, with what its exchanges say of it; a request that was only watched has none."""
    exchanges = kept.report["exchanges"].items()
    notes = {key: exchange["paid"] for key, exchange in exchanges if "paid" in exchange and exchange["paid"]["version"]}
    charged: dict[str, bool] = {}
    for note in notes.values():
        moved = any(call["moved"] for call in note["calls"])
        charged[note["payer"]] = charged.get(note["payer"], False) or moved
    assert {line["payer"]: line["charged"] for line in kept.report["payments"]} == charged
    assert len(kept.report["payments"]) == len(charged)
    told = ("network", "asset", "amount", "payer")
    assert [[line[name] for name in told] for line in kept.report["payments"]] == [
        [notes[line["exchange"]][name] for name in told] for line in kept.report["payments"]
    ]


def test_a_known_failure_is_one_that_failed(kept: Kept) -> None:
    """What is reported as known did fail in this run."""
    outcomes = {(row["requirement"], row["endpoint"]): row["outcome"] for row in kept.report["results"]}
    known = [(entry["requirement"], entry["endpoint"]) for entry in kept.report["known_failures"]]
    assert {outcomes[row] for row in known} <= {"violated", "unmet"}


def test_a_cause_is_a_row_that_failed(kept: Kept) -> None:
    """What a finding names as its cause did not hold in this run."""
    ran = [row for row in kept.report["results"] if row["outcome"]]
    failed = {row["requirement"] for row in ran if row["outcome"] in {"violated", "unmet", "error"}}
    assert {row["finding"]["cause"] for row in ran if row["finding"] and "cause" in row["finding"]} <= failed


def test_no_secret_is_in_a_report(kept: Kept) -> None:
    """The secret that the target was sent, and repeated in every way, is in the report in none of them."""
    coded = [base64.b64encode(b"\0" * shift + SECRET.encode()).decode()[4:-4] for shift in range(3)]
    spellings = [SECRET, json.dumps(SECRET)[1:-1], json.dumps(json.dumps(SECRET))[3:-3], quote(SECRET, safe="")]
    assert [spelling for spelling in [*spellings, *coded] if spelling in kept.text] == []


@pytest.mark.parametrize("kept", ["echoed"], indirect=True)
def test_the_runs_meet_what_the_tests_speak_of(kept: Kept) -> None:
    """The target that repeats what it hears is long-winded, keeps no secret, and fails in a known and an unknown way."""
    report = kept.report
    outcomes = {row["requirement"]: row["outcome"] for row in report["results"]}
    assert report["bodies"]
    assert "<secret:SMALL_TOKEN>" in kept.text
    assert outcomes["http.no-secret"] == "violated"
    assert {"unmet", "untestable"} <= set(outcomes.values())
    assert [entry["requirement"] for entry in report["known_failures"]] == ["x402.offer.version"]
    assert [line for line in report["stale"] if "http.date" in line] == report["stale"] != []


@pytest.mark.parametrize("kept", ["whole"], indirect=True)
def test_the_runs_meet_what_is_said_of_payments(kept: Kept) -> None:
    """Payments were made, charged, refused, watched, and answered by a facilitator out of order."""
    assert {line["charged"] for line in kept.report["payments"]} == {True, False}
    paid = [exchange["paid"] for exchange in kept.report["exchanges"].values() if "paid" in exchange]
    assert {bool(note["version"]) for note in paid} == {bool(note["witness"]) for note in paid} == {True, False}
    calls = [call for note in paid for call in note["calls"]]
    assert {call["kind"] for call in calls} == {"verify", "settle"}
    assert {bool(call["fault"]) for call in calls} == {call["good"] for call in calls} == {True, False}
    assert any("content" in exchange for exchange in kept.report["exchanges"].values())


@pytest.mark.parametrize(
    ("kept", "outcome"), [("whole", "passed"), ("part", None), ("closed", "error")], indirect=["kept"]
)
def test_a_run_comes_to_what_its_target_is(kept: Kept, outcome: str | None) -> None:
    """Part of a run leaves rows that did not run, and a closed port leaves errors: never a pass of either."""
    outcomes = {row["outcome"] for row in kept.report["results"]}
    assert outcome in outcomes
    assert (kept.report["verdict"] == "conformant") is (outcomes <= {"passed", "inapplicable"})
