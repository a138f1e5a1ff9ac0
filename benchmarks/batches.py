"""How many calls ten thousand events cost at the vendors that take batches, and how fast they go.

The events wait first and are then worked off by one worker process: the batches are those of a
backlog, not of a trickle.
GA4 takes one customer's events per request and is the yardstick; HubSpot gets customers that it
does not know, as after an import, and without its pace of four requests a second.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import uvloop

from app.domain import catalogue
from benchmarks.http import Load, post
from benchmarks.parts import Relay, Sink, numbered

#: Connector to the settings that lead it to the sink.
VENDORS: dict[str, dict[str, Any]] = {
    "ga4": {"measurement_id": "G-ABCDE12345", "api_secret": "secret"},
    "posthog": {"project_api_key": "phc_key"},
    "mixpanel": {"project_token": "token"},
    "amplitude": {"api_key": "key"},
    "segment": {"write_key": "key"},
    "hubspot": {"token": "pat-token"},
}
_CUSTOMERS = "customer_post_create"
_WAIT_SECONDS = 100


def customer(number: int) -> bytes:
    """A customer like no other."""
    told = {
        **catalogue.CATALOGUE[_CUSTOMERS].example,
        "customer_id": str(100_000 + number),
        "customer_user_email": f"customer{number}@example.com",
    }
    return json.dumps(told).encode()


def measure(database_url: str, place: Path, vendor: str, count: int) -> dict[str, float]:
    """Calls for ten thousand events, and events a second of one worker process."""
    event_type = _CUSTOMERS if vendor == "hubspot" else "payment_received"
    body = customer if vendor == "hubspot" else numbered
    sink = Sink("benchmarks.vendor_sink")
    try:
        process = Relay(database_url, place)
        process.start("--no-worker")
        token = process.source()
        values: dict[str, Any] = {"rate_limit": {"per_second": 1000}} if vendor == "hubspot" else {}
        settings = VENDORS[vendor] | {"base_url": f"http://127.0.0.1:{sink.port}"}
        made = process.client.post(
            "/v1/targets",
            json={"name": vendor, "connector": vendor, "settings": settings, **values},
        )
        made.raise_for_status()
        _send(process.port, token, event_type, body, count)
        process.stop()
        worker = process.command("worker")
        report = sink.wait_for(count, _WAIT_SECONDS)
        worker.terminate()
        worker.wait(40)
        process.client.close()
    finally:
        sink.stop()
    assert report["count"] == count, (vendor, report)
    return {"calls": report["calls"] * 10_000 / count, "rate": report["rate"]}


def _send(port: int, token: str, event_type: str, body: Callable[[int], bytes], count: int) -> None:
    def requests() -> Iterator[bytes]:
        for number in range(count):
            yield post(f"/webhooks/bench/{event_type}", body(number), token)

    async def run() -> dict[int, int]:
        load = Load(requests(), 50)
        await load.run(port)
        return load.statuses

    assert uvloop.run(run()) == {202: count}
