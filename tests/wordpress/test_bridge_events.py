"""The platform's real hooks become the catalogue's events, accepted and read by the relay."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from app.domain.catalogue import BRIDGE_TYPES, CATALOGUE, bridge_example
from app.domain.catalogue_rows import BUILT_IN
from app.domain.model import Reading
from app.domain.strict_json import read_strict
from tests.captured import hook_data, names
from tests.wordpress.bridge_network import Network, Step, of, read, world

GROUPS = ("customer", "membership", "payment", "site", "domain")
SLUGS = {name for name, *_ in BUILT_IN}
CHECKOUT = [of("payment", 3), of("membership"), of("customer"), {}, "new", {}]
CAPTURE: Step = ["do", "wu_checkout_order_created", [{}, of("customer"), of("membership"), {}]]
FBP = "fb.1.1795461463.42"
SAVED: Step = ["do", "wu_membership_post_save", [[], of("membership"), False]]


def changed(kind: str, name: str) -> list[Step]:
    """The hook of a change of status or stage, with the argument order of the platform."""
    new = name.partition("_to_")[2]
    number = 3 if kind == "payment" else 2
    before = bridge_example(name)["data"][kind].get("previous_status") or "other"
    column = "stage" if kind == "domain" else "status"
    return [["do", f"wu_transition_{kind}_{column}", [before, new, number]]]


def built_in(name: str) -> list[Step]:
    """`wu_event` with the flat body that the platform composes."""
    body = dict(CATALOGUE[name].example)
    data = bridge_example(name)["data"]
    for kind in CATALOGUE[name].parts:
        if isinstance(body.get(kind), dict):
            body[kind] = {**body[kind], "id": data[kind]["id"]}
        else:
            body[f"{kind}_id"] = int(data[kind]["id"])
    return [["do", "wu_event", [name, body]]]


SINGLE: dict[str, list[Step]] = {
    "customer_post_create": [["do", "wu_customer_post_save", [[], of("customer"), True]]],
    "customer_post_update": [["do", "wu_customer_post_save", [[], of("customer"), False]]],
    "customer_post_delete": [["do", "wu_customer_post_delete", [1, of("customer")]]],
    "checkout_completed": [["do", "wu_checkout_done", CHECKOUT]],
    "membership_post_create": [["do", "wu_membership_post_save", [[], of("membership"), True]]],
    "membership_post_update": [SAVED],
    "membership_post_delete": [["do", "wu_membership_post_delete", [1, of("membership")]]],
    "membership_renewed": [
        SAVED,
        ["do", "wu_membership_post_renew", ["2027-01-23 23:59:59", 2, of("membership")]],
    ],
    "payment_post_create": [["do", "wu_payment_post_save", [[], of("payment", 3), True]]],
    "site_post_create": [["do", "wu_site_post_save", [[], of("site", 3), True]]],
    "site_post_delete": [["do", "wu_site_post_delete", [1, of("site", 3)]]],
}


def steps_of(name: str) -> list[Step]:
    if name in SINGLE:
        return SINGLE[name]
    if name in SLUGS:
        return built_in(name)
    return changed(name.partition("_")[0], name)


def comparable(reading: Reading, parts: tuple[str, ...]) -> dict[str, Any]:
    """What the relay knows; only a change of status knows the status before."""
    found = {part: getattr(reading, part) for part in parts}
    membership = found.get("membership")
    if membership is not None and "_status_to_" not in reading.type:
        found["membership"] = replace(membership, previous_status=None)
    if found.get("payment") is not None:
        # The example of another payment keeps the address of the first one's page.
        found["payment"] = replace(found["payment"], manage_url=None)
    return {"type": reading.type, "subject": reading.subject, "context": reading.context, **found}


@pytest.mark.parametrize(
    "name", [name for name in BRIDGE_TYPES if name != "membership_plan_changed"]
)
def test_every_type_of_the_bridge_is_normalised_like_its_example(network: Network, name: str):
    network.request([CAPTURE], **world(name))
    network.request(steps_of(name), **world(name))
    (row,) = network.outbox()
    example = bridge_example(name)
    expected, found = read(_json(example)), read(row["body"].encode())
    parts = CATALOGUE[name].parts
    assert comparable(found, parts) == comparable(expected, parts)
    assert read_strict(row["body"].encode())["spec"] == example["spec"]
    assert row["event_id"] == found.dedupe_id


def _json(example: dict[str, Any]) -> bytes:
    return json.dumps(example).encode()


def test_a_change_of_plan_says_both_plans_although_no_transition_hook_fires(network: Network):
    scenario = world("membership_plan_changed")
    network.request([["set", "membership", 2, {"plan_id": 1}], SAVED], **scenario)
    network.execute("DELETE FROM wp_lifecycle_relay_outbox")
    network.request([SAVED], **scenario)
    (row,) = network.outbox()
    reading = read(row["body"].encode())
    assert reading.type == "membership_plan_changed"
    assert reading.membership == read(_json(bridge_example(reading.type))).membership


def test_one_cancellation_is_one_event_with_its_reason(network: Network):
    steps: list[Step] = [
        ["do", "wu_membership_pre_cancel", [2, of("membership")]],
        ["set", "membership", 2, {"status": "cancelled", "cancellation_reason": False}],
        ["do", "wu_transition_membership_amount", ["49.9900", 49.99, 2]],
        ["do", "wu_transition_membership_status", ["active", "cancelled", 2]],
        SAVED,
        ["set", "membership", 2, {"cancellation_reason": "too_expensive"}],
        ["do", "wu_membership_post_cancel", [2, of("membership")]],
        SAVED,
    ]
    network.request(steps, **world())
    assert network.types() == ["membership_status_to_cancelled"]
    membership = read(network.outbox()[0]["body"].encode()).membership
    assert membership is not None
    assert (membership.previous_status, membership.cancellation_reason) == (
        "active",
        "too_expensive",
    )


@pytest.mark.parametrize("kind", ["customer", "membership"])
def test_two_saves_of_one_request_are_one_update_with_the_last_state(network: Network, kind: str):
    save: Step = ["do", f"wu_{kind}_post_save", [[], of(kind), False]]
    change: Step = ["set", kind, 2, {"display_name": "Jane New", "status": "on-hold"}]
    network.request([save, change, save], **world())
    assert network.types() == [f"{kind}_post_update"]
    body = network.outbox()[0]["body"]
    assert ("Jane New" in body) if kind == "customer" else ('"on-hold"' in body)


def test_a_failed_payment_is_one_event_whether_or_not_the_platform_tells_it_too(network: Network):
    failed: Step = [
        "do",
        "wu_recurring_payment_failed",
        [of("membership"), of("gateway", "stripe")],
    ]
    network.request([failed, *built_in("payment_failed")], **world())
    network.request([failed], **world())
    assert network.types() == ["payment_failed", "payment_failed"]
    for row in network.outbox():
        assert read(row["body"].encode()).data["payment_gateway"] == "stripe"


def test_a_checkout_is_told_in_the_order_in_which_it_happened(network: Network):
    steps: list[Step] = [
        ["do", "wu_transition_customer_email_verification", ["new", "pending", 2]],
        *SINGLE["customer_post_create"],
        *SINGLE["customer_post_update"],
        ["do", "wu_transition_membership_status", ["new", "pending", 2]],
        *SINGLE["membership_post_create"],
        ["do", "wu_transition_payment_status", ["new", "pending", 3]],
        *SINGLE["payment_post_create"],
        ["do", "wu_transition_payment_status", ["pending", "completed", 3]],
        ["do", "wu_transition_membership_status", ["pending", "active", 2]],
        SAVED,
        *built_in("payment_received"),
        *SINGLE["checkout_completed"],
    ]
    network.request(steps, **world())
    assert network.types() == [
        "customer_post_create",
        "membership_post_create",
        "payment_post_create",
        "payment_status_to_completed",
        "membership_status_to_active",
        "payment_received",
        "checkout_completed",
    ]
    contexts = [read(row["body"].encode()).context for row in network.outbox()]
    assert {context.ga_client_id for context in contexts if context} == {"1234567890.1795461463"}
    assert None not in contexts


@pytest.mark.parametrize(
    ("scenario", "analytics", "marketing"),
    [
        ({"consent": {"statistics": True, "marketing": True}}, "1234567890.1795461463", FBP),
        ({"consent": {"statistics": False, "marketing": True}}, None, FBP),
        ({"consent": {"statistics": False, "marketing": False}}, None, None),
        ({"consent": None}, None, None),
    ],
)
def test_browser_identifiers_need_consent(
    network: Network, scenario: dict[str, Any], analytics: str | None, marketing: str | None
):
    network.request(SINGLE["checkout_completed"], **world() | scenario)
    body = network.outbox()[0]["body"]
    context = read(body.encode()).context
    assert (context.ga_client_id if context else None) == analytics
    assert (context.fbp if context else None) == marketing
    assert (FBP in body) is bool(marketing)
    assert ("Firefox" in body) is bool(analytics or marketing)


def test_withdrawn_consent_removes_what_was_kept(network: Network):
    network.request(SINGLE["checkout_completed"], **world())
    nothing = {"consent": {"statistics": False, "marketing": False}}
    network.request(SINGLE["checkout_completed"], **world() | nothing)
    network.request(SINGLE["membership_renewed"], **world())
    contexts = [read(row["body"].encode()).context is None for row in network.outbox()]
    assert contexts == [False, True, True]


@pytest.mark.parametrize("kind", ["customer", "membership"])
@pytest.mark.parametrize(
    ("body", "events"),
    [
        ({"meta": {"crm_contact_id": "hs-1"}}, 0),
        ({"meta": {"crm_deal_id": "9"}, "api_key": "k", "api_secret": "s"}, 0),
        ({"meta": {"crm_contact_id": "hs-1", "colour": "red"}}, 1),
        ({"meta": {"crm_contact_id": "hs-1"}, "vip": True}, 1),
        ({"vip": True}, 1),
    ],
)
def test_only_what_the_relay_writes_back_causes_no_event(
    network: Network, kind: str, body: dict[str, Any], events: int
):
    rest = {"method": "PUT", "route": f"/wu/v2/{kind}/2", "json": body}
    save: Step = ["do", f"wu_{kind}_post_save", [[], of(kind), False]]
    network.request([["rest", rest, [save]]], **world())
    assert len(network.outbox()) == events


def test_a_save_after_a_write_back_is_an_update_again(network: Network):
    rest = {
        "method": "PUT",
        "route": "/wu/v2/customer/2",
        "json": {"meta": {"crm_contact_id": "1"}},
    }
    steps: list[Step] = [["rest", rest, []], *SINGLE["customer_post_update"]]
    network.request(steps, **world())
    assert network.types() == ["customer_post_update"]


def test_a_cancellation_in_local_time_is_sent_in_utc(network: Network):
    steps: list[Step] = [
        ["set", "membership", 2, {"date_cancellation": "2026-11-23 20:17:43"}],
        SAVED,
    ]
    network.request(steps, **world(), zone="Europe/Berlin")
    assert '"cancelled_at":"2026-11-23T19:17:43Z"' in network.outbox()[0]["body"]


def _captured_objects(data: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in GROUPS:
        if kind in data and len(data[kind]) > 1:
            entity = data[kind]
            found[kind] = {str(entity["id"]): entity}
            if "plan" in entity:
                found["product"] = {str(entity["plan"]["id"]): entity["plan"]}
    return found


CAPTURED: dict[str, tuple[str, str, list[Any]]] = {
    "customer.created": ("customer", "wu_customer_post_save", [[], "customer", True]),
    "customer.updated": ("customer", "wu_customer_post_save", [[], "customer", False]),
    "customer.deleted": ("customer", "wu_customer_post_delete", [1, "customer"]),
    "membership.created": ("membership", "wu_membership_post_save", [[], "membership", True]),
    "membership.updated": ("membership", "wu_membership_post_save", [[], "membership", False]),
    "membership.deleted": ("membership", "wu_membership_post_delete", [1, "membership"]),
    "membership.renewed": ("membership", "wu_membership_post_renew", ["", 6, "membership"]),
    "payment.created": ("payment", "wu_payment_post_save", [[], "payment", True]),
    "payment.failed": ("membership", "wu_recurring_payment_failed", ["membership", None]),
    "site.created": ("site", "wu_site_post_save", [[], "site", True]),
    "domain.created": ("domain", "wu_domain_post_save", [[], "domain", True]),
}


@pytest.mark.parametrize("name", sorted(CAPTURED))
def test_captured_objects_are_sent_and_read(network: Network, name: str):
    data = hook_data(f"{name}")
    kind, hook, template = CAPTURED[name]
    entity = data[kind]
    arguments = [of(part, entity["id"]) if part in GROUPS else part for part in template]
    network.request([["do", hook, arguments]], objects=_captured_objects(data))
    (row,) = network.outbox()
    found = getattr(read(row["body"].encode()), kind)
    assert found.id == str(entity["id"])
    if kind == "membership":
        assert (found.status, str(found.amount), found.plan.slug) == (
            entity["status"],
            "49.99",
            "pro-plan-e1",
        )
    if kind == "customer":
        assert found.email == entity["email"]


@pytest.mark.parametrize("status", ["active", "expired", "on-hold", "cancelled"])
def test_captured_changes_of_status_are_sent_and_read(network: Network, status: str):
    data = hook_data(f"membership.status.{status}")
    step: Step = ["do", "wu_transition_membership_status", [data["old_status"], status, 6]]
    network.request([step], objects=_captured_objects(data))
    membership = read(network.outbox()[0]["body"].encode()).membership
    assert membership is not None
    assert (membership.status, membership.previous_status) == (status, data["old_status"])


def test_every_captured_built_in_event_is_sent(network: Network):
    slugs = [name for name in names("hooks") if "wu_event-" in name]
    for name in slugs:
        slug = name.partition("wu_event-")[2]
        body = hook_data(name.removeprefix("hooks/"))["payload"]
        network.request([["do", "wu_event", [slug, body]]])
    assert [f"hooks/wu_event-{name}" for name in network.types()] == slugs
    assert all(read(row["body"].encode()).customer for row in network.outbox())


def test_without_the_consent_api_the_setting_decides(network: Network):
    stored = {"administrator": True, "post": {"_wpnonce": "nonce-lifecycle_relay_save"}}
    stored["post"]["capture"] = "1"
    network.request([["do", "network_admin_edit_lifecycle_relay_save", []]], **stored)
    network.request(SINGLE["checkout_completed"], **world() | {"consent": None})
    context = read(network.outbox()[0]["body"].encode()).context
    assert context is not None
    assert (context.ga_session_id, context.fbp) == ("1795461463", FBP)


def test_a_mistake_of_a_listener_never_reaches_the_checkout(network: Network):
    steps: list[Step] = [["do", "wu_membership_post_save", [[], None, True]], ["say", "went on"]]
    process = network.start(steps)
    output, complaints = process.communicate(timeout=60)
    assert (process.returncode, output) == (0, "went on")
    assert "Lifecycle Relay: " in complaints
