"""Every kind of sender through the way in and out again, on both databases."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from base64 import b64encode
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from app.api.bodies import BodyLimits
from app.api.ingest import Door
from app.domain import signing, strict_json
from app.domain.clock import to_micros
from app.domain.errors import (
    Conflict,
    InvalidPayload,
    RelayError,
    Unauthorized,
    UnknownEventType,
    Unreadable,
    UnsupportedEncoding,
    ValidationFailed,
)
from app.domain.model import RawRequest
from app.services.receipts import Receipt
from app.services.source_definition import SourceDraft
from app.store import tables
from tests.asgi import Receiving, Sending, parts, scope
from tests.databases import count
from tests.integration.world import World
from tests.senders import sample, sample_body

SECRET = "whsec_inventedSecretOfStripe0123456789"
KEY = "whsec_" + b64encode(b"k" * 32).decode()
BATCH = "application/cloudevents-batch+json"
STRUCTURED = "application/cloudevents+json"


async def stored(world: World, table: sa.Table) -> int:
    return await world.database.read(lambda c: count(c, table))


def sha256(content: bytes, secret: str = SECRET) -> bytes:
    return hmac.new(secret.encode(), content, hashlib.sha256).digest()


def stripe_headers(world: World, body: bytes, secret: str = SECRET) -> dict[str, str]:
    stamp = str(int(world.clock().timestamp()))
    signature = sha256(f"{stamp}.".encode() + body, secret).hex()
    return {"stripe-signature": f"t={stamp},v1={signature}"}


async def push(
    world: World,
    body: bytes,
    headers: dict[str, str],
    *,
    source: str = "shop",
    event_type: str | None = None,
) -> Receipt:
    request = RawRequest(
        headers={"content-type": "application/json"} | headers,
        body=body,
        received_at=world.clock(),
        event_type=event_type,
    )
    return await world.ingest.accept(source, request)


async def delivered(world: World) -> list[Any]:
    """What a webhook target was sent."""
    await world.work(rounds=3)
    return [json.loads(request.content) for _, request in world.sender.sent]


# Each vendor


async def test_a_stripe_invoice_reaches_a_target_as_a_payment(world: World):
    await world.source(kind="stripe", signing_secret=SECRET)
    await world.target()
    body = sample_body("stripe-invoice.paid")
    receipt = await push(world, body, stripe_headers(world, body))
    assert (receipt.type, receipt.duplicate, receipt.events) == ("payment_received", False, ())
    (sent,) = await delivered(world)
    assert (sent["type"], sent["id"]) == ("payment_received", receipt.id)
    assert (sent["payment"]["id"], float(sent["payment"]["total"])) == ("in_1Inv3nted", 59.99)
    assert sent["customer"]["email"] == "jane@customer.example"
    assert sent["data"]["object"]["number"] == "INV-0007"


async def test_a_stripe_event_that_comes_again_is_the_first_one(world: World):
    await world.source(kind="stripe", signing_secret=SECRET)
    first = sample_body("stripe-invoice.paid")
    again = first.replace(b'"pending_webhooks": 1', b'"pending_webhooks": 0')
    assert first != again
    receipt = await push(world, first, stripe_headers(world, first))
    world.clock.advance(86_400)
    repeated = await push(world, again, stripe_headers(world, again))
    assert (repeated.id, repeated.duplicate) == (receipt.id, True)


async def test_a_stripe_event_whose_signature_is_old_is_refused_and_not_kept(world: World):
    await world.source(kind="stripe", signing_secret=SECRET)
    body = sample_body("stripe-invoice.paid")
    headers = stripe_headers(world, body)
    world.clock.advance(301)
    with pytest.raises(Unauthorized):
        await push(world, body, headers)
    assert await stored(world, tables.events) == 0
    assert await stored(world, tables.quarantine) == 0


def signed(world: World, event_id: str, document: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    """A message of Standard Webhooks, and its headers."""
    body = strict_json.write(document)
    stamp = int(world.clock().timestamp())
    signature = signing.sign(event_id, stamp, body, [signing.decode_secret(KEY)])
    return body, {
        "webhook-id": event_id,
        "webhook-timestamp": str(stamp),
        "webhook-signature": signature,
    }


async def test_a_standard_webhook_is_the_same_one_if_all_of_it_is(world: World):
    await world.source(kind="standard_webhooks", signing_secret=KEY)
    told = {"type": "user.created", "timestamp": "2026-11-23T19:17:43Z", "data": {"id": 1}}
    first = await push(world, *signed(world, "msg_1", told))
    world.clock.advance(86_400)
    again = await push(world, *signed(world, "msg_1", told))
    assert (again.id, again.duplicate) == (first.id, True)
    later = told | {"timestamp": "2026-11-24T19:17:43Z"}
    with pytest.raises(Conflict, match="msg_1"):
        await push(world, *signed(world, "msg_1", later))


async def test_a_github_webhook_is_known_by_event_and_delivery(world: World):
    await world.source(kind="github", signing_secret=SECRET)
    await world.target()
    body = sample_body("github-issues")
    headers = {
        "x-hub-signature-256": f"sha256={sha256(body).hex()}",
        "x-github-event": "issues",
        "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
    }
    receipt = await push(world, body, headers)
    assert receipt.type == "github_issues_opened"
    assert (await push(world, body, headers)).duplicate is True
    (sent,) = await delivered(world)
    assert (sent["type"], sent["data"]["issue"]["number"]) == ("github_issues_opened", 1)


async def test_a_shops_order_reaches_a_target_and_its_refund_as_well(world: World):
    await world.source(kind="woocommerce", signing_secret=SECRET)
    await world.target()
    for status in ("processing", "refunded"):
        body = strict_json.write(sample("woocommerce-order", status=status))
        headers = {
            "x-wc-webhook-signature": b64encode(sha256(body)).decode(),
            "x-wc-webhook-topic": "order.updated",
            "x-wc-webhook-delivery-id": "the-same-in-one-second",
        }
        assert (await push(world, body, headers)).duplicate is False
    paid, refunded = await delivered(world)
    assert (paid["type"], refunded["type"]) == ("payment_received", "payment_status_to_refunded")
    assert paid["payment"]["id"] == refunded["payment"]["id"] == "727"


async def test_the_shops_unsigned_test_is_known_and_leaves_nothing(world: World):
    await world.source(kind="woocommerce")
    await world.source("other")
    test = RawRequest(headers={}, body=b"webhook_id=7", received_at=world.clock())
    assert world.ingest.greets("shop", test)
    assert not world.ingest.greets("other", test)
    assert not world.ingest.greets("nobody", test)


async def test_a_secret_that_nobody_gave_is_made_where_the_operator_can_paste_it(world: World):
    for kind in ("github", "woocommerce", "generic_hmac"):
        settings = {"header": "x-sig"} if kind == "generic_hmac" else {}
        draft = SourceDraft(name=kind.replace("_", "-"), kind=kind, settings=settings)
        made = await world.sources.create(draft)
        assert made.token is None
        assert made.signing_secret is not None
        assert len(bytes.fromhex(made.signing_secret)) == 32


async def test_only_stripe_can_make_its_secret_so_until_then_nothing_of_it_gets_in(world: World):
    made = await world.sources.create(SourceDraft(name="shop", kind="stripe", settings={}))
    body = sample_body("stripe-payout.paid")
    with pytest.raises(Unauthorized):
        await push(world, body, stripe_headers(world, body))
    with pytest.raises(ValidationFailed) as refused:
        await world.sources.rotate(made.source.id)
    assert [error.pointer for error in refused.value.errors] == ["#/signing_secret"]
    await world.sources.update(made.source.id, signing_secret=SECRET)
    assert (await push(world, body, stripe_headers(world, body))).type == "stripe.payout.paid"


async def test_a_stripe_source_can_be_tried_out_with_the_secret_of_its_creation(world: World):
    made = await world.sources.create(SourceDraft(name="shop", kind="stripe", settings={}))
    assert made.token is None
    assert made.signing_secret is not None
    assert made.signing_secret.startswith("whsec_")
    body = sample_body("stripe-payout.paid")
    headers = stripe_headers(world, body, made.signing_secret)
    assert (await push(world, body, headers)).type == "stripe.payout.paid"


async def test_a_rolled_secret_leaves_the_old_one_valid_for_the_overlap(world: World):
    source_id = await world.source(kind="stripe", signing_secret=SECRET)
    new = "whsec_theNextSecretOfStripe01234567890"
    rotated = await world.sources.rotate(source_id, signing_secret=new)
    assert rotated.signing_secret is None
    body = sample_body("stripe-payout.paid")
    assert (await push(world, body, stripe_headers(world, body, new))).duplicate is False
    assert (await push(world, body, stripe_headers(world, body))).duplicate is True
    world.clock.advance(3601)
    with pytest.raises(Unauthorized):
        await push(world, body, stripe_headers(world, body))
    assert (await push(world, body, stripe_headers(world, body, new))).duplicate is True


@pytest.mark.parametrize(
    ("kind", "secret"),
    [
        ("stripe", "short"),
        ("github", "a\x00b-with-a-nul"),
        ("standard_webhooks", "no base64 at all"),
    ],
)
async def test_a_secret_of_the_wrong_form_is_refused_and_not_repeated(
    world: World, kind: str, secret: str
):
    draft = SourceDraft(name="shop", kind=kind, settings={}, signing_secret=secret)
    with pytest.raises(ValidationFailed) as refused:
        await world.sources.create(draft)
    assert [error.pointer for error in refused.value.errors] == ["#/signing_secret"]
    assert secret not in str(refused.value.errors)


async def test_a_secret_is_sealed(world: World):
    await world.source(kind="github", signing_secret=SECRET)
    row = await world.database.read(lambda c: c.execute(sa.select(tables.sources)).one())
    assert SECRET not in str(row)


async def test_settings_that_do_not_fit_the_secret_are_refused(world: World):
    source_id = await world.source(
        kind="generic_hmac", settings={"header": "x-sig"}, signing_secret="not hexadecimal"
    )
    with pytest.raises(ValidationFailed) as refused:
        await world.sources.update(source_id, settings={"secret_encoding": "hex"})
    assert [error.pointer for error in refused.value.errors] == ["#/signing_secret"]
    both = {"settings": {"secret_encoding": "hex"}, "signing_secret": "00" * 32}
    assert (await world.sources.update(source_id, **both)).settings["secret_encoding"] == "hex"


# A custom gateway


GATEWAY = {
    "header": "x-signature",
    "prefix": "sha256=",
    "id": "/event_id",
    "mapping": {
        "type": 'body.event == "CHARGE.SUCCEEDED" ? "payment_received" : type',
        "customer.id": "body.buyer.ref",
        "customer.email": "body.buyer.mail",
        "payment.id": "body.charge.reference",
        "payment.status": '"completed"',
        "payment.total": "double(body.charge.amount_cents) / 100.0",
        "payment.currency": "body.charge.currency",
    },
}


async def gateway(world: World, **changes: Any) -> str:
    mapping = GATEWAY["mapping"] | changes
    settings = GATEWAY | {"mapping": mapping}
    return await world.source(kind="generic_hmac", settings=settings, signing_secret=SECRET)


async def charge(world: World, **changes: Any) -> Receipt:
    body = strict_json.write(sample("gateway-charge", **changes))
    headers = {"x-signature": f"sha256={sha256(body).hex()}", "x-region": "eu"}
    return await push(world, body, headers)


async def test_a_custom_gateways_charge_is_a_payment_on_its_way_in_and_out(world: World):
    await gateway(world)
    await world.target(filter='payment.total > 50.0 && customer.id == "7"')
    receipt = await charge(world)
    assert receipt.type == "payment_received"
    (event,) = await world.events()
    assert event.subject == "shop/customer/7"
    (sent,) = await delivered(world)
    assert (sent["type"], sent["customer"]["email"]) == (
        "payment_received",
        "jane@customer.example",
    )
    assert (sent["payment"]["id"], float(sent["payment"]["total"])) == ("ch-55", 59.99)


async def test_a_header_that_the_mapping_names_is_there_when_the_stored_body_is_read(world: World):
    await gateway(world, **{"customer.country": 'headers["x-region"]'})
    await world.target()
    await charge(world)
    (sent,) = await delivered(world)
    assert sent["customer"]["country"] == "eu"


async def test_a_body_the_mapping_cannot_read_is_kept_and_read_again_once_it_is_corrected(
    world: World,
):
    source_id = await gateway(world, **{"payment.total": "body.charge.amount / 100"})
    await world.target()
    with pytest.raises(InvalidPayload) as caught:
        await charge(world)
    assert "mapping/payment.total" in caught.value.detail
    entry_id = caught.value.extra["quarantine_id"]
    with pytest.raises(InvalidPayload):
        await world.quarantine.release(entry_id)
    await world.sources.update(source_id, settings={"mapping": GATEWAY["mapping"]})
    assert (await world.quarantine.release(entry_id)).state == "released"
    (sent,) = await delivered(world)
    assert float(sent["payment"]["total"]) == 59.99


async def test_a_corrected_mapping_holds_for_what_is_still_to_be_delivered(world: World):
    source_id = await gateway(world, **{"customer.email": "body.buyer.full_name"})
    await world.target()
    await charge(world)
    await world.sources.update(source_id, settings={"mapping": GATEWAY["mapping"]})
    (sent,) = await delivered(world)
    assert sent["customer"]["email"] == "jane@customer.example"


async def test_an_events_type_stays_what_it_was_routed_by(world: World):
    source_id = await gateway(world)
    await world.target(events=["payment_received"])
    await charge(world)
    other = GATEWAY["mapping"] | {"type": '"something_else"'}
    await world.sources.update(source_id, settings={"mapping": other})
    (sent,) = await delivered(world)
    assert sent["type"] == "payment_received"


async def test_an_event_of_a_removed_source_goes_on_without_what_only_the_mapping_said(
    world: World,
):
    source_id = await gateway(world)
    await world.target()
    receipt = await charge(world)
    await world.sources.delete(source_id)
    (sent,) = await delivered(world)
    assert (sent["type"], sent["id"]) == ("payment_received", receipt.id)
    assert sent["data"] == sample("gateway-charge")
    assert not sent.get("customer")


async def test_a_retry_after_the_mapping_changed_is_read_anew(world: World):
    source_id = await gateway(world)
    await world.target(retry={"schedule": [0, 1]})
    await charge(world)
    world.sender.script = [httpx.Response(500)]
    await world.work()
    other = GATEWAY["mapping"] | {"customer.id": '"8"'}
    await world.sources.update(source_id, settings={"mapping": other})
    world.clock.advance(60)
    first, second = await delivered(world)
    assert (first["customer"]["id"], second["customer"]["id"]) == ("7", "8")


@pytest.mark.parametrize(
    ("settings", "pointer"),
    [
        ({}, "#/settings/header"),
        ({"header": "x-sig", "mapping": {"type": "event"}}, "#/settings/mapping/type"),
        ({"header": "x-sig", "mapping": {"customer.emial": "body.a"}}, "#/settings/mapping/customer.emial"),
        ({"header": "x-sig", "mapping": {"type": 7}}, "#/settings/mapping/type"),
    ],
)  # fmt: skip
async def test_settings_that_cannot_be_are_named(
    world: World, settings: dict[str, Any], pointer: str
):
    with pytest.raises(ValidationFailed) as refused:
        await world.sources.create(SourceDraft(name="shop", kind="generic_hmac", settings=settings))
    assert [error.pointer for error in refused.value.errors] == [pointer]


async def test_a_source_that_this_version_cannot_use_does_not_stop_the_others(world: World):
    await world.source("good")
    source_id = await gateway(world)
    broken = {"header": "x-sig", "mapping": {"type": "a future function"}}
    await world.database.write(
        lambda c: c.execute(
            sa.update(tables.sources)
            .where(tables.sources.c.id == source_id)
            .values(settings=broken)
        )
    )
    await world.sources.create(SourceDraft(name="third", kind="github", settings={}))
    assert (await world.send(source="good")).duplicate is False


# CloudEvents


def event(number: int, **changes: Any) -> dict[str, Any]:
    data = {"customer": {"id": str(number)}, "payment": {"id": f"p-{number}", "total": 5}}
    given = {
        "specversion": "1.0",
        "id": f"e-{number}",
        "source": "/shop",
        "type": "payment_received",
    }
    return {**given, "data": data, **changes}


def batch(*events: Any) -> bytes:
    return b"[\n  " + b" ,\n  ".join(json.dumps(one).encode() for one in events) + b"\n]"


async def ce(world: World, body: bytes, content_type: str = BATCH, **headers: str) -> Receipt:
    token = {"authorization": f"Bearer {world.tokens['shop']}", "content-type": content_type}
    return await push(world, body, token | headers)


async def test_one_event_in_any_mode_is_the_same_event(world: World):
    await world.source(kind="cloudevents")
    binary = {f"ce-{name}": value for name, value in event(1).items() if isinstance(value, str)}
    first = await ce(world, json.dumps(event(1)).encode(), STRUCTURED)
    data = json.dumps(event(1)["data"]).encode()
    again = [await ce(world, data, "application/json", **binary), await ce(world, batch(event(1)))]
    assert [(one.id, one.duplicate) for one in again] == [(first.id, True)] * 2
    assert await stored(world, tables.events) == 1


async def test_a_batch_becomes_several_events_each_with_its_own_bytes(world: World):
    await world.source(kind="cloudevents")
    await world.target()
    body = batch(event(1), event(2, type="invoice_sent"), event(3))
    receipt = await ce(world, body)
    assert [one.type for one in receipt.events] == [
        "payment_received", "invoice_sent", "payment_received",
    ]  # fmt: skip
    assert (receipt.id, receipt.type) == (receipt.events[0].id, receipt.events[0].type)
    kept = await world.database.read(
        lambda c: (
            c.execute(
                sa.select(tables.event_bodies.c.body).order_by(tables.event_bodies.c.event_id)
            )
            .scalars()
            .all()
        )
    )
    assert all(part in body for part in kept)
    assert [json.loads(part)["id"] for part in kept] == ["e-1", "e-2", "e-3"]
    sent = await delivered(world)
    assert sorted(one["payment"]["id"] for one in sent) == ["p-1", "p-2", "p-3"]
    assert world.woken == 1


async def test_a_repeated_batch_stores_only_what_is_new(world: World):
    await world.source(kind="cloudevents")
    await world.target()
    first = await ce(world, batch(event(1), event(2)))
    again = await ce(world, batch(event(2), event(3), event(3)))
    assert [one.duplicate for one in again.events] == [True, False, True]
    assert again.events[0].id == first.events[1].id
    assert again.events[2].id == again.events[1].id
    assert await stored(world, tables.events) == 3
    assert await stored(world, tables.queue) == 3


async def test_fifty_batches_at_once_store_each_event_once(world: World):
    await world.source(kind="cloudevents")
    await world.target()
    batches = [batch(event(n % 5), event(n % 7), event(n % 3)) for n in range(50)]
    receipts = await asyncio.gather(*(ce(world, body) for body in batches))
    assert len({one.id for receipt in receipts for one in receipt.events}) == 7
    assert await stored(world, tables.queue) == 7


@pytest.mark.parametrize(
    ("events", "error", "text"),
    [
        (
            [event(1), {"specversion": "1.0"}],
            InvalidPayload,
            "Event 1 of the batch: The body cannot be read: #/id",
        ),
        ([event(1), event(2, type="9")], InvalidPayload, "Event 1 of the batch"),
        ([event(1), 7], InvalidPayload, "Event 1 of the batch"),
        ([], InvalidPayload, "1 to 1000 events"),
    ],
)
async def test_one_wrong_event_refuses_its_batch_which_is_kept(
    world: World, events: list[Any], error: type[RelayError], text: str
):
    await world.source(kind="cloudevents")
    with pytest.raises(error) as caught:
        await ce(world, batch(*events))
    assert text in caught.value.detail
    entry = await world.quarantine.get(caught.value.extra["quarantine_id"])
    assert json.loads(entry.body) == events
    assert await stored(world, tables.events) == 0


async def test_the_wrong_places_of_a_batch_are_named(world: World):
    await world.source(kind="cloudevents")
    with pytest.raises(InvalidPayload) as caught:
        await ce(world, batch(event(1), event(2, id=7, source="")))
    assert [e.pointer for e in caught.value.errors] == ["#/1/id"]


async def test_a_batch_in_quarantine_can_be_released(world: World):
    source_id = await world.source(
        kind="cloudevents", settings={"mapping": {"payment.total": "body.nothing + 1"}}
    )
    await world.target()
    with pytest.raises(InvalidPayload) as caught:
        await ce(world, batch(event(1), event(2)))
    await world.sources.update(source_id, settings={"mapping": None})
    released = await world.quarantine.release(caught.value.extra["quarantine_id"])
    assert released.state == "released"
    assert await stored(world, tables.events) == 2


async def test_an_id_that_comes_with_other_content_refuses_the_whole_batch(world: World):
    await world.source(kind="cloudevents")
    await ce(world, batch(event(1)))
    with pytest.raises(Conflict) as refused:
        await ce(world, batch(event(2), event(1, data={"payment": {"id": "other"}})))
    assert refused.value.detail.startswith("Event 1 of the batch")
    assert await stored(world, tables.events) == 1


async def test_a_strict_source_refuses_a_batch_with_an_unknown_type(world: World):
    await world.source(kind="cloudevents", strict=True)
    with pytest.raises(UnknownEventType):
        await ce(world, batch(event(1), event(2, type="unheard.of")))
    assert await stored(world, tables.events) == 0


async def test_a_batch_without_a_credential_is_refused_before_it_is_read(world: World):
    await world.source(kind="cloudevents")
    world.tokens["shop"] = "wrong"
    with pytest.raises(Unauthorized):
        await ce(world, b"[" * 100_000)
    assert await stored(world, tables.quarantine) == 0


@pytest.mark.parametrize(
    ("body", "headers", "error"),
    [
        (b"[1,", {}, Unreadable),
        (b"\x1f\x8b", {"content-encoding": "gzip"}, UnsupportedEncoding),
    ],
)
async def test_a_batch_that_cannot_be_read_is_kept(
    world: World, body: bytes, headers: dict[str, str], error: type[RelayError]
):
    await world.source(kind="cloudevents")
    with pytest.raises(error) as caught:
        await ce(world, body, **headers)
    assert "quarantine_id" in caught.value.extra


async def test_a_batch_to_a_source_made_on_another_node_is_taken(world: World, sealer, clock):
    other = World(world.database, sealer, clock)
    await other.configuration.refresh()
    await world.source(kind="cloudevents")
    other.tokens = world.tokens
    assert len((await ce(other, batch(event(1), event(2)))).events) == 2


async def test_a_batch_is_routed_by_the_newest_targets(world: World, sealer, clock):
    await world.source(kind="cloudevents")
    other = World(world.database, sealer, clock)
    other.tokens = world.tokens
    await other.configuration.refresh()
    await world.target("late")
    await ce(other, batch(event(1), event(2)))
    assert [one.target for one in await world.deliveries()] == ["late", "late"]


async def test_an_event_without_data_is_taken(world: World):
    await world.source(kind="cloudevents")
    await world.target()
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "tick"}
    assert (await ce(world, b"", "application/json", **headers)).type == "tick"
    (sent,) = await delivered(world)
    assert (sent["type"], sent["data"]) == ("tick", {})


async def test_a_cloudevents_source_has_a_token_and_a_secret(world: World):
    made = await world.sources.create(SourceDraft(name="ce", kind="cloudevents", settings={}))
    assert made.token is not None
    assert made.signing_secret is not None
    assert made.signing_secret.startswith("whsec_")


async def test_the_handshake_is_answered_for_this_kind_only(world: World, sealer, clock):
    await world.source("platform")
    await world.source("some", kind="cloudevents", settings={"allowed_origins": ["a.example"]})
    await world.source("any", kind="cloudevents")
    asked = [("any", "a.example"), ("some", "a.example"), ("some", "b.example"), ("platform", "a.example"), ("nobody", "a.example")]  # fmt: skip
    assert [await world.ingest.permits(*one) for one in asked] == [True, True, False, False, False]
    other = World(world.database, sealer, clock)
    await other.configuration.refresh()
    await world.source("new", kind="cloudevents")
    assert await other.ingest.permits("new", "a.example")


async def test_what_is_stored_of_an_event_is_when_it_happened_and_whose_it_is(world: World):
    await world.source(kind="stripe", signing_secret=SECRET)
    body = sample_body("stripe-customer.subscription.deleted")
    receipt = await push(world, body, stripe_headers(world, body))
    (found,) = await world.events()
    assert (found.id, found.subject) == (receipt.id, "shop/customer/cus_Inv3nted")
    assert to_micros(found.occurred_at) == 1_795_461_463_000_000


# Over HTTP


async def through_the_door(world: World, asked: dict[str, Any], body: bytes = b"") -> Sending:
    sending = Sending()
    door = Door(world.ingest, world.clock, BodyLimits(size=1_000_000, seconds=5))
    await door(asked, Receiving(parts(body)), sending)
    return sending


async def test_a_batch_is_answered_with_all_its_events(world: World):
    await world.source(kind="cloudevents")
    fields = [
        (b"content-type", BATCH.encode()),
        (b"authorization", f"Bearer {world.tokens['shop']}".encode()),
    ]
    body = batch(event(1), event(2))
    answer = await through_the_door(world, scope("/webhooks/shop", headers=fields), body)
    assert answer.status == 202
    told = answer.document
    assert [one["duplicate"] for one in told["events"]] == [False, False]
    assert {name: told[name] for name in ("id", "type", "duplicate")} == told["events"][0]


async def test_a_sender_of_cloudevents_may_ask_before_it_sends(world: World):
    await world.source(kind="cloudevents")
    await world.source("platform")
    fields = [(b"webhook-request-origin", b"emitter.example")]
    asked = [scope(f"/webhooks/{name}", method="OPTIONS", headers=fields) for name in world.tokens]
    welcome, other = [await through_the_door(world, one) for one in asked]
    assert (welcome.status, other.status) == (200, 405)
    assert welcome.headers["webhook-allowed-origin"] == "emitter.example"


async def test_a_shop_that_tests_its_url_gets_200_and_other_kinds_401(world: World):
    await world.source(kind="woocommerce")
    await world.source("platform")
    answers = [
        await through_the_door(world, scope(f"/webhooks/{name}"), b"webhook_id=7")
        for name in ("shop", "platform")
    ]
    assert [answer.status for answer in answers] == [200, 401]
    assert await stored(world, tables.events) == 0
