"""Messages to Slack, Discord and Teams: what they say, in which shape, and what replies mean."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import httpx
import pytest
from hypothesis import given
from pydantic import ValidationError

from app.connectors.sentences import sentence_of
from app.connectors.slack import Slack, SlackSettings
from app.domain.model import Customer, Plan
from app.domain.outcome import OutcomeKind
from app.domain.routing import compile_patterns
from tests.contract.driving import LOST, UNREACHED, drive, over, play, play_by
from tests.contract.events import (
    ADA,
    PAID,
    PRO,
    any_event,
    assignment,
    bound,
    catalogue_events,
    event,
)
from tests.fakes import loopback_client
from tests.fakes.channel import FakeChannel

URL = "https://hooks.slack.com/services/T000/B000/s3cret-part"
FLAVOURS = ["slack", "discord", "teams"]
CHECKOUT = event("checkout_completed", customer=ADA, membership=PRO, payment=PAID)
SIGN_UP = event("customer_post_create", customer=ADA)


def slack(mapping=None, **settings):
    return bound(Slack, mapping, **{"url": URL, **settings})


def document(of, mapping=None, **settings):
    flow = slack(mapping, **settings).deliver(assignment(of))
    (sent,) = play(flow, httpx.Response(200, text="ok")).documents
    return sent


SENTENCES = {
    "sign-up": "Ada Lovelace signed up.",
    "checkout": "Ada Lovelace paid 59.99 USD for Pro.",
    "payment": "Ada Lovelace paid 59.99 USD for Pro.",
    "manual payment": "Ada Lovelace paid 59.99 USD for a plan.",
    "renewal": "Ada Lovelace paid 59.99 USD to renew Pro.",
    "refund": "Ada Lovelace was paid back 59.99 USD.",
    "cancelled": "Ada Lovelace cancelled Pro: too_expensive",
    "expired": "Ada Lovelace's membership (Pro) has run out.",
    "failed": "A payment by Ada Lovelace for a plan failed.",
    "pending": "59.99 USD is due from Ada Lovelace to renew a plan.",
    "site": "Ada Lovelace's site Shop went live.",
    "domain": "Ada Lovelace mapped the domain a.example.",
    "deleted": "Ada Lovelace was deleted as a customer.",
    "no customer": "Customer 2 cancelled Pro: too_expensive",
}


@pytest.mark.parametrize("name", catalogue_events())
def test_every_event_is_a_sentence_or_skipped_with_a_reason(name):
    of = catalogue_events()[name]
    if name in SENTENCES:
        assert slack().skip(of) is None
        assert document(of)["text"] == SENTENCES[name]
    else:
        assert slack().skip(of)


@pytest.mark.parametrize(
    ("of", "sentence"),
    [
        (
            event("membership_plan_changed", customer=ADA, membership=replace(PRO, previous_plan=Plan(name="Basic"))),
            "Ada Lovelace moved from Basic to Pro.",
        ),
        (event("membership_plan_changed", customer=ADA), "Ada Lovelace moved to a plan."),
        (
            event("membership_status_to_on-hold", customer=ADA, membership=PRO),
            "Ada Lovelace's membership (Pro) is now on-hold.",
        ),
        (
            event("payment_failed", customer=ADA, membership=PRO, payment=PAID),
            "A payment of 59.99 USD by Ada Lovelace for Pro failed.",
        ),
        (
            event("checkout_completed", customer=ADA, membership=PRO, payment=replace(PAID, total=Decimal(0))),
            "Ada Lovelace started with Pro; nothing was to pay.",
        ),
        (
            event("membership_status_to_cancelled", customer=ADA, membership=PRO),
            "Ada Lovelace cancelled Pro.",
        ),
        (
            event("relay.target_disabled", data={"target": "crm", "reason": "410 (Gone)"}),
            "The relay switched off its target crm: 410 (Gone)",
        ),
        (
            event(
                "relay.delivery_failed",
                customer=ADA,
                data={"target": "crm", "reason": "no such field", "event_type": "payment_failed"},
            ),
            "The relay could not deliver payment_failed to crm: no such field",
        ),
        (event("customer_post_create", customer=ADA, test=True), "Test: Ada Lovelace signed up."),
        (event("customer_post_create", customer=Customer(email="a@example.com")), "a@example.com signed up."),
        (event("customer_post_create", customer=Customer(id="7")), "Customer 7 signed up."),
        (event("customer_post_create"), "Somebody signed up."),
        (
            event("customer_post_create", customer=Customer(first_name="Ada", last_name="King")),
            "Ada King signed up.",
        ),
    ],
)  # fmt: skip
def test_what_happened_is_said_in_plain_words(of, sentence):
    assert sentence_of(of, str) == sentence


def test_a_sale_that_is_none_says_why():
    pending = event("payment_received", customer=ADA, payment=replace(PAID, status="pending"))
    assert "pending" in slack().skip(pending)
    assert "There is no sentence for ticket.opened" in slack().skip(event("ticket.opened"))


def test_the_default_events_are_those_there_is_a_sentence_for():
    listens = compile_patterns(Slack.default_events)
    for name, of in catalogue_events().items():
        assert listens(of.type) or name in {"no plan yet", "add-on"}
    assert not listens("relay.contact_linked")


@pytest.mark.parametrize("flavour", FLAVOURS)
@given(any_event())
def test_any_event_is_one_message_or_skipped_with_a_reason(flavour, of):
    connector = slack(flavour=flavour)
    if reason := connector.skip(of):
        assert reason.endswith(".")
        return
    played = play_by(connector.deliver(assignment(of)), lambda _: httpx.Response(200))
    assert played.outcome.kind is OutcomeKind.DELIVERED
    assert len(played.requests) == 1
    assert str(played.requests[0].url) == URL


def test_slack_gets_text_and_blocks():
    assert document(CHECKOUT) == {
        "text": "Ada Lovelace paid 59.99 USD for Pro.",
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": [
            {
                "type": "section",
                "text": {
                    "type": "mrkdwn",
                    "text": "Ada Lovelace paid 59.99 USD for Pro.",
                    "verbatim": True,
                },
            },
            {
                "type": "context",
                "elements": [
                    {
                        "type": "plain_text",
                        "text": "checkout_completed · shop · 2026-11-23 19:55 UTC",
                    }
                ],
            },
        ],
    }


def test_discord_gets_content_that_calls_nobody():
    assert document(CHECKOUT, flavour="discord") == {
        "content": "Ada Lovelace paid 59.99 USD for Pro.",
        "allowed_mentions": {"parse": []},
        "flags": 4,
    }


def test_teams_gets_an_adaptive_card():
    sent = document(CHECKOUT, flavour="teams")
    (attachment,) = sent["attachments"]
    assert (sent["type"], sent["summary"]) == ("message", "Ada Lovelace paid 59.99 USD for Pro.")
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert card["body"][0]["inlines"] == [
        {"type": "TextRun", "text": "Ada Lovelace paid 59.99 USD for Pro."}
    ]


@pytest.mark.parametrize(
    ("flavour", "shown"),
    [
        ("slack", "&lt;!channel&gt; &amp; *Ada* signed up."),
        ("discord", r"\<!channel\> & \*Ada\* signed up."),
        ("teams", "<!channel> & *Ada* signed up."),
    ],
)
def test_what_a_customer_typed_is_no_markup(flavour, shown):
    named = event("customer_post_create", customer=replace(ADA, name="<!channel> & *Ada*"))
    sent = document(named, flavour=flavour)
    assert shown in (sent.get("text"), sent.get("content"), sent.get("summary"))


def test_a_name_is_one_line_of_visible_characters():
    named = replace(ADA, name="Ada\r\n\u202eLovelace\0 " + "x " * 200)
    text = document(event("customer_post_create", customer=named))["text"]
    assert text.startswith("Ada Lovelace x x")
    assert len(text) < 150


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_mapping_says_it_in_other_words(flavour):
    mapping = {"text": "'*' + customer.name + '* <b>'"}
    sent = document(event("ticket.opened", customer=ADA), mapping, flavour=flavour)
    said = sent.get("content") or sent.get("summary") or sent["text"]
    assert said == ("*Ada Lovelace* &lt;b&gt;" if flavour == "slack" else "*Ada Lovelace* <b>")


@pytest.mark.parametrize("expression", ["null", "''", "' '", "1", "['a']"])
def test_a_mapping_without_a_text_for_an_event_skips_it(expression):
    outcome = play(slack({"text": expression}).deliver(assignment(SIGN_UP))).outcome
    assert outcome.kind is OutcomeKind.SKIPPED


def test_a_mapping_that_fails_on_an_event_is_rejected():
    outcome = play(slack({"text": "data.x + 'y'"}).deliver(assignment(SIGN_UP))).outcome
    assert outcome.kind is OutcomeKind.REJECTED
    assert "mapping/text" in outcome.reason


def test_a_mapping_has_one_field():
    assert Slack.check_mapping(["text", "blocks", ""]).keys() == {"blocks", ""}


@pytest.mark.parametrize(("flavour", "longest"), [("slack", 3000), ("discord", 2000)])
def test_a_long_text_is_cut_to_what_the_service_takes(flavour, longest):
    sent = document(event("x", data={"text": "a" * 9000}), {"text": "data.text"}, flavour=flavour)
    said = sent.get("content") or sent["text"]
    assert len(said) == longest
    assert said.endswith("…")


def test_a_sale_is_told_once_and_a_test_is_none():
    for name in ("checkout_completed", "payment_received"):
        assert slack().effect(event(name, payment=PAID)) == "purchase:shop/17"
        assert slack().effect(event(name, payment=PAID, test=True)) is None


@pytest.mark.parametrize(
    ("reply", "kind", "after"),
    [
        (httpx.Response(200, text="ok"), OutcomeKind.DELIVERED, None),
        (httpx.Response(204), OutcomeKind.DELIVERED, None),
        (httpx.Response(202), OutcomeKind.DELIVERED, None),
        (httpx.Response(200, text="1"), OutcomeKind.DELIVERED, None),
        (httpx.Response(200, text="Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429"), OutcomeKind.THROTTLE, None),
        (httpx.Response(200, text="Webhook message delivery failed with error: HTTP error 413"), OutcomeKind.REJECTED, None),
        (httpx.Response(400, html="invalid_payload"), OutcomeKind.REJECTED, None),
        (httpx.Response(403, html="invalid_token"), OutcomeKind.AUTH_FAILED, None),
        (httpx.Response(403, html="action_prohibited"), OutcomeKind.AUTH_FAILED, None),
        (httpx.Response(403, html="<html>blocked"), OutcomeKind.RETRY, None),
        (httpx.Response(404, html="no_service"), OutcomeKind.AUTH_FAILED, None),
        (httpx.Response(404, json={"message": "Unknown Webhook", "code": 10015}), OutcomeKind.AUTH_FAILED, None),
        (httpx.Response(401, json={"message": "Invalid Webhook Token"}), OutcomeKind.AUTH_FAILED, None),
        (httpx.Response(410, html="channel_is_archived"), OutcomeKind.GONE, None),
        (httpx.Response(429, headers={"retry-after": "30"}), OutcomeKind.THROTTLE, 30.0),
        (httpx.Response(429, json={"retry_after": 0.65}), OutcomeKind.THROTTLE, 0.65),
        (httpx.Response(429, json={"retry_after": "x"}), OutcomeKind.THROTTLE, None),
        (httpx.Response(302, headers={"location": "https://slack.com"}), OutcomeKind.REJECTED, None),
        (httpx.Response(500, html="rollup_error"), OutcomeKind.RETRY, None),
        (LOST, OutcomeKind.RETRY, None),
        (UNREACHED, OutcomeKind.RETRY, None),
    ],
)  # fmt: skip
def test_what_replies_mean(reply, kind, after):
    outcome = play(slack().deliver(assignment(SIGN_UP)), reply).outcome
    assert (outcome.kind, outcome.after) == (kind, after)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.slack.com/services/x",
        "ftp://hooks.slack.com/x",
        "https://",
        "https://user:pass@hooks.slack.com/x",
        "https://hooks.slack.com/x#y",
        "https://hooks.slack.com/\0",
        "https://hooks.slack.com/" + "x" * 2048,
    ],
)
def test_what_is_no_address_is_refused_and_not_repeated(url):
    with pytest.raises(ValidationError) as refusal:
        SlackSettings(url=url)
    assert "services/x" not in str(refusal.value)
    assert "pass" not in str(refusal.value)


def test_the_address_is_kept_as_it_is_sent_so_that_it_can_be_masked():
    settings = SlackSettings(url=" HTTPS://Example.webhook.office.com:443/a b?sig=x\n")
    kept = settings.url.get_secret_value()
    assert kept == str(httpx.URL(kept)) == "https://example.webhook.office.com/a%20b?sig=x"
    assert "webhook.office" not in repr(settings)


async def deliver(channel, *events):
    connector = slack(url=channel.url, flavour=channel.flavour)
    async with loopback_client() as client:
        return [await drive(connector.deliver(assignment(of)), over(client)) for of in events]


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_people_read_what_happened(flavour):
    async with FakeChannel(flavour).serve() as channel:
        outcomes = await deliver(channel, SIGN_UP, CHECKOUT)
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.DELIVERED}
    assert channel.messages == [
        "Ada Lovelace signed up.",
        "Ada Lovelace paid 59.99 USD for Pro.",
    ]


@pytest.mark.parametrize(("flavour", "after"), [("slack", 30.0), ("discord", 0.65)])
async def test_too_many_messages_wait_as_long_as_the_service_says(flavour, after):
    async with FakeChannel(flavour).serve() as channel:
        channel.messages_left = 1
        _, outcome = await deliver(channel, SIGN_UP, CHECKOUT)
    assert (outcome.kind, outcome.after) == (OutcomeKind.THROTTLE, after)


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_a_webhook_that_was_removed_holds_the_target(flavour):
    async with FakeChannel(flavour).serve() as channel:
        channel.removed = True
        (outcome,) = await deliver(channel, SIGN_UP)
    assert outcome.kind is OutcomeKind.AUTH_FAILED
    assert "make another one" in outcome.reason
    assert "s3cret-part" not in outcome.reason


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_a_check_is_a_message_that_says_so(flavour):
    ping = event("relay.ping", test=True)
    async with FakeChannel(flavour).serve() as channel, loopback_client() as client:
        connector = slack({"text": "null"}, url=channel.url, flavour=flavour)
        outcome = await drive(connector.check(assignment(ping)), over(client))
    assert outcome.kind is OutcomeKind.DELIVERED
    assert channel.messages == ["A test from Lifecycle Relay."]
