"""Wrong fields are named by JSON Pointer, and what stood in them is not repeated."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr, ValidationError

from app.domain.errors import FieldError
from app.services.field_errors import of_pydantic, pointer, refuse


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ((), "#"),
        (("settings", "url"), "#/settings/url"),
        (("events", 2), "#/events/2"),
        (("a/b", "m~n", ""), "#/a~1b/m~0n/"),
        (("c%d", "g|h", "i\\j", 'k"l', " ", "é"), "#/c%25d/g%7Ch/i%5Cj/k%22l/%20/%C3%A9"),
    ],
)
def test_a_pointer_is_written_as_rfc_6901_says_for_fragments(parts, text):
    assert pointer(parts) == text


def test_a_long_name_is_cut():
    assert len(pointer(["x" * 10_000])) < 100


def test_a_half_surrogate_in_a_name_does_not_break_the_pointer():
    assert pointer(["\ud800"]).startswith("#/")


def no_fives(text: str) -> str:
    if "5" in text:
        raise ValueError("has a five")
    return text


class Example(BaseModel):
    model_config = ConfigDict(extra="forbid")

    number: int
    secret: SecretStr
    text: Annotated[str, AfterValidator(no_fives)] = ""


def test_every_wrong_place_is_named_without_its_value():
    with pytest.raises(ValidationError) as caught:
        Example.model_validate(
            {"number": "canary", "secret": ["canary"], "text": "canary5", "more": "canary"}
        )
    found = of_pydantic(caught.value, ("settings",))
    assert [error.pointer for error in found] == [
        "#/settings/number", "#/settings/secret", "#/settings/text", "#/settings/more",
    ]  # fmt: skip
    assert found[2].detail == "has a five"
    assert not any("canary" in error.detail for error in found)


def test_a_refusal_names_the_first_places_and_counts_the_rest():
    errors = [FieldError(f"#/events/{number}", "no") for number in range(7)]
    refusal = refuse(errors)
    assert refusal.status == 422
    assert refusal.detail == (
        "These fields are not valid: #/events/0, #/events/1, #/events/2, #/events/3, #/events/4"
        " and 2 more."
    )
    assert len(refusal.errors) == 7
