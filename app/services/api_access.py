"""The keys to a network's own API, which a source may hold: checked, sealed, opened.

They are written and never shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import httpx

from app.domain import strict_json
from app.domain.errors import Conflict, FieldError, PlatformRefused
from app.domain.target_urls import UnsafeUrl, UrlPolicy, check_target_url
from app.services import field_errors
from app.sources.base import SourceAdapter
from app.sources.registry import ADAPTERS
from app.sources.ultimate_multisite_rest import ApiAccess
from app.store.sealing import SealBroken, Sealer
from app.store.sources import SourceRecord

#: The setting that says where the API is; only kinds that have it can have keys.
ADDRESS = "api_url"
_IN_BODY = "body"
_LONGEST_KEY = 1024
_POINTER = "#/api_access"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeys:
    """The keys as the operator gives them: the network's pair, and a WordPress user's.

    The WordPress user and application password are for people's addresses, which the network's
    own API does not tell.
    """

    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)
    wp_user: str | None = None
    wp_application_password: str | None = field(default=None, repr=False)


def key_errors(keys: ApiKeys) -> list[FieldError]:
    """What is wrong with keys, without a word of them."""
    errors = []
    for name in (each.name for each in fields(keys)):
        value = getattr(keys, name)
        if value is None:
            continue
        if not 0 < len(value.strip()) <= _LONGEST_KEY or not value.isprintable():
            detail = f"Give 1 to {_LONGEST_KEY} visible characters."
            errors.append(FieldError(f"{_POINTER}/{name}", detail))
    if (keys.wp_user is None) is not (keys.wp_application_password is None):
        detail = "Give the WordPress user and the application password together."
        errors.append(FieldError(f"{_POINTER}/wp_user", detail))
    return errors


def checked_change(
    record: SourceRecord,
    settings: dict[str, Any],
    keys: ApiKeys | None,
    *,
    keeps: bool,
    policy: UrlPolicy | None,
) -> dict[str, Any]:
    """The changed settings of a source as they are stored, where they and the keys fit together.

    `keys` are those given now; `keeps` says that the stored ones stay.
    Raises ValidationFailed.
    """
    errors: list[FieldError] = []
    if settings.get(ADDRESS) != record.settings.get(ADDRESS):
        settings, errors = settled_address(settings, policy)
    errors += place_errors(ADAPTERS[record.kind], settings, has_keys=keeps or keys is not None)
    if keys is not None:
        errors += key_errors(keys)
    elif keeps:
        errors += _move_errors(record.settings, settings)
    if errors:
        raise field_errors.refuse(errors)
    return settings


def place_errors(
    adapter: SourceAdapter, settings: Mapping[str, Any], *, has_keys: bool
) -> list[FieldError]:
    """What is wrong with where the keys are for."""
    if not has_keys:
        return []
    if ADDRESS not in adapter.settings_model.model_fields:
        return [FieldError(_POINTER, "Sources of this kind have no API to reach; leave it out.")]
    if not settings.get(ADDRESS):
        detail = "Say where the API is, or take the keys away."
        return [FieldError(f"#/settings/{ADDRESS}", detail)]
    return []


def _move_errors(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[FieldError]:
    """Refuse to send stored keys to a host they were not given for.

    Else whoever may change a source, but never see its keys, could have them sent elsewhere.
    """
    old, new = before.get(ADDRESS), after.get(ADDRESS)
    if not old or not new or _origin(old) == _origin(new):
        return []
    detail = "The API is at another host now: give the keys again."
    return [FieldError(_POINTER, detail)]


def settled_address(
    settings: dict[str, Any], policy: UrlPolicy | None
) -> tuple[dict[str, Any], list[FieldError]]:
    """The settings with the address in the one form that is stored, and what is wrong with it."""
    address = settings.get(ADDRESS)
    if policy is None or not address:
        return settings, []
    try:
        stored = check_target_url(address, policy).rstrip("/")
    except UnsafeUrl as error:
        return settings, [FieldError(f"#/settings/{ADDRESS}", error.reason)]
    return {**settings, ADDRESS: stored}, []


def seal(sealer: Sealer, source_id: str, keys: ApiKeys) -> str:
    """The keys as they are stored."""
    values = {name: value.strip() for name, value in asdict(keys).items() if value is not None}
    return sealer.seal(strict_json.write(values).decode(), _place(source_id))


def opened(sealer: Sealer, record: SourceRecord) -> ApiAccess:
    """What a source's API is asked with.

    Raises Conflict when the source has no keys, and PlatformRefused when they do not open.
    """
    address = record.settings.get(ADDRESS)
    if record.api_access_sealed is None or not address:
        raise Conflict(
            f"The source {record.name!r} has no access to the API of its network. Give it one with:"
            f" relay sources update {record.name} --api-url URL"
        )
    try:
        text = sealer.open(record.api_access_sealed, _place(record.id))
    except SealBroken:
        raise PlatformRefused(
            f"The API keys of the source {record.name!r} do not open with the master key; give them"
            " anew."
        ) from None
    return access(ApiKeys(**strict_json.read_trusted(text.encode())), record.settings)


def access(keys: ApiKeys, settings: Mapping[str, Any]) -> ApiAccess:
    """The keys together with where they are for."""
    return ApiAccess(
        base_url=settings[ADDRESS],
        key=keys.api_key.strip(),
        secret=keys.api_secret.strip(),
        in_body=settings.get("api_credentials") == _IN_BODY,
        wp_user=keys.wp_user,
        wp_password=keys.wp_application_password,
    )


def _origin(address: str) -> tuple[str, str, int | None]:
    url = httpx.URL(address)
    return url.scheme, url.host, url.port


def _place(source_id: str) -> str:
    return f"sources/{source_id}/api_access"
