"""Recipes break one thing, and twins break nothing."""

import base64
import copy
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import offers
import pytest
from eth_utils.address import to_checksum_address
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.protocols.x402 import standard_base64
from conformance.protocols.x402.encoding import TWINS, Layer, header, twin
from conformance.protocols.x402.payment import Payment, typed
from conformance.protocols.x402.reading import object_in_base64
from conformance.protocols.x402.recipe import ABSENT, Recipe
from conformance.protocols.x402.recipes import RECIPES, fitting, named
from conformance.protocols.x402.signing import oddities, read, recover

PAYMENTS = {(version, kind): offers.payment(version, kind) for version, kind in offers.KINDS}
CASES = [(kind, recipe) for kind, made in PAYMENTS.items() for recipe in fitting(made)]
IDS = [f"v{version}-{kind}-{recipe.name}" for (version, kind), recipe in CASES]
SIGNATURE = ("payload", "signature")

# What is not one leaf by its nature: both halves of a deal change alike, or the whole document does.
OWN_OFFERS = {
    "own-offer-amount": {("accepted", "amount")},
    "own-offer-amount-as-v1": {("accepted", "amount"), ("x402Version",)},
    "own-offer-payee": {("accepted", "payTo")},
    "own-offer-asset": {("accepted", "asset")},
    "own-offer-network": {("accepted", "network")},
}
WHOLE = {"shape-of-the-other-version", "forged-in-the-other-shape"}
# A signature of something else, under an authorization that stays as it is.
SIGNATURE_ALONE = {"asset-other", "chain-other", "domain-name-other", "domain-version-other", "signer-other"}


def _broken(made: Payment, recipe: Recipe) -> dict[str, Any]:
    return dict(recipe.apply(made, offers.PAYER, offers.NOW))


def _differences(old: Any, new: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where two documents differ, a missing or added member being one difference."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old | new:
            yield from _differences(old.get(key, ABSENT), new.get(key, ABSENT), (*at, key))
    elif type(old) is not type(new) or old != new:
        yield at


@pytest.mark.parametrize(("kind", "recipe"), CASES, ids=IDS)
def test_a_recipe_changes_one_leaf_beside_the_signature(kind: tuple[int, str], recipe: Recipe) -> None:
    """One leaf at most differs from the good payment; without one, the signature does."""
    made = PAYMENTS[kind]
    changed = set(_differences(made.document, _broken(made, recipe)))
    rest = changed - {SIGNATURE}
    if recipe.name in WHOLE:
        assert rest
    elif recipe.name in OWN_OFFERS:
        inside = {at for at in rest if at[0] == "payload"}
        assert rest - inside == OWN_OFFERS[recipe.name]
        assert len(inside) <= 1
    elif recipe.name in SIGNATURE_ALONE or recipe.name.startswith("signature-"):
        assert changed == {SIGNATURE}
    else:
        assert len(rest) == 1 or changed == {SIGNATURE}, changed


@pytest.mark.parametrize(("kind", "recipe"), CASES, ids=IDS)
def test_a_recipe_leaves_the_good_payment_alone_and_gives_json(kind: tuple[int, str], recipe: Recipe) -> None:
    """The payment that is broken is not changed, the result is JSON, and the same again gives the same."""
    made = PAYMENTS[kind]
    before = copy.deepcopy(made.document)
    broken = _broken(made, recipe)
    assert made.document == before
    assert object_in_base64(header(broken)) == broken
    assert _broken(made, recipe) == broken


SIGNED_AGAIN = [
    "value-lower",
    "value-higher",
    "payee-other",
    "token-other",
    "spender-other",
    "facilitator-other",
    "expired",
    "expiring",
    "not-yet-valid",
    "own-offer-amount",
    "own-offer-payee",
]


@pytest.mark.parametrize("name", SIGNED_AGAIN)
def test_what_is_signed_again_holds_for_the_payer(name: str) -> None:
    """A recipe that changes what the payer signs carries the payer's own signature over the change."""
    seen = 0
    for made in PAYMENTS.values():
        if named(name).fits(made):
            payload = _broken(made, named(name))["payload"]
            assert recover(typed(payload, made.way), payload["signature"]) == offers.PAYER.address
            assert payload["signature"] != made.document["payload"]["signature"]
            seen += 1
    assert seen


@pytest.mark.parametrize(
    ("kind", "recipe"),
    [case for case in CASES if case[1].name in SIGNATURE_ALONE or case[1].name.startswith("signature-")],
    ids=lambda value: value.name if isinstance(value, Recipe) else "-".join(map(str, value)),
)
def test_a_broken_signature_is_not_the_payers(kind: tuple[int, str], recipe: Recipe) -> None:
    """Under the true domain such a payment recovers to nobody or to somebody else, even read leniently."""
    made = PAYMENTS[kind]
    assert recover(made.typed, _broken(made, recipe)["payload"]["signature"]) != offers.PAYER.address


@pytest.mark.parametrize("seed", range(16))
def test_a_signature_without_a_byte_is_no_compact_one(seed: int) -> None:
    """The 64 bytes are wrong for every payment, also for those whose first 64 bytes would be a good EIP-2098 form."""
    made = offers.payment(2, "eip3009", nonce=bytes([seed]) * 32)
    assert recover(made.typed, _broken(made, named("signature-64-bytes"))["payload"]["signature"]) != made.payer


@pytest.mark.parametrize(
    ("name", "spelled"),
    [
        ("value-number", 10000),
        ("value-hexadecimal", "0x2710"),
        ("value-exponent", "1e4"),
        ("value-space", " 10000"),
        ("value-plus", "+10000"),
        ("value-leading-zero", "010000"),
        ("value-fraction", "10000.0"),
        ("value-underscore", "1_0000"),
        ("value-other-digits", "１００００"),  # noqa: RUF001  # digits outside ASCII are the point
        ("value-negative", "-1"),
        ("value-257-bits", str(2**256)),
        ("value-overflow", str(2**256 + 10000)),
    ],
)
def test_a_number_is_spelled_as_its_recipe_says(name: str, spelled: object) -> None:
    """The spellings that have cost others money, letter by letter."""
    assert _broken(PAYMENTS[2, "eip3009"], named(name))["payload"]["authorization"]["value"] == spelled


@settings(deadline=None)
@given(amount=st.integers(min_value=0, max_value=2**256 - 1))
def test_every_amount_can_be_broken(amount: int) -> None:
    """Whatever the price, zero and the highest included, each fitting recipe differs from the good payment."""
    made = offers.payment(2, "eip3009", amount=str(amount))
    for recipe in fitting(made):
        assert set(_differences(made.document, _broken(made, recipe))), recipe.name


@pytest.mark.parametrize("seconds", [1, 60, 3600])
def test_what_is_not_yet_valid_stays_so_for_half_a_minute(seconds: int) -> None:
    """However short the offer's time limit, the authorization begins half a minute from now at the earliest."""
    made = offers.payment(2, "eip3009", maxTimeoutSeconds=seconds)
    begins = _broken(made, named("not-yet-valid"))["payload"]["authorization"]["validAfter"]
    assert int(begins) == offers.NOW + max(seconds - 1, 30)


def test_an_offer_without_extra_can_be_broken() -> None:
    """A domain from our table of tokens holds for the recipes, too; those that need a member of ``extra`` do not fit."""
    made = offers.payment(2, "eip3009", extra={})
    found = {recipe.name for recipe in fitting(made)}
    assert "accepted-extra" not in found
    for name in ("own-offer-asset", "own-offer-network", "asset-other"):
        assert name in found
        assert _broken(made, named(name))["payload"]["signature"] != made.document["payload"]["signature"]


def test_an_extension_that_the_client_completes_is_not_called_changed() -> None:
    """What Sign-In-With-X sends differs from what was offered: no recipe fits a payment that echoes nothing else."""
    offer = offers.offer(2, "eip3009")
    [way] = offer.ways()
    made = PAYMENTS[2, "eip3009"]
    document = {**made.document, "extensions": {"sign-in-with-x": {"info": {"domain": "a"}}, "odd": 7}}
    only = Payment(
        version=2, way=way, method=made.method, document=document, typed=made.typed, payer=offers.PAYER.address
    )
    assert named("extension-changed").fits(made)
    assert not named("extension-changed").fits(only)


def test_recipes_have_names_of_their_own_and_say_what_they_break() -> None:
    """A name means one recipe, is a slug, and comes with a sentence and the notes that ask for it."""
    assert len({recipe.name for recipe in RECIPES}) == len(RECIPES)
    for recipe in RECIPES:
        assert re.fullmatch(r"[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*", recipe.name)
        assert re.fullmatch(r"[A-Zx].*\.", recipe.breaks)
        assert recipe.ids
        assert all(re.fullmatch(r"[SF]-[A-Z0-9]+-\d\d", id) for id in recipe.ids)
        assert named(recipe.name) is recipe


def test_every_recipe_fits_something_and_an_unknown_name_is_refused() -> None:
    """No recipe is dead, and asking for one that does not exist is a KeyError."""
    assert {recipe.name for _, recipe in CASES} == {recipe.name for recipe in RECIPES}
    with pytest.raises(KeyError):
        named("value-lowest")


def _lenient(value: str) -> dict[str, Any]:
    """A payment as a careless server reads it: bytes outside the alphabet dropped, padding not missed."""
    kept = re.sub(r"[^A-Za-z0-9+/_-]", "", value).translate(str.maketrans("-_", "+/"))
    document = json.loads(base64.b64decode(kept + "=" * (-len(kept) % 4)))
    assert isinstance(document, dict)
    return document


def _normal(document: dict[str, Any]) -> dict[str, Any]:
    """A payment without what means nothing: unknown members, the case of hexadecimal, the form of the signature."""
    found = read(document["payload"]["signature"])
    assert found
    canonical = (found.mirrored() if found.high() else found).hex()

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items() if key not in {"note", "ask"}}
        return value.lower() if isinstance(value, str) and value.startswith("0x") else value

    normal: dict[str, Any] = plain({**document, "payload": {**document["payload"], "signature": canonical}})
    return normal


@pytest.mark.parametrize("each", TWINS, ids=lambda t: t.name)
@pytest.mark.parametrize("kind", PAYMENTS, ids=lambda k: f"v{k[0]}-{k[1]}")
def test_a_twin_is_the_same_payment(kind: tuple[int, str], each: Any) -> None:
    """Every twin decodes to a payment that equals the original once the spelling is taken out."""
    document = dict(PAYMENTS[kind].document)
    assert _normal(_lenient(twin(document, [each.name]))) == _normal(document)


@pytest.mark.parametrize("each", TWINS, ids=lambda t: t.name)
def test_a_twin_has_other_bytes(each: Any) -> None:
    """No twin is the original by accident, whatever the length of the payment; a checksum we write anyway."""
    for length in range(3):
        document = dict(offers.payment(2, "eip3009", description="x" * length).document)
        if each.name == "checksummed":
            document = json.loads(json.dumps(document).replace(offers.PAYER.address, offers.PAYER.address.lower()))
        assert twin(document, [each.name]) != header(document)


@settings(deadline=None)
@given(
    names=st.sets(st.sampled_from([t.name for t in TWINS if t.layer is not Layer.JSON])),
    kind=st.sampled_from(offers.KINDS),
)
def test_twins_compose(names: set[str], kind: tuple[int, str]) -> None:
    """Any set of twins at once is still the same payment, in whatever order they are named."""
    document = dict(PAYMENTS[kind].document)
    value = twin(document, sorted(names))
    assert _normal(_lenient(value)) == _normal(document)
    assert value == twin(document, sorted(names, reverse=True))


def test_a_way_to_write_json_composes_with_the_rest_and_not_with_another() -> None:
    """Two ways to write the same JSON are refused, and so is a twin that does not exist."""
    document = dict(PAYMENTS[2, "eip3009"].document)
    written = [t.name for t in TWINS if t.layer is Layer.JSON]
    for name in written:
        assert _normal(_lenient(twin(document, [name, "key-order", "url-safe"]))) == _normal(document)
    for pair in itertools.combinations(written, 2):
        with pytest.raises(ValueError, match="two ways"):
            twin(document, pair)
    with pytest.raises(ValueError, match="no such twin: triplet"):
        twin(document, ["triplet"])


def test_each_twin_does_what_its_name_says() -> None:
    """The bytes show the one difference that the twin is for."""
    made = PAYMENTS[2, "eip3009"]
    document = dict(made.document)

    def read_back(name: str) -> dict[str, Any]:
        return _lenient(twin(document, [name]))

    def text(name: str) -> str:
        return base64.b64decode(twin(document, [name])).decode()

    assert list(read_back("key-order")) == list(reversed(document))
    assert {
        str(o) for name in ("high-s", "low-v", "compact") for o in oddities(read_back(name)["payload"]["signature"])
    } == {
        "s in the upper half of the curve's order",
        "v is 0 or 1, and not 27 or 28",
        "64 bytes, compact after EIP-2098",
    }
    assert read_back("payer-lower")["payload"]["authorization"]["from"] == made.payer.lower()
    assert read_back("checksummed")["payload"]["authorization"]["to"] == to_checksum_address(made.way.pay_to)
    assert text("duplicate-members").count('"x402Version"') == 2
    assert "\\u0078402Version" in text("escapes")
    assert "\n" in text("white-space")
    assert not standard_base64(twin(document, ["url-safe"]))
    assert not twin(document, ["unpadded"]).endswith("=")
    assert "*" in twin(document, ["junk"])
    assert [t.name for t in TWINS if t.raw] == ["folded"]
    assert "\r\n " in twin(document, ["folded"])


def test_a_header_is_standard_base64_of_compact_json() -> None:
    """What we send by ourselves leaves a server nothing to be lenient about."""
    document = dict(PAYMENTS[2, "eip3009"].document)
    assert standard_base64(header(document))
    assert base64.b64decode(header(document)) == json.dumps(document, separators=(",", ":")).encode()
