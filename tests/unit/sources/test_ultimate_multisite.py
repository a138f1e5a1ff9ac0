"""What Ultimate Multisite's own webhooks mean, from requests captured from the real plug-in."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from app.domain.errors import InvalidPayload, InvalidRequest
from app.domain.model import Customer, Domain, Payment, Plan, RawRequest, Reading, Site
from app.sources.registry import adapter_for
from tests.captured import RECEIVED_AT, captured, names

ADAPTER = adapter_for("ultimate_multisite")
MOCK = "email/d6df458bcb0e8ec3"
JANE = "janea4@customer.example"

#: capture: customer id, e-mail, plan, payment total, payment status, membership status, test, subject
EXPECTED: dict[str, tuple[Any, ...]] = {
    "confirm_email_address": ("2", JANE, None, None, None, None, False, "customer/2"),
    "demo_site_expiring": ("2", None, "Pro Plan a4", None, None, "cancelled", False, "customer/2"),
    "domain_created": ("2", JANE, None, None, None, "active", False, "customer/2"),
    "invoice_sent": ("2", JANE, None, "59.99", "completed", None, False, "customer/2"),
    "membership_expired": ("2", JANE, None, None, None, "expired", False, "customer/2"),
    "payment_failed": ("2", JANE, None, None, None, "cancelled", False, "customer/2"),
    "payment_received": ("2", JANE, None, "59.99", "completed", "active", False, "customer/2"),
    "renewal_payment_created": (
        *("2", JANE, None, "49.99", "pending", "on-hold", False, "customer/2"),
    ),
    "site_published": ("2", JANE, None, None, None, "active", False, "customer/2"),
    "model_events/customer_created": (
        *("4", "janeb3@customer.example", None, None, None, None, False, "customer/4"),
    ),
    "model_events/membership_updated": (
        *("4", "janeb3@customer.example", None, None, None, "active", False, "customer/4"),
    ),
    "model_events/payment_created": (
        *("4", "janeb3@customer.example", None, "59.99", "pending", "pending", False, "customer/4"),
    ),
    "checkout_completed.test": (None, "mockeduser@dev.dev", None, "0", None, None, True, MOCK),
    "confirm_email_address.test": (
        *(None, "mockeduser@dev.dev", None, None, None, None, True, MOCK),
    ),
    "demo_site_expiring.test": (None, "mockeduser@dev.dev", None, None, None, None, True, MOCK),
    "domain_created.test": (None, "mockeduser@dev.dev", None, None, None, None, True, MOCK),
    "payment_failed.test": (None, "mockeduser@dev.dev", None, None, None, None, True, MOCK),
    "payment_received.test": (None, "mockeduser@dev.dev", None, "0", None, None, True, MOCK),
}


def read(event_type: str | None, body: Any, **headers: str) -> Reading:
    request = RawRequest(
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        body=b"",
        received_at=RECEIVED_AT,
        event_type=event_type,
    )
    return ADAPTER.read(request, body)


def read_capture(name: str) -> Reading:
    capture = captured(name)
    return ADAPTER.read(capture.request(), capture.document)


def test_every_capture_is_expected_here() -> None:
    assert set(EXPECTED) == set(names()) | set(names("model_events"))


@pytest.mark.parametrize("name", EXPECTED)
def test_a_captured_request_is_read(name: str) -> None:
    reading = read_capture(name)
    customer, membership, payment = reading.customer, reading.membership, reading.payment
    assert customer is not None
    total = payment.total if payment else None
    plan = membership.plan if membership else None
    assert (
        customer.id,
        customer.email,
        plan.name if plan else None,
        None if total is None else str(total),
        payment.status if payment else None,
        membership.status if membership else None,
        reading.test,
        reading.subject,
    ) == EXPECTED[name]


@pytest.mark.parametrize("name", EXPECTED)
def test_the_data_is_the_body_as_received(name: str) -> None:
    assert read_capture(name).data == captured(name).document


def test_a_bare_body_has_neither_a_time_nor_an_id_of_its_own() -> None:
    reading = read_capture("payment_received")
    assert (reading.occurred_at, reading.dedupe_id) == (None, None)


def test_a_payment_is_read_in_full() -> None:
    reading = read_capture("payment_received")
    assert reading.payment == Payment(
        id="3",
        status="completed",
        customer_id="2",
        membership_id="2",
        total=Decimal("59.99"),
        subtotal=Decimal("59.99"),
        tax_total=Decimal(0),
        currency="USD",
        product_names="Pro Plan a4, Setup Fee",
        gateway="stripe",
        created_at=datetime(2026, 11, 23, 19, 9, 31, tzinfo=UTC),
        reference_code="JJJ3D4413E",
        manage_url=(
            "https://network.example.test/wp-admin/network/admin.php"
            "?page=wp-ultimo-edit-payment&id=3"
        ),
    )


def test_a_customer_is_read_without_the_avatar() -> None:
    assert read_capture("payment_received").customer == Customer(
        id="2",
        user_id="3",
        email=JANE,
        name="Jane Doe",
        first_name="Jane",
        last_name="Doe",
        email_verification="pending",
        billing_address="Acme Ltd\nbillinga4@customer.example\n1 Main St\nUS\nCA\nLA\n90001",
        manage_url=(
            "https://network.example.test/wp-admin/network/admin.php"
            "?page=wp-ultimo-edit-customer&id=2"
        ),
    )


def test_a_membership_says_whose_it_is_and_what_it_costs() -> None:
    membership = read_capture("membership_expired").membership
    assert membership is not None
    assert membership.customer_id == "2"
    assert (membership.amount, membership.initial_amount) == (Decimal("49.99"), Decimal("59.99"))
    assert membership.expires_at == datetime(2026, 12, 23, 23, 59, 59, tzinfo=UTC)


def test_a_site_and_a_domain_are_read() -> None:
    reading = read_capture("domain_created")
    assert reading.site == Site(
        id="3",
        title="Jane Shop a4",
        url="https://network.example.test/janea4",
        admin_url="https://network.example.test/janea4/wp-admin/",
    )
    assert reading.domain == Domain(
        id="2",
        name="shopa4.customer.example",
        site_id="3",
        stage="checking-dns",
        active=True,
        primary=True,
        secure=False,
        created_at=datetime(2026, 11, 23, 19, 9, 31, tzinfo=UTC),
    )


def test_the_nested_demo_body_has_plan_signup_date_and_address() -> None:
    reading = read_capture("demo_site_expiring")
    assert reading.membership is not None
    assert reading.membership.plan == Plan(
        id="2", slug="pro-plan-a4", name="Pro Plan a4", price=Decimal("49.99")
    )
    assert (reading.membership.gateway, reading.membership.gateway_subscription_id) == (
        "stripe",
        "sub_a4",
    )
    assert reading.membership.cancellation_reason == "too_expensive"
    customer = reading.customer
    assert customer is not None
    assert customer.signup_date == datetime(2026, 11, 23, 19, 9, 31, tzinfo=UTC)
    assert (customer.company, customer.country) == ("Acme Ltd", "US")
    assert customer.billing_address is not None
    assert customer.billing_address.splitlines()[-1] == "90001"
    assert reading.site == Site(
        id="3",
        title="Jane Shop a4",
        url="https://shopa4.customer.example/",
        admin_url="https://network.example.test/janea4/wp-admin/",
    )


def test_the_billing_address_is_never_taken_for_the_customers_own() -> None:
    customer = read_capture("demo_site_expiring").customer
    assert customer is not None
    assert customer.email is None


def test_both_forms_of_one_address_give_the_same_text() -> None:
    nested, flat = read_capture("demo_site_expiring"), read_capture("payment_received")
    assert nested.customer is not None
    assert flat.customer is not None
    assert nested.customer.billing_address == flat.customer.billing_address


def test_an_old_model_event_has_a_labelled_country() -> None:
    customer = read_capture("model_events/payment_created").customer
    assert customer is not None
    assert (customer.company, customer.country) == ("Acme Ltd", "US")


def test_a_country_is_never_guessed_from_the_address_lines() -> None:
    customer = read_capture("payment_received").customer
    assert customer is not None
    assert (customer.billing_address or "").splitlines()[3] == "US"
    assert customer.country is None


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("Jane Doe", "Jane", "Doe"),
        ("Ana María de la Cruz", "Ana", "María de la Cruz"),
        ("janee1", "janee1", None),
        ("jane@customer.example", None, None),
        ("", None, None),
    ],
)
def test_first_and_last_name_follow_from_the_display_name(
    name: str, first: str | None, last: str | None
) -> None:
    customer = read("customer_created", {"customer_id": 1, "customer_name": name}).customer
    assert customer is not None
    assert (customer.first_name, customer.last_name) == (first, last)


def test_a_composed_flat_body_may_add_plan_and_signup_date() -> None:
    reading = read(
        "membership_post_create",
        {
            "customer_id": "2",
            "customer_user_email": JANE,
            "customer_date_registered": "2026-11-23 19:09:31",
            "membership_id": "2",
            "membership_plan_id": 2,
            "membership_plan_name": "Pro",
            "membership_previous_plan_slug": "starter",
        },
    )
    assert reading.customer is not None
    assert reading.customer.signup_date == datetime(2026, 11, 23, 19, 9, 31, tzinfo=UTC)
    assert reading.membership is not None
    assert reading.membership.plan == Plan(id="2", name="Pro")
    assert reading.membership.previous_plan == Plan(slug="starter")


def test_unknown_members_pass() -> None:
    body = {"customer_id": 2, "shipping": {"x": [1]}, "customer": "a word", "__proto__": {}}
    reading = read("addon_event", body)
    assert reading.data == body
    assert reading.customer == Customer(id="2")


def test_a_body_without_any_group_is_still_an_event() -> None:
    assert read("addon_event", {"anything": 1}) == Reading(type="addon_event", data={"anything": 1})


@pytest.mark.parametrize("total", ["59.9900", 59.99, "59.99"])
def test_money_is_the_same_in_every_type_it_drifts_through(total: Any) -> None:
    payment = read("payment_received", {"payment_id": "3", "payment_total_raw": total}).payment
    assert payment is not None
    assert str(payment.total) == "59.99"


def test_money_is_never_read_from_the_formatted_member() -> None:
    payment = read("payment_received", {"payment_id": 3, "payment_total": "$ 59.99"}).payment
    assert payment is not None
    assert payment.total is None


def test_line_items_may_be_a_list_or_keyed_by_their_ids() -> None:
    line = {"title": "Pro", "type": "product", "quantity": 2, "unit_price": 20, "total": "40.0000"}
    readings = [
        read("x", {"payment": {"id": 9, "line_items": lines}}) for lines in ([line], {"LN_1": line})
    ]
    payments = [reading.payment for reading in readings]
    assert payments[0] == payments[1]
    assert payments[0] is not None
    (item,) = payments[0].line_items
    assert (item.title, item.kind, item.quantity, item.total) == ("Pro", "product", 2, Decimal(40))
    assert payments[0].product_names == "Pro"


# What is only a test


@pytest.mark.parametrize(
    ("event_type", "body"),
    [
        ("payment_received", {"payment_id": 0, "membership_id": "0", "customer_id": 0}),
        ("site_published", {"site_id": None, "membership_id": 0, "customer_id": 0}),
        ("customer_created", {"customer_id": 9, "customer_user_email": "MockedUser@dev.dev"}),
        ("checkout_started", {"form_slug": "default-checkout", "user_id": 0}),
        ("checkout_failed", {"error_codes": ["x"], "user_id": 0}),
        ("subsite_post_created", {"post_id": 1, "site_id": None, "membership_id": 0}),
        ("payment_received", {"payment": {"id": 0}, "customer": {"id": "0"}}),
        ("checkout_failed", {"user_id": 7}),
        ("subsite_post_created", {"site_id": 3, "membership_id": 2}),
    ],
)
def test_the_test_button_is_recognised(event_type: str, body: dict[str, Any]) -> None:
    assert read(event_type, body).test is True


@pytest.mark.parametrize(
    ("event_type", "body"),
    [
        ("payment_received", {"payment_id": 3, "membership_id": 0, "customer_id": 0}),
        ("addon_event", {"site_id": None}),
        ("addon_event", {}),
    ],
)
def test_one_real_id_makes_an_event_live(event_type: str, body: dict[str, Any]) -> None:
    assert read(event_type, body).test is False


# Whom the event is about


@pytest.mark.parametrize(
    ("body", "subject"),
    [
        ({"customer_id": 2, "customer_user_email": JANE, "membership_id": 5}, "customer/2"),
        ({"membership": {"id": 5, "customer_id": 2}}, "customer/2"),
        ({"payment": {"id": 5, "customer_id": "2"}}, "customer/2"),
        ({"site": {"id": 5, "customer_id": "2"}}, "customer/2"),
        ({"customer_user_email": JANE, "membership_id": 5}, "email/898731cefc0e5d37"),
        ({"membership_id": 5, "site_id": 3}, "membership/5"),
        ({"payment": {"id": 9, "membership_id": 5}}, "membership/5"),
        ({"site": {"id": 3, "membership_id": 5}}, "membership/5"),
        ({"site_id": "3"}, "site/3"),
        ({"domain_id": 1, "domain_site_id": 3}, "site/3"),
        ({"anything": 1}, None),
    ],
)
def test_the_subject_is_the_nearest_to_a_customer(
    body: dict[str, Any], subject: str | None
) -> None:
    assert read("x", body).subject == subject


def test_the_subject_of_an_address_ignores_case_and_hides_the_address() -> None:
    lower, upper = [
        read("x", {"customer_user_email": text}).subject for text in (JANE, JANE.upper())
    ]
    assert lower == upper
    assert lower is not None
    assert "jane" not in lower


def test_a_membership_that_names_its_customer_names_the_events_customer() -> None:
    assert read("x", {"membership": {"id": 5, "customer_id": 2}}).customer == Customer(id="2")


# What is refused, and how


@pytest.mark.parametrize("body", [[], [1], "text", 42, None, True])
def test_a_body_that_is_not_an_object_is_refused(body: Any) -> None:
    with pytest.raises(InvalidPayload) as refused:
        read("payment_received", body)
    assert refused.value.errors[0].pointer == "#"


def test_every_wrong_field_is_named_with_its_place() -> None:
    with pytest.raises(InvalidPayload) as refused:
        read(
            "payment_received",
            {
                "customer_id": {"id": 2},
                "payment_id": 3,
                "payment_total_raw": "$ 59.99",
                "payment_date_created": "soon",
                "membership": {"id": 2, "plan": {"price": "many"}},
                "payment_line_items": [{"title": "Pro", "total": True}],
            },
        )
    assert [error.pointer for error in refused.value.errors] == [
        "#/customer_id",
        "#/payment_total_raw",
        "#/payment_date_created",
        "#/payment_line_items/0/total",
        "#/membership/plan/price",
    ]
    assert "$ 59.99" not in refused.value.detail


@pytest.mark.parametrize("lines", ["a line", 3, [{}] * 1001])
def test_lines_that_cannot_be_line_items_are_refused(lines: Any) -> None:
    with pytest.raises(InvalidPayload) as refused:
        read("x", {"payment": {"id": 1, "line_items": lines}})
    assert refused.value.errors[0].pointer == "#/payment/line_items"


def test_the_list_of_mistakes_is_bounded() -> None:
    lines = [{"title": ["x"]}] * 1000
    with pytest.raises(InvalidPayload) as refused:
        read("x", {"payment": {"id": 1, "line_items": lines}})
    assert len(refused.value.errors) == 50
    assert "and 999 more" in refused.value.detail


def test_a_bare_body_without_a_type_in_the_path_is_told_what_to_do() -> None:
    with pytest.raises(InvalidRequest, match=r"POST /webhooks/\{source\}/\{event_type\}"):
        read(None, {"customer_id": 2})


@pytest.mark.parametrize("event_type", ["", "Upper", "1st", "a b", "a" * 65, "x\r\ny", "é"])
def test_a_type_of_the_wrong_form_in_the_path_is_refused(event_type: str) -> None:
    with pytest.raises(InvalidRequest, match="must be an event type"):
        read(event_type, {"customer_id": 2})


def test_a_signed_bare_body_has_the_id_of_its_header() -> None:
    assert read("x", {"a": 1}, webhook_id="msg_1").dedupe_id == "msg_1"


@pytest.mark.parametrize("message_id", ["", "a b", "a" * 256, "ÿ", "a\x00"])
def test_an_id_in_the_header_is_bounded(message_id: str) -> None:
    with pytest.raises(InvalidPayload, match="webhook-id"):
        read("x", {"a": 1}, webhook_id=message_id)
