"""What can be set about a source of Ultimate Multisite: where its REST API is."""

from __future__ import annotations

from typing import Annotated, Literal

import httpx
from pydantic import AfterValidator, Field

from app.sources.settings import SourceSettings

_LONGEST_URL = 2048
_API_PATH = "/wp-json"


def _as_site_address(text: str) -> str:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise ValueError(f"is not a URL: {error}") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError("must start with https:// (or http://) and name a host")
    if url.userinfo or url.query or url.fragment or "?" in text or "#" in text:
        raise ValueError("must be a scheme, a host and a path only: no user, query or fragment")
    # What is often pasted is the address of the API itself.
    return text.partition(_API_PATH)[0].rstrip("/")


#: The address of a network's main site, kept without a slash at the end.
SiteAddress = Annotated[str, Field(max_length=_LONGEST_URL), AfterValidator(_as_site_address)]


class UltimateMultisiteSourceSettings(SourceSettings):
    """Where the API is and how it takes its keys, which stand apart from the settings."""

    api_url: SiteAddress | None = Field(
        None,
        description="The address of the network's main site, for its REST API. Use https: the keys"
        " travel with every request.",
    )
    api_credentials: Literal["header", "body"] = Field(
        "header",
        description="Where the API's keys stand: `body` for hosts that drop the Authorization"
        " header.",
    )
