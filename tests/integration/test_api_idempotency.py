"""A creation that is sent again with its Idempotency-Key is carried out once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.integration.management import Management, management

BODY = b'{"name": "shop", "kind": "ultimate_multisite"}'


@pytest.fixture
async def made(database, sealer, clock) -> AsyncIterator[Management]:
    async with management(database, sealer, clock) as made:
        yield made


@pytest.fixture
async def api(made) -> AsyncIterator[httpx.AsyncClient]:
    async with made.client() as client:
        yield client


async def send(
    api: httpx.AsyncClient, key: str | bytes, body: bytes = BODY, path: str = "/v1/sources"
) -> httpx.Response:
    headers = {"content-type": "application/json", "idempotency-key": key}
    return await api.post(path, content=body, headers=headers)


async def test_the_same_request_gets_the_same_answer(api):
    first = await send(api, '"one"')
    again = await send(api, '"one"')
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.status_code == 201
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["content-type"] == first.headers["content-type"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert len((await api.get("/v1/sources")).json()["items"]) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/api-keys", b'{"name": "a", "scope": "read"}'),
        (
            "/v1/targets",
            b'{"name": "a", "connector": "webhook", "settings": {"url": "https://a.example"}}',
        ),
    ],
)
async def test_every_creation_has_it(api, path, body):
    answers = [await send(api, "k", body, path) for _ in range(2)]
    assert answers[0].status_code == 201
    assert answers[0].content == answers[1].content


async def test_a_rotation_that_is_sent_again_is_carried_out_once(api):
    source = (await send(api, "source")).json()
    target = (
        await api.post(
            "/v1/targets",
            json={"name": "a", "connector": "webhook", "settings": {"url": "https://a.example"}},
        )
    ).json()
    for path in (
        f"/v1/sources/{source['id']}/rotate",
        f"/v1/targets/{target['id']}/rotate-secret",
    ):
        first, again, next_one = [await send(api, key, b"", path) for key in ("k", "k", "other")]
        assert first.status_code == 200, first.text
        assert again.json() == first.json()
        assert again.headers["idempotency-replayed"] == "true"
        assert next_one.json()["signing_secret"] != first.json()["signing_secret"]


async def test_bare_and_quoted_are_the_same_key(api):
    first = await send(api, "one")
    assert (await send(api, '"one"')).content == first.content


async def test_another_body_is_refused(api):
    await send(api, "one")
    answer = await send(api, "one", BODY.replace(b"shop", b"other"))
    assert answer.status_code == 422
    assert answer.json()["type"] == "validation-failed"
    assert answer.json()["errors"][0]["pointer"] == "#/header/Idempotency-Key"
    assert len((await api.get("/v1/sources")).json()["items"]) == 1


async def test_a_key_counts_for_one_caller_and_one_path(made, api):
    key = (await api.post("/v1/api-keys", json={"name": "a", "scope": "write"})).json()["key"]
    await send(api, "one")
    async with made.client(key) as other:
        answer = await send(other, "one", BODY.replace(b"shop", b"other"))
    assert answer.status_code == 201
    body = b'{"name": "a", "scope": "read"}'
    assert (await send(api, "one", body, "/v1/api-keys")).status_code == 201


async def test_a_refused_request_can_be_corrected_under_its_key(api):
    assert (await send(api, "one", b'{"name": "?", "kind": "x"}')).status_code == 422
    assert (await send(api, "one")).status_code == 201


async def test_at_the_same_time_one_is_carried_out_and_the_others_wait(api):
    answers = await asyncio.gather(*(send(api, "one") for _ in range(8)))
    made = [answer for answer in answers if answer.status_code == 201]
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in made}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in made) == 1
    assert len((await api.get("/v1/sources")).json()["items"]) == 1


async def test_a_day_later_the_key_is_free(api, clock):
    await send(api, "one")
    clock.advance(86_399)
    assert (await send(api, "one")).status_code == 201
    clock.advance(1)
    assert (await send(api, "one")).status_code == 409
    assert (await send(api, "one", BODY.replace(b"shop", b"other"))).status_code == 201


@pytest.mark.parametrize(
    "key",
    [
        "", '""', " ", '"', '"a', "a b", '"a b"', "k" * 256, '"' + "k" * 256 + '"', b"\xff", "a\tb",
        '"a"b"', r'"a\b"', '"a" "b"',
    ],
)  # fmt: skip
async def test_a_key_that_is_none_is_refused(api, key):
    answer = await send(api, key)
    assert answer.status_code == 400
    assert answer.json()["type"] == "invalid-request"
    assert (await api.get("/v1/sources")).json()["items"] == []


@pytest.mark.parametrize("key", ["k", "k" * 255, '"' + "k" * 255 + '"', r'"a\"b\\c"', "~!*'();"])
async def test_every_visible_character_makes_a_key(api, key):
    assert (await send(api, key)).status_code == 201


async def test_two_keys_are_one_too_many(api):
    headers = [
        ("content-type", "application/json"),
        ("idempotency-key", "a"),
        ("idempotency-key", "b"),
    ]
    answer = await api.post("/v1/sources", content=BODY, headers=headers)
    assert answer.status_code == 400
