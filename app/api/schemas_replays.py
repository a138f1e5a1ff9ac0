"""Replays as JSON: what is asked, what is answered."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from app.api.schemas_common import AnswerBody, RequestBody, with_examples
from app.domain.clock import from_micros, in_utc
from app.domain.routing import check_pattern
from app.services.jobs import JobState, JobView
from app.services.replay import ReplayRequest

_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_NO_CONTROL = r"^[^\x00-\x1f\x7f]+$"
_EXAMPLE: dict[str, Any] = {
    "id": "rpl_01kr9x9p5e4g6j8m0q2s4v6x8z",
    "state": "running",
    "reason": None,
    "total": 1200,
    "done": 350,
    "failed": 0,
    "target_id": "tgt_01kr9x5t2b8w4f6s1p9z3g7e0k",
    "event_id": None,
    "type": "payment_*",
    "source": None,
    "status": "failed",
    "since": "2026-11-23T00:00:00Z",
    "until": None,
    "force": False,
    "dry_run": False,
    "created_at": "2026-11-23T19:09:31.204817Z",
    "updated_at": "2026-11-23T19:09:33.118204Z",
    "finished_at": None,
}


def _moment(value: Any) -> Any:
    if not isinstance(value, str) or _RFC_3339.fullmatch(value) is None:
        raise ValueError("use RFC 3339 with a zone, such as 2026-11-23T19:09:31Z")
    return in_utc(datetime.fromisoformat(value.upper()))


Moment = Annotated[datetime, BeforeValidator(_moment)]
LastStatus = Literal["succeeded", "failed", "skipped", "cancelled"]


class ReplayOptions(RequestBody):
    """How events are sent again."""

    force: bool = Field(
        default=False,
        description="Take everything for new: new ids for the destination, and effects that were"
        " carried out before are carried out again. It stands in the replay from then on.",
    )
    dry_run: bool = Field(default=False, description="Only count; nothing is sent or stored.")


class ReplayToTarget(ReplayOptions):
    """Which events are to be sent again; everything that is stored, unless it is narrowed."""

    model_config = with_examples(
        {"type": "payment_*", "since": "2026-11-23T00:00:00Z", "status": "failed"}
    )

    type: Annotated[str, AfterValidator(check_pattern)] | None = Field(
        default=None, description="An event type, or a pattern with `*` for any characters."
    )
    source: Annotated[str, Field(max_length=64, pattern=_NO_CONTROL)] | None = Field(
        default=None, description="The name or the id of a source."
    )
    status: LastStatus | None = Field(
        default=None, description="Only events whose last delivery to the target ended like this."
    )
    since: Moment | None = Field(
        default=None, description="Only what came at this time or later. RFC 3339."
    )
    until: Moment | None = Field(default=None, description="Only what came before. RFC 3339.")

    def asked(self, target: str) -> ReplayRequest:
        """What the service is asked for."""
        given = {name: getattr(self, name) for name in ReplayToTarget.model_fields}
        return ReplayRequest(**given, target=target)


class CreateReplay(ReplayToTarget):
    """Which events are to be sent to which target again."""

    model_config = with_examples(
        {"target": "billing", "type": "payment_*", "status": "failed", "dry_run": True}
    )

    target: Annotated[str, Field(max_length=64, pattern=_NO_CONTROL)] = Field(
        description="The id or the name of a target; it may be younger than the events."
    )


class ReplayEvent(ReplayOptions):
    """Where one event is to be sent again."""

    model_config = with_examples({"target": "billing"})

    target: Annotated[str, Field(max_length=64, pattern=_NO_CONTROL)] | None = Field(
        default=None, description="The id or the name of a target; null for all it is for today."
    )


class ReplayAnswer(AnswerBody):
    """One replay: what was asked for, and how far it is."""

    model_config = with_examples(_EXAMPLE)

    id: str | None = Field(description="Null for a dry run, which leaves nothing behind.")
    state: JobState
    reason: str | None = Field(
        description="Why it failed or was cancelled, or which event could not be sent last."
    )
    total: int = Field(
        description="Events to be sent, as the target wants them by type and source; its filter"
        " has its say when an event is read."
    )
    done: int = Field(description="Events that have their new deliveries, or need none.")
    failed: int = Field(description="Events that could not be read any more.")
    target_id: str | None
    event_id: str | None
    type: str | None
    source: str | None
    status: str | None
    since: datetime | None
    until: datetime | None
    force: bool
    dry_run: bool
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, job: JobView) -> ReplayAnswer:
        """The replay a job is."""
        asked = job.parameters
        moments = {
            name: None if asked.get(name) is None else from_micros(asked[name])
            for name in ("since", "until")
        }
        return cls(
            id=job.id,
            state=job.state,
            reason=job.reason,
            total=job.total,
            done=job.done,
            failed=job.failed,
            target_id=asked.get("target"),
            event_id=asked.get("event"),
            type=asked.get("type"),
            source=asked.get("source"),
            status=asked.get("status"),
            **moments,
            force=job.force,
            dry_run=job.id is None,
            created_at=job.created_at,
            updated_at=job.updated_at,
            finished_at=job.finished_at,
        )
