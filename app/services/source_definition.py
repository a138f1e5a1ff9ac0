"""What an operator says about a source, checked: every wrong field is named at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from app.domain.errors import FieldError, ValidationFailed
from app.domain.target_urls import UrlPolicy
from app.services import api_access, field_errors
from app.services.api_access import ApiKeys
from app.services.news import SOURCE as RELAY_SOURCE
from app.sources.base import SecretForm, SourceAdapter
from app.sources.mapping import WrongMapping
from app.sources.registry import ADAPTERS, KNOWN_KINDS

#: The name stands in the path of the ingest URL.
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
NAME_RULE = (
    "Use 1 to 40 lower-case letters, digits, hyphens and underscores; begin with a letter or a"
    " digit."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDraft:
    """A source to be made; `signing_secret` only where the sender, or its vendor, chose it.

    `api_access` are the keys to the sender's own API, for kinds that have one.
    """

    name: str
    kind: str
    strict: bool = False
    settings: Mapping[str, Any]
    signing_secret: str | None = None
    api_access: ApiKeys | None = None


@dataclass(frozen=True, slots=True)
class CheckedDraft:
    """A draft in which nothing is wrong: the adapter with its settings, and those as stored."""

    adapter: SourceAdapter
    settings: dict[str, Any]


def check_draft(draft: SourceDraft, urls: UrlPolicy | None = None) -> CheckedDraft:
    """What the draft comes to; `urls` decides about the address of an API.

    Raises ValidationFailed with every wrong place.
    """
    errors = []
    if NAME.fullmatch(draft.name) is None:
        errors.append(FieldError("#/name", NAME_RULE))
    elif draft.name == RELAY_SOURCE:
        errors.append(FieldError("#/name", "The name is that of the relay's own events."))
    if draft.kind not in KNOWN_KINDS:
        errors.append(FieldError("#/kind", f"This version has the kinds {', '.join(KNOWN_KINDS)}."))
        raise field_errors.refuse(errors)
    adapter = ADAPTERS[draft.kind]
    settings: dict[str, Any] = {}
    try:
        settings = checked_settings(adapter, draft.settings)
        adapter = adapter.configured(settings)
    except ValidationFailed as failure:
        errors.extend(failure.errors)
    else:
        settings, wrong = api_access.settled_address(settings, urls)
        errors += wrong
        keys = draft.api_access
        errors += api_access.place_errors(adapter, settings, has_keys=keys is not None)
        errors += api_access.key_errors(keys) if keys else []
    if error := signing_secret_error(adapter, draft.signing_secret):
        errors.append(error)
    if errors:
        raise field_errors.refuse(errors)
    return CheckedDraft(adapter, settings)


def signing_secret_error(adapter: SourceAdapter, secret: str | None) -> FieldError | None:
    """What is wrong with a secret that the sender chose, None when nothing is."""
    if secret is None:
        return None
    if adapter.secret_form is None:
        return FieldError("#/signing_secret", "Senders of this kind do not sign; leave it out.")
    try:
        adapter.signing_key(secret)
    except ValueError as error:
        return FieldError("#/signing_secret", str(error))
    return None


def needs_secret(adapter: SourceAdapter) -> FieldError | None:
    """What is missing when new credentials are asked for without a secret; None for nothing."""
    if adapter.secret_form is not SecretForm.VENDOR:
        return None
    return FieldError("#/signing_secret", "Only the vendor can make this secret; give the new one.")


def checked_settings(adapter: SourceAdapter, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as they are stored: without those at their default. Raises ValidationFailed."""
    try:
        checked = adapter.settings_model.model_validate(settings)
    except ValidationError as error:
        raise field_errors.refuse(field_errors.of_pydantic(error, ("settings",))) from None
    stored = checked.model_dump(mode="json", exclude_defaults=True)
    try:
        adapter.configured(stored)
    except WrongMapping as error:
        raise field_errors.refuse(
            [
                FieldError(
                    field_errors.pointer(("settings", "mapping", *filter(None, [name]))), text
                )
                for name, text in error.errors.items()
            ]
        ) from None
    return stored
