"""Plausible: 202 to everything well-formed, also to what it throws away.

`events` is what is counted, with the visitor that address, browser and site come to.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from tests.contract.loading import request_errors
from tests.fakes import Answer, Call, Fake, as_json

_BOTS = ("curl", "python", "bot")
_DATA_CENTRES = (ipaddress.ip_network("203.0.113.0/24"),)


class FakePlausible(Fake):
    """One site."""

    def __init__(self, domain: str = "shop.example.com") -> None:
        super().__init__()
        self.domain = domain
        self.events: list[dict[str, Any]] = []

    def handle(self, call: Call) -> Answer:
        if (call.method, call.path) != ("POST", "/api/event"):
            return Answer(404)
        document = call.json
        if request_errors("plausible", "event", document):
            return as_json(400, {"errors": {"domain": ["can't be blank"]}})
        agent = call.headers.get("user-agent", "")
        # Without the header, the visitor is the server that speaks.
        address = ipaddress.ip_address(call.headers.get("x-forwarded-for", "203.0.113.9"))
        unwanted = any(address in network for network in _DATA_CENTRES) or any(
            bot in agent.lower() for bot in _BOTS
        )
        if unwanted or not agent or document["domain"] != self.domain:
            return Answer(202, b"ok", {"x-plausible-dropped": "1"})
        self.events.append({**document, "visitor": (str(address), agent)})
        return Answer(202, b"ok")
