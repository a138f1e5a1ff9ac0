"""Fixtures of the tests of the bridge plugin."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wordpress.bridge_network import Network


@pytest.fixture
def network(tmp_path: Path) -> Network:
    return Network(tmp_path)
