"""Long work as JSON: what is asked of a network's own API, and how far a job is."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from app.api.schemas_common import AnswerBody, RequestBody, with_examples
from app.api.schemas_replays import Moment
from app.domain.clock import from_micros
from app.services import backfill, reconcile, replay
from app.services.backfill import BackfillRequest
from app.services.jobs import JobState, JobView
from app.services.reconcile import ReconcileRequest

_NO_CONTROL = r"^[^\x00-\x1f\x7f]+$"
JobKindName = Literal["replay", "reconcile", "backfill"]
#: By the id's first letters, what kind of job it is.
KINDS = {"rpl": replay.KIND, "rcn": reconcile.KIND, "bkf": backfill.KIND}
_EXAMPLE: dict[str, Any] = {
    "id": "rcn_01kr9x9p5e4g6j8m0q2s4v6x8z",
    "kind": "reconcile",
    "state": "done",
    "reason": "2 events were missing and came in: 1 customer_post_create, 1 payment_received.",
    "total": 1200,
    "done": 1200,
    "failed": 0,
    "source_id": "src_01kr9x4e6hq3v8n2m7c5t0b1da",
    "target_id": None,
    "since": "2026-11-20T08:00:00Z",
    "dry_run": False,
    "created_at": "2026-11-23T19:09:31.204817Z",
    "updated_at": "2026-11-23T19:10:12.118204Z",
    "finished_at": "2026-11-23T19:10:12.118204Z",
}


class ReconcileSource(RequestBody):
    """From which time of the network's records on to look, and whether only to count."""

    model_config = with_examples({"since": "2026-11-20T08:00:00Z", "dry_run": True})

    since: Moment | None = Field(
        default=None,
        description="Only records of this time or later; without it, of the time the source was"
        " registered. What is older than the retention is never looked at. RFC 3339.",
    )
    dry_run: bool = Field(
        default=False, description="Only count: the job's reason says what is missing."
    )

    def asked(self, source: str) -> ReconcileRequest:
        """What the service is asked for."""
        return ReconcileRequest(source=source, since=self.since, dry_run=self.dry_run)


class BackfillTarget(RequestBody):
    """Whose customers to bring in, and whether only to count them."""

    model_config = with_examples({"source": "my-network", "dry_run": True})

    source: Annotated[str, Field(max_length=64, pattern=_NO_CONTROL)] = Field(
        description="The id or the name of a source with API access."
    )
    dry_run: bool = Field(default=False, description="Only count the customers.")

    def asked(self, target: str) -> BackfillRequest:
        """What the service is asked for."""
        return BackfillRequest(source=self.source, target=target, dry_run=self.dry_run)


class JobAnswer(AnswerBody):
    """One piece of long work, and how far it is."""

    model_config = with_examples(_EXAMPLE)

    id: str | None = Field(description="Null for a dry run that leaves nothing behind.")
    kind: JobKindName
    state: JobState
    reason: str | None = Field(
        description="What came of it, why it failed or was cancelled, or what failed last."
    )
    total: int = Field(
        description="Events to be sent again, records to look at, or customers to bring in, as far"
        " as is known: older versions of the platform do not say how many records there are."
    )
    done: int
    failed: int
    source_id: str | None = Field(description="The source whose network is asked.")
    target_id: str | None = Field(description="The target that gets what comes of it.")
    since: datetime | None
    dry_run: bool
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, job: JobView) -> JobAnswer:
        """The job as it is shown; a replay's other conditions are shown under /v1/replays."""
        asked = job.parameters
        since = asked.get("since")
        return cls.model_validate(
            {
                "id": job.id,
                "kind": job.kind,
                "state": job.state,
                "reason": job.reason,
                "total": job.total,
                "done": job.done,
                "failed": job.failed,
                "source_id": None if job.kind == replay.KIND else asked.get("source"),
                "target_id": asked.get("target"),
                "since": None if since is None else from_micros(since),
                "dry_run": job.id is None or bool(asked.get("dry_run")),
                "created_at": job.created_at,
                "updated_at": job.updated_at,
                "finished_at": job.finished_at,
            }
        )
