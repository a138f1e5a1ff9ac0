"""The way in, on both databases: what is stored, what is a repeat, what is refused, what is kept."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from app.domain.errors import (
    Conflict,
    InvalidPayload,
    InvalidRequest,
    NotFound,
    RelayError,
    StoreUnavailable,
    Unauthorized,
    UnknownEventType,
    Unreadable,
    UnsupportedEncoding,
    UnsupportedMediaType,
)
from app.domain.model import RawRequest, Reading
from app.services.planning import plan_request, plan_together
from app.sources.base import SourceAdapter
from app.store import tables
from tests.captured import captured
from tests.databases import count
from tests.integration.world import World, payment


async def stored(world: World, table: sa.Table) -> int:
    return await world.database.read(lambda c: count(c, table))


async def test_an_event_is_stored_with_a_delivery_for_every_matching_target(world: World):
    await world.source()
    await world.target("all")
    await world.target("payments", events=["payment_*"])
    await world.target("memberships", events=["membership_*"])
    receipt = await world.send()
    assert (receipt.type, receipt.duplicate) == ("payment_received", False)
    assert {d.target for d in await world.deliveries()} == {"all", "payments"}


async def test_the_body_is_kept_byte_for_byte(world: World):
    await world.source()
    receipt = await world.send()
    body = await world.database.read(
        lambda c: c.execute(
            sa.select(tables.event_bodies.c.body).where(
                tables.event_bodies.c.event_id == receipt.id
            )
        ).scalar_one()
    )
    assert body == captured("payment_received").raw_body


async def test_the_dispatcher_is_woken_only_when_something_was_queued(world: World):
    await world.source()
    await world.send(payment(1))
    assert world.woken == 0
    await world.target()
    await world.send(payment(2))
    assert world.woken == 1


async def test_the_same_content_within_the_window_is_the_first_event(world: World):
    await world.source()
    await world.target()
    first = await world.send()
    world.clock.advance(599)
    again = await world.send()
    assert (again.id, again.duplicate) == (first.id, True)
    assert await stored(world, tables.events) == 1
    assert await stored(world, tables.queue) == 1


async def test_the_same_content_after_the_window_is_a_new_event(world: World):
    await world.source()
    first = await world.send()
    world.clock.advance(601)
    again = await world.send()
    assert again.duplicate is False
    assert again.id != first.id
    world.clock.advance(599)
    assert (await world.send()).id == again.id


async def test_the_same_content_with_other_spacing_is_the_same(world: World):
    await world.source()
    first = await world.send(b'{"customer_id":"2","wu_version":"2"}')
    again = await world.send(b'{ "wu_version": "2", "customer_id": "2" }')
    assert (again.id, again.duplicate) == (first.id, True)


async def test_the_same_content_under_another_type_is_another_event(world: World):
    await world.source()
    await world.send()
    assert (await world.send(event_type="invoice_sent")).duplicate is False


async def test_the_same_content_from_another_source_is_another_event(world: World):
    await world.source("one")
    await world.source("two")
    await world.send(source="one")
    assert (await world.send(source="two")).duplicate is False


async def test_a_window_of_zero_takes_everything(world: World):
    await world.source(settings={"dedupe_window": 0})
    assert (await world.send()).id != (await world.send()).id


def envelope(event_id: str = "d5f96cbd", reason: str = "too_expensive") -> bytes:
    return (
        f'{{"spec":"lifecycle-relay/1","id":"{event_id}","type":"membership_status_to_cancelled",'
        f'"occurred_at":"2026-11-23T19:17:43Z","source":{{"network_url":"https://n.example.test/"}},'
        f'"data":{{"reason":"{reason}","membership":{{"id":"6","status":"cancelled"}}}}}}'
    ).encode()


async def test_an_explicit_id_is_remembered_for_ever(world: World):
    await world.source()
    first = await world.send(envelope(), None)
    world.clock.advance(10 * 365 * 86_400)
    again = await world.send(envelope(), None)
    assert (again.id, again.duplicate) == (first.id, True)


async def test_an_explicit_id_with_another_body_is_a_conflict_and_changes_nothing(world: World):
    await world.source()
    await world.send(envelope(), None)
    with pytest.raises(Conflict, match="d5f96cbd"):
        await world.send(envelope(reason="other"), None)
    assert await stored(world, tables.events) == 1


@pytest.mark.parametrize(
    "changed",
    [
        (b'"occurred_at":"2026-11-23T19:17:43Z"', b'"occurred_at":"2026-12-23T19:17:43Z"'),
        (b'"https://n.example.test/"', b'"https://m.example.test/"'),
    ],
    ids=["another time", "another network"],
)
async def test_an_envelope_that_differs_around_its_data_is_another_body(
    world: World, changed: tuple[bytes, bytes]
):
    await world.source()
    await world.send(envelope(), None)
    with pytest.raises(Conflict, match="d5f96cbd"):
        await world.send(envelope().replace(*changed), None)


async def test_a_repeat_may_be_spaced_and_ordered_in_another_way(world: World):
    await world.source()
    first = await world.send(envelope(), None)
    spaced = envelope().replace(b'"spec":"lifecycle-relay/1",', b"")
    again = await world.send(spaced[:-1] + b' , "spec" : "lifecycle-relay/1" }', None)
    assert (again.id, again.duplicate) == (first.id, True)


async def test_an_id_that_comes_twice_in_one_request_is_refused_and_the_body_kept(world: World):
    await world.source()
    request = replace(world.request(webhook_id="b"), repeated_headers=frozenset({"webhook-id"}))
    with pytest.raises(InvalidPayload, match="must come once") as caught:
        await world.ingest.accept("shop", request)
    assert "quarantine_id" in caught.value.extra


async def test_fifty_requests_with_one_id_at_once_are_one_event(world: World):
    await world.source()
    await world.target()
    receipts = await asyncio.gather(*(world.send(envelope(), None) for _ in range(50)))
    assert len({receipt.id for receipt in receipts}) == 1
    assert [receipt.duplicate for receipt in receipts].count(False) == 1
    assert await stored(world, tables.queue) == 1


async def test_two_nodes_that_get_the_same_event_store_it_once(world: World, sealer, clock):
    await world.source()
    await world.target()
    other = World(world.database, sealer, clock)
    other.tokens = world.tokens
    await other.configuration.refresh()
    bodies = [envelope(f"id-{n % 20}") for n in range(80)]
    nodes = [world, other]
    receipts = await asyncio.gather(
        *(nodes[n % 2].send(body, None) for n, body in enumerate(bodies))
    )
    assert len({receipt.id for receipt in receipts}) == 20
    assert await stored(world, tables.queue) == 20


async def test_a_target_registered_on_another_node_gets_the_next_event(world: World, sealer, clock):
    await world.source()
    other = World(world.database, sealer, clock)
    other.tokens = world.tokens
    await other.configuration.refresh()
    await world.target("late")
    await other.send()
    assert [d.target for d in await world.deliveries()] == ["late"]


async def test_a_source_made_on_another_node_is_known_at_once(world: World, sealer, clock):
    other = World(world.database, sealer, clock)
    await other.configuration.refresh()
    await world.source()
    other.tokens = world.tokens
    assert (await other.send()).duplicate is False


async def test_a_token_that_was_rotated_elsewhere_stays_valid_for_the_overlap_only(
    world: World, sealer, clock
):
    source_id = await world.source()
    old = world.tokens["shop"]
    rotated = await world.sources.rotate(source_id)
    world.tokens["shop"] = old
    assert (await world.send(payment(1))).duplicate is False
    clock.advance(3601)
    with pytest.raises(Unauthorized):
        await world.send(payment(2))
    world.tokens["shop"] = rotated.token
    assert (await world.send(payment(2))).duplicate is False


async def test_an_unknown_source_is_not_found(world: World):
    with pytest.raises(NotFound):
        await world.send(source="nobody")


async def test_a_wrong_token_is_refused_before_the_body_is_looked_at(world: World):
    await world.source()
    world.tokens["shop"] = "wrong"
    with pytest.raises(Unauthorized):
        await world.send(b"[" * 100_000)
    assert await stored(world, tables.quarantine) == 0
    assert await stored(world, tables.events) == 0


DEEP = b'{"a":' * 1000 + b"1" + b"}" * 1000


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"{", Unreadable),
        (b"42", InvalidPayload),
        (b'"text"', InvalidPayload),
        (DEEP, Unreadable),
        (b'{"a":1,"a":2}', Unreadable),
        (b'{"a":NaN}', Unreadable),
        (b'{"a":Infinity}', Unreadable),
        (b'{"a":1e400}', Unreadable),
        (b'{"a":' + b"9" * 5000 + b"}", Unreadable),
        (b'{"a":"\\ud800"}', Unreadable),
        (b'{"a":"\xff"}', Unreadable),
        (b'\xef\xbb\xbf{"a":1}', Unreadable),
        ('{"a":1}'.encode("utf-16"), Unreadable),
    ],
    ids=[
        "cut short", "number", "string", "depth 1000", "same key twice", "NaN", "Infinity",
        "too large a number", "5000 digits", "lone surrogate", "not UTF-8", "byte order mark",
        "UTF-16",
    ],
)  # fmt: skip
async def test_an_authenticated_body_that_cannot_be_read_is_kept_in_quarantine(
    world: World, body: bytes, error: type[RelayError]
):
    await world.source()
    with pytest.raises(error) as caught:
        await world.send(body)
    entry = (await world.quarantine.get(caught.value.extra["quarantine_id"])).entry
    assert entry.problem == caught.value.slug
    assert entry.id in caught.value.detail
    assert await stored(world, tables.events) == 0


NUL_KEY = b'"a\\u0000b"'


@pytest.mark.parametrize(
    "body",
    [
        b"{" + NUL_KEY + b":1," + NUL_KEY + b":2}",
        b"{" + NUL_KEY + b":" + b"[" * 70 + b"]" * 70 + b"}",
        b"{" + NUL_KEY + b":" + b"9" * 30 + b"}",
        b'{"payment_id":1,"payment_line_items":{' + NUL_KEY + b':{"quantity":"x"}}}',
    ],
    ids=["same key twice", "too deep", "30 digits", "wrong field"],
)
async def test_a_body_is_kept_whatever_its_keys_are(world: World, body: bytes):
    await world.source()
    with pytest.raises(Unreadable) as caught:
        await world.send(body)
    kept = await world.quarantine.get(caught.value.extra["quarantine_id"])
    assert kept.body == body
    assert "\0" not in caught.value.detail + kept.entry.detail


async def test_a_request_without_a_body_is_refused_and_kept(world: World):
    await world.source()
    with pytest.raises(Unreadable, match="is empty") as caught:
        await world.send(b"", webhook_id="their-7")
    kept = await world.quarantine.get(caught.value.extra["quarantine_id"])
    assert (kept.entry.event_type, kept.headers, kept.body) == (
        "payment_received",
        {"webhook-id": "their-7"},
        b"",
    )


async def test_a_compressed_body_is_refused_and_kept(world: World):
    await world.source()
    with pytest.raises(UnsupportedEncoding) as caught:
        await world.send(b"\x1f\x8b", content_encoding="gzip")
    assert caught.value.status == 415
    assert "quarantine_id" in caught.value.extra


async def test_a_form_is_refused_and_kept(world: World):
    await world.source()
    with pytest.raises(UnsupportedMediaType) as caught:
        await world.send(b"a=1", content_type="application/x-www-form-urlencoded")
    assert "quarantine_id" in caught.value.extra


async def test_nul_inside_the_data_is_taken_and_kept(world: World):
    await world.source()
    receipt = await world.send(b'{"customer_name":"a\\u0000b","customer_id":1}')
    assert receipt.duplicate is False


@pytest.mark.parametrize("event_type", ["x\x00", "X", "1x", "x" * 65, "x\r\ny"])
async def test_a_type_of_the_wrong_form_is_refused_and_the_body_kept(world: World, event_type: str):
    await world.source()
    with pytest.raises(InvalidRequest) as caught:
        await world.send(event_type=event_type)
    assert caught.value.status in {400, 422}
    assert "quarantine_id" in caught.value.extra


async def test_a_type_of_an_add_on_is_taken(world: World):
    await world.source()
    assert (await world.send(event_type="my_addon.thing-done")).type == "my_addon.thing-done"


async def test_a_strict_source_refuses_what_is_not_in_the_catalogue(world: World):
    await world.source(strict=True)
    with pytest.raises(UnknownEventType):
        await world.send(event_type="my_addon_thing")
    assert (await world.send()).type == "payment_received"


async def test_an_event_that_went_through_too_many_relays_is_refused(world: World):
    await world.source()
    with pytest.raises(InvalidRequest, match="relays"):
        await world.send(relay_hop="4")


async def test_a_filter_decides(world: World):
    await world.source()
    await world.target("large", filter="payment.total > 100.0")
    await world.target("any", filter="payment.total > 50.0")
    await world.send()
    assert [d.target for d in await world.deliveries()] == ["any"]


async def test_a_filter_that_cannot_be_evaluated_is_visible_on_the_delivery(world: World):
    await world.source()
    await world.target("large", filter="payment.total > 100.0")
    await world.send(captured("confirm_email_address").raw_body, "confirm_email_address")
    (delivery,) = await world.deliveries()
    assert delivery.status == "skipped"
    assert "filter" in delivery.reason


async def test_a_target_hears_only_its_sources(world: World):
    await world.source("one")
    await world.source("two")
    await world.target("only-one", sources=["one"])
    await world.send(source="two")
    assert await world.deliveries() == []
    await world.send(source="one")
    assert [d.target for d in await world.deliveries()] == ["only-one"]


async def test_a_test_button_event_goes_to_webhooks_and_is_skipped_for_analytics(world: World):
    await world.source()
    await world.target("hook")
    settings = {"measurement_id": "G-TEST12345", "api_secret": "s3cret-value"}
    await world.target("analytics", "ga4", settings=settings)
    body = captured("payment_received.test").raw_body
    await world.send(body)
    (event,) = await world.events()
    found = {d.target: (d.status, d.reason) for d in await world.deliveries()}
    assert event.test is True
    assert found["hook"][0] == "pending"
    assert found["analytics"][0] == "skipped"
    assert "test" in found["analytics"][1]


_REFUSE_AT_COMMIT = (
    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''full''; END'",
    """CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON events DEFERRABLE INITIALLY DEFERRED
       FOR EACH ROW EXECUTE FUNCTION refuse()""",
)


@asynccontextmanager
async def commits_that_fail(world: World) -> AsyncIterator[None]:
    """Let everything work until the commit, and the commit fail."""
    if world.database.dialect == "postgresql":
        for statement in _REFUSE_AT_COMMIT:
            await world.database.write(lambda c, s=statement: c.exec_driver_sql(s))
        yield
        await world.database.write(lambda c: c.exec_driver_sql("DROP FUNCTION refuse CASCADE"))
        return

    def refuse(connection: sa.Connection) -> None:
        raise sa.exc.OperationalError("COMMIT", {}, Exception("disk full"))

    sa.event.listen(world.database.engine, "commit", refuse)
    yield
    sa.event.remove(world.database.engine, "commit", refuse)


async def test_a_commit_that_fails_is_never_answered_as_accepted(world: World):
    await world.source()
    await world.target()
    async with commits_that_fail(world):
        with pytest.raises((StoreUnavailable, sa.exc.DBAPIError)):
            await world.send()
    assert await stored(world, tables.events) == 0
    assert (await world.send()).duplicate is False


async def test_a_released_body_is_read_with_todays_adapter(world: World):
    await world.source()
    with pytest.raises(UnsupportedEncoding) as caught:
        await world.send(content_encoding="gzip")
    entry_id = caught.value.extra["quarantine_id"]
    with pytest.raises(UnsupportedEncoding):
        await world.quarantine.release(entry_id)
    assert (await world.quarantine.get(entry_id)).entry.state == "open"


async def test_a_body_that_was_kept_for_its_content_type_is_json_once_it_is_released(world: World):
    await world.source()
    await world.target()
    with pytest.raises(UnsupportedMediaType) as caught:
        await world.send(content_type="text/plain")
    entry = await world.quarantine.release(caught.value.extra["quarantine_id"])
    assert entry.state == "released"
    assert [one.id for one in await world.events()] == [entry.event_id]
    assert len(await world.deliveries()) == 1


async def test_nobody_outside_can_send_the_relays_own_news(world: World):
    await world.source()
    with pytest.raises(InvalidRequest, match="relay's own"):
        await world.send(event_type="relay.contact_linked")


async def test_of_requests_that_come_together_each_plain_one_is_taken(world: World):
    await world.source()
    await world.target()
    asked = [
        ("shop", world.request(payment(1))),
        ("shop", world.request(payment(2), authorization="Bearer wrong")),
        ("nobody", world.request(payment(3))),
        ("shop", world.request(b"{")),
        ("shop", world.request(payment(4))),
        ("shop", world.request(payment(4))),
    ]
    found = world.ingest.accept_at_once(asked)
    assert [receipt is not None for receipt in found] == [True, False, False, False, True, True]
    receipts = [await receipt for receipt in found if receipt is not None]
    assert [receipt.duplicate for receipt in receipts] == [False, False, True]
    assert receipts[1].id == receipts[2].id
    assert await stored(world, tables.events) == await stored(world, tables.queue) == 2


async def test_what_was_refused_is_freed_without_the_garbage_collector(world: World):
    await world.source()
    await world.configuration.refresh()
    configuration = world.configuration.current
    source = configuration.sources["shop"]
    gc.collect()
    gc.disable()
    try:
        assert world.ingest.accept_at_once([("shop", world.request(b"{"))] * 2) == [None, None]
        assert world.ingest.accept_at_once([("shop", world.request(b'{"payment_id":{}}'))]) == [
            None
        ]
        with suppress(Unreadable):
            plan_request(configuration, source, world.request(b"{"))
        assert gc.collect() == 0
    finally:
        gc.enable()


async def test_the_memory_of_a_plan_does_not_grow_with_how_many_are_made_together(world: World):
    await world.source()
    await world.configuration.refresh()
    configuration = world.configuration.current
    source = configuration.sources["shop"]
    # What is read of this takes some twenty times as much memory.
    large = payment(1).replace(b"{", b'{"noise":[' + b"{}," * 30_000 + b"{}],", 1)

    def peak(count: int) -> int:
        asked = [(source, world.request(large)) for _ in range(count)]
        tracemalloc.start()
        plans = plan_together(configuration, asked)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert [plan for plan in plans if isinstance(plan, Exception)] == []
        return highest

    assert peak(12) < 2 * peak(3)


async def test_a_fault_in_a_credential_costs_those_beside_it_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    await world.source()
    await world.configuration.refresh()

    def faulty(_adapter: object, request: RawRequest, *_: object) -> None:
        if b'"payment_id":2,' in request.body:
            raise ZeroDivisionError

    monkeypatch.setattr("app.services.ingest.authenticate", faulty)
    asked = [("shop", world.request(payment(number))) for number in (1, 2)]
    first, second = world.ingest.accept_at_once(asked)
    assert first is not None
    assert (await first).duplicate is False
    assert second is None


async def test_a_fault_with_one_request_costs_those_beside_it_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    await world.source()
    await world.configuration.refresh()
    adapter = world.configuration.current.sources["shop"].adapter
    read = type(adapter).read

    def faulty(self: SourceAdapter, request: RawRequest, document: Any) -> Reading:
        if document["payment_id"] == 2:
            raise ZeroDivisionError
        return read(self, request, document)

    monkeypatch.setattr(type(adapter), "read", faulty)
    asked = [("shop", world.request(payment(number))) for number in (1, 2, 3)]
    first, second, third = world.ingest.accept_at_once(asked)
    assert second is None
    assert first is not None
    assert third is not None
    assert (await first).id < (await third).id
    assert await stored(world, tables.events) == 2
