"""How x402 puts a JSON object into a field value, read strictly and leniently."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any

from conformance import documents

__all__ = ["Malformed", "json_object", "object_in_base64", "standard_base64", "text_in_base64"]

_STANDARD = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


class Malformed(ValueError):
    """There is something where a document belongs, and it cannot be read as one; the message says why."""


def standard_base64(value: str) -> bool:
    """Whether ``value`` is base64 in the standard alphabet with padding (RFC 4648 section 4)."""
    return bool(_STANDARD.fullmatch(value))


def object_in_base64(value: str) -> Mapping[str, Any]:
    """The JSON object in a field value; any base64 alphabet, padded or not. Raises Malformed."""
    return json_object(text_in_base64(value))


def text_in_base64(value: str) -> str:
    """The text in a field value; any base64 alphabet, padded or not. Raises Malformed."""
    try:
        plain = value.strip().replace("-", "+").replace("_", "/").rstrip("=")
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True).decode()
    except (binascii.Error, ValueError) as error:
        msg = f"not base64 of UTF-8 text: {error}"
        raise Malformed(msg) from error


def json_object(text: str | bytes) -> Mapping[str, Any]:
    """The JSON object that ``text`` is. Raises Malformed."""
    try:
        document = documents.loads(text)
    except ValueError as error:
        msg = f"not JSON: {error}"
        raise Malformed(msg) from error
    if not isinstance(document, dict):
        msg = f"JSON, and not an object: {json.dumps(document)[:60]}"
        raise Malformed(msg)
    return document
