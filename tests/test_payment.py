"""Payments: what we sign, who signed it, and what has no signer."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import independent
import offers
import pytest
from eth_keys import KeyAPI
from eth_keys.backends import NativeECCBackend
from eth_keys.exceptions import BadSignature
from eth_utils.address import to_checksum_address
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance import schema
from conformance.protocols.x402 import Way, way_of
from conformance.protocols.x402.payment import Flow, Method, Unsignable, build, flow, method, typed
from conformance.protocols.x402.signing import (
    ORDER,
    Oddity,
    Payer,
    Signature,
    Typed,
    checksummed,
    digest,
    oddities,
    permit_transfer,
    read,
    recover,
    sign,
    transfer_with_authorization,
)

SIGNED: dict[str, Any] = json.loads((Path(__file__).parent / "data/x402/signed-by-the-sdk.json").read_text("utf-8"))
VECTORS: list[dict[str, Any]] = SIGNED["vectors"]
ADDRESS = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C"
WORDS = st.integers(min_value=0, max_value=2**256 - 1)
KEYS = st.integers(min_value=1, max_value=ORDER - 1).map(lambda number: number.to_bytes(32))
# A busy machine takes longer than Hypothesis allows.
UNHURRIED = settings(deadline=None)
ADDRESSES = st.binary(min_size=20, max_size=20).map(to_checksum_address)
TRANSFERS = st.builds(
    transfer_with_authorization,
    name=st.text(),
    version=st.text(),
    chain_id=WORDS,
    asset=ADDRESSES,
    sender=ADDRESSES,
    to=ADDRESSES,
    value=WORDS,
    valid_after=WORDS,
    valid_before=WORDS,
    nonce=st.binary(min_size=32, max_size=32),
)
PERMITS = st.builds(
    permit_transfer,
    chain_id=WORDS,
    token=ADDRESSES,
    amount=WORDS,
    spender=ADDRESSES,
    nonce=WORDS,
    deadline=WORDS,
    to=ADDRESSES,
    valid_after=WORDS,
    facilitator=st.none() | ADDRESSES,
)
# The curve in Python, where eth_account would use the library that we use.
CURVE = KeyAPI(NativeECCBackend)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def _way(version: int, kind: str, **changes: Any) -> Way:
    return way_of(offers.entry(version, kind, **changes), version)


@pytest.mark.parametrize(
    "vector", VECTORS, ids=lambda v: f"{v['made_by']}-v{v['version']}-{v['requirements']['scheme']}"
)
def test_we_sign_as_the_sdk_signs(vector: dict[str, Any]) -> None:
    """What the SDK's client signed has the same signature, letter by letter, when we sign it with the same key."""
    message = typed(vector["payload"], way_of(vector["requirements"], vector["version"]))
    assert sign(message, bytes.fromhex(SIGNED["key"][2:])) == vector["payload"]["signature"]
    assert recover(message, vector["payload"]["signature"]) == offers.PAYER.address


@pytest.mark.parametrize(("version", "kind"), [*offers.KINDS, (1, "permit2"), (1, "upto")])
def test_a_good_payment_fits_its_schema_and_recovers_to_its_payer(version: int, kind: str) -> None:
    """Every kind of payment in both versions fits our schema of PaymentPayload and was signed by its payer."""
    made = offers.payment(version, kind)
    assert schema.problems(made.document, f"x402/v{version}/payment-payload") == ()
    assert recover(made.typed, made.document["payload"]["signature"]) == made.payer == offers.PAYER.address
    assert typed(made.document["payload"], made.way) == made.typed


@pytest.mark.parametrize(("version", "kind"), offers.KINDS)
def test_the_same_arguments_give_the_same_payment(version: int, kind: str) -> None:
    """There is no clock and no chance in a payment; another nonce or another second makes another one."""
    assert offers.payment(version, kind) == offers.payment(version, kind)
    assert offers.payment(version, kind, nonce=b"\x08" * 32).typed != offers.payment(version, kind).typed
    assert offers.payment(version, kind, now=offers.NOW + 1).typed != offers.payment(version, kind).typed


def test_a_payment_of_version_2_repeats_the_offer_as_it_stands() -> None:
    """``accepted``, ``resource`` and ``extensions`` are those of the offer, members that we do not know included."""
    offer = offers.offer(2, "eip3009", unheard_of=["of"])
    [way] = offer.ways()
    made = build(way, offer=offer, payer=offers.PAYER, now=offers.NOW, nonce=b"\x07" * 32)
    assert made.document["accepted"] == offer.document["accepts"][0]
    assert made.document["resource"] == offer.document["resource"]
    assert made.document["extensions"] == offer.document["extensions"]


def test_a_payment_of_version_1_names_the_network_as_the_offer_does() -> None:
    """Version 1 has names of its own for networks; a payment repeats them and signs for the chain they mean."""
    made = offers.payment(1, "eip3009")
    assert set(made.document) == {"x402Version", "scheme", "network", "payload"}
    assert made.document["network"] == "base-sepolia"
    assert made.typed.domain["chainId"] == 84532


@pytest.mark.parametrize("address", [ADDRESS.lower(), "0x" + ADDRESS[2:].upper(), ADDRESS[:-1] + "c"])
def test_addresses_are_copied_letter_by_letter(address: str) -> None:
    """Servers compare strings: lower case, upper case and a wrong checksum go into the payment as they came."""
    made = offers.payment(2, "eip3009", payTo=address)
    assert made.document["payload"]["authorization"]["to"] == address
    assert recover(made.typed, made.document["payload"]["signature"]) == offers.PAYER.address


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [(60, 60), (1, 1), (1.5, 1), (86_400, 3600), (0, 60), (-5, 60), ("60", 60), (True, 60), (None, 60)],
)
def test_a_payment_ends_when_the_offer_ends_and_after_an_hour_at_the_latest(stated: object, seconds: int) -> None:
    """``maxTimeoutSeconds`` bounds a payment; without a positive number it holds for a minute."""
    made = offers.payment(2, "eip3009", maxTimeoutSeconds=stated)
    assert made.document["payload"]["authorization"]["validBefore"] == str(offers.NOW + seconds)


def test_a_known_token_needs_no_domain_in_the_offer() -> None:
    """Without ``extra`` the EIP-712 domain of USDC is known; for a token that we do not know it must be stated."""
    assert offers.payment(2, "eip3009", extra={}).typed == offers.payment(2, "eip3009").typed
    with pytest.raises(Unsignable, match=r"extra\.name is None .* expected the EIP-712 domain of 0xaaaa"):
        offers.payment(2, "eip3009", extra={}, asset="0x" + "aa" * 20)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"network": "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"}, "no signer for exact on solana:5eykt4UsFv8P8NJd"),
        ({"network": "base-sepolia"}, "no signer for exact on base-sepolia"),
        ({"network": "eip155:x"}, "no signer for exact on eip155:x"),
        ({"network": None}, "no signer for exact on a nameless network"),
        ({"scheme": "batch-settlement"}, "no signer for batch-settlement on eip155:84532"),
        ({"scheme": 7}, "no signer for a nameless scheme on eip155:84532"),
        ({"extra": {"assetTransferMethod": "erc7710"}}, "no signer for exact by 'erc7710' on eip155:84532"),
        ({"extra": {"assetTransferMethod": {}}}, r"no signer for exact by \{\} on eip155:84532"),
        ({"scheme": "upto", "extra": {"assetTransferMethod": "eip3009"}}, "no signer for upto by 'eip3009'"),
        ({"scheme": "upto"}, "extra.facilitatorAddress is None, expected an address"),
        (
            {"extra": {"name": "USDC", "version": "2", "paymentFlow": "later"}},
            "paymentFlow is 'later', expected one of",
        ),
        ({"amount": "0x2710"}, r"accepts\[0\] cannot be signed: value: '0x2710', expected a decimal number"),
        ({"amount": 10000}, "value: '', expected a decimal number"),
        ({"amount": str(2**256)}, "expected a number of at most 256 bits"),
        ({"payTo": "merchant"}, "to: 'merchant', expected an address"),
        ({"asset": "USD"}, "asset: 'USD', expected an address"),
        ({"extra": {"name": "\ud800", "version": "2"}}, "surrogates not allowed"),
    ],
)
def test_what_has_no_signer_says_so(changes: dict[str, Any], said: str) -> None:
    """An offer that we cannot pay is Unsignable, and the message names what stands in the way."""
    with pytest.raises(Unsignable, match=said):
        offers.payment(2, "eip3009", **changes)


@UNHURRIED
@given(
    changes=st.dictionaries(
        st.sampled_from(["scheme", "network", "amount", "asset", "payTo", "maxTimeoutSeconds", "extra"]), JSON
    )
)
def test_a_hostile_offer_is_paid_or_unsignable(changes: dict[str, Any]) -> None:
    """Whatever stands in an offer, nothing but Unsignable comes out of it beside a payment."""
    try:
        made = offers.payment(2, "eip3009", **changes)
    except Unsignable as error:
        assert str(error)
    else:
        assert recover(made.typed, made.document["payload"]["signature"]) == offers.PAYER.address


@pytest.mark.parametrize(
    ("version", "changes", "expected"),
    [
        (2, {}, Flow.AUTHORIZATION),
        (1, {}, Flow.AUTHORIZATION),
        (2, {"extra": {"paymentFlow": "upfront"}}, Flow.UPFRONT),
        (2, {"extra": {"paymentFlow": "escrow"}}, Flow.ESCROW),
        (2, {"scheme": "upto"}, Flow.AUTHORIZATION),
        (2, {"scheme": "upto", "network": "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"}, Flow.ESCROW),
        (2, {"scheme": "auth-capture"}, Flow.ESCROW),
        (2, {"network": "lnbtc:mainnet"}, Flow.UPFRONT),
        (2, {"scheme": "auth-capture", "extra": {"paymentFlow": "authorization"}}, Flow.AUTHORIZATION),
    ],
)
def test_the_flow_is_what_the_offer_states_or_its_scheme_implies(
    version: int, changes: dict[str, Any], expected: Flow
) -> None:
    """``extra.paymentFlow`` wins; without it scheme and network have a flow of their own."""
    assert flow(_way(version, "eip3009", **changes)) is expected


def test_upto_moves_money_by_permit2_alone() -> None:
    """The scheme ``upto`` needs no ``assetTransferMethod``, and ``exact`` without one is EIP-3009."""
    assert method(_way(2, "upto")) is Method.PERMIT2
    assert method(_way(2, "eip3009")) is Method.EIP3009


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("value", 10000),
        ("value", "010000"),
        ("value", "１００００"),  # noqa: RUF001  # digits outside ASCII are the point
        ("value", "10000\n"),
        ("validBefore", None),
        ("nonce", "0x" + "07" * 31),
        ("nonce", 7),
        ("from", "0x" + "07" * 19),
        ("to", ["0x"]),
    ],
)
def test_a_sloppy_authorization_is_not_read(member: str, value: object) -> None:
    """Whoever rebuilds what was signed takes canonical text only, and the message names the member."""
    payload = json.loads(json.dumps(offers.payment(2, "eip3009").document["payload"]))
    payload["authorization"][member] = value
    with pytest.raises(ValueError, match=member):
        typed(payload, _way(2, "eip3009"))


@UNHURRIED
@given(key=KEYS, value=WORDS, after=WORDS, before=WORDS, nonce=st.binary(min_size=32, max_size=32))
def test_a_signature_recovers_to_its_key(key: bytes, value: int, after: int, before: int, nonce: bytes) -> None:
    """Over the whole range of what EIP-3009 holds, our signatures are canonical and recover to the payer."""
    message = transfer_with_authorization(
        name="Ünïcode",
        version="",
        chain_id=1,
        asset=ADDRESS,
        sender=ADDRESS,
        to=ADDRESS,
        value=value,
        valid_after=after,
        valid_before=before,
        nonce=nonce,
    )
    signature = sign(message, key)
    assert recover(message, signature) == Payer.of(key).address
    assert oddities(signature) == frozenset()


@UNHURRIED
@given(message=TRANSFERS | PERMITS, key=KEYS)
def test_we_sign_as_an_independent_signer_does(message: Typed, key: bytes) -> None:
    """Whatever is transferred or permitted, hash, signature, signer and address are those of eth_account."""
    signature, payer = sign(message, key), Payer.of(key).address
    assert digest(message) == independent.digest(message)
    assert signature == independent.sign(message, key)
    assert payer == independent.address(key)
    assert recover(message, signature) == independent.signer(message, signature) == payer


@settings(deadline=None, max_examples=25)
@given(message=TRANSFERS | PERMITS, key=KEYS)
def test_another_curve_gives_the_same_signature(message: Typed, key: bytes) -> None:
    """Signatures are those of RFC 6979, byte by byte: secp256k1 in Python makes them too, and finds the same key."""
    private = CURVE.PrivateKey(key)
    theirs = private.sign_msg_hash(digest(message))
    assert read(sign(message, key)) == Signature(r=theirs.r, s=theirs.s, parity=theirs.v)
    assert Payer.of(key).address == private.public_key.to_checksum_address()


@settings(deadline=None, max_examples=50)
@given(
    r=st.integers(1, 99) | st.integers(1, ORDER - 1),
    s=st.integers(1, 99) | st.integers(1, ORDER - 1) | st.integers(ORDER - 99, ORDER - 1),
    parity=st.integers(0, 1),
)
def test_any_signature_recovers_as_on_another_curve(r: int, s: int, parity: int) -> None:
    """Any r and s, high s too, recover to the signer that secp256k1 in Python finds, or to nobody where it finds none."""
    message = offers.payment(2, "eip3009").typed
    try:
        found = CURVE.ecdsa_recover(digest(message), CURVE.Signature(vrs=(parity, r, s)))
        expected = found.to_checksum_address()
    except BadSignature:
        expected = None
    made = Signature(r=r, s=s, parity=parity).hex()
    assert recover(message, made) == recover(message, f"{made[:-2]}{parity:02x}") == expected
    if s < 1 << 255:
        assert recover(message, f"0x{r:064x}{s | parity << 255:064x}") == expected


def test_the_example_of_the_standard_has_its_hash_and_signature() -> None:
    """The mail in EIP-712 (assets/eip-712/Example.js): a struct in which another stands twice, and a string."""
    person = (("name", "string"), ("wallet", "address"))
    mail = Typed(
        primary="Mail",
        types={"Person": person, "Mail": (("from", "Person"), ("to", "Person"), ("contents", "string"))},
        domain={"name": "Ether Mail", "version": "1", "chainId": 1, "verifyingContract": "0x" + "Cc" * 20},
        message={
            "from": {"name": "Cow", "wallet": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},
            "to": {"name": "Bob", "wallet": "0x" + "bB" * 20},
            "contents": "Hello, Bob!",
        },
    )
    assert digest(mail).hex() == "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"
    cow = Payer.of(bytes.fromhex("c85ef7d79691fe79573b1a7064c19c1a9819ebdbd1faaab1a8ec92344438aaf4"))
    assert cow.address == mail.message["from"]["wallet"]
    assert read(sign(mail, cow.key)) == Signature(
        r=0x4355C47D63924E8A72E509B65029052EB6C299D53A04E167C5775FD466751C9D,
        s=0x07299936D304C153F6443DFA05F40FF007D72911B6F72307F996231605B91562,
        parity=1,
    )


def test_a_struct_names_what_it_refers_to_in_order() -> None:
    """The type of a struct ends with all that its members refer to, at any depth, sorted and each once."""
    leaf = (("at", "uint256"),)
    types = {"Top": (("z", "Zed"), ("b", "Bee"), ("c", "Zed")), "Zed": (("b", "Bee"),), "Bee": leaf}
    bee, zed = {"at": 7}, {"b": {"at": 8}}
    message = Typed(primary="Top", types=types, domain={}, message={"z": zed, "b": bee, "c": zed})
    assert digest(message) == independent.digest(message)


def test_what_no_payer_signs_is_not_hashed() -> None:
    """A type that no payment has, and bytes of another length, are refused rather than signed as something else."""
    for kind, value in (("int8", 1), ("uint256[]", [1]), ("bytes32", b"\x01"), ("bytes32", 7)):
        message = Typed(primary="Odd", types={"Odd": (("odd", kind),)}, domain={}, message={"odd": value})
        with pytest.raises(ValueError, match="expected what payers sign"):
            digest(message)


@UNHURRIED
@given(address=ADDRESSES)
def test_a_checksum_is_that_of_the_standard(address: str) -> None:
    """Whatever case an address comes in, its checksum is the one that eth_utils gives; what is none has none."""
    assert checksummed(address.lower()) == checksummed("0x" + address[2:].upper()) == checksummed(address) == address
    with pytest.raises(ValueError, match="expected an address"):
        checksummed(address[:-1])


@pytest.mark.parametrize("seed", range(8))
def test_every_spelling_of_a_signature_recovers_alike_and_is_told_apart(seed: int) -> None:
    """High s, v of 0 or 1 and the compact form recover to the same payer, and each is named as an oddity."""
    made = offers.payment(2, "eip3009", nonce=bytes([seed]) * 32)
    good: str = made.document["payload"]["signature"]
    found = read(good)
    assert found
    compact = f"0x{found.r:064x}{found.s | found.parity << 255:064x}"
    low_v = f"{good[:-2]}{found.parity:02x}"
    high = found.mirrored()
    spelled = {
        good: set(),
        high.hex(): {Oddity.HIGH_S},
        low_v: {Oddity.LOW_V},
        f"{high.hex()[:-2]}{high.parity:02x}": {Oddity.HIGH_S, Oddity.LOW_V},
        compact: {Oddity.COMPACT},
        "0x" + good[2:].upper(): set(),
    }
    for text, expected in spelled.items():
        assert recover(made.typed, text) == offers.PAYER.address
        assert oddities(text) == expected


@UNHURRIED
@given(garbage=JSON | st.from_regex(r"0x([0-9a-f]{128}|[0-9a-f]{130}|[0-9a-f]{128}(00|01|1b|1c))", fullmatch=True))
def test_garbage_for_a_signature_is_no_error(garbage: object) -> None:
    """Any JSON value recovers to nobody or to somebody else, and raises nothing."""
    assert recover(offers.payment(2, "eip3009").typed, garbage) != offers.PAYER.address
    assert oddities(garbage) <= set(Oddity)


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        "0x",
        "0x" + "00" * 65,
        "0x" + "ff" * 65,
        "0x" + "11" * 64 + "1d",
        "0x" + "11" * 66,
        "11" * 65,
        "0x" + "11" * 10_000_000,
        Signature(r=5, s=5, parity=0).hex(),
        Signature(r=ORDER, s=1, parity=0).hex(),
        Signature(r=1, s=ORDER, parity=0).hex(),
    ],
    ids=range(12),
)
def test_what_is_no_signature_recovers_to_nobody(signature: object) -> None:
    """Other lengths, another v, numbers outside the curve's order and points off the curve are nobody's."""
    assert recover(offers.payment(2, "eip3009").typed, signature) is None


def test_what_no_contract_could_take_is_refused() -> None:
    """Typed data in which a number exceeds 256 bits or an address is none cannot be made."""
    good: dict[str, Any] = {
        "chain_id": 1,
        "token": ADDRESS,
        "amount": 1,
        "spender": ADDRESS,
        "nonce": 1,
        "deadline": 1,
        "to": ADDRESS,
        "valid_after": 1,
    }
    assert permit_transfer(**good).primary == "PermitWitnessTransferFrom"
    for member, value in (("nonce", 2**256), ("amount", -1), ("to", ADDRESS + "0"), ("facilitator", "")):
        with pytest.raises(ValueError, match=member):
            permit_transfer(**{**good, member: value})


def test_the_witness_of_upto_names_the_facilitator() -> None:
    """What a payer signs under ``upto`` binds the facilitator of the offer; under ``exact`` there is none to bind."""
    assert offers.payment(2, "upto").typed.message["witness"]["facilitator"] == offers.FACILITATOR.lower()
    assert "facilitator" not in offers.payment(2, "permit2").typed.message["witness"]


@pytest.mark.parametrize("key", [b"", b"\x11" * 31, b"\x00" * 32, ORDER.to_bytes(32)])
def test_what_is_no_key_makes_no_payer(key: bytes) -> None:
    """A payer needs 32 bytes between 1 and the order of the curve, and so does who signs."""
    with pytest.raises(ValueError, match="not a secp256k1 key"):
        Payer.of(key)
    with pytest.raises(ValueError, match="not a secp256k1 key"):
        sign(offers.payment(2, "eip3009").typed, key)


def test_a_key_is_not_shown() -> None:
    """Neither a payer nor a payment shows the key when it is printed."""
    shown = repr(offers.PAYER) + repr(offers.payment(2, "eip3009"))
    assert "11" * 32 not in shown
    assert repr(offers.PAYER.key) not in shown
    assert not any(field.repr for field in dataclasses.fields(Payer) if field.name == "key")
