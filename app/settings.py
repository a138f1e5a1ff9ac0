"""The settings: environment variables with the prefix `RELAY_`, read once at start-up.

The settings reference in the docs and `.env.example` are generated from this class.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Network = IPv4Network | IPv6Network

_PLAIN_URL = re.compile(r"https?://[^\s/?#@\\]+(/[^\s?#\\]*)?")
#: A header field as OpenTelemetry writes it; its value is visible ASCII, percent-encoded.
_HEADER_FIELD = re.compile(r"\s*[A-Za-z0-9!#$%&'*+.^_`|~-]+\s*=\s*[!-~]+( [!-~]+)*\s*")


def _network(text: str) -> Network:
    """The network a CIDR names; an address of one is told which network it is in."""
    try:
        return ip_network(text)
    except ValueError:
        pass
    try:
        near = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is no network; write it such as 10.0.0.0/8") from None
    raise ValueError(f"{text!r} is an address inside a network; the network is {near}")


def _split(value: Any) -> Any:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


class Settings(BaseSettings):
    """How this relay runs. Frozen: a change needs a restart."""

    model_config = SettingsConfigDict(
        env_prefix="RELAY_",
        env_file=".env",
        env_file_encoding="utf-8",
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    environment: Literal["development", "production"] = Field(
        "development",
        description="`production` refuses generated keys and insecure targets.",
    )
    database_url: str = Field(
        "",
        repr=False,  # it may hold a password
        description="SQLAlchemy-style URL: `postgresql://user:password@host/name`, or `sqlite:///path`. Empty: a SQLite file in the data directory.",
    )
    data_dir: Path = Field(
        Path("data"), description="Where the SQLite file and the generated master key live."
    )
    secret_key: SecretStr | None = Field(
        None,
        description="Master key that seals secrets at rest: base64 of 32 bytes. Generated once into the data directory when absent (development only).",
    )
    previous_secret_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="Older master keys, comma-separated: they still open what they sealed."
    )
    admin_key: SecretStr | None = Field(
        None,
        description="Bootstrap API key with every scope, 32 characters or more. Generated and printed once when absent.",
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on.")
    public_url: str = Field(
        "",
        description="How senders reach this relay, for the URLs it shows. Empty: made of host and port.",
    )
    allowed_private_networks: Annotated[tuple[Network, ...], NoDecode] = Field(
        (),
        description="CIDRs that targets may reach although they are private, comma-separated (for example 10.0.0.0/8).",
    )
    denied_networks: Annotated[tuple[Network, ...], NoDecode] = Field(
        (), description="CIDRs that targets may never reach, comma-separated."
    )
    nat64: bool = Field(
        False, description="Judge NAT64 addresses (64:ff9b::/96) by the IPv4 address inside."
    )
    require_https: bool | None = Field(
        None, description="Refuse http:// targets. Empty: only in production."
    )
    embedded_worker: bool = Field(
        True, description="Deliver from inside the API process; false where `relay worker` runs."
    )
    worker_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="Port on which `relay worker` answers /health/live, /health/ready and /metrics. 0: none.",
    )
    processes: int = Field(1, ge=1, le=64, description="API processes that share the port.")
    body_limit: int = Field(
        1_048_576, ge=1024, le=67_108_864, description="Largest request body, in bytes."
    )
    body_timeout: float = Field(
        10.0, gt=0, le=300, description="Seconds within which a request body must arrive."
    )
    header_limit: int = Field(
        32_768, ge=4096, le=1_048_576, description="Largest sum of request header bytes."
    )
    header_count_limit: int = Field(100, ge=20, le=1000, description="Most request header fields.")
    header_timeout: float = Field(
        10.0,
        gt=0,
        le=300,
        description="Seconds within which the head of a request must be complete; also how long a new connection may say nothing.",
    )
    keep_alive_timeout: float = Field(
        5.0,
        gt=0,
        le=3600,
        description="Seconds a connection is kept after an answer. Longer than a proxy in front keeps its own.",
    )
    max_connections: int = Field(
        2_000,
        ge=10,
        description="Most simultaneous inbound connections per process; more get 503, and over twice as many are closed.",
    )
    dedupe_window: int = Field(
        600,
        ge=0,
        le=604_800,
        description="Seconds within which the same content from a sender without ids is one event.",
    )
    attempt_timeout: float = Field(
        20.0, gt=0, le=300, description="Seconds one attempt may take in all, DNS included."
    )
    enrichment_wait: float = Field(
        2.0,
        ge=0,
        le=10,
        description="Most seconds a delivery to a CRM or analytics waits for what the source's own API knows besides; 0 never asks.",
    )
    lease: float = Field(
        60.0,
        gt=0,
        le=3600,
        description="Seconds a worker may hold a delivery; over attempt_timeout and enrichment_wait.",
    )
    grace: float = Field(
        25.0, ge=0, le=300, description="Seconds a stopping worker lets running attempts finish."
    )
    max_in_flight: int = Field(
        600, ge=1, le=10_000, description="Most attempts at one time per worker process."
    )
    retention_days: int = Field(
        30, ge=1, le=3650, description="Days that settled events, bodies and attempts are kept."
    )
    reconcile_every: int = Field(
        21_600,
        ge=0,
        description="Seconds after which each source with API access is asked for events that never arrived. 0: only when told to.",
    )
    platform_rate: float = Field(
        5.0,
        gt=0,
        le=1000,
        description="Requests per second that one network's own API is asked at most, per process.",
    )
    rotation_overlap: int = Field(
        86_400, ge=0, description="Seconds an old secret stays valid after a rotation."
    )
    disable_after: int = Field(
        432_000,
        ge=60,
        description="Seconds of nothing but failures after which a target is disabled.",
    )
    docs: bool = Field(True, description="Serve /docs, /redoc and /openapi.json.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severity that is logged."
    )
    log_format: Literal["console", "json"] = Field(
        "console", description="`json` writes one object per line."
    )
    otlp_endpoint: str = Field(
        "",
        description="Where spans are sent (OpenTelemetry, OTLP over HTTP): the collector's URL, such as `http://127.0.0.1:4318`; `/v1/traces` is added. Empty: nothing is traced.",
    )
    otlp_headers: SecretStr | None = Field(
        None,
        description="Header fields for the collector, such as its key: `name=value`, comma-separated, a comma in a value as `%2C`.",
    )
    trace_ratio: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of the traces that are kept, among those whose sender did not decide it.",
    )
    pool_size: int = Field(10, ge=2, le=200, description="PostgreSQL connections per process.")

    @field_validator("previous_secret_keys", mode="before")
    @classmethod
    def _list_of_keys(cls, value: Any) -> Any:
        return _split(value)

    @field_validator("allowed_private_networks", "denied_networks", mode="before")
    @classmethod
    def _list_of_networks(cls, value: Any) -> Any:
        parts = _split(value)
        return tuple(_network(part) if isinstance(part, str) else part for part in parts)

    @field_validator("host", "data_dir", mode="before")
    @classmethod
    def _not_empty(cls, value: Any, info: ValidationInfo) -> Any:
        # Empty would be every address of the machine, and the working directory.
        if value == "":
            raise ValueError(
                "must not be empty; leave it out for the default,"
                f" {cls.model_fields[str(info.field_name)].default}"
            )
        return value

    @field_validator("secret_key", "admin_key", "otlp_headers", "require_https", mode="before")
    @classmethod
    def _empty_is_absent(cls, value: Any) -> Any:
        return None if value == "" else value

    @field_validator("admin_key")
    @classmethod
    def _usable_key(cls, value: SecretStr | None) -> SecretStr | None:
        key = "" if value is None else value.get_secret_value()
        if value is not None and len(key) < 32:  # noqa: PLR2004  the contract's length
            raise ValueError("RELAY_ADMIN_KEY must have 32 characters or more")
        if not key.isprintable() or key != key.strip():
            raise ValueError(
                "RELAY_ADMIN_KEY must have visible characters only, and no space at either end:"
                " it is sent in a header"
            )
        return value

    @field_validator("public_url", "otlp_endpoint")
    @classmethod
    def _plain_url(cls, value: str, info: ValidationInfo) -> str:
        if value and _PLAIN_URL.fullmatch(value) is None:
            raise ValueError(
                f"RELAY_{str(info.field_name).upper()} must be a scheme, a host and perhaps a port"
                " and a path, such as https://relay.example; no user, query or fragment"
            )
        return value

    @field_validator("otlp_headers")
    @classmethod
    def _header_fields(cls, value: SecretStr | None) -> SecretStr | None:
        text = "" if value is None else value.get_secret_value()
        if text and not all(_HEADER_FIELD.fullmatch(part) for part in text.split(",")):
            raise ValueError("RELAY_OTLP_HEADERS must be name=value, with commas between them")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.lease <= self.attempt_timeout + max(5, self.enrichment_wait + 3):
            raise ValueError(
                "RELAY_LEASE must be at least 5 seconds longer than RELAY_ATTEMPT_TIMEOUT, and 3"
                " seconds longer than it and RELAY_ENRICHMENT_WAIT together:"
                " a delivery would be taken over while it is still being sent"
            )
        if self.environment == "production":
            self._refuse_unsafe_production()
        return self

    def _refuse_unsafe_production(self) -> None:
        if self.secret_key is None:
            raise ValueError(
                "RELAY_SECRET_KEY must be set in production; make one with: openssl rand -base64 32"
            )
        if self.admin_key is not None and len(set(self.admin_key.get_secret_value())) < 8:  # noqa: PLR2004  fewer different characters is no key
            raise ValueError("RELAY_ADMIN_KEY is too simple for production")

    @property
    def resolved_database_url(self) -> str:
        """The database URL, with the embedded SQLite file where none is set."""
        return self.database_url or f"sqlite:///{self.data_dir / 'relay.db'}"

    @property
    def resolved_public_url(self) -> str:
        """The base URL that senders use, without a trailing slash."""
        if self.public_url:
            return self.public_url.rstrip("/")
        host = "localhost" if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104  compared, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def otlp_fields(self) -> dict[str, str]:
        """The header fields for the collector."""
        text = "" if self.otlp_headers is None else self.otlp_headers.get_secret_value()
        pairs = (part.partition("=") for part in text.split(",") if part)
        return {name.strip().lower(): unquote(value.strip()) for name, _, value in pairs}

    @property
    def https_required(self) -> bool:
        """True when targets must use https."""
        if self.require_https is not None:
            return self.require_https
        return self.environment == "production"
