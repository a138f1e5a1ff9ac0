"""What is to be done at a network, from what was found there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from app.domain.catalogue import BUILT_IN_TYPES, MODEL_TYPES, TEST_BUTTON_TYPES
from app.domain.errors import ValidationFailed
from app.services.network_plan import Bridge, Plan, Situation, StepKind, Way, plan, removal
from app.services.network_webhooks import Webhook, made_for, marker, read_all, url_of
from tests.fakes.ultimate_multisite_network import captured_rows

SOURCE = "src_01kr9x4e6hq3v8n2m7c5t0b1da"
INGEST = "https://relay.example/webhooks/shop"
TOKEN = "t" * 32
SEEN = datetime(2026, 11, 23, 12, tzinfo=UTC)


def webhook(number: int, event: str, **values: Any) -> Webhook:
    fields = {
        "id": str(number),
        "name": f"Lifecycle Relay: {event}",
        "url": url_of(INGEST, event, TOKEN),
        "event": event,
        "integration": marker(SOURCE),
        "count": 0,
    }
    return Webhook(**(fields | values))


ALL = tuple(webhook(number, event) for number, event in enumerate(BUILT_IN_TYPES, 1))


def found(**values: Any) -> Situation:
    """A network that is set up, with changes."""
    fields: dict[str, Any] = {
        "network": "Demo Network",
        "address": "https://network.example",
        "source": "shop",
        "source_id": SOURCE,
        "ingest_url": INGEST,
        "access_stored": True,
        "token": TOKEN,
        "hooks": frozenset(BUILT_IN_TYPES) | TEST_BUTTON_TYPES,
        "webhooks": ALL,
        "bridge": Bridge(),
        "counted": frozenset(one.id for one in ALL),
        "overlap": 86_400,
    }
    return Situation(**(fields | values))


def kinds(made: Plan) -> list[StepKind]:
    return [step.kind for step in made.steps]


def test_a_network_that_is_set_up_needs_nothing():
    assert plan(found()).steps == []


def test_a_new_network_gets_a_source_and_a_webhook_for_each_type_that_fires():
    made = plan(found(source_id=None, token=None, webhooks=(), counted=frozenset()))
    assert kinds(made) == [
        StepKind.CREATE_SOURCE,
        *[StepKind.CREATE_WEBHOOK] * len(BUILT_IN_TYPES),
        StepKind.COUNT,
    ]


def test_types_that_a_network_lists_but_never_sends_get_no_webhook():
    made = plan(found(webhooks=()))
    assert not {step.event for step in made.steps} & TEST_BUTTON_TYPES


def test_an_older_version_gets_what_it_knows_and_the_rest_is_named():
    made = plan(found(webhooks=(), hooks=frozenset({"payment_received", "site_published"})))
    assert {step.event for step in made.steps} - {""} == {"payment_received", "site_published"}
    assert any("payment_failed" in note for note in made.notes)


def test_the_model_events_of_very_old_versions_are_taken_where_they_are_listed():
    made = plan(found(webhooks=(), hooks=frozenset(MODEL_TYPES)))
    assert {step.event for step in made.steps} - {""} == set(MODEL_TYPES)


def test_a_webhook_that_leads_elsewhere_is_led_back_and_keeps_its_count():
    (first, *others) = ALL
    moved = replace(first, url="https://old.example/webhooks/shop/x?token=y")
    made = plan(found(webhooks=(moved, *others)))
    assert [(step.kind, step.webhook_id) for step in made.steps] == [
        (StepKind.CHANGE_WEBHOOK, first.id)
    ]


def test_a_second_webhook_for_a_type_is_deleted():
    made = plan(found(webhooks=(*ALL, webhook(99, "payment_received"))))
    assert [(step.kind, step.webhook_id) for step in made.steps] == [
        (StepKind.DELETE_WEBHOOK, "99")
    ]


def test_without_a_token_that_is_known_a_new_one_is_made_first_and_the_plan_says_so():
    made = plan(found(token=None))
    assert kinds(made) == [StepKind.NEW_TOKEN, *[StepKind.CHANGE_WEBHOOK] * len(ALL)]
    assert "24 hours" in made.steps[0].sentence
    assert "signing secret stays" in made.steps[0].sentence


def test_no_step_and_no_note_shows_the_token():
    made = plan(found(webhooks=(replace(ALL[0], url="https://x.example/"), *ALL[1:])))
    assert TOKEN not in repr((made, found()))


def test_webhooks_of_others_that_lead_here_are_named_and_left_alone():
    foreign = webhook(99, "payment_received", integration="manual")
    made = plan(found(webhooks=(*ALL, foreign)))
    assert made.steps == []
    assert any("#99" in note for note in made.notes)


def test_webhooks_of_a_relay_that_lost_its_database_are_taken_over():
    earlier = tuple(replace(one, integration=marker("src_earlier")) for one in ALL)
    assert made_for(earlier, SOURCE, INGEST) == (list(earlier), [])


def test_webhooks_of_another_relay_are_nobodys_here():
    other = webhook(
        99, "x", integration=marker("src_other"), url="https://b.example/webhooks/shop/x?token=t"
    )
    assert made_for([other], SOURCE, INGEST) == ([], [])
    assert removal(found(webhooks=[other], counted=frozenset())).steps == []


def test_removing_deletes_what_was_made_here_only():
    made = removal(found(webhooks=(*ALL, webhook(99, "payment_received", integration="manual"))))
    assert [step.webhook_id for step in made.steps] == [one.id for one in ALL]


def test_a_url_the_network_could_not_keep_is_refused_with_its_length():
    with pytest.raises(ValidationFailed, match="at most"):
        plan(found(ingest_url="https://relay.example/" + "x" * 150))


def test_webhooks_that_are_not_counted_yet_are_counted_from_now_on():
    assert kinds(plan(found(counted=frozenset()))) == [StepKind.COUNT]
    assert kinds(plan(found(), recount=True)) == [StepKind.RECOUNT]


def test_counts_of_webhooks_that_are_gone_are_forgotten():
    gone = found(counted=frozenset({*(one.id for one in ALL), "99"}))
    assert kinds(plan(gone)) == [StepKind.COUNT]
    bridge = Bridge(installed=True, configured=True, seen_at=SEEN)
    assert kinds(plan(replace(gone, webhooks=(), bridge=bridge))) == [StepKind.COUNT]
    assert kinds(removal(replace(gone, webhooks=()))) == [StepKind.COUNT]


def test_a_bridge_that_is_there_decides_the_way():
    made = plan(
        found(webhooks=(), counted=frozenset(), bridge=Bridge(installed=True, version="1.0.0"))
    )
    assert made.way is Way.BRIDGE
    assert kinds(made) == [StepKind.NEW_SECRET]
    assert "token stays" in made.steps[0].sentence


def test_the_operator_decides_over_what_is_there():
    made = plan(found(webhooks=(), bridge=Bridge(installed=True)), Way.WEBHOOKS)
    assert StepKind.CREATE_WEBHOOK in kinds(made)
    assert plan(found(webhooks=()), Way.BRIDGE).way is Way.BRIDGE


def test_a_bridge_that_sends_takes_the_place_of_the_webhooks():
    made = plan(found(bridge=Bridge(installed=True, configured=True, seen_at=SEEN)))
    assert kinds(made) == [StepKind.DELETE_WEBHOOK] * len(ALL)


def test_until_a_bridge_sends_the_webhooks_stay():
    made = plan(found(bridge=Bridge(installed=True, configured=True)))
    assert made.steps == []
    assert any("webhooks stay" in note for note in made.notes)
    assert any("Send a test event" in note for note in made.notes)


def test_a_bridge_that_sends_needs_nothing():
    made = plan(found(webhooks=(), counted=frozenset(), bridge=Bridge(seen_at=SEEN)))
    assert (made.way, made.steps) == (Way.BRIDGE, [])


def test_a_relay_that_only_this_machine_reaches_is_said_to_be_so():
    made = plan(found(webhooks=(), ingest_url="http://127.0.0.1:8080/webhooks/shop"))
    assert any("RELAY_PUBLIC_URL" in note for note in made.notes)


def test_the_rows_of_the_real_network_are_read():
    read = read_all(captured_rows("list_webhooks.200"))
    assert [(one.id, one.event, one.integration, one.count) for one in read] == [
        ("25", "payment_received", "wu-relay", 0),
        ("24", "customer_updated", "manual", 2),
        ("23", "customer_created", "manual", 1),
    ]
