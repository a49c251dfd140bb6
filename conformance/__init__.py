"""Conformance checks for APIs that answer 402 Payment Required.

Nothing is imported here: pytest loads this package in every session of every project beside us.
"""

__all__: list[str] = []
