"""CloudEvents 1.0 over HTTP: binary, structured and batched content.

The mode follows the content type: `application/cloudevents+json` is one event with its data
(structured), `application/cloudevents-batch+json` an array of such events, anything else is the
data of an event whose attributes stand in `ce-…` headers (binary).
Two events with the same source and id are the same event.
A batch is split into its events before it is read, so that each is stored by itself, byte for
byte as it stood in the batch.
Specification: https://github.com/cloudevents/spec, bindings/http-protocol-binding.md,
formats/json-format.md and http-webhook.md (the handshake).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import Field, field_validator

from app.domain import strict_json
from app.domain.errors import FieldError, UnsupportedMediaType
from app.domain.json_elements import elements
from app.domain.model import RawRequest, Reading
from app.sources.base import SourceAdapter
from app.sources.cloudevents_attributes import Attributes, from_document, from_headers
from app.sources.fields import invalid
from app.sources.foreign_types import event_type_from
from app.sources.lifecycle import DEDUPE_ID_LIMIT, Envelope, path_type, read_event
from app.sources.loose_values import fitting
from app.sources.mapping import NOTHING_MAPPED, Mapped, SourceMapping, mapping_of
from app.sources.relay import SUBJECT_LIMIT
from app.sources.settings import MappedSettings, SourceSettings

_FAMILY = "application/cloudevents"
_STRUCTURED = "application/cloudevents+json"
_BATCH = "application/cloudevents-batch+json"
_MOST_EVENTS = 1000
_NO_TYPE = (
    "must become an event type (a letter and up to 63 more of a-z 0-9 _ . -); put one into the"
    " path, or map it"
)

#: A DNS expression that names the sending system, a port allowed.
_ORIGIN = re.compile(
    r"[A-Za-z0-9*](?:[A-Za-z0-9.*_-]{0,251}[A-Za-z0-9*])?(?::[0-9]{1,5})?", re.ASCII
)
_MOST_ORIGINS = 50


class CloudEventsSettings(MappedSettings):
    """Who may ask to send, and what types and data mean."""

    type_prefix: str = Field(
        "",
        pattern=r"^[!-~]{0,100}$",
        description="Taken away from the events' types: `com.example.shop.`.",
    )

    allowed_origins: list[str] | None = Field(
        None,
        min_length=1,
        max_length=_MOST_ORIGINS,
        description="The origins that are answered yes in the OPTIONS handshake; absent: all.",
    )

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, origins: list[str] | None) -> list[str] | None:
        if any(_ORIGIN.fullmatch(origin) is None for origin in origins or ()):
            raise ValueError("an origin is the name of a host, such as eventemitter.example.com")
        return origins and [origin.lower() for origin in origins]


class CloudEvents(SourceAdapter):
    """Reads CloudEvents with JSON data."""

    kind: ClassVar[str] = "cloudevents"
    summary: ClassVar[str] = (
        "CloudEvents 1.0 with JSON data: binary, structured and batched; the token as Bearer or"
        " in the URL, or a Standard Webhooks signature."
    )
    takes_token: ClassVar[bool] = True
    takes_signature: ClassVar[bool] = True
    issues_token: ClassVar[bool] = True
    takes_batches: ClassVar[bool] = True
    settings_model: ClassVar[type[SourceSettings]] = CloudEventsSettings
    kept_headers: tuple[str, ...] = (
        "content-type",
        "ce-specversion",
        "ce-id",
        "ce-source",
        "ce-type",
        "ce-time",
        "ce-subject",
        "ce-relaytest",
    )

    def __init__(
        self,
        mapping: SourceMapping | None = None,
        *,
        origins: Sequence[str] | None = None,
        type_prefix: str = "",
    ) -> None:
        self._mapping = mapping
        self._origins = origins
        self._type_prefix = type_prefix
        if mapping is not None:
            self.kept_headers = (*dict.fromkeys((*self.kept_headers, *mapping.header_names)),)

    def configured(self, settings: Mapping[str, Any]) -> CloudEvents:
        """The adapter of one source. Raises WrongMapping."""
        return CloudEvents(
            mapping_of(settings),
            origins=settings.get("allowed_origins"),
            type_prefix=settings.get("type_prefix", ""),
        )

    def permits(self, origin: str) -> bool:
        """Whether a sender that introduces itself by this name may send here."""
        if _ORIGIN.fullmatch(origin) is None:
            return False
        return self._origins is None or origin.lower() in self._origins

    def is_batch(self, request: RawRequest) -> bool:
        """True for an array of events, and for an event without data, which has no body."""
        return not request.body or _media_type(request) == _BATCH

    def split(self, request: RawRequest) -> Sequence[RawRequest]:
        """One structured request for each event of a batch.

        An event in headers that has no body gets the body `null`.

        Raises:
            Unreadable: the body is not JSON.
            InvalidPayload: it is no array, or holds no event, or too many.
        """
        if _media_type(request) != _BATCH:
            return [replace(request, body=request.body or b"null")]
        document = strict_json.read_strict(request.body)
        if not isinstance(document, list) or not 1 <= len(document) <= _MOST_EVENTS:
            raise invalid([FieldError("#", f"must be an array of 1 to {_MOST_EVENTS} events")])
        headers = {**request.headers, "content-type": _STRUCTURED}
        return [replace(request, headers=headers, body=part) for part in elements(request.body)]

    def read(self, request: RawRequest, document: Any) -> Reading:
        """Say what event the request is; data that is no object stands under `value`.

        Raises:
            InvalidPayload: an attribute is missing or wrong.
            InvalidRequest: the type in the path has not the form of an event type.
            UnsupportedMediaType: the event is written in another format than JSON.
        """
        media_type = _media_type(request)
        if media_type.startswith(_FAMILY) and media_type != _STRUCTURED:
            raise UnsupportedMediaType(
                f"CloudEvents are read as JSON; send {_STRUCTURED}, or the data by itself with"
                " ce- headers."
            )
        found = (
            from_document(document)
            if media_type == _STRUCTURED
            else from_headers(request, document)
        )
        mapped = self._mapped(request, found)
        reading = read_event(
            Envelope(
                type=mapped.type or self._type_of(request, found),
                data=_as_object(found.data),
                pointer="#/data" if media_type == _STRUCTURED else "#",
                dedupe_id=_identity(found),
                occurred_at=found.time,
                test=found.test,
            ),
            [],
            lenient=True,
        )
        if reading.subject is None and found.subject is not None:
            reading = replace(reading, subject=fitting(found.subject, SUBJECT_LIMIT))
        return mapped.over(reading)

    def _type_of(self, request: RawRequest, found: Attributes) -> str:
        """The type in the path, which the operator pasted, else the event's own in our form."""
        in_path = path_type(request)
        if in_path is not None:
            return in_path
        event_type = event_type_from(found.type.removeprefix(self._type_prefix))
        if event_type is None:
            raise invalid([found.error("type", _NO_TYPE)])
        return event_type

    def _mapped(self, request: RawRequest, found: Attributes) -> Mapped:
        """The mapping's values: `body` is the event's data, `headers` has `ce-…` in every mode."""
        if self._mapping is None:
            return NOTHING_MAPPED
        return self._mapping.read(found.data, {**request.headers, **found.as_headers()}, found.type)


def _media_type(request: RawRequest) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _identity(found: Attributes) -> str:
    # A source is a URI: the space cannot be a part of it.
    return fitting(f"{found.source.replace(' ', '%20')} {found.id}", DEDUPE_ID_LIMIT)


def _as_object(data: Any) -> dict[str, Any]:
    if isinstance(data, dict):
        return data
    return {} if data is None else {"value": data}
