"""WooCommerce's signature, and what its webhooks become."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from app.domain.errors import InvalidPayload, InvalidRequest
from app.domain.model import Reading
from app.sources.woocommerce import WooCommerce
from tests.senders import passes, read, request, sample

ADAPTER = WooCommerce()
SECRET = "shop secret &<>"
BODY = b'{"id":727}'
#: Computed with openssl.
SIGNATURE = "P/y8nGh20qzJyw+VHHj/4voRgUUWDvJ16NkHLDRL9dc="
DELIVERY = "6f0e4d2a1f5e4c0b9a630d7c4f8b2e11"


def headers(topic: str, delivery: str = DELIVERY) -> dict[str, str]:
    return {"x-wc-webhook-topic": topic, "x-wc-webhook-delivery-id": delivery}


def order(topic: str = "order.updated", **changes: Any) -> Reading:
    return read(ADAPTER, sample("woocommerce-order", **changes), headers(topic))


def subscription(topic: str = "subscription.updated", **changes: Any) -> Reading:
    return read(ADAPTER, sample("woocommerce-subscription", **changes), headers(topic))


def test_a_body_signed_with_the_shops_secret_passes():
    assert passes(ADAPTER, request(BODY, {"x-wc-webhook-signature": SIGNATURE}), SECRET)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"x-wc-webhook-signature": ""},
        {"x-wc-webhook-signature": SIGNATURE[:-1]},
        {"x-wc-webhook-signature": SIGNATURE.rstrip("=")},
        {"x-wc-webhook-signature": SIGNATURE.swapcase()},
        {"x-wc-webhook-signature": f"sha256={SIGNATURE}"},
        {"x-wc-webhook-signature": "\xff"},
    ],
)
def test_anything_else_is_refused(fields: dict[str, str]):
    assert not passes(ADAPTER, request(BODY, fields), SECRET)


def test_the_signature_covers_every_byte():
    fields = {"x-wc-webhook-signature": SIGNATURE}
    assert not passes(ADAPTER, request(BODY + b" ", fields), SECRET)


@pytest.mark.parametrize(
    ("body", "greeting"),
    [
        (b"webhook_id=7", True),
        (b"webhook_id=7&x=1", False),
        (b"webhook_id=", False),
        (b"webhook_id=7\n", False),
        (b'{"id":727}', False),
        (b"", False),
    ],
)
def test_the_unsigned_form_of_a_new_webhook_is_known(body: bytes, *, greeting: bool):
    assert ADAPTER.greets(request(body)) is greeting


@pytest.mark.parametrize(
    ("topic", "status", "event_type"),
    [
        ("order.created", "pending", "payment_post_create"),
        ("order.created", "processing", "payment_received"),
        ("order.created", "on-hold", "payment_post_create"),
        ("order.updated", "pending", "woocommerce.order.updated"),
        ("order.updated", "on-hold", "woocommerce.order.updated"),
        ("order.updated", "processing", "payment_received"),
        ("order.updated", "completed", "payment_received"),
        ("order.updated", "refunded", "payment_status_to_refunded"),
        ("order.updated", "failed", "payment_status_to_failed"),
        ("order.updated", "cancelled", "payment_status_to_cancelled"),
        ("order.updated", "shipped-by-an-add-on", "woocommerce.order.updated"),
        ("order.restored", "processing", "woocommerce.order.restored"),
    ],
)
def test_an_order_tells_how_its_payment_stands(topic: str, status: str, event_type: str):
    assert order(topic, status=status).type == event_type


@pytest.mark.parametrize(
    ("topic", "status", "event_type"),
    [
        ("subscription.created", "pending", "membership_post_create"),
        ("subscription.updated", "active", "membership_post_update"),
        ("subscription.updated", "pending-cancel", "membership_post_update"),
        ("subscription.updated", "on-hold", "membership_post_update"),
        ("subscription.updated", "cancelled", "membership_status_to_cancelled"),
        ("subscription.updated", "expired", "membership_status_to_expired"),
        ("subscription.switched", "active", "membership_plan_changed"),
    ],
)
def test_a_subscription_is_a_membership(topic: str, status: str, event_type: str):
    assert subscription(topic, status=status).type == event_type


@pytest.mark.parametrize(
    ("topic", "event_type"),
    [
        ("customer.created", "customer_post_create"),
        ("customer.updated", "customer_post_update"),
        ("customer.deleted", "customer_post_delete"),
        ("subscription.deleted", "membership_post_delete"),
        ("order.deleted", "woocommerce.order.deleted"),
        ("product.created", "woocommerce.product.created"),
        ("coupon.updated", "woocommerce.coupon.updated"),
        ("action.woocommerce_add_to_cart", "woocommerce.action.woocommerce_add_to_cart"),
        ("Order Thing!", "woocommerce.order_thing_"),
    ],
)
def test_every_topic_has_a_type(topic: str, event_type: str):
    assert read(ADAPTER, {"id": 26}, headers(topic)).type == event_type


def test_an_order_is_a_payment_of_its_buyer():
    found = order()
    payment, customer = found.payment, found.customer
    assert payment is not None
    assert (payment.id, payment.status, payment.total, payment.currency) == (
        "727", "completed", Decimal(44), "USD",
    )  # fmt: skip
    assert (payment.tax_total, payment.refund_total, payment.gateway) == (
        Decimal(4),
        None,
        "stripe",
    )
    assert (payment.gateway_payment_id, payment.reference_code) == ("ch_3Inv3nted", "727")
    (line,) = payment.line_items
    assert (line.title, line.quantity, line.unit_price, line.total, line.product_id) == (
        "Site, one year", 2, Decimal(20), Decimal(40), "93",
    )  # fmt: skip
    assert customer is not None
    assert (customer.id, customer.email, customer.name, customer.last_name) == (
        "26", "jane@customer.example", "Jane Roe", "Roe",
    )  # fmt: skip
    assert (customer.company, customer.country, customer.phone) == ("Roe & Sons", "US", "+15550100")
    assert found.subject == "customer/26"
    assert found.occurred_at == datetime(2026, 11, 23, 19, 9, 31, tzinfo=UTC)


def test_a_guest_is_known_by_the_address_which_is_not_spelled_out():
    found = order(customer_id=0)
    assert found.customer is not None
    assert (found.customer.id, found.customer.email) == (None, "jane@customer.example")
    assert found.subject is not None
    assert found.subject.startswith("email/")
    assert "jane" not in found.subject


def test_what_went_back_is_added_up():
    refunds = [{"id": 1, "total": "-10.00"}, {"id": 2, "total": "-4.50"}, {"id": 3, "total": None}]
    payment = order(refunds=refunds).payment
    assert payment is not None
    assert payment.refund_total == Decimal("14.5")


def test_a_membership_says_what_it_buys_and_until_when():
    membership = subscription().membership
    assert membership is not None
    assert membership.plan is not None
    assert (membership.id, membership.plan.id, membership.plan.name) == (
        "900", "93", "Site, one year",
    )  # fmt: skip
    assert (membership.amount, membership.currency) == (Decimal(20), "USD")
    assert membership.expires_at == datetime(2026, 12, 23, 19, 5, tzinfo=UTC)


def test_a_membership_that_will_end_is_active_and_does_not_renew():
    membership = subscription(status="pending-cancel").membership
    assert membership is not None
    assert (membership.status, membership.auto_renew) == ("active", False)


def test_a_customer_has_a_day_of_sign_up():
    customer = read(ADAPTER, sample("woocommerce-customer"), headers("customer.created")).customer
    assert customer is not None
    assert (customer.id, customer.signup_date) == ("26", datetime(2026, 11, 20, 14, tzinfo=UTC))


def test_two_orders_of_one_second_are_told_apart_though_they_share_the_delivery_id():
    one, other = order(id=1), order(id=2)
    assert one.dedupe_id is not None
    assert one.dedupe_id != other.dedupe_id
    assert one.dedupe_id == order(id=1).dedupe_id
    assert one.dedupe_id.startswith(DELIVERY)


def test_a_request_that_names_no_topic_is_refused():
    with pytest.raises(InvalidRequest, match="X-WC-Webhook-Topic"):
        read(ADAPTER, sample("woocommerce-order"))


@pytest.mark.parametrize("document", [[], 42, "text", None])
def test_a_body_that_is_no_object_is_refused(document: Any):
    with pytest.raises(InvalidPayload):
        read(ADAPTER, document, headers("order.created"))


def test_odd_fields_cost_no_event():
    found = order(total={"a": 1}, currency=[], billing="none", line_items={}, customer_id="x\u0000")
    assert found.type == "payment_received"
    assert found.payment is not None
    assert found.payment.total is None
    assert found.customer is None
