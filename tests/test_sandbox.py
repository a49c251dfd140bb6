"""The sandbox takes a payment once, for what it was made for, and gives nothing away."""

import asyncio
import contextlib
import hashlib
import itertools
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest
from serving import served

from conformance import facilitator
from conformance.exchange import Response
from conformance.facilitator import FAULTS, Running
from conformance.protocols.x402 import PAYMENT, Offer, from_body, from_header
from conformance.protocols.x402.encoding import header
from conformance.protocols.x402.payment import build, envelope
from conformance.protocols.x402.receipt import RECEIPT, receipts
from conformance.protocols.x402.recipes import fitting
from conformance.protocols.x402.signing import Payer
from conformance.sandbox import app
from conformance.sandbox.claims import InFile

SERIAL = itertools.count()
GOODS = [("/weather", 2), ("/forecast", 1), ("/almanac", 1), ("/almanac", 2), ("/satellite", 2)]


@pytest.fixture(scope="module")
def referee() -> Iterator[Running]:
    """A facilitator that does what a test tells it."""
    with facilitator.start() as running:
        yield running


@pytest.fixture(scope="module")
def shop(referee: Running) -> Iterator[httpx.Client]:
    """A client of the sandbox, which settles through the facilitator."""
    with served() as (altered, url), httpx.Client(base_url=url, trust_env=False) as client:
        altered.inner = app(url, referee.url)
        yield client


def answer(told: httpx.Response) -> Response:
    return Response(
        status=told.status_code,
        headers=tuple((k.decode(), v.decode("latin-1")) for k, v in told.headers.raw),
        body=told.content,
    )


def offered(shop: httpx.Client, path: str, version: int) -> Offer:
    return offer_of(shop.get(path), version)


def offer_of(told: httpx.Response, version: int) -> Offer:
    refused = answer(told)
    return from_body(refused) if version == 1 else from_header(refused.values("PAYMENT-REQUIRED")[0])


def payer() -> Payer:
    return Payer.of(hashlib.sha256(f"sandbox {next(SERIAL)}".encode()).digest())


def paid(offer: Offer, by: Payer):
    way = next(offer.ways())
    return build(way, offer=offer, payer=by, now=int(time.time()), nonce=hashlib.sha256(by.key).digest())


def pay(shop: httpx.Client, path: str, version: int, document: object, query: str = "") -> httpx.Response:
    return shop.get(path + query, headers={PAYMENT[version]: header(document)})


def handled(shop: httpx.Client, path: str) -> int:
    return shop.get("/stats").json()["handled"][path.strip("/")]


@pytest.mark.parametrize(("path", "version"), GOODS)
def test_a_good_payment_opens_the_door_once(shop, referee, path, version):
    """It is served with a receipt that names the transaction, and the second time it is refused unsettled."""
    by = payer()
    document = paid(offered(shop, path, version), by).document
    first, second = (pay(shop, path, version, document) for _ in range(2))
    assert first.status_code == 200
    assert first.headers["cache-control"] == "private, no-store"
    (receipt,) = receipts(answer(first))
    assert receipt.success is True
    assert receipt.transaction.startswith("0x")
    assert second.status_code == 402
    assert [call.kind for call in referee.control.calls(by.address)].count("settle") == 1


@pytest.mark.parametrize("version", [1, 2])
def test_no_broken_payment_opens_the_door(shop, version):
    """Whatever one breaks in a good payment: the answer is a client error without the good, and nothing is made."""
    path = {1: "/forecast", 2: "/weather"}[version]
    offer, before, opened = offered(shop, path, version), handled(shop, path), []
    for recipe in fitting(paid(offer, payer())):
        by = payer()
        told = pay(shop, path, version, recipe.apply(paid(offer, by), by, int(time.time())))
        if told.status_code < 400 or told.status_code >= 500:
            opened.append((recipe.name, told.status_code))
    assert [name for name, _ in opened if not name.startswith(HARMLESS)] == []
    assert handled(shop, path) - before == len(opened)


HARMLESS = ("resource", "value-higher", "accepted-extra", "own-offer-extra")
"""What a server need not mind: where the payer says it is for, and more than version 1 asks."""


WAITING = {"slow", "hang", "drip", "stall", "settled-then-hangs"}
"""Faults that last as long as the sandbox waits: they come to what a refused connection comes to."""


@pytest.mark.parametrize(("path", "version"), [("/weather", 2), ("/forecast", 1)])
@pytest.mark.parametrize(
    "fault", sorted(key for key in FAULTS if key[0] in {"verify", "settle"} and key[1] not in WAITING), ids="-".join
)
def test_nothing_is_given_away_when_the_facilitator_fails(shop, referee, fault, path, version):
    """Not served unless money moved and the facilitator said so plainly; its own words and faults stay inside."""
    by = payer()
    document = paid(offered(shop, path, version), by).document
    referee.control.script(by.address, FAULTS[fault])
    told = pay(shop, path, version, document)
    good = {"/weather": "sunny", "/forecast": "overcast"}[path]
    moved = any(call.outcome and call.outcome.moved for call in referee.control.calls(by.address))
    assert (good in told.text) <= (moved and told.status_code == 200)
    assert told.status_code in {200, 402, 503}
    assert len(str(told.headers)) < 8000


@pytest.mark.parametrize(("path", "version"), [("/weather", 2), ("/forecast", 1)])
def test_a_handler_that_fails_is_not_charged_for(shop, referee, path, version):
    """The failure is told, nothing is settled, and the same payment still buys the good."""
    by = payer()
    document = paid(offered(shop, path, version), by).document
    assert pay(shop, path, version, document, "?boom=1").status_code == 500
    assert "settle" not in {call.kind for call in referee.control.calls(by.address)}
    assert pay(shop, path, version, document).status_code == 200


def test_ten_at_once_are_one_delivery(shop):
    """Ten copies of one payment that arrive together: one is served, and the good is made once."""
    by = payer()
    document = paid(offered(shop, "/weather", 2), by).document
    before = handled(shop, "/weather")

    async def volley() -> list[int]:
        async with httpx.AsyncClient(base_url=shop.base_url, trust_env=False) as client:
            headers = {PAYMENT[2]: header(document)}
            answers = await asyncio.gather(*(client.get("/weather", headers=headers) for _ in range(10)))
            return [told.status_code for told in answers]

    assert sorted(asyncio.run(volley())) == [200] + [402] * 9
    assert handled(shop, "/weather") - before == 1


@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 1)])
def test_a_payment_of_one_version_is_used_in_the_other(shop, referee, first, second):
    """The same authorization in the other version opens nothing, even if the facilitator forgets what it settled."""
    by = payer()
    document = paid(offered(shop, "/almanac", first), by).document
    offer = offered(shop, "/almanac", second)
    again = envelope(next(offer.ways()), document["payload"], offer=offer, version=second)
    referee.control.script(by.address, FAULTS["verify", "forgets"], FAULTS["settle", "forgets"])
    assert pay(shop, "/almanac", first, document).status_code == 200
    told = pay(shop, "/almanac", second, again)
    assert (told.status_code, "heatwave" in told.text) == (402, False)
    assert offer_of(told, second).document["error"] == "this payment was used"


def test_a_payment_for_one_good_opens_no_other(shop):
    """What was paid for the forecast buys no almanac: the terms are others."""
    document = paid(offered(shop, "/weather", 2), payer()).document
    assert pay(shop, "/almanac", 2, document).status_code == 402


def test_a_failed_settlement_is_told_with_a_receipt(shop, referee):
    """402, and a receipt that says no and why."""
    by = payer()
    document = paid(offered(shop, "/weather", 2), by).document
    referee.control.script(by.address, FAULTS["settle", "no"])
    told = pay(shop, "/weather", 2, document)
    assert told.status_code == 402
    assert RECEIPT[2] in told.headers
    (receipt,) = receipts(answer(told))
    assert receipt.success is False
    assert receipt.error_reason


def test_two_processes_that_share_a_store_sell_once(referee, tmp_path):
    """Of ten copies that reach two instances together one is served, and none of an instance that comes later."""
    store = str(tmp_path / "payments.sqlite")
    with contextlib.ExitStack() as stack:

        def instance() -> str:
            altered, url = stack.enter_context(served())
            altered.inner = app(url, referee.url, claims=InFile(store))
            return url

        one, other = instance(), instance()
        with httpx.Client(base_url=one, trust_env=False) as client:
            document = paid(offered(client, "/weather", 2), payer()).document
        fields = {PAYMENT[2]: header(document)}

        async def volley() -> list[int]:
            async with httpx.AsyncClient(trust_env=False) as client:
                asked = (client.get(f"{url}/weather", headers=fields) for url in (one, other) * 5)
                return [told.status_code for told in await asyncio.gather(*asked)]

        assert sorted(asyncio.run(volley())) == [200] + [402] * 9
        assert httpx.get(f"{instance()}/weather", headers=fields, trust_env=False).status_code == 402


def test_of_many_processes_one_takes_a_claim(tmp_path):
    """Claims are made in the file itself; what is released may be taken again."""
    store = str(tmp_path / "payments.sqlite")
    script = (
        "import sys\nfrom conformance.sandbox.claims import InFile\nclaims = InFile(sys.argv[1])\nsys.stdin.readline()\n"
        "print(sum(claims.take((str(turn),)) for turn in range(500)))\n"
    )
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", script, store]
    with contextlib.ExitStack() as stack:
        several = [stack.enter_context(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)) for _ in range(3)]
        for each in several:
            each.stdin.write("go\n")
            each.stdin.flush()
        assert sum(int(each.communicate(timeout=30)[0]) for each in several) == 500
    claims = InFile(store)
    assert not claims.take(("7",))
    claims.release(("7",))
    assert claims.take(("7",))
