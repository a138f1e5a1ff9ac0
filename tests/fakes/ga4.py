"""Google's collecting server: it answers 204 to everything, and keeps what a property would show.

`hits` is every event that arrived well-formed for the right stream, `reported` is what is left
after purchases with a known transaction id were removed, `discarded` is what GA4 would lose
without a word: what breaks the contract's schema or one of the limits that no schema can say.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.contract.loading import request_errors
from tests.fakes import Answer, Call, Fake, as_json

MOST_BYTES = 130_000
_OLDEST_SECONDS = 72 * 3600
_CLOCKS_DIFFER_BY = 60
_RESERVED = ("google_", "ga_", "firebase_", "gtag.")


class FakeGA4(Fake):
    """A property with one web stream."""

    def __init__(
        self,
        measurement_id: str = "G-TEST123",
        api_secret: str = "s3cret",
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.clock = clock
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
        if len(call.body) >= MOST_BYTES:
            return Answer(413)
        errors = request_errors("ga4", "collect", document)
        if call.path == "/debug/mp/collect":
            return as_json(200, {"validationMessages": [_message(error) for error in errors]})
        if errors or not self._is_mine(call) or not self._is_usable(document):
            self.discarded.append(document)
        else:
            self._keep(document)
        return Answer(204)

    def _is_mine(self, call: Call) -> bool:
        return (
            call.query.get("measurement_id") == self.measurement_id
            and call.query.get("api_secret") == self.api_secret
        )

    def _is_usable(self, document: dict[str, Any]) -> bool:
        """False for another time than the past 72 hours, and for names that are Google's own."""
        told = document.get("timestamp_micros")
        age = 0.0 if told is None else self.clock() - told / 1_000_000
        names = [name for event in document["events"] for name in event.get("params", {})]
        return -_CLOCKS_DIFFER_BY <= age <= _OLDEST_SECONDS and not any(
            name.lower().startswith(_RESERVED) for name in names
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
