"""`/v1/sources` over HTTP, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from app.domain.signing import decode_secret
from app.sources.registry import KNOWN_KINDS
from tests.integration.management import management

UNKNOWN = "src_00000000000000000000000000"


@pytest.fixture
async def api(database, sealer, clock) -> AsyncIterator[httpx.AsyncClient]:
    async with management(database, sealer, clock) as made, made.client() as client:
        yield client


async def create(api: httpx.AsyncClient, **body: object) -> httpx.Response:
    return await api.post("/v1/sources", json={"name": "shop", "kind": "ultimate_multisite"} | body)


async def test_a_new_source_answers_where_to_send_and_both_credentials(api):
    answer = await create(api)
    assert answer.status_code == 201
    body = answer.json()
    assert body.keys() == {
        "id", "name", "kind", "strict", "settings", "api_access", "ingest_url", "created_at",
        "updated_at", "token", "signing_secret",
    }  # fmt: skip
    assert body["ingest_url"] == "https://relay.example/webhooks/shop"
    assert len(body["token"]) == 32
    assert len(decode_secret(body["signing_secret"])) == 32
    assert body["created_at"] == "2026-11-23T12:00:00Z"
    assert answer.headers["location"] == f"/v1/sources/{body['id']}"


async def test_a_sender_that_signs_gets_a_signing_secret_only(api):
    body = (await create(api, kind="standard_webhooks")).json()
    assert "token" not in body
    assert body["signing_secret"].startswith("whsec_")


async def test_credentials_are_shown_once(api):
    made = (await create(api)).json()
    shown = (await api.get(f"/v1/sources/{made['id']}")).json()
    assert shown == {key: made[key] for key in made if key not in {"token", "signing_secret"}}
    listed = (await api.get("/v1/sources")).text
    assert made["token"] not in listed
    assert made["signing_secret"] not in listed


async def test_a_secret_that_the_sender_chose_is_not_echoed(api):
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    answer = await create(api, kind="standard_webhooks", signing_secret=secret)
    assert answer.status_code == 201
    assert "signing_secret" not in answer.json()
    assert secret not in answer.text


async def test_a_name_is_used_once(api):
    await create(api)
    answer = await create(api)
    assert answer.status_code == 409
    assert answer.json()["type"] == "conflict"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "Shop"}, "#/name"),
        ({"name": "-shop"}, "#/name"),
        ({"name": "_shop"}, "#/name"),
        ({"name": "s" * 41}, "#/name"),
        ({"name": "shop\n"}, "#/name"),
        ({"name": ""}, "#/name"),
        ({"name": "sh\u0000op"}, "#/name"),
        ({"name": "relay"}, "#/name"),
        ({"name": 7}, "#/name"),
        ({"kind": "relay"}, "#/kind"),
        ({"kind": "nonsense"}, "#/kind"),
        ({"strict": "yes"}, "#/strict"),
        ({"settings": {"dedupe_window": -1}}, "#/settings/dedupe_window"),
        ({"settings": {"dedupe_window": 604_801}}, "#/settings/dedupe_window"),
        ({"settings": {"dedupe_window": "600"}}, "#/settings/dedupe_window"),
        ({"settings": {"window": 1}}, "#/settings/window"),
        ({"settings": []}, "#/settings"),
        ({"signing_secret": "canary"}, "#/signing_secret"),
        ({"signing_secret": "whsec_"}, "#/signing_secret"),
        ({"colour": "red"}, "#/colour"),
    ],
)
async def test_a_wrong_field_is_named_and_not_repeated(api, body, pointer):
    answer = await create(api, **body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert "canary" not in answer.text
    assert (await api.get("/v1/sources")).json()["items"] == []


@pytest.mark.parametrize("name", ["a", "9", "my_network", "shop-2_b", "s" * 40])
async def test_a_name_is_the_segment_of_the_ingest_url(api, name):
    answer = await create(api, name=name)
    assert (answer.status_code, answer.json()["name"]) == (201, name)
    assert answer.json()["ingest_url"] == f"https://relay.example/webhooks/{name}"


async def test_an_unknown_kind_is_told_which_there_are(api):
    answer = await create(api, kind="nonsense")
    assert ", ".join(KNOWN_KINDS) in answer.json()["errors"][0]["detail"]


async def test_a_change_touches_what_it_names(api):
    made = (await create(api, settings={"dedupe_window": 60})).json()
    path = f"/v1/sources/{made['id']}"
    changed = await api.patch(path, json={"strict": True})
    assert changed.status_code == 200
    assert changed.json()["strict"] is True
    assert changed.json()["settings"] == {"dedupe_window": 60}
    reset = await api.patch(path, json={"settings": {"dedupe_window": None}})
    assert reset.json()["settings"] == {}
    assert reset.json()["strict"] is True


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "other"}, "#/name"),
        ({"kind": "standard_webhooks"}, "#/kind"),
        ({"strict": None}, "#/strict"),
        ({"settings": None}, "#/settings"),
        ({"settings": {"dedupe_window": 1.5}}, "#/settings/dedupe_window"),
    ],
)
async def test_a_change_of_what_cannot_change_is_refused(api, body, pointer):
    made = (await create(api)).json()
    answer = await api.patch(f"/v1/sources/{made['id']}", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_a_rotation_answers_new_credentials(api):
    made = (await create(api)).json()
    rotated = await api.post(f"/v1/sources/{made['id']}/rotate")
    assert rotated.status_code == 200
    assert rotated.json()["token"] not in {None, made["token"]}
    assert rotated.json()["signing_secret"] not in {None, made["signing_secret"]}


async def test_a_sender_may_choose_its_next_secret_as_well(api):
    made = (await create(api, kind="standard_webhooks")).json()
    body = {"signing_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
    rotated = await api.post(f"/v1/sources/{made['id']}/rotate", json=body)
    assert rotated.status_code == 200
    assert "signing_secret" not in rotated.json()


async def test_a_removed_source_is_gone(api):
    made = (await create(api)).json()
    path = f"/v1/sources/{made['id']}"
    removed = await api.delete(path)
    assert (removed.status_code, removed.content) == (204, b"")
    assert (await api.get(path)).status_code == 404
    assert (await api.delete(path)).status_code == 404
    assert (await create(api)).status_code == 201


@pytest.mark.parametrize(
    "source_id", [UNKNOWN, "' OR 1=1 --", "%00", "x" * 10_240, "tgt_00000000000000000000000000"]
)
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_an_id_that_is_none_is_not_found(api, method, source_id):
    answer = await api.request(
        method, f"/v1/sources/{source_id}", json={} if method == "PATCH" else None
    )
    assert answer.status_code == 404
    assert answer.json()["type"] == "not-found"


async def test_the_list_goes_newest_first_page_by_page(api):
    for name in ("one", "two", "three"):
        await create(api, name=name)
    first = (await api.get("/v1/sources", params={"limit": 2})).json()
    assert [item["name"] for item in first["items"]] == ["three", "two"]
    second = (await api.get("/v1/sources", params={"limit": 2, "cursor": first["next"]})).json()
    assert [item["name"] for item in second["items"]] == ["one"]
    assert second["next"] is None


async def test_a_vendors_secret_can_be_given_later_and_is_never_shown(api):
    made = await create(api, kind="stripe")
    assert made.status_code == 201
    assert "token" not in made.json()
    assert made.json()["signing_secret"].startswith("whsec_")
    path, secret = f"/v1/sources/{made.json()['id']}", "whsec_inventedSecretOfStripe0123456789"
    changed = await api.patch(path, json={"signing_secret": secret})
    assert changed.status_code == 200
    rotated = await api.post(f"{path}/rotate", json={"signing_secret": secret})
    assert rotated.status_code == 200
    shown = await api.get(path)
    assert all(secret not in answer.text for answer in (changed, rotated, shown))


async def test_a_secret_for_a_webhook_that_takes_any_is_made_and_shown_once(api):
    body = (await create(api, kind="github")).json()
    assert "token" not in body
    assert len(body["signing_secret"]) == 64


async def test_every_wrong_expression_of_a_mapping_is_named(api):
    mapping = {"type": "event.name", "customer.emial": "body.mail", "id": "body.id"}
    settings = {"header": "x-signature", "mapping": mapping}
    answer = await create(api, kind="generic_hmac", settings=settings)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [
        "#/settings/mapping/type",
        "#/settings/mapping/customer.emial",
    ]


@pytest.mark.parametrize("secret", [None, 7, "short", "canary\u0000canary"])
async def test_a_new_secret_of_the_wrong_form_is_named_and_not_repeated(api, secret):
    made = (await create(api, kind="stripe")).json()
    answer = await api.patch(f"/v1/sources/{made['id']}", json={"signing_secret": secret})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["#/signing_secret"]
    assert "canary" not in answer.text


ACCESS = {"api_key": "canary-key", "api_secret": "canary-secret"}
SETTINGS = {"api_url": "http://127.0.0.1:9999/wp-json/wu/v2"}


async def test_the_keys_of_a_networks_api_are_taken_and_never_shown(api):
    made = await create(api, settings=SETTINGS, api_access=ACCESS)
    assert made.status_code == 201, made.text
    body = made.json()
    # What was pasted is the address of the API; kept is that of the site.
    assert body["settings"] == {"api_url": "http://127.0.0.1:9999"}
    assert body["api_access"] is True
    shown = await api.get(f"/v1/sources/{body['id']}")
    assert "canary" not in made.text + shown.text


async def test_keys_can_be_given_later_replaced_and_taken_away(api):
    path = f"/v1/sources/{(await create(api)).json()['id']}"
    given = await api.patch(path, json={"settings": SETTINGS, "api_access": ACCESS})
    assert given.json()["api_access"] is True
    other = await api.patch(path, json={"api_access": ACCESS | {"api_secret": "canary-2"}})
    assert (other.status_code, other.json()["api_access"]) == (200, True)
    gone = await api.patch(path, json={"api_access": None})
    assert gone.json()["api_access"] is False
    assert gone.json()["settings"] == other.json()["settings"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"api_access": ACCESS}, "#/settings/api_url"),
        ({"settings": {"api_url": "ftp://x"}, "api_access": ACCESS}, "#/settings/api_url"),
        ({"settings": SETTINGS, "api_access": ACCESS | {"api_key": " "}}, "#/api_access/api_key"),
        ({"settings": SETTINGS, "api_access": ACCESS | {"wp_user": "r"}}, "#/api_access/wp_user"),
        ({"settings": SETTINGS, "api_access": {"api_key": "k"}}, "#/api_access/api_secret"),
        ({"kind": "github", "api_access": ACCESS}, "#/api_access"),
        ({"kind": "github", "settings": SETTINGS}, "#/settings/api_url"),
    ],
)
async def test_access_that_cannot_be_used_is_refused_with_its_place(api, body, pointer):
    answer = await create(api, **body)
    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert "canary" not in answer.text


async def test_stored_keys_are_never_sent_to_a_host_they_were_not_given_for(api):
    made = await create(api, settings=SETTINGS, api_access=ACCESS)
    path = f"/v1/sources/{made.json()['id']}"
    moved = {"settings": {"api_url": "http://127.0.0.1:9998"}}
    answer = await api.patch(path, json=moved)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["#/api_access"]
    assert (await api.patch(path, json=moved | {"api_access": ACCESS})).status_code == 200
    without_address = await api.patch(path, json={"settings": {"api_url": None}})
    assert without_address.status_code == 422
