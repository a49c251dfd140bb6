"""The words in which faults and legal variants say how a server differs from the sandbox."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from serving import Answer, Asked, Change, offer, refusals, then

__all__ = [
    "ALL",
    "GET",
    "OTHER_ASSET",
    "OTHER_PAYEE",
    "PAID",
    "PROBLEMS",
    "TARGET",
    "V1",
    "V2",
    "adds",
    "amount",
    "becomes",
    "browses",
    "extension",
    "field",
    "header",
    "is_unpaid",
    "lacks",
    "numbered",
    "only",
    "pays",
    "plain",
    "preflights",
    "problem",
    "readable",
    "resource",
    "top",
    "way",
    "ways",
    "when",
    "without",
]

ALL = ("weather", "forecast", "almanac", "report")
V1 = ("forecast", "almanac")
V2 = ("weather", "almanac", "report")
GET = ("weather", "forecast", "almanac")
PROBLEMS = ("weather", "report")
"""Where a refusal is problem details."""
TARGET = ("",)
"""Paths that are no endpoint."""
PAID = {"weather": "sunny", "forecast": "overcast", "almanac": "heatwave"}
"""What the protected answers say, where the profile's marker is a text."""
OTHER_PAYEE = "0x857b06519E91e3A54538791bDbb0E22373e36b66"
OTHER_ASSET = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"


def plain(alter: Callable[[dict[str, Any], int], object], *versions: int) -> Change:
    """Alters offers of ``versions``, or of both; what ``alter`` returns does not matter."""

    def silent(document: dict[str, Any], version: int) -> None:
        alter(document, version)

    return offer(silent, versions=versions or (1, 2))


def ways(alter: Callable[[dict[str, Any]], object], *versions: int) -> Change:
    """Alters each way to pay."""
    return plain(lambda document, _: [alter(way) for way in document["accepts"]], *versions)


def way(member: str, value: object, *versions: int) -> Change:
    """Sets a member of each way to pay."""
    return ways(lambda entry: entry.update({member: value}), *versions)


def without(member: str, *versions: int) -> Change:
    """Removes a member of each way to pay."""
    return ways(lambda entry: entry.pop(member), *versions)


def top(member: str, value: object, *versions: int) -> Change:
    """Sets a member of each offer."""
    return plain(lambda document, _: document.update({member: value}), *versions)


def amount(value: object, *versions: int) -> Change:
    """Sets each price, under the name that its version gives it."""
    names = {1: "maxAmountRequired", 2: "amount"}
    return then(*(way(names[version], value, version) for version in versions or (1, 2)))


def adds(entry: Mapping[str, Any]) -> Change:
    """Another way to pay in each version 2 offer."""
    return plain(lambda document, _: document["accepts"].append(dict(entry)), 2)


def numbered(alter: Callable[[dict[str, Any], int, int], object]) -> Change:
    """Alters each offer, given its version and how many equal requests came before."""

    def change(asked: Asked, answer: Answer) -> None:
        plain(lambda document, version: alter(document, version, asked.nth))(asked, answer)

    return change


def extension(value: object, name: str = "bazaar") -> Change:
    """Adds an extension to each version 2 offer."""
    return plain(lambda document, _: document["extensions"].update({name: value}), 2)


def resource(path: str, origin: str = "http://127.0.0.1") -> Change:
    """Offers the resource at ``origin + path``."""

    def rename(document: dict[str, Any], version: int) -> None:
        if version == 2:
            document["resource"]["url"] = origin + path
        else:
            document["accepts"][0]["resource"] = origin + path

    return offer(rename)


def header(rewrite: Callable[[str], str]) -> Change:
    """Rewrites the value of each challenge."""

    def change(_: Asked, answer: Answer) -> None:
        if value := answer.get("payment-required"):
            answer.set("PAYMENT-REQUIRED", rewrite(value))

    return change


def field(name: str, value: str) -> Change:
    """Sets a field of each 402."""
    return refusals(lambda answer: answer.set(name, value))


def lacks(*names: str) -> Change:
    """Removes fields of each 402."""
    return refusals(lambda answer: answer.drop(*names))


def readable(*values: str) -> Change:
    """WWW-Authenticate beside the challenge, and scripts may read it: only its grammar is under test."""

    def alter(answer: Answer) -> None:
        for value in values:
            answer.add("WWW-Authenticate", value)
        if answer.get("access-control-expose-headers"):
            answer.set("Access-Control-Expose-Headers", "PAYMENT-REQUIRED, WWW-Authenticate")

    return refusals(alter)


def problem(**members: object) -> Change:
    """Sets members of the problem details of a refusal, where it has some."""

    def alter(answer: Answer) -> None:
        if answer.get("content-type") == "application/problem+json":
            answer.say(json.loads(answer.body) | members, "application/problem+json")

    return refusals(alter)


def when(asked_for: Callable[[Asked], object], alter: Callable[[Answer], object]) -> Change:
    """Alters answers to some requests, whatever their status."""

    def change(asked: Asked, answer: Answer) -> None:
        if asked_for(asked):
            alter(answer)

    return change


def only(asked_for: Callable[[Asked], object], other: Change) -> Change:
    """Another change, for some requests."""

    def change(asked: Asked, answer: Answer) -> None:
        if asked_for(asked):
            other(asked, answer)

    return change


def becomes(status: int, text: str = "", media_type: str = "text/plain; charset=utf-8") -> Callable[[Answer], None]:
    """Another answer altogether."""
    return lambda answer: answer.become(status, text, media_type)


def is_unpaid(asked: Asked) -> bool:
    """Whether a stranger asks for a resource."""
    return "sandbox-account" not in asked.headers and asked.method in {"GET", "POST"}


def pays(asked: Asked) -> bool:
    """Whether there is something in a payment field."""
    return "x-payment" in asked.headers or "payment-signature" in asked.headers


def browses(asked: Asked) -> bool:
    """Whether a page is wanted."""
    return "text/html" in asked.headers.get("accept", "")


def preflights(asked: Asked) -> bool:
    """Whether a browser asks first."""
    return asked.method == "OPTIONS"
