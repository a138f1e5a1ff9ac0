"""The page of the security checklist names tests that exist, one line for each number."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "checklist.md").read_text()
LINES = dict(re.findall(r"^(\d+)\. (.+)$", PAGE, re.MULTILINE))
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


def missing(text: str) -> list[str]:
    """The tests that a text names and nobody wrote."""
    found = []
    for name, test in NAMED.findall(text):
        path = ROOT / (name if name.startswith("tests/") else f"tests/security/{name}")
        if not path.is_file() or not re.search(
            rf"^(async )?def {test}\(", path.read_text(), re.MULTILINE
        ):
            found.append(f"{name}::{test}")
    return found


def test_every_test_that_the_page_names_exists():
    assert missing(PAGE) == []


def test_a_test_that_does_not_exist_is_caught():
    assert missing("`test_bad_requests.py::test_nothing`") == ["test_bad_requests.py::test_nothing"]
    assert missing("`tests/unit/nowhere.py::test_a`") == ["tests/unit/nowhere.py::test_a"]


def test_every_number_has_one_line_with_a_test_or_the_reason_why_there_is_none():
    numbers = re.findall(r"^(\d+)\. ", PAGE, re.MULTILINE)
    assert [int(number) for number in numbers] == list(range(1, 95))
    without = {number for number, line in LINES.items() if not NAMED.search(line)}
    assert all("does not apply" in LINES[one] or "not a test" in LINES[one] for one in without)
