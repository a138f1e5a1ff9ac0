"""Any sender that follows Standard Webhooks 1.0.0 (standardwebhooks.com).

The body is `{"type": …, "timestamp": …, "data": {…}}`, the id is the header `webhook-id`.
Objects named customer, membership, payment, site or domain inside the data are normalised like
the bridge's, so that other platforms can feed the relay.
Since another platform may mean something else by these words, a field that cannot be read counts
as not sent; the data itself goes on as received.
A sender that signs like this but puts something else into the body is read by its source's
mapping (see mapping.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from app.domain.errors import FieldError, InvalidRequest
from app.domain.model import RawRequest, Reading
from app.domain.signing import ID_HEADER
from app.sources.base import SourceAdapter
from app.sources.fields import Place
from app.sources.lifecycle import (
    Envelope,
    event_type_of,
    header_id,
    object_body,
    read_event,
)
from app.sources.mapping import NOTHING_MAPPED, Mapped, SourceMapping, mapping_of
from app.sources.settings import MappedSettings, SourceSettings


class StandardWebhooks(SourceAdapter):
    """Reads the payload form that the Standard Webhooks specification recommends."""

    kind: ClassVar[str] = "standard_webhooks"
    summary: ClassVar[str] = (
        "Any sender that follows Standard Webhooks: signed, id in the header webhook-id, "
        "body with type, timestamp and data."
    )
    takes_token: ClassVar[bool] = True
    takes_signature: ClassVar[bool] = True
    repeats_whole: ClassVar[bool] = True
    settings_model: ClassVar[type[SourceSettings]] = MappedSettings
    kept_headers: tuple[str, ...] = (ID_HEADER,)

    def __init__(self, mapping: SourceMapping | None = None) -> None:
        self._mapping = mapping
        if mapping is not None:
            self.kept_headers = (*dict.fromkeys((ID_HEADER, *mapping.header_names)),)

    def configured(self, settings: Mapping[str, Any]) -> StandardWebhooks:
        """The adapter with the source's mapping. Raises WrongMapping."""
        mapping = mapping_of(settings)
        return self if mapping is None else StandardWebhooks(mapping)

    def read(self, request: RawRequest, document: Any) -> Reading:
        """Say what event the body is; a body without `data` is the data itself.

        With a mapping, or of a stored body, the frame is read leniently as well.

        Raises:
            InvalidPayload: the body is not an object, or its frame is wrong.
            InvalidRequest: neither body nor path has an event type.
        """
        body = object_body(document)
        errors: list[FieldError] = []
        mapped = self._mapped(request, body)
        event_type = mapped.type or event_type_of(request, body, errors)
        if event_type is None:
            raise InvalidRequest(
                'The request names no event type. Set "type" in the body, '
                "or put it into the path: POST /webhooks/{source}/{event_type}.",
            )
        place = Place("#", [] if self._mapping or request.settled else errors)
        bare = "data" not in body or (self._mapping and not isinstance(body["data"], dict))
        envelope = Envelope(
            type=event_type,
            data=body if bare else _data(body, place),
            pointer="#" if bare else "#/data",
            dedupe_id=header_id(request, errors),
            occurred_at=place.moment(body, "timestamp"),
        )
        return mapped.over(read_event(envelope, errors, lenient=True))

    def _mapped(self, request: RawRequest, body: dict[str, Any]) -> Mapped:
        if self._mapping is None:
            return NOTHING_MAPPED
        found = body.get("type")
        said = found if isinstance(found, str) else request.event_type
        return self._mapping.read(body, request.headers, said)


def _data(body: dict[str, Any], place: Place) -> dict[str, Any]:
    value = body["data"]
    if isinstance(value, dict):
        return value
    if value is not None and value != []:
        place.refuse("data", "must be an object")
    return {}
