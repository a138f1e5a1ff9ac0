"""What all kinds have in common once type and data of an event are known.

Type, data and dedupe id come from a kind's own envelope; the groups inside the data are read by
the same functions for every kind, so that another platform that sends a `customer` object feeds
the same connectors.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.domain.errors import FieldError, InvalidPayload, InvalidRequest
from app.domain.model import Context, RawRequest, Reading
from app.domain.record import record
from app.domain.routing import is_event_type
from app.domain.signing import ID_HEADER
from app.sources.fields import Place, invalid
from app.sources.groups import is_test, read_groups, subject_of

#: Longest id a sender may give an event: what the column holds.
DEDUPE_ID_LIMIT = 255

_FORM = (
    "must be an event type: a lower-case letter and up to 63 more of a-z 0-9 _ . - "
    "(for example payment_received)"
)
_FIRST_VISIBLE = "!"
_LAST_VISIBLE = "~"


@record(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What stands around an event's data.

    `pointer` is where the data stands in the document (`#`, `#/data`).
    `test` is True when the sender marked the event as a test itself.
    """

    type: str
    data: dict[str, Any]
    pointer: str = "#"
    dedupe_id: str | None = None
    occurred_at: datetime | None = None
    context: Context | None = None
    test: bool = False


def read_event(envelope: Envelope, errors: list[FieldError], *, lenient: bool = False) -> Reading:
    """Read the groups inside the data.

    `errors` holds what the envelope's reader found wrong already.
    A lenient reading takes a field of an impossible type for a field that is not there; it is for
    senders whose `customer` need not be the relay's.

    Raises:
        InvalidPayload: a field has an impossible type, with the pointer of each.
    """
    data = envelope.data
    found: list[FieldError] = [] if lenient else errors
    groups = read_groups(data, Place(envelope.pointer, found))
    if errors:
        raise invalid(errors)
    return Reading(
        type=envelope.type,
        data=data,
        dedupe_id=envelope.dedupe_id,
        occurred_at=envelope.occurred_at,
        test=envelope.test or is_test(envelope.type, data, groups),
        subject=subject_of(groups),
        customer=groups.customer,
        membership=groups.membership,
        payment=groups.payment,
        site=groups.site,
        domain=groups.domain,
        context=envelope.context,
    )


def object_body(document: Any) -> dict[str, Any]:
    """The document, when it is a JSON object.

    Raises:
        InvalidPayload: it is an array or a scalar.
    """
    if isinstance(document, dict):
        return document
    raise InvalidPayload(
        "The body must be a JSON object.",
        errors=[FieldError("#", "must be a JSON object")],
    )


def path_type(request: RawRequest) -> str | None:
    """The event type in the path, None when the path has none.

    Raises:
        InvalidRequest: it is not of the form of an event type.
    """
    found = request.event_type
    if found is not None and not is_event_type(found):
        raise InvalidRequest(f"The event type in the path {_FORM}.")
    return found


def event_type_of(
    request: RawRequest,
    body: Mapping[str, Any],
    errors: list[FieldError],
) -> str | None:
    """The event type of the member `type`, else of the path; None when neither has one.

    Where both have one they must agree; what is wrong with `type` is added to `errors`.
    Of a request that was stored, nothing is questioned any more.

    Raises:
        InvalidRequest: the one in the path is not of the form of an event type.
    """
    in_path = path_type(request)
    in_body = body.get("type")
    if in_body is None or request.settled:
        return in_path
    if not isinstance(in_body, str) or not is_event_type(in_body):
        errors.append(FieldError("#/type", _FORM))
        return ""
    if in_path is not None and in_path != in_body:
        errors.append(FieldError("#/type", "must be the event type in the path"))
    return in_body


def header_id(request: RawRequest, errors: list[FieldError]) -> str | None:
    """The sender's id of the event in the header `webhook-id`, None without one."""
    found = request.headers.get(ID_HEADER)
    if found is None:
        return None
    if ID_HEADER in request.repeated_headers:
        errors.append(FieldError("#", "the header webhook-id must come once"))
        return None
    visible = all(_FIRST_VISIBLE <= character <= _LAST_VISIBLE for character in found)
    if not 0 < len(found) <= DEDUPE_ID_LIMIT or not visible:
        errors.append(
            FieldError(
                "#",
                f"the header webhook-id must have 1 to {DEDUPE_ID_LIMIT} visible ASCII characters",
            ),
        )
        return None
    return found
