"""What a connector is.

A connector does no I/O and reads no clock.
`deliver` is a generator in the shape of httpx's own `Auth.auth_flow`: it yields requests, is sent
the response to each, and returns an Outcome.
When no usable answer came back, a TransportFailure is raised at the `yield`; a connector that
does not catch it gets the engine's default (retry).
A class declares a destination; an instance is bound to one target's settings.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

import httpx
from pydantic import BaseModel

from app.domain.grant import Grant
from app.domain.model import Event
from app.domain.outcome import Outcome
from app.domain.record import record

Flow = Generator[httpx.Request, httpx.Response, Outcome]
#: A batch ends with one outcome per assignment, in order; or with a single Outcome when the
#: destination refused the batch as a whole (the engine then drives its members one by one).
BatchFlow = Generator[httpx.Request, httpx.Response, "Sequence[Outcome] | Outcome"]

#: The computed values of a target's mapping for one event, or None when it has no mapping.
#: Raises ExpressionError (app.domain.expressions) when an expression cannot be evaluated.
MappingValues = Callable[[Event], Mapping[str, Any] | None]

#: Marks a request that asks for a new grant, in its `extensions`.
#: The engine logs no such reply, and may answer with a newer grant of its store instead: a response
#: that holds the Grant in its `extensions` under the same name.
GRANT = "relay_grant"

#: How many bytes of the answer a request wants, in its `extensions`, when that is more than the
#: door out reads of others.
LONG_ANSWER = "relay_response_limit"

#: What most destinations would say of a write that went well; the number is nobody's.
_ASSUMED = b'{"id": "1", "success": true, "status": 1, "contact": {"id": "1"}, "data": {"id": "1"}}'

SettingsT = TypeVar("SettingsT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the destination bears.

    `batch_size` counts deliveries per request, `batch_bytes` the body's bytes;
    `max_in_flight` is the default of the target's own setting;
    `per_second` is the default rate of requests (a batch is one), None for no limit;
    `max_age_seconds` is how old an event may be, None for any age.
    """

    batch_size: int = 1
    batch_bytes: int = 1_000_000
    max_in_flight: int = 8
    per_second: float | None = None
    max_age_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """The short facts every connector page shows."""

    title: str
    summary: str
    authentication: str
    replay_safety: str
    never_sent: str
    documentation: str = ""


@record(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One delivery to carry out.

    `message_id` (`msg_…`) and `dedupe_id` (a UUID) are the same on every attempt and replay of
    the delivery; `attempt` counts from 1; `now` is the time of this attempt.
    `remembered_id` is the destination's id for the event's subject, where one is known.
    `grant` is the newest token the engine keeps for the target; for `uses_grant` connectors only.
    `envelope` is the event as a webhook target is sent it, where it was written down before.
    `trace` goes before the event's: the span of this attempt, where the relay is traced.
    """

    event: Event
    body: bytes
    content_type: str
    message_id: str
    dedupe_id: str
    attempt: int
    now: datetime
    remembered_id: str | None = None
    grant: Grant | None = None
    envelope: bytes | None = None
    trace: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetBinding(Generic[SettingsT]):
    """What of a target a connector may see.

    `signing_keys` are decoded secrets, the current one first, the previous while it overlaps.
    """

    id: str
    name: str
    settings: SettingsT
    mapping: MappingValues
    signing_keys: tuple[bytes, ...] = ()
    user_agent: str = "Lifecycle-Relay"


class Connector(ABC, Generic[SettingsT]):
    """A destination, bound to one target."""

    #: The value of a target's `connector`.
    name: ClassVar[str]
    #: `crm`, `analytics`, `message`, `write_back` or `webhook`; the last have a signing secret.
    kind: ClassVar[str]
    facts: ClassVar[Facts]
    Settings: ClassVar[type[BaseModel]]
    #: Patterns of the event types it acts on; others are skipped with a reason.
    default_events: ClassVar[tuple[str, ...]]
    #: Destination field to CEL expression; what it sends with no mapping of the operator's.
    default_mapping: ClassVar[Mapping[str, str]] = {}
    limits: ClassVar[Limits] = Limits()
    #: True when deliveries for one subject must run one after another.
    ordered: ClassVar[bool] = False
    #: True when events from a test button are sent as well.
    takes_tests: ClassVar[bool] = False
    #: Names of URL query parameters that are masked wherever a URL is shown.
    secret_query: ClassVar[frozenset[str]] = frozenset()
    #: True when it needs a token that is fetched and kept for all workers (app.connectors.oauth).
    uses_grant: ClassVar[bool] = False
    #: True when the event's envelope (app.domain.envelope) is what is sent, as it is.
    sends_envelope: bool = False
    #: What a preview takes for the reply to a write, and to a look for what is not there yet.
    assumed_written: ClassVar[tuple[int, bytes]] = (200, _ASSUMED)
    assumed_absent: ClassVar[tuple[int, bytes]] = (404, b"{}")
    #: The type of the event that `check` is given.
    check_event: ClassVar[str] = "relay.ping"

    def __init__(self, target: TargetBinding[SettingsT]) -> None:
        self.target = target

    @classmethod
    def check_mapping(cls, fields: Sequence[str]) -> Mapping[str, str]:
        """What is wrong with the destination fields of an operator's mapping: field to sentence."""
        return {}

    def skip(self, event: Event) -> str | None:
        """Why this event means nothing here (one sentence), or None when it does."""
        return None

    def effect(self, event: Event) -> str | None:
        """The name of what must happen once per target (`purchase:shop/17`), or None."""
        return None

    @abstractmethod
    def deliver(self, assignment: Assignment) -> Flow:
        """Carry out one delivery."""

    def check(self, assignment: Assignment) -> Flow | None:
        """Find out, harmlessly, whether the settings work; None where the destination offers no way.

        `assignment` carries an event of the type `check_event` that happened to nobody.
        """
        return None

    def prepare(self, assignment: Assignment) -> Flow | None:
        """Make in the destination what the default mapping writes to; None when nothing is needed.

        Only done when an operator asks for it; what is there already is left as it is.
        """
        return None

    def batch_key(self, assignment: Assignment) -> str:
        """Deliveries with the same key may share a request (only asked when batch_size > 1)."""
        return ""

    def deliver_many(self, assignments: Sequence[Assignment]) -> BatchFlow:
        """Carry out several deliveries in one request (only called when batch_size > 1)."""
        raise NotImplementedError(f"{self.name} declares no batches")
