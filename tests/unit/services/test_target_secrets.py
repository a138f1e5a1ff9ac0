"""Which settings are secret, and what stands in their places."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, SecretStr

from app.connectors.registry import CONNECTORS
from app.services.target_secrets import (
    MASK,
    has_mask,
    kept,
    revealed,
    secret_fields,
    secret_texts,
    unmasked,
)


class Settings(BaseModel):
    url: str
    token: SecretStr
    spare: SecretStr | None = None
    several: dict[str, list[SecretStr]] = {}
    headers: dict[str, str] = {}


def test_whatever_holds_a_secret_is_secret_and_so_are_headers():
    assert secret_fields(Settings) == {"token", "spare", "several", "headers"}


@pytest.mark.parametrize(
    ("connector", "names"),
    [("webhook", {"headers"}), ("hubspot", {"token"}), ("ga4", {"api_secret"})],
)
def test_the_secrets_of_the_built_in_connectors_are_known(connector, names):
    assert secret_fields(CONNECTORS[connector].Settings) == names


def test_secrets_are_revealed_at_every_depth():
    settings = Settings(url="u", token="a", several={"x": ["b", "c"]})
    assert revealed(settings.token) == "a"
    assert revealed(settings.several) == {"x": ["b", "c"]}
    assert revealed(settings.spare) is None


def test_every_text_of_the_secret_settings_is_known_for_masking():
    settings = Settings(
        url="u",
        token="the-token",
        several={"x": ["one-secret", "two-secret"]},
        headers={"Authorization": "Bearer of-a-header", "X-A": "1"},
    )
    assert set(secret_texts(settings)) == {
        *("the-token", "one-secret", "two-secret", "Bearer of-a-header", "of-a-header"),
    }


@pytest.mark.parametrize(
    ("given", "stored", "result"),
    [
        (MASK, "old", "old"),
        ("new", "old", "new"),
        ({"a": MASK, "b": "new"}, {"a": "1", "b": "2"}, {"a": "1", "b": "new"}),
        ({"a": {"b": MASK}}, {"a": {"b": "1"}}, {"a": {"b": "1"}}),
        ([MASK, "new"], ["1", "2"], ["1", "new"]),
        (MASK, None, MASK),
        ({"c": MASK}, {"a": "1"}, {"c": MASK}),
        ([MASK], ["1", "2"], [MASK]),
    ],
)
def test_a_mask_takes_what_is_stored_in_its_place(given, stored, result):
    assert unmasked(given, stored) == result


@pytest.mark.parametrize("value", [MASK, {"a": MASK}, {"a": [1, {"b": MASK}]}, [MASK]])
def test_a_mask_is_found_at_every_depth(value):
    assert has_mask(value)


@pytest.mark.parametrize("value", ["", "*", MASK + "*", None, 7, {"a": "b"}, []])
def test_other_values_are_no_masks(value):
    assert not has_mask(value)


def test_a_secret_counts_as_kept_unless_it_is_given_anew_as_a_whole():
    secrets = {"token": "t", "headers": {"a": "1", "b": "2"}}
    assert kept(secrets, {}) == ["headers", "token"]
    assert kept(secrets, {"token": "n", "headers": {"a": MASK, "b": "3"}}) == ["headers"]
    assert kept(secrets, {"token": "n", "headers": {"a": "4"}}) == []
