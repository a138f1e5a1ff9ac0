"""Records of the REST API become the objects of a bridge envelope, whatever types they came in."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import strict_json
from app.domain.model import Plan, RawRequest, Reading
from app.sources.registry import adapter_for
from app.sources.ultimate_multisite_records import (
    customer_data,
    customer_of,
    envelope_body,
    event_id,
    membership_data,
    membership_of,
    payment_data,
    payment_of,
    record_id,
    record_moment,
)
from tests.captured import RECEIVED_AT
from tests.documents import documents
from tests.fakes.ultimate_multisite_network import captured_rows

MOMENT = datetime(2026, 11, 23, 19, 12, 22, tzinfo=UTC)
CUSTOMER = captured_rows("list_customers.200")[0]
MEMBERSHIP = captured_rows("list_memberships.200")[0]
PAYMENT = captured_rows("list_payments.200")[0]
USER = {
    "id": 2,
    "username": "jane",
    "name": "Jane Q. Doe",
    "first_name": "Jane",
    "last_name": "Doe",
    "email": "jane@customer.example",
    "slug": "jane",
}


def envelope(data: dict[str, Any], identifier: str = "reconcile-customer-1") -> bytes:
    return envelope_body(
        identifier=identifier,
        event_type="payment_received",
        occurred_at=MOMENT,
        data=data,
        network_url="https://network.example",
    )


def read(body: bytes) -> Reading:
    """What the source's own adapter makes of an envelope."""
    request = RawRequest(headers={}, body=body, received_at=RECEIVED_AT, event_type=None)
    return adapter_for("ultimate_multisite").read(request, strict_json.read_strict(body))


def test_the_captured_customer_is_read_with_its_user() -> None:
    assert customer_data(CUSTOMER, USER) == {
        "id": "1",
        "user_id": "2",
        "email": "jane@customer.example",
        "name": "Jane Q. Doe",
        "first_name": "Jane",
        "last_name": "Doe",
        "signup_date": "2026-11-23T19:08:46Z",
        "email_verification": "pending",
        "company": "Acme Ltd",
        "country": "US",
        "billing_address": "Acme Ltd\nbillinga2@customer.example\n1 Main St\nUS\nCA\nLA\n90001",
    }


def test_an_invoices_address_is_nobodys_address() -> None:
    assert "email" not in customer_data(CUSTOMER)


@pytest.mark.parametrize("name", ["name", "first_name", "email"])
def test_what_a_user_leaves_empty_is_left_out(name: str) -> None:
    told = customer_data(CUSTOMER, {**USER, name: ""})
    assert told.get(name) != ""


def test_the_captured_membership_is_read_with_its_plan() -> None:
    told = membership_data(MEMBERSHIP)
    assert told["plan"] == {
        "id": "5",
        "slug": "rest-plan5",
        "name": "Rest Plan5",
        "price": "20.00",
    }
    assert (told["id"], told["customer_id"], told["status"]) == ("5", "5", "active")
    assert (told["amount"], told["initial_amount"], told["currency"]) == ("20.00", "20.00", "USD")
    assert (told["created_at"], told["expires_at"]) == ("2026-11-23T19:12:22Z",) * 2
    assert (told["auto_renew"], told["times_billed"]) == (True, 0)
    assert not {"cancelled_at", "gateway", "previous_status"} & told.keys()


def test_the_captured_payment_is_read_with_its_lines() -> None:
    told = payment_data(PAYMENT)
    assert (told["id"], told["membership_id"], told["customer_id"]) == ("9", "5", "5")
    assert (told["total"], told["subtotal"], told["tax_total"]) == ("20.00", "20.00", "0.00")
    assert told["line_items"] == [
        {
            "title": "Rest Plan5",
            "quantity": 1,
            "unit_price": "20.00",
            "total": "20.00",
            "kind": "product",
            "product_id": "5",
        }
    ]
    assert told["product_names"] == "Rest Plan5"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("20.0000", "20.00"),
        (20, "20.00"),
        ("59.9900", "59.99"),
        (59.99, "59.99"),
        ("0.0000", "0.00"),
        ("1200", "1200.00"),
        ("19.990", "19.99"),
        ("0.0050", "0.005"),
        ("-20.0000", "-20.00"),
    ],
)
def test_amounts_have_one_form(written: Any, told: str) -> None:
    assert payment_data({**PAYMENT, "total": written})["total"] == told
    assert payment_of({**PAYMENT, "total": written}).total == Decimal(told)


@pytest.mark.parametrize("identifier", [5, "5", 5.0])
def test_ids_have_one_form(identifier: Any) -> None:
    assert membership_of({**MEMBERSHIP, "id": identifier}).id == "5"
    assert record_id({"id": identifier}) == "5"


@pytest.mark.parametrize("nothing", [0, "0", "", None, False, [], {}, "a\0b"])
def test_no_id_is_none(nothing: Any) -> None:
    assert record_id({"id": nothing}) is None


@pytest.mark.parametrize(
    ("record", "moment"),
    [
        ({"date_modified": "2026-11-23 19:12:22"}, MOMENT),
        ({"date_modified": "", "date_created": "2026-11-23 19:12:22"}, MOMENT),
        ({"date_modified": "0000-00-00 00:00:00", "date_created": None}, None),
        ({"date_modified": "soon", "date_created": "2026-11-23T19:12:22Z"}, MOMENT),
        ({}, None),
    ],
)
def test_the_first_time_that_is_one_counts(record: Any, moment: datetime | None) -> None:
    assert record_moment(record, "date_modified", "date_created") == moment


def test_a_field_that_cannot_be_is_left_out_and_the_others_stay() -> None:
    told = membership_data({**MEMBERSHIP, "amount": "$ 20.00", "date_created": {"a": 1}})
    assert not {"amount", "created_at"} & told.keys()
    assert told["initial_amount"] == "20.00"


def test_an_envelope_is_read_by_the_sources_own_adapter() -> None:
    data = {
        "customer": customer_data(CUSTOMER, USER),
        "membership": membership_data(MEMBERSHIP),
        "payment": payment_data(PAYMENT),
    }
    reading = read(envelope(data))
    assert (reading.type, reading.dedupe_id) == ("payment_received", "reconcile-customer-1")
    assert (reading.occurred_at, reading.test) == (MOMENT, False)
    assert reading.customer == customer_of(CUSTOMER, USER)
    assert reading.membership == membership_of(MEMBERSHIP)
    assert reading.payment == payment_of(PAYMENT)
    assert reading.membership is not None
    assert reading.membership.plan == Plan(
        id="5", slug="rest-plan5", name="Rest Plan5", price=Decimal(20)
    )


def test_the_same_values_give_the_same_bytes() -> None:
    assert envelope(payment_data(PAYMENT)) == envelope(payment_data(dict(PAYMENT)))


@given(st.lists(st.text(max_size=100), min_size=1, max_size=5))
def test_an_id_is_one_that_an_envelope_may_have(parts: list[str]) -> None:
    assert read(envelope({}, event_id("reconcile", *parts))).dedupe_id


def test_different_parts_give_different_ids() -> None:
    assert event_id("a", "b/c") != event_id("a", "b:c") != event_id("a", "b", "c")


VALUES = documents(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
    | st.sampled_from(["0", "20.0000", "2026-11-23 19:09:31", "0000-00-00 00:00:00", "true"]),
    st.text(max_size=5),
)


def drifted(record: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """The record with some of its values replaced by whatever JSON can say."""
    changes = st.dictionaries(st.sampled_from(sorted(record)), VALUES, max_size=6)
    return changes.map(lambda found: json.loads(json.dumps(record | found, allow_nan=True)))


@given(drifted(CUSTOMER), drifted(USER), drifted(MEMBERSHIP), drifted(PAYMENT))
def test_whatever_a_record_says_its_envelope_can_be_read(
    customer: Any, user: Any, membership: Any, payment: Any
) -> None:
    data = {
        "customer": customer_data(customer, user),
        "membership": membership_data(membership),
        "payment": payment_data(payment),
    }
    reading = read(envelope(data))
    assert reading.customer == customer_of(customer, user)
    assert reading.membership == membership_of(membership)
    assert reading.payment == payment_of(payment)
