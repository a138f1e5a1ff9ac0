"""Any sender that follows Standard Webhooks 1.0.0 (standardwebhooks.com).

The body is `{"type": …, "timestamp": …, "data": {…}}`, the id is the header `webhook-id`.
Objects named customer, membership, payment, site or domain inside the data are normalised like
the bridge's, so that other platforms can feed the relay.
Since another platform may mean something else by these words, a field that cannot be read counts
as not sent; the data itself goes on as received.
"""

from __future__ import annotations

from typing import Any, ClassVar

from app.domain.errors import FieldError, InvalidRequest
from app.domain.model import RawRequest, Reading
from app.domain.signing import ID_HEADER
from app.sources.fields import Place
from app.sources.lifecycle import (
    Envelope,
    event_type_of,
    header_id,
    object_body,
    read_event,
)


class StandardWebhooks:
    """Reads the payload form that the Standard Webhooks specification recommends."""

    kind: ClassVar[str] = "standard_webhooks"
    summary: ClassVar[str] = (
        "Any sender that follows Standard Webhooks: signed, id in the header webhook-id, "
        "body with type, timestamp and data."
    )
    takes_token: ClassVar[bool] = True
    takes_signature: ClassVar[bool] = True
    kept_headers: ClassVar[tuple[str, ...]] = (ID_HEADER,)

    def read(self, request: RawRequest, document: Any) -> Reading:
        """Say what event the body is; a body without `data` is the data itself.

        Raises:
            InvalidPayload: the body is not an object, or its frame is wrong.
            InvalidRequest: neither body nor path has an event type.
        """
        body = object_body(document)
        errors: list[FieldError] = []
        event_type = event_type_of(request, body, errors)
        if event_type is None:
            raise InvalidRequest(
                'The request names no event type. Set "type" in the body, '
                "or put it into the path: POST /webhooks/{source}/{event_type}.",
            )
        place = Place("#", errors)
        envelope = Envelope(
            type=event_type,
            data=_data(body, place),
            pointer="#/data" if "data" in body else "#",
            dedupe_id=header_id(request.headers, errors),
            occurred_at=place.moment(body, "timestamp"),
        )
        return read_event(envelope, errors, lenient=True)


def _data(body: dict[str, Any], place: Place) -> dict[str, Any]:
    if "data" not in body:
        return body
    value = body["data"]
    if isinstance(value, dict):
        return value
    if value is not None and value != []:
        place.refuse("data", "must be an object")
    return {}
