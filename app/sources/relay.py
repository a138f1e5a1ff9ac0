"""The relay's own news: a target was disabled, a delivery failed, a contact was linked.

They are stored as `{"type", "timestamp", "data"}` and go through the same pipe as every event.
Nobody can send them: the kind takes no credential.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from app.domain.errors import FieldError, InvalidRequest
from app.domain.model import RawRequest, Reading
from app.sources.base import SecretForm, SourceAdapter
from app.sources.fields import Place, object_at
from app.sources.lifecycle import Envelope, event_type_of, object_body, read_event

#: Longest subject: with the longest name of a source before it, it fits a column of 255.
SUBJECT_LIMIT = 190


class Relay(SourceAdapter):
    """Reads what the relay itself has to say."""

    kind: ClassVar[str] = "relay"
    summary: ClassVar[str] = "The relay's own news; internal, nobody can send to it."
    takes_token: ClassVar[bool] = False
    takes_signature: ClassVar[bool] = False
    secret_form: ClassVar[SecretForm | None] = None
    kept_headers: tuple[str, ...] = ()

    def read(self, request: RawRequest, document: Any) -> Reading:
        """Say what event the body is.

        News about an event belongs to that event's source, and to its subject, which stands in
        `data` with the source's name before it.

        Raises:
            InvalidPayload: the body is not what the relay writes.
            InvalidRequest: it has no type.
        """
        body = object_body(document)
        errors: list[FieldError] = []
        event_type = event_type_of(request, body, errors)
        if event_type is None:
            raise InvalidRequest('The relay\'s own event has no "type".')
        place = Place("#", errors)
        data = object_at(body, "data")
        if not data:
            place.refuse("data", "must be an object")
        envelope = Envelope(
            type=event_type,
            data=data,
            pointer="#/data",
            occurred_at=place.moment(body, "timestamp"),
            test=place.is_true(body, "test"),
        )
        subject = _subject(data, place.beneath("data"))
        reading = read_event(envelope, errors)
        return reading if subject is None else replace(reading, subject=subject)


def _subject(data: dict[str, Any], place: Place) -> str | None:
    """The subject within its source, cut to what the column holds; None when none is said."""
    subject, source = place.text(data, "subject"), place.text(data, "source")
    if subject is None or source is None:
        return None
    return subject.removeprefix(f"{source}/")[:SUBJECT_LIMIT]
