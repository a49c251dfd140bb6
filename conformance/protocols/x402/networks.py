"""What is known of networks and of the tokens on them."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["Domain", "caip2", "domain_of", "evm_networks", "is_evm", "is_test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """Name and version in a token's EIP-712 domain."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class _Known:
    names: Mapping[str, str]
    tests: frozenset[str]
    domains: Mapping[tuple[str, str], Domain]


@cache
def _known() -> _Known:
    table = tomllib.loads(Path(__file__).with_name("networks.toml").read_text("utf-8"))
    return _Known(
        names={row["name"]: key for key, row in table["networks"].items()},
        tests=frozenset(key for key, row in table["networks"].items() if row.get("test")),
        domains={(row["network"], row["address"].lower()): Domain(**row["domain"]) for row in table["assets"]},
    )


def caip2(network: str) -> str:
    """The CAIP-2 id of an x402 v1 network name; anything else, and a CAIP-2 id, is returned as it is."""
    return _known().names.get(network, network)


def v1_name(network: str) -> str:
    """What x402 v1 calls a network; a CAIP-2 id without a name there is returned as it is."""
    return next((name for name, key in _known().names.items() if key == network), network)


def is_evm(network: str) -> bool:
    """Whether addresses on ``network`` are EVM addresses, as far as its name tells."""
    return caip2(network).startswith("eip155:")


def is_test(network: str) -> bool:
    """Whether ``network`` is known as one whose money is worth nothing."""
    return caip2(network) in _known().tests


def evm_networks() -> Mapping[str, str]:
    """The EVM networks that x402 v1 has a name for: CAIP-2 id -> that name."""
    return {network: name for name, network in _known().names.items() if is_evm(network)}


def domain_of(network: str, asset: str) -> Domain | None:
    """The EIP-712 domain of a known token; None for an unknown one."""
    return _known().domains.get((caip2(network), asset.lower()))
