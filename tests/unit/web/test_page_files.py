"""The files of the operator's page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

STATIC = Path(__file__).resolve().parents[3] / "app" / "web" / "static"
SCRIPTS = sorted(STATIC.glob("*.js"))
SCRIPT = "".join(path.read_text() for path in SCRIPTS)


def test_the_page_writes_texts_as_text():
    markup = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|\.srcdoc"
    assert re.findall(markup, SCRIPT) == []
    assert "localStorage" not in SCRIPT


def test_the_page_finds_every_element_it_looks_for():
    page = (STATIC / "index.html").read_text()
    wanted = set(re.findall(r'byId\("([a-z]+)"\)', SCRIPT))
    assert wanted <= set(re.findall(r'\sid="([a-z-]+)"', page))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_short_enough_to_be_read(script):
    assert len(script.read_text().splitlines()) <= 350
