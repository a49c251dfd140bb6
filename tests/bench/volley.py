"""How close together the requests of a volley arrive, beside what httpx can do and what the server can take.

Run `python tests/bench/volley.py` in a checkout. The server is an asyncio process of its own on loopback that notes the
moment at which each request is complete: one kind parses it (h11, as uvicorn can), the other looks for the blank line
and costs next to nothing. Its own time is that between the first and the last of N requests which lay complete in the
buffers of N open connections while it was stopped. The budget is judged on the server that parses; the bare one shows
what the sends and the scheduler add. On a machine with busy neighbours, the numbers are those of the neighbours too.
"""

import asyncio
import contextlib
import json
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import h11
import httpx
import trustme

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from conformance._raw_stream import Stream, connect  # noqa: E402 - the checkout need not be installed
from conformance.raw import Address, RawAnswer, volley  # noqa: E402

ROUNDS = 10
SIZES = (20, 50)
WAIT = 20.0
LIMIT = 1.5
REQUEST = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Arrivals = list[float]


@dataclass(slots=True)
class Connection(asyncio.Protocol):
    """The server's side of one connection: notes when a request is complete, and answers it."""

    arrivals: Arrivals
    parses: bool
    transport: asyncio.Transport | None = None
    data: bytearray = field(default_factory=bytearray)
    machine: h11.Connection = field(default_factory=lambda: h11.Connection(h11.SERVER))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        if isinstance(transport, asyncio.Transport):
            self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Note the time once the request is complete."""
        if self.transport is not None and self.complete(data):
            self.arrivals.append(time.monotonic())
            self.transport.write(ANSWER)

    def complete(self, data: bytes) -> bool:
        """Whether these bytes end a request."""
        if not self.parses:
            self.data += data
            whole = self.data.endswith(b"\r\n\r\n")
            if whole:
                self.data.clear()
            return whole
        self.machine.receive_data(data)
        while (event := self.machine.next_event()) is not h11.NEED_DATA:
            if isinstance(event, h11.EndOfMessage):
                self.machine = h11.Connection(h11.SERVER)
                return True
            if isinstance(event, h11.ConnectionClosed):
                return False
        return False


async def serve(kind: str, certificate: str) -> None:
    """Serve until standard input ends; `take` prints the arrivals so far, `stop` halts all until the next line."""
    arrivals: Arrivals = []
    # Unbuffered: a line that was read ahead would never wake the loop.
    commands = open(0, "rb", buffering=0, closefd=False)  # noqa: ASYNC230, SIM115
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(arrivals, kind == "h11"), "127.0.0.1", 0, ssl=context, backlog=128
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    done = asyncio.Event()

    def command() -> None:
        line = commands.readline()
        if line == b"take\n":
            print(json.dumps(arrivals), flush=True)
            arrivals.clear()
        elif line == b"stop\n":
            print("stopped", flush=True)
            commands.readline()
        else:
            done.set()

    loop.add_reader(sys.stdin.fileno(), command)
    await done.wait()


@dataclass(frozen=True, slots=True)
class Server:
    """The server as its client sees it."""

    address: Address
    stdin: IO[str]
    stdout: IO[str]
    context: ssl.SSLContext | None

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http{'s' if self.address.tls else ''}://{self.address.host}:{self.address.port}/"

    def say(self, word: str) -> str:
        """Give a command, and return what the server prints."""
        print(word, file=self.stdin, flush=True)
        return "" if word == "go" else self.stdout.readline().strip()

    def take(self) -> Arrivals:
        """The arrivals since the last time."""
        arrivals: Arrivals = json.loads(self.say("take"))
        return arrivals

    def spread(self, count: int) -> float:
        """Milliseconds from the first to the last of `count` requests, once all of them have come."""
        arrivals: Arrivals = []
        until = time.monotonic() + WAIT
        while len(arrivals) < count and time.monotonic() < until:
            arrivals += self.take()
        if len(arrivals) != count:
            message = f"{len(arrivals)} requests arrived instead of {count}"
            raise RuntimeError(message)
        return (max(arrivals) - min(arrivals)) * 1000


@contextlib.contextmanager
def running(kind: str, *, tls: bool) -> Iterator[Server]:
    """A server in a process of its own, until the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        certificate, context = "", None
        if tls:
            authority, context = trustme.CA(), ssl.create_default_context()
            authority.configure_trust(context)
            certificate = str(Path(folder, "server.pem"))
            authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
        command = [sys.executable, __file__, "serve", kind, certificate]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            if process.stdin is None or process.stdout is None:
                raise RuntimeError
            try:
                port = int(process.stdout.readline())
                address = Address(host="127.0.0.1", port=port, tls=tls)
                yield Server(address, process.stdin, process.stdout, context)
            finally:
                process.stdin.close()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()


def own(server: Server, count: int) -> list[float]:
    """The server takes requests that already lie in its buffers."""
    spreads = []
    for _ in range(ROUNDS):
        with contextlib.ExitStack() as stack:
            streams: list[Stream] = []
            for _ in range(count):
                stream = connect(server.address, server.context, time.monotonic() + WAIT)
                if not isinstance(stream, Stream):
                    raise RuntimeError(stream.detail)
                stack.enter_context(stream.sock)
                streams.append(stream)
            # One request on each, so that every connection is known to be accepted before the server stops.
            for stream in streams:
                stream.sock.sendall(stream.seal(REQUEST))
            server.spread(count)
            server.say("stop")
            for stream in streams:
                stream.sock.sendall(stream.seal(REQUEST))
            server.say("go")
            spreads.append(server.spread(count))
    return spreads


def held_back(server: Server, count: int) -> list[float]:
    """Ours."""
    spreads = []
    for _ in range(ROUNDS):
        got = volley(server.address, [REQUEST] * count, timeout=WAIT, max_body=100, context=server.context)
        failed = [answer.detail for answer in got.answers if not isinstance(answer, RawAnswer)]
        if failed:
            raise RuntimeError(failed[0])
        spreads.append(server.spread(count))
    return spreads


def threads(server: Server, count: int) -> list[float]:
    """One httpx client with an open connection for each thread, and a barrier in front of the request."""
    spreads = []
    with contextlib.ExitStack() as stack:
        verify = server.context or True
        clients = [stack.enter_context(httpx.Client(verify=verify, trust_env=False)) for _ in range(count)]
        for client in clients:
            client.post(server.url)
        server.spread(count)

        def post(client: httpx.Client, barrier: threading.Barrier) -> None:
            barrier.wait(WAIT)
            client.post(server.url)

        for _ in range(ROUNDS):
            barrier = threading.Barrier(count)
            crowd = [threading.Thread(target=post, args=(client, barrier)) for client in clients]
            for thread in crowd:
                thread.start()
            for thread in crowd:
                thread.join(WAIT)
            spreads.append(server.spread(count))
    return spreads


def gather(server: Server, count: int) -> list[float]:
    """One asynchronous httpx client with open connections, and all requests gathered."""

    async def rounds() -> list[float]:
        limits = httpx.Limits(max_connections=count, max_keepalive_connections=count)
        spreads = []
        async with httpx.AsyncClient(verify=server.context or True, limits=limits, trust_env=False) as client:
            for _ in range(ROUNDS + 1):
                await asyncio.gather(*(client.post(server.url) for _ in range(count)))
                spreads.append(server.spread(count))
        # The first round opened the connections.
        return spreads[1:]

    return asyncio.run(rounds())


ROWS: dict[str, Callable[[Server, int], list[float]]] = {
    "server's own": own,
    "volley": held_back,
    "httpx threads": threads,
    "httpx gather": gather,
}


def main() -> int:
    """Print the table; 1 when a volley of the first size, at a server that parses, misses the budget."""
    worst = 0.0
    print(f"{'':14} {'server':>10} {'requests':>8} {'median ms':>10} {'best ms':>8} {'to own':>7}")
    for kind, tls in (("h11", False), ("h11", True), ("bare", False), ("bare", True)):
        with running(kind, tls=tls) as server:
            for count in SIZES:
                base = 0.0
                for name, measure in ROWS.items():
                    spreads = measure(server, count)
                    median = statistics.median(spreads)
                    base = base or median
                    if measure is held_back and count == SIZES[0] and kind == "h11":
                        worst = max(worst, median / base)
                    label = kind + (" TLS" if tls else "")
                    row = f"{label:>10} {count:>8} {median:>10.3f} {min(spreads):>8.3f} {median / base:>7.2f}"
                    print(f"{name:14} {row}", flush=True)
    print(f"volley of {SIZES[0]}: {worst:.2f} of the server's own time, at most {LIMIT} allowed")
    return int(worst > LIMIT)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve(sys.argv[2], sys.argv[3]))
    else:
        sys.exit(main())
