"""What PostHog, Mixpanel, Amplitude and Segment have in common, proven for each of them."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from hypothesis import given

from app.connectors.analytics_steps import effect_name
from app.domain.model import Plan, Site
from app.domain.outcome import OutcomeKind
from tests.contract.analytics import VENDORS, Vendor, assignments, texts
from tests.contract.driving import LOST, UNREACHED, drive, over, play, play_by
from tests.contract.events import ADA, PAID, PRO, any_event, assignment, catalogue_events, event
from tests.contract.loading import KINDS, Sample, samples
from tests.fakes import loopback_client

CHECKOUT = event("checkout_completed", customer=ADA, membership=PRO, payment=PAID)
LOST_MEMBERSHIP = catalogue_events()["cancelled"]
FAILED = catalogue_events()["failed"]
RENEWAL = event("membership_renewed", membership=PRO, payment=replace(PAID, id="18"))
SITE = event("site_published", customer=ADA, site=Site(id="3", title="Shop", url="https://a.b"))

#: What each vendor calls the events of the catalogue; the rest is skipped.
NAMES = {
    "sign-up": ("customer created", "Customer Created", "Signed Up"),
    "checkout": ("purchase", "Purchase", "Order Completed"),
    "payment": ("purchase", "Purchase", "Order Completed"),
    "manual payment": ("purchase", "Purchase", "Order Completed"),
    "renewal": ("payment received", "Payment Received", "Order Completed"),
    "refund": ("payment refunded", "Payment Refunded", "Order Refunded"),
    "cancelled": ("subscription cancelled", "Subscription Cancelled", "Subscription Cancelled"),
    "expired": ("subscription cancelled", "Subscription Cancelled", "Subscription Cancelled"),
    "no customer": ("subscription cancelled", "Subscription Cancelled", "Subscription Cancelled"),
    "failed": ("payment failed", "Payment Failed", "Payment Failed"),
    "site": ("site created", "Site Created", "Site Created"),
    "domain": ("domain created", "Domain Created", "Domain Created"),
}
COLUMN = {"posthog": 0, "mixpanel": 1, "amplitude": 1, "segment": 2}


@pytest.fixture(params=VENDORS.values(), ids=VENDORS)
def vendor(request: pytest.FixtureRequest) -> Vendor:
    return request.param


#: A partial refusal means something else for each, and is tested there.
SAMPLES = [
    (name, sample)
    for name in VENDORS
    for sample in samples(name)
    if sample.outcome != "partial" and sample.operation != "engage"
]


@pytest.mark.parametrize(("name", "sample"), SAMPLES, ids=str)
def test_every_sample_reply_is_classified_as_the_contract_says(name: str, sample: Sample):
    reply = LOST if sample.status is None else sample.response()
    # A failed payment changes no profile: one request.
    outcome = play(VENDORS[name].bind().deliver(assignment(FAILED)), reply).outcome
    assert outcome.kind is KINDS[sample.outcome]


@pytest.mark.parametrize(("name", "sample"), SAMPLES, ids=str)
def test_a_batch_is_classified_as_a_single_event_is(name: str, sample: Sample):
    reply = LOST if sample.status is None else sample.response()
    played = play(VENDORS[name].bind().deliver_many(assignments(FAILED, FAILED)), reply)
    ended = played.outcome
    if KINDS[sample.outcome] is OutcomeKind.REJECTED:
        assert ended.kind is OutcomeKind.REJECTED
    else:
        assert [outcome.kind for outcome in ended] == [KINDS[sample.outcome]] * 2


def test_a_batch_that_is_refused_whole_is_sent_again_one_by_one(vendor: Vendor):
    refusal = httpx.Response(400, text="no")
    ended = play(vendor.bind().deliver_many(assignments(FAILED, SITE)), refusal).outcome
    assert ended.kind is OutcomeKind.REJECTED
    alone = play(vendor.bind().deliver(assignment(FAILED)), httpx.Response(400, text="no"))
    assert alone.outcome.kind is OutcomeKind.REJECTED


def test_what_is_too_large_together_is_sent_in_halves_and_alone_it_is_rejected(vendor: Vendor):
    def accept_three(request: httpx.Request) -> httpx.Response:
        few = len(vendor.records(json.loads(request.content))) <= 3
        return vendor.accept(request) if few else httpx.Response(413)

    many = assignments(*[FAILED] * 5)
    played = play_by(vendor.bind().deliver_many(many), accept_three)
    assert [len(vendor.records(document)) for document in played.documents] == [5, 2, 3]
    assert [outcome.kind for outcome in played.outcome] == [OutcomeKind.DELIVERED] * 5
    alone = play(vendor.bind().deliver(assignment(FAILED)), httpx.Response(413)).outcome
    assert alone.kind is OutcomeKind.REJECTED


@pytest.mark.parametrize("name", catalogue_events())
def test_every_event_is_sent_by_the_schema_or_skipped_with_a_reason(vendor: Vendor, name):
    of = catalogue_events()[name]
    played = vendor.told(of)
    if name in NAMES:
        expected = NAMES[name][COLUMN[vendor.connector.name]]
        sent = [found for found in vendor.names(played) if not found.startswith("$")]
        assert sent == [expected]
        assert played.outcome.kind is OutcomeKind.DELIVERED
    else:
        assert played.outcome.kind is OutcomeKind.SKIPPED
        assert vendor.bind().skip(of)


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("name", VENDORS)
def test_any_event_makes_valid_requests_or_is_skipped_with_a_reason(name, named):
    vendor = VENDORS[name]
    connector = vendor.bind(send_profile=named)

    @given(any_event())
    def holds(of):
        played = play_by(connector.deliver(assignment(of)), vendor.accept)
        kind = OutcomeKind.DELIVERED if played.requests else OutcomeKind.SKIPPED
        assert played.outcome.kind is kind
        assert kind is OutcomeKind.DELIVERED or played.outcome.reason
        if not named:
            found = [text for text in texts(played.documents) if re.search(r"[^@\s]@[^@\s]", text)]
            assert found == []

    holds()


def test_nobody_is_named_anywhere_unless_the_operator_chose_so(vendor: Vendor):
    of = event(
        "membership_status_to_cancelled",
        customer=replace(ADA, id="ada@example.com"),
        membership=replace(
            PRO,
            plan=Plan(id="15550199321", name="Ada Lovelace's plan"),
            customer_id="ada@example.com",
            cancellation_reason="ask ADA LOVELACE",
        ),
        site=Site(id="3", title="Ada Lovelace", url="https://lovelace.example"),
        subject="shop/customer/ada@example.com",
    )
    sent = json.dumps(vendor.told(of).documents).lower()
    for told in ("ada@", "lovelace", "5550199321", "main st"):
        assert told not in sent
    chosen = json.dumps(vendor.told(of, send_profile=True).documents).lower()
    assert "ada@example.com" in chosen
    assert "5550199321" in chosen  # the plan's id; a phone number stands nowhere
    assert "+1 555" not in chosen
    assert "main st" not in chosen


@pytest.mark.parametrize("age", [timedelta(0), timedelta(days=3), timedelta(days=2000)])
def test_an_old_event_keeps_its_time(vendor: Vendor, age):
    of = replace(FAILED, occurred_at=FAILED.occurred_at - age)
    (record,) = vendor.all_records(vendor.told(of))
    milliseconds = int(of.occurred_at.timestamp() * 1000)
    told = record.get("time") or record.get("properties", {}).get("time")
    assert told == milliseconds or record["timestamp"] == of.occurred_at.isoformat().replace(
        "+00:00", "Z"
    )


def test_an_event_from_the_test_button_is_skipped(vendor: Vendor):
    assert "test button" in vendor.bind().skip(replace(CHECKOUT, test=True))


@pytest.mark.parametrize("of", [CHECKOUT, SITE, LOST_MEMBERSHIP])
def test_what_must_happen_once_has_a_name(vendor: Vendor, of):
    assert vendor.bind().effect(of) == effect_name(of) is not None


def test_an_attempt_and_a_replay_send_the_same_bytes(vendor: Vendor):
    connector = vendor.bind()
    made = [
        play_by(connector.deliver(assignment(CHECKOUT, attempt=attempt)), vendor.accept)
        for attempt in (1, 2)
    ]
    first, second = ([request.content for request in played.requests] for played in made)
    assert first == second


@pytest.mark.parametrize("failure", [LOST, UNREACHED])
def test_a_lost_answer_is_asked_for_again_because_repeats_are_recognised(vendor: Vendor, failure):
    outcome = play(vendor.bind().deliver(assignment(FAILED)), failure).outcome
    assert (outcome.kind, outcome.reason) == (OutcomeKind.RETRY, failure.reason)


def test_a_batch_has_an_outcome_for_each_in_order(vendor: Vendor):
    connector = vendor.bind({"cart": "data.cart + 1"})
    good = replace(FAILED, data={"cart": 1})
    events = (event("ticket.opened"), good, FAILED, replace(FAILED, test=True), good)
    played = play_by(connector.deliver_many(assignments(*events)), vendor.accept)
    assert [outcome.kind for outcome in played.outcome] == [
        OutcomeKind.SKIPPED,
        OutcomeKind.DELIVERED,
        OutcomeKind.REJECTED,
        OutcomeKind.SKIPPED,
        OutcomeKind.DELIVERED,
    ]
    assert "mapping/cart" in played.outcome[2].reason
    assert len(played.requests) == 1
    assert len(vendor.all_records(played)) == 2


def test_a_batch_of_nothing_to_send_sends_nothing(vendor: Vendor):
    played = play(vendor.bind().deliver_many(assignments(event("ticket.opened"))))
    assert [outcome.kind for outcome in played.outcome] == [OutcomeKind.SKIPPED]


@pytest.fixture
def narrow(vendor: Vendor, monkeypatch: pytest.MonkeyPatch):
    """A connector whose requests hold three of the events that are returned with it."""
    limits = replace(vendor.connector.limits, batch_bytes=11_000)
    monkeypatch.setattr(vendor.connector, "limits", limits)
    events = [replace(FAILED, data={"note": "x" * 3_000})] * 5
    return vendor.bind({"note": "data.note"}), assignments(*events)


def test_a_large_batch_is_divided_by_its_bytes(vendor: Vendor, narrow):
    connector, many = narrow
    played = play_by(connector.deliver_many(many), vendor.accept)
    assert [len(vendor.records(document)) for document in played.documents] == [3, 2]
    assert [outcome.kind for outcome in played.outcome] == [OutcomeKind.DELIVERED] * 5


def test_a_lost_answer_to_one_part_leaves_the_others_delivered(vendor: Vendor, narrow):
    connector, many = narrow
    good = httpx.Response(200, json=vendor.taken[next(iter(vendor.taken))])
    ended = play(connector.deliver_many(many), good, LOST).outcome
    assert [outcome.kind for outcome in ended] == [OutcomeKind.DELIVERED] * 3 + [
        OutcomeKind.RETRY
    ] * 2


def test_an_event_that_is_too_large_alone_is_rejected_unsent(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(vendor.connector, "event_bytes", 1_000)
    large = replace(FAILED, data={"note": "x" * 1_000})
    outcome = play(vendor.bind({"note": "data.note"}).deliver(assignment(large))).outcome
    assert outcome.kind is OutcomeKind.REJECTED
    assert "takes 1000" in outcome.reason


def test_a_mapping_adds_properties(vendor: Vendor):
    mapping = {"coupon": "data.coupon", "team": "'eu'", "plan": "'Team'"}
    of = replace(FAILED, data={"coupon": "X"})
    (record,) = vendor.all_records(vendor.told(of, mapping))
    properties = record.get("properties") or record["event_properties"]
    assert (properties["coupon"], properties["team"], properties["plan"]) == ("X", "eu", "Team")


def test_a_mapped_value_that_names_somebody_is_left_out_and_that_is_said(vendor: Vendor):
    mapping = {"contact": "customer.email", "team": "'eu'"}
    played = vendor.told(FAILED, mapping)
    assert "ada@" not in json.dumps(played.documents)
    assert played.outcome.kind is OutcomeKind.DELIVERED
    assert "names a person: contact" in played.outcome.reason
    chosen = vendor.told(FAILED, mapping, send_profile=True)
    assert "ada@example.com" in json.dumps(chosen.documents)
    assert chosen.outcome.reason == ""


@pytest.mark.parametrize("field", ["", "$set", "order_id", "currency", "products", "x" * 300])
def test_a_mapping_to_what_is_no_property_is_named(vendor: Vendor, field):
    assert vendor.connector.check_mapping([field, "coupon"]).keys() == {field}


def test_a_customer_of_whom_nothing_is_told_is_skipped(vendor: Vendor):
    of = event("customer_post_update", customer=replace(ADA, signup_date=None))
    assert vendor.told(of).outcome.kind is OutcomeKind.SKIPPED
    assert vendor.told(of, send_profile=True).outcome.kind is OutcomeKind.DELIVERED


def test_settings_hide_the_credential(vendor: Vendor):
    (secret,) = vendor.credential.values()
    assert secret not in repr(vendor.bind().target.settings)


def test_a_credential_that_is_repeated_in_a_refusal_is_masked(vendor: Vendor):
    (secret,) = vendor.credential.values()
    refusal = httpx.Response(401, text=f"{secret} is wrong")
    outcome = play(vendor.bind().deliver(assignment(FAILED)), refusal).outcome
    assert outcome.kind is OutcomeKind.AUTH_FAILED
    assert secret not in outcome.reason


async def deliver(vendor: Vendor, fake, *events, **settings):
    connector = vendor.bind(base_url=fake.base_url + vendor.path, **settings)
    async with loopback_client(timeout=2) as client:
        return await drive(connector.deliver_many(assignments(*events)), over(client))


def stored(fake):
    return list(fake.messages.values()) if hasattr(fake, "messages") else fake.events


async def test_a_payment_announced_three_times_is_one_purchase_there(vendor: Vendor):
    announced = [
        event(name, customer=ADA, membership=PRO, payment=PAID)
        for name in ("checkout_completed", "payment_received", "payment_status_to_completed")
    ]
    async with vendor.fake().serve() as fake:
        for _ in range(2):
            await deliver(vendor, fake, *announced)
    purchases = {"purchase", "Purchase", "Order Completed"}
    assert len([one for one in stored(fake) if vendor.event_name(one) in purchases]) == 1


async def test_everything_that_is_sent_arrives(vendor: Vendor):
    known = catalogue_events() | {"renewal": RENEWAL}
    async with vendor.fake().serve() as fake:
        outcomes = await deliver(vendor, fake, *(known[name] for name in NAMES))
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.DELIVERED}
    expected = {NAMES[name][COLUMN[vendor.connector.name]] for name in NAMES}
    assert {vendor.event_name(one) for one in stored(fake)} - {None} == expected


async def test_a_lost_answer_costs_a_request_and_no_second_event(vendor: Vendor):
    async with vendor.fake().serve() as fake:
        fake.stall_next()
        connector = vendor.bind(base_url=fake.base_url + vendor.path)
        async with loopback_client(timeout=0.2) as client:
            first = await drive(connector.deliver(assignment(CHECKOUT)), over(client))
        (second,) = await deliver(vendor, fake, CHECKOUT)
    assert (first.kind, second.kind) == (OutcomeKind.RETRY, OutcomeKind.DELIVERED)
    assert len([one for one in stored(fake) if vendor.event_name(one)]) == 1


async def test_a_wrong_credential_is_said_so(vendor: Vendor):
    wrong = dict.fromkeys(vendor.credential, "wrong_credential")
    async with vendor.fake().serve() as fake:
        if hasattr(fake, "rudder"):
            fake.rudder = True  # Segment itself would not say
        (outcome,) = await deliver(vendor, fake, FAILED, **wrong)
    assert outcome.kind is OutcomeKind.AUTH_FAILED
    assert "wrong_credential" not in outcome.reason


async def test_the_person_is_known_as_the_operator_chose(vendor: Vendor):
    of = event("customer_post_update", customer=ADA, membership=PRO)
    async with vendor.fake().serve() as fake:
        await deliver(vendor, fake, of)
        anonymous = json.dumps(getattr(fake, "people", getattr(fake, "messages", None)))
        await deliver(vendor, fake, replace(of, id="evt_2"), send_profile=True)
        named = json.dumps(getattr(fake, "people", getattr(fake, "messages", None)))
    assert "Pro" in anonymous
    assert "2026-01-05T10:00:00Z" in anonymous
    assert "ada@example.com" not in anonymous
    assert "ada@example.com" in named


def test_dedupe_ids_are_uuids(vendor: Vendor):
    for record in vendor.all_records(vendor.told(CHECKOUT)):
        found = record.get("uuid") or record.get("insert_id") or record.get("messageId")
        found = found or record.get("properties", {}).get("$insert_id")
        if found:
            assert uuid.UUID(found[:36])
