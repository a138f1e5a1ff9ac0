"""What an operator says about a target, checked: every wrong field is named at once.

Whether the names of sources are known is not checked here: only the database can say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.connectors.base import Connector
from app.domain import authorities
from app.domain.errors import FieldError, ValidationFailed
from app.domain.expressions import MAX_FIELDS, ExpressionError, compile_mapping
from app.domain.header_rules import UnsafeHeader, check_custom_headers
from app.domain.retry import validate_schedule
from app.domain.routing import RELAY_PREFIX, check_pattern
from app.domain.target_urls import UnsafeUrl, UrlPolicy, check_target_url
from app.services import field_errors, target_secrets
from app.services.field_errors import pointer, refuse, refuse_one
from app.services.filter_check import check_filter
from app.services.source_definition import NAME, NAME_RULE

MOST_IN_FLIGHT = 1000
_MOST_PATTERNS = 100
_MOST_SOURCES = 100
#: The settings, of whatever connector, that say where requests go.
_URL_SETTINGS = ("url", "base_url")


class RetrySetting(BaseModel):
    """A target's own retry schedule."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True, frozen=True)

    schedule: list[float] = Field(
        description="Seconds to wait before each attempt, the first included: 1 to 30 waits of"
        " 0 to 604800 seconds.",
        examples=[[0, 5, 300, 1800]],
    )


class RateLimit(BaseModel):
    """How fast a target is sent to at most."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True, frozen=True)

    per_second: float = Field(ge=0.01, le=10_000, description="Requests per second.", examples=[10])


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetDraft:
    """A target to be made; what is None gets the connector's own default."""

    name: str
    connector: str
    settings: Mapping[str, Any]
    events: Sequence[str] = ("*",)
    sources: Sequence[str] | None = None
    filter: str | None = None
    mapping: Mapping[str, str] | None = None
    ordered: bool | None = None
    retry: RetrySetting | None = None
    rate_limit: RateLimit | None = None
    max_in_flight: int | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """What decides about a target's fields: its connector, which URLs may be reached, and when."""

    connector: type[Connector[Any]]
    urls: UrlPolicy
    now: datetime

    def columns(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The columns that `fields` (names and types of TargetDraft) come to.

        `settings` comes out as two: `settings`, and `secrets`, which are still to be sealed.
        Raises ValidationFailed with every wrong place.
        """
        checks: Mapping[str, Callable[[Any], dict[str, Any]]] = {
            "name": _name,
            "settings": self._settings,
            "events": self._events,
            "sources": _sources,
            "filter": _filter,
            "mapping": self._mapping,
            "ordered": self._ordered,
            "retry": _retry,
            "rate_limit": self._rate_limit,
            "max_in_flight": self._max_in_flight,
        }
        columns: dict[str, Any] = {}
        errors: list[FieldError] = []
        for name, value in fields.items():
            try:
                columns |= checks[name](value)
            except ValidationFailed as error:
                errors.extend(error.errors)
        if errors:
            raise refuse(errors)
        return columns

    def check_destination(
        self, before: Mapping[str, Any], after: Mapping[str, Any], kept: Sequence[str]
    ) -> None:
        """Refuse to send a stored secret to a host it was not given for.

        Else whoever may change a target, but never see its secrets, could have them sent to a
        host of his own.
        Raises ValidationFailed that names the secrets that were `kept`.
        """
        moved = [
            name for name in _URL_SETTINGS if self._host(before, name) != self._host(after, name)
        ]
        if moved and kept:
            detail = f"Give it again: {moved[0]} now names another host than it was given for."
            raise refuse([FieldError(pointer(("settings", name)), detail) for name in kept])

    def _host(self, settings: Mapping[str, Any], name: str) -> tuple[str, str] | None:
        """Scheme and host that a URL setting names, by itself or by its default."""
        field = self.connector.Settings.model_fields.get(name)
        text = settings.get(name) or (field.default if field else None)
        if not isinstance(text, str):
            return None
        url = httpx.URL(text)
        return url.scheme, url.host

    def _events(self, patterns: Sequence[str]) -> dict[str, Any]:
        # The relay's own news have to be named: "everything" would leave such a connector idle.
        default = self.connector.default_events
        if list(patterns) == ["*"] and all(one.startswith(RELAY_PREFIX) for one in default):
            return {"events": list(default)}
        return _events(patterns)

    def _settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        try:
            checked = self.connector.Settings.model_validate(given)
        except ValidationError as error:
            raise refuse(field_errors.of_pydantic(error, ("settings",))) from None
        plain = checked.model_dump(mode="json", exclude_unset=True)
        secret_names = target_secrets.secret_fields(self.connector.Settings) & plain.keys()
        secrets = {name: target_secrets.revealed(getattr(checked, name)) for name in secret_names}
        plain = {name: value for name, value in plain.items() if name not in secret_names}
        errors = [
            *self._settle_urls(plain),
            # A chat's incoming webhook is a URL that is a secret: the same rules hold for it.
            *self._settle_urls(secrets),
            *_header_errors(secrets),
            *_mask_errors(secrets),
            *self._time_errors(plain),
        ]
        if errors:
            raise refuse(errors)
        return {"settings": plain, "secrets": secrets}

    def _settle_urls(self, settings: dict[str, Any]) -> list[FieldError]:
        """Put each URL into its one stored form; answers what is wrong with them."""
        errors = []
        for name in _URL_SETTINGS:
            if settings.get(name) is None:
                continue
            try:
                settings[name] = check_target_url(settings[name], self.urls)
            except UnsafeUrl as error:
                errors.append(FieldError(pointer(("settings", name)), error.reason))
        return errors

    def _time_errors(self, settings: Mapping[str, Any]) -> list[FieldError]:
        given = settings.get(authorities.SETTING)
        wrong = authorities.untimely(given, self.now) if given else None
        return [FieldError(pointer(("settings", authorities.SETTING)), wrong)] if wrong else []

    def _mapping(self, mapping: Mapping[str, str] | None) -> dict[str, Any]:
        if mapping is None:
            return {"mapping": None}
        if not mapping:
            raise refuse_one("#/mapping", "Name at least one field, or null for no mapping.")
        if len(mapping) > MAX_FIELDS:
            raise refuse_one("#/mapping", f"A mapping has at most {MAX_FIELDS} fields.")
        found = dict(self.connector.check_mapping(tuple(mapping)))
        for field, expression in mapping.items():
            try:
                compile_mapping({field: expression})
            except ExpressionError as error:
                found[field] = error.reason
        if found:
            raise refuse([FieldError(pointer(("mapping", f)), text) for f, text in found.items()])
        return {"mapping": dict(mapping)}

    def _ordered(self, ordered: bool | None) -> dict[str, Any]:  # noqa: FBT001  one field's value, called by its name
        return {"ordered": self.connector.ordered if ordered is None else ordered}

    def _rate_limit(self, limit: RateLimit | None) -> dict[str, Any]:
        per_second = self.connector.limits.per_second if limit is None else limit.per_second
        return {"rate_limit": None if per_second is None else {"per_second": per_second}}

    def _max_in_flight(self, most: int | None) -> dict[str, Any]:
        if most is None:
            most = min(self.connector.limits.max_in_flight, MOST_IN_FLIGHT)
        if not 1 <= most <= MOST_IN_FLIGHT:
            raise refuse_one("#/max_in_flight", f"Use a number from 1 to {MOST_IN_FLIGHT}.")
        return {"max_in_flight": most}


def _name(name: str) -> dict[str, Any]:
    if NAME.fullmatch(name) is None:
        raise refuse_one("#/name", NAME_RULE)
    return {"name": name}


def _events(patterns: Sequence[str]) -> dict[str, Any]:
    if not 1 <= len(patterns) <= _MOST_PATTERNS:
        raise refuse_one(
            "#/events", f'Name 1 to {_MOST_PATTERNS} patterns; ["*"] stands for all events.'
        )
    errors = []
    for position, pattern in enumerate(patterns):
        try:
            check_pattern(pattern)
        except ValueError as error:
            errors.append(FieldError(pointer(("events", position)), str(error)))
    if errors:
        raise refuse(errors)
    return {"events": list(patterns)}


def _sources(names: Sequence[str] | None) -> dict[str, Any]:
    if names is not None and not 1 <= len(names) <= _MOST_SOURCES:
        raise refuse_one("#/sources", f"Name 1 to {_MOST_SOURCES} sources, or null for all.")
    errors = [
        FieldError(pointer(("sources", position)), NAME_RULE)
        for position, name in enumerate(names or ())
        if NAME.fullmatch(name) is None
    ]
    if errors:
        raise refuse(errors)
    return {"sources": None if names is None else list(dict.fromkeys(names))}


def _filter(text: str | None) -> dict[str, Any]:
    if text is None:
        return {"filter": None}
    if "\0" in text:
        raise refuse_one("#/filter", "A filter has no NUL character.")
    try:
        check_filter(text)
    except ExpressionError as error:
        raise refuse_one("#/filter", error.reason) from None
    return {"filter": text}


def _retry(retry: RetrySetting | None) -> dict[str, Any]:
    if retry is None:
        return {"retry": None}
    try:
        schedule = validate_schedule(retry.schedule)
    except ValueError as error:
        raise refuse_one("#/retry/schedule", str(error)) from None
    return {"retry": {"schedule": list(schedule)}}


def _header_errors(secrets: Mapping[str, Any]) -> list[FieldError]:
    try:
        check_custom_headers(secrets.get(target_secrets.HEADERS) or {})
    except UnsafeHeader as error:
        place = ("settings", target_secrets.HEADERS, *([error.name] if error.name else []))
        return [FieldError(pointer(place), error.reason)]
    return []


def _mask_errors(secrets: Mapping[str, Any]) -> list[FieldError]:
    return [
        FieldError(pointer(("settings", name)), "This is the mask; send the secret itself.")
        for name, value in secrets.items()
        if target_secrets.has_mask(value)
    ]
