"""Every table, once.

Times are microseconds since 1970 (`BigInteger`), so that both databases compare them alike.
JSON is text that was written by the one JSON writer; bodies are bytes, byte for byte as received.
The hot path touches `dedupe`, `events`, `event_bodies`, `deliveries` and `queue`; only `queue`
is searched for work, and a delivery leaves it when it is over, so its size is the backlog and
never the history.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from app.domain import strict_json

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    },
)


class JsonText(sa.types.TypeDecorator[Any]):
    """A JSON value in a text column; None is SQL NULL."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        """Write the value as JSON text."""
        return None if value is None else strict_json.write(value).decode()

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:
        """Read the JSON text back."""
        return None if value is None else strict_json.read_trusted(value.encode())


def _id(name: str, **options: Any) -> sa.Column[str]:
    return sa.Column(name, sa.String(30), **options)


def _micros(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def _partial(name: str, *columns: str, where: str) -> sa.Index:
    """An index of some of the rows only."""
    return sa.Index(name, *columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


# One row whose number moves with every change of a source or a target: each ingest transaction
# reads it, so that a change is honoured on every node by the next event.
routing_version = sa.Table(
    "routing_version",
    metadata,
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("version", sa.BigInteger, nullable=False),
)

# Facts about the installation, such as the sealed text that proves the master key.
installation = sa.Table(
    "installation",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

sources = sa.Table(
    "sources",
    metadata,
    _id("id", primary_key=True),
    sa.Column("name", sa.String(64), nullable=False, unique=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("strict", sa.Boolean, nullable=False),
    sa.Column("settings", JsonText, nullable=False),
    # SHA-256 digests of the tokens, hexadecimal; the previous one is valid until it expires.
    sa.Column("token_digest", sa.String(64), nullable=True),
    sa.Column("previous_token_digest", sa.String(64), nullable=True),
    sa.Column("signing_secret_sealed", sa.Text, nullable=True),
    sa.Column("previous_signing_secret_sealed", sa.Text, nullable=True),
    _micros("previous_expires_at", nullable=True),
    # The keys of the sender's own API, one JSON object.
    sa.Column("api_access_sealed", sa.Text, nullable=True),
    _micros("created_at"),
    _micros("updated_at"),
)

targets = sa.Table(
    "targets",
    metadata,
    _id("id", primary_key=True),
    sa.Column("name", sa.String(64), nullable=False, unique=True),
    sa.Column("connector", sa.String(64), nullable=False),
    # Settings without their secrets; the secrets stand sealed beside them.
    sa.Column("settings", JsonText, nullable=False),
    sa.Column("settings_sealed", sa.Text, nullable=True),
    sa.Column("events", JsonText, nullable=False),
    sa.Column("sources", JsonText, nullable=True),
    sa.Column("filter", sa.Text, nullable=True),
    sa.Column("mapping", JsonText, nullable=True),
    sa.Column("ordered", sa.Boolean, nullable=False),
    sa.Column("retry", JsonText, nullable=True),
    sa.Column("rate_limit", JsonText, nullable=True),
    sa.Column("max_in_flight", sa.Integer, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("status_reason", sa.Text, nullable=True),
    sa.Column("signing_secret_sealed", sa.Text, nullable=True),
    sa.Column("previous_signing_secret_sealed", sa.Text, nullable=True),
    _micros("previous_expires_at", nullable=True),
    _micros("created_at"),
    _micros("updated_at"),
)

# What changes with every claim, apart from what the operator set: locked by a claim, so that the
# rate and the slots of a target are counted once over all workers.
target_state = sa.Table(
    "target_state",
    metadata,
    _id("target_id", primary_key=True),
    sa.Column("tokens", sa.Float, nullable=False),
    _micros("refilled_at"),
    _micros("throttled_until"),
    _micros("failing_since", nullable=True),
    _micros("last_success_at", nullable=True),
)

# The token an authorisation server gave for a target, sealed; a higher version is a newer token.
target_grants = sa.Table(
    "target_grants",
    metadata,
    _id("target_id", primary_key=True),
    sa.Column("sealed", sa.Text, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    _micros("updated_at"),
)

events = sa.Table(
    "events",
    metadata,
    _id("id", primary_key=True),
    _id("source_id", nullable=False),
    sa.Column("source", sa.String(64), nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("type", sa.String(64), nullable=False),
    sa.Column("subject", sa.String(255), nullable=True),
    sa.Column("test", sa.Boolean, nullable=False),
    sa.Column("external_id", sa.String(255), nullable=True),
    sa.Column("hop", sa.SmallInteger, nullable=False),
    _micros("occurred_at"),
    _micros("received_at"),
    sa.Index("ix_events_type_id", "type", "id"),
    sa.Index("ix_events_subject_id", "subject", "id"),
)

event_bodies = sa.Table(
    "event_bodies",
    metadata,
    _id("event_id", primary_key=True),
    sa.Column("content_type", sa.String(255), nullable=False),
    # The headers the source's adapter needs to read the body again.
    sa.Column("headers", JsonText, nullable=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
    # What webhook targets are sent, where one was routed to: the stamp of the source that was read
    # so, and app.domain.envelope's stored form. It may be left out; the body is the truth.
    sa.Column("envelope", sa.LargeBinary, nullable=True),
)

# `key` is the SHA-256 of the sender's own id or of the content; a row without expiry is for ever
# and outlives the event it names.
dedupe = sa.Table(
    "dedupe",
    metadata,
    _id("source_id", primary_key=True),
    sa.Column("key", sa.LargeBinary(32), primary_key=True),
    sa.Column("fingerprint", sa.LargeBinary(32), nullable=False),
    _id("event_id", nullable=False),
    _micros("expires_at", nullable=True),
    _partial("ix_dedupe_expires_at", "expires_at", where="expires_at IS NOT NULL"),
    sqlite_with_rowid=False,
)

# `status` is the final word, or `pending` while the delivery stands in the queue; whether it is
# in flight or held is read from the queue and the target.
deliveries = sa.Table(
    "deliveries",
    metadata,
    _id("id", primary_key=True),
    _id("event_id", nullable=False),
    _id("target_id", nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=True),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("external_id", sa.String(255), nullable=True),
    _id("first_delivery_id", nullable=True),
    _micros("created_at"),
    _micros("finished_at", nullable=True),
    # The job that made it again, and the delivery whose ids it shows to the destination: the
    # first one's, or its own where new ids are wanted.
    _id("replay_id", nullable=True),
    _id("repeats_id", nullable=True),
    sa.Index("ix_deliveries_event_id", "event_id"),
    _partial("ix_deliveries_replay_id", "replay_id", "id", where="replay_id IS NOT NULL"),
    sa.Index("ix_deliveries_target_id_id", "target_id", "id"),
    _partial("ix_deliveries_failed", "id", where="status = 'failed'"),
)

# The work to do. `subject` is set where order counts. `fence` is the moment of the claim; a result
# that shows another number is refused, also after the delivery was queued anew.
queue = sa.Table(
    "queue",
    metadata,
    _id("delivery_id", primary_key=True),
    _id("target_id", nullable=False),
    _id("event_id", nullable=False),
    sa.Column("subject", sa.String(255), nullable=True),
    _micros("due_at"),
    _micros("lease_until", nullable=True),
    sa.Column("lease_owner", sa.String(128), nullable=True),
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("single", sa.Boolean, nullable=False),
    # As in `deliveries`, for the claim.
    _id("repeats_id", nullable=True),
    _partial("ix_queue_due", "target_id", "due_at", "delivery_id", where="lease_until IS NULL"),
    _partial("ix_queue_leased", "target_id", "lease_until", where="lease_until IS NOT NULL"),
    _partial("ix_queue_order", "target_id", "subject", "delivery_id", where="subject IS NOT NULL"),
    sqlite_with_rowid=False,
)

attempts = sa.Table(
    "attempts",
    metadata,
    _id("delivery_id", primary_key=True),
    _id("id", primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("outcome", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    _micros("started_at"),
    sa.Column("duration_micros", sa.BigInteger, nullable=False),
    sa.Column("worker", sa.String(128), nullable=False),
    # The requests that were sent and what was answered: method, masked URL, status, excerpt.
    sa.Column("exchanges", JsonText, nullable=False),
    sqlite_with_rowid=False,
)

# An effect is carried out once per target: `done` is false while its delivery is still under way.
effects = sa.Table(
    "effects",
    metadata,
    _id("target_id", primary_key=True),
    sa.Column("effect", sa.String(255), primary_key=True),
    _id("delivery_id", nullable=False),
    sa.Column("done", sa.Boolean, nullable=False),
    _micros("changed_at"),
    sqlite_with_rowid=False,
)

# The destination's id of a subject, such as a CRM's contact id.
links = sa.Table(
    "links",
    metadata,
    _id("target_id", primary_key=True),
    sa.Column("subject", sa.String(255), primary_key=True),
    sa.Column("external_id", sa.String(255), nullable=False),
    _micros("created_at"),
    _micros("updated_at"),
    sqlite_with_rowid=False,
)

quarantine = sa.Table(
    "quarantine",
    metadata,
    _id("id", primary_key=True),
    _id("source_id", nullable=False),
    sa.Column("source", sa.String(64), nullable=False),
    sa.Column("event_type", sa.String(64), nullable=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("problem", sa.String(64), nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("content_type", sa.String(255), nullable=False),
    sa.Column("headers", JsonText, nullable=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
    _id("event_id", nullable=True),
    _micros("received_at"),
    _micros("settled_at", nullable=True),
)

# Long work, in steps: `cursor` is where the next one begins, and moves in the transaction that
# did the step. `finished_at` is set with the final state.
jobs = sa.Table(
    "jobs",
    metadata,
    _id("id", primary_key=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=True),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("done", sa.Integer, nullable=False),
    sa.Column("failed", sa.Integer, nullable=False),
    sa.Column("cursor", sa.Text, nullable=True),
    sa.Column("parameters", JsonText, nullable=False),
    sa.Column("force", sa.Boolean, nullable=False),
    _micros("created_at"),
    _micros("updated_at"),
    _micros("finished_at", nullable=True),
    _micros("lease_until", nullable=True),
    sa.Column("lease_owner", sa.String(128), nullable=True),
    _partial("ix_jobs_open", "id", where="finished_at IS NULL"),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    _id("id", primary_key=True),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("scope", sa.String(16), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    # The first characters, so that an operator can tell keys apart.
    sa.Column("hint", sa.String(16), nullable=False),
    _micros("created_at"),
    _micros("last_used_at", nullable=True),
)

idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    # SHA-256 of the API key's id, the method, the path and the key that was sent.
    sa.Column("scope_key", sa.LargeBinary(32), primary_key=True),
    sa.Column("fingerprint", sa.LargeBinary(32), nullable=False),
    sa.Column("status", sa.SmallInteger, nullable=True),
    # The answer, sealed: the first answer of a creation can carry a secret.
    sa.Column("answer_sealed", sa.Text, nullable=True),
    _micros("created_at"),
    _micros("expires_at"),
    sa.Index("ix_idempotency_keys_expires_at", "expires_at"),
)
