"""Any sender that signs with HMAC in a way of its own; what is where is said by the settings.

The header may hold several parts, separated by commas, semicolons or spaces
(`ts=1795461463;h1=5257a8…`): a part is a signature when it begins with `prefix`, and the
timestamp when it begins with `timestamp_prefix`.
SHA-1 is not offered.
What the body means is said by the places of type, id and time, and by the source's mapping.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import unhexlify
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import Field, ValidationInfo, field_validator

from app.domain.coerce import ImpossibleValue
from app.domain.errors import FieldError, InvalidRequest
from app.domain.model import RawRequest, Reading
from app.sources.base import SecretForm, SourceAdapter
from app.sources.foreign_types import event_type_from
from app.sources.hmac_signatures import Algorithm, Encoding, is_any_right, only_header, text_key
from app.sources.lifecycle import Envelope, object_body, path_type, read_event
from app.sources.locations import Location, header_name, location
from app.sources.loose_values import dedupe_id_from, moment_from
from app.sources.mapping import NOTHING_MAPPED, Mapped, SourceMapping, mapping_of
from app.sources.settings import MappedSettings, SourceSettings
from app.sources.signed_content import BODY, ID, TIMESTAMP, SignedContent

_Value = TypeVar("_Value")

_SEPARATORS = re.compile(r"[,; ]+")
#: No separator: the parts are told apart first.
_PREFIX = r"^[!-+\--:<-~]{0,32}$"
_MOST_PARTS = 64
_SHORTEST_KEY = 8


class GenericHmacSettings(MappedSettings):
    """How a sender signs, and where it says what."""

    header: str = Field(description="The header that holds the signature.")
    algorithm: Algorithm = Field("sha256", description="The hash of the HMAC.")
    encoding: Encoding = Field("hex", description="How the signature is written.")
    prefix: str = Field(
        "", pattern=_PREFIX, description="What stands before the signature: `sha256=`."
    )
    secret_encoding: Literal["text", "hex", "base64"] = Field(
        "text", description="How the key is written in the secret; `text`: as it is."
    )
    id: str | None = Field(
        None, description="Where the sender's id of the event stands: a header, or a JSON Pointer."
    )
    type: str | None = Field(
        None, description="Where the event type stands: a header, or a JSON Pointer."
    )
    occurred_at: str | None = Field(
        None, description="Where the time stands: a header, or a JSON Pointer."
    )
    timestamp_header: str | None = Field(
        None, description="The header that holds the signed timestamp."
    )
    timestamp_prefix: str = Field(
        "", pattern=_PREFIX, description="What stands before the timestamp: `ts=`."
    )
    tolerance: int = Field(
        300, ge=1, le=86_400, description="Seconds the timestamp may be off, either way."
    )
    signed: str = Field(
        BODY,
        validate_default=True,
        description="What is signed: `{body}`, `{timestamp}.{body}`, `{id}.{timestamp}.{body}`.",
    )

    @field_validator("header", "timestamp_header")
    @classmethod
    def _is_header(cls, name: str | None) -> str | None:
        return None if name is None else header_name(name)

    @field_validator("id", "type", "occurred_at")
    @classmethod
    def _is_location(cls, text: str | None) -> str | None:
        if text is not None:
            location(text)
        return text

    @field_validator("signed")
    @classmethod
    def _fits_the_headers(cls, template: str, info: ValidationInfo) -> str:
        content = SignedContent(template)
        timestamp_header, id_place = info.data.get("timestamp_header"), info.data.get("id")
        if content.has(TIMESTAMP) and timestamp_header is None:
            raise ValueError("the signed content has {timestamp}: set timestamp_header")
        if timestamp_header is not None and not content.has(TIMESTAMP):
            raise ValueError(
                "timestamp_header is set, but {timestamp} is no part of what is signed"
            )
        if content.has(ID) and (id_place is None or location(id_place).header is None):
            raise ValueError("the signed content has {id}: set id to the name of a header")
        return template


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
        self._settings = settings
        self._mapping = mapping
        self._signed = SignedContent(settings.signed if settings else BODY)
        self._id = _place(settings.id if settings else None)
        self._type = _place(settings.type if settings else None)
        self._time = _place(settings.occurred_at if settings else None)
        places = [place.header for place in (self._id, self._type, self._time) if place]
        names = [*places, *(mapping.header_names if mapping else ())]
        self.kept_headers = tuple(dict.fromkeys(name for name in names if name))

    def configured(self, settings: Mapping[str, Any]) -> GenericHmac:
        """The adapter of one source. Raises WrongMapping."""
        return GenericHmac(GenericHmacSettings.model_validate(settings), mapping_of(settings))

    def signing_key(self, secret: str) -> bytes:
        """The secret's own characters, or what they encode.

        Raises:
            ValueError: says what is wrong with it.
        """
        key = text_key(secret)
        encoding = self._settings.secret_encoding if self._settings else "text"
        if encoding == "text":
            return key
        try:
            key = unhexlify(key) if encoding == "hex" else b64decode(key, validate=True)
        except ValueError:
            raise ValueError(f"the secret is not {encoding}, as secret_encoding says") from None
        if len(key) < _SHORTEST_KEY:
            raise ValueError(f"the secret's {encoding} stands for fewer than {_SHORTEST_KEY} bytes")
        return key

    def is_signed(self, request: RawRequest, keys: Sequence[bytes], now: int) -> bool:
        """Whether one signature in the header is right, and the timestamp, if there is one, near."""
        settings = self._settings
        header = only_header(request, settings.header) if settings else None
        if settings is None or header is None:
            return False
        values = {BODY: request.body}
        if settings.timestamp_header is not None:
            timestamp = _timestamp(request, settings, now)
            if timestamp is None:
                return False
            values[TIMESTAMP] = timestamp.encode("latin-1", "replace")
        if self._signed.has(ID):
            name = self._id.header if self._id else None
            message_id = only_header(request, name) if name else None
            if message_id is None:
                return False
            values[ID] = message_id.encode("latin-1", "replace")
        signatures = _parts(header, settings.prefix)
        if settings.encoding == "hex":
            signatures = [signature.lower() for signature in signatures]
        return is_any_right(
            signatures,
            self._signed.of(values),
            keys,
            algorithm=settings.algorithm,
            encoding=settings.encoding,
        )

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
        found = Envelope(
            type=event_type,
            data=body,
            dedupe_id=mapped.dedupe_id or _at(self._id, request, body, dedupe_id_from, errors),
            occurred_at=mapped.occurred_at or _at(self._time, request, body, moment_from, errors),
        )
        return mapped.over(read_event(found, errors, lenient=True))

    def _mapped(self, request: RawRequest, body: dict[str, Any]) -> Mapped:
        if self._mapping is None:
            return NOTHING_MAPPED
        said = self._type.find(request, body) if self._type else body.get("type")
        named = said if isinstance(said, str) else request.event_type
        return self._mapping.read(body, request.headers, named)

    def _event_type(
        self, request: RawRequest, body: dict[str, Any], errors: list[FieldError]
    ) -> str | None:
        """The type in the path, which the operator pasted, else where the settings say."""
        in_path = path_type(request)
        if in_path is not None:
            return in_path
        place = self._type or _DEFAULT_TYPE
        said = place.find(request, body)
        if said is None:
            return None
        found = event_type_from(said) if isinstance(said, str) else None
        if found is None:
            errors.append(FieldError(place.pointer, "must be the name of an event"))
        return found or ""


_DEFAULT_TYPE = location("/type")


def _place(text: str | None) -> Location | None:
    return location(text) if text else None


def _at(
    place: Location | None,
    request: RawRequest,
    body: Any,
    coercion: Callable[[Any], _Value | None],
    errors: list[FieldError],
) -> _Value | None:
    if place is None:
        return None
    try:
        return coercion(place.find(request, body))
    except ImpossibleValue as failure:
        errors.append(FieldError(place.pointer, failure.detail))
        return None


def _parts(header: str, prefix: str) -> list[str]:
    parts = _SEPARATORS.split(header, _MOST_PARTS)[:_MOST_PARTS]
    return [part.removeprefix(prefix) for part in parts if part.startswith(prefix)]


def _timestamp(request: RawRequest, settings: GenericHmacSettings, now: int) -> str | None:
    """The timestamp as it was written, None unless there is exactly one, near enough to now."""
    header = only_header(request, settings.timestamp_header or "")
    written = _parts(header, settings.timestamp_prefix) if header else []
    if len(written) != 1:
        return None
    try:
        moment = moment_from(written[0])
    except ImpossibleValue:
        return None
    if moment is None or abs(now - int(moment.timestamp())) > settings.tolerance:
        return None
    return written[0]
