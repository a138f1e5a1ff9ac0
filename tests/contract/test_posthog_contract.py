"""PostHog against its contract, and against a stand-in that merges and refuses as it does."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from pydantic import ValidationError

from app.connectors.posthog import PostHog, PostHogSettings
from app.domain.model import Site
from app.domain.outcome import OutcomeKind
from tests.contract.analytics import VENDORS, assignments
from tests.contract.driving import drive, over, play
from tests.contract.events import ADA, NOW, PAID, PRO, assignment, catalogue_events, event
from tests.contract.loading import Sample, request_errors, samples
from tests.fakes import loopback_client
from tests.fakes.posthog import FakePostHog

OK = httpx.Response(200, json={"status": 1})
CHECKOUT = event("checkout_completed", customer=ADA, membership=PRO, payment=PAID)
SITE = event(
    "site_published", customer=ADA, site=Site(id="3", title="Shop", url="https://shop.example")
)


def posthog(mapping=None, **settings):
    return VENDORS["posthog"].bind(mapping, **settings)


def document(of, **settings):
    (sent,) = play(posthog(**settings).deliver(assignment(of)), OK).documents
    assert request_errors("posthog", "batch", sent) == []
    return sent


def test_a_purchase_is_sent_whole():
    assert document(CHECKOUT) == {
        "api_key": "phc_correct",
        "historical_migration": False,
        "batch": [
            {
                "uuid": "e0beeaaa-2ff8-51d5-8388-5c47fde8c6ce",
                "event": "purchase",
                "distinct_id": "shop:2",
                "timestamp": "2026-11-23T19:55:00Z",
                "properties": {
                    "source": "shop",
                    "plan": "Pro",
                    "plan_id": "4",
                    "membership_status": "active",
                    "times_billed": 1,
                    "tax": 9.58,
                    "revenue": 59.99,
                    "currency": "USD",
                    "order_id": "shop:17",
                    "products": [
                        {
                            "product_id": "4",
                            "name": "Pro",
                            "category": "subscription",
                            "price": 49.99,
                            "quantity": 1,
                        },
                        {"name": "Setup Fee", "category": "fee", "price": 10.0, "quantity": 1},
                    ],
                    "$set": {"plan": "Pro", "membership_status": "active"},
                    "$set_once": {"signup_date": "2026-01-05T10:00:00Z"},
                    "$ip": "",
                    "$geoip_disable": True,
                    "$process_person_profile": True,
                    "$lib": "lifecycle-relay",
                },
            }
        ],
    }


def test_the_request_goes_to_the_batch_endpoint_without_a_credential_in_its_head():
    (request,) = play(posthog().deliver(assignment(CHECKOUT)), OK).requests
    assert (request.method, str(request.url)) == ("POST", "https://us.i.posthog.com/batch/")
    assert "phc_correct" not in str(request.headers)


def test_the_time_is_never_shifted_by_a_sent_at():
    assert "sent_at" not in json.dumps(document(CHECKOUT))


@pytest.mark.parametrize(
    ("sample", "kind"),
    [("ok_quota", OutcomeKind.DROPPED), ("ok", OutcomeKind.DELIVERED)],
)
def test_what_is_taken_and_thrown_away_is_dropped(sample, kind):
    (found,) = [one for one in samples("posthog") if one.name == sample]
    assert play(posthog().deliver(assignment(CHECKOUT)), found.response()).outcome.kind is kind


@pytest.mark.parametrize("limited", [["recordings"], [], None, "events", {"events": 1}])
def test_another_quota_than_that_of_events_loses_nothing(limited):
    reply = httpx.Response(200, json={"status": 1, "quota_limited": limited})
    assert play(posthog().deliver(assignment(CHECKOUT)), reply).outcome.kind is (
        OutcomeKind.DELIVERED
    )


@pytest.mark.parametrize("sample", [s for s in samples("posthog") if s.outcome == "partial"])
def test_what_is_too_large_together_is_sent_in_halves_and_alone_it_is_rejected(sample: Sample):
    many = assignments(CHECKOUT, SITE)
    together = play(posthog().deliver_many(many), sample.response(), OK, OK)
    assert [outcome.kind for outcome in together.outcome] == [OutcomeKind.DELIVERED] * 2
    alone = play(posthog().deliver(assignment(CHECKOUT)), sample.response())
    assert alone.outcome.kind is OutcomeKind.REJECTED


@pytest.mark.parametrize(
    ("age", "historical"),
    [(timedelta(0), False), (timedelta(hours=48), False), (timedelta(hours=48, seconds=1), True)],
)
def test_what_is_older_than_two_days_goes_the_way_of_history(age, historical):
    assert document(replace(CHECKOUT, occurred_at=NOW - age))["historical_migration"] is historical


def test_history_and_today_do_not_share_a_request_and_keep_their_order():
    old = replace(SITE, occurred_at=NOW - timedelta(days=30))
    failed = catalogue_events()["failed"]
    played = play(posthog().deliver_many(assignments(old, failed, old)), OK, OK)
    assert [sent["historical_migration"] for sent in played.documents] == [False, True]
    assert [len(sent["batch"]) for sent in played.documents] == [1, 4]
    assert len(played.outcome) == 3


def test_a_customer_update_only_sets_properties():
    of = event("customer_post_update", customer=ADA, membership=PRO)
    (record,) = document(of, send_profile=True)["batch"]
    assert record["event"] == "$set"
    assert record["properties"]["$set"] == {
        "plan": "Pro",
        "membership_status": "active",
        "email": "ada@example.com",
        "name": "Ada Lovelace",
        "first_name": "Ada",
        "last_name": "Lovelace",
    }


def test_a_new_site_is_a_group_with_an_event_of_its_own():
    site, group = document(SITE, send_profile=True)["batch"]
    assert site["properties"]["$groups"] == {"site": "shop:3"}
    assert group["event"] == "$groupidentify"
    assert group["uuid"] != site["uuid"]
    assert group["properties"]["$group_key"] == "shop:3"
    assert group["properties"]["$group_set"] == {"title": "Shop", "url": "https://shop.example"}


def test_a_refund_is_negative_revenue_and_a_cancellation_none():
    (refund,) = document(catalogue_events()["refund"])["batch"]
    assert refund["properties"]["revenue"] == -59.99
    (lost,) = document(catalogue_events()["cancelled"])["batch"]
    assert "revenue" not in lost["properties"]
    assert (lost["properties"]["amount"], lost["properties"]["currency"]) == (49.0, "USD")


@pytest.mark.parametrize("host", ["us.posthog.com", "eu.posthog.com", "app.posthog.com"])
def test_the_address_of_the_user_interface_is_refused(host):
    with pytest.raises(ValidationError, match="takes none"):
        PostHogSettings(project_api_key="phc_x", base_url=f"https://{host}")


def test_the_cloud_in_the_eu_and_an_own_installation_are_a_setting_away():
    for url in ("https://eu.i.posthog.com", "https://posthog.example.com"):
        assert PostHogSettings(project_api_key="phc_x", base_url=url).base_url == url


async def send(fake, *events, **settings):
    connector = posthog(base_url=fake.base_url, **settings)
    async with loopback_client(timeout=2) as client:
        return await drive(connector.deliver_many(assignments(*events)), over(client))


async def test_a_repeat_with_the_same_id_name_time_and_person_is_merged():
    async with FakePostHog().serve() as fake:
        await send(fake, CHECKOUT)
        await send(fake, CHECKOUT)
    assert len(fake.calls) == 2
    assert [found["properties"]["revenue"] for found in fake.events] == [59.99]


async def test_the_signup_date_of_a_person_is_the_first_that_was_told():
    later = replace(ADA, signup_date=NOW)
    async with FakePostHog().serve() as fake:
        await send(fake, CHECKOUT)
        await send(fake, event("customer_post_update", customer=later, membership=PRO))
    assert fake.people["shop:2"]["signup_date"] == "2026-01-05T10:00:00Z"


async def test_a_quota_that_is_used_up_is_told_and_nothing_is_repeated():
    async with FakePostHog().serve() as fake:
        fake.over_quota = True
        outcomes = await send(fake, CHECKOUT, SITE)
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.DROPPED}
    assert fake.events == []


async def test_a_batch_over_the_size_of_the_installation_arrives_in_halves():
    async with FakePostHog(most_bytes=1200).serve() as fake:
        outcomes = await send(fake, CHECKOUT, SITE)
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.DELIVERED] * 2
    assert len(fake.calls) == 3


def test_a_request_stays_below_what_posthog_takes():
    assert PostHog.limits.batch_bytes < 20 * 1024 * 1024
    assert PostHog.event_bytes == 900_000
