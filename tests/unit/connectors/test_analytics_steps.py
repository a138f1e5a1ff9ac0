"""Which events product analytics count, under which name of the relay's, and how often."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.connectors.analytics_steps import (
    SALES,
    Step,
    effect_name,
    events_of,
    is_renewal,
    step_of,
    why_nothing,
)
from app.domain.catalogue import CATALOGUE
from app.domain.model import Site
from app.domain.routing import check_pattern, compile_patterns
from tests.contract.events import ADA, PAID, PRO, catalogue_events, event


@pytest.mark.parametrize(
    ("event_type", "step"),
    [
        ("customer_post_create", Step.CUSTOMER_CREATED),
        ("customer_created", Step.CUSTOMER_CREATED),
        ("customer_post_update", Step.CUSTOMER_UPDATED),
        ("customer_updated", Step.CUSTOMER_UPDATED),
        ("checkout_completed", Step.PURCHASE),
        ("payment_received", Step.PURCHASE),
        ("membership_renewed", Step.RENEWAL),
        ("payment_status_to_refunded", Step.REFUND),
        ("payment_failed", Step.PAYMENT_FAILED),
        ("payment_status_to_failed", Step.PAYMENT_FAILED),
        ("membership_status_to_cancelled", Step.CANCELLED),
        ("membership_status_to_expired", Step.CANCELLED),
        ("membership_expired", Step.CANCELLED),
        ("membership_status_to_active", Step.STATUS_CHANGED),
        ("membership_status_to_on-hold", Step.STATUS_CHANGED),
        ("membership_plan_changed", Step.PLAN_CHANGED),
        ("site_published", Step.SITE_CREATED),
        ("site_post_create", Step.SITE_CREATED),
        ("domain_created", Step.DOMAIN_CREATED),
        ("customer_post_delete", None),
        ("membership_post_update", None),
        ("payment_status_to_pending", None),
        ("relay.target_disabled", None),
        ("ticket.opened", None),
    ],
)
def test_what_step_an_event_is(event_type, step):
    assert step_of(event(event_type)) is step


@pytest.mark.parametrize("pattern", events_of(*Step))
def test_the_default_events_are_patterns_of_types_the_platform_has(pattern):
    check_pattern(pattern)
    matches = compile_patterns([pattern])
    assert any(matches(known) for known in CATALOGUE)


def test_the_default_events_are_those_that_are_a_step():
    matches = compile_patterns(events_of(*Step))
    assert {known for known in CATALOGUE if matches(known)} == {
        known for known in CATALOGUE if step_of(event(known)) is not None
    }


def test_the_events_of_some_steps_leave_out_the_others():
    assert events_of(Step.DOMAIN_CREATED, Step.REFUND) == (
        "payment_status_to_refunded",
        "domain_created",
    )


@pytest.mark.parametrize(
    ("event_type", "times_billed", "renewal"),
    [
        ("membership_renewed", None, True),
        ("payment_received", 2, True),
        ("payment_status_to_completed", 2, True),
        ("payment_received", 1, False),
        ("payment_received", 0, False),
        ("payment_received", None, False),
        ("checkout_completed", 2, False),
    ],
)
def test_a_renewal_pays_for_a_further_period(event_type, times_billed, renewal):
    of = event(event_type, payment=PAID, membership=replace(PRO, times_billed=times_billed))
    assert is_renewal(of) is renewal
    assert step_of(of) is (Step.RENEWAL if renewal else Step.PURCHASE)


def test_what_a_destination_has_no_name_for_is_said_with_its_title():
    of = catalogue_events()["site"]
    assert why_nothing(of, "Acme", SALES) == "Acme has no event for site_published."
    assert why_nothing(of, "Acme", Step) is None


@pytest.mark.parametrize("name", ["trial", "pending"])
def test_what_is_no_sale_is_none_in_analytics_either(name):
    assert why_nothing(catalogue_events()[name], "Acme", Step)


def test_a_refund_of_nothing_is_no_refund():
    assert why_nothing(event("payment_status_to_refunded", customer=ADA), "Acme", Step)


@pytest.mark.parametrize("event_type", ["site_published", "site_post_create"])
def test_a_new_site_is_counted_once_however_often_it_is_announced(event_type):
    assert effect_name(event(event_type, site=Site(id="3"))) == "site_created:shop/3"


def test_a_site_without_an_id_has_no_name_to_be_counted_once_by():
    assert effect_name(event("site_published", site=Site(title="Shop"))) is None


def test_the_other_effects_are_those_that_all_connectors_agree_on():
    assert effect_name(event("payment_received", payment=PAID)) == "purchase:shop/17"
