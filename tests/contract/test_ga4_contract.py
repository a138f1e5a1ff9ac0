"""Google Analytics 4 against its contract, its limits, and a stand-in that counts as it does."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import httpx
import pytest
from hypothesis import given

from app.connectors.ga4 import Ga4
from app.domain.model import Context, Customer, LineItem, Plan, Site
from app.domain.outcome import OutcomeKind
from tests.contract.driving import LOST, UNREACHED, drive, over, play
from tests.contract.events import (
    ADA,
    BROWSER,
    NOW,
    PAID,
    PRO,
    any_event,
    assignment,
    bound,
    catalogue_events,
    event,
)
from tests.contract.loading import KINDS, Sample, request_errors, samples
from tests.fakes import loopback_client
from tests.fakes.ga4 import FakeGA4

CHECKOUT = event("checkout_completed", customer=ADA, membership=PRO, payment=PAID, context=BROWSER)
LOST_MEMBERSHIP = event(
    "membership_status_to_cancelled",
    customer=ADA,
    membership=replace(PRO, status="cancelled", cancellation_reason="too_expensive"),
)


def ga4(mapping=None, **settings):
    return bound(
        Ga4, mapping, **{"measurement_id": "G-TEST123", "api_secret": "s3cret", **settings}
    )


def hit(of, mapping=None, now=NOW, **settings):
    """The document of the one request that is sent."""
    flow = ga4(mapping, **settings).deliver(assignment(of, now=now))
    (document,) = play(flow, httpx.Response(204)).documents
    assert request_errors("ga4", "collect", document) == []
    return document


def params(of, mapping=None):
    (told,) = hit(of, mapping)["events"]
    return told["params"]


@pytest.mark.parametrize("sample", samples("ga4", "collect"), ids=str)
def test_every_sample_reply_is_classified_as_the_contract_says(sample: Sample):
    reply = LOST if sample.status is None else sample.response()
    played = play(ga4().deliver(assignment(CHECKOUT)), reply)
    assert played.outcome.kind is KINDS[sample.outcome]


@pytest.mark.parametrize("sample", samples("ga4", "debug"), ids=str)
def test_every_sample_verdict_is_understood(sample: Sample):
    played = play(ga4().validate(assignment(CHECKOUT)), sample.response())
    assert played.outcome.kind is KINDS[sample.outcome]
    assert played.requests[0].url.path == "/debug/mp/collect"
    assert request_errors("ga4", "collect", played.documents[0]) == []


def test_the_verdict_of_the_validation_server_is_quoted():
    (sample,) = [s for s in samples("ga4", "debug") if s.name == "invalid"]
    reason = play(ga4().validate(assignment(CHECKOUT)), sample.response()).outcome.reason
    assert "NAME_INVALID: Event at index: [0] has invalid name" in reason


SENT = {
    "sign-up": "sign_up",
    "checkout": "purchase",
    "payment": "purchase",
    "manual payment": "purchase",
    "renewal": "purchase",
    "refund": "refund",
    "cancelled": "membership_cancelled",
    "expired": "membership_cancelled",
    "failed": "payment_failed",
    "no customer": "membership_cancelled",
    "site": "site_created",
    "domain": "domain_created",
}


@pytest.mark.parametrize("name", catalogue_events())
def test_every_event_is_sent_by_the_schema_or_skipped_with_a_reason(name):
    of = catalogue_events()[name]
    if name in SENT:
        assert [told["name"] for told in hit(of)["events"]] == [SENT[name]]
    else:
        assert play(ga4().deliver(assignment(of))).outcome.kind is OutcomeKind.SKIPPED
        assert ga4().skip(of)


@given(any_event())
def test_any_event_makes_a_valid_request_without_a_person_in_it_or_is_skipped(of):
    flow = ga4().deliver(assignment(of))
    replies = [] if ga4().skip(of) or NOW - of.occurred_at > timedelta(hours=72) else [204]
    played = play(flow, *map(httpx.Response, replies))
    if not replies:
        assert played.outcome.kind is OutcomeKind.SKIPPED
        assert played.outcome.reason
    for document in played.documents:
        assert request_errors("ga4", "collect", document) == []
        assert [text for text in _texts(document) if re.search(r"[^@\s]@[^@\s]", text)] == []


def _texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def test_a_purchase_is_sent_whole():
    assert hit(CHECKOUT) == {
        "client_id": "1234567890.1767607200",
        "user_id": "shop:2",
        "timestamp_micros": 1795463700000000,
        "consent": {"ad_user_data": "DENIED", "ad_personalization": "DENIED"},
        "user_properties": {"plan": {"value": "Pro"}},
        "events": [
            {
                "name": "purchase",
                "params": {
                    "transaction_id": "shop:17",
                    "value": 59.99,
                    "currency": "USD",
                    "tax": 9.58,
                    "session_id": "1767607000",
                    "engagement_time_msec": 1,
                    "items": [
                        {
                            "item_id": "4",
                            "item_name": "Pro",
                            "item_category": "subscription",
                            "price": 49.99,
                            "quantity": 1,
                        },
                        {
                            "item_name": "Setup Fee",
                            "item_category": "fee",
                            "price": 10.0,
                            "quantity": 1,
                        },
                    ],
                },
            }
        ],
    }


def test_the_credential_stands_in_the_query_and_is_named_as_secret():
    connector = ga4(base_url="https://region1.google-analytics.com/")
    (request,) = play(connector.deliver(assignment(CHECKOUT)), httpx.Response(204)).requests
    assert str(request.url) == (
        "https://region1.google-analytics.com/mp/collect?measurement_id=G-TEST123&api_secret=s3cret"
    )
    assert "api_secret" in Ga4.secret_query


def test_the_secret_never_stands_in_a_reason():
    reply = httpx.Response(400, text="bad request /mp/collect?api_secret=s3cret for s3cret")
    reason = play(ga4().deliver(assignment(CHECKOUT)), reply).outcome.reason
    assert "bad request" in reason
    assert "s3cret" not in reason


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"id": None}, "names no payment"),
        ({"id": ""}, "names no payment"),
        ({"status": "pending"}, "status is 'pending'"),
        ({"status": "partially-paid"}, "status is 'partially-paid'"),
        ({"status": None}, "status is not known"),
        ({"total": None}, "total is not known"),
        ({"total": Decimal(0)}, "total is zero"),
        ({"total": Decimal(-5)}, "total is zero"),
        ({"currency": "$"}, "cannot be used"),
    ],
)
def test_what_is_no_sale_is_skipped_with_the_reason(changes, why):
    of = event("payment_received", customer=ADA, payment=replace(PAID, **changes))
    outcome = play(ga4().deliver(assignment(of))).outcome
    assert outcome.kind is OutcomeKind.SKIPPED
    assert why in outcome.reason
    assert ga4().effect(of) is None


def test_an_event_from_the_test_button_is_skipped():
    assert "test button" in (ga4().skip(replace(CHECKOUT, test=True)) or "")


def test_the_currency_is_taken_from_the_membership_when_the_payment_has_none():
    payment = replace(PAID, currency=None)
    of = event("payment_received", payment=payment, membership=replace(PRO, currency="eur"))
    assert params(of)["currency"] == "EUR"


@pytest.mark.parametrize(
    "event_type", ["checkout_completed", "payment_received", "payment_status_to_completed"]
)
def test_all_announcements_of_one_payment_are_one_effect(event_type):
    assert ga4().effect(event(event_type, payment=PAID)) == "purchase:shop/17"


def test_the_same_payment_id_in_another_source_is_another_sale():
    of = event("payment_received", payment=PAID, source="shop-2")
    assert ga4().effect(of) == "purchase:shop-2/17"
    assert params(of)["transaction_id"] == "shop-2:17"


@pytest.mark.parametrize(
    ("of", "effect"),
    [
        (event("customer_post_create", customer=ADA), "sign_up:shop/2"),
        (event("membership_expired", membership=PRO), "churn:shop/7/2026-12-23"),
        (event("membership_status_to_expired", membership=PRO), "churn:shop/7/2026-12-23"),
        (
            event("membership_expired", membership=replace(PRO, expires_at=None)),
            "churn:shop/7/lifetime",
        ),
        (
            event("payment_status_to_refunded", payment=replace(PAID, status="refunded")),
            "refund:shop/17",
        ),
        (event("payment_failed", customer=ADA, membership=PRO), None),
        (event("site_published", customer=ADA), None),
        (event("site_published", customer=ADA, site=Site(id="3")), "site_created:shop/3"),
        (event("site_post_create", customer=ADA, site=Site(id="3")), "site_created:shop/3"),
        (event("membership_status_to_active", membership=PRO), None),
    ],
)
def test_what_must_happen_once_has_a_name(of, effect):
    assert ga4().effect(of) == effect


@pytest.mark.parametrize(
    ("event_type", "times_billed", "payment_type"),
    [
        ("payment_received", 1, None),
        ("payment_received", None, None),
        ("payment_received", 2, "renewal"),
        ("payment_status_to_completed", 2, "renewal"),
        ("membership_renewed", 1, "renewal"),
        ("checkout_completed", 2, None),
    ],
)
def test_a_renewal_is_a_purchase_that_says_so(event_type, times_billed, payment_type):
    of = event(event_type, payment=PAID, membership=replace(PRO, times_billed=times_billed))
    assert params(of).get("payment_type") == payment_type


def test_without_lines_the_plan_was_bought():
    of = event("payment_received", membership=PRO, payment=replace(PAID, line_items=()))
    assert params(of)["items"] == [
        {
            "item_id": "4",
            "item_name": "Pro",
            "item_category": "subscription",
            "price": 49.0,
            "quantity": 1,
        }
    ]


def test_without_lines_and_plan_the_item_is_what_the_payment_calls_it():
    of = event("payment_received", payment=replace(PAID, line_items=()))
    (item,) = params(of)["items"]
    assert (item["item_name"], item["price"]) == ("Pro, Setup Fee", 59.99)


def test_a_purchase_of_something_without_a_name_still_has_an_item():
    bare = replace(PAID, line_items=(), product_names=None)
    assert (
        params(event("payment_received", payment=bare))["items"][0]["item_name"] == "subscription"
    )


def test_lines_that_take_away_are_no_items():
    discount = LineItem(title="Discount", unit_price=Decimal(-10), kind="discount")
    of = event("payment_received", payment=replace(PAID, line_items=(*PAID.line_items, discount)))
    assert [item["item_name"] for item in params(of)["items"]] == ["Pro", "Setup Fee"]


@pytest.mark.parametrize(
    ("changes", "value"),
    [
        ({"refund_total": Decimal(20)}, 20.0),
        ({"refund_total": Decimal(-20)}, 20.0),
        ({"refund_total": None}, 59.99),
        ({"refund_total": Decimal(0)}, 59.99),
        ({"refund_total": Decimal("59.99"), "total": Decimal(0)}, 59.99),
    ],
)
def test_a_refund_names_the_transaction_and_what_was_paid_back(changes, value):
    payment = replace(PAID, status="refunded", **changes)
    assert params(event("payment_status_to_refunded", payment=payment)) == {
        "transaction_id": "shop:17",
        "value": value,
        "currency": "USD",
    }


def test_a_lost_membership_tells_plan_reason_and_what_it_was_worth():
    assert params(LOST_MEMBERSHIP) == {
        "plan": "Pro",
        "status": "cancelled",
        "reason": "too_expensive",
        "value": 49.0,
        "currency": "USD",
    }


@pytest.mark.parametrize("status", ["active", "trialing", "on-hold"])
def test_another_status_of_a_membership_is_told_with_the_one_before(status):
    membership = replace(PRO, status=status, previous_status="pending")
    of = event(f"membership_status_to_{status}", customer=ADA, membership=membership)
    (told,) = hit(of)["events"]
    assert told == {
        "name": "membership_status",
        "params": {"plan": "Pro", "status": status, "previous_status": "pending"},
    }


def test_a_new_site_is_told_without_its_title_and_address():
    site = Site(id="3", title="Ada's shop", url="https://ada.shop.example")
    of = event("site_published", customer=ADA, membership=PRO, site=site)
    assert params(of) == {"plan": "Pro"}


def test_a_failed_payment_without_an_amount_names_neither_value_nor_currency():
    of = event("payment_failed", customer=ADA, membership=PRO)
    assert params(of) == {"plan": "Pro"}


def test_a_failed_payment_with_an_amount_names_both():
    of = event("payment_failed", customer=ADA, payment=replace(PAID, status="failed"))
    assert params(of) == {"value": 59.99, "currency": "USD"}


def test_without_a_browser_the_client_id_stands_for_the_customer_and_that_is_said():
    of = replace(CHECKOUT, context=None)
    played = play(ga4().deliver(assignment(of)), httpx.Response(204))
    assert "No browser id" in played.outcome.reason
    assert "session_id" not in played.documents[0]["events"][0]["params"]
    first, second = played.documents[0]["client_id"].split(".")
    assert int(first) < 2**32
    assert 1_000_000_000 <= int(second) < 1_500_000_000


def test_with_a_browser_nothing_needs_to_be_said():
    assert play(ga4().deliver(assignment(CHECKOUT)), httpx.Response(204)).outcome.reason == ""


def test_the_stand_in_client_id_is_the_same_in_every_event_of_a_customer():
    of = [
        event("customer_post_create", customer=ADA),
        event("payment_received", customer=Customer(id="2"), payment=PAID),
        event("membership_expired", membership=PRO),
        event("payment_received", payment=PAID),
    ]
    assert len({hit(one)["client_id"] for one in of}) == 1
    assert {hit(one)["user_id"] for one in of} == {"shop:2"}


def test_customers_of_two_sources_are_two_people():
    other = event("customer_post_create", customer=ADA, source="shop-2")
    assert hit(other)["client_id"] != hit(event("customer_post_create", customer=ADA))["client_id"]


@pytest.mark.parametrize(
    ("client", "session", "client_id", "session_id"),
    [
        ("1234567890.1767607200", "1767607000", "1234567890.1767607200", "1767607000"),
        ("GA1.1.1234567890.1767607200", "GS1.1.1767607000.3.1.1767607100.0.0.0", "1234567890.1767607200", "1767607000"),
        ("GA1.2.1234567890.1767607200", "GS2.1.s1767607000$o3$g1$t17", "1234567890.1767607200", "1767607000"),
        ("1234567890.1767607200", "nonsense", "1234567890.1767607200", None),
        ("1234567890.1767607200", None, "1234567890.1767607200", None),
    ],
)  # fmt: skip
def test_cookies_are_understood_whole_or_in_part(client, session, client_id, session_id):
    of = replace(CHECKOUT, context=Context(ga_client_id=client, ga_session_id=session))
    document = hit(of)
    assert document["client_id"] == client_id
    assert document["events"][0]["params"].get("session_id") == session_id


@pytest.mark.parametrize(
    "client", ["", "ada@example.com", "1234567890", "1.2.3", "x.y", "\uff11.\uff12"]
)
def test_what_is_no_client_id_is_replaced_and_its_session_is_not_sent(client):
    of = replace(CHECKOUT, context=replace(BROWSER, ga_client_id=client))
    document = hit(of)
    assert document["client_id"] == hit(replace(CHECKOUT, context=None))["client_id"]
    assert "session_id" not in document["events"][0]["params"]


@pytest.mark.parametrize(
    ("age", "sent"),
    [
        (timedelta(0), True),
        (timedelta(hours=72), True),
        (timedelta(hours=72, microseconds=1), False),
        (timedelta(days=30), False),
    ],
)
def test_an_event_older_than_72_hours_expires_and_is_never_shifted(age, sent):
    flow = ga4().deliver(assignment(CHECKOUT, now=CHECKOUT.occurred_at + age))
    if sent:
        (document,) = play(flow, httpx.Response(204)).documents
        assert document["timestamp_micros"] == 1795463700000000
    else:
        outcome = play(flow).outcome
        assert outcome.kind is OutcomeKind.SKIPPED
        assert outcome.reason.startswith("Expired:")


def test_a_time_in_the_future_is_left_to_google():
    assert "timestamp_micros" not in hit(CHECKOUT, now=CHECKOUT.occurred_at - timedelta(seconds=1))


def test_consent_is_what_the_target_says():
    document = hit(CHECKOUT, ad_user_data="GRANTED")
    assert document["consent"] == {"ad_user_data": "GRANTED", "ad_personalization": "DENIED"}


@pytest.mark.parametrize("of", [LOST_MEMBERSHIP, catalogue_events()["refund"]])
def test_what_google_cannot_recognise_is_not_sent_again_when_it_may_have_arrived(of):
    outcome = play(ga4().deliver(assignment(of)), LOST).outcome
    assert outcome.kind is OutcomeKind.DROPPED
    assert "may have arrived" in outcome.reason


def test_it_is_sent_again_where_the_operator_chose_so():
    connector = ga4(resend_non_purchase_after_timeout=True)
    played = play(connector.deliver(assignment(LOST_MEMBERSHIP)), LOST)
    assert played.outcome.kind is OutcomeKind.RETRY


@pytest.mark.parametrize(("of", "failure"), [(LOST_MEMBERSHIP, UNREACHED), (CHECKOUT, LOST)])
def test_what_never_arrived_and_what_google_recognises_is_sent_again(of, failure):
    assert play(ga4().deliver(assignment(of)), failure).outcome.kind is OutcomeKind.RETRY


def test_nobody_is_named_anywhere():
    named = replace(ADA, id="ada@example.com", name="Ada Lovelace", phone="+1 555 0199 321")
    plan = Plan(id="15550199321", name="Ada Lovelace's plan")
    of = event(
        "membership_status_to_cancelled",
        customer=named,
        membership=replace(
            PRO, plan=plan, customer_id="ada@example.com", cancellation_reason="ask ADA LOVELACE"
        ),
        subject="shop/customer/ada@example.com",
    )
    sent = json.dumps(hit(of)).lower()
    for told in ("ada@", "lovelace", "5550199321"):
        assert told not in sent


def test_a_plan_may_be_called_like_a_person_when_it_is_one_word():
    of = event("membership_expired", customer=replace(ADA, name="Pro"), membership=PRO)
    assert "plan" not in params(of)
    longer = replace(PRO, plan=Plan(name="Pro yearly"))
    assert params(replace(of, membership=longer))["plan"] == "Pro yearly"


def test_long_values_are_cut_to_what_google_takes():
    of = replace(LOST_MEMBERSHIP, membership=replace(PRO, plan=Plan(name="P" * 200)))
    document = hit(of)
    assert document["user_properties"]["plan"]["value"] == "P" * 36
    assert document["events"][0]["params"]["plan"] == "P" * 100


@pytest.mark.parametrize("identifier", ["ada@example.com", "a b", "x" * 200, "é", "a/b"])
def test_an_id_that_may_name_somebody_or_does_not_fit_becomes_a_digest(identifier):
    transaction = params(event("payment_received", payment=replace(PAID, id=identifier)))
    assert len(transaction["transaction_id"]) == 40
    assert identifier not in transaction["transaction_id"]


def test_a_mapping_adds_parameters_and_may_change_the_value():
    mapping = {"value": "payment.subtotal", "coupon": "data.coupon", "team": "'eu'"}
    payment = replace(PAID, subtotal=Decimal("50.41"))
    told = params(event("payment_received", payment=payment, data={"coupon": "X"}), mapping)
    assert (told["value"], told["coupon"], told["team"]) == (50.41, "X", "eu")
    assert told["transaction_id"] == "shop:17"


@pytest.mark.parametrize(
    ("field", "expression"),
    [
        ("value", "'59.99'"),
        ("value", "true"),
        ("value", "null"),
        ("currency", "'usd'"),
        ("currency", "1"),
        ("tax", "'1'"),
        ("transaction_id", "'x'"),
        ("items", "[1]"),
        ("contact", "customer.email"),
        ("list", "[1]"),
        ("object", "{'a': 1}"),
    ],
)
def test_a_mapped_value_that_google_must_not_or_would_not_get_changes_nothing(field, expression):
    assert params(CHECKOUT, {field: expression}) == params(CHECKOUT)


def test_more_parameters_than_google_takes_are_cut_at_the_end():
    told = params(CHECKOUT, {f"p{number}": "1" for number in range(30)})
    assert len(told) == 25
    assert {"transaction_id", "value", "currency", "items", "session_id"} <= told.keys()


@pytest.mark.parametrize(
    "field",
    ["", "1st", "a-b", "x" * 41, "ga_x", "google_x", "transaction_id", "items", "email", "user_email", "phone", "first_name", "customer_name", "ip"],
)  # fmt: skip
def test_a_mapping_to_what_is_no_parameter_is_named(field):
    assert Ga4.check_mapping([field, "coupon"]).keys() == {field}


def test_a_mapping_that_fails_on_an_event_is_rejected_and_says_which_field():
    flow = ga4({"cart": "data.cart + 1"}).deliver(assignment(CHECKOUT))
    outcome = play(flow).outcome
    assert outcome.kind is OutcomeKind.REJECTED
    assert "mapping/cart" in outcome.reason


async def deliver(fake, *events, **settings):
    connector = ga4(base_url=fake.base_url, **settings)
    async with loopback_client(timeout=1) as client:
        return [await drive(connector.deliver(assignment(of)), over(client)) for of in events]


async def test_a_payment_announced_three_times_is_one_purchase_in_the_reports():
    announced = [
        event(name, customer=ADA, membership=PRO, payment=PAID)
        for name in ("checkout_completed", "payment_received", "payment_status_to_completed")
    ]
    async with FakeGA4(clock=NOW.timestamp).serve() as fake:
        await deliver(fake, *announced, announced[0])
    assert len(fake.hits) == 4
    assert [told["params"]["transaction_id"] for told in fake.counted("purchase")] == ["shop:17"]


async def test_everything_that_is_sent_arrives_in_the_reports():
    told = [of for name, of in catalogue_events().items() if name in SENT]
    async with FakeGA4(clock=NOW.timestamp).serve() as fake:
        outcomes = await deliver(fake, *told)
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.DELIVERED}
    assert fake.discarded == []
    assert len(fake.hits) == len(told)


async def test_an_event_that_waited_too_long_is_not_sent_only_to_be_lost():
    old = replace(CHECKOUT, occurred_at=NOW - timedelta(hours=72))
    async with FakeGA4(clock=NOW.timestamp).serve() as fake:
        outcomes = await deliver(fake, old, replace(old, occurred_at=NOW - timedelta(hours=73)))
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.DELIVERED, OutcomeKind.SKIPPED]
    assert (len(fake.hits), fake.discarded) == (1, [])


async def test_a_sale_of_the_most_items_with_the_longest_names_fits_into_a_request():
    line = LineItem(title="\N{PARTY POPPER}" * 100, unit_price=Decimal("12345.67"))
    payment = replace(PAID, line_items=(line,) * 300)
    async with FakeGA4(clock=NOW.timestamp).serve() as fake:
        await deliver(fake, event("payment_received", customer=ADA, payment=payment))
    (hit,) = fake.counted("purchase")
    assert len(hit["params"]["items"]) == 200


async def test_a_wrong_secret_looks_like_success_because_google_says_so():
    async with FakeGA4(clock=NOW.timestamp).serve() as fake:
        (outcome,) = await deliver(fake, CHECKOUT, api_secret="wrong")
    assert outcome.kind is OutcomeKind.DELIVERED
    assert len(fake.discarded) == 1


async def test_the_validation_server_names_what_is_wrong():
    connector = ga4()
    async with FakeGA4(clock=NOW.timestamp).serve() as fake, loopback_client() as client:
        good = ga4(base_url=fake.base_url).validate(assignment(CHECKOUT))
        assert (await drive(good, over(client))).kind is OutcomeKind.DELIVERED
        reply = await client.post(f"{fake.base_url}/debug/mp/collect", json={"events": []})
    outcome = play(connector.validate(assignment(CHECKOUT)), reply).outcome
    assert outcome.kind is OutcomeKind.REJECTED
    assert "client_id" in outcome.reason
    assert fake.hits == []
