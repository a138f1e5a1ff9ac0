"""Making in CRMs what the default mapping writes to: against stand-ins that lack it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from app.connectors.activecampaign import ActiveCampaign
from app.connectors.base import LONG_ANSWER
from app.connectors.brevo import Brevo
from app.connectors.hubspot import HubSpot
from app.connectors.mailchimp import Mailchimp
from app.connectors.pipedrive import Pipedrive
from app.domain.outcome import OutcomeKind
from tests.contract.contacts import answering, carried_out
from tests.contract.driving import LOST, play, play_by
from tests.contract.events import ADA, PRO, assignment, bound, event
from tests.fakes import Fake
from tests.fakes import brevo as brevo_fake
from tests.fakes import hubspot as hubspot_fake
from tests.fakes import mailchimp as mailchimp_fake
from tests.fakes.activecampaign import FakeActiveCampaign
from tests.fakes.pipedrive import FakePipedrive

NOW_A_MEMBER = event("membership_post_create", customer=ADA, membership=PRO)


@dataclass(frozen=True)
class Vendor:
    """A bare account, how to bind to it, and where the plan of its only contact stands."""

    fake: Callable[[], Any]
    bind: Callable[..., Any]
    plan: Callable[[Any], Any]
    count: int
    lists_first: bool = True


def _only(contacts: dict[Any, Any]) -> Any:
    (contact,) = contacts.values()
    return contact


VENDORS = {
    "hubspot": Vendor(
        lambda: hubspot_fake.FakeHubSpot(properties=hubspot_fake.STANDARD),
        lambda **s: bound(HubSpot, token="pat-eu1-correct", **s),
        lambda fake: _only(fake.contacts).get("plan"),
        6,
        lists_first=False,
    ),
    "brevo": Vendor(
        lambda: brevo_fake.FakeBrevo(attributes=dict(brevo_fake.STANDARD)),
        lambda **s: bound(Brevo, api_key="xkeysib-correct", **s),
        lambda fake: _only(fake.contacts)["attributes"].get("PLAN"),
        7,
    ),
    "mailchimp": Vendor(
        lambda: mailchimp_fake.FakeMailchimp(merge_fields=mailchimp_fake.STANDARD),
        lambda **s: bound(Mailchimp, api_key="0123456789abcdef-us6", list_id="57afe96172", **s),
        lambda fake: _only(fake.members)["merge_fields"].get("PLAN"),
        7,
    ),
    "activecampaign": Vendor(
        lambda: FakeActiveCampaign(fields={}),
        lambda **s: bound(
            ActiveCampaign, base_url="https://x.api-us1.com", api_key="ac-correct", **s
        ),
        lambda fake: _only(fake.contacts)["fields"].get("PLAN"),
        13,
    ),
}


@pytest.fixture(params=VENDORS)
def vendor(request: pytest.FixtureRequest) -> Vendor:
    return VENDORS[request.param]


def prepared(fake: Fake, connector: Any) -> Any:
    return play_by(connector.prepare(assignment(NOW_A_MEMBER)), answering(fake))


def test_what_was_missing_is_made_and_then_written_to(vendor: Vendor):
    fake = vendor.fake()
    played = prepared(fake, vendor.bind())
    assert played.outcome.kind is OutcomeKind.DELIVERED
    assert played.outcome.reason.upper().startswith("MADE: PLAN, SIGNUP")
    assert len(played.requests) == vendor.count
    carried_out(fake, vendor.bind(), NOW_A_MEMBER)
    assert vendor.plan(fake) == "Pro"


def test_what_is_there_is_left_as_it_is(vendor: Vendor):
    fake = vendor.fake()
    prepared(fake, vendor.bind())
    again = prepared(fake, vendor.bind())
    assert again.outcome.reason.startswith("There already: ")
    assert "Made" not in again.outcome.reason
    if vendor.lists_first:
        assert [request.method for request in again.requests] == ["GET"]


def test_what_somebody_made_in_between_is_no_failure():
    replies = [httpx.Response(200, json={"attributes": []}), *[_duplicate("brevo")] * 6]
    outcome = play(VENDORS["brevo"].bind().prepare(assignment(NOW_A_MEMBER)), *replies).outcome
    assert outcome.reason.startswith("There already: PLAN")
    replies = [httpx.Response(200, json={"merge_fields": []}), *[_duplicate("mailchimp")] * 6]
    outcome = play(VENDORS["mailchimp"].bind().prepare(assignment(NOW_A_MEMBER)), *replies).outcome
    assert outcome.reason.startswith("There already: PLAN")


def _duplicate(name: str) -> httpx.Response:
    if name == "brevo":
        return httpx.Response(400, json={"code": "duplicate_parameter", "message": "unique"})
    return httpx.Response(400, json={"detail": 'A Merge Field with the tag "X" already exists.'})


def test_a_refusal_on_the_way_says_what_was_made_before_it():
    lists = httpx.Response(200, json={"merge_fields": [{"tag": "PLAN"}]})
    full = httpx.Response(400, json={"detail": "Merge Max Limit Exceeded"})
    flow = VENDORS["mailchimp"].bind().prepare(assignment(NOW_A_MEMBER))
    outcome = play(flow, lists, httpx.Response(200, json={}), full).outcome
    assert outcome.kind is OutcomeKind.REJECTED
    assert outcome.reason.startswith("Made: SIGNUP. There already: PLAN. The destination")
    assert "Merge Max Limit Exceeded" in outcome.reason


@pytest.mark.parametrize("name", [name for name, one in VENDORS.items() if one.lists_first])
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (httpx.Response(401, json={}), OutcomeKind.AUTH_FAILED),
        (httpx.Response(503), OutcomeKind.RETRY),
        (LOST, OutcomeKind.RETRY),
    ],
    ids=["401", "503", "lost"],
)
def test_without_a_list_of_what_is_there_nothing_is_made(name, reply, kind):
    played = play(VENDORS[name].bind().prepare(assignment(NOW_A_MEMBER)), reply)
    assert played.outcome.kind is kind
    assert played.requests[0].extensions[LONG_ANSWER] > 64 * 1024


@pytest.mark.parametrize("name", ["brevo", "mailchimp", "activecampaign"])
def test_where_only_address_and_name_are_written_nothing_needs_making(name):
    connector = VENDORS[name].bind(fields="standard_only")
    assert connector.prepare(assignment(NOW_A_MEMBER)) is None


def test_brevo_says_which_attributes_it_would_ignore():
    fake = brevo_fake.FakeBrevo(attributes={**brevo_fake.LIFECYCLE, "SIGNUP_DATE": "text"})
    outcome = prepared(fake, VENDORS["brevo"].bind()).outcome
    assert "SIGNUP_DATE (text)" in outcome.reason
    assert fake.known["SIGNUP_DATE"] == "text"


def test_activecampaign_shows_the_fields_in_all_lists_and_makes_none_that_has_a_number():
    fake = FakeActiveCampaign(fields={})
    prepared(fake, VENDORS["activecampaign"].bind(field_ids={"PLAN": 99}))
    assert fake.shown_fields == set(fake.fields.values())
    assert "PLAN" not in fake.shown_fields


def test_pipedrive_makes_fields_and_says_which_keys_to_set():
    fake = FakePipedrive(keys=())
    connector = bound(Pipedrive, api_token="token-correct", base_url="https://x.example")
    outcome = prepared(fake, connector).outcome
    assert len(fake.fields) == 6
    _, _, setting = outcome.reason.partition("Set custom_fields to ")
    keys = httpx.Response(200, content=setting.encode()).json()
    assert keys["plan"] == fake.fields["Relay: plan"]
    again = bound(
        Pipedrive, api_token="token-correct", base_url="https://x.example", custom_fields=keys
    )
    carried_out(fake, again, NOW_A_MEMBER)
    assert _only(fake.persons)["custom_fields"][keys["plan"]] == "Pro"
    assert prepared(fake, again).outcome.reason == ""
    assert prepared(fake, connector).outcome.reason.startswith("There already: Relay: plan")
    assert len(fake.fields) == 6


def test_pipedrive_keeps_the_keys_that_are_set():
    fake = FakePipedrive(keys=())
    connector = bound(
        Pipedrive,
        api_token="token-correct",
        base_url="https://x.example",
        custom_fields={"plan": "d" * 40},
    )
    outcome = prepared(fake, connector).outcome
    assert f'"plan":"{"d" * 40}"' in outcome.reason
    assert "Relay: plan" not in fake.fields
