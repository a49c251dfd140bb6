"""Cashiers that keep their keys as well as the first one does, and otherwise."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cashier import Said, Ways, marked, said, zipped
from fault_idempotency import ANOTHER, PAYWALL, Keyed, keyed, keys
from variant import both, first

__all__ = ["LEGAL"]


def _numbered(answer: Said) -> Said:
    return replace(answer, headers={**answer.headers, "x-request-id": uuid.uuid4().hex})


_CHARSET = {"content-type": "application/json; charset=utf-8"}


def _unmarked(answer: Said) -> Said:
    return replace(answer, headers={"idempotent-replayed": "false", **answer.headers})


def _late() -> Callable[[Said], Said]:
    """Still under way, the first time that it is asked of each answer."""
    asked: list[bytes] = []

    def again(kept: Said) -> Said:
        asked.append(kept.body)
        return said(409, code="in_flight") if asked.count(kept.body) == 1 else marked(kept)

    return again


def _limited(status: int) -> Ways:
    return Ways(
        refuses_key=lambda key: said(status, code="key") if key is not None and not 0 < len(key) < 200 else None
    )


def _member(name: str) -> Ways:
    return Ways(key=lambda asked: asked.form.get(name))


def _strict(key: str | None) -> Said | None:
    """Only what stands in quotes is a key."""
    whole = key and len(key) > 2 and key[0] == key[-1] == '"' and key.isascii()
    return None if key is None or whole else said(400, code="key")


def _ietf(written: dict[str, Any]) -> None:
    written["idempotency"] = {"convention": "ietf"}


def _ucp(written: dict[str, Any]) -> None:
    written["idempotency"] = {"convention": "ucp"}


def _acp(written: dict[str, Any]) -> None:
    written["idempotency"] = {"convention": "acp", "errors": "not-stored"}


def _nested(written: dict[str, Any]) -> None:
    written["endpoint"][0] |= {"json": {"amount": 1000}}
    del written["endpoint"][0]["form"]
    written["idempotency"] |= {"key": {"member": "/meta/key"}}


_OTHERS_409 = Ways(whose=lambda _: None, same=lambda asked: (asked.who, asked.body), mismatch=lambda _: said(409))


def _allowed(id: str, *phrases: str) -> tuple[str, ...]:
    return tuple(f"idempotency.{id}: {phrase}" for phrase in phrases)


LEGAL: tuple[Keyed, ...] = (
    keyed(
        "it keeps keys as it is said to",
        Ways(),
        allows=(
            *_allowed("copies-agree", "copies of which all but one are refused"),
            *_allowed("odd-keys", "400"),
            *_allowed("key-required", "no key at all where none is required"),
            *_allowed("refusal-is-not-kept", "a decline that is kept"),
        ),
    ),
    keyed("its copies wait", Ways(meanwhile=0), allows=_allowed("copies-agree", "copies that wait for the answer")),
    keyed(
        "its copies are too early",
        Ways(meanwhile=425),
        edit=keys(in_flight=[425]),
        allows=_allowed("in-flight", "another status that the profile names"),
    ),
    keyed(
        "its copies are told with success that the first is under way",
        Ways(meanwhile=200),
        edit=keys(in_flight=[200]),
    ),
    keyed("its copies are accepted", Ways(meanwhile=202), edit=keys(in_flight=[202])),
    keyed(
        "its answers are short, and so is what it says of a key that is taken",
        Ways(
            serves=lambda _: {},
            broke=lambda: said(402, code="declined"),
            whose=lambda _: None,
            same=lambda asked: (asked.who, asked.body),
            mismatch=lambda _: said(409),
        ),
        edit=both(keys(mismatch=[409]), first(marker=None)),
    ),
    keyed(
        "its answers are numbered",
        Ways(sent=_numbered),
        allows=_allowed("same-answer", "another Date and another id of the request in a field"),
    ),
    keyed(
        "its answers come again in another coding",
        Ways(again=lambda kept: zipped(marked(kept))),
        allows=_allowed("same-answer", "another content coding"),
    ),
    keyed(
        "its answers come again with the charset that JSON has",
        Ways(again=lambda kept: marked(replace(kept, headers={**kept.headers, **_CHARSET})), meanwhile=0),
    ),
    keyed(
        "its answers are kept a moment later",
        Ways(again=_late()),
        allows=_allowed("same-answer", "409 for a moment after the answer"),
    ),
    keyed(
        "it says of every answer whether it comes again",
        Ways(sent=_unmarked),
        allows=_allowed("replay-marked", "a field that says false the first time"),
    ),
    keyed(
        "its keys are texts of structured fields, and bare ones are the same",
        Ways(
            key=lambda asked: asked.headers.get("idempotency-key", "").strip('"'),
            mismatch=lambda _: said(422),
            again=lambda kept: kept,
        ),
        edit=_ietf,
        allows=(
            *_allowed("bare-key", "the bare key as the same key"),
            *_allowed("replay-marked", "no such field where the API names none"),
        ),
    ),
    keyed(
        "its keys are texts of structured fields, and bare ones are none",
        Ways(refuses_key=_strict, mismatch=lambda _: said(422)),
        edit=_ietf,
        allows=_allowed("bare-key", "a 4xx for a bare key"),
    ),
    keyed(
        "it does as UCP does",
        Ways(mismatch=lambda _: said(409), meanwhile=423, again=lambda kept: kept),
        edit=_ucp,
        allows=(
            *_allowed("mismatch", "another status that the profile names"),
            *_allowed("in-flight", "any 4xx where the API names none"),
        ),
    ),
    keyed(
        "it does as ACP does",
        Ways(
            refuses_key=lambda key: None if key else said(400, code="required"),
            mismatch=lambda _: said(422),
            keeps=lambda answer: answer.status == 200,
        ),
        edit=_acp,
        allows=_allowed("decline-comes-again", "a new decline where refusals are not kept"),
    ),
    keyed("its key is a field of the form", _member("once"), edit=keys(key={"member": "/once"})),
    keyed(
        "its key is a member of a member",
        Ways(key=lambda asked: asked.form["meta"]["key"] if "meta" in asked.form else None),
        edit=_nested,
    ),
    keyed(
        "its key has a name of its own",
        Ways(key=lambda a: a.headers.get("x-once")),
        edit=keys(key={"header": "X-Once"}),
    ),
    keyed(
        "its profile has a key of its own, by a name like that of a credential",
        Ways(key=lambda asked: asked.headers.get("x-once-key")),
        edit=both(keys(key={"header": "X-Once-Key"}), first(headers={"X-Once-Key": "always"})),
    ),
    keyed(
        "it takes any key",
        Ways(refuses_key=lambda _: None),
        allows=_allowed("odd-keys", "any of them as a key"),
    ),
    *(
        keyed(
            f"its keys have an end, and longer ones are answered {status}",
            _limited(status),
            allows=_allowed("odd-keys", "413, 414, 431 or a closed connection for size"),
        )
        for status in (414, 431)
    ),
    keyed(
        "whoever brings a key that is taken is told so",
        _OTHERS_409,
        edit=keys(mismatch=[409]),
        allows=(
            *_allowed("not-to-the-refused", "409 or 422 to whoever brings a key that is taken"),
            *_allowed("another-caller", "a refusal of a key that is taken"),
        ),
    ),
    keyed(
        "an account that is refused is served under the same key when it has paid",
        Ways(broke=lambda: said(402, code="upgrade", family="paywall")),
        edit=PAYWALL,
    ),
    keyed(
        "a key that a refused account brought is taken for others",
        replace(_OTHERS_409, broke=lambda: said(402, code="upgrade", family="paywall"), keeps=lambda _: True),
        edit=both(keys(mismatch=[409]), ANOTHER),
    ),
    keyed("nobody is refused by 402", Ways(nobody=said(402, code="upgrade", family="paywall"))),
    keyed(
        "whoever brings a key that is taken is told what it was taken for",
        replace(_OTHERS_409, mismatch=lambda _: said(409, message="That charge is captured.")),
        edit=keys(mismatch=[409]),
    ),
    *(
        keyed(
            f"what it sells is the same for everybody, and its witness moves by {move}",
            Ways(serves=lambda _: {"status": "captured"}, runs=lambda fresh, move=move: move * fresh),
        )
        for move in (1, -1, 2)
    ),
    keyed(
        "its answers are the same, nothing marks them, and its witness counts down",
        Ways(
            serves=lambda _: {"status": "captured"},
            mismatch=lambda _: said(409),
            again=lambda kept: kept,
            runs=lambda fresh: -int(fresh),
        ),
        edit=_ucp,
    ),
    keyed("its witness lags", Ways(lags=0.1)),
    keyed("it is asked by PUT", Ways(), edit=first(method="PUT")),
    keyed(
        "it is asked with nothing but a query",
        Ways(),
        edit=both(first(form=None, query={"amount": "5"})),
    ),
    keyed(
        "it sees a request in what it understands of it",
        Ways(same=lambda asked: asked.form["amount"]),
    ),
)
