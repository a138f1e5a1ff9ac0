"""An operator's mapping of a source: any JSON body becomes an event of the catalogue."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from app.domain.errors import InvalidPayload, InvalidRequest, ValidationFailed
from app.domain.expression_variables import KNOWN_FIELDS
from app.services.source_definition import checked_settings
from app.sources.base import SourceAdapter
from app.sources.mapping import SourceMapping, WrongMapping
from app.sources.registry import adapter_for
from tests.senders import NOW, read, sample

GATEWAY = {
    "type": 'body.event == "CHARGE.SUCCEEDED" ? "payment_received" : type',
    "id": "body.event_id",
    "occurred_at": "body.created",
    "test": "body.sandbox",
    "customer.id": "body.buyer.ref",
    "customer.email": "body.buyer.mail",
    "customer.name": "body.buyer.full_name",
    "membership.id": '"sub-" + string(body.buyer.ref)',
    "membership.plan.name": "body.charge.plan",
    "payment.id": "body.charge.reference",
    "payment.status": '"completed"',
    "payment.total": "double(body.charge.amount_cents) / 100.0",
    "payment.currency": "body.charge.currency",
    "payment.line_items": 'body.charge.items.map(i, {"title": i.name, "quantity": i["count"]})',
}


def mapped(kind: str = "generic_hmac", **mapping: str) -> SourceAdapter:
    adapter = adapter_for(kind)
    settings: dict[str, Any] = {"mapping": {k.replace("__", "."): v for k, v in mapping.items()}}
    if kind == "generic_hmac":
        settings["header"] = "x-signature"
    return adapter.configured(checked_settings(adapter, settings))


def test_a_custom_gateways_charge_becomes_a_payment():
    found = read(mapped(**GATEWAY), sample("gateway-charge"))
    assert (found.type, found.dedupe_id, found.test) == ("payment_received", "ev-0007", False)
    assert found.occurred_at == datetime.fromtimestamp(NOW, UTC)
    assert found.subject == "customer/7"
    assert found.data == sample("gateway-charge")
    assert found.customer is not None
    assert (found.customer.id, found.customer.email, found.customer.last_name) == (
        "7", "jane@customer.example", "Roe",
    )  # fmt: skip
    assert found.membership is not None
    assert found.membership.plan is not None
    assert (found.membership.id, found.membership.plan.name) == ("sub-7", "Pro")
    assert found.payment is not None
    assert (found.payment.id, found.payment.status, found.payment.total, found.payment.currency) == (
        "ch-55", "completed", Decimal("59.99"), "EUR",
    )  # fmt: skip
    assert found.payment.product_names == "Pro, one month"


def test_what_the_sender_calls_the_event_is_the_variable_type():
    document = sample("gateway-charge", event="charge.lost", type="charge.lost")
    assert read(mapped(**GATEWAY), document).type == "charge.lost"
    assert read(mapped(type="type"), {}, event_type="from_the_path").type == "from_the_path"


def test_a_place_that_is_not_there_leaves_its_field_out():
    found = read(mapped(type='"sold"', customer__email="body.buyer.mail", id="body.id"), {})
    assert (found.customer, found.dedupe_id, found.subject) == (None, None, None)


def test_a_subject_can_be_mapped():
    found = read(mapped(type='"sold"', subject='"account/" + body.account'), {"account": "9"})
    assert found.subject == "account/9"


def test_the_mapping_goes_before_what_the_body_says_by_itself_field_by_field():
    document = {
        "type": "sold",
        "customer": {"id": "1", "email": "old@x.example"},
        "mail": "new@x.example",
    }
    found = read(mapped(customer__email="body.mail"), document)
    assert found.customer is not None
    assert (found.customer.id, found.customer.email) == ("1", "new@x.example")


def test_headers_can_be_spoken_of_and_are_then_kept():
    adapter = mapped(type='headers["x-topic"]', id="headers.nonce", test='"x-test" in headers')
    assert adapter.kept_headers == ("x-topic", "nonce", "x-test")
    found = read(adapter, {}, {"x-topic": "Sold!", "nonce": "n-1", "x-other": "?"})
    assert (found.type, found.dedupe_id, found.test) == ("sold_", "n-1", False)


def test_a_standard_webhooks_sender_may_put_anything_into_the_body():
    adapter = mapped("standard_webhooks", type='"sold"', customer__email="body.data[0].mail")
    document = {"type": "ORDER.SOLD", "timestamp": 1_795_461_463, "data": [{"mail": "a@x.example"}]}
    found = read(adapter, document, {"webhook-id": "msg_1"})
    assert (found.type, found.dedupe_id, found.data) == ("sold", "msg_1", document)
    assert found.customer is not None
    assert found.customer.email == "a@x.example"


def test_a_cloudevents_mapping_sees_the_data_and_the_attributes_in_every_mode():
    adapter = mapped(
        "cloudevents", type='headers["ce-region"] + "_sold"', customer__id="body.buyer"
    )
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "Sold", "region": "eu"}
    structured = {"content-type": "application/cloudevents+json"}
    binary = {f"ce-{name}": value for name, value in event.items()}
    for found in (
        read(adapter, event | {"data": {"buyer": 7}}, structured),
        read(adapter, {"buyer": 7}, binary),
    ):
        assert (found.type, found.dedupe_id, found.subject) == ("eu_sold", "/s 1", "customer/7")


@pytest.mark.parametrize(
    ("mapping", "document", "named"),
    [
        ({"type": "body.a.b + 1"}, {"a": {}}, "mapping/type"),
        ({"type": '"9"'}, {}, "mapping/type"),
        ({"type": "7"}, {}, "mapping/type"),
        ({"type": '"relay.contact_linked"'}, {}, "mapping/type"),
        ({"id": "body"}, {}, "mapping/id"),
        ({"id": "body.id"}, {"id": True}, "mapping/id"),
        ({"id": "body.id"}, {"id": "x" * 256}, "mapping/id"),
        ({"occurred_at": '"soon"'}, {}, "mapping/occurred_at"),
        ({"occurred_at": "body.t"}, {"t": -5}, "mapping/occurred_at"),
        ({"subject": "body.s"}, {"s": "x" * 191}, "mapping/subject"),
        ({"test": '"perhaps"'}, {}, "mapping/test"),
        ({"payment.total": '"59,99"'}, {}, "mapping/payment.total"),
        ({"customer.email": "7"}, {}, "mapping/customer.email"),
        ({"membership.plan.price": '"free"'}, {}, "mapping/membership.plan.price"),
        ({"payment.line_items": '"one"'}, {}, "mapping/payment.line_items"),
        ({"payment.total": "double(body.cents) / 100.0"}, {"cents": "x"}, "mapping/payment.total"),
        ({"customer.id": 'headers["x-absent"]'}, {}, "mapping/customer.id"),
    ],
)
def test_an_expression_that_fails_refuses_the_body_and_is_named(
    mapping: dict[str, str], document: dict[str, Any], named: str
):
    adapter = mapped(**{"type": '"sold"', **mapping})
    with pytest.raises(InvalidPayload, match=named) as refused:
        read(adapter, document)
    assert all(error.pointer == "#" for error in refused.value.errors)


def test_without_any_type_the_request_is_refused():
    with pytest.raises(InvalidRequest):
        read(mapped(type="body.missing"), {})


@pytest.mark.parametrize(
    ("field", "expression", "reason"),
    [
        ("customer.emial", "body.x", "is no field of an event"),
        ("customer", "body.x", "is no field of an event"),
        ("membership.plan", "body.x", "is no field of an event"),
        ("payment.line_items.title", "body.x", "is no field of an event"),
        ("customer.email.domain", "body.x", "is no field of an event"),
        ("site.url", "body.x", "is no field of an event"),
        ("data", "body.x", "is no field of an event"),
        ("", "body.x", "is no field of an event"),
        ("type", "", "empty"),
        ("type", "body.", "cannot be read"),
        ("type", "event.name", "unknown name 'event'"),
        ("type", "customer.email", "unknown name 'customer'"),
        ("type", "shout(body.x)", "unknown function"),
        ("type", 'headers["X-Topic"]', "lower case"),
        ("type", "headers[body.name]", "named outright"),
        ("type", "size(headers) > 0", "named outright"),
        ("type", "body.x in headers", "named outright"),
        ("type", 'headers["authorization"]', "credential"),
        ("type", 'headers["cookie"]', "credential"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused_when_it_is_saved(
    field: str, expression: str, reason: str
):
    with pytest.raises(WrongMapping) as refused:
        SourceMapping({field: expression})
    assert reason in refused.value.errors[field]


def test_every_wrong_expression_is_named_at_once():
    with pytest.raises(ValidationFailed) as refused:
        mapped(**{"type": "event", "customer.emial": "body.x", "id": "body.id"})
    assert [error.pointer for error in refused.value.errors] == [
        "#/settings/mapping/type",
        "#/settings/mapping/customer.emial",
    ]


def test_a_mapping_with_too_many_fields_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("app.domain.expressions.MAX_FIELDS", 1)
    with pytest.raises(ValidationFailed) as refused:
        mapped(type='"a"', id='"b"')
    assert [error.pointer for error in refused.value.errors] == ["#/settings/mapping"]


def test_a_kind_that_reads_a_vendors_own_form_takes_no_mapping():
    adapter = adapter_for("stripe")
    with pytest.raises(ValidationFailed) as refused:
        checked_settings(adapter, {"mapping": {"type": '"x"'}})
    assert [error.pointer for error in refused.value.errors] == ["#/settings/mapping"]


LEAVES = [
    f"{group}.{name}"
    for group in ("customer", "membership", "payment")
    for name, inner in KNOWN_FIELDS[group].items()
    if inner is None
]
VALUES = {
    "email": "a@x.example", "auto_renew": True, "times_billed": 3, "amount": 1.5, "total": 1.5,
    "initial_amount": 1.5, "subtotal": 1.5, "tax_total": 1.5, "refund_total": 1.5,
    "signup_date": "2026-11-23", "created_at": "2026-11-23", "expires_at": "2026-11-23",
    "cancelled_at": "2026-11-23",
}  # fmt: skip


@pytest.mark.parametrize("field", LEAVES)
def test_every_field_can_be_mapped(field: str):
    group, name = field.split(".")
    found = read(
        mapped(**{"type": '"sold"', field: "body.value"}), {"value": VALUES.get(name, "x")}
    )
    assert getattr(getattr(found, group), name) is not None


def test_a_stored_event_of_a_removed_source_is_read_without_its_mapping():
    document = {"type": "ORDER.SOLD", "timestamp": 1_795_461_463, "data": [1]}
    found = read("standard_webhooks", document, event_type="sold", settled=True)
    assert (found.type, found.customer) == ("sold", None)
