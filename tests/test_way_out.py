"""The only way out of a browser of ours leads to the target, and to nobody else."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from serving import listening

from conformance.exchange import Exchange, Request, Response
from conformance.gate import Gate
from conformance.profile import Limits
from conformance.redaction import Redactor
from conformance.seen import Seen, Stop
from conformance.wire import Wire

GRANTED, NOT_ALLOWED, NOT_SUPPORTED = 0, 2, 7


@contextmanager
def gate(*hosts: str) -> Iterator[Gate]:
    """A gate that leads to ``hosts``."""
    found = Gate(hosts=frozenset(hosts))
    try:
        yield found
    finally:
        found.close()


@contextmanager
def asked(found: Gate, host: bytes, port: int, *, command: int = 1) -> Iterator[tuple[socket.socket, int]]:
    """A connection that asked ``found`` for a host by its name, and what it was told."""
    at = urlsplit(found.url)
    with socket.create_connection((at.hostname or "", at.port or 0), timeout=5) as connection:
        connection.sendall(b"\x05\x01\x00")
        assert connection.recv(2) == b"\x05\x00"
        connection.sendall(bytes([5, command, 0, 3, len(host)]) + host + port.to_bytes(2))
        yield connection, connection.recv(10)[1]


def test_bytes_pass_to_and_fro() -> None:
    """What is on the list is reached as if there were nothing between."""
    with listening() as (bound, here), gate(urlsplit(here).netloc) as found:
        with asked(found, b"127.0.0.1", bound.getsockname()[1]) as (connection, told):
            assert told == GRANTED
            above, _ = bound.accept()
            with above:
                connection.sendall(b"to")
                assert above.recv(2) == b"to"
                above.sendall(b"fro")
                assert connection.recv(3) == b"fro"
        assert found.shut_out == []


def test_who_is_not_on_the_list_is_not_even_connected_to() -> None:
    """Another port of the same machine is somebody else; that it was asked for is remembered."""
    with listening() as (bound, here), gate("127.0.0.1:1") as found:
        with asked(found, b"127.0.0.1", bound.getsockname()[1]) as (_, told):
            assert told == NOT_ALLOWED
        bound.setblocking(False)
        with pytest.raises(BlockingIOError):
            bound.accept()
        assert found.shut_out == [urlsplit(here).netloc]


def test_nothing_but_a_connection_is_to_be_had() -> None:
    """Neither a listening socket (BIND) nor datagrams (UDP ASSOCIATE)."""
    with gate("127.0.0.1:80") as found:
        for command in (2, 3):
            with asked(found, b"127.0.0.1", 80, command=command) as (_, told):
                assert told == NOT_SUPPORTED


@pytest.mark.parametrize(
    ("host", "port", "admitted"),
    [
        ("api.example", 443, True),
        ("api.example", 80, True),
        ("api.example", 8443, False),
        ("helper.example", 8080, True),
        ("helper.example", 443, False),
        ("sub.api.example", 443, False),
        ("::1", 4020, True),
        ("::1", 80, False),
    ],
)
def test_a_host_without_a_port_stands_for_the_usual_ones(host, port, admitted) -> None:
    """As in the list of whom our own client may ask."""
    with gate("api.example", "helper.example:8080", "[::1]:4020") as found:
        assert found.admits(host, port) is admitted


def test_another_hand_is_bound_as_our_client_is() -> None:
    """Its requests count, nobody else is asked, and what it saw is redacted."""
    wire = Wire(
        timeout=5.0,
        limits=Limits(max_requests=1),
        redactor=Redactor.of({"KEY": "k-4f1b9c2d7e8a6053"}),
        hosts=frozenset({"api.example"}),
    )
    sent = []

    def hand(request: Request) -> Exchange:
        sent.append(request.url)
        stop = Stop(text="Pay for k-4f1b9c2d7e8a6053", target="https://api.example/pay?key=k-4f1b9c2d7e8a6053")
        return Exchange(request=request, response=Response(status=402), seen=Seen(stops=(stop,), chosen=0))

    here, elsewhere = (Request(method="GET", url=f"https://{host}/") for host in ("api.example", "other.example"))
    assert wire.send_by(hand, elsewhere).failure is not None
    exchange = wire.send_by(hand, here)
    over = wire.send_by(hand, here)
    wire.close()
    assert sent == ["https://api.example/"]
    assert over.failure is not None
    assert "limits.max_requests" in over.failure.detail
    assert exchange.seen is not None
    assert exchange.seen.stops == (
        Stop(text="Pay for <secret:KEY>", target="https://api.example/pay?key=<secret:KEY>"),
    )
    assert Exchange.from_json(exchange.to_json()).seen == exchange.seen
