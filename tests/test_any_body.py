"""Bodies that are drawn from the schema of an endpoint: what the refusal keeps, and what may be otherwise."""

import json
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from judging import FAMILIES, Judged, judged
from market import hides, says, status
from serving import Altered, Answer, Asked, Change, served, unaltered

from conformance import _data, catalogue
from conformance.outcome import Outcome

Server = tuple[Altered, str]
SCHEMA = _data.profiles() / "translate.schema.json"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served() as found:
        yield found


def any_body(
    server: Server,
    change: Change = unaltered,
    family: str = "credits",
    examples: int = 24,
    only: str = "",
    **members: object,
) -> Judged:
    """The row of ``family`` at /translate, which is made one of that family; ``members`` are those of its endpoint."""
    altered, here = server
    altered.begin(change, ("/translate",))
    whole = tomllib.loads((_data.profiles() / "sandbox.toml").read_text("utf-8"))

    def edit(written: dict[str, Any]) -> None:
        (endpoint,) = (entry for entry in whole["endpoint"] if entry["name"] == "translate")
        merged = endpoint | {"body_schema": str(SCHEMA)} | members
        written["endpoint"] = [{name: value for name, value in merged.items() if value is not None}]
        written["claims"] = {"classes": [family, "http"]}
        for rule in written["answer"]:
            del rule["schema"]
            if rule["name"] == "credits":
                rule["family"] = family

    return judged(here, edit=edit, examples=examples, only=(only or f"{family}.any-body",))


def outcome(run: Judged) -> tuple[Outcome, str]:
    """What the row came to, and why."""
    (result,) = run.results.values()
    found = result.finding
    return result.outcome, f"{found.reason} {found.received} {found.at}" if found else ""


def where(holds: Callable[[Any], bool], change: Change) -> Change:
    """``change`` for requests whose body ``holds``."""

    def altered(asked: Asked, answer: Answer) -> None:
        if asked.body and holds(json.loads(asked.body)):
            change(asked, answer)

    return altered


def becomes(code: int, text: str = '{"code": "no", "message": "No."}', media: str = "application/json") -> Change:
    """Another answer altogether."""
    return lambda _, answer: answer.become(code, text, media)


def has(name: str) -> Callable[[Any], bool]:
    return lambda body: name in body


def strange(body: Any) -> bool:
    return not body["text"].isascii()


def held(balance: object, change: Change) -> Change:
    """``change``, and refusals that state ``balance``."""

    def altered(asked: Asked, answer: Answer) -> None:
        says(balance=balance)(asked, answer)
        answer.drop("X-Current-Balance")
        change(asked, answer)

    return altered


def refused_to_others(code: int) -> Change:
    """Answers whoever has not paid with ``code`` where an optional member is."""

    def altered(asked: Asked, answer: Answer) -> None:
        if answer.status == 402:
            where(has("formal"), becomes(code))(asked, answer)

    return altered


FAULTS = {
    "another code for an empty list": (
        where(lambda b: b.get("glossary") == [], says(code="no_glossary")),
        "no_glossary",
    ),
    "another code for what is nested": (where(lambda b: bool(b.get("glossary")), says(code="nested")), "nested"),
    "another code for a long text": (where(lambda b: len(b["text"]) > 50, says(code="too_long")), "too_long"),
    "it breaks at letters": (where(strange, becomes(500)), "500"),
    "a login for an optional member": (where(has("formal"), becomes(401)), '"formal"'),
    "nobody who is refused may have an optional member": (refused_to_others(403), '"formal"'),
    "another family for another language": (where(has("to"), says(family="decline")), '"to"'),
    "a fact goes missing": (where(has("formal"), hides("shortfall")), "without shortfall"),
    "a body in XML": (where(has("formal"), becomes(402, "<error/>", "application/xml")), "402"),
    "an optional member opens it": (held(0, where(has("formal"), becomes(200, '{"text": "bonjour"}'))), "200"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_refusal_that_changes_with_the_body_is_unmet(server: Server, name: str) -> None:
    """The finding shows the body and what came back."""
    change, shown = FAULTS[name]
    came, told = outcome(any_body(server, change))
    assert came is Outcome.UNMET, told
    assert shown in told
    assert len(told) < 400


def test_the_finding_is_about_a_small_body(server: Server) -> None:
    """What breaks is shown without what does not matter."""
    _, told = outcome(any_body(server, FAULTS["a login for an optional member"][0]))
    assert told.endswith(('{"formal":false,"text":"0"}', '{"formal":false,"text":"hello"}'))


def priced(asked: Asked, answer: Answer) -> None:
    """What is needed depends on the length of the text."""
    if answer.status == 402:
        need = 20 + len(asked.body)
        held = json.loads(answer.body)["balance"]
        says(required=need, shortfall=need - held, message=f"It takes {need} credits.")(asked, answer)
        answer.set("X-Credits-Required", str(need))


def otherwise(code: int) -> Change:
    return where(has("formal"), becomes(code))


LEGAL: dict[str, Change] = {
    "it is the sandbox": unaltered,
    "its price is that of the body": priced,
    "it has more to say for some": where(has("formal"), says(resets_at="2030-01-01T00:00:00Z")),
    "another message and id each time": lambda asked, answer: says(message=f"No. {asked.nth}")(asked, answer),
    "it dislikes some for another reason": otherwise(422),
    "some are too large": where(lambda b: len(b["text"]) > 50, becomes(413)),
    "it knows no such model": otherwise(404),
    "it dislikes some contents": otherwise(400),
    "it forbids some contents, whoever has paid": otherwise(403),
}


@pytest.mark.parametrize("name", LEGAL)
def test_what_may_depend_on_the_body_is_no_finding(server: Server, name: str) -> None:
    """The family, the code and the names of the facts are the same, or the body is wrong for another reason."""
    assert outcome(any_body(server, LEGAL[name])) == (Outcome.PASSED, "")


@pytest.mark.parametrize("family", ["paywall", "decline"])
def test_each_family_is_asked_so(server: Server, family: str) -> None:
    """A paywall and a decline keep to their word as well, and are found where they do not."""

    assert outcome(any_body(server, family=family))[0] is Outcome.PASSED
    change = FAULTS["another code for what is nested"][0]
    assert outcome(any_body(server, change, family=family))[0] is Outcome.UNMET


def plain_only(asked: Asked, answer: Answer) -> None:
    if asked.body and json.loads(asked.body) != {"text": "hello"}:
        answer.become(400)


def in_moods(asked: Asked, answer: Answer) -> None:
    says(code=f"code_{asked.nth}")(asked, answer)


UNTESTABLE = {
    "nothing but its own body is refused": (plain_only, "they come to no refusal"),
    "it says something else each time": (in_moods, "a moment later"),
    "it is down now and then": (otherwise(503), "the target is down"),
    "a firewall dislikes its letters": (where(strange, becomes(403, "<h1>No</h1>", "text/html")), "stands before it"),
    "some cost nothing": (otherwise(200), "nothing of it shows what is sold"),
}


@pytest.mark.parametrize("name", UNTESTABLE)
def test_what_shows_nothing_is_untestable(server: Server, name: str) -> None:
    """No pass without a body that came to the refusal, and no finding where the body may not be to blame."""
    change, why = UNTESTABLE[name]
    came, told = outcome(any_body(server, change))
    assert came is Outcome.UNTESTABLE
    assert why in told


@pytest.mark.parametrize(
    ("written", "why"),
    [
        (None, "cannot be read: No such file or directory"),
        ("{", "is not a JSON Schema that bodies can be drawn from"),
        ('{"type": "nonsense"}', "is not a JSON Schema that bodies can be drawn from"),
        ('{"$ref": "https://a.example/s.json"}', "is not a JSON Schema that bodies can be drawn from"),
        ('{"$ref": "#"}', "is not a JSON Schema that bodies can be drawn from"),
        ('{"required": ["id"]}', "the endpoint's own json does not fit"),
        ('{"const": {"text": "hello"}}', "no body but the endpoint's own was found"),
        ('{"type": "object", "if": true, "then": {"maxProperties": 1}, "contains": 1}', None),
    ],
)
def test_a_schema_of_no_use_is_said_to_be_so(server: Server, tmp_path: Path, written: str | None, why: str) -> None:
    """One sentence says what is wrong with the file."""
    path = tmp_path / "body.json"
    if written is not None:
        path.write_text(written)
    came, told = outcome(any_body(server, body_schema=str(path)))
    assert came is Outcome.UNTESTABLE
    assert (why or "is not a JSON Schema") in told


_TREE = {
    "type": "object",
    "properties": {"text": {"$ref": "#/$defs/word"}, "parts": {"type": "array", "items": {"$ref": "#"}}},
    "required": ["text"],
    "$defs": {"word": {"type": "string", "pattern": "^[a-z]{3,9}$"}},
}
_RICH = {
    "allOf": [{"properties": {"text": {"minLength": 2}}}, {"required": ["text"]}],
    "properties": {
        "day": {"format": "date", "type": "string"},
        "many": {"type": "integer", "minimum": 3, "exclusiveMaximum": 9, "multipleOf": 2},
        "share": {"type": ["number", "null"], "maximum": 1},
        "pair": {"prefixItems": [{"const": "a"}, {"type": "boolean"}], "items": False, "type": "array"},
        "other": {"oneOf": [{"type": "string", "maxLength": 3}, {"type": "array", "uniqueItems": True}]},
        "never": False,
    },
    "type": "object",
}


_ODD = {
    "properties": {
        "text": {"type": "string", "minLength": 1.0},
        "endless": {"$ref": "#/properties/endless"},
        "elsewhere": {"$ref": "#/nowhere"},
        "none": {"enum": []},
        "half": {"const": "\ud800"},
        "huge": {"type": "integer", "minimum": 10**400, "multipleOf": 0.5},
    },
    "required": ["text"],
}


@pytest.mark.parametrize("schema", [_TREE, _RICH, _ODD], ids=["tree", "rich", "odd"])
def test_bodies_of_whatever_schema_are_drawn(server: Server, tmp_path: Path, schema: dict[str, Any]) -> None:
    """Several bodies are others than the endpoint's own, all are small, and their strings can be printed."""
    (tmp_path / "body.json").write_text(json.dumps(schema))
    run = any_body(server, body_schema=str(tmp_path / "body.json"))
    assert outcome(run)[0] is Outcome.PASSED
    (result,) = run.results.values()
    sent = {e.request.body.decode() for key, e in result.exchanges.items() if "/body-" in key}
    assert len(result.evidence) == 12
    assert len(sent - {'{"text":"hello"}'}) >= 3
    assert all(len(body) <= 2000 and body.isprintable() for body in sent)


FREE = "http.refused-for-any-body"
SERVED = becomes(200, '{"text": "bonjour"}')


@pytest.mark.parametrize("family", ["credits", "paywall"])
def test_a_body_that_opens_what_is_sold_is_a_violation(server: Server, family: str) -> None:
    """Whoever has nothing is served for a member more: that is a MUST, and the body is shown."""
    run = any_body(server, held(0, where(has("formal"), SERVED)), family=family, only=FREE)
    came, told = outcome(run)
    assert came is Outcome.VIOLATED, told
    assert '"formal"' in told
    assert "with what is sold" in told
    assert "let the schema leave it out" in told


def test_a_refusal_that_holds_what_is_sold_is_a_violation(server: Server) -> None:
    """Whoever is refused, and given it for a member more, has not paid; what he said himself may come back to him."""
    came, told = outcome(any_body(server, where(has("formal"), says(hint="bonjour")), only=FREE))
    assert came is Outcome.VIOLATED, told
    assert "with the marker" in told
    said = any_body(server, lambda asked, answer: says(hint=asked.body.decode())(asked, answer), only=FREE)
    assert outcome(said) == (Outcome.PASSED, "")


@pytest.mark.parametrize(
    ("change", "family", "came", "why"),
    [
        (unaltered, "credits", Outcome.PASSED, ""),
        (held(0, otherwise(422)), "credits", Outcome.PASSED, ""),
        (held(0, otherwise(500)), "credits", Outcome.PASSED, ""),
        (held(3, where(has("formal"), SERVED)), "credits", Outcome.UNTESTABLE, "3 is left: that may pay for"),
        (held(None, where(has("formal"), SERVED)), "credits", Outcome.UNTESTABLE, "does not say what is left"),
        (where(has("formal"), becomes(200)), "paywall", Outcome.UNTESTABLE, "nothing of it shows what is sold"),
        (where(has("formal"), SERVED), "decline", Outcome.INAPPLICABLE, "buys nothing"),
        (plain_only, "credits", Outcome.UNTESTABLE, "they come to no refusal"),
    ],
    ids=["refused", "wrong", "broken", "cheaper", "unsaid", "empty", "decline", "own"],
)
def test_a_body_that_may_be_paid_for_is_no_theft(
    server: Server, change: Change, family: str, came: Outcome, why: str
) -> None:
    """What is left may pay for a smaller request, and what shows nothing of the goods proves nothing."""
    found, told = outcome(any_body(server, change, family=family, only=FREE))
    assert found is came, told
    assert why in told


def test_without_a_schema_nothing_is_drawn(server: Server) -> None:
    """An endpoint of which the profile says no more is not asked."""
    altered, here = server
    altered.begin(status(402), ("/translate",))
    run = judged(
        here,
        edit=lambda written: written.update(
            endpoint=[
                {
                    "name": "translate",
                    "path": "/translate",
                    "method": "POST",
                    "json": {"text": "a"},
                    "answers": ["credits"],
                }
            ],
            claims={"classes": ["credits"]},
        ),
        only=("credits.any-body",),
    )
    assert outcome(run)[0] is Outcome.INAPPLICABLE


def test_every_allowed_phrase_of_a_body_has_a_variant() -> None:
    """What the catalogue allows is what the legal variants show."""
    shown = {"its price is that of the body": "an amount that depends on the body"}
    shown |= {"it dislikes some for another reason": "a body that is wrong for another reason"}
    assert shown.keys() <= LEGAL.keys()
    for family in FAMILIES:
        assert set(catalogue.load().requirements[f"{family}.any-body"].allowed) == set(shown.values())


def test_what_is_forbidden_shows_nothing_where_nobody_has_paid(server: Server) -> None:
    """Whether content is not allowed, or what is not paid for, is seen by one who has paid."""
    came, told = outcome(any_body(server, otherwise(403), paid_identity=None))
    assert came is Outcome.UNTESTABLE
    assert "paid_identity" in told
