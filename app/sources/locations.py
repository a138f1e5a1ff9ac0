"""Where in a request a value stands, in an operator's words.

`/event/type` is a JSON Pointer into the body (RFC 6901); anything else is the name of a header.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from app.domain.coerce import ImpossibleValue
from app.domain.errors import FieldError
from app.domain.model import RawRequest

_Value = TypeVar("_Value")

_LONGEST = 200
_HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,64}")
_CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization"})
_ESCAPE = re.compile(r"~(?![01])")
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Location:
    """A header, or a place in the body, whose JSON Pointer is `pointer`; or nowhere at all."""

    header: str | None = None
    steps: Sequence[str] | None = None
    pointer: str = "#"

    def find(self, request: RawRequest, document: Any) -> Any:
        """What stands there, None when nothing does."""
        if self.header is not None:
            return request.headers.get(self.header)
        found = None if self.steps is None else document
        for step in self.steps or ():
            found = _member(found, step)
        return found

    def read(
        self,
        request: RawRequest,
        document: Any,
        coercion: Callable[[Any], _Value | None],
        errors: list[FieldError],
    ) -> _Value | None:
        """What stands there as `coercion` reads it; what it refuses is added to `errors`."""
        try:
            return coercion(self.find(request, document))
        except ImpossibleValue as failure:
            errors.append(self.error(failure.detail))
            return None

    def error(self, detail: str) -> FieldError:
        """What is wrong there."""
        named = detail if self.header is None else f"the header {self.header} {detail}"
        return FieldError(self.pointer, named)


def header_name(text: str) -> str:
    """A header's name in lower case.

    Raises:
        ValueError: it is none, or the header holds a credential, which is never kept.
    """
    name = text.lower()
    if _HEADER_NAME.fullmatch(name) is None:
        raise ValueError("the name of a header has 1 to 64 letters, digits and hyphens")
    if name in _CREDENTIALS:
        raise ValueError(f"the header {name} holds a credential and is never kept")
    return name


def location(text: str | None) -> Location:
    """The location an operator wrote; nowhere for None.

    Raises:
        ValueError: says what is wrong with it.
    """
    if text is None:
        return Location()
    if not text.startswith("/"):
        return Location(header=header_name(text))
    if len(text) > _LONGEST or not text.isprintable() or _ESCAPE.search(text):
        raise ValueError(
            "a JSON Pointer has at most 200 characters, all printable; ~ is written ~0 in it"
        )
    steps = [step.replace("~1", "/").replace("~0", "~") for step in text[1:].split("/")]
    return Location(steps=tuple(steps), pointer=f"#{text}")


def _member(value: Any, step: str) -> Any:
    if isinstance(value, dict):
        return value.get(step)
    if isinstance(value, list) and _INDEX.fullmatch(step) and int(step) < len(value):
        return value[int(step)]
    return None
