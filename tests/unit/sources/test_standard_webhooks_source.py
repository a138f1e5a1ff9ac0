"""Senders that follow Standard Webhooks, and the relay's own news."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from app.domain.catalogue import CATALOGUE, Sender
from app.domain.errors import InvalidPayload, InvalidRequest, NotImplementedYet
from app.domain.model import Customer, RawRequest, Reading
from app.sources.registry import ADAPTERS, KNOWN_KINDS, adapter_for
from tests.captured import RECEIVED_AT


def read(
    body: Any,
    *,
    kind: str = "standard_webhooks",
    event_type: str | None = None,
    message_id: str | None = None,
) -> Reading:
    headers = {} if message_id is None else {"webhook-id": message_id}
    request = RawRequest(headers=headers, body=b"", received_at=RECEIVED_AT, event_type=event_type)
    return adapter_for(kind).read(request, body)


def refused_places(body: Any, **options: Any) -> list[str]:
    with pytest.raises(InvalidPayload) as refused:
        read(body, **options)
    return [error.pointer for error in refused.value.errors]


def test_type_time_and_id_come_from_where_the_specification_says() -> None:
    body = {"type": "user.created", "timestamp": "2022-11-03T20:26:10.344522Z", "data": {"id": 1}}
    assert read(body, message_id="msg_p5jXN8AQM9LWM0D4loKWxJek") == Reading(
        type="user.created",
        data={"id": 1},
        dedupe_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        occurred_at=datetime(2022, 11, 3, 20, 26, 10, 344_522, tzinfo=UTC),
    )


def test_without_the_header_the_sender_has_no_id() -> None:
    assert read({"type": "x", "data": {}}).dedupe_id is None


def test_the_type_may_stand_in_the_path() -> None:
    assert read({"data": {}}, event_type="user.created").type == "user.created"


def test_a_type_in_the_path_must_agree_with_the_bodys() -> None:
    assert refused_places({"type": "a", "data": {}}, event_type="b") == ["#/type"]


def test_a_body_without_a_type_is_told_what_to_do() -> None:
    with pytest.raises(InvalidRequest, match='Set "type" in the body'):
        read({"data": {}})


def test_a_body_without_data_is_the_data() -> None:
    body = {"type": "x", "customer": {"id": "cus_1"}}
    reading = read(body)
    assert (reading.data, reading.subject) == (body, "customer/cus_1")


@pytest.mark.parametrize("data", ["text", 3, True, [1]])
def test_data_must_be_an_object(data: Any) -> None:
    assert refused_places({"type": "x", "data": data}) == ["#/data"]


@pytest.mark.parametrize("timestamp", ["now", 1_667_507_170, {}])
def test_a_timestamp_must_be_a_time(timestamp: Any) -> None:
    assert refused_places({"type": "x", "timestamp": timestamp, "data": {}}) == ["#/timestamp"]


def test_another_platforms_customer_and_payment_are_normalised() -> None:
    reading = read(
        {
            "type": "order.paid",
            "data": {
                "customer": {"id": "cus_1", "email": "ada@customer.example", "name": "Ada Byron"},
                "payment": {"id": "pay_1", "total": "12.50", "currency": "EUR"},
            },
        },
    )
    assert reading.customer == Customer(
        id="cus_1",
        email="ada@customer.example",
        name="Ada Byron",
        first_name="Ada",
        last_name="Byron",
    )
    assert reading.payment is not None
    assert reading.payment.total == Decimal("12.5")


def test_a_field_that_means_something_else_elsewhere_counts_as_not_sent() -> None:
    reading = read(
        {
            "type": "order.paid",
            "data": {
                "customer": {"id": "cus_1", "created_at": 1_667_507_170},
                "payment": {"id": "pay_1", "total": {"amount": 5}},
                "site": "shop.example",
            },
        },
    )
    assert reading.customer == Customer(id="cus_1")
    assert reading.payment is not None
    assert reading.payment.total is None
    assert reading.site is None


# The relay's own news


@pytest.mark.parametrize(
    "name", [name for name, entry in CATALOGUE.items() if entry.sender is Sender.RELAY]
)
def test_the_relays_own_news_is_read(name: str) -> None:
    data = dict(CATALOGUE[name].example)
    reading = read({"type": name, "timestamp": "2026-11-24T08:00:00Z", "data": data}, kind="relay")
    assert (reading.type, reading.data, reading.occurred_at) == (name, data, RECEIVED_AT)
    assert reading.subject == ("customer/2" if "subject" in data else None)


def test_news_belongs_to_the_subject_of_the_event_it_is_about() -> None:
    data = {"source": "my-network", "subject": "my-network/email/d6df458bcb0e8ec3"}
    reading = read({"type": "relay.contact_linked", "data": data}, kind="relay")
    assert reading.subject == "email/d6df458bcb0e8ec3"


def test_news_names_the_customer() -> None:
    data = dict(CATALOGUE["relay.contact_linked"].example)
    reading = read({"type": "relay.contact_linked", "data": data}, kind="relay")
    assert reading.customer == Customer(id="2", email="janea4@customer.example")


def test_news_of_a_test_is_a_test() -> None:
    body = {"type": "relay.delivery_failed", "test": True, "data": {"reason": "x"}}
    assert read(body, kind="relay").test is True


def test_news_without_data_is_refused() -> None:
    assert refused_places({"type": "relay.x"}, kind="relay") == ["#/data"]


def test_news_without_a_type_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        read({"data": {"a": 1}}, kind="relay")


# The registry


def test_every_kind_knows_its_own_name() -> None:
    assert [adapter.kind for adapter in ADAPTERS.values()] == list(ADAPTERS)


def test_an_operator_cannot_make_a_source_of_the_relays_own_kind() -> None:
    assert KNOWN_KINDS == (
        "ultimate_multisite",
        "standard_webhooks",
        "cloudevents",
        "generic_hmac",
        "stripe",
        "woocommerce",
        "github",
    )


def test_nobody_can_send_the_relays_own_news() -> None:
    adapter = adapter_for("relay")
    assert not adapter.takes_token
    assert not adapter.takes_signature
    assert adapter.secret_form is None


@pytest.mark.parametrize("kind", ["paypal", "Stripe", "", "x"])
def test_a_kind_that_is_not_built_is_said_to_be_missing(kind: str) -> None:
    with pytest.raises(NotImplementedYet, match="ultimate_multisite, standard_webhooks"):
        adapter_for(kind)
