"""Payment fields that are meant to hurt whoever reads them. None of them pays for anything."""

import base64
import copy
import json
from collections.abc import Callable
from typing import Any

from conformance.protocols.x402.encoding import header
from conformance.protocols.x402.payment import Payment

__all__ = ["HOSTILE", "HUGE", "INJECTED", "INJECTING", "JUNK"]

INJECTED = "X-Conformance-Injected"
"""The name of the response field that INJECTING tries to smuggle in."""

Write = Callable[[Payment], str]

_BREAK = f"exact\r\n{INJECTED}: yes"
# More digits than Python turns into an integer, and few enough for a field of 8 KiB.
_DIGITS = "9" * 4400


def _spoiled(payment: Payment) -> dict[str, Any]:
    """The payment with a signature that nobody made."""
    document: dict[str, Any] = copy.deepcopy(dict(payment.document))
    document["payload"]["signature"] = "0x" + "00" * 65
    return document


def _inserted(member: str, value: str) -> Write:
    """The spoiled payment, with JSON text of our own as one more member."""

    def write(payment: Payment) -> str:
        text = json.dumps(_spoiled(payment), separators=(",", ":"))
        return _coded(f"{text[:-1]},{json.dumps(member)}:{value}}}".encode())

    return write


def _instead(name: str, value: str) -> Write:
    """The spoiled payment, with JSON text of our own in the place of each value called ``name``."""

    def write(payment: Payment) -> str:
        mark = "conformance-mark"
        text = json.dumps(_marked(_spoiled(payment), name, mark), separators=(",", ":"))
        return _coded(text.replace(json.dumps(mark), value).encode("utf-8", "surrogatepass"))

    return write


def _marked(value: Any, name: str, mark: str) -> Any:
    if isinstance(value, dict):
        return {key: mark if key == name else _marked(inner, name, mark) for key, inner in value.items()}
    return [_marked(item, name, mark) for item in value] if isinstance(value, list) else value


def _coded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _padded(size: int) -> Write:
    return lambda payment: header(_spoiled(payment) | {"padding": "x" * (size * 3 // 4)})


HOSTILE: dict[str, Write] = {
    "deep": _inserted("deep", "[" * 2000 + "]" * 2000),
    "long-integer": _inserted("long", _DIGITS),
    "version-long-integer": _instead("x402Version", _DIGITS),
    "nan": _instead("value", "NaN"),
    "infinity": _instead("value", "-Infinity"),
    "exponent": _instead("value", "1e400"),
    "twice": _inserted("x402Version", "99"),
    "prototype": _inserted("__proto__", '{"isValid":true,"success":true,"paid":true}'),
    "constructor": _inserted("constructor", '{"prototype":{"isValid":true,"success":true,"paid":true}}'),
    "nul": _instead("signature", '"\\u0000"'),
    "bidi": _instead("from", '"\\u202e0x0000"'),
    "lone-surrogate": _instead("scheme", '"\\ud800"'),
    "object-as-scheme": _instead("scheme", '{"$ne":""}'),
    "array-as-network": _instead("network", '["eip155:84532"]'),
    "no-utf-8": lambda payment: _coded(json.dumps(_spoiled(payment)).encode().replace(b"exact", b"ex\xff\xfect")),
}
"""JSON that readers trip over."""

INJECTING: dict[str, Write] = {
    f"line-break-in-{name}": _instead(name, json.dumps(_BREAK))
    for name in ("scheme", "network", "from", "signature", "nonce", "value")
}
"""Line breaks where an error message may quote what was sent."""

HUGE: dict[str, Write] = {f"{size}-kib": _padded(size * 1024) for size in (8, 16, 64, 1024)}
"""Fields of that many KiB."""

JUNK: dict[str, Write] = {
    "no-base64": lambda _: "!!!",
    "paid": lambda _: "paid",
    "no-json": lambda _: _coded(b"hello"),
    "array": lambda _: _coded(b"[]"),
    "null": lambda _: _coded(b"null"),
    "number": lambda _: _coded(b"42"),
    "text": lambda _: _coded(b'"x"'),
    "true": lambda _: _coded(b"true"),
    "empty-object": lambda _: _coded(b"{}"),
    "transaction-id": lambda _: "0x" + "5e" * 32,
    "transaction": lambda payment: header(
        {
            "x402Version": payment.version,
            "scheme": payment.way.scheme,
            "network": payment.way.members.get("network"),
            "accepted": payment.way.members,
            "payload": {"transaction": "0x" + "5e" * 32, "txHash": "0x" + "5e" * 32},
        }
    ),
}
"""What is no payment, and was taken for one somewhere."""
