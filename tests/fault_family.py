"""Faults of a refusal that no protocol shapes, whichever family it is of."""

from altering import field, is_unpaid, readable
from market import (
    ARCHIVE,
    CHARGES,
    LOOKUP,
    TRANSLATE,
    MarketFault,
    answers,
    each,
    facts,
    fault,
    hides,
    rewritten,
    rule,
    says,
    status,
    stuffed,
)
from serving import Answer, Asked, refusals, then
from variant import both, endpoints

__all__ = ["FAMILY"]

_GOODS = {"/archive": "stormy", "/translate": "bonjour", "/lookup": "Rue de la Paix", "/charges": "captured"}
_PRICED = facts(amount="/amount", currency="/currency", price="/price")


def _serves(asked: Asked, answer: Answer) -> None:
    if is_unpaid(asked):
        answer.become(200, f'{{"goods": "{_GOODS[asked.path]}"}}', "application/json")


def _stamps(_: Asked, answer: Answer) -> None:
    if answer.status == 200:
        answer.set("Stamped", "yes")


def _serves_later(asked: Asked, answer: Answer) -> None:
    # The first one is the sanity request at the first endpoint, and the second the request of every check.
    if asked.nth > 1:
        _serves(asked, answer)


def _nested(document: dict[str, object]) -> dict[str, object]:
    return {"error": {**document, "type": "api_error"}}


def _no_page(answer: Answer) -> None:
    answer.become(402, "<!doctype html><title>Oops</title><p>Something is wrong.", "text/html; charset=utf-8")


FAMILY: tuple[MarketFault, ...] = (
    fault("its refusals are of a kind that nobody declares", says(family="billing"), *each("classified")),
    fault("its refusals name no kind", hides("family"), *each("classified")),
    fault("its refusals have no body", refusals(lambda answer: answer.become(402)), *each("classified")),
    fault("its refusals are pages that say nothing", refusals(_no_page), "http.accept-json", *each("classified")),
    fault(
        "its errors are of another type than the contract has",
        rewritten(_nested),
        *each("classified"),
        edit=rule(when={"jmespath": "error.type == 'card_error'"}),
    ),
    fault(
        "its refusals lack the field that tells their kind",
        None,
        *each("classified"),
        edit=rule(when={"header": {"X-Error-Kind": "billing"}}),
    ),
    fault(
        "it refuses by a declared status and in other words",
        then(hides("family"), status(403)),
        *each("classified"),
        edit=rule(status=[402, 403]),
    ),
    fault(
        "whoever does not pay is served",
        _serves,
        "http.unpaid-is-refused",
        "http.no-paid-content",
        "http.outage-is-5xx",
        *each("classified"),
    ),
    fault(
        "its refusals have what is paid for, and its profile knows that by a field",
        then(says(year=1987, headline="stormy"), _stamps),
        "http.no-paid-content",
        at=ARCHIVE,
        edit=endpoints(marker={"header": "Stamped"}),
    ),
    fault("whoever asks again is served", _serves_later, "paywall.stable", at=ARCHIVE),
    *(
        fault(
            f"a refusal of family {own} fits a rule of family {other} as well",
            None,
            f"{own}.one-family",
            at=at,
            edit=both(
                rule(other, when={"jmespath": "code"}),
                answers(**{at[0]: (own, other)}),
            ),
        )
        for own, other, at in (
            ("paywall", "credits", ARCHIVE),
            ("credits", "decline", TRANSLATE),
            ("credits", "paywall", LOOKUP),
            ("decline", "paywall", CHARGES),
        )
    ),
    fault(
        "its refusals do not fit the schema that it publishes",
        then(rewritten(lambda document: document | {"error_code": document["code"]}), hides("code")),
        *each("own-schema"),
        edit=facts(code="/error_code"),
        envelopes=True,
    ),
    fault(
        "it publishes a schema for JSON and refuses in a page",
        refusals(_no_page),
        "paywall.own-schema",
        "paywall.code",
        "paywall.message",
        "paywall.remedy",
        "paywall.request-id",
        "http.accept-json",
        at=ARCHIVE,
        edit=rule("paywall", when=None),
        envelopes=True,
    ),
    fault("its refusals have no code", hides("code"), *each("code")),
    fault("its refusals have an empty code", says(code=""), *each("code")),
    fault("the code of its refusals is null", says(code=None), *each("code")),
    fault("the code of its refusals is true", says(code=True), *each("code")),
    fault("the code of its refusals is blank", says(code="  "), *each("code")),
    fault("the code of its refusals is an object", says(code={"id": 1}), *each("code")),
    fault("the code of its refusals is a sentence", says(code="You have to pay for this"), *each("code-is-a-word")),
    fault("the code of its refusals says no type", says(code="about:blank"), *each("code-is-a-word")),
    fault("its refusals have no message", hides("message"), *each("message")),
    fault("the message of its refusals is blank", says(message="\u00a0\n"), *each("message")),
    fault(
        "the message of its refusals is in several languages",
        says(message={"en": "Pay, please."}),
        *each("message"),
    ),
    *(
        fault(f"the message of its refusals is {text!r}", says(message=text), *each("message-tells"))
        for text in ("Payment Required", "402 Payment Required", "Error.", "payment_required")
    ),
    fault("the message of its refusals is a contract", says(message="pay " * 126), *each("message-tells")),
    fault("its refusals have no id", hides("request_id"), *each("request-id")),
    fault("the id of its refusals is a list", says(request_id=["req_1"]), *each("request-id")),
    fault(
        "its documentation is at a relative address",
        says(docs_url="/docs/402"),
        *each("docs-url"),
        edit=facts(docs_url="/docs_url"),
    ),
    fault(
        "its documentation is not encrypted",
        says(docs_url="http://docs.example.com/402"),
        *each("docs-url"),
        edit=facts(docs_url="/docs_url"),
    ),
    fault(
        "the id of its refusals stands in a sentence",
        then(hides("request_id"), says(message="Somebody has to pay for this (request req_12).")),
        *each("members"),
        edit=facts(request_id={"prose": "/message", "re": r"request (?P<x>\w+)"}),
    ),
    fault(
        "the code of its refusals stands in the text of a page",
        says(code=None, see="reason: no_money"),
        *each("members"),
        edit=facts(code={"first": ["/code", r"text: reason: (?P<x>\w+)"]}),
    ),
    fault("its price is a float", says(amount=4.95, currency="EUR"), *each("money"), edit=_PRICED),
    fault(
        "its price is a float in a text of minor units",
        says(amount="4.95", currency="EUR"),
        "paywall.money",
        "decline.money",
        at=(*ARCHIVE, *CHARGES),
    ),
    fault("its price has a sign", says(amount="€ 4.90", currency="EUR"), *each("money"), edit=_PRICED),
    fault("its price has a comma", says(amount="4,90", currency="EUR"), *each("money"), edit=_PRICED),
    fault("its price has no currency", then(says(amount=490), hides("currency")), *each("money"), edit=_PRICED),
    fault("its currency is a sign", says(amount=490, currency="€"), *each("money"), edit=_PRICED),
    fault(
        "its price is words alone",
        then(hides("amount", "currency"), says(price="four euros ninety")),
        *each("money"),
        edit=_PRICED,
    ),
    fault(
        "a field has another code than the body",
        field("X-Error-Code", "something_else"),
        *each("parts-agree"),
        edit=facts(code={"first": ["/code", "header: X-Error-Code"]}),
    ),
    fault(
        "a field has another price than the body",
        then(says(amount="490", currency="EUR"), field("X-Price", "4900")),
        *each("parts-agree"),
        edit=both(_PRICED, facts(amount={"first": ["/amount", "header: X-Price"]})),
    ),
    fault(
        "its refusals have a new code each time",
        stuffed(lambda asked: {"code": f"refused_{asked.nth}"}),
        *each("stable"),
    ),
    fault(
        "its refusals are of another family each time",
        stuffed(lambda asked: {"family": ("paywall", "decline")[asked.nth % 2]}),
        "decline.stable",
        at=CHARGES,
        edit=answers(charges=("decline", "paywall")),
    ),
    fault("its refusals have a Location", field("Location", "/plans"), *each("no-location")),
    *(
        fault(f"its refusals ask for {values[-1].partition(' ')[0]}", readable(*values), *each("no-login-challenge"))
        for values in (['Bearer realm="api"'], ['Basic realm="api"'], ['Payment id="1"', 'Digest realm="a", nonce="n"'])
    ),
    *(
        fault(
            f"its endpoints answer {code}",
            refusals(lambda answer, code=code: answer.become(code, "x")),
            errors=frozenset(each("classified")),
        )
        for code in (302, 400, 401, 403, 404, 405, 500, 503)
    ),
)
