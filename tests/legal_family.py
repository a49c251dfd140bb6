"""Legal variants of refusals that no protocol shapes, whichever family they are of."""

import time

from altering import field, readable
from market import (
    ARCHIVE,
    CHARGES,
    TRANSLATE,
    MarketLegal,
    answers,
    each,
    facts,
    hides,
    legal,
    placed,
    rule,
    says,
    status,
    stuffed,
    waive,
)
from serving import Answer, refusals, then
from variant import both

__all__ = ["FAMILY"]


def _to_the_plans(answer: Answer) -> None:
    answer.status = 303
    answer.set("Location", "/plans")


_PRICE = facts(amount="/amount", currency="/currency")
_NEXT = facts(next_action=placed("/next_action", "link: next"))
_ADDRESS = facts("paywall", "credits", remedy=placed("/remedy", "link: payment"))

FAMILY: tuple[MarketLegal, ...] = (
    legal(
        "it is the sandbox",
        None,
        *each("request-id: an id in the body"),
        "paywall.docs-url: no documentation",
        "credits.docs-url: no documentation",
        "credits.money: no price at all",
        "credits.way-out: a time of reset and no address",
        "credits.way-out: an address and no time of reset",
        "paywall.remedy-is-absolute: an address on this machine over http",
        envelopes=True,
    ),
    legal("its declines name no documentation", hides("docs_url"), "decline.docs-url: no documentation", at=CHARGES),
    *(
        legal(
            f"it refuses by {code}, as its profile declares",
            status(code),
            *each("classified: a refusal by another status than 402 that the profile declares"),
            edit=rule(status=[code]),
        )
        for code in (200, 400, 401, 403, 422, 429)
    ),
    legal("it refuses by 402 or 403", status(403), edit=rule(status=[402, 403])),
    legal(
        "it sends people to its plans by a redirect, as its profile declares",
        refusals(_to_the_plans),
        at=ARCHIVE,
        edit=rule("paywall", status=[303]),
    ),
    legal(
        "it asks for a login by 401 and for money by the same",
        then(status(401), readable('Bearer realm="api"')),
        edit=rule(status=[401]),
    ),
    legal("its codes are numbers", says(code=20003), *each("code: a number for a code")),
    legal("its codes are numbers below nothing", says(code=-32005)),
    legal("its codes are numbers in texts", says(code="20003")),
    legal(
        "its codes are numbers in a field",
        then(hides("code"), field("X-Error-Code", "20003")),
        *each("code: a code in a header field"),
        edit=facts(code=placed("/code", "header: X-Error-Code")),
    ),
    legal(
        "its codes are in a field and in the body, each in its way of writing",
        then(says(code="PAYMENT_REQUIRED"), field("X-Error-Code", "payment-required")),
        *each("code-is-a-word: a code in capitals or with hyphens"),
        edit=facts(code=placed("/code", "header: X-Error-Code")),
    ),
    legal("its codes are written like names of classes", says(code="PaymentRequired")),
    legal("its codes are addresses", says(code="https://api.example.com/problems/payment-required/")),
    legal("its codes are names in a tree", says(code="urn:example:payment:required")),
    legal("its codes are qualified", says(code="billing/no-credits")),
    *(
        legal(f"its message is {text!r}", says(message=text))
        for text in (
            "Zahlung erforderlich: Ihr Guthaben reicht nicht aus.",
            "Se requiere un pago.",
            "残高が不足しています。",
            "Недостаточно средств",
            "402: you have no credits",
            "Payment required: buy credits first.",
            "Error 7 of billing",
            "The connection to your bank was lost.",
        )
    ),
    legal("its message is as long as one may be", says(message="p" * 500)),
    legal(
        "its message has the time and the id of the request",
        stuffed(lambda asked: {"message": f"No. {asked.nth} at {time.time()}: somebody has to pay."}),
        *each("stable: a message that differs from time to time"),
    ),
    legal(
        "its id is in a field",
        then(hides("request_id"), field("X-Request-Id", "7f1c")),
        edit=facts(request_id="header: X-Request-Id"),
    ),
    legal(
        "its id is one in a field and another in the body",
        field("X-Request-Id", "7f1c"),
        edit=facts(request_id=placed("/request_id", "header: X-Request-Id")),
    ),
    legal(
        "nothing costs anything yet",
        hides("amount", "currency", "interval"),
        *each("money: no price at all"),
    ),
    legal(
        "its price is a decimal text",
        says(amount="4.90", currency="eur"),
        *each("money: a decimal text with its currency"),
        edit=both(rule(units={}), _PRICE),
    ),
    legal("its price is minor units in a text", says(amount="490"), at=ARCHIVE),
    legal(
        "its price is a price for people beside one for machines",
        says(price="€ 4.90 a month", amount=490, currency="EUR"),
        edit=both(_PRICE, facts(price="/price")),
    ),
    legal(
        "its price is a number in the body and a text in a field",
        then(says(amount=490, currency="EUR"), field("X-Price", "490")),
        *each("parts-agree: the same number as a text"),
        edit=both(_PRICE, facts(amount=placed("/amount", "header: X-Price"))),
    ),
    legal(
        "its decline has what is next once relative and once absolute",
        then(
            says(next_action="/next"),
            stuffed(lambda asked: {"host": asked.headers["host"]}),
            lambda asked, answer: answer.set("Link", f'<http://{asked.headers["host"]}/next>; rel="next"'),
        ),
        "decline.parts-agree: an address once relative and once absolute",
        edit=_NEXT,
        at=CHARGES,
    ),
    legal(
        "it links relatively to where it is paid",
        field("Link", '</plans>; rel="payment"'),
        "paywall.parts-agree: an address once relative and once absolute",
        "credits.parts-agree: an address once relative and once absolute",
        edit=_ADDRESS,
        at=(*ARCHIVE, *TRANSLATE),
    ),
    *(
        legal(
            f"it asks for a payment by {values[-1].partition(' ')[0]}",
            readable(*values),
            *each("no-login-challenge: a payment scheme in WWW-Authenticate"),
        )
        for values in (
            ['Payment id="x7Tg2pLq", realm="api", method="card", intent="charge", request="e30"'],
            ['L402 macaroon="AGIA", invoice="lnbc1"'],
            ["X402"],
        )
    ),
    legal(
        "its two rules are of one family, and the first fits",
        None,
        edit=both(
            lambda written: written["answer"].append(
                written["answer"][0] | {"name": "any", "when": {"jmespath": "code"}, "facts": {"code": "/code"}}
            ),
            answers(archive=("paywall", "any")),
        ),
        at=ARCHIVE,
    ),
    legal(
        "an endpoint has rules of two families, and one fits",
        None,
        edit=answers(archive=("credits", "paywall")),
        at=ARCHIVE,
    ),
    legal(
        "an endpoint has rules of three families, and each family has an endpoint of its own",
        None,
        edit=answers(translate=("decline", "paywall", "credits")),
    ),
    legal(
        "its profile waives what it does not send",
        hides("request_id", "scope", "unit", "payment_ref", "decline_code", "category", "reason", "docs_url"),
        edit=waive(**dict.fromkeys(("request_id", "scope", "unit", "payment_ref", "decline_code", "category"), "no")),
    ),
    legal(
        "its profile waives nearly everything",
        refusals(lambda answer: answer.become(402)),
        edit=both(
            rule(when=None),
            waive(
                **dict.fromkeys(("code", "message", "request_id", "decline_code", "category", "payment_ref"), "bare"),
                **dict.fromkeys(("required", "balance", "limit", "used", "remaining", "unit", "scope"), "bare"),
                **dict.fromkeys(("remedy", "resets_at"), "bare"),
            ),
        ),
    ),
)
