"""Cashiers that keep their keys wrongly, each in one way, and what is red of it; and what is left open."""

import json
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cashier import Asked, Said, Ways, marked, said
from judging import Edit
from variant import both, first

__all__ = ["ANOTHER", "FAULTS", "PAYWALL", "UNPROVEN", "Keyed", "keyed", "keys", "without_witness"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyed:
    """One cashier, and the requirements that its ways turn red, or leave untestable."""

    name: str
    """A fact about it."""
    ways: Ways
    ids: frozenset[str] = frozenset()
    allows: Sequence[str] = ()
    edit: Edit | None = None


def keyed(name: str, ways: Ways, *ids: str, **more: Any) -> Keyed:
    """A cashier in one line, its requirements by their last words."""
    return Keyed(name=name, ways=ways, ids=frozenset(f"idempotency.{id}" for id in ids), **more)


def keys(**members: object) -> Edit:
    """Sets members of the profile's [idempotency]."""

    def edit(written: dict[str, Any]) -> None:
        written["idempotency"] |= members

    return edit


def _free(written: dict[str, Any]) -> None:
    """Ada on two plans, of which one is served; what is refused is no card."""
    written["identity"] |= {"free": {"headers": {"X-Account": "ada", "X-Plan": "free"}}}
    written["endpoint"][0] |= {"identity": "free", "answers": ["paywall"]}


PAYWALL = both(_free)
"""A profile in which an account that is refused is served as soon as it has another plan."""

ANOTHER = first(answers=["paywall"])
"""A profile in which another account is refused for want of money."""

without_witness = first(witness=None)


def _refused(wrong: Callable[[str], bool], status: int = 500) -> Ways:
    return Ways(refuses_key=lambda key: said(status, code="key") if key is not None and wrong(key) else None)


def _told(kept: Said) -> Said:
    """A refusal that says all that was answered."""
    return Said(status=409, body=json.dumps({**json.loads(kept.body), "code": "taken"}).encode())


def _again_once() -> Ways:
    """What comes again for the first time is carried out anew."""
    asked: list[bool] = []

    def runs(fresh: bool) -> int:
        asked.extend([] if fresh else [True])
        return int(fresh or len(asked) == 1)

    def again(kept: Said) -> Said:
        return marked(said(200, id=uuid.uuid4().hex, status="captured") if len(asked) == 1 else kept)

    return Ways(runs=runs, again=again)


def _charges_later(*times: int) -> Callable[[bool], int]:
    """What comes again is charged at those times, counted from 1."""
    asked: list[bool] = []

    def runs(fresh: bool) -> int:
        asked.extend([] if fresh else [True])
        return int(fresh or len(asked) in times)

    return runs


def _charges_early() -> Ways:
    """What comes again for the first time is said to be under way, and charged."""
    early: list[bytes] = []

    def again(kept: Said) -> Said:
        early.append(kept.body)
        return said(409, code="in_flight") if early.count(kept.body) == 1 else marked(kept)

    return Ways(again=again, runs=_charges_later(1))


def _turned(kept: Said) -> Said:
    """The members in another order."""
    return replace(kept, body=json.dumps(dict(reversed(json.loads(kept.body).items()))).encode())


def _everybody(written: dict[str, Any]) -> None:
    """Who asks stands in the fields of every request, unless he says so himself."""
    written["target"]["headers"] = {"X-Account": "ada"}
    written["identity"] = {"ada": {"headers": {}}, "bob": {"headers": {"X-Account": "bob"}}}
    written["endpoint"][0]["identity"] = "anonymous"


_UNPAID = Ways(broke=lambda: said(402, code="upgrade", family="paywall"), keeps=lambda _: True)

FAULTS = (
    keyed(
        "it ignores keys",
        Ways(key=lambda _: None),
        "same-answer",
        "replay-marked",
        "runs-once",
        "mismatch",
        "decline-comes-again",
    ),
    keyed("another request gets the old answer", Ways(same=lambda _: None), "mismatch"),
    keyed("another request is carried out", Ways(mismatch=lambda _: None), "mismatch"),
    keyed("another request is an error of the server", Ways(mismatch=lambda _: said(500)), "mismatch"),
    keyed("a key counts for everybody", Ways(whose=lambda _: None), "another-caller", "not-to-the-refused"),
    keyed(
        "a key counts for all who are served",
        Ways(whose=lambda asked: asked.who in {"ada", "bob"}),
        "another-caller",
    ),
    keyed(
        "a kept answer is given before anybody asks who it is",
        Ways(before_login=True, whose=lambda asked: asked.who or "ada"),
        "not-to-the-refused",
    ),
    keyed(
        "a kept answer is given before anybody asks who it is, and every request of the profile says who",
        Ways(before_login=True, whose=lambda asked: asked.who or "ada"),
        "not-to-the-refused",
        edit=_everybody,
    ),
    keyed("copies at the same time are carried out", Ways(meanwhile=None), "copies-agree", "runs-once"),
    keyed("copies at the same time are errors of the server", Ways(meanwhile=503), "in-flight"),
    keyed("copies at the same time have another status than is said", Ways(meanwhile=423), "in-flight"),
    keyed("a copy is told that it is taken, as nothing says", Ways(meanwhile=202), "in-flight"),
    keyed(
        "an answer comes again as a page",
        Ways(again=lambda kept: marked(replace(kept, headers={**kept.headers, "content-type": "text/html"}))),
        "same-answer",
        "decline-comes-again",
    ),
    keyed(
        "an answer comes again in another order",
        Ways(again=lambda kept: marked(_turned(kept))),
        "same-answer",
        "decline-comes-again",
    ),
    keyed(
        "an answer comes again with another status",
        Ways(again=lambda kept: marked(replace(kept, status=kept.status + 1))),
        "same-answer",
        "decline-comes-again",
    ),
    keyed(
        "copies that wait are told another status",
        Ways(again=lambda kept: marked(replace(kept, status=kept.status + 1)), meanwhile=0),
        "same-answer",
        "decline-comes-again",
    ),
    keyed("an answer comes again as a refusal", Ways(again=lambda _: said(409)), "same-answer", "decline-comes-again"),
    keyed("an answer comes again unmarked", Ways(again=lambda kept: kept), "replay-marked"),
    keyed("every answer is marked", Ways(sent=marked), "replay-marked"),
    keyed("it charges again and gives the old answer", Ways(runs=lambda _: 1), "runs-once"),
    keyed("it charges again, and its witness lags", Ways(runs=lambda _: 1, lags=0.1), "runs-once"),
    keyed("it remembers the last key alone", Ways(last=True), "runs-once", "mismatch"),
    keyed(
        "it remembers the last key alone, and its answers are the same",
        Ways(last=True, serves=lambda asked: {"status": "captured", "for": asked.who}),
        "runs-once",
        "mismatch",
    ),
    keyed(
        "it charges once more before it remembers, and its profile waits for any answer",
        _again_once(),
        "same-answer",
        "runs-once",
        edit=keys(in_flight=[200, 409]),
    ),
    keyed(
        "it remembers the last key alone, and nothing of its answers says so",
        Ways(last=True, again=lambda kept: kept, serves=lambda asked: {"status": "captured", "for": asked.who}),
        "replay-marked",
        "runs-once",
        "mismatch",
    ),
    keyed(
        "it gives the old answer, and charges from the second time on",
        Ways(runs=_charges_later(*range(2, 99))),
        "runs-once",
    ),
    keyed("it charges once more while it says that the first is under way", _charges_early(), "runs-once"),
    keyed(
        "copies are carried out, and its witness counts down",
        Ways(meanwhile=None, runs=lambda it: -int(it), serves=lambda asked: {"status": "captured", "for": asked.who}),
        "runs-once",
    ),
    keyed(
        "whoever brings a key that is taken is told all that was answered",
        Ways(whose=lambda _: None, same=lambda asked: (asked.who, asked.body), mismatch=_told),
        "another-caller",
        "not-to-the-refused",
        edit=keys(mismatch=[409]),
    ),
    keyed("a long key is its end", _refused(lambda key: len(key) > 255), "odd-keys"),
    keyed("a key of ten thousand is its end", _refused(lambda key: len(key) > 9000, 502), "odd-keys"),
    keyed("no key is its end", _refused(lambda key: not key), "odd-keys"),
    keyed("a key beyond ASCII is its end", _refused(lambda key: not key.isascii()), "odd-keys"),
    keyed("half a quote is its end", _refused(lambda key: key.count('"') == 1), "odd-keys"),
    keyed("who pays gets the refusal of before", _UNPAID, "refusal-is-not-kept", edit=PAYWALL),
    keyed("it takes requests without the key that it requires", Ways(), "key-required", edit=keys(missing=[400])),
    keyed("a declined card is tried again", Ways(keeps=lambda answer: answer.status == 200), "decline-comes-again"),
    keyed("a key without its quotes is another key", Ways(), "bare-key", edit=keys(quoted=True)),
)

_ALL_ABOUT_SERVED = (
    *("same-answer", "replay-marked", "runs-once", "copies-agree", "in-flight", "mismatch", "not-to-the-refused"),
    *("another-caller", "refusal-is-not-kept", "odd-keys", "key-required", "bare-key"),
)
_CONSTANT = Ways(serves=lambda _: {"status": "captured"}, again=lambda kept: kept)


def _alone(written: dict[str, Any]) -> None:
    del written["identity"]["bob"]
    written["endpoint"][0]["identity"] = "anonymous"
    del written["identity"]["cyd"]


def _declined(written: dict[str, Any]) -> None:
    del written["identity"]["bob"]


def _open(written: dict[str, Any]) -> None:
    """Nobody is refused: who asks stands in the endpoint's own fields."""
    written["identity"] = {"ada": {"headers": {}}, "bob": {"headers": {"X-Plan": "gold"}}}
    written["endpoint"][0] |= {"identity": "anonymous", "headers": {"X-Account": "ada"}}


def _nobody(written: dict[str, Any]) -> None:
    written["endpoint"][0]["paid_identity"] = "cyd"
    written["endpoint"][0]["identity"] = "anonymous"


def _ietf(written: dict[str, Any]) -> None:
    written["idempotency"] = {"convention": "ietf", "quoted": False, "mismatch": [400]}


def _dan(written: dict[str, Any]) -> None:
    written["identity"]["dan"] = {"headers": {"X-Account": "bob", "X-Tenant": "ada"}}


def _varied() -> Callable[[bool], int]:
    charged: list[bool] = []

    def runs(first: bool) -> int:
        charged.extend([True] * first)
        return len(charged) if first else 0

    return runs


def _in_step() -> Callable[[Asked], dict[str, object]]:
    """Each account is told how often it was charged; Ada was once before."""
    times = Counter({"ada": 1})

    def serves(asked: Asked) -> dict[str, object]:
        times[asked.who] += 1
        return {"status": "captured", "charges": times[asked.who]}

    return serves


def _now_and_then(*served: int) -> Callable[[], Said]:
    """Who is declined else is not, so many times after the first."""
    asked: list[int] = []

    def broke() -> Said:
        asked.append(1)
        fine = len(asked) in served
        return said(200, id=uuid.uuid4().hex, status="captured") if fine else said(402, code="declined")

    return broke


UNPROVEN = (
    keyed(
        "it gives the old answer, and the witness moves once",
        Ways(runs=_charges_later(2)),
        "runs-once",
    ),
    keyed(
        "a third account brings the keys of the first, and the second does not",
        Ways(whose=lambda asked: asked.headers.get("x-tenant", asked.who)),
        "another-caller",
        edit=_dan,
    ),
    keyed("accounts count to the same number", Ways(serves=_in_step()), "another-caller"),
    keyed("who is refused is served now and then", Ways(broke=_now_and_then(3, 5)), "not-to-the-refused"),
    keyed("the witness moves by what a charge took", Ways(runs=_varied()), "runs-once"),
    keyed("there is no witness", Ways(), "runs-once", edit=without_witness),
    keyed("the witness does not move", Ways(runs=lambda _: 0), "runs-once"),
    keyed("the witness moves by itself", Ways(ticks=1), "runs-once"),
    keyed("the witness counts requests", Ways(asked=1, runs=lambda _: 0), "runs-once"),
    keyed("the second account is declined as well", Ways(), "another-caller", edit=_declined),
    keyed("there is no second account", Ways(), "another-caller", edit=_alone),
    keyed(
        "all answers are the same",
        _CONSTANT,
        "same-answer",
        "copies-agree",
        "another-caller",
        "runs-once",
        edit=both(_ietf, without_witness),
    ),
    keyed(
        "all answers are the same, and a key counts for whoever is served",
        replace(_CONSTANT, whose=lambda asked: asked.who in {"ada", "bob"}),
        "another-caller",
        edit=_ietf,
    ),
    keyed(
        "nobody is refused",
        Ways(whose=lambda asked: (asked.who, asked.headers.get("x-plan"))),
        "not-to-the-refused",
        edit=_open,
    ),
    keyed("nobody is served", Ways(), *_ALL_ABOUT_SERVED, edit=_nobody),
    keyed("the answer has no marker", Ways(), *_ALL_ABOUT_SERVED, edit=first(marker="sunny")),
    keyed(
        "it sees no other request in one that is another to us",
        Ways(same=lambda asked: asked.form.get("currency")),
        "mismatch",
        edit=first(form={"currency": "eur"}),
    ),
    keyed(
        "the key is a member of a body that has none",
        Ways(),
        *_ALL_ABOUT_SERVED,
        "decline-comes-again",
        edit=both(keys(key={"member": "/key"}), first(form=None)),
    ),
    keyed(
        "whoever is refused is answered something else under the key of another",
        Ways(
            before_login=True,
            whose=lambda asked: asked.who or "ada",
            same=lambda asked: asked.who,
            mismatch=lambda _: said(200, id=uuid.uuid4().hex),
        ),
        "not-to-the-refused",
        edit=both(first(marker=None), keys(mismatch=[200])),
    ),
)
