"""The table of legal variants: servers as correct as the sandbox that differ from it wherever a source leaves a choice.

Nothing that a check says of them is red. What only recorded evidence can show is a second table, decided without a
server.
"""

from dataclasses import dataclass

from legal_asking import ASKING
from legal_body import BODY
from legal_browser import BROWSER
from legal_http import HTTP
from legal_offer import OFFER
from legal_resource import RESOURCE
from legal_terms import TERMS
from serving import coded
from variant import Legal

from conformance.exchange import Exchange, Failure, Request, Response

__all__ = ["LEGAL", "RECORDED_LEGAL", "RecordedLegal"]

LEGAL: tuple[Legal, ...] = (*HTTP, *BODY, *ASKING, *BROWSER, *OFFER, *RESOURCE, *TERMS)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedLegal:
    """Evidence of one exchange with a correct target that no test can serve."""

    name: str
    allows: str
    """Requirement id, colon, what is allowed; or the id alone."""
    base_url: str
    label: str = ""
    """What the exchange is called; empty where there is none."""
    exchange: Exchange | None = None


def _over_http(response: Response | None, failure: Failure | None = None) -> Exchange:
    return Exchange(
        request=Request(method="GET", url="http://api.example.com/weather"), response=response, failure=failure
    )


_TO_HTTPS = _over_http(Response(status=308, headers=(("Location", "https://api.example.com/weather"),)))

_FOR_THE_WORLD = coded({"x402Version": 2, "resource": {"url": "https://api.example.com/weather"}, "accepts": []})

RECORDED_LEGAL = (
    RecordedLegal(
        name="http leads to https",
        allows="http.secure-transport: a redirect from http to https",
        base_url="https://api.example.com",
        label="plain-http",
        exchange=_TO_HTTPS,
    ),
    RecordedLegal(
        name="http has to be upgraded",
        allows="http.secure-transport",
        base_url="https://api.example.com",
        label="plain-http",
        exchange=_over_http(Response(status=426)),
    ),
    RecordedLegal(
        name="nobody listens on the port of http",
        allows="http.secure-transport: no answer on http",
        base_url="https://api.example.com",
        label="plain-http",
        exchange=_over_http(None, Failure(kind="refused", detail="no connection")),
    ),
    RecordedLegal(
        name="https is on another port",
        allows="http.secure-transport",
        base_url="https://api.example.com:8443",
    ),
    RecordedLegal(
        name="localhost has a name",
        allows="http.secure-transport: http on loopback",
        base_url="http://shop.localhost:8080",
    ),
    *(
        RecordedLegal(
            name=f"the target is to be reached at {host} only",
            allows="http.secure-transport",
            base_url=f"http://{host}",
        )
        for host in ("api:8080", "192.168.0.7:8080", "10.1.2.3", "[fd00::7]:8080")
    ),
    *(
        RecordedLegal(
            name=f"a target at {base_url} is known to the world by another address",
            allows="x402.offer.resource-names-request",
            base_url=base_url,
            label="unpaid",
            exchange=Exchange(
                request=Request(method="GET", url=f"{base_url}/weather"),
                response=Response(status=402, headers=(("PAYMENT-REQUIRED", _FOR_THE_WORLD),)),
            ),
        )
        for base_url in ("http://api:8080", "https://staging.example.com")
    ),
    RecordedLegal(
        name="the challenge is to be had over https",
        allows="http.no-cross-origin-redirect: a redirect to https on the same host",
        base_url="http://api.example.com",
        label="unpaid",
        exchange=_TO_HTTPS,
    ),
    *(
        RecordedLegal(
            name=f"the content is {how}",
            allows=f"http.content-length: {phrase}" if phrase else "http.content-length",
            base_url="https://api.example.com",
            label="unpaid",
            exchange=_over_http(Response(status=402, headers=headers, body=b'{"code": "unpaid"}')),
        )
        for how, phrase, headers in (
            ("of no length that is said", "no Content-Length", ()),
            ("as long as it says", "", (("Content-Length", "18"),)),
            ("written anew by whoever recorded it", "", (("Content-Length", "17"),)),
            ("coded", "content that is coded or chunked", (("Content-Encoding", "gzip"), ("Content-Length", "38"))),
            (
                "chunked",
                "content that is coded or chunked",
                (("Transfer-Encoding", "chunked"), ("Content-Length", "38")),
            ),
        )
    ),
)
