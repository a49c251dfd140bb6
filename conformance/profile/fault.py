"""One thing that is wrong with a profile, and the error that tells all of them."""

from dataclasses import dataclass

from conformance.profile.place import At

__all__ = ["Fault", "ProfileError"]


class ProfileError(Exception):
    """A profile that cannot be used; its text is one sentence per line, each with file, key and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong at one place of a profile."""

    at: At
    says: str
    """The rest of the sentence after file and key: ``is 5 (a number); expected a text``."""
