"""What the settings of every destination have in common.

The address guard's rules for a URL are applied where a target is saved; here a URL is only
brought into the form the connectors build on.
"""

from __future__ import annotations

from typing import Annotated

import httpx
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from app.domain.authorities import LONGEST, read_authorities

_LONGEST_URL = 2048


def _as_base_url(text: str) -> str:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise ValueError(f"is not a URL: {error}") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError("must start with https:// (or http://) and name a host")
    if url.userinfo or url.query or url.fragment or "?" in text or "#" in text:
        raise ValueError("must be a scheme, a host and a path only: no user, query or fragment")
    return text.rstrip("/")


#: Where a destination's API lives; paths are appended, so it is kept without a slash at the end.
BaseUrl = Annotated[str, Field(max_length=_LONGEST_URL), AfterValidator(_as_base_url)]


def _as_credential(value: SecretStr) -> SecretStr:
    text = value.get_secret_value().strip()
    if not text or not (text.isascii() and text.isprintable()):
        raise ValueError("must be visible ASCII characters")
    return SecretStr(text)


#: A token or key; what surrounds it when it is pasted is cut off.
Credential = Annotated[SecretStr, Field(max_length=1024), AfterValidator(_as_credential)]


#: The authority behind the certificate of a host that the operator runs himself.
#: The engine looks for a setting of this name (app.domain.authorities) and trusts it alone.
CaCertificate = Annotated[
    Annotated[str, Field(max_length=LONGEST), AfterValidator(read_authorities)] | None,
    Field(
        description="The certificate of your own authority, as PEM, where no public one signed the"
        " host's. Then the target trusts this one and no other.",
        examples=["-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----\n"],
    ),
]


class ConnectorSettings(BaseModel):
    """Settings refuse what they do not know: a misspelt name would otherwise be silently unused."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
