"""What an OpenAPI document says of a target: its operations, what they cost, and what they answer."""

from conformance.openapi.document import content, from_json, parsed, to_json, where
from conformance.openapi.operation import (
    Charge,
    Operation,
    charge,
    named,
    operations,
    place_endpoint,
    place_of,
    places,
    resolved,
    unmatched,
)
from conformance.openapi.price import Told, prices
from conformance.openapi.schemas import media, of_answers

__all__ = [
    "Charge",
    "Operation",
    "Told",
    "charge",
    "content",
    "from_json",
    "media",
    "named",
    "of_answers",
    "operations",
    "parsed",
    "place_endpoint",
    "place_of",
    "places",
    "prices",
    "resolved",
    "to_json",
    "unmatched",
    "where",
]
