"""Google's collecting server: it answers 204 to everything, and keeps what a property would show.

`hits` is every event that arrived well-formed for the right stream, `reported` is what is left
after purchases with a known transaction id were removed, `discarded` is what GA4 would lose
without a word.
"""

from __future__ import annotations

from typing import Any

from tests.contract.loading import request_errors
from tests.fakes import Answer, Call, Fake, as_json


class FakeGA4(Fake):
    """A property with one web stream."""

    def __init__(self, measurement_id: str = "G-TEST123", api_secret: str = "s3cret") -> None:
        super().__init__()
        self.measurement_id = measurement_id
        self.api_secret = api_secret
        self.hits: list[dict[str, Any]] = []
        self.reported: list[dict[str, Any]] = []
        self.discarded: list[Any] = []
        self._transactions: set[str] = set()

    def counted(self, name: str) -> list[dict[str, Any]]:
        """The events of this name in the reports."""
        return [event for event in self.reported if event["name"] == name]

    def handle(self, call: Call) -> Answer:
        if call.method != "POST" or call.path not in {"/mp/collect", "/debug/mp/collect"}:
            return Answer(404)
        document = call.json
        errors = request_errors("ga4", "collect", document)
        if call.path == "/debug/mp/collect":
            return as_json(200, {"validationMessages": [_message(error) for error in errors]})
        if errors or not self._is_mine(call):
            self.discarded.append(document)
        else:
            self._keep(document)
        return Answer(204)

    def _is_mine(self, call: Call) -> bool:
        return (
            call.query.get("measurement_id") == self.measurement_id
            and call.query.get("api_secret") == self.api_secret
        )

    def _keep(self, document: dict[str, Any]) -> None:
        for event in document["events"]:
            hit = {**{key: value for key, value in document.items() if key != "events"}, **event}
            self.hits.append(hit)
            if event["name"] == "purchase":
                transaction = event["params"]["transaction_id"]
                if transaction in self._transactions:
                    continue
                self._transactions.add(transaction)
            self.reported.append(hit)


def _message(error: str) -> dict[str, str]:
    return {"fieldPath": "events", "description": error, "validationCode": "VALUE_INVALID"}
