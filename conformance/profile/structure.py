"""A checked document as a Profile: tables become the dataclasses of the model, conventions fill in the rest."""

import copy
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, override

from conformance.profile.model import Amount, Idempotency, Marker, Price, Profile
from conformance.profile.shape import kinds
from conformance.profile.source import put
from conformance.profile.words import ANONYMOUS, Convention, Entitlement, MarkerKind
from conformance.selector import Selector, parse

__all__ = ["structured"]

_DAY = 86400


def structured(document: dict[str, Any], *, path: Path, name: str, redacted: dict[str, Any]) -> Profile:
    """The Profile of a document that fits the schema; relative paths in it start at the folder of ``path``."""
    table = copy.deepcopy(document)
    if (start := table["target"].get("start")) is not None:
        start.setdefault("cwd", ".")
    for at, kind, value in list(kinds(table)):
        if kind == "file":
            put(table, at, str(path.parent / value))
    table["identity"] = {ANONYMOUS: {}} | table.get("identity", {})
    return _converter().structure(table | {"path": path, "name": name, "document": redacted}, Profile)


@cache
def _converter() -> Converter:
    converter = Converter(detailed_validation=False)
    converter.register_structure_hook(Selector, lambda value, _: parse(value))
    converter.register_structure_hook(Marker, lambda value, _: _marker(value))
    converter.register_structure_hook(Amount, lambda value, _: _amount(value))
    converter.register_structure_hook(Price, lambda value, _: _price(value))
    converter.register_structure_hook(Entitlement | float, lambda value, _: _entitlement(value))
    converter.register_structure_hook(
        Profile,
        make_dict_structure_fn(
            Profile,
            converter,
            endpoints=override(rename="endpoint"),
            answers=override(rename="answer"),
            identities=override(rename="identity"),
            budgets=override(rename="budget"),
            flows=override(rename="flow"),
        ),
    )
    plain = make_dict_structure_fn(Idempotency, converter)
    converter.register_structure_hook(
        Idempotency, lambda value, _: plain(_preset(value["convention"]) | value, Idempotency)
    )
    return converter


def _marker(value: str | Mapping[str, str]) -> Marker:
    if isinstance(value, str):
        return Marker(kind=MarkerKind.TEXT, value=value)
    ((kind, text),) = value.items()
    return Marker(kind=MarkerKind(kind), value=text)


def _amount(value: str | Mapping[str, str]) -> Amount:
    if isinstance(value, str):
        return Amount(minimum=int(value), maximum=int(value))
    return Amount(minimum=int(value["min"]), maximum=int(value["max"]))


def _price(value: str | Mapping[str, str]) -> Price:
    low, high = (value, value) if isinstance(value, str) else (value["min"], value["max"])
    return Price(minimum=Decimal(low), maximum=Decimal(high))


def _entitlement(value: str | float) -> Entitlement | float:
    return Entitlement(value) if isinstance(value, str) else float(value)


def _preset(convention: str) -> dict[str, object]:
    """What a convention says where the profile says nothing."""
    common: dict[str, object] = {
        "key": {"header": "Idempotency-Key"},
        "quoted": False,
        "in_flight": [409],
        "missing": [],
        "errors": "stored",
    }
    match Convention(convention):
        case Convention.STRIPE:
            # https://docs.stripe.com/api/idempotent_requests: 400 for other parameters, 409 in flight, kept a day.
            own = {"mismatch": [400], "replay_header": "Idempotent-Replayed", "scope": "account", "retention": _DAY}
        case Convention.IETF:
            # draft-ietf-httpapi-idempotency-key-header-07, sections 2.1 and 2.7; it leaves the retention to the server.
            own = {"quoted": True, "mismatch": [422], "scope": "account"}
        case Convention.ACP:
            # Agentic Commerce Protocol, section 6: every POST needs a key.
            own = {"mismatch": [422], "missing": [400], "scope": "path", "retention": _DAY}
            own["replay_header"] = "Idempotent-Replayed"
        case Convention.UCP:
            # Universal Commerce Protocol: 409 for another body, silent on requests in flight.
            own = {"mismatch": [409], "in_flight": [], "scope": "operation", "retention": _DAY}
    return common | own
