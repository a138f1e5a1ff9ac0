"""`/v1/targets` over HTTP, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from app.domain.signing import decode_secret
from tests.integration.management import management

URL = "https://hooks.example.com/relay"
HUBSPOT = {"connector": "hubspot", "settings": {"token": "canary-hubspot-token"}}


@pytest.fixture
async def api(database, sealer, clock) -> AsyncIterator[httpx.AsyncClient]:
    async with management(database, sealer, clock) as made, made.client() as client:
        yield client


async def create(api: httpx.AsyncClient, **body: object) -> httpx.Response:
    fields = {"name": "billing", "connector": "webhook", "settings": {"url": URL}}
    return await api.post("/v1/targets", json=fields | body)


async def created(api: httpx.AsyncClient, **body: object) -> dict:
    answer = await create(api, **body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def pointers(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return [error["pointer"] for error in answer.json()["errors"]]


async def test_a_new_webhook_target_has_the_defaults_and_a_secret(api):
    answer = await create(api)
    body = answer.json()
    assert len(decode_secret(body.pop("signing_secret"))) == 32
    assert body == {
        "id": body["id"],
        "name": "billing",
        "connector": "webhook",
        "settings": {"url": URL},
        "events": ["*"],
        "sources": None,
        "filter": None,
        "mapping": None,
        "ordered": False,
        "retry": None,
        "rate_limit": None,
        "max_in_flight": 50,
        "status": "active",
        "status_reason": None,
        "created_at": "2026-11-23T12:00:00Z",
        "updated_at": "2026-11-23T12:00:00Z",
    }
    assert answer.headers["location"] == f"/v1/targets/{body['id']}"
    assert (await api.get(f"/v1/targets/{body['id']}")).json() == body
    assert (await api.get("/v1/targets")).json() == {"items": [body], "next": None}


async def test_a_connector_brings_its_own_limits_and_order(api):
    body = await created(api, **HUBSPOT)
    assert body["ordered"] is True
    assert body["rate_limit"] == {"per_second": 4}
    assert body["max_in_flight"] == 100
    assert "signing_secret" not in body


async def test_everything_can_be_said_at_once(api):
    await api.post("/v1/sources", json={"name": "shop", "kind": "ultimate_multisite"})
    said = {
        "events": ["payment_*", "relay.target_disabled"],
        "sources": ["shop", "relay"],
        "filter": "payment.total > 100.0",
        "mapping": {"plan": "membership.plan.name", "who": "customer.email"},
        "ordered": True,
        "retry": {"schedule": [0, 5, 300]},
        "rate_limit": {"per_second": 0.5},
        "max_in_flight": 1,
    }
    body = await created(api, **said)
    assert {key: body[key] for key in said} == said


async def test_null_asks_for_the_default(api):
    names = ("sources", "filter", "mapping", "ordered", "retry", "rate_limit", "max_in_flight")
    body = await created(api, **HUBSPOT, **dict.fromkeys(names))
    assert (body["ordered"], body["max_in_flight"]) == (True, 100)
    assert body["rate_limit"] == {"per_second": 4}


async def test_a_url_is_stored_in_its_one_form(api):
    body = await created(api, settings={"url": "HTTPS://Hooks.Example.com:443"})
    assert body["settings"]["url"] == "https://hooks.example.com/"


async def test_secret_settings_are_masked(api):
    body = await created(api, **HUBSPOT)
    assert body["settings"] == {"token": "********"}
    shown = await api.get(f"/v1/targets/{body['id']}")
    assert shown.json()["settings"] == {"token": "********"}
    assert "canary" not in shown.text


async def test_custom_headers_are_masked_since_they_carry_credentials(api):
    body = await created(
        api, settings={"url": URL, "headers": {"authorization": "Bearer canary", "x-shop": "1"}}
    )
    assert body["settings"]["headers"] == {"authorization": "********", "x-shop": "********"}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "Billing"}, "#/name"),
        ({"name": "b" * 41}, "#/name"),
        ({"connector": "canary"}, "#/connector"),
        ({"connector": None}, "#/connector"),
        ({"settings": {}}, "#/settings/url"),
        ({"settings": {"url": URL, "colour": "canary"}}, "#/settings/colour"),
        ({"settings": {"url": URL, "a/b~c d": 1}}, "#/settings/a~1b~0c%20d"),
        ({"settings": {"url": 7}}, "#/settings/url"),
        ({"settings": {"url": "canary"}}, "#/settings/url"),
        ({"settings": {"url": "ftp://hooks.example.com/"}}, "#/settings/url"),
        ({"settings": {"url": "https://user:canary@hooks.example.com/"}}, "#/settings/url"),
        ({"settings": {"url": "http://169.254.169.254/"}}, "#/settings/url"),
        ({"settings": {"url": "http://10.0.0.7/"}}, "#/settings/url"),
        ({"settings": {"url": URL, "format": "xml"}}, "#/settings/format"),
        (
            {"settings": {"url": URL, "headers": {"X-A": "a\r\nX-Evil: 1"}}},
            "#/settings/headers/X-A",
        ),
        ({"settings": {"url": URL, "headers": {"Host": "a"}}}, "#/settings/headers/Host"),
        (
            {"settings": {"url": URL, "headers": {"webhook-id": "a"}}},
            "#/settings/headers/webhook-id",
        ),
        ({"settings": {"url": URL, "headers": {"X-A": "********"}}}, "#/settings/headers"),
        ({"settings": None}, "#/settings"),
        ({"events": []}, "#/events"),
        ({"events": ["payment_*", "Payment received"]}, "#/events/1"),
        ({"events": "payment_*"}, "#/events"),
        ({"events": None}, "#/events"),
        ({"sources": []}, "#/sources"),
        ({"sources": ["nobody"]}, "#/sources/0"),
        ({"sources": [f"n{number}" for number in range(101)]}, "#/sources"),
        ({"sources": ["no\u0000body"]}, "#/sources/0"),
        ({"filter": "payment.total >"}, "#/filter"),
        ({"filter": "nothing.total > 1"}, "#/filter"),
        ({"filter": ""}, "#/filter"),
        ({"filter": "1 + 1"}, "#/filter"),
        ({"filter": "payment.total"}, "#/filter"),
        ({"filter": "true && 'x'"}, "#/filter"),
        ({"filter": "customer.email == '\u0000'"}, "#/filter"),
        ({"mapping": {}}, "#/mapping"),
        ({"mapping": {"plan": "membership.plan.nam"}}, "#/mapping/plan"),
        ({"mapping": {"plan": 1}}, "#/mapping/plan"),
        ({"mapping": {f"f{number}": "type" for number in range(101)}}, "#/mapping"),
        ({"mapping": {"": "type"}}, "#/mapping/"),
        ({"ordered": "yes"}, "#/ordered"),
        ({"retry": {"schedule": []}}, "#/retry/schedule"),
        ({"retry": {"schedule": [-1]}}, "#/retry/schedule"),
        ({"retry": {"schedule": ["5"]}}, "#/retry/schedule/0"),
        ({"retry": {}}, "#/retry/schedule"),
        ({"retry": {"schedule": [0], "jitter": 1}}, "#/retry/jitter"),
        ({"rate_limit": {"per_second": 0}}, "#/rate_limit/per_second"),
        ({"rate_limit": {"per_second": 10_001}}, "#/rate_limit/per_second"),
        ({"rate_limit": 5}, "#/rate_limit"),
        ({"max_in_flight": 0}, "#/max_in_flight"),
        ({"max_in_flight": 1001}, "#/max_in_flight"),
        ({"max_in_flight": 1.5}, "#/max_in_flight"),
        ({"status": "paused"}, "#/status"),
        ({"colour": "canary"}, "#/colour"),
        (HUBSPOT | {"settings": {}}, "#/settings/token"),
        (HUBSPOT | {"settings": {"token": "********"}}, "#/settings/token"),
        (HUBSPOT | {"mapping": {"Email Address": "customer.email"}}, "#/mapping/Email%20Address"),
        (
            HUBSPOT | {"settings": {"token": "canary", "base_url": "http://127.0.0.1:6379\\@a/"}},
            "#/settings/base_url",
        ),
    ],
)
async def test_a_wrong_field_is_named_and_not_repeated(api, body, pointer):
    answer = await create(api, **body)
    assert pointers(answer) == [pointer]
    if pointer != "#/connector":
        assert "canary" not in answer.text
    assert (await api.get("/v1/targets")).json()["items"] == []


@pytest.mark.parametrize(
    "text",
    [
        "true",
        "data.of_another_platform == 1",
        "type == 'payment_received' && payment.total > 10.0",
        "membership.plan.name == 'Pro'",
        "data.customer_id",
        "has(customer.email)",
    ],
)
async def test_a_filter_that_some_event_can_pass_is_taken(api, text):
    assert (await created(api, filter=text))["filter"] == text


async def test_every_wrong_field_is_named_at_once(api):
    answer = await create(
        api, name="?", settings={"url": "x", "headers": {"Host": "a"}}, events=["?", "a", "!"]
    )
    assert pointers(answer) == [
        "#/name", "#/settings/url", "#/settings/headers/Host", "#/events/0", "#/events/2",
    ]  # fmt: skip


async def test_an_unknown_connector_is_told_which_there_are(api):
    answer = await create(api, connector="nothing")
    detail = answer.json()["errors"][0]["detail"]
    assert all(name in detail for name in ("ga4", "hubspot", "webhook"))


async def test_a_name_is_used_once(api):
    await created(api)
    assert (await create(api)).status_code == 409
    other = await created(api, name="other")
    answer = await api.patch(f"/v1/targets/{other['id']}", json={"name": "billing"})
    assert answer.status_code == 409
    assert answer.json()["type"] == "conflict"


async def test_a_change_touches_what_it_names(api, clock):
    made = await created(api, filter="payment.total > 1.0", max_in_flight=3)
    clock.advance(60)
    path = f"/v1/targets/{made['id']}"
    changed = (await api.patch(path, json={"filter": None, "events": ["payment_*"]})).json()
    assert changed == {
        **{key: value for key, value in made.items() if key != "signing_secret"},
        "filter": None,
        "events": ["payment_*"],
        "updated_at": "2026-11-23T12:01:00Z",
    }


async def test_settings_are_merged_key_by_key(api):
    made = await created(api, settings={"url": URL, "format": "raw", "headers": {"X-A": "1"}})
    path = f"/v1/targets/{made['id']}"
    changed = await api.patch(path, json={"settings": {"withhold_links": True, "format": None}})
    assert changed.json()["settings"] == {
        "url": URL, "withhold_links": True, "headers": {"X-A": "********"},
    }  # fmt: skip


async def test_settings_that_come_out_wrong_are_refused_as_a_whole(api):
    made = await created(api)
    answer = await api.patch(f"/v1/targets/{made['id']}", json={"settings": {"url": None}})
    assert pointers(answer) == ["#/settings/url"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"connector": "hubspot"}, "#/connector"),
        ({"name": None}, "#/name"),
        ({"events": None}, "#/events"),
        ({"settings": None}, "#/settings"),
        ({"filter": "1 +"}, "#/filter"),
        ({"sources": ["nobody"]}, "#/sources/0"),
        ({"signing_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, "#/signing_secret"),
    ],
)
async def test_a_change_is_checked_like_a_creation(api, body, pointer):
    made = await created(api)
    assert pointers(await api.patch(f"/v1/targets/{made['id']}", json=body)) == [pointer]


async def test_a_target_keeps_a_source_that_was_removed(api):
    source = (
        await api.post("/v1/sources", json={"name": "shop", "kind": "ultimate_multisite"})
    ).json()
    made = await created(api, sources=["shop"])
    await api.delete(f"/v1/sources/{source['id']}")
    changed = await api.patch(f"/v1/targets/{made['id']}", json={"max_in_flight": 2})
    assert changed.status_code == 200
    assert changed.json()["sources"] == ["shop"]


async def test_pause_and_resume_can_be_repeated(api):
    made = await created(api)
    path = f"/v1/targets/{made['id']}"
    for _ in range(2):
        paused = await api.post(f"{path}/pause")
        assert paused.status_code == 200
        assert paused.json()["status"] == "paused"
        assert paused.json()["status_reason"] == "Paused by an operator."
    for _ in range(2):
        resumed = await api.post(f"{path}/resume")
        assert resumed.status_code == 200
        assert (resumed.json()["status"], resumed.json()["status_reason"]) == ("active", None)


async def test_a_rotation_answers_a_new_secret(api):
    made = await created(api)
    rotated = await api.post(f"/v1/targets/{made['id']}/rotate-secret")
    assert rotated.status_code == 200
    assert rotated.json()["signing_secret"] != made["signing_secret"]
    assert len(decode_secret(rotated.json()["signing_secret"])) == 32


async def test_a_connector_that_does_not_sign_has_nothing_to_rotate(api):
    made = await created(api, **HUBSPOT)
    answer = await api.post(f"/v1/targets/{made['id']}/rotate-secret")
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_removed_target_is_gone(api):
    made = await created(api)
    path = f"/v1/targets/{made['id']}"
    assert (await api.delete(path)).status_code == 204
    assert (await api.get(path)).status_code == 404
    assert (await api.delete(path)).status_code == 404


@pytest.mark.parametrize("target_id", ["' OR 1=1 --", "%00", "x" * 10_240])
async def test_an_id_that_is_none_is_not_found(api, target_id):
    for answer in (
        await api.get(f"/v1/targets/{target_id}"),
        await api.patch(f"/v1/targets/{target_id}", json={}),
        await api.delete(f"/v1/targets/{target_id}"),
        await api.post(f"/v1/targets/{target_id}/pause"),
        await api.get(f"/v1/targets/{target_id}/links"),
    ):
        assert answer.status_code == 404
