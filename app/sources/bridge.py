"""The bridge envelope: what the Lifecycle Relay plugin for WordPress sends.

The plugin hooks what the built-in webhooks leave out (new customers, checkouts, cancellations,
renewals), and wraps each event with an id, a type, a time, and the objects it is about.
The form is specified in docs/bridge-envelope.md; this module is its only reader.
It is hand-written because it runs for every request and must name each wrong place exactly.
"""

from __future__ import annotations

import re
from typing import Any

from app.domain.errors import FieldError, InvalidRequest
from app.domain.model import Context, RawRequest, Reading
from app.sources.fields import Place, object_at
from app.sources.groups import GROUP_NAMES
from app.sources.lifecycle import DEDUPE_ID_LIMIT, Envelope, event_type_of, read_event

#: The one version of the form there is; an envelope may leave it out.
SPEC = "lifecycle-relay/1"
_SPEC_OF_ANY_VERSION = "lifecycle-relay/"

# No dot: the signature joins id, timestamp and body with dots (Standard Webhooks 1.0.0).
_ID = re.compile(rf"[A-Za-z0-9_-]{{1,{DEDUPE_ID_LIMIT}}}", re.ASCII)


def is_envelope(body: dict[str, Any]) -> bool:
    """True for an envelope; every bare body of the platform has `wu_version` at its top.

    One that says what it is lacks a member by mistake, and must not be taken for a bare body.
    """
    if "wu_version" in body:
        return False
    if "type" in body and "data" in body and "id" in body:
        return True
    spec = body.get("spec")
    return isinstance(spec, str) and spec.startswith(_SPEC_OF_ANY_VERSION)


def read_envelope(request: RawRequest, body: dict[str, Any]) -> Reading:
    """Say what event an envelope holds.

    Raises:
        InvalidPayload: with the pointer of each member that is wrong.
        InvalidRequest: neither the envelope nor the path has an event type.
    """
    errors: list[FieldError] = []
    event_type = event_type_of(request, body, errors)
    if event_type is None:
        raise InvalidRequest(
            'The envelope names no event type. Set "type" (for example "checkout_completed"), '
            "or put the event type into the path: POST /webhooks/{source}/{event_type}.",
        )
    place = Place("#", errors)
    _check_frame(body, place)
    envelope = Envelope(
        type=event_type,
        data=_data(body, place),
        pointer="#/data",
        dedupe_id=_id(body, place),
        occurred_at=place.moment(body, "occurred_at"),
        context=_context(object_at(body, "context"), place.beneath("context")),
        test=place.is_true(body, "test"),
    )
    return read_event(envelope, errors)


def _check_frame(body: dict[str, Any], place: Place) -> None:
    if body.get("spec") not in (None, SPEC):
        place.refuse("spec", f'must be "{SPEC}"')
    for name in ("source", "context"):
        _object_or_nothing(body, name, place)


def _id(body: dict[str, Any], place: Place) -> str | None:
    value = body.get("id")
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    place.refuse("id", f"must be a string of 1 to {DEDUPE_ID_LIMIT} of A-Z a-z 0-9 _ -")
    return None


def _data(body: dict[str, Any], place: Place) -> dict[str, Any]:
    value = body.get("data")
    if isinstance(value, dict):
        inner = place.beneath("data")
        for name in GROUP_NAMES:
            _object_or_nothing(value, name, inner)
        return value
    if value != []:
        place.refuse("data", "must be an object")
    return {}


def _object_or_nothing(members: dict[str, Any], name: str, place: Place) -> None:
    """Refuse what is neither an object nor PHP's ways of writing none."""
    value = members.get(name)
    if value and not isinstance(value, dict):
        place.refuse(name, "must be an object")


def _context(members: dict[str, Any], place: Place) -> Context | None:
    """Browser identifiers, each only with consent to the purpose it serves."""
    consent = object_at(members, "consent")
    asked = place.beneath("consent")
    analytics = asked.is_true(consent, "analytics")
    marketing = asked.is_true(consent, "marketing")
    if not (analytics or marketing):
        return None
    return Context(
        ga_client_id=place.text(members, "ga_client_id") if analytics else None,
        ga_session_id=place.text(members, "ga_session_id") if analytics else None,
        fbp=place.text(members, "fbp") if marketing else None,
        fbc=place.text(members, "fbc") if marketing else None,
        user_agent=place.text(members, "user_agent"),
    )
