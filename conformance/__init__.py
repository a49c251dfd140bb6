"""Conformance checks for APIs that answer 402 Payment Required.

Nothing is imported here. What pytest loads in every session of every project is the module ``pytest_402`` beside us.
"""

__all__: list[str] = []
