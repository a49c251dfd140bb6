"""x402, versions 1 and 2: what a server offers, read strictly and leniently.

Sources: x402-specification-v1.md and -v2.md, transports-v1/http.md and transports-v2/http.md.
"""

from conformance.protocols.x402.networks import Domain, caip2, domain_of, evm_networks, is_evm, is_test
from conformance.protocols.x402.offer import (
    CHALLENGE,
    PAYMENT,
    Offer,
    Way,
    advertised,
    from_body,
    from_header,
    offer_in,
    way_of,
)
from conformance.protocols.x402.reading import Malformed, object_in_base64, standard_base64

__all__ = [
    "CHALLENGE",
    "PAYMENT",
    "Domain",
    "Malformed",
    "Offer",
    "Way",
    "advertised",
    "caip2",
    "domain_of",
    "evm_networks",
    "from_body",
    "from_header",
    "is_evm",
    "is_test",
    "object_in_base64",
    "offer_in",
    "standard_base64",
    "way_of",
]
