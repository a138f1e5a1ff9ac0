"""What can be set about a source besides `strict`; each kind may add its own."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class SourceSettings(BaseModel):
    """The settings every kind has."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    dedupe_window: int | None = Field(
        None,
        ge=0,
        le=604_800,
        description="Seconds within which the same content from a sender without ids is one"
        " event; 0 for never. Absent: RELAY_DEDUPE_WINDOW.",
    )
    rate_per_second: float | None = Field(
        None,
        ge=0.1,
        le=100_000,
        description="Requests per second that one process of the relay takes from the source; more"
        " are answered 429. Absent: as many as come.",
    )


class MappedSettings(SourceSettings):
    """The settings of a kind whose bodies the operator can map."""

    mapping: dict[str, str] | None = Field(
        None,
        description="CEL expressions over `body`, `headers` and `type` that say what the event"
        " is: `type`, `id`, `occurred_at`, `subject`, `test`, and the fields of `customer`,"
        " `membership` and `payment` (`customer.email`).",
    )
