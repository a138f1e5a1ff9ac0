"""The files of the operator's page."""

from __future__ import annotations

import re
from pathlib import Path

STATIC = Path(__file__).resolve().parents[3] / "app" / "web" / "static"


def test_the_page_writes_texts_as_text():
    script = (STATIC / "relay.js").read_text()
    markup = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|\.srcdoc"
    assert re.findall(markup, script) == []
    assert "localStorage" not in script


def test_the_page_finds_every_element_it_looks_for():
    page, script = (STATIC / "index.html").read_text(), (STATIC / "relay.js").read_text()
    wanted = set(re.findall(r'byId\("([a-z]+)"\)', script))
    assert wanted <= set(re.findall(r'\sid="([a-z-]+)"', page))


def test_the_script_is_short_enough_to_be_read():
    assert len((STATIC / "relay.js").read_text().splitlines()) <= 400
