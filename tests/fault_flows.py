"""Servers whose remedies do not work, or that take something else than they say; and those that do it otherwise and right."""

import json
import time
from collections.abc import Callable
from typing import Any

from accounts import Effect, effect
from altering import lacks
from judging import Edit
from market import answers, facts, hides, rule, says, stuffed, waive
from serving import Answer, Asked, Change, refusals, then
from variant import both

__all__ = ["FAULTS", "LEGAL", "UNPROVEN"]


def flow(**members: object) -> Edit:
    """Sets members of the flow; None removes one."""

    def edit(written: dict[str, Any]) -> None:
        for name, value in members.items():
            written["flow"][0][name] = value
            if value is None:
                del written["flow"][0][name]

    return edit


def tops_up(more: int) -> Edit:
    """Lets the flow add so many credits."""
    return flow(steps=[{"method": "POST", "path": "/test/top-up", "json": {"credits": more}, "expect": [200]}])


def observes(**members: object) -> Edit:
    """Sets members of the probe; None removes one."""

    def edit(written: dict[str, Any]) -> None:
        written["observe"]["balance"] |= members
        for name, value in members.items():
            if value is None:
                del written["observe"]["balance"][name]

    return edit


def where(path: str, alter: Callable[[Asked, Answer], object], *, method: str = "") -> Change:
    """Alters the answers at one path."""

    def change(asked: Asked, answer: Answer) -> None:
        if asked.path == path and method in {"", asked.method}:
            alter(asked, answer)

    return change


def _member(name: str, make: Callable[[Any], object]) -> Callable[[Asked, Answer], None]:
    def alter(_: Asked, answer: Answer) -> None:
        document = json.loads(answer.body)
        if name in document:
            answer.say(document | {name: make(document[name])})

    return alter


def _refusal(name: str, make: Callable[[Any], object]) -> Change:
    """What a refusal says in the body alone."""
    told = _member(name, make)

    def alter(asked: Asked, answer: Answer) -> None:
        if answer.status == 402:
            told(asked, answer)

    return where("/translate", alter)


def _success(name: str, value: str) -> Change:
    def alter(_: Asked, answer: Answer) -> None:
        if answer.status == 200:
            answer.set(name, value)

    return where("/translate", alter)


_NOW = ("translate", "archive", "lookup", "charges")


def _credits(make: Callable[[Any], object]) -> Change:
    """What the probe says, told otherwise."""
    return where("/balance", _member("credits", make))


def _refuses(status: int, **headers: str) -> Change:
    """Refuses with another status and further fields."""

    def alter(answer: Answer) -> None:
        answer.status = status
        for name, value in headers.items():
            answer.set(name.replace("_", "-"), value)

    return refusals(alter)


def _tiny(asked: Asked, answer: Answer) -> None:
    """Everything is counted in units of a hundred million."""
    if asked.path == "/balance":
        _member("credits", lambda held: held * 1e-8)(asked, answer)
    elif asked.path == "/translate" and answer.status == 402:
        for name in ("required", "balance", "shortfall"):
            _member(name, lambda held: held * 1e-8)(asked, answer)


def _with_the_goods() -> Change:
    """Refuses whoever has bought something before, and gives it to him."""
    seen: list[str] = []

    def change(asked: Asked, answer: Answer) -> None:
        if asked.path == "/test/top-up":
            seen.append(asked.path)
        elif asked.path == "/translate" and answer.status == 402 and seen:
            answer.say(json.loads(answer.body) | {"text": "bonjour"})

    return change


def _now_and_then() -> Change:
    """Serves every fourth request."""
    asked: list[str] = []

    def change(request: Asked, answer: Answer) -> None:
        if request.path == "/archive":
            asked.append(request.path)
            if len(asked) % 4 == 0:
                answer.become(200, '{"headline": "stormy"}', "application/json")

    return change


def _by_and_by(slow: float = 0) -> Change:
    """Serves one request in a quarter of a second, whatever is bought; its top-up takes ``slow`` seconds."""
    last: list[float] = []

    def change(request: Asked, answer: Answer) -> None:
        now = time.monotonic()
        if request.path == "/test/top-up":
            time.sleep(slow)
        elif request.path == "/archive" and now - (last or [now])[-1] > 0.25:
            answer.become(200, '{"headline": "stormy"}', "application/json")
            last.append(now)
        elif request.path == "/archive" and not last:
            last.append(now)

    return change


def _fails_half(asked: Asked, answer: Answer) -> None:
    """Who comes with others is served, charged, and half of the time told that it went wrong."""
    left = answer.get("x-current-balance") or ""
    if asked.headers.get("connection") == "close" and answer.status == 200 and left in {"48", "28", "8"}:
        answer.become(500)


def _for_everybody(path: str, goods: str) -> Change:
    """Whoever asks is served while somebody has bought something."""
    bought: list[str] = []

    def change(asked: Asked, answer: Answer) -> None:
        if asked.path.startswith("/test/"):
            bought[:] = [asked.path] * asked.path.endswith("top-up")
        elif asked.path == path and bought and answer.status == 402 and (path == "/archive" or not _pays(asked)):
            answer.become(200, goods, "application/json")

    return change


def _pays(asked: Asked) -> bool:
    return asked.headers.get("sandbox-account") == "broke"


def _orders() -> Change:
    """Each refusal of the account makes an order, which the probe counts."""
    made: list[str] = []

    def change(asked: Asked, answer: Answer) -> None:
        mine = asked.path == "/translate" and asked.headers.get("sandbox-account") == "broke" and answer.status == 402
        made.extend([asked.path] if mine or asked.path == "/test/top-up" else [])
        if asked.path == "/balance":
            answer.say(json.loads(answer.body) | {"orders": len(made)})

    return change


def _paid_by_the_refused(written: dict[str, Any]) -> None:
    written["endpoint"][0]["paid_identity"] = "broke"
    written["observe"]["orders"] = {"path": "/balance", "identity": "broke", "pointer": "/orders"}


def _scaled(document: Any) -> object:
    return f"{document / 100:.2f}"


def _in_euros(_: Asked, answer: Answer) -> None:
    """Everything that a refusal counts, in units of a hundred with two decimals."""
    if answer.status == 402:
        document = json.loads(answer.body)
        counted = {name: f"{document[name] / 100:.2f}" for name in ("required", "balance", "shortfall")}
        answer.say(document | counted | {"unit": "EUR"})


def _again_otherwise(**members: object) -> Change:
    """Refuses otherwise whoever has bought something before."""
    seen: list[str] = []

    def change(asked: Asked, answer: Answer) -> None:
        if asked.path == "/test/top-up":
            seen.append(asked.path)
        elif asked.path == "/test/reset" and len(seen) > 3:
            seen.clear()
        elif asked.path == "/translate" and answer.status == 402 and seen:
            answer.say(json.loads(answer.body) | members)

    return change


def _closed() -> Change:
    """Knows nobody who has taken everything back, until something is bought again."""
    gone: list[str] = []

    def change(asked: Asked, answer: Answer) -> None:
        if asked.path.startswith("/test/"):
            gone[:] = [asked.path] * asked.path.endswith("reset")
        elif asked.path == "/translate" and answer.status == 402 and gone:
            answer.become(401)

    return change


def _crowded(status: int) -> Change:
    """Turns away with another status who is refused though there is enough: somebody else is served."""

    def alter(_: Asked, answer: Answer) -> None:
        if answer.status == 402 and json.loads(answer.body)["balance"] >= 10:
            answer.become(status)

    return where("/translate", alter)


def _step(status: int) -> Change:
    return where("/test/top-up", lambda _, answer: setattr(answer, "status", status))


_TOLD = facts("credits", client_action="/client_action")
_HINT = {"only": ("flows.client-action", "flows.retry-hints-agree", "flows.no-retry-of-429")}
_CHARGE = {"only": ("flows.success-",)}
_429 = rule("credits", status=[429, 402])


FAULTS: tuple[Effect, ...] = (
    effect("a success costs nothing", "success-debits-once", times=0, **_CHARGE),
    effect("a success is paid for twice", "success-debits-once", times=2),
    effect("a success costs a little more than it says", "success-debits-once", times=1.1, **_CHARGE),
    effect("a success pays its buyer", "success-debits-once", times=-1, **_CHARGE),
    effect("a success costs half of what is required", "success-debits-price", times=0.5),
    effect(
        "a success costs more than the profile says at most",
        "success-debits-once",
        times=0.9,
        edit=flow(price={"min": "1", "max": "8"}),
        **_CHARGE,
    ),
    effect(
        "a refusal is charged",
        "refusal-has-no-effect",
        "parallel-takes-all",
        refused=1,
        untestable=("refusal-states-balance",),
    ),
    effect(
        "a refusal pays who is refused",
        "refusal-has-no-effect",
        refused=-1,
        only=("flows.refusal-has-no-effect",),
    ),
    effect(
        "the balance is looked at, and taken from a moment later",
        "parallel-serves-no-more",
        "parallel-takes-all",
        stutter=0.02,
    ),
    effect(
        "the balance is looked at, and taken from a thousandth of a second later",
        "parallel-serves-no-more",
        "parallel-takes-all",
        stutter=0.001,
    ),
    effect("the balance is written back as it was read", "parallel-serves-no-more", stutter=0.02, forgets=True),
    effect(
        "a crowd overdraws it, and its price may be nearly nothing",
        "parallel-takes-all",
        keeps=-3,
        stutter=0.001,
        does=_credits(lambda held: held + 0.25),
        edit=flow(price={"min": "0.52", "max": "10"}),
        only=("flows.parallel",),
        untestable=("parallel-serves-no-more",),
    ),
    effect(
        "a crowd owes more than one after another may",
        "parallel-serves-no-more",
        "parallel-takes-all",
        begins={"broke": -30},
        keeps=-33,
        above=-21,
        stutter=0.001,
        edit=tops_up(30),
        only=("flows.parallel",),
    ),
    effect("who is turned away is charged", "parallel-takes-all", stutter=0.02, busy=True, toll=1),
    effect(
        "its top-up does nothing",
        "remedy-opens",
        opens=False,
        untestable=("refusal-has-no-effect",),
    ),
    effect(
        "its top-up is answered as nobody expects",
        "steps-answer",
        does=_step(202),
        untestable=(),
    ),
    effect(
        "its undo does nothing",
        "refused-after-undo",
        sticks=True,
        edit=tops_up(100),
        untestable=("refusal-has-no-effect",),
    ),
    effect(
        "whoever has paid before is refused, and given what is sold",
        "refused-after-undo",
        does=_with_the_goods(),
        only=("flows.refused-after",),
    ),
    effect(
        "a refusal makes an order, for one who is said to have paid",
        "refusal-has-no-effect",
        does=_orders(),
        edit=_paid_by_the_refused,
        only=("flows.refusal-has",),
    ),
    effect(
        "who has paid before is refused with another code",
        "refused-again-alike",
        does=_again_otherwise(code="top_up_again"),
        only=("flows.re",),
    ),
    effect(
        "who took everything back is asked for a login",
        "refused-again-alike",
        does=_closed(),
        only=("flows.refused-a", "flows.remedy"),
    ),
    effect(
        "who has paid before is refused in another family",
        "refused-again-alike",
        does=_again_otherwise(family="paywall", reason="payment_required"),
        edit=answers(translate=("paywall", "credits")),
        only=("flows.refused-again", "flows.remedy"),
    ),
    effect(
        "its refusal states a balance of yesterday", "refusal-states-balance", does=_refusal("balance", lambda _: 2)
    ),
    effect(
        "its refusal states no need",
        "refusal-states-balance",
        does=_refusal("balance", lambda _: "3.5"),
        only=("flows.refusal-states",),
    ),
    effect(
        "its success states the balance from before", "success-states-balance", does=_success("X-Current-Balance", "13")
    ),
    effect(
        "its success states less than nothing",
        "success-states-balance",
        does=_success("X-Current-Balance", "-7"),
        **_CHARGE,
    ),
    effect(
        "its refusal names an action that nobody knows",
        "client-action",
        does=stuffed(lambda _: {"client_action": "call_us"}),
        edit=_TOLD,
        **_HINT,
    ),
    effect(
        "its refusal says to come back, and to ask the user",
        "client-action",
        does=then(stuffed(lambda _: {"client_action": "prompt_user"}), _refuses(402, Retry_After="60")),
        edit=_TOLD,
        **_HINT,
    ),
    effect(
        "its quota says neither when nor where",
        "client-action",
        does=then(hides("resets_at", "remedy"), _refuses(402, Retry_After="soon")),
        at=("lookup",),
        **_HINT,
    ),
    effect(
        "its paywall says to ask again",
        "retry-hints-agree",
        does=_refuses(402, X_Should_Retry="true"),
        at=("archive",),
        **_HINT,
    ),
    effect("its balance says to ask again", "retry-hints-agree", does=_refuses(402, X_Should_Retry="true"), **_HINT),
    effect(
        "its hard decline says to ask again",
        "retry-hints-agree",
        does=then(says(category="hard"), _refuses(402, Stripe_Should_Retry="true")),
        at=("charges",),
        **_HINT,
    ),
    effect(
        "its quota says not to ask again, and when to",
        "retry-hints-agree",
        does=_refuses(402, X_Should_Retry="false"),
        at=("lookup",),
        **_HINT,
    ),
    effect("its balance is a bare 429", "no-retry-of-429", does=_refuses(429), edit=_429, **_HINT),
)

LEGAL: tuple[Effect, ...] = (
    effect("it is the sandbox as it is", at=_NOW),
    effect("its numbers are texts", does=then(_credits(str), _refusal("balance", str), _refusal("required", str))),
    effect(
        "its numbers are decimals of a larger unit",
        does=then(_credits(_scaled), where("/translate", _in_euros), _success("X-Current-Balance", "0.03")),
        edit=observes(unit="eur"),
        allows=("flows.refusal-states-balance: a balance that is told as a text, or rounded",),
    ),
    effect(
        "its prices are finer than its balances",
        does=then(_credits(float), _refusal("required", lambda _: 10.4)),
        allows=("flows.success-debits-price: a price that is finer than the balance is told",),
        only=("flows.success", "flows.parallel"),
        edit=tops_up(45),
    ),
    effect(
        "its unit is written in capitals, and is one",
        edit=observes(unit="Credit"),
    ),
    effect(
        "its price depends on use, as the profile says",
        times=0.7,
        edit=flow(price={"min": "5", "max": "10"}),
        allows=("flows.success-debits-once: a price that depends on use, in the range that the profile states",),
        untestable=(),
    ),
    effect("who comes at the same time waits", stutter=0.0, busy=True),
    effect(
        "who comes at the same time is turned away by 409",
        stutter=0.02,
        busy=True,
        does=_crowded(409),
        allows=("flows.parallel-serves-no-more: requests at the same time that are turned away unasked",),
    ),
    effect("who comes at the same time is turned away by 429", stutter=0.02, busy=True, does=_crowded(429)),
    effect(
        "access comes a moment later",
        late=1,
        allows=("flows.remedy-opens: access that comes a moment later",),
        only=("flows.remedy", "flows.refused-a", "flows.success"),
    ),
    effect(
        "access ends a moment later",
        late=1,
        edit=tops_up(100),
        allows=("flows.refused-after-undo: access that ends a moment later",),
        only=("flows.remedy", "flows.refused-a"),
    ),
    effect(
        "its account is closed when all is taken back",
        does=_closed(),
        allows=("flows.refused-after-undo: an account that is closed, and refused as one",),
        only=("flows.refused-after",),
    ),
    effect(
        "its paywall says that a subscription has expired",
        does=then(says(family="paywall"), _again_otherwise(code="subscription_expired")),
        edit=answers(translate=("paywall",)),
        allows=("flows.refused-again-alike: a paywall that says that what was bought is over",),
        only=("flows.refused-again",),
    ),
    effect("it takes more than one call's worth", edit=tops_up(55)),
    effect(
        "its last call overdraws an account",
        above=3,
        edit=tops_up(15),
        allows=tuple(
            f"flows.parallel-{what}: an account that its last success overdraws"
            for what in ("serves-no-more", "takes-all")
        ),
    ),
    effect(
        "its account may owe up to twenty",
        begins={"broke": -17},
        keeps=-20,
        above=-11,
        edit=tops_up(40),
        only=("flows.parallel", "flows.success-debits"),
    ),
    effect(
        "its account is paid for afterwards",
        begins={"broke": -30, "": -30},
        keeps=-33,
        above=-21,
        edit=tops_up(30),
        only=("flows.remedy", "flows.parallel", "flows.success-debits"),
    ),
    effect("what is taken back goes a moment later", resets=0.15, edit=tops_up(100), only=("flows.refused-after",)),
    effect("what is bought comes a moment later", slow=0.15, only=("flows.remedy", "flows.success")),
    effect(
        "what is bought comes as late as its profile says",
        slow=0.8,
        edit=flow(within=2),
        only=("flows.remedy", "flows.success"),
    ),
    effect("its message differs each time", does=stuffed(lambda asked: {"message": f"Not enough, {asked.nth} times."})),
    effect(
        "its decline has no category",
        does=hides("category"),
        at=("charges",),
        allows=("flows.client-action: a decline of no category",),
        **_HINT,
    ),
    effect(
        "its refusal names the action itself",
        does=stuffed(lambda _: {"client_action": "prompt_user"}),
        edit=_TOLD,
        allows=("flows.client-action: an action that the refusal names itself",),
        **_HINT,
    ),
    effect(
        "its quota says to ask again",
        does=_refuses(402, X_Should_Retry="true"),
        at=("lookup",),
        allows=("flows.retry-hints-agree: a quota that resets, and says to ask again",),
        **_HINT,
    ),
    effect(
        "its soft decline says to ask again",
        does=_refuses(402, X_Should_Retry="true"),
        at=("charges",),
        allows=("flows.retry-hints-agree: a decline that passes, and says to ask again",),
        **_HINT,
    ),
    effect(
        "its quota is a 429",
        does=_refuses(429),
        edit=_429,
        at=("lookup",),
        allows=("flows.no-retry-of-429: a 429 of a quota that resets",),
        **_HINT,
    ),
    effect(
        "its quota comes back when its documentation says so",
        does=then(hides("resets_at"), says(balance=0), _refuses(429, X_Should_Retry="true")),
        edit=both(_429, waive("credits", resets_at="at midnight, says the documentation alone")),
        at=("lookup",),
        only=_HINT["only"][1:],
    ),
    effect(
        "its balance is a 429 that says not to ask again",
        does=_refuses(429, X_Should_Retry="false"),
        edit=_429,
        **_HINT,
    ),
)

_OF_AN_ACCOUNT = ("success-debits-once", "success-debits-price", "parallel-serves-no-more", "parallel-takes-all")
_STATES = ("refusal-states-balance", "success-states-balance")

UNPROVEN: tuple[Effect, ...] = (
    effect("its probe is of a moment ago", lags=1, untestable=(*_OF_AN_ACCOUNT, "success-states-balance")),
    effect(
        "its probe is kept for longer than we wait",
        cached=0.8,
        edit=tops_up(20),
        only=("flows.success",),
        untestable=("success-debits-once", "success-debits-price", "success-states-balance"),
    ),
    effect(
        "others take from its account",
        drifts=1,
        edit=tops_up(100),
        untestable=(*_OF_AN_ACCOUNT, *_STATES, "refusal-has-no-effect"),
    ),
    effect(
        "its probe reads nothing",
        edit=observes(pointer="/none"),
        untestable=(*_OF_AN_ACCOUNT, *_STATES, "refusal-has-no-effect"),
    ),
    effect(
        "its probe counts what is used",
        does=_credits(lambda held: 100 - held),
        edit=lambda written: written.update(observe={"used": written["observe"]["balance"]}),
        only=("flows.success-debits-once",),
        untestable=("success-debits-once",),
    ),
    effect(
        "it has two purses",
        edit=lambda written: written.update(observe=dict.fromkeys(("bonus", "bought"), written["observe"]["balance"])),
        only=("flows.success-debits-once",),
        untestable=("success-debits-once",),
    ),
    effect("its probe counts something else", edit=observes(unit="stamps"), untestable=(*_OF_AN_ACCOUNT, *_STATES)),
    effect(
        "its probe is of somebody else",
        edit=observes(identity="funded"),
        untestable=(*_OF_AN_ACCOUNT, *_STATES, "refusal-has-no-effect"),
    ),
    effect(
        "there is no probe",
        edit=lambda written: written.pop("observe"),
        untestable=(*_OF_AN_ACCOUNT, *_STATES, "refusal-has-no-effect"),
    ),
    effect(
        "its flow cannot be undone",
        edit=flow(undo=None),
        untestable=(
            "refused-after-undo",
            "refused-again-alike",
            "parallel-serves-no-more",
            "parallel-takes-all",
            "refusal-has-no-effect",
        ),
    ),
    effect(
        "its account is told too coarsely for what a call takes",
        times=2,
        does=_tiny,
        edit=flow(price="0.0000001"),
        only=("flows.success-debits", "flows.parallel"),
        untestable=_OF_AN_ACCOUNT,
    ),
    effect("its flow leaves too little", edit=tops_up(5), untestable=("remedy-opens",), only=("flows.remedy",)),
    effect(
        "its flow leaves more than a crowd takes",
        edit=tops_up(900),
        untestable=("parallel-serves-no-more", "parallel-takes-all"),
    ),
    effect(
        "it asks for more than a call takes at last",
        above=14,
        does=then(_refusal("required", lambda _: 15), lacks("x-credits-required")),
        edit=flow(price={"min": "5", "max": "10"}),
        untestable=("remedy-opens",),
        only=("flows.remedy",),
    ),
    effect(
        "its top-up is accepted, and takes its time",
        opens=False,
        does=_step(202),
        edit=flow(steps=[{"method": "POST", "path": "/test/top-up", "json": {"credits": 10}}]),
        only=("flows.remedy",),
        untestable=("remedy-opens",),
    ),
    effect(
        "its undo is accepted, and takes its time",
        sticks=True,
        does=where("/test/reset", lambda _, answer: setattr(answer, "status", 202)),
        edit=both(tops_up(100), flow(undo=[{"method": "POST", "path": "/test/reset"}])),
        only=("flows.refused-after",),
        untestable=("refused-after-undo",),
    ),
    effect(
        "its first calls are free",
        free=2,
        untestable=("remedy-opens",),
        only=("flows.remedy",),
    ),
    effect(
        "nothing says what a success costs",
        does=then(hides("required", "shortfall"), lacks("x-credits-required")),
        untestable=("parallel-serves-no-more", "parallel-takes-all"),
    ),
    effect(
        "others took from its account once, while it was served",
        robbed=5,
        edit=tops_up(55),
        only=("flows.success-debits-",),
        untestable=("success-debits-once", "success-debits-price"),
    ),
    effect(
        "others took from its account once, while it refused",
        robbed=6,
        only=("flows.refusal-has-no-effect",),
        untestable=("refusal-has-no-effect",),
    ),
    effect(
        "it is open now and then, whatever is bought",
        does=_now_and_then(),
        at=("archive",),
        only=("flows.remedy",),
        untestable=("remedy-opens",),
    ),
    effect(
        "it is open by and by, whatever is bought",
        does=_by_and_by(),
        at=("archive",),
        only=("flows.remedy",),
        untestable=("remedy-opens",),
    ),
    effect(
        "it is open by and by, whatever is bought, and its top-up takes as long",
        does=_by_and_by(0.3),
        at=("archive",),
        only=("flows.remedy",),
        untestable=("remedy-opens",),
    ),
    effect(
        "what one buys opens it for everybody",
        does=_for_everybody("/translate", '{"text": "bonjour"}'),
        only=("flows.remedy",),
        untestable=("remedy-opens",),
    ),
    effect(
        "what one buys opens the paywall for everybody",
        does=_for_everybody("/archive", '{"headline": "stormy"}'),
        at=("archive",),
        only=("flows.remedy",),
        untestable=("remedy-opens",),
    ),
    effect(
        "its marker is in the refusal as well",
        does=stuffed(lambda _: {"hint": "bonjour"}),
        only=("flows.remedy",),
        untestable=("remedy-opens",),
    ),
    effect(
        "a second charge is as little as what its account does not tell",
        times=2,
        does=_credits(lambda held: held // 10),
        edit=both(tops_up(57), flow(price="1.000001")),
        only=("flows.success-debits",),
        untestable=("success-debits-once", "success-debits-price"),
    ),
    effect(
        "a crowd is charged for what goes wrong",
        does=_fails_half,
        edit=tops_up(55),
        only=("flows.parallel",),
        untestable=("parallel-takes-all",),
    ),
    effect(
        "its undo takes back a part",
        keeps=20,
        edit=tops_up(55),
        only=("flows.refused-after",),
        untestable=("refused-after-undo",),
    ),
    effect(
        "its probe counts in cents",
        does=_credits(lambda held: held * 100),
        untestable=(*_OF_AN_ACCOUNT, "refusal-states-balance", "success-states-balance"),
    ),
)
