"""JSON from strangers, with a bound on how deep it nests."""

import json
import re
from itertools import accumulate
from typing import Any

__all__ = ["load"]

_DEEPEST = 100
# The inside of a string, also of one that does not end, has no brackets.
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")


def load(text: str) -> dict[str, Any]:
    """The JSON object that ``text`` is; empty when it is none, or nests deeper than 100 levels.

    Python's own guard does not help: eth-account's dependencies raise the recursion limit of the whole process, after
    which Python 3.11 overflows its stack and dies.
    """
    steps = (1 if bracket in "[{" else -1 for bracket in _BRACKET.findall(_STRING.sub("", text)))
    if max(accumulate(steps), default=0) > _DEEPEST:
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
