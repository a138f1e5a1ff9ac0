"""`/v1/quarantine`: what an authenticated sender sent is never lost, even when nobody can read it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from app.domain.errors import RelayError
from tests.captured import captured
from tests.integration.edge import Edge, edge, found

NO_ENTRY = "qrn_" + "0" * 26
GOOD = captured("payment_received").raw_body


@pytest.fixture
async def node(database, sealer, clock) -> AsyncIterator[Edge]:
    async with edge(database, sealer, clock) as made:
        await made.world.source(settings={"dedupe_window": 0})
        yield made


@pytest.fixture
async def api(node) -> AsyncIterator[httpx.AsyncClient]:
    async with node.client() as client:
        yield client


async def keep(node: Edge, body: bytes, event_type: str = "payment_received", **headers) -> str:
    """Send what cannot be read; answers the id under which it was kept."""
    with pytest.raises(RelayError) as refused:
        await node.world.send(body, event_type, **headers)
    return refused.value.extra["quarantine_id"]


async def keep_readable(node: Edge) -> str:
    """Keep a body that is readable when it is released: its sender said that it was no JSON."""
    return await keep(node, GOOD, content_type="text/plain")


async def test_the_senders_answer_names_the_entry_and_the_entry_says_why(node, api):
    entry_id = await keep(node, b'{"a": 1', webhook_id="their-7")
    entry = (await api.get(f"/v1/quarantine/{entry_id}")).json()
    assert entry == {
        "id": entry_id,
        "source": "shop",
        "event_type": "payment_received",
        "state": "open",
        "problem": "unreadable-body",
        "detail": entry["detail"],
        "content_type": "application/json",
        "size": 7,
        "event_id": None,
        "received_at": "2026-11-23T12:00:00Z",
        "settled_at": None,
        "headers": {"webhook-id": "their-7"},
        "body": '{"a": 1',
        "truncated": False,
    }
    assert "not valid JSON" in entry["detail"]


async def test_no_credential_is_kept(node, api):
    entry_id = await keep(node, b"{", cookie="canary", referer="canary")
    text = (await api.get(f"/v1/quarantine/{entry_id}")).text
    assert "canary" not in text
    assert node.world.tokens["shop"] not in text


async def test_bytes_that_are_no_text_are_shown_all_the_same(node, api):
    entry_id = await keep(node, b"\xff\x00\xfe")
    entry = (await api.get(f"/v1/quarantine/{entry_id}")).json()
    assert (entry["body"], entry["size"]) == ("�\x00�", 3)


async def test_a_long_body_is_cut(node, api):
    entry_id = await keep(node, b"[" * 70_000)
    entry = (await api.get(f"/v1/quarantine/{entry_id}")).json()
    assert (len(entry["body"]), entry["size"], entry["truncated"]) == (65_536, 70_000, True)


async def test_entries_are_listed_newest_first_without_bodies(node, api):
    ids = [await keep(node, body) for body in (b"1", b"{", b"[]")]
    page = (await api.get("/v1/quarantine", params={"limit": 2})).json()
    assert [item["id"] for item in page["items"]] == ids[:0:-1]
    assert [item["size"] for item in page["items"]] == [2, 1]
    assert all("body" not in item for item in page["items"])
    rest = await found(api, "/v1/quarantine", limit=2, cursor=page["next"])
    assert rest == ids[:1]


async def test_entries_are_found_by_their_state(node, api):
    first, second = await keep(node, b"{"), await keep(node, b"[")
    await api.post(f"/v1/quarantine/{first}/discard")
    assert await found(api, "/v1/quarantine", state="open") == [second]
    assert await found(api, "/v1/quarantine", state="discarded") == [first]
    assert (await api.get("/v1/quarantine", params={"state": "x"})).status_code == 422


async def test_a_release_that_is_asked_for_again_by_its_key_gets_the_same_answer(node, api):
    entry_id = await keep_readable(node)
    key = {"Idempotency-Key": "release-1"}
    first = await api.post(f"/v1/quarantine/{entry_id}/release", headers=key)
    again = await api.post(f"/v1/quarantine/{entry_id}/release", headers=key)
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert len(await found(api, "/v1/events")) == 1


async def test_a_release_that_failed_is_carried_out_when_it_is_asked_for_again(node, api):
    entry_id = await keep(node, b'{"payment_id": 1}', "Not A Type")
    key = {"Idempotency-Key": "release-1"}
    for _ in range(2):
        answer = await api.post(f"/v1/quarantine/{entry_id}/release", headers=key)
        assert answer.status_code == 400
        assert "idempotency-replayed" not in answer.headers


async def test_a_released_entry_becomes_an_event_with_its_deliveries(node, api):
    await node.world.target()
    entry_id = await keep_readable(node)
    answer = await api.post(f"/v1/quarantine/{entry_id}/release")
    assert answer.status_code == 200, answer.text
    entry = answer.json()
    assert (entry["state"], entry["settled_at"]) == ("released", "2026-11-23T12:00:00Z")
    event = (await api.get(f"/v1/events/{entry['event_id']}")).json()
    assert (event["type"], len(event["deliveries"])) == ("payment_received", 1)
    assert (await api.get(f"/v1/events/{event['id']}/body")).content == GOOD


async def test_what_still_cannot_be_read_stays_open(node, api):
    entry_id = await keep(node, b"{")
    answer = await api.post(f"/v1/quarantine/{entry_id}/release")
    assert (answer.status_code, answer.json()["type"]) == (400, "unreadable-body")
    assert (await api.get(f"/v1/quarantine/{entry_id}")).json()["state"] == "open"
    assert await found(api, "/v1/quarantine") == [entry_id]


async def test_a_form_is_no_json_when_it_is_released_either(node, api):
    entry_id = await keep(node, b"a=1", content_type="application/x-www-form-urlencoded")
    answer = await api.post(f"/v1/quarantine/{entry_id}/release")
    assert (answer.status_code, answer.json()["type"]) == (400, "unreadable-body")
    assert (await api.get(f"/v1/quarantine/{entry_id}")).json()["state"] == "open"


async def test_an_entry_that_is_released_many_times_at_once_becomes_one_event(node, api):
    entry_id = await keep_readable(node)
    before = len(await found(api, "/v1/events"))
    answers = await asyncio.gather(
        *(api.post(f"/v1/quarantine/{entry_id}/release") for _ in range(5))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
    assert len(await found(api, "/v1/events")) == before + 1


@pytest.mark.parametrize("action", ["release", "discard"])
async def test_a_closed_entry_stays_as_it_is(node, api, action):
    entry_id = await keep(node, b"{")
    await api.post(f"/v1/quarantine/{entry_id}/discard")
    answer = await api.post(f"/v1/quarantine/{entry_id}/{action}")
    assert (answer.status_code, answer.json()["type"]) == (409, "conflict")


async def test_an_entry_of_a_removed_source_can_only_be_discarded(node, api):
    entry_id = await keep(node, b"{")
    (source,) = (await api.get("/v1/sources")).json()["items"]
    await api.delete(f"/v1/sources/{source['id']}")
    assert (await api.post(f"/v1/quarantine/{entry_id}/release")).status_code == 404
    assert (await api.post(f"/v1/quarantine/{entry_id}/discard")).status_code == 200


@pytest.mark.parametrize("entry_id", [NO_ENTRY, "qrn_1", "%00"])
@pytest.mark.parametrize("path", ["{}", "{}/release", "{}/discard"])
async def test_an_id_that_is_none_is_not_found(api, path, entry_id):
    method = "POST" if "/" in path else "GET"
    answer = await api.request(method, "/v1/quarantine/" + path.format(entry_id))
    assert (answer.status_code, answer.json()["type"]) == (404, "not-found")
