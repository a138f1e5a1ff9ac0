"""`/v1/api-keys` and who may do what, over HTTP on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.integration.management import ADMIN_KEY, Management, management


@pytest.fixture
async def made(database, sealer, clock) -> AsyncIterator[Management]:
    async with management(database, sealer, clock) as made:
        yield made


@pytest.fixture
async def api(made) -> AsyncIterator[httpx.AsyncClient]:
    async with made.client() as client:
        yield client


async def key_with(api: httpx.AsyncClient, scope: str) -> dict:
    answer = await api.post("/v1/api-keys", json={"name": scope, "scope": scope})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_new_key_is_shown_once(api):
    answer = await api.post("/v1/api-keys", json={"name": "deploy", "scope": "write"})
    assert answer.status_code == 201
    body = answer.json()
    key = body.pop("key")
    assert key.startswith("rk_")
    assert len(key) == 46
    assert body == {
        "id": body["id"],
        "name": "deploy",
        "scope": "write",
        "scopes": ["read", "write"],
        "hint": key[:7],
        "created_at": "2026-11-23T12:00:00Z",
        "last_used_at": None,
    }
    listed = await api.get("/v1/api-keys")
    assert listed.json() == {"items": [body], "next": None}
    assert key not in listed.text


@pytest.mark.parametrize(
    ("asked", "scope", "scopes"),
    [
        ({"scope": "read"}, "read", ["read"]),
        ({"scopes": ["read"]}, "read", ["read"]),
        ({"scopes": ["write", "read"]}, "write", ["read", "write"]),
        ({"scopes": ["read", "admin"]}, "admin", ["read", "write", "admin"]),
    ],
)
async def test_a_scope_can_be_asked_for_in_two_ways(api, asked, scope, scopes):
    body = (await api.post("/v1/api-keys", json={"name": "a key"} | asked)).json()
    assert (body["scope"], body["scopes"]) == (scope, scopes)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "a"}, "#"),
        ({"name": "a", "scope": "read", "scopes": ["read"]}, "#"),
        ({"name": "a", "scope": "root"}, "#/scope"),
        ({"name": "a", "scopes": []}, "#/scopes"),
        ({"name": "a", "scopes": ["read", "root"]}, "#/scopes/1"),
        ({"name": "", "scope": "read"}, "#/name"),
        ({"name": " \u00a0", "scope": "read"}, "#/name"),
        ({"name": "n" * 65, "scope": "read"}, "#/name"),
        ({"name": "a\u0000b", "scope": "read"}, "#/name"),
        ({"name": "a\nb", "scope": "read"}, "#/name"),
        ({"scope": "read"}, "#/name"),
        ({"name": "a", "scope": "read", "key": "rk_mine"}, "#/key"),
    ],
)
async def test_a_wrong_field_is_named(api, body, pointer):
    answer = await api.post("/v1/api-keys", json=body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


READS = ["/v1/sources", "/v1/targets", "/v1/event-types", "/v1/connectors"]


@pytest.mark.parametrize(
    ("scope", "reads", "writes", "administers"),
    [("read", 200, 403, 403), ("write", 200, 404, 403), ("admin", 200, 404, 200)],
)
async def test_a_scope_includes_those_before_it(made, api, scope, reads, writes, administers):
    key = await key_with(api, scope)
    async with made.client(key["key"]) as mine:
        assert {(await mine.get(path)).status_code for path in READS} == {reads}
        for method, path in (
            ("DELETE", "/v1/sources/src_00000000000000000000000000"),
            ("PATCH", "/v1/targets/tgt_00000000000000000000000000"),
            ("POST", "/v1/targets/tgt_00000000000000000000000000/pause"),
        ):
            answer = await mine.request(method, path, json={} if method == "PATCH" else None)
            assert answer.status_code == writes
        assert (await mine.get("/v1/api-keys")).status_code == administers


async def test_a_missing_scope_is_named(made, api):
    key = await key_with(api, "read")
    async with made.client(key["key"]) as mine:
        answer = await mine.post("/v1/sources", json={})
    assert answer.status_code == 403
    assert answer.json()["type"] == "forbidden"
    assert "scope write" in answer.json()["detail"]


async def test_missing_wrong_and_revoked_keys_are_answered_alike(made, api):
    revoked = await key_with(api, "admin")
    await api.delete(f"/v1/api-keys/{revoked['id']}")
    answers = []
    for headers in (
        {},
        {"authorization": f"Bearer {revoked['key']}"},
        {"authorization": "Bearer rk_" + "0" * 43},
        {"authorization": "Bearer "},
        {"authorization": "Bearer"},
        {"authorization": ADMIN_KEY},
        {"authorization": f"Basic {ADMIN_KEY}"},
        {"authorization": b"Bearer \xff\xfe"},
        {"authorization": "Bearer " + "k" * 5000},
    ):
        async with made.client(None) as nobody:
            answers.append(await nobody.get("/v1/sources", headers=headers))
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert {answer.headers["www-authenticate"] for answer in answers} == {"Bearer"}


async def test_two_authorization_headers_are_one_too_many(made):
    async with made.client(None) as nobody:
        headers = [("authorization", f"Bearer {ADMIN_KEY}"), ("authorization", "Bearer x")]
        assert (await nobody.get("/v1/sources", headers=headers)).status_code == 401


async def test_the_scheme_is_read_in_any_case(made):
    async with made.client(None) as nobody:
        headers = {"authorization": f"bEARER {ADMIN_KEY}"}
        assert (await nobody.get("/v1/sources", headers=headers)).status_code == 200


async def test_the_configured_key_has_every_scope_and_no_row(api):
    assert (await api.get("/v1/api-keys")).json() == {"items": [], "next": None}


async def test_a_use_is_written_down_once_a_minute(made, api, clock):
    key = await key_with(api, "read")

    async def last_use() -> str:
        async with made.client(key["key"]) as mine:
            await mine.get("/v1/sources")
        await made.services.api_keys.settle()
        return (await api.get("/v1/api-keys")).json()["items"][0]["last_used_at"]

    assert await last_use() == "2026-11-23T12:00:00Z"
    clock.advance(59)
    assert await last_use() == "2026-11-23T12:00:00Z"
    clock.advance(1)
    assert await last_use() == "2026-11-23T12:01:00Z"


async def test_a_key_can_revoke_itself(made, api):
    key = await key_with(api, "admin")
    async with made.client(key["key"]) as mine:
        assert (await mine.delete(f"/v1/api-keys/{key['id']}")).status_code == 204
        assert (await mine.get("/v1/sources")).status_code == 401


@pytest.mark.parametrize("key_id", ["key_00000000000000000000000000", "' OR 1=1", "%00", "admin"])
async def test_a_key_that_is_none_is_not_found(api, key_id):
    assert (await api.delete(f"/v1/api-keys/{key_id}")).status_code == 404
