"""Trying a target's settings at the destination itself, harmlessly, on the operator's demand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.connectors.base import Assignment, Flow
from app.domain import strict_json
from app.domain.catalogue import CATALOGUE
from app.domain.clock import Clock
from app.domain.errors import Conflict, NotFound
from app.domain.grant import Grant
from app.domain.ids import is_id, new_id
from app.domain.model import Event
from app.domain.outcome import Outcome, OutcomeKind
from app.services.attempting import Attempt, Attempted, Sender
from app.services.configuration import BoundTarget, ConfigurationCache
from app.services.example_events import example_event
from app.services.grants import Grants
from app.store import targets
from app.store.database import Database

_SOURCE = "example"
_NO_CHECK = "This destination has no harmless check; use a preview, and watch the first delivery."
_NOTHING_TO_MAKE = "There is nothing to make in this destination."
#: A connector's `check` or `prepare`.
_FlowOf = Callable[[Assignment], Flow | None]
_WORDS: Mapping[OutcomeKind, str] = {
    OutcomeKind.DELIVERED: "The check went well.",
    OutcomeKind.DROPPED: "The destination answered, but threw the check away.",
    OutcomeKind.SKIPPED: "Nothing was checked.",
    OutcomeKind.RETRY: "The destination did not answer well; this may pass.",
    OutcomeKind.THROTTLE: "The destination asks for a pause.",
    OutcomeKind.REJECTED: "The destination refused the check.",
    OutcomeKind.AUTH_FAILED: "The destination refused access: look at the credential and its rights.",
    OutcomeKind.GONE: "The destination says that it is gone.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The verdict; `ok` is None when nothing could be checked."""

    ok: bool | None
    verdict: str
    exchanges: Sequence[Mapping[str, Any]] = ()


class CheckTarget:
    """Asks destinations whether a target's settings work."""

    def __init__(
        self,
        database: Database,
        configuration: ConfigurationCache,
        sender: Sender,
        clock: Clock,
        *,
        grants: Grants,
        attempt_timeout: float,
    ) -> None:
        self._database = database
        self._configuration = configuration
        self._sender = sender
        self._clock = clock
        self._grants = grants
        self._attempt_timeout = attempt_timeout

    async def check(self, target_id: str) -> Checked:
        """Carry the connector's check out, within the time of one attempt.

        Nothing is stored but a token that was fetched on the way.
        Raises NotFound, and Conflict when the target is not usable here.
        """
        target = await self._bound(target_id)
        return _checked(target, await self._carry_out(target, target.connector.check), _NO_CHECK)

    async def prepare(self, target_id: str) -> Checked:
        """Make in the destination what the default mapping writes to, where its connector can.

        Raises as `check` does.
        """
        target = await self._bound(target_id)
        attempted = await self._carry_out(target, target.connector.prepare)
        return _checked(target, attempted, _NOTHING_TO_MAKE)

    async def _carry_out(self, target: BoundTarget, flow_of: _FlowOf) -> Attempted | None:
        if not target.connector.uses_grant:
            return await self._drive(target, flow_of, self._sender)
        async with self._grants.lend(target.id, self._sender) as loan:
            attempted = await self._drive(target, flow_of, loan, loan.grant)
            if attempted is not None:
                await loan.settle([attempted.end], attempted.exchanges)
        return attempted

    async def _bound(self, target_id: str) -> BoundTarget:
        configuration = await self._configuration.refresh()
        target = configuration.targets.get(target_id)
        if target is not None:
            return target
        if is_id(target_id, "tgt"):
            record = await self._database.read(lambda c: targets.get(c, target_id))
            if record is not None:
                raise Conflict("The target's connector is not usable here; the log says why.")
        raise NotFound("There is no target with this id.")

    async def _drive(
        self,
        target: BoundTarget,
        flow_of: _FlowOf,
        sender: Sender,
        grant: Grant | None = None,
    ) -> Attempted | None:
        flow = flow_of(self._assignment(target, grant))
        if flow is None:
            return None
        attempt = Attempt(
            flow,
            sender,
            target=target.id,
            seconds=self._attempt_timeout,
            masking=target.masking,
            ca_certificate=target.ca_certificate,
        )
        return await attempt.drive()

    def _assignment(self, target: BoundTarget, grant: Grant | None) -> Assignment:
        event = self._event(target.connector.check_event, target)
        body = {
            "type": event.type,
            "timestamp": event.occurred_at,
            "test": event.test,
            "data": event.data,
        }
        return Assignment(
            event=event,
            body=strict_json.write(body),
            content_type="application/json",
            message_id=new_id("msg"),
            dedupe_id=event.id,
            attempt=1,
            now=event.occurred_at,
            grant=grant,
        )

    def _event(self, event_type: str, target: BoundTarget) -> Event:
        """A ping, or the catalogue's example of the type as if it happened now."""
        now = self._clock()
        if event_type not in CATALOGUE:
            data = {"target": target.name, "message": "A test from Lifecycle Relay."}
            return Event(
                id=new_id("evt"),
                type=event_type,
                source="relay",
                occurred_at=now,
                received_at=now,
                test=True,
                subject=None,
                data=data,
            )
        made = example_event(event_type, event_id=new_id("evt"), source=_SOURCE, at=now)
        return replace(made, test=False)


def _checked(target: BoundTarget, attempted: Attempted | None, nothing: str) -> Checked:
    if attempted is None:
        return Checked(ok=None, verdict=nothing)
    end: Outcome = attempted.end
    said = target.masking.text(end.reason)
    left_alone = end.kind is OutcomeKind.SKIPPED
    return Checked(
        ok=None if left_alone else end.kind is OutcomeKind.DELIVERED,
        verdict=f"{_WORDS[end.kind]} {said}".rstrip(),
        exchanges=[_shown(exchange) for exchange in attempted.exchanges],
    )


def _shown(exchange: Mapping[str, Any]) -> dict[str, Any]:
    """An exchange without the body of a good answer: that may hold people, and keys of theirs."""
    shown = dict(exchange)
    status = shown["status"]
    if status is not None and status < 400:  # noqa: PLR2004  the first status of a refusal
        shown.pop("body", None)
        shown.pop("truncated", None)
    return shown
