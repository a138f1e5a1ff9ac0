"""`/v1/quarantine`: what an authenticated sender sent is never lost, even when nobody can read it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from app.domain import strict_json
from app.domain.errors import RelayError, StoreUnavailable
from tests.captured import captured
from tests.integration.edge import Edge, edge, found

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
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


async def keep(
    node: Edge, body: bytes, event_type: str | None = "payment_received", **headers
) -> str:
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


@pytest.mark.parametrize(
    "header",
    [
        "authorization", "cookie", "proxy-authorization", "referer", "set-cookie",
        "stripe-signature", "webhook-signature", "x-api-key", "x-auth", "x-hub-signature-256",
        "x-secret", "x-session-id", "x-shopify-hmac-sha256", "x-webhook-token",
    ],
)  # fmt: skip
async def test_a_header_that_may_hold_a_credential_is_not_kept(node, api, header):
    request = node.world.request(b"{")
    request = replace(
        request,
        headers={"content-type": "application/json", "x-seen": "1", header: "canary"},
        query={"token": node.world.tokens["shop"]},
    )
    with pytest.raises(RelayError) as refused:
        await node.world.ingest.accept("shop", request)
    entry = (await api.get(f"/v1/quarantine/{refused.value.extra['quarantine_id']}")).json()
    assert entry["headers"] == {"x-seen": "1"}


async def test_a_header_with_the_token_of_the_url_is_not_kept(node, api):
    token = node.world.tokens["shop"]
    url = f"/webhooks/shop/payment_received?token={token}"
    request = replace(
        node.world.request(b"{", x_original_url=url, x_seen="1"), query={"token": token}
    )
    with pytest.raises(RelayError) as refused:
        await node.world.ingest.accept("shop", request)
    entry = (await api.get(f"/v1/quarantine/{refused.value.extra['quarantine_id']}")).json()
    assert entry["headers"] == {"x-seen": "1"}


@pytest.mark.parametrize(
    ("in_path", "shown"),
    [
        ("Payment_Received", "Payment_Received"),
        ("paiement_reçu", "paiement_reçu"),
        ("x\r\ny\x00", "x\\r\\ny\\x00"),
        ("x" * 64, "x" * 64),
        ("x" * 65, "x" * 63 + "…"),
        (None, None),
    ],
)
async def test_what_stood_in_the_path_is_shown_and_never_becomes_another_type(
    node, api, in_path, shown
):
    entry_id = await keep(node, b"{", in_path)
    entry = (await api.get(f"/v1/quarantine/{entry_id}")).json()
    assert entry["event_type"] == shown
    assert (await api.post(f"/v1/quarantine/{entry_id}/release")).status_code == 400


async def test_a_request_without_a_body_waits_for_a_decision_like_any_other(node, api):
    entry_id = await keep(node, b"")
    answer = await api.post(f"/v1/quarantine/{entry_id}/release")
    assert (answer.status_code, answer.json()["type"]) == (400, "unreadable-body")
    assert await found(api, "/v1/quarantine", state="open") == [entry_id]
    assert (await api.post(f"/v1/quarantine/{entry_id}/discard")).json()["state"] == "discarded"


async def test_a_corrected_mapping_may_speak_of_a_header_that_nobody_asked_for_before(node, api):
    await node.world.source("erp", kind="cloudevents", settings={})
    with pytest.raises(RelayError) as refused:
        await node.world.send(
            b"{}", None, source="erp", ce_specversion="1.0", ce_id="1", ce_source="/s",
            ce_type="1", x_topic="order_paid", traceparent=TRACE,
        )  # fmt: skip
    entry_id = refused.value.extra["quarantine_id"]
    (source,) = [
        one for one in (await api.get("/v1/sources")).json()["items"] if one["name"] == "erp"
    ]
    settings = {"mapping": {"type": 'headers["x-topic"]'}}
    answer = await api.patch(f"/v1/sources/{source['id']}", json={"settings": settings})
    assert answer.status_code == 200, answer.text
    answer = await api.post(f"/v1/quarantine/{entry_id}/release")
    assert answer.status_code == 200, answer.text
    event = (await api.get(f"/v1/events/{answer.json()['event_id']}")).json()
    assert event["type"] == "order_paid"


async def test_bytes_that_are_no_text_are_shown_all_the_same(node, api):
    entry_id = await keep(node, b"\xff\x00\xfe")
    entry = (await api.get(f"/v1/quarantine/{entry_id}")).json()
    assert (entry["body"], entry["size"]) == ("�\x00�", 3)


@pytest.mark.parametrize("body", [b"", b"\xff\x00\xfe", b"[" * 70_000], ids=["none", "odd", "long"])
async def test_the_body_is_downloaded_byte_for_byte(node, api, body):
    entry_id = await keep(node, body)
    answer = await api.get(f"/v1/quarantine/{entry_id}/body")
    assert (answer.status_code, answer.content) == (200, body)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == f'attachment; filename="{entry_id}.bin"'


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


@pytest.mark.parametrize("settings", [{}, {"dedupe_window": 1}], ids=["as written", "read again"])
async def test_a_released_entry_happened_when_it_came_in_and_not_when_it_was_released(
    node, api, settings
):
    await node.world.target()
    entry_id = await keep_readable(node)
    node.clock.advance(3 * 86_400)
    entry = (await api.post(f"/v1/quarantine/{entry_id}/release")).json()
    event = (await api.get(f"/v1/events/{entry['event_id']}")).json()
    assert event["occurred_at"] == "2026-11-23T12:00:00Z"
    assert event["received_at"] == "2026-11-26T12:00:00Z"
    (source,) = (await api.get("/v1/sources")).json()["items"]
    await api.patch(f"/v1/sources/{source['id']}", json={"settings": settings})
    await node.world.configuration.refresh()
    await node.world.work()
    ((_, sent),) = node.world.sender.sent
    assert strict_json.read_strict(sent.content)["timestamp"] == "2026-11-23T12:00:00Z"


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


async def test_an_entry_that_two_nodes_release_at_once_becomes_one_event(
    node, api, database, sealer, clock
):
    entry_ids = [await keep_readable(node) for _ in range(10)]
    before = len(await found(api, "/v1/events"))
    async with edge(database, sealer, clock) as other, other.client() as there:
        answers = await asyncio.gather(
            *(
                client.post(f"/v1/quarantine/{entry_id}/release")
                for entry_id in entry_ids
                for client in (api, there)
            )
        )
    assert sorted(answer.status_code for answer in answers) == [200] * 10 + [409] * 10
    assert len(await found(api, "/v1/events")) == before + 10


async def test_a_release_that_cannot_be_noted_makes_no_event(node, api, monkeypatch):
    entry_id = await keep_readable(node)

    def broken(*_: object, **__: object) -> bool:
        raise StoreUnavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr("app.store.quarantine.settle", broken)
        assert (await api.post(f"/v1/quarantine/{entry_id}/release")).status_code == 503
    assert await found(api, "/v1/events") == []
    assert (await api.post(f"/v1/quarantine/{entry_id}/release")).status_code == 200
    assert len(await found(api, "/v1/events")) == 1


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
@pytest.mark.parametrize("path", ["{}", "{}/body", "{}/release", "{}/discard"])
async def test_an_id_that_is_none_is_not_found(api, path, entry_id):
    method = "POST" if path.endswith(("release", "discard")) else "GET"
    answer = await api.request(method, "/v1/quarantine/" + path.format(entry_id))
    assert (answer.status_code, answer.json()["type"]) == (404, "not-found")


async def test_a_closed_entry_is_removed_when_the_retention_is_over_and_an_open_one_never(
    node, api
):
    closed, still_open = await keep_readable(node), await keep(node, b"")
    node.clock.advance(40 * 86_400)
    assert (await api.post(f"/v1/quarantine/{closed}/release")).status_code == 200
    node.clock.advance(29 * 86_400)
    await node.world.upkeep.remove_old()
    assert await found(api, "/v1/quarantine") == [still_open, closed]
    node.clock.advance(2 * 86_400)
    await node.world.upkeep.remove_old()
    assert await found(api, "/v1/quarantine") == [still_open]
