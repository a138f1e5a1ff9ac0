"""`/v1/targets/{id}/links` over HTTP: remembered ids can be seen and forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from app.store import target_state
from tests.integration.management import Management, management

NOW = 1_795_435_200_000_000


@pytest.fixture
async def made(database, sealer, clock) -> AsyncIterator[Management]:
    async with management(database, sealer, clock) as made:
        yield made


@pytest.fixture
async def api(made) -> AsyncIterator[httpx.AsyncClient]:
    async with made.client() as client:
        yield client


@pytest.fixture
async def path(made) -> str:
    target_id = await made.world.target()
    for number in (3, 1, 2):
        await made.database.write(
            lambda c, n=number: target_state.remember_link(
                c, target_id, f"shop/customer/{n}", f"40{n}", NOW
            )
        )
    return f"/v1/targets/{target_id}/links"


async def test_remembered_ids_are_listed_page_by_page(api, path):
    first = (await api.get(path, params={"limit": 2})).json()
    assert first["items"] == [
        {
            "subject": f"shop/customer/{number}",
            "external_id": f"40{number}",
            "created_at": "2026-11-23T12:00:00Z",
            "updated_at": "2026-11-23T12:00:00Z",
        }
        for number in (1, 2)
    ]
    second = (await api.get(path, params={"limit": 2, "cursor": first["next"]})).json()
    assert [item["external_id"] for item in second["items"]] == ["403"]
    assert second["next"] is None


async def test_one_subject_can_be_asked_for(api, path):
    found = (await api.get(path, params={"subject": "shop/customer/2"})).json()
    assert [item["external_id"] for item in found["items"]] == ["402"]


@pytest.mark.parametrize("subject", ["nobody", "a\0b", "s" * 1000])
async def test_a_subject_nobody_has_finds_nothing(api, path, subject):
    found = await api.get(path, params={"subject": subject})
    assert (found.status_code, found.json()) == (200, {"items": [], "next": None})


async def test_a_remembered_id_can_be_forgotten(api, path):
    subject = {"subject": "shop/customer/2"}
    assert (await api.delete(path, params=subject)).status_code == 204
    assert (await api.get(path, params=subject)).json()["items"] == []
    assert (await api.delete(path, params=subject)).status_code == 404
    assert len((await api.get(path)).json()["items"]) == 2


async def test_what_to_forget_must_be_said(api, path):
    answer = await api.delete(path)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "#/query/subject"
    assert (await api.delete(path, params={"subject": "a\0b"})).status_code == 404


async def test_a_cursor_of_another_list_is_refused(api, path):
    await api.post("/v1/sources", json={"name": "one", "kind": "standard_webhooks"})
    await api.post("/v1/sources", json={"name": "two", "kind": "standard_webhooks"})
    foreign = (await api.get("/v1/sources", params={"limit": 1})).json()["next"]
    answer = await api.get(path, params={"cursor": foreign})
    assert answer.status_code == 400
    assert answer.json()["type"] == "invalid-cursor"


async def test_a_target_that_is_none_has_no_links(api, path):
    unknown = "/v1/targets/tgt_00000000000000000000000000/links"
    assert (await api.get(unknown)).status_code == 404
    assert (await api.delete(unknown, params={"subject": "a"})).status_code == 404
