"""The fault table: what is wrong with a server, and the exact requirements that say so.

A fault is named by a fact about the bad server. It acts on the sandbox's answers at some of its endpoints; ``red`` are
the requirements that it breaks there (violated, unmet, or noted on a MAY) and no others. Many are bugs that were
shipped once. What only recorded evidence can show is a second table, decided without a server.
"""

from dataclasses import dataclass
from typing import Any

from fault import Fault
from fault_body import BODY
from fault_browser import BROWSER
from fault_http import HTTP
from fault_leak import LEAK
from fault_offer import OFFER
from fault_terms import TERMS
from judging import Edit
from serving import coded

from conformance.exchange import Exchange, Failure, Request, Response
from conformance.outcome import Outcome

__all__ = ["FAULTS", "RECORDED", "Recorded"]

FAULTS: tuple[Fault, ...] = (*HTTP, *BODY, *LEAK, *BROWSER, *OFFER, *TERMS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Evidence of one exchange with a target that no test can serve, and what it comes to."""

    name: str
    requirement: str
    base_url: str
    label: str = ""
    """What the exchange is called; empty where there is none."""
    exchange: Exchange | None = None
    edit: Edit | None = None
    """What its profile says otherwise than the sandbox's."""
    outcome: Outcome


_ASKED = Request(method="GET", url="http://api.example.com/weather")


def _over_http(response: Response | None, failure: Failure | None = None) -> Exchange:
    return Exchange(request=_ASKED, response=response, failure=failure)


def _offered(base_url: str, resource: str) -> Exchange:
    """The refusal of ``base_url``/weather, with an offer for ``resource``."""
    challenge = coded({"x402Version": 2, "resource": {"url": resource}, "accepts": []})
    return Exchange(
        request=Request(method="GET", url=f"{base_url}/weather"),
        response=Response(status=402, headers=(("PAYMENT-REQUIRED", challenge),)),
    )


def _in_production(written: dict[str, Any]) -> None:
    written["target"]["environment"] = "production"


RECORDED = (
    Recorded(
        name="the target is not encrypted",
        requirement="http.secure-transport",
        base_url="http://api.example.com",
        outcome=Outcome.UNMET,
    ),
    Recorded(
        name="the target makes its offer over http as well",
        requirement="http.secure-transport",
        base_url="https://api.example.com",
        label="plain-http",
        exchange=_over_http(Response(status=402)),
        outcome=Outcome.UNMET,
    ),
    Recorded(
        name="the target serves over http",
        requirement="http.secure-transport",
        base_url="https://api.example.com",
        label="plain-http",
        exchange=_over_http(Response(status=200)),
        outcome=Outcome.UNMET,
    ),
    Recorded(
        name="the resource is named with a scheme that the target does not have",
        requirement="x402.offer.resource-names-request",
        base_url="https://api.example.com",
        label="unpaid",
        exchange=_offered("https://api.example.com", "http://api.example.com/weather"),
        outcome=Outcome.UNMET,
    ),
    Recorded(
        name="the resource of a target in production has another host",
        requirement="x402.offer.resource-names-request",
        base_url="https://api.example.com",
        label="unpaid",
        exchange=_offered("https://api.example.com", "https://staging.example.com/weather"),
        edit=_in_production,
        outcome=Outcome.UNMET,
    ),
    Recorded(
        name="the challenge does not fit what the client reads",
        requirement="x402.offer.header-size",
        base_url="https://api.example.com",
        label="unpaid",
        exchange=_over_http(None, Failure(kind="header-limit", detail="longer than 100 KiB")),
        outcome=Outcome.UNMET,
    ),
    *(
        Recorded(
            name=f"the Content-Length is that of {what}",
            requirement="http.content-length",
            base_url="https://api.example.com",
            label="unpaid",
            exchange=_over_http(Response(status=402, headers=(("Content-Length", length),), body=b'{"code":"unpaid"}')),
            outcome=Outcome.VIOLATED,
        )
        for what, length in (("another content", "175"), ("no content", "0"))
    ),
)
