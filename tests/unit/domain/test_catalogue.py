"""The catalogue of event types: complete, true to the platform, and usable as it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest

from app.domain import payload_schemas
from app.domain.catalogue import (
    BRIDGE_TYPES,
    CATALOGUE,
    TEST_BUTTON_TYPES,
    EventType,
    Sender,
    bridge_example,
)
from app.domain.model import RawRequest, Reading
from app.domain.routing import is_event_type
from app.sources.registry import adapter_for
from tests.captured import captured, names

ENTRIES = list(CATALOGUE.values())
INGESTED = [entry for entry in ENTRIES if entry.sender is not Sender.RELAY]
MEMBERSHIP_STATUSES = ("pending", "active", "trialing", "expired", "on-hold", "cancelled")
PAYMENT_STATUSES = (
    *("pending", "completed", "refunded", "partially-refunded", "partially-paid"),
    *("failed", "cancelled", "draft"),
)
DESIGNED = {
    *("customer_post_create", "customer_post_update", "customer_post_delete"),
    *("checkout_completed", "membership_post_create", "membership_post_update"),
    *("membership_post_delete", "membership_renewed", "membership_plan_changed"),
    *("membership_expired", "payment_post_create", "payment_received", "payment_failed"),
    *("renewal_payment_created", "invoice_sent", "site_published", "site_post_create"),
    *("site_post_delete", "domain_created", "demo_site_expiring", "confirm_email_address"),
    *("checkout_started", "checkout_step_completed", "checkout_failed", "subsite_post_created"),
    *("subsite_cpt_created", "subsite_user_registered", "subsite_woocommerce_order"),
    *(f"membership_status_to_{status}" for status in MEMBERSHIP_STATUSES),
    *(f"payment_status_to_{status}" for status in PAYMENT_STATUSES),
    *("domain_stage_to_checking-dns", "domain_stage_to_checking-ssl-cert"),
    *("domain_stage_to_done", "domain_stage_to_done-without-ssl"),
    *("domain_stage_to_failed", "domain_stage_to_ssl-failed"),
}
ALIASES = {
    "customer_created": "customer_post_create",
    "customer_updated": "customer_post_update",
    "membership_created": "membership_post_create",
    "membership_updated": "membership_post_update",
    "payment_created": "payment_post_create",
    "payment_updated": None,
}
NEWS = {"relay.target_disabled", "relay.delivery_failed", "relay.contact_linked"}


def by_name(entry: EventType) -> str:
    return entry.name


def read(entry: EventType) -> Reading:
    request = RawRequest(
        headers={},
        body=b"",
        received_at=datetime(2026, 11, 24, tzinfo=UTC),
        event_type=entry.name,
    )
    return adapter_for("ultimate_multisite").read(request, dict(entry.example))


def test_the_catalogue_has_every_type_of_the_design_and_no_other() -> None:
    assert set(CATALOGUE) == DESIGNED | set(ALIASES) | NEWS


def test_old_names_lead_to_the_current_ones() -> None:
    found = {entry.name: entry.alias_of for entry in ENTRIES if entry.alias_of is not None}
    assert found == {name: current for name, current in ALIASES.items() if current is not None}


def test_seven_types_come_from_the_test_button_only() -> None:
    assert len(TEST_BUTTON_TYPES) == 7
    assert TEST_BUTTON_TYPES < DESIGNED


@pytest.mark.parametrize("entry", ENTRIES, ids=by_name)
def test_a_type_has_the_right_form_and_says_what_it_is(entry: EventType) -> None:
    assert is_event_type(entry.name)
    assert 10 < len(entry.summary) < 120
    assert not entry.summary.endswith(".")
    assert entry.group in {
        *("customer", "checkout", "membership", "payment"),
        *("site", "domain", "subsite", "relay"),
    }


@pytest.mark.parametrize("entry", ENTRIES, ids=by_name)
def test_an_example_fits_its_own_schema(entry: EventType) -> None:
    jsonschema.Draft202012Validator.check_schema(dict(entry.fields))
    jsonschema.validate(dict(entry.example), dict(entry.fields), jsonschema.Draft202012Validator)


@pytest.mark.parametrize("entry", INGESTED, ids=by_name)
def test_an_example_is_read_as_an_event_about_its_groups(entry: EventType) -> None:
    reading = read(entry)
    assert reading.type == entry.name
    assert reading.test is (entry.name in TEST_BUTTON_TYPES)
    for part in entry.parts:
        assert getattr(reading, part) is not None


@pytest.mark.parametrize(
    "entry", [entry for entry in INGESTED if entry.sender is Sender.BRIDGE], ids=by_name
)
def test_a_composed_example_names_its_customer(entry: EventType) -> None:
    customer = read(entry).customer
    assert customer is not None
    assert (customer.id, customer.email, customer.name) == (
        "2",
        "janea4@customer.example",
        "Jane Doe",
    )
    assert customer.signup_date == datetime(2026, 11, 23, 19, 9, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    "name",
    [name for name in names() if not name.endswith(".test")] + names("model_events"),
)
def test_an_example_is_the_captured_body_where_there_is_one(name: str) -> None:
    capture = captured(name)
    assert CATALOGUE[capture.event].example == capture.document


@pytest.mark.parametrize("name", BRIDGE_TYPES)
def test_an_envelope_fits_the_envelopes_schema(name: str) -> None:
    schema = payload_schemas.envelope()
    jsonschema.validate(bridge_example(name), schema, jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    "entry", [entry for entry in INGESTED if entry.sender is Sender.BRIDGE], ids=by_name
)
def test_both_forms_of_a_composed_example_tell_the_same(entry: EventType) -> None:
    flat = read(entry)
    request = RawRequest(headers={}, body=b"", received_at=datetime(2026, 11, 24, tzinfo=UTC))
    nested = adapter_for("ultimate_multisite").read(request, bridge_example(entry.name))

    def told(reading: Reading) -> list[Any]:
        membership, payment, domain = reading.membership, reading.payment, reading.domain
        return [
            reading.subject,
            membership and (membership.status, membership.previous_status, membership.plan),
            membership and (membership.expires_at, membership.cancelled_at),
            membership and (membership.previous_plan, membership.cancellation_reason),
            payment and (payment.id, payment.status, payment.previous_status, payment.total),
            domain and (domain.stage, domain.active, domain.secure),
        ]

    assert told(flat) == told(nested)


@pytest.mark.parametrize("status", MEMBERSHIP_STATUSES)
def test_the_example_of_a_status_has_that_status(status: str) -> None:
    membership = read(CATALOGUE[f"membership_status_to_{status}"]).membership
    assert membership is not None
    assert membership.status == status
    assert membership.previous_status not in (None, status)


@pytest.mark.parametrize("status", PAYMENT_STATUSES)
def test_the_example_of_a_payment_status_has_that_status(status: str) -> None:
    payment = read(CATALOGUE[f"payment_status_to_{status}"]).payment
    assert payment is not None
    assert payment.status == status
    assert payment.previous_status not in (None, status)


@pytest.mark.parametrize("name", ["relay.target_disabled", "checkout_started", "customer_created"])
def test_what_the_bridge_does_not_send_has_no_envelope(name: str) -> None:
    with pytest.raises(KeyError):
        bridge_example(name)
