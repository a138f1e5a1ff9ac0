"""Ultimate Multisite (formerly WP Ultimo): the bare bodies of its webhooks, and the bridge's.

The built-in sender puts nothing but the payload into the request: no event name, no id, no time
and no signature, so the event type stands in the path the administrator pasted.
Its bodies are flat, all but `demo_site_expiring`, and end with `wu_version`.
A body with `id`, `type` and `data` and without `wu_version` is an envelope of the bridge plugin
(see bridge.py).
All of this was seen on versions 2.4.10 and 2.4.13; the model events of old versions
(`customer_created`…) have the same flat form.
"""

from __future__ import annotations

from typing import Any, ClassVar

from app.domain.catalogue import TEST_BUTTON_TYPES
from app.domain.errors import FieldError, InvalidRequest
from app.domain.model import RawRequest, Reading
from app.domain.signing import ID_HEADER
from app.sources import bridge
from app.sources.base import SourceAdapter
from app.sources.lifecycle import Envelope, header_id, object_body, path_type, read_event
from app.sources.settings import SourceSettings
from app.sources.ultimate_multisite_settings import UltimateMultisiteSourceSettings


class UltimateMultisite(SourceAdapter):
    """Reads what a WordPress network with Ultimate Multisite sends."""

    kind: ClassVar[str] = "ultimate_multisite"
    summary: ClassVar[str] = (
        "A WordPress network with Ultimate Multisite: its built-in webhooks "
        "(event type in the path, token in the URL) and the bridge plugin (signed envelopes)."
    )
    takes_token: ClassVar[bool] = True
    takes_signature: ClassVar[bool] = True
    repeats_whole: ClassVar[bool] = True
    issues_token: ClassVar[bool] = True
    settings_model: ClassVar[type[SourceSettings]] = UltimateMultisiteSourceSettings
    #: A bare body that somebody signs has its id there; the built-in sender has none.
    kept_headers: tuple[str, ...] = (ID_HEADER,)

    def read(self, request: RawRequest, document: Any) -> Reading:
        """Say what event the body is.

        Raises:
            InvalidPayload: the body is not an object, or fields are of impossible types.
            InvalidRequest: there is no event type, or not one of the right form.
        """
        body = object_body(document)
        if bridge.is_envelope(body):
            return bridge.read_envelope(request, body)
        event_type = path_type(request)
        if event_type is None:
            raise InvalidRequest(
                "The request names no event type. Put it into the path "
                "(POST /webhooks/{source}/{event_type}, for example .../payment_received), "
                "or send a bridge envelope with id, type and data.",
            )
        errors: list[FieldError] = []
        dedupe_id = header_id(request, errors)
        envelope = Envelope(
            type=event_type,
            data=body,
            dedupe_id=dedupe_id,
            # The built-in sender has these types for its button alone, whatever ids it fills in.
            test=event_type in TEST_BUTTON_TYPES,
        )
        return read_event(envelope, errors)
