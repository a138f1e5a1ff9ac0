"""The secrets among a target's settings: told apart, sealed, masked, kept when a mask comes back.

A setting is secret when its field's type has a SecretStr in it, at whatever depth; and custom
headers are, because that is where endpoints want their credentials.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, SecretStr, ValidationError

from app.connectors.registry import connector_class
from app.domain import strict_json
from app.domain.errors import ValidationFailed
from app.domain.header_rules import credentials_in
from app.store.sealing import SealBroken, Sealer
from app.store.targets import TargetRecord

#: What stands in an answer where a secret is; sent back in a change, it keeps the stored one.
MASK = "********"
#: The setting, of whatever connector, that holds custom headers.
HEADERS = "headers"


def secret_fields(settings: type[BaseModel]) -> frozenset[str]:
    """The names of the secret settings."""
    fields = settings.model_fields.items()
    return frozenset(
        name for name, field in fields if name == HEADERS or _has_secret(field.annotation)
    )


def _has_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(_has_secret(inner) for inner in get_args(annotation))


def revealed(value: Any) -> Any:
    """The value with every SecretStr in it as plain text, for sealing."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Mapping):
        return {key: revealed(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [revealed(inner) for inner in value]
    return value


def secret_texts(settings: BaseModel) -> tuple[str, ...]:
    """Every text that must not be shown: those of the secret settings, at whatever depth."""
    found: list[str] = []
    for name in sorted(secret_fields(type(settings))):
        value = revealed(getattr(settings, name))
        if name == HEADERS and isinstance(value, Mapping):
            found += credentials_in(value)
        else:
            found += _texts(value)
    return tuple(found)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def seal(sealer: Sealer, target_id: str, secrets: Mapping[str, Any]) -> str | None:
    """The sealed form of a target's secret settings, None when it has none."""
    if not secrets:
        return None
    return sealer.seal(strict_json.write(secrets).decode(), _place(target_id))


def opened(sealer: Sealer, record: TargetRecord) -> dict[str, Any]:
    """A target's secret settings. Raises SealBroken."""
    if record.settings_sealed is None:
        return {}
    text = sealer.open(record.settings_sealed, _place(record.id))
    secrets: dict[str, Any] = strict_json.read_trusted(text.encode())
    return secrets


def masked(sealer: Sealer, record: TargetRecord) -> dict[str, Any]:
    """A target's settings as they may be shown."""
    try:
        secrets = opened(sealer, record)
    except SealBroken:
        # The list must still be readable when a key was lost; the target itself says it is unusable.
        return dict(record.settings)
    return {**record.settings, **{name: _mask(value) for name, value in secrets.items()}}


def trouble(sealer: Sealer, record: TargetRecord) -> str | None:
    """Why nothing can be delivered to a target here, None when it can: one sentence."""
    try:
        settings = {**record.settings, **opened(sealer, record)}
        connector_class(record.connector).Settings.model_validate(settings)
    except SealBroken:
        return "Not usable here: its secret settings do not open with this relay's master key."
    except ValidationFailed as error:
        return f"Not usable here: {error.detail}"
    except ValidationError:
        return "Not usable here: this version's connector does not take its settings."
    return None


def _mask(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _mask(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_mask(inner) for inner in value]
    return value if value is None else MASK


def unmasked(value: Any, stored: Any) -> Any:
    """A changed setting with its masks replaced by what is stored in their places."""
    if value == MASK and isinstance(stored, str):
        return stored
    if isinstance(value, Mapping) and isinstance(stored, Mapping):
        return {key: unmasked(inner, stored.get(key)) for key, inner in value.items()}
    if isinstance(value, list) and isinstance(stored, list) and len(value) == len(stored):
        return [unmasked(one, other) for one, other in zip(value, stored, strict=True)]
    return value


def has_mask(value: Any) -> bool:
    """True when a mask is left in `value`: somebody sent back what was never a secret."""
    if isinstance(value, Mapping):
        return any(has_mask(inner) for inner in value.values())
    if isinstance(value, list):
        return any(has_mask(inner) for inner in value)
    return bool(value == MASK)


def kept(secrets: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """The names of `secrets` that were stored before and not given anew, as a whole or in part."""
    return sorted(name for name in secrets if name not in given or has_mask(given[name]))


def _place(target_id: str) -> str:
    return f"targets/{target_id}/settings"
