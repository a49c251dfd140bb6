"""What one decision rests on: the profile's word, the labelled exchanges, and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass

from conformance.exchange import Exchange, Response
from conformance.outcome import Unanswered
from conformance.profile import Endpoint, Profile

__all__ = ["Evidence"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Exchanges by label, with the endpoint they were had at (None for a requirement on the whole target)."""

    profile: Profile
    at: Endpoint | None
    exchanges: Mapping[str, Exchange]

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint; only for requirements whose scope is ``endpoint``."""
        if self.at is None:
            msg = "a requirement on the whole target has no endpoint"
            raise LookupError(msg)
        return self.at

    def exchange(self, label: str) -> Exchange:
        """The exchange called ``label``; raises Unanswered when it was never had."""
        if (found := self.exchanges.get(label)) is None:
            reason = f"the request {label!r} was not sent"
            raise Unanswered(reason, exchange=label)
        return found

    def response(self, label: str) -> Response:
        """The answer called ``label``; raises Unanswered when there is none that can be read."""
        found = self.exchange(label)
        if found.failure or found.response is None:
            reason = found.failure.detail if found.failure else "no answer"
            raise Unanswered(reason, at=f"{found.request.method} {found.request.url}", exchange=label)
        return found.response

    def labels(self, start: str) -> tuple[str, ...]:
        """The labels that begin with ``start``, in the order in which they were asked."""
        return tuple(label for label in self.exchanges if label.startswith(start))

    def claimed(self, cls: str) -> bool:
        """Whether the profile claims the class by name."""
        return self.profile.claims is not None and cls in self.profile.claims.classes
