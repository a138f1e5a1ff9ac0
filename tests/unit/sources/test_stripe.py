"""Stripe's signature, and what its events become."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from app.domain.errors import InvalidPayload
from app.domain.model import RawRequest
from app.sources.minor_units import from_minor_units
from app.sources.stripe import Stripe
from tests.senders import NOW, passes, read, request, sample, stripe_sample

ADAPTER = Stripe()
SECRET = "whsec_inventedSecretOfStripe0123456789"
OLD_SECRET = "whsec_theSecretBeforeItWasRolled012345"
BODY = b'{"id":"evt_1","type":"payout.paid","data":{"object":{}}}'
#: Computed with openssl over `1795461463.` and the body.
SIGNATURE = "a0795eefb3e84dee99991a5880d4b2f0ae3e8ddd52df2f3fd0fc63667f8867e0"


def signature(timestamp: int | str = NOW, secret: str = SECRET, body: bytes = BODY) -> str:
    content = f"{timestamp}.".encode() + body
    return hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()


def signed(header: str, body: bytes = BODY, **others: Any) -> RawRequest:
    return request(body, {"stripe-signature": header}, **others)


def test_the_secret_is_used_as_it_is_written():
    assert signature() == SIGNATURE
    assert passes(ADAPTER, signed(f"t={NOW},v1={SIGNATURE}"), SECRET)


@pytest.mark.parametrize(
    "header",
    [
        f"t={NOW},v1={SIGNATURE},v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39",
        f"t={NOW},v1={'0' * 64},v1={SIGNATURE}",
        f"t={NOW},v1={SIGNATURE},v1={'0' * 64}",
        f"v1={SIGNATURE},t={NOW}",
    ],
)
def test_any_v1_is_enough(header: str):
    assert passes(ADAPTER, signed(header), SECRET)


@pytest.mark.parametrize(
    "header",
    [
        "",
        f"t={NOW}",
        f"v1={SIGNATURE}",
        f"t={NOW},v0={SIGNATURE}",
        f"t={NOW},v1={SIGNATURE[:-1]}",
        f"t={NOW},v1=",
        f"t={NOW},v1={SIGNATURE.upper()}",
        f"t={NOW},t={NOW},v1={SIGNATURE}",
        f"t=+{NOW},v1={SIGNATURE}",
        f"t= {NOW},v1={SIGNATURE}",
        f"t=1_795_461_463,v1={SIGNATURE}",
        f"t=٣٤٥,v1={SIGNATURE}",
        f"t=nan,v1={SIGNATURE}",
        f"t={'9' * 400},v1={SIGNATURE}",
        f"t={NOW},v1=\xff",
        f"t={NOW}," + "v1=0," * 10_000 + f"v1={SIGNATURE}",
    ],
)
def test_anything_else_in_the_header_is_refused(header: str):
    assert not passes(ADAPTER, signed(header), SECRET)


@pytest.mark.parametrize(("off", "valid"), [(-301, False), (-300, True), (300, True), (301, False)])
def test_a_timestamp_may_be_five_minutes_off_either_way(off: int, *, valid: bool):
    stamp = NOW + off
    assert passes(ADAPTER, signed(f"t={stamp},v1={signature(stamp)}"), SECRET) is valid


def test_both_secrets_are_valid_while_one_is_rolled():
    old = signature(secret=OLD_SECRET)
    assert passes(ADAPTER, signed(f"t={NOW},v1={old}"), SECRET, OLD_SECRET)
    assert not passes(ADAPTER, signed(f"t={NOW},v1={old}"), SECRET)


@pytest.mark.parametrize("body", [BODY + b"\n", BODY.replace(b"payout", b"charge"), b""])
def test_the_signature_covers_every_byte_of_the_body(body: bytes):
    assert not passes(ADAPTER, signed(f"t={NOW},v1={SIGNATURE}", body), SECRET)


def test_a_header_that_came_twice_is_refused():
    twice = signed(f"t={NOW},v1={SIGNATURE}", repeated_headers=frozenset({"stripe-signature"}))
    assert not passes(ADAPTER, twice, SECRET)


def test_a_standard_webhooks_signature_is_no_credential_here():
    headers = {"webhook-id": "1", "webhook-timestamp": str(NOW), "webhook-signature": "v1,x"}
    assert not passes(ADAPTER, request(BODY, headers), SECRET)


def test_without_a_secret_nobody_gets_in():
    assert not passes(ADAPTER, signed(f"t={NOW},v1={SIGNATURE}"))


@pytest.mark.parametrize(
    ("sample_name", "event_type"),
    [
        ("invoice.paid", "payment_received"),
        ("invoice.paid.basil", "payment_received"),
        ("invoice.payment_failed", "payment_failed"),
        ("charge.refunded", "payment_status_to_refunded"),
        ("customer.created", "customer_post_create"),
        ("customer.subscription.created", "membership_post_create"),
        ("customer.subscription.updated", "membership_status_to_on-hold"),
        ("customer.subscription.deleted", "membership_status_to_cancelled"),
        ("payout.paid", "stripe.payout.paid"),
    ],
)
def test_what_the_catalogue_has_a_name_for_gets_it(sample_name: str, event_type: str):
    assert read(ADAPTER, stripe_sample(sample_name)).type == event_type


@pytest.mark.parametrize(
    ("name", "event_type"),
    [
        ("customer.updated", "customer_post_update"),
        ("customer.deleted", "customer_post_delete"),
        ("invoice.payment_succeeded", "stripe.invoice.payment_succeeded"),
        ("checkout.session.completed", "stripe.checkout.session.completed"),
        (
            "v2.core.account[configuration.recipient].capability_status_updated",
            "stripe.v2.core.account_configuration.recipient_.capability_statu",
        ),
    ],
)
def test_every_other_type_keeps_its_own_name_in_the_form_of_an_event_type(
    name: str, event_type: str
):
    assert read(ADAPTER, sample("stripe-payout.paid", type=name)).type == event_type


def test_a_path_that_names_a_type_changes_nothing():
    found = read(ADAPTER, stripe_sample("customer.created"), event_type="payment_received")
    assert found.type == "customer_post_create"


def test_an_events_id_time_and_object_are_read():
    document = stripe_sample("charge.refunded")
    found = read(ADAPTER, document)
    assert found.dedupe_id == "evt_3Inv3ntedRefund"
    assert found.occurred_at == datetime(2026, 11, 23, 19, 17, 43, tzinfo=UTC)
    assert found.data == document["data"]
    assert found.subject == "customer/cus_Inv3nted"
    assert found.test is False


def test_what_happened_in_test_mode_is_a_test():
    assert read(ADAPTER, stripe_sample("payout.paid")).test is True


def test_a_repeat_differs_only_in_what_is_no_part_of_the_data():
    first = read(ADAPTER, sample("stripe-invoice.paid", pending_webhooks=2))
    again = read(ADAPTER, sample("stripe-invoice.paid", pending_webhooks=1))
    assert (first.dedupe_id, first.data) == (again.dedupe_id, again.data)


def test_a_paid_invoice_is_a_completed_payment():
    found = read(ADAPTER, stripe_sample("invoice.paid"))
    payment, membership, customer = found.payment, found.membership, found.customer
    assert payment is not None
    assert (payment.id, payment.status, payment.total) == (
        "in_1Inv3nted", "completed", Decimal("59.99"),
    )  # fmt: skip
    assert (payment.subtotal, payment.tax_total, payment.currency) == (
        Decimal("49.99"), Decimal(10), "USD",
    )  # fmt: skip
    assert (payment.gateway, payment.gateway_payment_id) == ("stripe", "pi_3Inv3nted")
    assert (payment.membership_id, payment.reference_code) == ("sub_1Inv3nted", "INV-0007")
    (line,) = payment.line_items
    assert (line.title, line.quantity, line.total) == (
        "1 \u00d7 Pro (at $49.99 / month)", 1, Decimal("49.99"),
    )  # fmt: skip
    assert membership is not None
    assert membership.plan is not None
    assert (membership.id, membership.plan.name) == ("sub_1Inv3nted", "Pro (monthly)")
    assert membership.expires_at == datetime.fromtimestamp(1_798_053_463, UTC)
    assert customer is not None
    assert (customer.id, customer.email, customer.first_name, customer.last_name) == (
        "cus_Inv3nted", "jane@customer.example", "Jane", "Roe",
    )  # fmt: skip
    assert (customer.country, customer.phone, customer.signup_date) == ("US", "+15550100", None)


def test_an_invoice_of_the_newer_api_says_the_same():
    older = read(ADAPTER, stripe_sample("invoice.paid"))
    newer = read(ADAPTER, stripe_sample("invoice.paid.basil"))
    assert newer.customer == older.customer
    assert newer.payment is not None
    assert older.payment is not None
    for name in ("id", "status", "total", "subtotal", "tax_total", "membership_id", "currency"):
        assert getattr(newer.payment, name) == getattr(older.payment, name), name
    assert newer.payment.line_items == older.payment.line_items
    assert newer.membership is not None
    assert older.membership is not None
    assert newer.membership.id == older.membership.id
    assert newer.membership.expires_at == older.membership.expires_at


def test_a_failed_invoice_is_a_failed_payment_of_what_was_due():
    payment = read(ADAPTER, stripe_sample("invoice.payment_failed")).payment
    assert payment is not None
    assert (payment.id, payment.status, payment.total) == (
        "in_2Inv3nted", "failed", Decimal("59.99"),
    )  # fmt: skip


def test_an_invoice_over_nothing_is_a_payment_of_nothing():
    payment = read(ADAPTER, stripe_sample("invoice.paid", amount_paid=0)).payment
    assert payment is not None
    assert payment.total == 0


def test_a_refund_is_of_the_payment_that_its_invoice_announced():
    payment = read(ADAPTER, stripe_sample("charge.refunded")).payment
    assert payment is not None
    assert (payment.id, payment.status) == ("in_1Inv3nted", "refunded")
    assert (payment.total, payment.refund_total) == (Decimal("59.99"), Decimal("59.99"))


def test_a_refund_without_an_invoice_is_of_the_payment_intent():
    document = stripe_sample("charge.refunded")
    del document["data"]["object"]["invoice"]
    payment = read(ADAPTER, document).payment
    assert payment is not None
    assert payment.id == "pi_3Inv3nted"


def test_a_part_of_a_payment_that_goes_back_is_said_to_be_a_part():
    found = read(ADAPTER, stripe_sample("charge.refunded", refunded=False, amount_refunded=1000))
    assert found.type == "payment_status_to_partially-refunded"
    assert found.payment is not None
    assert (found.payment.status, found.payment.refund_total) == (
        "partially-refunded", Decimal(10),
    )  # fmt: skip


def test_a_subscription_is_a_membership():
    found = read(ADAPTER, stripe_sample("customer.subscription.created"))
    membership = found.membership
    assert membership is not None
    assert (membership.id, membership.status, membership.customer_id) == (
        "sub_1Inv3nted", "active", "cus_Inv3nted",
    )  # fmt: skip
    assert (membership.amount, membership.currency, membership.auto_renew) == (
        Decimal("99.98"), "USD", True,
    )  # fmt: skip
    assert membership.plan is not None
    assert (membership.plan.id, membership.plan.slug, membership.plan.price) == (
        "prod_Inv3nted", "pro-monthly", Decimal("49.99"),
    )  # fmt: skip
    assert membership.created_at == datetime.fromtimestamp(1_790_000_100, UTC)
    assert membership.expires_at == datetime.fromtimestamp(1_798_053_463, UTC)
    assert found.customer is not None
    assert found.customer.id == "cus_Inv3nted"


@pytest.mark.parametrize(
    ("status", "spelled"),
    [
        ("active", "active"),
        ("trialing", "trialing"),
        ("past_due", "on-hold"),
        ("unpaid", "on-hold"),
        ("paused", "on-hold"),
        ("incomplete", "pending"),
        ("incomplete_expired", "expired"),
        ("canceled", "cancelled"),
    ],
)
def test_a_status_that_changed_is_spelled_as_the_platform_spells_it(status: str, spelled: str):
    found = read(ADAPTER, stripe_sample("customer.subscription.updated", status=status))
    assert found.type == f"membership_status_to_{spelled}"
    assert found.membership is not None
    assert found.membership.status == spelled
    assert found.membership.previous_status == "active"


@pytest.mark.parametrize("previous", [{}, {"cancel_at_period_end": False}, None])
def test_any_other_change_of_a_subscription_is_just_that(previous: Any):
    document = stripe_sample("customer.subscription.updated")
    document["data"]["previous_attributes"] = previous
    assert read(ADAPTER, document).type == "membership_post_update"


def test_a_change_of_the_price_tells_the_plan_before():
    document = stripe_sample("customer.subscription.updated")
    item = document["data"]["object"]["items"]["data"][0]
    price = item["price"] | {"product": "prod_0", "nickname": "Basic"}
    document["data"]["previous_attributes"] = {"items": {"data": [item | {"price": price}]}}
    membership = read(ADAPTER, document).membership
    assert membership is not None
    assert membership.previous_plan is not None
    assert membership.previous_plan.name == "Basic"


def test_a_period_that_moved_on_is_no_change_of_plan():
    document = stripe_sample("customer.subscription.updated")
    item = document["data"]["object"]["items"]["data"][0]
    moved = item | {"current_period_end": 1_795_461_463}
    document["data"]["previous_attributes"] = {"items": {"data": [moved]}}
    membership = read(ADAPTER, document).membership
    assert membership is not None
    assert membership.previous_plan is None


def test_the_end_of_a_subscription_says_when_and_why():
    membership = read(ADAPTER, stripe_sample("customer.subscription.deleted")).membership
    assert membership is not None
    assert (membership.status, membership.cancellation_reason) == ("cancelled", "too_expensive")
    assert membership.cancelled_at == datetime.fromtimestamp(NOW, UTC)
    assert membership.expires_at == datetime.fromtimestamp(1_798_053_463, UTC)
    assert membership.auto_renew is None


def test_a_customer_has_a_day_of_sign_up():
    customer = read(ADAPTER, stripe_sample("customer.created")).customer
    assert customer is not None
    assert (customer.email, customer.name) == ("jane@customer.example", "Jane Roe")
    assert customer.signup_date == datetime.fromtimestamp(1_790_000_000, UTC)


def test_a_reference_may_be_expanded():
    expanded = sample("stripe-customer.created")["data"]["object"]
    found = read(ADAPTER, stripe_sample("customer.subscription.created", customer=expanded))
    assert found.customer is not None
    assert found.customer.email == "jane@customer.example"
    assert found.membership is not None
    assert found.membership.customer_id == "cus_Inv3nted"


def test_a_checkout_session_of_a_guest_knows_the_address():
    details = {"email": "guest@customer.example", "name": "Guest", "address": {"country": "DE"}}
    session = {"id": "cs_1", "object": "checkout.session", "customer": None}
    document = sample("stripe-payout.paid", type="checkout.session.completed")
    document["data"]["object"] = session | {"customer_details": details}
    found = read(ADAPTER, document)
    assert found.customer is not None
    assert (found.customer.email, found.customer.country) == ("guest@customer.example", "DE")
    assert found.subject is not None
    assert found.subject.startswith("email/")


def test_an_event_of_the_second_generation_is_its_own_data():
    document = {
        "id": "evt_test_65R9",
        "object": "v2.core.event",
        "type": "v1.billing.meter.error_report_triggered",
        "livemode": True,
        "created": "2026-11-23T19:09:31.250Z",
        "related_object": {"id": "mtr_1", "type": "billing.meter"},
    }
    found = read(ADAPTER, document)
    assert found.type == "stripe.v1.billing.meter.error_report_triggered"
    assert found.data == document
    assert found.occurred_at == datetime(2026, 11, 23, 19, 9, 31, 250_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("units", "currency", "amount"),
    [
        (5999, "usd", "59.99"),
        (100, "eur", "1"),
        (-500, "usd", "-5"),
        (0, "usd", "0"),
        (500, "jpy", "500"),
        (500, "KRW", "500"),
        (5120, "kwd", "5.12"),
        (10_000, "BHD", "10"),
        (500, "isk", "5"),
        (500, "ugx", "5"),
        (1234, "huf", "12.34"),
        ("0.5", "usd", "0.005"),
        ("4999", "usd", "49.99"),
    ],
)
def test_amounts_are_in_the_currencys_smallest_unit(units: Any, currency: str, amount: str):
    assert from_minor_units(units, currency) == Decimal(amount)


@pytest.mark.parametrize(
    ("units", "currency"),
    [
        (True, "usd"),
        (59.99, "usd"),
        ("59,99", "usd"),
        ("1e5", "usd"),
        (None, "usd"),
        ([], "usd"),
        (10**18, "usd"),
        (5999, None),
    ],
)
def test_what_is_no_amount_says_nothing(units: Any, currency: str | None):
    assert from_minor_units(units, currency) is None


def test_an_invoice_in_yen_is_read_in_yen():
    payment = read(ADAPTER, stripe_sample("invoice.paid", currency="jpy", amount_paid=6000)).payment
    assert payment is not None
    assert (payment.total, payment.currency) == (Decimal(6000), "JPY")


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ([], "#"),
        ({}, "#/type"),
        ({"type": "invoice.paid"}, "#/id"),
        ({"type": "", "id": "evt_1"}, "#/type"),
        ({"type": 7, "id": "evt_1"}, "#/type"),
        ({"type": "invoice.paid", "id": "evt_\u0000"}, "#/id"),
        ({"type": "invoice.paid", "id": {}}, "#/id"),
        ({"type": "invoice.paid", "id": "e" * 256}, "#/id"),
    ],
)
def test_what_is_no_stripe_event_is_refused(document: Any, pointer: str):
    with pytest.raises(InvalidPayload) as refused:
        read(ADAPTER, document)
    assert [error.pointer for error in refused.value.errors] == [pointer]
