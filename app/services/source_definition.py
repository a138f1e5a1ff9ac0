"""What an operator says about a source, checked: every wrong field is named at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.domain import signing
from app.domain.errors import FieldError
from app.services import field_errors
from app.services.news import SOURCE as RELAY_SOURCE
from app.sources.base import SourceAdapter
from app.sources.registry import ADAPTERS, KNOWN_KINDS

#: The name stands in the path of the ingest URL.
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
NAME_RULE = "Use 1 to 40 lower-case letters, digits and hyphens; begin with a letter or a digit."


class SourceSettings(BaseModel):
    """What can be set about a source besides `strict`."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    dedupe_window: int | None = Field(
        None,
        ge=0,
        le=604_800,
        description="Seconds within which the same content from a sender without ids is one"
        " event; 0 for never. Absent: RELAY_DEDUPE_WINDOW.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDraft:
    """A source to be made; `signing_secret` (`whsec_…`) only where the sender chose it."""

    name: str
    kind: str
    strict: bool = False
    settings: Mapping[str, Any]
    signing_secret: str | None = None


def check_draft(draft: SourceDraft) -> SourceAdapter:
    """The adapter of the draft's kind. Raises ValidationFailed with every wrong place."""
    errors = []
    if NAME.fullmatch(draft.name) is None:
        errors.append(FieldError("#/name", NAME_RULE))
    elif draft.name == RELAY_SOURCE:
        errors.append(FieldError("#/name", "The name is that of the relay's own events."))
    if draft.kind not in KNOWN_KINDS:
        errors.append(FieldError("#/kind", f"This version has the kinds {', '.join(KNOWN_KINDS)}."))
        raise field_errors.refuse(errors)
    adapter = ADAPTERS[draft.kind]
    if error := signing_secret_error(adapter, draft.signing_secret):
        errors.append(error)
    if errors:
        raise field_errors.refuse(errors)
    return adapter


def signing_secret_error(adapter: SourceAdapter, secret: str | None) -> FieldError | None:
    """What is wrong with a secret that the sender chose, None when nothing is."""
    if secret is None:
        return None
    if not adapter.takes_signature:
        return FieldError("#/signing_secret", "Senders of this kind do not sign; leave it out.")
    try:
        signing.decode_secret(secret)
    except ValueError as error:
        return FieldError("#/signing_secret", str(error))
    return None


def checked_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as they are stored: without those at their default. Raises ValidationFailed."""
    try:
        checked = SourceSettings.model_validate(settings)
    except ValidationError as error:
        raise field_errors.refuse(field_errors.of_pydantic(error, ("settings",))) from None
    return checked.model_dump(exclude_none=True)
