"""The bridge envelope, as docs/bridge-envelope.md specifies it."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.domain import strict_json
from app.domain.catalogue import BRIDGE_TYPES, CATALOGUE, bridge_example
from app.domain.errors import InvalidPayload, InvalidRequest
from app.domain.model import Context, Plan, RawRequest, Reading
from app.sources.bridge import SPEC
from app.sources.registry import adapter_for
from tests.captured import RECEIVED_AT, hook_data, names

ADAPTER = adapter_for("ultimate_multisite")
PAGE = Path(__file__).parents[3] / "docs" / "bridge-envelope.md"


def read(body: Any, event_type: str | None = None) -> Reading:
    request = RawRequest(headers={}, body=b"", received_at=RECEIVED_AT, event_type=event_type)
    return ADAPTER.read(request, body)


def enveloped(data: Any, **others: Any) -> dict[str, Any]:
    return {"id": "a-1", "type": "customer_post_create", "data": data} | others


def refused_places(body: Any, event_type: str | None = None) -> list[str]:
    with pytest.raises(InvalidPayload) as refused:
        read(body, event_type)
    return [error.pointer for error in refused.value.errors]


def test_a_full_envelope_is_read() -> None:
    reading = read(bridge_example("checkout_completed"))
    assert reading.type == "checkout_completed"
    assert reading.dedupe_id == bridge_example("checkout_completed")["id"]
    assert reading.occurred_at == datetime(2026, 11, 23, 19, 17, 43, tzinfo=UTC)
    assert (reading.test, reading.subject) == (False, "customer/2")
    assert reading.data["cart_type"] == "new"
    assert reading.customer is not None
    assert reading.customer.signup_date == datetime(2026, 11, 23, 19, 9, 31, tzinfo=UTC)
    assert reading.membership is not None
    assert reading.membership.plan == Plan(
        id="2", slug="pro-plan-a4", name="Pro Plan a4", price=Decimal("49.99")
    )
    assert reading.payment is not None
    assert reading.payment.total == Decimal("59.99")
    assert [(item.title, item.kind) for item in reading.payment.line_items] == [
        ("Pro Plan a4", "product"),
        ("Setup Fee", "fee"),
    ]


@pytest.mark.parametrize("name", BRIDGE_TYPES)
def test_every_example_of_the_catalogue_is_read(name: str) -> None:
    reading = read(bridge_example(name))
    assert (reading.type, reading.test, reading.subject) == (name, False, "customer/2")
    for part in CATALOGUE[name].parts:
        assert getattr(reading, part) is not None


@pytest.mark.parametrize("group", ["customer", "membership", "payment", "site", "domain"])
def test_an_object_fills_exactly_the_fields_it_names(group: str) -> None:
    example = bridge_example("domain_created" if group == "domain" else "payment_received")
    reading = read(bridge_example("site_published") if group == "site" else example)
    found = getattr(reading, group)
    sent = reading.data[group]
    said = {name for name, value in sent.items() if value is not None}
    fields = {field.name for field in dataclasses.fields(found)}
    assert said - {"customer_id", "membership_id"} <= fields
    assert {name for name in fields if getattr(found, name) not in (None, ())} == said & fields


@pytest.mark.parametrize("name", [name.removeprefix("hooks/") for name in names("hooks")])
def test_the_objects_of_the_real_hooks_are_understood(name: str) -> None:
    data = hook_data(name)
    reading = read(enveloped(data.get("payload", data)))
    for group in ("customer", "membership", "payment", "site", "domain"):
        sent = data.get(group)
        if sent is not None:
            assert getattr(reading, group).id == str(sent["id"])
    named = {"domain.created": "site/6", "domain.updated": "site/6", "domain.stage": None}
    assert reading.subject == named.get(name, "customer/7")


def test_the_platforms_own_names_fill_the_same_fields() -> None:
    reading = read(enveloped(hook_data("checkout.completed")))
    customer, membership, payment = reading.customer, reading.membership, reading.payment
    assert customer is not None
    assert (customer.email, customer.name, customer.last_name) == (
        "janee1@customer.example",
        "Jane Doe",
        "Doe",
    )
    assert customer.signup_date == datetime(2026, 11, 23, 19, 17, 42, tzinfo=UTC)
    assert membership is not None
    assert membership.plan == Plan(
        id="6", slug="pro-plan-e1", name="Pro Plan e1", price=Decimal("49.99")
    )
    assert membership.gateway_subscription_id == "sub_e1"
    assert membership.expires_at == datetime(2026, 12, 23, 23, 59, 59, tzinfo=UTC)
    assert payment is not None
    assert (payment.gateway_payment_id, payment.product_names) == (
        "pi_e1",
        "Pro Plan e1, Setup Fee",
    )


def test_false_instead_of_a_cancellation_reason_is_none() -> None:
    membership = read(enveloped(hook_data("membership.status.cancelled"))).membership
    assert membership is not None
    assert (membership.status, membership.cancellation_reason) == ("cancelled", None)


def test_the_own_name_of_a_field_wins_over_the_platforms() -> None:
    customer = read(enveloped({"customer": {"display_name": "old", "name": "new"}})).customer
    assert customer is not None
    assert customer.name == "new"


@pytest.mark.parametrize(
    ("consent", "allowed"),
    [
        ({"analytics": True, "marketing": True}, {"ga_client_id", "ga_session_id", "fbp", "fbc"}),
        ({"analytics": "true"}, {"ga_client_id", "ga_session_id"}),
        ({"marketing": 1}, {"fbp", "fbc"}),
    ],
)
def test_browser_ids_need_consent_to_their_purpose(consent: Any, allowed: set[str]) -> None:
    sent = {name: name for name in ("ga_client_id", "ga_session_id", "fbp", "fbc", "user_agent")}
    context = read(enveloped({}, context=sent | {"consent": consent})).context
    assert context is not None
    assert context == Context(user_agent="user_agent", **{name: name for name in allowed})


@pytest.mark.parametrize(
    "consent", [None, {}, [], "yes", {"analytics": False, "marketing": "0"}, {"analytics": None}]
)
def test_without_consent_there_is_no_context(consent: Any) -> None:
    sent = {"consent": consent, "ga_client_id": "1", "fbp": "2", "user_agent": "3"}
    assert read(enveloped({}, context=sent)).context is None


def test_an_envelope_can_say_that_it_is_a_test() -> None:
    assert read(enveloped({"customer": {"id": 7}}, test=True)).test is True
    assert read(enveloped({"customer": {"id": 7}}, test=False)).test is False


def test_a_type_that_only_the_test_button_sends_bare_is_live_in_an_envelope_with_a_real_id() -> (
    None
):
    assert read(enveloped({"user_id": 7}, type="checkout_failed")).test is False
    assert read(enveloped({"user_id": 0}, type="checkout_failed")).test is True


def test_an_empty_php_array_stands_for_an_empty_object() -> None:
    body = enveloped([], source=[], context=[])
    assert read(body).data == {}
    assert read(enveloped({"customer": [], "site": False})).customer is None


def test_the_type_in_the_path_may_repeat_the_envelopes() -> None:
    assert read(enveloped({}), "customer_post_create").type == "customer_post_create"
    assert refused_places(enveloped({}), "customer_post_update") == ["#/type"]


def test_an_envelope_without_a_type_takes_the_paths() -> None:
    assert read(enveloped({}, type=None), "x").type == "x"
    with pytest.raises(InvalidRequest, match="names no event type"):
        read(enveloped({}, type=None))


@pytest.mark.parametrize(
    ("missing", "place"), [("id", "#/id"), ("data", "#/data")], ids=["id", "data"]
)
def test_what_says_that_it_is_an_envelope_is_never_taken_for_a_bare_body(
    missing: str, place: str
) -> None:
    body = enveloped({"customer": {"id": "7"}}, spec=SPEC)
    del body[missing]
    assert refused_places(body, "customer_post_create") == [place]


def test_an_envelope_whose_type_stands_in_the_path_is_read_as_one() -> None:
    body = enveloped({"customer": {"id": "7"}}, spec=SPEC)
    del body["type"]
    reading = read(body, "customer_post_create")
    assert (reading.dedupe_id, reading.subject) == (body["id"], "customer/7")


@pytest.mark.parametrize("type_", ["Upper", "", 3, ["x"], "a" * 65, "x\0"])
def test_a_type_of_the_wrong_form_is_refused(type_: Any) -> None:
    assert refused_places(enveloped({}, type=type_)) == ["#/type"]


@pytest.mark.parametrize("id_", ["", "a.b", "a b", "a" * 256, "é", 7, None, "a\n", ["a"]])
def test_an_id_of_the_wrong_form_is_refused(id_: Any) -> None:
    assert refused_places(enveloped({}, id=id_)) == ["#/id"]


def test_the_longest_id_is_taken() -> None:
    assert read(enveloped({}, id="a" * 255)).dedupe_id == "a" * 255


def test_every_wrong_place_of_an_envelope_is_named() -> None:
    body = {
        "spec": "lifecycle-relay/2",
        "id": "a.b",
        "type": "x",
        "occurred_at": "today",
        "test": "perhaps",
        "source": "here",
        "context": {"consent": {"analytics": "maybe"}},
        "data": {"customer": "Jane", "payment": {"total": "$ 5"}},
    }
    assert set(refused_places(body)) == {
        "#/spec",
        "#/id",
        "#/occurred_at",
        "#/test",
        "#/source",
        "#/context/consent/analytics",
        "#/data/customer",
        "#/data/payment/total",
    }


@pytest.mark.parametrize("data", ["text", 3, [1], None, True])
def test_data_must_be_an_object(data: Any) -> None:
    assert refused_places(enveloped(data)) == ["#/data"]


def test_a_body_of_the_platform_is_never_taken_for_an_envelope() -> None:
    body = enveloped({}) | {"wu_version": "2.4.13", "customer_id": 2}
    reading = read(body, "customer_created")
    assert (reading.type, reading.dedupe_id, reading.data) == ("customer_created", None, body)


def test_a_flat_body_may_travel_inside_an_envelope() -> None:
    data = hook_data("wu_event-payment_received")["payload"]
    reading = read(enveloped(data, type="payment_received"))
    assert reading.payment is not None
    assert (reading.payment.total, reading.subject) == (Decimal("59.99"), "customer/7")


def test_the_example_in_the_documentation_is_the_catalogues() -> None:
    example = PAGE.read_text("utf-8").split("```json\n")[1].split("```")[0]
    assert strict_json.read_strict(example.encode()) == bridge_example("checkout_completed")
