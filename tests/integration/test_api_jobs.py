"""`/v1/jobs`, and the two that ask a network, over HTTP."""

from __future__ import annotations

import pytest

from app.services.replay import ReplayRequest
from tests.fakes.ultimate_multisite_network import FakeNetwork
from tests.integration.edge import edge, found
from tests.integration.networks import connect, network_source

NOBODY = "rcn_00000000000000000000000000"


@pytest.fixture
async def node(database, sealer, clock):
    async with edge(database, sealer, clock) as made:
        # The application asks by the world's scripted door.
        made.runtime.services.backfills._platform = made.world.platform
        yield made


@pytest.fixture
async def api(node):
    async with node.client() as client:
        yield client


@pytest.fixture
async def source(node) -> str:
    network = FakeNetwork()
    network.plant_customers(3)
    return await network_source(node.world, network, "network")


async def test_a_reconciliation_is_accepted_and_can_be_looked_at(api, source):
    asked = {"since": "2026-11-20T00:00:00Z"}
    answer = await api.post(f"/v1/sources/{source}/reconcile", json=asked)
    assert answer.status_code == 202
    made = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{made['id']}"
    assert (made["kind"], made["state"], made["source_id"]) == ("reconcile", "queued", source)
    assert (made["since"], made["dry_run"]) == ("2026-11-20T00:00:00Z", False)
    assert (await api.get(answer.headers["location"])).json() == made


async def test_a_source_is_reconciled_once_at_a_time(api, source):
    first = await api.post(f"/v1/sources/{source}/reconcile", headers={"idempotency-key": '"a"'})
    again = await api.post(f"/v1/sources/{source}/reconcile", headers={"idempotency-key": '"a"'})
    assert again.json() == first.json()
    assert (await api.post(f"/v1/sources/{source}/reconcile")).status_code == 409


async def test_a_source_without_keys_is_refused(node, api):
    keyless = await node.world.source("keyless")
    answer = await api.post(f"/v1/sources/{keyless}/reconcile")
    assert answer.status_code == 409
    assert "no access to the API" in answer.json()["detail"]
    unknown = keyless[:-1] + ("0" if keyless[-1] != "0" else "1")
    assert (await api.post(f"/v1/sources/{unknown}/reconcile")).status_code == 404


async def test_a_backfill_counts_first(node, api, source):
    target = await node.world.target("crm")
    path = f"/v1/targets/{target}/backfill"
    counted = await api.post(path, json={"source": "network", "dry_run": True})
    assert counted.status_code == 200
    assert (counted.json()["id"], counted.json()["total"]) == (None, 3)
    made = await api.post(path, json={"source": source})
    assert made.status_code == 202
    shown = made.json()
    assert (shown["kind"], shown["total"], shown["target_id"]) == ("backfill", 3, target)


async def test_keys_that_the_network_refuses_are_told_at_once(node, api, source):
    target = await node.world.target("crm")
    connect(node.world, FakeNetwork(enable_api=False))
    answer = await api.post(f"/v1/targets/{target}/backfill", json={"source": "network"})
    assert answer.status_code == 502
    assert answer.json()["type"] == "platform-refused"


async def test_jobs_of_every_kind_stand_in_one_list(node, api, source):
    target = await node.world.target("crm")
    replay = await node.runtime.services.replays.start(ReplayRequest(target=target))
    backfill = (await api.post(f"/v1/targets/{target}/backfill", json={"source": source})).json()
    reconcile = (await api.post(f"/v1/sources/{source}/reconcile")).json()
    newest_first = [reconcile["id"], backfill["id"], replay.id]
    assert await found(api, "/v1/jobs") == newest_first
    first = (await api.get("/v1/jobs", params={"limit": 1})).json()
    assert [one["id"] for one in first["items"]] == newest_first[:1]
    assert await found(api, "/v1/jobs", cursor=first["next"]) == newest_first[1:]
    assert await found(api, "/v1/jobs", kind="backfill") == [backfill["id"]]


async def test_a_job_is_cancelled_once(api, source):
    made = (await api.post(f"/v1/sources/{source}/reconcile")).json()
    answer = await api.post(f"/v1/jobs/{made['id']}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert (await api.post(f"/v1/jobs/{made['id']}/cancel")).status_code == 409


@pytest.mark.parametrize("job_id", [NOBODY, "rcn_1", "evt_00000000000000000000000000", "%00"])
async def test_an_id_that_is_none_is_not_found(api, job_id):
    assert (await api.get(f"/v1/jobs/{job_id}")).status_code == 404
    assert (await api.post(f"/v1/jobs/{job_id}/cancel")).status_code == 404


@pytest.mark.parametrize("cursor", ["x", "evt_1", "ZXZ0XzAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw"])
async def test_a_cursor_of_something_else_is_refused(api, cursor):
    assert (await api.get("/v1/jobs", params={"cursor": cursor})).status_code == 400


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("sources/{source}/reconcile", {"since": "yesterday"}),
        ("sources/{source}/reconcile", {"since": "9999-12-31T23:59:59-12:00"}),
        ("sources/{source}/reconcile", {"dry_run": "yes"}),
        ("sources/{source}/reconcile", {"until": "2026-11-20T00:00:00Z"}),
        ("targets/{target}/backfill", {}),
        ("targets/{target}/backfill", {"source": "a\u0000b"}),
        ("targets/{target}/backfill", {"source": "network", "force": True}),
    ],
)
async def test_what_cannot_be_asked_is_refused(node, api, source, path, wrong):
    target = await node.world.target("crm")
    answer = await api.post("/v1/" + path.format(source=source, target=target), json=wrong)
    assert answer.status_code == 422
