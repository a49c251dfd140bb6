"""A report bears itself out: decided again from its own evidence, without a network, it comes to the same."""

import json
import socket
from collections.abc import Iterator

import pytest
from fault import Fault
from faults import FAULTS
from judging import Judged, judged_as
from serving import Altered, served

from conformance.outcome import Outcome
from conformance.report.document import to_json
from conformance.report.review import review

Server = tuple[Altered, str]
NAMES = (
    "whoever asks is served",
    "HEAD is answered with the paid content",
    "the refusal repeats the client's API key",
    "whatever stands in the payment field is a payment",
    "the paywall crashes on an unpaid request",
    "robots.txt costs",
    "browsers get a page without the challenge",
    "the challenge is JSON without base64",
    "the offer lists no way to pay",
    "the body pays somebody else than the header",
    "the price goes up with each request",
    "one of two ways is not offered",
)


class NoNetwork(AssertionError):
    pass


def refused(*_: object, **__: object) -> None:
    raise NoNetwork


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served() as found:
        yield found


def reviewed(run: Judged, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a second look at the written report finds otherwise, with every socket refused."""
    written = json.dumps(to_json(run.report))
    with monkeypatch.context() as patch:
        patch.setattr(socket, "socket", refused)
        with pytest.raises(NoNetwork):
            socket.create_connection(("127.0.0.1", 9))
        return [str(difference) for difference in review(json.loads(written))]


def test_a_conformant_run_is_decided_again_without_a_network(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row of the plain sandbox comes to the same outcome from its evidence."""
    assert reviewed(judged_as(server), monkeypatch) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_run_with_a_fault_is_decided_again_without_a_network(
    name: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outcome and finding of every row, also of the red ones, follow from the evidence in the report."""
    fault: Fault = next(fault for fault in FAULTS if fault.name == name)
    run = judged_as(
        server, change=fault.does, where=fault.where, relay=fault.relay, edit=fault.edit, secrets=fault.secrets
    )
    assert {result.requirement for result in run.red()} == fault.red
    assert reviewed(run, monkeypatch) == []


def test_a_report_that_was_touched_up_is_found_out(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who turns a violation into a pass in the file is contradicted by the evidence beside it."""
    fault = next(fault for fault in FAULTS if fault.name == "the price is tenfold")
    run = judged_as(server, change=fault.does, where=fault.where)
    told = json.loads(json.dumps(to_json(run.report)))
    touched = [row for row in told["results"] if row["outcome"] == Outcome.VIOLATED]
    for row in touched:
        row.update(outcome=str(Outcome.PASSED), finding=None)
    monkeypatch.setattr(socket, "socket", refused)
    found = {(difference.requirement, difference.endpoint) for difference in review(told)}
    assert found == {(row["requirement"], row["endpoint"]) for row in touched} != set()
