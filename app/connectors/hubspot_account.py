"""A HubSpot account: where its API is, and what every request to it carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from app.connectors.base import LONG_ANSWER, Assignment
from app.connectors.classify import classify
from app.connectors.hubspot_replies import RULES
from app.domain import strict_json
from app.domain.outcome import Outcome

#: A hundred contacts with all that HubSpot says of a new one come to about half of this.
_LONGEST_ANSWER = 256 * 1024


@dataclass(frozen=True, slots=True)
class Account:
    """`base_url` is the API's, `objects` the URL that contacts and deals are below."""

    base_url: str
    objects: str
    headers: Mapping[str, str]
    token: str

    def request(self, method: str, url: str, document: Any = None) -> httpx.Request:
        """A request to a whole URL."""
        body = None if document is None else strict_json.write(document)
        extensions = {LONG_ANSWER: _LONGEST_ANSWER}
        return httpx.Request(
            method, url, headers=dict(self.headers), content=body, extensions=extensions
        )

    def record(self, kind: str, key: str, id_property: str | None = None) -> str:
        """The URL of one contact or deal, by its id or by the value of a unique property."""
        query = "" if id_property is None else f"?idProperty={id_property}"
        return f"{self.objects}/{kind}/{quote(key, safe='')}{query}"

    def failed(self, response: httpx.Response, assignment: Assignment) -> Outcome:
        """What a refusal means."""
        return classify(response, RULES, now=assignment.now, secrets=(self.token,))
