"""Judges a report again from its own evidence, without a target."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance import catalogue, checks
from conformance.evidence import Evidence
from conformance.exchange import Exchange
from conformance.outcome import Outcome
from conformance.profile import from_document
from conformance.run import decided

__all__ = ["Difference", "review"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A row whose evidence comes to something else than the report says."""

    requirement: str
    endpoint: str
    reported: str
    decided: str


def review(report: Mapping[str, Any]) -> Iterator[Difference]:
    """The rows of ``report`` (as JSON) that its evidence does not bear out; rows without evidence are passed over."""
    own = report["profile"]
    profile = from_document(own["document"], path=Path("report.toml"), name=own["name"])
    by_id = {check.requirement: check for found in checks.load().values() for check in found}
    requirements = catalogue.load().requirements
    exchanges = {key: Exchange.from_json(_whole(value, report["bodies"])) for key, value in report["exchanges"].items()}
    endpoints = {endpoint.name: endpoint for endpoint in profile.endpoints}
    for row in report["results"]:
        outcomes = []
        for labels in row.get("evidence", ()):
            evidence = Evidence(
                profile=profile,
                at=endpoints.get(row["endpoint"]),
                exchanges={label: exchanges[key] for label, key in labels.items()},
            )
            outcomes.append(decided(by_id[row["requirement"]], evidence, requirements[row["requirement"]].level))
        if not outcomes:
            continue
        outcome, finding = next((o for o in outcomes if o[0] is not Outcome.PASSED), outcomes[0])
        told = {k: v for k in finding.__slots__ if (v := getattr(finding, k))} if finding else None
        if outcome != row["outcome"] or told != row["finding"]:
            yield Difference(
                requirement=row["requirement"],
                endpoint=row["endpoint"],
                reported=f"{row['outcome']}: {row['finding']}",
                decided=f"{outcome}: {told}",
            )


def _whole(exchange: Mapping[str, Any], bodies: Mapping[str, Any]) -> dict[str, Any]:
    whole = {key: dict(value) if isinstance(value, dict) else value for key, value in exchange.items()}
    for half in ("request", "response"):
        body = whole.get(half, {}).get("body", {})
        if "sha256" in body:
            whole[half]["body"] = bodies[body["sha256"]]
    return whole
