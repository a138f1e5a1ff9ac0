"""Wrong fields, named by JSON Pointer, without a word of what stood in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import quote

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from app.domain.errors import FieldError, ValidationFailed

# What a URI fragment may hold as it is (RFC 3986, section 3.5), without the slash.
_PLAIN = "!$&'()*+,;=:@~"
_LONGEST_PART = 64
_MOST_ERRORS = 100


def pointer(parts: Iterable[str | int]) -> str:
    """The JSON Pointer of a place as a URI fragment (RFC 6901, section 6): `#/settings/url`."""
    escaped = (
        quote(
            str(part)[:_LONGEST_PART].replace("~", "~0").replace("/", "~1"),
            safe=_PLAIN,
            errors="replace",
        )
        for part in parts
    )
    return "#" + "".join(f"/{part}" for part in escaped)


def of_details(
    details: Iterable[ErrorDetails], under: Sequence[str | int] = ()
) -> tuple[FieldError, ...]:
    """The errors pydantic found; `under` is the place of the validated value in the document."""
    return tuple(
        FieldError(pointer((*under, *detail["loc"])), _sentence(detail["msg"]))
        for detail in details
    )


def of_pydantic(error: ValidationError, under: Sequence[str | int] = ()) -> tuple[FieldError, ...]:
    """The errors in `error`, without the input that caused them."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return of_details(details, under)


def refuse(errors: Sequence[FieldError]) -> ValidationFailed:
    """The refusal of a request with these wrong fields."""
    places = ", ".join(dict.fromkeys(_place(error.pointer) for error in errors[:5]))
    more = f" and {len(errors) - 5} more" if len(errors) > 5 else ""  # noqa: PLR2004  the first five say enough
    return ValidationFailed(
        f"These fields are not valid: {places}{more}.", errors=errors[:_MOST_ERRORS]
    )


def refuse_one(place: str, detail: str) -> ValidationFailed:
    """The refusal of a request with one wrong field, at the pointer `place`."""
    return refuse([FieldError(place, detail)])


def _place(place: str) -> str:
    return "# (the body as a whole)" if place == "#" else place


def _sentence(message: str) -> str:
    return message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
