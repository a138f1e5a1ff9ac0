"""The product analytics side by side: how each is set up, what it answers, where its names stand."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from app.connectors.amplitude import Amplitude
from app.connectors.base import Assignment, Connector
from app.connectors.mixpanel import Mixpanel
from app.connectors.posthog import PostHog
from app.connectors.segment import Segment
from app.domain.model import Event
from tests.contract.driving import Played, play_by
from tests.contract.events import NOW, assignment, bound
from tests.contract.loading import request_errors
from tests.fakes import Fake
from tests.fakes.amplitude import FakeAmplitude
from tests.fakes.mixpanel import FakeMixpanel
from tests.fakes.posthog import FakePostHog
from tests.fakes.segment import FakeSegment


@dataclass(frozen=True)
class Vendor:
    """One of them; `path` is appended to a fake's address."""

    connector: type[Connector[Any]]
    credential: dict[str, str]
    operations: dict[str, str]
    taken: dict[str, Any]
    fake: Callable[[], Fake]
    records: Callable[[Any], list[dict[str, Any]]]
    event_name: Callable[[dict[str, Any]], str | None]
    path: str = ""

    def bind(self, mapping: dict[str, str] | None = None, **settings: Any) -> Any:
        """A connector with the right credential."""
        return bound(self.connector, mapping, **{**self.credential, **settings})

    def operation(self, request: httpx.Request) -> str:
        """The contract's name of what a request asks for."""
        return self.operations[request.url.path]

    def accept(self, request: httpx.Request) -> httpx.Response:
        """The reply to a request that is in order; fails when it is not."""
        document = Played(requests=[request]).documents[0]
        assert request_errors(self.connector.name, self.operation(request), document) == []
        return httpx.Response(200, json=self.taken[self.operation(request)])

    def told(self, of: Event, mapping: dict[str, str] | None = None, **settings: Any) -> Played:
        """What is sent for one event when everything is accepted."""
        return play_by(self.bind(mapping, **settings).deliver(assignment(of)), self.accept)

    def all_records(self, played: Played) -> list[dict[str, Any]]:
        """The records of all requests."""
        return [record for document in played.documents for record in self.records(document)]

    def names(self, played: Played) -> list[str]:
        """The names of the events that were sent."""
        return [name for one in self.all_records(played) if (name := self.event_name(one))]


VENDORS = {
    "posthog": Vendor(
        PostHog,
        {"project_api_key": "phc_correct"},
        {"/batch/": "batch"},
        {"batch": {"status": 1}},
        FakePostHog,
        lambda document: document["batch"],
        lambda record: record["event"],
    ),
    "mixpanel": Vendor(
        Mixpanel,
        {"project_token": "tok_correct"},
        {"/import": "import", "/engage": "engage"},
        {"import": {"code": 200, "status": "OK"}, "engage": {"status": 1, "error": None}},
        lambda: FakeMixpanel(clock=NOW.timestamp),
        lambda document: document,
        lambda record: record.get("event"),
    ),
    "amplitude": Vendor(
        Amplitude,
        {"api_key": "amp_correct"},
        {"/2/httpapi": "httpapi", "/batch": "httpapi"},
        {"httpapi": {"code": 200}},
        FakeAmplitude,
        lambda document: document["events"],
        lambda record: record["event_type"],
    ),
    "segment": Vendor(
        Segment,
        {"write_key": "wk_correct"},
        {"/v1/batch": "batch"},
        {"batch": {"success": True}},
        FakeSegment,
        lambda document: document["batch"],
        lambda record: record.get("event"),
        "/v1",
    ),
}


def assignments(*events: Event) -> list[Assignment]:
    """Deliveries of these events, each with an id of its own."""
    return [
        assignment(of, dedupe_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{number}/{of.id}")))
        for number, of in enumerate(events)
    ]


def texts(value: Any) -> Iterator[str]:
    """Every text in a document, names included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, held in value.items():
            yield name
            yield from texts(held)
    elif isinstance(value, list):
        for held in value:
            yield from texts(held)
