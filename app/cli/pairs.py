"""What stands behind `--setting`, `--mapping` and `--retry`: pairs and numbers in a shell's words."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from app.domain import strict_json
from app.domain.errors import FieldError, Unreadable, ValidationFailed


def settings(texts: Iterable[str]) -> dict[str, Any]:
    """A connector's settings: `url=https://…`, `headers.X-Team=ops`, `headers={"X-Team": "ops"}`.

    `token=@FILE` reads the value from a file: what stands on a command line is seen by others.
    Raises ValidationFailed.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, value = _split(text, "--setting")
        outer, dot, inner = name.partition(".")
        if not dot:
            found[name] = _value(name, value)
        elif isinstance(found.setdefault(outer, {}), dict):
            found[outer][inner] = _from_file(name, value)
        else:
            raise _wrong("--setting", f"{outer} is given as a whole and in parts")
    return found


def mapping(texts: Iterable[str]) -> dict[str, str]:
    """A mapping: `plan=membership.plan.name`. Raises ValidationFailed."""
    return dict(_split(text, "--mapping") for text in texts)


def seconds(text: str) -> list[float]:
    """A retry schedule: `0,5,300`. Raises ValidationFailed."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise _wrong("--retry", "name seconds, separated by commas: 0,5,300") from None


def _split(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        # The text is not repeated: it may be a secret whose name was forgotten.
        raise _wrong(option, "write it as KEY=VALUE")
    return name, value


def _value(name: str, text: str) -> Any:
    text = _from_file(name, text)
    if not text.startswith(("{", "[")):
        return text
    try:
        return strict_json.read_strict(text.encode())
    except Unreadable as error:
        detail = f"the value of {name} begins like JSON, but is none: {error.detail}"
        raise _wrong("--setting", detail) from None


def _from_file(name: str, text: str) -> str:
    if not text.startswith("@"):
        return text
    path = Path(text[1:])
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise _wrong("--setting", f"{path}, which {name} names, cannot be read as text") from None


def _wrong(option: str, detail: str) -> ValidationFailed:
    return ValidationFailed(
        f"The option {option} is not valid.", errors=[FieldError(option, detail)]
    )
