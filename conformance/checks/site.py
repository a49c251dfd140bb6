"""Checks of class ``http`` on the target as a whole."""

import ipaddress
from urllib.parse import urlsplit

from conformance.checks import check
from conformance.evidence import Evidence
from conformance.gather import free_paths, loopback, plain_http, unknown_path
from conformance.outcome import Inapplicable, Violation


@check("http.unknown-path-is-not-402", unknown_path)
def test_unknown_path_is_not_402(evidence: Evidence) -> None:
    if (response := evidence.response("unknown-path")).status == 402:
        raise Violation(
            expected="404 for a path that does not exist", received=response.shown(), exchange="unknown-path"
        )


@check("http.free-paths", free_paths)
def test_free_paths(evidence: Evidence) -> None:
    if not (asked := evidence.labels("free ")):
        reason = "every such path is an endpoint of the profile"
        raise Inapplicable(reason)
    for label in asked:
        if (response := evidence.response(label)).status == 402:
            path = label.removeprefix("free ")
            raise Violation(
                expected=f"{path} without payment, or 404", received=response.shown(), at=path, exchange=label
            )


def _public(url: str) -> bool:
    """Whether the world can name the host: it is no private address, and its name has a dot."""
    host = urlsplit(url).hostname or ""
    try:
        return not ipaddress.ip_address(host).is_private
    except ValueError:
        return "." in host


@check("http.secure-transport", plain_http)
def test_secure_transport(evidence: Evidence) -> None:
    base = evidence.profile.target.base_url
    if loopback(base):
        reason = "the target is on this machine: loopback is exempt from https"
        raise Inapplicable(reason)
    if not _public(base):
        reason = "the target is at an address of a private network: nobody else can reach it, or read along"
        raise Inapplicable(reason)
    if base.startswith("http://"):
        raise Violation(expected="https", received=base, at="target.base_url")
    if "plain-http" not in evidence.exchanges:
        reason = "the target is not on the usual port of https, so that its http counterpart is unknown"
        raise Inapplicable(reason)
    exchange = evidence.exchange("plain-http")
    if exchange.response and exchange.response.status in {200, 402}:
        raise Violation(
            expected="a redirect to https, 426, or no answer", received=exchange.response.shown(), exchange="plain-http"
        )
