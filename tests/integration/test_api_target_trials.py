"""Previews and checks of targets over HTTP, on both databases."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.connectors.registry import all_connectors
from app.domain.outcome import TransportFailure
from app.domain.signing import decode_secret, verify
from app.runtime import Runtime
from app.services.target_definition import TargetDraft
from app.settings import Settings
from tests.fakes.hubspot import FakeHubSpot
from tests.integration.management import Management, management

CANARY = "canary-credential-0123456789abcdef"
SETTINGS: dict[str, dict[str, Any]] = {
    "webhook": {"url": "http://127.0.0.1:9/hook", "headers": {"x-shop": CANARY}},
    "hubspot": {"token": CANARY},
    "fluentcrm": {
        "base_url": "http://127.0.0.1:9",
        "username": "relay",
        "application_password": CANARY,
    },
    "activecampaign": {"base_url": "http://127.0.0.1:9", "api_key": CANARY},
    "brevo": {"api_key": CANARY},
    "mailchimp": {"api_key": f"{CANARY}-us6", "list_id": "a1b2c3d4e5"},
    "klaviyo": {"api_key": CANARY},
    "pipedrive": {"api_token": CANARY},
    "salesforce": {
        "base_url": "http://127.0.0.1:9",
        "client_id": "relay-client",
        "client_secret": CANARY,
    },
    "zoho_crm": {"client_id": "relay-client", "client_secret": CANARY, "refresh_token": CANARY},
    "ga4": {"measurement_id": "G-ABCDE12345", "api_secret": CANARY},
    "posthog": {"project_api_key": CANARY},
    "mixpanel": {"project_token": CANARY},
    "amplitude": {"api_key": CANARY},
    "segment": {"write_key": CANARY},
    "matomo": {
        "base_url": "http://127.0.0.1:9",
        "site_id": 1,
        "site_url": "https://shop.example.com",
        "token_auth": "c" * 32,
    },
    "plausible": {"domain": "shop.example.com"},
    "meta_capi": {"dataset_id": "1234567890123456", "access_token": CANARY, "consent": "given"},
    "slack": {"url": f"http://127.0.0.1:9/services/{CANARY}"},
    "ultimate_multisite": {
        "base_url": "http://127.0.0.1:9",
        "api_key": "canary-key-0123",
        "api_secret": CANARY,
    },
    "cloudevents": {"url": "http://127.0.0.1:9/events", "token": CANARY},
}


@pytest.fixture
async def relay(database, sealer, clock) -> AsyncIterator[Management]:
    async with management(database, sealer, clock) as made:
        yield made


@pytest.fixture
async def api(relay) -> AsyncIterator[httpx.AsyncClient]:
    async with relay.client() as client:
        yield client


async def made(api: httpx.AsyncClient, connector: str, **more: Any) -> str:
    fields = {"name": "trial", "connector": connector, "settings": SETTINGS[connector]}
    answer = await api.post("/v1/targets", json=fields | more)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def preview(api: httpx.AsyncClient, target: str, **event: str) -> dict[str, Any]:
    answer = await api.post(f"/v1/targets/{target}/preview", json=event)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def check(api: httpx.AsyncClient, target: str) -> dict[str, Any]:
    answer = await api.post(f"/v1/targets/{target}/test")
    assert answer.status_code == 200, answer.text
    assert "canary" not in answer.text
    return answer.json()


@pytest.mark.parametrize("connector", sorted(SETTINGS))
async def test_every_connector_shows_its_requests_and_none_of_its_secrets(relay, api, connector):
    target = await made(api, connector)
    only_links = connector == "ultimate_multisite"
    event_type = "relay.contact_linked" if only_links else "payment_received"
    shown = await preview(api, target, event_type=event_type)
    assert shown["skipped"] is None
    assert shown["requests"]
    assert shown["outcome"] == "delivered", shown
    assert "canary" not in json.dumps(shown)
    assert "c" * 32 not in json.dumps(shown)
    assert relay.world.sender.sent == []


def test_every_built_in_connector_is_previewed_here():
    assert all_connectors().keys() == SETTINGS.keys()


async def test_a_preview_shows_the_values_of_the_mapping(api):
    mapping = {"email": "customer.email", "plan": "membership.plan.name"}
    target = await made(api, "hubspot", mapping=mapping)
    shown = await preview(api, target, event_type="checkout_completed")
    assert shown["mapping"]["origin"] == "target"
    properties = json.loads(shown["requests"][0]["body"])["properties"]
    assert properties == shown["mapping"]["values"]


async def test_a_preview_is_of_the_very_request_that_a_delivery_sends(relay, api):
    target = await made(api, "webhook")
    await relay.world.source()
    receipt = await relay.world.send()
    shown = await preview(api, target, event_id=receipt.id)
    await relay.world.work()
    [(_, sent)] = relay.world.sender.sent
    [request] = shown["requests"]
    assert request["method"] == sent.method
    assert request["body"].encode() == sent.content
    assert request["headers"]["webhook-id"] == sent.headers["webhook-id"]
    assert request["headers"]["webhook-signature"] == "***"
    assert request["headers"]["x-shop"] == "***"
    assert shown["event_id"] == receipt.id
    assert shown["subject"] == "shop/customer/2"


@pytest.mark.parametrize(
    ("more", "event_type", "why"),
    [
        ({"events": ["membership_*"]}, "payment_received", "does not listen"),
        ({"filter": "payment.total > 1000.0"}, "payment_received", "filter leaves the event out"),
        ({}, "customer_post_delete", "The contact is kept in HubSpot"),
    ],
)
async def test_a_preview_says_why_nothing_would_be_sent(api, more, event_type, why):
    target = await made(api, "hubspot", **more)
    shown = await preview(api, target, event_type=event_type)
    assert why in shown["skipped"]
    assert shown["requests"] == []


async def test_a_preview_says_who_carried_a_sale_out(relay, api):
    target = await made(api, "ga4")
    await relay.world.source()
    first = await relay.world.send()
    await relay.world.work()
    assert (await preview(api, target, event_id=first.id))["skipped"] is None
    again = await relay.world.send(relay_delivery_id="another")
    if again.duplicate:
        again = await relay.world.send(event_type="checkout_completed")
    shown = await preview(api, target, event_id=again.id)
    assert "was carried out by dlv_" in shown["skipped"]


async def test_a_preview_of_a_paused_target_says_that_it_would_wait(api):
    target = await made(api, "hubspot")
    await api.post(f"/v1/targets/{target}/pause")
    shown = await preview(api, target, event_type="payment_received")
    assert shown["held"] == "The target is paused: it would wait until it is resumed."
    assert shown["requests"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#"),
        ({"event_id": "evt_0", "event_type": "payment_received"}, "#"),
        ({"event_type": "no_such_type"}, "#/event_type"),
    ],
)
async def test_a_preview_is_of_one_event_that_there_is(api, body, pointer):
    target = await made(api, "hubspot")
    answer = await api.post(f"/v1/targets/{target}/preview", json=body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_a_preview_of_what_is_not_there_is_not_found(api):
    target = await made(api, "hubspot")
    for event in ("evt_00000000000000000000000000", "' OR 1=1", "\x00"):
        answer = await api.post(f"/v1/targets/{target}/preview", json={"event_id": event})
        assert answer.status_code == 404
    for action in ("preview", "test"):
        answer = await api.post(
            f"/v1/targets/tgt_00000000000000000000000000/{action}",
            json={"event_type": "payment_received"},
        )
        assert answer.status_code == 404


@pytest.mark.parametrize(
    ("connector", "path"),
    [
        ("hubspot", "/crm/v3/objects/contacts?limit=1"),
        ("fluentcrm", "/wp-json/fluent-crm/v2/subscribers?per_page=1"),
        ("activecampaign", "/api/3/users/me"),
        ("brevo", "/v3/account"),
        ("mailchimp", "/3.0/lists/a1b2c3d4e5"),
        ("klaviyo", "/api/profiles?page%5Bsize%5D=1"),
        ("pipedrive", "/api/v2/persons?limit=1"),
        ("ultimate_multisite", "/wp-json/wu/v2/auth"),
    ],
)
async def test_a_crm_is_asked_for_something_harmless(relay, api, connector, path):
    relay.world.sender.default = lambda _request: httpx.Response(200, json={"name": CANARY})
    found = await check(api, await made(api, connector))
    assert found["ok"] is True
    [(_, sent)] = relay.world.sender.sent
    assert (sent.method, sent.url.raw_path.decode()) == ("GET", path)


@pytest.mark.parametrize("connector", ["salesforce", "zoho_crm"])
async def test_a_token_is_fetched_for_the_check_and_never_shown(relay, api, connector):
    def reply(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(200, json={"access_token": CANARY, "expires_in": 3600})
        assert CANARY in request.headers["authorization"]
        return httpx.Response(200, json={})

    relay.world.sender.default = reply
    found = await check(api, await made(api, connector))
    assert found["ok"] is True
    assert [one["method"] for one in found["exchanges"]] == ["POST", "GET"]


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (httpx.Response(401, json={"message": f"bad {CANARY}"}), "refused access"),
        (httpx.Response(503), "this may pass"),
        (
            TransportFailure("dns", "The name is not known", may_have_arrived=False),
            "The name is not known",
        ),
    ],
)
async def test_a_check_that_fails_says_what_is_wrong(relay, api, reply, words):
    relay.world.sender.default = lambda _request: reply
    found = await check(api, await made(api, "hubspot"))
    assert found["ok"] is False
    assert words in found["verdict"]


async def test_a_webhook_gets_a_signed_ping(relay, api):
    answer = await api.post(
        "/v1/targets",
        json={
            "name": "trial",
            "connector": "webhook",
            "settings": SETTINGS["webhook"],
            "mapping": {"who": "customer.email"},
        },
    )
    secret = decode_secret(answer.json()["signing_secret"])
    assert (await check(api, answer.json()["id"]))["ok"] is True
    [(_, sent)] = relay.world.sender.sent
    body = json.loads(sent.content)
    assert (body["type"], body["test"]) == ("relay.ping", True)
    verify(sent.headers, sent.content, [secret], now=int(relay.clock().timestamp()))


async def test_ga4_validates_an_example_and_says_what_that_leaves_open(relay, api):
    relay.world.sender.default = lambda _request: httpx.Response(
        200, json={"validationMessages": []}
    )
    found = await check(api, await made(api, "ga4"))
    assert found["ok"] is True
    assert "tells nobody whether id and secret are right" in found["verdict"]
    [(_, sent)] = relay.world.sender.sent
    assert sent.url.path == "/debug/mp/collect"


async def test_meta_is_sent_an_example_only_with_a_test_code(relay, api):
    target = await made(api, "meta_capi")
    found = await check(api, target)
    assert found["ok"] is None
    assert "Set test_event_code" in found["verdict"]
    assert relay.world.sender.sent == []
    await api.patch(f"/v1/targets/{target}", json={"settings": {"test_event_code": "TEST1"}})
    assert (await check(api, target))["ok"] is True
    [(_, sent)] = relay.world.sender.sent
    assert json.loads(sent.content)["test_event_code"] == "TEST1"


async def test_a_destination_without_a_harmless_check_says_so(relay, api):
    found = await check(api, await made(api, "plausible"))
    assert found == {
        "ok": None,
        "verdict": "This destination has no harmless check; use a preview, and watch the first"
        " delivery.",
        "exchanges": [],
    }
    assert relay.world.sender.sent == []


async def test_hubspots_properties_are_made_on_demand_and_those_that_are_there_are_left(relay, api):
    def reply(request: httpx.Request) -> httpx.Response:
        return httpx.Response(409 if json.loads(request.content)["name"] == "plan" else 201)

    relay.world.sender.default = reply
    answer = await api.post(f"/v1/targets/{await made(api, 'hubspot')}/prepare")
    assert answer.json()["ok"] is True
    assert answer.json()["verdict"].endswith(
        "Made: signup_date, membership_status, churned_at, last_payment_at,"
        " last_payment_failed_at. There already: plan."
    )
    sent = [json.loads(request.content) for _, request in relay.world.sender.sent]
    assert sent[1] == {
        "name": "signup_date",
        "label": "Signup date",
        "type": "date",
        "fieldType": "date",
        "groupName": "contactinformation",
    }
    properties = all_connectors()["hubspot"].default_mapping.keys()
    assert {one["name"] for one in sent} == properties - {"email", "firstname", "lastname"}


async def test_most_destinations_need_nothing_made(relay, api):
    answer = await api.post(f"/v1/targets/{await made(api, 'klaviyo')}/prepare")
    assert (answer.json()["ok"], relay.world.sender.sent) == (None, [])


@pytest.mark.parametrize("action", ["test", "prepare"])
async def test_an_id_that_is_none_has_nothing_to_check(api, action):
    assert (await api.post(f"/v1/targets/%00/{action}")).status_code == 404


async def test_a_process_without_a_worker_checks_over_the_guarded_door(
    database, sealer, clock, tmp_path
):
    settings = Settings(
        _env_file=None,
        environment="development",
        data_dir=tmp_path,
        allowed_private_networks=["127.0.0.1/32"],
    )
    runtime = Runtime(settings, worker=False, database=database, sealer=sealer, clock=clock)
    async with FakeHubSpot().serve() as fake:
        draft = TargetDraft(
            name="trial",
            connector="hubspot",
            settings={"token": "pat-eu1-wrong", "base_url": fake.base_url},
        )
        target = await runtime.services.targets.create(draft)
        found = await runtime.services.checks.check(target.target.id)
        await runtime.egress.aclose()
    assert found.ok is False
    assert "refused access" in found.verdict
    assert [call.method for call in fake.calls] == ["GET"]
