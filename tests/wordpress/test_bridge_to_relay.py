"""Everything the plugin can say, said by the plugin itself to the real relay.

One PHP process plays one request after another, and posts what each left in the outbox.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.domain.catalogue import BRIDGE_TYPES, CATALOGUE, bridge_example
from tests.captured import hook_data, names
from tests.fakes import loopback_client
from tests.fakes.webhook_sink import WebhookSink
from tests.system.relay_process import RelayProcess, until
from tests.wordpress.bridge_network import Network, Step, of, world
from tests.wordpress.test_bridge_events import CAPTURE, SAVED, steps_of

PARTS = ("customer", "membership", "payment", "site", "domain")
RESPOND: Step = ["respond"]


@dataclass
class Bridged:
    """A network whose bridge posts to a real relay, and what the relay makes of it."""

    network: Network
    relay: RelayProcess
    sink: WebhookSink
    constants: dict[str, Any]

    async def play(self, requests: list[list[Step]]) -> list[dict[str, Any]]:
        """Play requests in one PHP process; answers what the relay told on, in order."""
        before = len(self.sink.requests)
        steps = [step for request in requests for step in (*request, RESPOND)]
        first = {key: value for key, value in world().items() if key != "objects"}
        await asyncio.to_thread(self.network.request, steps, **first, constants=self.constants)
        assert self.network.outbox() == [], "the relay refused something"
        stored = len(self.events("wordpress"))
        await until(lambda: len(self.sink.requests) - before >= stored)
        told = {call.json["id"]: call.json for call in self.sink.requests[before:]}
        return [told[event["id"]] for event in reversed(self.events("wordpress"))]

    def events(self, source: str) -> list[dict[str, Any]]:
        """The stored events, newest first."""
        return self.relay.every("/v1/events", source=source)


@pytest.fixture
async def bridged(network: Network, tmp_path: Path) -> AsyncIterator[Bridged]:
    relay = RelayProcess(f"sqlite:///{tmp_path / 'relay.db'}", tmp_path)
    async with AsyncExitStack() as stack:
        stack.callback(relay.close)
        sink = await stack.enter_async_context(WebhookSink().serve())
        await asyncio.to_thread(relay.serve)
        source = relay.make("/v1/sources", name="wordpress", kind="ultimate_multisite")
        target = relay.make(
            "/v1/targets", name="sink", connector="webhook", settings={"url": sink.url}
        )
        sink.trust(target["signing_secret"])
        yield Bridged(
            network,
            relay,
            sink,
            {
                "LIFECYCLE_RELAY_URL": f"{relay.base}/webhooks/wordpress",
                "LIFECYCLE_RELAY_SECRET": source["signing_secret"],
            },
        )


def objects(name: str) -> Step:
    return ["objects", world(name)["objects"]]


def shown(document: dict[str, Any]) -> dict[str, Any]:
    """What the relay knows of an event, without what differs between any two events.

    Only a change of status knows the status before; the example of another payment keeps the
    address of the first one's page.
    """
    found: dict[str, Any] = {"type": document["type"], "test": document["test"]}
    for part in PARTS:
        found[part] = dict(document[part]) if document.get(part) else None
    if found["membership"] and "_status_to_" not in document["type"]:
        found["membership"]["previous_status"] = None
    if found["payment"]:
        found["payment"]["manage_url"] = None
    return found


async def test_the_relay_reads_every_type_as_it_reads_the_example_of_the_catalogue(
    bridged: Bridged,
):
    before: Step = ["set", "membership", 2, {"plan_id": 1}]
    requests = [[objects("domain_created"), CAPTURE]]
    for name in BRIDGE_TYPES:
        if name == "membership_plan_changed":
            # The first save leaves the plan that the second one changes.
            requests += [[objects(name), before, SAVED], [objects(name), SAVED]]
        else:
            requests.append([objects(name), *steps_of(name)])
    said = {document["type"]: document for document in await bridged.play(requests)}
    subjects = {event["type"]: event["subject"] for event in bridged.events("wordpress")}
    assert set(said) == set(BRIDGE_TYPES)

    other = bridged.relay.make("/v1/sources", name="python", kind="ultimate_multisite")
    headers = {"authorization": f"Bearer {other['token']}", "content-type": "application/json"}
    seen = len(bridged.sink.requests)
    async with loopback_client(headers=headers) as client:
        for name in BRIDGE_TYPES:
            body = json.dumps(bridge_example(name))
            answer = await client.post(f"{bridged.relay.base}/webhooks/python", content=body)
            assert answer.status_code == 202, answer.text
    await until(lambda: len(bridged.sink.requests) - seen == len(BRIDGE_TYPES))
    examples = {call.json["type"]: call.json for call in bridged.sink.requests[seen:]}
    for event in bridged.events("python"):
        name = event["type"]
        assert event["subject"].removeprefix("python") == subjects[name].removeprefix("wordpress")
        example, found = shown(examples[name]), shown(said[name])
        parts = CATALOGUE[name].parts
        assert {part: found[part] for part in parts} == {part: example[part] for part in parts}
        assert found.keys() == example.keys()
    assert not bridged.sink.refused


def saved(kind: str, *, new: bool) -> tuple[str, list[Any]]:
    return f"wu_{kind}_post_save", [[], kind, new]


def deleted(kind: str) -> tuple[str, list[Any]]:
    return f"wu_{kind}_post_delete", [1, kind]


def changed(kind: str, column: str = "status") -> tuple[str, list[Any]]:
    return f"wu_transition_{kind}_{column}", [f"old_{column}", f"new_{column}", "id"]


Hooked = tuple[str, list[Any]]
#: Each captured object data, the hooks that it came with, and the event it is.
#: What has none is told by another hook: a change of a payment by its status, a published site by
#: the platform's own event.
CAPTURED: dict[str, tuple[list[Hooked], str | None]] = {
    "checkout.completed": (
        [
            (
                "wu_checkout_done",
                ["payment", "membership", "customer", {}, "cart_type", {}],
            )
        ],
        "checkout_completed",
    ),
    "customer.created": ([saved("customer", new=True)], "customer_post_create"),
    "customer.updated": ([saved("customer", new=False)], "customer_post_update"),
    "customer.deleted": ([deleted("customer")], "customer_post_delete"),
    "domain.created": ([saved("domain", new=True)], "domain_created"),
    "domain.updated": ([saved("domain", new=False)], None),
    "domain.stage": ([changed("domain", "stage")], "domain_stage_to_done"),
    "membership.created": ([saved("membership", new=True)], "membership_post_create"),
    "membership.updated": ([saved("membership", new=False)], "membership_post_update"),
    "membership.deleted": ([deleted("membership")], "membership_post_delete"),
    "membership.renewed": (
        [("wu_membership_post_renew", ["2027-01-23 23:59:59", "id", "membership"])],
        "membership_renewed",
    ),
    "membership.cancelled": (
        [
            ("wu_transition_membership_status", ["active", "cancelled", "id"]),
            ("wu_membership_post_cancel", ["id", "membership"]),
        ],
        "membership_status_to_cancelled",
    ),
    **{
        f"membership.status.{status}": ([changed("membership")], f"membership_status_to_{status}")
        for status in ("active", "cancelled", "expired", "on-hold")
    },
    "payment.created": ([saved("payment", new=True)], "payment_post_create"),
    "payment.updated": ([saved("payment", new=False)], None),
    "payment.failed": (
        [("wu_recurring_payment_failed", ["membership", {"$": "gateway", "id": "stripe"}])],
        "payment_failed",
    ),
    **{
        f"payment.status.{status}": ([changed("payment")], f"payment_status_to_{status}")
        for status in ("completed", "partially-refunded")
    },
    "site.created": ([saved("site", new=True)], "site_post_create"),
    "site.published": ([("wu_pending_site_published", ["site", "membership"])], None),
    **{
        f"wu_event-{slug}": ([("wu_event", ["slug", "payload"])], slug)
        for slug in (
            *("confirm_email_address", "demo_site_expiring", "domain_created", "invoice_sent"),
            *("membership_expired", "payment_failed", "payment_received"),
            *("renewal_payment_created", "site_published"),
        )
    },
}


def captured_objects(data: dict[str, Any]) -> dict[str, Any]:
    """The platform's objects behind captured data."""
    found: dict[str, Any] = {
        kind: {str(data[kind]["id"]): data[kind]} for kind in PARTS & data.keys()
    }
    for entity in data.values():
        if isinstance(entity, dict) and isinstance(entity.get("plan"), dict):
            found.setdefault("product", {})[str(entity["plan"]["id"])] = entity["plan"]
    return found


def arguments(template: list[Any], name: str, data: dict[str, Any]) -> list[Any]:
    """The hook's arguments: objects and what the data say, in the platform's order."""
    kind = name.partition(".")[0]
    known = {**data, "slug": name.partition("-")[2], "id": data.get(kind, {}).get("id")}
    filled = []
    for one in template:
        if isinstance(one, str) and one in PARTS:
            filled.append(of(one, data[one]["id"]))
        else:
            filled.append(known.get(one, one) if isinstance(one, str) else one)
    return filled


async def test_the_relay_takes_every_captured_hook(bridged: Bridged):
    assert {name.removeprefix("hooks/") for name in names("hooks")} == set(CAPTURED)
    requests = []
    for name, (hooks, _) in CAPTURED.items():
        data = hook_data(name)
        steps: list[Step] = [["do", hook, arguments(given, name, data)] for hook, given in hooks]
        requests.append([["objects", captured_objects(data)], *steps])
    said = await bridged.play(requests)
    assert [one["type"] for one in said] == [told for _, told in CAPTURED.values() if told]
    by_fixture = dict(
        zip([name for name, (_, told) in CAPTURED.items() if told], said, strict=True)
    )
    cancelled = by_fixture["membership.cancelled"]["membership"]
    assert (cancelled["previous_status"], cancelled["cancellation_reason"]) == (
        "active",
        "too_expensive",
    )
    sold = by_fixture["checkout.completed"]
    assert (sold["payment"]["total"], sold["payment"]["status"]) == (59.99, "completed")
    assert sold["membership"]["plan"]["slug"] == "pro-plan-e1"
    assert sold["customer"]["email"] == "janee1@customer.example"
    refund = by_fixture["payment.status.partially-refunded"]["payment"]
    assert (refund["refund_total"], refund["total"]) == (-20, 39.99)
