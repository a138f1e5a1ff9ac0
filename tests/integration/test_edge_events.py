"""`/v1/events`: what came in, found again."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.captured import captured
from tests.integration.edge import Edge, edge, found

NO_EVENT = "evt_" + "0" * 26


@pytest.fixture
async def node(database, sealer, clock) -> AsyncIterator[Edge]:
    async with edge(database, sealer, clock) as made:
        yield made


@pytest.fixture
async def api(node) -> AsyncIterator[httpx.AsyncClient]:
    async with node.client() as client:
        yield client


async def test_events_are_listed_newest_first_in_pages(node, api):
    ids = [await node.past_event(age) for age in (50, 40, 30, 20, 10)]
    seen, cursor = [], None
    while len(seen) < 10:
        page = (
            await api.get(
                "/v1/events", params={"limit": 2} | ({"cursor": cursor} if cursor else {})
            )
        ).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == ids[::-1]


async def test_an_event_is_shown_with_the_contracts_fields(node, api):
    event_id = await node.past_event(1.5, external_id="their-7")
    assert (await api.get("/v1/events")).json()["items"] == [
        {
            "id": event_id,
            "type": "payment_received",
            "source": "shop",
            "subject": "shop/customer/2",
            "test": False,
            "occurred_at": "2026-11-23T11:59:58.500000Z",
            "received_at": "2026-11-23T11:59:58.500000Z",
            "external_id": "their-7",
            "origin": "live",
        }
    ]


@pytest.mark.parametrize(
    ("query", "ages"),
    [
        ({"type": "payment_received"}, [30]),
        ({"type": "membership_*"}, [20, 10]),
        ({"type": "*_expired"}, [10]),
        ({"type": "m*p_*ed"}, [20, 10]),
        ({"type": "membershipx*"}, [40]),
        ({"type": "*"}, [40, 30, 20, 10]),
        ({"type": "payment*received"}, [30]),
        ({"source": "shop"}, [40, 30]),
        ({"source": "other"}, [20, 10]),
        ({"source": "nobody"}, []),
        ({"subject": "other/customer/9"}, [20]),
        ({"subject": "other/customer"}, []),
        ({"test": "true"}, [40]),
        ({"test": "false"}, [30, 20, 10]),
        ({"since": "2026-11-23T11:59:40Z"}, [20, 10]),
        ({"until": "2026-11-23T11:59:40Z"}, [40, 30]),
        ({"since": "2026-11-23T12:59:30+01:00", "until": "2026-11-23T11:59:50Z"}, [30, 20]),
        ({"since": "2026-11-23T11:59:40Z", "type": "*expired", "source": "other"}, [10]),
        ({"since": "2027-01-01T00:00:00Z"}, []),
        ({"until": "1969-01-01T00:00:00Z"}, []),
        ({"since": "0001-01-01T00:00:00Z", "until": "9999-12-31T23:59:59Z"}, [40, 30, 20, 10]),
    ],
)
async def test_events_are_found_by_what_is_known_of_them(node, api, query, ages):
    ids = {
        40: await node.past_event(40, type="membershipx_made", test=True),
        30: await node.past_event(30),
        20: await node.past_event(
            20, type="membership_renewed", source="other", subject="other/customer/9"
        ),
        10: await node.past_event(10, type="membership_expired", source="other", subject=None),
    }
    assert await found(api, "/v1/events", **query) == [ids[age] for age in reversed(ages)]


async def test_the_events_of_a_source_are_found_by_its_id_as_well(node, api):
    source_id = await node.world.source()
    receipt = await node.world.send()
    await node.past_event(30, source="other")
    assert await found(api, "/v1/events", source=source_id) == [receipt.id]
    assert await found(api, "/v1/events", source="src_" + "0" * 26) == []


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"since": "yesterday"}, 422),
        ({"since": "2026-11-23"}, 422),
        ({"since": "2026-11-23T12:00:00"}, 422),
        ({"until": "1795435200"}, 422),
        ({"until": "2026-02-30T00:00:00Z"}, 422),
        ({"type": "UPPER"}, 422),
        ({"type": "x' OR 1=1"}, 422),
        ({"type": ""}, 422),
        ({"source": "a\x00b"}, 422),
        ({"subject": "a\x00b"}, 422),
        ({"subject": "a" * 256}, 422),
        ({"test": "perhaps"}, 422),
        ({"limit": "0"}, 422),
        ({"limit": "-1"}, 422),
        ({"limit": "1000000000"}, 422),
        ({"cursor": "tampered"}, 400),
    ],
)
async def test_a_filter_that_means_nothing_is_refused(api, query, status):
    answer = await api.get("/v1/events", params=query)
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )


async def test_the_cursor_of_another_list_is_refused(node, api):
    target = await node.world.target()
    for age in (3, 2, 1):
        await node.past_event(age, to=(target,))
    cursor = (await api.get("/v1/deliveries", params={"limit": 1})).json()["next"]
    answer = await api.get("/v1/events", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["type"]) == (400, "invalid-cursor")


async def test_an_event_is_shown_with_its_deliveries(node, api):
    first, second = await node.world.target("first"), await node.world.target("second")
    event_id = await node.past_event(to=(first, second))
    event = (await api.get(f"/v1/events/{event_id}")).json()
    assert event["id"] == event_id
    assert [(one["target"], one["status"]) for one in event["deliveries"]] == [
        ("first", "pending"),
        ("second", "pending"),
    ]
    assert {one["event_id"] for one in event["deliveries"]} == {event_id}


async def test_the_body_is_downloaded_byte_for_byte(node, api):
    await node.world.source()
    sent = captured("payment_received").raw_body
    event_id = (await node.world.send(sent)).id
    answer = await api.get(f"/v1/events/{event_id}/body")
    assert answer.content == sent
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"] == f'attachment; filename="{event_id}.json"'


@pytest.mark.parametrize("content_type", ["text/html", "image/svg+xml", "x/y\r\nset-cookie: a=b"])
async def test_a_body_is_never_shown_as_a_page_of_the_relays(node, api, content_type):
    event_id = await node.past_event(content_type=content_type, body=b"<script>1</script>")
    answer = await api.get(f"/v1/events/{event_id}/body")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "event_id", [NO_EVENT, "evt_1", "' OR 1=1", "%00", "x" * 1000, "dlv_" + "0" * 26, "🦊"]
)
@pytest.mark.parametrize("path", ["/v1/events/{}", "/v1/events/{}/body"])
async def test_an_id_that_is_none_is_not_found(api, path, event_id):
    answer = await api.get(path.format(event_id))
    assert (answer.status_code, answer.json()["type"]) == (404, "not-found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/replays"),
        ("GET", "/v1/replays"),
        ("GET", "/v1/replays/rpl_1"),
        ("POST", "/v1/replays/rpl_1/cancel"),
    ],
)
async def test_replays_need_a_key(node, method, path):
    async with node.client(None) as stranger:
        assert (await stranger.request(method, path)).status_code == 401
