"""A ledger takes a good payment once, and says why it takes no other."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paying import ASSET, NETWORK, PAY_TO, handed, payer

from conformance.facilitator import ADDRESS, Lapse, Ledger
from conformance.protocols.x402.signing import read, sign, transfer_with_authorization

NOW = 1_800_000_000
ALICE = payer("alice")
WAYS: dict[str, dict[str, Any]] = {
    "eip3009-v1": {"version": 1},
    "eip3009-v2": {"version": 2},
    "permit2-v2": {"version": 2, "extra": {"assetTransferMethod": "permit2", "name": "USDC", "version": "2"}},
    "upto-v2": {"version": 2, "scheme": "upto"},
    "another-chain": {"version": 2, "network": "eip155:31337", "extra": {"name": "Ours", "version": "9"}},
}


def good(way: str = "eip3009-v2", nonce: int = 1) -> dict[str, Any]:
    return copy.deepcopy(handed(by=ALICE, nonce=nonce, now=NOW, **WAYS[way]))


def verify(ledger: Ledger, call: dict[str, Any], now: int = NOW, **more: Any) -> Any:
    return ledger.verify(call["paymentRequirements"], call["paymentPayload"], call["x402Version"], now, **more)


def settle(ledger: Ledger, call: dict[str, Any], now: int = NOW, **more: Any) -> Any:
    return ledger.settle(call["paymentRequirements"], call["paymentPayload"], call["x402Version"], now, **more)


@pytest.mark.parametrize("way", WAYS)
def test_a_good_payment_is_valid_and_settles_once(way: str) -> None:
    """Every way to pay that we can sign is verified, settled with a transaction, and refused as a replay."""
    ledger = Ledger(ADDRESS)
    assert verify(ledger, good(way)).valid
    first = settle(ledger, good(way))
    assert (first.success, first.moved, len(first.transaction)) == (True, True, 66)
    assert first.payer == ALICE.address
    second = settle(ledger, good(way))
    assert (second.success, second.reason, second.transaction) == (False, "invalid_transaction_state", "")
    assert verify(ledger, good(way)).reason == "invalid_transaction_state"


def test_the_transaction_of_an_authorization_is_always_the_same_and_of_no_other() -> None:
    """Two ledgers give one authorization one transaction, and two authorizations two."""
    ours, theirs = Ledger(ADDRESS), Ledger(ADDRESS)
    assert settle(ours, good(nonce=1)).transaction == settle(theirs, good(nonce=1)).transaction
    assert settle(ours, good(nonce=2)).transaction != settle(theirs, good(nonce=3)).transaction


def test_one_authorization_is_one_payment_in_both_versions() -> None:
    """What settled as version 1 is a replay as version 2."""
    ledger = Ledger(ADDRESS)
    one, two = good("eip3009-v1"), good("eip3009-v2")
    assert one["paymentPayload"]["payload"] == two["paymentPayload"]["payload"]
    assert settle(ledger, one).success
    assert not settle(ledger, two).success


def _authorization(**changes: object) -> Callable[[dict[str, Any]], None]:
    def change(call: dict[str, Any]) -> None:
        payload = call["paymentPayload"]["payload"]
        signed = payload["authorization"]
        signed.update(changes)
        payload["signature"] = sign(_typed(signed), ALICE.key)

    return change


def _typed(signed: dict[str, Any], name: str = "USDC", asset: str = ASSET) -> Any:
    return transfer_with_authorization(
        name=name,
        version="2",
        chain_id=84532,
        asset=asset,
        sender=signed["from"],
        to=signed["to"],
        value=int(signed["value"]),
        valid_after=int(signed["validAfter"]),
        valid_before=int(signed["validBefore"]),
        nonce=bytes.fromhex(signed["nonce"][2:]),
    )


def _signed_elsewhere(**other: str) -> Callable[[dict[str, Any]], None]:
    def change(call: dict[str, Any]) -> None:
        payload = call["paymentPayload"]["payload"]
        payload["signature"] = sign(_typed(payload["authorization"], **other), ALICE.key)

    return change


def _signature(value: object) -> Callable[[dict[str, Any]], None]:
    def change(call: dict[str, Any]) -> None:
        call["paymentPayload"]["payload"]["signature"] = value

    return change


def _stranger(call: dict[str, Any]) -> None:
    payload = call["paymentPayload"]["payload"]
    payload["signature"] = sign(_typed(payload["authorization"]), payer("mallory").key)


def _set(*path: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(call: dict[str, Any]) -> None:
        *way, last = path
        for step in way:
            call = call[step]
        call[last] = value

    return change


def _mirrored(call: dict[str, Any]) -> None:
    payload = call["paymentPayload"]["payload"]
    found = read(payload["signature"])
    assert found
    payload["signature"] = found.mirrored().hex()


STRANGER = payer("mallory").address
ACCEPTED = ("paymentPayload", "accepted")
INNER = ("paymentPayload", "payload", "authorization")
ASKED = "paymentRequirements"
BAD: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "one-less": (_authorization(value="9999"), "invalid_exact_evm_payload_authorization_value_mismatch"),
    "one-more": (_authorization(value="10001"), "invalid_exact_evm_payload_authorization_value_mismatch"),
    "other-recipient": (_authorization(to=STRANGER), "invalid_exact_evm_payload_recipient_mismatch"),
    "expired": (_authorization(validBefore=str(NOW)), "invalid_exact_evm_payload_authorization_valid_before"),
    "about-to-expire": (
        _authorization(validBefore=str(NOW + 5)),
        "invalid_exact_evm_payload_authorization_valid_before",
    ),
    "not-yet": (_authorization(validAfter=str(NOW + 1)), "invalid_exact_evm_payload_authorization_valid_after"),
    "other-payer": (_authorization(**{"from": STRANGER}), "invalid_exact_evm_payload_signature"),
    "other-signer": (_stranger, "invalid_exact_evm_payload_signature"),
    "other-domain": (_signed_elsewhere(name="USD Coin"), "invalid_exact_evm_payload_signature"),
    "other-token": (_signed_elsewhere(asset=STRANGER), "invalid_exact_evm_payload_signature"),
    "high-s": (_mirrored, "invalid_exact_evm_payload_signature"),
    "empty-signature": (_signature("0x"), "invalid_exact_evm_payload_signature"),
    "short-signature": (_signature("0x" + "11" * 63), "invalid_exact_evm_payload_signature"),
    "no-signature": (_signature(None), "invalid_payload"),
    "value-as-number": (_set(*INNER, "value", value=10000), "invalid_payload"),
    "value-with-a-zero": (_set(*INNER, "value", value="010000"), "invalid_payload"),
    "value-with-a-space": (_set(*INNER, "value", value=" 10000"), "invalid_payload"),
    "value-in-arabic-digits": (_set(*INNER, "value", value="\u0661\u0660\u0660\u0660\u0660"), "invalid_payload"),
    "value-beyond-256-bits": (_set(*INNER, "value", value=str(2**256)), "invalid_payload"),
    "short-nonce": (_set(*INNER, "nonce", value="0x" + "11" * 31), "invalid_payload"),
    "no-authorization": (_set("paymentPayload", "payload", value={}), "invalid_payload"),
    "payload-as-text": (_set("paymentPayload", "payload", value="x"), "invalid_payload"),
    "no-payload": (_set("paymentPayload", value=None), "invalid_payload"),
    "other-scheme": (_set(*ACCEPTED, "scheme", value="upto"), "invalid_scheme"),
    "unknown-scheme": (_set(ASKED, "scheme", value="later"), "unsupported_scheme"),
    "scheme-as-object": (_set(ASKED, "scheme", value={}), "unsupported_scheme"),
    "other-network": (_set(*ACCEPTED, "network", value="eip155:8453"), "invalid_network"),
    "no-accepted": (_set(*ACCEPTED, value=None), "invalid_payload"),
    "version-3": (_set("x402Version", value=3), "invalid_x402_version"),
    "version-as-text": (_set("x402Version", value="2"), "invalid_x402_version"),
    "payload-of-version-1": (_set("paymentPayload", "x402Version", value=1), "invalid_x402_version"),
    "no-requirements": (_set(ASKED, value=[]), "invalid_payment_requirements"),
    "price-in-dollars": (_set(ASKED, "amount", value="$0.01"), "invalid_payment_requirements"),
    "extra-as-list": (_set(ASKED, "extra", value=[]), "invalid_payment_requirements"),
    "half-a-character": (
        _set(ASKED, "extra", value={"name": "\ud800", "version": "2"}),
        "invalid_payment_requirements",
    ),
    "other-price": (_set(ASKED, "amount", value="20000"), "invalid_exact_evm_payload_authorization_value_mismatch"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_payment_is_refused_and_moves_nothing(name: str) -> None:
    """Each altered payment is refused for its own reason, by verify and by settle alike, and leaves the nonce unused."""
    change, reason = BAD[name]
    ledger, bad = Ledger(ADDRESS), good()
    change(bad)
    assert (verify(ledger, bad).valid, verify(ledger, bad).reason) == (False, reason)
    refused = settle(ledger, bad)
    assert (refused.success, refused.reason, refused.transaction, refused.moved) == (False, reason, "", False)
    assert settle(ledger, good()).moved


def test_version_1_takes_more_than_the_price_and_not_less() -> None:
    """Under version 1 the price is a minimum, and the reason has the name of version 1."""
    for value, reason in (("10001", ""), ("9999", "invalid_exact_evm_payload_authorization_value")):
        call = good("eip3009-v1")
        _authorization(value=value)(call)
        assert verify(Ledger(ADDRESS), call).reason == reason


@pytest.mark.parametrize(("actual", "success"), [("9999", True), ("10000", True), ("10001", False)])
def test_upto_settles_at_most_what_was_signed(actual: str, success: bool) -> None:
    """The amount at settlement may be smaller than the maximum and not larger, and it is what is charged."""
    ledger, call = Ledger(ADDRESS), good("upto-v2")
    ledger.set_balance(NETWORK, ASSET, ALICE.address, 50000)
    call["paymentRequirements"]["amount"] = actual
    settled = settle(ledger, call)
    assert settled.success is success
    if success:
        assert settled.amount == actual
        assert ledger.balance(NETWORK, ASSET, ALICE.address) == 50000 - int(actual)
    else:
        assert settled.reason == "invalid_upto_evm_payload_settlement_exceeds_amount"


def test_upto_is_verified_for_exactly_the_maximum() -> None:
    """Before the resource is made, the price is the maximum that was signed, neither less nor more."""
    for price in ("9999", "10001"):
        call = good("upto-v2")
        call["paymentRequirements"]["amount"] = price
        assert verify(Ledger(ADDRESS), call).reason == "invalid_upto_evm_payload_authorization_value_mismatch"


def test_a_pending_upto_settlement_is_reconciled_for_its_own_charge_only() -> None:
    """A charge under way is not taken for another one; a forgetful ledger gives its transaction all the same."""
    ledger, other = Ledger(ADDRESS), good("upto-v2")
    other["paymentRequirements"]["amount"] = "7"
    first = settle(ledger, good("upto-v2"), pending=True)
    assert settle(ledger, other).reason == "invalid_transaction_state"
    forgiven = settle(ledger, other, forgives=(Lapse.REPLAYS,))
    assert (forgiven.success, forgiven.moved, forgiven.transaction) == (True, False, first.transaction)


def test_upto_for_nothing_succeeds_without_a_transaction() -> None:
    """Zero usage is a success, and no money moves."""
    call = good("upto-v2")
    call["paymentRequirements"]["amount"] = "0"
    settled = settle(Ledger(ADDRESS), call)
    assert (settled.success, settled.transaction, settled.amount, settled.moved) == (True, "", "0", False)


def test_upto_for_another_facilitator_is_refused() -> None:
    """An upto payment is bound to one facilitator."""
    assert verify(Ledger(STRANGER), good("upto-v2")).reason == "invalid_payload"


@pytest.mark.parametrize("way", ["permit2-v2", "upto-v2"])
def test_a_permit_for_another_spender_or_token_is_refused(way: str) -> None:
    """Only the proxy of the scheme may spend, and only the token of the offer."""
    for path in (("spender",), ("permitted", "token")):
        call = good(way)
        _set("paymentPayload", "payload", "permit2Authorization", *path, value=STRANGER)(call)
        assert verify(Ledger(ADDRESS), call).reason == "invalid_payload"


def test_a_poor_payer_is_refused_and_a_payment_is_booked() -> None:
    """A balance is spent, credited to a recipient who has one, and never overdrawn."""
    ledger = Ledger(ADDRESS)
    ledger.set_balance(NETWORK, ASSET, ALICE.address, 15000)
    ledger.set_balance(NETWORK, ASSET, PAY_TO, 0)
    assert settle(ledger, good(nonce=1)).success
    assert ledger.balance(NETWORK, ASSET, ALICE.address.lower()) == 5000
    assert ledger.balance(NETWORK, ASSET, PAY_TO) == 10000
    assert verify(ledger, good(nonce=2)).reason == "insufficient_funds"
    assert settle(ledger, good(nonce=2)).reason == "insufficient_funds"


def test_a_pending_settlement_is_reconciled_to_its_own_transaction() -> None:
    """Money moves once: pending, pending still, then final with the same transaction, and a replay after that."""
    ledger = Ledger(ADDRESS)
    attempts = [settle(ledger, good(), pending=p) for p in (True, True, False)]
    assert len({a.transaction for a in attempts}) == 1
    assert [a.moved for a in attempts] == [True, False, False]
    assert settle(ledger, good()).reason == "invalid_transaction_state"


def test_a_pending_settlement_is_not_reconciled_for_a_higher_price() -> None:
    """A cheap payment under way buys nothing that costs more."""
    ledger, dear = Ledger(ADDRESS), good()
    settle(ledger, good(), pending=True)
    dear["paymentRequirements"]["amount"] = "1000000"
    assert not settle(ledger, dear).success


def test_a_forgetful_ledger_takes_replays_and_twins_but_no_forgeries() -> None:
    """What is forgiven is the use and the form of a signature, never its truth; money still moves once."""
    ledger, twin, forged = Ledger(ADDRESS), good(), good()
    _mirrored(twin)
    _stranger(forged)
    forgives = (Lapse.REPLAYS, Lapse.TWINS)
    settled = [settle(ledger, call, forgives=forgives) for call in (good(), twin, good())]
    assert [s.success for s in settled] == [True, True, True]
    assert [s.moved for s in settled] == [True, False, False]
    assert verify(ledger, twin, forgives=forgives).valid
    assert not settle(ledger, forged, forgives=forgives).success


def test_an_ageless_ledger_repeats_a_yes_and_says_none_for_the_first_time() -> None:
    """Once the time of a payment is over it settles again where it was settled in time, and money moves once."""
    ledger, late, forgives = Ledger(ADDRESS), NOW + 3600, tuple(Lapse)
    assert settle(ledger, good(nonce=1), forgives=forgives).moved
    again = settle(ledger, good(nonce=1), now=late, forgives=forgives)
    assert (again.success, again.moved) == (True, False)
    assert verify(ledger, good(nonce=1), now=late, forgives=forgives).valid
    assert not settle(ledger, good(nonce=2), now=late, forgives=forgives).success
    assert not settle(ledger, good(nonce=1), now=late, forgives=(Lapse.REPLAYS, Lapse.TWINS)).success


CALLS = [good(way, nonce) for way in ("eip3009-v1", "eip3009-v2", "permit2-v2", "upto-v2") for nonce in (1, 2)]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(range(len(CALLS))), st.sampled_from(["verify", "settle", "pending", "forgetful"])),
        max_size=25,
    ),
    st.integers(0, 60000),
)
def test_a_nonce_moves_money_at_most_once_in_whatever_order(steps: list[tuple[int, str]], has: int) -> None:
    """However calls follow each other, no authorization moves money twice, and nobody has less than nothing."""
    ledger, moved = Ledger(ADDRESS), []
    ledger.set_balance(NETWORK, ASSET, ALICE.address, has)
    for which, how in steps:
        if how == "verify":
            verify(ledger, CALLS[which])
        else:
            more = {"forgives": tuple(Lapse)} if how == "forgetful" else {"pending": how == "pending"}
            settled = settle(ledger, CALLS[which], **more)
            if settled.moved:
                moved.append(settled.transaction)
        left = ledger.balance(NETWORK, ASSET, ALICE.address)
        assert left == has - 10000 * len(moved) >= 0
    assert len(moved) == len(set(moved))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
PATHS = [(ASKED,), (ASKED, "scheme"), (ASKED, "extra"), (ASKED, "network"), ("x402Version",), ("paymentPayload",)]
PATHS += [
    ACCEPTED,
    (*ACCEPTED, "scheme"),
    INNER[:2],
    INNER,
    (*INNER, "from"),
    (*INNER, "nonce"),
    (*INNER, "validBefore"),
]
PATHS += [("paymentPayload", "payload", "signature"), (ASKED, "asset"), (ASKED, "extra", "name")]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(PATHS), JSON)
def test_no_document_makes_the_ledger_fail(path: tuple[str, ...], value: object) -> None:
    """Whatever stands where, the answer is a refusal with a reason or a yes, never an exception."""
    call = good()
    _set(*path, value=value)(call)
    decision = verify(Ledger(ADDRESS), call)
    assert decision.valid is (decision.reason == "")
    assert settle(Ledger(ADDRESS), call).success is decision.valid
