"""Faults, states and calls as JSON, for the control of a facilitator from another process."""

from functools import cache
from typing import Any, TypeVar

from cattrs import Converter

__all__ = ["read", "write"]

_T = TypeVar("_T")


def read(document: object, shape: type[_T]) -> _T:
    """The value of ``shape`` that ``document`` describes. Raises an ExceptionGroup that says what does not fit."""
    return _converter().structure(document, shape)


def write(value: object) -> Any:
    """``value`` as a JSON document."""
    return _converter().unstructure(value)


@cache
def _converter() -> Converter:
    return Converter(forbid_extra_keys=True)
