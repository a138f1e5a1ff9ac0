"""The write-back against the replies that were captured from the real API."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.connectors.ultimate_multisite import UltimateMultisite
from app.domain.model import Customer
from app.domain.outcome import Outcome
from tests.contract.driving import LOST, drive, over, play
from tests.contract.events import (
    any_customer,
    any_event,
    assignment,
    bound,
    catalogue_events,
    event,
)
from tests.fakes import loopback_client
from tests.fakes.ultimate_multisite import FakeUltimateMultisite, captured_reply

SETTINGS = {
    "base_url": "https://network.example.com",
    "api_key": "network-key",
    "api_secret": "network-secret",
}
LINK = {"external_id": "501", "target": "hubspot", "connector": "hubspot"}


def target(**changes: Any) -> UltimateMultisite:
    made: UltimateMultisite = bound(UltimateMultisite, **(SETTINGS | changes))
    return made


def link(**parts: Any) -> Any:
    known = {"customer": Customer(id="2", email="ada@example.com"), "data": LINK}
    return event("relay.contact_linked", **{**known, **parts})


def reply(name: str) -> httpx.Response:
    answer = captured_reply(name)
    return httpx.Response(answer.status, content=answer.body, headers=dict(answer.headers))


def test_the_id_is_put_into_the_customers_meta_and_nothing_else_is_sent():
    played = play(target().deliver(assignment(link())), reply("put_meta.200"))
    assert played.lines == ["PUT /wp-json/wu/v2/customer/2"]
    assert played.documents == [{"meta": {"crm_contact_id": "501"}}]
    [request] = played.requests
    assert request.headers["authorization"] == "Basic bmV0d29yay1rZXk6bmV0d29yay1zZWNyZXQ="
    assert request.headers["relay-hop"] == "1"
    assert played.outcome.kind == "delivered"


def test_keys_stand_in_the_body_for_hosts_that_drop_the_header():
    connector = target(credentials="body", meta_key="hubspot_id")
    played = play(connector.deliver(assignment(link())), reply("put_meta_basic_in_body.200"))
    assert "authorization" not in played.requests[0].headers
    assert played.documents == [
        {"api_key": "network-key", "api_secret": "network-secret", "meta": {"hubspot_id": "501"}}
    ]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("put_meta.200", "delivered"),
        ("put_meta2_patch.200", "delivered"),
        ("put_missing.404", "rejected"),
        ("plural_customers.404", "auth_failed"),
        ("badauth.401", "auth_failed"),
        ("noauth_customers.401", "auth_failed"),
        ("put_unknown.400", "rejected"),
        ("put_extra.400", "rejected"),
        ("put_emptybody.500", "retry"),
    ],
)
def test_captured_replies_mean(name, kind):
    played = play(target().deliver(assignment(link())), reply(name))
    assert played.outcome.kind == kind
    assert "network-secret" not in played.outcome.reason


def test_a_page_in_front_of_the_api_is_no_success():
    page = httpx.Response(200, text="<html>Coming soon</html>")
    assert play(target().deliver(assignment(link())), page).outcome.kind == "retry"


def test_a_lost_answer_is_tried_again_since_the_write_may_be_repeated():
    assert play(target().deliver(assignment(link())), LOST).outcome.kind == "retry"


@pytest.mark.parametrize(
    ("parts", "number"),
    [
        ({}, "2"),
        ({"customer": None}, "2"),
        ({"customer": None, "subject": "shop/customer/17"}, "17"),
        ({"customer": Customer(id="9"), "subject": None}, "9"),
    ],
)
def test_the_number_is_the_customers_in_the_network(parts, number):
    played = play(target().deliver(assignment(link(**parts))), reply("put_meta.200"))
    assert played.lines == [f"PUT /wp-json/wu/v2/customer/{number}"]


@pytest.mark.parametrize(
    ("parts", "changes", "why"),
    [
        ({"data": LINK | {"connector": "ultimate_multisite"}}, {}, "from the network itself"),
        ({}, {"from_targets": ["brevo"]}, "does not name"),
        ({"data": {}}, {}, "names no id"),
        ({"data": LINK | {"external_id": " "}}, {}, "names no id"),
        ({"customer": None, "subject": "shop/site/3"}, {}, "not of a customer"),
        ({"customer": Customer(id="../1"), "subject": None}, {}, "not of a customer"),
    ],
)
def test_what_is_not_a_link_of_a_customer_is_skipped(parts, changes, why):
    assert why in (target(**changes).skip(link(**parts)) or "")


def test_a_customer_update_is_never_answered_with_a_write():
    assert (
        target().skip(catalogue_events()["sign-up"]) == "Only relay.contact_linked is written back."
    )


_ANYTHING = st.none() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=300) | st.just("501")
_LINKS = st.builds(
    link,
    customer=st.none() | any_customer(),
    subject=st.none() | st.text(max_size=30) | st.just("shop/customer/2"),
    data=st.fixed_dictionaries({"external_id": _ANYTHING, "connector": _ANYTHING}),
)


@given(_LINKS | any_event())
def test_any_event_is_one_valid_write_or_skipped_with_a_reason(any_one):
    connector = target()
    reason = connector.skip(any_one)
    if reason is not None:
        assert reason.endswith(".")
        return
    played = play(connector.deliver(assignment(any_one)), reply("put_meta.200"))
    assert re.fullmatch(r"PUT /wp-json/wu/v2/customer/[0-9]+", played.lines[0])
    [document] = played.documents
    assert document == {"meta": {"crm_contact_id": document["meta"]["crm_contact_id"]}}
    assert document["meta"]["crm_contact_id"]


async def test_the_network_keeps_the_latest_id():
    async with FakeUltimateMultisite("2").serve() as fake, loopback_client() as client:
        connector = target(base_url=fake.base_url)
        for external_id in ("501", "501", "777"):
            one = assignment(link(data=LINK | {"external_id": external_id}))
            outcome: Outcome = await drive(connector.deliver(one), over(client))
            assert outcome.kind == "delivered"
        assert fake.meta == {"2": {"crm_contact_id": "777"}}
        checked = connector.check(assignment(link()))
        assert checked is not None
        assert (await drive(checked, over(client))).kind == "delivered"
