"""Every CRM and every analytics service as a target: settings, stand-in, and how it ended there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.fakes import Answer, Call, as_json
from tests.fakes.activecampaign import FIELDS, FakeActiveCampaign
from tests.fakes.amplitude import FakeAmplitude
from tests.fakes.brevo import FakeBrevo
from tests.fakes.fluentcrm import FakeFluentCrm
from tests.fakes.ga4 import FakeGA4
from tests.fakes.hubspot import LIFECYCLE as HUBSPOT_LIFECYCLE
from tests.fakes.hubspot import STANDARD as HUBSPOT_STANDARD
from tests.fakes.hubspot import FakeHubSpot
from tests.fakes.klaviyo import FakeKlaviyo
from tests.fakes.mailchimp import LIFECYCLE, STANDARD, FakeMailchimp
from tests.fakes.matomo import TOKEN, FakeMatomo
from tests.fakes.meta_capi import FakeMeta
from tests.fakes.mixpanel import FakeMixpanel
from tests.fakes.pipedrive import PLAN, STATUS, FakePipedrive
from tests.fakes.plausible import FakePlausible
from tests.fakes.posthog import FakePostHog
from tests.fakes.salesforce import KEY_FIELD, FakeSalesforce
from tests.fakes.salesforce import LIFECYCLE as SALESFORCE_LIFECYCLE
from tests.fakes.salesforce import STANDARD as SALESFORCE_STANDARD
from tests.fakes.segment import FakeSegment
from tests.fakes.weather import Weather, for_batches
from tests.fakes.zoho_crm import FakeZohoCrm
from tests.system.storm_lives import NAMES

THEIRS = "c" * 40
NOTE = "a colleague's note"


@dataclass(frozen=True)
class Contact:
    """What a CRM shows of a person at the end.

    `note` is in a field that the relay does not own; `wants_mail` is None where the CRM keeps no
    consent that a write could touch, `lost` where it has no marker for a lost membership.
    """

    email: str
    plan: str | None
    note: str | None
    wants_mail: bool | None = None
    lost: bool | None = None


@dataclass
class Crm:
    """A CRM: how somebody comes to stand in it already, who stands in it, and what it sold."""

    connector: str
    fake: Any
    settings: Callable[[], dict[str, Any]]
    #: Somebody who is there before the relay, does not want mail, and has a note.
    add: Callable[[str], Any]
    contacts: Callable[[], Iterable[Contact]]
    #: Somebody unsubscribes while the storm goes on.
    unsubscribe: Callable[[str], Any] | None = None
    sales: Callable[[], list[str]] | None = None
    #: What broke a rule of the vendor's contract.
    broken: Callable[[], list[Any]] = list
    weather: Weather = field(default_factory=Weather)


@dataclass
class Analytics:
    """A service that counts: the ids of the payments it counted, or one text for each."""

    connector: str
    fake: Any
    settings: Callable[[], dict[str, Any]]
    sales: Callable[[], list[str]]
    #: False where nothing tells a repeat from a second sale.
    knows_repeats: bool = True
    weather: Weather = field(default_factory=Weather)


def hubspot() -> Crm:
    fake = FakeHubSpot(properties=HUBSPOT_STANDARD | HUBSPOT_LIFECYCLE | {"theirs"})
    # Its own limit names ten seconds; a busy proxy in front of it names one.
    return Crm(
        "hubspot",
        fake,
        lambda: {"base_url": fake.base_url, "token": fake.token},
        lambda email: fake.add(email=email, theirs=NOTE),
        lambda: [
            Contact(one["email"], one.get("plan"), one.get("theirs"))
            for one in fake.contacts.values()
        ],
    )


def fluentcrm() -> Crm:
    fake = FakeFluentCrm()

    def unsubscribe(email: str) -> None:
        found = fake.by_email(email)
        assert found is not None
        found["status"] = "unsubscribed"

    return Crm(
        "fluentcrm",
        fake,
        lambda: {
            "base_url": fake.base_url,
            "username": "relay",
            "application_password": "abcd efgh ijkl",
            "new_status": "subscribed",
            "cancelled_tag": 5,
        },
        lambda email: fake.add(email, "unsubscribed", custom_values={"theirs": NOTE}),
        lambda: [
            Contact(
                one["email"],
                one["custom_values"].get("plan"),
                one["custom_values"].get("theirs"),
                one["status"] == "subscribed",
                5 in one["tags"],
            )
            for one in fake.contacts.values()
        ],
        unsubscribe,
        broken=lambda: [*fake.invalid, *fake.mails],
    )


def activecampaign() -> Crm:
    fake = FakeActiveCampaign(fields={**FIELDS, "7": "THEIRS"})
    return Crm(
        "activecampaign",
        fake,
        lambda: {
            "base_url": fake.base_url,
            "api_key": fake.key,
            "subscribe_to_list": 2,
            "cancelled_tag": 5,
            "payment_failed_tag": 6,
        },
        lambda email: fake.add(email, lists={"2": 2}, fields={"THEIRS": NOTE}),
        lambda: [
            Contact(
                one["email"],
                one["fields"].get("PLAN"),
                one["fields"].get("THEIRS"),
                one["lists"].get("2") == 1,
                "5" in fake.tags_of(identifier),
            )
            for identifier, one in fake.contacts.items()
        ],
        lambda email: fake.contacts[fake.by_email(email) or ""]["lists"].update({"2": 2}),
        broken=lambda: fake.invalid,
    )


def brevo() -> Crm:
    fake = FakeBrevo()

    def unsubscribe(email: str) -> None:
        found = fake.find(email)
        assert found is not None
        found |= {"emailBlacklisted": True, "listUnsubscribed": [2]}

    return Crm(
        "brevo",
        fake,
        lambda: {
            "base_url": fake.base_url,
            "api_key": fake.key,
            "new_lists": [2],
            "cancelled_list": 5,
            "payment_failed_list": 6,
            "orders": True,
        },
        lambda email: fake.add(
            email, emailBlacklisted=True, listUnsubscribed=[2], attributes={"THEIRS": NOTE}
        ),
        lambda: [
            Contact(
                one["email"],
                one["attributes"].get("PLAN"),
                one["attributes"].get("THEIRS"),
                not (one["emailBlacklisted"] and one["listUnsubscribed"] == [2]),
                5 in one["listIds"],
            )
            for one in fake.contacts.values()
        ],
        unsubscribe,
        lambda: [_last(order) for order in fake.orders],
        lambda: fake.invalid,
    )


def mailchimp() -> Crm:
    fake = FakeMailchimp(merge_fields=STANDARD | LIFECYCLE | {"THEIRS"})

    def unsubscribe(email: str) -> None:
        (found,) = (one for one in fake.members.values() if one["email"] == email)
        found["status"] = "unsubscribed"

    return Crm(
        "mailchimp",
        fake,
        lambda: {
            "base_url": fake.base_url,
            "api_key": "0123456789abcdef-us6",
            "list_id": "57afe96172",
            "status_if_new": "subscribed",
        },
        lambda email: fake.add(email, "unsubscribed", merge_fields={"THEIRS": NOTE}),
        lambda: [
            Contact(
                one["email"],
                one["merge_fields"].get("PLAN"),
                one["merge_fields"].get("THEIRS"),
                one["status"] == "subscribed",
                "Cancelled" in one["tags"],
            )
            for one in fake.members.values()
        ],
        unsubscribe,
        broken=lambda: [*fake.invalid, *fake.mails],
    )


def pipedrive() -> Crm:
    fake = FakePipedrive(keys=(PLAN, STATUS, THEIRS))
    fake.index_lags, fake.lag_seconds = True, 0.8

    def seed(email: str) -> None:
        fake.add(email, custom_fields={THEIRS: NOTE})

    return Crm(
        "pipedrive",
        fake,
        lambda: {
            "base_url": f"{fake.base_url}",
            "api_token": fake.token,
            "custom_fields": {"plan": PLAN, "membership_status": STATUS},
            "won_deals": True,
            "search_lag_seconds": 1,
        },
        seed,
        lambda: [
            Contact(
                one["emails"][0]["value"],
                one["custom_fields"].get(PLAN),
                one["custom_fields"].get(THEIRS),
            )
            for one in fake.persons.values()
        ],
        sales=lambda: [_last(deal["title"]) for deal in fake.deals.values()],
    )


def salesforce() -> Crm:
    fields = SALESFORCE_STANDARD | SALESFORCE_LIFECYCLE
    fake = FakeSalesforce(fields | {"Last_Payment_At__c", "Last_Payment_Failed_At__c"})
    return Crm(
        "salesforce",
        fake,
        lambda: {
            "base_url": fake.base_url,
            "client_id": fake.client_id,
            "client_secret": fake.client_secret,
            "fields": "all",
        },
        # Nobody is known by an address alone: the customer's id is the key.
        lambda email: fake.add(f"um:{_number(email)}", LastName="Old", Email=email, Title=NOTE),
        lambda: [
            Contact(one["Email"], one.get("Plan__c"), one.get("Title"))
            for one in fake.contacts.values()
            if KEY_FIELD in one
        ],
        # Sessions end, and the tokens of all workers with them.
        weather=for_batches(worse=fake.sessions.clear),
    )


def klaviyo() -> Crm:
    fake = FakeKlaviyo()

    def seed(email: str) -> None:
        fake.add(email=email, properties={"theirs": NOTE})

    return Crm(
        "klaviyo",
        fake,
        lambda: {"base_url": fake.base_url, "api_key": fake.api_key},
        seed,
        lambda: [
            Contact(one["email"], one["properties"].get("plan"), one["properties"].get("theirs"))
            for one in fake.profiles.values()
        ],
        sales=lambda: [one["properties"]["payment_id"] for one in fake.counted("Purchase")],
        broken=lambda: list(fake.subscribed),
    )


def zoho_crm() -> Crm:
    fake = FakeZohoCrm()
    names = ("client_id", "client_secret", "refresh_token")
    return Crm(
        "zoho_crm",
        fake,
        lambda: {"base_url": fake.base_url, **{name: fake.credentials[name] for name in names}},
        lambda email: fake.add(Email=email, Last_Name="Old", Title=NOTE),
        lambda: [
            Contact(one["Email"], one.get("Plan"), one.get("Title"))
            for one in fake.contacts.values()
        ],
        broken=lambda: fake.started,
        weather=for_batches(worse=fake.live.clear),
    )


def ga4() -> Analytics:
    fake = FakeGA4()
    return Analytics(
        "ga4",
        fake,
        lambda: {
            "base_url": fake.base_url,
            "measurement_id": fake.measurement_id,
            "api_secret": fake.api_secret,
        },
        lambda: [_last(one["params"]["transaction_id"]) for one in fake.counted("purchase")],
    )


def posthog() -> Analytics:
    fake = FakePostHog()
    return Analytics(
        "posthog",
        fake,
        lambda: {"base_url": fake.base_url, "project_api_key": fake.key},
        lambda: _orders(fake.events, "properties", "event", {"purchase", "payment received"}),
        weather=for_batches(),
    )


def mixpanel() -> Analytics:
    fake = FakeMixpanel()
    return Analytics(
        "mixpanel",
        fake,
        lambda: {"base_url": fake.base_url, "project_token": fake.token},
        lambda: _orders(fake.events, "properties", "event", {"Purchase", "Payment Received"}),
        weather=for_batches(),
    )


def amplitude() -> Analytics:
    fake = FakeAmplitude()
    return Analytics(
        "amplitude",
        fake,
        lambda: {"base_url": fake.base_url, "api_key": fake.key},
        lambda: _orders(
            fake.events, "event_properties", "event_type", {"Purchase", "Payment Received"}
        ),
        weather=for_batches(),
    )


def segment() -> Analytics:
    fake = FakeSegment()
    return Analytics(
        "segment",
        fake,
        lambda: {"base_url": f"{fake.base_url}/v1", "write_key": fake.key},
        lambda: _orders(fake.messages.values(), "properties", "event", {"Order Completed"}),
        weather=for_batches(),
    )


def matomo() -> Analytics:
    fake = FakeMatomo()
    return Analytics(
        "matomo",
        fake,
        lambda: {
            "base_url": fake.base_url,
            "site_id": 1,
            "token_auth": TOKEN,
            "site_url": "https://shop.example.com",
        },
        lambda: [_last(order) for _, order in fake.orders],
        weather=for_batches(),
    )


def plausible() -> Analytics:
    fake = FakePlausible()
    return Analytics(
        "plausible",
        fake,
        lambda: {"base_url": fake.base_url, "domain": fake.domain},
        lambda: [
            one["name"] for one in fake.events if one["name"] in {"Purchase", "Payment Received"}
        ],
        knows_repeats=False,
        weather=Weather(may_lose=lambda _call: False),
    )


def meta_capi() -> Analytics:
    fake = FakeMeta()

    def too_many(_call: Call) -> Answer:
        told = {"message": "Application request limit reached", "code": 4, "is_transient": True}
        return as_json(400, {"error": told}, {"retry-after": "1"})

    return Analytics(
        "meta_capi",
        fake,
        lambda: {
            "base_url": fake.base_url,
            "dataset_id": fake.dataset,
            "access_token": fake.token,
            "report_renewals": True,
        },
        lambda: [
            _last(one["custom_data"]["order_id"])
            for one in fake.events
            if one["event_name"] == "Purchase"
        ],
        weather=for_batches(say_busy=too_many),
    )


CRMS = (
    *(hubspot, fluentcrm, activecampaign, brevo, mailchimp),
    *(pipedrive, salesforce, klaviyo, zoho_crm),
)
ANALYTICS = (ga4, posthog, mixpanel, amplitude, segment, matomo, plausible, meta_capi)


def _orders(records: Iterable[Any], inside: str, name: str, sales: set[str]) -> list[str]:
    return [_last(one[inside]["order_id"]) for one in records if one.get(name) in sales]


def _last(text: str) -> str:
    """The payment's own id, at the end of whatever names it."""
    return text.replace("/", ":").replace(" ", ":").rpartition(":")[2]


def _number(email: str) -> int:
    """The customer's id of somebody in the storm."""
    return [name.lower() for name in NAMES].index(email.partition("@")[0]) + 1
