"""What an operator says about a sender that signs with HMAC in a way of its own."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from app.sources.hmac_signatures import Algorithm, Encoding
from app.sources.locations import header_name, location
from app.sources.settings import MappedSettings
from app.sources.signed_content import BODY, ID, TIMESTAMP, SignedContent

#: No comma, semicolon or space: at these a header's parts are told apart first.
_PREFIX = r"^[!-+\--:<-~]{0,32}$"


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
