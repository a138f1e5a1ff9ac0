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


class MappedSettings(SourceSettings):
    """The settings of a kind whose bodies the operator can map."""

    mapping: dict[str, str] | None = Field(
        None,
        description="CEL expressions over `body`, `headers` and `type` that say what the event"
        " is: `type`, `id`, `occurred_at`, `subject`, `test`, and the fields of `customer`,"
        " `membership` and `payment` (`customer.email`).",
    )
