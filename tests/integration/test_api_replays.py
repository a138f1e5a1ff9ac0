"""`/v1/replays` and the two shortcuts to it, over HTTP."""

from __future__ import annotations

import pytest

from tests.integration.edge import edge, found

NOBODY = "rpl_00000000000000000000000000"


@pytest.fixture
async def node(database, sealer, clock):
    async with edge(database, sealer, clock) as made:
        yield made


@pytest.fixture
async def api(node):
    async with node.client() as client:
        yield client


@pytest.fixture
async def target(node) -> str:
    return await node.world.target("billing")


async def test_a_replay_is_accepted_and_can_be_looked_at(node, api, target):
    await node.past_event(60)
    answer = await api.post("/v1/replays", json={"target": "billing", "type": "payment_*"})
    assert answer.status_code == 202
    made = answer.json()
    assert answer.headers["location"] == f"/v1/replays/{made['id']}"
    assert (made["state"], made["total"], made["done"], made["failed"]) == ("queued", 1, 0, 0)
    assert (made["target_id"], made["type"]) == (target, "payment_*")
    assert (await api.get(answer.headers["location"])).json() == made
    assert await found(api, "/v1/replays") == [made["id"]]


async def test_all_that_was_asked_for_is_shown(api, target):
    asked = {
        "type": "payment_*",
        "source": "shop",
        "status": "failed",
        "since": "2026-11-23T00:00:00Z",
        "until": "2026-11-24T00:00:00Z",
        "force": True,
    }
    made = (await api.post("/v1/replays", json={"target": "billing", **asked})).json()
    assert {name: made[name] for name in asked} == asked


async def test_a_dry_run_answers_200_with_the_count_and_leaves_nothing(node, api, target):
    await node.past_event(60)
    answer = await api.post("/v1/replays", json={"target": target, "dry_run": True})
    assert answer.status_code == 200
    assert "location" not in answer.headers
    assert (answer.json()["id"], answer.json()["total"], answer.json()["dry_run"]) == (
        None,
        1,
        True,
    )
    assert await found(api, "/v1/replays") == []


async def test_a_key_makes_it_safe_to_ask_again(api, target):
    body, headers = {"target": target}, {"idempotency-key": '"once"'}
    first = await api.post("/v1/replays", json=body, headers=headers)
    again = await api.post("/v1/replays", json=body, headers=headers)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert len(await found(api, "/v1/replays")) == 1


async def test_a_target_has_a_shortcut_that_needs_no_body(node, api, target):
    await node.past_event(60)
    answer = await api.post(f"/v1/targets/{target}/replay")
    assert (answer.status_code, answer.json()["total"]) == (202, 1)
    narrowed = await api.post(f"/v1/targets/{target}/replay", json={"type": "site_*"})
    assert narrowed.json()["total"] == 0


async def test_an_event_has_a_shortcut(node, api, target):
    event_id = await node.past_event(60)
    await node.past_event(60)
    answer = await api.post(f"/v1/events/{event_id}/replay", json={"target": "billing"})
    assert (answer.status_code, answer.json()["total"]) == (202, 1)
    assert (answer.json()["event_id"], answer.json()["target_id"]) == (event_id, target)
    everywhere = await api.post(f"/v1/events/{event_id}/replay")
    assert everywhere.json()["target_id"] is None


async def test_a_replay_is_cancelled_once(api, target):
    made = (await api.post("/v1/replays", json={"target": target})).json()
    answer = await api.post(f"/v1/replays/{made['id']}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert (await api.post(f"/v1/replays/{made['id']}/cancel")).status_code == 409


@pytest.mark.parametrize("replay_id", [NOBODY, "rpl_1", "%00", "x" * 1000])
async def test_an_id_that_is_none_is_not_found(api, replay_id):
    assert (await api.get(f"/v1/replays/{replay_id}")).status_code == 404
    assert (await api.post(f"/v1/replays/{replay_id}/cancel")).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"target": 5},
        {"target": "a\u0000b"},
        {"target": "billing", "types": ["x"]},
        {"target": "billing", "type": "NO"},
        {"target": "billing", "status": "pending"},
        {"target": "billing", "since": "yesterday"},
        {"target": "billing", "since": "2026-11-23T00:00:00"},
        {"target": "billing", "since": "2026-13-40T00:00:00Z"},
        {"target": "billing", "since": "9999-12-31T23:59:59-12:00"},
        {"target": "billing", "until": "0001-01-01T00:00:00+12:00"},
        {"target": "billing", "since": 1},
        {"target": "billing", "dry_run": "yes"},
        {"target": "billing", "since": "2026-11-24T00:00:00Z", "until": "2026-11-23T00:00:00Z"},
    ],
)
async def test_what_makes_no_sense_is_refused(api, target, wrong):
    answer = await api.post("/v1/replays", json=wrong)
    assert (answer.status_code, answer.json()["type"]) == (422, "validation-failed")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/replays", {"target": "nobody"}),
        ("/v1/targets/tgt_00000000000000000000000000/replay", {}),
        ("/v1/events/evt_00000000000000000000000000/replay", {}),
        ("/v1/events/x/replay", {}),
    ],
)
async def test_what_is_not_there_is_not_replayed(api, path, body):
    assert (await api.post(path, json=body)).status_code == 404


async def test_the_deliveries_of_a_replay_can_be_listed(api, target):
    assert await found(api, "/v1/deliveries", replay=NOBODY) == []
    assert (await api.get("/v1/deliveries", params={"replay": "x"})).status_code == 422


async def test_a_key_that_only_reads_starts_and_stops_nothing(node, api, target):
    made = await api.post("/v1/api-keys", json={"name": "eyes", "scope": "read"})
    async with node.client(made.json()["key"]) as reader:
        assert (await reader.get("/v1/replays")).status_code == 200
        for path in ("/v1/replays", f"/v1/replays/{NOBODY}/cancel", f"/v1/targets/{target}/replay"):
            assert (await reader.post(path, json={"target": target})).status_code == 403
