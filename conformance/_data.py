"""Where the schemas and profiles that ship with us lie: beside the package in a checkout, inside it in a wheel."""

from pathlib import Path

__all__ = ["profiles", "schemas"]

_PACKAGE = Path(__file__).resolve().parent


def schemas() -> Path:
    """The folder of JSON Schemas that ship with the package."""
    return _folder("schemas")


def profiles() -> Path:
    """The folder of profiles that ship with the package."""
    return _folder("profiles")


def _folder(name: str) -> Path:
    packed = _PACKAGE / name
    return packed if packed.is_dir() else _PACKAGE.parent / name
