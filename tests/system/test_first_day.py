"""What a shop sees on its first day: real requests in, signed webhooks, contacts and sales out.

The real server runs as a process on a real database; what is sent is what the real platform sent.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.captured import Captured, captured, names
from tests.fakes import Answer, Call
from tests.fakes.ga4 import FakeGA4
from tests.fakes.hubspot import FakeHubSpot
from tests.fakes.webhook_sink import WebhookSink
from tests.system.relay_process import RelayProcess, until

CAPTURES = [captured(name) for name in names()]
LIVE = [capture for capture in CAPTURES if capture.live]
TEST_BUTTON = [capture for capture in CAPTURES if not capture.live]
#: What belongs to the connection, which the client makes anew.
CONNECTION = frozenset({"host", "connection", "content-length"})
#: What stands in the captured bodies and must not be read by whoever reads the log.
SECRETS_IN_BODIES = (
    "OOOB3MTUY3",  # the key of verification_link
    "888N3A9QA5",
    "payment=JJJ3D441JW",  # default_payment_url
    "reference=JJJ3D4413E",  # payment_invoice_url
    "janea4@customer.example",
)


@dataclass
class Day:
    """A relay with one source and its three targets, and what the outside got to see."""

    relay: RelayProcess
    sink: WebhookSink
    ga4: FakeGA4
    hubspot: FakeHubSpot
    token: str = ""
    ingest_url: str = ""
    targets: dict[str, str] = field(default_factory=dict)

    def open(self) -> None:
        """Make the source and the targets."""
        source = self.relay.make("/v1/sources", name="um", kind="ultimate_multisite")
        self.token, self.ingest_url = source["token"], source["ingest_url"]
        hook = self._target("hook", "webhook", url=self.sink.url)
        self.sink.trust(hook["signing_secret"])
        self._target(
            "analytics",
            "ga4",
            base_url=self.ga4.base_url,
            measurement_id=self.ga4.measurement_id,
            api_secret=self.ga4.api_secret,
        )
        self._target("crm", "hubspot", base_url=self.hubspot.base_url, token=self.hubspot.token)

    def _target(self, name: str, connector: str, **settings: str) -> dict[str, Any]:
        made = self.relay.make("/v1/targets", name=name, connector=connector, settings=settings)
        self.targets[name] = made["id"]
        return made

    def send(self, capture: Captured, body: bytes | None = None, **headers: str) -> httpx.Response:
        """Send a capture as the platform did: its bytes, its header, its type in the path."""
        own = {k: v for k, v in capture.headers.items() if k.lower() not in CONNECTION}
        with httpx.Client(verify=False, trust_env=False, timeout=30) as client:
            client.headers.clear()
            return client.post(
                f"{self.relay.base}/webhooks/um/{capture.event}",
                params={"token": self.token},
                content=capture.raw_body if body is None else body,
                headers={**own, **headers},
            )

    async def send_all(self, captures: list[Captured]) -> dict[str, Captured]:
        """Send captures one after another; answers them by the id each event got."""
        sent = {}
        for capture in captures:
            answer = await asyncio.to_thread(self.send, capture)
            assert answer.status_code == 202, (capture.name, answer.text)
            assert answer.json()["type"] == capture.event
            sent[answer.json()["id"]] = capture
        assert len(sent) == len(captures)
        await self.settled()
        return sent

    async def settled(self) -> None:
        """Wait until nothing is left to be delivered."""
        await until(
            lambda: (
                not any(
                    self.relay.every("/v1/deliveries", status=status)
                    for status in ("pending", "in_flight")
                )
            )
        )

    def deliveries(self, target: str) -> dict[str, dict[str, Any]]:
        """A target's deliveries by the id of their event."""
        found = self.relay.every("/v1/deliveries", target=target)
        return {delivery["event_id"]: delivery for delivery in found}

    def links(self) -> list[dict[str, Any]]:
        """What the CRM calls whom, as the API shows it."""
        return self.relay.every(f"/v1/targets/{self.targets['crm']}/links")


@pytest.fixture
async def day(fresh_database_url: str, tmp_path: Path) -> AsyncIterator[Day]:
    relay = RelayProcess(
        fresh_database_url, tmp_path, RELAY_LOG_LEVEL="debug", RELAY_LOG_FORMAT="json"
    )
    async with AsyncExitStack() as stack:
        stack.callback(relay.close)
        made = Day(
            relay,
            await stack.enter_async_context(WebhookSink().serve()),
            await stack.enter_async_context(FakeGA4().serve()),
            await stack.enter_async_context(FakeHubSpot().serve()),
        )
        await asyncio.to_thread(relay.serve)
        await asyncio.to_thread(made.open)
        yield made


async def test_every_live_request_arrives_where_it_belongs(day: Day):
    sent = await day.send_all(LIVE)

    assert not day.sink.refused
    arrived = {call.json["id"]: call for call in day.sink.requests}
    assert set(arrived) == set(sent)
    assert len(day.sink.requests) == len(sent)
    for event_id, capture in sent.items():
        _is_the_event(arrived[event_id], event_id, capture)
        stored = day.relay.api.get(f"/v1/events/{event_id}/body")
        assert stored.content == capture.raw_body

    (purchase,) = day.ga4.counted("purchase")
    assert (purchase["params"]["value"], purchase["params"]["currency"]) == (59.99, "USD")
    assert not day.ga4.discarded
    counted = Counter(hit["name"] for hit in day.ga4.hits)
    assert counted["purchase"] == 1

    ((contact, properties),) = day.hubspot.contacts.items()
    assert properties["email"] == "janea4@customer.example"
    assert (properties["firstname"], properties["lastname"]) == ("Jane", "Doe")
    assert properties["plan"] == "Pro Plan a4"
    assert properties["signup_date"] == "2026-11-23"

    (link,) = day.links()
    assert (link["subject"], link["external_id"]) == ("um/customer/2", contact)

    writes = len(day.hubspot.calls)
    later = captured("payment_received")
    body = later.raw_body.replace(b'"customer_name":"Jane Doe"', b'"customer_name":"Jane Roe"')
    assert day.send(later, body).status_code == 202
    await until(lambda: len(day.hubspot.calls) > writes)
    await day.settled()
    (update,) = day.hubspot.calls[writes:]
    assert (update.method, update.path) == ("PATCH", f"/crm/v3/objects/contacts/{contact}")
    assert day.hubspot.contacts[contact]["lastname"] == "Roe"
    assert len(day.ga4.counted("purchase")) == 1


async def test_the_test_button_reaches_webhooks_and_nothing_that_counts_people_or_money(day: Day):
    sent = await day.send_all(TEST_BUTTON)

    assert all(day.relay.api.get(f"/v1/events/{event}").json()["test"] is True for event in sent)
    assert {call.json["id"] for call in day.sink.requests} == set(sent)
    assert all(call.json["test"] is True for call in day.sink.requests)
    assert not day.sink.refused
    for target in ("analytics", "crm"):
        deliveries = day.deliveries(target)
        assert set(deliveries) == set(sent)
        assert {delivery["status"] for delivery in deliveries.values()} == {"skipped"}
        assert all("test" in delivery["reason"].lower() for delivery in deliveries.values())
    assert day.ga4.calls == []
    assert day.hubspot.calls == []


async def test_no_secret_of_a_request_stands_in_the_log(day: Day):
    # The greeting of the first start shows the first credentials once, and an example to paste.
    greeting = day.relay.log.stat().st_size
    echo = f'{{"message":"The token {day.hubspot.token} is unknown"}}'
    day.hubspot.answer_next(Answer(401, echo.encode()))
    day.sink.answer_next(Answer(410))
    referer = f"{day.ingest_url}/payment_received?token={day.token}"
    for capture in LIVE:
        assert day.send(capture, Referer=referer).status_code == 202
    assert day.send(LIVE[0], LIVE[0].raw_body + b"}", Referer=referer).status_code == 400
    password = "planted-password-of-a-sender"
    day.token, valid = "planted-token-of-a-stranger", day.token
    assert day.send(LIVE[0], Authorization=f"Bearer {password}").status_code == 401
    await day.settled()
    day.relay.stop()

    log = day.relay.log.read_bytes()[greeting:].decode()
    assert "target.disabled" in log
    for secret in (
        valid,
        day.token,
        password,
        day.hubspot.token,
        day.ga4.api_secret,
        *SECRETS_IN_BODIES,
    ):
        assert secret not in log


def _is_the_event(call: Call, event_id: str, capture: Captured) -> None:
    """The message is the event: its type, its source, and the platform's own data."""
    document = call.json
    assert (document["id"], document["type"]) == (event_id, capture.event)
    assert document["source"] == "um"
    assert document["test"] is False
    assert document["data"] == capture.document
