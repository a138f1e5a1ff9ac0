"""What custom webhook targets are sent, and the form in which it is kept until then."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.domain import strict_json
from app.domain.envelope import envelope_of, filled, kept_form
from app.domain.model import Customer, Event, Payment
from tests.documents import documents

JSON = documents(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), st.text())


def event(data: Any, **values: Any) -> Event:
    moment = datetime(2026, 11, 23, 19, 9, 31, 500_000, tzinfo=UTC)
    fields: dict[str, Any] = {
        "id": "evt_1",
        "type": "payment_received",
        "source": "shop",
        "occurred_at": moment,
        "received_at": moment,
        "test": False,
        "subject": "shop/customer/2",
        "data": data,
        "customer": Customer(id="2", name='a "data": {} of \0 kinds'),
        "payment": Payment(id="7", total=Decimal("59.90")),
    }
    return Event(**(fields | values))


@given(data=st.dictionaries(st.text(), JSON))
def test_the_kept_form_says_what_the_envelope_says(data):
    one = event(data)
    written = json.loads(strict_json.write(envelope_of(one)))
    assert json.loads(filled(kept_form(one, data_is_body=False), b"{}")) == written
    body = json.dumps(data).encode()
    assert json.loads(filled(kept_form(one, data_is_body=True), body)) == written


def test_the_data_go_out_as_they_came_to_the_last_byte():
    body = b'{ "amount" : 59.90, "url": "https:\\/\\/shop.example", "note": "a\\u0000b" }\n'
    kept = kept_form(event(strict_json.read_strict(body)), data_is_body=True)
    assert b'"data":' + body + b',"customer":' in filled(kept, body)


def test_nothing_is_stored_twice():
    data = {"note": "x" * 1_000}
    assert len(kept_form(event(data), data_is_body=True)) < 800
    assert b"x" * 1_000 in kept_form(event(data), data_is_body=False)


def test_data_that_hold_a_gap_of_their_own_are_not_filled():
    one = event({"data": None, "inner": {"data": None}})
    kept = kept_form(one, data_is_body=False)
    assert filled(kept, b'{"another": "body"}') == kept
