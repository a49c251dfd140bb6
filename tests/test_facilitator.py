"""The scripted facilitator, seen over real sockets: honest by default, and wrong exactly where it is told to be."""

import base64
import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest
from paying import ASSET, NETWORK, handed, payer

from conformance import facilitator, schema
from conformance.facilitator import FAULTS, SECRETS, SIDECHANNEL, Control, Delivery, Fault, Kind, Running, fault

PAID = (Kind.VERIFY, Kind.SETTLE)
SILENT = {Delivery.RESET, Delivery.DROP, Delivery.HANG, Delivery.STALL, Delivery.DRIP, Delivery.TRUNCATED}


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """One facilitator for all tests of a module: each mints its payer."""
    with facilitator.start() as found:
        yield found


@pytest.fixture
def own() -> Iterator[Running]:
    """A facilitator for what everybody would feel."""
    with facilitator.start() as found:
        yield found


def post(running: Running, kind: Kind, call: Any, timeout: float = 5) -> httpx.Response:
    with httpx.Client(trust_env=False, verify=False, timeout=timeout) as client:
        return client.post(f"{running.url}/{kind}", json=call)


def supported(running: Running, timeout: float = 5) -> httpx.Response:
    return httpx.get(f"{running.url}/supported", trust_env=False, verify=False, timeout=timeout)


def fits(document: object, version: int, name: str) -> bool:
    return schema.problems(document, f"x402/v{version}/{name}") == ()


@pytest.mark.parametrize("version", [1, 2])
def test_an_honest_answer_fits_its_schema(running: Running, version: int) -> None:
    """Yes and no to verify and settle are what the specification of the version describes."""
    call = handed(version, payer(f"schema-{version}"))
    for _ in range(2):
        for kind, name in ((Kind.VERIFY, "verify-response"), (Kind.SETTLE, "settlement-response")):
            answer = post(running, kind, call)
            assert answer.status_code == 200
            assert fits(answer.json(), version, name), answer.text
    assert post(running, Kind.SETTLE, call).json()["errorReason"] == "invalid_transaction_state"
    assert post(running, Kind.SETTLE, {"x402Version": version}).json()["success"] is False


def test_supported_lists_every_network_in_both_versions(running: Running) -> None:
    """An honest listing fits both schemas, names no network twice, and upto names the facilitator."""
    listed = supported(running).json()
    assert fits(listed, 1, "supported")
    assert fits(listed, 2, "supported")
    kinds = {(k["x402Version"], k["scheme"], k["network"]): k for k in listed["kinds"]}
    assert len(kinds) == len(listed["kinds"])
    assert kinds[2, "upto", NETWORK]["extra"] == {"facilitatorAddress": facilitator.ADDRESS}
    assert (1, "exact", "base-sepolia") in kinds
    assert (2, "exact", NETWORK) in kinds
    assert listed["signers"] == {"eip155:*": [facilitator.ADDRESS]}


def test_a_payment_is_verified_settled_and_logged(running: Running) -> None:
    """The log shows both calls in order with their documents, decisions, times and answers."""
    by = payer("logged")
    call = handed(2, by)
    post(running, Kind.VERIFY, call)
    transaction = post(running, Kind.SETTLE, call).json()["transaction"]
    verified, settled = running.control.calls(by.address)
    assert (verified.kind, settled.kind) == PAID
    assert (verified.version, verified.payer, verified.fault) == (2, by.address.lower(), "")
    assert verified.requirements == call["paymentRequirements"]
    assert settled.payment == call["paymentPayload"]
    assert settled.digest == verified.digest
    assert verified.nonce == call["paymentPayload"]["payload"]["authorization"]["nonce"]
    assert verified.outcome
    assert settled.outcome
    assert (verified.outcome.good, verified.outcome.moved) == (True, False)
    assert (settled.outcome.moved, settled.outcome.transaction) == (True, transaction)
    assert verified.finished is not None
    assert verified.at <= verified.finished <= settled.at
    assert settled.status == 200
    assert [c.index for c in running.control.calls(by.address, since=settled.index)] == [settled.index]


def test_the_same_payment_in_another_spelling_has_the_same_digest(running: Running) -> None:
    """White space and the order of members make no other payment; another nonce does."""
    by = payer("digest")
    call = handed(2, by)
    turned = {**call, "paymentPayload": dict(reversed(call["paymentPayload"].items()))}
    httpx.post(f"{running.url}/verify", content=json.dumps(turned, indent=3), trust_env=False, verify=False)
    post(running, Kind.VERIFY, call)
    post(running, Kind.VERIFY, handed(2, by))
    first, second, third = running.control.calls(by.address)
    assert first.body != second.body
    assert first.digest == second.digest != third.digest


@pytest.mark.parametrize(("kind", "name"), [(k, n) for k, n in FAULTS if k in PAID and n not in {"forgets", "repeats"}])
def test_a_fault_hits_its_payer_and_nobody_else(running: Running, kind: Kind, name: str) -> None:
    """Each fault alters the answer to its payer in its own way, while another payer is served honestly."""
    meant = fault(kind, name)
    by = payer(f"fault-{kind}-{name}")
    running.control.script(by.address, replace(meant, hold=0.3, delay=meant.delay and 0.2))
    call = handed(2, by)
    seen = _seen(running, kind, call)
    honest = post(running, kind, handed(2, payer(f"bystander-{kind}-{name}"))).json()
    assert honest["isValid" if kind is Kind.VERIFY else "success"] is True
    _matches(seen, meant, kind)
    [logged] = running.control.calls(by.address)
    assert logged.fault == name
    assert logged.finished is not None
    moved = logged.outcome is not None and logged.outcome.moved
    assert moved is (kind is Kind.SETTLE and meant.basis is not facilitator.Basis.NOTHING)


def _seen(running: Running, kind: Kind, call: Any) -> httpx.Response | httpx.TransportError:
    try:
        return post(running, kind, call)
    except httpx.TransportError as error:
        return error


def _matches(seen: httpx.Response | httpx.TransportError, meant: Fault, kind: Kind) -> None:
    if meant.delivery in SILENT:
        expected = httpx.ReadError if meant.delivery is Delivery.RESET else httpx.RemoteProtocolError
        assert isinstance(seen, expected), seen
        return
    assert isinstance(seen, httpx.Response), seen
    assert seen.status_code == meant.status
    assert meant.headers.items() <= {k: seen.headers.get(k) for k in meant.headers}.items()
    if meant.body is not None:
        assert seen.text == meant.body
        return
    document = seen.json()
    assert meant.edit.items() <= document.items()
    assert not set(meant.without) & set(document)
    if meant.basis is facilitator.Basis.NOTHING:
        assert document["isValid" if kind is Kind.VERIFY else "success"] is False


@pytest.mark.parametrize("name", [n for k, n in FAULTS if k is Kind.SUPPORTED])
def test_supported_fails_as_it_is_told_and_recovers(own: Running, name: str) -> None:
    """Each fault of the listing is seen by whoever asks, as often as it is meant, and not after."""
    meant = fault(Kind.SUPPORTED, name)
    own.control.supported(replace(meant, hold=0.3, delay=meant.delay and 0.2, times=1))
    try:
        seen: httpx.Response | httpx.TransportError = supported(own)
    except httpx.TransportError as error:
        seen = error
    _matches(seen, meant, Kind.SUPPORTED)
    assert fits(supported(own).json(), 2, "supported")


def test_kinds_can_be_added_to_supported_and_taken_away(own: Running) -> None:
    """The listing changes between two questions."""
    kind = {"x402Version": 2, "scheme": "exact", "network": "eip155:31337"}
    own.control.supported(kinds=(kind,))
    assert kind in supported(own).json()["kinds"]
    own.control.supported()
    assert kind not in supported(own).json()["kinds"]


@pytest.mark.parametrize("kind", Kind)
def test_whoever_follows_the_redirect_is_answered_honestly(own: Running, kind: Kind) -> None:
    """A redirect with 308 keeps method and body, and its target works."""
    by = payer("moved")
    own.control.script(by.address, fault(Kind.VERIFY, "redirect"), fault(Kind.SETTLE, "redirect"))
    own.control.supported(fault(Kind.SUPPORTED, "redirect"))
    with httpx.Client(trust_env=False, verify=False, follow_redirects=True, base_url=own.url) as client:
        method, call = ("GET", None) if kind is Kind.SUPPORTED else ("POST", handed(2, by))
        answer = client.request(method, f"/{kind}", json=call)
    assert answer.status_code == 200
    assert [c.path for c in own.control.calls()] == [f"/{kind}", f"/moved/{kind}"]


def test_the_error_page_is_large_and_the_secrets_are_in_the_error(running: Running) -> None:
    """What the faults promise is in their bodies: 100 KB of HTML, and every secret."""
    assert len(fault(Kind.VERIFY, "error-page").body or "") >= 100_000
    assert all(secret in (fault(Kind.SETTLE, "secrets").body or "") for secret in SECRETS)
    by = payer("sidechannel")
    running.control.script(by.address, fault(Kind.SETTLE, "extension-responses"))
    value = post(running, Kind.SETTLE, handed(2, by)).headers["EXTENSION-RESPONSES"]
    assert SIDECHANNEL in json.dumps(json.loads(base64.b64decode(value, validate=True)))


def test_a_fault_holds_as_often_as_it_is_meant_to(running: Running) -> None:
    """Two faults of one kind follow each other, and honesty follows the last."""
    by = payer("times")
    once = replace(fault(Kind.VERIFY, "too-many"), times=1)
    twice = replace(fault(Kind.VERIFY, "no"), times=2)
    running.control.script(by.address, once, twice)
    call = handed(2, by)
    answers = [post(running, Kind.VERIFY, call) for _ in range(4)]
    assert [a.status_code for a in answers] == [429, 200, 200, 200]
    assert [a.json()["isValid"] for a in answers[1:]] == [False, False, True]


def test_a_script_is_replaced_and_forgotten_whatever_the_case_of_the_address(running: Running) -> None:
    """The last word counts, and no word is honesty."""
    by = payer("replaced")
    call = handed(2, by)
    running.control.script(by.address.lower(), fault(Kind.VERIFY, "forbidden"))
    running.control.script("0x" + by.address[2:].upper(), fault(Kind.VERIFY, "unauthorized"))
    assert post(running, Kind.VERIFY, call).status_code == 401
    running.control.script(by.address)
    assert post(running, Kind.VERIFY, call).json()["isValid"] is True


def test_pending_is_announced_and_then_reconciled(running: Running) -> None:
    """A pending settlement names its transaction, and the next attempt succeeds with that one; money moves once."""
    by = payer("pending")
    running.control.script(by.address, replace(fault(Kind.SETTLE, "pending"), times=1))
    call = handed(2, by)
    pending, final = (post(running, Kind.SETTLE, call).json() for _ in range(2))
    assert (pending["success"], pending["errorReason"], final["success"]) == (False, "settlement_pending", True)
    assert pending["transaction"] == final["transaction"] != ""
    assert [c.outcome.moved for c in running.control.calls(by.address) if c.outcome] == [True, False]


def test_a_forgetful_facilitator_says_yes_to_every_copy_and_charges_once(running: Running) -> None:
    """Under ``forgets`` the same payment is valid and settles again, with the same transaction."""
    by = payer("forgets")
    running.control.script(by.address, fault(Kind.VERIFY, "forgets"), fault(Kind.SETTLE, "forgets"))
    call = handed(2, by)
    settled = [post(running, Kind.SETTLE, call).json() for _ in range(3)]
    assert all(s["success"] for s in settled)
    assert len({s["transaction"] for s in settled}) == 1
    assert post(running, Kind.VERIFY, call).json()["isValid"] is True
    assert sum(c.outcome.moved for c in running.control.calls(by.address) if c.outcome) == 1


def test_twenty_copies_at_once_settle_once(running: Running) -> None:
    """A race is won by one."""
    call = handed(2, payer("race"))
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: post(running, Kind.SETTLE, call, timeout=20).json(), range(20)))
    assert sum(a["success"] for a in answers) == 1


def test_a_drip_arrives_byte_by_byte(running: Running) -> None:
    """What has arrived when the connection ends is a beginning of the answer, and no more."""
    by = payer("drip")
    running.control.script(by.address, replace(fault(Kind.VERIFY, "drip"), hold=0.3))
    body = json.dumps(handed(2, by)).encode()
    with socket.create_connection(("127.0.0.1", int(running.url.rpartition(":")[2])), timeout=5) as line:
        line.sendall(b"POST /verify HTTP/1.1\r\nHost: f\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        received = b"".join(iter(lambda: line.recv(4096), b""))
    assert b"HTTP/1.1 200 "[: len(received)] == received[:13]
    assert 1 < len(received) < 40


def test_a_hang_ends_when_the_client_gives_up(running: Running) -> None:
    """A facilitator that hangs notes when its client went away, long before its own patience ends."""
    by = payer("hang")
    running.control.script(by.address, fault(Kind.SETTLE, "settled-then-hangs"))
    with pytest.raises(httpx.ReadTimeout):
        post(running, Kind.SETTLE, handed(2, by), timeout=0.2)
    [call] = running.control.calls(by.address)
    deadline = time.monotonic() + 5
    while call.finished is None and time.monotonic() < deadline:
        [call] = running.control.calls(by.address)
    assert call.finished is not None
    assert call.status is None
    assert call.outcome
    assert call.outcome.moved


def test_a_poor_payer_is_told_so(running: Running) -> None:
    """A balance set over the control is what the ledger reckons with."""
    by = payer("poor")
    running.control.set_balance(NETWORK, ASSET, by.address, 15000)
    assert post(running, Kind.SETTLE, handed(2, by)).json()["success"] is True
    assert running.control.balance(NETWORK, ASSET, by.address) == 5000
    assert post(running, Kind.VERIFY, handed(2, by)).json()["invalidReason"] == "insufficient_funds"
    running.control.set_balance(NETWORK, ASSET, by.address, None)
    assert post(running, Kind.VERIFY, handed(2, by)).json()["isValid"] is True


def test_while_it_is_down_connections_are_refused_and_what_it_knew_stays(own: Running) -> None:
    """Down means refused at once, also for a listing at start; afterwards a used nonce is still used."""
    call = handed(2, payer("down"))
    assert post(own, Kind.SETTLE, call).json()["success"] is True
    own.control.down(0.5)
    with pytest.raises(httpx.ConnectError):
        supported(own)
    own.control.wait_until_up(10)
    assert post(own, Kind.SETTLE, call).json()["success"] is False


def test_reset_forgets_everything(own: Running) -> None:
    """After a reset a used nonce is new, the scripts are gone and the log is empty."""
    by = payer("reset")
    call = handed(2, by)
    post(own, Kind.SETTLE, call)
    own.control.script(by.address, fault(Kind.SETTLE, "no"))
    own.control.reset()
    assert own.control.calls() == ()
    assert post(own, Kind.SETTLE, call).json()["success"] is True


def test_nobody_controls_it_without_the_token(running: Running) -> None:
    """A wrong token finds nothing, and calls below the control path are not in the log of payments."""
    with Control(f"{running.url}/_control/guess") as guess, pytest.raises(ValueError, match="nothing here"):
        guess.reset()
    assert len(running.control.url.rpartition("/")[2]) >= 32


def test_a_misspelt_fault_is_refused(running: Running) -> None:
    """What the control does not know is an error at the check, not an honest answer later."""
    answer = httpx.post(
        f"{running.control.url}/script",
        json={"payer": "0x1", "faults": [{"name": "x", "on": "verify", "dealy": 1}]},
        trust_env=False,
        verify=False,
    )
    assert answer.status_code == 400
    assert "script" in answer.json()["error"]


@pytest.mark.parametrize(
    ("request_line", "status"),
    [("GET /verify", 405), ("POST /supported", 405), ("GET /", 404), ("GET /_control/", 404)],
)
def test_other_requests_are_turned_away(running: Running, request_line: str, status: int) -> None:
    """Wrong methods and unknown paths have their own answers."""
    method, path = request_line.split()
    assert httpx.request(method, running.url + path, trust_env=False, verify=False).status_code == status


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b"[" * 100_000, b"\xff", b'{"x402Version":2}', b"1" * 5000])
@pytest.mark.parametrize("kind", PAID)
def test_garbage_is_no_payment(running: Running, kind: Kind, body: bytes) -> None:
    """Whatever arrives, the answer is a no."""
    answer = httpx.post(f"{running.url}/{kind}", content=body, trust_env=False, verify=False)
    assert answer.json()["isValid" if kind is Kind.VERIFY else "success"] is False


def test_a_body_of_more_than_a_megabyte_is_refused(running: Running) -> None:
    """Memory is bounded: such a call gets 413 or a closed connection, and the next one is served."""
    with contextlib.suppress(httpx.TransportError):
        answer = httpx.post(f"{running.url}/verify", content=b" " * (2 << 20), trust_env=False, verify=False)
        assert answer.status_code == 413
    assert supported(running).status_code == 200


def test_no_http_is_no_answer(running: Running) -> None:
    """A connection that speaks something else is closed."""
    with socket.create_connection(("127.0.0.1", int(running.url.rpartition(":")[2])), timeout=5) as line:
        line.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert line.recv(100) == b""


def test_one_connection_carries_many_calls(running: Running) -> None:
    """Clients that keep their connection are served on it, HEAD included."""
    with httpx.Client(trust_env=False, verify=False, limits=httpx.Limits(max_connections=1)) as client:
        assert client.head(f"{running.url}/supported").content == b""
        for _ in range(3):
            assert client.post(f"{running.url}/verify", json=handed(1, payer("kept"))).json()["isValid"] is True


def test_two_processes_at_once_do_not_disturb_each_other(running: Running) -> None:
    """Two workers script, pay and read over the control alone; each sees its own faults and nothing of the other."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, running.url, running.control.url, name],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PYTHONPATH": ":".join(sys.path)},
            text=True,
        )
        for name in ("no", "too-many")
    ]
    said = [worker.communicate(timeout=60)[0] for worker in workers]
    assert said == ["200 no 10\n", "429 too-many 10\n"], said


WORKER = """
import sys
import httpx
from paying import handed, payer
from conformance.facilitator import Control, Kind, fault
url, control, name = sys.argv[1:]
by = payer(f"worker-{name}")
with Control(control) as told:
    told.script(by.address, fault(Kind.VERIFY, name))
    with httpx.Client(trust_env=False, verify=False) as client:
        status = {client.post(f"{url}/verify", json=handed(2, by)).status_code for _ in range(10)}
    calls = told.calls(by.address)
print(*status, *{call.fault for call in calls}, len(calls))
"""


def test_a_port_that_is_taken_is_an_error_at_once(running: Running) -> None:
    """A start on a taken port says so and leaves no thread behind."""
    before = threading.active_count()
    with pytest.raises(OSError, match="address"):
        facilitator.start(port=int(running.url.rpartition(":")[2]))
    assert threading.active_count() == before


def test_after_a_stop_nothing_listens_and_no_thread_is_left() -> None:
    """Stopping ends hanging calls too, and a second stop is no error."""
    before = threading.active_count()
    running = facilitator.start()
    by = payer("stopped")
    running.control.script(by.address, fault(Kind.VERIFY, "hang"))
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(_seen, running, Kind.VERIFY, handed(2, by))
        while not running.control.calls(by.address):
            pass
        running.stop()
        assert isinstance(asked.result(10), httpx.TransportError)
    running.stop()
    with pytest.raises(httpx.ConnectError):
        supported(running)
    assert threading.active_count() == before


def test_by_hand_it_says_where_it_is() -> None:
    """``python -m conformance facilitator`` prints both addresses, and they work."""
    process = subprocess.Popen(
        [sys.executable, "-m", "conformance", "facilitator", "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={"PYTHONPATH": ":".join(sys.path)},
        text=True,
    )
    try:
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(2)]
        url, control = (re.split(r": +", line.strip(), maxsplit=1)[1] for line in lines)
        assert httpx.get(f"{url}/supported", trust_env=False, verify=False).status_code == 200
        with Control(control) as told:
            assert [call.kind for call in told.calls()] == [Kind.SUPPORTED]
    finally:
        process.terminate()
        process.communicate(timeout=10)


def test_an_address_that_is_none_is_explained() -> None:
    """A bad --listen ends with a sentence."""
    done = subprocess.run(
        [sys.executable, "-m", "conformance", "facilitator", "--listen", "4402"],
        capture_output=True,
        env={"PYTHONPATH": ":".join(sys.path)},
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr == "--listen 4402: expected host:port, such as 127.0.0.1:4402\n"
