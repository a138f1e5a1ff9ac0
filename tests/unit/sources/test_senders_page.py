"""The page about senders: its examples work, and it knows every kind and every setting."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.api.schemas_sources import CreateSource
from app.domain import strict_json
from app.services.source_definition import SourceDraft, check_draft
from app.sources.registry import ADAPTERS, KNOWN_KINDS
from app.sources.stripe_objects import MEMBERSHIP_STATUSES
from tests.senders import read, sample

PAGE = (Path(__file__).parents[3] / "docs" / "senders.md").read_text()
EXAMPLES = [
    strict_json.read_strict(text.encode())
    for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    + re.findall(r"`(\{\"name\": [^`]*\})`", PAGE)
]


def test_every_kind_has_a_section():
    headings = re.findall(r"^## (\w+)$", PAGE, re.MULTILINE)
    assert sorted(set(KNOWN_KINDS) - set(headings)) == []


@pytest.mark.parametrize("kind", KNOWN_KINDS)
def test_every_setting_is_explained(kind: str):
    names = set(ADAPTERS[kind].settings_model.model_fields) - {"dedupe_window"}
    assert sorted(name for name in names if f"`{name}`" not in PAGE) == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["name"])
def test_every_example_can_be_made_as_it_stands(example: dict):
    checked = check_draft(CreateSource.model_validate(example).draft())
    assert checked.adapter.kind == example["kind"]


def test_the_gateways_mapping_makes_a_payment_of_the_gateways_body():
    (example,) = [one for one in EXAMPLES if one["name"] == "gateway"]
    checked = check_draft(SourceDraft(**example))
    found = read(checked.adapter, sample("gateway-charge"))
    assert (found.type, found.dedupe_id) == ("payment_received", "ev-0007")
    assert found.payment is not None
    assert found.payment.product_names == "Pro, one month"


@pytest.mark.parametrize(("theirs", "ours"), MEMBERSHIP_STATUSES.items())
def test_every_status_that_is_spelled_otherwise_is_listed(theirs: str, ours: str):
    assert theirs == ours or f"`{theirs}`" in PAGE
