"""The schemas of an OpenAPI document as JSON Schema 2020-12, for what is answered."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from conformance.openapi.operation import Operation

__all__ = ["media", "of_answers"]

_NAMED = {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
"""Keywords whose members are named by whoever wrote them."""
_DATA = {"const", "default", "enum", "example", "examples"}


def media(told: Mapping[str, Any], media_type: str) -> Mapping[str, Any] | None:
    """What a Response Object says of content of ``media_type``: by its name, else by a range; None where nothing."""
    content = told.get("content")
    if not isinstance(content, dict):
        return None
    known = {str(name).partition(";")[0].strip().lower(): entry for name, entry in content.items()}
    for name in (media_type, f"{media_type.partition('/')[0]}/*", "*/*", "*"):
        if isinstance(entry := known.get(name), dict):
            return entry
    return None


def of_answers(operation: Operation, schema: Any) -> dict[str, Any]:
    """``schema`` with all that it may refer to, for what a server sends."""
    older = str(operation.document.get("openapi", "")).startswith("3.0")
    root = _converted(schema, older=older)
    if root is False:
        root = {"not": {}}
    root = dict(root) if isinstance(root, dict) else {}
    parts = operation.document.get("components")
    held = parts.get("schemas") if isinstance(parts, dict) else None
    return {"components": {"schemas": _referred(root, held if isinstance(held, dict) else {}, older=older)}} | root


def _referred(root: dict[str, Any], held: Mapping[str, Any], *, older: bool) -> dict[str, Any]:
    """Those of the schemas ``held`` that ``root`` refers to, and those that these refer to."""
    found: dict[str, Any] = {}
    new: list[Any] = [root]
    while new:
        value = new.pop()
        if isinstance(value, list):
            new += value
        elif isinstance(value, dict):
            new += value.values()
            reference = value.get("$ref")
            name = reference.removeprefix(_SCHEMAS) if isinstance(reference, str) else ""
            name = unquote(name.partition("/")[0]).replace("~1", "/").replace("~0", "~")
            if name in held and name not in found:
                found[name] = _converted(held[name], older=older)
                new.append(found[name])
    return found


_SCHEMAS = "#/components/schemas/"


def _converted(schema: Any, *, older: bool) -> Any:
    if isinstance(schema, list):
        return [_converted(one, older=older) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if older and isinstance(schema.get("$ref"), str):
        # What stands beside a reference is passed over (OpenAPI 3.0, Reference Object).
        reference = {"$ref": schema["$ref"]}
        # Except by the many who write nullable there, and mean it.
        return {"anyOf": [{"type": "null"}, reference]} if schema.get("nullable") is True else reference
    found: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _NAMED and isinstance(value, dict):
            found[key] = {name: _converted(one, older=older) for name, one in value.items()}
        elif key in _DATA:
            found[key] = value
        elif key not in {"discriminator", "xml", "externalDocs", "$id", "$schema"}:
            found[key] = _converted(value, older=older)
    if "discriminator" in schema and "oneOf" in found and "anyOf" not in found:
        # Which of them it is, is said by a member: that another one would fit as well is no matter.
        found["anyOf"] = found.pop("oneOf")
    _unwritten(found)
    return _modern(found)


def _unwritten(schema: dict[str, Any]) -> None:
    """What is for requests alone is not asked of an answer."""
    known, required = schema.get("properties"), schema.get("required")
    if isinstance(known, dict) and isinstance(required, list):
        hidden = {name for name, one in known.items() if isinstance(one, dict) and one.get("writeOnly") is True}
        schema["required"] = [name for name in required if name not in hidden]


def _modern(schema: dict[str, Any]) -> dict[str, Any]:
    """The keywords of OpenAPI 3.0 that JSON Schema 2020-12 has otherwise; many still write them in 3.1, and mean them."""
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        flag = schema.get(exclusive)
        if isinstance(flag, bool):
            del schema[exclusive]
            if flag and bound in schema:
                schema[exclusive] = schema.pop(bound)
    if schema.pop("nullable", False) is True:
        return {"anyOf": [{"type": "null"}, schema]}
    return schema
