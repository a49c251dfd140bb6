"""Legal variants of what a refusal says in its content: numbers that are no cards, addresses that are nobody's."""

from typing import Any

from altering import becomes, browses, field, lacks, problem, when
from serving import Answer, Asked, Change, refusals, then
from variant import Legal, both, first, legal

__all__ = ["BODY"]

_PAGE = "<!doctype html><html lang=en><title>Pay</title><h1>Pay</h1></html>"
_V2 = ("/weather", "/report")
_BEHIND = {f"/behind/{name}": f"/{name}" for name in ("weather", "forecast", "almanac", "report")}
_PAN = "4000300011112220"


def _says(text: str, media_type: str) -> Change:
    """Another body where a refusal has problem details."""

    def change(_: Asked, answer: Answer) -> None:
        if answer.status == 402 and answer.get("content-type") == "application/problem+json":
            answer.body = text.encode()
            answer.set("Content-Type", media_type)

    return change


def _bodiless(answer: Answer) -> None:
    answer.body = b""
    answer.drop("content-type")


def _adds_to_page(text: str) -> Change:
    return when(browses, lambda answer: setattr(answer, "body", answer.body + f"<p>{text}</p>".encode()))


def _sends(**members: object) -> Any:
    """What is sent to the report."""

    def edit(written: dict[str, Any]) -> None:
        entry = next(e for e in written["endpoint"] if e["name"] == "report")
        entry["json"] = {"city": "Paris", **members}

    return edit


def _rule(**members: object) -> Any:
    """The weather's refusals have an answer rule."""

    def edit(written: dict[str, Any]) -> None:
        written["answer"] = [{"name": "unpaid", "family": "paywall", **members}]
        written["endpoint"][0]["answers"] = ["unpaid"]

    return edit


def _banned(written: dict[str, Any]) -> None:
    written["identity"]["banned"] = {"headers": {"X-Banned": "1"}, "expect": [401, 403]}


def _at(base_url: str) -> Any:
    return lambda written: written["target"].update(backend=f"{written['target']['base_url']}{base_url}")


BODY: tuple[Legal, ...] = (
    legal(
        "its body of version 2 is plain text",
        _says("{ pay", "text/plain; charset=utf-8"),
        "http.body-is-what-it-says: any other media type",
        "http.accept-json: any body beside an offer in the header",
        where=_V2,
    ),
    legal(
        "its body of version 2 has a media type of the shop",
        _says('{"pay": true}', "application/vnd.shop.v2+json"),
        "http.body-is-what-it-says: a media type that ends in +json",
        "http.accept-json: JSON of another media type",
        where=_V2,
    ),
    legal(
        "it has a media type and no content",
        _says("", "application/json"),
        "http.body-is-what-it-says: no content",
        where=_V2,
    ),
    legal(
        "it has neither content nor a media type",
        refusals(_bodiless),
        "http.accept-json: an empty body",
        where=_V2,
    ),
    legal("its JSON has a byte order mark", _says('\ufeff{"pay": true}', "application/json"), where=_V2),
    legal(
        "it names a card as receipts do",
        problem(
            card={"bin": "400030", "last4": "2220", "masked": "400030******2220", "exp_month": 8, "exp_year": 2030}
        ),
        "http.no-card-number: the first six and the last four digits",
        where=_V2,
    ),
    legal(
        "it has long numbers that are no cards",
        then(
            problem(
                request_id="4012888888881881",
                pspReference=4111111111111111,
                token="4012888888881881",
                amount="5555555555554444",
                created_at=1763719200000,
                support="+49 151 2345 6789 or +4915123456789",
                detail="Order no. 4111111111111111, trace 4012888888881881; IBAN DE44 5001 0517 5407 3249 31",
                hash="0x4111111111111111",
                uuid="40000000-0000-4000-8000-000000000000",
                version="1.4111111111111111",
                zeros=[0] * 16 + [4000000000000000, "4111111111111112"],
                barcode="4006381333931",
                order={"number": "4111111111111111"},
                nonce=123456789012345678,
                href="/orders/4111111111111111",
            ),
            field("X-Request-Id", "4111111111111111"),
            field("Set-Cookie", "visitor=4111111111111111; Path=/"),
            _adds_to_page('<i data-id="4111111111111111">call 0049 151 23456789</i><img src="/4111111111111111.png">'),
        ),
        "http.no-card-number: a phone number, an id, a time or an amount",
        where=_V2,
    ),
    legal(
        "it has what its profile allows it to have",
        problem(payer={"pan": _PAN, "cvc": "123", "mail": "jane.roe@post.example"}),
        "http.no-card-number: a place that answer.allow_sensitive names",
        where=("/weather",),
        edit=_rule(allow_sensitive=["/payer"]),
    ),
    legal(
        "it says what came of a security code",
        problem(cvc_check="pass", cvv="M", cvc=None, security_code="***", csc=["is required"], pin_block=""),
        "http.no-card-secret: what came of the check of a security code",
        where=_V2,
    ),
    legal(
        "it says by a number what is wrong with a security code",
        problem(errors={"cvc": "2003", "pan": "1002"}, limits={"cvc": 4}, cvc_length=4),
        "http.no-card-secret: a number that says what is wrong with a security code",
        where=_V2,
    ),
    legal(
        "it repeats what is no secret",
        problem(
            detail="No such method: 'pm_card_visa_chargeDeclined' for ethereum-classic, tok_chargeDeclined, Paris",
            asset="0x036CbD53842c5426634e7929541eC2318f3dCF7e",
            next_page="eyJhZnRlciI6",
            key="order-4711-a",
        ),
        "http.no-echo: the name of a payment method",
        where=_V2,
        edit=_sends(
            payment_method="pm_card_visa_chargeDeclined",
            source="tok_chargeDeclined",
            token="ethereum-classic",
            out_token="0x036CbD53842c5426634e7929541eC2318f3dCF7e",
            page_token="eyJhZnRlciI6",
            idempotency_key="order-4711-a",
        ),
    ),
    legal(
        "it happens to have what is short",
        problem(detail="pay 737 credits to go on; hunter2 is a name"),
        "http.no-echo: less than 8 characters that are not of a card",
        where=_V2,
        edit=_sends(password="hunter2", cvc="737"),
    ),
    legal(
        "it says whom to write to",
        then(
            problem(
                detail="Write to support@shop.example or billing-eu@shop.example; no-reply@post.example is not read."
            ),
            _adds_to_page(
                '<a href="mailto:jane.roe@post.example?subject=Pay">jane.roe@post.example</a> bootstrap@5.3.min.js'
            ),
        ),
        "http.no-personal-data: the address of a desk such as support",
    ),
    legal(
        "it repeats the address that was sent",
        problem(receipt_to="jane.roe@post.example"),
        "http.no-personal-data: an address that the profile sends",
        where=("/report",),
        edit=_sends(email="jane.roe@post.example"),
    ),
    legal(
        "it names an employee, and where the vendor is",
        problem(
            docs_url="https://docs.shop.example/402", author="jane.roe@shop.example", dsn="https://ab@o1.log.example/7"
        ),
        "http.no-personal-data: an address of the vendor's own domain",
        where=_V2,
    ),
    legal(
        "who is banned is forbidden to see it",
        when(lambda asked: "x-banned" in asked.headers, becomes(403)),
        "http.identities: any of the statuses that the profile expects",
        edit=_banned,
    ),
    legal(
        "its provider is down, and nobody is refused",
        then(when(lambda asked: "boom" in asked.query, becomes(503)), lacks("payment-required")),
        where=("/weather",),
        edit=both(_rule(), first(protocol=None, versions=None, terms=None)),
    ),
    legal("the service behind it is the same", None, edit=_at("/behind"), sells=_BEHIND),
    legal(
        "the service behind it uses other words",
        when(lambda asked: asked.path.startswith("/behind"), lambda answer: answer.become(402, "pay", "text/x-words")),
        "http.backend-agrees: other words and fields",
        where=(),
        edit=_at("/behind"),
        sells=_BEHIND,
    ),
    legal("it writes placeholders of its own", problem(detail="say <secret:HOME>"), where=_V2),
)
