"""What CRMs that are written with an OAuth token have in common: every flow runs with a grant."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, TypeVar

import httpx
from pydantic import BaseModel

from app.connectors.base import Assignment, BatchFlow, Connector, Flow
from app.connectors.checking import asked
from app.connectors.classify import Rule, classify
from app.connectors.contact_fields import why_no_contact
from app.connectors.oauth import Authority, granted
from app.domain.model import Event
from app.domain.outcome import Outcome

SettingsT = TypeVar("SettingsT", bound=BaseModel)


class GrantedContacts(Connector[SettingsT]):
    """A CRM with one record per customer; the flows below ask without a token, which is added."""

    kind: ClassVar[str] = "crm"
    ordered: ClassVar[bool] = True
    uses_grant: ClassVar[bool] = True
    #: What the vendor's refusals mean.
    rules: ClassVar[Sequence[Rule]]
    #: Where tokens come from; set when the connector is bound.
    _authority: Authority

    def skip(self, event: Event) -> str | None:
        """Test events and deletions do not touch records."""
        return why_no_contact(event, self.facts.title)

    def check(self, assignment: Assignment) -> Flow:
        """Fetch a token, and read something harmless with it."""
        flow = asked(self._harmless(), assignment, self.rules, self._authority.secrets)
        return granted(flow, assignment, self._authority)

    def deliver(self, assignment: Assignment) -> Flow:
        """Write one record."""
        return granted(self._deliver(assignment), assignment, self._authority)

    def deliver_many(self, assignments: Sequence[Assignment]) -> BatchFlow:
        """Write several records with one request, each with a result of its own."""
        return granted(self._deliver_many(assignments), assignments[0], self._authority)

    @abstractmethod
    def _harmless(self) -> httpx.Request:
        """A request that changes nothing, and that a good token is answered well."""

    @abstractmethod
    def _deliver(self, assignment: Assignment) -> Flow:
        """Write one record."""

    @abstractmethod
    def _deliver_many(self, assignments: Sequence[Assignment]) -> BatchFlow:
        """Write several records."""

    def _failed(self, response: httpx.Response, assignment: Assignment) -> Outcome:
        secrets = self._authority.secrets
        return classify(response, self.rules, now=assignment.now, secrets=secrets)
