"""`docs/settings.md` and `.env.example`, from `app/settings.py`."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from app.settings import Network, Settings
from docs.generators import markdown

_INTRODUCTION = """\
Every setting is an environment variable.
A file `.env` in the working directory is read as well; a variable of the environment wins over it.
Settings are read once at start-up, so a change needs a restart.
A value that is not allowed stops the start with a sentence that names the variable.

`.env.example` holds the same list, ready to copy.
[Operating](operating.md) says which ones a production installation sets."""

_ENV_HEADER = """\
# Every setting of the relay with its default, generated from app/settings.py by `make docs`.
# Copy this file to .env and uncomment what you change.
# A variable of the environment wins over the file.
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as a reader sees it: all texts."""

    variable: str
    default: str
    allowed: str
    why: str


def settings() -> Iterator[Setting]:
    """Every setting, in the order of the class."""
    for name, field in Settings.model_fields.items():
        if field.description is None:
            raise ValueError(f"app/settings.py: {name} has no description")
        yield Setting(
            variable=f"RELAY_{name.upper()}",
            default=_default(field.default),
            allowed=_allowed(field),
            why=field.description,
        )


def reference() -> str:
    """The page that lists every setting."""
    rows = [
        (
            markdown.code(each.variable),
            markdown.code(each.default) or "empty",
            each.allowed,
            each.why,
        )
        for each in settings()
    ]
    return markdown.page(
        "Settings",
        _INTRODUCTION,
        markdown.table(("variable", "default", "allowed", "what it is for"), rows),
    )


def env_example() -> str:
    """The file to copy to `.env`: every setting, commented out, at its default."""
    entries = [f"# {each.why}\n#{each.variable}={each.default}\n" for each in settings()]
    return "\n".join([_ENV_HEADER, *entries])


def _default(value: Any) -> str:
    if value is None or value == ():
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _allowed(field: FieldInfo) -> str:
    kind = field.annotation
    if get_origin(kind) in {Union, types.UnionType}:
        kind = next(part for part in get_args(kind) if part is not types.NoneType)
    if get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    words: dict[Any, str] = {
        bool: "`true`, `false`",
        str: "text",
        Path: "a path",
        SecretStr: "a secret text",
        tuple[SecretStr, ...]: "secret texts with commas between them",
        tuple[Network, ...]: "CIDRs with commas between them",
        int: "a whole number",
        float: "a number",
    }
    return words[kind] + _bounds(field)


def _bounds(field: FieldInfo) -> str:
    low = high = ""
    for bound in field.metadata:
        match bound:
            case annotated_types.Ge(ge=value):
                low = f"from {value}"
            case annotated_types.Gt(gt=value):
                low = f"above {value}"
            case annotated_types.Le(le=value):
                high = f"to {value}"
            case annotated_types.Lt(lt=value):
                high = f"below {value}"
            case _:
                pass
    return "".join(f" {bound}" for bound in (low, high) if bound)
