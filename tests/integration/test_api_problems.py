"""Every refusal of the management API is a problem document, whatever was sent."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from app.services import manage_sources
from app.store.database import unavailable
from tests.integration.management import Management, management

JSON = {"content-type": "application/json"}


@pytest.fixture
async def made(database, sealer, clock) -> AsyncIterator[Management]:
    async with management(database, sealer, clock) as made:
        yield made


@pytest.fixture
async def api(made) -> AsyncIterator[httpx.AsyncClient]:
    async with made.client() as client:
        yield client


def check(answer: httpx.Response, status: int, slug: str) -> dict:
    problem = answer.json()
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (problem["type"], problem["status"]) == (slug, status)
    assert problem["title"]
    assert problem["detail"]
    return problem


async def test_a_path_that_is_none(api):
    problem = check(await api.get("/v1/nothing"), 404, "not-found")
    assert problem["instance"] == "/v1/nothing"


async def test_a_long_path_is_not_repeated(api):
    problem = check(await api.get("/v1/" + "x" * 10_240), 404, "not-found")
    assert "instance" not in problem


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/sources", "GET, HEAD, POST"),
        ("DELETE", "/v1/targets", "GET, HEAD, POST"),
        ("OPTIONS", "/v1/targets", "GET, HEAD, POST"),
        ("PUT", "/v1/targets/tgt_none", "GET, HEAD, PATCH, DELETE"),
        ("GET", "/v1/api-keys/key_none", "DELETE"),
        ("HEAD", "/v1/targets/tgt_none/pause", "POST"),
        ("BREW", "/v1/targets/tgt_none", "GET, HEAD, PATCH, DELETE"),
    ],
)
async def test_a_method_that_a_path_has_not_is_told_every_one_it_has(api, method, path, allowed):
    answer = await api.request(method, path)
    if method != "HEAD":
        check(answer, 405, "method-not-allowed")
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"not json",
        b'{"name": NaN}',
        b'{"name": 1e400}',
        b'{"name": "a", "name": "b"}',
        b'{"name": "\\ud800"}',
        b'{"name": "\xff"}',
        b'\xef\xbb\xbf{"name": "a"}',
        '{"name": "a"}'.encode("utf-16"),
        b'{"name": ' + b"9" * 5000 + b"}",
        b'{"name": ' + b"[" * 1000 + b"]" * 1000 + b"}",
        b"[" * 100_000,
    ],
    ids=lambda body: body[:24].decode("latin-1"),
)
@pytest.mark.parametrize("path", ["/v1/sources", "/v1/targets", "/v1/api-keys"])
async def test_a_body_that_cannot_be_read(api, path, body):
    answer = await api.post(path, content=body, headers=JSON)
    if body:
        check(answer, 400, "unreadable-body")
    else:
        check(answer, 422, "validation-failed")
    assert (await api.get(path)).json()["items"] == []


@pytest.mark.parametrize("body", [b"42", b"null", b'"text"', b"[]", b"[{}]", b"true"])
@pytest.mark.parametrize("path", ["/v1/sources", "/v1/targets", "/v1/api-keys"])
async def test_a_body_that_is_no_object(api, path, body):
    problem = check(await api.post(path, content=body, headers=JSON), 422, "validation-failed")
    assert [error["pointer"] for error in problem["errors"]] == ["#"]


async def test_a_body_that_is_missing_is_asked_for(api):
    problem = check(await api.post("/v1/sources"), 422, "validation-failed")
    assert problem["detail"] == "The request has no body; send a JSON object."
    assert problem["errors"] == [{"pointer": "#", "detail": "Send a JSON object."}]


async def test_what_is_wrong_with_a_body_as_a_whole_is_said_of_the_whole(api):
    answer = await api.post("/v1/api-keys", json={"name": "deploy"})
    problem = check(answer, 422, "validation-failed")
    assert problem["detail"] == "These fields are not valid: # (the body as a whole)."
    assert problem["errors"] == [{"pointer": "#", "detail": "Give either scope or scopes."}]


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""],
)
async def test_a_body_of_another_type(api, content_type):
    headers = {"content-type": content_type} if content_type else {}
    request = api.build_request("POST", "/v1/sources", content=b'{"name": "a"}', headers=headers)
    check(await api.send(request), 415, "unsupported-media-type")


async def test_a_charset_beside_the_type_is_fine(api):
    answer = await api.post(
        "/v1/sources",
        content=b'{"name": "shop", "kind": "ultimate_multisite"}',
        headers={"content-type": "application/json; charset=utf-8"},
    )
    assert answer.status_code == 201


async def test_who_sends_is_asked_before_the_body_is_read(made):
    async with made.client(None) as nobody:
        answer = await nobody.post("/v1/sources", content=b"[" * 100_000, headers=JSON)
    check(answer, 401, "unauthorized")


@pytest.mark.parametrize("limit", ["0", "-1", "201", "1000000000", "ten", "", "1.5"])
@pytest.mark.parametrize("path", ["/v1/sources", "/v1/targets", "/v1/api-keys"])
async def test_a_limit_out_of_range(api, path, limit):
    problem = check(await api.get(path, params={"limit": limit}), 422, "validation-failed")
    assert [error["pointer"] for error in problem["errors"]] == ["#/query/limit"]


@pytest.mark.parametrize("cursor", ["", "x", "' OR 1=1", "AAAA", "é", "\0", "c" * 5000])
@pytest.mark.parametrize("path", ["/v1/sources", "/v1/targets", "/v1/api-keys"])
async def test_a_cursor_that_is_none(api, path, cursor):
    check(await api.get(path, params={"cursor": cursor}), 400, "invalid-cursor")


@pytest.mark.parametrize("path", ["/v1/sources", "/v1/targets", "/v1/api-keys"])
async def test_a_query_parameter_that_there_is_not_is_named_but_its_value_is_not(api, path):
    answer = await api.get(path, params={"statu": "canary", "sort/by": "x"})
    problem = check(answer, 422, "validation-failed")
    assert [error["pointer"] for error in problem["errors"]] == [
        "#/query/statu",
        "#/query/sort~1by",
    ]
    assert "canary" not in answer.text


async def test_the_refusal_of_a_query_parameter_says_which_there_are(api):
    (error,) = (await api.get("/v1/api-keys", params={"sort": "name"})).json()["errors"]
    assert error["detail"] == "This operation has no such parameter. It has: limit, cursor."


async def test_a_stranger_is_not_told_which_parameters_there_are(made):
    async with made.client(None) as nobody:
        check(await nobody.get("/v1/sources", params={"sort": "x"}), 401, "unauthorized")


async def test_an_unknown_field_is_named_but_its_value_is_not(api):
    body = {"name": "shop", "kind": "ultimate_multisite", "password": "canary"}
    answer = await api.post("/v1/sources", json=body)
    problem = check(answer, 422, "validation-failed")
    assert problem["errors"][0]["pointer"] == "#/password"
    assert "canary" not in answer.text


async def test_a_fault_of_the_relay_says_nothing_of_its_inside(api):
    answer = await api.get("/broken")
    check(answer, 500, "internal-error")
    assert "canary" not in answer.text
    assert "Traceback" not in answer.text


async def test_a_store_that_is_away(made, api, monkeypatch):
    async def away(*_: object) -> None:
        raise unavailable(OSError("canary"))

    monkeypatch.setattr(made.database, "read", away)
    answer = await api.get("/v1/sources")
    check(answer, 503, "store-unavailable")
    assert answer.headers["retry-after"] == "5"
    assert "canary" not in answer.text


async def test_answers_are_not_kept_by_caches(api):
    answer = await api.get("/v1/sources")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_url_that_would_be_too_long_for_the_platform_is_refused(
    database, sealer, clock, monkeypatch
):
    async with management(database, sealer, clock) as made, made.client() as api:
        monkeypatch.setattr(made.world.sources, "_public_url", "https://" + "r" * 90 + ".example")
        answer = await api.post(
            "/v1/sources", json={"name": "s" * 40, "kind": "ultimate_multisite"}
        )
        problem = check(answer, 422, "validation-failed")
        assert problem["errors"][0]["pointer"] == "#/name"
        assert "RELAY_PUBLIC_URL" in problem["errors"][0]["detail"]
        signing = {"name": "s" * 40, "kind": "standard_webhooks"}
        assert (await api.post("/v1/sources", json=signing)).status_code == 201


def test_the_longest_url_of_an_ordinary_source_fits_the_platforms_column():
    longest = f"https://relay.a-customer-of-ours.example/webhooks/{'s' * 40}/"
    longest += f"{manage_sources._LONGEST_TYPE}?token={'t' * 32}"
    assert len(longest) < 191
