"""Any sender that signs with HMAC in a way of its own; what is where is said by the settings.

How a request is signed is in hmac_scheme.py; SHA-1 is not offered.
What the body means is said by the places of type, id and time, and by the source's mapping.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from app.domain.errors import FieldError, InvalidRequest
from app.domain.model import RawRequest, Reading
from app.sources.base import SecretForm, SourceAdapter
from app.sources.foreign_types import event_type_from
from app.sources.generic_hmac_settings import GenericHmacSettings
from app.sources.hmac_scheme import HmacScheme
from app.sources.hmac_signatures import text_key
from app.sources.lifecycle import Envelope, object_body, path_type, read_event
from app.sources.locations import location
from app.sources.loose_values import dedupe_id_from, moment_from
from app.sources.mapping import NOTHING_MAPPED, Mapped, SourceMapping, mapping_of
from app.sources.settings import SourceSettings

_DEFAULT_TYPE = "/type"


class GenericHmac(SourceAdapter):
    """Reads whatever the source's settings describe."""

    kind: ClassVar[str] = "generic_hmac"
    summary: ClassVar[str] = (
        "Any sender that signs with HMAC: header, algorithm, encoding and the places of type, id"
        " and time are settings, a mapping says the rest."
    )
    takes_token: ClassVar[bool] = False
    takes_signature: ClassVar[bool] = False
    secret_form: ClassVar[SecretForm | None] = SecretForm.TEXT
    settings_model: ClassVar[type[SourceSettings]] = GenericHmacSettings
    kept_headers: tuple[str, ...] = ()

    def __init__(
        self, settings: GenericHmacSettings | None = None, mapping: SourceMapping | None = None
    ) -> None:
        """An adapter without settings reads what is left of a removed source, and accepts nothing."""
        self._scheme = HmacScheme(settings) if settings else None
        self._mapping = mapping
        self._id = location(settings.id if settings else None)
        self._type = location((settings.type if settings else None) or _DEFAULT_TYPE)
        self._time = location(settings.occurred_at if settings else None)
        places = [place.header for place in (self._id, self._type, self._time)]
        names = [*places, *(mapping.header_names if mapping else ())]
        self.kept_headers = tuple(dict.fromkeys(name for name in names if name))

    def configured(self, settings: Mapping[str, Any]) -> GenericHmac:
        """The adapter of one source. Raises WrongMapping."""
        return GenericHmac(GenericHmacSettings.model_validate(settings), mapping_of(settings))

    def signing_key(self, secret: str) -> bytes:
        """The secret's own characters, or what they encode, by the settings."""
        return self._scheme.key(secret) if self._scheme else text_key(secret)

    def is_signed(self, request: RawRequest, keys: Sequence[bytes], now: int) -> bool:
        """Whether the request is signed as the settings say."""
        return self._scheme is not None and self._scheme.is_signed(request, keys, now)

    def read(self, request: RawRequest, document: Any) -> Reading:
        """Say what event the body is; the whole body is the event's data.

        Raises:
            InvalidPayload: the body is not an object, or the mapping or a place cannot be used.
            InvalidRequest: there is no event type.
        """
        body = object_body(document)
        mapped = self._mapped(request, body)
        errors: list[FieldError] = []
        event_type = mapped.type or self._event_type(request, body, errors)
        if event_type is None:
            raise InvalidRequest(
                "The request names no event type. Put it into the path (POST"
                " /webhooks/{source}/{event_type}), say where it stands with the source's setting"
                " type, or map it.",
            )
        envelope = Envelope(
            type=event_type,
            data=body,
            dedupe_id=mapped.dedupe_id or self._id.read(request, body, dedupe_id_from, errors),
            occurred_at=mapped.occurred_at or self._time.read(request, body, moment_from, errors),
        )
        return mapped.over(read_event(envelope, errors, lenient=True))

    def _mapped(self, request: RawRequest, body: dict[str, Any]) -> Mapped:
        if self._mapping is None:
            return NOTHING_MAPPED
        said = self._type.find(request, body)
        named = said if isinstance(said, str) else request.event_type
        return self._mapping.read(body, request.headers, named)

    def _event_type(
        self, request: RawRequest, body: dict[str, Any], errors: list[FieldError]
    ) -> str | None:
        """The type in the path, which the operator pasted, else where the settings say."""
        in_path = path_type(request)
        said = self._type.find(request, body) if in_path is None else None
        if said is None:
            return in_path
        found = event_type_from(said) if isinstance(said, str) else None
        if found is None:
            errors.append(self._type.error("must be the name of an event"))
        return found or ""
