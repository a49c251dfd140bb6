"""What the sandbox sells, and for how much."""

from dataclasses import dataclass

__all__ = ["GOODS", "Good", "Price"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """One way to pay, in the words of x402."""

    scheme: str = "exact"
    network: str = "eip155:84532"
    network_v1: str = "base-sepolia"
    """What version 1 calls the network."""
    amount: str
    """Atomic units."""
    asset: str = "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
    domain_name: str = "USDC"
    domain_version: str = "2"
    pay_to: str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C"
    max_timeout_seconds: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Good:
    """One route that costs."""

    path: str
    method: str = "GET"
    versions: tuple[int, ...]
    """The x402 versions in which it is offered."""
    description: str
    price: Price
    content: dict[str, object]
    """What the buyer gets."""
    flow: str = "authorization"
    """When it is settled: ``authorization`` or ``upfront`` (x402 version 2, section 6.1)."""
    identified: bool = False
    """Whether a payment may carry an identifier, under which the same answer is given once more."""


GOODS = (
    Good(
        path="/weather",
        versions=(2,),
        description="The weather of today",
        price=Price(amount="10000"),
        content={"city": "Paris", "sky": "sunny", "celsius": 21},
    ),
    Good(
        path="/forecast",
        versions=(1,),
        description="The weather of tomorrow",
        price=Price(amount="20000"),
        content={"city": "Paris", "sky": "overcast", "celsius": 17},
    ),
    Good(
        path="/almanac",
        versions=(1, 2),
        description="The weather of a hundred years",
        price=Price(amount="500000"),
        content={"city": "Paris", "record": "heatwave", "celsius": 43},
    ),
    Good(
        path="/report",
        method="POST",
        versions=(2,),
        description="A report on request",
        price=Price(amount="30000"),
        content={"report": "hailstorm", "pages": 3},
        identified=True,
    ),
    Good(
        path="/satellite",
        versions=(2,),
        description="A picture from above, made when it is paid for",
        price=Price(amount="40000"),
        content={"city": "Paris", "picture": "cloudless"},
        flow="upfront",
    ),
)
