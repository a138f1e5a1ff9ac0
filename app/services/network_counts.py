"""How often a network says its webhooks have fired, against what came in here.

The network sends each event once and never looks at the answer, so that this comparison is the
only thing that tells what was lost.
For each webhook there is a beginning: a moment, and the count at that moment.
It is moved on from time to time, what is missing kept in it, because events do not stay for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.domain import strict_json
from app.domain.clock import Clock, from_micros, to_micros
from app.services.network_webhooks import Webhook, read_all
from app.services.platform_api import PlatformApi
from app.sources import ultimate_multisite_rest as rest
from app.store import arrivals, installation
from app.store.database import Database, ReadConnection

_DAY = 86_400_000_000
#: A beginning that is older than this is moved on.
_LONGEST = 7 * _DAY
#: What came in this moment may not be committed yet, and is counted the next time.
_MARGIN = 60_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One webhook since its beginning; a negative `missing` means that more came than was sent."""

    webhook_id: str
    event: str
    since: datetime
    sent: int
    arrived: int

    @property
    def missing(self) -> int:
        """How many were sent and did not come in."""
        return self.sent - self.arrived


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Every webhook that is still there; `gone` are the events of those that are not.

    `unknowable` are events whose beginning is older than events are kept: they begin anew.
    """

    counted: Sequence[Counted]
    gone: Sequence[str] = ()
    unknowable: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Beginning:
    event: str
    count: int
    at: int


class NetworkCounts:
    """Keeps the beginnings, and compares."""

    def __init__(
        self, database: Database, platform: PlatformApi, clock: Clock, *, retention_days: int
    ) -> None:
        self._database = database
        self._platform = platform
        self._clock = clock
        self._kept = retention_days * _DAY

    async def known(self, source_id: str) -> frozenset[str]:
        """The ids of the webhooks that have a beginning."""
        return frozenset(await self._read(source_id))

    async def begin(
        self, source_id: str, webhooks: Iterable[Webhook], *, anew: bool = False
    ) -> None:
        """Give each webhook a beginning; `anew` also those that have one."""
        before = {} if anew else await self._read(source_id)
        now = to_micros(self._clock())
        after = {
            webhook.id: before.get(webhook.id) or _Beginning(webhook.event, webhook.count, now)
            for webhook in webhooks
        }
        await self._write(source_id, after)

    async def drop(self, source_id: str, webhook_id: str) -> None:
        """A webhook is no more: there is nothing to compare."""
        beginnings = await self._read(source_id)
        if beginnings.pop(webhook_id, None):
            await self._write(source_id, beginnings)

    async def compare(self, source_id: str) -> Comparison | None:
        """What is missing; None where nothing is counted, and then nobody is asked.

        Raises what PlatformApi raises.
        """
        beginnings = await self._read(source_id)
        if not beginnings:
            return None
        rows = read_all(await self._platform.call(source_id, rest.list_webhooks))
        there = {webhook.id: webhook for webhook in rows if webhook.id in beginnings}
        now = to_micros(self._clock())
        usable = {
            number: one
            for number, one in beginnings.items()
            if number in there
            and one.at > now - self._kept
            # A network that was set back to an older state counts from there.
            and there[number].count >= one.count
        }
        found = await self._database.read(
            lambda c: [
                _counted(c, source_id, usable[number], there[number], now) for number in usable
            ]
        )
        again = {number for number in there if number not in usable}
        await self._move_on(source_id, beginnings, there, now)
        return Comparison(
            counted=found,
            gone=sorted({one.event for number, one in beginnings.items() if number not in there}),
            unknowable=sorted(beginnings[number].event for number in again),
        )

    async def _move_on(
        self,
        source_id: str,
        beginnings: Mapping[str, _Beginning],
        there: Mapping[str, Webhook],
        now: int,
    ) -> None:
        """Move old beginnings on, what is missing since them kept."""
        cut = now - _MARGIN
        longest = min(_LONGEST, self._kept // 2)

        def moved(connection: ReadConnection, number: str, one: _Beginning) -> _Beginning:
            count = there[number].count
            if one.at <= now - self._kept or count < one.count:
                return _Beginning(one.event, count, now)
            if one.at > now - longest:
                return one
            came = arrivals.without_ids(connection, source_id, one.event, since=one.at, until=cut)
            return _Beginning(one.event, one.count + came, cut)

        after = await self._database.read(
            lambda c: {
                number: moved(c, number, one) if number in there else one
                for number, one in beginnings.items()
            }
        )
        if after != beginnings:
            await self._write(source_id, after)

    async def _read(self, source_id: str) -> dict[str, _Beginning]:
        text = await self._database.read(lambda c: installation.get(c, fact_of(source_id)))
        if text is None:
            return {}
        stored: dict[str, Any] = strict_json.read_trusted(text.encode())
        return {number: _Beginning(*values) for number, values in stored.items()}

    async def _write(self, source_id: str, beginnings: Mapping[str, _Beginning]) -> None:
        stored = {number: [one.event, one.count, one.at] for number, one in beginnings.items()}
        text = strict_json.write(stored).decode()
        fact = fact_of(source_id)
        await self._database.write(
            lambda c: installation.put(c, fact, text) if stored else installation.delete(c, fact)
        )


def _counted(
    connection: ReadConnection, source_id: str, since: _Beginning, webhook: Webhook, now: int
) -> Counted:
    came = arrivals.without_ids(
        connection, source_id, since.event, since=since.at, until=now + _MARGIN
    )
    return Counted(
        webhook_id=webhook.id,
        event=since.event,
        since=from_micros(since.at),
        sent=webhook.count - since.count,
        arrived=came,
    )


def fact_of(source_id: str) -> str:
    """The name under which the beginnings of a source's webhooks are kept."""
    return f"webhooks/{source_id}"


def constants_fact(source_id: str) -> str:
    """The name under which it is kept when a bridge's constants were printed."""
    return f"bridge/{source_id}"


def facts_of(source_id: str) -> tuple[str, ...]:
    """Everything that is kept beside a source, to be forgotten with it."""
    return fact_of(source_id), constants_fact(source_id)
