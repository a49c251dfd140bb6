"""A payment as a field value, and the same payment in other bytes."""

import base64
import copy
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from conformance.protocols.x402.signing import checksummed, is_address, read

__all__ = ["TWINS", "Layer", "Twin", "header", "twin"]

_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")


class Layer(IntEnum):
    """What a twin changes; ``twin`` goes through the layers in this order."""

    DOCUMENT = 1
    JSON = 2
    BASE64 = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """One way to write the same payment in other bytes."""

    name: str
    keeps: str
    """What is different although the payment is the same, as a sentence."""
    layer: Layer
    change: Callable[[Any], Any]
    """From document to document, from document to JSON, or from text to text, by its layer."""
    raw: bool = False
    """Whether no HTTP client of good manners sends it: it takes bytes on a socket."""


def header(document: object) -> str:
    """A document as a field value: compact JSON in standard base64 with padding (transports-v2/http.md)."""
    return _base64(_json(document))


def twin(document: Mapping[str, Any], names: Iterable[str]) -> str:
    """A payment as a field value, written as the twins of these names write it, all at once, in the order of TWINS.

    Raises ValueError for an unknown name, and for two that write the JSON.
    """
    wanted = set(names)
    if unknown := wanted.difference(each.name for each in TWINS):
        raise ValueError(f"no such twin: {', '.join(sorted(unknown))}")
    chosen = [each for each in TWINS if each.name in wanted]
    writers = [t.change for t in chosen if t.layer is Layer.JSON]
    if len(writers) > 1:
        raise ValueError("two ways to write the same JSON: choose one")
    changed: Any = copy.deepcopy(dict(document))
    for each in (t for t in chosen if t.layer is Layer.DOCUMENT):
        changed = each.change(changed)
    value = _base64((writers or [_json])[0](changed))
    for each in (t for t in chosen if t.layer is Layer.BASE64):
        value = each.change(value)
    return value


def _json(document: object) -> str:
    return json.dumps(document, separators=(",", ":"))


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _reversed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _reversed(value[key]) for key in reversed(value)}
    return [_reversed(item) for item in value] if isinstance(value, list) else value


def _authorization(document: Mapping[str, Any]) -> dict[str, Any]:
    payload = document["payload"]
    found: dict[str, Any] = payload.get("authorization") or payload["permit2Authorization"]
    return found


def _in_authorization(members: Iterable[str], change: Callable[[str], str]) -> Callable[[Any], Any]:
    def apply(document: dict[str, Any]) -> dict[str, Any]:
        for members_of in (_authorization(document), _authorization(document).get("witness", {})):
            for member in members:
                if isinstance(text := members_of.get(member), str) and _HEXADECIMAL.fullmatch(text):
                    members_of[member] = change(text)
        return document

    return apply


def _in_signature(change: Callable[[str], str]) -> Callable[[Any], Any]:
    def apply(document: dict[str, Any]) -> dict[str, Any]:
        document["payload"]["signature"] = change(document["payload"]["signature"])
        return document

    return apply


def _lower(text: str) -> str:
    return text.lower()


def _upper(text: str) -> str:
    return "0x" + text[2:].upper()


def _checksummed(text: str) -> str:
    return checksummed(text) if is_address(text) else text


def _mirrored(text: str) -> str:
    found = read(text)
    return text if found is None else found.mirrored().hex()


def _low_v(text: str) -> str:
    found = read(text)
    return text if found is None else found.hex()[:-2] + f"{found.parity:02x}"


def _compact(text: str) -> str:
    found = read(text)
    if found is None:
        return text
    # Only a low s leaves its highest bit to the parity (EIP-2098).
    low = found.mirrored() if found.high() else found
    return "0x" + (low.r.to_bytes(32) + (low.s | low.parity << 255).to_bytes(32)).hex()


def _with_member(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "note": "x"}


def _with_signed_member(document: dict[str, Any]) -> dict[str, Any]:
    _authorization(document)["note"] = "x"
    return document


def _twice(document: Mapping[str, Any]) -> str:
    text = _json(document)
    return "{" + text[1:-1] + "," + text[1:]


def _escaped(document: Mapping[str, Any]) -> str:
    def first(found: re.Match[str]) -> str:
        inner = found[1]
        return found[0] if not inner or inner[0] == "\\" else f'"\\u{ord(inner[0]):04x}{inner[1:]}"'

    return _STRING.sub(first, _json(document))


def _inserted(what: str) -> Callable[[str], str]:
    def apply(value: str) -> str:
        middle = len(value) // 2
        return value[:middle] + what + value[middle:]

    return apply


def _url_safe(value: str) -> str:
    # The alphabets differ where six bits are 62 or 63. In ASCII, question marks are among the few to make these.
    text = base64.b64decode(value).decode()
    return base64.urlsafe_b64encode((text[:-1] + ',"ask":"???"}').encode()).decode()


def _spaced(document: object) -> str:
    return json.dumps(document, indent=2)


def _unpadded(value: str) -> str:
    # What needs no padding gets a space behind its JSON ("IA==") and loses the padding of that.
    return value.rstrip("=") if value.endswith("=") else value + "IA"


TWINS: tuple[Twin, ...] = tuple(
    Twin(name=name, keeps=keeps, layer=layer, change=change, raw=name == "folded")
    for layer, name, keeps, change in (
        (Layer.DOCUMENT, "key-order", "The members stand in reverse order.", _reversed),
        (Layer.DOCUMENT, "unknown-member", "The payment has a member more.", _with_member),
        (Layer.DOCUMENT, "unknown-signed-member", "The authorization has a member more.", _with_signed_member),
        (
            Layer.DOCUMENT,
            "nonce-upper",
            "The nonce is in upper-case hexadecimal.",
            _in_authorization(("nonce",), _upper),
        ),
        (Layer.DOCUMENT, "payer-lower", "The payer's address is in lower case.", _in_authorization(("from",), _lower)),
        (Layer.DOCUMENT, "payer-upper", "The payer's address is in upper case.", _in_authorization(("from",), _upper)),
        (Layer.DOCUMENT, "payee-lower", "The payee's address is in lower case.", _in_authorization(("to",), _lower)),
        (
            Layer.DOCUMENT,
            "checksummed",
            "The addresses have their EIP-55 checksum.",
            _in_authorization(("from", "to"), _checksummed),
        ),
        (Layer.DOCUMENT, "high-s", "The signature is the other one of the same key.", _in_signature(_mirrored)),
        (Layer.DOCUMENT, "low-v", "The signature ends with 0 or 1, and not with 27 or 28.", _in_signature(_low_v)),
        (Layer.DOCUMENT, "compact", "The signature has 64 bytes, after EIP-2098.", _in_signature(_compact)),
        (Layer.DOCUMENT, "signature-upper", "The signature is in upper-case hexadecimal.", _in_signature(_upper)),
        (Layer.JSON, "white-space", "The JSON is indented.", _spaced),
        (Layer.JSON, "duplicate-members", "Each member of the payment stands there twice.", _twice),
        (Layer.JSON, "escapes", "Strings and names begin with an escaped character.", _escaped),
        (Layer.BASE64, "url-safe", "The base64 has the alphabet for URLs, and a member more that shows it.", _url_safe),
        (Layer.BASE64, "unpadded", "The base64 has no padding.", _unpadded),
        (Layer.BASE64, "junk", "A character of no base64 alphabet stands in the middle.", _inserted("*")),
        (Layer.BASE64, "space", "A space stands in the middle.", _inserted(" ")),
        (Layer.BASE64, "folded", "The field value is folded over two lines.", _inserted("\r\n ")),
    )
)
"""All of them. Whether a server takes a twin is its own affair; that it is the same payment is not."""
