"""Pairs on the command line."""

from __future__ import annotations

import pytest

from app.cli import pairs
from app.domain.errors import ValidationFailed


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ([], {}),
        (["url=https://hooks.example/?a=b"], {"url": "https://hooks.example/?a=b"}),
        (["headers.X-Team=ops", "headers.X-A=1"], {"headers": {"X-Team": "ops", "X-A": "1"}}),
        (['headers={"X-Team": "ops"}', "headers.X-A=1"], {"headers": {"X-Team": "ops", "X-A": "1"}}),
        (["list=[1, 2]"], {"list": [1, 2]}),
        (["withhold_links=true"], {"withhold_links": "true"}),
        (["empty="], {"empty": ""}),
    ],
)  # fmt: skip
def test_settings(texts, found):
    assert pairs.settings(texts) == found


def test_a_secret_can_be_read_from_a_file(tmp_path):
    (tmp_path / "token").write_text("pat-secret\n")
    assert pairs.settings([f"token=@{tmp_path}/token"]) == {"token": "pat-secret"}
    assert pairs.settings([f"headers.X-Key=@{tmp_path}/token"]) == {
        "headers": {"X-Key": "pat-secret"}
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("pat-secret", "KEY=VALUE"),
        ("=pat-secret", "KEY=VALUE"),
        ('headers={"pat-secret"', "headers begins like JSON"),
        ("token=@missing/file", "cannot be read"),
    ],
)
def test_what_is_no_pair_is_refused_without_repeating_it(text, says):
    with pytest.raises(ValidationFailed) as refusal:
        pairs.settings([text])
    (wrong,) = refusal.value.errors
    assert (wrong.pointer, says in wrong.detail) == ("--setting", True)
    assert "pat-secret" not in wrong.detail


def test_a_setting_is_given_as_a_whole_or_in_parts():
    with pytest.raises(ValidationFailed):
        pairs.settings(["headers=x", "headers.X-A=1"])


def test_an_expression_may_hold_anything_behind_the_first_equals_sign():
    assert pairs.mapping(["vip=payment.total == 5.0", "x={}"]) == {
        "vip": "payment.total == 5.0",
        "x": "{}",
    }


def test_a_schedule_is_numbers():
    assert pairs.seconds("0,5,2.5") == [0, 5, 2.5]
    with pytest.raises(ValidationFailed, match="--retry"):
        pairs.seconds("soon")
